//! The formats are promises: bytes that were written once must be read and written the same for
//! ever. `tests/golden/*.txt` holds them, a line each: the bytes, `|`, what they mean. Every line
//! is read, found to mean that, and written again. `docs/FORMAT.md` shows lines of these files, a
//! changeset in full, and the columns of our tables; that it shows them as they are is tested here
//! too. (The changeset that has one of everything is in `tests/words_changeset.rs`.)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crsql::words::affinity::Affinity;
use crsql::words::changeset::{
    Builder, ColumnInfo, Header, KeyInfo, KeyRef, TableInfo, TxnHead, decode,
};
use crsql::words::deps::{self, Deps};
use crsql::words::dot::{Dot, Txn};
use crsql::words::key::{Key, KeyKind};
use crsql::words::keylist::{self, Entry};
use crsql::words::pack;
use crsql::words::rowclock::{Base, Cell, RowClock};
use crsql::words::value::{Value, ValueRef};
use crsql::words::vector::{Span, Vector};
use crsql::words::wire::{Reader, put_signed, put_value, put_varint};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The bytes of hex digits, blanks between them or not.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    let pair = |d: &[char]| u8::from_str_radix(&d.iter().collect::<String>(), 16);
    digits.chunks(2).map(|d| pair(d).unwrap_or_else(|e| panic!("{hex}: {e}"))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The lines of a golden file.
fn lines(name: &str) -> Vec<String> {
    let text = read(&format!("tests/golden/{name}.txt"));
    text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(str::to_owned).collect()
}

/// The lines of a golden file, as bytes and their meaning.
fn golden(name: &str) -> Vec<(Vec<u8>, String)> {
    let parts = |line: &String| {
        let (left, right) = line.split_once('|').expect("a line has a |");
        (bytes(left), right.trim().to_owned())
    };
    lines(name).iter().map(parts).collect()
}

fn meaning(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Number(n) => n.as_i64().map_or_else(|| Value::Real(n.as_f64().unwrap()), Value::Int),
        Json::String(s) => Value::text(s.as_str()),
        Json::Object(o) => Value::Blob(bytes(o["blob"].as_str().unwrap())),
        _ => panic!("no value: {json}"),
    }
}

fn values(json: &Json) -> Vec<Value> {
    json.as_array().unwrap().iter().map(value).collect()
}

fn whole<'a>(r: &Reader<'_>, what: impl Into<&'a str>) {
    assert!(r.is_empty(), "{} has bytes left over", what.into());
}

#[test]
fn numbers_and_values() {
    for (bytes, text) in golden("wire") {
        let (kind, what) = text.split_once(' ').unwrap();
        let (mut r, mut out) = (Reader::new(&bytes), Vec::new());
        match kind {
            "varint" => {
                let n: u64 = what.parse().unwrap();
                assert_eq!(r.varint().unwrap(), n, "{text}");
                put_varint(&mut out, n);
            }
            "signed" => {
                let n: i64 = what.parse().unwrap();
                assert_eq!(r.signed().unwrap(), n, "{text}");
                put_signed(&mut out, n);
            }
            _ => {
                let v = value(&meaning(what));
                assert_eq!(r.value().unwrap(), v.as_ref(), "{text}");
                put_value(&mut out, v.as_ref());
            }
        }
        whole(&r, text.as_str());
        assert_eq!(hex(&out), hex(&bytes), "{text}");
    }
}

#[test]
fn packed_keys() {
    for (bytes, text) in golden("pk") {
        let values = values(&meaning(&text));
        let refs: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        assert_eq!(pack::unpack(&bytes).unwrap(), refs, "{text}");
        let mut out = Vec::new();
        pack::pack(&mut out, refs.into_iter()).unwrap();
        assert_eq!(hex(&out), hex(&bytes), "{text}");
    }
}

#[test]
fn stored_keys() {
    for (bytes, text) in golden("key") {
        let values = values(&meaning(&text));
        let key = Key::from_stored(ValueRef::Blob(&bytes)).unwrap();
        assert_eq!(key.values().unwrap(), values, "{text}");
        let refs: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        assert_eq!(Key::from_values(KeyKind::Packed, &refs).unwrap(), key, "{text}");
        let pk = key.pk().unwrap();
        assert_eq!(Key::from_pk(KeyKind::Packed, refs.len(), &pk).unwrap(), key, "{text}");
    }
    // Keys that SQLite calls equal are one key.
    let one = |v| Key::from_values(KeyKind::Packed, &[v]).unwrap();
    assert_eq!(one(ValueRef::Real(1.0)), one(ValueRef::Int(1)));
}

