//! What runtime-spec 1.3.0 demands in so many words, one test each. Few of these demands are met by any other runtime.

use std::fs;

use pinnace_tests::{Bundle, Value, cgroup_hierarchies, is_pinnace, json, skip, tests_pinnace};

/// `create` refuses the bundle and names the path.
#[track_caller]
fn refused(bundle: Bundle, parts: &[&str]) {
    let container = bundle.container();
    container.create().failed_with(parts);
    let left = container.snapshot();
    assert!(left.cgroups.is_empty() && left.processes.is_empty(), "{left}");
}

/// config.md "POSIX process": an entry with a type that another has MUST be an error; an unknown type, too.
#[test]
fn rlimits_of_one_type_are_an_error() {
    if !tests_pinnace() {
        return;
    }
    let limit = json!({"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20});
    refused(
        Bundle::new().set("/process/rlimits", json!([limit, limit])),
        &["$.process.rlimits[1]: a second entry of type RLIMIT_NOFILE"],
    );
    refused(
        Bundle::new().set("/process/rlimits/0/type", json!("RLIMIT_FOO")),
        &["$.process.rlimits[0].type: wrong rlimit value: RLIMIT_FOO"],
    );
}

/// config-linux.md "Devices": a file that is there and does not match the device MUST be an error.
#[test]
fn another_file_in_the_place_of_a_device_is_an_error() {
    if !tests_pinnace() {
        return;
    }
    let devices = json!([{"path": "/opt/null", "type": "c", "major": 1, "minor": 3}]);
    refused(Bundle::new().file("/opt/null", "", 0o644).set("/linux/devices", devices), &["/opt/null"]);
}

/// config-linux.md "Seccomp": an errno beside an action that returns none MUST be an error.
#[test]
fn errno_beside_an_action_without_one_is_an_error() {
    if !tests_pinnace() {
        return;
    }
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5});
    refused(Bundle::new().set("/linux/seccomp", profile), &["$.linux.seccomp.defaultErrnoRet"]);
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_KILL", "errnoRet": 5}]});
    refused(Bundle::new().set("/linux/seccomp", profile), &["$.linux.seccomp.syscalls[0].errnoRet"]);
}

/// config-linux.md "Seccomp": names MUST contain at least one entry.
#[test]
fn a_rule_without_names_is_an_error() {
    if !tests_pinnace() {
        return;
    }
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": [], "action": "SCMP_ACT_KILL"}]});
    refused(Bundle::new().set("/linux/seccomp", profile), &["$.linux.seccomp.syscalls[0].names"]);
}

/// config-linux.md "Seccomp": listenerMetadata MUST NOT be set without listenerPath.
#[test]
fn metadata_for_nobody_is_an_error() {
    if !tests_pinnace() {
        return;
    }
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"});
    refused(Bundle::new().set("/linux/seccomp", profile), &["$.linux.seccomp.listenerMetadata"]);
}

/// config-linux.md "Namespaces": duplicate types MUST be an error; a path of another type, too.
#[test]
fn two_namespaces_of_one_type_are_an_error() {
    refused(Bundle::new().set("/linux/namespaces/-", json!({"type": "ipc"})), &["duplicated ns"]);
    if is_pinnace() {
        let bundle = Bundle::new().join_namespace("ipc", "/proc/self/ns/net");
        refused(bundle, &["it is of another type"]);
        refused(Bundle::new().join_namespace("ipc", "ipc"), &["is not an absolute path"]);
    }
}

/// config.md "Process": cwd MUST be an absolute path, args have at least one entry.
#[test]
fn a_relative_working_directory_is_an_error() {
    refused(Bundle::new().set("/process/cwd", json!("tmp")), &["Cwd must be an absolute path"]);
    refused(Bundle::new().args(&[]), &["args must not be empty"]);
}

/// config.md "Linux Process": a capability that cannot be had MUST be warned of, and SHOULD NOT be an error.
#[test]
fn an_unknown_capability_is_a_warning() {
    let bundle =
        Bundle::new().all_capabilities(&["CAP_KILL", "CAP_FOO"]).shell("grep CapEff /proc/self/status");
    let outcome = bundle.run();
    assert!(outcome.succeeded().ends_with("0000000000000020"), "{}", outcome.describe());
    assert!(outcome.stderr.contains("CAP_FOO"), "{}", outcome.describe());
}

