//! `pinnace bench`: what the commands of container runtimes cost their caller, side by side.
//!
//! It knows runtimes, pinnace among them, only as programs with runc's command line. In each round every runtime has its turn once, in
//! an order of chance, so that whatever the machine does meanwhile, and whatever one of them leaves to its successor, meets all of them.
//! Figures are wall time (CLOCK_MONOTONIC) and CPU time of whole commands, from before they are started until they are waited for.

mod bundle;
#[allow(unsafe_code)]
mod child;
mod contestant;
mod leftovers;
mod machine;
mod progress;
mod report;
mod runtimes;
mod scale;
mod statistics;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bundle::Material;
use child::Cost;
use contestant::{Contestant, is_interruption};
use pinnace::{Error, Result};
use progress::Progress;
use runtimes::{OURS, Runtime};

pub use leftovers::find as find_leftovers;
pub use machine::Machine;
pub use report::{files, table};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// NAME or NAME=PROGRAM each.
    pub against: Vec<String>,
    /// Options for every runtime, before its command.
    pub options: Vec<String>,
    /// A bundle to measure with; none for the built-in one.
    pub bundle: Option<PathBuf>,
    pub built_in: BuiltIn,
    pub rounds: u32,
    pub warm_up: u32,
    pub workloads: Vec<Workload>,
    /// Milliseconds of rest before each command; each is measured by itself.
    pub rests: Vec<u32>,
    /// How many containers are idle while others are measured, in rising order.
    pub idle: Vec<u32>,
    /// How many starts there are at once, in rising order.
    pub parallel: Vec<u32>,
    /// How many starts come at once before the kernel is watched.
    pub burst: Option<u32>,
    /// Seconds that it is watched.
    pub watch: u32,
    pub machine: Machine,
}

/// What containers are made of where nobody brings a bundle.
#[derive(Clone, Debug)]
pub struct BuiltIn {
    /// Text of a config.json.
    pub config: String,
    /// A static program that is `true` and `sleep`, by its name.
    pub program: &'static [u8],
}

/// What is done in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// `run` in the foreground.
    Run,
    /// `exec` in a container that runs.
    Exec,
    /// All commands in the life of a detached container.
    Lifecycle,
}

/// What one lifecycle gives, the sum first.
const LIFECYCLE: [&str; 7] =
    ["create + start + delete", "create", "start", "state", "list", "kill", "delete"];

