//! The promise: applying is all or nothing, whatever interrupts it; applying again changes nothing;
//! one bad row waits while the rest flows; stale changes write nothing; and the order in which
//! changes arrive decides nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{
    Change, WAYS, apply, assert_equal, changes, everything, insert, pull, pull_in, replicas,
    settle, try_apply, two, vector,
};
use common::{Seeded, error, int, memory, one, open, rows, run};
use rusqlite::Connection;
use std::time::Duration;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w); SELECT crsql_as_crr('t');";

/// All that is stored but times.
fn everything_stored(db: &Connection) -> Vec<String> {
    let named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let mut out = Vec::new();
    for t in rows(db, named) {
        out.push(t.clone());
        out.extend(rows(db, &format!("SELECT * FROM \"{t}\"")));
    }
    out
}

fn writer(n: i64) -> Connection {
    let a = memory();
    run(&a, T);
    for k in 1..=n {
        run(&a, &format!("INSERT INTO t VALUES({k}, hex(randomblob(40)), {k})"));
    }
    run(&a, "UPDATE t SET w = 0 WHERE k % 3 = 0; DELETE FROM t WHERE k % 5 = 0");
    a
}

/// Interrupted after every so many steps of the machine: nothing, or all; the connection works on.
#[test]
fn f1_f3_an_interrupt_at_any_step_leaves_nothing_behind() {
    let a = writer(12);
    let blob = everything(&a);
    for own in [false, true] {
        let mut b = memory();
        run(&b, T);
        let (mut steps, mut cut) = (1, 0);
        loop {
            if own {
                run(&b, "BEGIN; INSERT INTO t VALUES(-1, 'mine', 1)");
            }
            let before = everything_stored(&b);
            let mut left = steps;
            b.progress_handler(
                1,
                Some(move || {
                    left -= 1;
                    left == 0
                }),
            )
            .unwrap();
            let done = try_apply(&b, &blob);
            b.progress_handler(1, None::<fn() -> bool>).unwrap();
            match done {
                Ok(_) => {
                    if own {
                        run(&b, "COMMIT");
                    }
                    break;
                }
                Err(e) => assert!(e.contains("interrupted"), "{e}"),
            }
            cut += 1;
            // The last steps are those of the SELECT around the call, when the call is done.
            let there = own != b.is_autocommit() && before != everything_stored(&b);
            if there && try_apply(&b, &blob).unwrap()["applied"] == 0 {
                if own {
                    run(&b, "COMMIT");
                }
                break;
            }
            if own && !b.is_autocommit() {
                assert_eq!(before, everything_stored(&b), "{steps} steps");
                run(&b, "ROLLBACK");
            } else if !own {
                assert!(b.is_autocommit());
                if before != everything_stored(&b) {
                    // It came when all was committed, in the last steps of the SELECT itself.
                    assert_equal(&[&a, &b]);
                    break;
                }
            }
            steps += 1 + steps / 40;
        }
        assert!(cut > 50, "{cut}");
        settle(&[&a, &b]);
        assert_equal(&[&a, &b]);
    }
}

/// Interrupts the connection for good after so many steps of the machine, as `sqlite3_interrupt`
/// does: until the statement of the application ends, SQLite runs nothing more.
fn interrupt_after(db: &mut Connection, steps: u32) {
    let handle = db.get_interrupt_handle();
    let mut left = steps;
    let count = move || {
        left = left.saturating_sub(1);
        if left == 0 {
            handle.interrupt();
        }
        false
    };
    db.progress_handler(1, Some(count)).unwrap();
}

