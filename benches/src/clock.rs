//! Time and memory: what the process used of the processor, what passed on the wall, and what
//! SQLite allocated.

use std::ops::AddAssign;
use std::time::Instant;

use rusqlite::ffi;

/// A stretch of work: seconds, and bytes of SQLite's heap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub cpu: f64,
    pub wall: f64,
    /// How much more is allocated at the end than at the beginning.
    pub grown: i64,
    /// The most that was allocated on the way, beyond what was at the beginning.
    pub peak: i64,
}

impl AddAssign for Spent {
    /// One stretch after the other.
    fn add_assign(&mut self, next: Spent) {
        self.cpu += next.cpu;
        self.wall += next.wall;
        self.peak = self.peak.max(self.grown + next.peak);
        self.grown += next.grown;
    }
}

impl Spent {
    /// What it took beyond other work.
    pub fn beyond(self, other: Spent) -> Self {
        Self { cpu: self.cpu - other.cpu, wall: self.wall - other.wall, ..self }
    }

    /// The same work done more or fewer times.
    pub fn times(self, factor: f64) -> Self {
        Self { cpu: self.cpu * factor, wall: self.wall * factor, ..self }
    }
}

/// A running stopwatch.
pub struct Watch {
    heap: i64,
    cpu: f64,
    wall: Instant,
}

impl Watch {
    pub fn start() -> Self {
        // SAFETY: both read and set counters of SQLite's own.
        let heap = unsafe {
            ffi::sqlite3_memory_highwater(1);
            ffi::sqlite3_memory_used()
        };
        Self { heap, wall: Instant::now(), cpu: cpu_seconds() }
    }

    pub fn stop(self) -> Spent {
        let cpu = cpu_seconds() - self.cpu;
        let wall = self.wall.elapsed().as_secs_f64();
        // SAFETY: as above.
        let (used, most) =
            unsafe { (ffi::sqlite3_memory_used(), ffi::sqlite3_memory_highwater(0)) };
        Spent { cpu, wall, grown: used - self.heap, peak: most - self.heap }
    }
}

/// Times work.
pub fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<Spent, E> {
    let watch = Watch::start();
    work()?;
    Ok(watch.stop())
}

/// Times short work, done so many times; fewer where one of them takes long, and then the figure
/// stands for all.
pub fn timed_times<E>(times: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Spent, E> {
    const ENOUGH_SECONDS: f64 = 0.1;
    let (watch, mut done) = (Watch::start(), 0);
    while done < times && (done == 0 || watch.wall.elapsed().as_secs_f64() < ENOUGH_SECONDS) {
        work()?;
        done += 1;
    }
    Ok(watch.stop().times(times as f64 / done as f64))
}

/// Processor time of the whole process: the system's share of it too.
#[cfg(unix)]
fn cpu_seconds() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a timespec to be filled in.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

/// Elsewhere the wall's time stands in.
#[cfg(not(unix))]
fn cpu_seconds() -> f64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}
