//! The promise: databases that have exchanged everything are byte-identical in every replicated
//! table and in the metadata digest, whatever the order, repetition, partition or relay.
//!
//! Each seed makes a world: two to four replicas, a few tables of random legal shape, random
//! writes, and exchanges by changeset and row by row between random pairs, with repeats and in
//! parts. After the writing stops every pair exchanges until nothing is new; then all must agree.
//! A failing seed is named; `CRSQL_SEED=n` runs that one, `CRSQL_SEEDS=n` that many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Cell, Seeded, memory, one, rows, run};
use rusqlite::Connection;

const KEYS: &[&str] = &[
    "INTEGER PRIMARY KEY NOT NULL",
    "TEXT NOT NULL PRIMARY KEY",
    "k NOT NULL PRIMARY KEY",
    "REAL PRIMARY KEY NOT NULL",
];
const TYPES: &[&str] = &[
    "",
    "TEXT",
    "INTEGER",
    "REAL",
    "NUMERIC",
    "BLOB",
    "TEXT COLLATE NOCASE",
    "INTEGER NOT NULL DEFAULT 7",
    "TEXT DEFAULT 'd'",
];
const VALUES: &[&str] = &[
    "NULL",
    "0",
    "1",
    "-1",
    "127",
    "128",
    "255",
    "256",
    "9223372036854775807",
    "-9223372036854775808",
    "0.0",
    "-0.0",
    "1.0",
    "1.5",
    "9e999",
    "-9e999",
    "''",
    "'a'",
    "'A'",
    "'12'",
    "'1e3'",
    "x''",
    "x'00'",
    "CAST(x'610062' AS TEXT)",
    "CAST(x'ff80' AS TEXT)",
    "zeroblob(300)",
    "'é🐘'",
];

struct Table {
    name: String,
    ddl: String,
    cols: usize,
    key: usize,
}

fn tables(r: &mut Seeded) -> Vec<Table> {
    let n = 1 + r.below(3);
    (0..n)
        .map(|t| {
            let name = *r.pick(&["plain", "odd \"name\"", "select", "é🐘"]);
            let name = format!("{name}{t}");
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            let key = r.below(5) as usize;
            let cols = r.below(5) as usize;
            let mut parts = Vec::new();
            match key {
                4 => parts.push("k1 TEXT NOT NULL, k2 INTEGER NOT NULL".to_string()),
                2 => parts.push("k NOT NULL PRIMARY KEY".to_string()),
                i => parts.push(format!("k {}", KEYS[i])),
            }
            for c in 0..cols {
                parts.push(format!("c{c} {}", r.pick(TYPES)));
            }
            if cols > 1 && r.below(4) == 0 {
                parts.push("CHECK(c0 IS NOT c1)".to_string());
            }
            if key == 4 {
                parts.push("PRIMARY KEY(k1, k2)".to_string());
            }
            let without = if key != 0 && r.below(3) == 0 { " WITHOUT ROWID" } else { "" };
            Table {
                ddl: format!("CREATE TABLE {quoted}({}){without}", parts.join(", ")),
                name: quoted,
                cols,
                key,
            }
        })
        .collect()
}

fn key_values(r: &mut Seeded, t: &Table) -> String {
    match t.key {
        0 => (r.below(8)).to_string(),
        1 => format!("'{}'", r.pick(&["a", "b", "A", "0192f0c4-7a3b-7def-8123-456789abcdef", ""])),
        2 => r.pick(&["1", "1.0", "'1'", "x'31'", "2", "2.5"]).to_string(),
        3 => r.pick(&["1", "1.5", "2.0", "-0.0"]).to_string(),
        _ => format!("'{}', {}", r.pick(&["a", "b"]), r.below(3)),
    }
}

fn key_is(r: &mut Seeded, t: &Table) -> String {
    let v = key_values(r, t);
    if t.key == 4 { format!("(k1, k2) = ({v})") } else { format!("k = {v}") }
}

fn statement(r: &mut Seeded, t: &Table) -> String {
    let name = &t.name;
    let values: Vec<String> = (0..t.cols).map(|_| r.pick(VALUES).to_string()).collect();
    let row = std::iter::once(key_values(r, t)).chain(values).collect::<Vec<_>>().join(", ");
    let col = r.below(t.cols.max(1) as u64);
    let value = r.pick(VALUES);
    match r.below(9) {
        0..=2 => format!("INSERT OR IGNORE INTO {name} VALUES({row})"),
        3 => format!("REPLACE INTO {name} VALUES({row})"),
        4 => format!("DELETE FROM {name} WHERE {}", key_is(r, t)),
        5 if t.key == 0 => {
            format!("UPDATE OR REPLACE {name} SET k = {} WHERE {}", r.below(8), key_is(r, t))
        }
        6 if t.cols > 0 && t.key != 4 => format!(
            "INSERT INTO {name} VALUES({row}) ON CONFLICT(k) DO UPDATE SET c{col} = excluded.c{col}"
        ),
        _ if t.cols > 0 => {
            format!("UPDATE OR IGNORE {name} SET c{col} = {value} WHERE {}", key_is(r, t))
        }
        _ => format!("INSERT OR IGNORE INTO {name} VALUES({row})"),
    }
}

