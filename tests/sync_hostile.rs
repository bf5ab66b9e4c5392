//! The promise: any bytes and any values may be handed to `crsql_apply` and to `crsql_changes`.
//! They are taken, held or refused with a sentence; never is anything half written, and the
//! connection works on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{
    WAYS, apply, assert_equal, changes, content, everything, insert, pull, pull_in, replicas,
    settle, try_apply, try_insert, two,
};
use common::{Cell, Seeded, int, memory, one, rows, run};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w TEXT);
                 CREATE TABLE u(a TEXT NOT NULL, b INTEGER NOT NULL, v, PRIMARY KEY(a, b));
                 SELECT crsql_as_crr('t'); SELECT crsql_as_crr('u');";

/// Everything that is stored, ours included, but for times.
fn all_of(db: &Connection) -> Vec<String> {
    let tables = rows(
        db,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'
         ORDER BY 1",
    );
    let mut out = Vec::new();
    for t in tables {
        out.push(t.clone());
        out.extend(rows(db, &format!("SELECT * FROM \"{t}\"")));
    }
    out
}

fn filled() -> Connection {
    let db = memory();
    run(&db, T);
    run(&db, "INSERT INTO t VALUES(1, 'one', 'w'), (2, x'00ff', NULL), (-3, 1.5, 'é')");
    run(&db, "INSERT INTO u VALUES('a', 1, 9), ('b', 2, 'x'); DELETE FROM t WHERE k = 2");
    run(&db, "UPDATE t SET v = 'two' WHERE k = 1; INSERT INTO t VALUES(2, 2, 2)");
    db
}

fn refused(db: &Connection, before: &[String], blob: &[u8], what: &str) {
    match try_apply(db, blob) {
        Ok(report) => panic!("{what} was taken: {report}"),
        Err(e) => assert!(e.len() > 10 && e.is_ascii(), "{what}: {e:?}"),
    }
    assert_eq!(before, all_of(db), "{what} left something behind");
    assert!(db.is_autocommit(), "{what}");
}

/// Every cut and every changed bit of a changeset is refused, and nothing of it is written.
#[test]
fn e10_damaged_changesets_are_rejected_and_leave_nothing() {
    let (a, b) = (filled(), memory());
    run(&b, T);
    let good = everything(&a);
    let before = all_of(&b);
    for len in 0..good.len() {
        refused(&b, &before, &good[..len], &format!("cut at {len}"));
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        refused(&b, &before, &bad, &format!("bit of byte {at}"));
    }
    for extra in [&[0u8][..], b"crsql", &good] {
        refused(&b, &before, &[&good, extra].concat(), "trailing bytes");
    }
    assert_eq!(apply(&b, &good)["held"], 0);
    assert_equal(&[&a, &b]);
}

/// Changesets whose hash is right and whose content is not: it is the content that is checked.
#[test]
fn e5_signed_off_nonsense_is_rejected_or_taken_whole() {
    use sha2::{Digest, Sha256};
    let a = filled();
    let good = everything(&a);
    let r = &mut Seeded(0xe5);
    let (mut taken, mut rejected) = (0, 0);
    let body = good.len() - 32;
    for _ in 0..3000 {
        let mut bad = good[..body].to_vec();
        for _ in 0..1 + r.below(3) {
            let at = r.below(body as u64) as usize;
            match r.below(4) {
                0 => bad[at] = 0xff,
                1 => bad[at] = r.below(256) as u8,
                2 => bad[at] = bad[at].wrapping_add(1),
                _ => bad[at] ^= 1 << r.below(8),
            }
        }
        let hash = Sha256::digest(&bad);
        bad.extend_from_slice(&hash);
        let b = memory();
        run(&b, T);
        let before = all_of(&b);
        match try_apply(&b, &bad) {
            Ok(_) => taken += 1,
            Err(_) => {
                rejected += 1;
                assert_eq!(before, all_of(&b));
            }
        }
        assert!(rows(&b, "SELECT * FROM crsql_check() WHERE fault <> 'constraint'").is_empty());
        run(&b, "UPDATE t SET v = 1; INSERT INTO t(k) VALUES(77); DELETE FROM u");
        let _ = pull_in(&b, &a, Some(300));
    }
    assert!(rejected > 1000 && taken > 10, "{rejected} rejected, {taken} taken");
}

