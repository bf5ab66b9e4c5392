//! The promise: who exchanges changes is told what happened, in one shape: the report of
//! `crsql_apply`, the vector, `crsql_peers`, `crsql_held`, `crsql_changeset_info`; and who calls
//! with the wrong thing is told what the right one is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{
    WAYS, apply, assert_equal, changes, changeset, everything, insert, pull, pull_in, settle, two,
    vector,
};
use common::{error, int, memory, one, open, rows, run, version};
use serde_json::Value as Json;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w); SELECT crsql_as_crr('t');";

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

fn keys(value: &Json) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_report_of_apply_counts_and_names() {
    let (a, b) = two(T);
    run(&a, "CREATE TABLE x(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('x')");
    run(&a, "INSERT INTO t VALUES(1, 1, 1), (2, 2, 2); INSERT INTO x VALUES(1, 1)");
    std::thread::sleep(std::time::Duration::from_millis(3));
    run(&b, "INSERT INTO t VALUES(1, 'b', 'b')");
    let report = pull(&b, &a);
    assert_eq!(keys(&report), ["applied", "cut", "held", "new", "superseded", "tables", "vector"]);
    assert_eq!(report["applied"], 2);
    assert_eq!(report["superseded"], 2);
    assert_eq!(report["held"], 1);
    assert_eq!(report["new"], true);
    let again = apply(&b, &everything(&a));
    assert_eq!([&again["new"], &again["applied"]], [&Json::Bool(false), &Json::from(0)]);
    assert_eq!(report["tables"], serde_json::json!(["t", "x"]));
    assert_eq!(report["cut"], serde_json::json!([]));
    let mut there = json(&vector(&b));
    there["now"] = report["vector"]["now"].clone();
    assert_eq!(report["vector"], there);
    assert_eq!(one(&b, "SELECT typeof(crsql_changeset_info(NULL))"), "null");
    let nothing = one(&b, "SELECT typeof(crsql_apply(NULL))");
    assert_eq!(nothing, "null", "crsql_apply(crsql_changeset(...)) where nothing is new");
}

/// A table that only changes were about which their sender holds was not named.
#[test]
fn the_report_names_the_table_of_what_was_held_on_the_way() {
    let (a, b) = two(T);
    let relay = memory();
    run(&a, "CREATE TABLE x(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('x')");
    run(&b, "CREATE TABLE x(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('x')");
    run(&relay, T);
    run(&a, "INSERT INTO x VALUES(1, 1)");
    pull(&relay, &a);
    let report = pull(&b, &relay);
    assert_eq!(report["tables"], serde_json::json!(["x"]), "{report}");
    assert_eq!(rows(&b, "SELECT v FROM x"), ["1"]);
}

