//! The rows: the same on every run. A row of the usual shape has six values and, its integer key
//! included, 90 bytes of plain data: 3 (key) + 4 + 2 (integers) + 8 (real) + 12 + 24 + 37 (texts).

use rusqlite::types::Value;

/// Which kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Int,
    Uuid,
    Blob,
}

/// What a table looks like, and how many rows it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub key: Key,
    /// The key included.
    pub columns: usize,
    /// Every value is a text of so many bytes. None for the usual mix of numbers and texts.
    pub value_bytes: Option<usize>,
    pub rows: usize,
}

/// The usual values, one after the other: their type and their bytes.
const MIX: [(&str, usize); 6] =
    [("INTEGER", 4), ("INTEGER", 2), ("REAL", 8), ("TEXT", 12), ("TEXT", 24), ("TEXT", 37)];

/// Plain data that a table of any shape stays below, so that a run fits into memory and on the
/// disk: wide rows and large values come with fewer rows.
const DATA_BYTES_MAX: usize = 100_000_000;

impl Shape {
    /// Key and six values.
    pub const fn usual(rows: usize) -> Self {
        Self { key: Key::Int, columns: 7, value_bytes: None, rows }
    }

    /// With fewer rows where it would be too large, in whole thousands.
    pub fn fitting(self) -> Self {
        let most = DATA_BYTES_MAX / self.row_bytes() / 1000 * 1000;
        Self { rows: self.rows.min(most.max(1000)), ..self }
    }

    /// Columns that are not the key.
    pub fn values(&self) -> usize {
        self.columns - 1
    }

    /// Bytes of plain data in a row.
    pub fn row_bytes(&self) -> usize {
        let key = match self.key {
            Key::Int => 3,
            Key::Uuid => 36,
            Key::Blob => 16,
        };
        let mixed = |i: usize| MIX[i % MIX.len()].1;
        key + (0..self.values()).map(|i| self.value_bytes.unwrap_or(mixed(i))).sum::<usize>()
    }

    /// The definition of a table of this shape.
    pub fn ddl(&self, table: &str) -> String {
        let key = match self.key {
            Key::Int => "INTEGER",
            Key::Uuid => "TEXT",
            Key::Blob => "BLOB",
        };
        let mut text = format!("CREATE TABLE {table}(id {key} PRIMARY KEY NOT NULL");
        for i in 0..self.values() {
            let kind = if self.value_bytes.is_some() { "TEXT" } else { MIX[i % MIX.len()].0 };
            text += &format!(", {} {kind}", column(i));
        }
        text + ")"
    }

    /// The key of a row; the first is 1.
    pub fn key(&self, id: usize) -> Value {
        let mut r = Random::new(id as u64);
        self.key_from(id, r.next(), r.next())
    }

    fn key_from(&self, id: usize, hi: u64, lo: u64) -> Value {
        match self.key {
            Key::Int => Value::Integer(id as i64),
            Key::Uuid => Value::Text(format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                hi >> 32,
                hi & 0xffff,
                hi >> 16 & 0xfff,
                lo >> 52,
                lo & 0xffff_ffff_ffff
            )),
            Key::Blob => Value::Blob([hi.to_be_bytes(), lo.to_be_bytes()].concat()),
        }
    }

    fn value(&self, i: usize, r: &mut Random) -> Value {
        if let Some(bytes) = self.value_bytes {
            return Value::Text(r.text(bytes));
        }
        match i % MIX.len() {
            0 => Value::Integer((1 << 30) + r.below(1 << 30) as i64),
            1 => Value::Integer(1000 + r.below(30_000) as i64),
            2 => Value::Real(r.below(1 << 40) as f64 / 1024.0 + 0.3),
            text => Value::Text(r.text(MIX[text].1)),
        }
    }

    /// The row with this number; the first is 1.
    pub fn row(&self, id: usize) -> Row {
        let mut r = Random::new(id as u64);
        let key = self.key_from(id, r.next(), r.next());
        Row { key, values: (0..self.values()).map(|i| self.value(i, &mut r)).collect() }
    }

    /// `n` rows, from this number on.
    pub fn rows(&self, from: usize, n: usize) -> Vec<Row> {
        (from..from + n).map(|id| self.row(id)).collect()
    }

    /// `n` updates of random rows, some of them more than once: the row's key and new values for
    /// its columns `at`. None writes what is there already.
    pub fn updates(&self, seed: u64, n: usize, at: &[usize]) -> Vec<Row> {
        let mut r = Random::new(seed);
        let mut one = |_| {
            let id = 1 + r.below(self.rows as u64) as usize;
            let values = at.iter().map(|i| self.value(*i, &mut r)).collect();
            Row { key: self.key(id), values }
        };
        (0..n).map(&mut one).collect()
    }

    /// The keys of `n` rows, in any order, each once.
    pub fn some_keys(&self, seed: u64, n: usize) -> Vec<Value> {
        let mut all: Vec<usize> = (1..=self.rows).collect();
        Random::new(seed).shuffle(&mut all);
        all.iter().take(n).map(|id| self.key(*id)).collect()
    }
}

/// The name of the value column `i`: a, b, ..., z, a1, b1, ...
pub fn column(i: usize) -> String {
    let letter = char::from(b'a' + (i % 26) as u8);
    if i < 26 { letter.to_string() } else { format!("{letter}{}", i / 26) }
}

/// A row, or what is written to one.
#[derive(Clone, Debug)]
pub struct Row {
    pub key: Value,
    pub values: Vec<Value>,
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
}
