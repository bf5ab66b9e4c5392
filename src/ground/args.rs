//! What SQLite passes to a callback: values that it owns and lends for the length of the call.

use super::abi::sqlite3_value;
use super::api;
use super::fence::out_of_memory;
use crate::words::value::ValueRef;
use std::ffi::c_int;
use std::slice::from_raw_parts;

/// The arguments of a callback.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    values: &'a [*mut sqlite3_value],
}

impl<'a> Args<'a> {
    /// # Safety
    /// `argv` points to `argc` values that live for `'a`, or `argc` is 0.
    pub(super) unsafe fn new(argc: c_int, argv: *mut *mut sqlite3_value) -> Self {
        match usize::try_from(argc) {
            Ok(n) if n > 0 && !argv.is_null() => {
                // SAFETY: the caller's promise.
                Self { values: unsafe { from_raw_parts(argv, n) } }
            }
            _ => Self { values: &[] },
        }
    }

    /// The arguments from `n` on.
    pub(super) fn skip(self, n: usize) -> Self {
        Self { values: self.values.get(n..).unwrap_or_default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Argument `i`, counted from 0; NULL when there are not so many.
    #[inline]
    pub fn get(&self, i: usize) -> ValueRef<'a> {
        let Some(&value) = self.values.get(i) else { return ValueRef::Null };
        // SAFETY: SQLite lends the value for `'a`. The bytes are asked for in the class that the
        // value has, and their number after them, so nothing is converted and nothing moves.
        unsafe {
            match api::value_type(value) {
                1 => ValueRef::Int(api::value_int64(value)),
                2 => ValueRef::Real(api::value_double(value)),
                3 => {
                    let at = api::value_text(value);
                    if at.is_null() {
                        out_of_memory();
                    }
                    ValueRef::Text(borrow(at, api::value_bytes(value)))
                }
                4 => {
                    let at = api::value_blob(value);
                    ValueRef::Blob(borrow(at.cast(), api::value_bytes(value)))
                }
                _ => ValueRef::Null,
            }
        }
    }
}

/// The `len` bytes at `at`. SQLite gives a null for an empty blob; a null for any other says that
/// memory is short.
///
/// # Safety
/// Unless it is null, `at` points to `len` bytes that stay as they are for `'a`.
pub(super) unsafe fn borrow<'a>(at: *const u8, len: c_int) -> &'a [u8] {
    match usize::try_from(len) {
        Ok(n) if n > 0 && at.is_null() => out_of_memory(),
        // SAFETY: the caller's promise.
        Ok(n) if n > 0 => unsafe { from_raw_parts(at, n) },
        _ => &[],
    }
}
