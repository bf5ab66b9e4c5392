//! The changesets that the tests begin with.

use crsql::words::affinity::Affinity;
use crsql::words::changeset::{ColumnInfo, KeyInfo, Kind, Omit, Seen};
use crsql::words::ranges::RangeSet;
use crsql::words::vector::{Closed, Span};

use super::*;

/// A site whose bytes are all the same.
pub fn site(n: u8) -> [u8; 16] {
    [n; 16]
}

/// What was seen: sites, and ranges whose stamps are 100 times their end.
pub fn seen(sites: &[(u8, &[(u64, u64)])]) -> Seen {
    let spans = |ranges: &[(u64, u64)]| {
        ranges.iter().map(|&(lo, hi)| Span { lo, hi, stamp: hi * 100 }).collect()
    };
    sites.iter().map(|(n, ranges)| (site(*n), spans(ranges))).collect()
}

/// A transaction without anything special.
pub fn head(n: u8, version: u64) -> TxnHead {
    let (stamp, last_seq) = (5, 9);
    TxnHead { site: site(n), version, stamp, last_seq, flags: 0, part: None, deps: Vec::new() }
}

/// A table with a key of one column and columns `c0`, `c1`, ...
pub fn table(name: &str, kind: KeyKind, columns: usize) -> TableInfo {
    let column = |n: usize| ColumnInfo {
        name: format!("c{n}"),
        former: Vec::new(),
        affinity: Affinity::Text,
        declared: "TEXT".into(),
        notnull: false,
        default: None,
        merge: "lww".into(),
    };
    TableInfo {
        name: name.into(),
        former: Vec::new(),
        kind,
        strict: false,
        keys: vec![KeyInfo {
            name: "id".into(),
            affinity: Affinity::Integer,
            collation: "BINARY".into(),
        }],
        columns: (0..columns).map(column).collect(),
    }
}

/// One transaction with one row of a table of two columns: its items are `04 00 02 07 08`.
pub fn small() -> Whole {
    let header =
        Header { sender: site(9), tables: vec![table("a", KeyKind::Int, 2)], ..Header::default() };
    let row = Item::Row {
        table: "a".into(),
        key: Key::Int(1),
        cl: 1,
        sentinel: None,
        cells: vec![(0, 0, None, Value::Int(7)), (1, 1, None, Value::Int(8))],
    };
    Whole { header, txns: vec![(head(1, 1), vec![row])] }
}

fn golden_tables() -> Vec<TableInfo> {
    let mut notes = table("notes", KeyKind::Packed, 3);
    notes.former = vec!["memos".into(), "notizen".into()];
    notes.strict = true;
    notes.keys[0].affinity = Affinity::Text;
    notes.keys[0].collation = "NOCASE".into();
    notes.columns[0] = ColumnInfo {
        name: "body".into(),
        former: vec!["contents".into()],
        affinity: Affinity::Any,
        declared: "ANY".into(),
        notnull: true,
        default: Some("'none yet'".into()),
        merge: "text".into(),
    };
    let mut rows = table("rows", KeyKind::Int, 3);
    rows.columns[1].affinity = Affinity::Real;
    rows.columns[2].affinity = Affinity::Blob;
    vec![notes, rows, table("tags", KeyKind::Int, 0)]
}

fn golden_items() -> Vec<Item> {
    let row = |table: &str, key, cl, sentinel, cells: Vec<Cell>| Item::Row {
        table: table.into(),
        key,
        cl,
        sentinel,
        cells,
    };
    let uuid = Key::from_values(
        KeyKind::Packed,
        &[Value::text("0192f0c4-7a3b-7def-8123-456789abcdef").as_ref()],
    );
    let word = Key::from_values(KeyKind::Packed, &[Value::text("word").as_ref()]);
    let (long, null) = (Value::text("x".repeat(100)), Value::Null);
    vec![
        // DENSE, with and without a sentinel; keys count up.
        row(
            "rows",
            Key::Int(1000),
            1,
            None,
            vec![
                (0, 0, None, Value::text("one")),
                (1, 1, None, Value::Real(-0.0)),
                (2, 2, None, Value::Blob(vec![0, 255])),
            ],
        ),
        row(
            "rows",
            Key::Int(1001),
            3,
            Some(3),
            vec![(0, 4, None, null.clone()), (1, 5, None, null.clone()), (2, 6, None, long)],
        ),
        // SPARSE: one cell; own stamp and steps; a sentinel among the cells; a tie.
        row("rows", Key::Int(-5), 1, None, vec![(1, 7, None, Value::Int(-129))]),
        row(
            "notes",
            uuid.unwrap(),
            1,
            Some(12),
            vec![
                (2, 10, Some(77), Value::Int(48)),
                (1, 13, None, null),
                (0, 20, None, Value::Int(i64::MIN)),
            ],
        ),
        // An earlier place than the row before, a dead row, a row without columns.
        row("rows", Key::Int(i64::MAX), 2, Some(8), vec![]),
        row("tags", Key::Int(i64::MIN), 1, Some(21), vec![]),
        row("notes", word.unwrap(), 1, Some(22), vec![]),
        Item::Held {
            table: "gone".into(),
            pk: vec![1, 9, 128],
            cid: "c".into(),
            val: Value::text("kept"),
            numbers: [i64::MAX as u64, MAX_CL, MAX_COUNT],
        },
    ]
}

/// A changeset that has one of everything.
pub fn golden() -> Whole {
    let header = Header {
        sender: site(9),
        epoch: 3,
        scope: "*".into(),
        now: 1_700_000_000_000_000,
        vector: seen(&[(1, &[(1, 7), (9, 9)]), (2, &[(4, 4)])]),
        horizon: BTreeMap::from([(site(1), 5)]),
        closed: BTreeMap::from([(site(2), Closed { at: 4, stamp: 400, from: 6 })]),
        omits: vec![Omit { site: site(2), lo: 4, hi: 6, what: "gone.c".into() }],
        coverage: seen(&[(1, &[(1, 7)])]),
        kind: Kind::Snapshot(b"next".to_vec()),
        tables: golden_tables(),
        signature: Some(b"signed".to_vec()),
    };
    let mut all = head(1, 7);
    all.flags = TxnHead::BACKFILL | TxnHead::REISSUED | TxnHead::DERIVED;
    all.stamp = 1_699_999_999_999_999;
    all.last_seq = MAX_COUNT;
    all.part = Some((0, 500));
    let ranges: RangeSet = [(1, 3), (5, 5)].into_iter().collect();
    all.deps = vec![(site(2), ranges.clone()), (site(3), ranges)];
    // What is left of a transaction may be nothing.
    Whole {
        header,
        txns: vec![(head(1, 2), Vec::new()), (all, golden_items()), (head(2, 4), vec![])],
    }
}
