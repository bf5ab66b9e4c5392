//! The promise: `crsql_changes` answers every filter, join and order as an ordinary table of the
//! same rows would, shows exactly nine columns, and takes nine values.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{changes, pull, pull_rows, replicas, try_insert, two, vector};
use common::{Cell, error, int, memory, one, rows, run};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b);
                 CREATE TABLE u(k TEXT PRIMARY KEY NOT NULL, x);
                 SELECT crsql_as_crr('t'); SELECT crsql_as_crr('u');";

/// Three sites' changes, deletes and a held change, and the same rows in an ordinary table.
fn world() -> Connection {
    let all = replicas(3, T);
    run(&all[1], "INSERT INTO t VALUES(1, 'a', 2), (2, NULL, x'00'); UPDATE t SET a = 'x'");
    run(&all[1], "INSERT INTO u VALUES('k', 1.5); DELETE FROM t WHERE k = 2");
    run(&all[2], "CREATE TABLE w(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('w')");
    run(&all[2], "INSERT INTO w VALUES(1, 1); INSERT INTO u VALUES('m', 'n'), ('k', 'later')");
    run(&all[0], "INSERT INTO t VALUES(7, 7, 7); DELETE FROM t; INSERT INTO t VALUES(7, 8, 9)");
    pull(&all[0], &all[1]);
    pull(&all[0], &all[2]);
    let db = all.into_iter().next().unwrap();
    run(&db, "CREATE TABLE plain AS SELECT *, NULL AS hidden FROM crsql_changes");
    assert!(int(&db, "SELECT count(*) FROM plain") > 8);
    db
}

const COLUMNS: [&str; 9] =
    ["table", "pk", "cid", "val", "col_version", "db_version", "site_id", "cl", "seq"];

fn same(db: &Connection, tail: &str) {
    let select = |from: &str| {
        let mut all = rows(db, &format!("SELECT * FROM {from} {tail}"));
        all.iter_mut().for_each(|r| *r = r.trim_end_matches("|NULL|").to_string());
        all.sort();
        all
    };
    let plain = "(SELECT \"table\", pk, cid, val, col_version, db_version, site_id, cl, seq \
                 FROM plain) AS c";
    assert_eq!(select("crsql_changes AS c"), select(plain), "{tail}");
}

/// The rowid was a count from the start of the scan. SQLite runs the arms of an OR as scans of
/// their own and drops what has a rowid that it has seen, so that rows were missing.
#[test]
fn every_filter_on_every_column_answers_as_a_table_would() {
    let db = world();
    for column in COLUMNS {
        let values = rows(&db, &format!("SELECT DISTINCT quote(\"{column}\") FROM plain"));
        let mut odd: Vec<String> =
            ["NULL", "0", "-1", "1.5", "''", "'t'", "x''", "2", "2.0", "'2'", "9e18", "-9e999"]
                .map(String::from)
                .into();
        odd.extend(values);
        for v in &odd {
            for op in ["=", "<", ">", "<=", ">=", "IS", "IS NOT", "!=", "<>"] {
                same(&db, &format!("WHERE \"{column}\" {op} {v}"));
                same(&db, &format!("WHERE {v} {op} \"{column}\""));
            }
            same(&db, &format!("WHERE \"{column}\" IN ({v}, {})", odd[odd.len() / 2]));
            same(&db, &format!("WHERE \"{column}\" NOT IN ({v})"));
            same(&db, &format!("WHERE \"{column}\" BETWEEN {v} AND {}", odd[odd.len() - 1]));
            same(&db, &format!("WHERE \"{column}\" NOT BETWEEN 1 AND {v}"));
            same(&db, &format!("WHERE \"{column}\" = {v} OR db_version = 2"));
            same(&db, &format!("WHERE \"{column}\" LIKE {v}"));
        }
        same(&db, &format!("WHERE \"{column}\" IS NULL"));
        same(&db, &format!("WHERE \"{column}\" IS NOT NULL"));
    }
}

#[test]
fn filters_together_answer_as_a_table_would() {
    let db = world();
    let sites = rows(&db, "SELECT DISTINCT quote(site_id) FROM plain");
    for site in &sites {
        for n in -1..5 {
            for op in ["=", "<", ">", "<=", ">="] {
                same(&db, &format!("WHERE site_id = {site} AND db_version {op} {n}"));
                same(&db, &format!("WHERE site_id IS NOT {site} AND db_version {op} {n}"));
                same(&db, &format!("WHERE site_id != {site} AND site_id != x'' AND seq {op} {n}"));
            }
        }
        same(&db, &format!("WHERE site_id IN ({}) AND db_version IN (1, 3)", sites.join(", ")));
    }
    for pair in
        rows(&db, "SELECT DISTINCT quote(\"table\") || ' AND pk = ' || quote(pk) FROM plain")
    {
        same(&db, &format!("WHERE \"table\" = {pair}"));
        same(&db, &format!("WHERE \"table\" = {pair} AND cid <> '-1' AND db_version > 1"));
    }
    same(&db, "WHERE db_version > 1 AND db_version > 2 AND db_version < 9 AND db_version < 4");
    same(&db, "WHERE db_version = 1 AND db_version = 2");
    same(&db, "WHERE db_version > 9223372036854775807");
    same(&db, "WHERE db_version > 1.5 AND db_version <= 2.5");
}

