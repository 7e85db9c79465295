//! Changing the limits of a container while it runs: what the kernel's files say, before and after.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use pinnace_tests::{
    Bundle, Container, Outcome, Value, cgroup_hierarchies, is_pinnace, json, managers, skip, spawn,
    tests_pinnace,
};

const MIB: i64 = 1 << 20;

fn is_v2() -> bool {
    !cgroup_hierarchies().contains_key("memory")
}

/// A running container with these resources for each manager; none where nobody limits memory.
fn running(resources: Value) -> Vec<Container> {
    let hierarchies = cgroup_hierarchies();
    let limits_memory = hierarchies.contains_key("memory")
        || hierarchies.get("").is_some_and(|mount| {
            fs::read_to_string(mount.join("cgroup.controllers")).is_ok_and(|text| text.contains("memory"))
        });
    if !limits_memory {
        skip("nobody limits memory on this machine");
        return Vec::new();
    }
    let run = |manager: &[&str]| {
        let container = Bundle::new()
            .args(&["/bin/sleep", "100"])
            .edit(|config| {
                let devices = config["linux"]["resources"]["devices"].clone();
                config["linux"]["resources"] = resources.clone();
                config["linux"]["resources"]["devices"] = devices;
            })
            .container()
            .with_global_options(manager);
        container.run_detached().succeeded();
        container
    };
    managers().into_iter().map(run).collect()
}

fn path(container: &Container, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read cgroup");
    let has = |line: &&str| {
        let list = line.split(':').nth(1).unwrap_or_default();
        if is_v2() { list.is_empty() } else { list.split(',').any(|name| name == controller) }
    };
    let line = text.lines().find(has).expect("the hierarchy");
    let mut fields = line.splitn(3, ':').skip(1);
    let mountpoint = cgroup_hierarchies()[fields.next().expect("controllers")].clone();
    mountpoint.join(fields.next().expect("a path").trim_start_matches('/'))
}

/// What one of v1's files says; on v2 the same in v1's words.
fn read(container: &Container, file: &str) -> String {
    let path = path(container, file.split('.').next().expect("a controller"));
    let text = |file: &str| {
        let path = path.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().to_owned()
    };
    if !is_v2() {
        return text(file);
    }
    let unlimited = |text: String| if text == "max" { i64::MAX.to_string() } else { text };
    let bandwidth = |index: usize| text("cpu.max").split(' ').nth(index).expect("two words").to_owned();
    match file {
        "memory.limit_in_bytes" => unlimited(text("memory.max")),
        "memory.memsw.limit_in_bytes" => {
            let [memory, swap] = ["memory.max", "memory.swap.max"]
                .map(|file| unlimited(text(file)).parse::<i64>().expect("a number"));
            memory.saturating_add(swap).to_string()
        }
        "memory.soft_limit_in_bytes" => text("memory.low"),
        "cpu.shares" => match text("cpu.weight").as_str() {
            "59" => String::from("512"),
            "100" => String::from("1024"),
            weight => panic!("a weight of {weight} is none of the shares here"),
        },
        "cpu.cfs_quota_us" => bandwidth(0).replace("max", "-1"),
        "cpu.cfs_period_us" => bandwidth(1),
        "cpu.cfs_burst_us" => text("cpu.max.burst"),
        "blkio.throttle.read_bps_device" => {
            let line = |line: &str| {
                let (device, rest) = line.split_once(" rbps=")?;
                let rate = rest.split(' ').next().filter(|rate| *rate != "max")?;
                Some(format!("{device} {rate}"))
            };
            text("io.max").lines().filter_map(line).collect()
        }
        same => text(same),
    }
}

/// v1's rules; on v2 they are a program.
fn device_rules(container: &Container) -> String {
    fs::read_to_string(path(container, "devices").join("devices.list")).unwrap_or_default()
}

#[track_caller]
fn update(container: &Container, options: &[&str]) -> Outcome {
    let mut words = vec!["update"];
    words.extend(options);
    words.push(&container.id);
    container.call(&words)
}

