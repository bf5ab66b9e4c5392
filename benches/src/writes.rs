//! Local writes and reads: inserts, updates, deletes; the size of the file.

use crate::clock::{Spent, Watch, timed};
use crate::data::{Key, Shape};
use crate::run::Run;
use crate::sheet::{Goal, Sheet, Work};
use crate::side::{Db, Result, TXN_ROWS, expect};

pub const INSERT_INT: Work = Work("insert, integer key", Goal::Times(2.5));
pub const SIZE_INT: Work = Work("file after inserts, integer key", Goal::Size(1.2));
pub const INSERT_UUID: Work = Work("insert, UUID text key", Goal::Times(1.6));
pub const SIZE_UUID: Work = Work("file after inserts, UUID text key", Goal::Size(1.3));
pub const INSERT: Work = Work("insert", Goal::Shown);
pub const SIZE: Work = Work("file after inserts", Goal::Shown);
pub const INSERT_ONE: Work = Work("insert, one row per transaction", Goal::Times(2.2));
pub const UPDATE_1: Work = Work("update 1 column, random rows", Goal::Times(1.4));
pub const UPDATE_3: Work = Work("update 3 columns, random rows", Goal::Times(1.5));
pub const DELETE: Work = Work("delete, random rows", Goal::Times(1.6));
pub const SCAN: Work = Work("full scan", Goal::Same);
pub const POINT: Work = Work("point reads", Goal::Same);
pub const ELSEWHERE: Work = Work("insert into a table that is not replicated", Goal::Same);
pub const ELSEWHERE_ONE: Work = Work("the same, one row per transaction", Goal::Same);

pub fn insert_int(run: &Run, sheet: &mut Sheet) -> Result<()> {
    insert_as(run, sheet, Key::Int, [INSERT_INT, SIZE_INT])
}

pub fn insert_uuid(run: &Run, sheet: &mut Sheet) -> Result<()> {
    insert_as(run, sheet, Key::Uuid, [INSERT_UUID, SIZE_UUID])
}

/// With the key of the shape.
pub fn insert(run: &Run, sheet: &mut Sheet) -> Result<()> {
    insert_as(run, sheet, run.shape.key, [INSERT, SIZE])
}

fn insert_as(run: &Run, sheet: &mut Sheet, key: Key, [time, size]: [Work; 2]) -> Result<()> {
    let shape = Shape { key, ..run.shape };
    let made;
    let data = if key == run.shape.key {
        run.data()
    } else {
        made = shape.rows(1, shape.rows);
        &made
    };
    for _ in 0..run.rounds {
        let mut db = run.each(|side| Db::create(side, &run.file(side, "fresh"), &shape));
        let turns = db.turns_over(data, TXN_ROWS, |db, rows| db.insert(rows, TXN_ROWS));
        db.tell(|db| expect("the table", db.count()?, shape.rows));
        sheet.round(time, shape.rows, turns);
        sheet.bytes(size, db.tell(|db| Ok(db.size()? as f64)));
    }
    Ok(())
}

pub fn insert_one(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let data = run.shape.rows(1, run.rows() / 20);
    for _ in 0..run.rounds {
        let mut db = run.each_fresh();
        let turns = db.turns_over(&data, 50, |db, rows| db.insert(rows, 1));
        sheet.round(INSERT_ONE, data.len(), turns);
    }
    Ok(())
}

pub fn update_1(run: &Run, sheet: &mut Sheet) -> Result<()> {
    update(run, sheet, UPDATE_1, &[0])
}

/// A number, a real and a text where the shape has them; all columns where there are fewer.
pub fn update_3(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let at: &[usize] = if run.shape.values() < 4 { &[0, 1, 2] } else { &[0, 2, 3] };
    update(run, sheet, UPDATE_3, &at[..at.len().min(run.shape.values())])
}

fn update(run: &Run, sheet: &mut Sheet, work: Work, at: &[usize]) -> Result<()> {
    for round in 0..run.rounds {
        let mut db = run.each_full();
        let rows = run.shape.updates(round as u64, run.rows() / 2, at);
        let turns = db.turns_over(&rows, TXN_ROWS, |db, rows| db.update(rows, at, TXN_ROWS));
        sheet.round(work, rows.len(), turns);
    }
    Ok(())
}

