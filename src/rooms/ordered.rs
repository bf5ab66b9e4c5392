//! `crsql_fract_as_ordered`: a table's rows become a list that people rearrange. The order column
//! holds keys of `words/fract`; rows that agree in the collection columns are one list.
//!
//! - Two triggers on the table turn an order of -1 or 1 into a key at the list's front or end.
//! - The view `<table>_fractindex` has the table's columns, and one `after_<key column>` for each
//!   key column: an INSERT or UPDATE that gives them puts the row right after that one, or at the
//!   front where they are NULL or name no row of the list. An UPDATE that does not is an ordinary
//!   one.
//! - Where several rows have one key, as after two replicas appended at once, the row that another
//!   shall follow moves down a little first, so that there is room behind it.
//!
//! All of this is the table's like the application's own triggers: it need not be replicated, a
//! merge takes no effect from it, and what it writes is captured. Names and results are
//! cr-sqlite's. The trigger on INSERT begins with a SELECT of the order and collection columns,
//! which renamings follow: that is where their present names are read.

use super::session::Session;
use crate::ground::catalog::Table;
use crate::ground::quote::{ident, literal};
use crate::ground::{Prep, shape, store};
use crate::words::error::{Error, Result};
use crate::words::sqltext::{self, Kind};
use crate::words::value::{Value, ValueRef};

/// What orders a table: the order column, then those that tell lists apart.
type Names = Vec<String>;

/// A column of the table; generated ones are shown and not written.
struct Column {
    name: String,
    key: bool,
    written: bool,
    /// What a NULL stands for where the column takes none.
    default: Option<String>,
}

/// A table and what orders it, as the statements need them.
struct List<'a> {
    table: &'a str,
    order: String,
    lists: &'a [String],
    columns: &'a [Column],
}

/// Orders a table, anew where it is ordered already. `names` are the order column and those of the
/// collection.
pub fn as_ordered(s: &Session, table: &str, names: &[&str]) -> Result<()> {
    s.writing("crsql_fract_as_ordered", || {
        let table = checked(s, table, names)?;
        let columns = columns(s, &table)?;
        let spelled = |name: &&str| {
            let found = columns.iter().find(|c| c.name.eq_ignore_ascii_case(name));
            found.map_or_else(|| (*name).to_string(), |c| c.name.clone())
        };
        let names: Names = names.iter().map(spelled).collect();
        disorder(s, &table)?;
        create(s, &table, &names, &columns)
    })
}

/// Takes the triggers and the view of a table away.
pub fn disorder(s: &Session, table: &str) -> Result<()> {
    for (name, _) in triggers(s, table)? {
        drop_view(s, plain_name(&name))?;
        s.db.exec(&format!("DROP TRIGGER main.{}", ident(&name)))?;
    }
    drop_view(s, table)
}

/// Before `ALTER` may do as it likes: the view, which names every column, goes until
/// [`come_back`], and what orders the table is noted.
pub fn step_aside(s: &Session, table: &Table) -> Result<()> {
    let Some(names) = ordered_by(s, &table.name)? else { return Ok(()) };
    for (name, _) in triggers(s, &table.name)? {
        drop_view(s, plain_name(&name))?;
    }
    let noted = serde_json::Value::from(names).to_string();
    store::set_config(&s.cache, &noted_as(table), ValueRef::Text(noted.as_bytes()))
}

/// After that: the table is ordered as it was, if it still has the columns.
pub fn come_back(s: &Session, table: &Table) -> Result<()> {
    let key = noted_as(table);
    let Some(Value::Text(noted)) = store::config(&s.cache, &key)? else { return Ok(()) };
    s.db.exec(&format!("DELETE FROM crsql_config WHERE key = {}", literal(&key)?))?;
    let noted: Names = serde_json::from_slice(&noted)
        .map_err(|_| Error::corrupt(format!("crsql_config: {key:?} is no list of names")))?;
    let names = ordered_by(s, &table.name)?.unwrap_or(noted);
    let columns = columns(s, &table.name)?;
    let there = |name: &String| columns.iter().any(|c| c.name == *name);
    disorder(s, &table.name)?;
    if names.iter().all(there) { create(s, &table.name, &names, &columns) } else { Ok(()) }
}

