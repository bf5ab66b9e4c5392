//! `crsql_changeset()`: what is here, committed, and not in the vector, as one changeset. Origin
//! by origin, each in order; cut between transactions where it grows past its limit, and inside
//! one only where that one alone is larger.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::durable::Missing;
use super::feed::{Item, RowChange, TxnReader};
use super::session::Session;
use super::{alter, config, coverage, durable, flush, forks, held, horizon, log, omits, peers};
use crate::ground::catalog::Table;
use crate::words::changeset::{
    Builder, ColumnInfo, Header, HeldItem, KeyInfo, Kind, Seen, TableInfo, TxnHead,
};
use crate::words::clock::STEPS_PER_MS;
use crate::words::deps;
use crate::words::dot::Txn;
use crate::words::error::{Error, Result, unless_busy};
use crate::words::value::ValueRef;
use crate::words::vector::{Span, Vector};

/// A changeset is cut when it has grown to so many bytes, unless the caller says otherwise.
const MAX_BYTES: u64 = 64 << 20;

/// So many rows are read with one statement, where their keys follow each other.
const ROWS_AT_ONCE: usize = 1024;
/// `SQLITE_LIMIT_LENGTH`: the most bytes that a value may have on a connection.
const LIMIT_LENGTH: i32 = 0;

/// Where to stop.
struct Limit {
    bytes: u64,
    full: bool,
}

/// What the vector has not seen, as a changeset, or None where that is nothing.
pub fn changeset(
    s: &Rc<Session>,
    vector: ValueRef<'_>,
    max_bytes: Option<u64>,
) -> Result<Option<Vec<u8>>> {
    let since = coverage::parse(vector)?;
    let first = s.snapshot(|| {
        Ok(if !alter::is_settled(s)? {
            First::Settle
        } else if notice(s, &since)? {
            First::Meet
        } else {
            First::Told(build(s, &since, max_bytes)?)
        })
    })?;
    match first {
        First::Told(found) => return Ok(found),
        First::Meet => unless_busy(meet(s, &since))?,
        First::Settle if !s.installed()? => return Ok(None),
        First::Settle => {
            flush::flush(s)?;
            alter::reconcile_if_possible(s, "crsql_changeset")?;
            refuse_open(s, "crsql_changeset")?;
            meet_if_possible(s, &since)?;
        }
    }
    s.snapshot(|| build(s, &since, max_bytes))
}

/// What comes of a question at first sight, in one state of the file.
enum First {
    /// Its answer: nothing is to be written before.
    Told(Option<Vec<u8>>),
    /// More is to be written before than who asks.
    Meet,
    /// An open transaction or a changed schema stands in the way.
    Settle,
}

/// Takes notice of whoever asks, where this connection may write: by changeset or row by row.
/// While another connection writes, the next time is soon enough: what is served depends on nothing
/// that is written here but durability, and without that there is no answer.
pub fn meet_if_possible(s: &Rc<Session>, since: &Vector) -> Result<()> {
    if s.snapshot(|| notice(s, since))? { unless_busy(meet(s, since)) } else { Ok(()) }
}

/// Writes down whoever asks, on the state of the file on which the caller reads. True where the
/// question changes more here, and this connection may write: a fork that it shows, own versions
/// that are to be made durable, held changes that may fit; then nothing is written.
fn notice(s: &Session, since: &Vector) -> Result<bool> {
    if s.db.readonly() != Some(false) || s.db.write_statement_running() {
        return Ok(false);
    }
    let more = coverage::known(s)?.held
        || durable::due(s, since)?
        || (s.db.autocommit() && forks::due(s, since)?);
    if !more {
        unless_busy(peers::acknowledged(s, since))?;
    }
    Ok(more)
}

/// What is written before anything is read for the answer.
fn meet(s: &Rc<Session>, since: &Vector) -> Result<()> {
    held::retry_due(s)?;
    // Inside a transaction of the caller's it would be sent before it is committed.
    if s.db.autocommit() && s.snapshot(|| forks::due(s, since))? {
        s.atomically("crsql_changeset", || {
            s.enlist()?;
            forks::heal(s, since)
        })?;
    }
    match s.snapshot(|| durable::due(s, since))? {
        true => durable::secure(s, "crsql_changeset", || peers::acknowledged(s, since)),
        // SQLite does not wait for another writer while a snapshot is open.
        false => s.snapshot(|| peers::acknowledged(s, since)),
    }
}

