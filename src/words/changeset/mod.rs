//! The changeset: transactions on their way from one database to another, as one byte string. It
//! is closed by a SHA-256, every value in it has exactly one encoding, and [`decode`] with
//! [`Changeset::check`] takes no other, in time and memory that grow with its length alone.
//!
//! Numbers (`varint`, `signed`) and values are those of `words::wire`. `text` is a varint length
//! and that many bytes of UTF-8, `blob` the same of any bytes, and `list of x` a varint count and
//! that many x. Versions, stamps, places and epochs are below 2^53; versions are 1 or more, and
//! causal lengths 1 to 2^40.
//!
//! ```text
//! changeset = "crsql" format:u8 oldest:u8 required:varint optional:varint
//!             compression:u8 size:varint seal:u8 section* sha256:32
//! section   = type:varint size:varint bytes
//! ```
//!
//! - `format` is 1, `oldest` the oldest format whose readers understand the bytes: 1. A reader of
//!   format f takes what has oldest <= f.
//! - `required` and `optional` are bits of features. An unknown required one is REJECTED.
//! - `compression` is 0 (none). `size` counts what follows it, up to the hash, uncompressed.
//! - `seal` is 0 (open); the sections of a sealed changeset cannot be read.
//! - Types rise strictly. A section of an unknown even type is skipped, an odd one REJECTED. A
//!   section with nothing to say is left out; SENDER alone is always there.
//! - The hash is over every byte before it.
//!
//! | type | section      | bytes                                                               |
//! |------|--------------|---------------------------------------------------------------------|
//! | 1    | SENDER       | site:16 epoch:varint scope:text now:varint                          |
//! | 3    | SITES        | list of site:16, rising, each used in what follows                  |
//! | 5    | TABLES       | list of table, rising by name, each used by an item                 |
//! | 7    | VECTOR       | seen: what the sender has seen                                      |
//! | 9    | HORIZON      | list of (site version:varint), sites rise                           |
//! | 10   | CLOSED       | list of (site at:varint stamp:varint more:varint), sites rise       |
//! | 11   | OMITS        | list of (site lo:varint hi:varint what:text), rising as a whole     |
//! | 13   | COVERAGE     | seen: what this changeset covers                                    |
//! | 15   | KIND         | left out for a delta; 1:u8 token:blob for a chunk of a snapshot     |
//! | 17   | TRANSACTIONS | transaction*, rising by site and version                            |
//! | 18   | SIGNATURE    | any bytes                                                           |
//!
//! After SITES a `site` is a varint index into it.
//!
//! ```text
//! seen   = list of (site list of (gap:varint more:varint stamp:varint))        sites rise
//! ranges = list of (gap:varint more:varint)
//! table  = name:text former:(list of text) kind:u8 strict:u8
//!          list of (name:text affinity:u8 collation:text)                      key columns
//!          list of (name:text former:(list of text) affinity:u8 declared:text
//!                   flags:u8 default:(0:u8 | 1:u8 text) merge:text)            other columns
//! ```
//!
//! - CLOSED: a site that two files wrote as. `at` and `stamp` are the last version that counts
//!   (0: none) and its stamp (0: not known); the fork was noticed at version at + more, more >= 1.
//! - A range is lo = the hi before it (0 at first) + gap, hi = lo + more. No list of ranges is
//!   empty, and ranges never touch: gap is 2 or more, the first 1 or more. `stamp` is that of hi.
//! - Former names rise strictly. No name stands twice among a table's columns, and a column beside
//!   the key is not named `-1`. `kind` is 0 where the key is the rowid (one key column), 1 where it
//!   is packed (1 to 255). At most 32767 others.
//! - Affinities: 0 BLOB, 1 TEXT, 2 NUMERIC, 3 INTEGER, 4 REAL, 5 ANY. `flags`: 1 is NOT NULL, the
//!   other bits are 0. `merge` is empty for `lww`.
//!
//! ```text
//! transaction = site version:varint stamp:varint last:varint flags:u8 [lo:varint more:varint]
//!               deps:(list of (site ranges)) size:varint item*
//! item        = head:u8 [table:varint] [cl:varint] [gap:signed] what
//! what        = key value*                                                     DENSE
//!             | key count:varint cell*                                         SPARSE
//!             | table:text pk:blob cid:text value col_version:varint cl:varint HELD
//! cell        = code:varint [step:varint] [stamp:varint] value
//! ```
//!
//! - `flags` of a transaction: 1 BACKFILL, 2 REISSUED, 4 DERIVED, 8 PART; the others are 0. With
//!   PART the places of this part follow, lo to lo + more, which is at most `last`, the last place
//!   of the transaction. `size` counts the bytes of its items.
//! - `head` of an item, low bits first: two bits of kind (0 DENSE, 1 SPARSE, 2 HELD), TABLE, CL,
//!   GAP, SENTINEL, two zero bits. HELD has GAP alone.
//! - TABLE: the index of the item's table follows; else it is the table of the row before. It is
//!   set where the table changes, and at the first row. CL: the causal length follows; else it
//!   is 1. GAP: a number other than 0 follows, the distance from the place after the last one of
//!   the item before (0 at first) to the item's first place. SENTINEL: the causal length was set
//!   in this transaction, at the item's first place, and cells come after it.
//! - `key` is for a rowid a `signed`, the distance (wrapping) from the key of the row before, or
//!   from 0 where TABLE is set; else a `blob`, the key as stored (words::key).
//! - DENSE holds a value for every column in turn, at places that follow one another.
//! - SPARSE holds cells by place. `code` is 2 * column + 1 where a stamp of the cell's own follows,
//!   which is not the transaction's; else 2 * column. `step` is the distance from the place before;
//!   the first cell of an item without SENTINEL has none, it stands at the item's first place. A
//!   step of 0 (places made by hand) goes to a higher column. No column comes twice. What DENSE can
//!   say is never written SPARSE.
//! - Where the causal length was set after the first cell, SENTINEL is not set, and among the cells
//!   stands one whose code is 2 * the number of columns, with a step, and without stamp and value.
//! - A row whose causal length is even is dead: SPARSE, with SENTINEL, and the bytes end after the
//!   key. Any other row has a sentinel or a cell; without columns to show it is SPARSE, count 0.
//! - HELD: a change as its sender got it. `pk` is a packing (words::pack), `col_version` is below
//!   2^63. It takes one place.
//!
//! Items stand in the order in which the sender read them, usually that of their first places.

