//! The names of the replicated tables, as the register has them.

use std::collections::HashMap;

use super::cache::{Cache, Fixed};
use super::catalog::{json_names, table_id};
use crate::words::error::Result;

const BY_NAME: Fixed =
    Fixed(22, "SELECT tid, name, former FROM crsql_tables WHERE dropped IS NULL ORDER BY tid");

/// Which table has which name, in lower case, and which had it before.
#[derive(Default, Debug)]
pub struct Names {
    now: HashMap<String, u32>,
    before: HashMap<String, u32>,
    /// All ids.
    pub all: Vec<u32>,
}

impl Names {
    pub(super) fn read(cache: &Cache) -> Result<Self> {
        let mut names = Self::default();
        let mut stmt = cache.fixed(BY_NAME)?;
        while stmt.step()? {
            let tid = table_id(stmt.int(0))?;
            names.now.insert(stmt.string(1).to_ascii_lowercase(), tid);
            for f in json_names(stmt.text(2))? {
                names.before.insert(f.to_ascii_lowercase(), tid);
            }
            names.all.push(tid);
        }
        Ok(names)
    }

    /// The table that the register has under this name.
    pub fn registered(&self, name: &str) -> Option<u32> {
        self.now.get(&name.to_ascii_lowercase()).copied()
    }

    /// The same or, where none has it now, the table that had it before.
    pub fn find(&self, name: &str) -> Option<u32> {
        let before = || self.before.get(&name.to_ascii_lowercase()).copied();
        self.registered(name).or_else(before)
    }
}
