//! Column affinity: what SQLite makes of a value when it is stored in a column, by the rules of
//! "Datatypes In SQLite" (section 3) and "STRICT Tables". It tells whether a value from a peer
//! would be stored as it is. Where it would not, the change is HELD, because the replica would
//! otherwise hold something that nobody wrote (threat A9).
//!
//! What becomes of a value, by the affinity of the column:
//!
//! | affinity         | INTEGER | REAL                             | TEXT          | BLOB | NULL |
//! |------------------|---------|----------------------------------|---------------|------|------|
//! | BLOB, ANY        | kept    | kept                             | kept          | kept | kept |
//! | TEXT             | to TEXT | to TEXT                          | kept          | kept | kept |
//! | INTEGER, NUMERIC | kept    | to INTEGER where exactly one     | to a number   | kept | kept |
//! | REAL             | to REAL | kept, but -0.0 to 0.0            | to a number   | kept | kept |
//!
//! "Exactly one" leaves out -2^63, which SQLite keeps as REAL. TEXT becomes a number when all of it
//! reads as one: blanks, sign, digits with or without a point, exponent, blanks. For this SQLite
//! 3.54 reads a TEXT up to its first NUL and 3.40 all of it; here it is up to the NUL, so that a
//! TEXT said to be kept is kept by both (what 3.40 alone would keep is HELD).
//!
//! In a STRICT table a value is stored only where it has the column's class afterwards, so that
//! "unchanged" is: NULL, the column's own class, or anything at all in an ANY column.
//!
//! The rowid (`INTEGER PRIMARY KEY`) is stricter than its affinity: it takes INTEGER alone. That
//! is for whoever looks at keys, as NOT NULL is.

use super::value::ValueRef;

/// The affinity of a column: which classes its values are turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Affinity {
    /// INTEGER: stores as NUMERIC does.
    Integer,
    /// TEXT: numbers become text.
    Text,
    /// BLOB, or no declared type: nothing is changed.
    Blob,
    /// REAL: numbers, and texts that read as one, become floating point.
    Real,
    /// NUMERIC: texts that read as a number become one, INTEGER where exact.
    Numeric,
    /// ANY in a STRICT table: nothing is changed and every class is taken.
    Any,
}

impl Affinity {
    /// The affinity of a column by its declared type, by SQLite's rules: in a STRICT table the type
    /// is one of six names; elsewhere the first of these that is found anywhere in it decides:
    /// INT; CHAR, CLOB, TEXT; BLOB, or no type at all; REAL, FLOA, DOUB; else it is NUMERIC.
    pub fn of(decl: &str, strict: bool) -> Affinity {
        let decl = decl.to_ascii_uppercase();
        if strict && decl.trim() == "ANY" {
            return Affinity::Any;
        }
        // The five other names of STRICT tables come out of the general rules as themselves.
        let has = |names: &[&str]| names.iter().any(|name| decl.contains(name));
        if has(&["INT"]) {
            Affinity::Integer
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Affinity::Text
        } else if has(&["BLOB"]) || decl.trim().is_empty() {
            Affinity::Blob
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }

    /// The name of the affinity, for schema prints and sentences.
    pub fn name(self) -> &'static str {
        match self {
            Affinity::Integer => "INTEGER",
            Affinity::Text => "TEXT",
            Affinity::Blob => "BLOB",
            Affinity::Real => "REAL",
            Affinity::Numeric => "NUMERIC",
            Affinity::Any => "ANY",
        }
    }
}

/// True when storing `v` in a column of this affinity and reading it back gives the same class and
/// the same bytes. True of every value that such a column can hand out; false where a STRICT table
/// would refuse the value, and of NaN, which SQLite stores as NULL.
pub fn stores_unchanged(aff: Affinity, strict: bool, v: ValueRef<'_>) -> bool {
    match (aff, v) {
        (_, ValueRef::Null) => true,
        (_, ValueRef::Real(r)) if r.is_nan() => false,
        (Affinity::Any, _) => true,
        (Affinity::Blob, v) => !strict || matches!(v, ValueRef::Blob(_)),
        (_, ValueRef::Blob(_)) => !strict,
        (Affinity::Text, v) => matches!(v, ValueRef::Text(_)),
        (_, ValueRef::Text(t)) => !strict && !reads_as_number(t),
        (Affinity::Integer | Affinity::Numeric, ValueRef::Int(_)) => true,
        (Affinity::Integer, ValueRef::Real(_)) if strict => false,
        (Affinity::Integer | Affinity::Numeric, ValueRef::Real(r)) => !becomes_integer(r),
        (Affinity::Real, ValueRef::Int(_)) => false,
        // In the record it may well be an integer, to save space; -0.0 does not come back from it.
        (Affinity::Real, ValueRef::Real(r)) => r.to_bits() != (-0.0f64).to_bits(),
    }
}

/// True when SQLite stores this REAL as an INTEGER in a column of INTEGER or NUMERIC affinity: it
/// is one exactly, and neither the lowest nor the highest there is.
fn becomes_integer(r: f64) -> bool {
    /// 2^63, the first REAL that is above every INTEGER; its negative is the lowest INTEGER.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    -BEYOND < r && r < BEYOND && r.trunc() == r
}

