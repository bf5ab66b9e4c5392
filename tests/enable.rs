//! `crsql_as_crr`: which tables can be replicated. cr-sqlite takes a table with a NOCASE key and
//! then shows two keys for one row for ever; with a second UNIQUE index a REPLACE deletes rows that
//! nobody hears of. What cannot be replicated well is refused, with a sentence that names the table
//! and the way out, and the caller's transaction is as it was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{error, feed, int, memory, one, open, rows, run, version};
use rusqlite::Connection;
use std::time::Instant;

/// Enabling `t` is refused with all these words, in a transaction and outside, and leaves nothing.
fn refused(create: &str, words: &[&str]) {
    let db = memory();
    run(&db, create);
    let before = rows(&db, "SELECT type, name, sql FROM sqlite_schema ORDER BY name");
    let check = |text: String| {
        for word in words {
            assert!(text.contains(word), "{create}\n{word:?} is not in: {text}");
        }
    };
    check(error(&db, "SELECT crsql_as_crr('t')"));
    assert!(db.is_autocommit());
    assert_eq!(rows(&db, "SELECT type, name, sql FROM sqlite_schema ORDER BY name"), before);
    run(&db, "BEGIN; CREATE TABLE earlier(x); INSERT INTO earlier VALUES (1);");
    check(error(&db, "SELECT crsql_as_crr('t')"));
    check(error(&db, "SELECT crsql_as_crr('main', 't')"));
    assert!(!db.is_autocommit(), "the caller's transaction is still open");
    run(&db, "COMMIT");
    assert_eq!(int(&db, "SELECT count(*) FROM earlier"), 1, "earlier writes are there");
    assert_eq!(int(&db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'crsql%'"), 0);
}

/// Enabling `t` works; a row is captured; disabling leaves nothing.
fn accepted(create: &str, insert: &str) -> Connection {
    let db = memory();
    run(&db, create);
    run(&db, "SELECT crsql_as_crr('t')");
    run(&db, insert);
    assert!(!feed(&db, 0).is_empty(), "{create}");
    assert_eq!(one(&db, "SELECT crsql_as_crr('t')"), "OK", "idempotent");
    db
}

#[test]
fn b1_a_key_that_may_be_null_is_refused() {
    let null = &["table t", "may be NULL", "NOT NULL"];
    refused("CREATE TABLE t(id PRIMARY KEY, x)", null);
    refused("CREATE TABLE t(id TEXT PRIMARY KEY, x)", null);
    refused("CREATE TABLE t(a NOT NULL, b, PRIMARY KEY(a, b))", &["column b", "NULL"]);
    refused("CREATE TABLE t(id INTEGER PRIMARY KEY DESC, x)", null);
    accepted("CREATE TABLE t(id INTEGER PRIMARY KEY, x)", "INSERT INTO t VALUES (1, 2)");
    accepted("CREATE TABLE t(id TEXT PRIMARY KEY, x TEXT) STRICT", "INSERT INTO t VALUES ('a', 2)");
    accepted("CREATE TABLE t(id PRIMARY KEY, x) WITHOUT ROWID", "INSERT INTO t VALUES ('a', 2)");
    accepted(
        "CREATE TABLE t(id INTEGER NOT NULL PRIMARY KEY DESC, x)",
        "INSERT INTO t VALUES (7, 2)",
    );
}

#[test]
fn b2_no_key_and_autoincrement_are_refused() {
    refused("CREATE TABLE t(x)", &["table t", "no primary key", "crsql_uuid7"]);
    refused(
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, x)",
        &["table t", "AUTOINCREMENT", "crsql_uuid7"],
    );
}

#[test]
fn b3_a_key_with_a_collation_is_refused() {
    let words = &["table t", "column id", "NOCASE", "COLLATE BINARY"];
    refused("CREATE TABLE t(id TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, x)", words);
    refused("CREATE TABLE t(id TEXT NOT NULL, x, PRIMARY KEY(id COLLATE NOCASE))", words);
    refused(
        "CREATE TABLE t(id TEXT NOT NULL, x, PRIMARY KEY(id COLLATE NOCASE)) WITHOUT ROWID",
        words,
    );
    refused(
        "CREATE TABLE t(a INT NOT NULL, id TEXT NOT NULL COLLATE RTRIM, PRIMARY KEY(a, id))",
        &["table t", "column id", "RTRIM"],
    );
    refused(
        "CREATE TABLE t(id TEXT COLLATE nocase NOT NULL, PRIMARY KEY(id COLLATE BINARY))",
        &["column id"],
    );
}

#[test]
fn b5_unique_index_is_refused() {
    let words = &["table t", "UNIQUE", "drop the uniqueness"];
    refused("CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE)", words);
    refused("CREATE TABLE t(id INTEGER PRIMARY KEY, x, y, UNIQUE(x, y))", words);
    refused(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE UNIQUE INDEX tx ON t(x)",
        &["table t", "UNIQUE index tx"],
    );
    refused("CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE UNIQUE INDEX tx ON t(x + 1)", words);
    refused(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE UNIQUE INDEX tx ON t(x) WHERE x > 5",
        words,
    );
    refused("CREATE TABLE t(id TEXT PRIMARY KEY, x UNIQUE) WITHOUT ROWID", words);
}

#[test]
fn b6_a_foreign_key_is_refused() {
    let words = &["table t", "foreign key to p", "REFERENCES"];
    let parent = "CREATE TABLE p(id INTEGER PRIMARY KEY);";
    refused(&format!("{parent} CREATE TABLE t(id INTEGER PRIMARY KEY, p REFERENCES p)"), words);
    refused(
        &format!(
            "{parent} CREATE TABLE t(id INTEGER PRIMARY KEY, p, FOREIGN KEY(p) REFERENCES p(id) \
             ON DELETE CASCADE)"
        ),
        words,
    );
}

#[test]
fn b7_not_null_without_a_default_is_refused() {
    let words = &["table t", "column x", "NOT NULL", "DEFAULT"];
    refused("CREATE TABLE t(id INTEGER PRIMARY KEY, x NOT NULL)", words);
    refused("CREATE TABLE t(id INTEGER PRIMARY KEY, x NOT NULL DEFAULT NULL)", words);
    refused("CREATE TABLE t(id INTEGER PRIMARY KEY, x NOT NULL DEFAULT (null))", words);
    accepted(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x NOT NULL DEFAULT 0, CHECK(x >= 0))",
        "INSERT INTO t VALUES (1, 2)",
    );
}