/// `update --resources=- ID`, as containerd's shim calls it.
#[track_caller]
fn update_by_document(container: &Container, document: &Value) -> Outcome {
    let path = container.bundle.scratch().join("resources.json");
    fs::write(&path, document.to_string()).expect("write");
    let by_file = format!("--resources={}", path.display());
    if document.get("by").is_some() {
        return update(container, &[&by_file]);
    }
    let mut command = container.command(&["update", "--resources=-", &container.id]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start update");
    child.stdin.take().expect("a pipe").write_all(document.to_string().as_bytes()).expect("write");
    let output = child.wait_with_output().expect("wait");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    update(container, &[])
}

#[track_caller]
fn check(container: &Container, expected: &[(&str, i64)]) {
    for (file, value) in expected {
        assert_eq!(read(container, file), value.to_string(), "{file}");
    }
}

#[test]
fn every_option_reaches_its_file() {
    for container in running(json!({})) {
        let options = [
            "--memory=64m",
            "--memory-swap",
            "128m",
            "--memory-reservation",
            "32M",
            "--cpu-share",
            "512",
            "--cpu-quota",
            "50000",
            "--cpu-period=200000",
            "--cpuset-cpus",
            "0",
            "--cpuset-mems",
            "0",
            "--pids-limit",
            "33",
        ];
        update(&container, &options).succeeded();
        check(
            &container,
            &[
                ("memory.limit_in_bytes", 64 * MIB),
                ("memory.memsw.limit_in_bytes", 128 * MIB),
                ("memory.soft_limit_in_bytes", 32 * MIB),
                ("cpu.shares", 512),
                ("cpu.cfs_quota_us", 50000),
                ("cpu.cfs_period_us", 200_000),
                ("cpuset.cpus", 0),
                ("cpuset.mems", 0),
                ("pids.max", 33),
            ],
        );
        update(&container, &["--cpu-quota", "-1", "--pids-limit", "-1", "-memory-swap", "-1"]).succeeded();
        check(&container, &[("cpu.cfs_quota_us", -1), ("cpu.cfs_period_us", 200_000)]);
        assert_eq!(read(&container, "pids.max"), "max");
        let idle = path(&container, "cpu").join("cpu.idle").exists();
        if idle {
            update(&container, &["--cpu-idle", "1"]).succeeded();
            check(&container, &[("cpu.idle", 1)]);
            update(&container, &["--cpu-idle", "0"]).succeeded();
            check(&container, &[("cpu.idle", 0), ("cpu.shares", 1024)]);
        }
    }
}

#[test]
fn documents_of_engines_change_what_they_name_and_nothing_else() {
    let resources = json!({
        "memory": {"limit": 64 * MIB, "reservation": 16 * MIB},
        "cpu": {"shares": 512, "quota": 50000, "period": 100_000},
        "pids": {"limit": 20},
    });
    for container in running(resources) {
        let docker = json!({
            "memory": {"limit": 32 * MIB, "swap": 64 * MIB, "reservation": 0, "kernel": 0},
            "cpu": {"shares": 0, "quota": 60000, "period": 0},
            "pids": {"limit": 33},
            "blockIO": {"weight": 0},
        });
        update_by_document(&container, &docker).succeeded();
        let expected = [
            ("memory.limit_in_bytes", 32 * MIB),
            ("memory.memsw.limit_in_bytes", 64 * MIB),
            ("memory.soft_limit_in_bytes", 16 * MIB),
            ("cpu.shares", 512),
            ("cpu.cfs_quota_us", 60000),
            ("cpu.cfs_period_us", 100_000),
            ("pids.max", 33),
        ];
        check(&container, &expected);
        // The CRI's rule would take every device away.
        let list = device_rules(&container);
        let cri = json!({"by": "file", "devices": [{"allow": false, "access": "rwm"}], "cpu": {"period": 200_000}, "memory": {}});
        update_by_document(&container, &cri).succeeded();
        check(&container, &expected[..5]);
        check(&container, &[("cpu.cfs_period_us", 200_000)]);
        assert_eq!(device_rules(&container), list);
    }
}

#[test]
fn memory_and_swap_grow_and_shrink_together() {
    let memory = json!({"memory": {"limit": 64 * MIB, "swap": 128 * MIB}});
    for container in running(memory) {
        for (limit, swap) in [(256, 512), (32, 40), (48, 48), (32, 512), (512, 512)] {
            let (limit_text, swap_text) = (format!("{limit}m"), format!("{swap}m"));
            update(&container, &["--memory", &limit_text, "--memory-swap", &swap_text]).succeeded();
            check(
                &container,
                &[("memory.limit_in_bytes", limit * MIB), ("memory.memsw.limit_in_bytes", swap * MIB)],
            );
        }
        update(&container, &["--memory", "64m"]).succeeded();
        check(&container, &[("memory.limit_in_bytes", 64 * MIB), ("memory.memsw.limit_in_bytes", 512 * MIB)]);
        update(&container, &["--memory", "600m"]).failed_with(&[]);
        check(&container, &[("memory.limit_in_bytes", 64 * MIB), ("memory.memsw.limit_in_bytes", 512 * MIB)]);
        update(&container, &["--memory", "-1"]).succeeded();
        for file in ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] {
            assert!(read(&container, file).parse::<u64>().expect("a number") > 1 << 60, "{file}");
        }
    }
}

