//! What every measure is handed: the shape, the rounds, where the files are, the prepared databases
//! that measures copy instead of filling them again; and the turns in which sides run.

use std::cell::OnceCell;
use std::path::PathBuf;

use crate::clock::{Spent, Watch, timed};
use crate::data::{Row, Shape};
use crate::growth::Growth;
use crate::sheet::Turn;
use crate::side::{self, CANNOT, Db, Result, Side, TXN_ROWS, expect};
use crate::texts::Typed;

/// One run of the benchmarks.
pub struct Run {
    pub shape: Shape,
    pub rounds: usize,
    pub growth: Growth,
    /// Plain, session, crsql and the peers, in this order.
    pub sides: Vec<Side>,
    dir: tempfile::TempDir,
    data: OnceCell<Vec<Row>>,
    /// The files with all rows in them, closed: by side.
    bases: Vec<OnceCell<std::result::Result<Base, String>>>,
    typed: OnceCell<std::result::Result<Typed, String>>,
}

/// A file with all rows, and where a reader stood after each transaction of `TXN_ROWS`.
struct Base {
    path: PathBuf,
    marks: Vec<i64>,
}

impl Run {
    pub fn new(shape: Shape, rounds: usize, growth: Growth, sides: Vec<Side>) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("crsql-benches-").tempdir()?;
        let bases = sides.iter().map(|_| OnceCell::new()).collect();
        let (data, typed) = Default::default();
        Ok(Self { shape, rounds, growth, sides, dir, data, bases, typed })
    }

    pub fn rows(&self) -> usize {
        self.shape.rows
    }

    /// The rows with the keys 1 to `self.rows()`.
    pub fn data(&self) -> &[Row] {
        self.data.get_or_init(|| self.shape.rows(1, self.rows()))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn plain(&self) -> &Side {
        &self.sides[crate::sheet::BASE]
    }

    pub fn crsql(&self) -> &Side {
        &self.sides[crate::sheet::OURS]
    }

    /// A side's file of that name.
    pub fn file(&self, side: &Side, name: &str) -> PathBuf {
        self.path(&format!("{name}-{}.db", side.name))
    }

    /// An empty database with the table.
    pub fn fresh(&self, side: &Side, name: &str) -> Result<Db> {
        Db::create(side, &self.file(side, name), &self.shape)
    }

    fn base(&self, side: &Side) -> Result<&Base> {
        let at = self.sides.iter().position(|s| s.name == side.name).ok_or("an unknown side")?;
        let fill = || self.fill(side).map_err(|e| e.to_string());
        Ok(self.bases[at].get_or_init(fill).as_ref().map_err(Clone::clone)?)
    }

    fn fill(&self, side: &Side) -> Result<Base> {
        let db = self.fresh(side, "base")?;
        let mut marks = Vec::new();
        for rows in self.data().chunks(TXN_ROWS) {
            db.insert(rows, TXN_ROWS)?;
            marks.push(db.mark()?);
        }
        Ok(Base { path: db.path.clone(), marks })
    }

    /// The marks of the database that `full` copies.
    pub fn marks(&self, side: &Side) -> Result<&[i64]> {
        Ok(&self.base(side)?.marks)
    }

    /// A copy of the database with all rows in it, opened and read once. A side has one at a time,
    /// as large tables take room on the disk.
    pub fn full(&self, side: &Side) -> Result<Db> {
        let path = self.file(side, "full");
        side::remove(&path);
        std::fs::copy(&self.base(side)?.path, &path)?;
        let db = Db::open(side, &path, &self.shape)?;
        expect("a copy", db.count()?, self.rows())?;
        Ok(db)
    }

    /// The text that several tables tell of, typed once.
    pub fn typed(&self) -> Result<&Typed> {
        let typed = self.typed.get_or_init(|| Typed::new(self).map_err(|e| e.to_string()));
        Ok(typed.as_ref().map_err(Clone::clone)?)
    }

    /// Something of each side.
    pub fn each<S>(&self, make: impl Fn(&Side) -> Result<S>) -> Sides<S> {
        Sides::new(self.sides.iter().map(|side| || make(side)))
    }

    /// A database of each side, empty or full.
    pub fn each_fresh(&self) -> Sides<Db> {
        self.each(|side| self.fresh(side, "fresh"))
    }

    pub fn each_full(&self) -> Sides<Db> {
        self.each(|side| self.full(side))
    }
}

