//! Time: what the process used of the processor, and what passed on the wall.

use std::ops::AddAssign;
use std::time::Instant;

/// A stretch of work, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub cpu: f64,
    pub wall: f64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Spent) {
        self.cpu += other.cpu;
        self.wall += other.wall;
    }
}

/// A running stopwatch.
pub struct Watch {
    cpu: f64,
    wall: Instant,
}

impl Watch {
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_seconds() }
    }

    pub fn stop(self) -> Spent {
        let cpu = cpu_seconds() - self.cpu;
        Spent { cpu, wall: self.wall.elapsed().as_secs_f64() }
    }
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
