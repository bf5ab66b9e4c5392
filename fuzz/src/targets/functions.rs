//! Every SQL function and virtual table, called with odd arguments in odd places: nothing panics,
//! and the connection goes on working.

use super::Target;
use super::apply::BETWEEN;
use super::script::{self, Asked};
use crate::host::{hex, literal};
use crate::rng::Rng;
use crate::world::World;

/// The target.
pub struct Functions;

const CALLS: [&str; 28] = [
    "internal_insert",
    "internal_update",
    "internal_delete",
    "internal_assigned",
    "internal_foreign",
    "internal_sync_bit",
    "as_crr",
    "as_table",
    "begin_alter",
    "commit_alter",
    "site_id",
    "db_version",
    "next_db_version",
    "rows_impacted",
    "new_site",
    "vector",
    "seen",
    "changeset",
    "changeset_info",
    "apply",
    "digest",
    "config_set",
    "config_get",
    "pack_columns",
    "fract_key_between",
    "uuid7",
    "time",
    "finalize",
];

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
    "drift_ms",
];

/// An argument, as SQL.
fn argument(rng: &mut Rng, world: &World) -> String {
    match rng.below(9) {
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
        _ => "NULL".into(),
    }
}

fn call(rng: &mut Rng, world: &World) -> String {
    let n = if rng.one_in(12) { rng.below(20) } else { rng.below(4) };
    let arguments: Vec<String> = (0..n).map(|_| argument(rng, world)).collect();
    format!("crsql_{}({})", rng.pick(&CALLS), arguments.join(", "))
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

/// One statement.
pub fn statement(rng: &mut Rng, world: &World) -> String {
    let it = call(rng, world);
    match rng.below(18) {
        0 => feed(rng, world),
        1 => (*rng.pick(&BETWEEN)).to_owned(),
        2 => format!("INSERT INTO plain(a) SELECT {it}"),
        3 => format!("UPDATE plain SET a = {it} WHERE id < 3"),
        4 => format!("SELECT {it} FROM plain"),
        5 => "SELECT * FROM crsql_check()".into(),
        6 => format!("SELECT * FROM crsql_unpack_columns({})", argument(rng, world)),
        7 => format!("DELETE FROM crsql_changes WHERE pk = {}", argument(rng, world)),
        8 => format!("UPDATE crsql_changes SET val = {}", argument(rng, world)),
        9 => format!("INSERT INTO crsql_enlist VALUES({})", argument(rng, world)),
        10 => {
            format!("CREATE TRIGGER IF NOT EXISTS t AFTER INSERT ON plain BEGIN SELECT {it}; END")
        }
        11 => format!("CREATE VIEW IF NOT EXISTS v AS SELECT {it}"),
        12 => super::rows::insert(rng, world),
        13 => (*rng.pick(&SCHEMA)).to_owned(),
        _ => format!("SELECT {it}"),
    }
}

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

impl Target for Functions {
    fn make(&self, rng: &mut Rng, world: &World) -> Vec<u8> {
        let lines: Vec<String> = (0..1 + rng.below(10)).map(|_| statement(rng, world)).collect();
        script::text(rng.below(world.images.len()), &lines)
    }

    fn run(&self, world: &World, input: &[u8]) -> Result<(), String> {
        script::run(world, input, Asked::default())
    }
}
