//! The log: the record of every transaction that this file knows, own or merged, and which rows
//! each of them touched. The only writer of `crsql_log` and of the clock tables.
//!
//! A record's list of rows never says what is left of the transaction; a row's clock does. So an
//! entry may be stale, and reading skips it.

use super::hand;
use super::memory::Gap;
use super::session::Session;
use crate::ground::cache::{Fixed, Slot};
use crate::ground::catalog::clock_table;
use crate::ground::store;
use crate::words::clock;
use crate::words::dot::{Dot, MAX_COUNT, Txn};
use crate::words::error::{Error, Result};
use crate::words::keylist::{self, Entry, KeyRef};
use crate::words::planted::planted;
use crate::words::rowclock::RowClock;
use crate::words::value::ValueRef;

/// The cells were there before the table was replicated: they count as written at the lowest
/// stamp, whatever the record's own stamp is.
pub const BACKFILL: i64 = 1;
/// The transaction was first issued under another identity.
pub const REISSUED: i64 = 2;
/// The lists of the parts do not ascend from part to part.
pub const UNSORTED: i64 = 8;

/// A part's list is closed when it has grown to this many bytes. Four such rows fit into a page of
/// 4096 bytes: SQLite reads the whole of a larger one, from pages elsewhere, to compare its key.
const PART_BYTES: usize = 900;

// A bare ?1 would make SQLite plan this anew once it sees the number.
const NEWEST: Fixed =
    Fixed(40, "SELECT version, stamp FROM crsql_log WHERE site = ?1 + 0 ORDER BY version DESC");
const RECORD: Fixed = Fixed(
    41,
    "SELECT stamp, flags, last_seq, deps FROM crsql_log
     WHERE site = ?1 AND version = ?2 AND part = 0",
);
const INSERT: Fixed = Fixed(42, "INSERT INTO crsql_log VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
const SET_LAST: Fixed = Fixed(
    43,
    "UPDATE crsql_log SET last_seq = max(last_seq, ?3), flags = flags | ?4,
            stamp = CASE stamp WHEN 0 THEN ?5 ELSE stamp END
     WHERE site = ?1 AND version = ?2 AND part = 0",
);
const NEXT_PART: Fixed =
    Fixed(44, "SELECT max(part) + 1 FROM crsql_log WHERE site = ?1 AND version = ?2");
const PARTS: Fixed = Fixed(
    45,
    "SELECT rows FROM crsql_log WHERE site = ?1 AND version = ?2 AND part >= ?3 ORDER BY part",
);
const NEXT_VERSION: Fixed = Fixed(
    46,
    "SELECT version FROM crsql_log WHERE site = ?1 AND version > ?2 AND version <= ?3
     ORDER BY version LIMIT 1",
);
const CLEAR_DEPS: Fixed = Fixed(47, "UPDATE crsql_state SET deps = NULL");
const SET_CLOCK: Fixed = Fixed(48, "UPDATE crsql_state SET clock = max(clock, ?1)");
const SET_DEPS: Fixed =
    Fixed(49, "UPDATE crsql_log SET deps = ?3 WHERE site = ?1 AND version = ?2 AND part = 0");
const SET_STAMP: Fixed =
    Fixed(50, "UPDATE crsql_log SET stamp = ?3 WHERE site = ?1 AND version = ?2 AND part = 0");
const REACH: Fixed = Fixed(
    51,
    "UPDATE crsql_log SET last_seq = ?3
     WHERE site = ?1 AND version = ?2 AND part = 0 AND last_seq < ?3",
);

/// The newest own transaction and what the next one needs.
pub struct Head {
    /// The own site's ordinal.
    pub own: u32,
    /// The newest own version; 0 before the first.
    pub version: u64,
    /// Its stamp.
    pub stamp: u64,
    /// The greatest stamp merged here.
    pub clock: u64,
    /// What was newly seen since.
    pub deps: Option<Vec<u8>>,
}

/// A transaction's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The stamp; 0 where nobody said.
    pub stamp: u64,
    /// Its flags.
    pub flags: i64,
    /// Its last place.
    pub last_seq: u64,
    /// What its site had newly seen.
    pub deps: Option<Vec<u8>>,
}

impl Record {
    /// The stamp that its cells carry.
    pub fn cell_stamp(&self) -> u64 {
        if self.flags & BACKFILL != 0 { clock::LOWEST } else { self.stamp }
    }
}

