//! Coverage: which transactions of every site were seen here, whole. Losing a merge, being
//! overwritten or being held still counts as seen. Of our own site everything up to the newest
//! version is; of others, what `crsql_coverage` says, in ranges with the stamp of each range's end.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::log::{self, count, int};
use super::session::Session;
use super::{alter, durable, forks, held, identity, omits, peers, staged, sweep};
use crate::ground::cache::Fixed;
use crate::ground::store;
use crate::words::changeset::Seen;
use crate::words::deps::{self, Deps};
use crate::words::dot::{SiteId, Txn};
use crate::words::error::{Error, Result, unless_busy};
use crate::words::ranges::RangeSet;
use crate::words::value::ValueRef;
use crate::words::vector::{Closed, Omit, Span, Vector};

const ALL: Fixed =
    Fixed(80, "SELECT site, scope, lo, hi, stamp FROM crsql_coverage ORDER BY site, scope, lo");
const AROUND: Fixed = Fixed(
    81,
    "SELECT lo, hi, stamp FROM crsql_coverage
     WHERE site = ?1 AND scope = '*' AND lo <= ?3 + 1 AND hi >= ?2 - 1 ORDER BY lo",
);
const REMOVE: Fixed =
    Fixed(82, "DELETE FROM crsql_coverage WHERE site = ?1 AND scope = '*' AND lo = ?2");
const ADD: Fixed =
    Fixed(83, "INSERT INTO crsql_coverage(site, lo, hi, stamp) VALUES(?1, ?2, ?3, ?4)");
const COVERS: Fixed = Fixed(
    84,
    "SELECT hi, stamp FROM crsql_coverage
     WHERE site = ?1 AND scope = '*' AND lo <= ?2 ORDER BY lo DESC LIMIT 1",
);
const DEPS: Fixed = Fixed(85, "SELECT deps FROM crsql_state");
const SET_DEPS: Fixed = Fixed(86, "UPDATE crsql_state SET deps = ?1");
const STATE: Fixed = Fixed(
    87,
    "SELECT s.self, o.epoch, s.mark, s.horizon, l.version, l.stamp,
            EXISTS(SELECT 1 FROM crsql_staged), EXISTS(SELECT 1 FROM crsql_held),
            EXISTS(SELECT 1 FROM crsql_omits),
            EXISTS(SELECT 1 FROM crsql_sites WHERE closed IS NOT NULL)
     FROM crsql_state s JOIN crsql_sites o ON o.ordinal = s.self
     LEFT JOIN crsql_log l ON l.site = s.self AND l.part = 0
      AND l.version = (SELECT max(version) FROM crsql_log WHERE site = s.self)",
);
const EXTEND: Fixed = Fixed(
    79,
    "UPDATE crsql_coverage SET hi = ?3, stamp = ?4 WHERE site = ?1 AND scope = '*' AND lo = ?2",
);
const CLOSED: Fixed = Fixed(
    88,
    "SELECT site_id, closed, closed_stamp, closed_from, forked IS NOT NULL FROM crsql_sites
     WHERE closed IS NOT NULL",
);

/// What was seen of every site, with the site's ordinal in this file.
pub type SeenHere = BTreeMap<SiteId, (u32, Vec<Span>)>;

/// A site, and what is said of it here and elsewhere.
pub type Differing<'a> = (SiteId, Option<&'a (u32, Vec<Span>)>, Option<&'a Vec<Span>>);

/// What this file is and has seen, committed.
pub struct Known {
    /// The own site's ordinal.
    pub own: u32,
    /// The own site.
    pub own_id: SiteId,
    /// How many identities this file had before.
    pub epoch: u64,
    /// The newest own version.
    pub head: u64,
    /// Its stamp.
    pub head_stamp: u64,
    /// Own versions up to here are known to be on the disk.
    pub mark: u64,
    /// What was cleaned up here, by site.
    pub horizon: BTreeMap<SiteId, u64>,
    /// What was seen.
    pub seen: SeenHere,
    /// The sites that were forked and closed, and whether nobody else is known to know it.
    pub closed: BTreeMap<SiteId, (Closed, bool)>,
    /// What is lacking here of what was seen: rising.
    pub omits: Vec<Omit>,
    /// What was seen and is wanted again, because there is a place for what is lacking.
    pub wanted: omits::Omits,
    /// Transactions that are here in part.
    pub parts: BTreeMap<SiteId, (u64, u64)>,
    /// Whether any part of a transaction waits for the rest.
    pub staged: bool,
    /// Whether any change is held.
    pub held: bool,
    /// Whether the file is in WAL mode, once somebody has asked (`durable.rs`).
    pub wal: OnceCell<bool>,
}

