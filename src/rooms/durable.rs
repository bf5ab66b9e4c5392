//! Before own transactions are sent, they are on the disk (threat H2). In WAL mode with
//! synchronous=NORMAL a committed transaction can be lost with the power; if it had been sent, its
//! number would be given again to other data. One commit with synchronous=FULL covers all earlier
//! ones, so a mark is written that way before a version above it is served.

use std::rc::Rc;

use super::log::{count, int};
use super::session::Session;
use crate::ground::Prep;
use crate::words::error::Result;
use crate::words::vector::Span;

/// What was found missing, less own versions that cannot be promised.
pub fn promise(s: &Rc<Session>, missing: Vec<(u32, Vec<Span>)>) -> Result<Vec<(u32, Vec<Span>)>> {
    let own = s.own()?;
    let newest = missing.iter().filter(|(site, _)| *site == own).flat_map(|(_, spans)| spans);
    let newest = newest.map(|span| span.hi).max().unwrap_or(0);
    let mark = mark(s)?;
    if newest <= mark || always_durable(s)? {
        return Ok(missing);
    }
    if can_write(s) {
        write_mark(s, newest)?;
        return Ok(missing);
    }
    Ok(up_to(missing, own, mark))
}

fn mark(s: &Session) -> Result<u64> {
    let mut stmt = s.db.prepare("SELECT mark FROM crsql_state", Prep::Once)?;
    stmt.step()?;
    count(stmt.int(0))
}

/// Whether every commit is on the disk when it returns, or there is no disk.
fn always_durable(s: &Session) -> Result<bool> {
    if s.db.filename().is_none() {
        return Ok(true);
    }
    Ok(s.ask_int("PRAGMA main.synchronous")? >= 2)
}

fn can_write(s: &Session) -> bool {
    s.db.autocommit() && s.db.readonly() == Some(false) && !s.db.write_statement_running()
}

fn write_mark(s: &Session, newest: u64) -> Result<()> {
    let was = s.ask_int("PRAGMA main.synchronous")?;
    s.db.exec("PRAGMA main.synchronous = FULL")?;
    let done = s.db.exec(&format!("UPDATE crsql_state SET mark = {}", int(newest)));
    s.db.exec(&format!("PRAGMA main.synchronous = {was}"))?;
    done
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
