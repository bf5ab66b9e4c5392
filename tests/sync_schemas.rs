//! The promise: replicas whose schemas differ go on exchanging. What has no place here is HELD with
//! the reason, served onward, and comes in when it has a place; what was dropped is told to others;
//! names are looked up under what they are and were called; CHECK binds local writes only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{
    WAYS, Way, apply, assert_equal, changes, everything, insert, pull, replicas, settle, two,
    vector,
};
use common::{int, memory, one, rows, run, version};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b); SELECT crsql_as_crr('t');";

fn held(db: &Connection) -> Vec<String> {
    rows(db, "SELECT DISTINCT reason FROM crsql_held ORDER BY 1")
}

#[test]
fn j1_a_column_that_only_one_side_has_waits_cell_by_cell() {
    for way in WAYS {
        let (a, b) = two(T);
        run(&a, "INSERT INTO t VALUES(1, 'a', 'b')");
        way.pull(&b, &a);
        run(&a, "ALTER TABLE t ADD COLUMN c");
        run(&a, "UPDATE t SET c = 'late', a = 'aa'; INSERT INTO t VALUES(2, 'x', 'y', 'z')");
        way.pull(&b, &a);
        assert_eq!(rows(&b, "SELECT * FROM t"), ["1|aa|b", "2|x|y"], "{way:?}");
        assert_eq!(held(&b), ["table t has no column c here"]);
        run(&b, "UPDATE t SET a = 'local' WHERE k = 2");
        // Only the winner of a held cell is kept.
        run(&a, "UPDATE t SET c = 'later' WHERE k = 1");
        way.pull(&b, &a);
        assert_eq!(int(&b, "SELECT count(*) FROM crsql_held"), 2, "{way:?}");
        run(&b, "ALTER TABLE t ADD COLUMN c");
        way.pull(&a, &b);
        run(&b, "SELECT crsql_vector()");
        assert_eq!(held(&b), [""; 0], "{way:?}");
        assert_eq!(rows(&b, "SELECT c FROM t ORDER BY k"), ["later", "z"], "{way:?}");
        assert_equal(&[&a, &b]);
    }
}

/// The receiver has a NOT NULL column without a default that the sender's rows know nothing of:
/// refused at enable, and so is adding one.
#[test]
fn b7_not_null_holds_the_cell_and_check_is_not_evaluated() {
    for way in WAYS {
        let (a, b) = two("SELECT crsql_site_id()");
        run(&a, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, lo, hi, n)");
        run(
            &b,
            "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, lo, hi, n NOT NULL DEFAULT 7,
                            CHECK(lo <= hi))",
        );
        run(&a, "SELECT crsql_as_crr('t')");
        run(&b, "SELECT crsql_as_crr('t')");
        run(&a, "INSERT INTO t VALUES(1, 5, 1, NULL), (2, 1, 5, 2)");
        way.pull(&b, &a);
        assert_eq!(rows(&b, "SELECT * FROM t"), ["1|5|1|7", "2|1|5|2"], "{way:?}");
        assert_eq!(held(&b), ["column t.n is NOT NULL here"], "{way:?}");
        let listed = rows(&b, "SELECT detail FROM crsql_check() WHERE fault = 'constraint'");
        assert!(listed.len() == 1 && listed[0].contains("CHECK constraint"), "{listed:?}");
        assert!(common::error(&b, "INSERT INTO t VALUES(3, 5, 1, 1)").contains("CHECK"));
        assert_eq!(int(&b, "PRAGMA ignore_check_constraints"), 0, "{way:?}");
        run(&a, "UPDATE t SET n = 8, hi = 9 WHERE k = 1");
        way.pull(&b, &a);
        assert_eq!(held(&b), [""; 0], "{way:?}: the winner came");
        assert!(rows(&b, "SELECT * FROM crsql_check()").is_empty(), "{way:?}");
        let refused = common::error(
            &b,
            "CREATE TABLE n(k INTEGER PRIMARY KEY NOT NULL, v NOT NULL); SELECT crsql_as_crr('n')",
        );
        assert!(refused.contains("NOT NULL"), "{refused}");
    }
}

