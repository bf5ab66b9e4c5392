//! `crsql_as_crr` and `crsql_as_table`: a table becomes replicated, and ordinary again.

use std::rc::Rc;

use super::log::{self, BACKFILL, Record, Writer};
use super::session::Session;
use super::{alter, flush, held, ordered};
use crate::ground::catalog::{Table, clock_table};
use crate::ground::quote::ident;
use crate::ground::shape::{self, Shape};
use crate::ground::{Prep, store};
use crate::words::dot::{Dot, Txn};
use crate::words::error::{Error, Result};
use crate::words::key::{Key, KeyKind};
use crate::words::rowclock::{Base, RowClock};
use crate::words::value::ValueRef;

/// Makes a table replicated. Does nothing where it is already.
pub fn as_crr(s: &Rc<Session>, name: &str) -> Result<()> {
    let Some(shape) = shape::read(s.db, name)? else {
        let temp = s.ask_int(&format!(
            "SELECT count(*) FROM temp.sqlite_schema WHERE lower(name) = lower({})",
            crate::ground::quote::literal(name)?
        ))?;
        return Err(Error::refused(if temp > 0 {
            format!("{name} is a temporary table; only tables of the main database are replicated")
        } else {
            format!("there is no table {name} in the main database; create it first")
        }));
    };
    shape::refuse(s.db, &shape)?;
    if s.installed()? && is_whole(s, &shape.name)? {
        return Ok(());
    }
    s.writing("crsql_as_crr", || {
        let agreed = !s.installed()? || agrees(s)?;
        if !s.installed()? {
            store::install(s.db)?;
            s.installed()?;
        }
        s.enlist()?;
        flush::flush(s)?;
        if !agreed {
            alter::reconcile_named(s, &shape.name)?;
        }
        if s.named(&shape.name)?.is_none_or(|t| !t.name.eq_ignore_ascii_case(&shape.name)) {
            let tid = register(s, &shape)?;
            let table = s.table(tid)?;
            alter::watch(s, &table)?;
            backfill(s, &*s.table(tid)?)?;
            held::retry(s)?;
        }
        // Other tables may have changed too: then the next reading looks at them all, once.
        if agreed { alter::settle_schema(s) } else { Ok(()) }
    })
}

fn agrees(s: &Session) -> Result<bool> {
    Ok(store::schema_seen(&s.cache)? == store::schema_version(&s.cache)?)
}

/// Whether the table is replicated and nothing about it needs our care.
fn is_whole(s: &Session, name: &str) -> Result<bool> {
    Ok(agrees(s)? && s.named(name)?.is_some_and(|t| t.name.eq_ignore_ascii_case(name)))
}

/// Gives the table its number and makes its clock table. Peers know a table by its names, so one
/// that was dropped leaves its former names to the next one of its name. Shape numbers begin at
/// random: triggers of another file are known by theirs when that file is attached.
fn register(s: &Session, shape: &Shape) -> Result<u32> {
    let mut stmt = s.db.prepare(
        "INSERT INTO crsql_tables(tid, name, former, shape)
         VALUES((SELECT coalesce(max(tid), 0) + 1 FROM crsql_tables), ?1,
                coalesce((SELECT former FROM crsql_tables WHERE name = ?1 COLLATE NOCASE
                          ORDER BY tid DESC LIMIT 1), '[]'), random() & 16777215)
         RETURNING tid",
        Prep::Once,
    )?;
    stmt.bind_text(1, shape.name.as_bytes())?;
    stmt.step()?;
    let tid = crate::ground::catalog::table_id(stmt.int(0))?;
    stmt.run()?;
    drop(stmt);
    s.db.exec(&if shape.rowid_key {
        format!("CREATE TABLE {}(key INTEGER PRIMARY KEY, clock BLOB NOT NULL)", clock_table(tid))
    } else {
        format!(
            "CREATE TABLE {}(key BLOB PRIMARY KEY NOT NULL, clock BLOB NOT NULL) WITHOUT ROWID",
            clock_table(tid)
        )
    })?;
    s.catalog.forget();
    s.installed()?;
    Ok(tid)
}

/// The rows that were there before: one transaction whose cells carry the lowest stamp.
fn backfill(s: &Session, table: &Table) -> Result<()> {
    issue(s, BACKFILL, |txn, writer| stamp_rows(s, table, txn, writer))
}

