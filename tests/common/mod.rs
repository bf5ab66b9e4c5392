//! A database with crsql loaded, for the tests of every promise: open, run SQL, dump a query as
//! strings. The library is the one that this run of cargo built, loaded as any host loads it.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod clock;
pub mod disk;
#[path = "../shell/mod.rs"]
pub mod shell;
pub mod sync;
pub mod syncs;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, LoadExtensionGuard};
use std::fmt::Write;
use std::path::Path;

/// Loads the library into a connection.
pub fn load(db: &Connection) {
    // SAFETY: the library is our own.
    unsafe {
        let _guard = LoadExtensionGuard::new(db).expect("extensions may be loaded");
        db.load_extension(shell::library(), Some("sqlite3_crsql_init")).expect("crsql loads");
    }
}

/// A database in memory.
pub fn memory() -> Connection {
    let db = Connection::open_in_memory().expect("a database in memory");
    load(&db);
    db
}

/// A database in a file.
pub fn open(path: &Path) -> Connection {
    let db = Connection::open(path).expect("a database file");
    load(&db);
    db.busy_timeout(std::time::Duration::from_secs(60)).expect("a timeout");
    db
}

/// Runs statements; whatever rows they give are thrown away.
pub fn run(db: &Connection, sql: &str) {
    if let Err(e) = db.execute_batch(sql) {
        panic!("{e}\nin: {sql}");
    }
}

/// The error that statements end with.
pub fn error(db: &Connection, sql: &str) -> String {
    match db.execute_batch(sql) {
        Ok(()) => panic!("this was accepted: {sql}"),
        Err(e) => e.to_string(),
    }
}

/// A value as SQL would write it, but for text without quotes in it, which stands bare.
pub fn literal(v: ValueRef<'_>) -> String {
    match v {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(i) => i.to_string(),
        ValueRef::Real(r) => format!("{r:?}"),
        ValueRef::Text(t) => String::from_utf8_lossy(t).into_owned(),
        ValueRef::Blob(b) => b.iter().fold("x".into(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    }
}

/// The rows of a query, columns joined with `|`.
pub fn rows(db: &Connection, sql: &str) -> Vec<String> {
    let mut stmt = db.prepare(sql).unwrap_or_else(|e| panic!("{e}\nin: {sql}"));
    let columns = stmt.column_count();
    let mut rows = stmt.query([]).unwrap_or_else(|e| panic!("{e}\nin: {sql}"));
    let mut out = Vec::new();
    while let Some(row) = rows.next().unwrap_or_else(|e| panic!("{e}\nin: {sql}")) {
        let values: Vec<String> =
            (0..columns).map(|i| literal(row.get_ref(i).expect("a column"))).collect();
        out.push(values.join("|"));
    }
    out
}

/// The one value of a query, as a string.
pub fn one(db: &Connection, sql: &str) -> String {
    rows(db, sql).into_iter().next().unwrap_or_default()
}

/// The one integer of a query.
pub fn int(db: &Connection, sql: &str) -> i64 {
    one(db, sql).parse().unwrap_or_else(|e| panic!("{e}\nin: {sql}"))
}

/// The own feed above a version: `table|pk|cid|val|db_version|cl|seq`.
pub fn feed(db: &Connection, after: i64) -> Vec<String> {
    rows(
        db,
        &format!(
            "SELECT \"table\", hex(pk), cid, quote(val), db_version, cl, seq FROM crsql_changes \
             WHERE db_version > {after}"
        ),
    )
}

/// The changes above a version, sorted, without numbers: `table key cid val`.
pub fn told(db: &Connection, after: i64) -> Vec<String> {
    let what = r#""table" || ' ' || substr(hex(pk), 5) || ' ' || cid || ' ' || quote(val)"#;
    let sql = format!("SELECT {what} FROM crsql_changes WHERE db_version > {after} ORDER BY 1");
    rows(db, &sql)
}

/// Gives the database a schema: what `crsql_automigrate` answers, or its error.
pub fn try_migrate(db: &Connection, schema: &str) -> Result<String, String> {
    db.query_row("SELECT crsql_automigrate(?1)", [schema], |r| r.get(0)).map_err(|e| e.to_string())
}

/// The newest own version, committed or not.
pub fn version(db: &Connection) -> i64 {
    int(db, "SELECT crsql_db_version()")
}

/// What the stock shell says to a script about `x.db`, without crsql.
pub fn bare(dir: &Path, script: &str) -> String {
    let program = std::env::var("SQLITE3").unwrap_or_else(|_| "sqlite3".into());
    let mut child = std::process::Command::new(program)
        .args(["-batch", "x.db"])
        .current_dir(dir)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the sqlite3 shell");
    use std::io::Write as _;
    child
        .stdin
        .take()
        .expect("the sqlite3 shell")
        .write_all(script.as_bytes())
        .expect("the sqlite3 shell");
    let out = child.wait_with_output().expect("the sqlite3 shell");
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

/// A random sequence of one's own, the same on every run.
pub struct Seeded(pub u64);

impl Seeded {
    /// The next number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// A value whose text may be any bytes, as SQLite's may.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Cell {
    /// The bytes of a blob.
    pub fn blob(self) -> Vec<u8> {
        match self {
            Cell::Blob(b) => b,
            other => panic!("{other:?} is no blob"),
        }
    }
}

impl From<ValueRef<'_>> for Cell {
    fn from(v: ValueRef<'_>) -> Self {
        match v {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(i) => Cell::Int(i),
            ValueRef::Real(r) => Cell::Real(r),
            ValueRef::Text(t) => Cell::Text(t.to_vec()),
            ValueRef::Blob(b) => Cell::Blob(b.to_vec()),
        }
    }
}

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Int(i) => ValueRef::Integer(*i),
            Cell::Real(r) => ValueRef::Real(*r),
            Cell::Text(t) => ValueRef::Text(t),
            Cell::Blob(b) => ValueRef::Blob(b),
        }))
    }
}
