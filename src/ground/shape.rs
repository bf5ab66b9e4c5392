//! The shape of a table as SQLite tells it: which columns are the key, which are replicated, and
//! whether crsql can replicate it at all.

use super::quote::ident;
use super::triggers::KEY_COLUMNS_MAX;
use super::{Db, Prep};
use crate::words::affinity::Affinity;
use crate::words::error::{Error, Result};

/// One column as `PRAGMA table_xinfo` tells it.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its affinity.
    pub affinity: Affinity,
    /// NOT NULL.
    pub notnull: bool,
    /// The text of its default, or None.
    pub default: Option<String>,
    /// Its place in the primary key, from 1; 0 for other columns.
    pub pk: i64,
    /// The declared type.
    pub declared: String,
}

/// A table as SQLite has it now.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name, spelled as in the schema.
    pub name: String,
    /// The key columns, in the order of the key.
    pub keys: Vec<Column>,
    /// The other columns, but for generated ones.
    pub columns: Vec<Column>,
    /// STRICT
    pub strict: bool,
    /// The key is the rowid.
    pub rowid_key: bool,
    /// `table`, `view` or `virtual`.
    pub kind: String,
}

/// The shape of the table with this name, or None where there is no such table. Views and
/// virtual tables are given too; `refuse` tells them apart.
pub fn read(db: Db, name: &str) -> Result<Option<Shape>> {
    let Some(mut shape) = listed(db, name)? else { return Ok(None) };
    let mut info =
        db.prepare(&format!("PRAGMA main.table_xinfo({})", ident(&shape.name)), Prep::Once)?;
    while info.step()? {
        if info.int(6) != 0 {
            continue;
        }
        let declared = info.string(2);
        let column = Column {
            name: info.string(1),
            affinity: Affinity::of(&declared, shape.strict),
            notnull: info.int(3) != 0,
            default: if info.is_null(4) { None } else { Some(info.string(4)) },
            pk: info.int(5),
            declared,
        };
        if column.pk > 0 { shape.keys.push(column) } else { shape.columns.push(column) }
    }
    drop(info);
    shape.keys.sort_by_key(|c| c.pk);
    shape.rowid_key = is_rowid_key(db, &shape)?;
    Ok(Some(shape))
}

/// What `PRAGMA table_list` tells, which finds a name without reading the whole schema.
fn listed(db: Db, name: &str) -> Result<Option<Shape>> {
    if name.is_empty() || name.contains('\0') {
        return Ok(None);
    }
    let mut list = db.prepare(&format!("PRAGMA main.table_list({})", ident(name)), Prep::Once)?;
    while list.step()? {
        if list.text(0) == b"main" {
            return Ok(Some(Shape {
                name: list.string(1),
                kind: list.string(2),
                strict: list.int(5) != 0,
                keys: Vec::new(),
                columns: Vec::new(),
                rowid_key: false,
            }));
        }
    }
    Ok(None)
}

/// An `INTEGER PRIMARY KEY` has no index of its own; every other key of a table with a rowid, and
/// every key of a table without one, has. (`INTEGER PRIMARY KEY DESC` is such an odd one out.)
fn is_rowid_key(db: Db, shape: &Shape) -> Result<bool> {
    let [key] = shape.keys.as_slice() else { return Ok(false) };
    if !key.declared.eq_ignore_ascii_case("INTEGER") {
        return Ok(false);
    }
    Ok(!indexes(db, &shape.name)?.iter().any(|i| i.origin == "pk"))
}

struct Index {
    name: String,
    unique: bool,
    origin: String,
}

fn indexes(db: Db, table: &str) -> Result<Vec<Index>> {
    let mut stmt = db.prepare(&format!("PRAGMA main.index_list({})", ident(table)), Prep::Once)?;
    let mut out = Vec::new();
    while stmt.step()? {
        out.push(Index { name: stmt.string(1), unique: stmt.int(2) != 0, origin: stmt.string(3) });
    }
    Ok(out)
}

/// The columns of the key's own index with their collations there, which `PRIMARY KEY(a COLLATE
/// NOCASE)` sets apart from the column's.
fn key_collations(db: Db, table: &str) -> Result<Vec<(String, String)>> {
    let mut out = Vec::new();
    for index in indexes(db, table)?.iter().filter(|i| i.origin == "pk") {
        let sql = format!("PRAGMA main.index_xinfo({})", ident(&index.name));
        let mut stmt = db.prepare(&sql, Prep::Once)?;
        while stmt.step()? {
            if stmt.int(5) != 0 {
                out.push((stmt.string(2), stmt.string(4)));
            }
        }
    }
    Ok(out)
}

