//! Update-wins: a row lives on where a delete did not know of an update.
//!
//! There is no other merge law for it. Whoever wrote an update sees the delete come, finds that it
//! had not heard of the update, and writes the row again: the next life, as a change of its own,
//! which reaches everybody by the one law. All cells and parts go into that life with the stamps
//! that they had, so that two who write one row again agree cell by cell on what is the latest.
//!
//! - **What a delete had heard of** its transaction tells: by its deps and those of its site's
//!   transactions before it. The deps of a delete also name what stood in the row when it died,
//!   so that it is known what somebody saw to whom rows came one by one.
//! - **Row by row** nobody tells, and the stamps decide: what was written later than the delete,
//!   the delete cannot have known. Where not even its stamp was told, the delete is taken.
//! - **A new life may come before its delete**: from somebody else who wrote the row again. Then
//!   what was written here goes into that life too, cell by cell, where it is the latest.
//! - **Only an update counts.** What was written again is judged by the update that it repeats;
//!   rows that are older than replication are nobody's update.

use super::flush::{Group, Outcome};
use super::hand;
use super::held::{self, One};
use super::log::{self, Record, Writer, count, int};
use super::memory::{Given, Touch, key_in};
use super::merger::Incoming;
use super::parts;
use super::session::Session;
use super::single;
use super::text;
use crate::ground::cache::Fixed;
use crate::ground::catalog::Table;
use crate::types;
use crate::words::clock::LOWEST;
use crate::words::deps::{self, Deps};
use crate::words::dot::{Dot, MAX_CL, Txn};
use crate::words::error::Result;
use crate::words::keylist::KeyRef;
use crate::words::policy::Policy;
use crate::words::ranges::RangeSet;
use crate::words::rowclock::{Cell, RowClock};
use crate::words::value::Value;

const BEFORE: Fixed = Fixed(
    190,
    "SELECT stamp, deps FROM crsql_log WHERE site = ?1 AND version <= ?2 AND part = 0
     ORDER BY version DESC",
);
const NEWEST: Fixed = Fixed(
    191,
    "SELECT version, stamp FROM crsql_log WHERE site = ?1 AND version <= ?2 AND part = 0
     ORDER BY version DESC LIMIT 1",
);

/// A write of this file's site that stands in a row.
struct Own {
    at: Place,
    /// The transaction that was an update.
    version: u64,
    stamp: u64,
}

enum Place {
    /// The position of a column.
    Cell(usize),
    /// A column and a register.
    Part(usize, String),
    /// The row, which has no columns.
    Row,
}

/// Whether a transaction had heard of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Yes,
    No,
    NobodyTells,
}

/// A row dies that lives here. Where that did not know of an update of ours the row is written
/// again, and lives on: true.
pub fn revived(s: &Session, inc: &Incoming<'_>, clock: &RowClock) -> Result<bool> {
    if inc.txn.site == s.own()? || inc.cl >= MAX_CL {
        return Ok(false);
    }
    for own in standing(s, inc.table, inc.key.borrow(), clock)? {
        if heard(s, inc, &own)? == Heard::No {
            return write_again(s, inc, clock).map(|()| true);
        }
    }
    Ok(false)
}

