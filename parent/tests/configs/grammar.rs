//! Random configurations that the specification allows: every field is there now and then.

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

type Values = BoxedStrategy<Value>;
type Fields = Vec<(&'static str, Values)>;

/// An object with each of these fields, or without it.
fn object(fields: Fields) -> Values {
    fields_of(Vec::new(), fields)
}

/// An object with all of the first fields and some of the others.
fn fields_of(required: Fields, optional: Fields) -> Values {
    let names: Vec<_> = required.iter().chain(&optional).map(|(name, _)| *name).collect();
    let required = required.into_iter().map(|(_, values)| values.prop_map(Some).boxed());
    let optional = optional.into_iter().map(|(_, values)| prop::option::of(values).boxed());
    let values: Vec<_> = required.chain(optional).collect();
    values
        .prop_map(move |values| {
            let fields = names.iter().zip(values);
            fields.filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect()
        })
        .boxed()
}

fn list(values: Values, max: usize) -> Values {
    vec(values, 0..=max).prop_map(Value::from).boxed()
}

fn one_of(words: &'static [&'static str]) -> Values {
    select(words).prop_map(Value::from).boxed()
}

fn some_of(words: &'static [&'static str]) -> Values {
    subsequence(words, 0..=words.len()).prop_map(|words| json!(words)).boxed()
}

fn number(range: std::ops::Range<i64>) -> Values {
    range.prop_map(Value::from).boxed()
}

fn boolean() -> Values {
    any::<bool>().prop_map(Value::from).boxed()
}

fn text(pattern: &'static str) -> Values {
    pattern.prop_map(Value::from).boxed()
}

const PATH: &str = "(/[a-z][a-zA-Z0-9 .:-]{0,11}){1,4}";

/// Anything that JSON has.
pub(crate) fn anything() -> Values {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            hash_map("[a-zA-Z]{0,8}", inner, 0..3).prop_map(|fields| json!(fields)),
        ]
    });
    tree.boxed()
}

pub(crate) fn config() -> Values {
    // Drawn apart: namespaces and mappings belong together.
    let extra = subsequence(&["cgroup", "time", "user"], 0..=3);
    (document(), extra)
        .prop_map(|(mut config, extra)| {
            let names = ["pid", "network", "ipc", "uts", "mount"].iter().chain(&extra);
            config["linux"]["namespaces"] = names.map(|name| json!({"type": name})).collect();
            if extra.contains(&"user") {
                let mappings = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
                config["linux"]["uidMappings"] = mappings.clone();
                config["linux"]["gidMappings"] = mappings;
            }
            if !extra.contains(&"time") {
                config["linux"].as_object_mut().expect("an object").remove("timeOffsets");
            }
            config
        })
        .boxed()
}

fn document() -> Values {
    fields_of(
        vec![
            ("ociVersion", one_of(&["1.0.0", "1.0.2-dev", "1.2.1", "1.3.0"])),
            (
                "root",
                fields_of(
                    vec![("path", one_of(&["rootfs", "/srv/root", "a/b"]))],
                    vec![("readonly", boolean())],
                ),
            ),
            ("linux", linux()),
        ],
        vec![
            ("process", process()),
            ("hostname", text("[a-z0-9-]{1,64}")),
            ("domainname", text("[a-z0-9.-]{1,64}")),
            ("mounts", list(mount(), 6)),
            (
                "annotations",
                hash_map("[a-z]{1,8}(\\.[a-z]{1,8}){1,3}", ".{0,20}", 0..4)
                    .prop_map(|map| json!(map))
                    .boxed(),
            ),
            ("vm", anything()),
            ("unknown", anything()),
        ],
    )
}

fn mount() -> Values {
    const FLAGS: &[&str] = &[
        "ro",
        "rw",
        "nosuid",
        "suid",
        "nodev",
        "noexec",
        "noatime",
        "relatime",
        "strictatime",
        "nodiratime",
        "nosymfollow",
        "rro",
        "rnosuid",
        "rnoatime",
        "defaults",
        "async",
        "silent",
        "iversion",
        "private",
        "rslave",
        "rshared",
        "unbindable",
    ];
    let destination = || "(/[a-z][a-z0-9.]{0,5}){1,3}".prop_map(|path| format!("/data{path}"));
    let flags = || subsequence(FLAGS, 0..6);
    let bind = (destination(), PATH, flags(), any::<bool>()).prop_map(|(to, from, flags, recursive)| {
        let mut options = vec![if recursive { "rbind" } else { "bind" }];
        options.extend(flags);
        json!({"destination": to, "source": from, "type": "none", "options": options})
    });
    let filesystem = (destination(), flags(), "[a-z]{1,5}=[a-z0-9]{1,5}").prop_map(|(to, flags, data)| {
        let mut options: Vec<String> = flags.into_iter().map(String::from).collect();
        options.push(data);
        json!({"destination": to, "type": "tmpfs", "source": "tmpfs", "options": options})
    });
    let usual = select(vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "gid=5"]}),
        json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"}),
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}),
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}),
        json!({"destination": "/ids", "source": "/srv", "options": ["bind", "idmap"],
            "uidMappings": [{"containerID": 0, "hostID": 1, "size": 9}],
            "gidMappings": [{"containerID": 0, "hostID": 1, "size": 9}]}),
    ]);
    prop_oneof![bind, filesystem, usual].boxed()
}

