//! By changesets: `crsql_vector()`, `crsql_changeset(vector, max_bytes)`, `crsql_apply(blob)`.

use std::io::Write;

use rusqlite::Connection;

use crate::clock::{Spent, Watch};
use crate::data::{PLAIN_BYTES, Row, rows};
use crate::rowwise::{ASKED, SINCE_PLAIN, expect};
use crate::run::{Run, duel, duel_over};
use crate::sheet::{Goal, Pair, Sheet, Work};
use crate::side::{self, Key, Result, TXN_ROWS};

pub const PULL: Work = Work("pull everything, as changesets", Goal::Times(2.5));
pub const APPLY: Work = Work("apply everything, as changesets", Goal::Times(3.0));
pub const AGAIN: Work = Work("apply again, all seen, as changesets", Goal::Times(4.0));
pub const WIRE: Work = Work("bytes on the wire per row", Goal::Bytes(100.0));

/// The size that a changeset is asked to stay below.
pub const CHUNK_BYTES: i64 = 1 << 20;
/// More changesets than any of the pulls here can take.
const CHUNKS_MAX: usize = 100_000;

/// A pull in chunks: the receiver says what it has seen, the sender answers, the receiver applies.
/// Between the chunks the plain side inserts its share of the rows.
pub fn everything(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let sender = run.full_crsql("pull-sets")?;
    let table = run.full_plain("pull-sets")?;
    for _ in 0..run.rounds {
        let to = run.fresh("apply-sets", Key::Int)?;
        let (mut pull, mut apply) = (Pair::default(), Pair::default());
        let mut plain_rows = run.data().chunks(TXN_ROWS * 5);
        let mut insert_plain = |spent: &mut Spent| -> Result<bool> {
            let Some(rows) = plain_rows.next() else { return Ok(false) };
            let watch = Watch::start();
            side::insert(&to.plain, Key::Int, rows, TXN_ROWS)?;
            *spent += watch.stop();
            Ok(true)
        };
        pull.plain += scan(&table)?;
        let mut blobs = Vec::new();
        while blobs.len() < CHUNKS_MAX {
            let watch = Watch::start();
            let vector = side::vector(&to.crsql)?;
            let blob = side::changeset(&sender, &vector, CHUNK_BYTES)?;
            pull.crsql += watch.stop();
            let Some(blob) = blob else { break };
            let watch = Watch::start();
            side::apply(&to.crsql, &blob)?;
            apply.crsql += watch.stop();
            blobs.push(blob);
            insert_plain(&mut apply.plain)?;
        }
        while insert_plain(&mut apply.plain)? {}
        pull.plain += scan(&table)?;
        pull.plain.cpu /= 2.0;
        pull.plain.wall /= 2.0;
        expect("the receiver", side::count(&to.crsql)?, run.rows)?;
        sheet.round(PULL.0, run.rows, pull);
        sheet.round(APPLY.0, run.rows, apply);
        let bytes: usize = blobs.iter().map(Vec::len).sum();
        sheet.bytes(WIRE.0, PLAIN_BYTES, bytes as f64 / run.rows as f64);
        sheet.round(AGAIN.0, run.rows, again(run, &to.plain, &to.crsql, &blobs)?);
    }
    Ok(())
}

fn scan(table: &Connection) -> Result<Spent> {
    let watch = Watch::start();
    side::drain(table, "SELECT * FROM t", [])?;
    Ok(watch.stop())
}

fn again(run: &Run, plain: &Connection, crsql: &Connection, blobs: &[Vec<u8>]) -> Result<Pair> {
    let ignore = "INSERT OR IGNORE INTO t VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let per = run.rows.div_ceil(blobs.len().max(1));
    let rows: Vec<_> = run.data().chunks(per).collect();
    let empty: &[crate::data::Row] = &[];
    duel(
        blobs.len(),
        |i| {
            let rows = rows.get(i).copied().unwrap_or(empty);
            side::insert_with(plain, ignore, Key::Int, rows, TXN_ROWS)
        },
        |i| side::apply(crsql, &blobs[i]).map(|_| ()),
    )
}

