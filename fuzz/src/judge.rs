//! What must hold of a database after hostile input, and of a peer that follows it.

use crate::host;
use crate::script::Asked;
use crate::world::World;
use rusqlite::Connection;

/// Nothing is wrong that a merge could have brought. `changesets`: changesets alone were merged,
/// after which everything here was seen.
pub fn sound(db: &Connection, changesets: bool) -> Result<(), String> {
    let faults = host::list(db, "SELECT fault || ': ' || detail FROM crsql_check()");
    let allowed = ["constraint", "forked", "dropped", "leftover", "held", "altering", "hole"];
    for fault in faults.map_err(|e| format!("crsql_check() fails: {e}"))? {
        let unseen = !changesets && fault.starts_with("unseen");
        if !unseen && !allowed.iter().any(|a| fault.starts_with(a)) {
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
pub fn converge(world: &World, db: &Connection, fair: bool) -> Result<(), String> {
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
    sound(&fresh, true).map_err(|e| format!("at a fresh peer {e}"))?;
    let held = "SELECT count(*) FROM crsql_held";
    let nothing_held = alike && host::text(db, held)? == "0" && host::text(&fresh, held)? == "0";
    if fair && nothing_held {
        same(db, &fresh, "a fresh peer that pulled everything")
    } else {
        Ok(())
    }
}

/// A fresh peer that is given every row of the feed has the same.
pub fn follow(world: &World, db: &Connection) -> Result<(), String> {
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
pub fn works(db: &Connection, asked: Asked, ours: bool) -> Result<(), String> {
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
