//! Gathering what a changeset says. Dictionaries are known only at the end, so heads of
//! transactions are kept as values, and items as bytes without the indices of tables.

use std::collections::BTreeMap;
use std::ops::Range;

use super::fields::counted;
use super::finish;
use super::read::check_head;
use super::row::{Row, Writer};
use super::tables;
use super::types::{Header, HeldItem, KeyRef, TableInfo, TxnHead};
use crate::words::error::{Error, Result};
use crate::words::key::KeyKind;
use crate::words::ranges::RangeSet;
use crate::words::value::ValueRef;

/// About what a transaction's head takes, and one site of its deps.
const HEAD_BYTES: usize = 20;
/// What a changeset takes that says nothing, about.
const FRAME_BYTES: usize = 96;

/// Gathers transactions and writes them as one changeset. Mistakes of the caller are kept and come
/// out of [`Builder::finish`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    pub(super) tables: Vec<Table>,
    by_key: BTreeMap<u32, usize>,
    pub(super) items: Writer,
    pub(super) txns: Vec<Written>,
    open: Option<Open>,
    size: usize,
    error: Option<Error>,
}

/// A table, and as much of it as rows need.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) info: TableInfo,
    kind: KeyKind,
    columns: usize,
}

/// A transaction that was ended.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) head: TxnHead,
    /// Its items.
    pub(super) bytes: Range<usize>,
    /// Their places for indices of tables.
    pub(super) patches: Range<usize>,
}

/// A transaction that was begun: its head, and where its items begin.
#[derive(Clone, Debug)]
struct Open {
    head: TxnHead,
    bytes: usize,
    patches: usize,
}

#[cold]
fn none_open() -> Error {
    Error::refused("an item was given outside of a transaction")
}

impl Builder {
    /// An empty changeset.
    pub fn new() -> Self {
        Self::default()
    }

    /// The index under which rows name a table; `key` is the caller's own number of it, and `info`
    /// is asked once for each. A table without rows is not written.
    pub fn table(&mut self, key: u32, info: impl FnOnce() -> TableInfo) -> usize {
        if let Some(at) = self.by_key.get(&key) {
            return *at;
        }
        let mut info = info();
        tables::settle(&mut info);
        let at = self.tables.len();
        self.by_key.insert(key, at);
        self.size += 16 + 16 * (info.keys.len() + info.columns.len());
        self.tables.push(Table { kind: info.kind, columns: info.columns.len(), info });
        at
    }

    /// Starts a transaction. Transactions may come in any order; each comes once.
    pub fn begin(&mut self, mut head: TxnHead) {
        if self.open.is_some() {
            self.fail(Error::refused("a transaction was begun inside another"));
        }
        if let Err(e) = settle(&mut head) {
            self.fail(e);
        }
        self.items.begin(head.stamp);
        let (bytes, patches) = (self.items.bytes.len(), self.items.patches.len());
        self.open = Some(Open { head, bytes, patches });
    }

    /// Adds what the open transaction wrote of one row. A cell is its column's index, its place,
    /// its stamp where that is not the transaction's, and its value. Rows in the order of their
    /// first places, and cells in that of theirs, take the fewest bytes and the least time.
    #[inline]
    pub fn row<'v>(
        &mut self,
        table: usize,
        key: KeyRef<'_>,
        cl: u64,
        sentinel: Option<u64>,
        cells: impl Iterator<Item = (usize, u64, Option<u64>, ValueRef<'v>)> + Clone,
    ) {
        let Some(Table { kind, columns, .. }) = self.tables.get(table) else {
            return self.fail(Error::refused("a row names a table that was not given"));
        };
        if self.open.is_none() {
            return self.fail(none_open());
        }
        let row = Row { table, kind: *kind, columns: *columns, key, cl, sentinel };
        if let Err(e) = self.items.row(&row, cells) {
            self.fail(e);
        }
    }

    /// Adds a change that is held here.
    pub fn held(&mut self, h: &HeldItem<'_>) {
        if self.open.is_none() {
            return self.fail(none_open());
        }
        if let Err(e) = self.items.held(h) {
            self.fail(e);
        }
    }

    /// Makes the open transaction a part of one: the places from `lo` to `hi`.
    pub fn cut(&mut self, lo: u64, hi: u64) {
        let last = self.open.as_ref().map_or(0, |open| open.head.last_seq);
        match &mut self.open {
            Some(open) if lo <= hi && hi <= last => open.head.part = Some((lo, hi)),
            _ => self.fail(Error::refused("a transaction was cut outside of its places")),
        }
    }

    /// Ends the open transaction, and gives the size so far.
    pub fn end(&mut self) -> usize {
        match self.open.take() {
            Some(Open { head, bytes, patches }) => {
                self.size += HEAD_BYTES * (1 + head.deps.len());
                self.txns.push(Written {
                    head,
                    bytes: bytes..self.items.bytes.len(),
                    patches: patches..self.items.patches.len(),
                });
            }
            None => self.fail(Error::refused("no transaction is open that could end")),
        }
        self.size()
    }

    /// Drops the open transaction.
    pub fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            self.items.bytes.truncate(open.bytes);
            self.items.patches.truncate(open.patches);
        }
    }

    /// About how many bytes the changeset will have, the open transaction included.
    pub fn size(&self) -> usize {
        FRAME_BYTES + self.size + self.items.bytes.len() + self.items.patches.len()
    }

    /// True while no transaction was ended.
    pub fn is_empty(&self) -> bool {
        self.txns.is_empty()
    }

    /// Writes the changeset. The header's `tables` are not looked at. REFUSED when something that
    /// was given cannot be written; the sentence is about the first such thing.
    pub fn finish(self, header: Header) -> Result<Vec<u8>> {
        if let Some(e) = self.error {
            return Err(e);
        }
        if self.open.is_some() {
            return Err(Error::refused("a transaction was begun and did not end"));
        }
        finish::finish(self, header)
    }

    /// Keeps the first mistake.
    #[cold]
    fn fail(&mut self, e: Error) {
        self.error.get_or_insert(e);
    }
}

/// Brings a head into the form in which it is written: deps by site, none empty.
fn settle(head: &mut TxnHead) -> Result<()> {
    if head.version == 0 {
        return Err(Error::refused("a version is 0; versions begin with 1"));
    }
    counted(head.version).and(counted(head.stamp)).and(counted(head.last_seq))?;
    check_head(head)?;
    if head.deps.is_empty() {
        return Ok(());
    }
    let mut deps: BTreeMap<_, RangeSet> = BTreeMap::new();
    for (site, ranges) in head.deps.drain(..).filter(|(_, ranges)| !ranges.is_empty()) {
        let all = deps.entry(site).or_default();
        *all = all.union(&ranges);
    }
    head.deps.extend(deps);
    Ok(())
}
