//! Everybody who has the same registers of a text shows the same, in whatever order they came;
//! no character that was typed is lost, and none that was deleted comes back.
//!
//! yrs can hold updates that came before what they stand on, and loses parts of them in one trial
//! of some hundreds. So what cannot be put together yet never reaches it (`types/text/weave.rs`).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use crsql::types::text::{Document, Splice, at, shown};
use crsql::words::value::Value;

mod text_world;
use text_world::{Message, Random, Replica, meet};

/// The n-th character: no two are the same, and they have 2, 3 and 4 bytes.
fn character(n: u32) -> char {
    let code = [0x100 + n, 0x4e00 + n, 0x1_f000 + n][n as usize % 3];
    char::from_u32(code).unwrap()
}

fn cases() -> u64 {
    std::env::var("CRSQL_TEXT_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

/// What is typed and deleted by all.
#[derive(Default)]
struct Model {
    typed: u32,
    deleted: BTreeSet<char>,
}

impl Model {
    fn text(&mut self, units: usize) -> String {
        let from = self.typed;
        self.typed += units as u32;
        (from..self.typed).map(character).collect()
    }

    fn left(&self) -> Vec<char> {
        let all: BTreeSet<char> = (0..self.typed).map(character).collect();
        all.difference(&self.deleted).copied().collect()
    }

    /// A splice of a text: half the time where one typed last, as people do.
    fn splice(&mut self, text: &str, last: &mut usize, random: &mut Random) -> Option<Splice> {
        let places: Vec<usize> =
            text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let goes_on = places.binary_search(last).ok().filter(|_| random.below(2) == 0);
        let (at, end) = match goes_on {
            Some(n) if random.below(3) == 0 => (n.saturating_sub(1 + random.below(2)), n),
            Some(n) => (n, n),
            None => {
                let at = random.below(places.len());
                let end = (at + random.below(5)).min(places.len() - 1);
                (at, if random.below(3) == 0 { end } else { at })
            }
        };
        let gone = &text[places[at]..places[end]];
        self.deleted.extend(gone.chars());
        let typed = if gone.is_empty() { 1 + random.below(3) } else { random.below(2) };
        let inserted = self.text(typed);
        let splice = Splice { at: places[at], removed: gone.len(), inserted };
        *last = splice.at + splice.inserted.len();
        (!gone.is_empty() || typed > 0).then_some(splice)
    }
}

fn one_world(seed: u64) {
    let mut random = Random(seed);
    let mut model = Model::default();
    let people = 2 + random.below(3);
    let base = match random.below(3) {
        0 => Value::Null,
        1 => Value::text(""),
        _ => Value::text(model.text(20)),
    };
    let mut all: Vec<Replica> = (0..people).map(|n| Replica::new(n as u8, base.clone())).collect();
    let mut lasts = vec![0; people];
    let mut on_the_way: Vec<(usize, Message)> = Vec::new();
    for _ in 0..20 + random.below(120) {
        let who = random.below(people);
        if random.below(2) == 0 {
            let text = all[who].text();
            let splice = model.splice(&text, &mut lasts[who], &mut random);
            let Some(splice) = splice else { continue };
            for message in all[who].edit(&[splice]) {
                let to = (0..people).filter(|to| *to != who);
                on_the_way.extend(to.map(|to| (to, message.clone())));
            }
        }
        for _ in 0..random.below(4) {
            if on_the_way.is_empty() {
                break;
            }
            let n = random.below(on_the_way.len());
            let (to, message) = on_the_way[n].clone();
            all[to].hear(&message);
            // One in four comes again later, when it may be old.
            if random.below(4) > 0 {
                on_the_way.swap_remove(n);
            }
            if random.below(8) == 0 {
                all[to].is_as_from_scratch();
            }
        }
        if random.below(20) == 0 {
            all[who].close();
        }
    }
    meet(&mut all, &mut random);
    let mut text: Vec<char> = all[0].text().chars().collect();
    text.sort_unstable();
    assert_eq!(text, model.left(), "seed {seed}");
}

#[test]
fn all_come_to_the_same_and_nothing_is_lost_or_comes_back() {
    for seed in 0..cases() {
        let done = std::panic::catch_unwind(|| one_world(seed));
        assert!(done.is_ok(), "seed {seed}");
    }
}

#[test]
fn words_that_are_typed_at_the_same_place_stay_whole() {
    for seed in 0..50 {
        let mut random = Random(seed);
        let mut all: Vec<Replica> =
            (0..3).map(|n| Replica::new(n, Value::text("Begin. End."))).collect();
        let words = ["alpha", "бета", "γάμμα"];
        for (replica, word) in all.iter_mut().zip(words) {
            let backwards = random.below(2) == 0;
            for (at, c) in word.char_indices() {
                replica.type_at(7 + at, &c.to_string());
                if backwards && at == 0 {
                    // A typing error, taken back: the word goes on behind what was deleted.
                    replica.type_at(7 + c.len_utf8(), "x");
                    let at = 7 + c.len_utf8();
                    replica.edit(&[Splice { at, removed: 1, inserted: String::new() }]);
                }
            }
        }
        meet(&mut all, &mut random);
        let text = all[0].text();
        for word in words {
            assert!(text.contains(word), "seed {seed}: {text}");
        }
    }
}

#[test]
fn the_same_base_is_there_once_though_many_begin() {
    let mut random = Random(1);
    let base = Value::text("one two");
    let mut all: Vec<Replica> = (0..4).map(|n| Replica::new(n, base.clone())).collect();
    for (n, replica) in all.iter_mut().enumerate() {
        replica.type_at(3, &n.to_string());
    }
    meet(&mut all, &mut random);
    let text = all[0].text();
    assert_eq!(text.len(), 11);
    assert!(text.starts_with("one") && text.ends_with(" two"), "{text}");
    let geneses = all[0].parts.list.keys().filter(|name| name.starts_with('g')).count();
    assert_eq!(geneses, 1);
}

#[test]
fn a_base_that_is_rewritten_shows_with_what_was_typed_around_the_former() {
    let mut random = Random(1);
    let mut all: Vec<Replica> = (0..2).map(|n| Replica::new(n, Value::text("old"))).collect();
    let first = all[0].type_at(3, " more");
    all[1].hear(&first[0]);
    // An INSERT of the other replica is later: the base is what it wrote, and nobody edited that.
    for replica in &mut all {
        replica.parts.base = Value::text("new");
        replica.close();
    }
    meet(&mut all, &mut random);
    let text = all[0].text();
    assert!(text == "new more" || text == " morenew", "{text}");
    // Who edits it writes its genesis, without which nobody could place the edit.
    let at = text.find("new").unwrap();
    let said = all[1].type_at(at + 3, "er");
    assert_eq!(said.len(), 2, "{said:?}");
    meet(&mut all, &mut random);
    assert!(all[0].text().contains("newer"));
    // And so it stays when the base is a third one.
    for replica in &mut all {
        replica.parts.base = Value::Null;
        replica.close();
    }
    meet(&mut all, &mut random);
    let text = all[0].text();
    assert!(text == "er more" || text == " moreer", "{text}");
}

#[test]
fn what_is_no_text_counts_as_an_empty_one_when_it_is_edited() {
    for base in [Value::Null, Value::Int(5), Value::Blob(vec![1]), Value::Text(vec![0xff])] {
        let mut a = Replica::new(0, base.clone());
        assert_eq!(shown(&a.parts), base);
        a.type_at(0, "x");
        assert_eq!(shown(&a.parts), Value::text("x"));
        assert_eq!(a.parts.list.len(), 1, "an empty text has no genesis");
        a.edit(&[Splice { at: 0, removed: 1, inserted: String::new() }]);
        assert_eq!(shown(&a.parts), Value::text(""));
    }
}

#[test]
fn the_text_of_every_earlier_moment_is_there() {
    let mut random = Random(7);
    let mut model = Model::default();
    let mut a = Replica::new(0, Value::text(model.text(5)));
    let mut b = Replica::new(1, a.parts.base.clone());
    let (mut was, mut last) = (Vec::new(), 0);
    for _ in 0..300 {
        // In turns, so that every stamp has all before it.
        let (from, to) = if random.below(2) == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let text = from.text();
        let Some(splice) = model.splice(&text, &mut last, &mut random) else { continue };
        from.edit(&[splice]).iter().for_each(|m| to.hear(m));
        was.push((from.clock, from.text()));
    }
    assert!(a.parts.list.len() > 6, "several chunks");
    assert_eq!(at(&a.parts, 1), a.parts.base);
    for (stamp, text) in &was {
        assert_eq!(at(&a.parts, *stamp), Value::text(text.as_str()));
        assert_eq!(at(&b.parts, *stamp + 1), Value::text(text.as_str()));
    }
}

#[test]
fn edits_of_one_transaction_are_one_and_none_is_of_another_text() {
    let mut doc = Document::new(&Default::default(), &[9; 16]).unwrap();
    let one = |at, removed, inserted: &str| Splice { at, removed, inserted: inserted.to_string() };
    doc.write(5, &[one(0, 0, "a😀\0é")]).unwrap();
    let wrote = doc.write(5, &[one(1, 4, ""), one(6, 0, "!"), one(8, 0, "?")]).unwrap();
    assert_eq!(doc.text(), "a\0!é?");
    let parts = crsql::types::Parts { list: wrote.into_iter().collect(), base: Value::Null };
    assert_eq!(at(&parts, 5), Value::text("a\0!é?"));
    assert_eq!(at(&parts, 4), Value::text(""));
    let wrong =
        [one(4, 0, "x"), one(3, 1, ""), one(8, 0, "x"), one(0, 0, ""), one(usize::MAX, 1, "")];
    for splice in wrong {
        assert!(doc.write(6, std::slice::from_ref(&splice)).is_err(), "{splice:?}");
    }
    assert!(doc.write(6, &[one(2, 0, "x"), one(1, 0, "y")]).is_err(), "out of order");
    assert!(doc.write(6, &[one(0, 2, "x"), one(1, 0, "y")]).is_err(), "one in the other");
    assert_eq!(doc.text(), "a\0!é?");
    assert!(!doc.stale());
}

#[test]
fn typing_on_writes_what_it_writes_in_a_text_that_was_just_opened() {
    for seed in 0..100 {
        let mut random = Random(seed);
        let mut model = Model::default();
        let base = Value::text(model.text(10));
        let (mut open, mut anew) = (Replica::new(0, base.clone()), Replica::new(0, base));
        let mut last = 0;
        for _ in 0..150 {
            let text = open.text();
            let Some(splice) = model.splice(&text, &mut last, &mut random) else { continue };
            anew.close();
            anew.edit(std::slice::from_ref(&splice));
            open.edit(&[splice]);
            assert_eq!(open.text(), anew.text());
        }
        assert_eq!(open.parts, anew.parts, "seed {seed}");
    }
}
