//! Tables of every shape that may be replicated, at random, and the values that go into them.

use crate::rng::Rng;

/// A column that is not of the key.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name, quoted.
    pub name: String,
    /// What stands behind it.
    pub declared: String,
    pub strict: Option<usize>,
    /// An index is on it, so that SQLite does not drop it.
    pub indexed: bool,
    /// How it merges, where it is not by the last write.
    pub merge: Option<&'static str>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name, quoted.
    pub name: String,
    pub keys: Vec<(String, Domain)>,
    pub columns: Vec<Column>,
    /// The key as it stands among the columns, and before which of them.
    key_ddl: String,
    key_at: usize,
    /// The first two columns must differ.
    pub check: bool,
    options: &'static str,
    /// Triggers of the application.
    pub triggers: Vec<String>,
    /// The key is the rowid.
    pub rowid: bool,
    /// What becomes of its rows, where a delete does not win.
    pub policy: Option<&'static str>,
}

/// Where the values of a key column come from. All are small, so that writes meet.
#[derive(Clone, Copy, Debug)]
pub enum Domain {
    Integers,
    Texts,
    Loose,
    Reals,
    Blobs,
}

/// Arms the guards, up to the end of a transaction.
pub const ARM: &str = "INSERT INTO armed VALUES(1)";

const NAMES: [&str; 6] = ["t", "odd \"name\"", "select", "é🐘", "it's", "x]y"];
const COLUMN_NAMES: [&str; 8] = ["a", "b", "c", "d", "the \"e\"", "where", "Ü", "g'h"];
const TYPES: [&str; 11] = [
    "",
    "",
    "TEXT",
    "INTEGER",
    "REAL",
    "NUMERIC",
    "BLOB",
    "TEXT COLLATE NOCASE",
    "INTEGER NOT NULL DEFAULT 7",
    "TEXT DEFAULT 'd'",
    "NOT NULL DEFAULT x'00'",
];
const STRICT_TYPES: [&str; 5] = ["ANY", "INTEGER", "REAL", "TEXT", "BLOB"];

/// Values that have gone wrong somewhere, as SQL.
pub const EDGES: [&str; 36] = [
    "NULL",
    "0",
    "1",
    "-1",
    "127",
    "128",
    "-128",
    "-129",
    "255",
    "256",
    "32767",
    "32768",
    "-32769",
    "8388607",
    "8388608",
    "2147483647",
    "-2147483649",
    "140737488355328",
    "9223372036854775807",
    "-9223372036854775808",
    "0.0",
    "-0.0",
    "1.0",
    "1.5",
    "9007199254740993",
    "9e999",
    "-9e999",
    "''",
    "'A'",
    "'12'",
    "'1e3'",
    "x''",
    "x'00'",
    "CAST(x'610062' AS TEXT)",
    "CAST(x'ff80' AS TEXT)",
    "zeroblob(300)",
];

/// What a STRICT column of each type takes.
const STRICT_EDGES: [&[&str]; 5] = [
    &["NULL", "1", "1.0", "-0.0", "'1'", "x'31'"],
    &["NULL", "0", "-1", "9223372036854775807", "128"],
    &["NULL", "0.0", "-0.0", "1.5", "9e999", "2"],
    &["NULL", "''", "'A'", "CAST(x'ff80' AS TEXT)", "'1'"],
    &["NULL", "x''", "x'00'", "x'ff'", "zeroblob(30)"],
];

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name that is quoted so.
pub fn plain(quoted: &str) -> String {
    quoted[1..quoted.len() - 1].replace("\"\"", "\"")
}

/// A name as a text in SQL.
pub fn literal(quoted: &str) -> String {
    text(&plain(quoted))
}

/// Any text in SQL.
pub fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Domain {
    pub fn value(self, rng: &mut Rng) -> String {
        match self {
            Domain::Integers if rng.one_in(8) => {
                (*rng.pick(&["128", "-1", "9223372036854775807", "-9223372036854775808"])).into()
            }
            Domain::Integers => rng.below(5).to_string(),
            Domain::Texts => {
                let uuid = "'0192f0c4-7a3b-7def-8123-456789abcdef'";
                (*rng.pick(&["'a'", "'b'", "'A'", "''", "'1'", uuid])).into()
            }
            Domain::Loose => {
                (*rng.pick(&["1", "1.0", "'1'", "x'31'", "2", "2.5", "-0.0", "0"])).into()
            }
            Domain::Reals => (*rng.pick(&["1", "1.5", "2.0", "-0.0", "0"])).into(),
            Domain::Blobs => (*rng.pick(&["x''", "x'00'", "x'01'", "x'0100'"])).into(),
        }
    }
}

