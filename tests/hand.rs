//! The promise: a row whose changes arrive one by one is as if they had arrived together, whatever
//! happens in between.
//!
//! The clock of the row that the last change met stays in memory until the next row comes. A clock
//! that a savepoint took back, that a local write or a reader did not see, or that was never
//! written, would be a row that no peer ever agrees about again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{
    Change, assert_equal, changes, insert, pull, pull_rows, replicas, settle, try_insert, two,
};
use common::{int, one, rows, run};

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b, c);
                 CREATE TABLE u(k TEXT PRIMARY KEY NOT NULL, x, y);
                 SELECT crsql_as_crr('t'); SELECT crsql_as_crr('u');";

fn seen(to: &rusqlite::Connection, from: &rusqlite::Connection) {
    run(to, &format!("SELECT crsql_seen('{}')", common::sync::vector(from)));
}

/// Each savepoint notes the row in hand. What was written after it because another row came is
/// undone with it, so that the hand must hold it again.
#[test]
fn c10_rollback_to_takes_the_row_in_hand_back() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b', 'c'), (2, 'd', 'e', 'f')");
    run(&a, "INSERT INTO u VALUES('k', 1, 2)");
    let all = changes(&a, "1");
    let (first, rest) = all.split_at(2);
    run(&b, "BEGIN");
    for c in first {
        try_insert(&b, c).unwrap();
    }
    run(&b, "SAVEPOINT s");
    for c in rest {
        try_insert(&b, c).unwrap();
    }
    run(&b, "ROLLBACK TO s");
    assert_eq!(rows(&b, "SELECT * FROM t"), ["1|a|b|NULL"]);
    run(&b, "RELEASE s; COMMIT");
    assert_eq!(int(&b, "SELECT count(*) FROM crsql_changes"), 2);
    assert_eq!(rows(&b, "SELECT fault FROM crsql_check()"), ["unseen"]);
    insert(&b, rest);
    seen(&b, &a);
    assert_equal(&[&a, &b]);
}

/// The same in every way in which a transaction can be cut into savepoints: at random, and the
/// replica must agree with one that took everything at once.
#[test]
fn c10_savepoints_anywhere_leave_the_clocks_that_the_changes_say() {
    for seed in 0..60 {
        let mut r = common::Seeded(seed);
        let all = replicas(3, T);
        run(&all[0], "INSERT INTO t VALUES(1, 1, 1, 1), (2, 2, 2, 2); UPDATE t SET b = 5");
        run(&all[0], "INSERT INTO u VALUES('k', 1, 2); DELETE FROM t WHERE k = 2");
        run(&all[0], "INSERT INTO t VALUES(2, 3, 3, 3)");
        let changes: Vec<Change> = changes(&all[0], "1");
        let mut todo: Vec<&Change> = changes.iter().rev().collect();
        let b = &all[1];
        run(b, "BEGIN");
        let mut open: Vec<Vec<&Change>> = Vec::new();
        while let Some(c) = todo.pop() {
            match r.below(8) {
                0 => {
                    run(b, "SAVEPOINT s");
                    open.push(Vec::new());
                }
                1 if !open.is_empty() => {
                    run(b, "ROLLBACK TO s; RELEASE s");
                    todo.extend(open.pop().unwrap().into_iter().rev());
                }
                2 if !open.is_empty() => {
                    run(b, "RELEASE s");
                    let kept = open.pop().unwrap();
                    open.last_mut().into_iter().for_each(|outer| outer.extend(&kept));
                }
                3 => assert!(int(b, "SELECT count(*) FROM crsql_changes") >= 0),
                _ => {}
            }
            try_insert(b, c).unwrap();
            open.last_mut().into_iter().for_each(|inner| inner.push(c));
        }
        run(b, "COMMIT");
        seen(b, &all[0]);
        pull(&all[2], &all[0]);
        assert_equal(&[&all[0], b, &all[2]]);
    }
}

/// A feed that was being read while changes came in read the file's clock, which the row in hand
/// had left behind, beside the row's new value.
#[test]
fn a_feed_that_is_open_meanwhile_shows_each_value_with_its_own_clock() {
    let all = replicas(3, T);
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)";
    run(&all[0], &format!("{many} INSERT INTO t SELECT i, 'old', 'old', 'old' FROM n"));
    run(&all[0], &format!("{many} INSERT INTO u SELECT 'k' || i, 'old', 'old' FROM n"));
    pull(&all[1], &all[0]);
    pull(&all[2], &all[0]);
    run(&all[1], "UPDATE t SET b = 'new' WHERE k = 3000");
    run(&all[1], "UPDATE u SET y = 'new' WHERE k = 'k3000'");
    let site = one(&all[1], "SELECT hex(crsql_site_id())");
    let db = &all[2];
    for new in changes(&all[1], "val = 'new'") {
        run(db, "BEGIN");
        let mut stmt = db.prepare("SELECT cid, val, hex(site_id) FROM crsql_changes").unwrap();
        let mut open = stmt.query([]).unwrap();
        open.next().unwrap().unwrap();
        try_insert(db, &new).unwrap();
        while let Some(row) = open.next().unwrap() {
            let (val, by): (String, String) = (row.get(1).unwrap(), row.get(2).unwrap());
            assert_eq!(val == "new", site == by, "{val} by {by}");
        }
        drop(open);
        drop(stmt);
        run(db, "ROLLBACK");
    }
}

/// Local writes to the row in hand, before and after, in the same transaction.
#[test]
fn local_writes_and_the_row_in_hand_take_turns() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b', 'c'); INSERT INTO u VALUES('k', 1, 2)");
    let new = changes(&a, "1");
    run(&b, "BEGIN");
    try_insert(&b, &new[0]).unwrap();
    run(&b, "UPDATE t SET a = 'mine', c = 'mine' WHERE k = 1");
    for c in &new[1..] {
        try_insert(&b, c).unwrap();
    }
    run(&b, "DELETE FROM u; COMMIT");
    seen(&b, &a);
    assert_eq!(rows(&b, "SELECT * FROM t"), ["1|mine|b|mine"]);
    settle(&[&a, &b]);
    assert_eq!(rows(&a, "SELECT * FROM t"), ["1|mine|b|mine"]);
    assert_equal(&[&a, &b]);
}

/// A row that came cell by cell kept one entry per cell in its clock for ever, three times what the
/// same row needs where it was written.
#[test]
fn a_row_that_came_cell_by_cell_has_the_clock_of_one_that_came_at_once() {
    let all = replicas(3, T);
    run(&all[0], "INSERT INTO t VALUES(1, 'a', 'b', 'c'), (2, 'd', 'e', 'f')");
    pull_rows(&all[1], &all[0]);
    pull(&all[2], &all[0]);
    let clocks = "SELECT key, hex(clock) FROM crsql_clock_1";
    assert_eq!(rows(&all[1], clocks), rows(&all[2], clocks));
}
