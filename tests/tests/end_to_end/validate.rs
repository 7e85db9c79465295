//! `validate`: it fails where `create` would, says why by path and section, and touches nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;

use pinnace_tests::{
    Bundle, Container, Outcome, Value, cgroup_hierarchies, json, program, run_within_limit, tests_pinnace,
};

#[track_caller]
fn validate(container: &Container, format: &str) -> Outcome {
    let bundle = container.bundle.path();
    container.call(&["validate", "--format", format, "--bundle", bundle.to_str().expect("UTF-8")])
}

/// The findings of a level, `path: reason` each.
#[track_caller]
fn found(container: &Container, level: &str) -> Vec<String> {
    let outcome = validate(container, "json");
    let document: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(document["valid"], json!(outcome.code == 0), "{}", outcome.describe());
    let findings = document["findings"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    findings
        .filter(|finding| finding["level"] == level)
        .map(|finding| format!("{}: {}", text(&finding["path"]), text(&finding["reason"])))
        .collect()
}

/// `validate` and `create` agree that the bundle is wrong; the first names `path` and the reason.
#[track_caller]
fn refused(bundle: Bundle, path: &str, reason: &str) {
    let container = bundle.container();
    let errors = found(&container, "error");
    let is_it = |error: &String| error.starts_with(&format!("{path}: ")) && error.contains(reason);
    assert!(errors.iter().any(is_it), "{path}: {reason} is not in {errors:?}");
    let created = container.create();
    assert_ne!(created.code, 0, "create takes what validate refuses: {errors:?}");
}

/// `validate` and `create` agree that the bundle is right.
#[track_caller]
fn accepted(bundle: Bundle) {
    let container = bundle.container();
    let outcome = validate(&container, "text");
    outcome.succeeded();
    container.create().succeeded();
}

#[test]
fn what_config_json_says_wrong_is_refused_as_create_refuses_it() {
    if !tests_pinnace() {
        return;
    }
    refused(Bundle::new().args(&[]), "$.process.args", "args must not be empty");
    refused(Bundle::new().set("/process/cwd", json!("tmp")), "$.process.cwd", "absolute");
    refused(Bundle::new().set("/process/env", json!(["A"])), "$.process.env[0]", "missing '='");
    refused(
        Bundle::new().set("/linux/namespaces/-", json!({"type": "pid"})),
        "$.linux.namespaces[5]",
        "duplicated ns",
    );
    refused(
        Bundle::new().set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_NO"})),
        "$.linux.seccomp.defaultAction",
        "not a valid action",
    );
    refused(Bundle::new().mount("/", "tmpfs", "tmpfs", &[]), "$.mounts[7].destination", "over the root");
    let ids = "idmap=uids=0-1000-1;gids=0-1000-1";
    refused(
        Bundle::new().mount("/mnt", "proc", "proc", &[ids]),
        "$.mounts[7]",
        "proc cannot have owners of a mount's own",
    );
    refused(
        Bundle::new().set("/linux/sysctl", json!({"net.ipv4. ": "1"})),
        "$.linux.sysctl[\"net.ipv4. \"]",
        "malformed",
    );
    refused(Bundle::new().set("/annotations", json!({"": "x"})), "$.annotations", "a key is empty");
    refused(Bundle::new().set("/hostname", json!("x".repeat(65))), "$.hostname", "longer than 64");
}

#[test]
fn what_the_host_does_not_have_is_refused_as_create_refuses_it() {
    if !tests_pinnace() {
        return;
    }
    refused(Bundle::new().set("/root/path", json!("nowhere")), "$.root.path", "no such file");
    let bundle = Bundle::new();
    symlink("rootfs", bundle.path().join("link")).expect("symlink");
    refused(bundle.set("/root/path", json!("link")), "$.root.path", "symlink");
    refused(
        Bundle::new().mount("/mnt", "bind", "/no/such/source", &["bind"]),
        "$.mounts[7].source",
        "/no/such/source: no such file or directory",
    );
    refused(
        Bundle::new().without_mount("/dev/mqueue").join_namespace("ipc", "/proc/self/ns/net"),
        "$.linux.namespaces[4].path",
        "ipc: namespace /proc/self/ns/net: it is of another type",
    );
    refused(
        Bundle::new().join_namespace("network", "/no/such/namespace"),
        "$.linux.namespaces[4].path",
        "network: open namespace /no/such/namespace: no such file",
    );
    Bundle::new()
        .join_namespace("network", "/no/such/namespace")
        .run()
        .failed_with(&["$.linux.namespaces[4].path: open namespace /no/such/namespace: no such file"]);
    refused(
        Bundle::new().mount("/mnt", "bind", "/tmp", &["bind", "idmap=/no/such/namespace"]),
        "$.mounts[7].options",
        "idmap: open namespace /no/such/namespace: no such file",
    );
    refused(
        Bundle::new().set("/process/cwd", json!("/bin/busybox")),
        "$.process.cwd",
        "/bin/busybox: not a directory",
    );
    for (path, reason) in [("/no/such/hook", "no such file"), ("/", "is a directory")] {
        let hooks = |point: &str| Bundle::new().set("/hooks", json!({point: [{"path": path}]}));
        refused(hooks("createRuntime"), "$.hooks.createRuntime[0].path", reason);
        // That is for `start` to find out, and there may be one by then.
        let later = hooks("poststart").container();
        let warnings = found(&later, "warning");
        let is_it =
            |warning: &String| warning.starts_with("$.hooks.poststart[0].path: ") && warning.contains(reason);
        assert!(warnings.iter().any(is_it), "{warnings:?}");
        later.create().succeeded();
        let inside = hooks("startContainer").container();
        let errors = found(&inside, "error");
        let is_it =
            |error: &String| error.starts_with("$.hooks.startContainer[0].path: ") && error.contains(reason);
        assert!(errors.iter().any(is_it), "{errors:?}");
    }
    refused(Bundle::new().args(&["nosuch"]), "$.process.args[0]", "executable file not found in $PATH");
    refused(Bundle::new().args(&["/etc"]), "$.process.args[0]", "is a directory");
    refused(
        Bundle::new().set("/linux/netDevices", json!({"lo": {}})),
        "$.linux.netDevices[\"lo\"]",
        "the loopback device cannot be moved",
    );
    refused(
        Bundle::new().set("/process/scheduler", json!({"policy": "SCHED_ISO"})),
        "$.process.scheduler.policy",
        "no kernel has SCHED_ISO",
    );
    refused(
        Bundle::new()
            .set("/linux/namespaces/-", json!({"type": "time"}))
            .set("/linux/timeOffsets", json!({"boottime": {"secs": -1_000_000_000}})),
        "$.linux.timeOffsets.boottime.secs",
        "is out of its range",
    );
    let device = |minor: u32| json!({"path": "/dev/one", "type": "c", "major": 1, "minor": minor});
    refused(
        Bundle::new().set("/linux/devices", json!([device(3), device(5)])),
        "$.linux.devices[1].path",
        "/dev/one is another device above",
    );
    let sets = json!({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "inheritable": ["CAP_CHOWN", "CAP_KILL"]});
    refused(
        Bundle::new().set("/process/capabilities", sets),
        "$.process.capabilities.inheritable",
        "CAP_CHOWN cannot be inheritable without being in the bounding set",
    );
    refused(
        Bundle::new().set("/linux/resources/cpu", json!({"quota": 1u64 << 44})),
        "$.linux.resources.cpu.quota",
        "is not below 2^44 microseconds",
    );
    refused(
        Bundle::new().set("/linux/netDevices", json!({"nosuch0": {}})),
        "$.linux.netDevices[\"nosuch0\"]",
        "no such device",
    );
    refused(
        Bundle::new().set("/linux/sysctl", json!({"kernel.msgnosuch": "1", "fs.mqueue.nosuch": "1"})),
        "$.linux.sysctl[\"kernel.msgnosuch\"]",
        "",
    );
    refused(
        Bundle::new().set("/linux/sysctl", json!({"fs.mqueue.nosuch": "1"})),
        "$.linux.sysctl[\"fs.mqueue.nosuch\"]",
        "/proc/sys/fs/mqueue/nosuch does not exist",
    );
    refused(
        Bundle::new().set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "63"})),
        "$.linux.memoryPolicy.nodes",
        "none of the nodes is online",
    );
    // Where pages are limited it is the size that is wrong, and that has an index.
    let limits_pages = cgroup_hierarchies().iter().any(|(controllers, mount)| {
        controllers == "hugetlb"
            || cgroup_hierarchies().len() == 1
                && fs::read_to_string(mount.join("cgroup.controllers"))
                    .is_ok_and(|text| text.contains("hugetlb"))
    });
    refused(
        Bundle::new().set("/linux/resources/hugepageLimits", json!([{"pageSize": "3MB", "limit": 0}])),
        if limits_pages { "$.linux.resources.hugepageLimits[0]" } else { "$.linux.resources.hugepageLimits" },
        "",
    );
    refused(
        Bundle::new().set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/no/agent",
                "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_NOTIFY"}]}),
        ),
        "$.linux.seccomp.listenerPath",
        "no socket is at /no/agent",
    );
}

