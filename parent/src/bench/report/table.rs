//! Results as tables, for a terminal and for the page.

use std::fmt::Write as _;

use super::super::statistics::Figures;
use super::super::{Burst, EVERYTHING, Wave};
use super::{Group, Results, Row, groups, kibibytes, settings, wall};

/// A title, the names of columns, and rows of a runtime and its figures.
pub(super) struct Table<'a> {
    title: String,
    columns: &'static [&'static str],
    rows: Vec<(&'a str, Vec<String>)>,
}

/// Everything but the single measurements. Times are milliseconds.
pub fn table(results: &Results) -> String {
    let mut out = String::new();
    for (name, words) in facts(results) {
        // Ignored, here and below: writing to a String cannot fail.
        let _ = writeln!(out, "{name:<18}{words}");
    }
    for missing in &results.missing {
        let what = if missing.what == EVERYTHING { String::new() } else { format!("{}: ", missing.what) };
        let _ = writeln!(out, "NOT COMPARED: {}: {what}{}", missing.runtime, missing.reason);
    }
    if let Some(warning) = results.request.machine.warning() {
        let _ = writeln!(out, "{warning}");
    }
    groups(results).iter().for_each(|group| of_group(group).write_text(&mut out));
    waves(results).iter().for_each(|table| table.write_text(&mut out));
    if let Some(table) = bursts(results) {
        table.write_text(&mut out);
    }
    out.push_str(
        "\nMilliseconds of the whole command as its caller sees it; cpu: the median of what it and its children used.\n\
         ours/its: pinnace's median as a part of the runtime's.\n",
    );
    out
}

/// The machine, what was done, and the runtimes.
pub(super) fn facts(results: &Results) -> Vec<(&str, String)> {
    let mut facts = results.request.machine.facts();
    facts.push(("Measured", settings(results)));
    for runtime in &results.runtimes {
        facts.push((&runtime.name, format!("{}; {}", runtime.version, kibibytes(runtime.bytes))));
    }
    facts
}

pub(super) fn of_group<'a>(group: &Group<'a>) -> Table<'a> {
    let cells = |row: &Row<'a>| {
        let figures = row.wall;
        let times = [figures.median, figures.p99, figures.minimum, figures.mean, row.cpu];
        let ratio = row.ratio.map_or_else(|| String::from("-"), |ratio| format!("{ratio:.2}"));
        (row.runtime, times.map(time).into_iter().chain([ratio]).collect())
    };
    Table {
        title: group.title(),
        columns: &["median", "p99", "min", "mean", "cpu", "ours/its"],
        rows: group.rows.iter().map(cells).collect(),
    }
}

/// A table for each number of starts at once.
pub(super) fn waves(results: &Results) -> Vec<Table<'_>> {
    let of = |at_once: u32, runtime: &str| {
        results.waves.iter().find(|wave| wave.at_once == at_once && wave.runtime == runtime)
    };
    let table = |&at_once: &u32| {
        let in_order = results.runtimes.iter().filter_map(|runtime| of(at_once, &runtime.name));
        Table {
            title: format!("run, {at_once} at once"),
            columns: &["per second", "median", "p99"],
            rows: in_order.map(|wave| (wave.runtime.as_str(), of_wave(wave))).collect(),
        }
    };
    results.request.parallel.iter().map(table).collect()
}

fn of_wave(wave: &Wave) -> Vec<String> {
    let mut cells = vec![format!("{:.1}", wave.per_second())];
    cells.extend(
        Figures::of(&wall(&wave.costs)).iter().flat_map(|figures| [figures.median, figures.p99]).map(time),
    );
    cells
}

pub(super) fn bursts(results: &Results) -> Option<Table<'_>> {
    let cells = |burst: &Burst| {
        let after: Vec<_> = burst.after.iter().map(|sample| sample.start).collect();
        let median =
            |costs| Figures::of(&wall(costs)).map(|figures| time(figures.median)).unwrap_or_default();
        let quiet = burst.quiet_after().map_or_else(
            || format!("not within {} s", results.request.watch),
            |seconds| format!("{seconds:.0} s"),
        );
        let mut cells = of_wave(&burst.wave);
        cells.extend([median(&burst.before), median(&after), quiet]);
        cells
    };
    Some(Table {
        title: format!("a burst of {}, then a start each second", results.bursts.first()?.wave.at_once),
        columns: &["per second", "median", "p99", "before", "after", "quiet in"],
        rows: results.bursts.iter().map(|burst| (burst.wave.runtime.as_str(), cells(burst))).collect(),
    })
}

fn time(milliseconds: f64) -> String {
    format!("{milliseconds:.3}")
}

impl Table<'_> {
    fn write_text(&self, out: &mut String) {
        const NAMES: usize = 26;
        let title = if self.title.len() < NAMES {
            self.title.clone()
        } else {
            format!("{}\n{:NAMES$}", self.title, "")
        };
        let _ = write!(out, "\n{title:<NAMES$}");
        let widest = |index: usize, name: &str| {
            let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(index));
            cells.map(String::len).chain([name.len(), 10]).max().unwrap_or(0)
        };
        let widths: Vec<usize> =
            self.columns.iter().enumerate().map(|(index, name)| widest(index, name)).collect();
        for (column, width) in self.columns.iter().zip(&widths) {
            let _ = write!(out, " {column:>width$}");
        }
        for (runtime, cells) in &self.rows {
            let _ = write!(out, "\n  {runtime:<24}");
            for (cell, width) in cells.iter().zip(&widths) {
                let _ = write!(out, " {cell:>width$}");
            }
        }
        out.push('\n');
    }

    /// As an element of a page.
    pub(super) fn html(&self) -> String {
        let mut out = String::from("<table><tr><th></th>");
        for column in self.columns {
            let _ = write!(out, "<th>{column}</th>");
        }
        for (runtime, cells) in &self.rows {
            let _ = write!(out, "</tr>\n<tr><td>{}</td>", pinnace::svg::escaped(runtime));
            for cell in cells {
                let _ = write!(out, "<td>{cell}</td>");
            }
        }
        out.push_str("</tr></table>");
        out
    }
}
