//! What an UPDATE changed: the words that are other ones, and in words that are alike the
//! characters. Where two texts have little in common, one gives way to the other.
//!
//! `similar` bounds its search by itself, at the cost of a difference that is not the shortest; no
//! clock is read. A base character and what modifies it (accents, joined emoji) stay together.

use std::collections::HashMap;
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::Splice;
use super::document::SPLICES_MAX;

/// Replaced text of more bytes is not compared by characters.
const ALIKE_MAX_BYTES: usize = 256;

/// Texts of more words are not compared at all: one gives way to the other.
const WORDS_MAX: usize = 1 << 20;

/// More changes are one: each of them has to find its place in the text.
const CHANGES_MAX: usize = 2000;

/// So few words are compared though they have none in common.
const FEW: usize = 16;

/// What makes one text of another, in order.
pub fn difference(old: &str, new: &str) -> Vec<Splice> {
    let (before, behind) = common(old, new);
    let middle_old = old.get(before..old.len() - behind).unwrap_or_default();
    let middle_new = new.get(before..new.len() - behind).unwrap_or_default();
    let mut found = Vec::new();
    words(middle_old, middle_new, before, &mut found);
    if found.len() > SPLICES_MAX {
        found.clear();
        replace(middle_old, middle_new, before, &mut found);
    }
    found
}

/// Whether a character belongs to the one before it.
fn joins(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}'
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{93a}'..='\u{94f}'
        | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{200c}' | '\u{200d}' | '\u{20d0}'..='\u{20f0}'
        | '\u{3099}' | '\u{309a}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether two that follow each other are one to the eye.
fn together(a: char, b: char) -> bool {
    let flag = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    joins(b) || a == '\u{200d}' || (a == '\r' && b == '\n') || (flag(a) && flag(b))
}

/// Whether a text may be cut here.
fn may_cut(text: &str, at: usize) -> bool {
    let Some((left, right)) = text.split_at_checked(at) else { return false };
    match (left.chars().next_back(), right.chars().next()) {
        (Some(a), Some(b)) => !together(a, b),
        _ => true,
    }
}

/// How many bytes are the same at the beginning and, of the rest, at the end.
fn common(old: &str, new: &str) -> (usize, usize) {
    let same = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let mut before = same(old.as_bytes(), new.as_bytes());
    while !(may_cut(old, before) && may_cut(new, before)) {
        before -= 1;
    }
    let rest = old.len().min(new.len()) - before;
    let ends = old.bytes().rev().zip(new.bytes().rev()).take(rest);
    let mut behind = ends.take_while(|(a, b)| a == b).count();
    while !(may_cut(old, old.len() - behind) && may_cut(new, new.len() - behind)) {
        behind -= 1;
    }
    (before, behind)
}

/// A text cut into pieces, by whether a piece goes on with the next character.
fn pieces(text: &str, goes_on: impl Fn(char, char) -> bool) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, c) in text.char_indices() {
        if last.is_some_and(|last| !goes_on(last, c)) {
            found.extend(text.get(start..at));
            start = at;
        }
        last = Some(c);
    }
    found.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    found
}

/// The byte at which each piece begins, and the end.
fn places(pieces: &[&str]) -> Vec<usize> {
    let ends = pieces.iter().scan(0, |at, piece| {
        *at += piece.len();
        Some(*at)
    });
    std::iter::once(0).chain(ends).collect()
}

/// The bytes of a range of pieces.
fn bytes(places: &[usize], range: Range<usize>) -> Range<usize> {
    let at = |n: usize| places.get(n).copied().unwrap_or(0);
    at(range.start)..at(range.end)
}

fn words(old: &str, new: &str, at: usize, into: &mut Vec<Splice>) {
    let goes_on = |a: char, b: char| together(a, b) || (a.is_alphanumeric() && b.is_alphanumeric());
    let (a, b) = (pieces(old, goes_on), pieces(new, goes_on));
    if a.is_empty() || b.is_empty() || !alike(&a, &b) {
        return replace(old, new, at, into);
    }
    let (in_old, in_new) = (places(&a), places(&b));
    let ops = joined(capture_diff_slices(Algorithm::Myers, &a, &b), &a);
    if ops.len() > CHANGES_MAX {
        return replace(old, new, at, into);
    }
    for (from, to) in ops {
        let from = bytes(&in_old, from);
        let piece_old = old.get(from.clone()).unwrap_or_default();
        let piece_new = new.get(bytes(&in_new, to)).unwrap_or_default();
        characters(piece_old, piece_new, at + from.start, into);
    }
}

/// Whether a piece is a word, and no space or sign.
fn is_word(piece: &str) -> bool {
    piece.chars().next().is_some_and(char::is_alphanumeric)
}

fn words_in(pieces: &[&str], range: Range<usize>) -> bool {
    pieces.get(range).unwrap_or_default().iter().any(|piece| is_word(piece))
}

/// Whether enough words of the shorter text are in the other for a comparison to say anything.
fn alike(a: &[&str], b: &[&str]) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let mut there: HashMap<&str, usize> = HashMap::new();
    for word in long.iter().filter(|piece| is_word(piece)) {
        *there.entry(word).or_default() += 1;
    }
    let (mut all, mut shared) = (0, 0);
    for word in short.iter().filter(|piece| is_word(piece)) {
        all += 1;
        if let Some(n) = there.get_mut(word).filter(|n| **n > 0) {
            *n -= 1;
            shared += 1;
        }
    }
    // Of few words, some may be alike by their letters.
    short.len() <= FEW || (long.len() <= WORDS_MAX && shared * 4 >= all)
}

