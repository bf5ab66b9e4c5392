//! A case: a world and what happens in it, as data. It has a form as text, a line per step, which
//! is what a failing seed is shrunk in, printed as, and kept as in `finds/`.

use crate::migrate::{Effect, Migration};
use std::fmt;

/// Who can reach whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    Star,
    Ring,
    Line,
    Mesh,
}

pub const NETS: [Net; 4] = [Net::Star, Net::Ring, Net::Line, Net::Mesh];

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An application runs statements on one of its connections, and goes on where one fails.
    Sql { at: usize, conn: usize, list: Vec<String> },
    /// `to` asks `from`, which answers at once, until there is nothing new.
    Pull { to: usize, from: usize, rows: bool, max: usize },
    /// `to` asks `from`; the answer is on its way.
    Ask { to: usize, from: usize, rows: bool, max: usize },
    /// The nth message on its way to `to` arrives, or a copy of it does.
    Take { to: usize, nth: usize, copy: bool },
    /// The nth message on its way to `to` is lost.
    Lose { to: usize, nth: usize },
    /// The replica makes the next change of its schema.
    Migrate { at: usize },
    /// The nth message arrives with a bit that is wrong.
    Garble { to: usize, nth: usize, bit: usize },
    /// A hostile peer has made another message of the nth one: in the names of those who are there,
    /// or in one of its own.
    Forge { to: usize, nth: usize, seed: u64, liar: bool },
    /// Time passes.
    Tick { ms: i64 },
    /// A machine's clock is off by this much.
    Clock { at: usize, ms: i64 },
    /// All connections are closed, and opened again.
    Reopen { at: usize },
    /// The process is killed at a write that comes.
    Kill { at: usize, after: u32 },
    /// The power goes at a write that comes.
    Power { at: usize, after: u32 },
    /// The disk is full from a write that comes on, until the next step.
    Full { at: usize, after: u32 },
    /// The file is copied away.
    Backup { at: usize },
    /// The copy is put in the file's place.
    Restore { at: usize, from: usize },
}

/// A world and its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub seed: u64,
    pub replicas: usize,
    pub net: Net,
    /// What every connection is told first.
    pub pragmas: Vec<String>,
    /// What makes the schema, on every replica alike.
    pub setup: Vec<String>,
    /// The changes of the schema, which every replica makes in this order.
    pub migrations: Vec<Migration>,
    pub steps: Vec<Step>,
}

impl Case {
    /// Something is not what any replica wrote, or is written twice: the model knows nothing then.
    pub fn is_forked(&self) -> bool {
        self.steps.iter().any(|s| matches!(s, Step::Restore { .. } | Step::Forge { .. }))
    }

    /// Whether anybody sends what nobody wrote.
    pub fn is_hostile(&self) -> bool {
        self.steps.iter().any(|s| matches!(s, Step::Forge { .. }))
    }

    /// Whether any clock is far off.
    pub fn has_wild_clock(&self) -> bool {
        self.steps.iter().any(Step::is_wild_clock)
    }

    /// A hostile peer speaks in the names of others, and is believed: peers are trusted for what
    /// they say.
    pub fn has_liar(&self) -> bool {
        self.steps.iter().any(|s| matches!(s, Step::Forge { liar: true, .. }))
    }
}

impl Step {
    /// A clock that others may be too far ahead of, or that is too far ahead of others.
    fn is_wild_clock(&self) -> bool {
        matches!(self, Step::Clock { ms, .. } if ms.abs() > 140_000)
    }

    /// The highest number of a replica that it is about.
    pub fn highest(&self) -> usize {
        match self {
            Step::Pull { to, from, .. } | Step::Ask { to, from, .. } => *to.max(from),
            Step::Restore { at, from } => *at.max(from),
            Step::Take { to, .. }
            | Step::Lose { to, .. }
            | Step::Forge { to, .. }
            | Step::Garble { to, .. } => *to,
            Step::Tick { .. } => 0,
            Step::Sql { at, .. }
            | Step::Clock { at, .. }
            | Step::Reopen { at }
            | Step::Kill { at, .. }
            | Step::Power { at, .. }
            | Step::Full { at, .. }
            | Step::Migrate { at }
            | Step::Backup { at } => *at,
        }
    }
}

