//! Whatever the arguments, a call answers or fails; the process lives (cr-sqlite dies of a short
//! key). And when memory runs out the statement fails, and the connection goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Seeded, feed, int, memory, rows, run};
use rusqlite::ffi;

/// The limit on memory is the whole process's: one test at a time.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

const ODD: [&str; 22] = [
    "NULL",
    "0",
    "1",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "0.0",
    "-0.5",
    "1e300",
    "9e999",
    "''",
    "'t'",
    "'main'",
    "'no'",
    "x''",
    "x'00'",
    "x'0109'",
    "x'01'",
    "zeroblob(100000)",
    "CAST(x'ff' AS TEXT)",
    "'a' || char(0) || 'b'",
    "'{\"v\":1,\"site\":\"00\"}'",
];

#[test]
fn l1_no_call_ends_the_process() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let db = memory();
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); SELECT crsql_as_crr('t');
        INSERT INTO t VALUES (1, 1, 1)",
    );
    let scalars =
        rows(&db, "SELECT DISTINCT name, narg FROM pragma_function_list WHERE name LIKE 'crsql%'");
    let tables = rows(&db, "SELECT name FROM pragma_module_list WHERE name LIKE 'crsql%'");
    assert!(scalars.len() > 20 && tables.len() >= 3);
    let mut rnd = Seeded(3);
    for round in 0..40 {
        // An automigration to nothing drops the table.
        run(&db, "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, a, b)");
        run(&db, "SELECT crsql_as_crr('t')");
        for function in &scalars {
            let (name, arity) = function.split_once('|').unwrap();
            let arity = match arity.parse::<i64>().unwrap() {
                -1 => rnd.below(7),
                n => n as u64,
            };
            let arguments: Vec<&str> = (0..arity).map(|_| *rnd.pick(&ODD)).collect();
            let _ = db.execute_batch(&format!("SELECT {name}({})", arguments.join(", ")));
            if round % 7 == 0 {
                let _ = db.execute_batch(&format!(
                    "BEGIN; INSERT INTO t(a) VALUES ({name}({})); ROLLBACK",
                    arguments.join(", ")
                ));
                let _ = db.execute_batch("ROLLBACK");
            }
        }
        for table in &tables {
            let (a, b) = (*rnd.pick(&ODD), *rnd.pick(&ODD));
            for sql in [
                format!("SELECT * FROM {table}({a}, {b})"),
                format!("SELECT * FROM {table} WHERE rowid = {a}"),
                format!("DELETE FROM {table}"),
                format!("UPDATE {table} SET x = {a}"),
                format!("INSERT INTO {table} VALUES ({a})"),
                format!("CREATE VIRTUAL TABLE v{round} USING {table}({a})"),
                format!("DROP TABLE {table}"),
                format!("ALTER TABLE {table} RENAME TO x"),
            ] {
                let _ = db.execute_batch(&sql);
            }
        }
        let nine: Vec<&str> = (0..9).map(|_| *rnd.pick(&ODD)).collect();
        let _ =
            db.execute_batch(&format!("INSERT INTO crsql_changes VALUES ({})", nine.join(", ")));
        let _ = db.execute_batch(&format!(
            "SELECT * FROM crsql_changes WHERE db_version > {} AND site_id IS NOT {} AND pk = {}",
            nine[0], nine[1], nine[2]
        ));
    }
    let _ = db.execute_batch("ROLLBACK");
    run(&db, "SELECT crsql_as_crr('t'); INSERT INTO t(a, b) VALUES ('still', 'here')");
    assert!(feed(&db, 0).iter().any(|c| c.contains("still")));
}

#[test]
fn l6_out_of_memory_is_an_error() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let db = memory();
    run(
        &db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); SELECT crsql_as_crr('t');
        INSERT INTO t VALUES (0, 'first', zeroblob(100))",
    );
    // SAFETY: plain calls without pointers.
    let limit = |n: i64| unsafe { ffi::sqlite3_hard_heap_limit64(n) };
    let used = || unsafe { ffi::sqlite3_memory_used() };
    let mut failed = 0;
    for room in [1, 3, 7, 10, 20, 40, 80, 150, 300, 600, 1200] {
        for sql in [
            "INSERT INTO t(a, b) VALUES ('x', zeroblob(5000))",
            "UPDATE t SET a = randomblob(3000)",
            "SELECT sum(length(val)) FROM crsql_changes",
            "BEGIN; DELETE FROM t WHERE id > 0; SELECT count(*) FROM crsql_changes; COMMIT",
            "SELECT crsql_changeset()",
            "SELECT crsql_as_crr('t')",
            "CREATE TABLE u(id INTEGER PRIMARY KEY, x)",
            "SELECT crsql_as_crr('u')",
            "SELECT crsql_as_table('u')",
            "DROP TABLE u",
        ] {
            limit(used() + room * 1024);
            failed += i32::from(db.execute_batch(sql).is_err());
            limit(0);
            let _ = db.execute_batch("ROLLBACK");
        }
    }
    assert!(failed > 10, "{failed} failed");
    run(&db, "INSERT OR REPLACE INTO t VALUES (0, 'last', NULL); DROP TABLE IF EXISTS u;");
    assert_eq!(
        rows(&db, "SELECT val FROM crsql_changes WHERE cid = 'a' AND pk = x'0101'"),
        ["last"]
    );
    let lost = "SELECT count(*) FROM t WHERE NOT EXISTS (SELECT 1 FROM crsql_changes WHERE cid =
        'a' AND val IS t.a AND pk = crsql_pack_columns(t.id))";
    assert_eq!(int(&db, lost), 0);
    assert_eq!(
        rows(&db, "SELECT * FROM crsql_check() WHERE fault != 'leftover'"),
        Vec::<String>::new()
    );
}
