//! Device nodes, the default ones and those of the config, and which of them may be opened.

use std::path::Path;

use pinnace_tests::{Bundle, is_pinnace, json, skip, tests_pinnace};

#[test]
fn default_nodes_and_links_are_there() {
    let names = ["null", "zero", "full", "random", "urandom", "tty"];
    let script =
        format!("cd /dev; for name in {}; do stat -c '%n %F %t:%T %a %u:%g' $name; done", names.join(" "));
    let outcome = Bundle::new().shell(&script).run();
    let expected = "\
null character special file 1:3 666 0:0
zero character special file 1:5 666 0:0
full character special file 1:7 666 0:0
random character special file 1:8 666 0:0
urandom character special file 1:9 666 0:0
tty character special file 5:0 666 0:0";
    assert_eq!(outcome.succeeded(), expected);

    let outcome = Bundle::new()
        .shell("cd /dev; for name in fd stdin stdout stderr ptmx core; do readlink $name; done; exit 0")
        .run();
    let mut expected =
        vec!["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"];
    if Path::new("/proc/kcore").exists() {
        expected.push("/proc/kcore");
    }
    assert_eq!(outcome.succeeded().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn default_nodes_can_be_used() {
    let script = "echo x > /dev/null && head -c 4 /dev/zero | od -An -tx1 && head -c 1 /dev/urandom > /dev/null && ls /dev/pts/ptmx";
    let outcome = Bundle::new().shell(script).run();
    assert!(outcome.succeeded().starts_with("00 00 00 00"), "{}", outcome.describe());
}

#[test]
fn listed_devices_are_made_with_their_mode_and_owner() {
    let devices = json!([
        {"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 1000, "gid": 1001},
        {"path": "/dev/deep/er/block", "type": "b", "major": 7, "minor": 99},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o600},
        {"path": "/elsewhere", "type": "u", "major": 1, "minor": 5},
    ]);
    let script = "for name in /dev/mine /dev/deep/er/block /dev/pipe /elsewhere; do stat -c '%F %t:%T %a %u:%g' $name; done";
    let outcome = Bundle::new().set("/linux/devices", devices).shell(script).run();
    let expected = "\
character special file 1:3 640 1000:1001
block special file 7:63 666 0:0
fifo 0:0 600 0:0
character special file 1:5 666 0:0";
    assert_eq!(outcome.succeeded(), expected);
}

#[test]
fn device_of_an_unknown_type_is_an_error() {
    let outcome = Bundle::new()
        .set("/linux/devices", json!([{"path": "/dev/x", "type": "z", "major": 1, "minor": 3}]))
        .run();
    assert_eq!(outcome.code, 1, "{}", outcome.describe());
}

#[test]
fn different_file_at_the_path_of_a_device_is_an_error() {
    // runc silently keeps the wrong file, against the spec.
    if !tests_pinnace() {
        return;
    }
    let bundle = Bundle::new().file("/devices/node", "a file", 0o644);
    bundle
        .set("/linux/devices", json!([{"path": "/devices/node", "type": "c", "major": 1, "minor": 3}]))
        .run()
        .failed_with(&["/devices/node"]);
}

#[test]
fn device_that_no_rule_allows_cannot_be_opened() {
    if !pinnace_tests::cgroup_hierarchies().contains_key("devices") {
        return skip("no v1 devices hierarchy");
    }
    let devices = json!([{"path": "/dev/loop", "type": "b", "major": 7, "minor": 5}]);
    let script = "head -c 1 /dev/loop && echo opened";
    let refused = Bundle::new().set("/linux/devices", devices.clone()).shell(script).run();
    assert!(refused.stderr.contains("Operation not permitted"), "{}", refused.describe());
    let rules = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "b", "major": 7, "minor": 5, "access": "r"},
    ]);
    if !Path::new("/sys/block/loop5").exists() {
        return skip("no loop devices");
    }
    let allowed = Bundle::new()
        .set("/linux/devices", devices)
        .set("/linux/resources/devices", rules)
        .shell(script)
        .run();
    assert_eq!(allowed.succeeded(), "opened");
}

/// v1's lists have no holes, and the kernel does not say so.
#[test]
fn rules_that_v1_cannot_keep_are_refused() {
    if !tests_pinnace() {
        return;
    }
    if !pinnace_tests::cgroup_hierarchies().contains_key("devices") {
        return skip("no v1 devices hierarchy");
    }
    let hole = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
    ]);
    let expected =
        "$.linux.resources.devices: cgroup v1 cannot deny c 10:229 rwm where c 10:* rwm is allowed";
    let container = Bundle::new().set("/linux/resources/devices", hole).container();
    let before = container.snapshot();
    container.run().failed_with(&[expected]);
    let bundle = container.bundle.path();
    let validated = container.call(&["validate", "--bundle", bundle.to_str().expect("UTF-8")]);
    assert!(
        validated.code == 1 && validated.stdout.contains("cannot deny c 10:229"),
        "{}",
        validated.describe()
    );
    let _ = std::fs::remove_dir(container.state_root());
    container.snapshot().assert_same_as(&before);

    // What a wider rule takes back is gone, which the kernel would leave.
    let rules = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "access": "rwm"},
    ]);
    let container =
        Bundle::new().set("/linux/resources/devices", rules).args(&["/bin/sleep", "100"]).container();
    container.run_detached().succeeded();
    let directory = &pinnace_tests::cgroup_hierarchies()["devices"];
    let list = std::fs::read_to_string(directory.join(&container.id).join("devices.list")).expect("the list");
    assert!(!list.contains("10:229") && list.contains("c 1:3 rwm"), "{list}");
}

