//! Text columns (`types/text`): what a write did to a text, texts that are kept open between
//! keystrokes, and the calls of editors.
//!
//! An open text is what the parts come to, as long as only this room writes them: it is taken out
//! to be worked with, and put back when all went well. Whatever else may have changed the parts, a
//! rollback, another connection, a new identity, a base that arrives, closes it.

use std::rc::Rc;

use super::column;
use super::flush::{self, Batch, Group};
use super::intent::{Column, Meant, Wrote};
use super::memory::key_in;
use super::parts;
use super::rows;
use super::session::{Meaning, Said, Session};
use crate::ground::cache::Fixed;
use crate::ground::catalog::{Col, Table};
use crate::types::Parts;
use crate::types::text::{self, Document, Side, Splice, difference, text_of};
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result};
use crate::words::key::Key;
use crate::words::keylist::KeyRef;
use crate::words::value::{Value, ValueRef};

/// So many texts are kept open.
const OPEN_MAX: usize = 8;

/// Another number as soon as somebody else has committed.
const OTHERS: Fixed = Fixed(195, "PRAGMA main.data_version");

/// Which text it is.
#[derive(Clone, PartialEq)]
struct Place {
    tid: u32,
    key: Key,
    col: u32,
}

/// An open text.
pub struct Open {
    place: Place,
    site: SiteId,
    others: i64,
    document: Document,
}

fn place(tid: u32, key: KeyRef<'_>, col: u32) -> Place {
    Place { tid, key: key.to_key(), col }
}

fn others(s: &Session) -> Result<i64> {
    let mut stmt = s.cache.fixed(OTHERS)?;
    stmt.step()?;
    Ok(stmt.int(0))
}

/// Takes an open text out, if it is one still.
fn take(s: &Session, at: &Place) -> Result<Option<Open>> {
    let mut all = s.texts.borrow_mut();
    let Some(n) = all.iter().position(|open| open.place == *at) else { return Ok(None) };
    let open = all.remove(n);
    drop(all);
    let current = open.others == others(s)? && open.site == s.own_id()?;
    Ok(Some(open).filter(|open| current && !open.document.stale()))
}

fn put_back(s: &Session, open: Open) {
    let mut all = s.texts.borrow_mut();
    if all.len() >= OPEN_MAX {
        all.remove(0);
    }
    all.push(open);
}

fn open(s: &Session, place: Place, parts: &Parts) -> Result<Open> {
    let site = s.own_id()?;
    let document = Document::new(parts, &site)?;
    Ok(Open { place, site, others: others(s)?, document })
}

/// Closes the texts of a row, whose parts somebody else changes.
pub fn close(s: &Session, tid: u32, key: KeyRef<'_>) {
    let key = key.to_key();
    s.texts.borrow_mut().retain(|open| open.place.tid != tid || open.place.key != key);
}

