//! A text that somebody types, keystroke by keystroke: by UPDATE of the whole and by
//! `crsql_text_splice`, beside plain SQLite's UPDATE of the same column, which is the floor, and
//! beside yrs without any database. All of it is typed once for the tables of this file.

use rusqlite::params;
use yrs::{Doc, ReadTxn, StateVector, Text, TextRef, Transact};

use crate::clock::{Spent, timed};
use crate::data::{Key, Shape};
use crate::run::{Run, Sides, two_columns};
use crate::sheet::{Goal, Sheet, Turn, Work};
use crate::side::{Db, Result, Side};
use crate::trace::{Keystroke, typing};

pub const TIMES: [Work; 4] = [
    Work("text: UPDATE, one keystroke per transaction", Goal::Shown),
    Work("text: splice, one keystroke per transaction", Goal::Shown),
    Work("text: UPDATE, 100 keystrokes per transaction", Goal::Shown),
    Work("text: splice, 100 keystrokes per transaction", Goal::Shown),
];

pub const BYTES: [Work; 5] = [
    Work("text: parts written per keystroke", Goal::Shown),
    Work("text: changeset of a keystroke", Goal::Shown),
    Work("text: all parts in the end", Goal::Shown),
    Work("text: parts written per keystroke, 100 at once", Goal::Shown),
    Work("text: all parts in the end, 100 at once", Goal::Shown),
];

/// What is flat is what crsql adds to the row that SQLite writes whole.
pub const FLAT: [Work; 6] = [
    Work("growing text: plain SQLite's UPDATE", Goal::Shown),
    Work("growing text: yrs", Goal::Shown),
    Work("growing text: UPDATE", Goal::Shown),
    Work("growing text: splice", Goal::Shown),
    Work("growing text: what UPDATE costs beyond plain", Goal::Shown),
    Work("growing text: what splice costs beyond plain", Goal::Growth(1.3)),
];

/// Those who type, in this order.
const PLAIN: usize = 0;
const BARE: usize = 1;
const UPDATES: usize = 2;
const SPLICES: usize = 3;

/// The trace is cut into so many parts, each with a time of its own.
pub const CUTS: usize = 10;

/// Keystrokes in a turn, and those of which the bytes are weighed.
const TURN: usize = 500;
const WEIGHED: usize = 1000;

/// yrs and nothing else, and the bytes of its updates.
struct Bare {
    doc: Doc,
    body: TextRef,
    bytes: usize,
}

impl Bare {
    fn new() -> Self {
        let doc = Doc::with_client_id(1 << 32);
        let body = doc.get_or_insert_text("t");
        Self { doc, body, bytes: 0 }
    }

    fn types(&mut self, keystrokes: &[Keystroke], per: usize) {
        for together in keystrokes.chunks(per) {
            let mut txn = self.doc.transact_mut();
            for key in together {
                match key.typed {
                    Some(c) => {
                        self.body.insert(&mut txn, key.at as u32, c.encode_utf8(&mut [0; 4]))
                    }
                    None => self.body.remove_range(&mut txn, key.at as u32, 1),
                }
            }
            self.bytes += txn.encode_update_v1().len();
        }
    }

    fn all(&self) -> usize {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default()).len()
    }
}

/// Who types.
enum Typist {
    /// An application that has the text, and writes all of it.
    Whole(Db, String),
    /// An editor that says where something changed.
    Splices(Db),
    Bare(Bare),
}

impl Typist {
    fn db(side: &Side, run: &Run, name: &str) -> Result<Db> {
        let shape = Shape { key: Key::Int, columns: 2, value_bytes: Some(0), rows: 1 };
        let db = Db::create(side, &run.path(name), &shape)?;
        if side.replicates() {
            db.conn.query_row("SELECT crsql_column('t', 'a', 'text')", [], |_| Ok(()))?;
        }
        db.conn.execute("INSERT INTO t VALUES (1, '')", [])?;
        Ok(db)
    }

