//! The targets: what is fed, with what, and what must hold afterwards.

pub mod apply;
pub mod changeset;
pub mod functions;
pub mod keys;
pub mod pure;
pub mod rows;
pub mod tables;

use crate::rng::Rng;
use crate::world::World;

/// Something that reads hostile input.
pub trait Target {
    /// An input.
    fn make(&self, rng: &mut Rng, world: &World) -> Vec<u8>;
    /// Another input, made from one.
    fn change(&self, rng: &mut Rng, world: &World, input: &[u8]) -> Vec<u8>;
    /// Feeds it; gives how many executions that was, or a sentence where something is wrong.
    fn run(&self, world: &World, input: &[u8]) -> Result<u64, String>;
    /// Whether an input is one thing to read, in Rust alone; the others are scripts of SQL.
    fn is_bytes(&self) -> bool;
}

/// The names of all targets, and the share of the time that each is given.
pub const NAMES: [(&str, u64); 6] =
    [("changeset", 2), ("keys", 1), ("apply", 3), ("rows", 2), ("functions", 1), ("tables", 2)];

/// The target of that name.
pub fn named(name: &str) -> Option<Box<dyn Target>> {
    Some(match name {
        "changeset" => Box::new(changeset::Changeset),
        "keys" => Box::new(keys::Keys),
        "apply" => Box::new(apply::Apply),
        "rows" => Box::new(rows::Rows),
        "functions" => Box::new(functions::Functions),
        "tables" => Box::new(tables::Tables::default()),
        _ => return None,
    })
}