/// Two replicas each make a write that their CHECK allows; together they break it, on both alike.
#[test]
fn b7_two_legal_writes_may_break_a_check_together() {
    for way in WAYS {
        let ddl = "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, lo, hi, CHECK(lo <= hi));
                   SELECT crsql_as_crr('t');";
        let (a, b) = two(ddl);
        run(&a, "INSERT INTO t VALUES(1, 1, 9)");
        way.pull(&b, &a);
        run(&a, "UPDATE t SET lo = 8");
        run(&b, "UPDATE t SET hi = 2");
        way.pull(&b, &a);
        way.pull(&a, &b);
        assert_eq!(rows(&a, "SELECT * FROM t"), ["1|8|2"], "{way:?}");
        assert_equal(&[&a, &b]);
        for db in [&a, &b] {
            assert_eq!(int(db, "SELECT count(*) FROM crsql_check()"), 1, "{way:?}");
        }
        run(&a, "UPDATE t SET lo = 0");
        way.pull(&b, &a);
        assert!(rows(&b, "SELECT * FROM crsql_check()").is_empty(), "{way:?}");
    }
}

#[test]
fn j2_changes_of_a_dropped_column_are_held_not_errors() {
    for way in WAYS {
        let all = replicas(3, T);
        let (a, b, c) = (&all[0], &all[1], &all[2]);
        run(a, "INSERT INTO t VALUES(1, 'a', 'b')");
        way.pull(b, a);
        run(b, "SELECT crsql_begin_alter('t')");
        run(b, "ALTER TABLE t DROP COLUMN b");
        run(b, "SELECT crsql_commit_alter('t')");
        run(a, "UPDATE t SET a = 'aa', b = 'bb'; INSERT INTO t VALUES(2, 'x', 'y')");
        way.pull(b, a);
        assert_eq!(rows(b, "SELECT * FROM t"), ["1|aa", "2|x"], "{way:?}");
        assert_eq!(held(b), ["table t has no column b here"], "{way:?}");
        // A third that has the column and asks b only.
        way.pull(c, b);
        way.pull(c, a);
        assert_equal(&[a, c]);
        run(b, "ALTER TABLE t ADD COLUMN b");
        settle(&[a, b, c]);
        assert_eq!(rows(b, "SELECT * FROM t"), ["1|aa|bb", "2|x|y"], "{way:?}");
    }
}

/// b dropped a table before c ever saw it. c, which has the table, keeps a gap there and gets the
/// rows from a; d, which has no such table, has none. As long as c had no word for "all that b
/// has", b sent the same again whenever it was asked, and nobody was ever quiet (simulator, seed 62
/// of the worlds whose tables are built anew).
#[test]
fn j2_what_was_dropped_is_named_and_asked_of_others() {
    let all = replicas(3, T);
    let (a, b, c) = (&all[0], &all[1], &all[2]);
    run(a, "CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('u')");
    run(b, "CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('u')");
    run(c, "CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('u')");
    run(a, "INSERT INTO t VALUES(1, 1, 1)");
    run(a, "BEGIN; INSERT INTO u VALUES(1, 1); INSERT INTO t VALUES(2, 2, 2); COMMIT");
    run(a, "INSERT INTO t VALUES(3, 3, 3)");
    pull(b, a);
    run(b, "DROP TABLE u");
    run(b, "SELECT crsql_vector()");
    let report = apply(c, &everything(b));
    let site = one(a, "SELECT lower(hex(crsql_site_id()))");
    assert_eq!(report["vector"]["seen"][&site], serde_json::Value::Null, "{report}");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&vector(c)).unwrap()["omits"],
        serde_json::json!([[site, 1, 3, "u"]])
    );
    assert!(common::sync::changeset(b, &vector(c), None).is_none(), "once is enough");
    assert_eq!(int(c, "SELECT count(*) FROM u"), 0);
    pull(c, a);
    assert_equal(&[a, c]);
    let d = memory();
    run(&d, T);
    pull(&d, b);
    assert_eq!(int(&d, "SELECT count(*) FROM t"), 3);
    assert!(common::sync::changeset(b, &common::sync::vector(&d), None).is_none());
}