/// What only the kernel knows, `create` is told when it is there; `validate` knows before.
#[test]
fn what_the_kernel_would_refuse_is_refused_as_create_refuses_it() {
    if !tests_pinnace() {
        return;
    }
    for (option, words) in [("size=abc", "Bad value for 'size'"), ("mode=xyz", "Bad value for 'mode'")] {
        let bundle = || Bundle::new().mount("/mnt", "tmpfs", "tmpfs", &["nosuid", option]);
        refused(bundle(), "$.mounts[7].options", words);
        bundle().run().failed_with(&["mount tmpfs on /mnt", option, words]);
    }
    refused(
        Bundle::new().mount("/mnt", "tmpfs", "tmpfs", &["nosuch"]),
        "$.mounts[7].options",
        "Unknown parameter 'nosuch'",
    );
    let cpu = |field: &str, value: Value| Bundle::new().set("/linux/resources/cpu", json!({field: value}));
    refused(cpu("quota", json!(999)), "$.linux.resources.cpu.quota", "below 1000");
    refused(cpu("period", json!(999)), "$.linux.resources.cpu.period", "not between 1000 and");
    refused(cpu("cpus", json!("4095")), "$.linux.resources.cpu.cpus", "4095 is not there");
    refused(cpu("mems", json!("63")), "$.linux.resources.cpu.mems", "63 is not there");
    let throttle = json!([{"major": 250, "minor": 250, "rate": 1}]);
    refused(
        Bundle::new().set("/linux/resources/blockIO", json!({"throttleReadBpsDevice": throttle})),
        "$.linux.resources.blockIO.throttleReadBpsDevice[0]",
        "no block device 250:250",
    );
    let deadline = |runtime: u64, deadline: u64, period: u64| {
        let scheduler =
            json!({"policy": "SCHED_DEADLINE", "runtime": runtime, "deadline": deadline, "period": period});
        Bundle::new().set("/process/scheduler", scheduler)
    };
    refused(deadline(1000, 10_000_000, 0), "$.process.scheduler.runtime", "below 1024 ns");
    refused(deadline(10_000_000, 1_000_000, 0), "$.process.scheduler.deadline", "shorter than the runtime");
    refused(
        deadline(2000, 20_000_000, 10_000_000),
        "$.process.scheduler.period",
        "shorter than the deadline",
    );
    refused(deadline(2000, 5000, 5000), "$.process.scheduler.period", "this host's bounds");
    let open_files = json!([{"type": "RLIMIT_NOFILE", "soft": 9, "hard": 1u64 << 40}]);
    refused(Bundle::new().set("/process/rlimits", open_files), "$.process.rlimits[0].hard", "");
    if !has_capability(24) {
        refused(Bundle::new().set("/process/oomScoreAdj", json!(-1000)), "$.process.oomScoreAdj", "below");
    }
}

