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
use super::parts;
use super::session::Session;
use crate::ground::cache::Fixed;
use crate::ground::catalog::Table;
use crate::words::dot::{SiteId, Txn};
use crate::words::error::Result;
use crate::words::value::ValueRef;

const SITES: Fixed = Fixed(140, "SELECT ordinal FROM crsql_sites ORDER BY site_id");

/// One row of `crsql_changes`.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    of: &'a Group,
    cell: &'a Cell,
}

impl Row<'_> {
    /// The table's name.
    pub fn table(&self) -> &str {
        &self.of.labels.table
    }

    /// The packed key.
    pub fn pk(&self) -> &[u8] {
        &self.of.pk
    }

    /// The column, or the sentinel.
    pub fn cid(&self) -> &str {
        self.of.labels.columns.get(self.cell.at).map_or(SENTINEL, String::as_str)
    }

    /// The value.
    pub fn val(&self) -> ValueRef<'_> {
        self.of.value(self.cell)
    }

    /// The stamp, or the causal length of a sentinel.
    pub fn col_version(&self) -> u64 {
        self.cell.col_version
    }

    /// The site's version.
    pub fn db_version(&self) -> u64 {
        self.of.version
    }

    /// The site.
    pub fn site(&self) -> &SiteId {
        &self.of.site
    }

    /// The row's causal length.
    pub fn cl(&self) -> u64 {
        self.of.cl
    }

    /// The place in the transaction.
    pub fn seq(&self) -> u64 {
        self.cell.seq
    }

    /// The stamp of the transaction.
    pub fn stamp(&self) -> u64 {
        self.of.stamp
    }

    /// A number of its own: its site, version and place, hashed.
    pub fn rowid(&self) -> i64 {
        let site = u128::from_be_bytes(self.of.site);
        let words = [(site >> 64) as u64, site as u64, self.of.version, self.cell.seq];
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

/// The changes of one row that one transaction made, by place.
#[derive(Clone, Default)]
struct Group {
    labels: Rc<Labels>,
    pk: Vec<u8>,
    site: SiteId,
    version: u64,
    stamp: u64,
    cl: u64,
    cells: Vec<Cell>,
    /// The bytes of the cells' values.
    bytes: Vec<u8>,
}

/// One of them. A position beyond the columns is the sentinel's.
#[derive(Clone, Copy)]
struct Cell {
    at: usize,
    seq: u64,
    col_version: u64,
    val: Kept,
}

/// A value; its bytes from one place to another are the group's.
#[derive(Clone, Copy)]
enum Kept {
    Null,
    Int(i64),
    Real(f64),
    Text(usize, usize),
    Blob(usize, usize),
}

/// The names of a table and its columns, shared by all its changes.
#[derive(Default)]
struct Labels {
    of: Option<Rc<Table>>,
    table: String,
    columns: Vec<String>,
}

impl Labels {
    fn of(table: &Rc<Table>) -> Rc<Self> {
        Rc::new(Self {
            of: Some(Rc::clone(table)),
            table: table.name.clone(),
            columns: table.cols.iter().map(|c| c.name.clone()).collect(),
        })
    }
}

impl Group {
    fn value(&self, cell: &Cell) -> ValueRef<'_> {
        let bytes = |from, to| self.bytes.get(from..to).unwrap_or_default();
        match cell.val {
            Kept::Null => ValueRef::Null,
            Kept::Int(i) => ValueRef::Int(i),
            Kept::Real(r) => ValueRef::Real(r),
            Kept::Text(from, to) => ValueRef::Text(bytes(from, to)),
            Kept::Blob(from, to) => ValueRef::Blob(bytes(from, to)),
        }
    }

    fn push(&mut self, at: usize, seq: u64, col_version: u64, val: ValueRef<'_>) {
        let from = self.bytes.len();
        let val = match val {
            ValueRef::Null => Kept::Null,
            ValueRef::Int(i) => Kept::Int(i),
            ValueRef::Real(r) => Kept::Real(r),
            ValueRef::Text(b) => {
                self.bytes.extend_from_slice(b);
                Kept::Text(from, self.bytes.len())
            }
            ValueRef::Blob(b) => {
                self.bytes.extend_from_slice(b);
                Kept::Blob(from, self.bytes.len())
            }
        };
        self.cells.push(Cell { at, seq, col_version, val });
    }

    /// Fills the group with what a transaction still says of a row.
    fn take_row(&mut self, row: &RowChange<'_>, record: &log::Record) -> Result<()> {
        if self.labels.of.as_ref().is_none_or(|t| !Rc::ptr_eq(t, row.table)) {
            self.labels = Labels::of(row.table);
        }
        self.pk = row.key.pk()?;
        self.cl = row.cl;
        self.cells.clear();
        self.bytes.clear();
        if let Some(seq) = row.sentinel {
            self.push(usize::MAX, seq, row.cl, ValueRef::Null);
        }
        for cell in row.cells {
            let stamp = cell.stamp.unwrap_or(record.cell_stamp());
            self.push(cell.at, cell.seq, stamp, row.value(cell));
        }
        if !self.cells.is_sorted_by_key(|c| c.seq) {
            self.cells.sort_by_key(|c| c.seq);
        }
        Ok(())
    }

    /// Fills the group with a held change.
    fn take_held(&mut self, h: &HeldChange) {
        let columns = if h.cid == SENTINEL { Vec::new() } else { vec![h.cid.clone()] };
        self.labels = Rc::new(Labels { of: None, table: h.table.clone(), columns });
        self.pk.clone_from(&h.pk);
        self.cl = h.cl;
        self.cells.clear();
        self.bytes.clear();
        self.push(0, h.seq, h.col_version, h.val.as_ref());
    }
}