fn build(s: &Session, since: &Vector, max_bytes: Option<u64>) -> Result<Option<Vec<u8>>> {
    horizon::refuse_asker(s, since)?;
    let missing = durable::promised(s, missing(s, since)?)?;
    if missing.is_empty() {
        return Ok(None);
    }
    let most = s.db.limit(LIMIT_LENGTH).unsigned_abs();
    // Cutting comes after the change that went past the limit.
    let bytes = max_bytes.unwrap_or(MAX_BYTES).min(u64::from(most) / 2);
    let mut limit = Limit { bytes, full: false };
    let mut builder = Builder::new();
    let mut covered = Seen::new();
    for (site, spans) in ahead_last(s, since, missing)? {
        let id = s.site_id(site)?;
        let resume = since.parts.get(&id).copied();
        let done = origin(s, &mut builder, site, &spans, resume, &mut limit)?;
        if !done.is_empty() {
            let covered = covered.entry(id).or_default();
            covered.extend(done);
            covered.sort_unstable_by_key(|span| span.lo);
        }
        if limit.full {
            break;
        }
    }
    let done = builder.finish(header(s, covered)?)?;
    if done.len() > most as usize {
        return Err(Error::refused(format!(
            "crsql_changeset: a changeset with one change in it has {} bytes, and this connection \
             takes values of up to {most}; raise its SQLITE_LIMIT_LENGTH, or shorten the value",
            done.len()
        )));
    }
    Ok(Some(done))
}

/// Of what is here, the versions that the vector has not seen: by site, ranges that ascend. A
/// range's stamp is that of its end, 0 where this file cannot say.
pub fn missing(s: &Session, vector: &Vector) -> Result<Missing> {
    let mut out = Missing::new();
    // Where two files write as one site and this one cannot do anything about it now, what the
    // vector means by versions is not what they are here.
    let disputed = forks::disputed(s, vector)?;
    let known = coverage::known(s)?;
    let differing = known.differing(&vector.seen);
    let differing = differing.filter_map(|(id, ours, _)| ours.map(|(site, _)| (*site, id)));
    let lacking = vector.omits.iter().map(|o| o.site);
    let lacking = lacking.filter_map(|id| known.seen.get(&id).map(|(site, _)| (*site, id)));
    for (site, id) in differing.chain(lacking).collect::<BTreeMap<_, _>>() {
        let Some((_, spans)) = known.seen.get(&id).filter(|_| !disputed.contains(&id)) else {
            continue;
        };
        let id = &id;
        let theirs = vector.seen_set(id);
        let here = coverage::set_of(spans);
        let left = omits::useful(&known, vector, id, &here, here.difference(&theirs));
        let left = coverage::spans_of(s, site, &left, spans)?;
        if !left.is_empty() {
            out.push((site, left));
        }
    }
    Ok(out)
}

/// What the receiver may not count as seen comes last, so that it never stands in the way of the
/// rest when the answer is cut at so many bytes: sites whose clock is too far ahead of its own.
fn ahead_last(s: &Session, since: &Vector, missing: Missing) -> Result<Missing> {
    let bound = since.now.saturating_add(config::drift_ms(s)?.saturating_mul(STEPS_PER_MS));
    let is_ahead = |spans: &[Span]| since.now > 0 && spans.iter().any(|span| span.stamp > bound);
    let (doubtful, mut all): (Missing, Missing) =
        missing.into_iter().partition(|(_, spans)| is_ahead(spans));
    all.extend(doubtful);
    Ok(all)
}

/// What is sent is committed. New rows of the open transaction are left out; what it wrote over
/// is no longer there to be sent.
pub fn refuse_open(s: &Session, call: &str) -> Result<()> {
    let memory = s.memory.borrow();
    if memory.overwrote || memory.before.is_some() || !memory.touches.is_empty() {
        return Err(Error::refused(format!(
            "{call}: this connection has uncommitted changes in place of committed ones; COMMIT or \
             ROLLBACK first, or ask on another connection"
        )));
    }
    Ok(())
}

/// One origin's transactions. Gives what of the spans is covered.
fn origin(
    s: &Session,
    builder: &mut Builder,
    site: u32,
    spans: &[Span],
    resume: Option<(u64, u64)>,
    limit: &mut Limit,
) -> Result<Vec<Span>> {
    let mut done = Vec::new();
    for span in spans {
        let mut after = span.lo - 1;
        while let Some(version) = log::next_version(s, site, after, span.hi)? {
            if limit.full {
                break;
            }
            let txn = Txn { site, version };
            let from = resume.filter(|(v, _)| *v == version).map_or(0, |(_, place)| place);
            let whole = transaction(s, builder, txn, from, limit)?;
            if !whole {
                limit.full = true;
                break;
            }
            after = version;
            limit.full = builder.size() as u64 >= limit.bytes;
        }
        if !limit.full || after == span.hi {
            done.push(*span);
        } else if after >= span.lo {
            let stamp = log::record(s, Txn { site, version: after })?.map_or(0, |r| r.stamp);
            done.push(Span { lo: span.lo, hi: after, stamp });
        }
        if limit.full {
            break;
        }
    }
    Ok(done)
}

