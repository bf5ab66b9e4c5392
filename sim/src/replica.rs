//! One replica: its machine, its connections, its mail, and what is known of it.

use crate::disk::{self, Machine};
use crate::exchange::own_version;
use crate::host::{self, Answer, Cell, Failed, ask};
use crate::migrate::Migration;
use crate::model::{Change, KEY, Model, Site, Tables};
use rusqlite::Connection;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What is on its way.
#[derive(Clone)]
pub enum Mail {
    Changeset(Vec<u8>),
    Rows { rows: Vec<Vec<Cell>>, vector: String },
}

pub struct Replica {
    pub n: usize,
    /// The second is opened when it is first needed.
    pub conns: [Option<Connection>; 2],
    /// The judge's own, where reading the feed on another would make versions durable.
    pub watcher: Option<Connection>,
    pub mail: Vec<Mail>,
    pub backup: Option<BTreeMap<String, Vec<u8>>>,
    pub site: Site,
    /// The newest own version that was committed, as far as the judge has seen.
    pub version: u64,
    /// What it had seen of the others when it last said so.
    pub vector: String,
    /// How many rows its connections had written when `tables` was read.
    pub writes: u64,
    /// The tables as they were last seen.
    pub tables: Tables,
    /// Those that are replicated now, and how many changes of the schema were made.
    pub shapes: Vec<Shape>,
    pub level: usize,
    /// How far its clock is off.
    pub off: i64,
    /// The power is what goes, when its machine dies.
    pub power: bool,
    /// Merges have been seen that are not in `tables` yet, or changes not yet in the log.
    pub blind: bool,
}

/// The tables that are replicated, with their columns in the order of `SELECT *`: name, and
/// whether it is of the key.
#[derive(Clone, Debug)]
pub struct Shape {
    pub name: String,
    pub select: String,
    pub columns: Vec<(String, bool)>,
}

impl Replica {
    pub fn new(n: usize) -> Replica {
        Replica {
            n,
            conns: [None, None],
            watcher: None,
            mail: Vec::new(),
            backup: None,
            site: Site::new(),
            version: 0,
            vector: String::new(),
            writes: 0,
            tables: Tables::new(),
            shapes: Vec::new(),
            level: 0,
            off: 0,
            power: false,
            blind: false,
        }
    }

    pub fn machine(&self) -> &'static RefCell<Machine> {
        disk::machine(self.n)
    }

    /// The connection of an application.
    pub fn conn(&mut self, which: usize, pragmas: &[String]) -> Answer<&Connection> {
        if self.conns[which].is_none() {
            self.conns[which] = Some(host::open(self.n, pragmas)?);
        }
        self.conns[which].as_ref().ok_or(Failed { code: -1, text: "closed".into() })
    }

    /// A connection without an open transaction, where there is one.
    pub fn idle(&self) -> Option<&Connection> {
        self.conns.iter().flatten().find(|db| db.is_autocommit())
    }

    /// A connection with an open transaction tells no version that another does not see committed.
    pub fn tells_what_is_committed(&self) -> Result<(), String> {
        let Some(idle) = self.idle() else { return Ok(()) };
        for open in self.conns.iter().flatten().filter(|db| !db.is_autocommit()) {
            // Where the disk fails or the file is locked, nobody tells.
            let told = own_version(open).ok().zip(own_version(idle).ok());
            let Some((told, committed)) = told else { continue };
            if told > committed {
                return Err(format!(
                    "replica {}: version {told} is told, and {committed} is the last committed",
                    self.n
                ));
            }
        }
        Ok(())
    }

    /// The connection that is idle, or the first.
    pub fn main(&self) -> Answer<&Connection> {
        let first = self.conns[0].as_ref().or(self.conns[1].as_ref());
        self.idle().or(first).ok_or(Failed { code: -1, text: "closed".into() })
    }

    /// What a site's versions above one are, as the judge reads them.
    pub fn watch(
        &mut self,
        pragmas: &[String],
        after: u64,
        to: u64,
    ) -> Answer<BTreeMap<u64, Vec<Change>>> {
        let machine = self.machine();
        if !machine.borrow().careful {
            return feed(self.main()?, &self.site, after, to);
        }
        if self.watcher.is_none() {
            self.watcher = Some(host::open(self.n, pragmas)?);
        }
        machine.borrow_mut().deaf = true;
        let told = self.watcher.as_ref().map(|db| feed(db, &self.site, after, to));
        machine.borrow_mut().deaf = false;
        told.unwrap_or_else(|| Ok(BTreeMap::new()))
    }

    /// After a change of the schema, or where the file may be another one.
    pub fn look_at_schema(&mut self) -> Answer<()> {
        let db = self.main()?;
        let (level, shapes) = (level(db)?, shapes(db)?);
        (self.level, self.shapes, self.blind) = (level, shapes, true);
        Ok(())
    }

    /// Where it may have taken another site.
    pub fn look_at_name(&mut self) -> Answer<()> {
        let Some(db) = self.idle() else { return Ok(()) };
        let site: Site = ask(db, "SELECT crsql_site_id()", [])?;
        if site != self.site {
            (self.site, self.version, self.blind) = (site, 0, true);
        }
        Ok(())
    }

    pub fn close(&mut self) {
        self.watcher = None;
        self.conns = [None, None];
    }
}

