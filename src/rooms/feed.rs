//! The feed: what is left of a transaction. Reads the log's list of rows, asks each row's clock
//! which of its cells still come from the transaction, and fetches their values. Changes that are
//! held here are part of their transaction like any other.

use std::collections::VecDeque;
use std::rc::Rc;

use super::log::{self, Record, UNSORTED};
use super::session::Session;
use super::{held, rows};
use crate::ground::cache::Lease;
use crate::ground::catalog::Table;
use crate::words::dot::{MAX_CL, Txn};
use crate::words::error::Result;
use crate::words::key::Key;
use crate::words::keylist::Entry;
use crate::words::rowclock::RowClock;
use crate::words::value::{Value, ValueRef};

/// One cell of a row change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedCell {
    /// The place in the transaction.
    pub seq: u64,
    /// The position in the table's columns.
    pub at: usize,
    /// Its stamp, where it is not the transaction's.
    pub stamp: Option<u64>,
}

/// What one transaction still says of one row.
pub struct RowChange<'s> {
    /// The table.
    pub table: Rc<Table>,
    /// The row.
    pub key: Key,
    /// Its causal length.
    pub cl: u64,
    /// The place of the sentinel, where the transaction set the causal length and says so.
    pub sentinel: Option<u64>,
    /// The cells, by place.
    pub cells: Vec<FeedCell>,
    row: Row<'s>,
}

/// A row and its clock as they were read: with one statement, or with two where a table has so many
/// columns that SQLite takes no more.
struct Row<'s> {
    /// The statement that has the columns; None where the row is not there.
    values: Option<Lease<'s>>,
    /// The position of the first of them.
    first: i32,
}

/// Reads a row and its clock; None where it has no clock.
fn read_row<'s>(s: &'s Session, t: &Table, key: &Key) -> Result<Option<(RowClock, Row<'s>)>> {
    if t.cols.len() > rows::JOINED_MAX {
        let Some(clock) = log::clock_of(s, t.tid, key.borrow())? else { return Ok(None) };
        return Ok(Some((clock, Row { values: rows::read(s, t, key)?, first: 0 })));
    }
    let Some(row) = rows::read_with_clock(s, t, key)? else { return Ok(None) };
    let clock = RowClock::decode(row.blob(0))?;
    let values = if row.int(1) == 0 { Some(row) } else { None };
    Ok(Some((clock, Row { values, first: rows::FIRST })))
}

impl RowChange<'_> {
    /// The value of a cell.
    pub fn value(&self, cell: &FeedCell) -> ValueRef<'_> {
        let row = &self.row;
        row.values.as_ref().map_or(ValueRef::Null, |r| r.value(row.first + cell.at as i32))
    }

    /// The first place.
    pub fn seq(&self) -> u64 {
        let first = self.cells.first().map(|c| c.seq);
        match (self.sentinel, first) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b).unwrap_or(0),
        }
    }
}

/// A change that cannot be applied here, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldChange {
    /// The name of the table.
    pub table: String,
    /// The packed key.
    pub pk: Vec<u8>,
    /// The column, or the sentinel.
    pub cid: String,
    /// The value.
    pub val: Value,
    /// The stamp, or the causal length of a sentinel.
    pub col_version: u64,
    /// The causal length.
    pub cl: u64,
    /// The place.
    pub seq: u64,
}

/// An item of the feed.
pub enum Item<'s> {
    /// A row of a replicated table.
    Row(RowChange<'s>),
    /// A held change.
    Held(HeldChange),
}

impl Item<'_> {
    /// Its first place.
    pub fn seq(&self) -> u64 {
        match self {
            Item::Row(r) => r.seq(),
            Item::Held(h) => h.seq,
        }
    }
}

/// Reads what is left of one transaction, in the order of places, holding no statement open.
pub struct TxnReader {
    /// The transaction.
    pub txn: Txn,
    /// Its record.
    pub record: Record,
    entries: VecDeque<Entry>,
    next_part: Option<u64>,
    held: VecDeque<HeldChange>,
    /// Places before this one are told already.
    from_seq: u64,
}

/// So many parts of a sorted list are read at once.
const PARTS_AT_ONCE: usize = 4;

