//! What is done to replicas from outside: their schema changes, their machine breaks, bytes that
//! come to them are wrong.

use crate::disk::Harm;
use crate::exchange::{APPLY, VECTOR, own_version};
use crate::forge;
use crate::host::{self, Answer, Failed, ask};
use crate::migrate::forward;
use crate::model::Site;
use crate::replica::Mail;
use crate::rng::Rng;
use crate::world::{Verdict, World};
use rusqlite::ffi;

impl World<'_> {
    pub fn arm(&mut self, at: usize, after: u32, harm: Harm) -> Verdict<()> {
        self.replicas[at].power = harm == Harm::Power;
        self.replicas[at].machine().borrow_mut().fuse = Some((after, harm));
        Ok(())
    }

    pub fn restore(&mut self, at: usize, from: usize) -> Verdict<()> {
        let Some(files) = self.replicas[from].backup.clone() else { return Ok(()) };
        // What would have broken here broke with the files that were.
        self.replicas[at].machine().borrow_mut().fuse = None;
        self.replicas[at].close();
        self.replicas[at].machine().borrow_mut().restore(&files);
        self.replicas[at].mail.clear();
        self.opened(at)?;
        let r = &mut self.replicas[at];
        let mut look = || -> Answer<()> {
            r.look_at_schema()?;
            let db = r.main()?;
            (r.site, r.version) = (ask(db, "SELECT crsql_site_id()", [])?, own_version(db)?);
            Ok(())
        };
        look().map_err(|e| e.text)
    }

    /// The replica makes the next change of its schema: all of it, or nothing.
    pub fn migrate(&mut self, at: usize) -> Verdict<()> {
        let case = self.case;
        let next = self.replicas[at].level + 1;
        let mut list = vec!["BEGIN".to_owned()];
        list.extend(case.migrations[next - 1].list.iter().cloned());
        list.extend([format!("PRAGMA user_version = {next}"), "COMMIT".into()]);
        let which = usize::from(self.replicas[at].conns[0].is_none());
        for sql in &list {
            let db = self.replicas[at].conn(which, &case.pragmas).map_err(|e| e.text)?;
            let answer = host::run(db, sql);
            self.note_answer(&answer);
            if let Err(e) = answer {
                let db = self.replicas[at].conn(which, &case.pragmas).map_err(|e| e.text)?;
                let _ = if db.is_autocommit() { Ok(()) } else { host::run(db, "ROLLBACK") };
                self.excuse(at, &e, false).map_err(|why| format!("{why}\nof: {sql}"))?;
                break;
            }
        }
        if self.replicas[at].machine().borrow().dead {
            return Ok(());
        }
        // A name that comes and goes between two calls of crsql is never known, so it is asked
        // after every change, as by whoever exchanges something.
        let asked = self.replicas[at].main().and_then(|db| ask::<String>(db, VECTOR, []));
        self.well(at, asked)?;
        let looked = self.replicas[at].look_at_schema();
        self.well(at, looked)?;
        self.observe(at)
    }

    /// A hostile peer makes another message of the nth one.
    pub fn forge(&mut self, to: usize, nth: usize, seed: u64, liar: bool) -> Verdict<()> {
        let (mut rng, other) = (Rng::new(seed), self.mail(to, nth + 1, true));
        let mail = match (self.mail(to, nth, true), other) {
            (Some(Mail::Changeset(bytes)), Some(Mail::Changeset(other))) => {
                forge::changeset(&mut rng, &bytes, &other, liar).map(Mail::Changeset)
            }
            (Some(Mail::Rows { mut rows, vector }), _) if liar => {
                forge::rows(&mut rng, &mut rows);
                Some(Mail::Rows { rows, vector })
            }
            _ => None,
        };
        let Some(mail) = mail else { return Ok(()) };
        let answer = self.taken(to, &mail);
        self.note_answer(&answer);
        self.replicas[to].blind = true;
        match answer {
            Ok(_) => Ok(()),
            Err(e) if is_refusal(&e) => Ok(()),
            Err(e) => self.excuse(to, &e, false),
        }
    }

    pub fn garble(&mut self, to: usize, nth: usize, bit: usize) -> Verdict<()> {
        let Some(Mail::Changeset(mut bytes)) = self.mail(to, nth, true) else { return Ok(()) };
        let at = bit % (bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let answer = self.replicas[to].main().and_then(|db| ask::<String>(db, APPLY, [&bytes]));
        self.note_answer(&answer);
        match answer {
            Ok(report) => Err(format!("a changeset with a wrong bit was taken: {report}")),
            Err(e) if e.text.contains("REJECTED") || e.text.contains("too old") => Ok(()),
            Err(e) => self.excuse(to, &e, false),
        }
    }

    /// Machines whose process died start again.
    pub fn restart_the_dead(&mut self) -> Verdict<()> {
        for at in 0..self.replicas.len() {
            let machine = self.replicas[at].machine();
            machine.borrow_mut().full = false;
            if machine.borrow().dead {
                self.restart(at)?;
            }
        }
        Ok(())
    }

    fn restart(&mut self, at: usize) -> Verdict<()> {
        let r = &mut self.replicas[at];
        r.close();
        let power = r.power;
        r.machine().borrow_mut().restart(power, &mut self.rng);
        // Whoever asked for rows is gone, and what it knew with it.
        r.mail.retain(|mail| matches!(mail, Mail::Changeset(_)));
        self.opened(at)?;
        if !self.case.migrations.is_empty() {
            let blind = self.replicas[at].blind;
            let level = self.replicas[at].level;
            self.replicas[at].look_at_schema().map_err(|e| e.text)?;
            self.replicas[at].blind = blind || self.replicas[at].level != level;
        }
        self.reissued(at, false)?;
        let r = &self.replicas[at];
        let (site, db) = (r.site.clone(), r.main().map_err(|e| e.text)?);
        let version = own_version(db).map_err(|e| e.text)?;
        let is: Site = ask(db, "SELECT crsql_site_id()", []).map_err(|e| e.text)?;
        let r = &mut self.replicas[at];
        if is != site && self.case.is_forked() {
            // A copy that met the other one writes under another name, from version 1 on.
            (r.version, r.blind) = (version, true);
        }
        if version < r.version {
            if !power {
                return Err(format!("replica {at} was killed and lost version {}", r.version));
            }
            (version + 1..=r.version).for_each(|v| drop(self.model.log.remove(&(site.clone(), v))));
            r.version = version;
            // What was written over by what is lost stands again.
            let again = r.watch(&self.case.pragmas, 0, version).map_err(|e| e.text)?;
            for (v, changes) in again {
                let named = changes.iter().filter_map(|c| forward(&self.case.migrations, c));
                self.model.log.entry((site.clone(), v)).or_default().extend(named);
            }
        }
        self.replicas[at].blind |= power;
        if power {
            // What it had seen it may have seen no more.
            self.replicas[at].vector.clear();
        }
        self.observe(at)
    }
}

/// Whether an error says what is wrong with what came, and not that something broke over it.
fn is_refusal(e: &Failed) -> bool {
    const WORDS: [&str; 7] =
        ["REJECTED", "REFUSED", "too old", "takes", "it lies between", "is not", "crsql_changes."];
    matches!(e.code & 0xff, ffi::SQLITE_ERROR | ffi::SQLITE_MISMATCH)
        && WORDS.iter().any(|word| e.text.contains(word))
}
