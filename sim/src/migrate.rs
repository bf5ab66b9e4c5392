//! Changes of the schema, which the replicas make one after the other, each in its own time, and
//! what they do to names: the model tells every change under the names that stand in the end.

use crate::model::Change;
use crate::rng::Rng;
use crate::shape::{Column, Table, literal, plain, quoted, text};
use crate::types::{column_of, renamed};

/// What a change of the schema does to what is known by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    Table(String, String),
    Column(String, String, String),
    Drop(String, String),
    /// The table begins again: what others have of it and what it has now are told apart by nobody.
    Anew(String),
}

/// One change of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    pub effect: Effect,
    pub list: Vec<String>,
}

/// A change under the names of the end; None where nothing is said of it.
pub fn forward(all: &[Migration], change: &Change) -> Option<Change> {
    let mut change = change.clone();
    for m in all.iter().skip(change.level) {
        match &m.effect {
            Effect::Table(from, to) if change.table == *from => change.table.clone_from(to),
            Effect::Column(table, from, to)
                if change.table == *table
                    && change.column.as_deref().is_some_and(|c| column_of(c) == from) =>
            {
                change.column = change.column.map(|c| renamed(&c, to));
            }
            _ => {}
        }
    }
    // Who has dropped a column holds what comes of it, and may issue that again.
    for (n, m) in all.iter().enumerate() {
        if let Effect::Drop(table, column) = &m.effect {
            let (tables, columns) = names(all, n, table, column);
            if tables.contains(&change.table.as_str()) {
                change.column = change.column.filter(|c| !columns.contains(&column_of(c)));
            }
        }
    }
    change.level = all.len();
    Some(change).filter(|c| !is_anew(all, &c.table))
}

/// What a table is called at any time, and what a column of it was called up to a migration.
fn names<'a>(
    all: &'a [Migration],
    upto: usize,
    table: &'a str,
    column: &'a str,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut first, mut last) = (table, table);
    let (mut tables, mut columns) = (vec![table], vec![column]);
    for m in all[..upto].iter().rev() {
        match &m.effect {
            Effect::Table(from, to) if to == first => {
                first = from;
                tables.push(from);
            }
            Effect::Column(table, from, to)
                if table == first && columns.last() == Some(&to.as_str()) =>
            {
                columns.push(from);
            }
            _ => {}
        }
    }
    for m in &all[upto..] {
        if let Effect::Table(from, to) = &m.effect
            && from == last
        {
            last = to;
            tables.push(to);
        }
    }
    (tables, columns)
}

/// Whether a table of the end began again at some time.
pub fn is_anew(all: &[Migration], table: &str) -> bool {
    let mut anew: Vec<String> = Vec::new();
    for m in all {
        match &m.effect {
            Effect::Anew(table) => anew.push(table.clone()),
            Effect::Table(from, to) => {
                anew.iter_mut().filter(|t| *t == from).for_each(|t| t.clone_from(to));
            }
            _ => {}
        }
    }
    anew.iter().any(|t| t == table)
}

/// A few changes of the schema, and the tables after each.
pub fn plan(rng: &mut Rng, begin: &[Table], anew: bool) -> (Vec<Migration>, Vec<Vec<Table>>) {
    let (mut all, mut levels) = (Vec::new(), vec![begin.to_vec()]);
    for n in 0..1 + rng.below(3) {
        let mut tables = levels[levels.len() - 1].clone();
        let at = rng.below(tables.len());
        let (effect, mut list) = one(rng, &mut tables, at, n, anew);
        let before = levels[levels.len() - 1].clone();
        let begins = list.first().is_some_and(|sql| sql.contains("crsql_begin_alter"));
        if begins && rng.one_in(3) {
            // Much may happen between the two calls.
            let begin = vec![list.remove(0)];
            all.push(Migration { effect: Effect::Nothing, list: begin });
            levels.push(before);
        }
        all.push(Migration { effect, list });
        levels.push(tables);
    }
    (all, levels)
}

/// Puts a change between the calls that some of them need and all may have.
fn between(t: &str, list: Vec<String>) -> Vec<String> {
    let mut out = vec![format!("SELECT crsql_begin_alter({})", literal(t))];
    out.extend(list);
    out.push(format!("SELECT crsql_commit_alter({})", literal(t)));
    out
}

