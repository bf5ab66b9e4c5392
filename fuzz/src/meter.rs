//! How much memory a thread holds on the Rust side: the most since it was last asked.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted.
pub struct Meter;

// Cells without a destructor, so that an allocator may use them at any time of a thread's life.
// What another thread frees makes a count negative, which is as good a beginning as any.
thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn more(n: usize) {
    let held = HELD.get() + n.cast_signed();
    HELD.set(held);
    if held > MOST.get() {
        MOST.set(held);
    }
}

fn less(n: usize) {
    HELD.set(HELD.get() - n.cast_signed());
}

// SAFETY: every call is handed on as it came.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        more(size);
        less(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        less(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

/// What `f` gives, and the most that this thread held meanwhile above what it held before.
pub fn most<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    MOST.set(before);
    let out = f();
    (out, usize::try_from(MOST.get() - before).unwrap_or(0))
}
