//! The tables of a changeset, looked up among ours. Names from the wire are only ever looked up:
//! by the present name, then by a former one of either side.

use std::rc::Rc;

use super::feed::HeldChange;
use super::held::{self, Whole};
use super::merger::SENTINEL;
use super::session::Session;
use super::single;
use crate::ground::catalog::Table;
use crate::words::changeset::{CellIn, ColumnInfo, HeldItem, TableInfo};
use crate::words::dot::SiteId;
use crate::words::error::Result;
use crate::words::key::Key;
use crate::words::value::{Value, ValueRef};

/// A sender's table as it is here.
pub struct Mapped {
    info: TableInfo,
    here: std::result::Result<Rc<Table>, String>,
    columns: Vec<std::result::Result<usize, String>>,
}

impl Mapped {
    /// The name of the table here, or else at the sender.
    pub fn name(&self) -> &str {
        self.here.as_ref().map_or(self.info.name.as_str(), |t| t.name.as_str())
    }

    /// Whether a column of this name is the same here as at the sender.
    pub fn agrees(&self, table: &str, column: &str) -> bool {
        let Ok(here) = &self.here else { return false };
        let is = |name: &String| name.eq_ignore_ascii_case(column);
        let mut same = self.info.columns.iter().zip(&self.columns).filter(|(_, at)| at.is_ok());
        here.name.eq_ignore_ascii_case(table)
            && same.any(|(theirs, _)| is(&theirs.name) || theirs.former.iter().any(is))
    }

    /// Where a column of the sender's is here, or why it is not.
    pub fn column(&self, at: usize) -> std::result::Result<usize, &str> {
        match self.columns.get(at) {
            Some(Ok(at)) => Ok(*at),
            Some(Err(reason)) => Err(reason),
            None => Err("the changeset's dictionary has no such column"),
        }
    }
}

/// Looks the tables of a changeset up.
pub fn map(s: &Session, tables: &[TableInfo]) -> Result<Vec<Mapped>> {
    tables.iter().map(|info| map_one(s, info)).collect()
}

fn map_one(s: &Session, info: &TableInfo) -> Result<Mapped> {
    let mut found = s.named(&info.name)?;
    for former in &info.former {
        if found.is_none() {
            found = s.named(former)?;
        }
    }
    let here = match found {
        None => Err(format!("{}{} here", held::NO_TABLE, info.name)),
        Some(table) => match key_mismatch(&table, info) {
            Some(reason) => Err(reason),
            None => Ok(table),
        },
    };
    let columns = match &here {
        Ok(table) => info.columns.iter().map(|c| column(table, info, c)).collect(),
        Err(_) => Vec::new(),
    };
    Ok(Mapped { info: info.clone(), here, columns })
}

fn key_mismatch(table: &Table, info: &TableInfo) -> Option<String> {
    if table.keys.len() != info.keys.len() {
        return Some(format!(
            "table {} has a key of {} columns here and of {} at its sender",
            table.name,
            table.keys.len(),
            info.keys.len()
        ));
    }
    let pairs = table.keys.iter().zip(&info.keys);
    let odd = pairs.into_iter().find(|(ours, theirs)| ours.affinity != theirs.affinity)?;
    Some(format!(
        "key column {}.{} has the affinity {} here and {} at its sender",
        table.name,
        odd.0.name,
        odd.0.affinity.name(),
        odd.1.affinity.name()
    ))
}

fn column(table: &Table, info: &TableInfo, c: &ColumnInfo) -> std::result::Result<usize, String> {
    let by_former = || c.former.iter().find_map(|f| table.column(f));
    let Some(at) = table.column(&c.name).or_else(by_former) else {
        return Err(format!("table {} has no column {} here", table.name, c.name));
    };
    let Some(ours) = table.cols.get(at) else { return Err("no such column".to_string()) };
    if ours.affinity != c.affinity || table.strict != info.strict {
        let kind = |declared: &str, strict: bool| {
            format!(
                "{}{}",
                if declared.is_empty() { "untyped" } else { declared },
                if strict { " (STRICT)" } else { "" }
            )
        };
        let (here, there) = (kind(&ours.declared, table.strict), kind(&c.declared, info.strict));
        let (table, name) = (&table.name, &ours.name);
        if here.eq_ignore_ascii_case(&there) {
            let (ours, theirs) = (ours.affinity.name(), c.affinity.name());
            return Err(format!(
                "column {table}.{name} is declared {here} here and at its sender, and stores with \
                 the affinity {ours} here and {theirs} there"
            ));
        }
        return Err(format!("column {table}.{name} is {here} here and {there} at its sender"));
    }
    if c.merge != ours.merge.name() {
        let (table, name, here) = (&table.name, &ours.name, ours.merge.name());
        return Err(format!(
            "column {table}.{name} merges as {} at its sender and as {here} here; say \
             crsql_column('{table}', '{name}', ...) where it was not said; it is taken with what \
             comes from there next, or when it is said here once more",
            c.merge
        ));
    }
    Ok(at)
}

/// Where a row is here, with its key in our form in place of the sender's; or why it is nowhere.
#[allow(clippy::type_complexity)]
pub fn place<'m>(
    mapped: &'m Mapped,
    key: &Key,
) -> Result<std::result::Result<(&'m Rc<Table>, Key), String>> {
    let table = match &mapped.here {
        Ok(table) => table,
        Err(reason) => return Ok(Err(reason.clone())),
    };
    if let (Key::Int(i), crate::words::key::KeyKind::Int) = (key, table.kind) {
        return Ok(Ok((table, Key::Int(*i))));
    }
    let ours = match Key::from_pk(table.kind, table.keys.len(), &key.pk()?) {
        Ok(ours) => ours,
        Err(e) => return Ok(Err(format!("table {}: {}", table.name, e.text))),
    };
    match single::key_obstacle(table, &ours)? {
        Some(reason) => Ok(Err(reason)),
        None => Ok(Ok((table, ours))),
    }
}

/// The changes of a row as they are held: one by one, by the sender's names.
pub fn raw(
    mapped: &Mapped,
    key: &Key,
    cl: u64,
    sentinel: Option<u64>,
    cells: &[CellIn<'_>],
    (site, version, stamp): (SiteId, u64, u64),
) -> Result<Vec<Whole>> {
    let pk = key.pk()?;
    let whole = |cid: &str, val: ValueRef<'_>, col_version: u64, seq: u64| Whole {
        change: HeldChange {
            table: mapped.name().to_string(),
            pk: pk.clone(),
            cid: cid.to_string(),
            val: val.to_owned(),
            col_version,
            cl,
            seq,
        },
        site,
        version,
        stamp,
    };
    let mut out = Vec::new();
    out.extend(sentinel.map(|seq| whole(SENTINEL, Value::Null.as_ref(), cl, seq)));
    for c in cells {
        let name = mapped.info.columns.get(c.column).map_or("", |c| c.name.as_str());
        out.push(whole(name, c.val, c.stamp.unwrap_or(stamp), c.seq));
    }
    Ok(out)
}

/// A held change as it came in a changeset.
pub fn whole_of(h: &HeldItem<'_>, site: SiteId, version: u64, stamp: u64) -> Whole {
    Whole {
        change: HeldChange {
            table: h.table.to_string(),
            pk: h.pk.to_vec(),
            cid: h.cid.to_string(),
            val: h.val.to_owned(),
            col_version: h.col_version,
            cl: h.cl,
            seq: h.seq,
        },
        site,
        version,
        stamp,
    }
}
