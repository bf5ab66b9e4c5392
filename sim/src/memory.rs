//! Memory for small pieces that come and go all the time, for Rust and for SQLite: a list of free
//! pieces per size and thread. A fifth of a case was malloc and free.

use rusqlite::ffi;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::ptr::{copy_nonoverlapping, null_mut};

/// Sizes are rounded up to so many bytes; what is larger than the largest comes from the system.
const STEP: usize = 32;
const LISTS: usize = 256;
/// So much is taken from the system at a time.
const CHUNK: usize = 1 << 17;

struct Pool {
    free: UnsafeCell<[*mut u8; LISTS]>,
    rest: Cell<(*mut u8, usize)>,
}

impl Pool {
    const fn empty() -> Pool {
        Pool { free: UnsafeCell::new([null_mut(); LISTS]), rest: Cell::new((null_mut(), 0)) }
    }
}

thread_local! {
    static POOL: Pool = const { Pool::empty() };
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap_or(Layout::new::<u128>())
}

impl Pool {
    /// SAFETY, of all of these: a list holds pieces of its size that nobody uses; what is given
    /// back came from `take` with a size of the same list.
    unsafe fn take(&self, size: usize) -> *mut u8 {
        let list = size.div_ceil(STEP);
        if list >= LISTS {
            return unsafe { System.alloc(layout(size)) };
        }
        let head = unsafe { &mut (&mut *self.free.get())[list] };
        if !head.is_null() {
            let piece = *head;
            *head = unsafe { piece.cast::<*mut u8>().read() };
            return piece;
        }
        let (mut at, mut left) = self.rest.get();
        let need = list.max(1) * STEP;
        if left < need {
            (at, left) = (unsafe { System.alloc(layout(CHUNK)) }, CHUNK);
            if at.is_null() {
                return at;
            }
        }
        self.rest.set((unsafe { at.add(need) }, left - need));
        at
    }

    unsafe fn give(&self, piece: *mut u8, size: usize) {
        let list = size.div_ceil(STEP);
        if list >= LISTS {
            return unsafe { System.dealloc(piece, layout(size)) };
        }
        unsafe {
            let head = &mut (&mut *self.free.get())[list];
            piece.cast::<*mut u8>().write(*head);
            *head = piece;
        }
    }

    unsafe fn resize(&self, piece: *mut u8, old: usize, new: usize) -> *mut u8 {
        if old.div_ceil(STEP) == new.div_ceil(STEP) && new.div_ceil(STEP) < LISTS {
            return piece;
        }
        unsafe {
            let moved = self.take(new);
            if !moved.is_null() {
                copy_nonoverlapping(piece, moved, old.min(new));
                self.give(piece, old);
            }
            moved
        }
    }
}

/// Rust's memory.
pub struct Memory;

// SAFETY: pieces are as large as was asked for and aligned to 16 bytes; what wants more alignment
// comes from the system.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        match l.align() {
            0..=16 => POOL.with(|pool| unsafe { pool.take(l.size()) }),
            _ => unsafe { System.alloc(l) },
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, l: Layout) {
        match l.align() {
            0..=16 => POOL.with(|pool| unsafe { pool.give(piece, l.size()) }),
            _ => unsafe { System.dealloc(piece, l) },
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, l: Layout, new: usize) -> *mut u8 {
        match l.align() {
            0..=16 => POOL.with(|pool| unsafe { pool.resize(piece, l.size(), new) }),
            _ => unsafe { System.realloc(piece, l, new) },
        }
    }
}

/// Before every piece of SQLite's stands its size.
const HEAD: usize = 16;

unsafe extern "C" fn malloc(size: c_int) -> *mut c_void {
    let size = size as usize + HEAD;
    let piece = POOL.with(|pool| unsafe { pool.take(size) });
    if piece.is_null() {
        return null_mut();
    }
    unsafe {
        piece.cast::<usize>().write(size);
        piece.add(HEAD).cast()
    }
}

unsafe fn whole(piece: *mut c_void) -> (*mut u8, usize) {
    unsafe {
        let piece = piece.cast::<u8>().sub(HEAD);
        (piece, piece.cast::<usize>().read())
    }
}

unsafe extern "C" fn free(piece: *mut c_void) {
    if !piece.is_null() {
        let (piece, size) = unsafe { whole(piece) };
        POOL.with(|pool| unsafe { pool.give(piece, size) });
    }
}

unsafe extern "C" fn realloc(piece: *mut c_void, new: c_int) -> *mut c_void {
    let ((piece, old), new) = (unsafe { whole(piece) }, new as usize + HEAD);
    let piece = POOL.with(|pool| unsafe { pool.resize(piece, old, new) });
    if piece.is_null() {
        return null_mut();
    }
    unsafe {
        piece.cast::<usize>().write(new);
        piece.add(HEAD).cast()
    }
}

unsafe extern "C" fn size(piece: *mut c_void) -> c_int {
    if piece.is_null() { 0 } else { (unsafe { whole(piece) }.1 - HEAD) as c_int }
}

unsafe extern "C" fn round_up(size: c_int) -> c_int {
    let step = STEP as c_int;
    (size + HEAD as c_int + step - 1) / step * step - HEAD as c_int
}

unsafe extern "C" fn init(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shutdown(_: *mut c_void) {}

/// SQLite takes its memory here. Before anything else is done with it.
pub fn install() {
    let methods = ffi::sqlite3_mem_methods {
        xMalloc: Some(malloc),
        xFree: Some(free),
        xRealloc: Some(realloc),
        xSize: Some(size),
        xRoundup: Some(round_up),
        xInit: Some(init),
        xShutdown: Some(shutdown),
        pAppData: null_mut(),
    };
    // SAFETY: SQLite copies the methods, which keep its rules.
    unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods) };
}
