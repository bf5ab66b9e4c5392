//! The promise: what the simulator once found stays mended. Each test is a history that it shrank,
//! told again by hand; the cases as it printed them are in `sim/finds/`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::clock::Clock;
use common::sync::{assert_equal, pull, pull_in, pull_rows, settle, two};
use common::{error, memory, rows, run};

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b); SELECT crsql_as_crr('t')";

/// A transaction has one stamp, which was given at its first flush. One that wrote, merged a later
/// change and then wrote the same cell wrote it with the earlier stamp: its own file kept the new
/// value, everybody else kept the merged one, for ever.
#[test]
fn d7_a_write_after_a_merge_in_one_transaction_is_later_than_what_was_merged() {
    for by_rows in [false, true] {
        let (a, b) = two(T);
        run(&a, "BEGIN; INSERT INTO t VALUES(1, 'first', 0); SELECT count(*) FROM crsql_changes");
        std::thread::sleep(std::time::Duration::from_millis(2));
        run(&b, "INSERT INTO t VALUES(2, 'theirs', 0)");
        if by_rows {
            pull_rows(&a, &b);
        } else {
            pull(&a, &b);
        }
        run(&a, "UPDATE t SET a = 'ours' WHERE k = 2; COMMIT");
        settle(&[&a, &b]);
        assert_equal(&[&a, &b]);
        assert_eq!(rows(&b, "SELECT a FROM t WHERE k = 2"), ["ours"], "by rows: {by_rows}");
    }
}

/// The same, where the merge is undone by a savepoint and another one is not.
#[test]
fn d7_a_stamp_that_was_given_anew_and_undone_is_given_anew_again() {
    let (a, b) = two(T);
    run(&a, "BEGIN; INSERT INTO t VALUES(1, 'first', 0); SELECT count(*) FROM crsql_changes");
    std::thread::sleep(std::time::Duration::from_millis(2));
    run(&b, "INSERT INTO t VALUES(2, 'theirs', 0)");
    let early = common::sync::everything(&b);
    std::thread::sleep(std::time::Duration::from_millis(2));
    run(&b, "INSERT INTO t VALUES(3, 'later', 0)");
    run(&a, "SAVEPOINT s");
    pull(&a, &b);
    run(&a, "UPDATE t SET a = 'ours' WHERE k = 3; SELECT count(*) FROM crsql_changes");
    run(&a, "ROLLBACK TO s");
    common::sync::apply(&a, &early);
    run(&a, "UPDATE t SET a = 'ours' WHERE k = 2; COMMIT");
    settle(&[&a, &b]);
    assert_equal(&[&a, &b]);
    assert_eq!(rows(&b, "SELECT a FROM t ORDER BY k"), ["first", "ours", "later"]);
}

/// What arrives row by row and is held was served onward by a record that did not know how far its
/// transaction goes. In parts, the first one then looked like the whole of it: the receiver called
/// the transaction seen, and never got the rest.
#[test]
fn e9_what_is_held_row_by_row_is_served_onward_in_all_its_parts() {
    let (ahead, clock) = (Clock::new(), Clock::new());
    let a = ahead.memory();
    run(&a, T);
    ahead.ahead(3_600_000);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b'), (2, 'a', 'b')");
    let (b, c) = (memory(), clock.memory());
    run(&b, T);
    run(&c, T);
    pull_rows(&b, &a);
    assert_eq!(rows(&b, "SELECT count(*) FROM crsql_held"), ["4"]);
    clock.ahead(3_600_000);
    pull_in(&c, &b, Some(1));
    assert_eq!(rows(&c, "SELECT * FROM t ORDER BY k"), ["1|a|b", "2|a|b"]);
}

/// `crsql_changes WHERE since` leaves the open transaction out, but what that had written over was
/// no longer there to be shown: the reader of the rows was told by the vector that it had all, the
/// transaction was rolled back, and the committed values never reached it.
#[test]
fn g2_rows_are_not_given_away_while_committed_ones_are_written_over() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'committed', 0)");
    run(&a, "BEGIN; UPDATE t SET a = 'not yet'");
    let refused = error(&a, "SELECT * FROM crsql_changes WHERE since = NULL");
    assert!(refused.contains("uncommitted changes in place of committed ones"), "{refused}");
    run(&a, "ROLLBACK");
    pull_rows(&b, &a);
    assert_equal(&[&a, &b]);
}

/// A disk that was full while the clock of a merged row was written made SQLite roll the whole
/// transaction back, and the clock stayed in memory, to be written by the next one: a clock of a
/// row that is not there.
#[test]
fn f3_a_clock_that_found_no_room_is_not_written_by_the_next_transaction() {
    let (a, _) = two(T);
    run(
        &a,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO t SELECT i, i, 'b' FROM n",
    );
    let blob = common::sync::everything(&a);
    let mut refused = 0;
    for room in 0..40 {
        let b = memory();
        run(&b, &format!("PRAGMA page_size = 512; VACUUM; {T}"));
        let pages = common::int(&b, "PRAGMA page_count") + room;
        run(&b, &format!("PRAGMA max_page_count = {pages}"));
        let full = common::sync::try_apply(&b, &blob).is_err();
        refused += usize::from(full);
        run(&b, "PRAGMA max_page_count = 1000000; SELECT count(*) FROM crsql_changes");
        pull(&b, &a);
        assert_equal(&[&a, &b]);
    }
    assert!((5..40).contains(&refused), "{refused}");
}
