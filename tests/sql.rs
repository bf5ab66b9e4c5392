//! Runs every script of `tests/sql/` in the stock `sqlite3` shell and compares what it prints with
//! the `.out` file beside it. `BLESS=1 cargo test --test sql` writes the `.out` files anew; read
//! the difference before committing it.
//!
//! A script runs in memory, or in a database file when its first line is `-- file`. The library is
//! loaded before its first line; after an `.open` it says `.load $LIB` itself. It runs in a folder
//! of its own, which `$DIR` names. Scripts print stable values only: lengths, equalities and
//! counts in place of site ids and times.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod shell;

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What a script prints: stdout, then stderr under a line that says so.
fn printed(script: &Path, library: &Path) -> String {
    let dir = tempfile::tempdir().expect("a folder for the script");
    let here = dir.path().display().to_string();
    let lib = library.display().to_string();
    let text = fs::read_to_string(script).expect("the script");
    let database = if text.starts_with("-- file") { "test.db" } else { ":memory:" };
    let text = text.replace("$DIR", &here).replace("$LIB", &lib);
    let out = shell::run(library, database, dir.path(), &text);
    let mut all = out.stdout;
    if !out.stderr.is_empty() {
        let _ = write!(all, "-- stderr\n{}", out.stderr);
    }
    all.replace(&lib, "$LIB").replace(&here, "$DIR")
}

#[test]
fn every_script_prints_what_its_out_file_says() {
    let library = shell::library();
    let scripts = shell::files(&shell::root().join("tests/sql"), "sql");
    assert!(!scripts.is_empty(), "tests/sql holds no scripts");
    let bless = std::env::var("BLESS").is_ok_and(|v| v == "1");
    let mut wrong = String::new();
    for script in &scripts {
        let got = printed(script, &library);
        let out = script.with_extension("out");
        if bless {
            fs::write(&out, got).expect("the .out file can be written");
            continue;
        }
        let wanted = fs::read_to_string(&out).unwrap_or_default();
        if wanted != got {
            let name = script.file_name().unwrap_or_default().display();
            let _ = writeln!(wrong, "  {name}: {}", shell::first_difference(&wanted, &got));
        }
    }
    assert!(wrong.is_empty(), "scripts that print something else (BLESS=1 accepts it):\n{wrong}");
}

#[test]
fn every_out_file_has_its_script() {
    let orphans: Vec<_> = shell::files(&shell::root().join("tests/sql"), "out")
        .into_iter()
        .filter(|out| !out.with_extension("sql").exists())
        .collect();
    assert!(orphans.is_empty(), ".out files without a script: {orphans:?}");
}
