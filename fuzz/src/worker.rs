//! One target, run for some time in a process of its own. Where the process dies, its last few
//! inputs are run again, each kept on disk first: so not even that loses an input.

use crate::rng::Rng;
use crate::targets::Target;
use crate::world::World;
use crate::{crashers, script};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A reader of bytes that takes longer hangs; statements are timed one by one.
const SLOW: Duration = Duration::from_secs(1);
/// An input that takes this long will not end.
const STUCK_SECONDS: u64 = 60;
/// The exit code of a process whose input does not end.
pub const STUCK: i32 = 3;
/// The most memory that the process may ever have.
const MEMORY_BYTES: u64 = 512 << 20;
/// After so many different failures it is enough.
const FAILURES_MAX: usize = 40;
/// How many inputs run between two marks on the disk.
pub const BATCH: u64 = 256;

/// One target's run.
pub struct Worker<'a> {
    pub name: &'a str,
    pub target: Box<dyn Target>,
    pub world: World,
    current: File,
    /// When the input that runs was begun, in seconds; 0 where none runs.
    begun: Arc<AtomicU64>,
    started: Instant,
    known: BTreeSet<String>,
}

/// What one run does.
#[derive(Clone, Copy)]
pub struct Plan {
    pub seconds: u64,
    pub seed: u64,
    /// Only the batch that begins there, each input kept before it runs.
    pub from: Option<u64>,
}

fn watch(begun: Arc<AtomicU64>, started: Instant) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let since = begun.load(Ordering::Relaxed);
            if since != 0 && started.elapsed().as_secs() + 1 > since + STUCK_SECONDS {
                std::process::exit(STUCK);
            }
        }
    });
}

/// Runs one input; gives how many executions that was.
pub fn timed(target: &dyn Target, world: &World, input: &[u8]) -> Result<u64, String> {
    let start = Instant::now();
    let done = target.run(world, input);
    if target.is_bytes() && start.elapsed() > SLOW {
        // Once more: the machine may have been busy.
        let work = Work::now();
        target.run(world, input).ok();
        if work.done() > SLOW {
            return Err(format!("it takes {} ms", work.done().as_millis()));
        }
    }
    done
}