/// A row of b's lost to one of a's on its way in, so nothing at a told of it any more when a
/// dropped the table; a named only the versions whose rows it knew. c, which has the table, took
/// b's version from a as whole, had no row, and never asked b for it. Now a drop makes all lacking
/// that was seen.
#[test]
fn j2_what_lost_to_a_dropped_write_is_lacking_too() {
    for way in WAYS {
        let all = replicas(3, T);
        let [a, b, c] = all.as_slice() else { panic!() };
        run(b, "INSERT INTO t VALUES(1, 'b', 'b')");
        std::thread::sleep(std::time::Duration::from_millis(3));
        run(a, "INSERT INTO t VALUES(1, 'a', 'a')");
        way.pull(a, b);
        run(a, "DROP TABLE t");
        way.pull(c, a);
        way.pull(c, b);
        assert_equal(&[b, c]);
        assert_eq!(rows(c, "SELECT * FROM t"), ["1|b|b"], "{way:?}");
    }
}

/// What was held of a table because of its clock outlived the table, and was merged into the next
/// one of that name when its time came; the vector said all the while that it was lacking, so who
/// had dropped it too was not told (simulator, seed 43 of the worlds whose tables are made again).
#[test]
fn j2_what_is_held_of_a_table_goes_with_it() {
    let clock = common::clock::Clock::new();
    let (a, b) = (memory(), clock.memory());
    clock.ahead(3_600_000);
    run(&a, T);
    run(&b, T);
    run(&b, "INSERT INTO t VALUES(1, 'b', 'b')");
    Way::Rows.pull(&a, &b);
    assert!(!held(&a).is_empty());
    for db in [&a, &b] {
        run(db, "SELECT crsql_as_table('t'); SELECT crsql_as_crr('t')");
    }
    assert_eq!(held(&a).len(), 0);
    settle(&[&a, &b]);
    clock.ahead(0);
    settle(&[&a, &b]);
    assert_equal(&[&a, &b]);
}

/// Two replicas made one row at once, one with a column and one after it had dropped the column,
/// the last one beside the key: one told the row by a cell, the other by a sentinel, and which of
/// them named it depended on who heard of which first, so replicas ended apart, or a third never
/// saw the row (simulator, seed 1958). Now only sentinels name a row, the greatest of all that were
/// heard of, and whoever drops the last column of a row that has none gives it one.
#[test]
fn j2_rows_whose_last_column_is_dropped_live_everywhere() {
    for way in WAYS {
        for swap in [false, true] {
            let all = replicas(
                3,
                "CREATE TABLE t(k INT NOT NULL PRIMARY KEY, v) WITHOUT ROWID;
                                   SELECT crsql_as_crr('t')",
            );
            let [a, b, c] = all.as_slice() else { panic!() };
            // Whichever of the two sites is the greater.
            let (a, b) = if swap { (b, a) } else { (a, b) };
            let drop = "SELECT crsql_begin_alter('t'); ALTER TABLE t DROP COLUMN v;
                        SELECT crsql_commit_alter('t')";
            run(b, "INSERT INTO t VALUES(1, 'before')");
            run(a, drop);
            run(a, "INSERT INTO t VALUES(2), (3)");
            run(b, "INSERT INTO t VALUES(2, 'with a cell')");
            way.pull(b, a);
            way.pull(c, b);
            run(b, drop);
            run(c, drop);
            settle(&[a, b, c]);
            assert_equal(&[a, b, c]);
            assert_eq!(rows(c, "SELECT k FROM t ORDER BY k"), ["1", "2", "3"], "{way:?}");
            run(b, "DELETE FROM t WHERE k = 2");
            settle(&[a, b, c]);
            assert_equal(&[a, b, c]);
        }
    }
}

/// An answer row by row that was asked for before a table was taken out and replicated again came
/// after it. It had no rows, as none were lacking when it was asked for, and its vector made all of
/// them count as here (simulator, seed 416173). Now only rows that come fill what is lacking.
#[test]
fn j2_an_old_answer_fills_nothing_that_is_lacking_since() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'a')");
    Way::Rows.pull(&b, &a);
    let answer = vector(&a);
    run(&b, "SELECT crsql_as_table('t'); UPDATE t SET b = 'plain'; SELECT crsql_as_crr('t')");
    let _: String = b.query_row("SELECT crsql_seen(?1)", [answer], |r| r.get(0)).unwrap();
    for way in WAYS {
        way.pull(&b, &a);
        way.pull(&a, &b);
    }
    assert_equal(&[&a, &b]);
    assert_eq!(rows(&b, "SELECT * FROM t"), ["1|a|a"]);
}

