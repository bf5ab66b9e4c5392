//! The promise: a copied file, a restored backup and a virtual machine's snapshot are noticed
//! when they meet somebody who knows more; the file takes a new identity, keeps what it wrote,
//! pulls what it lost, and in the end all replicas are equal and no write is gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{
    WAYS, Way, apply, assert_equal, changes, changeset, everything, insert, pull, pull_in, settle,
    vector,
};
use common::{int, memory, one, open, rows, run};
use rusqlite::Connection;
use std::path::Path;

const T: &str = "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v, w); SELECT crsql_as_crr('t');";

fn site(db: &Connection) -> String {
    one(db, "SELECT hex(crsql_site_id())")
}

fn keys(db: &Connection) -> String {
    one(db, "SELECT group_concat(k, ' ') FROM (SELECT k FROM t ORDER BY k)")
}

fn made(path: &Path) -> Connection {
    let db = open(path);
    run(&db, T);
    db
}

fn peer() -> Connection {
    let db = memory();
    run(&db, T);
    db
}

/// Copies the file; both go on. `sync` says what a peer saw before the copy.
fn copied(way: Way, sync_before: bool, first_who: usize) {
    let case = format!("{way:?}, peer before: {sync_before}, first: {first_who}");
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("a.db"), dir.path().join("b.db"));
    let b = peer();
    {
        let a = made(&here);
        run(&a, "INSERT INTO t VALUES('old1', 1, 1); INSERT INTO t VALUES('old2', 1, 1)");
        if sync_before {
            way.pull(&b, &a);
            way.pull(&a, &b);
        }
        run(&a, "INSERT INTO t VALUES('late', 1, 1)");
    }
    std::fs::copy(&here, &there).unwrap();
    let twins = [open(&here), open(&there)];
    for (n, db) in twins.iter().enumerate() {
        run(db, &format!("INSERT INTO t VALUES('twin{n}', 1, 1)"));
        run(db, &format!("UPDATE t SET v = 'by {n}' WHERE k = 'old1'"));
        run(db, &format!("UPDATE t SET w = 'by {n}' WHERE k = 'old2'"));
        run(db, &format!("INSERT INTO t VALUES('more{n}', 1, 1); DELETE FROM t WHERE k = 'late'"));
    }
    run(&twins[1], "INSERT INTO t VALUES('extra', 1, 1)");
    let order = [first_who, 1 - first_who];
    for _ in 0..4 {
        for n in order {
            way.pull(&b, &twins[n]);
            way.pull(&twins[n], &b);
        }
    }
    assert_ne!(site(&twins[0]), site(&twins[1]), "{case}: one of them took a new identity");
    assert_eq!(keys(&b), "extra more0 more1 old1 old2 twin0 twin1", "{case}");
    assert_equal(&[&b, &twins[0], &twins[1]]);
    for db in &twins {
        run(db, "INSERT INTO t VALUES(hex(randomblob(8)), 'after', 1)");
        way.pull(&b, db);
    }
    for db in &twins {
        way.pull(db, &b);
    }
    assert_equal(&[&b, &twins[0], &twins[1]]);
    assert_eq!(int(&b, "SELECT count(*) FROM t WHERE v = 'after'"), 2, "{case}");
    let c = peer();
    settle(&[&b, &c]);
    assert_equal(&[&b, &c]);
}

#[test]
fn i1_a_copied_file_and_its_original_both_keep_what_they_wrote() {
    for way in WAYS {
        for sync_before in [true, false] {
            for first in [0, 1] {
                copied(way, sync_before, first);
            }
        }
    }
}

/// A file with a row, and its copy.
fn twins(dir: &Path) -> (Connection, Connection) {
    let (here, there) = (dir.join("a.db"), dir.join("b.db"));
    run(&made(&here), "INSERT INTO t VALUES('old', 1, 1)");
    std::fs::copy(&here, &there).unwrap();
    (open(&here), open(&there))
}

/// The twins meet each other first, with no third in between.
#[test]
fn i1_twins_that_meet_each_other_part() {
    for way in WAYS {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = twins(dir.path());
        run(&a, "INSERT INTO t VALUES('a1', 1, 1)");
        run(&b, "INSERT INTO t VALUES('b1', 1, 1); INSERT INTO t VALUES('b2', 1, 1)");
        for _ in 0..3 {
            way.pull(&a, &b);
            way.pull(&b, &a);
        }
        assert_ne!(site(&a), site(&b), "{way:?}");
        assert_eq!(keys(&a), "a1 b1 b2 old", "{way:?}");
        assert_equal(&[&a, &b]);
    }
}

