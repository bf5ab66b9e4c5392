//! The least that rows of nine columns can cost: the same changes lying ready, in a plain table and
//! in a virtual table that does nothing but hand them over from memory, and takes rows and forgets
//! them.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::vtab::{
    Context, CreateVTab, Filters, IndexInfo, Inserts, Module, UpdateVTab, Updates, VTab,
    VTabConnection, VTabCursor, VTabKind,
};
use rusqlite::{Connection, ffi};

use crate::exchange::{Change, NINE};
use crate::run::Run;
use crate::side::{Db, Result};

/// What `crsql_changes` gave.
type Rows = Arc<Vec<Change>>;

/// A database with the plain table `changes` and the virtual table `ready`.
pub fn database(run: &Run, changes: Vec<Change>) -> Result<Db> {
    let db = run.fresh(run.plain(), "ready")?;
    db.conn.execute_batch(&format!("CREATE TABLE changes({NINE})"))?;
    db.take_changes("INSERT INTO changes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", &changes)?;
    has_ready(&db.conn, changes)?;
    Ok(db)
}

/// Gives a connection the virtual table `ready`, which hands these rows over and forgets what is
/// inserted.
pub fn has_ready(conn: &Connection, rows: Vec<Change>) -> Result<()> {
    const MODULE: Module<'_, Ready> = Module::update_module();
    Ok(conn.create_module(c"ready", &MODULE, Some(Arc::new(rows)))?)
}

#[repr(C)]
struct Ready {
    base: ffi::sqlite3_vtab,
    rows: Rows,
}

// SAFETY: the head is the first field.
unsafe impl<'vtab> VTab<'vtab> for Ready {
    type Aux = Rows;
    type Cursor = Cursor;

    fn connect(
        _: &mut VTabConnection,
        aux: Option<&Rows>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        let rows = aux.map(Arc::clone).unwrap_or_default();
        let sql = c"CREATE TABLE x(\"table\", pk, cid, val, a INT, b INT, site, c INT, d INT)";
        Ok((sql.into(), Self { base: ffi::sqlite3_vtab::default(), rows }))
    }

    fn best_index(&self, _: &mut IndexInfo) -> rusqlite::Result<bool> {
        Ok(true)
    }

    fn open(&'vtab mut self) -> rusqlite::Result<Cursor> {
        let base = ffi::sqlite3_vtab_cursor::default();
        Ok(Cursor { base, rows: Arc::clone(&self.rows), at: 0 })
    }
}

impl CreateVTab<'_> for Ready {
    const KIND: VTabKind = VTabKind::Eponymous;
}

impl UpdateVTab<'_> for Ready {
    fn delete(&mut self, _: ValueRef<'_>) -> rusqlite::Result<()> {
        Err(rusqlite::Error::InvalidQuery)
    }

    fn insert(&mut self, _: &Inserts<'_>) -> rusqlite::Result<i64> {
        Ok(0)
    }

    fn update(&mut self, _: &Updates<'_>) -> rusqlite::Result<()> {
        Err(rusqlite::Error::InvalidQuery)
    }
}

#[repr(C)]
struct Cursor {
    base: ffi::sqlite3_vtab_cursor,
    rows: Rows,
    at: usize,
}

// SAFETY: the head is the first field.
unsafe impl VTabCursor for Cursor {
    fn filter(&mut self, _: c_int, _: Option<&str>, _: &Filters<'_>) -> rusqlite::Result<()> {
        self.at = 0;
        Ok(())
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.at += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at >= self.rows.len()
    }

    fn column(&self, ctx: &mut Context, i: c_int) -> rusqlite::Result<()> {
        ctx.set_result(&self.rows[self.at][i as usize])
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(self.at as i64)
    }
}
