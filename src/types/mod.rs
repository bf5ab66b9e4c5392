//! Floor 1, types: how a column merges that means something by an UPDATE. Pure, like the floor
//! below: what stands of a column in, what is to be written out.
//!
//! A column is shown as what its type makes of a **base** and of **parts**. The base is the
//! ordinary cell: written by INSERT, REPLACE and by who means "exactly this"; the last write wins.
//! Parts are registers beside it, named by the column and a text; each is a stamped register like
//! any cell, and meets another of its name by the one merge law. They belong to one life of their
//! row. So all that a type says is what an UPDATE writes, and what is shown of what was merged:
//! since merging the registers is commutative, associative and idempotent, so is the column.
//!
//! | file      | types                 |
//! |-----------|-----------------------|
//! | `bounded` | `bounded`             |
//! | `counter` | `counter`, `gcounter` |
//! | `custom`  | `custom:<function>`   |
//! | `extreme` | `max`, `min`          |
//! | `map`     | `map`                 |
//! | `multi`   | `multi`               |
//! | `set`     | `set`                 |
//! | `text`    | `text`                |
//!
//! `json` has the one form of JSON that both `set` and `map` show; `seen` is what a register of
//! `set` and `multi` says of others.

#![forbid(unsafe_code)]

pub mod bounded;
mod counter;
mod custom;
mod extreme;
mod json;
mod map;
pub mod multi;
mod seen;
mod set;
pub mod text;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::words::affinity::Affinity;
use crate::words::dot::SiteId;
use crate::words::error::Result;
use crate::words::value::{Value, ValueRef};

/// What stands of a column of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// The base.
    pub base: Value,
    /// The parts, by register.
    pub list: BTreeMap<String, Value>,
}

/// What types ask of the connection that they work for.
pub trait Host {
    /// What an SQL function of the application makes of two values.
    fn call(&self, function: &str, a: ValueRef<'_>, b: ValueRef<'_>) -> Result<Value>;
}

/// A site that writes.
pub struct Writer<'a> {
    /// The site, in 32 hex digits.
    pub site: &'a str,
    /// The base that stands was written by this site too.
    pub owns_base: bool,
    /// Its connection.
    pub host: &'a dyn Host,
    /// The stamp of its transaction.
    pub stamp: u64,
}

/// A merging type.
pub trait Type {
    /// Its name, as `crsql_column()` takes it.
    fn name(&self) -> String;

    /// Whether a column of this affinity can merge so; else what it needs.
    fn fits(&self, affinity: Affinity) -> std::result::Result<(), &'static str>;

    /// Why an UPDATE cannot be taken, as the rest of a sentence; None where it can.
    fn refuses(&self, old: ValueRef<'_>, new: ValueRef<'_>) -> Option<String>;

    /// Whether it is `text`, whose parts are read when a text is opened and not at every write.
    fn is_text(&self) -> bool {
        false
    }

    /// Where a write is only taken as far as this site has rights: those that it holds.
    fn escrow(&self) -> Option<&bounded::Bounded> {
        None
    }

    /// Whether an UPDATE can be read as a change of what it found. Else it means what it writes.
    fn changes(&self, _old: ValueRef<'_>) -> bool {
        true
    }

    /// Whether a column shows, right after a write, what was written, in its one form. Then a write
    /// that changes nothing of what the parts say is written as it is.
    fn shows_what_is_written(&self) -> bool {
        false
    }

    /// The registers that an UPDATE writes which found `old` and left `new`.
    fn updated(
        &self,
        by: &Writer<'_>,
        parts: &Parts,
        old: ValueRef<'_>,
        new: ValueRef<'_>,
    ) -> Result<Registers>;

    /// The registers that an INSERT or REPLACE of this value writes beside the base, which is in
    /// `parts` already.
    fn inserted(&self, _: &Writer<'_>, _: &Parts, _value: ValueRef<'_>) -> Result<Registers> {
        Ok(Registers::new())
    }

    /// The base that an INSERT or REPLACE of this value writes.
    fn exactly(&self, _parts: &Parts, value: ValueRef<'_>) -> Value {
        value.to_owned()
    }

    /// What the column shows.
    fn shown(&self, host: &dyn Host, parts: &Parts) -> Result<Value>;

    /// Whether a register of this name can have this value. Strangers send both.
    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool;
}

/// Registers that are written: name and value.
pub type Registers = Vec<(String, Value)>;

/// How a column merges: by the last write, or by one of the types.
#[derive(Clone, Default)]
pub struct Merge(Option<Rc<dyn Type>>);

/// The name of the type of columns that nothing was said of.
const LWW: &str = "lww";

