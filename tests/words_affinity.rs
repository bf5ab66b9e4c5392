//! The promise: what `words::affinity` says about storing a value is what SQLite does.
//!
//! The story: a peer's TEXT '12' arrived in a column that is INTEGER here, was stored as 12, and
//! from then on the two replicas disagreed with nothing to show it (threat A9). So the rules are
//! our own, written out, and this test puts them beside SQLite's over every kind of value at every
//! edge we know and over random ones, in both directions: what is said to be kept is kept, what a
//! column changes is said to be changed, and what comes out of a column is always said to be kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use crsql::words::affinity::{Affinity, stores_unchanged};
use crsql::words::value::{Value, ValueRef};
use proptest::prelude::*;
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef as SqlRef};
use rusqlite::{Connection, ToSql};

/// Declared types, and whether the table is STRICT.
const COLUMNS: &[(&str, bool)] = &[
    ("INTEGER", false),
    ("VARCHAR(9)", false),
    ("TEXT", false),
    ("BLOB", false),
    ("", false),
    ("DOUBLE", false),
    ("REAL", false),
    ("NUMERIC", false),
    ("BOOLEAN", false),
    ("ANY", false),
    ("INT", true),
    ("INTEGER", true),
    ("REAL", true),
    ("TEXT", true),
    ("BLOB", true),
    ("ANY", true),
];

/// A value as it is bound: TEXT as bytes, whatever they are.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Owned(SqlValue::Null),
            Value::Int(i) => ToSqlOutput::Owned(SqlValue::Integer(*i)),
            Value::Real(r) => ToSqlOutput::Owned(SqlValue::Real(*r)),
            Value::Text(t) => ToSqlOutput::Borrowed(SqlRef::Text(t)),
            Value::Blob(b) => ToSqlOutput::Borrowed(SqlRef::Blob(b)),
        })
    }
}

fn unbound(v: SqlRef<'_>) -> Value {
    match v {
        SqlRef::Null => Value::Null,
        SqlRef::Integer(i) => Value::Int(i),
        SqlRef::Real(r) => Value::Real(r),
        SqlRef::Text(t) => Value::Text(t.to_vec()),
        SqlRef::Blob(b) => Value::Blob(b.to_vec()),
    }
}

/// One table per column of [`COLUMNS`].
fn open() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.set_prepared_statement_cache_capacity(64);
    for (n, (decl, strict)) in COLUMNS.iter().enumerate() {
        let strict = if *strict { "STRICT" } else { "" };
        db.execute_batch(&format!("CREATE TABLE t{n}(c {decl}) {strict}")).unwrap();
    }
    db
}

/// What the column holds after `v` was stored in it; nothing when it was refused.
fn stored(db: &Connection, n: usize, v: &Value) -> Option<Value> {
    let mut insert = db.prepare_cached(&format!("INSERT INTO t{n} VALUES (?1)")).unwrap();
    insert.execute([Bound(v)]).ok()?;
    let sql = format!("SELECT c FROM t{n} WHERE rowid = ?1");
    let mut select = db.prepare_cached(&sql).unwrap();
    let rowid = db.last_insert_rowid();
    let got = select.query_row([rowid], |row| Ok(unbound(row.get_ref(0)?))).unwrap();
    Some(got)
}

/// Both directions for one value, in every kind of column.
fn agree(db: &Connection, v: &Value) {
    for (n, (decl, strict)) in COLUMNS.iter().enumerate() {
        let aff = Affinity::of(decl, *strict);
        let got = stored(db, n, v);
        let kept = got.as_ref() == Some(v);
        let said = stores_unchanged(aff, *strict, v.as_ref());
        assert_eq!(said, kept, "{v:?} in {decl:?} strict={strict} becomes {got:?}");
        if let Some(got) = got {
            let settled = stores_unchanged(aff, *strict, got.as_ref());
            assert!(settled, "{got:?} was read from {decl:?} strict={strict}");
        }
    }
}

const REALS: &[f64] = &[
    0.0,
    1.0,
    2.0,
    0.5,
    1e15,
    1e17,
    1e18,
    1e19,
    1e300,
    5e-324,
    140_737_488_355_327.0,
    140_737_488_355_328.0,
    140_737_488_355_329.0,
    2_251_799_813_685_247.0,
    2_251_799_813_685_248.0,
    2_251_799_813_685_248.5,
    9_007_199_254_740_992.0,
    9_007_199_254_740_994.0,
    9_223_372_036_854_774_784.0,
    9_223_372_036_854_775_808.0,
    9_223_372_036_854_777_856.0,
    f64::MAX,
    f64::MIN_POSITIVE,
    f64::INFINITY,
];

