//! A database of our own, in memory, to try things on. It has what every new connection of the
//! host's has: built-in functions, and whatever extensions load by themselves.

use super::abi::{SQLITE_OK, sqlite3};
use super::api;
use super::db::Db;
use crate::words::error::{Error, Result, SQLITE_NOMEM};
use std::ffi::c_int;
use std::ops::Deref;
use std::ptr::{null, null_mut};

/// `SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY`
const FLAGS: c_int = 0x02 | 0x04 | 0x80;

/// A connection that is ours and closes when it is dropped. No handle or statement of it may be
/// used after that.
#[derive(Debug)]
pub struct Owned(Db);

impl Owned {
    /// Opens an empty database in memory.
    pub fn open_in_memory() -> Result<Self> {
        if !api::adopted() {
            return Err(Error::refused("crsql is not loaded into any SQLite yet"));
        }
        let mut raw: *mut sqlite3 = null_mut();
        // SAFETY: a table was adopted; the name ends in a NUL, a null asks for the usual file
        // system layer.
        let code = unsafe { api::open_v2(c":memory:".as_ptr(), &mut raw, FLAGS, null()) };
        if raw.is_null() {
            return Err(Error::new(SQLITE_NOMEM, "no memory for a database in memory"));
        }
        // Even a connection that failed to open has to be closed, and tells why it failed.
        let owned = Self(Db::from_raw(raw));
        if code == SQLITE_OK { Ok(owned) } else { Err(owned.error(code)) }
    }
}

impl Deref for Owned {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: we opened it and nobody uses it again. `close_v2` waits for statements that are
        // still there, so that finalizing one later is sound.
        unsafe { api::close_v2(self.0.raw()) };
    }
}