pub fn delete(run: &Run, sheet: &mut Sheet) -> Result<()> {
    for round in 0..run.rounds {
        let mut db = run.each_full();
        let keys = run.shape.some_keys(round as u64, run.rows() / 2);
        let turns = db.turns_over(&keys, TXN_ROWS, |db, keys| db.delete(keys));
        db.tell(|db| expect("the table", db.count()?, run.rows() - keys.len()));
        sheet.round(DELETE, keys.len(), turns);
    }
    Ok(())
}

pub fn reads(run: &Run, sheet: &mut Sheet) -> Result<()> {
    const TIMES: usize = 6;
    let mut db = run.each_full();
    for round in 0..run.rounds {
        let turns = db.turns(TIMES, |db, _| timed(|| db.scan(run.rows())));
        sheet.round(SCAN, run.rows() * TIMES, turns);
        let keys = run.shape.some_keys(round as u64, run.rows() / 2);
        let turns =
            db.turns_over(&keys, 1000, |db, keys| keys.iter().try_for_each(|key| db.read(key)));
        sheet.round(POINT, keys.len(), turns);
    }
    Ok(())
}

/// Writes to a table that is not replicated, in a file where another one is.
pub fn elsewhere(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let one = run.rows() / 20;
    for _ in 0..run.rounds {
        let mut db = run.each(|side| {
            let db = run.fresh(side, "fresh")?;
            db.insert(&run.data()[..10], 10)?;
            db.conn.execute_batch(&run.shape.ddl("u"))?;
            Ok(db)
        });
        let (alone, many) = run.data().split_at(one);
        let turns = db.turns_over(many, TXN_ROWS, |db, rows| db.insert_elsewhere(rows, TXN_ROWS));
        sheet.round(ELSEWHERE, many.len(), turns);
        let turns = db.turns_over(alone, 50, |db, rows| db.insert_elsewhere(rows, 1));
        sheet.round(ELSEWHERE_ONE, one, turns);
    }
    Ok(())
}

pub const LOAD: Work = Work("loading: open and load, nothing read", Goal::Times(4.0));
pub const OPEN: Work = Work("open and load", Goal::Times(4.0));
pub const FIRST_WRITE: Work = Work("first write of a connection", Goal::Times(3.0));

/// How often a connection is opened in a round.
const OPENINGS: usize = 100;

/// Opening a file and reading a row, with and without loading a library; then the first write
/// of such a connection by itself. Another connection stays open, so that no close writes back.
pub fn opening(run: &Run, sheet: &mut Sheet) -> Result<()> {
    struct Opened {
        kept: Db,
        next: usize,
        loads: Spent,
        writes: Spent,
    }
    // A connection's memory is gone when it closes, so that of two is not added up.
    let mut sides = run.each(|side| {
        let (loads, writes) = Default::default();
        Ok(Opened { kept: run.full(side)?, next: run.rows() + 1, loads, writes })
    });
    for round in 0..run.rounds {
        let keys = run.shape.some_keys(round as u64, OPENINGS);
        let _ = sides.tell(|s| Ok((s.loads, s.writes) = Default::default()));
        let opens = sides.turns(OPENINGS, |s, i| {
            let row = run.shape.rows(s.next, 1);
            s.next += 1;
            let mut opened = None;
            let load = timed(|| {
                opened = Some(Db::open(&s.kept.side, &s.kept.path, &run.shape)?);
                Result::Ok(())
            })?;
            let db = opened.ok_or("it did not open")?;
            let mut spent = load;
            spent += timed(|| db.read(&keys[i]))?;
            s.loads += Spent { grown: 0, ..load };
            s.writes += Spent { grown: 0, ..timed(|| db.insert(&row, 1))? };
            let watch = Watch::start();
            drop(db);
            spent += watch.stop();
            Ok(spent)
        });
        sheet.round(OPEN, OPENINGS, opens);
        sheet.round(LOAD, OPENINGS, sides.tell(|s| Ok(s.loads)));
        sheet.round(FIRST_WRITE, OPENINGS, sides.tell(|s| Ok(s.writes)));
    }
    Ok(())
}
