//! By changesets: `crsql_vector()`, `crsql_changeset(vector, max_bytes)`, `crsql_apply(blob)`; and
//! what is sent live, a row at a time.

use std::io::Write;

use crate::clock::{Spent, timed, timed_times};
use crate::data::{Row, Shape};
use crate::exchange::{CHUNK_BYTES, nothing_new};
use crate::rowwise::{ASKED, ASKED_TURN};
use crate::run::{Run, duel, share};
use crate::session;
use crate::sheet::{Goal, Sheet, Work};
use crate::side::{CANNOT, Db, Kind, Result, Side, TXN_ROWS, expect};

pub const PULL: Work = Work("pull everything, as changesets", Goal::Times(2.5));
pub const APPLY: Work = Work("apply everything, as changesets", Goal::Times(3.0));
pub const AGAIN: Work = Work("apply again, all seen, as changesets", Goal::Times(4.0));
pub const WIRE: Work = Work("bytes on the wire per row", Goal::Bytes(100.0));

/// A side of an exchange of everything.
struct Exchange<'a> {
    from: Db,
    to: Db,
    rows: &'a [Row],
    marks: &'a [i64],
    /// What was sent.
    blobs: Vec<Vec<u8>>,
    pull: Spent,
    scans: usize,
}

impl<'a> Exchange<'a> {
    fn new(run: &'a Run, side: &Side) -> Result<Self> {
        if side.kind == Kind::Peer {
            return Err(CANNOT.into());
        }
        Ok(Self {
            from: run.full(side)?,
            to: run.fresh(side, "fresh")?,
            rows: run.data(),
            marks: run.marks(side)?,
            blobs: Vec::new(),
            pull: Spent::default(),
            scans: 0,
        })
    }

    /// Pulls a part and applies it. Plain SQLite reads its table at the first and at the last step,
    /// and inserts its share of the rows; the others pull what they send.
    fn step(&mut self, step: usize, steps: usize) -> Result<Spent> {
        let last = step + 1 == steps;
        match self.from.side.kind {
            Kind::Plain => {
                if step == 0 || last {
                    self.pull += timed(|| self.from.scan(self.rows.len()))?;
                    self.scans += 1;
                }
                timed(|| self.to.insert(share(self.rows, step, steps), TXN_ROWS))
            }
            Kind::Session => {
                let mut spent = Spent::default();
                for mark in share(self.marks, step, steps) {
                    self.scans = 1;
                    self.pull += timed(|| -> Result<()> {
                        self.blobs.push(self.from.stored(*mark)?);
                        Ok(())
                    })?;
                    let set = self.blobs.last().ok_or("nothing is stored")?;
                    spent += timed(|| session::apply(&self.to.conn, set))?;
                }
                Ok(spent)
            }
            Kind::Crsql | Kind::Peer => {
                let mut spent = Spent::default();
                while let Some(took) = self.chunk()? {
                    spent += took;
                    if !last {
                        break;
                    }
                }
                Ok(spent)
            }
        }
    }

    /// The receiver says what it has seen, the sender answers, the receiver applies.
    fn chunk(&mut self) -> Result<Option<Spent>> {
        self.scans = 1;
        let mut blob = None;
        self.pull += timed(|| -> Result<()> {
            blob = self.from.changeset(&self.to.vector()?)?;
            Ok(())
        })?;
        let Some(blob) = blob else { return Ok(None) };
        let spent = timed(|| self.to.apply(&blob))?;
        self.blobs.push(blob);
        Ok(Some(spent))
    }

    /// All of it once more.
    fn again(&self, step: usize, steps: usize) -> Result<()> {
        let sets = share(&self.blobs, step, steps);
        match self.from.side.kind {
            Kind::Plain => self.to.insert_again(share(self.rows, step, steps)),
            Kind::Session => sets.iter().try_for_each(|set| session::apply(&self.to.conn, set)),
            Kind::Crsql | Kind::Peer => sets.iter().try_for_each(|set| self.to.apply(set)),
        }
    }

    fn sent_bytes(&self, shape: &Shape) -> f64 {
        match self.from.side.kind {
            Kind::Plain => shape.row_bytes() as f64,
            _ => self.blobs.iter().map(Vec::len).sum::<usize>() as f64 / shape.rows as f64,
        }
    }
}

/// A pull in chunks, each of which is applied before the next is asked for.
pub fn everything(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let steps = run.rows() * run.shape.row_bytes() / CHUNK_BYTES as usize + 1;
    for _ in 0..run.rounds {
        let mut sides = run.each(|side| Exchange::new(run, side));
        let turns = sides.turns(steps, |e, step| e.step(step, steps));
        sides.tell(|e| expect("the receiver", e.to.count()?, run.rows()));
        sheet.round(PULL, run.rows(), sides.tell(|e| Ok(e.pull.times(1.0 / e.scans as f64))));
        sheet.round(APPLY, run.rows(), turns);
        sheet.bytes(WIRE, sides.tell(|e| Ok(e.sent_bytes(&run.shape))));
        let turns = sides.turns(steps, |e, step| timed(|| e.again(step, steps)));
        sheet.round(AGAIN, run.rows(), turns);
    }
    Ok(())
}

