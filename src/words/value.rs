//! SQLite values as bytes. Equality is storage class and bytes: `1` is not `1.0`, `0.0` is not
//! `-0.0`, text is whatever bytes SQLite stores, UTF-8 or not.

use super::planted::planted;
use std::cmp::Ordering;

/// A value that borrows its bytes.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// NULL
    Null,
    /// INTEGER
    Int(i64),
    /// REAL
    Real(f64),
    /// TEXT, the bytes as stored; not checked to be UTF-8
    Text(&'a [u8]),
    /// BLOB
    Blob(&'a [u8]),
}

/// A value that owns its bytes.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// NULL
    #[default]
    Null,
    /// INTEGER
    Int(i64),
    /// REAL
    Real(f64),
    /// TEXT, the bytes as stored; not checked to be UTF-8
    Text(Vec<u8>),
    /// BLOB
    Blob(Vec<u8>),
}

impl Value {
    /// Borrows the value.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Null => ValueRef::Null,
            Value::Int(i) => ValueRef::Int(*i),
            Value::Real(r) => ValueRef::Real(*r),
            Value::Text(t) => ValueRef::Text(t),
            Value::Blob(b) => ValueRef::Blob(b),
        }
    }

    /// A TEXT value.
    pub fn text(s: impl Into<String>) -> Self {
        Value::Text(s.into().into_bytes())
    }
}

impl ValueRef<'_> {
    /// Copies the bytes into a value of its own.
    pub fn to_owned(self) -> Value {
        match self {
            ValueRef::Null => Value::Null,
            ValueRef::Int(i) => Value::Int(i),
            ValueRef::Real(r) => Value::Real(r),
            ValueRef::Text(t) => Value::Text(t.to_vec()),
            ValueRef::Blob(b) => Value::Blob(b.to_vec()),
        }
    }

    /// The rank of the storage class in the order of values: NULL, INTEGER, REAL, TEXT, BLOB.
    pub fn class(self) -> u8 {
        match self {
            ValueRef::Null => 0,
            ValueRef::Int(_) => 1,
            ValueRef::Real(_) => 2,
            ValueRef::Text(_) => 3,
            ValueRef::Blob(_) => 4,
        }
    }

    /// The name of the storage class, as `typeof()` gives it.
    pub fn class_name(self) -> &'static str {
        match self {
            ValueRef::Null => "null",
            ValueRef::Int(_) => "integer",
            ValueRef::Real(_) => "real",
            ValueRef::Text(_) => "text",
            ValueRef::Blob(_) => "blob",
        }
    }

    /// A total order over class and bytes. It has no meaning but that every replica has the same
    /// one; it breaks the tie of a forked site (threat D9).
    pub fn total_cmp(self, other: ValueRef<'_>) -> Ordering {
        match (self, other) {
            (ValueRef::Real(a), ValueRef::Real(b)) if a == b && planted!("sign-of-zero") => {
                Ordering::Equal
            }
            (ValueRef::Int(a), ValueRef::Real(b)) | (ValueRef::Real(b), ValueRef::Int(a))
                if a as f64 == b && planted!("class-of-number") =>
            {
                Ordering::Equal
            }
            (ValueRef::Int(a), ValueRef::Int(b)) => a.cmp(&b),
            (ValueRef::Real(a), ValueRef::Real(b)) => a.to_bits().cmp(&b.to_bits()),
            (ValueRef::Text(a), ValueRef::Text(b)) | (ValueRef::Blob(a), ValueRef::Blob(b)) => {
                a.cmp(b)
            }
            (a, b) => a.class().cmp(&b.class()),
        }
    }
}

impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.total_cmp(*other) == Ordering::Equal
    }
}

impl Eq for ValueRef<'_> {}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Value {}

/// Values for the tests of every format that carries them.
#[cfg(test)]
pub(crate) mod tests {
    use super::Value;
    use proptest::prelude::*;

    pub fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            (any::<i64>(), 0..64u32).prop_map(|(i, s)| Value::Int(i >> s)),
            any::<f64>().prop_filter("NaN", |r| !r.is_nan()).prop_map(Value::Real),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Blob),
        ]
    }
}