#[test]
fn the_vector_is_json_of_one_shape() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 1, 1)");
    pull(&b, &a);
    let v = vector(&b);
    let parsed = json(&v);
    assert_eq!(keys(&parsed), ["epoch", "formats", "horizon", "now", "scope", "seen", "site", "v"]);
    assert_eq!(parsed["v"], 1);
    assert_eq!(parsed["scope"], "*");
    assert_eq!(parsed["site"], one(&b, "SELECT lower(hex(crsql_site_id()))").as_str());
    let site = one(&a, "SELECT lower(hex(crsql_site_id()))");
    let stamp = int(&a, "SELECT max(stamp) FROM crsql_changes");
    assert_eq!(parsed["seen"][&site], serde_json::json!([[1, 1, stamp]]));
    assert_eq!(v, serde_json::to_string(&parsed).unwrap(), "sorted, no blanks");
    assert_eq!(one(&b, "SELECT json_valid(crsql_vector())"), "1");
    let fresh = json(&vector(&memory()));
    assert_eq!(fresh["seen"], serde_json::json!({}));
    // Any way of giving it: text, blob, NULL, none.
    let n = |arg: &str| int(&a, &format!("SELECT length(crsql_changeset({arg}))"));
    assert_eq!(n(""), n("NULL"));
    assert_eq!(n(r#"'{"v":1}'"#), n(r#"CAST('{"v":1,"unknown":[2]}' AS BLOB)"#));
    assert_eq!(one(&a, &format!("SELECT crsql_changeset('{v}')")), "NULL");
}

#[test]
fn wrong_arguments_are_told_what_is_right() {
    let (a, _) = two(T);
    for (sql, says) in [
        ("SELECT crsql_changeset('x')", "not a vector"),
        ("SELECT crsql_changeset(5)", "a vector is the JSON text that crsql_vector() gives"),
        ("SELECT crsql_changeset('{}')", "no \"v\""),
        ("SELECT crsql_changeset('{\"v\":2}')", "version 2"),
        ("SELECT crsql_changeset(NULL, -1)", "max_bytes"),
        ("SELECT crsql_changeset(NULL, 'x')", "crsql_changeset"),
        ("SELECT crsql_changeset(1, 2, 3)", "wrong number of arguments"),
        ("SELECT crsql_seen('[]')", "not a JSON object"),
        ("SELECT crsql_seen()", "wrong number of arguments"),
        ("SELECT crsql_apply('x')", "takes the blob that crsql_changeset() gives, not text"),
        ("SELECT crsql_apply(1)", "not integer"),
        ("SELECT crsql_apply()", "wrong number of arguments"),
        ("SELECT crsql_apply(x'00')", ""),
        ("SELECT crsql_changeset_info('x')", "takes the blob"),
        ("SELECT crsql_changeset_info(x'63727371')", ""),
        ("SELECT crsql_digest('nope')", "table nope is not replicated"),
        ("SELECT crsql_digest('t', 'some')", "'all'"),
        ("SELECT crsql_config_set('nope', 1)", "no setting"),
        ("SELECT crsql_config_set('max-drift-ms', -1)", "whole number"),
    ] {
        let e = error(&a, sql).to_lowercase();
        assert!(e.contains(&says.to_lowercase()), "{sql}: {e}");
    }
    assert_eq!(version(&a), 0);
}

#[test]
fn peers_are_noted_on_both_sides_by_both_roads() {
    for way in WAYS {
        let (a, b) = two(T);
        run(&a, "INSERT INTO t VALUES(1, 1, 1)");
        run(&b, "INSERT INTO t VALUES(2, 2, 2)");
        way.pull(&b, &a);
        way.pull(&a, &b);
        let (sa, sb) =
            ("lower(hex(crsql_site_id()))", one(&b, "SELECT lower(hex(crsql_site_id()))"));
        let sa = one(&a, &format!("SELECT {sa}"));
        let of = |db, column: &str| json(&one(db, &format!("SELECT {column} FROM crsql_peers")));
        assert_eq!(int(&b, "SELECT count(*) FROM crsql_peers"), 1, "{way:?}");
        assert_eq!(one(&b, "SELECT lower(hex(site_id)) FROM crsql_peers"), sa, "{way:?}");
        assert_eq!(of(&b, "pulled")[&sa][0][1], 1, "{way:?}");
        assert_eq!(of(&a, "acked")[&sa][0][1], 1, "{way:?}: b presented what it has");
        assert_eq!(of(&a, "pulled")[&sb][0][1], 1, "{way:?}");
        let times =
            "SELECT count(*) FROM crsql_peers WHERE pulled_at GLOB '20??-??-?? ??:??:??.???'
                     AND acked_at GLOB '20??-*' AND last_error IS NULL";
        assert_eq!(int(&a, times), 1, "{way:?}");
        way.pull(&b, &a);
        way.pull(&b, &a);
        assert_eq!(int(&b, "SELECT count(*) FROM crsql_peers"), 1, "{way:?}");
    }
}

#[test]
fn what_waits_is_told_with_who_sent_it_and_why() {
    for way in WAYS {
        let (a, b) = two(T);
        run(&a, "CREATE TABLE x(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('x')");
        run(&a, "INSERT INTO x VALUES(5, 'val')");
        way.pull(&b, &a);
        let told = rows(
            &b,
            "SELECT \"table\", hex(pk), cid, val, cl, seq, db_version, reason, peer IS NOT NULL
             FROM crsql_held",
        );
        let sender = i32::from(way == common::sync::Way::Changesets);
        let reason = "there is no replicated table x here";
        assert_eq!(told, [format!("x|010905|v|val|1|0|1|{reason}|{sender}")], "{way:?}");
        let at = "SELECT count(*) FROM crsql_held WHERE held_at GLOB '20??-??-?? ??:??:??.???'";
        assert_eq!(int(&b, at), 1);
    }
}

/// What is sent is committed: an open transaction's new rows are left out, by vector and changeset.
#[test]
fn an_open_transaction_is_not_sent() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 1, 1)");
    run(&a, "BEGIN; INSERT INTO t VALUES(2, 2, 2)");
    let v = json(&vector(&a));
    let site = one(&a, "SELECT lower(hex(crsql_site_id()))");
    assert_eq!(v["seen"][&site][0][1], 1);
    pull(&b, &a);
    assert_eq!(rows(&b, "SELECT k FROM t"), ["1"]);
    assert!(changeset(&a, &vector(&b), None).is_none());
    run(&a, "UPDATE t SET v = 'over' WHERE k = 1");
    let e = error(&a, "SELECT crsql_changeset()");
    assert!(e.contains("uncommitted") && e.contains("COMMIT or ROLLBACK"), "{e}");
    run(&a, "COMMIT");
    pull(&b, &a);
    assert_equal(&[&a, &b]);
    // What an open transaction merged is not acknowledged before it is committed.
    run(&a, "INSERT INTO t VALUES(3, 3, 3)");
    let was = json(&vector(&b))["seen"].clone();
    run(&b, "BEGIN");
    pull(&b, &a);
    assert_eq!(json(&vector(&b))["seen"], was);
    run(&b, "ROLLBACK");
    assert_eq!((json(&vector(&b))["seen"].clone(), int(&b, "SELECT count(*) FROM t")), (was, 2));
    pull(&b, &a);
    assert_equal(&[&a, &b]);
}

