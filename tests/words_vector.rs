//! The promise: a vector has one JSON form, and any other text is read as what it means or REJECTED
//! with a sentence that says where it is wrong.
//!
//! The story: a cursor that is only the highest version calls a hole seen, and what was in it never
//! arrives (threat G1). So a vector carries ranges; it goes through programs and hands that are not
//! ours, JavaScript's doubles among them, and comes back to decide what a peer is sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use crsql::words::error::Result;
use crsql::words::vector::{
    Closed, IN_PART, NUMBER_MAX, Omit, Site, Span, TEXT_BYTES_MAX, TO_COME, Vector, hex16,
    parse_hex16,
};
use proptest::prelude::*;
use serde_json::Value as Json;
use std::collections::BTreeMap;

const A: Site = [0xa1; 16];
const A_HEX: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";

fn read(text: &str) -> Result<Vector> {
    Vector::from_json(text.as_bytes())
}

fn seen(spans: &str) -> Result<Vector> {
    read(&format!("{{\"v\":1,\"seen\":{{\"{A_HEX}\":{spans}}}}}"))
}

fn full() -> Vector {
    let spans = vec![Span { lo: 1, hi: 7, stamp: 456 }, Span { lo: 9, hi: 9, stamp: 0 }];
    Vector {
        site: Some(A),
        epoch: 3,
        scope: "a \"b\"".to_owned(),
        now: 99,
        formats: (1, 2),
        seen: BTreeMap::from([(A, spans), ([0; 16], Vec::new())]),
        horizon: BTreeMap::from([([0; 16], 5), (A, 0)]),
        parts: BTreeMap::from([(A, (8, 40))]),
        closed: BTreeMap::from([(A, Closed { at: 6, stamp: 400, from: 9 })]),
        omits: vec![Omit { site: A, lo: 2, hi: 3, what: "a \"t\", column c".to_owned() }],
        unsure: true,
    }
}

#[test]
fn golden_vectors() {
    let empty = concat!(
        r#"{"epoch":0,"formats":[1,1],"horizon":{},"now":0,"scope":"*","#,
        r#""seen":{},"site":null,"v":1}"#,
    );
    assert_eq!(Vector::default().to_json(), empty);
    assert_eq!(read(empty).unwrap(), Vector::default());
    assert_eq!(read("{\"v\":1}").unwrap(), Vector::default());
    let expected = concat!(
        r#"{"closed":{"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1":[6,400,9]},"epoch":3,"#,
        r#""formats":[1,2],"horizon":{"00000000000000000000000000000000":5,"#,
        r#""a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1":0},"now":99,"#,
        r#""omits":[["a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",2,3,"a \"t\", column c"]],"#,
        r#""parts":{"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1":[8,40]},"scope":"a \"b\"","#,
        r#""seen":{"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1":[[1,7,456],[9,9,0]]},"#,
        r#""site":"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1","unsure":true,"v":1}"#,
    );
    assert_eq!(full().to_json(), expected);
    let back = read(expected).unwrap();
    assert_eq!(back.to_json(), expected);
    assert_eq!(back.seen.len(), 1, "a site without ranges is left out");
}

#[test]
fn g1_holes_are_told_and_the_stamps_of_ends() {
    let v = full();
    assert_eq!(v.seen_set(&A).iter().collect::<Vec<_>>(), [(1, 7), (9, 9)]);
    assert!(v.seen_set(&[9; 16]).is_empty());
    assert_eq!(v.stamp_at(&A, 7), Some(456));
    assert_eq!(v.stamp_at(&A, 9), None, "0 is not known");
    assert_eq!(v.stamp_at(&A, 6), None, "not an end");
    assert_eq!(v.stamp_at(&[9; 16], 7), None);
}

#[test]
fn ranges_that_touch_are_merged() {
    let v = seen("[[1,3,10],[4,6,20],[8,8,30]]").unwrap();
    let expected = [Span { lo: 1, hi: 6, stamp: 20 }, Span { lo: 8, hi: 8, stamp: 30 }];
    assert_eq!(v.seen[&A], expected);
    let mut apart = v.clone();
    apart.seen.insert(
        A,
        vec![
            Span { lo: 1, hi: 5, stamp: 1 },
            Span { lo: 6, hi: 6, stamp: 20 },
            Span { lo: 8, hi: 8, stamp: 30 },
        ],
    );
    assert_eq!(apart.to_json(), v.to_json());
}

#[test]
fn unknown_keys_are_ignored_and_blanks_are_fine() {
    let v = read(" { \"v\" : 1 , \"later\" : [1, {\"x\": null}] , \"epoch\": 2 } ").unwrap();
    assert_eq!(v.epoch, 2);
    assert!(!v.to_json().contains("later"));
}

