//! The promise: one book says what was seen, it is in the database, and it is written with the
//! rows. A version is seen only when its content is here (applied, superseded or held and served
//! onward); holes below the newest version stay holes; what cannot be brought up by changes is
//! told so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{
    WAYS, apply, assert_equal, changes, changeset, everything, insert, pull, pull_rows, replicas,
    settle, try_apply, two, vector,
};
use common::{int, memory, one, open, rows, run};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t');";

fn site(db: &Connection) -> String {
    one(db, "SELECT lower(hex(crsql_site_id()))")
}

/// The ranges of a site that a database has seen, without stamps.
fn seen(db: &Connection, site: &str) -> String {
    let v: serde_json::Value = serde_json::from_str(&vector(db)).unwrap();
    let spans = v["seen"][site].as_array().cloned().unwrap_or_default();
    let text: Vec<String> = spans.iter().map(|s| format!("{}-{}", s[0], s[1])).collect();
    text.join(" ")
}

/// A vector that has seen these versions of a site.
fn has(site: &str, spans: &str) -> String {
    format!(r#"{{"v":1,"seen":{{"{site}":{spans}}}}}"#)
}

#[test]
fn g1_holes_below_the_newest_version_stay_holes_until_filled() {
    let (a, b) = two(T);
    for n in 1..=9 {
        run(&a, &format!("INSERT INTO t VALUES({n}, {n})"));
    }
    let s = site(&a);
    apply(&b, &changeset(&a, &has(&s, "[[1,6,0]]"), None).unwrap());
    assert_eq!(seen(&b, &s), "7-9");
    apply(&b, &changeset(&a, &has(&s, "[[1,2,0],[5,9,0]]"), None).unwrap());
    assert_eq!(seen(&b, &s), "3-4 7-9");
    assert_eq!(rows(&b, "SELECT k FROM t"), ["3", "4", "7", "8", "9"]);
    // A third replica sees the same holes, and asks for what fills them.
    let c = memory();
    run(&c, T);
    pull(&c, &b);
    assert_eq!(seen(&c, &s), "3-4 7-9");
    pull(&c, &a);
    assert_eq!(seen(&c, &s), "1-9");
    pull_rows(&b, &c);
    assert_eq!(seen(&b, &s), "1-9");
    assert_equal(&[&a, &b, &c]);
}

/// What is held is seen, and is passed on: whoever pulls from the holder has everything.
#[test]
fn g2_seen_is_only_what_is_here_and_served_onward() {
    for way in WAYS {
        let all = replicas(3, "SELECT crsql_site_id()");
        let (a, b, c) = (&all[0], &all[1], &all[2]);
        run(a, T);
        run(a, "CREATE TABLE u(k PRIMARY KEY NOT NULL, x, y); SELECT crsql_as_crr('u')");
        run(b, T);
        run(c, T);
        run(c, "CREATE TABLE u(k PRIMARY KEY NOT NULL, x, y); SELECT crsql_as_crr('u')");
        run(a, "BEGIN; INSERT INTO t VALUES(1, 1); INSERT INTO u VALUES(1, 'x', 'y'); COMMIT");
        run(a, "INSERT INTO u VALUES(2, 'x', 'y'); UPDATE u SET x = 'xx' WHERE k = 2");
        run(a, "DELETE FROM u WHERE k = 1");
        way.pull(b, a);
        assert_eq!(seen(b, &site(a)), "1-4", "{way:?}");
        way.pull(c, b);
        assert_equal(&[a, c]);
        assert_eq!(seen(c, &site(a)), "1-4", "{way:?}");
    }
}

/// A first pull takes all that a peer has, which need not be all that there is: what it brings
/// claims what is in it and no more, and what the taker had seen stays seen.
#[test]
fn g5_everything_that_a_peer_has_claims_only_that() {
    let (a, relay) = two(T);
    for n in 1..=9 {
        run(&a, &format!("INSERT INTO t VALUES({n}, {n})"));
    }
    let s = site(&a);
    apply(&relay, &changeset(&a, &has(&s, "[[3,5,0]]"), None).unwrap());
    run(&relay, "INSERT INTO t VALUES(100, 'own')");
    let (fresh, other) = two(T);
    apply(&other, &changeset(&a, &has(&s, "[[1,3,0],[6,9,0]]"), None).unwrap());
    for (db, wanted) in [(&fresh, "1-2 6-9"), (&other, "1-2 4-9")] {
        apply(db, &everything(&relay));
        assert_eq!(seen(db, &s), wanted);
        assert_eq!(seen(db, &site(&relay)), "1-1");
        // So it goes on asking for the rest, and gets it.
        pull(db, &a);
        assert_eq!(seen(db, &s), "1-9");
    }
    pull(&relay, &other);
    pull(&a, &relay);
    assert_equal(&[&a, &relay, &fresh, &other]);
}

/// An update that loses is seen; the winner travels on. Nobody asks for the loser again.
#[test]
fn g2_a_superseded_version_counts_as_seen() {
    for way in WAYS {
        let (a, b) = two(T);
        run(&a, "INSERT INTO t VALUES(1, 'first')");
        std::thread::sleep(std::time::Duration::from_millis(3));
        run(&b, "INSERT INTO t VALUES(1, 'second')");
        way.pull(&b, &a);
        assert_eq!(seen(&b, &site(&a)), "1-1", "{way:?}");
        way.pull(&a, &b);
        assert_eq!(seen(&a, &site(&b)), "1-1", "{way:?}");
        assert_equal(&[&a, &b]);
        assert!(changeset(&a, &vector(&b), None).is_none(), "{way:?}");
    }
}

/// Row by row grants nothing by itself; `crsql_seen` does.
#[test]
fn g2_rows_alone_grant_no_coverage() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 1)");
    insert(&b, &changes(&a, "1"));
    assert_eq!(seen(&b, &site(&a)), "");
    assert!(changeset(&a, &vector(&b), None).is_some());
    run(&b, &format!("SELECT crsql_seen('{}')", vector(&a)));
    assert_eq!(seen(&b, &site(&a)), "1-1");
}

