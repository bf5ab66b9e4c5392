//! The edges of floor 0 that ordinary use does not reach: mistakes of a caller, damage that no
//! writer of ours makes, the first and the last of everything.
//!
//! The story: `make coverage` and `make mutants` named these lines. A check that no test reaches
//! can be taken out, and no test says so; the next reader of a damaged file would have found out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crsql::words::clock;
use crsql::words::dot::{Dot, MAX_CL, MAX_COUNT, Txn};
use crsql::words::error::{Error, SQLITE_BUSY, unless_busy};
use crsql::words::fract;
use crsql::words::key::{Key, KeyKind};
use crsql::words::keylist;
use crsql::words::merge::{self, Rule, Write};
use crsql::words::pack;
use crsql::words::rowclock::{Base, Cell, RowClock};
use crsql::words::sqltext;
use crsql::words::value::ValueRef;
use crsql::words::vector::{TEXT_BYTES_MAX, Vector};
use crsql::words::wire::{Reader, put_value, put_varint};
use std::cmp::Ordering;

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
        ("\"unsure\":1", "\"unsure\" is neither true nor false"),
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
    assert_eq!(clock.cell(2), None);
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
    // A cell that was written elsewhere, and then by the base's own transaction, stays apart.
    let mut clock = RowClock { over: vec![cell(1, 9, 0), cell(2, 9, 1)], ..based(1) };
    clock.set(cell(1, 7, 5));
    assert_eq!(clock, RowClock { over: vec![cell(1, 7, 5), cell(2, 9, 1)], ..based(1) });
    clock.set(cell(3, 7, 7));
    assert_eq!(clock.base.unwrap().n, 1, "column 3 does not follow column 0");
    let mut clock = based(1);
    for other in [cell(1, 8, 5), cell(1, 7, 4), Cell { stamp: Some(9), ..cell(1, 7, 5) }] {
        clock.set(other);
        assert_eq!((clock.base, clock.cell(1)), (based(1).base, Some(other)));
    }
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
    let apart = RowClock { over: vec![cell(1, 7, 5), cell(2, 8, 0)], ..based(1) };
    assert_eq!(settled(&apart, &[0, 1, 2]), expected, "what joins the base joins it");
    assert_eq!(settled(&based(5), &[0, 1]), based(5), "a dropped column is no reason to write");
    // A column that is gone leaves a hole in the ids, which the base covers.
    let gone = of(vec![cell(0, 7, 4), cell(2, 7, 6)]);
    assert_eq!(settled(&gone, &[0, 2]), based(3));
}

