//! The targets under a mutator of our own.
//!
//! `cargo run --release -- --seconds 60` gives each target its share of the time. A failing input
//! is kept in `crashers/` with what it did beside it, and the exit code is 1. What is committed
//! there is run first, every time.
//!
//! - `--target NAME`: this one only (`changeset`, `keys`, `apply`, `rows`, `functions`, `tables`)
//! - `--seed N`: other inputs; the same seed makes the same inputs
//! - `--replay FILE`: this input only
//! - `--seeds FOLDER`: writes inputs for a corpus to begin from, a folder for each target

use crsql_fuzz::rng::Rng;
use crsql_fuzz::worker::{self, Plan, Worker};
use crsql_fuzz::{crashers, host, targets};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

/// How many inputs a corpus begins with.
const SEEDS: u64 = 300;

/// What the command line says.
struct Asked {
    plan: Plan,
    target: Option<String>,
    replay: Option<PathBuf>,
    seeds: Option<PathBuf>,
    /// Where a worker writes down what runs.
    worker: Option<PathBuf>,
}

fn asked() -> Result<Asked, String> {
    let plan = Plan { seconds: 60, seed: 1, from: None };
    let mut out = Asked { plan, target: None, replay: None, seeds: None, worker: None };
    let mut all = std::env::args().skip(1);
    while let Some(name) = all.next() {
        let value = all.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{name} takes a number, not {value}"));
        match name.as_str() {
            "--seconds" => out.plan.seconds = number()?,
            "--seed" => out.plan.seed = number()?,
            "--from" => out.plan.from = Some(number()?),
            "--target" => out.target = Some(value),
            "--replay" => out.replay = Some(value.into()),
            "--seeds" => out.seeds = Some(value.into()),
            "--worker" => out.worker = Some(value.into()),
            _ => return Err(format!("{name} is not known")),
        }
    }
    Ok(out)
}

fn main() -> ExitCode {
    let done = asked().and_then(|asked| match (&asked.worker, &asked.replay, &asked.seeds) {
        (Some(current), ..) => work(&asked, current),
        (_, Some(file), _) => replay(&asked, file),
        (_, _, Some(folder)) => seeds(&asked, folder),
        _ => all(&asked),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            println!("{e}");
            ExitCode::from(2)
        }
    }
}

fn worker<'a>(name: &'a str, current: &Path) -> Result<Worker<'a>, String> {
    let target = targets::named(name).ok_or_else(|| format!("there is no target {name}"))?;
    host::start();
    Ok(Worker::new(name, target, current))
}

/// Runs one target, here.
fn work(asked: &Asked, current: &Path) -> Result<bool, String> {
    let name = asked.target.clone().unwrap_or_default();
    Ok(worker(&name, current)?.run(asked.plan))
}

/// Runs one kept input, here.
fn replay(asked: &Asked, file: &Path) -> Result<bool, String> {
    let name = asked.target.clone().or_else(|| crashers::target_of(file));
    let name = name.ok_or("which target? --target names it")?;
    let input = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let current = current(&name);
    let done = worker(&name, &current)?.once(&input);
    std::fs::remove_file(&current).ok();
    println!("{name}: {}", done.as_ref().map_or_else(Clone::clone, |_| "well".to_owned()));
    Ok(done.is_ok())
}

/// The targets that are asked for, and their shares of the time.
fn chosen(asked: &Asked) -> Result<Vec<(&'static str, u64)>, String> {
    let wanted = |name: &str| asked.target.as_deref().is_none_or(|t| t == name);
    let chosen: Vec<_> = targets::NAMES.into_iter().filter(|(name, _)| wanted(name)).collect();
    if chosen.is_empty() { Err("there is no such target".into()) } else { Ok(chosen) }
}

/// Writes inputs to begin from.
fn seeds(asked: &Asked, folder: &Path) -> Result<bool, String> {
    host::start();
    let world = crsql_fuzz::world::World::made();
    for (name, _) in chosen(asked)? {
        let target = targets::named(name).ok_or("a target without a name")?;
        for n in 0..SEEDS {
            let input = target.make(&mut Rng((asked.plan.seed + n) << 20), &world);
            crashers::seed(&folder.join(name), &input).map_err(|e| e.to_string())?;
        }
    }
    Ok(true)
}

/// Runs the targets, each in a process of its own.
fn all(asked: &Asked) -> Result<bool, String> {
    let chosen = chosen(asked)?;
    let shares: u64 = chosen.iter().map(|(_, share)| share).sum();
    let mut well = true;
    for (name, share) in chosen {
        let seconds = (asked.plan.seconds * share / shares).max(1);
        well &= one(name, Plan { seconds, ..asked.plan })?;
    }
    Ok(well)
}

/// Where it is written down what a worker runs.
fn current(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("crsql-fuzz-{}-{name}", std::process::id()))
}

/// A worker, and what it wrote down last.
fn process(name: &str, plan: Plan) -> Result<(ExitStatus, u64, Vec<u8>), String> {
    let current = current(name);
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command.args(["--target", name, "--seconds", &plan.seconds.to_string()]);
    command.args(["--seed", &plan.seed.to_string()]).arg("--worker").arg(&current);
    if let Some(from) = plan.from {
        command.args(["--from", &from.to_string()]);
    }
    // The panics that crsql catches would be told there.
    let status = command.stderr(Stdio::null()).status().map_err(|e| e.to_string())?;
    let bytes = std::fs::read(&current).unwrap_or_default();
    std::fs::remove_file(&current).ok();
    let (number, input) = bytes.split_at(bytes.len().min(8));
    Ok((status, number.try_into().map_or(0, u64::from_le_bytes), input.to_vec()))
}

fn one(name: &str, plan: Plan) -> Result<bool, String> {
    let (mut status, number, mut input) = process(name, plan)?;
    if status.code().is_none_or(|code| code > 2) && input.is_empty() {
        // It died somewhere in a batch: that once more, slowly.
        println!("{name}: it died after input {number} ({status}); that part runs again");
        (status, _, input) = process(name, Plan { from: Some(number), ..plan })?;
        if status.success() {
            return Err(format!("{name} died, and does not when that part runs again"));
        }
    }
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        Some(2) => Err(format!("{name} did not run")),
        code => {
            let what = if code == Some(worker::STUCK) { "it hangs" } else { "the process dies" };
            let path = crashers::keep(name, &input, &format!("{what}: {status}"));
            println!("{name}: FAILURE: {what} ({status})\n  kept as {}", path.display());
            Ok(false)
        }
    }
}
