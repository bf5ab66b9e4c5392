//! SQLite's memory, which runs out when it is told to. Rust's own does not: a Rust program without
//! memory is aborted, and nothing of that could be seen here.

use super::point::{Kind, strikes};
use rusqlite::ffi;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::OnceLock;

type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void;

/// SQLite's own ways to memory.
static REAL: OnceLock<(Malloc, Realloc)> = OnceLock::new();

/// Goes between SQLite and its memory. Before SQLite is initialised.
pub fn install() {
    let mut real = MaybeUninit::<ffi::sqlite3_mem_methods>::uninit();
    // SAFETY: SQLite is not initialised, on the only thread; it fills what it is given and copies
    // what it takes. Lookaside is memory that is had without asking, so there is none.
    unsafe {
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, real.as_mut_ptr());
        let mut own = real.assume_init();
        let both = own.xMalloc.zip(own.xRealloc);
        REAL.get_or_init(|| both.expect("SQLite has its ways to memory"));
        own.xMalloc = Some(malloc);
        own.xRealloc = Some(realloc);
        assert_eq!(ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const own), 0);
        assert_eq!(ffi::sqlite3_config(ffi::SQLITE_CONFIG_LOOKASIDE, 0 as c_int, 0 as c_int), 0);
    }
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    match REAL.get() {
        // SAFETY: SQLite's own call.
        Some((real, _)) if !strikes(Kind::Memory) => unsafe { real(bytes) },
        _ => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn realloc(old: *mut c_void, bytes: c_int) -> *mut c_void {
    match REAL.get() {
        // SAFETY: as above; what is not given leaves the old memory as it is.
        Some((_, real)) if !strikes(Kind::Memory) => unsafe { real(old, bytes) },
        _ => std::ptr::null_mut(),
    }
}
