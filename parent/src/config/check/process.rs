//! `process`.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxCapabilities, PosixRlimitType};
use shared_proto::limits::{ARGUMENT_BYTES_MAX, ARGUMENT_COUNT_MAX, GROUP_COUNT_MAX, PATH_BYTES_MAX};

use super::super::capabilities::{capability_name, mask};
use super::super::problems::Problems;
use super::super::{CapabilitySets, ExecCpuAffinity, Process, Rlimit, Terminal, User};
use super::{label, scheduling, text_of};

pub(super) fn check(process: Option<&oci_spec::runtime::Process>, problems: &mut Problems) -> Process {
    let Some(process) = process else {
        // It may come without one; `start` refuses it then (config.md "Process").
        return Process {
            args: Vec::new(),
            env: Vec::new(),
            cwd: String::from("/"),
            user: User::default(),
            terminal: None,
            capabilities: None,
            rlimits: Vec::new(),
            no_new_privileges: false,
            oom_score_adj: None,
            scheduler: None,
            io_priority: None,
            exec_cpu_affinity: ExecCpuAffinity::default(),
            apparmor_profile: None,
            selinux_label: None,
        };
    };
    Process {
        args: args(process, problems),
        env: env(process.env().as_deref().unwrap_or_default(), problems),
        cwd: cwd(process, problems),
        user: user(process.user(), problems),
        terminal: terminal(process, problems),
        capabilities: process.capabilities().as_ref().map(|sets| capability_sets(sets, problems)),
        rlimits: rlimits(process, problems),
        no_new_privileges: process.no_new_privileges().unwrap_or(false),
        oom_score_adj: oom_score_adj(process, problems),
        scheduler: scheduling::scheduler(process, problems),
        io_priority: scheduling::io_priority(process, problems),
        exec_cpu_affinity: scheduling::exec_cpu_affinity(process, problems),
        apparmor_profile: label(process.apparmor_profile().as_deref(), "$.process.apparmorProfile", problems),
        selinux_label: label(process.selinux_label().as_deref(), "$.process.selinuxLabel", problems),
    }
}

fn args(process: &oci_spec::runtime::Process, problems: &mut Problems) -> Vec<String> {
    let args = process.args().clone().unwrap_or_default();
    if args.is_empty() {
        problems.add("$.process.args", "args must not be empty");
    }
    if args.len() > ARGUMENT_COUNT_MAX {
        problems.add("$.process.args", format!("there are more than {ARGUMENT_COUNT_MAX}"));
    }
    if let Some(program) = args.first() {
        problems.check_text("$.process.args[0]", program, PATH_BYTES_MAX);
    }
    for (index, argument) in args.iter().enumerate().skip(1) {
        problems.check_text(format_args!("$.process.args[{index}]"), argument, ARGUMENT_BYTES_MAX);
    }
    args
}

impl Process {
    /// Adds entries; of those with the same name the last one's value counts.
    ///
    /// Errors: an entry without a name, or without a value.
    pub fn add_env(&mut self, entries: &[String]) -> Result<(), Problems> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut problems = Problems::default();
        let all: Vec<String> = self.env.iter().chain(entries).cloned().collect();
        self.env = env(&all, &mut problems);
        problems.none()
    }
}

