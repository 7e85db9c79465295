//! AppArmor and SELinux: the program's label and that of its file systems. A host has one of them, or none: what it lacks is skipped.

use std::fs;
use std::path::Path;

use pinnace_tests::{Bundle, json, skip};

fn has_apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|answer| answer.starts_with('Y'))
}

fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// The program's own label.
fn label() -> Bundle {
    Bundle::new().set("/process/noNewPrivileges", json!(false)).args(&["/bin/cat", "/proc/self/attr/current"])
}

/// A context that the test's own domain may change to, and one of files, with two categories, as engines give each container its own.
const PROCESS_LABEL: &str = "system_u:system_r:unconfined_t:s0";
const FILE_LABEL: &str = "system_u:object_r:tmp_t:s0:c1,c2";

#[test]
fn profile_on_a_host_without_apparmor_is_an_error() {
    if has_apparmor() {
        return skip("this host has AppArmor");
    }
    let container = Bundle::new().set("/process/apparmorProfile", json!("some-profile")).container();
    let before = container.snapshot();
    container.run().failed_with(&["$.process.apparmorProfile", "some-profile", "apparmor"]);
    container.snapshot().assert_same_as(&before);
}

#[test]
fn label_on_a_host_without_selinux_is_an_error() {
    if has_selinux() {
        return skip("this host has SELinux");
    }
    for (pointer, path) in
        [("/process/selinuxLabel", "$.process.selinuxLabel"), ("/linux/mountLabel", "$.linux.mountLabel")]
    {
        let outcome = Bundle::new().set(pointer, json!("system_u:system_r:container_t:s0")).run();
        let text = "selinux label is specified in config, but selinux is disabled or not supported";
        outcome.failed_with(&[path, text]);
    }
}

#[test]
fn labels_without_content_are_none() {
    let bundle = Bundle::new()
        .set("/process/apparmorProfile", json!(""))
        .set("/process/selinuxLabel", json!(""))
        .set("/linux/mountLabel", json!(""));
    bundle.run().succeeded();
}

#[test]
fn apparmor_confines_the_program() {
    if !has_apparmor() {
        return skip("this host has no AppArmor");
    }
    let outcome = label().set("/process/apparmorProfile", json!("unconfined")).run();
    assert_eq!(outcome.succeeded(), "unconfined");
    // The test's machine has loaded this one, if it could: it may read, and write nothing.
    let profiles = fs::read_to_string("/sys/kernel/security/apparmor/profiles").unwrap_or_default();
    if !profiles.lines().any(|line| line.starts_with("pinnace-test ")) {
        return skip("no profile pinnace-test is loaded");
    }
    let outcome = label().set("/process/apparmorProfile", json!("pinnace-test")).run();
    assert_eq!(outcome.succeeded(), "pinnace-test (enforce)");
    let outcome = Bundle::new()
        .writable()
        .set("/process/apparmorProfile", json!("pinnace-test"))
        .shell("cat /etc/passwd > /dev/null && ! echo x > /tmp/x && echo refused")
        .run();
    assert_eq!(outcome.succeeded(), "refused");
}

#[test]
fn apparmor_profile_that_is_not_loaded_is_an_error_that_names_it() {
    if !has_apparmor() {
        return skip("this host has no AppArmor");
    }
    let outcome = label().set("/process/apparmorProfile", json!("no-such-profile")).run();
    outcome.failed_with(&["set-apparmor-profile no-such-profile", "no such profile is loaded"]);
    for (profile, code) in [("no-such-profile", 1), ("unconfined", 0)] {
        let container = label().set("/process/apparmorProfile", json!(profile)).container();
        let bundle = container.bundle.path().to_str().expect("UTF-8").to_owned();
        container.call(&["validate", "--bundle", &bundle]).exited(code);
    }
}

/// The programs of the root file system, labelled so that a domain may be entered by them.
#[track_caller]
fn labelled(bundle: Bundle) -> Bundle {
    let root = bundle.rootfs();
    let mut command = std::process::Command::new("chcon");
    command.args(["-R", "-t", "bin_t"]).arg(root.join("bin"));
    pinnace_tests::run_within_limit(command).succeeded();
    bundle
}

#[test]
fn selinux_runs_the_program_in_its_context() {
    if !has_selinux() {
        return skip("this host has no SELinux");
    }
    let outcome = labelled(label()).set("/process/selinuxLabel", json!(PROCESS_LABEL)).run();
    assert_eq!(outcome.succeeded().trim_end_matches('\0'), PROCESS_LABEL);
}

#[test]
fn selinux_context_that_the_policy_does_not_know_is_an_error_that_names_it() {
    if !has_selinux() {
        return skip("this host has no SELinux");
    }
    let outcome = label().set("/process/selinuxLabel", json!("nobody_u:nothing_r:none_t:s0")).run();
    outcome.failed_with(&["set-selinux-label nobody_u:nothing_r:none_t:s0"]);
}

#[test]
fn new_file_systems_have_the_mount_label() {
    if !has_selinux() {
        return skip("this host has no SELinux");
    }
    let container = Bundle::new()
        .file("/masked/file", "", 0o644)
        .set("/linux/maskedPaths/-", json!("/masked"))
        .set("/linux/mountLabel", json!(FILE_LABEL))
        .args(&["/bin/sleep", "100"])
        .container();
    container.run_detached().succeeded();
    let pid = container.pid();
    let mounts = fs::read_to_string(format!("/proc/{pid}/mounts")).expect("its mounts");
    for (point, is_labelled) in [("/dev", true), ("/dev/shm", true), ("/proc", false), ("/sys", false)] {
        let line = mounts.lines().find(|line| line.contains(&format!(" {point} "))).expect("a mount");
        assert_eq!(line.contains(&format!("context=\"{FILE_LABEL}\"")), is_labelled, "{line}");
    }
    let label_of = |path: &str| {
        let mut command = std::process::Command::new("stat");
        command.args(["-c", "%C", &format!("/proc/{pid}/root{path}")]);
        pinnace_tests::run_within_limit(command).succeeded().to_owned()
    };
    assert_eq!(label_of("/dev/mqueue"), FILE_LABEL);
    assert_eq!(label_of("/masked"), FILE_LABEL, "what covers a masked directory is a mount too");
    // What comes later is labelled as well.
    let list = container.bundle.scratch().join("mounts.json");
    let tmpfs = json!([{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]);
    fs::write(&list, tmpfs.to_string()).expect("write");
    container.call(&["mounts", "add", &container.id, list.to_str().expect("UTF-8")]).succeeded();
    assert_eq!(label_of("/tmp"), FILE_LABEL);
    container.delete_force().succeeded();
}