fn noted_as(table: &Table) -> String {
    format!("ordered {}", table.tid)
}

/// Drops views of ours whose table is gone: SQLite would refuse most ALTERs while one is there.
pub fn drop_orphans(s: &Session) -> Result<()> {
    let mut stmt = s.db.prepare(
        "SELECT v.sql, v.name FROM main.sqlite_schema v JOIN main.sqlite_schema t
           ON t.type = 'trigger' AND t.tbl_name = v.name AND t.name = v.name || '_insert_trig'
         WHERE v.type = 'view' AND v.name LIKE '%\\_fractindex' ESCAPE '\\'",
        Prep::Once,
    )?;
    let mut orphans = Vec::new();
    while stmt.step()? {
        let sql = stmt.string(0);
        // The table stands last, and renamings follow it.
        let table = sqltext::tokens(&sql).last().map(sqltext::Token::plain).unwrap_or_default();
        if shape::read(s.db, &table)?.is_none() {
            orphans.push(stmt.string(1));
        }
    }
    drop(stmt);
    for view in orphans {
        s.db.exec(&format!("DROP VIEW main.{}", ident(&view)))?;
    }
    Ok(())
}

/// Drops the view of a table, if it is ours.
fn drop_view(s: &Session, table: &str) -> Result<()> {
    if is_ours(s, table)? == Some(true) {
        s.db.exec(&format!("DROP VIEW main.{}", ident(&view(table))))?;
    }
    Ok(())
}

fn view(table: &str) -> String {
    format!("{table}_fractindex")
}

/// Whether what has the view's name is a view of ours; None where nothing has.
fn is_ours(s: &Session, table: &str) -> Result<Option<bool>> {
    let mut stmt = s.db.prepare(
        "SELECT max(type = 'trigger' AND lower(name) = lower(?1) || '_insert_trig')
         FROM main.sqlite_schema WHERE lower(tbl_name) = lower(?1)",
        Prep::Once,
    )?;
    stmt.bind_text(1, view(table).as_bytes())?;
    stmt.step()?;
    Ok(if stmt.is_null(0) { None } else { Some(stmt.int(0) != 0) })
}

const PREFIX: &str = "__crsql_";
const ON_INSERT: &str = "_fractindex_pend_trig";
const ON_UPDATE: &str = "_fractindex_ezmove";

/// The name that the table had when one of its triggers was made.
fn plain_name(trigger: &str) -> &str {
    let rest = trigger.strip_prefix(PREFIX).unwrap_or(trigger);
    rest.strip_suffix(ON_INSERT).or_else(|| rest.strip_suffix(ON_UPDATE)).unwrap_or(rest)
}

/// The triggers on the table: name and text.
fn triggers(s: &Session, table: &str) -> Result<Vec<(String, String)>> {
    let mut stmt = s.db.prepare(
        "SELECT name, sql FROM main.sqlite_schema
         WHERE type = 'trigger' AND lower(tbl_name) = lower(?1)",
        Prep::Once,
    )?;
    stmt.bind_text(1, table.as_bytes())?;
    let mut out = Vec::new();
    while stmt.step()? {
        let name = stmt.string(0);
        let ours =
            name.starts_with(PREFIX) && (name.ends_with(ON_INSERT) || name.ends_with(ON_UPDATE));
        if ours {
            out.push((name, stmt.string(1)));
        }
    }
    Ok(out)
}

