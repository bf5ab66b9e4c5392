//! Merging: one row's incoming changes meet the row. The law in `words/merge.rs` decides; this
//! room writes the row, its clock and what the log has to know, or holds what cannot be written.
//!
//! The row is written first and the clock after it, because the application's triggers can refuse
//! the row and nothing can refuse the clock.

use std::rc::Rc;

use super::feed::HeldChange;
use super::forks;
use super::hand;
use super::held::{self, Whole};
use super::identity;
use super::log;
use super::parts;
use super::policy;
use super::revive;
use super::rows::{self, Written};
use super::session::Session;
use super::unchecked;
use crate::ground::catalog::Table;
use crate::words::affinity;
use crate::words::dot::{Dot, SiteId, Txn};
use crate::words::error::{Error, Result};
use crate::words::key::Key;
use crate::words::merge::{self, Rule, Write};
use crate::words::planted::planted;
use crate::words::policy::Policy;
use crate::words::rowclock::{Cell, RowClock};
use crate::words::value::{Value, ValueRef};

/// The cid of a sentinel.
pub const SENTINEL: &str = "-1";

/// One incoming cell.
#[derive(Clone, Copy, Debug)]
pub struct InCell<'a> {
    /// The position in the table's columns.
    pub at: usize,
    /// The place in the transaction.
    pub seq: u64,
    /// Its stamp.
    pub stamp: u64,
    /// The value.
    pub val: ValueRef<'a>,
}

/// What one transaction says of one row.
pub struct Incoming<'a> {
    /// The table.
    pub table: &'a Rc<Table>,
    /// The row.
    pub key: &'a Key,
    /// Its causal length.
    pub cl: u64,
    /// The transaction.
    pub txn: Txn,
    /// Its site.
    pub site: SiteId,
    /// The stamp that cells carry by the transaction's record; others carry their own.
    pub stamp: u64,
    /// The place of the sentinel, where there is one.
    pub sentinel: Option<u64>,
    /// The cells, by place.
    pub cells: &'a [InCell<'a>],
    /// What its site had newly seen, as far as it came with it.
    pub deps: Option<&'a [u8]>,
    /// Who sent it.
    pub peer: Option<SiteId>,
}

/// What became of the changes of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// APPLIED
    pub applied: u64,
    /// SUPERSEDED
    pub superseded: u64,
    /// HELD
    pub held: u64,
    /// Rows that were known before and written over, so that entries of the log went stale.
    pub stale: u64,
}

impl Outcome {
    /// Adds another row's.
    pub fn add(&mut self, other: Outcome) {
        self.applied += other.applied;
        self.superseded += other.superseded;
        self.held += other.held;
        self.stale += other.stale;
    }
}

/// Where the rows that a merge touched are listed.
pub type Sink<'a> = &'a mut dyn FnMut(&Key, u64, u64);

/// Merges what one transaction says of one row.
pub fn merge_row(s: &Session, inc: &Incoming<'_>, sink: Sink<'_>) -> Result<Outcome> {
    let clock = hand::take(s, inc.table.tid, inc.key)?;
    let local = clock.as_ref().map_or(0, |c| c.cl);
    let all = inc.cells.len() as u64 + u64::from(inc.sentinel.is_some());
    if inc.cl < local && !planted!("dead-rows-return") {
        return Ok(Outcome { superseded: all, ..Outcome::default() });
    }
    if inc.cl > local && held::any(s)? {
        let (life, creation) = held::row_life(s, &inc.table.name, &inc.key.pk()?)?;
        if life > inc.cl {
            return Ok(Outcome { superseded: all, ..Outcome::default() });
        }
        if creation == inc.cl && creation % 2 == 1 {
            let reason = format!("{}its creation is held", held::ROW);
            return hold_row(s, inc, inc.cells, &reason);
        }
    }
    if inc.cl.is_multiple_of(2) {
        return merge_dead(s, inc, clock.as_ref(), sink);
    }
    let mut out = Outcome::default();
    let mut fit: Vec<InCell<'_>> = Vec::with_capacity(inc.cells.len());
    for cell in inc.cells {
        match obstacle(inc.table, cell) {
            None => fit.push(*cell),
            Some(reason) => out.add(hold_cell(s, inc, cell, &reason, clock.as_ref())?),
        }
    }
    match clock {
        Some(clock) if inc.cl == local => out.add(merge_cells(s, inc, clock, &fit, sink)?),
        clock => {
            let own = revive::own_writes(s, inc, clock.as_ref())?;
            out.add(merge_life(s, inc, clock.as_ref(), &fit, sink)?);
            revive::carry(s, inc, own)?;
        }
    }
    Ok(out)
}

