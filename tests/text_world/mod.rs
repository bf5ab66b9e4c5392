//! Replicas of one text column, as the rooms will keep them: parts that merge by stamp, an open
//! document beside them, and what each says to the others.

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use crsql::types::Parts;
use crsql::types::text::{Document, Splice, accepts, shown};
use crsql::words::value::Value;

/// Numbers that look random and are the same on every run (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// The next number, below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// A register as it travels.
#[derive(Clone, Debug)]
pub struct Message {
    pub register: String,
    pub value: Value,
    pub stamp: u64,
}

/// A replica.
pub struct Replica {
    pub site: [u8; 16],
    pub parts: Parts,
    pub stamps: BTreeMap<String, u64>,
    pub clock: u64,
    open: Option<Document>,
}

impl Replica {
    pub fn new(n: u8, base: Value) -> Replica {
        let parts = Parts { base, ..Parts::default() };
        let stamps = BTreeMap::new();
        Replica { site: [n + 1; 16], parts, stamps, clock: u64::from(n) + 1, open: None }
    }

    /// The open document.
    pub fn document(&mut self) -> &mut Document {
        if self.open.as_ref().is_some_and(Document::stale) {
            self.open = None;
        }
        let (parts, site) = (&self.parts, &self.site);
        self.open.get_or_insert_with(|| Document::new(parts, site).unwrap())
    }

    /// The text.
    pub fn text(&mut self) -> String {
        self.document().text().to_string()
    }

    /// Forgets the open document.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Edits, and says what it wrote.
    pub fn edit(&mut self, splices: &[Splice]) -> Vec<Message> {
        self.clock += 4096;
        let stamp = self.clock;
        let wrote = self.document().write(stamp, splices).unwrap();
        let mut said = Vec::new();
        for (register, value) in wrote {
            assert!(accepts(&register, value.as_ref()), "{register}");
            self.parts.list.insert(register.clone(), value.clone());
            self.stamps.insert(register.clone(), stamp);
            said.push(Message { register, value, stamp });
        }
        said
    }

    /// Types at a byte.
    pub fn type_at(&mut self, at: usize, text: &str) -> Vec<Message> {
        self.edit(&[Splice { at, removed: 0, inserted: text.to_string() }])
    }

    /// Takes what was said: the later stamp stands.
    pub fn hear(&mut self, message: &Message) {
        self.clock = self.clock.max(message.stamp);
        let stands = self.stamps.get(&message.register).copied().unwrap_or(0);
        if message.stamp <= stands {
            return;
        }
        self.stamps.insert(message.register.clone(), message.stamp);
        self.parts.list.insert(message.register.clone(), message.value.clone());
        if let Some(open) = &mut self.open
            && !open.arrive(&message.register, message.value.as_ref())
        {
            self.open = None;
        }
    }

    /// Everything it has.
    pub fn all(&self) -> Vec<Message> {
        let of = |(register, value): (&String, &Value)| {
            let stamp = self.stamps.get(register).copied().unwrap_or(0);
            Message { register: register.clone(), value: value.clone(), stamp }
        };
        self.parts.list.iter().map(of).collect()
    }

    /// The open document shows what one shows that is opened anew.
    pub fn is_as_from_scratch(&mut self) {
        if !self.parts.list.is_empty() {
            let text = self.text();
            assert_eq!(shown(&self.parts), Value::text(text));
        }
    }
}

/// Everybody tells everybody everything, in an order of its own each.
pub fn meet(replicas: &mut [Replica], random: &mut Random) {
    for _ in 0..2 {
        for to in 0..replicas.len() {
            let mut said: Vec<Message> = replicas.iter().flat_map(Replica::all).collect();
            while !said.is_empty() {
                let message = said.swap_remove(random.below(said.len()));
                replicas[to].hear(&message);
            }
        }
    }
    let text = replicas[0].text();
    for replica in replicas.iter_mut() {
        assert_eq!(replica.text(), text);
        replica.is_as_from_scratch();
        replica.close();
        assert_eq!(replica.text(), text);
    }
}
