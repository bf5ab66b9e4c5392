//! The end of a case: everything is mended, everybody exchanges everything, and then all must
//! agree, with each other and with the model.

use crate::case::{Case, Step};
use crate::exchange::{VECTOR, any_held};
use crate::host::{self, ask, show};
use crate::migrate::{Effect, Migration, is_anew};
use crate::model::{Rows, Tables};
use crate::replica::{Replica, dump, seen};
use crate::template::Template;
use crate::types::{self, column_of};
use crate::world::{Verdict, World};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// What the check says to do about what came row by row, and was lost where it came from.
const UNSEEN: &str = "SELECT substr(detail, instr(detail, 'SELECT ')) FROM crsql_check()
    WHERE fault = 'unseen'";

/// Runs a case to its end; gives the number that everything in it was folded into.
pub fn run(case: &Case, template: &mut Template) -> Verdict<u64> {
    let mut world = World::new(case, template);
    world.run()?;
    judge(&mut world)?;
    Ok(world.trace)
}

fn judge(world: &mut World<'_>) -> Verdict<()> {
    heal(world)?;
    let settled = settle(world);
    // Whoever lies about its schema has its changes held where they came as a changeset, and merged
    // where they came as rows, which tell of no schema.
    let waits = |r: &Replica| r.main().and_then(any_held).unwrap_or(true);
    let forged = world.case.is_hostile();
    if world.case.has_liar() || forged && world.replicas.iter().any(waits) {
        // Peers are trusted for what they say. But nothing may break.
        return (0..world.replicas.len()).try_for_each(|at| {
            sound(world.replicas[at].main().map_err(|e| e.text)?, true)
                .map_err(|e| format!("after a lie, replica {at}: {e}"))
        });
    }
    settled?;
    if world.case.is_forked() && count_as_seen(world)? {
        settle(world)?;
    }
    for at in 0..world.replicas.len() {
        replica(world, at).map_err(|e| format!("in the end, replica {at}: {e}"))?;
    }
    let mut merged = world.model.tables();
    let all = &world.case.migrations;
    let types = types::at(&types::declared(world.case), all, all.len());
    let resolved = types::resolve(&mut merged, &world.replicas[0].tables, &types);
    let forked = world.case.is_forked();
    for (at, r) in world.replicas.iter().enumerate() {
        let first = &world.replicas[0].tables;
        differ(first, &r.tables)
            .map_or(Ok(()), |e| Err(format!("replica {at} differs from replica 0: {e}")))?;
        if !forked && at == 0 {
            let without_keys = strip(first);
            resolved.clone().map_err(|e| format!("all replicas differ from the model: {e}"))?;
            let without_keys =
                if all.is_empty() { without_keys } else { told(&merged, without_keys, all) };
            differ(&merged, &without_keys)
                .map_or(Ok(()), |e| Err(format!("all replicas differ from the model: {e}")))?;
        }
    }
    Ok(())
}

/// Open transactions end, clocks are right again and nothing is about to break.
fn heal(world: &mut World<'_>) -> Verdict<()> {
    let most = world.replicas.iter().map(|r| r.off).max().unwrap_or(0).max(0);
    let stepped =
        world.case.steps.iter().map(|s| if let Step::Clock { ms, .. } = s { *ms } else { 0 });
    world.time += most.max(stepped.max().unwrap_or(0)) + 1000;
    for at in 0..world.replicas.len() {
        let r = &mut world.replicas[at];
        r.off = 0;
        r.machine().borrow_mut().fuse = None;
        r.mail.clear();
    }
    world.set_clocks();
    for at in 0..world.replicas.len() {
        for db in world.replicas[at].conns.iter().flatten().filter(|db| !db.is_autocommit()) {
            if host::run(db, "COMMIT").is_err() {
                host::run(db, "ROLLBACK").map_err(|e| format!("ROLLBACK: {}", e.text))?;
            }
        }
        world.observe(at)?;
        for _ in world.replicas[at].level..world.case.migrations.len() {
            world.migrate(at)?;
        }
        if world.replicas[at].level < world.case.migrations.len() {
            return Err(format!("replica {at} cannot change its schema"));
        }
    }
    Ok(())
}

