//! `bounded`: an integer that adds up like a counter and never falls below its floor, on any
//! replica, at any time. Each site holds rights and spends only its own: the bounded counter
//! (Balegas et al., "Extending Eventually Consistent Cloud Databases for Enforcing Numeric
//! Invariants", 2015, section 4).
//!
//! What is above the floor was brought in by somebody, with an INSERT or with an UPDATE upwards,
//! and is theirs to spend or to hand over. The registers, each written by one site only:
//!
//! | register             | holds                                                  |
//! |----------------------|--------------------------------------------------------|
//! | `<site>!<floor>`     | what its INSERT brought in above the floor             |
//! | `<site>`             | what it has added since, less what it has spent        |
//! | `<site>><to site>`   | what it has handed over to another                     |
//!
//! The column shows the floor and all that was brought in and added. A base from before the column
//! was bounded counts until whoever wrote it first spends from it: then it is theirs, brought in.

use super::{Host, Parts, Registers, Type, Writer, is_site};
use crate::words::affinity::Affinity;
use crate::words::error::Result;
use crate::words::value::{Value, ValueRef};
use std::collections::BTreeMap;

/// `bounded`, with its floor.
pub struct Bounded {
    floor: i64,
}

/// What is told of a register's name.
enum Name<'a> {
    Brought(&'a str),
    Added(&'a str),
    Given(&'a str, &'a str),
}

fn whole(value: ValueRef<'_>) -> i128 {
    if let ValueRef::Int(i) = value { i128::from(i) } else { 0 }
}

fn clamped(n: i128) -> i64 {
    n.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

impl Bounded {
    /// The type with this floor, 0 where none is named.
    pub fn named(floor: Option<&str>) -> Option<Bounded> {
        let Some(text) = floor else { return Some(Bounded { floor: 0 }) };
        let floor: i64 = text.parse().ok()?;
        (floor.to_string() == text).then_some(Bounded { floor })
    }

    fn name_of<'a>(&self, register: &'a str) -> Option<Name<'a>> {
        let name = match register.split_once(['!', '>']) {
            None => Name::Added(register),
            Some((site, floor)) if register.contains('!') => {
                (floor == self.floor.to_string()).then_some(Name::Brought(site))?
            }
            Some((site, to)) => Name::Given(site, to),
        };
        let sites: &[&str] = match &name {
            Name::Brought(site) | Name::Added(site) => &[site],
            Name::Given(site, to) => &[site, to],
        };
        sites.iter().all(|site| is_site(site)).then_some(name)
    }

    /// Everything above the floor, and whether anybody brought it in.
    fn above(&self, parts: &Parts) -> i128 {
        let (mut sum, mut brought) = (0i128, false);
        for (register, value) in &parts.list {
            match self.name_of(register) {
                Some(Name::Brought(_)) => brought = true,
                Some(Name::Added(_)) => {}
                Some(Name::Given(..)) | None => continue,
            }
            sum += whole(value.as_ref());
        }
        match brought {
            true => sum,
            false => sum + whole(parts.base.as_ref()) - i128::from(self.floor),
        }
    }

    fn is_brought(&self, parts: &Parts) -> bool {
        parts.list.keys().any(|r| matches!(self.name_of(r), Some(Name::Brought(_))))
    }

    /// What each site may still spend, as far as it is known here.
    pub fn rights(&self, parts: &Parts, owner: Option<&str>) -> BTreeMap<String, i64> {
        let mut all = BTreeMap::<String, i128>::new();
        for (register, value) in &parts.list {
            let n = whole(value.as_ref());
            let mut add = |site: &str, n: i128| *all.entry(site.to_owned()).or_default() += n;
            match self.name_of(register) {
                Some(Name::Brought(site) | Name::Added(site)) => add(site, n),
                Some(Name::Given(site, to)) => {
                    add(site, -n);
                    add(to, n);
                }
                None => {}
            }
        }
        if let Some(owner) = owner.filter(|_| !self.is_brought(parts)) {
            let base = whole(parts.base.as_ref()) - i128::from(self.floor);
            *all.entry(owner.to_owned()).or_default() += base.max(0);
        }
        all.into_iter().map(|(site, n)| (site, clamped(n))).collect()
    }

    /// Why a site cannot leave the column at `new`; None where it can. `parts` is what stood before
    /// its transaction, None where the row was not there.
    pub fn forbids(
        &self,
        site: &str,
        parts: Option<(&Parts, Option<&str>)>,
        new: ValueRef<'_>,
    ) -> Option<String> {
        let new = whole(new);
        if new < i128::from(self.floor) {
            return Some(format!("is bounded and never falls below {}", self.floor));
        }
        // What was brought in is kept as a number of its own.
        if i64::try_from(new - i128::from(self.floor)).is_err() {
            let most = i64::MAX;
            return Some(format!("is bounded, and holds at most {most} above {}", self.floor));
        }
        let (parts, owner) = parts?;
        let stands = i128::from(self.floor) + self.above(parts);
        let rights = self.rights(parts, owner);
        let own = rights.get(site).copied().unwrap_or(0);
        let spends = stands - new;
        if spends <= 0 || spends <= i128::from(own) {
            return None;
        }
        let others = rights.iter().filter(|(of, n)| *of != site && **n > 0);
        let others: Vec<String> = others.map(|(of, n)| format!("site {of} holds {n}")).collect();
        Some(format!(
            "is bounded: this site may take {own} from it, not {spends}; {}; crsql_rights_grant() \
             hands rights over",
            if others.is_empty() { "nobody else holds any".to_owned() } else { others.join(", ") }
        ))
    }

    /// The register that hands `n` over, from one site to another; the rest of a sentence where
    /// that cannot be.
    pub fn grant(
        &self,
        parts: &Parts,
        (owner, from): (Option<&str>, &str),
        to: &str,
        n: i64,
    ) -> std::result::Result<Registers, String> {
        let own = self.rights(parts, owner).get(from).copied().unwrap_or(0);
        if n <= 0 || n > own {
            return Err(format!("this site holds {own} rights, and cannot hand over {n}"));
        }
        let register = format!("{from}>{to}");
        let before = parts.list.get(&register).map_or(0, |v| whole(v.as_ref()));
        let mut out = vec![(register, Value::Int(clamped(before + i128::from(n))))];
        if owner == Some(from) && !self.is_brought(parts) {
            out.push(self.brings(from, parts.base.as_ref()));
        }
        Ok(out)
    }

    fn brings(&self, site: &str, value: ValueRef<'_>) -> (String, Value) {
        let above = (whole(value) - i128::from(self.floor)).max(0);
        (format!("{site}!{}", self.floor), Value::Int(clamped(above)))
    }
}

