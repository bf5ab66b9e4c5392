//! Living inside a host. cr-sqlite makes `sqlite3_close` answer 5 unless the application remembers
//! to call `crsql_finalize()`, takes the one commit hook there is, and ends the process when a
//! panic reaches C. Here loading touches no file, close needs no ceremony, and hooks stay free.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{error, feed, int, load, memory, one, open, rows, run, shell, version};
use rusqlite::hooks::Action;
use rusqlite::{Connection, OpenFlags, ffi};
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const TABLE: &str = "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); SELECT crsql_as_crr('t');";

#[test]
fn l3_loading_twice_is_harmless() {
    let db = memory();
    load(&db);
    run(&db, TABLE);
    load(&db);
    run(&db, "INSERT INTO t VALUES (1, 1, 1)");
    run(&db, "BEGIN; INSERT INTO t VALUES (2, 2, 2)");
    load(&db);
    run(&db, "COMMIT");
    assert_eq!(feed(&db, 0).len(), 4);
    assert_eq!(version(&db), 2);
    // SAFETY: the library is our own.
    unsafe {
        let _guard = rusqlite::LoadExtensionGuard::new(&db).unwrap();
        db.load_extension(shell::library(), Some("sqlite3_crsqlite_init")).unwrap();
    }
    assert_eq!(version(&db), 2);
    db.close().unwrap();
}

#[test]
fn loading_touches_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.db");
    let db = open(&empty);
    run(
        &db,
        "SELECT crsql_version(), crsql_db_version(), crsql_uuid7(), count(*) FROM crsql_changes",
    );
    db.close().unwrap();
    assert_eq!(std::fs::metadata(&empty).map_or(0, |m| m.len()), 0);
    let path = dir.path().join("x.db");
    let db = open(&path);
    run(&db, "CREATE TABLE plain(x); INSERT INTO plain VALUES (1)");
    db.close().unwrap();
    let before = std::fs::read(&path).unwrap();
    let db = open(&path);
    run(
        &db,
        "SELECT * FROM plain; INSERT INTO plain SELECT 1 WHERE false; SELECT * FROM crsql_changes;
        SELECT crsql_db_version()",
    );
    db.close().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn h6_a_read_only_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let db = open(&path);
    run(&db, TABLE);
    run(&db, "CREATE TABLE plain(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1, 1, 1)");
    let reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    load(&reader);
    assert_eq!(feed(&reader, 0), feed(&db, 0));
    assert_eq!(
        one(&reader, "SELECT hex(crsql_site_id())"),
        one(&db, "SELECT hex(crsql_site_id())")
    );
    for sql in [
        "INSERT INTO t VALUES (2, 2, 2)",
        "SELECT crsql_as_crr('plain')",
        "SELECT crsql_as_table('t')",
        "SELECT crsql_begin_alter('t')",
    ] {
        let text = error(&reader, sql);
        assert!(
            text.contains("readonly")
                || text.contains("read-only")
                || text.contains("cannot be written"),
            "{sql}: {text}"
        );
    }
    run(&db, "ALTER TABLE t ADD COLUMN c; ALTER TABLE t RENAME COLUMN a TO aa; UPDATE t SET c = 1");
    assert_eq!(rows(&reader, "SELECT cid FROM crsql_changes ORDER BY 1"), ["aa", "b", "c"]);
    reader.close().unwrap();
}

#[test]
fn h6_a_locked_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let db = open(&path);
    run(&db, TABLE);
    run(&db, "INSERT INTO t VALUES (1, 1, 1); UPDATE t SET a = 2; BEGIN EXCLUSIVE");
    let locked = Connection::open(&path).unwrap();
    locked.busy_timeout(std::time::Duration::ZERO).unwrap();
    load(&locked);
    for sql in
        ["SELECT * FROM crsql_changes", "SELECT crsql_as_crr('t')", "INSERT INTO t(id) VALUES (3)"]
    {
        assert!(error(&locked, sql).contains("locked"), "{sql}");
    }
    run(&db, "COMMIT");
    run(&locked, "INSERT INTO t(id) VALUES (3)");
    assert_eq!(feed(&locked, 2).len(), 2);
    locked.close().unwrap();
}

/// Closes as a C program does, by `sqlite3_close`, which refuses where a statement is left open.
fn close_by_c(db: &str, sql: &[&str]) {
    let (path, library) = (CString::new(db).unwrap(), shell::library().display().to_string());
    let library = CString::new(library).unwrap();
    let mut handle = std::ptr::null_mut();
    // SAFETY: every pointer is live for the call, and the handle is not used after its close.
    unsafe {
        assert_eq!(ffi::sqlite3_open(path.as_ptr(), &raw mut handle), 0);
        ffi::sqlite3_enable_load_extension(handle, 1);
        let null = std::ptr::null_mut();
        assert_eq!(
            ffi::sqlite3_load_extension(
                handle,
                library.as_ptr(),
                c"sqlite3_crsql_init".as_ptr(),
                null
            ),
            0
        );
        for sql in sql {
            let text = CString::new(*sql).unwrap();
            ffi::sqlite3_exec(
                handle,
                text.as_ptr(),
                None,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            );
        }
        assert_eq!(ffi::sqlite3_close(handle), 0, "{sql:?}");
    }
}