/// What a row's events did to a text: the parts that come of it.
pub(super) fn wrote(
    s: &Session,
    batch: &Batch,
    g: &Group,
    c: &Column<'_>,
    (at, stamp): (usize, u64),
    meant: &mut Meant,
) -> Result<()> {
    let place = place(g.table.tid, key_in(&batch.keys, g.key), c.col.id);
    let whole = c.exact.into_iter().chain(c.updates.iter().copied());
    let events: Vec<usize> = whole.collect();
    let Some(last) = events.last().copied() else { return Ok(()) };
    let is_whole = |meant: &mut Meant| {
        meant.whole.extend(events.iter().map(|event| (*event, c.col.id)));
        Ok(())
    };
    let old = c.updates.iter().find_map(|event| batch.old(*event, c.col.id));
    let mut first = None;
    let mut open = match take(s, &place)? {
        Some(open) => open,
        None => match (parts::state(s, g.table.tid, place.key.borrow(), c.col.id)?, old) {
            (Some(parts), _) => open(s, place, &parts)?,
            (None, Some(old)) if c.exact.is_none() => {
                if text_of(old.val.as_ref()) == text_of(c.current) {
                    return is_whole(meant);
                }
                let parts = Parts { base: old.val.clone(), ..Parts::default() };
                first = Some(old.val.clone());
                open(s, place, &parts)?
            }
            (None, _) => return is_whole(meant),
        },
    };
    let mut registers = Vec::new();
    for said in c.updates.iter().filter_map(|event| batch.old(*event, c.col.id)) {
        if let Some(Said::Splice(splice)) = &said.said {
            registers.extend(open.document.write(stamp, std::slice::from_ref(splice))?);
        }
    }
    let rest = difference(open.document.text(), text_of(c.current));
    if !rest.is_empty() {
        registers.extend(open.document.write(stamp, &rest)?);
    }
    if Value::text(open.document.text()).as_ref() != c.current {
        meant.shown.push((at, Value::text(open.document.text())));
    }
    if let Some(base) = first.filter(|_| !registers.is_empty()) {
        meant.bases.push((c.col.id, base));
    }
    // The base is as it was; an INSERT over the row writes it again.
    meant.whole.extend(c.exact.map(|event| (event, c.col.id)));
    for (n, (register, val)) in registers.iter().enumerate() {
        let again = registers.iter().skip(n + 1).any(|(later, _)| later == register);
        if !again {
            let (register, val) = (register.clone(), val.clone());
            meant.parts.push(Wrote { event: last, offset: 0, col: c.col.id, register, val });
        }
    }
    put_back(s, open);
    Ok(())
}

