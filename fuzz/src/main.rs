//! Hostile input for everything in crsql that reads what it did not write.
//!
//! `cargo run --release -- --seconds 60` gives each target its share of the time. A failing input
//! is kept in `crashers/` with what it did beside it, and the exit code is 1. What is committed
//! there is run first, every time.
//!
//! - `--target NAME`: this one only (`changeset`, `keys`, `apply`, `rows`, `functions`, `tables`)
//! - `--seed N`: other inputs; the same seed makes the same inputs
//! - `--replay FILE`: this input only
//! - `--lib FILE`: the extension; else the one that this build of the fuzzer made beside it, whose
//!   arithmetic is checked

mod crashers;
mod frame;
mod host;
mod meter;
mod model;
mod mutate;
mod rng;
mod targets;
mod worker;
mod world;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

#[global_allocator]
static METER: meter::Meter = meter::Meter;

/// What the command line says.
struct Asked {
    seconds: u64,
    seed: u64,
    target: Option<String>,
    replay: Option<PathBuf>,
    library: PathBuf,
    /// Where a worker keeps the input that runs.
    worker: Option<PathBuf>,
}

/// The extension that was built with this program.
fn built() -> PathBuf {
    let name = match std::env::consts::OS {
        "macos" => "libcrsql.dylib",
        "windows" => "crsql.dll",
        _ => "libcrsql.so",
    };
    let program = std::env::current_exe().expect("the path of this program");
    program.with_file_name("deps").join(name)
}

fn asked() -> Result<Asked, String> {
    let mut out =
        Asked { seconds: 60, seed: 1, target: None, replay: None, library: built(), worker: None };
    let mut all = std::env::args().skip(1);
    while let Some(name) = all.next() {
        let value = all.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{name} takes a number, not {value}"));
        match name.as_str() {
            "--seconds" => out.seconds = number()?,
            "--seed" => out.seed = number()?,
            "--target" => out.target = Some(value),
            "--replay" => out.replay = Some(value.into()),
            "--lib" => out.library = value.into(),
            "--worker" => out.worker = Some(value.into()),
            _ => return Err(format!("{name} is not known")),
        }
    }
    match out.library.exists() {
        true => Ok(out),
        false => Err(format!("there is no library {}; --lib names one", out.library.display())),
    }
}

fn main() -> ExitCode {
    let asked = match asked() {
        Ok(asked) => asked,
        Err(e) => {
            println!("{e}");
            return ExitCode::from(2);
        }
    };
    let done = match (&asked.worker, &asked.replay) {
        (Some(current), _) => work(&asked, current),
        (None, Some(file)) => replay(&asked, file),
        (None, None) => all(&asked),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            println!("{e}");
            ExitCode::from(2)
        }
    }
}

fn worker<'a>(asked: &Asked, name: &'a str, current: &Path) -> Result<worker::Worker<'a>, String> {
    let target = targets::named(name).ok_or_else(|| format!("there is no target {name}"))?;
    host::LIBRARY.set(asked.library.clone()).map_err(|_| "twice".to_owned())?;
    host::start();
    Ok(worker::Worker::new(name, target, current))
}

/// Runs one target, here.
fn work(asked: &Asked, current: &Path) -> Result<bool, String> {
    let name = asked.target.clone().unwrap_or_default();
    Ok(worker(asked, &name, current)?.run(asked.seconds, asked.seed))
}

/// Runs one kept input, here.
fn replay(asked: &Asked, file: &Path) -> Result<bool, String> {
    let name = asked.target.clone().or_else(|| crashers::target_of(file));
    let name = name.ok_or("which target? --target names it")?;
    let input = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let current = std::env::temp_dir().join(format!("crsql-fuzz-{}", std::process::id()));
    let done = worker(asked, &name, &current)?.once(&input);
    std::fs::remove_file(&current).ok();
    println!("{name}: {}", done.as_ref().map_or_else(Clone::clone, |()| "well".to_owned()));
    Ok(done.is_ok())
}

/// Runs the targets, each in a process of its own.
fn all(asked: &Asked) -> Result<bool, String> {
    let chosen: Vec<(&str, u64)> = targets::NAMES
        .into_iter()
        .filter(|(name, _)| asked.target.as_deref().is_none_or(|t| t == *name))
        .collect();
    if chosen.is_empty() {
        return Err("there is no such target".into());
    }
    let shares: u64 = chosen.iter().map(|(_, share)| share).sum();
    let mut well = true;
    for (name, share) in chosen {
        well &= one(asked, name, (asked.seconds * share / shares).max(1))?;
    }
    Ok(well)
}

fn one(asked: &Asked, name: &str, seconds: u64) -> Result<bool, String> {
    let current = std::env::temp_dir().join(format!("crsql-fuzz-{}-{name}", std::process::id()));
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let status = Command::new(program)
        .args(["--target", name, "--seconds", &seconds.to_string()])
        .args(["--seed", &asked.seed.to_string()])
        .arg("--lib")
        .arg(&asked.library)
        .arg("--worker")
        .arg(&current)
        // The panics that the extension catches would be told there.
        .stderr(Stdio::null())
        .status()
        .map_err(|e| e.to_string())?;
    let well = match status.code() {
        Some(0) => true,
        Some(1) => false,
        Some(2) => return Err(format!("{name} did not run")),
        code => {
            let what = if code == Some(worker::STUCK) { "it hangs" } else { "the process dies" };
            let bytes = std::fs::read(&current).unwrap_or_default();
            if bytes.is_empty() {
                return Err(format!("{name} did not start"));
            }
            let (size, rest) = bytes.split_at(bytes.len().min(8));
            let size = size.try_into().map_or(0, u64::from_le_bytes);
            let input = rest.get(..size as usize).unwrap_or(rest);
            let path = crashers::keep(name, input, &format!("{what}: {status}"));
            println!("{name}: FAILURE: {what} ({status})\n  kept as {}", path.display());
            false
        }
    };
    std::fs::remove_file(&current).ok();
    Ok(well)
}