/// By number, such as 24 for CAP_SYS_RESOURCE.
fn has_capability(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let permitted = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).expect("capabilities");
    u64::from_str_radix(permitted.trim(), 16).expect("a mask") & 1 << number != 0
}

#[test]
fn labels_and_groups_that_nobody_enforces_are_refused_together() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new()
        .set("/process/apparmorProfile", json!("profile"))
        .set("/process/selinuxLabel", json!("label"))
        .set("/linux/mountLabel", json!("label"))
        .set("/linux/intelRdt", json!({}))
        .container();
    let errors = found(&container, "error");
    let has = |path: &str| errors.iter().any(|error| error.starts_with(path));
    let asks = |path: &str| fs::metadata(path).is_ok();
    assert_eq!(has("$.process.apparmorProfile"), !asks("/sys/module/apparmor"), "{errors:?}");
    for path in ["$.process.selinuxLabel", "$.linux.mountLabel"] {
        assert_eq!(has(path), !asks("/sys/fs/selinux/enforce"), "{errors:?}");
    }
    assert_eq!(has("$.linux.intelRdt"), !asks("/sys/fs/resctrl/schemata"), "{errors:?}");
    assert_eq!(container.create().code == 0, errors.is_empty(), "{errors:?}");
}

#[test]
fn a_bundle_that_is_not_there_or_no_json_is_refused() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let outcome = container.call(&["validate", "--bundle", "/nonexist"]);
    assert_eq!(outcome.exited(1), "error: chdir /nonexist: no such file or directory");
    fs::write(container.bundle.path().join("config.json"), "{").expect("write");
    let outcome = validate(&container, "text");
    assert!(outcome.exited(1).starts_with("error: config.json is not valid JSON"), "{}", outcome.describe());
    fs::remove_file(container.bundle.path().join("config.json")).expect("remove");
    let outcome = validate(&container, "text");
    assert_eq!(outcome.exited(1), "error: JSON specification file config.json not found");
    container.call(&["validate", "--format", "xml"]).failed_with(&["invalid format option"]);
}

