//! The guards are there before a merge writes. A TEMP trigger belongs to one connection and
//! changes nothing in the file, so the register cannot tell that it came; whoever merges looks.

use super::alter;
use super::session::Session;
use crate::ground::catalog;
use crate::words::error::Result;

/// Whether everything that a merge needs of the schema was seen to be in order, and the schema has
/// not changed since the caller asked whether our tables are there.
pub fn is_ready(s: &Session) -> bool {
    let now = s.catalog.version();
    s.agreed.get() == now && s.guarded.get() == now
}

/// Puts the guards on every replicated table that lacks them, where the application has triggers.
/// Looks once per state of the schema. The caller may write, and has reconciled.
pub fn ensure(s: &Session) -> Result<()> {
    s.installed()?;
    if s.guarded.get() == s.catalog.version() {
        return Ok(());
    }
    if alter::application_has_triggers(s)? {
        for tid in s.catalog.names(&s.cache)?.all.clone() {
            if is_bare(s, tid)?
                && let Some(table) = s.find_table(tid)?
            {
                alter::watch(s, &table)?;
            }
        }
        alter::settle_schema(s)?;
    }
    s.installed()?;
    s.guarded.set(s.catalog.version());
    Ok(())
}

/// Whether a table has our triggers and no guards among them.
fn is_bare(s: &Session, tid: u32) -> Result<bool> {
    let Some(seen) = catalog::seen(&s.cache, tid)? else { return Ok(false) };
    let guard = format!("{}guard ", crate::ground::triggers::prefix(tid));
    Ok(seen.altering.is_empty() && !seen.texts.iter().any(|(name, _)| name.starts_with(&guard)))
}
