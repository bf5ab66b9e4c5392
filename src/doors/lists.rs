//! Table functions whose rows are known when they are asked: `crsql_check()`, `crsql_columns` and
//! `crsql_unpack_columns`.

use std::marker::PhantomData;
use std::rc::Rc;

use crate::ground::{Args, Db, IndexInfo, Out, VCursor, VTab, op};
use crate::rooms::session::Session;
use crate::rooms::{check, column, rights};
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result};
use crate::words::pack;
use crate::words::value::{Value, ValueRef};

/// What one such table is.
pub trait List: 'static {
    /// Its columns; the hidden ones last.
    const DECL: &'static str;
    /// The number of its visible columns; its arguments are hidden columns behind them.
    const VISIBLE: i32;
    /// How many arguments it has.
    const ARGUMENTS: i32;
    /// Whether views and triggers may not use it.
    const DIRECT_ONLY: bool;
    /// Its rows for these arguments.
    fn rows(s: &Rc<Session>, args: Args<'_>) -> Result<Vec<Vec<Value>>>;
}

/// The table.
pub struct Table<L>(Rc<Session>, PhantomData<L>);

impl<L: List> VTab for Table<L> {
    type State = Session;
    type Cursor = Cursor<L>;
    const DECL: &'static str = L::DECL;
    const DIRECT_ONLY: bool = L::DIRECT_ONLY;

    fn connect(_: Db, state: &Rc<Session>) -> Result<Self> {
        Ok(Self(Rc::clone(state), PhantomData))
    }

    fn best_index(&self, info: &mut IndexInfo<'_>) -> Result<bool> {
        for (i, column, op, usable) in info.constraints() {
            let argument = column - L::VISIBLE;
            if argument >= 0 && op == op::EQ {
                if !usable {
                    return Ok(false);
                }
                info.use_arg(i, argument + 1, true);
            }
        }
        info.set_cost(100.0, 100);
        Ok(true)
    }

    fn open(&self) -> Result<Cursor<L>> {
        Ok(Cursor { rows: Vec::new(), at: 0, list: PhantomData })
    }
}

/// A cursor.
pub struct Cursor<L> {
    rows: Vec<Vec<Value>>,
    at: usize,
    list: PhantomData<L>,
}

impl<L: List> VCursor for Cursor<L> {
    type Table = Table<L>;

    fn filter(&mut self, t: &Table<L>, _: i32, _: &str, args: Args<'_>) -> Result<()> {
        self.at = 0;
        self.rows = L::rows(&t.0, args)?;
        Ok(())
    }

    fn next(&mut self, _: &Table<L>) -> Result<()> {
        self.at += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.at >= self.rows.len()
    }

    fn column(&self, _: &Table<L>, out: &mut Out<'_>, i: i32) -> Result<()> {
        let row = self.rows.get(self.at);
        let value = usize::try_from(i).ok().and_then(|i| row.and_then(|r| r.get(i)));
        out.value(value.map_or(ValueRef::Null, Value::as_ref));
        Ok(())
    }

    fn rowid(&self) -> i64 {
        self.at as i64
    }
}

/// `SELECT * FROM crsql_check()`
pub struct Check;

impl List for Check {
    const DECL: &'static str = "CREATE TABLE x(fault TEXT, \"table\" TEXT, pk BLOB, detail TEXT)";
    const VISIBLE: i32 = 4;
    const ARGUMENTS: i32 = 0;
    const DIRECT_ONLY: bool = true;

    fn rows(s: &Rc<Session>, _: Args<'_>) -> Result<Vec<Vec<Value>>> {
        const CORRUPT: i32 = 11;
        crate::rooms::flush::flush(s)?;
        let faults = match check::check(s) {
            Err(e) if e.code & 0xff == CORRUPT => check::damaged(e),
            done => done?,
        };
        let text = |t: Option<String>| t.map_or(Value::Null, Value::text);
        let row = |f: check::Fault| {
            let pk = f.pk.map_or(Value::Null, Value::Blob);
            vec![Value::text(f.fault), text(f.table), pk, Value::text(f.detail)]
        };
        Ok(faults.into_iter().map(row).collect())
    }
}

