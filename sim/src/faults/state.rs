//! What a file holds, as the judge compares it: every row of every table, the schema, where each
//! cell was written, what is held, and whether the file is sound.

use crate::disk;
use crate::host::{self, Answer, Failed, ask};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// The rows of one query, as bytes.
pub type Rows = Vec<Vec<u8>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By the name of the table, or what was asked.
    pub rows: BTreeMap<String, Rows>,
}

impl State {
    /// The first difference, for people.
    pub fn differs(&self, other: &State) -> Option<String> {
        let none = Rows::new();
        for name in self.rows.keys().chain(other.rows.keys()) {
            let (a, b) = (self.rows.get(name), other.rows.get(name));
            let (a, b) = (a.unwrap_or(&none), b.unwrap_or(&none));
            if let Some(n) = (0..a.len().max(b.len())).find(|n| a.get(*n) != b.get(*n)) {
                let told = |rows: &Rows| rows.get(n).map_or("nothing".into(), |r| shown(r));
                return Some(format!("{name}: {} and {}", told(a), told(b)));
            }
        }
        None
    }

    /// The application's tables alone.
    pub fn tables(&self) -> State {
        let ours = |name: &str| ASKED.iter().chain(&OF_OURS).any(|(ours, _)| *ours == name);
        let rows = self.rows.iter().filter(|(name, _)| !ours(name));
        State { rows: rows.map(|(name, rows)| (name.clone(), rows.clone())).collect() }
    }

    /// The first table that this has otherwise than some tables, or not at all.
    pub fn lacks(&self, tables: &State) -> Option<String> {
        let names = tables.rows.keys();
        let part = names.filter_map(|name| Some((name.clone(), self.rows.get(name)?.clone())));
        State { rows: part.collect() }.differs(tables)
    }
}

/// A row for people: text as it is.
pub fn shown(row: &[u8]) -> String {
    let text: String = row.escape_ascii().to_string();
    text.chars().take(300).collect()
}

/// What a query gives. Prepared anew, for the table may have become another.
pub fn rows(db: &Connection, sql: &str) -> Answer<Rows> {
    let mut stmt = db.prepare(sql)?;
    let columns = stmt.column_count();
    let mut rows = stmt.query([])?;
    let mut out = Rows::new();
    while let Some(row) = rows.next()? {
        let mut bytes = Vec::new();
        for at in 0..columns {
            let value = host::encode(row.get_ref(at)?);
            bytes.extend((value.len() as u32).to_be_bytes());
            bytes.extend(value);
        }
        out.push(bytes);
    }
    Ok(out)
}

const NAMES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0
                     AND name NOT LIKE 'crsql\\_%' ESCAPE '\\' ORDER BY 1";
/// The feed, with stamps to the millisecond: a stamp's place within it is by chance, and SQLite may
/// have used some of that for a journal in between.
const CHANGES: &str = "SELECT \"table\", pk, cid, val, iif(cid = '-1', col_version,
                              col_version / 4096), db_version, site_id, cl, seq
                       FROM crsql_changes ORDER BY site_id, db_version, seq";
const ASKED: [(&str, &str); 6] = [
    ("the schema", "SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2"),
    // It follows the schema first: while a table-valued function is read SQLite drops no table.
    ("crsql_digest()", "SELECT crsql_digest() IS NOT NULL"),
    ("crsql_changes", CHANGES),
    ("crsql_db_version()", "SELECT crsql_db_version()"),
    ("crsql_site_id()", "SELECT crsql_site_id()"),
    ("crsql_check()", "SELECT fault, \"table\" FROM crsql_check()"),
];
const OF_OURS: [(&str, &str); 2] = [
    ("crsql_held", "SELECT \"table\", pk, cid, val, reason FROM crsql_held ORDER BY 1, 2, 3"),
    ("crsql_config", "SELECT * FROM crsql_config ORDER BY 1"),
];