/// As v1's kernel has it, and runc on both versions: whatever else it says.
#[test]
fn rule_about_all_types_is_about_everything_and_ends_what_was_said_before() {
    let hierarchies = pinnace_tests::cgroup_hierarchies();
    let is_v2 = hierarchies.len() == 1 && hierarchies.contains_key("");
    if !is_v2 && !hierarchies.contains_key("devices") {
        return skip("no v1 devices hierarchy, and v2 is not alone");
    }
    let all = |allow: bool, access: &str| json!({"allow": allow, "type": "a", "access": access});
    let kmsg = |allow: bool| json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": "rw"});
    for (rules, expected) in [
        (json!([all(false, "rwm"), kmsg(true)]), "read"),
        (json!([kmsg(true), {"allow": false, "access": "rwm"}]), ""),
        (json!([all(false, "rwm"), all(true, "rwm")]), "read"),
        (json!([all(true, "rwm"), all(false, "rwm")]), ""),
        (json!([all(true, "rwm"), kmsg(false)]), ""),
        (json!([all(false, "rwm"), all(true, "m")]), "read"),
        (json!([kmsg(true), all(false, "w")]), ""),
        (json!([all(true, "rwm"), {"allow": false, "type": "a", "major": 7, "access": "m"}]), ""),
    ] {
        let names = ["CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYSLOG"];
        let outcome = Bundle::new()
            .writable()
            .all_capabilities(&names)
            .set("/linux/resources/devices", rules.clone())
            .shell("mknod /tmp/kmsg c 1 11; (: </tmp/kmsg) && echo read; exit 0")
            .run();
        assert_eq!(outcome.succeeded(), expected, "{rules}");
        let is_partial = rules
            .as_array()
            .expect("rules")
            .iter()
            .any(|rule| rule["type"] == "a" && (rule["access"] != "rwm" || rule.get("major").is_some()));
        if is_pinnace() {
            let warning = "$.linux.resources.devices[1] is about everything";
            assert_eq!(outcome.stderr.contains(warning), is_partial, "{}", outcome.describe());
        }
    }
}

#[test]
fn default_devices_stay_usable_when_everything_is_denied() {
    let rules = json!([{"allow": false, "access": "rwm"}]);
    Bundle::new()
        .set("/linux/resources/devices", rules)
        .shell("echo x > /dev/null && head -c 1 /dev/zero")
        .run()
        .succeeded();
}

#[test]
fn devices_are_restricted_without_any_resources() {
    if !pinnace_tests::cgroup_hierarchies().contains_key("devices") {
        return skip("no v1 devices hierarchy");
    }
    let outcome = Bundle::new()
        .edit(|config| {
            config["linux"].as_object_mut().expect("linux").remove("resources");
        })
        .set("/linux/devices", json!([{"path": "/dev/loop", "type": "b", "major": 7, "minor": 5}]))
        .shell("head -c 1 /dev/loop")
        .run();
    assert!(outcome.stderr.contains("Operation not permitted"), "{}", outcome.describe());
}

/// CVE-2026-41579, CVE-2026-47766: without a mount on /dev, its nodes and links were made where a symlink leads.
#[test]
fn dev_that_is_a_symlink_leads_nowhere() {
    for target in ["ABSOLUTE", "../../outside"] {
        let bundle = Bundle::new().without_mount("/dev").writable();
        let outside = bundle.scratch().join("outside");
        std::fs::create_dir(&outside).expect("mkdir");
        std::fs::write(outside.join("ptmx"), "the host's").expect("write");
        let dev = bundle.rootfs().join("dev");
        std::fs::remove_dir(&dev).expect("rmdir");
        let target = if target == "ABSOLUTE" { outside.clone() } else { target.into() };
        std::os::unix::fs::symlink(target, dev).expect("symlink");
        let container = bundle.container();
        let outcome = container.run();
        // Where it leads in the container's own root the nodes are made.
        if is_pinnace() {
            outcome.succeeded();
        }
        let names: Vec<_> =
            std::fs::read_dir(&outside).expect("list").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["ptmx"]);
        assert_eq!(std::fs::read_to_string(outside.join("ptmx")).expect("read"), "the host's");
    }
}