#[rustfmt::skip]
const TEXTS: &[&[u8]] = &[
    b"", b" ", b"12", b" 12 ", b"1e3", b"12.0", b"-1", b"+1", b".5", b"5.", b"-.5e-3", b"1.e5",
    b"0", b"-0", b"-0.0", b"\t\n\x0b\x0c\r1\r", b"1E+05", b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809",
    b"99999999999999999999999", b"1e999", b"1e-999", b"12\0", b"12\0abc", b"\x0012", b"12 \0x",
    b".", b"-", b"+", b"-.", b"e5", b".e5", b"1e", b"1e+", b"1 2", b"0x10", b"inf", b"nan",
    b"--1", b"- 1", b"1_000", b"12a", b"\xc2\xa012", b"12\xff", b"\xff", b"1.2.3", b"1e5.0",
    b"12\x1f", b"\x0812", b"\x0e12", b"00012", b"1.", b"1. ", b"1e1 ", b"1e 1", b"x'12'",
];

fn edges() -> Vec<Value> {
    let mut edges = vec![Value::Null, Value::Int(i64::MIN), Value::Real(f64::NAN)];
    for i in [0, 1, 127, 128, 1 << 47, -(1 << 47), (1 << 51) - 1, 1 << 51, 1 << 53, i64::MAX] {
        edges.extend([Value::Int(i), Value::Int(i - 1), Value::Int(-i)]);
    }
    edges.extend(REALS.iter().flat_map(|r| [Value::Real(*r), Value::Real(-*r)]));
    edges.extend(TEXTS.iter().flat_map(|t| [Value::Text(t.to_vec()), Value::Blob(t.to_vec())]));
    edges
}

#[test]
fn a9_sqlite_agrees_at_the_edges() {
    let db = open();
    for v in edges() {
        agree(&db, &v);
    }
}

#[test]
fn a9_the_affinity_of_a_declared_type_is_the_one_sqlite_gives() {
    let words = ["INT", "CHAR", "CLOB", "TEXT", "BLOB", "REAL", "FLOA", "DOUB", "DATE", "x", ""];
    let db = Connection::open_in_memory().unwrap();
    let mut n = 0;
    for a in words {
        for b in words {
            for decl in [format!("{a}{b}"), format!("{a} {b}").trim().to_lowercase()] {
                n += 1;
                db.execute_batch(&format!("CREATE TABLE t{n}(c {decl})")).unwrap();
                let aff = Affinity::of(&decl, false);
                for v in [Value::text("1.0"), Value::Int(1), Value::Real(2.0)] {
                    let kept = stored(&db, n, &v).as_ref() == Some(&v);
                    assert_eq!(stores_unchanged(aff, false, v.as_ref()), kept, "{decl:?} {v:?}");
                }
            }
        }
    }
}

fn number_like() -> impl Strategy<Value = Vec<u8>> {
    let alphabet: &'static [u8] = b"0123456789..eE+-- \t\n\0x";
    prop::collection::vec(prop::sample::select(alphabet), 0..9)
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (any::<i64>(), 0..64u32).prop_map(|(i, s)| Value::Int(i >> s)),
        any::<f64>().prop_map(Value::Real),
        any::<u64>().prop_map(|bits| Value::Real(f64::from_bits(bits))),
        (any::<i64>(), 0..64u32).prop_map(|(i, s)| Value::Real((i >> s) as f64)),
        any::<i32>().prop_map(|i| Value::Real(f64::from(i) / 8.0)),
        number_like().prop_map(Value::Text),
        number_like().prop_map(Value::Blob),
        any::<f64>().prop_map(|r| Value::text(r.to_string())),
        any::<i64>().prop_map(|i| Value::text(i.to_string())),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::Text),
    ]
}

#[test]
fn a9_sqlite_agrees_about_random_values() {
    let db = open();
    db.execute_batch("BEGIN").unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(6_000));
    let outcome = runner.run(&any_value(), |v| {
        agree(&db, &v);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a2_negative_zero_is_kept_only_where_there_is_no_affinity() {
    let zero = ValueRef::Real(-0.0);
    for (decl, strict) in COLUMNS {
        let aff = Affinity::of(decl, *strict);
        let kept = matches!(aff, Affinity::Any) || (!strict && aff == Affinity::Blob);
        assert_eq!(stores_unchanged(aff, *strict, zero), kept, "{decl:?}");
    }
}
