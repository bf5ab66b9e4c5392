//! The promise: what a connection keeps of what its file has seen is what the file says. It is kept
//! over what crsql itself commits at the end of a merge, and over the note of who asked; whoever
//! else writes, commits or rolls back, here or elsewhere, it is read anew.
//!
//! The story: in an exchange of one row what is known was read six times, because every commit,
//! our own too, threw it away. To keep it too long would be worse: a vector that claims what was
//! rolled back is never sent it again, and one that forgets is sent it for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{apply, changeset, everything, pull, try_apply, vector};
use common::{error, memory, open, run};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::Command;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t');";
const CHILD: &str = "CRSQL_TEST_WRITES_ONCE_TO";

/// Not a test but the other process of those below.
#[test]
fn writes_once() {
    let Ok(path) = std::env::var(CHILD) else { return };
    run(&open(Path::new(&path)), "REPLACE INTO t VALUES(100, 'another process')");
}

/// A file, the connection that keeps, and somebody who has more to give.
struct World {
    path: PathBuf,
    db: Connection,
    peer: Connection,
    n: i64,
}

impl World {
    /// Something new that the peer has, as a changeset.
    fn news(&mut self) -> Vec<u8> {
        self.n += 1;
        run(&self.peer, &format!("INSERT INTO t VALUES({}, 'news')", 1000 + self.n));
        changeset(&self.peer, &vector(&self.db), None).unwrap()
    }

    /// The connection applies something, is asked by somebody, and tells its vector.
    fn warm(&mut self) {
        let news = self.news();
        apply(&self.db, &news);
        pull(&self.peer, &self.db);
        run(&self.db, &format!("REPLACE INTO t VALUES({}, 'own')", self.n));
        pull(&self.peer, &self.db);
        let news = self.news();
        apply(&self.db, &news);
        pull(&self.peer, &self.db);
        self.agrees("warm");
    }

    /// The connection says what one says that has just been opened.
    fn agrees(&self, when: &str) {
        let told = |db: &Connection| {
            let mut vector: Json = serde_json::from_str(&vector(db)).unwrap();
            vector["now"] = Json::Null;
            vector
        };
        let (here, fresh) = (told(&self.db), told(&open(&self.path)));
        assert_eq!(here, fresh, "{when}: the kept, and the file's");
        let all = memory();
        run(&all, T);
        apply(&all, &everything(&self.db));
        assert_eq!(told(&all)["seen"], fresh["seen"], "{when}: what is sent");
    }
}

type Disturbance = (&'static str, fn(&mut World));

const DISTURBANCES: &[Disturbance] = &[
    ("an own write", |w| run(&w.db, "REPLACE INTO t VALUES(1, 'x')")),
    ("another connection writes", |w| {
        run(&open(&w.path), "REPLACE INTO t VALUES(2, 'x')");
    }),
    ("another connection merges", |w| {
        let news = w.news();
        apply(&open(&w.path), &news);
    }),
    ("another process writes", |w| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "writes_once"]).env(CHILD, &w.path);
        assert!(child.output().unwrap().status.success());
    }),
    ("ROLLBACK of a write", |w| {
        run(&w.db, "BEGIN; REPLACE INTO t VALUES(3, 'x')");
        vector(&w.db);
        run(&w.db, "ROLLBACK");
    }),
    ("ROLLBACK of a merge", |w| {
        let news = w.news();
        run(&w.db, "BEGIN");
        apply(&w.db, &news);
        run(&w.db, "ROLLBACK");
        w.agrees("what was rolled back is not known");
        apply(&w.db, &news);
    }),
    ("ROLLBACK TO before a merge", |w| {
        let news = w.news();
        run(&w.db, "BEGIN; REPLACE INTO t VALUES(4, 'x'); SAVEPOINT s");
        apply(&w.db, &news);
        run(&w.db, "ROLLBACK TO s");
        let other = w.news();
        run(&w.db, "COMMIT");
        w.agrees("what was put back is not known");
        apply(&w.db, &other);
    }),
    ("a merge and a write in one transaction", |w| {
        let news = w.news();
        run(&w.db, "BEGIN");
        apply(&w.db, &news);
        run(&w.db, "REPLACE INTO t VALUES(5, 'x'); COMMIT");
    }),
    ("a statement that fails half-way", |w| {
        error(
            &w.db,
            "INSERT INTO t VALUES(6000 + abs(random() % 9), 'x'), (6000, 'y'), (6000, 'z')",
        );
        run(&w.db, "BEGIN; REPLACE INTO t VALUES(7, 'x')");
        error(&w.db, "INSERT INTO t VALUES(6001, 'x'), (6001, 'y')");
        run(&w.db, "COMMIT");
    }),
    ("a merge that fails half-way", |w| {
        let news = w.news();
        // Its rows and what was seen are written by then; the note of the peer is not.
        run(
            &w.db,
            "CREATE TEMP TRIGGER no BEFORE UPDATE ON crsql_peers
             BEGIN SELECT raise(FAIL, 'no'); END",
        );
        let failed = try_apply(&w.db, &news);
        run(&w.db, "DROP TRIGGER no");
        assert!(failed.is_err(), "{failed:?}");
        w.agrees("what failed is not known");
        apply(&w.db, &news);
    }),
    ("a column is dropped after a merge, and comes back", |w| {
        run(&w.db, "SELECT crsql_begin_alter('t'); ALTER TABLE t DROP COLUMN v");
        run(&w.db, "SELECT crsql_commit_alter('t'); ALTER TABLE t ADD COLUMN v");
    }),
    ("a new site", |w| run(&w.db, "SELECT crsql_new_site()")),
];

#[test]
fn c10_what_is_kept_is_what_the_file_says() {
    for mode in ["WAL", "DELETE"] {
        for (what, disturb) in DISTURBANCES {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("known.db");
            let (db, peer) = (open(&path), memory());
            run(&db, &format!("PRAGMA journal_mode = {mode}; PRAGMA synchronous = NORMAL; {T}"));
            run(&peer, T);
            let mut w = World { path, db, peer, n: 0 };
            for round in 0..2 {
                w.warm();
                disturb(&mut w);
                w.agrees(&format!("{what}, {mode}, {round}"));
            }
        }
    }
}
