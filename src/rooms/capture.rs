//! Capture: the three functions that the triggers of a replicated table call. They remember the
//! key and the changed columns, nothing else; `flush.rs` writes the clocks when the transaction
//! ends or someone reads the feed.
//!
//! What has to be refused is refused here, where the statement can still fail.

use std::cell::RefCell;
use std::rc::Rc;

use super::memory::{Bits, Event, KeyAt, Memory, Old, Op};
use super::session::{Meaning, Said, Session};
use super::{policy, rights, upsert};
use crate::ground::catalog::Table;
use crate::ground::quote::ident;
use crate::ground::{Args, Out, Prep};
use crate::words::affinity::Affinity;
use crate::words::error::{Error, Result, SQLITE_CONSTRAINT, SQLITE_ERROR};
use crate::words::key;
use crate::words::keylist::KeyRef;
use crate::words::pack::canonical_key;
use crate::words::planted::planted;
use crate::words::value::ValueRef;

/// `crsql_internal_insert(tid, shape, new key ...)`
pub fn insert(s: &Rc<Session>, args: Args<'_>, _out: &mut Out<'_>) -> Result<()> {
    if s.is_merging() {
        return Ok(());
    }
    let table = begin(s, args)?;
    push(s, &table, args, 2, Op::Insert)?;
    rights::keep(s, &table, rights::Found::Told(&[]))?;
    policy::inserted(s, &table)
}

/// `crsql_internal_delete(tid, shape, old key ...)`
pub fn delete(s: &Rc<Session>, args: Args<'_>, _out: &mut Out<'_>) -> Result<()> {
    if s.is_merging() {
        return Ok(());
    }
    let table = begin(s, args)?;
    policy::deleted(s, &table)?;
    push(s, &table, args, 2, Op::Delete)
}

/// `crsql_internal_update(tid, shape, first column, [old key ..., new key ...], old, new, ...)`
pub fn update(s: &Rc<Session>, args: Args<'_>, _out: &mut Out<'_>) -> Result<()> {
    if s.is_merging() {
        return Ok(());
    }
    let table = begin(s, args)?;
    let first = position(args.get(2))?;
    let keys = if first == 0 { table.keys.len() } else { 0 };
    let pairs = 3 + 2 * keys;
    let watched = table.watched.len();
    let all = upsert::distrusts_old(s, first > 0)?;
    let mut set = BitSet::default();
    let meant = meant(s, &table, args, first)?;
    for (i, at) in (pairs..args.len()).step_by(2).enumerate() {
        let said = meant.as_ref().is_some_and(|m| table.watched.get(first + i) == Some(&m.col));
        if said || all || differ(&table, first + i, args.get(at), args.get(at + 1)) {
            set.add(first + i);
        }
    }
    let olds = if table.typed && !all {
        changed_by_intent(&table, args, (first, pairs), &set, meant.as_ref())?
    } else {
        Vec::new()
    };
    let found = if all { rights::Found::Untold } else { rights::Found::Told(&olds) };
    if first > 0 {
        more(&s.memory, set)?;
        if !all {
            rights::keep(s, &table, found)?;
        }
        remember(&mut s.memory.borrow_mut(), olds);
        return Ok(());
    }
    let moved =
        (0..keys).any(|k| canonical_key(args.get(3 + k)) != canonical_key(args.get(3 + keys + k)));
    if moved {
        policy::moved(&table)?;
        if !planted!("old-key-forgotten") {
            push(s, &table, args, 3, Op::Delete)?;
        }
        push(s, &table, args, 3 + keys, Op::Insert)?;
        return rights::keep(s, &table, rights::Found::Told(&[]));
    }
    let whole = args.len() >= pairs + 2 * watched;
    if whole && !table.stale && set.is_empty() && !loose(&table, args, 3 + keys) {
        return Ok(());
    }
    let bits = set.store(&mut s.memory.borrow_mut());
    let exactly = meant.as_ref().is_some_and(|m| matches!(m.said, Said::Exactly));
    let op = if exactly { Op::Exact(bits) } else { Op::Update(bits) };
    push(s, &table, args, 3 + keys, op)?;
    rights::keep(s, &table, found)?;
    remember(&mut s.memory.borrow_mut(), olds);
    Ok(())
}

