//! What a caller of the builder may get wrong, one by one, with the sentence that says so.

use super::cases::{head, site, small, table};
use super::*;
use crsql::words::ranges::RangeSet;
use crsql::words::value::ValueRef;
use crsql::words::vector::Span;

/// The sentence with which `finish` refuses what was done to a builder that has a table of two
/// columns, number 0.
fn refused(wrong: impl Fn(&mut Builder)) -> String {
    let mut b = Builder::new();
    b.table(1, || table("a", KeyKind::Int, 2));
    wrong(&mut b);
    b.finish(Header::default()).unwrap_err().text
}

fn row(b: &mut Builder, table: usize) {
    b.row(table, KeyRef::Int(1), 1, None, std::iter::once((0, 0, None, ValueRef::Null)));
}

fn held(col_version: u64) -> HeldItem<'static> {
    let pk = &[1, 9, 1];
    HeldItem { table: "a", pk, cid: "c", val: ValueRef::Null, col_version, cl: 1, seq: 0 }
}

#[test]
fn the_first_mistake_is_told() {
    let outside = "an item was given outside of a transaction";
    assert_eq!(refused(|b| row(b, 0)), outside);
    assert_eq!(refused(|b| b.held(&held(1))), outside);
    assert!(refused(|b| row(b, 1)).contains("a table that was not given"));
    assert!(refused(|b| assert!(b.end() > 0)).contains("no transaction is open"));
    assert!(refused(|b| b.begin(head(1, 1))).contains("did not end"));
    let inside = refused(|b| {
        b.begin(head(1, 1));
        b.begin(head(1, 2));
        row(b, 7);
    });
    assert!(inside.contains("begun inside another"), "{inside}");
    let large = refused(|b| {
        b.begin(head(1, 1));
        b.held(&held(1 << 63));
        b.end();
    });
    assert!(large.contains("63 bits"), "{large}");
}

#[test]
fn a_cut_is_inside_of_the_places_of_its_transaction() {
    let cut = |lo, hi, open: bool| {
        move |b: &mut Builder| {
            if open {
                b.begin(head(1, 1));
            }
            b.cut(lo, hi);
            b.end();
        }
    };
    for (lo, hi, open) in [(0, 9, false), (5, 4, true), (9, 10, true)] {
        assert!(refused(cut(lo, hi, open)).contains("outside of its places"), "{lo} {hi}");
    }
    for (lo, hi) in [(0, 9), (9, 9)] {
        let mut b = Builder::new();
        cut(lo, hi, true)(&mut b);
        let bytes = b.finish(Header::default()).unwrap();
        assert_eq!(read(&bytes).unwrap().txns[0].0.part, Some((lo, hi)));
    }
    let mut whole = small();
    whole.txns[0].0.part = Some((3, 2));
    assert!(try_write(&whole, &[]).unwrap_err().text.contains("from place 3 to 2"));
}

#[test]
fn nothing_is_abandoned_where_nothing_is_open() {
    let mut b = Builder::new();
    b.abandon();
    assert!(b.is_empty());
    b.begin(head(1, 1));
    b.end();
    b.abandon();
    assert!(!b.is_empty());
    assert_eq!(read(&b.finish(Header::default()).unwrap()).unwrap().txns.len(), 1);
}

#[test]
fn two_tables_of_one_name_are_refused() {
    let said = refused(|b| {
        let other = b.table(2, || table("a", KeyKind::Int, 1));
        b.begin(head(1, 1));
        row(b, 0);
        row(b, other);
        b.end();
    });
    assert_eq!(said, "table a comes twice");
}

#[test]
fn a_version_0_is_refused_wherever_it_stands() {
    let mut whole = small();
    let zero: RangeSet = [(0, 3)].into_iter().collect();
    whole.txns[0].0.deps = vec![(site(1), zero)];
    assert!(try_write(&whole, &[]).unwrap_err().text.contains("a version is 0"));
    for (lo, hi, before) in [(0, 3, 0), (5, 4, 0)] {
        let mut whole = small();
        whole.header.coverage.insert(site(1), vec![Span { lo, hi, stamp: 0 }]);
        let said = try_write(&whole, &[]).unwrap_err().text;
        assert_eq!(said, format!("the range {lo} to {hi} cannot follow version {before}"));
    }
}

#[test]
fn a_column_that_names_no_merge_is_last_writer_wins() {
    let mut whole = small();
    whole.header.tables[0].columns[0].merge = String::new();
    let bytes = write(&whole);
    whole.header.tables[0].columns[0].merge = "lww".into();
    assert_eq!(bytes, write(&whole));
    assert_eq!(read(&bytes).unwrap(), whole);
    // Its one form is the empty name.
    whole.header.tables[0].columns[0].merge = "lwx".into();
    let mut said = write(&whole);
    let at = said.windows(3).position(|w| w == b"lwx").unwrap();
    said[at + 2] = b'w';
    said.truncate(said.len() - 32);
    assert!(read(&hashed(said)).unwrap_err().text.contains("'lww' is written out"));
}

#[test]
fn only_a_key_of_one_column_may_be_a_uuid() {
    let mut two = table("a", KeyKind::Packed, 1);
    two.keys.push(two.keys[0].clone());
    two.keys[1].name = "id2".into();
    let mut whole = small();
    whole.header.tables[0] = two;
    let Item::Row { key, cells, .. } = &mut whole.txns[0].1[0] else { panic!() };
    *key = Key::Packed([&[0][..], &[7; 16]].concat());
    cells.truncate(1);
    let bytes = write(&whole);
    assert!(read(&bytes).is_err());
    whole.header.tables[0].keys.truncate(1);
    assert_eq!(read(&write(&whole)).unwrap(), whole);
}

#[test]
fn heads_that_are_damaged_are_rejected_before_any_is_used() {
    let mut all = sections(&write(&small()));
    let last = all.iter().position(|s| s.0 == 17).unwrap();
    all[last].1 = vec![7, 7, 7];
    assert!(decode(&of_sections(&all)).err().unwrap().text.contains("site 7 is named"));
    assert!(reason(&of_sections(&[])).contains("the section SENDER is missing"));
}
