//! The promise: a device whose clock was ahead is told so, and what it wrote then reaches the
//! others as soon as its clock is right, in its order and as new as it is. No mixture of wrong
//! clocks, writes, copies and ways to exchange makes replicas differ.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::clock::Clock;
use common::sync::{
    WAYS, assert_equal, changeset, everything, pull, pull_rows, settle, try_apply, vector,
};
use common::{Seeded, int, memory, one, rows, run};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t');";
const MINUTE: i64 = 60_000;

fn on(clock: &Clock) -> Connection {
    let db = clock.memory();
    run(&db, T);
    db
}

fn last_error(db: &Connection) -> String {
    one(db, "SELECT last_error FROM crsql_peers")
}

fn ahead_faults(db: &Connection) -> i64 {
    int(db, "SELECT count(*) FROM crsql_check() WHERE fault = 'ahead'")
}

/// A device whose clock was ahead wrote, and went on writing when its clock was put right: every
/// stamp had to be later than the last, so its peers cut all of it until the time came, and it was
/// told nothing. Now a peer's vector shows it while the clock is ahead; and once the clock agrees
/// with a peer's, what nobody has is issued again, in its order, stamped with the time that it is.
#[test]
fn d2_a_device_that_was_ahead_is_told_and_strands_nothing() {
    let (ahead, ours) = (Clock::new(), Clock::new());
    let (bad, c) = (on(&ahead), on(&ours));
    run(&bad, "INSERT INTO t VALUES(0, 'in time')");
    pull(&c, &bad);
    ahead.ahead(10 * MINUTE);
    run(&bad, "INSERT INTO t VALUES(1, 'ahead'), (2, 'ahead'); DELETE FROM t WHERE k = 0");
    pull(&c, &bad);
    let told = last_error(&bad);
    assert!(told.starts_with("our newest write is stamped ") && told.contains(" ms ahead"));
    assert_eq!(ahead_faults(&bad), 0, "by its own clock");
    run(&c, "INSERT INTO t VALUES(9, 'c')");
    pull(&bad, &c);
    assert_eq!(last_error(&bad), told, "it stands as long as it is so");
    ahead.ahead(0);
    run(&bad, "UPDATE t SET v = 'in time again' WHERE k = 2; INSERT INTO t VALUES(3, 'x')");
    assert_eq!(ahead_faults(&bad), 1);
    let site = one(&bad, "SELECT crsql_site_id()");
    settle(&[&bad, &c]);
    assert_equal(&[&bad, &c]);
    assert_eq!((ahead_faults(&bad), last_error(&bad)), (0, "NULL".to_string()));
    assert_ne!(one(&bad, "SELECT crsql_site_id()"), site);
    assert_eq!(rows(&c, "SELECT k, v FROM t"), ["1|ahead", "2|in time again", "3|x", "9|c"]);
    // Whoever writes over it wins.
    run(&c, "UPDATE t SET v = 'later' WHERE k = 1");
    run(&bad, "UPDATE t SET v = 'later, too' WHERE k = 3");
    settle(&[&bad, &c]);
    assert_equal(&[&bad, &c]);
    assert_eq!(rows(&bad, "SELECT v FROM t WHERE k IN (1, 3)"), ["later", "later, too"]);
}

/// Where a peer has it already, held or because its clock was as wrong, or where what another
/// such clock stamped was written over, it waits for its time: an older stamp would lose to what
/// is out there, everywhere but here.
#[test]
fn d2_what_others_have_waits_for_its_time() {
    for case in ["held", "taken", "merged"] {
        let (ahead, ours) = (Clock::new(), Clock::new());
        let (bad, c, other) = (on(&ahead), on(&ours), on(&ahead));
        ahead.ahead(10 * MINUTE);
        run(&bad, "INSERT INTO t VALUES(1, 'ahead')");
        match case {
            "held" => drop(pull_rows(&c, &bad)),
            "taken" => {
                pull(&other, &bad);
                assert_eq!(changeset(&bad, &vector(&other), None), None, "it is acknowledged");
            }
            _ => {
                run(&other, "INSERT INTO t VALUES(2, 'ahead')");
                pull(&bad, &other);
                run(&bad, "UPDATE t SET v = 'ours' WHERE k = 2");
            }
        }
        ahead.ahead(0);
        let site = one(&bad, "SELECT crsql_site_id()");
        settle(&[&bad, &c, &other]);
        assert_eq!(one(&bad, "SELECT crsql_site_id()"), site, "{case}");
        assert_eq!(ahead_faults(&bad), 1, "{case}");
        ours.ahead(6 * MINUTE);
        ahead.ahead(6 * MINUTE);
        settle(&[&bad, &c, &other]);
        assert_equal(&[&bad, &c, &other]);
        assert_eq!(ahead_faults(&bad), 0, "{case}");
    }
}

