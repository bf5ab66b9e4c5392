//! The C side of virtual tables: one table of methods per type of table, each method fenced.
//!
//! SQLite keeps a table alive while a cursor or a statement uses it and calls no method of one
//! cursor inside another of the same cursor; a table's methods do nest. So a cursor is taken
//! `&mut`, a table only ever `&`, and the heads that SQLite writes to are never borrowed.

use super::abi::{
    CursorFn, SQLITE_CONSTRAINT, SQLITE_OK, SavepointFn, TableFn, UpdateFn, sqlite3,
    sqlite3_context, sqlite3_index_info, sqlite3_module, sqlite3_value, sqlite3_vtab,
    sqlite3_vtab_cursor,
};
use super::api;
use super::args::Args;
use super::db::{Db, c_string};
use super::fence::{answer, code_of, fail_context, fence};
use super::index::IndexInfo;
use super::out::Out;
use super::vtab::{Update, VCursor, VTab};
use crate::words::error::{Error, Result};
use crate::words::value::ValueRef;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{null, null_mut};
use std::rc::Rc;

/// `SQLITE_VTAB_INNOCUOUS`
const CONFIG_INNOCUOUS: c_int = 2;
/// `SQLITE_VTAB_DIRECTONLY`
const CONFIG_DIRECTONLY: c_int = 3;

/// A table as SQLite sees it: its head, then ours.
#[repr(C)]
struct Table<T> {
    head: sqlite3_vtab,
    inner: T,
}

/// A cursor as SQLite sees it: its head, then ours.
#[repr(C)]
struct Cursor<T: VTab> {
    head: sqlite3_vtab_cursor,
    inner: T::Cursor,
    /// Why `eof` could not answer. It cannot return an error: a scan that ended there would be
    /// short and nobody would know, so it goes on and the next call fails.
    trouble: Option<Error>,
}

/// The methods of the tables of type `T`.
pub(super) struct Methods<T>(PhantomData<T>);

impl<T: VTab> Methods<T> {
    /// What is registered.
    pub(super) const MODULE: &'static sqlite3_module = &sqlite3_module {
        iVersion: 2,
        xCreate: None,
        xConnect: Some(connect::<T>),
        xBestIndex: Some(best_index::<T>),
        xDisconnect: Some(disconnect::<T>),
        xDestroy: None,
        xOpen: Some(open::<T>),
        xClose: Some(close::<T>),
        xFilter: Some(filter::<T>),
        xNext: Some(next::<T>),
        xEof: Some(eof::<T> as CursorFn),
        xColumn: Some(column::<T>),
        xRowid: Some(rowid::<T>),
        xUpdate: if T::WRITES { Some(update::<T> as UpdateFn) } else { None },
        xBegin: Self::transactional(begin::<T>),
        xSync: Self::transactional(sync::<T>),
        xCommit: Self::transactional(commit::<T>),
        xRollback: Self::transactional(rollback::<T>),
        xFindFunction: null(),
        xRename: null(),
        xSavepoint: Self::nesting(savepoint::<T>),
        xRelease: Self::nesting(release::<T>),
        xRollbackTo: Self::nesting(rollback_to::<T>),
    };

    const fn transactional(f: TableFn) -> Option<TableFn> {
        if T::TRANSACTIONS { Some(f) } else { None }
    }

    const fn nesting(f: SavepointFn) -> Option<SavepointFn> {
        if T::TRANSACTIONS { Some(f) } else { None }
    }
}

unsafe extern "C" fn connect<T: VTab>(
    db: *mut sqlite3,
    aux: *mut c_void,
    _argc: c_int,
    _argv: *const *const c_char,
    vtab: *mut *mut sqlite3_vtab,
    err: *mut *mut c_char,
) -> c_int {
    let done = fence(|| {
        let decl = c_string(T::DECL)?;
        let option = if T::DIRECT_ONLY { CONFIG_DIRECTONLY } else { CONFIG_INNOCUOUS };
        let handle = Db::from_raw(db);
        // SAFETY: we are inside xConnect of this connection; `aux` is `module`'s.
        let state = unsafe {
            handle.check(api::declare_vtab(db, decl.as_ptr()))?;
            handle.check(api::vtab_config(db, option))?;
            &*aux.cast::<Rc<T::State>>()
        };
        T::connect(handle, state)
    });
    match done {
        Ok(inner) => {
            let head = sqlite3_vtab { pModule: null(), nRef: 0, zErrMsg: null_mut() };
            // SAFETY: SQLite's place for the table; the head is its first field.
            unsafe { *vtab = Box::into_raw(Box::new(Table { head, inner })).cast() };
            SQLITE_OK
        }
        Err(error) => {
            // SAFETY: SQLite's place for a message, which it frees.
            unsafe { *err = api::copy_text(&error.text) };
            code_of(&error)
        }
    }
}

