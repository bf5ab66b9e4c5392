//! What crsql costs beside plain SQLite, SQLite's session extension and others, and whether that
//! stays below the goals. Every figure is a ratio of sides that ran turn by turn in the same
//! process; docs/PERFORMANCE.md says what each line means.

mod changesets;
mod clock;
mod counts;
mod data;
mod exchange;
mod growth;
mod intent;
mod memory;
mod ready;
mod report;
mod rowwise;
mod run;
mod session;
mod shapes;
mod sheet;
mod side;
mod svg;
mod texts;
mod trace;
mod wish;
mod writes;

use std::process::ExitCode;

use data::Shape;
use growth::{FEW, Growth, REWRITTEN};
use report::{Part, Tally};
use run::Run;
use sheet::{Goal, Sheet, Work};
use side::{Result, Side};
use wish::Wish;

/// Lines that are measured together.
struct Group(&'static [Work], fn(&Run, &mut Sheet) -> Result<()>);

const TIMES: &[Group] = &[
    Group(&[writes::INSERT_INT, writes::SIZE_INT], writes::insert_int),
    Group(&[writes::INSERT_UUID, writes::SIZE_UUID], writes::insert_uuid),
    INSERT_ONE,
    UPDATE_1,
    UPDATE_3,
    DELETE,
    Group(&[writes::SCAN, writes::POINT], writes::reads),
    Group(&[writes::ELSEWHERE, writes::ELSEWHERE_ONE], writes::elsewhere),
    PULL_ROWS,
    Group(&[rowwise::LAST, rowwise::POLL], rowwise::last),
    Group(&[rowwise::PLAIN, rowwise::VIRTUAL], rowwise::last_limits),
    APPLY_ROWS,
    Group(&[rowwise::CELLS], rowwise::apply_limit),
    SETS,
    Group(&[changesets::LAST, changesets::POLL], changesets::last),
    Group(&[writes::LOAD, writes::OPEN, writes::FIRST_WRITE], writes::opening),
    Group(&[changesets::LIVE, changesets::SYNC], changesets::live),
];

const INSERT_ONE: Group = Group(&[writes::INSERT_ONE], writes::insert_one);
const UPDATE_1: Group = Group(&[writes::UPDATE_1], writes::update_1);
const UPDATE_3: Group = Group(&[writes::UPDATE_3], writes::update_3);
const DELETE: Group = Group(&[writes::DELETE], writes::delete);
const PULL_ROWS: Group = Group(&[rowwise::PULL], rowwise::pull);
const APPLY_ROWS: Group = Group(&[rowwise::APPLY, rowwise::AGAIN], rowwise::apply);
const SETS: Group = Group(
    &[changesets::PULL, changesets::APPLY, changesets::AGAIN, changesets::WIRE],
    changesets::everything,
);

/// What is measured in other shapes too.
const SHAPES: &[Group] = &[
    Group(&[writes::INSERT, writes::SIZE], writes::insert),
    INSERT_ONE,
    UPDATE_1,
    UPDATE_3,
    DELETE,
    PULL_ROWS,
    APPLY_ROWS,
    SETS,
];

const ROWS_PLAIN: &[Work] = &[growth::PLAIN_WRITE];
const BY_ROWS: &[Group] =
    &[Group(ROWS_PLAIN, growth::plain_by_rows), Group(&growth::BY_ROWS, growth::by_rows)];
const MEMORY: &[Group] = &[Group(&[memory::PULL, memory::APPLY], memory::in_chunks)];
const BY_SITES: &[Group] = &[Group(&growth::BY_SITES, growth::by_sites)];
const BY_VERSIONS: &[Group] = &[Group(&growth::BY_VERSIONS, growth::by_versions)];
const FILES: &[Group] = &[Group(&[growth::FILE, growth::FILE_ONE], growth::file)];

const INTENT: &[Group] = &[
    Group(&[intent::FIRST, intent::COUNTER], intent::counter),
    Group(&[intent::SET], intent::set),
    Group(&[intent::MAP], intent::map),
];
const TEXTS: &[Group] = &[Group(&texts::TIMES, texts::times)];
const TEXT_BYTES: &[Group] = &[Group(&texts::BYTES, texts::bytes)];
const TEXT_GROWS: &[Group] = &[Group(&texts::FLAT, texts::growing)];

const EVERYTHING: [&[Group]; 10] =
    [TIMES, BY_ROWS, MEMORY, BY_SITES, BY_VERSIONS, FILES, INTENT, TEXTS, TEXT_BYTES, TEXT_GROWS];

fn works(groups: &[Group]) -> Vec<Work> {
    groups.iter().flat_map(|group| group.0.iter().copied()).collect()
}

/// What was measured so far.
struct Report<'a> {
    wish: &'a Wish,
    parts: Vec<Part>,
    tally: Tally,
}

