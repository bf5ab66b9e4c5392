//! The replicated tables as they are now: our register of ids (`crsql_tables`, `crsql_register`)
//! joined with the schema as SQLite tells it.
//!
//! A table is found by its triggers, which SQLite carries along when it is renamed, and its
//! columns by the update trigger's text, which SQLite rewrites. A column that neither the
//! register nor the trigger knows was added; it takes the next id. What is read here is kept
//! until the schema changes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::cache::{Cache, Fixed};
use super::names::Names;
use super::register::{follow, join, policy, registered, rename, with_former};
pub use super::register::{json_names, table_id};
use super::shape;
use super::{Db, snapshot, store, triggers};
use crate::types::Merge;
use crate::words::affinity::Affinity;
use crate::words::error::Result;
use crate::words::key::KeyKind;
use crate::words::policy::Policy;

const TABLE: Fixed = Fixed(20, "SELECT snapshot, shape, dropped FROM crsql_tables WHERE tid = ?1");
const NAMED: Fixed = Fixed(26, "SELECT name, former FROM crsql_tables WHERE tid = ?1");
const WATCHING: Fixed = Fixed(
    24,
    "SELECT name FROM main.sqlite_schema
     WHERE type = 'trigger' AND name >= 'crsql ' AND name < 'crsql!'
       AND tbl_name = ?1 COLLATE NOCASE LIMIT 1",
);
const TRIGGERS: Fixed = Fixed(
    23,
    "SELECT tbl_name, sql, name FROM main.sqlite_schema
     WHERE type = 'trigger' AND name >= ?1 AND name < ?2 ORDER BY rowid",
);

/// One replicated column.
#[derive(Clone, Debug)]
pub struct Col {
    /// Its id, never used again.
    pub id: u32,
    /// Its present name.
    pub name: String,
    /// Names it had before.
    pub former: Vec<String>,
    /// Its affinity.
    pub affinity: Affinity,
    /// NOT NULL
    pub notnull: bool,
    /// The text of its default.
    pub default: Option<String>,
    /// The declared type.
    pub declared: String,
    /// How it merges.
    pub merge: Merge,
}

/// One column of the key.
#[derive(Clone, Debug)]
pub struct KeyCol {
    /// Its present name.
    pub name: String,
    /// Its affinity.
    pub affinity: Affinity,
    /// A value may be stored in other than its canonical form.
    pub loose: bool,
}

/// One replicated table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its id, never used again.
    pub tid: u32,
    /// Its present name.
    pub name: String,
    /// Names it had before.
    pub former: Vec<String>,
    /// Its shape number.
    pub shape: u32,
    /// How its keys are stored.
    pub kind: KeyKind,
    /// STRICT
    pub strict: bool,
    /// The key columns, in the order of the key.
    pub keys: Vec<KeyCol>,
    /// The live replicated columns, by id.
    pub cols: Vec<Col>,
    /// The ids of the columns that the update trigger passes, in its order.
    pub watched: Vec<u32>,
    /// There are columns that the update trigger does not name.
    pub stale: bool,
    /// The columns that are in the register but gone from the table.
    pub gone: Vec<u32>,
    /// One more than the greatest column id ever given.
    pub next_id: u32,
    /// There are columns that merge by more than the last write.
    pub typed: bool,
    /// What becomes of its rows.
    pub policy: Policy,
}

impl Table {
    /// The position in `cols` of a column id.
    pub fn position(&self, id: u32) -> Option<usize> {
        self.cols.binary_search_by_key(&id, |c| c.id).ok()
    }

    /// The column with this name, now or, where no other has it now, before.
    pub fn column(&self, name: &str) -> Option<usize> {
        let now = self.cols.iter().position(|c| c.name.eq_ignore_ascii_case(name));
        now.or_else(|| self.cols.iter().position(|c| c.former.iter().any(|f| f == name)))
    }

    /// The ids of the live columns.
    pub fn ids(&self) -> Vec<u32> {
        self.cols.iter().map(|c| c.id).collect()
    }

    /// How many ids a row stamp covers: one more than the greatest live one.
    pub fn cover(&self) -> u32 {
        self.cols.last().map_or(0, |c| c.id + 1)
    }

    /// Columns that the update trigger does not name.
    pub fn unwatched(&self) -> impl Iterator<Item = &Col> {
        self.cols.iter().filter(|c| !self.watched.contains(&c.id))
    }

    /// The name of its clock table.
    pub fn clock(&self) -> String {
        clock_table(self.tid)
    }
}

/// The name of a table's clock table.
pub fn clock_table(tid: u32) -> String {
    format!("crsql_clock_{tid}")
}

