//! A changeset as values: read from bytes, changed in what it says, written again in its one form.
//! This is what a peer can send who knows the format and means harm.

use crate::rng::Rng;
use crsql::words::changeset::{
    Builder, Changeset, Header, HeldItem, ItemHead, Kind, Omit, TxnHead, decode,
};
use crsql::words::error::Result;
use crsql::words::key::{Key, KeyKind};
use crsql::words::value::{Value, ValueRef};
use crsql::words::vector::Span;

/// A changeset.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub header: Header,
    pub txns: Vec<(TxnHead, Vec<Item>)>,
}

/// A cell: its column, place, own stamp and value.
pub type Cell = (usize, u64, Option<u64>, Value);

/// A change that its sender held.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub table: String,
    pub pk: Vec<u8>,
    pub cid: String,
    pub val: Value,
    pub col_version: u64,
    pub cl: u64,
    pub seq: u64,
}

/// An item of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Row { table: usize, key: Key, cl: u64, sentinel: Option<u64>, cells: Vec<Cell> },
    Held(Held),
}

/// Reads all of a changeset.
pub fn read(bytes: &[u8]) -> Result<Model> {
    let changeset: Changeset<'_> = decode(bytes)?;
    let mut txns = Vec::new();
    let mut cells = Vec::new();
    for txn in changeset.transactions() {
        let txn = txn?;
        let (mut walk, mut items) = (txn.items(), Vec::new());
        while let Some(head) = walk.next(&mut cells)? {
            items.push(match head {
                ItemHead::Row { table, key, cl, sentinel } => {
                    let cells = cells.iter().map(|c| (c.column, c.seq, c.stamp, c.val.to_owned()));
                    Item::Row { table, key: key.to_key(), cl, sentinel, cells: cells.collect() }
                }
                ItemHead::Held(h) => Item::Held(Held {
                    table: h.table.to_owned(),
                    pk: h.pk.to_vec(),
                    cid: h.cid.to_owned(),
                    val: h.val.to_owned(),
                    col_version: h.col_version,
                    cl: h.cl,
                    seq: h.seq,
                }),
            });
        }
        txns.push((txn.head.clone(), items));
    }
    Ok(Model { header: changeset.header.clone(), txns })
}

/// Writes a changeset.
pub fn write(model: &Model) -> Result<Vec<u8>> {
    let mut out = Builder::new();
    for (at, info) in model.header.tables.iter().enumerate() {
        out.table(at as u32, || info.clone());
    }
    for (head, items) in &model.txns {
        out.begin(head.clone());
        for item in items {
            match item {
                Item::Row { table, key, cl, sentinel, cells } => {
                    let cells =
                        cells.iter().map(|(c, seq, stamp, v)| (*c, *seq, *stamp, v.as_ref()));
                    out.row(*table, key.borrow(), *cl, *sentinel, cells);
                }
                Item::Held(h) => out.held(&HeldItem {
                    table: &h.table,
                    pk: &h.pk,
                    cid: &h.cid,
                    val: h.val.as_ref(),
                    col_version: h.col_version,
                    cl: h.cl,
                    seq: h.seq,
                }),
            }
        }
        out.end();
    }
    out.finish(model.header.clone())
}

/// Whether no two changes of a transaction stand at one place.
pub fn places_differ(items: &[Item]) -> bool {
    let mut places: Vec<u64> = Vec::new();
    for item in items {
        match item {
            Item::Row { sentinel, cells, .. } => {
                places.extend(sentinel);
                places.extend(cells.iter().map(|c| c.1));
            }
            Item::Held(h) => places.push(h.seq),
        }
    }
    let count = places.len();
    places.sort_unstable();
    places.dedup();
    places.len() == count
}

/// Says something else; `other` is a model to take things from.
pub fn change(rng: &mut Rng, model: &mut Model, other: &Model) {
    for _ in 0..1 + rng.below(5) {
        match rng.below(10) {
            0 | 1 => header(rng, &mut model.header, other),
            2 => tables(rng, model, other),
            3 => transactions(rng, model, other),
            4 => {
                let at = rng.below(model.txns.len());
                if let Some((head, _)) = model.txns.get_mut(at) {
                    transaction(rng, head);
                }
            }
            _ => {
                let at = rng.below(model.txns.len());
                let columns: Vec<usize> =
                    model.header.tables.iter().map(|t| t.columns.len()).collect();
                if let Some((_, items)) = model.txns.get_mut(at) {
                    item(rng, items, &columns);
                }
            }
        }
    }
}