/// The row stays as it is: all that changes is where it was written. No trigger fires.
fn write_again(s: &Session, inc: &Incoming<'_>, clock: &RowClock) -> Result<()> {
    let (table, key) = (inc.table, inc.key.borrow());
    let (txn, stamp) = own_transaction(s, inc.stamp)?;
    let first = s.memory.borrow().next_seq;
    let mut seqs = first..;
    let mut dot = || Dot { txn, seq: seqs.next().unwrap_or(first) };
    let life = dot();
    let mut again = RowClock { cl: inc.cl + 1, life: Some(life), base: None, over: Vec::new() };
    for col in &table.cols {
        if let Some(cell) = clock.cell(col.id) {
            let stamp = Some(log::stamp_of(s, cell.dot, cell.stamp)?.max(LOWEST));
            again.over.push(Cell { col: col.id, dot: dot(), stamp });
        }
    }
    let parts = parts::of_row(s, table, key)?.parts;
    text::close(s, table.tid, key);
    for part in &parts {
        let register = (part.col, part.register.as_str());
        parts::put(s, table.tid, key, register, part.val.as_ref(), (dot(), part.stamp))?;
    }
    let span = dot().seq - first;
    let stood = clock_txns(clock).chain(parts.iter().map(|part| part.dot.txn));
    name(s, txn, &seen_in(txn.site, stood))?;
    held::drop_below(s, &table.name, &inc.key.pk()?, inc.cl)?;
    hand::put(s, table.tid, inc.key, again, true)?;
    let mut memory = s.memory.borrow_mut();
    memory.next_seq = first + span;
    memory.touch(Touch { txn, stamp, tid: table.tid, key: inc.key.clone(), seq: first, span });
    Ok(())
}

/// The own transaction that is open, with its stamp. It is on record from here on.
fn own_transaction(s: &Session, after: u64) -> Result<(Txn, u64)> {
    let mut head = log::head(s)?;
    let given = s.memory.borrow().given.filter(|given| given.version <= head.version);
    if let Some(given) = given {
        let txn = Txn { site: head.own, version: given.version };
        if let Some(record) = log::record(s, txn)? {
            return Ok((txn, record.stamp));
        }
    }
    head.clock = head.clock.max(s.memory.borrow().saw).max(after);
    let stamp = log::next_stamp(s, &head)?;
    let txn = Txn { site: head.own, version: head.version + 1 };
    let carried = head.deps.is_some();
    Writer::new(txn).create(s, Record { stamp, flags: 0, last_seq: 0, deps: head.deps })?;
    if carried {
        log::clear_deps(s)?;
    }
    s.memory.borrow_mut().given = Some(Given { version: txn.version, stamp, part: 1 });
    Ok((txn, stamp))
}

/// What this file's site wrote of a row and what stands: updates, not what repeats those of others.
fn standing(s: &Session, table: &Table, key: KeyRef<'_>, clock: &RowClock) -> Result<Vec<Own>> {
    let own = s.own()?;
    let mut out = Vec::new();
    for (at, col) in table.cols.iter().enumerate() {
        if let Some(cell) = clock.cell(col.id).filter(|cell| cell.dot.txn.site == own) {
            out.extend(update(s, Place::Cell(at), cell.dot, cell.stamp)?);
        }
    }
    for part in parts::of_row(s, table, key)?.parts {
        if part.dot.txn.site == own
            && let Some(at) = table.position(part.col)
        {
            out.extend(update(s, Place::Part(at, part.register), part.dot, Some(part.stamp))?);
        }
    }
    // Every later life of such a row may be one that was written again.
    if let Some(life) = clock.life.filter(|life| table.cols.is_empty() && life.txn.site == own)
        && clock.cl == 1
    {
        out.extend(update(s, Place::Row, life, None)?);
    }
    Ok(out)
}

/// The update that an own write is or repeats, if that was one of our own.
fn update(s: &Session, at: Place, dot: Dot, stamp: Option<u64>) -> Result<Option<Own>> {
    let recorded = log::stamp_of(s, dot, None)?;
    let stamp = stamp.unwrap_or(recorded);
    if stamp <= LOWEST {
        return Ok(None);
    }
    let version = match stamp == recorded {
        true => Some(dot.txn.version),
        false => version_at(s, dot.txn, stamp)?,
    };
    Ok(version.map(|version| Own { at, version, stamp }))
}

