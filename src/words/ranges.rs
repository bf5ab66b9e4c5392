//! Sets of versions. What a database has seen of a site is rarely just "everything up to n": a
//! transfer that stopped, or a peer that left something out, leaves holes (threat G1). So it is
//! always a set of ranges, and never a single maximum.
//!
//! A [`RangeSet`] keeps its ranges sorted, disjoint and merged: two of them never touch, so that
//! equal sets are equal values. Ranges are inclusive at both ends. Every operation on two sets
//! walks both once.

/// A set of versions, kept as sorted, disjoint, merged, inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RangeSet {
    ranges: Vec<(u64, u64)>,
}

impl RangeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Adds every version from `lo` to `hi`, both included; nothing when `lo > hi`.
    pub fn insert(&mut self, lo: u64, hi: u64) {
        if lo > hi {
            return;
        }
        // The usual case: the next versions of a site, at the end.
        if self.ranges.last().is_none_or(|last| last.0 <= lo) {
            return self.push(lo, hi);
        }
        // Ranges that touch the new one, by lying next to it too, melt into it.
        let from = self.ranges.partition_point(|r| r.1.saturating_add(1) < lo);
        let to = self.ranges.partition_point(|r| r.0 <= hi.saturating_add(1)).max(from);
        let touched = self.ranges.get(from..to).unwrap_or_default();
        let lo = touched.first().map_or(lo, |r| r.0.min(lo));
        let hi = touched.last().map_or(hi, |r| r.1.max(hi));
        self.ranges.splice(from..to, [(lo, hi)]);
    }

    /// Takes out every version from `lo` to `hi`, both included; nothing when `lo > hi`.
    pub fn remove(&mut self, lo: u64, hi: u64) {
        if lo > hi {
            return;
        }
        let from = self.ranges.partition_point(|r| r.1 < lo);
        let to = self.ranges.partition_point(|r| r.0 <= hi).max(from);
        let cut = self.ranges.get(from..to).unwrap_or_default();
        let left = cut.first().filter(|r| r.0 < lo).map(|r| (r.0, lo.saturating_sub(1)));
        let right = cut.last().filter(|r| r.1 > hi).map(|r| (hi.saturating_add(1), r.1));
        self.ranges.splice(from..to, left.into_iter().chain(right));
    }

    /// True when `v` is in the set.
    pub fn contains(&self, v: u64) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < v);
        self.ranges.get(at).is_some_and(|r| r.0 <= v)
    }

    /// What is in either set.
    pub fn union(&self, other: &RangeSet) -> RangeSet {
        let mut out = RangeSet::new();
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x <= y => a.next(),
                (_, Some(_)) => b.next(),
                (_, None) => a.next(),
            };
            match next {
                Some((lo, hi)) => out.push(lo, hi),
                None => return out,
            }
        }
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &RangeSet) -> RangeSet {
        let mut out = RangeSet::new();
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let (lo, hi) = (x.0.max(y.0), x.1.min(y.1));
            if lo <= hi {
                out.push(lo, hi);
            }
            // The one that ends first cannot meet anything else.
            if x.1 <= y.1 {
                a.next()
            } else {
                b.next()
            };
        }
        out
    }

    /// What is in this set and not in the other.
    pub fn difference(&self, other: &RangeSet) -> RangeSet {
        let mut out = RangeSet::new();
        let mut holes = other.iter().peekable();
        for (mut lo, hi) in self.iter() {
            while holes.next_if(|h| h.1 < lo).is_some() {}
            // A hole may reach into the next range too, so it is only looked at here.
            let mut whole = true;
            while let Some(&hole) = holes.peek().filter(|h| h.0 <= hi) {
                if hole.0 > lo {
                    out.push(lo, hole.0.saturating_sub(1));
                }
                if hole.1 >= hi {
                    whole = false;
                    break;
                }
                lo = hole.1.saturating_add(1);
                holes.next();
            }
            if whole {
                out.push(lo, hi);
            }
        }
        out
    }

    /// True when everything in the other set is in this one.
    pub fn is_superset(&self, other: &RangeSet) -> bool {
        let mut mine = self.iter().peekable();
        other.iter().all(|(lo, hi)| {
            while mine.next_if(|r| r.1 < lo).is_some() {}
            mine.peek().is_some_and(|r| r.0 <= lo && hi <= r.1)
        })
    }

    /// The highest version in the set.
    pub fn max(&self) -> Option<u64> {
        self.ranges.last().map(|r| r.1)
    }

    /// The ranges in rising order, `(lo, hi)`, both ends included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> + ExactSizeIterator + '_ {
        self.ranges.iter().copied()
    }

    /// True when no version is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many ranges the set takes; each is one more place where something is missing.
    pub fn len_ranges(&self) -> usize {
        self.ranges.len()
    }

    /// Adds a range that begins no earlier than the last one does.
    fn push(&mut self, lo: u64, hi: u64) {
        match self.ranges.last_mut() {
            Some(last) if lo <= last.1.saturating_add(1) => last.1 = last.1.max(hi),
            _ => self.ranges.push((lo, hi)),
        }
    }
}

