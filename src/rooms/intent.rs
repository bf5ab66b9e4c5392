//! What was meant by local writes to columns that merge by intent (`types/`): the flush asks, for
//! each row that was written, which parts come of it.

use std::collections::BTreeMap;

use super::capture::BitSet;
use super::flush::{Batch, Group, Outcome};
use super::memory::{Op, key_in};
use super::parts;
use super::rows;
use super::session::{Said, Session};
use super::text;
use crate::ground::catalog::Col;
use crate::types::{self, Parts, Registers, Type, Writer};
use crate::words::dot::{Dot, Txn};
use crate::words::error::Result;
use crate::words::value::{Value, ValueRef};
use crate::words::vector::hex16;

/// What a row's events mean beside its cells.
#[derive(Default)]
pub struct Meant {
    /// The parts, by event.
    pub parts: Vec<Wrote>,
    /// Columns whose base is to be kept, by id.
    pub(super) bases: Vec<(u32, Value)>,
    /// The events that write the cell of a column, by its id: they mean exactly what they write.
    pub(super) whole: Vec<(usize, u32)>,
    /// What columns show, where that is not what was written.
    pub shown: Vec<(usize, Value)>,
}

/// A part that an event writes.
pub struct Wrote {
    /// The event.
    pub event: usize,
    /// How many places after the event's first one.
    pub offset: u64,
    pub(super) col: u32,
    pub(super) register: String,
    pub(super) val: Value,
}

impl Meant {
    /// Whether an update writes the cell of this column.
    pub fn writes_cell(&self, event: usize, col: &Col) -> bool {
        col.merge.by_intent().is_none() || self.whole.contains(&(event, col.id))
    }

    /// Gives an event's parts their places, after its cells; and tells how many.
    pub fn place(&mut self, event: usize, cells: u64) -> u64 {
        let of_event = self.parts.iter_mut().filter(|w| w.event == event);
        of_event.zip(cells..).map(|(w, offset)| w.offset = offset).count() as u64
    }
}

/// One column of a row that was written.
pub(super) struct Column<'a> {
    pub col: &'a Col,
    kind: &'a dyn Type,
    /// What it holds now.
    pub current: ValueRef<'a>,
    /// The last event that wrote exactly its value.
    pub exact: Option<usize>,
    /// The updates after that.
    pub updates: Vec<usize>,
}

impl Column<'_> {
    fn writes_exactly(&mut self, event: usize) {
        self.exact = Some(event);
        self.updates.clear();
    }
}

/// Works out what a row's events mean. `since` is the first of them that counts.
pub(super) fn work_out(
    s: &Session,
    batch: &Batch,
    g: &Group,
    (since, stamp): (usize, u64),
) -> Result<Meant> {
    let mut meant = Meant::default();
    let key = key_in(&batch.keys, g.key);
    let Some(row) = rows::read(s, &g.table, &key.to_key())? else { return Ok(meant) };
    let (own, id) = s.own_site()?;
    let site = hex16(&id);
    for (at, col) in g.table.cols.iter().enumerate() {
        let Some(kind) = col.merge.by_intent() else { continue };
        let column = look(batch, g, since, (col, kind, row.value(at as i32)));
        if column.exact.is_none() && column.updates.is_empty() {
            continue;
        }
        let born = matches!(g.outcome, Outcome::Born { .. });
        if kind.is_text() && !born {
            text::wrote(s, batch, g, &column, (at, stamp), &mut meant)?;
            continue;
        }
        let before = if born { None } else { parts::state(s, g.table.tid, key, col.id)? };
        let cell = g.clock.as_ref().and_then(|clock| clock.cell(col.id));
        let owns_base = cell.is_some_and(|cell| cell.dot.txn.site == own);
        let by = Writer { site: &site, owns_base, host: s, stamp };
        if let Some(shown) = one(s, batch, &column, (before, born), &by, &mut meant)? {
            meant.shown.push((at, shown));
        }
    }
    meant.parts.sort_by_key(|w| w.event);
    Ok(meant)
}

fn look<'a>(
    batch: &Batch,
    g: &Group,
    since: usize,
    (col, kind, current): (&'a Col, &'a dyn Type, ValueRef<'a>),
) -> Column<'a> {
    let touches = |bits| {
        let bits = BitSet::from_store(&batch.words, bits);
        bits.iter().any(|at| g.table.watched.get(at) == Some(&col.id))
    };
    let mut column = Column { col, kind, current, exact: None, updates: Vec::new() };
    for i in g.events.iter().map(|i| *i as usize).filter(|i| *i >= since) {
        let born = matches!(g.outcome, Outcome::Born { by, .. } if by == i);
        match batch.events.get(i).map(|e| e.op) {
            Some(Op::Update(bits)) if !born && touches(bits) => {
                let old = batch.old(i, col.id).map_or(ValueRef::Null, |old| old.val.as_ref());
                match kind.changes(old) {
                    true => column.updates.push(i),
                    false => column.writes_exactly(i),
                }
            }
            Some(Op::Exact(bits)) if !born && !touches(bits) => {}
            Some(Op::Insert | Op::Exact(_)) => column.writes_exactly(i),
            Some(Op::Update(_)) if born => column.writes_exactly(i),
            Some(Op::Update(_) | Op::Delete) | None => {}
        }
    }
    column
}