pub const LAST: Work = Work("pull the last 100 rows, as a changeset", Goal::Times(5.0));
pub const POLL: Work = Work("poll, nothing new, by vector", Goal::Times(2.0));

pub fn last(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let db = run.full("last-set")?;
    let before = side::vector(&db.crsql)?;
    let new = rows(run.rows + 1, 100);
    side::insert(&db.plain, Key::Int, &new, 100)?;
    side::insert(&db.crsql, Key::Int, &new, 100)?;
    let after = side::vector(&db.crsql)?;
    let asked: Vec<usize> = (0..ASKED).collect();
    for _ in 0..run.rounds {
        let pair = duel(
            200,
            |_| {
                let (n, _) = side::drain(&db.plain, SINCE_PLAIN, [run.rows as i64])?;
                expect("the plain pull", n, 100)
            },
            |_| match side::changeset(&db.crsql, &before, CHUNK_BYTES)? {
                Some(_) => Ok(()),
                None => Err("nothing was new".into()),
            },
        )?;
        sheet.round(LAST.0, 200 * 100, pair);
        let end = run.rows as i64 + 100;
        let pair = duel_over(
            &asked,
            100,
            |times| {
                for _ in times {
                    expect("the poll", side::drain(&db.plain, SINCE_PLAIN, [end])?.0, 0)?;
                }
                Ok(())
            },
            |times| times.iter().try_for_each(|_| nothing_new(&db.crsql, &after)),
        )?;
        sheet.round(POLL.0, ASKED, pair);
    }
    Ok(())
}

/// A poll that must find nothing.
pub fn nothing_new(conn: &Connection, vector: &str) -> Result<()> {
    match side::changeset(conn, vector, CHUNK_BYTES)? {
        None => Ok(()),
        Some(_) => Err("a poll found something that is not new".into()),
    }
}

/// So many rows of a live exchange are not timed.
const WARM_UP: usize = 20;

pub const LIVE: Work = Work("live: one-row write, pull, apply", Goal::Times(2.2));
/// What is sent is on the disk first: that takes one sync for each of these pulls.
pub const SYNC: Work = Work("limit: live, the sync of one page and nothing else", Goal::Shown);

/// One row is written here, pulled, and written there; the plain side reads it by its key and
/// inserts it into the other plain file. Both begin empty; the first rows, with which statements
/// are prepared, are not timed.
pub fn live(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let n = run.rows / 100;
    let data = rows(1, n + WARM_UP);
    for _ in 0..run.rounds {
        let here = run.fresh("live-here", Key::Int)?;
        let there = run.fresh("live-there", Key::Int)?;
        let plain = |rows: &[Row]| -> Result<()> {
            for row in rows.chunks(1) {
                side::insert(&here.plain, Key::Int, row, 1)?;
                side::drain(&here.plain, "SELECT * FROM t WHERE id = ?1", [row[0].id])?;
                side::insert(&there.plain, Key::Int, row, 1)?;
            }
            Ok(())
        };
        let crsql = |rows: &[Row]| -> Result<()> {
            for row in rows.chunks(1) {
                side::insert(&here.crsql, Key::Int, row, 1)?;
                let vector = side::vector(&there.crsql)?;
                let blob = side::changeset(&here.crsql, &vector, CHUNK_BYTES)?;
                side::apply(&there.crsql, &blob.ok_or("a row that was written is not new")?)?;
            }
            Ok(())
        };
        let (first, data) = data.split_at(WARM_UP);
        plain(first)?;
        crsql(first)?;
        let pair = duel_over(data, 20, plain, crsql)?;
        let log = std::fs::File::create(run.path("synced"))?;
        let also = rows(n + WARM_UP + 1, n);
        let sync = duel_over(&also, 20, plain, |rows| {
            rows.iter().try_for_each(|_| Ok((&log).write_all(&[1; 4096]).and(log.sync_data())?))
        })?;
        sheet.round(SYNC.0, n, sync);
        expect("the other side", side::count(&there.crsql)?, n + WARM_UP)?;
        sheet.round(LIVE.0, n, pair);
    }
    Ok(())
}
