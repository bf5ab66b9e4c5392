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

/// A file that has a transaction in part asked one that had got it row by row, and did not know of
/// its last places because they were written over. The answer was REJECTED, and with it everything
/// else that it had to give.
#[test]
fn f8_a_part_goes_on_where_less_is_left_than_it_has() {
    let (a, b) = two(T);
    let (c, d) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b'), (2, 'a', 'b'), (3, 'a', 'b')");
    for _ in 0..2 {
        let part = common::sync::changeset(&a, &common::sync::vector(&d), Some(1)).unwrap();
        common::sync::apply(&d, &part);
    }
    std::thread::sleep(std::time::Duration::from_millis(2));
    run(&c, "INSERT INTO t VALUES(2, 'c', 'c'), (3, 'c', 'c')");
    pull_rows(&b, &c);
    common::sync::insert(&b, &common::sync::changes(&a, "seq < 2"));
    let seen = common::sync::vector(&a);
    run(&b, &format!("SELECT crsql_seen('{seen}')"));
    pull_in(&d, &b, Some(1));
    pull_in(&d, &b, None);
    assert_eq!(rows(&d, "SELECT * FROM t ORDER BY k"), ["1|a|b", "2|c|c", "3|c|c"]);
    settle(&[&a, &b, &c, &d]);
    assert_equal(&[&a, &b, &c, &d]);
}