/// `sqlite3_interrupt` in the middle of `crsql_apply` or `crsql_as_crr` left the transaction open,
/// half done: SQLite refused the ROLLBACK TO as well, as long as the SELECT ran. A pool of
/// connections (Go's, when a context ends) gave that connection to the next caller, whose writes
/// were lost. Progress handlers, which the test above uses, interrupt one statement and not the
/// next. Now a statement that writes is run then, which makes SQLite roll the transaction back.
#[test]
fn f1_f3_an_interrupt_for_good_leaves_no_open_transaction() {
    let blob = everything(&writer(12));
    // Every third row breaks it.
    let checked = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w CHECK(w <> 0));
                   SELECT crsql_as_crr('t');";
    let enable = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, w);
                  INSERT INTO t VALUES(1, 'a', 1), (2, 'b', 2)";
    for (setup, call, own) in [
        (T, "SELECT crsql_apply(?1)", false),
        (T, "SELECT crsql_apply(?1)", true),
        (checked, "SELECT crsql_apply(?1)", false),
        (enable, "SELECT crsql_as_crr('t') WHERE ?1 NOT NULL", false),
        (enable, "SELECT crsql_as_crr('t') WHERE ?1 NOT NULL", true),
        (T, "SELECT crsql_as_table('t') WHERE ?1 NOT NULL", false),
        (T, "SELECT crsql_new_site() WHERE ?1 NOT NULL", false),
    ] {
        let (mut steps, mut cut) = (1, 0);
        loop {
            let mut b = memory();
            run(&b, setup);
            let before = everything_stored(&b);
            if own {
                run(&b, "BEGIN; UPDATE t SET w = w");
            }
            interrupt_after(&mut b, steps);
            let done = b.query_row(call, [&blob], |_| Ok(()));
            b.progress_handler(1, None::<fn() -> bool>).unwrap();
            if own && !b.is_autocommit() {
                run(&b, "COMMIT");
            }
            assert!(b.is_autocommit(), "{call}, {steps} steps: the transaction is open");
            let Err(e) = done else { break };
            assert!(e.to_string().contains("interrupted"), "{e}");
            cut += 1;
            // In the end the call is done, and the SELECT around it was interrupted.
            let half = everything_stored(&b);
            if half == before {
                b.query_row(call, [&blob], |_| Ok(())).unwrap();
            }
            run(&b, "INSERT INTO t VALUES(-1, 'mine', 1)");
            let faults = "SELECT count(*) FROM crsql_check() WHERE fault <> 'constraint'";
            assert_eq!(one(&b, faults), "0", "{call}, {steps} steps");
            assert_eq!(one(&b, "SELECT count(*) FROM t WHERE k = -1"), "1");
            steps += 1 + steps / 30;
        }
        assert!(cut > 40, "{call}: {cut}");
    }
}

/// A lock held by another connection: BUSY, nothing written, and it works when the lock is gone.
#[test]
fn f3_a_busy_database_is_an_error_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let a = writer(20);
    for mode in ["WAL", "DELETE"] {
        let path = dir.path().join(mode);
        let (b, other) = (open(&path), open(&path));
        run(&b, &format!("PRAGMA journal_mode = {mode}; {T}"));
        let before = everything_stored(&b);
        b.busy_timeout(Duration::from_millis(1)).unwrap();
        run(&other, "BEGIN IMMEDIATE");
        let e = try_apply(&b, &everything(&a)).unwrap_err();
        assert!(e.contains("locked"), "{mode}: {e}");
        assert!(b.is_autocommit());
        let done = b.execute(
            "INSERT INTO crsql_changes VALUES('t', x'010901', 'v', 1, 5, 1, zeroblob(16), 1, 0)",
            [],
        );
        assert!(done.unwrap_err().to_string().contains("locked"), "{mode}");
        run(&other, "COMMIT");
        assert_eq!(before, everything_stored(&b), "{mode}");
        pull(&b, &a);
        assert_equal(&[&a, &b]);
    }
}

/// A full database: the same.
#[test]
fn f3_a_full_database_is_an_error_and_nothing_else() {
    let a = writer(300);
    let blob = everything(&a);
    let b = memory();
    run(&b, T);
    let before = everything_stored(&b);
    let pages = int(&b, "PRAGMA page_count");
    let mut failed = 0;
    for more in 0..200 {
        run(&b, &format!("PRAGMA max_page_count = {}", pages + more));
        match try_apply(&b, &blob) {
            Ok(_) => break,
            Err(e) => assert!(e.contains("full"), "{e}"),
        }
        failed += 1;
        assert!(b.is_autocommit());
        assert_eq!(before, everything_stored(&b), "{more} pages more");
    }
    assert!(failed > 3, "{failed}");
    assert_equal(&[&a, &b]);
}

