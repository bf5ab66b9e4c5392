//! HELD changes: what cannot be applied yet, kept in `crsql_held` with its reason, served onward
//! in the feed, and tried again when the schema or the clock allows.
//!
//! Holding is per cell and keeps the winner only, by the one merge law; but what waits for its
//! clock takes nobody's place, for it may wait for ever: there each stamp has a place of its own;
//! and a delete that a table does not take (`policy.rs`) has one apart from its row, which lives
//! on. A held creation holds its row: as long as a held change of the row has a greater causal
//! length than the row has here, later changes of that row join it.

use std::cmp::Ordering;

use super::feed::HeldChange;
use super::guard;
use super::log;
use super::merger::SENTINEL;
use super::session::Session;
use super::single;
use crate::ground::Prep;
use crate::ground::cache::Fixed;
use crate::words::clock;
use crate::words::dot::{SiteId, Txn};
use crate::words::error::{Error, Result};
use crate::words::key::Key;
use crate::words::merge::{self, Write};
use crate::words::planted::planted;
use crate::words::value::ValueRef;

const ANY: Fixed = Fixed(60, "SELECT EXISTS(SELECT 1 FROM crsql_held)");
const OF_TXN: Fixed = Fixed(
    61,
    "SELECT h.\"table\", h.pk, h.cid, h.val, h.col_version, h.cl, h.seq, h.stamp FROM crsql_held h
     WHERE h.site_id = (SELECT site_id FROM crsql_sites WHERE ordinal = ?1)
       AND h.db_version = ?2 ORDER BY h.seq",
);
const STANDING: Fixed = Fixed(
    62,
    "SELECT cl, col_version, site_id, db_version, seq, val FROM crsql_held
     WHERE \"table\" = ?1 AND pk = ?2 AND cid = ?3 AND ahead = ?4",
);
const PUT: Fixed = Fixed(
    63,
    "INSERT OR REPLACE INTO crsql_held
     VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
);
const ROW_LIFE: Fixed = Fixed(
    64,
    "SELECT max(cl), max(iif(reason LIKE 'the row waits: %', cl, 0)) FROM crsql_held
     WHERE \"table\" = ?1 AND pk = ?2 AND ahead = 0",
);
const DROP_OLD: Fixed =
    Fixed(65, "DELETE FROM crsql_held WHERE \"table\" = ?1 AND pk = ?2 AND cl < ?3");
const REMOVE: Fixed = Fixed(
    66,
    "DELETE FROM crsql_held WHERE \"table\" = ?1 AND pk = ?2 AND cid = ?3 AND ahead = ?4",
);

const OF_PEER: Fixed = Fixed(160, "SELECT count(*) FROM crsql_held WHERE peer IS ?1");

/// When so many changes are held that one peer brought, what else it brings is cut.
const PER_PEER_MAX: i64 = 1_000_000;

/// A change with everything that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// What it says.
    pub change: HeldChange,
    /// Its site.
    pub site: SiteId,
    /// Its version.
    pub version: u64,
    /// The stamp of its transaction, 0 where unknown.
    pub stamp: u64,
}

/// The same, as it comes in: its bytes are borrowed.
#[derive(Clone, Copy, Debug)]
pub struct One<'a> {
    /// The table's name.
    pub table: &'a str,
    /// The packed key.
    pub pk: &'a [u8],
    /// The column's name, or the sentinel.
    pub cid: &'a str,
    /// The value.
    pub val: ValueRef<'a>,
    /// The version of the cell, which is its stamp.
    pub col_version: u64,
    /// The row's causal length.
    pub cl: u64,
    /// The place in the transaction.
    pub seq: u64,
    /// Its site.
    pub site: SiteId,
    /// Its version.
    pub version: u64,
    /// The stamp of its transaction, 0 where unknown.
    pub stamp: u64,
}

impl One<'_> {
    /// A copy to keep.
    pub fn to_whole(self) -> Whole {
        Whole {
            change: HeldChange {
                table: self.table.to_string(),
                pk: self.pk.to_vec(),
                cid: self.cid.to_string(),
                val: self.val.to_owned(),
                col_version: self.col_version,
                cl: self.cl,
                seq: self.seq,
            },
            site: self.site,
            version: self.version,
            stamp: self.stamp,
        }
    }
}

impl Whole {
    /// Borrows the change.
    pub fn as_one(&self) -> One<'_> {
        let c = &self.change;
        One {
            table: &c.table,
            pk: &c.pk,
            cid: &c.cid,
            val: c.val.as_ref(),
            col_version: c.col_version,
            cl: c.cl,
            seq: c.seq,
            site: self.site,
            version: self.version,
            stamp: self.stamp,
        }
    }
}

