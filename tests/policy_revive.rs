//! Updates win: a row that was deleted without knowledge of an update lives on, by both transports,
//! in any order; and nothing comes back that somebody deleted who had seen it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{Way, assert_equal, changes, insert, pull_in, settle};
use common::{memory, one, run};
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

/// The delete was made later than the update, and by somebody who had not heard of it: stamps do
/// not tell, and what its site had seen does.
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

/// Somebody saw the row as one of two wrote it again, with all that both had written, and deletes
/// it. The other one's writing it again is no update that was missed.
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

/// Rows of nine values do not say when their transaction was: whoever took the old stamp of a cell
/// that was written again for that of its transaction took both for two, and its writer for two
/// files, and the writer went on under another name.
#[test]
fn old_stamps_of_cells_are_not_those_of_their_transaction() {
    let [a, b, c] = three("update-wins");
    let site = "SELECT hex(crsql_site_id())";
    run(&a, "INSERT INTO note VALUES(1, 'x', 't')");
    settle(&[&a, &b, &c]);
    let names = [one(&a, site), one(&b, site), one(&c, site)];
    run(&a, "UPDATE note SET body = 'X'");
    run(&b, "DELETE FROM note");
    pull_in(&a, &b, None);
    for (to, from) in [(&b, &a), (&c, &b), (&a, &c), (&a, &b), (&b, &c)] {
        Way::Rows.pull(to, from);
        // Its own changes come back to it.
        insert(to, &changes(from, "1"));
    }
    exchange(&[&a, &b, &c]);
    assert_eq!(shown(&c), "1Xt");
    assert_eq!([one(&a, site), one(&b, site), one(&c, site)], names);
}
