//! What a changeset is made of, as values: its header, its dictionary of tables, the heads of its
//! transactions and the items in them. How they lie in the bytes is told in `mod.rs`.

use std::collections::BTreeMap;

use crate::words::affinity::Affinity;
use crate::words::dot::SiteId;
use crate::words::key::KeyKind;
pub use crate::words::keylist::KeyRef;
use crate::words::ranges::RangeSet;
use crate::words::value::ValueRef;
use crate::words::vector::{Closed, Omit, Span};

/// Versions that were seen, per site: rising, not overlapping.
pub type Seen = BTreeMap<SiteId, Vec<Span>>;

/// What stands before the transactions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The site that made the changeset.
    pub sender: SiteId,
    /// The epoch of that site.
    pub epoch: u64,
    /// What the coverage is about; `*` is everything.
    pub scope: String,
    /// The sender's clock, as a stamp.
    pub now: u64,
    /// What the sender has seen.
    pub vector: Seen,
    /// Per site, the version up to which the sender pruned history.
    pub horizon: BTreeMap<SiteId, u64>,
    /// The sites that were forked, and what of them counts.
    pub closed: BTreeMap<SiteId, Closed>,
    /// Versions that the sender cannot give in full.
    pub omits: Vec<Omit>,
    /// The versions that this changeset covers.
    pub coverage: Seen,
    /// Delta or snapshot chunk.
    pub kind: Kind,
    /// The tables that the items are about, by name.
    pub tables: Vec<TableInfo>,
    /// A signature by whoever passes changesets on; its meaning is theirs.
    pub signature: Option<Vec<u8>>,
}

impl Default for Header {
    /// An empty delta of everything, by nobody.
    fn default() -> Self {
        Self {
            sender: [0; 16],
            epoch: 0,
            scope: "*".to_owned(),
            now: 0,
            vector: Seen::new(),
            horizon: BTreeMap::new(),
            closed: BTreeMap::new(),
            omits: Vec::new(),
            coverage: Seen::new(),
            kind: Kind::Delta,
            tables: Vec::new(),
            signature: None,
        }
    }
}

/// Which kind of changeset it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// What happened since the vector that it was asked with.
    Delta,
    /// One chunk of a snapshot, with the token that the next chunk is asked with.
    Snapshot(Vec<u8>),
}

/// A table as its sender knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// Names that it had before, sorted.
    pub former: Vec<String>,
    /// How its keys are written.
    pub kind: KeyKind,
    /// True for a STRICT table.
    pub strict: bool,
    /// The columns of its key, in the order of the key.
    pub keys: Vec<KeyInfo>,
    /// The other columns; cells name them by their index here.
    pub columns: Vec<ColumnInfo>,
}

/// A column of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Its affinity.
    pub affinity: Affinity,
    /// Its collation.
    pub collation: String,
}

/// A column that is not in the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Names that it had before, sorted.
    pub former: Vec<String>,
    /// Its affinity.
    pub affinity: Affinity,
    /// Its declared type.
    pub declared: String,
    /// True for NOT NULL.
    pub notnull: bool,
    /// The text of its default.
    pub default: Option<String>,
    /// How its values merge; `lww` unless something else was asked for.
    pub merge: String,
}

/// What a transaction says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TxnHead {
    /// The site that wrote it.
    pub site: SiteId,
    /// That site's number for it; 1 or more.
    pub version: u64,
    /// Its stamp.
    pub stamp: u64,
    /// The last place that was given in it.
    pub last_seq: u64,
    /// [`TxnHead::BACKFILL`], [`TxnHead::REISSUED`], [`TxnHead::DERIVED`].
    pub flags: u8,
    /// Where the transaction is cut: the first and last place of this part.
    pub part: Option<(u64, u64)>,
    /// What its site had newly seen since its previous transaction.
    pub deps: Vec<(SiteId, RangeSet)>,
}

impl TxnHead {
    /// Flag: rows that stood in the table before it was replicated.
    pub const BACKFILL: u8 = 1;
    /// Flag: issued again under a new site after a fork.
    pub const REISSUED: u8 = 2;
    /// Flag: written by the extension from what others wrote.
    pub const DERIVED: u8 = 4;
}

/// One cell of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CellIn<'a> {
    /// The index in the table's columns.
    pub column: usize,
    /// Its place in the transaction.
    pub seq: u64,
    /// Its stamp, where that is not the transaction's.
    pub stamp: Option<u64>,
    /// Its value.
    pub val: ValueRef<'a>,
}

/// A change that its sender could not apply itself, as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldItem<'a> {
    /// The name of its table.
    pub table: &'a str,
    /// The packed key.
    pub pk: &'a [u8],
    /// The name of its column.
    pub cid: &'a str,
    /// The value.
    pub val: ValueRef<'a>,
    /// The version of the cell.
    pub col_version: u64,
    /// The causal length of its row.
    pub cl: u64,
    /// Its place in the transaction.
    pub seq: u64,
}

/// One item of a transaction; the cells of a row are given apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemHead<'a> {
    /// What the transaction wrote of one row.
    Row {
        /// The index in the header's tables.
        table: usize,
        /// The row's key.
        key: KeyRef<'a>,
        /// Its causal length: odd alive, even dead.
        cl: u64,
        /// The place at which the causal length was set, where this transaction set it.
        sentinel: Option<u64>,
    },
    /// A change that the sender holds.
    Held(HeldItem<'a>),
}
