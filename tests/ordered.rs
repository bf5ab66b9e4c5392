//! `crsql_fract_as_ordered` (`src/rooms/ordered.rs`): the list is the one that people made, under
//! odd names and keys of every shape, through schema change, and on every replica. Its triggers
//! write to a replicated table: were that captured during a merge, replicas would echo for ever;
//! were it done and not captured, they would diverge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{WAYS, assert_equal, settle, two};
use common::{Seeded, error, memory, one, rows, run};
use rusqlite::Connection;

const LIST: &str = "CREATE TABLE item(id TEXT PRIMARY KEY NOT NULL, list TEXT, place TEXT, t TEXT);
                    SELECT crsql_as_crr('item');
                    SELECT crsql_fract_as_ordered('item', 'place', 'list')";

fn order(db: &Connection) -> String {
    one(db, "SELECT group_concat(id, '') FROM (SELECT id FROM item ORDER BY list, place, id)")
}

/// A TEXT column turns -1 into '-1', a NUMERIC one '1' into 1: all of them mean the ends. What is
/// no key (an order from before) is passed over.
#[test]
fn the_ends_are_found_whatever_the_column_makes_of_numbers() {
    for declared in ["", "TEXT", "BLOB", "NUMERIC", "INTEGER", "REAL"] {
        let db = memory();
        run(&db, &format!("CREATE TABLE item(id INTEGER PRIMARY KEY, list, place {declared})"));
        run(&db, "INSERT INTO item VALUES (9, NULL, 7)");
        run(&db, "SELECT crsql_fract_as_ordered('item', 'place')");
        run(&db, "INSERT INTO item(id, place) VALUES (2, -1), (3, '1'), (1, '-1'), (4, 1)");
        run(&db, "UPDATE item SET place = 1 WHERE id = 9");
        assert_eq!(order(&db), "12349", "{declared}");
    }
}

#[test]
fn b8_odd_names_and_keys_of_many_columns() {
    let db = memory();
    run(
        &db,
        r#"CREATE TABLE "it's ""a"" [list] 🐘"("k 1" TEXT, "select" INT, "l'""" TEXT,
                    "ord er" TEXT, "x;y" TEXT NOT NULL DEFAULT "none",
                    "twice" TEXT GENERATED ALWAYS AS ("x;y" || "x;y"),
                    PRIMARY KEY("k 1", "select")) STRICT, WITHOUT ROWID;
                SELECT crsql_as_crr('it''s "a" [list] 🐘');
                SELECT crsql_fract_as_ordered('it''s "a" [list] 🐘', 'ORD ER', 'l''"', 'k 1')"#,
    );
    let view = r#""it's ""a"" [list] 🐘_fractindex""#;
    for n in [1, 2, 3] {
        run(
            &db,
            &format!(
                r#"INSERT INTO "it's ""a"" [list] 🐘"("k 1", "select", "ord er")
                             VALUES ('a', {n}, 1), ('b', {n}, -1)"#
            ),
        );
    }
    // A key column that tells lists apart need not be said again; one without a value has its
    // default.
    run(
        &db,
        &format!(
            r#"INSERT INTO {view}("k 1", "select", "after_select")
                         VALUES ('a', 9, 1), ('b', 9, 8)"#
        ),
    );
    run(
        &db,
        &format!(
            r#"UPDATE {view} SET "after_select" = 1, "x;y" = 'moved'
                         WHERE "k 1" = 'b' AND "select" = 3"#
        ),
    );
    let listed = rows(
        &db,
        &format!(
            r#"SELECT "k 1", "select", "twice" FROM {view}
                                       ORDER BY "k 1", "ord er""#
        ),
    );
    assert_eq!(
        listed,
        [
            "a|1|nonenone",
            "a|9|nonenone",
            "a|2|nonenone",
            "a|3|nonenone",
            "b|9|nonenone",
            "b|2|nonenone",
            "b|1|nonenone",
            "b|3|movedmoved",
        ]
    );
}

