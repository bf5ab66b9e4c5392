//! The packing of key columns into one blob: what `crsql_pack_columns` makes, what
//! `crsql_unpack_columns` takes apart, and what stands in `pk` of `crsql_changes`. It is the
//! packing of cr-sqlite, byte for byte, so that keys stored by applications go on matching.
//!
//! ```text
//! blob    = count:u8 column{count}                        1..255 columns
//! column  = tag:u8 ...                                    type in the low 3 bits of the tag
//!   1 INTEGER   high 5 bits: n, 0..8; then n bytes        unsigned pattern, big-endian, fewest
//!   2 REAL      high 5 bits: 0; then 8 bytes              IEEE 754, big-endian, never NaN
//!   3 TEXT      high 5 bits: n, 0..8; then n bytes: the   length as an INTEGER is written;
//!   4 BLOB        length; then that many bytes            none (n = 0) for the empty string
//!   5 NULL      high 5 bits: 0
//! ```
//!
//! An INTEGER is zero-extended on reading: 128 is `09 80`, and a negative one always takes eight
//! bytes, `41 ff ff ff ff ff ff ff ff` for -1. `(1, 'a')` is `02 09 01 0b 01 61`.
//!
//! One encoding per key: whatever [`unpack`] accepts, [`pack`] writes again with the same bytes.

use super::error::{Error, Result};
use super::value::ValueRef;
use super::wire::Reader;

const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;
const NULL: u8 = 5;

/// The most columns that a packed key holds.
pub const COLUMNS_MAX: usize = 255;

/// Appends the packing of `values` to `out`. REFUSED when there is no value or more than 255, or
/// when one is NaN (which SQLite never hands out); `out` is then as it was.
pub fn pack<'a>(
    out: &mut Vec<u8>,
    values: impl ExactSizeIterator<Item = ValueRef<'a>>,
) -> Result<()> {
    let columns = u8::try_from(values.len()).unwrap_or(0);
    if columns == 0 {
        return Err(Error::refused(format!(
            "a packed key has 1 to {COLUMNS_MAX} columns, not {}",
            values.len()
        )));
    }
    let start = out.len();
    out.push(columns);
    for v in values {
        if let Err(e) = put_column(out, v) {
            out.truncate(start);
            return Err(e);
        }
    }
    Ok(())
}

fn put_column(out: &mut Vec<u8>, v: ValueRef<'_>) -> Result<()> {
    match v {
        ValueRef::Null => out.push(NULL),
        ValueRef::Int(i) => put_tagged(out, INTEGER, i.cast_unsigned()),
        ValueRef::Real(r) if r.is_nan() => {
            return Err(Error::refused("a REAL that is not a number (NaN) cannot be packed"));
        }
        ValueRef::Real(r) => {
            out.push(REAL);
            out.extend_from_slice(&r.to_be_bytes());
        }
        ValueRef::Text(t) => put_long(out, TEXT, t),
        ValueRef::Blob(b) => put_long(out, BLOB, b),
    }
    Ok(())
}

/// The tag with the number of bytes that `n` takes, then those bytes.
fn put_tagged(out: &mut Vec<u8>, class: u8, n: u64) {
    let width = (64 - n.leading_zeros()).div_ceil(8) as u8;
    out.push(width << 3 | class);
    out.extend(n.to_be_bytes().iter().skip(8 - usize::from(width)));
}

fn put_long(out: &mut Vec<u8>, class: u8, bytes: &[u8]) {
    put_tagged(out, class, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes a packed key apart; TEXT and BLOB borrow from `bytes`. REJECTED (threats E1, E2, E3, E6)
/// when it is empty, has no columns, is cut short, goes on after its last column, or holds anything
/// that [`pack`] would have written otherwise.
pub fn unpack(bytes: &[u8]) -> Result<Vec<ValueRef<'_>>> {
    let mut r = Reader::new(bytes);
    let columns = match r.u8() {
        Ok(0) => return Err(Error::rejected("a packed key has no columns")),
        Ok(n) => usize::from(n),
        Err(_) => return Err(Error::rejected("a packed key is empty")),
    };
    if columns > r.remaining() {
        return Err(cut());
    }
    let mut values = Vec::with_capacity(columns);
    for _ in 0..columns {
        values.push(column(&mut r)?);
    }
    if r.is_empty() {
        Ok(values)
    } else {
        Err(Error::rejected("a packed key has bytes left over after its last column"))
    }
}

/// The integer where this is the packing of one INTEGER; None for any other bytes.
pub fn unpack_int(bytes: &[u8]) -> Option<i64> {
    let (1, rest) = bytes.split_first()? else { return None };
    let mut r = Reader::new(rest);
    match column(&mut r) {
        Ok(ValueRef::Int(i)) if r.is_empty() => Some(i),
        _ => None,
    }
}

fn cut() -> Error {
    Error::rejected("a packed key ends in the middle of a column")
}

fn column<'a>(r: &mut Reader<'a>) -> Result<ValueRef<'a>> {
    let tag = r.u8().map_err(|_| cut())?;
    let (class, width) = (tag & 7, tag >> 3);
    match (class, width) {
        (INTEGER, _) => Ok(ValueRef::Int(tagged(r, width)?.cast_signed())),
        (REAL, 0) => {
            let real = f64::from_be_bytes(r.array().map_err(|_| cut())?);
            if real.is_nan() {
                return Err(Error::rejected(
                    "a packed key holds a REAL that is not a number (NaN)",
                ));
            }
            Ok(ValueRef::Real(real))
        }
        (TEXT, _) => Ok(ValueRef::Text(long(r, width)?)),
        (BLOB, _) => Ok(ValueRef::Blob(long(r, width)?)),
        (NULL, 0) => Ok(ValueRef::Null),
        _ => Err(Error::rejected(format!("a packed key holds the unknown column tag {tag:#04x}"))),
    }
}