/// Hostile packed keys, row by row: empty, short, too long, silly widths, wrong arity, bad tags.
#[test]
fn e1_e6_hostile_keys_are_rejected_row_by_row() {
    let (a, b) = (filled(), memory());
    run(&b, T);
    let before = all_of(&b);
    let good = changes(&a, "\"table\" = 't' AND cid = 'v'").remove(0);
    let keys: &[&[u8]] = &[
        b"",
        &[0],
        &[1],
        &[1, 9],
        &[2, 9, 1],
        &[255],
        &[1, 0x0b],
        &[1, 0x0b, 200],
        &[1, 0x13, 0xff, 0xff],
        &[1, 0xf9, 1, 2, 3],
        &[1, 0x41, 1],
        &[1, 9, 1, 9],
        &[1, 6],
        &[1, 7],
        &[1, 0x0c, 9, 1],
        &[1, 0x43, 255, 255, 255, 255, 255, 255, 255, 255],
        &[1, 2, 0],
    ];
    for key in keys {
        let mut bad = good.clone();
        bad[1] = Cell::Blob(key.to_vec());
        let e = try_insert(&b, &bad).expect_err(&format!("{key:?} was taken"));
        assert!(e.contains("pk") && e.contains('t'), "{key:?}: {e}");
        assert_eq!(before, all_of(&b), "{key:?}");
    }
    // Sound keys that are not this table's are held, by name.
    for sql in ["crsql_pack_columns(1, 2)", "crsql_pack_columns('x')", "crsql_pack_columns(NULL)"] {
        let mut odd = good.clone();
        let key: Vec<u8> = b.query_row(&format!("SELECT {sql}"), [], |r| r.get(0)).unwrap();
        odd[1] = Cell::Blob(key);
        try_insert(&b, &odd).unwrap();
    }
    assert_eq!(int(&b, "SELECT count(*) FROM t"), 0);
    let reasons = rows(&b, "SELECT reason FROM crsql_held");
    assert!(reasons.len() == 3 && reasons.iter().all(|r| r.contains('t')), "{reasons:?}");
}

/// Wrong storage classes are a MISMATCH that names the column; integers that a JavaScript driver
/// hands over as doubles are taken.
#[test]
fn e7_wrong_classes_are_refused_by_the_name_of_the_column() {
    let (a, b) = (filled(), memory());
    run(&b, T);
    let before = all_of(&b);
    let good = changes(&a, "\"table\" = 't' AND cid = 'v'").remove(0);
    let names = ["table", "pk", "cid", "val", "col_version", "db_version", "site_id", "cl", "seq"];
    let odd = [
        Cell::Null,
        Cell::Int(1),
        Cell::Real(1.5),
        Cell::Text(b"x".to_vec()),
        Cell::Blob(vec![1, 9, 1]),
        Cell::Text(vec![0xff]),
        Cell::Real(f64::INFINITY),
        Cell::Real(-1.0),
        Cell::Real(1e300),
        Cell::Blob(vec![0; 15]),
        Cell::Text(b"1".to_vec()),
    ];
    let fits = |at: usize, v: &Cell| match (at, v) {
        (0 | 2, Cell::Text(t)) => std::str::from_utf8(t).is_ok(),
        (1, Cell::Blob(b)) => b == &[1, 9, 1],
        (3, _) => true,
        (4 | 5 | 7 | 8, Cell::Int(n)) => *n > 0,
        _ => false,
    };
    for (at, name) in names.iter().enumerate() {
        for v in odd.iter().filter(|v| !fits(at, v)) {
            let mut bad = good.clone();
            bad[at] = v.clone();
            let e = try_insert(&b, &bad).expect_err(&format!("{name} {v:?} was taken"));
            assert!(e.contains(&format!("crsql_changes.{name}")), "{name} {v:?}: {e}");
            assert_eq!(before, all_of(&b), "{name} {v:?}");
        }
    }
    let mut js = good.clone();
    for at in [4, 5, 7, 8] {
        if let Cell::Int(n) = js[at] {
            js[at] = Cell::Real(n as f64);
        }
    }
    try_insert(&b, &js).unwrap();
    assert_eq!(changes(&b, "1"), [good]);
}

