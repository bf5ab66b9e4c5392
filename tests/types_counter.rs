//! Columns that merge as counters: what plain UPDATE statements say adds up, whatever the order,
//! the transport and the fate of the row.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{assert_equal, changes, insert, pull_in, settle};
use common::{error, memory, one, open, run};
use rusqlite::Connection;

const STOCK: &str = "CREATE TABLE stock(sku TEXT PRIMARY KEY NOT NULL, qty INTEGER, note TEXT);
                     SELECT crsql_as_crr('stock');";

fn shop() -> Connection {
    let db = memory();
    run(&db, STOCK);
    run(&db, "SELECT crsql_column('stock', 'qty', 'counter')");
    db
}

/// Everybody pulls from everybody, and all are equal.
fn exchange(all: &[&Connection]) {
    settle(all);
    assert_equal(all);
}

fn qty(db: &Connection) -> String {
    one(db, "SELECT group_concat(sku || '=' || qty, ' ') FROM (SELECT * FROM stock ORDER BY sku)")
}

#[test]
fn what_is_counted_at_the_same_time_adds_up() {
    let (a, b, c) = (shop(), shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 40, 'x')");
    exchange(&[&a, &b, &c]);
    run(&a, "UPDATE stock SET qty = qty - 3");
    run(&b, "UPDATE stock SET qty = 50, note = 'b' WHERE sku = 'nail'");
    run(&c, "UPDATE stock SET qty = qty - 1; UPDATE stock SET qty = qty - 1");
    run(&c, "BEGIN; UPDATE stock SET qty = qty + 7; UPDATE stock SET qty = qty - 8; COMMIT");
    exchange(&[&a, &b, &c]);
    assert_eq!(qty(&a), "nail=44", "40 - 3 + 10 - 2 - 1");
    // One that comes later takes all of it from any of them.
    let d = shop();
    pull_in(&d, &b, None);
    exchange(&[&a, &d]);
}

#[test]
fn row_by_row_in_any_order_it_is_the_same() {
    let (a, b) = (shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 40, 'x')");
    // Stamps are spread over a millisecond.
    std::thread::sleep(std::time::Duration::from_millis(3));
    run(&b, "INSERT INTO stock VALUES('nail', 30, 'y')");
    run(&a, "UPDATE stock SET qty = qty - 3; UPDATE stock SET note = 'z'");
    run(&b, "UPDATE stock SET qty = qty + 5");
    let mut all = changes(&a, "1");
    all.extend(changes(&b, "1"));
    let mut ends = Vec::new();
    for turn in 0..all.len() {
        let mut order = all.clone();
        order.rotate_left(turn);
        if turn % 2 == 1 {
            order.reverse();
        }
        let c = shop();
        insert(&c, &order);
        insert(&c, &order);
        ends.push(one(&c, "SELECT qty || note || crsql_digest() FROM stock"));
    }
    ends.dedup();
    assert_eq!(ends.len(), 1, "{ends:?}");
    exchange(&[&a, &b]);
    assert!(ends[0].starts_with(&one(&a, "SELECT qty || note FROM stock")));
    assert_eq!(qty(&a), "nail=32", "the later INSERT, and what both counted");
}

