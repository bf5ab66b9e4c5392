//! Columns that merge as sets, maps, several values and by a function of the application.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{assert_equal, changes, insert, pull_in, settle};
use common::{error, memory, one, rows, run};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

/// A replica with one table, whose column `v` merges so.
fn replica(merge: &str) -> Connection {
    let db = memory();
    functions(&db);
    run(
        &db,
        &format!(
            "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT, n TEXT); SELECT crsql_as_crr('t');
             SELECT crsql_column('t', 'v', '{merge}')"
        ),
    );
    db
}

/// The longer text, or the greater; and one that is no merge.
fn functions(db: &Connection) {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("longer", 2, flags, |ctx| {
        let (a, b): (String, String) = (ctx.get(0)?, ctx.get(1)?);
        Ok(if (a.len(), &a) > (b.len(), &b) { a } else { b })
    })
    .unwrap();
    db.create_scalar_function("joined", 2, flags, |ctx| {
        Ok(ctx.get::<String>(0)? + &ctx.get::<String>(1)?)
    })
    .unwrap();
}

fn exchange(all: &[&Connection]) {
    settle(all);
    assert_equal(all);
}

fn v(db: &Connection) -> String {
    one(db, "SELECT v FROM t WHERE k = 1")
}

#[test]
fn elements_of_a_set_that_are_added_and_taken_away_at_the_same_time_both_hold() {
    let (a, b, c) = (replica("set"), replica("set"), replica("set"));
    run(&a, "INSERT INTO t(k, v) VALUES(1, '[\"red\", \"blue\", \"red\"]')");
    assert_eq!(v(&a), "[\"blue\",\"red\"]", "in one order, each once");
    exchange(&[&a, &b, &c]);
    run(&a, "UPDATE t SET v = json_insert(v, '$[#]', 'green')");
    run(&b, "UPDATE t SET v = '[\"red\", 5]'");
    exchange(&[&a, &b, &c]);
    assert_eq!(v(&c), "[5,\"green\",\"red\"]");
    // An add wins over a remove that has not seen it.
    run(&a, "UPDATE t SET v = '[]'; UPDATE t SET v = '[\"red\"]'");
    run(&b, "UPDATE t SET v = '[]'");
    exchange(&[&a, &b, &c]);
    assert_eq!(v(&b), "[\"red\"]");
    run(&c, "UPDATE t SET v = NULL");
    exchange(&[&a, &b, &c]);
    assert_eq!(v(&a), "[]");
    assert!(error(&a, "UPDATE t SET v = 'red'").contains("t.v is a set, and takes the text of a"));
    assert!(error(&a, "UPDATE t SET v = '[\"\\ud800\"]'").contains("is a set"));
}

/// No element changes where NULL, or what is no array, becomes an empty set; and the UPDATE was
/// undone. It is written as it is, as an INSERT would.
#[test]
fn an_empty_set_can_be_written_over_anything() {
    for (merge, empty) in [("set", "[]"), ("map", "{}")] {
        let (a, b) = (replica(merge), replica(merge));
        run(&a, "INSERT INTO t(k, v) VALUES(1, NULL), (2, 'x')");
        run(&a, &format!("UPDATE t SET v = '{empty}'"));
        exchange(&[&a, &b]);
        assert_eq!(one(&b, "SELECT group_concat(v) FROM t"), format!("{empty},{empty}"));
    }
}

#[test]
fn a_set_is_written_anew_by_replace_and_ends_with_its_row() {
    let (a, b) = (replica("set"), replica("set"));
    run(&a, "INSERT INTO t(k, v) VALUES(1, '[1]'); UPDATE t SET v = '[1,2]'");
    exchange(&[&a, &b]);
    run(&a, "INSERT OR REPLACE INTO t(k, v) VALUES(1, '[2,3]')");
    run(&b, "UPDATE t SET v = '[1,2,4]'");
    exchange(&[&a, &b]);
    assert_eq!(v(&a), "[2,3,4]");
    run(&a, "DELETE FROM t; INSERT INTO t(k, v) VALUES(1, '[9]')");
    run(&b, "UPDATE t SET v = '[8]'");
    exchange(&[&a, &b]);
    assert_eq!(v(&b), "[9]");
}

#[test]
fn members_of_a_map_merge_one_by_one() {
    let (a, b, c) = (replica("map"), replica("map"), replica("map"));
    run(
        &a,
        "INSERT INTO t(k, v) VALUES(1,
         '{\"size\": {\"w\": 1, \"h\": 2}, \"big\": 12345678901234567890}')",
    );
    exchange(&[&a, &b, &c]);
    run(&a, "UPDATE t SET v = json_set(v, '$.size.w', 10)");
    run(&b, "UPDATE t SET v = json_patch(v, '{\"size\": {\"h\": 20}, \"note\": \"x\"}')");
    run(&c, "UPDATE t SET v = json_remove(v, '$.nothing'), n = 'z'");
    exchange(&[&a, &b, &c]);
    let all = "{\"big\":12345678901234567890,\"note\":\"x\",\"size\":{\"h\":20,\"w\":10}}";
    assert_eq!(v(&c), all);
    assert_eq!(one(&c, "SELECT v ->> '$.size.h' FROM t"), "20");
    // What is written into an object that is taken away at the same time stands.
    run(&a, "UPDATE t SET v = json_remove(v, '$.size')");
    run(&b, "UPDATE t SET v = json_set(v, '$.size.d', 3)");
    exchange(&[&a, &b, &c]);
    assert_eq!(one(&a, "SELECT v -> '$.size' FROM t"), "{\"d\":3}");
    run(&c, "UPDATE t SET v = '{}'");
    exchange(&[&a, &b, &c]);
    assert_eq!(v(&a), "{}");
    assert!(error(&a, "UPDATE t SET v = '[1]'").contains("t.v is a map, and takes the text of a"));
}

