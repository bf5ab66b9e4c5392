//! From a seed to a case: which world, and what happens in it.

use crate::case::{Case, NETS, Step};
use crate::migrate;
use crate::rng::Rng;
use crate::shape::{ARM, Table, literal};

/// So many seeds in a row share a world, so that it is made once.
const SEEDS_PER_WORLD: u64 = 32;

/// What may happen, beyond statements and a network that loses nothing.
#[derive(Clone, Debug)]
pub struct Menu {
    pub steps: usize,
    /// Copies of one file that both write: two sites of one name.
    pub forks: bool,
    /// Tables that are dropped and made again.
    pub anew: bool,
    /// Changesets of the right form that say what nobody wrote.
    pub hostile: bool,
}

struct World {
    tables: Vec<Table>,
    case: Case,
}

/// The case of a seed.
pub fn plan(seed: u64, menu: &Menu) -> Case {
    let World { tables, mut case } = world(seed / SEEDS_PER_WORLD);
    case.seed = seed;
    let mut rng = Rng::new(seed);
    let has = |end: &str| case.pragmas.iter().any(|p| p.ends_with(end));
    // Without a journal on the disk a file does not outlive its process, and without all syncs a
    // rollback journal does not always save it when the power goes: SQLite says so.
    let harm = rng.one_in(3) && !has("MEMORY");
    let power = has("WAL") || has("FULL") || has("EXTRA");
    let two = rng.one_in(4);
    let tame = rng.one_in(2);
    let mut open = [false; 8 * 2];
    let mut levels = vec![tables];
    if rng.one_in(3) {
        (case.migrations, levels) = migrate::plan(&mut rng, &levels[0], menu.anew);
    }
    let mut level = [0; 8];
    let hostile = rng.one_in(8).then(|| rng.one_in(2)).filter(|_| menu.hostile);
    // What the model cannot follow is kept to few seeds: nobody compares with it there.
    let forks = menu.forks && harm && rng.one_in(4);
    for _ in 0..menu.steps {
        if levels.len() > 1 && rng.one_in(12) {
            let at = rng.below(case.replicas);
            level[at] = (level[at] + 1).min(levels.len() - 1);
            case.steps.push(Step::Migrate { at });
            continue;
        }
        let step = match rng.below(20) {
            0..=8 => {
                let at = rng.below(case.replicas);
                sql(&mut rng, &levels[level[at]], at, &mut open, two)
            }
            9..=14 => exchange(&mut rng, &case),
            15..=17 => message(&mut rng, case.replicas, hostile),
            18 if harm => accident(&mut rng, case.replicas, forks, power),
            _ => around(&mut rng, case.replicas, tame),
        };
        case.steps.push(step);
    }
    case
}

fn world(n: u64) -> World {
    let mut rng = Rng::new(n ^ 0x5eed_0000_0000);
    let replicas = *rng.pick(&[2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 5, 7]);
    let mut tables: Vec<Table> =
        (0..*rng.pick(&[1, 1, 1, 2, 2, 3, 5])).map(|n| Table::random(&mut rng, n)).collect();
    let mut setup = Vec::new();
    // What merges how leaves the rest of the world as it is.
    let mut typing = Rng::new(n ^ 0x7e5_0000_0000);
    let mut ruling = Rng::new(n ^ 0x901_0000_0000);
    if rng.one_in(4) {
        setup.push("CREATE TABLE armed(n)".to_owned());
        for t in &mut tables {
            let guard = t.guard(&mut rng);
            t.triggers.push(guard);
        }
    }
    for t in &mut tables {
        setup.push(t.ddl());
        setup.extend(t.triggers.iter().cloned());
        if rng.one_in(4) {
            setup.push(format!(
                "INSERT OR IGNORE INTO {}({}) VALUES({})",
                t.name,
                t.names(),
                t.row(&mut rng)
            ));
        }
        setup.push(format!("SELECT crsql_as_crr({})", literal(&t.name)));
        types(&mut typing, t);
        if ruling.one_in(3) {
            t.policy = Some(*ruling.pick(&["update-wins", "update-wins", "grow-only"]));
        }
        setup.extend(t.merges());
    }
    let page = rng.pick(&["1024", "1024", "4096", "512", "8192"]);
    let journal = rng.pick(&["WAL", "WAL", "DELETE", "TRUNCATE", "PERSIST", "MEMORY"]);
    // A deleted journal comes back with the power unless EXTRA syncs the folder.
    let full = if *journal == "DELETE" { "EXTRA" } else { "FULL" };
    let synchronous = if rng.one_in(2) { "NORMAL" } else { full };
    let pragmas = vec![
        format!("PRAGMA page_size = {page}"),
        format!("PRAGMA journal_mode = {journal}"),
        format!("PRAGMA synchronous = {synchronous}"),
        format!("PRAGMA recursive_triggers = {}", rng.below(2)),
        format!("PRAGMA trusted_schema = {}", rng.below(2)),
    ];
    let net = *rng.pick(&NETS);
    World {
        tables,
        case: Case {
            seed: 0,
            replicas,
            net,
            pragmas,
            setup,
            migrations: Vec::new(),
            steps: Vec::new(),
        },
    }
}

