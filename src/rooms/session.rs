//! What crsql knows of one connection: its handle, its statements, the catalog, the capture
//! memory. Every room is handed the session; none keeps state of its own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::coverage::Known;
use super::memory::Memory;
use super::text::Open;
use crate::ground::cache::{Cache, ENLIST, Fixed};
use crate::ground::catalog::{Catalog, Table};
use crate::ground::store::{self, Sites};
use crate::ground::{Db, Prep};
use crate::types::Registers;
use crate::types::text::Splice;
use crate::words::clock;
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result, SQLITE_ERROR, SQLITE_INTERRUPT};
use crate::words::key::Key;
use crate::words::keylist::KeyRef;
use crate::words::planted::planted;

const SNAPSHOT: Fixed = Fixed(31, "SELECT 1 FROM main.sqlite_schema");
/// Opening a savepoint, undoing what stands since then, and ending it. One inside another has
/// another name, so that what is left of it goes with the outer one.
const OUTER: [Fixed; 3] =
    [Fixed(32, "SAVEPOINT crsql"), Fixed(33, "ROLLBACK TO crsql"), Fixed(34, "RELEASE crsql")];
const INNER: [Fixed; 3] = [
    Fixed(35, "SAVEPOINT crsql_inner"),
    Fixed(36, "ROLLBACK TO crsql_inner"),
    Fixed(37, "RELEASE crsql_inner"),
];
/// Tells whether SQLite wants every statement prepared anew, and costs next to nothing.
const PROBE: Fixed = Fixed(38, "SELECT 1");
/// Writes, and stays open when it gives its row.
const STAND_BY: Fixed = Fixed(29, "UPDATE crsql_state SET self = self RETURNING 1");
/// Takes the lock of whoever writes, and writes nothing.
const LOCK: Fixed = Fixed(39, "UPDATE crsql_state SET self = self WHERE 0");

/// What a write means of a column.
#[derive(Clone)]
pub struct Meaning {
    /// The table.
    pub tid: u32,
    /// The row: triggers of the application may write others of its table meanwhile.
    pub key: Key,
    /// The column.
    pub col: u32,
    /// What.
    pub said: Said,
}

/// What a write means that its values do not tell.
#[derive(Clone, Debug)]
pub enum Said {
    /// Exactly its value.
    Exactly,
    /// These registers.
    Registers(Registers),
    /// This edit of a text.
    Splice(Splice),
}

/// A state of the file, as one connection sees it: SQLite's data version, which every commit
/// changes, and how many rows this connection had changed.
pub type At = (u32, i64);

/// One connection.
pub struct Session {
    /// The connection.
    pub db: Db,
    /// Its kept statements.
    pub cache: Cache,
    /// Its replicated tables.
    pub catalog: Catalog,
    /// The sites of its file.
    pub sites: Sites,
    /// What the open transaction has done.
    pub memory: RefCell<Memory>,
    /// The schema (its version, and how often it was thrown away) with which register and triggers
    /// were last seen to agree.
    pub agreed: Cell<(i64, i32)>,
    /// The state of the schema for which every table was seen to have its guards.
    pub guarded: Cell<(i64, i32)>,
    /// A site that this file was until an exchange row by row showed a fork: what that exchange
    /// left out because the site was thought to be ours is still missing.
    pub unsure: Cell<Option<u32>>,
    /// What was last read of the file's coverage, and at which state of the file.
    pub known: RefCell<Option<(At, Rc<Known>)>>,
    /// An own site, and the version up to which this connection has put it on the disk.
    pub durable: Cell<(u32, u64)>,
    /// This file's own site, as it was read at a data version.
    own: Cell<Option<(u32, (u32, SiteId))>>,
    /// How many savepoints of ours are open.
    depth: Cell<u32>,
    /// The outermost of them began the transaction.
    alone: Cell<bool>,
    /// How often SQLite had prepared the probe anew when we last asked.
    probed: Cell<i32>,
    /// What `PRAGMA synchronous` was before we made it FULL for a commit (`durable.rs`).
    pub synchronous: Cell<Option<i64>>,
    /// A merge has turned CHECK constraints off (`unchecked.rs`).
    pub unchecked: Cell<bool>,
    /// Texts that are open.
    pub texts: RefCell<Vec<Open>>,
    /// What is meant by the write that runs.
    meaning: RefCell<Option<Meaning>>,
    /// A merge runs: how deep.
    merging: Cell<u32>,
    /// The row that the merge writes itself, until its own guard has let it pass.
    own_write: RefCell<Option<(u32, Key)>>,
}

