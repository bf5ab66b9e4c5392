//! `INSERT INTO crsql_changes` with rows from real feeds, some of their values replaced by odd
//! ones. What is real is taken in any order with the same result.

use super::{Target, apply};
use crate::host::{self, INTO, hex, literal};
use crate::judge;
use crate::rng::Rng;
use crate::script::{self, Asked};
use crate::world::World;
use crsql::words::pack;
use crsql::words::value::Value;
use rusqlite::Connection;

/// The target.
pub struct Rows;

/// The cid of a sentinel, as the feed is written in SQL.
const SENTINEL: &str = "CAST(x'2d31' AS TEXT)";

/// One statement.
pub fn insert(rng: &mut Rng, world: &World) -> String {
    let mut row = rng.pick(&world.rows).clone();
    if !rng.one_in(4) {
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(row.len());
            row[at] = replaced(rng, world, at);
        }
    }
    // The sentinel of a life says that life twice.
    if row[2] == SENTINEL && !rng.one_in(8) {
        row[4] = row[7].clone();
    }
    if rng.one_in(6) {
        row[2] = SENTINEL.into();
        row[7] = (1 + rng.below(4)).to_string();
        row[4] = row[7].clone();
        row[3] = "NULL".into();
    }
    format!("{INTO}({})", row.join(", "))
}

fn replaced(rng: &mut Rng, world: &World, at: usize) -> String {
    match (at, rng.below(6)) {
        (_, 0) => literal(&rng.value()),
        (1, 1) => {
            let values: Vec<Value> = (0..1 + rng.below(2)).map(|_| rng.value()).collect();
            let mut pk = Vec::new();
            pack::pack(&mut pk, values.iter().map(Value::as_ref)).ok();
            hex(&pk)
        }
        (1, 2) => {
            let mut pk = rng.pick(&world.keys).clone();
            crate::mutate::bytes(rng, &mut pk, &[]);
            hex(&pk)
        }
        (6, 1) => hex([7; 16]),
        (3, _) => literal(&rng.value()),
        (4 | 5 | 7 | 8 | 9, 1 | 2) => rng.edge(3).cast_signed().to_string(),
        (7, 3) => (1 + rng.below(4)).to_string(),
        (4, 3) => format!("{}.0", rng.below(100)),
        _ => rng.pick(&world.rows)[at].clone(),
    }
}

/// What a round does; `honest`: with rows as they were sent.
fn round(rng: &mut Rng, world: &World, honest: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..1 + rng.below(12) {
        if rng.one_in(8) {
            lines.push((*rng.pick(&apply::BETWEEN)).to_owned());
        }
        match honest {
            true => lines.push(format!("{INTO}({})", rng.pick(&world.rows).join(", "))),
            false => lines.push(insert(rng, world)),
        }
    }
    lines
}

impl Target for Rows {
    fn make(&self, rng: &mut Rng, world: &World) -> Vec<u8> {
        if rng.one_in(8) {
            let lines = round(rng, world, true);
            return script::text(rng.below(world.images.len()), &lines);
        }
        script::make(rng, world.images.len(), |rng, _| round(rng, world, false))
    }

    fn change(&self, rng: &mut Rng, world: &World, input: &[u8]) -> Vec<u8> {
        script::change(rng, world, input, |rng, _| round(rng, world, false))
    }

    fn is_bytes(&self) -> bool {
        false
    }

    fn run(&self, world: &World, input: &[u8]) -> Result<u64, String> {
        let (_, lines) = script::parse(input);
        let honest = |line: &String| {
            let values =
                line.strip_prefix(INTO).and_then(|l| l.strip_prefix('(')?.strip_suffix(')'));
            values.is_none_or(|v| world.rows.iter().any(|row| row.join(", ") == v))
        };
        let all = lines.iter().all(honest);
        let asked =
            Asked { sound: true, atomic: true, writable: true, rows: all, changesets: false };
        let executions = script::run(world, input, asked)?;
        if !all {
            return Ok(executions);
        }
        let inserts: Vec<&String> = lines.iter().filter(|l| l.starts_with(INTO)).collect();
        let forward = taken(world, inserts.iter().copied());
        let backward = taken(world, inserts.iter().rev().copied());
        judge::same(&forward, &backward, "the same with rows in another order")?;
        Ok(executions)
    }
}

fn taken<'a>(world: &World, lines: impl Iterator<Item = &'a String>) -> Connection {
    host::rewind(78);
    let db = host::copy(&world.images[world.fresh]);
    for line in lines {
        host::run(&db, line).ok();
    }
    db
}
