//! The dictionary of sites, and ranges of versions per site.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{counted, number, plus, rising};
use super::types::Seen;
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result};
use crate::words::ranges::RangeSet;
use crate::words::vector::Span;
use crate::words::wire::{Reader, put_varint};

/// The dictionary of sites: rising, and which of them are used.
#[derive(Clone, Debug, Default)]
pub(super) struct Sites {
    ids: Vec<SiteId>,
    used: Vec<bool>,
}

impl Sites {
    pub(super) fn of(ids: BTreeSet<SiteId>) -> Self {
        Self { used: vec![true; ids.len()], ids: ids.into_iter().collect() }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self> {
        let n = r.count(16)?;
        let ids = (0..n).map(|_| r.array16()).collect::<Result<Vec<_>>>()?;
        rising(&ids, "the sites")?;
        Ok(Self { used: vec![false; n], ids })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.ids.len() as u64);
        out.extend_from_slice(self.ids.as_flattened());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Writes a site as its index.
    pub(super) fn put_site(&self, out: &mut Vec<u8>, site: &SiteId) -> Result<()> {
        let at = self.ids.binary_search(site);
        put_varint(out, at.map_err(|_| Error::refused("a site is not in the dictionary"))? as u64);
        Ok(())
    }

    /// Reads a site by its index, and notes that it is used.
    pub(super) fn site(&mut self, r: &mut Reader<'_>) -> Result<SiteId> {
        let at = usize::try_from(r.varint()?).unwrap_or(usize::MAX);
        let slot = self.ids.get(at).zip(self.used.get_mut(at));
        let (site, used) = slot.ok_or_else(|| {
            Error::rejected(format!("site {at} is named, and there are {}", self.ids.len()))
        })?;
        *used = true;
        Ok(*site)
    }

    pub(super) fn all_used(&self) -> Result<()> {
        if self.used.iter().all(|used| *used) {
            return Ok(());
        }
        Err(Error::rejected("a site stands in the dictionary and nowhere else"))
    }

    /// A list whose entries begin with a site; these rise.
    pub(super) fn list<T>(
        &mut self,
        r: &mut Reader<'_>,
        min_bytes_each: usize,
        entry: impl Fn(&mut Reader<'_>) -> Result<T>,
    ) -> Result<Vec<(SiteId, T)>> {
        let n = r.count(min_bytes_each)?;
        let mut out: Vec<(SiteId, T)> = Vec::with_capacity(n);
        for _ in 0..n {
            let site = self.site(r)?;
            if out.last().is_some_and(|last| last.0 >= site) {
                return Err(Error::rejected("sites are out of order, or one comes twice"));
            }
            out.push((site, entry(r)?));
        }
        Ok(out)
    }
}

/// The spans of one site as they are written: checked, and those that touch joined.
fn joined(spans: &[Span]) -> Result<Vec<Span>> {
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        let before = out.last().map_or(0, |last| last.hi);
        if span.lo <= before || span.hi < span.lo {
            return Err(Error::refused(format!(
                "the range {} to {} cannot follow version {before}",
                span.lo, span.hi
            )));
        }
        counted(span.hi).and(counted(span.stamp))?;
        match out.last_mut() {
            Some(last) if last.hi + 1 == span.lo => (last.hi, last.stamp) = (span.hi, span.stamp),
            _ => out.push(*span),
        }
    }
    Ok(out)
}

/// What was seen, in the form in which it is written: ranges that touch are joined, and sites
/// without a range left out.
pub(super) fn normal(seen: &Seen) -> Result<Seen> {
    let some = seen.iter().filter(|(_, spans)| !spans.is_empty());
    some.map(|(site, spans)| Ok((*site, joined(spans)?))).collect()
}

pub(super) fn put_seen(out: &mut Vec<u8>, sites: &Sites, seen: &Seen) -> Result<()> {
    put_varint(out, seen.len() as u64);
    for (site, spans) in seen {
        sites.put_site(out, site)?;
        put_varint(out, spans.len() as u64);
        let mut before = 0;
        for span in spans {
            put_varint(out, span.lo - before);
            put_varint(out, span.hi - span.lo);
            put_varint(out, span.stamp);
            before = span.hi;
        }
    }
    Ok(())
}

pub(super) fn read_seen(r: &mut Reader<'_>, sites: &mut Sites) -> Result<Seen> {
    let list = sites.list(r, 5, |r| {
        let n = count_of_ranges(r, 3)?;
        let mut spans: Vec<Span> = Vec::with_capacity(n);
        for _ in 0..n {
            let (lo, hi) = range(r, spans.last().map(|span| span.hi))?;
            spans.push(Span { lo, hi, stamp: number(r)? });
        }
        Ok(spans)
    })?;
    Ok(list.into_iter().collect::<BTreeMap<_, _>>())
}

pub(super) fn put_ranges(out: &mut Vec<u8>, ranges: &RangeSet) -> Result<()> {
    put_varint(out, ranges.len_ranges() as u64);
    let mut before = 0;
    for (lo, hi) in ranges.iter() {
        if lo == 0 {
            return Err(Error::refused("a version is 0; versions begin with 1"));
        }
        put_varint(out, lo - before);
        put_varint(out, counted(hi)? - lo);
        before = hi;
    }
    Ok(())
}

pub(super) fn read_ranges(r: &mut Reader<'_>) -> Result<RangeSet> {
    let mut out = RangeSet::new();
    for _ in 0..count_of_ranges(r, 2)? {
        let (lo, hi) = range(r, out.max())?;
        out.insert(lo, hi);
    }
    Ok(out)
}

fn count_of_ranges(r: &mut Reader<'_>, min_bytes_each: usize) -> Result<usize> {
    match r.count(min_bytes_each)? {
        0 => Err(Error::rejected("a site is listed with no range of versions")),
        n => Ok(n),
    }
}

/// A range, and how far it is from the one before.
fn range(r: &mut Reader<'_>, before: Option<u64>) -> Result<(u64, u64)> {
    let gap = r.varint()?;
    let gap_min = if before.is_some() { 2 } else { 1 };
    if gap < gap_min {
        return Err(Error::rejected("two ranges of versions touch, or one begins with 0"));
    }
    let lo = plus(before.unwrap_or(0), gap)?;
    Ok((lo, plus(lo, r.varint()?)?))
}