impl Column {
    /// A text: a new one, or what stands with something done to it.
    fn words(&self, rng: &mut Rng) -> String {
        let word = (*rng.pick(&["one", "two ", "three é", "🐘", " "])).to_owned();
        match rng.below(5) {
            0 | 1 => text(&format!("{word} and {}", rng.below(100))),
            _ => text(&word.repeat(1 + rng.below(5))),
        }
    }

    /// A value that the column may be given.
    pub fn value(&self, rng: &mut Rng) -> String {
        if let Some(kind) = self.strict {
            return (*rng.pick(STRICT_EDGES[kind])).into();
        }
        if let (Some(kind), false) = (self.merge, rng.one_in(8)) {
            match kind {
                "set" => return text(&set(rng)),
                "map" => return text(&map(rng, 2)),
                "text" => return self.words(rng),
                "bounded" => return rng.below(20).to_string(),
                _ => {}
            }
        }
        match rng.below(4) {
            0 | 1 => (*rng.pick(&EDGES)).into(),
            2 => rng.below(1000).to_string(),
            _ => format!("'v{}'", rng.below(1000)),
        }
    }
}

/// A JSON array of few elements, so that sets have some in common.
fn set(rng: &mut Rng) -> String {
    let all = ["1", "2", "10", "\"a\"", "\"b\"", "\"é\"", "null"];
    let some: Vec<&str> = (0..rng.below(5)).map(|_| *rng.pick(&all)).collect();
    format!("[{}]", some.join(", "))
}

/// A JSON object of few names, and others in it.
fn map(rng: &mut Rng, depth: usize) -> String {
    let members: Vec<String> = ["a", "b", "é"]
        .iter()
        .filter_map(|name| {
            if rng.one_in(2) {
                return None;
            }
            let value = match rng.below(4) {
                0 | 1 if depth > 0 => map(rng, depth - 1),
                2 => set(rng),
                _ => rng.below(9).to_string(),
            };
            Some(format!("\"{name}\": {value}"))
        })
        .collect();
    format!("{{{}}}", members.join(", "))
}

fn keys(rng: &mut Rng) -> (Vec<(String, Domain)>, String, bool) {
    let one = |domain, ddl: &str| (vec![("k".to_owned(), domain)], ddl.to_owned());
    let (keys, ddl) = match rng.below(8) {
        0 | 1 => {
            return (vec![("k".into(), Domain::Integers)], "k INTEGER PRIMARY KEY".into(), true);
        }
        2 => one(Domain::Texts, "k TEXT NOT NULL PRIMARY KEY"),
        3 => one(Domain::Loose, "k NOT NULL PRIMARY KEY"),
        4 => one(Domain::Reals, "k REAL NOT NULL PRIMARY KEY"),
        5 => one(Domain::Blobs, "k BLOB NOT NULL PRIMARY KEY"),
        6 => one(Domain::Integers, "k INT NOT NULL PRIMARY KEY"),
        _ => {
            let keys = vec![("k1".into(), Domain::Texts), ("k2".into(), Domain::Integers)];
            let ddl = "k1 TEXT NOT NULL, k2 INTEGER NOT NULL, PRIMARY KEY(k1, k2)";
            (keys, ddl.to_owned())
        }
    };
    (keys, ddl, false)
}

impl Table {
    pub fn random(rng: &mut Rng, n: usize) -> Table {
        let name = quoted(&format!("{}{n}", rng.pick(&NAMES)));
        let strict = rng.one_in(5);
        let (mut keys, mut key_ddl, rowid) = keys(rng);
        if strict && !rowid {
            keys = vec![("k".into(), Domain::Texts)];
            key_ddl = "k TEXT NOT NULL PRIMARY KEY".into();
        }
        let mut columns = Vec::new();
        for column in COLUMN_NAMES.iter().take(rng.below(6)) {
            let name = quoted(column);
            let kind = rng.below(STRICT_TYPES.len());
            let declared = if strict { STRICT_TYPES[kind] } else { rng.pick(&TYPES) }.to_owned();
            let strict = strict.then_some(kind);
            columns.push(Column { name, declared, strict, indexed: false, merge: None });
        }
        let key_at = rng.below(columns.len() + 1);
        let check = columns.len() > 1 && rng.one_in(4);
        let without = !rowid && rng.one_in(3);
        let options = match (without, strict) {
            (true, true) => " WITHOUT ROWID, STRICT",
            (true, false) => " WITHOUT ROWID",
            (false, true) => " STRICT",
            (false, false) => "",
        };
        let (triggers, policy) = (Vec::new(), None);
        let mut table =
            Table { name, keys, columns, key_ddl, key_at, check, options, triggers, rowid, policy };
        table.triggers = table.triggers(rng);
        table
    }

