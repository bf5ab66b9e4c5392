//! The clock record of one row: its causal length and where each of its cells was written.
//!
//! ```text
//! flags   u8      1 CL   a causal length follows (else it is 1)
//!                 2 LIFE the dot that set the causal length follows
//!                 4 BASE a base follows
//!                 8 SITE the base names its site (else it is site 0)
//!                16 OVER overrides follow, up to the end
//!                the other bits are spare and 0
//! CL      varint  causal length: odd alive, even dead
//! LIFE    varint site, varint version, varint seq
//! BASE    [varint site], varint version, varint seq0, varint n
//! OVER    one or more of: varint (column id * 2 + explicit), varint site, varint version,
//!                 varint seq, [varint stamp when explicit]; column ids ascend
//! ```
//!
//! The base is the row's stamp: column ids 0 to n-1 were written by that transaction, column id
//! i at place seq0 + i. An override is a cell written elsewhere. A cell without either has no
//! stamp: it holds its default and is not in the feed. A stamp is explicit where it is not the
//! one in the transaction's record, as in rows made by hand.
//!
//! A row of life 1 that stores no LIFE is told by its cells.

use super::dot::{Dot, MAX_COUNT, Txn};
use super::error::{Error, Result};
use super::wire::{Reader, put_at, put_varint};

const CL: u8 = 1;
const LIFE: u8 = 2;
const BASE: u8 = 4;
const SITE: u8 = 8;
const OVER: u8 = 16;

/// The stamp of a whole row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// The transaction that wrote the row.
    pub txn: Txn,
    /// The place of column id 0.
    pub seq0: u64,
    /// How many column ids it covers.
    pub n: u32,
}

/// Where one cell was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The column's id.
    pub col: u32,
    /// The write.
    pub dot: Dot,
    /// The write's stamp, where it is not that of its transaction's record.
    pub stamp: Option<u64>,
}

/// A row's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowClock {
    /// The causal length: odd alive, even dead.
    pub cl: u64,
    /// The greatest of the sentinels that set the causal length, where there was one.
    pub life: Option<Dot>,
    /// The row's stamp.
    pub base: Option<Base>,
    /// The cells written elsewhere, by column id.
    pub over: Vec<Cell>,
}

impl RowClock {
    /// The clock of a dead row.
    pub fn dead(cl: u64, life: Dot) -> Self {
        Self { cl, life: Some(life), base: None, over: Vec::new() }
    }

    /// Whether the row lives.
    pub fn alive(&self) -> bool {
        self.cl % 2 == 1
    }

    /// Where the cell was written, or None where it never was.
    pub fn cell(&self, col: u32) -> Option<Cell> {
        if let Ok(i) = self.over.binary_search_by_key(&col, |c| c.col) {
            return self.over.get(i).copied();
        }
        let base = self.base.filter(|b| col < b.n)?;
        let dot = Dot { txn: base.txn, seq: base.seq0 + u64::from(col) };
        Some(Cell { col, dot, stamp: None })
    }

    /// Records a later write of a cell. One that carries the base on becomes part of it: so grows
    /// the clock of a row that arrives cell by cell.
    pub fn set(&mut self, cell: Cell) {
        if let Some(base) = &mut self.base
            && cell.col == base.n
            && cell.stamp.is_none()
            && cell.dot.txn == base.txn
            && cell.dot.seq == base.seq0 + u64::from(cell.col)
            && self.over.first().is_none_or(|c| c.col > cell.col)
        {
            base.n += 1;
            return;
        }
        match self.over.binary_search_by_key(&cell.col, |c| c.col) {
            Ok(i) => put_at(&mut self.over, i, cell),
            Err(i) => self.over.insert(i, cell),
        }
    }

    /// Gathers as many of the row's cells into the base as fit it. `columns` are the ids of the
    /// table's columns, ascending; for a row all of whose cells come from one transaction.
    pub fn settle(&mut self, columns: &[u32]) {
        let Some(first) = columns.first().and_then(|id| self.cell(*id)) else { return };
        let Some(seq0) = first.dot.seq.checked_sub(u64::from(first.col)) else { return };
        let txn = first.dot.txn;
        let fits = |c: &Cell| {
            c.stamp.is_none() && c.dot.txn == txn && c.dot.seq == seq0 + u64::from(c.col)
        };
        let run = columns.iter().take_while(|id| self.cell(**id).is_some_and(|c| fits(&c)));
        let n = run.last().map_or(0, |id| id + 1);
        if n == 0 || (self.base.is_some() && self.over.is_empty()) {
            return;
        }
        let rest: Vec<Cell> =
            columns.iter().filter(|id| **id >= n).filter_map(|id| self.cell(*id)).collect();
        self.base = Some(Base { txn, seq0, n });
        self.over = rest;
    }

    /// The record's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let site = self.base.map_or(0, |b| b.txn.site);
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        out.push(
            flag(self.cl != 1, CL)
                | flag(self.life.is_some(), LIFE)
                | flag(self.base.is_some(), BASE)
                | flag(site != 0, SITE)
                | flag(!self.over.is_empty(), OVER),
        );
        if self.cl != 1 {
            put_varint(out, self.cl);
        }
        if let Some(life) = self.life {
            put_dot(out, life);
        }
        if let Some(base) = self.base {
            if site != 0 {
                put_varint(out, u64::from(site));
            }
            put_varint(out, base.txn.version);
            put_varint(out, base.seq0);
            put_varint(out, u64::from(base.n));
        }
        for cell in &self.over {
            put_varint(out, u64::from(cell.col) * 2 + u64::from(cell.stamp.is_some()));
            put_dot(out, cell.dot);
            if let Some(stamp) = cell.stamp {
                put_varint(out, stamp);
            }
        }
    }

    /// Reads a record. Anything that `encode` cannot have written is CORRUPT.
    pub fn decode(bytes: &[u8]) -> Result<RowClock> {
        decode(bytes).map_err(|e| Error::corrupt(format!("a row's clock is damaged: {}", e.text)))
    }
}

