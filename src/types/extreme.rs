//! `max`, `min`: the greatest, the least value that was ever written in this life of the row.
//!
//! Each site has a register with the greatest (least) that it wrote; the column shows the greatest
//! (least) of all. An INSERT writes one too: the base of another site may win over its own, and
//! what it inserted was written all the same.
//!
//! Numbers are ordered as numbers and come before texts, texts before blobs; NULL is no value.

use std::cmp::Ordering;

use super::{Parts, Type, is_site};
use crate::words::affinity::Affinity;
use crate::words::value::{Value, ValueRef};

/// `max`
pub static MAX: Extreme = Extreme(Ordering::Greater);
/// `min`
pub static MIN: Extreme = Extreme(Ordering::Less);

pub struct Extreme(Ordering);

/// The order of values as SQLite sorts them; of equal numbers the INTEGER comes first.
fn order(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    match (a, b) {
        (ValueRef::Int(a), ValueRef::Real(b)) => whole_and_real(a, b).then(Ordering::Less),
        (ValueRef::Real(a), ValueRef::Int(b)) => {
            whole_and_real(b, a).reverse().then(Ordering::Greater)
        }
        (ValueRef::Real(a), ValueRef::Real(b)) => a.total_cmp(&b),
        (a, b) => a.total_cmp(b),
    }
}

/// How an integer compares with a REAL, exactly.
fn whole_and_real(a: i64, b: f64) -> Ordering {
    /// 2^63
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if b >= BEYOND {
        return Ordering::Less;
    }
    if b < -BEYOND || b.is_nan() {
        return Ordering::Greater;
    }
    let rest = b - b.trunc();
    a.cmp(&(b as i64)).then(0.0f64.partial_cmp(&rest).unwrap_or(Ordering::Equal))
}

impl Extreme {
    /// Whether a value comes before another. NULL comes after all.
    fn beats(&self, a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
        match (a, b) {
            (ValueRef::Null, _) => false,
            (_, ValueRef::Null) => true,
            (a, b) => order(a, b) == self.0,
        }
    }

    fn best(&self, parts: &Parts) -> Value {
        let mut best = &parts.base;
        for value in parts.list.values() {
            if self.beats(value.as_ref(), best.as_ref()) {
                best = value;
            }
        }
        best.clone()
    }

    fn write(&self, parts: &Parts, site: &str, value: ValueRef<'_>) -> Vec<(String, Value)> {
        let standing = parts.list.get(site).map_or(ValueRef::Null, Value::as_ref);
        match self.beats(value, standing) {
            true => vec![(site.to_string(), value.to_owned())],
            false => Vec::new(),
        }
    }
}

impl Type for Extreme {
    fn name(&self) -> &'static str {
        if self.0 == Ordering::Greater { "max" } else { "min" }
    }

    fn fits(&self, _: Affinity) -> Result<(), &'static str> {
        Ok(())
    }

    fn refuses(&self, _: ValueRef<'_>, _: ValueRef<'_>) -> Option<String> {
        None
    }

    fn updated(
        &self,
        parts: &Parts,
        site: &str,
        old: ValueRef<'_>,
        new: ValueRef<'_>,
    ) -> Vec<(String, Value)> {
        if self.beats(new, old) { self.write(parts, site, new) } else { Vec::new() }
    }

    fn inserted(&self, parts: &Parts, site: &str, value: ValueRef<'_>) -> Vec<(String, Value)> {
        self.write(parts, site, value)
    }

    fn shown(&self, parts: &Parts) -> Value {
        self.best(parts)
    }

    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool {
        let nan = matches!(value, ValueRef::Real(r) if r.is_nan());
        is_site(register) && !matches!(value, ValueRef::Null) && !nan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_as_numbers_whatever_their_class() {
        let rising = [
            ValueRef::Real(f64::NEG_INFINITY),
            ValueRef::Int(i64::MIN),
            ValueRef::Int(-1),
            ValueRef::Real(-0.5),
            ValueRef::Int(0),
            ValueRef::Real(0.5),
            ValueRef::Int(1),
            ValueRef::Real(1.0),
            ValueRef::Int(i64::MAX),
            ValueRef::Real(9_223_372_036_854_775_808.0),
            ValueRef::Text(b""),
            ValueRef::Text(b"a"),
            ValueRef::Blob(b""),
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(order(*a, *b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn the_greatest_stays_whatever_is_written_after_it() {
        let mut parts = Parts { base: Value::Int(5), ..Parts::default() };
        let lower = MAX.updated(&parts, "a", ValueRef::Int(5), ValueRef::Int(3));
        assert!(lower.is_empty());
        parts.list.extend(MAX.updated(&parts, "a", ValueRef::Int(5), ValueRef::Real(7.5)));
        assert_eq!(MAX.shown(&parts), Value::Real(7.5));
        assert_eq!(MIN.shown(&parts), Value::Int(5));
    }
}
