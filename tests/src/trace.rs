//! What a command asks of the kernel.

use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal};

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

/// The same command with its system calls, and its children's, tampered with: `NAME:delay_enter=MICROSECONDS`, or `NAME:signal=KILL`.
pub fn tampered(strace: &Path, traced: &Command, injection: &str, log: &Path) -> Command {
    let (name, _) = injection.split_once(':').expect("a call and what is done to it");
    let mut command = Command::new(strace);
    command.args(["-f", "-qq", "-e", &format!("trace={name}"), "-e", &format!("inject={injection}")]);
    command.arg("-o").arg(log).arg(traced.get_program()).args(traced.get_args());
    command
}

/// Kills the program that a command of `tampered` has started, and none of its children.
pub fn kill_traced(mut strace: Child) {
    let children = format!("/proc/{0}/task/{0}/children", strace.id());
    let children = std::fs::read_to_string(children).expect("children");
    let program = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    rustix::process::kill_process(program.expect("the program"), Signal::KILL).expect("kill");
    strace.wait().expect("wait");
}
