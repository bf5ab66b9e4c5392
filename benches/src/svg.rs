//! The main part of a run as a picture: for each line a bar for every side, as long as its ratio to
//! plain SQLite on a logarithmic scale, and a tick where the goal stands.

use std::fmt::Write as _;

use crate::report::{Part, number};
use crate::sheet::{BASE, Line, OURS, Work};

const WIDTH: f64 = 860.0;
/// Where the bars begin and end.
const LEFT: f64 = 300.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 70.0;
const BAR: f64 = 9.0;
const GAP: f64 = 9.0;
/// The scale, in ratios.
const LEAST: f64 = 0.1;
const MOST: f64 = 100.0;

/// Colours that can be seen on white and on black, by column; plain SQLite is the line at 1.
const COLOURS: [&str; 6] = ["#888888", "#c98a1b", "#3b82f6", "#a05fd0", "#2f9e62", "#d0526a"];

const STYLE: &str = "<style>
  text { font: 12px sans-serif; fill: #24292f }
  .small { font-size: 10px }
  .grid { stroke: #88888855 }
  .one { stroke: #888888 }
  .goal { stroke: #d1242f; stroke-width: 2 }
  @media (prefers-color-scheme: dark) { text { fill: #d0d7de } .goal { stroke: #ff7b72 } }
</style>
";

fn x(ratio: f64) -> f64 {
    let part = (ratio.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln();
    LEFT + part * (RIGHT - LEFT)
}

fn text(x: f64, y: f64, more: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\"{more}>{words}</text>\n")
}

fn line(x: f64, from: f64, to: f64, class: &str) -> String {
    format!("<path class=\"{class}\" d=\"M{x:.1} {from:.1}V{to:.1}\"/>\n")
}

/// The sides that have bars.
fn sides(part: &Part) -> impl Iterator<Item = (usize, &str)> {
    let names = part.columns.iter().map(String::as_str).enumerate();
    names.filter(|(side, _)| *side != BASE)
}

/// The bars of a line, from `y` on; what follows begins at the height that is given back.
fn group(part: &Part, work: Work, measured: &Line, mut y: f64, out: &mut String) -> f64 {
    let top = y;
    *out += &text(LEFT - 8.0, y + BAR, " text-anchor=\"end\"", work.0);
    for (side, _) in sides(part) {
        let Some(ratio) = measured.ratio(side, |s| s.cpu) else { continue };
        let (from, to) = (x(1.0), x(ratio.median));
        let (colour, width) = (COLOURS[side % COLOURS.len()], (to - from).abs().max(1.0));
        let _ = writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" \
             fill=\"{colour}\"/>",
            from.min(to)
        );
        let end = from.max(to) + 4.0;
        *out += &text(end, y + BAR, " class=\"small\"", &number(ratio.median));
        y += BAR + 1.0;
    }
    if let Some(goal) = work.1.figure() {
        let base = measured.amount(BASE).unwrap_or(1.0);
        let goal = if matches!(work.1, crate::sheet::Goal::Bytes(_)) { goal / base } else { goal };
        *out += &line(x(goal), top - 2.0, y + 1.0, "goal");
    }
    y + GAP
}

/// The legend: a square and a name for each side, and the tick.
fn legend(part: &Part) -> String {
    let (mut out, mut at) = (String::new(), LEFT);
    for (side, name) in sides(part) {
        let colour = COLOURS[side % COLOURS.len()];
        let _ = writeln!(
            out,
            "<rect x=\"{at}\" y=\"34\" width=\"10\" height=\"10\" fill=\"{colour}\"/>"
        );
        out += &text(at + 14.0, 43.0, "", name);
        at += 34.0 + 7.0 * name.len() as f64;
    }
    out + &line(at, 33.0, 45.0, "goal") + &text(at + 6.0, 43.0, "", "goal")
}

/// The whole picture. Lines without a goal are not in it.
pub fn picture(part: &Part, about: &str) -> String {
    let mut bars = String::new();
    let mut y = TOP;
    let with_goal = |(work, line): &(Work, &Line)| {
        work.1.figure().is_some() && line.ratio(OURS, |s| s.cpu).is_some()
    };
    for (work, measured) in part.lines().filter(with_goal) {
        y = group(part, work, measured, y, &mut bars);
    }
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         viewBox=\"0 0 {WIDTH} {y:.0}\">\n{STYLE}"
    );
    out += &text(8.0, 20.0, "", &format!("Processor time or size, plain SQLite being 1. {about}"));
    out += &legend(part);
    for mark in [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0] {
        let class = if mark == 1.0 { "one" } else { "grid" };
        out += &line(x(mark), TOP - 6.0, y - GAP / 2.0, class);
        let more = " class=\"small\" text-anchor=\"middle\"";
        out += &text(x(mark), TOP - 9.0, more, &mark.to_string());
    }
    out + &bars + "</svg>\n"
}
