//! What a set and a map show, as the documents tell it: from a base and the registers that the feed
//! told of. Nothing of crsql's code is in it; the JSON is serde_json's.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

type Registers<'a> = BTreeMap<&'a str, &'a [u8]>;

fn parsed(value: &[u8]) -> Option<Value> {
    serde_json::from_slice(value.strip_prefix(&[3])?).ok()
}

/// A number of variable length, little end first, and what follows it.
fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let end = bytes.iter().position(|b| *b < 0x80).map_or(bytes.len(), |at| at + 1);
    let (head, rest) = bytes.split_at(end);
    (head.iter().rev().fold(0, |n, b| n << 7 | u64::from(b & 0x7f)), rest)
}

/// How often a site added an element, and which adds it took away.
fn adds(value: &[u8]) -> (u64, BTreeMap<String, u64>) {
    let Some((4, bytes)) = value.split_first() else { return Default::default() };
    let (adds, rest) = varint(bytes);
    let (n, mut rest) = varint(rest);
    let mut taken = BTreeMap::new();
    for _ in 0..n {
        let (site, tail) = rest.split_at(16);
        let (upto, tail) = varint(tail);
        taken.insert(site.iter().map(|b| format!("{b:02x}")).collect(), upto);
        rest = tail;
    }
    (adds, taken)
}

/// Where an element stands in the array: by its class, numbers by size.
fn rank(element: &str) -> (u8, i64, &str) {
    match element.parse::<i64>() {
        Ok(n) => (1, n, element),
        Err(_) => (if element == "null" { 0 } else { 2 }, 0, element),
    }
}

/// The set: what was inserted and not taken away, and what has an add that nobody took away.
pub fn set(base: &[u8], registers: &Registers) -> String {
    let base: BTreeSet<String> = match parsed(base) {
        Some(Value::Array(all)) => all.iter().map(Value::to_string).collect(),
        _ => BTreeSet::new(),
    };
    let of = |element: &str| -> Vec<(&str, u64, BTreeMap<String, u64>)> {
        let named = registers.iter().filter_map(|(name, value)| {
            let (site, of) = name.split_once(':')?;
            let (adds, taken) = adds(value);
            (of == element).then_some((site, adds, taken))
        });
        named.collect()
    };
    let named = registers.keys().filter_map(|name| Some(name.split_once(':')?.1.to_owned()));
    let all: BTreeSet<String> = base.iter().cloned().chain(named).collect();
    let mut there: Vec<&String> = all
        .iter()
        .filter(|element| {
            let all = of(element);
            let taken = |site: &str| all.iter().filter_map(|(.., t)| t.get(site)).max().copied();
            let stands = |(site, adds, _): &(&str, u64, _)| *adds > taken(site).unwrap_or(0);
            base.contains(*element) && taken(&"0".repeat(32)).is_none() || all.iter().any(stands)
        })
        .collect();
    there.sort_by_key(|element| rank(element));
    format!("[{}]", there.iter().map(|e| e.as_str()).collect::<Vec<_>>().join(","))
}

/// Puts a member at its path; plain values on the way give way to objects.
fn put(object: &mut Map<String, Value>, path: &[String], value: &Value) {
    let [name, below @ ..] = path else { return };
    if below.is_empty() {
        let into = object.entry(name.clone()).or_insert(Value::Null);
        if !matches!(into, Value::Object(_)) || !value.is_object() {
            *into = value.clone();
        }
        return;
    }
    let into = object.entry(name.clone()).or_insert(Value::Null);
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Value::Object(into) = into {
        put(into, below, value);
    }
}

fn members(
    object: &Map<String, Value>,
    path: &mut Vec<String>,
    out: &mut BTreeMap<Vec<String>, Value>,
) {
    for (name, value) in object {
        path.push(name.clone());
        match value {
            Value::Object(inner) if !inner.is_empty() => members(inner, path, out),
            value => drop(out.insert(path.clone(), value.clone())),
        }
        path.pop();
    }
}

/// The map: the members of the base, over which the registers are written by their paths.
pub fn map(base: &[u8], registers: &Registers) -> String {
    let mut all = BTreeMap::new();
    if let Some(Value::Object(base)) = parsed(base) {
        members(&base, &mut Vec::new(), &mut all);
    }
    for (name, value) in registers {
        let Ok(path) = serde_json::from_str::<Vec<String>>(name) else { continue };
        match parsed(value) {
            Some(value) => drop(all.insert(path, value)),
            None => drop(all.remove(&path)),
        }
    }
    let mut shown = Map::new();
    // Shorter paths first: what lies below a plain value is shown in its place.
    for (path, value) in &all {
        put(&mut shown, path, value);
    }
    Value::Object(shown).to_string()
}
