//! Results as one page for a browser: everything is in it, nothing is loaded and nothing runs.

use std::fmt::Write as _;

use super::super::statistics::Figures;
use super::super::{LIFECYCLE, Runtime, Sample, Wave};
use super::chart::{self, Axes, BarGroup, Curve, Sampled, Spread};
use super::{Group, Results, Row, groups, table, wall};
use pinnace::svg::escaped;
use pinnace::trace;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:920px;margin:2rem auto;padding:0 1rem}\
    h1{font-size:1.6rem;margin-bottom:0}h2{margin-top:2.5rem;border-bottom:1px solid #ccc}h3{margin-bottom:.3rem}svg,img{width:100%;height:auto}\
    table{border-collapse:collapse;margin:.5rem 0;font-size:.9rem}td,th{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #e4e4e4}\
    td:first-child,th:first-child{text-align:left}.facts td{text-align:left}.note{color:#555;font-size:.9rem;margin:.2rem 0}.warn{color:#9a3412}\
    summary{cursor:pointer;font-size:.9rem;color:#555}";

/// The whole page.
pub(super) fn page(results: &Results) -> String {
    let mut page = Page { results, groups: groups(results), out: String::new() };
    page.head();
    page.overview();
    page.commands();
    page.phases();
    page.idle();
    page.parallel();
    page.burst();
    page.out.push_str("</body>\n</html>\n");
    page.out
}

/// The medians as a picture of its own.
pub(super) fn summary(results: &Results) -> String {
    let picture = medians(results, &groups(results));
    let background = "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>";
    picture.replacen(">\n", &format!(">\n<style>{}</style>\n{background}\n", chart::STYLE), 1)
}

/// Of each workload the whole, as it was measured by itself.
fn medians(results: &Results, groups: &[Group<'_>]) -> String {
    let is_whole = |group: &&Group<'_>| {
        group.condition.idle.is_none() && ["run", "exec", LIFECYCLE[0]].contains(&group.command)
    };
    let wholes = groups.iter().filter(is_whole).map(|group| bars(results, group));
    chart::bars("Time of the whole command", &wholes.collect::<Vec<_>>())
}

fn bars<'a>(results: &Results, group: &Group<'a>) -> BarGroup<'a> {
    let bar = |row: &Row<'a>| (row.runtime, colour_of(results, row.runtime), row.wall.median);
    BarGroup { title: group.title(), bars: group.rows.iter().map(bar).collect() }
}

fn colour_of(results: &Results, runtime: &str) -> usize {
    results.runtimes.iter().position(|other| other.name == runtime).unwrap_or(0)
}

struct Page<'a> {
    results: &'a Results,
    groups: Vec<Group<'a>>,
    out: String,
}

impl Page<'_> {
    fn line(&mut self, html: &str) {
        self.out.push_str(html);
        self.out.push('\n');
    }

    /// A paragraph; the words are text.
    fn note(&mut self, words: &str) {
        self.line(&format!("<p class=\"note\">{}</p>", escaped(words)));
    }

    fn head(&mut self) {
        self.line("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
        self.line("<meta name=\"viewport\" content=\"width=device-width\">\n<title>pinnace bench</title>");
        self.line(&format!("<style>{STYLE}{}</style>\n</head>\n<body>", chart::STYLE));
        self.line("<h1>Container runtimes, side by side</h1>");
        self.note("Time of whole commands as their caller sees them: from before a command is started until it is waited for.");
        if let Some(warning) = self.results.request.machine.warning() {
            self.line(&format!("<p class=\"warn\">{}</p>", escaped(&warning)));
        }
        for missing in &self.results.missing {
            let [runtime, what, reason] =
                [&missing.runtime, &missing.what, &missing.reason].map(|text| escaped(text));
            self.line(&format!("<p class=\"warn\">Not compared: <b>{runtime}</b>, {what}: {reason}</p>"));
        }
        self.line("<table class=\"facts\">");
        for (name, words) in table::facts(self.results) {
            self.line(&format!("<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(&words)));
        }
        self.line("</table>");
    }

    fn overview(&mut self) {
        if self.groups.iter().any(|group| group.condition.idle.is_none()) {
            let picture = medians(self.results, &self.groups);
            self.line(&picture);
        }
    }

    fn commands(&mut self) {
        let groups = std::mem::take(&mut self.groups);
        let by_themselves = |group: &&Group<'_>| group.condition.idle.is_none();
        if groups.iter().any(|group| by_themselves(&group)) {
            self.line("<h2>Commands</h2>");
            self.note(
                "Each shape shows how often which time was measured. Below it: a line from the least time to the 99th percentile, thick for \
                 the half in the middle, with the median as a ring. In every round each runtime had one turn, in an order of chance.",
            );
        }
        for group in groups.iter().filter(by_themselves) {
            self.line(&format!("<h3>{}</h3>", escaped(&group.title())));
            let rows: Vec<Sampled<'_>> = group
                .rows
                .iter()
                .map(|row| Sampled {
                    name: row.runtime,
                    colour: colour_of(self.results, row.runtime),
                    values: &row.values,
                })
                .collect();
            self.line(&chart::distributions(&group.title(), &rows));
            self.line(&table::of_group(group).html());
        }
        self.groups = groups;
    }

    /// What a life is made of, and where the time of one start of ours goes.
    fn phases(&mut self) {
        let parts = &LIFECYCLE[1..];
        let lives: Vec<_> = self
            .groups
            .iter()
            .filter(|group| group.command == LIFECYCLE[0] && group.condition.idle.is_none())
            .map(|group| (group.condition, group.rows.iter().map(|row| row.runtime).collect::<Vec<_>>()))
            .collect();
        if !lives.is_empty() || self.results.trace.is_some() {
            self.line("<h2>Phases</h2>");
        }
        for (condition, runtimes) in lives {
            let median = |runtime: &str, part: &str| {
                let is_it = |group: &&Group<'_>| group.command == part && group.condition == condition;
                let group = self.groups.iter().find(is_it)?;
                group.rows.iter().find(|row| row.runtime == runtime).map(|row| row.wall.median)
            };
            let rows: Vec<(&str, Vec<f64>)> = runtimes
                .iter()
                .map(|runtime| {
                    (*runtime, parts.iter().map(|part| median(runtime, part).unwrap_or(0.0)).collect())
                })
                .collect();
            let title = format!("The life of a detached container, {}", condition.words());
            let picture = chart::stacked(&title, parts, &rows);
            self.line(&format!("<h3>{}</h3>\n{picture}", escaped(&title)));
        }
        let drawn = self.results.trace.as_deref().and_then(|text| trace::read(text).ok());
        if let Some(command) = drawn.as_ref().and_then(|(commands, _)| commands.last()) {
            self.line("<h3>One start of pinnace, step by step</h3>");
            self.note("One run of its own under --trace, not one of those above.");
            // As an image: its style sheet is not this page's.
            let picture = in_address(&trace::draw(command));
            self.line(&format!("<img alt=\"steps of one start\" src=\"data:image/svg+xml,{picture}\">"));
        }
    }

    fn idle(&mut self) {
        let counts = &self.results.request.idle;
        if counts.is_empty() {
            return;
        }
        self.line("<h2>Beside idle containers</h2>");
        self.note(
            "Medians, back to back, while so many containers of the same runtime were idle; one runtime after the other, since each had \
             containers of its own.",
        );
        for command in ["run", "exec", "state", "list"] {
            let median = |runtime: &str, count: u32| {
                let is_it =
                    |group: &&Group<'_>| group.command == command && group.condition.idle == Some(count);
                let row = self.groups.iter().find(is_it)?.rows.iter().find(|row| row.runtime == runtime)?;
                Some(row.wall.median)
            };
            let curves: Vec<Curve<'_>> =
                curves(self.results, |runtime| counts.iter().map(|&count| median(runtime, count)).collect());
            let axes = Axes {
                places: counts.iter().copied().map(f64::from).collect(),
                spread: Spread::ByValue,
                below: "idle containers",
                beside: "milliseconds",
            };
            let title = format!("{command}, by the number of idle containers");
            let picture = chart::lines(&title, &axes, &curves);
            self.line(&format!("<h3>{command}</h3>\n{picture}"));
        }
        let groups = std::mem::take(&mut self.groups);
        self.line("<details><summary>The figures</summary>");
        for group in groups.iter().filter(|group| group.condition.idle.is_some()) {
            self.line(&format!("<h3>{}</h3>", escaped(&group.title())));
            self.line(&table::of_group(group).html());
        }
        self.line("</details>");
        self.groups = groups;
    }

    fn parallel(&mut self) {
        let (waves, counts) = (&self.results.waves, &self.results.request.parallel);
        if counts.is_empty() {
            return;
        }
        self.line("<h2>Many starts at once</h2>");
        for (title, beside, value) in [
            ("Throughput", "containers per second; more is better", PER_SECOND),
            ("The slowest of a hundred", "milliseconds, p99; less is better", SLOWEST),
        ] {
            let of = |runtime: &str, count: u32| {
                waves.iter().find(|wave| wave.runtime == runtime && wave.at_once == count).and_then(value)
            };
            let curves =
                curves(self.results, |runtime| counts.iter().map(|&count| of(runtime, count)).collect());
            let axes = Axes {
                places: counts.iter().copied().map(f64::from).collect(),
                spread: Spread::Evenly,
                below: "starts at once",
                beside,
            };
            let picture = chart::lines(title, &axes, &curves);
            self.line(&format!("<h3>{title}</h3>\n{picture}"));
        }
        self.line("<details><summary>The figures</summary>");
        for table in table::waves(self.results) {
            self.line(&table.html());
        }
        self.line("</details>");
    }

    fn burst(&mut self) {
        let bursts = &self.results.bursts;
        let Some(first) = bursts.first() else { return };
        self.line(&format!("<h2>A burst of {} starts, and what follows</h2>", first.wave.at_once));
        if let Some(table) = table::bursts(self.results) {
            self.line(&table.html());
        }
        let places: Vec<f64> = first.after.iter().map(|sample| sample.at.as_secs_f64()).collect();
        for (title, beside, value) in [
            ("One start each second", "milliseconds", START),
            (
                "What the machine is busy with meanwhile, the starts not counted",
                "percent of all processors",
                BUSY,
            ),
        ] {
            let of = |runtime: &str| {
                let burst = bursts.iter().find(|burst| burst.wave.runtime == runtime);
                let samples = burst.map(|burst| burst.after.as_slice()).unwrap_or_default();
                samples.iter().map(|sample| Some(value(sample))).collect()
            };
            let below = "seconds after the burst";
            let axes = Axes { places: places.clone(), spread: Spread::ByValue, below, beside };
            let picture = chart::lines(title, &axes, &curves(self.results, of));
            self.line(&format!("<h3>{title}</h3>\n{picture}"));
        }
    }
}

const PER_SECOND: fn(&Wave) -> Option<f64> = |wave| Some(wave.per_second());
const SLOWEST: fn(&Wave) -> Option<f64> = |wave| Figures::of(&wall(&wave.costs)).map(|figures| figures.p99);
const START: fn(&Sample) -> f64 = |sample| sample.start.wall.as_secs_f64() * 1e3;
const BUSY: fn(&Sample) -> f64 = |sample| sample.busy * 100.0;

/// A curve for each runtime that has a point.
fn curves<'a>(results: &'a Results, points: impl Fn(&str) -> Vec<Option<f64>>) -> Vec<Curve<'a>> {
    let curve = |(colour, runtime): (usize, &'a Runtime)| Curve {
        name: &runtime.name,
        colour,
        points: points(&runtime.name),
    };
    let curves = results.runtimes.iter().enumerate().map(curve);
    curves.filter(|curve| curve.points.iter().any(Option::is_some)).collect()
}

/// Text as a part of a `data:` address in a quoted attribute.
fn in_address(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for letter in text.chars() {
        match letter {
            '%' | '#' | '"' | '<' | '>' | '&' | '\n' => {
                // Ignored: writing to a String cannot fail.
                let _ = write!(out, "%{:02X}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out
}
