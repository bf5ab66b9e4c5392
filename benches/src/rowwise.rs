//! Row by row, as applications written for cr-sqlite sync: `SELECT ... FROM crsql_changes` here,
//! `INSERT INTO crsql_changes` there.

use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::data::Row;
use crate::ready;
use crate::run::{Run, duel, duel_over};
use crate::sheet::{Goal, Sheet, Work};
use crate::side::{self, Key, Result, TXN_ROWS, in_transactions};

pub const PULL: Work = Work("pull everything, as rows", Goal::Times(8.0));
pub const APPLY: Work = Work("apply everything, as rows", Goal::Times(10.0));
/// The least that a row costs that is written cell by cell, where a trigger calls a function, when
/// the cells come through a virtual table.
pub const CELLS: Work = Work("limit: the same where crsql's part costs nothing", Goal::Shown);
const FORGET: &str = "INSERT INTO ready VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
pub const AGAIN: Work = Work("apply again, all seen, as rows", Goal::Shown);

pub const NINE: &str = "\"table\", pk, cid, val, col_version, db_version, site_id, cl, seq";
pub const INSERT: &str = "INSERT INTO crsql_changes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

pub fn pull(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let db = run.full("pull-rows")?;
    for _ in 0..run.rounds {
        let pair = duel(
            2,
            |_| side::drain(&db.plain, "SELECT * FROM t", []).map(|_| ()),
            |_| {
                let (n, _) = side::drain(&db.crsql, "SELECT * FROM crsql_changes", [])?;
                expect("crsql_changes", n, run.rows * 6)
            },
        )?;
        sheet.round(PULL.0, run.rows * 2, pair);
    }
    Ok(())
}

/// Fails where a measure did not do what it is timed for.
pub fn expect(what: &str, found: usize, wanted: usize) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: {found} rows, not {wanted}").into())
}

/// One row of `crsql_changes`.
struct Change {
    table: String,
    pk: Vec<u8>,
    cid: String,
    val: Value,
    numbers: [i64; 4],
    site: [u8; 16],
}

