//! Stories of merges that went wrong once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

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
