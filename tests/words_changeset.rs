//! Changesets are bytes from strangers. What is written comes back as it was; whatever is read is
//! in its one form, so that writing it again gives the same bytes; anything else is REJECTED with a
//! sentence, in time that grows with its length. A changeset of the first format is kept in
//! `tests/golden`, and must be read and written the same for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use crsql::words::changeset::{
    Builder, CellIn, Header, HeldItem, ItemHead, KeyRef, TableInfo, TxnHead, decode, info,
};
use crsql::words::dot::{MAX_CL, MAX_COUNT};
use crsql::words::error::Result;
use crsql::words::key::{Key, KeyKind};
use crsql::words::value::Value;
use crsql::words::wire::{Reader, put_bytes, put_varint};
use sha2::{Digest, Sha256};

#[path = "words_changeset/caller.rs"]
mod caller;
#[path = "words_changeset/cases.rs"]
mod cases;
#[path = "words_changeset/hostile.rs"]
mod hostile;
#[path = "words_changeset/props.rs"]
mod props;

use cases::{golden, head, seen, small, table};

/// A cell as a value: column, place, own stamp, value.
type Cell = (usize, u64, Option<u64>, Value);

/// An item as a value.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Row { table: String, key: Key, cl: u64, sentinel: Option<u64>, cells: Vec<Cell> },
    Held { table: String, pk: Vec<u8>, cid: String, val: Value, numbers: [u64; 3] },
}

/// A changeset as a value.
#[derive(Clone, Debug, PartialEq)]
struct Whole {
    header: Header,
    txns: Vec<(TxnHead, Vec<Item>)>,
}

fn key_ref(key: &Key) -> KeyRef<'_> {
    match key {
        Key::Int(i) => KeyRef::Int(*i),
        Key::Packed(bytes) => KeyRef::Packed(bytes),
    }
}

/// Writes a changeset whose tables are those of the header and `more` that nothing uses.
fn try_write(whole: &Whole, more: &[TableInfo]) -> Result<Vec<u8>> {
    let mut b = Builder::new();
    let tables = || whole.header.tables.iter().chain(more);
    let mut index = BTreeMap::new();
    for (n, table) in tables().rev().enumerate() {
        index.insert(table.name.clone(), b.table(n as u32, || table.clone()));
    }
    for (head, items) in &whole.txns {
        b.begin(head.clone());
        for item in items {
            match item {
                Item::Row { table, key, cl, sentinel, cells } => {
                    let cells = cells.iter().map(|c| (c.0, c.1, c.2, c.3.as_ref()));
                    b.row(index[table], key_ref(key), *cl, *sentinel, cells);
                }
                Item::Held { table, pk, cid, val, numbers } => b.held(&HeldItem {
                    table,
                    pk,
                    cid,
                    val: val.as_ref(),
                    col_version: numbers[0],
                    cl: numbers[1],
                    seq: numbers[2],
                }),
            }
        }
        b.end();
    }
    b.finish(whole.header.clone())
}

fn write(whole: &Whole) -> Vec<u8> {
    try_write(whole, &[]).unwrap()
}

/// Reads all there is, or the reason why not.
fn read(bytes: &[u8]) -> Result<Whole> {
    let changeset = decode(bytes)?;
    changeset.check()?;
    let (mut txns, mut buffer) = (Vec::new(), Vec::new());
    for txn in changeset.transactions() {
        let txn = txn?;
        let (mut items, mut out) = (txn.items(), Vec::new());
        while let Some(head) = items.next(&mut buffer)? {
            out.push(owned(&changeset.header, head, &buffer));
        }
        txns.push((txn.head, out));
    }
    assert_eq!(txns.len(), changeset.len());
    Ok(Whole { header: changeset.header, txns })
}

fn owned(header: &Header, head: ItemHead<'_>, cells: &[CellIn<'_>]) -> Item {
    match head {
        ItemHead::Row { table, key, cl, sentinel } => Item::Row {
            table: header.tables[table].name.clone(),
            key: match key {
                KeyRef::Int(i) => Key::Int(i),
                KeyRef::Packed(bytes) => Key::Packed(bytes.to_vec()),
            },
            cl,
            sentinel,
            cells: cells.iter().map(|c| (c.column, c.seq, c.stamp, c.val.to_owned())).collect(),
        },
        ItemHead::Held(h) => Item::Held {
            table: h.table.into(),
            pk: h.pk.to_vec(),
            cid: h.cid.into(),
            val: h.val.to_owned(),
            numbers: [h.col_version, h.cl, h.seq],
        },
    }
}

