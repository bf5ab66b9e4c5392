//! The promise: where SQLite has no memory (threat L6), a call fails with its word for it and
//! leaves nothing behind. It once left its savepoint open: SQLite that had no memory prepares
//! nothing until the statement that called us has ended, and "ROLLBACK TO" was prepared only when
//! it was needed. What the application wrote from there on was in a transaction that it had not
//! begun and never committed. The ways out of a savepoint are prepared before it is opened now.
//!
//! `make faults` fails every single allocation; this is the story in a few lines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::everything;
use common::{int, memory, one, run};
use rusqlite::{Connection, ffi};

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t');";

/// Runs a query with so many bytes more than SQLite uses now; gives its result code, or 0.
fn with_room(db: &Connection, sql: &str, blob: &[u8], bytes: i64) -> i32 {
    // SAFETY: numbers. The limit holds for the process, whose only test this is.
    unsafe { ffi::sqlite3_hard_heap_limit64(ffi::sqlite3_memory_used() + bytes) };
    let done = db.prepare(sql).and_then(|mut stmt| {
        let blobs = (0..stmt.parameter_count()).map(|_| blob);
        stmt.query(rusqlite::params_from_iter(blobs))?.next().map(|_| ())
    });
    // SAFETY: a number; 0 takes the limit away.
    unsafe { ffi::sqlite3_hard_heap_limit64(0) };
    match done {
        Err(rusqlite::Error::SqliteFailure(e, _)) => e.extended_code & 0xff,
        Err(rusqlite::Error::SqlInputError { error, .. }) => error.extended_code & 0xff,
        Err(e) => panic!("{e}"),
        Ok(()) => 0,
    }
}

#[test]
fn l6_a_call_without_memory_leaves_no_transaction_open() {
    let a = memory();
    run(&a, T);
    let many = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                INSERT INTO t SELECT i, hex(randomblob(20)) FROM n";
    run(&a, many);
    let blob = everything(&a);
    let calls = [
        ("SELECT crsql_apply(?1)", T),
        ("SELECT crsql_as_crr('t')", "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v)"),
        ("SELECT crsql_new_site()", T),
    ];
    for (call, before) in calls {
        let mut failed = 0;
        for room in (0..).map(|n| n * 487) {
            let b = memory();
            run(&b, before);
            let code = with_room(&b, call, &blob, room);
            assert!(b.is_autocommit(), "{call} with {room} bytes left a transaction open");
            assert!([0, ffi::SQLITE_NOMEM, ffi::SQLITE_IOERR].contains(&code), "{call}: {code}");
            assert_eq!(one(&b, "PRAGMA integrity_check"), "ok");
            run(&b, call.replace("?1", "NULL").as_str());
            run(&b, "INSERT INTO t VALUES (1000, 'one more')");
            assert_eq!(int(&b, "SELECT count(*) FROM crsql_check()"), 0, "{call} with {room}");
            if code == 0 {
                break;
            }
            failed += 1;
        }
        assert!(failed > 10, "{call} failed {failed} times");
    }
}
