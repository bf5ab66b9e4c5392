//! Exchanging changes, by changeset and row by row, and judging whether replicas agree.

use super::{Cell, one, rows, run};
use rusqlite::Connection;
use serde_json::Value as Json;

/// What a database has seen.
pub fn vector(db: &Connection) -> String {
    one(db, "SELECT crsql_vector()")
}

/// What the vector has not seen.
pub fn changeset(db: &Connection, vector: &str, max: Option<i64>) -> Option<Vec<u8>> {
    db.query_row("SELECT crsql_changeset(?1, ?2)", (vector, max), |r| r.get(0))
        .unwrap_or_else(|e| panic!("crsql_changeset: {e}"))
}

/// Everything.
pub fn everything(db: &Connection) -> Vec<u8> {
    db.query_row("SELECT crsql_changeset()", [], |r| r.get(0)).unwrap()
}

/// Applies; gives the report or the sentence.
pub fn try_apply(db: &Connection, blob: &[u8]) -> Result<Json, String> {
    let text = db.query_row("SELECT crsql_apply(?1)", [blob], |r| r.get::<_, String>(0));
    text.map(|t| serde_json::from_str(&t).unwrap()).map_err(|e| e.to_string())
}

/// Applies; gives the report.
pub fn apply(db: &Connection, blob: &[u8]) -> Json {
    try_apply(db, blob).unwrap_or_else(|e| panic!("crsql_apply: {e}"))
}

/// `to` pulls what it lacks from `from` as `docs/SQL.md` says: until the answer is NULL, or what it
/// has seen does not move any more. Gives the reports.
pub fn pull_in(to: &Connection, from: &Connection, max: Option<i64>) -> Vec<Json> {
    let mut reports = Vec::new();
    for _ in 0..10_000 {
        let Some(blob) = changeset(from, &vector(to), max) else { return reports };
        let report = apply(to, &blob);
        let new = report["new"] == Json::Bool(true);
        reports.push(report);
        if !new {
            return reports;
        }
    }
    panic!("a pull does not end: {}", vector(to));
}

/// `to` pulls what it lacks from `from` in one changeset; the report, or null where there is none.
pub fn pull(to: &Connection, from: &Connection) -> Json {
    changeset(from, &vector(to), None).map_or(Json::Null, |blob| apply(to, &blob))
}

/// One change: the nine values of a row of `crsql_changes`.
pub type Change = Vec<Cell>;

/// The changes that a condition picks, in order.
pub fn changes(db: &Connection, condition: &str) -> Vec<Change> {
    let sql = format!("SELECT * FROM crsql_changes WHERE {condition}");
    let mut stmt = db.prepare(&sql).unwrap_or_else(|e| panic!("{e}\nin: {sql}"));
    let mut rows = stmt.query([]).unwrap();
    let mut out = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        out.push((0..9).map(|i| row.get_ref(i).unwrap().into()).collect());
    }
    out
}

/// Inserts one change; the sentence where it is refused.
pub fn try_insert(db: &Connection, change: &[Cell]) -> Result<(), String> {
    let sql = "INSERT INTO crsql_changes VALUES(?,?,?,?,?,?,?,?,?)";
    let mut stmt = db.prepare_cached(sql).map_err(|e| e.to_string())?;
    let done = stmt.execute(rusqlite::params_from_iter(change));
    done.map(|_| ()).map_err(|e| e.to_string())
}

/// Inserts changes in one transaction.
pub fn insert(db: &Connection, changes: &[Change]) {
    run(db, "SAVEPOINT row_wise");
    for change in changes {
        try_insert(db, change).unwrap_or_else(|e| panic!("{e}\nof: {change:?}"));
    }
    run(db, "RELEASE row_wise");
}

/// Gives `to` every change that `from` has, row by row.
pub fn copy_rows(from: &Connection, to: &Connection) {
    insert(to, &changes(from, "true"));
}

/// `to` pulls what it lacks from `from`, row by row; gives how many rows.
pub fn pull_rows(to: &Connection, from: &Connection) -> usize {
    let (ours, theirs) = (vector(to), vector(from));
    let new = changes(from, &format!("since = '{ours}'"));
    insert(to, &new);
    let seen: String = to.query_row("SELECT crsql_seen(?1)", [theirs], |r| r.get(0)).unwrap();
    assert_eq!(seen, "OK");
    new.len()
}

/// Every database pulls from every other until nothing is new.
pub fn settle(all: &[&Connection]) {
    for _ in 0..=all.len() {
        for to in all {
            for from in all.iter().filter(|from| !std::ptr::eq(**from, *to)) {
                pull_in(to, from, None);
            }
        }
    }
}

/// The rows of the replicated tables, with the classes of their values.
pub fn content(db: &Connection) -> Vec<String> {
    let mut out = Vec::new();
    let tables = rows(db, "SELECT name FROM crsql_tables WHERE dropped IS NULL ORDER BY name");
    for t in tables {
        let t = t.replace('"', "\"\"");
        let columns = rows(
            db,
            &format!(
                "SELECT name FROM pragma_table_info('{}') ORDER BY name",
                t.replace('\'', "''")
            ),
        );
        let cells: Vec<String> = columns
            .iter()
            .map(|c| c.replace('"', "\"\""))
            .map(|c| format!("typeof(\"{c}\"), hex(\"{c}\"), quote(\"{c}\")"))
            .collect();
        let mut all = rows(db, &format!("SELECT {} FROM \"{t}\"", cells.join(", ")));
        all.sort();
        out.push(t);
        out.extend(all);
    }
    out
}

/// All replicas hold the same rows and the same clocks, and `crsql_check()` finds no fault but
/// rows that break a CHECK, forks that were seen, and clocks that were ahead.
pub fn assert_equal(all: &[&Connection]) {
    assert_equal_but(all, "none");
}

/// The same where one more fault belongs to the story.
pub fn assert_equal_but(all: &[&Connection], known: &str) {
    for (i, db) in all.iter().enumerate() {
        let data = format!("fault NOT IN ('constraint', 'forked', 'ahead', '{known}')");
        let faults = rows(db, &format!("SELECT * FROM crsql_check() WHERE {data}"));
        assert!(faults.is_empty(), "replica {i}: {faults:?}");
        assert_eq!(content(all[0]), content(db), "replica {i} differs from replica 0");
        let digest = "SELECT crsql_digest()";
        assert_eq!(one(all[0], digest), one(db, digest), "the digest of replica {i}");
    }
}

/// This many databases in memory, each having run the same SQL.
pub fn replicas(n: usize, sql: &str) -> Vec<Connection> {
    (0..n)
        .map(|_| {
            let db = super::memory();
            run(&db, sql);
            db
        })
        .collect()
}

/// Two of them.
pub fn two(sql: &str) -> (Connection, Connection) {
    let mut all = replicas(2, sql);
    let b = all.pop().unwrap();
    (all.pop().unwrap(), b)
}

/// How two replicas exchange changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Changesets,
    Rows,
}

/// Both ways.
pub const WAYS: [Way; 2] = [Way::Changesets, Way::Rows];

impl Way {
    /// `to` pulls from `from`.
    pub fn pull(self, to: &Connection, from: &Connection) {
        match self {
            Way::Changesets => drop(pull_in(to, from, None)),
            Way::Rows => drop(pull_rows(to, from)),
        }
    }
}
