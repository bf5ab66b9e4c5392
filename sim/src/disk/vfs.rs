//! SQLite's way to a simulated machine: one file system layer per machine, with its files and its
//! clock. The first is SQLite's default too, and gives the process's randomness.

use super::{Change, File, Machine};
use crate::rng::Rng;
use rusqlite::ffi;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::size_of;
use std::rc::Rc;

/// How many machines there are.
const MACHINES: usize = 8;

struct Host {
    machine: RefCell<Machine>,
    randomness: RefCell<Rng>,
    name: CString,
}

thread_local! {
    static HOSTS: Vec<&'static Host> = (0..MACHINES).map(make).collect();
}

fn make(n: usize) -> &'static Host {
    Box::leak(Box::new(Host {
        machine: RefCell::new(Machine::new()),
        randomness: RefCell::new(Rng::new(0)),
        name: CString::new(format!("machine{n}")).expect("a name"),
    }))
}

/// The machine with this number.
pub fn machine(n: usize) -> &'static RefCell<Machine> {
    HOSTS.with(|hosts| &hosts[n].machine)
}

/// The name of a machine's layer, for opening a connection.
pub fn name(n: usize) -> &'static CStr {
    HOSTS.with(|hosts| hosts[n].name.as_c_str())
}

/// SQLite's randomness begins anew, from this seed.
pub fn seed(seed: u64) {
    HOSTS.with(|hosts| *hosts[0].randomness.borrow_mut() = Rng::new(seed));
    // SAFETY: no bytes and no place for them: SQLite asks its default layer again next time.
    unsafe { ffi::sqlite3_randomness(0, std::ptr::null_mut()) }
}

/// Registers the layers. Once, before the first connection, on the thread that will use them.
pub fn install() {
    // SAFETY: a single thread; the layers are never freed.
    unsafe {
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MULTITHREAD);
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int);
        ffi::sqlite3_initialize();
    }
    HOSTS.with(|hosts| {
        for (n, host) in hosts.iter().enumerate() {
            let mut vfs = empty();
            vfs.zName = host.name.as_ptr();
            vfs.pAppData = (&raw const **host).cast_mut().cast();
            // SAFETY: as above.
            unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), c_int::from(n == 0)) };
        }
    });
}

fn empty() -> ffi::sqlite3_vfs {
    // SAFETY: numbers, null pointers and absent functions.
    let mut vfs: ffi::sqlite3_vfs = unsafe { std::mem::zeroed() };
    vfs.iVersion = 2;
    vfs.szOsFile = size_of::<Handle>() as c_int;
    vfs.mxPathname = 200;
    vfs.xOpen = Some(open);
    vfs.xDelete = Some(delete);
    vfs.xAccess = Some(access);
    vfs.xFullPathname = Some(full_pathname);
    vfs.xRandomness = Some(randomness);
    vfs.xSleep = Some(sleep);
    vfs.xCurrentTimeInt64 = Some(now);
    vfs.xGetLastError = Some(last_error);
    vfs
}

/// SAFETY, here and below: SQLite hands every callback the layer, the file and the places for
/// answers that were given to it; all are on this thread, and a layer lives for ever.
unsafe fn host<'a>(vfs: *mut ffi::sqlite3_vfs) -> &'a Host {
    unsafe { &*(*vfs).pAppData.cast::<Host>() }
}

