//! The promise: bookkeeping is bounded by what lives and by what peers have not acknowledged, not
//! by how often it was written; and a log that was swept still brings every peer up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{
    apply, assert_equal, changeset, everything, pull, pull_rows, settle, two, vector,
};
use common::{Seeded, int, memory, one, rows, run};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w); SELECT crsql_as_crr('t');";
const FILL: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
     INSERT INTO t SELECT i, i, i FROM n";

fn log(db: &Connection) -> (i64, i64) {
    let sql = "SELECT count(*) || ' ' || sum(length(rows)) FROM crsql_log";
    let text = one(db, sql);
    let (n, bytes) = text.split_once(' ').unwrap();
    (n.parse().unwrap(), bytes.parse().unwrap())
}

/// 300 times the same 1,000 rows, 1,000 rows to a transaction.
#[test]
fn rewriting_in_large_transactions_keeps_the_log_bounded() {
    let (a, b) = two(T);
    run(&a, FILL);
    pull(&b, &a);
    for n in 0..300 {
        run(&a, &format!("UPDATE t SET v = {n}"));
        if n == 150 {
            pull(&b, &a);
        }
    }
    // All are acknowledged but the last 150; those go when their peer has seen them.
    let before = log(&a);
    settle(&[&a, &b]);
    for n in 0..20 {
        run(&a, &format!("UPDATE t SET v = 'again {n}'"));
        settle(&[&a, &b]);
    }
    let after = log(&a);
    assert!(after.0 < 40 && after.1 < 60_000, "{before:?} then {after:?}");
    assert!(log(&b).0 < 60, "{:?}", log(&b));
    fresh_peers(&[&a, &b]);
}

/// 300,000 rewrites, one row to a transaction.
#[test]
fn rewriting_row_by_row_keeps_the_log_bounded() {
    let a = memory();
    run(&a, T);
    run(&a, FILL);
    let mut stmt = a.prepare("UPDATE t SET v = ?1 WHERE k = ?2").unwrap();
    let r = &mut Seeded(1);
    for n in 0..60_000i64 {
        stmt.execute([n, 1 + r.below(1000) as i64]).unwrap();
    }
    drop(stmt);
    let (records, bytes) = log(&a);
    assert!(records < 9_000 && bytes < 100_000, "{records} records, {bytes} bytes");
    let (b, c) = (memory(), memory());
    run(&b, T);
    run(&c, T);
    pull(&b, &a);
    pull_rows(&c, &a);
    assert_equal(&[&a, &b, &c]);
    fresh_peers(&[&a, &b, &c]);
}

/// The same through an exchange: the receiver's book of foreign transactions stays bounded too.
#[test]
fn a_receiver_of_rewrites_keeps_its_log_bounded() {
    let (a, b) = two(T);
    run(&a, FILL);
    let r = &mut Seeded(2);
    for round in 0..150 {
        for _ in 0..100 {
            run(&a, &format!("UPDATE t SET w = {round} WHERE k = {}", 1 + r.below(1000)));
        }
        pull(&b, &a);
        if round % 10 == 0 {
            pull(&a, &b);
        }
    }
    let (there, here) = (log(&a), log(&b));
    assert!(there.0 < 8_000 && here.0 < 8_000, "{there:?} {here:?}");
    fresh_peers(&[&a, &b]);
}

fn fresh_peers(all: &[&Connection]) {
    let live = int(all[0], "SELECT count(*) FROM crsql_changes");
    for from in all {
        let c = memory();
        run(&c, T);
        apply(&c, &everything(from));
        assert_equal(&[all[0], &c]);
        assert_eq!(int(&c, "SELECT count(*) FROM crsql_changes"), live);
        assert!(changeset(from, &vector(&c), None).is_none());
    }
}

/// Own versions that a known peer has not acknowledged keep their stamps, however long ago they
/// were written over, so that a restored backup is noticed.
#[test]
fn versions_that_a_peer_has_not_acknowledged_stay_detectable() {
    let dir = tempfile::tempdir().unwrap();
    let (here, backup) = (dir.path().join("a.db"), dir.path().join("backup.db"));
    let a = common::open(&here);
    run(&a, "PRAGMA synchronous = OFF");
    run(&a, T);
    run(&a, FILL);
    let b = memory();
    run(&b, T);
    pull(&b, &a);
    pull(&a, &b);
    a.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    run(&a, "UPDATE t SET v = 'the first line'");
    pull(&b, &a);
    drop(a);
    std::fs::copy(&backup, &here).unwrap();
    let a = common::open(&here);
    run(&a, "PRAGMA synchronous = OFF");
    for n in 0..30 {
        run(&a, &format!("UPDATE t SET w = {n}"));
    }
    settle(&[&a, &b]);
    assert_equal(&[&a, &b]);
    assert_eq!(rows(&b, "SELECT DISTINCT v, w FROM t"), ["the first line|29"]);
}

/// Inserts make nothing stale; their log is what it was.
#[test]
fn deletes_and_new_lives_are_swept_too() {
    let (a, b) = two(T);
    for n in 0..40 {
        run(&a, FILL);
        if n % 4 == 3 {
            settle(&[&a, &b]);
        }
        run(&a, "DELETE FROM t");
    }
    run(&a, FILL);
    settle(&[&a, &b]);
    for n in 0..10 {
        run(&a, &format!("UPDATE t SET v = {n}"));
        settle(&[&a, &b]);
    }
    let (records, bytes) = log(&a);
    assert!(records < 60 && bytes < 60_000, "{records} records, {bytes} bytes");
    fresh_peers(&[&a, &b]);
}
