//! The flush: what the capture memory holds becomes one own transaction in the log, and clocks,
//! sorted, one write per touched row. It runs when the transaction commits, and before anybody
//! reads the feed or merges.

use std::rc::Rc;

use super::capture::BitSet;
use super::intent::{self, Meant};
use super::log::{self, Head, Record, Writer};
use super::memory::{Event, Given, KeyAt, Memory, Old, Op, Touch, key_in};
use super::session::Session;
use super::{alter, hand, parts, policy, revive, stale, sweep};
use crate::ground::catalog::Table;
use crate::words::dot::{Dot, Txn};
use crate::words::error::{Error, Result};
use crate::words::key::Key;
use crate::words::planted::planted;
use crate::words::rowclock::{Base, Cell, RowClock};

/// What waits in the memory, copied so that statements may run.
pub(super) struct Batch {
    pub events: Vec<Event>,
    /// What columns held that merge by intent, with positions in `events`.
    olds: Vec<Old>,
    touches: Vec<Touch>,
    pub keys: Vec<u8>,
    pub words: Vec<u64>,
}

impl Batch {
    /// What is known of a column before an event.
    pub fn old(&self, event: usize, col: u32) -> Option<&Old> {
        let from = self.olds.partition_point(|old| old.event < event);
        let mut of_event = self.olds.iter().skip(from).take_while(|old| old.event == event);
        of_event.find(|old| old.col == col)
    }
}

/// All events of one row.
pub(super) struct Group {
    pub table: Rc<Table>,
    pub key: KeyAt,
    /// Indices of its events.
    pub events: Vec<u32>,
    pub known: bool,
    pub clock: Option<RowClock>,
    pub outcome: Outcome,
    /// What its events mean beside its cells.
    pub meant: Meant,
}

/// What a row's events come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Nothing that anybody needs to know.
    Nothing,
    /// Dead, by this event.
    Dead { cl: u64, by: usize },
    /// In a new life, which this event began.
    Born { cl: u64, by: usize },
    /// Alive as before.
    Alive,
}

/// Writes what waits. Does nothing where nothing does.
pub fn flush(s: &Session) -> Result<()> {
    if !s.memory.borrow().dirty() {
        return Ok(());
    }
    let rowid = s.db.last_insert_rowid();
    let done = flush_dirty(s);
    if done.is_err() {
        s.texts.borrow_mut().clear();
    }
    s.db.set_last_insert_rowid(rowid);
    done
}

fn flush_dirty(s: &Session) -> Result<()> {
    if !s.installed()? {
        return Err(Error::corrupt("crsql's tables are gone while a transaction writes"));
    }
    hand::settle(s)?;
    let batch = copy(&s.memory.borrow());
    let saw = std::mem::take(&mut s.memory.borrow_mut().saw);
    if saw > 0 && !planted!("clock-ignores-merges") {
        log::saw_stamp(s, saw)?;
    }
    write_touches(s, &batch.touches)?;
    // A transaction of one new row mostly makes a row that nobody knew: it is not looked up first.
    let lone = matches!(batch.events.as_slice(), [e] if e.op == Op::Insert);
    if !lone || !write_events(s, &batch, true)? {
        write_events(s, &batch, false)?;
    }
    s.catalog.save_snapshots(&s.cache)?;
    let mut memory = s.memory.borrow_mut();
    memory.flushed = [memory.events.len(), memory.touches.len()];
    Ok(())
}

fn copy(m: &Memory) -> Batch {
    let [events, touches] = m.flushed;
    Batch {
        events: m.events.get(events..).unwrap_or(&[]).to_vec(),
        olds: m
            .olds
            .iter()
            .filter_map(|old| Some(Old { event: old.event.checked_sub(events)?, ..old.clone() }))
            .collect(),
        touches: m.touches.get(touches..).unwrap_or(&[]).to_vec(),
        keys: m.keys.clone(),
        words: m.words.clone(),
    }
}

