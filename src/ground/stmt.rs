//! The prepared statement: owned, finalized when dropped.
//!
//! What a row lends ([`Stmt::value`] and its like) lives until the statement moves. A column is
//! read only as the class that it has, because SQLite converts in place otherwise and would pull
//! the bytes away from under an earlier borrow.

use super::abi::{SQLITE_DONE, SQLITE_ROW, SQLITE_TRANSIENT, SQLITE_UTF8, sqlite3_stmt};
use super::api;
use super::args::borrow;
use super::db::Db;
use super::fence::{lossy, out_of_memory};
use crate::words::error::{Error, Result, SQLITE_TOOBIG};
use crate::words::value::ValueRef;
use std::ffi::c_int;
use std::ptr::{NonNull, null, null_mut};

/// `SQLITE_STMTSTATUS_REPREPARE`
const STATUS_REPREPARE: c_int = 5;

/// How a statement will be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prep {
    /// Once, now.
    Once,
    /// Often; it touches no virtual table, so that it keeps none open.
    Cached,
    /// The same, now and then.
    Apart,
    /// The same, and soon: it is prepared in the memory that SQLite has at hand.
    AtHand,
    /// Often, with a virtual table in it.
    CachedVtab,
}

impl Prep {
    /// `SQLITE_PREPARE_PERSISTENT` is 1, `SQLITE_PREPARE_NO_VTAB` is 4.
    fn flags(self) -> u32 {
        match self {
            Prep::Once => 0,
            Prep::Cached | Prep::Apart => 0x01 | 0x04,
            Prep::AtHand => 0x04,
            Prep::CachedVtab => 0x01,
        }
    }
}

/// A prepared statement. It must be dropped before its connection closes.
#[derive(Debug)]
pub struct Stmt {
    raw: NonNull<sqlite3_stmt>,
    db: Db,
    /// It was stepped and not reset since.
    stepped: bool,
}

impl Stmt {
    pub(super) fn prepare(db: Db, sql: &str, how: Prep) -> Result<Self> {
        let len = c_int::try_from(sql.len())
            .map_err(|_| Error::new(SQLITE_TOOBIG, "SQL text is too long"))?;
        let (mut raw, mut tail) = (null_mut(), null());
        // SAFETY: the connection is open, `sql` is `len` bytes long.
        let code = unsafe {
            api::prepare_v3(db.raw(), sql.as_ptr(), len, how.flags(), &mut raw, &mut tail)
        };
        db.check(code)?;
        let raw = NonNull::new(raw)
            .ok_or_else(|| Error::refused(format!("there is no statement in: {sql}")))?;
        let stmt = Self { raw, db, stepped: false };
        let used = (tail as usize).saturating_sub(sql.as_ptr() as usize);
        let rest = sql.get(used..).unwrap_or_default();
        if rest.trim_matches(|c: char| c.is_ascii_whitespace() || c == ';').is_empty() {
            Ok(stmt)
        } else {
            Err(Error::refused(format!("one statement at a time, not: {sql}")))
        }
    }

    fn raw(&self) -> *mut sqlite3_stmt {
        self.raw.as_ptr()
    }

    /// Binds a copy of `v` to parameter `i`, counted from 1.
    pub fn bind(&mut self, i: i32, v: ValueRef<'_>) -> Result<()> {
        match v {
            ValueRef::Null => self.bind_null(i),
            ValueRef::Int(v) => self.bind_int(i, v),
            ValueRef::Real(v) => self.bind_real(i, v),
            ValueRef::Text(v) => self.bind_text(i, v),
            ValueRef::Blob(v) => self.bind_blob(i, v),
        }
    }

    /// Binds NULL to parameter `i`.
    pub fn bind_null(&mut self, i: i32) -> Result<()> {
        // SAFETY: a live statement; SQLite checks `i`.
        self.db.check(unsafe { api::bind_null(self.raw(), i) })
    }

    /// Binds an INTEGER to parameter `i`.
    pub fn bind_int(&mut self, i: i32, v: i64) -> Result<()> {
        // SAFETY: a live statement; SQLite checks `i`.
        self.db.check(unsafe { api::bind_int64(self.raw(), i, v) })
    }

    /// Binds a REAL to parameter `i`.
    pub fn bind_real(&mut self, i: i32, v: f64) -> Result<()> {
        // SAFETY: a live statement; SQLite checks `i`.
        self.db.check(unsafe { api::bind_double(self.raw(), i, v) })
    }

    /// Binds a copy of `v` as TEXT to parameter `i`.
    pub fn bind_text(&mut self, i: i32, v: &[u8]) -> Result<()> {
        let (at, len) = (v.as_ptr(), v.len() as u64);
        // SAFETY: a live statement; `at` is never null and SQLite copies `len` bytes from it.
        self.db.check(unsafe {
            api::bind_text64(self.raw(), i, at, len, SQLITE_TRANSIENT, SQLITE_UTF8)
        })
    }