/// Nothing is added where NULL becomes 0, and the UPDATE was undone. It is written as it is.
#[test]
fn nothing_can_become_zero() {
    let (a, b) = (shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', NULL, 'x')");
    exchange(&[&a, &b]);
    run(&a, "UPDATE stock SET qty = 0");
    exchange(&[&a, &b]);
    assert_eq!(qty(&b), "nail=0");
    run(&b, "UPDATE stock SET qty = qty + 1");
    exchange(&[&a, &b]);
    assert_eq!(qty(&a), "nail=1");
}

/// What an INSERT wrote was told twice, and compared with what the column had come to: the file
/// believed that two files wrote as one site and took a new identity. It is compared with the base.
#[test]
fn what_is_told_twice_is_no_fork() {
    let (a, b) = (shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 40, 'x')");
    run(&a, "UPDATE stock SET qty = qty - 3");
    for _ in 0..2 {
        insert(&b, &changes(&a, "1"));
    }
    assert_eq!(one(&b, "SELECT count(*) FROM crsql_check() WHERE fault = 'forked'"), "0");
    assert_eq!(qty(&b), "nail=37");
}

/// A part may come before all else of its row.
#[test]
fn a_part_makes_its_row_and_dies_with_its_life() {
    let (a, b, c) = (shop(), shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 40, 'x')");
    run(&a, "UPDATE stock SET qty = qty - 3");
    let all = changes(&a, "1");
    insert(&b, &all[2..]);
    assert_eq!(qty(&b), "nail=-3");
    pull_in(&b, &a, None);
    exchange(&[&a, &b]);
    // Deleted and inserted again it starts again, on both sides.
    run(&a, "DELETE FROM stock; INSERT INTO stock VALUES('nail', 10, 'new')");
    run(&b, "UPDATE stock SET qty = qty - 5");
    exchange(&[&a, &b, &c]);
    assert_eq!(qty(&c), "nail=10");
    run(&c, "UPDATE stock SET qty = qty + 1");
    run(&b, "DELETE FROM stock");
    exchange(&[&a, &b, &c]);
    assert_eq!(one(&a, "SELECT count(*) FROM stock"), "0");
    assert_eq!(one(&a, "SELECT count(*) FROM crsql_parts"), "0");
}

#[test]
fn exactly_this_is_said_by_counter_set_and_by_replace() {
    let (a, b) = (shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 40, 'x')");
    run(&a, "UPDATE stock SET qty = qty + 2");
    exchange(&[&a, &b]);
    run(&a, "SELECT crsql_counter_set('stock', 'nail', 'qty', 7)");
    run(&b, "UPDATE stock SET qty = qty - 1");
    assert_eq!(qty(&a), "nail=7");
    exchange(&[&a, &b]);
    assert_eq!(qty(&a), "nail=6");
    run(&b, "REPLACE INTO stock VALUES('nail', 100, 'r')");
    run(&a, "UPDATE stock SET qty = qty + 1");
    exchange(&[&a, &b]);
    assert_eq!(qty(&b), "nail=101");
    run(
        &b,
        "BEGIN; UPDATE stock SET qty = qty + 1; REPLACE INTO stock VALUES('nail', 5, 's');
             UPDATE stock SET qty = qty + 2; COMMIT",
    );
    exchange(&[&a, &b]);
    assert_eq!(qty(&a), "nail=7");
    // The same value once more is said as well.
    run(&a, "SELECT crsql_counter_set('stock', '[\"nail\"]', 'qty', 7)");
    exchange(&[&a, &b]);
    assert_eq!(qty(&b), "nail=7");
}

#[test]
fn savepoints_and_readings_of_the_feed_change_nothing() {
    let (a, b) = (shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 40, 'x')");
    run(
        &a,
        "BEGIN; UPDATE stock SET qty = qty - 1; SAVEPOINT s; UPDATE stock SET qty = qty - 10;
         SELECT count(*) FROM crsql_changes; UPDATE stock SET qty = qty - 100; ROLLBACK TO s;
         UPDATE stock SET qty = qty + 5; SELECT count(*) FROM crsql_changes;
         UPDATE stock SET qty = qty + 1; COMMIT",
    );
    exchange(&[&a, &b]);
    assert_eq!(qty(&b), "nail=45");
    run(&b, "BEGIN; UPDATE stock SET qty = 0; ROLLBACK; UPDATE stock SET qty = qty + 1");
    exchange(&[&a, &b]);
    assert_eq!(qty(&a), "nail=46");
}

/// Who has not declared the type holds what it cannot place, and says why; once it is declared
/// nothing is missing.
#[test]
fn a_replica_that_has_not_declared_the_type_holds_and_tells() {
    let a = shop();
    let b = memory();
    run(&b, STOCK);
    run(&a, "INSERT INTO stock VALUES('nail', 40, 'x')");
    run(&a, "UPDATE stock SET qty = qty - 3");
    pull_in(&b, &a, None);
    let why = one(&b, "SELECT group_concat(DISTINCT reason) FROM crsql_held");
    let way_out = why.contains("crsql_column('stock', 'qty', ...)");
    assert!(why.contains("stock.qty") && way_out, "{why}");
    let c = shop();
    pull_in(&c, &b, None);
    assert_eq!(qty(&c), "nail=37", "what is held is served");
    run(&b, "SELECT crsql_column('stock', 'qty', 'counter')");
    assert_eq!(one(&b, "SELECT count(*) FROM crsql_held"), "0");
    exchange(&[&a, &b, &c]);
    assert_eq!(qty(&b), "nail=37");
}

#[test]
fn declared_late_it_counts_from_what_is_there() {
    let (a, b) = (memory(), memory());
    for db in [&a, &b] {
        run(db, STOCK);
    }
    run(&a, "INSERT INTO stock VALUES('nail', 40, 'x'), ('screw', 1, 'y')");
    exchange(&[&a, &b]);
    for db in [&a, &b] {
        run(db, "SELECT crsql_column('stock', 'qty', 'counter')");
    }
    run(&a, "UPDATE stock SET qty = qty - 3");
    run(&b, "UPDATE stock SET qty = qty - 4");
    exchange(&[&a, &b]);
    assert_eq!(qty(&a), "nail=33 screw=-6");
}

#[test]
fn what_cannot_be_counted_is_refused_with_a_sentence() {
    let a = shop();
    run(&a, "INSERT INTO stock VALUES('nail', 9223372036854775807, 'x')");
    let said = error(&a, "UPDATE stock SET qty = qty + 1");
    assert!(said.contains("stock.qty") && said.contains("64 bits"), "{said}");
    let said = error(&a, "UPDATE stock SET qty = 'many'");
    assert!(said.contains("stock.qty counts, and cannot become text"), "{said}");
    for (call, part) in [
        ("crsql_column('stock', 'qty', 'lww')", ""),
        ("crsql_column('stock', 'sku', 'counter')", "is of the key"),
        ("crsql_column('stock', 'nope', 'counter')", "no replicated column nope"),
        ("crsql_column('nope', 'qty', 'counter')", "not replicated"),
        ("crsql_column('stock', 'note', 'counter')", "column of numbers"),
        ("crsql_column('stock', 'note', 'conter')", "no type is called conter"),
        ("crsql_counter_set('stock', 'nail', 'note', 1)", "merges as lww"),
        ("crsql_counter_set('stock', 'nail', 'qty', 'x')", "cannot become text"),
    ] {
        if part.is_empty() {
            continue;
        }
        let said = error(&a, &format!("SELECT {call}"));
        assert!(said.contains(part), "{call}: {said}");
    }
    run(&a, "SELECT crsql_column('stock', 'qty', 'gcounter')");
    run(&a, "INSERT INTO stock VALUES('screw', 4, 'x')");
    let said = error(&a, "UPDATE stock SET qty = qty - 1 WHERE sku = 'screw'");
    assert!(said.contains("only grows"), "{said}");
    run(&a, "SELECT crsql_counter_set('stock', 'screw', 'qty', 2)");
    run(&a, "UPDATE stock SET qty = qty + 1 WHERE sku = 'screw'");
    let said = error(&a, "SELECT crsql_column('stock', 'qty', 'max')");
    assert!(said.contains("merges as gcounter and has been written so"), "{said}");
    assert_eq!(
        one(&a, "SELECT group_concat(\"column\" || ' ' || merge, ', ') FROM crsql_columns"),
        "qty gcounter, note lww"
    );
}

#[test]
fn the_greatest_and_the_least_that_were_ever_written_stay() {
    let dir = tempfile::tempdir().unwrap();
    let all: Vec<Connection> = (0..3).map(|i| open(&dir.path().join(format!("{i}.db")))).collect();
    for db in &all {
        run(
            db,
            "CREATE TABLE game(id INTEGER PRIMARY KEY, best, worst REAL);
             SELECT crsql_as_crr('game'); SELECT crsql_column('game', 'best', 'max');
             SELECT crsql_column('game', 'worst', 'min')",
        );
    }
    let [a, b, c] = &all[..] else { panic!() };
    run(a, "INSERT INTO game VALUES(1, 5, 5)");
    run(b, "INSERT INTO game VALUES(1, 9, 2)");
    run(c, "INSERT INTO game VALUES(1, 4, 7)");
    exchange(&[a, b, c]);
    let shown = "SELECT best || ' ' || worst FROM game";
    assert_eq!(one(a, shown), "9 2.0");
    run(a, "UPDATE game SET best = 3, worst = 3");
    assert_eq!(one(a, shown), "9 2.0", "after the COMMIT it shows what it comes to");
    run(b, "UPDATE game SET best = 'a text comes after numbers'");
    run(c, "UPDATE game SET best = 99.5, worst = -1");
    exchange(&[a, b, c]);
    assert_eq!(one(a, shown), "a text comes after numbers -1.0");
}

/// A schema's text says how columns merge, and says it again without a change.
#[test]
fn a_schema_says_how_its_columns_merge() {
    let (a, b) = (memory(), memory());
    let schema = |more: &str| {
        format!(
            "SELECT crsql_automigrate('CREATE TABLE stock(sku TEXT PRIMARY KEY NOT NULL, qty INTEGER
             {more}); SELECT crsql_as_crr(''stock'');
             SELECT crsql_column(''stock'', ''qty'', ''counter'')')"
        )
    };
    for db in [&a, &b] {
        run(db, &schema(""));
    }
    run(&a, "INSERT INTO stock VALUES('nail', 40); UPDATE stock SET qty = qty - 1");
    exchange(&[&a, &b]);
    let written = "SELECT total_changes()";
    run(&a, &schema(", note TEXT"));
    let before = one(&a, written);
    run(&a, &schema(", note TEXT"));
    assert_eq!(before, one(&a, written), "nothing differs");
    run(&b, &schema(", note TEXT"));
    run(&a, "UPDATE stock SET qty = qty + 5, note = 'x'");
    run(&b, "UPDATE stock SET qty = qty + 6; ALTER TABLE stock RENAME COLUMN qty TO pieces");
    // Under a name that is not known here it waits.
    settle(&[&a, &b]);
    assert_eq!(one(&a, "SELECT qty FROM stock"), "44");
    assert_eq!(one(&b, "SELECT pieces FROM stock"), "50");
    run(&a, "ALTER TABLE stock RENAME COLUMN qty TO pieces; UPDATE stock SET pieces = pieces + 1");
    exchange(&[&a, &b]);
    assert_eq!(one(&b, "SELECT pieces FROM stock"), "51");
    for db in [&a, &b] {
        run(
            db,
            "SELECT crsql_begin_alter('stock'); ALTER TABLE stock DROP COLUMN pieces;
             SELECT crsql_commit_alter('stock')",
        );
    }
    assert_eq!(one(&a, "SELECT count(*) FROM crsql_parts"), "0");
    exchange(&[&a, &b]);
}