impl TxnReader {
    /// Opens a transaction at a place. None where the file has no record of it.
    pub fn open(s: &Session, txn: Txn, from_seq: u64) -> Result<Option<Self>> {
        let Some(record) = log::record(s, txn)? else { return Ok(None) };
        let mut reader = Self {
            txn,
            record,
            entries: VecDeque::new(),
            next_part: Some(0),
            held: held::of_txn(s, txn)?.into(),
            from_seq,
        };
        if reader.record.flags & UNSORTED != 0 {
            let (mut entries, _) = log::rows(s, txn, 0, usize::MAX)?;
            entries.sort_by_key(|e| e.seq);
            reader.entries = entries.into();
            reader.next_part = None;
        }
        reader.held.retain(|h| h.seq >= from_seq);
        Ok(Some(reader))
    }

    /// The next item, or None at the end of the transaction.
    pub fn next<'s>(&mut self, s: &'s Session) -> Result<Option<Item<'s>>> {
        loop {
            if self.entries.is_empty() && self.next_part.is_some() {
                self.read_on(s)?;
                continue;
            }
            let held = self.held.front().map_or(u64::MAX, |h| h.seq);
            if self.entries.front().is_none_or(|e| held < e.seq) {
                return Ok(self.held.pop_front().map(Item::Held));
            }
            let Some(entry) = self.entries.pop_front() else { return Ok(None) };
            if entry.seq + entry.span <= self.from_seq {
                continue;
            }
            if let Some(row) = left_of(s, self.txn, &entry, self.from_seq)? {
                // Entries do not overlap, but for the lists of a site that was forked.
                self.from_seq = entry.seq + entry.span;
                return Ok(Some(Item::Row(row)));
            }
        }
    }

    fn read_on(&mut self, s: &Session) -> Result<()> {
        if let Some(part) = self.next_part {
            let (entries, next) = log::rows(s, self.txn, part, PARTS_AT_ONCE)?;
            self.entries = entries.into();
            self.next_part = next;
        }
        Ok(())
    }
}

/// What the transaction still says of the entry's row.
fn left_of<'s>(
    s: &'s Session,
    txn: Txn,
    entry: &Entry,
    from_seq: u64,
) -> Result<Option<RowChange<'s>>> {
    let Some(table) = s.find_table(entry.tid)? else { return Ok(None) };
    within(s, table, &entry.key, txn, entry.seq.max(from_seq), entry.seq + entry.span)
}

/// What the transaction still says of a row.
pub fn of_row<'s>(
    s: &'s Session,
    table: &Rc<Table>,
    key: &Key,
    txn: Txn,
) -> Result<Option<RowChange<'s>>> {
    within(s, Rc::clone(table), key, txn, 0, u64::MAX)
}

/// What the transaction still says of a row, from place `lo` to below `hi`.
fn within<'s>(
    s: &'s Session,
    table: Rc<Table>,
    key: &Key,
    txn: Txn,
    lo: u64,
    hi: u64,
) -> Result<Option<RowChange<'s>>> {
    let Some((clock, row)) = read_row(s, &table, key)? else { return Ok(None) };
    let mut cells = Vec::new();
    let mut stamped = false;
    if clock.alive() {
        for (at, col) in table.cols.iter().enumerate() {
            let Some(cell) = clock.cell(col.id) else { continue };
            stamped = true;
            if cell.dot.txn == txn && (lo..hi).contains(&cell.dot.seq) {
                if cells.is_empty() {
                    cells.reserve(table.cols.len() - at);
                }
                cells.push(FeedCell { seq: cell.dot.seq, at, stamp: cell.stamp });
            }
        }
        if !cells.is_sorted_by_key(|c| c.seq) {
            cells.sort_by_key(|c| c.seq);
        }
    }
    let sentinel = sentinel(&clock, stamped).filter(|d| d.txn == txn && (lo..hi).contains(&d.seq));
    // A row that is gone without our knowing is told by crsql_check(), not by the feed.
    let gone = !cells.is_empty() && row.values.is_none();
    // Nor a row that was brought to the cap by somebody else's numbers and then written here: it
    // lives on here, but nobody would take it.
    if gone || clock.cl > MAX_CL || (cells.is_empty() && sentinel.is_none()) {
        return Ok(None);
    }
    let sentinel = sentinel.map(|d| d.seq);
    Ok(Some(RowChange { table, key: key.clone(), cl: clock.cl, sentinel, cells, row }))
}

/// A row says its causal length by itself when it is not 1, or when no cell says it.
fn sentinel(clock: &RowClock, stamped: bool) -> Option<crate::words::dot::Dot> {
    if clock.cl > 1 {
        clock.life
    } else if stamped {
        None
    } else {
        clock.life_dot()
    }
}
