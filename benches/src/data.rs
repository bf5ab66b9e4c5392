//! The rows: the same on every run. A row has six values and, its integer key included, 90 bytes
//! of plain data: 3 (key) + 4 + 2 (integers) + 8 (real) + 12 + 24 + 37 (texts).

/// Bytes of plain data in a row with an integer key.
pub const PLAIN_BYTES: f64 = 90.0;

/// One row, for the table with an integer key and for the one with a UUID key.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: i64,
    pub uuid: String,
    pub a: i64,
    pub b: i64,
    pub c: f64,
    pub d: String,
    pub e: String,
    pub f: String,
}

/// A small generator of random numbers (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(0x1234_5678_9abc_def1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn text(&mut self, len: usize) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz   -.,";
        (0..len).map(|_| LETTERS[self.below(32) as usize] as char).collect()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }

    /// 16 random bytes.
    pub fn site(&mut self) -> [u8; 16] {
        let mut site = [0; 16];
        site[..8].copy_from_slice(&self.next().to_be_bytes());
        site[8..].copy_from_slice(&self.next().to_be_bytes());
        site
    }
}

impl Row {
    /// The row with this key, which begins at 1.
    pub fn new(id: i64) -> Self {
        let mut r = Random::new(id as u64);
        let (hi, lo) = (r.next(), r.next());
        let uuid = format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            hi >> 32,
            hi & 0xffff,
            hi >> 16 & 0xfff,
            lo >> 52,
            lo & 0xffff_ffff_ffff
        );
        Self {
            id,
            uuid,
            a: (1 << 30) + r.below(1 << 30) as i64,
            b: 1000 + r.below(30_000) as i64,
            c: r.below(1 << 40) as f64 / 1024.0 + 0.3,
            d: r.text(12),
            e: r.text(24),
            f: r.text(37),
        }
    }
}

/// The rows with the keys `from` to `from + n - 1`.
pub fn rows(from: usize, n: usize) -> Vec<Row> {
    (from..from + n).map(|i| Row::new(i as i64)).collect()
}

/// `n` keys of 1 to `of`, in any order, some of them more than once.
pub fn random_ids(seed: u64, n: usize, of: usize) -> Vec<i64> {
    let mut r = Random::new(seed);
    (0..n).map(|_| 1 + r.below(of as u64) as i64).collect()
}

/// The same, each with a number of its own: what is written twice to a row differs.
pub fn random_writes(seed: u64, n: usize, of: usize) -> Vec<(i64, i64)> {
    random_ids(seed, n, of).into_iter().zip(1..).collect()
}

/// `n` of the keys 1 to `of`, in any order, each once.
pub fn distinct_ids(seed: u64, n: usize, of: usize) -> Vec<i64> {
    let mut all: Vec<i64> = (1..=of as i64).collect();
    Random::new(seed).shuffle(&mut all);
    all.truncate(n);
    all
}
