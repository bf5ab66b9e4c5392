//! Writing the items of a transaction. This is the path of every row that leaves.

use super::fields::{counted, put_text};
use super::head;
use super::items::{causal_length, check_held};
use super::types::{HeldItem, KeyRef};
use crate::words::error::{Error, Result};
use crate::words::key::KeyKind;
use crate::words::value::ValueRef;
use crate::words::wire::{put_at, put_bytes, put_signed, put_value, put_varint};

/// A cell as the caller gives it: column, place, own stamp, value.
pub(super) type Cell<'v> = (usize, u64, Option<u64>, ValueRef<'v>);

/// The row that cells belong to.
pub(super) struct Row<'k> {
    pub(super) table: usize,
    pub(super) kind: KeyKind,
    pub(super) columns: usize,
    pub(super) key: KeyRef<'k>,
    pub(super) cl: u64,
    pub(super) sentinel: Option<u64>,
}

/// The items of transactions, without the indices of tables: these are known only when all tables
/// are, so that the places where they belong are noted.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    /// Where in `bytes` the index of which table belongs, rising.
    pub(super) patches: Vec<(usize, usize)>,
    stamp: u64,
    end: u64,
    table: Option<usize>,
    int: i64,
}

/// How an attempt to write cells ended.
enum Written {
    /// The cells are written, and this is the last place.
    Upto(u64),
    /// Not in this form.
    No,
}

fn twice() -> Error {
    Error::refused("a row has a column twice, or one that its table does not have")
}

impl Writer {
    /// Starts a transaction.
    pub(super) fn begin(&mut self, stamp: u64) {
        (self.stamp, self.end, self.table, self.int) = (stamp, 0, None, 0);
    }

