//! Linked into a program: the program's SQLite calls the entry point on every connection that it
//! opens.

use super::abi::{SQLITE_OK, sqlite3};
use crate::words::error::{Error, Result};
use std::ffi::{c_char, c_int, c_void};

/// An entry point that answers 0 for well, as SQLite calls it.
pub type Entry = unsafe extern "C" fn(*mut sqlite3, *mut *mut c_char, *const c_void) -> c_int;

unsafe extern "C" {
    /// SQLite's own, of the program that we are linked into. It declares the entry point as a
    /// function without arguments and calls it with three.
    fn sqlite3_auto_extension(entry: Entry) -> c_int;
}

/// Has SQLite call an entry point on every connection that it opens from now on.
///
/// # Errors
/// SQLite's code where it cannot: it is out of memory or does not start.
pub fn every_connection(entry: Entry) -> Result<()> {
    // SAFETY: an entry point takes what SQLite hands to extensions, and stays where it is.
    match unsafe { sqlite3_auto_extension(entry) } {
        SQLITE_OK => Ok(()),
        code => Err(Error::new(code, "SQLite does not take crsql as an extension of the program")),
    }
}
