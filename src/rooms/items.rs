//! The items of one transaction, as a changeset brings them, meet the rows: what fits is merged,
//! what does not is held cell by cell.

use super::dictionary::{self, Mapped};
use super::log::{self, Record, Writer};
use super::merger::{self, InCell, Incoming, Outcome};
use super::report::Report;
use super::session::Session;
use super::{held, single};
use crate::types;
use crate::words::changeset::{self, CellIn, HeldItem, ItemHead};
use crate::words::dot::{SiteId, Txn};
use crate::words::error::{Error, Result};
use crate::words::key::Key;

/// The items of one transaction meet the rows.
pub struct Merge<'s> {
    /// Where.
    pub s: &'s Session,
    /// The transaction.
    pub name: Txn,
    /// Its site.
    pub site: SiteId,
    /// The stamp that the sender says its cells have.
    pub own_stamp: u64,
    /// The stamp that cells have by the record in this file.
    pub carried: u64,
    /// Who sent it.
    pub sender: SiteId,
    /// Lists the rows that it touched.
    pub writer: Writer,
    /// What became of its changes.
    pub outcome: Outcome,
    /// Its record as the sender has it.
    pub record: &'s Record,
    /// The record that is there already.
    pub before: Option<Record>,
    /// The greatest place of what was held of it: the record has to reach so far, whatever the
    /// sender says of the last place.
    pub reach: u64,
}

impl Merge<'_> {
    /// Merges the items of the transaction that are in one changeset.
    pub fn items<'a>(
        &mut self,
        tables: &[Mapped],
        txn: &changeset::Txn<'a>,
        cells: &mut Vec<CellIn<'a>>,
        report: &mut Report,
    ) -> Result<()> {
        let mut items = txn.items();
        let mut fit: Vec<InCell<'a>> = Vec::new();
        let mut last_table = usize::MAX;
        while let Some(head) = items.next(cells)? {
            match head {
                ItemHead::Held(h) => {
                    let here = self.s.named(h.table)?;
                    let name = here.as_ref().map_or(h.table, |table| &table.name);
                    report.tables.insert(name.to_string());
                    if let Some((column, _)) = types::of_cid(h.cid)
                        && held::any(self.s)?
                    {
                        report.by_intent.insert((name.to_string(), column.to_string()));
                    }
                    self.held(&h)?;
                }
                ItemHead::Row { table, key, cl, sentinel } => {
                    let mapped = tables.get(table);
                    let mapped = mapped.ok_or_else(|| Error::rejected("an item names no table"))?;
                    self.row(mapped, key.to_key(), cl, sentinel, cells, &mut fit)?;
                    if table != last_table {
                        report.tables.insert(mapped.name().to_string());
                        last_table = table;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the transaction's record and the rows it touched.
    pub fn end(self, report: &mut Report) -> Result<()> {
        report.outcome.add(self.outcome);
        let matters = self.outcome.applied + self.outcome.held > 0 || self.record.deps.is_some();
        match self.before {
            Some(old) => {
                self.writer.append(self.s, &old, self.record.stamp)?;
                match (&old.deps, &self.record.deps) {
                    (None, Some(deps)) => log::set_deps(self.s, self.name, deps),
                    _ => Ok(()),
                }
            }
            None if matters => {
                let mut record = self.record.clone();
                record.last_seq = record.last_seq.max(self.reach);
                self.writer.create(self.s, record).map(|_| ())
            }
            None => Ok(()),
        }
    }

    fn row<'a>(
        &mut self,
        mapped: &Mapped,
        key: Key,
        cl: u64,
        sentinel: Option<u64>,
        cells: &[CellIn<'a>],
        fit: &mut Vec<InCell<'a>>,
    ) -> Result<()> {
        let (s, name) = (self.s, self.name);
        let (table, key) = match dictionary::place(mapped, &key)? {
            Ok(found) => found,
            Err(reason) => return self.hold_all(mapped, &key, cl, sentinel, cells, &reason),
        };
        fit.clear();
        let mut early = 0;
        for c in cells {
            let stamp = c.stamp.unwrap_or(self.own_stamp);
            if stamp == 0 {
                return Err(Error::rejected(
                    "this changeset is REJECTED: a cell has the stamp 0, which is no time at all",
                ));
            }
            // Of a cell that says a stamp of its own only that one was not looked at yet.
            let ahead = c.stamp.map(|stamp| single::too_far_ahead(s, stamp)).transpose()?.flatten();
            if let Some(ms) = ahead {
                let reason = single::ahead_reason(ms);
                self.hold_all(mapped, &key, cl, None, std::slice::from_ref(c), &reason)?;
                early += 1;
                continue;
            }
            match mapped.column(c.column) {
                Ok(at) => fit.push(InCell { at, seq: c.seq, stamp, val: c.val }),
                Err(reason) => {
                    let reason = reason.to_string();
                    self.hold_all(mapped, &key, cl, None, std::slice::from_ref(c), &reason)?;
                }
            }
        }
        if early > 0 && early == cells.len() && sentinel.is_none() {
            return Ok(());
        }
        // Where all its cells are held for another reason the row lives all the same.
        let inc = Incoming {
            table,
            key: &key,
            cl,
            txn: name,
            site: self.site,
            stamp: self.carried,
            sentinel,
            cells: fit,
            deps: self.record.deps.as_deref(),
            peer: Some(self.sender),
        };
        let writer = &mut self.writer;
        let mut sink =
            |key: &Key, seq: u64, span: u64| writer.push(table.tid, key.borrow(), seq, span);
        let out = merger::merge_row(s, &inc, &mut sink)?;
        self.outcome.add(out);
        Ok(())
    }

    /// A change that its sender held: it may fit here.
    fn held(&mut self, h: &HeldItem<'_>) -> Result<()> {
        // Held here, it would go to peers who can apply it, and cannot.
        let sentinel = h.cid == merger::SENTINEL;
        if if sentinel { h.col_version != h.cl } else { h.cl.is_multiple_of(2) } {
            return Err(Error::rejected(format!(
                "this changeset is REJECTED: what it holds of {}.{} cannot be, with the causal \
                 length {} and the version {}",
                h.table, h.cid, h.cl, h.col_version
            )));
        }
        if self.before.is_none() {
            Writer::new(self.name).create(self.s, self.record.clone())?;
            self.before = log::record(self.s, self.name)?;
        }
        let whole = dictionary::whole_of(h, self.site, self.name.version, self.record.stamp);
        let out = single::merge_change(self.s, &whole.as_one(), Some(&self.sender))?;
        self.outcome.add(out);
        Ok(())
    }

    fn hold_all(
        &mut self,
        mapped: &Mapped,
        key: &Key,
        cl: u64,
        sentinel: Option<u64>,
        cells: &[CellIn<'_>],
        reason: &str,
    ) -> Result<()> {
        let rest = (self.site, self.name.version, self.own_stamp);
        for whole in dictionary::raw(mapped, key, cl, sentinel, cells, rest)? {
            held::hold(self.s, &whole, reason, Some(&self.sender))?;
            self.reach = self.reach.max(whole.change.seq);
            self.outcome.held += 1;
        }
        Ok(())
    }
}