/// What the write that runs means of this row, if it is more than its values tell. Triggers of the
/// application may write other rows meanwhile.
fn meant(s: &Session, table: &Table, args: Args<'_>, first: usize) -> Result<Option<Meaning>> {
    let Some(meant) = s.meant(table.tid).filter(|_| table.typed) else { return Ok(None) };
    let same = if first > 0 {
        let memory = s.memory.borrow();
        memory.events.last().is_some_and(|e| memory.key(e.key) == meant.key.borrow())
    } else {
        let mut bytes = Vec::new();
        let at = key_of(table, args, 3 + table.keys.len(), &mut bytes)?;
        key_ref(at, &bytes) == meant.key.borrow()
    };
    Ok(Some(meant).filter(|_| same))
}

/// What the changed columns held that merge by intent. Refuses what their types refuse.
fn changed_by_intent<'a>(
    table: &Table,
    args: Args<'a>,
    (first, pairs): (usize, usize),
    set: &BitSet,
    meant: Option<&Meaning>,
) -> Result<Vec<Before<'a>>> {
    let mut olds = Vec::new();
    for at in set.iter().filter(|at| *at >= first) {
        let col = table.watched.get(at).and_then(|id| table.position(*id));
        let Some(col) = col.and_then(|at| table.cols.get(at)) else { continue };
        let Some(kind) = col.merge.by_intent() else { continue };
        let pair = pairs + 2 * (at - first);
        let (old, new) = (args.get(pair), args.get(pair + 1));
        let said = match meant.filter(|m| m.col == col.id).map(|m| &m.said) {
            Some(Said::Exactly) => continue,
            // A trigger of the application wrote the row once more, and left the text alone.
            Some(Said::Splice(_)) if old == new => continue,
            said => said.cloned(),
        };
        if let Some(why) = kind.refuses(old, new) {
            let text = format!("column {}.{} {why}", table.name, col.name);
            return Err(Error::new(SQLITE_CONSTRAINT, text));
        }
        olds.push(Before { col: col.id, old, said });
    }
    Ok(olds)
}

/// What an update found in a column that merges by intent.
pub struct Before<'a> {
    /// The column's id.
    pub col: u32,
    /// What it held.
    pub old: ValueRef<'a>,
    said: Option<Said>,
}

/// So many of the newest entries are looked through for one that makes a new one needless.
const LOOK_BACK: usize = 16;

/// Keeps what columns held before the newest event, unless an event shortly before it of the same
/// row kept it: who types into a document writes all of it with every stroke.
fn remember(memory: &mut Memory, olds: Vec<Before<'_>>) {
    let Some(event) = memory.events.len().checked_sub(1) else { return };
    for Before { col, old, said } in olds {
        if said.is_some() || !is_kept(memory, event, col) {
            memory.olds.push(Old { event, col, val: old.to_owned(), said });
        }
    }
}

fn is_kept(memory: &Memory, event: usize, col: u32) -> bool {
    let row = |i: usize| memory.events.get(i).map(|e| (e.tid, memory.key(e.key)));
    let from = memory.flushed[0].max(event.saturating_sub(LOOK_BACK));
    let mut recent = memory.olds.iter().rev().take(LOOK_BACK);
    let Some(old) =
        recent.find(|old| old.event >= from && old.col == col && row(old.event) == row(event))
    else {
        return false;
    };
    let between = memory.events.get(old.event..event).unwrap_or(&[]);
    let other = |e: &Event| Some((e.tid, memory.key(e.key))) != row(event);
    between.iter().all(|e| other(e) || matches!(e.op, Op::Update(_)))
}

/// `crsql_internal_assigned(tid, shape, column id, old key ..., new key ...)`: a write between
/// `crsql_begin_alter` and `crsql_commit_alter`.
pub fn assigned(s: &Rc<Session>, args: Args<'_>, _out: &mut Out<'_>) -> Result<()> {
    if s.is_merging() {
        return Ok(());
    }
    let table = begin(s, args)?;
    let keys = table.keys.len();
    let same =
        (0..keys).all(|k| canonical_key(args.get(3 + k)) == canonical_key(args.get(3 + keys + k)));
    if !same {
        policy::moved(&table)?;
        push(s, &table, args, 3, Op::Delete)?;
        push(s, &table, args, 3 + keys, Op::Insert)?;
        return rights::keep(s, &table, rights::Found::Told(&[]));
    }
    let ValueRef::Int(id) = args.get(2) else { return Err(not_ours()) };
    let mut set = BitSet::default();
    if let Some(at) = table.watched.iter().position(|w| i64::from(*w) == id) {
        set.add(at);
    }
    let bits = set.store(&mut s.memory.borrow_mut());
    push(s, &table, args, 3 + keys, Op::Update(bits))?;
    rights::keep(s, &table, rights::Found::Assigned(id))
}