/// The transaction of a site, up to one of it, that has this stamp; stamps rise with versions.
fn version_at(s: &Session, upto: Txn, stamp: u64) -> Result<Option<u64>> {
    let (mut lo, mut hi) = (1, upto.version);
    while lo <= hi {
        let mid = lo + (hi - lo) / 2;
        let mut stmt = s.cache.fixed(NEWEST)?;
        stmt.bind_int(1, i64::from(upto.site))?;
        stmt.bind_int(2, int(mid))?;
        let found = if stmt.step()? { (count(stmt.int(0))?, count(stmt.int(1))?) } else { (0, 0) };
        match found {
            (version, at) if at == stamp => return Ok(Some(version)),
            (_, at) if at < stamp => lo = mid + 1,
            (version, _) => hi = version - 1,
        }
    }
    Ok(None)
}

/// Whether the transaction that came had heard of an own update.
fn heard(s: &Session, inc: &Incoming<'_>, own: &Own) -> Result<Heard> {
    if inc.stamp == 0 {
        return Ok(Heard::NobodyTells);
    }
    if own.stamp >= inc.stamp {
        return Ok(Heard::No);
    }
    if inc.peer.is_none() {
        return Ok(Heard::NobodyTells);
    }
    let site = s.own()?;
    if of_deps(inc.deps, site)?.contains(own.version) || before(s, inc, site, own)? {
        return Ok(Heard::Yes);
    }
    Ok(Heard::No)
}

fn of_deps(bytes: Option<&[u8]>, site: u32) -> Result<RangeSet> {
    let mut all = bytes.map_or(Ok(Deps::new()), deps::decode)?;
    Ok(all.remove(&site).unwrap_or_default())
}

/// Whether the site of the transaction that came had heard of it in a transaction before. Whoever
/// has heard of a write stamps later than it, so what is older need not be asked. What was found is
/// kept for the other rows of the transaction.
fn before(s: &Session, inc: &Incoming<'_>, site: u32, own: &Own) -> Result<bool> {
    let kept = s.memory.borrow_mut().heard.take_if(|(txn, ..)| *txn == inc.txn);
    let heard = match kept {
        Some((txn, down_to, heard)) if down_to <= own.stamp => (txn, down_to, heard),
        // A second older one comes with more of them.
        Some(_) => walk(s, inc.txn, site, 0)?,
        None => walk(s, inc.txn, site, own.stamp)?,
    };
    let found = heard.2.contains(own.version);
    s.memory.borrow_mut().heard = Some(heard);
    Ok(found)
}

fn walk(s: &Session, txn: Txn, site: u32, down_to: u64) -> Result<(Txn, u64, RangeSet)> {
    let mut heard = RangeSet::new();
    let mut stmt = s.cache.fixed(BEFORE)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    while stmt.step()? {
        let stamp = count(stmt.int(0))?;
        if stamp > 0 && stamp <= down_to {
            break;
        }
        if !stmt.is_null(1) {
            heard = heard.union(&of_deps(Some(stmt.blob(1)), site)?);
        }
    }
    Ok((txn, down_to, heard))
}

/// What of a row has to go into its new life.
pub struct Carried {
    own: Own,
    val: Value,
}

/// A new life of a row comes that lives here: what this file's site wrote of it, as far as the new
/// life may not have known of it.
pub fn own_writes(
    s: &Session,
    inc: &Incoming<'_>,
    clock: Option<&RowClock>,
) -> Result<Vec<Carried>> {
    let mut out = Vec::new();
    let Some(clock) = clock.filter(|c| inc.table.policy == Policy::UpdateWins && c.alive()) else {
        return Ok(out);
    };
    if inc.txn.site == s.own()? {
        return Ok(out);
    }
    for own in standing(s, inc.table, inc.key.borrow(), clock)? {
        if heard(s, inc, &own)? == Heard::Yes {
            continue;
        }
        let val = match &own.at {
            Place::Row => None,
            Place::Cell(at) => parts::written(s, inc.table, inc.key, *at)?,
            Place::Part(at, register) => {
                let col = inc.table.cols.get(*at).map_or(0, |c| c.id);
                let found = parts::standing(s, inc.table.tid, inc.key.borrow(), col, register)?;
                found.map(|(_, val)| val)
            }
        };
        out.extend(val.map(|val| Carried { own, val }));
    }
    Ok(out)
}