/// Whether anything is held in this file.
pub fn any(s: &Session) -> Result<bool> {
    if let Some(any) = s.memory.borrow().any_held {
        return Ok(any);
    }
    let mut stmt = s.cache.fixed(ANY)?;
    stmt.step()?;
    let any = stmt.int(0) != 0;
    drop(stmt);
    if s.memory.borrow().enlisted {
        s.memory.borrow_mut().any_held = Some(any);
    }
    Ok(any)
}

/// Whether a peer has brought as much that had to be held as is kept for one.
pub fn is_full(s: &Session, peer: &SiteId) -> Result<bool> {
    if !any(s)? {
        return Ok(false);
    }
    let mut stmt = s.cache.fixed(OF_PEER)?;
    stmt.bind_blob(1, peer)?;
    stmt.step()?;
    Ok(stmt.int(0) >= PER_PEER_MAX)
}

/// Why what a peer brings is cut while it is full.
pub fn full_reason() -> String {
    format!(
        "{PER_PEER_MAX} changes that its peer brought are held already; SELECT DISTINCT reason \
         FROM crsql_held tells what they wait for"
    )
}

/// The held changes of one transaction, by place, each with the stamp that it came with.
pub fn of_txn(s: &Session, txn: Txn) -> Result<Vec<(HeldChange, u64)>> {
    let mut out = Vec::new();
    if !any(s)? || planted!("held-not-served") {
        return Ok(out);
    }
    let mut stmt = s.cache.fixed(OF_TXN)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, log::int(txn.version))?;
    while stmt.step()? {
        out.push((read_change(&stmt)?, log::count(stmt.int(7))?));
    }
    Ok(out)
}

fn read_change(stmt: &crate::ground::Stmt) -> Result<HeldChange> {
    Ok(HeldChange {
        table: stmt.string(0),
        pk: stmt.blob(1).to_vec(),
        cid: stmt.string(2),
        val: stmt.value(3).to_owned(),
        col_version: log::any_count(stmt.int(4))?,
        cl: log::count(stmt.int(5))?,
        seq: log::count(stmt.int(6))?,
    })
}

/// The held changes of one row.
pub fn of_row(s: &Session, table: &str, pk: &[u8]) -> Result<Vec<(HeldChange, u64, SiteId, u64)>> {
    let mut out = Vec::new();
    if !any(s)? {
        return Ok(out);
    }
    let mut stmt = s.db.prepare(
        "SELECT \"table\", pk, cid, val, col_version, cl, seq, db_version, site_id, stamp
         FROM crsql_held WHERE \"table\" = ?1 AND pk = ?2",
        Prep::Once,
    )?;
    stmt.bind_text(1, table.as_bytes())?;
    stmt.bind_blob(2, pk)?;
    while stmt.step()? {
        let site = stmt.blob(8).try_into().map_err(|_| not_a_site())?;
        let (version, stamp) = (log::count(stmt.int(7))?, log::count(stmt.int(9))?);
        out.push((read_change(&stmt)?, version, site, stamp));
    }
    Ok(out)
}

fn not_a_site() -> Error {
    Error::corrupt("crsql_held has a site that does not have 16 bytes")
}

/// What is held of a row: its greatest causal length, and that of its held creation; 0 where there
/// is none. What waits for its clock does not count: it may wait for ever.
pub fn row_life(s: &Session, table: &str, pk: &[u8]) -> Result<(u64, u64)> {
    if !any(s)? {
        return Ok((0, 0));
    }
    let mut stmt = s.cache.fixed(ROW_LIFE)?;
    stmt.bind_text(1, table.as_bytes())?;
    stmt.bind_blob(2, pk)?;
    stmt.step()?;
    Ok((log::count(stmt.int(0))?, log::count(stmt.int(1))?))
}

/// Drops what is held of a row below a causal length that the row has reached.
pub fn drop_below(s: &Session, table: &str, pk: &[u8], cl: u64) -> Result<()> {
    if !any(s)? {
        return Ok(());
    }
    let mut stmt = s.cache.fixed(DROP_OLD)?;
    stmt.bind_text(1, table.as_bytes())?;
    stmt.bind_blob(2, pk)?;
    stmt.bind_int(3, log::int(cl))?;
    stmt.run()
}

/// A table is dropped, or a column of one: what is held of it is lacking from now on like the rest.
pub fn forget(s: &Session, table: &str, column: Option<&str>) -> Result<()> {
    let mut stmt = s.db.prepare(
        "DELETE FROM crsql_held
         WHERE \"table\" = ?1 COLLATE NOCASE
           AND (?2 IS NULL OR cid = ?2 COLLATE NOCASE
                OR substr(cid, 1, length(?2) + 2) = char(1) || ?2 || char(1) COLLATE NOCASE)",
        Prep::Once,
    )?;
    stmt.bind_text(1, table.as_bytes())?;
    stmt.bind(2, column.map_or(ValueRef::Null, |name| ValueRef::Text(name.as_bytes())))?;
    stmt.run()?;
    s.memory.borrow_mut().any_held = None;
    Ok(())
}

