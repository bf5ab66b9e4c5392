//! The promise: no clock, wrong by accident or on purpose, stops the exchange, loses a write,
//! moves another machine's clock or makes a local write fail. A transaction stamped further ahead
//! than the bound waits; everything else flows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::clock::Clock;
use common::sync::{
    Change, WAYS, apply, assert_equal, assert_equal_but, changes, changeset, everything, insert,
    pull, pull_rows, replicas, settle, try_apply, try_insert, two, vector,
};
use common::{Cell, int, memory, one, rows, run};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t');";
const MINUTE: i64 = 60_000;
const YEAR: i64 = 365 * 24 * 60 * MINUTE;
/// The highest stamp of the clock: 2^53 - 1.
const STAMP_MAX: i64 = (1 << 53) - 1;

fn on(clock: &Clock) -> Connection {
    let db = clock.memory();
    run(&db, T);
    db
}

fn hex_digits(text: String, byte: &u8) -> String {
    format!("{text}{byte:02x}")
}

fn stamp(db: &Connection, k: i64) -> i64 {
    let sql = "SELECT col_version FROM crsql_changes WHERE cid = 'v' AND pk = ";
    int(db, &format!("{sql}crsql_pack_columns({k})"))
}

#[test]
fn d1_a_far_future_origin_is_cut_and_the_others_flow() {
    let ahead = Clock::new();
    let (a, bad, c) = (memory(), on(&ahead), memory());
    run(&a, T);
    run(&c, T);
    run(&bad, "INSERT INTO t VALUES(1, 'in time')");
    ahead.ahead(YEAR);
    run(&bad, "INSERT INTO t VALUES(2, 'next year')");
    run(&bad, "INSERT INTO t VALUES(3, 'next year')");
    run(&a, "INSERT INTO t VALUES(4, 'a')");
    // The relay is on a machine whose clock is as wrong, so that it takes everything.
    let relay = on(&ahead);
    pull(&relay, &a);
    pull(&relay, &bad);
    let report = pull(&c, &relay);
    assert_eq!(rows(&c, "SELECT k FROM t"), ["1", "4"]);
    let site = one(&bad, "SELECT lower(hex(crsql_site_id()))");
    assert_eq!(report["cut"][0]["site"], site.as_str(), "{report}");
    let reason = report["cut"][0]["reason"].as_str().unwrap();
    assert!(reason.contains(" ms ahead of ours") && reason.contains("300000"), "{reason}");
    assert!(reason.contains("this device's clock is behind"), "{reason}");
    let skew: i64 = reason.split_whitespace().find_map(|w| w.parse().ok()).unwrap();
    assert!((skew - YEAR).abs() < MINUTE, "{reason}");
    let told = one(&c, "SELECT last_error FROM crsql_peers");
    assert!(told.contains(&site) && told.contains("ahead"), "{told}");
    assert_eq!(
        one(&c, &format!("SELECT json_extract(crsql_vector(), '$.seen.{site}[0][1]')")),
        "1"
    );
    assert!(changeset(&relay, &vector(&c), None).is_some(), "it is still missing");
    // Our own clock was not moved.
    run(&c, "INSERT INTO t VALUES(5, 'c')");
    assert!(stamp(&c, 5) - stamp(&a, 4) < MINUTE << 12);
}

#[test]
fn d1_what_was_cut_comes_when_the_clock_is_near() {
    let (ahead, ours) = (Clock::new(), Clock::new());
    let (bad, c) = (on(&ahead), on(&ours));
    ahead.ahead(20 * MINUTE);
    run(&bad, "INSERT INTO t VALUES(1, 'soon'); UPDATE t SET v = 'sooner'");
    for _ in 0..2 {
        pull(&c, &bad);
        assert_eq!(int(&c, "SELECT count(*) FROM t"), 0);
    }
    ours.ahead(16 * MINUTE);
    pull(&c, &bad);
    assert_equal(&[&bad, &c]);
    assert_eq!(one(&c, "SELECT last_error FROM crsql_peers"), "NULL");
}

