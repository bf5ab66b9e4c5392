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

/// A call that writes failed at once with "database is locked" while another connection was
/// writing, whatever the timeout said: it had read before it wrote, and then SQLite does not wait.
#[test]
fn l4_a_call_that_writes_waits_for_another_writer() {
    for mode in ["WAL", "DELETE"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let (writer, mut other) = (open(&path), open(&path));
        run(&writer, &format!("PRAGMA journal_mode = {mode}; {T} CREATE TABLE u(k PRIMARY KEY)"));
        run(&writer, "DROP TABLE u; CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v)");
        let peer = memory();
        run(&peer, T);
        run(&peer, "INSERT INTO t VALUES(1, 'one')");
        let blob = changeset(&peer, &vector(&writer), None).unwrap();
        let literal: String = blob.iter().map(|byte| format!("{byte:02x}")).collect();
        let calls = [
            format!("crsql_apply(x'{literal}')"),
            format!("crsql_seen('{}')", vector(&peer)),
            "crsql_as_crr('u')".to_owned(),
            "crsql_begin_alter('u')".to_owned(),
            "crsql_commit_alter('u')".to_owned(),
            "crsql_as_table('u')".to_owned(),
            "crsql_new_site()".to_owned(),
        ];
        for call in calls {
            run(&writer, "BEGIN IMMEDIATE; INSERT INTO t VALUES(abs(random()), 'x')");
            let asked = std::thread::spawn(move || {
                let done = other.query_row(&format!("SELECT {call}"), [], |_| Ok(()));
                (other, call, done.map_err(|e| e.to_string()))
            });
            std::thread::sleep(std::time::Duration::from_millis(200));
            run(&writer, "COMMIT");
            let (back, call, done) = asked.join().unwrap();
            other = back;
            assert_eq!(done, Ok(()), "{mode}: {call}");
        }
    }
}