fn number(json: &Json) -> u64 {
    json.as_u64().unwrap_or_else(|| panic!("no number: {json}"))
}

fn small(json: &Json) -> u32 {
    number(json).try_into().unwrap()
}

fn dot(json: &Json) -> Dot {
    Dot::new(small(&json[0]), number(&json[1]), number(&json[2]))
}

fn row_clock(json: &Json) -> RowClock {
    let base = |b: &Json| Base {
        txn: Txn { site: small(&b[0]), version: number(&b[1]) },
        seq0: number(&b[2]),
        n: small(&b[3]),
    };
    let cell = |c: &Json| Cell {
        col: small(&c[0]),
        dot: Dot::new(small(&c[1]), number(&c[2]), number(&c[3])),
        stamp: c[4].as_u64(),
    };
    RowClock {
        cl: number(&json["cl"]),
        life: (!json["life"].is_null()).then(|| dot(&json["life"])),
        base: (!json["base"].is_null()).then(|| base(&json["base"])),
        over: json["over"].as_array().unwrap().iter().map(cell).collect(),
    }
}

#[test]
fn row_clocks() {
    for (bytes, text) in golden("rowclock") {
        let clock = row_clock(&meaning(&text));
        assert_eq!(RowClock::decode(&bytes).unwrap(), clock, "{text}");
        let mut out = Vec::new();
        clock.encode(&mut out);
        assert_eq!(hex(&out), hex(&bytes), "{text}");
    }
}

#[test]
fn key_lists() {
    let key = |json: &Json| match value(json) {
        Value::Int(i) => Key::Int(i),
        Value::Blob(b) => Key::Packed(b),
        other => panic!("no key: {other:?}"),
    };
    for (bytes, text) in golden("keylist") {
        let json = meaning(&text);
        let entry = |e: &Json| Entry {
            tid: small(&e[0]),
            key: key(&e[1]),
            seq: number(&e[2]),
            span: number(&e[3]),
        };
        let entries: Vec<Entry> = json.as_array().unwrap().iter().map(entry).collect();
        assert_eq!(keylist::decode(&bytes).unwrap(), entries, "{text}");
        let mut w = keylist::Writer::default();
        entries.iter().for_each(|e| w.push(e.tid, e.key.borrow(), e.seq, e.span));
        assert_eq!(hex(&w.take()), hex(&bytes), "{text}");
    }
}

#[test]
fn lists_of_what_was_seen() {
    for (bytes, text) in golden("deps") {
        let mut expected = Deps::new();
        for (site, ranges) in meaning(&text).as_object().unwrap() {
            let set = expected.entry(site.parse().unwrap()).or_default();
            ranges
                .as_array()
                .unwrap()
                .iter()
                .for_each(|r| set.insert(number(&r[0]), number(&r[1])));
        }
        assert_eq!(deps::decode(&bytes).unwrap(), expected, "{text}");
        assert_eq!(hex(&deps::encode(&expected).unwrap()), hex(&bytes), "{text}");
    }
}

#[test]
fn vectors() {
    for text in lines("vector") {
        let vector = Vector::from_json(text.as_bytes()).unwrap();
        assert_eq!(vector.to_json(), text);
        assert_eq!(meaning(&text)["now"], json!(vector.now), "{text}");
    }
    let first = lines("vector").remove(0);
    assert_eq!(Vector::default().to_json(), first, "the empty vector");
}

