//! `crsql_column()`: how a column merges, and the calls that such columns have of their own.

use std::rc::Rc;

use super::alter;
use super::flush;
use super::held;
use super::log;
use super::parts;
use super::rows;
use super::session::{Meaning, Said, Session};
use crate::ground::catalog::{Col, Table};
use crate::ground::{Prep, store};
use crate::types::{Merge, multi};
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result};
use crate::words::key::Key;
use crate::words::value::{Value, ValueRef};

/// Declares how a column merges. What was held for want of it is tried again.
pub fn declare(s: &Rc<Session>, table: &str, column: &str, kind: &str) -> Result<()> {
    const CALL: &str = "crsql_column";
    // A schema that is said again changes nothing.
    if alter::is_settled(s)?
        && let Some(found) = s.named(table)?
        && let Some(col) = found.cols.iter().find(|c| c.name.eq_ignore_ascii_case(column))
        && col.merge.name() == kind
        && !held::any_disagreed(s)?
    {
        return Ok(());
    }
    s.writing(CALL, || {
        let (table, at) = find(s, CALL, table, column)?;
        let Some(col) = table.cols.get(at) else { return Ok(()) };
        let merge = Merge::named(kind).ok_or_else(|| {
            Error::refused(format!("{CALL}: no type is called {kind}; there are {}", Merge::NAMES))
        })?;
        let kind = merge.name();
        if col.merge.name() == kind {
            // What a sender wrote who had not said it waits for this.
            return held::retry_agreed(s, &|of, held| {
                of.eq_ignore_ascii_case(&table.name) && held.eq_ignore_ascii_case(&col.name)
            });
        }
        let name = format!("{}.{}", table.name, col.name);
        if let Some(Err(needs)) = merge.by_intent().map(|t| t.fits(col.affinity)) {
            return Err(Error::refused(format!(
                "{CALL}: column {name} is declared {}; {kind} is for {needs}",
                if col.declared.is_empty() { "without a type" } else { &col.declared }
            )));
        }
        store::install_parts(s.db)?;
        refuse_again(s, &table, col, &name)?;
        let mut stmt = s.db.prepare(
            "UPDATE crsql_register SET merge = ?3 WHERE tid = ?1 AND cid = ?2",
            Prep::Once,
        )?;
        stmt.bind_int(1, i64::from(table.tid))?;
        stmt.bind_int(2, i64::from(col.id))?;
        stmt.bind_text(3, kind.as_bytes())?;
        stmt.run()?;
        drop(stmt);
        // Every connection learns of it by the schema, which has new triggers.
        alter::watch(s, &table)?;
        alter::settle_schema(s)?;
        held::retry(s)
    })
}

/// The replicated columns: table, column, and how it merges.
pub fn list(s: &Rc<Session>) -> Result<Vec<[String; 3]>> {
    let mut out = Vec::new();
    if !s.installed()? {
        return Ok(out);
    }
    for tid in &s.catalog.names(&s.cache)?.all {
        let Some(table) = s.find_table(*tid)? else { continue };
        for col in &table.cols {
            out.push([table.name.clone(), col.name.clone(), col.merge.name()]);
        }
    }
    Ok(out)
}

/// What was merged by one type means nothing to another.
fn refuse_again(s: &Session, table: &Table, col: &Col, name: &str) -> Result<()> {
    let mut stmt = s.db.prepare(
        "SELECT EXISTS(SELECT 1 FROM crsql_parts WHERE tid = ?1 AND cid = ?2)",
        Prep::Once,
    )?;
    stmt.bind_int(1, i64::from(table.tid))?;
    stmt.bind_int(2, i64::from(col.id))?;
    stmt.step()?;
    if stmt.int(0) == 0 {
        return Ok(());
    }
    Err(Error::refused(format!(
        "crsql_column: column {name} merges as {} and has been written so; add another column, and \
         copy into it",
        col.merge.name()
    )))
}

fn unknown(call: &str, table: &str) -> Error {
    Error::refused(format!(
        "{call}: table {table} is not replicated; call crsql_as_crr('{table}') first"
    ))
}

/// The table and the position of the column. The caller writes.
pub(super) fn find(
    s: &Rc<Session>,
    call: &str,
    table: &str,
    column: &str,
) -> Result<(Rc<Table>, usize)> {
    if !s.installed()? {
        return Err(unknown(call, table));
    }
    s.enlist()?;
    flush::flush(s)?;
    alter::reconcile(s)?;
    look(s, call, table, column)
}

/// The same for who only reads.
pub(super) fn look(
    s: &Rc<Session>,
    call: &str,
    table: &str,
    column: &str,
) -> Result<(Rc<Table>, usize)> {
    let found = if s.installed()? { s.named(table)? } else { None };
    let found = found.ok_or_else(|| unknown(call, table))?;
    flush::flush(s)?;
    if let Some(at) = found.cols.iter().position(|c| c.name.eq_ignore_ascii_case(column)) {
        return Ok((found, at));
    }
    let of_key = found.keys.iter().any(|k| k.name.eq_ignore_ascii_case(column));
    Err(Error::refused(if of_key {
        format!("{call}: column {table}.{column} is of the key, which says what row it is")
    } else {
        format!("{call}: table {table} has no replicated column {column}")
    }))
}

