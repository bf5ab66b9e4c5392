//! `INSERT INTO crsql_changes`: one change that arrives by itself. It merges at once and grants
//! no coverage, because a row does not say whether its transaction is complete.

use std::rc::Rc;

use super::held::One;
use super::session::Session;
use super::single;
use super::{alter, coverage, flush, forks, guard, log, merger, omits};
use crate::ground::Args;
use crate::words::affinity::Affinity;
use crate::words::dot::{MAX_CL, MAX_COUNT, SiteId, Txn};
use crate::words::error::{Error, Result};
use crate::words::pack;
use crate::words::value::ValueRef;

/// Takes the values of the nine columns, and of the hidden stamp at `STAMP`.
pub fn insert(s: &Rc<Session>, args: Args<'_>) -> Result<()> {
    let one = parse(args)?;
    if !s.installed()? {
        return Err(Error::refused(
            "this database has no replicated table yet; call crsql_as_crr first",
        ));
    }
    s.enlist()?;
    if s.memory.borrow().events.len() > s.memory.borrow().flushed[0] {
        flush::flush(s)?;
        s.installed()?;
    }
    if !guard::is_ready(s) {
        flush::flush(s)?;
        alter::reconcile(s)?;
        guard::ensure(s)?;
    }
    let (own, id) = s.own_site()?;
    if one.site == id {
        let ours = is_ours(s, own, &one)?;
        if ours && !is_wanted(s, own, &one)? {
            return Ok(());
        }
        if !ours {
            flush::flush(s)?;
            forks::other(s, own, one.version)?;
            s.unsure.set(Some(own));
        }
    }
    if omits::any(s)? {
        let site = s.sites.intern(&s.cache, &one.site)?;
        let mut memory = s.memory.borrow_mut();
        memory.row_by_row.entry(site).or_default().insert(one.version, one.version);
    }
    let val = as_held(s, one.table, one.cid, one.val)?;
    single::merge_change(s, &One { val, ..one }, None).map(|_| ())
}

/// Whether a change of our own site is one that this file made. Above our newest version, or with
/// another stamp, somebody else made it who writes as our site.
fn is_ours(s: &Session, own: u32, c: &One<'_>) -> Result<bool> {
    if c.version > log::head(s)?.version {
        return Ok(false);
    }
    let stamp =
        log::record(s, Txn { site: own, version: c.version })?.map_or(0, |r| r.cell_stamp());
    let told = if c.cid == merger::SENTINEL { c.stamp } else { c.col_version };
    // What was written again (`revive.rs`) has an older stamp than its transaction.
    let again = c.cl > 1 && told < stamp;
    Ok(stamp == 0 || told == 0 || stamp == told || again)
}

/// Whether it was ours and its table, which was taken out in between, wants it back.
fn is_wanted(s: &Session, own: u32, c: &One<'_>) -> Result<bool> {
    let known = coverage::known(s)?;
    Ok(known.wanted.get(&own).is_some_and(|set| set.contains(c.version)))
}

/// The position of the hidden column `stamp`.
pub const STAMP: usize = 10;

fn parse(args: Args<'_>) -> Result<One<'_>> {
    let text = |i: usize, name: &str| match args.get(i) {
        ValueRef::Text(t) => match std::str::from_utf8(t) {
            Ok(t) => Ok(t),
            Err(_) => Err(wrong(name, "UTF-8 text", args.get(i))),
        },
        v => Err(wrong(name, "text", v)),
    };
    let count = |i: usize, name: &str, lo: u64, hi: u64| {
        let v = whole_number(args.get(i)).ok_or_else(|| wrong(name, "an integer", args.get(i)))?;
        match u64::try_from(v) {
            Ok(v) if (lo..=hi).contains(&v) => Ok(v),
            _ => Err(Error::rejected(format!(
                "crsql_changes.{name} is {v}; it lies between {lo} and {hi}"
            ))),
        }
    };
    let table = text(0, "table")?;
    let ValueRef::Blob(pk) = args.get(1) else {
        return Err(wrong("pk", "a blob", args.get(1)));
    };
    if pack::unpack_int(pk).is_none() {
        let named = |e: Error| format!("crsql_changes.pk for table {table}: {}", e.text);
        pack::unpack(pk).map_err(|e| Error::rejected(named(e)))?;
    }
    let cid = text(2, "cid")?;
    let ValueRef::Blob(site) = args.get(6) else {
        return Err(wrong("site_id", "a blob of 16 bytes", args.get(6)));
    };
    let site: SiteId = site.try_into().map_err(|_| wrong("site_id", "16 bytes", args.get(6)))?;
    let cl = count(7, "cl", 1, MAX_CL)?;
    let sentinel = cid == merger::SENTINEL;
    if !sentinel && cl % 2 == 0 {
        return Err(Error::rejected(format!(
            "crsql_changes.cl is {cl}, a dead row, for column {cid} of table {table}; only the \
             sentinel '-1' of a dead row is sent"
        )));
    }
    // A stamp of any size is taken: what lies beyond the clock's bound is held.
    let any = i64::MAX as u64;
    let col_version = count(4, "col_version", u64::from(sentinel), any)?;
    if sentinel && col_version != cl {
        return Err(Error::rejected(format!(
            "crsql_changes.col_version is {col_version} for the sentinel of a row with cl {cl}; \
             they are the same"
        )));
    }
    let stamp = match args.get(STAMP) {
        ValueRef::Null => 0,
        _ => count(STAMP, "stamp", 0, MAX_COUNT)?,
    };
    Ok(One {
        table,
        pk,
        cid,
        val: args.get(3),
        col_version,
        cl,
        seq: count(8, "seq", 0, MAX_COUNT)?,
        site,
        version: count(5, "db_version", 1, MAX_COUNT)?,
        stamp,
    })
}

/// The number that a column held where it came from, for one of the same affinity: a driver of a
/// language with one kind of number may have made 4.0 of 4, or 4 of 4.0.
fn as_held<'a>(s: &Session, table: &str, cid: &str, val: ValueRef<'a>) -> Result<ValueRef<'a>> {
    if !matches!(val, ValueRef::Int(_) | ValueRef::Real(_)) {
        return Ok(val);
    }
    let Some(number) = whole_number(val).filter(|n| n.unsigned_abs() <= MAX_COUNT) else {
        return Ok(val);
    };
    let table = s.named(table)?;
    let column = table.as_ref().and_then(|t| t.cols.get(t.column(cid)?));
    Ok(match (column.map(|column| column.affinity), val) {
        (Some(Affinity::Integer | Affinity::Numeric), ValueRef::Real(_)) => ValueRef::Int(number),
        (Some(Affinity::Real), ValueRef::Int(_)) => ValueRef::Real(number as f64),
        _ => val,
    })
}

/// Drivers of languages without 64-bit integers hand over whole numbers as REAL.
pub fn whole_number(v: ValueRef<'_>) -> Option<i64> {
    match v {
        ValueRef::Int(i) => Some(i),
        ValueRef::Real(r) if r == r.trunc() && r.abs() <= MAX_COUNT as f64 => Some(r as i64),
        _ => None,
    }
}

fn wrong(name: &str, wanted: &str, got: ValueRef<'_>) -> Error {
    Error::mismatch(format!("crsql_changes.{name} takes {wanted}, not {}", got.class_name()))
}
