//! What a script is before the faults: its files prepared, its steps known, and what each of them
//! gives and leaves when nothing fails.

use super::layer;
use super::script::{Act, Part, Script};
use super::state::{self, Disk, Rows, State};
use crate::disk;
use crate::host::{self, Answer, Cell, Failed, ask};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::ops::Range;

/// The machines: the tested one, its peer, one that pulls everything, one that the process died on.
pub const TESTED: usize = 0;
const PEER: usize = 1;
pub const FRESH: usize = 2;
pub const DIED: usize = 3;
/// A copy of the tested one, to look at.
pub const LOOKED: usize = 4;

/// Milliseconds of the Julian day at which scripts begin.
const BEGIN: i64 = 212_600_000_000_000;

/// One thing that is done.
#[derive(Clone)]
pub enum Deed {
    Sql(String, Vec<Cell>),
    Reopen,
}

impl std::fmt::Display for Deed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Deed::Sql(sql, _) => f.write_str(sql),
            Deed::Reopen => f.write_str("opening"),
        }
    }
}

/// What a deed gives.
pub type Told = Result<Rows, Failed>;

/// Deeds between two moments without an open transaction.
pub struct Step {
    pub deeds: Range<usize>,
    /// It is under fault.
    pub faults: bool,
}

pub struct Prepared {
    pub script: Script,
    pub disk: Disk,
    pub deeds: Vec<Deed>,
    pub told: Vec<Told>,
    pub steps: Vec<Step>,
    /// What the file holds before the first step and after each.
    pub states: Vec<State>,
    /// For each of these, a peer that has nothing, where that can get everything: it cannot where
    /// rows came one by one and nobody said yet that these are all, or where some wait.
    pub fresh: Vec<Option<Disk>>,
}

/// Names that the script gave to values and rows.
#[derive(Default)]
struct Names {
    values: BTreeMap<String, Cell>,
    rows: BTreeMap<String, Vec<Vec<Cell>>>,
}

/// A connection through the layer that fails.
pub fn open(script: &Script) -> Answer<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags_and_vfs("db", flags, layer::NAME)?;
    db.busy_timeout(std::time::Duration::ZERO)?;
    for pragma in &script.open {
        host::run(&db, pragma)?;
    }
    Ok(db)
}

/// Randomness and time before a deed: the same whenever it is done.
pub fn before(at: usize, disk: &Disk) {
    disk::seed(1000 + at as u64);
    disk::machine(TESTED).borrow_mut().now = disk.now + 1000 * at as i64;
}

/// Runs a statement with its values; gives its rows.
pub fn run(db: &Connection, sql: &str, values: &[Cell]) -> Told {
    let mut stmt = db.prepare(sql)?;
    let columns = stmt.column_count();
    let mut rows = stmt.query(rusqlite::params_from_iter(values))?;
    let mut out = Rows::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|at| Ok(host::encode(row.get_ref(at)?)));
        out.push(values.collect::<Result<Vec<_>, rusqlite::Error>>()?.join(&b"|"[..]));
    }
    Ok(out)
}

impl Names {
    /// The values of a statement that is about to be done.
    fn values(&self, db: &Connection, sql: &str) -> Result<Vec<Cell>, String> {
        let stmt = db.prepare(sql).map_err(|e| format!("{e}: {sql}"))?;
        let names = (1..=stmt.parameter_count()).map(|n| stmt.parameter_name(n).unwrap_or("?"));
        let known = |name: &str| self.values.get(&name[1..]).cloned();
        names.map(|n| known(n).ok_or_else(|| format!("nothing is kept as {n}: {sql}"))).collect()
    }

    fn keep(&mut self, db: &Connection, act: &Act) -> Result<(), String> {
        let (Act::Keep(name, sql) | Act::Rows(name, sql)) = act else { return Ok(()) };
        let values = self.values(db, sql)?;
        let text = |e: rusqlite::Error| format!("{e}: {sql}");
        let mut stmt = db.prepare(sql).map_err(text)?;
        let columns = stmt.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            (0..columns).map(|at| Ok(Cell(host::encode(row.get_ref(at)?)))).collect()
        };
        let all = stmt.query_map(rusqlite::params_from_iter(&values), row).map_err(text)?;
        let all: Vec<Vec<Cell>> = all.collect::<Result<_, _>>().map_err(text)?;
        if matches!(act, Act::Rows(..)) {
            self.rows.insert(name.clone(), all);
            return Ok(());
        }
        let first = all.into_iter().next().and_then(|row| row.into_iter().next());
        self.values.insert(name.clone(), first.ok_or_else(|| format!("no row: {sql}"))?);
        Ok(())
    }

    /// What a part does, in deeds: values may be named that were kept before.
    fn deeds(&self, act: &Act) -> Result<Vec<Deed>, String> {
        Ok(match act {
            Act::Sql(sql) => {
                let names = sql.match_indices(':').filter_map(|(at, _)| {
                    let rest = &sql[at + 1..];
                    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                    self.values.get(&rest[..end.unwrap_or(rest.len())])
                });
                vec![Deed::Sql(sql.clone(), names.cloned().collect())]
            }
            Act::Each(name, sql) => {
                let rows = self.rows.get(name).ok_or_else(|| format!("no rows {name}"))?;
                rows.iter().map(|row| Deed::Sql(sql.clone(), row.clone())).collect()
            }
            Act::Reopen => vec![Deed::Reopen],
            other => return Err(format!("this cannot be under fault: {other:?}")),
        })
    }
}