impl Type for Bounded {
    fn name(&self) -> String {
        match self.floor {
            0 => "bounded".to_owned(),
            floor => format!("bounded:{floor}"),
        }
    }

    fn fits(&self, affinity: Affinity) -> std::result::Result<(), &'static str> {
        match affinity {
            Affinity::Text | Affinity::Real => Err("a column of integers"),
            _ => Ok(()),
        }
    }

    fn refuses(&self, _: ValueRef<'_>, new: ValueRef<'_>) -> Option<String> {
        match new {
            ValueRef::Int(_) => None,
            _ => Some(format!(
                "is bounded, counts in integers and cannot become {}",
                new.class_name()
            )),
        }
    }

    fn escrow(&self) -> Option<&Bounded> {
        Some(self)
    }

    fn updated(
        &self,
        by: &Writer<'_>,
        parts: &Parts,
        old: ValueRef<'_>,
        new: ValueRef<'_>,
    ) -> Result<Registers> {
        let mut out = Registers::new();
        let added = whole(new) - whole(old);
        if added == 0 && matches!(old, ValueRef::Int(_)) {
            return Ok(out);
        }
        if by.owns_base && !self.is_brought(parts) {
            out.push(self.brings(by.site, parts.base.as_ref()));
        }
        let before = parts.list.get(by.site).map_or(0, |v| whole(v.as_ref()));
        out.push((by.site.to_owned(), Value::Int(clamped(before + added))));
        Ok(out)
    }

    fn inserted(&self, by: &Writer<'_>, parts: &Parts, value: ValueRef<'_>) -> Result<Registers> {
        match parts.list.is_empty() {
            true => Ok(vec![self.brings(by.site, value)]),
            false => self.updated(by, parts, self.shown(by.host, parts)?.as_ref(), value),
        }
    }

    fn exactly(&self, parts: &Parts, value: ValueRef<'_>) -> Value {
        if parts.list.is_empty() { value.to_owned() } else { parts.base.clone() }
    }

    fn shown(&self, _: &dyn Host, parts: &Parts) -> Result<Value> {
        if parts.list.is_empty() {
            return Ok(parts.base.clone());
        }
        // What was spent may be told of before what was brought in.
        Ok(Value::Int(clamped(i128::from(self.floor) + self.above(parts).max(0))))
    }

    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool {
        match (self.name_of(register), value) {
            (Some(Name::Added(_)), ValueRef::Int(_)) => true,
            (Some(Name::Brought(_) | Name::Given(..)), ValueRef::Int(i)) => i >= 0,
            _ => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::testing::{NOBODY, writer};

    const A: &str = "0123456789abcdef0123456789abcdef";
    const B: &str = "ffffffffffffffffffffffffffffffff";
    const STOCK: Bounded = Bounded { floor: 0 };

    fn spend(to: &mut Parts, site: &str, n: i64) -> Option<String> {
        let shown = STOCK.shown(&NOBODY, to).unwrap();
        let new = clamped(whole(shown.as_ref()) - i128::from(n));
        let no = STOCK.forbids(site, Some((to, None)), ValueRef::Int(new));
        if no.is_none() {
            let wrote = STOCK.updated(&writer(site), to, shown.as_ref(), ValueRef::Int(new));
            to.list.extend(wrote.unwrap());
        }
        no
    }

    #[test]
    fn nobody_spends_what_is_another_s() {
        let mut a = Parts { base: Value::Int(10), ..Parts::default() };
        a.list.extend(STOCK.inserted(&writer(A), &a, ValueRef::Int(10)).unwrap());
        let mut b = a.clone();
        assert!(spend(&mut b, B, 1).unwrap().contains(&format!("site {A} holds 10")));
        assert!(STOCK.grant(&a, (None, A), B, 11).is_err());
        a.list.extend(STOCK.grant(&a, (None, A), B, 4).unwrap());
        b.list.extend(a.list.clone());
        assert!(spend(&mut a, A, 7).is_some());
        assert!(spend(&mut a, A, 6).is_none());
        assert!(spend(&mut b, B, 4).is_none());
        b.list.extend(a.list.clone());
        assert_eq!(STOCK.shown(&NOBODY, &b).unwrap(), Value::Int(0));
        assert!(b.list.iter().all(|(register, v)| STOCK.accepts(register, v.as_ref())));
        assert!(!STOCK.accepts(&format!("{A}!5"), ValueRef::Int(1)), "another floor");
    }
}
