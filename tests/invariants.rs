//! `docs/INVARIANTS.md` names, for every invariant, the code that keeps it and the tests that guard
//! it. A register is worth something only while the names in it are true: every file has to be
//! there, and every test in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;

/// One line of the register.
struct Invariant {
    number: usize,
    kept: Vec<String>,
    guarded: Vec<String>,
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// What stands between backticks.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The lines of the register's tables: number, sentence, kept by, guarded by.
fn register(document: &str) -> Vec<Invariant> {
    let mut all = Vec::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", number, _, kept, guarded, ""] = cells.as_slice()
            && let Ok(number) = number.parse()
        {
            all.push(Invariant { number, kept: names(kept), guarded: names(guarded) });
        }
    }
    all
}

/// What is wrong with a name: a file, or a file and a function in it.
fn complaint(name: &str) -> Option<String> {
    let (path, function) = name.split_once("::").map_or((name, None), |(p, f)| (p, Some(f)));
    let Some(text) = read(path) else { return Some(format!("there is no file {path}")) };
    let function = function?;
    let there = [format!("fn {function}("), format!("fn {function}<")];
    let found = there.iter().any(|f| text.contains(f));
    (!found).then(|| format!("{path} has no {function}"))
}

#[test]
fn every_invariant_names_code_and_tests_that_are_there() {
    let register = register(&read("docs/INVARIANTS.md").expect("docs/INVARIANTS.md"));
    assert!(register.len() > 20, "the register has {} lines", register.len());
    let mut wrong = Vec::new();
    for (at, line) in register.iter().enumerate() {
        let n = line.number;
        if n != at + 1 {
            wrong.push(format!("{n} stands where {} should", at + 1));
        }
        if !line.kept.iter().any(|k| k.starts_with("src/")) {
            wrong.push(format!("{n} names no code"));
        }
        let is_test = |g: &String| g.ends_with(".sql") || g.contains("::");
        if line.guarded.is_empty() || !line.guarded.iter().all(is_test) {
            wrong.push(format!("{n} names no test, or a file in place of one"));
        }
        let named = line.kept.iter().chain(&line.guarded);
        wrong.extend(named.filter_map(|name| complaint(name)).map(|c| format!("{n}: {c}")));
    }
    assert!(wrong.is_empty(), "docs/INVARIANTS.md:\n  {}", wrong.join("\n  "));
}

/// The check bites.
#[test]
fn names_that_are_not_there_are_found() {
    let line = "| 7 | a | `src/lib.rs` | `tests/invariants.rs::no_such_test`, `tests/x.sql` |";
    let all = register(line);
    assert_eq!((all[0].number, all[0].kept.len(), all[0].guarded.len()), (7, 1, 2));
    assert!(complaint("src/lib.rs").is_none());
    assert!(complaint("tests/invariants.rs::complaint").is_none());
    assert!(complaint(&all[0].guarded[1]).is_some());
    // Its own text holds the name, but no function of that name.
    assert!(complaint(&all[0].guarded[0]).is_some());
}
