//! What edits of a text cost: a made trace of typing, 260,000 keystrokes. Not a test of anything
//! but that the figures are as they were; they are printed with
//!
//!     cargo test --release --test text_trace -- --ignored --nocapture
//!
//! and CRSQL_TEXT_KEYS for fewer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::time::Instant;

use crsql::types::Parts;
use crsql::types::text::{Document, Splice, at, difference};
use crsql::words::value::Value;
use yrs::{GetString, Text, Transact};

mod text_world;
use text_world::Random;

/// Typing in runs, one keystroke in eight a backspace, a jump after some 60 of them; at most
/// `longest` bytes, which keeps the text from growing beyond what people write.
fn trace(keys: usize, random: &mut Random) -> Vec<Splice> {
    let mut edits = Vec::with_capacity(keys);
    let (mut len, mut cursor) = (0, 0);
    while edits.len() < keys {
        if random.below(60) == 0 && len > 0 {
            cursor = if random.below(3) == 0 { len } else { random.below(len + 1) };
        }
        // 30 % of all keystrokes delete, as in the trace of the Automerge paper.
        let deletes = random.below(10) < 3 && cursor > 0;
        let run = if deletes { 1 + random.below(6) } else { 1 + random.below(14) };
        for _ in 0..run {
            if edits.len() == keys || (deletes && cursor == 0) {
                break;
            }
            if deletes {
                cursor -= 1;
                len -= 1;
                edits.push(Splice { at: cursor, removed: 1, inserted: String::new() });
            } else {
                let letter = b"etaoin shrdlu cmfwyp"[random.below(20)];
                let inserted = char::from(letter).to_string();
                edits.push(Splice { at: cursor, removed: 0, inserted });
                cursor += 1;
                len += 1;
            }
        }
    }
    edits
}

/// A keystroke some 150 ms after the last, in steps of the clock; a pause after some of them.
fn stamps(keys: usize, random: &mut Random) -> Vec<u64> {
    let mut stamp = 200_000_000_000 << 12;
    let pause = |random: &mut Random| if random.below(100) == 0 { 20_000 } else { 0 };
    let mut next = || {
        let ms = 60 + random.below(180) + pause(random);
        stamp += (ms as u64) << 12 | random.below(2) as u64;
        stamp
    };
    (0..keys).map(|_| next()).collect()
}

fn us(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}

fn bare(edits: &[Splice]) {
    let doc = yrs::Doc::with_client_id(1 << 52);
    let body = doc.get_or_insert_text("t");
    let (mut bytes, begun) = (0, Instant::now());
    for edit in edits {
        let mut txn = doc.transact_mut();
        if edit.removed > 0 {
            body.remove_range(&mut txn, edit.at as u32, edit.removed as u32);
        }
        body.insert(&mut txn, edit.at as u32, &edit.inserted);
        bytes += txn.encode_update_v1().len();
    }
    let each = us(begun) / edits.len() as f64;
    let txn = doc.transact();
    let all = yrs::ReadTxn::encode_diff_v1(&txn, &yrs::StateVector::default()).len();
    println!("yrs bare: {each:.1} us an edit, {} bytes an update", bytes / edits.len());
    println!("yrs bare: {all} bytes in all, text {}", body.get_string(&txn).len());
}

