//! What is said of the rows of a table, and tables that only grow: no row goes, whatever
//! the statement and the transport. `policy_revive.rs` holds what lives on after a delete.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{WAYS, assert_equal, changes, insert, pull_in, settle};
use common::{error, memory, one, open, rows, run};
use rusqlite::Connection;

const NOTE: &str = "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT, tag TEXT DEFAULT 'none');
                    SELECT crsql_as_crr('note');";

fn notes(policy: &str) -> Connection {
    let db = memory();
    run(&db, NOTE);
    run(&db, &format!("SELECT crsql_row_policy('note', '{policy}')"));
    db
}

fn three(policy: &str) -> [Connection; 3] {
    [notes(policy), notes(policy), notes(policy)]
}

/// Everybody pulls from everybody, and all are equal.
fn exchange(all: &[&Connection]) {
    settle(all);
    assert_equal(all);
}

fn shown(db: &Connection) -> String {
    let all = "SELECT group_concat(id || body || tag, ' ') FROM (SELECT * FROM note ORDER BY id)";
    one(db, all)
}

#[test]
fn what_is_said_of_a_table_is_told_and_said_again_for_nothing() {
    let db = memory();
    let unknown = "crsql_row_policy: table note is not replicated; call crsql_as_crr('note') first";
    assert_eq!(error(&db, "SELECT crsql_row_policy('note')"), unknown);
    assert_eq!(error(&db, "SELECT crsql_row_policy('note', 'grow-only')"), unknown);
    run(&db, NOTE);
    assert_eq!(one(&db, "SELECT crsql_row_policy('note')"), "delete-wins");
    assert_eq!(
        error(&db, "SELECT crsql_row_policy('note', 'add-wins')"),
        "crsql_row_policy: no policy is called add-wins; there are delete-wins, update-wins and \
         grow-only"
    );
    let mark = |db: &Connection| {
        one(
            db,
            "SELECT crsql_db_version() || (SELECT schema_version FROM
                                          pragma_schema_version)",
        )
    };
    run(&db, "SELECT crsql_row_policy('note', 'update-wins')");
    let before = mark(&db);
    run(&db, "SELECT crsql_row_policy('NOTE', 'update-wins')");
    assert_eq!(mark(&db), before, "said again it changes nothing");
    assert_eq!(one(&db, "SELECT crsql_row_policy('note')"), "update-wins");
    // It is the table's, under whatever name and with whatever columns.
    run(&db, "ALTER TABLE note RENAME TO memo; ALTER TABLE memo ADD COLUMN more");
    run(
        &db,
        "SELECT crsql_begin_alter('memo'); ALTER TABLE memo DROP COLUMN tag;
              SELECT crsql_commit_alter('memo')",
    );
    assert_eq!(one(&db, "SELECT crsql_row_policy('memo')"), "update-wins");
    run(&db, "SELECT crsql_as_table('memo'); SELECT crsql_as_crr('memo')");
    assert_eq!(one(&db, "SELECT crsql_row_policy('memo')"), "delete-wins");
    run(
        &db,
        "SELECT crsql_row_policy('memo', 'grow-only'); INSERT INTO memo(id) VALUES(1);
         DROP TABLE memo;
              CREATE TABLE memo(id INTEGER PRIMARY KEY, x); SELECT crsql_as_crr('memo')",
    );
    assert_eq!(one(&db, "SELECT crsql_row_policy('memo')"), "delete-wins");
}

#[test]
fn other_connections_and_later_ones_know_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let (a, b) = (open(&path), open(&path));
    run(&a, NOTE);
    run(&b, "INSERT INTO note VALUES(1, 'x', 't')");
    run(&a, "SELECT crsql_row_policy('note', 'grow-only')");
    let text = error(&b, "DELETE FROM note");
    assert!(text.starts_with("table note only grows, and this deletes a row; mark"), "{text}");
    // From here on the table is read from its snapshot.
    run(&b, "INSERT INTO note VALUES(2, 'y', 't')");
    let c = open(&path);
    assert_eq!(error(&c, "DELETE FROM note WHERE id = 2"), text);
    assert_eq!(one(&c, "SELECT crsql_row_policy('note')"), "grow-only");
}

