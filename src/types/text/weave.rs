//! In which order the runs of all authors can be put together: none before what it stands beside.
//! What names a character that is not there waits, and so does all that its author typed later.
//!
//! yrs can queue such things itself, and loses some of them; it is never given any.
//!
//! Nor is it given a run between neighbours that were never neighbours. Each character is *behind*
//! the one to its left when it was typed, and behind all that that one is behind. A text has each
//! character, then all that is behind it, before anything else. So where two are next to each
//! other, the left one is what the right one was typed at, or is behind that; and it is not the
//! right one itself, nor behind it. Where this holds for all runs, yrs gives one order, whatever
//! came first; where it does not, which only a liar writes, the order would depend on that. It is
//! decided by what the parts say and by nothing else.

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
    lines: Vec<Line>,
}

/// Characters of one author, of which each was typed at the one before: to the next line's clock.
#[derive(Debug)]
struct Line {
    clock: u32,
    /// What the first was typed at.
    left: Option<Id>,
    /// How many lines this one is behind.
    depth: u32,
    /// A character far up among those that it is behind, so that a way up has few steps, however
    /// deep a liar builds.
    far: Option<Id>,
}

/// The characters that are there.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Author, Characters>);

/// Why a run cannot be put in.
enum Lack {
    /// Something of this author is not there.
    Of(Author, u32),
    /// It stands in the middle of a character, or beside what never were neighbours. No site
    /// writes that.
    Never,
}

impl Known {
    /// The clock behind the last of an author.
    pub fn end(&self, author: Author) -> u32 {
        self.0.get(&author).map_or(0, |c| c.end)
    }

    /// Takes a run that was put in.
    pub fn take(&mut self, author: Author, run: &Run) {
        let last = run.clock.checked_sub(1).map(|clock| Id { author, clock });
        let line = (last.is_none() || run.left != last).then(|| self.line_at(run));
        let characters = self.0.entry(author).or_default();
        characters.lines.extend(line);
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
        (left || right || !self.were_neighbours(run.left, run.right)).then_some(Lack::Never)
    }

    /// The line that a character is of.
    fn line(&self, id: Id) -> Option<&Line> {
        let lines = &self.0.get(&id.author)?.lines;
        lines.get(lines.partition_point(|l| l.clock <= id.clock).checked_sub(1)?)
    }

    /// The line that a run begins. Its `far` is one step up, or where two as long ones lead.
    fn line_at(&self, run: &Run) -> Line {
        let (clock, left) = (run.clock, run.left);
        let Some(up) = left.and_then(|id| self.line(id)) else {
            return Line { clock, left, depth: 0, far: None };
        };
        let one = up.far.and_then(|id| self.line(id));
        let two = one.and_then(|one| self.line(one.far?));
        let even = one.zip(two).is_some_and(|(a, b)| up.depth - a.depth == a.depth - b.depth);
        let far = if even { one.and_then(|one| one.far) } else { left };
        Line { clock, left, depth: up.depth + 1, far }
    }

    /// Whether two can ever have been next to each other; both are there.
    fn were_neighbours(&self, left: Option<Id>, right: Option<Id>) -> bool {
        let Some((right, line)) = right.and_then(|id| Some((id, self.line(id)?))) else {
            return true;
        };
        let typed_at = match right.clock == line.clock {
            true => line.left,
            false => Some(Id { clock: right.clock - 1, ..right }),
        };
        let Some(left) = left else { return typed_at.is_none() };
        typed_at.is_none_or(|at| self.is_behind(left, at)) && !self.is_behind(left, right)
    }

    /// Whether a character is another, or behind it.
    fn is_behind(&self, mut id: Id, other: Id) -> bool {
        let Some(goal) = self.line(other) else { return false };
        while let Some(line) = self.line(id) {
            if line.depth <= goal.depth {
                let same = id.author == other.author && line.clock == goal.clock;
                return same && id.clock >= other.clock;
            }
            let far = line.far.filter(|f| self.line(*f).is_some_and(|l| l.depth >= goal.depth));
            let Some(up) = far.or(line.left) else { return false };
            id = up;
        }
        false
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
