//! What a table's load found (`catalog.rs`), kept in the register, so that the first write of a
//! connection reads one row instead of asking SQLite for the schema once more. It counts for the
//! `schema_version` at which it was taken and no other.
//!
//! ```text
//! signed schema_version, name, names it had before, u8 flags (1 the key is the rowid, 2 STRICT,
//! 4 update-wins, 8 grow-only), varint next column id, keys, columns, watched column ids
//! key     name, the name of its affinity
//! column  varint id, name, names it had before, declared type, u8 NOT NULL, defaults (none or
//!         one), how it merges (nothing for the last write)
//! ```
//!
//! A name is a varint length and its bytes; a list is a varint count and its items.

use super::cache::{Cache, Fixed};
use super::catalog::{Col, KeyCol, Table, table_id};
use crate::types::Merge;
use crate::words::affinity::Affinity;
use crate::words::error::{Error, Result};
use crate::words::key::KeyKind;
use crate::words::policy::Policy;
use crate::words::wire::{Reader, put_bytes, put_signed, put_varint};

const SAVE: Fixed = Fixed(25, "UPDATE crsql_tables SET snapshot = ?2 WHERE tid = ?1");

const ROWID: u8 = 1;
const STRICT: u8 = 2;
const UPDATE_WINS: u8 = 4;
const GROW_ONLY: u8 = 8;

/// Keeps what was found of a table at this `schema_version`. A table that has yet to be reconciled
/// is left out.
pub fn save(cache: &Cache, table: &Table, version: i64) -> Result<()> {
    if table.stale || !table.gone.is_empty() {
        return Ok(());
    }
    let mut stmt = cache.fixed(SAVE)?;
    stmt.bind_int(1, i64::from(table.tid))?;
    stmt.bind_blob(2, &encode(table, version))?;
    stmt.run()
}

fn encode(t: &Table, version: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_signed(&mut out, version);
    put_name(&mut out, &t.name);
    put_list(&mut out, &t.former, |out, f| put_name(out, f));
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    out.push(
        flag(t.kind == KeyKind::Int, ROWID)
            | flag(t.strict, STRICT)
            | flag(t.policy == Policy::UpdateWins, UPDATE_WINS)
            | flag(t.policy == Policy::GrowOnly, GROW_ONLY),
    );
    put_varint(&mut out, u64::from(t.next_id));
    put_list(&mut out, &t.keys, |out, k| {
        put_name(out, &k.name);
        put_name(out, k.affinity.name());
    });
    put_list(&mut out, &t.cols, |out, c| {
        put_varint(out, u64::from(c.id));
        put_name(out, &c.name);
        put_list(out, &c.former, |out, f| put_name(out, f));
        put_name(out, &c.declared);
        out.push(u8::from(c.notnull));
        put_list(out, c.default.as_slice(), |out, d| put_name(out, d));
        put_name(out, &c.merge.by_intent().map_or_else(String::new, |kind| kind.name()));
    });
    put_list(&mut out, &t.watched, |out, id| put_varint(out, u64::from(*id)));
    out
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    put_bytes(out, name.as_bytes());
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_varint(out, items.len() as u64);
    items.iter().for_each(|item| put(out, item));
}

/// The table as it was found, or None where that was at another `schema_version` or cannot be read.
pub fn decode(bytes: &[u8], tid: u32, shape: u32, version: i64) -> Option<Table> {
    let mut r = Reader::new(bytes);
    if bytes.is_empty() || r.signed().ok()? != version {
        return None;
    }
    table(&mut r, tid, shape).ok().filter(|_| r.is_empty())
}

fn table(r: &mut Reader<'_>, tid: u32, shape: u32) -> Result<Table> {
    let (name, former) = (text(r)?, list(r, text)?);
    let flags = r.u8()?;
    let strict = flags & STRICT != 0;
    let (next_id, keys) = (id(r)?, list(r, key)?);
    let cols = list(r, |r| col(r, strict))?;
    Ok(Table {
        tid,
        name,
        former,
        shape,
        kind: if flags & ROWID != 0 { KeyKind::Int } else { KeyKind::Packed },
        strict,
        next_id,
        keys,
        typed: cols.iter().any(|c| c.merge.by_intent().is_some()),
        cols,
        watched: list(r, id)?,
        stale: false,
        gone: Vec::new(),
        policy: match flags & (UPDATE_WINS | GROW_ONLY) {
            UPDATE_WINS => Policy::UpdateWins,
            GROW_ONLY => Policy::GrowOnly,
            _ => Policy::DeleteWins,
        },
    })
}

fn key(r: &mut Reader<'_>) -> Result<KeyCol> {
    let (name, affinity) = (text(r)?, Affinity::of(&text(r)?, false));
    Ok(KeyCol { name, affinity, loose: affinity == Affinity::Blob })
}

fn col(r: &mut Reader<'_>, strict: bool) -> Result<Col> {
    let (id, name, former, declared) = (id(r)?, text(r)?, list(r, text)?, text(r)?);
    let affinity = Affinity::of(&declared, strict);
    let (notnull, default) = (r.u8()? != 0, list(r, text)?.pop());
    let merge = match text(r)?.as_str() {
        "" => Merge::default(),
        name => Merge::named(name).ok_or_else(|| Error::corrupt("no type has this name"))?,
    };
    Ok(Col { id, name, former, affinity, notnull, default, declared, merge })
}

fn id(r: &mut Reader<'_>) -> Result<u32> {
    table_id(i64::try_from(r.varint()?).unwrap_or(-1))
}

fn text(r: &mut Reader<'_>) -> Result<String> {
    let bytes = r.len_bytes()?.to_vec();
    String::from_utf8(bytes).map_err(|_| Error::corrupt("a name is not UTF-8"))
}

fn list<T>(r: &mut Reader<'_>, item: impl Fn(&mut Reader<'_>) -> Result<T>) -> Result<Vec<T>> {
    (0..r.count(1)?).map(|_| item(r)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
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
            merge: Merge::named(if id == 5 { "counter" } else { "lww" }).unwrap(),
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
            typed: true,
            policy: Policy::GrowOnly,
        };
        let bytes = encode(&table, 12);
        let back = decode(&bytes, 7, 9, 12).unwrap();
        assert_eq!(format!("{table:?}"), format!("{back:?}"));
        assert!(decode(&bytes, 7, 9, 13).is_none());
        for n in 0..bytes.len() {
            assert!(decode(&bytes[..n], 7, 9, 12).is_none(), "cut to {n} bytes");
        }
    }
}
