//! Columns that merge by intent, as the documents tell it: what such a column shows, from its base
//! and the parts that the feed told of. Nothing of crsql's code is in it.

use crate::case::Case;
use crate::host::show;
use crate::migrate::{Effect, Migration, forward};
use crate::model::{Change, Model, Rows, Site, Tables};
use std::collections::BTreeMap;

/// How columns merge, by table and column; the others by the last write.
pub type Types = BTreeMap<(String, String), String>;

/// What begins the cid of a part, and ends the column's name in it.
const MARK: char = '\u{1}';

/// The column of a cid.
pub fn column_of(cid: &str) -> &str {
    let rest = cid.strip_prefix(MARK).and_then(|rest| rest.rsplit_once(MARK));
    rest.map_or(cid, |(column, _)| column)
}

/// The same cid with another column.
pub fn renamed(cid: &str, to: &str) -> String {
    match cid.strip_prefix(MARK).and_then(|rest| rest.rsplit_once(MARK)) {
        Some((_, register)) => format!("{MARK}{to}{MARK}{register}"),
        None => to.to_owned(),
    }
}

/// The texts between quotes in a statement.
pub fn texts(sql: &str) -> Vec<String> {
    let (mut out, mut open) = (Vec::<String>::new(), false);
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, open) {
            ('\'', true) if chars.peek() == Some(&'\'') => {
                chars.next();
                if let Some(text) = out.last_mut() {
                    text.push('\'');
                }
            }
            ('\'', false) => {
                out.push(String::new());
                open = true;
            }
            ('\'', true) => open = false,
            (c, true) => {
                if let Some(text) = out.last_mut() {
                    text.push(c);
                }
            }
            _ => {}
        }
    }
    out
}

/// What a case declares, by the names of the beginning.
pub fn declared(case: &Case) -> Types {
    let mut out = Types::new();
    for line in case.setup.iter().filter(|sql| sql.starts_with("SELECT crsql_column(")) {
        if let [table, column, kind] = texts(line).as_slice() {
            out.insert((table.clone(), column.clone()), kind.clone());
        }
    }
    out
}

/// The same by the names after so many changes of the schema.
pub fn at(types: &Types, all: &[Migration], level: usize) -> Types {
    let mut out = types.clone();
    for m in all.iter().take(level) {
        let moved = std::mem::take(&mut out).into_iter().map(|((table, column), kind)| {
            let name = match &m.effect {
                Effect::Table(from, to) if *from == table => (to.clone(), column),
                Effect::Column(of, from, to) if *of == table && *from == column => {
                    (table, to.clone())
                }
                _ => (table, column),
            };
            (name, kind)
        });
        out = moved.collect();
    }
    out
}

/// A number: whole, or not.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
enum Number {
    Whole(i128),
    Real(f64),
}

fn number(value: &[u8]) -> Option<Number> {
    let eight = |b: &[u8]| b.try_into().map(u64::from_be_bytes).unwrap_or(0);
    match value.split_first()? {
        (1, b) => Some(Number::Whole(i128::from(eight(b) as i64))),
        (2, b) => Some(Number::Real(f64::from_bits(eight(b)))),
        (3, digits) => std::str::from_utf8(digits).ok()?.parse().ok().map(Number::Whole),
        _ => None,
    }
}

fn real(n: Number) -> f64 {
    match n {
        Number::Whole(n) => n as f64,
        Number::Real(r) => r,
    }
}