/// The changeset that FORMAT.md takes apart: one row of one transaction.
fn smallest_changeset() -> Vec<u8> {
    let site = [0x11; 16];
    let seen = || BTreeMap::from([(site, vec![Span { lo: 1, hi: 1, stamp: 4096 }])]);
    let note = TableInfo {
        name: "note".into(),
        former: Vec::new(),
        kind: KeyKind::Int,
        strict: false,
        keys: vec![KeyInfo {
            name: "id".into(),
            affinity: Affinity::Integer,
            collation: "BINARY".into(),
        }],
        columns: vec![ColumnInfo {
            name: "title".into(),
            former: Vec::new(),
            affinity: Affinity::Text,
            declared: "TEXT".into(),
            notnull: false,
            default: None,
            merge: "lww".into(),
        }],
    };
    let head = TxnHead {
        site,
        version: 1,
        stamp: 4096,
        last_seq: 0,
        flags: 0,
        part: None,
        deps: Vec::new(),
    };
    let mut b = Builder::new();
    let table = b.table(1, || note);
    b.begin(head);
    b.row(table, KeyRef::Int(1), 1, None, std::iter::once((0, 0, None, ValueRef::Text(b"hi"))));
    b.end();
    let header =
        Header { sender: site, now: 8192, vector: seen(), coverage: seen(), ..Header::default() };
    b.finish(header).unwrap()
}

/// The fenced blocks of FORMAT.md whose info begins with `golden`: what follows it, and the lines.
fn shown() -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut open = false;
    for line in read("docs/FORMAT.md").lines() {
        if let Some(info) = line.strip_prefix("```") {
            open = !open && info.starts_with("golden ");
            if open {
                found.push((info.trim_start_matches("golden ").to_owned(), Vec::new()));
            }
        } else if open {
            found.last_mut().unwrap().1.push(line.to_owned());
        }
    }
    found
}

#[test]
fn the_document_shows_golden_lines() {
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut names = Vec::new();
    for (name, shown) in shown() {
        names.push(name.clone());
        if name == "changeset" {
            continue;
        }
        let known: Vec<String> = lines(&name).iter().map(|l| squeezed(l)).collect();
        for line in shown {
            let found = known.contains(&squeezed(&line));
            assert!(found, "tests/golden/{name}.txt has no line\n{line}");
        }
    }
    names.sort();
    let all = ["changeset", "deps", "key", "keylist", "pk", "rowclock", "vector", "wire"];
    assert_eq!(names, all, "FORMAT.md shows each format once");
}

#[test]
fn the_document_shows_a_changeset_in_full() {
    let (_, shown) = shown().into_iter().find(|(name, _)| name == "changeset").unwrap();
    let left = |line: &String| line.split('|').next().unwrap_or("").to_owned();
    let told: Vec<u8> = bytes(&shown.iter().map(left).collect::<String>());
    assert_eq!(hex(&told), hex(&smallest_changeset()));
    let read = decode(&told).unwrap();
    read.check().unwrap();
    assert_eq!((read.len(), read.header.tables[0].name.as_str()), (1, "note"));
}

/// Every column of every table that sql/ makes stands in the table's section.
#[test]
fn the_document_tells_every_column_of_our_tables() {
    let document = read("docs/FORMAT.md");
    let section = |table: &str| {
        let (_, after) = document
            .split_once(&format!("\n### `{table}`\n"))
            .unwrap_or_else(|| panic!("FORMAT.md has no section for {table}"));
        after.split("\n#").next().unwrap_or("").to_owned()
    };
    let sql = read("sql/tables.sql") + &read("sql/parts.sql");
    let mut seen = 0;
    for create in sql.split("CREATE TABLE ").skip(1) {
        let (name, rest) = create.split_once('(').unwrap();
        let body = rest.split("\n)").next().unwrap();
        let section = section(name.trim_start_matches("IF NOT EXISTS "));
        let body: String = if body.contains('\n') {
            body.lines().map(|l| l.split("--").next().unwrap().to_owned() + "\n").collect()
        } else {
            body.split(");").next().unwrap().replace(", ", "\n")
        };
        for line in body.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let word = line.split([' ', ',']).next().unwrap().trim_matches('"');
            if word == "PRIMARY" || word.starts_with("UNIQUE(") {
                continue;
            }
            let row = format!("\n| `{word}` |");
            assert!(section.contains(&row), "FORMAT.md does not tell {name}.{word}");
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} columns were found in sql/tables.sql");
}

/// What the words of a format are worth: the golden files are there, and hold something.
#[test]
fn golden_files_are_not_empty() {
    let folder: PathBuf = root().join("tests/golden");
    for entry in fs::read_dir(folder).expect("tests/golden") {
        let path = entry.unwrap().path();
        assert!(fs::metadata(&path).unwrap().len() > 0, "{} is empty", path.display());
    }
}
