//! Changesets that nobody thought of, and how large and quick the usual ones are.

use std::time::Instant;

use super::cases::{head, site, table};
use super::*;
use crsql::words::changeset::{Kind, Omit, Seen};
use crsql::words::pack;
use crsql::words::ranges::RangeSet;
use crsql::words::value::ValueRef;
use crsql::words::vector::{Closed, Span};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (any::<i64>(), 0..64u32).prop_map(|(i, s)| Value::Int(i >> s)),
        any::<f64>().prop_filter("NaN", |r| !r.is_nan()).prop_map(Value::Real),
        vec(any::<u8>(), 0..120).prop_map(Value::Text),
        vec(any::<u8>(), 0..120).prop_map(Value::Blob),
    ]
}

fn any_site() -> impl Strategy<Value = [u8; 16]> {
    (0..6u8).prop_map(site)
}

fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![0..300u64, 0..=MAX_COUNT, Just(MAX_COUNT)]
}

fn any_ranges() -> impl Strategy<Value = RangeSet> {
    vec((1..200u64, 0..20u64), 1..5).prop_map(|r| r.iter().map(|r| (r.0, r.0 + r.1)).collect())
}

fn any_seen() -> impl Strategy<Value = Seen> {
    let spans = (any_ranges(), any_count())
        .prop_map(|(ranges, stamp)| ranges.iter().map(|(lo, hi)| Span { lo, hi, stamp }).collect());
    btree_map(any_site(), spans, 0..4)
}

/// An integer key and 3 columns, none, 140 of which indices take two bytes, and packed keys.
const TABLES: [(&str, KeyKind, usize); 4] = [
    ("three", KeyKind::Int, 3),
    ("none", KeyKind::Int, 0),
    ("many", KeyKind::Int, 140),
    ("packed", KeyKind::Packed, 2),
];

fn any_key(kind: KeyKind) -> BoxedStrategy<Key> {
    let uuid = any::<[u8; 16]>().prop_map(|u| Key::Packed([&[0][..], &u].concat()));
    let packed = any_value().prop_map(|v| Key::from_values(KeyKind::Packed, &[v.as_ref()]));
    match kind {
        KeyKind::Int => (any::<i64>(), 0..64u32).prop_map(|(i, s)| Key::Int(i >> s)).boxed(),
        KeyKind::Packed => prop_oneof![uuid, packed.prop_map(|key| key.unwrap())].boxed(),
    }
}

/// Cells of some columns, in some order, at places that rise and sometimes do not.
fn any_cells(columns: usize) -> BoxedStrategy<Vec<Cell>> {
    let own = prop_oneof![4 => Just(None), 1 => any_count().prop_map(Some)];
    let step = prop_oneof![6 => Just(1u64), 1 => 0..200u64];
    let cell = (own, step, any_value());
    let some = proptest::sample::subsequence((0..columns).collect::<Vec<_>>(), 0..=columns);
    let some = prop_oneof![some.clone(), some.prop_shuffle(), Just((0..columns).collect())];
    (some, vec(cell, columns), 0..400u64, any::<bool>())
        .prop_map(|(columns, cells, mut place, plain)| {
            let cells = columns.into_iter().zip(cells).map(|(column, (own, step, val))| {
                let (own, step) = if plain { (None, 1) } else { (own, step) };
                place += step;
                (column, place, own, val)
            });
            let mut cells: Vec<Cell> = cells.collect();
            cells.sort_by_key(|cell| (cell.1, cell.0));
            cells
        })
        .boxed()
}

fn any_row() -> impl Strategy<Value = Item> {
    (0..TABLES.len()).prop_flat_map(|at| {
        let (table, kind, columns) = TABLES[at];
        let cl = prop_oneof![4 => Just(1u64), 1 => 1..=MAX_CL];
        let sentinel = proptest::option::of(0..900u64);
        (any_key(kind), cl, sentinel, any_cells(columns)).prop_map(
            move |(key, cl, sentinel, mut cells)| {
                if cl % 2 == 0 {
                    cells.clear();
                }
                let sentinel = if cells.is_empty() { sentinel.or(Some(3)) } else { sentinel };
                Item::Row { table: table.into(), key, cl, sentinel, cells }
            },
        )
    })
}

