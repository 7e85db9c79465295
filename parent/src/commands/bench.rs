//! `bench`: pinnace and other runtimes side by side.

use std::fs;
use std::mem::ManuallyDrop;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::carried::{PROGRAM, TemporaryDirectory};
use super::{Context, print};
use crate::bench::{self, BuiltIn, Machine, Request, Workload};
use crate::cli;
use pinnace::blocking::{self, ManagerKind, Signals};
use pinnace::{Error, Result};

/// Of both directories, with our process id behind it.
const NAME: &str = "pinnace-bench";

pub(super) fn run(context: &Context<'_>, arguments: &cli::Bench) -> Result<i32> {
    // Before all the work, and not after it.
    if let Some(report) = &arguments.report {
        fs::create_dir_all(report)
            .map_err(|error| Error::io(format_args!("mkdir {}", report.display()), &error))?;
    }
    // They stay blocked: when they come all is taken away first, and then we say why.
    let _signals = ManuallyDrop::new(Signals::block()?);
    let states = state_base(context)?;
    for base in [&std::env::temp_dir(), &states] {
        context.warn(&bench::find_leftovers(base, NAME));
    }
    let bundles = TemporaryDirectory::new(&std::env::temp_dir(), NAME)?;
    let state = TemporaryDirectory::new(&states, NAME)?;
    let request = request(context, arguments, &state.0)?;
    let results = bench::run(request, &bundles.0, &state.0)?;
    print(&bench::table(&results))?;
    if let Some(report) = &arguments.report {
        for (name, text) in bench::files(&results) {
            let file = report.join(name);
            fs::write(&file, text)
                .map_err(|error| Error::io(format_args!("write {}", file.display()), &error))?;
        }
        print(&format!("Written: {}\n", report.join("index.html").display()))?;
    }
    Ok(i32::from(results.has_failed()))
}

/// Where the state directories of all runtimes are to be: in the root that was given, or beside our own.
fn state_base(context: &Context<'_>) -> Result<PathBuf> {
    let root = context.state_root()?;
    let base =
        if context.global.root.is_some() { root.path() } else { root.path().parent().unwrap_or(root.path()) };
    fs::create_dir_all(base).map_err(|error| Error::io(format_args!("mkdir {}", base.display()), &error))?;
    Ok(base.to_owned())
}

fn request(context: &Context<'_>, arguments: &cli::Bench, state: &Path) -> Result<Request> {
    let options = match context.global.cgroup_manager()? {
        ManagerKind::Cgroupfs => Vec::new(),
        ManagerKind::Systemd => vec![String::from("--systemd-cgroup")],
        ManagerKind::Disabled => return Err(Error::new("bench: other runtimes cannot do without cgroups")),
    };
    let config = blocking::default_config(!rustix::process::geteuid().is_root())?;
    let list = |option, text: &Option<String>, least| {
        numbers(option, text.as_deref().unwrap_or_default(), least..=CONTAINERS_MAX)
    };
    let mut workloads = Vec::new();
    for name in words(&arguments.workload) {
        let workload = Workload::named(name)?;
        workloads.extend(workload.filter(|workload| !workloads.contains(workload)));
    }
    if workloads.is_empty()
        && [&arguments.idle, &arguments.parallel, &arguments.burst].into_iter().all(Option::is_none)
    {
        return Err(Error::new(
            "nothing is to be measured: --workload names none, and there is no --idle, --parallel or --burst",
        ));
    }
    Ok(Request {
        against: words(&arguments.against).filter(|word| *word != "none").map(str::to_owned).collect(),
        options,
        bundle: arguments.bundle.clone(),
        built_in: BuiltIn { config, program: PROGRAM },
        rounds: number("rounds", &arguments.rounds, 1..=COUNT_MAX)?,
        warm_up: number("warm-up", &arguments.warm_up, 0..=COUNT_MAX)?,
        workloads,
        rests: numbers("spaced", &arguments.spaced, 0..=COUNT_MAX)?,
        idle: list("idle", &arguments.idle, 0)?,
        parallel: list("parallel", &arguments.parallel, 1)?,
        burst: arguments
            .burst
            .as_deref()
            .map(|text| number("burst", text, 1..=CONTAINERS_MAX))
            .transpose()?,
        watch: number("watch", &arguments.watch, 1..=COUNT_MAX)?,
        machine: Machine::read(state),
    })
}

/// As many containers at once as a large host holds.
const CONTAINERS_MAX: u32 = 10_000;
/// Of rounds, milliseconds and seconds: days.
const COUNT_MAX: u32 = 1_000_000;

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|word| !word.is_empty())
}

/// Numbers in rising order, each of them once.
fn numbers(option: &str, list: &str, range: RangeInclusive<u32>) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for word in words(list) {
        let number = number(option, word, range.clone())?;
        if let Err(place) = numbers.binary_search(&number) {
            numbers.insert(place, number);
        }
    }
    Ok(numbers)
}

fn number(option: &str, text: &str, range: RangeInclusive<u32>) -> Result<u32> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => {
            let (least, most) = (range.start(), range.end());
            Err(Error::new(format!("--{option} {text}: it is no number from {least} to {most}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_put_into_order() {
        assert_eq!(numbers("idle", "1000,0,100,100", 0..=1000).unwrap(), [0, 100, 1000]);
        assert!(numbers("idle", "", 0..=1).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_number_or_too_small_is_named_with_its_option() {
        for wrong in ["1,x", "0", "-1", "1.5", "1 ", "65", "4294967296"] {
            let error = numbers("parallel", wrong, 1..=64).unwrap_err().to_string();
            let word = wrong.trim_start_matches("1,");
            assert_eq!(error, format!("--parallel {word}: it is no number from 1 to 64"));
        }
    }
}
