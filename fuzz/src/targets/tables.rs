//! Our own tables, damaged by hand, under a connection that goes on working: errors are SQL errors,
//! and nothing panics, hangs or damages the file itself.

use super::{Target, apply, functions, rows};
use crate::host::{self, hex, literal, owned};
use crate::mutate;
use crate::rng::Rng;
use crate::script::{self, Asked};
use crate::world::World;
use crsql::words::value::Value;
use rusqlite::Connection;
use std::cell::OnceCell;

/// The target.
#[derive(Default)]
pub struct Tables {
    cells: OnceCell<Vec<Vec<Cell>>>,
}

/// A cell of one of our tables.
struct Cell {
    table: String,
    column: String,
    /// Which row, in SQL.
    row: String,
    /// The names of all columns of the table.
    columns: Vec<String>,
    value: Value,
}

/// All cells of our tables.
fn cells(db: &Connection) -> Vec<Cell> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'crsql_%'";
    let mut out = Vec::new();
    for table in host::list(db, names).expect("our tables") {
        let keys = format!("SELECT name FROM pragma_table_info('{table}') WHERE pk ORDER BY pk");
        let keys = host::list(db, &keys).expect("key columns");
        let mut stmt = db.prepare(&format!("SELECT * FROM {table}")).expect("a table");
        let columns: Vec<String> = stmt.column_names().map(str::to_owned).collect();
        let mut rows = stmt.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let value = |name: &str| owned(row.get_ref(name).expect("a cell"));
            let which = keys.iter().map(|k| format!("\"{k}\" IS {}", literal(&value(k))));
            let which = which.collect::<Vec<_>>().join(" AND ");
            out.extend(columns.iter().map(|column| Cell {
                table: table.clone(),
                column: column.clone(),
                row: which.clone(),
                columns: columns.clone(),
                value: value(column),
            }));
        }
    }
    out
}

fn other(rng: &mut Rng, cell: &Cell, all: &[Cell]) -> Value {
    let mut value = cell.value.clone();
    match (&mut value, rng.below(6)) {
        (_, 0) => return rng.value(),
        (_, 1) => return rng.pick(all).value.clone(),
        (Value::Blob(b) | Value::Text(b), _) => mutate::bytes(rng, b, &[]),
        (Value::Int(i), _) => *i = rng.edge(i.cast_unsigned()).cast_signed(),
        (v, _) => *v = rng.value(),
    }
    value
}

/// One statement that damages.
fn damage(rng: &mut Rng, all: &[Cell]) -> String {
    let cell = rng.pick(all);
    let (table, row, column) = (&cell.table, &cell.row, &cell.column);
    let value = literal(&other(rng, cell, all));
    match rng.below(24) {
        0 | 1 => format!("DELETE FROM {table} WHERE {row}"),
        2 => {
            let all: Vec<String> = cell
                .columns
                .iter()
                .map(|c| if c == column { value.clone() } else { format!("\"{c}\"") })
                .collect();
            format!(
                "INSERT OR IGNORE INTO {table} SELECT {} FROM {table} WHERE {row}",
                all.join(", ")
            )
        }
        3 => format!("UPDATE OR IGNORE {table} SET \"{column}\" = {value}"),
        4 if rng.one_in(4) => format!("DELETE FROM {table}"),
        4 if rng.one_in(3) => format!("DROP TABLE {table}"),
        4 if rng.one_in(2) => format!("ALTER TABLE {table} DROP COLUMN \"{column}\""),
        4 => format!("ALTER TABLE {table} RENAME COLUMN \"{column}\" TO \"elsewhere\""),
        _ => format!("UPDATE OR REPLACE {table} SET \"{column}\" = {value} WHERE {row}"),
    }
}

/// One statement that uses what is damaged.
fn work(rng: &mut Rng, world: &World) -> String {
    match rng.below(12) {
        0 | 1 => format!("SELECT crsql_apply({})", hex(rng.pick(&world.changesets))),
        2 => rows::insert(rng, world),
        3 => functions::statement(rng, world),
        4 => "SELECT * FROM crsql_check()".into(),
        5 => "SELECT crsql_digest(NULL, 'all')".into(),
        6 => "SELECT crsql_changeset()".into(),
        7 => {
            let vector = String::from_utf8_lossy(&rng.pick(&world.vectors)[..]).into_owned();
            format!("SELECT crsql_changeset('{vector}', {})", rng.below(900))
        }
        8 => "INSERT INTO plain(a) VALUES('more')".into(),
        9 => "UPDATE plain SET a = 'x', b = 'y'".into(),
        _ => (*rng.pick(&apply::BETWEEN)).to_owned(),
    }
}

impl Tables {
    /// What a round does: our tables are used, damaged, and used.
    fn round(&self, rng: &mut Rng, world: &World, image: usize) -> Vec<String> {
        let all = self
            .cells
            .get_or_init(|| world.images.iter().map(|image| cells(&host::copy(image))).collect());
        // The last image has no tables of ours.
        let all = &all[image.min(world.images.len() - 2)];
        let mut lines = vec!["PRAGMA ignore_check_constraints = 1".to_owned()];
        for _ in 0..rng.below(3) {
            lines.push(work(rng, world));
        }
        for _ in 0..1 + rng.below(3) {
            lines.push(damage(rng, all));
        }
        for _ in 0..2 + rng.below(8) {
            lines.push(work(rng, world));
        }
        lines.push("PRAGMA ignore_check_constraints = 0".to_owned());
        lines
    }
}

impl Target for Tables {
    fn make(&self, rng: &mut Rng, world: &World) -> Vec<u8> {
        script::make(rng, world.images.len() - 1, |rng, image| self.round(rng, world, image))
    }

    fn change(&self, rng: &mut Rng, world: &World, input: &[u8]) -> Vec<u8> {
        script::change(rng, world, input, |rng, image| self.round(rng, world, image))
    }

    fn is_bytes(&self) -> bool {
        false
    }

    fn run(&self, world: &World, input: &[u8]) -> Result<u64, String> {
        script::run(world, input, Asked::default())
    }
}
