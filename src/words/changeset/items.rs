//! Reading the items of a transaction. This is the path of every row that arrives: it allocates
//! nothing for a row with an integer or UUID key.

use std::sync::Arc;

use super::fields::{number, plus, text};
use super::head;
use super::read::named;
use super::types::{CellIn, HeldItem, ItemHead, KeyRef, TableInfo};
use crate::words::dot::{MAX_CL, MAX_COUNT};
use crate::words::error::{Error, Result};
use crate::words::key::{self, KeyKind};
use crate::words::pack;
use crate::words::wire::Reader;

/// As much of a table as is needed for reading its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    kind: KeyKind,
    keys: usize,
    columns: usize,
}

impl Shape {
    pub(super) fn of(table: &TableInfo) -> Self {
        Self { kind: table.kind, keys: table.keys.len(), columns: table.columns.len() }
    }
}

/// A walk over a transaction's items.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    r: Reader<'a>,
    shapes: Arc<[Shape]>,
    /// The stamp of the transaction.
    stamp: u64,
    /// The place after the last one of the item before.
    end: u64,
    /// The table of the row before, and its shape.
    table: Option<(usize, Shape)>,
    /// The integer key of the row before.
    int: i64,
    /// Room for looking closer at columns and keys.
    columns: Vec<usize>,
    key: Vec<u8>,
}

#[cold]
fn not_canonical() -> Error {
    Error::rejected("an item is not written in its one form")
}

#[cold]
fn bad_head(bits: u8) -> Error {
    Error::rejected(format!("an item begins with the unknown byte {bits:#04x}"))
}

/// REJECTED unless it is a causal length.
#[inline]
pub(super) fn causal_length(cl: u64) -> Result<u64> {
    if (1..=MAX_CL).contains(&cl) {
        return Ok(cl);
    }
    Err(Error::rejected(format!("a causal length is {cl}; it lies between 1 and {MAX_CL}")))
}

impl<'a> Items<'a> {
    pub(super) fn new(bytes: &'a [u8], stamp: u64, shapes: Arc<[Shape]>) -> Self {
        let r = Reader::new(bytes);
        let (columns, key) = (Vec::new(), Vec::new());
        Self { r, shapes, stamp, end: 0, table: None, int: 0, columns, key }
    }

    /// The table of the last row.
    pub(super) fn table(&self) -> Option<usize> {
        self.table.map(|(table, _)| table)
    }