unsafe fn text<'a>(name: *const c_char) -> &'a str {
    unsafe { CStr::from_ptr(name).to_str().unwrap_or_default() }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    let mut machine = unsafe { host(vfs) }.machine.borrow_mut();
    if !machine.write_begins() {
        return ffi::SQLITE_IOERR_DELETE;
    }
    match machine.delete(unsafe { text(name) }, sync != 0) {
        true => ffi::SQLITE_OK,
        false => ffi::SQLITE_IOERR_DELETE_NOENT,
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    let machine = unsafe { host(vfs) }.machine.borrow();
    unsafe { *out = c_int::from(machine.files.contains_key(text(name))) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if bytes.len() > room as usize {
        return ffi::SQLITE_CANTOPEN;
    }
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast(), bytes.len()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(
    vfs: *mut ffi::sqlite3_vfs,
    bytes: c_int,
    out: *mut c_char,
) -> c_int {
    let mut rng = unsafe { host(vfs) }.randomness.borrow_mut();
    for n in 0..bytes as usize {
        unsafe { *out.add(n) = rng.next() as c_char };
    }
    bytes
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    micros
}

unsafe extern "C" fn now(vfs: *mut ffi::sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    unsafe { *out = host(vfs).machine.borrow().now };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}

/// What SQLite keeps for an open file.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

struct Open {
    host: &'static Host,
    file: Rc<RefCell<File>>,
    who: u64,
    /// A file without a name is gone when it is closed, and nothing happens to it.
    named: bool,
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    handle: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let host: &'static Host = unsafe { &*std::ptr::from_ref(host(vfs)) };
    let handle: *mut Handle = handle.cast();
    unsafe { (*handle).base.pMethods = std::ptr::null() };
    let mut machine = host.machine.borrow_mut();
    let file = if name.is_null() {
        Rc::default()
    } else {
        let name = unsafe { text(name) };
        match machine.files.get(name) {
            Some(file) => Rc::clone(file),
            None if flags & ffi::SQLITE_OPEN_CREATE == 0 || machine.dead => {
                return ffi::SQLITE_CANTOPEN;
            }
            None => {
                let file: Rc<RefCell<File>> = Rc::default();
                machine.files.insert(name.to_owned(), Rc::clone(&file));
                file
            }
        }
    };
    let who = file.borrow_mut().locks.enter();
    let named = !name.is_null();
    let open = Box::into_raw(Box::new(Open { host, file, who, named }));
    unsafe {
        (*handle).open = open;
        (*handle).base.pMethods = &METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a Open {
    unsafe { &*(*file.cast::<Handle>()).open }
}

impl Open {
    /// Changes the file, if the machine comes to it.
    fn change(&self, change: Change, failed: c_int) -> c_int {
        let mut careful = false;
        if self.named {
            let mut machine = self.host.machine.borrow_mut();
            if !machine.write_begins() {
                return failed;
            }
            careful = machine.careful;
            let grows = matches!(&change, Change::Write(at, bytes)
                if at + bytes.len() > self.file.borrow().data.len());
            if machine.full && grows {
                return ffi::SQLITE_FULL;
            }
        }
        let mut file = self.file.borrow_mut();
        if careful {
            file.remember();
        }
        match &change {
            Change::Truncate(len) => file.data.resize(*len, 0),
            Change::Write(at, bytes) => File::put(&mut file.data, *at, bytes),
        }
        if careful {
            file.pending.push(change);
        }
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let open = unsafe { Box::from_raw((*file.cast::<Handle>()).open) };
    open.file.borrow_mut().locks.leave(open.who);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    amount: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let open = unsafe { opened(file) };
    if open.named && open.host.machine.borrow().dead {
        return ffi::SQLITE_IOERR_READ;
    }
    let file = open.file.borrow();
    let out = unsafe { std::slice::from_raw_parts_mut(out.cast::<u8>(), amount as usize) };
    let there = file.data.get(at as usize..).unwrap_or_default();
    let n = there.len().min(out.len());
    out[..n].copy_from_slice(&there[..n]);
    out[n..].fill(0);
    if n == out.len() { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), amount as usize) };
    let open = unsafe { opened(file) };
    open.change(Change::Write(at as usize, bytes.to_vec()), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    let open = unsafe { opened(file) };
    open.change(Change::Truncate(size as usize), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    let open = unsafe { opened(file) };
    if open.named {
        let mut machine = open.host.machine.borrow_mut();
        if machine.deaf {
            return ffi::SQLITE_OK;
        }
        if !machine.write_begins() {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        machine.synced();
    }
    open.file.borrow_mut().sync();
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    out: *mut ffi::sqlite3_int64,
) -> c_int {
    unsafe { *out = opened(file).file.borrow().data.len() as i64 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    let open = unsafe { opened(file) };
    match open.file.borrow_mut().locks.lock(open.who, level) {
        true => ffi::SQLITE_OK,
        false => ffi::SQLITE_BUSY,
    }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    let open = unsafe { opened(file) };
    open.file.borrow_mut().locks.set(open.who, level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    unsafe { *out = c_int::from(opened(file).file.borrow().locks.reserved()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(
    _: *mut ffi::sqlite3_file,
    _op: c_int,
    _arg: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    super::SECTOR as c_int
}

unsafe extern "C" fn device(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let open = unsafe { opened(file) };
    let mut file = open.file.borrow_mut();
    file.shared.enter(open.who);
    let regions = &mut file.shared.regions;
    while regions.len() <= region as usize && extend != 0 {
        regions.push(vec![0u64; size as usize / 8].into_boxed_slice());
    }
    let place = regions.get_mut(region as usize).map(|r| r.as_mut_ptr().cast());
    unsafe { *out = place.unwrap_or(std::ptr::null_mut()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let open = unsafe { opened(file) };
    let slots = first as usize..(first + count) as usize;
    let shared = &mut open.file.borrow_mut().shared;
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        shared.unlock(open.who, slots);
        return ffi::SQLITE_OK;
    }
    match shared.lock(open.who, slots, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0) {
        true => ffi::SQLITE_OK,
        false => ffi::SQLITE_BUSY,
    }
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    let open = unsafe { opened(file) };
    let mut file = open.file.borrow_mut();
    let slots = 0..ffi::SQLITE_SHM_NLOCK as usize;
    file.shared.unlock(open.who, slots);
    if file.shared.leave(open.who) {
        file.shared.regions.clear();
    }
    ffi::SQLITE_OK
}
