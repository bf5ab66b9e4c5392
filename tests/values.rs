//! The promise: a value arrives as the bytes it was written as, whatever they are, by changeset and
//! row by row. cr-sqlite took text for UTF-8 unchecked, and others cut it at the first NUL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Cell, memory, rows, run};
use rusqlite::Connection;

const T: &str = "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v); SELECT crsql_as_crr('t')";

fn both_ways(values: &str) {
    let (a, b, c) = (memory(), memory(), memory());
    for db in [&a, &b, &c] {
        run(db, T);
    }
    run(&a, &format!("INSERT INTO t VALUES {values}"));
    let blob: Vec<u8> = a.query_row("SELECT crsql_changeset()", [], |r| r.get(0)).unwrap();
    let _: String = b.query_row("SELECT crsql_apply(?1)", [blob], |r| r.get(0)).unwrap();
    copy_rows(&a, &c);
    let all = |db: &Connection| rows(db, "SELECT hex(k), typeof(v), hex(v) FROM t ORDER BY k");
    assert!(!all(&a).is_empty());
    assert_eq!(all(&a), all(&b));
    assert_eq!(all(&a), all(&c));
}

fn copy_rows(from: &Connection, to: &Connection) {
    let mut stmt = from.prepare("SELECT * FROM crsql_changes").unwrap();
    let mut rows = stmt.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let values: Vec<Cell> = (0..9).map(|i| row.get_ref(i).unwrap().into()).collect();
        let sql = "INSERT INTO crsql_changes VALUES(?,?,?,?,?,?,?,?,?)";
        to.execute(sql, rusqlite::params_from_iter(values)).unwrap();
    }
}

#[test]
fn a5_nul_inside_text_is_a_byte_like_any_other() {
    both_ways("('a', 'x' || char(0) || 'y'), ('b' || char(0) || 'c', char(0)), ('d', x'00')");
}

#[test]
fn a6_text_that_is_not_utf8_stays_as_it_is() {
    both_ways(
        "('a', CAST(x'ff' AS TEXT)), ('b', CAST(x'eda080' AS TEXT)), ('c', CAST(x'c0af' AS TEXT)),
         (CAST(x'80' AS TEXT), 'key')",
    );
}