impl Workload {
    /// `none` is nothing, for those who only want to see what grows.
    ///
    /// Errors: there is no such workload.
    pub fn named(name: &str) -> Result<Option<Self>> {
        match name {
            "run" => Ok(Some(Self::Run)),
            "exec" => Ok(Some(Self::Exec)),
            "lifecycle" => Ok(Some(Self::Lifecycle)),
            "none" => Ok(None),
            _ => Err(Error::new(format!("--workload {name}: it is run, exec, lifecycle or none"))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Exec => "exec",
            Self::Lifecycle => "lifecycle",
        }
    }

    /// The commands that one turn measures.
    fn commands(self) -> &'static [&'static str] {
        match self {
            Self::Run => &["run"],
            Self::Exec => &["exec"],
            Self::Lifecycle => &LIFECYCLE,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Results {
    request: Request,
    runtimes: Vec<Runtime>,
    series: Vec<Series>,
    waves: Vec<Wave>,
    bursts: Vec<Burst>,
    missing: Vec<Missing>,
    /// What one start of ours has noted of itself.
    trace: Option<String>,
}

impl Results {
    /// pinnace itself could not do something that was asked for.
    pub fn has_failed(&self) -> bool {
        self.missing.iter().any(|missing| missing.runtime == OURS)
    }

    fn add(&mut self, runtime: &str, command: &'static str, condition: Condition, cost: Cost) {
        let is_it = |series: &&mut Series| {
            series.runtime == runtime && series.command == command && series.condition == condition
        };
        match self.series.iter_mut().find(is_it) {
            Some(series) => series.costs.push(cost),
            None => self.series.push(Series {
                runtime: runtime.to_owned(),
                command,
                condition,
                costs: vec![cost],
            }),
        }
    }

    /// Takes a runtime out of what it could not do to the end, and says so.
    fn give_up(&mut self, runtime: &str, what: String, error: &Error, has_part: &dyn Fn(&Series) -> bool) {
        self.series.retain(|series| series.runtime != runtime || !has_part(series));
        self.missing.push(Missing { what, runtime: runtime.to_owned(), reason: error.to_string() });
    }
}

/// Under which one command was measured again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition {
    /// Milliseconds.
    rest: u32,
    /// So many containers of the same runtime were idle; None where nobody counted.
    idle: Option<u32>,
}

impl Condition {
    fn words(self) -> String {
        match self {
            Self { idle: Some(count), .. } => format!("beside {count} idle containers"),
            Self { rest: 0, .. } => String::from("back to back"),
            Self { rest, .. } => format!("spaced {rest} ms"),
        }
    }
}

/// The costs of one command of one runtime, in the order of the rounds.
#[derive(Clone, Debug)]
struct Series {
    runtime: String,
    command: &'static str,
    condition: Condition,
    costs: Vec<Cost>,
}

/// Many starts at once: the cost of each, and for each wave of them the time until all had ended.
#[derive(Clone, Debug)]
struct Wave {
    runtime: String,
    at_once: u32,
    costs: Vec<Cost>,
    elapsed: Vec<Duration>,
}

/// A wave, starts one by one before it, and one each second after it.
#[derive(Clone, Debug)]
struct Burst {
    wave: Wave,
    before: Vec<Cost>,
    after: Vec<Sample>,
}

/// What one second after a burst was like.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Since the end of the burst.
    at: Duration,
    start: Cost,
    /// The share of all processors' time that somebody used in the second before, the start not counted: 0 to 1.
    busy: f64,
}

/// What could not be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    what: String,
    runtime: String,
    reason: String,
}

/// What is missing of a runtime that takes no part.
const EVERYTHING: &str = "everything";

impl Missing {
    fn everything(runtime: String, error: &Error) -> Self {
        Self { what: String::from(EVERYTHING), runtime, reason: error.to_string() }
    }
}

/// Measures all that is asked for. `bundles` and `state` are empty directories, which are somebody else's to remove.
///
/// Errors: the request makes no sense; SIGINT, SIGTERM or the like came, which must be blocked. What a runtime cannot do is no error but
/// a part of the results. No container is left, whatever happens.
pub fn run(request: Request, bundles: &Path, state: &Path) -> Result<Results> {
    let mut missing = Vec::new();
    let mut runtimes = runtimes::find(&request.against, &mut missing)?;
    let material = Material::new(request.bundle.as_deref(), &request.built_in)?;
    // Containers that outlive `create` become our children: we can wait for their end, and count what they use.
    let own = Some(rustix::process::getpid());
    rustix::process::set_child_subreaper(own)
        .map_err(|errno| Error::io("become a subreaper", &errno.into()))?;
    let mut contestants = Vec::new();
    for runtime in &runtimes {
        contestants.push(Contestant::new(runtime.clone(), &material, bundles, state, &request.options)?);
    }
    // Ours is measured in any case: whatever it cannot do has failed.
    for mut other in contestants.split_off(1) {
        match other.prove() {
            Ok(()) => contestants.push(other),
            Err(error) if is_interruption(&error) => return Err(error),
            Err(error) => {
                runtimes.retain(|runtime| runtime.name != other.runtime.name);
                missing.push(Missing::everything(other.runtime.name.clone(), &error));
            }
        }
    }
    let results = Results {
        request,
        runtimes,
        series: Vec::new(),
        waves: Vec::new(),
        bursts: Vec::new(),
        missing,
        trace: None,
    };
    let mut session =
        Session { contestants, progress: Progress::new(), chance: 0x2545_f491_4f6c_dd1d, results };
    session.measure()?;
    session.results.trace = match session.contestants.first().map(Contestant::trace) {
        Some(Err(error)) if is_interruption(&error) => return Err(error),
        traced => traced.and_then(Result::ok),
    };
    session.results.request.machine.note_end();
    Ok(session.results)
}