/// The same for a dropped column.
#[test]
fn j2_a_dropped_column_is_named_and_asked_of_others() {
    let all = replicas(3, T);
    let (a, b, c) = (&all[0], &all[1], &all[2]);
    run(a, "INSERT INTO t VALUES(1, 'a', 'b'); UPDATE t SET b = 'bb'");
    pull(b, a);
    run(b, "SELECT crsql_begin_alter('t')");
    run(b, "ALTER TABLE t DROP COLUMN b");
    run(b, "SELECT crsql_commit_alter('t')");
    pull(c, b);
    pull(c, a);
    assert_equal(&[a, c]);
}

#[test]
fn j3_renamed_columns_are_found_under_former_names_both_ways() {
    for at_first in [true, false] {
        let (a, b) = two(T);
        run(&a, "INSERT INTO t VALUES(1, 'a', 'b')");
        if at_first {
            pull(&b, &a);
        }
        run(&a, "ALTER TABLE t RENAME COLUMN a TO name");
        run(&a, "INSERT INTO t VALUES(2, 'x', 'y'); UPDATE t SET name = 'n' WHERE k = 1");
        pull(&b, &a);
        assert_eq!(rows(&b, "SELECT k, a, b FROM t"), ["1|n|b", "2|x|y"]);
        run(&b, "UPDATE t SET a = 'from b' WHERE k = 2; INSERT INTO t VALUES(3, 'q', 'r')");
        pull(&a, &b);
        assert_eq!(rows(&a, "SELECT k, name FROM t"), ["1|n", "2|from b", "3|q"]);
        assert!(held(&a).is_empty() && held(&b).is_empty());
        run(&b, "ALTER TABLE t RENAME COLUMN a TO name");
        settle(&[&a, &b]);
        assert_equal(&[&a, &b]);
    }
}

#[test]
fn j3_a_renamed_table_is_found_under_its_former_name_both_ways() {
    let (a, b) = two(T);
    run(&a, "INSERT INTO t VALUES(1, 'a', 'b')");
    run(&a, "ALTER TABLE t RENAME TO things");
    run(&a, "INSERT INTO things VALUES(2, 'x', 'y')");
    pull(&b, &a);
    assert_eq!(rows(&b, "SELECT * FROM t"), ["1|a|b", "2|x|y"]);
    run(&b, "UPDATE t SET a = 'b was here'; DELETE FROM t WHERE k = 2");
    pull(&a, &b);
    assert_eq!(rows(&a, "SELECT * FROM things"), ["1|b was here|b"]);
    run(&b, "ALTER TABLE t RENAME TO things");
    settle(&[&a, &b]);
    assert_equal(&[&a, &b]);
}

/// A table was renamed, dropped and made again under its new name. The new one did not know the
/// former name, so what peers sent under that was held for ever; where the dropped one had been
/// empty it counted as the same table, and took it (simulator, seed 402177).
#[test]
fn j3_a_table_made_again_keeps_its_former_names() {
    for way in WAYS {
        for rows_before in ["", "INSERT INTO t VALUES(1, 1, 1)"] {
            let (a, b) = two(T);
            run(&a, rows_before);
            run(&a, "ALTER TABLE t RENAME TO y; SELECT crsql_vector(); DROP TABLE y");
            run(
                &a,
                "CREATE TABLE y(k INTEGER PRIMARY KEY NOT NULL, a, b);
                     SELECT crsql_as_crr('y')",
            );
            run(&b, "INSERT INTO t VALUES(2, 2, 2)");
            way.pull(&a, &b);
            assert_eq!(rows(&a, "SELECT * FROM y"), ["2|2|2"], "{way:?}");
        }
    }
}

