//! The sweep keeps the log as small as what it is about. A list of touched rows says nothing of
//! what is left; entries whose cells were all written over since are stale. Every so many
//! transactions some of the oldest lists are looked at: stale entries go, and a record without
//! entries is folded into the next one of its site, which takes over its deps.
//!
//! A pure insert makes nothing stale, so it pays nothing. What makes entries stale pays, in one go
//! every `EVERY` entries, for looking at half as many; and each stale one that is found pays for
//! one more. So a log that is all live costs little, and one of which two thirds are stale grows no
//! more: there as many go as come.
//!
//! Never folded: the newest record of a site, the end of a range of coverage, and own records that
//! a known peer has not acknowledged: their stamps are how forks are noticed.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;

use super::log::{self, Record, count, int};
use super::parts;
use super::peers;
use super::session::Session;
use crate::ground::cache::Fixed;
use crate::ground::catalog::Table;
use crate::ground::store;
use crate::words::deps;
use crate::words::dot::{Dot, Txn};
use crate::words::error::Result;
use crate::words::key::Key;
use crate::words::keylist::{self, Entry};
use crate::words::planted::planted;
use crate::words::rowclock::RowClock;

/// A sweep comes due after this many entries may have gone stale.
const EVERY: u64 = 2048;
/// A sweep that finds nothing but stale entries ends after so many times what it began with.
const AT_ONCE: u64 = 8;

const HAND: Fixed = Fixed(110, "SELECT hand FROM crsql_state");
const SET_HAND: Fixed = Fixed(111, "UPDATE crsql_state SET hand = ?1");
const FROM: Fixed = Fixed(
    112,
    "SELECT site, version, part, rows FROM crsql_log
     WHERE (site, version, part) > (?1, ?2, ?3) ORDER BY site, version, part",
);
const SET_ROWS: Fixed =
    Fixed(113, "UPDATE crsql_log SET rows = ?4 WHERE site = ?1 AND version = ?2 AND part = ?3");
const REMOVE: Fixed =
    Fixed(114, "DELETE FROM crsql_log WHERE site = ?1 AND version = ?2 AND part = ?3");
const MORE_PARTS: Fixed = Fixed(
    115,
    "SELECT EXISTS(SELECT 1 FROM crsql_log WHERE site = ?1 AND version = ?2 AND part > 0)",
);
const NEXT: Fixed =
    Fixed(116, "SELECT min(version) FROM crsql_log WHERE site = ?1 AND version > ?2 AND part = 0");
const RANGE_END: Fixed = Fixed(
    117,
    "SELECT EXISTS(SELECT 1 FROM crsql_coverage WHERE site = ?1 AND hi = ?2)
         OR EXISTS(SELECT 1 FROM crsql_held WHERE db_version = ?2 AND site_id =
                   (SELECT site_id FROM crsql_sites WHERE ordinal = ?1))",
);

/// One part of the log.
struct Part {
    txn: Txn,
    part: u64,
    rows: Vec<Entry>,
}

/// Called after `stale` entries may have gone stale in a transaction numbered `version`.
pub fn after(s: &Session, version: u64, stale: u64) -> Result<()> {
    if stale == 0 {
        return Ok(());
    }
    let every = (EVERY / stale).max(1);
    if !version.is_multiple_of(every) {
        return Ok(());
    }
    run(s, EVERY.max(stale) / 2)
}

/// The same for a merged transaction. Its number says nothing of how many were merged here, so the
/// turn falls to it by chance, the same on every replica.
pub fn after_merge(s: &Session, txn: Txn, stale: u64) -> Result<()> {
    let mixed = (u64::from(txn.site) << 40 ^ txn.version).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    after(s, mixed >> 20, stale)
}