#[test]
fn b8_a_column_named_like_a_mark_is_refused() {
    refused("CREATE TABLE t(id INTEGER PRIMARY KEY, \"-1\")", &["table t", "\"-1\"", "rename"]);
    refused("CREATE TABLE t(\"-1\" INTEGER PRIMARY KEY, x)", &["table t", "\"-1\"", "rename"]);
    refused("CREATE TABLE t(id INTEGER PRIMARY KEY, \"\u{1}x\")", &["table t", "rename"]);
}

#[test]
fn b8_odd_names_are_accepted() {
    let long = "n".repeat(1000);
    let names = [
        "it's",
        "a\"b",
        "a]b",
        "[a]",
        "a b",
        "select",
        "ΩÉé",
        "🐘🐘",
        "a;--",
        "a\nb",
        "%s",
        "a`b",
        "OLD.x",
        "-2",
        long.as_str(),
        "1",
        "new",
        "a\\b",
        "?1",
        ":x",
        "\u{202e}x",
    ];
    for (i, name) in names.iter().enumerate() {
        let q = |s: &str| format!("\"{}\"", s.replace('"', "\"\""));
        let text = |s: &str| format!("'{}'", s.replace('\'', "''"));
        let (t, column) = (q(name), q(names[(i + 1) % names.len()]));
        let key = q(names[(i + 2) % names.len()]);
        let db = memory();
        run(&db, &format!("CREATE TABLE {t}({key} TEXT NOT NULL PRIMARY KEY, {column} TEXT, z)"));
        run(&db, &format!("SELECT crsql_as_crr({})", text(name)));
        run(&db, &format!("INSERT INTO {t} VALUES ('k', 'v', 1)"));
        run(&db, &format!("UPDATE {t} SET {column} = 'w'"));
        let last = rows(&db, "SELECT \"table\", cid, val FROM crsql_changes WHERE db_version = 2");
        assert_eq!(last, [format!("{name}|{}|w", names[(i + 1) % names.len()])]);
        run(&db, &format!("ALTER TABLE {t} RENAME COLUMN {column} TO plain"));
        run(&db, &format!("UPDATE {t} SET plain = 'x'; DELETE FROM {t};"));
        assert_eq!(feed(&db, 3).len(), 1, "{name}");
        run(&db, &format!("SELECT crsql_as_table({})", text(name)));
        run(&db, &format!("INSERT INTO {t} VALUES ('k', 'v', 1)"));
    }
}

