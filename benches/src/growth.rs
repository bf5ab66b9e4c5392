//! What must not grow: the cost of what is new as the table grows and as more sites become known,
//! and the bookkeeping as the same rows are written again and again.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::changesets::{CHUNK_BYTES, nothing_new};
use crate::data::{Random, rows};
use crate::rowwise::{INSERT, SINCE, db_version, expect};
use crate::run::{Run, duel};
use crate::sheet::{Goal, Sheet, Work};
use crate::side::{self, Key, Lib, Result, TXN_ROWS};

const FLAT: Goal = Goal::Growth(1.3);

pub const PLAIN_WRITE: Work = Work("rows: plain SQLite's one-row write", Goal::Shown);
pub const WRITE: Work = Work("rows: one-row write", FLAT);
pub const PULL_ROWS: Work = Work("rows: pull what is new, as rows", FLAT);
pub const POLL_ROWS: Work = Work("rows: poll, nothing new, as rows", FLAT);
pub const PULL_SET: Work = Work("rows: pull what is new, as a changeset", FLAT);
pub const POLL_SET: Work = Work("rows: poll, nothing new, by vector", FLAT);

/// A database of some size, in use.
struct Sized {
    conn: Connection,
    next: usize,
}

impl Sized {
    fn new(path: PathBuf, lib: Lib<'_>, n: usize) -> Result<Self> {
        let conn = side::create(&path, lib, Key::Int)?;
        for from in (0..n).step_by(10_000) {
            side::insert(&conn, Key::Int, &rows(from + 1, 10_000.min(n - from)), TXN_ROWS)?;
        }
        side::size(&conn, &path)?;
        Ok(Self { conn, next: n + 1 })
    }

    /// One that is there already.
    fn again(path: &Path, lib: Lib<'_>) -> Result<Self> {
        let conn = side::open(path, lib)?;
        let last: i64 = conn.query_row("SELECT max(id) FROM t", [], |r| r.get(0))?;
        Ok(Self { conn, next: last as usize + 1 })
    }

    /// Inserts rows, `per` to a transaction.
    fn add(&mut self, n: usize, per: usize) -> Result<()> {
        let new = rows(self.next, n);
        self.next += n;
        side::insert(&self.conn, Key::Int, &new, per)
    }
}

/// The two numbers of rows.
pub fn sizes(quick: bool) -> (usize, usize) {
    (10_000, if quick { 100_000 } else { 1_000_000 })
}

pub fn by_rows(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let (few, many) = sizes(run.quick);
    let small = Sized::new(run.path("small-plain.db"), None, few)?;
    let large = Sized::new(run.path("large-plain.db"), None, many)?;
    writes(run, sheet, PLAIN_WRITE.0, small, large)?;
    for suffix in ["plain.db", "plain.db-wal", "plain.db-shm"] {
        let _ = std::fs::remove_file(run.path(&format!("large-{suffix}")));
    }
    let small = Sized::new(run.path("small.db"), run.lib(), few)?;
    let large = Sized::new(run.path("large.db"), run.lib(), many)?;
    let (small, large) = writes(run, sheet, WRITE.0, small, large)?;
    as_rows(run, sheet, small, large, (PULL_ROWS.0, POLL_ROWS.0))?;
    let small = Sized::again(&run.path("small.db"), run.lib())?;
    let large = Sized::again(&run.path("large.db"), run.lib())?;
    as_sets(run, sheet, small, large)
}

fn writes(
    run: &Run,
    sheet: &mut Sheet,
    name: &'static str,
    mut small: Sized,
    mut large: Sized,
) -> Result<(Sized, Sized)> {
    for _ in 0..run.rounds {
        let (steps, each) = (20, 25);
        let pair = duel(steps, |_| small.add(each, 1), |_| large.add(each, 1))?;
        sheet.round(name, steps * each, pair);
    }
    Ok((small, large))
}

/// 100 new rows, read through `crsql_changes`; and the question when nothing is new.
fn as_rows(
    run: &Run,
    sheet: &mut Sheet,
    mut small: Sized,
    mut large: Sized,
    (pull, poll): (&'static str, &'static str),
) -> Result<()> {
    let since = [db_version(&small.conn)?, db_version(&large.conn)?];
    small.add(100, 100)?;
    large.add(100, 100)?;
    let read = |conn: &Connection, since: i64, rows: usize, times: usize| -> Result<()> {
        for _ in 0..times {
            expect("what is new", side::drain(conn, SINCE, [since])?.0, rows)?;
        }
        Ok(())
    };
    for _ in 0..run.rounds {
        let pair = duel(
            100,
            |_| read(&small.conn, since[0], 600, 1),
            |_| read(&large.conn, since[1], 600, 1),
        )?;
        sheet.round(pull, 100 * 100, pair);
        let pair = duel(
            20,
            |_| read(&small.conn, since[0] + 1, 0, 100),
            |_| read(&large.conn, since[1] + 1, 0, 100),
        )?;
        sheet.round(poll, 20 * 100, pair);
    }
    Ok(())
}

