//! The rows of `crsql_changes`: the feed of many transactions, flattened and in order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;

use super::coverage;
use super::durable;
use super::export;
use super::feed::{self, HeldChange, Item, RowChange, TxnReader};
use super::log;
use super::merger::SENTINEL;
use super::session::Session;
use crate::ground::cache::Fixed;
use crate::ground::catalog::Table;
use crate::words::dot::{SiteId, Txn};
use crate::words::error::Result;
use crate::words::value::{Value, ValueRef};

const SITES: Fixed = Fixed(140, "SELECT ordinal FROM crsql_sites ORDER BY site_id");

/// One row of `crsql_changes`.
#[derive(Clone, Debug)]
pub struct Change {
    /// The table's name.
    pub table: Rc<str>,
    /// The packed key.
    pub pk: Rc<[u8]>,
    /// The column, or the sentinel.
    pub cid: Rc<str>,
    /// The value.
    pub val: Value,
    /// The stamp, or the causal length of a sentinel.
    pub col_version: u64,
    /// The site's version.
    pub db_version: u64,
    /// The site.
    pub site: SiteId,
    /// The row's causal length.
    pub cl: u64,
    /// The place in the transaction.
    pub seq: u64,
    /// The stamp of the transaction.
    pub stamp: u64,
}

impl Change {
    /// A number of its own: its site, version and place, hashed.
    pub fn rowid(&self) -> i64 {
        let site = u128::from_be_bytes(self.site);
        let words = [(site >> 64) as u64, site as u64, self.db_version, self.seq];
        let mixed = words.into_iter().fold(0u64, |hash, word| {
            let mut z = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        mixed.cast_signed()
    }
}

/// Which transactions of which sites: ranges of versions, ascending.
pub type Ranges = Vec<(u32, Vec<(u64, u64)>)>;

/// In which order the sites come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By version and place, whatever the site.
    Version,
    /// Site by site.
    Site,
}

struct Stream {
    site: u32,
    id: SiteId,
    own: bool,
    ranges: VecDeque<(u64, u64)>,
    reader: Option<TxnReader>,
    /// The changes of the item that comes next.
    head: Vec<Change>,
    labels: Labels,
}

/// The names of a table and its columns, shared by all its changes.
#[derive(Default)]
struct Labels {
    of: Option<Rc<Table>>,
    table: Rc<str>,
    columns: Vec<Rc<str>>,
    sentinel: Rc<str>,
}

impl Labels {
    fn turn_to(&mut self, table: &Rc<Table>) {
        if self.of.as_ref().is_some_and(|t| Rc::ptr_eq(t, table)) {
            return;
        }
        self.of = Some(Rc::clone(table));
        self.table = table.name.as_str().into();
        self.columns = table.cols.iter().map(|c| c.name.as_str().into()).collect();
        self.sentinel = SENTINEL.into();
    }
}

impl Stream {
    /// Moves to the next item; false at the end.
    fn advance(&mut self, s: &Session) -> Result<bool> {
        loop {
            if let Some(reader) = &mut self.reader {
                self.head.clear();
                match reader.next(s)? {
                    Some(item) => {
                        let (txn, record) = (reader.txn, &reader.record);
                        flatten(&item, txn, self.id, record, &mut self.labels, &mut self.head)?;
                        return Ok(true);
                    }
                    None => self.reader = None,
                }
            }
            let Some((lo, hi)) = self.ranges.pop_front() else { return Ok(false) };
            let Some(version) = log::next_version(s, self.site, lo.saturating_sub(1), hi)? else {
                continue;
            };
            if version < hi {
                self.ranges.push_front((version + 1, hi));
            }
            if self.own {
                durable::put_on_disk(s, self.site, version)?;
            }
            self.reader = TxnReader::open(s, Txn { site: self.site, version }, 0)?;
        }
    }

    fn place(&self) -> (u64, u64) {
        let version = self.reader.as_ref().map_or(0, |r| r.txn.version);
        (version, self.head.first().map_or(0, |c| c.seq))
    }
}

/// A running scan.
pub struct Scan {
    streams: Vec<Stream>,
    queue: BinaryHeap<Reverse<((u64, u64), usize)>>,
    order: Order,
    next_stream: usize,
    ready: VecDeque<Change>,
}

impl Scan {
    /// A scan of these transactions.
    pub fn new(s: &Session, ranges: Ranges, order: Order) -> Result<Self> {
        let own = s.own()?;
        let mut streams = Vec::with_capacity(ranges.len());
        for (site, ranges) in ranges {
            let id = s.site_id(site)?;
            streams.push(Stream {
                site,
                id,
                own: site == own,
                ranges: ranges.into(),
                reader: None,
                head: Vec::new(),
                labels: Labels::default(),
            });
        }
        let mut scan = Self {
            streams,
            queue: BinaryHeap::new(),
            order,
            next_stream: 0,
            ready: VecDeque::new(),
        };
        if order == Order::Version {
            for i in 0..scan.streams.len() {
                scan.enqueue(s, i)?;
            }
        }
        Ok(scan)
    }

    /// A scan of rows that are known already.
    pub fn of(changes: Vec<Change>) -> Self {
        Self {
            streams: Vec::new(),
            queue: BinaryHeap::new(),
            order: Order::Site,
            next_stream: 0,
            ready: changes.into(),
        }
    }

    fn enqueue(&mut self, s: &Session, i: usize) -> Result<()> {
        let Some(stream) = self.streams.get_mut(i) else { return Ok(()) };
        if stream.advance(s)? {
            let key = if self.order == Order::Version { stream.place() } else { (0, 0) };
            self.queue.push(Reverse((key, i)));
        }
        Ok(())
    }

