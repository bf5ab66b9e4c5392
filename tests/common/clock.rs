//! A clock that a test sets. Time reaches crsql through SQLite's file system layer (the VFS), so
//! this registers a layer that is the default one in everything but the time.

use rusqlite::{Connection, OpenFlags, ffi};
use std::ffi::{CString, c_int};
use std::path::Path;
use std::ptr::null;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

const UNIX_EPOCH_JULIAN_MS: i64 = 210_866_760_000_000;

#[repr(C)]
struct Layer {
    vfs: ffi::sqlite3_vfs,
    offset_ms: AtomicI64,
    base: *mut ffi::sqlite3_vfs,
}

/// One machine's clock: the true time and an offset.
pub struct Clock {
    layer: &'static Layer,
    name: String,
}

unsafe extern "C" fn now_int64(vfs: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: SQLite hands over the layer that was registered, which is never freed.
    unsafe {
        let layer = &*vfs.cast::<Layer>();
        let base = layer.base;
        let rc = (*base).xCurrentTimeInt64.map_or(ffi::SQLITE_ERROR, |f| f(base, out));
        *out = (*out).saturating_add(layer.offset_ms.load(Ordering::SeqCst));
        rc
    }
}

unsafe extern "C" fn now_days(vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    let mut ms = 0i64;
    // SAFETY: as above.
    unsafe {
        let rc = now_int64(vfs, &raw mut ms);
        *out = ms as f64 / 86_400_000.0;
        rc
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that tells the true time.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("clock{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        // SAFETY: the default layer is never freed, and neither is ours.
        let layer = unsafe {
            ffi::sqlite3_initialize();
            let base = ffi::sqlite3_vfs_find(null());
            let mut vfs = *base;
            vfs.zName = CString::new(name.as_str()).unwrap().into_raw();
            vfs.xCurrentTime = Some(now_days);
            vfs.xCurrentTimeInt64 = Some(now_int64);
            let layer: &'static mut Layer =
                Box::leak(Box::new(Layer { vfs, offset_ms: AtomicI64::new(0), base }));
            assert_eq!(ffi::sqlite3_vfs_register(&raw mut layer.vfs, 0), ffi::SQLITE_OK);
            &*layer
        };
        Self { layer, name }
    }

    /// Sets how far the clock is ahead of the true time.
    pub fn ahead(&self, ms: i64) {
        self.layer.offset_ms.store(ms, Ordering::SeqCst);
    }

    /// Sets the clock to a time since 1970.
    pub fn set_unix_ms(&self, ms: i64) {
        let mut now = 0i64;
        // SAFETY: as in `now_int64`.
        unsafe {
            let base = self.layer.base;
            (*base).xCurrentTimeInt64.unwrap()(base, &raw mut now);
        }
        self.ahead((ms + UNIX_EPOCH_JULIAN_MS).wrapping_sub(now));
    }

    /// A database in memory on this machine.
    pub fn memory(&self) -> Connection {
        self.open(Path::new(":memory:"))
    }

    /// A database in a file on this machine.
    pub fn open(&self, path: &Path) -> Connection {
        let flags = OpenFlags::default();
        let db = Connection::open_with_flags_and_vfs(path, flags, self.name.as_str()).unwrap();
        super::load(&db);
        db
    }
}

// SAFETY: the layer is only read, but for its atomic.
unsafe impl Sync for Layer {}
