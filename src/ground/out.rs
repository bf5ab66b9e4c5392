//! What a callback answers: the result of an SQL function or the value of a column.

use super::abi::{SQLITE_TRANSIENT, SQLITE_UTF8, sqlite3_context};
use super::api;
use crate::words::value::ValueRef;
use std::marker::PhantomData;

/// The subtype by which SQLite's JSON functions know JSON.
const SUBTYPE_JSON: u32 = b'J' as u32;

/// The place for one answer; the last one given counts, and none is NULL.
#[derive(Debug)]
pub struct Out<'a> {
    ctx: *mut sqlite3_context,
    _call: PhantomData<&'a mut sqlite3_context>,
}

impl Out<'_> {
    /// # Safety
    /// `ctx` is the context of the callback that runs, and the answer is given before it returns.
    pub(super) unsafe fn new(ctx: *mut sqlite3_context) -> Self {
        Self { ctx, _call: PhantomData }
    }

    /// NULL
    pub fn null(&mut self) {
        // SAFETY: `new`'s promise; so in all of these.
        unsafe { api::result_null(self.ctx) }
    }

    /// An INTEGER
    pub fn int(&mut self, v: i64) {
        // SAFETY: see `null`.
        unsafe { api::result_int64(self.ctx, v) }
    }

    /// A REAL
    pub fn real(&mut self, v: f64) {
        // SAFETY: see `null`.
        unsafe { api::result_double(self.ctx, v) }
    }

    /// A TEXT
    pub fn text(&mut self, v: &str) {
        self.text_bytes(v.as_bytes());
    }

    /// A TEXT of these bytes, UTF-8 or not
    pub fn text_bytes(&mut self, v: &[u8]) {
        let len = v.len() as u64;
        // SAFETY: see `null`; the pointer is never null and SQLite copies `len` bytes.
        unsafe { api::result_text64(self.ctx, v.as_ptr(), len, SQLITE_TRANSIENT, SQLITE_UTF8) }
    }

    /// A BLOB
    pub fn blob(&mut self, v: &[u8]) {
        let len = v.len() as u64;
        // SAFETY: as in `text_bytes`.
        unsafe { api::result_blob64(self.ctx, v.as_ptr().cast(), len, SQLITE_TRANSIENT) }
    }

    /// Any value
    pub fn value(&mut self, v: ValueRef<'_>) {
        match v {
            ValueRef::Null => self.null(),
            ValueRef::Int(v) => self.int(v),
            ValueRef::Real(v) => self.real(v),
            ValueRef::Text(v) => self.text_bytes(v),
            ValueRef::Blob(v) => self.blob(v),
        }
    }

    /// A TEXT that the JSON functions take as JSON
    pub fn json(&mut self, v: &str) {
        self.text(v);
        // SAFETY: see `null`.
        unsafe { api::result_subtype(self.ctx, SUBTYPE_JSON) }
    }
}