/// What a stranger makes up is held, and breaks nothing.
#[test]
fn parts_that_nobody_wrote_are_held() {
    let (a, b) = (shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 40, 'x')");
    let site = "lower(hex(randomblob(16)))";
    for (register, value) in [
        ("'zz'", "5"),
        ("''", "5"),
        (site, "NULL"),
        (site, "'5'"),
        (site, "x'00'"),
        (site, "9e999"),
        ("upper(hex(randomblob(16)))", "5"),
        ("'-1'", "5"),
    ] {
        run(
            &a,
            &format!(
                "INSERT INTO crsql_changes VALUES('stock', crsql_pack_columns('nail'),
                 char(1) || 'qty' || char(1) || {register}, {value}, 100, 1, randomblob(16), 1, 0)"
            ),
        );
    }
    assert_eq!(qty(&a), "nail=40");
    let reason = one(&a, "SELECT group_concat(DISTINCT reason) FROM crsql_held");
    assert_eq!(reason, "this is no part of a column that merges as counter");
    // One of the right form counts: who is let in is believed.
    run(
        &a,
        &format!(
            "INSERT INTO crsql_changes VALUES('stock', crsql_pack_columns('nail'),
             char(1) || 'qty' || char(1) || {site}, 2, 100, 1, randomblob(16), 1, 0)"
        ),
    );
    assert_eq!(qty(&a), "nail=42");
    // Beyond INTEGER it stops, on every replica, and goes on behind it.
    for sum in [
        "9223372036854775807",
        "'9223372036854775808'",
        "'-85070591730234615865843651857942052863'",
    ] {
        run(
            &a,
            &format!(
                "INSERT INTO crsql_changes VALUES('stock', crsql_pack_columns('nail'),
                 char(1) || 'qty' || char(1) || {site}, {sum}, 100, 1, randomblob(16), 1, 0)"
            ),
        );
    }
    assert_eq!(qty(&a), "nail=-9223372036854775808");
    insert(&b, &changes(&a, "1"));
    assert_eq!(qty(&b), "nail=-9223372036854775808");
}