#[test]
fn b8_names_differ_as_sqlite_says() {
    let db = memory();
    run(
        &db,
        "CREATE TABLE \"é\"(id INTEGER PRIMARY KEY, x);
        CREATE TABLE \"É\"(id INTEGER PRIMARY KEY, x);
        SELECT crsql_as_crr('é'); SELECT crsql_as_crr('É');
        INSERT INTO \"é\" VALUES (1, 'small'); INSERT INTO \"É\" VALUES (2, 'capital');",
    );
    assert_eq!(rows(&db, "SELECT \"table\", val FROM crsql_changes"), ["é|small", "É|capital"]);
    assert_eq!(rows(&db, "SELECT val FROM crsql_changes WHERE \"table\" = 'É'"), ["capital"]);
    run(&db, "CREATE TABLE \"Mixed\"(id INTEGER PRIMARY KEY, x); SELECT crsql_as_crr('mIXED');");
    run(&db, "INSERT INTO mixed VALUES (1, 1)");
    assert_eq!(one(&db, "SELECT \"table\" FROM crsql_changes WHERE db_version = 3"), "Mixed");
}

#[test]
fn b11_only_ordinary_tables_of_the_main_database() {
    refused("CREATE VIEW t AS SELECT 1 AS id", &["t is a view", "ordinary tables"]);
    refused("CREATE VIRTUAL TABLE t USING fts5(x)", &["t is a virtual table"]);
    refused("CREATE TEMP TABLE t(id INTEGER PRIMARY KEY)", &["temporary", "main"]);
    refused("ATTACH ':memory:' AS other; CREATE TABLE other.t(id INTEGER PRIMARY KEY)", &["t"]);
    refused("CREATE TABLE u(x)", &["no table t"]);
    let db = memory();
    run(&db, "ATTACH ':memory:' AS other; CREATE TABLE other.t(id INTEGER PRIMARY KEY);");
    let text = error(&db, "SELECT crsql_as_crr('other', 't')");
    assert!(text.contains("other") && text.contains("main"), "{text}");
    run(&db, "CREATE TABLE t(id INTEGER PRIMARY KEY); SELECT crsql_as_crr('t');");
    for own in ["crsql_state", "crsql_log", "sqlite_schema", "sqlite_sequence"] {
        let text = error(&db, &format!("SELECT crsql_as_crr('{own}')"));
        assert!(text.contains(own), "{text}");
    }
    for odd in ["NULL", "7", "x'74'", "''"] {
        error(&db, &format!("SELECT crsql_as_crr({odd})"));
    }
}

#[test]
fn b11_a_temporary_table_of_the_same_name_is_left_alone() {
    let db = memory();
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE TEMP TABLE t(id INTEGER PRIMARY KEY, x);
        INSERT INTO temp.t VALUES (1, 'temp'); INSERT INTO main.t VALUES (2, 'main');
        SELECT crsql_as_crr('t');
        INSERT INTO temp.t VALUES (3, 'temp'); INSERT INTO main.t VALUES (4, 'main');",
    );
    assert_eq!(rows(&db, "SELECT hex(pk), val FROM crsql_changes"), ["010902|main", "010904|main"]);
    assert_eq!(int(&db, "SELECT count(*) FROM temp.sqlite_schema WHERE type = 'trigger'"), 0);
    run(&db, "ALTER TABLE main.t ADD COLUMN y; UPDATE main.t SET y = 1 WHERE id = 2;");
    assert_eq!(rows(&db, "SELECT cid FROM crsql_changes WHERE db_version = 3"), ["y"]);
}

