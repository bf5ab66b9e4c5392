//! A file system layer over that of a simulated machine, in which any call fails when it is told
//! to. Connections of the script go through it; the judge's do not.

use super::point::{Kind, strikes};
use rusqlite::ffi;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;

/// The layer's name.
pub const NAME: &CStr = c"faulty";

type Handle = *mut ffi::sqlite3_file;

/// What SQLite keeps for an open file; that of the machine is right behind it.
#[repr(C)]
struct File {
    methods: *const ffi::sqlite3_io_methods,
}

/// Registers the layer over a machine's.
pub fn install(machine: &CStr) {
    // SAFETY: a single thread; layers are never freed.
    unsafe {
        let base = ffi::sqlite3_vfs_find(machine.as_ptr());
        assert!(!base.is_null(), "there is no such machine");
        let mut vfs = *base;
        vfs.zName = NAME.as_ptr();
        vfs.pAppData = base.cast();
        vfs.szOsFile += size_of::<File>() as c_int;
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        vfs.xAccess = Some(access);
        vfs.xFullPathname = Some(full_pathname);
        vfs.xRandomness = Some(randomness);
        vfs.xCurrentTimeInt64 = Some(now);
        assert_eq!(ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0), ffi::SQLITE_OK);
    }
}

/// SAFETY, here and below: SQLite hands every callback the layer, the file and the places for
/// answers that were given to it; the machine's layer has every method that is called.
unsafe fn base(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    unsafe { (*vfs).pAppData.cast() }
}

unsafe fn real(file: Handle) -> (Handle, &'static ffi::sqlite3_io_methods) {
    unsafe {
        let inner: Handle = file.cast::<File>().add(1).cast();
        (inner, &*(*inner).pMethods)
    }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: Handle,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    unsafe {
        (*file).pMethods = std::ptr::null();
        if strikes(Kind::Open) {
            return ffi::SQLITE_CANTOPEN;
        }
        let base = base(vfs);
        let inner: Handle = file.cast::<File>().add(1).cast();
        let code = ((*base).xOpen.unwrap_unchecked())(base, name, inner, flags, out);
        if !(*inner).pMethods.is_null() {
            (*file.cast::<File>()).methods = &METHODS;
        }
        code
    }
}

/// Calls of the layer: each hands on, or fails with its code where its kind strikes.
macro_rules! layer_calls {
    ($($name:ident = $method:ident, $fails:expr;
       ($($arg:ident: $t:ty),*) -> $ret:ty;)*) => { $(
        unsafe extern "C" fn $name(vfs: *mut ffi::sqlite3_vfs $(, $arg: $t)*) -> $ret {
            let fails: Option<(Kind, $ret)> = $fails;
            match fails {
                Some((kind, code)) if strikes(kind) => code,
                _ => unsafe {
                    let base = base(vfs);
                    ((*base).$method.unwrap_unchecked())(base $(, $arg)*)
                },
            }
        }
    )* };
}

layer_calls! {
    delete = xDelete, Some((Kind::Delete, ffi::SQLITE_IOERR_DELETE));
        (name: *const c_char, sync: c_int) -> c_int;
    access = xAccess, Some((Kind::Access, ffi::SQLITE_IOERR_ACCESS));
        (name: *const c_char, flags: c_int, out: *mut c_int) -> c_int;
    full_pathname = xFullPathname, None;
        (name: *const c_char, room: c_int, out: *mut c_char) -> c_int;
    randomness = xRandomness, None; (bytes: c_int, out: *mut c_char) -> c_int;
    now = xCurrentTimeInt64, None; (out: *mut ffi::sqlite3_int64) -> c_int;
}

/// Calls of a file, likewise.
macro_rules! file_calls {
    ($($name:ident, $fails:expr; ($($arg:ident: $t:ty),*) -> $ret:ty;)*) => { $(
        #[allow(non_snake_case)]
        unsafe extern "C" fn $name(file: Handle $(, $arg: $t)*) -> $ret {
            let fails: Option<(Kind, $ret)> = $fails;
            match fails {
                Some((kind, code)) if strikes(kind) => code,
                _ => unsafe {
                    let (inner, methods) = real(file);
                    (methods.$name.unwrap_unchecked())(inner $(, $arg)*)
                },
            }
        }
    )* };
}

