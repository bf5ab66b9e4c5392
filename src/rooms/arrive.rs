//! A part that arrives meets what stands in its register (`parts.rs`), by the one merge law; the
//! column then shows what all of it comes to.

use super::hand;
use super::held::{self, One};
use super::identity;
use super::merger::{Incoming, Outcome, Sink, soft};
use super::parts;
use super::rows;
use super::session::Session;
use super::text;
use super::unchecked;
use crate::ground::catalog::Col;
use crate::types::{Parts, Type};
use crate::words::affinity;
use crate::words::dot::Dot;
use crate::words::error::Result;
use crate::words::keylist::KeyRef;
use crate::words::merge::{self, Rule, Write};
use crate::words::value::{Value, ValueRef};

/// Merges a part, after its row was told of (`merger.rs`). The caller has looked whether it can be
/// one of the column.
pub fn part(
    s: &Session,
    inc: &Incoming<'_>,
    c: &One<'_>,
    (at, register): (usize, &str),
    sink: Sink<'_>,
) -> Result<Outcome> {
    let held = |reason: &str| {
        held::hold(s, &c.to_whole(), reason, inc.peer.as_ref())?;
        Ok(Outcome { held: 1, ..Outcome::default() })
    };
    let superseded = Outcome { superseded: 1, ..Outcome::default() };
    let (table, key) = (inc.table, inc.key.borrow());
    let Some(col) = table.cols.get(at).filter(|_| c.col_version > 0) else {
        return Ok(superseded);
    };
    let Some(kind) = col.merge.by_intent() else { return Ok(superseded) };
    let clock = hand::take(s, table.tid, inc.key)?;
    let Some(clock) = clock.filter(|clock| clock.cl >= c.cl) else {
        return held(&format!("{}its creation is held", held::ROW));
    };
    if clock.cl > c.cl {
        return Ok(superseded);
    }
    let standing = parts::standing(s, table.tid, key, col.id, register)?;
    let (site, version, seq) = (c.site, c.version, c.seq);
    let incoming = Write { stamp: c.col_version, site, version, seq };
    let verdict = merge::cell(standing.as_ref().map(|(write, _)| write), &incoming, || {
        let value = standing.as_ref().map(|(_, value)| value.as_ref());
        value.map_or(std::cmp::Ordering::Greater, |value| merge::values(c.val, value))
    });
    if verdict.rule == Rule::Fork {
        identity::mark_forked(s, inc.txn.site)?;
    }
    if !verdict.wins {
        return Ok(superseded);
    }
    if let Some(reason) = show(s, inc, (at, col), kind, (register, c))? {
        return held(&reason);
    }
    let dot = Dot { txn: inc.txn, seq };
    parts::put(s, table.tid, key, (col.id, register), c.val, (dot, c.col_version))?;
    sink(inc.key, seq, 1);
    if held::any(s)? {
        held::drop_lost(s, &c.to_whole())?;
    }
    let stale = u64::from(standing.is_some());
    Ok(Outcome { applied: 1, stale, ..Outcome::default() })
}

/// Has the row show what it comes to with one more part; gives why that cannot be.
fn show(
    s: &Session,
    inc: &Incoming<'_>,
    (at, col): (usize, &Col),
    kind: &dyn Type,
    (register, c): (&str, &One<'_>),
) -> Result<Option<String>> {
    let (table, key) = (inc.table, inc.key.borrow());
    let Some(row) = rows::read(s, table, inc.key)? else {
        return Ok(Some(format!("{}it is gone without a trace", held::ROW)));
    };
    let current = row.value(at as i32).to_owned();
    drop(row);
    let part = (register, c.val);
    let (shown, first) = if kind.is_text() {
        text::arrived(s, (table.tid, key, col), &current, part)?
    } else {
        match with_part(s, (table.tid, key, col), kind, &current, part) {
            Ok(shown) => shown,
            Err(e) => return soft(s, Err(e)),
        }
    };
    let held = |reason| {
        text::close(s, table.tid, key);
        Ok(Some(reason))
    };
    if !affinity::stores_unchanged(col.affinity, table.strict, shown.as_ref()) {
        let name = format!("{}.{}", table.name, col.name);
        return held(format!("column {name} could not store what it comes to"));
    }
    if shown != current {
        let cells = [(at, shown.as_ref())];
        let write = || unchecked::write(s, || rows::update(s, table, inc.key, &cells));
        if let Some(reason) = soft(s, s.merging(write))? {
            return held(reason);
        }
        s.memory.borrow_mut().rows_impacted += 1;
    }
    if first {
        parts::put_base(s, table.tid, key, col.id, current.as_ref())?;
    }
    Ok(None)
}

/// What a column shows with a part that arrives, and whether the part is its first.
fn with_part(
    s: &Session,
    (tid, key, col): (u32, KeyRef<'_>, &Col),
    kind: &dyn Type,
    current: &Value,
    (register, val): (&str, ValueRef<'_>),
) -> Result<(Value, bool)> {
    let state = parts::state(s, tid, key, col.id)?;
    let first = state.is_none();
    let base = || Parts { base: current.clone(), ..Parts::default() };
    let mut parts = state.unwrap_or_else(base);
    parts.list.insert(register.to_owned(), val.to_owned());
    Ok((parts::shown(s, kind, col, &parts)?, first))
}
