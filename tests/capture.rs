//! Capture: what plain SQL writes is what `crsql_changes` shows, whatever the statement was
//! called. cr-sqlite misses -0.0 over 0.0, hears nothing of the rows that a REPLACE deletes,
//! leaves versions of rolled back savepoints in memory, and ties to the one commit hook that an
//! application has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{error, feed, int, memory, one, open, rows, run, version};
use rusqlite::Connection;

/// Three rows, enabled after they were written.
fn three() -> Connection {
    let db = memory();
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
         SELECT crsql_as_crr('t');
         INSERT INTO t VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2'), (3, 'a3', 'b3');",
    );
    assert_eq!(version(&db), 1);
    db
}

/// What a piece of SQL adds: `id|cid|val|cl|seq`, of the one version that it spent.
fn adds(db: &Connection, sql: &str) -> Vec<String> {
    let before = version(db);
    run(db, sql);
    let after = version(db);
    assert!(after <= before + 1, "one transaction, one version: {sql}");
    let all = format!(
        "SELECT substr(hex(pk), 5) + 0, cid, val, cl, seq FROM crsql_changes \
         WHERE db_version > {before}"
    );
    let found = rows(db, &all);
    assert_eq!(found.is_empty(), after == before, "{sql}");
    found
}

#[test]
fn statements_of_every_kind() {
    for (sql, wanted) in [
        ("INSERT INTO t VALUES (4, 'x', NULL)", "4|a|x|1|0 4|b|NULL|1|1"),
        ("INSERT INTO t(id) VALUES (4)", "4|a|NULL|1|0 4|b|NULL|1|1"),
        (
            "INSERT INTO t SELECT id + 3, a, 0 FROM t",
            "4|a|a1|1|0 4|b|0|1|1 5|a|a2|1|2 5|b|0|1|3 6|a|a3|1|4 6|b|0|1|5",
        ),
        ("INSERT OR IGNORE INTO t VALUES (1, 0, 0), (5, 0, 0)", "5|a|0|1|0 5|b|0|1|1"),
        ("UPDATE t SET a = 'x' WHERE id = 2", "2|a|x|1|0"),
        ("UPDATE t SET b = 'x', a = 'x' WHERE id = 2", "2|a|x|1|0 2|b|x|1|1"),
        ("UPDATE t SET b = id", "1|b|1|1|0 2|b|2|1|1 3|b|3|1|2"),
        ("UPDATE t SET a = 'a1'", "2|a|a1|1|0 3|a|a1|1|1"),
        ("UPDATE t SET b = u.x FROM (SELECT 2 AS k, 9 AS x) AS u WHERE u.k = t.id", "2|b|9|1|0"),
        ("DELETE FROM t WHERE id = 2", "2|-1|NULL|2|0"),
        ("DELETE FROM t", "1|-1|NULL|2|0 2|-1|NULL|2|1 3|-1|NULL|2|2"),
        ("REPLACE INTO t VALUES (2, 'a2', 'x')", "2|a|a2|1|0 2|b|x|1|1"),
        ("INSERT OR REPLACE INTO t SELECT 2, 0, 0", "2|a|0|1|0 2|b|0|1|1"),
        ("INSERT INTO t VALUES (2, 0, 0) ON CONFLICT DO NOTHING", ""),
        (
            "INSERT INTO t VALUES (2, 0, 0), (4, 0,
            0) ON CONFLICT(id) DO UPDATE SET a = excluded.a",
            "2|a|0|1|0 4|a|0|1|1 4|b|0|1|2",
        ),
        ("INSERT INTO t VALUES (2, 'a2', 0) ON CONFLICT(id) DO UPDATE SET a = excluded.a", ""),
        ("UPDATE t SET id = 7 WHERE id = 2", "2|-1|NULL|2|0 7|a|a2|1|1 7|b|b2|1|2"),
        ("UPDATE t SET rowid = 7 WHERE id = 2", "2|-1|NULL|2|0 7|a|a2|1|1 7|b|b2|1|2"),
        ("UPDATE OR REPLACE t SET id = 3 WHERE id = 2", "2|-1|NULL|2|0 3|a|a2|1|1 3|b|b2|1|2"),
        ("UPDATE t SET id = 2 WHERE id = 2", ""),
        ("UPDATE t SET a = a, b = b", ""),
        ("DELETE FROM t WHERE id = 99", ""),
        ("INSERT INTO t VALUES (4, 0, 0) RETURNING id", "4|a|0|1|0 4|b|0|1|1"),
        ("UPDATE t SET a = 0 WHERE id = 3 RETURNING a, b", "3|a|0|1|0"),
        ("WITH w(x) AS (SELECT 2) DELETE FROM t WHERE id IN (SELECT x FROM w)", "2|-1|NULL|2|0"),
    ] {
        for recursive in [0, 1] {
            let db = three();
            run(&db, &format!("PRAGMA recursive_triggers = {recursive}"));
            assert_eq!(adds(&db, sql).join(" "), wanted, "{sql}, recursive {recursive}");
        }
    }
}