/// An older backup is put back: peers hold versions that the file no longer has, and the file
/// gives their numbers to other writes.
#[test]
fn i2_a_restored_backup_pulls_what_it_lost_and_keeps_what_it_wrote() {
    for way in WAYS {
        for writes_before_meeting in [0, 1, 3] {
            let dir = tempfile::tempdir().unwrap();
            let (here, backup) = (dir.path().join("a.db"), dir.path().join("backup.db"));
            let (b, case) = (peer(), format!("{way:?} {writes_before_meeting}"));
            {
                let a = made(&here);
                run(&a, "INSERT INTO t VALUES('one', 1, 1)");
                way.pull(&b, &a);
                way.pull(&a, &b);
                a.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
                run(&a, "INSERT INTO t VALUES('two', 1, 1); INSERT INTO t VALUES('three', 1, 1)");
                way.pull(&b, &a);
            }
            std::fs::copy(&backup, &here).unwrap();
            let a = open(&here);
            let old = site(&a);
            for n in 0..writes_before_meeting {
                run(&a, &format!("INSERT INTO t VALUES('new{n}', 1, 1)"));
            }
            for _ in 0..3 {
                way.pull(&a, &b);
                way.pull(&b, &a);
            }
            assert_ne!(site(&a), old, "{case}");
            let wanted = 3 + writes_before_meeting;
            assert_eq!(int(&b, "SELECT count(*) FROM t"), wanted, "{case}: {}", keys(&b));
            assert_equal(&[&a, &b]);
            assert_eq!(int(&a, "SELECT json_extract(crsql_vector(), '$.epoch')"), 1, "{case}");
        }
    }
}

/// A restored backup sends before it has pulled: its numbers come a second time with other stamps.
/// The receiver takes both contents, and issues both again.
#[test]
fn i2_a_receiver_takes_what_the_second_writer_of_a_site_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let (here, backup) = (dir.path().join("a.db"), dir.path().join("backup.db"));
    let (b, c) = (peer(), peer());
    run(&c, "INSERT INTO t VALUES('c', 1, 1)");
    {
        let a = made(&here);
        run(&a, "INSERT INTO t VALUES('one', 1, 1)");
        a.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
        run(&a, "INSERT INTO t VALUES('lost', 1, 1)");
        pull(&b, &a);
    }
    std::fs::copy(&backup, &here).unwrap();
    let a = open(&here);
    run(&a, "INSERT INTO t VALUES('new', 1, 1)");
    pull(&a, &c);
    apply(&b, &everything(&a));
    assert_eq!(keys(&b), "c lost new one");
    assert!(one(&b, "SELECT detail FROM crsql_check()").contains("two files write as site"));
    settle(&[&a, &b, &c]);
    assert_equal(&[&a, &b, &c]);
    assert_eq!(keys(&b), "c lost new one");
}

/// The recipe: `crsql_new_site()` right after restoring or copying.
#[test]
fn i2_a_new_site_on_purpose_needs_no_healing() {
    for way in WAYS {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = twins(dir.path());
        let old = site(&b);
        let new = one(&b, "SELECT hex(crsql_new_site())");
        assert!(new != old && new == site(&b) && site(&a) == old);
        assert_eq!(int(&b, "SELECT crsql_db_version()"), 0);
        run(&a, "INSERT INTO t VALUES('a', 1, 1)");
        run(&b, "INSERT INTO t VALUES('b', 1, 1)");
        let hidden = rows(&b, "SELECT ordinal FROM crsql_site_id WHERE site_id = crsql_site_id()");
        assert_eq!(hidden, ["0"]);
        way.pull(&a, &b);
        way.pull(&b, &a);
        assert_eq!((site(&a), site(&b)), (old, new), "{way:?}");
        assert_equal(&[&a, &b]);
        assert_eq!(keys(&a), "a b old");
        assert!(rows(&a, "SELECT * FROM crsql_check()").is_empty());
    }
}

/// In an open transaction a new site takes over what is written from then on.
#[test]
fn i2_a_new_site_inside_a_transaction() {
    let (a, b) = (peer(), peer());
    run(&a, "INSERT INTO t VALUES('one', 1, 1)");
    run(
        &a,
        "BEGIN; INSERT INTO t VALUES('two', 1, 1); SELECT crsql_new_site();
             INSERT INTO t VALUES('three', 1, 1); UPDATE t SET v = 2 WHERE k = 'two'; COMMIT",
    );
    run(&a, "BEGIN; INSERT INTO t VALUES('four', 1, 1); SELECT crsql_new_site(); ROLLBACK");
    run(&a, "INSERT INTO t VALUES('five', 1, 1)");
    settle(&[&a, &b]);
    assert_equal(&[&a, &b]);
    assert_eq!(keys(&b), "five one three two");
    assert_eq!(int(&a, "SELECT count(*) FROM crsql_sites WHERE retired IS NOT NULL"), 1);
}