/// Reads the head of the own log.
pub fn head(s: &Session) -> Result<Head> {
    let state = store::State::read(&s.cache)?;
    let (own, clock, deps) = (state.own()?, count(state.clock())?, state.deps());
    drop(state);
    let mut stmt = s.cache.fixed(NEWEST)?;
    stmt.bind_int(1, i64::from(own))?;
    if !stmt.step()? {
        return Ok(Head { own, version: 0, stamp: 0, clock, deps });
    }
    let version = count(stmt.int(0))?;
    let stamp = match stmt.is_null(1) {
        false => count(stmt.int(1))?,
        // It has further parts, which carry no stamp.
        true => record(s, Txn { site: own, version })?.map_or(0, |r| r.stamp),
    };
    Ok(Head { own, version, stamp, clock, deps })
}

/// The stamp of a transaction that is written now: even, so that between it and the next one there
/// is room for the same write issued again; and at a random step of its millisecond, so that two
/// files that write as one site (`forks.rs`) do not give one stamp to two transactions.
pub fn next_stamp(s: &Session, head: &Head) -> Result<u64> {
    let mut random = [0u8; 2];
    s.db.randomness(&mut random);
    let step = u64::from(u16::from_le_bytes(random)) % clock::STEPS_PER_MS;
    let now = s.now();
    // A clock beyond the last stamp is handed on as it is, to be disbelieved.
    let last = head.stamp.max(head.clock);
    // Two copies of a file that go on from one stamp, with clocks that stand before it, would give
    // the same ones; a burst in one millisecond is spread less, so that it does not run ahead.
    let spread =
        if last > now.saturating_add(clock::STEPS_PER_MS) { step / 16 } else { step / 256 };
    let last = last.checked_add(spread).filter(|l| *l < clock::MAX - 1).unwrap_or(last);
    let now = if now < clock::MAX - step { (now + step) & !1 } else { now };
    clock::next(last | 1, now)
}

/// The merged stamp moves our own clock: what is written from now on is later.
pub fn saw_stamp(s: &Session, stamp: u64) -> Result<()> {
    let mut stmt = s.cache.fixed(SET_CLOCK)?;
    stmt.bind_int(1, int(stamp))?;
    stmt.run()
}

/// The record of a transaction, or None where the file has none.
pub fn record(s: &Session, txn: Txn) -> Result<Option<Record>> {
    let mut stmt = s.cache.fixed(RECORD)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    if !stmt.step()? {
        return Ok(None);
    }
    Ok(Some(Record {
        stamp: count(stmt.int(0))?,
        flags: stmt.int(1),
        last_seq: count(stmt.int(2))?,
        deps: if stmt.is_null(3) { None } else { Some(stmt.blob(3).to_vec()) },
    }))
}

/// The next version of a site in `after < version <= to` that has a record.
pub fn next_version(s: &Session, site: u32, after: u64, to: u64) -> Result<Option<u64>> {
    let mut stmt = s.cache.fixed(NEXT_VERSION)?;
    stmt.bind_int(1, i64::from(site))?;
    stmt.bind_int(2, int(after))?;
    stmt.bind_int(3, int(to))?;
    if !stmt.step()? {
        return Ok(None);
    }
    let version = count(stmt.int(0))?;
    if version <= after {
        return Err(Error::corrupt("crsql_log has a version that is not an integer"));
    }
    Ok(Some(version))
}

/// The rows that a transaction touched, from one part on: at most `parts` parts. Gives the part
/// that comes next, or None at the end.
pub fn rows(s: &Session, txn: Txn, from: u64, parts: usize) -> Result<(Vec<Entry>, Option<u64>)> {
    let mut stmt = s.cache.fixed(PARTS)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.bind_int(3, int(from))?;
    let mut entries = Vec::new();
    for taken in 0..parts {
        if !stmt.step()? {
            return Ok((entries, None));
        }
        if taken > 0 && planted!("first-part-only") {
            continue;
        }
        if taken == 0 {
            entries = keylist::decode(stmt.blob(0))?;
        } else {
            entries.extend(keylist::decode(stmt.blob(0))?);
        }
    }
    Ok((entries, Some(from + parts as u64)))
}

/// Writes a transaction's record and its rows, or adds rows to a record that is there.
pub struct Writer {
    txn: Txn,
    list: keylist::Writer,
    parts: Vec<Vec<u8>>,
    sorted: bool,
    end: u64,
}

impl Writer {
    /// Begins the list of a transaction's rows.
    pub fn new(txn: Txn) -> Self {
        Self { txn, list: keylist::Writer::default(), parts: Vec::new(), sorted: true, end: 0 }
    }

