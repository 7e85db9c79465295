//! How much a start costs the kernel: system calls of all processes together, and no thread.

use std::fs;
use std::process::Command;

use pinnace_tests::{Bundle, cgroup_hierarchies, find_program, is_pinnace, run_within_limit, skip};

/// What a default run makes now, with some room for calls that are interrupted, so that no change adds to it unseen. The goal is 340; crun makes 1,064,
/// runc 7,143.
const CALLS_MAX_V1: usize = 350;

#[test]
fn default_run_makes_few_system_calls_and_no_thread() {
    if !is_pinnace() {
        return;
    }
    let Some(strace) = find_program("strace") else {
        return skip("default_run_makes_few_system_calls", "strace is not installed");
    };
    let container = Bundle::new().container();
    // The state root is there after the first use.
    container.run().succeeded();
    let log = container.bundle.scratch().join("strace");
    let run = container.create_command("run", &[]);
    let mut command = Command::new(strace);
    command.arg("-f").arg("-o").arg(&log).arg(run.get_program()).args(run.get_args());
    run_within_limit(command).succeeded();
    let text = fs::read_to_string(&log).expect("strace's log");
    // `PID call(…) = …`; a call that was interrupted has a second line `PID <... call resumed>`.
    let calls: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, call)| call.trim_start())
        .filter(|call| call.starts_with(|first: char| first.is_ascii_alphabetic()))
        .collect();
    assert!(!calls.iter().any(|call| call.contains("CLONE_THREAD")), "a thread was made");
    eprintln!("system calls of a default run: {}", calls.len());
    if cgroup_hierarchies().contains_key("memory") {
        assert!(calls.len() <= CALLS_MAX_V1, "{} system calls:\n{text}", calls.len());
    }
}