/// Puts the right size and hash around these sections and what comes before them.
fn framed(front: [u8; 5], sections: &[u8]) -> Vec<u8> {
    let mut out = b"crsql".to_vec();
    out.extend_from_slice(&front);
    put_varint(&mut out, sections.len() as u64 + 1);
    out.push(0);
    out.extend_from_slice(sections);
    hashed(out)
}

fn hashed(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

/// The same bytes with a hash that fits.
fn rehashed(bytes: &[u8]) -> Vec<u8> {
    hashed(bytes[..bytes.len() - 32].to_vec())
}

/// The sections of a changeset: type and bytes.
fn sections(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut r = Reader::new(&bytes[10..bytes.len() - 32]);
    r.varint().unwrap();
    r.u8().unwrap();
    let mut out = Vec::new();
    while !r.is_empty() {
        out.push((r.varint().unwrap(), r.len_bytes().unwrap().to_vec()));
    }
    out
}

/// A changeset of these sections.
fn of_sections(sections: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (number, bytes) in sections {
        put_varint(&mut all, *number);
        put_bytes(&mut all, bytes);
    }
    framed([1, 1, 0, 0, 0], &all)
}

/// True when something in it may be ignored: a newer format, optional features, even sections.
fn says_more(bytes: &[u8]) -> bool {
    bytes[5] != 1 || bytes[8] != 0 || sections(bytes).iter().any(|s| s.0 % 2 == 0 && s.0 != 18)
}

/// Either REJECTED, or in its one form.
fn rejected_or_canonical(bytes: &[u8]) {
    if let Ok(whole) = read(bytes) {
        assert!(says_more(bytes) || write(&whole) == bytes, "two forms of {whole:?}");
    }
}

fn reason(bytes: &[u8]) -> String {
    read(bytes).expect_err("this should be rejected").text
}

/// The small changeset with the items of its only transaction being these bytes.
fn with_items(items: &[u8]) -> Vec<u8> {
    let mut txn = vec![0, 1, 5, 9, 0, 0];
    put_bytes(&mut txn, items);
    let mut all = sections(&write(&small()));
    all.retain(|s| s.0 != 17);
    all.push((17, txn));
    of_sections(&all)
}

/// Rows of the first table (integer key, two columns) after a first one that is right.
fn after_a_row(items: &[u8]) -> Vec<u8> {
    with_items(&[&[4, 0, 2, 7, 8], items].concat())
}

#[test]
fn the_golden_changeset_is_read_and_written_the_same() {
    let whole = golden();
    let bytes = include_bytes!("golden/changeset_v1.bin");
    assert_eq!(read(bytes).unwrap(), whole);
    assert_eq!(write(&whole), bytes);
    let json: serde_json::Value =
        serde_json::from_str(include_str!("golden/changeset_v1.json")).unwrap();
    assert_eq!(info(bytes).unwrap(), json);
}

/// Writes the golden files anew: only ever for a new format.
#[test]
#[ignore = "writes files"]
fn bless_golden() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/changeset_v1");
    let bytes = write(&golden());
    let json = serde_json::to_string_pretty(&info(&bytes).unwrap()).unwrap();
    std::fs::write(format!("{folder}.bin"), bytes).unwrap();
    std::fs::write(format!("{folder}.json"), json + "\n").unwrap();
}

#[test]
fn the_smallest_items_are_these_bytes() {
    let whole = small();
    let bytes = with_items(&[4, 0, 2, 7, 8]);
    assert_eq!(read(&bytes).unwrap(), whole);
    assert_eq!(write(&whole), bytes);
    assert_eq!(&bytes[..10], b"crsql\x01\x01\0\0\0");
}

