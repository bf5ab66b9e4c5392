//! Capture at the edges: tables wider than a function call, transactions larger than a cache, keys
//! of every form, and hosts that trust nobody.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{error, feed, int, memory, one, rows, run, version};
use rusqlite::config::DbConfig;

#[test]
fn wide_tables() {
    for width in [1, 23, 24, 25, 48, 49, 63, 64, 65, 129, 300] {
        let db = memory();
        let columns: Vec<String> = (0..width).map(|i| format!("c{i}")).collect();
        run(&db, &format!("CREATE TABLE t(id INTEGER PRIMARY KEY, {})", columns.join(", ")));
        run(&db, "SELECT crsql_as_crr('t'); INSERT INTO t(id) VALUES (1), (2)");
        for i in 0..width {
            run(&db, &format!("UPDATE t SET c{i} = {i} WHERE id = 1"));
            let last = rows(
                &db,
                "SELECT cid,
            val FROM crsql_changes WHERE db_version = (SELECT max(db_version) FROM crsql_changes)",
            );
            assert_eq!(last, [format!("c{i}|{i}")]);
        }
        let before = version(&db);
        let last = width - 1;
        run(
            &db,
            &format!(
                "BEGIN; UPDATE t SET c{last} = 'x', c0 = 'y' WHERE id = 2;
        UPDATE t SET c{last} = 'z'; COMMIT"
            ),
        );
        let told = rows(
            &db,
            &format!(
                "SELECT substr(hex(pk), 5) + 0, cid,
        val FROM crsql_changes WHERE db_version > {before} ORDER BY 1, 2"
            ),
        );
        if width > 1 {
            assert_eq!(told, [format!("1|c{last}|z"), "2|c0|y".into(), format!("2|c{last}|z")]);
        }
        run(&db, "UPDATE t SET id = 5 WHERE id = 1");
        assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes WHERE pk = x'010905'"), width);
        let before = version(&db);
        run(&db, "UPDATE t SET c0 = c0");
        assert_eq!(version(&db), before);
    }
}

#[test]
fn a_large_transaction() {
    let db = memory();
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); SELECT crsql_as_crr('t');
        CREATE TABLE u(id TEXT PRIMARY KEY NOT NULL, a); SELECT crsql_as_crr('u');
        BEGIN;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
        INSERT INTO t SELECT i, i, 'text ' || i FROM n;
        INSERT INTO u SELECT 'key ' || ((id * 7919) % 50000),
        id FROM t WHERE true ON CONFLICT DO UPDATE SET a = a + 1;
        UPDATE t SET a = a + 1 WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 0; COMMIT;",
    );
    assert_eq!(version(&db), 1);
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes WHERE \"table\" = 't'"), 80000);
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes WHERE \"table\" = 'u'"), 50000);
    assert_eq!(int(&db, "SELECT count(DISTINCT seq) FROM crsql_changes"), 130_000);
    run(&db, "DELETE FROM t; DELETE FROM u;");
    assert_eq!(
        int(&db, "SELECT count(*) FROM crsql_changes"),
        90000,
        "the dead whom nobody knew are none"
    );
}

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "127",
    "128",
    "255",
    "256",
    "-128",
    "32768",
    "40000",
    "-25536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "1099511627776",
];
const OTHERS: &[&str] = &[
    "0.5",
    "-0.5",
    "1e300",
    "9007199254740993.0",
    "''",
    "'a'",
    "x''",
    "x'00'",
    "'a' || char(0) || 'b'",
    "'550e8400-e29b-41d4-a716-446655440000'",
    "'550E8400-E29B-41D4-A716-446655440000'",
    "x'550e8400e29b41d4a716446655440000'",
    "CAST(x'ff' AS TEXT)",
    "'1'",
    "'1.0'",
    "9e999",
    "-9e999",
];

#[test]
fn a4_keys_of_every_form() {
    let db = memory();
    run(
        &db,
        "CREATE TABLE i(id INTEGER PRIMARY KEY, x); SELECT crsql_as_crr('i');
        CREATE TABLE t(id NOT NULL PRIMARY KEY, x); SELECT crsql_as_crr('t');
        CREATE TABLE c(a NOT NULL, b NOT NULL, x, PRIMARY KEY(b, a)); SELECT crsql_as_crr('c');",
    );
    for key in INTEGERS {
        run(&db, &format!("INSERT INTO i VALUES ({key}, '{key}')"));
    }
    for key in INTEGERS.iter().chain(OTHERS) {
        let name = key.replace('\'', "''");
        run(
            &db,
            &format!(
                "INSERT INTO t VALUES ({key}, '{name}');
        INSERT INTO c VALUES ({key}, {key}, '{name}')"
            ),
        );
    }
    for table in ["i", "t", "c"] {
        told_by_key(&db, table);
    }
}