/// The goals are those of the usual shape.
#[derive(Clone, Copy, PartialEq)]
enum Goals {
    Hold,
    DoNotHold,
}

impl Report<'_> {
    /// Measures the lines of some groups, and prints them.
    fn part(
        &mut self,
        run: &Run,
        (title, columns): (&str, Vec<String>),
        groups: &[Group],
        goals: Goals,
    ) {
        let wanted = |work: &Work| self.wish.only.as_ref().is_none_or(|text| work.0.contains(text));
        let mut sheet = Sheet::default();
        for Group(works, measure) in groups.iter().filter(|group| group.0.iter().any(wanted)) {
            eprintln!("  {} ...", works.iter().map(|w| w.0).collect::<Vec<_>>().join("; "));
            let error = match measure(run, &mut sheet) {
                Ok(()) => "it gave no figure".to_owned(),
                Err(e) => e.to_string(),
            };
            works.iter().for_each(|work| sheet.failed(*work, &error));
        }
        let mut works = works(groups);
        if goals == Goals::DoNotHold {
            works.iter_mut().for_each(|work| work.1 = Goal::Shown);
        }
        let part = Part { title: title.to_owned(), columns, works, sheet };
        report::print(&part, &mut self.tally);
        self.parts.push(part);
    }

    /// The parts in which crsql is compared with itself.
    fn growing(&mut self, run: &Run) {
        let Growth { rows, sites, versions, .. } = run.growth;
        let versions = versions * REWRITTEN;
        let us = "crsql, us per row or call";
        let rows = (format!("{FEW} rows"), format!("{rows} rows"));
        let all: [(&str, (String, String), &[Group]); 5] = [
            (us, rows.clone(), BY_ROWS),
            ("crsql, bytes", rows, MEMORY),
            (us, ("1 site".to_owned(), format!("{sites} sites")), BY_SITES),
            (us, (format!("{REWRITTEN} versions"), format!("{versions} versions")), BY_VERSIONS),
            ("crsql, bytes", ("20 times".to_owned(), "200 times".to_owned()), FILES),
        ];
        for (title, (small, large), groups) in all {
            self.part(run, (title, vec![small, String::new(), large]), groups, Goals::Hold);
        }
    }

    /// Columns that merge by intent.
    fn intent(&mut self, run: &Run) {
        let part = run.growth.keystrokes.div_ceil(texts::CUTS);
        let ends = [format!("first {part}"), format!("last {part}")];
        let all: [(&str, [&str; 3], &[Group]); 4] = [
            ("crsql, us per row", ["lww", "", "by intent"], INTENT),
            ("us per keystroke", ["plain", "yrs", "crsql"], TEXTS),
            ("bytes", ["yrs", "", "crsql"], TEXT_BYTES),
            ("us per keystroke", [&ends[0], "", &ends[1]], TEXT_GROWS),
        ];
        for (title, columns, groups) in all {
            let columns = columns.map(str::to_owned).to_vec();
            self.part(run, (title, columns), groups, Goals::Hold);
        }
    }

    /// Everything that was asked for.
    fn measure(&mut self, sides: &[Side]) -> Result<()> {
        let wish = self.wish;
        let mut growth = match (wish.huge, wish.quick) {
            (true, _) => Growth::HUGE,
            (_, true) => Growth::QUICK,
            _ => Growth::USUAL,
        };
        growth.keystrokes = wish.keystrokes.unwrap_or(growth.keystrokes);
        let names: Vec<String> = sides.iter().map(|side| side.name.clone()).collect();
        {
            let run = Run::new(wish.shape, wish.rounds(), growth, sides.to_vec())?;
            let heading = ("us per row or call, or bytes", names.clone());
            let usual = wish.shape == Shape::usual(wish.shape.rows);
            let goals = if usual { Goals::Hold } else { Goals::DoNotHold };
            self.part(&run, heading, TIMES, goals);
            self.growing(&run);
            self.intent(&run);
        }
        let shapes = match (wish.shapes, wish.matrix) {
            (false, _) => Vec::new(),
            (_, true) => shapes::all(wish.shape),
            _ => shapes::around(wish.shape),
        };
        for (name, shape) in shapes {
            let run = Run::new(shape, wish.rounds().min(3), growth, sides.to_vec())?;
            self.part(&run, (&name, names.clone()), SHAPES, Goals::DoNotHold);
        }
        self.tally.print();
        Ok(())
    }
}

