//! Fractional index keys: texts that sort like the items of a list, with room for one more between
//! any two. `crsql_fract_key_between` hands them out. The scheme is David Greenspan's "Implementing
//! Fractional Indexing" over 95 digits, as cr-sqlite has it: the keys are the same, character by
//! character, so that lists begun there go on here.
//!
//! The digits are the printable characters of ASCII from the blank (0) to `~` (94), and keys are
//! compared byte by byte (BINARY). A key is an integer and a fraction.
//!
//! - The integer is a head and some digits. The head says how many: `a` one, `b` two, ... `z` 26,
//!   and below zero `Z` one, `Y` two, ... `A` 26. So `Z~` is followed by `"a "`, the first key of
//!   an empty list, and `a~` by `"b  "`; adding at an end of the list counts up or down and keeps
//!   keys short.
//! - The fraction is any number of digits, none at first, and never ends with the blank, because
//!   nothing fits between a key and the same key with a blank more.
//! - `A` with 26 blanks is no key: nothing would fit before it.

use super::error::{Error, Result};
use std::cmp::Ordering;

const ZERO: u8 = b' ';
const LAST: u8 = b'~';
/// How many digits there are.
const BASE: u8 = LAST - ZERO + 1;
/// The first key of an empty list.
const FIRST: &[u8] = b"a ";

/// A key that sorts after `a` and before `b`; none stands for the end of the list on that side.
/// REFUSED when one of them is no key, or when `a` does not sort before `b`.
pub fn key_between(a: Option<&str>, b: Option<&str>) -> Result<String> {
    let a = a.map(Key::parse).transpose()?;
    let b = b.map(Key::parse).transpose()?;
    let key = match (a, b) {
        (None, None) => FIRST.to_vec(),
        (Some(a), None) => match counted_up(a.integer) {
            Some(next) => next,
            None => joined(a.integer, &middle(a.fraction, None)),
        },
        (None, Some(b)) => before(b),
        (Some(a), Some(b)) => between(a, b)?,
    };
    String::from_utf8(key).map_err(|_| Error::refused("a list key is made of ASCII alone"))
}

/// A key taken apart.
#[derive(Clone, Copy)]
struct Key<'a> {
    integer: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Key<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let no_key = |why: &str| Err(Error::refused(format!("{text:?} is no list key: {why}")));
        let bytes = text.as_bytes();
        let digits = match bytes.first() {
            Some(head @ b'a'..=b'z') => head - b'a' + 1,
            Some(head @ b'A'..=b'Z') => b'Z' - head + 1,
            _ => return no_key("it must begin with a letter"),
        };
        let Some((integer, fraction)) = bytes.split_at_checked(usize::from(digits) + 1) else {
            return no_key("its first letter announces more characters than follow");
        };
        if bytes.iter().any(|b| !(ZERO..=LAST).contains(b)) {
            return no_key("only printable characters of ASCII may be in it");
        }
        if fraction.last() == Some(&ZERO) {
            return no_key("it must not end with a blank");
        }
        if fraction.is_empty() && is_lowest(integer) {
            return no_key("nothing could stand before it");
        }
        Ok(Key { integer, fraction })
    }
}

fn is_lowest(integer: &[u8]) -> bool {
    matches!(integer.split_first(), Some((b'A', digits)) if digits.iter().all(|d| *d == ZERO))
}

fn joined(integer: &[u8], fraction: &[u8]) -> Vec<u8> {
    [integer, fraction].concat()
}

fn before(b: Key<'_>) -> Vec<u8> {
    if is_lowest(b.integer) {
        return joined(b.integer, &middle(&[], Some(b.fraction)));
    }
    if !b.fraction.is_empty() {
        return b.integer.to_vec();
    }
    let integer = counted_down(b.integer).unwrap_or_default();
    // The lowest integer is no key by itself: leave room before it.
    if is_lowest(&integer) { joined(&integer, &middle(&[], None)) } else { integer }
}