/// What orders a table now: the names in the first SELECT of its trigger on INSERT. None where it
/// has no such trigger.
fn ordered_by(s: &Session, table: &str) -> Result<Option<Names>> {
    let all = triggers(s, table)?;
    let Some((_, sql)) = all.iter().find(|(name, _)| name.ends_with(ON_INSERT)) else {
        return Ok(None);
    };
    let tokens = sqltext::tokens(sql);
    let body = tokens.iter().skip_while(|t| !t.is("select")).skip(1);
    let listed = body.take_while(|t| t.text != ";").filter(|t| t.kind == Kind::Name);
    Ok(Some(listed.map(sqltext::Token::plain).collect()))
}

/// The columns in the order of the table.
fn columns(s: &Session, table: &str) -> Result<Vec<Column>> {
    let mut info =
        s.db.prepare(&format!("PRAGMA main.table_xinfo({})", ident(table)), Prep::Once)?;
    let mut out = Vec::new();
    while info.step()? {
        let (notnull, name) = (info.int(3) != 0, info.string(1));
        let default = if notnull && !info.is_null(4) { Some(info.string(4)) } else { None };
        // SQLite still reads "x" as a text where it is a default.
        let text = |d: String| match sqltext::tokens(&d).as_slice() {
            [one] if one.kind == Kind::Name => literal(&one.plain()),
            _ => Ok(d),
        };
        let default = default.map(text).transpose()?;
        out.push(Column { name, key: info.int(5) > 0, written: info.int(6) == 0, default });
    }
    Ok(out)
}

/// Says why a table cannot be ordered so, and what to change. Gives its name as it is spelled.
fn checked(s: &Session, table: &str, names: &[&str]) -> Result<String> {
    let refused = |why: String| Error::refused(format!("crsql_fract_as_ordered: {why}"));
    let Some(found) = shape::read(s.db, table)?.filter(|f| f.kind == "table") else {
        return Err(refused(format!("there is no table {table} in the main database")));
    };
    let t = &found.name;
    if found.keys.is_empty() {
        return Err(refused(format!("table {t} has no primary key to name rows by; declare one")));
    }
    for name in names {
        let named = |c: &shape::Column| c.name.eq_ignore_ascii_case(name);
        if !found.keys.iter().chain(&found.columns).any(named) {
            return Err(refused(format!("table {t} has no column {name} that can be written")));
        }
    }
    for key in &found.keys {
        let after = format!("after_{}", key.name);
        let clash = |c: &&shape::Column| c.name.eq_ignore_ascii_case(&after);
        if let Some(c) = found.keys.iter().chain(&found.columns).find(clash) {
            return Err(refused(format!(
                "table {t} has a column {}, which the view {} needs for itself; rename it",
                c.name,
                view(t)
            )));
        }
    }
    let named =
        |c: &&shape::Column| names.first().is_some_and(|order| c.name.eq_ignore_ascii_case(order));
    let Some(order) = found.columns.iter().find(named) else {
        return Err(refused(format!(
            "the order column of table {t} is part of its key; a move would make another row of \
             it: take a column of its own"
        )));
    };
    let collation = s.db.table_column(t, &order.name)?.collation;
    if !collation.eq_ignore_ascii_case("BINARY") {
        return Err(refused(format!(
            "column {} of table {t} compares by {collation}; list keys sort by BINARY alone",
            order.name
        )));
    }
    if found.strict && !matches!(order.declared.to_ascii_uppercase().as_str(), "TEXT" | "ANY") {
        return Err(refused(format!(
            "column {} of the STRICT table {t} takes no text; list keys are text",
            order.name
        )));
    }
    if is_ours(s, t)? == Some(false) {
        return Err(refused(format!(
            "something else is called {}; rename it, since the view has that name",
            view(t)
        )));
    }
    Ok(found.name)
}

fn create(s: &Session, table: &str, names: &[String], columns: &[Column]) -> Result<()> {
    let Some((order, lists)) = names.split_first() else { return Ok(()) };
    let list = List { table, order: ident(order), lists, columns };
    for sql in [list.ends(true), list.ends(false), list.view(), list.insert(), list.moved()] {
        s.db.exec(&sql)?;
    }
    s.db.exec(&list.edited()?)
}

