//! SQLite 3.24 to 3.45.2 can hand UPDATE triggers a wrong `OLD` row from the second row on of a
//! statement with `ON CONFLICT DO UPDATE` (threat C2). On such a library a row that such a
//! statement writes counts as changed in every column, unless it is the first one: a cursor's list
//! of overflow pages goes stale only when the statement has written before.

use super::alter;
use super::session::Session;
use crate::ground::{Db, store};
use crate::words::error::Result;

/// Releases of SQLite before this one have the fault.
const FIXED_IN: i32 = 3_045_003;

/// What was found out so far; outlives transactions.
#[derive(Clone, Copy, Default, Debug)]
pub struct Known {
    /// The running statement (`sqlite3_total_changes64`), whether it may be an upsert, and whether
    /// its present row is distrusted.
    statement: Option<(i64, bool, bool)>,
    /// The application's triggers under this mark of the schema.
    triggers: Option<((i64, i32), Foreign)>,
}

#[derive(Clone, Copy, Debug)]
struct Foreign {
    any: bool,
    upserts: bool,
}

/// Whether the `OLD` row of the running trigger may be wrong. `more` is set for a further call
/// about the row of the call before.
pub fn distrusts_old(s: &Session, more: bool) -> Result<bool> {
    if Db::version_number() >= FIXED_IN {
        return Ok(false);
    }
    let known = s.memory.borrow().upserts;
    if more {
        return Ok(known.statement.is_some_and(|(_, _, distrusted)| distrusted));
    }
    let statement = s.db.total_changes();
    let (upsert, later) = match known.statement.filter(|(at, ..)| *at == statement) {
        Some((_, upsert, _)) => (upsert, true),
        None => {
            let foreign = foreign(s, &known)?;
            let upsert = foreign.upserts || statement_says_do_update(s);
            let last = s.memory.borrow().events.last().map(|e| e.statement);
            // What the application's triggers write moves the count on within one statement.
            (upsert, foreign.any || last == Some(statement))
        }
    };
    s.memory.borrow_mut().upserts.statement = Some((statement, upsert, upsert && later));
    Ok(upsert && later)
}

fn foreign(s: &Session, known: &Known) -> Result<Foreign> {
    let mark = store::schema_mark(&s.cache)?;
    if let Some((_, foreign)) = known.triggers.filter(|(at, _)| *at == mark) {
        return Ok(foreign);
    }
    let foreign = Foreign {
        any: alter::application_has_triggers(s)?,
        upserts: alter::application_upserts(s)?,
    };
    s.memory.borrow_mut().upserts.triggers = Some((mark, foreign));
    Ok(foreign)
}

fn statement_says_do_update(s: &Session) -> bool {
    let mut upsert = false;
    s.db.for_each_busy_sql(&mut |sql| upsert |= says_do_update(sql));
    upsert
}

/// Whether SQL text may hold `DO UPDATE`, in whatever spelling; comments may stand between.
fn says_do_update(sql: &[u8]) -> bool {
    let has = |word: &[u8]| sql.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word));
    has(b"conflict") && has(b"update")
}

#[cfg(test)]
mod tests {
    use super::says_do_update;

    #[test]
    fn c2_an_upsert_is_known_by_its_words() {
        assert!(says_do_update(b"insert into t values(1) on Conflict(a) do/**/UPDATE set b=1"));
        assert!(!says_do_update(b"UPDATE t SET a = 1"));
    }
}
