//! A row's key as our own tables store it.
//!
//! A table whose key is an `INTEGER PRIMARY KEY` (the rowid) stores the integer. Every other key
//! is the `pk` packing of its canonical values (`pack.rs`), with one shorter form: a key of one
//! text that is a UUID in lower-case canonical spelling is stored as `00` and its 16 bytes. A
//! packing begins with its column count, which is never 0, so the two cannot be confused.

use super::error::{Error, Result};
use super::pack;
use super::value::{Value, ValueRef};

/// How a table's keys are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The key is the rowid.
    Int,
    /// The key is packed.
    Packed,
}

/// A row's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The rowid.
    Int(i64),
    /// The stored form of any other key.
    Packed(Vec<u8>),
}

impl Key {
    /// The key made of these column values, each in canonical form.
    pub fn from_values(kind: KeyKind, values: &[ValueRef<'_>]) -> Result<Key> {
        let mut out = Vec::new();
        match store(kind, values, &mut out)? {
            Some(i) => Ok(Key::Int(i)),
            None => Ok(Key::Packed(out)),
        }
    }

    /// The key whose wire packing this is. Values are brought into canonical form.
    pub fn from_pk(kind: KeyKind, columns: usize, pk: &[u8]) -> Result<Key> {
        if let (KeyKind::Int, 1, Some(i)) = (kind, columns, pack::unpack_int(pk)) {
            return Ok(Key::Int(i));
        }
        let values = pack::unpack(pk)?;
        if values.len() != columns {
            return Err(Error::rejected(format!(
                "the key has {} columns, the table's has {columns}",
                values.len()
            )));
        }
        let values: Vec<_> = values.into_iter().map(pack::canonical_key).collect();
        Key::from_values(kind, &values)
    }

    /// The values of the key's columns.
    pub fn values(&self) -> Result<Vec<Value>> {
        match self {
            Key::Int(i) => Ok(vec![Value::Int(*i)]),
            Key::Packed(bytes) => match bytes.split_first() {
                Some((0, uuid)) => Ok(vec![Value::Text(uuid_text(uuid)?)]),
                _ => Ok(pack::unpack(bytes)?.into_iter().map(ValueRef::to_owned).collect()),
            },
        }
    }

    /// The wire packing.
    pub fn pk(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Key::Int(i) => pack::pack(&mut out, std::iter::once(ValueRef::Int(*i)))?,
            Key::Packed(bytes) => match bytes.split_first() {
                Some((0, uuid)) => {
                    let text = uuid_text(uuid)?;
                    pack::pack(&mut out, std::iter::once(ValueRef::Text(&text)))?;
                }
                _ => out.extend_from_slice(bytes),
            },
        }
        Ok(out)
    }

    /// The key as one value, for binding to the key column of a clock table.
    pub fn as_value(&self) -> ValueRef<'_> {
        match self {
            Key::Int(i) => ValueRef::Int(*i),
            Key::Packed(bytes) => ValueRef::Blob(bytes),
        }
    }

    /// The key that a clock table's key column holds.
    pub fn from_stored(v: ValueRef<'_>) -> Result<Key> {
        match v {
            ValueRef::Int(i) => Ok(Key::Int(i)),
            ValueRef::Blob(b) => Ok(Key::Packed(b.to_vec())),
            _ => Err(Error::corrupt("a clock's key is neither an integer nor a blob")),
        }
    }
}

/// Appends the stored form of a packed key to `out`, or gives the integer of an integer key.
/// This is the path of every captured row: it allocates nothing of its own.
pub fn store(kind: KeyKind, values: &[ValueRef<'_>], out: &mut Vec<u8>) -> Result<Option<i64>> {
    match (kind, values) {
        (KeyKind::Int, [ValueRef::Int(i)]) => return Ok(Some(*i)),
        (KeyKind::Int, _) => return Err(Error::mismatch("the key is not an integer")),
        (KeyKind::Packed, [ValueRef::Text(t)]) => {
            if let Some(uuid) = uuid_bytes(t) {
                out.push(0);
                out.extend_from_slice(&uuid);
                return Ok(None);
            }
        }
        _ => {}
    }
    pack::pack(out, values.iter().copied().map(pack::canonical_key))?;
    Ok(None)
}

fn uuid_bytes(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut out = [0u8; 16];
    let mut nibbles = 0usize;
    for (i, &b) in text.iter().enumerate() {
        if matches!(i, 8 | 13 | 18 | 23) {
            if b != b'-' {
                return None;
            }
            continue;
        }
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            _ => return None,
        };
        let slot = out.get_mut(nibbles / 2)?;
        *slot = (*slot << 4) | digit;
        nibbles += 1;
    }
    Some(out)
}

fn uuid_text(bytes: &[u8]) -> Result<Vec<u8>> {
    if bytes.len() != 16 {
        return Err(Error::corrupt("a stored UUID key does not have 16 bytes"));
    }
    let mut out = Vec::with_capacity(36);
    for (i, b) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        for digit in [b >> 4, b & 15] {
            out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn uuid_keys_take_seventeen_bytes_and_come_back() {
        let text = b"0192f0c4-7a3b-7def-8123-456789abcdef";
        let key = Key::from_values(KeyKind::Packed, &[ValueRef::Text(text)]).unwrap();
        assert!(matches!(&key, Key::Packed(b) if b.len() == 17));
        assert_eq!(key.values().unwrap(), vec![Value::Text(text.to_vec())]);
        assert_eq!(Key::from_pk(KeyKind::Packed, 1, &key.pk().unwrap()).unwrap(), key);
    }

    #[test]
    fn text_that_only_looks_like_a_uuid_is_kept_byte_for_byte() {
        for text in [
            "0192F0C4-7a3b-7def-8123-456789abcdef",
            "0192f0c4-7a3b-7def-8123-456789abcdeg",
            "0192f0c407a3b-7def-8123-456789abcdef",
        ] {
            let key = Key::from_values(KeyKind::Packed, &[ValueRef::Text(text.as_bytes())]);
            assert_eq!(key.unwrap().values().unwrap(), vec![Value::text(text)]);
        }
    }

    #[test]
    fn b4_keys_that_sqlite_calls_equal_are_one_key() {
        let a = Key::from_values(KeyKind::Packed, &[ValueRef::Real(1.0)]).unwrap();
        let b = Key::from_values(KeyKind::Packed, &[ValueRef::Int(1)]).unwrap();
        assert_eq!(a, b);
    }
}