fn write_touches(s: &Session, touches: &[Touch]) -> Result<()> {
    let mut order: Vec<&Touch> = touches.iter().collect();
    order.sort_by_key(|t| t.txn);
    for run in order.chunk_by(|a, b| a.txn == b.txn) {
        let Some(first) = run.first() else { continue };
        let stamp = run.iter().map(|t| t.stamp).max().unwrap_or(0);
        let mut writer = Writer::new(first.txn);
        for t in run {
            writer.push(t.tid, t.key.borrow(), t.seq, t.span);
        }
        match log::record(s, first.txn)? {
            Some(record) => writer.append(s, &record, stamp)?,
            None => {
                let record = Record { stamp, flags: 0, last_seq: 0, deps: None };
                writer.create(s, record)?;
            }
        }
    }
    Ok(())
}

/// Writes the events. With `unknown` their rows count as rows that have no clock yet; gives false,
/// and has written nothing, where one of them has.
fn write_events(s: &Session, batch: &Batch, unknown: bool) -> Result<bool> {
    let mut groups = group(s, batch, unknown)?;
    let mut spans = vec![0u64; batch.events.len()];
    // A text's edits have their stamp in them.
    let typed = groups.iter().any(|g| g.table.typed);
    let given = if typed { Some(give(s, &log::head(s)?)?) } else { None };
    for g in &mut groups {
        settle(s, batch, g, given.map_or(0, |given| given.stamp), &mut spans)?;
    }
    if spans.iter().all(|n| *n == 0) {
        return finish(s, batch, &groups).map(|()| true);
    }
    let head = log::head(s)?;
    let given = given.map_or_else(|| give(s, &head), Ok)?;
    let mut seq = s.memory.borrow().next_seq;
    let mut seqs = Vec::with_capacity(spans.len());
    let mut writer = Writer::new(Txn { site: head.own, version: given.version });
    for (event, span) in batch.events.iter().zip(&spans) {
        seqs.push(seq);
        if *span > 0 {
            writer.push(event.tid, key_in(&batch.keys, event.key), seq, *span);
        }
        seq += span;
    }
    let txn = Txn { site: head.own, version: given.version };
    let seen = revive::last_seen(s, &batch.keys, &groups)?;
    for g in &groups {
        if !write_clock(s, batch, g, txn, &seqs)? {
            if unknown {
                return Ok(false);
            }
            return Err(Error::corrupt("a row's clock cannot be found and is there"));
        }
        if g.table.typed {
            intent::write(s, batch, g, (txn, given.stamp), &seqs)?;
        }
    }
    let parts = write_log(s, &head, given, writer)?;
    revive::name(s, txn, &seen)?;
    let mut memory = s.memory.borrow_mut();
    memory.overwrote |= groups.iter().any(|g| g.known && g.outcome != Outcome::Nothing);
    memory.next_seq = seq;
    memory.given = Some(Given { part: given.part + parts, ..given });
    drop(memory);
    sweep::after(s, given.version, groups.iter().filter(|g| g.known).count() as u64)?;
    finish(s, batch, &groups)?;
    learn(s, &groups).map(|()| true)
}

/// Gives rows the form that they have on every replica.
fn finish(s: &Session, batch: &Batch, groups: &[Group]) -> Result<()> {
    canonicalise(s, batch, groups)?;
    for g in groups.iter().filter(|g| !g.meant.shown.is_empty()) {
        let key = key_in(&batch.keys, g.key).to_key();
        parts::show(s, &g.table, &key, &g.meant.shown)?;
    }
    Ok(())
}

/// Columns that were added since the triggers were made have been written: from now on they have
/// their numbers and the triggers name them.
fn learn(s: &Session, groups: &[Group]) -> Result<()> {
    let mut last = None;
    for g in groups.iter().filter(|g| g.table.stale) {
        if last.replace(g.table.tid) != Some(g.table.tid) {
            alter::learn(s, &g.table)?;
        }
    }
    Ok(())
}

