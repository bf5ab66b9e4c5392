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
use crate::types::bounded::Bounded;
use crate::types::{Parts, Type};
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result, SQLITE_CONSTRAINT};
use crate::words::key::Key;
use crate::words::keylist::KeyRef;
use crate::words::value::{Value, ValueRef};
use crate::words::vector::hex16;

/// What is known of what the newest event found in the columns of its row.
#[derive(Clone, Copy)]
pub enum Found<'a> {
    /// This, in those that it changed.
    Told(&'a [Before<'a>]),
    /// Nothing: the `OLD` row of its trigger cannot be trusted (`upsert.rs`).
    Untold,
    /// Nothing, and it wrote this column: it runs between `crsql_begin_alter` and
    /// `crsql_commit_alter`.
    Assigned(i64),
}

/// Refuses the newest event where it takes more from a bounded column than this site may; and what
/// a type refuses, where the caller was not told what the event found.
pub fn keep(s: &Session, table: &Table, found: Found<'_>) -> Result<()> {
    if !table.typed {
        return Ok(());
    }
    for (at, col) in table.cols.iter().enumerate() {
        let Some(kind) = col.merge.by_intent() else { continue };
        let memory = s.memory.borrow();
        let Some(event) = memory.events.last() else { return Ok(()) };
        let (inserts, mut old) = (matches!(event.op, Op::Insert), None);
        match found {
            Found::Told(olds) => {
                old = olds.iter().find(|old| old.col == col.id).map(|old| old.old);
                if kind.escrow().is_none() || old.is_none() && !inserts {
                    continue;
                }
            }
            Found::Assigned(id) if id != i64::from(col.id) => continue,
            Found::Untold | Found::Assigned(_) => {}
        }
        let key = memory.key(event.key).to_key();
        let anew = inserts && is_born_anew(&memory, event.tid, key.borrow());
        drop(memory);
        let Some(row) = rows::read(s, table, &key)? else { continue };
        let new = row.value(at as i32);
        let why = match kind.escrow() {
            Some(bounded) => {
                let stood =
                    if anew { Stood::Gone } else { stands(s, table, key.borrow(), col, old)? };
                let site = hex16(&s.own_id()?);
                kind.refuses(ValueRef::Null, new).or_else(|| takes(bounded, &site, &stood, new))
            }
            None => untold(s, table, key.borrow(), (col, kind), new)?,
        };
        if let Some(why) = why {
            let text = format!("column {}.{} {why}", table.name, col.name);
            return Err(Error::new(SQLITE_CONSTRAINT, text));
        }
    }
    Ok(())
}

/// Why a bounded column cannot be left at `new`; None where it can.
fn takes(bounded: &Bounded, site: &str, stood: &Stood, new: ValueRef<'_>) -> Option<String> {
    let known = match stood {
        Stood::Known(parts, owner) => Some((parts, owner.as_deref())),
        Stood::Gone | Stood::Unknown(_) => None,
    };
    let floor = || bounded.forbids(site, known, new);
    match stood {
        Stood::Unknown(Some(owner)) if owner != site => Some(format!(
            "is bounded, and holds what site {owner} wrote before it was: this statement does not \
             tell how much that is; say UPDATE, in a statement of its own"
        )),
        _ => floor(),
    }
}

/// Why a type refuses an update that did not tell what it found. A column without parts is written
/// as by an INSERT, which may leave anything.
fn untold(
    s: &Session,
    table: &Table,
    key: KeyRef<'_>,
    (col, kind): (&Col, &dyn Type),
    new: ValueRef<'_>,
) -> Result<Option<String>> {
    // A long text is not read for nothing.
    if kind.is_text() && kind.refuses(new, new).is_none() {
        return Ok(None);
    }
    let Some(parts) = parts::state(s, table.tid, key, col.id)? else { return Ok(None) };
    let stood = parts::shown(s, kind, col, &parts)?;
    Ok(if stood.as_ref() == new { None } else { kind.refuses(stood.as_ref(), new) })
}

/// Whether this transaction has deleted the row and inserts it now.
fn is_born_anew(memory: &super::memory::Memory, tid: u32, key: KeyRef<'_>) -> bool {
    let Some((last, before)) = memory.events.split_last() else { return false };
    let of_row = before.iter().rev().find(|e| e.tid == tid && key_in(&memory.keys, e.key) == key);
    of_row.is_some_and(|e| e.op == Op::Delete && e.statement != last.statement)
}

/// What stood of a bounded column before this transaction, and who owns a base that nobody brought
/// in.
enum Stood {
    /// The row was not there.
    Gone,
    /// There is a base, and nobody told which.
    Unknown(Option<String>),
    Known(Parts, Option<String>),
}

/// `old` is what an update found, where the row has no parts.
fn stands(
    s: &Session,
    table: &Table,
    key: KeyRef<'_>,
    col: &Col,
    old: Option<ValueRef<'_>>,
) -> Result<Stood> {
    let parts = parts::state(s, table.tid, key, col.id)?;
    let Some(clock) = log::clock_of(s, table.tid, key)?.filter(|clock| clock.alive()) else {
        return Ok(Stood::Gone);
    };
    let owner = match clock.cell(col.id) {
        Some(cell) => Some(hex16(&s.site_id(cell.dot.txn.site)?)),
        None => None,
    };
    let base = || old.map(|old| Parts { base: old.to_owned(), ..Parts::default() });
    Ok(match parts.or_else(base) {
        Some(parts) => Stood::Known(parts, owner),
        None => Stood::Unknown(owner),
    })
}

/// A bounded column of a row, and what stands of it.
struct Named {
    table: Rc<Table>,
    at: usize,
    key: Key,
    parts: Parts,
    owner: Option<String>,
}

impl Named {
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
) -> Result<Named> {
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
        None => Stood::Gone,
    };
    drop(row);
    let Stood::Known(parts, owner) = standing else {
        let text = format!("{call}: the row of {name} (column {col}) has no clock");
        return Err(Error::corrupt(text));
    };
    Ok(Named { table, at, key, parts, owner })
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
        let (tid, key) = (found.table.tid, found.key.clone());
        let meant = Meaning { tid, key, col: col.id, said: Said::Registers(said) };
        s.meaning(meant, || {
            rows::update(s, &found.table, &found.key, &[(found.at, value.as_ref())])
        })?;
        flush::flush(s)
    })
}
