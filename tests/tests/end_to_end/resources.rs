//! Every limit of `linux.resources`, with every manager that the machine has: what the kernel's files say after the start and, under
//! systemd, still say when systemd has written all that it knows anew. `tests/CGROUPS.md` is the table of them.

mod block_io;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pinnace_tests::{
    Bundle, Container, Value, cgroup_hierarchies, is_pinnace, json, managers, run_within_limit, skip,
    tests_pinnace, wait_until,
};

/// A file of the kernel that holds a limit.
struct File {
    controller: &'static str,
    /// `file: value`; empty where there is nothing to look at.
    v1: String,
    v2: String,
}

fn file(controller: &'static str, v1: impl Into<String>, v2: impl Into<String>) -> File {
    File { controller, v1: v1.into(), v2: v2.into() }
}

/// cgroup v2 alone; limits are v1's on every other machine.
fn is_v2() -> bool {
    cgroup_hierarchies().len() == 1 && cgroup_hierarchies().contains_key("")
}

/// The mount point of the hierarchy that has the controller; says aloud that there is none.
fn hierarchy(controller: &str) -> Option<PathBuf> {
    let hierarchies = cgroup_hierarchies();
    let found = if is_v2() {
        let mount = hierarchies[""].clone();
        let available = fs::read_to_string(mount.join("cgroup.controllers")).expect("read");
        available.split_whitespace().any(|name| name == v2_name(controller)).then_some(mount)
    } else {
        let has = |list: &str| list.split(',').any(|name| name == controller);
        hierarchies.into_iter().find(|(list, _)| has(list)).map(|(_, mount)| mount)
    };
    if found.is_none() {
        skip(&format!("the host has no cgroup controller {controller}"));
    }
    found
}

fn v2_name(controller: &str) -> &str {
    if controller == "blkio" { "io" } else { controller }
}

fn reload_systemd() {
    let mut command = Command::new("systemctl");
    command.arg("daemon-reload");
    run_within_limit(command).succeeded();
}

/// The manager for tests that need no more than one.
fn a_manager() -> &'static [&'static str] {
    managers()[0]
}

fn sleeping() -> Bundle {
    Bundle::new().args(&["/bin/sleep", "1000"])
}

/// The container's directory in the hierarchy with this controller, as the kernel tells it.
fn directory(container: &Container, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read cgroup");
    let is_it = |line: &&str| {
        let list = line.split(':').nth(1).unwrap_or_default();
        if is_v2() { list.is_empty() } else { list.split(',').any(|known| known == controller) }
    };
    let line = text.lines().find(is_it).expect("the hierarchy");
    let mut fields = line.splitn(3, ':').skip(1);
    let mount = cgroup_hierarchies()[fields.next().expect("controllers")].clone();
    mount.join(fields.next().expect("a path").trim_start_matches('/'))
}

fn read(directory: &Path, name: &str) -> String {
    let path = directory.join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}

/// Whether one of the file's lines is `value`.
#[track_caller]
fn assert_file(container: &Container, file: &File, when: &str) {
    let expected = if is_v2() { &file.v2 } else { &file.v1 };
    let Some((name, value)) = expected.split_once(": ") else { return };
    let text = read(&directory(container, file.controller), name);
    assert!(text.lines().any(|line| line.trim() == value), "{when}: {name} is {text:?}, not {value:?}");
}

/// Runs a container with these resources under every manager; each file says what is expected, then and when systemd has reloaded.
#[track_caller]
fn check(resources: Value, files: &[File]) {
    check_with(&managers(), resources, files);
}

