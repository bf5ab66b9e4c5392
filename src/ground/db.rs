//! The connection: a handle that does not own it. It is good for as long as the connection is
//! open, which every callback can rely on; nothing here keeps it open.

use super::abi::{SQLITE_OK, sqlite3, sqlite3_file, sqlite3_stmt, sqlite3_vfs};
use super::api;
use super::fence::lossy;
use super::stmt::{Prep, Stmt};
use crate::words::error::{Error, Result, SQLITE_INTERRUPT};
use std::ffi::{CStr, CString, c_int};
use std::ptr::{null, null_mut};

/// `SQLITE_FCNTL_DATA_VERSION`
const FCNTL_DATA_VERSION: c_int = 35;
/// `SQLITE_FCNTL_JOURNAL_POINTER`
const FCNTL_JOURNAL_POINTER: c_int = 28;
/// `SQLITE_SYNC_NORMAL`
const SYNC_NORMAL: c_int = 2;
/// `SQLITE_FCNTL_VFS_POINTER`
const FCNTL_VFS_POINTER: c_int = 27;
/// The Julian day number of 1970-01-01, in milliseconds.
const UNIX_EPOCH_JULIAN_MS: i64 = 210_866_760_000_000;
/// `SQLITE_DBCONFIG_ENABLE_TRIGGER`
const ENABLE_TRIGGER: c_int = 1003;
/// `SQLITE_TXN_READ`
const TXN_READ: c_int = 1;
/// `SQLITE_TXN_WRITE`
const TXN_WRITE: c_int = 2;

/// A connection of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Db(*mut sqlite3);

/// What SQLite knows of a column beside its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// The name of its collation.
    pub collation: String,
    /// AUTOINCREMENT
    pub autoincrement: bool,
}

impl Db {
    /// The handle of an open connection; only callbacks of SQLite make one.
    pub(super) fn from_raw(db: *mut sqlite3) -> Self {
        Self(db)
    }

    pub(super) fn raw(self) -> *mut sqlite3 {
        self.0
    }

    /// Prepares the one statement that `sql` holds.
    pub fn prepare(self, sql: &str, how: Prep) -> Result<Stmt> {
        Stmt::prepare(self, sql, how)
    }

    /// Runs the statements in `sql`, one after the other.
    pub fn exec(self, sql: &str) -> Result<()> {
        let sql = c_string(sql)?;
        // SAFETY: the connection is open; there is no callback and nobody asks for the message.
        let code = unsafe { api::exec(self.0, sql.as_ptr(), null(), null_mut(), null_mut()) };
        self.check(code)
    }

    /// `sqlite3_total_changes64`
    pub fn total_changes(self) -> i64 {
        // SAFETY: the connection is open.
        unsafe { api::total_changes64(self.0) }
    }

    /// `sqlite3_changes64`
    pub fn changes(self) -> i64 {
        // SAFETY: the connection is open.
        unsafe { api::changes64(self.0) }
    }

    /// `sqlite3_last_insert_rowid`
    pub fn last_insert_rowid(self) -> i64 {
        // SAFETY: the connection is open.
        unsafe { api::last_insert_rowid(self.0) }
    }

    /// `sqlite3_set_last_insert_rowid`
    pub fn set_last_insert_rowid(self, rowid: i64) {
        // SAFETY: the connection is open.
        unsafe { api::set_last_insert_rowid(self.0, rowid) }
    }

    /// Whether no transaction was begun explicitly.
    pub fn autocommit(self) -> bool {
        // SAFETY: the connection is open.
        unsafe { api::get_autocommit(self.0) != 0 }
    }

    /// Whether the main database is being written by this connection.
    pub fn in_write_txn(self) -> bool {
        // SAFETY: the connection is open.
        unsafe { api::txn_state(self.0, c"main".as_ptr()) == TXN_WRITE }
    }

    /// Whether a database is attached. SQLite before 3.39 does not say so.
    pub fn has_attached(self) -> bool {
        // SAFETY: the connection is open. 0 is main, 1 is temp.
        unsafe { !api::db_name(self.0, 2).is_null() }
    }

    /// The attached databases that this connection is writing, by number.
    pub fn attached_in_write_txn(self) -> Vec<(c_int, String)> {
        let mut out = Vec::new();
        for n in 2.. {
            // SAFETY: the connection is open; the name is null or ends in a NUL.
            unsafe {
                let name = api::db_name(self.0, n);
                if name.is_null() {
                    break;
                }
                if api::txn_state(self.0, name) == TXN_WRITE {
                    out.push((n, lossy(name)));
                }
            }
        }
        out
    }

