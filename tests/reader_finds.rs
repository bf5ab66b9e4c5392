//! Faults that were found by reading the code, each with what happened before it was mended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{apply, assert_equal, changes, changeset, pull, pull_in, vector};
use common::{int, memory, one, rows, run};
use crsql::words::changeset::{Builder, Header, TableInfo, TxnHead, decode};
use crsql::words::keylist::KeyRef;
use crsql::words::value::ValueRef;
use crsql::words::vector::Span;
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w); SELECT crsql_as_crr('t');";
const SITE: [u8; 16] = [0x5a; 16];
const STAMP: u64 = 4096 * 1000;

fn replica() -> Connection {
    let db = memory();
    run(&db, T);
    db
}

/// The table as a replica tells it.
fn table(db: &Connection) -> TableInfo {
    run(db, "INSERT INTO t VALUES(1, 1, 1)");
    let blob = changeset(db, &vector(&memory()), None).unwrap();
    decode(&blob).unwrap().header.tables[0].clone()
}

/// A changeset of one transaction of a stranger's.
fn stranger(table: &TableInfo, last_seq: u64, fill: impl FnOnce(&mut Builder, usize)) -> Vec<u8> {
    let mut b = Builder::new();
    let at = b.table(0, || table.clone());
    let (version, stamp) = (1, STAMP);
    let (flags, part, deps) = (0, None, Vec::new());
    b.begin(TxnHead { site: SITE, version, stamp, last_seq, flags, part, deps });
    fill(&mut b, at);
    b.end();
    let mut header = Header { sender: SITE, ..Header::default() };
    header.coverage.insert(SITE, vec![Span { lo: 1, hi: 1, stamp }]);
    b.finish(header).unwrap()
}

/// A transaction in which two rows claim the same places, as only a dishonest sender makes one,
/// was applied whole and shown in part: the second row was in the table, in no feed and in no
/// changeset.
#[test]
fn e11_rows_that_claim_the_same_places_do_not_hide_each_other() {
    let (a, b, c) = (replica(), replica(), replica());
    let info = table(&replica());
    let blob = stranger(&info, 3, |builder, at| {
        for (key, seqs) in [(7, [0, 1]), (9, [0, 1]), (8, [1, 3]), (3, [2, 3])] {
            let cell = |n: usize| (n, seqs[n], None, ValueRef::Int(key));
            builder.row(at, KeyRef::Int(key), 1, None, [cell(0), cell(1)].into_iter());
        }
    });
    apply(&a, &blob);
    assert_eq!(rows(&a, "SELECT k FROM t ORDER BY k"), ["3", "7", "8", "9"]);
    assert_eq!(changes(&a, "1").len(), 8);
    pull(&b, &a);
    assert_equal(&[&a, &b]);
    pull_in(&c, &a, Some(1));
    assert_equal(&[&a, &c]);
}

/// A stamp so many milliseconds from now.
fn ahead(db: &Connection, ms: i64) -> i64 {
    let v: serde_json::Value = serde_json::from_str(&vector(db)).unwrap();
    v["now"].as_i64().unwrap() + (ms << 12)
}

/// One change of a stranger's, row by row.
fn insert(db: &Connection, cid: &str, val: &str, stamp: i64, version: i64) {
    let sql =
        "INSERT INTO crsql_changes VALUES('t', x'010907', ?1, ?2, ?3, ?4, zeroblob(16), 1, 0)";
    db.execute(sql, (cid, val, stamp, version)).unwrap();
}

