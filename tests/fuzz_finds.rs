//! The promise: what the fuzzer once got through stays out. Each test is an input that a peer who
//! knows the format can send, or a file that somebody edited by hand: it is refused whole, or read
//! as the damage that it is, and never passed on to peers who would choke on it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{error, int, memory, one, rows, run};
use crsql::words::changeset::{Builder, Header, HeldItem, KeyRef, TxnHead, decode};
use crsql::words::value::ValueRef;
use crsql::words::vector::Span;
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t');";
const SITE: [u8; 16] = [9; 16];

fn replica() -> Connection {
    let db = memory();
    run(&db, T);
    db
}

fn apply(db: &Connection, blob: &[u8]) -> Result<String, String> {
    db.query_row("SELECT crsql_apply(?1)", [blob], |r| r.get(0)).map_err(|e| e.to_string())
}

/// A changeset by a stranger, of one transaction that `fill` writes; `covered` says whether the
/// header covers it. Tables are those of a replica with one row.
fn stranger(stamp: u64, covered: bool, fill: impl FnOnce(&mut Builder, usize)) -> Vec<u8> {
    let model = replica();
    run(&model, "INSERT INTO t VALUES(1, 'x')");
    let blob: Vec<u8> = model.query_row("SELECT crsql_changeset()", [], |r| r.get(0)).unwrap();
    let table = decode(&blob).unwrap().header.tables[0].clone();
    let mut b = Builder::new();
    let at = b.table(0, || table);
    b.begin(TxnHead {
        site: SITE,
        version: 1,
        stamp,
        last_seq: 9,
        flags: 0,
        part: None,
        deps: Vec::new(),
    });
    fill(&mut b, at);
    b.end();
    let mut header = Header { sender: SITE, ..Header::default() };
    if covered {
        header.coverage.insert(SITE, vec![Span { lo: 1, hi: 1, stamp }]);
    }
    b.finish(header).unwrap()
}

fn one_cell(b: &mut Builder, table: usize) {
    let cell = (0, 0, None, ValueRef::Text(b"from afar"));
    b.row(table, KeyRef::Int(7), 1, None, [cell].into_iter());
}

/// Everything that is stored.
fn all_of(db: &Connection) -> Vec<String> {
    let tables = rows(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1");
    tables.iter().flat_map(|t| rows(db, &format!("SELECT '{t}', * FROM \"{t}\""))).collect()
}

fn refused(blob: &[u8], why: &str) {
    let db = replica();
    let before = all_of(&db);
    let said = apply(&db, blob).unwrap_err();
    assert!(said.contains(why), "{said}");
    assert_eq!(before, all_of(&db));
}

/// A transaction that the changeset holds and does not cover was applied, and could then be got by
/// nobody: it was in the tables, and no vector and no changeset ever told of it.
#[test]
fn e11_a_transaction_that_is_not_covered_is_rejected() {
    assert!(apply(&replica(), &stranger(5, true, one_cell)).is_ok());
    refused(&stranger(5, false, one_cell), "does not cover it");
}

/// A cell with the stamp 0 was written into its row and left no clock that counts: it was in the
/// table of this file and in no feed.
#[test]
fn d5_a_cell_with_the_stamp_0_is_rejected() {
    refused(&stranger(0, true, one_cell), "stamp 0");
}

/// A held cell of a dead row was held for a table that is not here, passed on, and made every
/// changeset of ours REJECTED by peers who have the table.
#[test]
fn e9_a_held_change_that_cannot_be_is_not_passed_on() {
    let held = |cid: &'static str, col_version: u64, cl: u64| {
        stranger(5, true, move |b, _| {
            b.held(&HeldItem {
                table: "elsewhere",
                pk: &[1, 9, 7],
                cid,
                val: ValueRef::Null,
                col_version,
                cl,
                seq: 0,
            });
        })
    };
    for (cid, col_version, cl) in [("v", 5, 2), ("-1", 3, 1), ("-1", 0, 2)] {
        refused(&held(cid, col_version, cl), "cannot be");
    }
    for (cid, col_version, cl) in [("v", 5, 1), ("-1", 2, 2), ("-1", 3, 3)] {
        let db = replica();
        assert!(apply(&db, &held(cid, col_version, cl)).is_ok(), "{cid} {cl}");
        assert_eq!(int(&db, "SELECT count(*) FROM crsql_held"), 1);
    }
}

