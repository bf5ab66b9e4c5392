//! `crsql_digest()`: SHA-256 over every live row of the replicated tables, by name, and over where
//! each of its cells was written. It is equal exactly when replicas are.
//!
//! Per table, by name: its name; per row, in the order of stored keys: the packed key, the causal
//! length, the parts of columns that merge by intent, and per column, by name: the name, the value,
//! and stamp, site, version and place of the write where there was one. `'all'` adds the dead rows
//! and the held changes.

use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::log;
use super::session::Session;
use super::{alter, flush, parts, rows};
use crate::ground::Prep;
use crate::ground::catalog::{Table, clock_table};
use crate::words::error::{Error, Result};
use crate::words::key::Key;
use crate::words::rowclock::RowClock;
use crate::words::wire::{put_bytes, put_value, put_varint};

/// The digest of one table, or of all, as hex. `all` adds dead rows and held changes.
pub fn digest(s: &Rc<Session>, table: Option<&str>, all: bool) -> Result<String> {
    let mut hash = Sha256::new();
    if s.installed()? {
        flush::flush(s)?;
        alter::reconcile_if_possible(s, "crsql_digest")?;
        for t in tables(s, table)? {
            one_table(s, &t, all, &mut hash)?;
        }
        if all {
            held(s, table, &mut hash)?;
        }
    } else if let Some(name) = table {
        return Err(unknown(name));
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn unknown(name: &str) -> Error {
    Error::refused(format!("crsql_digest: table {name} is not replicated"))
}

/// The tables that the call means, by name.
fn tables(s: &Session, only: Option<&str>) -> Result<Vec<Rc<Table>>> {
    if let Some(name) = only {
        return Ok(vec![s.named(name)?.ok_or_else(|| unknown(name))?]);
    }
    let mut all = Vec::new();
    for tid in &s.catalog.names(&s.cache)?.all {
        all.extend(s.find_table(*tid)?);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

fn one_table(s: &Session, table: &Table, all: bool, hash: &mut Sha256) -> Result<()> {
    let mut order: Vec<usize> = (0..table.cols.len()).collect();
    order.sort_by_key(|i| table.cols.get(*i).map(|c| c.name.as_str()));
    let mut out = Vec::new();
    put_bytes(&mut out, table.name.as_bytes());
    let sql = format!("SELECT key, clock FROM {} ORDER BY key", clock_table(table.tid));
    let mut scan = s.db.prepare(&sql, Prep::Once)?;
    while scan.step()? {
        let clock = RowClock::decode(scan.blob(1))?;
        if !clock.alive() && !all {
            continue;
        }
        let key = Key::from_stored(scan.value(0))?;
        put_bytes(&mut out, &key.pk()?);
        put_varint(&mut out, clock.cl);
        if clock.alive() {
            put_row(s, table, &order, &key, &clock, &mut out)?;
        }
        hash.update(&out);
        out.clear();
    }
    hash.update(&out);
    Ok(())
}

fn put_row(
    s: &Session,
    table: &Table,
    order: &[usize],
    key: &Key,
    clock: &RowClock,
    out: &mut Vec<u8>,
) -> Result<()> {
    let Some(row) = rows::read(s, table, key)? else {
        put_bytes(out, b"the row is missing");
        return Ok(());
    };
    put_parts(s, table, key, out)?;
    for at in order {
        let Some(col) = table.cols.get(*at) else { continue };
        put_bytes(out, col.name.as_bytes());
        put_value(out, row.value(*at as i32));
        match clock.cell(col.id) {
            None => put_varint(out, 0),
            Some(cell) => {
                put_varint(out, log::stamp_of(s, cell.dot, cell.stamp)?);
                put_bytes(out, &s.site_id(cell.dot.txn.site)?);
                put_varint(out, cell.dot.txn.version);
                put_varint(out, cell.dot.seq);
            }
        }
    }
    Ok(())
}

/// The parts of columns that merge by intent, by column and register.
fn put_parts(s: &Session, table: &Table, key: &Key, out: &mut Vec<u8>) -> Result<()> {
    let mut changes = Vec::new();
    for part in parts::of_row(s, table, key.borrow())?.parts {
        let txn = part.dot.txn;
        changes.extend(parts::as_change(table, key, 0, part)?.map(|change| (change, txn)));
    }
    changes.sort_by(|(a, _), (b, _)| a.cid.cmp(&b.cid));
    for (change, txn) in changes {
        put_bytes(out, change.cid.as_bytes());
        put_value(out, change.val.as_ref());
        put_varint(out, change.col_version);
        put_bytes(out, &s.site_id(txn.site)?);
        put_varint(out, txn.version);
        put_varint(out, change.seq);
    }
    Ok(())
}

fn held(s: &Session, only: Option<&str>, hash: &mut Sha256) -> Result<()> {
    let mut scan = s.db.prepare(
        "SELECT \"table\", pk, cid, val, col_version, db_version, site_id, cl, seq FROM crsql_held
         WHERE ?1 IS NULL OR lower(\"table\") = lower(?1) ORDER BY \"table\", pk, cid",
        Prep::Once,
    )?;
    if let Some(name) = only {
        scan.bind_text(1, name.as_bytes())?;
    }
    let mut out = Vec::new();
    while scan.step()? {
        for i in 0..scan.column_count() {
            put_value(&mut out, scan.value(i));
        }
        hash.update(&out);
        out.clear();
    }
    Ok(())
}
