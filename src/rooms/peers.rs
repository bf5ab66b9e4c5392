//! `crsql_peers`: for every peer, what it had to give when we last pulled, and what it has
//! acknowledged of what is here. Presenting a vector is an acknowledgement, and so is the header
//! of a changeset, which carries the sender's vector.

use super::session::Session;
use super::{ahead, coverage};
use crate::ground::cache::Fixed;
use crate::words::changeset::Seen;
use crate::words::clock;
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result};
use crate::words::ranges::RangeSet;
use crate::words::value::ValueRef;
use crate::words::vector::{self, Span, Vector};

const STANDING: Fixed =
    Fixed(100, "SELECT pulled, acked, last_error FROM crsql_peers WHERE site_id = ?1");
const NOTE: Fixed = Fixed(
    101,
    "INSERT INTO crsql_peers(site_id, pulled, pulled_at, acked, acked_at)
     VALUES(?1, ?2, iif(?2 IS NULL, NULL, ?4), ?3, iif(?3 IS NULL, NULL, ?4))
     ON CONFLICT(site_id) DO UPDATE SET
      pulled = coalesce(?2, pulled), pulled_at = iif(?2 IS NULL, pulled_at, ?4),
      acked = coalesce(?3, acked), acked_at = iif(?3 IS NULL, acked_at, ?4)",
);
const FAILED: Fixed = Fixed(
    103,
    "INSERT INTO crsql_peers(site_id, last_error, last_error_at) VALUES(?1, ?2, ?3)
     ON CONFLICT(site_id) DO UPDATE SET last_error = ?2, last_error_at = ?3",
);
const FINE: Fixed =
    Fixed(105, "UPDATE crsql_peers SET last_error = NULL, last_error_at = NULL WHERE site_id = ?1");
const ACKED_ALL: Fixed = Fixed(104, "SELECT acked FROM crsql_peers WHERE acked IS NOT NULL");

/// How a line begins that says that our own clock is ahead.
const AHEAD: &str = "our newest write";

/// The maker of the vector has what it says; and its clock tells whether ours is ahead.
pub fn acknowledged(s: &Session, vector: &Vector) -> Result<()> {
    let Some(peer) = peer_of(s, vector)? else { return Ok(()) };
    let new = standing(s, &peer, None, &vector.seen)?;
    if let Some(acked) = new.acked {
        note(s, &peer, None, Some(&acked))?;
    }
    match ahead::of_peer(s, &*coverage::known(s)?, vector)? {
        Some(ms) if !new.warned => failed(
            s,
            &peer,
            &format!(
                "{AHEAD} is stamped {ms} ms ahead of this peer's clock, which does not take it \
                 yet: unless its vector was long on the way, this device's clock is ahead; set it \
                 right, and what nobody has is stamped anew"
            ),
        ),
        None if new.warned => fine(s, &peer),
        _ => Ok(()),
    }
}

/// The maker of the vector has what it says, and we have all that it gave us.
pub fn exchanged(s: &Session, vector: &Vector, pulled: &Seen) -> Result<()> {
    let Some(peer) = peer_of(s, vector)? else { return Ok(()) };
    let new = standing(s, &peer, Some(pulled), &vector.seen)?;
    if new.pulled.is_some() || new.acked.is_some() {
        note(s, &peer, new.pulled.as_deref(), new.acked.as_deref())?;
    }
    // What its vector has shown of our clock, its next vector takes back.
    if new.failed && !new.warned { fine(s, &peer) } else { Ok(()) }
}

fn fine(s: &Session, peer: &SiteId) -> Result<()> {
    let mut stmt = s.cache.fixed(FINE)?;
    stmt.bind_blob(1, peer)?;
    stmt.run()
}

/// The maker of a vector, where that is another than this file, and sure of what it says.
fn peer_of(s: &Session, vector: &Vector) -> Result<Option<SiteId>> {
    let Some(peer) = vector.site.filter(|_| !vector.unsure) else { return Ok(None) };
    Ok(if s.own_id()? == peer { None } else { Some(peer) })
}

