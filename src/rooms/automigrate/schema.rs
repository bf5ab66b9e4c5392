//! What a schema has: read from the database, or from a text that is tried on an empty one.

use crate::ground::{Db, Owned, Prep};
use crate::words::error::{Error, Result};
use crate::words::sqltext;

/// The functions that a schema may call. They run on the real database, when its tables are there.
const CALLS: [&str; 4] =
    ["crsql_as_crr", "crsql_column", "crsql_row_policy", "crsql_fract_as_ordered"];

/// What an object of the schema is, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A table.
    Table,
    /// A virtual table.
    Virtual,
    /// An index with a statement of its own.
    Index,
    /// A view.
    View,
    /// A trigger.
    Trigger,
}

/// One object of a schema.
#[derive(Clone, Debug)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The table that an index or trigger belongs to; else its own name.
    pub table: String,
    /// Its CREATE statement, as SQLite keeps it.
    pub sql: String,
}

impl Object {
    /// Whether the two are of one kind and their statements say the same.
    pub fn same(&self, other: &Self) -> bool {
        self.kind == other.kind && sqltext::normal(&self.sql) == sqltext::normal(&other.sql)
    }

    /// Whether it is crsql's or cr-sqlite's own, or belongs to a table of theirs. Those are made
    /// when a schema has them, and otherwise left alone.
    pub fn reserved(&self) -> bool {
        let ours = |name: &str| {
            let name = name.to_ascii_lowercase();
            ["crsql_", "__crsql_", "crsql "].iter().any(|p| name.starts_with(p))
                || ["__crsql_clock", "__crsql_pks"].iter().any(|s| name.ends_with(s))
        };
        ours(&self.name) || ours(&self.table)
    }

    /// Its CREATE statement, for the main database whatever temporary tables there are.
    pub fn create(&self) -> String {
        let tokens = sqltext::tokens(&self.sql);
        let made = |t: &&sqltext::Token<'_>| {
            ["table", "index", "view", "trigger"].iter().any(|kind| t.is(kind))
        };
        let at = tokens.iter().find(made).map_or(0, |t| t.at + t.text.len());
        match self.sql.split_at_checked(at) {
            Some((create, rest)) => format!("{create} main.{}", rest.trim_start()),
            None => self.sql.clone(),
        }
    }
}

/// The table, virtual table or view with this name.
pub fn relation<'a>(objects: &'a [Object], name: &str) -> Option<&'a Object> {
    let relation = |o: &&Object| !matches!(o.kind, Kind::Index | Kind::Trigger);
    objects.iter().filter(relation).find(|o| o.name.eq_ignore_ascii_case(name))
}

/// The object that has the place of this one: a relation of its name, or else the same kind.
pub fn counterpart<'a>(objects: &'a [Object], of: &Object) -> Option<&'a Object> {
    if matches!(of.kind, Kind::Index | Kind::Trigger) {
        let same = |o: &&Object| o.kind == of.kind && o.name.eq_ignore_ascii_case(&of.name);
        return objects.iter().find(same);
    }
    relation(objects, &of.name)
}

/// The objects of a main database, but for SQLite's own and the shadows of virtual tables.
pub fn read(db: Db) -> Result<Vec<Object>> {
    let shadows = shadows(db)?;
    let mut stmt = db.prepare(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_schema
         WHERE sql IS NOT NULL AND lower(substr(name, 1, 7)) <> 'sqlite_' ORDER BY rowid",
        Prep::Once,
    )?;
    let mut out = Vec::new();
    while stmt.step()? {
        let (name, table, sql) = (stmt.string(1), stmt.string(2), stmt.string(3));
        let kind = match stmt.text(0) {
            b"table" if is_virtual(&sql) => Kind::Virtual,
            b"table" => Kind::Table,
            b"index" => Kind::Index,
            b"view" => Kind::View,
            _ => Kind::Trigger,
        };
        if !shadows.contains(&table) {
            out.push(Object { kind, name, table, sql });
        }
    }
    Ok(out)
}

