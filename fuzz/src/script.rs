//! Inputs that are SQL: the first line names a database of the world, every further line is one
//! statement. What must hold is asked between the statements and at the end. The statements come
//! in rounds, and most rounds are rolled back: so one connection meets many hostile statements,
//! each on rows that real peers left.

use crate::host::{self, hex};
use crate::model::{self, Model};
use crate::rng::Rng;
use crate::targets::changeset::damaged;
use crate::worker::Work;
use crate::world::World;
use crate::{judge, meter};
use crsql::words::error::Result as Read;
use rusqlite::Connection;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// What is asked at the end.
#[derive(Clone, Copy, Default)]
pub struct Asked {
    /// Our own tables are as they should be, and a fresh peer can get everything.
    pub sound: bool,
    /// The rows of the feed are what a peer gets, not changesets.
    pub rows: bool,
    /// What a peer gets are changesets.
    pub changesets: bool,
    /// A merge that fails leaves no trace.
    pub atomic: bool,
    /// The tables can be written.
    pub writable: bool,
}

/// A statement that takes longer hangs.
const SLOW: Duration = Duration::from_secs(1);
/// What one statement may hold on the Rust side for each byte of the script, and beside that.
const FACTOR: usize = 200;
const BESIDE: usize = 4 << 20;
/// A comment to SQLite, and a question to us.
const SOUND: &str = "-- is it sound?";
/// Scripts of more lines are not followed by a peer: what it takes would take all the time.
const FOLLOWED_LINES: usize = 24;
/// One in so many merges is looked at byte by byte where it fails.
const TRACED: u64 = 64;

/// Writes an input.
pub fn text(image: usize, lines: &[String]) -> Vec<u8> {
    let mut out = format!("{image}\n");
    for line in lines {
        out.push_str(&line.replace('\n', " "));
        out.push('\n');
    }
    out.into_bytes()
}

/// The image and the statements of an input.
pub fn parse(input: &[u8]) -> (usize, Vec<String>) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.lines();
    let image = lines.next().and_then(|l| l.trim().parse().ok()).unwrap_or(0);
    (image, lines.filter(|l| !l.trim().is_empty()).map(str::to_owned).collect())
}

/// A script of rounds, which `round` makes for an image.
pub fn make(
    rng: &mut Rng,
    images: usize,
    mut round: impl FnMut(&mut Rng, usize) -> Vec<String>,
) -> Vec<u8> {
    let image = rng.below(images);
    let rounds = *rng.pick(&[1, 4, 20, 100]);
    let mut lines = Vec::new();
    for n in 1..=rounds {
        let new = round(rng, image);
        if n == rounds || rng.one_in(16) {
            lines.extend(new);
            continue;
        }
        lines.push("BEGIN".into());
        lines.extend(new);
        lines.extend(rng.one_in(8).then(|| SOUND.into()));
        lines.push("ROLLBACK".into());
    }
    text(image, &lines)
}

/// Another script: lines gone, moved, repeated, new from `round`, or with other bytes in them.
pub fn change(
    rng: &mut Rng,
    world: &World,
    input: &[u8],
    mut round: impl FnMut(&mut Rng, usize) -> Vec<String>,
) -> Vec<u8> {
    let (mut image, mut lines) = parse(input);
    for _ in 0..1 + rng.below(3) {
        let count = lines.len();
        let (at, to) = (rng.below(count), rng.below(count + 1));
        match rng.below(9) {
            0 if !lines.is_empty() => drop(lines.remove(at)),
            1 if !lines.is_empty() => lines.insert(to, lines[at].clone()),
            2 if !lines.is_empty() => lines.swap(at, to.min(count - 1)),
            3 => image = rng.below(world.images.len()),
            4 | 5 => drop(lines.splice(to..to, round(rng, image))),
            _ => {
                if let Some(line) = lines.get_mut(at) {
                    *line = within(rng, world, line);
                }
            }
        }
    }
    text(image, &lines)
}

/// A statement in which one literal is another.
fn within(rng: &mut Rng, world: &World, line: &str) -> String {
    let starts: Vec<usize> = line.match_indices("x'").map(|(at, _)| at).collect();
    if starts.is_empty() || rng.one_in(4) {
        let digits: Vec<usize> =
            line.match_indices(|c: char| c.is_ascii_digit()).map(|d| d.0).collect();
        let Some(at) = digits.get(rng.below(digits.len())) else { return line.to_owned() };
        let number = rng.edge(1).cast_signed();
        return format!("{}{number}{}", &line[..*at], &line[at + 1..]);
    }
    let at = *rng.pick(&starts) + 2;
    let Some(end) = line[at..].find('\'').map(|n| at + n) else { return line.to_owned() };
    let bytes = unhex(&line[at..end]).unwrap_or_default();
    let new = damaged(rng, world, &bytes);
    format!("{}{}{}", &line[..at - 2], hex(new), &line[end + 1..])
}

/// The bytes of a literal's digits.
fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).map(|d| d as u8);
    digits.as_bytes().chunks(2).map(|p| Some(digit(p.first()?)? << 4 | digit(p.get(1)?)?)).collect()
}

/// Whether a statement merges.
fn merges(line: &str) -> bool {
    line.starts_with("SELECT crsql_apply(") || line.starts_with("INSERT INTO crsql_changes")
}

