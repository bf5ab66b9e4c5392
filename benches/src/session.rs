//! SQLite's own session extension, as far as a side of the benchmarks needs it: what a transaction
//! did to the table, as a changeset, and such a changeset written to another file. SQLite is
//! compiled with it by the flags in `.cargo/config.toml`.

use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};

use rusqlite::{Connection, ffi};

use crate::side::Result;

/// Watches the table `t` from its beginning to its end.
pub struct Session<'a> {
    raw: *mut ffi::sqlite3_session,
    conn: &'a Connection,
}

impl<'a> Session<'a> {
    pub fn begin(conn: &'a Connection) -> Result<Self> {
        let mut raw = null_mut();
        // SAFETY: the connection is open and outlives the session, the names end in NUL.
        let code = unsafe { ffi::sqlite3session_create(conn.handle(), c"main".as_ptr(), &mut raw) };
        well(code)?;
        let session = Self { raw, conn };
        // SAFETY: the session was made just now.
        well(unsafe { ffi::sqlite3session_attach(raw, c"t".as_ptr()) })?;
        Ok(session)
    }

    /// Stores what happened in the table `changesets`.
    pub fn store(self) -> Result<()> {
        let (mut bytes, mut data) = (0, null_mut());
        // SAFETY: the session is live; what it gives is freed below.
        well(unsafe { ffi::sqlite3session_changeset(self.raw, &mut bytes, &mut data) })?;
        let changeset: &[u8] = if data.is_null() {
            &[]
        } else {
            // SAFETY: the session gave so many bytes there.
            unsafe { std::slice::from_raw_parts(data.cast(), bytes as usize) }
        };
        let sql = "INSERT INTO changesets(changeset) VALUES (?1)";
        let stored = self.conn.prepare_cached(sql).and_then(|mut s| s.execute([changeset]));
        // SAFETY: it came from the session, and the slice is not used any more.
        unsafe { ffi::sqlite3_free(data) };
        stored?;
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // SAFETY: it was made by `begin` and is deleted once, before its connection closes.
        unsafe { ffi::sqlite3session_delete(self.raw) }
    }
}

/// Writes a changeset; what is there already stays.
pub fn apply(conn: &Connection, changeset: &[u8]) -> Result<()> {
    unsafe extern "C" fn omit(
        _: *mut c_void,
        _: c_int,
        _: *mut ffi::sqlite3_changeset_iter,
    ) -> c_int {
        ffi::SQLITE_CHANGESET_OMIT
    }
    let (bytes, data) = (c_int::try_from(changeset.len())?, changeset.as_ptr());
    // SAFETY: the connection is open; the changeset is only read, though its pointer is not const.
    well(unsafe {
        let data = data.cast_mut().cast();
        ffi::sqlite3changeset_apply(
            conn.handle(),
            bytes,
            data,
            None,
            Some(omit),
            null::<c_void>().cast_mut(),
        )
    })
}

fn well(code: c_int) -> Result<()> {
    if code == ffi::SQLITE_OK {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into())
}
