//! Groups of resctrl, as far as a machine without it can tell; the rest is in the unit tests of the parent's `intel_rdt`.

use std::fs;

use pinnace_tests::{Bundle, json, skip};

fn has_resctrl() -> bool {
    fs::read_to_string("/proc/self/mountinfo").is_ok_and(|text| text.contains(" - resctrl "))
}

#[test]
fn group_on_a_host_without_resctrl_is_an_error_that_leaves_nothing() {
    if has_resctrl() {
        return skip("this host has resctrl");
    }
    for group in [json!({}), json!({"closID": "gold"}), json!({"enableMonitoring": true})] {
        let container = Bundle::new().set("/linux/intelRdt", group).container();
        let before = container.snapshot();
        container.run().failed_with(&["intelRdt is specified in config, but Intel RDT is not enabled"]);
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn container_has_a_group_of_its_own_and_takes_it_along() {
    if !has_resctrl() {
        return skip("this host has no resctrl");
    }
    let container = Bundle::new().set("/linux/intelRdt", json!({})).args(&["/bin/sleep", "100"]).container();
    container.run_detached().succeeded();
    let group = std::path::Path::new("/sys/fs/resctrl").join(&container.id);
    let tasks = fs::read_to_string(group.join("tasks")).expect("the group's tasks");
    assert_eq!(tasks.trim(), container.pid().to_string());
    container.delete_force().succeeded();
    assert!(!group.exists());
}