/// The version of this transaction, given once, and its stamp. A stamp that this transaction
/// itself has merged past is given anew, so that what it writes from here on wins over what it saw.
fn give(s: &Session, head: &Head) -> Result<Given> {
    let given = s.memory.borrow().given;
    let Some(given) = given else {
        return Ok(Given { version: head.version + 1, stamp: log::next_stamp(s, head)?, part: 0 });
    };
    let written = head.version == given.version;
    let stamp = if written { head.stamp } else { given.stamp };
    if stamp > head.clock {
        return Ok(Given { stamp, ..given });
    }
    let given = Given { stamp: log::next_stamp(s, head)?, ..given };
    if written {
        log::set_stamp(s, Txn { site: head.own, version: given.version }, given.stamp)?;
        s.memory.borrow_mut().looked_up = None;
    }
    Ok(given)
}

fn write_log(s: &Session, head: &Head, given: Given, writer: Writer) -> Result<u64> {
    let txn = Txn { site: head.own, version: given.version };
    let there = if head.version < given.version { None } else { log::record(s, txn)? };
    match there {
        Some(record) => {
            writer.append(s, &record, given.stamp)?;
            Ok(1)
        }
        None => {
            let deps = head.deps.clone();
            let carried = deps.is_some();
            let record = Record { stamp: given.stamp, flags: 0, last_seq: 0, deps };
            let parts = writer.create(s, record)?;
            if carried {
                log::clear_deps(s)?;
            }
            Ok(parts)
        }
    }
}

/// Sorts the events by row. Events of one row stay in their order.
fn group(s: &Session, batch: &Batch, unknown: bool) -> Result<Vec<Group>> {
    let key = |i: &u32| {
        let e = batch.events.get(*i as usize);
        e.map(|e| (e.tid, key_in(&batch.keys, e.key)))
    };
    let mut order: Vec<u32> = (0..batch.events.len() as u32).collect();
    if !order.is_sorted_by_key(key) {
        order.sort_by_key(|i| (key(i), *i));
    }
    let mut out = Vec::with_capacity(order.len());
    for run in order.chunk_by(|a, b| key(a) == key(b)) {
        let Some(event) = run.first().and_then(|i| batch.events.get(*i as usize)) else { continue };
        let Some(table) = s.find_table(event.tid)? else { continue };
        let key = key_in(&batch.keys, event.key);
        let clock = match event.op {
            _ if unknown => None,
            Op::Insert => log::clock_of_new(s, event.tid, key)?,
            Op::Update(_) | Op::Exact(_) | Op::Delete => log::clock_of(s, event.tid, key)?,
        };
        out.push(Group {
            table,
            key: event.key,
            events: run.to_vec(),
            known: clock.is_some(),
            clock,
            outcome: Outcome::Nothing,
            meant: Meant::default(),
        });
    }
    Ok(out)
}

/// Works out what a row's events come to, and how many places each of them takes.
fn settle(s: &Session, batch: &Batch, g: &mut Group, stamp: u64, spans: &mut [u64]) -> Result<()> {
    let before = g.clock.as_ref().map_or(0, |c| c.cl);
    let was_alive = before % 2 == 1;
    let was_there = was_alive || before == 0 && !starts_with_insert(batch, g);
    let mut alive = was_there;
    let (mut died, mut life) = (false, None);
    for (n, i) in g.events.iter().enumerate() {
        let Some(event) = batch.events.get(*i as usize) else { continue };
        match event.op {
            Op::Delete => {
                if replaced_at_once(batch, g, n) {
                    continue;
                }
                policy::flushed(&g.table, event)?;
                // The death of a row that was born in here is nobody's concern.
                died |= was_there;
                alive = false;
                life = Some(*i as usize);
            }
            Op::Insert | Op::Update(_) | Op::Exact(_) if !alive => {
                alive = true;
                life = Some(*i as usize);
            }
            Op::Insert | Op::Update(_) | Op::Exact(_) => {}
        }
    }
    g.outcome = outcome(before, alive, died, life);
    if g.outcome == Outcome::Alive && before == 0 {
        // A row that was there before its clock, or was written while nobody watched.
        let first = g.events.first().map_or(0, |i| *i as usize);
        g.outcome = Outcome::Born { cl: 1, by: first };
    }
    let since = match g.outcome {
        Outcome::Nothing => return Ok(()),
        Outcome::Dead { by, .. } => {
            if let Some(span) = spans.get_mut(by) {
                *span = 1;
            }
            return Ok(());
        }
        Outcome::Born { by, .. } => by,
        Outcome::Alive => 0,
    };
    if g.table.typed {
        g.meant = intent::work_out(s, batch, g, (since, stamp))?;
    }
    for i in g.events.iter().map(|i| *i as usize).filter(|i| *i >= since) {
        let born = matches!(g.outcome, Outcome::Born { by, .. } if by == i);
        let cells = places(s, batch, g, i, born)?;
        let span = cells + g.meant.place(i, cells);
        if let Some(slot) = spans.get_mut(i) {
            *slot = span;
        }
    }
    Ok(())
}