#[test]
fn d1_row_by_row_it_is_held_until_the_clock_is_near() {
    let (ahead, ours) = (Clock::new(), Clock::new());
    let (bad, c, d) = (on(&ahead), on(&ours), on(&ours));
    run(&bad, "INSERT INTO t VALUES(1, 'in time')");
    ahead.ahead(20 * MINUTE);
    run(&bad, "INSERT INTO t VALUES(2, 'soon'); UPDATE t SET v = 'later' WHERE k = 1");
    pull_rows(&c, &bad);
    assert_eq!(rows(&c, "SELECT k FROM t WHERE v IS NOT NULL"), Vec::<String>::new());
    let reason = one(&c, "SELECT DISTINCT reason FROM crsql_held");
    assert!(reason.starts_with("its clock is ") && reason.ends_with("ms ahead of ours"));
    // It is held, so it is served onward: whoever grants coverage of a version has its content.
    for way in WAYS {
        let e = on(&ours);
        way.pull(&e, &c);
        assert_eq!(int(&e, "SELECT count(*) FROM crsql_held"), 2, "{way:?}");
    }
    pull(&d, &c);
    run(&c, "INSERT INTO t VALUES(5, 'c')");
    assert!(stamp(&bad, 2) - stamp(&c, 5) > (19 * MINUTE) << 12, "our clock was not moved");
    run(&c, "DELETE FROM t WHERE k = 5");
    ours.ahead(16 * MINUTE);
    run(&c, "SELECT crsql_vector()");
    run(&d, "SELECT crsql_vector()");
    assert_eq!(int(&c, "SELECT count(*) FROM crsql_held"), 0);
    settle(&[&bad, &c, &d]);
    assert_equal(&[&bad, &c, &d]);
}

/// The highest numbers a stranger can send: the cell is held, and no local write ever fails.
#[test]
fn d3_the_highest_column_version_never_makes_a_local_write_fail() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a')");
    pull(&b, &a);
    for huge in [i64::MAX, i64::MAX - 1, STAMP_MAX + 1, STAMP_MAX] {
        let mut evil = changes(&a, "cid = 'v'").remove(0);
        evil[3] = Cell::Text(b"evil".to_vec());
        evil[4] = Cell::Int(huge);
        evil[5] = Cell::Int(2);
        evil[6] = Cell::Blob(vec![0xee; 16]);
        let _ = try_insert(&b, &evil);
        assert_eq!(one(&b, "SELECT v FROM t"), "a", "{huge}");
        run(&b, "UPDATE t SET v = 'b'; UPDATE t SET v = 'a'");
    }
    // What is held can be relayed and does not stop those behind it.
    run(&b, "INSERT INTO t VALUES(2, 'b')");
    let blob = everything(&b);
    let c = memory();
    run(&c, T);
    apply(&c, &blob);
    assert_eq!(rows(&c, "SELECT k, v FROM t"), ["1|a", "2|b"]);
    run(&c, "UPDATE t SET v = 'c'");
    settle(&[&a, &b, &c]);
    assert_equal(&[&a, &b, &c]);
}

#[test]
fn d4_a_causal_length_beyond_the_cap_is_rejected() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a')");
    let good = changes(&a, "cid = 'v'").remove(0);
    for cl in [(1i64 << 40) + 1, (1 << 52) + 1, i64::MAX] {
        let mut evil = good.clone();
        evil[7] = Cell::Int(cl);
        let e = try_insert(&b, &evil).unwrap_err();
        assert!(e.contains("cl") && e.contains(&cl.to_string()), "{e}");
    }
    assert_eq!(int(&b, "SELECT count(*) FROM t"), 0);
    // The cap itself is taken; the row can be deleted and made again.
    let mut high = good.clone();
    high[7] = Cell::Int((1 << 40) - 1);
    try_insert(&b, &high).unwrap();
    run(&b, "DELETE FROM t; INSERT INTO t VALUES(1, 'b'); UPDATE t SET v = 'bb'");
    assert_eq!(one(&b, "SELECT v FROM t"), "bb");
    run(&b, "DELETE FROM t; INSERT INTO t VALUES(1, 'c')");
    assert_eq!(one(&b, "SELECT v FROM t"), "c");
}