/// One transaction from a place on. False where it was cut: it is then a part, and not covered.
fn transaction(
    s: &Session,
    builder: &mut Builder,
    txn: Txn,
    from: u64,
    limit: &Limit,
) -> Result<bool> {
    let Some(mut reader) = TxnReader::open(s, txn, from)? else { return Ok(true) };
    if from > reader.record.last_seq {
        // What came here row by row may not know of its last places, because others have written
        // over them: then the peer has all that is left, and learns so from the last place here.
        return transaction(s, builder, txn, reader.record.last_seq, limit);
    }
    let first_of_all = builder.is_empty();
    builder.begin(head(s, &reader, None)?);
    let (mut end, mut items) = (from, 0u64);
    let mut full = false;
    while !full
        && reader.read(s, ROWS_AT_ONCE, &mut |item| {
            // Rows whose places overlap, which only a peer makes up, stay in one part.
            full = builder.size() as u64 >= limit.bytes && items > 0 && item.place() >= end;
            if !full {
                end = end.max(put(s, builder, &item));
                items += 1;
            }
            Ok(!full)
        })?
    {}
    if full {
        if first_of_all {
            builder.cut(from, end - 1);
            builder.end();
        } else {
            // It starts the next changeset.
            builder.abandon();
        }
        return Ok(false);
    }
    if from > 0 {
        builder.cut(from, reader.record.last_seq);
        builder.end();
        return Ok(false);
    }
    builder.end();
    Ok(true)
}

fn head(s: &Session, reader: &TxnReader, part: Option<(u64, u64)>) -> Result<TxnHead> {
    let r = &reader.record;
    let mut seen = Vec::new();
    if let Some(bytes) = &r.deps {
        for (site, set) in deps::decode(bytes)? {
            seen.push((s.site_id(site)?, set));
        }
    }
    Ok(TxnHead {
        site: s.site_id(reader.txn.site)?,
        version: reader.txn.version,
        stamp: r.stamp,
        last_seq: r.last_seq,
        flags: (r.flags & 7) as u8,
        part,
        deps: seen,
    })
}

/// Adds an item; gives the place after it.
fn put(s: &Session, builder: &mut Builder, item: &Item<'_>) -> u64 {
    match item {
        Item::Held(h, _) => {
            builder.held(&HeldItem {
                table: &h.table,
                pk: &h.pk,
                cid: &h.cid,
                val: h.val.as_ref(),
                col_version: h.col_version,
                cl: h.cl,
                seq: h.seq,
            });
            h.seq + 1
        }
        Item::Row(row) => put_row(s, builder, row),
    }
}

fn put_row(s: &Session, builder: &mut Builder, row: &RowChange<'_>) -> u64 {
    let table = row.table;
    let index = builder.table(table.tid, || describe(s, table));
    let key = row.key.borrow();
    let end = row.cells.last().map(|c| c.seq).max(row.sentinel).unwrap_or(0) + 1;
    let cells = row.cells.iter().map(|c| (c.at, c.seq, c.stamp, row.value(c)));
    builder.row(index, key, row.cl, row.sentinel, cells);
    end
}

/// A table as the dictionary tells it.
fn describe(s: &Session, table: &Table) -> TableInfo {
    let collation = |name: &str| s.db.table_column(&table.name, name).map(|c| c.collation);
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    TableInfo {
        name: table.name.clone(),
        former: sorted(&table.former),
        kind: table.kind,
        strict: table.strict,
        keys: table
            .keys
            .iter()
            .map(|k| KeyInfo {
                name: k.name.clone(),
                affinity: k.affinity,
                collation: collation(&k.name).unwrap_or_else(|_| "BINARY".to_string()),
            })
            .collect(),
        columns: table
            .cols
            .iter()
            .map(|c| ColumnInfo {
                name: c.name.clone(),
                former: sorted(&c.former),
                affinity: c.affinity,
                declared: c.declared.clone(),
                notnull: c.notnull,
                default: c.default.clone(),
                merge: c.merge.name(),
            })
            .collect(),
    }
}

fn header(s: &Session, covered: Seen) -> Result<Header> {
    let vector = coverage::vector(s)?;
    let known = coverage::known(s)?;
    Ok(Header {
        sender: known.own_id,
        epoch: vector.epoch,
        scope: vector.scope,
        now: vector.now,
        vector: vector.seen,
        horizon: vector.horizon,
        closed: vector.closed,
        omits: vector.omits,
        coverage: covered,
        kind: Kind::Delta,
        tables: Vec::new(),
        signature: None,
    })
}
