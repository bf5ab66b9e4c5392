//! One change that arrives by itself: row by row, or held until now. It finds its table, its key
//! and its column here, or is held; then it meets the row as any other does (`merger.rs`).

use super::arrive;
use super::held::{self, One};
use super::log;
use super::memory::Touch;
use super::merger::{InCell, Incoming, Outcome, SENTINEL, merge_row};
use super::session::Session;
use crate::ground::catalog::Table;
use crate::types;
use crate::words::affinity;
use crate::words::clock;
use crate::words::dot::{SiteId, Txn};
use crate::words::error::Result;
use crate::words::key::Key;
use crate::words::value::ValueRef;

/// Merges one change that arrived by itself: row-wise, or held until now. The caller has flushed.
pub fn merge_change(s: &Session, c: &One<'_>, peer: Option<&SiteId>) -> Result<Outcome> {
    let one_held = Outcome { held: 1, ..Outcome::default() };
    let hold = |reason: &str| held::hold(s, &c.to_whole(), reason, peer).map(|_| one_held);
    let txn = Txn { site: s.sites.intern(&s.cache, &c.site)?, version: c.version };
    let sentinel = c.cid == SENTINEL;
    let cell_stamp = if sentinel { c.stamp } else { c.col_version };
    let told = cell_stamp.max(c.stamp);
    if let Some(ms) = too_far_ahead(s, told)? {
        // What is held is served onward, by the record of its transaction.
        ensure_record(s, txn, 0)?;
        return hold(&ahead_reason(ms));
    }
    // The lowest stamp is that of cells, not of their transaction; nor need it be that of a cell in
    // a later life, which may have been written again (`revive.rs`).
    let said = if c.cl == 1 { told } else { c.stamp };
    let record = ensure_record(s, txn, if said > clock::LOWEST { said } else { 0 })?;
    let Some(table) = s.named(c.table)? else {
        return hold(&format!("{}{} here", held::NO_TABLE, c.table));
    };
    let key = match Key::from_pk(table.kind, table.keys.len(), c.pk) {
        Ok(key) => key,
        Err(e) => return hold(&format!("table {}: {}", table.name, e.text)),
    };
    if let Some(reason) = key_obstacle(&table, &key)? {
        return hold(&reason);
    }
    let (mut cells, mut held) = (Vec::new(), Outcome::default());
    let part = types::of_cid(c.cid);
    let column = part.map_or(c.cid, |(column, _)| column);
    let mut place = None;
    if !sentinel {
        match table.column(column) {
            // The row lives all the same, and may have no other cell to say so.
            None => held = hold(&format!("table {} has no column {column} here", table.name))?,
            Some(at) if part.is_some() => match part_obstacle(&table, at, part, c.val) {
                Some(reason) => held = hold(&reason)?,
                None => place = Some(at),
            },
            Some(at) if c.col_version > 0 => {
                cells.push(InCell { at, seq: c.seq, stamp: c.col_version, val: c.val });
            }
            Some(_) => {}
        }
    }
    let inc = Incoming {
        table: &table,
        key: &key,
        cl: c.cl,
        txn,
        site: c.site,
        stamp: record,
        sentinel: sentinel.then_some(c.seq),
        cells: &cells,
        deps: None,
        peer: peer.copied(),
    };
    let mut sink = |key: &Key, seq: u64, span: u64| {
        let touch = Touch { txn, stamp: record, tid: table.tid, key: key.clone(), seq, span };
        s.memory.borrow_mut().touch(touch);
    };
    let mut out = merge_row(s, &inc, &mut sink)?;
    out.add(held);
    if let (Some((_, register)), Some(at)) = (part, place) {
        out.add(arrive::part(s, &inc, c, (at, register), &mut sink)?);
    }
    let mut memory = s.memory.borrow_mut();
    memory.saw = memory.saw.max(cell_stamp);
    Ok(out)
}

/// Why a part cannot be taken, or None where it can.
fn part_obstacle(
    table: &Table,
    at: usize,
    part: Option<(&str, &str)>,
    val: ValueRef<'_>,
) -> Option<String> {
    let (col, (_, register)) = (table.cols.get(at)?, part?);
    let Some(kind) = col.merge.by_intent() else {
        return Some(format!(
            "column {}.{} merges by the last write here, and by more than that where this comes \
             from: say crsql_column('{}', '{}', ...) as it was said there",
            table.name, col.name, table.name, col.name
        ));
    };
    let fits = kind.accepts(register, val);
    (!fits).then(|| format!("this is no part of a column that merges as {}", kind.name()))
}

/// Why a change waits whose stamp is so many milliseconds ahead of our clock.
pub fn ahead_reason(ms: u64) -> String {
    format!("{}{ms} ms ahead of ours", held::AHEAD)
}

/// Why a key cannot be stored as it is, or None where it can.
pub fn key_obstacle(table: &Table, key: &Key) -> Result<Option<String>> {
    if let Key::Int(_) = key {
        return Ok(None);
    }
    let values = key.values()?;
    for (col, v) in table.keys.iter().zip(&values) {
        let real =
            matches!((col.affinity, v.as_ref()), (affinity::Affinity::Real, ValueRef::Int(_)));
        let unchanged = affinity::stores_unchanged(col.affinity, table.strict, v.as_ref());
        if matches!(v.as_ref(), ValueRef::Null) || !(unchanged || real) {
            return Ok(Some(format!(
                "key column {}.{} cannot store a value of class {}",
                table.name,
                col.name,
                v.as_ref().class_name()
            )));
        }
    }
    Ok(None)
}

/// How far a stamp is ahead of our clock, in milliseconds, where that is more than the bound.
pub fn too_far_ahead(s: &Session, stamp: u64) -> Result<Option<u64>> {
    // What the open transaction merged was looked at.
    if stamp <= s.memory.borrow().saw {
        return Ok(None);
    }
    let ahead = clock::ahead_ms(stamp, s.now());
    if ahead < 1000 {
        return Ok(None);
    }
    Ok(if ahead > super::config::drift_ms(s)? { Some(ahead) } else { None })
}

/// The stamp that cells of this transaction carry by its record, which is made if there is none;
/// 0 where nobody has said it.
fn ensure_record(s: &Session, txn: Txn, stamp: u64) -> Result<u64> {
    if let Some((known, carried)) = s.memory.borrow().looked_up
        && known == txn
        && (carried > 0 || stamp == 0)
    {
        return Ok(carried);
    }
    let carried = match log::record(s, txn)? {
        Some(r) if r.stamp > 0 => r.cell_stamp(),
        Some(r) if stamp > 0 => {
            log::Writer::new(txn).append(s, &r, stamp)?;
            stamp
        }
        Some(_) => 0,
        None => {
            let record = log::Record { stamp, flags: 0, last_seq: 0, deps: None };
            log::Writer::new(txn).create(s, record)?;
            stamp
        }
    };
    s.memory.borrow_mut().looked_up = Some((txn, carried));
    Ok(carried)
}