#[test]
fn c1_replace_is_the_same_with_recursive_triggers_on_and_off() {
    for recursive in [0, 1] {
        for create in [
            "CREATE TABLE r(id INTEGER PRIMARY KEY ON CONFLICT REPLACE, a, b)",
            "CREATE TABLE r(id TEXT NOT NULL, a, b, PRIMARY KEY(id) ON CONFLICT REPLACE)",
            "CREATE TABLE r(id TEXT PRIMARY KEY ON CONFLICT REPLACE, a, b) WITHOUT ROWID",
        ] {
            let db = memory();
            run(&db, &format!("PRAGMA recursive_triggers = {recursive}; {create}"));
            run(&db, "SELECT crsql_as_crr('r'); INSERT INTO r VALUES (1, 'x', 'y'), (2, 0, 0);");
            run(&db, "INSERT INTO r VALUES (1, 'x', 'z'), (1, 'w', 'z'), (3, 0, 0);");
            let all = "SELECT cid, val, cl, seq FROM crsql_changes WHERE db_version = 2";
            assert_eq!(rows(&db, all), ["a|w|1|2", "b|z|1|3", "a|0|1|4", "b|0|1|5"], "{create}");
            run(&db, "UPDATE OR REPLACE r SET id = 2 WHERE id = 3; DELETE FROM r");
            assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes WHERE cl = 2"), 3);
            run(&db, "REPLACE INTO r VALUES (1, 0, 0)");
            assert_eq!(int(&db, "SELECT max(cl) FROM crsql_changes"), 3);
        }
    }
}

#[test]
fn c3_a_changed_key_is_a_delete_and_an_insert() {
    let db = three();
    run(&db, "UPDATE t SET id = -id");
    let all = "SELECT cid, val, cl FROM crsql_changes WHERE db_version = 2";
    assert_eq!(int(&db, &format!("SELECT count(*) FROM ({all})")), 9);
    let db = three();
    run(&db, "UPDATE OR REPLACE t SET id = id + 1");
    let left = rows(&db, "SELECT id, a FROM t");
    let told = "SELECT substr(hex(pk), 5) + 0, val FROM crsql_changes WHERE cid = 'a' ORDER BY 1";
    assert_eq!(rows(&db, told), left, "the feed shows the rows that there are");
    run(
        &db,
        "CREATE TABLE k(a TEXT NOT NULL, b INT NOT NULL, c, PRIMARY KEY(a, b)) WITHOUT ROWID;
        SELECT crsql_as_crr('k'); INSERT INTO k VALUES ('x', 1, 'c')",
    );
    let before = version(&db);
    run(&db, "UPDATE k SET b = 2");
    assert_eq!(
        feed(&db, before),
        [
            format!("k|020B017809|-1|NULL|{}|2|0", before + 1).replace("09|-1", "0901|-1"),
            format!("k|020B01780902|c|'c'|{}|1|1", before + 1),
        ]
    );
}

