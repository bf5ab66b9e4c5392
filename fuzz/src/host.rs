//! The host that the fuzzer drives: SQLite with crsql linked in, with a clock and a randomness of
//! its own, so that an input does the same on every run.

use crsql::words::value::Value;
use rusqlite::ffi;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicI64, Ordering};

/// 2026-01-01, in milliseconds of the Julian day.
const START: i64 = 212_633_985_600_000;
static TIME: AtomicI64 = AtomicI64::new(START);

/// Reads the fuzzer's clock; a millisecond passes.
unsafe extern "C" fn time(_: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: SQLite and the extension hand over a place for the answer.
    unsafe { *out = TIME.fetch_add(1, Ordering::Relaxed) };
    ffi::SQLITE_OK
}

/// Puts clock and extension in place. Once, before the first connection.
pub fn start() {
    // SAFETY: the default file system layer lives as long as the process, and so does the copy;
    // an entry point stays where it is.
    unsafe {
        // One thread works, and memory is measured from outside.
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MULTITHREAD);
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0);
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_LOOKASIDE, 1200, 800);
        crsql::register().expect("SQLite takes crsql");
        ffi::sqlite3_initialize();
        let mut vfs = *ffi::sqlite3_vfs_find(std::ptr::null());
        vfs.pNext = std::ptr::null_mut();
        vfs.zName = c"fuzz".as_ptr();
        vfs.xCurrentTimeInt64 = Some(time);
        ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 1);
    }
}

/// Clock and randomness as they are at the beginning of every case.
pub fn rewind(seed: u32) {
    TIME.store(START + i64::from(seed) * 1000, Ordering::Relaxed);
    let no_connection: *mut ffi::sqlite3 = std::ptr::null_mut();
    // SAFETY: the call takes a number and a connection, which may be null.
    unsafe {
        ffi::sqlite3_test_control(
            ffi::SQLITE_TESTCTRL_PRNG_SEED,
            seed as c_uint as c_int,
            no_connection,
        );
    }
}

/// A database in memory, with the extension.
pub fn open() -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_in_memory_with_flags(flags).expect("a database in memory")
}

/// A database in memory that begins as a copy of another.
pub fn copy(image: &[u8]) -> Connection {
    let mut db = open();
    let mut rest = image;
    db.deserialize_read_exact("main", &mut rest, image.len(), false).expect("a copy");
    db
}

/// The bytes of a database.
pub fn image(db: &mut Connection) -> Vec<u8> {
    db.serialize("main").expect("the bytes of a database").to_vec()
}

/// Runs one statement to its end; gives the first value that it gives, as bytes.
pub fn run(db: &Connection, sql: &str) -> Result<Option<Vec<u8>>, String> {
    let mut first = None;
    let mut work = || -> rusqlite::Result<()> {
        let mut stmt = db.prepare(sql)?;
        let columns = stmt.column_count();
        let mut rows = stmt.raw_query();
        while let Some(row) = rows.next()? {
            for i in 0..columns {
                let v = row.get_ref(i)?;
                if first.is_none() && i == 0 {
                    first = bytes_of(v);
                }
            }
        }
        Ok(())
    };
    work().map_err(|e| message(&e))?;
    Ok(first)
}

fn message(e: &rusqlite::Error) -> String {
    match e {
        rusqlite::Error::SqliteFailure(code, Some(text)) => {
            format!("{text} [{}]", code.extended_code)
        }
        other => other.to_string(),
    }
}

fn bytes_of(v: ValueRef<'_>) -> Option<Vec<u8>> {
    match v {
        ValueRef::Null => None,
        ValueRef::Integer(i) => Some(i.to_string().into_bytes()),
        ValueRef::Real(r) => Some(r.to_string().into_bytes()),
        ValueRef::Text(b) | ValueRef::Blob(b) => Some(b.to_vec()),
    }
}