/// Rounds in which everybody asks all that it can reach, until nothing is new.
fn settle(world: &mut World<'_>) -> Verdict<()> {
    let (n, net) = (world.case.replicas, world.case.net);
    let most = 3 * net.diameter(n) + 1;
    for round in 0..=most {
        let mut news = 0;
        let mut known = if round > 0 { knowledge(world)? } else { vec![None; n] };
        for to in 0..n {
            for from in (0..n).filter(|from| net.joins(n, to, *from)) {
                // Who knows the same has nothing to tell; some are asked all the same.
                let same = known[to].is_some() && known[to] == known[from];
                if same && !world.rng.one_in(4) {
                    continue;
                }
                let rows = round == 0 && world.rng.one_in(4);
                let answers = world.pull(to, from, rows, 0)?;
                if same && answers > 0 {
                    return Err(format!("replica {from} knows what replica {to} knows, and more"));
                }
                if answers > 0 {
                    known[to] = None;
                }
                news += if rows { 1 } else { answers };
            }
        }
        if news == 0 {
            return Ok(());
        }
    }
    Err(format!("after {most} rounds there is still something new"))
}

/// What every replica says that it knows, but for who says so.
fn knowledge(world: &World<'_>) -> Verdict<Vec<Option<String>>> {
    let all = world.replicas.iter().map(|r| {
        let vector: String = r.main().and_then(|db| ask(db, VECTOR, [])).map_err(|e| e.text)?;
        let (before, rest) = vector.split_once("\"site\":\"").ok_or("a vector without a site")?;
        Ok(Some(format!("{before}{}", rest.split_once('"').map_or("", |(_, rest)| rest))))
    });
    all.collect()
}

/// Rows that came from a file which was then put back from a backup, before it could say that they
/// were all: who has them counts them as seen, by the statement that the check tells. True where
/// there were any.
fn count_as_seen(world: &World<'_>) -> Verdict<bool> {
    let mut any = false;
    for r in &world.replicas {
        let db = r.main().map_err(|e| e.text)?;
        let text = |e: rusqlite::Error| e.to_string();
        let mut stmt = db.prepare(UNSEEN).map_err(text)?;
        let all = stmt.query_map([], |row| row.get(0)).map_err(text)?;
        for sql in all.collect::<Result<Vec<String>, _>>().map_err(text)? {
            ask::<String>(db, &sql, []).map_err(|e| format!("{sql}: {}", e.text))?;
            any = true;
        }
    }
    Ok(any)
}

fn replica(world: &mut World<'_>, at: usize) -> Verdict<()> {
    world.observe(at)?;
    let r = &world.replicas[at];
    let db = r.idle().ok_or("a transaction is open")?;
    let text = |e: host::Failed| e.text;
    let hostile = world.case.is_hostile();
    sound(db, hostile)?;
    if let Some(held) = held(db, &world.case.migrations)?.filter(|_| !hostile) {
        return Err(format!("something is held: {held}"));
    }
    let digest: String = ask(db, "SELECT crsql_digest()", []).map_err(text)?;
    let vector: String = ask(db, "SELECT crsql_vector()", []).map_err(text)?;
    let site: Vec<u8> = ask(db, "SELECT crsql_site_id()", []).map_err(text)?;
    let restored = world.case.is_forked();
    if site != r.site && !restored {
        return Err("it took a new identity and there was no fork".into());
    }
    let known = seen(&serde_json::from_str(&vector).unwrap_or_default());
    for (site, version) in world.model.log.keys().filter(|_| !restored) {
        let ranges = known.get(site).map(Vec::as_slice).unwrap_or_default();
        if !ranges.iter().any(|(lo, hi)| (*lo..=*hi).contains(version)) {
            return Err(format!("version {version} of {} was never seen", show(site)));
        }
    }
    let tables = dump(db, &r.shapes).map_err(text)?;
    world.note(digest.as_bytes());
    world.replicas[at].tables = tables;
    if at == 0 {
        world.digest.clone_from(&digest);
    }
    if digest != world.digest {
        let differ = differ(&world.replicas[0].tables, &world.replicas[at].tables);
        return Err(format!("its digest is not that of replica 0: {differ:?}"));
    }
    Ok(())
}

/// Whether a file and what crsql knows of it are in order.
fn sound(db: &Connection, hostile: bool) -> Verdict<()> {
    let sound: String = ask(db, "PRAGMA integrity_check", []).map_err(|e| e.text)?;
    if sound != "ok" && !sound.starts_with("CHECK constraint failed") {
        return Err(format!("integrity_check: {sound}"));
    }
    match faults(db, hostile)? {
        Some(fault) => Err(format!("crsql_check() finds {fault}")),
        None => Ok(()),
    }
}

