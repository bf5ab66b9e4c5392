//! What becomes of whole rows, as the documents tell it: no row leaves a table that only grows, and
//! where updates win a merge may write a row again, as a change of its own.

use crate::case::Case;
use crate::migrate::Migration;
use crate::model::Tables;
use crate::types::{self, Types, texts};

/// The policies of a case's tables, by the names of the beginning. The column is empty.
pub fn declared(case: &Case) -> Types {
    let mut out = Types::new();
    for line in case.setup.iter().filter(|sql| sql.starts_with("SELECT crsql_row_policy(")) {
        if let [table, policy] = texts(line).as_slice() {
            out.insert((table.clone(), String::new()), policy.clone());
        }
    }
    out
}

/// Whether updates win in any table.
pub fn revives(policies: &Types) -> bool {
    policies.values().any(|policy| policy == "update-wins")
}

/// The first row that left a table which only grows.
pub fn kept(
    (before, after): (&Tables, &Tables),
    policies: &Types,
    (all, level): (&[Migration], usize),
) -> Result<(), String> {
    let now = types::at(policies, all, level);
    for ((table, _), _) in now.iter().filter(|(_, policy)| *policy == "grow-only") {
        let (Some(was), Some(is)) = (before.get(table), after.get(table)) else { continue };
        if let Some(key) = was.keys().find(|key| !is.contains_key(*key)) {
            return Err(format!("row {} left {table}, which only grows", key.escape_ascii()));
        }
    }
    Ok(())
}
