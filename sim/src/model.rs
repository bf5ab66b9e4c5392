//! What must come out: every change that an application was told is committed, merged by the law
//! as the documents tell it, in a few lines that share none of crsql's code.
//!
//! The model takes the changes of a transaction from the feed of its origin, while they are fresh,
//! and holds them against what the transaction did to the tables: what the tables say and the feed
//! does not is a write that nobody captured.

use crate::migrate::{Migration, forward};
use crate::types::{Types, column_of};
use std::collections::BTreeMap;

/// A site, 16 bytes.
pub type Site = Vec<u8>;

/// One change of the feed.
#[derive(Clone, Debug)]
pub struct Change {
    pub table: String,
    pub key: Vec<u8>,
    /// The column, or None for a sentinel.
    pub column: Option<String>,
    pub value: Vec<u8>,
    pub cl: u64,
    /// The stamp of the cell, or of the transaction for a sentinel.
    pub stamp: u64,
    /// How many changes of the schema its names have seen.
    pub level: usize,
}

/// What the name of a key's column begins with in `Rows`: the feed does not tell of it.
pub const KEY: char = '\0';

/// The rows of one table by key: values by the name of their column.
pub type Rows = BTreeMap<Vec<u8>, BTreeMap<String, Vec<u8>>>;

/// The rows of all tables.
pub type Tables = BTreeMap<String, Rows>;

/// All transactions that were committed anywhere.
#[derive(Default)]
pub struct Model {
    pub log: BTreeMap<(Site, u64), Vec<Change>>,
}

struct Row<'a> {
    cl: u64,
    cells: BTreeMap<&'a str, ((u64, &'a Site), &'a [u8])>,
}

impl Model {
    /// A transaction was committed.
    pub fn learn(&mut self, site: &Site, version: u64, changes: &[Change], all: &[Migration]) {
        let changes = changes.iter().filter_map(|c| forward(all, c)).collect();
        self.log.insert((site.clone(), version), changes);
    }

    /// The tables, once everybody has everything.
    pub fn tables(&self) -> Tables {
        let mut rows: BTreeMap<(&str, &[u8]), Row<'_>> = BTreeMap::new();
        for ((site, _), changes) in &self.log {
            for c in changes {
                let row =
                    rows.entry((&c.table, &c.key)).or_insert(Row { cl: 0, cells: BTreeMap::new() });
                if c.cl < row.cl {
                    continue;
                }
                if c.cl > row.cl {
                    *row = Row { cl: c.cl, cells: BTreeMap::new() };
                }
                let Some(column) = &c.column else { continue };
                let write = (c.stamp, site);
                if row.cells.get(column.as_str()).is_none_or(|(there, _)| *there < write) {
                    row.cells.insert(column, (write, &c.value));
                }
            }
        }
        let mut tables = Tables::new();
        for ((table, key), row) in rows.into_iter().filter(|(_, row)| row.cl % 2 == 1) {
            let cells = row.cells.into_iter().map(|(c, (_, v))| (c.to_owned(), v.to_vec()));
            tables.entry(table.to_owned()).or_default().insert(key.to_vec(), cells.collect());
        }
        tables
    }

    /// What a site last said of the same cell or register in the same life of its row.
    pub fn last(&self, site: &Site, like: &Change) -> Option<&[u8]> {
        let of_site = self.log.range((site.clone(), 0)..=(site.clone(), u64::MAX));
        let same = |c: &&Change| {
            (&c.table, &c.key, &c.column, c.cl) == (&like.table, &like.key, &like.column, like.cl)
        };
        of_site.flat_map(|(_, all)| all).rfind(same).map(|c| c.value.as_slice())
    }

    /// A change of a cell that is not later than one that its site had seen: it would lose to what
    /// it wrote over.
    pub fn early<'c>(
        &self,
        new: &'c [Change],
        site: &Site,
        seen: &BTreeMap<Site, Vec<(u64, u64)>>,
    ) -> Option<&'c Change> {
        let has = |(origin, v): &(Site, u64)| {
            let ranges = seen.get(origin).map(Vec::as_slice).unwrap_or_default();
            origin == site || ranges.iter().any(|(lo, hi)| (*lo..=*hi).contains(v))
        };
        let known: Vec<&Change> =
            self.log.iter().filter(|(name, _)| has(name)).flat_map(|(_, all)| all).collect();
        new.iter().filter(|c| c.column.is_some()).find(|c| {
            let same = |k: &&&Change| {
                (k.cl, &k.table, &k.key, &k.column) == (c.cl, &c.table, &c.key, &c.column)
            };
            known.iter().filter(same).any(|k| k.stamp >= c.stamp)
        })
    }
}

/// What a file's own new transactions said against what they did: the first thing that is wrong. A
/// liar may have brought a row's causal length to its end: what is written there then is told to
/// nobody.
pub fn compare(
    before: &Tables,
    after: &Tables,
    changes: &[Change],
    (liar, types): (bool, &Types),
) -> Result<(), String> {
    let empty = Rows::new();
    let told = |table: &str, key: &[u8], column: Option<&str>| {
        changes.iter().rev().find(|c| {
            c.table == table
                && c.key == key
                && column.is_none_or(|n| c.column.as_deref().is_some_and(|c| column_of(c) == n))
        })
    };
    for (table, rows) in after {
        let old = before.get(table).unwrap_or(&empty);
        for (key, row) in rows {
            let was = old.get(key);
            if liar && told(table, key, None).is_none() {
                continue;
            }
            if was.is_none() && told(table, key, None).is_none_or(|c| c.cl % 2 == 0) {
                return Err(format!("a row came into {table} and the feed does not tell: {row:?}"));
            }
            for (column, value) in row.iter().filter(|(c, _)| !c.starts_with(KEY)) {
                let same = was.and_then(|w| w.get(column)) == Some(value);
                match told(table, key, Some(column)) {
                    Some(c) if c.value == *value => {}
                    None if same => {}
                    Some(_) if types.contains_key(&(table.clone(), column.clone())) => {}
                    c => {
                        return Err(format!(
                            "{table}.{column} is {} and the feed tells {:?}",
                            crate::host::show(value),
                            c.map(|c| crate::host::show(&c.value))
                        ));
                    }
                }
            }
        }
        for key in old.keys().filter(|key| !rows.contains_key(*key)) {
            let last = told(table, key, None);
            if last.is_none_or(|c| c.cl % 2 == 1) && !(liar && last.is_none()) {
                return Err(format!("a row left {table} and the feed does not tell"));
            }
        }
    }
    Ok(())
}
