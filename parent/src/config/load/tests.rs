//! Whole documents: what is said of one fault, of several, and of what engines write.

mod seccomp;

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::config::default_spec;

/// What is said of the default configuration, without a terminal, after a change.
fn said(change: impl FnOnce(&mut Value)) -> String {
    let mut spec: Value = serde_json::from_str(&default_spec(false)).unwrap();
    spec["process"]["terminal"] = json!(false);
    change(&mut spec);
    said_of(&spec.to_string())
}

fn said_of(text: &str) -> String {
    match parse(text.as_bytes()) {
        Ok(config) if config.warnings.is_empty() => String::from("ok"),
        Ok(config) => format!("warned: {}", config.warnings.join("; ")),
        Err(error) => error.to_string(),
    }
}

/// Sets one value, by its JSON pointer; a pointer that ends in `-` appends.
fn check(pointer: &str, value: Value, expected: &str) {
    let said = said(|spec| {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match spec.pointer_mut(parent).unwrap() {
            Value::Array(items) if name == "-" => items.push(value),
            parent => parent[name] = value,
        }
    });
    assert_eq!(said, expected, "{pointer}");
}

#[test]
fn a_terminal_has_the_size_of_sixteen_bits_that_the_kernel_keeps() {
    assert_eq!(said(|_| {}), "ok");
    check("/process/terminal", json!(true), "ok");
    let size = |terminal: bool| {
        said(|spec| {
            spec["process"]["terminal"] = json!(terminal);
            spec["process"]["consoleSize"] = json!({"height": 65535, "width": 65536});
        })
    };
    assert_eq!(size(true), "config.json: $.process.consoleSize.width: 65536 is above 65535");
    assert_eq!(size(false), "ok");
    check("/process/consoleSize", json!({"height": 5, "width": 5}), "ok");
}

#[test]
fn missing_parts_are_named_in_runcs_words() {
    check("/root", Value::Null, "config.json: $.root: root must be specified");
    check("/root", json!({}), "config.json: $.root.path: is empty");
    // Whether it is needed, `start` decides.
    check("/process", Value::Null, "ok");
    check("/process/args", json!([]), "config.json: $.process.args: args must not be empty");
    check("/process/cwd", Value::Null, "config.json: $.process.cwd: Cwd property must not be empty");
    check("/process/cwd", json!("tmp"), "config.json: $.process.cwd: Cwd must be an absolute path");
    check("/mounts/-", json!({"type": "tmpfs"}), "config.json: $.mounts[7].destination: is empty");
}

#[test]
fn values_that_are_not_known_are_named_in_runcs_words() {
    check(
        "/process/rlimits/-",
        json!({"type": "RLIMIT_FOO", "soft": 1, "hard": 1}),
        "config.json: $.process.rlimits[1].type: wrong rlimit value: RLIMIT_FOO",
    );
    check(
        "/linux/namespaces/-",
        json!({"type": "foo"}),
        "config.json: $.linux.namespaces[5].type: namespace \"foo\" does not exist",
    );
    check(
        "/linux/namespaces/-",
        json!({"type": "mount"}),
        "config.json: $.linux.namespaces[5]: malformed spec file: duplicated ns {\"mount\" \"\"}",
    );
    check(
        "/linux/devices",
        json!([{"type": "a", "path": "/dev/x", "major": 1, "minor": 1}]),
        "config.json: $.linux.devices[0].type: invalid device type \"a\"",
    );
    check(
        "/linux/rootfsPropagation",
        json!("foo"),
        "config.json: $.linux.rootfsPropagation: rootfsPropagation=foo is not supported",
    );
    check("/ociVersion", json!("abc"), "config.json: $.ociVersion: \"abc\" is not a SemVer version");
    check("/ociVersion", json!("2.0.0"), "config.json: $.ociVersion: 2.0.0 is not supported: only 1.x is");
}