/// Something that is done at the end, even if a panic ends it.
struct Over<F: FnMut()>(F);

impl<F: FnMut()> Drop for Over<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Session {
    /// The session of a connection that just loaded us. Touches no file.
    pub fn new(db: Db) -> Self {
        Self {
            db,
            cache: Cache::new(db),
            catalog: Catalog::default(),
            sites: Sites::default(),
            memory: RefCell::default(),
            agreed: Cell::new((-1, 0)),
            guarded: Cell::new((-1, 0)),
            unsure: Cell::new(None),
            known: RefCell::default(),
            durable: Cell::default(),
            own: Cell::default(),
            depth: Cell::new(0),
            alone: Cell::new(false),
            probed: Cell::new(0),
            synchronous: Cell::new(None),
            unchecked: Cell::new(false),
            texts: RefCell::default(),
            meaning: RefCell::new(None),
            merging: Cell::new(0),
            own_write: RefCell::default(),
        }
    }

    /// Forgets what a rollback may have undone.
    pub fn forget(&self) {
        self.sites.forget();
        self.catalog.forget();
        self.agreed.set((-1, 0));
        self.guarded.set((-1, 0));
        self.known.borrow_mut().take();
        self.texts.borrow_mut().clear();
    }

    /// The state of the file, where this connection reads or writes; else nobody knows yet.
    pub fn at(&self) -> Option<At> {
        let reads = self.db.in_write_txn() || self.db.reading_at().is_some();
        reads.then(|| (self.db.data_version(), self.db.total_changes()))
    }

    /// Since a state of the file this connection has written, and maybe committed once, nothing of
    /// what is known of its coverage: what was known then is known now. More than one commit was
    /// not ours alone.
    pub fn still_known(&self, since: Option<At>) {
        let now = (self.db.data_version(), self.db.total_changes());
        if let Some((at, _)) = self.known.borrow_mut().as_mut()
            && since == Some(*at)
            && now.0.wrapping_sub(at.0) <= 1
        {
            *at = now;
        }
    }

    /// The time now, in clock steps, as the host's file system layer tells it.
    pub fn now(&self) -> u64 {
        clock::from_unix_ms(self.db.now_unix_ms())
    }

    /// Makes the open transaction one that tells us of its end and its savepoints.
    pub fn enlist(&self) -> Result<()> {
        if self.memory.borrow().enlisted {
            return Ok(());
        }
        super::unchecked::put_back(self)?;
        let (rowid, at) = (self.db.last_insert_rowid(), self.at());
        let done = self.cache.enlist()?.run();
        self.db.set_last_insert_rowid(rowid);
        if done.is_ok() {
            self.still_known(at);
        }
        done
    }

    /// The replicated table with this id.
    pub fn table(&self, tid: u32) -> Result<Rc<Table>> {
        let found = self.catalog.table(&self.cache, self.db, tid)?;
        found.ok_or_else(|| {
            Error::refused(format!("crsql does not know table {tid}; its triggers are left over"))
        })
    }

    /// The replicated table with this id, or None where it was dropped.
    pub fn find_table(&self, tid: u32) -> Result<Option<Rc<Table>>> {
        self.catalog.table(&self.cache, self.db, tid)
    }

    /// The replicated table with this name.
    pub fn named(&self, name: &str) -> Result<Option<Rc<Table>>> {
        self.catalog.named(&self.cache, self.db, name)
    }

    /// Whether our tables are there; forgets what a change of the schema made stale.
    pub fn installed(&self) -> Result<bool> {
        self.catalog.refresh(&self.cache, self.db)
    }

    /// The ordinal of this file's own site.
    pub fn own(&self) -> Result<u32> {
        self.own_site().map(|(ordinal, _)| ordinal)
    }

    /// This file's own site.
    pub fn own_id(&self) -> Result<SiteId> {
        self.own_site().map(|(_, id)| id)
    }

    /// Both. A transaction that knows us asks once: only `identity.rs` changes the answer; so does
    /// who only reads, until somebody commits.
    pub fn own_site(&self) -> Result<(u32, SiteId)> {
        if let Some(own) = self.memory.borrow().own {
            return Ok(own);
        }
        let now = self.db.reading_at();
        if let Some((at, own)) = self.own.get()
            && now == Some(at)
        {
            return Ok(own);
        }
        let ordinal = store::own_ordinal(&self.cache)?;
        let own = (ordinal, self.site_id(ordinal)?);
        let mut memory = self.memory.borrow_mut();
        if memory.enlisted {
            memory.own = Some(own);
        }
        self.own.set(now.map(|at| (at, own)));
        Ok(own)
    }

