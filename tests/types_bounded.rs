//! Bounded columns: stock that cannot be oversold, on any replica, at any time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{assert_equal, changes, insert, pull_in, settle};
use common::{Seeded, error, int, memory, one, rows, run};
use rusqlite::Connection;

fn shop() -> Connection {
    let db = memory();
    run(
        &db,
        "CREATE TABLE stock(sku TEXT PRIMARY KEY NOT NULL, qty INTEGER);
         SELECT crsql_as_crr('stock'); SELECT crsql_column('stock', 'qty', 'bounded')",
    );
    db
}

fn exchange(all: &[&Connection]) {
    settle(all);
    assert_equal(all);
}

fn qty(db: &Connection) -> i64 {
    int(db, "SELECT qty FROM stock")
}

fn site(db: &Connection) -> String {
    one(db, "SELECT lower(hex(crsql_site_id()))")
}

fn grant(from: &Connection, to: &Connection, n: i64) {
    let sql = format!("SELECT crsql_rights_grant('stock', 'nail', 'qty', '{}', {n})", site(to));
    run(from, &sql);
}

#[test]
fn nobody_takes_what_is_not_theirs_to_take() {
    let (a, b) = (shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 10)");
    exchange(&[&a, &b]);
    let text = error(&b, "UPDATE stock SET qty = qty - 1");
    let holder = format!("this site may take 0 from it, not 1; site {} holds 10", site(&a));
    assert!(text.contains("column stock.qty is bounded: ") && text.contains(&holder), "{text}");
    grant(&a, &b, 4);
    exchange(&[&a, &b]);
    let rights = "SELECT group_concat(rights) FROM (SELECT rights FROM
                  crsql_rights('stock', 'nail', 'qty') ORDER BY rights)";
    assert_eq!(one(&b, rights), "4,6");
    // In a partition each takes its own, and not one more.
    run(&a, "UPDATE stock SET qty = qty - 2; UPDATE stock SET qty = qty - 4");
    assert!(error(&a, "UPDATE stock SET qty = qty - 1").contains("may take 0"));
    run(&b, "UPDATE stock SET qty = 6");
    assert!(error(&b, "UPDATE stock SET qty = 5").contains("may take 0"));
    exchange(&[&a, &b]);
    assert_eq!(qty(&a), 0);
    assert!(error(&a, "UPDATE stock SET qty = -1").contains("never falls below 0"));
    // Who brings something in may take it.
    run(&b, "UPDATE stock SET qty = qty + 3; UPDATE stock SET qty = qty - 1");
    exchange(&[&a, &b]);
    assert_eq!(qty(&a), 2);
    assert!(error(&a, "UPDATE stock SET qty = qty - 1").contains("holds 2"));
}

#[test]
fn a_transaction_is_looked_at_as_a_whole_statement_by_statement() {
    let (a, b) = (shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 10)");
    exchange(&[&a, &b]);
    run(&b, "BEGIN; UPDATE stock SET qty = qty + 5; UPDATE stock SET qty = qty - 3");
    assert!(error(&b, "UPDATE stock SET qty = qty - 3").contains("may take 0 from it, not 1"));
    run(&b, "COMMIT");
    run(&b, "BEGIN; DELETE FROM stock; INSERT INTO stock VALUES('nail', 2); COMMIT");
    exchange(&[&a, &b]);
    assert_eq!(qty(&a), 2, "deleted and inserted again it starts again");
    run(
        &b,
        "BEGIN; INSERT INTO stock VALUES('screw', 5); UPDATE stock SET qty = qty - 5
             WHERE sku = 'screw'; ROLLBACK",
    );
    assert!(error(&a, "INSERT INTO stock VALUES('bolt', -1)").contains("never falls below 0"));
    assert!(error(&a, "INSERT INTO stock(sku) VALUES('bolt')").contains("cannot become null"));
    assert!(error(&a, "INSERT OR REPLACE INTO stock VALUES('nail', 1)").contains("holds 2"));
    run(&b, "INSERT OR REPLACE INTO stock VALUES('nail', 1)");
    let text = error(&b, "UPDATE stock SET qty = 'x'");
    assert!(text.contains("counts in integers and cannot become text"), "{text}");
    exchange(&[&a, &b]);
    assert_eq!(qty(&b), 1);
}

