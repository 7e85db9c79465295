//! How much a start costs the kernel: system calls, page faults and context switches of all processes together, and no thread.

use std::path::Path;
use std::process::Command;

use pinnace_tests::{
    Bundle, cgroup_hierarchies, find_program, run_within_limit, skip, system_calls, tests_pinnace,
};

/// What a default run makes now, but for two calls for each of its masked and read-only paths that this host has, so that no change adds to it unseen:
/// 329 in all with glibc (musl: 319), nine hierarchies, eight paths and /dev/null as one stream; crun makes 1,064, runc 7,143.
const CALLS_MAX_V1: usize = 313;

/// The same on cgroup v2: 264 in all on Linux 6.1 with systemd (`ci/test-vm systemd syscalls::`), and a few for what other kernels lack.
const CALLS_MAX_V2: usize = 245;

/// Page faults of a default run that need no reading, those of its busybox among them, and how often its processes wait: measured 130 and 10.
/// A busy machine makes them wait more often.
const FAULTS_MAX: u64 = 140;
const WAITS_MAX: u64 = 20;

#[test]
fn default_run_makes_few_system_calls_and_no_thread() {
    if !tests_pinnace() {
        return;
    }
    let Some(strace) = find_program("strace") else {
        return skip("strace is not installed");
    };
    let container = Bundle::new().container();
    // The state root is there after the first use.
    container.run().succeeded();
    let run = container.create_command("run", &[]);
    let (text, calls) = system_calls(&strace, &run, &container.bundle.scratch().join("strace"));
    assert!(!calls.iter().any(|call| call.contains("CLONE_THREAD")), "a thread was made");
    // One for each signal that whoever runs the tests ignores (nohup does): a container begins without that.
    let count = calls.iter().filter(|call| !call.starts_with("rt_sigaction(")).count();
    eprintln!("system calls of a default run: {count}");
    let paths = ["maskedPaths", "readonlyPaths"].map(|list| &container.bundle.config()["linux"][list]);
    let are_there = paths.into_iter().flat_map(|list| list.as_array().into_iter().flatten());
    let are_there =
        are_there.filter(|path| path.as_str().is_some_and(|path| Path::new(path).exists())).count();
    let of_paths = 2 * are_there;
    let max =
        of_paths + if cgroup_hierarchies().contains_key("memory") { CALLS_MAX_V1 } else { CALLS_MAX_V2 };
    assert!(count <= max, "{count} system calls:\n{text}");
}

#[test]
fn default_run_touches_few_pages_and_waits_seldom() {
    if !tests_pinnace() {
        return;
    }
    let Some(busybox) = find_program("busybox") else {
        return skip("busybox is not installed");
    };
    let container = Bundle::new().container();
    container.run().succeeded();
    let run = container.create_command("run", &[]);
    let mut measured = Command::new(busybox);
    measured.args(["time", "-v"]).arg(run.get_program()).args(run.get_args());
    let outcome = run_within_limit(measured);
    let count = |name: &str| {
        let line = outcome.stderr.lines().find_map(|line| line.trim_start().strip_prefix(name));
        line.and_then(|rest| rest.trim_start_matches(':').trim().parse::<u64>().ok()).expect(&outcome.stderr)
    };
    let (faults, waits) =
        (count("Minor (reclaiming a frame) page faults"), count("Voluntary context switches"));
    eprintln!("a default run: {faults} page faults, {waits} waits");
    assert!(faults <= FAULTS_MAX, "{faults} page faults");
    assert!(waits <= WAITS_MAX, "{waits} waits");
}