#[test]
fn b11_a_replicated_table_of_an_attached_file_is_not_captured_here() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.db");
    let db = open(&other);
    run(&db, "CREATE TABLE t(id INTEGER PRIMARY KEY, x); SELECT crsql_as_crr('t');");
    drop(db);
    let db = memory();
    run(&db, "CREATE TABLE t(id INTEGER PRIMARY KEY, x); SELECT crsql_as_crr('t');");
    run(&db, &format!("ATTACH '{}' AS other", other.display()));
    let text = error(&db, "INSERT INTO other.t VALUES (1, 2)");
    assert!(text.contains("attached"), "{text}");
    run(&db, "BEGIN; INSERT INTO main.t VALUES (5, 6);");
    error(&db, "INSERT INTO other.t VALUES (1, 2)");
    run(&db, "COMMIT");
    assert_eq!(rows(&db, "SELECT hex(pk) FROM crsql_changes"), ["010905"]);
    let bare = Connection::open_in_memory().unwrap();
    common::load(&bare);
    run(&bare, &format!("ATTACH '{}' AS other", other.display()));
    error(&bare, "INSERT INTO other.t VALUES (1, 2)");
}

#[test]
fn b11_generated_columns_are_not_replicated() {
    let db = accepted(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x, g AS (x + 1), h AS (x * 2) STORED, y)",
        "INSERT INTO t(id, x, y) VALUES (1, 2, 3)",
    );
    assert_eq!(rows(&db, "SELECT cid, val FROM crsql_changes"), ["x|2", "y|3"]);
    run(&db, "UPDATE t SET x = 5");
    assert_eq!(rows(&db, "SELECT cid, val FROM crsql_changes"), ["y|3", "x|5"]);
}

#[test]
fn a7_a_utf16_database_is_refused() {
    refused(
        "PRAGMA encoding = 'UTF-16'; CREATE TABLE t(id INTEGER PRIMARY KEY, x)",
        &["UTF-16", "UTF-8", "copy"],
    );
}

#[test]
fn b4_keys_that_sqlite_calls_equal_are_one_key() {
    for declared in ["", "REAL", "NUMERIC", "BLOB", "ANY"] {
        for rest in ["", " WITHOUT ROWID"] {
            let what = format!("key {declared:?}{rest}");
            let db = memory();
            run(&db, &format!("CREATE TABLE t(id {declared} NOT NULL PRIMARY KEY, x){rest}"));
            run(&db, "SELECT crsql_as_crr('t'); INSERT INTO t VALUES (1.0, 'a'), (2.5, 'b')");
            run(&db, "UPDATE t SET x = 'c' WHERE id = 1");
            let pks = rows(&db, "SELECT DISTINCT hex(pk) FROM crsql_changes ORDER BY 1");
            assert_eq!(pks, ["01024004000000000000", "010901"], "{what}");
            let kind = one(&db, "SELECT typeof(id) FROM t WHERE id = 1");
            let wanted = if declared == "REAL" { "real" } else { "integer" };
            assert_eq!(kind, wanted, "{what}: the canonical form is what the table holds");
            run(&db, "UPDATE t SET id = 3.0 WHERE id = 1; REPLACE INTO t VALUES (3, 'd')");
            let left = rows(&db, "SELECT hex(pk), cid, val, cl FROM crsql_changes ORDER BY 1, 2");
            assert_eq!(
                left,
                ["01024004000000000000|x|b|1", "010901|-1|NULL|2", "010903|x|d|1"],
                "{what}"
            );
        }
    }
}

#[test]
fn b4_rows_from_before_get_their_canonical_key() {
    let db = memory();
    run(
        &db,
        "CREATE TABLE t(id NOT NULL PRIMARY KEY, x);
        INSERT INTO t VALUES (1.0, 'a'), ('1', 'b'), (x'31', 'c'), (0.5, 'd'), (1e18, 'e'), (1e19,
        'f');
        SELECT crsql_as_crr('t')",
    );
    assert_eq!(
        rows(&db, "SELECT typeof(id), x FROM t ORDER BY x"),
        ["integer|a", "text|b", "blob|c", "real|d", "integer|e", "real|f"]
    );
    assert_eq!(int(&db, "SELECT count(DISTINCT pk) FROM crsql_changes"), 6);
}

