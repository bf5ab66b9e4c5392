//! How much memory the fuzzer itself holds: the most since it was last asked.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, counted.
pub struct Meter;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn more(n: usize) {
    let held = HELD.fetch_add(n, Ordering::Relaxed) + n;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call is handed on as it came.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Begins anew.
pub fn reset() {
    MOST.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// The most that was held since the beginning, above what was held then.
pub fn most(f: impl FnOnce()) -> usize {
    reset();
    let before = HELD.load(Ordering::Relaxed);
    f();
    MOST.load(Ordering::Relaxed).saturating_sub(before)
}
