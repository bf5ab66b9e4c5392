//! The promise: it does not matter in which order changes arrive, how often, or through whom.
//!
//! The merge law and the algebra of version sets are pure, so this is not sampled but proved, in a
//! world small enough to visit all of: 3 sites, 4 stamps, 4 values, 4 row lives. Every state that
//! the events of the world can lead to meets every pair of events in both orders. As any order of
//! any number of events is reached by swapping neighbours, that is every order there is.
//!
//! The story: cr-sqlite's merge was not commutative where a row was deleted and inserted again
//! (threat F6), and compared values where clocks were equal, so that -0.0 and 0.0 never met (D8).
//!
//! Beside the small world, random cases from a large one: `CRSQL_CASES=1000000` for that many a
//! law, as `make laws` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use crsql::words::clock;
use crsql::words::dot::SiteId;
use crsql::words::merge::{self, Rule, Write};
use crsql::words::ranges::RangeSet;
use crsql::words::value::Value;
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::HashSet;

/// Values that SQL's `=` mixes up, beside two that nobody does.
fn value(n: u8) -> Value {
    match n {
        0 => Value::Real(0.0),
        1 => Value::Real(-0.0),
        2 => Value::Int(0),
        _ => Value::Text(vec![n]),
    }
}

/// A cell: who wrote it, and what.
type Cell = Option<(Write, u8)>;

/// A row as the law sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    cl: u64,
    life: Option<(SiteId, u64, u64)>,
    cells: Vec<Cell>,
}

/// What one transaction says of the row: a life, and cells of it.
#[derive(Clone, Debug)]
struct Event {
    cl: u64,
    at: Write,
    cells: Vec<(usize, u8)>,
}

impl Row {
    fn new(columns: usize) -> Row {
        Row { cells: vec![None; columns], ..Row::default() }
    }

    /// The event meets the row; whether anything won. The order of questions is that of
    /// `rooms/merger.rs`; every answer is the law's.
    fn meet(&mut self, e: &Event) -> bool {
        match merge::life(self.cl, e.cl) {
            Ordering::Less => return false,
            Ordering::Equal => {}
            Ordering::Greater => {
                *self = Row { cl: e.cl, life: None, cells: vec![None; self.cells.len()] };
            }
        }
        let dot = (e.at.site, e.at.version, e.at.seq);
        let mut won = false;
        if e.cl > 1 && merge::sentinel(self.life, dot).wins {
            self.life = Some(dot);
            won = true;
        }
        for (n, (col, v)) in e.cells.iter().enumerate() {
            let write = Write { seq: e.at.seq + 1 + n as u64, ..e.at };
            let standing = self.cells[*col];
            let verdict = merge::cell(standing.as_ref().map(|c| &c.0), &write, || {
                let there = value(standing.unwrap().1);
                merge::values(value(*v).as_ref(), there.as_ref())
            });
            assert_eq!(standing.is_none(), verdict.rule == Rule::Unwritten);
            if verdict.wins {
                self.cells[*col] = Some((write, *v));
                won = true;
            }
        }
        won
    }

    fn after(&self, e: &Event) -> Row {
        let mut row = self.clone();
        row.meet(e);
        row
    }

    /// What only ever grows: the life, then every cell by the order of writes.
    fn is_below(&self, later: &Row) -> bool {
        let rank = |c: &Cell| {
            c.map(|(w, v)| (w.stamp, w.site, w.version, w.seq, value(v).as_ref().class(), v))
        };
        let cells = || self.cells.iter().zip(&later.cells);
        self.cl < later.cl
            || self.cl == later.cl
                && self.life <= later.life
                && cells().all(|(a, b)| rank(a) <= rank(b))
    }
}

fn site(n: u8) -> SiteId {
    let mut id = [0; 16];
    id[0] = n;
    id
}

