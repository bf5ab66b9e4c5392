//! What becomes of whole rows: a delete wins, or an update that it did not know of, or no row goes.
//! Both transports, in any order, and nothing comes back that somebody deleted who had seen it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{WAYS, Way, assert_equal, changes, insert, pull_in, settle};
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

/// Stamps are spread over a millisecond.
fn wait() {
    std::thread::sleep(std::time::Duration::from_millis(3));
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

/// Pulls row by row, with the stamp of each transaction.
fn pull_stamped(to: &Connection, from: &Connection) {
    let vector = one(to, "SELECT crsql_vector()");
    let names = "\"table\", pk, cid, val, col_version, db_version, site_id, cl, seq";
    let sql = format!("SELECT {names}, stamp FROM crsql_changes WHERE since = '{vector}'");
    let mut stmt = from.prepare(&sql).unwrap();
    let mut found = stmt.query([]).unwrap();
    run(to, "BEGIN");
    while let Some(row) = found.next().unwrap() {
        let values: Vec<rusqlite::types::Value> = (0..10).map(|i| row.get(i).unwrap()).collect();
        let sql = format!("INSERT INTO crsql_changes({names}, stamp) VALUES(?,?,?,?,?,?,?,?,?,?)");
        to.execute(&sql, rusqlite::params_from_iter(values)).unwrap();
    }
    run(to, "COMMIT");
    let theirs = one(from, "SELECT crsql_vector()");
    one(to, &format!("SELECT crsql_seen('{theirs}')"));
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
        "SELECT crsql_row_policy('memo', 'grow-only'); INSERT INTO memo(id) VALUES(1); DROP TABLE memo;
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

/// A row that was inserted anew lives its next life here too, and what was held of the old one goes.
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

#[test]
fn a_row_lives_on_where_the_delete_did_not_know_of_the_update() {
    for stamped in [false, true] {
        let pull = |to: &Connection, from: &Connection| match stamped {
            false => drop(pull_in(to, from, None)),
            true => pull_stamped(to, from),
        };
        let [a, b, c] = three("update-wins");
        run(&a, "INSERT INTO note VALUES(1, 'x', 't'), (2, 'y', 't')");
        settle(&[&a, &b, &c]);
        run(&b, "DELETE FROM note");
        wait();
        run(&a, "UPDATE note SET body = 'X' WHERE id = 1");
        // The third takes the delete first, and has nothing to say against it.
        pull(&c, &b);
        assert_eq!(shown(&c), "NULL");
        pull(&a, &b);
        assert_eq!(shown(&a), "1Xt", "nobody wrote row 2");
        pull(&c, &a);
        pull(&b, &a);
        assert_eq!((shown(&b), shown(&c)), ("1Xt".into(), "1Xt".into()));
        assert_equal(&[&a, &b, &c]);
        // Somebody deletes it who has seen it: that is final.
        wait();
        run(&c, "DELETE FROM note");
        for _ in 0..2 {
            for (to, from) in [(&b, &c), (&a, &b), (&b, &a), (&c, &a), (&a, &c)] {
                pull(to, from);
            }
        }
        assert_eq!(shown(&a), "NULL", "nothing comes back from the dead");
        assert_equal(&[&a, &b, &c]);
    }
}

/// The delete was made later than the update, and by somebody who had not heard of it: stamps do not
/// tell, and what its site had seen does.
#[test]
fn a_later_delete_that_had_not_heard_of_the_update_does_not_win() {
    let [a, b, c] = three("update-wins");
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    settle(&[&a, &b, &c]);
    run(&a, "UPDATE note SET body = 'X'");
    wait();
    run(&b, "DELETE FROM note");
    exchange(&[&a, &b, &c]);
    assert_eq!(shown(&b), "1Xt");
    // It had heard of it two transactions ago.
    run(&a, "UPDATE note SET body = 'Y'");
    pull_in(&b, &a, None);
    run(&b, "INSERT INTO note VALUES(9, 'other', 't'); UPDATE note SET body = 'Z' WHERE id = 1");
    run(&b, "DELETE FROM note WHERE id = 1");
    exchange(&[&a, &b, &c]);
    assert_eq!(shown(&a), "9othert");
}

/// Row by row with nine values nobody tells when a delete was made: it is taken.
#[test]
fn a_delete_without_a_stamp_is_taken() {
    let [a, b, _] = three("update-wins");
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    settle(&[&a, &b]);
    run(&b, "DELETE FROM note");
    run(&a, "UPDATE note SET body = 'X'");
    Way::Rows.pull(&a, &b);
    assert_eq!(shown(&a), "NULL");
    exchange(&[&a, &b]);
}

/// Rows came to the one who deletes without anything that says what was seen. What stood in the row
/// when it died is named by the delete.
#[test]
fn who_saw_the_row_one_by_one_deletes_it_for_good() {
    let [a, b, _] = three("update-wins");
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    settle(&[&a, &b]);
    run(&a, "UPDATE note SET body = 'X'");
    insert(&b, &changes(&a, "1"));
    assert_eq!(shown(&b), "1Xt");
    wait();
    run(&b, "BEGIN; INSERT INTO note VALUES(2, 'y', 't'); DELETE FROM note WHERE id = 1; COMMIT");
    pull_in(&a, &b, None);
    assert_eq!(shown(&a), "2yt");
    exchange(&[&a, &b]);
}

/// A transaction that has written before it merges hears of more than it said when it began.
#[test]
fn what_an_open_transaction_merged_it_had_seen() {
    let [a, b, _] = three("update-wins");
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    settle(&[&a, &b]);
    run(&a, "UPDATE note SET body = 'X'");
    let blob = common::sync::changeset(&a, &common::sync::vector(&b), None).unwrap();
    run(&b, "BEGIN; INSERT INTO note VALUES(2, 'y', 't')");
    common::sync::apply(&b, &blob);
    run(&b, "DELETE FROM note WHERE id = 1; COMMIT");
    exchange(&[&a, &b]);
    assert_eq!(shown(&a), "2yt");
}

/// Two wrote to one row that a third deleted. Each writes it again, in whatever order they hear of
/// it, and neither loses what it wrote: cells keep the stamps that they had.
#[test]
fn two_who_write_a_row_again_lose_nothing() {
    let orders: [&[(usize, usize)]; 4] = [
        &[(0, 1), (2, 1)],
        &[(0, 1), (2, 0)],
        &[(2, 1), (0, 2), (1, 0)],
        &[(2, 1), (1, 2), (0, 1)],
    ];
    for (turn, order) in orders.iter().enumerate() {
        for stamped in [false, true] {
            let all = three("update-wins");
            let [a, b, c] = &all;
            run(a, "INSERT INTO note VALUES(1, 'x', 't')");
            settle(&[a, b, c]);
            if stamped {
                run(b, "DELETE FROM note");
                wait();
            }
            run(a, "UPDATE note SET body = 'A'");
            wait();
            run(c, "UPDATE note SET tag = 'C'");
            if !stamped {
                run(b, "DELETE FROM note");
            }
            for (to, from) in *order {
                match stamped {
                    true => pull_stamped(&all[*to], &all[*from]),
                    false => drop(pull_in(&all[*to], &all[*from], None)),
                }
            }
            exchange(&[a, b, c]);
            assert_eq!(shown(b), "1AC", "order {turn}, row by row {stamped}");
        }
    }
}

/// Somebody saw the row as one of two wrote it again, and all that both had written, and deletes it.
/// The other one's writing it again is no update that was missed.
#[test]
fn writing_again_is_no_reason_to_write_again() {
    let [a, b, c] = three("update-wins");
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    settle(&[&a, &b, &c]);
    run(&a, "UPDATE note SET body = 'A'");
    run(&c, "UPDATE note SET tag = 'C'");
    settle(&[&a, &c]);
    run(&b, "DELETE FROM note");
    pull_in(&a, &b, None);
    pull_in(&c, &b, None);
    pull_in(&b, &c, None);
    assert_eq!(shown(&b), "1AC");
    run(&b, "DELETE FROM note");
    exchange(&[&a, &b, &c]);
    assert_eq!(shown(&a), "NULL");
}

/// Rows that are older than replication are nobody's update; one that was inserted is.
#[test]
fn rows_that_were_there_before_are_not_updates() {
    let sql = "CREATE TABLE old(id INTEGER PRIMARY KEY, x); INSERT INTO old VALUES(1, 'a');
               SELECT crsql_as_crr('old'); SELECT crsql_row_policy('old', 'update-wins');
               CREATE TABLE k(id TEXT PRIMARY KEY NOT NULL); SELECT crsql_as_crr('k');
               SELECT crsql_row_policy('k', 'update-wins')";
    let (a, b) = common::sync::two(sql);
    run(&b, "INSERT INTO k VALUES('one')");
    run(&b, "DELETE FROM old; DELETE FROM k");
    wait();
    run(&a, "INSERT INTO k VALUES('one')");
    exchange(&[&a, &b]);
    assert_eq!(one(&b, "SELECT count(*) FROM old"), "0");
    assert_eq!(one(&b, "SELECT group_concat(id) FROM k"), "one", "it has no column to tell");
    run(&b, "DELETE FROM k");
    exchange(&[&a, &b]);
    assert_eq!(one(&a, "SELECT count(*) FROM k"), "0");
}

#[test]
fn what_was_counted_is_carried_over() {
    let shop = || {
        let db = memory();
        run(
            &db,
            "CREATE TABLE stock(sku TEXT PRIMARY KEY NOT NULL, qty INTEGER, note TEXT);
                  SELECT crsql_as_crr('stock'); SELECT crsql_column('stock', 'qty', 'counter');
                  SELECT crsql_row_policy('stock', 'update-wins')",
        );
        db
    };
    let qty = |db: &Connection| one(db, "SELECT group_concat(sku || qty || note) FROM stock");
    for first in [0, 1] {
        let (a, b, c) = (shop(), shop(), shop());
        run(&a, "INSERT INTO stock VALUES('nail', 40, 'x'); UPDATE stock SET qty = qty + 2");
        settle(&[&a, &b, &c]);
        run(&b, "DELETE FROM stock");
        run(&a, "UPDATE stock SET qty = qty - 3");
        run(&c, "UPDATE stock SET qty = qty + 10");
        match first {
            0 => drop(pull_in(&a, &b, None)),
            _ => {
                pull_in(&c, &b, None);
                pull_in(&a, &c, None);
            }
        }
        exchange(&[&a, &b, &c]);
        assert_eq!(qty(&b), "nail49x", "40 + 2 - 3 + 10, whoever comes first");
        run(&b, "UPDATE stock SET qty = qty + 1");
        run(&a, "UPDATE stock SET qty = qty + 1");
        exchange(&[&a, &b, &c]);
        assert_eq!(qty(&c), "nail51x");
        // Deleted and inserted again it starts again.
        run(&b, "DELETE FROM stock; INSERT INTO stock VALUES('nail', 5, 'new')");
        exchange(&[&a, &b, &c]);
        assert_eq!(qty(&a), "nail5new");
    }
}

/// What is written again is part of the transaction that merges: it goes with a savepoint, and a
/// further write of that transaction has the same version.
#[test]
fn what_is_written_again_goes_with_its_savepoint() {
    let [a, b, c] = three("update-wins");
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    settle(&[&a, &b, &c]);
    run(&b, "DELETE FROM note");
    run(&a, "UPDATE note SET body = 'X'");
    let version = |db: &Connection| one(db, "SELECT crsql_db_version()").parse::<i64>().unwrap();
    let before = version(&a);
    let blob = common::sync::changeset(&b, &common::sync::vector(&a), None).unwrap();
    run(&a, "BEGIN; SAVEPOINT s");
    common::sync::apply(&a, &blob);
    run(&a, "ROLLBACK TO s; COMMIT");
    assert_eq!(version(&a), before);
    run(&a, "BEGIN; INSERT INTO note VALUES(2, 'y', 't')");
    common::sync::apply(&a, &blob);
    run(&a, "UPDATE note SET tag = 'T'; COMMIT");
    assert_eq!(version(&a), before + 1);
    exchange(&[&a, &b, &c]);
    assert_eq!(shown(&c), "1XT 2yT");
    common::sync::apply(&a, &blob);
    assert_eq!(version(&a), before + 1, "applied again it changes nothing");
}
