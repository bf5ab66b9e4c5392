//! crsql turns ordinary SQLite tables into conflict-free replicated ones: any two copies of a
//! database that exchange their changes, in any order and any number of times, end with the same
//! rows. Writes stay plain SQL; what crsql adds are SQL functions and virtual tables.
//!
//! It is a loadable extension for every language, and a crate for programs in Rust. A program that
//! uses [rusqlite](https://docs.rs/rusqlite), or another crate that links SQLite, asks for the
//! feature `register`:
//!
//! ```toml
//! [dependencies]
//! crsql = { version = "0.1", features = ["register"] }
//! rusqlite = { version = "0.41", features = ["bundled"] }
//! ```
//!
//! and calls [`register`] once, before it opens a connection. From then on every connection of the
//! process has crsql:
//!
#![cfg_attr(feature = "register", doc = "```")]
#![cfg_attr(not(feature = "register"), doc = "```ignore")]
//! use rusqlite::{Connection, Result};
//!
//! fn phone() -> Result<Connection> {
//!     let db = Connection::open_in_memory()?;
//!     db.execute_batch("CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body TEXT)")?;
//!     db.query_row("SELECT crsql_as_crr('note')", [], |_| Ok(()))?;
//!     Ok(db)
//! }
//!
//! crsql::register()?;
//! let (a, b) = (phone()?, phone()?);
//! a.execute("INSERT INTO note VALUES ('n1', 'written on a')", [])?;
//!
//! // B says what it has seen, A answers with the rest, B takes it.
//! let seen: String = b.query_row("SELECT crsql_vector()", [], |row| row.get(0))?;
//! let changes: Vec<u8> = a.query_row("SELECT crsql_changeset(?1)", [seen], |row| row.get(0))?;
//! let report: String = b.query_row("SELECT crsql_apply(?1)", [changes], |row| row.get(0))?;
//! assert!(report.contains("\"tables\":[\"note\"]"));
//!
//! let body: String = b.query_row("SELECT body FROM note", [], |row| row.get(0))?;
//! assert_eq!(body, "written on a");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `docs/SQL.md` in the repository tells every function and table. What is below is how crsql is
//! built; nothing in it is promised to stay. The floors, from the bottom up; imports go down only:
//!
//! - [`words`]: pure data and functions; the formats, the clock, the merge law.
//! - [`types`]: what a column means that merges by intent.
//! - [`ground`]: the host's SQLite, the one unsafe room; our own tables; the catalog.
//! - [`rooms`]: the work: capture, log, feed, apply, held changes, schema change.
//! - [`doors`]: the entry points, the SQL functions, the virtual tables.

pub mod doors;
pub mod ground;
pub mod rooms;
pub mod types;
pub mod words;

/// Puts crsql on every connection that the SQLite of this process opens from now on, by
/// `sqlite3_auto_extension`. A second call does nothing.
///
/// The program has to link SQLite, 3.38 or later, which rusqlite does.
///
/// # Errors
/// SQLite's code and a sentence where SQLite takes no extension, which is when it is out of memory.
/// A connection that crsql cannot live in fails to open, with a sentence.
#[cfg(feature = "register")]
pub fn register() -> words::error::Result<()> {
    ground::every_connection(doors::entry::sqlite3_crsql_auto)
}
