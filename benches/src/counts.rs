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

use rusqlite::{Connection, params};

use crate::data::{Row, distinct_ids, random_writes, rows};
use crate::side::{self, Key, Result, TXN_ROWS, in_transactions};

/// Rows that are measured, and rows that are in the table before where an operation needs some.
const ROWS: usize = 2_000;
const BEFORE: usize = 10_000;

/// How much more a count may be than the one that is kept: three in a hundred.
const LET_PASS: f64 = 1.03;

/// An operation: its name, whether plain SQLite can do it too, and what counts.
struct Op(&'static str, bool, fn(&Place) -> Result<usize>);

const OPS: &[Op] = &[
    Op("insert", true, insert),
    Op("insert-uuid", true, insert_uuid),
    Op("insert-one", true, insert_one),
    Op("update-1", true, update_1),
    Op("delete", true, delete),
    Op("scan", true, scan),
    Op("pull-rows", false, pull_rows),
    Op("pull-changeset", false, pull_changeset),
    Op("poll", false, poll),
    Op("apply-rows", false, apply_rows),
    Op("apply-changeset", false, apply_changeset),
    Op("apply-again", false, apply_again),
    Op("open", true, open),
    Op("first-write", true, first_write),
];

/// Where an operation finds its files and the library; without one it is the plain side.
struct Place {
    dir: PathBuf,
    lib: Option<PathBuf>,
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn create(&self, name: &str, key: Key, data: &[Row]) -> Result<Connection> {
        let db = side::create(&self.path(name), self.lib.as_deref(), key)?;
        side::insert(&db, key, data, TXN_ROWS)?;
        Ok(db)
    }
}

/// What callgrind counts.
#[inline(never)]
fn measured(mut work: impl FnMut() -> Result<()>) -> Result<()> {
    std::hint::black_box(work())
}

fn insert_as(p: &Place, key: Key, per: usize) -> Result<usize> {
    let db = p.create("t.db", key, &rows(1, BEFORE))?;
    let data = rows(BEFORE + 1, ROWS);
    measured(|| side::insert(&db, key, &data, per))?;
    Ok(ROWS)
}

fn insert(p: &Place) -> Result<usize> {
    insert_as(p, Key::Int, TXN_ROWS)
}

fn insert_uuid(p: &Place) -> Result<usize> {
    insert_as(p, Key::Uuid, TXN_ROWS)
}

fn insert_one(p: &Place) -> Result<usize> {
    insert_as(p, Key::Int, 1)
}

fn update_1(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, &rows(1, BEFORE))?;
    let writes = random_writes(1, ROWS, BEFORE);
    let mut stmt = db.prepare("UPDATE t SET a = ?2 WHERE id = ?1")?;
    measured(|| {
        in_transactions(&db, &writes, TXN_ROWS, |(id, n)| {
            stmt.execute(params![id, (1 << 29) + n])?;
            Ok(())
        })
    })?;
    Ok(ROWS)
}

fn delete(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, &rows(1, BEFORE))?;
    let ids = distinct_ids(1, ROWS, BEFORE);
    let mut stmt = db.prepare("DELETE FROM t WHERE id = ?1")?;
    measured(|| {
        in_transactions(&db, &ids, TXN_ROWS, |id| {
            stmt.execute([id])?;
            Ok(())
        })
    })?;
    Ok(ROWS)
}

fn scan(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, &rows(1, ROWS))?;
    measured(|| side::drain(&db, "SELECT * FROM t", []).map(drop))?;
    Ok(ROWS)
}

const CHANGES: &str = "SELECT \"table\", pk, cid, val, col_version, db_version, site_id, cl, seq
                       FROM crsql_changes WHERE db_version > 0";

fn pull_rows(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, &rows(1, ROWS))?;
    measured(|| side::drain(&db, CHANGES, []).map(drop))?;
    Ok(ROWS)
}

fn pull_changeset(p: &Place) -> Result<usize> {
    let db = p.create("t.db", Key::Int, &rows(1, ROWS))?;
    let nothing = "{\"v\":1}";
    side::changeset(&db, nothing, 1 << 30)?;
    measured(|| side::changeset(&db, nothing, 1 << 30).map(drop))?;
    Ok(ROWS)
}

fn poll(p: &Place) -> Result<usize> {
    const TIMES: usize = 100;
    let db = p.create("t.db", Key::Int, &rows(1, BEFORE))?;
    let vector = side::vector(&db)?;
    side::changeset(&db, &vector, 1 << 30)?;
    measured(|| (0..TIMES).try_for_each(|_| side::changeset(&db, &vector, 1 << 30).map(drop)))?;
    Ok(TIMES)
}

/// A database with rows, and an empty one beside it.
fn two(p: &Place) -> Result<[Connection; 2]> {
    Ok([p.create("from.db", Key::Int, &rows(1, ROWS))?, p.create("to.db", Key::Int, &[])?])
}

fn apply_rows(p: &Place) -> Result<usize> {
    let [from, to] = two(p)?;
    let mut read = from.prepare(CHANGES)?;
    let mut changes = read.query([])?;
    let mut all: Vec<Vec<rusqlite::types::Value>> = Vec::new();
    while let Some(row) = changes.next()? {
        all.push((0..9).map(|i| row.get(i)).collect::<rusqlite::Result<_>>()?);
    }
    let sql = "INSERT INTO crsql_changes VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let mut stmt = to.prepare(sql)?;
    measured(|| {
        in_transactions(&to, &all, TXN_ROWS * 6, |change| {
            stmt.execute(rusqlite::params_from_iter(change))?;
            Ok(())
        })
    })?;
    Ok(ROWS)
}

fn apply_changeset(p: &Place) -> Result<usize> {
    let [from, to] = two(p)?;
    let blob = side::changeset(&from, &side::vector(&to)?, 1 << 30)?.ok_or("no changeset")?;
    measured(|| side::apply(&to, &blob).map(drop))?;
    Ok(ROWS)
}

fn apply_again(p: &Place) -> Result<usize> {
    let [from, to] = two(p)?;
    let blob = side::changeset(&from, &side::vector(&to)?, 1 << 30)?.ok_or("no changeset")?;
    side::apply(&to, &blob)?;
    measured(|| side::apply(&to, &blob).map(drop))?;
    Ok(ROWS)
}

fn open(p: &Place) -> Result<usize> {
    p.create("t.db", Key::Int, &rows(1, 10))?;
    measured(|| {
        let db = side::open(&p.path("t.db"), p.lib.as_deref())?;
        side::count(&db).map(drop)
    })?;
    Ok(1)
}

fn first_write(p: &Place) -> Result<usize> {
    p.create("t.db", Key::Int, &rows(1, 10))?;
    let db = side::open(&p.path("t.db"), p.lib.as_deref())?;
    side::count(&db)?;
    measured(|| side::insert(&db, Key::Int, &rows(11, 1), 1))?;
    Ok(1)
}

/// Runs one operation, as the process that valgrind watches.
pub fn one(name: &str, dir: &Path, lib: Option<&Path>) -> Result<()> {
    let op = OPS.iter().find(|op| op.0 == name).ok_or_else(|| format!("no operation {name}"))?;
    let place = Place { dir: dir.to_owned(), lib: lib.map(Path::to_owned) };
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
# Instructions per row, or per call for poll, open and first-write: release build, x86-64 Linux.
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