/// Every row of the table is told under its own key, through its whole life.
fn told_by_key(db: &rusqlite::Connection, table: &str) {
    let n = int(db, &format!("SELECT count(*) FROM {table}"));
    let told = format!(
        "SELECT count(DISTINCT pk) FROM crsql_changes WHERE \"table\" =
        '{table}'"
    );
    assert_eq!(int(db, &told), n);
    run(db, &format!("UPDATE {table} SET x = x || '!'"));
    assert_eq!(int(db, &told), n);
    let lost = format!(
        "SELECT count(*) FROM {table} WHERE x NOT IN (SELECT val FROM
        crsql_changes)"
    );
    assert_eq!(int(db, &lost), 0);
    let packed = format!(
        "SELECT count(*) FROM {table} AS r,
        crsql_changes AS c WHERE c.\"table\" = '{table}' AND c.val = r.x
            AND c.pk = crsql_pack_columns({})",
        if table == "c" { "r.b, r.a" } else { "r.id" }
    );
    assert_eq!(int(db, &packed), n);
    run(db, &format!("DELETE FROM {table}"));
    let dead = format!(
        "SELECT count(*) FROM crsql_changes WHERE \"table\" = '{table}' AND cl
        = 2"
    );
    assert_eq!(int(db, &dead), n);
}

#[test]
fn c6_hosts_that_trust_nobody() {
    let db = memory();
    for (option, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
    ] {
        db.set_db_config(option, on).unwrap();
    }
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); SELECT crsql_as_crr('t');
        INSERT INTO t VALUES (1, 'a'); UPDATE t SET a = 'b'; REPLACE INTO t VALUES (1, 'c');
        SELECT crsql_begin_alter('t'); ALTER TABLE t ADD COLUMN b; SELECT crsql_commit_alter('t');
        UPDATE t SET b = 'd'; DELETE FROM t; SELECT crsql_as_table('t');
        SELECT crsql_as_crr('t');",
    );
    assert_eq!(version(&db), 5);
    for call in [
        "crsql_as_crr('t')",
        "crsql_as_table('t')",
        "crsql_begin_alter('t')",
        "crsql_finalize()",
        "crsql_config_set('a', 1)",
    ] {
        let sql = format!("CREATE TRIGGER evil AFTER INSERT ON t BEGIN SELECT {call}; END");
        run(&db, &sql);
        let text = error(&db, "INSERT INTO t(id) VALUES (9)");
        assert!(text.contains("unsafe use"), "{call}: {text}");
        run(&db, "DROP TRIGGER evil");
        run(&db, &format!("CREATE VIEW evil AS SELECT {call} AS x"));
        assert!(error(&db, "SELECT * FROM evil").contains("unsafe use"), "{call}");
        run(&db, "DROP VIEW evil");
    }
}

#[test]
fn the_functions_of_triggers_do_nothing_by_hand() {
    let db = memory();
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); SELECT crsql_as_crr('t');
        INSERT INTO t VALUES (1, 1)",
    );
    let before = feed(&db, 0);
    for call in [
        "insert(1, 0, 7)",
        "update(1, 0, 0, 1, 1, 2, 3)",
        "delete(1, 0, 1)",
        "assigned(1,
        0, 1, 1)",
        "insert()",
        "update('x')",
        "delete(NULL, NULL)",
        "insert(1, (SELECT shape FROM crsql_tables), 8)",
        "foreign(1, 1)",
        "assigned(9223372036854775807, 1)",
    ] {
        let _ = db.execute_batch(&format!("SELECT crsql_internal_{call}"));
    }
    assert_eq!(feed(&db, 0), before);
    assert_eq!(one(&db, "SELECT crsql_db_version()"), "1");
    run(&db, "INSERT INTO t VALUES (2, 2)");
    assert_eq!(version(&db), 2);
}