mod build;
mod fields;
mod finish;
mod header;
mod info;
mod items;
mod read;
mod row;
mod seen;
mod tables;
mod types;

pub use crate::words::vector::Omit;
pub use build::Builder;
pub use info::info;
pub use items::Items;
pub use read::{Changeset, Transactions, Txn, decode};
pub use tables::{affinity_code, affinity_of};
pub use types::{
    CellIn, ColumnInfo, Header, HeldItem, ItemHead, KeyInfo, KeyRef, Kind, Seen, TableInfo, TxnHead,
};

/// The format that is written, and the newest that is read in full.
pub const FORMAT: u8 = 1;

/// The most columns that a table has.
pub const COLUMNS_MAX: usize = 32767;

const MAGIC: &[u8; 5] = b"crsql";
const HASH_BYTES: usize = 32;

/// The types of sections.
mod section {
    pub(super) const SENDER: u64 = 1;
    pub(super) const SITES: u64 = 3;
    pub(super) const TABLES: u64 = 5;
    pub(super) const VECTOR: u64 = 7;
    pub(super) const HORIZON: u64 = 9;
    pub(super) const CLOSED: u64 = 10;
    pub(super) const OMITS: u64 = 11;
    pub(super) const COVERAGE: u64 = 13;
    pub(super) const KIND: u64 = 15;
    pub(super) const TRANSACTIONS: u64 = 17;
    pub(super) const SIGNATURE: u64 = 18;
}

/// Bit of a transaction's flags on the wire: it is a part.
const PART: u8 = 8;

/// The first byte of an item.
mod head {
    pub(super) const KIND: u8 = 3;
    pub(super) const DENSE: u8 = 0;
    pub(super) const SPARSE: u8 = 1;
    pub(super) const HELD: u8 = 2;
    pub(super) const TABLE: u8 = 4;
    pub(super) const CL: u8 = 8;
    pub(super) const GAP: u8 = 16;
    pub(super) const SENTINEL: u8 = 32;
    pub(super) const ALL: u8 = 63;
}
