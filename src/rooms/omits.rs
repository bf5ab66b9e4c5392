//! What this file lacks of the versions that it has seen: what a table or column had of them that
//! was dropped, here or at the peer that they came from. Vectors and changesets name it.
//!
//! While a table or column of that name is replicated here, those versions are **wanted**: our
//! vector has a gap there, and who has something of what is lacking sends them.
//!
//! A feed tells what is left of a version. So whoever has not taken all that a peer had lacks what
//! the peer had written over, until what is **to come** was seen, or somebody sends those versions
//! who has more of them. Until then they are **in part**, by the same means. They count as seen, so
//! that the peer does not send them again; everybody else sees by the vector that they are in part.
//!
//! A drop makes all that was seen lacking, not only what the table's rows still say: what lost to a
//! write that is dropped now, and was swept, is on record nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::coverage::{self, Known, SeenHere};
use super::session::Session;
use super::{forks, held, log, staged};
use crate::ground::Prep;
use crate::ground::cache::Fixed;
use crate::ground::store;
use crate::words::changeset::Seen;
use crate::words::dot::SiteId;
use crate::words::error::Result;
use crate::words::ranges::RangeSet;
use crate::words::vector::{IN_PART, Omit, Span, TO_COME, Vector, hex16};

const ANY: Fixed = Fixed(131, "SELECT EXISTS(SELECT 1 FROM crsql_omits)");
const ALL: Fixed = Fixed(130, "SELECT site, lo, hi, what FROM crsql_omits ORDER BY site, lo, what");

/// Versions of sites.
pub type Omits = BTreeMap<u32, RangeSet>;

/// Between the name of a table and that of a column in what was dropped.
const COLUMN: &str = ", column ";

fn in_part(peer: &SiteId) -> String {
    format!("{IN_PART}{}", hex16(peer))
}

fn to_come(peer: &SiteId) -> String {
    format!("{TO_COME}{}", hex16(peer))
}

/// A table is dropped: all that was seen lacks it.
pub fn table(s: &Session, name: &str) -> Result<()> {
    held::forget(s, name, None)?;
    lacking(s, name)
}

/// A column is dropped: all that was seen lacks it.
pub fn column(s: &Session, table: &str, column: &str) -> Result<()> {
    held::forget(s, table, Some(column))?;
    lacking(s, &format!("{table}{COLUMN}{column}"))
}

fn lacking(s: &Session, name: &str) -> Result<()> {
    let all = read(s)?;
    for (site, seen) in coverage::all_seen(s)? {
        add(s, &all, site, name, &seen)?;
    }
    Ok(())
}

/// Whether this is the name of what was dropped.
pub fn is_dropped(what: &str) -> bool {
    !what.starts_with([IN_PART, TO_COME])
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
        if is_here(s, &what)? {
            out.entry(site).or_default().insert(lo, hi);
        }
    }
    Ok(out)
}

/// The versions whose content is taken again from a peer: what is wanted, and what is here in part
/// from another one.
pub fn asked_for(s: &Session, known: &Known, peer: &SiteId) -> Result<Omits> {
    let mut out = known.wanted.clone();
    let from_it = in_part(peer);
    let others = |omit: &&Omit| omit.what.starts_with(IN_PART) && omit.what != from_it;
    for omit in known.omits.iter().filter(others) {
        let site = s.sites.intern(&s.cache, &omit.site)?;
        out.entry(site).or_default().insert(omit.lo, omit.hi);
    }
    Ok(out)
}

/// Whether anything is lacking here.
pub fn any(s: &Session) -> Result<bool> {
    if let Some(any) = s.memory.borrow().any_lacking {
        return Ok(any);
    }
    let mut stmt = s.cache.fixed(ANY)?;
    stmt.step()?;
    let any = stmt.int(0) != 0;
    if s.memory.borrow().enlisted {
        s.memory.borrow_mut().any_lacking = Some(any);
    }
    Ok(any)
}

/// Versions came from a peer, some of them for the first time: what it lacks of these is lacking
/// here. Of those that `brought` names and that were wanted, or here in part, what was lacking here
/// and is not lacking there came now; where there is no place for it, it is held.
pub fn came(
    s: &Session,
    peer: &Vector,
    id: &SiteId,
    fresh: &RangeSet,
    brought: &RangeSet,
) -> Result<()> {
    let site = s.sites.intern(&s.cache, id)?;
    let (ours, theirs) = (read(s)?, of_site(&peer.omits, id));
    let ours = by_name(of(&ours, site));
    let none = RangeSet::new();
    let mut taken = fresh.clone();
    for (what, here) in &ours {
        if what.starts_with(IN_PART) || is_here(s, what)? {
            taken = taken.union(&here.intersection(brought));
        }
    }
    // What came from it in part is made whole by what was to come, and by others.
    let from_it = peer.site.as_ref().map(in_part);
    let names: BTreeSet<&str> = theirs.keys().chain(ours.keys()).copied().collect();
    let names = names.into_iter().filter(|what| Some(*what) != from_it.as_deref());
    for what in names.filter(|what| !what.starts_with(TO_COME)) {
        let (here, there) = (ours.get(what).unwrap_or(&none), theirs.get(what).unwrap_or(&none));
        let next = here.union(&there.intersection(fresh));
        replace(s, site, what, here, &next.difference(&taken.difference(there)))?;
    }
    Ok(())
}

