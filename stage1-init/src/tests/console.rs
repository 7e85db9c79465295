//! The program's terminal.

use super::*;

/// A start whose only step is the console's.
fn with_console(bind: bool, uid: u32, width: u32) -> Fake {
    let step = Step::OpenConsole { uid, width, height: width / 2, bind };
    let own = Step::OwnStreams { uid, files: true };
    let steps = [PhasedStep { phase: Phase::Views, step }, PhasedStep { phase: Phase::Identity, step: own }];
    let bootstrap = Bootstrap { await_cgroups: false, await_network: false, ..bootstrap() };
    let start = frame(Reply::Start { ignored_signals: 0 }, 0);
    let mut kernel = kernel(std::vec![(encoded(bootstrap, &steps), 0), start]);
    let device = crate::kernel::device_number(5, 2);
    kernel.modes.push(("ptmx", Status { mode: 0o020666, device, ..Status::default() }));
    kernel
}

fn calls(kernel: &Fake) -> &[String] {
    let first = kernel.trace.iter().position(|line| line.starts_with("open root /dev/pts"));
    let first = first.or(kernel.trace.iter().position(|line| line.contains(" /dev/pts "))).unwrap();
    let last = kernel.trace.iter().position(|line| line.starts_with("status_of")).unwrap();
    &kernel.trace[first..last]
}

#[test]
fn a_terminal_is_opened_and_bound_by_descriptors_alone() {
    let _alone = alone();
    let mut kernel = with_console(true, 1000, 80);
    kernel.modes.push(("console", Status { mode: 0o100644, ..Status::default() }));
    assert_eq!(run(&mut kernel), End::Executed);
    check_stored("console.trace", &(calls(&kernel).join("\n") + "\n"));
}

#[test]
fn a_terminal_of_root_without_a_size_takes_the_fewest_calls() {
    let _alone = alone();
    let mut kernel = with_console(false, 0, 0);
    assert_eq!(run(&mut kernel), End::Executed);
    let made = calls(&kernel);
    for absent in ["terminal_size", "give_to_user terminal", "open_tree", "move_mount"] {
        assert!(!made.iter().any(|line| line.starts_with(absent)), "{absent}: {made:?}");
    }
}

/// CVE-2025-52565 and its kin: what is at /dev/pts has to be a devpts, and its ptmx the device.
#[test]
fn what_is_no_terminal_device_is_refused_before_anything_is_done_with_it() {
    let _alone = alone();
    let mut elsewhere = with_console(true, 0, 0);
    elsewhere.terminals_type = 0x0102_1994;
    let mut other_device = with_console(true, 0, 0);
    other_device.modes.retain(|(name, _)| *name != "ptmx");
    for mut kernel in [elsewhere, other_device] {
        assert_eq!(run(&mut kernel), End::Exited(1));
        assert!(!kernel.trace.iter().any(|line| line.starts_with("terminal_")), "{:?}", kernel.trace);
        let told = kernel.trace.iter().find(|line| line.contains("Failed")).unwrap();
        assert!(told.contains("call: StatusFilesystem"), "{told}");
    }
}

/// CVE-2026-88264.
#[test]
fn a_symlink_at_dev_console_is_refused() {
    let _alone = alone();
    let mut kernel = with_console(true, 0, 0);
    kernel.modes.push(("console", Status { mode: 0o120777, ..Status::default() }));
    assert_eq!(run(&mut kernel), End::Exited(1));
    assert!(!kernel.trace.iter().any(|line| line.starts_with("move_mount tree of terminal")));
}

/// What is given to the user: of regular files those that can be written, which in the fake are standard output and error.
#[test]
fn streams_of_the_caller_become_the_users_as_far_as_that_is_harmless() {
    let _alone = alone();
    for (mode, given) in
        [(0o010600, &[0, 1, 2][..]), (0o140777, &[0, 1, 2]), (0o100600, &[1, 2]), (0o020620, &[])]
    {
        let mut kernel = with_console(false, 1000, 0);
        kernel.modes.push(("socket", Status { mode, ..Status::default() }));
        assert_eq!(run(&mut kernel), End::Executed);
        for number in 0..3 {
            let line = format!("give_to_user {number} 1000");
            assert_eq!(kernel.trace.contains(&line), given.contains(&number), "{mode:o} {line}");
        }
    }
}

/// With the host's /dev/null as a stream, the container's root could change the host's mode and owner of it.
#[test]
fn streams_that_are_the_hosts_null_become_the_containers() {
    let _alone = alone();
    let null = Status { mode: 0o020666, device: crate::kernel::device_number(1, 3), ..Status::default() };
    for (in_the_container, expected) in [(null, 3), (Status { mode: 0o100666, ..Status::default() }, 0)] {
        let mut kernel = with_console(false, 0, 0);
        kernel.modes.retain(|(name, _)| *name != "/dev/null");
        kernel.modes.extend([("socket", null), ("/dev/null", in_the_container)]);
        assert_eq!(run(&mut kernel), End::Executed);
        let own = kernel.trace.iter().filter(|line| line.starts_with("duplicate /dev/null"));
        assert_eq!(own.count(), expected);
        let opened = kernel.trace.iter().any(|line| line.contains("/dev/null Terminal"));
        assert_eq!(opened, expected > 0, "{:?}", kernel.trace);
    }
}

#[test]
fn every_failure_on_the_way_to_a_terminal_is_told_and_ends_the_start() {
    let _alone = alone();
    let count = {
        let mut kernel = with_console(true, 1000, 80);
        run(&mut kernel);
        kernel.trace.len()
    };
    for index in 0..count - 1 {
        let mut kernel = with_console(true, 1000, 80);
        kernel.fail = Some((index, Errno::IO));
        if run(&mut kernel) == End::Exited(1) {
            assert!(!kernel.trace.iter().any(|line| line.starts_with("execute")), "{index}");
        }
    }
}
