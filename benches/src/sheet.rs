//! What was measured, and how it stands to the goals.

use std::collections::HashMap;

use crate::clock::Spent;

/// What a line of the sheet must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// CPU time, as a multiple of plain SQLite's. Half as much again is still let pass.
    Times(f64),
    /// CPU time without a goal of its own.
    Shown,
    /// The file's size, as a multiple of plain SQLite's. Nothing above it is let pass.
    Size(f64),
    /// Bytes for each row. Nothing above it is let pass.
    Bytes(f64),
    /// How much more the same work may cost where there is more of everything else.
    Growth(f64),
}

impl Goal {
    /// The greatest figure that passes.
    pub fn limit(self) -> Option<f64> {
        match self {
            Goal::Times(goal) => Some(goal * 1.5),
            Goal::Shown => None,
            Goal::Size(goal) | Goal::Bytes(goal) | Goal::Growth(goal) => Some(goal),
        }
    }

    /// The goal itself.
    pub fn figure(self) -> Option<f64> {
        match self {
            Goal::Times(g) | Goal::Size(g) | Goal::Bytes(g) | Goal::Growth(g) => Some(g),
            Goal::Shown => None,
        }
    }
}

/// The two sides of one round. For growth: the small and the large database, both with crsql.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pair {
    pub plain: Spent,
    pub crsql: Spent,
}

/// What a piece of work came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Times of several rounds, for `units` rows or calls each.
    Times { units: usize, rounds: Vec<Pair> },
    /// Two amounts of bytes.
    Bytes { plain: f64, crsql: f64 },
    /// A function that the extension does not have.
    Missing(String),
    /// It did not run.
    Failed(String),
}

/// The middle, the least and the greatest.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = figures.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let at = |i: usize| all.get(i).copied().unwrap_or(f64::NAN);
        let half = all.len() / 2;
        let median =
            if all.len() % 2 == 1 { at(half) } else { (at(half.wrapping_sub(1)) + at(half)) / 2.0 };
        Self { median, min: at(0), max: at(all.len().wrapping_sub(1)) }
    }
}

impl Outcome {
    /// Microseconds of one unit, or bytes, on each side.
    pub fn sides(&self) -> Option<(f64, f64)> {
        match self {
            Outcome::Times { units, rounds } => {
                let us = 1e6 / *units as f64;
                let plain = Spread::of(rounds.iter().map(|r| r.plain.cpu * us));
                let crsql = Spread::of(rounds.iter().map(|r| r.crsql.cpu * us));
                Some((plain.median, crsql.median))
            }
            Outcome::Bytes { plain, crsql } => Some((*plain, *crsql)),
            Outcome::Missing(_) | Outcome::Failed(_) => None,
        }
    }

    /// crsql's figure to the other's, by CPU time.
    pub fn ratio(&self) -> Option<Spread> {
        match self {
            Outcome::Times { rounds, .. } => {
                Some(Spread::of(rounds.iter().map(|r| r.crsql.cpu / r.plain.cpu)))
            }
            Outcome::Bytes { plain, crsql } => Some(Spread::of([crsql / plain])),
            _ => None,
        }
    }

    /// The same by the wall's time.
    pub fn wall_ratio(&self) -> Option<Spread> {
        match self {
            Outcome::Times { rounds, .. } => {
                Some(Spread::of(rounds.iter().map(|r| r.crsql.wall / r.plain.wall)))
            }
            _ => None,
        }
    }

    /// The figure that the goal is about.
    pub fn figure(&self, goal: Goal) -> Option<f64> {
        match (goal, self) {
            (Goal::Bytes(_), Outcome::Bytes { crsql, .. }) => Some(*crsql),
            _ => self.ratio().map(|r| r.median),
        }
    }
}

/// One piece of work: its name and its goal.
#[derive(Clone, Copy, Debug)]
pub struct Work(pub &'static str, pub Goal);

/// Where the groups put what they measured.
#[derive(Default)]
pub struct Sheet {
    found: HashMap<&'static str, Outcome>,
}

impl Sheet {
    /// Adds one round of a piece of work.
    pub fn round(&mut self, name: &'static str, units: usize, pair: Pair) {
        let empty = Outcome::Times { units, rounds: Vec::new() };
        let slot = self.found.entry(name).or_insert(empty);
        if let Outcome::Times { rounds, .. } = slot {
            rounds.push(pair);
        }
    }

    /// Sets an amount of bytes.
    pub fn bytes(&mut self, name: &'static str, plain: f64, crsql: f64) {
        self.found.insert(name, Outcome::Bytes { plain, crsql });
    }

    /// Notes that a piece of work did not run, unless it did.
    pub fn failed(&mut self, name: &'static str, error: &str) {
        let outcome = match error.split("no such function: ").nth(1) {
            Some(f) => Outcome::Missing(f.split_whitespace().next().unwrap_or(f).to_owned()),
            None => Outcome::Failed(error.to_owned()),
        };
        self.found.entry(name).or_insert(outcome);
    }

    pub fn get(&self, name: &str) -> Option<&Outcome> {
        self.found.get(name)
    }
}