#[test]
fn rows_from_before_belong_to_whoever_wrote_them() {
    let (a, b) = (memory(), memory());
    for db in [&a, &b] {
        run(
            db,
            "CREATE TABLE stock(sku TEXT PRIMARY KEY NOT NULL, qty INTEGER);
                 SELECT crsql_as_crr('stock')",
        );
    }
    run(&a, "INSERT INTO stock VALUES('nail', 10)");
    exchange(&[&a, &b]);
    for db in [&a, &b] {
        run(db, "SELECT crsql_column('stock', 'qty', 'bounded:4')");
    }
    assert!(error(&b, "UPDATE stock SET qty = qty - 1").contains("holds 6"));
    run(&b, "UPDATE stock SET qty = qty + 1");
    exchange(&[&a, &b]);
    run(&a, "UPDATE stock SET qty = qty - 6");
    exchange(&[&a, &b]);
    assert_eq!(qty(&b), 5);
    assert!(error(&a, "UPDATE stock SET qty = qty - 1").contains("holds 1"));
    assert!(error(&b, "UPDATE stock SET qty = 3").contains("never falls below 4"));
    assert_eq!(one(&a, "SELECT merge FROM crsql_columns"), "bounded:4");
    let other = shop();
    insert(&other, &changes(&a, "1"));
    let why = one(&other, "SELECT reason FROM crsql_held WHERE cid LIKE '%!%'");
    assert!(why.contains("no part of a column that merges as bounded"), "{why}");
}

#[test]
fn grants_are_refused_that_cannot_be() {
    let (a, b) = (shop(), shop());
    run(&a, "INSERT INTO stock VALUES('nail', 10)");
    let to = site(&b);
    let grant = |n: &str, to: &str| {
        error(&a, &format!("SELECT crsql_rights_grant('stock', 'nail', 'qty', {to}, {n})"))
    };
    assert!(grant("11", &format!("'{to}'")).contains("holds 10 rights, and cannot hand over 11"));
    assert!(grant("-1", &format!("'{to}'")).contains("cannot hand over -1"));
    assert!(grant("1", "'me'").contains("a site is named by its id"));
    assert!(grant("1.5", &format!("'{to}'")).contains("takes a whole number"));
    run(
        &a,
        "CREATE TABLE p(k INTEGER PRIMARY KEY, n); SELECT crsql_as_crr('p');
         INSERT INTO p VALUES(1, 1)",
    );
    let text = error(&a, "SELECT * FROM crsql_rights('p', 1, 'n')");
    assert!(text.contains("merges as lww, and only a bounded one has rights"), "{text}");
}

/// Random shops, random partitions, both transports: nobody ever sees less than nothing, and what
/// was sold is what was taken.
#[test]
fn whatever_happens_nothing_is_oversold() {
    for seed in 0..30 {
        let mut random = Seeded(seed);
        let shops = [shop(), shop(), shop()];
        run(&shops[0], "INSERT INTO stock VALUES('nail', 30)");
        if random.below(2) == 0 {
            run(&shops[1], "INSERT INTO stock VALUES('nail', 20)");
        }
        for _ in 0..60 {
            let (i, j) = (random.below(3) as usize, random.below(3) as usize);
            let here = &shops[i];
            if here.query_row("SELECT 1 FROM stock", [], |_| Ok(())).is_err() {
                pull_in(here, &shops[0], None);
            }
            match random.below(6) {
                0 | 1 => {
                    let n = random.below(9) as i64;
                    let _refused = here.execute("UPDATE stock SET qty = qty - ?1", [n]);
                }
                2 => run(here, &format!("UPDATE stock SET qty = qty + {}", random.below(4))),
                3 => {
                    let sql = "SELECT crsql_rights_grant('stock', 'nail', 'qty', ?1, ?2)";
                    let n = random.below(6) as i64;
                    let _refused = here.query_row(sql, (site(&shops[j]), n), |_| Ok(()));
                }
                4 => drop(pull_in(here, &shops[j], None)),
                _ => {
                    let mut some = changes(&shops[j], "1");
                    let turn = random.below(some.len().max(1) as u64) as usize;
                    some.rotate_left(turn);
                    insert(here, &some);
                }
            }
            for shop in &shops {
                assert!(int(shop, "SELECT coalesce(min(qty), 0) FROM stock") >= 0, "seed {seed}");
            }
        }
        exchange(&[&shops[0], &shops[1], &shops[2]]);
        let sum = int(&shops[0], "SELECT sum(rights) FROM crsql_rights('stock', 'nail', 'qty')");
        assert_eq!(sum, qty(&shops[0]), "seed {seed}: all that is there is somebody's to take");
        assert_eq!(rows(&shops[0], "SELECT * FROM crsql_check()"), [""; 0], "seed {seed}");
    }
}
