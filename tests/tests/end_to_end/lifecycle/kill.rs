//! `kill`.

use pinnace_tests::{Bundle, tests_pinnace, wait_until};

use super::{running, waiting};

#[test]
fn kill_takes_names_and_numbers() {
    for signal in ["USR1", "SIGUSR1", "usr1", "sigusr1", "10"] {
        let container = running();
        let pidfd = container.pidfd();
        container.kill(signal).succeeded();
        drop(pidfd);
        container.wait_stopped();
    }
    // Without a name it is TERM.
    let container = running();
    container.call(&["kill", &container.id]).succeeded();
    container.wait_stopped();
}

#[test]
fn kill_refuses_unknown_signals_and_dead_containers() {
    let container = running();
    container.kill("FOO").failed_with(&["unknown signal \"FOO\""]);
    container.kill("65").failed_with(&["invalid argument"]);
    container.kill("-1").failed_with(&["unable to signal init: invalid argument"]);
    container.kill("0").succeeded();
    assert_eq!(container.status(), "running");
    container.kill("KILL").succeeded();
    container.wait_stopped();
    container.kill("TERM").failed_with(&["container not running"]);
    container.call(&["kill", "--all", &container.id, "TERM"]).succeeded();
}

#[test]
fn kill_reaches_every_process_of_a_container_without_its_own_pid_namespace() {
    let container =
        Bundle::new().without_namespace("pid").shell("setsid sleep 100 & echo ready; wait").container();
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("both processes run", || container.snapshot().processes.len() == 2);
    container.call(&["kill", "--all", &container.id, "KILL"]).succeeded();
    wait_until("both processes ended", || container.snapshot().processes.is_empty());
    container.delete().succeeded();
}

#[test]
fn kill_of_all_sends_each_process_one_signal_also_a_real_time_one() {
    if !tests_pinnace() {
        return;
    }
    // A shell that forks has its trap run by the copy as well, if the signal comes just then.
    let counting = "sleep 1000 | { trap 'echo caught' 40; echo ready; while true; do read line; done; }";
    let container = Bundle::new().shell(&format!("{counting} & {counting}")).container();
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("both shells are ready", || outcome.stdout_now().matches("ready").count() == 2);
    container.call(&["kill", "--all", &container.id, "40"]).succeeded();
    let caught = || outcome.stdout_now().matches("caught").count();
    wait_until("both have caught it", || caught() == 2);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(caught(), 2);
    container.call(&["kill", "--all", &container.id, "65"]).failed_with(&["invalid argument"]);
}

#[test]
fn kill_of_all_ends_a_container_that_forks_all_the_time() {
    let script = "forks() { while true; do (true) & done; }; forks & forks & forks & echo ready; wait";
    let container = Bundle::new().without_namespace("pid").shell(script).container();
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("it forks", || outcome.stdout_now().contains("ready"));
    container.call(&["kill", "--all", &container.id, "KILL"]).succeeded();
    wait_until("all have ended", || container.snapshot().processes.is_empty());
    container.delete().succeeded();
    assert!(container.snapshot().cgroups.is_empty());
}

#[test]
fn signals_that_would_end_a_process_end_a_container_that_waits_for_its_start() {
    if !tests_pinnace() {
        return;
    }
    for signal in ["TERM", "INT", "HUP"] {
        let container = waiting();
        container.create().succeeded();
        container.kill("WINCH").succeeded();
        container.kill("0").succeeded();
        assert_eq!(container.status(), "created");
        let pidfd = container.pidfd();
        container.kill(signal).succeeded();
        drop(pidfd);
        wait_until("it is stopped", || container.status() == "stopped");
        container.delete().succeeded();
    }
}