    /// Adds a row.
    #[inline]
    pub(super) fn row<'v>(
        &mut self,
        row: &Row<'_>,
        cells: impl Iterator<Item = Cell<'v>> + Clone,
    ) -> Result<()> {
        causal_length(row.cl)?;
        counted(row.sentinel.unwrap_or(0))?;
        let mut rest = cells.clone();
        let first = rest.next();
        if row.cl.is_multiple_of(2) {
            return self.dead(row, first.is_some());
        }
        let place = match (row.sentinel, first.map(|cell| cell.1)) {
            (Some(a), Some(b)) => a.min(b),
            (Some(a), None) | (None, Some(a)) => a,
            (None, None) => return Err(Error::refused("a row has neither a cell nor a sentinel")),
        };
        let leading = row.sentinel == Some(place);
        let (at, patches) = (self.bytes.len(), self.patches.len());
        let before = (self.table, self.int);
        let bits = self.front(row, place, leading)?;
        let body = self.bytes.len();
        if let Written::Upto(last) = self.dense(row, place + u64::from(leading), first, rest)? {
            self.end = last + 1;
            return Ok(());
        }
        self.bytes.truncate(body);
        self.put(at, bits | head::SPARSE);
        if let Written::Upto(last) = self.sparse(row, place, cells.clone())? {
            self.end = last + 1;
            return Ok(());
        }
        // Not by place: once more, in order.
        self.bytes.truncate(at);
        self.patches.truncate(patches);
        (self.table, self.int) = before;
        let mut sorted: Vec<Cell<'v>> = cells.collect();
        sorted.sort_by_key(|cell| (cell.1, cell.0));
        if sorted.iter().zip(sorted.iter().skip(1)).any(|(a, b)| (a.1, a.0) == (b.1, b.0)) {
            return Err(twice());
        }
        self.sorted(row, &sorted)
    }

    /// The same with cells that are known to be by place.
    fn sorted(&mut self, row: &Row<'_>, cells: &[Cell<'_>]) -> Result<()> {
        self.row(row, cells.iter().copied())
    }

    fn dead(&mut self, row: &Row<'_>, has_cells: bool) -> Result<()> {
        let Some(place) = row.sentinel.filter(|_| !has_cells) else {
            return Err(Error::refused("a dead row has cells, or nothing that says so"));
        };
        let at = self.bytes.len();
        let bits = self.front(row, place, true)?;
        self.put(at, bits | head::SPARSE);
        self.end = place + 1;
        Ok(())
    }

    /// Puts a byte where room for it was left.
    fn put(&mut self, at: usize, byte: u8) {
        put_at(&mut self.bytes, at, byte);
    }

    /// Writes what all rows begin with, as DENSE; gives their first byte.
    #[inline]
    fn front(&mut self, row: &Row<'_>, place: u64, leading: bool) -> Result<u8> {
        let at = self.bytes.len();
        let mut bits = if leading { head::DENSE | head::SENTINEL } else { head::DENSE };
        self.bytes.push(bits);
        if self.table != Some(row.table) {
            bits |= head::TABLE;
            self.patches.push((at + 1, row.table));
            (self.table, self.int) = (Some(row.table), 0);
        }
        if row.cl != 1 {
            bits |= head::CL;
            put_varint(&mut self.bytes, row.cl);
        }
        bits |= self.gap(place)?;
        match (row.kind, row.key) {
            (KeyKind::Int, KeyRef::Int(key)) => {
                put_signed(&mut self.bytes, key.wrapping_sub(self.int));
                self.int = key;
            }
            (KeyKind::Packed, KeyRef::Packed(key)) if !key.is_empty() => {
                put_bytes(&mut self.bytes, key);
            }
            _ => return Err(Error::refused("a row's key is not of its table's kind")),
        }
        self.put(at, bits);
        Ok(bits)
    }

    /// Writes the distance to the item's first place where there is one, and gives its bit.
    #[inline]
    fn gap(&mut self, place: u64) -> Result<u8> {
        if place == self.end {
            counted(place)?;
            return Ok(0);
        }
        put_signed(&mut self.bytes, counted(place)?.wrapping_sub(self.end).cast_signed());
        Ok(head::GAP)
    }

    /// Writes every column in turn, where that is what the cells are.
    #[inline]
    fn dense<'v>(
        &mut self,
        row: &Row<'_>,
        place: u64,
        first: Option<Cell<'v>>,
        mut rest: impl Iterator<Item = Cell<'v>>,
    ) -> Result<Written> {
        let (mut next, mut cell) = (0, first);
        while let Some((column, seq, own, val)) = cell {
            let own = own.filter(|stamp| *stamp != self.stamp);
            if column != next || seq != place + next as u64 || own.is_some() {
                return Ok(Written::No);
            }
            put_value(&mut self.bytes, val);
            next += 1;
            cell = rest.next();
        }
        // A sentinel among the cells would stand after the first, and is SPARSE's to tell.
        let sentinel_inside = row.sentinel.is_some_and(|sentinel| sentinel + 1 != place);
        if next != row.columns || next == 0 || sentinel_inside {
            return Ok(Written::No);
        }
        counted(place + next as u64 - 1).map(Written::Upto)
    }

    /// Writes cells one by one, where they are by place. A sentinel that does not lead is among
    /// them.
    fn sparse<'v>(
        &mut self,
        row: &Row<'_>,
        first: u64,
        cells: impl Iterator<Item = Cell<'v>> + Clone,
    ) -> Result<Written> {
        let at = self.bytes.len();
        self.bytes.push(0);
        let mut inside = row.sentinel.filter(|sentinel| *sentinel != first);
        let (mut count, mut before, mut rises) = (0, None, true);
        let mut place = (row.sentinel == Some(first)).then_some(first);
        for (column, seq, own, val) in cells.clone() {
            if column >= row.columns {
                return Err(twice());
            }
            if let Some(sentinel) = inside.filter(|sentinel| *sentinel < seq) {
                inside = None;
                self.sentinel(row, sentinel, place);
                (place, before, count) = (Some(sentinel), Some((sentinel, row.columns)), count + 1);
            }
            if seq < first || before.is_some_and(|before| before >= (seq, column)) {
                return Ok(Written::No);
            }
            rises &= before.is_none_or(|before| before.1 < column);
            before = Some((seq, column));
            let own = own.filter(|stamp| *stamp != self.stamp);
            put_varint(&mut self.bytes, (column as u64) << 1 | u64::from(own.is_some()));
            if let Some(place) = place {
                put_varint(&mut self.bytes, seq - place);
            }
            if let Some(own) = own {
                put_varint(&mut self.bytes, counted(own)?);
            }
            put_value(&mut self.bytes, val);
            (place, count) = (Some(seq), count + 1);
        }
        if let Some(sentinel) = inside {
            self.sentinel(row, sentinel, place);
            (place, count) = (Some(sentinel), count + 1);
        }
        if !rises {
            distinct(cells)?;
        }
        self.count(at, count);
        counted(place.unwrap_or(first)).map(Written::Upto)
    }

    fn sentinel(&mut self, row: &Row<'_>, sentinel: u64, before: Option<u64>) {
        put_varint(&mut self.bytes, (row.columns as u64) << 1);
        put_varint(&mut self.bytes, sentinel - before.unwrap_or(sentinel));
    }

    /// Puts a count where room for a small one was left.
    fn count(&mut self, at: usize, count: u64) {
        if count < 0x80 {
            return self.put(at, count as u8);
        }
        let mut bytes = Vec::new();
        put_varint(&mut bytes, count);
        self.bytes.splice(at..at + 1, bytes);
    }

    /// Adds a held change.
    pub(super) fn held(&mut self, held: &HeldItem<'_>) -> Result<()> {
        check_held(held)?;
        let at = self.bytes.len();
        self.bytes.push(head::HELD);
        let bits = head::HELD | self.gap(held.seq)?;
        self.put(at, bits);
        put_text(&mut self.bytes, held.table);
        put_bytes(&mut self.bytes, held.pk);
        put_text(&mut self.bytes, held.cid);
        put_value(&mut self.bytes, held.val);
        put_varint(&mut self.bytes, held.col_version);
        put_varint(&mut self.bytes, held.cl);
        self.end = held.seq + 1;
        Ok(())
    }
}

/// REFUSED when a column comes twice.
fn distinct<'v>(cells: impl Iterator<Item = Cell<'v>>) -> Result<()> {
    let mut columns: Vec<usize> = cells.map(|cell| cell.0).collect();
    columns.sort_unstable();
    if columns.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(twice()) }
}