/// Names from the wire are looked up, never spliced: SQL in them is only an unknown name.
#[test]
fn e8_names_are_looked_up_and_never_run() {
    let (a, b) = (filled(), memory());
    run(&b, T);
    run(
        &b,
        "CREATE TABLE secret(k INTEGER PRIMARY KEY NOT NULL, v); INSERT INTO secret VALUES(1, 1)",
    );
    let good = changes(&a, "\"table\" = 't' AND cid = 'v'").remove(0);
    let names = [
        "t\" VALUES(9);--",
        "t; DROP TABLE secret",
        "main.t",
        "\"t\"",
        "secret",
        "crsql_state",
        "crsql_held",
        "sqlite_schema",
        "",
        "T ",
        "t'",
        "t\0x",
        "crsql_clock_1",
        "pragma_table_info",
    ];
    for name in names {
        for at in [0, 2] {
            let mut odd = good.clone();
            odd[at] = Cell::Text(name.as_bytes().to_vec());
            try_insert(&b, &odd).unwrap();
        }
    }
    // The row of the columns that are not known lives all the same, with nothing in it.
    assert_eq!(rows(&b, "SELECT v FROM t"), ["NULL"]);
    assert_eq!(one(&b, "SELECT v FROM secret"), "1");
    assert_eq!(int(&b, "SELECT count(DISTINCT \"table\" || '.' || cid) FROM crsql_held"), 28);
    // Letter case is SQLite's: names are found as SQLite finds them.
    let mut upper = good.clone();
    upper[0] = Cell::Text(b"T".to_vec());
    upper[2] = Cell::Text(b"V".to_vec());
    try_insert(&b, &upper).unwrap();
    assert_eq!(int(&b, "SELECT count(*) FROM t"), 1);
}

/// An unknown table and an unknown column wait, are served onward, and come in after a migration.
#[test]
fn e9_unknown_tables_and_columns_wait_for_the_migration() {
    for way in WAYS {
        let a = filled();
        let b = memory();
        run(&b, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, w TEXT); SELECT crsql_as_crr('t')");
        way.pull(&b, &a);
        assert_eq!(rows(&b, "SELECT k, w FROM t ORDER BY k"), ["-3|é", "1|w", "2|2"], "{way:?}");
        let reasons = rows(&b, "SELECT DISTINCT reason FROM crsql_held ORDER BY 1");
        assert_eq!(
            reasons,
            ["table t has no column v here", "there is no replicated table u here"],
            "{way:?}"
        );
        let c = memory();
        run(&c, T);
        way.pull(&c, &b);
        assert_equal(&[&a, &c]);
        run(&b, "ALTER TABLE t ADD COLUMN v");
        run(&b, "CREATE TABLE u(a TEXT NOT NULL, b INTEGER NOT NULL, v, PRIMARY KEY(a, b))");
        run(&b, "SELECT crsql_as_crr('u'); SELECT crsql_vector()");
        assert_eq!(rows(&b, "SELECT * FROM crsql_held"), Vec::<String>::new(), "{way:?}");
        assert_equal(&[&a, &b, &c]);
        settle(&[&a, &b, &c]);
        assert_equal(&[&a, &b, &c]);
    }
}

/// Duplicates, reordering and replays, inside a transaction and across changesets: the same bytes.
#[test]
fn e11_any_order_and_any_repetition_ends_the_same() {
    for seed in 0..40 {
        let r = &mut Seeded(seed);
        let writers = replicas(3, T);
        let mut blobs: Vec<Vec<u8>> = Vec::new();
        for _ in 0..12 {
            let db = r.pick(&writers);
            let k = r.below(4);
            run(
                db,
                &match r.below(4) {
                    0 => format!("DELETE FROM t WHERE k = {k}"),
                    1 => format!("REPLACE INTO t VALUES({k}, {}, 'w')", r.below(9)),
                    2 => format!("UPDATE t SET v = {}", r.below(9)),
                    _ => format!("INSERT OR IGNORE INTO t VALUES({k}, 'n', {})", r.below(9)),
                },
            );
            if r.below(3) == 0 {
                pull(db, r.pick(&writers));
            }
            let blob: Option<Vec<u8>> =
                db.query_row("SELECT crsql_changeset()", [], |row| row.get(0)).unwrap();
            blobs.extend(blob);
        }
        settle(&writers.iter().collect::<Vec<_>>());
        let all = changes(&writers[0], "1");
        let readers = replicas(3, T);
        for _ in 0..3 * blobs.len() {
            apply(&readers[0], &r.pick(&blobs).clone());
            let some: Vec<_> = (0..r.below(6)).map(|_| r.pick(&all).clone()).collect();
            insert(&readers[1], &some);
            let (one, two) = (r.pick(&blobs).clone(), r.pick(&all).clone());
            apply(&readers[2], &one);
            insert(&readers[2], &[two]);
        }
        for db in &readers {
            insert(db, &all);
            pull_in(db, &writers[0], Some(1));
        }
        let every: Vec<&Connection> = writers.iter().chain(&readers).collect();
        assert_equal(&every);
    }
}

