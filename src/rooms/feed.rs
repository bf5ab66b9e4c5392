//! The feed: what is left of a transaction. Reads the log's list of rows, asks each row's clock
//! which of its cells still come from the transaction, and fetches their values. Changes that are
//! held here are part of their transaction like any other.

use std::collections::VecDeque;
use std::rc::Rc;

use super::log::{self, Record, UNSORTED};
use super::session::Session;
use super::{held, parts, rows};
use crate::ground::Stmt;
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

/// Values by the column's id.
type Bases = Vec<(u32, Value)>;

/// What one transaction still says of one row.
pub struct RowChange<'a> {
    /// The table.
    pub table: &'a Rc<Table>,
    /// The row.
    pub key: &'a Key,
    /// Its causal length.
    pub cl: u64,
    /// The place of the sentinel, where the transaction set the causal length and says so.
    pub sentinel: Option<u64>,
    /// The cells, by place.
    pub cells: &'a [FeedCell],
    row: Row<'a>,
    /// The bases of columns that show more than that.
    bases: &'a [(u32, Value)],
}

/// A row as it was read: the statement that has its columns, None where the row is not there, and
/// the position of the first of them.
#[derive(Clone, Copy)]
struct Row<'a>(Option<&'a Stmt>, i32);

impl RowChange<'_> {
    /// The value of a cell.
    pub fn value(&self, cell: &FeedCell) -> ValueRef<'_> {
        let Row(row, first) = self.row;
        if !self.bases.is_empty() {
            let id = self.table.cols.get(cell.at).map(|c| c.id);
            let base = self.bases.iter().find(|(col, _)| Some(*col) == id);
            if let Some((_, base)) = base {
                return base.as_ref();
            }
        }
        row.map_or(ValueRef::Null, |r| r.value(first + cell.at as i32))
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
pub enum Item<'a> {
    /// A row of a replicated table.
    Row(RowChange<'a>),
    /// A held change, and the stamp of its transaction as it came.
    Held(&'a HeldChange, u64),
}

impl Item<'_> {
    /// Its first place.
    pub fn place(&self) -> u64 {
        match self {
            Item::Row(row) => {
                let first = row.cells.first().map_or(u64::MAX, |c| c.seq);
                row.sentinel.map_or(first, |seq| seq.min(first))
            }
            Item::Held(h, _) => h.seq,
        }
    }
}

/// Takes items; false where it does not take the one it is shown.
pub type Sink<'f> = dyn FnMut(Item<'_>) -> Result<bool> + 'f;

/// Reads what is left of one transaction, in the order of places. Between two calls it holds no
/// statement open.
pub struct TxnReader {
    /// The transaction.
    pub txn: Txn,
    /// Its record.
    pub record: Record,
    entries: VecDeque<Entry>,
    next_part: Option<u64>,
    held: VecDeque<(HeldChange, u64)>,
    /// Places before this one were told to the asker already.
    from_seq: u64,
    /// Rows that were shown, and up to where, while entries still come that begin before that.
    told: Vec<(u32, Key, u64)>,
    cells: Vec<FeedCell>,
}

/// So many parts of a sorted list are read at once.
const PARTS_AT_ONCE: usize = 16;

/// From so many rows on, neighbours are read with one statement.
const RUN_MIN: usize = 4;

impl TxnReader {
    /// Opens a transaction at a place. None where the file has no record of it.
    pub fn open(s: &Session, txn: Txn, from_seq: u64) -> Result<Option<Self>> {
        let Some(mut record) = log::record(s, txn)? else { return Ok(None) };
        let held = held::of_txn(s, txn)?;
        if record.stamp == 0 {
            // What waits for its clock is not believed by the record, and has to wait at the next.
            record.stamp = held.iter().map(|(_, stamp)| *stamp).max().unwrap_or(0);
        }
        let mut reader = Self {
            txn,
            record,
            entries: VecDeque::new(),
            next_part: Some(0),
            held: held.into(),
            from_seq,
            told: Vec::new(),
            cells: Vec::new(),
        };
        if reader.record.flags & UNSORTED != 0 {
            let (mut entries, _) = log::rows(s, txn, 0, usize::MAX)?;
            entries.sort_by_key(|e| e.seq);
            reader.take(entries);
            reader.next_part = None;
        }
        reader.held.retain(|(h, _)| h.seq >= from_seq);
        Ok(Some(reader))
    }

