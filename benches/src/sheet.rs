//! What was measured, and how it stands to the goals.

use std::collections::HashMap;

use crate::clock::Spent;
use crate::side::CANNOT;

/// The columns of a line. For growth, `BASE` is the small database and `OURS` the large one; both
/// are crsql's.
pub const BASE: usize = 0;
pub const OURS: usize = 2;

/// What a line of the sheet must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// CPU time, as a multiple of the base's. Half as much again is still let pass.
    Times(f64),
    /// No more CPU time than plain SQLite. Two runs of one program differ by a few in a hundred,
    /// so up to 1.05 counts as reached.
    Same,
    /// A figure without a goal of its own.
    Shown,
    /// The file's size, as a multiple of plain SQLite's. Nothing above it is let pass.
    Size(f64),
    /// Bytes for each row. Nothing above it is let pass.
    Bytes(f64),
    /// How much more the same work may cost where there is more of everything else.
    Growth(f64),
}

/// How a figure stands to its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    Reached,
    Within,
    Beyond,
    NoGoal,
    NotMeasured,
}

impl Goal {
    /// The goal itself.
    pub fn figure(self) -> Option<f64> {
        match self {
            Goal::Times(g) | Goal::Size(g) | Goal::Bytes(g) | Goal::Growth(g) => Some(g),
            Goal::Same => Some(1.0),
            Goal::Shown => None,
        }
    }

    /// The greatest figure that passes.
    pub fn limit(self) -> Option<f64> {
        match self {
            Goal::Times(_) | Goal::Same => self.figure().map(|goal| goal * 1.5),
            _ => self.figure(),
        }
    }

    pub fn stands(self, figure: Option<f64>) -> Stands {
        let Some(figure) = figure else { return Stands::NotMeasured };
        let (Some(goal), Some(limit)) = (self.figure(), self.limit()) else {
            return Stands::NoGoal;
        };
        let noise = if self == Goal::Same { 1.05 } else { 1.0 };
        if figure <= goal * noise {
            Stands::Reached
        } else if figure <= limit {
            Stands::Within
        } else {
            Stands::Beyond
        }
    }
}

/// What one turn came to, or why it came to nothing.
pub type Turn = Result<Spent, String>;

/// What a side did in a line.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Of every round.
    Times(Vec<Spent>),
    Bytes(f64),
    /// Not, and why.
    Not(String),
}

/// The middle, the least and the greatest.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = figures.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let at = |i: usize| all.get(i).copied().unwrap_or(f64::NAN);
        let half = all.len() / 2;
        let median =
            if all.len() % 2 == 1 { at(half) } else { (at(half.wrapping_sub(1)) + at(half)) / 2.0 };
        Self { median, min: at(0), max: at(all.len().wrapping_sub(1)) }
    }
}

/// Why a side has no figure, as the table says it: `-`, `not available: f` or `FAILED: why`.
fn told(error: &str) -> String {
    let missing = error.split("no such function: ").nth(1);
    match missing.or(error.split("no such table: ").nth(1)) {
        _ if error == CANNOT => CANNOT.to_owned(),
        Some(name) => {
            format!("not available: {}", name.split_whitespace().next().unwrap_or(name))
        }
        None => format!("FAILED: {error}"),
    }
}

/// A piece of work: what each side came to.
#[derive(Clone, Debug)]
pub struct Line {
    /// Rows or calls of a round.
    pub units: usize,
    pub cells: Vec<Cell>,
}

impl Line {
    /// Microseconds of a unit by CPU time, or bytes.
    pub fn amount(&self, side: usize) -> Option<f64> {
        match self.cells.get(side)? {
            Cell::Times(rounds) => {
                Some(Spread::of(rounds.iter().map(|r| r.cpu * 1e6 / self.units as f64)).median)
            }
            Cell::Bytes(bytes) => Some(*bytes),
            Cell::Not(_) => None,
        }
    }

    /// A side's figure to the base's, round by round.
    pub fn ratio(&self, side: usize, of: fn(&Spent) -> f64) -> Option<Spread> {
        match (self.cells.get(BASE)?, self.cells.get(side)?) {
            (Cell::Times(base), Cell::Times(ours)) => {
                Some(Spread::of(base.iter().zip(ours).map(|(b, o)| of(o) / of(b))))
            }
            (Cell::Bytes(base), Cell::Bytes(ours)) => Some(Spread::of([ours / base])),
            _ => None,
        }
    }

    /// The most that SQLite's heap took on this side.
    pub fn heap(&self, side: usize) -> Option<i64> {
        match self.cells.get(side)? {
            Cell::Times(rounds) => rounds.iter().map(|r| r.peak).max(),
            _ => None,
        }
    }

    pub fn error(&self, side: usize) -> Option<&str> {
        match self.cells.get(side)? {
            Cell::Not(why) => Some(why),
            _ => None,
        }
    }

    /// The figure that the goal is about.
    pub fn figure(&self, goal: Goal) -> Option<f64> {
        match goal {
            Goal::Bytes(_) => self.amount(OURS),
            _ => self.ratio(OURS, |s| s.cpu).map(|r| r.median),
        }
    }
}

/// One piece of work: its name and its goal.
#[derive(Clone, Copy, Debug)]
pub struct Work(pub &'static str, pub Goal);

/// Where the groups put what they measured.
#[derive(Default)]
pub struct Sheet {
    found: HashMap<&'static str, Line>,
}

impl Sheet {
    /// Adds one round of a piece of work. A side that failed in one has no figure.
    pub fn round(&mut self, work: Work, units: usize, turns: Vec<Turn>) {
        let empty = || vec![Cell::Times(Vec::new()); turns.len()];
        let line = self.found.entry(work.0).or_insert_with(|| Line { units, cells: empty() });
        for (cell, turn) in line.cells.iter_mut().zip(turns) {
            match (&mut *cell, turn) {
                (Cell::Times(rounds), Ok(spent)) => rounds.push(spent),
                (Cell::Times(_), Err(why)) => *cell = Cell::Not(told(&why)),
                _ => {}
            }
        }
    }

    /// Sets amounts of bytes.
    pub fn bytes(&mut self, work: Work, sides: Vec<Result<f64, String>>) {
        let cell = |r: Result<f64, String>| r.map_or_else(|e| Cell::Not(told(&e)), Cell::Bytes);
        let line = Line { units: 1, cells: sides.into_iter().map(cell).collect() };
        self.found.insert(work.0, line);
    }

    /// Notes that a piece of work did not run, unless it did.
    pub fn failed(&mut self, work: Work, error: &str) {
        let cells = vec![Cell::Not(told(error)); OURS + 1];
        self.found.entry(work.0).or_insert(Line { units: 1, cells });
    }

    pub fn get(&self, work: Work) -> Option<&Line> {
        self.found.get(work.0)
    }
}