/// A site: one that is known somewhere, or a stranger.
fn site(rng: &mut Rng, model: &Header, other: &Model) -> [u8; 16] {
    let all: Vec<[u8; 16]> = [model.sender, other.header.sender, [0; 16], [255; 16]]
        .into_iter()
        .chain(model.coverage.keys().copied())
        .chain(other.header.vector.keys().copied())
        .collect();
    if rng.one_in(6) {
        let mut new = [0; 16];
        new.copy_from_slice(&rng.bytes(16));
        return new;
    }
    *rng.pick(&all)
}

fn header(rng: &mut Rng, h: &mut Header, other: &Model) {
    let who = site(rng, h, other);
    match rng.below(10) {
        0 => h.sender = who,
        1 => h.epoch = rng.edge(h.epoch),
        2 => h.now = rng.edge(h.now),
        3 => {
            let lo = rng.edge(1);
            let hi = lo.saturating_add(rng.edge(1) >> rng.below(64));
            h.coverage.insert(who, vec![Span { lo, hi, stamp: rng.edge(7) }]);
        }
        4 => {
            let hi = rng.edge(3);
            h.vector.insert(who, vec![Span { lo: 1, hi, stamp: rng.edge(7) }]);
        }
        5 => {
            h.horizon.insert(who, rng.edge(2));
        }
        6 => {
            let lo = rng.edge(1);
            let whats = ["plain", "plain.a", "pairs", "", ".", "nothing"];
            h.omits.push(Omit {
                site: who,
                lo,
                hi: rng.edge(lo),
                what: (*rng.pick(&whats)).into(),
            });
        }
        7 => {
            let n = rng.below(20);
            h.kind = Kind::Snapshot(rng.bytes(n));
        }
        8 => h.scope = (*rng.pick(&["*", "", "x", "a b"])).into(),
        _ => {
            for spans in h.coverage.values_mut().chain(h.vector.values_mut()) {
                for span in spans.iter_mut() {
                    match rng.below(6) {
                        0 => span.stamp = rng.edge(span.stamp),
                        1 => span.lo = rng.edge(span.lo),
                        2 => span.hi = rng.edge(span.hi),
                        _ => {}
                    }
                }
            }
        }
    }
}

const NAMES: [&str; 12] = [
    "plain",
    "pairs",
    "uuids",
    "a",
    "b",
    "",
    "-1",
    "crsql_state",
    "sqlite_schema",
    "id",
    "zzz",
    "x\"; DROP TABLE plain; --",
];

fn tables(rng: &mut Rng, model: &mut Model, other: &Model) {
    let at = rng.below(model.header.tables.len());
    let elsewhere = other.header.tables.clone();
    let Some(table) = model.header.tables.get_mut(at) else { return };
    let name: String = (*rng.pick(&NAMES)).into();
    let column = rng.below(table.columns.len());
    let affinities = crsql::words::changeset::affinity_of;
    match (rng.below(10), table.columns.get_mut(column)) {
        (0, _) => table.name = name,
        (1, _) => table.former.push(name),
        (2, _) => table.strict = !table.strict,
        (3, Some(c)) => c.name = name,
        (4, Some(c)) => c.former.push(name),
        (5, Some(c)) => {
            if let Ok(a) = affinities(rng.below(6) as u8) {
                c.affinity = a;
            }
        }
        (6, Some(c)) => {
            c.notnull = !c.notnull;
            c.default = [None, Some("(SELECT 1)".into()), Some("'x'".into()), Some("".into())]
                [rng.below(4)]
            .clone();
        }
        (7, Some(c)) => c.merge = (*rng.pick(&["", "lww", "counter", "nonsense"])).into(),
        (8, _) => {
            let at = rng.below(table.keys.len());
            if let Some(key) = table.keys.get_mut(at) {
                match rng.below(3) {
                    0 => key.name = name,
                    1 => key.collation = (*rng.pick(&["NOCASE", "BINARY", ""])).into(),
                    _ => key.affinity = affinities(rng.below(6) as u8).unwrap_or(key.affinity),
                }
            }
        }
        _ => {
            if let Some(more) = elsewhere.get(rng.below(elsewhere.len())) {
                let (name, columns) = (table.name.clone(), table.columns.len());
                if more.kind == table.kind && more.columns.len() >= columns {
                    *table = more.clone();
                    if rng.one_in(2) {
                        table.name = name;
                    }
                }
            }
        }
    }
}

fn transactions(rng: &mut Rng, model: &mut Model, other: &Model) {
    let at = rng.below(model.txns.len());
    match rng.below(5) {
        0 if !model.txns.is_empty() => {
            model.txns.remove(at);
        }
        1 if !model.txns.is_empty() => {
            let mut again = model.txns[at].clone();
            again.0.version = rng.edge(again.0.version);
            model.txns.push(again);
        }
        2 if !model.txns.is_empty() => {
            let who = site(rng, &model.header, other);
            model.txns[at].0.site = who;
        }
        3 if !other.txns.is_empty() && other.header.tables == model.header.tables => {
            model.txns.push(rng.pick(&other.txns).clone());
        }
        // All of it as one transaction.
        _ => {
            let all: Vec<Item> = model.txns.iter().flat_map(|(_, items)| items.clone()).collect();
            if let Some((head, items)) = model.txns.get_mut(at) {
                head.last_seq = head.last_seq.max(1 << 10);
                *items = all;
            }
        }
    }
}