/// Every event of a world. Two events of one site and stamp with different values are a fork, which
/// replicas must agree about as well.
fn events(sites: u8, stamps: u64, values: u8, lives: u64, columns: &[&[usize]]) -> Vec<Event> {
    let mut all = Vec::new();
    for cl in 1..=lives {
        for (s, stamp) in (0..sites).flat_map(|s| (1..=stamps).map(move |t| (s, t))) {
            let at = Write { stamp, site: site(s), version: stamp, seq: 0 };
            if cl % 2 == 0 {
                all.push(Event { cl, at, cells: Vec::new() });
                continue;
            }
            for v in 0..values {
                for set in columns {
                    let cells = set.iter().map(|c| (*c, v)).collect();
                    all.push(Event { cl, at, cells });
                }
            }
        }
    }
    all
}

/// Every state that events can lead to.
fn states(columns: usize, events: &[Event]) -> Vec<Row> {
    let mut known = HashSet::from([format!("{:?}", Row::new(columns))]);
    let mut all = vec![Row::new(columns)];
    let mut next = 0;
    while next < all.len() {
        for e in events {
            let row = all[next].after(e);
            if known.insert(format!("{row:?}")) {
                all.push(row);
            }
        }
        next += 1;
    }
    all
}

fn prove(columns: usize, events: &[Event]) {
    let all = states(columns, events);
    for row in &all {
        for a in events {
            let mut once = row.clone();
            let won = once.meet(a);
            assert!(row.is_below(&once), "{row:?}\nsinks by {a:?}");
            assert_eq!(won || row.cl < a.cl, once != *row, "{row:?}\nis told wrong of {a:?}");
            assert!(!once.clone().meet(a), "{row:?}\ntakes {a:?} twice");
            for b in events {
                let (ab, ba) = (once.after(b), row.after(b).after(a));
                assert!(ab == ba, "{row:?}\nthen {a:?}\nand {b:?}:\n{ab:?}\n{ba:?}");
            }
        }
    }
    assert!(all.len() > events.len(), "the world is larger than its events");
}

#[test]
fn f6_every_order_of_events_gives_one_row() {
    prove(1, &events(3, 4, 4, 4, &[&[0]]));
}

#[test]
fn f6_every_order_of_events_gives_one_row_of_two_columns() {
    prove(2, &events(2, 2, 2, 3, &[&[0], &[1], &[0, 1], &[]]));
}

#[test]
fn d8_the_order_of_writes_is_total() {
    let all: Vec<(Write, u8)> = (0..3u8)
        .flat_map(|s| (1..=4).flat_map(move |t| (0..4).map(move |v| (s, t, v))))
        .map(|(s, t, v)| (Write { stamp: t, site: site(s), version: t, seq: 0 }, v))
        .collect();
    let beats = |a: &(Write, u8), b: &(Write, u8)| {
        merge::cell(Some(&b.0), &a.0, || merge::values(value(a.1).as_ref(), value(b.1).as_ref()))
    };
    for a in &all {
        assert_eq!(beats(a, a), merge::Verdict { wins: false, rule: Rule::Same });
        for b in all.iter().filter(|b| *b != a) {
            assert!(beats(a, b).wins ^ beats(b, a).wins, "{a:?} and {b:?}");
            for c in all.iter().filter(|c| beats(a, b).wins && beats(b, c).wins) {
                assert!(beats(a, c).wins, "{a:?}, {b:?}, {c:?}");
            }
        }
    }
}

/// The set of versions 1..=6 whose bits are set.
fn of_bits(bits: u64) -> RangeSet {
    (1..=6).filter(|v| bits >> v & 1 == 1).map(|v| (v, v)).collect()
}

fn bits(set: &RangeSet) -> u64 {
    set.iter().flat_map(|(lo, hi)| lo..=hi).fold(0, |bits, v| bits | 1 << v)
}