/// The benchmark while it runs.
struct Session {
    contestants: Vec<Contestant>,
    progress: Progress,
    /// The state of a generator of chance: the same order in every benchmark.
    chance: u64,
    results: Results,
}

impl Session {
    fn measure(&mut self) -> Result<()> {
        let request = self.results.request.clone();
        for &workload in &request.workloads {
            for &rest in &request.rests {
                self.workload(workload, rest, &request)?;
            }
        }
        if !request.idle.is_empty() {
            self.beside_idle(&request)?;
        }
        for &at_once in &request.parallel {
            self.at_once(at_once, &request)?;
        }
        request.burst.map_or(Ok(()), |count| self.burst(count, &request))
    }

    /// All rounds of one workload.
    fn workload(&mut self, workload: Workload, rest: u32, request: &Request) -> Result<()> {
        let condition = Condition { rest, idle: None };
        let what = format!("{}, {}", workload.name(), condition.words());
        let rest = Duration::from_millis(u64::from(rest));
        let has_part =
            |series: &Series| series.condition == condition && workload.commands().contains(&series.command);
        let mut playing: Vec<usize> = (0..self.contestants.len()).collect();
        if workload == Workload::Exec {
            self.progress.begin(what.clone(), playing.len());
            self.each(&mut playing, &what, &has_part, &mut |contestant, _| contestant.hold())?;
        }
        self.progress.begin(what.clone(), ((request.warm_up + request.rounds) as usize) * playing.len());
        for round in 0..request.warm_up + request.rounds {
            shuffle(&mut playing, &mut self.chance);
            self.each(&mut playing, &what, &has_part, &mut |contestant, results| {
                let costs = match workload {
                    Workload::Run => vec![contestant.run(rest)?],
                    Workload::Exec => vec![contestant.exec(rest)?],
                    Workload::Lifecycle => contestant.lifecycle(rest)?,
                };
                if round >= request.warm_up {
                    for (command, cost) in workload.commands().iter().zip(costs) {
                        results.add(&contestant.runtime.name, command, condition, cost);
                    }
                }
                Ok(())
            })?;
        }
        for contestant in &mut self.contestants {
            contestant.release_all(|| {});
        }
        Ok(())
    }

    /// Gives everybody who plays a turn. Who fails plays no longer, and what it had in `what` does not count.
    ///
    /// Errors: we are asked to end.
    fn each(
        &mut self,
        playing: &mut Vec<usize>,
        what: &str,
        has_part: &dyn Fn(&Series) -> bool,
        turn: &mut dyn FnMut(&mut Contestant, &mut Results) -> Result<()>,
    ) -> Result<()> {
        for index in playing.clone() {
            let contestant = &mut self.contestants[index];
            match turn(contestant, &mut self.results) {
                Err(error) if is_interruption(&error) => return Err(error),
                Err(error) => {
                    let name = contestant.runtime.name.clone();
                    self.results.give_up(&name, what.to_owned(), &error, has_part);
                    playing.retain(|player| *player != index);
                }
                Ok(()) => {}
            }
            self.progress.step();
        }
        Ok(())
    }
}

/// Puts them into an order of chance (Fisher and Yates, with xorshift).
fn shuffle<T>(items: &mut [T], chance: &mut u64) {
    for end in (1..items.len()).rev() {
        *chance ^= *chance << 13;
        *chance ^= *chance >> 7;
        *chance ^= *chance << 17;
        items.swap(end, (*chance % (end as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_first_as_often_as_everybody_else() {
        let (mut items, mut chance) = ([0, 1, 2, 3], 7);
        let mut first = [0; 4];
        for _ in 0..4000 {
            shuffle(&mut items, &mut chance);
            first[items[0]] += 1;
        }
        assert!(first.iter().all(|count| (900..1100).contains(count)), "{first:?}");
    }
}
