//! Virtual tables, as the rooms above write them. All are eponymous: they are there once their
//! module is, under its name, and no CREATE VIRTUAL TABLE makes one.

use super::api;
use super::args::Args;
use super::db::{Db, c_string};
use super::fence::fence;
use super::index::IndexInfo;
use super::methods::Methods;
use super::out::Out;
use crate::words::error::{Error, Result, SQLITE_READONLY};
use std::ffi::c_void;
use std::rc::Rc;

/// A virtual table on one connection. Its methods may run statements that come back to the same
/// table, so they take it shared.
pub trait VTab: Sized + 'static {
    /// What all tables of the module share.
    type State: 'static;
    /// One reading of the table.
    type Cursor: VCursor<Table = Self>;
    /// Its columns: `CREATE TABLE x(...)`.
    const DECL: &'static str;
    /// Whether triggers and views may not use it; else they may, in a schema not trusted too.
    const DIRECT_ONLY: bool = true;
    /// Whether it takes INSERT, UPDATE and DELETE.
    const WRITES: bool = false;
    /// Whether it hears of transactions and savepoints that write to it.
    const TRANSACTIONS: bool = false;

    /// The table is used for the first time on this connection, or since the schema changed.
    fn connect(db: Db, state: &Rc<Self::State>) -> Result<Self>;
    /// Plans a reading; false when these constraints cannot be served.
    fn best_index(&self, info: &mut IndexInfo<'_>) -> Result<bool>;
    /// Begins a reading.
    fn open(&self) -> Result<Self::Cursor>;

    /// Writes a row, and gives the rowid of an insert. Only called with `WRITES`.
    fn update(&self, _change: Update<'_>) -> Result<i64> {
        Err(Error::new(SQLITE_READONLY, "this table is read-only"))
    }
    /// The first write to the table in a transaction. Only called with `TRANSACTIONS`, as are all
    /// below but `disconnect`.
    fn begin(&self) -> Result<()> {
        Ok(())
    }
    /// The commit begins; the last call that may fail.
    fn sync(&self) -> Result<()> {
        Ok(())
    }
    /// The commit is done.
    fn commit(&self) -> Result<()> {
        Ok(())
    }
    /// The transaction is undone.
    fn rollback(&self) -> Result<()> {
        Ok(())
    }
    /// Savepoint `n` begins.
    fn savepoint(&self, _n: i32) -> Result<()> {
        Ok(())
    }
    /// Savepoint `n` and those within it are no more; what they did stays.
    fn release(&self, _n: i32) -> Result<()> {
        Ok(())
    }
    /// Everything since savepoint `n` is undone; `n` itself stays.
    fn rollback_to(&self, _n: i32) -> Result<()> {
        Ok(())
    }
    /// The connection closes, or the table will be connected anew. Runs before `sqlite3_close`
    /// looks for open statements.
    fn disconnect(&self) {}
}

/// One reading of a virtual table.
pub trait VCursor {
    /// The table that is read.
    type Table;
    /// Starts over with the plan that `best_index` made, and goes to the first row.
    fn filter(
        &mut self,
        table: &Self::Table,
        idx_num: i32,
        idx_str: &str,
        args: Args<'_>,
    ) -> Result<()>;
    /// Goes to the next row.
    fn next(&mut self, table: &Self::Table) -> Result<()>;
    /// Whether it is past the last row.
    fn eof(&self) -> bool;
    /// Answers column `i` of the row.
    fn column(&self, table: &Self::Table, out: &mut Out<'_>, i: i32) -> Result<()>;
    /// The rowid of the row.
    fn rowid(&self) -> i64;
}

/// A write to a virtual table.
#[derive(Clone, Copy, Debug)]
pub enum Update<'a> {
    /// A new row: the values of the columns. A rowid in the statement is not passed on.
    Insert(Args<'a>),
    /// The row of this rowid goes.
    Delete(i64),
    /// The row of this rowid changes.
    Change {
        /// Its rowid.
        rowid: i64,
        /// Its rowid from now on, mostly the same.
        new_rowid: i64,
        /// The values of all columns.
        values: Args<'a>,
    },
}

impl Db {
    /// Makes `name` a virtual table on this connection.
    pub fn module<T: VTab>(self, name: &str, state: &Rc<T::State>) -> Result<()> {
        let name = c_string(name)?;
        let aux: *mut c_void = Box::into_raw(Box::new(Rc::clone(state))).cast();
        // SAFETY: the connection is open; the methods live for ever and read `aux` as this
        // `Rc<T::State>`, which SQLite destroys once, here too when the registration fails.
        let code = unsafe {
            let methods = Methods::<T>::MODULE;
            api::create_module_v2(self.raw(), name.as_ptr(), methods, aux, destroy::<T::State>)
        };
        self.check(code)
    }
}

unsafe extern "C" fn destroy<S: 'static>(aux: *mut c_void) {
    // A panic while dropping has nobody to be told to; it only must not enter C.
    let _ = fence(|| {
        // SAFETY: made by `Box::into_raw` in `module`; SQLite calls this once.
        drop(unsafe { Box::from_raw(aux.cast::<Rc<S>>()) });
        Ok(())
    });
}