#[test]
fn wrong_types_are_named_in_the_words_of_json() {
    for (pointer, value, expected) in [
        ("/process/args", json!("x"), "$.process.args: invalid type: string \"x\", expected an array"),
        ("/process/user", json!([0, 0]), "$.process.user: invalid type: array, expected an object"),
        (
            "/process/user/uid",
            json!(-1),
            "$.process.user.uid: invalid value: integer `-1`, expected an integer from 0 to 4294967295",
        ),
        ("/mounts/-", json!(null), "$.mounts[7]: invalid type: null, expected an object"),
        (
            "/annotations",
            json!({"a.b": 5}),
            "$.annotations[\"a.b\"]: invalid type: integer `5`, expected a string",
        ),
    ] {
        check(pointer, value, &format!("config.json: {expected}"));
    }
}

#[test]
fn all_faults_come_at_once_with_the_places_of_the_file() {
    let said = said(|spec| {
        spec["process"]["env"] = json!([5, "A=1", 6, "NO", "B=1"]);
        spec["process"]["cwd"] = json!("x");
        spec["mounts"][1]["type"] = json!(7);
        spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_NONE"});
    });
    assert_eq!(
        said,
        "config.json has 6 problems: \
         $.linux.seccomp.defaultAction: string SCMP_ACT_NONE is not a valid action for seccomp; \
         $.mounts[1].type: invalid type: integer `7`, expected a string; \
         $.process.env[0]: invalid type: integer `5`, expected a string; \
         $.process.env[2]: invalid type: integer `6`, expected a string; \
         $.process.env[3]: invalid environment variable: missing '=' in \"NO\"; \
         $.process.cwd: Cwd must be an absolute path"
    );
}

#[test]
fn what_is_not_json_is_told_with_line_and_column() {
    for (text, expected) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\n\"root\": 5,\n\"process\"", "EOF while parsing an object at line 3 column 9"),
        ("{} x", "trailing characters at line 1 column 4"),
    ] {
        assert_eq!(said_of(text), format!("config.json is not valid JSON: {expected}"));
    }
    assert_eq!(said_of("[]"), "config.json: $: invalid type: array, expected an object");
}

#[test]
fn names_that_come_twice_are_refused_wherever_they_are() {
    let text = default_spec(false).replace("\"terminal\": true", "\"terminal\": false");
    let twice = text.replace("\"cwd\": \"/\",", "\"cwd\": \"/\", \"cwd\": \"/tmp\",");
    assert_eq!(said_of(&twice), "config.json: $.process.cwd: comes twice");
    let twice = text.replace("\"hostname\"", "\"annotations\": {\"a\": \"1\", \"a\": \"2\"}, \"hostname\"");
    assert_eq!(said_of(&twice), "config.json: $.annotations.a: comes twice");
}

#[test]
fn what_engines_leave_empty_means_nothing() {
    for (pointer, value) in [
        ("/process/user", Value::Null),
        ("/process/env", Value::Null),
        ("/process/apparmorProfile", json!("")),
        ("/process/execCPUAffinity", json!({})),
        ("/process/execCPUAffinity", json!({"initial": "0", "final": ""})),
        ("/hooks", json!({"prestart": [], "poststop": null})),
        ("/linux/seccomp", json!({})),
        ("/linux/seccomp", json!({"defaultAction": "", "syscalls": [], "architectures": ["SCMP_ARCH_X86"]})),
        ("/linux/rootfsPropagation", json!("")),
        ("/linux/cgroupsPath", json!("")),
        ("/linux/uidMappings", json!([])),
        ("/linux/resources/unified", json!({})),
        ("/linux/resources/blockIO", json!({"weight": 0, "throttleReadBpsDevice": null})),
        ("/linux/resources/memory", json!({"kernel": 0, "limit": null})),
        ("/linux/resources/devices/-", json!({"allow": true, "type": "", "access": "rwm"})),
        ("/mounts/1/options/-", json!("")),
        ("/annotations", json!({"run.oci.handler": "krun"})),
        ("/vm", json!({"hypervisor": 5})),
        ("/zos", json!({"namespaces": [{"type": "foo"}]})),
        ("/unknown", json!({"a": 1})),
    ] {
        check(pointer, value, "ok");
    }
}