/// A file that was made before there were policies has no place for them. It gets one when the
/// first is said, and is as sound without.
#[test]
fn a_file_that_is_older_gets_a_place_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let a = open(&path);
    run(&a, NOTE);
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    drop(a);
    let plain = Connection::open(&path).unwrap();
    run(&plain, "ALTER TABLE crsql_tables DROP COLUMN policy");
    drop(plain);
    let a = open(&path);
    assert_eq!(one(&a, "SELECT crsql_row_policy('note')"), "delete-wins");
    run(&a, "INSERT INTO note VALUES(2, 'y', 't'); DELETE FROM note WHERE id = 1");
    run(&a, "CREATE TABLE other(id INTEGER PRIMARY KEY, x); SELECT crsql_as_crr('other')");
    assert_eq!(rows(&a, "SELECT * FROM crsql_check()"), [""; 0]);
    let b = open(&path);
    run(&b, "SELECT crsql_row_policy('note', 'delete-wins')");
    let policy = "SELECT count(*) FROM pragma_table_info('crsql_tables') WHERE name = 'policy'";
    assert_eq!(one(&b, policy), "0", "nothing is changed for nothing");
    run(&b, "SELECT crsql_row_policy('note', 'grow-only')");
    assert!(error(&a, "DELETE FROM note").starts_with("table note only grows"));
    assert_eq!(one(&a, "SELECT crsql_row_policy('other')"), "delete-wins");
    assert_eq!(rows(&a, "SELECT * FROM crsql_check()"), [""; 0]);
}

#[test]
fn a_schema_may_say_it() {
    let db = memory();
    let schema = "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT);
                  SELECT crsql_as_crr(''note''); SELECT crsql_row_policy(''note'', ''grow-only'');";
    for _ in 0..2 {
        run(&db, &format!("SELECT crsql_automigrate('{schema}')"));
        assert_eq!(one(&db, "SELECT crsql_row_policy('note')"), "grow-only");
    }
    let version = one(&db, "PRAGMA schema_version");
    run(&db, &format!("SELECT crsql_automigrate('{schema}')"));
    assert_eq!(one(&db, "PRAGMA schema_version"), version);
    let more = schema.replace("body TEXT", "body TEXT, tag TEXT");
    run(&db, &format!("SELECT crsql_automigrate('{more}')"));
    assert!(
        error(&db, "INSERT INTO note VALUES(1, 1, 1); DELETE FROM note").contains("only grows")
    );
}

#[test]
fn a_table_that_only_grows_refuses_what_removes_a_row() {
    for recursive in [0, 1] {
        let db = notes("grow-only");
        run(&db, &format!("PRAGMA recursive_triggers = {recursive}"));
        run(&db, "INSERT INTO note VALUES(1, 'x', 't'), (2, 'y', 't')");
        let way_out = "mark such rows in a column of their own, or say crsql_row_policy('note', \
                       'delete-wins') on every replica";
        for (sql, what) in [
            ("DELETE FROM note", "deletes a row"),
            ("DELETE FROM note WHERE id = 2", "deletes a row"),
            ("DELETE FROM note WHERE body = replace('yz', 'z', '')", "deletes a row"),
            ("UPDATE note SET id = 7 WHERE id = 1", "changes the key of a row"),
            ("UPDATE note SET rowid = 7 WHERE id = 1", "changes the key of a row"),
            ("UPDATE OR REPLACE note SET id = 2 WHERE id = 1", "changes the key of a row"),
            (
                "INSERT INTO note VALUES(1, 'z', 't') ON CONFLICT DO UPDATE SET id = 9",
                "changes the key of a row",
            ),
        ] {
            let text = error(&db, sql);
            let deletes = what == "changes the key of a row" && text.contains("deletes a row");
            let what = if deletes && recursive == 1 { "deletes a row" } else { what };
            assert_eq!(text, format!("table note only grows, and this {what}; {way_out}"), "{sql}");
            assert_eq!(shown(&db), "1xt 2yt");
        }
        // Of the same row a REPLACE writes the cells.
        run(
            &db,
            "REPLACE INTO note VALUES(1, 'X', 'T'); INSERT OR REPLACE INTO note(id) VALUES(3)",
        );
        run(&db, "BEGIN; REPLACE INTO note VALUES(2, 'Y', 't'), (2, 'Z', 't'); COMMIT");
        assert_eq!(shown(&db), "1XT 2Zt");
        let told = "SELECT DISTINCT cl FROM crsql_changes";
        assert_eq!(rows(&db, told), ["1"]);
        run(&db, "UPDATE note SET body = 'x', id = id WHERE id = 1");
        // A transaction goes on after what was refused.
        run(&db, "BEGIN; INSERT INTO note VALUES(4, 'w', 't')");
        error(&db, "DELETE FROM note");
        run(&db, "COMMIT");
        assert_eq!(one(&db, "SELECT count(*) FROM note"), "4");
        assert_eq!(rows(&db, "SELECT * FROM crsql_check()"), [""; 0]);
    }
}