#[test]
fn a_row_lives_while_its_causal_length_is_odd() {
    for (cl, lives) in [(1, true), (2, false), (3, true), (4, false)] {
        let life = Dot { txn: Txn { site: 0, version: 1 }, seq: 0 };
        assert_eq!(RowClock::dead(cl, life).alive(), lives, "{cl}");
    }
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
        (8, &[1], "its flags are 8"),
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
fn e6_a_key_from_a_peer_has_the_columns_of_the_table() {
    let key = |kind, columns, pk: &[u8]| Key::from_pk(kind, columns, pk).map_err(|e| e.text);
    assert_eq!(key(KeyKind::Int, 1, &[1, 9, 7]), Ok(Key::Int(7)));
    assert_eq!(key(KeyKind::Packed, 1, &[1, 9, 7]), Ok(Key::Packed(vec![1, 9, 7])));
    assert!(key(KeyKind::Int, 1, &[1, 11, 1, 97]).unwrap_err().contains("not an integer"));
    let said = key(KeyKind::Packed, 2, &[1, 9, 7]).unwrap_err();
    assert_eq!(said, "the key has 1 columns, the table's has 2");
    assert!(key(KeyKind::Int, 2, &[1, 9, 7]).unwrap_err().contains("the table's has 2"));
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
fn the_order_of_writes_is_stamp_then_site_then_place() {
    let write = |stamp, site, version, seq| Write { stamp, site: [site; 16], version, seq };
    let meet = |standing: Option<&Write>, incoming: &Write, values: Ordering| {
        let verdict = merge::cell(standing, incoming, || values);
        (verdict.wins, verdict.rule)
    };
    let standing = write(50, 5, 5, 5);
    assert_eq!(meet(None, &standing, Ordering::Less), (true, Rule::Unwritten));
    let cases = [
        (write(51, 4, 4, 4), Ordering::Less, (true, Rule::Stamp)),
        (write(49, 6, 6, 6), Ordering::Greater, (false, Rule::Stamp)),
        (write(50, 6, 4, 4), Ordering::Less, (true, Rule::Site)),
        (write(50, 4, 6, 6), Ordering::Greater, (false, Rule::Site)),
        (write(50, 5, 6, 4), Ordering::Less, (true, Rule::Fork)),
        (write(50, 5, 4, 6), Ordering::Greater, (false, Rule::Fork)),
        (write(50, 5, 5, 6), Ordering::Less, (true, Rule::Fork)),
        (standing, Ordering::Greater, (true, Rule::Fork)),
        (standing, Ordering::Less, (false, Rule::Fork)),
        (standing, Ordering::Equal, (false, Rule::Same)),
    ];
    for (incoming, values, verdict) in cases {
        assert_eq!(meet(Some(&standing), &incoming, values), verdict, "{incoming:?}");
    }
    let life = |standing, incoming| {
        let verdict = merge::sentinel(standing, incoming);
        (verdict.wins, verdict.rule)
    };
    let (low, high) = (([1; 16], 2, 2), ([2; 16], 1, 1));
    assert_eq!(life(None, low), (true, Rule::Unwritten));
    assert_eq!(life(Some(low), high), (true, Rule::Site));
    assert_eq!(life(Some(high), low), (false, Rule::Site));
    assert_eq!(life(Some(low), low), (false, Rule::Same));
    assert_eq!(merge::life(1, 2), Ordering::Greater, "the greater life wins");
}

#[test]
fn d4_the_highest_numbers_are_those_of_the_format() {
    assert_eq!((MAX_COUNT, clock::MAX), (9_007_199_254_740_991, 9_007_199_254_740_991));
    assert_eq!((MAX_CL, clock::STEPS_PER_MS), (1_099_511_627_776, 4_096));
}

#[test]
fn e5_a_vector_may_have_as_many_bytes_as_are_read() {
    let mut text = b"{\"v\":1}".to_vec();
    text.resize(TEXT_BYTES_MAX, b' ');
    assert_eq!(Vector::from_json(&text).unwrap(), Vector::default());
    text.push(b' ');
    assert!(Vector::from_json(&text).is_err());
    let said = rejected("\"seen\":{\"SITE\":[[3,2,0]]}");
    assert!(said.contains("goes from 3 to 2"), "{said}");
    let said = rejected("\"seen\":{\"SITE\":[[3,\"2\",0]]}");
    assert!(said.contains("no integer between 0 and"), "{said}");
    let said = rejected("\"seen\":{\"a site\":[]}");
    assert!(said.contains("not \"a site\""), "{said}");
}

#[test]
fn e1_a_packed_key_may_end_with_its_last_column_and_nowhere_else() {
    assert_eq!(pack::unpack(&[1, 5]).unwrap(), [ValueRef::Null]);
    assert!(pack::unpack(&[2, 5]).is_err());
    assert_eq!(pack::unpack_int(&[1, 9, 7]), Some(7));
    for bytes in [&[1, 9, 7, 0][..], &[1, 9], &[2, 9, 7, 5], &[1, 5], &[]] {
        assert_eq!(pack::unpack_int(bytes), None, "{bytes:?}");
    }
    let lowest = [&[1, 65, 128][..], &[0; 7]].concat();
    assert_eq!(pack::unpack_int(&lowest), Some(i64::MIN), "8 bytes are the most");
    let wide = [&[1, 73, 1][..], &[0; 8]].concat();
    assert!(pack::unpack(&wide).unwrap_err().text.contains("9 bytes; 8 are the most"));
}

#[test]
fn b4_only_a_real_that_is_an_integer_becomes_one() {
    let beyond = 9_223_372_036_854_775_808.0;
    for r in [1.5, -0.5, 1e300, -1e300, f64::INFINITY, beyond] {
        assert_eq!(pack::canonical_key(ValueRef::Real(r)), ValueRef::Real(r));
    }
    for (r, i) in [(-0.0, 0), (-3.0, -3), (4_503_599_627_370_496.0, 1 << 52), (-beyond, i64::MIN)] {
        assert_eq!(pack::canonical_key(ValueRef::Real(r)), ValueRef::Int(i));
    }
}

#[test]
fn d8_values_are_ordered_by_class_and_bytes() {
    let rising = [
        (ValueRef::Null, "null"),
        (ValueRef::Int(-1), "integer"),
        (ValueRef::Int(7), "integer"),
        (ValueRef::Real(0.0), "real"),
        (ValueRef::Real(1.0), "real"),
        (ValueRef::Real(-0.0), "real"),
        (ValueRef::Text(b"a"), "text"),
        (ValueRef::Text(b"b"), "text"),
        (ValueRef::Blob(b""), "blob"),
        (ValueRef::Blob(b"a"), "blob"),
    ];
    for (i, (a, name)) in rising.iter().enumerate() {
        assert_eq!(a.class_name(), *name);
        for (j, (b, _)) in rising.iter().enumerate() {
            assert_eq!(a.total_cmp(*b), i.cmp(&j), "{a:?} {b:?}");
            assert_eq!(a == b, i == j, "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_list_of_rows_tells_its_length_and_its_end() {
    let mut list = keylist::Writer::default();
    assert!(list.is_empty());
    assert_eq!((list.len(), list.end()), (0, 0));
    list.push(3, keylist::KeyRef::Int(5), 2, 4);
    list.push(3, keylist::KeyRef::Int(6), 6, 4);
    assert!(!list.is_empty());
    assert_eq!((list.len(), list.end()), (7, 10), "7 GAP, the table, gap 2, span 4, the key; 0, 2");
    let bytes = list.take();
    assert_eq!(bytes, [7, 6, 2, 4, 10, 0, 2]);
    assert!(list.is_empty(), "the writer is as new");
    let places: Vec<_> = keylist::decode(&bytes).unwrap().iter().map(|e| (e.seq, e.span)).collect();
    assert_eq!(places, [(2, 4), (6, 4)]);
}

#[test]
fn h5_the_places_of_a_list_of_rows_end_with_the_highest() {
    let list = |seq: u64, span: u64| {
        let mut list = keylist::Writer::default();
        list.push(0, keylist::KeyRef::Int(0), seq, span);
        keylist::decode(&list.take())
    };
    assert!(list(MAX_COUNT, 1).is_ok());
    assert!(list(MAX_COUNT + 1, 0).unwrap_err().text.contains("a place too large"));
    assert!(list(MAX_COUNT, 2).unwrap_err().text.contains("a place too large"));
}

#[test]
fn e3_texts_of_every_length_have_one_form() {
    let long = [b'x'; 200];
    for text in (0..=long.len()).map(|n| &long[..n]) {
        for value in [ValueRef::Text(text), ValueRef::Blob(text)] {
            let mut bytes = Vec::new();
            put_value(&mut bytes, value);
            let mut r = Reader::new(&bytes);
            assert_eq!(r.value().unwrap(), value);
            assert!(r.is_empty());
        }
    }
    let mut r = Reader::new(&[5, 1, 2, 3, 4, 5]);
    assert_eq!(r.count(1).unwrap(), 5, "as many as there are bytes");
    assert!(Reader::new(&[5, 1, 2, 3, 4]).count(1).is_err());
    assert!(Reader::new(&[3, 1, 2, 3, 4, 5]).count(2).is_err());
    assert_eq!(Reader::new(&[2, 1, 2, 3, 4, 5]).count(2).unwrap(), 2);
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

#[test]
fn l4_only_a_lock_that_another_holds_is_let_pass() {
    // SQLITE_BUSY_SNAPSHOT, an extended code of SQLITE_BUSY.
    for code in [SQLITE_BUSY, SQLITE_BUSY | 2 << 8] {
        assert!(unless_busy(Err(Error::new(code, "locked"))).is_ok(), "{code}");
    }
    // SQLITE_ERROR, SQLITE_LOCKED, SQLITE_NOMEM, SQLITE_IOERR_READ.
    for code in [1, 6, 7, 10 | 1 << 8] {
        assert_eq!(unless_busy(Err(Error::new(code, "else"))).unwrap_err().code, code);
    }
    assert!(unless_busy(Ok(())).is_ok());
}

#[test]
fn an_integer_key_is_stored_as_it_is() {
    let mut out = Vec::new();
    let stored = crsql::words::key::store(KeyKind::Int, &[ValueRef::Int(-7)], &mut out).unwrap();
    assert_eq!((stored, out.as_slice()), (Some(-7), &[][..]));
    assert_eq!(Key::from_stored(ValueRef::Int(-7)).unwrap(), Key::Int(-7));
}

#[test]
fn a_name_that_reads_like_a_sign_or_nothing_keeps_its_quotes() {
    assert_eq!(sqltext::normal("\"(\" \"\" \"a b\" \"c\""), ["\"(\"", "\"\"", "\"a b\"", "c"]);
    assert_ne!(sqltext::normal("\"(\""), sqltext::normal("("));
    assert!(!sqltext::only_calls("SELECT f('a') + f('b')", &["f"]));
    assert!(sqltext::only_calls("SELECT f('a'), f('b')", &["f"]));
}
