//! Who this file is: its site, made by whoever needs it first, and given up when somebody else
//! turns out to write as it.
//!
//! A copied file, or a backup that was restored, is a fork: a peer knows more of our site than we
//! do, or knows one of our versions with another stamp. Then our claim on the old site falls to
//! the highest version that a peer had acknowledged in this file; our own later transactions are
//! issued again under a new site, with their stamps; and the rest of the old site is pulled like
//! any other site's.

use std::collections::BTreeSet;

use super::log::{self, REISSUED, Record, Writer, int};
use super::session::Session;
use super::{coverage, peers};
use crate::ground::Prep;
use crate::ground::store;
use crate::words::deps::Deps;
use crate::words::dot::{Dot, SiteId, Txn};
use crate::words::error::{Error, Result, SQLITE_READONLY};
use crate::words::rowclock::RowClock;
use crate::words::vector::{Span, Vector};

/// Makes our tables, and with them the identity, if they are not there.
pub fn ensure(s: &Session) -> Result<()> {
    if s.installed()? {
        return Ok(());
    }
    if s.db.readonly() != Some(false) {
        return Err(Error::new(
            SQLITE_READONLY,
            "the database cannot be written, so crsql cannot make its tables in it",
        ));
    }
    s.atomically("crsql", || {
        store::install(s.db)?;
        s.installed().map(|_| ())
    })
}

/// `crsql_site_id()`: made when it can be, else None.
pub fn site_id(s: &Session) -> Result<Option<SiteId>> {
    if !s.installed()? {
        if s.db.readonly() != Some(false) || s.db.write_statement_running() {
            return Ok(None);
        }
        ensure(s)?;
    }
    s.own_id().map(Some)
}

/// `crsql_db_version()`: the newest own version that is committed.
pub fn db_version(s: &Session) -> Result<u64> {
    if !s.installed()? {
        return Ok(0);
    }
    let head = log::head(s)?;
    let open = s.memory.borrow().given.is_some_and(|g| g.version == head.version);
    Ok(head.version - u64::from(open))
}

/// `crsql_next_db_version()`: the version of the open or the next own transaction.
pub fn next_db_version(s: &Session) -> Result<u64> {
    let given = s.memory.borrow().given;
    match given {
        Some(g) => Ok(g.version),
        None => Ok(db_version(s)? + 1),
    }
}

