//! Who this file is: its site, made by whoever needs it first, and given up when somebody else
//! turns out to write as it.
//!
//! A copied file, or a backup that was restored, is a fork (`forks.rs`). Then our claim on the old
//! site falls to what counts of it; our own later transactions are issued again under a new site.

use super::coverage;
use super::log::{self, int};
use super::session::Session;
use crate::ground::store;
use crate::words::deps::Deps;
use crate::words::dot::{SiteId, Txn};
use crate::words::error::{Error, Result, SQLITE_READONLY};
use crate::words::planted::planted;
use crate::words::vector::Span;

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

/// `crsql_db_version()`: the newest own version that is committed. A merge may write more than one,
/// of what a fork makes us issue again.
pub fn told_version(s: &Session) -> Result<u64> {
    let before = s.memory.borrow().before.as_ref().map(|(_, version)| *version);
    before.map_or_else(|| db_version(s), Ok)
}

/// The newest own version but for that of the open transaction.
pub fn db_version(s: &Session) -> Result<u64> {
    if !s.installed()? {
        return Ok(0);
    }
    let head = log::head(s)?;
    let open = s.memory.borrow().given.is_some_and(|g| g.version == head.version);
    let open = open && !planted!("open-version-told");
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

/// `crsql_new_site()`: from here on this file writes under a new identity. What it wrote so far
/// stays the old one's, and is known here in full.
pub fn renew(s: &Session) -> Result<SiteId> {
    ensure(s)?;
    s.writing("crsql_new_site", || {
        s.enlist()?;
        super::flush::flush(s)?;
        let old = s.own()?;
        let head = log::head(s)?;
        log::saw_stamp(s, head.stamp)?;
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

/// Somebody else writes as this file's site: this file takes a new identity. Of the old site it
/// keeps what counts, up to a version; what is above is issued again. The caller sees to it that
/// the new site's stamps are later than what is kept.
pub fn retire(s: &Session, upto: u64) -> Result<()> {
    let old = s.own()?;
    let kept = log::head(s)?.version.min(upto);
    take_new(s)?;
    let stamp = log::record(s, Txn { site: old, version: kept })?.map_or(0, |r| r.stamp);
    keep_coverage(s, old, kept, stamp)
}

/// Notes that two files write as a site.
pub fn mark_forked(s: &Session, site: u32) -> Result<()> {
    s.db.exec(&format!(
        "UPDATE crsql_sites SET forked = {} WHERE ordinal = {site} AND forked IS NULL",
        int(s.now())
    ))
}