#[test]
fn c12_what_changes_nothing_spends_no_version() {
    let db = three();
    for sql in [
        "UPDATE t SET a = a",
        "UPDATE t SET a = 'a1' WHERE id = 1",
        "DELETE FROM t WHERE id > 5",
        "BEGIN; UPDATE t SET a = 0; ROLLBACK",
        "BEGIN; INSERT INTO t VALUES (9, 9, 9);
        DELETE FROM t WHERE id = 9; COMMIT",
        "SAVEPOINT x; DELETE FROM t; ROLLBACK TO x; RELEASE x",
        "BEGIN; COMMIT",
        "SELECT 1",
        "BEGIN; INSERT INTO t VALUES (9, 9, 9); UPDATE t SET id = 10 WHERE id = 9;
        DELETE FROM t WHERE id = 10; COMMIT",
    ] {
        assert_eq!(adds(&db, sql).len(), 0, "{sql}");
    }
    assert_eq!(adds(&db, "UPDATE t SET a = 1; ").len(), 3);
    assert_eq!(int(&db, "SELECT max(db_version) FROM crsql_changes"), 2);
    assert_eq!(int(&db, "SELECT crsql_next_db_version()"), 3);
}

#[test]
fn a3_a_change_of_class_is_a_change() {
    for (declared, from, to, changed) in [
        ("", "0", "0.0", true),
        ("", "0.0", "-0.0", true),
        ("", "1", "1.0", true),
        ("", "'1'", "1", true),
        ("", "x'61'", "'a'", true),
        ("", "NULL", "0", true),
        ("", "-0.0", "-0.0", false),
        ("REAL", "0.0", "-0.0", false),
        ("REAL", "1", "1.0", false),
        ("INTEGER", "1", "1.0", false),
        ("TEXT", "1", "'1'", false),
        ("TEXT COLLATE NOCASE", "'a'", "'A'", true),
        ("TEXT COLLATE RTRIM", "'a'", "'a '", true),
        ("BLOB", "1.5", "'1.5'", true),
    ] {
        let db = memory();
        run(
            &db,
            &format!(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, a {declared});
        SELECT crsql_as_crr('t');
            INSERT INTO t VALUES (1, {from}); UPDATE t SET a = {to};"
            ),
        );
        assert_eq!(version(&db), 1 + i64::from(changed), "{declared}: {from} to {to}");
        let same = "SELECT typeof(val) = typeof(a) AND quote(val) = quote(a) FROM t, crsql_changes";
        assert_eq!(int(&db, same), 1, "{declared}: {from} to {to}");
    }
}

fn text_is_kept(hex: &[&str]) {
    let db = three();
    for text in hex {
        run(&db, "UPDATE t SET a = 0 WHERE id = 1");
        run(&db, &format!("UPDATE t SET a = CAST(x'{text}' AS TEXT) WHERE id = 1"));
        let told = "SELECT typeof(val), hex(CAST(val AS BLOB)) FROM crsql_changes \
                    WHERE cid = 'a' AND pk = x'010901'";
        assert_eq!(rows(&db, told), [format!("text|{text}")]);
    }
}

#[test]
fn a5_a_nul_inside_text_is_kept() {
    text_is_kept(&["61006200", "00", ""]);
}

#[test]
fn a6_text_that_is_no_utf8_is_kept() {
    text_is_kept(&["FF", "EDA080", "C080", "F09F9098"]);
}

#[test]
fn one_transaction_is_one_version_and_seq_is_the_order_of_writing() {
    let db = three();
    run(&db, "CREATE TABLE u(id TEXT PRIMARY KEY NOT NULL, x); SELECT crsql_as_crr('u');");
    let told = "SELECT \"table\", cid, val, seq FROM crsql_changes WHERE db_version = 2";
    run(
        &db,
        "BEGIN; UPDATE t SET b = 'z' WHERE id = 3; INSERT INTO u VALUES ('q', 1);
        UPDATE t SET a = 'y' WHERE id = 1; DELETE FROM t WHERE id = 2;
        INSERT INTO u VALUES ('b', 2);
        UPDATE t SET b = 'zz' WHERE id = 3; COMMIT;",
    );
    assert_eq!(rows(&db, told), ["u|x|1|1", "t|a|y|2", "t|-1|NULL|3", "u|x|2|4", "t|b|zz|5"]);
}

