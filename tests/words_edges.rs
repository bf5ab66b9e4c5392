//! The edges of floor 0 that ordinary use does not reach: mistakes of a caller, damage that no
//! writer of ours makes, the first and the last of everything.
//!
//! The story: `make coverage` and `make mutants` named these lines. A check that no test reaches
//! can be taken out, and no test says so; the next reader of a damaged file would have found out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crsql::words::dot::{Dot, MAX_COUNT, Txn};
use crsql::words::error::Error;
use crsql::words::fract;
use crsql::words::key::Key;
use crsql::words::keylist;
use crsql::words::rowclock::{Base, Cell, RowClock};
use crsql::words::sqltext;
use crsql::words::value::ValueRef;
use crsql::words::vector::Vector;
use crsql::words::wire::put_varint;

const SITE: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";

/// The sentence with which a vector is rejected.
fn rejected(fields: &str) -> String {
    let text = format!("{{\"v\":1,{}}}", fields.replace("SITE", SITE));
    Vector::from_json(text.as_bytes()).expect_err(&text).text
}

#[test]
fn e10_parts_closings_and_omissions_of_a_vector_are_looked_at() {
    let cases = [
        ("\"parts\":{\"SITE\":7}", "is not [version, place]"),
        ("\"parts\":{\"SITE\":[7]}", "is not [version, place]"),
        ("\"parts\":{\"SITE\":[7,-1]}", "is not [version, place]"),
        ("\"closed\":{\"SITE\":7}", "is not [at, stamp, from]"),
        ("\"closed\":{\"SITE\":[7,8]}", "is not [at, stamp, from]"),
        ("\"closed\":{\"SITE\":[7,\"8\",9]}", "is not three integers that fit"),
        ("\"closed\":{\"SITE\":[9,8,9]}", "is not three integers that fit"),
        ("\"omits\":{}", "\"omits\" is not a list"),
        ("\"omits\":[7]", "is not [site, lo, hi, what]"),
        ("\"omits\":[[\"SITE\",1,2]]", "is not [site, lo, hi, what]"),
        ("\"omits\":[[\"SITE\",0,2,\"t\"]]", "is not [site, lo, hi, what]"),
        ("\"omits\":[[\"SITE\",3,2,\"t\"]]", "is not [site, lo, hi, what]"),
        ("\"omits\":[[\"SITE\",1,2.5,\"t\"]]", "is not [site, lo, hi, what]"),
        ("\"omits\":[[\"x\",1,2,\"t\"]]", "a site is 32 lower-case hex digits"),
        ("\"omits\":[[\"SITE\",3,3,\"t\"],[\"SITE\",1,2,\"t\"]]", "out of order"),
        ("\"omits\":[[\"SITE\",3,3,\"t\"],[\"SITE\",3,3,\"t\"]]", "out of order"),
    ];
    for (fields, why) in cases {
        let said = rejected(fields);
        assert!(said.contains(why), "{fields}: {said}");
    }
    let text = format!("{{\"v\":1,\"closed\":{{\"{SITE}\":[8,7,9]}}}}");
    assert_eq!(Vector::from_json(text.as_bytes()).unwrap().closed.len(), 1);
}

fn cell(col: u32, version: u64, seq: u64) -> Cell {
    Cell { col, dot: Dot::new(0, version, seq), stamp: None }
}

fn based(n: u32) -> RowClock {
    let base = Base { txn: Txn { site: 0, version: 7 }, seq0: 4, n };
    RowClock { cl: 1, life: None, base: Some(base), over: Vec::new() }
}

#[test]
fn a_later_write_of_a_cell_takes_the_place_of_the_one_before() {
    let mut clock = RowClock { cl: 3, life: None, base: None, over: Vec::new() };
    assert_eq!((clock.cell(2), clock.life_dot()), (None, None));
    clock.set(cell(2, 8, 1));
    clock.set(cell(0, 8, 0));
    clock.set(cell(2, 9, 5));
    assert_eq!(clock.over, [cell(0, 8, 0), cell(2, 9, 5)]);
    assert_eq!(clock.base, None, "without a base nothing joins one");
    let mut clock = based(1);
    clock.set(cell(0, 9, 0));
    clock.set(cell(1, 7, 5));
    assert_eq!(clock.base.unwrap().n, 1, "the base ends before an older column's own write");
    assert_eq!(clock.over, [cell(0, 9, 0), cell(1, 7, 5)]);
}

#[test]
fn the_life_of_a_row_made_by_its_base_is_the_bases_first_place() {
    assert_eq!(based(2).life_dot(), Some(Dot::new(0, 7, 4)));
    let reborn = RowClock { cl: 3, ..based(2) };
    assert_eq!(reborn.life_dot(), None, "a later life is stored apart");
    assert_eq!(RowClock::dead(2, Dot::new(0, 9, 9)).life_dot(), Some(Dot::new(0, 9, 9)));
    assert!(based(2).alive() && !RowClock::dead(2, Dot::new(0, 9, 9)).alive());
}

