//! `crsql_peers`: for every peer, what it had to give when we last pulled, and what it has
//! acknowledged of what is here. Presenting a vector is an acknowledgement, and so is the header
//! of a changeset, which carries the sender's vector.

use super::session::Session;
use crate::ground::cache::Fixed;
use crate::words::clock;
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result};
use crate::words::ranges::RangeSet;
use crate::words::vector::Vector;

const STANDING: Fixed = Fixed(100, "SELECT pulled, acked FROM crsql_peers WHERE site_id = ?1");
const PULLED: Fixed = Fixed(
    101,
    "INSERT INTO crsql_peers(site_id, pulled, pulled_at) VALUES(?1, ?2, ?3)
     ON CONFLICT(site_id) DO UPDATE SET pulled = ?2, pulled_at = ?3",
);
const ACKED: Fixed = Fixed(
    102,
    "INSERT INTO crsql_peers(site_id, acked, acked_at) VALUES(?1, ?2, ?3)
     ON CONFLICT(site_id) DO UPDATE SET acked = ?2, acked_at = ?3",
);
const FAILED: Fixed = Fixed(
    103,
    "INSERT INTO crsql_peers(site_id, last_error, last_error_at) VALUES(?1, ?2, ?3)
     ON CONFLICT(site_id) DO UPDATE SET last_error = ?2, last_error_at = ?3",
);
const FINE: Fixed = Fixed(
    105,
    "UPDATE crsql_peers SET last_error = NULL, last_error_at = NULL
     WHERE site_id = ?1 AND last_error IS NOT NULL",
);
const ACKED_ALL: Fixed = Fixed(104, "SELECT acked FROM crsql_peers WHERE acked IS NOT NULL");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Pulled,
    Acked,
}

/// We have what the maker of this vector had.
pub fn pulled(s: &Session, vector: &Vector) -> Result<()> {
    note(s, vector, Which::Pulled)?;
    let Some(peer) = vector.site else { return Ok(()) };
    let mut stmt = s.cache.fixed(FINE)?;
    stmt.bind_blob(1, &peer)?;
    stmt.run()
}

/// The maker of this vector has what it says.
pub fn acknowledged(s: &Session, vector: &Vector) -> Result<()> {
    note(s, vector, Which::Acked)
}

/// Whether a vector acknowledges more than is noted of its maker.
pub fn is_news(s: &Session, vector: &Vector) -> Result<bool> {
    Ok(joined(s, vector, Which::Acked)?.is_some())
}

/// Joins what the vector says to what is known already; writes only what changed.
fn note(s: &Session, vector: &Vector, which: Which) -> Result<()> {
    let Some((peer, joined)) = joined(s, vector, which)? else { return Ok(()) };
    let sql = if which == Which::Pulled { PULLED } else { ACKED };
    let mut stmt = s.cache.fixed(sql)?;
    stmt.bind_blob(1, &peer)?;
    stmt.bind_text(2, seen_json(&joined).as_bytes())?;
    stmt.bind_text(3, clock::to_utc_text(s.now()).as_bytes())?;
    stmt.run()
}

/// The maker of a vector, and what is known of it with what the vector says; None where that is
/// nothing new.
fn joined(s: &Session, vector: &Vector, which: Which) -> Result<Option<(SiteId, Vector)>> {
    let Some(peer) = vector.site else { return Ok(None) };
    if s.own_id()? == peer {
        return Ok(None);
    }
    let mut stmt = s.cache.fixed(STANDING)?;
    stmt.bind_blob(1, &peer)?;
    let column = if which == Which::Pulled { 0 } else { 1 };
    let there = stmt.step()? && !stmt.is_null(column);
    let before = if there { read(stmt.text(column))? } else { Vector::default() };
    drop(stmt);
    let mut joined = Vector { seen: before.seen.clone(), ..Vector::default() };
    for (site, spans) in &vector.seen {
        let theirs: RangeSet = spans.iter().map(|s| (s.lo, s.hi)).collect();
        let all = joined.seen_set(site).union(&theirs);
        let stamp = |hi: u64| vector.stamp_at(site, hi).or(before.stamp_at(site, hi)).unwrap_or(0);
        let spans =
            all.iter().map(|(lo, hi)| crate::words::vector::Span { lo, hi, stamp: stamp(hi) });
        joined.seen.insert(*site, spans.collect());
    }
    let same = there && joined.seen == before.seen;
    Ok(if same { None } else { Some((peer, joined)) })
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
        out = out.union(&read(stmt.text(0))?.seen_set(site));
    }
    Ok(out)
}

/// The greatest version of a site up to which every known peer has all; None where no peer is
/// known.
pub fn acked_by_all(s: &Session, site: &SiteId) -> Result<Option<u64>> {
    let mut stmt = s.cache.fixed(ACKED_ALL)?;
    let mut least: Option<u64> = None;
    while stmt.step()? {
        let theirs = read(stmt.text(0))?.seen_set(site);
        let up_to = theirs.iter().next().filter(|(lo, _)| *lo == 1).map_or(0, |(_, hi)| hi);
        least = Some(least.map_or(up_to, |l| l.min(up_to)));
    }
    Ok(least)
}

/// The part of a vector that the table holds: `{site: [[lo, hi, stamp], ...]}`.
fn seen_json(vector: &Vector) -> String {
    let whole = vector.to_json();
    let json: serde_json::Value = serde_json::from_str(&whole).unwrap_or_default();
    json.get("seen").map(ToString::to_string).unwrap_or_default()
}

fn read(text: &[u8]) -> Result<Vector> {
    let whole = [b"{\"v\":1,\"seen\":".as_slice(), text, b"}"].concat();
    Vector::from_json(&whole)
        .map_err(|e| Error::corrupt(format!("crsql_peers holds no vector: {}", e.text)))
}
