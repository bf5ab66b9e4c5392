//! `crsql_row_policy()`: what becomes of whole rows of a table. Delete-wins is what the merge law
//! does by itself; update-wins is in `revive.rs`. Of a table that only grows, statements that
//! remove a row are refused here, and deletes that arrive wait in `held.rs`.
//!
//! With recursive_triggers on, a REPLACE fires the delete trigger before its insert, and nothing
//! tells the two apart at that moment. So where there may be a REPLACE, the delete is let through,
//! and the flush refuses it if no insert of the same key followed in the statement.

use std::rc::Rc;

use super::alter;
use super::held;
use super::memory::{Event, Op};
use super::session::Session;
use crate::ground::catalog::Table;
use crate::ground::{Prep, store};
use crate::words::error::{Error, Result, SQLITE_CONSTRAINT};
use crate::words::policy::Policy;

const CALL: &str = "crsql_row_policy";

/// Declares the policy of a table. What was held for want of it is tried again.
pub fn declare(s: &Rc<Session>, table: &str, name: &str) -> Result<()> {
    let policy = Policy::named(name).ok_or_else(|| {
        Error::refused(format!(
            "{CALL}: no policy is called {name}; there are delete-wins, update-wins and grow-only"
        ))
    })?;
    // A schema that is said again changes nothing.
    if alter::is_settled(s)? && s.named(table)?.is_some_and(|found| found.policy == policy) {
        return Ok(());
    }
    s.writing(CALL, || {
        if s.installed()? {
            s.enlist()?;
            super::flush::flush(s)?;
            alter::reconcile(s)?;
        }
        let found = find(s, table)?;
        if found.policy == policy {
            return Ok(());
        }
        if !store::keeps_policies(s.db)? {
            s.expiring(|| store::keep_policies(s.db))?;
        }
        let sql = "UPDATE crsql_tables SET policy = ?2 WHERE tid = ?1";
        let mut stmt = s.db.prepare(sql, Prep::Once)?;
        stmt.bind_int(1, i64::from(found.tid))?;
        stmt.bind_text(2, policy.name().as_bytes())?;
        stmt.run()?;
        drop(stmt);
        // Every connection learns of it by the schema, which has new triggers.
        alter::watch(s, &found)?;
        alter::settle_schema(s)?;
        held::retry(s)
    })
}

/// The policy of a table.
pub fn told(s: &Rc<Session>, table: &str) -> Result<&'static str> {
    alter::reconcile_if_possible(s, CALL)?;
    Ok(find(s, table)?.policy.name())
}

fn find(s: &Session, name: &str) -> Result<Rc<Table>> {
    let found = if s.installed()? { s.named(name)? } else { None };
    found.ok_or_else(|| {
        Error::refused(format!(
            "{CALL}: table {name} is not replicated; call crsql_as_crr('{name}') first"
        ))
    })
}

/// Why a row of a table that only grows does not go.
pub fn stays(table: &Table, what: &str) -> Error {
    let name = &table.name;
    Error::new(
        SQLITE_CONSTRAINT,
        format!(
            "table {name} only grows, and this {what}; mark such rows in a column of their own, or \
             say crsql_row_policy('{name}', 'delete-wins') on every replica"
        ),
    )
}

/// A row of the table was deleted.
pub fn deleted(s: &Session, table: &Table) -> Result<()> {
    if table.policy != Policy::GrowOnly || may_replace(s)? {
        return Ok(());
    }
    Err(stays(table, "deletes a row"))
}

/// The key of a row was changed.
pub fn moved(table: &Table) -> Result<()> {
    if table.policy != Policy::GrowOnly {
        return Ok(());
    }
    Err(stays(table, "changes the key of a row"))
}

/// A row of the table was inserted, and captured. What its statement deleted before it was the row
/// that it replaces, or another one.
pub fn inserted(s: &Session, table: &Table) -> Result<()> {
    if table.policy != Policy::GrowOnly {
        return Ok(());
    }
    let memory = s.memory.borrow();
    let row = |e: &Event| (e.tid, memory.key(e.key).to_key());
    if let [.., before, last] = memory.events.as_slice()
        && (before.op, before.statement) == (Op::Delete, last.statement)
        && before.tid == last.tid
        && row(before) != row(last)
    {
        return Err(stays(table, "replaces another row"));
    }
    Ok(())
}

/// Whether a delete that has just been captured may be the first half of a REPLACE.
fn may_replace(s: &Session) -> Result<bool> {
    if s.ask_int("PRAGMA recursive_triggers")? == 0 {
        return Ok(false);
    }
    let mut said = false;
    s.db.for_each_busy_sql(&mut |sql| {
        said |= sql.windows(7).any(|word| word.eq_ignore_ascii_case(b"replace"));
    });
    // Tables have conflict clauses, and triggers statements of their own.
    let of_schema = "SELECT EXISTS(SELECT 1 FROM main.sqlite_schema WHERE sql LIKE '%replace%')
                         OR EXISTS(SELECT 1 FROM temp.sqlite_schema WHERE sql LIKE '%replace%')";
    Ok(said || s.ask_int(of_schema)? != 0)
}

/// A delete that no insert followed: the last place at which it can be refused. A table that was
/// built anew is compared with what it was, and not asked.
pub(super) fn flushed(table: &Table, event: &Event) -> Result<()> {
    if table.policy != Policy::GrowOnly || event.statement == REBUILT {
        return Ok(());
    }
    Err(stays(table, "deletes a row"))
}

/// What stands in place of the statement where no trigger told of an event.
pub const REBUILT: i64 = -1;

/// Why a delete that arrived waits.
pub fn reason(table: &Table) -> String {
    let name = &table.name;
    format!(
        "{}no delete is taken; say crsql_row_policy('{name}', 'delete-wins') to take it",
        held::GROWS
    )
}
