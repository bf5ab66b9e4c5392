//! An open text: the characters of a column, put together by yrs, and what is at hand to go on.
//!
//! It is a function of the base and the parts: all geneses and chunks are decoded and put in in
//! one order that respects what stands beside what (`weave`), whatever order they came in. Of
//! several geneses the one that the base is shows; the characters of the others count as deleted.
//!
//! A site writes into its newest chunk until that has [`CHUNK_FULL`] bytes, and then opens the
//! next. Chunks count from 0; what is behind a gap waits.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use yrs::updates::decoder::Decode;
use yrs::{ClientID, Doc, GetString, Options, Text, TextRef, Transact, TransactionMut, Update};

use super::chunk::{Chunk, RUNS_MAX, Range, Run, sorted, units};
use super::cursor::Cursor;
use super::names::{self, Author, Register};
use super::weave::{Known, weave};
use super::{Splice, text_of, v1};
use crate::types::Parts;
use crate::words::dot::SiteId;
use crate::words::error::{Error, Result};
use crate::words::value::{Value, ValueRef};

/// A chunk that has more bytes is not written into any more.
const CHUNK_FULL: usize = 400;

/// More splices are not done at once; there is room in the chunk for as many again.
pub const SPLICES_MAX: usize = RUNS_MAX / 2;

/// An open text.
pub struct Document {
    pub(super) doc: Doc,
    pub(super) body: TextRef,
    site: SiteId,
    own: Author,
    known: Known,
    stretches: HashMap<Author, Stretch>,
    geneses: HashSet<String>,
    /// The base's genesis, while no register has it.
    unwritten: Option<(String, Value)>,
    /// Authors of whom something lacks that others stand beside or deleted.
    waits_for: HashSet<Author>,
    /// Authors of whom something waits.
    stuck: HashSet<Author>,
    /// Where this site typed last, while nothing else happened.
    cursor: Option<Cursor>,
    text: Option<String>,
    stale: bool,
}

/// The newest chunk of a site.
#[derive(Default)]
struct Stretch {
    /// How many chunks there are.
    count: u32,
    newest: Option<Chunk>,
    /// The bytes of the newest.
    bytes: usize,
}

/// What the registers of a text say.
struct Registers {
    geneses: BTreeMap<String, String>,
    chunks: BTreeMap<SiteId, Vec<Chunk>>,
    /// Bytes of each site's last chunk.
    bytes: HashMap<SiteId, usize>,
    /// Sites of whom there are registers behind a gap.
    gaps: HashSet<Author>,
}

impl Registers {
    /// Reads them, with what was done up to a stamp.
    fn read(parts: &Parts, until: u64) -> Registers {
        let mut numbered: BTreeMap<SiteId, BTreeMap<u32, &[u8]>> = BTreeMap::new();
        let mut geneses = BTreeMap::new();
        for (name, value) in &parts.list {
            match (names::register(name), value) {
                (Some(Register::Genesis), Value::Text(_)) => {
                    geneses.insert(name.clone(), text_of(value.as_ref()).to_string());
                }
                (Some(Register::Chunk(site, n)), Value::Blob(bytes)) => {
                    numbered.entry(site).or_default().insert(n, bytes);
                }
                _ => {}
            }
        }
        let mut read = Registers {
            geneses,
            chunks: BTreeMap::new(),
            bytes: HashMap::new(),
            gaps: HashSet::new(),
        };
        for (site, numbered) in numbered {
            let own = names::author_of_site(&site);
            let list = read.chunks.entry(site).or_default();
            for (n, bytes) in &numbered {
                let end = list.last().map_or(0, Chunk::end);
                let chunk = Chunk::decode(bytes, own).ok();
                let next = chunk.filter(|c| *n as usize == list.len() && c.first == end);
                let Some(mut chunk) = next else { break };
                chunk.until(until);
                list.push(chunk);
                read.bytes.insert(site, bytes.len());
            }
            if list.len() < numbered.len() {
                read.gaps.insert(own);
            }
        }
        read
    }
}

/// yrs is not ours: whatever it does wrong is an error, and never a panic that gets out.
pub(super) fn fenced<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(Error::corrupt("yrs failed at a text")))
}

