//! `crsql_automigrate` where it is used: schemas that grow, odd names, virtual tables, foreign
//! keys, locks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::copy_rows;
use common::{int, memory, one, open, rows, run, try_migrate};
use rusqlite::Connection;

/// Migrates, then again, which changes nothing.
fn migrate(db: &Connection, schema: &str) {
    for _ in 0..2 {
        let answer = try_migrate(db, schema).unwrap_or_else(|e| panic!("{e}\nin: {schema}"));
        assert_eq!(answer, "migration complete");
    }
    let version = int(db, "PRAGMA schema_version");
    try_migrate(db, schema).unwrap();
    assert_eq!(int(db, "PRAGMA schema_version"), version, "{schema}");
}

/// The schema in its `n`th version: columns come, every third goes, tables and indexes come.
fn growing(n: usize) -> String {
    let mut columns: String = (0..n)
        .filter(|i| i % 3 != 0 || n - i < 4)
        .map(|i| format!(", c{i} TEXT DEFAULT 'd{i}'"))
        .collect();
    if n.is_multiple_of(2) {
        columns += ", even AS (id || 'e')";
    }
    let mut schema = format!(
        "CREATE TABLE grow (id TEXT PRIMARY KEY NOT NULL, v INTEGER{columns});
         CREATE INDEX by_v ON grow (v{});
         SELECT crsql_as_crr('grow');",
        if n > 4 { ", id" } else { "" }
    );
    for i in (1..n).filter(|i| i % 4 != n % 4) {
        schema += &format!(
            "CREATE TABLE side{i} (id INTEGER PRIMARY KEY NOT NULL, x); \
             SELECT crsql_as_crr('side{i}');"
        );
    }
    schema
}

#[test]
fn ten_migrations_of_one_growing_schema() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(&dir.path().join("a.db")), open(&dir.path().join("b.db")));
    for n in 1..=10 {
        let schema = growing(n);
        migrate(&a, &schema);
        run(&a, &format!("INSERT INTO grow (id, v, c{}) VALUES ('a{n}', {n}, 'A')", n - 1));
        run(&a, &format!("UPDATE grow SET v = v + 100, c{} = 'up' WHERE id = 'a1'", n - 1));
        // The peer migrates at every second version, and is written to under its own.
        if n.is_multiple_of(2) {
            migrate(&b, &schema);
            run(&b, &format!("INSERT INTO grow (id, v) VALUES ('b{n}', {n})"));
            run(&b, &format!("UPDATE grow SET c{} = 'by b'", n - 1));
        }
        if n > 1 {
            copy_rows(&a, &b);
            copy_rows(&b, &a);
        }
    }
    copy_rows(&a, &b);
    // The order of columns is each database's own.
    let names = "SELECT group_concat(name) FROM (SELECT name FROM pragma_table_xinfo('grow')
        ORDER BY name)";
    let all = format!("SELECT {} FROM grow ORDER BY id", one(&a, names));
    assert_eq!(rows(&a, &all), rows(&b, &all));
    assert_eq!(int(&a, "SELECT count(*) FROM grow"), 15);
    assert_eq!(one(&a, "SELECT v FROM grow WHERE id = 'a1'"), "1001");
    for db in [&a, &b] {
        // Rows were copied as programs for cr-sqlite do it, which know no crsql_seen().
        assert_eq!(rows(db, "SELECT fault FROM crsql_check()"), ["unseen"]);
        assert_eq!(rows(db, "PRAGMA integrity_check"), ["ok"]);
    }
}

