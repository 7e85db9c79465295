//! Results for people and for programs: a table, JSON, CSV, and a page with pictures.

mod chart;
mod data;
mod page;
mod table;
#[cfg(test)]
mod tests;

use super::statistics::Figures;
use super::{Condition, Cost, OURS, Results, Series};

pub use table::table;

/// The files of a report, each with its name. Page and picture need neither network nor script.
pub fn files(results: &Results) -> [(&'static str, String); 4] {
    [
        ("results.json", data::json(results)),
        ("results.csv", data::csv(results)),
        ("index.html", page::page(results)),
        ("summary.svg", page::summary(results)),
    ]
}

/// All runtimes' series of one command under one condition.
struct Group<'a> {
    command: &'static str,
    condition: Condition,
    rows: Vec<Row<'a>>,
}

/// Milliseconds.
struct Row<'a> {
    runtime: &'a str,
    values: Vec<f64>,
    wall: Figures,
    cpu: f64,
    /// Our median as a part of this runtime's.
    ratio: Option<f64>,
}

impl Group<'_> {
    fn title(&self) -> String {
        format!("{}, {}", self.command, self.condition.words())
    }
}

/// In the order in which they were measured; the runtimes in the order of the request.
fn groups(results: &Results) -> Vec<Group<'_>> {
    let mut groups: Vec<(Group<'_>, Vec<&Series>)> = Vec::new();
    for series in &results.series {
        let is_its =
            |group: &Group<'_>| group.command == series.command && group.condition == series.condition;
        match groups.iter_mut().find(|(group, _)| is_its(group)) {
            Some((_, all)) => all.push(series),
            None => {
                let group = Group { command: series.command, condition: series.condition, rows: Vec::new() };
                groups.push((group, vec![series]));
            }
        }
    }
    let filled = groups.into_iter().map(|(group, all)| {
        let of = |name: &str| all.iter().find(|series| series.runtime == name);
        let ours =
            of(OURS).and_then(|series| Figures::of(&wall(&series.costs))).map(|figures| figures.median);
        let in_order = results.runtimes.iter().filter_map(|runtime| of(&runtime.name));
        Group { rows: in_order.filter_map(|series| row(series, ours)).collect(), ..group }
    });
    filled.collect()
}

fn row(series: &Series, ours: Option<f64>) -> Option<Row<'_>> {
    let values = wall(&series.costs);
    let figures = Figures::of(&values)?;
    let cpu: Vec<f64> = series.costs.iter().map(|cost| cost.cpu.as_secs_f64() * 1e3).collect();
    Some(Row {
        runtime: &series.runtime,
        wall: figures,
        cpu: Figures::of(&cpu)?.median,
        ratio: ours.map(|ours| ours / figures.median),
        values,
    })
}

fn wall(costs: &[Cost]) -> Vec<f64> {
    costs.iter().map(|cost| cost.wall.as_secs_f64() * 1e3).collect()
}

/// What was measured, in one line: a reader has to know it before any figure.
fn settings(results: &Results) -> String {
    let request = &results.request;
    let bundle = match &request.bundle {
        Some(bundle) => bundle.display().to_string(),
        None => String::from("built in, /bin/true"),
    };
    let options =
        if request.options.is_empty() { String::new() } else { format!("; {}", request.options.join(" ")) };
    let (rounds, warm_up) = (request.rounds, request.warm_up);
    let few = if rounds < 100 { " (so few that p99 is the slowest)" } else { "" };
    format!("{rounds} rounds after {warm_up} to warm up{few}; bundle: {bundle}{options}")
}

fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", bytes / 1024)
}