/// `crsql_internal_foreign(tid, key ...)`: 1 for a write that an application's trigger attempts
/// while a merge runs.
pub fn foreign(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    if !s.is_merging() {
        out.int(0);
        return Ok(());
    }
    let tid = position(args.get(0))? as u32;
    let table = s.table(tid)?;
    let mut bytes = Vec::new();
    let at = key_of(&table, args, 1, &mut bytes)?;
    out.int(i64::from(s.is_foreign(tid, key_ref(at, &bytes))));
    Ok(())
}

/// The key that `key_of` gave.
fn key_ref(at: Option<i64>, bytes: &[u8]) -> KeyRef<'_> {
    at.map_or(KeyRef::Packed(bytes), KeyRef::Int)
}

fn begin(s: &Session, args: Args<'_>) -> Result<Rc<Table>> {
    let ValueRef::Int(tid) = args.get(0) else { return Err(not_ours()) };
    let tid = u32::try_from(tid).map_err(|_| not_ours())?;
    if !s.memory.borrow().enlisted {
        if !s.db.in_write_txn() {
            return Err(not_of_main());
        }
        s.enlist()?;
        s.installed()?;
    }
    if s.db.has_attached() {
        refuse_copy(s)?;
    }
    let own = |t: &Rc<Table>| args.get(1) == ValueRef::Int(i64::from(t.shape));
    if s.catalog.installed()
        && let Some(table) = s.find_table(tid)?.filter(own)
    {
        return Ok(table);
    }
    s.catalog.forget();
    let table = if s.installed()? { s.find_table(tid)? } else { None };
    table.filter(own).ok_or_else(not_of_main)
}

/// Tables are told apart by numbers, and each file counts for itself; but shape numbers begin at
/// random.
fn not_of_main() -> Error {
    Error::refused(
        "crsql's trigger is not of the main database of this connection: a replicated table can \
         only be written where its file is main, not where it is attached",
    )
}

/// An attached copy of the file has the same numbers, so what is written in both cannot be told
/// apart. Whether a database is one is asked once in a transaction.
fn refuse_copy(s: &Session) -> Result<()> {
    for (n, name) in s.db.attached_in_write_txn() {
        if s.memory.borrow().no_copies.contains(&n) {
            continue;
        }
        let sql = format!(
            "SELECT 1 FROM main.crsql_tables m JOIN {}.crsql_tables c USING(tid, shape) LIMIT 1",
            ident(&name)
        );
        let copy = match s.db.prepare(&sql, Prep::Once) {
            Ok(mut stmt) => stmt.step()?,
            // One of the two has no such table.
            Err(e) if e.code == SQLITE_ERROR => false,
            Err(e) => return Err(e),
        };
        if copy {
            return Err(Error::refused(format!(
                "the attached database {name} is a copy of the main one, and both are written in \
                 one transaction: crsql cannot tell their rows apart; write to the copy in a \
                 connection of its own, where it is main"
            )));
        }
        s.memory.borrow_mut().no_copies.push(n);
    }
    Ok(())
}

fn not_ours() -> Error {
    Error::refused("this function belongs to crsql's triggers and does nothing when called by hand")
}

fn position(v: ValueRef<'_>) -> Result<usize> {
    match v {
        ValueRef::Int(i) => usize::try_from(i).map_err(|_| not_ours()),
        _ => Err(not_ours()),
    }
}

/// Whether a column's value differs. A REAL column stores -0.0 as 0.0.
fn differ(table: &Table, at: usize, old: ValueRef<'_>, new: ValueRef<'_>) -> bool {
    if old == new {
        return false;
    }
    if let (ValueRef::Real(a), ValueRef::Real(b)) = (old, new)
        && a == b
    {
        let col = table.watched.get(at).and_then(|id| table.position(*id));
        let real = |p: usize| table.cols.get(p).is_some_and(|c| c.affinity == Affinity::Real);
        return !col.is_some_and(real);
    }
    true
}