/// Versions came from a peer for the first time, and not all that it had seen: what it had written
/// over of these is to come. That was by a later version of the same site, or by any of another.
pub fn stopped(s: &Session, peer: &SiteId, had: &Seen, fresh: &Omits) -> Result<()> {
    let (known, mut left) = (coverage::known(s)?, Omits::new());
    for (id, _, spans) in known.differing(had) {
        let more = coverage::set_of(spans.map_or(&[], Vec::as_slice));
        let more = more.difference(&known.seen_set(&id));
        if !more.is_empty() {
            left.insert(s.sites.intern(&s.cache, &id)?, more);
        }
    }
    let left = named(s, left)?;
    if left.is_empty() {
        return Ok(());
    }
    let all = read(s)?;
    let mut marked = false;
    for (site, versions) in fresh {
        let after = |(other, set): (&u32, &RangeSet)| match other == site {
            true => set.max().unwrap_or(0),
            false => u64::MAX,
        };
        let mut before = versions.clone();
        before.remove(left.iter().map(after).max().unwrap_or(0), u64::MAX);
        marked |= !before.is_empty();
        add(s, &all, *site, &in_part(peer), &before)?;
    }
    for (site, versions) in left.iter().filter(|_| marked) {
        add(s, &all, *site, &to_come(peer), versions)?;
    }
    Ok(())
}

/// Adds versions to what there is of this name.
fn add(s: &Session, all: &[Lack], site: u32, what: &str, more: &RangeSet) -> Result<()> {
    let here = by_name(of(all, site)).remove(what).unwrap_or_default();
    replace(s, site, what, &here, &here.union(more))
}

/// Something was seen. What is in part is whole once all is here that was to come after it; a peer
/// says what that is for what it has in part itself.
pub fn follow(s: &Session, peer: &Vector) -> Result<()> {
    if peer.omits.is_empty() && !any(s)? {
        return Ok(());
    }
    let all = read(s)?;
    let names = |first: char| all.iter().filter_map(move |o| o.3.strip_prefix(first));
    let parts: BTreeSet<&str> = names(IN_PART).collect();
    let mut awaited: BTreeMap<&str, Omits> = BTreeMap::new();
    let mut put = |name, site, lo, hi| {
        awaited.entry(name).or_default().entry(site).or_default().insert(lo, hi);
    };
    for (site, lo, hi, what) in &all {
        what.strip_prefix(TO_COME).into_iter().for_each(|name| put(name, *site, *lo, *hi));
    }
    for omit in &peer.omits {
        if let Some(name) = omit.what.strip_prefix(TO_COME).filter(|name| parts.contains(name)) {
            put(name, s.sites.intern(&s.cache, &omit.site)?, omit.lo, omit.hi);
        }
    }
    let (seen, none) = (coverage::all_seen(s)?, Omits::new());
    for name in names(IN_PART).chain(names(TO_COME)).collect::<BTreeSet<_>>() {
        let awaited = awaited.get(name).unwrap_or(&none).iter();
        let left = awaited.map(|(site, set)| match seen.get(site) {
            Some(seen) => (*site, set.difference(seen)),
            None => (*site, set.clone()),
        });
        let mut left = named(s, left.collect())?;
        if left.is_empty() {
            made_whole(s, &all, &format!("{IN_PART}{name}"))?;
        } else if !parts.contains(name) {
            left = Omits::new();
        }
        let what = format!("{TO_COME}{name}");
        let before = all.iter().filter(|o| o.3 == what).map(|o| o.0);
        for site in before.chain(left.keys().copied()).collect::<BTreeSet<_>>() {
            let here = by_name(of(&all, site)).remove(what.as_str()).unwrap_or_default();
            replace(s, site, &what, &here, left.get(&site).unwrap_or(&RangeSet::new()))?;
        }
    }
    Ok(())
}

/// Those of versions that still name something.
fn named(s: &Session, versions: Omits) -> Result<Omits> {
    let mut out = Omits::new();
    for (site, set) in versions {
        let set = forks::named(s, site, set)?;
        if !set.is_empty() {
            out.insert(site, set);
        }
    }
    Ok(out)
}

/// What was lacking under this name came with later versions.
fn made_whole(s: &Session, all: &[Lack], name: &str) -> Result<()> {
    for (site, lo, hi, _) in all.iter().filter(|o| o.3 == name) {
        replace(s, *site, name, &[(*lo, *hi)].into_iter().collect(), &RangeSet::new())?;
        // Somebody may have begun to send it again.
        staged::forget_within(s, *site, Span { lo: *lo, hi: *hi, stamp: 0 })?;
    }
    Ok(())
}

