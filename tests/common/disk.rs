//! A disk that a test breaks. It registers a file system layer (VFS) that hands everything to the
//! default one, until it is told to fail.

use rusqlite::{Connection, OpenFlags, ffi};
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::null;
use std::sync::atomic::{AtomicU32, Ordering};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Fault {
    Nothing,
    /// Nothing reaches the disk for good: every fsync is an error.
    Sync,
    /// There is no room: every write is refused.
    Full,
    /// Half of what is written arrives, and the write is an error.
    Torn,
}

#[repr(C)]
struct Layer {
    vfs: ffi::sqlite3_vfs,
    base: *mut ffi::sqlite3_vfs,
    fault: AtomicU32,
}

// SAFETY: the layer is only read, but for its atomic.
unsafe impl Sync for Layer {}

/// A file: our methods, our layer, and then the default layer's file.
#[repr(C)]
struct File {
    methods: *const ffi::sqlite3_io_methods,
    layer: *const Layer,
    own: ffi::sqlite3_io_methods,
}

type Handle = *mut ffi::sqlite3_file;

/// The default layer's file and its methods.
unsafe fn real(file: Handle) -> (Handle, &'static ffi::sqlite3_io_methods) {
    // SAFETY: `open` laid the file out so, and the default layer's methods are static.
    unsafe {
        let inner: Handle = file.cast::<File>().add(1).cast();
        (inner, &*(*inner).pMethods)
    }
}

unsafe fn fault(file: Handle) -> u32 {
    // SAFETY: `open` put the layer there, which is never freed.
    unsafe { (*(*file.cast::<File>()).layer).fault.load(Ordering::SeqCst) }
}

/// Methods that only hand on.
macro_rules! hand_on {
    ($($name:ident($($arg:ident: $t:ty),*) -> $ret:ty;)*) => { $(
        #[allow(non_snake_case)]
        unsafe extern "C" fn $name(file: Handle $(, $arg: $t)*) -> $ret {
            // SAFETY: SQLite calls only what `open` left in the table.
            unsafe {
                let (inner, methods) = real(file);
                (methods.$name.unwrap_unchecked())(inner $(, $arg)*)
            }
        }
    )* };
}

hand_on! {
    xClose() -> c_int;
    xRead(to: *mut c_void, bytes: c_int, at: i64) -> c_int;
    xTruncate(size: i64) -> c_int;
    xFileSize(size: *mut i64) -> c_int;
    xLock(kind: c_int) -> c_int;
    xUnlock(kind: c_int) -> c_int;
    xCheckReservedLock(out: *mut c_int) -> c_int;
    xFileControl(op: c_int, arg: *mut c_void) -> c_int;
    xSectorSize() -> c_int;
    xDeviceCharacteristics() -> c_int;
    xShmMap(page: c_int, size: c_int, extend: c_int, to: *mut *mut c_void) -> c_int;
    xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int;
    xShmBarrier() -> ();
    xShmUnmap(delete: c_int) -> c_int;
}

unsafe extern "C" fn write(file: Handle, from: *const c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: as above; half of a buffer is a buffer.
    unsafe {
        let (inner, methods) = real(file);
        let write = methods.xWrite.unwrap_unchecked();
        match fault(file) {
            f if f == Fault::Full as u32 => ffi::SQLITE_FULL,
            f if f == Fault::Torn as u32 => {
                write(inner, from, bytes / 2, at);
                ffi::SQLITE_IOERR_WRITE
            }
            _ => write(inner, from, bytes, at),
        }
    }
}

unsafe extern "C" fn sync(file: Handle, flags: c_int) -> c_int {
    // SAFETY: as above.
    unsafe {
        let (inner, methods) = real(file);
        if fault(file) == Fault::Sync as u32 {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        (methods.xSync.unwrap_unchecked())(inner, flags)
    }
}

unsafe extern "C" fn open_file(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: Handle,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives as much room for the file as the layer asked for.
    unsafe {
        let layer: *const Layer = vfs.cast();
        let inner: Handle = file.cast::<File>().add(1).cast();
        let base = (*layer).base;
        let code = ((*base).xOpen.unwrap_unchecked())(base, name, inner, flags, out);
        if (*inner).pMethods.is_null() {
            (*file).pMethods = null();
            return code;
        }
        let mut own = *(*inner).pMethods;
        // Version 2 has no memory mapping, which would go past us.
        own.iVersion = own.iVersion.min(2);
        own.xWrite = Some(write);
        own.xSync = Some(sync);
        own.xClose = Some(xClose);
        own.xRead = Some(xRead);
        own.xTruncate = Some(xTruncate);
        own.xFileSize = Some(xFileSize);
        own.xLock = Some(xLock);
        own.xUnlock = Some(xUnlock);
        own.xCheckReservedLock = Some(xCheckReservedLock);
        own.xFileControl = Some(xFileControl);
        own.xSectorSize = Some(xSectorSize);
        own.xDeviceCharacteristics = Some(xDeviceCharacteristics);
        own.xShmMap = Some(xShmMap);
        own.xShmLock = Some(xShmLock);
        own.xShmBarrier = Some(xShmBarrier);
        own.xShmUnmap = Some(xShmUnmap);
        let at = file.cast::<File>();
        at.write(File { methods: null(), layer, own });
        (*at).methods = &raw const (*at).own;
        code
    }
}

/// One disk.
pub struct Disk {
    layer: &'static Layer,
    name: String,
}

impl Disk {
    /// A disk that works.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("disk{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        // SAFETY: the default layer is never freed, and neither is ours.
        let layer = unsafe {
            ffi::sqlite3_initialize();
            let base = ffi::sqlite3_vfs_find(null());
            let mut vfs = *base;
            vfs.zName = CString::new(name.as_str()).unwrap().into_raw();
            vfs.szOsFile += size_of::<File>() as c_int;
            vfs.xOpen = Some(open_file);
            let layer: &'static mut Layer =
                Box::leak(Box::new(Layer { vfs, base, fault: AtomicU32::new(0) }));
            assert_eq!(ffi::sqlite3_vfs_register(&raw mut layer.vfs, 0), ffi::SQLITE_OK);
            &*layer
        };
        Self { layer, name }
    }

    /// From now on this goes wrong.
    pub fn fails(&self, fault: Fault) {
        self.layer.fault.store(fault as u32, Ordering::SeqCst);
    }

    /// A database in a file on this disk.
    pub fn open(&self, path: &Path) -> Connection {
        let flags = OpenFlags::default();
        let db = Connection::open_with_flags_and_vfs(path, flags, self.name.as_str()).unwrap();
        super::load(&db);
        db
    }
}