#[test]
fn f2_applying_again_changes_nothing_not_even_a_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.db");
    let (a, b) = (writer(50), open(&path));
    run(&b, T);
    let blob = everything(&a);
    apply(&b, &blob);
    let (stored, bytes) = (everything_stored(&b), std::fs::read(&path).unwrap());
    for _ in 0..3 {
        let report = apply(&b, &blob);
        assert_eq!((&report["applied"], &report["held"]), (&0.into(), &0.into()), "{report}");
        assert_eq!(report["superseded"], int(&a, "SELECT count(*) FROM crsql_changes"));
    }
    assert_eq!(stored, everything_stored(&b));
    assert!(bytes == std::fs::read(&path).unwrap(), "the file was written");
}

/// One row that cannot be written is HELD; its transaction's other rows, and all others, flow.
#[test]
fn f4_one_bad_row_is_held_and_the_rest_flows() {
    for way in WAYS {
        let (a, b) = two(T);
        run(
            &b,
            "CREATE TRIGGER bad BEFORE INSERT ON t WHEN new.k = 500
             BEGIN SELECT RAISE(ABORT, 'not 500'); END",
        );
        run(
            &a,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO t SELECT i, i, i FROM n",
        );
        way.pull(&b, &a);
        assert_eq!(int(&b, "SELECT count(*) FROM t"), 999, "{way:?}");
        assert_eq!(int(&b, "SELECT count(DISTINCT pk) FROM crsql_held"), 1, "{way:?}");
        // An update of the held row joins it.
        run(&a, "UPDATE t SET v = 'new'");
        way.pull(&b, &a);
        assert_eq!(int(&b, "SELECT count(*) FROM t WHERE v = 'new'"), 999, "{way:?}");
        run(&b, "DROP TRIGGER bad; SELECT crsql_vector()");
        assert_equal(&[&a, &b]);
    }
}

/// A thousand changes that lost: seen, and not one row of ours is written for them.
#[test]
fn f5_stale_changes_write_nothing() {
    let (old, new) = two(T);
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
               INSERT INTO t SELECT i, i, i FROM n";
    run(&old, sql);
    std::thread::sleep(Duration::from_millis(5));
    run(&new, sql);
    let tables = "SELECT (SELECT count(*) FROM crsql_log) + (SELECT count(*) FROM crsql_held)
                  + (SELECT count(*) FROM crsql_clock_1)";
    let (rows_before, clocks) = (int(&new, tables), rows(&new, "SELECT * FROM crsql_clock_1"));
    let report = apply(&new, &everything(&old));
    assert_eq!((&report["applied"], &report["superseded"]), (&0.into(), &2000.into()), "{report}");
    assert_eq!(rows_before, int(&new, tables));
    assert_eq!(clocks, rows(&new, "SELECT * FROM crsql_clock_1"));
    run(&new, "BEGIN");
    insert(&new, &changes(&old, "1"));
    assert_eq!(int(&new, "SELECT crsql_rows_impacted()"), 0);
    run(&new, "COMMIT");
    assert_eq!(clocks, rows(&new, "SELECT * FROM crsql_clock_1"));
}

/// The events of one row at two sites: what they can be.
const EVENTS: [&str; 4] = [
    "REPLACE INTO t VALUES(1, hex(randomblob(3)), 1)",
    "UPDATE t SET v = hex(randomblob(3))",
    "DELETE FROM t",
    "DELETE FROM t; INSERT INTO t(k, w) VALUES(1, hex(randomblob(3)))",
];

fn permutations(n: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..n {
        all = all
            .into_iter()
            .flat_map(|p: Vec<usize>| {
                let free: Vec<usize> = (0..n).filter(|i| !p.contains(i)).collect();
                free.into_iter().map(move |i| [p.clone(), vec![i]].concat()).collect::<Vec<_>>()
            })
            .collect();
    }
    all
}

