//! A clock of ours that was ahead. What was written then is stamped further ahead than peers take
//! (`apply.rs`, where they cut), so it waits here, and so does all that is written later.
//!
//! A vector says what its maker's clock told. Where our newest write lies too far ahead of that,
//! the peer's line in `crsql_peers` says so. Once our clock has been put right, which shows when a
//! peer's clock agrees with it, those transactions are issued again as in a fork (`forks.rs`), but
//! stamped with the time that it is now. That may only be done where two things hold:
//!
//! - Nobody is known to have any of them: who has them has newer writes of ours than we do.
//! - Nothing was merged that is stamped as far ahead: our write over it would be older than it,
//!   and would lose to it everywhere but here.
//!
//! Where they do not hold, the time comes when peers take what waits.

use super::coverage::Known;
use super::session::Session;
use super::{config, log, peers};
use crate::ground::cache::Fixed;
use crate::words::clock;
use crate::words::error::Result;
use crate::words::vector::Vector;

const FIRST: Fixed = Fixed(
    173,
    "SELECT version FROM crsql_log WHERE site = ?1 AND part = 0 AND stamp > ?2
     ORDER BY version LIMIT 1",
);

/// How far our newest write lies ahead of the clock of a vector's maker, in milliseconds, where
/// that is more than peers take.
pub fn of_peer(s: &Session, known: &Known, vector: &Vector) -> Result<Option<u64>> {
    let told = vector.now > 0 && vector.site.is_some_and(|site| site != known.own_id);
    if told { beyond(s, known.head_stamp, vector.now) } else { Ok(None) }
}

/// The latest stamp that is taken now.
pub fn latest(s: &Session) -> Result<u64> {
    Ok(s.now().saturating_add(config::drift_ms(s)?.saturating_mul(clock::STEPS_PER_MS)))
}

/// The first own transaction that is to be stamped anew, now that this vector is seen.
pub fn due(s: &Session, known: &Known, vector: &Vector) -> Result<Option<u64>> {
    let now = s.now();
    if of_peer(s, known, vector)?.is_none()
        || beyond(s, known.head_stamp, now)?.is_none()
        || beyond(s, now.max(vector.now), now.min(vector.now))?.is_some()
    {
        return Ok(None);
    }
    let latest = latest(s)?;
    if log::head(s)?.clock > latest {
        return Ok(None);
    }
    let Some(first) = first_after(s, known.own, latest)? else { return Ok(None) };
    let acked = peers::acked_by_any(s, &known.own_id)?.union(&vector.seen_set(&known.own_id));
    Ok(if acked.max().is_some_and(|most| most >= first) { None } else { Some(first) })
}

fn first_after(s: &Session, own: u32, stamp: u64) -> Result<Option<u64>> {
    let mut stmt = s.cache.fixed(FIRST)?;
    stmt.bind_int(1, i64::from(own))?;
    stmt.bind_int(2, log::int(stamp))?;
    if stmt.step()? { log::count(stmt.int(0)).map(Some) } else { Ok(None) }
}

/// How many milliseconds a stamp lies ahead, where that is more than is taken.
fn beyond(s: &Session, stamp: u64, now: u64) -> Result<Option<u64>> {
    let ms = clock::ahead_ms(stamp, now);
    if ms < 1000 {
        return Ok(None);
    }
    Ok(if ms > config::drift_ms(s)? { Some(ms) } else { None })
}

/// How far our newest write lies ahead of our own clock, in milliseconds, where that is more than
/// peers take.
pub fn of_ours(s: &Session) -> Result<Option<u64>> {
    beyond(s, log::head(s)?.stamp, s.now())
}