fn tagged(r: &mut Reader<'_>, width: u8) -> Result<u64> {
    if width > 8 {
        return Err(Error::rejected(format!(
            "a packed key holds an integer of {width} bytes; 8 are the most"
        )));
    }
    let bytes = r.bytes(usize::from(width)).map_err(|_| cut())?;
    if bytes.first() == Some(&0) {
        return Err(Error::rejected("a packed key holds an integer with a needless zero byte"));
    }
    Ok(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

fn long<'a>(r: &mut Reader<'a>, width: u8) -> Result<&'a [u8]> {
    let n = tagged(r, width)?;
    r.bytes(usize::try_from(n).map_err(|_| cut())?).map_err(|_| cut())
}

/// The one form of all keys that SQLite's `=` calls equal (design section 6, rule 10; threat B4): a
/// REAL that is exactly a 64-bit integer becomes that INTEGER, -0.0 becomes 0, and every other
/// value is its own form.
pub fn canonical_key(v: ValueRef<'_>) -> ValueRef<'_> {
    /// 2^63: the first REAL above every INTEGER; its negative is the lowest INTEGER.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match v {
        ValueRef::Real(r) if (-BEYOND..BEYOND).contains(&r) && r.trunc() == r => {
            ValueRef::Int(r as i64)
        }
        _ => v,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use crate::words::value::Value;
    use crate::words::value::tests::any_value;
    use proptest::prelude::*;

    fn packed(values: &[ValueRef<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        pack(&mut out, values.iter().copied()).unwrap();
        out
    }

    fn hex(s: &str) -> Vec<u8> {
        let digits: Vec<u8> = s.bytes().filter(|b| *b != b' ').collect();
        digits
            .chunks(2)
            .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn golden_keys() {
        use ValueRef::{Blob, Int, Null, Real, Text};
        let cases: &[(&[ValueRef<'_>], &str)] = &[
            (&[Int(1), Text(b"a")], "02 09 01 0b 01 61"),
            (&[Int(128)], "01 09 80"),
            (&[Int(-1)], "01 41 ffffffffffffffff"),
            (&[Int(0)], "01 01"),
            (&[Null], "01 05"),
            (&[Text(b"")], "01 03"),
            (&[Blob(b"")], "01 04"),
            (&[Blob(&[0, 255])], "01 0c 02 00ff"),
            (&[Real(1.5)], "01 02 3ff8000000000000"),
            (&[Real(-0.0)], "01 02 8000000000000000"),
            (&[Text(b"a\0b")], "01 0b 03 610062"),
            (&[Int(2), Null, Blob(b"x")], "03 09 02 05 0c 01 78"),
        ];
        for (values, expected) in cases {
            assert_eq!(packed(values), hex(expected), "{values:?}");
            assert_eq!(unpack(&hex(expected)).unwrap(), *values);
        }
        let long = vec![b'z'; 300];
        let mut expected = hex("01 13 012c");
        expected.extend_from_slice(&long);
        assert_eq!(packed(&[Text(&long)]), expected);
    }

    #[test]
    fn a4_integers_at_width_edges() {
        let cases: &[(i64, &str)] = &[
            (127, "01 09 7f"),
            (200, "01 09 c8"),
            (255, "01 09 ff"),
            (256, "01 11 0100"),
            (32767, "01 11 7fff"),
            (32768, "01 11 8000"),
            (40000, "01 11 9c40"),
            (65535, "01 11 ffff"),
            (65536, "01 19 010000"),
            (0x80_0000, "01 19 800000"),
            (0x8000_0000, "01 21 80000000"),
            (0x80_0000_0000, "01 29 8000000000"),
            (0x8000_0000_0000, "01 31 800000000000"),
            (0x80_0000_0000_0000, "01 39 80000000000000"),
            (0xff_ffff_ffff_ffff, "01 39 ffffffffffffff"),
            (i64::MAX, "01 41 7fffffffffffffff"),
            (i64::MIN, "01 41 8000000000000000"),
            (-56, "01 41 ffffffffffffffc8"),
        ];
        for (i, expected) in cases {
            assert_eq!(packed(&[ValueRef::Int(*i)]), hex(expected), "{i}");
            assert_eq!(unpack(&hex(expected)).unwrap(), [ValueRef::Int(*i)]);
        }
    }

    #[test]
    fn a1_nan_in_a_key_is_rejected() {
        assert!(unpack(&hex("01 02 7ff8000000000000")).unwrap_err().text.contains("NaN"));
        assert!(unpack(&hex("01 02 fff0000000000001")).is_err());
        let mut out = vec![9];
        let values = [ValueRef::Int(1), ValueRef::Real(f64::NAN)];
        assert!(pack(&mut out, values.iter().copied()).is_err());
        assert_eq!(out, [9]);
    }

    #[test]
    fn e1_empty_or_short_keys_are_rejected() {
        assert!(unpack(&[]).unwrap_err().text.contains("empty"));
        let whole = hex("04 09 01 0b 02 6162 02 3ff8000000000000 05");
        assert!(unpack(&whole).is_ok());
        for n in 0..whole.len() {
            assert!(unpack(&whole[..n]).is_err(), "{n} bytes");
        }
    }

    #[test]
    fn e2_lengths_beyond_the_buffer_are_rejected() {
        for s in ["01 0b 02 61", "01 43 ffffffffffffffff", "01 44 7fffffffffffffff", "01 0c 01"] {
            assert!(unpack(&hex(s)).is_err(), "{s}");
        }
    }

    #[test]
    fn e3_other_forms_of_a_key_are_rejected() {
        let nine = "01 49 010203040506070809";
        let twenty = "01 a1 0102030405060708090a0b0c0d0e0f1011121314";
        let zeroes = ["01 09 00", "01 11 0001", "01 0b 00", "01 13 0001 61", "01 0c 00"];
        let tags = ["01 00", "01 06", "01 07", "01 0d", "01 0d 00", "01 42 3ff8000000000000"];
        for s in [nine, twenty].iter().chain(&zeroes).chain(&tags) {
            assert!(unpack(&hex(s)).is_err(), "{s}");
        }
        assert!(unpack(&hex("01 09 01 00")).unwrap_err().text.contains("left over"));
    }

    #[test]
    fn e6_no_columns_or_too_many_are_rejected() {
        assert!(unpack(&[0]).unwrap_err().text.contains("no columns"));
        let mut out = Vec::new();
        assert!(pack(&mut out, [].into_iter()).is_err());
        assert!(pack(&mut out, [ValueRef::Null; 256].into_iter()).is_err());
        assert!(out.is_empty());
        pack(&mut out, [ValueRef::Null; 255].into_iter()).unwrap();
        assert_eq!(unpack(&out).unwrap().len(), 255);
    }

    #[test]
    fn b4_keys_that_sqlite_calls_equal_are_one_key() {
        use ValueRef::{Int, Real, Text};
        let cases = [
            (Real(1.0), Int(1)),
            (Real(0.0), Int(0)),
            (Real(-0.0), Int(0)),
            (Real(1e15), Int(1_000_000_000_000_000)),
            (Real(9_007_199_254_740_993.0), Int(9_007_199_254_740_992)),
            (Real(-9_223_372_036_854_775_808.0), Int(i64::MIN)),
            (Real(9_223_372_036_854_774_784.0), Int(9_223_372_036_854_774_784)),
            (Real(9_223_372_036_854_775_808.0), Real(9_223_372_036_854_775_808.0)),
            (Real(-9_223_372_036_854_777_856.0), Real(-9_223_372_036_854_777_856.0)),
            (Real(1.5), Real(1.5)),
            (Real(f64::INFINITY), Real(f64::INFINITY)),
            (Real(5e-324), Real(5e-324)),
            (Text(b"1.0"), Text(b"1.0")),
            (Int(7), Int(7)),
        ];
        for (v, expected) in cases {
            assert_eq!(canonical_key(v), expected, "{v:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_come_back(values in prop::collection::vec(any_value(), 1..9)) {
            let refs: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
            let bytes = packed(&refs);
            prop_assert_eq!(unpack(&bytes).unwrap(), refs);
        }

        #[test]
        fn e3_whatever_is_understood_is_packed_the_same(
            columns in 1u8..5,
            tail in prop::collection::vec(prop_oneof![0u8..20, any::<u8>()], 0..30),
        ) {
            let mut bytes = vec![columns];
            bytes.extend_from_slice(&tail);
            for end in 1..=bytes.len() {
                if let Ok(values) = unpack(&bytes[..end]) {
                    prop_assert_eq!(&packed(&values)[..], &bytes[..end]);
                }
            }
        }
    }
}
