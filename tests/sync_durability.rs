//! The promise: a process may be killed at any time, the power may fail, the file may be damaged,
//! locked or read-only: it opens, `crsql_check()` says what is wrong or nothing, and no version
//! that was sent is ever given to other data.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{
    Way, apply, assert_equal, changeset, everything, pull, settle, try_apply, vector,
};
use common::{Seeded, int, load, memory, one, open, rows, run, syncs};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w); SELECT crsql_as_crr('t');";
const CHILD: &str = "CRSQL_TEST_WRITES_TO";

/// Not a test but what the next test kills: it writes and merges until somebody ends it.
#[test]
fn writes_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let db = open(Path::new(&path));
    run(&db, "PRAGMA synchronous = NORMAL");
    let (other, r) = (memory(), &mut Seeded(std::process::id().into()));
    run(&other, T);
    for n in 0.. {
        let k = r.below(50);
        match r.below(5) {
            0 => run(&db, &format!("DELETE FROM t WHERE k = {k}")),
            1 => run(&db, &format!("UPDATE t SET v = {n} WHERE k < {k}")),
            2 => {
                run(&other, &format!("REPLACE INTO t VALUES({k}, hex(randomblob(200)), {n})"));
                pull(&db, &other);
            }
            3 => drop(pull(&other, &db)),
            _ => run(&db, &format!("REPLACE INTO t VALUES({k}, hex(randomblob(300)), {n})")),
        }
    }
}

fn killed_after(path: &Path, ms: u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(ms));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn h1_killed_at_any_time_it_opens_clean_and_has_no_holes() {
    let dir = tempfile::tempdir().unwrap();
    let mut versions = 0;
    for (n, mode) in ["WAL", "DELETE"].iter().cycle().take(20).enumerate() {
        let path = dir.path().join(format!("{mode}.db"));
        if n < 2 {
            run(&open(&path), &format!("PRAGMA journal_mode = {mode}; {T}"));
        }
        killed_after(&path, 60 + 17 * n as u64);
        let db = open(&path);
        assert_eq!(one(&db, "PRAGMA integrity_check"), "ok");
        assert_eq!(rows(&db, "SELECT * FROM crsql_check()"), [""; 0]);
        let head = int(&db, "SELECT crsql_db_version()");
        let own = "json_each(crsql_vector() ->> ('$.seen.' || lower(hex(crsql_site_id()))))";
        let spans = rows(&db, &format!("SELECT value ->> 0, value ->> 1 FROM {own}"));
        assert!(head == 0 || spans == [format!("1|{head}")], "{spans:?}");
        let fresh = memory();
        run(&fresh, T);
        settle(&[&fresh, &db]);
        assert_equal(&[&db, &fresh]);
        run(&db, "INSERT INTO t VALUES(1000, 1, 1); DELETE FROM t WHERE k = 1000");
        versions = versions.max(head);
    }
    assert!(versions > 20, "the child wrote {versions} versions");
}

fn file(dir: &Path, name: &str, pragmas: &str) -> Connection {
    let db = open(&dir.join(name));
    run(&db, pragmas);
    run(&db, T);
    run(&db, "INSERT INTO t VALUES(1, 1, 1); INSERT INTO t VALUES(2, 2, 2)");
    db
}

fn mark(db: &Connection) -> i64 {
    int(db, "SELECT mark FROM crsql_state")
}

