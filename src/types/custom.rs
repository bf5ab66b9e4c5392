//! `custom:<function>`: a column that merges by an SQL function of the application, f(local,
//! remote).
//!
//! Each site has a register with what it wrote, merged with what it wrote before; the column shows
//! the base merged with all of them, in their order. Since every replica calls the same function
//! on the same values in the same order, they agree even where it is no proper merge.

use super::{Host, Parts, Registers, Type, Writer, is_site};
use crate::words::affinity::Affinity;
use crate::words::error::Result;
use crate::words::value::{Value, ValueRef};

pub struct Custom {
    function: String,
}

impl Custom {
    /// The type that merges by this function.
    pub fn named(function: &str) -> Option<Custom> {
        let sound = !function.is_empty() && !function.contains('\0');
        sound.then(|| Custom { function: function.to_owned() })
    }

    /// Two values merged; NULL is no value.
    fn merged(&self, host: &dyn Host, a: &Value, b: ValueRef<'_>) -> Result<Value> {
        match (a, b) {
            (Value::Null, b) => Ok(b.to_owned()),
            (a, ValueRef::Null) => Ok(a.clone()),
            (a, b) => host.call(&self.function, a.as_ref(), b),
        }
    }
}

impl Type for Custom {
    fn name(&self) -> String {
        format!("custom:{}", self.function)
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
        _: ValueRef<'_>,
        new: ValueRef<'_>,
    ) -> Result<Registers> {
        let before = parts.list.get(by.site);
        let value = self.merged(by.host, before.unwrap_or(&Value::Null), new)?;
        Ok(match before == Some(&value) || value == Value::Null {
            true => Registers::new(),
            false => vec![(by.site.to_owned(), value)],
        })
    }

    fn inserted(&self, by: &Writer<'_>, parts: &Parts, value: ValueRef<'_>) -> Result<Registers> {
        self.updated(by, parts, ValueRef::Null, value)
    }

    fn shown(&self, host: &dyn Host, parts: &Parts) -> Result<Value> {
        let merge = |all: Value, part: &Value| self.merged(host, &all, part.as_ref());
        parts.list.values().try_fold(parts.base.clone(), merge)
    }

    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool {
        let nan = matches!(value, ValueRef::Real(r) if r.is_nan());
        is_site(register) && !matches!(value, ValueRef::Null) && !nan
    }
}
