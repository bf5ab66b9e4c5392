//! SQLite with crsql, on the simulated machines: opening, running, asking.

use crate::{disk, memory};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};

/// An SQL error: SQLite's extended code and the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub code: i32,
    pub text: String,
}

pub type Answer<T> = Result<T, Failed>;

impl From<rusqlite::Error> for Failed {
    fn from(e: rusqlite::Error) -> Failed {
        match e {
            rusqlite::Error::SqliteFailure(e, text) => {
                Failed { code: e.extended_code, text: text.unwrap_or_default() }
            }
            rusqlite::Error::SqlInputError { error, msg, .. } => {
                Failed { code: error.extended_code, text: msg }
            }
            other => Failed { code: -1, text: other.to_string() },
        }
    }
}

/// Puts disks and extension in place. Once, before the first connection.
pub fn install() {
    memory::install();
    disk::install();
    crsql::register().expect("SQLite takes crsql");
}

/// A connection to the file of a machine.
pub fn open(machine: usize, pragmas: &[String]) -> Answer<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags_and_vfs("db", flags, disk::name(machine))?;
    db.set_prepared_statement_cache_capacity(64);
    for pragma in pragmas {
        run(&db, pragma)?;
    }
    Ok(db)
}

/// Runs one statement to its end.
pub fn run(db: &Connection, sql: &str) -> Answer<()> {
    let mut stmt = db.prepare(sql)?;
    let mut rows = stmt.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

/// The first value of a question that is asked often.
pub fn ask<T: rusqlite::types::FromSql>(
    db: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> Answer<T> {
    Ok(db.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}

/// A value as bytes: equal bytes are the same value, class and all.
pub fn encode(v: ValueRef<'_>) -> Vec<u8> {
    match v {
        ValueRef::Null => vec![0],
        ValueRef::Integer(i) => [&[1], &i.to_be_bytes()[..]].concat(),
        ValueRef::Real(r) => [&[2], &r.to_bits().to_be_bytes()[..]].concat(),
        ValueRef::Text(t) => [&[3], t].concat(),
        ValueRef::Blob(b) => [&[4], b].concat(),
    }
}

/// A value in that form, as SQLite takes it: text may be any bytes.
#[derive(Clone, Debug)]
pub struct Cell(pub Vec<u8>);

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let (class, bytes) = self.0.split_at(1);
        let eight = || bytes.try_into().map_or(0, u64::from_be_bytes);
        Ok(ToSqlOutput::Borrowed(match class[0] {
            0 => ValueRef::Null,
            1 => ValueRef::Integer(eight() as i64),
            2 => ValueRef::Real(f64::from_bits(eight())),
            3 => ValueRef::Text(bytes),
            _ => ValueRef::Blob(bytes),
        }))
    }
}

/// The value of a key column: whole reals are the integers that they equal.
pub fn encode_key(out: &mut Vec<u8>, v: ValueRef<'_>) {
    let bytes = match v {
        ValueRef::Real(r) if r == r.trunc() && r.abs() < 9.2e18 => {
            encode(ValueRef::Integer(r as i64))
        }
        v => encode(v),
    };
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

/// The key in a packed `pk`, in the same form. Written anew here, so that it is not believed.
pub fn key_of_pk(pk: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 1;
    let mut take = |n: usize| {
        at += n;
        &pk[at - n..at]
    };
    for _ in 0..pk[0] {
        let tag = take(1)[0];
        let width = usize::from(tag >> 3);
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        match tag & 7 {
            1 => encode_key(&mut out, ValueRef::Integer(number(take(width)) as i64)),
            2 => encode_key(&mut out, ValueRef::Real(f64::from_bits(number(take(8))))),
            kind => {
                let len = number(take(width)) as usize;
                let bytes = take(len);
                let v = if kind == 3 { ValueRef::Text(bytes) } else { ValueRef::Blob(bytes) };
                encode_key(&mut out, v);
            }
        }
    }
    out
}

/// Bytes of a value, for people.
pub fn show(bytes: &[u8]) -> String {
    let number = |b: &[u8]| b.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    match bytes.split_first() {
        Some((0, _)) => "NULL".into(),
        Some((1, b)) => (number(b) as i64).to_string(),
        Some((2, b)) => format!("{:?}", f64::from_bits(number(b))),
        Some((3, b)) => format!("'{}'", b.escape_ascii()),
        Some((_, b)) => format!("x'{}'", b.iter().map(|b| format!("{b:02x}")).collect::<String>()),
        None => "nothing".into(),
    }
}