#[track_caller]
fn check_with(managers: &[&[&str]], resources: Value, files: &[File]) {
    for file in files {
        let Some(mount) = hierarchy(file.controller) else { return };
        // v1's root has the files that the kernel knows, but for that of pids; v2's has none of them.
        if let Some((name, _)) = file.v1.split_once(": ").filter(|_| !is_v2() && file.controller != "pids")
            && !mount.join(name).exists()
        {
            return skip(&format!("the kernel has no {name}"));
        }
    }
    for manager in managers {
        let container =
            sleeping().set("/linux/resources", resources.clone()).container().with_global_options(manager);
        container.run_detached().succeeded();
        files.iter().for_each(|file| assert_file(&container, file, &format!("{manager:?}")));
        if !manager.is_empty() {
            reload_systemd();
            files.iter().for_each(|file| assert_file(&container, file, "after a reload of systemd"));
        }
    }
}

/// These resources are passed over on cgroup v2, with a warning, as they are without one by runc.
fn ignored_on_v2(resources: Value, field: &str) {
    if !is_v2() {
        return;
    }
    for manager in managers() {
        let container =
            sleeping().set("/linux/resources", resources.clone()).container().with_global_options(manager);
        let outcome = container.run_detached();
        outcome.succeeded();
        let document = resources.to_string();
        let path = container.bundle.scratch().join("resources.json");
        fs::write(&path, document).expect("write");
        let updated = container.call(&["update", "-r", path.to_str().expect("UTF-8"), &container.id]);
        updated.succeeded();
        if is_pinnace() {
            let warning = format!("$.linux.resources.{field} is ignored: ");
            for told in [&outcome.stderr, &updated.stderr] {
                assert!(told.contains(&warning) && told.contains("level=warning"), "{told}");
            }
            let bundle = container.bundle.path();
            let validated = container.call(&["validate", "--bundle", bundle.to_str().expect("UTF-8")]);
            assert!(validated.stdout.contains(&format!("{field}: is ignored: ")), "{}", validated.describe());
        }
    }
}

