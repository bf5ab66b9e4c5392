//! `crsql_apply()`: a changeset is applied in one savepoint, rows, clocks, coverage and held
//! changes, or nothing of it is.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::coverage::Known;
use super::dictionary::{self, Mapped};
use super::items::Merge;
use super::log::{self, Record, Writer};
use super::merger::Outcome;
use super::report::Report;
use super::session::Session;
use super::single;
use super::{
    alter, coverage, flush, forks, guard, held, horizon, identity, omits, peers, staged, sweep,
};
use crate::words::changeset::{self, CellIn, Changeset, Header, ItemHead, Seen, TxnHead};
use crate::words::deps::{self, Deps};
use crate::words::dot::{SiteId, Txn};
use crate::words::error::{Error, Result};
use crate::words::planted::planted;
use crate::words::vector::{Span, Vector, hex16};

/// One changeset on its way in.
struct Inbound<'a> {
    changeset: &'a Changeset<'a>,
    bytes: &'a [u8],
    tables: Vec<Mapped>,
    own: u32,
    /// The sites that are closed, and where.
    closed: BTreeMap<SiteId, u64>,
    /// What was seen and is taken again.
    wanted: omits::Omits,
    /// Whether any part of a transaction may be waiting here.
    staged: Cell<bool>,
    /// Whether no more of what the sender brings is held.
    full: bool,
}

impl Inbound<'_> {
    fn wants(&self, txn: Txn) -> bool {
        self.wanted.get(&txn.site).is_some_and(|set| set.contains(txn.version))
    }
}

/// Applies a changeset; gives the report as JSON.
pub fn apply(s: &Rc<Session>, bytes: &[u8]) -> Result<String> {
    let changeset = changeset::decode(bytes)?;
    let inside = !s.db.autocommit();
    let mut told = None;
    let report = s.writing("crsql_apply", || {
        identity::ensure(s)?;
        s.enlist()?;
        flush::flush(s)?;
        if inside {
            coverage::before_merging(s)?;
        }
        alter::reconcile(s)?;
        guard::ensure(s)?;
        let (report, before) = apply_all(s, &changeset, bytes)?;
        flush::flush(s)?;
        let report = report.to_json(s, &before)?;
        told = s.at().filter(|_| s.memory.borrow().given.is_none());
        Ok(report)
    })?;
    // What was told last of a transaction of our own that no version is given to is what was
    // committed, where the commit had nothing more to write.
    if !inside && told.is_some_and(|(_, changes)| changes == s.db.total_changes()) {
        s.still_known(told);
    }
    Ok(report)
}

/// Gives the report, and what was known before.
fn apply_all(s: &Session, changeset: &Changeset<'_>, bytes: &[u8]) -> Result<(Report, Rc<Known>)> {
    let header = &changeset.header;
    let vector = Vector {
        site: Some(header.sender),
        seen: header.vector.clone(),
        closed: header.closed.clone(),
        omits: header.omits.clone(),
        ..Vector::default()
    };
    let known = forks::heal(s, &vector)?;
    horizon::refuse_sender(&known, header)?;
    let inbound = Inbound {
        changeset,
        bytes,
        tables: dictionary::map(s, &header.tables)?,
        own: known.own,
        staged: Cell::new(known.staged),
        closed: known.closed.iter().map(|(id, (c, _))| (*id, c.at)).collect(),
        wanted: omits::asked_for(s, &known, &header.sender)?,
        full: held::is_full(s, &header.sender)?,
    };
    let mut report = Report::default();
    let mut cells = Vec::new();
    for txn in changeset.transactions() {
        let txn = txn?;
        covered(header, &txn.head)?;
        transaction(s, &inbound, &txn, &mut cells, &mut report)?;
    }
    held::retry_agreed(s, &|table, column| {
        let is = |(of, name): &(String, String)| {
            of.eq_ignore_ascii_case(table) && name.eq_ignore_ascii_case(column)
        };
        let mut told = inbound.tables.iter();
        told.any(|theirs| theirs.agrees(table, column)) || report.by_intent.iter().any(is)
    })?;
    // So that nothing is written any more between what is known at the end and what is told.
    flush::flush(s)?;
    let (seen, new) = grant(s, &vector, &inbound, &report)?;
    peers::exchanged(s, &vector, &seen)?;
    omits::stopped(s, &header.sender, &header.vector, &new)?;
    omits::follow(s, &vector)?;
    forks::reissue_left(s)?;
    if let Some((site, (_, reason))) = report.cut.iter().next() {
        peers::failed(s, &header.sender, &format!("site {}: {reason}", hex16(site)))?;
    }
    Ok((report, known))
}

