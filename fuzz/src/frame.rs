//! A changeset as a frame around sections: bytes of one section are damaged, and sizes and the hash
//! put right again, so that the damage is met deep inside.

use crate::mutate;
use crate::rng::Rng;
use crsql::words::wire::{Reader, put_bytes, put_varint};
use sha2::{Digest, Sha256};

const HASH: usize = 32;
/// Magic, formats, features and compression of what we write.
const FRONT: [u8; 10] = *b"crsql\x01\x01\x00\x00\x00";
const TRANSACTIONS: u64 = 17;

/// The bytes with their SHA-256 behind them.
pub fn hashed(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

/// The sections of a changeset that is whole.
fn sections(bytes: &[u8]) -> Option<Vec<(u64, Vec<u8>)>> {
    let body = bytes.get(FRONT.len()..bytes.len().checked_sub(HASH)?)?;
    let mut r = Reader::new(body);
    let mut out = Vec::new();
    r.varint().ok()?;
    r.u8().ok()?;
    while !r.is_empty() {
        out.push((r.varint().ok()?, r.len_bytes().ok()?.to_vec()));
    }
    Some(out)
}

fn joined(sections: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut rest = vec![0];
    for (kind, bytes) in sections {
        put_varint(&mut rest, *kind);
        put_bytes(&mut rest, bytes);
    }
    let mut out = FRONT.to_vec();
    put_bytes(&mut out, &rest);
    hashed(out)
}

/// Damages a changeset: its sections, or anything of it with the hash put right, or without.
pub fn damage(rng: &mut Rng, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    match rng.below(12) {
        0 => mutate::bytes(rng, &mut out, other),
        1 | 2 => {
            out.truncate(out.len().saturating_sub(HASH));
            mutate::bytes(rng, &mut out, other);
            out = hashed(out);
        }
        _ => match sections(bytes) {
            Some(all) => return joined(&damaged(rng, all, other)),
            None => mutate::bytes(rng, &mut out, other),
        },
    }
    out
}

fn damaged(rng: &mut Rng, mut all: Vec<(u64, Vec<u8>)>, other: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let at = rng.below(all.len());
    let theirs = sections(other).unwrap_or_default();
    let Some(chosen) = all.get_mut(at) else { return all };
    match rng.below(10) {
        0 => {
            all.remove(at);
        }
        1 => {
            let kind = rng.edge(chosen.0);
            let n = rng.below(9);
            let more = (kind, rng.bytes(n));
            all.push(more);
            all.sort_by_key(|s| s.0);
        }
        2 => {
            if let Some(same) = theirs.iter().find(|s| s.0 == chosen.0) {
                chosen.1 = same.1.clone();
            }
        }
        3 | 4 => mutate::bytes(rng, &mut chosen.1, other),
        // Most of what can go wrong is in the transactions.
        _ => {
            if let Some(txns) = all.iter_mut().find(|s| s.0 == TRANSACTIONS) {
                txns.1 = transactions(rng, &txns.1).unwrap_or_else(|| {
                    let mut bytes = txns.1.clone();
                    mutate::bytes(rng, &mut bytes, other);
                    bytes
                });
            }
        }
    }
    all
}

/// Damages one transaction's head or items; the size of its items fits again.
fn transactions(rng: &mut Rng, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut r = Reader::new(bytes);
    while !r.is_empty() {
        let before = r.remaining();
        head(&mut r)?;
        let head = bytes.get(bytes.len() - before..bytes.len() - r.remaining())?;
        all.push((head.to_vec(), r.len_bytes().ok()?.to_vec()));
    }
    let at = rng.below(all.len());
    let other = all.get(rng.below(all.len()))?.1.clone();
    let chosen = all.get_mut(at)?;
    let part = if rng.one_in(4) { &mut chosen.0 } else { &mut chosen.1 };
    mutate::bytes(rng, part, &other);
    let mut out = Vec::new();
    for (head, items) in &all {
        out.extend_from_slice(head);
        put_bytes(&mut out, items);
    }
    Some(out)
}

/// Skips a transaction's head.
fn head(r: &mut Reader<'_>) -> Option<()> {
    for _ in 0..4 {
        r.varint().ok()?;
    }
    if r.u8().ok()? & 8 != 0 {
        r.varint().ok()?;
        r.varint().ok()?;
    }
    for _ in 0..r.count(4).ok()? {
        r.varint().ok()?;
        for _ in 0..r.count(2).ok()? {
            r.varint().ok()?;
            r.varint().ok()?;
        }
    }
    Some(())
}

/// Whether a section is none that this format knows.
pub fn has_unknown(bytes: &[u8]) -> bool {
    let known = [1, 3, 5, 7, 9, 11, 13, 15, 17, 18];
    sections(bytes).is_none_or(|all| all.iter().any(|(kind, _)| !known.contains(kind)))
}