fn put(txn: &mut TransactionMut<'_>, update: &[u8]) -> Result<()> {
    let wrong = || Error::corrupt("yrs does not take an edit of text");
    let update = Update::decode_v1(update).map_err(|_| wrong())?;
    txn.apply_update(update).map_err(|_| wrong())
}

impl Document {
    /// Opens a text at a site, which writes into it.
    ///
    /// # Errors
    /// CORRUPT where yrs fails, which no parts are known to make it do.
    pub fn new(parts: &Parts, site: &SiteId) -> Result<Document> {
        Document::until(parts, site, u64::MAX)
    }

    /// Opens a text as it was at a stamp.
    pub(super) fn until(parts: &Parts, site: &SiteId, stamp: u64) -> Result<Document> {
        let base = text_of(parts.base.as_ref());
        let registers = Registers::read(parts, stamp);
        let own = names::author_of_site(site);
        let mut options = Options::with_guid_and_client_id("".into(), ClientID::new(own));
        options.cleanup_formatting = false;
        let doc = Doc::with_options(options);
        let body = doc.get_or_insert_text(v1::ROOT);
        let mut open = Document {
            doc,
            body,
            site: *site,
            own,
            known: Known::default(),
            stretches: HashMap::new(),
            geneses: registers.geneses.keys().cloned().collect(),
            unwritten: None,
            waits_for: HashSet::new(),
            stuck: HashSet::new(),
            cursor: None,
            text: None,
            stale: false,
        };
        fenced(|| open.fill(base, registers))?;
        if open.stuck.contains(&own) {
            let read = Registers::read(parts, stamp).chunks.remove(site);
            open.own_stretch_ends_where_we_go_on(read.unwrap_or_default());
        }
        Ok(open)
    }

    fn fill(&mut self, base: &str, registers: Registers) -> Result<()> {
        let mut all: BTreeMap<Author, Vec<Run>> = BTreeMap::new();
        let mut deleted = Vec::new();
        let (present, author) = names::genesis(base);
        if !base.is_empty() {
            all.insert(author, vec![from_nothing(base)]);
            if !self.geneses.contains(&present) {
                self.unwritten = Some((present.clone(), Value::text(base)));
            }
        }
        for (name, text) in &registers.geneses {
            let (_, author) = names::genesis(text);
            if *name != present && !text.is_empty() && !all.contains_key(&author) {
                deleted.push(Range { author, clock: 0, len: units(text) });
                all.insert(author, vec![from_nothing(text)]);
            }
        }
        self.stuck = registers.gaps;
        for (site, chunks) in registers.chunks {
            let author = names::author_of_site(&site);
            if all.contains_key(&author) {
                self.stuck.insert(author);
                continue;
            }
            deleted.extend(chunks.iter().flat_map(|c| &c.edits).flat_map(|e| &e.deleted));
            let stretch = Stretch {
                count: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
                newest: chunks.last().cloned(),
                bytes: registers.bytes.get(&site).copied().unwrap_or(0),
            };
            self.stretches.insert(author, stretch);
            all.insert(author, chunks.into_iter().flat_map(|c| c.runs).collect());
        }
        let woven = weave(&mut self.known, &all);
        self.waits_for = woven.waits_for;
        self.stuck.extend(woven.stuck);
        // Each by itself: two that meet within a character do not make one that deletes it.
        let (mut deleted, lacking) = self.known.clip(&deleted);
        sorted(&mut deleted);
        self.waits_for.extend(lacking);
        let mut txn = self.doc.transact_mut();
        for (author, runs) in woven.order {
            let runs = all.get(&author).and_then(|all| all.get(runs)).unwrap_or_default();
            let from = deleted.partition_point(|d| d.author < author);
            let to = deleted.partition_point(|d| d.author <= author);
            let gone = deleted.get(from..to).unwrap_or_default();
            put(&mut txn, &v1::inserts(author, runs, gone))?;
        }
        Ok(())
    }

