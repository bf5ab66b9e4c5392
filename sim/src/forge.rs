//! A hostile peer: what it sends is in the one form and closed by the right hash, and says what
//! nobody wrote. It does so in a name of its own, or in the names of others.

use crate::host::Cell;
use crate::rng::Rng;
use crsql::words::changeset::{
    Builder, CellIn, Changeset, Header, HeldItem, ItemHead, KeyRef, Seen, TableInfo, Txn, decode,
};
use crsql::words::dot::{MAX_CL, SiteId};
use crsql::words::value::ValueRef;
use crsql::words::vector::{Closed, Omit, Span};

const NUMBERS: [u64; 9] = [0, 1, 2, 7, 1 << 20, 1 << 40, (1 << 53) - 1, 1 << 53, u64::MAX];

/// A number that is a little off, or far off.
fn off(rng: &mut Rng, n: u64) -> u64 {
    match rng.below(4) {
        0 => n.wrapping_add(1),
        1 => n.saturating_sub(1),
        2 => n ^ (1 << rng.below(53)),
        _ => *rng.pick(&NUMBERS),
    }
}

fn value<'a>(rng: &mut Rng) -> ValueRef<'a> {
    *rng.pick(&[
        ValueRef::Null,
        ValueRef::Int(i64::MIN),
        ValueRef::Int(5),
        ValueRef::Real(-0.0),
        ValueRef::Real(f64::INFINITY),
        ValueRef::Text(b"\xff\x00forged"),
        ValueRef::Text(b"12"),
        ValueRef::Blob(b""),
    ])
}

/// What is said otherwise than it was: one thing in `rate`.
struct Forger<'r> {
    rng: &'r mut Rng,
    rate: usize,
    /// In whose name; None: in those that are there.
    own: Option<SiteId>,
    sites: Vec<SiteId>,
}

impl Forger<'_> {
    fn lies(&mut self) -> bool {
        self.rng.one_in(self.rate)
    }

    fn number(&mut self, n: &mut u64) {
        if self.lies() {
            *n = off(self.rng, *n);
        }
    }

    fn site(&mut self, site: &mut SiteId) {
        if let Some(own) = self.own {
            *site = own;
        } else if self.lies() {
            *site = *self.rng.pick(&self.sites);
        }
    }

    fn spans(&mut self, seen: &mut Seen) {
        for spans in seen.values_mut() {
            for span in spans.iter_mut() {
                self.number(&mut span.hi);
                self.number(&mut span.stamp);
            }
        }
        if self.own.is_none() && self.lies() {
            let hi = off(self.rng, 3);
            let site = *self.rng.pick(&self.sites);
            seen.insert(site, vec![Span { lo: 1, hi, stamp: off(self.rng, hi) }]);
        }
    }

    fn header(&mut self, h: &mut Header) {
        self.site(&mut h.sender);
        self.number(&mut h.epoch);
        self.number(&mut h.now);
        if let Some(own) = self.own {
            // It tells of itself alone.
            let all: Vec<Span> = h.coverage.values().next().cloned().unwrap_or_default();
            h.coverage = Seen::from([(own, all)]);
            h.vector = h.coverage.clone();
            h.closed.clear();
            h.horizon.clear();
            h.omits.clear();
        }
        self.spans(&mut h.coverage);
        self.spans(&mut h.vector);
        if self.own.is_none() && self.lies() {
            let site = *self.rng.pick(&self.sites);
            let (at, from) = (off(self.rng, 1), off(self.rng, 3));
            match self.rng.below(3) {
                0 => drop(h.closed.insert(site, Closed { at, stamp: off(self.rng, at), from })),
                1 => drop(h.horizon.insert(site, at)),
                _ => h.omits.push(Omit { site, lo: at, hi: from, what: "t".into() }),
            }
        }
    }

    fn table(&mut self, t: &mut TableInfo) {
        if self.lies() {
            match self.rng.below(6) {
                0 => t.name.push('x'),
                1 => t.former.push("select0".into()),
                2 => t.strict = !t.strict,
                3 => t.keys.iter_mut().for_each(|k| k.collation = "NOCASE".into()),
                4 => t.columns.iter_mut().for_each(|c| c.notnull = !c.notnull),
                _ => t.columns.reverse(),
            }
        }
    }

    fn transaction(&mut self, out: &mut Builder, txn: &Txn<'_>, tables: &[TableInfo]) {
        let mut head = txn.head.clone();
        self.site(&mut head.site);
        self.number(&mut head.version);
        self.number(&mut head.stamp);
        self.number(&mut head.last_seq);
        if self.lies() {
            head.flags = self.rng.below(8) as u8;
        }
        if self.own.is_some() {
            head.deps.clear();
        }
        out.begin(head);
        let (mut items, mut cells) = (txn.items(), Vec::new());
        while let Ok(Some(item)) = items.next(&mut cells) {
            if self.lies() && self.rng.one_in(4) {
                continue;
            }
            match item {
                ItemHead::Held(h) => out.held(&HeldItem { val: value(self.rng), ..h }),
                ItemHead::Row { table, key, mut cl, mut sentinel } => {
                    let key = match key {
                        KeyRef::Int(n) if self.lies() => KeyRef::Int(n ^ 1),
                        key => key,
                    };
                    self.number(&mut cl);
                    // A row that is brought to its end goes on where it is written alone, by
                    // design: only a liar does that.
                    if self.own.is_some() && cl >= MAX_CL - 1 {
                        cl = 1;
                    }
                    if self.lies() {
                        sentinel = sentinel.xor(Some(0));
                    }
                    cells.iter_mut().for_each(|c| self.cell(c, tables.get(table)));
                    cells.sort_by_key(|c| c.seq);
                    let at = out.table(table as u32, || tables[table].clone());
                    let all = cells.iter().map(|c| (c.column, c.seq, c.stamp, c.val));
                    out.row(at, key, cl, sentinel, all);
                }
            }
        }
        out.end();
    }

    fn cell(&mut self, c: &mut CellIn<'_>, table: Option<&TableInfo>) {
        if self.lies() {
            c.val = value(self.rng);
        }
        if self.lies() {
            c.stamp = Some(off(self.rng, c.stamp.unwrap_or(1 << 50)));
        }
        self.number(&mut c.seq);
        if let (true, Some(table)) = (self.lies(), table) {
            c.column = self.rng.below(table.columns.len().max(1));
        }
    }
}