/// The registers that a column's events write, each with the event that wrote it last.
#[derive(Default)]
struct Written(BTreeMap<String, (usize, Value)>);

impl Written {
    fn add(&mut self, parts: &mut Parts, event: usize, registers: Registers) {
        for (register, val) in registers {
            parts.list.insert(register.clone(), val.clone());
            self.0.insert(register, (event, val));
        }
    }
}

/// One column. Gives what it shows, where that is not what it holds.
fn one(
    s: &Session,
    batch: &Batch,
    c: &Column<'_>,
    (before, born): (Option<Parts>, bool),
    by: &Writer<'_>,
    meant: &mut Meant,
) -> Result<Option<Value>> {
    let mut wrote = Written::default();
    let kept = before.is_some();
    let old = c.updates.iter().find_map(|event| batch.old(*event, c.col.id));
    let mut parts = match (before, &c.exact, old) {
        (Some(parts), ..) => parts,
        (None, Some(_), _) => Parts::default(),
        (None, None, Some(old)) => Parts { base: old.val.clone(), ..Parts::default() },
        (None, None, None) => {
            meant.whole.extend(c.updates.iter().map(|event| (*event, c.col.id)));
            return Ok(None);
        }
    };
    let mut found = old.map(|old| old.val.clone());
    if let Some(event) = c.exact {
        meant.whole.push((event, c.col.id));
        // What a new row was updated to in the same go is what it was born with.
        let value = found.filter(|_| !born).unwrap_or_else(|| c.current.to_owned());
        let base = types::stored(c.col.affinity, c.kind.exactly(&parts, value.as_ref()));
        parts.base = base;
        let registers = c.kind.inserted(by, &parts, value.as_ref())?;
        wrote.add(&mut parts, event, registers);
        found = Some(value);
    }
    if let (Some(last), false) = (c.updates.last(), born) {
        for event in &c.updates {
            let said = batch.old(*event, c.col.id).and_then(|old| old.said.clone());
            if let Some(Said::Registers(said)) = said {
                wrote.add(&mut parts, *event, said);
                found = None;
            }
        }
        let old = match found {
            Some(found) => found,
            None => parts::shown(s, c.kind, c.col, &parts)?,
        };
        let registers = c.kind.updated(by, &parts, old.as_ref(), c.current)?;
        wrote.add(&mut parts, *last, registers);
        // From NULL to 0 nothing is added, and yet something was written.
        if parts.list.is_empty() && c.kind.shows_what_is_written() {
            meant.whole.push((*last, c.col.id));
            parts.base = types::stored(c.col.affinity, c.kind.exactly(&parts, c.current));
        }
    }
    if if kept { c.exact.is_some() } else { !wrote.0.is_empty() } {
        meant.bases.push((c.col.id, parts.base.clone()));
    }
    for (register, (event, val)) in wrote.0 {
        meant.parts.push(Wrote { event, offset: 0, col: c.col.id, register, val });
    }
    let shown = parts::shown(s, c.kind, c.col, &parts)?;
    debug_assert!(is_what_was_written(c, &shown), "{} for {:?}", c.kind.name(), c.current);
    Ok((shown.as_ref() != c.current).then_some(shown))
}

/// Whether a column shows what was written, where its type promises that.
fn is_what_was_written(c: &Column<'_>, shown: &Value) -> bool {
    let taken = c.kind.refuses(ValueRef::Null, c.current).is_none();
    // Sums stop at the ends of INTEGER.
    let exact = matches!(c.current, ValueRef::Text(_)) && c.kind.shows_what_is_written();
    if !taken || !exact {
        return true;
    }
    c.kind.exactly(&Parts::default(), c.current) == *shown
}

/// Writes what was meant.
pub(super) fn write(
    s: &Session,
    batch: &Batch,
    g: &Group,
    (txn, stamp): (Txn, u64),
    seqs: &[u64],
) -> Result<()> {
    let (key, tid) = (key_in(&batch.keys, g.key), g.table.tid);
    if g.known && matches!(g.outcome, Outcome::Born { .. } | Outcome::Dead { .. }) {
        parts::drop_row(s, &g.table, key)?;
    }
    for (col, base) in &g.meant.bases {
        parts::put_base(s, tid, key, *col, base.as_ref())?;
    }
    for w in &g.meant.parts {
        let seq = seqs.get(w.event).copied().unwrap_or(0) + w.offset;
        let at = (Dot { txn, seq }, stamp);
        parts::put(s, tid, key, (w.col, &w.register), w.val.as_ref(), at)?;
    }
    Ok(())
}