/// Writes it into the new life, which has come, where it is later than what stands there. A part
/// goes with the base that it was added to, or a later write over it.
pub fn carry(s: &Session, inc: &Incoming<'_>, list: Vec<Carried>) -> Result<()> {
    for Carried { own, val } in list {
        let Some(clock) = hand::take(s, inc.table.tid, inc.key)?.filter(|c| c.cl == inc.cl) else {
            return Ok(());
        };
        let (Place::Cell(at) | Place::Part(at, _)) = own.at else { continue };
        let Some(col) = inc.table.cols.get(at) else { continue };
        if let Some(cell) = clock.cell(col.id)
            && log::stamp_of(s, cell.dot, cell.stamp.or(of_incoming(inc, &cell)))? >= own.stamp
        {
            continue;
        }
        let (txn, stamp) = own_transaction(s, inc.stamp)?;
        let seq = s.memory.borrow().next_seq;
        s.memory.borrow_mut().next_seq += 1;
        let cid = match &own.at {
            Place::Part(_, register) => types::cid(&col.name, register),
            _ => col.name.clone(),
        };
        let one = One {
            table: &inc.table.name,
            pk: &inc.key.pk()?,
            cid: &cid,
            val: val.as_ref(),
            col_version: own.stamp,
            cl: inc.cl,
            seq,
            site: s.site_id(txn.site)?,
            version: txn.version,
            stamp,
        };
        single::merge_change(s, &one, None)?;
    }
    Ok(())
}

/// The stamp of a cell of the transaction that is coming: its record is not there yet.
fn of_incoming(inc: &Incoming<'_>, cell: &Cell) -> Option<u64> {
    (cell.dot.txn == inc.txn).then_some(inc.stamp)
}

/// What rows stood for that die in this flush: their delete had heard of it.
pub(super) fn last_seen(s: &Session, keys: &[u8], groups: &[Group]) -> Result<Deps> {
    let mut out = Deps::new();
    for g in groups {
        let (Policy::UpdateWins, Outcome::Dead { .. }) = (g.table.policy, g.outcome) else {
            continue;
        };
        let Some(clock) = &g.clock else { continue };
        let parts = parts::of_row(s, &g.table, key_in(keys, g.key))?.parts;
        let stood = clock_txns(clock).chain(parts.iter().map(|part| part.dot.txn));
        join(&mut out, seen_in(s.own()?, stood));
    }
    Ok(out)
}

fn clock_txns(clock: &RowClock) -> impl Iterator<Item = Txn> + '_ {
    let life = clock.life.map(|life| life.txn);
    let base = clock.base.map(|base| base.txn);
    clock.over.iter().map(|cell| cell.dot.txn).chain(life).chain(base)
}

fn seen_in(own: u32, txns: impl Iterator<Item = Txn>) -> Deps {
    let mut out = Deps::new();
    for txn in txns.filter(|txn| txn.site != own && txn.version > 0) {
        out.entry(txn.site).or_default().insert(txn.version, txn.version);
    }
    out
}

fn join(all: &mut Deps, more: Deps) {
    for (site, set) in more {
        let slot = all.entry(site).or_default();
        *slot = slot.union(&set);
    }
}

/// Has an own transaction that is on record tell that it had heard of these.
pub fn name(s: &Session, txn: Txn, seen: &Deps) -> Result<()> {
    if seen.is_empty() {
        return Ok(());
    }
    let record = log::record(s, txn)?;
    let mut all = record.and_then(|r| r.deps).map_or(Ok(Deps::new()), |b| deps::decode(&b))?;
    join(&mut all, seen.clone());
    deps::encode(&all).map_or(Ok(()), |bytes| log::set_deps(s, txn, &bytes))
}