    /// The next item; a row's cells, by place, replace what is in `cells`. REJECTED when the item
    /// is not in its one form; the walk is over then.
    pub fn next(&mut self, cells: &mut Vec<CellIn<'a>>) -> Result<Option<ItemHead<'a>>> {
        cells.clear();
        if self.r.is_empty() {
            return Ok(None);
        }
        let item = self.item(cells);
        if item.is_err() {
            self.r = Reader::new(&[]);
        }
        item.map(Some).map_err(named)
    }

    fn item(&mut self, cells: &mut Vec<CellIn<'a>>) -> Result<ItemHead<'a>> {
        let bits = self.r.u8()?;
        if bits & !head::ALL != 0 || bits & head::KIND == head::KIND {
            return Err(bad_head(bits));
        }
        if bits & head::KIND == head::HELD {
            if bits & !(head::KIND | head::GAP) != 0 {
                return Err(bad_head(bits));
            }
            let seq = self.first(bits)?;
            return self.held(seq).map(ItemHead::Held);
        }
        let (table, shape) = self.table_of(bits)?;
        let cl = if bits & head::CL != 0 { self.long_cl()? } else { 1 };
        let first = self.first(bits)?;
        let key = self.key(shape)?;
        let mut sentinel = (bits & head::SENTINEL != 0).then_some(first);
        let last = if cl.is_multiple_of(2) {
            // Dead: nothing but the sentinel.
            if sentinel.is_none() || bits & head::KIND != head::SPARSE {
                return Err(Error::rejected("a dead row has cells, or nothing that says so"));
            }
            first
        } else if bits & head::KIND == head::DENSE {
            self.dense(shape, first + u64::from(sentinel.is_some()), cells)?
        } else {
            self.sparse(shape, first, &mut sentinel, cells)?
        };
        self.end = last + 1;
        Ok(ItemHead::Row { table, key, cl, sentinel })
    }

    #[inline]
    fn table_of(&mut self, bits: u8) -> Result<(usize, Shape)> {
        if bits & head::TABLE == 0 {
            let same = self.table.ok_or_else(|| Error::rejected("a first row names no table"));
            return same;
        }
        let table = usize::try_from(self.r.varint()?).unwrap_or(usize::MAX);
        if self.table() == Some(table) {
            return Err(not_canonical());
        }
        let shape = self.shapes.get(table).copied().ok_or_else(|| {
            Error::rejected(format!("table {table} is named, and there are {}", self.shapes.len()))
        })?;
        self.table = Some((table, shape));
        self.int = 0;
        Ok((table, shape))
    }

    fn long_cl(&mut self) -> Result<u64> {
        match self.r.varint()? {
            1 => Err(not_canonical()),
            cl => causal_length(cl),
        }
    }

    /// The first place of the item.
    #[inline]
    fn first(&mut self, bits: u8) -> Result<u64> {
        if bits & head::GAP == 0 {
            return plus(self.end, 0);
        }
        let gap = self.r.signed()?;
        if gap == 0 {
            return Err(not_canonical());
        }
        let first = self.end.checked_add_signed(gap).filter(|first| *first <= MAX_COUNT);
        first.ok_or_else(|| Error::rejected(format!("a place is below 0 or above {MAX_COUNT}")))
    }

    #[inline]
    fn key(&mut self, shape: Shape) -> Result<KeyRef<'a>> {
        if shape.kind == KeyKind::Int {
            self.int = self.int.wrapping_add(self.r.signed()?);
            return Ok(KeyRef::Int(self.int));
        }
        let bytes = self.r.len_bytes()?;
        // The form of UUIDs: any 16 bytes are one.
        if bytes.len() == 17 && bytes.first() == Some(&0) && shape.keys == 1 {
            return Ok(KeyRef::Packed(bytes));
        }
        let values = pack::unpack(bytes)?;
        if values.len() != shape.keys {
            return Err(Error::rejected(format!(
                "a key has {} columns, its table's {}",
                values.len(),
                shape.keys
            )));
        }
        self.key.clear();
        key::store(KeyKind::Packed, &values, &mut self.key)?;
        if self.key == bytes { Ok(KeyRef::Packed(bytes)) } else { Err(not_canonical()) }
    }

    /// Reads a value for every column, and gives the last place.
    #[inline]
    fn dense(&mut self, shape: Shape, first: u64, cells: &mut Vec<CellIn<'a>>) -> Result<u64> {
        let last = plus(first, (shape.columns as u64).saturating_sub(1))?;
        if shape.columns == 0 {
            return Err(not_canonical());
        }
        cells.reserve(shape.columns.min(self.r.remaining()));
        for (column, seq) in (first..=last).enumerate() {
            cells.push(CellIn { column, seq, stamp: None, val: self.r.value()? });
        }
        Ok(last)
    }

    /// Reads cells one by one, and gives the last place. The sentinel may be among them.
    fn sparse(
        &mut self,
        shape: Shape,
        first: u64,
        sentinel: &mut Option<u64>,
        cells: &mut Vec<CellIn<'a>>,
    ) -> Result<u64> {
        let leading = sentinel.is_some();
        let n = self.r.count(2)?;
        if n == 0 && !leading {
            return Err(Error::rejected("a row has neither a cell nor a sentinel"));
        }
        let (mut place, mut rises) = (first, true);
        // As long as the columns count up from 0, at places that count up, it could be dense.
        let mut dense = n == shape.columns && n > 0;
        let mut before: Option<usize> = None;
        for at in 0..n {
            let code = self.r.varint()?;
            let column = usize::try_from(code >> 1).unwrap_or(usize::MAX);
            let own = code & 1 != 0;
            let step = if at > 0 || leading { self.r.varint()? } else { 1 };
            if step == 0 && before.is_some_and(|before| column <= before) {
                return Err(not_canonical());
            }
            if at > 0 || leading {
                place = plus(place, step)?;
            }
            rises &= before.is_none_or(|before| before < column);
            before = Some(column);
            dense &= column == at && step == 1 && !own;
            if column < shape.columns {
                let stamp = if own { Some(self.own_stamp()?) } else { None };
                cells.push(CellIn { column, seq: place, stamp, val: self.r.value()? });
            } else if column == shape.columns && !own && sentinel.is_none() && place > first {
                *sentinel = Some(place);
            } else {
                return Err(Error::rejected("a row has a cell of a column that is not there"));
            }
        }
        if dense || !(rises || self.distinct(cells)) {
            return Err(not_canonical());
        }
        Ok(place)
    }

    /// A stamp of a cell's own, which is another than the transaction's.
    fn own_stamp(&mut self) -> Result<u64> {
        let stamp = number(&mut self.r)?;
        if stamp == self.stamp { Err(not_canonical()) } else { Ok(stamp) }
    }

    /// True when no column comes twice.
    fn distinct(&mut self, cells: &[CellIn<'_>]) -> bool {
        self.columns.clear();
        self.columns.extend(cells.iter().map(|cell| cell.column));
        self.columns.sort_unstable();
        self.columns.is_sorted_by(|a, b| a < b)
    }

    fn held(&mut self, seq: u64) -> Result<HeldItem<'a>> {
        let r = &mut self.r;
        let held = HeldItem {
            table: text(r)?,
            pk: r.len_bytes()?,
            cid: text(r)?,
            val: r.value()?,
            col_version: r.varint()?,
            cl: causal_length(r.varint()?)?,
            seq,
        };
        check_held(&held)?;
        self.end = seq + 1;
        Ok(held)
    }
}

/// REJECTED unless the numbers and the key of a held change can be.
pub(super) fn check_held(held: &HeldItem<'_>) -> Result<()> {
    if i64::try_from(held.col_version).is_err() {
        return Err(Error::rejected("the version of a held cell does not fit into 63 bits"));
    }
    causal_length(held.cl)?;
    plus(held.seq, 0)?;
    pack::unpack(held.pk).map(|_| ())
}