/// The cursor lives with the data: a file that is thrown away and made anew starts from nothing.
#[test]
fn g3_a_cursor_goes_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.db");
    let a = memory();
    run(&a, T);
    run(&a, "INSERT INTO t VALUES(1, 1)");
    for _ in 0..2 {
        let b = open(&path);
        run(&b, T);
        pull(&b, &a);
        assert_equal(&[&a, &b]);
        drop(b);
        std::fs::remove_file(&path).unwrap();
    }
    let peers = int(&a, "SELECT count(*) FROM crsql_peers");
    assert_eq!(peers, 2, "two files were two peers");
}

/// Whoever is not past the horizon of the other is told to take a snapshot, on every road.
#[test]
fn g4_older_than_the_horizon_is_told_so() {
    let (a, b) = two(T);
    for n in 1..=5 {
        run(&a, &format!("INSERT INTO t VALUES({n}, {n})"));
    }
    let s = site(&a);
    run(&b, "INSERT INTO t VALUES(77, 1)");
    apply(&b, &changeset(&a, &has(&s, "[[3,5,0]]"), None).unwrap());
    let before = everything(&a);
    run(&a, &format!(r#"UPDATE crsql_state SET horizon = '{{"{s}":3}}'"#));
    let old = "too old: take a snapshot";
    let asked: Result<Option<Vec<u8>>, _> =
        a.query_row("SELECT crsql_changeset(?1)", [has(&s, "[[1,2,0]]")], |r| r.get(0));
    assert!(asked.unwrap_err().to_string().contains(old));
    let whole = everything(&a);
    let c = memory();
    run(&c, T);
    run(&c, "INSERT INTO t VALUES(9, 9)");
    assert!(try_apply(&c, &whole).unwrap_err().contains(old));
    assert_eq!(rows(&c, "SELECT k FROM t"), ["9"]);
    // One whose vector is behind what was cleaned up here.
    let d = memory();
    run(&d, T);
    apply(&d, &before);
    run(&d, &format!(r#"UPDATE crsql_state SET horizon = '{{"{s}":2}}'"#));
    run(&c, "INSERT INTO t VALUES(10, 10)");
    assert!(try_apply(&d, &everything(&c)).unwrap_err().contains(old));
}

/// A part of a transaction grants nothing; its number is asked for until it is whole.
#[test]
fn g6_unfinished_work_is_not_seen() {
    let (a, b) = two(T);
    run(
        &a,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO t SELECT i, hex(randomblob(20)) FROM n",
    );
    let mut parts = 0;
    while let Some(blob) = changeset(&a, &vector(&b), Some(2000)) {
        assert_eq!((seen(&b, &site(&a)).as_str(), int(&b, "SELECT count(*) FROM t")), ("", 0));
        apply(&b, &blob);
        parts += 1;
    }
    assert!(parts > 5, "{parts}");
    assert_eq!(seen(&b, &site(&a)), "1-1");
    assert_equal(&[&a, &b]);
}

/// Two connections, one book: what one merged is in the other's vector at once, and a rollback
/// takes rows and coverage back together.
#[test]
fn g7_there_is_one_book_and_it_is_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.db");
    let (b1, b2) = (open(&path), open(&path));
    run(&b1, "PRAGMA journal_mode = WAL");
    run(&b1, T);
    let a = memory();
    run(&a, T);
    let s = site(&a);
    for n in 1..=20 {
        run(&a, &format!("INSERT INTO t VALUES({n}, {n})"));
        let (to, other) = if n % 2 == 0 { (&b1, &b2) } else { (&b2, &b1) };
        if n % 5 == 0 {
            run(to, "BEGIN");
            pull(to, &a);
            assert_eq!(int(to, "SELECT count(*) FROM t"), n);
            run(to, "ROLLBACK");
            assert_eq!(seen(to, &s), format!("1-{}", n - 1));
        }
        if n % 3 == 0 {
            pull_rows(to, &a);
        } else {
            pull(to, &a);
        }
        assert_eq!(seen(other, &s), format!("1-{n}"));
        assert_eq!(int(other, "SELECT count(*) FROM t"), n);
    }
    run(&b1, "INSERT INTO t VALUES(50, 1)");
    run(&b2, "INSERT INTO t VALUES(51, 1)");
    settle(&[&a, &b2]);
    assert_equal(&[&a, &b1, &b2]);
}