#[test]
fn a_column_of_several_values_keeps_all_that_nobody_has_seen() {
    let (a, b, c) = (replica("multi"), replica("multi"), replica("multi"));
    let values = |db: &Connection| {
        rows(db, "SELECT value, winner FROM crsql_values('t', 1, 'v') ORDER BY value").join(" ")
    };
    run(&a, "INSERT INTO t(k, v) VALUES(1, 'first')");
    exchange(&[&a, &b, &c]);
    assert_eq!(values(&c), "first|1");
    run(&a, "UPDATE t SET v = 'from a'");
    std::thread::sleep(std::time::Duration::from_millis(3));
    run(&b, "UPDATE t SET v = 'from b'");
    exchange(&[&a, &b, &c]);
    assert_eq!(values(&c), "from a|0 from b|1");
    assert_eq!(v(&c), "from b");
    run(&c, "UPDATE t SET v = 'both seen'");
    exchange(&[&a, &b, &c]);
    assert_eq!(values(&a), "both seen|1");
    // Of two updates in one transaction the second wrote no cell.
    run(&a, "BEGIN; UPDATE t SET v = 'x'; UPDATE t SET v = 'y'; COMMIT");
    exchange(&[&a, &b, &c]);
    assert_eq!((v(&c), values(&c)), ("y".into(), "y|1".into()));
    let text = error(&a, "SELECT * FROM crsql_values('t', 1, 'n')");
    assert!(text.contains("t.n merges as lww, which keeps one value"), "{text}");
    assert!(error(&a, "SELECT * FROM crsql_values('t')").contains("needs what to show"));
}

#[test]
fn a_function_of_the_application_merges() {
    let (a, b) = (replica("custom:longer"), replica("custom:longer"));
    run(&a, "INSERT INTO t(k, v) VALUES(1, 'x')");
    exchange(&[&a, &b]);
    run(&a, "UPDATE t SET v = 'long'");
    run(&b, "UPDATE t SET v = 'longest'");
    run(&a, "UPDATE t SET v = 'longer'");
    exchange(&[&a, &b]);
    assert_eq!(v(&a), "longest");
    // Where nobody has the function, what comes waits and says why.
    let c = memory();
    run(&c, "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT, n TEXT); SELECT crsql_as_crr('t')");
    run(&c, "SELECT crsql_column('t', 'v', 'custom:longer')");
    pull_in(&c, &a, None);
    let why = one(&c, "SELECT reason FROM crsql_held");
    assert!(why.contains("merging by longer(local, remote): no such function: longer"), "{why}");
    functions(&c);
    run(&c, "SELECT crsql_column('t', 'n', 'max')");
    run(&a, "SELECT crsql_column('t', 'n', 'max')");
    run(&b, "SELECT crsql_column('t', 'n', 'max')");
    exchange(&[&a, &b, &c]);
    assert_eq!(v(&c), "longest");
}

#[test]
fn a_merge_function_is_tried_out_before_it_is_trusted() {
    let db = replica("lww");
    let check = |sql: &str| one(&db, &format!("SELECT crsql_check_merge({sql})"));
    assert_eq!(check("'longer', 'a', 'bb', 'c'"), "OK");
    assert_eq!(check("'max', 1, 2.5, 'x'"), "OK");
    assert_eq!(
        check("'joined', '', 'a'"),
        "not idempotent: joined('a', 'a') is 'aa', and the value is 'a'"
    );
    let text = error(&db, "SELECT crsql_check_merge('nothing', 1, 2)");
    assert!(text.contains("no such function: nothing"), "{text}");
    assert!(error(&db, "SELECT crsql_check_merge('max')").contains("two values or more"));
}

/// All types together, cell by cell in every rotation of the order.
#[test]
fn row_by_row_in_any_order_it_is_the_same() {
    for merge in ["set", "map", "multi", "custom:longer"] {
        let (a, b) = (replica(merge), replica(merge));
        let of = |x: i64| match merge {
            "set" => format!("[{x},{}]", x + 1),
            "map" => format!("{{\"a\":{{\"{x}\":1}},\"b\":{x}}}"),
            _ => format!("value {x}"),
        };
        run(&a, &format!("INSERT INTO t(k, v) VALUES(1, '{}')", of(0)));
        pull_in(&b, &a, None);
        std::thread::sleep(std::time::Duration::from_millis(3));
        for x in 1..4 {
            run(&a, &format!("UPDATE t SET v = '{}'", of(x)));
            run(&b, &format!("UPDATE t SET v = '{}'", of(x + 1)));
        }
        let mut all = changes(&a, "1");
        all.extend(changes(&b, "1"));
        let mut ends = Vec::new();
        for turn in 0..all.len() {
            let mut order = all.clone();
            order.rotate_left(turn);
            if turn % 2 == 1 {
                order.reverse();
            }
            let c = replica(merge);
            insert(&c, &order);
            insert(&c, &order);
            ends.push(one(&c, "SELECT v || crsql_digest() FROM t"));
            assert_eq!(rows(&c, "SELECT * FROM crsql_check() WHERE fault <> 'unseen'"), [""; 0]);
        }
        exchange(&[&a, &b]);
        ends.push(one(&a, "SELECT v || crsql_digest() FROM t"));
        ends.dedup();
        assert_eq!(ends.len(), 1, "{merge}: {ends:?}");
    }
}