/// Whether the maker of a vector knows another writer of our site than this file.
pub fn is_forked(s: &Session, vector: &Vector) -> Result<bool> {
    let known = coverage::known(s)?;
    for span in vector.seen.get(&known.own_id).into_iter().flatten() {
        if span.hi > known.head {
            return Ok(true);
        }
        let ours = if span.hi == known.head {
            known.head_stamp
        } else {
            log::record(s, Txn { site: known.own, version: span.hi })?.map_or(0, |r| r.stamp)
        };
        if ours != 0 && span.stamp != 0 && ours != span.stamp {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes a new identity if the maker of a vector knows another writer of our site. The caller
/// holds a savepoint and has flushed.
pub fn compare(s: &Session, vector: &Vector) -> Result<()> {
    if is_forked(s, vector)? { fork(s) } else { Ok(()) }
}

/// `crsql_new_site()`: from here on this file writes under a new identity. What it wrote so far
/// stays the old one's, and is known here in full.
pub fn renew(s: &Session) -> Result<SiteId> {
    ensure(s)?;
    s.atomically("crsql_new_site", || {
        s.enlist()?;
        super::flush::flush(s)?;
        let old = s.own()?;
        let head = log::head(s)?;
        take_new(s)?;
        keep_coverage(s, old, head.version, head.stamp)?;
        s.own_id()
    })
}

/// Gives the file a new site; gives its ordinal.
fn take_new(s: &Session) -> Result<u32> {
    let epoch = coverage::known(s)?.epoch + 1;
    let id = store::random_site(s.db);
    let new = s.sites.intern(&s.cache, &id)?;
    s.db.exec(&format!(
        "UPDATE crsql_sites SET retired = {} WHERE ordinal = (SELECT self FROM crsql_state);
         UPDATE crsql_sites SET epoch = {} WHERE ordinal = {new};
         UPDATE crsql_state SET self = {new}, mark = 0",
        int(s.now()),
        int(epoch)
    ))?;
    // The open transaction, if there is one, goes on under the new site.
    let mut memory = s.memory.borrow_mut();
    memory.given = None;
    memory.own = None;
    memory.next_seq = 0;
    Ok(new)
}

/// What this file knows of a site that it was.
fn keep_coverage(s: &Session, old: u32, version: u64, stamp: u64) -> Result<()> {
    if version == 0 {
        return Ok(());
    }
    let mut new = Deps::new();
    coverage::grant(s, old, Span { lo: 1, hi: version, stamp }, &mut new)?;
    coverage::remember_new(s, &new)
}

/// Somebody else writes as this file's site: this file takes a new identity.
pub fn fork(s: &Session) -> Result<()> {
    let old = s.own()?;
    let head = log::head(s)?;
    let acked = peers::acked_by_any(s, &s.site_id(old)?)?;
    let acked = acked.iter().next().filter(|(lo, _)| *lo == 1).map_or(0, |(_, hi)| hi);
    let kept = acked.min(head.version);
    s.db.exec(&format!("UPDATE crsql_sites SET forked = {} WHERE ordinal = {old}", int(s.now())))?;
    let new = take_new(s)?;
    let stamp = log::record(s, Txn { site: old, version: kept })?.map_or(0, |r| r.stamp);
    keep_coverage(s, old, kept, stamp)?;
    let mut version = kept;
    let mut next = 1;
    while let Some(v) = log::next_version(s, old, version, head.version)? {
        version = v;
        reissue(s, Txn { site: old, version: v }, Txn { site: new, version: next })?;
        next += 1;
    }
    s.memory.borrow_mut().looked_up = None;
    Ok(())
}

/// Issues one own transaction again under another name: its record, and every cell that still
/// comes from it.
fn reissue(s: &Session, from: Txn, to: Txn) -> Result<()> {
    let Some(record) = log::record(s, from)? else { return Ok(()) };
    let (entries, _) = log::rows(s, from, 0, usize::MAX)?;
    let mut writer = Writer::new(to);
    let mut rows = BTreeSet::new();
    for e in &entries {
        writer.push(e.tid, e.key.borrow(), e.seq, e.span);
        rows.insert((e.tid, e.key.clone()));
    }
    for (tid, key) in rows {
        if s.find_table(tid)?.is_none() {
            continue;
        }
        if let Some(mut clock) = log::clock_of(s, tid, key.borrow())?
            && rename(&mut clock, from, to)
        {
            log::set_clock(s, tid, key.borrow(), &clock, true)?;
        }
    }
    let mut stmt =
        s.db.prepare("DELETE FROM crsql_log WHERE site = ?1 AND version = ?2", Prep::Once)?;
    stmt.bind_int(1, i64::from(from.site))?;
    stmt.bind_int(2, int(from.version))?;
    stmt.run()?;
    let flags = record.flags | REISSUED;
    writer.create(s, Record { flags, ..record }).map(|_| ())
}

/// Notes that two files write as a site.
pub fn mark_forked(s: &Session, site: u32) -> Result<()> {
    s.db.exec(&format!(
        "UPDATE crsql_sites SET forked = {} WHERE ordinal = {site} AND forked IS NULL",
        int(s.now())
    ))
}

fn rename(clock: &mut RowClock, from: Txn, to: Txn) -> bool {
    let mut changed = false;
    let mut dot = |d: &mut Dot| {
        if d.txn == from {
            d.txn = to;
            changed = true;
        }
    };
    clock.life.iter_mut().for_each(&mut dot);
    clock.over.iter_mut().for_each(|c| dot(&mut c.dot));
    if let Some(base) = &mut clock.base
        && base.txn == from
    {
        base.txn = to;
        changed = true;
    }
    changed
}
