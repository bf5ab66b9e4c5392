//! How often write-ahead logs were put on the disk: a file system layer that is the default one,
//! but counts.

use rusqlite::{Connection, OpenFlags, ffi};
use std::ffi::{c_char, c_int};
use std::path::Path;
use std::ptr::null;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

type Sync = unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int) -> c_int;

static BASE: OnceLock<usize> = OnceLock::new();
static TRUE_SYNC: OnceLock<Sync> = OnceLock::new();
static WATCHED: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();
static SYNCS: AtomicUsize = AtomicUsize::new(0);

/// How often so far.
pub fn count() -> usize {
    SYNCS.load(Ordering::SeqCst)
}

/// A database in a file whose log is watched.
pub fn open(path: &Path) -> Connection {
    BASE.get_or_init(register);
    let flags = OpenFlags::default();
    let db = Connection::open_with_flags_and_vfs(path, flags, "counts_syncs").unwrap();
    super::load(&db);
    db
}

fn register() -> usize {
    // SAFETY: the default layer is never freed, and neither is the copy.
    unsafe {
        ffi::sqlite3_initialize();
        let base = ffi::sqlite3_vfs_find(null());
        let mut vfs = *base;
        vfs.zName = c"counts_syncs".as_ptr();
        vfs.xOpen = Some(open_file);
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0), ffi::SQLITE_OK);
        base as usize
    }
}

unsafe extern "C" fn open_file(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let base = *BASE.get().expect("registered") as *mut ffi::sqlite3_vfs;
    // SAFETY: the default layer opens its own file, with the same methods for every log; a log gets
    // a copy of them, which is never freed.
    unsafe {
        let rc = (*base).xOpen.expect("a layer opens files")(base, name, file, flags, out);
        if rc == ffi::SQLITE_OK && flags & ffi::SQLITE_OPEN_WAL != 0 {
            let methods = *(*file).pMethods;
            TRUE_SYNC.get_or_init(|| methods.xSync.expect("a file can be synced"));
            let watched = ffi::sqlite3_io_methods { xSync: Some(count_sync), ..methods };
            (*file).pMethods = WATCHED.get_or_init(|| watched);
        }
        rc
    }
}

unsafe extern "C" fn count_sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    SYNCS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the file's own method.
    unsafe { TRUE_SYNC.get().expect("a log was opened")(file, flags) }
}
