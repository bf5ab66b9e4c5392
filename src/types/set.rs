//! `set`: a JSON array whose order and repetitions say nothing. An UPDATE adds and takes away
//! elements; who adds one wins over who takes it away at the same time.
//!
//! Each site has a register for each element that it has added or taken away in this life of the
//! row, named by the site and the element: how often it has added it, and which adds of whom it
//! has taken away (`seen.rs`). An element is in the set where an add stands that nobody has taken
//! away: the observed-remove set (Shapiro et al., "A comprehensive study of Convergent and
//! Commutative Replicated Data Types", 2011, section 3.3.5) without a tombstone for each add.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::seen::{BASE, Seen, Together};
use super::{Host, Parts, Registers, Type, Writer, is_site, json, site_of};
use crate::words::affinity::Affinity;
use crate::words::error::Result;
use crate::words::planted::planted;
use crate::words::value::{Value, ValueRef};

/// An element of more bytes is refused.
const LONGEST: usize = 4096;

pub struct Set;

/// What stands between the site and the element in the name of a register.
const THEN: char = ':';

/// The elements of a value; None where it is no set, or one with an element that can name no
/// register. NULL is the empty one.
fn elements(value: ValueRef<'_>) -> Option<BTreeSet<String>> {
    gathered(value).filter(|all| all.iter().all(|e| e.len() <= LONGEST))
}

fn gathered(value: ValueRef<'_>) -> Option<BTreeSet<String>> {
    match value {
        ValueRef::Null => Some(BTreeSet::new()),
        ValueRef::Text(text) => {
            json::array(std::str::from_utf8(text).ok()?).map(|all| all.into_iter().collect())
        }
        _ => None,
    }
}

/// The array, its elements in order: null, false, true, numbers, texts, arrays, objects.
fn array(elements: BTreeSet<String>) -> Value {
    let class = |e: &str| match e.as_bytes().first() {
        Some(b'n') => 0,
        Some(b'f') => 1,
        Some(b't') => 2,
        Some(b'"') => 4,
        Some(b'[') => 5,
        Some(b'{') => 6,
        _ => 3,
    };
    let number = |e: &str| if class(e) == 3 { e.parse().unwrap_or(0.0) } else { 0.0f64 };
    let mut all: Vec<String> = elements.into_iter().collect();
    all.sort_by(|a, b| {
        let numbers = || number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal);
        class(a).cmp(&class(b)).then_with(numbers).then_with(|| a.cmp(b))
    });
    Value::text(format!("[{}]", all.join(",")))
}

/// What is known of each element.
struct Known {
    base: BTreeSet<String>,
    registers: BTreeMap<String, Together>,
}

impl Known {
    fn of(parts: &Parts) -> Known {
        let mut registers = BTreeMap::<String, Together>::new();
        for (register, value) in &parts.list {
            if let Some((site, element)) = register.split_once(THEN)
                && let Some(site) = site_of(site)
            {
                registers.entry(element.to_owned()).or_default().add(site, value);
            }
        }
        Known { base: elements(parts.base.as_ref()).unwrap_or_default(), registers }
    }

    fn holds(&self, element: &str) -> bool {
        let in_base = self.base.contains(element);
        match self.registers.get(element) {
            None => in_base,
            Some(all) => in_base && all.replaced(&BASE) == 0 || all.standing().next().is_some(),
        }
    }

    fn elements(&self) -> BTreeSet<String> {
        let all = self.base.iter().chain(self.registers.keys());
        all.filter(|e| self.holds(e)).cloned().collect()
    }

    fn write(&self, by: &Writer<'_>, element: &str, add: bool) -> Option<(String, Value)> {
        let site = site_of(by.site)?;
        let nothing = Together::default();
        let all = self.registers.get(element).unwrap_or(&nothing);
        let mut own = all.of.get(&site).cloned().unwrap_or_default();
        if add {
            own.writes = own.writes.max(all.replaced(&site)) + 1;
        } else {
            own.replaced = all.all();
            if !planted!("set-keeps-its-base") {
                own.replaced.insert(BASE, 1);
            }
        }
        Some((format!("{}{THEN}{element}", by.site), own.to_value()))
    }
}

impl Type for Set {
    fn name(&self) -> String {
        "set".to_owned()
    }

