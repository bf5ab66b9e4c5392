//! The sides: plain SQLite, its session extension, crsql, and other libraries with cr-sqlite's
//! interface. All have the same file settings and run the same statements.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Params, params_from_iter};

use crate::data::{Row, Shape, column};
use crate::session::Session;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rows in a transaction.
pub const TXN_ROWS: usize = 1000;

/// The error of a side that has no such work, told as `-`.
pub const CANNOT: &str = "-";

/// What a side runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Each transaction's changeset is stored in the same file, in the same transaction.
    Session,
    Crsql,
    Peer,
}

/// One of those that are compared.
#[derive(Clone, Debug)]
pub struct Side {
    pub name: String,
    pub kind: Kind,
    lib: Option<PathBuf>,
}

impl Side {
    pub fn plain() -> Self {
        Self { name: "plain".to_owned(), kind: Kind::Plain, lib: None }
    }

    pub fn session() -> Self {
        Self { name: "session".to_owned(), kind: Kind::Session, lib: None }
    }

    pub fn crsql(lib: PathBuf) -> Self {
        Self { name: "crsql".to_owned(), kind: Kind::Crsql, lib: Some(lib) }
    }

    /// Another library, called by its file's name.
    pub fn peer(lib: PathBuf) -> Self {
        let name = lib.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, kind: Kind::Peer, lib: Some(lib) }
    }

    /// The library's file; of those that have none, nothing.
    pub fn lib(&self) -> &Path {
        self.lib.as_deref().unwrap_or(Path::new(""))
    }

    /// Whether its tables are replicated by functions of a library.
    pub fn replicates(&self) -> bool {
        self.lib.is_some()
    }
}

/// An open database with the table `t` in it.
pub struct Db {
    pub conn: Connection,
    pub side: Side,
    pub shape: Shape,
    pub path: PathBuf,
}

impl Db {
    /// Opens a file as an application would.
    pub fn open(side: &Side, path: &Path, shape: &Shape) -> Result<Self> {
        let conn = Connection::open(path)?;
        if let Some(lib) = &side.lib {
            load(&conn, lib)?;
        }
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        conn.set_prepared_statement_cache_capacity(64);
        Ok(Self { conn, side: side.clone(), shape: *shape, path: path.to_owned() })
    }

    /// Makes a database in WAL mode with the table in it, replicated where the side can.
    pub fn create(side: &Side, path: &Path, shape: &Shape) -> Result<Self> {
        remove(path);
        let db = Self::open(side, path, shape)?;
        db.conn.pragma_update(None, "journal_mode", "WAL")?;
        db.conn.execute_batch(&shape.ddl("t"))?;
        if side.replicates() {
            db.conn.query_row("SELECT crsql_as_crr('t')", [], |_| Ok(()))?;
        }
        if side.kind == Kind::Session {
            db.conn.execute_batch("CREATE TABLE changesets(id INTEGER PRIMARY KEY, changeset)")?;
        }
        Ok(db)
    }

