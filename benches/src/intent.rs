//! Updates of columns that merge by intent, beside the same updates of columns in which the last
//! write stands: both of a replicated table, both sides crsql.

use rusqlite::types::Value;

use crate::data::{Random, Row, Shape};
use crate::run::{Run, Sides, two_columns};
use crate::sheet::{Goal, Sheet, Work};
use crate::side::{Db, Result, TXN_ROWS, expect};

pub const FIRST: Work = Work("counter: first update of each row, in order", Goal::Shown);
pub const COUNTER: Work = Work("counter: update 1 column, random rows", Goal::Times(1.3));
pub const SET: Work = Work("set: add 1 element to 5 or so, random rows", Goal::Shown);
pub const MAP: Work = Work("map: write 1 member of 10, random rows", Goal::Shown);

/// A type of columns, with rows of `t` whose column `a` is one.
struct Column {
    merges: &'static str,
    shape: Shape,
    rows: Vec<Row>,
    /// An update of a row by its key, and what all of them come to.
    sql: &'static str,
    sum: &'static str,
}

impl Column {
    /// Rows with a key and one text.
    fn texts(
        run: &Run,
        (merges, sql, sum): (&'static str, &'static str, &'static str),
        text: fn(&mut Random) -> String,
    ) -> Self {
        let shape = Shape { columns: 2, value_bytes: Some(0), ..run.shape };
        let mut random = Random::new(5);
        let mut rows = shape.rows(1, shape.rows);
        rows.iter_mut().for_each(|row| row.values = vec![Value::Text(text(&mut random))]);
        Self { merges, shape, rows, sql, sum }
    }

    /// A file with the rows.
    fn file(&self, run: &Run, merges: &str) -> Result<Db> {
        let db = Db::create(run.crsql(), &run.path(&format!("as-{merges}.db")), &self.shape)?;
        let declare = "SELECT crsql_column('t', 'a', ?1)";
        db.conn.query_row(declare, [merges], |_| Ok(()))?;
        db.insert(&self.rows, TXN_ROWS)?;
        db.size()?;
        Ok(db)
    }

    /// Both files, as they are at the beginning of a round.
    fn both(&self, run: &Run) -> Result<Sides<Db>> {
        Ok(Sides::two(self.file(run, "lww")?, self.file(run, self.merges)?))
    }

    /// Updates rows of both, and sees that both come to the same.
    fn update(&self, sheet: &mut Sheet, work: Work, both: &mut Sides<Db>, rows: &[Row]) {
        let turns =
            both.turns_over(rows, TXN_ROWS, |db, rows| db.write_rows(self.sql, rows, TXN_ROWS));
        let mut first = None;
        both.tell(|db| {
            let sum: i64 = db.conn.query_row(self.sum, [], |row| row.get(0))?;
            expect("what was updated", sum as usize, *first.get_or_insert(sum as usize))
        });
        sheet.round(work, rows.len(), two_columns(turns));
    }
}

/// Updates of `n` random rows, some of them more than once.
fn updates(run: &Run, round: usize, values: impl Fn(&mut Random) -> Vec<Value>) -> Vec<Row> {
    let mut random = Random::new(1000 + round as u64);
    let mut one = |_| {
        let id = 1 + random.below(run.rows() as u64) as usize;
        Row { key: run.shape.key(id), values: values(&mut random) }
    };
    (0..run.rows() / 2).map(&mut one).collect()
}

/// Rows that nobody has counted in yet, and then as it goes on: the first update of a row keeps
/// what stood there.
pub fn counter(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let column = Column {
        merges: "counter",
        shape: Shape { value_bytes: None, ..run.shape },
        rows: Shape { value_bytes: None, ..run.shape }.rows(1, run.rows()),
        sql: "UPDATE t SET a = a + ?2 WHERE id = ?1",
        sum: "SELECT sum(a) FROM t",
    };
    let one = |key: &Value| Row { key: key.clone(), values: vec![Value::Integer(1)] };
    let each: Vec<Row> = column.rows.iter().map(|row| one(&row.key)).collect();
    for round in 0..run.rounds {
        let mut both = column.both(run)?;
        column.update(sheet, FIRST, &mut both, &each);
        let some = updates(run, round, |r| vec![Value::Integer(1 + r.below(100) as i64)]);
        column.update(sheet, COUNTER, &mut both, &some);
    }
    Ok(())
}

pub fn set(run: &Run, sheet: &mut Sheet) -> Result<()> {
    const OF_SETS: (&str, &str, &str) = (
        "set",
        "UPDATE t SET a = json_insert(a, '$[#]', ?2) WHERE id = ?1",
        "SELECT sum(json_array_length(a)) FROM t",
    );
    let element = |r: &mut Random| format!("{:08x}", r.below(1 << 32));
    let column = Column::texts(run, OF_SETS, |r| {
        let elements: Vec<String> =
            (0..5).map(|_| format!("\"{:08x}\"", r.below(1 << 32))).collect();
        format!("[{}]", elements.join(","))
    });
    for round in 0..run.rounds {
        let some = updates(run, round, |r| vec![Value::Text(element(r))]);
        column.update(sheet, SET, &mut column.both(run)?, &some);
    }
    Ok(())
}

pub fn map(run: &Run, sheet: &mut Sheet) -> Result<()> {
    const OF_MAPS: (&str, &str, &str) = (
        "map",
        "UPDATE t SET a = json_set(a, ?2, ?3) WHERE id = ?1",
        "SELECT sum(m.value) FROM t, json_each(t.a) m",
    );
    let column = Column::texts(run, OF_MAPS, |r| {
        let members: Vec<String> =
            (0..10).map(|i| format!("\"m{i}\":{}", r.below(1_000_000))).collect();
        format!("{{{}}}", members.join(","))
    });
    for round in 0..run.rounds {
        let member = |r: &mut Random| Value::Text(format!("$.m{}", r.below(10)));
        let value = |r: &mut Random| Value::Integer(r.below(1_000_000) as i64);
        let some = updates(run, round, |r| vec![member(r), value(r)]);
        column.update(sheet, MAP, &mut column.both(run)?, &some);
    }
    Ok(())
}