    /// A site's own characters are all there, unless somebody wrote in its name. It writes over
    /// what cannot be put in, because two that have one name would never be told apart.
    fn own_stretch_ends_where_we_go_on(&mut self, mut chunks: Vec<Chunk>) {
        let end = self.known.end(self.own);
        if chunks.last().is_none_or(|c| c.end() == end) {
            return;
        }
        chunks.truncate(chunks.partition_point(|c| c.first <= end));
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let mut newest = chunks.pop().unwrap_or_default();
        newest.before(end);
        let stretch = match newest.edits.is_empty() {
            true => Stretch { count: count.saturating_sub(1), ..Stretch::default() },
            false => Stretch { count, newest: Some(newest), bytes: 0 },
        };
        self.stretches.insert(self.own, stretch);
    }

    /// What it shows.
    pub fn text(&mut self) -> &str {
        let read = || self.body.get_string(&self.doc.transact());
        self.text.get_or_insert_with(read)
    }

    /// Whether it must be opened anew before it is used again: something went wrong, or a
    /// character came that others had waited for.
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// Does edits of this site, and gives the registers that they write.
    ///
    /// # Errors
    /// REFUSED where the splices are not of this text; then nothing was done. CORRUPT where yrs
    /// fails; then the document is stale.
    pub fn write(&mut self, stamp: u64, splices: &[Splice]) -> Result<Vec<(String, Value)>> {
        let mut text = std::mem::take({
            self.text();
            &mut self.text
        })
        .unwrap_or_default();
        let checked = check(&text, splices);
        let mut gone = 0;
        if checked.is_ok() {
            let first = splices.first().and_then(|s| text.get(s.at..s.at + s.removed));
            gone = units(first.unwrap_or_default());
            for splice in splices.iter().rev() {
                text.replace_range(splice.at..splice.at + splice.removed, &splice.inserted);
            }
        }
        self.text = Some(text);
        checked?;
        if splices.is_empty() {
            return Ok(Vec::new());
        }
        let wrote = fenced(|| self.splice(stamp, splices, gone));
        self.stale |= wrote.is_err();
        wrote
    }

    fn splice(
        &mut self,
        stamp: u64,
        splices: &[Splice],
        gone: u32,
    ) -> Result<Vec<(String, Value)>> {
        let before = self.known.end(self.own);
        let cursor = self.cursor.take();
        let goes_on = match splices {
            [one] => cursor.and_then(|c| c.goes_on(one, gone, self.own, before)),
            _ => None,
        };
        let mut txn = self.doc.transact_mut();
        let (runs, deleted) = if let Some((cursor, run, range)) = goes_on {
            self.cursor = Some(cursor);
            let (runs, deleted) = (Vec::from_iter(run), Vec::from_iter(range));
            match runs.is_empty() {
                true => put(&mut txn, &v1::deletes(&deleted))?,
                false => put(&mut txn, &v1::inserts(self.own, &runs, &[]))?,
            }
            (runs, deleted)
        } else {
            for splice in splices.iter().rev() {
                let (at, removed) = (splice.at as u32, splice.removed as u32);
                if removed > 0 {
                    self.body.remove_range(&mut txn, at, removed);
                }
                self.body.insert(&mut txn, at, &splice.inserted);
            }
            let (runs, deleted) = v1::read(&txn.encode_update_v1(), self.own)?;
            if let ([run], [one]) = (&runs[..], splices) {
                self.cursor = Some(Cursor::behind(run, one));
            }
            (runs, deleted)
        };
        drop(txn);
        if runs.first().is_some_and(|r| r.clock != before) {
            return Err(Error::corrupt("yrs counts the characters of a text otherwise"));
        }
        for run in &runs {
            self.known.take(self.own, run);
        }
        let others_wait = self.waits_for.contains(&self.own) || self.stuck.contains(&self.own);
        self.stale |= others_wait;
        let stretch = self.stretches.entry(self.own).or_default();
        let (mut chunk, stamp) = match stretch.newest.take() {
            Some(newest) if stretch.bytes <= CHUNK_FULL => (newest, stamp),
            full => {
                stretch.count += 1;
                let last = full.as_ref().and_then(|c| c.edits.last()).map_or(0, |e| e.stamp);
                (Chunk { first: before, ..Chunk::default() }, stamp.max(last))
            }
        };
        chunk.add(self.own, stamp, runs, deleted);
        let bytes = chunk.encode(self.own);
        stretch.bytes = bytes.len();
        stretch.newest = Some(chunk);
        let name = names::chunk(&self.site, stretch.count.saturating_sub(1));
        let mut wrote = Vec::with_capacity(2);
        if let Some((name, text)) = self.unwritten.take() {
            self.geneses.insert(name.clone());
            wrote.push((name, text));
        }
        wrote.push((name, Value::Blob(bytes)));
        Ok(wrote)
    }

