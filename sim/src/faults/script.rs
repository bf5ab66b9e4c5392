//! A script: SQL for a file, in parts. `docs/TESTING.md` tells its form.
//!
//! `== peer` and `== before` prepare, on a peer's file and on the one that is tested; `== faults`
//! is run with every fault; `== after` must work when the fault is gone. A line that begins with
//! a dot is one of the words of `Act`.

use rusqlite::ffi;
use std::ffi::CString;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Peer,
    Before,
    Faults,
    After,
}

#[derive(Clone, Debug)]
pub enum Act {
    Sql(String),
    /// `.keep NAME SELECT ...`: the value that it gives is `:NAME` from now on.
    Keep(String, String),
    /// `.rows NAME SELECT ...`: so are the rows, for `.each`.
    Rows(String, String),
    /// `.each NAME SQL`: the statement, for each of the rows, with its values.
    Each(String, String),
    /// `.reopen`: the file is closed and opened.
    Reopen,
    /// `.copy`: the peer's file is a copy of the one that is tested.
    Copy,
    /// `.later MS`: so many milliseconds go by.
    Later(i64),
}

pub struct Script {
    pub name: String,
    /// What is said to every connection to the file that is tested: lines `-- open: SQL`.
    pub open: Vec<String>,
    /// What `crsql_check()` may find in it, from a line `-- leaves: FAULT`.
    pub leaves: Vec<String>,
    /// While somebody else has the lock a statement may do less than without, and say so; from a
    /// line `-- busy: REASON`.
    pub busy: bool,
    pub acts: Vec<(Part, Act)>,
}

impl Script {
    pub fn parse(name: &str, text: &str) -> Result<Script, String> {
        let mut script = Script {
            name: name.into(),
            open: Vec::new(),
            leaves: Vec::new(),
            busy: false,
            acts: Vec::new(),
        };
        let mut part = None;
        let mut sql = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("-- open: ") {
                script.open.push(rest.into());
            } else if let Some(rest) = line.strip_prefix("-- leaves: ") {
                script.leaves.push(rest.into());
            } else if line.starts_with("-- busy: ") {
                script.busy = true;
            } else if let Some(rest) = line.strip_prefix("== ") {
                part = Some(part_named(rest).ok_or_else(|| format!("{name}: no part {rest}"))?);
            } else if line.starts_with('.') && sql.trim().is_empty() {
                let act = word(line).ok_or_else(|| format!("{name}: not understood: {line}"))?;
                let part = part.ok_or_else(|| format!("{name}: {line} is in no part"))?;
                script.acts.push((part, act));
            } else if let Some(part) = part {
                sql.push_str(line);
                sql.push('\n');
                for one in complete(&mut sql) {
                    script.acts.push((part, Act::Sql(one)));
                }
            }
        }
        if !sql.trim().is_empty() {
            return Err(format!("{name}: a statement does not end: {}", sql.trim()));
        }
        if !script.acts.iter().any(|(part, _)| *part == Part::Faults) {
            return Err(format!("{name}: it has nothing under == faults"));
        }
        Ok(script)
    }

    pub fn part(&self, part: Part) -> impl Iterator<Item = &Act> {
        self.acts.iter().filter(move |(of, _)| *of == part).map(|(_, act)| act)
    }
}

fn part_named(name: &str) -> Option<Part> {
    Some(match name.trim() {
        "peer" => Part::Peer,
        "before" => Part::Before,
        "faults" => Part::Faults,
        "after" => Part::After,
        _ => return None,
    })
}

fn word(line: &str) -> Option<Act> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let named = || {
        let (name, sql) = rest.split_once(' ')?;
        Some((name.to_owned(), sql.trim_end_matches(';').to_owned()))
    };
    Some(match word {
        ".keep" => named().map(|(name, sql)| Act::Keep(name, sql))?,
        ".rows" => named().map(|(name, sql)| Act::Rows(name, sql))?,
        ".each" => named().map(|(name, sql)| Act::Each(name, sql))?,
        ".reopen" => Act::Reopen,
        ".copy" => Act::Copy,
        ".later" => Act::Later(rest.parse().ok()?),
        _ => return None,
    })
}

/// Takes the statements that are complete; what is left begins the next one.
fn complete(sql: &mut String) -> Vec<String> {
    let mut out = Vec::new();
    let mut from = 0;
    for (at, _) in sql.match_indices(';') {
        let one = &sql[from..=at];
        let text = CString::new(one).unwrap_or_default();
        // SAFETY: a text that ends with NUL.
        if unsafe { ffi::sqlite3_complete(text.as_ptr()) } != 0 {
            out.push(one.trim().to_owned());
            from = at + 1;
        }
    }
    let rest = sql[from..].trim_start().to_owned();
    // A comment alone is no statement.
    *sql = if rest.lines().all(|line| line.starts_with("--")) { String::new() } else { rest };
    out
}