/// Of versions that a peer wants, and of those of a site that are here and that it has in part:
/// those that we have something of that it lacks. Of the others it took what we have, and says so.
pub fn useful(
    known: &Known,
    peer: &Vector,
    id: &SiteId,
    here: &RangeSet,
    wanted: RangeSet,
) -> RangeSet {
    if peer.omits.is_empty() {
        return wanted;
    }
    let (ours, theirs) = (of_site(&known.omits, id), of_site(&peer.omits, id));
    let (none, from_us) = (RangeSet::new(), in_part(&known.own_id));
    let (mut lacking, mut more, mut rest) = (RangeSet::new(), RangeSet::new(), RangeSet::new());
    for (what, there) in theirs.iter().filter(|(what, _)| !what.starts_with(TO_COME)) {
        lacking = lacking.union(there);
        let useful = there.difference(ours.get(what).unwrap_or(&none));
        if !what.starts_with(IN_PART) {
            more = more.union(&useful);
        } else if *what != from_us {
            rest = rest.union(&useful.intersection(here));
        }
    }
    wanted.difference(&lacking.difference(&more)).union(&rest)
}

/// What is lacking of a site, by name.
fn of_site<'a>(omits: &'a [Omit], id: &SiteId) -> BTreeMap<&'a str, RangeSet> {
    by_name(omits.iter().filter(|o| o.site == *id).map(|o| (o.what.as_str(), o.lo, o.hi)))
}

fn by_name<'a>(omits: impl Iterator<Item = (&'a str, u64, u64)>) -> BTreeMap<&'a str, RangeSet> {
    let mut out: BTreeMap<&str, RangeSet> = BTreeMap::new();
    omits.for_each(|(what, lo, hi)| out.entry(what).or_default().insert(lo, hi));
    out
}

/// Puts ranges in the place of others.
fn replace(s: &Session, site: u32, what: &str, old: &RangeSet, new: &RangeSet) -> Result<()> {
    if old == new {
        return Ok(());
    }
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    s.memory.borrow_mut().any_lacking = None;
    for (lo, _) in old.difference(&new) {
        let mut stmt = s.db.prepare(
            "DELETE FROM crsql_omits WHERE site = ?1 AND lo = ?2 AND what = ?3",
            Prep::Once,
        )?;
        stmt.bind_int(1, i64::from(site))?;
        stmt.bind_int(2, log::int(*lo))?;
        stmt.bind_text(3, what.as_bytes())?;
        stmt.run()?;
    }
    for (lo, hi) in new.difference(&old) {
        let mut stmt = s.db.prepare(
            "INSERT INTO crsql_omits(site, lo, hi, what) VALUES(?1, ?2, ?3, ?4)",
            Prep::Once,
        )?;
        stmt.bind_int(1, i64::from(site))?;
        stmt.bind_int(2, log::int(*lo))?;
        stmt.bind_int(3, log::int(*hi))?;
        stmt.bind_text(4, what.as_bytes())?;
        stmt.run()?;
    }
    Ok(())
}

/// Versions of a site, first and last, and the name of what is lacking of them.
pub type Lack = (u32, u64, u64, String);

fn of(all: &[Lack], site: u32) -> impl Iterator<Item = (&str, u64, u64)> {
    all.iter().filter(move |o| o.0 == site).map(|(_, lo, hi, what)| (what.as_str(), *lo, *hi))
}

/// What is lacking of what was seen, and what was to come after what is here in part.
pub fn told(s: &Session, seen: &SeenHere) -> Result<Vec<Omit>> {
    let seen: BTreeMap<u32, &Vec<Span>> = seen.values().map(|(site, s)| (*site, s)).collect();
    let mut out = Vec::new();
    for (site, lo, hi, what) in read(s)? {
        let whole: RangeSet = [(lo, hi)].into_iter().collect();
        let seen = coverage::set_of(seen.get(&site).map_or(&[], |spans| spans.as_slice()));
        let (site, lacks) = match what.starts_with(TO_COME) {
            true => (s.site_id(site)?, whole.difference(&seen)),
            false if seen.is_empty() => continue,
            false => (s.site_id(site)?, whole.intersection(&seen)),
        };
        out.extend(lacks.iter().map(|(lo, hi)| Omit { site, lo, hi, what: what.clone() }));
    }
    out.sort();
    Ok(out)
}

/// All that is lacking.
pub fn read(s: &Session) -> Result<Vec<Lack>> {
    let mut stmt = s.cache.fixed(ALL)?;
    let mut out = Vec::new();
    while stmt.step()? {
        let site = store::ordinal(stmt.int(0))?;
        out.push((site, log::count(stmt.int(1))?, log::count(stmt.int(2))?, stmt.string(3)));
    }
    Ok(out)
}
