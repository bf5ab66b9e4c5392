//! What crsql costs beside plain SQLite, and whether that stays below the goals. Every figure is a
//! ratio of two sides that ran turn by turn in the same process; docs/PERFORMANCE.md says what each
//! line means.

mod changesets;
mod clock;
mod counts;
mod data;
mod growth;
mod ready;
mod report;
mod rowwise;
mod run;
mod sheet;
mod side;
mod writes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use report::Tally;
use run::Run;
use sheet::{Sheet, Work};
use side::Result;

const HELP: &str = "\
crsql-benches: what crsql costs beside plain SQLite

  --quick        20,000 rows and 3 rounds, where it is 100,000 and 5 without
  --rows N       so many rows
  --rounds R     so many rounds; each line is the median of its rounds
  --only TEXT    only the lines whose name contains TEXT
  --lib FILE     the extension; else $CRSQL_LIB, else the one beside Cargo.toml of crsql
  --json FILE    writes the figures there too
  --check        exit code 1 if a figure lies beyond what is let pass
  --list         the names of all lines
  --counts FILE  counts instructions with valgrind instead, and compares with what FILE keeps
  --bless        writes the counts to that file

The exit code is 2 if a line could not be measured.";

/// Lines that are measured together.
struct Group(&'static [Work], fn(&Run, &mut Sheet) -> Result<()>);

const TIMES: &[Group] = &[
    Group(&[writes::INSERT_INT, writes::SIZE_INT], writes::insert_int),
    Group(&[writes::INSERT_UUID, writes::SIZE_UUID], writes::insert_uuid),
    Group(&[writes::INSERT_ONE], writes::insert_one),
    Group(&[writes::UPDATE_1], writes::update_1),
    Group(&[writes::UPDATE_3], writes::update_3),
    Group(&[writes::DELETE], writes::delete),
    Group(&[writes::SCAN, writes::POINT], writes::reads),
    Group(&[rowwise::PULL], rowwise::pull),
    Group(&[rowwise::LAST, rowwise::PLAIN, rowwise::VIRTUAL, rowwise::POLL], rowwise::last),
    Group(&[rowwise::APPLY, rowwise::CELLS, rowwise::AGAIN], rowwise::apply),
    Group(
        &[changesets::PULL, changesets::APPLY, changesets::AGAIN, changesets::WIRE],
        changesets::everything,
    ),
    Group(&[changesets::LAST, changesets::POLL], changesets::last),
    Group(&[writes::OPEN, writes::FIRST_WRITE], writes::opening),
    Group(&[changesets::LIVE, changesets::SYNC], changesets::live),
];

const BY_ROWS: &[Group] = &[Group(
    &[
        growth::PLAIN_WRITE,
        growth::WRITE,
        growth::PULL_ROWS,
        growth::POLL_ROWS,
        growth::PULL_SET,
        growth::POLL_SET,
    ],
    growth::by_rows,
)];

const BY_SITES: &[Group] =
    &[Group(&[growth::SITES_WRITE, growth::SITES_PULL, growth::SITES_POLL], growth::by_sites)];

const REWRITTEN: &[Group] =
    &[Group(&[growth::REWRITTEN, growth::REWRITTEN_ONE], growth::rewritten)];

/// What the command line asks for.
struct Wish {
    quick: bool,
    check: bool,
    rows: Option<usize>,
    rounds: Option<usize>,
    only: Option<String>,
    lib: PathBuf,
    json: Option<PathBuf>,
    counts: Option<PathBuf>,
    bless: bool,
    /// One operation, under valgrind: its name, the folder for its files, and whether it is plain.
    one: Option<String>,
    dir: PathBuf,
    plain: bool,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Wish>> {
    let mut wish = Wish {
        quick: false,
        check: false,
        rows: None,
        rounds: None,
        only: None,
        lib: std::env::var_os("CRSQL_LIB").map_or_else(default_lib, PathBuf::from),
        json: None,
        counts: None,
        bless: false,
        one: None,
        dir: PathBuf::new(),
        plain: false,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value; see --help"));
        match arg.as_str() {
            "--quick" => wish.quick = true,
            "--check" => wish.check = true,
            "--rows" => wish.rows = Some(value()?.replace([',', '_'], "").parse()?),
            "--rounds" => wish.rounds = Some(value()?.parse()?),
            "--only" => wish.only = Some(value()?),
            "--lib" => wish.lib = value()?.into(),
            "--json" => wish.json = Some(value()?.into()),
            "--counts" => wish.counts = Some(value()?.into()),
            "--bless" => wish.bless = true,
            "--count-one" => wish.one = Some(value()?),
            "--dir" => wish.dir = value()?.into(),
            "--plain" => wish.plain = true,
            "--list" => {
                works(&[TIMES, BY_ROWS, BY_SITES, REWRITTEN])
                    .iter()
                    .for_each(|w| println!("{}", w.0));
                return Ok(None);
            }
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(None);
            }
            _ => return Err(format!("{arg} is not known; see --help").into()),
        }
    }
    if wish.rows.is_some_and(|n| n < 2000) || wish.rounds == Some(0) {
        return Err("2,000 rows and 1 round at least".into());
    }
    Ok(Some(wish))
}

fn default_lib() -> PathBuf {
    let suffix = std::env::consts::DLL_EXTENSION;
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("crsql").with_extension(suffix)
}

fn works(parts: &[&[Group]]) -> Vec<Work> {
    parts.iter().flat_map(|part| part.iter()).flat_map(|g| g.0.iter().copied()).collect()
}

fn measure(run: &Run, sheet: &mut Sheet, part: &[Group], only: Option<&str>) {
    let wanted = |w: &Work| only.is_none_or(|text| w.0.contains(text));
    for Group(works, f) in part {
        if !works.iter().any(wanted) {
            continue;
        }
        eprintln!("  {} ...", works.iter().map(|w| w.0).collect::<Vec<_>>().join("; "));
        let error = match f(run, sheet) {
            Ok(()) => "it gave no figure".to_owned(),
            Err(e) => e.to_string(),
        };
        works.iter().for_each(|w| sheet.failed(w.0, &error));
    }
}

fn print(sheet: &Sheet, quick: bool) -> Tally {
    let mut tally = Tally::default();
    let (few, many) = growth::sizes(quick);
    let (few, many) = (format!("{few} rows"), format!("{many} rows"));
    let sites = format!("{} sites", growth::SITES);
    let mut part = |part: &[Group], heads: [&str; 3]| {
        let works = works(&[part]);
        if works.iter().any(|w| sheet.get(w.0).is_some()) {
            report::print(sheet, &works, heads, &mut tally);
        }
    };
    part(TIMES, ["us per row or call, or bytes", "plain", "crsql"]);
    part(BY_ROWS, ["crsql, us per row or call", &few, &many]);
    part(BY_SITES, ["crsql, us per row or call", "1 site", &sites]);
    part(REWRITTEN, ["crsql, bytes", "20 times", "200 times"]);
    report::print_tally(&tally);
    tally
}

fn bench(wish: &Wish) -> Result<ExitCode> {
    if let Some(name) = &wish.one {
        let lib = Some(wish.lib.as_path()).filter(|_| !wish.plain);
        return counts::one(name, &wish.dir, lib).map(|()| ExitCode::SUCCESS);
    }
    let lib = wish.lib.canonicalize().map_err(|e| {
        format!(
            "{} cannot be found ({e}): run `make build` first, or say --lib",
            wish.lib.display()
        )
    })?;
    if let Some(kept) = &wish.counts {
        let well = counts::all(&lib, kept, wish.bless)?;
        return Ok(ExitCode::from(u8::from(!well)));
    }
    let rows = wish.rows.unwrap_or(if wish.quick { 20_000 } else { 100_000 });
    let rounds = wish.rounds.unwrap_or(if wish.quick { 3 } else { 5 });
    let run = Run::new(rows, rounds, wish.quick, lib)?;
    println!("SQLite {}, {rows} rows, median of {rounds} rounds", rusqlite::version());
    let mut sheet = Sheet::default();
    let all = [TIMES, BY_ROWS, BY_SITES, REWRITTEN];
    for part in all {
        measure(&run, &mut sheet, part, wish.only.as_deref());
    }
    let tally = print(&sheet, wish.quick);
    if let Some(path) = &wish.json {
        let mut about = serde_json::Map::new();
        about.insert("sqlite".to_owned(), rusqlite::version().into());
        about.insert("rows".to_owned(), rows.into());
        about.insert("rounds".to_owned(), rounds.into());
        let text = serde_json::to_string_pretty(&report::json(&sheet, &works(&all), about))?;
        std::fs::write(path, text + "\n")?;
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
    let done = match parse(std::env::args().skip(1)) {
        Ok(Some(wish)) => bench(&wish),
        Ok(None) => Ok(ExitCode::SUCCESS),
        Err(e) => Err(e),
    };
    done.unwrap_or_else(|e| {
        eprintln!("{e}");
        ExitCode::from(2)
    })
}
