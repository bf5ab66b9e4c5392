//! Numbers that look random and are the same on every run with the same seed, and the edges at
//! which programs go wrong.

use crsql::words::value::Value;

/// A sequence of numbers.
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number below `n`; 0 where `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % (n.max(1) as u64)) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Any bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }

    /// A number near an edge, or near `old`.
    pub fn edge(&mut self, old: u64) -> u64 {
        let edges: [u64; 8] =
            [1 << 7, 1 << 14, 1 << 15, 1 << 31, 1 << 32, 1 << 40, 1 << 53, 1 << 63];
        match self.below(8) {
            0 => 0,
            1 => 1,
            2 => old.wrapping_add(1),
            3 => old.wrapping_sub(1),
            4 => self.below(20) as u64,
            5 => self.pick(&edges).wrapping_sub(1 + self.below(2) as u64),
            6 => self.pick(&edges).wrapping_add(self.below(2) as u64),
            _ => {
                let shift = self.below(64);
                self.next() >> shift
            }
        }
    }

    /// A value of any storage class, often an odd one.
    pub fn value(&mut self) -> Value {
        let reals = [0.0, -0.0, 1.0, -1.5, f64::INFINITY, f64::NEG_INFINITY, 1e308, 5e-324, 9e18];
        let words = ["", "a", "-1", "12", "1.0", "\0", "a\0b", "'; DROP TABLE plain; --", "é"];
        match self.below(9) {
            0 => Value::Null,
            1 => Value::Int(self.below(10) as i64),
            2 => Value::Int(self.edge(0).cast_signed()),
            3 => Value::Real(*self.pick(&reals)),
            4 => Value::text(*self.pick(&words)),
            5 => {
                let n = self.below(12);
                Value::Text(self.bytes(n))
            }
            6 => {
                let n = if self.one_in(40) { self.below(70_000) } else { self.below(200) };
                Value::Blob(self.bytes(n))
            }
            7 => Value::text(format!("0192f0c4-7a3b-7def-8123-4567{:08x}", self.next() as u32)),
            _ => Value::Blob(Vec::new()),
        }
    }
}