    /// What says how its columns merge, and what becomes of its rows.
    pub fn merges(&self) -> Vec<String> {
        let said = |c: &Column| {
            let (table, column) = (literal(&self.name), literal(&c.name));
            Some(format!("SELECT crsql_column({table}, {column}, '{}')", c.merge?))
        };
        let policy = self
            .policy
            .map(|policy| format!("SELECT crsql_row_policy({}, '{policy}')", literal(&self.name)));
        self.columns.iter().filter_map(said).chain(policy).collect()
    }

    /// What makes it.
    pub fn ddl(&self) -> String {
        let columns = self.columns.iter().map(|c| format!("{} {}", c.name, c.declared));
        let mut parts: Vec<String> = columns.collect();
        // A key's columns may stand anywhere; a constraint of the table stands last.
        let at = if self.keys.len() > 1 { parts.len() } else { self.key_at.min(parts.len()) };
        parts.insert(at, self.key_ddl.clone());
        if self.check {
            parts.push(format!("CHECK({} IS NOT {})", self.columns[0].name, self.columns[1].name));
        }
        format!("CREATE TABLE {}({}){}", self.name, parts.join(", "), self.options)
    }

    /// Triggers of the application that write to the table itself, as many have them.
    fn triggers(&self, rng: &mut Rng) -> Vec<String> {
        let Some((last, others)) = self.columns.split_last() else { return Vec::new() };
        if others.is_empty() || !rng.one_in(5) {
            return Vec::new();
        }
        let others: Vec<&str> = others.iter().map(|c| c.name.as_str()).collect();
        vec![format!(
            "CREATE TRIGGER {} AFTER UPDATE OF {} ON {} BEGIN UPDATE {} SET {} = {} WHERE {}; END",
            quoted(&format!("touch {}", &self.name[1..self.name.len() - 1].replace('"', ""))),
            others.join(", "),
            self.name,
            self.name,
            last.name,
            last.value(rng),
            self.is(|key| format!("NEW.{key}")),
        )]
    }

    /// A trigger that refuses rows half-way through a statement while it is armed, which it is for
    /// statements of the application only.
    pub fn guard(&self, rng: &mut Rng) -> String {
        let name = self.name[1..self.name.len() - 1].replace('"', "");
        let when = rng.pick(&["BEFORE", "AFTER"]);
        let what = rng.pick(&["INSERT", "UPDATE", "DELETE"]);
        let how =
            rng.pick(&["ABORT, 'refused'", "FAIL, 'refused'", "ROLLBACK, 'refused'", "IGNORE"]);
        let row = if *what == "DELETE" { "OLD" } else { "NEW" };
        let (key, domain) = &self.keys[0];
        format!(
            "CREATE TRIGGER {} {when} {what} ON {} WHEN (SELECT count(*) FROM armed) > 0 \
             AND {row}.{key} > {} BEGIN SELECT RAISE({how}); END",
            quoted(&format!("guard {name}")),
            self.name,
            domain.value(rng),
        )
    }

    /// The row with a key, as a condition.
    pub fn is(&self, mut value: impl FnMut(&str) -> String) -> String {
        let parts: Vec<String> =
            self.keys.iter().map(|(key, _)| format!("{key} = {}", value(key))).collect();
        parts.join(" AND ")
    }

    /// The row with some key.
    pub fn is_some(&self, rng: &mut Rng) -> String {
        let values: Vec<String> = self.keys.iter().map(|(_, domain)| domain.value(rng)).collect();
        let mut values = values.into_iter();
        self.is(|_| values.next().unwrap_or_default())
    }

    /// The values of a row, in the order of `names`.
    pub fn row(&self, rng: &mut Rng) -> String {
        let mut values: Vec<String> = self.keys.iter().map(|(_, d)| d.value(rng)).collect();
        values.extend(self.columns.iter().map(|c| c.value(rng)));
        values.join(", ")
    }

    /// The names of all columns, keys first.
    pub fn names(&self) -> String {
        let keys = self.keys.iter().map(|(name, _)| name.clone());
        keys.chain(self.columns.iter().map(|c| c.name.clone())).collect::<Vec<_>>().join(", ")
    }

    pub fn key_names(&self) -> String {
        self.keys.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(", ")
    }
}
