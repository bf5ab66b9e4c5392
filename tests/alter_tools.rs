//! Tables that were built anew, and tools that alter a file without having loaded crsql. Such a
//! tool cannot write to a replicated table, but it may alter, rename, drop and vacuum; whoever
//! comes next with crsql finds the file in order or puts it in order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{assert_equal, pull, settle, two};
use common::{bare, memory, one, open, rows, run, shell, told, version};
use std::path::Path;

const TABLES: &str =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE TABLE u(id TEXT PRIMARY KEY NOT NULL, x);
    SELECT crsql_as_crr('t'); SELECT crsql_as_crr('u');
    INSERT INTO t VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2'); INSERT INTO u VALUES ('k', 'x');";

const REBUILD: &str = "CREATE TABLE new_t(id INTEGER PRIMARY KEY, b TEXT, a, c DEFAULT 5);
    INSERT INTO new_t(id, a, b) SELECT id, a, b FROM t; DROP TABLE t;
        ALTER TABLE new_t RENAME TO t;";

#[test]
fn a_table_built_anew_keeps_its_versions() {
    for (before, after) in [
        ("", ""),
        ("BEGIN;", "COMMIT;"),
        ("SELECT crsql_begin_alter('t');", "SELECT crsql_commit_alter('t');"),
        ("BEGIN; SELECT crsql_begin_alter('t');", "SELECT crsql_commit_alter('t'); COMMIT;"),
    ] {
        let db = memory();
        run(&db, TABLES);
        run(&db, "UPDATE t SET a = 'late' WHERE id = 1");
        let all = "SELECT cid, val, col_version, db_version, seq FROM crsql_changes";
        let versions = rows(&db, all);
        run(&db, &format!("{before} {REBUILD} {after}"));
        assert_eq!(rows(&db, all), versions, "{before}");
        run(
            &db,
            "UPDATE t SET c = 6, a = 'new' WHERE id = 2; INSERT INTO t(id) VALUES (3);
            DELETE FROM t WHERE id = 1",
        );
        assert_eq!(
            told(&db, 3),
            ["t 01 -1 NULL", "t 02 a 'new'", "t 02 c 6", "t 03 a NULL", "t 03 b NULL", "t 03 c 5"],
            "{before}"
        );
    }
}

/// A key of fewer columns, more, or of another kind. The clocks of the old keys stayed, and reading
/// the feed bound their values to a statement that has no place for them; integers and packed keys
/// met in one clock table. A table with another key is taken as a new one: it begins again.
#[test]
fn a_table_built_anew_with_another_key_begins_again() {
    let int = ("id INTEGER PRIMARY KEY NOT NULL, b NOT NULL DEFAULT 0, c", "010901");
    let text = ("id TEXT PRIMARY KEY NOT NULL, b NOT NULL DEFAULT 0, c", "010B0131");
    let both = ("id INTEGER NOT NULL, b NOT NULL, c, PRIMARY KEY(id, b)", "0209010902");
    for (old, new, pk) in [
        (both.0, int.0, int.1),
        (int.0, both.0, both.1),
        (int.0, text.0, text.1),
        (text.0, int.0, int.1),
        (text.0, both.0, both.1),
    ] {
        let migration = format!(
            "SELECT crsql_begin_alter('t'); CREATE TABLE new_t({new});
             INSERT INTO new_t SELECT id, b, c FROM t; DROP TABLE t; ALTER TABLE new_t RENAME TO t;
             SELECT crsql_commit_alter('t');"
        );
        let (a, b) = two(&format!("CREATE TABLE t({old}); SELECT crsql_as_crr('t')"));
        run(&a, "INSERT INTO t VALUES (1, 2, 3), (4, 5, 6)");
        pull(&b, &a);
        run(&a, &migration);
        assert_eq!(one(&a, "SELECT hex(pk) FROM crsql_changes"), pk, "{new}");
        assert_eq!(rows(&a, "SELECT * FROM crsql_changes WHERE cid = '-1' AND cl > 1"), [""; 0]);
        run(&a, "UPDATE t SET c = 'later' WHERE id = 1; DELETE FROM t WHERE id = 4");
        // A peer holds what comes until it has migrated too.
        pull(&b, &a);
        assert_eq!(one(&b, "SELECT count(*) > 0 FROM crsql_held"), "1", "{old} meets {new}");
        run(&b, &migration);
        settle(&[&a, &b]);
        assert_equal(&[&a, &b]);
        assert_eq!(rows(&b, "SELECT id, b, c FROM t"), ["1|2|later"], "{old} becomes {new}");
        // Without the ceremony it is another table that took the name.
        let away = migration.split(';').filter(|s| !s.contains("crsql")).collect::<Vec<_>>();
        let undo = away.join(";").replace(new, old);
        run(&a, &undo);
        run(&a, "SELECT crsql_vector()");
        assert_eq!(rows(&a, "SELECT * FROM crsql_changes"), [""; 0]);
        assert_eq!(rows(&a, "SELECT * FROM crsql_check()"), [""; 0]);
    }
}