/// What is whole has to be covered: else it would be here and nobody could get it from us.
fn covered(header: &Header, head: &TxnHead) -> Result<()> {
    let spans = header.coverage.get(&head.site).map(Vec::as_slice).unwrap_or_default();
    let at = spans.partition_point(|span| span.hi < head.version);
    if head.part.is_some() || spans.get(at).is_some_and(|span| span.lo <= head.version) {
        return Ok(());
    }
    Err(Error::rejected(format!(
        "this changeset is REJECTED: it has version {} of site {} and does not cover it",
        head.version,
        hex16(&head.site)
    )))
}

fn transaction<'a>(
    s: &Session,
    inbound: &Inbound<'a>,
    txn: &changeset::Txn<'a>,
    cells: &mut Vec<CellIn<'a>>,
    report: &mut Report,
) -> Result<()> {
    let head = &txn.head;
    if report.cut.contains_key(&head.site) {
        return Ok(());
    }
    let site = s.sites.intern(&s.cache, &head.site)?;
    let name = Txn { site, version: head.version };
    let mut record = log::record(s, name)?;
    let (known, seen) = known_stamp(s, inbound, name, record.as_ref())?;
    let other = known != 0 && head.stamp != 0 && known != head.stamp;
    if other {
        forks::other(s, site, head.version)?;
        // What was here under that name was issued again.
        record = log::record(s, name)?;
    }
    if other || inbound.closed.get(&head.site).is_some_and(|at| head.version > *at) {
        // Its content is taken; at the end it is issued again under our own site.
        identity::mark_forked(s, site)?;
    } else if seen {
        return count_superseded(txn, cells, report);
    }
    if site == s.own()? && !inbound.wants(name) {
        return Err(Error::rejected("the changeset holds versions of this file's own site"));
    }
    if let Some(reason) = reason_to_cut(s, inbound, head.stamp)? {
        report.cut.insert(head.site, (head.version, reason));
        return Ok(());
    }
    let Some(part) = head.part else {
        if inbound.staged.get() {
            staged::forget(s, name)?;
        }
        return apply_txn(s, inbound, name, record, Source::Here(txn, cells), report);
    };
    // What cannot be read would be found out only by the last part, again and again.
    let mut items = txn.items();
    while items.next(cells)?.is_some() {}
    if inbound.staged.get() {
        staged::agree(s, name, &inbound.changeset.header)?;
    }
    staged::put(s, name, head.stamp, part, inbound.bytes)?;
    inbound.staged.set(true);
    match staged::take_whole(s, name, head.last_seq)? {
        Some(bodies) => {
            let head = &staged::head(head, &bodies)?;
            apply_txn(s, inbound, name, record, Source::Parts(head, &bodies), report)?;
            grant_parts(s, name, head, &staged::headers(&bodies)?)
        }
        None => Ok(()),
    }
}

/// Grants a transaction that came in parts.
fn grant_parts(s: &Session, name: Txn, head: &TxnHead, senders: &[Header]) -> Result<()> {
    if forks::is_void(s, name)? {
        return Ok(());
    }
    let mut new = Deps::new();
    let span = Span { lo: name.version, hi: name.version, stamp: head.stamp };
    let omits = senders.iter().flat_map(|sender| sender.omits.clone()).collect();
    let lacks = Vector { omits, ..Vector::default() };
    coverage::take(s, &lacks, &head.site, span, &coverage::set_of(&[span]), &mut new)?;
    for sender in senders {
        omits::stopped(s, &sender.sender, &sender.vector, &new)?;
    }
    omits::follow(s, &lacks)?;
    coverage::remember_new(s, &new)
}

/// The stamp of a transaction as it is known here, 0 where nobody can say; and whether it was seen
/// already.
fn known_stamp(
    s: &Session,
    inbound: &Inbound<'_>,
    txn: Txn,
    record: Option<&Record>,
) -> Result<(u64, bool)> {
    let stamp = match record.map_or(0, |r| r.stamp) {
        0 if inbound.staged.get() => staged::stamp(s, txn)?,
        stamp => stamp,
    };
    if txn.site == inbound.own {
        return Ok((stamp, txn.version <= identity::db_version(s)? && !inbound.wants(txn)));
    }
    let covered = coverage::covers(s, txn)?;
    let stamp = if stamp != 0 { stamp } else { covered.unwrap_or(0) };
    Ok((stamp, covered.is_some() && !inbound.wants(txn)))
}