/// Whether what a column holds is what was expected: two numbers may differ by rounding.
fn is_sum(base: &[u8], parts: &[&[u8]], holds: &[u8]) -> bool {
    if parts.is_empty() {
        return base == holds;
    }
    let base = if base.first() == Some(&3) { None } else { number(base) };
    let all: Vec<Number> =
        base.into_iter().chain(parts.iter().filter_map(|part| number(part))).collect();
    let Some(shown) = number(holds) else { return false };
    let whole: Option<i128> = all
        .iter()
        .map(|n| if let Number::Whole(n) = n { Some(*n) } else { None })
        .try_fold(0i128, |sum, n| Some(sum + n?));
    match (whole, shown) {
        (Some(sum), Number::Whole(shown)) => {
            sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) == shown
        }
        (_, shown) => {
            let sum: f64 = all.iter().map(|n| real(*n)).sum();
            let size: f64 = all.iter().map(|n| real(*n).abs()).sum();
            sum == real(shown) || (sum - real(shown)).abs() <= size * 1e-9 || !size.is_finite()
        }
    }
}

/// Whether `a` is the greater value.
fn above(a: &[u8], b: &[u8]) -> bool {
    let class = |v: &[u8]| v.first().map_or(0, |c| (*c).max(2));
    match (number(a).filter(|_| class(a) == 2), number(b).filter(|_| class(b) == 2)) {
        (Some(Number::Whole(a)), Some(Number::Whole(b))) => a > b,
        (Some(a), Some(b)) => real(a) > real(b),
        _ => (class(a), a) > (class(b), b),
    }
}

/// The registers of a column and their values, by name.
type Registers<'a> = BTreeMap<&'a str, &'a [u8]>;

/// Whether a column of this type holds what its base and its parts come to.
fn holds(kind: &str, base: &[u8], registers: &Registers, value: &[u8]) -> bool {
    let parts: Vec<&[u8]> = registers.values().copied().collect();
    match kind {
        "counter" | "gcounter" => return is_sum(base, &parts, value),
        "multi" => return base == value,
        // Where characters go is yrs's to say; `crsql_check()` puts them together once more.
        "text" => return !registers.is_empty() || base == value,
        "bounded" => return base == value || is_stock(base, registers, value),
        "set" | "map" if registers.is_empty() => return base == value,
        "set" => return crate::json::set(base, registers).as_bytes() == text(value),
        "map" => return crate::json::map(base, registers).as_bytes() == text(value),
        _ => {}
    }
    let all = std::iter::once(base).chain(parts.iter().copied()).filter(|v| **v != [0]);
    let beats = |a: &[u8], b: &[u8]| if kind == "min" { above(b, a) } else { above(a, b) };
    let best = all.fold(None, |best: Option<&[u8]>, v| match best {
        Some(best) if !beats(v, best) => Some(best),
        _ => Some(v),
    });
    // An INTEGER and a REAL may be the same number.
    best.map_or(value == [0], |best| best == value || !beats(best, value) && !beats(value, best))
}

/// The bytes of a text; none of anything else.
fn text(value: &[u8]) -> &[u8] {
    value.strip_prefix(&[3]).unwrap_or(&[])
}

/// Whether a bounded column holds what was brought in and added, and never less than nothing.
fn is_stock(base: &[u8], registers: &Registers, holds: &[u8]) -> bool {
    let whole = |v: &[u8]| if let Some(Number::Whole(n)) = number(v) { n } else { 0 };
    let of = |mark: char| registers.iter().filter(move |(name, _)| name.contains(mark));
    let brought = of('!').next().is_some();
    let start = if brought { of('!').map(|(_, v)| whole(v)).sum() } else { whole(base) };
    let added = registers.iter().filter(|(name, _)| !name.contains(['!', '>']));
    let sum: i128 = start + added.map(|(_, v)| whole(v)).sum::<i128>();
    number(holds) == Some(Number::Whole(sum.clamp(0, i128::from(i64::MAX))))
}

