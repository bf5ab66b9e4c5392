//! The documents are tested: every SQL block in README.md and docs/ runs in the stock `sqlite3`
//! shell, and every `make` command that a document names exists.
//!
//! The ```sql blocks of one document run in order, in one session, in a folder that holds the
//! library as a person has it after `make build` (so `.load ./crsql` works). It is loaded into the
//! first connection already. A fence of ```sql new begins a new session in a new folder. A ```text
//! block right after an SQL block is exactly what that block prints; an error there reads as the
//! shell shows it to a person who types (`Runtime error: ...`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod shell;

use std::fs;
use std::path::{Path, PathBuf};

/// A fenced block of a document.
struct Block {
    /// The number of the fence's line, from 1.
    line: usize,
    /// What follows the backticks, as in `sql new`.
    info: String,
    text: String,
    /// Whether only blank lines stand between it and the block before.
    follows: bool,
}

/// An SQL block and what it must print, if the document says.
struct Step {
    line: usize,
    sql: String,
    wanted: Option<String>,
}

fn documents() -> Vec<PathBuf> {
    let mut all = vec![shell::root().join("README.md")];
    all.extend(shell::files(&shell::root().join("docs"), "md"));
    all
}

fn blocks(document: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    let mut follows = false;
    for (at, line) in document.lines().enumerate() {
        let bare = line.trim_start();
        match &mut open {
            None if bare.starts_with("```") => {
                let info = bare.trim_start_matches('`').trim().to_owned();
                let block = Block { line: at + 1, info, text: String::new(), follows };
                open = Some((line.len() - bare.len(), block));
            }
            None => follows &= bare.is_empty(),
            Some(_) if bare.starts_with("```") => {
                found.extend(open.take().map(|(_, block)| block));
                follows = true;
            }
            Some((indent, block)) => {
                block.text.push_str(line.get(*indent..).unwrap_or(""));
                block.text.push('\n');
            }
        }
    }
    found
}

/// The sessions of a document: its SQL blocks, each with the text block that follows it.
fn sessions(blocks: Vec<Block>) -> Vec<Vec<Step>> {
    let mut all: Vec<Vec<Step>> = Vec::new();
    let mut after_sql = false;
    for block in blocks {
        let sql = block.info == "sql" || block.info == "sql new";
        if sql {
            if all.is_empty() || block.info == "sql new" {
                all.push(Vec::new());
            }
            let step = Step { line: block.line, sql: block.text, wanted: None };
            all.last_mut().expect("a session").push(step);
        } else if after_sql && block.info == "text" && block.follows {
            let step = all.last_mut().and_then(|s| s.last_mut()).expect("the block before");
            step.wanted = Some(block.text);
        }
        after_sql = sql;
    }
    all
}

