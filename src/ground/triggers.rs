//! The triggers that we put on a replicated table: their names, their text, and how the present
//! names of columns are read back from them.
//!
//! `ALTER TABLE ... RENAME` rewrites the text of triggers, so a trigger's list of columns says
//! what each column id is called now. DROP COLUMN is refused by SQLite while a trigger names the
//! column; its error quotes the trigger's name, which therefore says what to do.

use super::Db;
use super::quote::{ident, literal};
use crate::words::error::{Error, Result};

/// What a trigger's text needs to know of its table.
pub struct Watched<'a> {
    /// The table's id.
    pub tid: u32,
    /// Its present name.
    pub name: &'a str,
    /// Its shape number.
    pub shape: u32,
    /// The names of its key columns, in key order.
    pub keys: Vec<&'a str>,
    /// The names of its replicated columns, in id order.
    pub columns: Vec<&'a str>,
}

/// How many columns one call of the update function takes. SQLite allows 100 arguments to a
/// function by default in old releases (127 since); a call has 3, two per key column, two per
/// column.
const CALL_COLUMNS: usize = 24;
/// The most key columns that fit in a call beside them.
pub const KEY_COLUMNS_MAX: usize = 20;

/// The beginning of the names of all triggers of one table.
pub fn prefix(tid: u32) -> String {
    format!("crsql {tid} ")
}

fn name(w: &Watched<'_>, what: &str) -> Result<String> {
    let call = format!("SELECT crsql_begin_alter({}) first", literal(w.name)?);
    Ok(ident(&format!("{}{what}: {call}", prefix(w.tid))))
}

fn list(row: &str, columns: &[&str]) -> String {
    columns.iter().map(|c| format!(", {row}.{}", ident(c))).collect()
}

/// Creates a trigger in the main database, where a bare name would mean a temporary table of the
/// same name. The schema keeps the text without the name of the database.
pub fn create(db: Db, sql: &str) -> Result<()> {
    db.exec(&sql.replacen("CREATE TRIGGER ", "CREATE TRIGGER main.", 1))
}

/// The three triggers that capture writes.
pub fn capture(w: &Watched<'_>) -> Result<Vec<String>> {
    let (tid, shape, table) = (w.tid, w.shape, ident(w.name));
    let mut update = String::new();
    let chunks = w.columns.chunks(CALL_COLUMNS);
    let keys = list("OLD", &w.keys) + &list("NEW", &w.keys);
    if w.columns.is_empty() {
        update = format!(" SELECT crsql_internal_update({tid}, {shape}, 0{keys});");
    }
    for (i, chunk) in chunks.enumerate() {
        let at = i * CALL_COLUMNS;
        let pairs: String = chunk.iter().map(|c| format!(", OLD.{0}, NEW.{0}", ident(c))).collect();
        let keys = if i == 0 { keys.as_str() } else { "" };
        update += &format!(" SELECT crsql_internal_update({tid}, {shape}, {at}{keys}{pairs});");
    }
    Ok(vec![
        format!(
            "CREATE TRIGGER {} AFTER INSERT ON {table} BEGIN \
             SELECT crsql_internal_insert({tid}, {shape}{}); END",
            name(w, "insert")?,
            list("NEW", &w.keys)
        ),
        format!("CREATE TRIGGER {} AFTER UPDATE ON {table} BEGIN{update} END", name(w, "update")?),
        format!(
            "CREATE TRIGGER {} AFTER DELETE ON {table} BEGIN \
             SELECT crsql_internal_delete({tid}, {shape}{}); END",
            name(w, "delete")?,
            list("OLD", &w.keys)
        ),
    ])
}

/// The triggers that keep the application's own triggers from writing to a replicated table
/// while a merge runs. They are there only where the application has triggers.
pub fn guards(w: &Watched<'_>) -> Result<Vec<String>> {
    [("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD")]
        .into_iter()
        .map(|(event, row)| {
            Ok(format!(
                "CREATE TRIGGER {} BEFORE {event} ON {} \
                 WHEN crsql_internal_foreign({}{}) BEGIN SELECT RAISE(IGNORE); END",
                name(w, &format!("guard {}", event.to_lowercase()))?,
                ident(w.name),
                w.tid,
                list(row, &w.keys)
            ))
        })
        .collect()
}

