//! The vector: what one database has seen of every site, holes included, as JSON. Presenting it to
//! a peer asks for what is missing and acknowledges what is there (design section 6).
//!
//! ```text
//! {"closed":{"<site>":[5,400,7]},"epoch":0,"formats":[1,1],"horizon":{"<site>":9},"now":123,
//!  "omits":[["<site>",2,3,"notes"]],"scope":"*","seen":{"<site>":[[1,7,456],[9,9,0]]},
//!  "site":"<site>","v":1}
//! ```
//!
//! - `v` is the version of this form; another one is REJECTED, naming both. Every other key may be
//!   missing, and keys that are not listed here are ignored.
//! - `site` is the site that made the vector (null: none), `epoch` its epoch. A site is 16 bytes as
//!   32 lower-case hex digits.
//! - `scope` is the subscription that the coverage is about; `*` is everything.
//! - `now` is the maker's clock, in stamps (words::clock); 0: not told.
//! - `formats` are the oldest and the newest changeset format that the maker reads.
//! - `seen` holds, per site, ranges `[lo, hi, stamp]`: versions lo..hi were seen, and `stamp` is
//!   that of transaction hi (0: not known), by which forks are noticed. Ranges rise and never
//!   overlap.
//! - `horizon` holds, per site, the version up to which history was pruned.
//! - `closed` holds, per site that two files wrote as, `[at, stamp, from]`: versions above `at`,
//!   whose stamp is `stamp` (0: not known), name nothing any more, and the fork was noticed at
//!   version `from`, above `at`. Whoever has something of them issues it again under its own site.
//!   It is left out when there is none.
//! - `omits` holds `[site, lo, hi, what]`, rising: these versions are at the vector's maker but for
//!   what they had of `what`, a table or a column, which was dropped there or where they came from.
//!   It is left out when there is none. While the maker has a place for what is missing, `seen` has
//!   a gap there. Where `what` is U+0001 and a site, the versions are seen, but came in part: that
//!   peer had written over some of what they had, by versions that were to come. Where it is U+0002
//!   and a site, these are named; they are not here.
//! - `parts` holds, per site, `[version, place]`: of that transaction, which is not seen as a
//!   whole, everything before the place is here already. It is left out when there is none.
//! - `unsure` is true where the maker could not put what it wrote last on the disk: then it serves
//!   nothing, and nobody takes its word for what was seen. It is left out when it is false.
//!
//! No number exceeds 2^53 - 1, because JavaScript programs carry vectors about. There is one way to
//! write a vector: keys sorted, no blanks, ranges that touch merged, sites without ranges left out.

use super::clock;
use super::error::{Error, Result};
use super::ranges::RangeSet;
use super::vectortext::{self, put_hex, put_list, put_number, put_sites};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The version of the JSON form that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// The longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// The highest number in a vector: the highest integer that JavaScript holds exactly.
pub const NUMBER_MAX: u64 = clock::MAX;

/// What `what` of an [`Omit`] begins with where versions came in part; a site follows.
pub const IN_PART: char = '\u{1}';

/// What it begins with where versions were to come from that site.
pub const TO_COME: char = '\u{2}';

/// A site: 16 random bytes.
pub type Site = [u8; 16];

/// A range of versions that were seen, both ends included, and the stamp of its last transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first version; 1 or more.
    pub lo: u64,
    /// The last version.
    pub hi: u64,
    /// The stamp of the transaction `hi`; 0 when it is not known.
    pub stamp: u64,
}

/// A site that two files wrote as, and whose later versions name nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The last version that still counts; 0: none does.
    pub at: u64,
    /// Its stamp; 0 when it is not known.
    pub stamp: u64,
    /// The version at which the fork was noticed, above `at`.
    pub from: u64,
}

/// Versions of a site that whoever says so has but for something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Omit {
    /// The site.
    pub site: Site,
    /// The first version.
    pub lo: u64,
    /// The last version.
    pub hi: u64,
    /// The table, or the table and column, that is missing of them; or [`IN_PART`], [`TO_COME`].
    pub what: String,
}

