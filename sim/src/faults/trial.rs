//! One fault in one script: the statement fails with SQLite's word for it or does what it does
//! when nothing fails, all of it; and when the fault is gone everything works.

use super::point::{self, Kind, Point};
use super::prepare::{self, DIED, Deed, FRESH, LOOKED, Prepared, TESTED, before, run};
use super::state::{self, Disk, shown};
use crate::host::{self, Failed};
use rusqlite::Connection;

/// What a fault did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The script did not come to it.
    Untouched,
    /// No statement failed by it.
    Absorbed,
    Failed,
}

struct Trial<'a> {
    of: &'a Prepared,
    point: Point,
    db: Option<Connection>,
    failed: bool,
    /// Somebody else had the lock, and a statement did less for it.
    less: bool,
}

/// Where a step stopped: the deed, and what it said.
type Stumble = (usize, Failed);

/// Runs the script with a fault.
pub fn trial(of: &Prepared, point: Point) -> Result<Outcome, String> {
    let done = Trial { of, point, db: None, failed: false, less: false }.run();
    point::disarm();
    done
}

fn text(e: Failed) -> String {
    format!("{} ({})", e.text, e.code)
}

impl Trial<'_> {
    fn run(mut self) -> Result<Outcome, String> {
        self.of.disk.put(TESTED);
        before(0, &self.of.disk);
        self.db = Some(prepare::open(&self.of.script).map_err(text)?);
        point::arm(self.point);
        let mut outcome = None;
        for at in 0..self.of.steps.len() {
            if !self.of.steps[at].faults && outcome.is_none() {
                outcome = Some(self.fault_is_over(at)?);
                if outcome == Some(Outcome::Untouched) {
                    return Ok(Outcome::Untouched);
                }
            }
            if let Err(stumble) = self.step(at)? {
                self.stumbled(at, stumble)?;
            }
        }
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => self.fault_is_over(self.of.steps.len())?,
        };
        if outcome != Outcome::Untouched {
            self.ends()?;
        }
        Ok(outcome)
    }

    /// No more faults; the file holds what it has to at this point.
    fn fault_is_over(&self, at: usize) -> Result<Outcome, String> {
        let struck = point::disarm();
        if struck {
            self.is(&[at]).map_err(|e| format!("after the faults, {e}"))?;
        }
        Ok(match (struck || self.failed, self.failed) {
            (false, _) => Outcome::Untouched,
            (true, false) => Outcome::Absorbed,
            (true, true) => Outcome::Failed,
        })
    }

    /// Does a step. What it says has to be what was said without the fault.
    fn step(&mut self, at: usize) -> Result<Result<(), Stumble>, String> {
        self.rest(self.of.steps[at].deeds.clone())
    }

    /// Does the rest of a step, which ends with no open transaction.
    fn rest(&mut self, deeds: std::ops::Range<usize>) -> Result<Result<(), Stumble>, String> {
        let last = deeds.end - 1;
        let done = self.deeds(deeds)?;
        if done.is_ok() && self.open() {
            return Err(format!("{} left a transaction open", self.of.deeds[last]));
        }
        Ok(done)
    }

    fn deeds(&mut self, deeds: std::ops::Range<usize>) -> Result<Result<(), Stumble>, String> {
        for at in deeds {
            before(at, &self.of.disk);
            let deed = &self.of.deeds[at];
            let told = match (deed, &self.db) {
                (Deed::Sql(sql, values), Some(db)) => run(db, sql, values),
                _ => self.reopen().map(|()| Vec::new()),
            };
            match (told, &self.of.told[at]) {
                (Ok(now), Ok(then)) if now == *then => {}
                (Err(now), Err(then)) if now == *then => {}
                (Err(now), _) => return Ok(Err((at, now))),
                (Ok(_), _) if self.of.script.busy && self.point.kind == Kind::Busy => {
                    self.less = true;
                }
                (Ok(now), then) => {
                    let told = |rows: &[Vec<u8>]| shown(&rows.join(&b" / "[..]));
                    let then = then.as_ref().map_or_else(|e| e.text.clone(), |rows| told(rows));
                    return Err(format!("{deed} gave {} and should give {then}", told(&now)));
                }
            }
        }
        Ok(Ok(()))
    }

    fn reopen(&mut self) -> Result<(), Failed> {
        if let Some(db) = self.db.take() {
            db.close().map_err(|(_, e)| Failed::from(e))?;
        }
        self.db = Some(prepare::open(&self.of.script)?);
        Ok(())
    }

    /// A step did not end. As if the process had died now, the file is whole; and when the fault is
    /// gone, so it is here, and the step can be done.
    fn stumbled(&mut self, at: usize, (deed, why): Stumble) -> Result<(), String> {
        let what = format!("{} said {:?} ({})", self.of.deeds[deed], why.text, why.code);
        if !point::struck() {
            return Err(format!("{what} though nothing had failed, or the fault was over"));
        }
        if !self.point.kind.codes().contains(&(why.code & 0xff)) {
            return Err(format!("{what}, which is not a code for it"));
        }
        if why.text.is_empty() {
            return Err(format!("{what}: no sentence"));
        }
        if self.open() && deed == self.of.steps[at].deeds.start {
            return Err(format!("{what} and leaves a transaction open"));
        }
        self.failed = true;
        point::calm(|| self.died(at)).map_err(|e| format!("{what}; the process dies: {e}"))?;
        if self.point.for_good {
            self.roll_back(false)?;
            if !self.open() && self.step(at)?.is_ok() {
                return Ok(());
            }
        }
        point::disarm();
        self.goes_on(at, deed).map_err(|e| format!("{what}; the fault is gone: {e}"))
    }

    /// The fault is gone. The statement is tried again where it stands, or after a ROLLBACK.
    fn goes_on(&mut self, at: usize, deed: usize) -> Result<(), String> {
        if self.db.is_none() {
            self.reopen().map_err(text)?;
        }
        // A RELEASE that cannot commit rolls everything back and leaves the savepoint open, empty.
        let again =
            matches!(&self.of.deeds[deed], Deed::Sql(sql, _) if !sql.starts_with("RELEASE"));
        if again && self.open() && self.point.after % 2 == 1 && !self.point.for_good {
            let rest = deed..self.of.steps[at].deeds.end;
            if let Ok(()) = self.rest(rest)? {
                return self.is(&[at + 1]).map(|_| ());
            }
        }
        self.roll_back(true)?;
        if self.is(&[at, at + 1])? == at + 1 && self.of.states[at] != self.of.states[at + 1] {
            return Ok(());
        }
        match self.step(at)? {
            Ok(()) => self.is(&[at + 1]).map(|_| ()),
            Err((_, e)) => Err(format!("done again, it says {}", text(e))),
        }
    }

    /// Whether a transaction is open.
    fn open(&self) -> bool {
        self.db.as_ref().is_some_and(|db| !db.is_autocommit())
    }

    fn roll_back(&self, must: bool) -> Result<(), String> {
        let Some(db) = self.db.as_ref().filter(|db| !db.is_autocommit()) else { return Ok(()) };
        match host::run(db, "ROLLBACK") {
            Err(e) if must || db.is_autocommit() && !point::struck() => {
                Err(format!("ROLLBACK: {}", text(e)))
            }
            _ => Ok(()),
        }
    }

    /// Which of these states the file is in: another connection and this one agree about it. What
    /// the other one writes as it looks is rolled back; where it would write more without a
    /// transaction around it, as the states were read, a copy of the file shows that.
    fn is(&self, states: &[usize]) -> Result<usize, String> {
        let db = self.db.as_ref().ok_or("no connection")?;
        let other = host::open(TESTED, &[]).map_err(text)?;
        host::run(&other, "BEGIN").map_err(text)?;
        let now = state::read(&other).map_err(text)?;
        host::run(&other, "ROLLBACK").map_err(text)?;
        let found = self.one_of(states, &now).or_else(|_| {
            Disk::of(TESTED).put(LOOKED);
            let copy = host::open(LOOKED, &[]).map_err(text)?;
            self.one_of(states, &state::read(&copy).map_err(text)?)
        })?;
        let (here, there) = (state::tables(db), state::tables(&other));
        for (who, tables) in [("this connection", here), ("another connection", there)] {
            if let Some(differs) = self.of.states[found].lacks(&tables.map_err(text)?) {
                return Err(format!("{who} sees it otherwise: {differs}"));
            }
        }
        Ok(found)
    }

    fn one_of(&self, states: &[usize], now: &state::State) -> Result<usize, String> {
        let mut differs = Vec::new();
        for at in states {
            let should = &self.of.states[*at];
            match if self.less {
                should.tables().differs(&now.tables())
            } else {
                should.differs(now)
            } {
                None => return Ok(*at),
                Some(differ) => differs.push(format!("not as after step {at}: {differ}")),
            }
        }
        Err(differs.join("; "))
    }

    /// What a process finds that starts after this one was killed here.
    fn died(&self, at: usize) -> Result<(), String> {
        let mut disk = Disk::of(TESTED);
        disk.now = self.of.disk.now + 500_000;
        disk.put(DIED);
        let db = host::open(DIED, &[]).map_err(text)?;
        let now = state::read(&db).map_err(text)?;
        let at = self.one_of(&[at, at + 1], &now)?;
        self.sound(&db, at)
    }

    fn sound(&self, db: &Connection, at: usize) -> Result<(), String> {
        state::sound(db)?;
        let Some(fresh) = self.of.fresh[at].as_ref().filter(|_| !self.less) else { return Ok(()) };
        fresh.put(FRESH);
        state::pulled(db, FRESH)
    }

    /// Closed without ceremony and opened again: everything is there, and a peer gets it.
    fn ends(mut self) -> Result<(), String> {
        let last = self.of.steps.len();
        self.is(&[last])?;
        if let Some(db) = self.db.take() {
            db.close().map_err(|(_, e)| format!("closing: {e}"))?;
        }
        let db = host::open(TESTED, &[]).map_err(text)?;
        let now = state::read(&db).map_err(text)?;
        self.one_of(&[last], &now)?;
        self.sound(&db, last)
    }
}