/// crsql and those it is compared with, each with a name of its own.
fn sides(wish: &Wish) -> Result<Vec<Side>> {
    let found = |lib: &std::path::Path| {
        lib.canonicalize().map_err(|e| {
            let lib = lib.display();
            format!("{lib} cannot be found ({e}): run `make build` first, or say --lib")
        })
    };
    let mut sides = vec![Side::plain(), Side::session(), Side::crsql(found(&wish.lib)?)];
    for lib in &wish.peers {
        let mut peer = Side::peer(found(lib)?);
        if sides.iter().any(|side| side.name == peer.name) {
            peer.name = format!("{}-{}", peer.name, sides.len());
        }
        sides.push(peer);
    }
    Ok(sides)
}

/// What the run was, for the files that tell of it.
fn about(wish: &Wish) -> String {
    let Shape { rows, columns, .. } = wish.shape;
    let rounds = wish.rounds();
    format!(
        "SQLite {}, {rows} rows of {columns} columns, median of {rounds} rounds",
        rusqlite::version()
    )
}

fn bench(wish: &Wish) -> Result<ExitCode> {
    if wish.list {
        EVERYTHING.iter().flat_map(|part| works(part)).for_each(|work| println!("{}", work.0));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &wish.one {
        let side = if wish.plain { Side::plain() } else { Side::crsql(wish.lib.clone()) };
        return counts::one(name, &wish.dir, side).map(|()| ExitCode::SUCCESS);
    }
    let sides = sides(wish)?;
    if let Some(name) = &wish.peak {
        return memory::one(name, &wish.dir, &sides[sheet::OURS]).map(|()| ExitCode::SUCCESS);
    }
    if let Some(kept) = &wish.counts {
        let well = counts::all(sides[sheet::OURS].lib(), kept, wish.bless)?;
        return Ok(ExitCode::from(u8::from(!well)));
    }
    println!("{}", about(wish));
    let mut report = Report { wish, parts: Vec::new(), tally: Tally::default() };
    report.measure(&sides)?;
    let Report { parts, tally, .. } = report;
    if let Some(path) = &wish.json {
        let mut head = serde_json::Map::new();
        head.insert("about".to_owned(), about(wish).into());
        let text = serde_json::to_string_pretty(&report::json(&parts, head))?;
        std::fs::write(path, text + "\n")?;
    }
    if let Some(path) = &wish.svg {
        std::fs::write(path, svg::picture(&parts[0], &about(wish)))?;
    }
    Ok(if tally.missing > 0 {
        eprintln!("{} lines could not be measured", tally.missing);
        ExitCode::from(2)
    } else if wish.check && tally.beyond > 0 {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn main() -> ExitCode {
    let done = match Wish::read(std::env::args().skip(1)) {
        Ok(Some(wish)) => bench(&wish),
        Ok(None) => Ok(ExitCode::SUCCESS),
        Err(e) => Err(e),
    };
    done.unwrap_or_else(|e| {
        eprintln!("{e}");
        ExitCode::from(2)
    })
}
