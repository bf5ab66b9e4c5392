//! The one fault that is about to happen: which call, how many of its kind come before it, and
//! whether all later ones fail too.

use rusqlite::ffi;
use std::cell::Cell;
use std::ffi::c_int;

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    /// Half of what is written gets there.
    Torn,
    Full,
    Sync,
    Truncate,
    /// Somebody else has the lock.
    Busy,
    /// The file system cannot lock.
    Lock,
    /// The memory that connections in WAL mode share.
    Shared,
    Open,
    Delete,
    Access,
    Size,
    /// SQLite gets no memory.
    Memory,
}

pub const KINDS: [Kind; 14] = [
    Kind::Read,
    Kind::Write,
    Kind::Torn,
    Kind::Full,
    Kind::Sync,
    Kind::Truncate,
    Kind::Busy,
    Kind::Lock,
    Kind::Shared,
    Kind::Open,
    Kind::Delete,
    Kind::Access,
    Kind::Size,
    Kind::Memory,
];

impl Kind {
    /// The result codes, without what extends them, that a statement may end with. Whatever a call
    /// says, SQLite sometimes says it in another way: no memory inside a call of the file system is
    /// an error of that, a file that cannot be opened is no file, and a journal that cannot be
    /// locked or mapped is one that cannot be opened.
    pub fn codes(self) -> &'static [c_int] {
        const IO: c_int = ffi::SQLITE_IOERR;
        match self {
            Kind::Memory => &[ffi::SQLITE_NOMEM, IO],
            Kind::Full => &[ffi::SQLITE_FULL],
            Kind::Busy => &[ffi::SQLITE_BUSY, ffi::SQLITE_PROTOCOL],
            Kind::Open => &[ffi::SQLITE_CANTOPEN],
            Kind::Access | Kind::Shared | Kind::Size => &[IO, ffi::SQLITE_CANTOPEN],
            _ => &[IO],
        }
    }
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub kind: Kind,
    /// So many calls of the kind go well first.
    pub after: u32,
    /// All later ones fail too, until the fault is taken away.
    pub for_good: bool,
}

#[derive(Clone, Copy)]
struct Armed {
    point: Point,
    left: u32,
    struck: bool,
}

thread_local! {
    static ARMED: Cell<Option<Armed>> = const { Cell::new(None) };
}

/// From now on this goes wrong.
pub fn arm(point: Point) {
    ARMED.set(Some(Armed { point, left: point.after, struck: false }));
}

/// Nothing goes wrong any more; whether something did.
pub fn disarm() -> bool {
    ARMED.take().is_some_and(|armed| armed.struck)
}

/// Whether the fault has happened.
pub fn struck() -> bool {
    ARMED.get().is_some_and(|armed| armed.struck)
}

/// Does something meanwhile in which nothing goes wrong.
pub fn calm<T>(work: impl FnOnce() -> T) -> T {
    let armed = ARMED.take();
    let done = work();
    ARMED.set(armed);
    done
}

/// A call of this kind: whether it fails.
pub fn strikes(kind: Kind) -> bool {
    let Some(mut armed) = ARMED.get().filter(|armed| armed.point.kind == kind) else {
        return false;
    };
    let now = match (armed.left, armed.struck) {
        (0, false) => true,
        (0, true) => armed.point.for_good,
        _ => {
            armed.left -= 1;
            false
        }
    };
    armed.struck |= now;
    ARMED.set(Some(armed));
    now
}
