//! The two sides: a plain database and one with the extension, the same file settings, the same
//! statements.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use crate::data::Row;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rows in a transaction.
pub const TXN_ROWS: usize = 1000;

/// Which kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Int,
    Uuid,
}

impl Key {
    /// The table's definition.
    fn ddl(self) -> String {
        let key = match self {
            Key::Int => "INTEGER PRIMARY KEY NOT NULL",
            Key::Uuid => "TEXT PRIMARY KEY NOT NULL",
        };
        format!("CREATE TABLE t(id {key}, a INTEGER, b INTEGER, c REAL, d TEXT, e TEXT, f TEXT)")
    }
}

/// What a side runs with: None for plain, the library for crsql.
pub type Lib<'a> = Option<&'a Path>;

/// Opens a file as an application would.
pub fn open(path: &Path, lib: Lib<'_>) -> Result<Connection> {
    let conn = Connection::open(path)?;
    if let Some(lib) = lib {
        load(&conn, lib)?;
    }
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(conn)
}

/// Loads the extension.
pub fn load(conn: &Connection, lib: &Path) -> Result<()> {
    // SAFETY: the library is the one that is measured.
    unsafe {
        let _on = rusqlite::LoadExtensionGuard::new(conn)?;
        conn.load_extension(lib, None::<&str>)?;
    }
    Ok(())
}

/// Makes a database in WAL mode with the table in it, replicated on the crsql side.
pub fn create(path: &Path, lib: Lib<'_>, key: Key) -> Result<Connection> {
    remove(path);
    let conn = open(path, lib)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.execute_batch(&key.ddl())?;
    if lib.is_some() {
        conn.query_row("SELECT crsql_as_crr('t')", [], |_| Ok(()))?;
    }
    Ok(conn)
}

/// Removes a database and what SQLite keeps beside it.
pub fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(with_suffix(path, suffix));
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies a closed database.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    remove(to);
    fs::copy(from, to)?;
    Ok(())
}

/// The size of the file once the WAL is written back.
pub fn size(conn: &Connection, path: &Path) -> Result<u64> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(fs::metadata(path)?.len())
}

/// Runs work on slices of a list, each in a transaction of its own.
pub fn in_transactions<T>(
    conn: &Connection,
    items: &[T],
    per: usize,
    mut work: impl FnMut(&T) -> Result<()>,
) -> Result<()> {
    for chunk in items.chunks(per) {
        conn.execute_batch("BEGIN")?;
        for item in chunk {
            work(item)?;
        }
        conn.execute_batch("COMMIT")?;
    }
    Ok(())
}

/// Inserts rows, `per` to a transaction. 1 means autocommit.
pub fn insert(conn: &Connection, key: Key, rows: &[Row], per: usize) -> Result<()> {
    insert_with(conn, "INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", key, rows, per)
}

/// The same with another statement.
pub fn insert_with(conn: &Connection, sql: &str, key: Key, rows: &[Row], per: usize) -> Result<()> {
    let mut stmt = conn.prepare_cached(sql)?;
    let mut one = |r: &Row| {
        match key {
            Key::Int => stmt.execute(params![r.id, r.a, r.b, r.c, r.d, r.e, r.f])?,
            Key::Uuid => stmt.execute(params![r.uuid, r.a, r.b, r.c, r.d, r.e, r.f])?,
        };
        Ok(())
    };
    if per == 1 {
        rows.iter().try_for_each(one)
    } else {
        in_transactions(conn, rows, per, &mut one)
    }
}

/// Reads everything that a query gives; returns how many rows, and their bytes so that none of it
/// can be left out.
pub fn drain(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<(usize, usize)> {
    let mut stmt = conn.prepare_cached(sql)?;
    let columns = stmt.column_count();
    let mut rows = stmt.query(params)?;
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        count += 1;
        for i in 0..columns {
            bytes += match row.get_ref(i)? {
                ValueRef::Null => 0,
                ValueRef::Integer(i) => (i & 1) as usize,
                ValueRef::Real(_) => 8,
                ValueRef::Text(b) | ValueRef::Blob(b) => b.len(),
            };
        }
    }
    Ok((count, bytes))
}

/// How many rows the table has.
pub fn count(conn: &Connection) -> Result<usize> {
    let n: i64 = conn.query_row("SELECT count(*) FROM t", [], |r| r.get(0))?;
    Ok(n as usize)
}

/// `crsql_vector()`
pub fn vector(conn: &Connection) -> Result<String> {
    Ok(conn.prepare_cached("SELECT crsql_vector()")?.query_row([], |r| r.get(0))?)
}

/// `crsql_changeset(vector, max_bytes)`
pub fn changeset(conn: &Connection, vector: &str, max_bytes: i64) -> Result<Option<Vec<u8>>> {
    let mut stmt = conn.prepare_cached("SELECT crsql_changeset(?1, ?2)")?;
    Ok(stmt.query_row(params![vector, max_bytes], |r| r.get(0))?)
}

/// `crsql_apply(blob)`: its report.
pub fn apply(conn: &Connection, blob: &[u8]) -> Result<String> {
    Ok(conn.prepare_cached("SELECT crsql_apply(?1)")?.query_row([blob], |r| r.get(0))?)
}
