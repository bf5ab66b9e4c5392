//! The promise: an application's own triggers fire while changes are merged, so that what they
//! keep beside the replicated tables stays true, and what they write to replicated tables takes
//! no effect then, because the origin's triggers did it there and the result arrives as changes.
//! Captured, it would echo between replicas for ever; uncaptured, the replicas would differ.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{WAYS, Way, assert_equal, content, two};
use common::{int, one, rows, run, version};

const NOTES: &str = "CREATE TABLE note(id INTEGER PRIMARY KEY NOT NULL, body TEXT, changed);
                     SELECT crsql_as_crr('note');";

/// A full-text index, kept by triggers, follows what is merged.
#[test]
fn c4_a_full_text_index_follows_merges() {
    for way in WAYS {
        let (a, b) = two(&format!(
            "{NOTES}
             CREATE VIRTUAL TABLE words USING fts5(body, content='note', content_rowid='id');
             CREATE TRIGGER w1 AFTER INSERT ON note BEGIN
               INSERT INTO words(rowid, body) VALUES(new.id, new.body); END;
             CREATE TRIGGER w2 AFTER DELETE ON note BEGIN
               INSERT INTO words(words, rowid, body) VALUES('delete', old.id, old.body); END;
             CREATE TRIGGER w3 AFTER UPDATE ON note BEGIN
               INSERT INTO words(words, rowid, body) VALUES('delete', old.id, old.body);
               INSERT INTO words(rowid, body) VALUES(new.id, new.body); END;"
        ));
        run(&a, "INSERT INTO note(id, body) VALUES(1, 'red fox'), (2, 'blue whale'), (3, 'owl')");
        way.pull(&b, &a);
        let found = |db, word| rows(db, &format!("SELECT rowid FROM words('{word}')"));
        assert_eq!(found(&b, "fox"), ["1"], "{way:?}");
        run(&a, "UPDATE note SET body = 'red cat' WHERE id = 1; DELETE FROM note WHERE id = 3");
        way.pull(&b, &a);
        assert_eq!(found(&b, "cat"), ["1"], "{way:?}");
        assert!(found(&b, "fox").is_empty() && found(&b, "owl").is_empty(), "{way:?}");
        run(&b, "INSERT INTO words(words) VALUES('integrity-check')");
        assert_equal(&[&a, &b]);
    }
}

/// A tally beside the table counts every merged row once, in a BEFORE and in an AFTER trigger.
#[test]
fn c4_a_tally_beside_the_table_counts_merged_rows_once() {
    for way in WAYS {
        for recursive in ["OFF", "ON"] {
            let (a, b) = two(&format!(
                "PRAGMA recursive_triggers = {recursive}; {NOTES}
                 CREATE TABLE tally(what TEXT PRIMARY KEY, n);
                 INSERT INTO tally VALUES('before', 0), ('after', 0), ('gone', 0), ('changed', 0);
                 CREATE TRIGGER t1 BEFORE INSERT ON note BEGIN
                   UPDATE tally SET n = n + 1 WHERE what = 'before'; END;
                 CREATE TRIGGER t2 AFTER INSERT ON note BEGIN
                   UPDATE tally SET n = n + 1 WHERE what = 'after'; END;
                 CREATE TRIGGER t3 AFTER DELETE ON note BEGIN
                   UPDATE tally SET n = n + 1 WHERE what = 'gone'; END;
                 CREATE TRIGGER t4 AFTER UPDATE ON note BEGIN
                   UPDATE tally SET n = n + 1 WHERE what = 'changed'; END;"
            ));
            run(&a, "INSERT INTO note(id, body) VALUES(1, 'a'), (2, 'b'), (3, 'c')");
            way.pull(&b, &a);
            way.pull(&b, &a);
            run(&a, "UPDATE note SET body = 'bb' WHERE id = 2; DELETE FROM note WHERE id = 3");
            way.pull(&b, &a);
            let tally = "SELECT group_concat(what || n, ' ') FROM
                         (SELECT * FROM tally ORDER BY what)";
            let wanted = match way {
                Way::Changesets => "after3 before3 changed1 gone1",
                // A row that arrives as two changes is one insert and one update.
                Way::Rows => "after3 before3 changed4 gone1",
            };
            assert_eq!(one(&b, tally), wanted, "{way:?} {recursive}");
            assert_equal(&[&a, &b]);
        }
    }
}

