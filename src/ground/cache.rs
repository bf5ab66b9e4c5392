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

/// Which statement of a table: its id, what it does, and a variant of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub u32, pub u32, pub u64);

/// A statement of fixed text: its number and its SQL.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub u32, pub &'static str);

/// Makes the open transaction one that tells us of its end. It writes, and it can be prepared in
/// any database, so it also is the way out of a transaction that was interrupted (`session.rs`):
/// it is always ready.
pub const ENLIST: Fixed = Fixed(30, "INSERT INTO crsql_enlist VALUES(0)");

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
    /// Those of fixed text, by number.
    fixed: RefCell<Vec<Option<Stmt>>>,
    idle: RefCell<HashMap<Slot, Stmt, BuildHasherDefault<Mix>>>,
    guarded: Cell<bool>,
    prepared: Cell<u32>,
}

/// Where a statement is kept.
#[derive(Clone, Copy)]
enum Place {
    Fixed(u32),
    Slot(Slot),
}

/// So many statements of a connection are prepared in half the time, in the memory that SQLite has
/// at hand (its lookaside). They are those of a first write; a connection that lives on needs that
/// memory for itself.
const AT_HAND: u32 = 9;

/// More variants than this of per-table statements are not kept.
const IDLE_MAX: usize = 4096;

impl Cache {
    /// An empty cache.
    pub fn new(db: Db) -> Self {
        let (fixed, idle) = (RefCell::default(), RefCell::default());
        Self { db, fixed, idle, guarded: Cell::new(false), prepared: Cell::new(0) }
    }

    /// The connection.
    pub fn db(&self) -> Db {
        self.db
    }

    /// A statement of fixed text.
    pub fn fixed(&self, sql: Fixed) -> Result<Lease<'_>> {
        self.lease_fixed(sql, Prep::Cached)
    }

    /// A statement of fixed text that is not one of the first write's: the memory at hand is not
    /// spent on it.
    pub fn apart(&self, sql: Fixed) -> Result<Lease<'_>> {
        self.lease_fixed(sql, Prep::Apart)
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
    pub fn enlist(&self) -> Result<Lease<'_>> {
        self.lease_fixed(ENLIST, Prep::CachedVtab)
    }

    fn lease_fixed(&self, sql: Fixed, how: Prep) -> Result<Lease<'_>> {
        let kept = self.fixed.borrow_mut().get_mut(sql.0 as usize).and_then(Option::take);
        let stmt = match kept {
            Some(stmt) => stmt,
            None => self.prepare(sql.1, how)?,
        };
        Ok(Lease { cache: self, place: Place::Fixed(sql.0), stmt: Some(stmt) })
    }

    fn lease(&self, slot: Slot, how: Prep, sql: impl FnOnce() -> String) -> Result<Lease<'_>> {
        let kept = self.idle.borrow_mut().remove(&slot);
        let stmt = match kept {
            Some(stmt) => stmt,
            None => self.prepare(&sql(), how)?,
        };
        Ok(Lease { cache: self, place: Place::Slot(slot), stmt: Some(stmt) })
    }

    /// Prepares a kept statement of fixed text again, which SQLite would do when it is run next.
    pub fn renew(&self, sql: Fixed) -> Result<()> {
        let kept = self.fixed.borrow_mut().get_mut(sql.0 as usize).and_then(Option::take);
        match kept {
            Some(old) => {
                drop(old);
                let how = if sql.0 == ENLIST.0 { Prep::CachedVtab } else { Prep::Apart };
                self.lease_fixed(sql, how).map(drop)
            }
            None => Ok(()),
        }
    }

    fn prepare(&self, sql: &str, how: Prep) -> Result<Stmt> {
        self.connect_guard()?;
        if how == Prep::Apart {
            return self.db.prepare(sql, how);
        }
        let n = self.prepared.get();
        self.prepared.set(n.saturating_add(1));
        match how {
            Prep::Cached if n < AT_HAND => self.db.prepare(sql, Prep::AtHand),
            Prep::CachedVtab if n < AT_HAND => self.db.prepare(sql, Prep::Once),
            how => self.db.prepare(sql, how),
        }
    }

    fn connect_guard(&self) -> Result<()> {
        if !self.guarded.get() {
            // The cheapest statement that connects it; it is not run.
            self.db.prepare("PRAGMA main.table_info(crsql_guard)", Prep::Once)?;
            self.guarded.set(true);
        }
        Ok(())
    }

    /// Finalises every idle statement. The guard calls it when the connection closes.
    pub fn clear(&self) {
        self.guarded.set(false);
        let fixed = std::mem::take(&mut *self.fixed.borrow_mut());
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        drop((fixed, idle));
    }

    /// Finalises the idle statements of tables, whose text holds names that may have changed, and
    /// those of fixed text that write. SQLite would find out itself that the schema has changed,
    /// and run them again; but where it has no memory as it undoes the first run of one that
    /// writes, it rolls the whole transaction back and says nothing. The way out is prepared anew.
    pub fn forget_tables(&self) {
        let stale = std::mem::take(&mut *self.idle.borrow_mut());
        let ready = self.fixed.borrow().get(ENLIST.0 as usize).is_some_and(Option::is_some);
        let anew = ready.then(|| self.prepare(ENLIST.1, Prep::CachedVtab));
        let mut fixed = self.fixed.borrow_mut();
        let way_out = fixed.get_mut(ENLIST.0 as usize).and_then(Option::take);
        let writing: Vec<Stmt> = fixed
            .iter_mut()
            .filter(|kept| kept.as_ref().is_some_and(|stmt| !stmt.readonly()))
            .filter_map(Option::take)
            .collect();
        if let Some(slot) = fixed.get_mut(ENLIST.0 as usize) {
            *slot = anew.and_then(Result::ok).or(way_out);
        }
        drop(fixed);
        drop((stale, writing));
    }

    fn give_back(&self, place: Place, mut stmt: Stmt) {
        stmt.reset();
        if !self.guarded.get() {
            return;
        }
        // One that was leased twice at a time comes back twice; the other is finalised.
        let other = match place {
            Place::Fixed(n) => {
                let mut fixed = self.fixed.borrow_mut();
                let n = n as usize;
                if fixed.len() <= n {
                    fixed.resize_with(n + 1, || None);
                }
                fixed.get_mut(n).and_then(|free| free.replace(stmt))
            }
            Place::Slot(slot) => {
                let mut idle = self.idle.borrow_mut();
                if idle.len() < IDLE_MAX { idle.insert(slot, stmt) } else { Some(stmt) }
            }
        };
        drop(other);
    }
}

/// A statement on loan; it goes back, reset, when this is dropped.
pub struct Lease<'a> {
    cache: &'a Cache,
    place: Place,
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
            self.cache.give_back(self.place, stmt);
        }
    }
}