/// How columns merge. SQLite's own max() stands for a function of the application.
const KINDS: [&str; 17] = [
    "counter",
    "counter",
    "counter",
    "gcounter",
    "max",
    "min",
    "set",
    "set",
    "set",
    "map",
    "map",
    "multi",
    "bounded",
    "custom:max",
    "text",
    "text",
    "text",
];

/// Chooses how some columns merge.
fn types(rng: &mut Rng, t: &mut Table) {
    if !rng.one_in(3) {
        return;
    }
    for c in &mut t.columns {
        if rng.one_in(2) {
            let kind = *rng.pick(&KINDS);
            let of = |names: &[&str]| names.iter().any(|name| c.declared.starts_with(name));
            let fits = match kind {
                "counter" | "gcounter" => !of(&["TEXT"]),
                "bounded" => !of(&["TEXT", "REAL"]) && (c.strict.is_none() || !of(&["BLOB"])),
                "set" | "map" | "text" => {
                    !of(&["INTEGER", "REAL", "NUMERIC"]) && (c.strict.is_none() || !of(&["BLOB"]))
                }
                _ => true,
            };
            c.merge = Some(kind).filter(|_| fits);
        }
    }
}

/// Some statements of an application: by themselves, in a transaction, or leaving one open.
fn sql(rng: &mut Rng, tables: &[Table], at: usize, open: &mut [bool], two: bool) -> Step {
    let conn = usize::from(two && rng.one_in(3));
    let mut list = Vec::new();
    let is_open = &mut open[at * 2 + conn];
    let inside = *is_open || rng.one_in(3);
    if inside && !*is_open {
        list.push((*rng.pick(&["BEGIN", "BEGIN", "BEGIN IMMEDIATE"])).to_owned());
    }
    for _ in 0..1 + rng.below(if inside { 3 } else { 1 }) {
        let table = rng.pick(tables);
        if inside && rng.one_in(6) {
            list.push("SAVEPOINT s".into());
            list.push(statement(rng, table));
            if rng.one_in(3) {
                // Whoever reads the feed makes crsql write down what the transaction did so far.
                list.push("SELECT count(*) FROM crsql_changes".into());
            }
            if rng.one_in(2) {
                list.push("ROLLBACK TO s".into());
                if rng.one_in(2) {
                    list.push(statement(rng, table));
                }
            }
            list.push("RELEASE s".into());
        } else {
            list.push(statement(rng, table));
        }
    }
    // The guards refuse what this transaction does from here on, up to its end.
    let guards = tables.iter().any(|t| t.triggers.iter().any(|t| t.contains("armed")));
    let armed = guards && inside && rng.one_in(2);
    if armed {
        list.push(ARM.into());
        (0..1 + rng.below(2)).for_each(|_| {
            let table = rng.pick(tables);
            list.push(statement(rng, table));
        });
        list.push("DELETE FROM armed".into());
    }
    *is_open = inside && !armed && rng.one_in(8);
    if inside && !*is_open {
        list.push((*rng.pick(&["COMMIT", "COMMIT", "COMMIT", "COMMIT", "ROLLBACK"])).to_owned());
    }
    Step::Sql { at, conn, list }
}

fn statement(rng: &mut Rng, t: &Table) -> String {
    let (name, names) = (&t.name, t.names());
    let kind = rng.below(16);
    if kind < 5 || t.columns.is_empty() && kind > 8 {
        let or = rng.pick(&["", " OR REPLACE", " OR REPLACE", " OR IGNORE", " OR FAIL"]);
        let more = if rng.one_in(4) { format!(", ({})", t.row(rng)) } else { String::new() };
        return format!("INSERT{or} INTO {name}({names}) VALUES({}){more}", t.row(rng));
    }
    match kind {
        5 | 6 => format!("DELETE FROM {name} WHERE {}", t.is_some(rng)),
        7 => {
            let or = rng.pick(&["", " OR REPLACE", " OR REPLACE", " OR IGNORE"]);
            let (key, domain) = rng.pick(&t.keys);
            let key = if t.rowid && rng.one_in(4) { "rowid" } else { key };
            format!("UPDATE{or} {name} SET {key} = {} WHERE {}", domain.value(rng), t.is_some(rng))
        }
        8 if rng.one_in(6) => format!("DELETE FROM {name}"),
        8 => {
            let from = rng.pick(&t.keys).0.clone();
            format!("DELETE FROM {name} WHERE {from} > {}", t.keys[0].1.value(rng))
        }
        9 | 10 => upsert(rng, t),
        _ => update(rng, t),
    }
}

