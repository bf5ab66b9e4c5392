//! `crsql_automigrate(schema)`: whatever the schema was, it is the text's afterwards, and rows,
//! versions and clocks of what stays are as they were; or there is an error, and nothing changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::copy_rows;
use common::{error, int, memory, one, rows, run, try_migrate};
use rusqlite::{Connection, params};

fn migrate(db: &Connection, schema: &str) {
    let answer = try_migrate(db, schema).unwrap_or_else(|e| panic!("{e}\nin: {schema}"));
    assert_eq!(answer, "migration complete");
}

/// Migrates, then again, which changes nothing.
fn migrate_twice(db: &Connection, schema: &str) {
    migrate(db, schema);
    let before = everything(db);
    migrate(db, schema);
    assert_eq!(everything(db), before, "a second time changes nothing: {schema}");
}

/// Every object of the schema and its version; every row; every change with its versions.
fn everything(db: &Connection) -> Vec<String> {
    // Reading changes brings the register up to date, so it comes first.
    let mut all = changes(db, "true");
    all.extend(rows(db, "PRAGMA schema_version"));
    all.extend(rows(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2"));
    let tables = rows(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1");
    for table in tables {
        all.push(table.clone());
        all.extend(rows(db, &format!("SELECT * FROM \"{}\"", table.replace('"', "\"\""))));
    }
    all
}

fn changes(db: &Connection, which: &str) -> Vec<String> {
    rows(db, &format!("SELECT *, quote(val) FROM crsql_changes WHERE {which}"))
}

/// A migration that has to fail, and to leave everything as it was.
fn refused(db: &Connection, schema: &str) -> String {
    let before = everything(db);
    let error = try_migrate(db, schema).expect_err(schema);
    assert_eq!(everything(db), before, "an error leaves everything: {schema}");
    assert!(db.is_autocommit());
    error
}

fn columns(db: &Connection, table: &str) -> Vec<String> {
    rows(db, &format!("SELECT name FROM pragma_table_xinfo('{table}')"))
}

fn tables(db: &Connection) -> Vec<String> {
    rows(
        db,
        "SELECT name FROM sqlite_schema WHERE type = 'table'
         AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'crsql%' ORDER BY 1",
    )
}

fn indexes(db: &Connection) -> Vec<String> {
    rows(
        db,
        "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL
         AND tbl_name NOT LIKE 'crsql%' ORDER BY name",
    )
}

fn same_rows(a: &Connection, b: &Connection, sql: &str) {
    let found = rows(a, sql);
    assert!(!found.is_empty());
    assert_eq!(found, rows(b, sql), "{sql}");
}

#[test]
fn from_nothing_to_something_and_back() {
    let db = memory();
    migrate_twice(&db, "");
    let schema = "
        CREATE TABLE IF NOT EXISTS foo (a primary key, b);
        CREATE TABLE IF NOT EXISTS bar (a NOT NULL, b NOT NULL, c, primary key(a, b));
        SELECT crsql_as_crr('bar');
        CREATE INDEX IF NOT EXISTS foo_b ON foo (b);";
    migrate_twice(&db, schema);
    assert_eq!(tables(&db), ["bar", "foo"]);
    assert_eq!(indexes(&db), ["CREATE INDEX foo_b ON foo (b)"]);
    run(&db, "INSERT INTO foo VALUES (1, 2); INSERT INTO bar VALUES (1, 2, 3)");
    assert_eq!(changes(&db, "\"table\" = 'bar'").len(), 1);
    let with_cleanup = "SELECT crsql_automigrate('', 'SELECT crsql_finalize();')";
    assert_eq!(one(&db, with_cleanup), "migration complete");
    assert!(tables(&db).is_empty());
    assert!(changes(&db, "true").is_empty());
    migrate(&db, schema);
    run(&db, "INSERT INTO bar VALUES (1, 2, 4)");
    assert_eq!(changes(&db, "\"table\" = 'bar'").len(), 1);
}

#[test]
fn columns_come_and_go() {
    let db = memory();
    run(&db, "CREATE TABLE todo (id PRIMARY KEY, content TEXT, done INTEGER, list)");
    run(&db, "INSERT INTO todo VALUES (1, 'one', 0, 'x'), (2, 'two', 1, 'y')");
    migrate_twice(
        &db,
        "CREATE TABLE todo (id PRIMARY KEY, -- the key
           content TEXT, done INTEGER,
           due TEXT NOT NULL DEFAULT 'never, ever' COLLATE NOCASE, /* , */
           \"a, b\" NUMERIC(4, 2) DEFAULT 1.5 CHECK (\"a, b\" < 10),
           loud AS (upper(later)), later TEXT GENERATED ALWAYS AS (due || '!'),
           UNIQUE (id, content))",
    );
    assert_eq!(
        columns(&db, "todo"),
        ["id", "content", "done", "due", "a, b", "later", "loud"],
        "generated columns wait for those that they name"
    );
    assert_eq!(
        rows(&db, "SELECT * FROM todo WHERE id = 1"),
        ["1|one|0|never, ever|1.5|never, ever!|NEVER, EVER!"]
    );
    assert_eq!(int(&db, "SELECT count(*) FROM todo WHERE due = 'NEVER, ever'"), 2);
    error(&db, "UPDATE todo SET \"a, b\" = 11");
    error(&db, "UPDATE todo SET due = NULL");
    migrate_twice(&db, "CREATE TABLE todo (id PRIMARY KEY, due TEXT, x AS (lower(due)))");
    assert_eq!(columns(&db, "todo"), ["id", "due", "x"]);
    migrate_twice(&db, "CREATE TABLE todo (id PRIMARY KEY, due TEXT, x AS (due || 1))");
    assert_eq!(rows(&db, "SELECT * FROM todo WHERE id = 2"), ["2|never, ever|never, ever1"]);
    // Every column but the key changes its name: two columns, of which none is that of before.
    run(&db, "CREATE TABLE nokey (a, b); INSERT INTO nokey VALUES (1, 2)");
    migrate_twice(&db, "CREATE TABLE nokey (c DEFAULT 3, d)");
    assert_eq!(rows(&db, "SELECT c, d FROM nokey"), ["3|NULL"]);
}

#[test]
fn what_alter_cannot_do_is_left_or_refused() {
    let db = memory();
    run(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, s AS (a) STORED)");
    run(&db, "INSERT INTO t VALUES (1, 'x')");
    let is = |schema: &str, sentence: &str| {
        let e = refused(&db, schema);
        assert!(e.contains(sentence), "{e}");
    };
    let key = "automigrate cannot change the primary key of t";
    is("CREATE TABLE t (id INTEGER, a TEXT PRIMARY KEY, s AS (a) STORED)", key);
    is("CREATE TABLE t (id INTEGER, a TEXT, s AS (a) STORED)", key);
    is("CREATE TABLE t (id INTEGER, a TEXT, n, PRIMARY KEY (id, n))", key);
    let stored = "automigrate cannot change how column s of t is generated";
    is("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, s AS (a || a) STORED)", stored);
    is("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, s)", stored);
    let (head, tail) = ("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, s AS (a) STORED", ")");
    is(&format!("{head}, n NOT NULL{tail}"), "NOT NULL");
    is(&format!("{head}, n UNIQUE{tail}"), "UNIQUE");
    is(&format!("{head}, n AS (a) STORED{tail}"), "STORED");
    is(&format!("{head}, n DEFAULT (random()){tail}"), "default");
    is(&format!("CREATE TABLE u(a); {head}, n CHECK (n IS NOT NULL){tail}"), "CHECK");
    // The type, the default and the constraints of what stays are not looked at, nor the order.
    let before = everything(&db);
    migrate(&db, "CREATE TABLE T (S AS (a) STORED, A BLOB NOT NULL, ID INT PRIMARY KEY, CHECK(1))");
    assert_eq!(everything(&db), before);
}

#[test]
fn indexes_follow() {
    let db = memory();
    let table = "CREATE TABLE foo (a PRIMARY KEY, b, c);";
    run(&db, table);
    run(&db, "INSERT INTO foo VALUES (1, 1, 1), (2, 1, 2)");
    for index in [
        "CREATE INDEX IF NOT EXISTS i ON foo (b)",
        "CREATE INDEX i ON foo (b, c)",
        "CREATE INDEX i ON foo (c, b)",
        "CREATE INDEX i ON foo (c DESC, b)",
        "CREATE UNIQUE INDEX i ON foo (c)",
        "CREATE INDEX i ON foo (c) WHERE b > 1",
        "CREATE INDEX i ON foo (c) WHERE b > 2",
        "CREATE INDEX i ON foo (b || c)",
        "CREATE INDEX i ON foo (b COLLATE NOCASE)",
    ] {
        migrate_twice(&db, &format!("{table}{index}"));
        assert_eq!(indexes(&db), [index.replace("IF NOT EXISTS ", "")]);
    }
    let before = everything(&db);
    migrate(&db, &format!("{table} create index  \"i\" ON [foo](\n`b` collate NoCase -- so\n);"));
    assert_eq!(everything(&db), before, "it says the same");
    refused(&db, &format!("{table} CREATE UNIQUE INDEX i ON foo (b)"));
    // An index of the same name on another table; and a column that goes with its index.
    let other = "CREATE TABLE bar (x);";
    migrate_twice(&db, &format!("{table}{other} CREATE INDEX i ON bar (x)"));
    migrate_twice(&db, &format!("{table} CREATE INDEX i ON foo (c)"));
    migrate_twice(&db, "CREATE TABLE foo (a PRIMARY KEY, b)");
    assert!(indexes(&db).is_empty());
}

#[test]
fn views_and_triggers() {
    let db = memory();
    let base = "CREATE TABLE t (a, b); CREATE TABLE log (x);";
    let view = "CREATE VIEW IF NOT EXISTS v AS SELECT a, b FROM t;";
    let trigger = "CREATE TRIGGER r AFTER INSERT ON t BEGIN
        INSERT INTO log VALUES (CASE WHEN NEW.a THEN 'y' ELSE 'n;' END); SELECT 1; END;";
    migrate_twice(&db, &format!("{base}{view}{trigger}"));
    run(&db, "INSERT INTO t VALUES (1, 2)");
    assert_eq!(rows(&db, "SELECT * FROM log"), ["y"]);
    run(
        &db,
        "CREATE TRIGGER own INSTEAD OF DELETE ON v BEGIN DELETE FROM t WHERE a = OLD.a; END;
         CREATE VIEW mine AS SELECT 1",
    );
    // The view and the trigger name a column that goes.
    migrate_twice(
        &db,
        "CREATE TABLE t (a); CREATE TABLE log (x); CREATE VIEW v AS SELECT a FROM t;
         CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.a); END",
    );
    run(&db, "INSERT INTO t VALUES (7); DELETE FROM v WHERE a = 1");
    assert_eq!(rows(&db, "SELECT * FROM log"), ["y", "7"]);
    assert_eq!(rows(&db, "SELECT a FROM v"), ["7"]);
    assert_eq!(one(&db, "SELECT * FROM mine"), "1");
    // Left alone, a view that needs a column keeps it.
    let e = refused(&db, "CREATE TABLE t (z); CREATE TABLE log (x)");
    assert!(e.contains("view v") || e.contains("trigger r"), "{e}");
    // A table takes a view's place.
    migrate_twice(&db, "CREATE TABLE t (a); CREATE TABLE log (x); CREATE TABLE mine (b)");
}

#[test]
fn the_rows_of_a_replicated_table_keep_their_versions() {
    let v1 = "CREATE TABLE doc (id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT, n INTEGER);
        CREATE INDEX doc_n ON doc (n);
        SELECT crsql_as_crr('doc');";
    let v2 = "CREATE TABLE doc (id TEXT PRIMARY KEY NOT NULL, title TEXT, n INTEGER,
            tag TEXT NOT NULL DEFAULT 'none', size AS (length(title)));
        CREATE TABLE more (id INTEGER PRIMARY KEY NOT NULL, x);
        CREATE INDEX doc_n ON doc (n, tag);
        SELECT crsql_as_crr('doc');
        SELECT crsql_as_crr('main', 'more');";
    let (a, b) = (memory(), memory());
    for db in [&a, &b] {
        migrate_twice(db, v1);
    }
    run(&a, "INSERT INTO doc VALUES ('a', 'A', 'x', 1), ('b', 'B', 'y', 2)");
    run(&b, "INSERT INTO doc VALUES ('c', 'C', 'z', 3)");
    run(&a, "UPDATE doc SET title = 'AA' WHERE id = 'a'; DELETE FROM doc WHERE id = 'b'");
    copy_rows(&a, &b);
    let kept = changes(&a, "cid <> 'body'");
    migrate_twice(&a, v2);
    assert_eq!(changes(&a, "true"), kept, "what stays keeps its value, versions and place");
    assert_eq!(rows(&a, "SELECT * FROM doc"), ["a|AA|1|none|2"]);
    // The peer is behind, then follows; both go on writing in between.
    run(&a, "UPDATE doc SET tag = 'new', n = 10; INSERT INTO more VALUES (1, 'm')");
    run(&b, "UPDATE doc SET title = 'from b', body = 'lost' WHERE id = 'a'");
    copy_rows(&a, &b);
    migrate_twice(&b, v2);
    for _ in 0..2 {
        copy_rows(&b, &a);
        copy_rows(&a, &b);
    }
    same_rows(&a, &b, "SELECT * FROM doc ORDER BY id");
    same_rows(&a, &b, "SELECT * FROM more ORDER BY id");
    assert_eq!(rows(&a, "SELECT * FROM doc"), ["a|from b|10|new|6", "c|C|3|none|1"]);
}