/// With recursive_triggers a REPLACE fires the delete trigger first. Where a statement may be one,
/// what it deletes for good is refused when the transaction ends.
#[test]
fn what_may_have_been_a_replace_is_refused_at_the_end() {
    let db = notes("grow-only");
    run(&db, "PRAGMA recursive_triggers = 1; INSERT INTO note VALUES(1, 'x', 't'), (2, 'y', 't')");
    run(&db, "BEGIN; INSERT INTO note VALUES(3, 'z', 't')");
    run(&db, "DELETE FROM note WHERE body = replace('yz', 'z', '')");
    assert!(error(&db, "COMMIT").starts_with("table note only grows, and this deletes a row"));
    if !db.is_autocommit() {
        run(&db, "ROLLBACK");
    }
    assert_eq!(shown(&db), "1xt 2yt");
    run(&db, "BEGIN; SAVEPOINT s; DELETE FROM note WHERE body = replace('yz', 'z', '')");
    run(&db, "ROLLBACK TO s; REPLACE INTO note VALUES(2, 'Y', 't'); COMMIT");
    assert_eq!(shown(&db), "1xt 2Yt");
    assert_eq!(rows(&db, "SELECT * FROM crsql_check()"), [""; 0]);
}

#[test]
fn a_delete_that_arrives_is_held_passed_on_and_taken_when_the_policy_is_changed() {
    for way in WAYS {
        let [a, b, c] = three("grow-only");
        let d = notes("delete-wins");
        run(&a, "INSERT INTO note VALUES(1, 'x', 't'), (2, 'y', 't')");
        settle(&[&a, &b, &c, &d]);
        run(&d, "DELETE FROM note WHERE id = 1; DELETE FROM note WHERE id = 2");
        way.pull(&a, &d);
        assert_eq!(shown(&a), "1xt 2yt", "{way:?}");
        let reason = "the table only grows: no delete is taken; say crsql_row_policy('note', \
                      'delete-wins') to take it";
        let held = "SELECT cid || ' ' || cl || ' ' || reason FROM crsql_held";
        assert_eq!(rows(&a, held), [format!("-1 2 {reason}"), format!("-1 2 {reason}")]);
        // The row is written on, and the others are passed both.
        run(&a, "UPDATE note SET body = 'X' WHERE id = 1");
        way.pull(&b, &a);
        way.pull(&c, &b);
        assert_eq!((shown(&b), shown(&c)), ("1Xt 2yt".into(), "1Xt 2yt".into()));
        assert_eq!(rows(&c, held).len(), 2);
        assert_equal(&[&a, &b, &c]);
        let e = notes("delete-wins");
        way.pull(&e, &c);
        assert_eq!(one(&e, "SELECT count(*) FROM note"), "0");
        // The deletes may come before the rows.
        let f = notes("grow-only");
        let mut all = changes(&c, "1");
        all.sort_by_key(|change| change[2] != common::Cell::Text(b"-1".to_vec()));
        insert(&f, &all[..2]);
        assert_eq!((rows(&f, held).len(), one(&f, "SELECT count(*) FROM note")), (2, "0".into()));
        insert(&f, &all[2..]);
        way.pull(&f, &c);
        assert_eq!(shown(&f), "1Xt 2yt");
        assert_equal(&[&a, &f]);
        for db in [&a, &b, &c, &f] {
            run(db, "SELECT crsql_row_policy('note', 'delete-wins')");
            assert_eq!(one(db, "SELECT count(*) FROM note"), "0");
            assert_eq!(rows(db, held), [""; 0]);
        }
        exchange(&[&a, &b, &c, &d, &e, &f]);
    }
}