fn between(a: Key<'_>, b: Key<'_>) -> Result<Vec<u8>> {
    if (a.integer, a.fraction).cmp(&(b.integer, b.fraction)) != Ordering::Less {
        let show =
            |k: Key<'_>| String::from_utf8_lossy(&joined(k.integer, k.fraction)).into_owned();
        return Err(Error::refused(format!(
            "nothing fits between the list keys {:?} and {:?}: the first must sort before the \
             second",
            show(a),
            show(b)
        )));
    }
    if a.integer == b.integer {
        return Ok(joined(a.integer, &middle(a.fraction, Some(b.fraction))));
    }
    match counted_up(a.integer) {
        Some(next) if (next.as_slice(), &[][..]) < (b.integer, b.fraction) => Ok(next),
        _ => Ok(joined(a.integer, &middle(a.fraction, None))),
    }
}

/// The next integer; none after the highest.
fn counted_up(integer: &[u8]) -> Option<Vec<u8>> {
    let mut next = integer.to_vec();
    let (head, digits) = next.split_first_mut()?;
    for digit in digits.iter_mut().rev() {
        if *digit < LAST {
            *digit += 1;
            return Some(next);
        }
        *digit = ZERO;
    }
    match *head {
        b'z' => return None,
        b'Z' => return Some(FIRST.to_vec()),
        _ => *head += 1,
    }
    // Every digit is zero now, and the new head has one more of them, or one less.
    if next.first().is_some_and(u8::is_ascii_lowercase) {
        next.push(ZERO);
    } else {
        next.pop();
    }
    Some(next)
}

/// The integer before one that is not the lowest.
fn counted_down(integer: &[u8]) -> Option<Vec<u8>> {
    let mut next = integer.to_vec();
    let (head, digits) = next.split_first_mut()?;
    for digit in digits.iter_mut().rev() {
        if *digit > ZERO {
            *digit -= 1;
            return Some(next);
        }
        *digit = LAST;
    }
    match *head {
        b'a' => return Some(vec![b'Z', LAST]),
        _ => *head -= 1,
    }
    if next.first().is_some_and(u8::is_ascii_uppercase) {
        next.push(LAST);
    } else {
        next.pop();
    }
    Some(next)
}