/// Some writes in one transaction; statements that fail are the application's business.
fn write(r: &mut Seeded, db: &Connection, tables: &[Table]) {
    let transaction = r.below(3) > 0;
    if transaction {
        run(db, "BEGIN");
    }
    for _ in 0..1 + r.below(4) {
        let t = r.pick(tables);
        let sql = statement(r, t);
        if transaction && r.below(6) == 0 {
            run(db, "SAVEPOINT s");
            let _ = db.execute_batch(&sql);
            let end = *r.pick(&["ROLLBACK TO s; RELEASE s", "RELEASE s"]);
            run(db, end);
        } else {
            let _ = db.execute_batch(&sql);
        }
    }
    if transaction {
        let end = *r.pick(&["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]);
        run(db, end);
    }
}

fn vector(db: &Connection) -> String {
    one(db, "SELECT crsql_vector()")
}

fn changeset(db: &Connection, vector: &str, max: Option<i64>) -> Option<Vec<u8>> {
    db.query_row("SELECT crsql_changeset(?1, ?2)", (vector, max), |r| r.get(0)).unwrap()
}

fn apply(db: &Connection, blob: &[u8]) -> String {
    db.query_row("SELECT crsql_apply(?1)", [blob], |r| r.get(0)).unwrap()
}

/// `to` pulls from `from`, as changesets.
fn pull(r: &mut Seeded, to: &Connection, from: &Connection, max: Option<i64>) {
    for round in 0.. {
        let v = vector(to);
        let Some(blob) = changeset(from, &v, max) else { return };
        apply(to, &blob);
        if r.below(4) == 0 {
            apply(to, &blob);
        }
        assert!(round < 10_000, "a pull does not end: {v}");
    }
}

/// `to` pulls from `from`, row by row.
fn pull_rows(to: &Connection, from: &Connection) {
    let v = vector(to);
    let theirs = vector(from);
    let mut stmt = from.prepare("SELECT * FROM crsql_changes WHERE since = ?1").unwrap();
    let mut rows = stmt.query([&v]).unwrap();
    run(to, "BEGIN");
    let sql = "INSERT INTO crsql_changes VALUES(?,?,?,?,?,?,?,?,?)";
    while let Some(row) = rows.next().unwrap() {
        let values: Vec<Cell> = (0..9).map(|i| row.get_ref(i).unwrap().into()).collect();
        to.prepare_cached(sql).unwrap().execute(rusqlite::params_from_iter(values)).unwrap();
    }
    run(to, "COMMIT");
    let seen: String = to.query_row("SELECT crsql_seen(?1)", [&theirs], |r| r.get(0)).unwrap();
    assert_eq!(seen, "OK");
}

fn state(db: &Connection, tables: &[Table]) -> Vec<String> {
    let mut out = Vec::new();
    for t in tables {
        let cols = rows(
            db,
            &format!(
                "SELECT name FROM pragma_table_info('{}')",
                t.name.trim_matches('"').replace("\"\"", "\"").replace('\'', "''")
            ),
        );
        let cells: Vec<String> =
            cols.iter().map(|c| format!("typeof({c}), hex({c}), quote({c})")).collect();
        out.push(t.name.clone());
        let mut all = rows(db, &format!("SELECT {} FROM {}", cells.join(", "), t.name));
        all.sort();
        out.extend(all);
    }
    out
}

fn seed(seed: u64) {
    let r = &mut Seeded(seed);
    let tables = tables(r);
    let replicas: Vec<Connection> = (0..2 + r.below(3)).map(|_| memory()).collect();
    for db in &replicas {
        for t in &tables {
            run(db, &t.ddl);
            run(
                db,
                &format!(
                    "SELECT crsql_as_crr('{}')",
                    t.name.trim_matches('"').replace("\"\"", "\"").replace('\'', "''")
                ),
            );
        }
    }
    let rowwise = r.below(3) == 0;
    for _ in 0..30 {
        let (a, b) =
            (r.below(replicas.len() as u64) as usize, r.below(replicas.len() as u64) as usize);
        match r.below(4) {
            0 if a != b && rowwise => pull_rows(&replicas[a], &replicas[b]),
            0 if a != b => {
                let max = *r.pick(&[None, Some(1), Some(200)]);
                pull(r, &replicas[a], &replicas[b], max);
            }
            _ => write(r, &replicas[a], &tables),
        }
    }
    for _ in 0..replicas.len() {
        for a in 0..replicas.len() {
            for b in 0..replicas.len() {
                if a != b {
                    pull(r, &replicas[a], &replicas[b], None);
                }
            }
        }
    }
    judge(seed, &replicas, &tables);
}

fn judge(seed: u64, replicas: &[Connection], tables: &[Table]) {
    let first = state(&replicas[0], tables);
    let digest = one(&replicas[0], "SELECT crsql_digest()");
    for (i, db) in replicas.iter().enumerate() {
        let found = rows(db, "SELECT * FROM crsql_check() WHERE fault <> 'constraint'");
        assert!(found.is_empty(), "seed {seed}: replica {i}: {found:?}");
        let held = rows(db, "SELECT \"table\", cid, quote(val), reason FROM crsql_held");
        assert!(held.is_empty(), "seed {seed}: replica {i} holds {held:?}");
        let here = state(db, tables);
        assert_eq!(first, here, "seed {seed}: replica {i} differs from replica 0");
        let ours = one(db, "SELECT crsql_digest()");
        assert_eq!(digest, ours, "seed {seed}: the digest of replica {i}");
    }
}

#[test]
fn e11_replicas_that_exchanged_everything_are_equal() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    if let Some(one) = number("CRSQL_SEED") {
        return seed(one);
    }
    for n in 0..number("CRSQL_SEEDS").unwrap_or(150) {
        seed(n);
    }
}
