//! `crsql_changes`: nine visible columns, and hidden ones behind them.
//!
//! Constraints that are pushed down only narrow what is read; SQLite checks them again, but for
//! `since`, and for the site where it chooses what is read.

use std::rc::Rc;

use crate::ground::{Args, Db, IndexInfo, Out, Update, VCursor, VTab, op};
use crate::rooms::scan::{Order, Ranges, Scan};
use crate::rooms::session::Session;
use crate::rooms::{alter, flush, rowwise, scan};
use crate::words::dot::MAX_COUNT;
use crate::words::error::{Error, Result};
use crate::words::value::ValueRef;

const TABLE: i32 = 0;
const PK: i32 = 1;
const DB_VERSION: i32 = 5;
const SITE_ID: i32 = 6;
const SEQ: i32 = 8;
const SINCE: i32 = 9;

/// The table.
pub struct Changes(Rc<Session>);

impl VTab for Changes {
    type State = Session;
    type Cursor = Cursor;
    const DECL: &'static str = "CREATE TABLE x(
        \"table\" TEXT NOT NULL, pk BLOB NOT NULL, cid TEXT NOT NULL, val,
        col_version INTEGER NOT NULL, db_version INTEGER NOT NULL, site_id BLOB NOT NULL,
        cl INTEGER NOT NULL, seq INTEGER NOT NULL, since TEXT HIDDEN, stamp INTEGER HIDDEN)";
    const WRITES: bool = true;

    fn connect(_: Db, state: &Rc<Session>) -> Result<Self> {
        Ok(Self(Rc::clone(state)))
    }

    fn best_index(&self, info: &mut IndexInfo<'_>) -> Result<bool> {
        let mut plan = String::new();
        let (mut cost, mut terms) = (1e6, Vec::new());
        for (i, column, op, usable) in info.constraints() {
            if column == SINCE && op == op::EQ && !usable {
                return Ok(false);
            }
            let code = match (column, op) {
                _ if !usable => continue,
                (SINCE, op::EQ) => 'v',
                (DB_VERSION, op::GT) => '>',
                (DB_VERSION, op::GE) => 'g',
                (DB_VERSION, op::LT) => '<',
                (DB_VERSION, op::LE) => 'l',
                (DB_VERSION, op::EQ | op::IS) => '=',
                (SITE_ID, op::EQ | op::IS) => 's',
                (SITE_ID, op::NE | op::ISNOT) => 'n',
                (TABLE, op::EQ | op::IS) => 't',
                (PK, op::EQ | op::IS) => 'p',
                _ => continue,
            };
            plan.push(code);
            terms.push((i, code));
            cost /= match code {
                'n' | '<' | 'l' | 't' => 2.0,
                '=' | 'p' => 1000.0,
                _ => 10.0,
            };
        }
        let since = plan.contains('v');
        let by_row = plan.contains('t') && plan.contains('p');
        for (at, (term, code)) in (1..).zip(terms) {
            info.use_arg(term, at, code == 'v' || (code == 's' && !since && !by_row));
        }
        let order = info.order_by();
        let ascending = [DB_VERSION, SEQ];
        let ours = order.len() <= 2 && order.iter().zip(ascending).all(|(o, c)| *o == (c, false));
        if ours && !since {
            info.set_order_consumed();
        }
        info.set_plan(0, &plan);
        info.set_cost(cost, (cost as i64).max(1));
        Ok(true)
    }

    fn open(&self) -> Result<Cursor> {
        Ok(Cursor { scan: Scan::empty() })
    }

    fn update(&self, change: Update<'_>) -> Result<i64> {
        match change {
            Update::Insert(args) => rowwise::insert(&self.0, args).map(|()| 0),
            _ => Err(Error::refused(
                "crsql_changes takes SELECT and INSERT; to change data, write to the table itself",
            )),
        }
    }
}

/// What the pushed constraints leave to be read.
#[derive(Default)]
struct Narrow {
    lo: u64,
    hi: u64,
    sites: Option<Vec<u32>>,
    not: Vec<u32>,
    table: Option<String>,
    pk: Option<Vec<u8>>,
}

impl Narrow {
    fn new() -> Self {
        Self { lo: 1, hi: MAX_COUNT, ..Self::default() }
    }

