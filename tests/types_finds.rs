//! What was found by trying to break the columns that merge by intent. Each test begins with the
//! story of its fault.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{assert_equal, pull_in, settle};
use common::{Seeded, error, int, memory, one, rows, run, shell};
use rusqlite::Connection;

fn with(schema: &str) -> Connection {
    let db = memory();
    run(&db, schema);
    db
}

fn exchange(all: &[&Connection]) {
    settle(all);
    assert_equal(all);
}

const SHELF: &str = "CREATE TABLE shelf(id INTEGER PRIMARY KEY, qty INTEGER);
    SELECT crsql_as_crr('shelf'), crsql_column('shelf', 'qty', 'bounded');
    INSERT INTO shelf VALUES(1, 10), (2, 10);";

/// Triggers tell of 24 columns in one call. Rights were looked at after the first call only, so a
/// bounded column further right was sold below its floor, and showed the floor afterwards.
#[test]
fn a_bounded_column_far_to_the_right_is_bounded() {
    let many: String = (0..60).map(|i| format!("c{i}, ")).collect();
    let schema = format!(
        "CREATE TABLE w(id INTEGER PRIMARY KEY, {many}qty INTEGER);
         SELECT crsql_as_crr('w'), crsql_column('w', 'qty', 'bounded')"
    );
    let (a, b) = (with(&schema), with(&schema));
    run(&a, "INSERT INTO w(id, qty) VALUES(1, 10)");
    exchange(&[&a, &b]);
    assert!(error(&a, "UPDATE w SET qty = -5").contains("never falls below 0"));
    assert!(error(&b, "UPDATE w SET c1 = 1, qty = 9").contains("may take 0 from it, not 1"));
    run(&a, "UPDATE w SET c1 = 2, qty = 9");
    exchange(&[&a, &b]);
    assert_eq!(int(&b, "SELECT qty FROM w"), 9);
}

/// A REPLACE of a row from before its column was bounded was not looked at: two replicas could each
/// take all that was there.
#[test]
fn a_row_from_before_is_not_replaced_by_who_does_not_own_it() {
    let schema = "CREATE TABLE shelf(id INTEGER PRIMARY KEY, qty INTEGER);
                  SELECT crsql_as_crr('shelf')";
    let (a, b) = (with(schema), with(schema));
    run(&a, "INSERT INTO shelf VALUES(1, 10)");
    exchange(&[&a, &b]);
    for db in [&a, &b] {
        run(db, "SELECT crsql_column('shelf', 'qty', 'bounded')");
    }
    let text = error(&b, "REPLACE INTO shelf VALUES(1, 0)");
    assert!(text.contains("wrote before it was") && text.contains("say UPDATE"), "{text}");
    run(&b, "UPDATE shelf SET qty = qty + 1");
    assert!(error(&b, "REPLACE INTO shelf VALUES(1, 9)").contains("may take 1 from it, not 2"));
    run(&a, "REPLACE INTO shelf VALUES(1, 4)");
    exchange(&[&a, &b]);
    assert_eq!(int(&b, "SELECT qty FROM shelf"), 5);
}

/// An UPDATE that also changes the key was not looked at: it wrote -5, and the row then held 0; and
/// one that moved a row over another took what was somebody else's there.
#[test]
fn a_row_that_gets_another_key_stays_above_its_floor() {
    let (a, b) = (with(SHELF), memory());
    run(&b, &SHELF[..SHELF.find("INSERT").unwrap()]);
    exchange(&[&a, &b]);
    let text = error(&a, "UPDATE shelf SET id = 3, qty = -5 WHERE id = 1");
    assert!(text.contains("column shelf.qty is bounded and never falls below 0"), "{text}");
    assert!(error(&a, "UPDATE shelf SET id = 3, qty = NULL").contains("cannot become null"));
    run(&b, "INSERT INTO shelf VALUES(3, 1)");
    let text = error(&b, "UPDATE OR REPLACE shelf SET id = 2 WHERE id = 3");
    assert!(text.contains("may take 0 from it, not 9"), "{text}");
    run(&a, "UPDATE shelf SET id = 4, qty = 3 WHERE id = 1");
    exchange(&[&a, &b]);
    assert_eq!(rows(&b, "SELECT * FROM shelf"), ["2|10", "3|1", "4|3"]);
}