    /// Adds a row.
    pub fn push(&mut self, tid: u32, key: KeyRef<'_>, seq: u64, span: u64) {
        if seq < self.list.end() || seq < self.end {
            self.sorted = false;
        }
        if seq < self.list.end() || self.list.len() >= PART_BYTES {
            self.close();
        }
        self.list.push(tid, key, seq, span);
        self.end = self.end.max(seq + span);
    }

    fn close(&mut self) {
        if !self.list.is_empty() {
            self.parts.push(self.list.take());
        }
    }

    /// Writes a record that is not there yet. `record.last_seq` is raised to what was pushed.
    pub fn create(mut self, s: &Session, mut record: Record) -> Result<u64> {
        self.close();
        record.last_seq = record.last_seq.max(self.end.saturating_sub(1));
        if !self.sorted {
            record.flags |= UNSORTED;
        }
        if self.parts.is_empty() {
            self.parts.push(Vec::new());
        }
        for (part, rows) in self.parts.iter().enumerate() {
            let head = if part == 0 { Some(&record) } else { None };
            write_part(s, self.txn, part as u64, head, rows)?;
        }
        Ok(self.parts.len() as u64)
    }

    /// Adds the rows to a record that is there. A stamp that nobody had said is filled in.
    pub fn append(mut self, s: &Session, record: &Record, stamp: u64) -> Result<()> {
        self.close();
        let mut flags = 0;
        let first = self.parts.first().map(|p| keylist::decode(p)).transpose()?;
        let first = first.and_then(|e| e.first().map(|e| e.seq));
        if !self.sorted || first.is_some_and(|f| f <= record.last_seq) {
            flags |= UNSORTED;
        }
        let mut stmt = s.cache.fixed(NEXT_PART)?;
        stmt.bind_int(1, i64::from(self.txn.site))?;
        stmt.bind_int(2, int(self.txn.version))?;
        stmt.step()?;
        let next = count(stmt.int(0))?;
        drop(stmt);
        for (i, rows) in self.parts.iter().enumerate() {
            write_part(s, self.txn, next + i as u64, None, rows)?;
        }
        let mut stmt = s.cache.fixed(SET_LAST)?;
        stmt.bind_int(1, i64::from(self.txn.site))?;
        stmt.bind_int(2, int(self.txn.version))?;
        stmt.bind_int(3, int(self.end.saturating_sub(1)))?;
        stmt.bind_int(4, flags)?;
        stmt.bind_int(5, int(stamp))?;
        stmt.run()
    }
}

fn write_part(s: &Session, txn: Txn, part: u64, head: Option<&Record>, rows: &[u8]) -> Result<()> {
    let mut stmt = s.cache.fixed(INSERT)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.bind_int(3, int(part))?;
    stmt.bind(4, head.map_or(ValueRef::Null, |h| ValueRef::Int(int(h.stamp))))?;
    stmt.bind(5, head.map_or(ValueRef::Null, |h| ValueRef::Int(int(h.last_seq))))?;
    stmt.bind(6, head.map_or(ValueRef::Null, |h| ValueRef::Int(h.flags)))?;
    let deps = head.and_then(|h| h.deps.as_deref());
    stmt.bind(7, deps.map_or(ValueRef::Null, ValueRef::Blob))?;
    stmt.bind_blob(8, rows)?;
    stmt.run()
}

/// Forgets what was newly seen: an own transaction has just carried it.
pub fn clear_deps(s: &Session) -> Result<()> {
    s.cache.fixed(CLEAR_DEPS)?.run()
}

/// Gives an own transaction that is still open another stamp.
pub fn set_stamp(s: &Session, txn: Txn, stamp: u64) -> Result<()> {
    let mut stmt = s.cache.fixed(SET_STAMP)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.bind_int(3, int(stamp))?;
    stmt.run()
}

/// A transaction has a change at this place, which may be past all that its record knew of.
pub fn reach(s: &Session, txn: Txn, seq: u64) -> Result<()> {
    let mut stmt = s.cache.fixed(REACH)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.bind_int(3, int(seq))?;
    stmt.run()
}

/// Sets the deps of a record that came in without.
pub fn set_deps(s: &Session, txn: Txn, deps: &[u8]) -> Result<()> {
    let mut stmt = s.cache.fixed(SET_DEPS)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.bind_blob(3, deps)?;
    stmt.run()
}

