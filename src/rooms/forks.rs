//! Forks: two files that write as one site, because one was copied or a backup was put back. From
//! then on one number names two transactions, and whoever passes both on cannot tell them apart.
//!
//! A fork is noticed where a vector gives another stamp for a version than this file has, or claims
//! more of our own site than we wrote. Then the site is **closed**: up to the last version that
//! seems to be the same everywhere it counts, above it no version names anything any more. Whoever
//! has something of what is above, or gets it from somebody who has not heard, issues it again as
//! its own writing; and who wrote as that site takes a new one. Vectors and changesets carry what
//! was closed. Who hears of it does the same, and closes the site further down where the last
//! version that counts is not the one that stands here. So that version only falls, by distances
//! that grow fourfold, and in the end all agree on it.
//!
//! What is issued again is stamped one step later than it was. So it beats the write that it
//! repeats and everything that had lost to that; nothing else lies between the two, because clocks
//! tick in steps of two (`log::next_stamp`).

use std::collections::BTreeSet;
use std::rc::Rc;

use super::coverage::{self, Known};
use super::log::{self, BACKFILL, REISSUED, Record, UNSORTED, Writer, count, int};
use super::session::Session;
use super::{ahead, identity, parts, peers};
use crate::ground::Prep;
use crate::ground::cache::Fixed;
use crate::words::clock;
use crate::words::dot::{MAX_COUNT, SiteId, Txn};
use crate::words::error::{Error, Result};
use crate::words::ranges::RangeSet;
use crate::words::rowclock::RowClock;
use crate::words::vector::{Closed, Vector};

const NEWEST: Fixed = Fixed(
    170,
    "SELECT version, stamp FROM crsql_log
     WHERE site = ?1 AND version <= ?2 AND part = 0 AND stamp > 0 ORDER BY version DESC LIMIT 1",
);
const LEFT: Fixed = Fixed(
    171,
    "SELECT ordinal, closed FROM crsql_sites
     WHERE closed IS NOT NULL AND EXISTS(SELECT 1 FROM crsql_log
       WHERE site = ordinal AND version > closed)",
);

const CLOSED_AT: Fixed = Fixed(89, "SELECT closed FROM crsql_sites WHERE ordinal = ?1");

/// What a vector says of a site that this file knows otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    /// Another transaction of this version, or one that we, whose site it is, never wrote.
    Other(u64),
    /// It was closed, further down than here.
    Closed(Closed),
    /// It was closed as it is here: so that is known beyond this file.
    Healed,
}

/// The sites of which the maker of a vector knows something else than this file, as bytes.
pub fn disputed(s: &Session, vector: &Vector) -> Result<BTreeSet<SiteId>> {
    let odd =
        odd(s, &*coverage::known(s)?, vector)?.into_iter().filter(|(_, odd)| *odd != Odd::Healed);
    Ok(odd.map(|(id, _)| id).collect())
}

/// Whether there is anything to do about forks, or about a clock that was ahead: by what a vector
/// says, or by rows that came in.
pub fn due(s: &Session, vector: &Vector) -> Result<bool> {
    let known = coverage::known(s)?;
    Ok(left(s, &known)?.is_some()
        || !odd(s, &known, vector)?.is_empty()
        || ahead::due(s, &known, vector)?.is_some())
}

/// Heals what a vector shows, and gives what is known then. The caller holds a savepoint and has
/// flushed.
pub fn heal(s: &Session, vector: &Vector) -> Result<Rc<Known>> {
    let known = coverage::known(s)?;
    let odd = odd(s, &known, vector)?;
    if odd.is_empty() && left(s, &known)?.is_none() {
        return stamp_anew(s, known, vector);
    }
    for (id, odd) in odd {
        let site = s.sites.intern(&s.cache, &id)?;
        match odd {
            Odd::Other(version) => other(s, site, version)?,
            Odd::Closed(closed) => hear(s, site, closed)?,
            Odd::Healed => {
                s.db.exec(&format!("UPDATE crsql_sites SET forked = NULL WHERE ordinal = {site}"))?
            }
        }
    }
    reissue_left(s)?;
    stamp_anew(s, coverage::known(s)?, vector)
}

/// Stamps anew what was written while our clock was ahead, if now is the time. Our site is closed
/// before it, and it is issued again.
fn stamp_anew(s: &Session, known: Rc<Known>, vector: &Vector) -> Result<Rc<Known>> {
    let Some(first) = ahead::due(s, &known, vector)? else { return Ok(known) };
    let latest = ahead::latest(s)?;
    let (at, stamp) = newest(s, known.own, first - 1)?;
    log::saw_stamp(s, stamp)?;
    identity::retire(s, at)?;
    shut(s, known.own, Closed { at, stamp, from: first })?;
    reissue_above(s, known.own, at, latest)?;
    coverage::known(s)
}