/// Whether the row is here with a greater causal length than the change has.
fn is_below(s: &Session, c: &HeldChange) -> Result<bool> {
    let Some(table) = s.named(&c.table)? else { return Ok(false) };
    let Ok(key) = Key::from_pk(table.kind, table.keys.len(), &c.pk) else { return Ok(false) };
    Ok(log::clock_of(s, table.tid, key.borrow())?.is_some_and(|clock| clock.cl > c.cl))
}

/// Whether a change is held in a place that beats this one or is it; None where none is.
fn standing(s: &Session, w: &Whole, place: i64) -> Result<Option<bool>> {
    let c = &w.change;
    let mut stmt = s.cache.fixed(STANDING)?;
    stmt.bind_text(1, c.table.as_bytes())?;
    stmt.bind_blob(2, &c.pk)?;
    stmt.bind_text(3, c.cid.as_bytes())?;
    stmt.bind_int(4, place)?;
    if !stmt.step()? {
        return Ok(None);
    }
    let standing = Write {
        stamp: log::any_count(stmt.int(1))?,
        site: stmt.blob(2).try_into().map_err(|_| not_a_site())?,
        version: log::count(stmt.int(3))?,
        seq: log::count(stmt.int(4))?,
    };
    let life = merge::life(log::count(stmt.int(0))?, c.cl);
    if life != Ordering::Equal {
        return Ok(Some(life == Ordering::Less));
    }
    let verdict = if c.cid == SENTINEL {
        let name = (standing.site, standing.version, standing.seq);
        merge::sentinel(Some(name), (w.site, w.version, c.seq))
    } else {
        let (stamp, site, version, seq) = (c.col_version, w.site, w.version, c.seq);
        let incoming = Write { stamp, site, version, seq };
        merge::cell(Some(&standing), &incoming, || merge::values(c.val.as_ref(), stmt.value(5)))
    };
    Ok(Some(!verdict.wins))
}

/// The stamp that a change waits for, where it is its clock that it waits for; -1 for a delete that
/// its table does not take; else 0.
fn ahead(w: &Whole, reason: &str) -> i64 {
    if reason.starts_with(GROWS) {
        return NOT_TAKEN;
    }
    let cell = if w.change.cid == SENTINEL { 0 } else { w.change.col_version };
    if reason.starts_with(AHEAD) { log::int(w.stamp.max(cell)) } else { 0 }
}

/// A change was applied: what is held of the same cell and loses to it goes.
pub fn drop_lost(s: &Session, w: &Whole) -> Result<()> {
    if standing(s, w, 0)? == Some(false) { remove(s, &w.change, 0) } else { Ok(()) }
}

fn remove(s: &Session, c: &HeldChange, ahead: i64) -> Result<()> {
    let mut stmt = s.cache.fixed(REMOVE)?;
    stmt.bind_text(1, c.table.as_bytes())?;
    stmt.bind_blob(2, &c.pk)?;
    stmt.bind_text(3, c.cid.as_bytes())?;
    stmt.bind_int(4, ahead)?;
    stmt.run()?;
    s.memory.borrow_mut().any_held = None;
    Ok(())
}

/// Holds a change, unless its row has gone on or what is held of its cell beats it. Gives whether
/// it is held now.
pub fn hold(s: &Session, w: &Whole, reason: &str, peer: Option<&SiteId>) -> Result<bool> {
    let c = &w.change;
    let ahead = ahead(w, reason);
    if is_below(s, c)? || (ahead <= 0 && standing(s, w, ahead)? == Some(true)) {
        return Ok(false);
    }
    if row_life(s, &c.table, &c.pk)?.0 > c.cl {
        return Ok(false);
    }
    if ahead == 0 {
        drop_below(s, &c.table, &c.pk, c.cl)?;
    }
    let mut stmt = s.cache.fixed(PUT)?;
    stmt.bind_text(1, c.table.as_bytes())?;
    stmt.bind_blob(2, &c.pk)?;
    stmt.bind_text(3, c.cid.as_bytes())?;
    stmt.bind(4, c.val.as_ref())?;
    stmt.bind_int(5, log::int(c.col_version))?;
    stmt.bind_int(6, log::int(w.version))?;
    stmt.bind_blob(7, &w.site)?;
    stmt.bind_int(8, log::int(c.cl))?;
    stmt.bind_int(9, log::int(c.seq))?;
    stmt.bind_int(10, log::int(w.stamp))?;
    stmt.bind_text(11, reason.as_bytes())?;
    stmt.bind_text(12, clock::to_utc_text(s.now()).as_bytes())?;
    stmt.bind(13, peer.map_or(ValueRef::Null, |p| ValueRef::Blob(p)))?;
    stmt.bind_int(14, ahead)?;
    stmt.run()?;
    drop(stmt);
    s.memory.borrow_mut().any_held = Some(true);
    // It is served by the record of its transaction, which has to reach so far.
    let txn = Txn { site: s.sites.intern(&s.cache, &w.site)?, version: w.version };
    log::reach(s, txn, c.seq)?;
    Ok(true)
}

