//! SQLite 3.24 to 3.45.2 can hand UPDATE triggers a wrong `OLD` row from the second row on of a
//! statement with `ON CONFLICT DO UPDATE` (threat C2). On such a library a row that such a
//! statement writes counts as changed in every column, unless it is the first one.

use super::session::Session;
use crate::ground::Db;

/// Releases of SQLite before this one have the fault.
const FIXED_IN: i32 = 3_045_003;

/// Whether the `OLD` row of the running trigger may be wrong.
pub fn distrusts_old(s: &Session) -> bool {
    if Db::version_number() >= FIXED_IN {
        return false;
    }
    let statement = s.db.total_changes();
    let first = s.memory.borrow().events.last().is_none_or(|e| e.statement != statement);
    if first {
        return false;
    }
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
