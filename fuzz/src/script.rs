//! Inputs that are SQL: the first line names a database of the world, every further line is one
//! statement. What must hold is asked between the statements and at the end.

use crate::world::World;
use crate::{host, model};
use rusqlite::Connection;

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

/// Whether a statement merges.
fn merges(line: &str) -> bool {
    line.starts_with("SELECT crsql_apply(") || line.starts_with("INSERT INTO crsql_changes")
}

/// Whether a merge names no place of a transaction twice, which nobody can follow, and leaves
/// nothing out, which keeps a gap here on purpose.
fn is_fair(line: &str) -> bool {
    let Some(hex) = line.strip_prefix("SELECT crsql_apply(x'") else { return true };
    let digits = hex.trim_end_matches("')").as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or(""), 16);
    let bytes: Vec<u8> = digits.chunks(2).filter_map(|pair| byte(pair).ok()).collect();
    let Ok(model) = model::read(&bytes) else { return false };
    let apart = model.txns.iter().all(|(_, items)| model::places_differ(items));
    apart && model.header.omits.is_empty()
}

/// Runs an input. `errors` is shown every error.
pub fn run(world: &World, input: &[u8], asked: Asked) -> Result<(), String> {
    let (image, lines) = parse(input);
    let image = image % world.images.len();
    host::rewind(77);
    let db = host::copy(&world.images[image]);
    let mut fair = true;
    for line in &lines {
        let before = if asked.atomic && merges(line) { Some(host::state(&db)?) } else { None };
        let Err(e) = host::run(&db, line) else {
            fair &= is_fair(line);
            continue;
        };
        complain(&e, line, asked)?;
        if let Some(before) = before
            && before != host::state(&db)?
        {
            return Err(format!("an error left a trace: {e}"));
        }
    }
    if !db.is_autocommit()
        && let Err(e) = host::run(&db, "COMMIT")
    {
        complain(&e, "COMMIT", asked)?;
        host::run(&db, "ROLLBACK").ok();
    }
    if asked.sound {
        sound(&db)?;
        if asked.rows {
            follow(world, &db)?;
        }
        if asked.changesets {
            converge(world, &db, fair)?;
        }
    }
    works(&db, asked, image + 1 < world.images.len())
}

/// An error that nobody should ever see.
fn complain(e: &str, line: &str, asked: Asked) -> Result<(), String> {
    let start: String = line.chars().take(60).collect();
    if e.contains("internal error") || e.contains("panicked") {
        return Err(format!("{e} (in {start})"));
    }
    if std::env::var_os("FUZZ_ERRORS").is_some() {
        println!("    {e}  <- {start}");
    }
    // What a peer sends is REJECTED in words of ours, before SQLite stumbles over it.
    let words = ["constraint failed", "malformed", "no such", "syntax error", "misuse", "[11]"];
    let ours = e.contains("REJECTED") || e.contains("crsql_changes.");
    if asked.sound && merges(line) && !ours && words.iter().any(|w| e.contains(w)) {
        return Err(format!("an error that is not in our words: {e} (in {start})"));
    }
    Ok(())
}

/// Nothing is wrong that a merge could have brought.
fn sound(db: &Connection) -> Result<(), String> {
    let faults = host::list(db, "SELECT fault || ': ' || detail FROM crsql_check()");
    let allowed = ["constraint", "forked", "dropped", "leftover", "held", "altering"];
    for fault in faults.map_err(|e| format!("crsql_check() fails: {e}"))? {
        if !allowed.iter().any(|a| fault.starts_with(a)) {
            return Err(format!("crsql_check() says {fault}"));
        }
    }
    Ok(())
}

/// One file pulls all there is in another. False where it took it with reservations.
fn pull(to: &Connection, from: &Connection) -> Result<bool, String> {
    for _ in 0..20 {
        let vector = host::text(to, "SELECT crsql_vector()")?;
        let ask = format!("SELECT crsql_changeset('{vector}')");
        let changeset = host::run(from, &ask).map_err(|e| format!("nothing to pull: {e}"))?;
        let Some(changeset) = changeset else { return Ok(true) };
        let apply = format!("SELECT crsql_apply({})", host::hex(&changeset));
        match host::text(to, &apply) {
            Ok(report) if report.contains("\"cut\":[]") => {}
            Ok(_) => return Ok(false),
            Err(e) if e.contains("too old") => return Ok(false),
            Err(e) => return Err(format!("a fresh peer refuses what this one sends: {e}")),
        }
    }
    Err("an exchange with a fresh peer does not end".into())
}

