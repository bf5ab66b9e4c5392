//! `crsql_check()`: what is wrong in this file, a row per fault, or nothing. It changes nothing.

use std::collections::BTreeMap;

use super::session::Session;
use super::{ahead, alter, coverage, log, parts};
use crate::ground::Prep;
use crate::ground::catalog::{self, Table, clock_table};
use crate::ground::quote::{ident, literal};
use crate::ground::shape;
use crate::words::dot::Txn;
use crate::words::error::{Error, Result, SQLITE_CORRUPT, SQLITE_ERROR};
use crate::words::key::Key;
use crate::words::ranges::RangeSet;
use crate::words::rowclock::RowClock;
use crate::words::value::ValueRef;
use crate::words::vector::hex16;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind it is, one word.
    pub fault: &'static str,
    /// The table, where it is about one.
    pub table: Option<String>,
    /// The row's packed key, where it is about one.
    pub pk: Option<Vec<u8>>,
    /// A sentence: what is wrong, and the way out.
    pub detail: String,
}

struct Checker<'s> {
    s: &'s Session,
    faults: Vec<Fault>,
    /// The transactions on record that living cells come from, by the ordinal of their site.
    written: BTreeMap<u32, RangeSet>,
}

/// Looks at everything.
pub fn check(s: &Session) -> Result<Vec<Fault>> {
    let mut c = Checker { s, faults: Vec::new(), written: BTreeMap::new() };
    if !s.installed()? {
        return Ok(c.faults);
    }
    for tid in s.catalog.names(&s.cache)?.all.clone() {
        match s.find_table(tid) {
            Ok(Some(table)) => c.table(&table)?,
            Ok(None) => c.gone(tid)?,
            Err(e) if e.code == SQLITE_CORRUPT => c.fault("register", None, None, e.text),
            Err(e) => return Err(e),
        }
    }
    c.leftovers()?;
    c.held()?;
    c.seen()?;
    c.sites()?;
    c.ahead()?;
    Ok(c.faults)
}

