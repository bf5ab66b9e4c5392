//! The promise: a process that writes may be killed at any moment (threat H1). Whoever opens the
//! file next finds it sound, with every transaction that was acknowledged, all of it, and no
//! half of any other; and a version that a peer pulled before is not given again to other content.
//!
//! Real processes on real files: this program starts itself again as writers and as one that
//! applies changesets, reads what they acknowledge from a pipe, and kills them. A few rounds here;
//! `make kill ROUNDS=500` for many. The worlds in which a kill comes at any single write, and the
//! power goes too, are the simulator's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::sync::{apply, assert_equal, changeset, everything, pull_in, try_apply, vector};
use common::{Seeded, int, memory, one, open, rows, run};
use rusqlite::Connection;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SCHEMA: &str = "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v, n INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE u(k TEXT PRIMARY KEY NOT NULL, w) WITHOUT ROWID;
    CREATE TABLE theirs(k INTEGER PRIMARY KEY NOT NULL, v);
    SELECT crsql_as_crr('t'), crsql_as_crr('u'), crsql_as_crr('theirs');";
const MODES: [(&str, &str); 5] = [
    ("WAL", "NORMAL"),
    ("DELETE", "FULL"),
    ("WAL", "FULL"),
    ("TRUNCATE", "NORMAL"),
    ("PERSIST", "FULL"),
];
/// A file is killed on so many times.
const LIVES: u64 = 5;

/// The process that is killed: it does nothing unless it is told to by the one below.
#[test]
#[ignore = "the process that the other test starts and kills"]
fn the_process_that_is_killed() {
    let told = std::env::var("CRSQL_KILL").expect("it is started by the other test");
    let mut told = told.split('|');
    let (path, synchronous, name) =
        (told.next().unwrap(), told.next().unwrap(), told.next().unwrap());
    let db = open(Path::new(path));
    run(&db, &format!("PRAGMA synchronous = {synchronous}; PRAGMA cache_size = 20"));
    match told.next() {
        Some(folder) => applies(&db, Path::new(folder)),
        None => writes(&db, name),
    }
}

fn acknowledge(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nacknowledged {what}").expect("a pipe");
    out.flush().expect("a pipe");
}

/// Each transaction has a row in both tables, and changes and deletes some of its earlier ones.
fn writes(db: &Connection, name: &str) {
    for n in 0..100_000 {
        let rows = n % 7 + 1;
        run(
            db,
            &format!(
                "BEGIN IMMEDIATE;
                 INSERT INTO t(k, v) VALUES ('{name}-{n}', hex(randomblob(100)));
                 WITH x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x WHERE i < {rows})
                 INSERT INTO u SELECT '{name}-{n}-' || i, randomblob(200) FROM x;
                 UPDATE t SET n = n + 1 WHERE k = '{name}-{}';
                 DELETE FROM t WHERE k LIKE 'gone-%' AND k < 'gone-{name}-{n}';
                 REPLACE INTO t(k, v) VALUES ('gone-{name}-{n}', {n});
                 COMMIT",
                n / 2
            ),
        );
        acknowledge(&format!("{name}-{n}"));
    }
}

/// One changeset after the other, each a transaction of 5 rows.
fn applies(db: &Connection, folder: &Path) {
    for n in 0.. {
        let Ok(blob) = std::fs::read(folder.join(format!("{n}"))) else { return };
        try_apply(db, &blob).unwrap();
        acknowledge(&format!("{n}"));
    }
}

/// What a peer wrote, a changeset for each of its transactions.
fn changesets(folder: &Path) {
    let peer = memory();
    run(&peer, SCHEMA);
    let mut had = vector(&peer);
    for n in 0..60 {
        let sql = format!(
            "WITH x(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM x WHERE i < 4)
             INSERT INTO theirs SELECT {n} * 5 + i, hex(randomblob(300)) FROM x"
        );
        run(&peer, &sql);
        let blob = changeset(&peer, &had, None).unwrap();
        std::fs::write(folder.join(format!("{n}")), blob).unwrap();
        had = vector(&peer);
    }
}

fn start(told: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "the_process_that_is_killed", "--nocapture"])
        .env("CRSQL_KILL", told)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program starts again")
}

/// Lets the processes run until the first has acknowledged something and something was done
/// meanwhile, kills all, and gives what they acknowledged, each for itself.
fn killed(told: &[String], meanwhile: impl FnOnce()) -> Vec<Vec<String>> {
    let mut children: Vec<Child> = told.iter().map(|told| start(told)).collect();
    let (first, began) = std::sync::mpsc::channel();
    let readers: Vec<_> = children
        .iter_mut()
        .map(|child| {
            let (out, first) = (child.stdout.take().unwrap(), first.clone());
            std::thread::spawn(move || {
                let mut all = Vec::new();
                // A line that the kill cut short was not acknowledged.
                let mut lines = BufReader::new(out);
                let mut line = String::new();
                while lines.read_line(&mut line).unwrap_or(0) > 0 && line.ends_with('\n') {
                    if let Some(what) = line.trim_end().strip_prefix("acknowledged ") {
                        all.push(what.to_owned());
                        let _ = first.send(());
                    }
                    line.clear();
                }
                all
            })
        })
        .collect();
    began.recv_timeout(Duration::from_secs(60)).expect("somebody acknowledges something");
    meanwhile();
    for child in &mut children {
        child.kill().unwrap();
    }
    for child in &mut children {
        child.wait().unwrap();
    }
    readers.into_iter().map(|reader| reader.join().unwrap()).collect()
}

