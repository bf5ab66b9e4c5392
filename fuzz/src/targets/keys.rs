//! The small formats, in Rust alone: packed keys, values, row clocks, lists of keys, deps, vectors,
//! and the rest that reads bytes (`pure`). What is understood has one form and comes back; the
//! rest is an error.

use super::{Target, pure};
use crate::rng::Rng;
use crate::world::World;
use crate::{meter, mutate};
use crsql::words::affinity::Affinity;
use crsql::words::key::{Key, KeyKind};
use crsql::words::rowclock::RowClock;
use crsql::words::value::ValueRef;
use crsql::words::vector::Vector;
use crsql::words::wire::{Reader, put_value};
use crsql::words::{deps, keylist, pack};

/// The target. The first byte of an input says which format the rest is.
pub struct Keys;

const FORMATS: usize = 11;
const SQL: usize = 8;
/// What may be held for each byte of input, and beside that.
const FACTOR: usize = 200;
const BESIDE: usize = 16 << 10;

impl Target for Keys {
    fn make(&self, rng: &mut Rng, world: &World) -> Vec<u8> {
        let mut format = rng.below(FORMATS);
        // SQL takes as long as all the others.
        if format == SQL && !rng.one_in(4) {
            format = rng.below(SQL);
        }
        let from = match format {
            0 | 1 => &world.keys,
            2 => &world.changesets,
            3 => &world.clocks,
            4 => &world.lists,
            5 => &world.deps,
            6 | 7 => &world.vectors,
            SQL => &world.texts,
            _ => &world.noise,
        };
        let mut bytes = if from.is_empty() { Vec::new() } else { rng.pick(from).clone() };
        if format == 2 {
            let at = rng.below(bytes.len());
            bytes = bytes[at..(at + 40).min(bytes.len())].to_vec();
        }
        let other = rng.pick(if from.is_empty() { &world.keys } else { from }).clone();
        mutate::bytes(rng, &mut bytes, &other);
        bytes.insert(0, format as u8);
        bytes
    }

    fn is_bytes(&self) -> bool {
        true
    }

    fn change(&self, rng: &mut Rng, _: &World, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        mutate::bytes(rng, &mut bytes, &[]);
        bytes
    }

    fn run(&self, _: &World, input: &[u8]) -> Result<u64, String> {
        let Some((format, bytes)) = input.split_first() else { return Ok(1) };
        let (done, most) = meter::most(|| match usize::from(*format) % FORMATS {
            0 => packed(bytes),
            1 => key(bytes),
            2 => values(bytes),
            3 => clock(bytes),
            4 => list(bytes),
            5 => seen(bytes),
            6 => vector(bytes),
            7 => pure::between(bytes),
            SQL => pure::sql(bytes),
            9 => pure::ranges(bytes),
            _ => pure::stamps(bytes),
        });
        if most > FACTOR * input.len() + BESIDE {
            return Err(format!("{most} bytes are held for {} of format {format}", input.len()));
        }
        done.map(|()| 1)
    }
}

fn same(what: &str, a: &[u8], b: &[u8]) -> Result<(), String> {
    if a == b { Ok(()) } else { Err(format!("{what} has two forms: {a:02x?} and {b:02x?}")) }
}

fn packed(bytes: &[u8]) -> Result<(), String> {
    let Ok(values) = pack::unpack(bytes) else { return Ok(()) };
    let mut again = Vec::new();
    pack::pack(&mut again, values.iter().copied()).map_err(|e| e.text)?;
    same("a packed key", bytes, &again)
}

fn key(bytes: &[u8]) -> Result<(), String> {
    for (kind, columns) in [(KeyKind::Int, 1), (KeyKind::Packed, 1), (KeyKind::Packed, 2)] {
        let Ok(key) = Key::from_pk(kind, columns, bytes) else { continue };
        let pk = key.pk().map_err(|e| e.text)?;
        let again = Key::from_pk(kind, columns, &pk).map_err(|e| e.text)?;
        if again != key || key.values().map_err(|e| e.text)?.len() != columns {
            return Err(format!("{key:?} comes back as {again:?}"));
        }
    }
    let stored = Key::from_stored(ValueRef::Blob(bytes)).map_err(|e| e.text)?;
    let _ = (stored.values(), stored.pk());
    Ok(())
}

fn values(bytes: &[u8]) -> Result<(), String> {
    let mut r = Reader::new(bytes);
    let mut again = Vec::new();
    while let Ok(v) = r.value() {
        put_value(&mut again, v);
        let affinities = [Affinity::Blob, Affinity::Text, Affinity::Numeric, Affinity::Integer];
        for a in affinities.into_iter().chain([Affinity::Real, Affinity::Any]) {
            let _ = crsql::words::affinity::stores_unchanged(a, again.len() % 2 == 0, v);
        }
    }
    same("a value", &bytes[..again.len().min(bytes.len())], &again)
}

fn clock(bytes: &[u8]) -> Result<(), String> {
    let Ok(mut clock) = RowClock::decode(bytes) else { return Ok(()) };
    let mut again = Vec::new();
    clock.encode(&mut again);
    same("a clock", bytes, &again)?;
    let columns = [0, 1, 2, 5, u32::MAX];
    let cells: Vec<_> = columns.iter().map(|c| clock.cell(*c)).collect();
    let _ = (clock.alive(), clock.life);
    clock.settle(&columns);
    let after: Vec<_> = columns.iter().map(|c| clock.cell(*c)).collect();
    if cells != after {
        return Err("settling a clock changes what it says".into());
    }
    Ok(())
}

fn list(bytes: &[u8]) -> Result<(), String> {
    let Ok(entries) = keylist::decode(bytes) else { return Ok(()) };
    let mut w = keylist::Writer::default();
    for e in &entries {
        w.push(e.tid, e.key.borrow(), e.seq, e.span);
    }
    match keylist::decode(&w.take()) {
        Ok(again) if again == entries => Ok(()),
        _ => Err("a list of keys does not come back".into()),
    }
}

fn seen(bytes: &[u8]) -> Result<(), String> {
    let Ok(set) = deps::decode(bytes) else { return Ok(()) };
    let again = deps::encode(&set).unwrap_or_default();
    match deps::decode(&again) {
        Ok(back) if back == set || again.is_empty() => Ok(()),
        _ => Err("deps do not come back".into()),
    }
}

fn vector(bytes: &[u8]) -> Result<(), String> {
    // A blank sends it to the reader that knows all of JSON, and not only what is written here.
    let other = Vector::from_json(&[b" ", bytes].concat()).ok();
    if Vector::from_json(bytes).ok() != other {
        return Err("two readers of vectors do not agree".into());
    }
    let Some(v) = other else { return Ok(()) };
    for (site, spans) in &v.seen {
        let _ = v.seen_set(site);
        if spans.iter().any(|s| s.stamp != 0 && v.stamp_at(site, s.hi) != Some(s.stamp)) {
            return Err("a vector does not find a stamp of its own".into());
        }
    }
    let again = v.to_json();
    match Vector::from_json(again.as_bytes()) {
        Ok(back) if back == v => same("a vector", again.as_bytes(), back.to_json().as_bytes()),
        Ok(_) => Err("a vector comes back as another".into()),
        Err(e) => Err(format!("a vector that was written is refused: {}", e.text)),
    }
}