/// `changed = now()` on both replicas: each trigger writes at its origin only, and after one
/// exchange both are quiet. Captured during merges it would go to and fro for ever.
#[test]
fn c4_a_trigger_that_stamps_rows_does_not_echo() {
    for way in WAYS {
        for recursive in ["OFF", "ON"] {
            let stamp = "UPDATE note SET changed = hex(randomblob(8)) WHERE id = new.id";
            let (a, b) = two(&format!(
                "PRAGMA recursive_triggers = {recursive}; {NOTES}
                 CREATE TRIGGER s1 AFTER INSERT ON note BEGIN {stamp}; END;
                 CREATE TRIGGER s2 AFTER UPDATE OF body ON note BEGIN {stamp}; END;"
            ));
            run(&a, "INSERT INTO note(id, body) VALUES(1, 'a'), (2, 'b')");
            run(&b, "INSERT INTO note(id, body) VALUES(2, 'B'), (3, 'c')");
            way.pull(&b, &a);
            way.pull(&a, &b);
            let versions = (version(&a), version(&b));
            for _ in 0..3 {
                way.pull(&b, &a);
                way.pull(&a, &b);
            }
            assert_eq!(versions, (version(&a), version(&b)), "{way:?}: an echo");
            assert_equal(&[&a, &b]);
            let written = "SELECT count(*) FROM note WHERE length(changed) = 16";
            assert_eq!(int(&a, written), 3, "{way:?}: the origin's own write arrived");
        }
    }
}

/// Triggers that insert, replace and delete in another replicated table: at the origin they act
/// and travel, in a merge they do not act.
#[test]
fn c4_writes_to_other_replicated_tables_arrive_from_the_origin_only() {
    for way in WAYS {
        let (a, b) = two(&format!(
            "{NOTES}
             CREATE TABLE tag(word TEXT PRIMARY KEY NOT NULL, at);
             CREATE TABLE old(id INTEGER PRIMARY KEY NOT NULL, n);
             SELECT crsql_as_crr('tag'); SELECT crsql_as_crr('old');
             INSERT INTO old VALUES(1, 1), (2, 2), (3, 3);
             CREATE TRIGGER o1 AFTER INSERT ON note BEGIN
               INSERT OR IGNORE INTO tag VALUES(new.body, hex(randomblob(8)));
               REPLACE INTO tag VALUES('last', hex(randomblob(8)));
               DELETE FROM old WHERE id = new.id;
               UPDATE old SET n = random(); END;"
        ));
        run(&a, "INSERT INTO note(id, body) VALUES(1, 'x'), (2, 'y')");
        let (there, own) = (content(&a), version(&b));
        way.pull(&b, &a);
        way.pull(&a, &b);
        assert_eq!(version(&b), own, "{way:?}: nothing is written by a merge");
        assert_equal(&[&a, &b]);
        assert_eq!(there.len(), content(&b).len(), "{way:?}");
    }
}

/// An explicit OR clause of the statement that fires a trigger overrides those inside it; our
/// statements have none, so the trigger's `OR IGNORE` and `OR REPLACE` mean what they say.
#[test]
fn c4_conflict_clauses_inside_triggers_are_their_own() {
    for way in WAYS {
        let (a, b) = two(&format!(
            "{NOTES}
             CREATE TABLE first_seen(body TEXT PRIMARY KEY, id);
             CREATE TABLE last_seen(body TEXT PRIMARY KEY, id);
             CREATE TRIGGER f AFTER INSERT ON note BEGIN
               INSERT OR IGNORE INTO first_seen VALUES('any', new.id);
               INSERT OR REPLACE INTO last_seen VALUES('any', new.id); END;
             CREATE TRIGGER u AFTER UPDATE ON note BEGIN
               INSERT OR IGNORE INTO first_seen VALUES('any', -new.id);
               INSERT OR REPLACE INTO last_seen VALUES('any', -new.id); END;"
        ));
        run(&a, "INSERT INTO note(id) VALUES(1), (2), (3)");
        way.pull(&b, &a);
        run(&a, "UPDATE note SET body = 'x' WHERE id = 2");
        way.pull(&b, &a);
        assert_eq!(one(&b, "SELECT id FROM first_seen"), "1", "{way:?}");
        assert_eq!(one(&b, "SELECT id FROM last_seen"), "-2", "{way:?}");
        assert_equal(&[&a, &b]);
    }
}

