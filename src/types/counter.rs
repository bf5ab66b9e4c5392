//! `counter`: an UPDATE adds NEW - OLD, and what is added at the same time elsewhere adds up.
//! `gcounter` is one that only grows.
//!
//! Each site has a register with the sum of what it has added in this life of the row: the state
//! of a PN-counter (Shapiro et al., "A comprehensive study of Convergent and Commutative
//! Replicated Data Types", 2011, section 3.1), with one signed sum in place of two. The column
//! shows the base and all sums. Exactly a value is shown by a base from which the sums that are
//! known are taken away: what nobody knew of is added to it.
//!
//! Sums are exact up to 127 bits: one beyond 64 is a text of its digits. What is shown stops at the
//! ends of INTEGER. As soon as anything is REAL all is, added in the order of registers.

use super::{Host, Parts, Registers, Type, Writer, is_site};
use crate::words::affinity::Affinity;
use crate::words::error::Result;
use crate::words::value::{Value, ValueRef};

pub struct Counter {
    /// It is a `gcounter`.
    pub grows: bool,
}

/// A number, exact where it is whole.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    /// The number that a value is; None where it is none. NULL counts as nothing.
    fn of(value: ValueRef<'_>) -> Option<Number> {
        match value {
            ValueRef::Null => Some(Number::Whole(0)),
            ValueRef::Int(i) => Some(Number::Whole(i128::from(i))),
            ValueRef::Real(r) => Some(Number::Real(r)),
            ValueRef::Text(_) | ValueRef::Blob(_) => None,
        }
    }

    /// The same of a register, where a text is a sum that is too large for an INTEGER.
    fn of_register(value: ValueRef<'_>) -> Option<Number> {
        let ValueRef::Text(digits) = value else { return Number::of(value) };
        let n: i128 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let canonical = n.to_string().as_bytes() == digits && i64::try_from(n).is_err();
        (canonical && n.unsigned_abs() < 1 << 126).then_some(Number::Whole(n))
    }

    fn real(self) -> f64 {
        match self {
            Number::Whole(n) => n as f64,
            Number::Real(r) => r,
        }
    }

    fn plus(self, other: Number) -> Number {
        match (self, other) {
            (Number::Whole(a), Number::Whole(b)) => Number::Whole(a.saturating_add(b)),
            (a, b) => Number::Real(a.real() + b.real()),
        }
    }

    fn minus(self, other: Number) -> Number {
        match (self, other) {
            (Number::Whole(a), Number::Whole(b)) => Number::Whole(a.saturating_sub(b)),
            (a, b) => Number::Real(a.real() - b.real()),
        }
    }

    fn is_zero(self) -> bool {
        matches!(self, Number::Whole(0)) || matches!(self, Number::Real(r) if r == 0.0)
    }

    /// As a register holds it.
    fn to_register(self) -> Value {
        match self {
            Number::Whole(n) => match i64::try_from(n) {
                Ok(i) => Value::Int(i),
                Err(_) => Value::text(n.to_string()),
            },
            // What is sent is a number.
            Number::Real(r) => Value::Real(r.clamp(f64::MIN, f64::MAX)),
        }
    }

    /// As a column shows it.
    fn to_value(self) -> Value {
        match self {
            Number::Whole(n) => {
                Value::Int(n.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
            }
            Number::Real(r) => Value::Real(r),
        }
    }
}

/// The sum of all registers.
fn sum(parts: &Parts) -> Number {
    let numbers = parts.list.values().filter_map(|v| Number::of_register(v.as_ref()));
    numbers.fold(Number::Whole(0), Number::plus)
}

impl Type for Counter {
    fn name(&self) -> String {
        if self.grows { "gcounter" } else { "counter" }.to_owned()
    }

