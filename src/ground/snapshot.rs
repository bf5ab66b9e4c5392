//! What a table's load found (`catalog.rs`), kept in the register as JSON, so that the first write
//! of a connection reads one row instead of asking SQLite for the schema once more. It counts for
//! the `schema_version` at which it was taken and no other.

use serde_json::{Value, json};

use super::cache::{Cache, Fixed};
use super::catalog::{Col, KeyCol, Table};
use crate::words::affinity::Affinity;
use crate::words::error::Result;
use crate::words::key::KeyKind;

const SAVE: Fixed = Fixed(25, "UPDATE crsql_tables SET snapshot = ?2 WHERE tid = ?1");

/// Keeps what was found of a table at this `schema_version`. A table that has yet to be reconciled
/// is left out.
pub fn save(cache: &Cache, table: &Table, version: i64) -> Result<()> {
    if table.stale || !table.gone.is_empty() {
        return Ok(());
    }
    let mut stmt = cache.fixed(SAVE)?;
    stmt.bind_int(1, i64::from(table.tid))?;
    stmt.bind_text(2, encode(table, version).as_bytes())?;
    stmt.run()
}

fn encode(t: &Table, version: i64) -> String {
    let key = |k: &KeyCol| json!([k.name, k.affinity.name()]);
    let col = |c: &Col| json!([c.id, c.name, c.former, c.declared, c.notnull, c.default]);
    json!({
        "at": version,
        "name": t.name,
        "former": t.former,
        "rowid": t.kind == KeyKind::Int,
        "strict": t.strict,
        "keys": t.keys.iter().map(key).collect::<Vec<_>>(),
        "cols": t.cols.iter().map(col).collect::<Vec<_>>(),
        "watched": t.watched,
        "next": t.next_id,
    })
    .to_string()
}

/// The table as it was found, or None where that was at another `schema_version` or cannot be read.
pub fn decode(text: &[u8], tid: u32, shape: u32, version: i64) -> Option<Table> {
    let v: Value = serde_json::from_slice(text).ok()?;
    if v.get("at")?.as_i64()? != version {
        return None;
    }
    let strict = v.get("strict")?.as_bool()?;
    let keys = v.get("keys")?.as_array()?.iter().map(key).collect::<Option<_>>()?;
    let cols = v.get("cols")?.as_array()?.iter().map(|c| col(c, strict)).collect::<Option<_>>()?;
    Some(Table {
        tid,
        name: string(v.get("name")?)?,
        former: strings(v.get("former")?)?,
        shape,
        kind: if v.get("rowid")?.as_bool()? { KeyKind::Int } else { KeyKind::Packed },
        strict,
        keys,
        cols,
        watched: v.get("watched")?.as_array()?.iter().map(id).collect::<Option<_>>()?,
        stale: false,
        gone: Vec::new(),
        next_id: id(v.get("next")?)?,
    })
}

fn key(v: &Value) -> Option<KeyCol> {
    let affinity = Affinity::of(v.get(1)?.as_str()?, false);
    Some(KeyCol { name: string(v.get(0)?)?, affinity, loose: affinity == Affinity::Blob })
}

fn col(v: &Value, strict: bool) -> Option<Col> {
    let declared = string(v.get(3)?)?;
    let default = v.get(5)?;
    Some(Col {
        id: id(v.get(0)?)?,
        name: string(v.get(1)?)?,
        former: strings(v.get(2)?)?,
        affinity: Affinity::of(&declared, strict),
        notnull: v.get(4)?.as_bool()?,
        default: if default.is_null() { None } else { Some(string(default)?) },
        declared,
    })
}

fn id(v: &Value) -> Option<u32> {
    super::catalog::table_id(v.as_i64()?).ok()
}

fn string(v: &Value) -> Option<String> {
    v.as_str().map(str::to_owned)
}

fn strings(v: &Value) -> Option<Vec<String>> {
    v.as_array()?.iter().map(string).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_gives_the_table_back_at_its_own_schema_version_only() {
        let col = |id: u32, declared: &str, default: Option<&str>| Col {
            id,
            name: format!("c\"{id}"),
            former: vec!["was".to_owned()],
            affinity: Affinity::of(declared, false),
            notnull: id == 2,
            default: default.map(str::to_owned),
            declared: declared.to_owned(),
        };
        let key = |affinity| KeyCol { name: "k".to_owned(), affinity, loose: false };
        let keys = vec![key(Affinity::Integer), key(Affinity::Real), key(Affinity::Text)];
        let cols = vec![col(0, "", None), col(2, "VARCHAR(9)", Some("'x'")), col(5, "REAL", None)];
        let (watched, gone) = (vec![0, 2, 5], Vec::new());
        let (tid, name, former) = (7, "t".to_owned(), vec!["s".to_owned()]);
        let (shape, kind, strict, stale, next_id) = (9, KeyKind::Packed, false, false, 6);
        let table = Table {
            tid,
            name,
            former,
            shape,
            kind,
            strict,
            keys,
            cols,
            watched,
            stale,
            gone,
            next_id,
        };
        let text = encode(&table, 12);
        let back = decode(text.as_bytes(), 7, 9, 12).unwrap();
        assert_eq!(format!("{table:?}"), format!("{back:?}"));
        assert!(decode(text.as_bytes(), 7, 9, 13).is_none());
        assert!(decode(b"{\"at\":12}", 7, 9, 12).is_none());
    }
}
