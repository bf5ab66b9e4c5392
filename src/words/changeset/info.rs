//! A changeset for people.

use serde_json::{Map, Value as Json, json};

use super::read::decode;
use super::types::{ColumnInfo, ItemHead, Kind, Seen, TableInfo};
use crate::words::error::Result;
use crate::words::key::KeyKind;
use crate::words::vector::hex16;

/// What a changeset says of itself, as JSON with sorted keys, and how much is in it. REJECTED when
/// it is not a changeset in its one form.
pub fn info(bytes: &[u8]) -> Result<Json> {
    let changeset = decode(bytes)?;
    changeset.check()?;
    let (mut rows, mut count, mut held) = (0u64, 0u64, 0u64);
    let mut cells = Vec::new();
    for txn in changeset.transactions() {
        let mut items = txn?.items();
        while let Some(item) = items.next(&mut cells)? {
            match item {
                ItemHead::Row { .. } => rows += 1,
                ItemHead::Held(_) => held += 1,
            }
            count += cells.len() as u64;
        }
    }
    let header = &changeset.header;
    let horizon = header.horizon.iter().map(|(site, version)| (hex16(site), json!(version)));
    let omits = header.omits.iter().map(
        |omit| json!({"site": hex16(&omit.site), "lo": omit.lo, "hi": omit.hi, "what": omit.what}),
    );
    let closed = header.closed.iter();
    let closed = closed.map(|(site, c)| (hex16(site), json!([c.at, c.stamp, c.from])));
    Ok(json!({
        "bytes": bytes.len(),
        "cells": count,
        "closed": closed.collect::<Map<_, _>>(),
        "coverage": seen(&header.coverage),
        "epoch": header.epoch,
        "format": bytes.get(super::MAGIC.len()),
        "held": held,
        "horizon": horizon.collect::<Map<_, _>>(),
        "kind": match &header.kind {
            Kind::Delta => "delta",
            Kind::Snapshot(_) => "snapshot",
        },
        "now": header.now,
        "omits": omits.collect::<Vec<_>>(),
        "rows": rows,
        "scope": header.scope,
        "sender": hex16(&header.sender),
        "signed": header.signature.is_some(),
        "tables": header.tables.iter().map(table).collect::<Vec<_>>(),
        "transactions": changeset.len(),
        "vector": seen(&header.vector),
    }))
}

fn seen(seen: &Seen) -> Json {
    let sites = seen.iter().map(|(site, spans)| {
        let spans = spans.iter().map(|span| json!([span.lo, span.hi, span.stamp]));
        (hex16(site), spans.collect())
    });
    Json::Object(sites.collect())
}

fn table(table: &TableInfo) -> Json {
    let keys = table.keys.iter().map(|key| {
        json!({
            "affinity": key.affinity.name(),
            "collation": key.collation,
            "name": key.name,
        })
    });
    json!({
        "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
        "former": table.former,
        "key": match table.kind {
            KeyKind::Int => "rowid",
            KeyKind::Packed => "packed",
        },
        "keys": keys.collect::<Vec<_>>(),
        "name": table.name,
        "strict": table.strict,
    })
}

fn column(column: &ColumnInfo) -> Json {
    json!({
        "affinity": column.affinity.name(),
        "declared": column.declared,
        "default": column.default,
        "former": column.former,
        "merge": column.merge,
        "name": column.name,
        "notnull": column.notnull,
    })
}
