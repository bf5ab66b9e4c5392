//! A chunk: what one site did in one stretch of edits, and how that is written.
//!
//! A text is made of *characters with names*: an author and a *clock*, which counts what the author
//! has typed, in UTF-16 units (as yrs does). A *run* is text that was typed in one go: its first
//! clock, what stood to the left and to the right when it was typed, and the text. The *log* says
//! for each edit its stamp, how many units it added, and what it deleted. What is deleted stays in
//! its run, so that the text of every earlier moment can be had.
//!
//! ```text
//! chunk = version:u8=1 first:varint others runs:varint run* edits:varint edit*
//! others = count:varint (author: 7 bytes, big-endian)*, ascending: all named below but the own
//! run   = head:varint [left] [right] text
//! head  = bytes of the text * 16 + kind of left + 4 * kind of right; 0 none, 1 own, 2 other
//! left, right = own: the run's first clock - 1 - clock:varint
//!       | other: place in others:varint clock:varint
//! edit  = stamp:varint head:varint [ranges:varint range*]
//! stamp = the first as it is, then what it is more than the one before
//! head  = units added * 2, and 1 more where ranges follow
//! range = who:varint clock:signed units:varint
//! who   = 0 own, else 1 + place in others; clock = what it is more than the last of the same who
//! ```
//!
//! There is one way to write a chunk: runs that continue each other are one, ranges are sorted by
//! author and clock and do not touch, stamps rise. Whatever is read is checked for that.

use super::names::Author;
use crate::words::clock;
use crate::words::error::{Error, Result};
use crate::words::wire::{Reader, put_signed, put_varint};

/// The version of the format, its first byte.
const VERSION: u8 = 1;

/// No clock is higher: yrs counts in 32 bits with a sign.
pub(super) const CLOCK_MAX: u32 = i32::MAX as u32;

/// More runs are in no chunk: no edit has so many places, and yrs takes long over some of them.
pub const RUNS_MAX: usize = 1 << 13;

/// More edits are in no chunk: a site opens the next one long before.
const EDITS_MAX: usize = 1 << 10;

/// A character's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub author: Author,
    pub clock: u32,
}

/// Characters that one author typed one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub author: Author,
    pub clock: u32,
    pub len: u32,
}

/// Text that was typed in one go.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// The clock of its first unit.
    pub clock: u32,
    /// How many units it has.
    pub len: u32,
    pub left: Option<Id>,
    pub right: Option<Id>,
    pub text: String,
}

/// One edit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edit {
    pub stamp: u64,
    /// How many units it added.
    pub added: u32,
    pub deleted: Vec<Range>,
}

/// A stretch of edits.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chunk {
    /// The clock it begins at.
    pub first: u32,
    pub runs: Vec<Run>,
    pub edits: Vec<Edit>,
}

/// How many UTF-16 units a text has.
pub(super) fn units(text: &str) -> u32 {
    let bytes = text.len();
    let wide = text.bytes().filter(|b| *b >= 0xf0).count();
    let inner = text.bytes().filter(|b| b & 0xc0 == 0x80).count();
    u32::try_from(bytes - inner + wide).unwrap_or(u32::MAX)
}

/// The clocks of the second halves of surrogate pairs, where no character begins.
pub(super) fn seconds(clock: u32, text: &str, into: &mut Vec<u32>) {
    if text.bytes().all(|b| b < 0xf0) {
        return;
    }
    let mut at = clock;
    for c in text.chars() {
        at += c.len_utf16() as u32;
        if c.len_utf16() == 2 {
            into.push(at - 1);
        }
    }
}

impl Run {
    /// The clock behind it.
    pub fn end(&self) -> u32 {
        self.clock.saturating_add(self.len)
    }

    /// Whether another continues it, so that the two are one.
    fn continued_by(&self, own: Author, next: &Run) -> bool {
        let last = Id { author: own, clock: self.end().saturating_sub(1) };
        next.clock == self.end() && next.left == Some(last) && next.right == self.right
    }