    fn take(&mut self, s: &Session, code: char, v: ValueRef<'_>) -> Result<()> {
        match (code, v) {
            ('>' | 'g' | '<' | 'l' | '=', v) => self.versions(code, v),
            ('s', ValueRef::Blob(b)) => self.site(s, b)?,
            ('s', _) => self.sites = Some(Vec::new()),
            ('n', ValueRef::Blob(b)) => {
                if let Ok(id) = b.try_into() {
                    self.not.extend(s.sites.find(&s.cache, &id)?);
                }
            }
            ('t', ValueRef::Text(t)) => self.table = Some(String::from_utf8_lossy(t).into_owned()),
            ('p', ValueRef::Blob(b)) => self.pk = Some(b.to_vec()),
            _ => {}
        }
        Ok(())
    }

    fn versions(&mut self, code: char, v: ValueRef<'_>) {
        // Rounded outward: SQLite checks the exact comparison.
        let (floor, ceil) = match v {
            ValueRef::Int(i) => (i, i),
            ValueRef::Real(r) => (r.floor() as i64, r.ceil() as i64),
            _ => return,
        };
        let clamp = |i: i64| u64::try_from(i).unwrap_or(0);
        match code {
            '>' => {
                self.lo =
                    self.lo.max(clamp(floor).saturating_add(u64::from(floor >= 0 && floor == ceil)))
            }
            'g' => self.lo = self.lo.max(clamp(floor)),
            '<' | 'l' => self.hi = self.hi.min(clamp(ceil)),
            _ => {
                self.lo = self.lo.max(clamp(floor));
                self.hi = self.hi.min(clamp(ceil));
            }
        }
    }

    fn site(&mut self, s: &Session, b: &[u8]) -> Result<()> {
        let found = match b.try_into() {
            Ok(id) => s.sites.find(&s.cache, &id)?,
            Err(_) => None,
        };
        let found: Vec<u32> = found.into_iter().collect();
        self.sites = Some(match self.sites.take() {
            Some(before) => before.into_iter().filter(|x| found.contains(x)).collect(),
            None => found,
        });
        Ok(())
    }

    fn ranges(self, s: &Session) -> Result<Ranges> {
        if self.lo > self.hi {
            return Ok(Ranges::new());
        }
        let sites = match self.sites {
            Some(sites) => sites,
            None => scan::sites(s)?,
        };
        let kept = sites.into_iter().filter(|x| !self.not.contains(x));
        Ok(kept.map(|x| (x, vec![(self.lo, self.hi)])).collect())
    }
}

/// A cursor.
pub struct Cursor {
    scan: Scan,
}

impl VCursor for Cursor {
    type Table = Changes;

    fn filter(&mut self, t: &Changes, _: i32, plan: &str, args: Args<'_>) -> Result<()> {
        let s = &t.0;
        self.scan = Scan::empty();
        if s.installed()? {
            flush::flush(s)?;
            alter::reconcile_if_possible(s, "crsql_changes")?;
            let mut narrow = Narrow::new();
            let mut since = None;
            for (i, code) in plan.chars().enumerate() {
                match code {
                    'v' => since = Some(args.get(i)),
                    _ => narrow.take(s, code, args.get(i))?,
                }
            }
            self.scan = match (since, &narrow.table, &narrow.pk) {
                (Some(vector), ..) => scan::since(s, vector)?,
                (None, Some(table), Some(pk)) => scan::of_row(s, table, pk)?,
                _ => Scan::new(s, narrow.ranges(s)?, Order::Version)?,
            };
        }
        Ok(())
    }

    fn next(&mut self, t: &Changes) -> Result<()> {
        self.scan.next(&t.0)
    }

    fn eof(&self) -> bool {
        self.scan.row().is_none()
    }

    fn column(&self, _: &Changes, out: &mut Out<'_>, i: i32) -> Result<()> {
        let Some(row) = self.scan.row() else { return Ok(()) };
        let int = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        match i {
            0 => out.text(row.table()),
            1 => out.blob(row.pk()),
            2 => out.text(row.cid()),
            3 => out.value(row.val()),
            4 => out.int(int(row.col_version())),
            5 => out.int(int(row.db_version())),
            6 => out.blob(row.site()),
            7 => out.int(int(row.cl())),
            8 => out.int(int(row.seq())),
            10 => out.int(int(row.stamp())),
            _ => out.null(),
        }
        Ok(())
    }

    /// The name of the change, hashed. SQLite runs the arms of an OR one after the other and tells
    /// by the rowid what it has seen already, so it is the same in every scan and no other's.
    fn rowid(&self) -> i64 {
        self.scan.row().map_or(0, |row| row.rowid())
    }
}
