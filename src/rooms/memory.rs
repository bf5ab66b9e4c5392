//! What the open transaction has done so far and not yet written to the log: the capture memory.
//!
//! The flush law. The memory is an append-only list with a mark of what was flushed.
//! `savepoint(n)` notes its length, the mark and the next place; `rollback_to(n)` restores all
//! three; only the end of the transaction empties it. So a flush may run many times in one
//! transaction and still gives the same version, stamp and places.
//!
//! Touches nothing but itself.

use std::rc::Rc;

use super::omits::Omits;
use super::session::Said;
use super::upsert;
use crate::words::dot::{SiteId, Txn};
use crate::words::key::Key;
use crate::words::keylist::KeyRef;
use crate::words::planted::planted;
use crate::words::ranges::RangeSet;
use crate::words::rowclock::RowClock;
use crate::words::value::Value;
use crate::words::vector::Vector;

/// What a statement did to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The row was inserted, or replaced.
    Insert,
    /// These columns were changed.
    Update(Bits),
    /// The same, and exactly what was written is meant (`types/`).
    Exact(Bits),
    /// The row was deleted.
    Delete,
}

/// A set of positions in a table's list of watched columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// Positions below 64.
    Few(u64),
    /// Words `at` to `at + len` of the memory's bit store.
    Many {
        /// The first word.
        at: u32,
        /// How many words.
        len: u32,
    },
}

/// A key in the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAt {
    /// The integer.
    Int(i64),
    /// Bytes `at` to `at + len` of the memory's key store.
    Bytes {
        /// The first byte.
        at: u32,
        /// How many.
        len: u32,
    },
}

/// One captured row.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The table.
    pub tid: u32,
    /// The row.
    pub key: KeyAt,
    /// What happened to it.
    pub op: Op,
    /// `sqlite3_total_changes64` at the time: equal within one statement.
    pub statement: i64,
    /// The key was not in its canonical form.
    pub loose: bool,
}

/// What a column held that merges by intent, before an event changed it.
#[derive(Clone, Debug)]
pub struct Old {
    /// The event.
    pub event: usize,
    /// The column's id.
    pub col: u32,
    /// The value.
    pub val: Value,
    /// What the event was said to mean.
    pub said: Option<Said>,
}

/// A change that a merge wrote, which the log does not list yet.
#[derive(Clone, Debug)]
pub struct Touch {
    /// The change's transaction.
    pub txn: Txn,
    /// The transaction's stamp; 0 where nobody said.
    pub stamp: u64,
    /// The table.
    pub tid: u32,
    /// The row.
    pub key: Key,
    /// The first place.
    pub seq: u64,
    /// How many places.
    pub span: u64,
}

/// A row whose clock is in memory (`hand.rs`).
#[derive(Clone, Debug)]
pub struct Hand {
    /// The table.
    pub tid: u32,
    /// The row.
    pub key: Key,
    /// Its clock as it is now.
    pub clock: RowClock,
    /// The file has a clock of it.
    pub known: bool,
    /// The file's clock, or that it has none, is out of date.
    pub dirty: bool,
}

/// Integer keys of a table between which no row has a clock: a look-up that found none knows how
/// far that goes, so rows that come in the order of their keys are looked up once in all.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// The table.
    pub tid: u32,
    /// The keys are greater than this one,
    pub after: i64,
    /// and less than this one, where there is any.
    pub before: Option<i64>,
}

impl Gap {
    /// Whether a key lies in it.
    pub fn has(&self, tid: u32, key: KeyRef<'_>) -> bool {
        let within = |i| self.after < i && self.before.is_none_or(|before| i < before);
        self.tid == tid && matches!(key, KeyRef::Int(i) if within(i))
    }
}

/// The version, stamp and place that the transaction's flushes have used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// The own version.
    pub version: u64,
    /// Its stamp.
    pub stamp: u64,
    /// The part of the log that comes next.
    pub part: u64,
}

#[derive(Clone, Debug)]
struct Mark {
    savepoint: i32,
    hand: Option<Rc<Hand>>,
    lengths: [usize; 4],
    flushed: [usize; 2],
    next_seq: u64,
    part: u64,
    rows_impacted: i64,
    saw: u64,
}

/// The capture memory.
#[derive(Default)]
pub struct Memory {
    /// The captured rows, in the order of writing.
    pub events: Vec<Event>,
    /// What columns held that merge by intent, by event.
    pub olds: Vec<Old>,
    /// The merged changes, in the order of arrival.
    pub touches: Vec<Touch>,
    /// Bytes of packed keys.
    pub keys: Vec<u8>,
    /// Words of wide column sets.
    pub words: Vec<u64>,
    /// The row in hand.
    pub hand: Option<Rc<Hand>>,
    /// Where the last look-up of a clock found none.
    pub gap: Option<Gap>,
    /// The file's own site, once asked.
    pub own: Option<(u32, SiteId)>,
    /// How many events and touches are in the log already.
    pub flushed: [usize; 2],
    /// What the flushes of this transaction use.
    pub given: Option<Given>,
    /// The next place of the own version.
    pub next_seq: u64,
    /// Rows that merges changed in this transaction.
    pub rows_impacted: i64,
    /// The transaction knows us.
    pub enlisted: bool,
    /// The greatest stamp that was merged in this transaction.
    pub saw: u64,
    /// A transaction's record that was looked up: the stamp that its cells carry.
    pub looked_up: Option<(Txn, u64)>,
    /// What the site of a transaction had heard of ours before it, down to a stamp (`revive.rs`).
    pub heard: Option<(Txn, u64, RangeSet)>,
    /// Whether anything is held in this file, once asked.
    pub any_held: Option<bool>,
    /// Whether anything is lacking in this file, once asked.
    pub any_lacking: Option<bool>,
    /// Where it is: the versions of which rows came one by one in this transaction.
    pub row_by_row: Omits,
    /// What had been seen before the open transaction began to merge, and the newest own version.
    pub before: Option<(Rc<Vector>, u64)>,
    /// The open transaction wrote over something that was committed before.
    pub overwrote: bool,
    /// What is known of the statements on a library that has a fault.
    pub upserts: upsert::Known,
    /// The attached databases that are known not to be copies of this file.
    pub no_copies: Vec<i32>,
    marks: Vec<Mark>,
}