#[test]
fn bundles_that_create_takes_pass() {
    if !tests_pinnace() {
        return;
    }
    accepted(Bundle::new());
    accepted(Bundle::new().args(&["sh"]).set("/process/cwd", json!("/tmp")));
    accepted(Bundle::new().mount("/mnt", "bind", "/tmp", &["rbind", "rro"]));
    // Relative to the bundle.
    accepted(Bundle::new().mount("/mnt", "bind", "rootfs/etc", &["bind"]));
    accepted(Bundle::new().set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})));
    accepted(Bundle::new().join_namespace("network", "/proc/self/ns/net"));
    accepted(Bundle::new().set("/linux/resources/pids", json!({"limit": 100})));
    accepted(Bundle::new().set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}),
    ));
}

#[test]
fn every_problem_has_a_line_with_its_path_and_section() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new()
        .set("/process/cwd", json!("relative"))
        .set("/process/rlimits/0/type", json!("RLIMIT_FOO"))
        .set("/mounts/1/destination", json!(""))
        .set("/linux/sysctl", json!({"vm.swappiness": "10"}))
        .container();
    let outcome = validate(&container, "text");
    let lines: Vec<&str> = outcome.exited(1).lines().collect();
    assert_eq!(lines.len(), 4, "{}", outcome.describe());
    for (path, section) in [
        ("$.process.cwd", "(config.md Process)"),
        ("$.process.rlimits[0].type", "(config.md POSIX process)"),
        ("$.mounts[1].destination", "(config.md Mounts)"),
        ("$.linux.sysctl", "(config-linux.md Sysctl)"),
    ] {
        let is_it = |line: &&&str| line.starts_with(&format!("error: {path}")) && line.ends_with(section);
        assert_eq!(lines.iter().filter(is_it).count(), 1, "{path} {section}\n{}", outcome.describe());
    }
}

