//! The C structures that cross the border, laid out as `sqlite3.h` has them. Names are SQLite's,
//! so that they can be looked up there.

#![allow(non_camel_case_types, non_snake_case)]

use std::ffi::{c_char, c_int, c_void};

/// `SQLITE_OK`
pub(super) const SQLITE_OK: c_int = 0;
/// `SQLITE_CONSTRAINT`, which xBestIndex answers when there is no plan for these constraints.
pub(super) const SQLITE_CONSTRAINT: c_int = 19;
/// `SQLITE_ROW`
pub(super) const SQLITE_ROW: c_int = 100;
/// `SQLITE_DONE`
pub(super) const SQLITE_DONE: c_int = 101;
/// `SQLITE_UTF8`
pub(super) const SQLITE_UTF8: u8 = 1;
/// `SQLITE_TRANSIENT`: SQLite copies the bytes before the call returns. A destructor is a pointer;
/// the only ones that we pass are numbers, so it is declared as one.
pub(super) const SQLITE_TRANSIENT: isize = -1;

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident;)*) => { $(
        $(#[$doc])*
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
            _not_send: std::marker::PhantomData<*mut u8>,
        }
    )* };
}

opaque! {
    /// A connection, as the host hands it to an entry point.
    sqlite3;
    /// A prepared statement.
    sqlite3_stmt;
    /// A value that SQLite owns.
    sqlite3_value;
    /// The place where a callback leaves its answer.
    sqlite3_context;
}

/// A function that frees what was registered.
pub(super) type Destroy = unsafe extern "C" fn(*mut c_void);
/// The body of an SQL function.
pub(super) type Func = unsafe extern "C" fn(*mut sqlite3_context, c_int, *mut *mut sqlite3_value);
/// A virtual table method that takes the table alone.
pub(super) type TableFn = unsafe extern "C" fn(*mut sqlite3_vtab) -> c_int;
/// A virtual table method that takes the table and a savepoint.
pub(super) type SavepointFn = unsafe extern "C" fn(*mut sqlite3_vtab, c_int) -> c_int;
/// A virtual table method that takes the cursor alone.
pub(super) type CursorFn = unsafe extern "C" fn(*mut sqlite3_vtab_cursor) -> c_int;
/// xCreate and xConnect.
pub(super) type ConnectFn = unsafe extern "C" fn(
    *mut sqlite3,
    *mut c_void,
    c_int,
    *const *const c_char,
    *mut *mut sqlite3_vtab,
    *mut *mut c_char,
) -> c_int;
/// xUpdate.
pub(super) type UpdateFn =
    unsafe extern "C" fn(*mut sqlite3_vtab, c_int, *mut *mut sqlite3_value, *mut i64) -> c_int;
/// xFilter.
pub(super) type FilterFn = unsafe extern "C" fn(
    *mut sqlite3_vtab_cursor,
    c_int,
    *const c_char,
    c_int,
    *mut *mut sqlite3_value,
) -> c_int;
/// xColumn.
pub(super) type ColumnFn =
    unsafe extern "C" fn(*mut sqlite3_vtab_cursor, *mut sqlite3_context, c_int) -> c_int;

/// The head of every virtual table.
#[repr(C)]
pub(super) struct sqlite3_vtab {
    pub pModule: *const sqlite3_module,
    pub nRef: c_int,
    pub zErrMsg: *mut c_char,
}

/// The head of every cursor.
#[repr(C)]
pub(super) struct sqlite3_vtab_cursor {
    pub pVtab: *mut sqlite3_vtab,
}

/// The methods of a virtual table, up to what `iVersion = 2` reads.
#[repr(C)]
pub(super) struct sqlite3_module {
    pub iVersion: c_int,
    pub xCreate: Option<ConnectFn>,
    pub xConnect: Option<ConnectFn>,
    pub xBestIndex:
        Option<unsafe extern "C" fn(*mut sqlite3_vtab, *mut sqlite3_index_info) -> c_int>,
    pub xDisconnect: Option<TableFn>,
    pub xDestroy: Option<TableFn>,
    pub xOpen:
        Option<unsafe extern "C" fn(*mut sqlite3_vtab, *mut *mut sqlite3_vtab_cursor) -> c_int>,
    pub xClose: Option<CursorFn>,
    pub xFilter: Option<FilterFn>,
    pub xNext: Option<CursorFn>,
    pub xEof: Option<CursorFn>,
    pub xColumn: Option<ColumnFn>,
    pub xRowid: Option<unsafe extern "C" fn(*mut sqlite3_vtab_cursor, *mut i64) -> c_int>,
    pub xUpdate: Option<UpdateFn>,
    pub xBegin: Option<TableFn>,
    pub xSync: Option<TableFn>,
    pub xCommit: Option<TableFn>,
    pub xRollback: Option<TableFn>,
    pub xFindFunction: *const c_void,
    pub xRename: *const c_void,
    pub xSavepoint: Option<SavepointFn>,
    pub xRelease: Option<SavepointFn>,
    pub xRollbackTo: Option<SavepointFn>,
}

/// One WHERE term that the planner offers.
#[repr(C)]
pub(super) struct sqlite3_index_constraint {
    pub iColumn: c_int,
    pub op: u8,
    pub usable: u8,
    pub iTermOffset: c_int,
}

/// One ORDER BY term.
#[repr(C)]
pub(super) struct sqlite3_index_orderby {
    pub iColumn: c_int,
    pub desc: u8,
}

/// What the table does with one WHERE term.
#[repr(C)]
pub(super) struct sqlite3_index_constraint_usage {
    pub argvIndex: c_int,
    pub omit: u8,
}

/// The question of the planner and the table's answer.
#[repr(C)]
pub(super) struct sqlite3_index_info {
    pub nConstraint: c_int,
    pub aConstraint: *const sqlite3_index_constraint,
    pub nOrderBy: c_int,
    pub aOrderBy: *const sqlite3_index_orderby,
    pub aConstraintUsage: *mut sqlite3_index_constraint_usage,
    pub idxNum: c_int,
    pub idxStr: *mut c_char,
    pub needToFreeIdxStr: c_int,
    pub orderByConsumed: c_int,
    pub estimatedCost: f64,
    pub estimatedRows: i64,
    pub idxFlags: c_int,
    pub colUsed: u64,
}

/// What a file of the host's can do, as far as we look: be put on the disk.
#[repr(C)]
pub(super) struct sqlite3_io_methods {
    pub iVersion: c_int,
    pub before: [*const c_void; 4],
    pub xSync: Option<unsafe extern "C" fn(*mut sqlite3_file, c_int) -> c_int>,
}

/// An open file of the host's.
#[repr(C)]
pub(super) struct sqlite3_file {
    pub pMethods: *const sqlite3_io_methods,
}

/// A file system layer of the host's, as far as we look: its clock.
#[repr(C)]
pub(super) struct sqlite3_vfs {
    pub iVersion: c_int,
    pub szOsFile: c_int,
    pub mxPathname: c_int,
    pub pNext: *mut sqlite3_vfs,
    pub zName: *const c_char,
    pub pAppData: *mut c_void,
    pub files: [*const c_void; 8],
    pub xRandomness: *const c_void,
    pub xSleep: *const c_void,
    pub xCurrentTime: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut f64) -> c_int>,
    pub xGetLastError: *const c_void,
    /// From version 2 on.
    pub xCurrentTimeInt64: Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut i64) -> c_int>,
}
