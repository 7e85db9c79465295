//! The benchmark's own command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::host::CgroupMode;
use crate::workload::Workload;

const USAGE: &str = "usage: ci/bench [options]
  --rounds N                   measured rounds of each (100)
  --warm-up N                  rounds before them that do not count (10)
  --workload run|create|exec|all
                               `run` of /bin/true; create + start + delete; `exec` of /bin/true (all)
  --rhythm back-to-back|spaced|all
                               no rest, or 200 ms of rest before each command (all)
  --only NAME,NAME...          of floor, pinnace, crun, crun-static, runc, youki
  --also NAME=PROGRAM          one more runtime, pinnace of another build, say; may be repeated
  --v2                         on cgroup v2, mounted privately, where the machine has v1
  --v2-without-namespace       the same, but without the cgroup namespace that `runc spec` asks for on v2
  --json FILE                  writes the figures there, too";

/// What lies between two commands.
#[derive(Clone, Copy)]
pub(crate) enum Rhythm {
    BackToBack,
    Spaced,
}

impl Rhythm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BackToBack => "back to back",
            Self::Spaced => "spaced",
        }
    }

    /// An isolated start is what latency-sensitive hosts have: the kernel's grace periods have all ended by then.
    pub(crate) fn rest(self) -> Duration {
        match self {
            Self::BackToBack => Duration::ZERO,
            Self::Spaced => Duration::from_millis(200),
        }
    }
}

pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) warm_up: usize,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) rhythms: Vec<Rhythm>,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) also: Vec<(String, PathBuf)>,
    pub(crate) cgroups: CgroupMode,
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rounds: 100,
            warm_up: 10,
            workloads: vec![Workload::Run, Workload::Create, Workload::Exec],
            rhythms: vec![Rhythm::BackToBack, Rhythm::Spaced],
            only: None,
            also: Vec::new(),
            cgroups: CgroupMode::V1,
            json: None,
        };
        while let Some(option) = arguments.next() {
            let flag = [CgroupMode::V2, CgroupMode::V2WithoutNamespace]
                .into_iter()
                .find(|mode| option.strip_prefix("--") == Some(mode.argument()));
            if let Some(mode) = flag {
                options.cgroups = mode;
                continue;
            }
            let value = arguments.next().ok_or(USAGE)?;
            options.set(&option, &value).ok_or_else(|| format!("{option} {value}?\n{USAGE}"))?;
        }
        Ok(options)
    }

    /// None if there is no such option or it has no such value.
    fn set(&mut self, option: &str, value: &str) -> Option<()> {
        match option {
            "--rounds" => self.rounds = usize::from_str(value).ok().filter(|&count| count > 0)?,
            "--warm-up" => self.warm_up = usize::from_str(value).ok()?,
            "--workload" => match value {
                "run" => self.workloads = vec![Workload::Run],
                "create" => self.workloads = vec![Workload::Create],
                "exec" => self.workloads = vec![Workload::Exec],
                "all" => {}
                _ => return None,
            },
            "--rhythm" => match value {
                "back-to-back" => self.rhythms = vec![Rhythm::BackToBack],
                "spaced" => self.rhythms = vec![Rhythm::Spaced],
                "all" => {}
                _ => return None,
            },
            "--only" => self.only = Some(value.split(',').map(str::to_owned).collect()),
            "--also" => {
                let (name, program) = value.split_once('=')?;
                self.also.push((name.to_owned(), program.into()));
            }
            "--json" => self.json = Some(value.into()),
            _ => return None,
        }
        Some(())
    }
}
