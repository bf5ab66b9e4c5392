//! Instructions instead of seconds: what a row costs in each operation, counted by callgrind. The
//! same program on the same input executes the same number, however busy the machine is, so that
//! `benches/counts.txt` can keep them and a change that makes one worse is seen.
//!
//! The program runs itself under valgrind, once per operation and side; callgrind counts only what
//! happens inside `measured`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::data::{Key, Row, Shape, column};
use crate::exchange::{NOTHING, nothing_new};
use crate::side::{Db, Result, Side, TXN_ROWS};

/// Rows that are measured, and rows that are in the table before where an operation needs some.
const ROWS: usize = 2_000;
const BEFORE: usize = 10_000;
/// Calls that are measured, and rows that are new to a pull of the last ones.
const CALLS: usize = 100;
const LAST: usize = 100;

/// Sites that a file knows where it knows many.
const SITES: usize = 1_000;

/// How much more a count may be than the one that is kept: three in a hundred.
const LET_PASS: f64 = 1.03;

/// An operation: its name, whether plain SQLite can do it too, and what counts.
struct Op(&'static str, bool, fn(&Place) -> Result<usize>);

const OPS: &[Op] = &[
    Op("insert", true, |p| insert(p, Key::Int, TXN_ROWS)),
    Op("insert-uuid", true, |p| insert(p, Key::Uuid, TXN_ROWS)),
    Op("insert-one", true, |p| insert(p, Key::Int, 1)),
    Op("insert-elsewhere", true, insert_elsewhere),
    Op("update-1", true, |p| update(p, &[0])),
    Op("update-3", true, |p| update(p, &[0, 2, 3])),
    Op("update-counter", false, update_counter),
    Op("delete", true, delete),
    Op("scan", true, scan),
    Op("pull-rows", true, |p| pull_rows(p, ROWS, 0)),
    Op("pull-rows-last", true, |p| pull_rows(p, BEFORE, LAST)),
    Op("poll-rows", true, poll_rows),
    Op("pull-changeset", false, |p| pull_changeset(p, ROWS, 0)),
    Op("pull-changeset-last", false, |p| pull_changeset(p, BEFORE, LAST)),
    Op("poll", false, poll),
    Op("apply-rows", true, apply_rows),
    Op("apply-changeset", false, |p| apply_changeset(p, false)),
    Op("apply-again", false, |p| apply_changeset(p, true)),
    Op("poll-sites", false, poll_sites),
    Op("live", false, |p| live(p, 0)),
    Op("live-sites", false, |p| live(p, SITES)),
    Op("open", true, open),
    Op("first-write", true, first_write),
];

/// Where an operation finds its files, and whose they are.
struct Place {
    dir: PathBuf,
    side: Side,
}

impl Place {
    /// A database with so many rows.
    fn create(&self, name: &str, key: Key, rows: usize) -> Result<Db> {
        let shape = Shape { key, ..Shape::usual(rows) };
        let db = Db::create(&self.side, &self.dir.join(name), &shape)?;
        db.insert(&shape.rows(1, rows), TXN_ROWS)?;
        Ok(db)
    }

    /// One with rows, and an empty one beside it.
    fn two(&self) -> Result<[Db; 2]> {
        Ok([self.create("from.db", Key::Int, ROWS)?, self.create("to.db", Key::Int, 0)?])
    }
}

/// What callgrind counts.
#[inline(never)]
fn measured(mut work: impl FnMut() -> Result<()>) -> Result<()> {
    std::hint::black_box(work())
}

fn insert(p: &Place, key: Key, per: usize) -> Result<usize> {
    let db = p.create("t.db", key, BEFORE)?;
    let rows = db.shape.rows(BEFORE + 1, ROWS);
    measured(|| db.insert(&rows, per))?;
    Ok(ROWS)
}

fn insert_elsewhere(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, BEFORE)?;
    db.conn.execute_batch(&db.shape.ddl("u"))?;
    let rows = db.shape.rows(1, ROWS);
    measured(|| db.insert_elsewhere(&rows, TXN_ROWS))?;
    Ok(ROWS)
}

fn update(p: &Place, at: &[usize]) -> Result<usize> {
    let db = p.create("t.db", Key::Int, BEFORE)?;
    let rows = db.shape.updates(1, ROWS, at);
    measured(|| db.update(&rows, at, TXN_ROWS))?;
    Ok(ROWS)
}