#[test]
fn a_changeset_with_nothing_in_it() {
    let empty = Whole { header: Header::default(), txns: Vec::new() };
    let bytes = write(&empty);
    assert_eq!(read(&bytes).unwrap(), empty);
    assert!(Builder::new().is_empty() && decode(&bytes).unwrap().is_empty());
}

#[test]
fn abandoned_transactions_and_tables_without_rows_leave_nothing() {
    let whole = small();
    let mut b = Builder::new();
    let other = b.table(8, || table("other", KeyKind::Int, 3));
    b.begin(head(1, 1));
    b.row(other, KeyRef::Int(1), 1, Some(0), std::iter::empty());
    b.abandon();
    let same = b.table(5, || whole.header.tables[0].clone());
    assert_eq!(b.table(5, || panic!("asked twice")), same);
    b.begin(whole.txns[0].0.clone());
    let Item::Row { key, cells, .. } = &whole.txns[0].1[0] else { panic!() };
    let cells = cells.iter().map(|c| (c.0, c.1, c.2, c.3.as_ref()));
    b.row(same, key_ref(key), 1, None, cells);
    assert!(b.is_empty());
    assert_eq!(b.end(), b.size());
    assert_eq!(b.finish(whole.header.clone()).unwrap(), write(&whole));
}

#[test]
fn what_a_caller_gets_wrong_is_refused() {
    let whole = small();
    let wrong = |change: &dyn Fn(&mut Whole)| {
        let mut whole = whole.clone();
        change(&mut whole);
        assert!(try_write(&whole, &[]).is_err(), "{whole:?}");
    };
    wrong(&|w| w.txns.push(w.txns[0].clone()));
    wrong(&|w| w.txns[0].0.version = 0);
    wrong(&|w| w.txns[0].0.stamp = MAX_COUNT + 1);
    wrong(&|w| w.txns[0].0.flags = 8);
    wrong(&|w| w.txns[0].0.part = Some((0, 10)));
    wrong(&|w| w.header.epoch = u64::MAX);
    wrong(&|w| w.header.coverage = seen(&[(1, &[(5, 9), (9, 12)])]));
    wrong(&|w| w.header.tables[0].keys.clear());
    wrong(&|w| w.header.tables[0].columns[1].name = "c0".into());
    for (key, cl, sentinel, cells) in [
        (Key::Packed(vec![1, 1]), 1, Some(0), vec![]),
        (Key::Int(1), 1, None, vec![]),
        (Key::Int(1), 0, Some(0), vec![]),
        (Key::Int(1), 2, None, vec![]),
        (Key::Int(1), 2, Some(0), vec![(0, 1, None, Value::Null)]),
        (Key::Int(1), MAX_CL + 1, Some(0), vec![]),
        (Key::Int(1), 1, Some(u64::MAX), vec![]),
        (Key::Int(1), 1, None, vec![(2, 1, None, Value::Null)]),
        (Key::Int(1), 1, None, vec![(0, MAX_COUNT + 1, None, Value::Null)]),
        (Key::Int(1), 1, None, vec![(0, 1, None, Value::Null), (0, 2, None, Value::Null)]),
        (Key::Int(1), 1, None, vec![(0, 1, None, Value::Null), (0, 1, None, Value::Null)]),
    ] {
        let row = Item::Row { table: "a".into(), key, cl, sentinel, cells };
        wrong(&|w| w.txns[0].1.push(row.clone()));
    }
    let mut b = Builder::new();
    b.end();
    assert!(b.finish(Header::default()).is_err());
    let mut b = Builder::new();
    b.begin(head(1, 1));
    assert!(b.finish(Header::default()).is_err());
}

#[test]
fn cells_out_of_order_are_put_in_order() {
    let mut whole = small();
    let Item::Row { sentinel, cells, .. } = &mut whole.txns[0].1[0] else { panic!() };
    *sentinel = Some(6);
    *cells = vec![(1, 4, None, Value::Null), (0, 7, Some(8), Value::Int(1))];
    let expected = write(&whole);
    assert_eq!(read(&expected).unwrap(), whole);
    let Item::Row { cells, .. } = &mut whole.txns[0].1[0] else { panic!() };
    cells.reverse();
    assert_eq!(write(&whole), expected);
}