/// Reads a row's clock.
pub fn clock_of(s: &Session, tid: u32, key: KeyRef<'_>) -> Result<Option<RowClock>> {
    let memory = s.memory.borrow();
    if let Some(hand) = memory.hand.as_ref().filter(|h| h.tid == tid && h.key.borrow() == key) {
        return Ok(Some(hand.clock.clone()));
    }
    if memory.gap.is_some_and(|gap| gap.has(tid, key)) {
        return Ok(None);
    }
    drop(memory);
    let mut stmt = s.cache.get(Slot(tid, 1, 0), || {
        format!("SELECT clock FROM {} WHERE key = ?1", clock_table(tid))
    })?;
    bind_key(&mut stmt, key)?;
    if !stmt.step()? {
        return Ok(None);
    }
    RowClock::decode(stmt.blob(0)).map(Some)
}

/// The same of a row that is likely to be new, as those after it are: where it has no clock, this
/// finds out how far that goes.
pub fn clock_of_new(s: &Session, tid: u32, key: KeyRef<'_>) -> Result<Option<RowClock>> {
    let (KeyRef::Int(after), true) = (key, s.memory.borrow().enlisted) else {
        return clock_of(s, tid, key);
    };
    if s.memory.borrow().gap.is_some_and(|gap| gap.has(tid, key)) {
        return Ok(None);
    }
    let mut stmt = s.cache.get(Slot(tid, 4, 0), || {
        format!("SELECT key, clock FROM {} WHERE key >= ?1 ORDER BY key", clock_table(tid))
    })?;
    stmt.bind_int(1, after)?;
    let before = if stmt.step()? { Some(stmt.int(0)) } else { None };
    if before == Some(after) {
        return RowClock::decode(stmt.blob(1)).map(Some);
    }
    s.memory.borrow_mut().gap = Some(Gap { tid, after, before });
    Ok(None)
}

/// Writes a row's clock. `known` says whether it has one already.
pub fn set_clock(
    s: &Session,
    tid: u32,
    key: KeyRef<'_>,
    clock: &RowClock,
    known: bool,
) -> Result<()> {
    hand::settle(s)?;
    if try_clock(s, tid, key, clock, known)? {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "{} {} the clock of a row that was just looked up",
        clock_table(tid),
        if known { "has lost" } else { "has already" }
    )))
}

/// The same, past the row in hand. Gives false where there is no clock to change, or one in the
/// way.
pub fn try_clock(
    s: &Session,
    tid: u32,
    key: KeyRef<'_>,
    clock: &RowClock,
    known: bool,
) -> Result<bool> {
    let mut bytes = Vec::with_capacity(32);
    clock.encode(&mut bytes);
    let table = || clock_table(tid);
    let mut stmt = if known {
        s.cache
            .get(Slot(tid, 2, 0), || format!("UPDATE {} SET clock = ?2 WHERE key = ?1", table()))?
    } else {
        s.cache
            .get(Slot(tid, 3, 0), || format!("INSERT OR IGNORE INTO {} VALUES(?1, ?2)", table()))?
    };
    bind_key(&mut stmt, key)?;
    stmt.bind_blob(2, &bytes)?;
    stmt.run()?;
    if !known
        && let Some(gap) = &mut s.memory.borrow_mut().gap
        && gap.has(tid, key)
        && let KeyRef::Int(i) = key
    {
        gap.after = i;
    }
    Ok(s.db.changes() == 1)
}

fn bind_key(stmt: &mut crate::ground::Stmt, key: KeyRef<'_>) -> Result<()> {
    match key {
        KeyRef::Int(i) => stmt.bind_int(1, i),
        KeyRef::Packed(b) => stmt.bind_blob(1, b),
    }
}

/// The stamp of a write: its own where it carries one, else its transaction's.
pub fn stamp_of(s: &Session, dot: Dot, own: Option<u64>) -> Result<u64> {
    match own {
        Some(stamp) => Ok(stamp),
        None => Ok(record(s, dot.txn)?.map_or(0, |r| r.cell_stamp())),
    }
}

/// A count as our tables hold it: nobody ever writes one above 2^53 - 1.
pub fn count(i: i64) -> Result<u64> {
    match u64::try_from(i) {
        Ok(n) if n <= MAX_COUNT => Ok(n),
        _ => Err(Error::corrupt(format!("{i} is not a count"))),
    }
}

/// The version of a held cell, which may be of any size.
pub fn any_count(i: i64) -> Result<u64> {
    u64::try_from(i).map_err(|_| Error::corrupt(format!("{i} is not a count")))
}

/// A count as SQLite binds it. Counts stay below 2^53.
pub fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