/// Nothing that was acknowledged is missing, and nothing is there by half.
fn whole(db: &Connection, writers: &[String], applied: usize, why: &str) {
    assert_eq!(one(db, "PRAGMA integrity_check"), "ok", "{why}");
    assert_eq!(rows(db, "SELECT * FROM crsql_check()"), [""; 0], "{why}");
    let there = rows(db, "SELECT k FROM t WHERE k NOT LIKE 'gone-%'");
    let there: std::collections::BTreeSet<&String> = there.iter().collect();
    for key in writers {
        assert!(there.contains(key), "{why}: {key} was acknowledged and is gone");
    }
    let halves = "SELECT count(*) FROM t WHERE k NOT LIKE 'gone-%' AND
        (SELECT count(*) FROM u WHERE u.k >= t.k || '-' AND u.k < t.k || '.') <>
        replace(k, rtrim(k, '0123456789'), '') % 7 + 1";
    assert_eq!(int(db, halves), 0, "{why}: half of a transaction");
    let orphans = "SELECT count(*) FROM u WHERE rtrim(rtrim(k, '0123456789'), '-') NOT IN t_k";
    let orphans = orphans.replace("t_k", "(SELECT k FROM t)");
    assert_eq!(int(db, &orphans), 0, "{why}: the other half of a transaction");
    let theirs = "SELECT count(*) FROM (SELECT 1 FROM theirs GROUP BY k / 5 HAVING count(*) <> 5)";
    assert_eq!(int(db, theirs), 0, "{why}: half of a changeset");
    assert!(int(db, "SELECT count(*) FROM theirs") >= 5 * applied as i64, "{why}: a changeset");
}

#[test]
fn h1_a_process_may_be_killed_at_any_moment() {
    let rounds = std::env::var("CRSQL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let seed = std::env::var("CRSQL_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut random = Seeded(seed);
    let dir = tempfile::tempdir().unwrap();
    let blobs = dir.path().join("blobs");
    std::fs::create_dir(&blobs).unwrap();
    changesets(&blobs);
    let path = dir.path().join("x.db");
    let (mut peer, mut acknowledged, mut applied, mut all) = (memory(), Vec::new(), 0, 0);
    let mut mode = MODES[0];
    for round in 0..rounds {
        if round % LIVES == 0 {
            for file in ["x.db", "x.db-wal", "x.db-shm", "x.db-journal"] {
                let _ = std::fs::remove_file(dir.path().join(file));
            }
            mode = *random.pick(&MODES);
            run(&open(&path), &format!("PRAGMA journal_mode = {}; {SCHEMA}", mode.0));
            peer = memory();
            run(&peer, SCHEMA);
            (acknowledged, applied) = (Vec::new(), 0);
        }
        let told = |name: &str| format!("{}|{}|{name}", path.display(), mode.1);
        let mut processes: Vec<String> =
            (0..=random.below(3)).map(|n| told(&format!("{round}-{n}"))).collect();
        let applier = random.below(2) == 0;
        if applier {
            processes.push(told("applier") + "|" + &blobs.to_string_lossy());
        }
        let pause = Duration::from_micros(random.below(60_000));
        let pulls = random.below(2) == 0;
        let mut said = killed(&processes, || {
            // What is sent while they write is there after the kill. Asking until there is nothing
            // new would not end.
            if pulls && let Some(blob) = changeset(&open(&path), &vector(&peer), None) {
                apply(&peer, &blob);
            }
            std::thread::sleep(pause);
        });
        if applier {
            applied = said.pop().unwrap().len().max(applied);
        }
        all += said.iter().map(Vec::len).sum::<usize>();
        acknowledged.extend(said.into_iter().flatten());
        let why = format!("round {round} of seed {seed}, {mode:?}, {processes:?}");
        let db = open(&path);
        whole(&db, &acknowledged, applied, &why);
        // What the peer had from before the kill is what the file still calls by these versions.
        pull_in(&peer, &db, None);
        assert_equal(&[&db, &peer]);
        let fresh = memory();
        run(&fresh, SCHEMA);
        apply(&fresh, &everything(&db));
        assert_equal(&[&db, &fresh]);
        run(&db, &format!("INSERT INTO t(k, v) VALUES ('after-{round}-6', 1)"));
        run(&db, &format!("DELETE FROM t WHERE k = 'after-{round}-6'"));
    }
    println!("{rounds} rounds, {all} acknowledged transactions, nothing lost");
}
