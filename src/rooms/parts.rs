//! The parts of columns that merge by intent (`types/`), and the only reader and writer of
//! `crsql_parts`. A part is a stamped register beside the cells of a row: it has a place in its
//! transaction, the log lists it with its row, the feed shows it after the row's cells, and it
//! travels as a change of its own whose cid names column and register.
//!
//! A column without parts needs nothing: the row holds its base. With its first part the base is
//! kept here, in a register of its own, because the row then shows what all of it comes to.

use super::feed::HeldChange;
use super::log::{count, int};
use super::rows;
use super::session::Session;
use super::text;
use super::unchecked;
use crate::ground::Stmt;
use crate::ground::cache::Fixed;
use crate::ground::catalog::{Col, Table, table_id};
use crate::ground::store;
use crate::types::{self, Parts, Type};
use crate::words::dot::{Dot, Txn};
use crate::words::error::{Error, Result, SQLITE_ERROR};
use crate::words::key::Key;
use crate::words::keylist::KeyRef;
use crate::words::merge::Write;
use crate::words::value::{Value, ValueRef};
use crate::words::vector::hex16;

const OF_COLUMN: Fixed = Fixed(
    180,
    "SELECT register, val FROM crsql_parts WHERE tid = ?1 AND key = ?2 AND cid = ?3
     ORDER BY register",
);
const OF_ROW: Fixed = Fixed(
    181,
    "SELECT cid, register, val, site, version, seq, stamp FROM crsql_parts
     WHERE tid = ?1 AND key = ?2 ORDER BY cid, register",
);
const STANDING: Fixed = Fixed(
    182,
    "SELECT val, site, version, seq, stamp FROM crsql_parts
     WHERE tid = ?1 AND key = ?2 AND cid = ?3 AND register = ?4",
);
const PUT: Fixed =
    Fixed(183, "INSERT OR REPLACE INTO crsql_parts VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
const DROP_ROW: Fixed = Fixed(184, "DELETE FROM crsql_parts WHERE tid = ?1 AND key = ?2");
const RENAME: Fixed = Fixed(
    185,
    "UPDATE crsql_parts SET site = ?5, version = ?6,
       stamp = iif(stamp > ?7, ?8, min(stamp + 1, ?9))
     WHERE tid = ?1 AND key = ?2 AND site = ?3 AND version = ?4 RETURNING 1",
);

const DOTS: Fixed = Fixed(
    187,
    "SELECT site, version, seq FROM crsql_parts
     WHERE tid = ?1 AND key = ?2 AND register IS NOT -1",
);

/// The register under which the base is kept. Registers that are named by a site are kept by its
/// ordinal; others by their name.
const BASE: i64 = -1;

/// One part as it stands.
pub struct Part {
    /// The column's id.
    pub col: u32,
    /// The register.
    pub register: String,
    /// The value.
    pub val: Value,
    /// Where it was written.
    pub dot: Dot,
    /// Its stamp.
    pub stamp: u64,
}

fn bind_row(stmt: &mut Stmt, tid: u32, key: KeyRef<'_>) -> Result<()> {
    stmt.bind_int(1, i64::from(tid))?;
    match key {
        KeyRef::Int(i) => stmt.bind_int(2, i),
        KeyRef::Packed(bytes) => stmt.bind_blob(2, bytes),
    }
}

/// The name of a register as it is kept; None for the base.
fn register(s: &Session, kept: ValueRef<'_>) -> Result<Option<String>> {
    Ok(match kept {
        ValueRef::Int(BASE) => None,
        ValueRef::Int(site) => Some(hex16(&s.site_id(store::ordinal(site)?)?)),
        ValueRef::Text(name) => Some(String::from_utf8_lossy(name).into_owned()),
        v => {
            let text = format!("crsql_parts has a register of class {}", v.class_name());
            return Err(Error::corrupt(text));
        }
    })
}

fn bind_register(s: &Session, stmt: &mut Stmt, register: &str) -> Result<()> {
    match types::site_of(register) {
        Some(site) => stmt.bind_int(4, i64::from(s.sites.intern(&s.cache, &site)?)),
        None => stmt.bind_text(4, register.as_bytes()),
    }
}

/// What stands of a column of a row; None where it has no parts, and the row holds its base.
pub fn state(s: &Session, tid: u32, key: KeyRef<'_>, col: u32) -> Result<Option<Parts>> {
    let mut stmt = s.cache.fixed(OF_COLUMN)?;
    bind_row(&mut stmt, tid, key)?;
    stmt.bind_int(3, i64::from(col))?;
    let mut found = None;
    while stmt.step()? {
        let parts: &mut Parts = found.get_or_insert_default();
        match (register(s, stmt.value(0))?, stmt.value(1).to_owned()) {
            (None, val) => parts.base = val,
            (Some(register), val) => drop(parts.list.insert(register, val)),
        }
    }
    Ok(found)
}

/// What stands of a row beside its cells.
#[derive(Default)]
pub struct OfRow {
    /// All parts.
    pub parts: Vec<Part>,
    /// The bases of the columns that have any, by the column's id.
    pub bases: Vec<(u32, Value)>,
}

/// What stands of a row beside its cells; nothing where no column merges by intent.
pub fn of_row(s: &Session, table: &Table, key: KeyRef<'_>) -> Result<OfRow> {
    let mut out = OfRow::default();
    if !table.typed {
        return Ok(out);
    }
    let mut stmt = s.cache.fixed(OF_ROW)?;
    bind_row(&mut stmt, table.tid, key)?;
    while stmt.step()? {
        let col = table_id(stmt.int(0))?;
        let val = stmt.value(2).to_owned();
        let Some(register) = register(s, stmt.value(1))? else {
            out.bases.push((col, val));
            continue;
        };
        let txn = Txn { site: store::ordinal(stmt.int(3))?, version: count(stmt.int(4))? };
        let dot = Dot { txn, seq: count(stmt.int(5))? };
        out.parts.push(Part { col, register, val, dot, stamp: count(stmt.int(6))? });
    }
    Ok(out)
}

/// A part as a change, by the names of now; None where its column is gone.
pub fn as_change(table: &Table, key: &Key, cl: u64, part: Part) -> Result<Option<HeldChange>> {
    let Some(col) = table.position(part.col).and_then(|at| table.cols.get(at)) else {
        return Ok(None);
    };
    Ok(Some(HeldChange {
        table: table.name.clone(),
        pk: key.pk()?,
        cid: types::cid(&col.name, &part.register),
        val: part.val,
        col_version: part.stamp,
        cl,
        seq: part.dot.seq,
    }))
}

/// What was last written into a cell: what the row shows, or the base behind it. None where the row
/// is not there.
pub fn written(s: &Session, table: &Table, key: &Key, at: usize) -> Result<Option<Value>> {
    if let Some(col) = table.cols.get(at).filter(|col| col.merge.by_intent().is_some()) {
        let mut stmt = s.cache.fixed(STANDING)?;
        bind_row(&mut stmt, table.tid, key.borrow())?;
        stmt.bind_int(3, i64::from(col.id))?;
        stmt.bind_int(4, BASE)?;
        if stmt.step()? {
            return Ok(Some(stmt.value(0).to_owned()));
        }
    }
    Ok(rows::read(s, table, key)?.map(|row| row.value(at as i32).to_owned()))
}

/// What stands in a register.
pub fn standing(
    s: &Session,
    tid: u32,
    key: KeyRef<'_>,
    col: u32,
    register: &str,
) -> Result<Option<(Write, Value)>> {
    let mut stmt = s.cache.fixed(STANDING)?;
    bind_row(&mut stmt, tid, key)?;
    stmt.bind_int(3, i64::from(col))?;
    bind_register(s, &mut stmt, register)?;
    if !stmt.step()? {
        return Ok(None);
    }
    let write = Write {
        stamp: count(stmt.int(4))?,
        site: s.site_id(store::ordinal(stmt.int(1))?)?,
        version: count(stmt.int(2))?,
        seq: count(stmt.int(3))?,
    };
    Ok(Some((write, stmt.value(0).to_owned())))
}

/// Writes a register.
pub fn put(
    s: &Session,
    tid: u32,
    key: KeyRef<'_>,
    (col, register): (u32, &str),
    val: ValueRef<'_>,
    (dot, stamp): (Dot, u64),
) -> Result<()> {
    let mut stmt = s.cache.fixed(PUT)?;
    bind_row(&mut stmt, tid, key)?;
    stmt.bind_int(3, i64::from(col))?;
    bind_register(s, &mut stmt, register)?;
    stmt.bind(5, val)?;
    stmt.bind_int(6, i64::from(dot.txn.site))?;
    stmt.bind_int(7, int(dot.txn.version))?;
    stmt.bind_int(8, int(dot.seq))?;
    stmt.bind_int(9, int(stamp))?;
    stmt.run()
}

/// Keeps the base of a column that has parts.
pub fn put_base(s: &Session, tid: u32, key: KeyRef<'_>, col: u32, val: ValueRef<'_>) -> Result<()> {
    let mut stmt = s.cache.fixed(PUT)?;
    bind_row(&mut stmt, tid, key)?;
    stmt.bind_int(3, i64::from(col))?;
    stmt.bind_int(4, BASE)?;
    stmt.bind(5, val)?;
    (6..=9).try_for_each(|i| stmt.bind_null(i))?;
    stmt.run()
}

/// A row's life is over, and what its parts said with it.
pub fn drop_row(s: &Session, table: &Table, key: KeyRef<'_>) -> Result<()> {
    if !table.typed {
        return Ok(());
    }
    text::close(s, table.tid, key);
    let mut stmt = s.cache.fixed(DROP_ROW)?;
    bind_row(&mut stmt, table.tid, key)?;
    stmt.run()
}

/// A table is gone, or a column of one, and what their parts said with it.
pub fn forget(s: &Session, tid: u32, col: Option<u32>) -> Result<()> {
    match s.db.table_column("crsql_parts", "tid") {
        Err(e) if e.code == SQLITE_ERROR => return Ok(()),
        there => drop(there?),
    }
    s.texts.borrow_mut().clear();
    let of = col.map_or(String::new(), |col| format!(" AND cid = {col}"));
    s.db.exec(&format!("DELETE FROM crsql_parts WHERE tid = {tid}{of}"))
}

/// What a column shows, as its row stores it.
pub fn shown(s: &Session, kind: &dyn Type, col: &Col, parts: &Parts) -> Result<Value> {
    Ok(types::stored(col.affinity, kind.shown(s, parts)?))
}

/// Where the parts of a row were written, in order.
pub fn dots(s: &Session, table: &Table, key: KeyRef<'_>) -> Result<Vec<Dot>> {
    let mut out = Vec::new();
    if !table.typed {
        return Ok(out);
    }
    let mut stmt = s.cache.fixed(DOTS)?;
    bind_row(&mut stmt, table.tid, key)?;
    while stmt.step()? {
        let txn = Txn { site: store::ordinal(stmt.int(0))?, version: count(stmt.int(1))? };
        out.push(Dot { txn, seq: count(stmt.int(2))? });
    }
    out.sort_unstable();
    Ok(out)
}

/// Gives what a transaction wrote of a row's parts to another one; and whether that was anything.
/// Stamps after `latest` become `anew`, others one step later.
pub fn reissue(
    s: &Session,
    table: &Table,
    key: KeyRef<'_>,
    (from, to): (Txn, Txn),
    (latest, anew, most): (u64, u64, u64),
) -> Result<bool> {
    if !table.typed {
        return Ok(false);
    }
    s.texts.borrow_mut().clear();
    let mut stmt = s.cache.fixed(RENAME)?;
    bind_row(&mut stmt, table.tid, key)?;
    stmt.bind_int(3, i64::from(from.site))?;
    stmt.bind_int(4, int(from.version))?;
    stmt.bind_int(5, i64::from(to.site))?;
    stmt.bind_int(6, int(to.version))?;
    stmt.bind_int(7, int(latest))?;
    stmt.bind_int(8, int(anew))?;
    stmt.bind_int(9, int(most))?;
    let mut any = false;
    while stmt.step()? {
        any = true;
    }
    Ok(any)
}

/// A base that arrives for a column that has parts.
pub struct Rebased {
    /// The position of the column.
    pub at: usize,
    base: Value,
    /// What it shows with that base.
    pub shown: Value,
}

/// Which of these cells are bases of columns that have parts.
pub fn rebased(
    s: &Session,
    table: &Table,
    key: KeyRef<'_>,
    cells: &[rows::Written<'_>],
) -> Result<Vec<Rebased>> {
    let mut out = Vec::new();
    for (at, val) in cells.iter().filter(|_| table.typed) {
        let Some(col) = table.cols.get(*at) else { continue };
        let Some(kind) = col.merge.by_intent() else { continue };
        if let Some(parts) = state(s, table.tid, key, col.id)? {
            let parts = Parts { base: (*val).to_owned(), ..parts };
            out.push(Rebased { at: *at, shown: shown(s, kind, col, &parts)?, base: parts.base });
        }
    }
    Ok(out)
}

/// Keeps these bases.
pub fn keep(s: &Session, table: &Table, key: KeyRef<'_>, bases: &[Rebased]) -> Result<()> {
    for new in bases {
        text::close(s, table.tid, key);
        if let Some(col) = table.cols.get(new.at) {
            put_base(s, table.tid, key, col.id, new.base.as_ref())?;
        }
    }
    Ok(())
}

/// Writes over rows what their columns come to, where that is not what was written: the greatest
/// where a lesser one was written, a sum as REAL rounds it. No trigger fires, for this may be the
/// middle of a COMMIT.
pub fn show(s: &Session, table: &Table, key: &Key, cells: &[(usize, Value)]) -> Result<()> {
    let written: Vec<rows::Written<'_>> = cells.iter().map(|(at, v)| (*at, v.as_ref())).collect();
    s.without_triggers(|| unchecked::write(s, || rows::update(s, table, key, &written)))
}
