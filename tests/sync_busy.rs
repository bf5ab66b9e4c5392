//! The promise: pulling is reading. What a pull writes down, who has asked and what they have,
//! waits for no other writer.
//!
//! `crsql_changeset()` notes what the vector acknowledges. While another connection was writing, it
//! waited for it as long as the connection's timeout said, 60 seconds behind a busy application,
//! and then failed with "database is locked", though a reader is never locked out in WAL mode. Now
//! the note is left to the next time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{apply, assert_equal, changeset, pull, vector};
use common::{int, memory, open, rows, run};
use std::time::Instant;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t');";

#[test]
fn l4_a_pull_waits_for_no_writer() {
    for mode in ["WAL", "DELETE"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let writer = open(&path);
        run(&writer, &format!("PRAGMA journal_mode = {mode}; {T} INSERT INTO t VALUES(1, 'one')"));
        let peer = memory();
        run(&peer, T);
        pull(&peer, &writer);
        run(&writer, "INSERT INTO t VALUES(2, 'two'); BEGIN IMMEDIATE");
        run(&writer, "INSERT INTO t VALUES(3, 'three')");
        let asked = open(&path);
        let noted = "SELECT acked FROM crsql_peers";
        let before = rows(&asked, noted);

        let begun = Instant::now();
        let blob = changeset(&asked, &vector(&peer), None).expect("the second row");
        run(&asked, &format!("SELECT * FROM crsql_changes WHERE since = '{}'", vector(&peer)));
        run(&asked, "SELECT crsql_vector()");
        assert!(begun.elapsed().as_secs() < 20, "{mode}: it waited for the writer");
        assert_eq!(rows(&asked, noted), before, "{mode}: nothing can be noted now");
        apply(&peer, &blob);
        assert_eq!(rows(&peer, "SELECT v FROM t"), ["one", "two"], "{mode}");

        run(&writer, "COMMIT");
        let blob = changeset(&asked, &vector(&peer), None).expect("the third row");
        assert_ne!(rows(&asked, noted), before, "{mode}: now it is");
        apply(&peer, &blob);
        assert_equal(&[&writer, &peer]);
        assert_eq!(int(&peer, "SELECT count(*) FROM t"), 3, "{mode}");
    }
}
