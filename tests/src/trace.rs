//! What a command asks of the kernel.

use std::path::Path;
use std::process::Command;

use crate::run_within_limit;

/// Runs a command to its success under strace, and returns the whole log, which stays in `log`, and the calls of all its processes as they
/// began: `name(…`.
#[track_caller]
pub fn system_calls(strace: &Path, traced: &Command, log: &Path) -> (String, Vec<String>) {
    let mut command = Command::new(strace);
    command.arg("-f").arg("-o").arg(log).arg(traced.get_program()).args(traced.get_args());
    run_within_limit(command).succeeded();
    let text = std::fs::read_to_string(log).expect("strace's log");
    // `PID call(…) = …`; a call that was interrupted has a second line `PID <... call resumed>`.
    let calls = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, call)| call.trim_start())
        .filter(|call| call.starts_with(|first: char| first.is_ascii_alphabetic()))
        .map(str::to_owned)
        .collect();
    (text, calls)
}