/// A column named -1, which no table of ours can have, was held under that name, where it read as
/// the causal length of its row.
#[test]
fn b8_a_column_named_minus_one_is_rejected() {
    let good = stranger(5, true, one_cell);
    let mut b = Builder::new();
    let mut table = decode(&good).unwrap().header.tables[0].clone();
    table.columns[0].name = "-1".to_owned();
    let at = b.table(0, || table);
    b.begin(decode(&good).unwrap().transactions().next().unwrap().unwrap().head);
    one_cell(&mut b, at);
    b.end();
    assert!(b.finish(Header::default()).unwrap_err().text.contains("named -1"));
}

/// A REJECTED changeset made our tables in a file that had none.
#[test]
fn f1_a_rejected_changeset_makes_no_tables() {
    let db = memory();
    run(&db, "CREATE TABLE its_own(x)");
    let before = all_of(&db);
    assert!(apply(&db, &stranger(5, false, one_cell)).is_err());
    assert_eq!(before, all_of(&db));
    assert_eq!(rows(&db, "SELECT name FROM sqlite_schema"), ["its_own"]);
    run(&db, T);
    assert!(apply(&db, &stranger(5, true, one_cell)).is_ok());
    assert_eq!(one(&db, "SELECT v FROM t"), "from afar");
}

/// In a transaction and a file without tables of ours, what a REJECTED changeset was stamped with
/// was still waiting to be written down after all of it had been put back: every later call said
/// that crsql's tables are gone. And a stamp that had been waiting since before a savepoint was
/// lost, when it was written down inside and the savepoint rolled back.
#[test]
fn c10_the_stamps_that_were_seen_go_back_with_their_savepoint() {
    let db = memory();
    let two = stranger(5, true, |b, table| {
        one_cell(b, table);
        b.end();
        b.begin(TxnHead {
            site: SITE,
            version: 2,
            stamp: 6,
            last_seq: 0,
            flags: 0,
            part: None,
            deps: Vec::new(),
        });
        b.row(table, KeyRef::Int(8), 1, Some(0), [].into_iter());
    });
    run(&db, "CREATE TABLE its_own(x); BEGIN");
    assert!(apply(&db, &two).unwrap_err().contains("does not cover it"));
    assert_eq!(rows(&db, "SELECT * FROM crsql_check()").len(), 0);
    run(&db, "COMMIT");

    let soon = "(SELECT 60000
        + CAST((julianday('now') - julianday('2020-01-01')) * 86400000 AS INT))";
    let db = replica();
    let insert = "INSERT INTO crsql_changes(\"table\", pk, cid, val, col_version, db_version,
        site_id, cl, seq) VALUES('t', x'010907', 'v', 'theirs', 4096 * ";
    run(&db, &format!("BEGIN; {insert}{soon}, 1, x'{}', 1, 0)", "09".repeat(16)));
    run(&db, "SAVEPOINT s; SELECT * FROM crsql_changes; ROLLBACK TO s; RELEASE s");
    run(&db, "UPDATE t SET v = 'ours'; COMMIT");
    assert_eq!(one(&db, "SELECT val FROM crsql_changes WHERE cid = 'v'"), "ours");
    let later = "SELECT count(DISTINCT site_id), max(col_version) > 4096 * ";
    assert_eq!(one(&db, &format!("{later}{soon} - 4096 * 5000 FROM crsql_changes")), "1|1");
}

/// A row said of its transaction, not of its cell, that it is stamped just before the last stamp
/// there is, and was taken. As it claimed to be of this very site, it was a fork, and issued again
/// with the last stamp: no local write could be committed any more.
#[test]
fn d3_a_row_whose_transaction_is_too_far_ahead_is_held() {
    let db = replica();
    run(&db, "INSERT INTO t VALUES(1, 'x')");
    run(
        &db,
        "INSERT INTO crsql_changes(\"table\", pk, cid, val, col_version, db_version, site_id, cl,
           seq, stamp) VALUES('t', x'010901', 'v', 'theirs', 4096, 7, crsql_site_id(), 1, 0,
           9007199254740990)",
    );
    assert_eq!(one(&db, "SELECT cid || ahead FROM crsql_held"), "v9007199254740990");
    run(&db, "SELECT crsql_vector(); BEGIN; UPDATE t SET v = 'ours'; COMMIT");
    assert_eq!(one(&db, "SELECT val FROM crsql_changes WHERE col_version > 9999"), "ours");
}