#[test]
fn every_kind_of_table_that_is_fine() {
    for (create, insert) in [
        ("CREATE TABLE t(a TEXT NOT NULL, b INT NOT NULL, c, PRIMARY KEY(b, a))", "('x', 1, 2)"),
        ("CREATE TABLE t(a TEXT, b INT, c, PRIMARY KEY(b, a)) WITHOUT ROWID", "('x', 1, 2)"),
        ("CREATE TABLE t(id TEXT PRIMARY KEY, x ANY, y REAL) STRICT, WITHOUT ROWID", "('x', 1, 2)"),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY, x CHECK(x > 0), y DEFAULT (1 + 1))", "(1, 1, 2)"),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT COLLATE NOCASE)", "(1, 1)"),
        ("CREATE TABLE t(id INT NOT NULL PRIMARY KEY, x); CREATE INDEX tx ON t(x)", "(1, 1)"),
        ("CREATE TABLE t(id BLOB NOT NULL PRIMARY KEY, x)", "(x'00', 1)"),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY)", "(1)"),
        ("CREATE TABLE t(a NOT NULL, b NOT NULL, PRIMARY KEY(a, b))", "('x', '')"),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY ON CONFLICT REPLACE, x)", "(1, 1)"),
    ] {
        let db = accepted(create, &format!("INSERT INTO t VALUES {insert}"));
        run(&db, "DELETE FROM t");
        assert_eq!(rows(&db, "SELECT cid, cl FROM crsql_changes"), ["-1|2"], "{create}");
    }
}

#[test]
fn enabling_a_filled_table_stamps_its_rows_lowest() {
    for explicit in [false, true] {
        let db = memory();
        run(
            &db,
            "CREATE TABLE t(id INTEGER PRIMARY KEY, x, y);
        INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', 2);
            CREATE TABLE k(a TEXT NOT NULL, b NOT NULL, PRIMARY KEY(a, b));
            INSERT INTO k VALUES ('a', 1), ('a', 2);",
        );
        run(&db, if explicit { "BEGIN" } else { "" });
        run(&db, "SELECT crsql_as_crr('t'); SELECT crsql_as_crr('k');");
        run(&db, if explicit { "COMMIT" } else { "" });
        let all = "SELECT \"table\", hex(pk), cid, quote(val), col_version, cl FROM crsql_changes";
        assert_eq!(
            rows(&db, all),
            [
                "t|010901|x|'a'|1|1",
                "t|010901|y|NULL|1|1",
                "t|010902|x|'b'|1|1",
                "t|010902|y|2|1|1",
                "k|020B01610901|-1|NULL|1|1",
                "k|020B01610902|-1|NULL|1|1",
            ]
        );
        run(&db, "UPDATE t SET x = 'c' WHERE id = 1");
        assert!(int(&db, "SELECT col_version FROM crsql_changes WHERE val = 'c'") > 1 << 40);
    }
}

#[test]
fn enabling_in_a_transaction_can_be_rolled_back() {
    let db = memory();
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, 'a');
        BEGIN; SELECT crsql_as_crr('t'); INSERT INTO t VALUES (2, 'b');",
    );
    assert_eq!(feed(&db, 0).len(), 2);
    run(&db, "ROLLBACK");
    assert_eq!(int(&db, "SELECT count(*) FROM sqlite_schema"), 1);
    assert_eq!(feed(&db, 0).len(), 0);
    run(
        &db,
        "INSERT INTO t VALUES (3, 'c'); SAVEPOINT a; SELECT crsql_as_crr('t');
        INSERT INTO t VALUES (4, 'd');",
    );
    assert_eq!(feed(&db, 0).len(), 3);
    run(&db, "ROLLBACK TO a; INSERT INTO t VALUES (5, 'e'); SELECT crsql_as_crr('t'); RELEASE a;");
    assert_eq!(feed(&db, 0).len(), 3);
    run(&db, "INSERT INTO t VALUES (6, 'f')");
    assert_eq!(feed(&db, 0).len(), 4);
}

