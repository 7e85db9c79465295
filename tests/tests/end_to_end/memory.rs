//! How little memory a container's start takes, and what is said where that is not there.

use pinnace_tests::{Bundle, cgroup_hierarchies, json, managers, skip, spawn, tests_pinnace, wait_until};

/// What the error of a limit that is too small promises.
const ENOUGH: u64 = 512 << 10;

fn limits_memory() -> bool {
    let hierarchies = cgroup_hierarchies();
    let has = hierarchies.contains_key("memory")
        || hierarchies.get("").is_some_and(|mount| {
            std::fs::read_to_string(mount.join("cgroup.controllers"))
                .is_ok_and(|text| text.contains("memory"))
        });
    if !has {
        skip("nobody limits memory here");
    }
    has
}

/// The program is a mebibyte of busybox, of which a little is its own: the start is what is measured.
#[test]
fn half_a_mebibyte_is_enough_to_start() {
    if !limits_memory() || !tests_pinnace() {
        return;
    }
    for options in [&[][..], &["--detach"]] {
        let bundle = Bundle::new().set("/linux/resources/memory", json!({"limit": ENOUGH}));
        let container = bundle.args(&["/bin/true"]).container().with_create_options(options);
        container.run().succeeded();
    }
    let container = Bundle::new().set("/linux/resources/memory", json!({"limit": ENOUGH})).container();
    container.create().succeeded();
    container.start().succeeded();
    container.wait_stopped();
}

#[test]
fn limit_that_is_too_small_says_what_was_used_and_what_would_do() {
    if !limits_memory() || !tests_pinnace() {
        return;
    }
    // systemd takes a scope away as soon as nobody is left in it, sometimes before we have looked.
    let by_systemd =
        managers().into_iter().filter(|manager| !manager.is_empty()).flat_map(|manager| [manager; 5]);
    for manager in [&[][..]].into_iter().chain(by_systemd) {
        let bundle = Bundle::new().set("/linux/resources/memory", json!({"limit": 4096}));
        let container = bundle.container().with_global_options(manager);
        let before = container.snapshot();
        let outcome = container.run_detached();
        if outcome.code == 0 {
            // v2 charges in advance for each processor, and what has been charged before the limit stays.
            container.delete_force().succeeded();
            skip("the kernel lets the start through");
            continue;
        }
        let enough = format!("{ENOUGH} is enough to come to the program's start");
        outcome.failed_with(&["out of memory", "limit 4096", &enough]);
        if manager.is_empty() {
            outcome.failed_with(&["out of memory: limit 4096, peak usage ", "processes killed: 1"]);
        }
        let _ = std::fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

/// The kernel kills when it likes, also when the last step of the start is done: whoever hears of no error has a container that runs.
#[test]
fn a_start_that_dies_of_a_small_limit_has_failed() {
    if !limits_memory() || !tests_pinnace() {
        return;
    }
    for (manager, limit) in
        managers().into_iter().flat_map(|manager| [1, 4096, 65536].map(|it| (manager, it)))
    {
        let container = || {
            let bundle = Bundle::new().set("/linux/resources/memory", json!({"limit": limit}));
            bundle.args(&["/bin/sleep", "1000"]).container().with_global_options(manager)
        };
        let foreground = Bundle::new().set("/linux/resources/memory", json!({"limit": limit}));
        let foreground = foreground.args(&["/bin/true"]).container().with_global_options(manager);
        let (detached, held) = (container(), container());
        let outcomes = [
            (&detached, detached.run_detached(), "running"),
            (&held, held.create(), "created"),
            (&foreground, foreground.run(), ""),
        ];
        let is_held = outcomes[1].1.code == 0;
        for (container, outcome, state) in outcomes {
            if outcome.code == 0 {
                assert!(state.is_empty() || container.status() == state, "{limit}: {}", container.status());
            } else {
                outcome.failed_with(&["out of memory", &format!("limit {limit}")]);
                container.call(&["state", &container.id]).failed_with(&["container does not exist"]);
            }
        }
        if is_held && held.start().code == 0 {
            assert_eq!(held.status(), "running", "{limit}");
        }
    }
}

/// What a foreground `run` keeps while the program runs, beside the pages of its file, which all share.
#[test]
fn a_foreground_run_keeps_less_than_a_mebibyte() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().shell("echo ready; exec sleep 100").container();
    let run = spawn(container.create_command("run", &[]));
    wait_until("the program runs", || run.stdout_now().contains("ready"));
    let map = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", run.pid().as_raw_nonzero()));
    let map = map.expect("its memory");
    let line = map.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("anonymous memory");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    eprintln!("memory of a foreground run: {kibibytes} KiB");
    assert!(kibibytes < 1024, "{map}");
    container.kill("KILL").succeeded();
    run.finish();
}