fn note(s: &Session, peer: &SiteId, pulled: Option<&str>, acked: Option<&str>) -> Result<()> {
    let mut stmt = s.cache.fixed(NOTE)?;
    stmt.bind_blob(1, peer)?;
    for (i, said) in [(2, pulled), (3, acked)] {
        stmt.bind(i, said.map_or(ValueRef::Null, |json| ValueRef::Text(json.as_bytes())))?;
    }
    stmt.bind_text(4, clock::to_utc_text(s.now()).as_bytes())?;
    let at = s.at();
    stmt.run()?;
    s.still_known(at);
    Ok(())
}

/// What there is to note of a peer.
struct News {
    pulled: Option<String>,
    acked: Option<String>,
    /// Something went wrong with it last time.
    failed: bool,
    /// It was that our own clock is ahead.
    warned: bool,
}

/// Joins what is known of a peer with what it says now.
fn standing(s: &Session, peer: &SiteId, pulled: Option<&Seen>, acked: &Seen) -> Result<News> {
    let mut stmt = s.cache.fixed(STANDING)?;
    stmt.bind_blob(1, peer)?;
    let there = stmt.step()?;
    let before = |column| if there { stmt.value(column) } else { ValueRef::Null };
    Ok(News {
        pulled: pulled.map(|now| joined(before(0), now)).transpose()?.flatten(),
        acked: joined(before(1), acked)?,
        failed: there && !stmt.is_null(2),
        warned: there && stmt.text(2).starts_with(AHEAD.as_bytes()),
    })
}

/// What was known with what is said now, as the table holds it; None where that is nothing new.
fn joined(before: ValueRef<'_>, now: &Seen) -> Result<Option<String>> {
    let json = vector::seen_json(now);
    let (ValueRef::Text(text) | ValueRef::Blob(text)) = before else { return Ok(Some(json)) };
    if json.as_bytes() == text {
        return Ok(None);
    }
    let mut joined = read(text)?;
    for (site, said) in now {
        let before = joined.entry(*site).or_default();
        if said != before {
            let all = coverage::set_of(before).union(&coverage::set_of(said));
            let stamp = |hi| vector::stamp_of(said, hi).or(vector::stamp_of(before, hi));
            let stamp = |hi| stamp(hi).unwrap_or(0);
            *before = all.iter().map(|(lo, hi)| Span { lo, hi, stamp: stamp(hi) }).collect();
        }
    }
    let json = vector::seen_json(&joined);
    Ok(if json.as_bytes() == text { None } else { Some(json) })
}

/// The last thing that went wrong with a peer.
pub fn failed(s: &Session, peer: &SiteId, reason: &str) -> Result<()> {
    let mut stmt = s.cache.fixed(FAILED)?;
    stmt.bind_blob(1, peer)?;
    stmt.bind_text(2, reason.as_bytes())?;
    stmt.bind_text(3, clock::to_utc_text(s.now()).as_bytes())?;
    stmt.run()
}

/// The versions of a site that any peer has acknowledged to this file.
pub fn acked_by_any(s: &Session, site: &SiteId) -> Result<RangeSet> {
    let mut stmt = s.cache.fixed(ACKED_ALL)?;
    let mut out = RangeSet::new();
    while stmt.step()? {
        out = out.union(&of(&read(stmt.text(0))?, site));
    }
    Ok(out)
}

/// The greatest version of a site up to which every known peer has all; None where no peer is
/// known.
pub fn acked_by_all(s: &Session, site: &SiteId) -> Result<Option<u64>> {
    let mut stmt = s.cache.fixed(ACKED_ALL)?;
    let mut least: Option<u64> = None;
    while stmt.step()? {
        let theirs = of(&read(stmt.text(0))?, site);
        let up_to = theirs.iter().next().filter(|(lo, _)| *lo == 1).map_or(0, |(_, hi)| hi);
        least = Some(least.map_or(up_to, |l| l.min(up_to)));
    }
    Ok(least)
}

/// What a peer has, as the table holds it: `{site: [[lo, hi, stamp], ...]}`.
fn read(text: &[u8]) -> Result<Seen> {
    vector::seen_from_json(text)
        .map_err(|e| Error::corrupt(format!("crsql_peers holds no vector: {}", e.text)))
}

/// The versions of a site among those.
fn of(seen: &Seen, site: &SiteId) -> RangeSet {
    seen.get(site).map_or_else(RangeSet::new, |spans| coverage::set_of(spans))
}
