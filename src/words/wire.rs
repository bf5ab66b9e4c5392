//! Reading and writing the bytes of our binary formats. Every read is bounds-checked, every number
//! and every value has exactly one encoding, and the reader takes no other: bytes from a stranger
//! are either understood or REJECTED with a sentence, and nothing is allocated on their word alone.
//!
//! **Numbers.** A `varint` is an unsigned 64-bit number in LEB128: seven bits to a byte, the lowest
//! first, the high bit set on every byte but the last. The last byte is not zero unless it is the
//! only one, so there are no overlong forms; ten bytes at most. A `signed` number is folded first
//! (0, -1, 1, -2, ... become 0, 1, 2, 3, ...) and then written as a `varint`.
//!
//! **Values.** One tag byte, then what the tag asks for:
//!
//! | tag        | value                                                                      |
//! |------------|----------------------------------------------------------------------------|
//! | `00`..`2f` | INTEGER 0..47, the tag itself                                              |
//! | `30`..`37` | INTEGER, two's complement, big-endian, in tag - `2f` bytes (1..8), fewest  |
//! | `38`       | NULL                                                                       |
//! | `39`       | REAL, eight bytes IEEE 754, big-endian; every NaN is REJECTED              |
//! | `3a`       | TEXT, a varint length of 96 or more, the bytes                             |
//! | `3b`       | BLOB, a varint length of 64 or more, the bytes                             |
//! | `3c`..`3f` | not used: REJECTED                                                         |
//! | `40`..`9f` | TEXT of tag - `40` bytes (0..95), the bytes                                |
//! | `a0`..`df` | BLOB of tag - `a0` bytes (0..63), the bytes                                |
//! | `e0`..`ff` | not used: REJECTED                                                         |

use super::error::{Error, Result};
use super::value::ValueRef;

/// The first integer that does not fit into the tag byte.
const TAG_INT_END: i64 = 0x30;
/// The tag of an integer of n bytes is this plus n.
const TAG_INT_BYTES: u8 = 0x2f;
const TAG_NULL: u8 = 0x38;
const TAG_REAL: u8 = 0x39;
const TAG_TEXT_LONG: u8 = 0x3a;
const TAG_BLOB_LONG: u8 = 0x3b;
const TAG_TEXT: u8 = 0x40;
const TAG_TEXT_LAST: u8 = 0x9f;
const TAG_BLOB: u8 = 0xa0;
const TAG_BLOB_LAST: u8 = 0xdf;
/// The first length of TEXT that does not fit into the tag byte.
const TEXT_LONG_BYTES: usize = 96;
/// The first length of BLOB that does not fit into the tag byte.
const BLOB_LONG_BYTES: usize = 64;

/// A place in a byte string, and what is left of it from there.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

#[cold]
fn short() -> Error {
    Error::rejected("the bytes end in the middle of a field")
}

#[cold]
fn overlong() -> Error {
    Error::rejected("a number is not written in its one shortest form")
}

#[cold]
fn not_shortest() -> Error {
    Error::rejected("a value is not written in its one shortest form")
}

impl<'a> Reader<'a> {
    /// Starts at the first of these bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// True when every byte has been read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte. REJECTED at the end.
    #[inline]
    pub fn u8(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(short)?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next `n` bytes. REJECTED when fewer are left.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or_else(short)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array. REJECTED when fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(short)?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next 16 bytes: a site id. REJECTED when fewer are left.
    #[inline]
    pub fn array16(&mut self) -> Result<[u8; 16]> {
        self.array::<16>()
    }

    /// An unsigned number. REJECTED when it is cut short, overlong or beyond 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        let first = self.u8()?;
        if first < 0x80 { Ok(u64::from(first)) } else { self.varint_tail(first) }
    }