/// Both replicas append at once and move what the other moved; afterwards a row is put between
/// two that have one key. Nothing echoes: when all is exchanged there is nothing new.
#[test]
fn c4_a_list_on_two_replicas_neither_echoes_nor_diverges() {
    for way in WAYS {
        let (a, b) = two(LIST);
        run(&a, "INSERT INTO item VALUES ('a', 'x', 1, ''), ('b', 'x', 1, ''), ('c', 'x', 1, '')");
        way.pull(&b, &a);
        run(&a, "INSERT INTO item VALUES ('d', 'x', 1, '')");
        run(&b, "INSERT INTO item VALUES ('e', 'x', 1, '')");
        run(&a, "UPDATE item_fractindex SET after_id = 'c' WHERE id = 'a'");
        run(&b, "UPDATE item_fractindex SET after_id = NULL WHERE id = 'c'");
        for _ in 0..2 {
            way.pull(&b, &a);
            way.pull(&a, &b);
        }
        assert_equal(&[&a, &b]);
        assert_eq!(one(&a, "SELECT count(DISTINCT place) FROM item WHERE id IN ('d', 'e')"), "1");
        run(&a, "INSERT INTO item_fractindex(id, list, after_id) VALUES ('f', 'x', 'd')");
        way.pull(&b, &a);
        assert_equal(&[&a, &b]);
        assert!(order(&a).ends_with("dfe"), "{way:?}: {}", order(&a));
        let versions = "SELECT group_concat(v) FROM (SELECT max(db_version) AS v
                        FROM crsql_changes GROUP BY site_id ORDER BY v)";
        let before = (one(&a, versions), one(&b, versions));
        settle(&[&a, &b]);
        assert_eq!((one(&a, versions), one(&b, versions)), before, "{way:?}");
    }
}