#[test]
fn d5_zero_and_negative_counters_are_rejected() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a')");
    let good = changes(&a, "cid = 'v'").remove(0);
    for (at, name) in [(4, "col_version"), (5, "db_version"), (7, "cl"), (8, "seq")] {
        for n in [-1, -5, i64::MIN] {
            let mut evil = good.clone();
            evil[at] = Cell::Int(n);
            let e = try_insert(&b, &evil).unwrap_err();
            assert!(e.contains(name) && e.contains(&n.to_string()), "{name} {n}: {e}");
        }
    }
    for (at, name) in [(5, "db_version"), (7, "cl")] {
        let mut evil = good.clone();
        evil[at] = Cell::Int(0);
        assert!(try_insert(&b, &evil).unwrap_err().contains(name));
    }
    // A cell of a dead row, and a sentinel whose two counters differ.
    let mut evil = good.clone();
    evil[7] = Cell::Int(2);
    assert!(try_insert(&b, &evil).unwrap_err().contains("dead row"));
    evil[2] = Cell::Text(b"-1".to_vec());
    evil[4] = Cell::Int(3);
    assert!(try_insert(&b, &evil).unwrap_err().contains("they are the same"));
    assert_eq!(int(&b, "SELECT count(*) FROM t"), 0);
    assert_eq!(int(&b, "SELECT count(*) FROM crsql_held"), 0);
}

/// cr-sqlite sends a row's zeroed cells with col_version 0: the row lives, the cell is unwritten.
#[test]
fn d5_column_version_zero_is_an_unwritten_cell() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a')");
    let mut zero = changes(&a, "cid = 'v'").remove(0);
    zero[4] = Cell::Int(0);
    try_insert(&b, &zero).unwrap();
    assert_eq!(rows(&b, "SELECT k, v FROM t"), ["1|NULL"]);
    let good = changes(&a, "cid = 'v'");
    insert(&b, &good);
    assert_eq!(rows(&b, "SELECT k, v FROM t"), ["1|a"]);
    try_insert(&b, &zero).unwrap();
    assert_eq!(rows(&b, "SELECT k, v FROM t"), ["1|a"]);
}

/// Backwards, before 1970, ten years on, and back: stamps of a site only rise, nothing panics, and
/// what was written converges once the clocks agree.
#[test]
fn d7_a_clock_that_runs_wild_writes_on_and_converges() {
    let (wild, ours) = (Clock::new(), Clock::new());
    let (a, b) = (on(&wild), on(&ours));
    let mut last = 0;
    for (n, ms) in [0, -YEAR, -60 * YEAR, -3000 * YEAR, 10 * YEAR, -YEAR, 0].into_iter().enumerate()
    {
        wild.ahead(ms);
        run(&a, &format!("INSERT INTO t VALUES({n}, {ms})"));
        let now = stamp(&a, n as i64);
        assert!(now > last, "{ms}: {now} after {last}");
        last = now;
        run(&a, "SELECT crsql_vector(), crsql_changeset(), crsql_digest()");
    }
    for ms in [i64::MIN, -62_167_219_200_000, 0, 4_000_000_000_000, 253_402_300_799_000] {
        wild.set_unix_ms(ms);
        run(&a, &format!("INSERT INTO t VALUES({}, 'x')", ms / 1_000_003 + 100));
    }
    ours.ahead(-100 * YEAR);
    run(&b, "INSERT INTO t VALUES(90, 'long ago')");
    let _ = try_apply(&b, &everything(&a)).unwrap();
    ours.ahead(11 * YEAR);
    pull(&b, &a);
    wild.ahead(0);
    pull(&a, &b);
    assert_equal(&[&a, &b]);
}

/// A clock at the year 9999: local writes go on, at whatever stamp is left.
#[test]
fn d7_a_clock_beyond_all_stamps_lets_local_writes_go_on() {
    let wild = Clock::new();
    wild.set_unix_ms(253_402_300_799_000);
    let a = on(&wild);
    for n in 0..10 {
        run(&a, &format!("REPLACE INTO t VALUES(1, {n})"));
    }
    wild.ahead(0);
    run(&a, "UPDATE t SET v = 'in time'");
    let (b, _) = two(T);
    pull(&b, &a);
    assert_equal(&[&a, &b]);
}

