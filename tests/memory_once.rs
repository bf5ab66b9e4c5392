//! The promise: what was committed is there, and nothing else is, whichever one allocation of
//! SQLite's fails while it commits (threat L6).
//!
//! The story behind it is of `sim/faults/held.sql` (`make faults SCRIPT=held`), on a disk: a kept
//! statement that writes, run after the schema had changed, is run twice by SQLite; without memory
//! as it undid the first run, SQLite rolled the whole transaction back, said nothing, and COMMIT
//! committed nothing. Such statements are prepared anew now.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{apply, everything, try_apply};
use common::{error, int, memory, open, rows, run};
use rusqlite::ffi;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::{Once, OnceLock};

type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;
static REAL: OnceLock<Malloc> = OnceLock::new();

thread_local! {
    /// So many allocations of this thread go well first; one fails.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    let fails = LEFT.get() == Some(0);
    LEFT.set(LEFT.get().and_then(|left| left.checked_sub(1)));
    match REAL.get() {
        // SAFETY: SQLite's own call.
        Some(real) if !fails => unsafe { real(bytes) },
        _ => std::ptr::null_mut(),
    }
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(put_in_place);
}

fn put_in_place() {
    let mut methods = MaybeUninit::<ffi::sqlite3_mem_methods>::uninit();
    // SAFETY: before SQLite is initialised, on the only thread that uses it; SQLite fills what it
    // is given and copies what it takes.
    unsafe {
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, methods.as_mut_ptr());
        let mut methods = methods.assume_init();
        REAL.set(methods.xMalloc.unwrap()).unwrap();
        methods.xMalloc = Some(malloc);
        assert_eq!(ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods), 0);
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_LOOKASIDE, 0 as c_int, 0 as c_int);
    }
}

#[test]
fn l6_a_commit_that_succeeded_is_there_whichever_allocation_failed() {
    install();
    let peer = memory();
    run(
        &peer,
        "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t');
         CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('u');
         INSERT INTO t VALUES (1, 'one'); INSERT INTO u VALUES (7, 'seven')",
    );
    let blob = everything(&peer);
    let (mut committed, mut failed) = (0, 0);
    let dir = tempfile::tempdir().unwrap();
    for n in 0.. {
        let a = open(&dir.path().join(format!("{n}.db")));
        run(&a, "PRAGMA synchronous = OFF");
        run(&a, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t')");
        a.query_row("SELECT crsql_apply(?1)", [&blob], |_| Ok(())).unwrap();
        run(
            &a,
            "BEGIN; CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('u');
             INSERT INTO u VALUES (8, 'eight')",
        );
        LEFT.set(Some(n));
        let done = a.execute_batch("COMMIT");
        let untouched = LEFT.take().is_some();
        if done.is_err() && !a.is_autocommit() {
            run(&a, "COMMIT");
            committed += 1;
            assert_eq!(rows(&a, "SELECT k FROM u"), ["7", "8"], "allocation {n}");
        } else if done.is_ok() {
            committed += 1;
            assert_eq!(rows(&a, "SELECT k FROM u"), ["7", "8"], "allocation {n}");
        } else {
            failed += 1;
            assert_eq!(int(&a, "SELECT count(*) FROM sqlite_schema WHERE name = 'u'"), 0);
        }
        assert_eq!(int(&a, "SELECT count(*) FROM crsql_check()"), 0, "allocation {n}");
        if untouched {
            break;
        }
    }
    assert!(committed > 0 && failed > 10, "{committed} committed, {failed} failed");
}

/// A merge turns CHECK constraints off for a row that breaks one. Without memory it could not turn
/// them on again, and the connection took whatever the application wrote from there on; nor end its
/// savepoint, because that setting has SQLite prepare every statement anew.
#[test]
fn l6_a_merge_without_memory_leaves_no_check_turned_off() {
    const C: &str = "CREATE TABLE c(k INTEGER PRIMARY KEY NOT NULL, lo INTEGER, hi INTEGER,
                       CHECK(lo <= hi)); SELECT crsql_as_crr('c');";
    install();
    let (a, other) = (memory(), memory());
    run(&a, C);
    run(&other, C);
    run(&a, "INSERT INTO c VALUES(1, 1, 9)");
    apply(&other, &everything(&a));
    run(&a, "UPDATE c SET lo = 8");
    run(&other, "UPDATE c SET hi = 2");
    let (first, second) = (everything(&a), everything(&other));
    let mut failed = 0;
    for n in 0.. {
        let b = memory();
        run(&b, C);
        apply(&b, &first);
        LEFT.set(Some(n));
        let done = try_apply(&b, &second);
        let untouched = LEFT.take().is_some();
        run(&b, "INSERT INTO c VALUES(2, 1, 2)");
        let told = error(&b, "INSERT INTO c VALUES(3, 2, 1)");
        assert!(told.contains("CHECK constraint failed"), "allocation {n}: {told}");
        assert_eq!(int(&b, "PRAGMA ignore_check_constraints"), 0, "allocation {n}");
        failed += usize::from(done.is_err());
        if untouched {
            break;
        }
    }
    assert!(failed > 50, "{failed}");
}
