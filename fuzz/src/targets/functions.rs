//! Every SQL function and virtual table, called with odd arguments in odd places: nothing panics,
//! and the connection goes on working.

use super::Target;
use super::apply::BETWEEN;
use crate::host::{hex, literal};
use crate::rng::Rng;
use crate::script::{self, Asked};
use crate::world::World;

/// The target.
pub struct Functions;

const NAMES: [&str; 20] = [
    "plain",
    "pairs",
    "uuids",
    "loose",
    "main",
    "temp",
    "crsql_state",
    "crsql_log",
    "sqlite_schema",
    "nothing",
    "o'd\"d",
    "PLAIN",
    "all",
    "*",
    "a0",
    "a1",
    "crsql_changes",
    "-1",
    "merge-equal-values",
    "max-drift-ms",
];

/// An argument, as SQL.
fn argument(rng: &mut Rng, world: &World) -> String {
    match rng.below(10) {
        0 | 1 => format!("'{}'", rng.pick(&NAMES).replace('\'', "''")),
        2 => rng.below(12).to_string(),
        3 => literal(&rng.value()),
        4 => {
            let mut vector = rng.pick(&world.vectors).clone();
            if rng.one_in(2) {
                crate::mutate::bytes(rng, &mut vector, &[]);
            }
            format!("CAST({} AS TEXT)", hex(&vector))
        }
        5 => hex(rng.pick(&world.keys)),
        6 => hex(rng.pick(&world.changesets)),
        7 => rng.edge(0).cast_signed().to_string().replace("-9223372036854775808", "-1"),
        8 => {
            let mut schema = SCHEMAS.map(str::as_bytes)[rng.below(SCHEMAS.len())].to_vec();
            if rng.one_in(3) {
                crate::mutate::bytes(rng, &mut schema, b"); CREATE INDEX i ON plain(a); (");
            }
            format!("CAST({} AS TEXT)", hex(&schema))
        }
        _ => "NULL".into(),
    }
}

fn call(rng: &mut Rng, world: &World) -> String {
    let (name, arities) = rng.pick(&world.functions);
    let n = match *rng.pick(arities) {
        _ if rng.one_in(30) => rng.below(20),
        -1 if rng.one_in(12) => rng.below(20),
        -1 => rng.below(5),
        n => n as usize,
    };
    let arguments: Vec<String> = (0..n).map(|_| argument(rng, world)).collect();
    format!("{name}({})", arguments.join(", "))
}

/// A read of any of our virtual tables, with any of their columns bound, or of a table that people
/// read.
fn table(rng: &mut Rng, world: &World) -> String {
    let (name, columns) = rng.pick(&world.tables);
    let mut sql = format!("SELECT * FROM {name}");
    if rng.one_in(3) {
        let arguments: Vec<String> = (0..rng.below(4)).map(|_| argument(rng, world)).collect();
        sql += &format!("({})", arguments.join(", "));
    }
    for n in 0..rng.below(3) {
        let op = *rng.pick(&["=", "<", ">", "IS", "IN", "<>"]);
        let (word, value) = (if n == 0 { "WHERE" } else { "AND" }, argument(rng, world));
        sql += &format!(" {word} \"{}\" {op} ({value})", rng.pick(columns));
    }
    sql
}

/// A read of the feed with constraints.
fn feed(rng: &mut Rng, world: &World) -> String {
    let columns =
        ["\"table\"", "pk", "cid", "val", "col_version", "db_version", "site_id", "cl", "seq"];
    let mut sql = "SELECT * FROM crsql_changes WHERE 1".to_owned();
    for _ in 0..rng.below(4) {
        let column = if rng.one_in(4) { "since" } else { *rng.pick(&columns) };
        let op = *rng.pick(&["=", "<", ">", "<=", ">=", "IS", "IS NOT", "<>"]);
        sql += &format!(" AND {column} {op} {}", argument(rng, world));
    }
    if rng.one_in(3) {
        sql += &format!(" ORDER BY {} DESC", rng.pick(&columns));
    }
    sql
}

/// One statement. Those that change the schema are few: after them all others are prepared anew.
pub fn statement(rng: &mut Rng, world: &World) -> String {
    let it = call(rng, world);
    let kinds = if rng.one_in(6) { 18 } else { 10 };
    if rng.one_in(2) {
        return format!("SELECT {it}");
    }
    match rng.below(kinds) {
        0 if rng.one_in(4) => feed(rng, world),
        1 => (*rng.pick(&BETWEEN)).to_owned(),
        2 => format!("INSERT INTO plain(a) SELECT {it}"),
        3 => format!("UPDATE plain SET a = {it} WHERE id < 3"),
        4 => format!("SELECT {it} FROM plain LIMIT 2"),
        5 if rng.one_in(8) => "SELECT * FROM crsql_check()".into(),
        6 if rng.one_in(2) => table(rng, world),
        7 if rng.one_in(4) => {
            format!("DELETE FROM crsql_changes WHERE pk = {}", argument(rng, world))
        }
        8 if rng.one_in(4) => format!("UPDATE crsql_changes SET val = {}", argument(rng, world)),
        10 => {
            format!("CREATE TRIGGER IF NOT EXISTS t AFTER INSERT ON plain BEGIN SELECT {it}; END")
        }
        11 => format!("CREATE VIEW IF NOT EXISTS v AS SELECT {it}"),
        12 => super::rows::insert(rng, world),
        13 => (*rng.pick(&SCHEMA)).to_owned(),
        14 => format!("INSERT INTO crsql_enlist VALUES({})", argument(rng, world)),
        _ => format!("SELECT {it}"),
    }
}

/// What `crsql_automigrate` is asked for.
const SCHEMAS: [&str; 4] = [
    "CREATE TABLE plain(id INTEGER PRIMARY KEY NOT NULL, a, b TEXT, more INT DEFAULT 1)",
    "CREATE TABLE pairs(k1 TEXT NOT NULL, k2 INTEGER NOT NULL, v, PRIMARY KEY(k1, k2)); \
     CREATE INDEX px ON pairs(v); SELECT crsql_as_crr('pairs');",
    "CREATE TABLE fresh(id TEXT PRIMARY KEY NOT NULL, at TEXT) STRICT; \
     SELECT crsql_fract_as_ordered('fresh', 'at');",
    "CREATE TABLE x(y); SELECT load_extension('x'); ATTACH 'y' AS z; -- \" ' [ ` /*",
];

const SCHEMA: [&str; 10] = [
    "ALTER TABLE plain ADD COLUMN more DEFAULT 3",
    "ALTER TABLE plain RENAME TO plain2",
    "ALTER TABLE plain2 RENAME TO plain",
    "ALTER TABLE pairs RENAME COLUMN v TO vv",
    "ALTER TABLE pairs DROP COLUMN w",
    "DROP TABLE uuids",
    "CREATE TABLE uuids(id INTEGER PRIMARY KEY NOT NULL, other)",
    "CREATE TABLE its(id PRIMARY KEY NOT NULL, x)",
    "VACUUM",
    "SELECT * FROM v",
];

/// What a round does.
fn round(rng: &mut Rng, world: &World) -> Vec<String> {
    (0..1 + rng.below(10)).map(|_| statement(rng, world)).collect()
}

impl Target for Functions {
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
        script::run(world, input, Asked::default())
    }
}
