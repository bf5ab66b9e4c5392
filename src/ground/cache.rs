//! Prepared statements, kept by number so that the hot paths prepare nothing.
//!
//! A kept statement would make `sqlite3_close` answer BUSY: SQLite looks for open statements
//! before it runs any destructor of ours. Only a virtual table's xDisconnect runs earlier, so
//! before the first statement is kept a guard table is connected, whose xDisconnect empties this
//! cache.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::{Deref, DerefMut};

use super::{Db, Prep, Stmt};
use crate::words::error::Result;

/// Which statement: a table's id (0 for none), what it does, and a variant of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub u32, pub u32, pub u64);

/// A statement of fixed text: its number and its SQL.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub u32, pub &'static str);

/// Hashes a slot: three numbers of our own making, so nobody can choose them to collide.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(26) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The statements of one connection.
pub struct Cache {
    db: Db,
    idle: RefCell<HashMap<Slot, Stmt, BuildHasherDefault<Mix>>>,
    guarded: Cell<bool>,
}

/// More variants than this of per-table statements are not kept.
const IDLE_MAX: usize = 4096;

impl Cache {
    /// An empty cache.
    pub fn new(db: Db) -> Self {
        Self { db, idle: RefCell::default(), guarded: Cell::new(false) }
    }

    /// A statement of fixed text.
    pub fn fixed(&self, sql: Fixed) -> Result<Lease<'_>> {
        self.lease(Slot(0, sql.0, 0), Prep::Cached, || sql.1.to_string())
    }

    /// A statement whose text is made when it is first needed.
    pub fn get(&self, slot: Slot, sql: impl FnOnce() -> String) -> Result<Lease<'_>> {
        self.lease(slot, Prep::Cached, sql)
    }

    /// A statement that writes to a table of the application: its triggers may name virtual tables.
    pub fn application(&self, slot: Slot, sql: impl FnOnce() -> String) -> Result<Lease<'_>> {
        self.lease(slot, Prep::CachedVtab, sql)
    }

    /// The one statement that names a virtual table.
    pub fn vtab(&self, sql: Fixed) -> Result<Lease<'_>> {
        self.lease(Slot(0, sql.0, 0), Prep::CachedVtab, || sql.1.to_string())
    }

    fn lease(&self, slot: Slot, how: Prep, sql: impl FnOnce() -> String) -> Result<Lease<'_>> {
        let kept = self.idle.borrow_mut().remove(&slot);
        let stmt = match kept {
            Some(stmt) => stmt,
            None => {
                self.connect_guard()?;
                self.db.prepare(&sql(), how)?
            }
        };
        Ok(Lease { cache: self, slot, stmt: Some(stmt) })
    }

    fn connect_guard(&self) -> Result<()> {
        if !self.guarded.get() {
            self.db.prepare("SELECT 1 FROM crsql_guard", Prep::Once)?;
            self.guarded.set(true);
        }
        Ok(())
    }

    /// Finalises every idle statement. The guard calls it when the connection closes.
    pub fn clear(&self) {
        self.guarded.set(false);
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        drop(idle);
    }

    /// Finalises the idle statements of tables, whose text holds names that may have changed.
    pub fn forget_tables(&self) {
        let stale: Vec<Stmt> = {
            let mut idle = self.idle.borrow_mut();
            let slots: Vec<Slot> = idle.keys().filter(|slot| slot.0 != 0).copied().collect();
            slots.iter().filter_map(|slot| idle.remove(slot)).collect()
        };
        drop(stale);
    }

    fn give_back(&self, slot: Slot, mut stmt: Stmt) {
        stmt.reset();
        let mut idle = self.idle.borrow_mut();
        if self.guarded.get() && idle.len() < IDLE_MAX {
            idle.insert(slot, stmt);
        }
    }
}

/// A statement on loan; it goes back, reset, when this is dropped.
pub struct Lease<'a> {
    cache: &'a Cache,
    slot: Slot,
    stmt: Option<Stmt>,
}

impl Lease<'_> {
    /// How often SQLite had to prepare it anew, which it does after any change of the schema.
    pub fn reprepared(&self) -> i32 {
        self.stmt.as_ref().map_or(0, Stmt::reprepares)
    }
}

impl Deref for Lease<'_> {
    type Target = Stmt;

    fn deref(&self) -> &Stmt {
        match &self.stmt {
            Some(stmt) => stmt,
            None => unreachable!("a lease holds its statement until it is dropped"),
        }
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Stmt {
        match &mut self.stmt {
            Some(stmt) => stmt,
            None => unreachable!("a lease holds its statement until it is dropped"),
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(stmt) = self.stmt.take() {
            self.cache.give_back(self.slot, stmt);
        }
    }
}
