//! The application's rows: every statement of ours that reads or writes a replicated table. Names
//! come from the catalog only and go through one quoting function; values are bound.
//!
//! Our statements carry no `OR` clause: an explicit one would replace the conflict clauses of the
//! application's own triggers.

use super::session::Session;
use super::{hand, unchecked};
use crate::ground::cache::{Lease, Slot};
use crate::ground::catalog::Table;
use crate::ground::quote::ident;
use crate::ground::{Prep, Stmt};
use crate::words::error::{Error, Result};
use crate::words::key::Key;
use crate::words::keylist::KeyRef;
use crate::words::value::ValueRef;

const SELECT: u32 = 10;
const UPDATE: u32 = 11;
const INSERT: u32 = 12;
const DELETE: u32 = 13;
const RESET: u32 = 9;
const WITH_CLOCK: u32 = 8;
const UNWATCHED: u32 = 15;
const NEIGHBOURS: u32 = 16;

/// Which columns a statement names, as the variant of its slot. Tables of up to 60 columns have
/// one statement per set; wider ones name single columns or all.
const WIDE: usize = 60;

fn key_is(table: &Table, from: usize) -> String {
    let terms = table.keys.iter().enumerate();
    let terms: Vec<String> =
        terms.map(|(i, k)| format!("{} = ?{}", ident(&k.name), from + i)).collect();
    terms.join(" AND ")
}

/// Binds the key's columns from `from` on; gives the next free parameter.
fn bind_key(stmt: &mut Stmt, key: &Key, from: i32) -> Result<i32> {
    if let Key::Int(i) = key {
        stmt.bind_int(from, *i)?;
        return Ok(from + 1);
    }
    let values = key.values()?;
    for (i, v) in values.iter().enumerate() {
        stmt.bind(from + i as i32, v.as_ref())?;
    }
    Ok(from + values.len() as i32)
}

/// The row's replicated columns, in the order of `table.cols`; None where there is no such row.
pub fn read<'s>(s: &'s Session, table: &Table, key: &Key) -> Result<Option<Lease<'s>>> {
    let mut stmt = s.cache.get(Slot(table.tid, SELECT, u64::from(table.shape)), || {
        let cols: Vec<String> = table.cols.iter().map(|c| ident(&c.name)).collect();
        let cols = if cols.is_empty() { "1".to_string() } else { cols.join(", ") };
        format!("SELECT {cols} FROM main.{} WHERE {}", ident(&table.name), key_is(table, 1))
    })?;
    bind_key(&mut stmt, key, 1)?;
    Ok(if stmt.step()? { Some(stmt) } else { None })
}

/// Tables of more columns than this are read without their clock: SQLite has a limit of 2,000.
pub const JOINED_MAX: usize = 1900;

/// In the rows of `read_with_clock`, the position of the first replicated column.
pub const FIRST: i32 = 2;

/// A row's clock, whether the row is missing, and its replicated columns in the order of
/// `table.cols`; None where it has no clock. One statement, for the feed.
pub fn read_with_clock<'s>(s: &'s Session, table: &Table, key: &Key) -> Result<Option<Lease<'s>>> {
    hand::settle(s)?;
    let mut stmt = s.cache.get(Slot(table.tid, WITH_CLOCK, u64::from(table.shape)), || {
        let int = matches!(key, Key::Int(_));
        let keys = table.keys.iter().enumerate().map(|(i, k)| match int {
            true => format!("t.{} = c.key", ident(&k.name)),
            false => format!("t.{} = ?{}", ident(&k.name), i + 2),
        });
        let on = keys.collect::<Vec<_>>().join(" AND ");
        let first = table.keys.first().map_or("1".to_string(), |k| format!("t.{}", ident(&k.name)));
        let cols: String = table.cols.iter().map(|c| format!(", t.{}", ident(&c.name))).collect();
        format!(
            "SELECT c.clock, {first} IS NULL{cols} FROM main.{} c LEFT JOIN main.{} t ON {on}
             WHERE c.key = ?1",
            table.clock(),
            ident(&table.name)
        )
    })?;
    stmt.bind(1, key.as_value())?;
    if let Key::Packed(_) = key {
        bind_key(&mut stmt, key, 2)?;
    }
    Ok(if stmt.step()? { Some(stmt) } else { None })
}

