//! How each side says what is new and takes what another file says: plain SQLite by rows of the
//! table, the session extension by the changesets it stored, the others by `crsql_changes`; and
//! crsql by changesets of its own.

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

use crate::data::Row;
use crate::session;
use crate::side::{CANNOT, Db, Kind, Result, TXN_ROWS, drain};

pub const NINE: &str = "\"table\", pk, cid, val, col_version, db_version, site_id, cl, seq";

/// The size that a changeset is asked to stay below.
pub const CHUNK_BYTES: i64 = 1 << 20;

/// The nine columns of a row of `crsql_changes`.
pub type Change = [Value; 9];

/// What one transaction of a sender says.
pub enum Parcel<'a> {
    Rows(&'a [Row]),
    Set(Vec<u8>),
    Changes(Vec<Change>),
}

impl Db {
    /// Where a reader stands who has seen everything.
    pub fn mark(&self) -> Result<i64> {
        let sql = match self.side.kind {
            Kind::Plain => "SELECT ifnull(max(rowid), 0) FROM t",
            Kind::Session => "SELECT ifnull(max(id), 0) FROM changesets",
            Kind::Crsql | Kind::Peer => "SELECT crsql_db_version()",
        };
        Ok(self.conn.prepare_cached(sql)?.query_row([], |r| r.get(0))?)
    }

    /// Reads what is new since a mark; tells how many rows that is.
    pub fn since(&self, mark: i64) -> Result<usize> {
        Ok(drain(&self.conn, self.since_sql(), [mark])?.0)
    }

    pub fn since_sql(&self) -> &'static str {
        match self.side.kind {
            Kind::Plain => "SELECT * FROM t WHERE rowid > ?1",
            Kind::Session => "SELECT changeset FROM changesets WHERE id > ?1",
            Kind::Crsql | Kind::Peer => {
                "SELECT * FROM crsql_changes WHERE db_version > ?1 AND site_id = crsql_site_id()"
            }
        }
    }

    /// Reads everything there is to send; tells how many rows that is.
    pub fn everything(&self) -> Result<usize> {
        let sql = match self.side.kind {
            Kind::Plain => "SELECT * FROM t",
            Kind::Session => "SELECT changeset FROM changesets",
            Kind::Crsql | Kind::Peer => "SELECT * FROM crsql_changes",
        };
        Ok(drain(&self.conn, sql, [])?.0)
    }

    /// How many rows those are for new rows of the table that came in so many transactions.
    pub fn news(&self, rows: usize, transactions: usize) -> usize {
        match self.side.kind {
            Kind::Plain => rows,
            Kind::Session => transactions,
            Kind::Crsql | Kind::Peer => rows * self.shape.values(),
        }
    }

    /// The transaction that ended at a mark. `rows` are those it inserted.
    pub fn parcel<'a>(&self, mark: i64, rows: &'a [Row]) -> Result<Parcel<'a>> {
        Ok(match self.side.kind {
            Kind::Plain => Parcel::Rows(rows),
            Kind::Session => Parcel::Set(self.stored(mark)?),
            Kind::Crsql | Kind::Peer => {
                let which = "db_version = ?1 AND site_id = crsql_site_id()";
                Parcel::Changes(self.changes(which, mark)?)
            }
        })
    }

    /// A changeset that the session stored.
    pub fn stored(&self, id: i64) -> Result<Vec<u8>> {
        let mut stmt =
            self.conn.prepare_cached("SELECT changeset FROM changesets WHERE id = ?1")?;
        Ok(stmt.query_row([id], |r| r.get(0))?)
    }

    pub fn changes(&self, which: &str, mark: i64) -> Result<Vec<Change>> {
        let sql = format!("SELECT {NINE} FROM crsql_changes WHERE {which}");
        let mut stmt = self.conn.prepare_cached(&sql)?;
        let mut rows = stmt.query([mark])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let mut change = [const { Value::Null }; 9];
            for (i, value) in change.iter_mut().enumerate() {
                *value = row.get(i)?;
            }
            all.push(change);
        }
        Ok(all)
    }

    /// Takes what a sender says.
    pub fn take(&self, parcel: &Parcel<'_>) -> Result<()> {
        match parcel {
            Parcel::Rows(rows) => self.insert(rows, TXN_ROWS),
            Parcel::Set(set) => session::apply(&self.conn, set),
            Parcel::Changes(all) => self.take_changes(INSERT, all),
        }
    }

    /// The same for what it has taken before.
    pub fn take_again(&self, parcel: &Parcel<'_>) -> Result<()> {
        match parcel {
            Parcel::Rows(rows) => self.insert_again(rows),
            other => self.take(other),
        }
    }

    /// Hands changes to a statement that takes the nine columns.
    pub fn take_changes(&self, sql: &str, all: &[Change]) -> Result<()> {
        let mut stmt = self.conn.prepare_cached(sql)?;
        self.write(all, all.len().max(1), |change| {
            stmt.execute(params_from_iter(change))?;
            Ok(())
        })
    }

    /// `crsql_vector()`
    pub fn vector(&self) -> Result<String> {
        self.by_sets()?;
        Ok(self.conn.prepare_cached("SELECT crsql_vector()")?.query_row([], |r| r.get(0))?)
    }

    /// `crsql_changeset(vector, max_bytes)`
    pub fn changeset(&self, vector: &str) -> Result<Option<Vec<u8>>> {
        let mut stmt = self.conn.prepare_cached("SELECT crsql_changeset(?1, ?2)")?;
        Ok(stmt.query_row(params![vector, CHUNK_BYTES], |r| r.get(0))?)
    }

    /// `crsql_apply(blob)`
    pub fn apply(&self, blob: &[u8]) -> Result<()> {
        let mut stmt = self.conn.prepare_cached("SELECT crsql_apply(?1)")?;
        Ok(stmt.query_row([blob], |_| Ok(()))?)
    }

    /// The interface of the peers has no changesets.
    fn by_sets(&self) -> Result<()> {
        if self.side.kind == Kind::Crsql { Ok(()) } else { Err(CANNOT.into()) }
    }
}

/// The vector of somebody who has seen nothing.
pub const NOTHING: &str = "{\"v\":1}";

const INSERT: &str = "INSERT INTO crsql_changes
    (\"table\", pk, cid, val, col_version, db_version, site_id, cl, seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// A poll by vector that must find nothing.
pub fn nothing_new(db: &Db, vector: &str) -> Result<()> {
    match db.changeset(vector)? {
        None => Ok(()),
        Some(_) => Err("a poll found something that is not new".into()),
    }
}
