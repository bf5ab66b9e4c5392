//! crsql: a SQLite loadable extension that turns ordinary tables into conflict-free replicated
//! ones.
//!
//! The floors, from the bottom up; imports go down only:
//!
//! - [`words`]: pure data and functions; the formats, the clock, the merge law.
//! - [`ground`]: the host's SQLite, the one unsafe room; our own tables; the catalog.
//! - [`rooms`]: the work: capture, log, feed, apply, held changes, schema change.
//! - [`doors`]: the entry point, the SQL functions, the virtual tables.

pub mod doors;
pub mod ground;
pub mod rooms;
pub mod words;