/// In WAL mode with synchronous=NORMAL the log is put on the disk before own versions are sent,
/// once, however often and however they are asked for.
#[test]
fn h2_the_log_is_on_the_disk_before_versions_are_sent() {
    let dir = tempfile::tempdir().unwrap();
    let db = syncs::open(&dir.path().join("a.db"));
    run(&db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    run(&db, &format!("PRAGMA wal_autocheckpoint = 0; {T}"));
    let ways: [fn(&Connection); 3] = [
        |db| drop(changeset(db, r#"{"v":1}"#, None).unwrap()),
        |db| drop(rows(db, r#"SELECT pk FROM crsql_changes WHERE since = '{"v":1}'"#)),
        |db| drop(rows(db, "SELECT pk FROM crsql_changes WHERE db_version > 0")),
    ];
    for (n, ask) in ways.iter().enumerate() {
        let before = syncs::count();
        run(&db, &format!("INSERT INTO t VALUES({n}, 1, 1)"));
        assert_eq!(syncs::count(), before, "plain writes do not wait for the disk");
        ask(&db);
        assert_eq!(syncs::count(), before + 1, "way {n}");
        ways.iter().for_each(|ask| ask(&db));
        assert_eq!(syncs::count(), before + 1, "it is there already");
    }
    run(&db, "PRAGMA synchronous = FULL");
    let writer = open(&dir.path().join("a.db"));
    run(&writer, "PRAGMA synchronous = NORMAL; INSERT INTO t VALUES(100, 1, 1)");
    let before = syncs::count();
    ways.iter().for_each(|ask| ask(&db));
    assert_eq!(syncs::count(), before + 1, "what another connection wrote has its setting");
}

/// Without a write-ahead log a mark is written with synchronous=FULL; the setting is what it was,
/// and the mark is written once, not at every question.
#[test]
fn h2_a_mark_is_written_before_versions_are_sent() {
    let dir = tempfile::tempdir().unwrap();
    let db = file(dir.path(), "a.db", "PRAGMA journal_mode = DELETE; PRAGMA synchronous = NORMAL");
    assert_eq!(mark(&db), 0);
    assert!(changeset(&db, r#"{"v":1}"#, None).is_some());
    assert_eq!(mark(&db), 2);
    assert_eq!(int(&db, "PRAGMA synchronous"), 1);
    let watch = open(&dir.path().join("a.db"));
    let seen = int(&watch, "PRAGMA data_version");
    everything(&db);
    assert_eq!(seen, int(&watch, "PRAGMA data_version"), "nothing to write");
    run(&db, "UPDATE t SET v = 3");
    let v = vector(&memory());
    changeset(&db, &v, None).unwrap();
    assert_eq!(mark(&db), 3);
}

/// A connection that may not write, with no write-ahead log that it could put on the disk,
/// served what lies below the mark. But what a version above the mark wrote over, or won over, is
/// nowhere any more: the receiver counted it as seen, the power took the newer version, the older
/// write was back at its site, and nobody asked for it again (simulator, seed 201954). Now nothing
/// is served, and nobody believes the vector.
#[test]
fn h2_a_read_only_connection_serves_nothing_above_the_mark() {
    let dir = tempfile::tempdir().unwrap();
    let db = file(dir.path(), "a.db", "PRAGMA journal_mode = DELETE; PRAGMA synchronous = NORMAL");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(dir.path().join("a.db"), flags).unwrap();
    load(&reader);
    run(&reader, "PRAGMA synchronous = NORMAL");
    let ask = |db: &Connection| changeset(db, r#"{"v":1}"#, None);
    assert!(ask(&reader).is_none(), "nothing is promised yet");
    ask(&db).unwrap();
    let b = memory();
    run(&b, T);
    apply(&b, &ask(&reader).unwrap());
    assert_eq!(rows(&b, "SELECT k FROM t"), ["1", "2"]);
    run(&db, "UPDATE t SET v = 'newer'; INSERT INTO t VALUES(3, 3, 3)");
    assert!(ask(&reader).is_none());
    let c = memory();
    run(&c, T);
    Way::Rows.pull(&c, &reader);
    assert!(vector(&reader).contains("\"unsure\":true"));
    assert!(vector(&c).contains("\"seen\":{}"), "{}", vector(&c));
    assert_eq!(int(&c, "SELECT count(*) FROM crsql_peers"), 0, "nor is it an acknowledgement");
    ask(&db).unwrap();
    pull(&b, &reader);
    assert_equal(&[&b, &reader]);
}

/// The power fails after sending: the file is what it was before the writes that were not synced,
/// at worst up to the mark. What is written then under the same numbers is noticed.
#[test]
fn h2_a_file_that_lost_its_newest_commits_heals() {
    let dir = tempfile::tempdir().unwrap();
    let (live, safe) = (dir.path().join("a.db"), dir.path().join("safe.db"));
    let b = memory();
    run(&b, T);
    {
        let a = open(&live);
        run(&a, T);
        run(&a, "INSERT INTO t VALUES(1, 1, 1)");
        pull(&b, &a);
        pull(&a, &b);
        a.execute("VACUUM INTO ?1", [safe.to_str().unwrap()]).unwrap();
        run(&a, "INSERT INTO t VALUES(2, 'lost', 2)");
        pull(&b, &a);
    }
    std::fs::copy(&safe, &live).unwrap();
    let a = open(&live);
    run(&a, "INSERT INTO t VALUES(3, 'new', 3)");
    settle(&[&a, &b]);
    assert_equal(&[&a, &b]);
    assert_eq!(rows(&b, "SELECT k FROM t"), ["1", "2", "3"]);
}

const DAMAGE: &[&str] = &[
    "UPDATE crsql_clock_1 SET clock = x'ff'",
    "UPDATE crsql_clock_1 SET clock = x''",
    "DELETE FROM crsql_clock_1",
    "UPDATE crsql_log SET rows = x'ffffffffffff'",
    "UPDATE crsql_log SET stamp = -1, last_seq = -1",
    "DELETE FROM crsql_log",
    "UPDATE crsql_log SET deps = x'ff'",
    "DELETE FROM crsql_sites",
    "UPDATE crsql_state SET self = 99",
    "DELETE FROM crsql_state",
    "UPDATE crsql_state SET horizon = '{', deps = x'00', hand = 'x'",
    "UPDATE crsql_coverage SET lo = -5, hi = -7",
    "UPDATE crsql_coverage SET hi = 9223372036854775807",
    "UPDATE crsql_peers SET acked = '[', pulled = 'x'",
    "INSERT INTO crsql_staged VALUES(1, 1, 0, 5, 9, x'00')",
    "INSERT INTO crsql_held
     VALUES('t', x'010901', 'v', 1, -1, -1, x'00', -1, -1, 0, '', '', NULL, 0)",
    "INSERT INTO crsql_omits VALUES(77, 5, 1, 't')",
    "DELETE FROM crsql_tables",
    "DELETE FROM crsql_register",
    "UPDATE crsql_register SET name = 'zz', former = '{'",
    "UPDATE crsql_state SET format = 99, oldest_reader = 99",
    "DROP TABLE crsql_clock_1",
    "DROP TABLE crsql_log",
    "DROP TABLE crsql_coverage",
    "DELETE FROM t",
];

/// Our tables damaged by hand, one after the other: errors with a sentence or faults in the check,
/// never a crash, and writes that cannot be captured fail.
#[test]
fn h5_damaged_tables_are_an_error_and_not_a_crash() {
    let a = memory();
    run(&a, T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 1), (5, 'a', 5)");
    let blob = everything(&a);
    for sql in DAMAGE.iter().copied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.db");
        {
            let db = open(&path);
            run(&db, T);
            run(&db, "INSERT INTO t VALUES(1, 1, 1), (2, 2, 2); UPDATE t SET v = 3");
            pull(&db, &a);
            let own = Connection::open(&path).unwrap();
            run(&own, "PRAGMA recursive_triggers = OFF");
            if sql == "DELETE FROM t" {
                run(&own, "DROP TRIGGER \"crsql 1 delete: SELECT crsql_begin_alter('t') first\"");
            }
            own.execute_batch(sql).unwrap_or_else(|e| panic!("{e}: {sql}"));
        }
        let db = open(&path);
        for call in [
            "SELECT * FROM crsql_check()",
            "SELECT crsql_vector()",
            "SELECT count(*) FROM crsql_changes",
            "SELECT crsql_changeset()",
            "SELECT crsql_digest()",
            "SELECT crsql_digest(NULL, 'all')",
            "UPDATE t SET v = 9",
            "INSERT INTO t VALUES(9, 9, 9)",
            "DELETE FROM t WHERE k = 2",
            "SELECT crsql_new_site()",
            "SELECT crsql_db_version()",
            "SELECT * FROM crsql_held",
            "INSERT INTO crsql_changes VALUES('t', x'010901', 'v', 1, 5, 1, zeroblob(16), 1, 0)",
        ] {
            if let Err(e) = db.execute_batch(call) {
                assert!(e.to_string().len() > 12, "{sql}: {call}: {e}");
            }
            assert!(db.is_autocommit(), "{sql}: {call}");
        }
        let _ = try_apply(&db, &blob);
        assert_eq!(one(&db, "SELECT 1"), "1");
        db.close().unwrap();
    }
}

/// What the check finds, by name.
#[test]
fn h5_the_check_says_where_the_damage_is() {
    for (sql, fault) in [
        ("UPDATE crsql_clock_1 SET clock = x'ff' WHERE key = 1", "clock"),
        ("DELETE FROM crsql_clock_1 WHERE key = 1", "row"),
        ("DELETE FROM crsql_log", "log"),
    ] {
        let db = memory();
        run(&db, T);
        run(&db, "INSERT INTO t VALUES(1, 1, 1), (2, 2, 2)");
        run(&db, sql);
        let found = rows(&db, "SELECT fault, \"table\" FROM crsql_check()");
        assert!(found.contains(&format!("{fault}|t")), "{sql}: {found:?}");
    }
}

/// Read-only, and locked: it loads, reading works, what writes says why it cannot.
#[test]
fn h6_a_read_only_database_reads_and_says_why_it_does_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let a = file(dir.path(), "a.db", "PRAGMA synchronous = FULL");
    let path = dir.path().join("a.db");
    let other = memory();
    run(&other, T);
    run(&other, "INSERT INTO t VALUES(9, 9, 9)");
    let blob = everything(&other);
    let reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    load(&reader);
    assert_eq!(int(&reader, "SELECT count(*) FROM crsql_changes"), 4);
    assert_eq!(one(&reader, "SELECT hex(crsql_site_id())"), one(&a, "SELECT hex(crsql_site_id())"));
    assert_eq!(vector(&reader)[..40], vector(&a)[..40]);
    assert!(rows(&reader, "SELECT * FROM crsql_check()").is_empty());
    assert_eq!(one(&reader, "SELECT crsql_digest()"), one(&a, "SELECT crsql_digest()"));
    pull(&other, &reader);
    pull(&a, &other);
    assert_equal(&[&a, &other]);
    let e = try_apply(&reader, &blob).unwrap_err();
    assert!(e.contains("readonly") || e.contains("read-only") || e.contains("written"), "{e}");
    let empty = dir.path().join("empty.db");
    run(&Connection::open(&empty).unwrap(), "CREATE TABLE x(y)");
    let reader = Connection::open_with_flags(&empty, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    load(&reader);
    assert_eq!(one(&reader, "SELECT crsql_site_id()"), "NULL");
    assert_eq!(int(&reader, "SELECT count(*) FROM crsql_changes"), 0);
    assert!(vector(&reader).contains("\"site\":null"));
    assert!(try_apply(&reader, &blob).unwrap_err().contains("cannot be written"));
}

#[test]
fn h6_a_locked_database_loads_and_answers_busy() {
    let dir = tempfile::tempdir().unwrap();
    let a = file(dir.path(), "a.db", "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL");
    let b = memory();
    run(&b, T);
    run(&b, "INSERT INTO t VALUES(7, 7, 7)");
    let blob = everything(&b);
    run(&a, "BEGIN EXCLUSIVE");
    let db = Connection::open(dir.path().join("a.db")).unwrap();
    load(&db);
    db.busy_timeout(Duration::from_millis(1)).unwrap();
    for sql in
        ["SELECT crsql_vector()", "SELECT count(*) FROM crsql_changes", "SELECT crsql_changeset()"]
    {
        assert!(common::error(&db, sql).contains("locked"), "{sql}");
    }
    assert!(try_apply(&db, &blob).unwrap_err().contains("locked"));
    run(&a, "COMMIT");
    apply(&db, &blob);
    assert_eq!(int(&a, "SELECT count(*) FROM t"), 3);
    db.close().unwrap();
}

/// Whether the file has a log is asked once for what is known. A connection that leaves WAL mode,
/// or enters it, between two questions is answered all the same.
#[test]
fn h2_a_change_of_the_journal_between_two_questions() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir.path().join("a.db"));
    run(&db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    run(&db, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t')");
    for (n, mode) in [(1, "DELETE"), (2, "WAL"), (3, "TRUNCATE"), (4, "WAL")] {
        run(&db, &format!("INSERT INTO t VALUES({n}, 'x')"));
        one(&db, "SELECT crsql_vector()");
        assert_eq!(one(&db, &format!("PRAGMA journal_mode = {mode}")), mode.to_lowercase());
        let served = "SELECT crsql_changeset_info(crsql_changeset()) ->> '$.rows'";
        assert_eq!(int(&db, served), n, "in {mode}");
    }
}