/// Why a value cannot be stored as it is, or None where it can.
fn obstacle(table: &Table, cell: &InCell<'_>) -> Option<String> {
    let col = table.cols.get(cell.at)?;
    if col.notnull && matches!(cell.val, ValueRef::Null) {
        return Some(format!("column {}.{} is NOT NULL here", table.name, col.name));
    }
    if !affinity::stores_unchanged(col.affinity, table.strict, cell.val) {
        return Some(format!(
            "column {}.{} is declared {} here, which would change a value of class {}",
            table.name,
            col.name,
            if col.declared.is_empty() { "without a type" } else { &col.declared },
            cell.val.class_name()
        ));
    }
    None
}

/// The row dies, or has died already.
fn merge_dead(
    s: &Session,
    inc: &Incoming<'_>,
    clock: Option<&RowClock>,
    sink: Sink<'_>,
) -> Result<Outcome> {
    let Some(seq) = inc.sentinel else {
        return Err(Error::rejected(format!(
            "table {}: a cell of a row with causal length {}, which is dead",
            inc.table.name, inc.cl
        )));
    };
    let dot = Dot { txn: inc.txn, seq };
    if let Some(c) = clock.filter(|c| c.cl == inc.cl) {
        return merge_sentinel(s, inc, c.clone(), dot, sink);
    }
    match inc.table.policy {
        Policy::GrowOnly if clock.is_none_or(RowClock::alive) => {
            return hold_row(s, inc, &[], &policy::reason(inc.table));
        }
        Policy::UpdateWins => {
            if let Some(clock) = clock.filter(|c| c.alive())
                && revive::revived(s, inc, clock)?
            {
                return Ok(Outcome { applied: 1, stale: 1, ..Outcome::default() });
            }
        }
        Policy::DeleteWins | Policy::GrowOnly => {}
    }
    if clock.is_some_and(RowClock::alive) && !planted!("row-outlives-its-clock") {
        let done = s.merging(|| rows::delete(s, inc.table, inc.key));
        if let Some(reason) = soft(s, done)?
            && rows::read(s, inc.table, inc.key)?.is_some()
        {
            return hold_row(s, inc, &[], &reason);
        }
        s.memory.borrow_mut().rows_impacted += 1;
    }
    held::drop_below(s, &inc.table.name, &inc.key.pk()?, inc.cl)?;
    parts::drop_row(s, inc.table, inc.key.borrow())?;
    let dead = RowClock::dead(inc.cl, dot);
    hand::put(s, inc.table.tid, inc.key, dead, clock.is_some())?;
    sink(inc.key, seq, 1);
    Ok(Outcome { applied: 1, stale: u64::from(clock.is_some()), ..Outcome::default() })
}