    /// Works on slices of a list, each in a transaction of its own. A transaction of one is left
    /// to SQLite, except where a session has to store what it did.
    pub fn write<T>(
        &self,
        items: &[T],
        per: usize,
        mut work: impl FnMut(&T) -> Result<()>,
    ) -> Result<()> {
        let session = self.side.kind == Kind::Session;
        if per == 1 && !session {
            return items.iter().try_for_each(work);
        }
        for chunk in items.chunks(per) {
            self.conn.execute_batch("BEGIN")?;
            let session = session.then(|| Session::begin(&self.conn)).transpose()?;
            chunk.iter().try_for_each(&mut work)?;
            session.map_or(Ok(()), Session::store)?;
            self.conn.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    /// Runs a statement with the key and the values of each row, `per` to a transaction.
    pub fn write_rows(&self, sql: &str, rows: &[Row], per: usize) -> Result<()> {
        let mut stmt = self.conn.prepare_cached(sql)?;
        self.write(rows, per, |row| {
            stmt.execute(params_from_iter(std::iter::once(&row.key).chain(&row.values)))?;
            Ok(())
        })
    }

    /// Inserts rows, `per` to a transaction.
    pub fn insert(&self, rows: &[Row], per: usize) -> Result<()> {
        self.write_rows(&self.insert_sql("INSERT INTO t"), rows, per)
    }

    /// Inserts rows that are there already.
    pub fn insert_again(&self, rows: &[Row]) -> Result<()> {
        self.write_rows(&self.insert_sql("INSERT OR IGNORE INTO t"), rows, TXN_ROWS)
    }

    /// Inserts rows into `u`, which is not replicated.
    pub fn insert_elsewhere(&self, rows: &[Row], per: usize) -> Result<()> {
        self.write_rows(&self.insert_sql("INSERT INTO u"), rows, per)
    }

    fn insert_sql(&self, begin: &str) -> String {
        format!("{begin} VALUES (?{})", ", ?".repeat(self.shape.values()))
    }

    /// Sets the columns `at` of rows.
    pub fn update(&self, rows: &[Row], at: &[usize], per: usize) -> Result<()> {
        let set = |(i, c): (usize, &usize)| format!("{} = ?{}", column(*c), i + 2);
        let list: Vec<String> = at.iter().enumerate().map(set).collect();
        self.write_rows(&format!("UPDATE t SET {} WHERE id = ?1", list.join(", ")), rows, per)
    }

    pub fn delete(&self, keys: &[Value]) -> Result<()> {
        let mut stmt = self.conn.prepare_cached("DELETE FROM t WHERE id = ?1")?;
        self.write(keys, TXN_ROWS, |key| {
            stmt.execute([key])?;
            Ok(())
        })
    }

    /// Reads a row by its key.
    pub fn read(&self, key: &Value) -> Result<()> {
        let (n, _) = drain(&self.conn, "SELECT * FROM t WHERE id = ?1", [key])?;
        expect("a row by its key", n, 1)
    }

    /// Reads the whole table, which has so many rows.
    pub fn scan(&self, rows: usize) -> Result<()> {
        let (n, _) = drain(&self.conn, "SELECT * FROM t", [])?;
        expect("the scan", n, rows)
    }

    /// How many rows the table has.
    pub fn count(&self) -> Result<usize> {
        let n: i64 = self.conn.query_row("SELECT count(*) FROM t", [], |r| r.get(0))?;
        Ok(n as usize)
    }

    /// The size of the file once the WAL is written back.
    pub fn size(&self) -> Result<u64> {
        self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(fs::metadata(&self.path)?.len())
    }
}

impl Drop for Db {
    /// cr-sqlite has to be told; a library without the function needs no telling.
    fn drop(&mut self) {
        if self.side.kind == Kind::Peer {
            let _ = self.conn.query_row("SELECT crsql_finalize()", [], |_| Ok(()));
        }
    }
}

/// Loads a library, whichever name its entry point has.
fn load(conn: &Connection, lib: &Path) -> Result<()> {
    // SAFETY: the library is one that is measured.
    unsafe {
        let _on = rusqlite::LoadExtensionGuard::new(conn)?;
        let first = conn.load_extension(lib, None::<&str>);
        let other = |e| {
            let names = ["sqlite3_crsqlite_init", "sqlite3_extension_init"];
            let loads = names.iter().any(|name| conn.load_extension(lib, Some(*name)).is_ok());
            if loads { Ok(()) } else { Err(e) }
        };
        Ok(first.or_else(other)?)
    }
}

/// Removes a database and what SQLite keeps beside it.
pub fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let _ = fs::remove_file(name);
    }
}

/// Reads everything that a query gives; returns how many rows, and their bytes so that none of it
/// can be left out.
pub fn drain(conn: &Connection, sql: &str, params: impl Params) -> Result<(usize, usize)> {
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

/// Fails where a measure did not do what it is timed for.
pub fn expect(what: &str, found: usize, wanted: usize) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: {found} rows, not {wanted}").into())
}