impl FromIterator<(u64, u64)> for RangeSet {
    /// Gathers ranges in any order; those with `lo > hi` add nothing.
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(ranges: I) -> Self {
        let mut sorted: Vec<(u64, u64)> = ranges.into_iter().filter(|r| r.0 <= r.1).collect();
        sorted.sort_unstable();
        let mut out = RangeSet::new();
        for (lo, hi) in sorted {
            out.push(lo, hi);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn model(set: &RangeSet) -> BTreeSet<u64> {
        set.iter().flat_map(|(lo, hi)| lo..=hi).collect()
    }

    fn holds_its_form(set: &RangeSet) -> bool {
        let ranges: Vec<_> = set.iter().collect();
        ranges.iter().all(|r| r.0 <= r.1) && ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0)
    }

    fn steps() -> impl Strategy<Value = Vec<(bool, u64, u64)>> {
        prop::collection::vec((prop::bool::weighted(0.7), 1u64..60, 0u64..9), 0..20)
    }

    fn build(steps: &[(bool, u64, u64)]) -> RangeSet {
        let mut set = RangeSet::new();
        for &(add, lo, n) in steps {
            if add { set.insert(lo, lo + n) } else { set.remove(lo, lo + n) }
        }
        set
    }

    #[test]
    fn g1_holes_are_kept_and_closed() {
        let mut seen = RangeSet::new();
        seen.insert(1, 3);
        seen.insert(7, 9);
        assert_eq!(seen.iter().collect::<Vec<_>>(), [(1, 3), (7, 9)]);
        assert_eq!(seen.max(), Some(9));
        assert!(!seen.contains(5));
        seen.insert(4, 6);
        assert_eq!(seen.iter().collect::<Vec<_>>(), [(1, 9)]);
        seen.remove(5, 5);
        assert_eq!(seen.len_ranges(), 2);
    }

    #[test]
    fn the_ends_of_the_numbers_are_ordinary_versions() {
        let mut set = RangeSet::new();
        set.insert(u64::MAX, u64::MAX);
        set.insert(0, 0);
        set.insert(5, 4);
        assert_eq!(set.len_ranges(), 2);
        assert!(set.contains(u64::MAX) && set.contains(0) && !set.contains(1));
        set.insert(1, u64::MAX - 1);
        assert_eq!(set.iter().collect::<Vec<_>>(), [(0, u64::MAX)]);
        let mut ends = set.clone();
        ends.remove(1, u64::MAX - 1);
        assert_eq!(set.difference(&ends).iter().collect::<Vec<_>>(), [(1, u64::MAX - 1)]);
        set.remove(0, u64::MAX);
        assert!(set.is_empty() && set.max().is_none());
    }

    proptest! {
        #[test]
        fn a_set_is_what_was_put_in(steps in steps()) {
            let mut expected = BTreeSet::new();
            for &(add, lo, n) in &steps {
                for v in lo..=lo + n {
                    if add { expected.insert(v) } else { expected.remove(&v) };
                }
            }
            let set = build(&steps);
            prop_assert!(holds_its_form(&set));
            prop_assert_eq!(model(&set), expected.clone());
            prop_assert_eq!(set.max(), expected.last().copied());
            prop_assert_eq!(set.is_empty(), expected.is_empty());
            for v in 0..80 {
                prop_assert_eq!(set.contains(v), expected.contains(&v));
            }
        }

        #[test]
        fn operations_are_those_of_sets(a in steps(), b in steps()) {
            let (a, b) = (build(&a), build(&b));
            let (ma, mb) = (model(&a), model(&b));
            let union = a.union(&b);
            let intersection = a.intersection(&b);
            let difference = a.difference(&b);
            for set in [&union, &intersection, &difference] {
                prop_assert!(holds_its_form(set));
            }
            prop_assert_eq!(model(&union), ma.union(&mb).copied().collect());
            prop_assert_eq!(model(&intersection), ma.intersection(&mb).copied().collect());
            prop_assert_eq!(model(&difference), ma.difference(&mb).copied().collect());
            prop_assert_eq!(a.is_superset(&b), ma.is_superset(&mb));
            prop_assert!(union.is_superset(&a) && a.is_superset(&intersection));
            prop_assert_eq!(difference.union(&intersection), a);
        }

        #[test]
        fn gathering_does_not_mind_the_order(
            ranges in prop::collection::vec((1u64..60, 0u64..70), 0..20),
        ) {
            let mut one_by_one = RangeSet::new();
            ranges.iter().for_each(|r| one_by_one.insert(r.0, r.1));
            let gathered: RangeSet = ranges.iter().copied().collect();
            prop_assert_eq!(gathered, one_by_one);
        }
    }
}
