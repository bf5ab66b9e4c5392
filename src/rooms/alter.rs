//! Schema change: our register of tables and columns follows the schema, and the triggers follow
//! both. Plain ALTER needs no ceremony; what SQLite refuses while our triggers are there works
//! between `crsql_begin_alter` and `crsql_commit_alter`.

use std::rc::Rc;

use super::session::Session;
use super::{enable, flush, held, omits, ordered, parts, policy, rebuilt};
use crate::ground::catalog::{self, Seen, Table, clock_table};
use crate::ground::quote::ident;
use crate::ground::shape;
use crate::ground::triggers::{self, Watched};
use crate::ground::{Prep, store};
use crate::words::error::{Error, Result, SQLITE_LOCKED};

/// Brings the register, the triggers and the clocks into agreement with the schema, where that
/// has changed since they last agreed. The caller may write.
pub fn reconcile(s: &Session) -> Result<()> {
    if agrees(s)? {
        return Ok(());
    }
    let guards = application_has_triggers(s)?;
    for tid in s.catalog.names(&s.cache)?.all.clone() {
        reconcile_table(s, tid, guards)?;
    }
    settle_schema(s)?;
    held::retry(s)
}

/// Whether our tables are there and nothing stands between them and an answer: no transaction of
/// ours is open, and the register agrees with the schema.
pub fn is_settled(s: &Session) -> Result<bool> {
    Ok(!s.memory.borrow().enlisted && s.installed()? && agrees(s)?)
}

/// Whether there is nothing to reconcile. What was found to agree stays so until the schema
/// changes, or a rollback undoes what made it agree.
fn agrees(s: &Session) -> Result<bool> {
    if !s.installed()? {
        return Ok(true);
    }
    let version = s.catalog.version();
    if s.agreed.get() != version && store::schema_seen(&s.cache)? == version.0 {
        s.agreed.set(version);
    }
    Ok(s.agreed.get() == version)
}

/// Records that register and schema agree.
pub fn settle_schema(s: &Session) -> Result<()> {
    if s.installed()? {
        let version = store::schema_version(&s.cache)?;
        if store::schema_seen(&s.cache)? != version {
            store::set_schema_seen(&s.cache, version)?;
        }
    }
    Ok(())
}

/// Reconciles where this connection may write; where it may not, reads go on with what the
/// catalog can tell by itself.
pub fn reconcile_if_possible(s: &Rc<Session>, call: &str) -> Result<()> {
    if agrees(s)? {
        return Ok(());
    }
    if s.db.readonly() == Some(true) || s.db.write_statement_running() {
        return Ok(());
    }
    s.atomically(call, || {
        s.enlist()?;
        flush::flush(s)?;
        reconcile(s)
    })
}

/// The same for the one table that has this name, whatever the register calls it, and for one
/// that had it. The others, and the record that all agree, wait.
pub fn reconcile_named(s: &Session, name: &str) -> Result<()> {
    let guards = application_has_triggers(s)?;
    let registered = s.catalog.names(&s.cache)?.registered(name);
    let watching = catalog::watching(&s.cache, name)?.filter(|tid| Some(*tid) != registered);
    for tid in registered.into_iter().chain(watching) {
        reconcile_table(s, tid, guards)?;
    }
    Ok(())
}

fn reconcile_table(s: &Session, tid: u32, guards: bool) -> Result<()> {
    let Some(seen) = s.catalog.seen(&s.cache, tid)? else {
        return reconcile_unwatched(s, tid);
    };
    let Some(table) = s.find_table(tid)? else { return Ok(()) };
    if !seen.altering.is_empty() {
        return Ok(());
    }
    let expected = expected_triggers(&table, guards)?;
    let same = seen.texts.len() == expected.len()
        && expected.iter().all(|sql| seen.texts.iter().any(|(_, text)| text == sql));
    let registered = registered_name(s, tid)? == table.name && has_its_names(s, &table)?;
    if same && registered && table.gone.is_empty() && whole(&table, &seen) {
        return Ok(());
    }
    let blind = !captures(&seen, tid);
    settle_columns(s, &table)?;
    watch(s, &table)?;
    if blind { rebuilt::reconcile_rows(s, &*s.table(tid)?) } else { Ok(()) }
}

/// The columns of a table that its triggers do not name have been written: they keep the numbers
/// that the clocks now hold, and the triggers are made anew where nobody is altering the table.
pub fn learn(s: &Session, table: &Table) -> Result<()> {
    if s.catalog.seen(&s.cache, table.tid)?.is_some_and(|seen| seen.altering.is_empty()) {
        return watch(s, table);
    }
    number_columns(s, table, false)?;
    s.catalog.forget();
    s.installed().map(|_| ())
}

