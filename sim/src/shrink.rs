//! A case that fails is made as small as it can be while it still fails in the same way.

use crate::case::{Case, Step};
use crate::template::Template;
use crate::{fork, judge};

/// What kind of failure a sentence tells of: its words, without numbers, names and values.
fn kind(sentence: &str) -> String {
    let line = sentence.lines().next().unwrap_or_default();
    let words = line.split_whitespace().filter(|w| w.chars().all(|c| c.is_ascii_lowercase()));
    words.take(6).collect::<Vec<_>>().join(" ")
}

/// The trace of a case, or what is wrong with it. There are the machines of one template at a time.
pub fn outcome(case: &Case, template: &mut Option<Template>) -> Result<u64, String> {
    let made = match template.take().filter(|t| t.fits(case)) {
        Some(made) => made,
        None => Template::new(case)?,
    };
    let template = template.insert(made);
    fork::run(|| judge::run(case, template))
}

/// What is wrong with a case, if anything is.
pub fn failure(case: &Case, template: &mut Option<Template>) -> Option<String> {
    outcome(case, template).err()
}

struct Shrinker {
    kind: String,
    template: Option<Template>,
}

impl Shrinker {
    fn fails(&mut self, case: &Case) -> bool {
        failure(case, &mut self.template).is_some_and(|e| kind(&e) == self.kind)
    }

    /// Leaves out what can be left out of a list, in large pieces first.
    fn list<T: Clone>(&mut self, all: &[T], mut with: impl FnMut(&[T]) -> Case) -> Vec<T> {
        let mut all = all.to_vec();
        let mut piece = all.len().div_ceil(2);
        while piece > 0 && !all.is_empty() {
            let mut at = 0;
            while at < all.len() {
                let mut less = all.clone();
                less.drain(at..(at + piece).min(all.len()));
                if self.fails(&with(&less)) {
                    all = less;
                } else {
                    at += piece;
                }
            }
            piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
        }
        all
    }
}

/// The smallest case found that fails like this one.
pub fn shrink(case: &Case, sentence: &str, template: Option<Template>) -> (Case, Option<Template>) {
    let mut shrinker = Shrinker { kind: kind(sentence), template };
    let mut case = case.clone();
    loop {
        let before = case.clone();
        let whole = case.clone();
        case.steps =
            shrinker.list(&whole.steps, |steps| Case { steps: steps.to_vec(), ..whole.clone() });
        for n in 0..case.steps.len() {
            let whole = case.clone();
            let Step::Sql { at, conn, list } = &whole.steps[n] else { continue };
            let with = |list: &[String]| {
                let mut less = whole.clone();
                less.steps[n] = Step::Sql { at: *at, conn: *conn, list: list.to_vec() };
                less
            };
            let list = shrinker.list(list, with);
            case.steps[n] = Step::Sql { at: *at, conn: *conn, list };
        }
        let whole = case.clone();
        case.setup =
            shrinker.list(&whole.setup, |setup| Case { setup: setup.to_vec(), ..whole.clone() });
        let used = case.steps.iter().map(Step::highest).max().unwrap_or(0);
        for replicas in 2.max(used + 1)..case.replicas {
            let less = Case { replicas, ..case.clone() };
            if shrinker.fails(&less) {
                case = less;
                break;
            }
        }
        if case == before {
            return (case, shrinker.template);
        }
    }
}