impl Known {
    /// Whether nothing was seen since, or lost.
    pub fn has_seen_the_same(&self, before: &Known) -> bool {
        let now = (&self.seen, &self.parts, &self.omits, &self.wanted);
        now == (&before.seen, &before.parts, &before.omits, &before.wanted)
    }

    /// The versions seen of a site.
    pub fn seen_set(&self, id: &SiteId) -> RangeSet {
        self.seen.get(id).map_or_else(RangeSet::new, |(_, spans)| set_of(spans))
    }

    /// The sites of which others say something else than this file. Both lists are walked side by
    /// side, because mostly they say the same of nearly all.
    pub fn differing<'a>(&'a self, theirs: &'a Seen) -> impl Iterator<Item = Differing<'a>> {
        let (mut here, mut there) = (self.seen.iter().peekable(), theirs.iter().peekable());
        let next = move || {
            let heads = (here.peek().map(|(id, _)| **id), there.peek().map(|(id, _)| **id));
            let first = heads.0.into_iter().chain(heads.1).min()?;
            let ours = here.next_if(|(id, _)| **id == first).map(|(_, ours)| ours);
            let theirs = there.next_if(|(id, _)| **id == first).map(|(_, theirs)| theirs);
            Some((first, ours, theirs))
        };
        let same = |(_, ours, theirs): &Differing<'_>| ours.map(|(_, spans)| spans) == *theirs;
        std::iter::from_fn(next).filter(move |site| !same(site))
    }
}

/// Reads what is known. It is kept for as long as nobody writes: what was committed, SQLite's data
/// version tells, which is up to date while a transaction is open, so a caller has a snapshot;
/// what this connection has written since, its count of changed rows tells; and who enlisted is
/// told of every rollback.
pub fn known(s: &Session) -> Result<Rc<Known>> {
    let at = (s.db.data_version(), s.db.total_changes());
    let kept = !s.db.in_write_txn() || s.memory.borrow().enlisted;
    if let Some((then, known)) = s.known.borrow().as_ref()
        && *then == at
        && kept
    {
        return Ok(Rc::clone(known));
    }
    let known = Rc::new(read_known(s)?);
    if kept {
        *s.known.borrow_mut() = Some((at, Rc::clone(&known)));
    }
    Ok(known)
}

fn read_known(s: &Session) -> Result<Known> {
    let mut stmt = s.cache.fixed(STATE)?;
    if !stmt.step()? {
        return Err(Error::corrupt("crsql_state is empty; restore this file from a backup"));
    }
    let own = store::ordinal(stmt.int(0))?;
    let own_id = s.site_id(own)?;
    let (mut head, mut head_stamp) = (count(stmt.int(4))?, count(stmt.int(5))?);
    let mut known = Known {
        own,
        own_id,
        epoch: count(stmt.int(1))?,
        head: 0,
        head_stamp: 0,
        mark: count(stmt.int(2))?,
        horizon: horizon(stmt.value(3))?,
        seen: seen_of_others(s)?,
        parts: BTreeMap::new(),
        staged: stmt.int(6) != 0,
        held: stmt.int(7) != 0,
        omits: Vec::new(),
        wanted: omits::Omits::new(),
        closed: BTreeMap::new(),
        wal: OnceCell::new(),
    };
    let (omits, closed) = (stmt.int(8) != 0, stmt.int(9) != 0);
    drop(stmt);
    if closed {
        known.closed = self::closed(s)?;
    }
    // The open transaction is not committed.
    if s.memory.borrow().given.is_some_and(|g| g.version == head) {
        head -= 1;
        head_stamp = log::record(s, Txn { site: own, version: head })?.map_or(0, |r| r.stamp);
    }
    (known.head, known.head_stamp) = (head, head_stamp);
    if head > 0 {
        known.seen.insert(own_id, (own, vec![Span { lo: 1, hi: head, stamp: head_stamp }]));
    }
    if omits {
        (known.omits, known.wanted) = (omits::told(s, &known.seen)?, omits::wanted(s)?);
    }
    if known.staged {
        for (site, part) in staged::progress(s)? {
            known.parts.insert(s.site_id(site)?, part);
        }
    }
    Ok(known)
}

