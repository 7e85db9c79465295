//! `demo`: it works, and leaves nothing, whoever interrupts it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pinnace_tests::{Bundle, cgroup_hierarchies, tests_pinnace};
use rustix::process::{Pid, Signal, kill_process};

fn demo(directory: &Path) -> Child {
    // Its own command has the state directory of this test.
    let container = Bundle::new().container();
    let mut command = Command::new(container.command(&["demo"]).get_program());
    command.arg("demo").env("TMPDIR", directory).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("demo")
}

#[track_caller]
fn has_left_nothing(directory: &Path, pid: u32) {
    assert_eq!(fs::read_dir(directory).expect("a directory").count(), 0);
    let name = format!("pinnace-demo-{pid}");
    for hierarchy in cgroup_hierarchies().into_values() {
        let left = Command::new("find").arg(&hierarchy).args(["-name", &name]).output().expect("find");
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "{name}");
    }
}

#[test]
fn a_demo_that_a_signal_ends_leaves_nothing() {
    if !tests_pinnace() {
        return;
    }
    let bundle = Bundle::new();
    let directory = bundle.scratch().join("tmp");
    fs::create_dir(&directory).expect("mkdir");
    let mut interrupted = 0;
    for round in 0..24 {
        let mut child = demo(&directory);
        // Mostly early: a start takes one or two milliseconds where it is quick.
        std::thread::sleep(Duration::from_micros(20 * round * round));
        let pid = child.id();
        let signal = if round % 2 == 0 { Signal::TERM } else { Signal::INT };
        // Ignored: it may have ended.
        let _ = kill_process(Pid::from_child(&child), signal);
        let status = child.wait().expect("an end");
        interrupted += usize::from(!status.success());
        has_left_nothing(&directory, pid);
    }
    assert!(interrupted > 0, "no signal has come in time");
}

#[test]
fn two_demos_at_once_do_not_meet() {
    if !tests_pinnace() {
        return;
    }
    let bundle = Bundle::new();
    let directory = bundle.scratch().join("tmp");
    fs::create_dir(&directory).expect("mkdir");
    let demos: Vec<Child> = (0..4).map(|_| demo(&directory)).collect();
    for child in demos {
        let pid = child.id();
        let output = child.wait_with_output().expect("an end");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{pid}: {errors}");
    }
    assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 0);
}
