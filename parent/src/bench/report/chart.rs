//! Pictures of numbers as SVG: distributions, bars, stacked bars, and lines. Colours are told apart by colour-blind people, too (after Okabe
//! and Ito); lines have marks of their own, and every colour stands beside its name.

use std::fmt::Write as _;

use super::super::statistics::{Figures, quantile, sorted};
use pinnace::svg::{escaped, text};

// Pixels.
const WIDTH: f64 = 880.0;
/// Where names end and values begin.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 40.0;
/// The axis below, with its title.
const AXIS: f64 = 40.0;
const LEGEND: f64 = 24.0;

/// What every picture is drawn with.
pub(super) const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.s{font-size:11px;fill:#555}.b{font-weight:600}\
    .m{font-size:11px;fill:#555;text-anchor:middle}.e{font-size:11px;fill:#555;text-anchor:end}.n{text-anchor:end}\
    .h{font-size:16px;font-weight:600}.g{stroke:#ddd}.a{stroke:#888}.l{fill:none;stroke-width:2}.w{font-size:11px;fill:#fff;text-anchor:middle}";

/// The first is ours. Each has a contrast of 3 to 1 and more on white.
const COLOURS: [&str; 8] =
    ["#0060a8", "#c44e00", "#007a5a", "#a8487e", "#7a6400", "#1f8fb8", "#5b5b5b", "#7048c0"];

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// A picture in the making.
struct Canvas {
    out: String,
    height: f64,
    label: String,
}

impl Canvas {
    fn new(height: f64, label: &str) -> Self {
        Self { out: String::new(), height, label: label.to_owned() }
    }

    /// The element with all in it.
    fn finish(self) -> String {
        let (height, label) = (self.height, escaped(&self.label));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n{}</svg>\n",
            self.out
        )
    }

    fn text(&mut self, class: &str, x: f64, y: f64, words: &str) {
        text(&mut self.out, class, x, y, words);
    }

    fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        // Ignored, here and below: writing to a String cannot fail.
        let _ = writeln!(
            self.out,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    /// A filled rectangle that tells what it is when it is pointed at.
    fn block(&mut self, colour: &str, [x, y]: [f64; 2], [width, height]: [f64; 2], title: &str) {
        let title = escaped(title);
        let width = width.max(0.7);
        let _ = writeln!(
            self.out,
            "<rect fill=\"{colour}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{title}</title></rect>"
        );
    }

    /// Names with the places of their colours, in one line at the top.
    fn legend<'a>(&mut self, names: impl Iterator<Item = (usize, &'a str)>) {
        let mut x = LEFT;
        for (place, name) in names {
            self.mark(place, x + 5.0, 12.0);
            self.text("", x + 15.0, 16.0, name);
            x += 32.0 + 7.5 * name.chars().count() as f64;
        }
    }

    /// A mark of a form of its own for each of four colours.
    fn mark(&mut self, index: usize, x: f64, y: f64) {
        let fill = colour(index);
        let _ = match index % 4 {
            0 => writeln!(self.out, "<circle fill=\"{fill}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"),
            1 => writeln!(self.out, "<path fill=\"{fill}\" d=\"M{:.1} {:.1}h8v8h-8z\"/>", x - 4.0, y - 4.0),
            2 => writeln!(self.out, "<path fill=\"{fill}\" d=\"M{x:.1} {:.1}l5 9h-10z\"/>", y - 5.0),
            _ => writeln!(self.out, "<path fill=\"{fill}\" d=\"M{x:.1} {:.1}l5 5l-5 5l-5 -5z\"/>", y - 5.0),
        };
    }

    /// Values from left to right, with a line at each round number from `top` to `bottom`.
    fn axis(&mut self, scale: &Scale, [top, bottom]: [f64; 2], unit: &str) {
        for tick in scale.ticks() {
            let x = scale.x(tick);
            self.line("g", [x, top], [x, bottom]);
            self.text("m", x, bottom + 15.0, &number(tick));
        }
        self.line("a", [LEFT, bottom], [WIDTH - RIGHT, bottom]);
        self.text("m", (LEFT + WIDTH - RIGHT) / 2.0, bottom + 32.0, unit);
    }
}

/// From values to pixels; begins at 0.
struct Scale {
    end: f64,
}

impl Scale {
    fn to(end: f64) -> Self {
        Self { end: if end > 0.0 { end } else { 1.0 } }
    }

    fn part(&self, value: f64) -> f64 {
        (value / self.end).clamp(0.0, 1.0)
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.part(value) * (WIDTH - LEFT - RIGHT)
    }

    /// Round numbers, eight at most.
    fn ticks(&self) -> Vec<f64> {
        let (mut step, mut factors) = (1e-6, [2.0, 2.5, 2.0].iter().cycle());
        // A little more, since such steps are not exact.
        while self.end / step > 8.000_001 {
            step *= factors.next().unwrap_or(&2.0);
        }
        (0..=(self.end / step + 1e-6) as u32).map(|index| f64::from(index) * step).collect()
    }
}

/// Without zeros that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `12.3` or `4.10`: three digits or more.
fn figure(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

/// A name with its colour's place, and milliseconds.
pub(super) struct Sampled<'a> {
    pub(super) name: &'a str,
    pub(super) colour: usize,
    pub(super) values: &'a [f64],
}

/// For each row the shape of its distribution; below it a line from the least to p99, thick from the first quartile to the third, with the
/// median as a dot. The axis ends at the greatest p99.
pub(super) fn distributions(label: &str, rows: &[Sampled<'_>]) -> String {
    const ROW: f64 = 58.0;
    const BINS: usize = 100;
    const SHAPE: f64 = 34.0;
    let bottom = 8.0 + ROW * rows.len() as f64;
    let mut canvas = Canvas::new(bottom + AXIS, label);
    let p99 = rows.iter().filter_map(|row| quantile(&sorted(row.values), 0.99)).fold(0.0, f64::max);
    let scale = Scale::to(p99 * 1.02);
    canvas.axis(&scale, [4.0, bottom], "milliseconds");
    for (index, row) in rows.iter().enumerate() {
        let (fill, base) = (colour(row.colour), 8.0 + ROW * index as f64 + SHAPE + 6.0);
        let values = sorted(row.values);
        let Some(figures) = Figures::of(&values) else { continue };
        let mut bins = [0u32; BINS];
        for value in &values {
            if let Some(bin) = bins.get_mut((value / scale.end * BINS as f64) as usize) {
                *bin += 1;
            }
        }
        let most = f64::from(bins.iter().copied().max().unwrap_or(0).max(1));
        let (mut path, mut before) = (format!("M{LEFT} {base}"), 0);
        for (bin, &count) in bins.iter().enumerate() {
            if count == before {
                continue;
            }
            before = count;
            let left = scale.x(bin as f64 / BINS as f64 * scale.end);
            let _ = write!(path, "H{left:.1}V{:.1}", base - f64::from(count) / most * SHAPE);
        }
        let _ = write!(path, "H{:.1}", WIDTH - RIGHT);
        let _ = writeln!(canvas.out, "<path fill=\"{fill}\" fill-opacity=\".45\" d=\"{path}V{base}z\"/>");
        let [first, third] = [0.25, 0.75].map(|share| scale.x(quantile(&values, share).unwrap_or(0.0)));
        let y = base + 7.0;
        let from = scale.x(figures.minimum);
        canvas.block(fill, [from, y - 0.5], [scale.x(figures.p99) - from, 1.0], "min to p99");
        canvas.block(fill, [first, y - 2.5], [third - first, 5.0], "half of all");
        let _ = writeln!(
            canvas.out,
            "<circle fill=\"#fff\" stroke=\"{fill}\" stroke-width=\"2\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>",
            scale.x(figures.median)
        );
        canvas.text("b n", LEFT - 10.0, base - 14.0, row.name);
        let words = format!("median {}, p99 {}", figure(figures.median), figure(figures.p99));
        canvas.text("e", LEFT - 10.0, base + 2.0, &words);
    }
    canvas.finish()
}

/// A title, and bars with a name, their colour's place, and a value.
pub(super) struct BarGroup<'a> {
    pub(super) title: String,
    pub(super) bars: Vec<(&'a str, usize, f64)>,
}

/// Bars from left to right, by group, on one axis.
pub(super) fn bars(title: &str, groups: &[BarGroup<'_>]) -> String {
    const BAR: f64 = 20.0;
    const HEAD: f64 = 26.0;
    let mut y = 34.0;
    let heights = groups.iter().map(|group| HEAD + 8.0 + BAR * group.bars.len() as f64);
    let bottom = y + heights.sum::<f64>();
    let mut canvas = Canvas::new(bottom + AXIS, title);
    let most = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.2).fold(0.0, f64::max);
    // Room for the number behind the longest.
    let scale = Scale::to(most * 1.08);
    canvas.text("h", 12.0, 22.0, title);
    canvas.axis(&scale, [y, bottom], "milliseconds, median; less is better");
    for group in groups {
        canvas.text("b", 12.0, y + 18.0, &group.title);
        y += HEAD;
        for (name, place, value) in &group.bars {
            canvas.text("n", LEFT - 10.0, y + 13.0, name);
            let words = format!("{name}: {} ms", figure(*value));
            canvas.block(colour(*place), [LEFT, y + 2.0], [scale.x(*value) - LEFT, BAR - 5.0], &words);
            canvas.text("s", scale.x(*value) + 5.0, y + 13.0, &figure(*value));
            y += BAR;
        }
        y += 8.0;
    }
    canvas.finish()
}

/// A bar for each row, made of parts one behind the other; `parts` names them.
pub(super) fn stacked(label: &str, parts: &[&str], rows: &[(&str, Vec<f64>)]) -> String {
    const ROW: f64 = 34.0;
    let bottom = LEGEND + 10.0 + ROW * rows.len() as f64;
    let mut canvas = Canvas::new(bottom + AXIS, label);
    let most = rows.iter().map(|(_, values)| values.iter().sum()).fold(0.0, f64::max);
    let scale = Scale::to(most * 1.08);
    canvas.legend(parts.iter().copied().enumerate());
    canvas.axis(&scale, [LEGEND, bottom], "milliseconds, sum of medians");
    for (index, (name, values)) in rows.iter().enumerate() {
        let y = LEGEND + 8.0 + ROW * index as f64;
        canvas.text("b n", LEFT - 10.0, y + 17.0, name);
        let mut sum = 0.0;
        for (place, value) in values.iter().enumerate() {
            let (from, to) = (scale.x(sum), scale.x(sum + value));
            let words = format!("{}: {} ms", parts.get(place).unwrap_or(&""), figure(*value));
            canvas.block(colour(place), [from, y], [to - from, ROW - 9.0], &words);
            if to - from > 30.0 {
                canvas.text("w", (from + to) / 2.0, y + 16.0, &figure(*value));
            }
            sum += value;
        }
        canvas.text("s", scale.x(sum) + 5.0, y + 17.0, &figure(sum));
    }
    canvas.finish()
}

/// How the places below a line chart are spread.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Spread {
    /// As the numbers are.
    ByValue,
    /// One as far from the next as any other.
    Evenly,
}

/// What is below, and how it is called; what the heights are.
pub(super) struct Axes<'a> {
    pub(super) places: Vec<f64>,
    pub(super) spread: Spread,
    pub(super) below: &'a str,
    pub(super) beside: &'a str,
}