#[test]
fn changes_of_the_open_transaction_are_kept() {
    let db = memory();
    migrate(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); SELECT crsql_as_crr('t')");
    run(&db, "BEGIN; INSERT INTO t VALUES (1, 2, 3); SAVEPOINT s");
    migrate(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY, b, c DEFAULT 4)");
    run(&db, "UPDATE t SET c = 5");
    run(&db, "ROLLBACK TO s");
    assert_eq!(columns(&db, "t"), ["id", "a", "b"]);
    migrate(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY, b, d DEFAULT 4)");
    run(&db, "INSERT INTO t VALUES (2, 6, 7)");
    assert!(try_migrate(&db, "CREATE TABLE t (x PRIMARY KEY)").is_err());
    run(&db, "COMMIT");
    assert_eq!(rows(&db, "SELECT * FROM t"), ["1|3|4", "2|6|7"]);
    let cells = rows(&db, "SELECT hex(pk), cid, val, db_version FROM crsql_changes ORDER BY 1, 2");
    assert_eq!(cells, ["010901|b|3|1", "010902|b|6|1", "010902|d|7|1"]);
}

#[test]
fn a_replicated_table_goes_and_a_schema_that_cannot_be_replicated_is_refused() {
    let db = memory();
    let t = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a);";
    migrate(
        &db,
        &format!(
            "{t} CREATE TABLE u (id INTEGER PRIMARY KEY NOT NULL, a); \
        SELECT crsql_as_crr('t'); SELECT crsql_as_crr('u');"
        ),
    );
    run(&db, "INSERT INTO t VALUES (1, 'x'); INSERT INTO u VALUES (1, 'x')");
    // Not named any more, it stays replicated; so what does not fit is refused all the same.
    for more in [
        "CREATE UNIQUE INDEX i ON t (a)",
        "CREATE UNIQUE INDEX i ON t (a); SELECT crsql_as_crr('t')",
    ] {
        let e = refused(
            &db,
            &format!("{t} CREATE TABLE u (id INTEGER PRIMARY KEY NOT NULL, a); {more}"),
        );
        assert!(e.contains("UNIQUE index i"), "{e}");
    }
    migrate_twice(&db, t);
    run(&db, "UPDATE t SET a = 'y'");
    assert_eq!(rows(&db, "SELECT \"table\", val FROM crsql_changes"), ["t|y"]);
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_check()"), 0);
}