/// What a trigger forbids is HELD with the trigger's own words, the rest flows, and what is held
/// is served onward and comes in when the trigger is gone.
#[test]
fn c4_a_trigger_that_raises_holds_the_row() {
    for way in WAYS {
        for when in ["BEFORE", "AFTER"] {
            for raise in ["ABORT, 'no red'", "FAIL, 'no red'", "ROLLBACK, 'no red'", "IGNORE"] {
                raised(way, when, raise);
            }
        }
    }
}

fn raised(way: Way, when: &str, raise: &str) {
    let case = format!("{way:?} {when} {raise}");
    let (a, b) = two(NOTES);
    run(
        &b,
        &format!(
            "CREATE TRIGGER no {when} INSERT ON note WHEN new.body IS 'red'
             BEGIN SELECT RAISE({raise}); END;
             CREATE TRIGGER nou {when} UPDATE ON note WHEN new.body IS 'red'
             BEGIN SELECT RAISE({raise}); END;
             CREATE TRIGGER nod {when} DELETE ON note WHEN old.id = 9
             BEGIN SELECT RAISE({raise}); END;"
        ),
    );
    run(&a, "INSERT INTO note(id, body) VALUES(1, 'red'), (2, 'blue'), (9, 'nine')");
    if raise.starts_with("ROLLBACK") {
        return rolled_back(way, &a, &b, &case);
    }
    way.pull(&b, &a);
    if when == "AFTER" && !raise.starts_with("ABORT") {
        // The row is there: IGNORE ends the trigger only, FAIL undoes nothing.
        return assert_equal(&[&a, &b]);
    }
    assert_eq!(one(&b, "SELECT count(*) FROM note WHERE body IS 'blue'"), "1", "{case}");
    let reasons = rows(&b, "SELECT DISTINCT reason FROM crsql_held");
    let says = if raise == "IGNORE" { "a trigger of the application" } else { "no red" };
    assert!(!reasons.is_empty() && reasons.iter().any(|r| r.contains(says)), "{case}: {reasons:?}");
    run(&a, "DELETE FROM note WHERE id = 9");
    way.pull(&b, &a);
    assert_eq!(int(&b, "SELECT count(*) FROM note WHERE id = 9"), 1, "{case}: the delete is held");
    let c = common::memory();
    run(&c, NOTES);
    way.pull(&c, &b);
    assert_equal(&[&a, &c]);
    run(&b, "DROP TRIGGER no; DROP TRIGGER nou; DROP TRIGGER nod; SELECT crsql_vector()");
    assert_eq!(int(&b, "SELECT count(*) FROM crsql_held"), 0, "{case}");
    assert_equal(&[&a, &b]);
}

/// RAISE(ROLLBACK) ends the whole transaction; that is the trigger's right. Nothing is half
/// applied, and the connection works on.
fn rolled_back(way: Way, a: &rusqlite::Connection, b: &rusqlite::Connection, case: &str) {
    let blob = common::sync::everything(a);
    match way {
        Way::Changesets => {
            common::sync::try_apply(b, &blob).expect_err("the trigger rolls back");
        }
        Way::Rows => {
            let all = common::sync::changes(a, "1");
            run(b, "BEGIN");
            assert!(all.iter().any(|c| common::sync::try_insert(b, c).is_err()), "{case}");
            assert!(b.is_autocommit(), "{case}");
        }
    }
    assert_eq!(int(b, "SELECT count(*) FROM note"), 0, "{case}");
    run(b, "DROP TRIGGER no; DROP TRIGGER nou; DROP TRIGGER nod");
    way.pull(b, a);
    assert_equal(&[a, b]);
}

/// TEMP triggers belong to one connection; they are held to the same rule.
#[test]
fn c4_temporary_triggers_are_guarded_too() {
    for way in WAYS {
        let (a, b) = two(&format!(
            "{NOTES}
             CREATE TEMP TABLE log(id);
             CREATE TEMP TRIGGER tt AFTER INSERT ON note BEGIN
               INSERT INTO log VALUES(new.id);
               UPDATE note SET changed = hex(randomblob(8)) WHERE id = new.id; END;"
        ));
        run(&a, "INSERT INTO note(id, body) VALUES(1, 'a'), (2, 'b')");
        way.pull(&b, &a);
        way.pull(&a, &b);
        assert_eq!(rows(&b, "SELECT id FROM log"), ["1", "2"], "{way:?}");
        assert_eq!(version(&b), 0, "{way:?}");
        assert_equal(&[&a, &b]);
    }
}

