//! A small world of databases that edit and exchange: what real peers have and send, for the
//! fuzzer to begin from. It is the same on every run.

use crate::host::{self, hex};
use crate::model::{self, Model};
use crate::rng::Rng;
use rusqlite::Connection;

/// The replicated tables: every kind of key, every affinity, an odd name.
pub const SCHEMA: &str = "
CREATE TABLE plain(id INTEGER PRIMARY KEY NOT NULL, a, b TEXT, c REAL, d BLOB,
  n INTEGER NOT NULL DEFAULT 7);
CREATE TABLE pairs(k1 TEXT NOT NULL, k2 INTEGER NOT NULL, v, w NUMERIC, PRIMARY KEY(k1, k2));
CREATE TABLE uuids(id TEXT PRIMARY KEY NOT NULL, body TEXT DEFAULT 'x');
CREATE TABLE loose(k NOT NULL PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE firm(id TEXT PRIMARY KEY NOT NULL, i INTEGER, r REAL, t TEXT, b BLOB, x ANY) STRICT;
CREATE TABLE keys(a TEXT NOT NULL, b BLOB NOT NULL, PRIMARY KEY(a, b));
CREATE TABLE \"o'd\"\"d\"(\"k ey\" TEXT PRIMARY KEY NOT NULL, \"se;l\" TEXT, \"x'\"\"\" INT);
CREATE TABLE meant(k INTEGER PRIMARY KEY NOT NULL, n INTEGER, tags TEXT, props TEXT, pick,
  qty INTEGER, body TEXT, best);
SELECT crsql_as_crr('meant'), crsql_column('meant', 'n', 'counter'),
  crsql_column('meant', 'tags', 'set'), crsql_column('meant', 'props', 'map'),
  crsql_column('meant', 'pick', 'multi'), crsql_column('meant', 'qty', 'bounded'),
  crsql_column('meant', 'body', 'text'), crsql_column('meant', 'best', 'custom:max');
SELECT crsql_as_crr('plain'); SELECT crsql_as_crr('pairs'); SELECT crsql_as_crr('uuids');
SELECT crsql_as_crr('loose'); SELECT crsql_as_crr('firm'); SELECT crsql_as_crr('keys');
SELECT crsql_as_crr('o''d\"d');";

/// The same for an application of another release: a table and a column less, one of another type.
const OTHER_SCHEMA: &str = "
CREATE TABLE plain(id INTEGER PRIMARY KEY NOT NULL, a INTEGER, b TEXT, extra,
  n INTEGER NOT NULL DEFAULT 7);
CREATE TABLE pairs(k1 TEXT NOT NULL, k2 INTEGER NOT NULL, v, w NUMERIC, PRIMARY KEY(k1, k2));
CREATE TABLE firm(id TEXT PRIMARY KEY NOT NULL, i INTEGER, r REAL, t TEXT) STRICT;
CREATE TABLE only(id INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('plain'); SELECT crsql_as_crr('pairs'); SELECT crsql_as_crr('firm');
SELECT crsql_as_crr('only');";

const FIRST: &str = "
INSERT INTO plain VALUES(1, 1, 'one', 1.5, x'00ff', 1), (2, 2.5, NULL, -0.0, NULL, 2),
  (3, 'text', CAST(x'ff00fe' AS TEXT), 9e999, zeroblob(40), -9223372036854775808),
  (-5, NULL, printf('%100s', 'long'), 1e300, x'', 9223372036854775807);
INSERT INTO pairs VALUES('p', 1, 'v', 12), ('p', 2, NULL, 1.5), ('', -1, x'01', 'not a number');
INSERT INTO uuids VALUES('0192f0c4-7a3b-7def-8123-456789abcdef', 'u1'), ('plain text', 'u2');
INSERT INTO loose VALUES(1, 'int'), (1.5, 'real'), ('1', 'text'), (x'31', 'blob');
INSERT INTO firm VALUES('f1', 5, 5.5, 't', x'05', 'any'), ('f2', NULL, NULL, NULL, NULL, 3);
INSERT INTO keys VALUES('a', x'01'), ('b', x'');
INSERT INTO meant VALUES(1, 5, '[1, \"a\"]', '{\"x\": {\"y\": 1}}', 'p', 9, 'One two three', 1.5),
  (2, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO \"o'd\"\"d\" VALUES('k', 's', 1);";

const SECOND: &str = "
UPDATE plain SET a = 'later', c = 2 WHERE id IN (1, 2);
DELETE FROM plain WHERE id = 3;
DELETE FROM plain WHERE id = -5; INSERT INTO plain(id, b) VALUES(-5, 'again');
BEGIN; INSERT INTO plain(id, a) VALUES(10, 1); INSERT INTO plain(id, a) VALUES(11, 1);
  UPDATE plain SET a = 2 WHERE id = 10; DELETE FROM plain WHERE id = 11; COMMIT;
UPDATE pairs SET k2 = 5 WHERE k1 = 'p' AND k2 = 1;
DELETE FROM keys WHERE a = 'a';
UPDATE uuids SET body = NULL;
UPDATE meant SET n = n + 2, tags = '[\"a\", 2.5]', props = '{\"x\": {\"z\": []}}', pick = x'00',
  qty = qty + 4, body = 'One, two, three', best = 'b' WHERE k = 1;
DELETE FROM loose WHERE k = 1;";

const THIRD: &str = "
UPDATE plain SET a = 'mine', n = 3 WHERE id = 1; INSERT INTO plain(id, a) VALUES(4, 'back');
UPDATE pairs SET v = x'22' WHERE k2 = 2; INSERT INTO firm(id, x) VALUES('f3', 1.0);
INSERT INTO keys VALUES('c', x'0303');
UPDATE meant SET n = -1, tags = '[null]', props = '{\"q\": null}', pick = 1, qty = qty + 1,
  body = coalesce(body, '') || ' é🐘', best = 7; DELETE FROM uuids WHERE id = 'plain text';
UPDATE firm SET i = 6, r = 6.5 WHERE id = 'f1';";

const MANY: &str = "
WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 160)
INSERT INTO plain(id, a, b) SELECT i, i * 1.5, printf('row %d', i) FROM n;";

/// What real peers are and send.
pub struct World {
    /// Databases, as bytes.
    pub images: Vec<Vec<u8>>,
    /// The image that has the schema and nothing else.
    pub fresh: usize,
    /// Changesets.
    pub changesets: Vec<Vec<u8>>,
    /// Vectors.
    pub vectors: Vec<Vec<u8>>,
    /// Rows of `crsql_changes`, each as its ten values written in SQL.
    pub rows: Vec<Vec<String>>,
    /// Packed keys, clocks, lists of keys and deps.
    pub keys: Vec<Vec<u8>>,
    pub clocks: Vec<Vec<u8>>,
    pub lists: Vec<Vec<u8>>,
    pub deps: Vec<Vec<u8>>,
    /// Text of SQL, and bytes that mean nothing.
    pub texts: Vec<Vec<u8>>,
    pub noise: Vec<Vec<u8>>,
    /// The changesets as values.
    pub models: Vec<Model>,
    /// Every SQL function of ours, and how many arguments it takes; -1 is any number.
    pub functions: Vec<(String, Vec<i64>)>,
    /// Every virtual table of ours, and the tables and views that people read, with their columns.
    pub tables: Vec<(String, Vec<String>)>,
}

fn make(seed: u32, sql: &str) -> Connection {
    host::rewind(seed);
    let db = host::open();
    db.execute_batch(sql).expect("the schema");
    db
}

fn blob(db: &Connection, sql: &str) -> Option<Vec<u8>> {
    host::run(db, sql).unwrap_or_else(|e| panic!("{e}\nin: {sql}"))
}

/// Everything that `to` lacks goes there from `from`; gives the changesets.
fn pull(from: &Connection, to: &Connection, max_bytes: usize) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let vector = blob(to, "SELECT crsql_vector()").unwrap_or_default();
        let vector = String::from_utf8_lossy(&vector).into_owned();
        let ask = format!("SELECT crsql_changeset('{vector}', {max_bytes})");
        let Some(changeset) = blob(from, &ask) else { return out };
        blob(to, &format!("SELECT crsql_apply({})", hex(&changeset)));
        out.push(changeset);
        assert!(out.len() < 200, "an exchange does not end");
    }
}