#[test]
fn j6_an_unknown_version_is_rejected_naming_both() {
    let text = read("{\"v\":2}").unwrap_err().text;
    assert!(text.contains("version 2") && text.contains("version 1"), "{text}");
    for v in ["{}", "{\"v\":null}", "{\"v\":\"1\"}", "{\"v\":1.0}", "{\"v\":-1}"] {
        assert!(read(v).is_err(), "{v}");
    }
}

#[test]
fn e10_malformed_vectors_are_rejected_with_a_sentence() {
    let range = [
        "[[3,2,0]]",
        "[[0,2,0]]",
        "[[1,2,0],[2,3,0]]",
        "[[5,6,0],[1,2,0]]",
        "[[1,9,0],[3,4,0]]",
        "[[1,9007199254740992,0]]",
        "[[1,2,9007199254740992]]",
        "[[1,2]]",
        "[[1,2,3,4]]",
        "[1,2,3]",
        "[[1.5,2,0]]",
        "[[1,2e0,0]]",
        "[[-1,2,0]]",
        "[[\"1\",2,0]]",
        "[null]",
        "{}",
        "null",
        "7",
        "[[1,18446744073709551616,0]]",
    ];
    for spans in range {
        assert!(seen(spans).unwrap_err().text.contains(A_HEX), "{spans}");
    }
    assert!(seen("[[1,9007199254740991,9007199254740991]]").is_ok());
    let others = [
        "",
        " ",
        "null",
        "1",
        "[]",
        "\"v\"",
        "{\"v\":1",
        "{\"v\":1}x",
        "{\"v\":1,}",
        "{\"v\":1,\"site\":7}",
        "{\"v\":1,\"site\":\"a1\"}",
        "{\"v\":1,\"scope\":null}",
        "{\"v\":1,\"epoch\":-1}",
        "{\"v\":1,\"epoch\":9007199254740992}",
        "{\"v\":1,\"now\":\"x\"}",
        "{\"v\":1,\"formats\":[1]}",
        "{\"v\":1,\"formats\":[2,1]}",
        "{\"v\":1,\"formats\":{}}",
        "{\"v\":1,\"formats\":[1,4294967296]}",
        "{\"v\":1,\"seen\":[]}",
        "{\"v\":1,\"seen\":null}",
        "{\"v\":1,\"seen\":{\"x\":[]}}",
        "{\"v\":1,\"horizon\":{\"x\":1}}",
        "{\"v\":1,\"horizon\":[]}",
    ];
    for text in others {
        assert!(read(text).unwrap_err().text.contains("not a vector"), "{text}");
    }
    assert!(Vector::from_json(b"{\"v\":1,\"scope\":\"\xff\"}").is_err());
    let horizon = format!("{{\"v\":1,\"horizon\":{{\"{A_HEX}\":1.5}}}}");
    assert!(read(&horizon).is_err());
}

#[test]
fn e5_long_and_deep_texts_are_rejected() {
    assert!(Vector::from_json(&vec![b' '; TEXT_BYTES_MAX + 1]).unwrap_err().text.contains("more"));
    assert!(Vector::from_json(&vec![b'['; 1 << 20]).is_err());
    assert!(Vector::from_json("{\"v\":".repeat(1 << 18).as_bytes()).is_err());
}

#[test]
fn i3_sites_are_exactly_32_lower_case_hex_digits() {
    assert_eq!(hex16(&A), A_HEX);
    assert_eq!(parse_hex16(A_HEX).unwrap(), A);
    assert_eq!(hex16(&[0; 16]), "0".repeat(32));
    let long = format!("{A_HEX}0");
    let signed = format!("+{}", &A_HEX[1..]);
    let upper = A_HEX.to_uppercase();
    for hex in ["", "a1", &A_HEX[1..], &long, &signed, &upper, &"é".repeat(16)] {
        assert!(parse_hex16(hex).is_err(), "{hex}");
    }
}