/// Does what is due without having heard anything new, where this connection may write.
pub fn tidy(s: &Session) -> Result<()> {
    let writable = s.db.readonly() == Some(false) && !s.db.write_statement_running();
    if !writable || left(s, &*coverage::known(s)?)?.is_none() {
        return Ok(());
    }
    s.atomically("crsql", || {
        s.enlist()?;
        super::flush::flush(s)?;
        reissue_left(s)
    })
}

/// Issues again what is here of closed sites: rows that came one by one from somebody who had not
/// heard.
pub fn reissue_left(s: &Session) -> Result<()> {
    let mut before = None;
    while let Some((site, at)) = left(s, &*coverage::known(s)?)? {
        if before.replace(site) == Some(site) {
            return Err(Error::corrupt(format!(
                "crsql_log has versions above {at} of a closed site that are no numbers"
            )));
        }
        reissue_above(s, site, at, u64::MAX)?;
    }
    Ok(())
}

/// A closed site of which something is here that is to be issued again.
fn left(s: &Session, known: &Known) -> Result<Option<(u32, u64)>> {
    if known.closed.is_empty() {
        return Ok(None);
    }
    let mut stmt = s.cache.fixed(LEFT)?;
    if !stmt.step()? {
        return Ok(None);
    }
    Ok(Some((crate::ground::store::ordinal(stmt.int(0))?, count(stmt.int(1))?)))
}

fn odd(s: &Session, known: &Known, vector: &Vector) -> Result<Vec<(SiteId, Odd)>> {
    let mut out = Vec::new();
    if vector.site.is_none() {
        return Ok(out);
    }
    for (id, theirs) in &vector.closed {
        match known.closed.get(id) {
            Some((ours, _)) if ours.at < theirs.at => {}
            Some((ours, forked)) if ours.at == theirs.at && ours.stamp == theirs.stamp => {
                out.extend(forked.then_some((*id, Odd::Healed)));
            }
            _ => out.push((*id, Odd::Closed(*theirs))),
        }
    }
    for (id, _, spans) in known.differing(&vector.seen) {
        let Some((spans, site)) = spans.zip(s.sites.find(&s.cache, &id)?) else { continue };
        let upto = known.closed.get(&id).map_or(u64::MAX, |(closed, _)| closed.at);
        for span in spans.iter().filter(|span| span.hi <= upto) {
            if site == known.own && span.hi > known.head {
                out.push((id, Odd::Other(known.head + 1)));
                break;
            }
            let ours = stamp_here(s, known, site, span.hi)?.unwrap_or(0);
            if ours != 0 && span.stamp != 0 && ours != span.stamp {
                out.push((id, Odd::Other(span.hi)));
                break;
            }
        }
    }
    Ok(out)
}

/// The stamp of a transaction as this file knows it; 0 where it saw it and cannot say, None where
/// it did not see it.
fn stamp_here(s: &Session, known: &Known, site: u32, version: u64) -> Result<Option<u64>> {
    let seen = known.seen.get(&s.site_id(site)?);
    let spans = seen.map(|(_, spans)| spans.as_slice()).unwrap_or_default();
    let at = spans.partition_point(|span| span.hi < version);
    let span = spans.get(at).filter(|span| span.lo <= version);
    if let Some(span) = span.filter(|span| span.hi == version && span.stamp != 0) {
        return Ok(Some(span.stamp));
    }
    match log::record(s, Txn { site, version })? {
        Some(record) => Ok(Some(record.stamp)),
        None => Ok(span.map(|_| 0)),
    }
}

/// Somebody has another transaction under a name that this file has given, or has seen. What of
/// our own site a peer had acknowledged is likely to be the same in all files that write as it.
pub fn other(s: &Session, site: u32, version: u64) -> Result<()> {
    let mut at = version - 1;
    if site == s.own()? {
        let acked = peers::acked_by_any(s, &s.site_id(site)?)?;
        let whole = acked.iter().next().filter(|(lo, _)| *lo == 1).map(|(_, hi)| hi);
        at = at.min(log::head(s)?.version).min(whole.unwrap_or(at));
    }
    close_below(s, site, at, version)
}

