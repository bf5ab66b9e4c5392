//! Many connections and processes write one file: every transaction has a version of its own and
//! none is left out. cr-sqlite kept the version in memory and gave it twice. A process that has not
//! loaded crsql is refused, loudly; corrosion has seen unseen writes become gaps for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{bare, error, int, memory, one, open, rows, run, shell};
use rusqlite::Connection;
use std::path::Path;

const EACH: i64 = 150;

fn file(dir: &Path) -> Connection {
    let db = open(&dir.join("x.db"));
    run(
        &db,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
        CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, who, n);
        SELECT crsql_as_crr('t');",
    );
    db
}

fn whole(db: &Connection, writers: i64) {
    let n = writers * EACH;
    assert_eq!(int(db, "SELECT count(*) FROM t"), n);
    assert_eq!(
        rows(
            db,
            "SELECT min(db_version), max(db_version), count(DISTINCT db_version) FROM crsql_changes"
        ),
        [format!("1|{n}|{n}")]
    );
    let stamps = "SELECT count(*) FROM (SELECT col_version,
        lag(col_version) OVER (ORDER BY db_version) AS before
        FROM crsql_changes WHERE cid = 'who') WHERE col_version <= before";
    assert_eq!(int(db, stamps), 0, "stamps ascend with the versions");
    let two = "SELECT count(*) FROM (SELECT 1 FROM crsql_changes GROUP BY db_version HAVING
        count(*) != 2 OR max(seq) != 1)";
    assert_eq!(int(db, two), 0);
    assert_eq!(rows(db, "PRAGMA integrity_check"), ["ok"]);
}

#[test]
fn c11_connections_of_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let db = file(dir.path());
    std::thread::scope(|scope| {
        for who in 0..4 {
            let path = dir.path().join("x.db");
            scope.spawn(move || {
                let db = open(&path);
                for n in 0..EACH {
                    let insert = format!("INSERT INTO t VALUES ('{who} {n}', {who}, {n})");
                    match n % 3 {
                        0 => run(&db, &insert),
                        1 => run(
                            &db,
                            &format!(
                                "BEGIN IMMEDIATE; {insert};
                        SELECT count(*) FROM crsql_changes WHERE db_version > {n}; COMMIT"
                            ),
                        ),
                        _ => run(
                            &db,
                            &format!(
                                "BEGIN IMMEDIATE; SAVEPOINT a; DELETE FROM t;
                        ROLLBACK TO a; {insert}; COMMIT"
                            ),
                        ),
                    }
                }
            });
        }
    });
    whole(&db, 4);
}

#[test]
fn c11_processes() {
    let dir = tempfile::tempdir().unwrap();
    let db = file(dir.path());
    std::thread::scope(|scope| {
        for who in 0..3 {
            let path = dir.path();
            scope.spawn(move || {
                let mut script = String::from(".timeout 60000\nPRAGMA synchronous = OFF;\n");
                for n in 0..EACH {
                    script += &format!("INSERT INTO t VALUES ('{who} {n}', {who}, {n});\n");
                }
                let out = shell::run(&shell::library(), "x.db", path, &script);
                assert_eq!(out.stderr, "");
            });
        }
        for n in 0..EACH {
            run(
                &db,
                &format!("BEGIN IMMEDIATE; INSERT INTO t VALUES ('here {n}', 'here', {n}); COMMIT"),
            );
        }
    });
    whole(&db, 4);
}

#[test]
fn c5_a_writer_without_the_extension_is_refused_aloud() {
    let dir = tempfile::tempdir().unwrap();
    let db = file(dir.path());
    run(&db, "INSERT INTO t VALUES ('a', 1, 1); CREATE TABLE plain(x);");
    for sql in [
        "INSERT INTO t VALUES ('b', 1, 1)",
        "UPDATE t SET n = 2",
        "DELETE FROM t",
        "REPLACE INTO t VALUES ('a', 2, 2)",
    ] {
        let said = bare(dir.path(), &format!("{sql};"));
        assert!(said.contains("no such function: crsql_internal"), "{sql}: {said}");
    }
    let said = bare(
        dir.path(),
        "INSERT INTO plain VALUES (1); SELECT count(*) FROM t; VACUUM; PRAGMA integrity_check;",
    );
    assert_eq!(said, "1\nok\n", "reading, other tables and VACUUM need no crsql");
    assert_eq!(rows(&db, "SELECT id, who, n FROM t"), ["a|1|1"]);
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes"), 2);
    let dump = bare(dir.path(), ".dump t");
    assert!(dump.contains("INSERT INTO t VALUES('a',1,1)"), "{dump}");
}