#[test]
#[ignore = "measures"]
fn a_trace_of_typing() {
    let keys = std::env::var("CRSQL_TEXT_KEYS").ok().and_then(|n| n.parse().ok());
    let mut random = Random(2024);
    let edits = trace(keys.unwrap_or(260_000), &mut random);
    let stamps = stamps(edits.len(), &mut random);
    let mut doc = Document::new(&Parts::default(), &[7; 16]).unwrap();
    let mut other = Document::new(&Parts::default(), &[8; 16]).unwrap();
    let mut list: BTreeMap<String, Value> = BTreeMap::new();
    let (mut bytes, mut most, mut said) = (0, 0, Vec::new());
    let begun = Instant::now();
    for (edit, stamp) in edits.iter().zip(&stamps) {
        said.extend(doc.write(*stamp, std::slice::from_ref(edit)).unwrap());
    }
    let (writing, begun) = (us(begun), Instant::now());
    for (register, value) in &said {
        assert!(other.arrive(register, value.as_ref()));
    }
    let hearing = us(begun);
    assert_eq!(doc.text(), other.text());
    for (register, value) in said {
        let Value::Blob(blob) = &value else { continue };
        bytes += blob.len();
        most = most.max(blob.len());
        list.insert(register, value);
    }
    let (keys, len) = (edits.len() as f64, doc.text().len());
    println!("{keys} keystrokes, a text of {len} bytes");
    println!("an edit: {:.1} us, and {:.1} us where it arrives", writing / keys, hearing / keys);
    println!("an edit writes {} bytes, {most} at most", bytes / edits.len());
    let size = |v: &Value| if let Value::Blob(b) = v { b.len() } else { 0 };
    let all: usize = list.values().map(size).sum();
    println!("in all {} registers of {all} bytes", list.len());
    let parts = Parts { list, base: Value::Null };
    let opened = || {
        let begun = Instant::now();
        let mut again = Document::new(&parts, &[7; 16]).unwrap();
        let took = us(begun) / 1000.0;
        assert_eq!(again.text().len(), len);
        took
    };
    let opened = (0..20).map(|_| opened()).fold(f64::MAX, f64::min);
    println!("opened in {opened:.1} ms, at best of 20");
    let begun = Instant::now();
    let half = at(&parts, stamps[edits.len() / 2]);
    let Value::Text(half) = half else { panic!("a text") };
    println!("half of it, {} bytes, in {:.1} ms", half.len(), us(begun) / 1000.0);
    bare(&edits);
}

/// A text of words, of about so many bytes.
fn prose(bytes: usize, random: &mut Random) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        for _ in 0..2 + random.below(8) {
            text.push(char::from(b"etaoinshrdlucmfw"[random.below(16)]));
        }
        text.push(if random.below(12) == 0 { '\n' } else { ' ' });
    }
    text
}

#[test]
#[ignore = "measures"]
fn a_text_of_100_kb() {
    let mut random = Random(5);
    let old = prose(100_000, &mut random);
    let parts = Parts { base: Value::text(old.as_str()), ..Parts::default() };
    let begun = Instant::now();
    let mut doc = Document::new(&parts, &[7; 16]).unwrap();
    doc.text();
    println!("a pasted text of {} bytes opened in {:.0} us", old.len(), us(begun));
    let mut each = Vec::new();
    for n in 0..200 {
        let at = random.below(doc.text().len());
        let splice = Splice { at, removed: 0, inserted: "x".into() };
        let begun = Instant::now();
        doc.write(1000 + n, &[splice]).unwrap();
        each.push(us(begun));
    }
    println!("first keystroke {:.0} us", each[0]);
    each.sort_by(f64::total_cmp);
    println!("a warm keystroke {:.1} us (median), {:.1} us (99 %)", each[100], each[197]);
    let words: Vec<&str> = old.split(' ').collect();
    let changed = |share: usize| -> String {
        let mut out = Vec::new();
        for (n, word) in words.iter().enumerate() {
            out.push(if n % share == share / 2 { "another" } else { word });
        }
        out.join(" ")
    };
    let one = changed(words.len());
    let ends = format!("x{old}y");
    let cases = [
        ("one word", one),
        ("a letter at each end", ends),
        ("1 word in 60", changed(60)),
        ("1 word in 2", changed(2)),
        ("another text", prose(100_000, &mut random)),
        ("its letters backwards", old.chars().rev().collect()),
    ];
    for (name, new) in cases {
        let begun = Instant::now();
        let splices = difference(&old, &new);
        println!("difference, {name}: {:.0} us, {} splices", us(begun), splices.len());
    }
}