#[test]
fn i3_the_identity_is_made_when_it_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let a = open(&path);
    assert_eq!(int(&a, "SELECT count(*) FROM sqlite_schema"), 0, "loading touches nothing");
    assert_eq!(int(&a, "SELECT length(crsql_site_id())"), 16);
    let seen: serde_json::Value = serde_json::from_str(&vector(&a)).unwrap();
    assert_eq!(seen["site"], one(&a, "SELECT lower(hex(crsql_site_id()))").as_str());
    let b = open(&path);
    assert_eq!(site(&a), site(&b));
    run(&b, "PRAGMA query_only = ON");
    assert_eq!(site(&a), site(&b));
    assert_ne!(site(&a), site(&memory()));
}

/// One third took the new versions of a file, another those of its copy: the same numbers, other
/// writes. Each had seen those numbers, so neither ever asked for what the other had, and who met
/// only one of the twins later could not even be told. Now whoever compares two stamps of one
/// number closes the site above what is the same, and both contents are issued again: with the
/// twins still there, with one of them, or with both gone for ever.
#[test]
fn i1_thirds_that_took_one_number_from_two_files_agree() {
    for way in WAYS {
        for twins_left in 0..3 {
            let case = format!("{way:?}, {twins_left} twins left");
            let dir = tempfile::tempdir().unwrap();
            let (here, there) = (dir.path().join("a.db"), dir.path().join("b.db"));
            let (c, d, e) = (peer(), peer(), peer());
            {
                let a = made(&here);
                for n in 0..5 {
                    run(&a, &format!("INSERT INTO t VALUES('old{n}', 1, 1)"));
                }
                way.pull(&c, &a);
                way.pull(&d, &a);
                way.pull(&a, &c);
            }
            std::fs::copy(&here, &there).unwrap();
            let twins = [open(&here), open(&there)];
            for (n, third) in [&c, &d].into_iter().enumerate() {
                for k in 0..3 + n {
                    run(&twins[n], &format!("INSERT INTO t VALUES('by {n}, {k}', 1, 1)"));
                    run(&twins[n], &format!("UPDATE t SET v = 'by {n}, {k}' WHERE k = 'old{k}'"));
                }
                way.pull(third, &twins[n]);
                way.pull(&twins[n], third);
            }
            let mut all = vec![&c, &d, &e];
            all.extend(&twins[..twins_left]);
            for _ in 0..4 {
                for to in &all {
                    for from in all.iter().filter(|from| !std::ptr::eq(**from, *to)) {
                        way.pull(to, from);
                    }
                }
            }
            assert_equal(&all);
            assert_eq!(int(&e, "SELECT count(*) FROM t"), 5 + 3 + 4, "{case}: {}", keys(&e));
            for db in &all {
                assert_eq!(rows(db, "SELECT * FROM crsql_check()"), [""; 0], "{case}");
            }
        }
    }
}

/// A site that was closed stays closed: what was sent before its sender heard of that is taken, by
/// changeset or row by row, and issued again by whoever took it, once.
#[test]
fn i1_what_comes_late_of_a_closed_site_is_issued_again() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("a.db"), dir.path().join("b.db"));
    let (c, d) = (peer(), peer());
    drop({
        let a = made(&here);
        run(&a, "INSERT INTO t VALUES('old', 1, 1)");
        a
    });
    std::fs::copy(&here, &there).unwrap();
    let (a, b) = (open(&here), open(&there));
    run(&a, "INSERT INTO t VALUES('a', 1, 1)");
    run(&b, "INSERT INTO t VALUES('b', 1, 1)");
    let early = everything(&b);
    let rows_of_b = changes(&b, "db_version = 2");
    pull(&c, &a);
    pull(&d, &a);
    run(&d, "INSERT INTO t VALUES('d', 1, 1)");
    apply(&c, &early);
    assert_eq!(keys(&c), "a b old");
    insert(&d, &rows_of_b);
    pull(&d, &c);
    vector(&d);
    let before = [&c, &d].map(|db| int(db, "SELECT crsql_db_version()"));
    for db in [&c, &d] {
        apply(db, &early);
        insert(db, &rows_of_b);
        vector(db);
    }
    let after = [&c, &d].map(|db| int(db, "SELECT crsql_db_version()"));
    assert_eq!(after, before, "what comes again has lost already");
    settle(&[&a, &b, &c, &d]);
    assert_equal(&[&a, &b, &c, &d]);
    assert_eq!(keys(&c), "a b d old");
}