/// A feed without a filter brings our own changes back. They are known, and nothing happens.
#[test]
fn e12_our_own_changes_come_back_and_change_nothing() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'a'), (2, 'b', 'b'); DELETE FROM t WHERE k = 2");
    run(&b, "INSERT INTO u VALUES('b', 1, 1)");
    pull(&b, &a);
    let (before, site) = (all_of(&a), one(&a, "SELECT hex(crsql_site_id())"));
    insert(&a, &changes(&b, "site_id = (SELECT site_id FROM crsql_site_id WHERE ordinal <> 0)"));
    assert_eq!(before, all_of(&a));
    let report = apply(&a, &everything(&b));
    assert_eq!((&report["applied"], report["superseded"].as_u64() > Some(0)), (&1.into(), true));
    insert(&a, &changes(&b, "1"));
    assert_eq!(site, one(&a, "SELECT hex(crsql_site_id())"), "nobody forked");
    assert_equal(&[&a, &b]);
}

/// A table whose rows were there before it was replicated: its cells carry the lowest stamp and
/// its transaction another. A replica that took them row by row knows only the cells'. It took the
/// two for two writers of one site, and cut that site for ever.
#[test]
fn e11_a_backfill_met_row_by_row_and_then_as_a_changeset_is_no_fork() {
    let a = memory();
    run(&a, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w TEXT)");
    run(&a, "INSERT INTO t VALUES(1, 1, 1), (2, 2, 2); SELECT crsql_as_crr('t')");
    let b = memory();
    run(&b, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w TEXT); SELECT crsql_as_crr('t')");
    common::sync::pull_rows(&b, &a);
    let report = apply(&b, &everything(&a));
    assert_eq!(report["cut"].as_array().unwrap().len(), 0, "{report}");
    run(&a, "UPDATE t SET v = 3");
    settle(&[&a, &b]);
    assert_equal(&[&a, &b]);
    assert_eq!(content(&a).len(), 3);
}

/// What cannot be applied was held without an end, so one peer could fill the file with changes of
/// tables that nobody else has. Past a million of one peer's, what it brings is cut: it is not
/// seen, so it comes when there is room, and what others bring goes on.
#[test]
fn one_peer_does_not_fill_the_file_with_what_is_held() {
    let (a, b, c) = (memory(), memory(), memory());
    run(&a, "CREATE TABLE odd(k TEXT PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('odd')");
    run(&a, "INSERT INTO odd VALUES('first', 1)");
    run(&b, T);
    run(&c, T);
    pull(&b, &a);
    run(
        &b,
        "WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 999_999)
         INSERT INTO crsql_held SELECT \"table\", pk || CAST(n AS BLOB), cid, val, col_version,
             db_version, site_id, cl, seq, stamp, reason, held_at, peer, ahead
           FROM crsql_held CROSS JOIN n WHERE cid = 'v'",
    );
    run(&a, "INSERT INTO odd VALUES('second', 2)");
    run(&c, "INSERT INTO t VALUES(1, 'c', 'c')");
    let (before, report) = (one(&b, "SELECT crsql_vector()"), pull(&b, &a));
    let cut = &report["cut"][0];
    assert_eq!(cut["site"], one(&a, "SELECT lower(hex(crsql_site_id()))"), "{report}");
    assert!(cut["reason"].as_str().unwrap().starts_with("1000000 changes"), "{report}");
    assert_eq!(
        before.split("\"now\"").next(),
        one(&b, "SELECT crsql_vector()").split("\"now\"").next()
    );
    pull(&b, &c);
    assert_eq!(rows(&b, "SELECT v FROM t"), ["c"]);
    run(&b, "DELETE FROM crsql_held WHERE length(pk) > 10");
    run(&b, "CREATE TABLE odd(k TEXT PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('odd')");
    pull(&b, &a);
    assert_eq!(rows(&b, "SELECT k FROM odd ORDER BY k"), ["first", "second"]);
}