impl Net {
    /// Whether two replicas of so many can reach each other.
    pub fn joins(self, n: usize, a: usize, b: usize) -> bool {
        let (a, b) = (a.min(b), a.max(b));
        a != b
            && match self {
                Net::Mesh => true,
                Net::Star => a == 0,
                Net::Line => a + 1 == b,
                Net::Ring => a + 1 == b || (a == 0 && b + 1 == n),
            }
    }

    /// How many hops there are between the two that are furthest apart.
    pub fn diameter(self, n: usize) -> usize {
        match self {
            Net::Mesh => 1,
            Net::Star => 2.min(n - 1),
            Net::Line => n - 1,
            Net::Ring => (n / 2).max(1),
        }
    }
}

/// Between the statements of one step. No statement has it inside.
const BETWEEN: &str = " ;; ";

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = |rows: &bool| if *rows { "rows" } else { "changes" };
        match self {
            Step::Sql { at, conn, list } => write!(f, "sql {at} {conn} {}", list.join(BETWEEN)),
            Step::Pull { to, from, rows, max } => {
                write!(f, "pull {to} {from} {} {max}", way(rows))
            }
            Step::Ask { to, from, rows, max } => write!(f, "ask {to} {from} {} {max}", way(rows)),
            Step::Take { to, nth, copy: false } => write!(f, "take {to} {nth}"),
            Step::Take { to, nth, copy: true } => write!(f, "copy {to} {nth}"),
            Step::Lose { to, nth } => write!(f, "lose {to} {nth}"),
            Step::Garble { to, nth, bit } => write!(f, "garble {to} {nth} {bit}"),
            Step::Forge { to, nth, seed, liar: true } => write!(f, "lie {to} {nth} {seed}"),
            Step::Forge { to, nth, seed, liar: false } => write!(f, "forge {to} {nth} {seed}"),
            Step::Migrate { at } => write!(f, "migrate {at}"),
            Step::Tick { ms } => write!(f, "tick {ms}"),
            Step::Clock { at, ms } => write!(f, "clock {at} {ms}"),
            Step::Reopen { at } => write!(f, "reopen {at}"),
            Step::Kill { at, after } => write!(f, "kill {at} {after}"),
            Step::Power { at, after } => write!(f, "power {at} {after}"),
            Step::Full { at, after } => write!(f, "full {at} {after}"),
            Step::Backup { at } => write!(f, "backup {at}"),
            Step::Restore { at, from } => write!(f, "restore {at} {from}"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = match self {
            Effect::Nothing => vec!["nothing"],
            Effect::Table(from, to) => vec!["table", from, to],
            Effect::Column(table, from, to) => vec!["column", table, from, to],
            Effect::Drop(table, column) => vec!["drop", table, column],
            Effect::Anew(table) => vec!["anew", table],
        };
        write!(f, "{}", serde_json::json!(words))
    }
}

fn migration(text: &str) -> Result<Migration, String> {
    let (effect, list) = text.split_once(BETWEEN).ok_or("a migration without statements")?;
    let words: Vec<String> = serde_json::from_str(effect).map_err(|e| e.to_string())?;
    let name = |n: usize| words.get(n).cloned().ok_or("an effect lacks a name");
    let effect = match name(0)?.as_str() {
        "nothing" => Effect::Nothing,
        "table" => Effect::Table(name(1)?, name(2)?),
        "column" => Effect::Column(name(1)?, name(2)?, name(3)?),
        "drop" => Effect::Drop(name(1)?, name(2)?),
        "anew" => Effect::Anew(name(1)?),
        other => return Err(format!("{other:?} is no effect")),
    };
    Ok(Migration { effect, list: list.split(BETWEEN).map(str::to_owned).collect() })
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "replicas {} {:?}", self.replicas, self.net)?;
        for line in &self.pragmas {
            writeln!(f, "pragma {line}")?;
        }
        for line in &self.setup {
            writeln!(f, "setup {}", line.replace('\n', " "))?;
        }
        for m in &self.migrations {
            writeln!(f, "migration {}{BETWEEN}{}", m.effect, m.list.join(BETWEEN))?;
        }
        for step in &self.steps {
            writeln!(f, "{}", step.to_string().replace('\n', " "))?;
        }
        Ok(())
    }
}