    /// Shows the next items, looking at `rows` rows at least; ends early where the sink takes one
    /// no more, which is then the next. False at the end of the transaction.
    pub fn read(&mut self, s: &Session, rows: usize, sink: &mut Sink<'_>) -> Result<bool> {
        let mut left = rows;
        while left > 0 {
            if self.entries.is_empty() && self.next_part.is_some() {
                self.read_on(s)?;
                continue;
            }
            let next = self.entries.front().map_or(u64::MAX, |e| e.seq);
            if let Some((held, stamp)) = self.held.front().filter(|(h, _)| h.seq < next) {
                if !sink(Item::Held(held, *stamp))? {
                    return Ok(true);
                }
                self.held.pop_front();
                continue;
            }
            let Some(entry) = self.entries.front() else { return Ok(false) };
            let Some(table) = s.find_table(entry.tid)? else {
                self.entries.pop_front();
                continue;
            };
            let run = self.run(&table, left);
            left -= run;
            let taken = match run {
                1 => self.row(s, &table, sink)?,
                _ => self.neighbours(s, &table, run, sink)?,
            };
            if !taken {
                return Ok(true);
            }
        }
        Ok(true)
    }

    fn read_on(&mut self, s: &Session) -> Result<()> {
        if let Some(part) = self.next_part {
            let (entries, next) = log::rows(s, self.txn, part, PARTS_AT_ONCE)?;
            self.take(entries);
            self.next_part = next;
        }
        Ok(())
    }

    /// Takes what the list has next, but for what was told before: a transaction in many parts is
    /// not read anew for each of them.
    fn take(&mut self, mut entries: Vec<Entry>) {
        entries.retain(|e| e.seq + e.span > self.from_seq);
        self.entries = entries.into();
    }

    /// How many of the next entries, `most` at most, are rows whose keys follow each other: 1, or
    /// as many as are worth a statement of their own.
    fn run(&self, table: &Table, most: usize) -> usize {
        let held = self.held.front().map_or(u64::MAX, |(h, _)| h.seq);
        let Some(Entry { tid, key: Key::Int(first), .. }) = self.entries.front() else { return 1 };
        let follows = |(at, e): &(usize, &Entry)| {
            e.tid == *tid && e.seq < held && e.key == Key::Int(first.wrapping_add(*at as i64))
        };
        let ahead = self.entries.iter().take(most).enumerate().take_while(follows);
        let joined = table.cols.len() <= rows::JOINED_MAX && !table.typed;
        let run = if joined { ahead.count() } else { 1 };
        if run < RUN_MIN || first.checked_add(run as i64).is_none() { 1 } else { run }
    }

    /// Shows the first entry's row; false where it was not taken.
    fn row(&mut self, s: &Session, table: &Rc<Table>, sink: &mut Sink<'_>) -> Result<bool> {
        let Some(entry) = self.entries.pop_front() else { return Ok(true) };
        let taken = read_row(s, table, &entry.key, |clock, row| {
            self.show(s, table, &entry, clock, row, sink)
        })?;
        if taken == Some(false) {
            self.entries.push_front(entry);
        }
        Ok(taken != Some(false))
    }

    /// The same for the first entries, whose keys follow each other.
    fn neighbours(
        &mut self,
        s: &Session,
        table: &Rc<Table>,
        run: usize,
        sink: &mut Sink<'_>,
    ) -> Result<bool> {
        let Some(Entry { key: Key::Int(first), .. }) = self.entries.front() else {
            return Ok(true);
        };
        let (mut key, last) = (*first, first.saturating_add(run as i64 - 1));
        let mut stmt = rows::read_neighbours(s, table, key, last)?;
        loop {
            let there = if stmt.step()? { Some(stmt.int(rows::KEY)) } else { None };
            // Rows without a clock are passed over.
            while there.map_or(key <= last, |k| key < k) {
                self.entries.pop_front();
                key += 1;
            }
            if there.is_none() {
                return Ok(true);
            }
            let Some(entry) = self.entries.pop_front() else { return Ok(true) };
            let clock = RowClock::decode(stmt.blob(0))?;
            let row = if stmt.int(1) == 0 { Some(&*stmt) } else { None };
            if !self.show(s, table, &entry, &clock, Row(row, rows::KEY + 1), sink)? {
                self.entries.push_front(entry);
                return Ok(false);
            }
            key += 1;
        }
    }