fn read_all(conn: &Connection) -> Result<Vec<Change>> {
    let mut stmt = conn.prepare(&format!("SELECT {NINE} FROM crsql_changes"))?;
    let rows = stmt.query_map([], |r| {
        Ok(Change {
            table: r.get(0)?,
            pk: r.get(1)?,
            cid: r.get(2)?,
            val: r.get(3)?,
            numbers: [r.get(4)?, r.get(5)?, r.get(7)?, r.get(8)?],
            site: r.get(6)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn write(conn: &Connection, changes: &[Change]) -> Result<()> {
    write_to(conn, INSERT, changes)
}

fn write_to(conn: &Connection, sql: &str, changes: &[Change]) -> Result<()> {
    let mut stmt = conn.prepare_cached(sql)?;
    in_transactions(conn, changes, TXN_ROWS * 6, |c| {
        let [col_version, db_version, cl, seq] = c.numbers;
        let (table, pk, cid, val, site) = (&c.table, &c.pk, &c.cid, &c.val, &c.site);
        stmt.execute(params![table, pk, cid, val, col_version, db_version, site, cl, seq])?;
        Ok(())
    })
}

/// A plain table whose triggers call a function that does nothing.
fn watched(run: &Run) -> Result<Connection> {
    let conn = side::create(&run.path("watched.db"), None, Key::Int)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("watch", 1, flags, |_| Ok(Value::Null))?;
    conn.execute_batch(
        "CREATE TRIGGER i AFTER INSERT ON t BEGIN SELECT watch(new.id); END;
         CREATE TRIGGER u AFTER UPDATE ON t BEGIN SELECT watch(new.id); END;",
    )?;
    ready::has_ready(&conn, Vec::new())?;
    Ok(conn)
}

/// Inserts rows as they arrive in `crsql_changes`: the first cell, then one after the other.
fn cell_by_cell(conn: &Connection, rows: &[Row]) -> Result<()> {
    let mut first = conn.prepare_cached("INSERT INTO t(id, a) VALUES (?1, ?2)")?;
    let set = |column| conn.prepare_cached(&format!("UPDATE t SET {column} = ?2 WHERE id = ?1"));
    let (mut b, mut c, mut d) = (set("b")?, set("c")?, set("d")?);
    let (mut e, mut f) = (set("e")?, set("f")?);
    in_transactions(conn, rows, TXN_ROWS, |r| {
        first.execute(params![r.id, r.a])?;
        b.execute(params![r.id, r.b])?;
        c.execute(params![r.id, r.c])?;
        d.execute(params![r.id, r.d])?;
        e.execute(params![r.id, r.e])?;
        f.execute(params![r.id, r.f])?;
        Ok(())
    })
}

pub fn apply(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let changes = read_all(&run.full_crsql("dump")?)?;
    let ignore = "INSERT OR IGNORE INTO t VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let steps = run.rows.div_ceil(TXN_ROWS);
    for _ in 0..run.rounds {
        let db = run.fresh("apply-rows", Key::Int)?;
        let parts: Vec<&[Change]> = changes.chunks(changes.len().div_ceil(steps)).collect();
        let part = |i: usize| parts.get(i).copied().unwrap_or(&[]);
        let rows: Vec<_> = run.data().chunks(TXN_ROWS).collect();
        let pair = duel(
            steps,
            |i| side::insert(&db.plain, Key::Int, rows[i], TXN_ROWS),
            |i| write(&db.crsql, part(i)),
        )?;
        expect("the receiver", side::count(&db.crsql)?, run.rows)?;
        sheet.round(APPLY.0, run.rows, pair);
        let (plain, watched) = (run.fresh("cells-plain", Key::Int)?.plain, watched(run)?);
        let pair = duel(
            steps,
            |i| side::insert(&plain, Key::Int, rows[i], TXN_ROWS),
            |i| {
                write_to(&watched, FORGET, part(i))?;
                cell_by_cell(&watched, rows[i])
            },
        )?;
        expect("the watched table", side::count(&watched)?, run.rows)?;
        sheet.round(CELLS.0, run.rows, pair);
        let pair = duel(
            steps,
            |i| side::insert_with(&db.plain, ignore, Key::Int, rows[i], TXN_ROWS),
            |i| write(&db.crsql, part(i)),
        )?;
        sheet.round(AGAIN.0, run.rows, pair);
    }
    Ok(())
}

pub const LAST: Work = Work("pull the last 100 rows, as rows", Goal::Times(5.0));
pub const POLL: Work = Work("poll, nothing new, as rows", Goal::Times(2.0));

/// The least that nine columns a change can cost: the same rows, lying ready.
pub const PLAIN: Work = Work("limit: the same changes from a plain table", Goal::Shown);
pub const VIRTUAL: Work = Work("limit: the same from a virtual table in memory", Goal::Shown);

/// What is new since a version of this file's own.
pub const SINCE: &str =
    "SELECT * FROM crsql_changes WHERE db_version > ?1 AND site_id = crsql_site_id()";
/// The same question to a plain table.
pub const SINCE_PLAIN: &str = "SELECT * FROM t WHERE id > ?1";

/// `crsql_db_version()`
pub fn db_version(conn: &Connection) -> Result<i64> {
    Ok(conn.query_row("SELECT crsql_db_version()", [], |r| r.get(0))?)
}

/// How often the short questions are asked in a round.
pub const ASKED: usize = 2000;

pub fn last(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let db = run.full("last-rows")?;
    let before = db_version(&db.crsql)?;
    let new = crate::data::rows(run.rows + 1, 100);
    side::insert(&db.plain, Key::Int, &new, 100)?;
    side::insert(&db.crsql, Key::Int, &new, 100)?;
    let ready = ready::connection(run, &db.crsql, SINCE, before)?;
    let plain = |_| {
        let (n, _) = side::drain(&db.plain, SINCE_PLAIN, [run.rows as i64])?;
        expect("the plain pull", n, 100)
    };
    let asked: Vec<usize> = (0..ASKED).collect();
    for _ in 0..run.rounds {
        let pair = duel(200, plain, |_| {
            expect("the pull", side::drain(&db.crsql, SINCE, [before])?.0, 600)
        })?;
        sheet.round(LAST.0, 200 * 100, pair);
        for (work, sql) in [(PLAIN, "SELECT * FROM changes"), (VIRTUAL, "SELECT * FROM ready")] {
            let pair = duel(200, plain, |_| {
                expect("the changes that lie ready", side::drain(&ready, sql, [])?.0, 600)
            })?;
            sheet.round(work.0, 200 * 100, pair);
        }
        let ask = |conn: &Connection, sql: &str, times: &[usize], mark: i64| -> Result<()> {
            for _ in times {
                expect("the poll", side::drain(conn, sql, [mark])?.0, 0)?;
            }
            Ok(())
        };
        let end = run.rows as i64 + 100;
        let pair = duel_over(
            &asked,
            100,
            |times| ask(&db.plain, SINCE_PLAIN, times, end),
            |times| ask(&db.crsql, SINCE, times, before + 1),
        )?;
        sheet.round(POLL.0, ASKED, pair);
    }
    Ok(())
}
