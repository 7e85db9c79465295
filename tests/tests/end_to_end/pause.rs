//! Stopping all processes of a container for a while.

use std::fs;
use std::time::Duration;

use pinnace_tests::{Bundle, Container, wait_until};

/// Counts in a file that the host can read.
fn counting() -> Container {
    let script = "number=0; while true; do number=$((number + 1)); echo $number > /count; sleep 0.01; done";
    Bundle::new().writable().shell(script).container()
}

fn count(container: &Container) -> Option<u64> {
    fs::read_to_string(container.bundle.rootfs().join("count")).ok()?.trim().parse().ok()
}

fn pids(container: &Container) -> Vec<i32> {
    let outcome = container.call(&["ps", "--format", "json", &container.id]);
    serde_json::from_str(outcome.succeeded()).expect("a list of pids")
}

#[test]
fn paused_container_does_nothing_until_it_is_resumed() {
    let container = counting();
    container.run_detached().succeeded();
    wait_until("the program counts", || count(&container).is_some());
    assert_eq!(container.call(&["pause", &container.id]).succeeded(), "");
    assert_eq!(container.status(), "paused");
    let listed = container.call(&["list", "--format", "json"]);
    assert!(listed.succeeded().contains("\"status\":\"paused\""), "{}", listed.describe());
    let before = count(&container);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(count(&container), before);

    container.call(&["resume", &container.id]).succeeded();
    assert_eq!(container.status(), "running");
    wait_until("the program goes on counting", || count(&container) != before);
}

#[test]
fn every_process_is_stopped_when_pause_returns() {
    let script = "for number in 1 2 3 4 5 6 7 8; do (while true; do /bin/true; done) & done; wait";
    let container = Bundle::new().shell(script).container();
    container.run_detached().succeeded();
    wait_until("all loops run", || pids(&container).len() >= 9);
    for _ in 0..10 {
        container.call(&["pause", &container.id]).succeeded();
        assert_eq!(container.status(), "paused");
        for pid in pids(&container) {
            let used = || {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a living process");
                let fields: Vec<String> =
                    stat.rsplit_once(')').expect("a name").1.split(' ').map(str::to_owned).collect();
                fields[12..14].to_vec()
            };
            let before = used();
            std::thread::sleep(Duration::from_millis(1));
            assert_eq!(used(), before, "{pid}");
        }
        container.call(&["resume", &container.id]).succeeded();
    }
}

#[test]
fn only_what_fits_the_status_is_allowed() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    let call = |verb: &str| container.call(&[verb, &container.id]);
    for verb in ["pause", "resume"] {
        assert_eq!(call(verb).failed_with(&[]).message(), "container does not exist");
    }
    container.create().succeeded();
    assert_eq!(call("resume").failed_with(&[]).message(), "container not paused");
    call("pause").succeeded();
    assert_eq!(container.status(), "paused");
    assert_eq!(call("start").failed_with(&[]).message(), "cannot start a container in the paused state");
    call("resume").succeeded();
    assert_eq!(container.status(), "created");
    container.start().succeeded();
    assert_eq!(call("resume").failed_with(&[]).message(), "container not paused");
    call("pause").succeeded();
    assert_eq!(call("pause").failed_with(&[]).message(), "container not running");
    call("resume").succeeded();
    container.kill("KILL").succeeded();
    container.wait_stopped();
    assert_eq!(call("pause").failed_with(&[]).message(), "container not running");
    assert_eq!(call("resume").failed_with(&[]).message(), "container not paused");
}

#[test]
fn paused_container_can_be_killed_and_deleted() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    let before = container.snapshot();
    container.run_detached().succeeded();
    container.call(&["pause", &container.id]).succeeded();
    container.delete().failed_with(&["that is not stopped: paused"]);
    container.delete_force().succeeded();
    container.run_detached().succeeded();
    container.call(&["pause", &container.id]).succeeded();
    container.kill("KILL").succeeded();
    container.wait_stopped();
    container.delete().succeeded();
    let _ = fs::remove_dir(container.state_root());
    container.snapshot().assert_same_as(&before);
}

#[test]
fn signal_to_all_does_not_resume() {
    if !pinnace_tests::tests_pinnace() {
        return;
    }
    let container = Bundle::new().shell("trap 'echo caught' TERM; while true; do sleep 1; done").container();
    container.run_detached().succeeded();
    container.call(&["pause", &container.id]).succeeded();
    container.call(&["kill", "--all", &container.id, "WINCH"]).succeeded();
    assert_eq!(container.status(), "paused");
}
