//! Our own tables: made by the first `crsql_as_crr`, opened with a check of their format, and the
//! row `crsql_state` that says what this file is.

use std::cell::RefCell;
use std::collections::HashMap;

use super::cache::{Cache, Fixed, Lease};
use super::{Db, Prep};
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result, SQLITE_ERROR};
use crate::words::value::ValueRef;

/// The format that this code writes.
pub const FORMAT: i64 = 3;

const TABLES: &str = include_str!("../../sql/tables.sql");
const PARTS: &str = include_str!("../../sql/parts.sql");

const FOREIGN: &str = "SELECT count(*) FROM sqlite_schema WHERE name = 'crsql_master'";
const STATE: Fixed = Fixed(2, "SELECT format, oldest_reader, self, clock, deps FROM crsql_state");
const SITE_OF: Fixed = Fixed(3, "SELECT site_id FROM crsql_sites WHERE ordinal = ?1");
const ORDINAL_OF: Fixed = Fixed(4, "SELECT ordinal FROM crsql_sites WHERE site_id = ?1");
const ADD_SITE: Fixed = Fixed(
    5,
    "INSERT INTO crsql_sites(ordinal, site_id)
     VALUES((SELECT coalesce(max(ordinal), -1) + 1 FROM crsql_sites), ?1)",
);
const SCHEMA_VERSION: Fixed = Fixed(6, "PRAGMA main.schema_version");
const SCHEMA_SEEN: Fixed = Fixed(7, "SELECT schema FROM crsql_state");
const SET_SCHEMA_SEEN: Fixed = Fixed(8, "UPDATE crsql_state SET schema = ?1");
const CONFIG_GET: Fixed = Fixed(10, "SELECT value FROM crsql_config WHERE key = ?1");
const CONFIG_SET: Fixed = Fixed(
    11,
    "INSERT INTO crsql_config(key, value) VALUES(?1, ?2)
     ON CONFLICT(key) DO UPDATE SET value = excluded.value",
);

/// Whoever runs it knows the schema as it is: SQLite prepares it anew where another connection has
/// changed the schema, which a PRAGMA does not notice.
const LOOK: Fixed = Fixed(9, "SELECT 1 FROM sqlite_schema LIMIT 0");

/// Whether this file has our tables. Refuses a file whose format this code cannot read.
pub fn installed(cache: &Cache) -> Result<bool> {
    if !is_there(cache)? {
        // As far as this connection knows.
        cache.fixed(LOOK)?.step()?;
        if !is_there(cache)? {
            return Ok(false);
        }
    }
    State::read(cache)?.check_format().map(|()| true)
}

fn is_there(cache: &Cache) -> Result<bool> {
    match cache.db().table_column("crsql_state", "format") {
        Ok(_) => Ok(true),
        Err(e) if e.code == SQLITE_ERROR => Ok(false),
        Err(e) => Err(e),
    }
}

/// What the row `crsql_state` says of this file.
pub struct State<'a>(Lease<'a>);

impl<'a> State<'a> {
    /// Reads it.
    pub fn read(cache: &'a Cache) -> Result<Self> {
        let mut stmt = cache.fixed(STATE)?;
        if !stmt.step()? {
            return Err(Error::corrupt("crsql_state is empty; restore this file from a backup"));
        }
        Ok(Self(stmt))
    }

    /// The ordinal of the file's own site.
    pub fn own(&self) -> Result<u32> {
        ordinal(self.0.int(2))
    }

    /// The greatest stamp that was merged here, as it is stored.
    pub fn clock(&self) -> i64 {
        self.0.int(3)
    }

    /// What was newly seen since our own last transaction.
    pub fn deps(&self) -> Option<Vec<u8>> {
        if self.0.is_null(4) { None } else { Some(self.0.blob(4).to_vec()) }
    }

    fn check_format(&self) -> Result<()> {
        let (format, reader) = (self.0.int(0), self.0.int(1));
        if reader > FORMAT || format < 1 {
            return Err(Error::refused(format!(
                "this file has crsql format {format}, which needs a crsql that reads format \
                 {reader}; this one reads up to {FORMAT}: load a newer crsql"
            )));
        }
        if format < FORMAT {
            return Err(Error::refused(format!(
                "this file has crsql format {format}, of a crsql that was never released; this one \
                 reads format {FORMAT}: copy the plain tables into a new database and enable them \
                 there"
            )));
        }
        Ok(())
    }
}

/// Makes our tables and this file's identity. The caller holds a savepoint.
pub fn install(db: Db) -> Result<()> {
    let mut foreign = db.prepare(FOREIGN, Prep::Once)?;
    foreign.step()?;
    if foreign.int(0) > 0 {
        return Err(Error::refused(
            "this file was made by cr-sqlite (it has a table crsql_master); crsql cannot take such \
             files over yet: copy the plain tables into a new database and enable them there",
        ));
    }
    drop(foreign);
    db.exec(TABLES)?;
    let site = random_site(db);
    let mut stmt =
        db.prepare("INSERT INTO crsql_sites(ordinal, site_id) VALUES(0, ?1)", Prep::Once)?;
    stmt.bind(1, ValueRef::Blob(&site))?;
    stmt.run()?;
    db.exec(&format!(
        "INSERT INTO crsql_state(id, format, oldest_reader, self, clock, mark, schema)
         VALUES(1, {FORMAT}, {FORMAT}, 0, 0, 0, 0)"
    ))
}

/// Makes the table of parts, where it is not there. Files in which no column merges by intent do
/// without: SQLite reads the whole schema whenever a file is opened.
pub fn install_parts(db: Db) -> Result<()> {
    db.exec(PARTS)
}