/// Between crsql_begin_alter and crsql_commit_alter the triggers tell no values, and nothing was
/// looked at: a bounded column took -5 and text, a counter took text.
#[test]
fn types_are_kept_while_a_table_is_altered() {
    let db = with(SHELF);
    run(
        &db,
        "CREATE TABLE c(id INTEGER PRIMARY KEY, n INTEGER, m INTEGER);
         SELECT crsql_as_crr('c'), crsql_column('c', 'n', 'counter'),
                crsql_column('c', 'm', 'gcounter');
         INSERT INTO c VALUES(1, 1, 1); UPDATE c SET n = 2, m = 5;
         BEGIN; SELECT crsql_begin_alter('shelf'), crsql_begin_alter('c');
         ALTER TABLE shelf RENAME COLUMN qty TO n; ALTER TABLE shelf ADD COLUMN note",
    );
    assert!(error(&db, "UPDATE shelf SET n = -5").contains("shelf.n is bounded and never falls"));
    assert!(error(&db, "UPDATE shelf SET n = 'x'").contains("cannot become text"));
    assert!(error(&db, "UPDATE shelf SET id = 9, n = -1 WHERE id = 1").contains("never falls"));
    assert!(error(&db, "UPDATE c SET n = 'x'").contains("c.n counts, and cannot become text"));
    assert!(error(&db, "UPDATE c SET m = 4").contains("c.m only grows"));
    run(
        &db,
        "UPDATE shelf SET n = n - 4, note = 'sold' WHERE id = 1; UPDATE c SET n = n + 1, m = m + 1;
         SELECT crsql_commit_alter('shelf'), crsql_commit_alter('c'); COMMIT",
    );
    assert_eq!(rows(&db, "SELECT * FROM shelf"), ["1|6|sold", "2|10|NULL"]);
    assert_eq!(rows(&db, "SELECT * FROM c"), ["1|3|6"]);
    assert_eq!(rows(&db, "SELECT * FROM crsql_check()"), [""; 0]);
}

/// Before SQLite 3.45.3 an upsert of several rows does not tell what it found, and from its second
/// row on nothing was refused: a bounded column that was written -10 held 0, a map that was written
/// 'x' lost its members.
#[test]
fn an_upsert_of_several_rows_keeps_what_types_refuse() {
    let script = "
        CREATE TABLE s(id INTEGER PRIMARY KEY, qty INTEGER, m TEXT, g INTEGER);
        SELECT crsql_as_crr('s'), crsql_column('s', 'qty', 'bounded'),
               crsql_column('s', 'm', 'map'), crsql_column('s', 'g', 'gcounter');
        INSERT INTO s VALUES(1, 10, '{}', 5), (2, 10, '{}', 5), (3, 10, '{}', 5);
        UPDATE s SET m = '{\"a\":1}', g = 6;
        INSERT INTO s(id) VALUES(1), (2), (3) ON CONFLICT DO UPDATE
            SET qty = qty - iif(id = 3, 20, 1);
        INSERT INTO s(id, qty) VALUES(1, 0), (2, 0), (3, 0) ON CONFLICT DO UPDATE
            SET qty = iif(id = 3, -1, 9);
        INSERT INTO s(id, qty) VALUES(1, 0), (2, 0), (3, 0) ON CONFLICT DO UPDATE
            SET m = iif(id = 3, 'x', '{\"b\":2}');
        INSERT INTO s(id, qty) VALUES(1, 0), (2, 0), (3, 0) ON CONFLICT DO UPDATE
            SET g = iif(id = 3, 2, 7);
        INSERT INTO s(id, qty) VALUES(1, 0), (2, 0), (3, 0) ON CONFLICT DO UPDATE
            SET qty = qty - 2, g = g + 1;
        SELECT * FROM s; SELECT * FROM crsql_check();";
    let dir = tempfile::tempdir().unwrap();
    let printed = shell::run(&shell::library(), ":memory:", dir.path(), script);
    for why in ["s.qty is bounded and never falls", "s.m is a map", "s.g only grows"] {
        assert!(printed.stderr.contains(why), "{}", printed.stderr);
    }
    let rows: Vec<&str> = printed.stdout.lines().skip(1).collect();
    assert_eq!(rows, ["1|8|{\"a\":1}|7", "2|8|{\"a\":1}|7", "3|8|{\"a\":1}|7"]);
}