impl List<'_> {
    fn keys(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.key)
    }

    /// The columns that an UPDATE may set, but for the order.
    fn set(&self) -> String {
        let mut out = String::new();
        for c in self.columns.iter().filter(|c| c.written && !c.key) {
            let name = ident(&c.name);
            if name != self.order {
                out += &format!("{name} = NEW.{name}, ");
            }
        }
        out
    }

    /// The rows that are in the list of `NEW`.
    fn in_list(&self) -> String {
        let name = |c: &String| format!("{0} IS NEW.{0}", ident(c));
        let all: Vec<String> = self.lists.iter().map(name).collect();
        if all.is_empty() { "1".into() } else { all.join(" AND ") }
    }

    /// The row whose key `row` has.
    fn is(&self, row: &str) -> String {
        let one = |c: &Column| format!("{0} = {row}.{0}", ident(&c.name));
        self.keys().map(one).collect::<Vec<_>>().join(" AND ")
    }

    /// The row that `NEW` shall follow. A key column that tells lists apart need not be given.
    fn is_anchor(&self) -> String {
        let one = |c: &Column| {
            let (name, after) = (ident(&c.name), ident(&format!("after_{}", c.name)));
            if self.lists.contains(&c.name) {
                format!("{name} = coalesce(NEW.{after}, NEW.{name})")
            } else {
                format!("{name} = NEW.{after}")
            }
        };
        let keys: Vec<String> = self.keys().map(one).collect();
        // Every list key sorts after 'A'; numbers, and -1 and 1 as text, sort before.
        format!("{} AND {} AND {} > 'A'", keys.join(" AND "), self.in_list(), self.order)
    }

    /// The trigger that turns -1 and 1 into the keys of the list's ends.
    fn ends(&self, insert: bool) -> String {
        let (table, order) = (ident(self.table), &self.order);
        let lists: String = self.lists.iter().map(|c| format!(", NEW.{}", ident(c))).collect();
        let (event, suffix) = match insert {
            true => ("INSERT".to_string(), ON_INSERT),
            false => (format!("UPDATE OF {order}"), ON_UPDATE),
        };
        let others = format!(
            "FROM {table} WHERE {} AND {order} > 'A' AND ({}) IS NOT TRUE",
            self.in_list(),
            self.is("NEW")
        );
        format!(
            "CREATE TRIGGER main.{} AFTER {event} ON {table} \
             WHEN NEW.{order} IN (-1, 1, '-1', '1') BEGIN SELECT NEW.{order}{lists}; \
             UPDATE {table} SET {order} = CASE WHEN NEW.{order} IN (-1, '-1') \
             THEN crsql_fract_key_between(NULL, (SELECT min({order}) {others})) \
             ELSE crsql_fract_key_between((SELECT max({order}) {others}), NULL) END \
             WHERE {}; END",
            ident(&format!("{PREFIX}{}{suffix}", self.table)),
            self.is("NEW")
        )
    }

    /// The view names its columns itself: one that took the table's would lose a column that its
    /// triggers name when that is renamed, which SQLite refuses.
    fn view(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|c| ident(&c.name)).collect();
        let after = self.keys().map(|c| ident(&format!("after_{}", c.name)));
        let all: Vec<String> = names.iter().cloned().chain(after).collect();
        let nulls = ", NULL".repeat(self.keys().count());
        format!(
            "CREATE VIEW main.{}({}) AS SELECT {}{nulls} FROM {}",
            ident(&view(self.table)),
            all.join(", "),
            names.join(", "),
            ident(self.table)
        )
    }

    /// The name of one of the view's triggers, and the view.
    fn on_view(&self, what: &str, event: &str) -> String {
        let view = view(self.table);
        let name = ident(&format!("{view}_{what}_trig"));
        format!("CREATE TRIGGER main.{name} INSTEAD OF {event} ON {} BEGIN", ident(&view))
    }

    /// The statement that moves the row to follow down, where others have its key.
    fn make_room(&self, row: &str) -> String {
        let (table, order, anchor) = (ident(self.table), &self.order, self.is_anchor());
        let (list, itself) = (self.in_list(), self.is(row));
        let key = format!("(SELECT {order} FROM {table} WHERE {anchor})");
        format!(
            "UPDATE {table} SET {order} = crsql_fract_key_between((SELECT max({order}) \
             FROM {table} WHERE {list} AND {order} < {key} AND {order} > 'A'), {key}) \
             WHERE {anchor} AND (SELECT count(*) FROM {table} WHERE {list} AND {order} = {key} \
             AND ({itself}) IS NOT TRUE) > 1"
        )
    }

    /// The key right after the row to follow; at the front where there is none.
    fn place(&self, row: &str) -> String {
        let (table, order) = (ident(self.table), &self.order);
        let key = format!("(SELECT {order} FROM {table} WHERE {})", self.is_anchor());
        format!(
            "crsql_fract_key_between({key}, (SELECT min({order}) FROM {table} WHERE {} AND \
             {order} > coalesce({key}, 'A') AND ({}) IS NOT TRUE))",
            self.in_list(),
            self.is(row)
        )
    }

    fn insert(&self) -> String {
        let (mut names, mut values) = (String::new(), String::new());
        for c in self.columns.iter().filter(|c| c.written) {
            let name = ident(&c.name);
            if name == self.order {
                continue;
            }
            names += &format!("{name}, ");
            values += &match &c.default {
                Some(default) => format!("coalesce(NEW.{name}, {default}), "),
                None => format!("NEW.{name}, "),
            };
        }
        format!(
            "{} {}; INSERT INTO {}({names}{}) VALUES({values}{}); END",
            self.on_view("insert", "INSERT"),
            self.make_room("NEW"),
            ident(self.table),
            self.order,
            self.place("NEW")
        )
    }

    /// What an UPDATE of an `after_` column does.
    fn moved(&self) -> String {
        let after: Vec<String> = self.keys().map(|c| ident(&format!("after_{}", c.name))).collect();
        format!(
            "{} {}; UPDATE {} SET {}{} = {} WHERE {}; END",
            self.on_view("update", &format!("UPDATE OF {}", after.join(", "))),
            self.make_room("OLD"),
            ident(self.table),
            self.set(),
            self.order,
            self.place("OLD"),
            self.is("OLD")
        )
    }

    /// What an UPDATE of the other columns does. It may come with the one above, before or after
    /// it: the order is left to that one.
    fn edited(&self) -> Result<String> {
        let (order, mut of, mut moves, mut keys) =
            (&self.order, Vec::new(), Vec::new(), Vec::new());
        for c in self.columns.iter().filter(|c| c.written) {
            let name = ident(&c.name);
            if c.key {
                keys.push(format!("NEW.{name} IS NOT OLD.{name}"));
                moves.push(format!("NEW.{} IS NOT NULL", ident(&format!("after_{}", c.name))));
            }
            of.push(name);
        }
        let table = self.table;
        let why = format!("the key of a row is changed in table {table}, not in {}", view(table));
        Ok(format!(
            "{} SELECT RAISE(ABORT, {}) WHERE {}; \
             UPDATE {} SET {}{order} = CASE WHEN NEW.{order} IS OLD.{order} OR {} THEN {order} \
             ELSE NEW.{order} END WHERE {}; END",
            self.on_view("edit", &format!("UPDATE OF {}", of.join(", "))),
            literal(&why)?,
            keys.join(" OR "),
            ident(table),
            self.set(),
            moves.join(" OR "),
            self.is("OLD")
        ))
    }
}