    fn fits(&self, affinity: Affinity) -> std::result::Result<(), &'static str> {
        match affinity {
            Affinity::Text => Err("a column of numbers, and stores them as text"),
            _ => Ok(()),
        }
    }

    fn refuses(&self, old: ValueRef<'_>, new: ValueRef<'_>) -> Option<String> {
        let after = match (new, Number::of(new)) {
            (ValueRef::Null, _) | (_, None) => {
                return Some(format!("counts, and cannot become {}", new.class_name()));
            }
            (_, Some(after)) => after,
        };
        let before = Number::of(old).unwrap_or(Number::Whole(0));
        if !after.real().is_finite() {
            return Some("counts, and cannot become infinite".to_string());
        }
        let beyond = matches!(after, Number::Real(r) if r.abs() >= 9.2e18);
        if matches!(before, Number::Whole(_)) && beyond {
            return Some("counts in integers of 64 bits, and this goes beyond them".to_string());
        }
        if self.grows && after.minus(before).real() < 0.0 {
            return Some("only grows; crsql_counter_set() writes a value that is less".to_string());
        }
        None
    }

    fn changes(&self, old: ValueRef<'_>) -> bool {
        Number::of(old).is_none_or(|n| n.real().is_finite())
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
        let number = |v| Number::of(v).unwrap_or(Number::Whole(0));
        let added = number(new).minus(number(old));
        if added.is_zero() {
            return Ok(Vec::new());
        }
        let before = parts.list.get(by.site).and_then(|v| Number::of_register(v.as_ref()));
        let total = before.unwrap_or(Number::Whole(0)).plus(added);
        Ok(vec![(by.site.to_string(), total.to_register())])
    }

    fn exactly(&self, parts: &Parts, value: ValueRef<'_>) -> Value {
        match Number::of(value) {
            Some(n) if !parts.list.is_empty() && n.real().is_finite() => {
                let base = n.minus(sum(parts));
                // REAL rounds; what is missing is added once more.
                base.plus(n.minus(base.plus(sum(parts)))).to_value()
            }
            _ => value.to_owned(),
        }
    }

    fn shown(&self, _: &dyn Host, parts: &Parts) -> Result<Value> {
        if parts.list.is_empty() {
            return Ok(parts.base.clone());
        }
        let base = Number::of_register(parts.base.as_ref()).unwrap_or(Number::Whole(0));
        Ok(base.plus(sum(parts)).to_value())
    }

    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool {
        let finite = |n: Number| n.real().is_finite();
        is_site(register)
            && !matches!(value, ValueRef::Null)
            && Number::of_register(value).is_some_and(finite)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::testing::{NOBODY, writer};

    const COUNTER: Counter = Counter { grows: false };
    const A: &str = "0123456789abcdef0123456789abcdef";
    const B: &str = "ffffffffffffffffffffffffffffffff";

    fn parts(base: Value, list: &[(&str, Value)]) -> Parts {
        Parts { base, list: list.iter().map(|(r, v)| (r.to_string(), v.clone())).collect() }
    }

    fn shown(parts: &Parts) -> Value {
        COUNTER.shown(&NOBODY, parts).unwrap()
    }

    fn write(to: &mut Parts, site: &str, new: Value) {
        let old = shown(to);
        to.list.extend(COUNTER.updated(&writer(site), to, old.as_ref(), new.as_ref()).unwrap());
    }

    #[test]
    fn what_two_sites_add_adds_up_and_exactly_takes_away_what_it_knew() {
        let (mut a, mut b) = (parts(Value::Int(40), &[]), parts(Value::Int(40), &[]));
        write(&mut a, A, Value::Int(37));
        write(&mut b, B, Value::Int(45));
        b.base = COUNTER.exactly(&b, ValueRef::Int(100));
        assert_eq!(shown(&b), Value::Int(100));
        a.list.extend(b.list.clone());
        a.base = b.base.clone();
        assert_eq!(shown(&a), Value::Int(97), "100, and the 3 that nobody had heard of");
    }

    #[test]
    fn sums_are_exact_beyond_64_bits_and_what_is_shown_stops_there() {
        let mut a = parts(Value::Int(0), &[(A, Value::Int(i64::MAX))]);
        a.list.insert(B.to_string(), Value::Int(i64::MAX));
        assert_eq!(shown(&a), Value::Int(i64::MAX));
        write(&mut a, B, Value::Int(i64::MIN));
        let sum = a.list.get(B).unwrap();
        assert!(COUNTER.accepts(B, sum.as_ref()), "{sum:?}");
        assert!(!COUNTER.accepts(B, ValueRef::Text(b"1")), "an INTEGER has another form");
        assert!(!COUNTER.accepts(B, ValueRef::Text(&[b'9'; 60])));
        assert!(!COUNTER.accepts("x", ValueRef::Int(1)) && !COUNTER.accepts(A, ValueRef::Null));
    }
}