/// Columns are gone. Rows of which no cell is left are told by a sentinel from now on, of an own
/// transaction: who made them nobody can say, as it may be another one here than elsewhere; of the
/// sentinels of all replicas the greatest counts everywhere.
pub fn name_rows(s: &Session, table: &Table) -> Result<()> {
    let mut scan =
        s.db.prepare(&format!("SELECT key, clock FROM {}", clock_table(table.tid)), Prep::Once)?;
    let mut nameless = Vec::new();
    while scan.step()? {
        let clock = RowClock::decode(scan.blob(1))?;
        let told = |clock: &RowClock| table.cols.iter().any(|c| clock.cell(c.id).is_some());
        if clock.life.is_none() && !told(&clock) {
            nameless.push(Key::from_stored(scan.value(0))?);
        }
    }
    drop(scan);
    issue(s, 0, |txn, writer| {
        let mut seq = 0;
        for key in &nameless {
            let Some(clock) = log::clock_of(s, table.tid, key.borrow())? else { continue };
            let clock = RowClock { life: Some(Dot { txn, seq }), ..clock };
            log::set_clock(s, table.tid, key.borrow(), &clock, true)?;
            writer.push(table.tid, key.borrow(), seq, 1);
            seq += 1;
        }
        Ok(seq)
    })
}

/// Writes an own transaction of what was not captured; `fill` gives how many rows it has.
fn issue(
    s: &Session,
    flags: i64,
    fill: impl FnOnce(Txn, &mut Writer) -> Result<u64>,
) -> Result<()> {
    let head = log::head(s)?;
    let txn = Txn { site: head.own, version: head.version + 1 };
    // A version that was given but never written (its savepoint was rolled back) is taken here.
    s.memory.borrow_mut().given.take_if(|g| g.version > head.version);
    let mut writer = Writer::new(txn);
    if fill(txn, &mut writer)? == 0 {
        return Ok(());
    }
    let stamp = log::next_stamp(s, &head)?;
    let deps = head.deps.clone();
    writer.create(s, Record { stamp, flags, last_seq: 0, deps })?;
    if head.deps.is_some() {
        log::clear_deps(s)?;
    }
    Ok(())
}

fn stamp_rows(s: &Session, table: &Table, txn: Txn, writer: &mut Writer) -> Result<u64> {
    let keys: Vec<String> = table.keys.iter().map(|k| ident(&k.name)).collect();
    let keys = keys.join(", ");
    let mut scan = s.db.prepare(
        &format!("SELECT {keys} FROM main.{} ORDER BY {keys}", ident(&table.name)),
        Prep::Once,
    )?;
    let (n, mut seq, mut rows) = (table.cover(), 0u64, 0u64);
    let mut loose: Vec<Key> = Vec::new();
    while scan.step()? {
        let values: Vec<ValueRef<'_>> = (0..scan.column_count()).map(|i| scan.value(i)).collect();
        let key = Key::from_values(table.kind, &values)?;
        let odd = |(v, k): (&ValueRef<'_>, &crate::ground::catalog::KeyCol)| {
            k.loose && matches!(v, ValueRef::Real(r) if r.trunc() == *r)
        };
        if table.kind == KeyKind::Packed && values.iter().zip(&table.keys).any(odd) {
            loose.push(key.clone());
        }
        let base = if n > 0 { Some(Base { txn, seq0: seq, n }) } else { None };
        let life = if n > 0 { None } else { Some(Dot { txn, seq }) };
        let span = u64::from(n.max(1));
        let clock = RowClock { cl: 1, life, base, over: Vec::new() };
        log::set_clock(s, table.tid, key.borrow(), &clock, false)?;
        writer.push(table.tid, key.borrow(), seq, span);
        seq += span;
        rows += 1;
    }
    drop(scan);
    if !loose.is_empty() {
        super::rows::canonicalise_keys(s, table, &loose)?;
    }
    Ok(rows)
}

/// Makes a replicated table ordinary again: nothing of ours stays on it.
pub fn as_table(s: &Rc<Session>, name: &str) -> Result<()> {
    s.writing("crsql_as_table", || {
        ordered::disorder(s, name)?;
        if !s.installed()? {
            return Ok(());
        }
        s.enlist()?;
        flush::flush(s)?;
        alter::reconcile(s)?;
        if let Some(table) = s.named(name)? {
            alter::forget_table(s, &table)?;
        }
        alter::drop_clocks(s)?;
        alter::settle_schema(s)
    })
}