#[test]
fn quota_and_burst_grow_and_shrink_together() {
    for container in running(json!({"cpu": {"quota": 50000, "period": 100_000}})) {
        let file = if is_v2() { "cpu.max.burst" } else { "cpu.cfs_burst_us" };
        if !path(&container, "cpu").join(file).exists() {
            return skip("the kernel has no bursts");
        }
        for (quota, burst) in [("50000", "40000"), ("90000", "80000"), ("20000", "10000")] {
            update(&container, &["--cpu-quota", quota, "--cpu-burst", burst]).succeeded();
            assert_eq!(
                (read(&container, "cpu.cfs_quota_us"), read(&container, "cpu.cfs_burst_us")),
                (quota.into(), burst.into())
            );
        }
        // None again: a zero is a value here.
        update(&container, &["--cpu-burst", "0"]).succeeded();
        assert_eq!(read(&container, "cpu.cfs_burst_us"), "0");
        assert_eq!(read(&container, "cpu.cfs_period_us"), "100000");
    }
}

#[test]
fn failed_update_leaves_everything_as_it_was() {
    let resources = json!({"memory": {"limit": 64 * MIB, "swap": 128 * MIB}, "cpu": {"shares": 512}, "pids": {"limit": 20}});
    for container in running(resources) {
        let before = [
            ("memory.limit_in_bytes", 64 * MIB),
            ("memory.memsw.limit_in_bytes", 128 * MIB),
            ("cpu.shares", 512),
            ("cpu.cfs_period_us", 100_000),
            ("pids.max", 20),
        ];
        // v2's may be empty, and not every kernel lets it become so again.
        let cpuset = if is_v2() { "cpuset.cpus.effective" } else { "cpuset.cpus" };
        let cpus = read(&container, cpuset);
        // The kernel takes the first of each pair and refuses the second; v2's takes every limit of memory, and kills.
        let second = if is_v2() { ["--cpuset-cpus", "4095"] } else { ["--memory", "4k"] };
        for wrong in
            [["--cpuset-cpus", "0", "--cpu-period", "5"], ["--cpu-share", "100", second[0], second[1]]]
        {
            let mut options = vec!["--pids-limit", "50", "--memory-swap", "200m"];
            options.extend(wrong);
            update(&container, &options).failed_with(&[]);
            // runc brings back less.
            if !tests_pinnace() {
                return;
            }
            check(&container, &before);
            assert_eq!(read(&container, cpuset), cpus);
        }
        if is_pinnace() {
            // Nor does the state remember what failed: memory fits below the old sum alone.
            update(&container, &["--memory", "150m"])
                .failed_with(&["memory+swap limit should be >= memory limit"]);
        }
    }
}

#[test]
fn updates_at_once_lose_nothing() {
    for container in running(json!({"memory": {"limit": 64 * MIB, "swap": 128 * MIB}})) {
        // runc's two updates can lose one of the changes.
        if !tests_pinnace() {
            return;
        }
        for round in 0..10i64 {
            let swap = format!("{}m", 200 + round);
            let pids = (20 + round).to_string();
            let running = [["--memory-swap", &swap], ["--pids-limit", &pids], ["--cpu-share", "300"]]
                .map(|options| spawn(container.command(&["update", options[0], options[1], &container.id])));
            for update in running {
                update.finish().succeeded();
            }
            let path = container.state_root().join(&container.id).join("record.json");
            let record: Value = serde_json::from_str(&fs::read_to_string(path).expect("read")).expect("JSON");
            let resources = &record["resources"];
            assert_eq!(resources["memory"]["swap"], json!((200 + round) * MIB), "{record}");
            assert_eq!(resources["pids_limit"], json!(20 + round), "{record}");
            assert_eq!(resources["cpu"]["shares"], json!(300), "{record}");
        }
    }
}

