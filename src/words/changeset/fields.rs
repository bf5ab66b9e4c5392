//! The small fields that all sections are made of.

use crate::words::dot::MAX_COUNT;
use crate::words::error::{Error, Result};
use crate::words::wire::{Reader, put_bytes};

/// A length and that many bytes of UTF-8.
pub(super) fn text<'a>(r: &mut Reader<'a>) -> Result<&'a str> {
    std::str::from_utf8(r.len_bytes()?).map_err(|_| Error::rejected("a text is not UTF-8"))
}

/// The same, to keep.
pub(super) fn string(r: &mut Reader<'_>) -> Result<String> {
    text(r).map(str::to_owned)
}

/// The counterpart of [`text`].
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// A version, stamp or place.
#[inline]
pub(super) fn number(r: &mut Reader<'_>) -> Result<u64> {
    counted(r.varint()?)
}

/// The number itself, where it is small enough for JavaScript programs.
#[inline]
pub(super) fn counted(n: u64) -> Result<u64> {
    if n <= MAX_COUNT { Ok(n) } else { Err(too_large(n)) }
}

#[cold]
fn too_large(n: u64) -> Error {
    Error::rejected(format!("a version, stamp or place is {n}, above {MAX_COUNT}"))
}

/// The sum, where it is small enough.
#[inline]
pub(super) fn plus(a: u64, b: u64) -> Result<u64> {
    counted(a.saturating_add(b))
}

/// A version: 1 or more.
pub(super) fn version(r: &mut Reader<'_>) -> Result<u64> {
    match number(r)? {
        0 => Err(Error::rejected("a version is 0; versions begin with 1")),
        n => Ok(n),
    }
}

/// A byte that says yes or no.
pub(super) fn yes_no(r: &mut Reader<'_>) -> Result<bool> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        n => Err(Error::rejected(format!("a byte that is 0 or 1 is {n}"))),
    }
}

/// REJECTED unless each is greater than the one before.
pub(super) fn rising<T: PartialOrd>(list: &[T], what: &str) -> Result<()> {
    if list.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    Err(Error::rejected(format!("{what} are out of order, or one of them comes twice")))
}

/// REJECTED unless everything was read.
pub(super) fn at_end(r: &Reader<'_>) -> Result<()> {
    if r.is_empty() {
        return Ok(());
    }
    Err(Error::rejected(format!("{} bytes are left over after the last field", r.remaining())))
}

/// How many bytes a varint takes.
pub(super) fn varint_bytes(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}
