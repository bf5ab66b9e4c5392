//! What `crsql_apply` tells of what it did.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::coverage::{self, Known};
use super::merger::Outcome;
use super::session::Session;
use crate::words::dot::SiteId;
use crate::words::error::Result;
use crate::words::vector::hex16;

/// What `crsql_apply` did.
#[derive(Default)]
pub struct Report {
    /// How many changes went where.
    pub outcome: Outcome,
    /// The tables with changes.
    pub tables: BTreeSet<String>,
    /// Columns of which parts came, by our table and the sender's name: they merge by intent there.
    pub by_intent: BTreeSet<(String, String)>,
    /// The sites of which something was left out: from which version on, and why.
    pub cut: BTreeMap<SiteId, (u64, String)>,
}

impl Report {
    /// The report as JSON, with the vector as it is now, and whether it tells anything that this
    /// file did not know before.
    pub fn to_json(&self, s: &Session, before: &Known) -> Result<String> {
        let cut: Vec<_> = self
            .cut
            .iter()
            .map(|(site, (_, reason))| json!({"site": hex16(site), "reason": reason}))
            .collect();
        let new = !coverage::known(s)?.has_seen_the_same(before);
        let mut report = json!({
            "applied": self.outcome.applied,
            "superseded": self.outcome.superseded,
            "held": self.outcome.held,
            "tables": self.tables,
            "cut": cut,
            "new": new,
        })
        .to_string();
        // The vector is JSON already, and the last in the order of names.
        report.pop();
        Ok(report + ",\"vector\":" + &coverage::with_open(s)?.to_json() + "}")
    }
}