    /// The next change.
    pub fn next(&mut self, s: &Session) -> Result<Option<Change>> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(Some(change));
            }
            let Some(Reverse((_, i))) = self.queue.pop() else {
                if self.order == Order::Version || self.next_stream >= self.streams.len() {
                    return Ok(None);
                }
                let i = self.next_stream;
                self.next_stream += 1;
                self.enqueue(s, i)?;
                continue;
            };
            let next = self.queue.peek().map(|Reverse((place, _))| *place);
            let Some(stream) = self.streams.get_mut(i) else { return Ok(None) };
            // A row's changes go up to where another site's next one comes before.
            let upto = match next.filter(|_| self.order == Order::Version) {
                Some(next) => stream.head.partition_point(|c| (c.db_version, c.seq) <= next).max(1),
                None => stream.head.len(),
            };
            self.ready.extend(stream.head.drain(..upto.min(stream.head.len())));
            if stream.head.is_empty() {
                self.enqueue(s, i)?;
            } else {
                self.queue.push(Reverse((stream.place(), i)));
            }
        }
    }
}

/// The changes that an item holds, by place.
fn flatten(
    item: &Item<'_>,
    txn: Txn,
    site: SiteId,
    record: &log::Record,
    labels: &mut Labels,
    out: &mut Vec<Change>,
) -> Result<()> {
    match item {
        Item::Held(h) => out.push(held_change(h, txn.version, site, record.stamp)),
        Item::Row(row) => {
            labels.turn_to(&row.table);
            row_changes(row, txn.version, site, record, labels, out)?;
        }
    }
    Ok(())
}

fn held_change(h: &HeldChange, version: u64, site: SiteId, stamp: u64) -> Change {
    Change {
        table: h.table.as_str().into(),
        pk: h.pk.as_slice().into(),
        cid: h.cid.as_str().into(),
        val: h.val.clone(),
        col_version: h.col_version,
        db_version: version,
        site,
        cl: h.cl,
        seq: h.seq,
        stamp,
    }
}

fn row_changes(
    row: &RowChange<'_>,
    version: u64,
    site: SiteId,
    record: &log::Record,
    labels: &Labels,
    out: &mut Vec<Change>,
) -> Result<()> {
    let pk: Rc<[u8]> = row.key.pk()?.into();
    let change = |cid: &Rc<str>, val: Value, col_version: u64, seq: u64| Change {
        table: Rc::clone(&labels.table),
        pk: Rc::clone(&pk),
        cid: Rc::clone(cid),
        val,
        col_version,
        db_version: version,
        site,
        cl: row.cl,
        seq,
        stamp: record.stamp,
    };
    if let Some(seq) = row.sentinel {
        out.push(change(&labels.sentinel, Value::Null, row.cl, seq));
    }
    for cell in &row.cells {
        let Some(name) = labels.columns.get(cell.at) else { continue };
        let stamp = cell.stamp.unwrap_or(record.cell_stamp());
        out.push(change(name, row.value(cell).to_owned(), stamp, cell.seq));
    }
    if !out.is_sorted_by_key(|c| c.seq) {
        out.sort_by_key(|c| c.seq);
    }
    Ok(())
}

/// All sites with records in the log.
pub fn sites(s: &Session) -> Result<Vec<u32>> {
    let mut stmt = s.cache.fixed(SITES)?;
    let mut out = Vec::new();
    while stmt.step()? {
        out.push(crate::ground::store::ordinal(stmt.int(0))?);
    }
    Ok(out)
}

/// The changes of one row, by version and place.
pub fn of_row(s: &Session, table: &str, pk: &[u8]) -> Result<Vec<Change>> {
    let mut out = Vec::new();
    if let Some(table) = s.named(table)?
        && let Ok(key) = crate::words::key::Key::from_pk(table.kind, table.keys.len(), pk)
        && let Some(clock) = log::clock_of(s, table.tid, key.borrow())?
    {
        let mut txns: Vec<Txn> = clock.life_dot().map(|d| d.txn).into_iter().collect();
        txns.extend(table.cols.iter().filter_map(|c| clock.cell(c.id)).map(|c| c.dot.txn));
        txns.sort_unstable();
        txns.dedup();
        let mut labels = Labels::default();
        labels.turn_to(&table);
        for txn in txns {
            let Some(record) = log::record(s, txn)? else { continue };
            if let Some(row) = feed::of_row(s, &table, &key, txn)? {
                let mut of_txn = Vec::new();
                let site = s.site_id(txn.site)?;
                row_changes(&row, txn.version, site, &record, &labels, &mut of_txn)?;
                out.append(&mut of_txn);
            }
        }
    }
    for (h, version, site, stamp) in super::held::of_row(s, table, pk)? {
        out.push(held_change(&h, version, site, stamp));
    }
    out.sort_by_key(|c| (c.db_version, c.seq));
    Ok(out)
}

/// What this file has seen and the vector has not: whole transactions, site by site.
pub fn since(s: &Rc<Session>, vector: ValueRef<'_>) -> Result<Scan> {
    let vector = coverage::parse(vector)?;
    export::meet_if_possible(s, &vector)?;
    let missing = s.snapshot(|| durable::promised(s, coverage::missing(s, &vector)?))?;
    let ranges = missing
        .into_iter()
        .map(|(site, spans)| (site, spans.into_iter().map(|span| (span.lo, span.hi)).collect()));
    Scan::new(s, ranges.collect(), Order::Site)
}