    fn varint_tail(&mut self, first: u8) -> Result<u64> {
        let mut n = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(Error::rejected("a number does not fit into 64 bits"));
            }
            n |= u64::from(byte & 0x7f) << shift;
            if byte == 0 {
                return Err(overlong());
            }
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(overlong())
    }

    /// A signed number, the counterpart of [`put_signed`]. REJECTED as [`Reader::varint`] does.
    #[inline]
    pub fn signed(&mut self) -> Result<i64> {
        let n = self.varint()?;
        Ok((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
    }

    /// A length and that many bytes, the counterpart of [`put_bytes`]. REJECTED when fewer are
    /// left.
    #[inline]
    pub fn len_bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.varint()?;
        self.bytes(usize::try_from(n).map_err(|_| short())?)
    }

    /// A count of things that take at least `min_bytes_each` bytes each (one, when 0 is given).
    /// REJECTED when what is left cannot hold that many (threat E5), so that the count may be
    /// trusted for reserving memory.
    #[inline]
    pub fn count(&mut self, min_bytes_each: usize) -> Result<usize> {
        let n = self.varint()?;
        let room = self.remaining() / min_bytes_each.max(1);
        match usize::try_from(n) {
            Ok(n) if n <= room => Ok(n),
            _ => Err(Error::rejected("a count is larger than the bytes that follow it can hold")),
        }
    }

    /// A value, the counterpart of [`put_value`]. REJECTED when it is cut short, of an unknown tag,
    /// not in its shortest form, or NaN.
    #[inline]
    pub fn value(&mut self) -> Result<ValueRef<'a>> {
        let tag = self.u8()?;
        match tag {
            TAG_TEXT..=TAG_TEXT_LAST => {
                Ok(ValueRef::Text(self.bytes(usize::from(tag - TAG_TEXT))?))
            }
            TAG_BLOB..=TAG_BLOB_LAST => {
                Ok(ValueRef::Blob(self.bytes(usize::from(tag - TAG_BLOB))?))
            }
            TAG_NULL => Ok(ValueRef::Null),
            0..=TAG_INT_BYTES => Ok(ValueRef::Int(i64::from(tag))),
            0x30..=0x37 => self.int(usize::from(tag - TAG_INT_BYTES)).map(ValueRef::Int),
            TAG_REAL => self.real(),
            TAG_TEXT_LONG => self.long(TEXT_LONG_BYTES).map(ValueRef::Text),
            TAG_BLOB_LONG => self.long(BLOB_LONG_BYTES).map(ValueRef::Blob),
            _ => Err(Error::rejected(format!("a value begins with the unknown tag {tag:#04x}"))),
        }
    }

    fn int(&mut self, n: usize) -> Result<i64> {
        let bytes = self.bytes(n)?;
        let negative = bytes.first().is_some_and(|b| *b >= 0x80);
        let start: i64 = if negative { -1 } else { 0 };
        let i = bytes.iter().fold(start, |i, b| i << 8 | i64::from(*b));
        let fewest = int_bytes(i) == n && !(0..TAG_INT_END).contains(&i);
        if fewest { Ok(i) } else { Err(not_shortest()) }
    }

    fn real(&mut self) -> Result<ValueRef<'a>> {
        let r = f64::from_be_bytes(self.array()?);
        if r.is_nan() {
            return Err(Error::rejected("a REAL is not a number (NaN), which SQLite cannot store"));
        }
        Ok(ValueRef::Real(r))
    }

    fn long(&mut self, min_bytes: usize) -> Result<&'a [u8]> {
        let bytes = self.len_bytes()?;
        if bytes.len() < min_bytes { Err(not_shortest()) } else { Ok(bytes) }
    }
}

/// The fewest bytes that hold `i` in two's complement: 1..8.
#[inline]
fn int_bytes(i: i64) -> usize {
    let magnitude = i ^ (i >> 63);
    // One bit more than the magnitude's, for the sign.
    let bits = 65 - magnitude.leading_zeros();
    bits.div_ceil(8) as usize
}

/// Puts a value where the caller knows that there is a place.
pub fn put_at<T: Clone>(slice: &mut [T], at: usize, value: T) {
    slice.get_mut(at..=at).unwrap_or_default().fill(value);
}

/// Appends an unsigned number.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Appends a signed number; those near zero take the fewest bytes.
#[inline]
pub fn put_signed(out: &mut Vec<u8>, n: i64) {
    put_varint(out, (n << 1 ^ n >> 63).cast_unsigned());
}