/// Two writes set the same causal length: which of them names it.
fn merge_sentinel(
    s: &Session,
    inc: &Incoming<'_>,
    mut clock: RowClock,
    dot: Dot,
    sink: Sink<'_>,
) -> Result<Outcome> {
    let standing = clock.life;
    let id = |d: Dot| Ok::<_, Error>((s.site_id(d.txn.site)?, d.txn.version, d.seq));
    let verdict =
        merge::sentinel(standing.map(id).transpose()?, (inc.site, dot.txn.version, dot.seq));
    // A version above where its site was closed names nothing: it would be issued again as often as
    // somebody who has not heard of it sends it.
    let in_vain = verdict.wins && standing.is_some() && forks::is_void(s, dot.txn)?;
    if !verdict.wins || in_vain {
        return Ok(Outcome { superseded: 1, ..Outcome::default() });
    }
    clock.life = Some(dot);
    hand::put(s, inc.table.tid, inc.key, clock, true)?;
    sink(inc.key, dot.seq, 1);
    Ok(Outcome { applied: 1, ..Outcome::default() })
}

/// The row begins a life that is new here.
fn merge_life(
    s: &Session,
    inc: &Incoming<'_>,
    clock: Option<&RowClock>,
    fit: &[InCell<'_>],
    sink: Sink<'_>,
) -> Result<Outcome> {
    let written = by_column(fit);
    let there = clock.is_some_and(RowClock::alive);
    let done = s.merging(|| {
        if there {
            return unchecked::write(s, || rows::reset(s, inc.table, inc.key, &written));
        }
        unchecked::write(s, || match rows::insert(s, inc.table, inc.key, &written) {
            // A row that was written while nobody watched.
            Err(e) if is_key_conflict(e.code) => rows::reset(s, inc.table, inc.key, &written),
            done => done,
        })
    });
    if let Some(reason) = soft(s, done)?
        && !stands(s, inc, &written)?
    {
        return hold_row(s, inc, fit, &format!("{}{reason}", held::ROW));
    }
    held::drop_below(s, &inc.table.name, &inc.key.pk()?, inc.cl)?;
    parts::drop_row(s, inc.table, inc.key.borrow())?;
    let life = inc.sentinel.map(|seq| Dot { txn: inc.txn, seq });
    let mut made = RowClock { cl: inc.cl, life, base: None, over: Vec::with_capacity(fit.len()) };
    for cell in fit {
        made.set(clock_cell(inc, cell)?);
    }
    made.settle(&inc.table.ids());
    hand::put(s, inc.table.tid, inc.key, made, clock.is_some())?;
    s.memory.borrow_mut().rows_impacted += 1;
    let applied = fit.len() as u64 + u64::from(inc.sentinel.is_some());
    list(inc, fit, inc.sentinel, sink);
    drop_lost(s, inc, fit)?;
    Ok(Outcome { applied, stale: u64::from(clock.is_some()), ..Outcome::default() })
}

/// What is held of these cells and has lost to them need not wait any longer.
fn drop_lost(s: &Session, inc: &Incoming<'_>, cells: &[InCell<'_>]) -> Result<()> {
    if !held::any(s)? {
        return Ok(());
    }
    for cell in cells {
        let name = inc.table.cols.get(cell.at).map_or("", |c| c.name.as_str());
        held::drop_lost(s, &whole(inc, name, ValueRef::Null, cell.stamp, cell.seq)?)?;
    }
    Ok(())
}

