//! `max`, `min`: the greatest, the least value that was ever written in this life of the row.
//!
//! Each site has a register with the greatest (least) that it wrote; the column shows the greatest
//! (least) of all. An INSERT writes one too: the base of another site may win over its own, and
//! what it inserted was written all the same.
//!
//! Numbers are ordered as numbers and come before texts, texts before blobs; NULL is no value.

use std::cmp::Ordering;

use super::{Host, Parts, Registers, Type, Writer, is_site};
use crate::words::affinity::Affinity;
use crate::words::error::Result;
use crate::words::value::{Value, ValueRef};

/// `max`
pub const MAX: Extreme = Extreme(Ordering::Greater);
/// `min`
pub const MIN: Extreme = Extreme(Ordering::Less);

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

    fn write(&self, by: &Writer<'_>, parts: &Parts, value: ValueRef<'_>) -> Registers {
        let standing = parts.list.get(by.site).map_or(ValueRef::Null, Value::as_ref);
        match self.beats(value, standing) {
            true => vec![(by.site.to_string(), value.to_owned())],
            false => Vec::new(),
        }
    }
}

impl Type for Extreme {
    fn name(&self) -> String {
        if self.0 == Ordering::Greater { "max" } else { "min" }.to_owned()
    }

    fn fits(&self, _: Affinity) -> std::result::Result<(), &'static str> {
        Ok(())
    }

    fn refuses(&self, _: ValueRef<'_>, _: ValueRef<'_>) -> Option<String> {
        None
    }

    fn updated(
        &self,
        by: &Writer<'_>,
        parts: &Parts,
        old: ValueRef<'_>,
        new: ValueRef<'_>,
    ) -> Result<Registers> {
        Ok(if self.beats(new, old) { self.write(by, parts, new) } else { Vec::new() })
    }

    fn inserted(&self, by: &Writer<'_>, parts: &Parts, value: ValueRef<'_>) -> Result<Registers> {
        Ok(self.write(by, parts, value))
    }

    fn shown(&self, _: &dyn Host, parts: &Parts) -> Result<Value> {
        Ok(self.best(parts))
    }

    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool {
        let nan = matches!(value, ValueRef::Real(r) if r.is_nan());
        is_site(register) && !matches!(value, ValueRef::Null) && !nan
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::testing::{NOBODY, writer};

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
        let write = |parts: &Parts, new| MAX.updated(&writer("a"), parts, ValueRef::Int(5), new);
        assert!(write(&parts, ValueRef::Int(3)).unwrap().is_empty());
        parts.list.extend(write(&parts, ValueRef::Real(7.5)).unwrap());
        assert_eq!(MAX.shown(&NOBODY, &parts).unwrap(), Value::Real(7.5));
        assert_eq!(MIN.shown(&NOBODY, &parts).unwrap(), Value::Int(5));
    }
}