/// In the rows of `read_neighbours`, the position of the key; the columns follow it.
pub const KEY: i32 = 2;

/// The same as `read_with_clock` for integer keys from one to another, ascending. It stands before
/// the first row.
pub fn read_neighbours<'s>(
    s: &'s Session,
    table: &Table,
    first: i64,
    last: i64,
) -> Result<Lease<'s>> {
    hand::settle(s)?;
    let mut stmt = s.cache.get(Slot(table.tid, NEIGHBOURS, u64::from(table.shape)), || {
        let key = table.keys.first().map_or("1".to_string(), |k| format!("t.{}", ident(&k.name)));
        let cols: String = table.cols.iter().map(|c| format!(", t.{}", ident(&c.name))).collect();
        format!(
            "SELECT c.clock, {key} IS NULL, c.key{cols} FROM main.{} c LEFT JOIN main.{} t
             ON {key} = c.key WHERE c.key BETWEEN ?1 AND ?2 ORDER BY c.key",
            table.clock(),
            ident(&table.name)
        )
    })?;
    stmt.bind_int(1, first)?;
    stmt.bind_int(2, last)?;
    Ok(stmt)
}

/// A cell to write: the position in `table.cols`, and the value.
pub type Written<'a> = (usize, ValueRef<'a>);

fn set_of(cells: &[Written<'_>]) -> u64 {
    cells.iter().fold(0, |set, (at, _)| set | 1u64.checked_shl(*at as u32).unwrap_or(0))
}

/// Inserts a row with these cells; the others take their defaults.
pub fn insert(s: &Session, table: &Table, key: &Key, cells: &[Written<'_>]) -> Result<()> {
    let sql = || {
        let names = table.keys.iter().map(|k| ident(&k.name));
        let cols = cells.iter().filter_map(|(at, _)| table.cols.get(*at)).map(|c| ident(&c.name));
        let names: Vec<String> = names.chain(cols).collect();
        let marks: Vec<String> = (1..=names.len()).map(|i| format!("?{i}")).collect();
        format!(
            "INSERT INTO main.{}({}) VALUES({})",
            ident(&table.name),
            names.join(", "),
            marks.join(", ")
        )
    };
    write(s, table, key, cells, INSERT, sql, true)
}

/// Updates these cells of a row.
pub fn update(s: &Session, table: &Table, key: &Key, cells: &[Written<'_>]) -> Result<()> {
    let sql = || {
        let keys = table.keys.len();
        let sets = cells.iter().enumerate().filter_map(|(i, (at, _))| {
            table.cols.get(*at).map(|c| format!("{} = ?{}", ident(&c.name), keys + i + 1))
        });
        let sets: Vec<String> = sets.collect();
        format!(
            "UPDATE main.{} SET {} WHERE {}",
            ident(&table.name),
            sets.join(", "),
            key_is(table, 1)
        )
    };
    write(s, table, key, cells, UPDATE, sql, false)
}

fn write(
    s: &Session,
    table: &Table,
    key: &Key,
    cells: &[Written<'_>],
    what: u32,
    sql: impl FnOnce() -> String,
    insert: bool,
) -> Result<()> {
    // A shape that changed names other columns: its statements are other statements.
    let variant = u64::from(table.shape) << 4 | u64::from(what);
    let kept = table.cols.len() <= WIDE;
    let mut once;
    let mut lease;
    let stmt: &mut Stmt = if kept {
        lease = s
            .cache
            .application(Slot(table.tid, (variant & 0xffff_ffff) as u32, set_of(cells)), sql)?;
        &mut lease
    } else {
        once = s.db.prepare(&sql(), Prep::Once)?;
        &mut once
    };
    let mut at = 1;
    if let Key::Int(i) = key {
        stmt.bind_int(at, *i)?;
        at += 1;
    } else {
        for v in key.values()? {
            stmt.bind(at, v.as_ref())?;
            at += 1;
        }
    }
    for (_, v) in cells {
        stmt.bind(at, *v)?;
        at += 1;
    }
    s.expect_own(table.tid, key);
    stmt.run()?;
    if s.db.changes() != 1 {
        let verb = if insert { "inserted" } else { "updated" };
        return Err(Error::refused(format!(
            "a trigger of the application let no row of {} be {verb}",
            table.name
        )));
    }
    Ok(())
}

/// Begins a living row's next life: these cells, and every other column at its default. One
/// statement, so that it happens or does not.
pub fn reset(s: &Session, table: &Table, key: &Key, cells: &[Written<'_>]) -> Result<()> {
    if table.cols.is_empty() {
        return Ok(());
    }
    let sql = || {
        let keys = table.keys.len();
        let sets = table.cols.iter().enumerate().map(|(at, c)| {
            let given = cells.iter().position(|(a, _)| *a == at);
            let value = match given {
                Some(i) => format!("?{}", keys + i + 1),
                None => format!("({})", c.default.as_deref().unwrap_or("NULL")),
            };
            format!("{} = {value}", ident(&c.name))
        });
        let sets: Vec<String> = sets.collect();
        format!(
            "UPDATE main.{} SET {} WHERE {}",
            ident(&table.name),
            sets.join(", "),
            key_is(table, 1)
        )
    };
    write(s, table, key, cells, RESET, sql, false)
}

/// Deletes a row. A row that is not there is deleted already.
pub fn delete(s: &Session, table: &Table, key: &Key) -> Result<()> {
    let mut stmt = s.cache.application(Slot(table.tid, DELETE, u64::from(table.shape)), || {
        format!("DELETE FROM main.{} WHERE {}", ident(&table.name), key_is(table, 1))
    })?;
    bind_key(&mut stmt, key, 1)?;
    s.expect_own(table.tid, key);
    stmt.run()?;
    if s.db.changes() == 0 {
        drop(stmt);
        if read(s, table, key)?.is_some() {
            return Err(Error::refused(format!(
                "a trigger of the application let no row of {} be deleted",
                table.name
            )));
        }
    }
    Ok(())
}

/// Writes the canonical values of keys over whatever spelling of them their rows have. To SQLite
/// both are equal, so to the application nothing happens: no trigger fires and no CHECK is asked,
/// which could make a COMMIT fail.
pub fn canonicalise_keys(s: &Session, table: &Table, keys: &[Key]) -> Result<()> {
    let sets = table.keys.iter().enumerate();
    let sets: Vec<String> = sets.map(|(i, k)| format!("{} = ?{}", ident(&k.name), i + 1)).collect();
    let sql = format!(
        "UPDATE main.{} SET {} WHERE {}",
        ident(&table.name),
        sets.join(", "),
        key_is(table, 1)
    );
    s.without_triggers(|| {
        unchecked::write(s, || {
            let mut stmt = s.db.prepare(&sql, Prep::Once)?;
            for key in keys {
                bind_key(&mut stmt, key, 1)?;
                stmt.run()?;
            }
            Ok(())
        })
    })
}

/// For each column that the update trigger does not name: whether the row's value is other than
/// the column's default. In the order of `table.unwatched()`; None where there is no such row.
pub fn unwatched(s: &Session, table: &Table, key: KeyRef<'_>) -> Result<Option<Vec<bool>>> {
    let mut count = 0;
    let mut stmt = s.cache.get(
        Slot(table.tid, UNWATCHED, u64::from(table.shape) << 32 | u64::from(table.cover())),
        || {
            let cols: Vec<String> = table
                .unwatched()
                .map(|c| {
                    let default = c.default.as_deref().unwrap_or("NULL");
                    format!("{} IS NOT ({default})", ident(&c.name))
                })
                .collect();
            format!(
                "SELECT {} FROM main.{} WHERE {}",
                cols.join(", "),
                ident(&table.name),
                key_is(table, 1)
            )
        },
    )?;
    bind_key(&mut stmt, &key.to_key(), 1)?;
    if !stmt.step()? {
        return Ok(None);
    }
    let mut out = Vec::new();
    while count < stmt.column_count() {
        out.push(stmt.int(count) != 0);
        count += 1;
    }
    Ok(Some(out))
}
