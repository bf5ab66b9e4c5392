//! Replicas, a network and accidents in one process, from one seed: the real crsql on the real
//! SQLite, with time, randomness, network and disks of the simulator's own.
//!
//! `--seeds N` runs that many, `--first N` from that one on; `--seed N` runs one and tells what
//! happens in it; `--replay FILE` runs a kept case; `--planted 1` shows that planted bugs are
//! found. A seed that fails is shrunk and printed in the form in which `finds/` keeps it.

mod case;
mod disk;
mod exchange;
mod faults;
mod forge;
mod fork;
mod harm;
mod host;
mod json;
mod judge;
mod memory;
mod migrate;
mod model;
mod plan;
mod planted;
mod policy;
mod replica;
mod rng;
mod shape;
mod shrink;
mod template;
mod types;
mod world;

use case::Case;
use plan::Menu;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use template::Template;

#[global_allocator]
static MEMORY: memory::Memory = memory::Memory;

/// One seed in so many runs twice, and must leave the same trace.
const TWICE: u64 = 64;

/// What the command line says.
struct Asked {
    seeds: u64,
    first: u64,
    seed: Option<u64>,
    replay: Option<PathBuf>,
    jobs: u64,
    menu: Menu,
    /// Run with this planted bug, up to the first seed that finds it.
    plant: Option<String>,
    planted: bool,
    /// What is in `finds/` runs first.
    finds: bool,
}

fn asked() -> Result<Asked, String> {
    let menu = Menu { steps: 60, forks: true, anew: false, hostile: true };
    let jobs = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut out = Asked {
        seeds: 1000,
        first: 0,
        seed: None,
        replay: None,
        jobs,
        menu,
        plant: None,
        planted: false,
        finds: true,
    };
    let mut all = std::env::args().skip(1);
    while let Some(name) = all.next() {
        let value = all.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{name} takes a number, not {value}"));
        match name.as_str() {
            "--seeds" => out.seeds = number()?,
            "--first" => out.first = number()?,
            "--seed" => out.seed = Some(number()?),
            "--steps" => out.menu.steps = number()? as usize,
            "--jobs" => out.jobs = number()?.max(1),
            "--forks" => out.menu.forks = number()? > 0,
            "--anew" => out.menu.anew = number()? > 0,
            "--hostile" => out.menu.hostile = number()? > 0,
            "--plant" => out.plant = Some(value),
            "--finds" => out.finds = number()? > 0,
            "--planted" => out.planted = number()? > 0,
            "--replay" => out.replay = Some(value.into()),
            _ => return Err(format!("{name} is not known")),
        }
    }
    Ok(out)
}

fn main() -> ExitCode {
    let faults = std::env::args().nth(1).is_some_and(|first| first == "--faults");
    let done = if faults { faults::main() } else { asked().and_then(|asked| simulate(&asked)) };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            println!("{e}");
            ExitCode::from(2)
        }
    }
}

fn simulate(asked: &Asked) -> Result<bool, String> {
    match (&asked.replay, asked.seed) {
        _ if asked.planted => planted_are_found(asked),
        _ if asked.plant.is_some() => plant(asked),
        (Some(file), _) => replay(file),
        (None, Some(seed)) => one(seed, &asked.menu),
        (None, None) => many(asked),
    }
}

fn replay(file: &PathBuf) -> Result<bool, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let case: Case = text.parse()?;
    host::install();
    let failure = shrink::failure(&case, &mut None);
    println!("{}: {}", file.display(), failure.as_deref().unwrap_or("well"));
    Ok(failure.is_none())
}

/// One seed, told in full.
fn one(seed: u64, menu: &Menu) -> Result<bool, String> {
    host::install();
    let case = plan::plan(seed, menu);
    let mut template = None;
    let Some(failure) = shrink::failure(&case, &mut template) else {
        println!("{case}\nseed {seed}: well");
        return Ok(true);
    };
    tell(&case, &failure, template);
    Ok(false)
}

fn tell(case: &Case, failure: &str, template: Option<Template>) -> Option<Template> {
    let (small, mut template) = shrink::shrink(case, failure, template);
    let again = shrink::failure(&small, &mut template).unwrap_or_default();
    println!("seed {} FAILS: {failure}\nshrunk to {} steps:", case.seed, small.steps.len());
    for line in again.lines() {
        println!("# {line}");
    }
    println!("{small}");
    template
}