/// Nothing of two twins' large transactions may be put together from parts of both.
#[test]
fn i1_parts_of_two_files_are_not_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("a.db"), dir.path().join("b.db"));
    let c = peer();
    drop(made(&here));
    std::fs::copy(&here, &there).unwrap();
    let twins = [open(&here), open(&there)];
    for (n, db) in twins.iter().enumerate() {
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)";
        run(
            db,
            &format!("INSERT INTO t {sql} SELECT 'k' || i, 'by {n}', hex(randomblob(20)) FROM n"),
        );
    }
    apply(&c, &changeset(&twins[0], &vector(&c), Some(800)).unwrap());
    pull_in(&c, &twins[1], Some(800));
    settle(&[&twins[0], &twins[1], &c]);
    assert_equal(&[&twins[0], &twins[1], &c]);
    assert_eq!(int(&c, "SELECT count(DISTINCT v) FROM t"), 1);
}

/// A third file had one twin's transaction and got all that the other twin has, with another
/// transaction of that number in it. What it had was issued again under its own site, but the
/// record of the number, read before that, was taken to be there still: the other content was
/// added to a record that was gone, and came out with the lowest stamp in place of its own.
#[test]
fn i1_a_third_file_that_gets_the_other_content_of_a_number_keeps_its_stamp() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = twins(dir.path());
    run(&a, "UPDATE t SET w = 'a'");
    std::thread::sleep(std::time::Duration::from_millis(5));
    run(&b, "UPDATE t SET v = 'b'; INSERT INTO t VALUES('more of b', 1, 1)");
    let third = peer();
    apply(&third, &everything(&a));
    let before = int(&third, "SELECT min(stamp) FROM crsql_changes");
    apply(&third, &everything(&b));
    let least = int(&third, "SELECT min(stamp) FROM crsql_changes");
    assert!(least >= before, "a transaction is stamped {least}, before {before}");
    settle(&[&third, &a, &b]);
    assert_equal(&[&third, &a, &b]);
    assert_eq!(rows(&third, "SELECT * FROM t WHERE k = 'old'"), ["old|b|a"]);
}

/// A merge that shows a fork issues what was written since again, at once. A connection that had
/// its transaction open told these versions before they were committed, and a cursor that was kept
/// of them stood too high once the transaction was rolled back.
#[test]
fn i1_versions_that_a_merge_issues_again_are_told_when_they_are_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (file, copy) = (dir.path().join("a.db"), dir.path().join("b.db"));
    made(&file).close().unwrap();
    std::fs::copy(&file, &copy).unwrap();
    let (a, b, c) = (open(&file), open(&copy), peer());
    for n in 1..4 {
        run(&a, &format!("INSERT INTO t VALUES('a{n}', 1, 1)"));
        run(&b, &format!("INSERT INTO t VALUES('b{n}', 2, 2)"));
    }
    pull(&c, &b);
    let blob = everything(&c);
    let site = site(&a);
    for end in ["ROLLBACK", "COMMIT"] {
        run(&a, "BEGIN");
        apply(&a, &blob);
        assert_eq!(int(&a, "SELECT crsql_db_version()"), 3, "before the {end}");
        run(&a, end);
    }
    assert_ne!(self::site(&a), site);
    assert_eq!(int(&a, "SELECT crsql_db_version()"), 6, "its own and those of the copy");
    settle(&[&a, &b, &c]);
    assert_equal(&[&a, &b, &c]);
    assert_eq!(int(&c, "SELECT count(*) FROM t"), 6);
}

/// Who pulls inside a transaction says what was committed, so the answerer does not hear that a
/// site was closed, and sends its later versions again and again. Half of the time each answer
/// made a new version here: the closed version took the row's name, as the greater site, and was
/// issued again for it. A pull that went on for as long as there was something new never ended.
#[test]
fn i1_what_a_closed_site_deleted_is_issued_again_once() {
    for _ in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let (file, copy) = (dir.path().join("a.db"), dir.path().join("b.db"));
        let a = made(&file);
        run(&a, "INSERT INTO t VALUES('k', 1, 1)");
        a.close().unwrap();
        std::fs::copy(&file, &copy).unwrap();
        let (a, b, c) = (open(&file), open(&copy), peer());
        run(&a, "INSERT INTO t VALUES('a', 1, 1)");
        run(&b, "DELETE FROM t");
        run(&c, "BEGIN");
        pull(&c, &a);
        let mut new = 0;
        while let Some(blob) = changeset(&b, &vector(&c), None) {
            if apply(&c, &blob)["new"] == false {
                break;
            }
            new += 1;
            assert!(new < 10, "a pull in a transaction does not end");
        }
        run(&c, "COMMIT");
        settle(&[&a, &b, &c]);
        assert_equal(&[&a, &b, &c]);
        assert_eq!(keys(&c), "a");
    }
}
