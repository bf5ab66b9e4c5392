//! The promise: what every binding does in its language, rusqlite does too. The cases are data,
//! `bindings/conformance/script.json`; what a step means is told beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::open;
use common::sync::{changeset, vector};
use rusqlite::types::Value;
use rusqlite::{Connection, Result, params_from_iter};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::path::Path;

type Replicas = BTreeMap<String, Connection>;
type Step = Map<String, Json>;

#[test]
fn every_case_of_the_script_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bindings/conformance/script.json");
    let script: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(script["version"], 1);
    let cases = script["cases"].as_array().unwrap();
    cases.iter().for_each(case);
    assert!(cases.len() >= 10, "{} cases", cases.len());
}

fn case(case: &Json) {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<&str> =
        case["replicas"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
    let mut all: Replicas =
        names.iter().map(|r| (r.to_string(), open(&dir.path().join(r)))).collect();
    for name in names {
        for step in case["setup"].as_array().into_iter().flatten() {
            let mut step = step.as_object().unwrap().clone();
            step.insert("on".into(), name.into());
            take(&mut all, dir.path(), &step, &case["name"]);
        }
    }
    for step in case["steps"].as_array().unwrap() {
        take(&mut all, dir.path(), step.as_object().unwrap(), &case["name"]);
    }
}

fn take(all: &mut Replicas, dir: &Path, step: &Step, case: &Json) {
    let done = run(all, dir, step);
    match (done, step.get("error")) {
        (Ok(()), None) => {}
        (Err(e), Some(text)) if e.to_string().contains(text.as_str().unwrap()) => {}
        (done, _) => panic!("{done:?} at {step:?}\nin the case {case}"),
    }
}

fn run(all: &mut Replicas, dir: &Path, step: &Step) -> Result<()> {
    let text = |name: &str| step.get(name).and_then(Json::as_str);
    if text("on").is_some() && step.contains_key("reopen") {
        let name = text("on").unwrap();
        all.remove(name).unwrap().close().unwrap();
        all.insert(name.to_owned(), open(&dir.join(name)));
        return Ok(());
    }
    let named = |name: &str| all.get(name).unwrap_or_else(|| panic!("no replica {name}"));
    let list = |name: &str| -> Vec<&Connection> {
        let names = step[name].as_array().unwrap();
        names.iter().map(|r| named(r.as_str().unwrap())).collect()
    };
    let on = text("on").map(named);
    let max = step.get("max_bytes").and_then(Json::as_i64);
    if let Some(sql) = text("exec") {
        table(on.unwrap(), sql).map(drop)
    } else if let Some(sql) = text("query") {
        let wanted = step["rows"].as_array().unwrap().iter();
        let wanted: Vec<Vec<Value>> =
            wanted.map(|row| row.as_array().unwrap().iter().map(value).collect()).collect();
        assert_eq!(table(on.unwrap(), sql)?, wanted, "{step:?}");
        Ok(())
    } else if let Some(name) = text("enable") {
        on.unwrap().query_row("SELECT crsql_as_crr(?1)", [name], |_| Ok(()))
    } else if let Some(blob) = step.get("apply") {
        on.unwrap().query_row("SELECT crsql_apply(?1)", [value(blob)], |_| Ok(()))
    } else if let Some(from) = text("pull") {
        let report = pull(on.unwrap(), named(from), max)?;
        match step.get("report") {
            Some(Json::Null) => assert_eq!(report, None, "{step:?}"),
            Some(wanted) => {
                for (key, wanted) in wanted.as_object().unwrap() {
                    assert_eq!(&report.as_ref().unwrap()[key], wanted, "{key} in {step:?}");
                }
            }
            None => {}
        }
        Ok(())
    } else if let Some(from) = text("pull_all") {
        pull_all(on.unwrap(), named(from), max)
    } else if step.contains_key("sync") {
        let both = list("sync");
        pull_all(both[0], both[1], None)?;
        pull_all(both[1], both[0], None)
    } else if let Some(from) = text("copy") {
        copy(on.unwrap(), named(from), step["count"].as_u64().unwrap())
    } else if step.contains_key("equal") {
        let digests = list("equal").into_iter().map(|db| table(db, "SELECT crsql_digest()"));
        let digests = digests.collect::<Result<Vec<_>>>()?;
        assert!(digests.windows(2).all(|two| two[0] == two[1]), "{step:?}: {digests:?}");
        Ok(())
    } else {
        exact(on.unwrap(), text("exact").unwrap_or_else(|| panic!("what is {step:?}?")))
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text.clone()),
        Json::Object(one) if one.contains_key("real") => Value::Real(one["real"].as_f64().unwrap()),
        Json::Object(one) => {
            let hex = one["blob"].as_str().unwrap();
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            Value::Blob((0..hex.len()).step_by(2).map(byte).collect())
        }
        number => Value::Integer(number.as_i64().unwrap()),
    }
}

fn table(db: &Connection, sql: &str) -> Result<Vec<Vec<Value>>> {
    let mut stmt = db.prepare(sql)?;
    let columns = stmt.column_count();
    let rows = stmt.query_map([], |row| (0..columns).map(|at| row.get(at)).collect())?;
    rows.collect()
}

fn pull(to: &Connection, from: &Connection, max: Option<i64>) -> Result<Option<Json>> {
    let Some(blob) = changeset(from, &vector(to), max) else { return Ok(None) };
    let report = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let report = to.query_row("SELECT crsql_apply(?1)", [blob], report)?;
    Ok(Some(serde_json::from_str(&report).unwrap()))
}

fn pull_all(to: &Connection, from: &Connection, max: Option<i64>) -> Result<()> {
    while pull(to, from, max)?.is_some_and(|report| report["new"] == true) {}
    Ok(())
}

fn copy(to: &Connection, from: &Connection, count: u64) -> Result<()> {
    let (ours, theirs) = (vector(to), vector(from));
    let sql = format!("SELECT * FROM crsql_changes WHERE since = '{ours}'");
    let changes = table(from, &sql)?;
    assert_eq!(changes.len() as u64, count, "{changes:?}");
    to.execute_batch("BEGIN")?;
    for change in changes {
        let sql = "INSERT INTO crsql_changes VALUES(?,?,?,?,?,?,?,?,?)";
        to.execute(sql, params_from_iter(change))?;
    }
    to.query_row("SELECT crsql_seen(?1)", [theirs], |_| Ok(()))?;
    to.execute_batch("COMMIT")
}

/// Whole numbers that JavaScript holds too.
fn exact(db: &Connection, sql: &str) -> Result<()> {
    let rows = table(db, sql)?;
    assert!(!rows.is_empty(), "{sql}");
    for row in rows {
        let [Value::Integer(n), Value::Text(text)] = row.as_slice() else { panic!("{row:?}") };
        assert!(*n < 1 << 53 && n.to_string() == *text, "{row:?}");
    }
    Ok(())
}