/// The row lives the same life: cell by cell.
fn merge_cells(
    s: &Session,
    inc: &Incoming<'_>,
    mut clock: RowClock,
    fit: &[InCell<'_>],
    sink: Sink<'_>,
) -> Result<Outcome> {
    let mut out = Outcome::default();
    let mut winners: Vec<InCell<'_>> = Vec::new();
    for cell in fit {
        if wins(s, inc, &clock, cell)? { winners.push(*cell) } else { out.superseded += 1 }
    }
    if !winners.is_empty() {
        let mut written = by_column(&winners);
        let bases = match parts::rebased(s, inc.table, inc.key.borrow(), &written) {
            Ok(bases) => bases,
            Err(e) => {
                let reason = soft(s, Err(e))?.unwrap_or_default();
                out.add(hold_row(s, inc, &winners, &reason)?);
                return Ok(out);
            }
        };
        for new in &bases {
            let cell = written.iter_mut().filter(|(at, _)| *at == new.at);
            cell.for_each(|(_, val)| *val = new.shown.as_ref());
        }
        let done =
            s.merging(|| unchecked::write(s, || rows::update(s, inc.table, inc.key, &written)));
        if let Some(reason) = soft(s, done)?
            && !stands(s, inc, &written)?
        {
            out.add(hold_row(s, inc, &winners, &reason)?);
            return Ok(out);
        }
        parts::keep(s, inc.table, inc.key.borrow(), &bases)?;
        for cell in &winners {
            clock.set(clock_cell(inc, cell)?);
        }
        if winners.len() == inc.table.cols.len() {
            clock.base = None;
        }
        if clock.base.is_none() && clock.over.len() >= inc.table.cols.len() {
            clock.settle(&inc.table.ids());
        }
        hand::put(s, inc.table.tid, inc.key, clock, true)?;
        s.memory.borrow_mut().rows_impacted += 1;
        list(inc, &winners, None, sink);
        drop_lost(s, inc, &winners)?;
        out.applied += winners.len() as u64;
        out.stale += 1;
    }
    if let Some(seq) = inc.sentinel
        && let Some(clock) = hand::take(s, inc.table.tid, inc.key)?
    {
        out.add(merge_sentinel(s, inc, clock, Dot { txn: inc.txn, seq }, sink)?);
    }
    Ok(out)
}

fn wins(s: &Session, inc: &Incoming<'_>, clock: &RowClock, cell: &InCell<'_>) -> Result<bool> {
    let Some(col) = inc.table.cols.get(cell.at) else { return Ok(false) };
    let incoming =
        Write { stamp: cell.stamp, site: inc.site, version: inc.txn.version, seq: cell.seq };
    let standing = match clock.cell(col.id) {
        None => None,
        Some(c) => Some(Write {
            stamp: stamp_of(s, inc, &c)?,
            site: s.site_id(c.dot.txn.site)?,
            version: c.dot.txn.version,
            seq: c.dot.seq,
        }),
    };
    let mut failed = None;
    let verdict = merge::cell(standing.as_ref(), &incoming, || {
        let there = parts::written(s, inc.table, inc.key, cell.at);
        let compare = |there: Option<Value>| {
            there.map_or(std::cmp::Ordering::Greater, |v| merge::values(cell.val, v.as_ref()))
        };
        there.map(compare).unwrap_or_else(|e| {
            failed = Some(e);
            std::cmp::Ordering::Equal
        })
    });
    match failed {
        Some(e) => Err(e),
        None if verdict.rule == Rule::Fork => {
            identity::mark_forked(s, inc.txn.site)?;
            Ok(verdict.wins)
        }
        None => Ok(verdict.wins),
    }
}

fn stamp_of(s: &Session, inc: &Incoming<'_>, c: &Cell) -> Result<u64> {
    if let Some(stamp) = c.stamp {
        return Ok(stamp);
    }
    if c.dot.txn == inc.txn {
        return Ok(inc.stamp);
    }
    if let Some((txn, stamp)) = s.memory.borrow().looked_up
        && txn == c.dot.txn
    {
        return Ok(stamp);
    }
    let stamp = log::stamp_of(s, c.dot, None)?;
    s.memory.borrow_mut().looked_up = Some((c.dot.txn, stamp));
    Ok(stamp)
}

fn clock_cell(inc: &Incoming<'_>, cell: &InCell<'_>) -> Result<Cell> {
    let col = inc.table.cols.get(cell.at);
    let col = col.ok_or_else(|| Error::corrupt("a merged cell has no column"))?.id;
    let stamp = if cell.stamp == inc.stamp { None } else { Some(cell.stamp) };
    let seq = if planted!("place-given-anew") { 0 } else { cell.seq };
    Ok(Cell { col, dot: Dot { txn: inc.txn, seq }, stamp })
}

/// Lists the places that were taken, in runs.
fn list(inc: &Incoming<'_>, cells: &[InCell<'_>], sentinel: Option<u64>, sink: Sink<'_>) {
    let mut seqs: Vec<u64> = cells.iter().map(|c| c.seq).chain(sentinel).collect();
    seqs.sort_unstable();
    for run in seqs.chunk_by(|a, b| a + 1 == *b) {
        if let Some(first) = run.first() {
            sink(inc.key, *first, run.len() as u64);
        }
    }
}

