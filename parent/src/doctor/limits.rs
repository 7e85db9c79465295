//! Limits of the caller's process.

use rustix::process::{Resource, getrlimit};

use super::Symptom;
use crate::host::may_raise_limits;

pub(super) struct Facts {
    /// Soft limits; `None` is none.
    open_files: Option<u64>,
    /// The hard one, where we cannot raise it.
    open_files_max: Option<u64>,
    processes: Option<u64>,
    process_count: u64,
    /// Key rings count for root as well, and have a limit of their own.
    keys_left: Option<u64>,
}

impl Facts {
    pub(super) fn read() -> Self {
        Self {
            open_files: getrlimit(Resource::Nofile).current,
            open_files_max: getrlimit(Resource::Nofile).maximum.filter(|_| !may_raise_limits()),
            processes: getrlimit(Resource::Nproc).current.filter(|_| !rustix::process::geteuid().is_root()),
            process_count: own_process_count(),
            keys_left: keys_left(&std::fs::read_to_string("/proc/key-users").unwrap_or_default()),
        }
    }
}

/// Those of our user id, of which the limit counts the threads.
fn own_process_count() -> u64 {
    use std::os::unix::fs::MetadataExt;

    let uid = rustix::process::geteuid().as_raw();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let own = processes.filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.uid() == uid));
    own.map(|entry| std::fs::read_dir(entry.path().join("task")).map_or(0, |tasks| tasks.count() as u64))
        .sum()
}

/// `  0:  4 3/3 2/1000000 56/25000000`: of a user the usage, all keys, and those that count with their greatest number.
///
/// Source: proc_key-users(5).
fn keys_left(text: &str) -> Option<u64> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(&uid)?.strip_prefix(':'))?;
    let (used, all) = line.split_whitespace().nth(2)?.split_once('/')?;
    Some(all.parse::<u64>().ok()?.saturating_sub(used.parse().ok()?))
}

/// What a start holds open at once on a host with a dozen cgroup hierarchies.
const OPEN_FILES_MIN: u64 = 64;
/// Of these many starts at once an embedder may think.
const OPEN_FILES_GOOD: u64 = 1024;
/// config/default.json: process.rlimits.
const OPEN_FILES_DEFAULT: u64 = 1024;
const PROCESSES_LEFT_MIN: u64 = 16;
const KEYS_LEFT_MIN: u64 = 16;

pub(super) fn judge(facts: &Facts) -> Vec<Symptom> {
    const SUBJECT: &str = "limits";
    let mut found = Vec::new();
    match facts.open_files {
        Some(files) if files < OPEN_FILES_MIN => found.push(
            Symptom::missing(SUBJECT, format!("we may open {files} files (RLIMIT_NOFILE)"))
                .meaning("a start fails in the middle")
                .advice("ulimit -n, a unit's LimitNOFILE=")
                .preventing_starts(true),
        ),
        Some(files) if files < OPEN_FILES_GOOD => found.push(
            Symptom::note(SUBJECT, format!("we may open {files} files (RLIMIT_NOFILE)"))
                .meaning("programs in containers inherit that, unless their configuration says otherwise"),
        ),
        _ => {}
    }
    if let Some(files) = facts.open_files_max.filter(|files| *files < OPEN_FILES_DEFAULT) {
        found.push(
            Symptom::missing(SUBJECT, format!("we may allow nobody more than {files} files (RLIMIT_NOFILE, hard)"))
                .meaning(format!("the default configuration does not start, which wants {OPEN_FILES_DEFAULT}: raising it needs CAP_SYS_RESOURCE"))
                .advice("ulimit -Hn, a unit's LimitNOFILE=, as root; or a lower process.rlimits")
                .preventing_starts(true),
        );
    }
    if let Some(processes) = facts.processes
        && processes.saturating_sub(facts.process_count) < PROCESSES_LEFT_MIN
    {
        found.push(
            Symptom::missing(
                SUBJECT,
                format!("we have {} of {processes} processes (RLIMIT_NPROC)", facts.process_count),
            )
            .meaning("clone fails, here or in the container")
            .advice("ulimit -u, a unit's LimitNPROC=")
            .preventing_starts(processes <= facts.process_count),
        );
    }
    if let Some(left) = facts.keys_left.filter(|left| *left < KEYS_LEFT_MIN) {
        found.push(
            Symptom::missing(SUBJECT, format!("{left} more key rings may be made"))
                .meaning("every container has one")
                .advice("sysctl kernel.keys.maxkeys, and root_maxkeys for root")
                .preventing_starts(left == 0),
        );
    }
    if found.is_empty() {
        found.push(Symptom::ok(SUBJECT, "files, processes and keys are enough"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn facts() -> Facts {
        Facts {
            open_files: Some(20_000),
            open_files_max: None,
            processes: None,
            process_count: 5,
            keys_left: Some(1000),
        }
    }

    #[track_caller]
    fn check(facts: &Facts, expected: (Level, bool)) {
        let found = judge(facts);
        assert_eq!(
            found.iter().map(|each| (each.level, each.prevents_starts)).collect::<Vec<_>>(),
            [expected]
        );
    }

    #[test]
    fn limits_that_starts_come_to_are_told() {
        check(&facts(), (Level::Ok, false));
        check(&Facts { open_files: Some(32), ..facts() }, (Level::Missing, true));
        check(&Facts { open_files: Some(256), ..facts() }, (Level::Note, false));
        check(&Facts { open_files_max: Some(1023), ..facts() }, (Level::Missing, true));
        check(&Facts { open_files_max: Some(1024), ..facts() }, (Level::Ok, false));
        check(&Facts { processes: Some(10), ..facts() }, (Level::Missing, false));
        check(&Facts { processes: Some(5), ..facts() }, (Level::Missing, true));
        check(&Facts { processes: Some(500), ..facts() }, (Level::Ok, false));
        check(&Facts { keys_left: Some(0), ..facts() }, (Level::Missing, true));
    }

    #[test]
    fn keys_are_counted_by_the_kernel() {
        let uid = rustix::process::geteuid().as_raw();
        let text = format!("77777: 1 1/1 1/200 9/20000\n{uid:5}:    62 61/61 55/1000000 1118/25000000\n");
        assert_eq!(keys_left(&text), Some(999_945));
        assert_eq!(keys_left(""), None);
    }
}
