//! What every measure is handed: how many rows, how many rounds, where the files are; and the
//! prepared databases that measures copy instead of filling them again.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::clock::Watch;
use crate::data::{Row, rows};
use crate::sheet::Pair;
use crate::side::{self, Key, Lib, Result, TXN_ROWS};

/// One run of the benchmarks.
pub struct Run {
    pub rows: usize,
    pub rounds: usize,
    pub quick: bool,
    pub lib: PathBuf,
    dir: tempfile::TempDir,
    data: OnceCell<Vec<Row>>,
    base: OnceCell<Both<PathBuf>>,
}

/// Something of each side.
#[derive(Clone, Copy, Debug)]
pub struct Both<T> {
    pub plain: T,
    pub crsql: T,
}

impl Run {
    pub fn new(rows: usize, rounds: usize, quick: bool, lib: PathBuf) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("crsql-benches-").tempdir()?;
        let (data, base) = (OnceCell::new(), OnceCell::new());
        Ok(Self { rows, rounds, quick, lib, dir, data, base })
    }

    /// The rows with the keys 1 to `self.rows`.
    pub fn data(&self) -> &[Row] {
        self.data.get_or_init(|| rows(1, self.rows))
    }

    pub fn lib(&self) -> Lib<'_> {
        Some(&self.lib)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Two empty databases with the table.
    pub fn fresh(&self, name: &str, key: Key) -> Result<Both<Connection>> {
        let plain = side::create(&self.path(&format!("{name}-plain.db")), None, key)?;
        let crsql = side::create(&self.path(&format!("{name}-crsql.db")), self.lib(), key)?;
        Ok(Both { plain, crsql })
    }

    /// The closed files with all rows in them, integer key.
    fn base(&self) -> Result<&Both<PathBuf>> {
        if let Some(base) = self.base.get() {
            return Ok(base);
        }
        let both = self.fresh("base", Key::Int)?;
        side::insert(&both.plain, Key::Int, self.data(), TXN_ROWS)?;
        side::insert(&both.crsql, Key::Int, self.data(), TXN_ROWS)?;
        let paths = Both { plain: self.path("base-plain.db"), crsql: self.path("base-crsql.db") };
        Ok(self.base.get_or_init(|| paths))
    }

    /// Copies of the databases with all rows in them, opened and read once.
    pub fn full(&self, name: &str) -> Result<Both<Connection>> {
        Ok(Both { plain: self.full_plain(name)?, crsql: self.full_crsql(name)? })
    }

    /// The plain one alone.
    pub fn full_plain(&self, name: &str) -> Result<Connection> {
        self.opened(&self.base()?.plain, &format!("{name}-plain.db"), None)
    }

    /// The replicated one alone.
    pub fn full_crsql(&self, name: &str) -> Result<Connection> {
        self.opened(&self.base()?.crsql, &format!("{name}-crsql.db"), self.lib())
    }

    fn opened(&self, base: &Path, name: &str, lib: Lib<'_>) -> Result<Connection> {
        let path = self.path(name);
        side::copy(base, &path)?;
        let conn = side::open(&path, lib)?;
        let found = side::count(&conn)?;
        if found != self.rows {
            return Err(format!("{name} has {found} rows, not {}", self.rows).into());
        }
        Ok(conn)
    }
}

/// Runs both sides in steps, turn by turn, so that whatever else the machine does falls on both.
pub fn duel(
    steps: usize,
    mut plain: impl FnMut(usize) -> Result<()>,
    mut crsql: impl FnMut(usize) -> Result<()>,
) -> Result<Pair> {
    let mut pair = Pair::default();
    for step in 0..steps {
        for turn in 0..2 {
            let watch = Watch::start();
            if (step + turn) % 2 == 0 {
                plain(step)?;
                pair.plain += watch.stop();
            } else {
                crsql(step)?;
                pair.crsql += watch.stop();
            }
        }
    }
    Ok(pair)
}

/// The same over the parts of a list.
pub fn duel_over<T>(
    items: &[T],
    per: usize,
    mut plain: impl FnMut(&[T]) -> Result<()>,
    mut crsql: impl FnMut(&[T]) -> Result<()>,
) -> Result<Pair> {
    let parts: Vec<&[T]> = items.chunks(per).collect();
    duel(parts.len(), |i| plain(parts[i]), |i| crsql(parts[i]))
}