    /// The place in the text of the character that a clock begins.
    fn place(&self, clock: u32) -> usize {
        let mut at = self.clock;
        for (place, c) in self.text.char_indices() {
            if at >= clock {
                return place;
            }
            at += c.len_utf16() as u32;
        }
        self.text.len()
    }

    /// What is before a clock within it.
    pub fn before(&self, clock: u32) -> Run {
        let text = self.text.get(..self.place(clock)).unwrap_or_default().to_string();
        Run { len: units(&text), text, ..*self }
    }

    /// What is from a clock within it on, as a run of its own.
    pub fn from(&self, own: Author, clock: u32) -> Run {
        let text = self.text.get(self.place(clock)..).unwrap_or_default().to_string();
        let left = Some(Id { author: own, clock: clock.saturating_sub(1) });
        Run { clock, len: units(&text), left, right: self.right, text }
    }
}

/// Sorts ranges and makes those one that touch.
pub(super) fn sorted(ranges: &mut Vec<Range>) {
    ranges.sort_unstable();
    ranges.dedup_by(|b, a| {
        let touches = a.author == b.author && b.clock <= a.clock + a.len;
        if touches {
            a.len = a.len.max(b.clock + b.len - a.clock);
        }
        touches
    });
}

impl Chunk {
    /// The clock behind it.
    pub fn end(&self) -> u32 {
        self.runs.last().map_or(self.first, Run::end)
    }

    /// Adds an edit. One that is not later than the last is a part of it.
    pub fn add(&mut self, own: Author, stamp: u64, runs: Vec<Run>, mut deleted: Vec<Range>) {
        let added = runs.iter().map(|r| r.len).sum();
        for run in runs {
            match self.runs.last_mut() {
                Some(last) if last.continued_by(own, &run) => {
                    last.text.push_str(&run.text);
                    last.len += run.len;
                }
                _ => self.runs.push(run),
            }
        }
        match self.edits.last_mut() {
            Some(last) if stamp <= last.stamp => {
                last.added += added;
                last.deleted.append(&mut deleted);
                sorted(&mut last.deleted);
            }
            _ => {
                sorted(&mut deleted);
                self.edits.push(Edit { stamp, added, deleted });
            }
        }
    }

    /// What of it was done up to a stamp.
    pub fn until(&mut self, stamp: u64) {
        self.edits.retain(|e| e.stamp <= stamp);
        let end = self.first + self.edits.iter().map(|e| e.added).sum::<u32>();
        self.cut_runs(end);
    }

    /// What of it is before a clock.
    pub fn before(&mut self, clock: u32) {
        let mut left = clock.saturating_sub(self.first);
        let mut whole = true;
        self.edits.retain_mut(|edit| {
            let keeps = whole && edit.added <= left || left > 0;
            whole &= edit.added <= left;
            edit.added = edit.added.min(left);
            left -= edit.added;
            keeps
        });
        self.cut_runs(self.first + self.edits.iter().map(|e| e.added).sum::<u32>());
    }

    fn cut_runs(&mut self, end: u32) {
        self.runs.retain(|r| r.clock < end);
        if let Some(last) = self.runs.last_mut()
            && last.end() > end
        {
            *last = last.before(end);
        }
    }

    /// Whether it is another that went on.
    pub fn continues(&self, old: &Chunk) -> bool {
        let Some((last, runs)) = old.runs.split_last() else {
            return self.first == old.first && self.edits.starts_with(&old.edits);
        };
        let same = |r: &Run| {
            (r.clock, r.left, r.right) == (last.clock, last.left, last.right)
                && r.text.starts_with(&last.text)
        };
        self.first == old.first
            && self.edits.starts_with(&old.edits)
            && self.runs.starts_with(runs)
            && self.runs.get(runs.len()).is_some_and(same)
    }

