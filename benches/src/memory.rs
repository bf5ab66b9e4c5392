//! How much memory a pull and an apply of everything take, in chunks of 1 MiB: bounded by the chunk
//! and not by the table. The program runs itself for it, so that nothing else is in the process,
//! and asks the system (Linux) for the most that the process had; this counts the memory of crsql
//! beside SQLite's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::data::Shape;
use crate::growth::{FEW, Sized};
use crate::run::{Run, two_columns};
use crate::sheet::{Goal, Sheet, Work};
use crate::side::{self, Db, Result, Side};

pub const PULL: Work = Work("memory: pull everything in chunks", Goal::Growth(1.3));
pub const APPLY: Work = Work("memory: apply everything in chunks", Goal::Growth(1.3));

/// The names of the measures in the process of their own.
const PULLS: &str = "pull";
const APPLIES: &str = "apply";

/// The file of the sender, and of the chunk `i` with the vector that asked for it.
fn sender(dir: &Path) -> PathBuf {
    dir.join("sender.db")
}

fn chunk(dir: &Path, what: &str, i: usize) -> PathBuf {
    dir.join(format!("{what}-{i}"))
}

/// Makes the sender, and the chunks of a pull of all it has.
fn prepare(run: &Run, dir: &Path, rows: usize) -> Result<()> {
    fs::create_dir_all(dir)?;
    let from = Sized::new(run.crsql(), &sender(dir), rows)?.db;
    let to = Db::create(run.crsql(), &dir.join("receiver.db"), &from.shape)?;
    for i in 0.. {
        let vector = to.vector()?;
        let Some(blob) = from.changeset(&vector)? else { break };
        to.apply(&blob)?;
        fs::write(chunk(dir, "vector", i), vector)?;
        fs::write(chunk(dir, "blob", i), blob)?;
    }
    side::expect("the receiver", to.count()?, rows)
}

pub fn in_chunks(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let (mut pulls, mut applies) = (Vec::new(), Vec::new());
    for rows in [FEW, run.growth.rows] {
        let dir = run.path(&format!("memory-{rows}"));
        prepare(run, &dir, rows)?;
        pulls.push(own_process(run.crsql(), PULLS, &dir).map_err(|e| e.to_string()));
        applies.push(own_process(run.crsql(), APPLIES, &dir).map_err(|e| e.to_string()));
        fs::remove_dir_all(dir)?;
    }
    sheet.bytes(PULL, two_columns(pulls));
    sheet.bytes(APPLY, two_columns(applies));
    Ok(())
}

fn own_process(crsql: &Side, name: &str, dir: &Path) -> Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--peak", name, "--dir"]).arg(dir);
    // glibc gives freed blocks of this size back, instead of keeping them for later.
    command.env("MALLOC_MMAP_THRESHOLD_", "65536");
    let done = command.arg("--lib").arg(crsql.lib()).output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().parse()?)
}

/// Runs one of them, as that process: prints bytes.
pub fn one(name: &str, dir: &Path, crsql: &Side) -> Result<()> {
    let shape = Shape::usual(0);
    let db = match name {
        PULLS => Db::open(crsql, &sender(dir), &shape)?,
        _ => Db::create(crsql, &dir.join("again.db"), &shape)?,
    };
    // SQLite's cache of pages is bounded by itself; a small one is full in both files.
    db.conn.pragma_update(None, "cache_size", -200)?;
    // Sets the highest mark of the process back to what it has now.
    fs::write("/proc/self/clear_refs", "5").map_err(|_| "the system does not tell")?;
    let before = kib("VmRSS:")?;
    for i in 0.. {
        if name == PULLS {
            let Ok(vector) = fs::read_to_string(chunk(dir, "vector", i)) else { break };
            db.changeset(&vector)?.ok_or("nothing was new")?;
        } else {
            let Ok(blob) = fs::read(chunk(dir, "blob", i)) else { break };
            db.apply(&blob)?;
        }
    }
    println!("{}", (kib("VmHWM:")? - before) * 1024);
    Ok(())
}

/// A figure of this process.
fn kib(name: &str) -> Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such figure")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