/// `SELECT * FROM crsql_columns`
pub struct Columns;

impl List for Columns {
    const DECL: &'static str = "CREATE TABLE x(\"table\" TEXT, \"column\" TEXT, merge TEXT)";
    const VISIBLE: i32 = 3;
    const ARGUMENTS: i32 = 0;
    const DIRECT_ONLY: bool = false;

    fn rows(s: &Rc<Session>, _: Args<'_>) -> Result<Vec<Vec<Value>>> {
        let columns = column::list(s)?;
        Ok(columns.into_iter().map(|column| column.map(Value::text).to_vec()).collect())
    }
}

/// `SELECT * FROM crsql_values(table, key, column)`
pub struct Values;

impl List for Values {
    const DECL: &'static str = "CREATE TABLE x(value, site_id BLOB, winner INTEGER,
        \"table\" HIDDEN, \"key\" HIDDEN, \"column\" HIDDEN)";
    const VISIBLE: i32 = 3;
    const ARGUMENTS: i32 = 3;
    const DIRECT_ONLY: bool = true;

    fn rows(s: &Rc<Session>, args: Args<'_>) -> Result<Vec<Vec<Value>>> {
        let names = of_cell("crsql_values", args)?;
        let values = column::values(s, names, args.get(1))?;
        let row = |(value, site, winner): (Value, SiteId, bool)| {
            vec![value, Value::Blob(site.to_vec()), Value::Int(i64::from(winner))]
        };
        Ok(values.into_iter().map(row).collect())
    }
}

/// `SELECT * FROM crsql_rights(table, key, column)`
pub struct Rights;

impl List for Rights {
    const DECL: &'static str = "CREATE TABLE x(site_id BLOB, rights INTEGER,
        \"table\" HIDDEN, \"key\" HIDDEN, \"column\" HIDDEN)";
    const VISIBLE: i32 = 2;
    const ARGUMENTS: i32 = 3;
    const DIRECT_ONLY: bool = true;

    fn rows(s: &Rc<Session>, args: Args<'_>) -> Result<Vec<Vec<Value>>> {
        let names = of_cell("crsql_rights", args)?;
        let rights = rights::list(s, names, args.get(1))?;
        let row = |(site, n): (SiteId, i64)| vec![Value::Blob(site.to_vec()), Value::Int(n)];
        Ok(rights.into_iter().map(row).collect())
    }
}

/// The table and the column of the three arguments that name a cell.
fn of_cell<'a>(call: &str, args: Args<'a>) -> Result<(&'a str, &'a str)> {
    let text = |i| match args.get(i) {
        ValueRef::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    };
    match (args.len(), text(0), text(2)) {
        (3, Some(table), Some(column)) => Ok((table, column)),
        _ => Err(Error::refused(format!(
            "{call} needs what to show: SELECT * FROM {call}(table, key, column)"
        ))),
    }
}

/// `SELECT cell FROM crsql_unpack_columns WHERE package = x'...'`
pub struct Unpack;

impl List for Unpack {
    const DECL: &'static str = "CREATE TABLE x(cell, package BLOB HIDDEN)";
    const VISIBLE: i32 = 1;
    const ARGUMENTS: i32 = 1;
    const DIRECT_ONLY: bool = false;

    fn rows(_: &Rc<Session>, args: Args<'_>) -> Result<Vec<Vec<Value>>> {
        let package = match (args.len(), args.get(0)) {
            (0, _) => {
                return Err(Error::refused(
                    "crsql_unpack_columns needs what to unpack: crsql_unpack_columns(pk)",
                ));
            }
            (_, ValueRef::Blob(b)) => b,
            (_, v) => {
                return Err(Error::mismatch(format!(
                    "crsql_unpack_columns takes a blob, not {}",
                    v.class_name()
                )));
            }
        };
        let cells = pack::unpack(package)?;
        Ok(cells.into_iter().map(|v| vec![v.to_owned()]).collect())
    }
}
