//! Reading a changeset: its frame, and the heads of its transactions.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::fields::{number, plus, version};
use super::header::{self, Sections};
use super::items::{Items, Shape};
use super::seen::{Sites, read_ranges};
use super::types::{Header, TxnHead};
use super::{FORMAT, HASH_BYTES, MAGIC, PART};
use crate::words::error::{Error, Result};
use crate::words::wire::Reader;

/// A changeset whose hash, header and transaction heads were found good.
#[derive(Clone, Debug)]
pub struct Changeset<'a> {
    /// What stands before the transactions.
    pub header: Header,
    shapes: Arc<[Shape]>,
    sites: Sites,
    txns: &'a [u8],
    count: usize,
}

/// One transaction of a changeset.
#[derive(Clone, Debug)]
pub struct Txn<'a> {
    /// What it says of itself.
    pub head: TxnHead,
    bytes: &'a [u8],
    shapes: Arc<[Shape]>,
}

/// A walk over a changeset's transactions.
#[derive(Clone, Debug)]
pub struct Transactions<'a> {
    r: Reader<'a>,
    sites: Sites,
    shapes: Arc<[Shape]>,
}

/// Reads a changeset up to its transactions' items. REJECTED when it is damaged, of a format that
/// this crsql does not read, or not in its one form.
pub fn decode(bytes: &[u8]) -> Result<Changeset<'_>> {
    framed(bytes).map_err(named)
}

/// The sentence for something that was wrong inside a changeset.
pub(super) fn named(e: Error) -> Error {
    Error::rejected(format!("this changeset is REJECTED: {}", e.text))
}

fn framed(bytes: &[u8]) -> Result<Changeset<'_>> {
    let Some(body) = bytes.strip_prefix(MAGIC) else {
        return Err(Error::rejected("it does not begin with 'crsql'"));
    };
    let mut r = Reader::new(body);
    let (format, oldest) = (r.u8()?, r.u8()?);
    if oldest > FORMAT {
        return Err(Error::rejected(format!(
            "its format is {format}, for readers of format {oldest} or newer; this crsql reads \
             format {FORMAT}, so update it"
        )));
    }
    if oldest == 0 || format < oldest {
        return Err(Error::rejected(format!("there is no format {format} for readers {oldest}")));
    }
    let (hashed, hash) = match bytes.split_last_chunk::<HASH_BYTES>() {
        Some((hashed, hash)) if r.remaining() >= HASH_BYTES => (hashed, hash),
        _ => return Err(Error::rejected("it is cut short")),
    };
    if *hash != <[u8; HASH_BYTES]>::from(Sha256::digest(hashed)) {
        return Err(Error::rejected("its bytes do not match its hash; it was damaged or cut"));
    }
    let mut r = Reader::new(r.bytes(r.remaining() - HASH_BYTES)?);
    frame(&mut r)?;
    let mut sections = header::read(&mut r)?;
    let count = heads(&mut sections)?;
    Ok(Changeset {
        shapes: sections.header.tables.iter().map(Shape::of).collect(),
        header: sections.header,
        sites: sections.sites,
        txns: sections.txns,
        count,
    })
}

/// What stands between the formats and the sections.
fn frame(r: &mut Reader<'_>) -> Result<()> {
    let required = r.varint()?;
    if required != 0 {
        return Err(Error::rejected(format!(
            "it needs the features {required:#x}, which this crsql does not have"
        )));
    }
    let _optional = r.varint()?;
    let compression = r.u8()?;
    if compression != 0 {
        return Err(Error::rejected(format!(
            "it is compressed by method {compression}, which this crsql does not read"
        )));
    }
    let size = r.varint()?;
    if size != r.remaining() as u64 {
        return Err(Error::rejected(format!(
            "it says that {size} bytes follow, and there are {}",
            r.remaining()
        )));
    }
    match r.u8()? {
        0 => Ok(()),
        _ => Err(Error::rejected("it is sealed, and this crsql has no key for it")),
    }
}

/// Walks the heads of all transactions: they rise, and every site is used.
fn heads(sections: &mut Sections<'_>) -> Result<usize> {
    let mut r = Reader::new(sections.txns);
    let (mut count, mut before) = (0, None);
    while !r.is_empty() {
        let (head, _) = read_head(&mut r, &mut sections.sites)?;
        let name = Some((head.site, head.version));
        if name <= before {
            return Err(Error::rejected("transactions are out of order, or one comes twice"));
        }
        (before, count) = (name, count + 1);
    }
    sections.sites.all_used()?;
    Ok(count)
}

/// A transaction's head, and the bytes of its items.
fn read_head<'a>(r: &mut Reader<'a>, sites: &mut Sites) -> Result<(TxnHead, &'a [u8])> {
    let mut head = TxnHead {
        site: sites.site(r)?,
        version: version(r)?,
        stamp: number(r)?,
        last_seq: number(r)?,
        flags: r.u8()?,
        part: None,
        deps: Vec::new(),
    };
    if head.flags & PART != 0 {
        head.flags ^= PART;
        let lo = number(r)?;
        head.part = Some((lo, plus(lo, number(r)?)?));
    }
    check_head(&head)?;
    head.deps = sites.list(r, 4, read_ranges)?;
    Ok((head, r.len_bytes()?))
}

/// REJECTED unless flags and part of a transaction are what can be.
pub(super) fn check_head(head: &TxnHead) -> Result<()> {
    if head.flags & !(TxnHead::BACKFILL | TxnHead::REISSUED | TxnHead::DERIVED) != 0 {
        return Err(Error::rejected(format!(
            "a transaction has the unknown flags {:#04x}",
            head.flags
        )));
    }
    match head.part {
        Some((lo, hi)) if lo > hi || hi > head.last_seq => Err(Error::rejected(format!(
            "a part of a transaction goes from place {lo} to {hi}, and its last place is {}",
            head.last_seq
        ))),
        _ => Ok(()),
    }
}

impl<'a> Changeset<'a> {
    /// The transactions, by site and version.
    pub fn transactions(&self) -> Transactions<'a> {
        Transactions {
            r: Reader::new(self.txns),
            sites: self.sites.clone(),
            shapes: self.shapes.clone(),
        }
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there is no transaction.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Walks every item. REJECTED when one is not in its one form, or a table has no item.
    pub fn check(&self) -> Result<()> {
        let mut used = vec![false; self.shapes.len()];
        let mut cells = Vec::new();
        for txn in self.transactions() {
            let mut items = txn?.items();
            while items.next(&mut cells)?.is_some() {
                if let Some(used) = items.table().and_then(|table| used.get_mut(table)) {
                    *used = true;
                }
            }
        }
        if used.iter().all(|used| *used) {
            return Ok(());
        }
        Err(Error::rejected("a table stands in the changeset's dictionary and nowhere else"))
    }
}

impl<'a> Iterator for Transactions<'a> {
    type Item = Result<Txn<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.r.is_empty() {
            return None;
        }
        // `decode` has read every head: the reader goes on, and there is no error to stop at.
        let txn = read_head(&mut self.r, &mut self.sites);
        Some(txn.map(|(head, bytes)| Txn { head, bytes, shapes: self.shapes.clone() }))
    }
}

impl<'a> Txn<'a> {
    /// A walk over its items.
    pub fn items(&self) -> Items<'a> {
        Items::new(self.bytes, self.head.stamp, self.shapes.clone())
    }
}