/// A name with its colour's place, and a point for each place or none.
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    pub(super) colour: usize,
    pub(super) points: Vec<Option<f64>>,
}

/// Curves over one axis below; the one on the left begins at 0.
pub(super) fn lines(label: &str, axes: &Axes<'_>, curves: &[Curve<'_>]) -> String {
    const HEIGHT: f64 = 300.0;
    const FROM: f64 = 70.0;
    let (top, bottom) = (LEGEND + 22.0, HEIGHT - AXIS);
    let mut canvas = Canvas::new(HEIGHT, label);
    let most = curves.iter().flat_map(|curve| curve.points.iter().flatten()).copied().fold(0.0, f64::max);
    let heights = Scale::to(most * 1.05);
    let y = |value: f64| bottom - heights.part(value) * (bottom - top);
    let count = axes.places.len();
    let last = axes.places.last().copied().unwrap_or(0.0).max(1.0);
    let x = |index: usize| {
        let part = match axes.spread {
            Spread::Evenly => (index as f64 + 0.5) / count.max(1) as f64,
            Spread::ByValue => axes.places[index] / last,
        };
        FROM + part * (WIDTH - FROM - RIGHT)
    };
    for tick in heights.ticks() {
        canvas.line("g", [FROM, y(tick)], [WIDTH - RIGHT, y(tick)]);
        canvas.text("e", FROM - 8.0, y(tick) + 4.0, &number(tick));
    }
    // A dozen numbers have room below.
    for index in (0..count).step_by(count.div_ceil(12).max(1)) {
        canvas.text("m", x(index), bottom + 15.0, &number(axes.places[index].round()));
    }
    canvas.text("m", (FROM + WIDTH - RIGHT) / 2.0, bottom + 32.0, axes.below);
    canvas.text("s", 12.0, top - 10.0, axes.beside);
    canvas.legend(curves.iter().map(|curve| (curve.colour, curve.name)));
    for curve in curves {
        let known =
            curve.points.iter().enumerate().filter_map(|(index, point)| point.map(|value| (index, value)));
        let known: Vec<(f64, f64, f64)> = known.map(|(index, value)| (x(index), y(value), value)).collect();
        let path: Vec<String> = known.iter().map(|(x, y, _)| format!("{x:.1} {y:.1}")).collect();
        let (stroke, path) = (colour(curve.colour), path.join("L"));
        if !path.is_empty() {
            let _ = writeln!(canvas.out, "<path class=\"l\" stroke=\"{stroke}\" d=\"M{path}\"/>");
        }
        // Many points are a line already.
        if count <= 12 {
            known.iter().for_each(|(x, y, _)| canvas.mark(curve.colour, *x, *y));
        }
    }
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (end, expected) in [
            (7.5, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
            (9.0, vec![0.0, 2.0, 4.0, 6.0, 8.0]),
            (35.0, vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0]),
            (1.0, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ] {
            let ticks = Scale::to(end).ticks();
            assert_eq!(ticks.len(), expected.len(), "{end}: {ticks:?}");
            assert!(
                ticks.iter().zip(&expected).all(|(tick, expected)| (tick - expected).abs() < 1e-9),
                "{end}: {ticks:?}"
            );
        }
    }

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!([number(0.0), number(0.25), number(100.0)], ["0", "0.25", "100"]);
        assert_eq!([figure(4.1), figure(12.34)], ["4.10", "12.3"]);
    }
}