    /// The others that it names, in order.
    fn others(&self, own: Author) -> Vec<Author> {
        let sides = self.runs.iter().flat_map(|r| [r.left, r.right]).flatten();
        let deleted = self.edits.iter().flat_map(|e| &e.deleted).map(|r| r.author);
        let mut all: Vec<Author> = sides.map(|id| id.author).chain(deleted).collect();
        all.retain(|author| *author != own);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// As a register holds it.
    pub fn encode(&self, own: Author) -> Vec<u8> {
        let others = self.others(own);
        let place = |author: Author| others.binary_search(&author).unwrap_or(0);
        let mut out = vec![VERSION];
        put_varint(&mut out, u64::from(self.first));
        put_varint(&mut out, others.len() as u64);
        for author in &others {
            let [_, bytes @ ..] = author.to_be_bytes();
            out.extend_from_slice(&bytes);
        }
        put_varint(&mut out, self.runs.len() as u64);
        for run in &self.runs {
            let kind = |id: Option<Id>| id.map_or(0, |id| if id.author == own { 1 } else { 2 });
            let kinds = kind(run.left) | kind(run.right) << 2;
            put_varint(&mut out, (run.text.len() as u64) << 4 | kinds);
            for id in [run.left, run.right].into_iter().flatten() {
                if id.author == own {
                    put_varint(&mut out, u64::from(run.clock.saturating_sub(id.clock + 1)));
                } else {
                    put_varint(&mut out, place(id.author) as u64);
                    put_varint(&mut out, u64::from(id.clock));
                }
            }
            out.extend_from_slice(run.text.as_bytes());
        }
        let mut last_of = Places::new(others.len());
        let mut before = 0;
        put_varint(&mut out, self.edits.len() as u64);
        for edit in &self.edits {
            put_varint(&mut out, edit.stamp - before);
            before = edit.stamp;
            let deletes = u64::from(!edit.deleted.is_empty());
            put_varint(&mut out, u64::from(edit.added) << 1 | deletes);
            if deletes == 1 {
                put_varint(&mut out, edit.deleted.len() as u64);
            }
            for range in &edit.deleted {
                let who = if range.author == own { 0 } else { 1 + place(range.author) };
                put_varint(&mut out, who as u64);
                put_signed(&mut out, i64::from(range.clock) - last_of.swap(who, range.clock));
                put_varint(&mut out, u64::from(range.len));
            }
        }
        out
    }

    /// The chunk that these bytes are, by this author. REJECTED where they are none.
    pub fn decode(bytes: &[u8], own: Author) -> Result<Chunk> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Error::rejected("a chunk of text of a version that is not known"));
        }
        let first = clock32(r.varint()?)?;
        let others: Vec<Author> = (0..r.count(7)?)
            .map(|_| Ok(r.array::<7>()?.iter().fold(0, |n, b| n << 8 | u64::from(*b))))
            .collect::<Result<_>>()?;
        if others.iter().any(|author| *author >= 1 << 53) {
            return Err(malformed());
        }
        let mut chunk = Chunk { first, ..Chunk::default() };
        let mut wide = Vec::new();
        for _ in 0..at_most(RUNS_MAX, r.count(2)?)? {
            let run = read_run(&mut r, own, &others, chunk.end())?;
            if chunk.runs.last().is_some_and(|last| last.continued_by(own, &run)) {
                return Err(malformed());
            }
            seconds(run.clock, &run.text, &mut wide);
            chunk.runs.push(run);
        }
        let mut last_of = Places::new(others.len());
        let mut at = first;
        for n in 0..at_most(EDITS_MAX, r.count(2)?)? {
            let before = chunk.edits.last().map_or(0, |e| e.stamp);
            let edit = read_edit(&mut r, own, &others, before, &mut last_of)?;
            at = at.checked_add(edit.added).ok_or_else(malformed)?;
            if (n > 0 && edit.stamp == before) || wide.binary_search(&at).is_ok() {
                return Err(malformed());
            }
            chunk.edits.push(edit);
        }
        if at != chunk.end() || chunk.edits.is_empty() || !r.is_empty() {
            return Err(malformed());
        }
        Ok(chunk)
    }
}

