//! Figures to tables: medians, tails, minima, CPU time, and ratios of medians.

use std::time::Duration;

use serde_json::{Value, json};

use crate::child::Cost;
use crate::host::CgroupMode;
use crate::options::Rhythm;
use crate::workload::{Contestant, Workload};

/// Those whom everybody's median is divided by.
const YARDSTICKS: [&str; 3] = ["crun", "runc", "floor"];

/// One workload, or one command of it, in one rhythm.
pub(crate) struct Table {
    part: &'static str,
    is_whole_of_many: bool,
    rhythm: Rhythm,
    cgroups: CgroupMode,
    rows: Vec<Row>,
}

struct Row {
    runtime: String,
    costs: Vec<Cost>,
}

/// Milliseconds.
struct Figures {
    median: f64,
    p99: f64,
    minimum: f64,
    cpu: f64,
}

impl Table {
    /// An empty table for each part of the workload.
    pub(crate) fn for_parts(
        workload: Workload,
        rhythm: Rhythm,
        cgroups: CgroupMode,
        contestants: &[Contestant<'_>],
    ) -> Vec<Self> {
        let parts = workload.parts();
        let row =
            |contestant: &Contestant<'_>| Row { runtime: contestant.name().to_owned(), costs: Vec::new() };
        let table = |(index, &part)| Self {
            part,
            is_whole_of_many: index == 0 && parts.len() > 1,
            rhythm,
            cgroups,
            rows: contestants.iter().map(row).collect(),
        };
        parts.iter().enumerate().map(table).collect()
    }

    pub(crate) fn add(&mut self, runtime: &str, cost: Cost) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.runtime == runtime) {
            row.costs.push(cost);
        }
    }

    pub(crate) fn drop_runtime(&mut self, runtime: &str) {
        self.rows.retain(|row| row.runtime != runtime);
    }

    pub(crate) fn print(&self) {
        let rounds = self.rows.iter().map(|row| row.costs.len()).max().unwrap_or(0);
        println!(
            "\n{} of /bin/true, {}, {}: milliseconds, {rounds} rounds",
            self.part,
            self.rhythm.name(),
            self.cgroups.name()
        );
        print!("  {:<14}{:>9}{:>9}{:>9}{:>9}", "", "median", "p99", "min", "cpu");
        YARDSTICKS.iter().for_each(|name| print!("{:>9}", format!("/ {name}")));
        println!();
        for row in &self.rows {
            let figures = row.figures();
            print!("  {:<14}", row.runtime);
            for value in [figures.median, figures.p99, figures.minimum, figures.cpu] {
                print!("{value:>9.3}");
            }
            for name in YARDSTICKS {
                match self.ratio(&figures, name) {
                    Some(ratio) => print!("{ratio:>9.2}"),
                    None => print!("{:>9}", "-"),
                }
            }
            println!();
        }
        if self.is_whole_of_many {
            println!(
                "  (cpu: the commands, the container, and what the runtime left for its caller to reap)"
            );
        }
    }

    fn ratio(&self, figures: &Figures, yardstick: &str) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.runtime == yardstick)?;
        Some(figures.median / row.figures().median)
    }

    fn to_json(&self, row: &Row) -> Value {
        let figures = row.figures();
        let mut record = json!({
            "part": self.part,
            "rhythm": self.rhythm.name(),
            "cgroups": self.cgroups.name(),
            "runtime": row.runtime,
            "rounds": row.costs.len(),
            "wall_median_ms": figures.median,
            "wall_p99_ms": figures.p99,
            "wall_min_ms": figures.minimum,
            "cpu_median_ms": figures.cpu,
        });
        for name in YARDSTICKS {
            record[format!("ratio_to_{name}")] = json!(self.ratio(&figures, name));
        }
        record
    }
}

pub(crate) fn to_json(tables: &[Table]) -> Value {
    tables.iter().flat_map(|table| table.rows.iter().map(|row| table.to_json(row))).collect()
}

impl Row {
    fn figures(&self) -> Figures {
        let sorted = |of: fn(&Cost) -> Duration| {
            let mut values: Vec<f64> = self.costs.iter().map(|cost| of(cost).as_secs_f64() * 1e3).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let wall = sorted(|cost| cost.wall);
        let cpu = sorted(|cost| cost.cpu);
        Figures {
            median: quantile(&wall, 0.5),
            p99: quantile(&wall, 0.99),
            minimum: quantile(&wall, 0.0),
            cpu: quantile(&cpu, 0.5),
        }
    }
}

/// The smallest value that at least this share of all values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