fn one(
    rng: &mut Rng,
    tables: &mut [Table],
    at: usize,
    n: usize,
    anew: bool,
) -> (Effect, Vec<String>) {
    let simple = tables.iter().all(|t| t.triggers.is_empty());
    let kind = match tables[at].triggers.is_empty() {
        true => rng.below(if anew { 11 } else { 9 }),
        false => rng.below(5),
    };
    let t = &mut tables[at];
    let (name, ceremony) = (t.name.clone(), rng.one_in(2));
    let may = |list| if ceremony { between(&name, list) } else { list };
    // SQLite looks at all rows of a STRICT table that gets a column, and two writes that were legal
    // may break a CHECK together.
    if t.check && t.ddl().ends_with("STRICT") && matches!(kind, 0 | 1 | 8) {
        return index(rng, t, n);
    }
    match kind {
        0 | 1 => {
            let column = added(rng, t, n);
            let sql = format!("ALTER TABLE {name} ADD COLUMN {} {}", column.name, column.declared);
            t.columns.push(column);
            (Effect::Nothing, may(vec![sql]))
        }
        2 if !t.columns.is_empty() => {
            let i = rng.below(t.columns.len());
            let (from, to) = (t.columns[i].name.clone(), quoted(&format!("renamed {n}")));
            let sql = format!("ALTER TABLE {name} RENAME COLUMN {from} TO {to}");
            t.columns[i].name.clone_from(&to);
            (Effect::Column(plain(&name), plain(&from), plain(&to)), may(vec![sql]))
        }
        3 => {
            let to = quoted(&format!("table {n}"));
            t.name.clone_from(&to);
            let sql = format!("ALTER TABLE {name} RENAME TO {to}");
            (Effect::Table(plain(&name), plain(&to)), vec![sql])
        }
        4 => index(rng, t, n),
        5 | 6 if droppable(t).is_some() => {
            let column = t.columns.remove(droppable(t).unwrap_or_default()).name;
            let effect = Effect::Drop(plain(&name), plain(&column));
            (effect, between(&name, vec![format!("ALTER TABLE {name} DROP COLUMN {column}")]))
        }
        7 => {
            let names = t.names();
            let column = added(rng, t, n);
            t.columns.insert(rng.below(t.columns.len() + 1), column);
            t.check = false;
            (Effect::Nothing, between(&name, rebuilt(t, &names)))
        }
        8 if simple => automigrated(rng, tables, at, n),
        9 | 10 => (Effect::Anew(plain(&name)), anew_list(rng, t, kind == 9)),
        _ => index(rng, t, n),
    }
}

/// A table begins again: it was ordinary for a while, or dropped.
fn anew_list(rng: &mut Rng, t: &Table, kept: bool) -> Vec<String> {
    let call = |f: &str| format!("SELECT crsql_as_{f}({})", literal(&t.name));
    let mut list = if kept { vec![call("table")] } else { vec![format!("DROP TABLE {}", t.name)] };
    match kept {
        true if rng.one_in(2) => {
            list.push(format!("DELETE FROM {} WHERE {}", t.name, t.is_some(rng)));
        }
        true => {}
        false => list.push(t.ddl()),
    }
    list.push(call("crr"));
    list.extend(t.merges());
    list
}

/// The first column that may go: neither in a CHECK nor in an index.
fn droppable(t: &Table) -> Option<usize> {
    let from = if t.check { 2 } else { 0 };
    (from..t.columns.len()).find(|at| !t.columns[*at].indexed)
}

/// A new column, with a default or without.
fn added(rng: &mut Rng, t: &Table, n: usize) -> Column {
    let strict = t.columns.iter().any(|c| c.strict.is_some()) || t.ddl().ends_with("STRICT");
    let declared = match strict {
        true => "ANY",
        false => rng.pick(&["", "DEFAULT 7", "TEXT DEFAULT 'new'", "NOT NULL DEFAULT 0", "REAL"]),
    };
    let name = quoted(&format!("added {n}"));
    Column {
        name,
        declared: declared.into(),
        strict: strict.then_some(0),
        indexed: false,
        merge: None,
    }
}

fn index(rng: &mut Rng, t: &mut Table, n: usize) -> (Effect, Vec<String>) {
    let key = t.key_names();
    if let Some(column) = t.columns.last_mut() {
        column.indexed = true;
    }
    let on = t.columns.last().map_or(key.as_str(), |c| c.name.as_str());
    let name = quoted(&format!("index {n}"));
    let mut list = vec![format!("CREATE INDEX {name} ON {}({on})", t.name)];
    if rng.one_in(3) {
        list.push(format!("DROP INDEX {name}"));
    }
    (Effect::Nothing, list)
}

/// SQLite's twelve steps.
fn rebuilt(t: &Table, names: &str) -> Vec<String> {
    let (name, other) = (&t.name, quoted("built anew"));
    let mut made = t.clone();
    made.name.clone_from(&other);
    vec![
        made.ddl(),
        format!("INSERT INTO {other}({names}) SELECT {names} FROM {name}"),
        format!("DROP TABLE {name}"),
        format!("ALTER TABLE {other} RENAME TO {name}"),
    ]
}

/// A schema as a text, with a column more or less.
fn automigrated(rng: &mut Rng, tables: &mut [Table], at: usize, n: usize) -> (Effect, Vec<String>) {
    let t = &mut tables[at];
    let mut effect = Effect::Nothing;
    if let (Some(at), true) = (droppable(t), rng.one_in(2)) {
        let column = t.columns.remove(at).name;
        effect = Effect::Drop(plain(&t.name), plain(&column));
    } else {
        let column = added(rng, t, n);
        t.columns.push(column);
    }
    let all =
        tables.iter().map(|t| format!("{}; SELECT crsql_as_crr({});", t.ddl(), literal(&t.name)));
    let schema = all.collect::<Vec<_>>().join(" ");
    (effect, vec![format!("SELECT crsql_automigrate({})", text(&schema))])
}
