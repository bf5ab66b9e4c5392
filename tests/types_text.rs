//! Text columns: what several people type at the same time is all there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::sync::{assert_equal, changes, insert, pull_in, settle};
use common::{Seeded, error, int, memory, one, open, run};
use rusqlite::Connection;

const DOCS: &str = "CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT, title TEXT);
                    SELECT crsql_as_crr('docs'); SELECT crsql_column('docs', 'body', 'text')";

fn replica() -> Connection {
    let db = memory();
    run(&db, DOCS);
    db
}

fn exchange(all: &[&Connection]) {
    settle(all);
    assert_equal(all);
    for db in all {
        assert_eq!(one(db, "SELECT count(*) FROM crsql_check()"), "0");
    }
}

fn body(db: &Connection) -> String {
    one(db, "SELECT body FROM docs WHERE id = 1")
}

fn write(db: &Connection, text: &str) {
    db.execute("UPDATE docs SET body = ?1 WHERE id = 1", [text]).unwrap();
}

#[test]
fn what_two_people_change_in_one_text_is_all_there() {
    let (a, b, c) = (replica(), replica(), replica());
    run(&a, "INSERT INTO docs VALUES(1, 'The quick fox jumps.', 'x')");
    exchange(&[&a, &b, &c]);
    write(&a, "The quick brown fox jumps.");
    write(&b, "The quick fox jumps over the dog.");
    run(&c, "UPDATE docs SET title = 'animals'");
    exchange(&[&a, &b, &c]);
    assert_eq!(body(&c), "The quick brown fox jumps over the dog.");
    run(&a, "UPDATE docs SET body = replace(body, 'quick ', '')");
    run(
        &b,
        "BEGIN; UPDATE docs SET body = body || '!'; UPDATE docs SET body = body || '!'; COMMIT",
    );
    exchange(&[&a, &b, &c]);
    assert_eq!(body(&b), "The brown fox jumps over the dog.!!");
    // Who comes later takes all of it.
    let d = replica();
    pull_in(&d, &b, None);
    exchange(&[&a, &d]);
    assert!(error(&a, "UPDATE docs SET body = x'00'").contains("docs.body is a text, and cannot"));
}

#[test]
fn row_by_row_in_any_order_it_is_the_same() {
    let (a, b) = (replica(), replica());
    run(&a, "INSERT INTO docs VALUES(1, 'one two three', 'x')");
    pull_in(&b, &a, None);
    write(&a, "one and two three");
    write(&b, "one two three four");
    write(&a, "one and two and three");
    write(&b, "zero one two three four");
    let mut all = changes(&a, "1");
    all.extend(changes(&b, "1"));
    let mut ends = Vec::new();
    for turn in 0..all.len() {
        let mut order = all.clone();
        order.rotate_left(turn);
        if turn % 2 == 1 {
            order.reverse();
        }
        let c = replica();
        insert(&c, &order);
        insert(&c, &order);
        ends.push(one(&c, "SELECT body || crsql_digest() FROM docs"));
    }
    exchange(&[&a, &b]);
    assert_eq!(body(&a), "zero one and two and three four");
    ends.push(one(&a, "SELECT body || crsql_digest() FROM docs"));
    ends.dedup();
    assert_eq!(ends.len(), 1, "{ends:?}");
}

