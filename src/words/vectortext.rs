//! The one text of a vector (`vector.rs` says what stands in it), written and read without a detour
//! over JSON's trees: a vector of 1,000 sites is 70 KB, and an exchange passes four.
//!
//! What is read here is exactly what is written here, but for `omits` and for a `scope` of another
//! name, which are rare and hold texts. Every other text, whole or broken, is None, and
//! `Vector::from_json` reads it or says what is wrong with it. Both read the same, so only the time
//! tells which of them did (`tests/words_vector.rs`).

use std::collections::BTreeMap;

use super::vector::{Closed, NUMBER_MAX, Site, Span, VERSION, Vector};

/// What was seen, by site.
type Seen = BTreeMap<Site, Vec<Span>>;

/// A number has at most so many digits: 2^53 - 1 has.
const DIGITS_MAX: usize = 16;

/// Adds a number.
pub(super) fn put_number(out: &mut String, n: u64) {
    // 20 digits are the most.
    let (mut digits, mut left, mut len) = ([0; 20], n, 0);
    for place in digits.iter_mut().rev() {
        *place = b'0' + (left % 10) as u8;
        left /= 10;
        len += 1;
        if left == 0 {
            break;
        }
    }
    put_ascii(out, digits.get(digits.len() - len..).unwrap_or_default());
}

fn put_ascii(out: &mut String, text: &[u8]) {
    out.push_str(std::str::from_utf8(text).unwrap_or_default());
}

/// Adds numbers, as a list.
pub(super) fn put_list(out: &mut String, numbers: &[u64]) {
    for (i, n) in numbers.iter().enumerate() {
        out.push(if i == 0 { '[' } else { ',' });
        put_number(out, *n);
    }
    out.push(']');
}

/// Adds a site, as 32 hex digits.
pub(super) fn put_hex(out: &mut String, site: &Site) {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    let digits = site.map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    put_ascii(out, digits.as_flattened());
}

/// Adds values by site, as an object.
pub(super) fn put_sites<'a, T>(
    out: &mut String,
    sites: impl Iterator<Item = (&'a Site, T)>,
    put: impl Fn(&mut String, T),
) {
    out.push('{');
    for (i, (site, value)) in sites.enumerate() {
        out.push_str(if i == 0 { "\"" } else { ",\"" });
        put_hex(out, site);
        out.push_str("\":");
        put(out, value);
    }
    out.push('}');
}

/// Adds what was seen. Spans that touch are joined; the stamp is that of the end.
pub(super) fn put_seen(out: &mut String, seen: &Seen) {
    let some = seen.iter().filter(|(_, spans)| !spans.is_empty());
    put_sites(out, some, |out, spans| {
        out.push('[');
        let mut lo = None;
        for (i, span) in spans.iter().enumerate() {
            let from = lo.take().unwrap_or(span.lo);
            let next = spans.get(i + 1);
            if next.is_some_and(|next| span.hi.checked_add(1) == Some(next.lo)) {
                lo = Some(from);
                continue;
            }
            put_list(out, &[from, span.hi, span.stamp]);
            out.push_str(if next.is_some() { "," } else { "" });
        }
        out.push(']');
    });
}

/// Reads a vector that was written here.
pub(super) fn read(text: &[u8]) -> Option<Vector> {
    let mut r = Reader(text);
    let mut vector = Vector::default();
    if r.skip(b"{\"closed\":").is_some() {
        vector.closed = r.sites(|r| match r.list()? {
            [at, stamp, from] if at < from => Some(Closed { at, stamp, from }),
            _ => None,
        })?;
        r.skip(b",")?;
    } else {
        r.skip(b"{")?;
    }
    r.skip(b"\"epoch\":")?;
    vector.epoch = r.number()?;
    r.skip(b",\"formats\":")?;
    let formats = r.list()?.map(|n| u32::try_from(n).ok());
    let [Some(oldest), Some(newest)] = formats else { return None };
    vector.formats = (oldest <= newest).then_some((oldest, newest))?;
    r.skip(b",\"horizon\":")?;
    vector.horizon = r.sites(Reader::number)?;
    r.skip(b",\"now\":")?;
    vector.now = r.number()?;
    if r.skip(b",\"parts\":").is_some() {
        vector.parts = r.sites(|r| r.list().map(|[version, place]| (version, place)))?;
    }
    r.skip(b",\"scope\":\"*\",\"seen\":")?;
    vector.seen = r.sites(Reader::spans)?;
    r.skip(b",\"site\":")?;
    if r.skip(b"null").is_none() {
        vector.site = Some(r.site()?);
    }
    vector.unsure = r.skip(b",\"unsure\":true").is_some();
    r.skip(b",\"v\":")?;
    let known = r.number()? == VERSION;
    r.skip(b"}")?;
    (known && r.0.is_empty()).then_some(vector)
}

