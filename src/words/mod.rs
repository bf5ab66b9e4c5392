//! Floor 0, words: what the rest of the house talks in. Pure data and pure functions: no SQLite,
//! no I/O, no clock is read, no `unsafe`. Laws, Miri and fuzzing live on this floor.

#![forbid(unsafe_code)]

pub mod affinity;
pub mod changeset;
pub mod clock;
pub mod deps;
pub mod dot;
pub mod error;
pub mod fract;
pub mod key;
pub mod keylist;
pub mod merge;
pub mod pack;
pub mod planted;
pub mod policy;
pub mod ranges;
pub mod rowclock;
pub mod sqltext;
pub mod uuid;
pub mod value;
pub mod vector;
mod vectortext;
pub mod wire;