/// What has been read of the catalog, for one connection.
#[derive(Default)]
pub struct Catalog {
    tables: RefCell<HashMap<u32, Rc<Table>>>,
    names: RefCell<Option<Rc<Names>>>,
    last: RefCell<Option<Rc<Table>>>,
    last_named: RefCell<Option<(String, Rc<Table>)>>,
    /// Those that were read from the schema, and at which version of it; nobody took a snapshot.
    found: RefCell<Vec<(i64, Rc<Table>)>>,
    triggers: RefCell<Option<HashMap<u32, Vec<Text>>>>,
    asked: Cell<Option<u32>>,
    version: Cell<i64>,
    thrown: Cell<i32>,
    installed: Cell<bool>,
    /// The data version at which this connection, only reading, last found nothing changed.
    read_at: Cell<Option<u32>>,
}

impl Catalog {
    /// Forgets what was read if the schema has changed since. Gives whether our tables are there.
    pub fn refresh(&self, cache: &Cache, db: Db) -> Result<bool> {
        let now = db.reading_at();
        if now.is_some() && now == self.read_at.get() {
            return Ok(self.installed.get());
        }
        let (version, thrown) = store::schema_mark(cache)?;
        if version != self.version.get() || thrown != self.thrown.get() || !self.installed.get() {
            self.forget();
            cache.forget_tables();
            self.installed.set(store::installed(cache)?);
            self.version.set(version);
            self.thrown.set(thrown);
        }
        self.read_at.set(now);
        Ok(self.installed.get())
    }

    /// The schema version at the last refresh.
    pub fn version(&self) -> (i64, i32) {
        (self.version.get(), self.thrown.get())
    }

    /// Forgets what was read.
    pub fn forget(&self) {
        self.tables.borrow_mut().clear();
        self.names.borrow_mut().take();
        self.last.borrow_mut().take();
        self.last_named.borrow_mut().take();
        self.found.borrow_mut().clear();
        self.triggers.borrow_mut().take();
        self.asked.set(None);
        self.read_at.set(None);
        self.version.set(-1);
    }

    /// Whether our tables were there when we last looked.
    pub fn installed(&self) -> bool {
        self.installed.get()
    }

    /// Reads the triggers of all tables in one go. They are kept until anything is forgotten.
    fn read_all_triggers(&self, cache: &Cache) -> Result<()> {
        let mut all: HashMap<u32, Vec<Text>> = HashMap::new();
        for text in texts(cache, "crsql ", "crsql!")? {
            if let Some(tid) = id_of(&text.name) {
                all.entry(tid).or_default().push(text);
            }
        }
        *self.triggers.borrow_mut() = Some(all);
        Ok(())
    }

    /// Reads the triggers of the table with this id; None where it has none. SQLite has no index
    /// on them: who asks for a second table reads them all.
    pub fn seen(&self, cache: &Cache, tid: u32) -> Result<Option<Seen>> {
        let prefix = triggers::prefix(tid);
        let before = self.asked.replace(Some(tid));
        if before.is_some_and(|b| b != tid) && self.triggers.borrow().is_none() {
            self.read_all_triggers(cache)?;
        }
        if let Some(all) = self.triggers.borrow().as_ref() {
            return Ok(seen_in(&prefix, all.get(&tid).map_or(&[], Vec::as_slice)));
        }
        seen(cache, tid)
    }

    /// The replicated table with this id, or None where there is none.
    pub fn table(&self, cache: &Cache, db: Db, tid: u32) -> Result<Option<Rc<Table>>> {
        if let Some(t) = self.last.borrow().as_ref().filter(|t| t.tid == tid) {
            return Ok(Some(Rc::clone(t)));
        }
        let kept = self.tables.borrow().get(&tid).cloned();
        let found = if kept.is_some() { kept } else { self.load(cache, db, tid)? };
        let Some(table) = found else { return Ok(None) };
        self.tables.borrow_mut().insert(tid, Rc::clone(&table));
        *self.last.borrow_mut() = Some(Rc::clone(&table));
        Ok(Some(table))
    }

    /// The names of all replicated tables.
    pub fn names(&self, cache: &Cache) -> Result<Rc<Names>> {
        if let Some(names) = self.names.borrow().as_ref() {
            return Ok(Rc::clone(names));
        }
        let names = Rc::new(Names::read(cache)?);
        *self.names.borrow_mut() = Some(Rc::clone(&names));
        Ok(names)
    }

    /// The replicated table that has this name now or, where no other has it now, had it before.
    pub fn named(&self, cache: &Cache, db: Db, name: &str) -> Result<Option<Rc<Table>>> {
        if let Some((_, t)) = self.last_named.borrow().as_ref().filter(|(last, _)| last == name) {
            return Ok(Some(Rc::clone(t)));
        }
        let found = match self.names(cache)?.find(name) {
            Some(tid) => self.table(cache, db, tid)?,
            None => None,
        };
        *self.last_named.borrow_mut() = found.clone().map(|t| (name.to_string(), t));
        Ok(found)
    }

