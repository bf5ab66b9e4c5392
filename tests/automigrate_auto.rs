//! `crsql_automigrate` in a host that loads crsql into every connection it opens: the one that a
//! schema is tried on has crsql too, and `crsql_as_crr` must not run there. In a program of its
//! own, since loading by itself holds for the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{int, run, try_migrate};
use rusqlite::Connection;

fn migrate(db: &Connection, schema: &str) {
    assert_eq!(try_migrate(db, schema).as_deref(), Ok("migration complete"));
}

#[test]
fn crsql_may_load_by_itself() {
    type Entry = unsafe extern "C" fn(
        *mut rusqlite::ffi::sqlite3,
        *mut *mut std::ffi::c_char,
        *const rusqlite::ffi::sqlite3_api_routines,
    ) -> std::ffi::c_int;
    // SAFETY: the same function, with rusqlite's names for what it takes.
    let entry: Entry = unsafe {
        std::mem::transmute(crsql::doors::entry::sqlite3_crsql_auto as *const std::ffi::c_void)
    };
    // SAFETY: an entry point, which stays where it is.
    let code = unsafe { rusqlite::ffi::sqlite3_auto_extension(Some(entry)) };
    assert_eq!(code, 0);
    let db = Connection::open_in_memory().unwrap();
    migrate(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a); SELECT crsql_as_crr('t')");
    run(&db, "INSERT INTO t VALUES (1, 2)");
    migrate(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, b)");
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_changes"), 1);
    // SAFETY: as above.
    unsafe { rusqlite::ffi::sqlite3_cancel_auto_extension(Some(entry)) };
    db.close().unwrap();
}