/// These resources are refused on cgroup v2, by the field's path, and leave nothing.
fn refused_on_v2(resources: Value, field: &str) {
    if !is_v2() || !tests_pinnace() {
        return;
    }
    for manager in managers() {
        let container =
            sleeping().set("/linux/resources", resources.clone()).container().with_global_options(manager);
        let before = container.snapshot();
        container
            .run_detached()
            .failed_with(&[&format!("$.linux.resources.{field}: cgroup v2 has nothing like it")]);
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn memory_limit_reservation_and_swap() {
    let memory = json!({"limit": 67_108_864, "reservation": 33_554_432, "swap": 100_663_296});
    let files = [
        file("memory", "memory.limit_in_bytes: 67108864", "memory.max: 67108864"),
        file("memory", "memory.soft_limit_in_bytes: 33554432", "memory.low: 33554432"),
        // v1 counts memory and swap together, v2 swap alone.
        file("memory", "memory.memsw.limit_in_bytes: 100663296", "memory.swap.max: 33554432"),
    ];
    check(json!({"memory": memory}), &files);
    let unlimited = json!({"memory": {"limit": -1, "swap": -1}});
    let files = [file("memory", "", "memory.max: max"), file("memory", "", "memory.swap.max: max")];
    check(unlimited, &files);

    let swap_alone = json!({"memory": {"limit": -1, "swap": 33_554_432}});
    if is_v2() {
        let files = [file("memory", "", "memory.max: max"), file("memory", "", "memory.swap.max: 33554432")];
        check(swap_alone, &files);
    } else if hierarchy("memory").is_some() {
        let container = sleeping().set("/linux/resources", swap_alone).container();
        let expected =
            if is_pinnace() { "unable to set swap limit without memory limit" } else { "memory.memsw" };
        container.with_global_options(a_manager()).run_detached().failed_with(&[expected]);
    }
}

#[test]
fn memory_swappiness() {
    let resources = json!({"memory": {"swappiness": 13}});
    ignored_on_v2(resources.clone(), "memory.swappiness");
    ignored_on_v2(json!({"memory": {"swappiness": 0}}), "memory.swappiness");
    if !is_v2() {
        check(resources, &[file("memory", "memory.swappiness: 13", "")]);
    }
}

/// What runs out of memory waits then, and is not killed.
#[test]
fn memory_disable_oom_killer() {
    let resources = json!({"memory": {"limit": 16_777_216, "disableOOMKiller": true}});
    ignored_on_v2(resources.clone(), "memory.disableOOMKiller");
    if is_v2() {
        return;
    }
    check(resources.clone(), &[file("memory", "memory.oom_control: oom_kill_disable 1", "")]);
    let Some(mount) = hierarchy("memory") else { return };
    if !mount.join("memory.memsw.limit_in_bytes").exists() {
        return skip("no swap accounting");
    }
    let container = Bundle::new()
        .set("/linux/resources", resources)
        .set("/linux/resources/memory/swap", json!(16_777_216))
        // The shell's own memory: a call that writes to memory which is not there fails, and does not wait.
        .shell("x=$(head -c 100000000 /dev/zero | tr '\\0' x)")
        .container()
        .with_global_options(a_manager());
    container.run_detached().succeeded();
    let own = directory(&container, "memory");
    let says = |line: &str| read(&own, "memory.oom_control").lines().any(|found| found == line);
    wait_until("somebody waits for memory", || says("under_oom 1"));
    assert!(says("oom_kill 0") && container.status() == "running", "{}", read(&own, "memory.oom_control"));
    container.delete_force().succeeded();
}

/// The kernel has dropped them: they change nothing, and only the first two are worth a warning.
#[test]
fn memory_fields_without_a_meaning() {
    if hierarchy("memory").is_none() {
        return;
    }
    let plain = sleeping().container().with_global_options(a_manager());
    plain.run_detached().succeeded();
    let names = if is_v2() {
        ["memory.max", "memory.high", "memory.low"]
    } else {
        ["memory.kmem.limit_in_bytes", "memory.kmem.tcp.limit_in_bytes", "memory.use_hierarchy"]
    };
    for (field, value) in
        [("kernel", json!(4096)), ("kernelTCP", json!(4096)), ("useHierarchy", json!(false))]
    {
        let mut memory = json!({});
        memory[field] = value;
        let container = sleeping()
            .set("/linux/resources", json!({"memory": memory}))
            .container()
            .with_global_options(a_manager());
        let outcome = container.run_detached();
        outcome.succeeded();
        if is_pinnace() {
            assert_eq!(
                outcome.stderr.contains("level=warning"),
                field != "useHierarchy",
                "{}",
                outcome.describe()
            );
        }
        for name in names {
            let [with, without] = [&container, &plain].map(|container| {
                fs::read_to_string(directory(container, "memory").join(name)).unwrap_or_default()
            });
            assert_eq!(with, without, "{field}: {name}");
        }
    }
}

/// v1's kernel refuses a limit below what is used and cannot be given back; v2's kills, and so that is asked before.
#[test]
fn memory_check_before_update() {
    if hierarchy("memory").is_none() {
        return;
    }
    for manager in managers() {
        let container = Bundle::new()
            .set(
                "/linux/resources",
                json!({"memory": {"limit": 134_217_728, "swap": 134_217_728, "checkBeforeUpdate": true}}),
            )
            .shell("head -c 30000000 /dev/zero > /dev/shm/held; echo ready; sleep 1000")
            .container()
            .with_global_options(manager);
        let outcome = container.run_detached();
        outcome.succeeded();
        wait_until("the program has its memory", || outcome.stdout_now().contains("ready"));
        let update = |memory: &str| {
            container.call(&["update", "--memory", memory, "--memory-swap", memory, &container.id])
        };
        let refused = update("8m");
        assert_eq!(refused.code, 1, "{}", refused.describe());
        if is_pinnace() {
            let reason = if is_v2() { "rejecting memory" } else { "unable to set memory limit to 8388608" };
            refused.failed_with(&[reason, "usage"]);
        }
        assert_eq!(container.status(), "running");
        let file = file("memory", "memory.limit_in_bytes: 134217728", "memory.max: 134217728");
        assert_file(&container, &file, "after the refusal");
        update("64m").succeeded();
    }
}

#[test]
fn cpu_shares_quota_period_and_burst() {
    let cpu = json!({"shares": 2048, "quota": 50_000, "period": 200_000});
    let files = [
        file("cpu", "cpu.shares: 2048", "cpu.weight: 174"),
        file("cpu", "cpu.cfs_quota_us: 50000", "cpu.max: 50000 200000"),
        file("cpu", "cpu.cfs_period_us: 200000", ""),
    ];
    check(json!({"cpu": cpu}), &files);
    let burst = json!({"quota": 50_000, "period": 200_000, "burst": 10_000});
    let files = [
        file("cpu", "cpu.cfs_burst_us: 10000", "cpu.max.burst: 10000"),
        // A quota that systemd cannot say: it rounds to 1 % of a processor.
        file("cpu", "cpu.cfs_quota_us: 50000", "cpu.max: 50000 200000"),
    ];
    check(json!({"cpu": burst}), &files);
}

#[test]
fn cpu_idle() {
    let files = [file("cpu", "cpu.idle: 1", "cpu.idle: 1")];
    check(json!({"cpu": {"idle": 1}}), &files);
}

#[test]
fn cpu_realtime() {
    let resources = json!({"cpu": {"realtimeRuntime": 1000, "realtimePeriod": 500_000}});
    ignored_on_v2(resources.clone(), "cpu.realtimeRuntime");
    if !is_v2() {
        let files = [file("cpu", "cpu.rt_runtime_us: 1000", ""), file("cpu", "cpu.rt_period_us: 500000", "")];
        check(resources, &files);
    }
}

#[test]
fn cpu_cpus_and_mems() {
    let files = [
        file("cpuset", "cpuset.cpus: 0", "cpuset.cpus: 0"),
        file("cpuset", "cpuset.mems: 0", "cpuset.mems: 0"),
    ];
    check(json!({"cpu": {"cpus": "0", "mems": "0"}}), &files);
}

#[test]
fn pids_limit() {
    let check = |managers: &[&[&str]], limit: i32, value: &str| {
        let line = format!("pids.max: {value}");
        check_with(managers, json!({"pids": {"limit": limit}}), &[file("pids", &line, &line)]);
    };
    check(&managers(), 7, "7");
    check(&managers(), -1, "max");
    // systemd knows no limit of none: it makes it one, as runc does in any case.
    let (own, systemd): (Vec<_>, Vec<_>) = managers().into_iter().partition(|manager| manager.is_empty());
    check(&own, 0, if is_pinnace() { "0" } else { "1" });
    check(&systemd, 0, "1");
}

#[test]
fn huge_pages() {
    let limits = json!([{"pageSize": "2MB", "limit": 4_194_304}]);
    let files = [
        file("hugetlb", "hugetlb.2MB.limit_in_bytes: 4194304", "hugetlb.2MB.max: 4194304"),
        file("hugetlb", "hugetlb.2MB.rsvd.limit_in_bytes: 4194304", "hugetlb.2MB.rsvd.max: 4194304"),
    ];
    check(json!({"hugepageLimits": limits}), &files);
}

#[test]
fn network_class_and_priorities() {
    let class = json!({"network": {"classID": 1_048_577}});
    let priorities = json!({"network": {"priorities": [{"name": "lo", "priority": 5}]}});
    refused_on_v2(class.clone(), "network.classID");
    refused_on_v2(priorities.clone(), "network.priorities");
    if !is_v2() {
        check(class, &[file("net_cls", "net_cls.classid: 1048577", "")]);
        check(priorities, &[file("net_prio", "net_prio.ifpriomap: lo 5", "")]);
    }
}

/// No machine of ours has such a device; that the kernel was asked shows in what it says.
#[test]
fn rdma_limit_of_a_device_that_is_not_there_is_an_error_and_leaves_nothing() {
    if hierarchy("rdma").is_none() || !tests_pinnace() {
        return;
    }
    for manager in managers() {
        let resources = json!({"rdma": {"mlx5_9": {"hcaHandles": 3, "hcaObjects": 10_000}}});
        let container =
            sleeping().set("/linux/resources", resources).container().with_global_options(manager);
        let before = container.snapshot();
        let outcome = container.run_detached();
        outcome.failed_with(&["mlx5_9 hca_handle=3 hca_object=10000", "rdma.max", "no such device"]);
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn unified_files() {
    if !is_v2() {
        return skip("cgroup v2 is not alone on this machine");
    }
    let Some((major, minor)) = block_io::disk() else { return };
    let resources = json!({"unified": {
        "memory.high": "50331648", "cpu.weight": "55", "pids.max": "9",
        "cpu.max": "30000 100000", "cgroup.max.depth": "3",
        "io.max": format!("{major}:{minor} rbps=4096 wiops=5"),
    }});
    let files = [
        file("memory", "", "memory.high: 50331648"),
        file("cpu", "", "cpu.weight: 55"),
        file("cpu", "", "cpu.max: 30000 100000"),
        file("pids", "", "pids.max: 9"),
        file("pids", "", "cgroup.max.depth: 3"),
        file("blkio", "", format!("io.max: {major}:{minor} rbps=4096 wbps=max riops=max wiops=5")),
    ];
    check(resources, &files);
    let files = [
        file("memory", "", "memory.max: 67108864"),
        file("memory", "", "memory.low: 16384"),
        file("cpu", "", "cpu.weight.nice: 5"),
    ];
    let resources = json!({"memory.max": "64M", "memory.low": "16k", "cpu.weight.nice": "5"});
    check(json!({"unified": resources}), &files);
    // systemd before 253 has no word for it, and resets it when it reloads.
    let container =
        sleeping().set("/linux/resources", json!({"unified": {"memory.oom.group": "1"}})).container();
    container.run_detached().succeeded();
    assert_eq!(read(&directory(&container, "memory"), "memory.oom.group"), "1");
    for (name, value, reason) in [
        ("nosuch.max", "1", "controller \"nosuch\" not available"),
        ("memory.nosuch", "1", "no such file or directory"),
        ("memory.max", "much", "invalid argument"),
        ("cgroup.freeze", "1", "$.linux.resources.unified[\"cgroup.freeze\"]: is no limit"),
        ("cgroup.kill", "1", "$.linux.resources.unified[\"cgroup.kill\"]: is no limit"),
        ("cgroup.procs", "1", "$.linux.resources.unified[\"cgroup.procs\"]: is no limit"),
    ] {
        for manager in managers() {
            let container = sleeping()
                .set("/linux/resources", json!({"unified": {name: value}}))
                .container()
                .with_global_options(manager);
            let before = container.snapshot();
            container.run_detached().failed_with(&[name, reason]);
            let _ = fs::remove_dir(container.state_root());
            container.snapshot().assert_same_as(&before);
        }
    }
}

/// The start is not what waits for memory: it would do so for ever, and its caller with it.
#[test]
fn a_start_without_memory_ends_although_nobody_is_to_be_killed() {
    if is_v2() || hierarchy("memory").is_none() {
        return;
    }
    let resources = json!({"memory": {"limit": 65_536, "swap": 65_536, "disableOOMKiller": true}});
    let container = Bundle::new().set("/linux/resources", resources).container();
    // The program itself may get as far as its execution, and no further.
    assert_ne!(container.run().code, 0);
    // None of these waits for ever.
    if container.create().code == 0 {
        container.start();
        container.delete_force().succeeded();
    }
}
