//! `features`: every name in it is taken, and no other.

use std::process::Command;

use pinnace_tests::{Bundle, Value, json, program, run_within_limit, tests_pinnace};

fn features() -> Value {
    let mut command = Command::new(program());
    command.arg("features");
    serde_json::from_str(run_within_limit(command).succeeded()).expect("JSON")
}

fn names(features: &Value, pointer: &str) -> Vec<String> {
    let list = features.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("{pointer}"));
    list.iter().map(|name| name.as_str().expect("a string").to_owned()).collect()
}

/// Why the configuration is not taken; empty where it is.
fn refusal(bundle: Bundle) -> String {
    let container = bundle.container();
    let bundle = container.bundle.path();
    let outcome = container.call(&["plan", "--bundle", bundle.to_str().expect("UTF-8")]);
    if outcome.code == 0 { String::new() } else { outcome.message() }
}

/// Each name of the list at `pointer` makes a configuration that is taken; each of `others` one that is not.
#[track_caller]
fn check(pointer: &str, others: &[&str], configured: impl Fn(&str) -> Bundle) {
    let names = names(&features(), pointer);
    for name in &names {
        assert_eq!(refusal(configured(name)), "", "{pointer}: {name}");
    }
    for other in others {
        assert!(!names.iter().any(|name| name == other), "{pointer} has {other}");
        assert_ne!(refusal(configured(other)), "", "{pointer} has no {other}, and yet it is taken");
    }
}

#[test]
fn the_document_has_every_property_of_the_specification() {
    let features = features();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["ociVersionMax"], "1.3.0");
    let keys = |value: &Value| {
        let mut keys: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
        keys.sort();
        keys
    };
    let expected = [
        "annotations",
        "hooks",
        "linux",
        "mountOptions",
        "ociVersionMax",
        "ociVersionMin",
        "potentiallyUnsafeConfigAnnotations",
    ];
    assert_eq!(keys(&features), expected);
    let expected = [
        "apparmor",
        "capabilities",
        "cgroup",
        "intelRdt",
        "memoryPolicy",
        "mountExtensions",
        "namespaces",
        "netDevices",
        "seccomp",
        "selinux",
    ];
    assert_eq!(keys(&features["linux"]), expected);
    assert_eq!(keys(&features["linux"]["cgroup"]), ["rdma", "systemd", "systemdUser", "v1", "v2"]);
    for key in ["apparmor", "selinux", "netDevices"] {
        assert_eq!(features["linux"][key], json!({"enabled": true}), "{key}");
    }
    assert_eq!(features["linux"]["mountExtensions"], json!({"idmap": {"enabled": true}}));
    assert!(features["annotations"]["io.github.seccomp.libseccomp.version"].is_string());
    let hooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    assert_eq!(names(&features, "/hooks"), hooks);
}

#[test]
fn it_is_printed_as_runc_prints_it() {
    let mut command = Command::new(program());
    command.arg("features");
    let outcome = run_within_limit(command);
    assert!(outcome.stdout.starts_with("{\n    \"ociVersionMin\": \"1.0.0\",\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("\n}\n"));
}

#[test]
fn mount_options_are_those_that_do_not_go_to_the_filesystem() {
    if !tests_pinnace() {
        return;
    }
    let names = names(&features(), "/mountOptions");
    assert!(names.is_sorted(), "{names:?}");
    // A bind mount refuses what is meant for a filesystem, and so tells the two apart.
    let bound = |option: &str| {
        let bundle = Bundle::new();
        // The words that need more than themselves.
        let options = match option {
            "tmpcopyup" => return bundle.mount("/copied", "tmpfs", "tmpfs", &[option]),
            "idmap" | "ridmap" => vec!["bind", "idmap=uids=0-1-2;gids=0-1-2"],
            option => vec!["bind", option],
        };
        bundle.mount("/bound", "none", "/tmp", &options)
    };
    for option in &names {
        assert_eq!(refusal(bound(option)), "", "{option}");
    }
    for option in ["mode=755", "rsync", "RO", "rcopy-symlink", "size=1m"] {
        assert!(!names.iter().any(|name| name == option), "{option}");
        assert_ne!(refusal(bound(option)), "", "{option}");
    }
}

#[test]
fn mount_options_of_the_specification_are_all_there() {
    if !tests_pinnace() {
        return;
    }
    let names = names(&features(), "/mountOptions");
    // config.md, "Linux mount options".
    let spec = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev \
                nodiratime noexec noiversion nolazytime nomand norelatime remount nostrictatime nosuid nosymfollow \
                private ratime rbind rdev rdiratime relatime rexec rnoatime rnodev rnodiratime rnoexec \
                rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave \
                rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow \
                sync unbindable idmap ridmap";
    for option in spec.split_whitespace() {
        assert!(names.iter().any(|name| name == option), "{option}");
    }
}

#[test]
fn namespaces_are_those_that_are_taken() {
    check("/linux/namespaces", &["mnt", "net", "PID", "foo"], |name| {
        let bundle = Bundle::new().without_namespace(name).set("/linux/namespaces/-", json!({"type": name}));
        let mapping = json!([{"containerID": 0, "hostID": 1, "size": 10}]);
        match name {
            "user" => bundle.set("/linux/uidMappings", mapping.clone()).set("/linux/gidMappings", mapping),
            _ => bundle,
        }
    });
}

#[test]
fn capabilities_are_those_that_are_not_warned_of() {
    let warned = |name: &str| {
        let container = Bundle::new().all_capabilities(&[name]).container();
        let bundle = container.bundle.path();
        let outcome = container.call(&["plan", "--bundle", bundle.to_str().expect("UTF-8")]);
        outcome.succeeded();
        !outcome.stderr.is_empty()
    };
    if !tests_pinnace() {
        return;
    }
    let names = names(&features(), "/linux/capabilities");
    assert_eq!(names.len(), 41);
    assert!(names.iter().all(|name| !warned(name)));
    assert!(warned("CAP_FOO") && warned("cap_kill") && warned("KILL"));
}

fn profile(change: impl FnOnce(&mut Value)) -> Bundle {
    let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["acct"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}
    ]});
    change(&mut profile);
    Bundle::new().set("/linux/seccomp", profile)
}