/// A fraction between two fractions, `a < b`; without `b`, between `a` and 1. It is as short as the
/// scheme makes it: the common front, and then the digit halfway (rounded up) where there is one.
fn middle(a: &[u8], b: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut a = a.iter().copied();
    let mut b = b.map(|b| b.iter().copied().peekable());
    loop {
        // A fraction that has ended goes on with zeroes; without `b`, one above the last digit.
        let low = a.next().unwrap_or(ZERO) - ZERO;
        let high = b.as_mut().map_or(BASE, |b| b.next().unwrap_or(ZERO) - ZERO);
        if high > low + 1 {
            out.push(ZERO + (low + high).div_ceil(2));
            return out;
        }
        if high == low + 1 {
            // Neighbours: the upper digit alone is below `b` if `b` goes on, else stay on `a`'s
            // digit and go halfway up from there.
            if b.as_mut().is_some_and(|b| b.peek().is_some()) {
                out.push(ZERO + high);
                return out;
            }
            b = None;
        }
        out.push(ZERO + low);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use proptest::prelude::*;

    const LOWEST: &str = "A                          ";

    fn key(a: Option<&str>, b: Option<&str>) -> String {
        let key = key_between(a, b).unwrap();
        assert!(a.is_none_or(|a| a < key.as_str()), "{a:?} < {key:?}");
        assert!(b.is_none_or(|b| key.as_str() < b), "{key:?} < {b:?}");
        key
    }

    #[test]
    fn golden_keys() {
        let above_lowest = format!("{LOWEST}0");
        let last = format!("z{}", "~".repeat(26));
        let cases = [
            (None, None, "a "),
            (Some("a "), None, "a!"),
            (None, Some("a "), "Z~"),
            (Some("a~"), None, "b  "),
            (Some("Z~"), None, "a "),
            (Some("Y~~"), None, "Z "),
            (None, Some("Z "), "Y~~"),
            (None, Some("b  "), "a~"),
            (Some("a "), Some("a!"), "a P"),
            (Some("a00"), Some("a01"), "a00P"),
            (Some("a0/"), Some("a00"), "a0/P"),
            (Some("a0"), Some("a0V"), "a0;"),
            (Some("a0B"), Some("a0CX"), "a0C"),
            (Some("a  1"), Some("a  2"), "a  1P"),
            (Some("Z~"), Some("a!"), "a "),
            (Some("a "), Some("a!P"), "a!"),
            (None, Some("a P"), "a "),
            (None, Some(above_lowest.as_str()), "A                          ("),
            (Some(last.as_str()), None, "z~~~~~~~~~~~~~~~~~~~~~~~~~~P"),
        ];
        for (a, b, expected) in cases {
            assert_eq!(key(a, b), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_a_sentence() {
        let no_keys =
            ["", "0", " ", "a", "b ", "a0 ", "b   ", "aé", "a\t", "a\u{7f}", "{ ", "A ", LOWEST];
        for text in no_keys {
            for (a, b) in [(Some(text), None), (None, Some(text)), (Some(text), Some("a0"))] {
                let e = key_between(a, b).unwrap_err();
                assert!(e.text.contains("is no list key"), "{text:?}: {e}");
            }
        }
        for (a, b) in [("a1", "a0"), ("a1", "a1"), ("a ", "Z~"), ("a0V", "a0")] {
            let e = key_between(Some(a), Some(b)).unwrap_err();
            assert!(e.text.contains("must sort before"), "{e}");
        }
    }

    #[test]
    fn there_is_room_down_to_the_lowest_key() {
        let mut b = "A                         !".to_owned();
        for _ in 0..20 {
            b = key(None, Some(&b));
        }
        assert!(b.starts_with(LOWEST));
    }

    #[test]
    fn a_thousand_at_the_end_and_at_the_start_stay_short() {
        let (mut last, mut first) = (key(None, None), key(None, None));
        for _ in 0..1_000 {
            last = key(Some(&last), None);
            first = key(None, Some(&first));
        }
        assert_eq!((last.len(), first.len()), (3, 3));
        for _ in 0..10_000 {
            last = key(Some(&last), None);
            first = key(None, Some(&first));
        }
        assert_eq!((last.len(), first.len()), (4, 4));
    }

    #[test]
    fn a_thousand_in_zig_zag_find_room() {
        let (mut a, mut b) = (key(None, None), key(Some("a "), None));
        for n in 0..1_000 {
            let mid = key(Some(&a), Some(&b));
            if n % 2 == 0 { a = mid } else { b = mid }
        }
        let mut b = key(Some("a "), None);
        for _ in 0..1_000 {
            b = key(Some("a "), Some(&b));
        }
        let mut a = "a ".to_owned();
        for _ in 0..1_000 {
            a = key(Some(&a), Some("a!"));
        }
    }

    proptest! {
        #[test]
        fn a_list_keeps_its_order_under_any_insertions(
            places in prop::collection::vec(any::<prop::sample::Index>(), 1..200),
        ) {
            let mut list: Vec<String> = Vec::new();
            for place in places {
                let at = place.index(list.len() + 1);
                let a = at.checked_sub(1).map(|n| list[n].clone());
                let new = key(a.as_deref(), list.get(at).map(String::as_str));
                list.insert(at, new);
            }
            prop_assert!(list.windows(2).all(|w| w[0] < w[1]));
        }

        #[test]
        fn any_two_keys_have_one_between(
            x in "[XYZabc][ -~]{2,8}[!-~]",
            y in "[XYZabc][ -~]{2,8}[!-~]",
            z in "[A-C][ !]{26}[ !~]{0,2}[!~]",
        ) {
            for k in [&x, &y, &z] {
                let (before, after) = (key(None, Some(k)), key(Some(k), None));
                key(Some(&before), Some(k));
                key(Some(k), Some(&after));
                key(None, Some(&before));
            }
            if x != y {
                key(Some((&x).min(&y)), Some((&x).max(&y)));
            }
        }

        #[test]
        fn any_text_is_answered(a in ".*", b in ".*") {
            let _ = key_between(Some(&a), Some(&b));
            let _ = key_between(None, Some(&b));
        }
    }
}
