//! `crsql_automigrate`: the schema of the database becomes the one that a text has, in one
//! savepoint. The text is tried on an empty database, and the two schemas are compared.
//!
//! - Tables that the text does not have are dropped, but for SQLite's, crsql's and cr-sqlite's own
//!   and the shadows of virtual tables. Those that only the text has are made.
//! - Of tables in both, columns are dropped and added. What ALTER TABLE cannot do is refused where
//!   rows would be in question: another primary key, other stored generated columns. A column that
//!   stays keeps its type, default and constraints whatever the text says of them, and a table its
//!   constraints and options, as in cr-sqlite; to change those, give the column or table a new
//!   name. The order of columns and the case of names do not matter.
//! - Indexes become those of the text: one that says something else is dropped and made anew.
//! - Views and triggers are made and changed as the text has them. Those that it does not name
//!   stay, because functions like `crsql_fract_as_ordered` make some.
//! - Calls of `crsql_as_crr` and its like run at the end. A replicated table that the text does not
//!   name in one stays replicated.
//!
//! Where nothing differs nothing is written. An error leaves the database as it was.

mod plan;
mod schema;

use std::rc::Rc;

use super::session::Session;
use super::{alter, flush, held};
use crate::ground::{Db, shape};
use crate::words::error::{Error, Result, SQLITE_ERROR};
use crate::words::sqltext;
use plan::{Alter, Plan};
use schema::{Kind, Object, Wanted};

/// `SQLITE_LOCKED`
const SQLITE_LOCKED: i32 = 6;
/// Statements that would end our savepoint.
const ENDINGS: [&str; 6] = ["begin", "commit", "end", "rollback", "savepoint", "release"];

/// Gives the database the schema `text`, then runs the statements of `cleanup`.
pub fn run(s: &Rc<Session>, text: &str, cleanup: &str) -> Result<()> {
    for statement in sqltext::statements(cleanup) {
        let first = sqltext::tokens(statement).first().copied();
        if first.is_some_and(|t| ENDINGS.iter().any(|word| t.is(word))) {
            return Err(Error::refused(format!(
                "crsql_automigrate: the cleanup runs inside the migration's savepoint and cannot \
                 hold: {statement}"
            )));
        }
    }
    let wanted = Wanted::read(text)?;
    let done = s.atomically("crsql_automigrate", || {
        let changed = migrate(s, &wanted)?;
        for call in &wanted.calls {
            s.db.exec(call)?;
        }
        if changed {
            refuse_unfit(s, &wanted.objects)?;
            held::retry(s)?;
        }
        s.db.exec(cleanup)
    });
    done.map_err(|e| match e.code & 0xff {
        SQLITE_LOCKED => Error::new(
            e.code,
            format!("{}; call crsql_automigrate in a SELECT that reads no table", e.text),
        ),
        _ => e,
    })
}

/// Makes the schemas equal: whether there was anything to do.
fn migrate(s: &Rc<Session>, wanted: &Wanted) -> Result<bool> {
    let have = schema::read(s.db)?;
    let plan = Plan::new(s.db, &have, wanted)?;
    if plan.is_empty() && missing(&have, wanted).next().is_none() {
        return Ok(false);
    }
    settle(s)?;
    for sql in &plan.drops {
        s.db.exec(sql)?;
    }
    for change in &plan.alters {
        alter_table(s, change)?;
    }
    let have = schema::read(s.db)?;
    for object in missing(&have, wanted) {
        s.expiring(|| s.db.exec(&object.create()))?;
    }
    for sql in &plan.carried {
        s.expiring(|| s.db.exec(sql))?;
    }
    settle(s)?;
    Ok(true)
}

/// What the schema has and the database has not.
fn missing<'a>(have: &'a [Object], wanted: &'a Wanted) -> impl Iterator<Item = &'a Object> {
    wanted.objects.iter().filter(|o| schema::counterpart(have, o).is_none())
}

/// What was captured is written down, and register and triggers agree with the schema.
fn settle(s: &Rc<Session>) -> Result<()> {
    if !s.installed()? {
        return Ok(());
    }
    s.enlist()?;
    flush::flush(s)?;
    alter::reconcile(s)?;
    alter::settle_schema(s)
}

fn alter_table(s: &Rc<Session>, change: &Alter) -> Result<()> {
    let drops = !change.redo.is_empty() || !change.drop.is_empty();
    let watched = drops && is_replicated(s, &change.table)?;
    if watched {
        alter::begin(s, &change.table)?;
    }
    for statements in [&change.redo, &change.add, &change.drop] {
        in_any_order(s.db, statements).map_err(|e| {
            let text = format!("crsql_automigrate: table {}: {}", change.table, e.text);
            Error::new(e.code, text)
        })?;
    }
    if watched { alter::commit(s, &change.table) } else { Ok(()) }
}

/// Runs statements, those again that needed another one first: generated columns may name columns
/// that come after them. Only an error that left the transaction alone lets us try again.
fn in_any_order(db: Db, statements: &[String]) -> Result<()> {
    let mut left: Vec<&String> = statements.iter().collect();
    while !left.is_empty() {
        let (mut failed, mut first) = (Vec::new(), None);
        for sql in &left {
            match db.exec(sql) {
                Err(e) if e.code & 0xff == SQLITE_ERROR => {
                    failed.push(*sql);
                    first.get_or_insert(e);
                }
                done => done?,
            }
        }
        match first {
            Some(e) if failed.len() == left.len() => return Err(e),
            _ => left = failed,
        }
    }
    Ok(())
}

fn is_replicated(s: &Session, name: &str) -> Result<bool> {
    Ok(s.installed()? && s.named(name)?.is_some_and(|t| t.name.eq_ignore_ascii_case(name)))
}

/// Refuses a schema that makes a replicated table one that cannot be.
fn refuse_unfit(s: &Session, objects: &[Object]) -> Result<()> {
    for table in objects.iter().filter(|o| o.kind == Kind::Table) {
        if is_replicated(s, &table.name)?
            && let Some(found) = shape::read(s.db, &table.name)?
        {
            shape::refuse(s.db, &found)?;
        }
    }
    Ok(())
}
