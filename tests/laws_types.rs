//! The laws of every merging type, in Rust alone: sites write and meet in random orders, and in
//! the end it does not matter who met whom, how often and in which order. Right after a write a
//! column shows what was written, where its type promises that; a bounded one never falls below its
//! floor. `CRSQL_CASES=100000` for that many cases a law, as `make laws` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use crsql::types::{Host, Merge, Parts, Type, Writer};
use crsql::words::error::{Error, Result};
use crsql::words::value::{Value, ValueRef};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SITES: [&str; 3] = [
    "00000000000000000000000000000001",
    "0123456789abcdef0123456789abcdef",
    "ffffffffffffffffffffffffffffffff",
];

/// A connection with one function: the greater of two values.
struct Greater;

impl Host for Greater {
    fn call(&self, function: &str, a: ValueRef<'_>, b: ValueRef<'_>) -> Result<Value> {
        match function {
            "greater" => Ok(if a.total_cmp(b).is_ge() { a } else { b }.to_owned()),
            _ => Err(Error::refused(format!("no such function: {function}"))),
        }
    }
}

/// A replica's column: registers with their stamps. The base is the same everywhere.
#[derive(Clone, Debug, Default, PartialEq)]
struct Replica {
    base: Value,
    registers: BTreeMap<String, (u64, Value)>,
}

impl Replica {
    fn parts(&self) -> Parts {
        let list = self.registers.iter().map(|(name, (_, value))| (name.clone(), value.clone()));
        Parts { base: self.base.clone(), list: list.collect() }
    }

    fn shown(&self, kind: &dyn Type) -> Value {
        kind.shown(&Greater, &self.parts()).unwrap()
    }

    /// The one merge law: of two writes of one register the later stands.
    fn meet(&mut self, other: &Replica) {
        for (name, (stamp, value)) in &other.registers {
            let there = self.registers.entry(name.clone()).or_insert((0, Value::Null));
            if *stamp > there.0 {
                *there = (*stamp, value.clone());
            }
        }
    }

    /// Gives whether the write was taken.
    fn write(&mut self, kind: &dyn Type, site: &str, value: &Value, stamp: u64) -> bool {
        let (parts, old) = (self.parts(), self.shown(kind));
        if kind.refuses(old.as_ref(), value.as_ref()).is_some() {
            return false;
        }
        if let Some(bounded) = kind.escrow()
            && bounded.forbids(site, Some((&parts, Some(SITES[0]))), value.as_ref()).is_some()
        {
            return false;
        }
        let by = Writer { site, owns_base: site == SITES[0], host: &Greater, stamp };
        let wrote = match kind.changes(old.as_ref()) {
            true => kind.updated(&by, &parts, old.as_ref(), value.as_ref()),
            false => kind.inserted(&by, &parts, value.as_ref()),
        };
        for (register, value) in wrote.unwrap() {
            assert!(kind.accepts(&register, value.as_ref()), "{register} {value:?}");
            self.registers.insert(register, (stamp, value));
        }
        true
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, u8),
    Meet(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0..3usize, any::<u8>()).prop_map(|(site, n)| Step::Write(site, n));
    let meet = (0..3usize, 0..3usize).prop_map(|(a, b)| Step::Meet(a, b));
    proptest::collection::vec(prop_oneof![2 => write, 1 => meet], 0..24)
}

/// A value for a column of this type; small worlds, so that writes meet.
fn value(name: &str, n: u8) -> Value {
    let bits = |names: [&str; 4]| -> Vec<String> {
        let some = names.iter().enumerate().filter(|(i, _)| n >> i & 1 == 1);
        some.map(|(_, name)| (*name).to_owned()).collect()
    };
    match name {
        "set" => Value::text(format!("[{}]", bits(["1", "2.5", "\"a\"", "[1]"]).join(","))),
        "map" => {
            let deep =
                ["\"a\":1", "\"b\":{\"c\":1}", "\"b\":{\"d\":{}}", "\"e\":{\"f\":{\"g\":2}}"];
            let shallow = ["\"a\":{\"x\":1}", "\"c\":null", "\"d\":[1]", "\"e\":7"];
            let mut all = BTreeMap::new();
            for member in bits(if n & 16 == 0 { deep } else { shallow }) {
                all.insert(member.split(':').next().unwrap().to_owned(), member.clone());
            }
            Value::text(format!("{{{}}}", all.into_values().collect::<Vec<_>>().join(",")))
        }
        "text" => Value::text(bits(["one ", "two ", "é🐘", "three"]).concat()),
        _ => Value::Int(i64::from(n)),
    }
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("CRSQL_CASES").map_or(300, |n| n.parse().expect("a number of cases"));
    ProptestConfig::with_cases(cases.min(20_000))
}

fn law(name: &str, steps: &[Step], order: usize) {
    let merge = Merge::named(name).unwrap();
    let kind = merge.by_intent().unwrap();
    let base = value(name, 13);
    let mut all = vec![Replica { base, registers: BTreeMap::new() }; 3];
    for (n, step) in steps.iter().enumerate() {
        match step {
            Step::Write(site, x) => {
                let written = value(name, *x);
                let stamp = n as u64 + 2;
                let taken = all[*site].write(kind, SITES[*site], &written, stamp);
                let shown = all[*site].shown(kind);
                if taken && kind.shows_what_is_written() && name != "multi" {
                    assert_eq!(shown, written, "{name} after {:?}", &steps[..=n]);
                }
            }
            Step::Meet(a, b) => {
                let from = all[*b].clone();
                all[*a].meet(&from);
            }
        }
        if name == "bounded" {
            let holds = |r: &Replica| matches!(r.shown(kind), Value::Int(n) if n >= 0);
            assert!(all.iter().all(holds), "{:?}", &steps[..=n]);
        }
    }
    let orders = [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]];
    let met = |order: &[usize]| {
        let mut one = all[order[0]].clone();
        order.iter().chain(order).for_each(|i| one.meet(&all[*i]));
        (one.shown(kind), one)
    };
    assert_eq!(met(&orders[0]), met(&orders[order % 4]), "{name}: {steps:?}");
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn it_does_not_matter_who_meets_whom(steps in steps(), order in 0..4usize) {
        for name in ["counter", "gcounter", "max", "min", "set", "map", "multi", "bounded", "text",
                     "custom:greater"] {
            law(name, &steps, order);
        }
    }
}