impl Memory {
    /// Whether something waits for a flush.
    pub fn dirty(&self) -> bool {
        self.flushed != [self.events.len(), self.touches.len()]
            || self.saw > 0
            || self.hand.is_some()
    }

    /// A key of an event.
    pub fn key(&self, at: KeyAt) -> KeyRef<'_> {
        key_in(&self.keys, at)
    }

    /// A savepoint was opened.
    pub fn savepoint(&mut self, n: i32) {
        self.marks.retain(|m| m.savepoint < n);
        self.marks.push(Mark {
            savepoint: n,
            hand: self.hand.clone(),
            lengths: [self.events.len(), self.touches.len(), self.keys.len(), self.words.len()],
            flushed: self.flushed,
            next_seq: self.next_seq,
            part: self.given.map_or(0, |g| g.part),
            rows_impacted: self.rows_impacted,
            saw: self.saw,
        });
    }

    /// A savepoint was released, and all inside it.
    pub fn release(&mut self, n: i32) {
        self.marks.retain(|m| m.savepoint < n);
    }

    /// The transaction went back to a savepoint. One that was opened before the transaction knew
    /// us is the beginning of all we remember.
    pub fn rollback_to(&mut self, n: i32) {
        self.marks.retain(|m| m.savepoint <= n);
        let Some(mark) = self.marks.last().filter(|m| m.savepoint == n).cloned() else {
            let enlisted = self.enlisted;
            let marks = std::mem::take(&mut self.marks);
            let given = self.given;
            let before = self.before.take();
            let upserts = self.upserts;
            *self = Self { enlisted, marks, given, before, upserts, ..Self::default() };
            if let Some(given) = &mut self.given {
                given.part = 0;
            }
            return;
        };
        self.looked_up = None;
        self.heard = None;
        self.any_held = None;
        self.any_lacking = None;
        self.row_by_row.clear();
        self.own = None;
        self.hand = mark.hand;
        self.gap = None;
        let [events, touches, keys, words] = mark.lengths;
        if !planted!("rolled-back-rows-kept") {
            self.events.truncate(events);
        }
        self.olds.retain(|old| old.event < events);
        self.touches.truncate(touches);
        self.keys.truncate(keys);
        self.words.truncate(words);
        if !planted!("mark-kept-by-rollback") {
            self.flushed = mark.flushed;
        }
        self.next_seq = mark.next_seq;
        self.rows_impacted = mark.rows_impacted;
        self.saw = mark.saw;
        if let Some(given) = &mut self.given {
            given.part = mark.part;
        }
    }

    /// The transaction ended.
    pub fn end(&mut self) {
        let (mut events, mut touches) =
            (std::mem::take(&mut self.events), std::mem::take(&mut self.touches));
        let mut keys = std::mem::take(&mut self.keys);
        let keep = 1 << 14;
        events.clear();
        events.shrink_to(keep);
        touches.clear();
        touches.shrink_to(keep);
        keys.clear();
        keys.shrink_to(keep * 16);
        *self = Self { events, touches, keys, upserts: self.upserts, ..Self::default() };
    }

    /// Appends a touch, joined to the one before it where it carries that on.
    pub fn touch(&mut self, touch: Touch) {
        let open = self.marks.last().map_or(0, |m| m.lengths[1]).max(self.flushed[1]);
        if self.touches.len() > open
            && let Some(last) = self.touches.last_mut()
            && last.txn == touch.txn
            && last.seq + last.span == touch.seq
            && last.tid == touch.tid
            && last.key == touch.key
            && last.stamp == touch.stamp
        {
            last.span += touch.span;
            return;
        }
        self.touches.push(touch);
    }
}

/// A key in a copy of the memory's key store.
pub fn key_in(keys: &[u8], at: KeyAt) -> KeyRef<'_> {
    match at {
        KeyAt::Int(i) => KeyRef::Int(i),
        KeyAt::Bytes { at, len } => {
            let (at, len) = (at as usize, len as usize);
            KeyRef::Packed(keys.get(at..at + len).unwrap_or(&[]))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn event(i: i64) -> Event {
        Event { tid: 1, key: KeyAt::Int(i), op: Op::Insert, statement: 0, loose: false }
    }

    #[test]
    fn c10_rollback_to_restores_length_mark_and_place() {
        let mut m = Memory::default();
        m.events.push(event(1));
        m.savepoint(0);
        m.events.push(event(2));
        m.flushed = [2, 0];
        m.next_seq = 9;
        m.rollback_to(0);
        assert_eq!((m.events.len(), m.flushed, m.next_seq), (1, [0, 0], 0));
        m.events.push(event(3));
        m.rollback_to(0);
        assert_eq!(m.events.len(), 1, "a savepoint stays after ROLLBACK TO");
        m.release(0);
        m.savepoint(0);
        m.end();
        assert!(!m.dirty());
    }

    #[test]
    fn c10_a_savepoint_older_than_our_enlisting_empties_the_memory() {
        let mut m = Memory { enlisted: true, ..Memory::default() };
        m.savepoint(2);
        m.events.push(event(1));
        m.rollback_to(1);
        assert!(m.events.is_empty() && m.enlisted);
    }
}