#[test]
fn c10_savepoints_statement_aborts_and_rollbacks() {
    for (sql, wanted) in [
        ("BEGIN; UPDATE t SET a = 1 WHERE id = 1; SAVEPOINT x; UPDATE t SET a = 2; ROLLBACK TO x;
        COMMIT", "1|a|1|1|0"),
        ("SAVEPOINT x; UPDATE t SET a = 2 WHERE id = 1; SAVEPOINT y; DELETE FROM t; ROLLBACK TO y;
        UPDATE t SET b = 3 WHERE id = 1; RELEASE x", "1|a|2|1|0 1|b|3|1|1"),
        ("BEGIN; SAVEPOINT x; DELETE FROM t; RELEASE x; ROLLBACK", ""),
        ("BEGIN; SAVEPOINT x; SAVEPOINT y; DELETE FROM t; RELEASE y; ROLLBACK TO x;
        UPDATE t SET a = 5 WHERE id = 3; COMMIT", "3|a|5|1|0"),
        ("BEGIN; SAVEPOINT x; UPDATE t SET a = 1; ROLLBACK TO x; UPDATE t SET a = 2 WHERE id = 1;
        ROLLBACK TO x; UPDATE t SET a = 3 WHERE id = 2; COMMIT", "2|a|3|1|0"),
        ("BEGIN; INSERT OR IGNORE INTO t VALUES (1, 0, 0), (4, 0, 0);
        INSERT OR REPLACE INTO t VALUES (4, 1, 1); COMMIT", "4|a|1|1|2 4|b|1|1|3"),
    ] {
        let db = three();
        assert_eq!(adds(&db, sql).join(" "), wanted, "{sql}");
    }
    let db = three();
    run(&db, "BEGIN; UPDATE t SET a = 'kept' WHERE id = 1");
    error(&db, "INSERT INTO t VALUES (7, 0, 0), (8, 0, 0), (1, 0, 0)");
    error(&db, "INSERT OR FAIL INTO t VALUES (9, 0, 0), (1, 0, 0)");
    run(&db, "UPDATE t SET b = 'kept' WHERE id = 1; COMMIT");
    let told = rows(
        &db,
        "SELECT substr(hex(pk), 5) + 0, cid,
        seq FROM crsql_changes WHERE db_version = 2",
    );
    assert_eq!(
        told,
        ["1|a|0", "9|a|1", "9|b|2", "1|b|3"],
        "ABORT undoes its rows,
        FAIL keeps them"
    );
    error(&db, "BEGIN; UPDATE t SET a = 'gone'; INSERT OR ROLLBACK INTO t VALUES (1, 0, 0)");
    assert!(db.is_autocommit());
    error(&db, "UPDATE t SET a = 'half', id = CASE id WHEN 3 THEN 1 ELSE id END");
    assert_eq!(version(&db), 2);
}

#[test]
fn c10_the_flush_law() {
    let db = three();
    run(
        &db,
        "BEGIN; UPDATE t SET a = 'x' WHERE id = 1; SAVEPOINT s;
        UPDATE t SET a = 'y', b = 'y' WHERE id = 2",
    );
    let all = "SELECT cid, val, db_version, seq FROM crsql_changes WHERE db_version > 1";
    assert_eq!(rows(&db, all), ["a|x|2|0", "a|y|2|1", "b|y|2|2"], "the open transaction is shown");
    assert_eq!(int(&db, "SELECT crsql_next_db_version()"), 2);
    let stamp = int(&db, "SELECT col_version FROM crsql_changes WHERE val = 'x'");
    run(&db, "ROLLBACK TO s");
    assert_eq!(rows(&db, all), ["a|x|2|0"]);
    run(&db, "INSERT INTO t VALUES (4, 4, 4)");
    assert_eq!(rows(&db, all), ["a|x|2|0", "a|4|2|1", "b|4|2|2"]);
    run(&db, "DELETE FROM t WHERE id = 4; UPDATE t SET b = 'z' WHERE id = 3; RELEASE s; COMMIT");
    assert_eq!(rows(&db, all)[..1], ["a|x|2|0"]);
    assert_eq!(rows(&db, all).last().unwrap(), "b|z|2|4");
    assert_eq!(int(&db, "SELECT col_version FROM crsql_changes WHERE val = 'x'"), stamp);
    run(&db, "BEGIN; SAVEPOINT s; UPDATE t SET a = 'w'");
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes WHERE db_version = 3"), 3);
    run(&db, "ROLLBACK TO s; RELEASE s; COMMIT");
    assert_eq!(version(&db), 2, "a version that was given and rolled back is given again");
    assert_eq!(adds(&db, "UPDATE t SET a = 'v' WHERE id = 1"), ["1|a|v|1|0"]);
}

#[test]
fn c10_a_commit_that_was_busy_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir.path().join("x.db"));
    db.busy_timeout(std::time::Duration::ZERO).unwrap();
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); SELECT crsql_as_crr('t');
        INSERT INTO t VALUES (1, 1)",
    );
    let reader = open(&dir.path().join("x.db"));
    run(&reader, "BEGIN; SELECT * FROM t");
    run(&db, "BEGIN; INSERT INTO t VALUES (2, 2)");
    assert!(error(&db, "COMMIT").contains("locked"));
    run(&db, "UPDATE t SET a = 3 WHERE id = 1");
    assert!(error(&db, "COMMIT").contains("locked"));
    run(&reader, "COMMIT");
    run(&db, "COMMIT");
    assert_eq!(rows(&db, "SELECT val, db_version, seq FROM crsql_changes"), ["2|2|0", "3|2|1"]);
    assert_eq!(rows(&reader, "SELECT val, db_version, seq FROM crsql_changes"), ["2|2|0", "3|2|1"]);
}

#[test]
fn delete_and_insert_count_lives() {
    let db = three();
    assert_eq!(
        adds(
            &db,
            "BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'n', NULL);
        COMMIT"
        ),
        ["1|-1|NULL|3|0", "1|a|n|3|1", "1|b|NULL|3|2"]
    );
    assert_eq!(adds(&db, "DELETE FROM t WHERE id = 1"), ["1|-1|NULL|4|0"]);
    assert_eq!(
        adds(&db, "INSERT INTO t VALUES (1, 0, 0)"),
        ["1|-1|NULL|5|0", "1|a|0|5|1", "1|b|0|5|2"]
    );
    assert_eq!(
        adds(
            &db,
            "BEGIN; INSERT INTO t VALUES (8, 0, 0); DELETE FROM t WHERE id = 8;
        INSERT INTO t VALUES (8, 1, 1); COMMIT"
        ),
        ["8|a|1|1|0", "8|b|1|1|1"]
    );
    run(
        &db,
        "CREATE TABLE k(id TEXT NOT NULL PRIMARY KEY); SELECT crsql_as_crr('k');
        INSERT INTO k VALUES ('x');",
    );
    let told = "SELECT cid, val, col_version, cl FROM crsql_changes WHERE \"table\" = 'k'";
    assert_eq!(rows(&db, told)[0].split('|').next(), Some("-1"));
    run(&db, "DELETE FROM k; INSERT INTO k VALUES ('x'); REPLACE INTO k VALUES ('x')");
    assert_eq!(rows(&db, told), ["-1|NULL|3|3"]);
}

#[test]
fn c13_what_the_application_counts_is_its_own() {
    let db = three();
    let counts = "SELECT last_insert_rowid(), changes()";
    run(&db, "INSERT INTO t VALUES (40, 0, 0)");
    assert_eq!(rows(&db, counts), ["40|1"]);
    run(&db, "INSERT INTO t VALUES (50, 0, 0), (51, 0, 0)");
    assert_eq!(rows(&db, counts), ["51|2"]);
    run(&db, "BEGIN; INSERT INTO t VALUES (60, 0, 0);");
    assert_eq!(rows(&db, counts), ["60|1"]);
    run(&db, "SELECT count(*) FROM crsql_changes");
    assert_eq!(one(&db, "SELECT last_insert_rowid()"), "60");
    run(&db, "UPDATE t SET a = 1 WHERE id < 3; COMMIT");
    assert_eq!(one(&db, "SELECT last_insert_rowid()"), "60");
    run(&db, "UPDATE t SET a = 2 WHERE id < 3");
    assert_eq!(rows(&db, counts), ["60|2"]);
    run(&db, "UPDATE t SET a = a WHERE id < 4");
    assert_eq!(rows(&db, counts), ["60|3"], "rows that were not changed count, as ever");
    run(&db, "DELETE FROM t");
    assert_eq!(int(&db, "SELECT changes()"), 7);
    assert_eq!(
        rows(&db, "INSERT INTO t VALUES (1, 'r', 2), (2, 's', 3) RETURNING id, a"),
        ["1|r", "2|s"]
    );
    assert_eq!(rows(&db, "UPDATE t SET a = a || 'x' RETURNING a"), ["rx", "sx"]);
    assert_eq!(rows(&db, "DELETE FROM t RETURNING id"), ["1", "2"]);
    run(
        &db,
        "CREATE TABLE log(n);
        CREATE TRIGGER tl AFTER INSERT ON t BEGIN INSERT INTO log VALUES (last_insert_rowid()),
        (changes()); END;
        INSERT INTO t VALUES (77, 0, 0);",
    );
    assert_eq!(one(&db, "SELECT group_concat(n) FROM log").split(',').next(), Some("77"));
    assert_eq!(rows(&db, counts), ["77|1"]);
}

#[test]
fn triggers_of_the_application_are_captured_as_they_ran() {
    for recursive in [0, 1] {
        let db = three();
        run(&db, &format!("PRAGMA recursive_triggers = {recursive}"));
        run(
            &db,
            "CREATE TABLE u(id INTEGER PRIMARY KEY, n NOT NULL DEFAULT 0);
        SELECT crsql_as_crr('u');
            INSERT INTO u VALUES (1, 0);
            CREATE TRIGGER ai AFTER INSERT ON t BEGIN UPDATE u SET n = n + 1;
            UPDATE t SET b = 'by trigger' WHERE id = NEW.id; END;
            CREATE TRIGGER bd BEFORE DELETE ON t BEGIN INSERT INTO u VALUES (OLD.id + 100, 7); END;
            CREATE TRIGGER bu BEFORE UPDATE OF a ON t WHEN NEW.a IS 'no' BEGIN SELECT
            RAISE(IGNORE); END;
            CREATE TEMP TRIGGER tt AFTER UPDATE OF a ON main.t BEGIN DELETE FROM u WHERE id = 999;
            END;",
        );
        let told = "SELECT \"table\", substr(hex(pk), 5), cid, val,
        cl FROM crsql_changes WHERE db_version = ";
        run(&db, "INSERT INTO t VALUES (4, 'a4', 'b4')");
        let mut got = rows(&db, &format!("{told} 3"));
        got.sort();
        assert_eq!(got, ["t|04|a|a4|1", "t|04|b|by trigger|1", "u|01|n|1|1"]);
        run(&db, "DELETE FROM t WHERE id = 2; UPDATE t SET a = 'no'");
        let mut got = rows(&db, &format!("{told} 4"));
        got.sort();
        assert_eq!(got, ["t|02|-1|NULL|2", "u|66|n|7|1"]);
        assert_eq!(version(&db), 4, "an ignored update is no change");
        run(
            &db,
            "CREATE TRIGGER boom AFTER UPDATE OF b ON t WHEN NEW.b IS 'boom' BEGIN SELECT
        RAISE(ABORT, 'boom'); END",
        );
        error(&db, "UPDATE t SET b = 'boom'");
        error(&db, "BEGIN; UPDATE t SET a = 'yes'; UPDATE t SET b = 'boom'");
        run(&db, "COMMIT");
        assert_eq!(
            rows(&db, "SELECT DISTINCT cid, val FROM crsql_changes WHERE db_version = 5"),
            ["a|yes"]
        );
    }
}

#[test]
fn a_view_with_triggers_is_captured() {
    let db = three();
    run(
        &db,
        "CREATE VIEW v AS SELECT * FROM t; CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN
        INSERT INTO t VALUES (NEW.id, NEW.a, 'view'); END;",
    );
    assert_eq!(adds(&db, "INSERT INTO v(id, a) VALUES (9, 'x')"), ["9|a|x|1|0", "9|b|view|1|1"]);
}