fn blobs(db: &Connection, sql: &str) -> Vec<Vec<u8>> {
    let mut stmt = db.prepare(sql).expect("a query");
    let rows = stmt.query_map([], |row| row.get::<_, Option<Vec<u8>>>(0)).expect("rows");
    rows.filter_map(|row| row.expect("a row")).collect()
}

/// What is registered, so that none is forgotten.
fn functions(db: &Connection) -> Vec<(String, Vec<i64>)> {
    let names =
        "SELECT DISTINCT name FROM pragma_function_list WHERE name LIKE 'crsql_%' ORDER BY 1";
    let names = host::list(db, names).expect("the functions");
    let all = names.into_iter().map(|name| {
        let of = format!("SELECT narg FROM pragma_function_list WHERE name = '{name}' ORDER BY 1");
        let arities = host::list(db, &of).expect("the numbers of arguments");
        (name, arities.iter().map(|n| n.parse().expect("a number")).collect())
    });
    all.collect()
}

fn texts(db: &Connection) -> Vec<Vec<u8>> {
    let all = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL";
    let mut all = host::list(db, all).expect("the schema");
    all.push(SCHEMA.into());
    all.into_iter().map(String::into_bytes).collect()
}

fn tables(db: &Connection) -> Vec<(String, Vec<String>)> {
    let names = "SELECT name FROM pragma_module_list WHERE name LIKE 'crsql_%'
                 UNION SELECT name FROM sqlite_schema
                 WHERE type IN ('table', 'view') AND name LIKE 'crsql_%'";
    let names = host::list(db, names).expect("the tables");
    let all = names.into_iter().map(|name| {
        let of = format!("SELECT name FROM pragma_table_xinfo('{name}')");
        let columns = host::list(db, &of).expect("the columns");
        (name, columns)
    });
    all.collect()
}

