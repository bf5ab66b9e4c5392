//! Parts of a transaction that is larger than one changeset. They wait here, as they came, until
//! the last one makes the transaction whole; then all of it is applied at once.

use std::collections::{BTreeMap, BTreeSet};

use super::log::{count, int};
use super::omits;
use super::session::Session;
use crate::ground::Stmt;
use crate::ground::cache::Fixed;
use crate::ground::store;
use crate::words::changeset::{self, Header, TxnHead};
use crate::words::dot::Txn;
use crate::words::error::Result;
use crate::words::planted::planted;
use crate::words::vector::{Omit, Span};

const PROGRESS: Fixed =
    Fixed(90, "SELECT site, version, lo, hi FROM crsql_staged ORDER BY site, version, lo");
const PUT: Fixed = Fixed(
    91,
    "INSERT OR REPLACE INTO crsql_staged(site, version, lo, hi, stamp, body)
     VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
);
const BODIES: Fixed =
    Fixed(92, "SELECT lo, hi, body FROM crsql_staged WHERE site = ?1 AND version = ?2 ORDER BY lo");
const RANGES: Fixed =
    Fixed(96, "SELECT lo, hi FROM crsql_staged WHERE site = ?1 AND version = ?2 ORDER BY lo");
const REMOVE_WITHIN: Fixed =
    Fixed(94, "DELETE FROM crsql_staged WHERE site = ?1 AND version BETWEEN ?2 AND ?3");
const STAMP: Fixed =
    Fixed(95, "SELECT stamp FROM crsql_staged WHERE site = ?1 AND version = ?2 LIMIT 1");
const REMOVE: Fixed = Fixed(93, "DELETE FROM crsql_staged WHERE site = ?1 AND version = ?2");

/// Of every site's oldest transaction in parts: its version, and the place up to which it is here
/// without a gap.
pub fn progress(s: &Session) -> Result<BTreeMap<u32, (u64, u64)>> {
    let mut out: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut stmt = s.cache.fixed(PROGRESS)?;
    while stmt.step()? {
        let site = store::ordinal(stmt.int(0))?;
        let (version, lo, hi) = (count(stmt.int(1))?, count(stmt.int(2))?, count(stmt.int(3))?);
        let slot = out.entry(site).or_insert((version, 0));
        if slot.0 == version && lo <= slot.1 {
            slot.1 = slot.1.max(hi + 1);
        }
    }
    out.retain(|_, (_, next)| *next > 0);
    Ok(out)
}

/// The stamp that a transaction has by the parts of it that are here; 0 where there are none.
pub fn stamp(s: &Session, txn: Txn) -> Result<u64> {
    let mut stmt = s.cache.fixed(STAMP)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    if stmt.step()? { count(stmt.int(0)) } else { Ok(0) }
}

/// Keeps a part of a transaction with this stamp: the changeset that it came in.
pub fn put(s: &Session, txn: Txn, stamp: u64, part: (u64, u64), changeset: &[u8]) -> Result<()> {
    let mut stmt = s.cache.fixed(PUT)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.bind_int(3, int(part.0))?;
    stmt.bind_int(4, int(part.1))?;
    stmt.bind_int(5, int(stamp))?;
    stmt.bind_blob(6, changeset)?;
    stmt.run()
}

/// The changesets of a transaction's parts if they are whole up to its last place; the parts are
/// removed.
pub fn take_whole(s: &Session, txn: Txn, last_seq: u64) -> Result<Option<Vec<Vec<u8>>>> {
    // Their bytes are read when all are there, and not with each of them again.
    let end = carried_on(s, RANGES, txn, |_| ())?;
    let end = if planted!("last-part-forgotten") { end + 1 } else { end };
    if end <= last_seq {
        return Ok(None);
    }
    let mut bodies = Vec::new();
    carried_on(s, BODIES, txn, |stmt| bodies.push(stmt.blob(2).to_vec()))?;
    forget(s, txn)?;
    Ok(Some(bodies))
}

/// Shows the parts of a transaction that carry on one after the other; gives the place after them.
fn carried_on(s: &Session, sql: Fixed, txn: Txn, mut show: impl FnMut(&Stmt)) -> Result<u64> {
    let mut stmt = s.cache.fixed(sql)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    let mut next = 0;
    while stmt.step()? {
        if count(stmt.int(0))? <= next {
            next = next.max(count(stmt.int(1))? + 1);
            show(&stmt);
        }
    }
    Ok(next)
}

/// The head of a transaction in parts, which may be from different senders: one that got it row by
/// row may not know its stamp.
pub fn head(last: &TxnHead, bodies: &[Vec<u8>]) -> Result<TxnHead> {
    for body in bodies {
        for txn in changeset::decode(body)?.transactions() {
            let head = txn?.head;
            let same = (head.site, head.version) == (last.site, last.version);
            if same && head.stamp != 0 {
                return Ok(head);
            }
        }
    }
    Ok(last.clone())
}

/// Where the sender of the next part lacks something of the transaction that the sender of those
/// before did not, or the other way, it begins anew: half of what is lacking is worse than nothing
/// of it, since who has that half and says that it is lacking is asked by nobody.
pub fn agree(s: &Session, txn: Txn, header: &Header) -> Result<()> {
    let mut stmt = s.cache.fixed(BODIES)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    if !stmt.step()? {
        return Ok(());
    }
    let before = changeset::decode(stmt.blob(2))?.header;
    drop(stmt);
    let id = s.site_id(txn.site)?;
    let lacks = |header: &Header| -> BTreeSet<String> {
        let of = |o: &&Omit| o.site == id && (o.lo..=o.hi).contains(&txn.version);
        let dropped = |o: &&Omit| omits::is_dropped(&o.what);
        header.omits.iter().filter(of).filter(dropped).map(|o| o.what.clone()).collect()
    };
    if lacks(&before) == lacks(header) { Ok(()) } else { forget(s, txn) }
}

/// What the changesets that parts came in say of their senders.
pub fn headers(bodies: &[Vec<u8>]) -> Result<Vec<Header>> {
    bodies.iter().map(|body| Ok(changeset::decode(body)?.header)).collect()
}

/// Removes the parts of transactions that were seen whole in another way.
pub fn forget_within(s: &Session, site: u32, span: Span) -> Result<()> {
    let mut stmt = s.cache.fixed(REMOVE_WITHIN)?;
    stmt.bind_int(1, i64::from(site))?;
    stmt.bind_int(2, int(span.lo))?;
    stmt.bind_int(3, int(span.hi))?;
    stmt.run()
}

/// Removes the parts of a transaction.
pub fn forget(s: &Session, txn: Txn) -> Result<()> {
    let mut stmt = s.cache.fixed(REMOVE)?;
    stmt.bind_int(1, i64::from(txn.site))?;
    stmt.bind_int(2, int(txn.version))?;
    stmt.run()
}
