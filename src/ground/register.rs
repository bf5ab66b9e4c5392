//! Our register of ids (`crsql_register`), and how it is joined with a table as SQLite tells it.

use super::cache::{Cache, Fixed};
use super::catalog::{Col, KeyCol, Table};
use super::shape::{Column, Shape};
use super::store;
use crate::types::Merge;
use crate::words::affinity::Affinity;
use crate::words::error::{Error, Result};
use crate::words::key::KeyKind;
use crate::words::policy::Policy;

const COLUMNS: Fixed = Fixed(
    21,
    "SELECT cid, name, former, watched, dropped, merge FROM crsql_register WHERE tid = ?1
     ORDER BY cid",
);

const POLICY: Fixed = Fixed(27, "SELECT policy FROM crsql_tables WHERE tid = ?1");

/// The id of a table or column as our tables hold it. They count from 0 and never come this far.
pub fn table_id(i: i64) -> Result<u32> {
    const MAX: u32 = u32::MAX / 2;
    match u32::try_from(i) {
        Ok(id) if id <= MAX => Ok(id),
        _ => Err(Error::corrupt(format!("{i} is not the id of a table or a column"))),
    }
}

/// A JSON array of names as our tables hold it.
pub fn json_names(text: &[u8]) -> Result<Vec<String>> {
    serde_json::from_slice(text)
        .map_err(|e| Error::corrupt(format!("a list of former names is not JSON: {e}")))
}

/// A column as the register has it.
pub(super) struct Registered {
    /// Its id.
    pub id: u32,
    name: String,
    former: Vec<String>,
    watched: bool,
    dropped: bool,
    merge: Merge,
}

/// The columns of a table, those that were dropped too.
pub(super) fn registered(cache: &Cache, tid: u32) -> Result<Vec<Registered>> {
    let mut stmt = cache.fixed(COLUMNS)?;
    stmt.bind_int(1, i64::from(tid))?;
    let mut out = Vec::new();
    while stmt.step()? {
        out.push(Registered {
            id: table_id(stmt.int(0))?,
            name: stmt.string(1),
            former: json_names(stmt.text(2))?,
            watched: stmt.int(3) != 0,
            dropped: !stmt.is_null(4),
            merge: merge(&stmt.string(5))?,
        });
    }
    Ok(out)
}

fn merge(name: &str) -> Result<Merge> {
    Merge::named(name).ok_or_else(|| {
        Error::refused(format!(
            "a column of this file merges as {name}, which this crsql does not know; load a newer \
             crsql"
        ))
    })
}

/// What becomes of the rows of a table. Files that are older than policies keep none.
pub(super) fn policy(cache: &Cache, tid: u32) -> Result<Policy> {
    if !store::keeps_policies(cache.db())? {
        return Ok(Policy::default());
    }
    let mut stmt = cache.fixed(POLICY)?;
    stmt.bind_int(1, i64::from(tid))?;
    let name = if stmt.step()? { stmt.string(0) } else { String::new() };
    Policy::named(&name).ok_or_else(|| {
        Error::refused(format!(
            "a table of this file has the policy {name}, which this crsql does not know; load a \
             newer crsql"
        ))
    })
}

/// The former names of what was called `was` and is called `now`.
pub(super) fn with_former(mut former: Vec<String>, was: &str, now: &str) -> Vec<String> {
    if !was.eq_ignore_ascii_case(now) && !former.iter().any(|f| f == was) {
        former.push(was.to_string());
    }
    former.retain(|f| f != now);
    former
}

/// Gives the watched columns the names that the trigger's text has for them now.
pub(super) fn follow(columns: &mut [Registered], listed: &[String], keys: usize) {
    let watched = columns.iter_mut().filter(|c| c.watched && !c.dropped);
    for (column, now) in watched.zip(listed.iter().skip(keys)) {
        rename(column, now);
    }
}

/// Gives a column the name that it has now.
pub(super) fn rename(column: &mut Registered, now: &str) {
    if column.name != *now {
        column.former = with_former(std::mem::take(&mut column.former), &column.name, now);
        column.name = now.to_string();
    }
}

/// The table: what SQLite tells of it, with the ids that the register has for its columns.
pub(super) fn join(tid: u32, shape: u32, found: Shape, columns: Vec<Registered>) -> Table {
    let mut next_id = columns.iter().map(|c| c.id + 1).max().unwrap_or(0);
    let watched: Vec<u32> =
        columns.iter().filter(|c| c.watched && !c.dropped).map(|c| c.id).collect();
    let mut cols = Vec::new();
    let mut rest: Vec<Option<Column>> = found.columns.into_iter().map(Some).collect();
    let mut gone = Vec::new();
    for c in columns.into_iter().filter(|c| !c.dropped) {
        let slot = rest
            .iter_mut()
            .find(|r| r.as_ref().is_some_and(|r| r.name.eq_ignore_ascii_case(&c.name)));
        match slot.and_then(Option::take) {
            Some(found) => cols.push(col(c.id, c.former, c.merge, found)),
            None => gone.push(c.id),
        }
    }
    for found in rest.into_iter().flatten() {
        cols.push(col(next_id, Vec::new(), Merge::default(), found));
        next_id += 1;
    }
    cols.sort_by_key(|c| c.id);
    let keys = found
        .keys
        .into_iter()
        .map(|c| KeyCol { name: c.name, loose: c.affinity == Affinity::Blob, affinity: c.affinity })
        .collect();
    // Both ascend.
    let mut of_trigger = watched.iter();
    let stale = !cols.iter().all(|c| of_trigger.any(|w| *w == c.id));
    let typed = cols.iter().any(|c| c.merge.by_intent().is_some());
    let kind = if found.rowid_key { KeyKind::Int } else { KeyKind::Packed };
    Table {
        tid,
        name: found.name,
        former: Vec::new(),
        shape,
        kind,
        strict: found.strict,
        keys,
        cols,
        watched,
        stale,
        gone,
        next_id,
        typed,
        policy: Policy::default(),
    }
}

fn col(id: u32, former: Vec<String>, merge: Merge, c: Column) -> Col {
    let Column { name, affinity, notnull, default, declared, .. } = c;
    Col { id, name, former, affinity, notnull, default, declared, merge }
}
