//! `kill` and `delete` of all containers whose ids match.

use pinnace_tests::{Bundle, Container, tests_pinnace};

/// Containers whose ids end in `web-1`, `web-2` and `db`, all in one state directory and of one bundle.
fn running() -> (Container, [String; 3]) {
    let container = Bundle::new().args(&["/bin/sleep", "1000"]).container();
    let bundle = container.bundle.path();
    let bundle = bundle.to_str().expect("UTF-8");
    let ids = ["web-1", "web-2", "db"].map(|name| format!("{}-{name}", container.id));
    for id in &ids {
        container.call(&["run", "--detach", "--bundle", bundle, id]).succeeded();
    }
    (container, ids)
}

fn status(container: &Container, id: &str) -> String {
    let outcome = container.call(&["state", id]);
    if outcome.code != 0 {
        return String::from("gone");
    }
    let state: pinnace_tests::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    state["status"].as_str().expect("a status").to_owned()
}

#[test]
fn kill_and_delete_reach_every_container_whose_id_matches_and_no_other() {
    if !tests_pinnace() {
        return;
    }
    let (container, ids) = running();
    let call = |arguments: &[&str]| container.call(arguments);
    let statuses = || ids.each_ref().map(|id| status(&container, id));

    call(&["kill", "--regex", "web-[0-9]$", "0"]).succeeded();
    call(&["kill", "--regex", "^nobody$", "KILL"]).succeeded();
    assert_eq!(statuses(), ["running", "running", "running"]);

    call(&["kill", "--regex", "1$", "KILL"]).succeeded();
    pinnace_tests::wait_until("web-1 has ended", || status(&container, &ids[0]) == "stopped");
    assert_eq!(statuses(), ["stopped", "running", "running"]);
    // web-1 has ended, and is none that could be meant.
    call(&["kill", "-r", "web", "0"]).succeeded();
    call(&["kill", "-ra", "web", "0"]).succeeded();

    let outcome = call(&["delete", "--regex", "^pt-.*(web|db)"]);
    outcome.failed_with(&[
        &format!("{}: cannot delete container {} that is not stopped: running; ", ids[2], ids[2]),
        &format!("{}: cannot delete container", ids[1]),
    ]);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.describe());
    assert_eq!(statuses(), ["gone", "running", "running"]);

    // What a script passes whose variable is not set.
    for command in [&["kill", "--regex", "", "KILL"][..], &["delete", "--force", "--regex", ""]] {
        call(command).failed_with(&["the regular expression is empty"]);
    }
    assert_eq!(statuses(), ["gone", "running", "running"]);

    call(&["delete", "-fr", "^pt-.*-web-[[:digit:]]+$"]).succeeded();
    assert_eq!(statuses(), ["gone", "gone", "running"]);
    call(&["delete", "--regex", "--regex=false", "."]).failed_with(&["invalid container ID format"]);
    call(&["delete", "--force", "--regex", "."]).succeeded();
    call(&["delete", "--regex", "."]).succeeded();
    assert_eq!(statuses(), ["gone", "gone", "gone"]);
}

#[test]
fn an_expression_that_is_none_is_refused_and_so_is_an_unknown_signal() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/sleep", "1000"]).container();
    container.run_detached().succeeded();
    container.call(&["kill", "--regex", "[a", "KILL"]).failed_with(&["\"[a\" is no regular expression: "]);
    container.call(&["delete", "--force", "--regex", "*"]).failed_with(&["\"*\" is no regular expression: "]);
    container.call(&["kill", "--regex", "nobody", "FOO"]).failed_with(&["unknown signal \"FOO\""]);
    assert_eq!(container.status(), "running");
}