/// Another connection's open transaction is not seen, and its commit is.
#[test]
fn another_connections_open_transaction_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let (a, asker, b) = (open(&path), open(&path), memory());
    run(&a, "PRAGMA journal_mode = WAL");
    run(&a, T);
    run(&b, T);
    run(&a, "INSERT INTO t VALUES(1, 1, 1)");
    pull(&b, &asker);
    run(&a, "BEGIN; UPDATE t SET v = 'over'; INSERT INTO t VALUES(2, 2, 2)");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = rusqlite::Connection::open_with_flags(&path, flags).unwrap();
    common::load(&reader);
    assert!(changeset(&reader, &vector(&b), None).is_none());
    run(&a, "COMMIT");
    pull(&b, &asker);
    assert_equal(&[&a, &b, &asker]);
}

#[test]
fn a_limit_cuts_between_transactions_and_the_rest_follows() {
    let (a, b) = two(T);
    for n in 1..=40 {
        run(&a, &format!("INSERT INTO t VALUES({n}, zeroblob(500), {n})"));
    }
    for max in [0, 1, 1500, 4000, 1 << 40] {
        let c = memory();
        run(&c, T);
        let reports = pull_in(&c, &a, Some(max));
        let applied: u64 = reports.iter().map(|r| r["applied"].as_u64().unwrap()).sum();
        assert_eq!(applied, 80, "{max}");
        assert!(max > 4000 || reports.len() > 4, "{max}: {}", reports.len());
        assert_equal(&[&a, &c]);
    }
    let real = one(&a, "SELECT length(crsql_changeset(NULL, 1500.0))");
    assert_eq!(real, one(&a, "SELECT length(crsql_changeset(NULL, 1500))"));
    settle(&[&a, &b]);
}

#[test]
fn a_changeset_says_what_is_in_it() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 1, 1), (2, 2, 2); DELETE FROM t WHERE k = 1");
    let blob = everything(&a);
    let text: String =
        b.query_row("SELECT crsql_changeset_info(?1)", [&blob], |r| r.get(0)).unwrap();
    let info = json(&text);
    assert_eq!((&info["rows"], &info["cells"], &info["held"]), (&2.into(), &2.into(), &0.into()));
    assert_eq!((&info["transactions"], &info["kind"]), (&2.into(), &"delta".into()));
    assert_eq!(info["bytes"], blob.len());
    assert_eq!(info["sender"], one(&a, "SELECT lower(hex(crsql_site_id()))").as_str());
    assert_eq!(info["tables"][0]["name"], "t");
    apply(&b, &blob);
    assert_equal(&[&a, &b]);
}

/// What a file has and does not count as seen, and what it never saw though it has seen later
/// things, is not sent on, and nothing told so.
#[test]
fn the_check_tells_of_holes_and_of_what_was_never_seen() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 1, 1)");
    let first = vector(&a);
    run(&a, "INSERT INTO t VALUES(2, 2, 2)");
    let second = vector(&a);
    run(&a, "INSERT INTO t VALUES(3, 3, 3)");
    let site = one(&a, "SELECT lower(hex(crsql_site_id()))");
    let faults = || rows(&b, "SELECT fault, detail FROM crsql_check()");

    apply(&b, &changeset(&a, &second, None).unwrap());
    let [hole] = faults().try_into().unwrap();
    let told = format!("hole|versions 1 to 2 of site {site} were never seen here");
    assert!(hole.starts_with(&told), "{hole}");

    insert(&b, &changes(&a, "db_version = 1"));
    let [unseen, hole] = faults().try_into().unwrap();
    let told = format!("unseen|cells come from version 1 of site {site}, which");
    assert!(unseen.starts_with(&told) && hole.starts_with("hole"), "{unseen} {hole}");

    run(&b, &format!("SELECT crsql_seen('{first}')"));
    let [hole] = faults().try_into().unwrap();
    assert!(hole.starts_with("hole|versions 2 to 2 "), "{hole}");
    pull(&b, &a);
    assert_eq!(faults(), [""; 0]);
    assert_equal(&[&a, &b]);
}