fn loose(table: &Table, args: Args<'_>, from: usize) -> bool {
    table
        .keys
        .iter()
        .enumerate()
        .any(|(i, k)| k.loose && matches!(args.get(from + i), ValueRef::Real(r) if r == r.trunc()))
}

/// Appends the stored form of the key, or gives its integer.
fn key_of(table: &Table, args: Args<'_>, from: usize, out: &mut Vec<u8>) -> Result<Option<i64>> {
    let named = |e: Error| Error::new(e.code, format!("table {}: {}", table.name, e.text));
    if let [_] = table.keys.as_slice() {
        return key::store(table.kind, &[args.get(from)], out).map_err(named);
    }
    let values: Vec<_> = (0..table.keys.len()).map(|i| args.get(from + i)).collect();
    key::store(table.kind, &values, out).map_err(named)
}

fn push(s: &Session, table: &Table, args: Args<'_>, from: usize, op: Op) -> Result<()> {
    let statement = s.db.total_changes();
    let loose = loose(table, args, from);
    let mut memory = s.memory.borrow_mut();
    let start = memory.keys.len();
    let key = match key_of(table, args, from, &mut memory.keys)? {
        Some(i) => KeyAt::Int(i),
        None => KeyAt::Bytes { at: small(start)?, len: small(memory.keys.len() - start)? },
    };
    memory.events.push(Event { tid: table.tid, key, op, statement, loose });
    Ok(())
}

fn small(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| {
        Error::refused("the transaction has written more keys than fit in 4 GiB; commit earlier")
    })
}

/// Adds what a further call of the same trigger found to the event of its first call.
fn more(memory: &RefCell<Memory>, set: BitSet) -> Result<()> {
    let mut memory = memory.borrow_mut();
    let Some(last) = memory.events.last().copied() else { return Ok(()) };
    let (Op::Update(bits) | Op::Exact(bits)) = last.op else { return Ok(()) };
    let mut whole = BitSet::load(&memory, bits);
    whole.join(&set);
    let bits = whole.store(&mut memory);
    if let Some(last) = memory.events.last_mut() {
        last.op = match last.op {
            Op::Exact(_) => Op::Exact(bits),
            _ => Op::Update(bits),
        };
    }
    Ok(())
}

/// A set of column positions under construction.
#[derive(Default)]
pub struct BitSet {
    few: u64,
    many: Vec<u64>,
}

impl BitSet {
    /// The set that an event refers to.
    pub fn load(memory: &Memory, bits: Bits) -> Self {
        Self::from_store(&memory.words, bits)
    }

    /// The same, from a copy of the memory's bit store.
    pub fn from_store(words: &[u64], bits: Bits) -> Self {
        match bits {
            Bits::Few(few) => Self { few, many: Vec::new() },
            Bits::Many { at, len } => {
                let at = at as usize;
                let words = words.get(at..at + len as usize).unwrap_or(&[]);
                let few = words.first().copied().unwrap_or(0);
                Self { few, many: words.get(1..).unwrap_or(&[]).to_vec() }
            }
        }
    }

    /// Adds a position.
    pub fn add(&mut self, at: usize) {
        match (at / 64).checked_sub(1) {
            None => self.few |= 1 << at,
            Some(word) => {
                if self.many.len() <= word {
                    self.many.resize(word + 1, 0);
                }
                if let Some(w) = self.many.get_mut(word) {
                    *w |= 1 << (at % 64);
                }
            }
        }
    }

    /// Adds all positions of another set.
    pub fn join(&mut self, other: &BitSet) {
        for at in other.iter() {
            self.add(at);
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.few == 0 && self.many.iter().all(|w| *w == 0)
    }

    /// The positions, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let words = std::iter::once(self.few).chain(self.many.iter().copied());
        words.enumerate().flat_map(|(i, word)| {
            let rest = std::iter::successors(Some(word), |w| Some(w & w.wrapping_sub(1)));
            let rest = rest.take_while(|w| *w != 0);
            rest.map(move |w| i * 64 + w.trailing_zeros() as usize)
        })
    }

    fn store(self, memory: &mut Memory) -> Bits {
        if self.many.is_empty() {
            return Bits::Few(self.few);
        }
        let at = memory.words.len() as u32;
        memory.words.push(self.few);
        memory.words.extend_from_slice(&self.many);
        Bits::Many { at, len: self.many.len() as u32 + 1 }
    }
}