#[test]
fn a_device_rule_about_all_types_is_about_everything() {
    let warning = "warned: $.linux.resources.devices[1] is about everything, as its type is: numbers and access are ignored";
    for partial in [json!({"allow": true, "access": "r"}), json!({"allow": false, "type": "a", "major": 7})] {
        check("/linux/resources/devices/-", partial, warning);
    }
    let whole = json!({"allow": true, "type": "a", "major": -1, "minor": -1, "access": "mrw"});
    check("/linux/resources/devices/-", whole, "ok");
}

#[test]
fn device_rules_are_as_many_as_the_kernel_takes() {
    let rule = |number| json!({"allow": true, "type": "c", "major": 300, "minor": number, "access": "rw"});
    let rules = |count: u32| (0..count).map(rule).collect::<Value>();
    check("/linux/resources/devices", rules(2048), "ok");
    let refused = "config.json: $.linux.resources.devices: 2049 rules are more than 2048";
    check("/linux/resources/devices", rules(2049), refused);
}

#[test]
fn a_pids_object_without_a_limit_is_none_and_a_zero_is_one() {
    for (pids, expected) in
        [(json!({}), None), (json!({"limit": null}), None), (json!({"limit": 0}), Some(0))]
    {
        let mut spec: Value = serde_json::from_str(&default_spec(false)).unwrap();
        spec["process"]["terminal"] = json!(false);
        spec["linux"]["resources"]["pids"] = pids;
        assert_eq!(parse(spec.to_string().as_bytes()).unwrap().resources.pids_limit, expected);
    }
}

#[test]
fn what_is_missed_without_harm_is_a_warning() {
    check(
        "/process/capabilities/bounding",
        json!(["CAP_CHOWN", "CAP_FOO", "chown"]),
        "warned: ignoring unknown or unavailable capabilities: [CAP_FOO chown]",
    );
    check(
        "/mounts/-",
        json!({"destination": "mnt", "type": "tmpfs"}),
        "warned: mount destination mnt is not absolute. Support for non-absolute mount destinations will be removed in a \
         future release.",
    );
    check(
        "/linux/resources/memory",
        json!({"kernel": 4096}),
        "warned: Kernel memory settings are ignored and will be removed",
    );
    check("/ociVersion", json!(""), "warned: ociVersion is missing");
}

#[test]
fn mounts_that_cannot_be_are_told_before_anything_happens() {
    for (mount, expected) in [
        (
            json!({"destination": "/", "type": "tmpfs"}),
            "destination: cannot mount over the root: use root.path",
        ),
        (
            json!({"destination": "/a/../..", "type": "tmpfs"}),
            "destination: cannot mount over the root: use root.path",
        ),
        (
            json!({"destination": "/m", "type": "bind", "source": "/tmp"}),
            "type: bind is no filesystem: the options need bind or rbind",
        ),
        (json!({"destination": "/m"}), "type: is missing, and the options have neither bind nor rbind"),
        (
            json!({"destination": "/m", "source": "/tmp", "options": ["rbind", "size=1"]}),
            "options: bind mounts cannot have any filesystem-specific options applied: size=1",
        ),
        (
            json!({"destination": "/proc/version", "source": "/etc/hostname", "options": ["bind"]}),
            "destination: \"/proc/version\" cannot be mounted because it is inside /proc",
        ),
        (
            json!({"destination": "/proc", "type": "tmpfs"}),
            "destination: \"/proc\" cannot be mounted because it is not of type proc",
        ),
    ] {
        check("/mounts/-", mount, &format!("config.json: $.mounts[7].{expected}"));
    }
    let lxcfs =
        json!({"destination": "/proc/meminfo", "source": "/var/lib/lxcfs/proc/meminfo", "options": ["bind"]});
    check("/mounts/-", lxcfs, "ok");
}

#[test]
fn what_would_change_the_host_needs_a_namespace() {
    let without = |kind: &'static str| {
        move |spec: &mut Value| {
            let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != kind);
        }
    };
    assert_eq!(
        said(without("uts")),
        "config.json: $.hostname: unable to set hostname without a private UTS namespace"
    );
    let text = said(without("mount"));
    for path in ["$.linux.maskedPaths", "$.linux.readonlyPaths"] {
        let expected = format!("{path}: unable to restrict sys entries without a private MNT namespace");
        assert!(text.contains(&expected), "{text}");
    }
    assert!(text.contains("$.mounts: ") && text.contains("$.root.readonly: "), "{text}");
}