/// Whether the triggers that capture are all there. Where one is missing, writes went by.
fn captures(seen: &Seen, tid: u32) -> bool {
    let prefix = triggers::prefix(tid);
    ["insert", "update", "delete"].iter().all(|what| {
        let named = |name: &str| name.strip_prefix(&prefix).is_some_and(|n| n.starts_with(what));
        seen.texts.iter().any(|(name, _)| named(name))
    })
}

/// Whether the update trigger names exactly the columns that there are.
fn whole(table: &Table, seen: &Seen) -> bool {
    !table.stale
        && seen.listed.as_ref().is_some_and(|l| l.len() == table.keys.len() + table.cols.len())
}

/// A table without our triggers: dropped, or built anew under its name.
fn reconcile_unwatched(s: &Session, tid: u32) -> Result<()> {
    let name = registered_name(s, tid)?;
    let found = shape::read(s.db, &name)?;
    let found = found.filter(|found| shape::refuse(s.db, found).is_ok());
    // Another table of ours may have been given the name.
    let other = catalog::watching(&s.cache, &name)?.is_some();
    let fit = found.filter(|_| !other);
    let Some(_) = fit else {
        return forget_id(s, tid, &name);
    };
    let table = s.table(tid)?;
    if !rebuilt::has_its_key(s, &table)? || !rebuilt::holds_known_rows(s, &table)? {
        return forget_id(s, tid, &name);
    }
    settle_columns(s, &table)?;
    watch(s, &table)?;
    rebuilt::reconcile_rows(s, &*s.table(tid)?)
}

/// Whether the register has the present names of the columns. SQLite gives the triggers those of a
/// column that is renamed, so that nothing else tells; a name that is not written down would be
/// forgotten by the next renaming, and changes that come under it would be held.
fn has_its_names(s: &Session, table: &Table) -> Result<bool> {
    let sql = "SELECT name FROM crsql_register WHERE tid = ?1 AND dropped IS NULL ORDER BY cid";
    let mut stmt = s.db.prepare(sql, Prep::Once)?;
    stmt.bind_int(1, i64::from(table.tid))?;
    for col in &table.cols {
        if !stmt.step()? || stmt.text(0) != col.name.as_bytes() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn registered_name(s: &Session, tid: u32) -> Result<String> {
    let mut stmt = s.db.prepare("SELECT name FROM crsql_tables WHERE tid = ?1", Prep::Once)?;
    stmt.bind_int(1, i64::from(tid))?;
    stmt.step()?;
    Ok(stmt.string(0))
}

/// Whether anybody but us has a trigger here. Ours alone never write to a replicated table.
pub fn application_has_triggers(s: &Session) -> Result<bool> {
    Ok(s.ask_int(
        "SELECT count(*) FROM (SELECT name, type FROM main.sqlite_schema
                               UNION ALL SELECT name, type FROM temp.sqlite_schema)
         WHERE type = 'trigger' AND NOT (name >= 'crsql ' AND name < 'crsql!')",
    )? > 0)
}

/// Whether a trigger that is not ours may hold an upsert.
pub fn application_upserts(s: &Session) -> Result<bool> {
    Ok(s.ask_int(
        "SELECT count(*) FROM (SELECT name, type, sql FROM main.sqlite_schema
                               UNION ALL SELECT name, type, sql FROM temp.sqlite_schema)
         WHERE type = 'trigger' AND NOT (name >= 'crsql ' AND name < 'crsql!')
           AND sql LIKE '%conflict%update%'",
    )? > 0)
}

fn watched(table: &Table, shape: u32) -> Watched<'_> {
    Watched {
        tid: table.tid,
        name: &table.name,
        shape,
        keys: table.keys.iter().map(|k| k.name.as_str()).collect(),
        columns: table.cols.iter().map(|c| c.name.as_str()).collect(),
    }
}

/// The triggers that a table should have.
pub fn expected_triggers(table: &Table, guards: bool) -> Result<Vec<String>> {
    let w = watched(table, table.shape);
    let mut all = triggers::capture(&w)?;
    if guards {
        all.extend(triggers::guards(&w)?);
    }
    Ok(all)
}