/// Why nothing is taken of a site from a transaction on, where it is not.
fn reason_to_cut(s: &Session, inbound: &Inbound<'_>, stamp: u64) -> Result<Option<String>> {
    if inbound.full {
        return Ok(Some(held::full_reason()));
    }
    let Some(ms) = single::too_far_ahead(s, stamp)? else { return Ok(None) };
    // If most sites seem to be ahead of us, it is our clock that is wrong.
    let bound = super::config::drift_ms(s)?;
    Ok(Some(format!(
        "its clock is {ms} ms ahead of ours, more than the {bound} ms allowed; if most sites seem \
         ahead, this device's clock is behind"
    )))
}

fn count_superseded<'a>(
    txn: &changeset::Txn<'a>,
    cells: &mut Vec<CellIn<'a>>,
    report: &mut Report,
) -> Result<()> {
    let mut items = txn.items();
    while let Some(head) = items.next(cells)? {
        report.outcome.superseded += match head {
            ItemHead::Row { sentinel, .. } => cells.len() as u64 + u64::from(sentinel.is_some()),
            ItemHead::Held(_) => 1,
        };
    }
    Ok(())
}

/// Applies one transaction: from this changeset, or from the changesets of its parts.
fn apply_txn<'a>(
    s: &Session,
    inbound: &Inbound<'a>,
    name: Txn,
    before: Option<Record>,
    from: Source<'_, 'a>,
    report: &mut Report,
) -> Result<()> {
    let head = from.head().clone();
    let record = Record {
        stamp: head.stamp,
        flags: i64::from(head.flags),
        last_seq: head.last_seq,
        deps: deps_of(s, &head)?,
    };
    // A stamp that nobody had said is filled in at the end; the flags stay as they are.
    let filled = before.clone().map(|r| match r.stamp {
        0 => Record { stamp: head.stamp, ..r },
        _ => r,
    });
    let carried = filled.as_ref().unwrap_or(&record).cell_stamp();
    let mut merge = Merge {
        s,
        name,
        site: head.site,
        own_stamp: record.cell_stamp(),
        carried,
        sender: inbound.changeset.header.sender,
        writer: Writer::new(name),
        outcome: Outcome::default(),
        record: &record,
        before,
        reach: 0,
    };
    match from {
        Source::Here(txn, cells) => merge.items(&inbound.tables, txn, cells, report)?,
        Source::Parts(head, bodies) => {
            for body in bodies {
                let part = changeset::decode(body)?;
                let tables = dictionary::map(s, &part.header.tables)?;
                for txn in part.transactions() {
                    let txn = txn?;
                    if txn.head.site == head.site && txn.head.version == head.version {
                        merge.items(&tables, &txn, &mut Vec::new(), report)?;
                    }
                }
            }
        }
    }
    let stale = merge.outcome.stale;
    merge.end(report)?;
    sweep::after_merge(s, name, stale)?;
    let mut memory = s.memory.borrow_mut();
    memory.saw = memory.saw.max(head.stamp);
    Ok(())
}

/// Where the items of a transaction are.
enum Source<'t, 'a> {
    Here(&'t changeset::Txn<'a>, &'t mut Vec<CellIn<'a>>),
    Parts(&'t TxnHead, &'t [Vec<u8>]),
}

impl Source<'_, '_> {
    fn head(&self) -> &TxnHead {
        match self {
            Source::Here(txn, _) => &txn.head,
            Source::Parts(head, _) => head,
        }
    }
}

fn deps_of(s: &Session, head: &TxnHead) -> Result<Option<Vec<u8>>> {
    let mut out = Deps::new();
    for (site, set) in &head.deps {
        out.insert(s.sites.intern(&s.cache, site)?, set.clone());
    }
    Ok(deps::encode(&out))
}

/// Grants the coverage that the header tells, but for what was cut and what is our own. Gives what
/// was granted, and what of it is new.
fn grant(
    s: &Session,
    sender: &Vector,
    inbound: &Inbound<'_>,
    report: &Report,
) -> Result<(Seen, Deps)> {
    let mut new = Deps::new();
    let mut granted = Seen::new();
    for (site, spans) in &inbound.changeset.header.coverage {
        let ordinal = s.sites.intern(&s.cache, site)?;
        let cut = report
            .cut
            .get(site)
            .filter(|_| !planted!("seen-though-cut"))
            .map_or(u64::MAX >> 1, |(version, _)| *version);
        let mut set = coverage::set_of(spans);
        set.remove(cut, u64::MAX >> 1);
        for span in coverage::believed(s, site, set, spans)? {
            coverage::take(s, sender, site, span, &coverage::set_of(&[span]), &mut new)?;
            if ordinal != s.own()? {
                granted.entry(*site).or_default().push(span);
            }
        }
    }
    coverage::remember_new(s, &new)?;
    Ok((granted, new))
}