#[test]
fn errors_leave_everything() {
    let db = memory();
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a); SELECT crsql_as_crr('t');";
    migrate(&db, schema);
    run(&db, "INSERT INTO t VALUES (1, 'x'); CREATE TABLE old (z); INSERT INTO old VALUES (1)");
    let is = |schema: &str, sentence: &str| {
        let e = refused(&db, schema);
        assert!(e.contains(sentence), "{e}");
    };
    is("CREATE TABEL t (a)", "CREATE TABEL t (a)");
    is("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL", "incomplete input");
    is("CREATE TABLE t (a); CREATE TABLE t (b)", "already exists");
    is("CREATE INDEX i ON nowhere (a)", "no such table");
    is("CREATE TEMP TABLE x (a)", "temporary");
    is("CREATE TABLE temp.x (a)", "temporary");
    is("CREATE TABLE aux.x (a)", "unknown database");
    is("CREATE VIRTUAL TABLE aux.x USING fts5(a)", "main database");
    is("DROP TABLE t", "run this one by itself: DROP TABLE t");
    is("SELECT crsql_as_crr(name) FROM x", "SELECT crsql_as_crr(name) FROM x");
    is("SELECT crsql_as_crr('t'), 1", "names for arguments");
    is("INSERT INTO t VALUES (2, 'y')", "INSERT INTO t");
    is("PRAGMA user_version = 7", "PRAGMA");
    is(&format!("{schema} SELECT crsql_as_crr('nowhere')"), "nowhere");
    is(
        "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a); CREATE TABLE n (a);
        SELECT crsql_as_crr('n')",
        "no primary key",
    );
    let before = everything(&db);
    let call = |cleanup: &str| format!("SELECT crsql_automigrate('{}', '{cleanup}')", "");
    for cleanup in ["COMMIT", "SELECT 1; rollback", "nonsense", "INSERT INTO nowhere VALUES (1)"] {
        error(&db, &call(cleanup));
        assert_eq!(everything(&db), before, "{cleanup}");
    }
    for wrong in ["NULL", "1", "x''00''"] {
        error(&db, &format!("SELECT crsql_automigrate({})", wrong.replace("''", "'")));
    }
    let e = error(&db, "SELECT crsql_automigrate('') FROM t");
    assert!(e.contains("reads no table"), "{e}");
    assert_eq!(everything(&db), before);
}

#[test]
fn the_cleanup_runs_on_the_new_schema() {
    let db = memory();
    run(&db, "CREATE TABLE t (id PRIMARY KEY, a); INSERT INTO t VALUES (1, 2)");
    let schema = "CREATE TABLE t (id PRIMARY KEY, a, b); SELECT crsql_as_crr('u');
        CREATE TABLE u (id INTEGER PRIMARY KEY NOT NULL, v)";
    let cleanup = "UPDATE t SET b = a * 2; INSERT INTO u VALUES (1, ';'); SELECT * FROM t;";
    let mut stmt = db.prepare("SELECT crsql_automigrate(?1, ?2)").unwrap();
    let answer: String = stmt.query_row([schema, cleanup], |r| r.get(0)).unwrap();
    assert_eq!(answer, "migration complete");
    assert_eq!(rows(&db, "SELECT * FROM t"), ["1|2|4"]);
    assert_eq!(rows(&db, "SELECT val FROM crsql_changes"), [";"]);
    let none: String = stmt.query_row(params![schema, None::<String>], |r| r.get(0)).unwrap();
    assert_eq!(none, "migration complete");
}