fn process() -> Values {
    let rlimits =
        subsequence(&["RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_NICE", "RLIMIT_AS"], 0..=5);
    let rlimits = (rlimits, any::<u64>(), any::<u64>()).prop_map(|(names, one, other)| {
        let (soft, hard) = (one.min(other), one.max(other));
        names.iter().map(|name| json!({"type": name, "soft": soft, "hard": hard})).collect()
    });
    const CAPABILITIES: &[&str] =
        &["CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE", "CAP_FOO"];
    let user = fields_of(
        vec![("uid", number(0..65536)), ("gid", number(0..65536))],
        vec![("umask", number(0..0o1000)), ("additionalGids", list(number(0..65536), 5))],
    );
    fields_of(
        vec![
            ("cwd", text(PATH)),
            ("args", vec("[ -~]{1,20}", 1..5).prop_map(|args| json!(args)).boxed()),
            ("user", user),
        ],
        vec![
            ("terminal", Just(json!(false)).boxed()),
            ("consoleSize", Just(json!({"height": 5, "width": 6})).boxed()),
            ("env", list(text("[A-Z]{1,6}=[ -~]{0,12}"), 5)),
            ("rlimits", rlimits.boxed()),
            ("noNewPrivileges", boolean()),
            ("oomScoreAdj", number(-1000..1001)),
            (
                "capabilities",
                fields_of(
                    // What is effective has to be permitted.
                    vec![("permitted", Just(json!(CAPABILITIES)).boxed())],
                    vec![
                        ("bounding", some_of(CAPABILITIES)),
                        ("effective", some_of(CAPABILITIES)),
                        ("inheritable", some_of(CAPABILITIES)),
                        ("ambient", some_of(CAPABILITIES)),
                    ],
                ),
            ),
            ("scheduler", scheduler()),
            (
                "ioPriority",
                fields_of(
                    vec![
                        ("class", one_of(&["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"])),
                        ("priority", number(0..8)),
                    ],
                    Vec::new(),
                ),
            ),
            (
                "execCPUAffinity",
                object(vec![("initial", one_of(&["0", "0-3,7"])), ("final", one_of(&["", "1"]))]),
            ),
            ("apparmorProfile", text("[a-z-]{1,12}")),
            ("selinuxLabel", text("[a-z_:]{1,30}")),
        ],
    )
}

fn scheduler() -> Values {
    const FLAGS: &[&str] = &["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY"];
    let plain = fields_of(
        vec![("policy", one_of(&["SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE", "SCHED_ISO"]))],
        vec![("nice", number(-20..20)), ("flags", some_of(FLAGS))],
    );
    let real_time = fields_of(
        vec![("policy", one_of(&["SCHED_FIFO", "SCHED_RR"])), ("priority", number(1..100))],
        vec![("flags", some_of(FLAGS))],
    );
    let deadline = fields_of(
        vec![
            ("policy", one_of(&["SCHED_DEADLINE"])),
            ("runtime", number(1024..9999)),
            ("deadline", number(9999..99999)),
        ],
        vec![("period", number(99999..999999))],
    );
    prop_oneof![plain, real_time, deadline].boxed()
}

/// No path twice: another device there would be an error.
fn numbered(mut devices: Value) -> Value {
    for (index, device) in devices.as_array_mut().into_iter().flatten().enumerate() {
        let path = device["path"].as_str().unwrap_or_default();
        device["path"] = json!(format!("{path}{index}"));
    }
    devices
}

fn linux() -> Values {
    let device = fields_of(
        vec![
            ("type", one_of(&["c", "b", "u", "p"])),
            ("path", text("/dev/[a-z]{1,8}")),
            ("major", number(0..4096)),
            ("minor", number(0..1_048_576)),
        ],
        vec![("fileMode", number(0..0o1000)), ("uid", number(0..65536)), ("gid", number(0..65536))],
    );
    let offset = || object(vec![("secs", number(-999..999)), ("nanosecs", number(0..1_000_000_000))]);
    let propagations = &["", "shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable"];
    object(vec![
        ("devices", list(device, 4).prop_map(numbered).boxed()),
        ("netDevices", Just(json!({"eth7": {"name": "eth0"}, "dummy0": {}})).boxed()),
        ("timeOffsets", object(vec![("monotonic", offset()), ("boottime", offset())])),
        ("cgroupsPath", text("/?[a-z]{1,8}(/[a-z]{1,8}){0,3}")),
        ("resources", resources()),
        ("sysctl", object(vec![("net.ipv4.ip_forward", text("[01]")), ("kernel/msgmax", text("[0-9]{4}"))])),
        ("seccomp", seccomp()),
        ("rootfsPropagation", one_of(propagations)),
        ("maskedPaths", list(text(PATH), 5)),
        ("readonlyPaths", list(text(PATH), 5)),
        ("mountLabel", text("[a-z_:,]{1,30}")),
        (
            "personality",
            object(vec![("flags", Just(json!([])).boxed())]).prop_map(with("domain", "LINUX32")).boxed(),
        ),
        ("memoryPolicy", memory_policy()),
        (
            "intelRdt",
            object(vec![
                ("closID", text("[a-z]{1,8}[0-9]")),
                ("l3CacheSchema", text("L3:0=[0-9a-f]{1,4}")),
                ("memBwSchema", text("MB:0=[0-9]{1,2}")),
                ("schemata", list(text("L2:0=[0-9a-f]{1,3}"), 2)),
                ("enableMonitoring", boolean()),
            ]),
        ),
    ])
}