/// Looks at about this many entries, from where the last sweep ended, and at as many more as go; at
/// most at so many times `AT_ONCE`, since the application waits.
pub fn run(s: &Session, entries: u64) -> Result<()> {
    let mut hand = hand(s)?;
    let (most, mut entries) = (entries.saturating_mul(AT_ONCE), entries);
    let (mut looked, mut wrapped) = (0, false);
    let known = Known::default();
    while looked < entries {
        let parts = read(s, hand, 64)?;
        let Some(last) = parts.last() else {
            if wrapped {
                break;
            }
            wrapped = true;
            hand = (0, 0, 0);
            continue;
        };
        hand = (last.txn.site, last.txn.version, last.part + 1);
        for (i, part) in parts.iter().enumerate() {
            looked += (part.rows.len() as u64).max(1);
            entries = (entries + one(s, part, &known)?).min(most);
            if looked >= entries && i + 1 < parts.len() {
                hand = (part.txn.site, part.txn.version, part.part + 1);
                break;
            }
        }
    }
    let mut stmt = s.cache.fixed(SET_HAND)?;
    stmt.bind_text(1, format!("{},{},{}", hand.0, hand.1, hand.2).as_bytes())?;
    stmt.run()
}

/// Site, version and part to begin with.
type Hand = (u32, u64, u64);

fn hand(s: &Session) -> Result<Hand> {
    let mut stmt = s.cache.fixed(HAND)?;
    stmt.step()?;
    let text = stmt.string(0);
    let mut numbers = text.split(',').filter_map(|n| n.parse::<u64>().ok());
    let mut next = || numbers.next().unwrap_or(0);
    Ok((next() as u32, next(), next()))
}

fn read(s: &Session, from: Hand, limit: usize) -> Result<Vec<Part>> {
    let mut stmt = s.cache.fixed(FROM)?;
    stmt.bind_int(1, i64::from(from.0))?;
    stmt.bind_int(2, int(from.1))?;
    stmt.bind_int(3, int(from.2) - 1)?;
    let mut out = Vec::new();
    // A LIMIT by parameter would have SQLite prepare the statement anew each time.
    while out.len() < limit && stmt.step()? {
        let txn = Txn { site: store::ordinal(stmt.int(0))?, version: count(stmt.int(1))? };
        out.push(Part { txn, part: count(stmt.int(2))?, rows: keylist::decode(stmt.blob(3))? });
    }
    Ok(out)
}

/// Looks at one part; gives how many entries went.
fn one(s: &Session, part: &Part, known: &Known) -> Result<u64> {
    let mut kept = Vec::with_capacity(part.rows.len());
    for entry in &part.rows {
        if still_says(s, part.txn, entry, known)? {
            kept.push(entry);
        }
    }
    let gone = (part.rows.len() - kept.len()) as u64;
    if kept.is_empty() && part.part == 0 {
        if removable(s, part.txn, known)? {
            return fold(s, part.txn).map(|()| gone.max(1));
        }
    } else if kept.is_empty() {
        let mut stmt = s.cache.fixed(REMOVE)?;
        bind(&mut stmt, part)?;
        return stmt.run().map(|()| gone.max(1));
    }
    if gone == 0 {
        return Ok(0);
    }
    let mut list = keylist::Writer::default();
    for e in kept {
        list.push(e.tid, e.key.borrow(), e.seq, e.span);
    }
    let mut stmt = s.cache.fixed(SET_ROWS)?;
    bind(&mut stmt, part)?;
    stmt.bind_blob(4, &list.take())?;
    stmt.run().map(|()| gone)
}

fn bind(stmt: &mut crate::ground::Stmt, part: &Part) -> Result<()> {
    stmt.bind_int(1, i64::from(part.txn.site))?;
    stmt.bind_int(2, int(part.txn.version))?;
    stmt.bind_int(3, int(part.part))
}

/// Whether the row's clock still names the transaction within the entry.
fn still_says(s: &Session, txn: Txn, entry: &Entry, known: &Known) -> Result<bool> {
    let Some(table) = s.find_table(entry.tid)? else { return Ok(false) };
    let Some(clock) = log::clock_of(s, entry.tid, entry.key.borrow())? else { return Ok(false) };
    Ok((names(&clock, txn, entry) || known.part_says(s, &table, txn, entry)?)
        && !planted!("swept-though-needed"))
}