/// Of two entries with the same name the last one's value counts, as with runc.
pub(in crate::config) fn env<T: AsRef<[u8]> + Clone>(entries: &[T], problems: &mut Problems) -> Vec<T> {
    let mut env: Vec<T> = Vec::with_capacity(entries.len());
    let mut places: BTreeMap<&[u8], usize> = BTreeMap::new();
    if entries.len() > ARGUMENT_COUNT_MAX {
        problems.add("$.process.env", format!("there are more than {ARGUMENT_COUNT_MAX}"));
    }
    for (index, entry) in entries.iter().enumerate() {
        let path = || format!("$.process.env[{index}]");
        let bytes = entry.as_ref();
        if bytes.contains(&0) || bytes.len() > ARGUMENT_BYTES_MAX {
            problems.check_text(path(), &String::from_utf8_lossy(bytes), ARGUMENT_BYTES_MAX);
        }
        match bytes.iter().position(|&byte| byte == b'=') {
            None => {
                let text = String::from_utf8_lossy(bytes);
                problems.add(path(), format!("invalid environment variable: missing '=' in {text:?}"));
            }
            Some(0) => problems.add(path(), "invalid environment variable: name cannot be empty"),
            Some(end) => match places.get(&bytes[..end]) {
                Some(&place) => env[place].clone_from(entry),
                None => {
                    places.insert(&bytes[..end], env.len());
                    env.push(entry.clone());
                }
            },
        }
    }
    // An empty HOME is as good as none: stage1 looks it up.
    env.retain(|entry| entry.as_ref() != b"HOME=");
    env
}

fn cwd(process: &oci_spec::runtime::Process, problems: &mut Problems) -> String {
    let cwd = text_of(process.cwd());
    if cwd.is_empty() {
        problems.add("$.process.cwd", "Cwd property must not be empty");
    } else if !cwd.starts_with('/') {
        problems.add("$.process.cwd", "Cwd must be an absolute path");
    }
    problems.check_text("$.process.cwd", &cwd, PATH_BYTES_MAX);
    cwd
}

fn user(user: &oci_spec::runtime::User, problems: &mut Problems) -> User {
    let umask = user.umask();
    if umask.is_some_and(|umask| umask > 0o777) {
        problems.add("$.process.user.umask", "has more than nine bits");
    }
    // The kernel takes the highest number for "no change".
    for (name, id) in [("uid", user.uid()), ("gid", user.gid())] {
        if id == u32::MAX {
            problems.add(format_args!("$.process.user.{name}"), format!("{id} is not an id"));
        }
    }
    let additional_gids = user.additional_gids().clone().unwrap_or_default();
    if additional_gids.len() > GROUP_COUNT_MAX {
        problems.add("$.process.user.additionalGids", format!("there are more than {GROUP_COUNT_MAX}"));
    }
    for (index, _) in additional_gids.iter().enumerate().filter(|(_, gid)| **gid == u32::MAX) {
        problems.add(
            format_args!("$.process.user.additionalGids[{index}]"),
            format!("{} is not an id", u32::MAX),
        );
    }
    User { uid: user.uid(), gid: user.gid(), umask, additional_gids }
}

/// A size without a terminal is not looked at (runtime-spec, config.md "Process").
fn terminal(process: &oci_spec::runtime::Process, problems: &mut Problems) -> Option<Terminal> {
    if process.terminal() != Some(true) {
        return None;
    }
    let Some(size) = process.console_size() else { return Some(Terminal::default()) };
    let mut number = |name: &str, value: u64| match u16::try_from(value) {
        Ok(value) => u32::from(value),
        Err(_) => {
            problems
                .add(format_args!("$.process.consoleSize.{name}"), format!("{value} is above {}", u16::MAX));
            0
        }
    };
    Some(Terminal { width: number("width", size.width()), height: number("height", size.height()) })
}

fn capability_sets(sets: &LinuxCapabilities, problems: &mut Problems) -> CapabilitySets {
    let sets = CapabilitySets {
        bounding: mask(sets.bounding().as_ref()),
        effective: mask(sets.effective().as_ref()),
        inheritable: mask(sets.inheritable().as_ref()),
        permitted: mask(sets.permitted().as_ref()),
        ambient: mask(sets.ambient().as_ref()),
    };
    let beyond = sets.effective & !sets.permitted;
    if beyond != 0 {
        let names = (0..u64::BITS).filter(|number| beyond & 1 << number != 0).filter_map(capability_name);
        let names: Vec<_> = names.collect();
        problems.add("$.process.capabilities.effective", format!("not permitted: {}", names.join(", ")));
    }
    sets
}

