//! Every fault, one at a time: `--faults 1`. For each script in `faults/`, each kind of call and
//! every n, the n-th call of the kind fails, once and for good, until a run passes untouched.
//!
//! `--every N` takes one n in so many; `--script NAME` takes one script; `--point KIND:MODE:N` one
//! fault in it. Each script runs in a process of its own.

mod layer;
mod memory;
mod point;
mod prepare;
mod script;
mod state;
mod trial;

use crate::disk;
use crate::host;
use point::{KINDS, Kind, Point};
use prepare::{Prepared, TESTED};
use script::Script;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use trial::{Outcome, trial};

/// So many wrong ones of a kind are told.
const TOLD: usize = 3;

struct Asked {
    every: u32,
    script: Option<String>,
    point: Option<Point>,
    jobs: usize,
}

fn asked() -> Result<Asked, String> {
    let jobs = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut out = Asked { every: 1, script: None, point: None, jobs };
    let mut all = std::env::args().skip(1);
    while let Some(name) = all.next() {
        let value = all.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number =
            || value.parse::<u32>().map_err(|_| format!("{name} takes a number, not {value}"));
        match name.as_str() {
            "--faults" => {}
            "--every" => out.every = number()?.max(1),
            "--jobs" => out.jobs = number()?.max(1) as usize,
            "--point" => out.point = Some(parse(&value).ok_or("a point is kind:once:7")?),
            "--script" => out.script = Some(value),
            _ => return Err(format!("{name} is not known")),
        }
    }
    Ok(out)
}

fn parse(text: &str) -> Option<Point> {
    let mut parts = text.split(':');
    let name = parts.next()?;
    let kind = KINDS.into_iter().find(|kind| name_of(*kind) == name)?;
    let for_good = match parts.next()? {
        "once" => false,
        "good" => true,
        _ => return None,
    };
    Some(Point { kind, after: parts.next()?.parse().ok()?, for_good })
}

fn name_of(kind: Kind) -> String {
    format!("{kind:?}").to_lowercase()
}

fn told(point: Point) -> String {
    let mode = if point.for_good { "good" } else { "once" };
    format!("{}:{mode}:{}", name_of(point.kind), point.after)
}

/// What the command line asks for.
pub fn main() -> Result<bool, String> {
    let asked = asked()?;
    match &asked.script {
        Some(name) => one(name, &asked),
        None => all(&asked),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("faults")
}

/// All scripts, each in a process of its own.
fn all(asked: &Asked) -> Result<bool, String> {
    let begun = Instant::now();
    let entries = std::fs::read_dir(folder()).map_err(|e| format!("faults: {e}"))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|ext| ext == "sql"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    let scripts = names.len();
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut waiting = names.into_iter();
    let mut running: Vec<Child> = Vec::new();
    let (mut points, mut wrong) = (0u64, 0);
    loop {
        while running.len() < asked.jobs {
            let Some(name) = waiting.next() else { break };
            let mut command = Command::new(&program);
            command.args(["--faults", "1", "--script", &name]);
            command.args(["--every", &asked.every.to_string()]).stdout(Stdio::piped());
            running.push(command.spawn().map_err(|e| e.to_string())?);
        }
        if running.is_empty() {
            break;
        }
        let ended = running.iter_mut().position(|child| !matches!(child.try_wait(), Ok(None)));
        let Some(at) = ended else {
            std::thread::sleep(std::time::Duration::from_millis(20));
            continue;
        };
        let done = running.remove(at).wait_with_output().map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        print!("{text}");
        let figure = text.lines().last().and_then(|line| line.split_whitespace().nth(1));
        points += figure.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        wrong += usize::from(!done.status.success());
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{points} fault points in {scripts} scripts, {wrong} scripts wrong, {seconds:.0} s");
    Ok(wrong == 0)
}

/// One script, with every fault or with one.
fn one(name: &str, asked: &Asked) -> Result<bool, String> {
    memory::install();
    host::install();
    layer::install(disk::name(TESTED));
    let begun = Instant::now();
    let path = folder().join(format!("{name}.sql"));
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let prepared = Script::parse(name, &text).and_then(Prepared::new);
    let prepared = prepared.map_err(|e| format!("{name}: {e}"))?;
    if let Some(point) = asked.point {
        let done = trial(&prepared, point);
        println!("{name} {}: {done:?}", told(point));
        return Ok(done.is_ok());
    }
    let (mut points, mut failed, mut wrong) = (0, 0, 0);
    for kind in KINDS {
        for for_good in [false, true] {
            let found = sweep(&prepared, kind, for_good, asked.every);
            points += found.points;
            failed += found.failed;
            wrong += found.wrong;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{name:24} {points:7} points, {failed:6} failed a statement, {wrong} wrong, {seconds:.1} s"
    );
    Ok(wrong == 0)
}

#[derive(Default)]
struct Found {
    points: u64,
    failed: u64,
    wrong: usize,
}

/// Every n until a run passes untouched.
fn sweep(prepared: &Prepared, kind: Kind, for_good: bool, every: u32) -> Found {
    let mut found = Found::default();
    // A slice begins elsewhere in every script.
    let name = prepared.script.name.bytes();
    let mut after = name.fold(kind as u32, |n, b| n.wrapping_mul(31) + u32::from(b)) % every;
    loop {
        let point = Point { kind, after, for_good };
        match trial(prepared, point) {
            Ok(Outcome::Untouched) => return found,
            Ok(Outcome::Absorbed) => {}
            Ok(Outcome::Failed) => found.failed += 1,
            Err(why) => {
                found.wrong += 1;
                if found.wrong <= TOLD {
                    println!("{} {}: {why}", prepared.script.name, told(point));
                }
            }
        }
        found.points += 1;
        after += every;
    }
}
