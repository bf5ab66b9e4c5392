//! The targets under libFuzzer: it chooses which inputs to keep, by the code that they reach; what
//! is done to an input is ours, half of the time, because its own changes seldom leave a script or
//! a changeset whole.

use crate::rng::Rng;
use crate::targets::{self, Target};
use crate::world::World;
use crate::{host, worker};
use std::cell::OnceCell;

/// The program of one target.
#[macro_export]
macro_rules! guided {
    ($name:literal) => {
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::guided::run($name, input));
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
            match $crate::guided::change($name, &data[..size], most, seed) {
                Some(new) => {
                    data[..new.len()].copy_from_slice(&new);
                    new.len()
                }
                None => libfuzzer_sys::fuzzer_mutate(data, size, most),
            }
        });
    };
}

type Bench = (Box<dyn Target>, World);

thread_local! {
    static BENCH: OnceCell<Bench> = const { OnceCell::new() };
}

fn with<T>(name: &str, f: impl FnOnce(&Bench) -> T) -> T {
    BENCH.with(|bench| {
        f(bench.get_or_init(|| {
            host::start();
            (targets::named(name).expect("a target of that name"), World::made())
        }))
    })
}

/// Runs one input; what is wrong ends the process, which is how libFuzzer is told.
pub fn run(name: &str, input: &[u8]) {
    with(name, |(target, world)| {
        if let Err(e) = worker::timed(target.as_ref(), world, input) {
            panic!("{name}: {e}");
        }
    });
}

/// Another input of at most `most` bytes; none where libFuzzer should make it.
pub fn change(name: &str, input: &[u8], most: usize, seed: u32) -> Option<Vec<u8>> {
    let mut rng = Rng(u64::from(seed) << 20);
    with(name, |(target, world)| {
        let mut new = match rng.below(8) {
            0 => target.make(&mut rng, world),
            1 if target.is_bytes() => return None,
            _ => target.change(&mut rng, world, input),
        };
        if new.len() > most && !target.is_bytes() {
            // As many whole lines as there is room for.
            let end = new[..most].iter().rposition(|b| *b == b'\n').unwrap_or(0);
            new.truncate(end);
        }
        (new.len() <= most).then_some(new)
    })
}