    /// The site with this ordinal.
    pub fn site_id(&self, ordinal: u32) -> Result<SiteId> {
        self.sites.id(&self.cache, ordinal)
    }

    /// Runs a piece of work as a merge: what is written is not captured.
    pub fn merging<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.merging.set(self.merging.get() + 1);
        let _over = Over(|| {
            self.merging.set(self.merging.get() - 1);
            self.own_write.borrow_mut().take();
        });
        work()
    }

    /// Runs a write that means something of a column which its values do not tell.
    pub fn meaning<T>(&self, meant: Meaning, work: impl FnOnce() -> Result<T>) -> Result<T> {
        *self.meaning.borrow_mut() = Some(meant);
        let _over = Over(|| drop(self.meaning.borrow_mut().take()));
        work()
    }

    /// What the write that runs means of this table, if it is more than its values tell.
    pub fn meant(&self, tid: u32) -> Option<Meaning> {
        self.meaning.borrow().clone().filter(|meant| meant.tid == tid)
    }

    /// Runs a write that fires no trigger. SQLite prepares every statement anew before it, and
    /// after it.
    pub fn without_triggers(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.expiring(|| self.db.without_triggers(work))
    }

    /// Whether a merge runs.
    pub fn is_merging(&self) -> bool {
        self.merging.get() > 0 && !planted!("merges-echo")
    }

    /// The merge's next statement writes this row.
    pub fn expect_own(&self, tid: u32, key: &Key) {
        *self.own_write.borrow_mut() = Some((tid, key.clone()));
    }

    /// Whether a write that is about to happen during a merge is not the merge's own.
    pub fn is_foreign(&self, tid: u32, key: KeyRef<'_>) -> bool {
        if !self.is_merging() {
            return false;
        }
        let mut own = self.own_write.borrow_mut();
        let mine = own.as_ref().is_some_and(|(t, k)| *t == tid && k.borrow() == key);
        if mine {
            own.take();
        }
        !mine
    }

    /// Runs a piece of work that only reads, on one state of the file: what other connections
    /// commit meanwhile is not seen.
    pub fn snapshot<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut open = self.cache.fixed(SNAPSHOT)?;
        open.step()?;
        work()
    }

    /// Runs a piece of work inside a savepoint: all of it, or nothing. Refuses where SQLite cannot
    /// open one, which is inside a statement that writes.
    pub fn atomically<T>(&self, call: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.db.write_statement_running() {
            return Err(Error::refused(format!(
                "{call} cannot run inside a statement that writes; call it in a SELECT of its own"
            )));
        }
        self.open_savepoint()?;
        let returned = Cell::new(false);
        let panicked = Over(|| {
            if !returned.get() {
                let _ = self.put_back();
            }
            self.depth.set(self.depth.get() - 1);
        });
        let done = work().and_then(|v| self.release().map(|()| v));
        returned.set(true);
        if done.is_err() {
            // An error that made SQLite roll the whole transaction back took the savepoint along.
            let undone = self.put_back();
            if undone.is_err() && !self.db.autocommit() {
                return done.map_err(|e| {
                    Error::new(
                        e.code,
                        format!(
                            "{} (and the transaction could not be put back: roll it back)",
                            e.text
                        ),
                    )
                });
            }
        }
        let undone = !self.alone.get() && self.db.autocommit();
        drop(panicked);
        done.map_err(|e| match e.code & 0xff {
            SQLITE_INTERRUPT if undone => {
                Error::new(e.code, format!("{call}: {}, and the transaction rolled back", e.text))
            }
            _ => e,
        })
    }

    /// The same for what always writes: where another connection is writing it waits, as long as
    /// the connection's timeout says. SQLite does so only for who has not read anything yet.
    pub fn writing<T>(&self, call: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.atomically(call, || {
            if self.depth.get() == 1 && self.alone.get() {
                match self.cache.fixed(LOCK) {
                    Ok(mut lock) => lock.run()?,
                    // Our tables are not there yet.
                    Err(e) if e.code == SQLITE_ERROR => {}
                    Err(e) => return Err(e),
                }
            }
            work()
        })
    }

    /// Opens the savepoint. An interrupt can come when it is open already: then it is closed. The
    /// ways out of it are prepared first: once SQLite had no memory it prepares nothing until the
    /// statement that called us has ended, and a savepoint that nobody can end is an open
    /// transaction.
    fn open_savepoint(&self) -> Result<()> {
        let depth = self.depth.get();
        if depth == 0 {
            self.alone.set(self.db.autocommit());
        }
        let mut probe = self.cache.apart(PROBE)?;
        probe.run()?;
        if self.probed.replace(probe.reprepared()) != probe.reprepared() {
            self.renew_ends()?;
        }
        drop(probe);
        let [open, back, release] = if depth == 0 { OUTER } else { INNER };
        drop((self.cache.apart(back)?, self.cache.apart(release)?, self.cache.enlist()?));
        let opened = self.cache.apart(open)?.run();
        if opened.is_err() && depth == 0 {
            let _ = self.put_back();
        }
        opened?;
        self.depth.set(depth + 1);
        Ok(())
    }

    /// Runs a piece of work inside the savepoint after which SQLite prepares every statement anew,
    /// as after CREATE INDEX: the ways out of the savepoint are ready again before anything else
    /// is done. They are not where there is no memory, or somebody interrupts; so two statements
    /// are kept open meanwhile, with either of which SQLite rolls the transaction back: without
    /// memory at the end of one that reads, interrupted at a step of one that writes.
    pub fn expiring(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.snapshot(|| {
            let mut writes = match self.cache.fixed(STAND_BY) {
                Ok(writes) => Some(writes),
                // Our tables are not there yet.
                Err(e) if e.code == SQLITE_ERROR => None,
                Err(e) => return Err(e),
            };
            writes.as_mut().map_or(Ok(false), |stmt| stmt.step())?;
            let done = work().and_then(|()| self.renew_ends());
            if done.as_ref().is_err_and(|e| e.code & 0xff == SQLITE_INTERRUPT) {
                let _ = writes.as_mut().map(|stmt| stmt.step());
            }
            done
        })
    }

    fn renew_ends(&self) -> Result<()> {
        let [_, back, release] = OUTER;
        let [_, inner_back, inner_release] = INNER;
        let ends = [back, release, inner_back, inner_release, ENLIST];
        ends.into_iter().try_for_each(|n| self.cache.renew(n))
    }

    /// Ends the savepoint; what was done stays. An interrupt can come when that is done already.
    fn release(&self) -> Result<()> {
        let [_, _, release] = if self.depth.get() > 1 { INNER } else { OUTER };
        let ended = self.cache.apart(release)?.run();
        match ended {
            Err(e) if e.code & 0xff == SQLITE_INTERRUPT && self.depth.get() <= 1 => {
                match self.db.exec("RELEASE crsql") {
                    // There is no such savepoint any more.
                    Err(again) if again.code == SQLITE_ERROR => Ok(()),
                    Err(_) => Err(e),
                    Ok(()) => Ok(()),
                }
            }
            ended => ended,
        }
    }

    /// Undoes what stands since the savepoint, and ends it. Where there is no memory, SQLite rolls
    /// the whole transaction back.
    fn put_back(&self) -> Result<()> {
        self.forget();
        let [_, back, release] = if self.depth.get() > 1 { INNER } else { OUTER };
        let run = |sql: Fixed| self.cache.apart(sql)?.run();
        let back = run(back).and_then(|()| run(release));
        if let Err(e) = &back
            && e.code & 0xff == SQLITE_INTERRUPT
        {
            return self.give_up(e);
        }
        // Ending a transaction of our own can fail as its commit did, for want of room.
        let stuck = back.is_err() && self.depth.get() <= 1 && self.alone.get();
        if stuck && !self.db.autocommit() { self.db.exec("ROLLBACK") } else { back }
    }

    /// Once somebody has said `sqlite3_interrupt`, SQLite runs nothing until the statement that
    /// called us has ended, not even what ends a savepoint. But it rolls a transaction back whose
    /// statement was interrupted as it wrote, and this is one; an application's own would end so.
    fn give_up(&self, interrupted: &Error) -> Result<()> {
        let _ = self.cache.enlist()?.run();
        if self.db.autocommit() { Ok(()) } else { Err(interrupted.clone()) }
    }

    /// Reads one integer, for questions too rare for a kept statement.
    pub fn ask_int(&self, sql: &str) -> Result<i64> {
        let mut stmt = self.db.prepare(sql, Prep::Once)?;
        Ok(if stmt.step()? { stmt.int(0) } else { 0 })
    }

    /// Reads one text by a number, for questions too rare for a kept statement.
    pub fn ask_text(&self, sql: &str, by: u32) -> Result<String> {
        let mut stmt = self.db.prepare(sql, Prep::Once)?;
        stmt.bind_int(1, i64::from(by))?;
        Ok(if stmt.step()? { stmt.string(0) } else { String::new() })
    }
}
