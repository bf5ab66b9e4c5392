//! The changeset: transactions on their way from one database to another.

mod build;
mod read;
mod types;

pub use build::Builder;
pub use read::{Changeset, Items, Txn, decode, info};
pub use types::{
    CellIn, ColumnInfo, Header, HeldItem, ItemHead, KeyInfo, KeyRef, Kind, Omit, Seen, TableInfo,
    TxnHead,
};
