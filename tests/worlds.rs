//! The promise of `converge.rs` in rougher worlds: files that are copied and both used, triggers
//! of the application that write to the very tables, rows that break a CHECK together, columns that
//! come, go and change their names at different times, and changesets, parts and single rows mixed
//! between random pairs. When all have the same schema and nothing is new, all are equal.
//!
//! A failing seed is named; `CRSQL_SEED=n` runs that one, `CRSQL_SEEDS=n` that many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{assert_equal, pull_in, pull_rows, settle};
use common::{Seeded, open, rows, run};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const TABLES: &str = "
    CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, lo, hi, at, CHECK(lo <= hi));
    CREATE TABLE u(k TEXT PRIMARY KEY NOT NULL, a, b DEFAULT 'd');
    CREATE TABLE beside(k, n);";
const TRIGGERS: [&str; 4] = [
    "CREATE TRIGGER IF NOT EXISTS stamp AFTER UPDATE OF lo, hi ON t BEGIN
       UPDATE t SET at = hex(randomblob(4)) WHERE k = new.k; END",
    "CREATE TRIGGER IF NOT EXISTS born AFTER INSERT ON t BEGIN
       INSERT OR IGNORE INTO u(k, a) VALUES('born ' || new.k, hex(randomblob(4)));
       INSERT INTO beside VALUES(new.k, 1); END",
    "CREATE TRIGGER IF NOT EXISTS gone BEFORE DELETE ON t BEGIN
       DELETE FROM u WHERE k = 'born ' || old.k; END",
    "CREATE TRIGGER IF NOT EXISTS last AFTER INSERT ON u BEGIN
       REPLACE INTO t(k, lo, hi, at) VALUES(99, 1, 2, hex(randomblob(4))); END",
];
/// What each file's schema goes through, at its own time.
const STEPS: [&str; 6] = [
    "ALTER TABLE u ADD COLUMN c",
    "ALTER TABLE u ADD COLUMN d TEXT NOT NULL DEFAULT 'dd'",
    "ALTER TABLE u RENAME COLUMN a TO aa",
    "ALTER TABLE t ADD COLUMN more DEFAULT 5",
    "SELECT crsql_begin_alter('u'); ALTER TABLE u DROP COLUMN c; SELECT crsql_commit_alter('u')",
    "ALTER TABLE u RENAME TO uu",
];

struct File {
    db: Connection,
    steps: usize,
}

fn columns(db: &Connection, table: &str) -> Vec<String> {
    rows(db, &format!("SELECT name FROM pragma_table_info('{table}') WHERE pk = 0"))
}

fn write(r: &mut Seeded, db: &Connection) {
    let u = rows(db, "SELECT name FROM sqlite_schema WHERE name IN ('u', 'uu')").remove(0);
    let (k, n) = (r.below(6), r.below(9));
    let column = r.pick(&columns(db, &u)).clone();
    let sql = match r.below(7) {
        0 => format!("INSERT OR IGNORE INTO t(k, lo, hi) VALUES({k}, {n}, {})", n + 2),
        1 => format!("UPDATE OR IGNORE t SET lo = {n} WHERE k = {k}"),
        2 => format!("UPDATE OR IGNORE t SET hi = {n} WHERE k >= {k}"),
        3 => format!("DELETE FROM t WHERE k = {k}"),
        4 => format!("INSERT OR IGNORE INTO {u}(k, {column}) VALUES('k{k}', {n})"),
        5 => format!("UPDATE {u} SET {column} = 'v{n}' WHERE k < 'k{k}'"),
        _ => format!("DELETE FROM {u} WHERE k = 'k{k}'"),
    };
    let _ = db.execute_batch(&sql);
}

fn step(file: &mut File) {
    if let Some(sql) = STEPS.get(file.steps) {
        run(&file.db, sql);
        file.steps += 1;
    }
}

fn world(seed: u64, dir: &Path, (copies, schemas): (bool, bool)) {
    let r = &mut Seeded(seed);
    let mut files: Vec<File> = Vec::new();
    let mut paths = Vec::new();
    for n in 0..2 + r.below(2) {
        let path = dir.join(format!("{n}.db"));
        let db = open(&path);
        run(&db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE");
        run(&db, TABLES);
        run(&db, "SELECT crsql_as_crr('t'); SELECT crsql_as_crr('u')");
        files.push(File { db, steps: 0 });
        paths.push(path);
    }
    for _ in 0..60 {
        let a = r.below(files.len() as u64) as usize;
        let b = r.below(files.len() as u64) as usize;
        match r.below(16) {
            0 if copies && files.len() < 5 => {
                let path = dir.join(format!("{}.db", files.len()));
                std::fs::copy(&paths[a], &path).unwrap();
                let db = open(&path);
                run(&db, "PRAGMA synchronous = OFF");
                let steps = files[a].steps;
                files.push(File { db, steps });
                paths.push(path);
            }
            1 => {
                let some = if schemas { &TRIGGERS[..1] } else { &TRIGGERS[..] };
                let sql: &&str = r.pick(some);
                run(&files[a].db, sql);
            }
            2 if schemas => step(&mut files[a]),
            3 | 4 if a != b => drop(pull_in(&files[a].db, &files[b].db, None)),
            5 if a != b => drop(pull_in(&files[a].db, &files[b].db, Some(300))),
            6 | 7 if a != b => drop(pull_rows(&files[a].db, &files[b].db)),
            _ => write(r, &files[a].db),
        }
    }
    while schemas && files.iter().any(|f| f.steps < STEPS.len()) {
        files.iter_mut().for_each(step);
    }
    let all: Vec<&Connection> = files.iter().map(|f| &f.db).collect();
    settle(&all);
    settle(&all);
    assert_equal(&all);
    for (i, db) in all.iter().enumerate() {
        let forked = rows(db, "SELECT detail FROM crsql_check() WHERE fault = 'forked'");
        assert!(forked.is_empty(), "healed, and file {i} says {forked:?}");
    }
}

fn seeds(kind: (bool, bool)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let one = number("CRSQL_SEED");
    let range = one.map_or(0..number("CRSQL_SEEDS").unwrap_or(60), |n| n..n + 1);
    let mut failed = Vec::new();
    for seed in range {
        let dir = tempfile::tempdir().unwrap();
        if catch_unwind(AssertUnwindSafe(|| world(seed, dir.path(), kind))).is_err() {
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
}

#[test]
fn c4_triggers_and_checks_end_equal() {
    seeds((false, false));
}

#[test]
fn i1_copies_triggers_and_checks_end_equal() {
    seeds((true, false));
}

#[test]
fn j1_schemas_that_change_at_different_times_end_equal() {
    seeds((false, true));
}