/// Somebody has closed a site.
fn hear(s: &Session, site: u32, closed: Closed) -> Result<()> {
    let known = coverage::known(s)?;
    let ours = stamp_here(s, &known, site, closed.at)?;
    if closed.at == 0 || ours.is_none_or(|ours| ours == closed.stamp) {
        return close(s, site, closed);
    }
    let reach = closed.from - closed.at;
    close_below(s, site, closed.at.saturating_sub(3 * reach), closed.from)
}

/// Closes a site at the newest version up to `at` whose stamp is known here.
fn close_below(s: &Session, site: u32, at: u64, from: u64) -> Result<()> {
    let (at, stamp) = newest(s, site, at)?;
    close(s, site, Closed { at, stamp, from })
}

/// The newest version of a site up to `at` whose stamp is known here, and that stamp.
fn newest(s: &Session, site: u32, at: u64) -> Result<(u64, u64)> {
    let mut stmt = s.cache.fixed(NEWEST)?;
    stmt.bind_int(1, i64::from(site))?;
    stmt.bind_int(2, int(at))?;
    Ok(if stmt.step()? { (count(stmt.int(0))?, count(stmt.int(1))?) } else { (0, 0) })
}

/// Where a site was closed, if it was.
pub fn closed_at(s: &Session, site: u32) -> Result<Option<u64>> {
    let mut stmt = s.cache.fixed(CLOSED_AT)?;
    stmt.bind_int(1, i64::from(site))?;
    if stmt.step()? && !stmt.is_null(0) { count(stmt.int(0)).map(Some) } else { Ok(None) }
}

/// Whether a transaction lies above where its site was closed, and so names nothing.
pub fn is_void(s: &Session, txn: Txn) -> Result<bool> {
    Ok(closed_at(s, txn.site)?.is_some_and(|at| txn.version > at))
}

/// Those of a site's versions that do not lie above where it was closed.
pub fn named(s: &Session, site: u32, mut set: RangeSet) -> Result<RangeSet> {
    if let Some(at) = closed_at(s, site)? {
        set.remove(at + 1, u64::MAX);
    }
    Ok(set)
}

/// Closes a site: above `closed.at` it names nothing any more.
fn close(s: &Session, site: u32, closed: Closed) -> Result<()> {
    if closed_at(s, site)?.is_some_and(|at| at < closed.at) {
        return Ok(());
    }
    if site == s.own()? {
        log::saw_stamp(s, log::head(s)?.stamp)?;
        identity::retire(s, closed.at)?;
    }
    shut(s, site, closed)?;
    reissue_above(s, site, closed.at, u64::MAX)
}

/// Writes down that a site is closed.
fn shut(s: &Session, site: u32, closed: Closed) -> Result<()> {
    let (at, stamp, from) = (int(closed.at), int(closed.stamp), int(closed.from));
    s.db.exec(&format!(
        "UPDATE crsql_sites SET closed = {at}, closed_stamp = {stamp}, closed_from = {from},
           forked = {now} WHERE ordinal = {site};
         DELETE FROM crsql_coverage WHERE site = {site} AND lo > {at};
         UPDATE crsql_coverage SET hi = {at}, stamp = {stamp} WHERE site = {site} AND hi > {at};
         DELETE FROM crsql_omits WHERE site = {site} AND lo > {at};
         UPDATE crsql_omits SET hi = {at} WHERE site = {site} AND hi > {at};
         DELETE FROM crsql_staged WHERE site = {site} AND version > {at}",
        now = int(s.now()),
    ))
}

/// Issues everything that is here of a site above a version again, as own transactions; what is
/// stamped later than `latest`, with the time now.
fn reissue_above(s: &Session, site: u32, above: u64, latest: u64) -> Result<()> {
    super::flush::flush(s)?;
    log::saw_stamp(s, log::head(s)?.stamp)?;
    if site == log::head(s)?.own {
        return Err(Error::corrupt(format!(
            "crsql_sites says that this file's own site is closed above version {above}; take a \
             new one with crsql_new_site()"
        )));
    }
    let mut version = above;
    while let Some(v) = log::next_version(s, site, version, MAX_COUNT)? {
        version = v;
        let head = log::head(s)?;
        let to = Txn { site: head.own, version: head.version + 1 };
        let anew = if latest == u64::MAX { 0 } else { log::next_stamp(s, &head)? };
        let stamps = Stamps { latest, anew };
        if reissue(s, Txn { site, version: v }, to, stamps)? == Some(stamps.anew) {
            log::saw_stamp(s, stamps.anew)?;
        }
    }
    s.memory.borrow_mut().looked_up = None;
    Ok(())
}