/// A peer that never ordered the table sends -1 as it stands. The trigger of the receiver fires,
/// and takes no effect: both keep -1, and the next write anywhere puts it right.
#[test]
fn c4_an_order_of_minus_one_from_a_peer_stays_what_it_is() {
    for way in WAYS {
        let (a, b) = two("CREATE TABLE item(id TEXT PRIMARY KEY NOT NULL, list, place);
                          SELECT crsql_as_crr('item')");
        run(&b, "SELECT crsql_fract_as_ordered('item', 'place', 'list')");
        run(&a, "INSERT INTO item VALUES ('a', 'x', -1), ('b', 'x', 1)");
        way.pull(&b, &a);
        way.pull(&a, &b);
        assert_equal(&[&a, &b]);
        assert_eq!(one(&b, "SELECT group_concat(place) FROM item"), "-1,1");
        run(&b, "UPDATE item SET place = place");
        way.pull(&a, &b);
        assert_equal(&[&a, &b]);
        assert_eq!(order(&a), "ab");
    }
}

#[test]
fn schema_change_keeps_the_list() {
    let db = memory();
    run(&db, LIST);
    run(&db, "INSERT INTO item VALUES ('a', 'x', 1, ''), ('b', 'x', 1, '')");
    // SQLite lets a column come, and be renamed; the view says that it does not have the new one.
    run(&db, "ALTER TABLE item ADD COLUMN extra");
    assert!(error(&db, "INSERT INTO item_fractindex(id, extra) VALUES ('z', 1)").contains("extra"));
    run(&db, "ALTER TABLE item RENAME COLUMN place TO spot");
    run(&db, "ALTER TABLE item RENAME COLUMN list TO \"the list\"");
    run(
        &db,
        "SELECT crsql_begin_alter('item'); ALTER TABLE item DROP COLUMN t;
              SELECT crsql_commit_alter('item')",
    );
    run(
        &db,
        "INSERT INTO item_fractindex(id, \"the list\", extra, after_id)
              VALUES ('c', 'x', 1, 'a')",
    );
    // Twelve steps take the triggers along; the list comes back with commit_alter.
    run(
        &db,
        "SELECT crsql_begin_alter('item');
              CREATE TABLE new(id TEXT PRIMARY KEY NOT NULL, \"the list\", spot TEXT, more);
              INSERT INTO new SELECT id, \"the list\", spot, extra FROM item;
              DROP TABLE item; ALTER TABLE new RENAME TO item;
              SELECT crsql_commit_alter('item')",
    );
    run(&db, "INSERT INTO item VALUES ('d', 'x', -1, NULL)");
    run(&db, "UPDATE item_fractindex SET after_id = 'c' WHERE id = 'd'");
    let listed = "SELECT group_concat(id, '') FROM (SELECT id FROM item ORDER BY spot)";
    assert_eq!(one(&db, listed), "acdb");
    assert_eq!(one(&db, "SELECT count(*) FROM crsql_config"), "0");
    // A renamed table keeps its list, and asked again gives its view the new name.
    run(&db, "ALTER TABLE item RENAME TO thing");
    run(&db, "UPDATE item_fractindex SET after_id = NULL WHERE id = 'b'");
    run(&db, "SELECT crsql_fract_as_ordered('thing', 'spot', 'the list')");
    run(&db, "UPDATE thing_fractindex SET after_id = 'a' WHERE id = 'b'");
    assert_eq!(one(&db, &listed.replace("item", "thing")), "abcd");
    assert_eq!(
        rows(
            &db,
            "SELECT name FROM sqlite_schema WHERE type = 'view'
                          AND name LIKE '%fractindex'"
        ),
        ["thing_fractindex"]
    );
    // A view without its table would make every ALTER fail.
    run(&db, "DROP TABLE thing; SELECT crsql_vector()");
    run(&db, "CREATE TABLE other(a, b); ALTER TABLE other DROP COLUMN b");
}

#[test]
fn automigrate_takes_the_call_and_changes_ordered_tables() {
    let db = memory();
    let schema = |columns: &str| {
        format!(
            "SELECT crsql_automigrate('CREATE TABLE item({columns});
             SELECT crsql_as_crr(''item''); SELECT crsql_fract_as_ordered(''item'', ''place'');')"
        )
    };
    run(&db, &schema("id INTEGER PRIMARY KEY, place, a, b"));
    run(&db, "INSERT INTO item(id, place) VALUES (1, 1), (2, 1)");
    run(&db, &schema("id INTEGER PRIMARY KEY, place, b, c"));
    run(&db, "INSERT INTO item_fractindex(id, c, after_id) VALUES (3, 'new', 1)");
    assert_eq!(rows(&db, "SELECT id, c FROM item ORDER BY place"), ["1|NULL", "3|new", "2|NULL"]);
}

/// After crsql_as_table the table is written to by programs that have not loaded crsql.
#[test]
fn as_table_leaves_nothing_that_calls_us() {
    let db = memory();
    run(&db, LIST);
    run(&db, "SELECT crsql_as_table('item')");
    assert_eq!(rows(&db, "SELECT name FROM sqlite_schema WHERE sql LIKE '%crsql_fract%'").len(), 0);
}

/// Inserts at the ends and after rows, moves within lists and between them, deletes: the table is
/// the list that a plain vector is.
#[test]
fn a_list_is_what_a_vector_would_be() {
    for seed in 0..20 {
        let (db, r) = (memory(), &mut Seeded(seed));
        run(&db, "CREATE TABLE item(id INTEGER PRIMARY KEY, list, place)");
        run(&db, "SELECT crsql_as_crr('item'), crsql_fract_as_ordered('item', 'place', 'list')");
        let names = ["1", "'b'", "NULL"];
        let mut lists: [Vec<u64>; 3] = Default::default();
        for step in 1..150 {
            let l = r.below(3) as usize;
            let all: Vec<u64> = lists.concat();
            let new = all.is_empty() || r.below(3) == 0;
            let id = if new { step } else { *r.pick(&all) };
            lists.iter_mut().for_each(|list| list.retain(|x| *x != id));
            if !new && r.below(6) == 0 {
                run(&db, &format!("DELETE FROM item WHERE id = {id}"));
                continue;
            }
            // After none of them: at the front.
            let at = r.below(lists[l].len() as u64 + 1) as usize;
            let after = at.checked_sub(1).map_or("NULL".into(), |n| lists[l][n].to_string());
            let (name, end) = (names[l], r.below(4) == 0);
            let at = if end { lists[l].len() } else { at };
            lists[l].insert(at, id);
            let sql = match (new, end) {
                (true, true) => format!("INSERT INTO item VALUES ({id}, {name}, 1)"),
                (false, true) => {
                    format!("UPDATE item SET list = {name}, place = 1 WHERE id = {id}")
                }
                (true, false) => format!(
                    "INSERT INTO item_fractindex(id, list, after_id) VALUES ({id}, {name}, {after})"
                ),
                (false, false) => format!(
                    "UPDATE item_fractindex SET after_id = {after}, list = {name} WHERE id = {id}"
                ),
            };
            run(&db, &sql);
            for (list, name) in lists.iter().zip(names) {
                let sql = format!("SELECT id FROM item WHERE list IS {name} ORDER BY place");
                let wanted: Vec<String> = list.iter().map(u64::to_string).collect();
                assert_eq!(rows(&db, &sql), wanted, "seed {seed}, step {step}");
            }
        }
        assert_eq!(rows(&db, "SELECT * FROM crsql_check()"), [""; 0]);
    }
}