/// What `update-1` does, in a column that merges as a counter, of rows that were counted before.
fn update_counter(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, BEFORE)?;
    let declare = format!("SELECT crsql_column('t', '{}', 'counter')", column(0));
    db.conn.query_row(&declare, [], |_| Ok(()))?;
    let before = db.shape.updates(2, ROWS, &[0]);
    db.update(&before, &[0], TXN_ROWS)?;
    let rows = db.shape.updates(1, ROWS, &[0]);
    let rows: Vec<Row> =
        before.iter().zip(rows).map(|(b, r)| Row { key: b.key.clone(), ..r }).collect();
    measured(|| db.update(&rows, &[0], TXN_ROWS))?;
    Ok(ROWS)
}

fn delete(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, BEFORE)?;
    let keys = db.shape.some_keys(1, ROWS);
    measured(|| db.delete(&keys))?;
    Ok(ROWS)
}

fn scan(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, ROWS)?;
    measured(|| db.scan(ROWS))?;
    Ok(ROWS)
}

/// What is new since a mark after `before` rows: so many more, or all of them.
fn pull_rows(p: &Place, before: usize, more: usize) -> Result<usize> {
    let db = p.create("t.db", Key::Int, before)?;
    let mark = if more == 0 { 0 } else { db.mark()? };
    db.insert(&db.shape.rows(before + 1, more), TXN_ROWS)?;
    measured(|| db.since(mark).map(drop))?;
    Ok(if more == 0 { before } else { more })
}

fn poll_rows(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, BEFORE)?;
    let mark = db.mark()?;
    db.since(mark)?;
    measured(|| (0..CALLS).try_for_each(|_| db.since(mark).map(drop)))?;
    Ok(CALLS)
}

/// The same by vector.
fn pull_changeset(p: &Place, before: usize, more: usize) -> Result<usize> {
    let db = p.create("t.db", Key::Int, before)?;
    let vector = if more == 0 { NOTHING.to_owned() } else { db.vector()? };
    db.insert(&db.shape.rows(before + 1, more), TXN_ROWS)?;
    db.changeset(&vector)?;
    measured(|| db.changeset(&vector)?.map(drop).ok_or("nothing was new".into()))?;
    Ok(if more == 0 { before } else { more })
}

fn poll(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, BEFORE)?;
    let vector = db.vector()?;
    nothing_new(&db, &vector)?;
    measured(|| (0..CALLS).try_for_each(|_| nothing_new(&db, &vector)))?;
    Ok(CALLS)
}

fn apply_rows(p: &Place) -> Result<usize> {
    let [from, to] = p.two()?;
    let rows = from.shape.rows(1, ROWS);
    let mark = from.mark()?;
    let parcels =
        [from.parcel(mark - 1, &rows[..TXN_ROWS])?, from.parcel(mark, &rows[TXN_ROWS..])?];
    measured(|| parcels.iter().try_for_each(|parcel| to.take(parcel)))?;
    Ok(ROWS)
}

fn apply_changeset(p: &Place, again: bool) -> Result<usize> {
    let [from, to] = p.two()?;
    let blob = from.changeset(&to.vector()?)?.ok_or("no changeset")?;
    if again {
        to.apply(&blob)?;
    }
    measured(|| to.apply(&blob))?;
    Ok(ROWS)
}

/// Makes a database know so many sites: it was each of them for one row.
fn was(db: &Db, sites: usize) -> Result<()> {
    for row in db.shape.rows(10 * ROWS, sites) {
        db.insert(&[row], 1)?;
        db.conn.query_row("SELECT crsql_new_site()", [], |_| Ok(()))?;
    }
    Ok(())
}

/// The poll of a peer that has seen everything, of many sites. What its clock tells is another each
/// time.
fn poll_sites(p: &Place) -> Result<usize> {
    let [here, there] = p.two()?;
    was(&here, SITES)?;
    there.apply(&here.changeset(&there.vector()?)?.ok_or("no changeset")?)?;
    let vectors: Vec<String> = (0..=CALLS).map(|_| there.vector()).collect::<Result<_>>()?;
    let (first, vectors) = vectors.split_first().ok_or("no vector")?;
    nothing_new(&here, first)?;
    measured(|| vectors.iter().try_for_each(|vector| nothing_new(&here, vector)))?;
    Ok(CALLS)
}

