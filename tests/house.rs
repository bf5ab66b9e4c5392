//! The house rules, held by a test: imports go down the floors, rooms are small, each says what it
//! is, and `unsafe` lives in one place. The rules read the sources as text, with strings and
//! comments blanked out, so they need no compiler and are quick to run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "house/source.rs"]
mod source;

use source::{Source, is_word};
use std::fs;
use std::path::PathBuf;

/// The floors of `src/`, from the ground up.
const FLOORS: [&str; 5] = ["words", "types", "ground", "rooms", "doors"];
/// The one of them that may say `unsafe`.
const GROUND: usize = 2;
/// The only files above the ground that may say `unsafe`, for the entry points.
const ENTRIES: [&str; 2] = ["src/lib.rs", "src/doors/entry.rs"];
const COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;
/// What holds no source of ours.
const NOT_OURS: [&str; 6] = [".git", "target", ".venv", "tmp", "node_modules", "__pycache__"];

/// The floor of a file; `lib.rs` stands above them all.
fn floor(path: &str) -> usize {
    let folder = path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or("");
    FLOORS.iter().position(|f| *f == folder).unwrap_or(FLOORS.len())
}

/// Imports go down, or stay on their floor.
fn imports_go_down(file: &Source) -> Vec<String> {
    let own = floor(&file.path);
    if own == FLOORS.len() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for (line, name) in file.crate_paths() {
        let other = FLOORS.iter().position(|f| *f == name).unwrap_or(FLOORS.len());
        if other > own {
            let from = FLOORS[own];
            wrong
                .push(file.says(line, &format!("{from} imports crate::{name}, which is above it")));
        }
    }
    wrong
}

fn opens_with_its_story(file: &Source) -> Vec<String> {
    let told = file.text.starts_with("//!");
    if told { Vec::new() } else { vec![file.says(1, "opens without a `//!`")] }
}

fn sizes(file: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX {
            wrong.push(file.says(at + 1, &format!("{columns} columns, {COLUMNS_MAX} at most")));
        }
    }
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        wrong.push(file.says(lines, &format!("{lines} lines, {FILE_LINES_MAX} at most")));
    }
    for function in file.functions() {
        if function.lines > FUNCTION_LINES_MAX {
            let text = format!("`{}` has {} lines", function.name, function.lines);
            wrong.push(file.says(function.line, &format!("{text}, {FUNCTION_LINES_MAX} at most")));
        }
    }
    wrong
}

/// `unsafe` is on the ground floor and at the entry points, and each use says why it is sound.
fn unsafe_is_fenced(file: &Source) -> Vec<String> {
    let entry = ENTRIES.contains(&file.path.as_str());
    let mut wrong = Vec::new();
    let (mut blocks, mut exports) = (0, 0);
    for (line, rest) in file.after_word("unsafe") {
        exports += usize::from(rest.starts_with("(no_mangle)"));
        let block = rest.starts_with('{') || rest.starts_with("impl");
        blocks += usize::from(block);
        let of_entry = block || rest.starts_with("(no_mangle)") || rest.starts_with("extern");
        if floor(&file.path) != GROUND && !(entry && of_entry) {
            wrong.push(file.says(line, "`unsafe` outside src/ground"));
        } else if block && !file.commented(line, "SAFETY:") {
            wrong.push(file.says(line, "`unsafe` without a `// SAFETY:` above it"));
        }
    }
    if entry && blocks > exports {
        wrong.push(file.says(1, "more unsafe blocks than entry points"));
    }
    wrong
}

/// The host's output, threads and network are not ours; the lowest floor reads no clock, no file.
fn calls_nothing_banned(file: &Source) -> Vec<String> {
    let everywhere = [
        ("println!", "prints"),
        ("eprintln!", "prints"),
        ("print!", "prints"),
        ("eprint!", "prints"),
        ("dbg!", "prints"),
        ("todo!", "is unfinished"),
        ("unimplemented!", "is unfinished"),
        ("thread::spawn", "starts a thread"),
        ("std::net", "touches the network"),
    ];
    let in_words = [
        ("std::fs", "touches files"),
        ("std::env", "reads the environment"),
        ("SystemTime", "reads a clock"),
        ("Instant", "reads a clock"),
    ];
    let words: &[_] = if floor(&file.path) < GROUND { &in_words } else { &[] };
    let mut wrong = Vec::new();
    for (name, why) in everywhere.iter().chain(words) {
        for line in file.lines_with(name) {
            wrong.push(file.says(line, &format!("{name} {why}")));
        }
    }
    wrong
}