#[test]
fn as_table_undoes_it_all() {
    let db = memory();
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE TABLE u(id INTEGER PRIMARY KEY, x);
        SELECT crsql_as_crr('t'); SELECT crsql_as_crr('u');
        INSERT INTO t VALUES (1, 'a'); INSERT INTO u VALUES (1, 'b');",
    );
    assert_eq!(one(&db, "SELECT crsql_as_table('t')"), "OK");
    assert_eq!(
        rows(&db, "SELECT name FROM sqlite_schema WHERE tbl_name = 't'"),
        ["t"],
        "no trigger stays"
    );
    assert_eq!(int(&db, "SELECT count(*) FROM sqlite_schema WHERE name = 'crsql_clock_1'"), 0);
    run(&db, "UPDATE t SET x = 'c'; INSERT INTO t VALUES (2, 'd');");
    assert_eq!(rows(&db, "SELECT \"table\", val FROM crsql_changes"), ["u|b"]);
    assert_eq!(one(&db, "SELECT crsql_as_table('t')"), "OK", "idempotent");
    let before = version(&db);
    run(&db, "SELECT crsql_as_crr('t')");
    assert_eq!(version(&db), before + 1);
    let again =
        rows(&db, "SELECT hex(pk), val, col_version FROM crsql_changes WHERE \"table\" = 't'");
    assert_eq!(again, ["010901|c|1", "010902|d|1"]);
    run(
        &db,
        "UPDATE t SET x = 'e' WHERE id = 1; BEGIN; SELECT crsql_as_table('t'); ROLLBACK;
        UPDATE t SET x = 'f' WHERE id = 1",
    );
    assert_eq!(
        one(&db, "SELECT val FROM crsql_changes WHERE pk = x'010901' AND \"table\" = 't'"),
        "f"
    );
}

#[test]
fn a_table_of_2000_columns() {
    let columns: Vec<String> = (1..2000).map(|i| format!("c{i}")).collect();
    let db = memory();
    run(&db, &format!("CREATE TABLE t(id INTEGER PRIMARY KEY, {})", columns.join(", ")));
    run(
        &db,
        "INSERT INTO t(id, c7) VALUES (1, 7); SELECT crsql_as_crr('t');
        INSERT INTO t(id, c8) VALUES (2, 8);",
    );
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes"), 2 * 1999);
    run(&db, "UPDATE t SET c1 = 1, c63 = 63, c64 = 64, c65 = 65, c1999 = 1999 WHERE id = 1");
    assert_eq!(
        rows(&db, "SELECT cid, val, seq FROM crsql_changes WHERE db_version = 3"),
        ["c1|1|0", "c63|63|1", "c64|64|2", "c65|65|3", "c1999|1999|4"]
    );
    run(&db, "DELETE FROM t");
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes"), 2);
}

#[test]
fn two_thousand_tables() {
    let db = memory();
    let started = Instant::now();
    run(&db, "BEGIN");
    for i in 0..2000 {
        run(&db, &format!("CREATE TABLE t{i}(id INTEGER PRIMARY KEY, a, b, c)"));
    }
    for i in 0..2000 {
        run(&db, &format!("SELECT crsql_as_crr('t{i}')"));
    }
    run(&db, "COMMIT");
    let enabled = started.elapsed();
    let started = Instant::now();
    run(&db, "BEGIN");
    for i in 0..2000 {
        run(&db, &format!("INSERT INTO t{i} VALUES (1, 2, 3, 4)"));
    }
    run(&db, "COMMIT");
    let written = started.elapsed();
    let started = Instant::now();
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes"), 6000);
    run(
        &db,
        "ALTER TABLE t5 ADD COLUMN d; UPDATE t5 SET d = 1; SELECT count(*) FROM crsql_changes",
    );
    let read = started.elapsed();
    let all = format!("enabled in {enabled:?}, written in {written:?}, read in {read:?}");
    println!("{all}");
    assert!((enabled + written + read).as_secs() < 300, "{all}");
}
