//! Typing that goes on where it was, and backspaces within what was just typed. What stands beside
//! it is known, so that nobody has to look for the place: yrs walks through all of a text for it.
//! What comes of it is what yrs would write itself.

use super::Splice;
use super::chunk::{Id, Range, Run, units};
use super::names::Author;

/// A place behind characters that a site typed itself, as long as nothing else happened.
pub(super) struct Cursor {
    /// The byte of the text.
    at: usize,
    /// The last character that was typed; it may be deleted again.
    last: u32,
    /// What stands to the right.
    right: Option<Id>,
    /// The characters of these clocks stand right before the place.
    shown: std::ops::Range<u32>,
}

/// What an edit comes to: the cursor behind it, and what was typed or what went.
type GoesOn = (Cursor, Option<Run>, Option<Range>);

impl Cursor {
    /// Behind a run that a splice made.
    pub fn behind(run: &Run, splice: &Splice) -> Cursor {
        Cursor {
            at: splice.at + splice.inserted.len(),
            last: run.end().saturating_sub(1),
            right: run.right,
            shown: run.clock..run.end(),
        }
    }

    /// What a splice comes to that removes so many units, and begins at this clock; None where it
    /// is elsewhere.
    pub fn goes_on(mut self, s: &Splice, gone: u32, author: Author, clock: u32) -> Option<GoesOn> {
        if s.removed == 0 && s.at == self.at {
            let left = Some(Id { author, clock: self.last });
            let text = s.inserted.clone();
            let run = Run { clock, len: units(&text), left, right: self.right, text };
            let start = if self.shown.end == clock { self.shown.start } else { clock };
            let shown = start..run.end();
            return Some((Cursor { shown, ..Cursor::behind(&run, s) }, Some(run), None));
        }
        let back = s.inserted.is_empty() && s.at + s.removed == self.at;
        if !back || gone > self.shown.end - self.shown.start {
            return None;
        }
        self.at = s.at;
        self.shown.end -= gone;
        let range = Range { author, clock: self.shown.end, len: gone };
        Some((self, None, Some(range)))
    }
}
