//! A trace as a picture: both lanes at the top, and below them every span with its name.

use std::fmt::Write as _;

use super::table::{dearest, in_order, milliseconds};
use super::{Command, Lane, Span};
use crate::svg::{escaped, text};

// Pixels.
const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 16.0;
/// Where names end and bars begin.
const NAMES: f64 = 460.0;
const ROW: f64 = 17.0;
const LANE: f64 = 26.0;
const HEAD: f64 = 54.0;

const STYLE: &str = "text{font:12px sans-serif;fill:#222}.head{font-size:16px;font-weight:bold}.small{fill:#777}\
    .parent{fill:#4878a8}.stage1{fill:#58a066}.wait{fill:#ddd;stroke:#999;stroke-dasharray:3 2}\
    .dear{stroke:#c02020;stroke-width:2}.name-dear{font-weight:bold;fill:#c02020}.grid{stroke:#e4e4e4}";

/// One command as an SVG document.
pub fn draw(command: &Command) -> String {
    let spans = in_order(&command.spans);
    let dear = dearest(&command.spans);
    let top = HEAD + 2.0 * LANE + 3.0 * ROW;
    let height = top + spans.len() as f64 * ROW + MARGIN;
    let axis = Axis::new(command);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let title = format!("pinnace {}: {} ms", command.what, milliseconds(command.length()));
    text(&mut out, "head", MARGIN, 24.0, &title);
    let id = command.trace_id.as_ref().map_or_else(String::new, |id| format!("trace id {id}; "));
    let failed = command.error.as_ref().map_or_else(String::new, |error| format!("failed: {error}; "));
    let legend = format!("{failed}{id}dashed: waits; red: the dearest; milliseconds");
    text(&mut out, "small", MARGIN, 42.0, &legend);
    grid(&mut out, &axis, height);
    for (index, lane) in [Lane::Parent, Lane::Stage1].into_iter().enumerate() {
        let y = HEAD + index as f64 * LANE;
        text(&mut out, "", MARGIN, y + 16.0, lane.name());
        for span in spans.iter().filter(|span| span.lane == lane) {
            bar(&mut out, &axis, span, y, LANE - 6.0, dear.contains(span));
        }
    }
    for (index, span) in spans.iter().enumerate() {
        let (y, is_dear) = (top + index as f64 * ROW, dear.contains(span));
        let step = span.step.map_or_else(String::new, |step| format!("{step}  "));
        let name = shortened(&format!("{step}{}", span.words));
        text(&mut out, if is_dear { "name-dear" } else { "" }, MARGIN, y + 12.0, &name);
        bar(&mut out, &axis, span, y + 1.0, ROW - 4.0, is_dear);
        let (x, time) = (axis.x(span.end) + 5.0, milliseconds(span.end - span.begin));
        // At the right edge the number stands before the bar.
        let x = if x > WIDTH - 60.0 { axis.x(span.begin) - 40.0 } else { x };
        text(&mut out, "small", x, y + 12.0, &time);
    }
    out.push_str("</svg>\n");
    out
}

/// From times to pixels.
struct Axis {
    begin: u64,
    length: f64,
}

impl Axis {
    fn new(command: &Command) -> Self {
        let end = command.spans.iter().map(|span| span.end).max().unwrap_or(command.end).max(command.end);
        Self { begin: command.begin, length: end.saturating_sub(command.begin).max(1) as f64 }
    }

    fn x(&self, time: u64) -> f64 {
        let part = time.saturating_sub(self.begin) as f64 / self.length;
        NAMES + part * (WIDTH - NAMES - MARGIN)
    }
}

/// A line at each round number of milliseconds, at most a dozen.
fn grid(out: &mut String, axis: &Axis, height: f64) {
    let mut unit: u64 = 100_000;
    while axis.length / unit as f64 > 12.0 {
        unit *= if unit.to_string().starts_with('2') { 5 } else { 2 };
    }
    let mut time = 0;
    while time as f64 <= axis.length {
        let x = axis.x(axis.begin + time);
        // Ignored here and below: writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{HEAD}\" y2=\"{:.1}\"/>",
            height - MARGIN
        );
        text(out, "small", x + 2.0, HEAD + 2.0 * LANE + ROW, &format!("{:.1}", time as f64 / 1e6));
        time += unit;
    }
}

fn bar(out: &mut String, axis: &Axis, span: &Span, y: f64, height: f64, is_dear: bool) {
    let class = match (span.is_wait, span.lane) {
        (true, _) => "wait",
        (false, Lane::Parent) => "parent",
        (false, Lane::Stage1) => "stage1",
    };
    let dear = if is_dear { " dear" } else { "" };
    let (x, end) = (axis.x(span.begin), axis.x(span.end));
    let _ = writeln!(
        out,
        "<rect class=\"{class}{dear}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\">\
         <title>{}: {} ms</title></rect>",
        (end - x).max(0.7),
        escaped(&span.words),
        milliseconds(span.end - span.begin)
    );
}

/// What fits before the bars.
fn shortened(name: &str) -> String {
    const LETTERS: usize = 66;
    match name.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