/// A trigger made after the table was replicated, by plain SQL and with no call of ours between.
#[test]
fn c4_a_trigger_made_a_moment_ago_is_guarded() {
    for way in WAYS {
        let (a, b) = two(NOTES);
        run(&b, "SELECT crsql_vector()");
        run(
            &b,
            "CREATE TRIGGER late AFTER INSERT ON note BEGIN
               UPDATE note SET changed = 'b was here' WHERE id = new.id; END",
        );
        run(&a, "INSERT INTO note(id, body) VALUES(1, 'a')");
        let (all, blob) = (common::sync::changes(&a, "1"), common::sync::everything(&a));
        match way {
            Way::Changesets => drop(common::sync::apply(&b, &blob)),
            Way::Rows => common::sync::insert(&b, &all),
        }
        assert_eq!(one(&b, "SELECT changed FROM note"), "NULL", "{way:?}");
    }
}

/// A TEMP trigger made after the schema was last looked at: `schema_version` of the main database
/// does not move.
#[test]
fn c4_a_temporary_trigger_made_a_moment_ago_is_guarded() {
    for way in WAYS {
        let (a, b) = two(NOTES);
        run(&b, "SELECT crsql_vector()");
        run(
            &b,
            "CREATE TEMP TRIGGER late AFTER INSERT ON note BEGIN
               UPDATE note SET changed = 'b was here' WHERE id = new.id; END",
        );
        run(&a, "INSERT INTO note(id, body) VALUES(1, 'a')");
        way.pull(&b, &a);
        way.pull(&a, &b);
        assert_eq!(one(&b, "SELECT changed FROM note"), "NULL", "{way:?}");
        assert_equal(&[&a, &b]);
    }
}

/// A key that was written in another than its canonical spelling gets that at COMMIT. It fired the
/// application's UPDATE triggers, of an update that nobody made, and what they did could make the
/// COMMIT fail; here they look at a table that a cursor stands in, write, and refuse, and a CHECK
/// would. To SQLite both spellings are equal: nothing was updated, so nothing fires or checks.
#[test]
fn c4_a_key_that_gets_its_canonical_spelling_fires_no_trigger() {
    for ends in ["", "SELECT RAISE(ABORT, 'nothing may change here');"] {
        let (a, b) = two("CREATE TABLE t(k PRIMARY KEY NOT NULL CHECK(typeof(k) = 'real'), v);
                          SELECT crsql_as_crr('t')");
        run(
            &a,
            &format!(
                "CREATE TABLE seen(n); INSERT INTO seen VALUES(0), (1);
                 CREATE TRIGGER u1 BEFORE UPDATE ON t BEGIN
                   INSERT INTO seen SELECT count(*) FROM seen; {ends} END;
                 CREATE TRIGGER u2 AFTER UPDATE OF k ON t BEGIN
                   DELETE FROM t; INSERT INTO seen SELECT count(*) FROM seen; {ends} END;"
            ),
        );
        let mut cursor = a.prepare("SELECT n FROM seen").unwrap();
        let mut stands = cursor.query([]).unwrap();
        stands.next().unwrap();
        run(&a, "BEGIN; INSERT INTO t VALUES(1.0, 'x'), (2.5, 'y'), (-0.0, 'z'); COMMIT");
        assert_eq!(stands.next().unwrap().unwrap().get::<_, i64>(0).unwrap(), 1, "it goes on");
        assert!(stands.next().unwrap().is_none());
        assert_eq!(
            rows(&a, "SELECT typeof(k), k, v FROM t ORDER BY v"),
            ["integer|1|x", "real|2.5|y", "integer|0|z"]
        );
        assert_eq!(int(&a, "SELECT count(*) FROM seen"), 2);
        // Triggers are on as before: their own updates fire them.
        let fired = a.execute_batch("UPDATE t SET v = 'w' WHERE k = 2.5");
        assert_eq!((fired.is_err(), int(&a, "SELECT count(*) FROM seen") > 2), {
            let refuses = !ends.is_empty();
            (refuses, !refuses)
        });
        Way::Changesets.pull(&b, &a);
        assert_equal(&[&a, &b]);
    }
}