fn upsert(rng: &mut Rng, t: &Table) -> String {
    let (name, names, keys) = (&t.name, t.names(), t.key_names());
    let column = &rng.pick(&t.columns).name;
    let source = match rng.below(3) {
        0 => format!("SELECT {names} FROM {name} WHERE true"),
        _ => format!("VALUES({})", t.row(rng)),
    };
    let set = match rng.below(3) {
        0 => "NOTHING".to_owned(),
        1 => format!("UPDATE SET {column} = excluded.{column}"),
        _ => {
            let value = rng.pick(&t.columns);
            format!("UPDATE SET {} = {}", value.name, value.value(rng))
        }
    };
    format!("INSERT INTO {name}({names}) {source} ON CONFLICT({keys}) DO {set}")
}

fn update(rng: &mut Rng, t: &Table) -> String {
    let mut sets = Vec::new();
    for _ in 0..1 + rng.below(2) {
        let column = rng.pick(&t.columns);
        let other = &rng.pick(&t.columns).name;
        sets.push(match rng.below(8) {
            0 => format!("{} = {other}", column.name),
            1 => format!("{0} = {0} + {1}", column.name, rng.below(9) as i64 - 4),
            _ => format!("{} = {}", column.name, column.value(rng)),
        });
    }
    let or = rng.pick(&["", "", "", " OR IGNORE", " OR FAIL", " OR REPLACE"]);
    let all = rng.one_in(6);
    let which = if all { String::new() } else { format!(" WHERE {}", t.is_some(rng)) };
    format!("UPDATE{or} {} SET {}{which}", t.name, sets.join(", "))
}

/// Two that can reach each other.
fn pair(rng: &mut Rng, case: &Case) -> (usize, usize) {
    loop {
        let (a, b) = (rng.below(case.replicas), rng.below(case.replicas));
        if case.net.joins(case.replicas, a, b) {
            return (a, b);
        }
    }
}

fn exchange(rng: &mut Rng, case: &Case) -> Step {
    let (to, from) = pair(rng, case);
    let rows = rng.one_in(4);
    let max = *rng.pick(&[0, 0, 0, 1, 200, 1000]);
    match rng.one_in(2) {
        true => Step::Pull { to, from, rows, max },
        false => Step::Ask { to, from, rows, max },
    }
}

fn message(rng: &mut Rng, replicas: usize, hostile: Option<bool>) -> Step {
    let (to, nth) = (rng.below(replicas), rng.below(4));
    if let (Some(liar), true) = (hostile, rng.one_in(3)) {
        return Step::Forge { to, nth, seed: rng.next() % 1_000_000, liar };
    }
    match rng.below(12) {
        0 => Step::Lose { to, nth },
        1 => Step::Garble { to, nth, bit: rng.below(100_000) },
        2..=4 => Step::Take { to, nth, copy: true },
        _ => Step::Take { to, nth, copy: false },
    }
}

fn around(rng: &mut Rng, replicas: usize, tame: bool) -> Step {
    let at = rng.below(replicas);
    match rng.below(10) {
        0..=3 => Step::Tick { ms: *rng.pick(&[1, 1, 1000, 3_600_000]) },
        4 | 5 => {
            let year = 365 * 86_400_000i64;
            let wild = [299_000, 600_000, -600_000, year, -3 * year, 30 * year];
            let mild = [0, -1, 1000, 100_000, -100_000];
            Step::Clock { at, ms: *rng.pick(if tame { &mild } else { &wild }) }
        }
        6 | 7 => Step::Reopen { at },
        8 if rng.one_in(2) => {
            let what = rng.pick(&["foreign_keys", "recursive_triggers", "trusted_schema"]);
            let list = vec![format!("PRAGMA {what} = {}", rng.below(2))];
            Step::Sql { at, conn: 0, list }
        }
        8 => Step::Sql { at, conn: 0, list: vec!["VACUUM".into()] },
        _ => Step::Sql { at, conn: 0, list: vec!["PRAGMA wal_checkpoint(TRUNCATE)".into()] },
    }
}

fn accident(rng: &mut Rng, replicas: usize, forks: bool, power: bool) -> Step {
    let (at, after) = (rng.below(replicas), rng.below(40) as u32);
    match rng.below(if forks { 10 } else { 7 }) {
        0..=2 => Step::Kill { at, after },
        3 | 4 if power => Step::Power { at, after },
        3..=6 => Step::Full { at, after },
        7 => Step::Backup { at },
        _ => Step::Restore { at, from: rng.below(replicas) },
    }
}