#[test]
fn throttles_are_changed_device_by_device() {
    let numbers = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let number = numbers.filter_map(|entry| fs::read_to_string(entry.path().join("dev")).ok()).max();
    let Some(number) = number else { return skip("the machine has no disk") };
    let (major, minor) = number.trim().split_once(':').expect("a number");
    let (major, minor): (u32, u32) = (major.parse().expect("a number"), minor.parse().expect("a number"));
    if !is_v2() && !cgroup_hierarchies().contains_key("blkio") {
        return skip("no v1 hierarchy `blkio` on this machine");
    }
    let throttle = |rate: u64| json!({"blockIO": {"throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": rate}]}});
    for container in running(throttle(1000)) {
        let file = "blkio.throttle.read_bps_device";
        update_by_document(&container, &throttle(2000)).succeeded();
        assert_eq!(read(&container, file), format!("{major}:{minor} 2000"));
        let mut wrong = throttle(3000);
        wrong["by"] = json!("file");
        wrong["blockIO"]["throttleWriteBpsDevice"] = json!([{"major": 4000, "minor": 0, "rate": 1}]);
        update_by_document(&container, &wrong).failed_with(&["no such device"]);
        if is_pinnace() {
            assert_eq!(read(&container, file), format!("{major}:{minor} 2000"));
        }
        update_by_document(&container, &throttle(0)).succeeded();
        assert_eq!(read(&container, file), "");
    }
}

/// Whichever way a limit is said, the last word counts, and a later update of its neighbour does not bring the first one back.
#[test]
fn a_file_of_v2_and_the_field_that_means_the_same_are_one_limit() {
    if !is_v2() || !is_pinnace() {
        return skip("there are no such files on v1");
    }
    let (limit, other) = ((64 * MIB).to_string(), (96 * MIB).to_string());
    let resources =
        json!({"memory": {"limit": 32 * MIB, "swap": 128 * MIB}, "unified": {"memory.max": limit}});
    for container in running(resources) {
        let check = |memory: i64, sum: i64, pids: i64| {
            let files = [
                ("memory.limit_in_bytes", memory * MIB),
                ("memory.memsw.limit_in_bytes", sum * MIB),
                ("pids.max", pids),
            ];
            check(&container, &files);
        };
        update(&container, &["--memory-swap", "256m", "--pids-limit", "20"]).succeeded();
        check(64, 256, 20);
        update_by_document(&container, &json!({"unified": {"memory.max": other, "pids.max": "30"}}))
            .succeeded();
        check(96, 288, 30);
        update(&container, &["--memory-swap", "300m"]).succeeded();
        check(96, 300, 30);
        update(&container, &["--pids-limit", "50"]).succeeded();
        update(&container, &["--memory", "80m"]).succeeded();
        check(80, 300, 50);
    }
}

/// The kernel takes an empty line for a memory limit of nothing.
#[test]
fn a_file_of_v2_without_a_value_is_left_alone() {
    if !is_v2() || !is_pinnace() {
        return skip("there are no such files on v1");
    }
    let nothing = json!({"unified": {"memory.max": "", "memory.swap.max": "\n", "pids.max": ""}});
    for container in running(nothing.clone()) {
        let read_max = || read(&container, "memory.limit_in_bytes");
        let before = read_max();
        update(&container, &["--pids-limit", "20"]).succeeded();
        update_by_document(&container, &nothing).succeeded();
        assert_eq!(read_max(), before);
        check(&container, &[("pids.max", 20)]);
        assert_eq!(container.status(), "running");
    }
}

/// An idle cgroup has no shares, so whoever asks for some ends that.
#[test]
fn shares_end_idleness() {
    if !is_pinnace() {
        return;
    }
    for container in running(json!({})) {
        if !path(&container, "cpu").join("cpu.idle").exists() {
            return skip("the kernel has no idle cgroups");
        }
        update(&container, &["--cpu-idle", "1"]).succeeded();
        check(&container, &[("cpu.idle", 1)]);
        update(&container, &["--cpu-share", "512"]).succeeded();
        check(&container, &[("cpu.idle", 0), ("cpu.shares", 512)]);
    }
}