/// Whether this file has a place for what becomes of the rows of tables. Files that were made
/// before there were policies have none, and are as sound without: all have the default.
pub fn keeps_policies(db: Db) -> Result<bool> {
    match db.table_column("crsql_tables", "policy") {
        Ok(_) => Ok(true),
        Err(e) if e.code == SQLITE_ERROR => Ok(false),
        Err(e) => Err(e),
    }
}

/// Makes that place, where it is not there. SQLite prepares every statement anew after it.
pub fn keep_policies(db: Db) -> Result<()> {
    db.exec("ALTER TABLE main.crsql_tables ADD COLUMN policy TEXT NOT NULL DEFAULT 'delete-wins'")
}

/// 16 random bytes with the marks of a version 4 UUID.
pub fn random_site(db: Db) -> SiteId {
    let mut site = [0u8; 16];
    db.randomness(&mut site);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut site;
    *version = (*version & 0x0f) | 0x40;
    *variant = (*variant & 0x3f) | 0x80;
    site
}

/// SQLite's count of schema changes in the main database.
pub fn schema_version(cache: &Cache) -> Result<i64> {
    let mut stmt = cache.fixed(SCHEMA_VERSION)?;
    stmt.step()?;
    Ok(stmt.int(0))
}

/// That count, and how often SQLite threw its prepared statements away: the same count comes twice
/// when a change of the schema is rolled back and another one follows.
pub fn schema_mark(cache: &Cache) -> Result<(i64, i32)> {
    let mut stmt = cache.fixed(SCHEMA_VERSION)?;
    stmt.step()?;
    Ok((stmt.int(0), stmt.reprepared()))
}

/// That count as it was when `crsql_tables` last agreed with the schema.
pub fn schema_seen(cache: &Cache) -> Result<i64> {
    let mut stmt = cache.fixed(SCHEMA_SEEN)?;
    stmt.step()?;
    Ok(stmt.int(0))
}

/// Records that `crsql_tables` agrees with the schema.
pub fn set_schema_seen(cache: &Cache, version: i64) -> Result<()> {
    let mut stmt = cache.fixed(SET_SCHEMA_SEEN)?;
    stmt.bind_int(1, version)?;
    stmt.run()
}

/// The ordinal of this file's own site.
pub fn own_ordinal(cache: &Cache) -> Result<u32> {
    State::read(cache)?.own()
}

/// A site's ordinal as our tables hold it.
pub fn ordinal(i: i64) -> Result<u32> {
    u32::try_from(i).map_err(|_| Error::corrupt(format!("{i} is not a site's ordinal")))
}

/// A setting, or None.
pub fn config(cache: &Cache, key: &str) -> Result<Option<crate::words::value::Value>> {
    let mut stmt = cache.fixed(CONFIG_GET)?;
    stmt.bind_text(1, key.as_bytes())?;
    Ok(if stmt.step()? { Some(stmt.value(0).to_owned()) } else { None })
}

/// Stores a setting.
pub fn set_config(cache: &Cache, key: &str, value: ValueRef<'_>) -> Result<()> {
    let mut stmt = cache.fixed(CONFIG_SET)?;
    stmt.bind_text(1, key.as_bytes())?;
    stmt.bind(2, value)?;
    stmt.run()
}

/// The sites of this file by ordinal and back. A pair once committed never changes, so what was
/// read may be kept; what was read inside a transaction that rolled back is forgotten.
#[derive(Default)]
pub struct Sites {
    ids: RefCell<HashMap<u32, SiteId>>,
    ordinals: RefCell<HashMap<SiteId, u32>>,
}

impl Sites {
    /// The site with this ordinal.
    pub fn id(&self, cache: &Cache, ordinal: u32) -> Result<SiteId> {
        if let Some(id) = self.ids.borrow().get(&ordinal) {
            return Ok(*id);
        }
        let mut stmt = cache.fixed(SITE_OF)?;
        stmt.bind_int(1, i64::from(ordinal))?;
        if !stmt.step()? {
            return Err(Error::corrupt(format!("crsql_sites has no site with ordinal {ordinal}")));
        }
        let id: SiteId = stmt
            .blob(0)
            .try_into()
            .map_err(|_| Error::corrupt("crsql_sites holds a site that does not have 16 bytes"))?;
        self.keep(ordinal, id);
        Ok(id)
    }

    /// The ordinal of this site, if the file has heard of it.
    pub fn find(&self, cache: &Cache, id: &SiteId) -> Result<Option<u32>> {
        if let Some(ordinal) = self.ordinals.borrow().get(id) {
            return Ok(Some(*ordinal));
        }
        let mut stmt = cache.fixed(ORDINAL_OF)?;
        stmt.bind_blob(1, id)?;
        if !stmt.step()? {
            return Ok(None);
        }
        let found = ordinal(stmt.int(0))?;
        self.keep(found, *id);
        Ok(Some(found))
    }

    /// The ordinal of this site, which is given one if it has none.
    pub fn intern(&self, cache: &Cache, id: &SiteId) -> Result<u32> {
        if let Some(found) = self.find(cache, id)? {
            return Ok(found);
        }
        let mut stmt = cache.fixed(ADD_SITE)?;
        stmt.bind_blob(1, id)?;
        stmt.run()?;
        self.find(cache, id)?
            .ok_or_else(|| Error::corrupt("a site that was just written cannot be found"))
    }

    /// Forgets what was read, after a rollback.
    pub fn forget(&self) {
        self.ids.borrow_mut().clear();
        self.ordinals.borrow_mut().clear();
    }

    fn keep(&self, ordinal: u32, id: SiteId) {
        self.ids.borrow_mut().insert(ordinal, id);
        self.ordinals.borrow_mut().insert(id, ordinal);
    }
}