/// Paths of one machine: a folder of its own right under the root, at the start of a word.
fn names_no_machine(path: &str, text: &str) -> Vec<String> {
    let folders = ["root", "home", "work", "Users"].map(|name| format!("/{name}/"));
    let mut wrong = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for folder in &folders {
            for (before, _) in line.match_indices(folder.as_str()) {
                let last = line[..before].chars().next_back();
                if !last.is_some_and(|c| is_word(c) || "./-~$*}>".contains(c)) {
                    wrong.push(format!("{path}:{}: names {folder} of some machine", at + 1));
                }
            }
        }
    }
    wrong
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under a folder of the repository, as a path from its root with `/` between names.
fn files_under(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a folder entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // In a second working tree `.git` is a file.
            if NOT_OURS.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with("crsql.") {
                let inside = path.strip_prefix(root()).expect("a path inside the repository");
                found.push(inside.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    let bytes = fs::read(root().join(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn sources_under(folders: &[&str]) -> Vec<Source> {
    let paths = folders.iter().flat_map(|folder| files_under(folder));
    paths
        .filter(|path| path.ends_with(".rs"))
        .map(|path| Source::new(&path, &read(&path)))
        .collect()
}

fn no_complaints(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "house rules:\n  {}", complaints.join("\n  "));
}

#[test]
fn the_house_is_in_order() {
    let house = sources_under(&["src"]);
    assert!(!house.is_empty(), "src/ holds no sources");
    let rules = [imports_go_down, opens_with_its_story, unsafe_is_fenced, calls_nothing_banned];
    no_complaints(house.iter().flat_map(|file| rules.iter().flat_map(|r| r(file))).collect());
}

#[test]
fn rooms_are_small() {
    let all = sources_under(&["src", "tests", "benches", "fuzz", "sim"]);
    no_complaints(all.iter().flat_map(sizes).collect());
}

/// The bugs that are planted are those that the simulator has to find.
#[test]
fn planted_bugs_are_listed() {
    let mut planted = Vec::new();
    for file in sources_under(&["src"]) {
        for (before, _) in file.text.match_indices("planted!(\"") {
            let name = file.text[before + 10..].split('"').next().unwrap_or("");
            planted.push(name.to_owned());
        }
    }
    planted.retain(|name| name != "name");
    planted.sort();
    planted.dedup();
    let list = read("sim/src/planted.rs");
    let mut listed: Vec<&str> = list.split("    (\"").skip(1).collect();
    listed.iter_mut().for_each(|rest| *rest = rest.split('"').next().unwrap_or(""));
    listed.sort();
    assert_eq!(planted, listed);
}

#[test]
fn no_file_names_a_machine() {
    let all = files_under("");
    no_complaints(all.iter().flat_map(|path| names_no_machine(path, &read(path))).collect());
}

/// The rules are worth something only if they bite: each is shown a room that breaks it.
#[test]
fn the_rules_bite() {
    let bite = |rule: fn(&Source) -> Vec<String>, path: &str, text: &str| {
        rule(&Source::new(path, text)).len()
    };
    let up = "use crate::{words::x, rooms::{y}};\nfn f() { super::super::doors::z() }\n";
    assert_eq!(bite(imports_go_down, "src/ground/a.rs", up), 2);
    assert_eq!(bite(imports_go_down, "src/doors/a.rs", up), 0);
    let quiet = "// use crate::doors::x\nconst S: &str = \"crate::doors\"; pub(crate) fn f() {}\n";
    assert_eq!(bite(imports_go_down, "src/words/a.rs", quiet), 0);
    assert_eq!(bite(opens_with_its_story, "src/words/a.rs", "fn f() {}\n"), 1);
    let long = format!("fn f<'a>(c: &'a [u8; 2]) {{\n{}}}\n", "    let c = '{';\n".repeat(69));
    assert_eq!(bite(sizes, "src/words/a.rs", &long), 1);
    assert_eq!(bite(sizes, "src/words/a.rs", &long.replacen("    let c = '{';\n", "", 1)), 0);
    assert_eq!(bite(sizes, "src/words/a.rs", &"x".repeat(101)), 1);
    assert_eq!(bite(sizes, "src/words/a.rs", &"\n".repeat(501)), 1);
    let bare = "fn f() {\n    let s = \"unsafe {\";\n\n\n    unsafe { g() }\n}\n";
    assert_eq!(bite(unsafe_is_fenced, "src/rooms/a.rs", bare), 1);
    assert_eq!(bite(unsafe_is_fenced, "src/ground/a.rs", bare), 1);
    let sound = bare.replace("\n\n\n", "\n// SAFETY: g is.\n");
    assert_eq!(bite(unsafe_is_fenced, "src/ground/a.rs", &sound), 0);
    assert_eq!(bite(unsafe_is_fenced, "src/doors/entry.rs", &sound), 1);
    let export = "#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn f() {}\n";
    assert_eq!(bite(unsafe_is_fenced, "src/doors/entry.rs", export), 0);
    assert_eq!(bite(unsafe_is_fenced, "src/doors/other.rs", export), 2);
    let loud = "fn f() { println!(\"todo!\"); SystemTime::now(); }\n";
    assert_eq!(bite(calls_nothing_banned, "src/words/a.rs", loud), 2);
    assert_eq!(bite(calls_nothing_banned, "src/rooms/a.rs", loud), 1);
    let path = ["see ", "/ho", "me/me/x and https://example.org", "/ho", "me/x"].concat();
    assert_eq!(names_no_machine("README.md", &path).len(), 1);
}

/// The groups of docs/THREATS.md and how many rows each has. The peer daemon, group K, brings the
/// tests of its own.
const THREATS: [(char, usize); 12] = [
    ('a', 10),
    ('b', 11),
    ('c', 14),
    ('d', 9),
    ('e', 12),
    ('f', 9),
    ('g', 7),
    ('h', 6),
    ('i', 3),
    ('j', 8),
    ('k', 8),
    ('l', 7),
];

/// The rows that a later issue holds. A row leaves this table with the change that tests it.
const LATER: &[&str] = &["j7 j8", "k1 k2 k3 k4 k5 k6 k7 k8"];

/// The number that a test's name begins with, as `a2` in `a2_negative_zero`.
fn threat_of(name: &str) -> Option<String> {
    let (number, rest) = name.trim_start_matches("test_").split_once('_')?;
    let known = THREATS.iter().any(|(group, rows)| {
        let row = number.strip_prefix(*group).and_then(|row| row.parse::<usize>().ok());
        row.is_some_and(|row| (1..=*rows).contains(&row))
    });
    (known && !rest.is_empty()).then(|| number.to_owned())
}

/// The tests of threats: Rust tests, SQL scripts, Python files and tests; file, number and name.
fn tested() -> Vec<(String, String, String)> {
    let mut names = Vec::new();
    for file in sources_under(&["src", "tests"]) {
        let functions = file.functions();
        let tests = functions.into_iter().filter(|f| file.is_test(f.line));
        names.extend(tests.map(|f| (file.path.clone(), f.name)));
    }
    for path in files_under("tests").into_iter().chain(files_under("bindings")) {
        let (stem, suffix) = path.rsplit_once('.').unwrap_or((&path, ""));
        let stem = stem.rsplit('/').next().unwrap_or(stem);
        if suffix == "sql" || suffix == "py" {
            names.push((path.clone(), stem.to_owned()));
        }
        if suffix == "py" {
            let text = read(&path);
            let defs = text.lines().filter_map(|line| line.trim_start().strip_prefix("def "));
            let names_of = |def: &str| def.split('(').next().unwrap_or("").to_owned();
            names.extend(defs.map(|def| (path.clone(), names_of(def))));
        }
    }
    let numbered = |(file, name): (String, String)| Some((file, threat_of(&name)?, name));
    names.into_iter().filter_map(numbered).collect()
}

#[test]
fn threats_have_tests() {
    let tested = tested();
    let tested = |threat: &String| tested.iter().any(|(_, number, _)| number == threat);
    let later: Vec<&str> = LATER.iter().flat_map(|line| line.split_whitespace()).collect();
    let (mut both, mut neither, mut known) = (Vec::new(), Vec::new(), Vec::new());
    for (group, rows) in THREATS {
        for row in 1..=rows {
            let threat = format!("{group}{row}");
            match (tested(&threat), later.contains(&threat.as_str())) {
                (true, true) => both.push(threat.clone()),
                (false, false) => neither.push(threat.clone()),
                _ => {}
            }
            known.push(threat);
        }
    }
    assert!(neither.is_empty(), "threats without a test: {}", neither.join(" "));
    assert!(both.is_empty(), "tested now, so take them out of LATER: {}", both.join(" "));
    let unknown: Vec<_> = later.iter().filter(|t| !known.iter().any(|k| k == *t)).collect();
    assert!(unknown.is_empty(), "LATER names no such threats: {unknown:?}");
}

/// The rows of a register of threats: number, in lower case, and what guards it.
fn register(document: &str) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", number, _, _, guard, ""] = cells.as_slice()
            && number.bytes().any(|b| b.is_ascii_digit())
        {
            rows.push((number.to_lowercase(), (*guard).to_owned()));
        }
    }
    rows
}

/// What is wrong with a row: it names no test that has its number and is there.
fn unguarded(number: &str, guard: &str, tested: &[(String, String, String)]) -> Option<String> {
    let later = LATER.iter().any(|line| line.split_whitespace().any(|l| l == number));
    if later && guard.starts_with("later: ") {
        return None;
    }
    let named = guard.trim_matches('`').split_once("::");
    let there = |(file, name)| tested.iter().any(|(f, n, t)| f == file && n == number && t == name);
    (!named.is_some_and(there)).then(|| format!("{number} is not guarded by {guard}"))
}

#[test]
fn the_register_of_threats_is_whole() {
    let rows = register(&read("docs/THREATS.md"));
    let listed: Vec<String> = rows.iter().map(|(number, _)| number.clone()).collect();
    let all = THREATS.iter().flat_map(|(g, n)| (1..=*n).map(move |row| format!("{g}{row}")));
    assert_eq!(listed, all.collect::<Vec<_>>(), "the rows of docs/THREATS.md");
    let tested = tested();
    no_complaints(rows.iter().filter_map(|(n, guard)| unguarded(n, guard, &tested)).collect());
    // The check bites.
    let tests = [("tests/x.rs".to_owned(), "a1".to_owned(), "a1_y".to_owned())];
    assert_eq!(unguarded("a1", "`tests/x.rs::a1_y`", &tests), None);
    for (number, guard) in
        [("a2", "`tests/x.rs::a1_y`"), ("a1", "`tests/x.rs::a1_z`"), ("a1", "later: no")]
    {
        assert!(unguarded(number, guard, &tests).is_some(), "{number} {guard}");
    }
}

#[test]
fn threats_are_read_from_names() {
    assert_eq!(threat_of("a2_negative_zero").as_deref(), Some("a2"));
    assert_eq!(threat_of("test_c14_triggers").as_deref(), Some("c14"));
    for name in ["a11_no_such_row", "a2", "a2_", "k9_daemon", "an_apply", "z1_x"] {
        assert_eq!(threat_of(name), None, "{name}");
    }
    let text = "#[test]\n#[ignore]\nfn a1_x() {}\nfn a2_x() {}\n";
    let file = Source::new("tests/x.rs", text);
    let tests: Vec<bool> = file.functions().iter().map(|f| file.is_test(f.line)).collect();
    assert_eq!(tests, [true, false]);
}