/// The first value of a statement, as text; empty where there is none.
pub fn text(db: &Connection, sql: &str) -> Result<String, String> {
    let bytes = run(db, sql)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first column of all rows, as text.
pub fn list(db: &Connection, sql: &str) -> Result<Vec<String>, String> {
    let mut stmt = db.prepare(sql).map_err(|e| message(&e))?;
    let mut rows = stmt.raw_query();
    let mut out = Vec::new();
    while let Some(row) = rows.next().map_err(|e| message(&e))? {
        let v = row.get_ref(0).map_err(|e| message(&e))?;
        out.push(String::from_utf8_lossy(&bytes_of(v).unwrap_or_default()).into_owned());
    }
    Ok(out)
}

/// What begins a statement that merges a row of a feed.
pub const INTO: &str = "INSERT INTO crsql_changes(\"table\", pk, cid, val, col_version, \
                        db_version, site_id, cl, seq, stamp) VALUES";

/// The rows of the feed, each as its ten values written in SQL.
pub fn feed(db: &Connection) -> Result<Vec<Vec<String>>, String> {
    let names = ["\"table\"", "pk", "cid", "val", "col_version", "db_version", "site_id", "cl"];
    let mut stmt = db
        .prepare(&format!("SELECT {}, seq, stamp FROM crsql_changes", names.join(", ")))
        .map_err(|e| message(&e))?;
    let mut rows = stmt.raw_query();
    let mut out = Vec::new();
    while let Some(row) = rows.next().map_err(|e| message(&e))? {
        let value = |i| row.get_ref(i).map(|v| literal(&owned(v))).map_err(|e| message(&e));
        out.push((0..10).map(value).collect::<Result<_, String>>()?);
    }
    Ok(out)
}

/// A copy of a value.
pub fn owned(v: ValueRef<'_>) -> Value {
    match v {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Int(i),
        ValueRef::Real(r) => Value::Real(r),
        ValueRef::Text(t) => Value::Text(t.to_vec()),
        ValueRef::Blob(b) => Value::Blob(b.to_vec()),
    }
}

/// Every byte that a database holds, hashed: its schema and the rows of all its tables.
pub fn state(db: &Connection) -> Result<[u8; 32], String> {
    let mut hash = Sha256::new();
    let names = list(
        db,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
         ORDER BY name",
    )?;
    let all = names.iter().map(|n| format!("SELECT * FROM \"{}\"", n.replace('"', "\"\"")));
    let schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name".to_owned();
    for sql in std::iter::once(schema).chain(all) {
        let mut stmt = db.prepare(&sql).map_err(|e| message(&e))?;
        let columns = stmt.column_count();
        let mut rows = stmt.raw_query();
        hash.update(sql.as_bytes());
        while let Some(row) = rows.next().map_err(|e| message(&e))? {
            for i in 0..columns {
                let v = row.get_ref(i).map_err(|e| message(&e))?;
                hash.update([v.data_type() as u8]);
                let bytes = bytes_of(v).unwrap_or_default();
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(&bytes);
            }
        }
    }
    Ok(hash.finalize().into())
}

/// Bytes as an SQL literal.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut out = String::with_capacity(bytes.len() * 2 + 3);
    out.push_str("x'");
    for b in bytes {
        out.push(char::from(b"0123456789abcdef"[usize::from(b >> 4)]));
        out.push(char::from(b"0123456789abcdef"[usize::from(b & 15)]));
    }
    out.push('\'');
    out
}

/// A value as an SQL literal, any bytes in text included.
pub fn literal(v: &Value) -> String {
    match v {
        Value::Null => "NULL".into(),
        Value::Int(i64::MIN) => "(-9223372036854775807-1)".into(),
        Value::Int(i) => i.to_string(),
        Value::Real(r) if r.is_infinite() => if *r > 0.0 { "9e999" } else { "-9e999" }.into(),
        Value::Real(r) => format!("{r:e}"),
        Value::Text(t) => format!("CAST({} AS TEXT)", hex(t)),
        Value::Blob(b) => hex(b),
    }
}