/// Row by row a change carries one name. The one who renamed knows the former name; the other
/// holds what it does not know until it has renamed as well.
#[test]
fn j3_row_by_row_former_names_are_known_to_the_one_who_renamed() {
    let (a, b) = two(T);
    run(&a, "ALTER TABLE t RENAME COLUMN a TO name; ALTER TABLE t RENAME TO things");
    run(&a, "SELECT crsql_vector()");
    run(&b, "INSERT INTO t VALUES(1, 'a', 'b')");
    Way::Rows.pull(&a, &b);
    assert_eq!(rows(&a, "SELECT * FROM things"), ["1|a|b"]);
    run(&a, "UPDATE things SET name = 'n'; INSERT INTO things VALUES(2, 'x', 'y')");
    Way::Rows.pull(&b, &a);
    assert_eq!(held(&b), ["there is no replicated table things here"]);
    run(&b, "ALTER TABLE t RENAME COLUMN a TO name; ALTER TABLE t RENAME TO things");
    run(&b, "SELECT crsql_vector()");
    assert!(held(&b).is_empty());
    assert_equal(&[&a, &b]);
}

#[test]
fn j4_another_affinity_is_held_with_both_types_named() {
    let a = memory();
    run(&a, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v TEXT, w INTEGER)");
    run(&a, "SELECT crsql_as_crr('t'); INSERT INTO t VALUES(1, '12', 5), (2, 'x', 6)");
    let b = memory();
    run(&b, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v INTEGER, w INTEGER)");
    run(&b, "SELECT crsql_as_crr('t')");
    pull(&b, &a);
    assert_eq!(rows(&b, "SELECT * FROM t"), ["1|NULL|5", "2|NULL|6"]);
    assert_eq!(held(&b), ["column t.v is INTEGER here and TEXT at its sender"]);
    // Row by row nobody says what the type is there: what storing would change is held.
    let c = memory();
    run(&c, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v INTEGER, w INTEGER)");
    run(&c, "SELECT crsql_as_crr('t')");
    insert(&c, &changes(&a, "1"));
    assert_eq!(rows(&c, "SELECT * FROM t"), ["1|NULL|5", "2|x|6"]);
    let reason = "column t.v is declared INTEGER here, which would change a value of class text";
    assert_eq!(held(&c), [reason]);
    // Keys of another affinity: the whole table waits.
    let d = memory();
    run(&d, "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v TEXT, w INTEGER)");
    run(&d, "SELECT crsql_as_crr('t')");
    pull(&d, &a);
    assert_eq!(held(&d), ["key column t.k has the affinity TEXT here and INTEGER at its sender"]);
    let e = memory();
    run(&e, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v TEXT, w INTEGER)");
    run(&e, "SELECT crsql_as_crr('t')");
    for db in [&b, &d] {
        pull(&e, db);
    }
    assert_equal(&[&a, &e]);
}

/// A STRICT table at one side: the classes that it would refuse are held.
#[test]
fn j4_strict_on_one_side_is_named() {
    let a = memory();
    run(&a, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v INTEGER); SELECT crsql_as_crr('t')");
    run(&a, "INSERT INTO t VALUES(1, 'text'), (2, 2)");
    let b = memory();
    run(&b, "CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v INTEGER) STRICT");
    run(&b, "SELECT crsql_as_crr('t')");
    pull(&b, &a);
    assert_eq!(held(&b), ["column t.v is INTEGER (STRICT) here and INTEGER at its sender"]);
    run(&a, "UPDATE t SET v = 1 WHERE k = 1");
    Way::Rows.pull(&b, &a);
    assert_eq!(int(&b, "SELECT v FROM t WHERE k = 1"), 1);
}

/// ADD COLUMN makes no changes and sends nothing, with a default too.
#[test]
fn j5_adding_a_column_writes_and_sends_nothing() {
    for way in WAYS {
        for column in ["c", "c DEFAULT 5", "c TEXT NOT NULL DEFAULT 'd'"] {
            let (a, b) = two(T);
            run(&a, "INSERT INTO t VALUES(1, 1, 1), (2, 2, 2)");
            way.pull(&b, &a);
            let (was, before) = (version(&a), changes(&a, "1"));
            run(&a, &format!("ALTER TABLE t ADD COLUMN {column}"));
            run(&a, "SELECT crsql_vector()");
            assert_eq!((was, before), (version(&a), changes(&a, "1")), "{column}");
            way.pull(&b, &a);
            run(&b, &format!("ALTER TABLE t ADD COLUMN {column}"));
            run(&b, "UPDATE t SET c = 'set' WHERE k = 1");
            way.pull(&a, &b);
            assert_eq!(rows(&a, "SELECT c FROM t WHERE k = 1"), ["set"], "{column}");
            assert_equal(&[&a, &b]);
        }
    }
}