fn transaction(rng: &mut Rng, head: &mut TxnHead) {
    match rng.below(8) {
        0 => head.version = rng.edge(head.version),
        1 | 2 => head.stamp = rng.edge(head.stamp),
        3 => head.last_seq = rng.edge(head.last_seq),
        4 => head.flags = rng.below(8) as u8,
        5 => {
            let (lo, hi) = (rng.below(9) as u64, rng.below(9) as u64);
            head.last_seq = head.last_seq.max(lo.max(hi));
            head.part = Some((lo.min(hi), lo.max(hi)));
        }
        6 => {
            let hi = rng.edge(head.last_seq);
            head.part = Some((rng.below(3) as u64, hi));
            head.last_seq = head.last_seq.max(hi);
        }
        _ => {
            let lo = rng.edge(1);
            let set = [(lo, lo.saturating_add(rng.below(9) as u64))].into_iter().collect();
            head.deps.push((head.site, set));
        }
    }
}

fn item(rng: &mut Rng, items: &mut Vec<Item>, columns: &[usize]) {
    let at = rng.below(items.len());
    if items.is_empty() {
        return;
    }
    match rng.below(8) {
        0 => {
            items.remove(at);
            return;
        }
        1 => {
            let again = items[at].clone();
            items.push(again);
            return;
        }
        2 => {
            let to = rng.below(items.len());
            items.swap(at, to);
            return;
        }
        _ => {}
    }
    match &mut items[at] {
        Item::Held(h) => held(rng, h),
        Item::Row { table, key, cl, sentinel, cells } => match rng.below(8) {
            0 => *key = other_key(rng, key),
            1 => *table = rng.below(columns.len() + 1),
            2 => *cl = rng.edge(*cl),
            3 => *cl = 1 + rng.below(5) as u64,
            4 => *sentinel = if rng.one_in(2) { None } else { Some(rng.edge(0)) },
            _ => cell(rng, cells, columns.get(*table).copied().unwrap_or(0)),
        },
    }
    if let Item::Row { cl, sentinel, cells, .. } = &mut items[at]
        && *cl % 2 == 0
        && !rng.one_in(8)
    {
        cells.clear();
        sentinel.get_or_insert(0);
    }
}

fn cell(rng: &mut Rng, cells: &mut Vec<Cell>, columns: usize) {
    let at = rng.below(cells.len());
    match (rng.below(7), cells.get_mut(at)) {
        (0, Some(c)) => c.0 = rng.below(columns + 1),
        (1, Some(c)) => c.1 = rng.edge(c.1),
        (2, Some(c)) => c.2 = Some(rng.edge(5)),
        (3, Some(_)) => {
            cells.remove(at);
        }
        (4, _) => cells.push((rng.below(columns), rng.below(40) as u64, None, rng.value())),
        (_, Some(c)) => c.3 = rng.value(),
        _ => {}
    }
}

/// Another key of the same kind.
pub fn other_key(rng: &mut Rng, key: &Key) -> Key {
    match key {
        Key::Int(i) => Key::Int(rng.edge(i.cast_unsigned()).cast_signed()),
        Key::Packed(_) => {
            let mut values = key.values().unwrap_or_default();
            for v in &mut values {
                if rng.one_in(2) {
                    *v = rng.value();
                }
            }
            let refs: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
            Key::from_values(KeyKind::Packed, &refs).unwrap_or_else(|_| key.clone())
        }
    }
}

fn held(rng: &mut Rng, h: &mut Held) {
    let name: String = (*rng.pick(&NAMES)).into();
    match rng.below(8) {
        0 => h.table = name,
        1 => h.cid = name,
        2 => h.val = rng.value(),
        3 => h.col_version = rng.edge(h.col_version),
        4 => h.cl = rng.edge(h.cl),
        5 => h.seq = rng.edge(h.seq),
        6 => {
            let n = 1 + rng.below(3);
            let values: Vec<Value> = (0..n).map(|_| rng.value()).collect();
            let mut pk = Vec::new();
            if crsql::words::pack::pack(&mut pk, values.iter().map(Value::as_ref)).is_ok() {
                h.pk = pk;
            }
        }
        _ => {
            h.cid = "-1".into();
            h.cl = 1 + rng.below(4) as u64;
            h.col_version = h.cl;
        }
    }
}
