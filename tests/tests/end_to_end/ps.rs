//! The processes of a container, as the host sees them.

use std::process::Command;

use pinnace_tests::{Bundle, Container, find_program, skip, wait_until};

fn pids(container: &Container) -> Vec<i32> {
    let outcome = container.call(&["ps", "--format", "json", &container.id]);
    serde_json::from_str::<Option<Vec<i32>>>(outcome.succeeded())
        .expect("a JSON list of pids")
        .unwrap_or_default()
}

fn three_processes() -> Container {
    let container = Bundle::new().shell("sleep 100 & sleep 100 & wait").container();
    container.run_detached().succeeded();
    wait_until("three processes run", || pids(&container).len() == 3);
    container
}

#[test]
fn json_is_one_line_of_the_hosts_pids() {
    let container = three_processes();
    let outcome = container.call(&["ps", "-f", "json", &container.id]);
    assert_eq!(outcome.stdout.lines().count(), 1, "{}", outcome.describe());
    assert!(pids(&container).contains(&container.pid()));
    for pid in pids(&container) {
        let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a living process");
        assert!(cgroups.contains(&container.id), "{cgroups}");
    }
    container.kill("KILL").succeeded();
    container.wait_stopped();
    assert_eq!(container.call(&["ps", "--format", "json", &container.id]).succeeded(), "null");
}

/// busybox's ps takes `-e`, and neither sorts nor filters by it.
fn has_full_ps() -> bool {
    find_program("ps").is_some_and(|ps| {
        Command::new(ps).arg("-ef").output().is_ok_and(|output| output.stdout.starts_with(b"UID"))
    })
}

#[test]
fn table_is_the_header_of_the_hosts_ps_and_the_containers_rows() {
    if !has_full_ps() {
        return skip("the host has no ps that takes -ef");
    }
    let container = three_processes();
    let outcome = container.call(&["ps", &container.id]);
    let lines: Vec<&str> = outcome.succeeded().lines().collect();
    assert!(lines[0].starts_with("UID") && lines[0].contains("PID"), "{}", outcome.describe());
    assert_eq!(lines.len(), 4, "{}", outcome.describe());
    assert!(lines.iter().skip(1).all(|line| line.contains("sleep 100")), "{}", outcome.describe());
}

#[test]
fn words_behind_the_id_are_for_ps() {
    if find_program("ps").is_none() {
        return skip("the host has no ps");
    }
    let container = three_processes();
    let outcome = container.call(&["ps", &container.id, "-e", "-o", "pid,comm"]);
    let lines: Vec<&str> = outcome.succeeded().lines().collect();
    assert_eq!(lines.len(), 4, "{}", outcome.describe());
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["PID", "COMMAND"]);
    container.call(&["ps", &container.id, "-e", "-o", "comm"]).failed_with(&["PID field in ps output"]);
    container.call(&["ps", &container.id, "--no-such-option"]).failed_with(&["ps", "exit status"]);
}

#[test]
fn what_is_wrong_is_said_as_runc_says_it() {
    let container = Bundle::new().container();
    container.call(&["ps"]).failed_with(&["\"ps\" requires a minimum of 1 argument(s)"]);
    container.call(&["ps", "nobody"]).failed_with(&["container does not exist"]);
    let container = three_processes();
    container.call(&["ps", "--format", "xml", &container.id]).failed_with(&["invalid format option"]);
}