/// The row that a caller names: by the value of a key of one column, by a JSON array of the key's
/// values, or by the packed key.
pub(super) fn row_of(s: &Session, call: &str, table: &Table, named: ValueRef<'_>) -> Result<Key> {
    let mut keys = Vec::new();
    if table.keys.len() == 1 && !matches!(named, ValueRef::Null) {
        keys.extend(Key::from_values(table.kind, &[named]).ok());
    }
    if let ValueRef::Blob(pk) = named {
        keys.extend(Key::from_pk(table.kind, table.keys.len(), pk).ok());
    }
    if let ValueRef::Text(text) = named
        && let Ok(values) = serde_json::from_slice::<Vec<serde_json::Value>>(text)
        && values.len() == table.keys.len()
    {
        let values: Vec<Value> = values.iter().map(of_json).collect();
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        keys.extend(Key::from_values(table.kind, &values).ok());
    }
    for key in keys {
        if rows::read(s, table, &key)?.is_some() {
            return Ok(key);
        }
    }
    Err(Error::refused(format!(
        "{call}: table {} has no row with this key; a key is the value of its one column, a JSON \
         array of the values of all, or the blob that crsql_changes calls pk",
        table.name
    )))
}

fn of_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::String(text) => Value::text(text.as_str()),
        serde_json::Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => Value::Int(i),
            (None, Some(r)) => Value::Real(r),
            (None, None) => Value::Null,
        },
        serde_json::Value::Bool(b) => Value::Int(i64::from(*b)),
        _ => Value::Null,
    }
}

/// `crsql_values(table, key, column)`: the values that no later write has seen, who wrote each, and
/// whether it is the one that the column holds.
pub fn values(
    s: &Rc<Session>,
    (table, column): (&str, &str),
    key: ValueRef<'_>,
) -> Result<Vec<(Value, SiteId, bool)>> {
    const CALL: &str = "crsql_values";
    let (table, at) = look(s, CALL, table, column)?;
    let Some(col) = table.cols.get(at) else { return Ok(Vec::new()) };
    if col.merge.name() != "multi" {
        return Err(Error::refused(format!(
            "{CALL}: column {}.{} merges as {}, which keeps one value",
            table.name,
            col.name,
            col.merge.name()
        )));
    }
    let key = row_of(s, CALL, &table, key)?;
    let row = rows::read(s, &table, &key)?;
    let holds = row.as_ref().map_or(Value::Null, |row| row.value(at as i32).to_owned());
    drop(row);
    let writer = match log::clock_of(s, table.tid, key.borrow())?.and_then(|c| c.cell(col.id)) {
        Some(cell) => s.site_id(cell.dot.txn.site)?,
        None => s.own_id()?,
    };
    let parts = parts::state(s, table.tid, key.borrow(), col.id)?.unwrap_or_default();
    let mut out: Vec<(Value, SiteId, bool)> = multi::values(&parts)
        .into_iter()
        .map(|(site, value)| (value.clone(), site, site == writer && value == holds))
        .collect();
    // What was there before the column kept more than one value.
    if !out.iter().any(|(.., winner)| *winner) {
        out.push((holds, writer, true));
    }
    out.sort_by_key(|(.., winner)| !*winner);
    Ok(out)
}

/// `crsql_counter_set(table, key, column, value)`: exactly this value, whatever was counted.
pub fn counter_set(
    s: &Rc<Session>,
    table: &str,
    key: ValueRef<'_>,
    column: &str,
    value: ValueRef<'_>,
) -> Result<()> {
    const CALL: &str = "crsql_counter_set";
    s.writing(CALL, || {
        let (table, at) = find(s, CALL, table, column)?;
        let Some(col) = table.cols.get(at) else { return Ok(()) };
        let name = format!("{}.{}", table.name, col.name);
        let counts = |kind: &&dyn crate::types::Type| kind.name().ends_with("counter");
        let Some(kind) = col.merge.by_intent().filter(counts) else {
            return Err(Error::refused(format!(
                "{CALL}: column {name} merges as {}; an UPDATE says exactly what it says",
                col.merge.name()
            )));
        };
        if let Some(why) = kind.refuses(value, value) {
            return Err(Error::refused(format!("{CALL}: column {name} {why}")));
        }
        let key = row_of(s, CALL, &table, key)?;
        let (tid, col) = (table.tid, col.id);
        let exactly = Meaning { tid, key: key.clone(), col, said: Said::Exactly };
        s.meaning(exactly, || rows::update(s, &table, &key, &[(at, value)]))
    })
}
