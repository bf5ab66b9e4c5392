//! What must not grow: the cost of what is new as the table grows, as more sites become known and
//! as the same rows are written again and again; and the bookkeeping.

use std::path::Path;

use rusqlite::types::Value;

use crate::clock::{Spent, timed, timed_times};
use crate::data::{Row, Shape};
use crate::exchange::{NOTHING, nothing_new};
use crate::run::{Run, Sides, two_columns};
use crate::sheet::{Goal, Sheet, Work};
use crate::side::{self, Db, Result, Side, TXN_ROWS, expect};

const FLAT: Goal = Goal::Growth(1.3);

/// The work that is done on a small and on a large database.
macro_rules! works {
    ($what:literal) => {
        Works {
            write: Work(concat!($what, "one-row write"), FLAT),
            pull_rows: Work(concat!($what, "pull what is new, as rows"), FLAT),
            poll_rows: Work(concat!($what, "poll, nothing new, as rows"), FLAT),
            apply_rows: Work(concat!($what, "apply what is new, as rows"), FLAT),
            pull_set: Work(concat!($what, "pull what is new, as a changeset"), FLAT),
            poll_set: Work(concat!($what, "poll, nothing new, by vector"), FLAT),
            apply_set: Work(concat!($what, "apply what is new, as changesets"), FLAT),
        }
    };
}

struct Works {
    write: Work,
    pull_rows: Work,
    poll_rows: Work,
    apply_rows: Work,
    pull_set: Work,
    poll_set: Work,
    apply_set: Work,
}

impl Works {
    const fn all(&self) -> [Work; 7] {
        let Self { write, pull_rows, poll_rows, apply_rows, pull_set, poll_set, apply_set } = *self;
        [write, pull_rows, poll_rows, apply_rows, pull_set, poll_set, apply_set]
    }
}

const ROWS: Works = works!("rows: ");
const SITES: Works = works!("sites: ");
const VERSIONS: Works = works!("versions: ");

pub const PLAIN_WRITE: Work = Work("rows: plain SQLite's one-row write", Goal::Shown);
pub const BY_ROWS: [Work; 7] = ROWS.all();
pub const BY_SITES: [Work; 7] = SITES.all();
pub const BY_VERSIONS: [Work; 7] = VERSIONS.all();

/// How far the databases of this file grow.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    pub rows: usize,
    pub sites: usize,
    /// How often each of 1,000 rows is written.
    pub versions: usize,
    /// How many keystrokes make a text.
    pub keystrokes: usize,
}

impl Growth {
    pub const QUICK: Self = Self { rows: 100_000, sites: 1_000, versions: 100, keystrokes: 20_000 };
    pub const USUAL: Self =
        Self { rows: 1_000_000, sites: 1_000, versions: 1_000, keystrokes: 60_000 };
    pub const HUGE: Self =
        Self { rows: 10_000_000, sites: 1_000, versions: 10_000, keystrokes: TRACE };
}

/// A trace as long as the one that papers on text measure with: it leaves 100 KB.
const TRACE: usize = 260_000;

/// The small number of rows, and those that are rewritten.
pub const FEW: usize = 10_000;
pub const REWRITTEN: usize = 1_000;

/// A database of some size, in use: where a reader stood before and after the last 100 rows, and a
/// file that sends new ones.
pub struct Sized {
    pub db: Db,
    next: usize,
    marks: [i64; 2],
    vectors: [String; 2],
    sender: Option<Sender>,
}

struct Sender {
    db: Db,
    next: usize,
}

impl Sized {
    pub fn new(side: &Side, path: &Path, rows: usize) -> Result<Self> {
        let db = Db::create(side, path, &Shape::usual(rows))?;
        for from in (0..rows).step_by(TXN_ROWS) {
            db.insert(&db.shape.rows(from + 1, TXN_ROWS.min(rows - from)), TXN_ROWS)?;
        }
        db.size()?;
        Ok(Self { db, next: rows + 1, marks: [0; 2], vectors: Default::default(), sender: None })
    }

    /// Inserts rows, `per` to a transaction.
    fn add(&mut self, n: usize, per: usize) -> Result<()> {
        let new = self.db.shape.rows(self.next, n);
        self.next += n;
        self.db.insert(&new, per)
    }

    /// Inserts 100 rows and notes where a reader stands before and after.
    fn news(&mut self) -> Result<()> {
        let (mark, vector) = (self.db.mark()?, self.db.vector()?);
        self.add(NEWS, NEWS)?;
        self.marks = [mark, self.db.mark()?];
        self.vectors = [vector, self.db.vector()?];
        Ok(())
    }

    fn has_sender(&mut self) -> Result<()> {
        let path = self.db.path.with_extension("sender.db");
        let db = Db::create(&self.db.side, &path, &self.db.shape)?;
        self.sender = Some(Sender { db, next: SENDER_KEYS });
        Ok(())
    }

    /// Applies 100 new rows of the sender; only that is timed.
    fn apply(&self, sender: &mut Sender, by_rows: bool) -> Result<Spent> {
        let rows = self.db.shape.rows(sender.next, NEWS);
        sender.next += NEWS;
        sender.db.insert(&rows, NEWS)?;
        if by_rows {
            let parcel = sender.db.parcel(sender.db.mark()?, &rows)?;
            return timed(|| self.db.take(&parcel));
        }
        let blob = sender.db.changeset(&self.db.vector()?)?.ok_or("nothing was new")?;
        timed(|| self.db.apply(&blob))
    }

