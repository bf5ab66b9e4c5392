//! Who this file is: its site, made by whoever needs it first.

use super::log;
use super::session::Session;
use crate::ground::store;
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result, SQLITE_READONLY};

/// Makes our tables, and with them the identity, if they are not there.
pub fn ensure(s: &Session) -> Result<()> {
    if s.installed()? {
        return Ok(());
    }
    if s.db.readonly() != Some(false) {
        return Err(Error::new(
            SQLITE_READONLY,
            "the database cannot be written, so crsql cannot make its tables in it",
        ));
    }
    s.atomically("crsql", || {
        store::install(s.db)?;
        s.installed().map(|_| ())
    })
}

/// `crsql_site_id()`: made when it can be, else None.
pub fn site_id(s: &Session) -> Result<Option<SiteId>> {
    if !s.installed()? {
        if s.db.readonly() != Some(false) || s.db.write_statement_running() {
            return Ok(None);
        }
        ensure(s)?;
    }
    s.own_id().map(Some)
}

/// `crsql_db_version()`: the newest own version that is committed.
pub fn db_version(s: &Session) -> Result<u64> {
    if !s.installed()? {
        return Ok(0);
    }
    let head = log::head(s)?;
    let open = s.memory.borrow().given.is_some_and(|g| g.version == head.version);
    Ok(head.version - u64::from(open))
}

/// `crsql_next_db_version()`: the version of the open or the next own transaction.
pub fn next_db_version(s: &Session) -> Result<u64> {
    let given = s.memory.borrow().given;
    match given {
        Some(g) => Ok(g.version),
        None => Ok(db_version(s)? + 1),
    }
}

/// Somebody else writes as this file's site: this file takes a new identity.
pub fn fork(_s: &Session) -> Result<()> {
    Err(Error::refused("a fork of this site was met"))
}