/// The replicated tables: those with triggers of crsql, whose register follows only when asked.
pub fn shapes(db: &Connection) -> Answer<Vec<Shape>> {
    let mut names = db.prepare(
        "SELECT DISTINCT tbl_name FROM sqlite_schema
         WHERE type = 'trigger' AND name >= 'crsql ' AND name < 'crsql!' ORDER BY 1",
    )?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut out = Vec::new();
    for name in names {
        let mut stmt = db.prepare_cached("SELECT name, pk FROM pragma_table_info(?1)")?;
        let columns =
            stmt.query_map([&name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? > 0)))?;
        let columns = columns.collect::<Result<_, _>>()?;
        let select = format!("SELECT * FROM {}", crate::shape::quoted(&name));
        out.push(Shape { name, select, columns });
    }
    Ok(out)
}

/// All rows of the replicated tables.
pub fn dump(db: &Connection, shapes: &[Shape]) -> Answer<Tables> {
    let mut out = Tables::new();
    for shape in shapes {
        let mut stmt = db.prepare_cached(&shape.select)?;
        let mut rows = stmt.query([])?;
        let table = out.entry(shape.name.clone()).or_default();
        while let Some(row) = rows.next()? {
            let (mut key, mut cells) = (Vec::new(), BTreeMap::new());
            for (i, (name, of_key)) in shape.columns.iter().enumerate() {
                let v = row.get_ref(i)?;
                if *of_key {
                    host::encode_key(&mut key, v);
                    cells.insert(format!("{KEY}{name}"), host::encode(v));
                } else {
                    cells.insert(name.clone(), host::encode(v));
                }
            }
            if table.insert(key, cells).is_some() {
                return Err(Failed {
                    code: -1,
                    text: format!("two rows of one key in {}", shape.name),
                });
            }
        }
    }
    Ok(out)
}

/// How many changes of the schema a file has seen.
pub fn level(db: &Connection) -> Answer<usize> {
    ask(db, "SELECT user_version FROM pragma_user_version", [])
}

const FEED: &str = "SELECT \"table\", pk, cid, val, col_version, db_version, cl, stamp
     FROM crsql_changes WHERE site_id = ?1 AND db_version > ?2 AND db_version <= ?3";

/// What a site's versions above one are, by version.
pub fn feed(
    db: &Connection,
    site: &Site,
    after: u64,
    to: u64,
) -> Answer<BTreeMap<u64, Vec<Change>>> {
    let level = level(db)?;
    let mut stmt = db.prepare_cached(FEED)?;
    let mut rows = stmt.query((site, after, to))?;
    let mut out: BTreeMap<u64, Vec<Change>> = (after + 1..=to).map(|v| (v, Vec::new())).collect();
    while let Some(row) = rows.next()? {
        let cid: String = row.get(2)?;
        let column = (cid != "-1").then_some(cid);
        let stamp = if column.is_some() { row.get(4)? } else { row.get(7)? };
        let change = Change {
            table: row.get(0)?,
            key: host::key_of_pk(row.get_ref(1)?.as_blob().unwrap_or_default()),
            column,
            value: host::encode(row.get_ref(3)?),
            cl: row.get(6)?,
            stamp,
            level,
        };
        out.entry(row.get(5)?).or_default().push(change);
    }
    Ok(out)
}

/// What a vector says was seen, by site: whole, or with something lacking.
pub fn seen(vector: &serde_json::Value) -> BTreeMap<Site, Vec<(u64, u64)>> {
    let bytes = |hex: &str| -> Site {
        let byte = |i| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok();
        (0..hex.len() / 2).filter_map(byte).collect()
    };
    let mut out: BTreeMap<Site, Vec<(u64, u64)>> = BTreeMap::new();
    let omits = vector["omits"].as_array().into_iter().flatten();
    // What is still to come is named too.
    for omit in omits.filter(|omit| !omit[3].as_str().unwrap_or_default().starts_with('\u{2}')) {
        let range = omit[1].as_u64().zip(omit[2].as_u64());
        out.entry(bytes(omit[0].as_str().unwrap_or_default())).or_default().extend(range);
    }
    for (site, ranges) in vector["seen"].as_object().into_iter().flatten() {
        let ranges = ranges.as_array().into_iter().flatten();
        let ranges = ranges.filter_map(|r| Some((r[0].as_u64()?, r[1].as_u64()?)));
        out.entry(bytes(site)).or_default().extend(ranges);
    }
    out
}

const CLOSED: &str = "SELECT site_id, closed FROM crsql_sites WHERE closed IS NOT NULL";

/// What was written while a clock was ahead is issued again when the clock is right: by its
/// replica, which takes a new site for it, and by whoever has it all the same. The model takes it
/// as it is now.
pub fn reissued(r: &mut Replica, model: &mut Model, all: &[Migration], merged: bool) -> Answer<()> {
    let Some(db) = r.idle() else { return Ok(()) };
    let closed = "SELECT EXISTS(SELECT 1 FROM crsql_sites WHERE closed IS NOT NULL)";
    let site: Site = ask(db, "SELECT crsql_site_id()", [])?;
    if site == r.site && !(merged && ask(db, closed, [])?) {
        return Ok(());
    }
    let to: u64 = ask(db, "SELECT crsql_db_version()", [])?;
    let after = if site == r.site { r.version } else { 0 };
    let changes = if to > after { feed(db, &site, after, to)? } else { BTreeMap::new() };
    // A site that a power failure took back names nothing.
    let known = "SELECT EXISTS(SELECT 1 FROM crsql_sites WHERE site_id = ?1)";
    if !ask(db, known, [&r.site])? {
        model.log.retain(|(of, _), _| *of != r.site);
    }
    let mut stmt = db.prepare_cached(CLOSED)?;
    let closed = stmt.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in closed {
        let (site, upto): (Site, u64) = row?;
        model.log.retain(|(of, version), _| *of != site || *version <= upto);
    }
    drop(stmt);
    for (version, changes) in changes {
        model.learn(&site, version, &changes, all);
    }
    (r.site, r.version) = (site, to.max(after));
    Ok(())
}