/// Whether anything was ever made replicated here.
fn ours(db: &Connection) -> Answer<bool> {
    ask(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'crsql_state'", [])
}

/// The rows of the application's tables.
pub fn tables(db: &Connection) -> Answer<State> {
    let mut out = State::default();
    for name in rows(db, NAMES)? {
        // Its length, its class, and it.
        let name = String::from_utf8_lossy(&name[5..]).into_owned();
        let mut all = rows(db, &format!("SELECT * FROM {}", crate::shape::quoted(&name)))?;
        all.sort();
        out.rows.insert(name, all);
    }
    Ok(out)
}

/// What is in a file.
pub fn read(db: &Connection) -> Answer<State> {
    let mut out = tables(db)?;
    let ours = if ours(db)? { &OF_OURS[..] } else { &[] };
    let asked = if ours.is_empty() { &ASKED[..1] } else { &ASKED[..] };
    for (name, sql) in asked.iter().chain(ours) {
        out.rows.insert((*name).into(), rows(db, sql)?);
    }
    Ok(out)
}

/// What is wrong in a file, by SQLite's word.
pub fn sound(db: &Connection) -> Result<(), String> {
    let said = ask::<String>(db, "PRAGMA integrity_check", []).map_err(|e| e.text)?;
    if said == "ok" { Ok(()) } else { Err(format!("integrity_check: {said}")) }
}

/// What makes the replicated tables in an empty file.
pub fn schema(db: &Connection) -> Answer<Vec<String>> {
    if !ours(db)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT m.sql, 'SELECT crsql_as_crr(' || quote(m.name) || ')'
               FROM crsql_tables t JOIN sqlite_schema m ON m.name = t.name AND m.type = 'table'
               WHERE t.dropped IS NULL ORDER BY t.tid";
    let mut stmt = db.prepare(sql)?;
    let both = stmt.query_map([], |row| Ok([row.get(0)?, row.get(1)?]))?;
    let mut all = both.collect::<Result<Vec<[String; 2]>, _>>()?.concat();
    let merges = "SELECT 'SELECT crsql_column(' || quote(\"table\") || ', ' || quote(\"column\") ||
                  ', ' || quote(merge) || ')' FROM crsql_columns WHERE merge <> 'lww'";
    let mut stmt = db.prepare(merges)?;
    for merge in stmt.query_map([], |row| row.get(0))? {
        all.push(merge?);
    }
    let policies =
        "SELECT 'SELECT crsql_row_policy(' || quote(name) || ', ' || quote(policy) || ')'
                    FROM crsql_tables WHERE dropped IS NULL AND policy <> 'delete-wins'";
    let mut stmt = db.prepare(policies)?;
    for policy in stmt.query_map([], |row| row.get(0))? {
        all.push(policy?);
    }
    Ok(all)
}

/// A peer that has nothing pulls everything: its digest must be this file's.
pub fn pulled(db: &Connection, peer: usize) -> Result<(), String> {
    let said = |what: &str, e: Failed| format!("a fresh peer, {what}: {}", e.text);
    if !ours(db).map_err(|e| e.text)? {
        return Ok(());
    }
    let fresh = host::open(peer, &[]).map_err(|e| said("opening", e))?;
    let blob: Option<Vec<u8>> =
        ask(db, "SELECT crsql_changeset()", []).map_err(|e| said("crsql_changeset", e))?;
    if let Some(blob) = blob {
        let apply = "SELECT crsql_apply(?1)";
        let _: String = ask(&fresh, apply, [&blob]).map_err(|e| said("crsql_apply", e))?;
    }
    let digest = |db| ask::<String>(db, "SELECT crsql_digest()", []).map_err(|e| said("digest", e));
    if digest(db)? != digest(&fresh)? {
        let (a, b) = (read(db).map_err(|e| e.text)?, read(&fresh).map_err(|e| e.text)?);
        let mut differ = a.differs(&b);
        for name in a.rows.keys().filter(|name| b.rows.contains_key(*name)) {
            if name != "crsql_site_id()" && name != "crsql_db_version()" && name != "the schema" {
                let (x, y) = (a.rows.get(name), b.rows.get(name));
                differ = if x != y { Some(format!("{name} differs")) } else { differ };
            }
        }
        return Err(format!("a fresh peer that pulled everything differs: {differ:?}"));
    }
    Ok(())
}

/// The files of a machine, and its time.
#[derive(Clone, Default)]
pub struct Disk {
    pub files: BTreeMap<String, Vec<u8>>,
    pub now: i64,
}

impl Disk {
    pub fn of(machine: usize) -> Disk {
        let machine = disk::machine(machine).borrow();
        Disk { files: machine.copy(), now: machine.now }
    }

    pub fn put(&self, machine: usize) {
        let mut machine = disk::machine(machine).borrow_mut();
        machine.restore(&self.files);
        machine.now = self.now;
    }
}