/// Reads what was seen, where that was written here.
pub(super) fn read_seen(text: &[u8]) -> Option<Seen> {
    let mut r = Reader(text);
    r.sites(Reader::spans).filter(|_| r.0.is_empty())
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn skip(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let len = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(len)?;
        let zero = digits.len() > 1 && digits.first() == Some(&b'0');
        if zero || !(1..=DIGITS_MAX).contains(&len) {
            return None;
        }
        self.0 = rest;
        let n = digits.iter().fold(0, |n: u64, digit| 10 * n + u64::from(digit - b'0'));
        (n <= NUMBER_MAX).then_some(n)
    }

    fn list<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut out = [0; N];
        for (i, n) in out.iter_mut().enumerate() {
            self.skip(if i == 0 { b"[" } else { b"," })?;
            *n = self.number()?;
        }
        self.skip(b"]").map(|()| out)
    }

    fn site(&mut self) -> Option<Site> {
        self.skip(b"\"")?;
        let (hex, rest) = self.0.split_first_chunk::<32>()?;
        self.0 = rest;
        let mut site = [0; 16];
        for (byte, digits) in site.iter_mut().zip(hex.as_chunks::<2>().0) {
            let [high, low] = digits.map(nibble);
            *byte = high? << 4 | low?;
        }
        self.skip(b"\"").map(|()| site)
    }

    /// An object whose keys are sites, which rise.
    fn sites<T>(&mut self, value: impl Fn(&mut Self) -> Option<T>) -> Option<BTreeMap<Site, T>> {
        self.skip(b"{")?;
        let mut out: Vec<(Site, T)> = Vec::new();
        while self.skip(b"}").is_none() {
            if !out.is_empty() {
                self.skip(b",")?;
            }
            let site = self.site()?;
            if out.last().is_some_and(|last| last.0 >= site) {
                return None;
            }
            self.skip(b":")?;
            out.push((site, value(self)?));
        }
        Some(out.into_iter().collect())
    }

    /// Ranges, which rise and do not touch; at least one.
    fn spans(&mut self) -> Option<Vec<Span>> {
        self.skip(b"[")?;
        let mut out: Vec<Span> = Vec::new();
        loop {
            let [lo, hi, stamp] = self.list()?;
            let after = out.last().map_or(1, |last| last.hi + 2);
            if lo < after || hi < lo {
                return None;
            }
            out.push(Span { lo, hi, stamp });
            match self.skip(b"]") {
                Some(()) => return Some(out),
                None => self.skip(b",")?,
            }
        }
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::vector::seen_json;
    use super::*;

    /// The reader of JSON stands in where this one does not read, so only here does it show
    /// whether this one reads what is written.
    #[test]
    fn what_is_written_is_read_here() {
        let spans = vec![Span { lo: 1, hi: 7, stamp: NUMBER_MAX }, Span { lo: 9, hi: 9, stamp: 0 }];
        let full = Vector {
            site: Some([0xa1; 16]),
            epoch: 3,
            now: 99,
            seen: BTreeMap::from([([7; 16], spans.clone()), ([9; 16], spans)]),
            horizon: BTreeMap::from([([0; 16], 5)]),
            parts: BTreeMap::from([([8; 16], (8, 40))]),
            closed: BTreeMap::from([([7; 16], Closed { at: 6, stamp: 400, from: 9 })]),
            unsure: true,
            ..Vector::default()
        };
        for vector in [full, Vector::default()] {
            let text = vector.to_json();
            assert_eq!(read_seen(seen_json(&vector.seen).as_bytes()), Some(vector.seen.clone()));
            assert_eq!(read(text.as_bytes()), Some(vector));
            for odd in [format!(" {text}"), format!("{text} "), text.replace('7', "07")] {
                assert_eq!(read(odd.as_bytes()).filter(|_| odd != text), None, "{odd}");
            }
        }
    }
}
