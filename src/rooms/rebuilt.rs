//! A table that was built anew under its name (the 12 steps of SQLite's ALTER TABLE page), or was
//! altered while nobody watched: its rows and our clocks are brought together again.

use super::log::{self, BACKFILL, Record, Writer};
use super::memory::{Event, KeyAt, Op};
use super::policy::{self, REBUILT};
use super::session::Session;
use super::{flush, parts, rows};
use crate::ground::Prep;
use crate::ground::catalog::{Table, clock_table};
use crate::ground::quote::ident;
use crate::words::dot::{Dot, Txn};
use crate::words::error::{Error, Result};
use crate::words::key::{Key, KeyKind};
use crate::words::policy::Policy;
use crate::words::rowclock::{Cell, RowClock};
use crate::words::value::ValueRef;

/// Whether the table holds any row that we know, or we know none. A table that holds none of them
/// is another table that was given the same name.
pub fn holds_known_rows(s: &Session, table: &Table) -> Result<bool> {
    let sql = format!("SELECT key, clock FROM {}", clock_table(table.tid));
    let mut scan = s.db.prepare(&sql, Prep::Once)?;
    let mut known = 0u64;
    while scan.step()? {
        if RowClock::decode(scan.blob(1))?.alive() {
            known += 1;
            let key = Key::from_stored(scan.value(0))?;
            if fits(table, &key)? && rows::read(s, table, &key)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(known == 0)
}

/// Whether the clocks are of keys like those that the table has: integers or packed, and of as many
/// columns. Where they are not, the table has another key, and so is another table.
pub fn has_its_key(s: &Session, table: &Table) -> Result<bool> {
    let clock = clock_table(table.tid);
    let integers = s.ask_int(&format!(
        "SELECT count(*) FROM pragma_table_info('{clock}') WHERE name = 'key' AND type = 'INTEGER'"
    ))?;
    if (integers > 0) != (table.kind == KeyKind::Int) {
        return Ok(false);
    }
    let mut one = s.db.prepare(&format!("SELECT key FROM {clock} LIMIT 1"), Prep::Once)?;
    Ok(!one.step()? || fits(table, &Key::from_stored(one.value(0))?)?)
}

/// Whether a stored key has as many columns as the table's key has now.
fn fits(table: &Table, key: &Key) -> Result<bool> {
    Ok(key.values()?.len() == table.keys.len())
}

/// Refuses a table that only grows and was built anew without some of its rows.
pub fn refuse_lost(s: &Session, table: &Table) -> Result<()> {
    if table.policy != Policy::GrowOnly || lost(s, table)?.is_empty() {
        return Ok(());
    }
    Err(policy::stays(table, "leaves out rows"))
}

/// Refuses a table that was built anew with columns that cannot merge as they did, or copied with
/// other values than were merged there: nobody else would hear of these.
pub fn refuse_remade(s: &Session, table: &Table) -> Result<()> {
    let merging = || table.cols.iter().enumerate().filter(|(_, c)| c.merge.by_intent().is_some());
    for (_, col) in merging() {
        let Some(Err(needs)) = col.merge.by_intent().map(|kind| kind.fits(col.affinity)) else {
            continue;
        };
        return Err(Error::refused(format!(
            "crsql_commit_alter: column {}.{} merges as {}, which is for {needs}, and is declared \
             {} now: keep the type that it had",
            table.name,
            col.name,
            col.merge.name(),
            if col.declared.is_empty() { "without a type" } else { &col.declared }
        )));
    }
    if merging().next().is_none() {
        return Ok(());
    }
    for key in keys(s, table)? {
        let Some(row) = rows::read(s, table, &key)? else { continue };
        for (at, col) in merging() {
            let Some(kind) = col.merge.by_intent() else { continue };
            let Some(stood) = parts::state(s, table.tid, key.borrow(), col.id)? else { continue };
            let stood = parts::shown(s, kind, col, &stood)?;
            if row.value(at as i32) != stood.as_ref() {
                return Err(Error::refused(format!(
                    "crsql_commit_alter: column {}.{} merges as {}, and its table was built anew \
                     with other values than it had; copy them as they are, and say UPDATE after \
                     crsql_commit_alter",
                    table.name,
                    col.name,
                    kind.name()
                )));
            }
        }
    }
    Ok(())
}

/// The keys of all rows.
fn keys(s: &Session, table: &Table) -> Result<Vec<Key>> {
    let names: Vec<String> = table.keys.iter().map(|k| ident(&k.name)).collect();
    let sql = format!("SELECT {} FROM main.{}", names.join(", "), ident(&table.name));
    let mut scan = s.db.prepare(&sql, Prep::Once)?;
    let mut out = Vec::new();
    while scan.step()? {
        let values: Vec<ValueRef<'_>> = (0..scan.column_count()).map(|i| scan.value(i)).collect();
        out.push(Key::from_values(table.kind, &values)?);
    }
    Ok(out)
}

/// Rows without a clock are captured as inserted, clocks without a row as deleted.
pub fn reconcile_rows(s: &Session, table: &Table) -> Result<()> {
    let mut events: Vec<(Key, Op)> = Vec::new();
    for key in keys(s, table)? {
        if log::clock_of(s, table.tid, key.borrow())?.is_none_or(|c| !c.alive()) {
            events.push((key, Op::Insert));
        }
    }
    events.extend(lost(s, table)?.into_iter().map(|key| (key, Op::Delete)));
    remember(s, table, &events);
    flush::flush(s)
}

/// The clocks without a row.
fn lost(s: &Session, table: &Table) -> Result<Vec<Key>> {
    let sql = format!("SELECT key, clock FROM {}", clock_table(table.tid));
    let mut scan = s.db.prepare(&sql, Prep::Once)?;
    let mut out = Vec::new();
    while scan.step()? {
        let key = Key::from_stored(scan.value(0))?;
        if RowClock::decode(scan.blob(1))?.alive()
            && (!fits(table, &key)? || rows::read(s, table, &key)?.is_none())
        {
            out.push(key);
        }
    }
    Ok(out)
}

/// Puts events into the capture memory as if the triggers had.
fn remember(s: &Session, table: &Table, events: &[(Key, Op)]) {
    let mut memory = s.memory.borrow_mut();
    for (key, op) in events {
        let key = match key {
            Key::Int(i) => KeyAt::Int(*i),
            Key::Packed(bytes) => {
                let at = memory.keys.len() as u32;
                memory.keys.extend_from_slice(bytes);
                KeyAt::Bytes { at, len: bytes.len() as u32 }
            }
        };
        let event = Event { tid: table.tid, key, op: *op, statement: REBUILT, loose: false };
        memory.events.push(event);
    }
}

/// Cells of columns that were added since `crsql_begin_alter` and hold other than their default
/// are written at the lowest stamp, so that any explicit write beats them.
pub fn backfill_columns(s: &Session, table: &Table, added: &[u32]) -> Result<()> {
    let cols: Vec<_> = table.cols.iter().filter(|c| added.contains(&c.id)).collect();
    if cols.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = table.keys.iter().map(|k| ident(&k.name)).collect();
    let differ: Vec<String> = cols
        .iter()
        .map(|c| format!("{} IS NOT ({})", ident(&c.name), c.default.as_deref().unwrap_or("NULL")))
        .collect();
    let sql = format!(
        "SELECT {}, {} FROM main.{}",
        keys.join(", "),
        differ.join(", "),
        ident(&table.name)
    );
    let head = log::head(s)?;
    s.memory.borrow_mut().given.take_if(|g| g.version > head.version);
    let txn = Txn { site: head.own, version: head.version + 1 };
    let mut writer = Writer::new(txn);
    let mut scan = s.db.prepare(&sql, Prep::Once)?;
    let mut seq = 0;
    while scan.step()? {
        let nk = table.keys.len() as i32;
        let values: Vec<ValueRef<'_>> = (0..nk).map(|i| scan.value(i)).collect();
        let key = Key::from_values(table.kind, &values)?;
        let Some(mut clock) = log::clock_of(s, table.tid, key.borrow())? else { continue };
        let first = seq;
        for (i, col) in cols.iter().enumerate() {
            if scan.int(nk + i as i32) != 0 && clock.cell(col.id).is_none() {
                clock.set(Cell { col: col.id, dot: Dot { txn, seq }, stamp: None });
                seq += 1;
            }
        }
        if seq > first {
            log::set_clock(s, table.tid, key.borrow(), &clock, true)?;
            writer.push(table.tid, key.borrow(), first, seq - first);
        }
    }
    drop(scan);
    if seq > 0 {
        let stamp = log::next_stamp(s, &head)?;
        let deps = head.deps.clone();
        writer.create(s, Record { stamp, flags: BACKFILL, last_seq: 0, deps })?;
        if head.deps.is_some() {
            log::clear_deps(s)?;
        }
    }
    Ok(())
}