#[test]
fn what_engines_write_is_taken_or_named_by_field() {
    let docker = String::from("ok");
    for (name, expected) in [
        ("buildah-run", String::from("ok")),
        ("cri-run-sandbox", String::from("ok")),
        ("cri-security-context", String::from("ok")),
        ("ctr-privileged", String::from("ok")),
        ("ctr-run-rm", String::from("ok")),
        ("docker-run-rm", docker.clone()),
        ("docker26-run-rm", docker),
        ("podman-run-options", String::from("ok")),
        ("podman-run-rm", String::from("ok")),
        ("podman-run-userns", String::from("ok")),
    ] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/configs");
        let text = std::fs::read_to_string(directory.join(name).with_extension("json")).unwrap();
        assert_eq!(said_of(&text), expected, "{name}");
    }
}

#[test]
fn files_of_every_size_are_read_whole() {
    let directory = std::env::temp_dir().join(format!("pinnace-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for size in [0, 1, READ_BYTES, READ_BYTES * 3 + 1] {
        let path = directory.join("file");
        std::fs::write(&path, vec![b'x'; size]).unwrap();
        let file = OwnedFd::from(std::fs::File::open(&path).unwrap());
        for expected in [0, size / 2, size, size + 5] {
            rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).unwrap();
            assert_eq!(read(&file, expected).unwrap().len(), size, "{size} bytes, {expected} expected");
        }
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

/// The scheduler, memory policy and their like, and what is said of them.
#[test]
fn scheduling_is_taken_in_the_specs_spelling_and_refused_by_its_path() {
    let flags = [
        "RESET_ON_FORK",
        "RECLAIM",
        "DL_OVERRUN",
        "KEEP_POLICY",
        "KEEP_PARAMS",
        "UTIL_CLAMP_MIN",
        "UTIL_CLAMP_MAX",
    ];
    let flags: Vec<String> = flags.iter().map(|flag| format!("SCHED_FLAG_{flag}")).collect();
    for (index, flag) in flags.iter().enumerate() {
        let mut spec: Value = serde_json::from_str(&default_spec(false)).unwrap();
        spec["process"]["terminal"] = false.into();
        spec["process"]["scheduler"] =
            json!({"policy": "SCHED_DEADLINE", "flags": [flag], "runtime": 2000, "deadline": 2000});
        let scheduler = parse(spec.to_string().as_bytes()).unwrap().process.scheduler.unwrap();
        assert_eq!((scheduler.policy, scheduler.flags, scheduler.runtime), (6, 1 << index, 2000), "{flag}");
    }
    let text = said(|spec| {
        spec["process"]["scheduler"] = json!({"policy": "SCHED_FIFO", "nice": -21, "flags": ["SCHED_FLAG_RECLAIM", "SCHED_RESET_ON_FORK"]});
        spec["process"]["ioPriority"] = json!({"priority": 8});
        spec["process"]["execCPUAffinity"] = json!({"initial": "4-3", "final": "x"});
        spec["linux"]["memoryPolicy"] = json!({"mode": "MPOL_LOCAL", "nodes": "1",
            "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES", "MPOL_F_NUMA_BALANCING"]});
        spec["linux"]["personality"] = json!({});
    });
    for expected in [
        "$.process.scheduler.flags[1]: wrong scheduler flag: SCHED_RESET_ON_FORK",
        "$.process.scheduler.nice: invalid scheduler.nice: -21",
        "$.process.scheduler.priority: 0 is not between 1 and 99",
        "$.process.ioPriority.class: is missing",
        "$.process.ioPriority.priority: invalid ioPriority.Priority: 8",
        "$.process.execCPUAffinity.final: \"x\" is not a list of processors",
        "$.process.execCPUAffinity.initial: the range \"4-3\" ends before it begins",
        "$.linux.memoryPolicy.nodes: memory policy mode MPOL_LOCAL requires 0 nodes but got 1",
        "$.linux.memoryPolicy.flags: MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other",
        "$.linux.memoryPolicy.flags: MPOL_F_NUMA_BALANCING goes with",
        "$.linux.personality.domain: is missing",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn groups_of_resctrl_are_checked_by_their_paths() {
    let text = said(|spec| {
        spec["linux"]["intelRdt"] = json!({
            "closID": "a/b", "memBwSchema": "L3:0=f", "schemata": ["L3:0=f", "", "MB:0=1\nL3:0=f"], "enableMonitoring": true
        });
    });
    for expected in [
        "$.linux.intelRdt.closID: invalid intelRdt.ClosID \"a/b\"",
        "$.linux.intelRdt.memBwSchema: \"L3:0=f\" is not one line",
        "$.linux.intelRdt.schemata[1]: \"\" is not one line",
        "$.linux.intelRdt.schemata[2]: ",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    for name in ["/", "gold", "guaranteed_group"] {
        check("/linux/intelRdt", json!({"closID": name, "l3CacheSchema": "L3:0=f", "enableCMT": true}), "ok");
    }
    for name in [".", "..", "info", "mon_groups"] {
        let expected = format!("config.json: $.linux.intelRdt.closID: invalid intelRdt.ClosID {name:?}");
        check("/linux/intelRdt", json!({"closID": name}), &expected);
    }
}

#[test]
fn resources_that_cannot_be_limits_are_named() {
    for (field, value, expected) in [
        ("blockIO", json!({"weight": 0, "throttleReadBpsDevice": []}), "ok"),
        ("blockIO", json!({"weight": 5}), "blockIO.weight: 5 is not between 10 and 1000"),
        (
            "blockIO",
            json!({"weightDevice": [{"major": 8, "minor": 0}]}),
            "blockIO.weightDevice[0]: has neither weight nor leafWeight",
        ),
        (
            "blockIO",
            json!({"throttleWriteIOPSDevice": [{"major": 8, "minor": 0}]}),
            "blockIO.throttleWriteIOPSDevice[0].rate: is missing",
        ),
        (
            "blockIO",
            json!({"throttleReadBpsDevice": [{"major": -8, "minor": 0, "rate": 1}]}),
            "blockIO.throttleReadBpsDevice[0].major: -8 is not between 0 and 4095",
        ),
        ("hugepageLimits", json!([{"pageSize": "2MB", "limit": u64::MAX}]), "ok"),
        ("hugepageLimits", json!([{"pageSize": "2MB"}]), "hugepageLimits[0].limit: is missing"),
        (
            "hugepageLimits",
            json!([{"pageSize": "2/MB", "limit": 0}]),
            "hugepageLimits[0].pageSize: \"2/MB\" is not a size such as 64KB, 2MB or 1GB",
        ),
        ("rdma", json!({"mlx5_1": {"hcaHandles": 0}}), "ok"),
        ("rdma", json!({"mlx5_1": {}}), "rdma[\"mlx5_1\"]: has neither hcaHandles nor hcaObjects"),
        ("rdma", json!({"mlx5_1": [1, 2]}), "rdma.mlx5_1: invalid type: array, expected an object"),
        ("network", json!({"classID": 0, "priorities": []}), "ok"),
        (
            "network",
            json!({"priorities": [{"name": "lo 1", "priority": 1}]}),
            "network.priorities[0].name: \"lo 1\" is not a name",
        ),
        (
            "unified",
            json!({"../x.y": "1"}),
            "unified[\"../x.y\"]: unified resource \"../x.y\" must be a file name (no slashes)",
        ),
        (
            "unified",
            json!({"memory": "1"}),
            "unified[\"memory\"]: unified resource \"memory\" must be in the form CONTROLLER.PARAMETER",
        ),
        (
            "unified",
            json!({"cgroup.max.depth": "3", "cgroup.kill": "1"}),
            "unified[\"cgroup.kill\"]: is no limit: it moves, stops or kills processes, or keeps them out",
        ),
        // v1's own affair.
        ("memory", json!({"limit": -1, "swap": 5}), "ok"),
        ("cpu", json!({"quota": 5000, "burst": 6000}), "cpu.burst: 6000 is above the quota, 5000"),
    ] {
        let expected = match expected {
            "ok" => String::from("ok"),
            fault => format!("config.json: $.linux.resources.{fault}"),
        };
        check(&format!("/linux/resources/{field}"), value, &expected);
    }
}