impl Merge {
    /// The type of this name.
    pub fn named(name: &str) -> Option<Merge> {
        let (kind, argument) = name.split_once(':').map_or((name, None), |(k, a)| (k, Some(a)));
        let found: Rc<dyn Type> = match (kind, argument) {
            (LWW, None) => return Some(Merge(None)),
            ("bounded", floor) => Rc::new(bounded::Bounded::named(floor)?),
            ("counter", None) => Rc::new(counter::Counter { grows: false }),
            ("custom", Some(function)) => Rc::new(custom::Custom::named(function)?),
            ("gcounter", None) => Rc::new(counter::Counter { grows: true }),
            ("map", None) => Rc::new(map::Map),
            ("max", None) => Rc::new(extreme::MAX),
            ("min", None) => Rc::new(extreme::MIN),
            ("multi", None) => Rc::new(multi::Multi),
            ("set", None) => Rc::new(set::Set),
            ("text", None) => Rc::new(text::Text),
            _ => return None,
        };
        Some(Merge(Some(found)))
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.0.as_ref().map_or_else(|| LWW.to_owned(), |t| t.name())
    }

    /// The type, where there is more to it than the last write.
    pub fn by_intent(&self) -> Option<&dyn Type> {
        self.0.as_deref()
    }

    /// The names of all types, for sentences.
    pub const NAMES: &str =
        "lww, counter, gcounter, bounded, max, min, set, map, multi, text, custom:<function>";
}

impl std::fmt::Debug for Merge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

/// What begins the cid of a part, and stands between the column and the register.
pub const MARK: char = '\u{1}';

/// The cid of a part.
pub fn cid(column: &str, register: &str) -> String {
    format!("{MARK}{column}{MARK}{register}")
}

/// The column and the register of a part's cid; None where it is none.
pub fn of_cid(cid: &str) -> Option<(&str, &str)> {
    cid.strip_prefix(MARK)?.rsplit_once(MARK)
}

/// The site that a register is named by, in 32 lower-case hex digits.
pub fn site_of(register: &str) -> Option<SiteId> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = register.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    let bytes: Option<Vec<u8>> = bytes.collect();
    if rest.is_empty() { bytes?.try_into().ok() } else { None }
}

fn is_site(register: &str) -> bool {
    site_of(register).is_some()
}

/// A value as a column of this affinity stores it, for numbers.
pub fn stored(affinity: Affinity, value: Value) -> Value {
    /// 2^63; between its negative and itself a whole REAL becomes an INTEGER.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match (affinity, value) {
        (Affinity::Integer | Affinity::Numeric, Value::Real(r))
            if r.trunc() == r && r.abs() < BEYOND =>
        {
            Value::Int(r as i64)
        }
        (Affinity::Real, Value::Int(i)) => Value::Real(i as f64),
        (Affinity::Real, Value::Real(0.0)) => Value::Real(0.0),
        (_, Value::Real(r)) if r.is_nan() => Value::Null,
        (_, value) => value,
    }
}

#[cfg(test)]
mod testing {
    use super::{Host, Writer};
    use crate::words::error::{Error, Result};
    use crate::words::value::{Value, ValueRef};

    /// A connection without functions.
    pub struct Nobody;
    pub const NOBODY: Nobody = Nobody;

    impl Host for Nobody {
        fn call(&self, function: &str, _: ValueRef<'_>, _: ValueRef<'_>) -> Result<Value> {
            Err(Error::refused(format!("no such function: {function}")))
        }
    }

    pub fn writer(site: &str) -> Writer<'_> {
        Writer { site, owns_base: false, host: &NOBODY, stamp: 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_named_by_column_and_register_whatever_the_column_is_called() {
        for column in ["qty", "a\u{1}b", "", "\"'"] {
            let name = cid(column, "00ff");
            assert_eq!(of_cid(&name), Some((column, "00ff")));
        }
        for other in ["qty", "-1", "", "\u{1}", "\u{1}qty"] {
            assert_eq!(of_cid(other), None, "{other:?}");
        }
    }

    #[test]
    fn every_type_is_found_by_its_name() {
        for name in Merge::NAMES.split(", ") {
            assert_eq!(Merge::named(name).map(|m| m.name()).as_deref(), Some(name));
        }
        assert_eq!(Merge::named("bounded:-7").map(|m| m.name()).as_deref(), Some("bounded:-7"));
        assert_eq!(Merge::named("bounded:0").map(|m| m.name()).as_deref(), Some("bounded"));
        for none in ["LWW", "", "custom", "custom:", "bounded:", "bounded:x", "set:", "lww:1"] {
            assert!(Merge::named(none).is_none(), "{none}");
        }
    }
}