fn outcome(before: u64, alive: bool, died: bool, life: Option<usize>) -> Outcome {
    let was_alive = before % 2 == 1;
    match (alive, life) {
        (true, Some(by)) if before == 0 && !died => Outcome::Born { cl: 1, by },
        (true, Some(by)) if before == 0 => Outcome::Born { cl: 3, by },
        (true, Some(by)) if was_alive && died => Outcome::Born { cl: before + 2, by },
        (true, Some(by)) if !was_alive && planted!("old-life-again") => {
            Outcome::Born { cl: before - 1, by }
        }
        (true, Some(by)) if !was_alive => Outcome::Born { cl: before + 1, by },
        (true, _) => Outcome::Alive,
        (false, Some(by)) if was_alive => Outcome::Dead { cl: before + 1, by },
        (false, Some(by)) if before == 0 && died => Outcome::Dead { cl: 2, by },
        (false, _) => Outcome::Nothing,
    }
}

/// A row that nobody knew and that begins with an insert was not there before.
fn starts_with_insert(batch: &Batch, g: &Group) -> bool {
    let first = g.events.first().and_then(|i| batch.events.get(*i as usize));
    first.is_some_and(|e| e.op == Op::Insert)
}

/// A delete that the same statement follows with an insert of the same key is a REPLACE.
fn replaced_at_once(batch: &Batch, g: &Group, n: usize) -> bool {
    let event = |n: usize| g.events.get(n).and_then(|i| batch.events.get(*i as usize));
    match (event(n), event(n + 1)) {
        (Some(a), Some(b)) => b.op == Op::Insert && a.statement == b.statement,
        _ => false,
    }
}

/// How many places an event takes.
fn places(s: &Session, batch: &Batch, g: &Group, i: usize, born: bool) -> Result<u64> {
    let Some(event) = batch.events.get(i) else { return Ok(0) };
    let cover = u64::from(g.table.cover());
    match event.op {
        _ if born => Ok(cover + u64::from(has_sentinel(g))),
        Op::Insert => Ok(cover),
        Op::Update(bits) | Op::Exact(bits) => {
            Ok(changed(s, batch, g, i, &BitSet::from_store(&batch.words, bits))?.len() as u64)
        }
        Op::Delete => Ok(0),
    }
}

/// Whether the birth of the row is a change of its own beside its cells.
fn has_sentinel(g: &Group) -> bool {
    g.table.cols.is_empty() || matches!(g.outcome, Outcome::Born { cl, .. } if cl > 1)
}

/// The ids of the columns whose cells an update wrote.
fn changed(s: &Session, batch: &Batch, g: &Group, i: usize, bits: &BitSet) -> Result<Vec<u32>> {
    let watched = bits.iter().filter_map(|at| g.table.watched.get(at).copied());
    let mut ids: Vec<u32> = watched.filter(|id| g.table.position(*id).is_some()).collect();
    if g.table.typed {
        let col = |id: u32| g.table.position(id).and_then(|at| g.table.cols.get(at));
        ids.retain(|id| col(*id).is_some_and(|c| g.meant.writes_cell(i, c)));
    }
    if g.table.stale {
        let key = key_in(&batch.keys, g.key);
        ids.extend(stale::unwatched_changes(s, &g.table, key, g.clock.as_ref())?);
    }
    Ok(ids)
}