/// Every history of up to four events over two sites that know the row, and every order in which
/// its changes can reach a third.
#[test]
fn f6_every_order_of_row_wise_events_ends_the_same() {
    let r = &mut Seeded(6);
    for code in 0..4usize.pow(4) {
        // All of them would take minutes; each run takes the same tenth.
        if r.below(10) > 0 {
            continue;
        }
        let (a, b) = two(T);
        run(&a, "INSERT INTO t VALUES(1, 0, 0)");
        if code % 3 > 0 {
            pull(&b, &a);
        }
        let mut events: Vec<Vec<Change>> = vec![changes(&a, "1")];
        for n in 0..4 {
            let db = if n % 2 == 0 { &a } else { &b };
            run(db, EVENTS[code / 4usize.pow(n) % 4]);
            let mine = "site_id = crsql_site_id()";
            events.push(changes(db, mine));
            if (code + n as usize).is_multiple_of(5) {
                pull(if n % 2 == 0 { &b } else { &a }, db);
            }
        }
        settle(&[&a, &b]);
        assert_equal(&[&a, &b]);
        for order in permutations(events.len()) {
            let c = memory();
            run(&c, T);
            for i in order.iter().take(4) {
                insert(&c, &events[*i]);
            }
            insert(&c, &changes(&a, "1"));
            for i in order.iter().skip(4) {
                insert(&c, &events[*i]);
            }
            run(&c, &format!("SELECT crsql_seen('{}')", vector(&a)));
            assert_equal(&[&a, &c]);
        }
    }
}

/// A change keeps its name (site, version, place, stamp) through any number of relays, and a
/// replica that wrote nothing is not in it.
#[test]
fn f7_relays_keep_the_origin() {
    for way in WAYS {
        let all = replicas(5, T);
        run(&all[0], "INSERT INTO t VALUES(1, 'a', 'b'); UPDATE t SET v = 'x'; DELETE FROM t");
        run(&all[0], "INSERT INTO t VALUES(1, 'again', 2)");
        for pair in all.windows(2) {
            way.pull(&pair[1], &pair[0]);
        }
        assert_eq!(changes(&all[0], "1"), changes(&all[4], "1"), "{way:?}");
        let sites = one(&all[4], "SELECT count(DISTINCT site_id) FROM crsql_changes");
        assert_eq!(sites, "1");
        run(&all[4], "UPDATE t SET w = 'back'");
        for i in (0..4).rev() {
            way.pull(&all[i], &all[i + 1]);
        }
        assert_equal(&all.iter().collect::<Vec<_>>());
    }
}

/// What changes state on request is called by the application, never from its schema.
#[test]
fn f9_applying_from_a_trigger_or_a_view_is_refused() {
    let a = writer(3);
    let b = memory();
    run(&b, T);
    run(&b, "CREATE TABLE box(x)");
    b.execute("INSERT INTO box VALUES(?1)", [everything(&a)]).unwrap();
    let calls = [
        "crsql_apply((SELECT x FROM box))",
        "crsql_changeset()",
        "crsql_vector()",
        "crsql_seen(NULL)",
        "crsql_new_site()",
        "crsql_as_crr('box')",
        "crsql_as_table('t')",
        "crsql_begin_alter('t')",
        "crsql_config_set('max-drift-ms', 1)",
        "crsql_digest()",
        "crsql_finalize()",
    ];
    for (n, call) in calls.iter().enumerate() {
        run(&b, &format!("CREATE VIEW v{n} AS SELECT {call}"));
        let e = error(&b, &format!("SELECT * FROM v{n}"));
        assert!(e.contains("unsafe use of"), "{call}: {e}");
        let made = format!("CREATE TRIGGER g{n} AFTER INSERT ON box BEGIN SELECT {call}; END");
        let refused = match b.execute_batch(&made) {
            Ok(()) => error(&b, "INSERT INTO box VALUES(1)"),
            Err(e) => e.to_string(),
        };
        assert!(refused.contains("unsafe use of"), "{call}: {refused}");
        run(&b, &format!("DROP VIEW v{n}; DROP TRIGGER IF EXISTS g{n}"));
    }
    run(
        &b,
        "CREATE TRIGGER g AFTER INSERT ON box BEGIN
             INSERT INTO crsql_changes
             VALUES('t', x'010901', 'v', 1, 5, 1, zeroblob(16), 1, 0); END",
    );
    let e = error(&b, "INSERT INTO box VALUES(1)");
    assert!(e.contains("unsafe use of"), "{e}");
    assert_eq!(int(&b, "SELECT count(*) FROM t"), 0);
    // Nor inside a statement that writes, where no savepoint can be opened.
    let e = error(&b, "DROP TRIGGER g; INSERT INTO box SELECT crsql_apply(x) FROM box");
    assert!(e.contains("inside a statement that writes"), "{e}");
    pull_in(&b, &a, None);
    assert_equal(&[&a, &b]);
}
