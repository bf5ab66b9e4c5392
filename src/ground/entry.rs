//! Arriving in a host: takes its routine table, refuses a SQLite that is too old or lacks a part
//! that we need, and refuses a second SQLite library in one process.

use super::abi::{SQLITE_OK, sqlite3};
use super::api::{self, Table};
use super::db::Db;
use super::fence::{code_of, fence};
use crate::words::error::{Error, Result, SQLITE_ERROR};
use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

/// The oldest SQLite that we live in.
const OLDEST: c_int = 3_038_000;

/// The library that this process's routines belong to. It holds no memory, because nothing would
/// free it when the host unloads us.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Host {
    /// The addresses of a few of its functions: `prepare_v3`, `step`, `free`. Two copies of one
    /// version differ here, as they must: they share no memory, locks or page cache.
    functions: [usize; 3],
    version: c_int,
}

static HOST: OnceLock<Host> = OnceLock::new();

/// The fence of an entry point: takes the host's table, runs `f`, and answers as the entry point
/// of an extension does, with a result code and, on an error, a sentence in `*err`.
///
/// # Safety
/// The arguments are those with which SQLite called the entry point.
pub unsafe fn init(
    db: *mut sqlite3,
    err: *mut *mut c_char,
    api: *const c_void,
    f: impl FnOnce(Db) -> Result<()>,
) -> c_int {
    let table: Table = api.cast();
    if table.is_null() || db.is_null() {
        // A SQLite built without extension loading has no table, and no way to say more.
        return SQLITE_ERROR;
    }
    let done = fence(|| {
        // SAFETY: the host's table, not null; from here on its slots may be called.
        unsafe { take(table)? };
        f(Db::from_raw(db))
    });
    let Err(error) = done else { return SQLITE_OK };
    if !err.is_null() {
        // SAFETY: the host's place for a message, which it frees with its own `sqlite3_free`; so
        // it is made by its own table, not by the one that was adopted.
        unsafe { *err = api::copy_text_of(table, &error.text) };
    }
    code_of(&error)
}

/// Adopts `table` if it can serve us.
///
/// # Safety
/// `table` is a host's routine table.
unsafe fn take(table: Table) -> Result<()> {
    // SAFETY: the caller's promise; the slots of the version are in every table, and those past
    // them are read only once the version says that they are there.
    unsafe {
        let version = api::libversion_number_of(table);
        let name = dotted(version);
        if version < OLDEST {
            return Err(Error::refused(format!(
                "crsql needs SQLite 3.38.0 or later; this host has {name}"
            )));
        }
        for (n, slot) in api::SLOTS {
            if api::slot_of(table, *n).is_null() {
                return Err(Error::refused(format!(
                    "crsql needs sqlite3_{slot}, which this host's SQLite {name} is built without"
                )));
            }
        }
        let host =
            Host { functions: [217, 94, 58].map(|n| api::slot_of(table, n) as usize), version };
        let first = *HOST.get_or_init(|| host);
        if first != host {
            return Err(Error::refused(format!(
                "crsql already serves SQLite {} in this process; it cannot serve a second SQLite \
                 library ({name}) beside it",
                dotted(first.version)
            )));
        }
        api::adopt(table);
    }
    Ok(())
}

/// A version number as people write it.
fn dotted(version: c_int) -> String {
    format!("{}.{}.{}", version / 1_000_000, version / 1_000 % 1_000, version % 1_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// A host's routine table in which only the version can be asked for.
    fn bare(version: extern "C" fn() -> c_int) -> [*const c_void; 256] {
        let mut table = [std::ptr::null(); 256];
        table[67] = version as *const c_void;
        table
    }

    extern "C" fn old() -> c_int {
        3_037_002
    }

    extern "C" fn new() -> c_int {
        3_054_001
    }

    /// Called past the end of an old host's table, a function that is not there would end the
    /// process; so the version comes first, and then every slot is looked at.
    #[test]
    fn l5_an_old_sqlite_is_refused_with_both_numbers() {
        // SAFETY: the table has the slot of the version, which is all that is read of an old one.
        let why = unsafe { take(bare(old).as_ptr()) }.unwrap_err();
        assert_eq!(why.text, "crsql needs SQLite 3.38.0 or later; this host has 3.37.2");
        // SAFETY: as above, and as long as a new one.
        let why = unsafe { take(bare(new).as_ptr()) }.unwrap_err();
        assert!(why.text.contains("3.54.1 is built without"), "{why}");
    }
}
