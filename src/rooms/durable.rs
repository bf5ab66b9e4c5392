//! Before own transactions are sent, they are on the disk (threat H2). In WAL mode with
//! synchronous=NORMAL a committed transaction can be lost with the power; if it had been sent, its
//! number would be given again to other data. One commit with synchronous=FULL covers all earlier
//! ones, so a mark is written that way before a version above it is served.

use super::coverage;
use super::log::{count, int};
use super::session::Session;
use crate::ground::cache::Fixed;
use crate::words::error::Result;
use crate::words::vector::Span;

const MARK: Fixed = Fixed(150, "SELECT mark FROM crsql_state");
const SET_MARK: Fixed = Fixed(151, "UPDATE crsql_state SET mark = ?1");
const SYNCHRONOUS: Fixed = Fixed(152, "PRAGMA main.synchronous");

/// Whether own versions have to be made durable before they are served.
pub fn due(s: &Session) -> Result<bool> {
    let known = coverage::known(s)?;
    Ok(known.head > known.mark && !always(s)?)
}

/// Makes own versions durable where that takes writing and this connection may. `also` is written
/// in the same transaction.
pub fn secure(s: &Session, also: impl FnOnce() -> Result<()>) -> Result<()> {
    let known = s.snapshot(|| coverage::known(s))?;
    let newest = known.head;
    if !s.db.autocommit() || newest <= known.mark || always(s)? {
        return also();
    }
    let was = synchronous(s)?;
    s.db.exec("PRAGMA main.synchronous = FULL")?;
    let done = s.atomically("crsql_changeset", || {
        let mut stmt = s.cache.fixed(SET_MARK)?;
        stmt.bind_int(1, int(newest))?;
        stmt.run()?;
        drop(stmt);
        also()
    });
    s.db.exec(&format!("PRAGMA main.synchronous = {was}"))?;
    done
}

/// What was found missing, less own versions that cannot be promised.
pub fn promised(s: &Session, missing: Vec<(u32, Vec<Span>)>) -> Result<Vec<(u32, Vec<Span>)>> {
    let known = coverage::known(s)?;
    let (own, mark) = (known.own, known.mark);
    let newest = missing.iter().filter(|(site, _)| *site == own).flat_map(|(_, spans)| spans);
    let newest = newest.map(|span| span.hi).max().unwrap_or(0);
    if newest <= mark || always(s)? {
        return Ok(missing);
    }
    Ok(up_to(missing, own, mark))
}

/// Own versions up to here are known to be on the disk.
pub fn mark(s: &Session) -> Result<u64> {
    let mut stmt = s.cache.fixed(MARK)?;
    stmt.step()?;
    count(stmt.int(0))
}

fn synchronous(s: &Session) -> Result<i64> {
    let mut stmt = s.cache.fixed(SYNCHRONOUS)?;
    stmt.step()?;
    Ok(stmt.int(0))
}

/// Whether every commit is on the disk when it returns, or there is no disk.
fn always(s: &Session) -> Result<bool> {
    Ok(s.db.filename().is_none() || synchronous(s)? >= 2)
}

/// Own versions above the mark are left for later.
fn up_to(missing: Vec<(u32, Vec<Span>)>, own: u32, mark: u64) -> Vec<(u32, Vec<Span>)> {
    let mut out = Vec::new();
    for (site, spans) in missing {
        let kept: Vec<Span> = spans
            .into_iter()
            .filter(|span| site != own || span.lo <= mark)
            .map(|span| match site == own && span.hi > mark {
                true => Span { lo: span.lo, hi: mark, stamp: 0 },
                false => span,
            })
            .collect();
        if !kept.is_empty() {
            out.push((site, kept));
        }
    }
    out
}