/// An infinite number that somebody inserted elsewhere made every UPDATE here fail: nothing can be
/// counted from it. Such an UPDATE means what it writes.
#[test]
fn what_somebody_else_inserted_lets_no_update_fail() {
    let all: Vec<Connection> = (0..2).map(|_| memory()).collect();
    for db in &all {
        run(
            db,
            "CREATE TABLE n(k INTEGER PRIMARY KEY, v REAL); SELECT crsql_as_crr('n');
             SELECT crsql_column('n', 'v', 'counter')",
        );
    }
    let [a, b] = &all[..] else { panic!() };
    run(a, "INSERT INTO n VALUES(1, 9e999), (2, 1)");
    run(a, "UPDATE n SET v = v + 1 WHERE k = 2");
    exchange(&[a, b]);
    run(b, "UPDATE n SET v = 5 WHERE k = 1; UPDATE n SET v = v + 1");
    exchange(&[a, b]);
    assert_eq!(one(a, "SELECT group_concat(v) FROM n"), "6.0,3.0");
    run(a, "BEGIN; UPDATE n SET v = v + 1; REPLACE INTO n VALUES(1, -9e999)");
    run(a, "UPDATE n SET v = 2 WHERE k = 1; UPDATE n SET v = v + 1 WHERE k = 1; COMMIT");
    exchange(&[a, b]);
    assert_eq!(one(b, "SELECT group_concat(v) FROM n"), "3.0,4.0");
}