#[test]
fn b10_vacuum_renumbers_nothing_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let db = file(dir.path());
    run(
        &db,
        "INSERT INTO t VALUES ('a', 1, 1), ('b', 2, 2), ('c', 3, 3); DELETE FROM t WHERE id = 'a'",
    );
    let before = common::feed(&db, 0);
    bare(dir.path(), "VACUUM;");
    assert_eq!(common::feed(&db, 0), before);
    run(&db, "VACUUM; UPDATE t SET n = 9 WHERE id = 'c'");
    assert_eq!(common::feed(&db, 2).len(), 1);
    assert_eq!(common::feed(&db, 0).len(), before.len());
}

/// A backup was attached, and written in one transaction with the file it is a copy of. Its
/// triggers have the numbers of the file's own, so its rows were captured as rows of the file,
/// and sent. Now it is refused; files that are no copies are written together as before.
#[test]
fn b11_an_attached_copy_is_not_captured_as_the_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    let db = file(dir.path());
    run(&db, "INSERT INTO t VALUES('both', 1, 1)");
    let path = |name: &str| format!("'{}'", dir.path().join(name).display());
    run(&db, &format!("VACUUM INTO {}; ATTACH {0} AS \"a \"\"copy\"", path("copy.db")));
    run(&db, &format!("ATTACH {} AS beside; CREATE TABLE beside.notes(x)", path("beside.db")));
    let copy = "INSERT INTO \"a \"\"copy\".t VALUES('of the copy', 1, 1)";
    error(&db, copy);
    run(&db, "BEGIN; INSERT INTO beside.notes VALUES(1); INSERT INTO t VALUES('main', 1, 1)");
    for _ in 0..2 {
        let text = error(&db, copy);
        assert!(text.contains("a \"copy is a copy of the main one"), "{text}");
    }
    run(&db, "COMMIT");
    // What is refused has begun to write the copy: until the end, main cannot be told from it.
    run(&db, "BEGIN; DELETE FROM \"a \"\"copy\".t WHERE id = 'nobody'");
    error(&db, "INSERT INTO t VALUES('unclear', 1, 1)");
    run(&db, "ROLLBACK; BEGIN; SELECT * FROM \"a \"\"copy\".t; UPDATE t SET n = 2; COMMIT");
    assert_eq!(rows(&db, "SELECT id, n FROM t"), ["both|2", "main|2"]);
    assert_eq!(rows(&db, "SELECT id, n FROM \"a \"\"copy\".t"), ["both|1"]);
    assert_eq!(int(&db, "SELECT count(DISTINCT pk) FROM crsql_changes"), 2);
    assert_eq!(rows(&db, "SELECT * FROM crsql_check()"), Vec::<String>::new());
}

/// A connection that had read the schema before another one made the first table of the file a
/// replicated one did not see that ours were there, until it ran a statement of its own: its first
/// `crsql_apply` failed with "table crsql_state already exists", and its answers were those of a
/// file without crsql.
#[test]
fn l4_a_table_that_another_connection_made_replicated_is_seen_at_once() {
    let peer = memory();
    run(&peer, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t')");
    run(&peer, "INSERT INTO t VALUES(2, 'peer')");
    let hex: String = peer.query_row("SELECT hex(crsql_changeset())", [], |r| r.get(0)).unwrap();
    let answers = [
        "SELECT crsql_db_version()",
        "SELECT crsql_next_db_version()",
        "SELECT hex(crsql_site_id())",
        "SELECT crsql_digest()",
        "SELECT crsql_config_get('max-drift-ms')",
        "SELECT crsql_begin_alter('t')",
        "SELECT crsql_as_crr('t')",
        "SELECT count(*) FROM crsql_changes",
    ];
    let apply = format!("SELECT crsql_apply(x'{hex}') ->> '$.applied'");
    for sql in answers.into_iter().chain([apply.as_str()]) {
        let dir = tempfile::tempdir().unwrap();
        let early = open(&dir.path().join("t.db"));
        run(&early, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v)");
        let later = open(&dir.path().join("t.db"));
        run(&later, "SELECT crsql_as_crr('t'); INSERT INTO t VALUES(1, 'x')");
        run(&later, "SELECT crsql_config_set('max-drift-ms', 5)");
        let answer = one(&early, sql);
        if sql.contains("apply") {
            assert_eq!(answer, "1");
        } else {
            assert_eq!(answer, one(&later, sql), "{sql}");
        }
    }
}
