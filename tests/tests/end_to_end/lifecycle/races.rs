//! Commands beside each other, and commands that are cut off.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use pinnace_tests::{
    Bundle, Signal, busybox, find_program, is_pinnace, kill_traced, run_within_limit, skip, spawn, tampered,
    tests_pinnace, wait_until,
};

use super::waiting;

/// pinnace has to survive what youki does not; runc is only there to test the test, and slow.
fn rounds(many: u32) -> u32 {
    if is_pinnace() { many } else { many / 25 }
}

#[test]
fn end_of_a_program_that_ends_at_once_is_never_missed() {
    let container = Bundle::new().container();
    for _ in 0..rounds(1000) {
        container.run().succeeded();
    }
    assert!(container.snapshot().cgroups.is_empty());
}

#[test]
fn end_of_a_short_program_is_not_missed_on_a_loaded_machine() {
    let spinners: Vec<_> = (0..2)
        .map(|_| {
            let mut command = Command::new(busybox());
            command.args(["sh", "-c", "while :; do :; done"]);
            spawn(command)
        })
        .collect();
    let container = Bundle::new().container();
    for _ in 0..rounds(200) {
        container.run().succeeded();
    }
    for spinner in spinners {
        spinner.signal(Signal::KILL);
        spinner.finish();
    }
}

/// Runs the same command several times at once; how many succeeded.
fn at_once(count: usize, command: impl Fn() -> Command + Sync) -> usize {
    let codes: Vec<i32> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(|| run_within_limit(command()).code)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a command that ends")).collect()
    });
    assert!(codes.iter().all(|code| matches!(code, 0 | 1)), "{codes:?}");
    codes.iter().filter(|code| **code == 0).count()
}

#[test]
fn of_several_creates_at_once_one_wins() {
    for _ in 0..rounds(20).max(2) {
        let container = waiting();
        let before = container.snapshot();
        let winners = at_once(4, || container.create_command("create", &[]));
        assert_eq!(winners, 1);
        assert_eq!(container.status(), "created");
        assert_eq!(container.snapshot().processes.len(), 1);
        container.start().succeeded();
        container.delete_force().succeeded();
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn of_several_starts_at_once_one_wins() {
    for _ in 0..rounds(20) {
        let container = Bundle::new().writable().shell("echo ran >> /log; sleep 100").container();
        container.create().succeeded();
        let winners = at_once(4, || container.command(&["start", &container.id]));
        if is_pinnace() {
            assert_eq!(winners, 1);
        }
        let log = container.bundle.rootfs().join("log");
        wait_until("the program ran", || log.exists());
        assert_eq!(container.status(), "running");
    }
}

#[test]
fn several_deletes_at_once_leave_nothing() {
    for _ in 0..rounds(20).max(2) {
        let container = waiting();
        let before = container.snapshot();
        container.run_detached().succeeded();
        let winners = at_once(4, || container.command(&["delete", "--force", &container.id]));
        assert!(winners >= 1);
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn state_and_list_are_safe_beside_create_and_delete() {
    let container = waiting();
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..rounds(50).max(3) {
                container.create().succeeded();
                container.delete_force().succeeded();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let state = container.call(&["state", &container.id]);
                assert!(matches!(state.code, 0 | 1), "{}", state.describe());
                let list = container.call(&["list", "-q"]);
                assert!(matches!(list.code, 0 | 1), "{}", list.describe());
            }
        });
    });
}

#[test]
fn runtime_killed_at_any_moment_leaves_nothing_that_forced_delete_does_not_remove() {
    // runc writes its record late, and then delete does not know what to remove.
    if !tests_pinnace() {
        return;
    }
    for verb in ["create", "run"] {
        for round in 0..60 {
            let container = waiting();
            let before = container.snapshot();
            let command = spawn(container.create_command(verb, &[]));
            thread::sleep(Duration::from_micros(150 * round));
            // It may have ended already: then the signal has nobody to reach, and that is fine as well.
            command.signal(Signal::KILL);
            command.finish();
            container.delete_force().succeeded();
            let _ = fs::remove_dir(container.state_root());
            wait_until("nothing is left", || container.snapshot() == before);
        }
    }
}

/// A small generator: which command comes next shall differ between workers and rounds, and be the same in each run of the test.
fn next_random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

#[test]
fn commands_that_race_on_one_id_leave_nothing_behind() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    let before = container.snapshot();
    let deadline = std::time::Instant::now() + Duration::from_secs(4);
    thread::scope(|scope| {
        for worker in 1..=6u32 {
            let container = &container;
            scope.spawn(move || {
                let mut state = worker.wrapping_mul(0x9e37_79b9);
                while std::time::Instant::now() < deadline {
                    let command = match next_random(&mut state) % 6 {
                        0 | 1 => container.create_command("create", &[]),
                        2 => container.create_command("run", &["--detach"]),
                        3 => container.command(&["start", &container.id]),
                        4 => container.command(&["delete", &container.id]),
                        _ if state & 64 == 0 => container.command(&["kill", &container.id, "KILL"]),
                        _ => container.command(&["delete", "--force", &container.id]),
                    };
                    let outcome = run_within_limit(command);
                    assert!(matches!(outcome.code, 0 | 1), "{}", outcome.describe());
                }
            });
        }
    });
    container.delete_force().succeeded();
    let _ = fs::remove_dir(container.state_root());
    wait_until("nothing is left", || container.snapshot() == before);
}

#[test]
fn forced_delete_does_not_wait_for_a_start_that_waits_for_the_container() {
    if !tests_pinnace() {
        return;
    }
    let container = waiting();
    container.create().succeeded();
    let pidfd = container.pidfd();
    rustix::process::pidfd_send_signal(&pidfd, Signal::STOP).expect("stop the first process");
    let start = spawn(container.command(&["start", &container.id]));
    thread::sleep(Duration::from_millis(100));
    let deleted = container.delete_force();
    deleted.succeeded();
    assert!(deleted.took < Duration::from_secs(5), "{:?}", deleted.took);
    // The program was never executed, and `start` does not say so.
    start.finish().failed_with(&["container init ended before it executed the program"]);
    assert!(container.snapshot().cgroups.is_empty());
}

/// Whoever ends `start` when the program has begun: the container runs, whatever the state directory still holds.
#[test]
fn a_start_that_is_cut_off_leaves_a_running_container() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("strace is not installed");
    };
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    container.create().succeeded();
    assert_eq!(container.status(), "created");
    // It is held where it would take the name of its socket away.
    let start = container.command(&["start", &container.id]);
    let log = container.bundle.scratch().join("strace");
    let mut command = tampered(&strace, &start, "unlinkat:delay_enter=2000000", &log);
    let start = command.stderr(Stdio::null()).spawn().expect("spawn");
    wait_until("it runs", || container.status() == "running");
    kill_traced(start);
    assert_eq!(container.status(), "running");
    container.start().failed_with(&["cannot start an already running container"]);
    container.delete().failed_with(&["is not stopped: running"]);
    container.kill("KILL").succeeded();
    container.wait_stopped();
    container.delete().succeeded();
}