fn any_held() -> impl Strategy<Value = Item> {
    let numbers = (0..=i64::MAX as u64, 1..=MAX_CL, any_count());
    (".{0,9}", vec(any_value(), 1..4), ".{0,9}", any_value(), numbers).prop_map(
        |(table, key, cid, val, numbers)| {
            let mut pk = Vec::new();
            pack::pack(&mut pk, key.iter().map(Value::as_ref)).unwrap();
            Item::Held { table, pk, cid, val, numbers: numbers.into() }
        },
    )
}

fn any_txn() -> impl Strategy<Value = (TxnHead, Vec<Item>)> {
    let deps = btree_map(any_site(), any_ranges(), 0..3);
    let part = proptest::option::of((0..50u64, 0..50u64));
    let items = vec(prop_oneof![9 => any_row(), 1 => any_held()], 0..8);
    let numbers = (any_count(), 1..=MAX_COUNT, any_count(), 0..8u8);
    (any_site(), numbers, deps, part, items).prop_map(|(site, n, deps, part, items)| {
        let part = part.map(|(lo, more)| (lo, lo + more));
        let last_seq = if part.is_some() { n.2.max(100) } else { n.2 };
        let deps = deps.into_iter().collect();
        (TxnHead { site, version: n.1, stamp: n.0, last_seq, flags: n.3, part, deps }, items)
    })
}

fn any_whole() -> impl Strategy<Value = Whole> {
    let omits = vec((any_site(), 1..99u64, 0..99u64, ".{0,9}"), 0..3);
    let horizon = btree_map(any_site(), 1..=MAX_COUNT, 0..3);
    let closed = (0..99u64, any_count(), 1..99u64).prop_map(|(at, stamp, more)| Closed {
        at,
        stamp,
        from: at + more,
    });
    let closed = btree_map(any_site(), closed, 0..3);
    let kind = proptest::option::of(vec(any::<u8>(), 0..9));
    let signature = proptest::option::of(vec(any::<u8>(), 0..9));
    let header = (any_site(), any_count(), ".{0,5}", any_count(), any_seen(), any_seen());
    (header, omits, (horizon, closed), kind, signature, vec(any_txn(), 0..6)).prop_map(
        |(h, omits, (horizon, closed), kind, signature, mut txns)| {
            let omit =
                |o: (_, u64, u64, String)| Omit { site: o.0, lo: o.1, hi: o.1 + o.2, what: o.3 };
            let mut omits: Vec<Omit> = omits.into_iter().map(omit).collect();
            omits.sort();
            omits.dedup();
            txns.sort_by_key(|t| (t.0.site, t.0.version));
            txns.dedup_by_key(|t| (t.0.site, t.0.version));
            for (head, items) in &mut txns {
                for item in items {
                    if let Item::Row { cells, .. } = item {
                        cells.iter_mut().for_each(|c| c.2 = c.2.filter(|own| *own != head.stamp));
                    }
                }
            }
            let kind = kind.map_or(Kind::Delta, Kind::Snapshot);
            let (sender, epoch, scope, now, vector, coverage) = h;
            let tables = used_tables(&txns);
            let header = Header {
                sender,
                epoch,
                scope,
                now,
                vector,
                horizon,
                closed,
                omits,
                coverage,
                kind,
                tables,
                signature,
            };
            Whole { header, txns }
        },
    )
}