/// config.md "Annotations": keys MUST NOT be empty, values MUST be strings. Those that nobody knows MUST be ignored.
#[test]
fn annotations_are_strings_with_names() {
    if is_pinnace() {
        refused(Bundle::new().set("/annotations", json!({"": "x"})), &["$.annotations: a key is empty"]);
    }
    refused(Bundle::new().set("/annotations", json!({"a.b": 5})), &["annotations"]);
    Bundle::new().set("/annotations", json!({"com.example.unknown": ""})).run().succeeded();
}

/// config.md "Configuration Schema": names MUST be unique; properties that are not known MUST be ignored.
#[test]
fn names_that_come_twice_are_an_error() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().set("/unknown", json!({"a": [1]})).container();
    let path = container.bundle.path().join("config.json");
    let text = fs::read_to_string(&path).expect("config.json");
    let twice = text.replacen("\"hostname\":", "\"hostname\": \"first\", \"hostname\":", 1);
    fs::write(&path, twice).expect("write");
    container.create().failed_with(&["$.hostname: comes twice"]);
}

/// config.md "Linux mount options": these MUST be known, and so never reach the filesystem, which would refuse them.
#[test]
fn every_mount_option_that_must_be_known_is() {
    if !tests_pinnace() {
        return;
    }
    for option in [
        "async",
        "atime",
        "defaults",
        "dev",
        "diratime",
        "dirsync",
        "exec",
        "iversion",
        "lazytime",
        "loud",
        "noatime",
        "nodev",
        "nodiratime",
        "noexec",
        "noiversion",
        "nolazytime",
        "norelatime",
        "nostrictatime",
        "nosuid",
        "private",
        "relatime",
        "ro",
        "rprivate",
        "rshared",
        "rslave",
        "runbindable",
        "rw",
        "shared",
        "silent",
        "slave",
        "strictatime",
        "suid",
        "sync",
        "unbindable",
    ] {
        let outcome = Bundle::new().mount("/mnt", "tmpfs", "tmpfs", &[option]).run();
        assert!(outcome.code == 0, "{option}\n{}", outcome.describe());
    }
}

/// config.md "Linux mount options": propagation is what the option says.
#[test]
fn propagation_of_a_mount_is_what_its_option_says() {
    for (option, expected) in
        [("shared", " shared:"), ("rshared", " shared:"), ("unbindable", " unbindable"), ("private", " - ")]
    {
        let script = "grep ' /mnt ' /proc/self/mountinfo";
        let outcome = Bundle::new().mount("/mnt", "tmpfs", "tmpfs", &[option]).shell(script).run();
        assert!(outcome.succeeded().contains(expected), "{option}\n{}", outcome.describe());
        let private = option == "private";
        assert_eq!(private, !outcome.stdout.contains("shared:") && !outcome.stdout.contains("unbindable"));
    }
}

/// config-linux.md "Control groups": a limit that nobody enforces MUST be an error.
#[test]
fn a_limit_without_its_controller_is_an_error() {
    if !tests_pinnace() {
        return;
    }
    let controllers: Vec<_> = cgroup_hierarchies().into_keys().collect();
    let has = |name: &str| controllers.iter().any(|list| list.split(',').any(|known| known == name));
    if controllers.iter().all(|list| list.is_empty()) {
        let limits = json!({"network": {"classID": 1}});
        return refused(Bundle::new().set("/linux/resources", limits), &["cgroup v2 has nothing like it"]);
    }
    let candidates = [
        ("rdma", "rdma", json!({"mlx5_0": {"hcaHandles": 1}})),
        ("net_cls", "network", json!({"classID": 1})),
        ("hugetlb", "hugepageLimits", json!([{"pageSize": "2MB", "limit": 0}])),
    ];
    let Some((controller, field, value)) = candidates.into_iter().find(|(name, ..)| !has(name)) else {
        return skip("this host has every v1 controller");
    };
    let bundle = Bundle::new().set(&format!("/linux/resources/{field}"), value);
    refused(bundle, &[&format!("the host has no cgroup controller {controller}")]);
}