fn any_vector() -> impl Strategy<Value = Vector> {
    let site = prop::array::uniform16(any::<u8>());
    let spans = prop::collection::vec((2u64..9, 0u64..9, 0..=NUMBER_MAX), 0..6).prop_map(|steps| {
        let mut at = 0;
        let mut spans = Vec::new();
        for (gap, len, stamp) in steps {
            spans.push(Span { lo: at + gap, hi: at + gap + len, stamp });
            at += gap + len;
        }
        spans
    });
    let seen = prop::collection::btree_map(site, spans.prop_filter("", |s| !s.is_empty()), 0..5);
    let horizon = prop::collection::btree_map(site, 0..=NUMBER_MAX, 0..5);
    let parts = prop::collection::btree_map(site, (0..=NUMBER_MAX, 0..=NUMBER_MAX), 0..3);
    let rest = (prop::option::of(site), 0..=NUMBER_MAX, ".*", 0..=NUMBER_MAX, any::<(u32, u32)>());
    let closed = (0..NUMBER_MAX, 0..=NUMBER_MAX, 1..99u64).prop_map(|(at, stamp, more)| {
        let from = at.saturating_add(more).min(NUMBER_MAX);
        Closed { at, stamp, from }
    });
    let closed = prop::collection::btree_map(site, closed, 0..3);
    let omits = (site, 1..=NUMBER_MAX, ".*").prop_map(|(site, lo, what)| {
        let hi = lo.saturating_add(7).min(NUMBER_MAX);
        Omit { site, lo, hi, what }
    });
    let omits = prop::collection::btree_set(omits, 0..3);
    let all = (rest, seen, horizon, parts, closed, omits, any::<bool>());
    all.prop_map(
        |((site, epoch, scope, now, (a, b)), seen, horizon, parts, closed, omits, unsure)| Vector {
            site,
            epoch,
            scope,
            now,
            formats: (a.min(b), a.max(b)),
            seen,
            horizon,
            parts,
            closed,
            omits: omits.into_iter().collect(),
            unsure,
        },
    )
}

proptest! {
    #[test]
    fn vectors_come_back_and_their_form_is_sorted_json(v in any_vector()) {
        let text = v.to_json();
        prop_assert_eq!(&read(&text).unwrap(), &v);
        let json: Json = serde_json::from_str(&text).unwrap();
        let compact = serde_json::to_string(&json).unwrap();
        prop_assert_eq!(compact, text);
    }

    /// The text that is written is read by a reader of its own, and what that does not know by one
    /// that knows all of JSON; a blank before it sends any text to the latter. Nobody can tell.
    #[test]
    fn both_readers_read_the_same(v in any_vector(), at: prop::sample::Index, b in 0..12usize) {
        let plain = Vector { scope: "*".to_owned(), omits: Vec::new(), ..v };
        let text = plain.to_json().into_bytes();
        let other = |text: &[u8]| Vector::from_json(&[b" ", text].concat());
        prop_assert_eq!(&other(&text).unwrap(), &plain);
        prop_assert_eq!(&Vector::from_json(&text).unwrap(), &plain);
        let at = at.index(text.len());
        let (before, after) = text.split_at(at);
        let byte = &b"0129,[]{}\"a "[b..=b];
        for odd in [[before, byte, after].concat(), [before, byte, &after[1..]].concat()] {
            let (one, two) = (Vector::from_json(&odd), other(&odd));
            prop_assert_eq!(one.as_ref().ok(), two.as_ref().ok(), "{}", odd.escape_ascii());
        }
    }

    #[test]
    fn e10_any_bytes_are_read_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Vector::from_json(&bytes);
    }

    #[test]
    fn e10_damaged_vectors_are_read_or_rejected(v in any_vector(), at: prop::sample::Index, b: u8) {
        let mut bytes = v.to_json().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = b;
        if let Ok(read) = Vector::from_json(&bytes) {
            prop_assert_eq!(Vector::from_json(read.to_json().as_bytes()).unwrap(), read);
        }
    }
}

/// What was taken from somebody who lacked a part of it counts as taken; what the power may still
/// take counts as nothing.
#[test]
fn what_a_vector_covers() {
    let mut v = Vector { unsure: false, ..full() };
    v.omits.push(Omit { site: [9; 16], lo: 4, hi: 6, what: "t".to_owned() });
    v.omits.push(Omit { site: A, lo: 8, hi: 8, what: "t".to_owned() });
    v.omits.push(Omit { site: [9; 16], lo: 7, hi: 9, what: format!("{TO_COME}{}", hex16(&A)) });
    v.omits.push(Omit { site: A, lo: 7, hi: 7, what: format!("{IN_PART}{}", hex16(&A)) });
    let covered = |v: &Vector| -> Vec<(u8, Vec<(u64, u64)>)> {
        let all = v.covered();
        all.iter().map(|(site, set)| (site[0], set.iter().collect())).collect()
    };
    assert_eq!(covered(&v), [(0, vec![]), (9, vec![(4, 6)]), (A[0], vec![(1, 9)])]);
    v.unsure = true;
    assert_eq!(covered(&v), []);
}