/// A row that was inserted anew lives its next life here too; what was held of the old one goes.
#[test]
fn a_delete_that_is_held_gives_way_to_the_next_life() {
    let (a, d) = (notes("grow-only"), notes("delete-wins"));
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    settle(&[&a, &d]);
    run(&d, "DELETE FROM note");
    pull_in(&a, &d, None);
    assert_eq!(one(&a, "SELECT count(*) FROM crsql_held"), "1");
    run(&d, "INSERT INTO note VALUES(1, 'again', 't')");
    pull_in(&a, &d, None);
    assert_eq!(
        (shown(&a), one(&a, "SELECT count(*) FROM crsql_held")),
        ("1againt".into(), "0".into())
    );
    exchange(&[&a, &d]);
}

/// What waits for its column waits on while a delete of its row is held.
#[test]
fn what_else_is_held_of_the_row_waits_on() {
    let (a, b, d) = (notes("grow-only"), notes("grow-only"), notes("delete-wins"));
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    settle(&[&a, &b, &d]);
    run(&b, "ALTER TABLE note ADD COLUMN more; UPDATE note SET more = 'm'");
    run(&d, "DELETE FROM note");
    pull_in(&a, &b, None);
    pull_in(&a, &d, None);
    assert_eq!(
        one(&a, "SELECT group_concat(cid, ' ') FROM (SELECT cid FROM crsql_held ORDER BY 1)"),
        "-1 more"
    );
    run(&b, "UPDATE note SET more = 'n'");
    pull_in(&a, &b, None);
    run(&a, "ALTER TABLE note ADD COLUMN more; SELECT crsql_vector()");
    assert_eq!(one(&a, "SELECT more FROM note"), "n");
    assert_eq!(one(&a, "SELECT group_concat(cid, ' ') FROM crsql_held"), "-1");
}

#[test]
fn a_table_built_anew_keeps_every_row_or_is_refused() {
    let db = notes("grow-only");
    run(&db, "INSERT INTO note VALUES(1, 'x', 't'), (2, 'y', 't')");
    let anew = |which: &str| {
        format!(
            "BEGIN; SELECT crsql_begin_alter('note');
             CREATE TABLE tmp(id INTEGER PRIMARY KEY, body TEXT, tag TEXT DEFAULT 'none');
             INSERT INTO tmp SELECT * FROM note WHERE {which}; DROP TABLE note;
             ALTER TABLE tmp RENAME TO note; SELECT crsql_commit_alter('note'); COMMIT"
        )
    };
    let text = error(&db, &anew("id > 1"));
    assert!(text.starts_with("table note only grows, and this leaves out rows"), "{text}");
    run(&db, "ROLLBACK");
    run(&db, &anew("true"));
    assert_eq!(shown(&db), "1xt 2yt");
    assert!(error(&db, "DELETE FROM note").contains("only grows"));
    // With another key its rows are others; it still only grows.
    run(
        &db,
        "BEGIN; SELECT crsql_begin_alter('note');
         CREATE TABLE tmp(id TEXT PRIMARY KEY NOT NULL, body TEXT, tag TEXT DEFAULT 'none');
         INSERT INTO tmp SELECT * FROM note; DROP TABLE note;
         ALTER TABLE tmp RENAME TO note; SELECT crsql_commit_alter('note'); COMMIT",
    );
    assert_eq!(one(&db, "SELECT crsql_row_policy('note')"), "grow-only");
}