/// The greatest drift that can be set went over the end of its type where the time of what waits
/// was looked at.
#[test]
fn d1_any_drift_that_can_be_set_is_a_drift() {
    let db = replica();
    run(
        &db,
        "INSERT INTO crsql_changes(\"table\", pk, cid, val, col_version, db_version, site_id, cl,
           seq) VALUES('t', x'010901', 'v', 'late', 9007199254740000, 7, zeroblob(16), 1, 0)",
    );
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_held"), 1);
    run(&db, "SELECT crsql_config_set('max-drift-ms', 9223372036854775807)");
    assert_eq!(one(&db, "SELECT fault FROM crsql_check()"), "held");
    run(&db, "SELECT crsql_vector()");
    assert_eq!(one(&db, "SELECT v FROM t"), "late");
}

/// Inside a transaction the check said of its own writes that this file does not count them as
/// seen: they are, once they are committed.
#[test]
fn g2_what_the_open_transaction_wrote_is_not_unseen() {
    let db = replica();
    run(&db, "INSERT INTO t VALUES(1, 'x'); BEGIN; UPDATE t SET v = 'y'");
    assert_eq!(rows(&db, "SELECT * FROM crsql_check()").len(), 0);
    run(&db, "INSERT INTO t VALUES(2, 'z')");
    assert_eq!(rows(&db, "SELECT * FROM crsql_check()").len(), 0);
    run(&db, "COMMIT");
    assert_eq!(rows(&db, "SELECT * FROM crsql_check()").len(), 0);
}

/// A change that is too old for its row was held for other reasons, and then never went away.
#[test]
fn e11_what_is_below_its_row_is_not_held() {
    let insert = |db: &Connection, cid: &str, col_version: i64, cl: i64, seq: i64| {
        let mut stmt = db
            .prepare(
                "INSERT INTO crsql_changes(\"table\", pk, cid, val, col_version, db_version, \
                 site_id, cl, seq) VALUES('t', x'010907', ?1, NULL, ?2, 3, ?3, ?4, ?5)",
            )
            .unwrap();
        stmt.execute((cid, col_version, &SITE[..], cl, seq)).unwrap();
    };
    for cid in ["v", "other"] {
        let (a, b) = (replica(), replica());
        insert(&a, cid, i64::MAX, 1, 0);
        insert(&a, "-1", 2, 2, 1);
        insert(&b, "-1", 2, 2, 1);
        insert(&b, cid, i64::MAX, 1, 0);
        let digest = "SELECT crsql_digest(NULL, 'all')";
        assert_eq!(one(&a, digest), one(&b, digest), "{cid}");
    }
}

/// Our tables, edited by hand: versions that are no integers went round for ever, ranges of version
/// 0 and ids and places at the end of their type went over it.
#[test]
fn h5_hand_edited_tables_are_an_error_and_not_a_panic_or_a_hang() {
    let cases = [
        "UPDATE crsql_log SET version = 5e-324",
        "INSERT INTO crsql_coverage(site, lo, hi, stamp) VALUES(0, 0, 9, 1)",
        "INSERT INTO crsql_coverage(site, lo, hi, stamp) VALUES(0, 9, 3, 1)",
        "UPDATE crsql_register SET cid = 4294967295",
        "UPDATE crsql_log SET rows = x'0702ffffffffffffffffff01ffffffffffffffffff010e'",
        "UPDATE crsql_log SET version = 9223372036854775807",
    ];
    let calls = [
        "SELECT crsql_changeset()",
        "SELECT * FROM crsql_changes",
        "SELECT crsql_digest(NULL, 'all')",
        "SELECT * FROM crsql_check()",
        "SELECT crsql_vector()",
        "INSERT INTO t VALUES(5, 5)",
        "UPDATE t SET v = 6",
    ];
    for case in cases {
        let db = replica();
        run(&db, "INSERT INTO t VALUES(1, 'x')");
        run(&db, case);
        for call in calls {
            let said = db.execute_batch(call).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(!said.contains("internal error"), "{case}; {call}: {said}");
        }
        run(&db, "CREATE TABLE its_own(x); INSERT INTO its_own VALUES(1)");
    }
    let db = replica();
    run(&db, "INSERT INTO t VALUES(1, 'x'); INSERT INTO t VALUES(2, 'x')");
    run(&db, "UPDATE crsql_log SET version = 5e-324 WHERE version = 1");
    assert!(error(&db, "SELECT crsql_changeset()").contains("crsql_log"));
}

