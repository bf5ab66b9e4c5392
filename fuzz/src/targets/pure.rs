//! More of what reads strangers' bytes in Rust alone: SQL text, sets of versions, clocks, keys
//! between keys. `keys` feeds them.

use crsql::words::affinity::Affinity;
use crsql::words::ranges::RangeSet;
use crsql::words::{clock, fract, sqltext, uuid};

/// Keys between two keys, and affinities.
pub fn between(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let middle = (0..=text.len() / 2).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (a, b) = text.split_at(middle);
    let _ = Affinity::of(&text, bytes.len().is_multiple_of(2));
    for (a, b) in [(Some(a), Some(b)), (Some(b), Some(a)), (Some(a), None), (None, Some(b))] {
        let Ok(between) = fract::key_between(a, b) else { continue };
        let above = a.is_none_or(|a| a < between.as_str());
        if !above || b.is_some_and(|b| between.as_str() >= b) {
            return Err(format!("{between:?} does not lie between {a:?} and {b:?}"));
        }
    }
    Ok(())
}

/// Tokens lie in their text, one behind the other; what is made of them lies in it too.
pub fn sql(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let tokens = sqltext::tokens(&text);
    let mut end = 0;
    for t in &tokens {
        if t.at < end || t.text.is_empty() || text.get(t.at..t.at + t.text.len()) != Some(t.text) {
            return Err(format!("{t:?} does not stand there"));
        }
        end = t.at + t.text.len();
        let _ = t.plain();
    }
    if sqltext::normal(&text).len() != tokens.len() {
        return Err("a text in its normal form has other tokens".into());
    }
    let mut inside = 0;
    for statement in sqltext::statements(&text) {
        let _ = (sqltext::first_name(statement), sqltext::only_calls(statement, &["crsql_as_crr"]));
        inside += sqltext::tokens(statement).len();
        for definition in sqltext::definitions(statement) {
            let _ = sqltext::first_name(definition);
            if !statement.contains(definition) {
                return Err(format!("{definition:?} does not stand in its statement"));
            }
        }
    }
    if inside > tokens.len() {
        return Err("the statements have more tokens than their text".into());
    }
    Ok(())
}

/// The bits from `lo` to `hi`; none where `lo` is greater.
fn mask(lo: u64, hi: u64) -> u128 {
    if lo > hi { 0 } else { (u128::MAX >> (127 - (hi - lo))) << lo }
}

/// Sets of versions are what a plain set of bits is.
pub fn ranges(bytes: &[u8]) -> Result<(), String> {
    let mut sets = [RangeSet::new(), RangeSet::new()];
    let mut bits = [0u128; 2];
    for step in bytes.chunks_exact(2).take(200) {
        let (lo, hi) = (u64::from(step[0] & 127), u64::from(step[1] & 127));
        let (which, removes) = (usize::from(step[0] >> 7), step[1] & 128 != 0);
        let mask = mask(lo, hi);
        if removes {
            sets[which].remove(lo, hi);
            bits[which] &= !mask;
        } else {
            sets[which].insert(lo, hi);
            bits[which] |= mask;
        }
    }
    let ([a, b], [x, y]) = (&sets, bits);
    let all = [
        ("a set", a.clone(), x),
        ("union", a.union(b), x | y),
        ("intersection", a.intersection(b), x & y),
        ("difference", a.difference(b), x & !y),
    ];
    for (what, set, bits) in all {
        let said = set.iter().fold(0, |m, (lo, hi)| m | mask(lo, hi));
        let edges = set.iter().flat_map(|(lo, hi)| [lo.saturating_sub(1), lo, hi, hi + 1]);
        let holds = |v: u64| v < 128 && bits >> v & 1 == 1;
        let same = said == bits && edges.into_iter().all(|v| set.contains(v) == holds(v));
        let apart = set.iter().zip(set.iter().skip(1)).all(|(p, q)| p.1 + 1 < q.0);
        if !same || !apart {
            return Err(format!("{what}: {set:?} is not {bits:x}"));
        }
    }
    if a.is_superset(b) != (y & !x == 0) || a.max() != x.checked_ilog2().map(u64::from) {
        return Err(format!("{a:?} and {b:?} compare wrong"));
    }
    Ok(())
}

/// Stamps rise, whatever the clock says.
pub fn stamps(bytes: &[u8]) -> Result<(), String> {
    let mut words = bytes.chunks(8).map(|c| {
        let mut all = [0; 8];
        all[..c.len()].copy_from_slice(c);
        u64::from_le_bytes(all)
    });
    let mut last = words.next().unwrap_or(0);
    for word in words.take(20) {
        let now = clock::from_unix_ms(word.cast_signed());
        let _ = (clock::to_utc_text(word), clock::ahead_ms(word, last));
        let id = uuid::uuid7(word, [bytes.len() as u8; 10]);
        if id.len() != 36 {
            return Err(format!("{id} is no UUID"));
        }
        for now in [now, word] {
            let Ok(next) = clock::next(last, now) else { continue };
            if next <= last || next > clock::MAX {
                return Err(format!("{next} follows {last} at {now}"));
            }
            last = next;
        }
    }
    Ok(())
}
