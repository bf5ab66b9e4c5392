//! The horizon: up to where history was cleaned up. Who is not past it cannot be brought up by
//! changes, and is told so in place of being given a part.

use super::coverage::{self, Known};
use super::session::Session;
use crate::words::changeset::Header;
use crate::words::error::{Error, Result};
use crate::words::ranges::RangeSet;
use crate::words::vector::Vector;

/// A sender that cleaned up what we never saw, or that lacks what we cleaned up, cannot bring us
/// up by changes.
pub fn refuse_sender(known: &Known, header: &Header) -> Result<()> {
    let old = Error::rejected("too old: take a snapshot");
    for (site, version) in header.horizon.iter().filter(|(_, v)| **v > 0) {
        if !known.seen.is_empty() && !covers_up_to(&known.seen_set(site), *version) {
            return Err(old);
        }
    }
    for (site, version) in &known.horizon {
        let spans = header.vector.get(site).map(Vec::as_slice).unwrap_or_default();
        if *version > 0 && !covers_up_to(&coverage::set_of(spans), *version) {
            return Err(old);
        }
    }
    Ok(())
}

/// A peer that lacks what was cleaned up here cannot be brought up by changes.
pub fn refuse_asker(s: &Session, since: &Vector) -> Result<()> {
    for (site, version) in &coverage::known(s)?.horizon {
        let (site, version) = (*site, *version);
        let seen = since.seen_set(&site);
        if !since.seen.is_empty() && version > 0 && !covers_up_to(&seen, version) {
            return Err(Error::rejected("too old: take a snapshot"));
        }
    }
    Ok(())
}

/// Whether a set holds 1 to `version`.
fn covers_up_to(set: &RangeSet, version: u64) -> bool {
    set.iter().next().is_some_and(|(lo, hi)| lo == 1 && hi >= version)
}
