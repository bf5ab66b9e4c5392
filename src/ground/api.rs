//! The host's routine table (`sqlite3_api_routines`), by slot number, typed.
//!
//! The table is one per SQLite library and the same for the life of the process, so it is kept in
//! one global. SQLite only ever appends to it: a slot number, once given, means the same for ever.
//! Only `entry` sets it, after it has seen that every slot in [`SLOTS`] is there.

#![allow(clippy::too_many_arguments)]

use super::abi::{
    Destroy, Func, sqlite3, sqlite3_context, sqlite3_module, sqlite3_stmt, sqlite3_value,
};
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::mem::transmute;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A routine table: pointers to functions of many types.
pub(super) type Table = *const *const c_void;

static TABLE: AtomicPtr<*const c_void> = AtomicPtr::new(null_mut());

/// Makes `table` the one that every call goes through.
///
/// # Safety
/// It holds a function in every slot of [`SLOTS`], and stays where it is.
pub(super) unsafe fn adopt(table: Table) {
    TABLE.store(table.cast_mut(), Ordering::Release);
}

/// Whether a table was adopted.
pub(super) fn adopted() -> bool {
    !TABLE.load(Ordering::Acquire).is_null()
}

/// The function in slot `n` of `table`.
///
/// # Safety
/// `table` is a host's routine table and has a slot `n`.
pub(super) unsafe fn slot_of(table: Table, n: usize) -> *const c_void {
    // SAFETY: the caller's promise.
    unsafe { *table.add(n) }
}

/// The function in slot `n` of the adopted table.
///
/// # Safety
/// A table was adopted.
#[inline]
unsafe fn slot(n: usize) -> *const c_void {
    // SAFETY: adopted tables have every slot that `slots!` names.
    unsafe { slot_of(TABLE.load(Ordering::Acquire), n) }
}

/// `sqlite3_libversion_number` of a table that is not adopted yet.
///
/// # Safety
/// `table` is a host's routine table.
pub(super) unsafe fn libversion_number_of(table: Table) -> c_int {
    // SAFETY: slot 67 has held this function since the table exists.
    unsafe {
        let f: unsafe extern "C" fn() -> c_int = transmute(slot_of(table, 67));
        f()
    }
}

/// A copy of `text` in memory of SQLite's, up to its first NUL; null when memory is short.
///
/// # Safety
/// `table` is a host's routine table.
pub(super) unsafe fn copy_text_of(table: Table, text: &str) -> *mut c_char {
    type Mprintf = unsafe extern "C" fn(*const c_char, ...) -> *mut c_char;
    let len = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
    // SAFETY: slot 69 is `sqlite3_mprintf`; `%.*s` reads at most `len` bytes of `text`.
    unsafe {
        let f: Mprintf = transmute(slot_of(table, 69));
        f(c"%.*s".as_ptr(), len, text.as_ptr())
    }
}

/// A copy of `text` in memory of SQLite's, up to its first NUL; null when memory is short.
///
/// # Safety
/// A table was adopted.
pub(super) unsafe fn copy_text(text: &str) -> *mut c_char {
    // SAFETY: the adopted table is a host's.
    unsafe { copy_text_of(TABLE.load(Ordering::Acquire), text) }
}

/// `sqlite3_vtab_config` for the options that take no argument.
///
/// # Safety
/// A table was adopted, and `db` is inside a call of xConnect.
pub(super) unsafe fn vtab_config(db: *mut sqlite3, option: c_int) -> c_int {
    type Config = unsafe extern "C" fn(*mut sqlite3, c_int, ...) -> c_int;
    // SAFETY: slot 177 is `sqlite3_vtab_config`; these options read no further argument.
    unsafe {
        let f: Config = transmute(slot(177));
        f(db, option)
    }
}

/// `sqlite3_db_config` for the options that turn something on or off; -1 only asks.
///
/// # Safety
/// A table was adopted, and `db` is open.
pub(super) unsafe fn db_config(db: *mut sqlite3, option: c_int, on: c_int) -> (c_int, c_int) {
    type Config = unsafe extern "C" fn(*mut sqlite3, c_int, ...) -> c_int;
    let mut is = 0;
    // SAFETY: slot 163 is `sqlite3_db_config`; these options read a number and write one.
    unsafe {
        let f: Config = transmute(slot(163));
        (f(db, option, on, &raw mut is), is)
    }
}

/// `sqlite3_db_name`, which is there from 3.39 on; null before, and where there is no such one.
///
/// # Safety
/// A table was adopted, and `db` is open.
pub(super) unsafe fn db_name(db: *mut sqlite3, n: c_int) -> *const c_char {
    type Name = unsafe extern "C" fn(*mut sqlite3, c_int) -> *const c_char;
    // SAFETY: from that version on slot 264 is this function.
    unsafe {
        if libversion_number() < 3_039_000 {
            return null();
        }
        let f: Name = transmute(slot(264));
        f(db, n)
    }
}