/// What a text shows with a part that arrives, and whether the part is its first.
pub fn arrived(
    s: &Session,
    (tid, key, col): (u32, KeyRef<'_>, &Col),
    current: &Value,
    (register, val): (&str, ValueRef<'_>),
) -> Result<(Value, bool)> {
    let place = place(tid, key, col.id);
    if let Some(mut open) = take(s, &place)?
        && open.document.arrive(register, val)
        && !open.document.stale()
    {
        let shown = Value::text(open.document.text());
        put_back(s, open);
        return Ok((shown, false));
    }
    let state = parts::state(s, tid, key, col.id)?;
    let first = state.is_none();
    let base = || Parts { base: current.clone(), ..Parts::default() };
    let mut parts = state.unwrap_or_else(base);
    parts.list.insert(register.to_owned(), val.to_owned());
    if !text::edited(&parts) {
        return Ok((parts.base, first));
    }
    let mut open = open(s, place, &parts)?;
    let shown = Value::text(open.document.text());
    put_back(s, open);
    Ok((shown, first))
}

/// A text column of a row, as a caller names it.
struct Found {
    table: Rc<Table>,
    at: usize,
    key: Key,
    col: Col,
    current: Value,
}

fn find(
    s: &Rc<Session>,
    call: &str,
    (table, column): (&str, &str),
    key: ValueRef<'_>,
) -> Result<Found> {
    let (table, at) = column::look(s, call, table, column)?;
    let name = |col: &Col| format!("{}.{}", table.name, col.name);
    let Some(col) = table.cols.get(at).cloned() else {
        return Err(Error::refused(format!("{call}: table {} has changed", table.name)));
    };
    if !col.merge.by_intent().is_some_and(|kind| kind.is_text()) {
        return Err(Error::refused(format!(
            "{call}: column {} merges as {}; say crsql_column('{}', '{}', 'text') first",
            name(&col),
            col.merge.name(),
            table.name,
            col.name
        )));
    }
    let key = column::row_of(s, call, &table, key)?;
    let row = rows::read(s, &table, &key)?;
    let current = row.as_ref().map_or(Value::Null, |row| row.value(at as i32).to_owned());
    drop(row);
    Ok(Found { table, at, key, col, current })
}

impl Found {
    /// What stands of it; and whether anybody has edited it.
    fn parts(&self, s: &Session) -> Result<(Parts, bool)> {
        let state = parts::state(s, self.table.tid, self.key.borrow(), self.col.id)?;
        let edited = state.is_some();
        let base = || Parts { base: self.current.clone(), ..Parts::default() };
        Ok((state.unwrap_or_else(base), edited))
    }

    /// Looks at the open text.
    fn with<T>(&self, s: &Session, look: impl FnOnce(&mut Document) -> T) -> Result<T> {
        let place = place(self.table.tid, self.key.borrow(), self.col.id);
        let (mut open, edited) = match take(s, &place)? {
            Some(open) => (open, true),
            None => {
                let (parts, edited) = self.parts(s)?;
                (open(s, place, &parts)?, edited)
            }
        };
        let done = look(&mut open.document);
        // A text that is kept open has parts: who writes into it need not look.
        if edited {
            put_back(s, open);
        }
        Ok(done)
    }
}

/// `crsql_text_splice(table, key, column, position, deletions, insertion)`: places and lengths in
/// characters, as SQLite's `length()` counts them; the first is 0.
pub fn splice(
    s: &Rc<Session>,
    names: (&str, &str),
    key: ValueRef<'_>,
    (position, deletions): (usize, usize),
    insertion: &str,
) -> Result<()> {
    const CALL: &str = "crsql_text_splice";
    s.writing(CALL, || {
        column::find(s, CALL, names.0, names.1)?;
        let found = find(s, CALL, names, key)?;
        let text = text_of(found.current.as_ref());
        let beyond = || {
            Error::refused(format!(
                "{CALL}: the text of {}.{} has {} characters, and {deletions} from {position} are \
                 not in it",
                found.table.name,
                found.col.name,
                text.chars().count()
            ))
        };
        let byte = |from: usize, n: usize| {
            let rest = text.get(from..)?;
            let mut places = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            places.nth(n).map(|at| from + at)
        };
        let at = byte(0, position).ok_or_else(beyond)?;
        let end = byte(at, deletions).ok_or_else(beyond)?;
        let (before, behind) = (text.get(..at), text.get(end..));
        let new = format!("{}{insertion}{}", before.unwrap_or(""), behind.unwrap_or(""));
        let splice = Splice { at, removed: end - at, inserted: insertion.to_owned() };
        let (tid, key) = (found.table.tid, found.key.clone());
        let meant = Meaning { tid, key, col: found.col.id, said: Said::Splice(splice) };
        let value = ValueRef::Text(new.as_bytes());
        s.meaning(meant, || rows::update(s, &found.table, &found.key, &[(found.at, value)]))?;
        flush::flush(s)
    })
}

/// `crsql_text_anchor(table, key, column, position [, 'before'])`
pub fn anchor(
    s: &Rc<Session>,
    names: (&str, &str),
    key: ValueRef<'_>,
    position: usize,
    side: Side,
) -> Result<Vec<u8>> {
    const CALL: &str = "crsql_text_anchor";
    let found = find(s, CALL, names, key)?;
    let anchor = found.with(s, |document| document.anchor(position, side))?;
    anchor.ok_or_else(|| {
        let (table, column) = (&found.table.name, &found.col.name);
        Error::refused(format!("{CALL}: the text of {table}.{column} has no character {position}"))
    })
}

/// `crsql_text_position(table, key, column, anchor)`: None where its character is not here yet.
pub fn position(
    s: &Rc<Session>,
    names: (&str, &str),
    key: ValueRef<'_>,
    anchor: &[u8],
) -> Result<Option<usize>> {
    let found = find(s, "crsql_text_position", names, key)?;
    found.with(s, |document| document.position(anchor))
}

/// `crsql_text_at(table, key, column, version)`: the text with all edits up to a `col_version`.
pub fn at(s: &Rc<Session>, names: (&str, &str), key: ValueRef<'_>, version: i64) -> Result<Value> {
    const CALL: &str = "crsql_text_at";
    let found = find(s, CALL, names, key)?;
    // Any number says up to where: who wants all of it may give one beyond all stamps.
    let stamp = u64::try_from(version).map_err(|_| {
        Error::refused(format!(
            "{CALL}: a version is a col_version of crsql_changes, not {version}"
        ))
    })?;
    Ok(text::at(&found.parts(s)?.0, stamp))
}
