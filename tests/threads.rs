//! The promise: threads of one process, each with a connection of its own, may load, enable, alter,
//! write, read the feed and merge at the same time, in one file and in files of their own. Nothing
//! of crsql is shared between connections but the address of the host's routines, which every one
//! of them sets when it loads.
//!
//! The story: cr-sqlite and its forks keep what they know of a connection in places that another
//! thread can reach, and an application with a pool of connections found versions given twice and
//! its schema cached from before another thread's ALTER. `make helgrind` runs this file, and looks
//! at every access to memory while it does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{assert_equal, pull_in};
use common::{int, memory, open, rows, run};
use std::path::Path;

const THREADS: i64 = 3;
const ROUNDS: i64 = 4;

/// One thread: a table of its own, a column of its own in the table of all, a replica of its own
/// in memory that pulls from the file after every round.
fn thread(path: &Path, who: i64) {
    let db = open(path);
    let replica = memory();
    run(&replica, "CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, n); SELECT crsql_as_crr('t');");
    let own = format!("own_{who}");
    run(
        &db,
        &format!(
            "BEGIN IMMEDIATE; CREATE TABLE {own}(id INTEGER PRIMARY KEY, x);
            SELECT crsql_as_crr('{own}'); INSERT INTO {own} VALUES (1, 'first'); COMMIT"
        ),
    );
    for n in 0..ROUNDS {
        run(&db, &format!("INSERT INTO t(id, n) VALUES ('{who} {n}', {n})"));
        if n == ROUNDS / 2 {
            let sql = format!("BEGIN IMMEDIATE; ALTER TABLE t ADD COLUMN {own} DEFAULT 0; COMMIT");
            run(&db, &sql);
        }
        run(
            &db,
            &format!(
                "BEGIN IMMEDIATE; SAVEPOINT a; DELETE FROM t; ROLLBACK TO a;
                UPDATE {own} SET x = {n};
                UPDATE t SET n = -n WHERE id = '{who} {n}'; COMMIT"
            ),
        );
        pull_in(&replica, &db, None);
    }
    assert_eq!(int(&replica, &format!("SELECT count(*) FROM t WHERE id LIKE '{who} %'")), ROUNDS);
}

fn all_at_once(journal: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let db = open(&path);
    run(
        &db,
        &format!(
            "PRAGMA journal_mode = {journal};
            CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, n); SELECT crsql_as_crr('t');"
        ),
    );
    std::thread::scope(|scope| {
        for who in 0..THREADS {
            let path = &path;
            scope.spawn(move || thread(path, who));
        }
    });
    // An own table's first row, then two transactions a round; ALTER is no transaction of the feed.
    let transactions = THREADS * (1 + 2 * ROUNDS);
    assert_eq!(int(&db, "SELECT crsql_db_version()"), transactions);
    assert_eq!(int(&db, "SELECT sum(n) FROM t"), -THREADS * ROUNDS * (ROUNDS - 1) / 2);
    assert_eq!(rows(&db, "PRAGMA integrity_check"), ["ok"]);
    let columns =
        rows(&db, "SELECT name || ' DEFAULT 0' FROM pragma_table_info('t') WHERE cid > 1");
    assert_eq!(columns.len(), THREADS as usize);
    let other = memory();
    let t = format!("t(id TEXT PRIMARY KEY NOT NULL, n, {})", columns.join(", "));
    run(&other, &format!("CREATE TABLE {t}; SELECT crsql_as_crr('t')"));
    for who in 0..THREADS {
        let own = format!("own_{who}");
        let sql =
            format!("CREATE TABLE {own}(id INTEGER PRIMARY KEY, x); SELECT crsql_as_crr('{own}')");
        run(&other, &sql);
    }
    pull_in(&other, &db, None);
    assert_equal(&[&db, &other]);
}

#[test]
fn c11_threads_enable_alter_write_and_merge_at_once_with_a_wal() {
    all_at_once("WAL");
}

#[test]
fn c11_threads_enable_alter_write_and_merge_at_once_with_a_rollback_journal() {
    all_at_once("DELETE");
}