file_calls! {
    xClose, None; () -> c_int;
    xRead, Some((Kind::Read, ffi::SQLITE_IOERR_READ));
        (to: *mut c_void, bytes: c_int, at: i64) -> c_int;
    xTruncate, Some((Kind::Truncate, ffi::SQLITE_IOERR_TRUNCATE)); (size: i64) -> c_int;
    xSync, Some((Kind::Sync, ffi::SQLITE_IOERR_FSYNC)); (flags: c_int) -> c_int;
    xFileSize, Some((Kind::Size, ffi::SQLITE_IOERR_FSTAT)); (size: *mut i64) -> c_int;
    xUnlock, None; (level: c_int) -> c_int;
    xCheckReservedLock, Some((Kind::Lock, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK));
        (out: *mut c_int) -> c_int;
    xFileControl, None; (op: c_int, arg: *mut c_void) -> c_int;
    xSectorSize, None; () -> c_int;
    xDeviceCharacteristics, None; () -> c_int;
    xShmMap, Some((Kind::Shared, ffi::SQLITE_IOERR_SHMMAP));
        (page: c_int, size: c_int, extend: c_int, to: *mut *mut c_void) -> c_int;
    xShmBarrier, None; () -> ();
    xShmUnmap, None; (delete: c_int) -> c_int;
}

#[allow(non_snake_case)]
unsafe extern "C" fn xWrite(file: Handle, from: *const c_void, bytes: c_int, at: i64) -> c_int {
    if strikes(Kind::Full) {
        return ffi::SQLITE_FULL;
    }
    if strikes(Kind::Write) {
        return ffi::SQLITE_IOERR_WRITE;
    }
    let torn = strikes(Kind::Torn);
    unsafe {
        let (inner, methods) = real(file);
        // Half of a buffer is a buffer.
        let bytes = if torn { bytes / 2 } else { bytes };
        let code = (methods.xWrite.unwrap_unchecked())(inner, from, bytes, at);
        if torn { ffi::SQLITE_IOERR_WRITE } else { code }
    }
}

#[allow(non_snake_case)]
unsafe extern "C" fn xLock(file: Handle, level: c_int) -> c_int {
    if strikes(Kind::Busy) {
        return ffi::SQLITE_BUSY;
    }
    if strikes(Kind::Lock) {
        return ffi::SQLITE_IOERR_LOCK;
    }
    unsafe {
        let (inner, methods) = real(file);
        (methods.xLock.unwrap_unchecked())(inner, level)
    }
}

#[allow(non_snake_case)]
unsafe extern "C" fn xShmLock(file: Handle, first: c_int, count: c_int, flags: c_int) -> c_int {
    if flags & ffi::SQLITE_SHM_UNLOCK == 0 {
        if strikes(Kind::Busy) {
            return ffi::SQLITE_BUSY;
        }
        if strikes(Kind::Lock) {
            return ffi::SQLITE_IOERR_SHMLOCK;
        }
    }
    unsafe {
        let (inner, methods) = real(file);
        (methods.xShmLock.unwrap_unchecked())(inner, first, count, flags)
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(xClose),
    xRead: Some(xRead),
    xWrite: Some(xWrite),
    xTruncate: Some(xTruncate),
    xSync: Some(xSync),
    xFileSize: Some(xFileSize),
    xLock: Some(xLock),
    xUnlock: Some(xUnlock),
    xCheckReservedLock: Some(xCheckReservedLock),
    xFileControl: Some(xFileControl),
    xSectorSize: Some(xSectorSize),
    xDeviceCharacteristics: Some(xDeviceCharacteristics),
    xShmMap: Some(xShmMap),
    xShmLock: Some(xShmLock),
    xShmBarrier: Some(xShmBarrier),
    xShmUnmap: Some(xShmUnmap),
    xFetch: None,
    xUnfetch: None,
};