#[test]
fn a_clock_is_settled_only_where_its_cells_make_a_base() {
    let of = |over: Vec<Cell>| RowClock { cl: 1, life: None, base: None, over };
    let settled = |clock: &RowClock, columns: &[u32]| {
        let mut clock = clock.clone();
        clock.settle(columns);
        clock
    };
    let early = of(vec![cell(3, 7, 2)]);
    assert_eq!(settled(&early, &[3]), early, "its column 0 would lie before the first place");
    assert_eq!(settled(&early, &[0, 3]), early, "the first column was never written");
    assert_eq!(settled(&early, &[]), early);
    let stamped = of(vec![Cell { stamp: Some(5), ..cell(0, 7, 4) }, cell(1, 7, 5)]);
    assert_eq!(settled(&stamped, &[0, 1]), stamped, "a stamp of its own is in no base");
    assert_eq!(settled(&based(2), &[0, 1, 2]), based(2), "there is nothing to gather");
    let one = of(vec![cell(0, 7, 4), cell(1, 7, 5), cell(2, 8, 0)]);
    let expected = RowClock { over: vec![cell(2, 8, 0)], ..based(2) };
    assert_eq!(settled(&one, &[0, 1, 2]), expected);
    // A column that is gone leaves a hole in the ids, which the base covers.
    let gone = of(vec![cell(0, 7, 4), cell(2, 7, 6)]);
    assert_eq!(settled(&gone, &[0, 2]), based(3));
}

#[test]
fn h5_a_clock_out_of_bounds_is_corrupt() {
    let clock = |flags: u8, numbers: &[u64]| {
        let mut bytes = vec![flags];
        numbers.iter().for_each(|n| put_varint(&mut bytes, *n));
        RowClock::decode(&bytes)
    };
    const COLUMN_MAX: u64 = u32::MAX as u64;
    assert!(clock(4, &[MAX_COUNT, MAX_COUNT, COLUMN_MAX]).is_ok());
    assert!(clock(1, &[MAX_COUNT]).is_ok());
    assert!(clock(16, &[COLUMN_MAX * 2 + 1, COLUMN_MAX, 1, 1, MAX_COUNT]).is_ok());
    let order = "overrides are out of order";
    let cases: &[(u8, &[u64], &str)] = &[
        (1, &[MAX_COUNT + 1], "causal length"),
        (4, &[MAX_COUNT + 1, 1, 1], "version"),
        (4, &[1, MAX_COUNT + 1, 1], "place"),
        (4, &[1, 1, COLUMN_MAX + 1], "column count"),
        (12, &[COLUMN_MAX + 1, 1, 1, 1], "site"),
        (16, &[COLUMN_MAX * 2 + 2, 0, 1, 1], "column"),
        (16, &[1, 0, 1, 1, MAX_COUNT + 1], "stamp"),
        (16, &[2, 0, 1, 1, 2, 0, 1, 1], order),
        (16, &[4, 0, 1, 1, 2, 0, 1, 1], order),
        (4, &[1, 1, 1, 2, 0, 1, 1], order),
    ];
    for (flags, numbers, what) in cases {
        let said = clock(*flags, numbers).unwrap_err().text;
        assert!(said.contains(what), "{flags} {numbers:?}: {said}");
    }
}

#[test]
fn h5_a_key_that_is_no_key_is_corrupt() {
    let short = Key::from_stored(ValueRef::Blob(&[0, 1, 2])).unwrap();
    assert!(short.pk().unwrap_err().text.contains("16 bytes"));
    assert!(Key::from_stored(ValueRef::Text(b"x")).unwrap_err().text.contains("neither"));
    let said = |bytes: &[u8]| keylist::decode(bytes).unwrap_err().text;
    assert!(said(&[8, 0]).contains("an entry begins with 8"), "{}", said(&[8, 0]));
    assert!(said(&[0, 2]).contains("the first entry names no table"), "{}", said(&[0, 2]));
}

#[test]
fn calls_are_names_with_brackets_and_plain_arguments() {
    let calls = |text: &str| sqltext::only_calls(text, &["f", "g$1"]);
    for text in ["SELECT f('a')", "select \"f\"('a', b), g$1('x')", "SELECT F([a])"] {
        assert_eq!(calls(text), !text.contains(" b"), "{text}");
    }
    let others = [
        "",
        "f('a')",
        "SELECT",
        "SELECT f",
        "SELECT f()",
        "SELECT f('a'",
        "SELECT f('a';'b')",
        "SELECT 'f'('a')",
        "SELECT f['a']",
        "SELECT f.('a')",
        "SELECT h('a')",
        "SELECT f(1)",
        "SELECT f('a') f('b')",
        "SELECT f('a'),",
        "SELECT f('a'), 1",
    ];
    for text in others {
        assert!(!calls(text), "{text}");
    }
}

#[test]
fn errors_print_their_sentence() {
    assert_eq!(Error::refused("no, because").to_string(), "no, because");
}

#[test]
fn there_is_a_list_key_before_every_key() {
    let lowest = format!("A{}", " ".repeat(26));
    let first = format!("A{}!", " ".repeat(25));
    let before = |key: &str| fract::key_between(None, Some(key)).unwrap();
    assert_eq!(before(&first), format!("{lowest}P"), "the lowest integer takes a fraction");
    assert!(before(&before(&first)) < before(&first));
    assert!(fract::key_between(None, Some(&lowest)).is_err());
    assert_eq!(before("a "), "Z~");
    assert_eq!(before(&format!("B{}", " ".repeat(25))), format!("A{}", "~".repeat(26)));
}
