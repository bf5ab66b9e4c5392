//! Local writes: inserts, updates, deletes; the size of the file; a new connection.

use rusqlite::{Connection, params};

use crate::clock::Watch;
use crate::data::{Random, distinct_ids, random_ids, random_writes, rows};
use crate::run::{Both, Run, duel, duel_over};
use crate::sheet::{Goal, Pair, Sheet, Work};
use crate::side::{self, Key, Result, TXN_ROWS, in_transactions};

pub const INSERT_INT: Work = Work("insert, integer key", Goal::Times(2.5));
pub const SIZE_INT: Work = Work("file after inserts, integer key", Goal::Size(1.2));
pub const INSERT_UUID: Work = Work("insert, UUID text key", Goal::Times(1.6));
pub const SIZE_UUID: Work = Work("file after inserts, UUID text key", Goal::Size(1.3));
pub const INSERT_ONE: Work = Work("insert, one row per transaction", Goal::Times(2.2));
pub const UPDATE_1: Work = Work("update 1 column, random rows", Goal::Times(1.4));
pub const UPDATE_3: Work = Work("update 3 columns, random rows", Goal::Times(1.5));
pub const DELETE: Work = Work("delete, random rows", Goal::Times(1.6));
pub const OPEN: Work = Work("open and load", Goal::Times(4.0));
pub const FIRST_WRITE: Work = Work("first write of a connection", Goal::Times(3.0));

pub fn insert_int(run: &Run, sheet: &mut Sheet) -> Result<()> {
    insert(run, sheet, Key::Int, INSERT_INT.0, SIZE_INT.0)
}

pub fn insert_uuid(run: &Run, sheet: &mut Sheet) -> Result<()> {
    insert(run, sheet, Key::Uuid, INSERT_UUID.0, SIZE_UUID.0)
}

fn insert(
    run: &Run,
    sheet: &mut Sheet,
    key: Key,
    time: &'static str,
    size: &'static str,
) -> Result<()> {
    for _ in 0..run.rounds {
        let db = run.fresh("insert", key)?;
        let pair = duel_over(
            run.data(),
            TXN_ROWS,
            |rows| side::insert(&db.plain, key, rows, TXN_ROWS),
            |rows| side::insert(&db.crsql, key, rows, TXN_ROWS),
        )?;
        sheet.round(time, run.rows, pair);
        let plain = side::size(&db.plain, &run.path("insert-plain.db"))?;
        let crsql = side::size(&db.crsql, &run.path("insert-crsql.db"))?;
        sheet.bytes(size, plain as f64, crsql as f64);
    }
    Ok(())
}

pub fn insert_one(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let n = run.rows / 20;
    let data = rows(1, n);
    for _ in 0..run.rounds {
        let db = run.fresh("one", Key::Int)?;
        let pair = duel_over(
            &data,
            50,
            |rows| side::insert(&db.plain, Key::Int, rows, 1),
            |rows| side::insert(&db.crsql, Key::Int, rows, 1),
        )?;
        sheet.round(INSERT_ONE.0, n, pair);
    }
    Ok(())
}

pub fn update_1(run: &Run, sheet: &mut Sheet) -> Result<()> {
    fn set(conn: &Connection, writes: &[(i64, i64)]) -> Result<()> {
        let mut stmt = conn.prepare_cached("UPDATE t SET a = ?2 WHERE id = ?1")?;
        in_transactions(conn, writes, TXN_ROWS, |(id, n)| {
            stmt.execute(params![id, (1 << 29) + n])?;
            Ok(())
        })
    }
    update(run, sheet, UPDATE_1.0, set)
}

pub fn update_3(run: &Run, sheet: &mut Sheet) -> Result<()> {
    fn set(conn: &Connection, writes: &[(i64, i64)]) -> Result<()> {
        let mut stmt = conn.prepare_cached("UPDATE t SET a = ?2, c = ?3, d = ?4 WHERE id = ?1")?;
        in_transactions(conn, writes, TXN_ROWS, |(id, n)| {
            let text = format!("{n:012}");
            stmt.execute(params![id, (1 << 29) + n, *n as f64 + 0.25, text])?;
            Ok(())
        })
    }
    update(run, sheet, UPDATE_3.0, set)
}