/// A file that cannot make its newest versions durable now, because a transaction is open, leaves
/// them out of what it shows row by row. Its vector told of them all the same: the reader called
/// them seen, and never got them.
#[test]
fn h2_a_vector_does_not_tell_of_versions_that_rows_leave_out() {
    let dir = tempfile::tempdir().unwrap();
    let a = common::open(&dir.path().join("a.db"));
    let b = memory();
    run(&a, &format!("PRAGMA journal_mode = DELETE; PRAGMA synchronous = NORMAL; {T}"));
    run(&b, T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b'); BEGIN");
    pull_rows(&b, &a);
    assert_eq!(rows(&b, "SELECT count(*) FROM t"), ["0"]);
    run(&a, "COMMIT");
    pull_rows(&b, &a);
    assert_equal(&[&a, &b]);
}

/// Looking at the feed counted as having put it on the disk, in journal modes too where nothing
/// was: a file that had been looked at gave its newest versions away without making them durable.
#[test]
fn h2_looking_at_the_feed_makes_nothing_durable() {
    let dir = tempfile::tempdir().unwrap();
    let a = common::open(&dir.path().join("a.db"));
    run(&a, &format!("PRAGMA journal_mode = DELETE; PRAGMA synchronous = NORMAL; {T}"));
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b'); SELECT count(*) FROM crsql_changes");
    assert_eq!(rows(&a, "SELECT mark FROM crsql_state"), ["0"]);
    common::sync::everything(&a);
    assert_eq!(rows(&a, "SELECT mark FROM crsql_state"), ["1"]);
}

/// A transaction came in parts: the first from its origin, the last from a file that held its rows
/// because of their clock, and so did not know its stamp. It was taken for a transaction without
/// one, and REJECTED each time it was tried.
#[test]
fn d1_parts_of_one_transaction_from_two_senders_have_one_stamp() {
    let behind = Clock::new();
    let (a, c) = two(T);
    let b = behind.memory();
    run(&b, T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b'), (2, 'a', 'b')");
    let part = common::sync::changeset(&a, &common::sync::vector(&c), Some(1)).unwrap();
    common::sync::apply(&c, &part);
    behind.ahead(-3_600_000);
    pull_rows(&b, &a);
    pull_in(&c, &b, Some(1));
    assert_eq!(rows(&c, "SELECT * FROM t ORDER BY k"), ["1|a|b", "2|a|b"]);
    behind.ahead(0);
    settle(&[&a, &b, &c]);
    assert_equal(&[&a, &b, &c]);
}

/// Inside an open transaction the vector told of what `crsql_seen` had granted in it. A peer took
/// that for an acknowledgement, and the transaction was rolled back.
#[test]
fn f2_a_vector_tells_of_rows_once_they_are_committed() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b')");
    let seen = || common::one(&b, "SELECT crsql_vector() ->> '$.seen'");
    run(&b, "BEGIN");
    pull_rows(&b, &a);
    assert_eq!(seen(), "{}");
    run(&b, "COMMIT");
    assert_ne!(seen(), "{}");
}

/// Between `crsql_begin_alter` and `crsql_commit_alter` the trigger for the key fired for
/// statements that name its column. One that named the rowid instead changed the key, and nobody
/// captured it: the row stayed under its old key everywhere else.
#[test]
fn c8_a_key_that_changes_under_the_name_of_the_rowid_is_captured_while_altering() {
    for name in ["rowid", "oid", "_rowid_", "k"] {
        let (a, b) = two(T);
        run(&a, "INSERT INTO t VALUES(4, 'a', 'b')");
        settle(&[&a, &b]);
        run(&a, "SELECT crsql_begin_alter('t')");
        run(&a, &format!("UPDATE OR REPLACE t SET {name} = 1 WHERE k = 4"));
        run(&a, "SELECT crsql_commit_alter('t')");
        settle(&[&a, &b]);
        assert_equal(&[&a, &b]);
        assert_eq!(rows(&b, "SELECT * FROM t"), ["1|a|b"], "{name}");
    }
}

/// SQLite writes a column's new name into our triggers, so register and triggers seemed to agree
/// after a renaming, and the new name was not written down. The next renaming forgot it: what came
/// row by row under the name in between was HELD for ever.
#[test]
fn j3_every_name_that_a_column_had_when_crsql_was_called_is_known() {
    let (a, b) = two(T);
    run(&a, "ALTER TABLE t RENAME COLUMN a TO once; SELECT crsql_vector()");
    run(&b, "ALTER TABLE t RENAME COLUMN a TO once; SELECT crsql_vector()");
    run(&b, "ALTER TABLE t RENAME COLUMN once TO twice; SELECT crsql_vector()");
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b')");
    pull_rows(&b, &a);
    assert_eq!(rows(&b, "SELECT reason FROM crsql_held"), Vec::<String>::new());
    assert_eq!(rows(&b, "SELECT twice FROM t"), ["a"]);
}

/// A row was inserted with nothing but a value of a column that the receiver had dropped. The value
/// was HELD, and with it all that told of the row. When the sender dropped the column too, it had a
/// row that the receiver, who had seen that version, was never told of.
#[test]
fn j2_a_row_of_which_all_cells_are_held_is_there_all_the_same() {
    const T: &str = "CREATE TABLE t(k NOT NULL PRIMARY KEY, a); SELECT crsql_as_crr('t')";
    const DROP: &str = "SELECT crsql_begin_alter('t'); ALTER TABLE t DROP COLUMN a;
                        SELECT crsql_commit_alter('t')";
    for by_rows in [false, true] {
        let (a, b) = two(T);
        run(&b, DROP);
        run(&a, "INSERT INTO t VALUES(1, 'a')");
        if by_rows {
            pull_rows(&b, &a);
        } else {
            pull(&b, &a);
        }
        assert_eq!(rows(&b, "SELECT * FROM t"), ["1"], "by rows: {by_rows}");
        run(&a, DROP);
        settle(&[&a, &b]);
        assert_equal(&[&a, &b]);
    }
}

/// A row that was merged had one value, of the second column; the first was gone at its origin.
/// When the second was dropped as well, nothing in the clock said any more which write had made it,
/// so the row was not passed on, though its version was.
#[test]
fn j2_a_merged_row_whose_columns_are_all_dropped_is_passed_on() {
    let all = common::sync::replicas(
        3,
        "CREATE TABLE t(k INTEGER PRIMARY KEY, a, b); SELECT crsql_as_crr('t')",
    );
    let drop = |db: &rusqlite::Connection, column: &str| {
        run(db, "SELECT crsql_begin_alter('t')");
        run(db, &format!("ALTER TABLE t DROP COLUMN {column}; SELECT crsql_commit_alter('t')"));
    };
    let (origin, relay, last) = (&all[0], &all[1], &all[2]);
    drop(origin, "a");
    run(origin, "INSERT INTO t(k) VALUES(1)");
    pull(relay, origin);
    drop(relay, "a");
    drop(last, "a");
    all.iter().for_each(|db| drop(db, "b"));
    pull(last, relay);
    assert_eq!(rows(last, "SELECT * FROM t"), ["1"]);
    assert_equal(&[origin, relay, last]);
}
