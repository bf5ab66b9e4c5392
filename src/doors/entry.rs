//! The entry points: how a host finds us, and what one connection gets.

use std::ffi::{c_char, c_int, c_void};
use std::rc::Rc;

use super::changes::Changes;
use super::functions;
use super::lifecycle::{Enlist, Guard};
use super::lists::{Check, Columns, Rights, Table, Unpack, Values};
use crate::ground::{Db, Prep, init, sqlite3};
use crate::rooms::session::Session;
use crate::words::error::{Error, Result};

/// Keeps the library in memory after the connection that loaded it is closed.
const SQLITE_OK_LOAD_PERMANENTLY: c_int = 256;

/// This crate's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Puts functions and tables on a connection. A second time it does nothing.
pub fn register(db: Db) -> Result<()> {
    if let Ok(mut stmt) = db.prepare("SELECT crsql_version()", Prep::Once) {
        stmt.step()?;
        let there = stmt.string(0);
        return if there == VERSION {
            Ok(())
        } else {
            Err(Error::refused(format!(
                "this connection has crsql {there} already; crsql {VERSION} was not loaded: load \
                 one version only"
            )))
        };
    }
    let session = Rc::new(Session::new(db));
    functions::register(db, &session)?;
    db.module::<Guard>("crsql_guard", &session)?;
    db.module::<Enlist>("crsql_enlist", &session)?;
    db.module::<Table<Check>>("crsql_check", &session)?;
    db.module::<Table<Columns>>("crsql_columns", &session)?;
    db.module::<Table<Values>>("crsql_values", &session)?;
    db.module::<Table<Rights>>("crsql_rights", &session)?;
    db.module::<Table<Unpack>>("crsql_unpack_columns", &session)?;
    db.module::<Changes>("crsql_changes", &session)?;
    // The question above left an error on the connection. `sqlite3_open` would take it for its own
    // where `sqlite3_auto_extension` calls us; running nothing clears it, without a look at the
    // file, which may be locked.
    db.exec("")
}

/// What `.load ./crsql` and `sqlite3_load_extension` call.
///
/// # Safety
/// SQLite calls it, with a connection that stays open for as long as it uses what is registered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_crsql_init(
    db: *mut sqlite3,
    err: *mut *mut c_char,
    api: *const c_void,
) -> c_int {
    // SAFETY: the arguments are SQLite's own.
    match unsafe { init(db, err, api, register) } {
        0 => SQLITE_OK_LOAD_PERMANENTLY,
        code => code,
    }
}

/// The entry point under the name that cr-sqlite's users load.
///
/// # Safety
/// As `sqlite3_crsql_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_crsqlite_init(
    db: *mut sqlite3,
    err: *mut *mut c_char,
    api: *const c_void,
) -> c_int {
    // SAFETY: the arguments are SQLite's own.
    unsafe { sqlite3_crsql_init(db, err, api) }
}

/// The entry point for `sqlite3_auto_extension`, which takes 0 for well and nothing else: for
/// programs that link crsql in.
///
/// # Safety
/// As `sqlite3_crsql_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_crsql_auto(
    db: *mut sqlite3,
    err: *mut *mut c_char,
    api: *const c_void,
) -> c_int {
    // SAFETY: the arguments are SQLite's own.
    unsafe { init(db, err, api, register) }
}
