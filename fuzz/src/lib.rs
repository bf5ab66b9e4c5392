//! Hostile input for everything in crsql that reads what it did not write.
//!
//! - `targets`: what is fed, with what, and what must hold afterwards
//! - `worker`: runs a target with a mutator of our own; the program `crsql-fuzz` is that
//! - `guided`: runs a target under libFuzzer; the programs in `fuzz_targets/` are that
//! - `world`: what real peers have and send, to begin from

pub mod crashers;
pub mod frame;
pub mod guided;
pub mod host;
pub mod judge;
pub mod meter;
pub mod model;
pub mod mutate;
pub mod rng;
pub mod script;
pub mod targets;
pub mod worker;
pub mod world;

#[global_allocator]
static METER: meter::Meter = meter::Meter;
