//! The promise: a value arrives as the bytes it was written as, whatever they are, by changeset and
//! row by row. cr-sqlite took text for UTF-8 unchecked, and others cut it at the first NUL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{apply, assert_equal, changeset, copy_rows, everything, try_apply, vector};
use common::{error, int, memory, one, rows, run};
use rusqlite::{Connection, ffi};
use sha2::{Digest, Sha256};

const T: &str = "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t')";

fn both_ways(values: &str) {
    let (a, b, c) = (memory(), memory(), memory());
    for db in [&a, &b, &c] {
        run(db, T);
    }
    run(&a, &format!("INSERT INTO t VALUES {values}"));
    let blob: Vec<u8> = a.query_row("SELECT crsql_changeset()", [], |r| r.get(0)).unwrap();
    let _: String = b.query_row("SELECT crsql_apply(?1)", [blob], |r| r.get(0)).unwrap();
    copy_rows(&a, &c);
    let all = |db: &Connection| rows(db, "SELECT hex(k), typeof(v), hex(v) FROM t ORDER BY k");
    assert!(!all(&a).is_empty());
    assert_eq!(all(&a), all(&b));
    assert_eq!(all(&a), all(&c));
}

#[test]
fn a5_nul_inside_text_is_a_byte_like_any_other() {
    both_ways("('a', 'x' || char(0) || 'y'), ('b' || char(0) || 'c', char(0)), ('d', x'00')");
}

#[test]
fn a6_text_that_is_not_utf8_stays_as_it_is() {
    both_ways(
        "('a', CAST(x'ff' AS TEXT)), ('b', CAST(x'eda080' AS TEXT)), ('c', CAST(x'c0af' AS TEXT)),
         (CAST(x'80' AS TEXT), 'key')",
    );
}

/// Two libraries print one REAL differently (15 digits, 17, other exponents), so its text tells
/// nothing: reals that print alike are two keys and two values, and arrive bit by bit.
#[test]
fn a8_a_real_is_its_bits_and_never_its_text() {
    let reals = [0.1f64, 1.0 / 3.0, 1e22, 2.5e-300, 5e-324, f64::MAX, 9007199254740993.5];
    let all = || {
        let near = |r: &f64| [r.to_bits(), r.to_bits() + 1].map(f64::from_bits);
        reals.iter().flat_map(near).filter(|r| r.is_finite()).flat_map(|r| [r, -r])
    };
    let (a, b, c) = (memory(), memory(), memory());
    for db in [&a, &b, &c] {
        run(db, "CREATE TABLE t(k REAL PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t')");
    }
    for r in all() {
        a.execute("INSERT INTO t VALUES(?1, ?1)", [r]).unwrap();
    }
    apply(&b, &everything(&a));
    copy_rows(&a, &c);
    let bits = |db: &Connection| {
        let mut stmt = db.prepare("SELECT k, v FROM t").unwrap();
        let rows = stmt.query_map([], |r| Ok((r.get::<_, f64>(0)?, r.get::<_, f64>(1)?))).unwrap();
        let mut all: Vec<_> =
            rows.map(|r| r.unwrap()).map(|(k, v)| (k.to_bits(), v.to_bits())).collect();
        all.sort_unstable();
        all
    };
    let mut wanted: Vec<_> = all().map(|r| (r.to_bits(), r.to_bits())).collect();
    wanted.sort_unstable();
    for (n, db) in [&a, &b, &c].into_iter().enumerate() {
        assert_eq!(bits(db), wanted, "replica {n}");
    }
    // One bit more is a change.
    let version = int(&a, "SELECT crsql_db_version()");
    let up = f64::from_bits(0.1f64.to_bits() + 2);
    a.execute("UPDATE t SET v = ?1 WHERE k = 0.1", [up]).unwrap();
    assert_eq!(int(&a, "SELECT crsql_db_version()"), version + 1);
    apply(&b, &changeset(&a, &vector(&b), None).unwrap());
    assert_eq!(bits(&a), bits(&b));
    assert_equal(&[&a, &b]);
}

fn limit(db: &Connection, bytes: i32) {
    // SAFETY: the connection is open; 0 is SQLITE_LIMIT_LENGTH.
    unsafe { ffi::sqlite3_limit(db.handle(), 0, bytes) };
}

/// A connection takes values up to a limit, and a changeset is a value. It once was made whatever
/// its size, and then refused by SQLite: nothing could be sent any more where little could be.
#[test]
fn a10_what_is_too_large_is_refused_here_and_rejected_from_there() {
    let (a, b) = (memory(), memory());
    run(&a, T);
    run(&b, T);
    limit(&a, 100_000);
    let too_large = error(&a, "INSERT INTO t VALUES ('k', zeroblob(100001))");
    assert!(too_large.contains("too big"), "{too_large}");
    assert_eq!(one(&a, "SELECT crsql_db_version()"), "0");
    // One transaction and many, each larger than a value can be.
    run(
        &a,
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
             INSERT INTO t SELECT 'one' || i, randomblob(30000) FROM n",
    );
    for n in 0..9 {
        run(&a, &format!("INSERT INTO t VALUES ('many{n}', randomblob(60000))"));
    }
    while let Some(blob) = changeset(&a, &vector(&b), None) {
        assert!(blob.len() <= 100_000);
        apply(&b, &blob);
    }
    // Looking at the values as hexadecimal text takes twice their size.
    limit(&a, 1_000_000);
    assert_equal(&[&a, &b]);
    limit(&a, 100_000);
    // One value that leaves no room for the rest of a changeset: the sentence says what to do.
    run(&a, "INSERT INTO t VALUES ('huge', randomblob(99950))");
    let asked = format!("SELECT crsql_changeset('{}')", vector(&b));
    let why = error(&a, &asked);
    assert!(why.contains("SQLITE_LIMIT_LENGTH"), "{why}");
    limit(&a, 1_000_000);
    apply(&b, &changeset(&a, &vector(&b), None).unwrap());
    assert_equal(&[&a, &b]);
}

/// A length is believed only as far as there are bytes.
#[test]
fn a10_a_length_beyond_all_memory_is_rejected_unread() {
    let a = memory();
    run(&a, &format!("{T}; INSERT INTO t VALUES ('k', '{}')", "m".repeat(100)));
    let good = everything(&a);
    // A long text is 3a, its length, its bytes.
    let at = good.windows(3).position(|w| w == [0x3a, 100, b'm']).unwrap();
    for length in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0xff; 9], &[101]] {
        let mut bad = good[..=at].to_vec();
        bad.extend_from_slice(length);
        if length.len() == 9 {
            bad.push(1);
        }
        bad.extend_from_slice(&good[at + 2..good.len() - 32]);
        let hash = Sha256::digest(&bad);
        bad.extend_from_slice(&hash);
        let b = memory();
        run(&b, T);
        let why = try_apply(&b, &bad).unwrap_err();
        assert!(why.contains("REJECTED"), "{why}");
        assert_eq!(rows(&b, "SELECT * FROM t"), [""; 0]);
    }
}