fn without_process() -> Bundle {
    Bundle::new().edit(|config| {
        config.as_object_mut().expect("an object").remove("process");
    })
}

/// config.md "Process": REQUIRED when start is called, so not before; runtime.md "Start": MUST be an error then.
#[test]
fn without_a_process_create_succeeds_and_start_fails() {
    if !tests_pinnace() {
        return;
    }
    let container = without_process().container();
    container.create().succeeded();
    assert_eq!(container.status(), "created");
    let hostname = fs::read_to_string(format!("/proc/{}/root/proc/sys/kernel/hostname", container.pid()));
    assert!(hostname.is_ok(), "the container is set up");
    container.start().failed_with(&["process property must not be empty"]);
    assert_eq!(container.status(), "created", "an error of start changes nothing");
    container.kill("KILL").succeeded();
    container.wait_stopped();
    container.delete().succeeded();
    let left = container.snapshot();
    assert!(left.cgroups.is_empty() && left.processes.is_empty(), "{left}");
}

#[test]
fn without_a_process_run_fails_before_it_makes_anything() {
    if !tests_pinnace() {
        return;
    }
    let container = without_process().container();
    let before = container.snapshot();
    container.run().failed_with(&["$.process: process property must not be empty"]);
    let after = container.snapshot();
    assert_eq!((after.cgroups, after.processes), (before.cgroups, before.processes));
    let bundle = container.bundle.path();
    container.call(&["plan", "--bundle", bundle.to_str().expect("UTF-8")]).succeeded();
    container.call(&["validate", "--bundle", bundle.to_str().expect("UTF-8")]).succeeded();
}

/// config.md "Specification version": SemVer of a specification that the runtime knows.
#[test]
fn what_is_no_version_and_another_major_version_are_errors() {
    if !tests_pinnace() {
        return;
    }
    refused(Bundle::new().set("/ociVersion", json!("2.0.0")), &["$.ociVersion: 2.0.0 is not supported"]);
    for version in ["abc", "1.3"] {
        let reason = format!("$.ociVersion: {version:?} is not a SemVer version");
        refused(Bundle::new().set("/ociVersion", json!(version)), &[&reason]);
    }
    for version in ["1.0.0", "1.3.0", "1.0.2-dev"] {
        assert_eq!(Bundle::new().set("/ociVersion", json!(version)).run().stderr, "");
    }
}

/// config.md "Mounts": a relative destination means one below the root; mounts come in the listed order.
#[test]
fn relative_destinations_mean_the_root_and_order_is_kept() {
    let bundle = Bundle::new()
        .mount("mnt", "tmpfs", "first", &[])
        .mount("/mnt/inner", "tmpfs", "second", &[])
        .shell("grep -o ' /mnt[^ ]* ' /proc/self/mountinfo");
    let outcome = bundle.run();
    let found: Vec<&str> = outcome.succeeded().split_whitespace().collect();
    assert_eq!(found, ["/mnt", "/mnt/inner"]);
}

/// config.md "Linux Process": an oomScoreAdj that is not set MUST NOT be changed.
#[test]
fn a_score_that_is_not_set_stays() {
    let own = fs::read_to_string("/proc/self/oom_score_adj").expect("the own score");
    let outcome = Bundle::new().args(&["/bin/cat", "/proc/self/oom_score_adj"]).run();
    assert_eq!(outcome.succeeded(), own.trim());
    let outcome =
        Bundle::new().set("/process/oomScoreAdj", json!(500)).args(&["/bin/cat", "/proc/self/oom_score_adj"]);
    assert_eq!(outcome.run().succeeded(), "500");
}

/// config.md "Process": consoleSize MUST be ignored without a terminal.
#[test]
fn a_console_size_without_a_terminal_is_ignored() {
    let size = json!({"height": 5, "width": 5});
    Bundle::new()
        .set("/process/consoleSize", size)
        .set("/process/terminal", Value::Bool(false))
        .run()
        .succeeded();
}