/// The changes among operations. Two with no word between them are one.
fn joined(ops: Vec<DiffOp>, old: &[&str]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut changes: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for op in ops {
        let (from, to) = (op.old_range(), op.new_range());
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        match changes.last_mut() {
            Some((last, last_to)) if !words_in(old, last.end..from.start) => {
                (last.end, last_to.end) = (from.end, to.end);
            }
            _ => changes.push((from, to)),
        }
    }
    changes
}

/// Compares words by their characters, where at least half of them stays.
fn characters(old: &str, new: &str, at: usize, into: &mut Vec<Splice>) {
    if old.len().max(new.len()) > ALIKE_MAX_BYTES || old.is_empty() || new.is_empty() {
        return replace(old, new, at, into);
    }
    let (a, b) = (pieces(old, together), pieces(new, together));
    let (in_old, in_new) = (places(&a), places(&b));
    let ops = capture_diff_slices(Algorithm::Myers, &a, &b);
    let stays = |op: &DiffOp| if let DiffOp::Equal { len, .. } = op { *len } else { 0 };
    let kept: usize = ops.iter().map(stays).sum();
    if kept * 2 < a.len().max(b.len()) {
        return replace(old, new, at, into);
    }
    for op in ops.iter().filter(|op| stays(op) == 0) {
        let from = bytes(&in_old, op.old_range());
        let inserted = new.get(bytes(&in_new, op.new_range())).unwrap_or_default();
        replace(old.get(from.clone()).unwrap_or_default(), inserted, at + from.start, into);
    }
}

fn replace(old: &str, new: &str, at: usize, into: &mut Vec<Splice>) {
    if old.is_empty() && new.is_empty() {
        return;
    }
    match into.last_mut() {
        Some(last) if last.at + last.removed == at => {
            last.removed += old.len();
            last.inserted.push_str(new);
        }
        _ => into.push(Splice { at, removed: old.len(), inserted: new.to_string() }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(old: &str, splices: &[Splice]) -> String {
        let mut text = old.to_string();
        for splice in splices.iter().rev() {
            text.replace_range(splice.at..splice.at + splice.removed, &splice.inserted);
        }
        text
    }

    fn splice(at: usize, removed: usize, inserted: &str) -> Splice {
        Splice { at, removed, inserted: inserted.to_string() }
    }

    #[test]
    fn what_changed_is_what_a_person_would_say() {
        let cases = [
            ("same", "same", vec![]),
            ("", "new", vec![splice(0, 0, "new")]),
            ("old", "", vec![splice(0, 3, "")]),
            ("one two", "one big two", vec![splice(4, 0, "big ")]),
            // A word that is another one goes as a whole, one that is alike keeps its letters.
            ("the cat sat", "the dog sat", vec![splice(4, 3, "dog")]),
            ("my color is", "my colour is", vec![splice(7, 0, "u")]),
            ("aa bb, cc", "xx yy, cc", vec![splice(0, 5, "xx yy")]),
            ("a bbb c ddd e", "a xxx c yyy e", vec![splice(2, 3, "xxx"), splice(8, 3, "yyy")]),
            // The accent stays with its letter, and the hand with the colour of its skin.
            ("e\u{301}", "e\u{300}", vec![splice(0, 3, "e\u{300}")]),
            ("👍🏽", "👍🏿", vec![splice(0, 8, "👍🏿")]),
            ("a\r\nb", "a\nb", vec![splice(1, 2, "\n")]),
        ];
        for (old, new, expected) in cases {
            assert_eq!(difference(old, new), expected, "{old:?} {new:?}");
        }
    }

    proptest! {
        #[test]
        fn it_makes_the_new_text_of_the_old(
            old in "([a-c ]|é|漢|😀|\u{301}|\u{200d}|🏽|🇩|\r|\n|\0){0,60}",
            new in "([a-c ]|é|漢|😀|\u{301}|\u{200d}|🏽|🇩|\r|\n|\0){0,60}",
        ) {
            let splices = difference(&old, &new);
            prop_assert_eq!(after(&old, &splices), new);
            let in_order = splices.array_windows().all(|[a, b]| a.at + a.removed < b.at);
            prop_assert!(in_order);
        }
    }

    #[test]
    fn texts_with_little_in_common_are_not_compared_and_changes_are_bounded() {
        let prose = |seed: usize| {
            let word = |n: usize| format!("w{}", n * seed % 65_537);
            (1..20_000).map(word).collect::<Vec<_>>().join(" ")
        };
        let old = prose(3);
        assert_eq!(difference(&old, &old.replace('w', "v")).len(), 1);
        let letters: String = old.chars().rev().collect();
        let splices = difference(&old, &letters);
        assert_eq!((splices.len(), after(&old, &splices)), (1, letters));
        // Every third word is another one.
        let third =
            |(n, word): (usize, &str)| if n % 3 == 0 { "x".into() } else { word.to_string() };
        let many = old.split(' ').enumerate().map(third).collect::<Vec<_>>().join(" ");
        let splices = difference(&old, &many);
        assert_eq!((splices.len(), after(&old, &splices)), (1, many));
    }
}
