//! What has to be done so that one schema becomes another.

use super::schema::{Kind, Object, Wanted, counterpart, relation};
use crate::ground::quote::ident;
use crate::ground::{Db, Prep};
use crate::words::error::{Error, Result};
use crate::words::sqltext;

/// What to do with the columns of one table: statements.
pub struct Alter {
    /// The table.
    pub table: String,
    /// Drops generated columns that are added again with another definition.
    pub redo: Vec<String>,
    /// Adds columns.
    pub add: Vec<String>,
    /// Drops columns.
    pub drop: Vec<String>,
}

/// What to do, in this order.
#[derive(Default)]
pub struct Plan {
    /// Statements that drop what changed or is gone.
    pub drops: Vec<String>,
    /// What to do with columns.
    pub alters: Vec<Alter>,
    /// Triggers that the schema does not name and that go with a view that changed: they are made
    /// again at the end.
    pub carried: Vec<String>,
}

impl Plan {
    /// Compares. `have` is the schema of `db`.
    pub fn new(db: Db, have: &[Object], wanted: &Wanted) -> Result<Self> {
        let mut plan = Self::default();
        plan.drop_small_things(have, &wanted.objects);
        plan.drop_tables(db, have, &wanted.objects)?;
        for table in have.iter().filter(|o| o.kind == Kind::Table && !o.reserved()) {
            if let Some(want) = relation(&wanted.objects, &table.name)
                && want.kind == Kind::Table
                && !table.same(want)
            {
                plan.alters.extend(alter(db, table, wanted, want)?);
            }
        }
        Ok(plan)
    }

    /// Whether nothing has to go and no column changes.
    pub fn is_empty(&self) -> bool {
        self.drops.is_empty() && self.alters.is_empty()
    }

    /// Triggers and views go where the schema has another of their name, indexes also where it
    /// has none.
    fn drop_small_things(&mut self, have: &[Object], wanted: &[Object]) {
        let mut views = Vec::new();
        for o in have.iter().filter(|o| !o.reserved()) {
            let want = counterpart(wanted, o);
            let changed = want.is_some_and(|w| !w.same(o));
            match o.kind {
                Kind::Trigger if changed => self.drops.push(drop_statement("TRIGGER", &o.name)),
                Kind::View if changed => views.push(o),
                // The index of a table that goes goes with it.
                Kind::Index if relation(wanted, &o.table).is_none() => {}
                Kind::Index if changed || want.is_none() => {
                    self.drops.push(drop_statement("INDEX", &o.name));
                }
                _ => {}
            }
        }
        for view in views {
            self.drops.push(drop_statement("VIEW", &view.name));
            let on_it = |o: &&Object| {
                o.kind == Kind::Trigger
                    && o.table.eq_ignore_ascii_case(&view.name)
                    && counterpart(wanted, o).is_none()
            };
            self.carried.extend(have.iter().filter(on_it).map(Object::create));
        }
    }

    /// Tables go that the schema does not have: virtual ones first, which take their shadows
    /// along, then those that refer to others before those.
    fn drop_tables(&mut self, db: Db, have: &[Object], wanted: &[Object]) -> Result<()> {
        let mut gone = Vec::new();
        for o in have.iter().filter(|o| !o.reserved()) {
            let want = relation(wanted, &o.name);
            match o.kind {
                Kind::Virtual if want.is_none_or(|w| w.kind != o.kind) => {
                    self.drops.push(drop_statement("TABLE", &o.name));
                }
                Kind::Virtual if want.is_some_and(|w| !w.same(o)) => {
                    return Err(cannot(&format!(
                        "change the virtual table {}; drop it first, and fill it again",
                        o.name
                    )));
                }
                Kind::Table if is_beside_virtual(&o.name, wanted) => {}
                Kind::Table if want.is_none_or(|w| w.kind != o.kind) => {
                    gone.push((o.name.clone(), parents(db, &o.name)?));
                }
                _ => {}
            }
        }
        while !gone.is_empty() {
            let referred = |name: &str| {
                let other = gone.iter().filter(|(child, _)| child != name);
                other.flat_map(|(_, parents)| parents).any(|p| p.eq_ignore_ascii_case(name))
            };
            let next = gone.iter().position(|(name, _)| !referred(name)).unwrap_or(0);
            self.drops.push(drop_statement("TABLE", &gone.remove(next).0));
        }
        Ok(())
    }
}