/// Writes the register's lines for the columns. Those that the triggers name stay watched.
fn number_columns(s: &Session, table: &Table, watched: bool) -> Result<()> {
    let mut stmt = s.db.prepare(
        "INSERT INTO crsql_register(tid, cid, name, former, watched) VALUES(?1, ?2, ?3, ?4, ?5)
         ON CONFLICT(tid, cid) DO UPDATE SET name = excluded.name, former = excluded.former,
                                             watched = max(watched, excluded.watched)",
        Prep::Once,
    )?;
    for c in &table.cols {
        stmt.bind_int(1, i64::from(table.tid))?;
        stmt.bind_int(2, i64::from(c.id))?;
        stmt.bind_text(3, c.name.as_bytes())?;
        stmt.bind_text(4, json(&c.former).as_bytes())?;
        stmt.bind_int(5, i64::from(watched))?;
        stmt.run()?;
    }
    drop(stmt);
    s.db.exec(&format!("UPDATE crsql_tables SET snapshot = NULL WHERE tid = {}", table.tid))
}

/// Writes the register's lines for a table as it is now, and its triggers.
pub fn watch(s: &Session, table: &Table) -> Result<()> {
    let shape = table.shape + 1;
    let mut stmt = s.db.prepare(
        "UPDATE crsql_tables SET name = ?2, former = ?3, shape = ?4 WHERE tid = ?1",
        Prep::Once,
    )?;
    stmt.bind_int(1, i64::from(table.tid))?;
    stmt.bind_text(2, table.name.as_bytes())?;
    stmt.bind_text(3, json(&table.former).as_bytes())?;
    stmt.bind_int(4, i64::from(shape))?;
    stmt.run()?;
    drop(stmt);
    number_columns(s, table, true)?;
    drop_triggers(s, table.tid)?;
    let mut table = table.clone();
    table.shape = shape;
    for sql in expected_triggers(&table, application_has_triggers(s)?)? {
        triggers::create(s.db, &sql)?;
    }
    s.catalog.forget();
    s.installed()?;
    Ok(())
}

fn json(names: &[String]) -> String {
    serde_json::Value::from(names.to_vec()).to_string()
}

fn drop_triggers(s: &Session, tid: u32) -> Result<()> {
    if let Some(seen) = s.catalog.seen(&s.cache, tid)? {
        for (name, _) in &seen.texts {
            s.db.exec(&format!("DROP TRIGGER main.{}", ident(name)))?;
        }
    }
    Ok(())
}

/// Columns that are gone from the table are dropped from the register; what they held is omitted.
fn settle_columns(s: &Session, table: &Table) -> Result<()> {
    for id in &table.gone {
        let name = s.ask_text(
            &format!("SELECT name FROM crsql_register WHERE tid = {} AND cid = ?1", table.tid),
            *id,
        )?;
        omits::column(s, &table.name, &name)?;
        let mut stmt = s.db.prepare(
            "UPDATE crsql_register SET dropped = ?3, watched = 0 WHERE tid = ?1 AND cid = ?2",
            Prep::Once,
        )?;
        stmt.bind_int(1, i64::from(table.tid))?;
        stmt.bind_int(2, i64::from(*id))?;
        stmt.bind_int(3, super::log::int(s.now()))?;
        stmt.run()?;
        parts::forget(s, table.tid, Some(*id))?;
    }
    if table.gone.is_empty() { Ok(()) } else { enable::name_rows(s, table) }
}

/// Forgets a table that is there: triggers, clocks, register.
pub fn forget_table(s: &Session, table: &Table) -> Result<()> {
    drop_triggers(s, table.tid)?;
    forget_id(s, table.tid, &table.name)
}

/// Forgets a table: what it held is omitted from now on.
fn forget_id(s: &Session, tid: u32, name: &str) -> Result<()> {
    omits::table(s, name)?;
    ordered::drop_orphans(s)?;
    let mut stmt =
        s.db.prepare("UPDATE crsql_tables SET dropped = ?2 WHERE tid = ?1", Prep::Once)?;
    stmt.bind_int(1, i64::from(tid))?;
    stmt.bind_int(2, super::log::int(s.now()))?;
    stmt.run()?;
    drop(stmt);
    parts::forget(s, tid, None)?;
    s.cache.forget_tables();
    // SQLite drops no table while a statement reads; then an empty one stays for `drop_clocks`.
    let clock = clock_table(tid);
    match s.db.exec(&format!("DROP TABLE IF EXISTS main.{clock}")) {
        Err(e) if e.code & 0xff == SQLITE_LOCKED => {
            s.db.exec(&format!("DELETE FROM main.{clock}"))?;
        }
        done => done?,
    }
    s.catalog.forget();
    s.installed()?;
    Ok(())
}