/// Somebody took it after all, and was not heard of: it is issued again by both, and all agree.
#[test]
fn d2_what_somebody_took_unheard_converges() {
    let (ahead, ours) = (Clock::new(), Clock::new());
    for way in WAYS {
        ahead.ahead(10 * MINUTE);
        ours.ahead(0);
        let (bad, c, other) = (on(&ahead), on(&ours), on(&ahead));
        run(&bad, "INSERT INTO t VALUES(1, 'ahead'), (2, 'ahead'); DELETE FROM t WHERE k = 2");
        try_apply(&other, &everything(&bad)).unwrap();
        run(&other, "UPDATE t SET v = 'other' WHERE k = 1; INSERT INTO t VALUES(2, 'again')");
        ahead.ahead(0);
        run(&bad, "UPDATE t SET v = 'bad' WHERE k = 1");
        way.pull(&c, &bad);
        assert_eq!(rows(&c, "SELECT k, v FROM t"), ["1|bad"], "{way:?}");
        run(&c, "UPDATE t SET v = 'c' WHERE k = 1");
        for _ in 0..2 {
            way.pull(&bad, &other);
            way.pull(&c, &other);
            way.pull(&other, &c);
            way.pull(&other, &bad);
        }
        ours.ahead(20 * MINUTE);
        ahead.ahead(20 * MINUTE);
        settle(&[&bad, &c, &other]);
        settle(&[&bad, &c, &other]);
        assert_equal(&[&bad, &c, &other]);
    }
}

/// A new site's stamps began at the wall clock, though the old one's could be later: what was then
/// written over the old ones lost to them everywhere but here.
#[test]
fn d2_a_new_site_writes_later_than_the_old_one() {
    let ahead = Clock::new();
    let (bad, c) = (on(&ahead), memory());
    run(&c, T);
    ahead.ahead(4 * MINUTE);
    run(&bad, "INSERT INTO t VALUES(1, 'old')");
    pull(&c, &bad);
    ahead.ahead(0);
    run(&bad, "SELECT crsql_new_site(); UPDATE t SET v = 'new'");
    pull(&c, &bad);
    assert_equal(&[&bad, &c]);
    assert_eq!(one(&c, "SELECT v FROM t"), "new");
}

/// Files on three machines, one of which may be copied to another; every clock is anything at any
/// time. When the time of the latest has come and nothing is new, all are equal.
fn world(seed: u64, dir: &Path, clocks: &[Clock]) {
    let r = &mut Seeded(seed);
    let mut files: Vec<Connection> = Vec::new();
    for (n, clock) in clocks.iter().enumerate() {
        clock.ahead(0);
        let db = clock.open(&dir.join(format!("{n}.db")));
        run(&db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE");
        run(&db, T);
        files.push(db);
    }
    for step in 0..80 {
        let (a, b) = (r.below(files.len() as u64) as usize, r.below(files.len() as u64) as usize);
        let (k, way) = (r.below(5), *r.pick(&WAYS));
        match r.below(16) {
            0 | 1 => {
                let off = [0, 0, 0, -20, 2, 6, 10, 20, 60];
                clocks[a % clocks.len()].ahead(*r.pick(&off) * MINUTE);
            }
            2 if step % 5 == 0 && files.len() < 5 => {
                let path = dir.join(format!("{}.db", files.len()));
                run(&files[a], &format!("VACUUM INTO '{}'", path.display()));
                let db = clocks[files.len() % clocks.len()].open(&path);
                run(&db, "PRAGMA synchronous = OFF");
                files.push(db);
            }
            3 if step % 4 == 0 => run(&files[a], "SELECT crsql_new_site()"),
            4..=8 if a != b => way.pull(&files[a], &files[b]),
            9 if a != b => {
                let all = changeset(&files[b], r#"{"v":1}"#, None);
                drop(all.map(|all| try_apply(&files[a], &all)));
            }
            10 => run(&files[a], &format!("DELETE FROM t WHERE k = {k}")),
            _ => run(&files[a], &format!("REPLACE INTO t VALUES({k}, hex(randomblob(3)))")),
        }
    }
    let all: Vec<&Connection> = files.iter().collect();
    for off in [0, 61] {
        clocks.iter().for_each(|clock| clock.ahead(off * MINUTE));
        settle(&all);
        settle(&all);
    }
    assert_equal(&all);
}

#[test]
fn d2_any_mixture_of_clocks_ends_equal() {
    let clocks = [Clock::new(), Clock::new(), Clock::new()];
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let range = number("CRSQL_SEED").map_or(0..number("CRSQL_SEEDS").unwrap_or(30), |n| n..n + 1);
    let mut failed = Vec::new();
    for seed in range {
        let dir = tempfile::tempdir().unwrap();
        if catch_unwind(AssertUnwindSafe(|| world(seed, dir.path(), &clocks))).is_err() {
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
}

/// Whoever asked a file for its changes while it had a transaction open got nothing of what waited
/// there for the clock, though it was told as whole: what had come due was merged first, within
/// that transaction, and what is not committed is not sent. So it was seen, and never sent again.
#[test]
fn what_waits_is_not_merged_in_the_middle_of_a_transaction_that_is_asked() {
    let (behind, ours) = (Clock::new(), Clock::new());
    let (b, a, c) = (on(&behind), on(&ours), on(&ours));
    behind.ahead(-10 * MINUTE);
    run(&a, "INSERT INTO t VALUES(1, 'a')");
    pull_rows(&b, &a);
    assert_eq!(int(&b, "SELECT count(*) FROM crsql_held"), 1);
    behind.ahead(0);
    for end in ["ROLLBACK", "COMMIT"] {
        run(&b, "BEGIN");
        pull(&c, &b);
        pull(&c, &b);
        assert_eq!(rows(&c, "SELECT k, v FROM t"), ["1|a"], "what waits is passed on as it is");
        run(&b, end);
    }
    assert_eq!(one(&b, "SELECT crsql_vector() IS NOT NULL"), "1");
    assert_eq!(int(&b, "SELECT count(*) FROM crsql_held"), 0);
    settle(&[&a, &b, &c]);
    assert_equal(&[&a, &b, &c]);
}