/// The names, former ones too, of all that is dropped.
fn gone(all: &[Migration]) -> BTreeSet<String> {
    let mut gone = BTreeSet::new();
    for m in all.iter().rev() {
        match &m.effect {
            Effect::Drop(_, name) | Effect::Anew(name) => drop(gone.insert(name.clone())),
            Effect::Column(_, from, to) | Effect::Table(from, to) if gone.contains(to) => {
                gone.insert(from.clone());
            }
            _ => {}
        }
    }
    gone
}

/// The first change that is held, but for those of columns and tables that are gone everywhere.
fn held(db: &Connection, all: &[Migration]) -> Verdict<Option<String>> {
    let gone = gone(all);
    let is_gone = |name: &String| gone.contains(name);
    let sql = "SELECT \"table\", cid, reason FROM crsql_held ORDER BY 1, 2";
    let text = |e: rusqlite::Error| host::Failed::from(e).text;
    let mut stmt = db.prepare(sql).map_err(text)?;
    let mut rows = stmt.query([]).map_err(text)?;
    while let Some(row) = rows.next().map_err(text)? {
        let column = |n| row.get::<_, String>(n).map_err(text);
        let (table, cid) = (column(0)?, column(1)?);
        if !is_gone(&table) && !is_gone(&column_of(&cid).to_owned()) {
            return Ok(Some(format!("{table}.{cid}: {}", column(2)?)));
        }
    }
    Ok(None)
}

/// The first thing that `crsql_check()` finds, but for rows that break a CHECK, which merges may.
fn faults(db: &Connection, hostile: bool) -> Verdict<Option<String>> {
    let sql = "SELECT min(fault || ': ' || coalesce(\"table\", '') || ' ' || detail)
               FROM crsql_check() WHERE fault NOT IN ('constraint', 'forked', ?1, ?2)";
    // A hostile peer may begin with any version, and give a row any of them.
    let but = if hostile { ["hole", "unseen"] } else { ["", ""] };
    ask(db, sql, but).map_err(|e| format!("crsql_check: {}", e.text))
}

/// The tables without the columns of keys, which the model does not tell; empty ones are left out.
fn strip(tables: &Tables) -> Tables {
    let strip = |rows: &Rows| -> Rows {
        let rows = rows.iter().map(|(key, row)| {
            let cells = row.iter().filter(|(name, _)| !name.starts_with(crate::model::KEY));
            (key.clone(), cells.map(|(n, v)| (n.clone(), v.clone())).collect())
        });
        rows.collect()
    };
    let all = tables.iter().filter(|(_, rows)| !rows.is_empty());
    all.map(|(name, rows)| (name.clone(), strip(rows))).collect()
}

/// Where the schema changed: the cells that the model tells of, and no table that began again.
fn told(merged: &Tables, mut tables: Tables, all: &[Migration]) -> Tables {
    tables.retain(|name, _| !is_anew(all, name));
    for (name, rows) in &mut tables {
        for (key, row) in rows {
            let known = merged.get(name).and_then(|rows| rows.get(key));
            row.retain(|column, _| known.is_none_or(|known| known.contains_key(column)));
        }
    }
    tables
}

/// The first difference between two sets of tables, for people.
fn differ(a: &Tables, b: &Tables) -> Option<String> {
    let none = Rows::new();
    for name in a.keys().chain(b.keys()) {
        let (a, b) = (a.get(name).unwrap_or(&none), b.get(name).unwrap_or(&none));
        for key in a.keys().chain(b.keys()) {
            let (x, y) = match (a.get(key), b.get(key)) {
                (Some(x), Some(y)) => (x, y),
                (x, _) => {
                    let which = if x.is_some() { "second" } else { "first" };
                    return Some(format!("{name}: the {which} lacks row {}", key.escape_ascii()));
                }
            };
            for column in x.keys().chain(y.keys()) {
                if x.get(column) != y.get(column) {
                    let of = |row: &std::collections::BTreeMap<String, Vec<u8>>| {
                        row.get(column).map_or("nothing".into(), |v| show(v))
                    };
                    let key = key.escape_ascii();
                    return Some(format!("{name}.{column} of {key}: {} and {}", of(x), of(y)));
                }
            }
        }
    }
    None
}
