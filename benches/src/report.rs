//! The sheets as tables for people and as JSON for programs.

use serde_json::{Map, Value, json};

use crate::sheet::{BASE, Goal, Line, OURS, Sheet, Spread, Stands, Work};
use crate::side::CANNOT;

/// Lines that are told together, under a heading.
pub struct Part {
    pub title: String,
    /// The names of the columns, as many as the cells of a line.
    pub columns: Vec<String>,
    pub works: Vec<Work>,
    pub sheet: Sheet,
}

impl Part {
    /// The lines that were asked for.
    pub fn lines(&self) -> impl Iterator<Item = (Work, &Line)> {
        self.works.iter().filter_map(|work| Some((*work, self.sheet.get(*work)?)))
    }

    /// The columns beside plain SQLite and crsql.
    fn others(&self) -> impl Iterator<Item = (usize, &String)> {
        let named = |(i, name): &(usize, &String)| *i != BASE && *i != OURS && !name.is_empty();
        self.columns.iter().enumerate().filter(named)
    }
}

/// How the run went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    reached: usize,
    within: usize,
    pub beyond: usize,
    no_goal: usize,
    /// Lines that crsql or plain SQLite could not do.
    pub missing: usize,
}

impl Tally {
    fn count(&mut self, stands: Stands) -> &'static str {
        let (count, word) = match stands {
            Stands::Reached => (&mut self.reached, "reached"),
            Stands::Within => (&mut self.within, "within"),
            Stands::Beyond => (&mut self.beyond, "BEYOND"),
            Stands::NoGoal => (&mut self.no_goal, "-"),
            Stands::NotMeasured => (&mut self.missing, ""),
        };
        *count += 1;
        word
    }

    /// The last lines: how many of what.
    pub fn print(&self) {
        let Self { reached, within, beyond, no_goal, missing } = self;
        let all = reached + within + beyond + no_goal + missing;
        println!(
            "\n{all} lines: {reached} reach the goal, {within} within what is let pass, {beyond} \
             beyond, {no_goal} without a goal, {missing} not measured"
        );
    }
}

const WIDTH: usize = 50;

/// Prints a part: plain SQLite, crsql and how they stand; then the ratios of the other sides.
pub fn print(part: &Part, tally: &mut Tally) {
    if part.lines().next().is_none() {
        return;
    }
    let (base, ours) = (&part.columns[BASE], &part.columns[OURS]);
    let mut head = format!(
        "{:WIDTH$} | {base:>10} | {ours:>12} | {:>6} {:>15} | {:>6} | {:>6} | {:>5} | {:7}",
        part.title, "ratio", "(min..max)", "wall", "MiB", "goal", "stands"
    );
    for (_, name) in part.others() {
        head += &format!(" | {name:>13}");
    }
    println!("\n{head}\n{}", "-".repeat(head.len()));
    for (work, line) in part.lines() {
        let stands = tally.count(work.1.stands(line.figure(work.1)));
        let figures = [line.amount(BASE), line.amount(OURS)];
        let text = match (figures, line.ratio(OURS, |s| s.cpu)) {
            ([Some(base), Some(ours)], Some(ratio)) => figures_of(work.1, line, base, ours, ratio),
            _ => line.error(OURS).or(line.error(BASE)).unwrap_or("it gave no figure").to_owned(),
        };
        let mut text = format!("{:WIDTH$} | {text} | {stands:7}", work.0);
        for (side, _) in part.others() {
            text += &format!(" | {:>13}", other(line, side));
        }
        println!("{}", text.trim_end());
    }
    print_reasons(part);
}

/// Why other sides have no figures, each reason once.
fn print_reasons(part: &Part) {
    for (side, name) in part.others() {
        let mut reasons: Vec<&str> = part.lines().filter_map(|(_, l)| l.error(side)).collect();
        reasons.retain(|why| *why != CANNOT);
        reasons.sort();
        reasons.dedup();
        reasons.iter().for_each(|why| println!("{name}: {why}"));
    }
}

fn figures_of(goal: Goal, line: &Line, base: f64, ours: f64, ratio: Spread) -> String {
    let wall = line.ratio(OURS, |s| s.wall).filter(|_| line.heap(OURS).is_some());
    let wall = wall.map_or("-".to_owned(), |r| format!("{:.2}", r.median));
    let heap = line.heap(OURS).map_or("-".to_owned(), |b| format!("{:.1}", b as f64 / MIB));
    let goal = goal.figure().map_or("-".to_owned(), number);
    let spread = format!("({:.2}..{:.2})", ratio.min, ratio.max);
    format!(
        "{:>10} | {:>12} | {:>6.2} {spread:>15} | {wall:>6} | {heap:>6} | {goal:>5}",
        number(base),
        number(ours),
        ratio.median
    )
}

const MIB: f64 = 1024.0 * 1024.0;

fn other(line: &Line, side: usize) -> String {
    match (line.ratio(side, |s| s.cpu), line.error(side)) {
        (Some(ratio), _) => format!("{:.2}", ratio.median),
        (None, Some(why)) => why.split(':').next().unwrap_or(why).to_owned(),
        (None, None) => "-".to_owned(),
    }
}

pub fn number(n: f64) -> String {
    let digits = if n >= 1000.0 { 0 } else { 2 };
    let text = format!("{n:.digits$}");
    match text.strip_suffix(".00") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// All parts.
pub fn json(parts: &[Part], mut about: Map<String, Value>) -> Value {
    let part = |part: &Part| {
        let lines: Vec<Value> =
            part.lines().map(|(work, line)| of_line(part, work, line)).collect();
        json!({"title": part.title, "lines": lines})
    };
    about.insert("parts".to_owned(), parts.iter().map(part).collect());
    Value::Object(about)
}

fn of_line(part: &Part, work: Work, line: &Line) -> Value {
    let Work(name, goal) = work;
    let kind = match goal {
        Goal::Times(_) | Goal::Same | Goal::Shown => "times",
        Goal::Size(_) => "size",
        Goal::Bytes(_) => "bytes",
        Goal::Growth(_) => "growth",
    };
    let sides = part.columns.iter().enumerate().filter(|(_, name)| !name.is_empty());
    let sides: Map<String, Value> =
        sides.map(|(at, name)| (name.clone(), of_side(line, at))).collect();
    let stands = format!("{:?}", goal.stands(line.figure(goal)));
    json!({
        "work": name,
        "kind": kind,
        "goal": goal.figure(),
        "limit": goal.limit(),
        "stands": stands,
        "units": line.units,
        "sides": sides,
    })
}

fn of_side(line: &Line, side: usize) -> Value {
    let spread = |r: Spread| json!({"median": r.median, "min": r.min, "max": r.max});
    json!({
        "amount": line.amount(side),
        "ratio": line.ratio(side, |s| s.cpu).map(spread),
        "wall_ratio": line.ratio(side, |s| s.wall).map(spread),
        "heap_bytes": line.heap(side),
        "error": line.error(side),
    })
}