/// One row at a time: written here, pulled, applied there. Both files know so many sites more.
fn live(p: &Place, sites: usize) -> Result<usize> {
    let [here, there] = p.two()?;
    was(&here, sites)?;
    there.apply(&here.changeset(&there.vector()?)?.ok_or("no changeset")?)?;
    let rows = here.shape.rows(ROWS + 1, CALLS);
    measured(|| {
        rows.iter().try_for_each(|row| {
            here.insert(std::slice::from_ref(row), 1)?;
            there.apply(&here.changeset(&there.vector()?)?.ok_or("no changeset")?)
        })
    })?;
    Ok(CALLS)
}

fn open(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, 10)?;
    measured(|| Db::open(&p.side, &db.path, &db.shape)?.count().map(drop))?;
    Ok(1)
}

fn first_write(p: &Place) -> Result<usize> {
    let path = p.create("t.db", Key::Int, 10)?.path.clone();
    let db = Db::open(&p.side, &path, &Shape::usual(10))?;
    db.count()?;
    let row = db.shape.rows(11, 1);
    measured(|| db.insert(&row, 1))?;
    Ok(1)
}

/// Runs one operation, as the process that valgrind watches.
pub fn one(name: &str, dir: &Path, side: Side) -> Result<()> {
    let op = OPS.iter().find(|op| op.0 == name).ok_or_else(|| format!("no operation {name}"))?;
    let place = Place { dir: dir.to_owned(), side };
    println!("{}", op.2(&place)?);
    Ok(())
}

/// Counts one operation: instructions per row.
fn count(op: &Op, lib: Option<&Path>) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--toggle-collect=*counts::measured*"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(std::env::current_exe()?).args(["--count-one", op.0]).arg("--dir").arg(dir.path());
    match lib {
        Some(lib) => command.arg("--lib").arg(lib),
        None => command.arg("--plain"),
    };
    let done = command
        .stderr(Stdio::piped())
        .output()
        .map_err(|e| format!("valgrind does not start ({e}): install the package valgrind"))?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    let rows: f64 = String::from_utf8_lossy(&done.stdout).trim().parse()?;
    let report = std::fs::read_to_string(&out)?;
    let total = report
        .lines()
        .find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")))
        .ok_or("callgrind gave no total")?;
    Ok(total.trim().parse::<f64>()? / rows)
}

/// Counts everything, prints it beside what `kept` says, and tells whether none is worse; with
/// `bless`, writes it there instead.
pub fn all(lib: &Path, kept: &Path, bless: bool) -> Result<bool> {
    let before = read(kept)?;
    let (mut text, mut well) = (String::from(HEAD), true);
    println!("{:<24} {:>12} {:>12} {:>8}", "instructions per row", "plain", "crsql", "kept");
    for op in OPS {
        let plain = if op.1 { Some(count(op, None)?) } else { None };
        let ours = count(op, Some(lib))?;
        writeln!(text, "{} {ours:.0}", op.0)?;
        let was = before.get(op.0);
        let worse = was.is_some_and(|was| ours > was * LET_PASS);
        well &= !worse && (was.is_some() || bless);
        let verdict = match was {
            None => "not kept yet".to_owned(),
            Some(was) => {
                format!("{:+.1} %{}", 100. * (ours / was - 1.), if worse { " WORSE" } else { "" })
            }
        };
        let plain = plain.map_or_else(|| "-".to_owned(), |n| format!("{n:.0}"));
        println!("{:<24} {plain:>12} {ours:>12.0} {verdict:>8}", op.0);
    }
    if bless {
        std::fs::write(kept, text)?;
    }
    Ok(well || bless)
}

const HEAD: &str = "\
# Instructions per row, or per call for polls, live, open and first-write: release build, x86-64
# Linux.
# `make counts` compares; `make counts BLESS=1` writes this file.
";

fn read(kept: &Path) -> Result<BTreeMap<String, f64>> {
    let Ok(text) = std::fs::read_to_string(kept) else { return Ok(BTreeMap::new()) };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, n) = line.split_once(' ').ok_or_else(|| format!("a line {line}"))?;
            Ok((name.to_owned(), n.parse()?))
        })
        .collect()
}
