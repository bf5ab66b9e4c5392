//! The fence between Rust and C: a panic stops here and becomes an error of the statement that
//! ran the callback; errors find their way into the shapes that SQLite reads.

use super::abi::{SQLITE_OK, sqlite3_context, sqlite3_vtab};
use super::api;
use crate::words::error::{Error, Result, SQLITE_ERROR, SQLITE_NOMEM};
use std::any::Any;
use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The payload of [`out_of_memory`].
struct NoMemory;

/// Runs `f`; a panic in it becomes an error.
#[inline]
pub(super) fn fence<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(done) => done,
        Err(payload) => Err(panic_error(payload.as_ref())),
    }
}

/// Leaves the callback with `SQLITE_NOMEM`: SQLite could not give the bytes of a value. Reading a
/// value as something that it is not would be worse, and every reader having to say so as well.
#[cold]
pub(super) fn out_of_memory() -> ! {
    resume_unwind(Box::new(NoMemory))
}

#[cold]
fn panic_error(payload: &(dyn Any + Send)) -> Error {
    if payload.is::<NoMemory>() {
        return Error::new(SQLITE_NOMEM, "out of memory");
    }
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text.as_str(),
        _ => "a panic without a message",
    };
    Error::refused(format!("crsql: internal error: {text}. Please report it."))
}

/// The code of an error; an error that says OK is still an error.
pub(super) fn code_of(error: &Error) -> c_int {
    if error.code == SQLITE_OK { SQLITE_ERROR } else { error.code }
}

/// Ends an SQL function or a column with `error`.
///
/// # Safety
/// `ctx` is the context of the callback that runs.
#[cold]
pub(super) unsafe fn fail_context(ctx: *mut sqlite3_context, error: &Error) {
    let len = c_int::try_from(error.text.len()).unwrap_or(c_int::MAX);
    // SAFETY: the caller's promise; SQLite copies the text. The text goes first, because a code
    // that comes first would be overwritten by SQLITE_ERROR.
    unsafe {
        if code_of(error) == SQLITE_NOMEM {
            return api::result_error_nomem(ctx);
        }
        api::result_error(ctx, error.text.as_ptr(), len);
        api::result_error_code(ctx, code_of(error));
    }
}

/// The result code of a virtual table method; the text of an error is left in the table.
///
/// # Safety
/// `vtab` is a table of ours that is connected.
pub(super) unsafe fn answer(vtab: *mut sqlite3_vtab, done: Result<()>) -> c_int {
    let Err(error) = done else { return SQLITE_OK };
    // SAFETY: the caller's promise; zErrMsg is null or came from SQLite's allocator.
    unsafe {
        api::free((*vtab).zErrMsg.cast());
        (*vtab).zErrMsg = api::copy_text(&error.text);
    }
    code_of(&error)
}

/// A copy of a C string; a null is empty, what is not UTF-8 is replaced.
///
/// # Safety
/// `text` is null or ends in a NUL.
pub(super) unsafe fn lossy(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