/// Runs with one planted bug until a seed finds it.
fn plant(asked: &Asked) -> Result<bool, String> {
    let name = asked.plant.as_deref().unwrap_or_default();
    if !planted::choose(name) {
        return Err(format!("this build has no planted bug {name}; `make planted` builds one"));
    }
    host::install();
    let (mut template, begun) = (None, Instant::now());
    for seed in asked.first..asked.first + asked.seeds {
        let case = plan::plan(seed, &asked.menu);
        if let Some(failure) = shrink::failure(&case, &mut template) {
            let line: String =
                failure.lines().next().unwrap_or_default().chars().take(90).collect();
            let (n, s) = (seed - asked.first + 1, begun.elapsed().as_secs_f64());
            println!("found      {name}: seed {n}, {s:.1} s: {line}");
            return Ok(true);
        }
    }
    println!("NOT FOUND  {name} in {} seeds", asked.seeds);
    Ok(false)
}

/// Every planted bug in a process of its own, as many at a time as there are jobs.
fn planted_are_found(asked: &Asked) -> Result<bool, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut found = 0;
    for some in planted::ALL.chunks(asked.jobs as usize) {
        let mut children = Vec::new();
        for (name, _) in some {
            let mut command = Command::new(&program);
            command.args(["--plant", name, "--seeds", &asked.seeds.to_string()]);
            command.args(["--first", &asked.first.to_string()]);
            children.push(command.spawn().map_err(|e| e.to_string())?);
        }
        for mut child in children {
            let status = child.wait().map_err(|e| e.to_string())?;
            // A planted bug may kill the process, which is being found too.
            found += usize::from(status.code() != Some(1) && status.code() != Some(2));
        }
    }
    println!("{found} of {} planted bugs found", planted::ALL.len());
    Ok(found == planted::ALL.len())
}

/// Many seeds: here, or in a process per processor.
fn many(asked: &Asked) -> Result<bool, String> {
    let begun = Instant::now();
    let finds = if asked.finds { finds()? } else { 0 };
    let jobs = asked.jobs.min(asked.seeds.max(1));
    if jobs == 1 {
        let failed = here(asked);
        report(asked.seeds, failed, begun, 1);
        return Ok(failed + finds == 0);
    }
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let share = asked.seeds.div_ceil(jobs);
    let mut children = Vec::new();
    for job in 0..jobs {
        let first = asked.first + job * share;
        let seeds = share.min(asked.seeds.saturating_sub(job * share));
        let mut command = Command::new(&program);
        command.args(["--jobs", "1", "--finds", "0", "--first", &first.to_string()]);
        command.args(["--seeds", &seeds.to_string(), "--steps", &asked.menu.steps.to_string()]);
        command.args(["--forks", &u8::from(asked.menu.forks).to_string()]);
        command.args(["--anew", &u8::from(asked.menu.anew).to_string()]);
        command.args(["--hostile", &u8::from(asked.menu.hostile).to_string()]);
        children.push(command.spawn().map_err(|e| e.to_string())?);
    }
    let mut failed = 0;
    for mut child in children {
        let status = child.wait().map_err(|e| e.to_string())?;
        failed += u64::from(!status.success());
    }
    report(asked.seeds, failed, begun, jobs);
    Ok(failed + finds == 0)
}

/// Runs what was found before, which must be well now; gives how much is not.
fn finds() -> Result<u64, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("finds");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut failed = 0;
    for file in &files {
        let status = Command::new(&program).arg("--replay").arg(file).status();
        failed += u64::from(!status.map_err(|e| e.to_string())?.success());
    }
    Ok(failed)
}

fn report(seeds: u64, failed: u64, begun: Instant, jobs: u64) {
    let seconds = begun.elapsed().as_secs_f64();
    let speed = seeds as f64 / seconds / jobs as f64;
    println!("{seeds} seeds in {seconds:.1} s, {speed:.0} per second and process, {failed} failed");
}

fn here(asked: &Asked) -> u64 {
    host::install();
    let mut template = None;
    let mut failed = 0;
    for seed in asked.first..asked.first + asked.seeds {
        let case = plan::plan(seed, &asked.menu);
        let first = shrink::outcome(&case, &mut template);
        if let Err(failure) = &first {
            failed += 1;
            template = tell(&case, failure, template);
        } else if seed % TWICE == 0 {
            template = None;
            if shrink::outcome(&case, &mut template) != first {
                failed += 1;
                println!("seed {seed} FAILS: it does not do the same twice");
            }
        }
    }
    failed
}