impl Checker<'_> {
    fn fault(
        &mut self,
        fault: &'static str,
        table: Option<&str>,
        key: Option<&Key>,
        detail: String,
    ) {
        let pk = key.and_then(|k| k.pk().ok());
        self.faults.push(Fault { fault, table: table.map(str::to_string), pk, detail });
    }

    fn table(&mut self, table: &Table) -> Result<()> {
        self.shape(table)?;
        self.triggers(table)?;
        self.clocks(table)?;
        self.rows(table)?;
        self.constraints(table)
    }

    /// What was changed since the table was enabled may be what enabling refuses.
    fn shape(&mut self, table: &Table) -> Result<()> {
        let Some(shape) = shape::read(self.s.db, &table.name)? else { return Ok(()) };
        match shape::refuse(self.s.db, &shape) {
            Err(e) if e.code == SQLITE_ERROR => {
                self.fault("shape", Some(&table.name), None, e.text)
            }
            done => done?,
        }
        Ok(())
    }

    fn triggers(&mut self, table: &Table) -> Result<()> {
        let name = &table.name;
        let Some(seen) = catalog::seen(&self.s.cache, table.tid)? else {
            let detail = format!(
                "{name} has no triggers of crsql, so writes to it are not captured; the next call \
                 of crsql_vector() puts them back"
            );
            self.fault("triggers", Some(name), None, detail);
            return Ok(());
        };
        if !seen.altering.is_empty() {
            let detail =
                format!("{name} is being altered; SELECT crsql_commit_alter({})", literal(name)?);
            self.fault("altering", Some(name), None, detail);
            return Ok(());
        }
        // Guards are made when a merge needs them.
        let expected = alter::expected_triggers(table, false)?;
        let there = |sql: &String| seen.texts.iter().any(|(_, text)| text == sql);
        if table.unwatched().next().is_none() && !expected.iter().all(there) {
            let detail = format!(
                "a trigger of crsql on {name} is missing, was edited, or follows an ALTER; the \
                 next call of crsql_vector() makes it anew"
            );
            self.fault("triggers", Some(name), None, detail);
        }
        Ok(())
    }

    /// Every clock is sound, its row is there, and its transactions are on record.
    fn clocks(&mut self, table: &Table) -> Result<()> {
        let sql = format!("SELECT key, clock FROM {}", clock_table(table.tid));
        let mut scan = match self.s.db.prepare(&sql, Prep::Once) {
            Ok(scan) => scan,
            Err(e) => {
                self.fault("clocks", Some(&table.name), None, e.text);
                return Ok(());
            }
        };
        while scan.step()? {
            let key = Key::from_stored(scan.value(0))?;
            let clock = match RowClock::decode(scan.blob(1)) {
                Ok(clock) => clock,
                Err(e) => {
                    self.fault("clock", Some(&table.name), Some(&key), e.text);
                    continue;
                }
            };
            self.records(table, &key, &clock)?;
            self.parts(table, &key, &clock)?;
            let there = super::rows::read(self.s, table, &key)?.is_some();
            if there != clock.alive() {
                let (fault, detail) = if there {
                    ("row", "the row is there though its clock says that it was deleted")
                } else {
                    ("clock", "the row is gone though its clock says that it lives")
                };
                let detail = format!("{}: {detail}", table.name);
                self.fault(fault, Some(&table.name), Some(&key), detail);
            }
        }
        Ok(())
    }

    fn records(&mut self, table: &Table, key: &Key, clock: &RowClock) -> Result<()> {
        let cells = table.cols.iter().filter_map(|c| clock.cell(c.id)).map(|c| c.dot.txn);
        let parts = parts::of_row(self.s, table, key.borrow())?.parts;
        let parts = parts.iter().map(|part| part.dot.txn);
        let mut txns: Vec<Txn> = cells.chain(clock.life.map(|d| d.txn)).chain(parts).collect();
        txns.dedup();
        for txn in txns {
            let (site, version) = (txn.site, txn.version);
            if self.written.get(&site).is_some_and(|set| set.contains(version)) {
                continue;
            }
            if log::record(self.s, txn)?.is_some() {
                self.written.entry(site).or_default().insert(version, version);
                continue;
            }
            let detail = format!(
                "{}: a cell comes from version {version} of site {}, which is not in the log",
                table.name,
                self.name_of(site)
            );
            self.fault("log", Some(&table.name), Some(key), detail);
        }
        Ok(())
    }

    /// What a column shows that merges by intent is what its parts come to, and the dead have none.
    fn parts(&mut self, table: &Table, key: &Key, clock: &RowClock) -> Result<()> {
        if !table.typed {
            return Ok(());
        }
        let row = super::rows::read(self.s, table, key)?.filter(|_| clock.alive());
        for (at, col) in table.cols.iter().enumerate() {
            let Some(kind) = col.merge.by_intent() else { continue };
            let Some(parts) = parts::state(self.s, table.tid, key.borrow(), col.id)? else {
                continue;
            };
            let shown = parts::shown(self.s, kind, col, &parts)?;
            if row.as_ref().is_some_and(|row| row.value(at as i32) == shown.as_ref()) {
                continue;
            }
            let detail = format!(
                "{}.{} is not what its parts come to, as a {}: write it again",
                table.name,
                col.name,
                kind.name()
            );
            self.fault("parts", Some(&table.name), Some(key), detail);
        }
        Ok(())
    }

    /// A site as people see it; its ordinal where that names none.
    fn name_of(&self, site: u32) -> String {
        self.s.site_id(site).map_or_else(|_| format!("number {site}"), |id| hex16(&id))
    }

    fn rows(&mut self, table: &Table) -> Result<()> {
        let keys: Vec<String> = table.keys.iter().map(|k| ident(&k.name)).collect();
        let sql = format!("SELECT {} FROM main.{}", keys.join(", "), ident(&table.name));
        let mut scan = self.s.db.prepare(&sql, Prep::Once)?;
        while scan.step()? {
            let values: Vec<ValueRef<'_>> =
                (0..scan.column_count()).map(|i| scan.value(i)).collect();
            let key = Key::from_values(table.kind, &values)?;
            // A clock that cannot be read was told already.
            if matches!(log::clock_of(self.s, table.tid, key.borrow()), Ok(None)) {
                let detail = format!(
                    "{}: the row was written while nobody watched and does not replicate; update \
                     it, or delete and insert it again",
                    table.name
                );
                self.fault("row", Some(&table.name), Some(&key), detail);
            }
        }
        Ok(())
    }

    /// Merging does not evaluate CHECK, so rows can break one.
    fn constraints(&mut self, table: &Table) -> Result<()> {
        let sql = format!("PRAGMA main.quick_check({})", ident(&table.name));
        let mut scan = self.s.db.prepare(&sql, Prep::Once)?;
        while scan.step()? {
            let said = scan.string(0);
            if said != "ok" {
                let detail = format!("{}: {said}", table.name);
                self.fault("constraint", Some(&table.name), None, detail);
            }
        }
        Ok(())
    }

    fn gone(&mut self, tid: u32) -> Result<()> {
        let name = self.s.ask_text("SELECT name FROM crsql_tables WHERE tid = ?1", tid)?;
        let detail =
            format!("{name} was dropped; the next call of crsql_vector() cleans up after it");
        self.fault("dropped", Some(&name), None, detail);
        Ok(())
    }

    fn leftovers(&mut self) -> Result<()> {
        let mut scan = self.s.db.prepare(
            "SELECT m.name FROM sqlite_schema m JOIN crsql_tables t
               ON m.name = 'crsql_clock_' || t.tid
             WHERE t.dropped IS NOT NULL ORDER BY t.tid",
            Prep::Once,
        )?;
        while scan.step()? {
            let name = scan.string(0);
            let detail =
                format!("{name} is left over from a table that was dropped: DROP TABLE {name}");
            self.fault("leftover", None, None, detail);
        }
        Ok(())
    }

    fn held(&mut self) -> Result<()> {
        let near = ahead::latest(self.s)?;
        let mut scan = self
            .s
            .db
            .prepare("SELECT \"table\", pk, cid, reason, ahead FROM crsql_held", Prep::Once)?;
        while scan.step()? {
            let (table, cid) = (scan.string(0), scan.string(2));
            let Some(found) = self.s.named(&table)? else { continue };
            let waits_for_schema = scan.string(3).starts_with("there is no");
            let its_time_came = (1..=log::int(near)).contains(&scan.int(4));
            if (waits_for_schema || its_time_came) && (cid == "-1" || found.column(&cid).is_some())
            {
                let key = Key::from_pk(found.kind, found.keys.len(), scan.blob(1)).ok();
                let detail = format!("{table}.{cid}: a held change fits now; call crsql_vector()");
                self.fault("held", Some(&table), key.as_ref(), detail);
            }
        }
        Ok(())
    }

    /// What was written here was seen whole, and what was seen of a site has no gap.
    fn seen(&mut self) -> Result<()> {
        let known = coverage::known(self.s)?;
        // What the open transaction writes counts as seen once it is committed.
        let open = self.s.memory.borrow().given.map(|given| given.version);
        if let (Some(version), Some(own)) = (open, self.written.get_mut(&known.own)) {
            own.remove(version, version);
        }
        for (site, written) in std::mem::take(&mut self.written) {
            let seen =
                self.s.site_id(site).map_or_else(|_| RangeSet::new(), |id| known.seen_set(&id));
            let unseen = written.difference(&seen);
            if let Some((lo, _)) = unseen.iter().next() {
                let id = self.name_of(site);
                let all: Vec<_> = unseen.iter().map(|(lo, hi)| (lo, hi, 0)).collect();
                let all = serde_json::json!({"v": 1, "seen": {id.as_str(): all}});
                let detail = format!(
                    "cells come from version {lo} of site {id}, which this file does not count as \
                     seen, so its changesets leave them out; where rows were inserted into \
                     crsql_changes, say crsql_seen() with the vector of whom they are from; if \
                     nobody has more of it any more, SELECT crsql_seen('{all}')"
                );
                self.fault("unseen", None, None, detail);
            }
        }
        for (id, (_, spans)) in &known.seen {
            let befores = std::iter::once(0).chain(spans.iter().map(|span| span.hi));
            for (before, span) in befores.zip(spans).filter(|(hi, span)| hi + 1 < span.lo) {
                let (lo, hi) = (before + 1, span.lo - 1);
                let detail = format!(
                    "versions {lo} to {hi} of site {} were never seen here, though later ones \
                     were; ask a peer with the vector of this file",
                    hex16(id)
                );
                self.fault("hole", None, None, detail);
            }
        }
        Ok(())
    }

    fn ahead(&mut self) -> Result<()> {
        if let Some(ms) = ahead::of_ours(self.s)? {
            let detail = format!(
                "the newest write of this file is stamped {ms} ms ahead of this device's clock, \
                 which was ahead: no peer takes it yet. It is stamped anew when a peer asks whose \
                 clock agrees with this one; where a peer has it already, or what is stamped as \
                 far ahead was merged here, it waits for its time"
            );
            self.fault("ahead", None, None, detail);
        }
        Ok(())
    }

    fn sites(&mut self) -> Result<()> {
        let mut scan = self.s.db.prepare(
            "SELECT lower(hex(site_id)) FROM crsql_sites
             WHERE forked IS NOT NULL AND retired IS NULL",
            Prep::Once,
        )?;
        while scan.step()? {
            let detail = format!(
                "two files write as site {}; each takes a new identity when it next meets a peer, \
                 or by SELECT crsql_new_site()",
                scan.string(0)
            );
            self.fault("forked", None, None, detail);
        }
        Ok(())
    }
}

/// Damage that a check cannot get past.
pub fn damaged(e: Error) -> Vec<Fault> {
    vec![Fault { fault: "damaged", table: None, pk: None, detail: e.text }]
}
