//! The replicas of a case and what happens to them, step by step. Whatever is wrong is found as
//! soon as it can be: by the step that did it, or by the judge in the end.

use crate::case::{Case, Step};
use crate::disk::{self, Harm};
use crate::exchange::{APPLY, VECTOR, answer, any_held, insert_rows, own_version};
use crate::host::{self, Answer, Failed, ask};
use crate::migrate::{Effect, forward};
use crate::model::{self, Model, Tables};
use crate::policy;
use crate::replica::{self, Mail, Replica, dump, seen};
use crate::rng::Rng;
use crate::shape::ARM;
use crate::template::Template;
use crate::types::{self, Types};
use rusqlite::{Connection, ffi};
use std::collections::BTreeMap;

/// When the world begins: 2026-01-01, in milliseconds of the Julian day.
pub const BEGIN: i64 = 212_633_985_600_000;

pub struct World<'a> {
    pub case: &'a Case,
    pub replicas: Vec<Replica>,
    pub model: Model,
    /// Milliseconds since the beginning.
    pub time: i64,
    /// Everything that happened, folded into one number.
    pub trace: u64,
    pub rng: Rng,
    /// The digest of replica 0 in the end.
    pub digest: String,
    /// Everything is told as it happens.
    pub tell: bool,
    /// How columns merge, by the names of the beginning.
    types: Types,
    /// What becomes of rows, by the names of the beginning.
    policies: Types,
}

/// What is wrong, as a sentence.
pub type Verdict<T> = Result<T, String>;

