//! Row by row, as applications written for cr-sqlite sync: `SELECT ... FROM crsql_changes` here,
//! `INSERT INTO crsql_changes` there.

use rusqlite::functions::FunctionFlags;
use rusqlite::params;
use rusqlite::types::Value;

use crate::clock::{timed, timed_times};
use crate::data::{Row, column};
use crate::exchange::Parcel;
use crate::ready;
use crate::run::{Run, duel};
use crate::sheet::{Goal, Sheet, Work};
use crate::side::{Db, Result, TXN_ROWS, drain, expect};

pub const PULL: Work = Work("pull everything, as rows", Goal::Times(8.0));
pub const APPLY: Work = Work("apply everything, as rows", Goal::Times(10.0));
pub const AGAIN: Work = Work("apply again, all seen, as rows", Goal::Times(4.0));
pub const LAST: Work = Work("pull the last 100 rows, as rows", Goal::Times(5.0));
pub const POLL: Work = Work("poll, nothing new, as rows", Goal::Times(2.0));

pub fn pull(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let mut db = run.each_full();
    let transactions = run.rows().div_ceil(TXN_ROWS);
    for _ in 0..run.rounds {
        let turns = db.turns(2, |db, _| {
            timed(|| expect("the pull", db.everything()?, db.news(run.rows(), transactions)))
        });
        sheet.round(PULL, run.rows() * 2, turns);
    }
    Ok(())
}

/// Transaction by transaction, as the sender wrote them.
pub fn apply(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let rows: Vec<_> = run.data().chunks(TXN_ROWS).collect();
    for _ in 0..run.rounds {
        let mut sides = run.each(|side| {
            let to = run.fresh(side, "fresh")?;
            Ok((run.full(side)?, to, run.marks(side)?))
        });
        let turns = sides.turns(rows.len(), |(from, to, marks), i| {
            let parcel = from.parcel(marks[i], rows[i])?;
            timed(|| to.take(&parcel))
        });
        sides.tell(|(_, to, _)| expect("the receiver", to.count()?, run.rows()));
        sheet.round(APPLY, run.rows(), turns);
        let turns = sides.turns(rows.len(), |(from, to, marks), i| {
            let parcel = from.parcel(marks[i], rows[i])?;
            timed(|| to.take_again(&parcel))
        });
        sheet.round(AGAIN, run.rows(), turns);
    }
    Ok(())
}

/// How often the short questions are asked in a round, and how often in a turn.
pub const ASKED: usize = 2000;
pub const ASKED_TURN: usize = 100;

pub fn last(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let mut sides = run.each(|side| {
        let db = run.full(side)?;
        let before = db.mark()?;
        db.insert(&run.shape.rows(run.rows() + 1, 100), 100)?;
        let after = db.mark()?;
        Ok((db, before, after))
    });
    for _ in 0..run.rounds {
        let turns = sides.turns(20, |(db, before, _), _| {
            timed_times(10, || expect("the pull", db.since(*before)?, db.news(100, 1)))
        });
        sheet.round(LAST, 200 * 100, turns);
        let turns = sides.turns(ASKED / ASKED_TURN, |(db, _, after), _| {
            timed_times(ASKED_TURN, || expect("the poll", db.since(*after)?, 0))
        });
        sheet.round(POLL, ASKED, turns);
    }
    Ok(())
}

/// The least that nine columns a change can cost: the same rows, lying ready.
pub const PLAIN: Work = Work("limit: the same changes from a plain table", Goal::Shown);
pub const VIRTUAL: Work = Work("limit: the same from a virtual table in memory", Goal::Shown);

pub fn last_limits(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let new = run.shape.rows(run.rows() + 1, 100);
    let (plain, crsql) = (run.full(run.plain())?, run.full(run.crsql())?);
    let (before, mark) = (plain.mark()?, crsql.mark()?);
    plain.insert(&new, 100)?;
    crsql.insert(&new, 100)?;
    let ready = ready::database(run, crsql.changes("db_version > ?1", mark)?)?;
    for _ in 0..run.rounds {
        for (work, sql) in [(PLAIN, "SELECT * FROM changes"), (VIRTUAL, "SELECT * FROM ready")] {
            let turns = duel(
                200,
                |_| timed(|| expect("the plain pull", plain.since(before)?, 100)),
                |_| {
                    let changes = crsql.news(100, 1);
                    timed(|| expect("what lies ready", drain(&ready.conn, sql, [])?.0, changes))
                },
            );
            sheet.round(work, 200 * 100, turns);
        }
    }
    Ok(())
}

/// The least that a row costs that is written cell by cell, where a trigger calls a function, when
/// the cells come through a virtual table.
pub const CELLS: Work = Work("limit: the same where crsql's part costs nothing", Goal::Shown);
const FORGET: &str = "INSERT INTO ready VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

pub fn apply_limit(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let from = run.full(run.crsql())?;
    let marks = run.marks(run.crsql())?;
    let rows: Vec<_> = run.data().chunks(TXN_ROWS).collect();
    for _ in 0..run.rounds {
        let (plain, watched) = (run.fresh(run.plain(), "fresh")?, watched(run)?);
        let turns = duel(
            rows.len(),
            |i| timed(|| plain.insert(rows[i], TXN_ROWS)),
            |i| {
                let Parcel::Changes(all) = from.parcel(marks[i], rows[i])? else {
                    return Err("no changes".into());
                };
                timed(|| {
                    watched.take_changes(FORGET, &all)?;
                    cell_by_cell(&watched, rows[i])
                })
            },
        );
        expect("the watched table", watched.count()?, run.rows())?;
        sheet.round(CELLS, run.rows(), turns);
    }
    Ok(())
}

/// A plain table whose triggers call a function that does nothing.
fn watched(run: &Run) -> Result<Db> {
    let db = run.fresh(run.plain(), "watched")?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    db.conn.create_scalar_function("watch", 1, flags, |_| Ok(Value::Null))?;
    db.conn.execute_batch(
        "CREATE TRIGGER i AFTER INSERT ON t BEGIN SELECT watch(new.id); END;
         CREATE TRIGGER u AFTER UPDATE ON t BEGIN SELECT watch(new.id); END;",
    )?;
    ready::has_ready(&db.conn, Vec::new())?;
    Ok(db)
}

/// Inserts rows as they arrive in `crsql_changes`: the first cell, then one after the other.
fn cell_by_cell(db: &Db, rows: &[Row]) -> Result<()> {
    let mut first = db.conn.prepare_cached("INSERT INTO t(id, a) VALUES (?1, ?2)")?;
    let set = |i| format!("UPDATE t SET {} = ?2 WHERE id = ?1", column(i));
    let mut more = (1..db.shape.values())
        .map(|i| db.conn.prepare_cached(&set(i)))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    db.write(rows, TXN_ROWS, |row| {
        first.execute(params![row.key, row.values[0]])?;
        for (set, value) in more.iter_mut().zip(&row.values[1..]) {
            set.execute(params![row.key, value])?;
        }
        Ok(())
    })
}
