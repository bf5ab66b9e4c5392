//! What a transaction's site had newly seen since its transaction before: by site, ranges of
//! versions. It tells concurrent writes from later ones.
//!
//! ```text
//! per site, ascending: varint site ordinal, varint number of ranges,
//!                      per range: varint lo - end of the one before, varint hi - lo
//! ```

use std::collections::BTreeMap;

use super::dot::MAX_COUNT;
use super::error::{Error, Result};
use super::ranges::RangeSet;
use super::wire::{Reader, put_varint};

/// Ranges of versions by the ordinal of their site.
pub type Deps = BTreeMap<u32, RangeSet>;

/// The bytes, or None where nothing was seen.
pub fn encode(deps: &Deps) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for (site, set) in deps.iter().filter(|(_, set)| !set.is_empty()) {
        put_varint(&mut out, u64::from(*site));
        put_varint(&mut out, set.len_ranges() as u64);
        let mut end = 0;
        for (lo, hi) in set.iter() {
            put_varint(&mut out, lo - end);
            put_varint(&mut out, hi - lo);
            end = hi;
        }
    }
    if out.is_empty() { None } else { Some(out) }
}

/// Reads what `encode` wrote. Anything else is CORRUPT.
pub fn decode(bytes: &[u8]) -> Result<Deps> {
    read(bytes)
        .map_err(|e| Error::corrupt(format!("a list of what was seen is damaged: {}", e.text)))
}

fn read(bytes: &[u8]) -> Result<Deps> {
    let mut r = Reader::new(bytes);
    let mut out = Deps::new();
    while !r.is_empty() {
        let site = u32::try_from(r.varint()?).map_err(|_| Error::rejected("a site too large"))?;
        if out.last_key_value().is_some_and(|(last, _)| *last >= site) {
            return Err(Error::rejected("sites are out of order"));
        }
        let mut set = RangeSet::new();
        let mut end = 0u64;
        for _ in 0..r.count(2)? {
            let gap = r.varint()?;
            if gap < 1 + u64::from(end > 0) {
                return Err(Error::rejected("ranges touch"));
            }
            let lo = end.checked_add(gap).filter(|lo| *lo <= MAX_COUNT);
            let lo = lo.ok_or_else(|| Error::rejected("a version out of bounds"))?;
            let hi = lo.checked_add(r.varint()?).filter(|hi| *hi <= MAX_COUNT);
            let hi = hi.ok_or_else(|| Error::rejected("a version out of bounds"))?;
            set.insert(lo, hi);
            end = hi;
        }
        if set.is_empty() {
            return Err(Error::rejected("a site without versions"));
        }
        out.insert(site, set);
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn deps_come_back_and_damage_is_corrupt() {
        let mut deps = Deps::new();
        deps.entry(3).or_default().insert(1, 7);
        deps.entry(3).or_default().insert(9, 9);
        deps.entry(70_000).or_default().insert(5, 1 << 40);
        let bytes = encode(&deps).unwrap();
        assert_eq!(decode(&bytes).unwrap(), deps);
        assert_eq!(encode(&Deps::new()), None);
        assert_eq!(decode(&bytes[..bytes.len() - 1]).unwrap_err().code, 11);
    }

    /// The fuzzer found sites without versions and ranges of no distance read as if they had been
    /// written: the record was then not the one that was damaged, and no check could say so.
    #[test]
    fn h5_other_forms_of_deps_are_corrupt() {
        let whole = [3, 1, 1, 0, 5, 2, 1, 0, 2, 0];
        assert_eq!(encode(&decode(&whole).unwrap()).unwrap(), whole);
        let cases: [(&str, &[u8]); 6] = [
            ("no versions", &[3, 0]),
            ("a version 0", &[3, 1, 0, 0]),
            ("ranges that touch", &[3, 2, 1, 0, 1, 0]),
            ("a site twice", &[3, 1, 1, 0, 3, 1, 5, 0]),
            ("falling sites", &[3, 1, 1, 0, 2, 1, 1, 0]),
            ("an end beyond 2^64", &[3, 1, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ];
        for (what, bytes) in cases {
            assert_eq!(decode(bytes).unwrap_err().code, 11, "{what}");
        }
    }
}