type Set = fn(&Connection, &[(i64, i64)]) -> Result<()>;

fn update(run: &Run, sheet: &mut Sheet, name: &'static str, set: Set) -> Result<()> {
    let n = run.rows / 2;
    for round in 0..run.rounds {
        let db = run.full("update")?;
        let writes = random_writes(round as u64, n, run.rows);
        let pair = duel_over(&writes, TXN_ROWS, |w| set(&db.plain, w), |w| set(&db.crsql, w))?;
        sheet.round(name, n, pair);
    }
    Ok(())
}

pub fn delete(run: &Run, sheet: &mut Sheet) -> Result<()> {
    fn go(conn: &Connection, ids: &[i64]) -> Result<()> {
        let mut stmt = conn.prepare_cached("DELETE FROM t WHERE id = ?1")?;
        in_transactions(conn, ids, TXN_ROWS, |id| {
            stmt.execute([id])?;
            Ok(())
        })
    }
    let n = run.rows / 2;
    for round in 0..run.rounds {
        let db = run.full("delete")?;
        let ids = distinct_ids(round as u64, n, run.rows);
        let pair = duel_over(&ids, TXN_ROWS, |ids| go(&db.plain, ids), |ids| go(&db.crsql, ids))?;
        sheet.round(DELETE.0, n, pair);
    }
    Ok(())
}

/// How often a connection is opened in a round.
const OPENINGS: usize = 100;

/// Opening a file and reading a row, with and without loading the extension; then the first write
/// of such a connection by itself. Another connection stays open, so that no close writes back.
pub fn opening(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let kept = run.full("open")?;
    let mut r = Random::new(1);
    for round in 0..run.rounds {
        let (mut open, mut write) = (Pair::default(), Pair::default());
        for i in 0..OPENINGS * 2 {
            let crsql = (i + i / 2) % 2 == 1;
            let (path, lib) = match crsql {
                false => (run.path("open-plain.db"), None),
                true => (run.path("open-crsql.db"), run.lib()),
            };
            let id = 1 + r.below(run.rows as u64) as i64;
            let watch = Watch::start();
            let conn = side::open(&path, lib)?;
            side::drain(&conn, "SELECT * FROM t WHERE id = ?1", [id])?;
            let opened = watch.stop();
            let row = rows(run.rows + 1 + round * OPENINGS + i / 2, 1);
            let watch = Watch::start();
            side::insert(&conn, Key::Int, &row, 1)?;
            let written = watch.stop();
            let watch = Watch::start();
            drop(conn);
            let closed = watch.stop();
            let (o, w) = match crsql {
                false => (&mut open.plain, &mut write.plain),
                true => (&mut open.crsql, &mut write.crsql),
            };
            *o += opened;
            *o += closed;
            *w += written;
        }
        sheet.round(OPEN.0, OPENINGS, open);
        sheet.round(FIRST_WRITE.0, OPENINGS, write);
    }
    drop(kept);
    Ok(())
}

pub const SCAN: Work = Work("full scan", Goal::Times(1.0));
pub const POINT: Work = Work("point reads", Goal::Times(1.0));

pub fn reads(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let Both { plain, crsql } = run.full("reads")?;
    let scan = |conn: &Connection| side::drain(conn, "SELECT * FROM t", []).map(|_| ());
    let point = |conn: &Connection, ids: &[i64]| -> Result<()> {
        for id in ids {
            side::drain(conn, "SELECT * FROM t WHERE id = ?1", [id])?;
        }
        Ok(())
    };
    for round in 0..run.rounds {
        let times = 6;
        let pair = duel(times, |_| scan(&plain), |_| scan(&crsql))?;
        sheet.round(SCAN.0, run.rows * times, pair);
        let ids = random_ids(round as u64, run.rows / 2, run.rows);
        let pair = duel_over(&ids, 1000, |ids| point(&plain, ids), |ids| point(&crsql, ids))?;
        sheet.round(POINT.0, ids.len(), pair);
    }
    Ok(())
}