impl<'a> World<'a> {
    /// The world as its template left it, in a process that may use it up.
    pub fn new(case: &'a Case, template: &mut Template) -> World<'a> {
        let mut world = World {
            case,
            replicas: std::mem::take(&mut template.replicas),
            model: std::mem::take(&mut template.model),
            time: 0,
            trace: case.seed,
            rng: Rng::new(!case.seed),
            digest: String::new(),
            types: types::declared(case),
            policies: policy::declared(case),
            tell: std::env::var_os("CRSQL_SIM_TELL").is_some(),
        };
        for ((site, version), changes) in std::mem::take(&mut world.model.log) {
            world.model.learn(&site, version, &changes, &case.migrations);
        }
        disk::seed(case.seed);
        let careful = case.steps.iter().any(|s| matches!(s, Step::Power { .. }));
        for replica in &mut world.replicas {
            let mut machine = replica.machine().borrow_mut();
            machine.now = BEGIN;
            machine.careful = careful;
        }
        world
    }

    /// Folds what happened into the trace.
    pub fn note(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.trace = (self.trace ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub fn note_answer<T>(&mut self, answer: &Answer<T>) {
        if let (true, Err(e)) = (self.tell, answer) {
            println!("    {} [{}]", e.text, e.code);
        }
        match answer {
            Ok(_) => self.note(b"ok"),
            Err(e) => {
                self.note(&e.code.to_be_bytes());
                self.note(e.text.as_bytes());
            }
        }
    }

    pub fn run(&mut self) -> Verdict<()> {
        let case = self.case;
        for (n, step) in case.steps.iter().enumerate() {
            self.time += 1;
            self.set_clocks();
            if self.tell {
                println!("{step}");
            }
            self.step(step).map_err(|e| format!("{e}\nat step {}: {step}", n + 1))?;
            self.restart_the_dead().map_err(|e| format!("{e}\nafter step {}: {step}", n + 1))?;
        }
        Ok(())
    }

    pub fn set_clocks(&self) {
        for r in &self.replicas {
            r.machine().borrow_mut().now = BEGIN + self.time + r.off;
        }
    }

    fn step(&mut self, step: &Step) -> Verdict<()> {
        match step {
            Step::Sql { at, conn, list } => self.sql(*at, *conn, list),
            Step::Pull { to, from, rows, max } => self.pull(*to, *from, *rows, *max).map(|_| ()),
            Step::Ask { to, from, rows, max } => {
                let mail = self.question(*to, *from, *rows, *max)?;
                self.replicas[*to].mail.extend(mail);
                Ok(())
            }
            Step::Take { to, nth, copy } => match self.mail(*to, *nth, *copy) {
                Some(mail) => self.deliver(*to, &mail).map(drop),
                None => Ok(()),
            },
            Step::Lose { to, nth } => {
                self.mail(*to, *nth, false);
                Ok(())
            }
            Step::Forge { to, nth, seed, liar } => self.forge(*to, *nth, *seed, *liar),
            Step::Garble { to, nth, bit } => self.garble(*to, *nth, *bit),
            Step::Migrate { at } => {
                let idle = self.replicas[*at].conns.iter().flatten().all(Connection::is_autocommit);
                if idle && self.replicas[*at].level < self.case.migrations.len() {
                    self.observe(*at)?;
                    self.migrate(*at)?;
                }
                Ok(())
            }
            Step::Tick { ms } => {
                self.time += ms;
                Ok(())
            }
            Step::Clock { at, ms } => {
                self.replicas[*at].off = *ms;
                Ok(())
            }
            Step::Reopen { at } => {
                self.replicas[*at].close();
                // The last connection to go writes; that may have been too much.
                if self.replicas[*at].machine().borrow().dead {
                    return Ok(());
                }
                self.opened(*at)?;
                self.observe(*at)
            }
            Step::Kill { at, after } => self.arm(*at, *after, Harm::Kill),
            Step::Power { at, after } => self.arm(*at, *after, Harm::Power),
            Step::Full { at, after } => self.arm(*at, *after, Harm::Full),
            Step::Backup { at } => {
                let copy = self.replicas[*at].machine().borrow().copy();
                self.replicas[*at].backup = Some(copy);
                Ok(())
            }
            Step::Restore { at, from } => self.restore(*at, *from),
        }
    }

    pub fn opened(&mut self, at: usize) -> Verdict<&Connection> {
        let case = self.case;
        self.replicas[at]
            .conn(0, &case.pragmas)
            .map_err(|e| format!("replica {at} does not open: {}", e.text))
    }

    /// Statements of an application.
    fn sql(&mut self, at: usize, conn: usize, list: &[String]) -> Verdict<()> {
        let case = self.case;
        for sql in list {
            let answer = match self.replicas[at].conn(conn, &case.pragmas) {
                // Else a machine that stops would leave the guards armed.
                Ok(db) if sql == ARM && db.is_autocommit() => Ok(()),
                Ok(db) => host::run(db, sql),
                Err(e) => Err(e),
            };
            self.note_answer(&answer);
            if let Err(e) = answer {
                self.excuse(at, &e, true).map_err(|why| format!("{why}\nof: {sql}"))?;
            }
        }
        self.replicas[at].tells_what_is_committed()?;
        self.observe(at)
    }

    /// Whether an application must live with an error: one that its own data cause, that another of
    /// its connections causes, or that the disk causes. All others are ours.
    pub fn excuse(&self, at: usize, e: &Failed, local: bool) -> Verdict<()> {
        const OF_TRANSACTIONS: [&str; 8] = [
            "no such savepoint",
            "cannot start a transaction within",
            "cannot commit - no transaction",
            "cannot rollback - no transaction",
            "cannot VACUUM from within a transaction",
            "cannot VACUUM - SQL statements in progress",
            "database table is locked",
            "uncommitted changes in place of committed ones",
        ];
        // Of statements for a schema that could not be made, because the disk was full.
        const OF_SCHEMAS: [&str; 3] = ["no such column", "no such table", "has no column named"];
        let machine = self.replicas[at].machine().borrow();
        let well = match e.code & 0xff {
            ffi::SQLITE_CONSTRAINT | ffi::SQLITE_MISMATCH => local,
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => {
                self.replicas[at].conns.iter().flatten().any(|db| !db.is_autocommit())
            }
            ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN => machine.dead || machine.full,
            ffi::SQLITE_FULL => machine.full,
            ffi::SQLITE_ERROR if OF_SCHEMAS.iter().any(|text| e.text.contains(text)) => {
                local && !self.case.migrations.is_empty()
            }
            ffi::SQLITE_ERROR => OF_TRANSACTIONS.iter().any(|text| e.text.contains(text)),
            _ => false,
        };
        if well { Ok(()) } else { Err(format!("replica {at}: {} [{}]", e.text, e.code)) }
    }

    /// Takes from a question to `from` what `to` lacks.
    pub fn question(
        &mut self,
        to: usize,
        from: usize,
        rows: bool,
        max: usize,
    ) -> Verdict<Option<Mail>> {
        let vector = self.replicas[to].main().and_then(|db| ask::<String>(db, VECTOR, []));
        let Some(vector) = self.well(to, vector)? else { return Ok(None) };
        self.merged(to, Some(&vector), false)?;
        let mail = self.replicas[from].main().and_then(|db| answer(db, &vector, rows, max));
        let mail = self.well(from, mail)?.flatten();
        self.merged(from, None, false)?;
        Ok(mail)
    }

    /// Notes an answer; nothing where it failed for a reason.
    pub fn well<T>(&mut self, at: usize, answer: Answer<T>) -> Verdict<Option<T>> {
        self.note_answer(&answer);
        match answer {
            Ok(v) => Ok(Some(v)),
            Err(e) => self.excuse(at, &e, false).map(|()| None),
        }
    }

    /// `to` asks `from` until there is nothing new; how many answers there were.
    pub fn pull(&mut self, to: usize, from: usize, rows: bool, max: usize) -> Verdict<usize> {
        for n in 0..10_000 {
            let Some(mail) = self.question(to, from, rows, max)? else { return Ok(n) };
            let new = self.deliver(to, &mail)?;
            if max == 0 || rows || !new {
                return Ok(n + 1);
            }
        }
        Err(format!("replica {to} pulls from {from} without end"))
    }

    pub fn mail(&mut self, to: usize, nth: usize, copy: bool) -> Option<Mail> {
        let mail = &mut self.replicas[to].mail;
        let nth = nth.checked_rem(mail.len())?;
        if copy { mail.get(nth).cloned() } else { Some(mail.remove(nth)) }
    }

    /// A message arrives.
    pub fn taken(&mut self, to: usize, mail: &Mail) -> Answer<String> {
        match mail {
            Mail::Changeset(bytes) => {
                self.replicas[to].main().and_then(|db| ask::<String>(db, APPLY, [bytes]))
            }
            Mail::Rows { rows, vector } => {
                let mut order: Vec<usize> = (0..rows.len()).collect();
                if self.rng.one_in(2) {
                    (1..order.len()).for_each(|n| order.swap(n, self.rng.below(n + 1)));
                }
                self.replicas[to].main().and_then(|db| insert_rows(db, rows, &order, vector))
            }
        }
    }

    /// A message arrives, and what it brought is looked at.
    /// Gives whether it says that there was anything new in it.
    pub fn deliver(&mut self, to: usize, mail: &Mail) -> Verdict<bool> {
        let answer = self.taken(to, mail);
        let Some(report) = self.well(to, answer)? else {
            // It may have been committed all the same, if the machine died over it.
            self.replicas[to].blind = true;
            return Ok(false);
        };
        let (said, vector) = report.split_once("\"vector\":").unwrap_or((&report, ""));
        self.note(said.as_bytes());
        let wrote = !said.contains("\"applied\":0,");
        let new = said.contains("\"new\":true");
        self.merged(to, vector.strip_suffix('}'), wrote).map(|()| new)
    }

    /// After what may have been a merge, as whoever asks may get what was held to fit: what the
    /// replica knows now, and that it wrote nothing of its own. Where it says that it wrote no rows
    /// they are not read; if it did all the same, the next look at them finds what nobody tells.
    pub fn merged(&mut self, at: usize, vector: Option<&str>, wrote: bool) -> Verdict<()> {
        let r = &mut self.replicas[at];
        if let (Some(vector), Some(_)) = (vector, r.idle()) {
            r.vector = vector.to_owned();
        }
        let writes = r.conns.iter().flatten().map(Connection::total_changes).sum();
        if writes == r.writes {
            return Ok(());
        }
        r.writes = writes;
        self.reissued(at, true)?;
        let r = &mut self.replicas[at];
        let Some(db) = r.idle() else {
            r.blind = true;
            return Ok(());
        };
        let rows = || wrote.then(|| dump(db, &r.shapes)).transpose();
        let found = own_version(db).and_then(|version| Ok((version, rows()?, any_held(db)?)));
        let Ok((version, tables, held)) = found else { return Ok(()) };
        if version != r.version && policy::revives(&self.policies) && !self.case.is_forked() {
            // What it wrote again is looked at as if an application had written it.
            r.blind = true;
            return self.observe(at);
        }
        let kept = tables.as_ref().map_or(Ok(()), |tables| self.kept(at, tables));
        kept.map_err(|e| format!("replica {at}: {e}"))?;
        let r = &mut self.replicas[at];
        if version != r.version && self.case.is_forked() {
            r.blind = true;
        } else if version != r.version && !r.blind {
            return Err(format!("a merge made version {version} of replica {at} itself"));
        }
        // What is held may be merged by whatever call comes next.
        r.blind |= held;
        r.tables = tables.unwrap_or(std::mem::take(&mut r.tables));
        Ok(())
    }

    /// Looks at what an application has committed, and takes it into the model.
    pub fn observe(&mut self, at: usize) -> Verdict<()> {
        let pragmas = &self.case.pragmas;
        // Tables that begin again have rows of the lowest stamp.
        let anew = self.case.migrations.iter().any(|m| matches!(m.effect, Effect::Anew(_)));
        let r = &mut self.replicas[at];
        if r.machine().borrow().dead {
            return Ok(());
        }
        if r.blind {
            self.reissued(at, true)?;
        }
        let forked = self.case.is_forked();
        let r = &mut self.replicas[at];
        if forked {
            // Whoever finds that another writes as it does takes a new name.
            r.look_at_name().or(Ok(())).map_err(|e: Failed| e.text)?;
        }
        let Some(db) = r.idle() else {
            r.blind = true;
            return Ok(());
        };
        let looked = own_version(db)
            .and_then(|version| Ok((version, dump(db, &r.shapes)?, any_held(db)?)))
            .and_then(|(version, tables, held)| {
                let after = r.version;
                let news = version > after;
                let told = if news { r.watch(pragmas, after, version)? } else { BTreeMap::new() };
                Ok((version, told, tables, held))
            });
        let (version, changes, tables, held) = match looked {
            Ok(found) => found,
            Err(e) => {
                // What was written before stands, and was not looked at.
                self.replicas[at].blind = true;
                return self.excuse(at, &e, false);
            }
        };
        if version < r.version {
            return Err(format!("replica {at} goes back from version {} to {version}", r.version));
        }
        let told: Vec<model::Change> = changes.values().flatten().cloned().collect();
        let looked =
            self.compare(at, version, &tables, &told).and_then(|()| self.kept(at, &tables));
        looked.map_err(|e| format!("replica {at}: {e}"))?;
        let r = &mut self.replicas[at];
        for (version, changes) in changes {
            // What a clock that is behind leaves out, it may have seen and not have.
            let held = held || anew || self.case.is_forked() || self.case.has_wild_clock();
            let seen = seen(&serde_json::from_str(&r.vector).unwrap_or_default());
            let migrations = &self.case.migrations;
            let named: Vec<_> = changes.iter().filter_map(|c| forward(migrations, c)).collect();
            // A row that is written again keeps its cells' stamps.
            let again = |c: &&model::Change| c.cl > 1 && policy::revives(&self.policies);
            let early = self.model.early(&named, &r.site, &seen);
            if let Some(early) = early.filter(|c| !held && !again(c)) {
                return Err(format!(
                    "replica {at}: version {version} wrote {}.{:?} with the stamp {}, and had seen \
                     a later one",
                    early.table, early.column, early.stamp
                ));
            }
            self.model.learn(&r.site, version, &changes, &self.case.migrations);
        }
        // A transaction that is open still may have merged.
        let all_idle = r.conns.iter().flatten().all(Connection::is_autocommit);
        (r.version, r.tables, r.blind) = (version, tables, held || r.blind && !all_idle);
        r.writes = r.conns.iter().flatten().map(Connection::total_changes).sum();
        self.note(&version.to_be_bytes());
        Ok(())
    }

    /// What a replica's tables were, what they are, and what it told of that.
    fn compare(
        &self,
        at: usize,
        version: u64,
        tables: &Tables,
        told: &[model::Change],
    ) -> Verdict<()> {
        let (r, all) = (&self.replicas[at], &*self.case.migrations);
        if r.blind {
            return Ok(());
        }
        let types = types::at(&self.types, all, r.level);
        model::compare(&r.tables, tables, told, (self.case.has_liar(), &types))?;
        types::counted(&self.model, (&r.tables, tables), told, &r.site, (&types, all))?;
        match r.tables != *tables && version == r.version {
            true => Err("rows changed and no version tells".into()),
            false => Ok(()),
        }
    }

    /// No row leaves a table that only grows, but where a file goes back to what it was.
    fn kept(&self, at: usize, tables: &Tables) -> Verdict<()> {
        let (r, case) = (&self.replicas[at], self.case);
        let back = case.steps.iter().any(|s| matches!(s, Step::Power { .. }));
        let anew = case.migrations.iter().any(|m| matches!(m.effect, Effect::Anew(_)));
        if back || anew || case.is_forked() {
            return Ok(());
        }
        policy::kept((&r.tables, tables), &self.policies, (&case.migrations, r.level))
    }

    /// Where clocks go wrong, and no other forks are looked for.
    pub fn reissued(&mut self, at: usize, merged: bool) -> Verdict<()> {
        let has = |step: fn(&Step) -> bool| self.case.steps.iter().any(step);
        if !has(|s| matches!(s, Step::Clock { .. })) || self.case.is_forked() {
            return Ok(());
        }
        let migrations = &self.case.migrations;
        replica::reissued(&mut self.replicas[at], &mut self.model, migrations, merged).or(Ok(()))
    }
}
