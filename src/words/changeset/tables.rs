//! The dictionary of tables.

use super::COLUMNS_MAX;
use super::fields::{put_text, rising, string, yes_no};
use super::types::{ColumnInfo, KeyInfo, TableInfo};
use crate::words::affinity::Affinity;
use crate::words::error::{Error, Result};
use crate::words::key::KeyKind;
use crate::words::pack;
use crate::words::wire::{Reader, put_varint};

const NOT_NULL: u8 = 1;
const LWW: &str = "lww";

/// An affinity as a byte.
pub fn affinity_code(affinity: Affinity) -> u8 {
    match affinity {
        Affinity::Blob => 0,
        Affinity::Text => 1,
        Affinity::Numeric => 2,
        Affinity::Integer => 3,
        Affinity::Real => 4,
        Affinity::Any => 5,
    }
}

/// The affinity that a byte stands for. REJECTED when there is none.
pub fn affinity_of(code: u8) -> Result<Affinity> {
    match code {
        0 => Ok(Affinity::Blob),
        1 => Ok(Affinity::Text),
        2 => Ok(Affinity::Numeric),
        3 => Ok(Affinity::Integer),
        4 => Ok(Affinity::Real),
        5 => Ok(Affinity::Any),
        _ => Err(Error::rejected(format!("{code} stands for no affinity"))),
    }
}

/// Brings a table into the form in which it is written: former names sorted, merge types named.
pub(super) fn settle(table: &mut TableInfo) {
    let formers = table.columns.iter_mut().map(|column| &mut column.former);
    for former in formers.chain([&mut table.former]) {
        former.sort_unstable();
        former.dedup();
    }
    for column in table.columns.iter_mut().filter(|column| column.merge.is_empty()) {
        column.merge = LWW.to_owned();
    }
}

/// REJECTED unless it is a table that could be.
pub(super) fn check(table: &TableInfo) -> Result<()> {
    let keys_max = match table.kind {
        KeyKind::Int => 1,
        KeyKind::Packed => pack::COLUMNS_MAX,
    };
    if !(1..=keys_max).contains(&table.keys.len()) {
        return Err(Error::rejected(format!(
            "a table has {} key columns, of 1 to {keys_max}",
            table.keys.len()
        )));
    }
    if table.columns.len() > COLUMNS_MAX {
        return Err(Error::rejected(format!(
            "a table has {} columns; {COLUMNS_MAX} are the most",
            table.columns.len()
        )));
    }
    // In a held change it would read as the row's own causal length.
    if table.columns.iter().any(|c| c.name == "-1") {
        return Err(Error::rejected("a table has a column named -1"));
    }
    let keys = table.keys.iter().map(|key| &key.name);
    let mut names: Vec<&String> = keys.chain(table.columns.iter().map(|c| &c.name)).collect();
    names.sort_unstable();
    rising(&names, "the names of a table's columns, sorted,")?;
    rising(&table.former, "a table's former names")?;
    table.columns.iter().try_for_each(|c| rising(&c.former, "a column's former names"))
}

pub(super) fn put(out: &mut Vec<u8>, table: &TableInfo) {
    put_text(out, &table.name);
    put_texts(out, &table.former);
    out.push(u8::from(table.kind == KeyKind::Packed));
    out.push(u8::from(table.strict));
    put_varint(out, table.keys.len() as u64);
    for key in &table.keys {
        put_text(out, &key.name);
        out.push(affinity_code(key.affinity));
        put_text(out, &key.collation);
    }
    put_varint(out, table.columns.len() as u64);
    table.columns.iter().for_each(|column| put_column(out, column));
}

fn put_column(out: &mut Vec<u8>, column: &ColumnInfo) {
    put_text(out, &column.name);
    put_texts(out, &column.former);
    out.push(affinity_code(column.affinity));
    put_text(out, &column.declared);
    out.push(if column.notnull { NOT_NULL } else { 0 });
    out.push(u8::from(column.default.is_some()));
    if let Some(default) = &column.default {
        put_text(out, default);
    }
    put_text(out, if column.merge == LWW { "" } else { &column.merge });
}

fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_varint(out, texts.len() as u64);
    texts.iter().for_each(|text| put_text(out, text));
}

/// The whole dictionary.
pub(super) fn read_all(r: &mut Reader<'_>) -> Result<Vec<TableInfo>> {
    let tables = list(r, 6, read)?;
    let names: Vec<&String> = tables.iter().map(|table| &table.name).collect();
    rising(&names, "the tables")?;
    Ok(tables)
}

fn read(r: &mut Reader<'_>) -> Result<TableInfo> {
    let table = TableInfo {
        name: string(r)?,
        former: list(r, 1, string)?,
        kind: if yes_no(r)? { KeyKind::Packed } else { KeyKind::Int },
        strict: yes_no(r)?,
        keys: list(r, 3, |r| {
            Ok(KeyInfo { name: string(r)?, affinity: affinity_of(r.u8()?)?, collation: string(r)? })
        })?,
        columns: list(r, 7, read_column)?,
    };
    check(&table)?;
    Ok(table)
}

fn read_column(r: &mut Reader<'_>) -> Result<ColumnInfo> {
    Ok(ColumnInfo {
        name: string(r)?,
        former: list(r, 1, string)?,
        affinity: affinity_of(r.u8()?)?,
        declared: string(r)?,
        notnull: match r.u8()? {
            0 => false,
            NOT_NULL => true,
            n => return Err(Error::rejected(format!("a column has the unknown flags {n:#04x}"))),
        },
        default: if yes_no(r)? { Some(string(r)?) } else { None },
        merge: match string(r)? {
            merge if merge.is_empty() => LWW.to_owned(),
            merge if merge == LWW => return Err(Error::rejected("'lww' is written out")),
            merge => merge,
        },
    })
}

fn list<'a, T>(
    r: &mut Reader<'a>,
    min_bytes_each: usize,
    entry: impl Fn(&mut Reader<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let n = r.count(min_bytes_each)?;
    (0..n).map(|_| entry(r)).collect()
}