#[test]
fn orders_joins_and_two_cursors_at_once() {
    let db = world();
    let text = "\"table\" || hex(pk) || cid || db_version || hex(site_id) || seq";
    let ordered = |order: &str| {
        let of = |from: &str| rows(&db, &format!("SELECT {text} FROM {from} ORDER BY {order}"));
        assert_eq!(of("crsql_changes"), of("plain"), "{order}");
    };
    for order in [
        "db_version, seq, site_id",
        "db_version DESC, seq, site_id",
        "db_version, seq DESC, site_id",
        "site_id, db_version, seq",
        "site_id DESC, db_version DESC, seq DESC",
        "seq, db_version, pk, site_id",
        "\"table\", pk, cid, site_id, db_version",
        "val, db_version, seq, site_id",
        "cl DESC, db_version, seq, site_id",
    ] {
        ordered(order);
    }
    let places = rows(&db, "SELECT printf('%05d %05d', db_version, seq) FROM crsql_changes");
    assert!(places.is_sorted(), "the order without ORDER BY: {places:?}");
    let limited =
        rows(&db, "SELECT db_version, seq FROM crsql_changes ORDER BY db_version LIMIT 3");
    assert_eq!(limited, rows(&db, "SELECT db_version, seq FROM crsql_changes LIMIT 3"));
    let pairs = |from: &str| {
        int(
            &db,
            &format!(
                "SELECT count(*) FROM {from} AS x JOIN {from} AS y
                 ON x.pk = y.pk AND x.\"table\" = y.\"table\" AND x.db_version < y.db_version"
            ),
        )
    };
    assert_eq!(pairs("crsql_changes"), pairs("plain"));
    let sub = |from: &str| {
        rows(
            &db,
            &format!(
                "SELECT cid, (SELECT max(seq) FROM {from} AS y WHERE
                            y.db_version = x.db_version) FROM {from} AS x ORDER BY 1, 2"
            ),
        )
    };
    assert_eq!(sub("crsql_changes"), sub("plain"));
    let mut one_stmt = db.prepare("SELECT db_version, seq FROM crsql_changes").unwrap();
    let mut two_stmt = db.prepare("SELECT db_version, seq FROM crsql_changes").unwrap();
    let (mut x, mut y) = (one_stmt.query([]).unwrap(), two_stmt.query([]).unwrap());
    while let Some(row) = x.next().unwrap() {
        let other = y.next().unwrap().unwrap();
        assert_eq!(row.get::<_, i64>(0).unwrap(), other.get::<_, i64>(0).unwrap());
        assert_eq!(row.get::<_, i64>(1).unwrap(), other.get::<_, i64>(1).unwrap());
    }
    assert!(y.next().unwrap().is_none());
}

#[test]
fn nine_columns_are_seen_in_their_order_and_nine_values_are_taken() {
    let db = world();
    let stmt = db.prepare("SELECT * FROM crsql_changes").unwrap();
    assert_eq!(stmt.column_names().collect::<Vec<_>>(), COLUMNS);
    drop(stmt);
    let all = changes(&db, "1");
    let empty = memory();
    run(&empty, T);
    for change in &all {
        try_insert(&empty, change).unwrap();
    }
    let known = "SELECT * FROM t UNION ALL SELECT k, x, 0 FROM u ORDER BY 1";
    assert_eq!(rows(&db, known), rows(&empty, known));
    for sql in [
        "UPDATE crsql_changes SET val = 1",
        "DELETE FROM crsql_changes",
        "DELETE FROM crsql_changes WHERE db_version = 1",
    ] {
        let e = error(&db, sql);
        assert!(e.contains("SELECT and INSERT"), "{sql}: {e}");
    }
    let named =
        "INSERT INTO crsql_changes(\"table\", pk, cid, val, col_version, db_version, site_id,
                 cl, seq) SELECT * FROM crsql_changes WHERE 0";
    run(&db, named);
}