/// What a database has seen, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The site that made the vector; none when it has no identity yet.
    pub site: Option<Site>,
    /// The epoch of that site.
    pub epoch: u64,
    /// What the coverage is about; `*` is everything.
    pub scope: String,
    /// The clock of its maker, as a stamp; 0 when it is not told.
    pub now: u64,
    /// The oldest and the newest changeset format that its maker reads.
    pub formats: (u32, u32),
    /// Per site, what was seen: rising, not overlapping.
    pub seen: BTreeMap<Site, Vec<Span>>,
    /// Per site, the version up to which history was pruned.
    pub horizon: BTreeMap<Site, u64>,
    /// Per site, a transaction that is here in part, and the place that comes next.
    pub parts: BTreeMap<Site, (u64, u64)>,
    /// The sites that were forked, and what of them counts.
    pub closed: BTreeMap<Site, Closed>,
    /// What its maker lacks of versions that it has: rising.
    pub omits: Vec<Omit>,
    /// Whether power that goes could take back something that this rests on.
    pub unsure: bool,
}

impl Default for Vector {
    /// The empty vector, which SQL NULL stands for: nothing was seen, and only the first changeset
    /// format is sure to be understood.
    fn default() -> Self {
        Self {
            site: None,
            epoch: 0,
            scope: "*".to_owned(),
            now: 0,
            formats: (1, 1),
            seen: BTreeMap::new(),
            horizon: BTreeMap::new(),
            parts: BTreeMap::new(),
            closed: BTreeMap::new(),
            omits: Vec::new(),
            unsure: false,
        }
    }
}

impl Vector {
    /// The versions seen of a site.
    pub fn seen_set(&self, site: &Site) -> RangeSet {
        self.seen.get(site).into_iter().flatten().map(|span| (span.lo, span.hi)).collect()
    }

    /// The versions of every site that its maker has, whole or with something lacking, as far as
    /// they are there to stay.
    pub fn covered(&self) -> BTreeMap<&Site, RangeSet> {
        if self.unsure {
            return BTreeMap::new();
        }
        let mut all: BTreeMap<_, _> = self.seen.keys().map(|id| (id, self.seen_set(id))).collect();
        let here = self.omits.iter().filter(|o| !o.what.starts_with(TO_COME));
        here.for_each(|o| all.entry(&o.site).or_default().insert(o.lo, o.hi));
        all
    }

    /// The stamp of version `hi` of a site, where a range ends there and its stamp is known.
    pub fn stamp_at(&self, site: &Site, hi: u64) -> Option<u64> {
        stamp_of(self.seen.get(site)?, hi)
    }

    /// The vector in its one JSON form.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        let (oldest, newest) = self.formats;
        if !self.closed.is_empty() {
            out.push_str("\"closed\":");
            let put = |out: &mut String, c: &Closed| put_list(out, &[c.at, c.stamp, c.from]);
            put_sites(&mut out, self.closed.iter(), put);
            out.push(',');
        }
        out.push_str("\"epoch\":");
        put_number(&mut out, self.epoch);
        out.push_str(",\"formats\":");
        put_list(&mut out, &[oldest.into(), newest.into()]);
        out.push_str(",\"horizon\":");
        put_sites(&mut out, self.horizon.iter(), |out, version| put_number(out, *version));
        out.push_str(",\"now\":");
        put_number(&mut out, self.now);
        if !self.omits.is_empty() {
            let omits = self.omits.iter();
            let omits: Vec<Json> =
                omits.map(|o| json!([hex16(&o.site), o.lo, o.hi, o.what])).collect();
            let _ = write!(out, ",\"omits\":{}", Json::from(omits));
        }
        if !self.parts.is_empty() {
            out.push_str(",\"parts\":");
            let put = |out: &mut String, (v, place): &(u64, u64)| put_list(out, &[*v, *place]);
            put_sites(&mut out, self.parts.iter(), put);
        }
        let _ = write!(out, ",\"scope\":{}", Json::from(self.scope.as_str()));
        out.push_str(",\"seen\":");
        vectortext::put_seen(&mut out, &self.seen);
        out.push_str(",\"site\":");
        match &self.site {
            None => out.push_str("null"),
            Some(site) => {
                out.push('"');
                put_hex(&mut out, site);
                out.push('"');
            }
        }
        out.push_str(if self.unsure { ",\"unsure\":true" } else { "" });
        out.push_str(",\"v\":");
        put_number(&mut out, VERSION);
        out.push('}');
        out
    }

    /// Reads a vector. REJECTED, with a sentence that says where, when it is too long, not JSON, of
    /// another version, or malformed.
    pub fn from_json(text: &[u8]) -> Result<Vector> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(bad(format!("{} bytes are more than {TEXT_BYTES_MAX}", text.len())));
        }
        if let Some(vector) = vectortext::read(text) {
            return Ok(vector);
        }
        let json: Json = serde_json::from_slice(text).map_err(|e| bad(format!("not JSON: {e}")))?;
        let fields = json.as_object().ok_or_else(|| bad("it is not a JSON object"))?;
        check_version(fields)?;
        let empty = Vector::default();
        Ok(Vector {
            site: match fields.get("site") {
                None | Some(Json::Null) => None,
                Some(Json::String(hex)) => Some(parse_hex16(hex)?),
                Some(_) => return Err(bad("\"site\" is neither hex digits nor null")),
            },
            epoch: field(fields, "epoch")?,
            scope: match fields.get("scope") {
                None => empty.scope,
                Some(Json::String(scope)) => scope.clone(),
                Some(_) => return Err(bad("\"scope\" is not a text")),
            },
            now: field(fields, "now")?,
            formats: fields.get("formats").map_or(Ok(empty.formats), formats)?,
            seen: sites(fields, "seen", spans)?.into_iter().filter(|s| !s.1.is_empty()).collect(),
            horizon: sites(fields, "horizon", |site, json| {
                number(json).ok_or_else(|| bad(format!("the horizon of site {site} is no version")))
            })?,
            parts: sites(fields, "parts", part)?,
            closed: sites(fields, "closed", closed)?,
            omits: fields.get("omits").map_or(Ok(Vec::new()), omits)?,
            unsure: match fields.get("unsure") {
                None => false,
                Some(Json::Bool(unsure)) => *unsure,
                Some(_) => return Err(bad("\"unsure\" is neither true nor false")),
            },
        })
    }
}