/// Drops what is left of the clocks of tables that were dropped, if SQLite lets us now.
pub fn drop_clocks(s: &Session) -> Result<()> {
    let sql = "SELECT s.name FROM crsql_tables t JOIN main.sqlite_schema s
                 ON s.name = 'crsql_clock_' || t.tid WHERE t.dropped IS NOT NULL";
    let mut stmt = s.db.prepare(sql, Prep::Once)?;
    let mut left = Vec::new();
    while stmt.step()? {
        left.push(stmt.string(0));
    }
    drop(stmt);
    for clock in left {
        if s.db.exec(&format!("DROP TABLE main.{clock}")).is_err() {
            break;
        }
    }
    Ok(())
}

fn named(s: &Session, call: &str, name: &str) -> Result<Rc<Table>> {
    let found = if s.installed()? { s.named(name)? } else { None };
    found.ok_or_else(|| {
        Error::refused(format!("{call}: table {name} is not replicated; nothing to prepare"))
    })
}

/// `crsql_begin_alter`: from here on ALTER may drop columns and the table may be built anew.
pub fn begin(s: &Rc<Session>, name: &str) -> Result<()> {
    if !s.installed()? {
        return named(s, "crsql_begin_alter", name).map(|_| ());
    }
    s.writing("crsql_begin_alter", || {
        s.enlist()?;
        flush::flush(s)?;
        reconcile(s)?;
        let table = named(s, "crsql_begin_alter", name)?;
        let Some(seen) = s.catalog.seen(&s.cache, table.tid)? else { return Ok(()) };
        if !seen.altering.is_empty() {
            return Ok(());
        }
        ordered::step_aside(s, &table)?;
        let update = format!("{}update", triggers::prefix(table.tid));
        for (name, _) in seen.texts.iter().filter(|(name, _)| name.starts_with(&update)) {
            s.db.exec(&format!("DROP TRIGGER main.{}", ident(name)))?;
        }
        for sql in triggers::altering(&watched(&table, table.shape), &table.ids())? {
            triggers::create(s.db, &sql)?;
        }
        s.catalog.forget();
        settle_schema(s)
    })
}

/// `crsql_commit_alter`: the register follows what was done since `crsql_begin_alter`.
pub fn commit(s: &Rc<Session>, name: &str) -> Result<()> {
    if !s.installed()? {
        return named(s, "crsql_commit_alter", name).map(|_| ());
    }
    s.writing("crsql_commit_alter", || {
        s.enlist()?;
        flush::flush(s)?;
        let table = named_or_altered(s, name)?;
        let rebuilt = s.catalog.seen(&s.cache, table.tid)?.is_none();
        if let Some(found) = shape::read(s.db, &table.name)? {
            shape::refuse(s.db, &found)?;
        }
        if rebuilt && !rebuilt::has_its_key(s, &table)? {
            return begin_again(s, &table);
        }
        let added: Vec<u32> =
            table.ids().into_iter().filter(|id| !table.watched.contains(id)).collect();
        settle_columns(s, &table)?;
        watch(s, &table)?;
        let table = s.table(table.tid)?;
        rebuilt::backfill_columns(s, &table, &added)?;
        if rebuilt {
            rebuilt::refuse_lost(s, &table)?;
            rebuilt::refuse_remade(s, &table)?;
            rebuilt::reconcile_rows(s, &table)?;
        }
        ordered::come_back(s, &table)?;
        reconcile(s)?;
        drop_clocks(s)?;
        settle_schema(s)?;
        held::retry(s)
    })
}

/// A table that was built anew with another key: its rows are others now, whatever they hold. They
/// are taken as `crsql_as_crr` takes the rows that it finds.
fn begin_again(s: &Rc<Session>, table: &Table) -> Result<()> {
    forget_table(s, table)?;
    enable::as_crr(s, &table.name)?;
    ordered::come_back(s, table)?;
    reconcile(s)?;
    drop_clocks(s)?;
    settle_schema(s)?;
    policy::declare(s, &table.name, table.policy.name())
}

/// The table under this name: one whose stand-in triggers followed it, or else the register's.
fn named_or_altered(s: &Session, name: &str) -> Result<Rc<Table>> {
    for tid in &s.catalog.names(&s.cache)?.all {
        if let Some(seen) = s.catalog.seen(&s.cache, *tid)?
            && seen.name.eq_ignore_ascii_case(name)
            && let Some(table) = s.find_table(*tid)?
        {
            return Ok(table);
        }
    }
    named(s, "crsql_commit_alter", name)
}