fn as_sets(run: &Run, sheet: &mut Sheet, mut small: Sized, mut large: Sized) -> Result<()> {
    let before = [side::vector(&small.conn)?, side::vector(&large.conn)?];
    small.add(100, 100)?;
    large.add(100, 100)?;
    let after = [side::vector(&small.conn)?, side::vector(&large.conn)?];
    let pull = |conn: &Connection, vector: &str| -> Result<()> {
        let blob = side::changeset(conn, vector, CHUNK_BYTES)?;
        blob.map(|_| ()).ok_or("nothing was new".into())
    };
    let poll = |conn: &Connection, vector: &str| -> Result<()> {
        (0..100).try_for_each(|_| nothing_new(conn, vector))
    };
    for _ in 0..run.rounds {
        let pair = duel(100, |_| pull(&small.conn, &before[0]), |_| pull(&large.conn, &before[1]))?;
        sheet.round(PULL_SET.0, 100 * 100, pair);
        let pair = duel(20, |_| poll(&small.conn, &after[0]), |_| poll(&large.conn, &after[1]))?;
        sheet.round(POLL_SET.0, 20 * 100, pair);
    }
    Ok(())
}

pub const SITES: usize = 200;
pub const SITES_WRITE: Work = Work("sites: one-row write", FLAT);
pub const SITES_PULL: Work = Work("sites: pull what is new, as rows", FLAT);
pub const SITES_POLL: Work = Work("sites: poll, nothing new, as rows", FLAT);

/// The same with one site in the file, and with 200: all but the first came in row by row.
pub fn by_sites(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let small = Sized::new(run.path("one-site.db"), run.lib(), 10_000)?;
    let large = Sized::new(run.path("many-sites.db"), run.lib(), 10_000)?;
    let mut random = Random::new(7);
    let stamp: i64 =
        large.conn.query_row("SELECT max(col_version) FROM crsql_changes", [], |r| r.get(0))?;
    let mut stmt = large.conn.prepare(INSERT)?;
    for i in 1..SITES {
        let id = 50_000_000 + i as u32;
        let mut pk = vec![1, 4 << 3 | 1];
        pk.extend_from_slice(&id.to_be_bytes());
        let site = random.site();
        stmt.execute(params!["t", pk, "a", i as i64, stamp, 1, site, 1, 0])?;
    }
    drop(stmt);
    expect("many sites", side::count(&large.conn)?, 10_000 + SITES - 1)?;
    let (small, large) = writes(run, sheet, SITES_WRITE.0, small, large)?;
    as_rows(run, sheet, small, large, (SITES_PULL.0, SITES_POLL.0))
}

pub const REWRITTEN: Work = Work("file: 1,000 rows rewritten 200 times, to 20 times", FLAT);
pub const REWRITTEN_ONE: Work = Work("file: 100 rows so, one to a transaction", FLAT);

/// How large the file is after the same rows were written many times, to after a few.
pub fn rewritten(run: &Run, sheet: &mut Sheet) -> Result<()> {
    rewrite(run, sheet, REWRITTEN.0, 1000, 1000)?;
    rewrite(run, sheet, REWRITTEN_ONE.0, 100, 1)
}

fn rewrite(run: &Run, sheet: &mut Sheet, name: &'static str, n: usize, per: usize) -> Result<()> {
    let path = run.path("rewritten.db");
    let conn = side::create(&path, run.lib(), Key::Int)?;
    side::insert(&conn, Key::Int, &rows(1, n), TXN_ROWS)?;
    let ids: Vec<i64> = (1..=n as i64).collect();
    let mut stmt = conn.prepare("UPDATE t SET a = ?2 WHERE id = ?1")?;
    let mut few = 0.0;
    for time in 1..=200 {
        side::in_transactions(&conn, &ids, per, |id| {
            stmt.execute(params![id, time * 1000 + id])?;
            Ok(())
        })?;
        if time == 20 {
            few = side::size(&conn, &path)? as f64;
        }
    }
    sheet.bytes(name, few, side::size(&conn, &path)? as f64);
    Ok(())
}