#[test]
fn seccomp_names_are_those_that_are_taken() {
    if !tests_pinnace() {
        return;
    }
    check("/linux/seccomp/actions", &["SCMP_ACT_FOO", "scmp_act_kill", "SCMP_ACT_KILL_ALL"], |name| {
        profile(|profile| {
            profile["syscalls"][0]["action"] = json!(name);
            if name == "SCMP_ACT_NOTIFY" {
                profile["listenerPath"] = json!("/run/agent.sock");
            }
        })
    });
    check("/linux/seccomp/operators", &["SCMP_CMP_FOO", "EQ"], |name| {
        profile(|profile| profile["syscalls"][0]["args"][0]["op"] = json!(name))
    });
    // The rest of config-linux.md's list, which this host or its libseccomp cannot have in a filter.
    let others = [
        "SCMP_ARCH_MIPS",
        "SCMP_ARCH_MIPS64",
        "SCMP_ARCH_MIPS64N32",
        "SCMP_ARCH_PPC",
        "SCMP_ARCH_PPC64",
        "SCMP_ARCH_S390",
        "SCMP_ARCH_S390X",
        "SCMP_ARCH_PARISC",
        "SCMP_ARCH_PARISC64",
        "SCMP_ARCH_LOONGARCH64",
        "SCMP_ARCH_M68K",
        "SCMP_ARCH_SH",
        "SCMP_ARCH_SHEB",
        "SCMP_ARCH_NATIVE",
        "X86",
    ];
    check("/linux/seccomp/archs", &others, |name| {
        profile(|profile| profile["architectures"] = json!([name]))
    });
    for list in ["/linux/seccomp/knownFlags", "/linux/seccomp/supportedFlags"] {
        check(list, &["SECCOMP_FILTER_FLAG_FOO", "SECCOMP_FILTER_FLAG_NEW_LISTENER"], |name| {
            profile(|profile| profile["flags"] = json!([name]))
        });
    }
}

#[test]
fn memory_policies_are_those_that_are_taken() {
    if !tests_pinnace() {
        return;
    }
    let policy = |mode: &str, flags: &[&str]| {
        let nodes = if matches!(mode, "MPOL_DEFAULT" | "MPOL_LOCAL") { "" } else { "0" };
        Bundle::new().set("/linux/memoryPolicy", json!({"mode": mode, "nodes": nodes, "flags": flags}))
    };
    check("/linux/memoryPolicy/modes", &["MPOL_FOO", "bind"], |mode| policy(mode, &[]));
    check("/linux/memoryPolicy/flags", &["MPOL_F_FOO", "MPOL_F_NODE"], |flag| policy("MPOL_BIND", &[flag]));
}

#[test]
fn intel_rdt_is_told_in_full() {
    let expected = json!({"enabled": true, "schemata": true, "monitoring": true});
    assert_eq!(features()["linux"]["intelRdt"], expected);
}