fn names(clock: &RowClock, txn: Txn, entry: &Entry) -> bool {
    let within = |seq: u64| seq >= entry.seq && seq < entry.seq + entry.span;
    let life = clock.life.is_some_and(|d| d.txn == txn && within(d.seq));
    let over = clock.over.iter().any(|c| c.dot.txn == txn && within(c.dot.seq));
    // A base counts while any column that it covers is not overridden.
    let base = clock.base.is_some_and(|b| {
        let shown = |col: u32| !clock.over.iter().any(|c| c.col == col);
        b.txn == txn && (0..b.n).any(|col| shown(col) && within(b.seq0 + u64::from(col)))
    });
    life || over || base
}

/// The parts of so many rows are remembered.
const ROWS_MAX: usize = 8;

/// What is asked once a sweep.
#[derive(Default)]
struct Known {
    acked: OnceCell<Option<u64>>,
    /// Where the parts of a row were written. Each keystroke in a text is an entry of the same row,
    /// which has a part for a stretch of them: they are not read again for each.
    dots: RefCell<VecDeque<(u32, Key, Vec<Dot>)>>,
}

impl Known {
    /// The greatest own version that every known peer has; None where there is no peer.
    fn acked_by_all(&self, s: &Session) -> Result<Option<u64>> {
        if let Some(known) = self.acked.get() {
            return Ok(*known);
        }
        let found = peers::acked_by_all(s, &s.own_id()?)?;
        Ok(*self.acked.get_or_init(|| found))
    }

    /// Whether a part of the entry's row comes from the transaction within the entry.
    fn part_says(&self, s: &Session, table: &Table, txn: Txn, entry: &Entry) -> Result<bool> {
        if !table.typed {
            return Ok(false);
        }
        let mut all = self.dots.borrow_mut();
        let known = all.iter().position(|(tid, key, _)| *tid == entry.tid && *key == entry.key);
        let at = match known {
            Some(at) => at,
            None => {
                let dots = parts::dots(s, table, entry.key.borrow())?;
                all.truncate(ROWS_MAX - 1);
                all.push_front((entry.tid, entry.key.clone(), dots));
                0
            }
        };
        let Some((_, _, dots)) = all.get(at) else { return Ok(false) };
        let first = dots.partition_point(|dot| *dot < Dot { txn, seq: entry.seq });
        let within = |dot: &Dot| dot.txn == txn && dot.seq < entry.seq + entry.span;
        Ok(dots.get(first).is_some_and(within))
    }
}

fn removable(s: &Session, txn: Txn, known: &Known) -> Result<bool> {
    let mut stmt = s.cache.fixed(MORE_PARTS)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.step()?;
    if stmt.int(0) != 0 {
        return Ok(false);
    }
    drop(stmt);
    let mut stmt = s.cache.fixed(RANGE_END)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.step()?;
    if stmt.int(0) != 0 || next_record(s, txn)?.is_none() {
        return Ok(false);
    }
    drop(stmt);
    if txn.site != s.own()? {
        return Ok(true);
    }
    Ok(known.acked_by_all(s)?.is_none_or(|up_to| txn.version <= up_to))
}

fn next_record(s: &Session, txn: Txn) -> Result<Option<Txn>> {
    let mut stmt = s.cache.fixed(NEXT)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.step()?;
    if stmt.is_null(0) {
        return Ok(None);
    }
    Ok(Some(Txn { site: txn.site, version: count(stmt.int(0))? }))
}

/// Removes an empty record; the next one of its site takes its deps over.
fn fold(s: &Session, txn: Txn) -> Result<()> {
    let Some(Record { deps, .. }) = log::record(s, txn)? else { return Ok(()) };
    if let (Some(deps), Some(next)) = (deps, next_record(s, txn)?) {
        let mut joined = deps::decode(&deps)?;
        if let Some(theirs) = log::record(s, next)?.and_then(|r| r.deps) {
            for (site, set) in deps::decode(&theirs)? {
                let slot = joined.entry(site).or_default();
                *slot = slot.union(&set);
            }
        }
        if let Some(bytes) = deps::encode(&joined) {
            log::set_deps(s, next, &bytes)?;
        }
    }
    let mut stmt = s.cache.fixed(REMOVE)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.bind_int(3, 0)?;
    stmt.run()
}