/// A held change with the last stamp there is, of a site that was closed: issued again one step
/// later, it had a stamp beyond the last, and no changeset could be made any more. And a log whose
/// record is gone while its parts are there: issuing that again came to the same version for ever.
#[test]
fn i1_what_is_issued_again_of_a_damaged_site_has_an_end() {
    let closed = "UPDATE crsql_sites SET closed = 0, closed_stamp = 0, closed_from = 1
                  WHERE hex(site_id) = '8F692B620B204C28A3B0669F8CEFEC6D'";
    let change = |key: i64, stamp: i64| {
        format!(
            "INSERT INTO crsql_changes(\"table\", pk, cid, val, col_version, db_version, site_id,
               cl, seq, stamp)
             VALUES('t', crsql_pack_columns({key}), '-1', NULL, 3, 17,
               x'8f692b620b204c28a3b0669f8cefec6d', 3, 39, {stamp})"
        )
    };
    let db = replica();
    run(&db, &change(1, 9_007_199_254_740_991));
    assert_eq!(int(&db, "SELECT count(*) FROM crsql_held"), 1);
    run(&db, closed);
    assert_eq!(int(&db, "SELECT crsql_changeset() IS NOT NULL"), 1);

    let db = replica();
    run(&db, &change(1, 4096));
    run(&db, closed);
    run(&db, "DELETE FROM crsql_log WHERE version = 17 AND part = 0");
    assert!(error(&db, "SELECT crsql_changeset()").contains("not its record"));

    let db = replica();
    run(&db, &change(1, 4096));
    run(&db, closed);
    run(&db, "UPDATE crsql_log SET version = x'17' WHERE version = 17");
    assert!(error(&db, "SELECT crsql_changeset()").contains("no numbers"));

    // The file's own site, closed by hand: what was issued again was to be issued again.
    let db = replica();
    run(&db, "INSERT INTO t VALUES(1, 1); UPDATE crsql_sites SET closed = 0, closed_stamp = 0");
    run(&db, "UPDATE crsql_sites SET closed_from = 1");
    assert!(error(&db, "SELECT crsql_changeset()").contains("crsql_new_site()"));
    run(&db, "SELECT crsql_new_site()");
    assert_eq!(int(&db, "SELECT crsql_changeset() IS NOT NULL"), 1);
}

/// A cell may say a stamp of its own. Only the transaction's was held against the clock, so by a
/// changeset a stranger could write a value that wins over everything for years, which row by row
/// was held; and two replicas that took it in different ways ended apart (simulator, seed 902941 of
/// the worlds with a hostile peer). Now such a cell is held either way.
#[test]
fn d1_a_cell_from_the_far_future_in_a_changeset_of_today_is_held() {
    let db = replica();
    let now: i64 = db.query_row("SELECT crsql_vector() ->> '$.now'", [], |r| r.get(0)).unwrap();
    let blob = stranger(now as u64, true, |b, table| {
        let far = (0, 0, Some((1 << 50) - 1), ValueRef::Text(b"for ever"));
        b.row(table, KeyRef::Int(7), 1, None, [far].into_iter());
    });
    let report = apply(&db, &blob).unwrap();
    assert!(report.contains("\"held\":1"), "{report}");
    assert_eq!(rows(&db, "SELECT * FROM t WHERE k = 7"), [""; 0]);
    let reason = rows(&db, "SELECT reason FROM crsql_held");
    assert!(reason[0].starts_with("its clock is "), "{reason:?}");
    run(&db, "INSERT INTO t VALUES(7, 'mine')");
    assert_eq!(rows(&db, "SELECT * FROM t WHERE k = 7"), ["7|mine"]);
}

/// What was held at a place beyond the last one that its transaction told of was past the end of
/// the record here, and whoever asked for a few bytes at a time got an error from then on.
#[test]
fn held_beyond_the_last_place_is_served_in_parts() {
    let db = replica();
    let now: i64 = db.query_row("SELECT crsql_vector() ->> '$.now'", [], |r| r.get(0)).unwrap();
    let blob = stranger(now as u64, true, |b, table| {
        for (key, seq) in [(7, 1), (8, 1 << 33), (9, 1 << 37)] {
            let far = (0, seq, Some((1 << 50) - 1), ValueRef::Text(b"for ever"));
            b.row(table, KeyRef::Int(key), 1, None, [far].into_iter());
        }
    });
    assert!(apply(&db, &blob).unwrap().contains("\"held\":3"));
    let other = replica();
    for _ in 0..3 {
        let vector = one(&other, "SELECT crsql_vector()");
        let part: Vec<u8> =
            db.query_row("SELECT crsql_changeset(?1, 1)", [vector], |r| r.get(0)).unwrap();
        apply(&other, &part).unwrap();
    }
    assert_eq!(int(&other, "SELECT count(*) FROM crsql_held"), 3);
}