/// Issues one transaction again under another name: its record, every cell that still comes from
/// it, and what of it is held here. Where nothing is left of it, it only goes. Gives its new stamp.
fn reissue(s: &Session, from: Txn, to: Txn, stamps: Stamps) -> Result<Option<u64>> {
    let record = log::record(s, from)?.ok_or_else(|| {
        Error::corrupt(format!(
            "crsql_log has parts of version {} and not its record",
            from.version
        ))
    })?;
    let (entries, _) = log::rows(s, from, 0, usize::MAX)?;
    let mut renamed = BTreeSet::new();
    let rows: BTreeSet<_> = entries.iter().map(|e| (e.tid, &e.key)).collect();
    for (tid, key) in rows {
        let Some(table) = s.find_table(tid)? else { continue };
        let anew = (stamps.latest, stamps.anew, clock::MAX);
        if parts::reissue(s, &table, key.borrow(), (from, to), anew)? {
            renamed.insert((tid, key));
        }
        if let Some(mut clock) = log::clock_of(s, tid, key.borrow())?
            && rename(&mut clock, from, to, stamps)
        {
            log::set_clock(s, tid, key.borrow(), &clock, true)?;
            renamed.insert((tid, key));
        }
    }
    let mut writer = Writer::new(to);
    for e in entries.iter().filter(|e| renamed.contains(&(e.tid, &e.key))) {
        writer.push(e.tid, e.key.borrow(), e.seq, e.span);
    }
    let held = reissue_held(s, from, to, stamps)?;
    let mut stmt =
        s.db.prepare("DELETE FROM crsql_log WHERE site = ?1 AND version = ?2", Prep::Once)?;
    stmt.bind_int(1, i64::from(from.site))?;
    stmt.bind_int(2, int(from.version))?;
    stmt.run()?;
    if renamed.is_empty() && !held {
        return Ok(None);
    }
    let stamp = stamps.of(record.cell_stamp());
    let flags = record.flags & !(BACKFILL | UNSORTED) | REISSUED;
    writer.create(s, Record { stamp, flags, ..record })?;
    Ok(Some(stamp))
}

/// How a write that is issued again is stamped.
#[derive(Clone, Copy)]
struct Stamps {
    /// Up to here one step later than it was.
    latest: u64,
    /// Above it with this stamp, which is then the latest of all that were given.
    anew: u64,
}

impl Stamps {
    fn of(self, stamp: u64) -> u64 {
        match stamp > self.latest {
            true => self.anew,
            false => stamp.max(clock::LOWEST).saturating_add(1).min(clock::MAX),
        }
    }
}

fn reissue_held(s: &Session, from: Txn, to: Txn, stamps: Stamps) -> Result<bool> {
    let mut stmt = s.db.prepare(
        "UPDATE crsql_held SET site_id = ?1, db_version = ?2,
           stamp = iif(stamp > ?6, ?7, min(stamp + 1, ?8)),
           col_version = CASE WHEN cid = '-1' THEN col_version WHEN col_version > ?6 THEN ?7
                         ELSE min(col_version, ?5 - 1) + 1 END
         WHERE site_id = ?3 AND db_version = ?4 RETURNING 1",
        Prep::Once,
    )?;
    stmt.bind_blob(1, &s.site_id(to.site)?)?;
    stmt.bind_int(2, int(to.version))?;
    stmt.bind_blob(3, &s.site_id(from.site)?)?;
    stmt.bind_int(4, int(from.version))?;
    stmt.bind_int(5, i64::MAX)?;
    stmt.bind_int(6, int(stamps.latest))?;
    stmt.bind_int(7, int(stamps.anew))?;
    stmt.bind_int(8, int(clock::MAX))?;
    let mut any = false;
    while stmt.step()? {
        any = true;
    }
    Ok(any)
}

fn rename(clock: &mut RowClock, from: Txn, to: Txn, stamps: Stamps) -> bool {
    let mut changed = false;
    if let Some(life) = &mut clock.life
        && life.txn == from
    {
        life.txn = to;
        changed = true;
    }
    for cell in clock.over.iter_mut().filter(|c| c.dot.txn == from) {
        cell.dot.txn = to;
        cell.stamp = cell.stamp.map(|stamp| stamps.of(stamp));
        changed = true;
    }
    if let Some(base) = &mut clock.base
        && base.txn == from
    {
        base.txn = to;
        changed = true;
    }
    changed
}
