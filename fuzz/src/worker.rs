//! One target, run for some time in a process of its own: the input that runs is always on disk, so
//! that not even the death of the process loses it.

use crate::crashers;
use crate::rng::Rng;
use crate::targets::{Target, script};
use crate::world::World;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// An input that takes longer, twice, hangs.
const SLOW: Duration = Duration::from_secs(1);
/// An input that takes this long will not end.
const STUCK_SECONDS: u64 = 30;
/// The exit code of a process whose input does not end.
pub const STUCK: i32 = 3;
/// The most memory that the process may have.
const MEMORY_BYTES: u64 = 2 << 30;
/// After so many different failures it is enough.
const FAILURES_MAX: usize = 40;

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

impl<'a> Worker<'a> {
    /// Makes the world; `current` is where the input that runs is kept.
    pub fn new(name: &'a str, target: Box<dyn Target>, current: &Path) -> Self {
        std::panic::set_hook(Box::new(|_| ()));
        let current = File::create(current).expect("a file for the input that runs");
        let (begun, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
        watch(begun.clone(), started);
        let known = BTreeSet::new();
        Self { name, target, world: World::new(), current, begun, started, known }
    }

    fn timed(&self, input: &[u8]) -> (Result<(), String>, Duration) {
        self.begun.store(self.started.elapsed().as_secs() + 1, Ordering::Relaxed);
        let start = Instant::now();
        let run = std::panic::AssertUnwindSafe(|| self.target.run(&self.world, input));
        let done = std::panic::catch_unwind(run).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(format!("a panic: {}", text.unwrap_or_default()))
        });
        self.begun.store(0, Ordering::Relaxed);
        (done, start.elapsed())
    }

    /// Runs one input. One that is slow is run again: the machine may have been busy.
    pub fn once(&mut self, input: &[u8]) -> Result<(), String> {
        let mut head = (input.len() as u64).to_le_bytes().to_vec();
        head.extend_from_slice(input);
        let kept =
            self.current.seek(SeekFrom::Start(0)).and_then(|_| self.current.write_all(&head));
        kept.expect("the input is written");
        let (done, mut took) = self.timed(input);
        for _ in 0..3 {
            if took > SLOW {
                let before = busy();
                let again = self.timed(input).1;
                let worked = before.zip(busy()).map(|(before, after)| after.saturating_sub(before));
                took = took.min(worked.unwrap_or(again));
            }
        }
        if took > SLOW {
            return Err(format!("it takes {} ms", took.as_millis()));
        }
        done
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
    fn smaller(&mut self, input: &[u8], message: &str) -> Vec<u8> {
        let mut best = input.to_vec();
        if !input.first().is_some_and(u8::is_ascii_digit) || std::str::from_utf8(input).is_err() {
            return best;
        }
        let (image, mut lines) = script::parse(input);
        let mut at = 0;
        while at < lines.len() {
            let mut fewer = lines.clone();
            fewer.remove(at);
            let text = script::text(image, &fewer);
            let (done, _) = self.timed(&text);
            if done.is_err_and(|e| crashers::words(&e) == crashers::words(message)) {
                (lines, best) = (fewer, text);
            } else {
                at += 1;
            }
        }
        best
    }

    /// Runs what is kept, and then new inputs until the time is over. Gives whether all was well.
    pub fn run(&mut self, seconds: u64, seed: u64) -> bool {
        let mut replayed = 0;
        for path in crashers::of(self.name) {
            let input = std::fs::read(&path).expect("a kept input");
            replayed += 1;
            if let Err(e) = self.once(&input) {
                self.known.insert(crashers::words(&e));
                println!("{}: FAILURE: {e}\n  in {}", self.name, path.display());
            }
        }
        let (start, mut count) = (Instant::now(), 0u64);
        while start.elapsed().as_secs() < seconds && self.known.len() < FAILURES_MAX {
            let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9).wrapping_add(count << 20));
            let input = self.target.make(&mut rng, &self.world);
            if let Err(e) = self.once(&input) {
                self.fail(&input, &e);
            }
            count += 1;
            if count.is_multiple_of(512) && memory_bytes() > MEMORY_BYTES {
                self.fail(&input, "the process grows without end");
                break;
            }
        }
        println!(
            "{}: {count} inputs in {} s, {replayed} replayed, {} failures, {} MiB",
            self.name,
            start.elapsed().as_secs(),
            self.known.len(),
            memory_bytes() >> 20
        );
        self.known.is_empty()
    }
}

/// How long this thread has worked, where the system tells it: a busy machine does not count.
fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The memory of this process, where the system tells it.
fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
