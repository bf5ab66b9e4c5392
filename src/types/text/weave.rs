//! In which order the runs of all authors can be put together: none before what it stands beside.
//! What names a character that is not there waits, and so does all that its author typed later.
//!
//! yrs can queue such things itself, and loses some of them; it is never given any.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::chunk::{Id, Range, Run, seconds};
use super::names::Author;

/// What is there of one author.
#[derive(Debug, Default)]
struct Characters {
    /// The clock behind the last.
    end: u32,
    /// The second halves of surrogate pairs.
    seconds: Vec<u32>,
}

/// The characters that are there.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Author, Characters>);

/// Why a run cannot be put in.
enum Lack {
    /// Something of this author is not there.
    Of(Author, u32),
    /// It stands in the middle of a character, which no site writes.
    Never,
}

impl Known {
    /// The clock behind the last of an author.
    pub fn end(&self, author: Author) -> u32 {
        self.0.get(&author).map_or(0, |c| c.end)
    }

    /// Takes a run that was put in.
    pub fn take(&mut self, author: Author, run: &Run) {
        let characters = self.0.entry(author).or_default();
        seconds(run.clock, &run.text, &mut characters.seconds);
        characters.end = run.end();
    }

    /// Whether a character is cut in two before this clock.
    fn cuts(&self, author: Author, clock: u32) -> bool {
        self.0.get(&author).is_some_and(|c| c.seconds.binary_search(&clock).is_ok())
    }

    /// Whether all is there that a run stands beside.
    pub fn fits(&self, author: Author, run: &Run) -> bool {
        self.end(author) == run.clock && self.lacks(run).is_none()
    }

    fn lacks(&self, run: &Run) -> Option<Lack> {
        let missing = |id: &Id| id.clock >= self.end(id.author);
        let sides = [run.left, run.right];
        if let Some(id) = sides.iter().flatten().find(|id| missing(id)) {
            return Some(Lack::Of(id.author, id.clock));
        }
        let left = run.left.is_some_and(|id| self.cuts(id.author, id.clock + 1));
        let right = run.right.is_some_and(|id| self.cuts(id.author, id.clock));
        (left || right).then_some(Lack::Never)
    }

    /// What is there of ranges, at whole characters; and whom something lacks of.
    pub fn clip(&self, ranges: &[Range]) -> (Vec<Range>, HashSet<Author>) {
        let mut lacking = HashSet::new();
        let mut clipped = Vec::with_capacity(ranges.len());
        for &Range { author, clock, len } in ranges {
            let end = clock.saturating_add(len);
            if end > self.end(author) {
                lacking.insert(author);
            }
            let start = clock + u32::from(self.cuts(author, clock));
            let end = end.min(self.end(author));
            let end = end - u32::from(self.cuts(author, end));
            if start < end {
                clipped.push(Range { author, clock: start, len: end - start });
            }
        }
        (clipped, lacking)
    }
}

/// An order of runs.
#[derive(Debug, Default)]
pub(super) struct Woven {
    /// Author, and which of its runs come next.
    pub order: Vec<(Author, std::ops::Range<usize>)>,
    /// Authors of whom something lacks.
    pub waits_for: HashSet<Author>,
    /// Authors of whom runs are left over.
    pub stuck: HashSet<Author>,
}

/// Orders runs, which are by author and in the order of clocks.
pub(super) fn weave(known: &mut Known, all: &BTreeMap<Author, Vec<Run>>) -> Woven {
    let mut woven = Woven::default();
    let mut next: HashMap<Author, usize> = HashMap::new();
    let mut waiting: HashMap<Author, Vec<(Author, u32)>> = HashMap::new();
    let mut work: VecDeque<Author> = all.keys().copied().collect();
    while let Some(author) = work.pop_front() {
        let runs = all.get(&author).map_or(&[][..], Vec::as_slice);
        let place = next.entry(author).or_default();
        let start = *place;
        while let Some(run) = runs.get(*place) {
            match known.lacks(run) {
                None => known.take(author, run),
                Some(lack) => {
                    woven.stuck.insert(author);
                    if let Lack::Of(other, clock) = lack {
                        waiting.entry(other).or_default().push((author, clock));
                    }
                    break;
                }
            }
            *place += 1;
        }
        if start == *place {
            continue;
        }
        woven.order.push((author, start..*place));
        let end = known.end(author);
        for (who, _) in waiting.entry(author).or_default().extract_if(.., |w| w.1 < end) {
            woven.stuck.remove(&who);
            work.push_back(who);
        }
    }
    waiting.retain(|_, who| !who.is_empty());
    woven.waits_for = waiting.into_keys().collect();
    woven
}