macro_rules! slots {
    ($( $n:literal $name:ident($($arg:ident: $t:ty),*) $(-> $ret:ty)?; )*) => {
        /// Every slot that is called, with its name.
        pub(super) const SLOTS: &[(usize, &str)] =
            &[(69, "mprintf"), (163, "db_config"), (177, "vtab_config"),
              $(($n, stringify!($name)),)*];
        $(
            #[inline]
            pub(super) unsafe fn $name($($arg: $t),*) $(-> $ret)? {
                // SAFETY: the slot holds the function of this name and type; that its arguments
                // are what it asks for is the caller's promise.
                unsafe {
                    let f: unsafe extern "C" fn($($t),*) $(-> $ret)? = transmute(slot($n));
                    f($($arg),*)
                }
            }
        )*
    };
}

type Db = *mut sqlite3;
type Stmt = *mut sqlite3_stmt;
type Val = *mut sqlite3_value;
type Ctx = *mut sqlite3_context;

slots! {
    3 bind_double(s: Stmt, i: c_int, v: f64) -> c_int;
    5 bind_int64(s: Stmt, i: c_int, v: i64) -> c_int;
    6 bind_null(s: Stmt, i: c_int) -> c_int;
    19 column_blob(s: Stmt, i: c_int) -> *const c_void;
    20 column_bytes(s: Stmt, i: c_int) -> c_int;
    22 column_count(s: Stmt) -> c_int;
    27 column_double(s: Stmt, i: c_int) -> f64;
    29 column_int64(s: Stmt, i: c_int) -> i64;
    30 column_name(s: Stmt, i: c_int) -> *const c_char;
    36 column_text(s: Stmt, i: c_int) -> *const u8;
    38 column_type(s: Stmt, i: c_int) -> c_int;
    50 declare_vtab(db: Db, sql: *const c_char) -> c_int;
    53 errmsg(db: Db) -> *const c_char;
    55 exec(db: Db, sql: *const c_char, f: *const c_void, p: *mut c_void, e: *mut *mut c_char)
        -> c_int;
    57 finalize(s: Stmt) -> c_int;
    58 free(p: *mut c_void);
    60 get_autocommit(db: Db) -> c_int;
    65 last_insert_rowid(db: Db) -> i64;
    67 libversion_number() -> c_int;
    77 reset(s: Stmt) -> c_int;
    79 result_double(c: Ctx, v: f64);
    80 result_error(c: Ctx, text: *const u8, len: c_int);
    83 result_int64(c: Ctx, v: i64);
    84 result_null(c: Ctx);
    94 step(s: Stmt) -> c_int;
    101 user_data(c: Ctx) -> *mut c_void;
    102 value_blob(v: Val) -> *const c_void;
    103 value_bytes(v: Val) -> c_int;
    105 value_double(v: Val) -> f64;
    107 value_int64(v: Val) -> i64;
    109 value_text(v: Val) -> *const u8;
    113 value_type(v: Val) -> c_int;
    118 clear_bindings(s: Stmt) -> c_int;
    119 create_module_v2(db: Db, name: *const c_char, m: *const sqlite3_module, p: *mut c_void,
        d: Destroy) -> c_int;
    95 table_column_metadata(
        db: Db, schema: *const c_char, table: *const c_char, column: *const c_char,
        kind: *mut *const c_char, collation: *mut *const c_char,
        notnull: *mut c_int, key: *mut c_int, autoincrement: *mut c_int
    ) -> c_int;
    127 file_control(db: Db, schema: *const c_char, op: c_int, p: *mut c_void) -> c_int;
    135 open_v2(name: *const c_char, db: *mut Db, flags: c_int, vfs: *const c_char) -> c_int;
    137 result_error_nomem(c: Ctx);
    146 result_error_code(c: Ctx, code: c_int);
    148 randomness(n: c_int, p: *mut c_void);
    151 limit(db: Db, id: c_int, v: c_int) -> c_int;
    152 next_stmt(db: Db, s: Stmt) -> Stmt;
    153 sql(s: Stmt) -> *const c_char;
    162 create_function_v2(db: Db, name: *const c_char, n: c_int, flags: c_int, p: *mut c_void,
        f: Option<Func>, step: *const c_void, last: *const c_void, d: Destroy) -> c_int;
    166 extended_errcode(db: Db) -> c_int;
    170 stmt_status(s: Stmt, op: c_int, reset: c_int) -> c_int;
    179 close_v2(db: Db) -> c_int;
    180 db_filename(db: Db, schema: *const c_char) -> *const c_char;
    181 db_readonly(db: Db, schema: *const c_char) -> c_int;
    183 errstr(code: c_int) -> *const c_char;
    184 stmt_busy(s: Stmt) -> c_int;
    185 stmt_readonly(s: Stmt) -> c_int;
    193 bind_blob64(s: Stmt, i: c_int, p: *const c_void, n: u64, d: isize) -> c_int;
    194 bind_text64(s: Stmt, i: c_int, p: *const u8, n: u64, d: isize, enc: u8) -> c_int;
    201 result_blob64(c: Ctx, p: *const c_void, n: u64, d: isize);
    202 result_text64(c: Ctx, p: *const u8, n: u64, d: isize, enc: u8);
    209 result_subtype(c: Ctx, t: c_uint);
    216 set_last_insert_rowid(db: Db, rowid: i64);
    217 prepare_v3(db: Db, sql: *const u8, n: c_int, flags: c_uint, s: *mut Stmt,
        tail: *mut *const u8) -> c_int;
    252 txn_state(db: Db, schema: *const c_char) -> c_int;
    253 changes64(db: Db) -> i64;
    254 total_changes64(db: Db) -> i64;
}