/// What was seen, as the JSON of a vector's `seen`.
pub fn seen_json(seen: &BTreeMap<Site, Vec<Span>>) -> String {
    let mut out = String::new();
    vectortext::put_seen(&mut out, seen);
    out
}

/// What was seen, from that JSON. REJECTED as in [`Vector::from_json`].
pub fn seen_from_json(text: &[u8]) -> Result<BTreeMap<Site, Vec<Span>>> {
    if let Some(seen) = vectortext::read_seen(text) {
        return Ok(seen);
    }
    let whole = [b"{\"v\":1,\"seen\":".as_slice(), text, b"}"].concat();
    Vector::from_json(&whole).map(|vector| vector.seen)
}

/// The stamp of version `hi`, where one of these ranges ends there and its stamp is known.
pub fn stamp_of(spans: &[Span], hi: u64) -> Option<u64> {
    let at = spans.binary_search_by_key(&hi, |span| span.hi).ok()?;
    let span = spans.get(at)?;
    (span.stamp != 0).then_some(span.stamp)
}

/// A site as 32 lower-case hex digits.
pub fn hex16(site: &Site) -> String {
    let mut out = String::with_capacity(32);
    put_hex(&mut out, site);
    out
}

/// A site from 32 lower-case hex digits. REJECTED when it is anything else.
pub fn parse_hex16(hex: &str) -> Result<Site> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let bits = u128::from_str_radix(hex, 16).ok();
    match bits.filter(|_| hex.len() == 32 && hex.bytes().all(lower)) {
        Some(bits) => Ok(bits.to_be_bytes()),
        None => Err(bad(format!("a site is 32 lower-case hex digits, not {:?}", start_of(hex)))),
    }
}

/// The first few characters of a text from a peer, for a sentence.
fn start_of(text: &str) -> String {
    text.chars().take(40).collect()
}

fn bad(why: impl AsRef<str>) -> Error {
    Error::rejected(format!("this is not a vector that crsql_vector() made: {}", why.as_ref()))
}

/// Joins the spans that touch; the stamp is that of the end.
fn merged(spans: &[Span]) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match out.last_mut() {
            Some(last) if last.hi.checked_add(1) == Some(span.lo) => {
                (last.hi, last.stamp) = (span.hi, span.stamp);
            }
            _ => out.push(*span),
        }
    }
    out
}

fn check_version(fields: &Map<String, Json>) -> Result<()> {
    match fields.get("v") {
        Some(v) if v.as_u64() == Some(VERSION) => Ok(()),
        Some(v) => {
            let v = start_of(&v.to_string());
            Err(bad(format!("it is of version {v}, and this crsql reads version {VERSION}")))
        }
        None => Err(bad(format!("it has no \"v\"; this crsql reads version {VERSION}"))),
    }
}

/// An integer of 0..=[`NUMBER_MAX`].
fn number(json: &Json) -> Option<u64> {
    json.as_u64().filter(|n| *n <= NUMBER_MAX)
}