pub const LAST: Work = Work("pull the last 100 rows, as a changeset", Goal::Times(5.0));
pub const POLL: Work = Work("poll, nothing new, by vector", Goal::Times(2.0));

/// Where a reader stands: by vector where the side has them.
enum Stand {
    Mark(i64),
    Vector(String),
}

impl Stand {
    fn of(db: &Db) -> Result<Self> {
        Ok(match db.side.kind {
            Kind::Peer => return Err(CANNOT.into()),
            Kind::Crsql => Stand::Vector(db.vector()?),
            Kind::Plain | Kind::Session => Stand::Mark(db.mark()?),
        })
    }

    /// Pulls what is new: so many rows of one transaction, or none.
    fn pull(&self, db: &Db, rows: usize) -> Result<()> {
        match self {
            Stand::Mark(mark) => expect("the pull", db.since(*mark)?, db.news(rows, rows.min(1))),
            Stand::Vector(vector) if rows == 0 => nothing_new(db, vector),
            Stand::Vector(vector) => {
                db.changeset(vector)?.map(drop).ok_or("nothing was new".into())
            }
        }
    }
}

pub fn last(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let mut sides = run.each(|side| {
        let db = run.full(side)?;
        let before = Stand::of(&db)?;
        db.insert(&run.shape.rows(run.rows() + 1, 100), 100)?;
        let after = Stand::of(&db)?;
        Ok((db, before, after))
    });
    for _ in 0..run.rounds {
        let turns = sides.turns(200, |(db, before, _), _| timed(|| before.pull(db, 100)));
        sheet.round(LAST, 200 * 100, turns);
        let turns = sides.turns(ASKED / ASKED_TURN, |(db, _, after), _| {
            timed_times(ASKED_TURN, || after.pull(db, 0))
        });
        sheet.round(POLL, ASKED, turns);
    }
    Ok(())
}

/// So many rows of a live exchange are not timed.
const WARM_UP: usize = 20;

pub const LIVE: Work = Work("live: one-row write, pull, apply", Goal::Times(2.2));
/// What is sent is on the disk first: that takes one sync for each of these pulls.
pub const SYNC: Work = Work("limit: live, the sync of one page and nothing else", Goal::Shown);

/// One row is written here, pulled, and written there. The plain side reads it by its key and
/// inserts it into the other plain file; peers send the rows of `crsql_changes`.
fn live_row(here: &Db, there: &Db, row: &Row) -> Result<()> {
    let one = std::slice::from_ref(row);
    here.insert(one, 1)?;
    match here.side.kind {
        Kind::Plain => {
            here.read(&row.key)?;
            there.insert(one, 1)
        }
        Kind::Crsql => {
            let blob = here.changeset(&there.vector()?)?;
            there.apply(&blob.ok_or("a row that was written is not new")?)
        }
        Kind::Session | Kind::Peer => there.take(&here.parcel(here.mark()?, one)?),
    }
}

/// Both files begin empty; the first rows, with which statements are prepared, are not timed.
pub fn live(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let n = run.rows() / 100;
    let data = run.shape.rows(1, n + WARM_UP);
    let (first, data) = data.split_at(WARM_UP);
    let also = run.shape.rows(n + WARM_UP + 1, n);
    let some = |(here, there): &(Db, Db), rows: &[Row]| {
        rows.iter().try_for_each(|row| live_row(here, there, row))
    };
    let pair = |side: &Side| -> Result<(Db, Db)> {
        let pair = (run.fresh(side, "live-here")?, run.fresh(side, "live-there")?);
        some(&pair, first)?;
        Ok(pair)
    };
    for _ in 0..run.rounds {
        let mut sides = run.each(pair);
        let turns = sides.turns_over(data, 20, |pair, rows| some(pair, rows));
        sides.tell(|(_, there)| expect("the other side", there.count()?, n + WARM_UP));
        sheet.round(LIVE, n, turns);
        drop(sides);
        let (plain, log) = (pair(run.plain())?, std::fs::File::create(run.path("synced"))?);
        let parts: Vec<_> = also.chunks(20).collect();
        let sync = |rows: &[Row]| -> std::io::Result<()> {
            rows.iter().try_for_each(|_| (&log).write_all(&[1; 4096]).and(log.sync_data()))
        };
        let turns = duel(
            parts.len(),
            |i| timed(|| some(&plain, parts[i])),
            |i| Ok(timed(|| sync(parts[i]))?),
        );
        sheet.round(SYNC, n, turns);
    }
    Ok(())
}