unsafe extern "C" fn disconnect<T: VTab>(vtab: *mut sqlite3_vtab) -> c_int {
    // SAFETY: `connect` made it and SQLite uses it no more; a message that was never fetched is
    // SQLite's memory. `disconnect` cannot fail, so its panics, and those of drop, end here.
    unsafe {
        on_table::<T>(vtab, |table| {
            table.disconnect();
            Ok(())
        });
        api::free((*vtab).zErrMsg.cast());
        let _ = fence(|| {
            drop(Box::from_raw(vtab.cast::<Table<T>>()));
            Ok(())
        });
    }
    SQLITE_OK
}

unsafe extern "C" fn best_index<T: VTab>(
    vtab: *mut sqlite3_vtab,
    info: *mut sqlite3_index_info,
) -> c_int {
    let mut served = false;
    // SAFETY: SQLite passes a table of ours and its question.
    unsafe {
        let mut info = IndexInfo::new(info);
        let code = on_table::<T>(vtab, |table| {
            served = table.best_index(&mut info)?;
            Ok(())
        });
        if !served {
            info.clear_text();
        }
        if code == SQLITE_OK && !served { SQLITE_CONSTRAINT } else { code }
    }
}

unsafe extern "C" fn open<T: VTab>(
    vtab: *mut sqlite3_vtab,
    out: *mut *mut sqlite3_vtab_cursor,
) -> c_int {
    // SAFETY: SQLite passes a table of ours and its place for the cursor, whose head it fills in.
    unsafe {
        on_table::<T>(vtab, |table| {
            let head = sqlite3_vtab_cursor { pVtab: vtab };
            let cursor = Cursor::<T> { head, inner: table.open()?, trouble: None };
            *out = Box::into_raw(Box::new(cursor)).cast();
            Ok(())
        })
    }
}

unsafe extern "C" fn close<T: VTab>(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: `open` made it and SQLite uses it no more.
    let _ = fence(|| unsafe {
        drop(Box::from_raw(cursor.cast::<Cursor<T>>()));
        Ok(())
    });
    SQLITE_OK
}

unsafe extern "C" fn filter<T: VTab>(
    cursor: *mut sqlite3_vtab_cursor,
    idx_num: c_int,
    idx_str: *const c_char,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
) -> c_int {
    // SAFETY: SQLite passes a cursor of ours, the text of a plan and values that live for the
    // call.
    unsafe {
        (*cursor.cast::<Cursor<T>>()).trouble = None;
        on_cursor::<T>(cursor, |table, inner| {
            let plan = if idx_str.is_null() { c"" } else { CStr::from_ptr(idx_str) };
            let plan = plan.to_str().map_err(|_| Error::refused("a plan that is not ours"))?;
            inner.filter(table, idx_num, plan, Args::new(argc, argv))
        })
    }
}

unsafe extern "C" fn next<T: VTab>(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: SQLite passes a cursor of ours.
    unsafe { on_cursor::<T>(cursor, |table, inner| inner.next(table)) }
}

unsafe extern "C" fn eof<T: VTab>(cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: SQLite passes a cursor of ours.
    unsafe {
        let cursor = cursor.cast::<Cursor<T>>();
        match fence(|| Ok((*cursor).inner.eof())) {
            Ok(at_end) => c_int::from(at_end),
            Err(error) => {
                (*cursor).trouble = Some(error);
                0
            }
        }
    }
}

