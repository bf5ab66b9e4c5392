//! What one replica asks of another, in the SQL of an application: by changesets or by rows.

use crate::host::{self, Answer, Cell, ask};
use crate::replica::Mail;
use rusqlite::Connection;

pub const VECTOR: &str = "SELECT crsql_vector()";
pub const CHANGESET: &str = "SELECT crsql_changeset(?1, nullif(?2, 0))";
pub const APPLY: &str = "SELECT crsql_apply(?1)";
pub const SINCE: &str = "SELECT * FROM crsql_changes WHERE since = ?1";
pub const INSERT: &str = "INSERT INTO crsql_changes VALUES(?,?,?,?,?,?,?,?,?)";

/// Whether anything waits there to be merged.
pub fn any_held(db: &Connection) -> Answer<bool> {
    ask(db, "SELECT EXISTS(SELECT 1 FROM crsql_held)", [])
}

/// The newest version that it wrote.
pub fn own_version(db: &Connection) -> Answer<u64> {
    ask(db, "SELECT crsql_db_version()", [])
}

/// What `from` has that the vector has not.
pub fn answer(db: &Connection, vector: &str, rows: bool, max: usize) -> Answer<Option<Mail>> {
    if !rows {
        let bytes: Option<Vec<u8>> = ask(db, CHANGESET, (vector, max as i64))?;
        return Ok(bytes.map(Mail::Changeset));
    }
    let theirs: String = ask(db, VECTOR, [])?;
    let mut stmt = db.prepare_cached(SINCE)?;
    let mut found = stmt.query([vector])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let cells = (0..9).map(|i| Ok(Cell(host::encode(row.get_ref(i)?))));
        rows.push(cells.collect::<Answer<Vec<Cell>>>()?);
    }
    Ok(Some(Mail::Rows { rows, vector: theirs }))
}

/// Takes rows as an application does, in one transaction; gives the vector afterwards as JSON.
pub fn insert_rows(
    db: &Connection,
    rows: &[Vec<Cell>],
    order: &[usize],
    vector: &str,
) -> Answer<String> {
    let own = db.is_autocommit();
    if own {
        host::run(db, "BEGIN")?;
    }
    let work = || -> Answer<()> {
        let mut stmt = db.prepare_cached(INSERT)?;
        for n in order {
            stmt.execute(rusqlite::params_from_iter(&rows[*n]))?;
        }
        drop(stmt);
        ask::<String>(db, "SELECT crsql_seen(?1)", [vector])?;
        Ok(())
    };
    let done = work();
    if own && !db.is_autocommit() {
        let end = if done.is_ok() { host::run(db, "COMMIT") } else { host::run(db, "ROLLBACK") };
        if let Err(e) = end {
            let _ = host::run(db, "ROLLBACK");
            done?;
            return Err(e);
        }
    }
    done?;
    let vector: String = ask(db, VECTOR, [])?;
    Ok(format!("{{\"vector\":{vector}}}"))
}