    /// Those of this file, by their places.
    fn all(run: &Run) -> Result<Sides<Self>> {
        let whole = |side, name| Ok(Self::Whole(Self::db(side, run, name)?, String::new()));
        let made = [
            whole(run.plain(), "typed.db"),
            Ok(Self::Bare(Bare::new())),
            whole(run.crsql(), "updated.db"),
            Self::db(run.crsql(), run, "spliced.db").map(Self::Splices),
        ];
        Ok(Sides::of(made.into_iter().collect::<Result<_>>()?))
    }

    fn types(&mut self, keystrokes: &[Keystroke], per: usize) -> Result<()> {
        match self {
            Self::Bare(bare) => bare.types(keystrokes, per),
            Self::Whole(db, text) => {
                let mut stmt = db.conn.prepare_cached("UPDATE t SET a = ?1 WHERE id = 1")?;
                db.write(keystrokes, per, |key| {
                    key.press(text);
                    stmt.execute([&*text])?;
                    Ok(())
                })?;
            }
            Self::Splices(db) => splice(db, keystrokes, per)?,
        }
        Ok(())
    }

    /// Fails where what was typed is not what stands.
    fn has(&self, text: &str) -> Result<()> {
        let stands: String = match self {
            Self::Bare(bare) => yrs::GetString::get_string(&bare.body, &bare.doc.transact()),
            Self::Whole(db, _) | Self::Splices(db) => {
                db.conn.query_row("SELECT a FROM t", [], |row| row.get(0))?
            }
        };
        if stands == text { Ok(()) } else { Err("the text is another one".into()) }
    }
}

fn splice(db: &Db, keystrokes: &[Keystroke], per: usize) -> Result<()> {
    let mut stmt = db.conn.prepare_cached("SELECT crsql_text_splice('t', 1, 'a', ?1, ?2, ?3)")?;
    db.write(keystrokes, per, |key| {
        let typed = key.typed.map(String::from).unwrap_or_default();
        let gone = i64::from(key.typed.is_none());
        stmt.query_row(params![key.at as i64, gone, typed], |_| Ok(()))?;
        Ok(())
    })
}

/// What crsql wrote and sends, in bytes.
#[derive(Clone, Copy, Default)]
struct Weight {
    parts: f64,
    written: f64,
    changeset: f64,
}

/// How it went with so many keystrokes to a transaction.
struct Went {
    /// By typist, for each of `CUTS` parts of the trace.
    cuts: Vec<Vec<Turn>>,
    ours: Weight,
    yrs: Weight,
}

/// All that was typed: one keystroke to a transaction, and 100.
pub struct Typed {
    keystrokes: usize,
    ways: [Went; 2],
}

impl Typed {
    pub fn new(run: &Run) -> Result<Self> {
        let trace = typing(run.growth.keystrokes + WEIGHED);
        let (timed, weighed) = trace.split_at(run.growth.keystrokes);
        let ways = [Went::new(run, timed, weighed, 1)?, Went::new(run, timed, weighed, 100)?];
        Ok(Self { keystrokes: run.growth.keystrokes, ways })
    }
}

impl Went {
    fn new(run: &Run, trace: &[Keystroke], weighed: &[Keystroke], per: usize) -> Result<Self> {
        let mut typists = Typist::all(run)?;
        let mut text = String::new();
        let mut cuts = Vec::new();
        for cut in trace.chunks(trace.len().div_ceil(CUTS)) {
            let parts: Vec<&[Keystroke]> = cut.chunks(TURN).collect();
            let types = |who: &mut Typist, part: usize| timed(|| who.types(parts[part], per));
            cuts.push(typists.turns(parts.len(), types));
            cut.iter().for_each(|key| key.press(&mut text));
        }
        let (mut ours, mut yrs) = (Weight::default(), Weight::default());
        let right = typists.tell(|who| {
            who.has(&text)?;
            match who {
                Typist::Splices(db) => ours = weigh(db, weighed, per)?,
                Typist::Bare(bare) => {
                    let parts = bare.all() as f64;
                    let written = bare.bytes as f64 / trace.len() as f64;
                    yrs = Weight { parts, written, changeset: written };
                }
                Typist::Whole(..) => {}
            }
            Ok(())
        });
        right.into_iter().collect::<std::result::Result<Vec<()>, String>>()?;
        Ok(Self { cuts, ours, yrs })
    }