/// What waits for its clock took the place of its cell among what is held: an absurd stamp kept
/// every later change of a column that is not here yet from being held, and they were gone.
#[test]
fn d1_what_waits_for_its_clock_takes_nobodys_place() {
    let db = replica();
    insert(&db, "later", "in 2080", ahead(&db, 1 << 40), 1);
    insert(&db, "later", "in an hour", ahead(&db, 3_600_000), 2);
    insert(&db, "later", "now", ahead(&db, 0), 3);
    insert(&db, "v", "now", ahead(&db, 0), 3);
    let waits = "SELECT val FROM crsql_held ORDER BY col_version";
    assert_eq!(rows(&db, waits), ["now", "in an hour", "in 2080"]);
    run(&db, "ALTER TABLE t ADD COLUMN later; SELECT crsql_vector()");
    assert_eq!(rows(&db, "SELECT v, later FROM t"), ["now|now"]);
    assert_eq!(rows(&db, waits), ["in an hour", "in 2080"]);
}

/// A change that waits for its clock lost, in the feed, the stamp of the transaction that it came
/// with: whoever got it from here did not know that it is ahead, and a delete took effect at once.
#[test]
fn d1_a_delete_that_waits_is_passed_on_with_its_stamp() {
    let (a, b, c) = (replica(), replica(), replica());
    for db in [&a, &b, &c] {
        insert(db, "v", "1", ahead(db, 0), 1);
    }
    let stamp = ahead(&a, 3_600_000);
    let gone =
        "INSERT INTO crsql_changes(\"table\", pk, cid, val, col_version, db_version, site_id, cl,
                seq, stamp) VALUES('t', x'010907', '-1', NULL, 2, 2, zeroblob(16), 2, 0, ?1)";
    a.execute(gone, [stamp]).unwrap();
    assert_eq!(int(&a, "SELECT count(*) FROM crsql_held"), 1);
    let told = "SELECT stamp FROM crsql_changes WHERE db_version = 2";
    assert_eq!(int(&a, told), stamp);
    b.execute(gone, [int(&a, told)]).unwrap();
    assert_eq!(int(&b, "SELECT count(*) FROM t"), 1, "it waits there too");
    run(&a, &format!("SELECT crsql_seen('{}')", vector_of_stranger(stamp)));
    let report = pull(&c, &a);
    assert_eq!(int(&c, "SELECT count(*) FROM t"), 1, "{report}");
    assert!(report["cut"][0]["reason"].as_str().unwrap().contains("ahead of ours"), "{report}");
}

fn vector_of_stranger(stamp: i64) -> String {
    let site = "0".repeat(32);
    format!(r#"{{"v":1,"site":"{site}","seen":{{"{site}":[[1,2,{stamp}]]}}}}"#)
}

/// "Column t.v is TEXT here and TEXT at its sender": true, and of no help.
#[test]
fn j4_a_mismatch_says_what_differs() {
    let db = replica();
    let mut info = table(&replica());
    info.columns[0].affinity = crsql::words::affinity::Affinity::Text;
    let cell = |n: usize| (n, n as u64, None, ValueRef::Int(1));
    apply(
        &db,
        &stranger(&info, 1, |b, at| {
            b.row(at, KeyRef::Int(7), 1, None, [cell(0), cell(1)].into_iter());
        }),
    );
    let reason = one(&db, "SELECT reason FROM crsql_held");
    let wanted = "column t.v is declared untyped here and at its sender, and stores with the \
                  affinity BLOB here and TEXT there";
    assert_eq!(reason, wanted);
}

/// A UNIQUE index or a foreign key that came after enabling was not told of, though enabling
/// refuses it.
#[test]
fn b5_what_enabling_refuses_is_told_by_the_check() {
    let db = replica();
    assert_eq!(rows(&db, "SELECT * FROM crsql_check()"), [""; 0]);
    run(&db, "CREATE UNIQUE INDEX one ON t(v)");
    let said = rows(&db, "SELECT fault, detail FROM crsql_check()");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("shape|table t has the UNIQUE index one"), "{said:?}");
    run(&db, "DROP INDEX one; ALTER TABLE t ADD COLUMN r REFERENCES t(k)");
    let said = one(&db, "SELECT detail FROM crsql_check() WHERE fault = 'shape'");
    assert!(said.contains("foreign key to t"), "{said}");
}