#[test]
fn g1_sets_of_versions_are_an_algebra() {
    let all: Vec<RangeSet> = (0..128).step_by(2).map(of_bits).collect();
    for a in &all {
        assert_eq!(&of_bits(bits(a)), a, "equal sets are equal values");
        assert_eq!((&a.union(a), &a.intersection(a)), (a, a));
        for (lo, hi) in (1..=6).flat_map(|lo| (0..=6).map(move |hi| (lo, hi))) {
            let range = (lo..=hi).fold(0, |bits, v: u64| bits | 1 << v);
            let (mut more, mut less) = (a.clone(), a.clone());
            more.insert(lo, hi);
            less.remove(lo, hi);
            assert_eq!((bits(&more), bits(&less)), (bits(a) | range, bits(a) & !range));
        }
        for b in &all {
            let union = a.union(b);
            assert_eq!(bits(&union), bits(a) | bits(b));
            assert_eq!(bits(&a.intersection(b)), bits(a) & bits(b));
            assert_eq!(bits(&a.difference(b)), bits(a) & !bits(b));
            assert_eq!(union, b.union(a));
            assert_eq!(a.is_superset(b), bits(a) | bits(b) == bits(a));
            assert!(union.is_superset(a) && union.is_superset(b), "a union only grows");
            for c in &all {
                assert_eq!(union.union(c), a.union(&b.union(c)));
            }
        }
    }
}

fn cases() -> u32 {
    std::env::var("CRSQL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000)
}

fn any_event() -> impl Strategy<Value = Event> {
    let stamp = prop_oneof![1..6u64, 1..=clock::MAX, Just(clock::MAX)];
    let write = (0..4u8, stamp, 1..4u64, 0..3u64).prop_map(|(s, stamp, version, seq)| Write {
        stamp,
        site: site(s),
        version,
        seq,
    });
    let cells = prop::collection::btree_map(0..6usize, 0..5u8, 0..6);
    (1..6u64, write, cells).prop_map(|(cl, at, cells)| {
        let cells = if cl % 2 == 1 { cells.into_iter().collect() } else { Vec::new() };
        Event { cl, at, cells }
    })
}

fn any_set() -> impl Strategy<Value = RangeSet> {
    let ends = prop_oneof![1..60u64, 1..=u64::MAX - 100, (u64::MAX - 90)..=(u64::MAX - 80)];
    prop::collection::vec((ends, 0..20u64), 0..12)
        .prop_map(|all| all.iter().map(|(lo, n)| (*lo, lo + n)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn f6_any_order_and_any_repetition(
        (first, second) in prop::collection::vec(any_event(), 0..9).prop_flat_map(|all| {
            let twice: Vec<Event> = all.iter().chain(&all).cloned().collect();
            (Just(all), Just(twice).prop_shuffle())
        })
    ) {
        let end = |all: &[Event]| all.iter().fold(Row::new(6), |row, e| row.after(e));
        prop_assert_eq!(end(&first), end(&second));
    }

    #[test]
    fn f6_a_row_only_grows(all in prop::collection::vec(any_event(), 0..9)) {
        let mut row = Row::new(6);
        for e in &all {
            let later = row.after(e);
            prop_assert!(row.is_below(&later));
            prop_assert_eq!(&later.after(e), &later);
            row = later;
        }
    }

    #[test]
    fn g1_union_is_commutative_associative_idempotent(
        a in any_set(), b in any_set(), c in any_set()
    ) {
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.union(&b).union(&c), a.union(&b.union(&c)));
        prop_assert_eq!(a.union(&a), a.clone());
        prop_assert!(a.union(&b).is_superset(&a));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
        let one_by_one = b.iter().fold(a.clone(), |mut set, (lo, hi)| {
            set.insert(lo, hi);
            set
        });
        prop_assert_eq!(one_by_one, a.union(&b));
        let taken = b.iter().fold(a.clone(), |mut set, (lo, hi)| {
            set.remove(lo, hi);
            set
        });
        prop_assert_eq!(taken, a.difference(&b));
    }

    #[test]
    fn d7_a_stamp_is_later_than_all_before(last in 0..clock::MAX, now in any::<u64>()) {
        let stamp = clock::next(last, now.min(clock::MAX)).unwrap();
        prop_assert!(stamp > last && stamp <= clock::MAX);
        prop_assert!(stamp == last + 1 || stamp == now);
    }
}
