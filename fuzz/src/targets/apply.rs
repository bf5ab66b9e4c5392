//! `crsql_apply` of hostile changesets, on real SQLite, among an application's own statements: it
//! is applied whole or an error leaves no trace, and a fresh peer can follow.

use super::{Target, changeset};
use crate::host::hex;
use crate::rng::Rng;
use crate::script::{self, Asked};
use crate::world::World;

/// The target.
pub struct Apply;

/// What an application does in between.
pub const BETWEEN: [&str; 16] = [
    "UPDATE plain SET a = 'here' WHERE id < 3",
    "DELETE FROM plain WHERE id = 2",
    "INSERT OR IGNORE INTO plain(id, a) VALUES(2, 'again')",
    "INSERT INTO pairs VALUES('p', 77, 1, 2)",
    "DELETE FROM uuids",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "SELECT crsql_vector()",
    "SELECT * FROM crsql_changes",
    "SELECT crsql_changeset(NULL, 400)",
    "SELECT crsql_new_site()",
    "UPDATE pairs SET k2 = k2 + 1 WHERE k2 > 4",
];

/// What a round does.
fn round(rng: &mut Rng, world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..1 + rng.below(4) {
        if rng.one_in(3) {
            lines.push((*rng.pick(&BETWEEN)).to_owned());
        }
        let bytes = match rng.below(4) {
            0 => rng.pick(&world.changesets).clone(),
            _ => changeset::hostile(rng, world),
        };
        lines.push(format!("SELECT crsql_apply({})", hex(&bytes)));
    }
    lines
}

impl Target for Apply {
    fn make(&self, rng: &mut Rng, world: &World) -> Vec<u8> {
        script::make(rng, world.images.len(), |rng, _| round(rng, world))
    }

    fn change(&self, rng: &mut Rng, world: &World, input: &[u8]) -> Vec<u8> {
        script::change(rng, world, input, |rng, _| round(rng, world))
    }

    fn is_bytes(&self) -> bool {
        false
    }

    fn run(&self, world: &World, input: &[u8]) -> Result<u64, String> {
        let asked = Asked {
            sound: true,
            atomic: true,
            writable: true,
            changesets: true,
            ..Asked::default()
        };
        script::run(world, input, asked)
    }
}