/// The clock at which the last range of each author began.
struct Places(Vec<u32>);

impl Places {
    fn new(others: usize) -> Self {
        Places(vec![0; others + 1])
    }

    /// Sets the clock of one, and tells what it was.
    fn swap(&mut self, who: usize, clock: u32) -> i64 {
        self.0.get_mut(who).map_or(0, |last| i64::from(std::mem::replace(last, clock)))
    }
}

fn malformed() -> Error {
    Error::rejected("a chunk of text is not as a site writes it")
}

fn at_most(most: usize, n: usize) -> Result<usize> {
    if n <= most { Ok(n) } else { Err(malformed()) }
}

fn clock32(n: u64) -> Result<u32> {
    let n = u32::try_from(n).ok().filter(|n| *n <= CLOCK_MAX);
    n.ok_or_else(malformed)
}

fn other(others: &[Author], place: u64) -> Result<Author> {
    let place = usize::try_from(place).map_err(|_| malformed())?;
    others.get(place).copied().ok_or_else(malformed)
}

fn read_run(r: &mut Reader<'_>, own: Author, others: &[Author], clock: u32) -> Result<Run> {
    let head = r.varint()?;
    let mut side = |kind: u64| match kind {
        0 => Ok(None),
        1 => {
            let back = clock32(r.varint()?)?.checked_add(1).ok_or_else(malformed)?;
            let clock = clock.checked_sub(back).ok_or_else(malformed)?;
            Ok(Some(Id { author: own, clock }))
        }
        2 => {
            let author = other(others, r.varint()?)?;
            Ok(Some(Id { author, clock: clock32(r.varint()?)? }))
        }
        _ => Err(malformed()),
    };
    let (left, right) = (side(head & 3)?, side(head >> 2 & 3)?);
    let bytes = usize::try_from(head >> 4).map_err(|_| malformed())?;
    let text = std::str::from_utf8(r.bytes(bytes)?).map_err(|_| malformed())?;
    let run = Run { clock, len: units(text), left, right, text: text.to_string() };
    // What stands beside nothing was typed into nothing, and that is so once.
    let again = clock > 0 && left.is_none() && run.right.is_none();
    if run.len == 0 || run.end() > CLOCK_MAX || again {
        return Err(malformed());
    }
    Ok(run)
}

fn read_edit(
    r: &mut Reader<'_>,
    own: Author,
    others: &[Author],
    before: u64,
    last_of: &mut Places,
) -> Result<Edit> {
    let stamp = before.checked_add(r.varint()?).filter(|s| (1..=clock::MAX).contains(s));
    let stamp = stamp.ok_or_else(malformed)?;
    let head = r.varint()?;
    let added = clock32(head >> 1)?;
    let ranges = if head & 1 == 1 { r.count(3)? } else { 0 };
    if (ranges == 0) == (head & 1 == 1) || (added == 0 && ranges == 0) {
        return Err(malformed());
    }
    let mut deleted: Vec<Range> = Vec::with_capacity(ranges);
    for _ in 0..ranges {
        let who = r.varint()?;
        let author = if who == 0 { own } else { other(others, who - 1)? };
        let who = usize::try_from(who).map_err(|_| malformed())?;
        let more = r.signed()?;
        let last = last_of.swap(who, 0);
        let clock = last.checked_add(more).and_then(|n| u64::try_from(n).ok());
        let clock = clock32(clock.ok_or_else(malformed)?)?;
        last_of.swap(who, clock);
        let len = clock32(r.varint()?)?;
        let end = clock.checked_add(len).filter(|end| *end <= CLOCK_MAX && len > 0);
        end.ok_or_else(malformed)?;
        let range = Range { author, clock, len };
        let behind = |a: &Range| a.author < author || a.author == author && a.clock + a.len < clock;
        if !deleted.last().is_none_or(behind) {
            return Err(malformed());
        }
        deleted.push(range);
    }
    Ok(Edit { stamp, added, deleted })
}
