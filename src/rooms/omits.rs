//! What was dropped here: versions whose content is no longer in this file because a table or
//! column of theirs is gone. Vectors and changesets name them, so that a receiver that still has
//! the table keeps a gap there and asks somebody else.
//!
//! When a table or column of that name is replicated here again, those versions are **wanted**: our
//! vector has a gap there, and who has them sends them. A table that comes back wants more than
//! what it had touched: what lost to a write of ours that was dropped is nowhere on record here. So
//! everything that was seen is wanted once more then, under the name [`AGAIN`], which is nobody's
//! concern but ours.

use std::collections::{BTreeMap, BTreeSet};

use super::log;
use super::session::Session;
use crate::ground::Prep;
use crate::ground::cache::Fixed;
use crate::ground::catalog::{Table, clock_table};
use crate::words::dot::Txn;
use crate::words::error::Result;
use crate::words::keylist;
use crate::words::ranges::RangeSet;
use crate::words::rowclock::RowClock;

const ALL: Fixed = Fixed(130, "SELECT site, lo, hi, what FROM crsql_omits ORDER BY site, lo, what");

/// What is omitted, by site: the versions.
pub type Omits = BTreeMap<u32, RangeSet>;

/// In place of what was dropped: nothing was, but the versions are wanted again.
pub const AGAIN: &str = "";

/// A table is dropped: every transaction that touched it is omitted.
pub fn table(s: &Session, tid: u32, name: &str) -> Result<()> {
    let mut scan = s.db.prepare("SELECT site, version, rows FROM crsql_log", Prep::Once)?;
    let mut touched: BTreeSet<Txn> = BTreeSet::new();
    while scan.step()? {
        let txn = Txn {
            site: crate::ground::store::ordinal(scan.int(0))?,
            version: log::count(scan.int(1))?,
        };
        if keylist::decode(scan.blob(2))?.iter().any(|e| e.tid == tid) {
            touched.insert(txn);
        }
    }
    drop(scan);
    write(s, &touched, name)
}

/// A column is dropped: every transaction that a cell of it came from is omitted.
pub fn column(s: &Session, table: &Table, id: u32) -> Result<()> {
    let sql = format!("SELECT clock FROM {}", clock_table(table.tid));
    let mut scan = s.db.prepare(&sql, Prep::Once)?;
    let mut touched: BTreeSet<Txn> = BTreeSet::new();
    while scan.step()? {
        if let Some(cell) = RowClock::decode(scan.blob(0))?.cell(id) {
            touched.insert(cell.dot.txn);
        }
    }
    drop(scan);
    write(s, &touched, &format!("{}{COLUMN}{}", table.name, name_of(s, table.tid, id)?))
}

/// Between the name of a table and that of a column in what was dropped.
pub const COLUMN: &str = ", column ";

fn name_of(s: &Session, tid: u32, id: u32) -> Result<String> {
    let mut stmt =
        s.db.prepare("SELECT name FROM crsql_columns WHERE tid = ?1 AND cid = ?2", Prep::Once)?;
    stmt.bind_int(1, i64::from(tid))?;
    stmt.bind_int(2, i64::from(id))?;
    Ok(if stmt.step()? { stmt.string(0) } else { String::new() })
}

fn write(s: &Session, touched: &BTreeSet<Txn>, what: &str) -> Result<()> {
    let mut omits = Omits::new();
    for txn in touched {
        omits.entry(txn.site).or_default().insert(txn.version, txn.version);
    }
    for (site, set) in &omits {
        set.iter().try_for_each(|(lo, hi)| put(s, *site, lo, hi, what))?;
    }
    Ok(())
}

/// A table is replicated again that was before: all that was seen is wanted again.
pub fn want_again(s: &Session, name: &str, seen: &[(u32, u64, u64)]) -> Result<()> {
    let mut stmt =
        s.db.prepare("SELECT EXISTS(SELECT 1 FROM crsql_omits WHERE what = ?1)", Prep::Once)?;
    stmt.bind_text(1, name.as_bytes())?;
    stmt.step()?;
    if stmt.int(0) == 0 {
        return Ok(());
    }
    drop(stmt);
    seen.iter().try_for_each(|(site, lo, hi)| put(s, *site, *lo, *hi, AGAIN))
}

/// Whether what was dropped somewhere, a table or a column of one, is here.
pub fn is_here(s: &Session, what: &str) -> Result<bool> {
    if s.named(what)?.is_some() {
        return Ok(true);
    }
    let Some((table, column)) = what.rsplit_once(COLUMN) else { return Ok(false) };
    Ok(s.named(table)?.is_some_and(|t| t.column(column).is_some()))
}

/// The versions whose content is wanted again, by site.
pub fn wanted(s: &Session) -> Result<Omits> {
    let mut out = Omits::new();
    for (site, lo, hi, what) in read(s)? {
        if what == AGAIN || is_here(s, &what)? {
            out.entry(site).or_default().insert(lo, hi);
        }
    }
    Ok(out)
}

/// Versions came again with all that we have a place for: they are wanted no more.
pub fn came(s: &Session, site: u32, lo: u64, hi: u64) -> Result<()> {
    for (of, from, to, what) in read(s)? {
        if of != site || to < lo || from > hi || !(what == AGAIN || is_here(s, &what)?) {
            continue;
        }
        let mut stmt = s.db.prepare(
            "DELETE FROM crsql_omits WHERE site = ?1 AND lo = ?2 AND what = ?3",
            Prep::Once,
        )?;
        stmt.bind_int(1, i64::from(site))?;
        stmt.bind_int(2, log::int(from))?;
        stmt.bind_text(3, what.as_bytes())?;
        stmt.run()?;
        if from < lo {
            put(s, site, from, lo - 1, &what)?;
        }
        if to > hi {
            put(s, site, hi + 1, to, &what)?;
        }
    }
    Ok(())
}

fn put(s: &Session, site: u32, lo: u64, hi: u64, what: &str) -> Result<()> {
    let mut stmt = s.db.prepare(
        "INSERT OR REPLACE INTO crsql_omits(site, lo, hi, what) VALUES(?1, ?2, ?3, ?4)",
        Prep::Once,
    )?;
    stmt.bind_int(1, i64::from(site))?;
    stmt.bind_int(2, log::int(lo))?;
    stmt.bind_int(3, log::int(hi))?;
    stmt.bind_text(4, what.as_bytes())?;
    stmt.run()
}

/// What is omitted, each range with the name of what was dropped.
pub fn read(s: &Session) -> Result<Vec<(u32, u64, u64, String)>> {
    let mut stmt = s.cache.fixed(ALL)?;
    let mut out = Vec::new();
    while stmt.step()? {
        let site = crate::ground::store::ordinal(stmt.int(0))?;
        out.push((site, log::count(stmt.int(1))?, log::count(stmt.int(2))?, stmt.string(3)));
    }
    Ok(out)
}
