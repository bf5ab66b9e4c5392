//! crsql: a SQLite loadable extension that turns ordinary tables into conflict-free replicated ones.

pub mod ground;
pub mod words;