    /// A typist's time for all of it.
    fn all(&self, who: usize) -> Turn {
        let mut sum = Spent::default();
        for cut in &self.cuts {
            sum += cut[who].clone()?;
        }
        Ok(sum)
    }

    /// The first part of the trace and the last.
    fn ends(&self, who: usize) -> [Turn; 2] {
        [&self.cuts[0], &self.cuts[self.cuts.len() - 1]].map(|cut| cut[who].clone())
    }
}

/// What stands in the parts; then types on, and sums up what is written into them and what one
/// who has seen all else is sent.
fn weigh(db: &Db, keystrokes: &[Keystroke], per: usize) -> Result<Weight> {
    const ALL: &str = "SELECT sum(length(CAST(val AS BLOB))) FROM crsql_parts";
    let parts: f64 = db.conn.query_row(ALL, [], |row| row.get(0))?;
    db.conn.execute_batch(
        "CREATE TEMP TABLE written(bytes INTEGER);
         INSERT INTO written VALUES (0);
         CREATE TEMP TRIGGER is_written AFTER INSERT ON main.crsql_parts BEGIN
           UPDATE written SET bytes = bytes + length(CAST(NEW.val AS BLOB));
         END",
    )?;
    let mut sent = 0;
    for together in keystrokes.chunks(per) {
        let vector = db.vector()?;
        splice(db, together, per)?;
        sent += db.changeset(&vector)?.map_or(0, |blob| blob.len());
    }
    let bytes: f64 = db.conn.query_row("SELECT bytes FROM written", [], |row| row.get(0))?;
    let each = |n: f64| n / keystrokes.len() as f64;
    Ok(Weight { parts, written: each(bytes), changeset: each(sent as f64) })
}

pub fn times(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let typed = run.typed()?;
    for (way, works) in typed.ways.iter().zip(TIMES.chunks(2)) {
        for (work, who) in works.iter().zip([UPDATES, SPLICES]) {
            let turns = [PLAIN, BARE, who].map(|who| way.all(who));
            sheet.round(*work, typed.keystrokes, turns.to_vec());
        }
    }
    Ok(())
}

/// Beside what yrs makes of the same keystrokes.
pub fn bytes(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let [one, many] = &run.typed()?.ways;
    let figures = |w: Weight, m: Weight| [w.written, w.changeset, w.parts, m.written, m.parts];
    let yrs = figures(one.yrs, many.yrs);
    for ((work, yrs), ours) in BYTES.into_iter().zip(yrs).zip(figures(one.ours, many.ours)) {
        sheet.bytes(work, two_columns(vec![Ok(yrs), Ok(ours)]));
    }
    Ok(())
}

/// The first part of the trace beside the last, one keystroke to a transaction.
pub fn growing(run: &Run, sheet: &mut Sheet) -> Result<()> {
    let typed = run.typed()?;
    let [way, _] = &typed.ways;
    let plain = way.ends(PLAIN);
    for (work, who) in FLAT.into_iter().zip([PLAIN, BARE, UPDATES, SPLICES, UPDATES, SPLICES]) {
        let mut ends = way.ends(who).to_vec();
        if work.0.contains("beyond plain") {
            for (end, plain) in ends.iter_mut().zip(&plain) {
                *end = end.clone().and_then(|end| Ok(end.beyond(plain.clone()?)));
            }
        }
        sheet.round(work, typed.keystrokes.div_ceil(CUTS), two_columns(ends));
    }
    Ok(())
}
