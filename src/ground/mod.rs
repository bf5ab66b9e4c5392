//! Floor 2, ground: the host's SQLite, and not one CRDT word. This is the only room with `unsafe`:
//! the routine table, the handles, the statements and the fence that keeps panics out of C.
//!
//! What it promises its callers: everything re-exported here is safe to call but for [`init`];
//! result codes arrive as SQLite gave them; a panic in any callback becomes an error of the
//! statement that ran it. Text and blobs are bytes with a length, NUL and invalid UTF-8 included.
//!
//! | room       | what it holds                                                     |
//! |------------|-------------------------------------------------------------------|
//! | `abi`      | the C structures, laid out as `sqlite3.h` has them                |
//! | `api`      | the slots of the routine table that we call, typed                |
//! | `auto`     | [`every_connection`], where we are linked into a program          |
//! | `entry`    | [`init`]: takes the table from the host, refuses what is too old  |
//! | `fence`    | panics and error codes on their way into C                        |
//! | `db`       | [`Db`], the connection                                            |
//! | `owned`    | [`Owned`], a database of our own in memory                        |
//! | `stmt`     | [`Stmt`], the prepared statement                                  |
//! | `args`     | [`Args`], what SQLite passes to a callback                        |
//! | `out`      | [`Out`], what a callback answers                                  |
//! | `function` | SQL functions                                                     |
//! | `index`    | [`IndexInfo`], the talk with the query planner                    |
//! | `vtab`     | the traits of virtual tables                                      |
//! | `methods`  | the C side of those traits                                        |
//! | `quote`    | names and text as SQL                                             |
//! | `cache`    | kept statements, and how they do not hinder a close               |
//! | `store`    | our own tables                                                    |
//! | `shape`    | a table as SQLite tells it, and why it cannot be replicated       |
//! | `triggers` | the text of our triggers                                          |
//! | `names`    | the names of the replicated tables                                |
//! | `snapshot` | what the catalog found, kept for the next connection              |
//! | `register` | our ids for columns, joined with what SQLite tells                |
//! | `catalog`  | the replicated tables, their columns and ids                      |

#![deny(clippy::undocumented_unsafe_blocks)]

mod abi;
mod api;
mod args;
#[cfg(feature = "register")]
mod auto;
pub mod cache;
pub mod catalog;
mod db;
mod entry;
mod fence;
mod function;
mod index;
mod methods;
mod names;
mod out;
mod owned;
pub mod quote;
mod register;
pub mod shape;
mod snapshot;
mod stmt;
pub mod store;
pub mod triggers;
mod vtab;

pub use abi::sqlite3;
pub use args::Args;
#[cfg(feature = "register")]
pub use auto::every_connection;
pub use db::Db;
pub use entry::init;
pub use function::FnFlags;
pub use index::{IndexInfo, op};
pub use out::Out;
pub use owned::Owned;
pub use quote::{ident, literal};
pub use stmt::{Prep, Stmt};
pub use vtab::{Update, VCursor, VTab};
