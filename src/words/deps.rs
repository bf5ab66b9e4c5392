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
        let mut set = RangeSet::new();
        let mut end = 0u64;
        for _ in 0..r.count(2)? {
            let lo = end.checked_add(r.varint()?).filter(|lo| *lo <= MAX_COUNT && *lo > 0);
            let lo = lo.ok_or_else(|| Error::rejected("a version out of bounds"))?;
            let hi = lo.checked_add(r.varint()?).filter(|hi| *hi <= MAX_COUNT);
            let hi = hi.ok_or_else(|| Error::rejected("a version out of bounds"))?;
            set.insert(lo, hi);
            end = hi;
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
}
