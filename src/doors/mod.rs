//! Floor 4, doors: the entry point, the SQL functions and the virtual tables. Thin: each parses
//! its arguments, calls one room and shapes the answer.

pub mod args;
pub mod changes;
pub mod entry;
pub mod functions;
pub mod lifecycle;
pub mod lists;
pub mod merging;