/// The words of a line, the last of which is the rest.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn word(&mut self) -> &'a str {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        word
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        let word = self.word();
        word.parse().map_err(|_| format!("{word:?} is not a number"))
    }

    fn way(&mut self) -> Result<bool, String> {
        match self.word() {
            "rows" => Ok(true),
            "changes" => Ok(false),
            other => Err(format!("{other:?} is neither rows nor changes")),
        }
    }
}

fn step(kind: &str, w: &mut Words<'_>) -> Result<Step, String> {
    Ok(match kind {
        "sql" => {
            let (at, conn) = (w.number()?, w.number()?);
            Step::Sql {
                at,
                conn,
                list: w.0.split(BETWEEN).filter(|sql| !sql.is_empty()).map(str::to_owned).collect(),
            }
        }
        "pull" | "ask" => {
            let (to, from, rows, max) = (w.number()?, w.number()?, w.way()?, w.number()?);
            match kind {
                "pull" => Step::Pull { to, from, rows, max },
                _ => Step::Ask { to, from, rows, max },
            }
        }
        "take" | "copy" => Step::Take { to: w.number()?, nth: w.number()?, copy: kind == "copy" },
        "lose" => Step::Lose { to: w.number()?, nth: w.number()? },
        "garble" => Step::Garble { to: w.number()?, nth: w.number()?, bit: w.number()? },
        "lie" | "forge" => {
            let (to, nth, seed) = (w.number()?, w.number()?, w.number()?);
            Step::Forge { to, nth, seed, liar: kind == "lie" }
        }
        "migrate" => Step::Migrate { at: w.number()? },
        "tick" => Step::Tick { ms: w.number()? },
        "clock" => Step::Clock { at: w.number()?, ms: w.number()? },
        "reopen" => Step::Reopen { at: w.number()? },
        "kill" => Step::Kill { at: w.number()?, after: w.number()? },
        "power" => Step::Power { at: w.number()?, after: w.number()? },
        "full" => Step::Full { at: w.number()?, after: w.number()? },
        "backup" => Step::Backup { at: w.number()? },
        "restore" => Step::Restore { at: w.number()?, from: w.number()? },
        other => return Err(format!("{other:?} is no step")),
    })
}

impl std::str::FromStr for Case {
    type Err = String;

    /// Reads the text form. Lines that begin with `#` tell the story and are passed over.
    fn from_str(text: &str) -> Result<Case, String> {
        let mut case = Case {
            seed: 0,
            replicas: 2,
            net: Net::Mesh,
            pragmas: Vec::new(),
            setup: Vec::new(),
            migrations: Vec::new(),
            steps: Vec::new(),
        };
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let mut w = Words(line);
            let kind = w.word();
            let mut read = || -> Result<(), String> {
                match kind {
                    "seed" => case.seed = w.number()?,
                    "pragma" => case.pragmas.push(w.0.to_owned()),
                    "setup" => case.setup.push(w.0.to_owned()),
                    "migration" => case.migrations.push(migration(w.0)?),
                    "replicas" => {
                        case.replicas = w.number()?;
                        let net = NETS.into_iter().find(|net| format!("{net:?}") == w.0);
                        case.net = net.ok_or_else(|| format!("{:?} is no network", w.0))?;
                    }
                    _ => case.steps.push(step(kind, &mut w)?),
                }
                Ok(())
            };
            read().map_err(|e| format!("{e}, in: {line}"))?;
        }
        Ok(case)
    }
}