fn with(name: &'static str, value: &'static str) -> impl Fn(Value) -> Value {
    move |mut object| {
        object[name] = json!(value);
        object
    }
}

fn memory_policy() -> Values {
    let with_nodes = fields_of(
        vec![
            ("mode", one_of(&["MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_PREFERRED", "MPOL_WEIGHTED_INTERLEAVE"])),
            ("nodes", one_of(&["0", "0-3", "1,5,1023"])),
        ],
        vec![("flags", some_of(&["MPOL_F_STATIC_NODES"]))],
    );
    let without = fields_of(vec![("mode", one_of(&["MPOL_DEFAULT", "MPOL_LOCAL"]))], Vec::new());
    prop_oneof![with_nodes, without].boxed()
}

fn resources() -> Values {
    let big = || number(0..1 << 40);
    let rule = fields_of(
        vec![("access", one_of(&["r", "rw", "rwm", "m"]))],
        vec![("type", one_of(&["a", "b", "c"])), ("major", number(0..4096)), ("minor", number(0..4096))],
    );
    let rule = (rule, any::<bool>()).prop_map(|(mut rule, allow)| {
        rule["allow"] = json!(allow);
        rule
    });
    let throttle =
        || fields_of(vec![("major", number(0..256)), ("minor", number(0..256)), ("rate", big())], Vec::new());
    let throttles = || list(throttle(), 2);
    object(vec![
        ("devices", list(rule.boxed(), 4)),
        (
            "memory",
            // Swap without memory is refused.
            fields_of(
                vec![("limit", number(1 << 30..1 << 31))],
                vec![
                    ("reservation", number(1 << 20..1 << 21)),
                    ("swap", number(1 << 32..1 << 33)),
                    ("kernel", number(0..9)),
                    ("swappiness", number(0..101)),
                    ("disableOOMKiller", boolean()),
                    ("useHierarchy", boolean()),
                    ("checkBeforeUpdate", boolean()),
                ],
            ),
        ),
        (
            "cpu",
            object(vec![
                ("shares", number(2..262_144)),
                ("period", number(1000..1_000_000)),
                ("quota", number(1000..1_000_000)),
                ("burst", number(0..1000)),
                ("cpus", one_of(&["0", "0-1"])),
                ("mems", one_of(&["0"])),
            ]),
        ),
        ("pids", fields_of(vec![("limit", number(-1..9999))], Vec::new())),
        (
            "blockIO",
            object(vec![
                ("weight", number(10..1001)),
                ("throttleReadBpsDevice", throttles()),
                ("throttleWriteIOPSDevice", throttles()),
            ]),
        ),
        (
            "hugepageLimits",
            Just(json!([{"pageSize": "2MB", "limit": 4}, {"pageSize": "1GB", "limit": 0}])).boxed(),
        ),
        ("network", Just(json!({"classID": 7, "priorities": [{"name": "eth0", "priority": 5}]})).boxed()),
        ("rdma", Just(json!({"mlx5_0": {"hcaHandles": 3, "hcaObjects": 9}})).boxed()),
        ("unified", Just(json!({"memory.high": "99", "pids.max": "max"})).boxed()),
    ])
}

fn seccomp() -> Values {
    let argument = fields_of(
        vec![
            ("index", number(0..6)),
            ("value", any::<u64>().prop_map(Value::from).boxed()),
            (
                "op",
                one_of(&["SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_MASKED_EQ"]),
            ),
        ],
        vec![("valueTwo", any::<u64>().prop_map(Value::from).boxed())],
    );
    let rule = |action: &'static [&'static str], errno: bool| {
        let names = list(one_of(&["read", "openat", "acct", "no_such_call"]), 3)
            .prop_filter("a name", |names| names.as_array().is_some_and(|names| !names.is_empty()));
        let mut optional = vec![("args", list(argument.clone(), 3))];
        if errno {
            optional.push(("errnoRet", number(0..4096)));
        }
        fields_of(vec![("names", names.boxed()), ("action", one_of(action))], optional)
    };
    let plain = rule(
        &["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_KILL_PROCESS"],
        false,
    );
    let with_errno = rule(&["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"], true);
    fields_of(
        vec![("defaultAction", one_of(&["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"]))],
        vec![
            ("defaultErrnoRet", number(0..4096)),
            ("architectures", some_of(&["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"])),
            ("flags", some_of(&["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"])),
            ("syscalls", list(prop_oneof![plain, with_errno].boxed(), 5)),
        ],
    )
}
