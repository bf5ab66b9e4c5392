//! How registers of a text are named, and by which numbers the authors of its characters go.
//!
//! | register                        | value | author                                  |
//! |---------------------------------|-------|-----------------------------------------|
//! | `g` and 16 hex digits           | TEXT  | nobody: what the base was (a *genesis*) |
//! | 32 hex digits, `.`, a number    | BLOB  | the site: its n-th stretch of edits     |
//!
//! Every character has an author, a number of 53 bits. That of a site are the first 53 bits of the
//! SHA-256 of its id. The digits of a genesis and its author come from one SHA-256 of [`TAG`] and
//! the text, so that two sites that begin with the same text begin with the same characters.

use sha2::{Digest, Sha256};

use crate::types::site_of;
use crate::words::dot::SiteId;

/// What is hashed before the text of a genesis.
const TAG: &[u8] = b"crsql text genesis\0";

/// The author of characters.
pub(super) type Author = u64;

/// What begins the name of a genesis.
const GENESIS: char = 'g';

/// What a register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// A genesis.
    Genesis,
    /// The n-th chunk of a site.
    Chunk(SiteId, u32),
}

/// The register of this name; None where it is none of a text.
pub(super) fn register(name: &str) -> Option<Register> {
    if let Some(digits) = name.strip_prefix(GENESIS) {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        return (digits.len() == 16 && digits.bytes().all(hex)).then_some(Register::Genesis);
    }
    let (site, number) = name.split_once('.')?;
    let n: u32 = number.parse().ok()?;
    (n.to_string() == number).then_some(())?;
    Some(Register::Chunk(site_of(site)?, n))
}

/// The name of a site's n-th chunk.
pub(super) fn chunk(site: &SiteId, n: u32) -> String {
    format!("{}.{n}", hex(site))
}

/// The author that a site is.
pub(super) fn author_of_site(site: &SiteId) -> Author {
    author(&Sha256::digest(site))
}

/// The register that a text is the genesis of, and its author.
pub(super) fn genesis(text: &str) -> (String, Author) {
    let mut hash = Sha256::new();
    hash.update(TAG);
    hash.update(text.as_bytes());
    let hash = hash.finalize();
    let (name, rest) = hash.split_at(8);
    (format!("{GENESIS}{}", hex(name)), author(rest))
}

fn author(hash: &[u8]) -> Author {
    let first = hash.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(first) >> 11
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_in_no_other_form() {
        let site = [0xab; 16];
        assert_eq!(register(&chunk(&site, 0)), Some(Register::Chunk(site, 0)));
        assert_eq!(register(&chunk(&site, u32::MAX)), Some(Register::Chunk(site, u32::MAX)));
        assert_eq!(register(&genesis("a").0), Some(Register::Genesis));
        let digits = "ab".repeat(16);
        let wrong = ["", "g", "g0", "gABCDEF0123456789", "g0123456789abcdeg", "x.0", ".0", &digits];
        for name in wrong {
            assert_eq!(register(name), None, "{name}");
        }
        for number in ["", "00", "01", "+1", "-1", "4294967296", "1 ", "1.1"] {
            assert_eq!(register(&format!("{digits}.{number}")), None, "{number}");
        }
    }

    #[test]
    fn authors_have_53_bits_and_differ() {
        let authors = [author_of_site(&[0; 16]), author_of_site(&[1; 16]), genesis("").1];
        assert!(authors.iter().all(|a| *a < 1 << 53));
        assert!(authors[0] != authors[1] && authors[1] != authors[2]);
        assert_ne!(genesis("a").1, genesis("b").1);
    }
}