fn used_tables(txns: &[(TxnHead, Vec<Item>)]) -> Vec<TableInfo> {
    let items = txns.iter().flat_map(|txn| &txn.1);
    let names: std::collections::BTreeSet<&str> = items
        .filter_map(|item| match item {
            Item::Row { table, .. } => Some(table.as_str()),
            Item::Held { .. } => None,
        })
        .collect();
    let all = names.into_iter().map(|name| TABLES.iter().find(|t| t.0 == name).unwrap());
    all.map(|t| table(t.0, t.1, t.2)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changesets_come_back(whole in any_whole(), by in 0..9usize) {
        let bytes = write(&whole);
        prop_assert_eq!(&read(&bytes).unwrap(), &whole);
        // The order in which transactions are given does not show, nor do tables without rows.
        let mut other = whole;
        let n = other.txns.len().max(1);
        other.txns.rotate_left(by % n);
        let more = table("unused", KeyKind::Int, 1);
        prop_assert_eq!(try_write(&other, &[more]).unwrap(), bytes);
    }

    #[test]
    fn e3_what_is_read_is_in_its_one_form(
        whole in any_whole(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bytes = write(&whole);
        let mut all = bytes.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len() - 32);
            let mut one = bytes.clone();
            (one[at], all[at]) = (byte, byte);
            rejected_or_canonical(&rehashed(&one));
        }
        rejected_or_canonical(&rehashed(&all));
    }

    #[test]
    fn e3_any_items_at_all(items in vec(0..45u8, 0..30), more in vec(any::<u8>(), 0..9)) {
        rejected_or_canonical(&with_items(&[&items[..], &more].concat()));
        rejected_or_canonical(&after_a_row(&items));
    }

    #[test]
    fn e10_any_bytes_at_all(mut bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_err());
        bytes.splice(0..0, *b"crsql\x01\x01\0\0\0");
        prop_assert!(read(&hashed(bytes)).is_err());
    }
}

/// Rows of six columns with 90 bytes of plain data.
fn usual(rows: usize, rows_per_txn: usize) -> Vec<u8> {
    let mut b = Builder::new();
    let t = b.table(1, || table("three", KeyKind::Int, 6));
    let words = b"the quick brown fox jumps over the lazy dog, and the dog does not mind at all";
    for n in 0..rows {
        let at = n % rows_per_txn;
        if at == 0 {
            let version = (n / rows_per_txn) as u64 + 1;
            let stamp = 1_700_000_000_000_000 + version * 977;
            b.begin(TxnHead { stamp, last_seq: rows_per_txn as u64 * 6 - 1, ..head(1, version) });
        }
        let cells: [ValueRef<'_>; 6] = [
            ValueRef::Text(&words[n % 9..n % 9 + 24]),
            ValueRef::Text(&words[n % 7..n % 7 + 40]),
            ValueRef::Int(1_700_000_000 + n as i64),
            ValueRef::Real(n as f64 * 0.1),
            ValueRef::Text(&words[..10]),
            ValueRef::Int(n as i64 % 1000),
        ];
        let cells = cells.iter().enumerate();
        let cells = cells.map(|(c, v)| (c, (at * 6 + c) as u64, None, *v));
        b.row(t, KeyRef::Int(n as i64 + 1), 1, None, cells);
        if at + 1 == rows_per_txn {
            b.end();
        }
    }
    b.finish(Header::default()).unwrap()
}

fn walk(bytes: &[u8]) -> usize {
    let changeset = decode(bytes).unwrap();
    let (mut cells, mut count) = (Vec::new(), 0);
    for txn in changeset.transactions() {
        let mut items = txn.unwrap().items();
        while items.next(&mut cells).unwrap().is_some() {
            count += cells.len();
        }
    }
    count
}

#[test]
fn a_row_of_90_bytes_takes_100() {
    let bytes = usual(1000, 1000);
    assert_eq!(walk(&bytes), 6000);
    assert!(bytes.len() <= 100 * 1000, "{} bytes for 1000 rows", bytes.len());
}

/// For a person to run: `cargo test --release --test words_changeset -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn nanoseconds_per_row() {
    let rows = 100_000;
    for per_txn in [1000, 1] {
        let mut best = [u128::MAX; 3];
        let mut bytes = Vec::new();
        for _ in 0..12 {
            let start = Instant::now();
            bytes = usual(rows, per_txn);
            best[0] = best[0].min(start.elapsed().as_nanos());
            let start = Instant::now();
            assert_eq!(walk(&bytes), rows * 6);
            best[1] = best[1].min(start.elapsed().as_nanos());
            let start = Instant::now();
            std::hint::black_box(Sha256::digest(&bytes));
            best[2] = best[2].min(start.elapsed().as_nanos());
        }
        let [write, read, hash] = best.map(|ns| ns / rows as u128);
        let size = bytes.len() / rows;
        println!("{per_txn} rows per transaction, per row: write {write} ns, read {read} ns");
        println!("    each with the hash, which is {hash} ns; {size} bytes");
    }
}
