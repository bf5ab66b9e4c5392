//! Who may take how much from a bounded column (`types/bounded.rs`): what a statement takes is
//! looked at while it can still fail, and rights are shown and handed over.

use std::rc::Rc;

use super::capture::Before;
use super::column;
use super::flush;
use super::log;
use super::memory::{Op, key_in};
use super::parts;
use super::rows;
use super::session::{Meaning, Said, Session};
use crate::ground::catalog::{Col, Table};
use crate::types::Parts;
use crate::types::bounded::Bounded;
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result, SQLITE_CONSTRAINT};
use crate::words::key::Key;
use crate::words::keylist::KeyRef;
use crate::words::value::{Value, ValueRef};
use crate::words::vector::hex16;

/// Refuses the newest event where it takes more from a bounded column than this site may.
/// `olds` is what an update found.
pub fn keep(s: &Session, table: &Table, olds: &[Before<'_>]) -> Result<()> {
    for (at, col) in table.cols.iter().enumerate() {
        let Some(kind) = col.merge.by_intent() else { continue };
        let Some(bounded) = kind.escrow() else { continue };
        let memory = s.memory.borrow();
        let Some(event) = memory.events.last() else { return Ok(()) };
        let old = olds.iter().find(|old| old.col == col.id).map(|old| old.old);
        if old.is_none() && !matches!(event.op, Op::Insert) {
            continue;
        }
        let key = memory.key(event.key).to_key();
        let anew = old.is_none() && is_born_anew(&memory, event.tid, key.borrow());
        drop(memory);
        let row = rows::read(s, table, &key)?;
        let Some(new) = row.as_ref().map(|row| row.value(at as i32)) else { continue };
        let standing = if anew { None } else { stands(s, table, key.borrow(), col, old)? };
        let site = hex16(&s.own_id()?);
        let known = standing.as_ref().map(|(parts, owner)| (parts, owner.as_deref()));
        if let Some(why) =
            kind.refuses(ValueRef::Null, new).or_else(|| bounded.forbids(&site, known, new))
        {
            let text = format!("column {}.{} {why}", table.name, col.name);
            return Err(Error::new(SQLITE_CONSTRAINT, text));
        }
    }
    Ok(())
}

/// Whether this transaction has deleted the row and inserts it now.
fn is_born_anew(memory: &super::memory::Memory, tid: u32, key: KeyRef<'_>) -> bool {
    let Some((last, before)) = memory.events.split_last() else { return false };
    let of_row = before.iter().rev().find(|e| e.tid == tid && key_in(&memory.keys, e.key) == key);
    of_row.is_some_and(|e| e.op == Op::Delete && e.statement != last.statement)
}

/// What stood of the column before this transaction, and who owns a base that nobody brought in;
/// None where the row was not there. `old` is what an update found, where the row has no parts.
fn stands(
    s: &Session,
    table: &Table,
    key: KeyRef<'_>,
    col: &Col,
    old: Option<ValueRef<'_>>,
) -> Result<Option<(Parts, Option<String>)>> {
    let parts = parts::state(s, table.tid, key, col.id)?;
    let Some(clock) = log::clock_of(s, table.tid, key)?.filter(|clock| clock.alive()) else {
        return Ok(None);
    };
    let owner = match clock.cell(col.id) {
        Some(cell) => Some(hex16(&s.site_id(cell.dot.txn.site)?)),
        None => None,
    };
    let base = || old.map(|old| Parts { base: old.to_owned(), ..Parts::default() });
    Ok(parts.or_else(base).map(|parts| (parts, owner)))
}

/// A bounded column of a row, and what stands of it.
struct Found {
    table: Rc<Table>,
    at: usize,
    key: Key,
    parts: Parts,
    owner: Option<String>,
}

impl Found {
    fn bounded(&self) -> Option<(&Col, &Bounded)> {
        let col = self.table.cols.get(self.at)?;
        Some((col, col.merge.by_intent()?.escrow()?))
    }
}

fn find(
    s: &Rc<Session>,
    call: &str,
    (table, column): (&str, &str),
    key: ValueRef<'_>,
) -> Result<Found> {
    let (table, at) = column::look(s, call, table, column)?;
    let (name, merge) = match table.cols.get(at) {
        Some(col) => (format!("{}.{}", table.name, col.name), &col.merge),
        None => return Err(Error::refused(format!("{call}: table {} has changed", table.name))),
    };
    if merge.by_intent().and_then(|kind| kind.escrow()).is_none() {
        return Err(Error::refused(format!(
            "{call}: column {name} merges as {}, and only a bounded one has rights",
            merge.name()
        )));
    }
    let key = column::row_of(s, call, &table, key)?;
    let row = rows::read(s, &table, &key)?;
    let current = row.as_ref().map(|row| row.value(at as i32));
    let col = table.cols.get(at).map_or(0, |col| col.id);
    let standing = match table.cols.get(at) {
        Some(col) => stands(s, &table, key.borrow(), col, current)?,
        None => None,
    };
    drop(row);
    let (parts, owner) = standing.ok_or_else(|| {
        Error::corrupt(format!("{call}: the row of {name} (column {col}) has no clock"))
    })?;
    Ok(Found { table, at, key, parts, owner })
}

/// `crsql_rights(table, key, column)`: the sites that may take something, and how much.
pub fn list(s: &Rc<Session>, names: (&str, &str), key: ValueRef<'_>) -> Result<Vec<(SiteId, i64)>> {
    let found = find(s, "crsql_rights", names, key)?;
    let Some((_, bounded)) = found.bounded() else { return Ok(Vec::new()) };
    let rights = bounded.rights(&found.parts, found.owner.as_deref());
    let known = rights.into_iter().filter(|(_, n)| *n != 0);
    Ok(known.filter_map(|(site, n)| Some((crate::types::site_of(&site)?, n))).collect())
}

/// `crsql_rights_grant(table, key, column, to_site, n)`
pub fn grant(
    s: &Rc<Session>,
    names: (&str, &str),
    key: ValueRef<'_>,
    to: ValueRef<'_>,
    n: i64,
) -> Result<()> {
    const CALL: &str = "crsql_rights_grant";
    let named = match to {
        ValueRef::Blob(id) => SiteId::try_from(id).ok(),
        ValueRef::Text(hex) => {
            std::str::from_utf8(hex).ok().and_then(|hex| crate::types::site_of(&hex.to_lowercase()))
        }
        _ => None,
    };
    let to = named.ok_or_else(|| {
        Error::refused(format!(
            "{CALL}: a site is named by its id, 16 bytes or 32 hex digits, as crsql_site_id() \
             gives it there"
        ))
    })?;
    s.writing(CALL, || {
        column::find(s, CALL, names.0, names.1)?;
        let found = find(s, CALL, names, key)?;
        let Some((col, bounded)) = found.bounded() else { return Ok(()) };
        let own = hex16(&s.own_id()?);
        let name = format!("{}.{}", found.table.name, col.name);
        let owner = found.owner.as_deref();
        let said = bounded
            .grant(&found.parts, (owner, &own), &hex16(&to), n)
            .map_err(|why| Error::refused(format!("{CALL}: of {name} {why}")))?;
        let row = rows::read(s, &found.table, &found.key)?;
        let value = row.as_ref().map_or(Value::Null, |row| row.value(found.at as i32).to_owned());
        drop(row);
        let meant = Meaning { tid: found.table.tid, col: col.id, said: Said::Registers(said) };
        s.meaning(meant, || {
            rows::update(s, &found.table, &found.key, &[(found.at, value.as_ref())])
        })?;
        flush::flush(s)
    })
}