#[test]
fn rows_that_come_and_go_while_a_table_is_built_anew() {
    for (before, after) in
        [("", ""), ("SELECT crsql_begin_alter('t');", "SELECT crsql_commit_alter('t');")]
    {
        let db = memory();
        run(&db, TABLES);
        run(
            &db,
            &format!("{before} {REBUILD} {after}").replace(
                "DROP TABLE t;",
                "DELETE FROM new_t WHERE id = 1; INSERT INTO new_t VALUES (9, 'b', 'a', 'c');
        DROP TABLE t;",
            ),
        );
        assert_eq!(
            told(&db, 2),
            ["t 01 -1 NULL", "t 09 a 'a'", "t 09 b 'b'", "t 09 c 'c'"],
            "{before}"
        );
    }
    // The other order of the steps, where the old table is renamed first.
    let db = memory();
    run(&db, TABLES);
    run(
        &db,
        "ALTER TABLE t RENAME TO old; CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c);
        INSERT INTO t SELECT *, 0 FROM old; DROP TABLE old;",
    );
    assert_eq!(
        told(&db, 0),
        ["t 01 a 'a1'", "t 01 b 'b1'", "t 02 a 'a2'", "t 02 b 'b2'", "u 016B x 'x'"]
    );
    run(&db, "UPDATE t SET a = 'new' WHERE id = 1");
    assert_eq!(told(&db, 2), ["t 01 a 'new'"]);
}

#[test]
fn c14_dropped_or_edited_triggers_are_made_again() {
    for what in ["insert", "update", "delete"] {
        let db = memory();
        run(&db, TABLES);
        let name = one(
            &db,
            &format!(
                "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 't' AND name
                LIKE '% {what}%'"
            ),
        );
        run(
            &db,
            &format!(
                "DROP TRIGGER \"{}\"; INSERT INTO t VALUES (7, 7, 7); DELETE FROM t WHERE id = 2;",
                name.replace('"', "\"\"")
            ),
        );
        let mut wanted = vec!["t 02 -1 NULL", "t 07 a 7", "t 07 b 7"];
        assert_eq!(told(&db, 2), wanted, "{what}");
        run(&db, "UPDATE t SET a = 8 WHERE id = 7");
        wanted[1] = "t 07 a 8";
        assert_eq!(told(&db, 2), wanted, "{what}");
    }
    let db = memory();
    run(&db, TABLES);
    run(
        &db,
        "PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'crsql_internal_update',
        'abs') || ' -- edited' WHERE type = 'trigger' AND tbl_name = 't' AND sql LIKE '%AFTER
        UPDATE%';
        PRAGMA writable_schema = RESET; PRAGMA schema_version = 1000;",
    );
    assert_eq!(told(&db, 0).len(), 5);
    run(&db, "UPDATE t SET a = 'seen' WHERE id = 1");
    assert_eq!(told(&db, 2), ["t 01 a 'seen'"]);
}

/// What the stock shell with crsql prints to a script about `x.db`.
fn with(dir: &Path, script: &str) -> Vec<String> {
    let out = shell::run(&shell::library(), "x.db", dir, script);
    assert_eq!(out.stderr, "", "{script}");
    out.stdout.lines().map(str::to_owned).collect()
}

const TOLD: &str = "SELECT \"table\" || ' ' || substr(hex(pk),
    5) || ' ' || cid || ' ' || quote(val) FROM crsql_changes WHERE db_version > 2 ORDER BY 1;";

#[test]
fn a_tool_without_crsql_alters_the_file() {
    for shell_follows in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir.path().join("x.db"));
        run(&db, TABLES);
        let said = bare(
            dir.path(),
            "ALTER TABLE t ADD COLUMN c DEFAULT 3;
        ALTER TABLE t RENAME COLUMN a TO aa; ALTER TABLE u RENAME TO uu;
            VACUUM; ALTER TABLE uu RENAME COLUMN x TO xx; CREATE INDEX ti ON t(c); REINDEX;
            ANALYZE;",
        );
        assert_eq!(said, "");
        let write =
            "UPDATE t SET c = 'c', aa = 'aa' WHERE id = 1; INSERT INTO uu VALUES ('l', 'xx');";
        let wanted = ["t 01 aa 'aa'", "t 01 c 'c'", "uu 016C xx 'xx'"];
        if shell_follows {
            drop(db);
            assert_eq!(with(dir.path(), &format!("{write}{TOLD}")), wanted);
        } else {
            run(&db, write);
            assert_eq!(told(&db, 2), wanted);
        }
        let said = bare(dir.path(), "ALTER TABLE t DROP COLUMN aa;");
        assert!(said.contains("crsql_begin_alter"), "{said}");
        assert_eq!(bare(dir.path(), "DROP TABLE t;"), "");
        let db = open(&dir.path().join("x.db"));
        assert_eq!(told(&db, 2), wanted[2..]);
        run(&db, "INSERT INTO uu VALUES ('m', 'm')");
        assert_eq!(told(&db, 4).len(), 1);
    }
}