/// The beginning of the reason of a change that waits because its row's creation was refused.
pub const ROW: &str = "the row waits: ";
/// The beginning of the reason of a change whose table is not replicated here.
pub const NO_TABLE: &str = "there is no replicated table ";
/// The beginning of the reason of a delete that its table does not take.
pub const GROWS: &str = "the table only grows: ";
/// The place of such a delete.
const NOT_TAKEN: i64 = -1;
/// The beginning of the reason of a change whose stamp is too far ahead of our clock.
pub const AHEAD: &str = "its clock is ";

/// Tries everything that is held again, in the order of origin.
pub fn retry(s: &Session) -> Result<()> {
    if !s.installed()? || !any(s)? {
        return Ok(());
    }
    retry_where(s, "1", &|_, _| true)
}

/// Tries again what waits because a column was another one at its sender than here. `agrees` knows
/// the columns that are the same in both places now, by table and name.
pub fn retry_agreed(s: &Session, agrees: &dyn Fn(&str, &str) -> bool) -> Result<()> {
    if !any(s)? {
        return Ok(());
    }
    retry_where(s, "reason LIKE 'column % at its sender%'", agrees)
}

/// Whether anything waits for a column of a sender.
pub fn any_disagreed(s: &Session) -> Result<bool> {
    let sql = "SELECT EXISTS(SELECT 1 FROM crsql_held
                             WHERE reason LIKE 'column % at its sender%')";
    Ok(any(s)? && s.ask_int(sql)? != 0)
}

/// Tries again what our clock has come close enough to, and what waits for a table that is there
/// now. Opens a savepoint of its own. Not in a transaction of the caller's: what is asked of this
/// file would then be neither held nor committed.
pub fn retry_due(s: &Session) -> Result<()> {
    let may_write = s.db.readonly() == Some(false) && !s.db.write_statement_running();
    if !any(s)? || !may_write || !s.db.autocommit() {
        return Ok(());
    }
    if planted!("held-for-ever") {
        return Ok(());
    }
    let bound = log::int(super::ahead::latest(s)?);
    let due = format!(
        "(ahead BETWEEN 1 AND {bound}
          OR reason LIKE '{NO_TABLE}%' AND EXISTS(SELECT 1 FROM crsql_tables
             WHERE name = crsql_held.\"table\" COLLATE NOCASE AND dropped IS NULL))"
    );
    if s.ask_int(&format!("SELECT count(*) FROM crsql_held WHERE {due}"))? == 0 {
        return Ok(());
    }
    s.atomically("crsql", || {
        s.enlist()?;
        super::flush::flush(s)?;
        retry_where(s, &due, &|_, _| true)
    })
}

fn retry_where(s: &Session, which: &str, of: &dyn Fn(&str, &str) -> bool) -> Result<()> {
    let mut stmt = s.db.prepare(
        &format!(
            "SELECT \"table\", pk, cid, val, col_version, cl, seq, site_id, db_version, stamp, peer,
                    ahead FROM crsql_held WHERE {which} ORDER BY cl, site_id, db_version, seq"
        ),
        Prep::Once,
    )?;
    let mut waiting = Vec::new();
    while stmt.step()? {
        let site: SiteId = stmt.blob(7).try_into().map_err(|_| not_a_site())?;
        let change = read_change(&stmt)?;
        if !of(&change.table, &change.cid) {
            continue;
        }
        let peer: Option<SiteId> = stmt.blob(10).try_into().ok();
        let (version, stamp) = (log::count(stmt.int(8))?, log::count(stmt.int(9))?);
        waiting.push((Whole { change, site, version, stamp }, peer, stmt.int(11)));
    }
    drop(stmt);
    if waiting.is_empty() {
        return Ok(());
    }
    guard::ensure(s)?;
    // All of them first: a cell that still waits would make the others of its row wait for it.
    for (whole, _, ahead) in &waiting {
        remove(s, &whole.change, *ahead)?;
    }
    for (whole, peer, _) in waiting {
        single::merge_change(s, &whole.as_one(), peer.as_ref())?;
    }
    Ok(())
}