/// A changeset as a hostile peer would have made it; None where what came out has no form.
pub fn changeset(rng: &mut Rng, bytes: &[u8], other: &[u8], liar: bool) -> Option<Vec<u8>> {
    let (from, other) = (decode(bytes).ok()?, decode(other).ok()?);
    let mut own = [0; 16];
    own.iter_mut().for_each(|b| *b = rng.next() as u8);
    let mut sites: Vec<SiteId> = from.header.coverage.keys().copied().collect();
    sites.extend([from.header.sender, other.header.sender, own]);
    let rate = *rng.pick(&[2, 8, 30]);
    let mut f = Forger { rng, rate, own: (!liar).then_some(own), sites };
    let mut out = Builder::new();
    let mut header = from.header.clone();
    f.header(&mut header);
    let mut tables = from.header.tables.clone();
    tables.iter_mut().for_each(|t| f.table(t));
    let take = |f: &mut Forger<'_>, out: &mut Builder, from: &Changeset<'_>, ts: &[TableInfo]| {
        from.transactions().flatten().for_each(|txn| f.transaction(out, &txn, ts));
    };
    take(&mut f, &mut out, &from, &tables);
    // Parts of another are spliced in, where both tell of the same tables.
    if liar && f.lies() && other.header.tables == from.header.tables {
        take(&mut f, &mut out, &other, &tables);
    }
    out.finish(header).ok()
}

/// Rows as a hostile peer would have made them.
pub fn rows(rng: &mut Rng, rows: &mut [Vec<Cell>]) {
    if rows.is_empty() {
        return;
    }
    for _ in 0..1 + rng.below(3) {
        let (at, column, from) = (rng.below(rows.len()), rng.below(9), rng.below(rows.len()));
        let n = off(rng, 5).to_be_bytes();
        rows[at][column] = match rng.below(4) {
            0 => rows[from][rng.below(9)].clone(),
            1 => rows[from][column].clone(),
            2 => Cell([&[1], &n[..]].concat()),
            _ => Cell(vec![0]),
        };
    }
}