/// So many rows of a transaction are read at once, but no more than `BYTES_AT_ONCE` of them.
const ROWS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 1 << 18;

/// The changes of one site.
struct Stream {
    site: u32,
    id: SiteId,
    own: bool,
    ranges: VecDeque<(u64, u64)>,
    reader: Option<TxnReader>,
    /// The groups that come next, and the position in the first of them.
    heads: VecDeque<Group>,
    at: usize,
    /// Groups that were shown, to be filled again.
    spare: Vec<Group>,
}

impl Stream {
    fn new(site: u32, id: SiteId, own: bool, ranges: VecDeque<(u64, u64)>) -> Self {
        let (reader, heads, spare) = (None, VecDeque::new(), Vec::new());
        Self { site, id, own, ranges, reader, heads, at: 0, spare }
    }

    /// Moves to the next change; false at the end.
    fn advance(&mut self, s: &Session) -> Result<bool> {
        self.at += 1;
        if self.heads.front().is_some_and(|group| self.at < group.cells.len()) {
            return Ok(true);
        }
        self.at = 0;
        self.spare.extend(self.heads.pop_front());
        while self.heads.is_empty() {
            if !self.read_on(s)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves to the first change; false where there is none.
    fn begin(&mut self, s: &Session) -> Result<bool> {
        while self.heads.is_empty() {
            if !self.read_on(s)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads the next rows; false at the end.
    fn read_on(&mut self, s: &Session) -> Result<bool> {
        if let Some(reader) = &mut self.reader {
            let (record, version) = (reader.record.clone(), reader.txn.version);
            let (id, heads, spare) = (self.id, &mut self.heads, &mut self.spare);
            let mut bytes = 0;
            let more = reader.read(s, ROWS_AT_ONCE, &mut |item| {
                if bytes >= BYTES_AT_ONCE {
                    return Ok(false);
                }
                let mut group = spare.pop().unwrap_or_default();
                (group.site, group.version, group.stamp) = (id, version, record.stamp);
                match item {
                    Item::Row(row) => group.take_row(&row, &record)?,
                    Item::Held(held, stamp) => {
                        group.take_held(held);
                        group.stamp = if stamp > 0 { stamp } else { record.stamp };
                    }
                }
                bytes += group.bytes.len();
                heads.push_back(group);
                Ok(true)
            })?;
            if !more {
                self.reader = None;
            }
            return Ok(true);
        }
        let Some((lo, hi)) = self.ranges.pop_front() else { return Ok(false) };
        let Some(version) = log::next_version(s, self.site, lo.saturating_sub(1), hi)? else {
            return Ok(true);
        };
        if version < hi {
            self.ranges.push_front((version + 1, hi));
        }
        if self.own {
            durable::put_on_disk(s, self.site, version)?;
        }
        self.reader = TxnReader::open(s, Txn { site: self.site, version }, 0)?;
        Ok(true)
    }

    fn row(&self) -> Option<Row<'_>> {
        let of = self.heads.front()?;
        Some(Row { of, cell: of.cells.get(self.at)? })
    }

    fn place(&self) -> (u64, u64) {
        self.row().map_or((0, 0), |row| (row.db_version(), row.seq()))
    }
}

/// A running scan.
pub struct Scan {
    streams: Vec<Stream>,
    /// The streams that wait, by the place of their next change.
    queue: BinaryHeap<Reverse<((u64, u64), usize)>>,
    order: Order,
    /// The stream whose change is shown.
    current: usize,
}

impl Scan {
    /// A scan of these transactions, at its first row.
    pub fn new(s: &Session, ranges: Ranges, order: Order) -> Result<Self> {
        let own = s.own()?;
        let mut streams = Vec::with_capacity(ranges.len());
        for (site, ranges) in ranges {
            streams.push(Stream::new(site, s.site_id(site)?, site == own, ranges.into()));
        }
        let mut scan = Self { streams, queue: BinaryHeap::new(), order, current: 0 };
        if order == Order::Version {
            for (i, stream) in scan.streams.iter_mut().enumerate() {
                if stream.begin(s)? {
                    scan.queue.push(Reverse((stream.place(), i)));
                }
            }
            scan.turn();
        } else {
            scan.find(s)?;
        }
        Ok(scan)
    }

    /// A scan of groups that are known already.
    fn of(groups: Vec<Group>) -> Self {
        let mut stream = Stream::new(0, SiteId::default(), false, VecDeque::new());
        stream.heads = groups.into();
        Self { streams: vec![stream], queue: BinaryHeap::new(), order: Order::Site, current: 0 }
    }

    /// A scan of nothing.
    pub fn empty() -> Self {
        Self::of(Vec::new())
    }

    /// The row that it shows; None at the end.
    pub fn row(&self) -> Option<Row<'_>> {
        self.streams.get(self.current)?.row()
    }

    /// Goes on to the next row.
    pub fn next(&mut self, s: &Session) -> Result<()> {
        let Some(stream) = self.streams.get_mut(self.current) else { return Ok(()) };
        let more = stream.advance(s)?;
        match self.order {
            Order::Site if more => {}
            Order::Site => {
                self.current += 1;
                self.find(s)?;
            }
            Order::Version => {
                let place = stream.place();
                let waits = self.queue.peek().is_some_and(|Reverse((next, _))| *next < place);
                if more && !waits {
                    return Ok(());
                }
                if more {
                    self.queue.push(Reverse((place, self.current)));
                }
                self.turn();
            }
        }
        Ok(())
    }

    /// Turns to the stream with the next place.
    fn turn(&mut self) {
        self.current = self.queue.pop().map_or(usize::MAX, |Reverse((_, i))| i);
    }

    /// Turns to the next stream that has anything.
    fn find(&mut self, s: &Session) -> Result<()> {
        while let Some(stream) = self.streams.get_mut(self.current) {
            if stream.begin(s)? {
                return Ok(());
            }
            self.current += 1;
        }
        Ok(())
    }
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
pub fn of_row(s: &Session, table: &str, pk: &[u8]) -> Result<Scan> {
    let mut groups = Vec::new();
    if let Some(table) = s.named(table)?
        && let Ok(key) = crate::words::key::Key::from_pk(table.kind, table.keys.len(), pk)
        && let Some(clock) = log::clock_of(s, table.tid, key.borrow())?
    {
        let mut txns: Vec<Txn> = clock.life.map(|d| d.txn).into_iter().collect();
        txns.extend(table.cols.iter().filter_map(|c| clock.cell(c.id)).map(|c| c.dot.txn));
        for part in parts::of_row(s, &table, key.borrow())?.parts {
            let txn = part.dot.txn;
            let Some(record) = log::record(s, txn)? else { continue };
            let (site, version, stamp) = (s.site_id(txn.site)?, txn.version, record.stamp);
            let mut group = Group { site, version, stamp, ..Group::default() };
            if let Some(change) = parts::as_change(&table, &key, clock.cl, part)? {
                group.take_held(&change);
                groups.push(group);
            }
        }
        txns.sort_unstable();
        txns.dedup();
        for txn in txns {
            let Some(record) = log::record(s, txn)? else { continue };
            let (site, version, stamp) = (s.site_id(txn.site)?, txn.version, record.stamp);
            feed::of_row(s, &table, &key, txn, |row| {
                let mut group = Group { site, version, stamp, ..Group::default() };
                group.take_row(&row, &record)?;
                groups.push(group);
                Ok(())
            })?;
        }
    }
    for (h, version, site, stamp) in super::held::of_row(s, table, pk)? {
        let mut group = Group { site, version, stamp, ..Group::default() };
        group.take_held(&h);
        groups.push(group);
    }
    // The changes of different sites may have to take turns.
    let mut single: Vec<Group> = Vec::new();
    for group in &groups {
        let alone = |cell| Group { cells: vec![cell], ..group.clone() };
        single.extend(group.cells.iter().copied().map(alone));
    }
    single.sort_by_key(|g| (g.version, g.cells.first().map(|c| c.seq)));
    Ok(Scan::of(single))
}

/// What this file has seen and the vector has not: whole transactions, site by site.
pub fn since(s: &Rc<Session>, vector: ValueRef<'_>) -> Result<Scan> {
    let vector = coverage::parse(vector)?;
    export::refuse_open(s, "crsql_changes WHERE since = ...")?;
    export::meet_if_possible(s, &vector)?;
    let missing = s.snapshot(|| durable::promised(s, export::missing(s, &vector)?))?;
    let ranges = missing
        .into_iter()
        .map(|(site, spans)| (site, spans.into_iter().map(|span| (span.lo, span.hi)).collect()));
    Scan::new(s, ranges.collect(), Order::Site)
}