fn put_dot(out: &mut Vec<u8>, dot: Dot) {
    put_varint(out, u64::from(dot.txn.site));
    put_varint(out, dot.txn.version);
    put_varint(out, dot.seq);
}

fn read_count(r: &mut Reader<'_>, what: &str, max: u64) -> Result<u64> {
    let n = r.varint()?;
    if n > max {
        return Err(Error::rejected(format!("its {what} is {n}, more than {max}")));
    }
    Ok(n)
}

fn read_u32(r: &mut Reader<'_>, what: &str) -> Result<u32> {
    let n = read_count(r, what, u64::from(u32::MAX))?;
    u32::try_from(n).map_err(|_| Error::rejected(format!("its {what} is too large")))
}

fn read_dot(r: &mut Reader<'_>) -> Result<Dot> {
    let site = read_u32(r, "site")?;
    let version = read_count(r, "version", MAX_COUNT)?;
    Ok(Dot::new(site, version, read_count(r, "place", MAX_COUNT)?))
}

fn decode(bytes: &[u8]) -> Result<RowClock> {
    let mut r = Reader::new(bytes);
    let flags = r.u8()?;
    if flags & !(CL | LIFE | BASE | SITE | OVER) != 0 || flags & (SITE | BASE) == SITE {
        return Err(Error::rejected(format!("its flags are {flags}")));
    }
    let cl = if flags & CL != 0 { read_count(&mut r, "causal length", MAX_COUNT)? } else { 1 };
    if cl == 1 && flags & CL != 0 {
        return Err(Error::rejected("its causal length is 1 and needs no saying"));
    }
    let life = if flags & LIFE != 0 { Some(read_dot(&mut r)?) } else { None };
    let base = if flags & BASE != 0 {
        let site = if flags & SITE != 0 { read_u32(&mut r, "site")? } else { 0 };
        if site == 0 && flags & SITE != 0 {
            return Err(Error::rejected("its site is 0 and needs no saying"));
        }
        let version = read_count(&mut r, "version", MAX_COUNT)?;
        let seq0 = read_count(&mut r, "place", MAX_COUNT)?;
        let n = read_u32(&mut r, "column count")?;
        Some(Base { txn: Txn { site, version }, seq0, n })
    } else {
        None
    };
    let mut over: Vec<Cell> = Vec::new();
    while !r.is_empty() {
        let head = r.varint()?;
        let col =
            u32::try_from(head / 2).map_err(|_| Error::rejected("its column is too large"))?;
        if over.last().is_some_and(|last| last.col >= col) || flags & OVER == 0 {
            return Err(Error::rejected("its overrides are out of order"));
        }
        let dot = read_dot(&mut r)?;
        let stamp =
            if head % 2 == 1 { Some(read_count(&mut r, "stamp", MAX_COUNT)?) } else { None };
        over.push(Cell { col, dot, stamp });
    }
    if over.is_empty() && flags & OVER != 0 {
        return Err(Error::rejected("its overrides are missing"));
    }
    Ok(RowClock { cl, life, base, over })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What is set is what is read, whichever form the clock has.
    #[test]
    fn a_cell_that_carries_the_base_on_joins_it() {
        let txn = Txn { site: 1, version: 7 };
        let base = Some(Base { txn, seq0: 4, n: 1 });
        let cell = |col: u32, seq: u64| Cell { col, dot: Dot { txn, seq }, stamp: None };
        let mut clock = RowClock { cl: 1, life: None, base, over: Vec::new() };
        for c in [cell(1, 5), cell(3, 7), cell(2, 6), cell(2, 9), cell(3, 8)] {
            let others: Vec<_> = (0..6).filter(|i| *i != c.col).map(|i| clock.cell(i)).collect();
            clock.set(c);
            assert_eq!(clock.cell(c.col), Some(c));
            let after: Vec<_> = (0..6).filter(|i| *i != c.col).map(|i| clock.cell(i)).collect();
            assert_eq!(others, after, "no other cell moves");
        }
        assert_eq!(clock.base.unwrap().n, 3);
    }

    /// The fuzzer found clocks that say what need not be said, or announce what does not come: they
    /// were read as sound, and no check of the file could tell that they had been damaged.
    #[test]
    fn h5_other_forms_of_a_clock_are_corrupt() {
        let cases: [(&str, &[u8]); 5] = [
            ("a causal length of 1", &[CL, 1]),
            ("site 0", &[BASE | SITE, 0, 15, 0, 1]),
            ("no overrides", &[BASE | OVER, 15, 0, 1]),
            ("a site without a base", &[SITE, 1]),
            ("a spare bit", &[32]),
        ];
        for (what, bytes) in cases {
            assert_eq!(RowClock::decode(bytes).unwrap_err().code, 11, "{what}");
        }
        for bytes in [&[0][..], &[CL, 3], &[BASE | SITE, 2, 15, 0, 1], &[OVER, 0, 1, 2, 3]] {
            let mut again = Vec::new();
            RowClock::decode(bytes).unwrap().encode(&mut again);
            assert_eq!(again, bytes);
        }
    }
}