    /// Takes a register's new value into the open text. False where the text must be opened anew
    /// from all its parts; it must be whenever its base is another, too.
    pub fn arrive(&mut self, register: &str, value: ValueRef<'_>) -> bool {
        if self.stale {
            return false;
        }
        let done = match (names::register(register), value) {
            (Some(Register::Genesis), ValueRef::Text(_)) => self.geneses.contains(register),
            (Some(Register::Chunk(site, n)), ValueRef::Blob(bytes)) => {
                let author = names::author_of_site(&site);
                fenced(|| self.go_on(author, n, bytes)).unwrap_or(false)
            }
            _ => false,
        };
        self.stale = !done;
        done
    }

    /// Puts in what is new in a chunk; false where that cannot be done.
    fn go_on(&mut self, author: Author, n: u32, bytes: &[u8]) -> Result<bool> {
        if self.waits_for.contains(&author) || self.stuck.contains(&author) {
            return Ok(false);
        }
        let chunk = Chunk::decode(bytes, author)?;
        let end = self.known.end(author);
        let stretch = self.stretches.entry(author).or_default();
        let nothing = Chunk { first: end, ..Chunk::default() };
        let old = match &stretch.newest {
            Some(newest) if n + 1 == stretch.count => newest,
            _ if n == stretch.count => &nothing,
            _ => return Ok(false),
        };
        if !chunk.continues(old) {
            return Ok(false);
        }
        let edits = chunk.edits.get(old.edits.len()..).unwrap_or_default();
        let deleted: Vec<Range> = edits.iter().flat_map(|e| &e.deleted).copied().collect();
        let new = chunk.runs.iter().filter(|r| r.end() > end);
        let new = new.map(|r| if r.clock < end { r.from(author, end) } else { r.clone() });
        let new: Vec<Run> = new.collect();
        for run in &new {
            if !self.known.fits(author, run) {
                return Ok(false);
            }
            self.known.take(author, run);
        }
        // Each by itself: two that meet within a character do not make one that deletes it.
        let (mut deleted, lacking) = self.known.clip(&deleted);
        sorted(&mut deleted);
        if !lacking.is_empty() {
            return Ok(false);
        }
        *stretch = Stretch { count: n + 1, newest: Some(chunk), bytes: bytes.len() };
        let mut txn = self.doc.transact_mut();
        if !new.is_empty() {
            put(&mut txn, &v1::inserts(author, &new, &[]))?;
        }
        if !deleted.is_empty() {
            put(&mut txn, &v1::deletes(&deleted))?;
        }
        drop(txn);
        self.cursor = None;
        self.text = None;
        Ok(true)
    }
}

/// A text as one run that stands beside nothing.
fn from_nothing(text: &str) -> Run {
    Run { clock: 0, len: units(text), left: None, right: None, text: text.to_string() }
}

/// Splices are of a text where they are in order, do not overlap and cut no character.
fn check(text: &str, splices: &[Splice]) -> Result<()> {
    let mut behind = 0;
    if splices.len() > SPLICES_MAX {
        return Err(Error::refused("these are more edits of a text than one transaction has"));
    }
    for splice in splices {
        let end = splice.at.checked_add(splice.removed);
        let range = end.filter(|end| splice.at >= behind && u32::try_from(*end).is_ok());
        let cuts = range.is_none_or(|end| text.get(splice.at..end).is_none());
        if cuts || (splice.removed == 0 && splice.inserted.is_empty()) {
            return Err(Error::refused("these edits are not of this text"));
        }
        behind = splice.at + splice.removed;
    }
    Ok(())
}