#[test]
fn l2_close_needs_no_ceremony() {
    let dir = tempfile::tempdir().unwrap();
    for db in [":memory:", "", dir.path().join("x.db").to_str().unwrap()] {
        close_by_c(db, &[]);
        close_by_c(db, &["SELECT * FROM crsql_changes"]);
        close_by_c(db, &[TABLE]);
        close_by_c(
            db,
            &[TABLE, "INSERT INTO t VALUES (1, 1, 1)", "UPDATE t SET a = 2", "DELETE FROM t"],
        );
        close_by_c(
            db,
            &[TABLE, "BEGIN", "INSERT INTO t VALUES (7, 1, 1)", "SELECT * FROM crsql_changes"],
        );
        close_by_c(
            db,
            &[
                TABLE,
                "INSERT INTO t VALUES (1, 1, 1)",
                "INSERT INTO t VALUES (1, 1, 1)",
                "SELECT crsql_as_crr('nope')",
            ],
        );
        close_by_c(
            db,
            &[
                TABLE,
                "SELECT crsql_changeset()",
                "SELECT crsql_vector()",
                "SELECT crsql_apply(x'00')",
                "ALTER TABLE t ADD COLUMN c",
                "INSERT INTO t(id) VALUES (9)",
                "DROP TABLE t",
            ],
        );
        close_by_c(
            db,
            &[
                "SELECT crsql_finalize()",
                "INSERT INTO t(id) VALUES (10)",
                "SELECT crsql_finalize()",
            ],
        );
    }
    let db = memory();
    run(&db, TABLE);
    run(&db, "INSERT INTO t VALUES (1, 1, 1)");
    db.close().unwrap();
}

#[test]
fn l7_the_hooks_belong_to_the_application() {
    let mut db = memory();
    run(&db, TABLE);
    let counts: [Arc<AtomicUsize>; 3] = Default::default();
    let count = |at: usize| {
        let count = Arc::clone(&counts[at]);
        move || count.fetch_add(1, Ordering::SeqCst)
    };
    let (commit, rollback, update) = (count(0), count(1), count(2));
    db.commit_hook(Some(move || {
        commit();
        false
    }))
    .unwrap();
    db.rollback_hook(Some(move || {
        rollback();
    }))
    .unwrap();
    db.update_hook(Some(move |_: Action, _: &str, table: &str, _: i64| {
        if table == "t" {
            update();
        }
    }))
    .unwrap();
    run(
        &db,
        "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2); BEGIN; DELETE FROM t WHERE id = 1; ROLLBACK;
        UPDATE t SET a = 5",
    );
    assert_eq!(counts.each_ref().map(|c| c.load(Ordering::SeqCst)), [2, 1, 5]);
    assert_eq!(version(&db), 2);
    assert_eq!(
        rows(&db, "SELECT cid, val FROM crsql_changes WHERE db_version = 2"),
        ["a|5", "a|5"]
    );
    db.commit_hook(Some(|| true)).unwrap();
    error(&db, "UPDATE t SET a = 6");
    error(&db, "BEGIN; UPDATE t SET a = 7; SAVEPOINT s; DELETE FROM t; RELEASE s; COMMIT");
    db.commit_hook(None::<fn() -> bool>).unwrap();
    assert!(db.is_autocommit());
    run(&db, "UPDATE t SET b = 8 WHERE id = 1");
    assert_eq!(
        rows(&db, "SELECT cid, val, db_version, seq FROM crsql_changes WHERE db_version > 2"),
        ["b|8|3|0"]
    );
}

#[test]
fn l4_any_threading_mode() {
    for mutex in [OpenFlags::SQLITE_OPEN_NO_MUTEX, OpenFlags::SQLITE_OPEN_FULL_MUTEX] {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | mutex;
        let db =
            Connection::open_in_memory_with_flags(flags | OpenFlags::SQLITE_OPEN_MEMORY).unwrap();
        load(&db);
        run(&db, TABLE);
        let db = std::thread::spawn(move || {
            run(&db, "INSERT INTO t VALUES (1, 1, 1)");
            db
        })
        .join()
        .unwrap();
        run(&db, "UPDATE t SET a = 2");
        std::thread::spawn(move || {
            assert_eq!(version(&db), 2);
            db.close().unwrap();
        })
        .join()
        .unwrap();
    }
    // One connection, several threads at once: the host's own lock is enough.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_FULL_MUTEX;
    let db = Connection::open_in_memory_with_flags(flags | OpenFlags::SQLITE_OPEN_MEMORY).unwrap();
    load(&db);
    run(&db, TABLE);
    // SAFETY: the connection outlives the threads and was opened for use by many.
    let handle = unsafe { db.handle() } as usize;
    std::thread::scope(|scope| {
        for who in 0..4 {
            scope.spawn(move || {
                for n in 0..200 {
                    let sql =
                        CString::new(format!("INSERT INTO t VALUES ({who} * 1000 + {n}, {n}, 0)"))
                            .unwrap();
                    let null = std::ptr::null_mut();
                    // SAFETY: as above.
                    let code = unsafe {
                        ffi::sqlite3_exec(
                            handle as *mut ffi::sqlite3,
                            sql.as_ptr(),
                            None,
                            null,
                            null.cast(),
                        )
                    };
                    assert_eq!(code, 0);
                }
            });
        }
    });
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes"), 1600);
}

/// Memory that this process holds, in KiB; 0 where the system does not tell.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn many_opens_and_closes_keep_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let cycle = |n: usize| {
        for i in 0..n {
            let db = open(&path);
            run(
                &db,
                "PRAGMA synchronous = OFF;
            CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, a, b); SELECT crsql_as_crr('t');
                INSERT OR REPLACE INTO t VALUES (1, 1, 1); SELECT * FROM crsql_changes;
                SELECT crsql_vector();
                SAVEPOINT x; UPDATE t SET a = 5; ROLLBACK TO x; RELEASE x",
            );
            let _ = db.execute_batch("SELECT crsql_as_crr('nope')");
            if i % 2 == 0 { db.close().unwrap() } else { drop(db) }
        }
    };
    cycle(100);
    let before = resident_kib();
    cycle(600);
    let grown = resident_kib() - before;
    assert!(grown < 8 * 1024, "600 connections left {grown} KiB behind");
}
