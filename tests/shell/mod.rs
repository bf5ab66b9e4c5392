//! The stock `sqlite3` shell with the library that cargo just built: what a person has who loads
//! crsql. Shared by the tests of the SQL scripts and of the documents.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the shell printed.
pub struct Printed {
    pub stdout: String,
    pub stderr: String,
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The loadable library as this run of cargo built it, beside the test programs. (The copy one
/// folder up is `cargo build`'s, and may be older.)
pub fn library() -> PathBuf {
    let name = match std::env::consts::OS {
        "macos" => "libcrsql.dylib",
        "windows" => "crsql.dll",
        _ => "libcrsql.so",
    };
    let program = std::env::current_exe().expect("the path of this test program");
    let library = program.with_file_name(name);
    assert!(library.exists(), "{} is not there: cargo has not built it", library.display());
    library
}

/// Runs a script in the shell, in the folder `dir`, with `load` loaded into the first connection.
pub fn run(load: &Path, database: &str, dir: &Path, script: &str) -> Printed {
    let program = std::env::var("SQLITE3").unwrap_or_else(|_| "sqlite3".into());
    // No start-up file of the person's own.
    let nothing = if cfg!(windows) { "NUL" } else { "/dev/null" };
    let load = load.display().to_string().replace('\\', "/");
    let mut child = Command::new(&program)
        .args(["-batch", "-init", nothing, "-cmd", &format!(".load '{load}'"), database])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| {
            panic!(
                "The sqlite3 shell cannot be started ({program}: {e}): install the package \
                 sqlite3 (Debian, Ubuntu) or sqlite (Fedora, Alpine, Homebrew)."
            )
        });
    let mut stdin = child.stdin.take().expect("a pipe to the shell");
    let script = script.to_owned();
    // A thread of its own, so that a script longer than a pipe cannot block both sides. A shell
    // that ends early closes the pipe; what it printed then says why.
    let writer = std::thread::spawn(move || drop(stdin.write_all(script.as_bytes())));
    let output = child.wait_with_output().expect("the shell's output");
    writer.join().expect("the script's writer");
    Printed {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The files of a folder whose names end in `.ext`, sorted; none when there is no such folder.
pub fn files(dir: &Path, ext: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .map(|e| e.expect("a folder entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == ext))
        .collect();
    found.sort();
    found
}

/// The first line where two texts differ, for a person to read.
pub fn first_difference(wanted: &str, got: &str) -> String {
    let (mut w, mut g) = (wanted.lines(), got.lines());
    for line in 1.. {
        match (w.next(), g.next()) {
            (None, None) => return "they differ in the last line's ending".into(),
            (a, b) if a == b => {}
            (a, b) => {
                let (a, b) = (a.unwrap_or("(the end)"), b.unwrap_or("(the end)"));
                return format!("line {line}\n    wanted: {a}\n    got:    {b}");
            }
        }
    }
    unreachable!("a text has an end")
}