#[test]
fn b8_odd_names() {
    let db = memory();
    let v1 = "CREATE TABLE \"select \"\"x\"\"; --\" (\"key'\" TEXT PRIMARY KEY NOT NULL, [a b],
            `c``d`, \"é, (🐘\" DEFAULT ') --');
        CREATE INDEX \"in\"\"dex\" ON \"select \"\"x\"\"; --\" (\"c`d\");
        CREATE TABLE 'it''s' (\"TABLE\" INTEGER PRIMARY KEY NOT NULL, \"\");
        SELECT crsql_as_crr('select \"x\"; --'); select CRSQL_AS_CRR ('main','it''s')";
    migrate(&db, v1);
    run(&db, "INSERT INTO \"select \"\"x\"\"; --\" VALUES ('k', 1, 2, 3)");
    run(&db, "INSERT INTO \"it's\" VALUES (1, 'e')");
    let v2 = "CREATE TABLE \"select \"\"x\"\"; --\" (\"key'\" TEXT PRIMARY KEY NOT NULL,
            \"é, (🐘\" DEFAULT ') --', \"new\"\",\" DEFAULT 'a,''b');
        CREATE TABLE [it's] (\"TABLE\" INTEGER PRIMARY KEY NOT NULL, [ADD, (]);";
    migrate(&db, v2);
    assert_eq!(rows(&db, "SELECT * FROM \"select \"\"x\"\"; --\""), ["k|3|a,'b"]);
    assert_eq!(rows(&db, "SELECT * FROM \"it's\""), ["1|NULL"]);
    run(&db, "UPDATE \"select \"\"x\"\"; --\" SET \"new\"\",\" = 5");
    let cells = rows(&db, "SELECT \"table\", cid, val FROM crsql_changes WHERE cid <> '-1'");
    assert_eq!(cells, ["select \"x\"; --|é, (🐘|3", "select \"x\"; --|new\",|5"]);
    migrate(&db, "");
}

#[test]
fn temporary_tables_do_not_catch_what_is_meant_for_the_schema() {
    let db = memory();
    run(&db, "CREATE TEMP TABLE t (a, z); CREATE TEMP TABLE u (z)");
    migrate(
        &db,
        "CREATE TABLE t (a, b); CREATE INDEX i ON t (b); CREATE VIEW v AS SELECT 1;
        CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
    );
    migrate(&db, "CREATE TABLE t (a, c); CREATE INDEX i ON t (c); CREATE TABLE u (a)");
    assert_eq!(int(&db, "SELECT count(*) FROM temp.sqlite_schema"), 2);
    assert_eq!(
        rows(&db, "SELECT name FROM main.sqlite_schema ORDER BY 1"),
        ["i", "r", "t", "u", "v"]
    );
    assert_eq!(rows(&db, "SELECT name FROM pragma_table_info('t', 'main')"), ["a", "c"]);
}

#[test]
fn tables_that_are_not_the_applications_stay() {
    let db = memory();
    run(
        &db,
        "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO a VALUES (5);
         CREATE INDEX ai ON a (id); ANALYZE;
         CREATE TABLE crsql_change_history (x); CREATE INDEX own ON crsql_change_history (x);
         CREATE TABLE __crsql_x (x); CREATE TABLE a__crsql_clock (x)",
    );
    migrate(
        &db,
        "CREATE TABLE n (id INTEGER PRIMARY KEY NOT NULL, x); SELECT crsql_as_crr('n');
        CREATE TABLE IF NOT EXISTS crsql_change_history (x); CREATE TABLE crsql_more (x)",
    );
    run(&db, "INSERT INTO n VALUES (1, 2)");
    migrate(&db, "CREATE TABLE n (id INTEGER PRIMARY KEY NOT NULL, x, y)");
    let names = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema
        WHERE sql IS NOT NULL AND tbl_name LIKE '%crsql%' AND type IN ('table', 'index')
        AND name IN ('own', 'crsql_change_history', 'crsql_more', '__crsql_x', 'a__crsql_clock',
        'crsql_state') ORDER BY 1)";
    assert_eq!(
        one(&db, names),
        "__crsql_x a__crsql_clock crsql_change_history crsql_more crsql_state own"
    );
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes"), 1);
}

#[test]
fn virtual_tables_and_their_shadows() {
    let db = memory();
    let plain = "CREATE TABLE t (a);";
    let fts = "CREATE VIRTUAL TABLE IF NOT EXISTS main.f USING fts5(a, tokenize = 'porter');";
    migrate(&db, &format!("{plain}{fts}"));
    run(&db, "INSERT INTO f VALUES ('searching')");
    migrate(&db, &format!("{fts} CREATE TABLE t (a, b); CREATE TABLE u (a)"));
    assert_eq!(one(&db, "SELECT a FROM f WHERE f MATCH 'search'"), "searching");
    let e = try_migrate(&db, "CREATE VIRTUAL TABLE f USING fts5(a, b)").unwrap_err();
    assert!(e.contains("automigrate cannot change the virtual table f"), "{e}");
    assert!(try_migrate(&db, &format!("{fts} CREATE VIRTUAL TABLE g USING nothing(a)")).is_err());
    assert_eq!(one(&db, "SELECT a FROM f WHERE f MATCH 'search'"), "searching");
    migrate(&db, plain);
    assert_eq!(rows(&db, "SELECT name FROM sqlite_schema"), ["t"]);
}

#[test]
fn tables_that_refer_to_each_other_go_children_first() {
    let db = memory();
    run(&db, "PRAGMA foreign_keys = ON");
    let family = "CREATE TABLE a (id INTEGER PRIMARY KEY);
        CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a);
        CREATE TABLE c (id INTEGER PRIMARY KEY, b REFERENCES b, c REFERENCES c);";
    migrate(&db, family);
    run(
        &db,
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1); INSERT INTO c VALUES (1, 1, 1)",
    );
    let orphans = "CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a)";
    let e = try_migrate(&db, orphans).unwrap_err();
    assert!(e.contains("FOREIGN KEY"), "{e}");
    assert_eq!(int(&db, "SELECT count(*) FROM c"), 1);
    migrate(&db, "CREATE TABLE d (x)");
    assert_eq!(rows(&db, "SELECT name FROM sqlite_schema"), ["d"]);
}

#[test]
fn where_nothing_differs_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a); CREATE INDEX i ON t (a);
        SELECT crsql_as_crr('t')";
    let db = open(&path);
    run(&db, "PRAGMA journal_mode = WAL");
    migrate(&db, schema);
    run(&db, "INSERT INTO t VALUES (1, 2)");
    // Another connection holds the lock for writing.
    let other = open(&path);
    run(&other, "BEGIN IMMEDIATE");
    db.busy_timeout(std::time::Duration::ZERO).unwrap();
    assert_eq!(try_migrate(&db, schema).unwrap(), "migration complete");
    let busy = try_migrate(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a, b)");
    assert!(busy.unwrap_err().contains("locked"));
    run(&other, "COMMIT");
    // A reader that is in the middle of its rows.
    let mut stmt = other.prepare("SELECT * FROM t").unwrap();
    let mut reading = stmt.query([]).unwrap();
    assert!(reading.next().unwrap().is_some());
    migrate(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, b)");
    assert_eq!(rows(&db, "SELECT * FROM t"), ["1|NULL"]);
}
