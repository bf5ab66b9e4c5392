//! The sections before and after the transactions: what the header says.

use std::collections::BTreeSet;

use super::fields::{
    at_end, counted, number, put_text, rising, string, varint_bytes, version, yes_no,
};
use super::seen::{Sites, normal, put_seen, read_seen};
use super::types::{Header, Kind};
use super::{section, tables};
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result};
use crate::words::vector::{Closed, Omit};
use crate::words::wire::{Reader, put_bytes, put_varint};

/// Brings a header into the form in which it is written. REFUSED where it has none.
pub(super) fn settle(header: &mut Header) -> Result<()> {
    counted(header.epoch).and(counted(header.now))?;
    header.vector = normal(&header.vector)?;
    header.coverage = normal(&header.coverage)?;
    header.horizon.retain(|_, version| *version > 0);
    header.horizon.values().try_for_each(|version| counted(*version).map(|_| ()))?;
    header.closed.values().try_for_each(check_closed)?;
    header.omits.sort_unstable();
    header.omits.dedup();
    header.omits.iter().try_for_each(check_omit)
}

fn check_closed(closed: &Closed) -> Result<()> {
    if closed.from <= closed.at {
        return Err(Error::rejected("a fork is noticed above the last version that counts"));
    }
    counted(closed.from).and(counted(closed.stamp)).map(|_| ())
}

fn check_omit(omit: &Omit) -> Result<()> {
    if omit.lo == 0 || omit.hi < omit.lo {
        return Err(Error::rejected(format!(
            "a range of omitted versions goes from {} to {}; versions begin with 1 and rise",
            omit.lo, omit.hi
        )));
    }
    counted(omit.hi).map(|_| ())
}

/// Every site that the header's sections name by index.
pub(super) fn sites_of(header: &Header) -> BTreeSet<SiteId> {
    let seen = header.vector.keys().chain(header.coverage.keys());
    let omits = header.omits.iter().map(|omit| &omit.site);
    let others = header.horizon.keys().chain(header.closed.keys());
    seen.chain(others).chain(omits).copied().collect()
}

/// Appends the sections that stand before TRANSACTIONS.
pub(super) fn put(out: &mut Vec<u8>, header: &Header, sites: &Sites) -> Result<()> {
    put_section(out, section::SENDER, |out| {
        out.extend_from_slice(&header.sender);
        put_varint(out, header.epoch);
        put_text(out, &header.scope);
        put_varint(out, header.now);
        Ok(())
    })?;
    if !sites.is_empty() {
        put_section(out, section::SITES, |out| {
            sites.put(out);
            Ok(())
        })?;
    }
    if !header.tables.is_empty() {
        put_section(out, section::TABLES, |out| {
            put_varint(out, header.tables.len() as u64);
            header.tables.iter().for_each(|table| tables::put(out, table));
            Ok(())
        })?;
    }
    if !header.vector.is_empty() {
        put_section(out, section::VECTOR, |out| put_seen(out, sites, &header.vector))?;
    }
    if !header.horizon.is_empty() {
        put_section(out, section::HORIZON, |out| put_horizon(out, header, sites))?;
    }
    if !header.closed.is_empty() {
        put_section(out, section::CLOSED, |out| put_closed(out, header, sites))?;
    }
    if !header.omits.is_empty() {
        put_section(out, section::OMITS, |out| put_omits(out, header, sites))?;
    }
    if !header.coverage.is_empty() {
        put_section(out, section::COVERAGE, |out| put_seen(out, sites, &header.coverage))?;
    }
    if let Kind::Snapshot(token) = &header.kind {
        put_section(out, section::KIND, |out| {
            out.push(1);
            put_bytes(out, token);
            Ok(())
        })?;
    }
    Ok(())
}

fn put_section(
    out: &mut Vec<u8>,
    number: u64,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut bytes = Vec::new();
    fill(&mut bytes)?;
    put_varint(out, number);
    put_bytes(out, &bytes);
    Ok(())
}

fn put_horizon(out: &mut Vec<u8>, header: &Header, sites: &Sites) -> Result<()> {
    put_varint(out, header.horizon.len() as u64);
    for (site, version) in &header.horizon {
        sites.put_site(out, site)?;
        put_varint(out, *version);
    }
    Ok(())
}

fn put_closed(out: &mut Vec<u8>, header: &Header, sites: &Sites) -> Result<()> {
    put_varint(out, header.closed.len() as u64);
    for (site, closed) in &header.closed {
        sites.put_site(out, site)?;
        put_varint(out, closed.at);
        put_varint(out, closed.stamp);
        put_varint(out, closed.from - closed.at);
    }
    Ok(())
}

