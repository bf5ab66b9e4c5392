//! Before own transactions are sent, they are on the disk (threat H2). In WAL mode with
//! synchronous=NORMAL a committed transaction can be lost with the power; if it had been sent, its
//! number would be given again to other data. So the log's file is put on the disk first, which
//! covers every commit before it. In other modes a mark is written with synchronous=FULL, which
//! does the same. Where that cannot be done nothing is served, and the vector says that it is
//! unsure: what a version that the power may take wrote over, or won over, is nowhere else any
//! more. With synchronous=OFF the application has asked for no such thing.

use super::coverage::{self, Known};
use super::export;
use super::log::int;
use super::session::Session;
use crate::ground::cache::Fixed;
use crate::words::error::Result;
use crate::words::planted::planted;
use crate::words::vector::{Span, Vector};

const SET_MARK: Fixed = Fixed(151, "UPDATE crsql_state SET mark = ?1");
const SYNCHRONOUS: Fixed = Fixed(152, "PRAGMA main.synchronous");
const JOURNAL: Fixed = Fixed(153, "PRAGMA main.journal_mode");

/// What a receiver lacks: by the ordinal of its site, ranges of versions.
pub type Missing = Vec<(u32, Vec<Span>)>;

/// Whether own versions that a vector lacks have to be made durable by writing before they are
/// served.
pub fn due(s: &Session, since: &Vector) -> Result<bool> {
    Ok(by_writing(s)? && is_unsafe(s, &export::missing(s, since)?)?)
}

/// Makes own versions durable by a commit, where this connection may. `also` is written in the
/// same transaction; errors name `what`, the function that was called.
pub fn secure(s: &Session, what: &str, also: impl FnOnce() -> Result<()>) -> Result<()> {
    if !s.db.autocommit() {
        return also();
    }
    let newest = s.snapshot(|| coverage::known(s))?.head;
    // What an interrupt kept from being put back.
    let was = s.synchronous.get().map_or_else(|| synchronous(s), Ok)?;
    s.synchronous.set(Some(was));
    s.db.exec("PRAGMA main.synchronous = FULL")?;
    let done = s.atomically(what, || {
        let mut stmt = s.cache.fixed(SET_MARK)?;
        stmt.bind_int(1, int(newest))?;
        stmt.run()?;
        drop(stmt);
        also()
    });
    let back = s.db.exec(&format!("PRAGMA main.synchronous = {was}"));
    if back.is_ok() {
        s.synchronous.set(None);
    }
    done.and(back)
}

/// What was found missing, or nothing where that cannot be promised. The caller reads.
pub fn promised(s: &Session, missing: Missing) -> Result<Missing> {
    if !is_unsafe(s, &missing)? {
        return Ok(missing);
    }
    let known = coverage::known(s)?;
    let safe = if in_wal_mode(s)? { s.db.sync_wal()? } else { always(s)? };
    if safe {
        s.durable.set((known.own, known.head));
        return Ok(missing);
    }
    Ok(Missing::new())
}

/// Whether any own version has to be made durable by writing before it is told.
pub fn own_due(s: &Session) -> Result<bool> {
    own_due_of(s, &*coverage::known(s)?)
}

/// The same of what is known.
pub fn own_due_of(s: &Session, known: &Known) -> Result<bool> {
    Ok(is_above_mark(s, known, known.head) && by_writing(s)?)
}

/// Puts an own version on the disk before it is read row by row, where the log's file allows it.
/// This shows the open transaction too, and whoever reads here is not always sending.
pub fn put_on_disk(s: &Session, own: u32, version: u64) -> Result<()> {
    let (site, durable) = s.durable.get();
    if site == own && version <= durable {
        return Ok(());
    }
    let newest = s.snapshot(|| match in_wal_mode(s)? && s.db.sync_wal()? {
        true => Ok(Some(coverage::known(s)?.head)),
        false => Ok(None),
    })?;
    if let Some(newest) = newest {
        s.durable.set((own, newest));
    }
    Ok(())
}

/// Whether these have own versions that may not be on the disk.
fn is_unsafe(s: &Session, missing: &Missing) -> Result<bool> {
    let known = coverage::known(s)?;
    let own = missing.iter().filter(|(site, _)| *site == known.own).flat_map(|(_, spans)| spans);
    Ok(is_above_mark(s, &known, own.map(|span| span.hi).max().unwrap_or(0)))
}

/// Whether an own version may not be on the disk.
fn is_above_mark(s: &Session, known: &Known, newest: u64) -> bool {
    let (site, durable) = s.durable.get();
    let mark = if site == known.own { durable.max(known.mark) } else { known.mark };
    newest > mark && !planted!("sent-before-durable")
}

fn synchronous(s: &Session) -> Result<i64> {
    let mut stmt = s.cache.fixed(SYNCHRONOUS)?;
    stmt.step()?;
    Ok(stmt.int(0))
}

/// Whether only a commit of ours puts on the disk what was committed before.
fn by_writing(s: &Session) -> Result<bool> {
    Ok(!in_wal_mode(s)? && !always(s)?)
}

/// Whether the file has a log. SQLite prepares the question anew each time, so it is asked once for
/// what is known: whoever changes the mode writes to the file.
fn in_wal_mode(s: &Session) -> Result<bool> {
    let known = coverage::known(s)?;
    if let Some(wal) = known.wal.get() {
        return Ok(*wal);
    }
    let mut stmt = s.cache.fixed(JOURNAL)?;
    let wal = stmt.step()? && stmt.text(0) == b"wal";
    Ok(*known.wal.get_or_init(|| wal))
}

/// Whether every commit is on the disk when it returns, or there is no disk. In WAL mode nobody
/// asks: the newest commit may be another connection's, which has a setting of its own.
fn always(s: &Session) -> Result<bool> {
    // With OFF the application has said that it does not ask for any.
    Ok(s.db.filename().is_none() || synchronous(s)? != 1)
}

/// The own versions up to the mark.
pub fn marked(spans: Vec<Span>, mark: u64) -> Vec<Span> {
    let below = spans.into_iter().filter(|span| span.lo <= mark);
    below
        .map(|span| if span.hi > mark { Span { hi: mark, stamp: 0, ..span } } else { span })
        .collect()
}
