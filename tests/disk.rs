//! The promise: where the disk fails, nothing is sent that is not on it, the error is SQLite's own,
//! and a disk that works again finds everything as it was. A commit whose fsync failed may or may
//! not be on the disk; whoever counts on it sends versions that are given again later. And crsql
//! never checkpoints a WAL: until SQLite 3.51.3 two connections that did at once could lose
//! commits (the WAL-reset bug), so that is left to the application.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::disk::{Disk, Fault};
use common::sync::{apply, assert_equal, changeset, everything, settle, try_apply, vector};
use common::{error, int, memory, one, open, rows, run};
use rusqlite::Connection;
use std::path::Path;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t');";
const FAULTS: [Fault; 3] = [Fault::Sync, Fault::Full, Fault::Torn];

fn filled(disk: &Disk, path: &Path, mode: &str) -> Connection {
    let db = disk.open(path);
    run(&db, &format!("PRAGMA journal_mode = {mode}; PRAGMA synchronous = NORMAL; {T}"));
    run(&db, "INSERT INTO t VALUES (1, 'one'), (2, 'two')");
    db
}

/// Nothing that was tried is there, and a file that is opened again says the same.
fn whole(db: &Connection, path: &Path) {
    for db in [db, &open(path)] {
        assert_eq!(one(db, "PRAGMA integrity_check"), "ok");
        assert_eq!(rows(db, "SELECT * FROM crsql_check()"), [""; 0]);
        // The vector tells of own versions once they are on the disk.
        everything(db);
        let own = "json_each(crsql_vector() ->> ('$.seen.' || lower(hex(crsql_site_id()))))";
        let spans = rows(db, &format!("SELECT value ->> 0, value ->> 1 FROM {own}"));
        assert_eq!(spans, [format!("1|{}", int(db, "SELECT crsql_db_version()"))]);
    }
}

/// A large write, so that pages go to the disk before the commit too.
const WRITE: &str = "WITH n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
                     INSERT INTO t SELECT i, randomblob(2000) FROM n";

#[test]
fn h3_a_write_on_a_broken_disk_fails_whole_and_spends_no_version() {
    let dir = tempfile::tempdir().unwrap();
    for mode in ["DELETE", "WAL"] {
        for fault in FAULTS {
            let disk = Disk::new();
            let path = dir.path().join(format!("{mode}{fault:?}.db"));
            let a = filled(&disk, &path, mode);
            run(&a, "PRAGMA synchronous = FULL; PRAGMA cache_size = 50");
            disk.fails(fault);
            let why = error(&a, WRITE);
            let told = if fault == Fault::Full { "full" } else { "disk I/O error" };
            assert!(why.contains(told), "{mode} {fault:?}: {why}");
            // While the disk is broken every further write says so too.
            assert!(error(&a, "UPDATE t SET v = 'more'").contains(told), "{mode} {fault:?}");
            disk.fails(Fault::Nothing);
            whole(&a, &path);
            assert_eq!(int(&a, "SELECT crsql_db_version()"), 1, "{mode} {fault:?}");
            run(&a, "INSERT INTO t VALUES (3, 'three')");
            let b = memory();
            run(&b, T);
            settle(&[&a, &b]);
            assert_equal(&[&a, &b]);
            assert_eq!(rows(&b, "SELECT k FROM t"), ["1", "2", "3"]);
        }
    }
}

/// What is sent is on the disk (threat H2): where it cannot be put there, it is not sent. In WAL
/// mode that takes a sync of the log and no write.
#[test]
fn h3_what_cannot_be_made_durable_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let cases = FAULTS.map(|fault| ("DELETE", fault)).into_iter().chain([("WAL", Fault::Sync)]);
    for (mode, fault) in cases {
        let disk = Disk::new();
        let path = dir.path().join(format!("{mode}{fault:?}.db"));
        let a = filled(&disk, &path, mode);
        disk.fails(fault);
        let why = error(&a, "SELECT crsql_changeset()");
        let told = ["full", "disk I/O error", "could not be put on the disk"];
        assert!(told.iter().any(|t| why.contains(t)), "{mode} {fault:?}: {why}");
        assert_eq!(int(&a, "PRAGMA synchronous"), 1, "the setting is what it was");
        disk.fails(Fault::Nothing);
        let blob = everything(&a);
        whole(&a, &path);
        let b = memory();
        run(&b, T);
        apply(&b, &blob);
        assert_equal(&[&a, &b]);
    }
}

#[test]
fn h3_a_changeset_that_cannot_be_stored_is_not_seen() {
    let dir = tempfile::tempdir().unwrap();
    let b = memory();
    run(&b, T);
    run(&b, WRITE);
    let blob = everything(&b);
    for mode in ["DELETE", "WAL"] {
        for fault in FAULTS {
            let disk = Disk::new();
            let path = dir.path().join(format!("{mode}{fault:?}.db"));
            let a = filled(&disk, &path, mode);
            run(&a, "PRAGMA synchronous = FULL; PRAGMA cache_size = 50");
            let before = vector(&a);
            let seen = |v: &str| v.split("\"now\"").next().unwrap().to_owned();
            disk.fails(fault);
            try_apply(&a, &blob).unwrap_err();
            disk.fails(Fault::Nothing);
            assert_eq!(seen(&vector(&a)), seen(&before), "{mode} {fault:?}");
            whole(&a, &path);
            apply(&a, &blob);
            assert_eq!(int(&a, "SELECT count(*) FROM t"), 893, "{mode} {fault:?}");
        }
    }
}

/// Everything that crsql does, and the file beside the WAL has not a byte more: the pages wait for
/// the application's own checkpoint.
#[test]
fn h4_crsql_never_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let a = open(&path);
    run(&a, &format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {T}"));
    run(&a, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0");
    let before = std::fs::read(&path).unwrap();
    let b = memory();
    run(&b, T);
    run(&b, "INSERT INTO t VALUES (5, 'five'), (6, 'six')");
    run(&a, WRITE);
    apply(&b, &changeset(&a, &vector(&b), None).unwrap());
    apply(&a, &changeset(&b, &vector(&a), None).unwrap());
    run(
        &a,
        "SELECT crsql_begin_alter('t'); ALTER TABLE t ADD COLUMN w;
             SELECT crsql_commit_alter('t'); SELECT crsql_digest(), crsql_new_site();
             CREATE TABLE u(k INTEGER PRIMARY KEY, x); SELECT crsql_as_crr('u');
             SELECT crsql_automigrate('CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w);
                                       SELECT crsql_as_crr(''t'')');
             SELECT crsql_as_table('t'); SELECT crsql_finalize()",
    );
    assert_eq!(rows(&a, "SELECT * FROM crsql_check()"), [""; 0]);
    assert_eq!(int(&a, "PRAGMA wal_autocheckpoint"), 0, "the setting is the application's");
    assert!(std::fs::read(&path).unwrap() == before, "the file was checkpointed into");
    run(&a, "PRAGMA wal_checkpoint");
    assert!(std::fs::read(&path).unwrap() != before, "there was something to checkpoint");
}