/// What a call means that says more than its values was taken for the meaning of every write to its
/// table: where a trigger of the application wrote another row, a grant of rights was made there
/// too, a counter was set and not added to, and a splice ended with 'these edits are not of this
/// text', or wrote the same edit twice.
#[test]
fn what_a_call_means_is_of_its_row_alone() {
    let schema = "CREATE TABLE w(id INTEGER PRIMARY KEY, t TEXT, n INTEGER, qty INTEGER, x);
        SELECT crsql_as_crr('w'), crsql_column('w', 't', 'text'), crsql_column('w', 'n', 'counter'),
               crsql_column('w', 'qty', 'bounded');";
    let (a, b) = (with(schema), with(schema));
    run(&a, "INSERT INTO w VALUES(1, 'hello world', 10, 10, 0), (2, 'log', 10, 10, 0)");
    exchange(&[&a, &b]);
    run(
        &a,
        "CREATE TRIGGER tr AFTER UPDATE OF t, n, qty ON w WHEN NEW.id = 1 BEGIN
           UPDATE w SET x = x + 1 WHERE id = 1;
           UPDATE w SET t = t || '!', n = n + 1, qty = qty + 1 WHERE id = 2; END",
    );
    run(&b, "SELECT crsql_counter_set('w', 2, 'n', 20)");
    let to = one(&b, "SELECT lower(hex(crsql_site_id()))");
    run(&a, &format!("SELECT crsql_rights_grant('w', 1, 'qty', '{to}', 5)"));
    let granted = |id: i64| {
        let rights = format!("FROM crsql_rights('w', {id}, 'qty') WHERE lower(hex(site_id))");
        int(&a, &format!("SELECT coalesce(sum(rights), 0) {rights} = '{to}'"))
    };
    assert_eq!((granted(1), granted(2)), (5, 0));
    run(&a, "SELECT crsql_counter_set('w', 1, 'n', 50)");
    run(&a, "SELECT crsql_text_splice('w', 1, 't', 6, 5, 'WORLD')");
    let once = rows(
        &a,
        "SELECT val FROM crsql_changes WHERE cid LIKE '_t%' AND pk IN
        (SELECT pk FROM crsql_changes WHERE cid = 'x' AND val = 3)",
    );
    assert_eq!(once.iter().filter(|v| v.contains(&"WORLD".bytes().map(|b| format!("{b:02x}"))
        .collect::<String>())).count(), 1, "{once:?}");
    exchange(&[&a, &b]);
    assert_eq!(rows(&b, "SELECT * FROM w"), ["1|hello WORLD|50|10|3", "2|log!!!|23|13|0"]);
}

/// A member 101 names deep, or with a longer path than a register can have in its name, was
/// written to a register that nobody reads: the column did not show what was written, and a peer
/// could not take the change. The same of a long element of a set.
#[test]
fn what_no_register_can_be_named_by_is_refused_or_counts_as_empty() {
    let schema = "CREATE TABLE j(id INTEGER PRIMARY KEY, m TEXT, s TEXT);
        SELECT crsql_as_crr('j'), crsql_column('j', 'm', 'map'), crsql_column('j', 's', 'set');";
    let (a, b) = (with(schema), with(schema));
    run(&a, "INSERT INTO j VALUES(1, '{}', '[]')");
    let nested = |n: usize| "{\"a\":".repeat(n) + "1" + &"}".repeat(n);
    let set = |text: &str| a.execute("UPDATE j SET m = ?1 WHERE id = 1", [text]);
    set(&nested(100)).unwrap();
    let refused = set(&nested(101)).unwrap_err().to_string();
    assert!(refused.contains("nested at most 100 deep"), "{refused}");
    assert_eq!(one(&a, "SELECT m FROM j"), nested(100));
    exchange(&[&a, &b]);
    let long = "x".repeat(5000);
    let insert = "INSERT INTO j VALUES(2, ?1, ?2)";
    a.execute(insert, (format!("{{\"{long}\":1,\"b\":1}}"), format!("[\"{long}\",1]"))).unwrap();
    exchange(&[&a, &b]);
    run(&a, "UPDATE j SET m = '{\"b\":2}', s = '[2]' WHERE id = 2");
    run(&b, "UPDATE j SET m = '{\"c\":3}', s = '[3]' WHERE id = 2");
    exchange(&[&a, &b]);
    assert_eq!(one(&b, "SELECT m || s FROM j WHERE id = 2"), "{\"b\":2,\"c\":3}[2,3]");
}