impl<'a> Worker<'a> {
    /// Makes the world; `current` is where it is kept what runs.
    pub fn new(name: &'a str, target: Box<dyn Target>, current: &Path) -> Self {
        std::panic::set_hook(Box::new(|_| ()));
        let current = File::create(current).expect("a file for the input that runs");
        let (begun, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
        watch(begun.clone(), started);
        let known = BTreeSet::new();
        Self { name, target, world: World::made(), current, begun, started, known }
    }

    /// Runs one input; gives how many executions that was.
    pub fn once(&self, input: &[u8]) -> Result<u64, String> {
        self.begun.store(self.started.elapsed().as_secs() + 1, Ordering::Relaxed);
        let run = std::panic::AssertUnwindSafe(|| timed(self.target.as_ref(), &self.world, input));
        let done = std::panic::catch_unwind(run).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(format!("a panic: {}", text.unwrap_or_default()))
        });
        self.begun.store(0, Ordering::Relaxed);
        done
    }

    /// Writes down what runs now: a number, then an input.
    fn mark(&mut self, number: u64, input: &[u8]) {
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.extend_from_slice(input);
        let written = self.current.seek(SeekFrom::Start(0)).and_then(|_| {
            self.current.set_len(0)?;
            self.current.write_all(&bytes)
        });
        written.expect("what runs is written down");
    }

    /// Tells of a failure, once for each kind.
    fn fail(&mut self, input: &[u8], message: &str) {
        if !self.known.insert(crashers::words(message)) {
            return;
        }
        let smaller = self.smaller(input, message);
        let path = crashers::keep(self.name, &smaller, message);
        println!("{}: FAILURE: {message}\n  kept as {}", self.name, path.display());
    }

    /// A script without the lines that it does not need for failing in the same words.
    fn smaller(&self, input: &[u8], message: &str) -> Vec<u8> {
        if self.target.is_bytes() {
            return input.to_vec();
        }
        let (image, mut lines) = script::parse(input);
        let fails = |lines: &[String]| {
            let done = self.once(&script::text(image, lines));
            done.is_err_and(|e| crashers::words(&e) == crashers::words(message))
        };
        let mut step = lines.len().div_ceil(2);
        while step > 0 {
            let mut at = 0;
            while at < lines.len() {
                let mut fewer = lines.clone();
                fewer.drain(at..(at + step).min(lines.len()));
                if fails(&fewer) {
                    lines = fewer;
                } else {
                    at += step;
                }
            }
            step /= 2;
        }
        let text = script::text(image, &lines);
        if fails(&lines) { text } else { input.to_vec() }
    }

    /// One of many inputs: the same seed and number give the same one.
    fn input(&self, seed: u64, number: u64, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9).wrapping_add(number << 20));
        if !corpus.is_empty() && rng.one_in(4) {
            let base = rng.pick(corpus).clone();
            return self.target.change(&mut rng, &self.world, &base);
        }
        self.target.make(&mut rng, &self.world)
    }

    /// Runs what is kept; gives how much that was.
    fn again(&mut self) -> usize {
        let kept = crashers::of(self.name);
        for path in &kept {
            let input = std::fs::read(path).expect("a kept input");
            self.mark(0, &input);
            if let Err(e) = self.once(&input) {
                self.known.insert(crashers::words(&e));
                println!("{}: FAILURE: {e}\n  in {}", self.name, path.display());
            }
        }
        kept.len()
    }

    /// Runs what is kept, and then new inputs until the time is over. Gives whether all was well.
    pub fn run(&mut self, plan: Plan) -> bool {
        let corpus = crashers::corpus(self.name);
        let replayed = if plan.from.is_none() { self.again() } else { 0 };
        let (start, work) = (Instant::now(), Work::now());
        let (mut number, mut executions) = (plan.from.unwrap_or(0), 0);
        let end = plan.from.map_or(u64::MAX, |from| from + BATCH);
        while number < end && self.known.len() < FAILURES_MAX {
            if start.elapsed().as_secs() >= plan.seconds {
                break;
            }
            if number.is_multiple_of(BATCH) && plan.from.is_none() {
                self.mark(number, &[]);
            }
            let input = self.input(plan.seed, number, &corpus);
            if plan.from.is_some() {
                self.mark(number, &input);
            }
            match self.once(&input) {
                Ok(n) => executions += n,
                Err(e) => self.fail(&input, &e),
            }
            number += 1;
            if number.is_multiple_of(512) && memory_bytes() > MEMORY_BYTES {
                self.fail(&input, "the process grows without end");
                break;
            }
        }
        println!(
            "{}: {executions} executions in {number} inputs, {} s, {} s of a core, {replayed} \
             replayed, {} failures, {} MiB",
            self.name,
            start.elapsed().as_secs(),
            work.done().as_secs(),
            self.known.len(),
            memory_bytes() >> 20
        );
        self.known.is_empty()
    }
}

/// How much this thread has worked since then: a busy machine does not count, where the system
/// tells it.
pub struct Work {
    at: Instant,
    busy: Option<Duration>,
}

impl Work {
    /// From now on.
    pub fn now() -> Work {
        Work { at: Instant::now(), busy: busy() }
    }

    /// Begins anew, unless it just did: asking the system costs as much as a short statement.
    pub fn refresh(&mut self) {
        if self.at.elapsed() > Duration::from_millis(100) {
            *self = Work::now();
        }
    }

    /// The work since then.
    pub fn done(&self) -> Duration {
        let worked = self.busy.zip(busy()).map(|(before, now)| now.saturating_sub(before));
        worked.unwrap_or_else(|| self.at.elapsed())
    }
}

fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The most memory that this process ever had, where the system tells it.
fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