/// A number that is 0 when it is missing.
fn field(fields: &Map<String, Json>, name: &str) -> Result<u64> {
    fields
        .get(name)
        .map_or(Some(0), number)
        .ok_or_else(|| bad(format!("\"{name}\" is not an integer between 0 and {NUMBER_MAX}")))
}

fn formats(json: &Json) -> Result<(u32, u32)> {
    let format = |json: &Json| number(json).and_then(|n| u32::try_from(n).ok());
    match json.as_array().map(Vec::as_slice) {
        Some([oldest, newest]) => format(oldest).zip(format(newest)),
        _ => None,
    }
    .filter(|(oldest, newest)| oldest <= newest)
    .ok_or_else(|| bad("\"formats\" is not [oldest, newest]"))
}

/// An object whose keys are sites; empty when it is missing.
fn sites<T>(
    fields: &Map<String, Json>,
    name: &str,
    read: impl Fn(&str, &Json) -> Result<T>,
) -> Result<BTreeMap<Site, T>> {
    match fields.get(name) {
        None => Ok(BTreeMap::new()),
        Some(Json::Object(sites)) => {
            sites.iter().map(|(site, json)| Ok((parse_hex16(site)?, read(site, json)?))).collect()
        }
        Some(_) => Err(bad(format!("\"{name}\" is not a JSON object"))),
    }
}

fn part(site: &str, json: &Json) -> Result<(u64, u64)> {
    match json.as_array().map(Vec::as_slice) {
        Some([version, place]) => number(version).zip(number(place)),
        _ => None,
    }
    .ok_or_else(|| bad(format!("the part of site {site} is not [version, place]")))
}

fn closed(site: &str, json: &Json) -> Result<Closed> {
    let [at, stamp, from] = json.as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Err(bad(format!("the closing of site {site} is not [at, stamp, from]")));
    };
    match (number(at), number(stamp), number(from)) {
        (Some(at), Some(stamp), Some(from)) if at < from => Ok(Closed { at, stamp, from }),
        _ => Err(bad(format!("the closing of site {site} is not three integers that fit"))),
    }
}

fn omits(json: &Json) -> Result<Vec<Omit>> {
    let list = json.as_array().ok_or_else(|| bad("\"omits\" is not a list"))?;
    let omits = list.iter().map(omit).collect::<Result<Vec<Omit>>>()?;
    if omits.iter().zip(omits.iter().skip(1)).all(|(a, b)| a < b) {
        return Ok(omits);
    }
    Err(bad("the omitted versions are out of order"))
}

fn omit(json: &Json) -> Result<Omit> {
    let fields = match json.as_array().map(Vec::as_slice) {
        Some([Json::String(site), lo, hi, Json::String(what)]) => {
            number(lo).zip(number(hi)).map(|(lo, hi)| (site, lo, hi, what))
        }
        _ => None,
    };
    match fields {
        Some((site, lo, hi, what)) if 0 < lo && lo <= hi => {
            Ok(Omit { site: parse_hex16(site)?, lo, hi, what: what.clone() })
        }
        _ => Err(bad("an omitted range is not [site, lo, hi, what]")),
    }
}

fn spans(site: &str, json: &Json) -> Result<Vec<Span>> {
    let list = json.as_array().ok_or_else(|| bad(format!("site {site} has no list of ranges")))?;
    let spans = list.iter().map(|json| span(site, json)).collect::<Result<Vec<Span>>>()?;
    let rising = spans.iter().zip(spans.iter().skip(1)).all(|(a, b)| a.hi < b.lo);
    if !rising {
        return Err(bad(format!("the ranges of site {site} overlap or are out of order")));
    }
    Ok(merged(&spans))
}

fn span(site: &str, json: &Json) -> Result<Span> {
    let [lo, hi, stamp] = json.as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Err(bad(format!("a range of site {site} is not [lo, hi, stamp]")));
    };
    match (number(lo), number(hi), number(stamp)) {
        (Some(lo), Some(hi), Some(stamp)) if 0 < lo && lo <= hi => Ok(Span { lo, hi, stamp }),
        (Some(lo), Some(hi), Some(_)) => Err(bad(format!(
            "a range of site {site} goes from {lo} to {hi}; versions begin with 1 and rise"
        ))),
        _ => Err(bad(format!(
            "a range of site {site} holds something that is no integer between 0 and {NUMBER_MAX}"
        ))),
    }
}
