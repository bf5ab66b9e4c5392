//! Stories of merges that went wrong once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{apply, assert_equal, changes, everything, insert};
use common::{memory, one, run};

/// A transaction wrote the third column of a row before the first two. Its receiver keeps one
/// statement per set of columns; it was made in the order in which the columns arrived first, and
/// values that arrived in another order were bound to the wrong columns (seed 587). Values are
/// brought into the order of columns before a statement is chosen now.
#[test]
fn values_reach_their_columns_in_whatever_order_they_were_written() {
    let (a, b) = (memory(), memory());
    for db in [&a, &b] {
        run(
            db,
            "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, c0, c1, c2); SELECT crsql_as_crr('t')",
        );
    }
    run(&a, "INSERT INTO t VALUES('x', 'a0', 'a1', 'a2')");
    run(&a, "INSERT INTO t VALUES('y', 'b0', 'b1', 'b2')");
    run(
        &a,
        "BEGIN; UPDATE t SET c2 = 'n2' WHERE k = 'y'; UPDATE t SET c0 = 'n0' WHERE k = 'y';
             UPDATE t SET c1 = 'n1' WHERE k = 'y'; COMMIT",
    );
    let blob: Vec<u8> = a.query_row("SELECT crsql_changeset()", [], |r| r.get(0)).unwrap();
    let _: String = b.query_row("SELECT crsql_apply(?1)", [blob], |r| r.get(0)).unwrap();
    assert_eq!(one(&b, "SELECT c0 || c1 || c2 FROM t WHERE k = 'y'"), "n0n1n2");
    assert_eq!(one(&b, "SELECT c0 || c1 || c2 FROM t WHERE k = 'x'"), "a0a1a2");
}

/// Rows that a table had when it became replicated carry the lowest stamp, not that of the
/// transaction that tells of them. A peer that had taken some of them row by row had a record of
/// that transaction without its stamp; the changeset filled the stamp in, and the rows that came
/// with it carried that one, so the two replicas' metadata differed for ever (simulator, seed
/// 200866). What cells carry is taken from the record as it will be now.
#[test]
fn rows_that_were_there_before_keep_the_lowest_stamp() {
    let (a, b) = (memory(), memory());
    run(
        &a,
        "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v); INSERT INTO t VALUES('x', 1), ('y', 2)",
    );
    run(&b, "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v)");
    for db in [&a, &b] {
        run(db, "SELECT crsql_as_crr('t')");
    }
    insert(&b, &changes(&a, "1")[..1]);
    apply(&b, &everything(&a));
    assert_equal(&[&a, &b]);
    assert_eq!(one(&b, "SELECT max(col_version) FROM crsql_changes"), "1");
}
