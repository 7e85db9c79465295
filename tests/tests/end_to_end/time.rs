//! Time namespaces.

use std::fs;

use pinnace_tests::{Bundle, json};

use crate::user_namespace::mapped;

/// Seconds since the host's boot.
fn uptime(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn the_clocks_of_a_new_time_namespace_have_their_offsets() {
    let outcome = Bundle::new()
        .set("/linux/namespaces/-", json!({"type": "time"}))
        .set(
            "/linux/timeOffsets",
            json!({"monotonic": {"secs": 86_400}, "boottime": {"secs": 1_000_000, "nanosecs": 7}}),
        )
        .shell("cat /proc/uptime; cat /proc/self/timens_offsets")
        .run();
    let text = outcome.succeeded();
    let host = uptime(&fs::read_to_string("/proc/uptime").unwrap());
    let ahead = uptime(text) - host;
    assert!((999_990.0..=1_000_001.0).contains(&ahead), "{ahead}: {text}");
    let words: Vec<&str> = text.lines().skip(1).flat_map(str::split_whitespace).collect();
    assert_eq!(words, ["monotonic", "86400", "0", "boottime", "1000000", "7"]);
}

/// A container of this bundle has the clock of another one, whose time namespace it joins.
#[track_caller]
fn check_join(bundle: Bundle) {
    let first = Bundle::new()
        .set("/linux/namespaces/-", json!({"type": "time"}))
        .set("/linux/timeOffsets", json!({"boottime": {"secs": 500_000}}))
        .args(&["/bin/sleep", "100"])
        .container();
    first.run_detached().succeeded();
    let path = format!("/proc/{}/ns/time", first.pid());
    let outcome = bundle.join_namespace("time", &path).args(&["/bin/cat", "/proc/uptime"]).run();
    let host = uptime(&fs::read_to_string("/proc/uptime").unwrap());
    assert!(uptime(outcome.succeeded()) - host > 499_990.0, "{}", outcome.describe());
}

#[test]
fn a_time_namespace_is_joined_by_its_path() {
    check_join(Bundle::new());
}

/// Who is in the new user namespace could not join what belongs to the host any more.
#[test]
fn a_time_namespace_of_the_host_is_joined_by_a_container_with_a_user_namespace() {
    check_join(mapped(Bundle::new()));
}

/// stage1, executed outside of the user namespace, may not write its own offsets.
#[test]
fn a_container_in_the_user_namespace_of_another_has_clocks_of_its_own() {
    let first = mapped(Bundle::new()).args(&["/bin/sleep", "100"]).container();
    first.run_detached().succeeded();
    let path = |name: &str| format!("/proc/{}/ns/{name}", first.pid());
    for joined in [&["user"][..], &["user", "pid"]] {
        let second = || {
            let bundle =
                joined.iter().fold(Bundle::new(), |bundle, name| bundle.join_namespace(name, &path(name)));
            bundle
                .set("/linux/namespaces/-", json!({"type": "time"}))
                .set("/linux/timeOffsets", json!({"boottime": {"secs": 500_000}}))
                .args(&["/bin/cat", "/proc/self/timens_offsets"])
        };
        let expected = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(words, ["monotonic", "0", "0", "boottime", "500000", "0"], "{joined:?}");
        };
        expected(second().run().succeeded());
        let held = second().container();
        let created = held.create();
        created.succeeded();
        held.start().succeeded();
        held.wait_stopped();
        expected(&created.stdout_now());
    }
}

#[test]
fn offsets_without_a_new_namespace_or_of_unknown_clocks_are_refused() {
    let offsets = json!({"monotonic": {"secs": 1}});
    Bundle::new()
        .set("/linux/timeOffsets", offsets.clone())
        .run()
        .failed_with(&["$.linux.timeOffsets: time offsets specified, but time namespace isn't enabled"]);
    let first = Bundle::new()
        .set("/linux/namespaces/-", json!({"type": "time"}))
        .args(&["/bin/sleep", "100"])
        .container();
    first.run_detached().succeeded();
    let path = format!("/proc/{}/ns/time", first.pid());
    Bundle::new()
        .join_namespace("time", &path)
        .set("/linux/timeOffsets", offsets)
        .run()
        .failed_with(&[&format!("the clocks of the time namespace {path} are set already")]);
    Bundle::new()
        .set("/linux/namespaces/-", json!({"type": "time"}))
        .set("/linux/timeOffsets", json!({"realtime": {"secs": 1}}))
        .run()
        .failed_with(&["\"realtime\" is neither monotonic nor boottime"]);
}