    /// Binds a copy of `v` as BLOB to parameter `i`.
    pub fn bind_blob(&mut self, i: i32, v: &[u8]) -> Result<()> {
        let (at, len) = (v.as_ptr().cast(), v.len() as u64);
        // SAFETY: as in `bind_text`.
        self.db.check(unsafe { api::bind_blob64(self.raw(), i, at, len, SQLITE_TRANSIENT) })
    }

    /// Goes to the next row: true when there is one, false at the end. An error resets.
    pub fn step(&mut self) -> Result<bool> {
        self.stepped = true;
        // SAFETY: a live statement; nothing borrows its row, or `self` would be borrowed.
        match unsafe { api::step(self.raw()) } {
            SQLITE_ROW => Ok(true),
            SQLITE_DONE => Ok(false),
            code => {
                let error = self.db.error(code);
                self.reset();
                Err(error)
            }
        }
    }

    /// Runs to the end and resets.
    pub fn run(&mut self) -> Result<()> {
        while self.step()? {}
        self.reset();
        Ok(())
    }

    /// Back to before the first row; the bindings stay. The code is that of the last step, which
    /// has been told already.
    pub fn reset(&mut self) {
        if std::mem::take(&mut self.stepped) {
            // SAFETY: a live statement whose row nobody borrows.
            unsafe { api::reset(self.raw()) };
        }
    }

    /// Every parameter is NULL again. Call it after `reset`.
    pub fn clear(&mut self) {
        // SAFETY: a live statement.
        unsafe { api::clear_bindings(self.raw()) };
    }

    /// The column as an INTEGER, converted as SQLite does.
    pub fn int(&self, col: i32) -> i64 {
        // SAFETY: a live statement; SQLite checks `col`; numbers convert without moving bytes.
        unsafe { api::column_int64(self.raw(), col) }
    }

    /// The column as it is stored.
    pub fn value(&self, col: i32) -> ValueRef<'_> {
        let stmt = self.raw();
        // SAFETY: a live statement; SQLite checks `col`. The bytes are asked for in the class that
        // the column has, and their number after them, so nothing moves until the next step.
        unsafe {
            match api::column_type(stmt, col) {
                1 => ValueRef::Int(api::column_int64(stmt, col)),
                2 => ValueRef::Real(api::column_double(stmt, col)),
                3 => ValueRef::Text(self.text_of(col)),
                4 => {
                    let at = api::column_blob(stmt, col);
                    ValueRef::Blob(borrow(at.cast(), api::column_bytes(stmt, col)))
                }
                _ => ValueRef::Null,
            }
        }
    }

    /// The bytes of a TEXT, or of a number as SQLite writes it.
    ///
    /// # Safety
    /// The column is neither NULL nor a BLOB.
    unsafe fn text_of(&self, col: i32) -> &[u8] {
        // SAFETY: as in `value`; a number's text, once made, stays where it is.
        unsafe {
            let at = api::column_text(self.raw(), col);
            if at.is_null() {
                out_of_memory();
            }
            borrow(at, api::column_bytes(self.raw(), col))
        }
    }

    /// The bytes of a BLOB or TEXT; a number as text; nothing for NULL.
    pub fn blob(&self, col: i32) -> &[u8] {
        match self.value(col) {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
            ValueRef::Null => &[],
            // SAFETY: it is a number.
            ValueRef::Int(_) | ValueRef::Real(_) => unsafe { self.text_of(col) },
        }
    }

    /// The same bytes as [`Stmt::blob`]: both read what is there.
    pub fn text(&self, col: i32) -> &[u8] {
        self.blob(col)
    }

    /// The bytes as a string; what is not UTF-8 is replaced.
    pub fn string(&self, col: i32) -> String {
        String::from_utf8_lossy(self.blob(col)).into_owned()
    }

    /// Whether the column is NULL.
    pub fn is_null(&self, col: i32) -> bool {
        matches!(self.value(col), ValueRef::Null)
    }

    /// How many columns a row has.
    pub fn column_count(&self) -> i32 {
        // SAFETY: a live statement.
        unsafe { api::column_count(self.raw()) }
    }

    /// The name of a column.
    pub fn column_name(&self, col: i32) -> String {
        // SAFETY: a live statement; the name is null or ends in a NUL.
        unsafe { lossy(api::column_name(self.raw(), col)) }
    }

    /// Whether it writes to no database.
    pub fn readonly(&self) -> bool {
        // SAFETY: a live statement.
        unsafe { api::stmt_readonly(self.raw()) != 0 }
    }

    /// How often the schema changed under it and it was prepared again.
    pub fn reprepares(&self) -> i32 {
        // SAFETY: a live statement; the counter is not reset.
        unsafe { api::stmt_status(self.raw(), STATUS_REPREPARE, 0) }
    }
}

impl Drop for Stmt {
    fn drop(&mut self) {
        // SAFETY: we own it and nobody uses it again. The code is that of the last step.
        unsafe { api::finalize(self.raw()) };
    }
}