    /// Shows what the transaction still says of an entry's row, if anything.
    fn show(
        &mut self,
        s: &Session,
        table: &Rc<Table>,
        entry: &Entry,
        clock: &RowClock,
        row: Row<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<bool> {
        // Places are given once, but a peer may say otherwise: entries of one row that overlap are
        // shown once, and different rows do not hide each other.
        let told = self.told.iter().filter(|(tid, key, _)| *tid == entry.tid && *key == entry.key);
        let told = told.map(|(_, _, upto)| *upto).max().unwrap_or(0);
        let (lo, hi) = (entry.seq.max(self.from_seq).max(told), entry.seq + entry.span);
        let left = within(table, clock, row, self.txn, (lo, hi), &mut self.cells);
        let (parts, bases) = parts_within(s, table, &entry.key, clock, (self.txn, lo, hi))?;
        if left.is_none() && parts.is_empty() {
            return Ok(true);
        }
        let (key, cells, cl) = (&entry.key, self.cells.as_slice(), clock.cl);
        let bases = bases.as_slice();
        let taken = match left {
            Some(sentinel) => {
                sink(Item::Row(RowChange { table, key, cl, sentinel, cells, row, bases }))?
            }
            None => true,
        };
        if taken {
            for part in parts {
                let at = self.held.partition_point(|(h, _)| h.seq < part.seq);
                self.held.insert(at, (part, 0));
            }
            self.told.retain(|(_, _, upto)| *upto > entry.seq);
            if self.entries.front().map_or(self.next_part.is_some(), |next| next.seq < hi) {
                self.told.push((entry.tid, entry.key.clone(), hi));
            }
        }
        Ok(taken)
    }
}

/// Reads a row and its clock; None where it has no clock. One statement, or two where a table has
/// so many columns that SQLite takes no more.
fn read_row<T>(
    s: &Session,
    t: &Table,
    key: &Key,
    then: impl FnOnce(&RowClock, Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    if t.cols.len() > rows::JOINED_MAX {
        let Some(clock) = log::clock_of(s, t.tid, key.borrow())? else { return Ok(None) };
        let values = rows::read(s, t, key)?;
        return then(&clock, Row(values.as_deref(), 0)).map(Some);
    }
    let Some(row) = rows::read_with_clock(s, t, key)? else { return Ok(None) };
    let clock = RowClock::decode(row.blob(0))?;
    let values = if row.int(1) == 0 { Some(&*row) } else { None };
    then(&clock, Row(values, rows::FIRST)).map(Some)
}

/// Shows what the transaction still says of a row.
pub fn of_row(
    s: &Session,
    table: &Rc<Table>,
    key: &Key,
    txn: Txn,
    then: impl FnOnce(RowChange<'_>) -> Result<()>,
) -> Result<()> {
    read_row(s, table, key, |clock, row| {
        let mut cells = Vec::new();
        let Some(sentinel) = within(table, clock, row, txn, (0, u64::MAX), &mut cells) else {
            return Ok(());
        };
        let (_, bases) = parts_within(s, table, key, clock, (txn, 0, 0))?;
        let (cells, bases) = (cells.as_slice(), bases.as_slice());
        then(RowChange { table, key, cl: clock.cl, sentinel, cells, row, bases })
    })
    .map(|_| ())
}

/// What the transaction still says of the parts of a row, from one place to below another; and the
/// bases of the columns that have parts.
fn parts_within(
    s: &Session,
    table: &Table,
    key: &Key,
    clock: &RowClock,
    (txn, lo, hi): (Txn, u64, u64),
) -> Result<(Vec<HeldChange>, Bases)> {
    let mut out = Vec::new();
    if !table.typed {
        return Ok((out, Bases::new()));
    }
    let all = parts::of_row(s, table, key.borrow())?;
    for part in all.parts {
        if part.dot.txn == txn && (lo..hi).contains(&part.dot.seq) {
            out.extend(parts::as_change(table, key, clock.cl, part)?);
        }
    }
    Ok((out, all.bases))
}

/// What the transaction still says of a row, from one place to below another: the sentinel's place,
/// and the cells. None where that is nothing.
fn within(
    table: &Table,
    clock: &RowClock,
    row: Row<'_>,
    txn: Txn,
    (lo, hi): (u64, u64),
    cells: &mut Vec<FeedCell>,
) -> Option<Option<u64>> {
    cells.clear();
    if clock.alive() {
        for (at, col) in table.cols.iter().enumerate() {
            let Some(cell) = clock.cell(col.id) else { continue };
            if cell.dot.txn == txn && (lo..hi).contains(&cell.dot.seq) {
                cells.push(FeedCell { seq: cell.dot.seq, at, stamp: cell.stamp });
            }
        }
        if !cells.is_sorted_by_key(|c| c.seq) {
            cells.sort_by_key(|c| c.seq);
        }
    }
    let sentinel = clock.life.filter(|d| d.txn == txn && (lo..hi).contains(&d.seq));
    // A row that is gone without our knowing is told by crsql_check(), not by the feed.
    let gone = !cells.is_empty() && row.0.is_none();
    // Nor a row that was brought to the cap by somebody else's numbers and then written here: it
    // lives on here, but nobody would take it.
    if gone || clock.cl > MAX_CL || (cells.is_empty() && sentinel.is_none()) {
        return None;
    }
    Some(sentinel.map(|d| d.seq))
}
