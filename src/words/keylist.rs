//! The list of rows that one transaction touched, in the order in which it wrote them.
//!
//! ```text
//! entry   varint head: 1 TABLE a table follows; 2 GAP a gap follows; 4 SPAN a span follows
//! TABLE   varint (table id * 2 + packed), where packed says how the table's keys are stored
//! GAP     varint: the entry's first place minus the end of the one before (0 at the start)
//! SPAN    varint: how many places it takes (else as many as the one before)
//! key     zigzag varint: the integer key minus the one before of the same run of the table;
//!         or varint length and the bytes of a packed key
//! ```
//!
//! A list never says which of its rows still owe a cell to the transaction: the row's clock does.

use super::dot::MAX_COUNT;
use super::error::{Error, Result};
use super::key::Key;
use super::wire::{Reader, put_signed, put_varint};

const TABLE: u64 = 1;
const GAP: u64 = 2;
const SPAN: u64 = 4;

/// One row that a transaction touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The table's id.
    pub tid: u32,
    /// The row's key.
    pub key: Key,
    /// The first place in the transaction.
    pub seq: u64,
    /// How many places it takes.
    pub span: u64,
}

/// Writes one list.
#[derive(Default)]
pub struct Writer {
    out: Vec<u8>,
    tid: Option<u32>,
    end: u64,
    span: u64,
    last: i64,
    first: Option<u64>,
}

/// A row's key without a copy, as the capture memory holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRef<'a> {
    /// The rowid.
    Int(i64),
    /// The stored form of any other key.
    Packed(&'a [u8]),
}

impl Key {
    /// Borrows the key.
    pub fn borrow(&self) -> KeyRef<'_> {
        match self {
            Key::Int(i) => KeyRef::Int(*i),
            Key::Packed(b) => KeyRef::Packed(b),
        }
    }
}

impl KeyRef<'_> {
    /// Copies the key.
    pub fn to_key(self) -> Key {
        match self {
            KeyRef::Int(i) => Key::Int(i),
            KeyRef::Packed(b) => Key::Packed(b.to_vec()),
        }
    }
}

impl Writer {
    /// Appends an entry. Entries of one list ascend in `seq` and do not overlap.
    pub fn push(&mut self, tid: u32, key: KeyRef<'_>, seq: u64, span: u64) {
        let gap = seq.saturating_sub(self.end);
        let mut head = 0;
        if self.tid != Some(tid) {
            head |= TABLE;
        }
        if gap != 0 {
            head |= GAP;
        }
        if span != self.span {
            head |= SPAN;
        }
        put_varint(&mut self.out, head);
        if head & TABLE != 0 {
            let packed = u64::from(matches!(key, KeyRef::Packed(_)));
            put_varint(&mut self.out, u64::from(tid) * 2 + packed);
            self.tid = Some(tid);
            self.last = 0;
        }
        if head & GAP != 0 {
            put_varint(&mut self.out, gap);
        }
        if head & SPAN != 0 {
            put_varint(&mut self.out, span);
            self.span = span;
        }
        match key {
            KeyRef::Int(i) => {
                put_signed(&mut self.out, i.wrapping_sub(self.last));
                self.last = i;
            }
            KeyRef::Packed(b) => {
                put_varint(&mut self.out, b.len() as u64);
                self.out.extend_from_slice(b);
            }
        }
        self.first.get_or_insert(seq);
        self.end = seq + span;
    }

    /// The bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The place after the last entry.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The list's bytes; the writer is as new.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self).out
    }
}

/// Reads a list.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>> {
    decode_entries(bytes)
        .map_err(|e| Error::corrupt(format!("a list of touched rows is damaged: {}", e.text)))
}

fn decode_entries(bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut r = Reader::new(bytes);
    let (mut table, mut end, mut span, mut last) = (None, 0u64, 0u64, 0i64);
    let mut out = Vec::with_capacity(bytes.len() / 3);
    while !r.is_empty() {
        let head = r.varint()?;
        if head > (TABLE | GAP | SPAN) {
            return Err(Error::rejected(format!("an entry begins with {head}")));
        }
        if head & TABLE != 0 {
            let t = r.varint()?;
            let tid = u32::try_from(t / 2).map_err(|_| Error::rejected("a table id too large"))?;
            if table.is_some_and(|(before, _)| before == tid) {
                return Err(Error::rejected("a table is named again"));
            }
            table = Some((tid, t % 2 == 1));
            last = 0;
        }
        let gap = if head & GAP != 0 { r.varint()? } else { 0 };
        if head & SPAN != 0 {
            span = r.varint()?;
        }
        let Some((tid, packed)) = table else {
            return Err(Error::rejected("the first entry names no table"));
        };
        let key = if packed {
            Key::Packed(r.len_bytes()?.to_vec())
        } else {
            last = last.wrapping_add(r.signed()?);
            Key::Int(last)
        };
        let beyond = || Error::rejected("a place too large");
        let seq = end.checked_add(gap).filter(|seq| *seq <= MAX_COUNT).ok_or_else(beyond)?;
        end = seq.checked_add(span).filter(|end| *end <= MAX_COUNT + 1).ok_or_else(beyond)?;
        out.push(Entry { tid, key, seq, span });
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was_written() {
        let entries = vec![
            Entry { tid: 1, key: Key::Int(5), seq: 0, span: 6 },
            Entry { tid: 1, key: Key::Int(6), seq: 6, span: 6 },
            Entry { tid: 1, key: Key::Int(i64::MIN), seq: 12, span: 1 },
            Entry { tid: 9, key: Key::Packed(vec![1, 9, 7]), seq: 20, span: 1 },
            Entry { tid: 1, key: Key::Int(i64::MAX), seq: 21, span: 6 },
        ];
        let mut w = Writer::default();
        for e in &entries {
            w.push(e.tid, e.key.borrow(), e.seq, e.span);
        }
        assert_eq!(decode(&w.take()).unwrap(), entries);
    }

    #[test]
    fn rows_in_key_order_take_two_bytes_each() {
        let mut w = Writer::default();
        for i in 0..1000 {
            w.push(1, KeyRef::Int(i), i as u64 * 6, 6);
        }
        assert!(w.len() < 2010, "{}", w.len());
    }

    /// The fuzzer made a table's keys integers first and packed ones next, by naming the table
    /// again; such a list could not be written back.
    #[test]
    fn h5_a_table_named_again_is_corrupt() {
        assert_eq!(decode(&[5, 10, 2, 5, 1, 11, 2, 0x66, 1]).unwrap_err().code, 11);
        assert!(decode(&[5, 10, 2, 5, 1, 13, 2, 0x66, 1]).is_ok());
    }

    #[test]
    fn h5_a_damaged_list_is_corrupt_and_never_a_panic() {
        let mut w = Writer::default();
        w.push(1, KeyRef::Packed(b"abc"), 0, 1);
        let bytes = w.take();
        for cut in 1..bytes.len() {
            assert_eq!(decode(&bytes[..cut]).unwrap_err().code, 11);
        }
    }
}
