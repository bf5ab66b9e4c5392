//! What a register of `set` and of `multi` says beside its value: how often its site wrote, and
//! up to which of their writes it had seen the others. So writes that did not know of each other
//! are told from those that did: a dotted version vector (Preguiça et al., "Dotted Version
//! Vectors", 2010) for one element, or one cell.

use std::collections::BTreeMap;

use super::{Parts, site_of};
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result};
use crate::words::value::{Value, ValueRef};
use crate::words::wire::{Reader, put_value, put_varint};

/// What stands for the base among the sites.
pub const BASE: SiteId = [0; 16];

/// What a register holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// How often its site wrote.
    pub writes: u64,
    /// The writes of each site, its own too, that this register's last write replaced.
    pub replaced: BTreeMap<SiteId, u64>,
    /// What it wrote.
    pub value: Value,
}

impl Seen {
    /// The value of the register.
    pub fn to_value(&self) -> Value {
        let mut out = Vec::new();
        put_varint(&mut out, self.writes);
        put_varint(&mut out, self.replaced.len() as u64);
        for (site, writes) in &self.replaced {
            out.extend_from_slice(site);
            put_varint(&mut out, *writes);
        }
        put_value(&mut out, self.value.as_ref());
        Value::Blob(out)
    }

    /// REJECTED where it is not the one encoding of anything.
    pub fn decode(value: ValueRef<'_>) -> Result<Seen> {
        let ValueRef::Blob(bytes) = value else { return Err(Error::rejected("not a register")) };
        let mut r = Reader::new(bytes);
        let mut seen = Seen { writes: r.varint()?, ..Seen::default() };
        for _ in 0..r.count(17)? {
            let (site, writes) = (r.array16()?, r.varint()?);
            let last = seen.replaced.last_key_value();
            if writes == 0 || last.is_some_and(|(last, _)| *last >= site) {
                return Err(Error::rejected("sites are in order, each once"));
            }
            seen.replaced.insert(site, writes);
        }
        seen.value = r.value()?.to_owned();
        match r.is_empty() {
            true => Ok(seen),
            false => Err(Error::rejected("there is more behind it")),
        }
    }
}

/// Registers of several sites that replace one another.
#[derive(Default)]
pub struct Together {
    /// By site.
    pub of: BTreeMap<SiteId, Seen>,
}

impl Together {
    /// Adds one; a register that cannot be read says nothing.
    pub fn add(&mut self, site: SiteId, value: &Value) {
        if let Ok(seen) = Seen::decode(value.as_ref()) {
            self.of.insert(site, seen);
        }
    }

    /// All registers of a column that are named by a site.
    pub fn of_column(parts: &Parts) -> Together {
        let mut all = Together::default();
        for (register, value) in &parts.list {
            if let Some(site) = site_of(register) {
                all.add(site, value);
            }
        }
        all
    }

    /// The last write of a site that any register says it replaced.
    pub fn replaced(&self, site: &SiteId) -> u64 {
        self.of.values().filter_map(|seen| seen.replaced.get(site)).copied().max().unwrap_or(0)
    }

    /// The registers whose last write nobody replaced.
    pub fn standing(&self) -> impl Iterator<Item = (&SiteId, &Seen)> {
        self.of.iter().filter(|(site, seen)| seen.writes > self.replaced(site))
    }

    /// All writes that are known, and so replaced by one that knows them.
    pub fn all(&self) -> BTreeMap<SiteId, u64> {
        let mut all = BTreeMap::new();
        let mut note = |site: &SiteId, writes: u64| {
            let known: &mut u64 = all.entry(*site).or_default();
            *known = writes.max(*known);
        };
        for (site, seen) in &self.of {
            note(site, seen.writes);
            seen.replaced.iter().for_each(|(site, writes)| note(site, *writes));
        }
        all.retain(|_, writes| *writes > 0);
        all
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_seen() -> impl Strategy<Value = Seen> {
        let replaced = proptest::collection::btree_map(any::<SiteId>(), 1u64.., 0..4);
        (any::<u64>(), replaced, crate::words::value::tests::any_value())
            .prop_map(|(writes, replaced, value)| Seen { writes, replaced, value })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seen in any_seen()) {
            let value = seen.to_value();
            let read = Seen::decode(value.as_ref()).unwrap();
            prop_assert_eq!(read.to_value(), value);
        }

        #[test]
        fn what_is_read_has_one_form(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(seen) = Seen::decode(ValueRef::Blob(&bytes)) {
                prop_assert_eq!(seen.to_value(), Value::Blob(bytes));
            }
        }
    }
}