/// In the order of the table's key: to give them in another, SQLite would sort them.
fn seen_of_others(s: &Session) -> Result<SeenHere> {
    let mut stmt = s.cache.fixed(ALL)?;
    let mut seen: Vec<(SiteId, (u32, Vec<Span>))> = Vec::new();
    while stmt.step()? {
        if stmt.text(1) != b"*" {
            continue;
        }
        let site = store::ordinal(stmt.int(0))?;
        if seen.last().is_none_or(|(_, (last, _))| *last != site) {
            seen.push((s.site_id(site)?, (site, Vec::new())));
        }
        let Some((_, (_, spans))) = seen.last_mut() else { continue };
        let (lo, hi) = (count(stmt.int(2))?, count(stmt.int(3))?);
        let after = spans.last().map_or(0, |before| before.hi);
        if lo <= after || hi < lo {
            return Err(Error::corrupt(format!(
                "crsql_coverage has a range from {lo} to {hi} after {after}"
            )));
        }
        spans.push(Span { lo, hi, stamp: count(stmt.int(4))? });
    }
    Ok(seen.into_iter().collect())
}

fn closed(s: &Session) -> Result<BTreeMap<SiteId, (Closed, bool)>> {
    let mut stmt = s.cache.fixed(CLOSED)?;
    let mut out = BTreeMap::new();
    while stmt.step()? {
        let id: SiteId = stmt
            .blob(0)
            .try_into()
            .map_err(|_| Error::corrupt("crsql_sites holds a site that does not have 16 bytes"))?;
        let (at, stamp, from) = (count(stmt.int(1))?, count(stmt.int(2))?, count(stmt.int(3))?);
        out.insert(id, (Closed { at, stamp, from }, stmt.int(4) != 0));
    }
    Ok(out)
}

/// The versions of spans.
pub fn set_of(spans: &[Span]) -> RangeSet {
    spans.iter().map(|s| (s.lo, s.hi)).collect()
}

/// Whether a version of another site was seen, and the stamp where its range ends there.
pub fn covers(s: &Session, txn: Txn) -> Result<Option<u64>> {
    let mut stmt = s.cache.fixed(COVERS)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    if !stmt.step()? || count(stmt.int(0))? < txn.version {
        return Ok(None);
    }
    Ok(Some(if count(stmt.int(0))? == txn.version { count(stmt.int(1))? } else { 0 }))
}

/// Records that versions were seen as a peer has them. `brought` are those that came with all that
/// it has of them: rows that come one by one were asked for with an older vector, which may not
/// have wanted what is wanted now, so only those versions of which rows came.
pub fn take(
    s: &Session,
    peer: &Vector,
    id: &SiteId,
    span: Span,
    brought: &RangeSet,
    new: &mut Deps,
) -> Result<()> {
    let site = s.sites.intern(&s.cache, id)?;
    let fresh = if site == s.own()? { RangeSet::new() } else { grant(s, site, span, new)? };
    omits::came(s, peer, id, &fresh, brought)
}

