//! What the command line asks for.

use std::path::{Path, PathBuf};

use crate::data::{Key, Shape};
use crate::side::Result;

const HELP: &str = "\
crsql-benches: what crsql costs beside plain SQLite, its session extension and others

  --quick        20,000 rows and 3 rounds, where it is 100,000 and 5 without
  --rows N       so many rows
  --rounds R     so many rounds; each line is the median of its rounds
  --key KIND     int, uuid or blob, where a line does not say its own
  --columns N    columns of the table, the key included; 7 else
  --value BYTES  every value is a text of so many bytes; else some numbers and short texts
  --shapes       the main lines in other shapes too, as a full run does
  --matrix       the main lines in all combinations of shapes
  --huge         growth up to 10,000,000 rows and versions
  --keystrokes N so many keystrokes make a text; 20,000 with --quick, 60,000 else, 260,000 if --huge
  --peer FILE    another library with cr-sqlite's interface; may be said more than once
  --only TEXT    only the lines whose name contains TEXT
  --lib FILE     the extension; else $CRSQL_LIB, else the one beside Cargo.toml of crsql
  --json FILE    writes the figures there too
  --svg FILE     draws them there too
  --check        exit code 1 if a figure lies beyond what is let pass
  --list         the names of all lines
  --counts FILE  counts instructions with valgrind instead, and compares with what FILE keeps
  --bless        writes the counts to that file

The exit code is 2 if crsql could not do a line.";

/// The command line, read.
pub struct Wish {
    pub quick: bool,
    pub check: bool,
    pub list: bool,
    pub shapes: bool,
    pub matrix: bool,
    pub huge: bool,
    pub rounds: Option<usize>,
    pub shape: Shape,
    pub keystrokes: Option<usize>,
    pub only: Option<String>,
    pub lib: PathBuf,
    pub peers: Vec<PathBuf>,
    pub json: Option<PathBuf>,
    pub svg: Option<PathBuf>,
    pub counts: Option<PathBuf>,
    pub bless: bool,
    /// In a process of its own: an operation under valgrind or a measure of memory, the folder for
    /// its files, and whether it is plain.
    pub one: Option<String>,
    pub peak: Option<String>,
    pub dir: PathBuf,
    pub plain: bool,
}

impl Wish {
    fn new() -> Self {
        Self {
            quick: false,
            check: false,
            list: false,
            shapes: false,
            matrix: false,
            huge: false,
            rounds: None,
            shape: Shape::usual(0),
            keystrokes: None,
            only: None,
            lib: std::env::var_os("CRSQL_LIB").map_or_else(default_lib, PathBuf::from),
            peers: Vec::new(),
            json: None,
            svg: None,
            counts: None,
            bless: false,
            one: None,
            peak: None,
            dir: PathBuf::new(),
            plain: false,
        }
    }

    /// Reads the command line; None where only help was asked for, which is printed.
    pub fn read(mut args: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut wish = Self::new();
        while let Some(arg) = args.next() {
            let mut value =
                || args.next().ok_or_else(|| format!("{arg} needs a value; see --help"));
            match arg.as_str() {
                "--quick" => wish.quick = true,
                "--check" => wish.check = true,
                "--list" => wish.list = true,
                "--shapes" => wish.shapes = true,
                "--matrix" => wish.matrix = true,
                "--huge" => wish.huge = true,
                "--rows" => wish.shape.rows = value()?.replace([',', '_'], "").parse()?,
                "--rounds" => wish.rounds = Some(value()?.parse()?),
                "--key" => wish.shape.key = key(&value()?)?,
                "--columns" => wish.shape.columns = value()?.parse()?,
                "--value" => wish.shape.value_bytes = Some(value()?.parse()?),
                "--keystrokes" => {
                    wish.keystrokes = Some(value()?.replace([',', '_'], "").parse()?);
                }
                "--only" => wish.only = Some(value()?),
                "--lib" => wish.lib = value()?.into(),
                "--peer" => wish.peers.push(value()?.into()),
                "--json" => wish.json = Some(value()?.into()),
                "--svg" => wish.svg = Some(value()?.into()),
                "--counts" => wish.counts = Some(value()?.into()),
                "--bless" => wish.bless = true,
                "--count-one" => wish.one = Some(value()?),
                "--peak" => wish.peak = Some(value()?),
                "--dir" => wish.dir = value()?.into(),
                "--plain" => wish.plain = true,
                "--help" | "-h" => {
                    println!("{HELP}");
                    return Ok(None);
                }
                _ => return Err(format!("{arg} is not known; see --help").into()),
            }
        }
        wish.completed().map(Some)
    }

    /// With what was not said, and refused where it makes no sense.
    fn completed(mut self) -> Result<Self> {
        let usual = self.shape == Shape::usual(0);
        if self.shape.rows == 0 {
            self.shape.rows = if self.quick { 20_000 } else { 100_000 };
        }
        if self.shape.rows < 2000 || self.rounds == Some(0) {
            return Err("2,000 rows and 1 round at least".into());
        }
        if self.keystrokes.is_some_and(|n| n < 1000) {
            return Err("1,000 keystrokes at least".into());
        }
        if !(2..=100).contains(&self.shape.columns) {
            return Err("2 to 100 columns".into());
        }
        self.shape = self.shape.fitting();
        self.shapes |= self.matrix || (usual && !self.quick && self.only.is_none());
        Ok(self)
    }

    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 })
    }
}

fn key(name: &str) -> Result<Key> {
    match name {
        "int" => Ok(Key::Int),
        "uuid" => Ok(Key::Uuid),
        "blob" => Ok(Key::Blob),
        _ => Err(format!("--key {name}: int, uuid or blob").into()),
    }
}

fn default_lib() -> PathBuf {
    let suffix = std::env::consts::DLL_EXTENSION;
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("crsql").with_extension(suffix)
}