fn shadows(db: Db) -> Result<Vec<String>> {
    let mut stmt = db.prepare("PRAGMA main.table_list", Prep::Once)?;
    let mut out = Vec::new();
    while stmt.step()? {
        if stmt.text(2) == b"shadow" {
            out.push(stmt.string(1));
        }
    }
    Ok(out)
}

fn is_virtual(sql: &str) -> bool {
    sqltext::tokens(sql).get(1).is_some_and(|t| t.is("virtual"))
}

/// A schema as a text has it.
pub struct Wanted {
    /// The database that it was tried on. Virtual tables are not there.
    pub db: Owned,
    /// What it has.
    pub objects: Vec<Object>,
    /// The statements that call functions of ours.
    pub calls: Vec<String>,
}

impl Wanted {
    /// Reads a schema's text.
    pub fn read(text: &str) -> Result<Self> {
        let db = Owned::open_in_memory()?;
        let (mut calls, mut virtuals) = (Vec::new(), Vec::new());
        for statement in sqltext::statements(text) {
            if sqltext::only_calls(statement, &CALLS) {
                calls.push(statement.to_string());
                continue;
            }
            if !sqltext::tokens(statement).first().is_some_and(|t| t.is("create")) {
                return Err(about(
                    statement,
                    "a schema has CREATE statements and calls of crsql_as_crr, crsql_column, \
                     crsql_row_policy and crsql_fract_as_ordered with names for arguments; run \
                     this one by itself",
                ));
            }
            if is_virtual(statement) {
                let table = virtual_table(statement)?;
                if relation(&virtuals, &table.name).is_none() {
                    virtuals.push(table);
                }
                continue;
            }
            try_out(*db, statement)?;
        }
        let mut objects = read(*db)?;
        objects.extend(virtuals);
        objects.sort_by_key(|o| o.kind);
        Ok(Self { db, objects, calls })
    }
}

fn try_out(db: Db, statement: &str) -> Result<()> {
    let tried = db.prepare(statement, Prep::Once).and_then(|mut stmt| stmt.run());
    tried.map_err(|e| {
        let code = e.code;
        Error::new(code, about(statement, &format!("{} (tried on an empty database)", e.text)).text)
    })?;
    let mut temp = db.prepare("SELECT count(*) FROM temp.sqlite_schema", Prep::Once)?;
    if temp.step()? && temp.int(0) > 0 {
        return Err(about(statement, "what is temporary is not part of a schema"));
    }
    Ok(())
}

/// A virtual table's statement as SQLite keeps it. It is not tried out: its module may be loaded
/// into the real connection only.
fn virtual_table(statement: &str) -> Result<Object> {
    let tokens = sqltext::tokens(statement);
    let mut rest = tokens.get(3..).unwrap_or(&[]);
    if let [a, b, c, after @ ..] = rest
        && a.is("if")
        && b.is("not")
        && c.is("exists")
    {
        rest = after;
    }
    if let [schema, dot, after @ ..] = rest
        && dot.text == "."
    {
        if !schema.plain().eq_ignore_ascii_case("main") {
            return Err(about(statement, "only the main database is migrated"));
        }
        rest = after;
    }
    let Some((name, text)) = rest.first().and_then(|t| Some((t, statement.get(t.at..)?))) else {
        return Err(about(statement, "it names no table"));
    };
    Ok(Object {
        kind: Kind::Virtual,
        name: name.plain(),
        table: name.plain(),
        sql: format!("CREATE VIRTUAL TABLE {text}"),
    })
}

/// An error about one statement of the schema.
fn about(statement: &str, why: &str) -> Error {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let mut start: String = words.join(" ");
    if let Some((at, _)) = start.char_indices().nth(100) {
        start.truncate(at);
        start.push_str("...");
    }
    Error::refused(format!("crsql_automigrate: {why}: {start}"))
}