/// Records that versions of another site were seen; gives those that are new. They go into the
/// deps of our next transaction.
pub fn grant(s: &Session, site: u32, span: Span, new: &mut Deps) -> Result<RangeSet> {
    let mut stmt = s.cache.fixed(AROUND)?;
    stmt.bind_int(1, i64::from(site))?;
    stmt.bind_int(2, int(span.lo))?;
    stmt.bind_int(3, int(span.hi))?;
    let mut around = Vec::new();
    while stmt.step()? {
        let (lo, hi) = (count(stmt.int(0))?, count(stmt.int(1))?);
        around.push(Span { lo, hi, stamp: count(stmt.int(2))? });
    }
    drop(stmt);
    let fresh = set_of(&[span]).difference(&set_of(&around));
    if fresh.is_empty() {
        return Ok(fresh);
    }
    let set = new.entry(site).or_default();
    *set = set.union(&fresh);
    if let [old] = around.as_slice()
        && old.lo <= span.lo
    {
        let mut stmt = s.cache.fixed(EXTEND)?;
        stmt.bind_int(1, i64::from(site))?;
        stmt.bind_int(2, int(old.lo))?;
        stmt.bind_int(3, int(span.hi))?;
        stmt.bind_int(4, int(span.stamp))?;
        return stmt.run().map(|()| fresh);
    }
    let mut whole = span;
    for old in &around {
        whole.lo = whole.lo.min(old.lo);
        if old.hi > whole.hi {
            (whole.hi, whole.stamp) = (old.hi, old.stamp);
        }
        let mut stmt = s.cache.fixed(REMOVE)?;
        stmt.bind_int(1, i64::from(site))?;
        stmt.bind_int(2, int(old.lo))?;
        stmt.run()?;
    }
    let mut stmt = s.cache.fixed(ADD)?;
    stmt.bind_int(1, i64::from(site))?;
    stmt.bind_int(2, int(whole.lo))?;
    stmt.bind_int(3, int(whole.hi))?;
    stmt.bind_int(4, int(whole.stamp))?;
    stmt.run().map(|()| fresh)
}

/// Adds what was newly seen to the deps of our next transaction.
pub fn remember_new(s: &Session, new: &Deps) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let mut stmt = s.cache.fixed(DEPS)?;
    stmt.step()?;
    let mut deps = if stmt.is_null(0) { Deps::new() } else { deps::decode(stmt.blob(0))? };
    drop(stmt);
    for (site, set) in new {
        let slot = deps.entry(*site).or_default();
        *slot = slot.union(set);
    }
    let mut stmt = s.cache.fixed(SET_DEPS)?;
    match deps::encode(&deps) {
        Some(bytes) => stmt.bind_blob(1, &bytes)?,
        None => stmt.bind_null(1)?,
    }
    stmt.run()
}

/// `crsql_vector()` as data: what is seen and committed.
pub fn vector(s: &Session) -> Result<Vector> {
    if let Some((before, _)) = s.memory.borrow().before.as_ref() {
        return Ok(Vector::clone(before));
    }
    with_open(s)
}

/// The same with what the open transaction has merged.
pub fn with_open(s: &Session) -> Result<Vector> {
    let mut vector = Vector { now: s.now(), ..Vector::default() };
    if !s.installed()? {
        return Ok(vector);
    }
    let known = known(s)?;
    vector.site = Some(known.own_id);
    vector.epoch = known.epoch;
    vector.unsure = durable::own_due_of(s, &known)?;
    for (id, (site, spans)) in &known.seen {
        let spans = match known.wanted.get(site) {
            Some(wanted) => spans_of(s, *site, &set_of(spans).difference(wanted), spans)?,
            None => spans.clone(),
        };
        let spans = match vector.unsure && *site == known.own {
            true => durable::marked(spans, known.mark),
            false => spans,
        };
        if !spans.is_empty() {
            vector.seen.insert(*id, spans);
        }
    }
    vector.parts.clone_from(&known.parts);
    vector.horizon.clone_from(&known.horizon);
    vector.closed = known.closed.iter().map(|(id, (closed, _))| (*id, *closed)).collect();
    vector.omits.clone_from(&known.omits);
    Ok(vector)
}

/// What was cleaned up here, by site, as the file has it.
fn horizon(json: ValueRef<'_>) -> Result<BTreeMap<SiteId, u64>> {
    let (ValueRef::Text(json) | ValueRef::Blob(json)) = json else { return Ok(BTreeMap::new()) };
    let read = Vector::from_json(&[b"{\"v\":1,\"horizon\":", json, b"}"].concat());
    read.map(|v| v.horizon)
        .map_err(|e| Error::corrupt(format!("crsql_state.horizon is damaged: {}", e.text)))
}