fn put_omits(out: &mut Vec<u8>, header: &Header, sites: &Sites) -> Result<()> {
    put_varint(out, header.omits.len() as u64);
    for omit in &header.omits {
        sites.put_site(out, &omit.site)?;
        put_varint(out, omit.lo);
        put_varint(out, omit.hi);
        put_text(out, &omit.what);
    }
    Ok(())
}

/// How many bytes a section takes that holds so many.
pub(super) fn section_bytes(number: u64, bytes: usize) -> usize {
    varint_bytes(number) + varint_bytes(bytes as u64) + bytes
}

/// What the sections said.
pub(super) struct Sections<'a> {
    pub(super) header: Header,
    pub(super) sites: Sites,
    pub(super) txns: &'a [u8],
}

/// Reads all sections; those of TRANSACTIONS are left as they are.
pub(super) fn read<'a>(r: &mut Reader<'a>) -> Result<Sections<'a>> {
    let header = Header { scope: String::new(), ..Header::default() };
    let mut out = Sections { header, sites: Sites::default(), txns: &[] };
    let mut before = 0;
    while !r.is_empty() {
        let number = r.varint()?;
        if number <= before {
            return Err(Error::rejected(format!("section {number} comes after {before}")));
        }
        if before == 0 && number != section::SENDER {
            return Err(Error::rejected("the section SENDER is missing"));
        }
        before = number;
        let bytes = r.len_bytes()?;
        one(&mut out, number, bytes)
            .map_err(|e| Error::rejected(format!("in section {number}: {}", e.text)))?;
    }
    if before == 0 {
        return Err(Error::rejected("the section SENDER is missing"));
    }
    Ok(out)
}

fn one<'a>(out: &mut Sections<'a>, number: u64, bytes: &'a [u8]) -> Result<()> {
    let mut r = Reader::new(bytes);
    let empty = match number {
        section::SENDER => {
            sender(&mut r, &mut out.header)?;
            false
        }
        section::SITES => {
            out.sites = Sites::read(&mut r)?;
            out.sites.is_empty()
        }
        section::TABLES => {
            out.header.tables = tables::read_all(&mut r)?;
            out.header.tables.is_empty()
        }
        section::VECTOR => {
            out.header.vector = read_seen(&mut r, &mut out.sites)?;
            out.header.vector.is_empty()
        }
        section::HORIZON => {
            out.header.horizon = out.sites.list(&mut r, 2, version)?.into_iter().collect();
            out.header.horizon.is_empty()
        }
        section::CLOSED => {
            out.header.closed = out.sites.list(&mut r, 4, closed)?.into_iter().collect();
            out.header.closed.is_empty()
        }
        section::OMITS => {
            out.header.omits = omits(&mut r, &mut out.sites)?;
            out.header.omits.is_empty()
        }
        section::COVERAGE => {
            out.header.coverage = read_seen(&mut r, &mut out.sites)?;
            out.header.coverage.is_empty()
        }
        section::KIND => {
            out.header.kind = kind(&mut r)?;
            out.header.kind == Kind::Delta
        }
        section::TRANSACTIONS => {
            out.txns = r.bytes(bytes.len())?;
            bytes.is_empty()
        }
        section::SIGNATURE => {
            out.header.signature = Some(r.bytes(bytes.len())?.to_vec());
            false
        }
        // What is even may be skipped; that is what even numbers are for.
        n if n % 2 == 0 => return Ok(()),
        _ => return Err(Error::rejected("it is not known, and may not be skipped")),
    };
    if empty {
        return Err(Error::rejected("it says nothing, and is left out then"));
    }
    at_end(&r)
}

fn sender(r: &mut Reader<'_>, header: &mut Header) -> Result<()> {
    header.sender = r.array16()?;
    header.epoch = number(r)?;
    header.scope = string(r)?;
    header.now = number(r)?;
    Ok(())
}

fn closed(r: &mut Reader<'_>) -> Result<Closed> {
    let (at, stamp, more) = (number(r)?, number(r)?, number(r)?);
    let closed = Closed { at, stamp, from: at.saturating_add(more) };
    check_closed(&closed).map(|()| closed)
}

fn omits(r: &mut Reader<'_>, sites: &mut Sites) -> Result<Vec<Omit>> {
    let n = r.count(4)?;
    let mut out = Vec::with_capacity(n);
    for _ in 0..n {
        let site = sites.site(r)?;
        let omit = Omit { site, lo: number(r)?, hi: number(r)?, what: string(r)? };
        check_omit(&omit)?;
        out.push(omit);
    }
    rising(&out, "the omitted versions")?;
    Ok(out)
}

fn kind(r: &mut Reader<'_>) -> Result<Kind> {
    Ok(if yes_no(r)? { Kind::Snapshot(r.len_bytes()?.to_vec()) } else { Kind::Delta })
}