fn rlimits(process: &oci_spec::runtime::Process, problems: &mut Problems) -> Vec<Rlimit> {
    let mut limits: Vec<Rlimit> = Vec::new();
    for (index, limit) in process.rlimits().iter().flatten().enumerate() {
        let path = format_args!("$.process.rlimits[{index}]");
        let resource = rlimit_number(limit.typ());
        if limits.iter().any(|known| known.resource == resource) {
            problems
                .add(path, format!("a second entry of type {}", rlimit_name(resource).unwrap_or_default()));
        }
        if limit.soft() > limit.hard() {
            problems.add(path, format!("soft {} is above hard {}", limit.soft(), limit.hard()));
        }
        limits.push(Rlimit { resource, soft: limit.soft(), hard: limit.hard() });
    }
    limits
}

/// The kernel's RLIMIT_* numbers, in their order (asm-generic/resource.h).
const RLIMITS: [(PosixRlimitType, &str); 16] = [
    (PosixRlimitType::RlimitCpu, "RLIMIT_CPU"),
    (PosixRlimitType::RlimitFsize, "RLIMIT_FSIZE"),
    (PosixRlimitType::RlimitData, "RLIMIT_DATA"),
    (PosixRlimitType::RlimitStack, "RLIMIT_STACK"),
    (PosixRlimitType::RlimitCore, "RLIMIT_CORE"),
    (PosixRlimitType::RlimitRss, "RLIMIT_RSS"),
    (PosixRlimitType::RlimitNproc, "RLIMIT_NPROC"),
    (PosixRlimitType::RlimitNofile, "RLIMIT_NOFILE"),
    (PosixRlimitType::RlimitMemlock, "RLIMIT_MEMLOCK"),
    (PosixRlimitType::RlimitAs, "RLIMIT_AS"),
    (PosixRlimitType::RlimitLocks, "RLIMIT_LOCKS"),
    (PosixRlimitType::RlimitSigpending, "RLIMIT_SIGPENDING"),
    (PosixRlimitType::RlimitMsgqueue, "RLIMIT_MSGQUEUE"),
    (PosixRlimitType::RlimitNice, "RLIMIT_NICE"),
    (PosixRlimitType::RlimitRtprio, "RLIMIT_RTPRIO"),
    (PosixRlimitType::RlimitRttime, "RLIMIT_RTTIME"),
];

fn rlimit_number(kind: PosixRlimitType) -> u32 {
    RLIMITS.iter().position(|(known, _)| *known == kind).unwrap_or_default() as u32
}

/// The spec's name of a RLIMIT_* number.
pub fn rlimit_name(resource: u32) -> Option<&'static str> {
    RLIMITS.get(resource as usize).map(|&(_, name)| name)
}

fn oom_score_adj(process: &oci_spec::runtime::Process, problems: &mut Problems) -> Option<i32> {
    let score = process.oom_score_adj()?;
    if !(-1000..=1000).contains(&score) {
        problems.add("$.process.oomScoreAdj", format!("{score} is not between -1000 and 1000"));
    }
    Some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_entries_with_one_name_the_last_value_stays_in_the_first_place() {
        let mut problems = Problems::default();
        let entries = ["A=1", "B=2", "A=3", "HOME="].map(String::from);
        assert_eq!(env(&entries, &mut problems), ["A=3", "B=2"]);
        assert_eq!(problems, Problems::default());
    }

    #[test]
    fn entries_without_a_name_are_named_by_their_place() {
        let mut problems = Problems::default();
        env(&["A=1", "NO", "=x"].map(String::from), &mut problems);
        let paths: Vec<&str> = problems.0.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["$.process.env[1]", "$.process.env[2]"]);
    }

    #[test]
    fn rlimit_numbers_are_the_kernels() {
        assert_eq!(rlimit_number(PosixRlimitType::RlimitNofile), 7);
        assert_eq!(rlimit_name(15), Some("RLIMIT_RTTIME"));
    }
}
