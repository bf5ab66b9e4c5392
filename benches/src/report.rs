//! The sheet as a table for people and as JSON for programs.

use serde_json::{Map, Value, json};

use crate::sheet::{Goal, Outcome, Sheet, Work};

/// How the run went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Lines that reach their goal.
    pub reached: usize,
    /// Lines above the goal and within what is let pass.
    pub near: usize,
    /// Lines above that.
    pub beyond: usize,
    /// Lines without a goal.
    pub shown: usize,
    /// Lines that could not be measured.
    pub missing: usize,
}

impl Tally {
    fn count(&mut self, work: Work, outcome: &Outcome) -> &'static str {
        let Some(figure) = outcome.figure(work.1) else {
            self.missing += 1;
            return "";
        };
        let (Some(goal), Some(limit)) = (work.1.figure(), work.1.limit()) else {
            self.shown += 1;
            return "-";
        };
        if figure <= goal {
            self.reached += 1;
            "reached"
        } else if figure <= limit {
            self.near += 1;
            "within"
        } else {
            self.beyond += 1;
            "BEYOND"
        }
    }
}

const WIDTH: usize = 50;

/// Prints one part of the sheet under a heading; `small` and `large` name the two sides.
pub fn print(sheet: &Sheet, works: &[Work], heads: [&str; 3], tally: &mut Tally) {
    let [title, small, large] = heads;
    println!(
        "\n{title:WIDTH$} | {small:>10} | {large:>10} | {:>6} {:>13} | {:>5} | stands",
        "ratio", "(min..max)", "goal"
    );
    println!("{}", "-".repeat(WIDTH + 65));
    for work in works {
        let Work(name, goal) = *work;
        let Some(outcome) = sheet.get(name) else { continue };
        let verdict = tally.count(*work, outcome);
        let aim = goal.figure().map_or("-".to_owned(), number);
        match (outcome, outcome.sides(), outcome.ratio()) {
            (Outcome::Missing(f), ..) => println!("{name:WIDTH$} | not available: {f}"),
            (Outcome::Failed(why), ..) => println!("{name:WIDTH$} | FAILED: {why}"),
            (_, Some((a, b)), Some(r)) => println!(
                "{name:WIDTH$} | {:>10} | {:>10} | {:>6.2} {:>13} | {aim:>5} | {verdict}",
                number(a),
                number(b),
                r.median,
                format!("({:.2}..{:.2})", r.min, r.max),
            ),
            _ => println!("{name:WIDTH$} | FAILED: it gave no figure"),
        }
    }
}

fn number(n: f64) -> String {
    let digits = if n >= 1000.0 { 0 } else { 2 };
    let text = format!("{n:.digits$}");
    match text.strip_suffix(".00") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// The last lines: how many of what.
pub fn print_tally(t: &Tally) {
    let all = t.reached + t.near + t.beyond + t.shown + t.missing;
    println!(
        "\n{all} lines: {} reach the goal, {} within what is let pass, {} beyond, {} without a \
         goal, \
         {} not measured",
        t.reached, t.near, t.beyond, t.shown, t.missing
    );
}

/// The whole sheet.
pub fn json(sheet: &Sheet, works: &[Work], about: Map<String, Value>) -> Value {
    let lines = works.iter().filter_map(|w| {
        let outcome = sheet.get(w.0)?;
        Some(line(*w, outcome))
    });
    let mut out = about;
    out.insert("lines".to_owned(), lines.collect());
    Value::Object(out)
}

fn line(work: Work, outcome: &Outcome) -> Value {
    let Work(name, goal) = work;
    let kind = match goal {
        Goal::Times(_) | Goal::Shown => "times",
        Goal::Size(_) => "size",
        Goal::Bytes(_) => "bytes",
        Goal::Growth(_) => "growth",
    };
    let error = match outcome {
        Outcome::Missing(f) => Some(format!("not available: {f}")),
        Outcome::Failed(why) => Some(why.clone()),
        _ => None,
    };
    let spread = |r: crate::sheet::Spread| json!({"median": r.median, "min": r.min, "max": r.max});
    json!({
        "work": name,
        "kind": kind,
        "goal": goal.figure(),
        "limit": goal.limit(),
        "sides": outcome.sides().map(|(a, b)| json!([a, b])),
        "ratio": outcome.ratio().map(spread),
        "wall_ratio": outcome.wall_ratio().map(spread),
        "error": error,
    })
}