    /// Keeps what was read from the schema for the connections to come. The caller writes anyway.
    pub fn save_snapshots(&self, cache: &Cache) -> Result<()> {
        let found = std::mem::take(&mut *self.found.borrow_mut());
        found.iter().try_for_each(|(version, table)| snapshot::save(cache, table, *version))
    }

    fn load(&self, cache: &Cache, db: Db, tid: u32) -> Result<Option<Rc<Table>>> {
        let mut stmt = cache.fixed(TABLE)?;
        stmt.bind_int(1, i64::from(tid))?;
        if !stmt.step()? || !stmt.is_null(2) {
            return Ok(None);
        }
        let (shape, version) = (table_id(stmt.int(1))?, self.version.get());
        if let Some(table) = snapshot::decode(stmt.blob(0), tid, shape, version) {
            return Ok(Some(Rc::new(table)));
        }
        drop(stmt);
        let mut stmt = cache.fixed(NAMED)?;
        stmt.bind_int(1, i64::from(tid))?;
        stmt.step()?;
        let (name, former) = (stmt.string(0), json_names(stmt.text(1))?);
        drop(stmt);
        let seen = self.seen(cache, tid)?;
        let now = seen.as_ref().map_or(name.as_str(), |s| s.name.as_str());
        let Some(found) = shape::read(db, now)? else { return Ok(None) };
        let mut columns = registered(cache, tid)?;
        let listed = seen.as_ref().and_then(|s| s.listed.as_ref());
        if let Some(listed) = listed {
            follow(&mut columns, listed, found.keys.len());
        }
        for (id, now) in seen.iter().flat_map(|s| &s.altering) {
            columns.iter_mut().filter(|c| c.id == *id).for_each(|c| rename(c, now));
        }
        let mut table = join(tid, shape, found, columns);
        table.former = with_former(former, &name, &table.name);
        table.policy = policy(cache, tid)?;
        let table = Rc::new(table);
        self.found.borrow_mut().push((version, Rc::clone(&table)));
        Ok(Some(table))
    }
}

/// The table whose triggers are on the table of this name.
pub fn watching(cache: &Cache, name: &str) -> Result<Option<u32>> {
    let mut stmt = cache.fixed(WATCHING)?;
    stmt.bind_text(1, name.as_bytes())?;
    Ok(if stmt.step()? { id_of(&stmt.string(0)) } else { None })
}

/// The table that a trigger of ours belongs to.
fn id_of(trigger: &str) -> Option<u32> {
    trigger.split(' ').nth(1).and_then(|tid| tid.parse().ok())
}

/// What the triggers of a table tell of it.
pub struct Seen {
    /// The present name of the table.
    pub name: String,
    /// The present names of keys and watched columns, or None where no trigger lists them.
    pub listed: Option<Vec<String>>,
    /// The present names of columns by id, between begin_alter and commit_alter.
    pub altering: Vec<(u32, String)>,
    /// The text of all triggers that are there, by name.
    pub texts: Vec<(String, String)>,
}

/// One trigger of ours as the schema has it.
#[derive(Clone, Debug)]
struct Text {
    table: String,
    sql: String,
    name: String,
}

fn texts(cache: &Cache, from: &str, to: &str) -> Result<Vec<Text>> {
    let mut stmt = cache.fixed(TRIGGERS)?;
    stmt.bind_text(1, from.as_bytes())?;
    stmt.bind_text(2, to.as_bytes())?;
    let mut out = Vec::new();
    while stmt.step()? {
        out.push(Text { table: stmt.string(0), sql: stmt.string(1), name: stmt.string(2) });
    }
    Ok(out)
}

/// Reads the triggers of the table with this id; None where it has none.
pub fn seen(cache: &Cache, tid: u32) -> Result<Option<Seen>> {
    let prefix = triggers::prefix(tid);
    let end = format!("{}!", prefix.trim_end());
    Ok(seen_in(&prefix, &texts(cache, &prefix, &end)?))
}

/// What these triggers tell. One whose text was edited tells nothing; it is made anew.
fn seen_in(prefix: &str, texts: &[Text]) -> Option<Seen> {
    let name = texts.first()?.table.clone();
    let mut seen = Seen { name, listed: None, altering: Vec::new(), texts: Vec::new() };
    for text in texts {
        let what = text.name.strip_prefix(prefix).unwrap_or("");
        if what.starts_with("update") {
            seen.listed = triggers::columns_of_update(&text.sql).ok();
        } else if let Some(id) = what.strip_prefix("altering ").and_then(|id| id.parse().ok())
            && let Ok(column) = triggers::column_of_altering(&text.sql)
        {
            seen.altering.push((id, column));
        }
        seen.texts.push((text.name.clone(), text.sql.clone()));
    }
    Some(seen)
}