/// Gives false where a row whose clock is new has one already.
fn write_clock(s: &Session, batch: &Batch, g: &Group, txn: Txn, seqs: &[u64]) -> Result<bool> {
    let seq_of = |i: usize| seqs.get(i).copied().unwrap_or(0);
    let key = key_in(&batch.keys, g.key);
    let tid = g.table.tid;
    let (mut clock, since) = match g.outcome {
        Outcome::Nothing => return Ok(true),
        Outcome::Dead { cl, by } => {
            let clock = RowClock::dead(cl, Dot { txn, seq: seq_of(by) });
            return log::try_clock(s, tid, key, &clock, g.known);
        }
        Outcome::Born { cl, by } => (born(g, cl, Dot { txn, seq: seq_of(by) }), by + 1),
        Outcome::Alive => {
            let Some(clock) = g.clock.clone() else { return Ok(true) };
            (clock, 0)
        }
    };
    let mut touched = matches!(g.outcome, Outcome::Born { .. });
    for i in g.events.iter().map(|i| *i as usize).filter(|i| *i >= since) {
        let Some(event) = batch.events.get(i) else { continue };
        match event.op {
            Op::Delete => {}
            Op::Insert => {
                touched |= rewrite(&mut clock, g, Dot { txn, seq: seq_of(i) });
            }
            Op::Update(bits) | Op::Exact(bits) => {
                let bits = BitSet::from_store(&batch.words, bits);
                for (n, col) in changed(s, batch, g, i, &bits)?.into_iter().enumerate() {
                    let dot = Dot { txn, seq: seq_of(i) + n as u64 };
                    clock.set(Cell { col, dot, stamp: None });
                    touched = true;
                }
            }
        }
    }
    if touched { log::try_clock(s, tid, key, &clock, g.known) } else { Ok(true) }
}

fn born(g: &Group, cl: u64, dot: Dot) -> RowClock {
    let sentinel = has_sentinel(g);
    let life = if sentinel { Some(dot) } else { None };
    let seq0 = dot.seq + u64::from(sentinel);
    let n = g.table.cover();
    let base = if n > 0 { Some(Base { txn: dot.txn, seq0, n }) } else { None };
    RowClock { cl, life, base, over: Vec::new() }
}

/// A REPLACE over a living row writes every cell and leaves its life alone.
fn rewrite(clock: &mut RowClock, g: &Group, dot: Dot) -> bool {
    let n = g.table.cover();
    if n == 0 || planted!("replace-not-noted") {
        return false;
    }
    clock.base = Some(Base { txn: dot.txn, seq0: dot.seq, n });
    clock.over.clear();
    true
}

/// Keys that were written in another than their canonical form get it, so that `typeof` agrees
/// on every replica.
fn canonicalise(s: &Session, batch: &Batch, groups: &[Group]) -> Result<()> {
    if planted!("key-as-written") {
        return Ok(());
    }
    let loose = |i: &u32| batch.events.get(*i as usize).is_some_and(|e| e.loose);
    let dead = |g: &Group| matches!(g.outcome, Outcome::Dead { .. });
    let odd = groups.iter().filter(|g| g.events.iter().any(loose) && !dead(g));
    let odd: Vec<&Group> = odd.collect();
    for of_table in odd.chunk_by(|a, b| a.table.tid == b.table.tid) {
        let keys = of_table.iter().map(|g| key_in(&batch.keys, g.key).to_key());
        let keys: Vec<Key> = keys.collect();
        if let Some(g) = of_table.first() {
            super::rows::canonicalise_keys(s, &g.table, &keys)?;
        }
    }
    Ok(())
}