/// Takes the parts out of what the model knows, and puts in their place what `tables` holds where
/// that is what they come to. Gives the first column that holds something else.
pub fn resolve(model: &mut Tables, tables: &Tables, types: &Types) -> Result<(), String> {
    let none = Rows::new();
    for (name, rows) in model {
        let held = tables.get(name).unwrap_or(&none);
        for (key, row) in rows {
            let parts: BTreeMap<String, Vec<u8>> =
                row.iter().filter(|(c, _)| c.starts_with(MARK)).map(clone).collect();
            row.retain(|column, _| !column.starts_with(MARK));
            let Some(held) = held.get(key) else { continue };
            for ((_, column), kind) in types.iter().filter(|((table, _), _)| table == name) {
                let Some(value) = held.get(column) else { continue };
                let of_column: Registers = parts
                    .iter()
                    .filter(|(cid, _)| column_of(cid) == column)
                    .map(|(cid, v)| (cid.rsplit(MARK).next().unwrap_or(""), v.as_slice()))
                    .collect();
                let base = row.get(column).cloned();
                // Of a cell that holds its default nobody tells.
                if let Some(base) = &base
                    && !holds(kind, base, &of_column, value)
                {
                    let parts: Vec<String> =
                        of_column.iter().map(|(r, v)| format!("{r} {}", show(v))).collect();
                    return Err(format!(
                        "{name}.{column}, a {kind}, is {}, with the base {} and parts {parts:?}",
                        show(value),
                        show(base)
                    ));
                }
                if base.is_some() || !of_column.is_empty() {
                    row.insert(column.clone(), value.clone());
                }
            }
        }
    }
    Ok(())
}

fn clone((name, value): (&String, &Vec<u8>)) -> (String, Vec<u8>) {
    (name.clone(), value.clone())
}

/// What a file's own new transactions told of its counters is what they did to them.
pub fn counted(
    model: &Model,
    (before, after): (&Tables, &Tables),
    told: &[Change],
    site: &Site,
    (types, all): (&Types, &[Migration]),
) -> Result<(), String> {
    let counters = types.iter().filter(|(_, kind)| kind.ends_with("counter"));
    for (table, column) in counters.map(|(name, _)| name) {
        let rows = |tables: &Tables| tables.get(table).cloned().unwrap_or_default();
        let (was, is) = (rows(before), rows(after));
        for (key, row) in &is {
            let value = |row: &BTreeMap<String, Vec<u8>>| {
                let n = row.get(column).filter(|v| v.first() != Some(&3)).and_then(|v| number(v));
                if let Some(Number::Whole(n)) = n { Some(n) } else { None }
            };
            let Some((old, new)) = was.get(key).and_then(value).zip(value(row)) else { continue };
            let of_row: Vec<&Change> =
                told.iter().filter(|c| c.table == *table && c.key == *key).collect();
            let of_column =
                |c: &&&Change| c.column.as_deref().is_some_and(|cid| column_of(cid) == column);
            let mine: Vec<&&Change> = of_row.iter().filter(of_column).collect();
            let whole =
                of_row.iter().any(|c| c.column.is_none() || c.column.as_ref() == Some(column));
            let edge = |n: i128| n.unsigned_abs() > 1 << 62;
            if whole || edge(old) || edge(new) {
                continue;
            }
            let mut moved = 0;
            let mut exact = true;
            // Of one register the last word counts.
            let last: BTreeMap<&str, &&Change> =
                mine.iter().map(|c| (c.column.as_deref().unwrap_or(""), *c)).collect();
            for c in last.values() {
                // Nothing is kept of a column that is dropped later, or a table that begins again.
                let Some(named) = forward(all, c).filter(|named| named.column.is_some()) else {
                    exact = false;
                    continue;
                };
                match (number(&c.value), model.last(site, &named).map(number)) {
                    (Some(Number::Whole(now)), None) => moved += now,
                    (Some(Number::Whole(now)), Some(Some(Number::Whole(then)))) => {
                        moved += now - then;
                    }
                    _ => exact = false,
                }
            }
            if exact && new - old != moved {
                return Err(format!(
                    "{table}.{column} went from {old} to {new}, and the feed tells of {moved}"
                ));
            }
        }
    }
    Ok(())
}