/// Runs the parts that prepare.
fn prepare(script: &Script, names: &mut Names) -> Result<(), String> {
    let mut conns: [Option<Connection>; 2] = [None, None];
    for (n, (part, act)) in script.acts.iter().enumerate() {
        let of = match part {
            Part::Peer => PEER,
            Part::Before => TESTED,
            Part::Faults | Part::After => continue,
        };
        disk::seed(n as u64);
        for machine in [TESTED, PEER] {
            disk::machine(machine).borrow_mut().now += 1000;
        }
        match act {
            Act::Later(ms) => {
                disk::machine(of).borrow_mut().now += ms;
                continue;
            }
            Act::Reopen => conns[of] = None,
            Act::Copy => {
                conns = [None, None];
                Disk::of(TESTED).put(PEER);
            }
            _ => {}
        }
        if conns[of].is_none() {
            let pragmas = script.open.as_slice();
            conns[of] = Some(host::open(of, pragmas).map_err(|e| e.text)?);
        }
        let Some(db) = &conns[of] else { continue };
        match act {
            Act::Sql(_) | Act::Each(..) => {
                for deed in names.deeds(act)? {
                    let Deed::Sql(sql, values) = deed else { continue };
                    run(db, &sql, &values).map_err(|e| format!("{}: {sql}", e.text))?;
                }
            }
            act => names.keep(db, act)?,
        }
    }
    Ok(())
}

impl Prepared {
    /// Prepares the files and runs the script once with nothing that fails.
    pub fn new(script: Script) -> Result<Prepared, String> {
        for machine in [TESTED, PEER, FRESH, DIED, LOOKED] {
            let mut machine = disk::machine(machine).borrow_mut();
            machine.reset();
            machine.now = BEGIN;
        }
        let mut names = Names::default();
        prepare(&script, &mut names)?;
        let mut deeds = Vec::new();
        for act in script.part(Part::Faults) {
            deeds.extend(names.deeds(act)?);
        }
        let under_fault = deeds.len();
        for act in script.part(Part::After) {
            deeds.extend(names.deeds(act)?);
        }
        let disk = Disk::of(TESTED);
        let (told, steps, states, fresh) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut out = Prepared { script, disk, deeds, told, steps, states, fresh };
        out.rehearse(under_fault)?;
        Ok(out)
    }

    fn rehearse(&mut self, under_fault: usize) -> Result<(), String> {
        let mut db = open(&self.script).map_err(|e| format!("opening: {}", e.text))?;
        self.look()?;
        let mut from = 0;
        for (at, deed) in self.deeds.clone().iter().enumerate() {
            before(at, &self.disk);
            self.told.push(match deed {
                Deed::Sql(sql, values) => run(&db, sql, values),
                Deed::Reopen => {
                    drop(db);
                    db = open(&self.script).map_err(|e| format!("opening: {}", e.text))?;
                    Ok(Rows::new())
                }
            });
            if db.is_autocommit() {
                let faults = at < under_fault;
                self.steps.push(Step { deeds: from..at + 1, faults });
                from = at + 1;
                self.look()?;
            } else if at + 1 == under_fault {
                return Err("a transaction is open where the faults end".into());
            }
        }
        if from != self.deeds.len() {
            return Err("a transaction is open in the end".into());
        }
        match self.fresh.last() {
            Some(Some(_)) => Ok(()),
            _ => Err("in the end, a peer that pulled everything differs".into()),
        }
    }

    /// What the file holds now, from a copy of it; and a fresh peer for it.
    fn look(&mut self) -> Result<(), String> {
        let text = |e: Failed| format!("looking at step {}: {}", self.states.len(), e.text);
        Disk::of(TESTED).put(DIED);
        let db = host::open(DIED, &[]).map_err(text)?;
        let state = state::read(&db).map_err(text)?;
        let found = "SELECT min(fault || ': ' || detail) FROM crsql_check() WHERE fault NOT IN
                     (SELECT value FROM json_each(?1))";
        let leaves = serde_json::json!(self.script.leaves).to_string();
        let found: Option<String> = ask(&db, found, [leaves]).map_err(text)?;
        if let Some(found) = found {
            return Err(format!("crsql_check() after step {}: {found}", self.states.len()));
        }
        state::sound(&db)?;
        disk::machine(FRESH).borrow_mut().reset();
        disk::machine(FRESH).borrow_mut().now = self.disk.now + 1_000_000;
        let fresh = host::open(FRESH, &[]).map_err(text)?;
        for sql in state::schema(&db).map_err(text)? {
            host::run(&fresh, &sql).map_err(text)?;
        }
        drop(fresh);
        let files = Disk::of(FRESH);
        self.fresh.push(state::pulled(&db, FRESH).is_ok().then_some(files));
        self.states.push(state);
        Ok(())
    }
}