    /// While the main database is only read by this connection: its data version, which says that
    /// nothing in it has changed since it was the same.
    pub fn reading_at(self) -> Option<u32> {
        // SAFETY: the connection is open.
        let reads = unsafe { api::txn_state(self.0, c"main".as_ptr()) == TXN_READ };
        reads.then(|| self.data_version())
    }

    /// Whether the main database is read-only; nothing when SQLite does not know.
    pub fn readonly(self) -> Option<bool> {
        // SAFETY: the connection is open.
        match unsafe { api::db_readonly(self.0, c"main".as_ptr()) } {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// The file of the main database; nothing when it is in memory or temporary.
    pub fn filename(self) -> Option<String> {
        // SAFETY: the connection is open; the name is null or ends in a NUL.
        let name = unsafe { lossy(api::db_filename(self.0, c"main".as_ptr())) };
        if name.is_empty() { None } else { Some(name) }
    }

    /// The limit `id` (`SQLITE_LIMIT_...`) of this connection.
    pub fn limit(self, id: i32) -> i32 {
        // SAFETY: the connection is open; -1 only asks.
        unsafe { api::limit(self.0, id, -1) }
    }

    /// Runs a piece of work whose statements fire no trigger. What it steps, it also prepares:
    /// statements that are kept are prepared again after it.
    pub fn without_triggers<T>(self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        struct Back(Db, c_int);
        impl Drop for Back {
            fn drop(&mut self) {
                // SAFETY: the connection is open.
                unsafe { api::db_config(self.0.0, ENABLE_TRIGGER, self.1) };
            }
        }
        // SAFETY: the connection is open.
        let (code, was) = unsafe { api::db_config(self.0, ENABLE_TRIGGER, -1) };
        self.check(code)?;
        let _back = Back(self, was);
        // SAFETY: as above.
        self.check(unsafe { api::db_config(self.0, ENABLE_TRIGGER, 0) }.0)?;
        work()
    }

    /// Fills `buf` with SQLite's randomness.
    pub fn randomness(self, buf: &mut [u8]) {
        let most = c_int::MAX as usize;
        for part in buf.chunks_mut(most) {
            // SAFETY: `part` is that long, and not longer than a C int counts.
            unsafe { api::randomness(part.len() as c_int, part.as_mut_ptr().cast()) }
        }
    }

    /// `sqlite3_libversion_number` of the host; 0 before there is one.
    pub fn version_number() -> i32 {
        if !api::adopted() {
            return 0;
        }
        // SAFETY: a table was adopted.
        unsafe { api::libversion_number() }
    }

    /// The wall clock of the main database's file system layer, in milliseconds since 1970. All
    /// our time comes through here, so whoever brings a layer of its own brings the time too.
    pub fn now_unix_ms(self) -> i64 {
        let mut vfs: *mut sqlite3_vfs = null_mut();
        let out = (&raw mut vfs).cast();
        // SAFETY: the connection is open; this operation writes one pointer, which stays good for
        // as long as it is. A layer of version 2 has the second clock.
        unsafe {
            api::file_control(self.0, c"main".as_ptr(), FCNTL_VFS_POINTER, out);
            let Some(v) = vfs.as_ref() else { return 0 };
            let mut julian_ms = 0i64;
            if v.iVersion >= 2
                && let Some(clock) = v.xCurrentTimeInt64
                && clock(vfs, &raw mut julian_ms) == SQLITE_OK
            {
                return julian_ms.saturating_sub(UNIX_EPOCH_JULIAN_MS);
            }
            let mut days = 0f64;
            match v.xCurrentTime {
                Some(clock) if clock(vfs, &raw mut days) == SQLITE_OK => {
                    ((days * 86_400_000.0) as i64).saturating_sub(UNIX_EPOCH_JULIAN_MS)
                }
                _ => 0,
            }
        }
    }

    /// What SQLite knows of a column of the main database beside its type.
    pub fn table_column(self, table: &str, column: &str) -> Result<TableColumn> {
        let (table, column) = (c_string(table)?, c_string(column)?);
        let mut collation = null();
        let mut autoincrement = 0;
        // SAFETY: the connection is open; places that are null are not written; the collation's
        // name is copied before the schema can change.
        unsafe {
            let code = api::table_column_metadata(
                self.0,
                c"main".as_ptr(),
                table.as_ptr(),
                column.as_ptr(),
                null_mut(),
                &raw mut collation,
                null_mut(),
                null_mut(),
                &raw mut autoincrement,
            );
            self.check(code)?;
            Ok(TableColumn { collation: lossy(collation), autoincrement: autoincrement != 0 })
        }
    }

    /// A number that changes with every commit to the main database, by this connection or, once
    /// this one has read again, by another.
    pub fn data_version(self) -> u32 {
        let mut version: u32 = 0;
        let out = (&raw mut version).cast();
        // SAFETY: the connection is open; this operation writes one `unsigned int`.
        unsafe { api::file_control(self.0, c"main".as_ptr(), FCNTL_DATA_VERSION, out) };
        version
    }

    /// Puts on the disk what the main database's write-ahead log holds: with it, every commit that
    /// this connection can see. The caller reads, in WAL mode. False where the log is no file.
    pub fn sync_wal(self) -> Result<bool> {
        let mut file: *mut sqlite3_file = null_mut();
        let out = (&raw mut file).cast();
        // SAFETY: the connection is open; this operation writes one pointer, to a file that stays
        // open while the connection reads. A file without methods is not open.
        unsafe {
            api::file_control(self.0, c"main".as_ptr(), FCNTL_JOURNAL_POINTER, out);
            let methods = file.as_ref().and_then(|f| f.pMethods.as_ref());
            let Some(sync) = methods.and_then(|m| m.xSync) else { return Ok(false) };
            match sync(file, SYNC_NORMAL) {
                SQLITE_OK => Ok(true),
                code => Err(Error::new(code, "the database's log could not be put on the disk")),
            }
        }
    }

    /// Hands `f` the SQL of every statement that has been stepped and neither finished nor reset.
    pub fn for_each_busy_sql(self, f: &mut dyn FnMut(&[u8])) {
        let mut texts = Vec::new();
        self.each_busy(|stmt| {
            // SAFETY: a live statement; its text is null or ends in a NUL.
            let text = unsafe { api::sql(stmt) };
            if !text.is_null() {
                // SAFETY: not null. It is copied because `f` might finalize the statement.
                texts.push(unsafe { CStr::from_ptr(text) }.to_bytes().to_vec());
            }
        });
        for text in &texts {
            f(text);
        }
    }

    /// Whether a statement that may write has been stepped and neither finished nor reset.
    pub fn write_statement_running(self) -> bool {
        let mut running = false;
        // SAFETY: a live statement.
        self.each_busy(|stmt| running |= unsafe { api::stmt_readonly(stmt) == 0 });
        running
    }

    /// Hands `f` every busy statement; `f` finalizes none.
    fn each_busy(self, mut f: impl FnMut(*mut sqlite3_stmt)) {
        // SAFETY: the connection is open; a null asks for the first statement.
        let mut stmt = unsafe { api::next_stmt(self.0, null_mut()) };
        while !stmt.is_null() {
            // SAFETY: `stmt` is in the connection's list, so it is live.
            if unsafe { api::stmt_busy(stmt) } != 0 {
                f(stmt);
            }
            // SAFETY: as above, and `f` finalized nothing.
            stmt = unsafe { api::next_stmt(self.0, stmt) };
        }
    }

    /// The text of the connection's last error.
    pub fn errmsg(self) -> String {
        // SAFETY: the connection is open; the text ends in a NUL.
        unsafe { lossy(api::errmsg(self.0)) }
    }

    /// `SQLITE_OK` is fine; anything else is the connection's error.
    pub(super) fn check(self, code: c_int) -> Result<()> {
        if code == SQLITE_OK { Ok(()) } else { Err(self.error(code)) }
    }

    /// The error behind `code`, which a call on this connection has just returned.
    #[cold]
    pub(super) fn error(self, code: c_int) -> Error {
        // SAFETY: the connection is open; `errstr` knows a text for every code.
        let (extended, general) = unsafe { (api::extended_errcode(self.0), api::errstr(code)) };
        // Interrupted while it prepares a statement again, SQLite keeps the text that says why it
        // did: that the schema has changed.
        if extended & 0xff == code & 0xff && code & 0xff != SQLITE_INTERRUPT {
            return Error::new(extended, self.errmsg());
        }
        // SAFETY: a static text of SQLite's.
        Error::new(code, unsafe { lossy(general) })
    }
}

/// `text` as C reads it; text with a NUL in it is refused.
pub(super) fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::refused("SQL text may not hold a NUL"))
}