#[test]
fn since_gives_what_a_vector_has_not_seen() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 1, 1)");
    let early = vector(&a);
    run(&a, "BEGIN; INSERT INTO t VALUES(2, 2, 2); UPDATE t SET a = 5 WHERE k = 1; COMMIT");
    let since = |v: &str| {
        let sql = format!("SELECT db_version, seq FROM crsql_changes WHERE since = '{v}'");
        rows(&a, &sql)
    };
    assert_eq!(since(&early), ["2|0", "2|1", "2|2"]);
    assert_eq!(since(&vector(&a)), [""; 0]);
    let nothing = rows(&a, "SELECT db_version, seq FROM crsql_changes WHERE since = NULL");
    assert_eq!(nothing.len(), 4, "NULL is the empty vector");
    assert_eq!(since(&vector(&b)).len(), 4);
    assert!(error(&a, "SELECT * FROM crsql_changes WHERE since = 'x'").contains("vector"));
    assert!(error(&a, "SELECT * FROM crsql_changes WHERE since = 5").contains("vector"));
    let n = "SELECT count(*) FROM crsql_changes WHERE since = crsql_vector()";
    assert_eq!(int(&a, n), 0);
    assert_eq!(pull_rows(&b, &a), 4);
    assert_eq!(pull_rows(&b, &a), 0);
    let both = format!("SELECT seq FROM crsql_changes WHERE since = '{early}' AND cid = 'a'");
    assert_eq!(rows(&a, &both).len(), 2);
}

#[test]
fn the_open_transaction_is_in_the_feed_and_gone_after_rollback() {
    let (a, _) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 1, 1)");
    let before = changes(&a, "1");
    run(&a, "BEGIN; INSERT INTO t VALUES(2, 2, 2); UPDATE t SET a = 9");
    assert_eq!(int(&a, "SELECT count(*) FROM crsql_changes WHERE db_version = 2"), 3);
    run(&a, "ROLLBACK");
    assert_eq!(changes(&a, "1"), before);
}

/// What a merge changed, counted over the open transaction, as cr-sqlite's applications read it.
#[test]
fn rows_impacted_counts_what_merges_changed() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 1, 1), (2, 2, 2)");
    let all = changes(&a, "1");
    run(&b, "BEGIN");
    assert_eq!(int(&b, "SELECT crsql_rows_impacted()"), 0);
    for (n, change) in all.iter().enumerate() {
        try_insert(&b, change).unwrap();
        assert_eq!(int(&b, "SELECT crsql_rows_impacted()"), n as i64 + 1);
    }
    try_insert(&b, &all[0]).unwrap();
    assert_eq!(int(&b, "SELECT crsql_rows_impacted()"), all.len() as i64, "nothing changed");
    run(&b, "COMMIT");
    assert_eq!(int(&b, "SELECT crsql_rows_impacted()"), 0, "a new transaction");
    let first = one(&b, "SELECT typeof(crsql_rows_impacted())");
    assert_eq!(first, "integer");
    let _ = Cell::Null;
}

/// better-sqlite3 and node:sqlite hand whole numbers over as REAL. What a program read from
/// `crsql_changes` and inserted again came as 4.0 for the 4 of an INTEGER column, and was held.
#[test]
fn numbers_from_a_language_with_one_kind_of_number_are_those_of_the_column() {
    let t = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, i INTEGER, n NUMERIC, r REAL, x);
             SELECT crsql_as_crr('t')";
    let (a, b) = (memory(), memory());
    run(&a, t);
    run(&b, t);
    run(&a, "INSERT INTO t VALUES(1, 4, 9007199254740991, 2.0, 'x'), (2, -1, 0.5, 0.25, 7)");
    let all = rows(
        &a,
        "SELECT hex(pk), cid, val, col_version, db_version, hex(site_id), cl, seq
                        FROM crsql_changes WHERE cid <> 'x'",
    );
    for change in all {
        let [pk, cid, val, version, db_version, site, cl, seq] =
            change.split('|').collect::<Vec<_>>().try_into().unwrap();
        let val = if val.ends_with(".0") {
            val.replace(".0", "")
        } else if val.contains('.') {
            val.to_owned()
        } else {
            format!("{val}.0")
        };
        run(
            &b,
            &format!(
                "INSERT INTO crsql_changes
             VALUES('t', x'{pk}', '{cid}', {val}, {version}, {db_version}, x'{site}', {cl}, {seq})"
            ),
        );
    }
    let typed = "SELECT k, typeof(i), i, typeof(n), n, typeof(r), r FROM t";
    assert_eq!(rows(&a, typed), rows(&b, typed));
    assert_eq!(int(&b, "SELECT count(*) FROM crsql_held"), 0);
}