impl World {
    /// Makes it, the same every time.
    pub fn made() -> World {
        let (mut fresh, mut a) = (make(1, SCHEMA), make(2, SCHEMA));
        let (mut b, mut c) = (make(3, SCHEMA), make(4, SCHEMA));
        let mut d = make(5, OTHER_SCHEMA);
        let mut w = World {
            images: vec![host::image(&mut fresh)],
            fresh: 0,
            changesets: Vec::new(),
            vectors: Vec::new(),
            rows: Vec::new(),
            keys: Vec::new(),
            clocks: Vec::new(),
            lists: Vec::new(),
            deps: Vec::new(),
            texts: texts(&a),
            noise: (0..8).map(|n| Rng(n).bytes(60)).collect(),
            models: Vec::new(),
            functions: functions(&a),
            tables: tables(&a),
        };
        let big = 1 << 20;
        a.execute_batch(FIRST).expect("edits");
        w.changesets.extend(pull(&a, &b, big));
        w.images.push(host::image(&mut b));
        a.execute_batch(SECOND).expect("edits");
        b.execute_batch(THIRD).expect("edits");
        w.images.push(host::image(&mut a));
        d.execute_batch(
            "INSERT INTO only VALUES(1, 'x'); INSERT INTO plain(id, extra) VALUES(70, 1)",
        )
        .expect("edits");
        w.changesets.extend(pull(&b, &d, big));
        w.changesets.extend(pull(&b, &a, 300));
        w.changesets.extend(pull(&a, &b, big));
        w.images.push(host::image(&mut d));
        d.execute_batch("UPDATE plain SET b = 'from d' WHERE id = 1; DELETE FROM pairs")
            .expect("edits");
        w.changesets.extend(pull(&d, &c, big));
        a.execute_batch(MANY).expect("edits");
        w.parts(&a);
        w.changesets.extend(pull(&a, &c, 700));
        w.changesets.extend(pull(&c, &b, big));
        w.images.push(host::image(&mut c));
        c.execute_batch("ALTER TABLE plain DROP COLUMN c; DROP TABLE uuids").ok();
        blob(&c, "SELECT crsql_vector()");
        w.images.push(host::image(&mut c));
        for db in [&a, &b, &c, &d] {
            w.gather(db);
        }
        w.changesets.extend(blob(&c, "SELECT crsql_changeset()"));
        w.images.push(host::image(&mut make(
            9,
            "CREATE TABLE plain(id INTEGER PRIMARY KEY NOT NULL, a)",
        )));
        w.models = w.changesets.iter().map(|c| model::read(c).expect("a changeset")).collect();
        w
    }

    /// A database that waits for the rest of a large transaction.
    fn parts(&mut self, from: &Connection) {
        let mut waiting = make(6, SCHEMA);
        for _ in 0..12 {
            let vector = blob(&waiting, "SELECT crsql_vector()").unwrap_or_default();
            let vector = String::from_utf8_lossy(&vector).into_owned();
            let ask = format!("SELECT crsql_changeset('{vector}', 500)");
            let Some(changeset) = blob(from, &ask) else { break };
            blob(&waiting, &format!("SELECT crsql_apply({})", hex(&changeset)));
            self.changesets.push(changeset);
            let staged =
                host::text(&waiting, "SELECT count(*) FROM crsql_staged").expect("a count");
            if staged == "2" {
                self.images.push(host::image(&mut waiting));
                self.gather(&waiting);
                break;
            }
        }
    }

    fn gather(&mut self, db: &Connection) {
        self.vectors.extend(blob(db, "SELECT crsql_vector()"));
        self.rows.extend(host::feed(db).expect("the feed"));
        self.keys.extend(blobs(db, "SELECT pk FROM crsql_changes"));
        self.lists.extend(blobs(db, "SELECT rows FROM crsql_log"));
        self.deps.extend(blobs(db, "SELECT deps FROM crsql_log"));
        let clocks = host::list(
            db,
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'crsql_clock%'",
        );
        for name in clocks.expect("names") {
            self.clocks.extend(blobs(db, &format!("SELECT clock FROM \"{name}\"")));
        }
    }
}
