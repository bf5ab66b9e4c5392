//! The merge law, once. Every way in which a change can meet a row goes through these functions,
//! and nothing else decides.
//!
//! The order of writes is `(causal length, stamp, site)`; it is total and never asks for the
//! value. A row's causal length comes first: odd is alive, even is dead, and a greater one wins
//! whatever the time. Within one life each cell is a register of its own: the later stamp wins,
//! then the greater site. One site writes one stamp per transaction, so what is still equal is
//! one write met again; where a site was forked (two files that both believe to be it) the
//! transaction, the place and at last the value's bytes decide, so that replicas agree even then.

use super::dot::SiteId;
use super::planted::planted;
use super::value::ValueRef;
use std::cmp::Ordering;

/// One write of one cell, as the order of writes sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// The stamp, in clock steps.
    pub stamp: u64,
    /// The site that wrote it.
    pub site: SiteId,
    /// The site's transaction.
    pub version: u64,
    /// The place in the transaction.
    pub seq: u64,
}

/// Why a change was taken or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The cell or row had not been written in this life.
    Unwritten,
    /// The greater causal length.
    Life,
    /// The later stamp.
    Stamp,
    /// The stamps are equal; the greater site.
    Site,
    /// The site was forked; the later transaction, place or greater value.
    Fork,
    /// The same write, met again.
    Same,
}

/// What the law says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the incoming change wins: APPLIED, else SUPERSEDED.
    pub wins: bool,
    /// The rule that decided.
    pub rule: Rule,
}

impl Verdict {
    fn by(rule: Rule, order: Ordering) -> Self {
        Self { wins: order == Ordering::Greater, rule }
    }
}

/// How an incoming causal length meets the row's. 0 is a row that nobody knew.
pub fn life(local: u64, incoming: u64) -> Ordering {
    incoming.cmp(&local)
}

/// Whether an incoming write of a cell beats the one that stands, both in the same life.
/// `values` compares the incoming value with the standing one; it is asked only for a forked
/// site, where everything else is equal.
pub fn cell(
    standing: Option<&Write>,
    incoming: &Write,
    values: impl FnOnce() -> Ordering,
) -> Verdict {
    let Some(standing) = standing else {
        return Verdict { wins: true, rule: Rule::Unwritten };
    };
    let order = incoming.stamp.cmp(&standing.stamp);
    let order = if planted!("earlier-wins") { order.reverse() } else { order };
    if order != Ordering::Equal {
        return Verdict::by(Rule::Stamp, order);
    }
    let order = incoming.site.cmp(&standing.site);
    let order = if planted!("no-tie-break") { Ordering::Equal } else { order };
    if order != Ordering::Equal {
        return Verdict::by(Rule::Site, order);
    }
    let place = (incoming.version, incoming.seq).cmp(&(standing.version, standing.seq));
    match place.then_with(values) {
        Ordering::Equal => Verdict { wins: false, rule: Rule::Same },
        order => Verdict::by(Rule::Fork, order),
    }
}

/// Which of two writes that set the same causal length names it: the greater site, then the
/// later transaction and place. No cell depends on it.
pub fn sentinel(standing: Option<(SiteId, u64, u64)>, incoming: (SiteId, u64, u64)) -> Verdict {
    match standing.map(|s| incoming.cmp(&s)) {
        None => Verdict { wins: true, rule: Rule::Unwritten },
        Some(Ordering::Equal) => Verdict { wins: false, rule: Rule::Same },
        Some(order) => Verdict::by(Rule::Site, order),
    }
}

/// The order of two values of one forked write: storage class, then bytes.
pub fn values(incoming: ValueRef<'_>, standing: ValueRef<'_>) -> Ordering {
    incoming.total_cmp(standing)
}