    fn applies(&mut self, by_rows: bool) -> Result<Spent> {
        let mut sender = self.sender.take().ok_or("no sender")?;
        let spent = self.apply(&mut sender, by_rows);
        self.sender = Some(sender);
        spent
    }
}

/// Rows that are new, and the first key that a sender gives.
const NEWS: usize = 100;
const SENDER_KEYS: usize = 1_000_000_000;

fn write(sheet: &mut Sheet, rounds: usize, sides: &mut Sides<Sized>, work: Work) {
    let (steps, each) = (20, 25);
    for _ in 0..rounds {
        let turns = sides.turns(steps, |s, _| timed(|| s.add(each, 1)));
        sheet.round(work, steps * each, two_columns(turns));
    }
}

/// Everything that has to stay as it is, on the small database and on the large one.
fn measure(run: &Run, sheet: &mut Sheet, small: Sized, large: Sized, works: &Works) {
    let mut sides = Sides::two(small, large);
    write(sheet, run.rounds, &mut sides, works.write);
    sides.tell(Sized::news);
    sides.tell(Sized::has_sender);
    for _ in 0..run.rounds {
        let mut put = |work, units, turns| sheet.round(work, units, two_columns(turns));
        let turns = sides.turns(100, |s, _| {
            timed(|| expect("what is new", s.db.since(s.marks[0])?, s.db.news(NEWS, 1)))
        });
        put(works.pull_rows, 100 * NEWS, turns);
        let turns = sides
            .turns(20, |s, _| timed_times(100, || expect("the poll", s.db.since(s.marks[1])?, 0)));
        put(works.poll_rows, 20 * 100, turns);
        let turns = sides.turns(100, |s, _| {
            timed(|| s.db.changeset(&s.vectors[0])?.map(drop).ok_or("nothing was new".into()))
        });
        put(works.pull_set, 100 * NEWS, turns);
        let turns = sides.turns(20, |s, _| timed_times(100, || nothing_new(&s.db, &s.vectors[1])));
        put(works.poll_set, 20 * 100, turns);
    }
    for _ in 0..run.rounds {
        let mut put = |work, turns| sheet.round(work, 10 * NEWS, two_columns(turns));
        put(works.apply_rows, sides.turns(10, |s, _| s.applies(true)));
        put(works.apply_set, sides.turns(10, |s, _| s.applies(false)));
    }
}

pub fn plain_by_rows(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let (plain, path) = (run.plain(), run.path("large-plain.db"));
    let small = Sized::new(plain, &run.path("small-plain.db"), FEW)?;
    let large = Sized::new(plain, &path, run.growth.rows)?;
    write(sheet, run.rounds, &mut Sides::two(small, large), PLAIN_WRITE);
    side::remove(&path);
    Ok(())
}

pub fn by_rows(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let small = Sized::new(run.crsql(), &run.path("small.db"), FEW)?;
    let path = run.path("large.db");
    let large = Sized::new(run.crsql(), &path, run.growth.rows)?;
    measure(run, sheet, small, large, &ROWS);
    side::remove(&path);
    Ok(())
}

/// With one site in the file, and with many: each of the others sent a row.
pub fn by_sites(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let small = Sized::new(run.crsql(), &run.path("one-site.db"), FEW)?;
    let large = Sized::new(run.crsql(), &run.path("many-sites.db"), FEW)?;
    for i in 1..run.growth.sites {
        let other = Db::create(run.crsql(), Path::new(":memory:"), &large.db.shape)?;
        other.insert(&large.db.shape.rows(SENDER_KEYS / 2 + i, 1), 1)?;
        large.db.apply(&other.changeset(NOTHING)?.ok_or("nothing was new")?)?;
    }
    let vector: serde_json::Value = serde_json::from_str(&large.db.vector()?)?;
    let sites = vector["seen"].as_object().map_or(0, serde_json::Map::len);
    expect("the vector's sites", sites, run.growth.sites)?;
    measure(run, sheet, small, large, &SITES);
    Ok(())
}

/// After one version of each row, and after very many.
pub fn by_versions(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let small = Sized::new(run.crsql(), &run.path("one-version.db"), REWRITTEN)?;
    let large = Sized::new(run.crsql(), &run.path("many-versions.db"), REWRITTEN)?;
    for version in 1..run.growth.versions {
        rewrite(&large.db, version, TXN_ROWS)?;
    }
    measure(run, sheet, small, large, &VERSIONS);
    Ok(())
}

/// Writes every row of the database once more.
fn rewrite(db: &Db, version: usize, per: usize) -> Result<()> {
    let row = |id: usize| Row {
        key: Value::Integer(id as i64),
        values: vec![Value::Integer((version * 1000 + id) as i64)],
    };
    let rows: Vec<Row> = (1..=db.shape.rows).map(row).collect();
    db.update(&rows, &[0], per)
}

pub const FILE: Work = Work("file: 1,000 rows rewritten 200 times, to 20 times", FLAT);
pub const FILE_ONE: Work = Work("file: 100 rows so, one to a transaction", FLAT);

/// How large the file is after the same rows were written many times, to after a few.
pub fn file(run: &Run, sheet: &mut Sheet) -> Result<()> {
    for (work, rows, per) in [(FILE, 1000, TXN_ROWS), (FILE_ONE, 100, 1)] {
        let db = Sized::new(run.crsql(), &run.path("rewritten.db"), rows)?.db;
        let mut few = 0;
        for version in 1..=200 {
            rewrite(&db, version, per)?;
            if version == 20 {
                few = db.size()?;
            }
        }
        sheet.bytes(work, two_columns(vec![Ok(few as f64), Ok(db.size()? as f64)]));
    }
    Ok(())
}