/// True when all of the text, up to its first NUL, reads as a number to SQLite.
fn reads_as_number(text: &[u8]) -> bool {
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    let rest = skip(text, is_blank);
    let rest = rest.strip_prefix(b"+").or_else(|| rest.strip_prefix(b"-")).unwrap_or(rest);
    let whole = skip(rest, |b| b.is_ascii_digit());
    let mut digits = rest.len() - whole.len();
    let mut rest = whole;
    if let Some(point) = rest.strip_prefix(b".") {
        rest = skip(point, |b| b.is_ascii_digit());
        digits += point.len() - rest.len();
    }
    if digits == 0 {
        return false;
    }
    if let Some(e) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let e = e.strip_prefix(b"+").or_else(|| e.strip_prefix(b"-")).unwrap_or(e);
        rest = skip(e, |b| b.is_ascii_digit());
        if rest.len() == e.len() {
            return false;
        }
    }
    skip(rest, is_blank).is_empty()
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r')
}

/// What follows the bytes at the front for which `is` holds.
fn skip(text: &[u8], is: impl Fn(u8) -> bool) -> &[u8] {
    let n = text.iter().take_while(|b| is(**b)).count();
    text.get(n..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    // That SQLite agrees is tested in tests/words_affinity.rs.

    #[test]
    fn affinity_of_declared_types() {
        use Affinity::{Any, Blob, Integer, Numeric, Real, Text};
        let cases = [
            ("INTEGER", Integer),
            ("int", Integer),
            ("UNSIGNED BIG INT", Integer),
            ("CHARINT", Integer),
            ("FLOATING POINT", Integer),
            ("VARCHAR(255)", Text),
            ("NCLOB", Text),
            ("TEXTBLOB", Text),
            ("BLOBTEXT", Text),
            ("BLOB", Blob),
            ("REALBLOB", Blob),
            ("", Blob),
            ("DOUBLE PRECISION", Real),
            ("Float", Real),
            ("REAL", Real),
            ("DECIMAL(10,5)", Numeric),
            ("BOOLEAN", Numeric),
            ("DATETIME", Numeric),
            ("STRING", Numeric),
            ("ANY", Numeric),
        ];
        for (decl, aff) in cases {
            assert_eq!(Affinity::of(decl, false), aff, "{decl}");
        }
        let strict = [
            ("INT", Integer),
            ("integer", Integer),
            ("REAL", Real),
            ("TEXT", Text),
            ("Blob", Blob),
            ("any", Any),
        ];
        for (decl, aff) in strict {
            assert_eq!(Affinity::of(decl, true), aff, "{decl}");
        }
    }

    #[test]
    fn a9_texts_that_read_as_numbers() {
        let numbers = [
            "12",
            " 12 ",
            "1e3",
            "12.0",
            "-1",
            "+1",
            ".5",
            "5.",
            "-.5e-3",
            "1.e5",
            "0",
            "-0",
            "\t\n\x0b\x0c\r1\r",
            "1E+05",
            "99999999999999999999999",
            "1e999",
            "12\0abc",
        ];
        for text in numbers {
            assert!(reads_as_number(text.as_bytes()), "{text:?}");
        }
        let others = [
            "", " ", ".", "-", "+", "-.", "e5", ".e5", "1e", "1e+", "1 2", "0x10", "inf", "nan",
            "--1", "- 1", "1_000", "12a", "\u{a0}12", "1.2.3", "1e5.0", "\0", "a\x0012",
        ];
        for text in others {
            assert!(!reads_as_number(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn a9_values_that_a_column_would_change() {
        use Affinity::{Any, Blob, Integer, Numeric, Real, Text};
        let int = ValueRef::Int(5);
        let changed = [
            (Integer, ValueRef::Text(b"12")),
            (Numeric, ValueRef::Text(b"1.5")),
            (Real, ValueRef::Text(b"12")),
            (Text, int),
            (Text, ValueRef::Real(1.5)),
            (Real, int),
            (Integer, ValueRef::Real(2.0)),
            (Integer, ValueRef::Real(9_223_372_036_854_774_784.0)),
            (Numeric, ValueRef::Real(-0.0)),
            (Real, ValueRef::Real(-0.0)),
            (Blob, ValueRef::Real(f64::NAN)),
        ];
        for (aff, v) in changed {
            assert!(!stores_unchanged(aff, false, v), "{aff:?} {v:?}");
        }
        let kept = [
            (Integer, ValueRef::Text(b"twelve")),
            (Integer, ValueRef::Real(2.5)),
            (Integer, ValueRef::Real(-9_223_372_036_854_775_808.0)),
            (Numeric, ValueRef::Real(f64::INFINITY)),
            (Real, ValueRef::Real(0.0)),
            (Blob, ValueRef::Real(-0.0)),
            (Text, ValueRef::Blob(b"12")),
            (Any, ValueRef::Text(b"12")),
            (Real, ValueRef::Null),
        ];
        for (aff, v) in kept {
            assert!(stores_unchanged(aff, false, v), "{aff:?} {v:?}");
        }
    }
}
