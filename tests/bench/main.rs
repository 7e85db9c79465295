//! The side-by-side benchmark: floor, pinnace, crun, runc and youki, interleaved round by round on one machine.
//!
//! Each round asks every runtime once, in a new order each time, so that whatever the machine does meanwhile, and whatever one of them
//! leaves to its successor, meets all of them. Figures are wall time and CPU time of whole commands as their caller sees them.

mod bundle;
mod child;
mod host;
mod options;
mod runtimes;
mod table;
mod workload;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, thread};

use bundle::Bundle;
use host::{CgroupMode, Host};
use options::{Options, Rhythm};
use runtimes::Runtime;
use table::Table;
use workload::{Contestant, Workload};

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    match bench(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Result<(), String> {
    let program = env::current_exe().map_err(|error| format!("where am I: {error}"))?;
    let release = program.parent().ok_or("the benchmark has no directory")?;
    let work = release.parent().unwrap_or(release).join("bench");

    let host = Host::prepare(&work, options.cgroups)?;
    host.describe();
    let runtimes = runtimes::find(release, &work, options);
    if runtimes.is_empty() {
        return Err("there is nothing to measure".to_owned());
    }
    let mut tables = Vec::new();
    for &workload in &options.workloads {
        for &rhythm in &options.rhythms {
            let contestants = enter(&runtimes, &work, workload, host.cgroups)?;
            tables.extend(measure(contestants, workload, rhythm, &host, options));
        }
    }
    if let Some(file) = &options.json {
        let text =
            serde_json::to_string_pretty(&table::to_json(&tables)).expect("a JSON value can be written");
        fs::write(file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// Gives each runtime that can take part its own bundle and state directory.
fn enter<'a>(
    runtimes: &'a [Runtime],
    work: &Path,
    workload: Workload,
    cgroups: CgroupMode,
) -> Result<Vec<Contestant<'a>>, String> {
    let able = runtimes.iter().filter(|runtime| workload.suits(runtime.kind));
    able.map(|runtime| {
        let bundle = Bundle::make(&work.join("bundles").join(&runtime.name), cgroups, workload.args())?;
        Ok(Contestant::new(runtime, bundle, &host::state_directory(work), cgroups))
    })
    .collect()
}

/// Runs all rounds of one workload in one rhythm, prints what came of it, and gives it back.
fn measure(
    mut contestants: Vec<Contestant<'_>>,
    workload: Workload,
    rhythm: Rhythm,
    host: &Host,
    options: &Options,
) -> Vec<Table> {
    let mut chance = 0x2545_f491_4f6c_dd1d;
    let mut tables = Table::for_parts(workload, rhythm, host.cgroups, &contestants);
    for round in 0..options.warm_up + options.rounds {
        let mut failed = Vec::new();
        if round == 0 {
            let begun = contestants.iter().map(|contestant| contestant.begin(workload)).enumerate();
            failed.extend(begun.filter_map(|(index, begun)| begun.err().map(|message| (index, message))));
        }
        for index in shuffled(contestants.len(), &mut chance) {
            match contestants[index].round(workload, || thread::sleep(rhythm.rest())) {
                Ok(costs) if round >= options.warm_up => {
                    for (table, cost) in tables.iter_mut().zip(costs) {
                        table.add(contestants[index].name(), cost);
                    }
                }
                Ok(_) => {}
                Err(message) => failed.push((index, message)),
            }
        }
        failed.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
        failed.dedup_by_key(|(index, _)| *index);
        for (index, message) in failed {
            let contestant = contestants.remove(index);
            contestant.end(workload);
            println!(
                "  NOT MEASURED ({}, {}): {}: {message}",
                workload.name(),
                rhythm.name(),
                contestant.name()
            );
            tables.iter_mut().for_each(|table| table.drop_runtime(contestant.name()));
        }
    }
    contestants.iter().for_each(|contestant| contestant.end(workload));
    tables.iter().for_each(Table::print);
    tables
}

/// The numbers below `count` in an order of chance, the same in every run (xorshift, Fisher and Yates).
fn shuffled(count: usize, chance: &mut u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for end in (1..count).rev() {
        *chance ^= *chance << 13;
        *chance ^= *chance >> 7;
        *chance ^= *chance << 17;
        order.swap(end, (*chance % (end as u64 + 1)) as usize);
    }
    order
}
