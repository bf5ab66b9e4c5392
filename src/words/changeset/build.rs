//! Writing a changeset.

use super::types::{Header, HeldItem, KeyRef, TableInfo, TxnHead};
use crate::words::error::{Error, Result};
use crate::words::value::ValueRef;

/// Gathers transactions and writes them as one changeset. Mistakes of the caller are kept and come
/// out of [`Builder::finish`].
#[derive(Debug, Default)]
pub struct Builder {}

impl Builder {
    /// An empty changeset.
    pub fn new() -> Self {
        Self::default()
    }

    /// The index under which rows name a table; `key` is the caller's own number of it, and `info`
    /// is asked once for each.
    pub fn table(&mut self, key: u32, info: impl FnOnce() -> TableInfo) -> usize {
        let _ = (key, info);
        0
    }

    /// Starts a transaction.
    pub fn begin(&mut self, head: TxnHead) {
        let _ = head;
    }

    /// Adds what the open transaction wrote of one row. Rows come in the order of their first
    /// places. A cell is its column's index, its place, its stamp where that is not the
    /// transaction's, and its value; cells come in the order of their places.
    pub fn row<'v>(
        &mut self,
        table: usize,
        key: KeyRef<'_>,
        cl: u64,
        sentinel: Option<u64>,
        cells: impl Iterator<Item = (usize, u64, Option<u64>, ValueRef<'v>)> + Clone,
    ) {
        let _ = (table, key, cl, sentinel, cells);
    }

    /// Adds a change that is held here.
    pub fn held(&mut self, h: &HeldItem<'_>) {
        let _ = h;
    }

    /// Ends the open transaction, and gives the size so far.
    pub fn end(&mut self) -> usize {
        0
    }

    /// Drops the open transaction.
    pub fn abandon(&mut self) {}

    /// About how many bytes the changeset will have.
    pub fn size(&self) -> usize {
        0
    }

    /// True while no transaction was ended.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Writes the changeset. The header's `tables` are not looked at.
    pub fn finish(self, header: Header) -> Result<Vec<u8>> {
        let _ = header;
        Err(Error::refused("not written yet"))
    }
}