unsafe extern "C" fn column<T: VTab>(
    cursor: *mut sqlite3_vtab_cursor,
    ctx: *mut sqlite3_context,
    i: c_int,
) -> c_int {
    // SAFETY: SQLite passes a cursor of ours and the context of this call.
    let done = unsafe {
        fence(|| {
            trouble::<T>(cursor)?;
            let table = &(*(*cursor).pVtab.cast::<Table<T>>()).inner;
            let inner = &(*cursor.cast::<Cursor<T>>()).inner;
            inner.column(table, &mut Out::new(ctx), i)
        })
    };
    let Err(error) = done else { return SQLITE_OK };
    // SAFETY: the context of this call.
    unsafe { fail_context(ctx, &error) };
    code_of(&error)
}

unsafe extern "C" fn rowid<T: VTab>(cursor: *mut sqlite3_vtab_cursor, out: *mut i64) -> c_int {
    // SAFETY: SQLite passes a cursor of ours and its place for the rowid.
    unsafe {
        on_cursor::<T>(cursor, |_, inner| {
            *out = inner.rowid();
            Ok(())
        })
    }
}

unsafe extern "C" fn update<T: VTab>(
    vtab: *mut sqlite3_vtab,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
    rowid: *mut i64,
) -> c_int {
    // SAFETY: SQLite passes a table of ours, values that live for the call, and its place for the
    // rowid, which it reads after an insert.
    unsafe {
        on_table::<T>(vtab, |table| {
            let change = change_of(Args::new(argc, argv));
            let new = table.update(change)?;
            if matches!(change, Update::Insert(_)) && !rowid.is_null() {
                *rowid = new;
            }
            Ok(())
        })
    }
}

/// The arguments of xUpdate: the old rowid alone is a delete, no old rowid is an insert.
fn change_of(args: Args<'_>) -> Update<'_> {
    let int = |i| match args.get(i) {
        ValueRef::Int(v) => Some(v),
        _ => None,
    };
    match (int(0), args.len()) {
        (Some(rowid), 1) => Update::Delete(rowid),
        (Some(rowid), _) => {
            let new_rowid = int(1).unwrap_or(rowid);
            Update::Change { rowid, new_rowid, values: args.skip(2) }
        }
        (None, _) => Update::Insert(args.skip(2)),
    }
}

macro_rules! passed_on {
    ($($name:ident($($n:ident)?);)*) => { $(
        unsafe extern "C" fn $name<T: VTab>(vtab: *mut sqlite3_vtab $(, $n: c_int)?) -> c_int {
            // SAFETY: SQLite passes a table of ours.
            unsafe { on_table::<T>(vtab, |table| table.$name($($n)?)) }
        }
    )* };
}

passed_on! {
    begin();
    sync();
    commit();
    rollback();
    savepoint(n);
    release(n);
    rollback_to(n);
}

/// Calls a method of the table, fenced.
///
/// # Safety
/// `vtab` is a connected table that `connect::<T>` made.
unsafe fn on_table<T: VTab>(vtab: *mut sqlite3_vtab, f: impl FnOnce(&T) -> Result<()>) -> c_int {
    // SAFETY: the caller's promise. Only `inner` is borrowed: SQLite writes to the head.
    unsafe {
        let table = &(*vtab.cast::<Table<T>>()).inner;
        answer(vtab, fence(|| f(table)))
    }
}

/// Calls a method of the cursor, fenced; an error is left in its table.
///
/// # Safety
/// `cursor` is an open cursor that `open::<T>` made, none of whose methods runs.
unsafe fn on_cursor<T: VTab>(
    cursor: *mut sqlite3_vtab_cursor,
    f: impl FnOnce(&T, &mut T::Cursor) -> Result<()>,
) -> c_int {
    // SAFETY: the caller's promise. Only what is ours is borrowed: SQLite writes to the heads.
    unsafe {
        let vtab = (*cursor).pVtab;
        let table = &(*vtab.cast::<Table<T>>()).inner;
        let done = fence(|| {
            trouble::<T>(cursor)?;
            f(table, &mut (*cursor.cast::<Cursor<T>>()).inner)
        });
        answer(vtab, done)
    }
}

/// The error that `eof` could not tell.
///
/// # Safety
/// `cursor` is an open cursor that `open::<T>` made.
unsafe fn trouble<T: VTab>(cursor: *mut sqlite3_vtab_cursor) -> Result<()> {
    // SAFETY: the caller's promise.
    match unsafe { &(*cursor.cast::<Cursor<T>>()).trouble } {
        Some(error) => Err(error.clone()),
        None => Ok(()),
    }
}
