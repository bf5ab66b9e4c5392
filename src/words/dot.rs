//! The name of a change: which site, which of its transactions, which place in it.
//!
//! `(site, version, seq)` names a change everywhere and for ever. Inside one database file a site
//! is its ordinal in `crsql_sites`; on the wire and in the order of writes it is its 16 bytes.

/// A site's 16 random bytes.
pub type SiteId = [u8; 16];

/// The highest version, seq and place that we accept from anybody: JavaScript drivers hand
/// integers over as doubles, which hold 2^53.
pub const MAX_COUNT: u64 = (1 << 53) - 1;

/// The highest causal length that we accept (threat D4).
pub const MAX_CL: u64 = 1 << 40;

/// One transaction of one site, by the site's ordinal in this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Txn {
    /// The site's ordinal in this file.
    pub site: u32,
    /// The site's own number for the transaction: 1, 2, 3, ...
    pub version: u64,
}

/// One change of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// The transaction.
    pub txn: Txn,
    /// The change's place in it: 0, 1, 2, ...
    pub seq: u64,
}

impl Dot {
    /// Shorthand for a dot.
    pub fn new(site: u32, version: u64, seq: u64) -> Self {
        Self { txn: Txn { site, version }, seq }
    }
}