fn drop_statement(what: &str, name: &str) -> String {
    format!("DROP {what} IF EXISTS main.{}", ident(name))
}

/// Whether a table may be a shadow of a virtual table that stays. Modules need not say so.
fn is_beside_virtual(name: &str, wanted: &[Object]) -> bool {
    let name = name.to_ascii_lowercase();
    let mut virtuals = wanted.iter().filter(|o| o.kind == Kind::Virtual);
    virtuals.any(|o| name.starts_with(&format!("{}_", o.name.to_ascii_lowercase())))
}

/// The tables that a table's foreign keys refer to.
fn parents(db: Db, table: &str) -> Result<Vec<String>> {
    let sql = format!("PRAGMA main.foreign_key_list({})", ident(table));
    let mut stmt = db.prepare(&sql, Prep::Once)?;
    let mut out = Vec::new();
    while stmt.step()? {
        out.push(stmt.string(2));
    }
    Ok(out)
}

/// The sentence for what an ALTER TABLE has no words for.
fn cannot(what: &str) -> Error {
    Error::refused(format!("automigrate cannot {what}"))
}

/// A column, its place in the key, how it is generated (`hidden` of `table_xinfo`: 2 virtual,
/// 3 stored) and the text that defines it.
struct Column {
    name: String,
    key: i64,
    generated: i64,
    text: String,
}

impl Column {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

fn columns(db: Db, table: &Object) -> Result<Vec<Column>> {
    let sql = format!("PRAGMA main.table_xinfo({})", ident(&table.name));
    let mut stmt = db.prepare(&sql, Prep::Once)?;
    let mut texts = sqltext::definitions(&table.sql).into_iter();
    let mut out = Vec::new();
    while stmt.step()? {
        let name = stmt.string(1);
        let text = texts.next().unwrap_or("").to_string();
        if !sqltext::first_name(&text).eq_ignore_ascii_case(&name) {
            return Err(Error::refused(format!(
                "crsql_automigrate: column {name} is not found in: {}",
                table.sql
            )));
        }
        out.push(Column { name, key: stmt.int(5), generated: stmt.int(6), text });
    }
    Ok(out)
}

/// The names of the key's columns, in the order of the key.
fn key(columns: &[Column]) -> Vec<String> {
    let mut key: Vec<&Column> = columns.iter().filter(|c| c.key > 0).collect();
    key.sort_by_key(|c| c.key);
    key.into_iter().map(|c| c.name.to_ascii_lowercase()).collect()
}

/// What changes the columns of a table into the wanted ones, if anything.
fn alter(db: Db, have: &Object, wanted: &Wanted, want: &Object) -> Result<Option<Alter>> {
    let (old, new) = (columns(db, have)?, columns(*wanted.db, want)?);
    let table = &have.name;
    if key(&old) != key(&new) {
        return Err(cannot(&format!(
            "change the primary key of {table}; make a table of another name and copy the rows"
        )));
    }
    let alter = format!("ALTER TABLE main.{}", ident(table));
    let dropping = |c: &Column| format!("{alter} DROP COLUMN {}", ident(&c.name));
    let mut out =
        Alter { table: table.clone(), redo: Vec::new(), add: Vec::new(), drop: Vec::new() };
    for c in &new {
        let before = old.iter().find(|o| o.is(&c.name));
        if let Some(before) = before {
            if !regenerated(table, before, c)? {
                continue;
            }
            out.redo.push(dropping(before));
        }
        out.add.push(format!("{alter} ADD COLUMN {}", c.text));
    }
    out.drop = old.iter().filter(|o| !new.iter().any(|c| c.is(&o.name))).map(dropping).collect();
    let nothing = out.add.is_empty() && out.drop.is_empty();
    Ok(if nothing { None } else { Some(out) })
}

/// Whether a column is computed in another way than before. One that is not stored can be dropped
/// and added again.
fn regenerated(table: &str, old: &Column, new: &Column) -> Result<bool> {
    let computed = old.generated != 0 || new.generated != 0;
    if !computed || sqltext::normal(&old.text) == sqltext::normal(&new.text) {
        return Ok(false);
    }
    if old.generated == 2 && new.generated == 2 {
        return Ok(true);
    }
    Err(cannot(&format!(
        "change how column {} of {table} is generated, since it is or would be stored; add a \
         column of another name",
        old.name
    )))
}
