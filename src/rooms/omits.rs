//! What this file lacks of the versions that it has seen: what a table or column had of them that
//! was dropped, here or at the peer that they came from. Vectors and changesets name it.
//!
//! While a table or column of that name is replicated here, those versions are **wanted**: our
//! vector has a gap there, and who has something of what is lacking sends them.
//!
//! A drop makes all that was seen lacking, not only what the table's rows still say: what lost to a
//! write that is dropped now, and was swept, is on record nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::session::Session;
use super::{coverage, held, log};
use crate::ground::Prep;
use crate::ground::cache::Fixed;
use crate::ground::store;
use crate::words::dot::SiteId;
use crate::words::error::Result;
use crate::words::ranges::RangeSet;
use crate::words::vector::{Omit, Vector};

const ANY: Fixed = Fixed(131, "SELECT EXISTS(SELECT 1 FROM crsql_omits)");
const ALL: Fixed = Fixed(130, "SELECT site, lo, hi, what FROM crsql_omits ORDER BY site, lo, what");

/// Versions of sites.
pub type Omits = BTreeMap<u32, RangeSet>;

/// Between the name of a table and that of a column in what was dropped.
const COLUMN: &str = ", column ";

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
        let here = by_name(of(&all, site)).remove(name).unwrap_or_default();
        replace(s, site, name, &here, &here.union(&seen))?;
    }
    Ok(())
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
/// here. Of those that were wanted and that `brought` names, what was lacking here and is not
/// lacking there came now; where there is no place for it, it is held.
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
        if is_here(s, what)? {
            taken = taken.union(&here.intersection(brought));
        }
    }
    let names: BTreeSet<&str> = theirs.keys().chain(ours.keys()).copied().collect();
    for what in names {
        let (here, there) = (ours.get(what).unwrap_or(&none), theirs.get(what).unwrap_or(&none));
        let next = here.union(&there.intersection(fresh));
        replace(s, site, what, here, &next.difference(&taken.difference(there)))?;
    }
    Ok(())
}

/// Of versions that a peer wants, those that we have something of that it lacks. Of the others it
/// took what we have, and says so.
pub fn useful(omits: &[Omit], peer: &Vector, id: &SiteId, wanted: RangeSet) -> RangeSet {
    if peer.omits.is_empty() {
        return wanted;
    }
    let (ours, theirs) = (of_site(omits, id), of_site(&peer.omits, id));
    let none = RangeSet::new();
    let (mut in_part, mut useful) = (RangeSet::new(), RangeSet::new());
    for (what, there) in &theirs {
        in_part = in_part.union(there);
        useful = useful.union(&there.difference(ours.get(what).unwrap_or(&none)));
    }
    wanted.difference(&in_part.difference(&useful))
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