/// Whether a statement only says where a transaction begins and ends.
fn is_frame(line: &str) -> bool {
    ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA", "--"]
        .iter()
        .any(|word| line.starts_with(word))
}

/// The changeset that a statement merges.
fn merged(line: &str) -> Option<Read<Model>> {
    let rest = line.strip_prefix("SELECT crsql_apply(x'")?;
    Some(model::read(&unhex(rest.trim_end_matches("')")).unwrap_or_default()))
}

/// Whether a merge leaves something out.
fn omits(line: &str) -> bool {
    merged(line).is_some_and(|m| m.is_ok_and(|m| !m.header.omits.is_empty()))
}

/// Whether a merge names no place of a transaction twice, which nobody can follow, and leaves
/// nothing out, which keeps a gap here on purpose.
fn is_fair(line: &str) -> bool {
    let Some(model) = merged(line) else { return true };
    model.is_ok_and(|model| {
        let apart = model.txns.iter().all(|(_, items)| model::places_differ(items));
        apart && model.header.omits.is_empty()
    })
}

/// Runs an input; gives how many of its statements were more than the frame of a transaction.
pub fn run(world: &World, input: &[u8], asked: Asked) -> Result<u64, String> {
    let (image, lines) = parse(input);
    let image = image % world.images.len();
    host::rewind(77);
    let db = host::copy(&world.images[image]);
    let followed = asked.changesets && lines.len() <= FOLLOWED_LINES;
    let (bytes, work) = (input.len(), Work::now());
    let mut stage = Stage { db: &db, asked, bytes, followed, fair: [true; 2], work };
    for (n, line) in lines.iter().enumerate() {
        match line == SOUND {
            true => stage.sound(&lines[..n])?,
            false => stage.line(line)?,
        }
    }
    if !db.is_autocommit()
        && let Err(e) = host::run(&db, "COMMIT")
    {
        complain(&e, "COMMIT", asked)?;
        host::run(&db, "ROLLBACK").ok();
    }
    if asked.sound {
        stage.sound(&lines)?;
        if asked.rows {
            judge::follow(world, &db)?;
        }
        if followed {
            judge::converge(world, &db, stage.fair[0])?;
        }
    }
    judge::works(&db, asked, image + 1 < world.images.len())?;
    Ok(lines.iter().filter(|line| !is_frame(line)).count() as u64)
}

/// A script that runs.
struct Stage<'a> {
    db: &'a Connection,
    asked: Asked,
    /// The length of the script.
    bytes: usize,
    /// Whether a peer follows it in the end.
    followed: bool,
    /// Whether all that was merged was fair, and whether it was before the transaction.
    fair: [bool; 2],
    work: Work,
}

impl Stage<'_> {
    /// Whether all is sound after these lines. What a sender left out of a transaction makes the
    /// rest of it count as unseen.
    fn sound(&self, lines: &[String]) -> Result<(), String> {
        if !self.asked.sound {
            return Ok(());
        }
        judge::sound(self.db, self.asked.changesets).or_else(|e| {
            let partly = e.contains("unseen") && lines.iter().any(|line| omits(line));
            if partly { judge::sound(self.db, false) } else { Err(e) }
        })
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let merging = merges(line);
        let traced = self.asked.atomic && merging && hash(line).is_multiple_of(TRACED);
        let before = if traced { Some(host::state(self.db)?) } else { None };
        self.work.refresh();
        let start = Instant::now();
        let (done, most) = meter::most(|| host::run(self.db, line));
        if start.elapsed() > SLOW && self.work.done() > SLOW {
            let took = self.work.done().as_millis();
            return Err(format!("a statement takes {took} ms ({})", short(line)));
        }
        if most > FACTOR * self.bytes + BESIDE {
            return Err(format!("{most} bytes are held for {} ({})", self.bytes, short(line)));
        }
        let Err(e) = done else {
            match line {
                "BEGIN" => self.fair[1] = self.fair[0],
                "ROLLBACK" => self.fair[0] = self.fair[1],
                _ if merging && self.followed => self.fair[0] &= is_fair(line),
                _ => {}
            }
            return Ok(());
        };
        complain(&e, line, self.asked)?;
        match before {
            Some(before) if before != host::state(self.db)? => {
                Err(format!("an error left a trace: {e}"))
            }
            _ => Ok(()),
        }
    }
}

fn hash(line: &str) -> u64 {
    let mut h = DefaultHasher::new();
    line.hash(&mut h);
    h.finish()
}

fn short(line: &str) -> String {
    line.chars().take(60).collect()
}

/// An error that nobody should ever see.
fn complain(e: &str, line: &str, asked: Asked) -> Result<(), String> {
    let start = short(line);
    if ["internal error", "panicked", "out of memory"].iter().any(|w| e.contains(w)) {
        return Err(format!("{e} (in {start})"));
    }
    // What a peer sends is REJECTED in words of ours, before SQLite stumbles over it.
    let words = ["constraint failed", "malformed", "no such", "syntax error", "misuse", "[11]"];
    let ours = e.contains("REJECTED") || e.contains("crsql_changes.");
    if asked.sound && merges(line) && !ours && words.iter().any(|w| e.contains(w)) {
        return Err(format!("an error that is not in our words: {e} (in {start})"));
    }
    Ok(())
}
