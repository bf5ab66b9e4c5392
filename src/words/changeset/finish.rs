//! Writing the gathered changeset: dictionaries, sections, hash.

use sha2::{Digest, Sha256};

use super::build::{Builder, Written};
use super::fields::varint_bytes;
use super::seen::{Sites, put_ranges};
use super::types::{Header, TableInfo, TxnHead};
use super::{FORMAT, HASH_BYTES, MAGIC, PART, header, section, tables};
use crate::words::error::{Error, Result};
use crate::words::wire::{put_at, put_bytes, put_varint};

/// Writes everything. What was refused while gathering is not looked at again.
pub(super) fn finish(mut built: Builder, mut header: Header) -> Result<Vec<u8>> {
    let name = |txn: &Written| (txn.head.site, txn.head.version);
    built.txns.sort_unstable_by_key(name);
    if !built.txns.is_sorted_by(|a, b| name(a) < name(b)) {
        return Err(Error::refused("a transaction was given twice"));
    }
    header::settle(&mut header)?;
    let places = dictionary(&built, &mut header.tables)?;
    let mut sites = header::sites_of(&header);
    for Written { head, .. } in &built.txns {
        sites.insert(head.site);
        sites.extend(head.deps.iter().map(|(site, _)| *site));
    }
    let sites = Sites::of(sites);
    let mut front = Vec::new();
    header::put(&mut front, &header, &sites)?;
    let heads = heads(&built, &sites, &places)?;
    let out = assemble(&built, &header, &front, &heads, &places);
    Ok(out)
}

/// The tables that have rows, by name, and for each gathered table its index there.
fn dictionary(built: &Builder, out: &mut Vec<TableInfo>) -> Result<Vec<u64>> {
    let mut used = vec![false; built.tables.len()];
    for (_, table) in &built.items.patches {
        put_at(&mut used, *table, true);
    }
    let all = built.tables.iter().enumerate().zip(&used);
    let mut sorted: Vec<_> = all.filter(|(_, used)| **used).map(|(table, _)| table).collect();
    sorted.sort_unstable_by(|a, b| a.1.info.name.cmp(&b.1.info.name));
    let mut places = vec![0; built.tables.len()];
    out.clear();
    for (at, (table, gathered)) in sorted.into_iter().enumerate() {
        tables::check(&gathered.info)?;
        if out.last().is_some_and(|last| last.name == gathered.info.name) {
            return Err(Error::refused(format!("table {} comes twice", gathered.info.name)));
        }
        put_at(&mut places, table, at as u64);
        out.push(gathered.info.clone());
    }
    Ok(places)
}

fn place_of(places: &[u64], table: usize) -> u64 {
    places.get(table).copied().unwrap_or_default()
}

/// The heads of all transactions, each up to the size of its items, and where each ends.
fn heads(built: &Builder, sites: &Sites, places: &[u64]) -> Result<(Vec<u8>, Vec<usize>)> {
    let (mut out, mut ends) = (Vec::new(), Vec::with_capacity(built.txns.len()));
    for txn in &built.txns {
        put_head(&mut out, &txn.head, sites)?;
        let patches = built.items.patches.get(txn.patches.clone()).unwrap_or_default();
        let indices = patches.iter().map(|(_, table)| varint_bytes(place_of(places, *table)));
        put_varint(&mut out, (txn.bytes.len() + indices.sum::<usize>()) as u64);
        ends.push(out.len());
    }
    Ok((out, ends))
}

fn put_head(out: &mut Vec<u8>, head: &TxnHead, sites: &Sites) -> Result<()> {
    sites.put_site(out, &head.site)?;
    put_varint(out, head.version);
    put_varint(out, head.stamp);
    put_varint(out, head.last_seq);
    out.push(head.flags | if head.part.is_some() { PART } else { 0 });
    if let Some((lo, hi)) = head.part {
        put_varint(out, lo);
        put_varint(out, hi - lo);
    }
    put_varint(out, head.deps.len() as u64);
    for (site, ranges) in &head.deps {
        sites.put_site(out, site)?;
        put_ranges(out, ranges)?;
    }
    Ok(())
}

/// Puts everything into one piece.
fn assemble(
    built: &Builder,
    header: &Header,
    front: &[u8],
    (heads, ends): &(Vec<u8>, Vec<usize>),
    places: &[u64],
) -> Vec<u8> {
    let items: usize = built.txns.iter().map(|txn| txn.bytes.len()).sum();
    let patches = built.items.patches.iter();
    let indices: usize = patches.map(|(_, table)| varint_bytes(place_of(places, *table))).sum();
    let txns = heads.len() + items + indices;
    // The seal stands among what is counted.
    let mut size = 1 + front.len();
    if txns > 0 {
        size += header::section_bytes(section::TRANSACTIONS, txns);
    }
    if let Some(signature) = &header.signature {
        size += header::section_bytes(section::SIGNATURE, signature.len());
    }
    let mut out = Vec::with_capacity(size + HASH_BYTES + 24);
    out.extend_from_slice(MAGIC);
    // Format and oldest reader; no features, required or optional; no compression.
    out.extend_from_slice(&[FORMAT, FORMAT, 0, 0, 0]);
    put_varint(&mut out, size as u64);
    out.push(0);
    out.extend_from_slice(front);
    if txns > 0 {
        put_varint(&mut out, section::TRANSACTIONS);
        put_varint(&mut out, txns as u64);
        let mut at = 0;
        for (txn, end) in built.txns.iter().zip(ends) {
            out.extend_from_slice(heads.get(at..*end).unwrap_or_default());
            at = *end;
            put_items(&mut out, built, txn, places);
        }
    }
    if let Some(signature) = &header.signature {
        put_varint(&mut out, section::SIGNATURE);
        put_bytes(&mut out, signature);
    }
    let hash = Sha256::digest(&out);
    out.extend_from_slice(&hash);
    out
}

/// A transaction's items, with the indices of tables where they belong.
fn put_items(out: &mut Vec<u8>, built: &Builder, txn: &Written, places: &[u64]) {
    let mut at = txn.bytes.start;
    for (place, table) in built.items.patches.get(txn.patches.clone()).unwrap_or_default() {
        out.extend_from_slice(built.items.bytes.get(at..*place).unwrap_or_default());
        put_varint(out, place_of(places, *table));
        at = *place;
    }
    out.extend_from_slice(built.items.bytes.get(at..txn.bytes.end).unwrap_or_default());
}