/// A fresh peer pulls all there is, and then has the same. What it knows otherwise, because two
/// files wrote as one site, it issues again: the way back brings that.
fn converge(world: &World, db: &Connection, fair: bool) -> Result<(), String> {
    let fresh = host::copy(&world.images[world.fresh]);
    let schema = "SELECT group_concat(sql) FROM (SELECT sql FROM sqlite_schema
                  WHERE type = 'table' AND name NOT LIKE 'crsql%' ORDER BY name)";
    let alike = host::text(db, schema)? == host::text(&fresh, schema)?;
    if !pull(&fresh, db)? {
        return Ok(());
    }
    while host::text(&fresh, "SELECT crsql_vector()")?.contains("\"closed\"") {
        let before = host::text(&fresh, "SELECT crsql_digest(NULL, 'all')")?;
        if !pull(db, &fresh)? || !pull(&fresh, db)? {
            return Ok(());
        }
        if before == host::text(&fresh, "SELECT crsql_digest(NULL, 'all')")? {
            break;
        }
    }
    sound(&fresh).map_err(|e| format!("at a fresh peer {e}"))?;
    let held = "SELECT count(*) FROM crsql_held";
    let nothing_held = alike && host::text(db, held)? == "0" && host::text(&fresh, held)? == "0";
    if fair && nothing_held {
        same(db, &fresh, "a fresh peer that pulled everything")
    } else {
        Ok(())
    }
}

/// A fresh peer that is given every row of the feed has the same.
fn follow(world: &World, db: &Connection) -> Result<(), String> {
    let fresh = host::copy(&world.images[world.fresh]);
    let schema = "SELECT group_concat(sql) FROM (SELECT sql FROM sqlite_schema
                  WHERE type = 'table' AND name NOT LIKE 'crsql%' ORDER BY name)";
    // What is held without its sender's shape can fit elsewhere.
    let held = host::text(db, "SELECT count(*) FROM crsql_held").is_ok_and(|n| n != "0");
    if held || host::text(db, schema)? != host::text(&fresh, schema)? {
        return Ok(());
    }
    for row in host::feed(db)? {
        let insert = format!("{}({})", host::INTO, row.join(", "));
        host::run(&fresh, &insert).map_err(|e| format!("a row of a feed is refused: {e}"))?;
    }
    same(db, &fresh, "a fresh peer that took every row")
}

/// Two databases have the same; else the first difference.
pub fn same(a: &Connection, b: &Connection, who: &str) -> Result<(), String> {
    let digest = "SELECT crsql_digest(NULL, 'all')";
    if host::text(a, digest)? == host::text(b, digest)? {
        return Ok(());
    }
    let tables = "SELECT name FROM crsql_tables WHERE dropped IS NULL";
    for name in host::list(a, tables)? {
        for all in ["", ", 'all'"] {
            let one = format!("SELECT crsql_digest('{}'{all})", name.replace('\'', "''"));
            if host::text(a, &one)? != host::text(b, &one)? {
                return Err(format!("{who} differs in {name}{all} [{}]", difference(a, b)?));
            }
        }
    }
    Err(format!("{who} differs in what is held elsewhere [{}]", difference(a, b)?))
}

/// A row of one feed that is not in the other, and the other way round.
fn difference(a: &Connection, b: &Connection) -> Result<String, String> {
    let (a, b) = (host::feed(a)?, host::feed(b)?);
    let only = |a: &[Vec<String>], b: &[Vec<String>]| {
        let mut lone = a.iter().filter(|row| !b.contains(row));
        lone.next().map_or("nothing".into(), |row| row.join(", "))
    };
    Ok(format!("only here {}; only there {}", only(&a, &b), only(&b, &a)))
}

/// Whether a complaint of SQLite's is about values in our tables, not about the file.
fn of_values(said: &str) -> bool {
    ["CHECK constraint failed in crsql", "NULL value in crsql"].iter().any(|s| said.starts_with(s))
}

/// The connection still does what an application wants of it.
fn works(db: &Connection, asked: Asked, ours: bool) -> Result<(), String> {
    let mut lines = vec!["PRAGMA integrity_check", "CREATE TABLE its_own(x)"];
    lines.extend(["INSERT INTO its_own VALUES(1)", "DROP TABLE its_own"]);
    if asked.writable && ours {
        lines.extend([
            "INSERT OR REPLACE INTO plain(id, b) VALUES(1, 'w'), (424242, 'w')",
            "UPDATE plain SET b = 'w2'",
            "DELETE FROM plain WHERE id IN (1, 424242)",
            "INSERT OR REPLACE INTO pairs(k1, k2, v) VALUES('p', 2, 'w')",
            "UPDATE OR REPLACE pairs SET k2 = 9 WHERE k1 = 'p' AND k2 = 2",
            "SELECT * FROM crsql_changes",
            "SELECT crsql_vector()",
            "SELECT crsql_changeset()",
        ]);
    }
    for line in lines {
        match host::text(db, line) {
            Ok(said) if line.starts_with("PRAGMA") && said != "ok" && !of_values(&said) => {
                return Err(format!("integrity_check says {said}"));
            }
            Ok(_) => {}
            Err(e) => return Err(format!("afterwards '{line}' fails: {e}")),
        }
    }
    Ok(())
}
