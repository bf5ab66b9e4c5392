//! A column that was added by plain ALTER is not in the update trigger until the trigger is made
//! anew. Until then an update counts as having written it if it has a stamp already or holds
//! other than its default.

use super::rows;
use super::session::Session;
use crate::ground::catalog::Table;
use crate::words::error::Result;
use crate::words::keylist::KeyRef;
use crate::words::rowclock::RowClock;

/// The ids of the columns that the trigger does not name and that count as written.
pub fn unwatched_changes(
    s: &Session,
    table: &Table,
    key: KeyRef<'_>,
    clock: Option<&RowClock>,
) -> Result<Vec<u32>> {
    let Some(differ) = rows::unwatched(s, table, key)? else { return Ok(Vec::new()) };
    let stamped = |id: u32| clock.is_some_and(|c| c.cell(id).is_some());
    let columns = table.unwatched().zip(differ);
    Ok(columns.filter(|(c, differ)| *differ || stamped(c.id)).map(|(c, _)| c.id).collect())
}
