//! Mutations that know nothing of what the bytes mean, but that numbers in them are often varints.

use crate::rng::Rng;
use crsql::words::wire::{Reader, put_varint};

/// Changes `bytes` in one to six places; `other` is another input, to splice with.
pub fn bytes(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let times = if rng.one_in(3) { 1 } else { 1 + rng.below(6) };
    for _ in 0..times {
        once(rng, bytes, other);
    }
}

fn once(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.below(bytes.len());
    match rng.below(12) {
        0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << rng.below(8),
        2 if !bytes.is_empty() => bytes[at] = rng.next() as u8,
        3 if !bytes.is_empty() => {
            let odd = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\'', b'[', b'{', b'9', b'-'];
            bytes[at] = *rng.pick(&odd);
        }
        4 => bytes.truncate(at),
        5 => {
            let n = 1 + rng.below(9);
            let more = rng.bytes(n);
            bytes.splice(at..at, more);
        }
        6 => {
            let end = (at + 1 + rng.below(9)).min(bytes.len());
            bytes.drain(at.min(end)..end);
        }
        7 => {
            let from = rng.below(bytes.len());
            let end = (from + 1 + rng.below(40)).min(bytes.len());
            let again = bytes[from.min(end)..end].to_vec();
            bytes.splice(at..at, again);
        }
        8 => splice(rng, bytes, other),
        _ => number(rng, bytes, at),
    }
}

/// The beginning of one and the end, or the middle, of another.
fn splice(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let (at, from) = (rng.below(bytes.len()), rng.below(other.len()));
    if rng.one_in(2) {
        bytes.truncate(at);
        bytes.extend_from_slice(&other[from..]);
    } else {
        let end = (from + 1 + rng.below(60)).min(other.len());
        let cut = (at + rng.below(60)).min(bytes.len());
        bytes.splice(at..cut, other[from.min(end)..end].iter().copied());
    }
}

/// What may be a varint becomes another one, in its one form or in a longer one.
fn number(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let rest = &bytes[at.min(bytes.len())..];
    let mut r = Reader::new(rest);
    let Ok(old) = r.varint() else { return };
    let used = rest.len() - r.remaining();
    let mut new = Vec::new();
    put_varint(&mut new, rng.edge(old));
    if rng.one_in(12) {
        if let Some(last) = new.last_mut() {
            *last |= 0x80;
        }
        new.push(0);
    }
    bytes.splice(at..at + used, new);
}