/// Two sites write the same value at the same moment. The write of the greater site wins
/// everywhere, and the third replica learns it: equal values are not special.
#[test]
fn d8_equal_stamps_and_equal_values_are_decided_by_the_site() {
    for way in WAYS {
        for values in [["'same'", "'same'"], ["'x'", "'y'"], ["1", "1.0"], ["0.0", "-0.0"]] {
            let still = Clock::new();
            still.set_unix_ms(1_750_000_000_000);
            let (a, b) = (on(&still), on(&still));
            let c = on(&still);
            run(&a, &format!("INSERT INTO t VALUES(1, {})", values[0]));
            run(&b, &format!("INSERT INTO t VALUES(1, {})", values[1]));
            let forge = |db: &Connection| {
                let mut change = changes(db, "cid = 'v'").remove(0);
                change[4] = Cell::Int(1_000);
                change[6] = Cell::Blob(change[6].clone().blob().iter().map(|x| !x).collect());
                change
            };
            let (x, y) = (forge(&a), forge(&b));
            let (d, e) = (on(&still), on(&still));
            insert(&d, &[x.clone(), y.clone()]);
            insert(&e, &[y.clone(), x.clone()]);
            let hex = |c: &Change| c[6].clone().blob().iter().fold(String::new(), hex_digits);
            let seen = format!(r#""{}":[[1,1,1000]],"{}":[[1,1,1000]]"#, hex(&x), hex(&y));
            run(&d, &format!(r#"SELECT crsql_seen('{{"v":1,"seen":{{{seen}}}}}')"#));
            way.pull(&c, &d);
            // Nobody told the second that it has seen all that these sites wrote.
            assert_equal_but(&[&d, &e, &c], "unseen");
            let winner = if x[6].clone().blob() > y[6].clone().blob() { &x } else { &y };
            assert_eq!(&changes(&e, "cid = 'v'")[0][6], &winner[6], "{way:?} {values:?}");
        }
    }
}

/// One site, one stamp, one place, two values: somebody else writes as that site. The replicas
/// agree on a value whatever the order, and say that the site is forked.
#[test]
fn d9_one_site_with_two_values_at_one_place_is_decided_and_flagged() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a')");
    let one_of = |val: Cell| {
        let mut c = changes(&a, "cid = 'v'").remove(0);
        c[3] = val;
        c[6] = Cell::Blob(vec![7; 16]);
        c
    };
    let values = [Cell::Text(b"x".to_vec()), Cell::Int(5), Cell::Blob(vec![1]), Cell::Null];
    for (n, x) in values.iter().enumerate() {
        for y in values.iter().skip(n + 1) {
            let all = replicas(2, T);
            insert(&all[0], &[one_of(x.clone()), one_of(y.clone()), one_of(x.clone())]);
            insert(&all[1], &[one_of(y.clone()), one_of(x.clone())]);
            let value = "SELECT quote(v) FROM t";
            assert_eq!(one(&all[0], value), one(&all[1], value), "{x:?} {y:?}");
            for db in &all {
                let said = one(db, "SELECT detail FROM crsql_check() WHERE fault = 'forked'");
                assert!(said.contains("07070707"), "{x:?} {y:?}: {said:?}");
            }
        }
    }
    drop(b);
}

/// Two copies of one file went on under clocks that had been set back: both gave the last stamp
/// plus two, again and again. What had the same number then had the same stamp too, nobody could
/// tell the two apart, and files that passed them on ended apart.
#[test]
fn i1_copies_whose_clock_was_set_back_do_not_stamp_alike() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, path) = (Clock::new(), dir.path().join("a.db"));
    clock.ahead(3_600_000);
    let a = clock.open(&path);
    run(&a, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t')");
    run(&a, "INSERT INTO t VALUES(0, 0)");
    clock.ahead(0);
    let copy = dir.path().join("b.db");
    a.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    let b = clock.open(&copy);
    for db in [&a, &b] {
        (1..10).for_each(|k| run(db, &format!("INSERT INTO t VALUES({k}, {k})")));
    }
    let stamps = "SELECT col_version FROM crsql_changes WHERE db_version > 1 ORDER BY db_version";
    let (a, b) = (rows(&a, stamps), rows(&b, stamps));
    assert!(a.is_sorted() && b.is_sorted() && a.len() == 9);
    assert_ne!(a, b);
}