#[test]
fn an_editor_says_where_it_types_and_keeps_its_cursor() {
    let (a, b) = (replica(), replica());
    run(&a, "INSERT INTO docs VALUES(1, 'Grüße 🐘 aaa', 'x')");
    exchange(&[&a, &b]);
    run(&a, "SELECT crsql_text_splice('docs', 1, 'body', 7, 0, ' und')");
    assert_eq!(body(&a), "Grüße 🐘 und aaa");
    let anchor = "SELECT crsql_text_anchor('docs', 1, 'body', 6)";
    let cursor: Vec<u8> = b.query_row(anchor, [], |row| row.get(0)).unwrap();
    run(&b, "SELECT crsql_text_splice('docs', 1, 'body', 0, 5, 'Liebe Grüße')");
    exchange(&[&a, &b]);
    let place = |db: &Connection| -> i64 {
        let sql = "SELECT crsql_text_position('docs', 1, 'body', ?1)";
        db.query_row(sql, [&cursor], |row| row.get(0)).unwrap()
    };
    assert_eq!((place(&a), place(&b)), (12, 12));
    assert_eq!(one(&a, "SELECT substr(body, 13, 1) FROM docs"), "🐘");
    for (call, why) in [
        ("splice('docs', 1, 'body', 99, 0, 'x')", "characters, and 0 from 99 are not in it"),
        ("splice('docs', 1, 'body', 0, -1, 'x')", "argument 5 is negative"),
        ("splice('docs', 1, 'title', 0, 0, 'x')", "column docs.title merges as lww"),
        ("splice('docs', 2, 'body', 0, 0, 'x')", "no row with this key"),
        ("anchor('docs', 1, 'body', 99)", "has no character 99"),
        ("anchor('docs', 1, 'body', 1, 'beside')", "not beside"),
        ("position('docs', 1, 'body', 'x')", "takes what crsql_text_anchor gave"),
    ] {
        let text = error(&a, &format!("SELECT crsql_text_{call}"));
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn old_versions_of_a_text_can_be_had() {
    let db = replica();
    run(&db, "INSERT INTO docs VALUES(1, 'a', 'x')");
    let mut stamps = Vec::new();
    for text in ["ab", "abc", "c", "cde"] {
        write(&db, text);
        let sql = "SELECT max(col_version) FROM crsql_changes";
        stamps.push((int(&db, sql), text));
    }
    for (stamp, text) in stamps {
        assert_eq!(one(&db, &format!("SELECT crsql_text_at('docs', 1, 'body', {stamp})")), text);
    }
    assert_eq!(one(&db, "SELECT crsql_text_at('docs', 1, 'body', 0)"), "a");
}

/// Keystrokes of one transaction that is taken back must not leave their names with the open text:
/// others would get other characters by the same names.
#[test]
fn what_is_rolled_back_was_never_typed() {
    let (a, b) = (replica(), replica());
    run(&a, "INSERT INTO docs VALUES(1, 'x', 'x')");
    write(&a, "xy");
    exchange(&[&a, &b]);
    run(&a, "BEGIN; SELECT crsql_text_splice('docs', 1, 'body', 2, 0, 'gone'); ROLLBACK");
    run(
        &a,
        "BEGIN; SAVEPOINT s; SELECT crsql_text_splice('docs', 1, 'body', 0, 1, 'gone');
             ROLLBACK TO s; SELECT crsql_text_splice('docs', 1, 'body', 2, 0, 'z'); COMMIT",
    );
    exchange(&[&a, &b]);
    assert_eq!(body(&b), "xyz");
    run(
        &a,
        "CREATE TABLE once(x UNIQUE); INSERT INTO once VALUES(1);
             CREATE TRIGGER t AFTER UPDATE ON docs WHEN NEW.title = 'no' BEGIN
             INSERT INTO once VALUES(1); END",
    );
    error(&a, "UPDATE docs SET body = 'refused', title = 'no'");
    write(&a, "xyz and more");
    exchange(&[&a, &b]);
    assert_eq!(body(&b), "xyz and more");
}

#[test]
fn rows_live_and_die_with_their_texts() {
    let (a, b) = (replica(), replica());
    run(&a, "INSERT INTO docs VALUES(1, 'first', 'x')");
    write(&a, "first text");
    exchange(&[&a, &b]);
    run(&a, "DELETE FROM docs; INSERT INTO docs VALUES(1, 'second', 'x')");
    write(&b, "first text that is lost");
    exchange(&[&a, &b]);
    assert_eq!(body(&b), "second");
    write(&b, "second text");
    run(&a, "INSERT OR REPLACE INTO docs VALUES(1, 'my second', 'y')");
    exchange(&[&a, &b]);
    let both = body(&a);
    assert!(both.contains("my second") && both.contains(" text"), "{both}");
    run(&a, "UPDATE docs SET id = 2");
    write(&b, "lost again");
    exchange(&[&a, &b]);
    assert_eq!(one(&b, "SELECT group_concat(id || body) FROM docs"), format!("2{both}"));
    run(&a, "UPDATE docs SET body = NULL");
    run(&b, "ALTER TABLE docs RENAME COLUMN body TO prose; UPDATE docs SET prose = prose || '!'");
    run(&a, "ALTER TABLE docs RENAME COLUMN body TO prose");
    exchange(&[&a, &b]);
    assert_eq!(one(&b, "SELECT prose FROM docs"), "!");
}

/// Two processes write one file, and each keeps the text open between its keystrokes.
#[test]
fn two_connections_of_one_file_type_into_one_text() {
    let dir = tempfile::tempdir().unwrap();
    let (one_of, other) = (open(&dir.path().join("x.db")), open(&dir.path().join("x.db")));
    run(&one_of, DOCS);
    run(&one_of, "INSERT INTO docs VALUES(1, '', 'x')");
    for n in 0..20 {
        let db = if n % 2 == 0 { &one_of } else { &other };
        run(db, &format!("UPDATE docs SET body = body || '{n} '"));
    }
    let far = replica();
    pull_in(&far, &other, None);
    assert_equal(&[&far, &one_of]);
    assert!(body(&far).ends_with("17 18 19 "));
}

/// Random typing in random places, in partitions, by both transports: all replicas end equal, and
/// no word that nobody deleted is missing.
#[test]
fn whatever_is_typed_ends_everywhere() {
    for seed in 0..15 {
        let mut random = Seeded(seed);
        let all = [replica(), replica(), replica()];
        run(&all[0], "INSERT INTO docs VALUES(1, 'start', 'x')");
        (1..3).for_each(|n| drop(pull_in(&all[n], &all[0], None)));
        let mut words = vec!["start".to_owned()];
        for n in 0..60 {
            let (i, j) = (random.below(3) as usize, random.below(3) as usize);
            match random.below(4) {
                0 => drop(pull_in(&all[i], &all[j], None)),
                1 => {
                    let mut some = changes(&all[j], "1");
                    let turn = random.below(some.len().max(1) as u64) as usize;
                    some.rotate_left(turn);
                    insert(&all[i], &some);
                }
                _ => {
                    let text = body(&all[i]);
                    let mut list: Vec<&str> = text.split(' ').collect();
                    let word = format!("w{n}é");
                    let at = random.below(list.len() as u64 + 1) as usize;
                    list.insert(at, &word);
                    write(&all[i], &list.join(" "));
                    words.push(word);
                }
            }
        }
        settle(&[&all[0], &all[1], &all[2]]);
        assert_equal(&[&all[0], &all[1], &all[2]]);
        let text = body(&all[0]);
        for word in &words {
            assert_eq!(text.matches(word.as_str()).count(), 1, "seed {seed}: {word} in {text}");
        }
        assert_eq!(one(&all[1], "SELECT count(*) FROM crsql_check() WHERE fault = 'parts'"), "0");
    }
}

/// The sweep of the log asked for each of its entries whether the row still has a part of it, and
/// read all parts of the row for that. In a text every keystroke is an entry of the same row: the
/// longer the text, the more each of them cost, and every 2,048th stood still for seconds.
#[test]
fn the_sweep_reads_the_parts_of_a_long_text_once() {
    let mut db = replica();
    run(&db, "INSERT INTO docs VALUES(1, '', 'x')");
    let stretch = "word ".repeat(100);
    for _ in 0..300 {
        db.query_row("SELECT crsql_text_splice('docs', 1, 'body', 0, 0, ?1)", [&stretch], |_| {
            Ok(())
        })
        .unwrap();
    }
    let parts = int(&db, "SELECT count(*) FROM crsql_parts");
    assert!(parts > 300, "{parts} parts");
    // Counts tens of instructions of SQLite's machine, by keystroke.
    let tens = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&tens);
    let count = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        false
    };
    db.progress_handler(10, Some(count)).unwrap();
    let splice = "SELECT crsql_text_splice('docs', 1, 'body', 0, 0, 'x')";
    let mut costs: Vec<u64> = Vec::new();
    for _ in 0..2048 {
        let before = tens.load(Ordering::Relaxed);
        one(&db, splice);
        costs.push(tens.load(Ordering::Relaxed) - before);
    }
    let most = costs.iter().max().unwrap();
    // A thousand entries and more are looked at, with some 100 instructions each.
    assert!(*most > 5_000, "none of the keystrokes swept: {most}");
    assert!(*most < 60_000, "a keystroke took {most}0 instructions");
}