/// What was further above a low floor than a number goes was cut off, and the row then held -1 in
/// place of 5.
#[test]
fn nothing_is_further_above_the_floor_than_a_number_goes() {
    let db = with(
        "CREATE TABLE w(id INTEGER PRIMARY KEY, qty INTEGER);
         SELECT crsql_as_crr('w'), crsql_column('w', 'qty', 'bounded:-9223372036854775808');
         INSERT INTO w VALUES(1, -1)",
    );
    let text = error(&db, "INSERT INTO w VALUES(2, 5)");
    assert!(
        text.contains("holds at most 9223372036854775807 above -9223372036854775808"),
        "{text}"
    );
    assert!(error(&db, "UPDATE w SET qty = 0").contains("holds at most"));
    assert_eq!(rows(&db, "SELECT * FROM w"), ["1|-1"]);
}

/// A version that is no stamp was told as a damaged file: '-1 is not a count', SQLITE_CORRUPT. One
/// beyond all stamps is a way to say 'all of it'.
#[test]
fn an_old_version_that_cannot_be_is_refused_by_name() {
    let db = with(
        "CREATE TABLE d(id INTEGER PRIMARY KEY, t TEXT);
         SELECT crsql_as_crr('d'), crsql_column('d', 't', 'text');
         INSERT INTO d VALUES(1, 'a'); UPDATE d SET t = 'ab'",
    );
    let text = error(&db, "SELECT crsql_text_at('d', 1, 't', -1)");
    assert!(text.contains("crsql_text_at: a version is a col_version"), "{text}");
    assert_eq!(one(&db, "SELECT crsql_text_at('d', 1, 't', 9223372036854775807)"), "ab");
}

/// Who had said how a column merges held what came from who had not, for ever: also when it was
/// said there too, and whatever came from there afterwards. The two never were equal again.
#[test]
fn what_a_sender_wrote_before_he_said_it_is_taken_when_he_has() {
    let schema =
        "CREATE TABLE k(id INTEGER PRIMARY KEY, c INTEGER, s TEXT); SELECT crsql_as_crr('k')";
    let say = "SELECT crsql_column('k', 'c', 'counter'), crsql_column('k', 's', 'set')";
    for again in [false, true] {
        let (a, b) = (with(schema), with(schema));
        run(&a, "INSERT INTO k VALUES(1, 1, '[]')");
        exchange(&[&a, &b]);
        run(&a, say);
        run(&a, "UPDATE k SET c = c + 1, s = '[1]'");
        run(&b, "UPDATE k SET c = c + 100, s = '[2]'; INSERT INTO k VALUES(2, 7, '[7]')");
        settle(&[&a, &b]);
        let held = "SELECT count(*) FROM crsql_held WHERE reason LIKE '%as lww at its sender%'";
        assert_eq!(int(&a, held), 4);
        run(&b, say);
        match again {
            false => run(&b, "UPDATE k SET c = c + 1, s = '[1, 2, 3]' WHERE id = 1"),
            true => run(&a, say),
        }
        exchange(&[&a, &b]);
        assert_eq!(int(&a, "SELECT count(*) FROM crsql_held"), 0);
        let wanted = if again { "102[1,2]" } else { "103[1,2,3]" };
        assert_eq!(one(&a, "SELECT c || s FROM k WHERE id = 1"), wanted);
    }
}