    fn fits(&self, affinity: Affinity) -> std::result::Result<(), &'static str> {
        match affinity {
            Affinity::Integer | Affinity::Real => Err("a column of texts, which hold JSON arrays"),
            _ => Ok(()),
        }
    }

    fn refuses(&self, _: ValueRef<'_>, new: ValueRef<'_>) -> Option<String> {
        if elements(new).is_some() {
            return None;
        }
        Some(match gathered(new) {
            None => "is a set, and takes the text of a JSON array".to_owned(),
            Some(_) => format!("is a set, whose elements have at most {LONGEST} bytes"),
        })
    }

    fn shows_what_is_written(&self) -> bool {
        true
    }

    fn updated(
        &self,
        by: &Writer<'_>,
        parts: &Parts,
        old: ValueRef<'_>,
        new: ValueRef<'_>,
    ) -> Result<Registers> {
        let (old, new) = (elements(old).unwrap_or_default(), elements(new).unwrap_or_default());
        let known = Known::of(parts);
        let changed = old.symmetric_difference(&new);
        let needed = changed.filter(|e| known.holds(e) != new.contains(*e));
        Ok(needed.filter_map(|e| known.write(by, e, new.contains(e))).collect())
    }

    fn inserted(&self, by: &Writer<'_>, parts: &Parts, value: ValueRef<'_>) -> Result<Registers> {
        match parts.list.is_empty() {
            true => Ok(Registers::new()),
            false => self.updated(by, parts, array(Known::of(parts).elements()).as_ref(), value),
        }
    }

    fn exactly(&self, parts: &Parts, value: ValueRef<'_>) -> Value {
        match elements(value).filter(|_| parts.list.is_empty()) {
            Some(all) if !matches!(value, ValueRef::Null) => array(all),
            Some(_) => Value::Null,
            None if parts.list.is_empty() => value.to_owned(),
            None => parts.base.clone(),
        }
    }

    fn shown(&self, _: &dyn Host, parts: &Parts) -> Result<Value> {
        Ok(match parts.list.is_empty() {
            true => parts.base.clone(),
            false => array(Known::of(parts).elements()),
        })
    }

    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool {
        register.split_once(THEN).is_some_and(|(site, element)| {
            let canonical = json::canonical(element).is_some_and(|form| form == element);
            let seen = Seen::decode(value).is_ok_and(|seen| seen.value == Value::Null);
            is_site(site) && element.len() <= LONGEST && canonical && seen
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::testing::{NOBODY, writer};

    const A: &str = "0123456789abcdef0123456789abcdef";
    const B: &str = "ffffffffffffffffffffffffffffffff";

    fn write(to: &mut Parts, site: &str, new: &str) {
        let (old, new) = (Set.shown(&NOBODY, to).unwrap(), Value::text(new));
        to.list.extend(Set.updated(&writer(site), to, old.as_ref(), new.as_ref()).unwrap());
    }

    fn merged(a: &Parts, b: &Parts) -> Value {
        let mut all = a.clone();
        all.list.extend(b.list.clone());
        for (register, value) in &all.list {
            assert!(Set.accepts(register, value.as_ref()), "{register} {value:?}");
        }
        Set.shown(&NOBODY, &all).unwrap()
    }

    #[test]
    fn adds_and_removes_of_different_elements_both_hold_and_an_add_wins_over_a_remove() {
        let start = Parts { base: Value::text("[\"x\",\"y\"]"), ..Parts::default() };
        let (mut a, mut b) = (start.clone(), start);
        write(&mut a, A, "[\"x\",\"a\"]");
        write(&mut b, B, "[\"y\", \"b\", \"x\", \"b\"]");
        assert_eq!(merged(&a, &b), Value::text("[\"a\",\"b\",\"x\"]"));
        // One takes away what it has added itself; the other adds it without knowing that.
        write(&mut a, A, "[]");
        write(&mut b, B, "[\"y\",\"b\",\"x\",\"a\"]");
        assert_eq!(merged(&a, &b), Value::text("[\"a\",\"b\"]"));
    }

    #[test]
    fn what_was_taken_away_can_be_added_again_by_anybody() {
        let mut a = Parts { base: Value::text("[1]"), ..Parts::default() };
        write(&mut a, A, "[]");
        assert_eq!(Set.shown(&NOBODY, &a).unwrap(), Value::text("[]"));
        for (site, now) in [(B, "[1]"), (A, "[]"), (A, "[1]"), (B, "[]"), (B, "[1]")] {
            write(&mut a, site, now);
            assert_eq!(Set.shown(&NOBODY, &a).unwrap(), Value::text(now));
        }
        assert_eq!(a.list.len(), 2);
    }

    #[test]
    fn there_is_one_order() {
        let all = "[{\"b\":1,\"a\":2}, [2], \"b\", \"a\", 10, 9.5, -1, true, false, null, 10]";
        let parts = Parts::default();
        let form = "[null,false,true,-1,9.5,10,\"a\",\"b\",[2],{\"a\":2,\"b\":1}]";
        assert_eq!(Set.exactly(&parts, ValueRef::Text(all.as_bytes())), Value::text(form));
    }
}
