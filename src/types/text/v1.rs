//! What we say to yrs and what it says to us: the bytes of Yjs's update format, version 1, of
//! which we use text alone. Whatever a stranger sent comes through here as runs of ours, so that
//! nothing else of that format ever reaches yrs.
//!
//! ```text
//! update = authors:varint (items:varint author:varint clock:varint item*)* deleted
//! item   = flags + 4:u8 [left] [right] [1 ROOT] TEXT
//!        | flags + 1:u8 [left] [right] [1 ROOT] units:varint
//! left, right = author:varint clock:varint
//! flags  = 128 where a left neighbour follows, 64 where a right one; with neither, the root's name
//! deleted = authors:varint (author:varint ranges:varint (clock:varint len:varint)*)*
//! ```

use super::chunk::{Id, Range, Run, units};
use super::names::Author;
use crate::words::error::{Error, Result};
use crate::words::wire::{Reader, put_bytes, put_varint};

/// The one text of a document.
pub(super) const ROOT: &str = "t";

/// An item that holds text.
const STRING: u8 = 4;
/// One whose text is gone.
const DELETED: u8 = 1;
const HAS_LEFT: u8 = 128;
const HAS_RIGHT: u8 = 64;

/// Runs of one author that follow each other, as an update. Of ranges of his, sorted, the
/// characters are gone: yrs is told only how many there were, and has nothing to split.
pub(super) fn inserts(author: Author, runs: &[Run], deleted: &[Range]) -> Vec<u8> {
    let text: usize = runs.iter().map(|r| r.text.len() + 32).sum();
    let mut items = Vec::with_capacity(text);
    let mut count: u64 = 0;
    for run in runs {
        let from = deleted.partition_point(|d| d.clock + d.len <= run.clock);
        let of_run = deleted.get(from..).unwrap_or_default().iter();
        let mut at = run.clock;
        let mut rest = run.text.as_str();
        let mut piece = |until: u32, gone: bool| {
            if at < until {
                let (text, behind) = rest.split_at(bytes(rest, until - at, run));
                let left = (at > run.clock).then(|| Id { author, clock: at - 1 });
                put_item(
                    &mut items,
                    left.or(run.left),
                    run.right,
                    text,
                    gone.then_some(until - at),
                );
                (at, rest) = (until, behind);
                count += 1;
            }
        };
        for range in of_run.take_while(|d| d.clock < run.end()) {
            piece(range.clock, false);
            piece((range.clock + range.len).min(run.end()), true);
        }
        piece(run.end(), false);
    }
    let mut out = Vec::with_capacity(items.len() + 32);
    put_varint(&mut out, 1);
    put_varint(&mut out, count);
    put_varint(&mut out, author);
    put_varint(&mut out, runs.first().map_or(0, |r| u64::from(r.clock)));
    out.append(&mut items);
    out.push(0);
    out
}

/// How many bytes so many units of a run's text have.
fn bytes(text: &str, units: u32, run: &Run) -> usize {
    if run.text.len() == run.len as usize {
        return units as usize;
    }
    let mut left = units as usize;
    let behind = text.char_indices().find(|(_, c)| {
        let ends = left == 0;
        left = left.saturating_sub(c.len_utf16());
        ends
    });
    behind.map_or(text.len(), |(at, _)| at)
}

/// An item: its text, or how many units of it are gone.
fn put_item(out: &mut Vec<u8>, left: Option<Id>, right: Option<Id>, text: &str, gone: Option<u32>) {
    let has_left = if left.is_some() { HAS_LEFT } else { 0 };
    let has_right = if right.is_some() { HAS_RIGHT } else { 0 };
    let kind = if gone.is_some() { DELETED } else { STRING };
    out.push(kind | has_left | has_right);
    for id in [left, right].into_iter().flatten() {
        put_varint(out, id.author);
        put_varint(out, u64::from(id.clock));
    }
    if has_left | has_right == 0 {
        out.push(1);
        put_bytes(out, ROOT.as_bytes());
    }
    match gone {
        Some(units) => put_varint(out, u64::from(units)),
        None => put_bytes(out, text.as_bytes()),
    }
}

/// Ranges, sorted, as an update that deletes them.
pub(super) fn deletes(ranges: &[Range]) -> Vec<u8> {
    let mut out = vec![0];
    let groups: Vec<_> = ranges.chunk_by(|a, b| a.author == b.author).collect();
    put_varint(&mut out, groups.len() as u64);
    for group in groups {
        put_varint(&mut out, group.first().map_or(0, |r| r.author));
        put_varint(&mut out, group.len() as u64);
        for range in group {
            put_varint(&mut out, u64::from(range.clock));
            put_varint(&mut out, u64::from(range.len));
        }
    }
    out
}

/// What a transaction of our own did: the runs it added and the ranges it deleted.
pub(super) fn read(bytes: &[u8], own: Author) -> Result<(Vec<Run>, Vec<Range>)> {
    let mut r = Reader::new(bytes);
    let mut runs = Vec::new();
    for _ in 0..r.varint()? {
        let items = r.varint()?;
        if r.varint()? != own {
            return Err(unexpected());
        }
        let mut clock = number(&mut r)?;
        for _ in 0..items {
            let run = read_item(&mut r, clock)?;
            clock = run.end();
            runs.push(run);
        }
    }
    let mut deleted = Vec::new();
    for _ in 0..r.varint()? {
        let author = r.varint()?;
        for _ in 0..r.varint()? {
            deleted.push(Range { author, clock: number(&mut r)?, len: number(&mut r)? });
        }
    }
    if r.is_empty() { Ok((runs, deleted)) } else { Err(unexpected()) }
}

fn read_item(r: &mut Reader<'_>, clock: u32) -> Result<Run> {
    let info = r.u8()?;
    if info & !(HAS_LEFT | HAS_RIGHT) != STRING {
        return Err(unexpected());
    }
    let mut side = |has: u8| -> Result<Option<Id>> {
        let there = info & has != 0;
        there.then(|| Ok(Id { author: r.varint()?, clock: number(r)? })).transpose()
    };
    let (left, right) = (side(HAS_LEFT)?, side(HAS_RIGHT)?);
    if left.is_none() && right.is_none() && (r.u8()? != 1 || r.len_bytes()? != ROOT.as_bytes()) {
        return Err(unexpected());
    }
    let text = std::str::from_utf8(r.len_bytes()?).map_err(|_| unexpected())?;
    Ok(Run { clock, len: units(text), left, right, text: text.to_string() })
}

fn number(r: &mut Reader<'_>) -> Result<u32> {
    u32::try_from(r.varint()?).map_err(|_| unexpected())
}

/// A bug of ours, or a yrs that writes otherwise than the one we were tested with.
fn unexpected() -> Error {
    Error::corrupt("yrs wrote an edit of text in a form that is not known")
}