/// A peer that dropped a table still covers the versions that touched it, and says in its header
/// what is missing. `crsql_seen(vector)` was told nothing of that: whoever pulled row by row from
/// such a peer counted the table's rows as seen, and never asked anybody for them again. Now the
/// vector says it, too.
#[test]
fn g2_seen_grants_nothing_that_the_vectors_maker_dropped() {
    for drop in ["DROP TABLE u", "ALTER_DROP"] {
        let sql = format!(
            "{T}; CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, x, y); SELECT crsql_as_crr('u')"
        );
        let all = replicas(3, &sql);
        let [a, b, c] = all.as_slice() else { panic!() };
        run(a, "INSERT INTO t VALUES(1, 1, 1)");
        run(a, "BEGIN; INSERT INTO t VALUES(2, 2, 2); INSERT INTO u VALUES(2, 2, 2); COMMIT");
        run(a, "INSERT INTO t VALUES(3, 3, 3)");
        Way::Rows.pull(b, a);
        let alter = "SELECT crsql_begin_alter('u'); ALTER TABLE u DROP COLUMN x;
                     SELECT crsql_commit_alter('u')";
        run(b, if drop == "ALTER_DROP" { alter } else { drop });
        Way::Rows.pull(c, b);
        assert_eq!(int(c, "SELECT count(*) FROM t"), 3, "{drop}: the rest flows");
        Way::Rows.pull(c, a);
        assert_eq!(rows(c, "SELECT * FROM u"), ["2|2|2"], "{drop}");
        assert_equal(&[a, c]);
        // Who has it no more takes it as it is.
        let vector: serde_json::Value = serde_json::from_str(&vector(b)).unwrap();
        let what = if drop == "ALTER_DROP" { "u, column x" } else { "u" };
        assert_eq!(vector["omits"][0][3], what, "{drop}: {vector}");
    }
}

/// A table was taken out, written to as an ordinary one, and replicated again. Its rows came back
/// with the lowest stamp, so what peers had of them won there; but here all that was seen already,
/// the old values among it, so nobody sent it again: two sets of rows for ever. Since then what was
/// seen is wanted again; at first the rows that came back were too, so that no vector told of them
/// and nobody who took them row by row counted them as seen.
#[test]
fn c9_a_table_that_comes_back_converges_with_its_peers() {
    for way in WAYS {
        let sql = format!(
            "{T}; CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, x, y); SELECT crsql_as_crr('u')"
        );
        let all = replicas(3, &sql);
        let [a, b, c] = all.as_slice() else { panic!() };
        run(a, "INSERT INTO t VALUES(1, 'a', 'a'), (2, 'a', 'a'), (3, 'a', 'a')");
        run(a, "BEGIN; INSERT INTO t VALUES(4, 'a', 'a'); INSERT INTO u VALUES(1, 1, 1); COMMIT");
        way.pull(b, a);
        run(b, "UPDATE t SET a = 'b' WHERE k = 1; INSERT INTO t VALUES(5, 'b', 'b')");
        way.pull(a, b);
        // This one wins over what b wrote, and nobody else ever sees it.
        run(a, "UPDATE t SET a = 'mine' WHERE k = 5");
        run(a, "SELECT crsql_as_table('t')");
        run(a, "UPDATE t SET b = 'plain'; DELETE FROM t WHERE k = 2");
        run(a, "INSERT INTO t VALUES(6, 'plain', 'plain')");
        way.pull(c, a);
        run(a, "SELECT crsql_as_crr('t')");
        for _ in 0..3 {
            for (to, from) in [(a, b), (b, a), (c, a), (a, c), (c, b), (b, c)] {
                way.pull(to, from);
            }
        }
        // What `a` wrote last before it dropped the table, nobody has any more.
        assert_equal(&[a, b, c]);
        let wanted = ["1|b|a", "2|a|a", "3|a|a", "4|a|a", "5|b|b", "6|plain|plain"];
        assert_eq!(rows(a, "SELECT * FROM t"), wanted, "{way:?}");
        assert_eq!(int(c, "SELECT count(*) FROM u"), 1, "{way:?}");
        run(a, "UPDATE t SET a = 'again'");
        way.pull(b, a);
        assert_equal(&[a, b]);
    }
}