/// The triggers that stand in for the update trigger between `crsql_begin_alter` and
/// `crsql_commit_alter`: one per column, which names it only in its `OF` list. That lets a column
/// be dropped, and still follows renamings and sees which columns are assigned. A key that changes
/// is seen by its values and their classes, for a statement may name the rowid instead. `ids` are
/// the ids of `w.columns`.
pub fn altering(w: &Watched<'_>, ids: &[u32]) -> Result<Vec<String>> {
    let keys = list("OLD", &w.keys) + &list("NEW", &w.keys);
    let trigger = |id: i64, of: &str, when: &str| {
        Ok(format!(
            "CREATE TRIGGER {} AFTER UPDATE{of} ON {}{when} BEGIN \
             SELECT crsql_internal_assigned({}, {}, {id}{keys}); END",
            ident(&format!("{}altering {id}", prefix(w.tid))),
            ident(w.name),
            w.tid,
            w.shape
        ))
    };
    // 1.0 in place of 1 is the same key, and has to be brought back into its one form.
    let differs = |k: &&str| {
        let k = ident(k);
        format!("OLD.{k} IS NOT NEW.{k} COLLATE BINARY OR typeof(OLD.{k}) <> typeof(NEW.{k})")
    };
    let when: Vec<String> = w.keys.iter().map(differs).collect();
    let key = trigger(-1, "", &format!(" WHEN {}", when.join(" OR ")));
    let of = |c: &&str| format!(" OF {}", ident(c));
    let columns = w.columns.iter().zip(ids).map(|(c, id)| trigger(i64::from(*id), &of(c), ""));
    std::iter::once(key).chain(columns).collect()
}

/// The names that an update trigger of ours lists after `OLD.`: keys, then columns.
pub fn columns_of_update(sql: &str) -> Result<Vec<String>> {
    let damaged = || Error::corrupt(format!("a trigger of crsql was edited: {sql}"));
    let (_name, rest) = quoted(sql.strip_prefix("CREATE TRIGGER ").ok_or_else(damaged)?)?;
    let (_table, mut rest) = quoted(rest.strip_prefix(" AFTER UPDATE ON ").ok_or_else(damaged)?)?;
    let mut out = Vec::new();
    while let Some(at) = [rest.find("OLD.\""), rest.find("NEW.\"")].into_iter().flatten().min() {
        let old = rest.get(at..).is_some_and(|r| r.starts_with("OLD"));
        let (name, tail) = quoted(rest.get(at + 4..).ok_or_else(damaged)?)?;
        if old {
            out.push(name);
        }
        rest = tail;
    }
    Ok(out)
}

/// The name in the `OF` list of one column's stand-in.
pub fn column_of_altering(sql: &str) -> Result<String> {
    let damaged = || Error::corrupt(format!("a trigger of crsql was edited: {sql}"));
    let (_name, rest) = quoted(sql.strip_prefix("CREATE TRIGGER ").ok_or_else(damaged)?)?;
    Ok(quoted(rest.strip_prefix(" AFTER UPDATE OF ").ok_or_else(damaged)?)?.0)
}

/// Reads one `"..."` with doubled quotes from the front.
fn quoted(text: &str) -> Result<(String, &str)> {
    let damaged = || Error::corrupt(format!("a trigger of crsql was edited: {text}"));
    let mut rest = text.strip_prefix('"').ok_or_else(damaged)?;
    let mut name = String::new();
    loop {
        let end = rest.find('"').ok_or_else(damaged)?;
        let (part, tail) = rest.split_at(end);
        name += part;
        rest = tail.get(1..).unwrap_or("");
        match rest.strip_prefix('"') {
            Some(tail) => {
                name.push('"');
                rest = tail;
            }
            None => return Ok((name, rest)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn b8_odd_names_are_read_back_from_the_trigger() {
        let keys = vec!["a\"b", "OLD.\"x\""];
        let columns = vec!["c, d", "é 🐘", "\"", "select"];
        let w = Watched { tid: 7, name: "t'\"", shape: 1, keys, columns };
        let all = ["a\"b", "OLD.\"x\"", "c, d", "é 🐘", "\"", "select"];
        let update = capture(&w).unwrap().remove(1);
        assert_eq!(columns_of_update(&update).unwrap(), all);
        let altering = altering(&w, &[0, 1, 2, 3]).unwrap();
        assert_eq!(column_of_altering(&altering[3]).unwrap(), "\"");
    }
}