/// `crsql_vector()`: makes the identity where it can, and tries again what waited for a change of
/// the schema or for the clock.
pub fn ask(s: &Rc<Session>) -> Result<Vector> {
    let nothing_waits = |known: &Known| !known.held && known.closed.is_empty();
    let may_write = s.db.readonly() == Some(false) && !s.db.write_statement_running();
    let (own_due, told) = s.snapshot(|| {
        let own_due = may_write && s.installed()? && durable::own_due(s)?;
        let settled = !own_due && alter::is_settled(s)? && nothing_waits(&*known(s)?);
        Ok((own_due, if settled { Some(vector(s)?) } else { None }))
    })?;
    if own_due {
        unless_busy(durable::secure(s, "crsql_vector", || Ok(())))?;
    } else if let Some(told) = told {
        return Ok(told);
    }
    if identity::site_id(s)?.is_some() {
        alter::reconcile_if_possible(s, "crsql_vector")?;
        unless_busy(held::retry_due(s))?;
        unless_busy(forks::tidy(s))?;
    }
    s.snapshot(|| vector(s))
}

/// Reads a vector that a caller gives: NULL is the empty one.
pub fn parse(v: ValueRef<'_>) -> Result<Vector> {
    match v {
        ValueRef::Null => Ok(Vector::default()),
        ValueRef::Text(t) | ValueRef::Blob(t) => Vector::from_json(t),
        v => Err(Error::mismatch(format!(
            "a vector is the JSON text that crsql_vector() gives, not {}",
            v.class_name()
        ))),
    }
}

/// Keeps what is told while a transaction is open that merges.
pub fn before_merging(s: &Session) -> Result<()> {
    if s.memory.borrow().before.is_none() {
        let before = (Rc::new(vector(s)?), identity::db_version(s)?);
        s.memory.borrow_mut().before = Some(before);
    }
    Ok(())
}

/// `crsql_seen(vector)`: the caller has inserted, row by row, all that the maker of the vector had.
pub fn seen(s: &Rc<Session>, v: ValueRef<'_>) -> Result<()> {
    let vector = parse(v)?;
    identity::ensure(s)?;
    let inside = !s.db.autocommit();
    s.writing("crsql_seen", || {
        s.enlist()?;
        super::flush::flush(s)?;
        if inside {
            before_merging(s)?;
        }
        let was = s.own()?;
        forks::heal(s, &vector)?;
        // The rows were asked for with a vector in which the old site was all ours: what another
        // file wrote under it was not among them. The next exchange brings it.
        let unsure = s.unsure.take().or(Some(was).filter(|was| s.own().ok() != Some(*was)));
        let mut new = Deps::new();
        for (id, set) in vector.covered() {
            let site = s.sites.intern(&s.cache, id)?;
            if Some(site) == unsure {
                continue;
            }
            let spans = vector.seen.get(id).map(Vec::as_slice).unwrap_or_default();
            let brought = s.memory.borrow().row_by_row.get(&site).cloned().unwrap_or_default();
            for span in believed(s, id, set, spans)? {
                take(s, &vector, id, span, &brought, &mut new)?;
                staged::forget_within(s, site, span)?;
            }
        }
        omits::follow(s, &vector)?;
        remember_new(s, &new)?;
        let ranges = new.values().flat_map(|set| set.iter());
        sweep::run(s, ranges.fold(0, |n: u64, (lo, hi)| n.saturating_add(hi - lo + 1)))?;
        peers::exchanged(s, &vector, &vector.seen)
    })
}

/// What of a site's versions may be granted on the word of a vector or header: not what lies above
/// where the site was closed. The stamps are those of the spans.
pub fn believed(s: &Session, id: &SiteId, set: RangeSet, spans: &[Span]) -> Result<Vec<Span>> {
    let site = s.sites.intern(&s.cache, id)?;
    spans_of(s, site, &forks::named(s, site, set)?, spans)
}

/// Versions as spans, with the stamps of their ends where these spans or the log say them.
pub fn spans_of(s: &Session, site: u32, set: &RangeSet, spans: &[Span]) -> Result<Vec<Span>> {
    let mut out = Vec::new();
    for (lo, hi) in set.iter() {
        let stamp = match spans.iter().find(|span| span.hi == hi) {
            Some(span) => span.stamp,
            None => log::record(s, Txn { site, version: hi })?.map_or(0, |r| r.stamp),
        };
        out.push(Span { lo, hi, stamp });
    }
    Ok(out)
}

/// The versions that were seen, by site, own ones among them.
pub fn all_seen(s: &Session) -> Result<omits::Omits> {
    let known = read_known(s)?;
    Ok(known.seen.values().map(|(site, spans)| (*site, set_of(spans))).collect())
}