#[test]
fn what_cannot_be_updated_is_said() {
    for container in running(json!({})) {
        update(&container, &["--memory", "abc"])
            .failed_with(&["invalid value for memory: invalid size: 'abc'"]);
        update(&container, &["--resources", "/no/such/file"])
            .failed_with(&["open /no/such/file: no such file or directory"]);
        if is_pinnace() {
            update(&container, &["--cpu-idle", "7"]).failed_with(&["$.cpu.idle: is neither 0 nor 1"]);
            update(&container, &["--l3-cache-schema", "L3:0=f"])
                .failed_with(&["intelRdt is not in the container's config.json"]);
            update(&container, &["--mem-bw-schema", "MB:0=50"])
                .failed_with(&["intelRdt is not in the container's config.json"]);
            let unified = json!({"by": "file", "unified": {"memory.high": "1000000"}});
            let outcome = update_by_document(&container, &unified);
            if is_v2() {
                outcome.succeeded();
            } else {
                outcome.failed_with(&["cannot use unified on cgroup v1"]);
            }
        }
        container.call(&["update", "--memory", "64m", "nobody"]).failed_with(&["container does not exist"]);
        container.kill("KILL").succeeded();
        container.wait_stopped();
        assert_eq!(
            update(&container, &["--pids-limit", "5"]).failed_with(&[]).message(),
            "container not running"
        );
    }
}

#[test]
fn created_and_paused_containers_are_updated_too() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container().with_global_options(managers()[0]);
    container.create().succeeded();
    update(&container, &["--pids-limit", "40"]).succeeded();
    container.start().succeeded();
    container.call(&["pause", &container.id]).succeeded();
    update(&container, &["--pids-limit", "50"]).succeeded();
    container.call(&["resume", &container.id]).succeeded();
    if cgroup_hierarchies().contains_key("pids") {
        assert_eq!(read(&container, "pids.max"), "50");
    }
}

/// Whoever writes the document may take a while.
#[test]
fn document_that_is_still_being_written_keeps_nobody_out() {
    for container in running(json!({})) {
        let mut command = container.command(&["update", "--resources=-", &container.id]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start update");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(b"{\"pids\": ").expect("write");
        std::thread::sleep(std::time::Duration::from_millis(100));
        let other = spawn(container.command(&["update", "--pids-limit", "21", &container.id]));
        let other = other.finish_within(std::time::Duration::from_secs(20));
        pipe.write_all(b"{\"limit\": 22}}").expect("write");
        drop(pipe);
        let output = child.wait_with_output().expect("wait");
        other.succeeded();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        check(&container, &[("pids.max", 22)]);
        if is_pinnace() {
            update(&container, &["-r", "/dev/zero"]).failed_with(&["/dev/zero is larger than"]);
        }
    }
}

#[test]
fn sizes_are_those_of_go() {
    for container in running(json!({})) {
        for (text, bytes) in [("2e7", 19_996_672), ("+24m", 24 * MIB), (".5g", 512 * MIB)] {
            update(&container, &["--memory", text]).succeeded();
            check(&container, &[("memory.limit_in_bytes", bytes)]);
        }
    }
}

/// containerd passes them all with every update of a pod.
#[test]
fn limits_without_a_controller_do_not_keep_the_others_from_changing() {
    let hierarchies = cgroup_hierarchies();
    let missing = |controller: &str| match hierarchies.get("").filter(|_| is_v2()) {
        Some(mount) => {
            !fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default().contains(controller)
        }
        None => !hierarchies.keys().any(|list| list.split(',').any(|name| name == controller)),
    };
    let network = json!({"classID": 1, "priorities": [{"name": "lo", "priority": 3}]});
    let parts = [
        ("hugetlb", "hugepageLimits", json!([{"pageSize": "2MB", "limit": 0}])),
        ("rdma", "rdma", json!({"mlx5_1": {"hcaHandles": 3}})),
        ("net_cls", "network", network),
    ];
    for container in running(json!({})) {
        for (number, (controller, field, value)) in parts.iter().enumerate() {
            if !missing(controller) {
                continue;
            }
            let pids = 30 + number as i64;
            let path = container.bundle.scratch().join("all.json");
            fs::write(&path, json!({"pids": {"limit": pids}, *field: value}).to_string()).expect("write");
            let outcome = update(&container, &["-r", path.to_str().expect("UTF-8")]);
            outcome.succeeded();
            check(&container, &[("pids.max", pids)]);
            let warning = format!("$.linux.resources.{field}");
            assert!(!is_pinnace() || outcome.stderr.contains(&warning), "{}", outcome.describe());
        }
    }
}