#[test]
fn what_should_be_otherwise_is_a_warning_and_no_failure() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new()
        .without_mount("/sys")
        .all_capabilities(&["CAP_FOO"])
        .set("/annotations", json!({"short": "x"}))
        .container();
    let warnings = found(&container, "warning");
    for part in ["$.mounts: /sys should be there", "CAP_FOO", "reverse domain"] {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part}: {warnings:?}");
    }
    let outcome = validate(&container, "text");
    assert!(outcome.exited(0).lines().all(|line| line.starts_with("warning: ")), "{}", outcome.describe());
    container.create().succeeded();
}

#[test]
fn nothing_is_made() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new()
        .set("/linux/resources/memory", json!({"limit": 100_000_000}))
        .set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_KILL"}]}),
        )
        .container();
    let before = container.snapshot();
    validate(&container, "text").succeeded();
    container.snapshot().assert_same_as(&before);
    assert!(!container.state_root().exists());
}

/// As somebody else, with a copy of the program that they may execute.
#[track_caller]
fn as_nobody(container: &Container) -> Outcome {
    let copy = container.bundle.scratch().join("program");
    // By another process: a descriptor of ours would be open in what other tests start just then (ETXTBSY).
    let mut install = Command::new("install");
    install.args(["-m", "755"]).arg(program()).arg(&copy);
    run_within_limit(install).succeeded();
    let mut command = Command::new(copy);
    command.args(["validate", "--bundle"]).arg(container.bundle.path());
    command.uid(65534).gid(65534).current_dir("/");
    run_within_limit(command)
}

#[test]
fn an_ordinary_user_is_told_what_that_user_can_do() {
    if !tests_pinnace() {
        return;
    }
    as_nobody(&Bundle::new().container()).exited(0);
    let mapping = json!([{"containerID": 0, "hostID": 200_000, "size": 65536}]);
    let container = Bundle::new()
        .set("/linux/namespaces/-", json!({"type": "user"}))
        .set("/linux/uidMappings", mapping.clone())
        .set("/linux/gidMappings", mapping)
        .set("/process/oomScoreAdj", json!(-1000))
        .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 9, "hard": 1u64 << 40}]))
        .set("/linux/netDevices", json!({"lo": {}}))
        .container();
    let outcome = as_nobody(&container);
    for part in ["$.process.oomScoreAdj", "$.process.rlimits[0].hard", "$.linux.netDevices"] {
        assert!(outcome.exited(1).contains(part), "{part}\n{}", outcome.describe());
    }
    let limited = Bundle::new().set("/linux/resources/pids", json!({"limit": 5})).container();
    assert!(as_nobody(&limited).exited(1).contains("$.linux.resources"));
}

#[test]
fn what_this_kernel_has_no_file_for_and_what_procfs_leads_out_with_is_refused() {
    if !tests_pinnace() {
        return;
    }
    if cgroup_hierarchies().keys().any(|list| list == "blkio") {
        // The hierarchy's root has none of these files anywhere: it takes a cgroup to tell.
        let neighbour = Bundle::new().args(&["/bin/sleep", "1000"]).container();
        neighbour.run_detached().succeeded();
        let weights =
            json!({"leafWeight": 100, "weightDevice": [{"major": 254, "minor": 0, "leafWeight": 100}]});
        let bundle = || Bundle::new().set("/linux/resources/blockIO", weights.clone());
        refused(bundle(), "$.linux.resources.blockIO.leafWeight", "blkio.leaf_weight");
        refused(bundle(), "$.linux.resources.blockIO.weightDevice[0].leafWeight", "blkio.leaf_weight_device");
    }
    for path in ["/proc/self/exe", "/proc/1/root/etc", "/proc/thread-self/cwd"] {
        let bundle = Bundle::new().set("/linux/maskedPaths", json!([path]));
        refused(bundle, "$.linux.maskedPaths[0]", "symlink of procfs");
        let bundle = Bundle::new().set("/linux/readonlyPaths", json!([path]));
        refused(bundle, "$.linux.readonlyPaths[0]", "symlink of procfs");
    }
    accepted(Bundle::new().set("/linux/maskedPaths", json!(["/proc/self/mountinfo", "/proc/self/missing"])));
}