/// The sides of a measure, each with what it works on, or why it is out.
pub struct Sides<S> {
    states: Vec<std::result::Result<S, String>>,
    /// How much of SQLite's heap each holds between its turns.
    held: Vec<i64>,
}

impl<S> Sides<S> {
    fn new<F: FnOnce() -> Result<S>>(makers: impl Iterator<Item = F>) -> Self {
        let (mut states, mut held) = (Vec::new(), Vec::new());
        for make in makers {
            let watch = Watch::start();
            states.push(make().map_err(|e| e.to_string()));
            held.push(watch.stop().grown);
        }
        Self { states, held }
    }

    /// Two things that are there already.
    pub fn two(base: S, ours: S) -> Self {
        Self::of(vec![base, ours])
    }

    /// Several things that are there already.
    pub fn of(things: Vec<S>) -> Self {
        Self { held: vec![0; things.len()], states: things.into_iter().map(Ok).collect() }
    }

    /// Runs the sides in steps, turn by turn, so that whatever else the machine does falls on all.
    /// A side that fails is out.
    pub fn turns(
        &mut self,
        steps: usize,
        mut work: impl FnMut(&mut S, usize) -> Result<Spent>,
    ) -> Vec<Turn> {
        let start = |held: &i64| Spent { grown: *held, peak: *held, ..Spent::default() };
        let mut spent: Vec<Spent> = self.held.iter().map(start).collect();
        let sides = self.states.len();
        for step in 0..steps {
            for turn in 0..sides {
                let at = (step + turn) % sides;
                let Ok(state) = &mut self.states[at] else { continue };
                match work(state, step) {
                    Ok(took) => spent[at] += took,
                    Err(e) => self.states[at] = Err(e.to_string()),
                }
            }
        }
        self.held = spent.iter().map(|s| s.grown).collect();
        let of = |(state, spent): (&std::result::Result<S, String>, Spent)| match state {
            Ok(_) => Ok(spent),
            Err(why) => Err(why.clone()),
        };
        self.states.iter().zip(spent).map(of).collect()
    }

    /// The same where all of the work counts, on a part of a list a step.
    pub fn turns_over<T>(
        &mut self,
        items: &[T],
        per: usize,
        work: impl Fn(&mut S, &[T]) -> Result<()>,
    ) -> Vec<Turn> {
        let parts: Vec<&[T]> = items.chunks(per).collect();
        self.turns(parts.len(), |state, step| timed(|| work(state, parts[step])))
    }

    /// What is not timed: checks, and figures of other kinds.
    pub fn tell<T>(
        &mut self,
        mut work: impl FnMut(&mut S) -> Result<T>,
    ) -> Vec<std::result::Result<T, String>> {
        let mut told = Vec::new();
        for state in &mut self.states {
            let one = match state {
                Ok(s) => work(s).map_err(|e| e.to_string()),
                Err(why) => Err(why.clone()),
            };
            if let Err(why) = &one {
                *state = Err(why.clone());
            }
            told.push(one);
        }
        told
    }
}

/// Two pieces of work turn by turn, in the columns of plain SQLite and of crsql.
pub fn duel<'a>(
    steps: usize,
    base: impl FnMut(usize) -> Result<Spent> + 'a,
    ours: impl FnMut(usize) -> Result<Spent> + 'a,
) -> Vec<Turn> {
    type Step<'a> = Box<dyn FnMut(usize) -> Result<Spent> + 'a>;
    let mut both: Sides<Step<'a>> = Sides::two(Box::new(base), Box::new(ours));
    two_columns(both.turns(steps, |work, step| work(step)))
}

/// What two sides came to, in those columns.
pub fn two_columns<T>(
    mut turns: Vec<std::result::Result<T, String>>,
) -> Vec<std::result::Result<T, String>> {
    turns.insert(1, Err(CANNOT.to_owned()));
    turns
}

/// The part of a list that belongs to one of so many steps.
pub fn share<T>(list: &[T], step: usize, steps: usize) -> &[T] {
    let at = |step: usize| list.len() * step / steps;
    &list[at(step)..at(step + 1)]
}
