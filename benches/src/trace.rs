//! What somebody types: made from a fixed seed, like the trace that the papers on text measure with
//! (some 260,000 keystrokes, three in ten of them a backspace, that leave 100 KB).

use crate::data::Random;

/// A letter that is typed, or the one there that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keystroke {
    pub at: usize,
    pub typed: Option<char>,
}

impl Keystroke {
    /// Does it to a text, which is ASCII.
    pub fn press(self, text: &mut String) {
        match self.typed {
            Some(letter) => text.insert(self.at, letter),
            None => drop(text.remove(self.at)),
        }
    }
}

const LETTERS: &[u8; 32] = b"etaoin shrdlu cmfwyp bgvk etaoin";

/// So many keystrokes, which begin with an empty text: runs of letters and of backspaces, and from
/// time to time the cursor goes elsewhere, often to the end.
pub fn typing(keystrokes: usize) -> Vec<Keystroke> {
    let mut random = Random::new(2024);
    let mut below = |n: usize| random.below(n as u64) as usize;
    let mut all = Vec::with_capacity(keystrokes);
    let (mut len, mut cursor) = (0, 0);
    while all.len() < keystrokes {
        if below(8) == 0 {
            cursor = if below(3) == 0 { len } else { below(len + 1) };
        }
        // Such runs are half as long as those of letters, and as many: 3 keystrokes in 10.
        let deletes = below(100) < 48;
        let run = if deletes { (1 + below(6)).min(cursor) } else { 1 + below(14) };
        for _ in 0..run.min(keystrokes - all.len()) {
            if deletes {
                (cursor, len) = (cursor - 1, len - 1);
                all.push(Keystroke { at: cursor, typed: None });
            } else {
                let typed = Some(char::from(LETTERS[below(LETTERS.len())]));
                all.push(Keystroke { at: cursor, typed });
                (cursor, len) = (cursor + 1, len + 1);
            }
        }
    }
    all
}