/// What each step of a session printed; errors stand after the results of the block they are in.
fn printed(steps: &[Step]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder for the session");
    let library = shell::library();
    let suffix = library.extension().expect("a library's suffix").to_owned();
    let here = dir.path().join("crsql").with_extension(suffix);
    fs::copy(&library, &here).expect("the library can be copied");
    let mut script = String::new();
    let mut last_lines = Vec::new();
    for step in steps {
        script.push_str(&step.sql);
        script.push_str("\n.print \u{1}end of block\n");
        last_lines.push(script.lines().count());
    }
    let out = shell::run(&here, ":memory:", dir.path(), &script);
    let mut each: Vec<String> =
        out.stdout.split("\u{1}end of block\n").take(steps.len()).map(str::to_owned).collect();
    each.resize(steps.len(), String::new());
    let mut block = 0;
    for line in out.stderr.lines() {
        let (line, at) = without_line_number(line);
        if let Some(at) = at {
            block = last_lines.iter().position(|last| at <= *last).unwrap_or(0);
        }
        if let Some(text) = each.get_mut(block) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    each
}

/// `Runtime error near line 12: no` as `Runtime error: no`, and the 12.
fn without_line_number(line: &str) -> (String, Option<usize>) {
    let parts = line.split_once(" near line ").and_then(|(kind, rest)| {
        let (number, text) = rest.split_once(": ")?;
        Some((format!("{kind}: {text}"), number.parse().ok()?))
    });
    match parts {
        Some((text, at)) => (text, Some(at)),
        None => (line.to_owned(), None),
    }
}

/// The complaints about one document's SQL blocks.
fn complaints(path: &Path) -> Vec<String> {
    let document = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut wrong = Vec::new();
    for steps in sessions(blocks(&document)) {
        for (step, got) in steps.iter().zip(printed(&steps)) {
            let place = format!("{}:{}", path.display(), step.line);
            match &step.wanted {
                Some(wanted) if *wanted != got => {
                    wrong.push(format!("{place} {}", shell::first_difference(wanted, &got)));
                }
                None if got.contains("rror: ") => wrong.push(format!("{place} fails: {got}")),
                _ => {}
            }
        }
    }
    wrong
}

#[test]
fn every_sql_block_does_what_its_document_says() {
    let wrong: Vec<String> = documents().iter().flat_map(|path| complaints(path)).collect();
    assert!(wrong.is_empty(), "documents that do not hold:\n{}", wrong.join("\n"));
}

/// The targets that a document names: `make x` in backticks, or a line of a fenced block.
fn targets_named(document: &str) -> Vec<String> {
    let inline = document.split("`make ").skip(1);
    let in_blocks = blocks(document);
    let lines = in_blocks
        .iter()
        .flat_map(|block| block.text.lines())
        .filter_map(|line| line.trim_start_matches(['$', ' ']).strip_prefix("make "));
    inline
        .chain(lines)
        .map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            rest[..end.unwrap_or(rest.len())].to_owned()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn every_make_target_in_the_documents_exists() {
    let makefile = fs::read_to_string(shell::root().join("Makefile")).expect("the Makefile");
    let mut wrong = Vec::new();
    for path in documents() {
        let document = fs::read_to_string(&path).expect("a document");
        for name in targets_named(&document) {
            let rule = format!("{name}:");
            if !makefile.lines().any(|line| line.starts_with(&rule)) {
                wrong.push(format!("{} names `make {name}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "the Makefile has no such target:\n{}", wrong.join("\n"));
}

/// Every function and virtual table that a door registers stands in the reference.
#[test]
fn every_function_and_table_is_in_the_reference() {
    let reference = fs::read_to_string(shell::root().join("docs/SQL.md")).expect("docs/SQL.md");
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for door in shell::files(&shell::root().join("src/doors"), "rs") {
        let text = fs::read_to_string(&door).expect("a door");
        for part in text.split("\"crsql_").skip(1) {
            let Some((name, _)) = part.split_once('"') else { continue };
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                continue;
            }
            seen += 1;
            let there = [format!("`crsql_{name}`"), format!("`crsql_{name}(")];
            if !there.iter().any(|form| reference.contains(form)) {
                wrong.push(format!("crsql_{name} ({})", door.display()));
            }
        }
    }
    assert!(seen > 30, "only {seen} names were found");
    wrong.dedup();
    assert!(wrong.is_empty(), "docs/SQL.md does not tell of:\n{}", wrong.join("\n"));
}

#[test]
fn blocks_are_cut_where_the_fences_are() {
    let text = "a\n\n```sql\nSELECT 1;\n```\n\n```text\n1\n```\n`make help`\n```sql new\nx\n```\n";
    let all = sessions(blocks(text));
    assert_eq!(all.len(), 2);
    assert_eq!(all[0][0].wanted.as_deref(), Some("1\n"));
    assert_eq!((all[1][0].line, all[1][0].sql.as_str()), (11, "x\n"));
    assert_eq!(targets_named(text), ["help"]);
    let (line, at) = without_line_number("Runtime error near line 12: no: way");
    assert_eq!((line.as_str(), at), ("Runtime error: no: way", Some(12)));
}