/// A table that is built anew keeps its clocks and parts. Where it was copied with other values the
/// column held what nobody else could come to, a bounded one -12, and where it got a type that its
/// merging has no use for every UPDATE was refused from then on.
#[test]
fn a_table_that_is_built_anew_keeps_what_was_merged() {
    let db = with(SHELF);
    run(&db, "UPDATE shelf SET qty = qty - 2");
    let build = |columns: &str, value: &str| {
        format!(
            "BEGIN; SELECT crsql_begin_alter('shelf');
             CREATE TABLE anew(id INTEGER PRIMARY KEY, {columns});
             INSERT INTO anew(id, qty) SELECT id, {value} FROM shelf;
             DROP TABLE shelf; ALTER TABLE anew RENAME TO shelf;
             SELECT crsql_commit_alter('shelf')"
        )
    };
    let text = error(&db, &build("qty INTEGER, note", "qty - 20"));
    assert!(text.contains("copy them as they are, and say UPDATE after"), "{text}");
    run(&db, "ROLLBACK");
    let text = error(&db, &build("qty TEXT", "qty"));
    assert!(text.contains("merges as bounded, which is for a column of integers"), "{text}");
    run(&db, "ROLLBACK");
    run(&db, &build("note, qty INTEGER NOT NULL DEFAULT 0", "qty"));
    run(&db, "COMMIT; UPDATE shelf SET qty = qty - 1");
    assert_eq!(rows(&db, "SELECT qty FROM shelf"), ["7", "7"]);
    assert_eq!(rows(&db, "SELECT * FROM crsql_check()"), [""; 0]);
}

/// Random shops whose rows were there before the column was bounded, with REPLACE, upserts and
/// grants in partitions: nobody ever has taken what was another's.
#[test]
fn nothing_is_oversold_that_was_there_before() {
    let before = "CREATE TABLE shelf(id INTEGER PRIMARY KEY, qty INTEGER);
                  SELECT crsql_as_crr('shelf')";
    for seed in 0..60 {
        let mut random = Seeded(seed);
        let shops = [with(before), with(before), with(before)];
        run(&shops[0], "INSERT INTO shelf VALUES(1, 12)");
        settle(&[&shops[0], &shops[1], &shops[2]]);
        for shop in &shops {
            run(shop, "SELECT crsql_column('shelf', 'qty', 'bounded:2')");
        }
        for _ in 0..30 {
            let (i, j) = (random.below(3) as usize, random.below(3) as usize);
            let (here, n) = (&shops[i], random.below(14) as i64);
            let sql = match random.below(6) {
                0 => "UPDATE shelf SET qty = qty - ?1".to_owned(),
                1 => "UPDATE shelf SET qty = 2 + ?1".to_owned(),
                2 => "REPLACE INTO shelf VALUES(1, ?1)".to_owned(),
                3 => "INSERT INTO shelf VALUES(1, 3) ON CONFLICT DO UPDATE SET qty = qty - ?1 / 2"
                    .to_owned(),
                4 => {
                    let to = one(&shops[j], "SELECT lower(hex(crsql_site_id()))");
                    format!("SELECT crsql_rights_grant('shelf', 1, 'qty', '{to}', ?1)")
                }
                _ => {
                    pull_in(here, &shops[j], None);
                    continue;
                }
            };
            let _refused = here.prepare(&sql).unwrap().query([n]).unwrap().next();
        }
        exchange(&[&shops[0], &shops[1], &shops[2]]);
        let rights = "SELECT coalesce(min(rights), 0) FROM crsql_rights('shelf', 1, 'qty')";
        assert!(int(&shops[0], rights) >= 0, "seed {seed}: somebody took what was another's");
        let sum =
            int(&shops[0], "SELECT coalesce(sum(rights), 0) FROM crsql_rights('shelf', 1, 'qty')");
        assert_eq!(sum + 2, int(&shops[0], "SELECT qty FROM shelf"), "seed {seed}");
    }
}