/// Says why this table cannot be replicated, and what to change.
pub fn refuse(db: Db, shape: &Shape) -> Result<()> {
    refuse_kind(db, shape)?;
    refuse_key(db, shape)?;
    let t = &shape.name;
    for c in shape.keys.iter().chain(&shape.columns) {
        if c.name == "-1" || c.name.starts_with('\u{1}') {
            return Err(Error::refused(format!(
                "table {t}: a column named {:?} cannot be replicated, since that name marks \
                 something else in crsql_changes; rename the column",
                c.name
            )));
        }
    }
    for c in shape.columns.iter().filter(|c| c.notnull) {
        let null = c.default.as_deref().is_none_or(|d| d.eq_ignore_ascii_case("null"));
        if null {
            return Err(Error::refused(format!(
                "table {t}: column {} is NOT NULL without a DEFAULT, so a row that arrives without \
                 it could not be stored; give the column a DEFAULT or drop the NOT NULL",
                c.name
            )));
        }
    }
    refuse_constraints(db, shape)
}

fn refuse_kind(db: Db, shape: &Shape) -> Result<()> {
    let t = &shape.name;
    let kind = shape.kind.as_str();
    if kind != "table" {
        return Err(Error::refused(format!(
            "{t} is a {kind}{}; only ordinary tables can be replicated: enable the tables \
             behind it",
            if kind == "view" { "" } else { " table" }
        )));
    }
    let lower = t.to_ascii_lowercase();
    if lower.starts_with("sqlite_") || lower.starts_with("crsql_") {
        return Err(Error::refused(format!(
            "{t} belongs to SQLite or crsql and is not replicated"
        )));
    }
    let mut enc = db.prepare("PRAGMA encoding", Prep::Once)?;
    if enc.step()? && enc.text(0) != b"UTF-8" {
        return Err(Error::refused(format!(
            "the database is {}; crsql needs UTF-8: copy it into a database made with \
             PRAGMA encoding = 'UTF-8'",
            enc.string(0)
        )));
    }
    Ok(())
}

fn refuse_key(db: Db, shape: &Shape) -> Result<()> {
    let t = &shape.name;
    if shape.keys.is_empty() {
        return Err(Error::refused(format!(
            "table {t} has no primary key, so its rows cannot be told apart between replicas; \
             declare one, for example id TEXT PRIMARY KEY NOT NULL filled with crsql_uuid7()"
        )));
    }
    if shape.keys.len() > KEY_COLUMNS_MAX {
        return Err(Error::refused(format!(
            "table {t}: the primary key has {} columns; crsql takes up to {KEY_COLUMNS_MAX}",
            shape.keys.len()
        )));
    }
    let autoincrement = |c: &Column| Ok::<_, Error>(db.table_column(t, &c.name)?.autoincrement);
    if let Some(true) = shape.keys.first().map(autoincrement).transpose()? {
        return Err(Error::refused(format!(
            "table {t}: AUTOINCREMENT gives the same number to different rows on different \
             replicas; use a key that does not collide, for example TEXT with crsql_uuid7()"
        )));
    }
    let of_index = key_collations(db, t)?;
    for c in &shape.keys {
        if !c.notnull && !shape.rowid_key {
            return Err(Error::refused(format!(
                "table {t}: key column {} may be NULL, and rows with a NULL key cannot be told \
                 apart; declare it NOT NULL",
                c.name
            )));
        }
        let declared = db.table_column(t, &c.name)?.collation;
        let odd = |c: &String| !c.eq_ignore_ascii_case("BINARY");
        let indexed = of_index.iter().find(|(name, _)| *name == c.name).map(|(_, c)| c.clone());
        if let Some(collation) = [Some(declared), indexed].into_iter().flatten().find(odd) {
            return Err(Error::refused(format!(
                "table {t}: key column {} has the collation {collation}; keys are compared byte \
                 by byte between replicas: declare it COLLATE BINARY",
                c.name
            )));
        }
    }
    Ok(())
}

fn refuse_constraints(db: Db, shape: &Shape) -> Result<()> {
    let t = &shape.name;
    for index in indexes(db, t)? {
        if !index.unique || index.origin == "pk" {
            continue;
        }
        let what = if index.origin == "u" {
            "a UNIQUE constraint beside its key".to_string()
        } else {
            format!("the UNIQUE index {}", index.name)
        };
        return Err(Error::refused(format!(
            "table {t} has {what}; two replicas could each write a row that the other would have \
             to refuse: drop the uniqueness, or make those columns the key"
        )));
    }
    let mut fk = db.prepare(&format!("PRAGMA main.foreign_key_list({})", ident(t)), Prep::Once)?;
    if fk.step()? {
        return Err(Error::refused(format!(
            "table {t} has a foreign key to {}; a row could arrive before the one it refers to: \
             drop the REFERENCES clause and keep the column",
            fk.string(2)
        )));
    }
    Ok(())
}
