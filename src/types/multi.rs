//! `multi`: concurrent values are kept. The column holds the one that the last write would leave;
//! `crsql_values()` lists all that no later write has seen.
//!
//! The cell is written as ever, so its winner is that of any other column. Beside it each site has
//! a register with the last value that it wrote and the writes that it replaced (`seen.rs`): a
//! multi-value register.

use super::seen::{Seen, Together};
use super::{Host, Parts, Registers, Type, Writer, is_site, site_of};
use crate::words::affinity::Affinity;
use crate::words::dot::SiteId;
use crate::words::error::Result;
use crate::words::value::{Value, ValueRef};

/// `multi`
pub struct Multi;

/// The values that no later write has seen, and who wrote them.
pub fn values(parts: &Parts) -> Vec<(SiteId, Value)> {
    let all = Together::of_column(parts);
    all.standing().map(|(site, seen)| (*site, seen.value.clone())).collect()
}

impl Type for Multi {
    fn name(&self) -> String {
        "multi".to_owned()
    }

    fn fits(&self, _: Affinity) -> std::result::Result<(), &'static str> {
        Ok(())
    }

    fn refuses(&self, _: ValueRef<'_>, _: ValueRef<'_>) -> Option<String> {
        None
    }

    fn changes(&self, _: ValueRef<'_>) -> bool {
        false
    }

    fn shows_what_is_written(&self) -> bool {
        true
    }

    fn updated(
        &self,
        by: &Writer<'_>,
        parts: &Parts,
        _: ValueRef<'_>,
        new: ValueRef<'_>,
    ) -> Result<Registers> {
        self.inserted(by, parts, new)
    }

    fn inserted(&self, by: &Writer<'_>, parts: &Parts, value: ValueRef<'_>) -> Result<Registers> {
        let Some(site) = site_of(by.site) else { return Ok(Registers::new()) };
        let replaced = Together::of_column(parts).all();
        let writes = replaced.get(&site).copied().unwrap_or(0) + 1;
        let seen = Seen { writes, replaced, value: value.to_owned() };
        Ok(vec![(by.site.to_owned(), seen.to_value())])
    }

    fn shown(&self, _: &dyn Host, parts: &Parts) -> Result<Value> {
        Ok(parts.base.clone())
    }

    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool {
        is_site(register) && Seen::decode(value).is_ok_and(|seen| seen.writes > 0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::testing::writer;

    const A: &str = "0123456789abcdef0123456789abcdef";
    const B: &str = "ffffffffffffffffffffffffffffffff";

    fn write(to: &mut Parts, site: &str, new: i64) {
        to.list.extend(Multi.inserted(&writer(site), to, ValueRef::Int(new)).unwrap());
    }

    fn listed(parts: &Parts) -> Vec<Value> {
        values(parts).into_iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn what_was_written_at_the_same_time_stands_until_somebody_writes_who_saw_it() {
        let (mut a, mut b) = (Parts::default(), Parts::default());
        write(&mut a, A, 1);
        write(&mut a, A, 2);
        write(&mut b, B, 3);
        b.list.extend(a.list.clone());
        assert_eq!(listed(&b), [Value::Int(2), Value::Int(3)]);
        write(&mut a, A, 4);
        write(&mut b, B, 5);
        b.list.extend(a.list.clone());
        assert_eq!(listed(&b), [Value::Int(4), Value::Int(5)]);
        write(&mut b, A, 6);
        assert_eq!(listed(&b), [Value::Int(6)]);
    }
}