/// Appends the length of `bytes` and then the bytes.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a value in its one encoding. A NaN, which SQLite never hands out and itself stores as
/// NULL, is written as NULL (threat A1).
#[inline]
pub fn put_value(out: &mut Vec<u8>, v: ValueRef<'_>) {
    match v {
        ValueRef::Null => out.push(TAG_NULL),
        ValueRef::Int(i) => put_int(out, i),
        ValueRef::Real(r) if r.is_nan() => out.push(TAG_NULL),
        ValueRef::Real(r) => {
            out.push(TAG_REAL);
            out.extend_from_slice(&r.to_be_bytes());
        }
        ValueRef::Text(t) => put_long(out, t, TAG_TEXT, TAG_TEXT_LONG, TEXT_LONG_BYTES),
        ValueRef::Blob(b) => put_long(out, b, TAG_BLOB, TAG_BLOB_LONG, BLOB_LONG_BYTES),
    }
}

#[inline]
fn put_int(out: &mut Vec<u8>, i: i64) {
    if (0..TAG_INT_END).contains(&i) {
        out.push(i as u8);
        return;
    }
    let n = int_bytes(i);
    out.push(TAG_INT_BYTES + n as u8);
    out.extend(i.to_be_bytes().iter().skip(8 - n));
}

#[inline]
fn put_long(out: &mut Vec<u8>, bytes: &[u8], tag: u8, tag_long: u8, long_bytes: usize) {
    if bytes.len() < long_bytes {
        out.push(tag + bytes.len() as u8);
        out.extend_from_slice(bytes);
    } else {
        out.push(tag_long);
        put_bytes(out, bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use crate::words::value::Value;
    use crate::words::value::tests::any_value;
    use proptest::prelude::*;

    fn encoded(v: ValueRef<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        put_value(&mut out, v);
        out
    }

    fn decoded(bytes: &[u8]) -> Result<Value> {
        let mut r = Reader::new(bytes);
        let v = r.value()?.to_owned();
        if r.is_empty() { Ok(v) } else { Err(Error::rejected("trailing")) }
    }

    #[test]
    fn golden_values() {
        let big = [b'x'; 96];
        let mut long_text = vec![0x3a, 96];
        long_text.extend_from_slice(&big);
        let mut long_blob = vec![0x3b, 64];
        long_blob.extend_from_slice(&big[..64]);
        let cases: Vec<(ValueRef<'_>, Vec<u8>)> = vec![
            (ValueRef::Null, vec![0x38]),
            (ValueRef::Int(0), vec![0]),
            (ValueRef::Int(47), vec![0x2f]),
            (ValueRef::Int(48), vec![0x30, 48]),
            (ValueRef::Int(127), vec![0x30, 127]),
            (ValueRef::Int(128), vec![0x31, 0, 128]),
            (ValueRef::Int(-1), vec![0x30, 0xff]),
            (ValueRef::Int(-128), vec![0x30, 0x80]),
            (ValueRef::Int(-129), vec![0x31, 0xff, 0x7f]),
            (ValueRef::Int(i64::MAX), vec![0x37, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
            (ValueRef::Int(i64::MIN), vec![0x37, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            (ValueRef::Real(1.0), vec![0x39, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
            (ValueRef::Real(-0.0), vec![0x39, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            (ValueRef::Text(b""), vec![0x40]),
            (ValueRef::Text(b"a\0b"), vec![0x43, b'a', 0, b'b']),
            (ValueRef::Text(&big), long_text),
            (ValueRef::Blob(b""), vec![0xa0]),
            (ValueRef::Blob(&[0xff]), vec![0xa1, 0xff]),
            (ValueRef::Blob(&big[..64]), long_blob),
        ];
        for (v, bytes) in cases {
            assert_eq!(encoded(v), bytes, "{v:?}");
            assert_eq!(decoded(&bytes).unwrap(), v.to_owned(), "{v:?}");
        }
    }

    #[test]
    fn a1_nan_is_rejected_and_never_written() {
        for bits in [0x7ff8_0000_0000_0000u64, 0x7ff0_0000_0000_0001, 0xffff_ffff_ffff_ffff] {
            let mut bytes = vec![TAG_REAL];
            bytes.extend_from_slice(&bits.to_be_bytes());
            assert!(decoded(&bytes).unwrap_err().text.contains("NaN"));
            assert_eq!(encoded(ValueRef::Real(f64::from_bits(bits))), [TAG_NULL]);
        }
    }

    #[test]
    fn e3_other_forms_of_a_value_are_rejected() {
        let mut short_text = vec![TAG_TEXT_LONG, 95];
        short_text.extend_from_slice(&[b'x'; 95]);
        let mut short_blob = vec![TAG_BLOB_LONG, 63];
        short_blob.extend_from_slice(&[b'x'; 63]);
        let cases: Vec<Vec<u8>> = vec![
            vec![],
            vec![0x30, 47],
            vec![0x30, 0],
            vec![0x31, 0, 127],
            vec![0x31, 0xff, 0x80],
            vec![0x37, 0, 0x7f, 255, 255, 255, 255, 255, 255],
            vec![0x31, 1],
            vec![TAG_REAL, 0, 0],
            short_text,
            short_blob,
            vec![0x41],
            vec![0x3c],
            vec![0x3f],
            vec![0xe0],
            vec![0xff],
        ];
        for bytes in cases {
            assert!(decoded(&bytes).is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn e3_overlong_varints_are_rejected() {
        for n in [0, 1, 127, 128, 16383, 16384, u64::from(u32::MAX), 1 << 63, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, n);
            assert_eq!(Reader::new(&out).varint().unwrap(), n);
            let last = out.len() - 1;
            out[last] |= 0x80;
            out.push(0);
            assert!(Reader::new(&out).varint().is_err(), "{n} with a zero byte more");
        }
        let mut too_big = vec![0xff; 9];
        too_big.push(2);
        assert!(Reader::new(&too_big).varint().is_err());
        assert!(Reader::new(&[0x80; 11]).varint().is_err());
        assert!(Reader::new(&[0x80]).varint().is_err());
    }

    #[test]
    fn e2_a_length_beyond_the_buffer_is_rejected() {
        assert!(Reader::new(&[3, 1, 2]).len_bytes().is_err());
        let mut huge = Vec::new();
        put_varint(&mut huge, u64::MAX);
        assert!(Reader::new(&huge).len_bytes().is_err());
        assert!(Reader::new(&[TAG_TEXT_LONG, 0xff, 0x7f, 1]).value().is_err());
        assert!(Reader::new(&[1, 2]).bytes(3).is_err());
        assert!(Reader::new(&[0; 15]).array16().is_err());
    }

    #[test]
    fn e5_a_count_is_bounded_by_what_is_left() {
        assert_eq!(Reader::new(&[2, 0, 0, 0, 0]).count(2).unwrap(), 2);
        assert!(Reader::new(&[3, 0, 0, 0, 0, 0]).count(2).is_err());
        assert!(Reader::new(&[1]).count(0).is_err());
        assert_eq!(Reader::new(&[0]).count(9).unwrap(), 0);
    }

    proptest! {
        #[test]
        fn values_come_back(values in prop::collection::vec(any_value(), 0..9)) {
            let mut out = Vec::new();
            values.iter().for_each(|v| put_value(&mut out, v.as_ref()));
            let mut r = Reader::new(&out);
            for v in &values {
                prop_assert_eq!(&r.value().unwrap().to_owned(), v);
            }
            prop_assert!(r.is_empty());
        }

        #[test]
        fn e3_whatever_is_understood_is_written_the_same(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut r = Reader::new(&bytes);
            while let Ok(v) = r.value() {
                let used = bytes.len() - r.remaining();
                let again = encoded(v);
                prop_assert_eq!(&bytes[used - again.len()..used], &again[..]);
            }
            let mut r = Reader::new(&bytes);
            while let Ok(n) = r.varint() {
                let used = bytes.len() - r.remaining();
                let mut again = Vec::new();
                put_varint(&mut again, n);
                prop_assert_eq!(&bytes[used - again.len()..used], &again[..]);
            }
        }

        #[test]
        fn signed_numbers_come_back(n in any::<i64>(), s in 0..64u32) {
            for n in [n, n >> s, -(n >> s).max(-i64::MAX), i64::MIN, i64::MAX, 0, -1, 1] {
                let mut out = Vec::new();
                put_signed(&mut out, n);
                prop_assert_eq!(Reader::new(&out).signed().unwrap(), n);
            }
        }
    }
}
