//! Anchors: a place in a text that stays beside its character, whatever is typed elsewhere. Where
//! the character is gone, it is the place where it was.
//!
//! ```text
//! anchor = version:u8=1 side:u8 [author:varint clock:varint]
//! side   = 0 before the character that follows, 1 behind the one that precedes;
//!          without a character: 0 the end of the text, 1 its beginning
//! ```

use yrs::{Assoc, ClientID, ID, IndexedSequence, StickyIndex, Transact};

use super::chunk::CLOCK_MAX;
use super::document::{Document, fenced};
use crate::words::error::Error;
use crate::words::wire::{Reader, put_varint};

/// The version of the format, its first byte.
const VERSION: u8 = 1;

/// Which character an anchor stays beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that follows: what is typed at the place comes before the anchor.
    After,
    /// The one that precedes: what is typed at the place comes behind it.
    Before,
}

impl Side {
    fn byte(self) -> u8 {
        u8::from(self == Side::Before)
    }
}

impl Document {
    /// The anchor of a place, counted in characters; None behind the end.
    pub fn anchor(&mut self, characters: usize, side: Side) -> Option<Vec<u8>> {
        let text = self.text();
        let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        let at = u32::try_from(places.nth(characters)?).ok()?;
        let end = text.len() as u32;
        let mut out = vec![VERSION, side.byte()];
        let assoc = match side {
            Side::After if at == end => return Some(out),
            Side::Before if at == 0 => return Some(out),
            Side::After => Assoc::After,
            Side::Before => Assoc::Before,
        };
        let index =
            fenced(|| Ok(self.body.sticky_index(&self.doc.transact(), at, assoc))).ok()??;
        let id = index.id()?;
        put_varint(&mut out, id.client.get());
        put_varint(&mut out, u64::from(id.clock));
        Some(out)
    }

    /// The place of an anchor, counted in characters. None where the bytes are no anchor, or its
    /// character is not there yet.
    pub fn position(&mut self, anchor: &[u8]) -> Option<usize> {
        let (side, id) = read(anchor)?;
        let characters = self.text().chars().count();
        let Some(id) = id else {
            return Some(if side == Side::After { characters } else { 0 });
        };
        let assoc = if side == Side::After { Assoc::After } else { Assoc::Before };
        let index = StickyIndex::from_id(id, assoc);
        let found = fenced(|| {
            let offset = index.get_offset(&self.doc.transact());
            offset.map(|o| o.index as usize).ok_or_else(|| Error::refused("not there"))
        });
        let found = found.ok()?;
        let text = self.text();
        Some(text.char_indices().take_while(|(at, _)| *at < found).count())
    }
}

fn read(anchor: &[u8]) -> Option<(Side, Option<ID>)> {
    let mut r = Reader::new(anchor);
    if r.u8().ok()? != VERSION {
        return None;
    }
    let side = match r.u8().ok()? {
        0 => Side::After,
        1 => Side::Before,
        _ => return None,
    };
    if r.is_empty() {
        return Some((side, None));
    }
    let author = r.varint().ok().filter(|a| *a < 1 << 53)?;
    let clock = u32::try_from(r.varint().ok()?).ok().filter(|c| *c <= CLOCK_MAX)?;
    r.is_empty().then(|| (side, Some(ID::new(ClientID::new(author), clock))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Splice;
    use super::*;
    use crate::types::Parts;
    use crate::words::value::Value;

    fn splice(at: usize, removed: usize, inserted: &str) -> Vec<Splice> {
        vec![Splice { at, removed, inserted: inserted.to_string() }]
    }

    #[test]
    fn an_anchor_stays_beside_its_character_and_where_it_was() {
        let parts = Parts { base: Value::text("ab😀漢éz"), ..Parts::default() };
        let mut doc = Document::new(&parts, &[1; 16]).unwrap();
        let all: Vec<(usize, Side)> = [Side::After, Side::Before]
            .into_iter()
            .flat_map(|side| (0..=6).map(move |n| (n, side)))
            .collect();
        let anchors: Vec<Vec<u8>> =
            all.iter().map(|(n, side)| doc.anchor(*n, *side).unwrap()).collect();
        assert!(doc.anchor(7, Side::After).is_none());
        assert!(anchors.iter().all(|a| a.len() <= 12));
        for ((n, _), anchor) in all.iter().zip(&anchors) {
            assert_eq!(doc.position(anchor), Some(*n));
        }
        // Before the emoji: what stays behind it moves, what stays before it does not.
        doc.write(1, &splice(2, 0, "漢漢")).unwrap();
        for ((n, side), anchor) in all.iter().zip(&anchors) {
            let moves = *n > 2 || (*n == 2 && *side == Side::After);
            assert_eq!(doc.position(anchor), Some(n + if moves { 2 } else { 0 }), "{n} {side:?}");
        }
        // The emoji and what follows it go, but for the last letter.
        doc.write(2, &splice(8, 9, "")).unwrap();
        assert_eq!(doc.text(), "ab漢漢z");
        for ((n, side), anchor) in all.iter().zip(&anchors) {
            let place = match (*n, *side) {
                (0..=1, _) => *n,
                (2, Side::Before) => 2,
                (6, _) => 5,
                _ => 4,
            };
            assert_eq!(doc.position(anchor), Some(place), "{n} {side:?}");
        }
    }

    #[test]
    fn the_ends_of_a_text_have_anchors_and_characters_of_others_may_be_unknown() {
        let mut a = Document::new(&Parts::default(), &[1; 16]).unwrap();
        let (end, start) = (a.anchor(0, Side::After).unwrap(), a.anchor(0, Side::Before).unwrap());
        a.write(1, &splice(0, 0, "xy")).unwrap();
        assert_eq!((a.position(&end), a.position(&start)), (Some(2), Some(0)));
        let x = a.anchor(1, Side::Before).unwrap();
        let mut b = Document::new(&Parts::default(), &[2; 16]).unwrap();
        assert_eq!(b.position(&x), None);
        for wrong in [&[][..], &[1], &[2, 0], &[1, 2], &[1, 0, 1], &[1, 0, 1, 1, 1]] {
            assert_eq!(a.position(wrong), None, "{wrong:?}");
        }
    }
}