#[test]
fn the_stock_shell_alters() {
    let script = format!(
        "{TABLES}
        ALTER TABLE t ADD COLUMN c DEFAULT 3; UPDATE t SET c = 4 WHERE id = 1;
        ALTER TABLE t RENAME COLUMN c TO d;
        INSERT INTO t VALUES (3, 3, 3, 3); ALTER TABLE t RENAME TO tt;
        SELECT crsql_begin_alter('tt'); ALTER TABLE tt DROP COLUMN b;
        UPDATE tt SET a = 'z' WHERE id = 2; SELECT crsql_commit_alter('tt'); BEGIN;
        ALTER TABLE tt ADD COLUMN e; UPDATE tt SET e = 1 WHERE id = 2; ROLLBACK;
        ALTER TABLE tt ADD COLUMN f; UPDATE tt SET f = 1 WHERE id = 2; DROP TABLE u; {TOLD}"
    );
    let dir = tempfile::tempdir().unwrap();
    let wanted = ["tt 01 d 4", "tt 02 a 'z'", "tt 02 f 1", "tt 03 a 3", "tt 03 d 3"];
    let got = with(dir.path(), &script);
    assert_eq!(got[got.len() - 5..], wanted);
    let db = memory();
    run(&db, script.trim_end().strip_suffix(TOLD).unwrap());
    assert_eq!(told(&db, 2), wanted);
    assert_eq!(version(&db), 6);
    let whole = open(&dir.path().join("x.db"));
    run(&whole, "SELECT crsql_commit_alter('tt')");
    assert_eq!(rows(&whole, "SELECT * FROM crsql_check()"), Vec::<String>::new());
}

/// The first write to a new column makes the triggers anew while its transaction commits. If that
/// commit fails the schema goes back too.
#[test]
fn c7_a_busy_commit_after_add_column() {
    for explicit in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir.path().join("x.db"));
        db.busy_timeout(std::time::Duration::ZERO).unwrap();
        run(&db, TABLES);
        run(&db, "ALTER TABLE t ADD COLUMN c");
        let reader = open(&dir.path().join("x.db"));
        run(&reader, "BEGIN; SELECT * FROM t");
        let write = "UPDATE t SET c = 1 WHERE id = 1";
        if explicit {
            run(&db, &format!("BEGIN; {write}"));
            assert!(common::error(&db, "COMMIT").contains("locked"));
            run(&db, "UPDATE t SET c = 2 WHERE id = 2");
            assert!(common::error(&db, "COMMIT").contains("locked"));
            run(&reader, "COMMIT");
            run(&db, "COMMIT");
        } else {
            assert!(common::error(&db, write).contains("locked"));
            run(&reader, "COMMIT");
            run(&db, &format!("UPDATE t SET c = 2 WHERE id = 2; {write}"));
        }
        assert_eq!(told(&db, 2), ["t 01 c 1", "t 02 c 2"]);
        assert_eq!(told(&reader, 2), ["t 01 c 1", "t 02 c 2"]);
        run(&reader, "UPDATE t SET c = 3, a = 3 WHERE id = 2");
        assert_eq!(told(&db, 2), ["t 01 c 1", "t 02 a 3", "t 02 c 3"]);
        assert_eq!(rows(&db, "SELECT * FROM crsql_check()"), Vec::<String>::new());
        assert_eq!(rows(&db, "PRAGMA integrity_check"), ["ok"]);
    }
}

#[test]
fn c7_a_new_column_is_written_while_statements_are_open() {
    let db = memory();
    run(&db, TABLES);
    let mut open_read = db.prepare("SELECT id FROM t ORDER BY id").unwrap();
    let mut open_rows = open_read.query([]).unwrap();
    assert!(open_rows.next().unwrap().is_some());
    run(&db, "ALTER TABLE t ADD COLUMN c; UPDATE t SET c = 1; SAVEPOINT x; UPDATE t SET c = 2");
    assert_eq!(told(&db, 2), ["t 01 c 2", "t 02 c 2"]);
    run(&db, "ROLLBACK TO x; RELEASE x");
    assert_eq!(told(&db, 2), ["t 01 c 1", "t 02 c 1"]);
    assert!(open_rows.next().unwrap().is_some(), "the reader goes on");
    run(&db, "BEGIN; ALTER TABLE t ADD COLUMN d; UPDATE t SET d = 1 WHERE id = 1; SAVEPOINT y");
    assert_eq!(told(&db, 3), ["t 01 d 1"]);
    run(&db, "ROLLBACK; ALTER TABLE t ADD COLUMN e; UPDATE t SET e = 1 WHERE id = 1");
    assert_eq!(told(&db, 3), ["t 01 e 1"]);
}
