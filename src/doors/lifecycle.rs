//! Two tables without rows that let SQLite tell us of its life: `crsql_enlist`, which takes part
//! in the transaction and flushes when it commits, and `crsql_guard`, whose disconnect comes
//! before `sqlite3_close` looks for open statements.

use std::rc::Rc;

use crate::ground::{Args, Db, IndexInfo, Out, Update, VCursor, VTab};
use crate::rooms::flush;
use crate::rooms::session::Session;
use crate::words::error::{Error, Result};
use crate::words::planted::planted;

/// A cursor over no rows.
pub struct Empty<T>(std::marker::PhantomData<T>);

impl<T> Empty<T> {
    fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T> VCursor for Empty<T> {
    type Table = T;

    fn filter(&mut self, _: &T, _: i32, _: &str, _: Args<'_>) -> Result<()> {
        Ok(())
    }

    fn next(&mut self, _: &T) -> Result<()> {
        Ok(())
    }

    fn eof(&self) -> bool {
        true
    }

    fn column(&self, _: &T, _: &mut Out<'_>, _: i32) -> Result<()> {
        Ok(())
    }

    fn rowid(&self) -> i64 {
        0
    }
}

/// `crsql_guard`
pub struct Guard(Rc<Session>);

impl VTab for Guard {
    type State = Session;
    type Cursor = Empty<Self>;
    const DECL: &'static str = "CREATE TABLE x(x)";

    fn connect(_: Db, state: &Rc<Session>) -> Result<Self> {
        Ok(Self(Rc::clone(state)))
    }

    fn best_index(&self, _: &mut IndexInfo<'_>) -> Result<bool> {
        Ok(true)
    }

    fn open(&self) -> Result<Self::Cursor> {
        Ok(Empty::new())
    }

    fn disconnect(&self) {
        self.0.cache.clear();
    }
}

/// `crsql_enlist`
pub struct Enlist(Rc<Session>);

impl VTab for Enlist {
    type State = Session;
    type Cursor = Empty<Self>;
    const DECL: &'static str = "CREATE TABLE x(x)";
    const WRITES: bool = true;
    const TRANSACTIONS: bool = true;

    fn connect(_: Db, state: &Rc<Session>) -> Result<Self> {
        Ok(Self(Rc::clone(state)))
    }

    fn best_index(&self, _: &mut IndexInfo<'_>) -> Result<bool> {
        Ok(true)
    }

    fn open(&self) -> Result<Self::Cursor> {
        Ok(Empty::new())
    }

    fn update(&self, change: Update<'_>) -> Result<i64> {
        match change {
            Update::Insert(_) => Ok(0),
            _ => Err(Error::refused("crsql_enlist is crsql's own and holds nothing")),
        }
    }

    fn begin(&self) -> Result<()> {
        let mut memory = self.0.memory.borrow_mut();
        memory.end();
        memory.enlisted = true;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        flush::flush(&self.0)
    }

    fn commit(&self) -> Result<()> {
        self.0.memory.borrow_mut().end();
        Ok(())
    }

    fn rollback(&self) -> Result<()> {
        self.0.memory.borrow_mut().end();
        if !planted!("rollback-remembered") {
            self.0.forget();
        }
        Ok(())
    }

    fn savepoint(&self, n: i32) -> Result<()> {
        self.0.memory.borrow_mut().savepoint(n);
        Ok(())
    }

    fn release(&self, n: i32) -> Result<()> {
        self.0.memory.borrow_mut().release(n);
        Ok(())
    }

    fn rollback_to(&self, n: i32) -> Result<()> {
        self.0.memory.borrow_mut().rollback_to(n);
        self.0.forget();
        Ok(())
    }
}