/// The values to write, in the order of columns: a kept statement is known by its set of columns,
/// whatever the order in which they were written at their origin.
fn by_column<'a>(cells: &[InCell<'a>]) -> Vec<Written<'a>> {
    let mut written: Vec<Written<'a>> = cells.iter().map(|c| (c.at, c.val)).collect();
    if !written.is_sorted_by_key(|(at, _)| *at) {
        written.sort_by_key(|(at, _)| *at);
    }
    written
}

fn is_key_conflict(code: i32) -> bool {
    const PRIMARYKEY: i32 = 1555;
    const ROWID: i32 = 2579;
    code == PRIMARYKEY || code == ROWID
}

/// Errors that are about this row become the reason to hold it; all others end the merge. So does
/// a trigger that rolled the transaction back: nothing is left to hold the row in.
pub(super) fn soft(s: &Session, done: Result<()>) -> Result<Option<String>> {
    const CONSTRAINT: i32 = 19;
    match done {
        Ok(()) => Ok(None),
        Err(e) if !s.memory.borrow().enlisted => Err(e),
        Err(e) if matches!(e.code & 0xff, 1 | CONSTRAINT | 20) => Ok(Some(e.text)),
        Err(e) => Err(e),
    }
}

/// Whether the row is there with these values: RAISE(FAIL) in a trigger after the write is an error
/// and leaves what was written.
fn stands(s: &Session, inc: &Incoming<'_>, written: &[Written<'_>]) -> Result<bool> {
    let Some(row) = rows::read(s, inc.table, inc.key)? else { return Ok(false) };
    Ok(written.iter().all(|(at, v)| row.value(*at as i32) == *v))
}

fn whole(inc: &Incoming<'_>, cid: &str, val: ValueRef<'_>, v: u64, seq: u64) -> Result<Whole> {
    Ok(Whole {
        change: HeldChange {
            table: inc.table.name.clone(),
            pk: inc.key.pk()?,
            cid: cid.to_string(),
            val: val.to_owned(),
            col_version: v,
            cl: inc.cl,
            seq,
        },
        site: inc.site,
        version: inc.txn.version,
        stamp: inc.stamp,
    })
}

fn hold_cell(
    s: &Session,
    inc: &Incoming<'_>,
    cell: &InCell<'_>,
    reason: &str,
    clock: Option<&RowClock>,
) -> Result<Outcome> {
    if let Some(c) = clock.filter(|c| c.cl == inc.cl)
        && !wins(s, inc, c, cell)?
    {
        return Ok(Outcome { superseded: 1, ..Outcome::default() });
    }
    let name = inc.table.cols.get(cell.at).map_or("", |c| c.name.as_str());
    let w = whole(inc, name, cell.val, cell.stamp, cell.seq)?;
    held::hold(s, &w, reason, inc.peer.as_ref())?;
    Ok(Outcome { held: 1, ..Outcome::default() })
}

fn hold_row(
    s: &Session,
    inc: &Incoming<'_>,
    cells: &[InCell<'_>],
    reason: &str,
) -> Result<Outcome> {
    let mut out = Outcome::default();
    if let Some(seq) = inc.sentinel {
        let w = whole(inc, SENTINEL, ValueRef::Null, inc.cl, seq)?;
        held::hold(s, &w, reason, inc.peer.as_ref())?;
        out.held += 1;
    }
    for cell in cells {
        out.add(hold_cell(s, inc, cell, reason, None)?);
    }
    Ok(out)
}
