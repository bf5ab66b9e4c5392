//! What we say to yrs and what it says to us: the bytes of Yjs's update format, version 1, of
//! which we use text alone. Whatever a stranger sent comes through here as runs of ours, so that
//! nothing else of that format ever reaches yrs.
//!
//! ```text
//! update = authors:varint (items:varint author:varint clock:varint item*)* deleted
//! item   = flags + 4:u8 [author:varint clock:varint] [author:varint clock:varint] [1 ROOT] TEXT
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
const HAS_LEFT: u8 = 128;
const HAS_RIGHT: u8 = 64;

/// Runs of one author that follow each other, as an update.
pub(super) fn inserts(author: Author, runs: &[Run]) -> Vec<u8> {
    let text: usize = runs.iter().map(|r| r.text.len() + 32).sum();
    let mut out = Vec::with_capacity(text + 32);
    put_varint(&mut out, 1);
    put_varint(&mut out, runs.len() as u64);
    put_varint(&mut out, author);
    put_varint(&mut out, runs.first().map_or(0, |r| u64::from(r.clock)));
    for run in runs {
        let left = if run.left.is_some() { HAS_LEFT } else { 0 };
        let right = if run.right.is_some() { HAS_RIGHT } else { 0 };
        out.push(STRING | left | right);
        for id in [run.left, run.right].into_iter().flatten() {
            put_varint(&mut out, id.author);
            put_varint(&mut out, u64::from(id.clock));
        }
        if left | right == 0 {
            out.push(1);
            put_bytes(&mut out, ROOT.as_bytes());
        }
        put_bytes(&mut out, run.text.as_bytes());
    }
    out.push(0);
    out
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
