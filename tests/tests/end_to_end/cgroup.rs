//! Where the container's cgroup lies, what limits it has, and that it goes when the container goes.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use pinnace_tests::{Bundle, Container, cgroup_hierarchies, json, skip, wait_until};
use rustix::fs::{Mode, OFlags, mkdirat, openat};

/// The directory of a hierarchy, or a reason to skip.
fn hierarchy(name: &str) -> Option<PathBuf> {
    let found = cgroup_hierarchies().get(name).cloned();
    if found.is_none() {
        skip(&format!("no v1 hierarchy `{name}` on this machine"));
    }
    found
}

/// The container's path in a hierarchy, as the kernel tells it.
fn path_of(container: &Container, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read cgroup");
    let line = text.lines().find(|line| line.split(':').nth(1) == Some(name)).expect("the hierarchy");
    line.splitn(3, ':').nth(2).expect("a path").to_owned()
}

fn sleeping() -> Bundle {
    Bundle::new().args(&["/bin/sleep", "100"])
}

fn read(directory: &Path, file: &str) -> String {
    let path = directory.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}

#[test]
fn absolute_path_is_from_the_mount_point() {
    if hierarchy("memory").is_none() {
        return;
    }
    let bundle = sleeping();
    let name = bundle.scratch().file_name().expect("a name").to_string_lossy().into_owned();
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/{name}-top/inner"))).container();
    container.run_detached().succeeded();
    for controllers in ["memory", "pids", "freezer", "devices", "name=systemd"] {
        assert_eq!(path_of(&container, controllers), format!("/{name}-top/inner"), "{controllers}");
    }
    container.delete_force().succeeded();
    for directory in cgroup_hierarchies().values() {
        assert!(!directory.join(format!("{name}-top/inner")).exists(), "{}", directory.display());
        // Runtimes remove the container's own directory and keep those above it.
        let _ = fs::remove_dir(directory.join(format!("{name}-top")));
    }
}

#[test]
fn relative_path_is_below_the_callers_own_cgroup() {
    if hierarchy("memory").is_none() {
        return;
    }
    let bundle = sleeping();
    let name = bundle.scratch().file_name().expect("a name").to_string_lossy().into_owned();
    let container = bundle.set("/linux/cgroupsPath", json!(name)).container();
    container.run_detached().succeeded();
    let own = fs::read_to_string("/proc/self/cgroup").expect("read cgroup");
    for controllers in ["memory", "pids"] {
        let line =
            own.lines().find(|line| line.split(':').nth(1) == Some(controllers)).expect("the hierarchy");
        let own = line.splitn(3, ':').nth(2).expect("a path").trim_end_matches('/');
        assert_eq!(path_of(&container, controllers), format!("{own}/{name}"), "{controllers}");
    }
}

#[test]
fn absent_path_is_the_id() {
    if hierarchy("memory").is_none() {
        return;
    }
    let container = sleeping().container();
    container.run_detached().succeeded();
    let path = path_of(&container, "pids");
    assert!(path.ends_with(&format!("/{}", container.id)), "{path}");
}

#[test]
fn dots_in_the_path_do_not_lead_out() {
    let bundle = sleeping();
    let name = bundle.scratch().file_name().expect("a name").to_string_lossy().into_owned();
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/../../{name}"))).container();
    // Cleaned, as runc does.
    container.run_detached().succeeded();
    let hierarchy = if cgroup_hierarchies().contains_key("pids") { "pids" } else { "" };
    assert_eq!(path_of(&container, hierarchy), format!("/{name}"));
}

#[test]
fn every_process_of_the_container_is_in_every_hierarchy() {
    let container = sleeping().container();
    container.run_detached().succeeded();
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read cgroup");
    // A hierarchy that is mounted nowhere is nobody's to join: the kernel lists it until its last cgroup is gone.
    let mounted = cgroup_hierarchies();
    let is_mounted = |line: &&str| {
        line.split(':').nth(1).is_some_and(|list| {
            list.split(',').any(|name| mounted.contains_key(name.trim_start_matches("name=")))
        })
    };
    for line in text.lines().filter(|line| !line.starts_with("0:")).filter(is_mounted) {
        assert!(line.contains(&container.id), "{text}");
    }
}

#[test]
fn memory_limits_are_in_the_kernels_files() {
    let Some(directory) = hierarchy("memory") else { return };
    let memory = json!({"limit": 33554432, "reservation": 16777216});
    let container = sleeping().set("/linux/resources/memory", memory).container();
    container.run_detached().succeeded();
    let own = directory.join(path_of(&container, "memory").trim_start_matches('/'));
    assert_eq!(read(&own, "memory.limit_in_bytes"), "33554432");
    assert_eq!(read(&own, "memory.soft_limit_in_bytes"), "16777216");
}

#[test]
fn program_that_takes_more_memory_than_its_limit_is_killed() {
    if hierarchy("memory").is_none() {
        return;
    }
    let memory = json!({"limit": 16777216, "swap": 16777216});
    let program = "head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null; echo $?";
    let outcome = Bundle::new().set("/linux/resources/memory", memory.clone()).shell(program).run();
    if outcome.code == 1 && outcome.stderr.contains("memsw") {
        return skip("no swap accounting");
    }
    assert!(outcome.stdout.trim() == "137" || outcome.code == 137, "{}", outcome.describe());
}

#[test]
fn memory_limit_that_is_too_small_is_an_error_and_leaves_nothing() {
    if hierarchy("memory").is_none() {
        return;
    }
    let container = sleeping().set("/linux/resources/memory", json!({"limit": 4096})).container();
    let before = container.snapshot();
    let outcome = container.run_detached();
    assert_eq!(outcome.code, 1);
    if pinnace_tests::is_pinnace() {
        outcome.failed_with(&["out of memory: limit 4096, peak usage 4096, processes killed: 1"]);
    }
    let _ = fs::remove_dir(container.state_root());
    container.snapshot().assert_same_as(&before);
}

#[test]
fn cpu_limits_are_in_the_kernels_files() {
    let Some(directory) = hierarchy("cpu") else { return };
    let cpu = json!({"shares": 512, "quota": 50000, "period": 100000});
    let container = sleeping().set("/linux/resources/cpu", cpu).container();
    container.run_detached().succeeded();
    let own = directory.join(path_of(&container, "cpu").trim_start_matches('/'));
    assert_eq!(read(&own, "cpu.shares"), "512");
    assert_eq!(read(&own, "cpu.cfs_quota_us"), "50000");
    assert_eq!(read(&own, "cpu.cfs_period_us"), "100000");
}

#[test]
fn cpu_set_is_in_the_kernels_files_and_in_force() {
    if hierarchy("cpuset").is_none() {
        return;
    }
    let outcome = Bundle::new()
        .set("/linux/resources/cpu", json!({"cpus": "0", "mems": "0"}))
        .args(&["/bin/grep", "Cpus_allowed_list", "/proc/self/status"])
        .run();
    assert_eq!(outcome.succeeded(), "Cpus_allowed_list:\t0");
}

#[test]
fn pids_limit_is_in_the_kernels_file_and_in_force() {
    let Some(directory) = hierarchy("pids") else { return };
    let container = sleeping().set("/linux/resources/pids", json!({"limit": 7})).container();
    container.run_detached().succeeded();
    let own = directory.join(path_of(&container, "pids").trim_start_matches('/'));
    assert_eq!(read(&own, "pids.max"), "7");

    let forks = "for number in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait";
    let outcome = Bundle::new().set("/linux/resources/pids", json!({"limit": 4})).shell(forks).run();
    assert!(outcome.stderr.contains("can't fork"), "{}", outcome.describe());
    let unlimited = Bundle::new().set("/linux/resources/pids", json!({"limit": -1})).shell(forks).run();
    unlimited.succeeded();
}

#[test]
fn cgroup_is_removed_with_the_container_and_with_what_runs_in_it() {
    let container = Bundle::new().shell("sleep 100 & sleep 100 & wait").container();
    container.run_detached().succeeded();
    assert!(!container.snapshot().cgroups.is_empty());
    container.delete_force().succeeded();
    let left = container.snapshot();
    assert!(left.cgroups.is_empty() && left.processes.is_empty(), "{left}");
}

#[test]
fn cgroup_made_by_the_container_below_its_own_is_removed_too() {
    let Some(directory) = hierarchy("memory") else { return };
    let container = sleeping().container();
    container.run_detached().succeeded();
    let own = directory.join(path_of(&container, "memory").trim_start_matches('/'));
    fs::create_dir_all(own.join("below/deeper")).expect("mkdir");
    container.delete_force().succeeded();
    assert!(!own.exists());
}

/// "Delete MUST NOT remove what create did not make" (runtime-spec); runc removes it all the same.
#[test]
fn cgroup_that_was_there_before_stays_as_it_was() {
    if !pinnace_tests::tests_pinnace() {
        return;
    }
    let hierarchies = cgroup_hierarchies();
    let (mount, limit) = match (hierarchies.get("memory"), hierarchies.get("")) {
        (Some(mount), _) => (mount, "memory.limit_in_bytes"),
        (None, Some(mount)) => (mount, "memory.max"),
        (None, None) => return skip("nobody limits memory here"),
    };
    let bundle = sleeping();
    let name = format!("{}-kept", bundle.scratch().file_name().expect("a name").to_string_lossy());
    let (kept, devices) = (mount.join(&name), hierarchies.get("devices").map(|mount| mount.join(&name)));
    // On v2 the first container turns the controllers on.
    Bundle::new().run().succeeded();
    fs::create_dir_all(kept.join("theirs/deep")).expect("mkdir");
    fs::write(kept.join(limit), "67108864").expect("write");
    let list = "c 1:3 rwm\nc 1:5 rwm\nc 1:11 r";
    if let Some(devices) = &devices {
        fs::create_dir(devices).expect("mkdir");
        fs::write(devices.join("devices.deny"), "a").expect("write");
        list.lines().for_each(|line| fs::write(devices.join("devices.allow"), line).expect("write"));
    }
    let bundle =
        bundle.set("/linux/resources/memory", json!({"limit": 33_554_432, "disableOOMKiller": true}));
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/{name}"))).container();
    let ran = container.run_detached();
    let within = read(&kept, limit);
    fs::create_dir_all(kept.join("made/deep")).expect("mkdir");
    fs::create_dir(kept.join("theirs/made")).expect("mkdir");
    let oom_control = || fs::read_to_string(kept.join("memory.oom_control")).unwrap_or_default();
    let disabled = oom_control();
    let deleted = container.delete_force();
    let there = ["", "theirs", "theirs/deep", "made", "theirs/made"].map(|name| kept.join(name).exists());
    let (found, enabled) = (read(&kept, limit), oom_control());
    let found_list = devices.as_ref().map(|devices| read(devices, "devices.list"));
    for name in ["theirs/deep", "theirs/made", "theirs", "made/deep", "made", ""] {
        let _ = fs::remove_dir(kept.join(name));
    }
    let _ = devices.as_ref().map(fs::remove_dir);
    ran.succeeded();
    deleted.succeeded();
    assert_eq!(there, [true, true, true, false, false]);
    assert_eq!((within.as_str(), found.as_str()), ("33554432", "67108864"));
    assert!(found_list.is_none_or(|found| found == list));
    if devices.is_some() {
        assert!(disabled.starts_with("oom_kill_disable 1"), "{disabled}");
        assert!(enabled.starts_with("oom_kill_disable 0"), "{enabled}");
    }
    assert!(container.snapshot().cgroups.is_empty(), "{}", container.snapshot());
}

#[test]
fn cgroup_that_others_live_in_is_refused() {
    let Some(_) = hierarchy("pids") else { return };
    let first = sleeping().container();
    first.run_detached().succeeded();
    let path = path_of(&first, "pids");
    let second = sleeping().set("/linux/cgroupsPath", json!(path)).container();
    assert_eq!(second.run_detached().code, 1);
    assert_eq!(first.status(), "running");
}

#[test]
fn unified_resources_on_v1_are_refused() {
    if hierarchy("memory").is_none() {
        return;
    }
    let unified = json!({"memory.max": "33554432"});
    sleeping()
        .set("/linux/resources/unified", unified)
        .run()
        .failed_with(&["invalid configuration: cannot use unified on cgroup v1"]);
}

/// The number of a disk that every test may name: nothing is read from or written to it.
fn disk() -> Option<(u32, u32)> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| fs::read_to_string(entry.path().join("dev")).ok());
    numbers.filter_map(|text| parse_pair(text.trim())).max()
}

fn parse_pair(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[test]
fn throttles_are_in_the_kernels_files() {
    let Some(directory) = hierarchy("blkio") else { return };
    let Some((major, minor)) = disk() else { return skip("the machine has no disk") };
    let throttle = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let io = json!({
        "throttleReadBpsDevice": throttle(1048576),
        "throttleWriteBpsDevice": throttle(2097152),
        "throttleReadIOPSDevice": throttle(300),
        "throttleWriteIOPSDevice": throttle(400),
    });
    let container = sleeping().set("/linux/resources/blockIO", io).container();
    container.run_detached().succeeded();
    let own = directory.join(path_of(&container, "blkio").trim_start_matches('/'));
    for (file, rate) in
        [("read_bps", 1048576), ("write_bps", 2097152), ("read_iops", 300), ("write_iops", 400)]
    {
        let expected = format!("{major}:{minor} {rate}");
        assert_eq!(read(&own, &format!("blkio.throttle.{file}_device")), expected);
    }
}

#[test]
fn io_weight_is_in_the_kernels_file_or_refused_by_name() {
    let Some(directory) = hierarchy("blkio") else { return };
    let container = sleeping().set("/linux/resources/blockIO", json!({"weight": 123})).container();
    let outcome = container.run_detached();
    if outcome.code != 0 {
        outcome.failed_with(&["blkio.weight"]);
        return skip("the I/O scheduler has no weights");
    }
    let own = directory.join(path_of(&container, "blkio").trim_start_matches('/'));
    let file = ["blkio.bfq.weight", "blkio.weight"].into_iter().find(|file| own.join(file).exists());
    assert_eq!(read(&own, file.expect("a file")), "123");
}

#[test]
fn limit_without_its_controller_is_refused_and_leaves_nothing() {
    for (hierarchy, field, value) in [
        ("net_cls", "network", json!({"classID": 1048577})),
        ("net_prio", "network", json!({"priorities": [{"name": "lo", "priority": 5}]})),
        ("hugetlb", "hugepageLimits", json!([{"pageSize": "2MB", "limit": 2097152}])),
        ("rdma", "rdma", json!({"mlx5_1": {"hcaHandles": 3}})),
    ] {
        let has = cgroup_hierarchies().keys().any(|list| list.split(',').any(|name| name == hierarchy));
        if has || !cgroup_hierarchies().contains_key("memory") {
            continue;
        }
        let container = sleeping().set(&format!("/linux/resources/{field}"), value).container();
        let before = container.snapshot();
        let outcome = container.run_detached();
        assert_eq!(outcome.code, 1, "{}", outcome.describe());
        if pinnace_tests::is_pinnace() {
            outcome.failed_with(&[
                &format!("$.linux.resources.{field}"),
                &format!("the host has no cgroup controller {hierarchy}"),
            ]);
        }
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn time_for_real_time_programs_is_given_by_cgroups_made_on_the_way() {
    let Some(directory) = hierarchy("cpu") else { return };
    let has_time = fs::read_to_string(directory.join("cpu.rt_runtime_us"));
    if !pinnace_tests::tests_pinnace() {
        return;
    }
    if has_time.map_or(true, |time| time.trim() == "0") {
        return skip("the kernel has no such limits");
    }
    let bundle = sleeping();
    let name = bundle.scratch().file_name().expect("a name").to_string_lossy().into_owned();
    let cpu = json!({"realtimeRuntime": 10000, "realtimePeriod": 900000});
    let path = json!(format!("/{name}-top/middle/inner"));
    let container = bundle.set("/linux/resources/cpu", cpu).set("/linux/cgroupsPath", path).container();
    container.run_detached().succeeded();
    let own = directory.join(path_of(&container, "cpu").trim_start_matches('/'));
    assert_eq!(read(&own, "cpu.rt_runtime_us"), "10000");
    assert_eq!(read(&own, "cpu.rt_period_us"), "900000");
    container.delete_force().succeeded();
    assert!(!directory.join(format!("{name}-top")).exists());
}

#[test]
fn burst_of_processor_time_comes_with_a_quota_that_allows_it() {
    let Some(directory) = hierarchy("cpu") else { return };
    let cpu = json!({"quota": 50000, "period": 200000, "burst": 40000});
    let container = sleeping().set("/linux/resources/cpu", cpu).container();
    container.run_detached().succeeded();
    let own = directory.join(path_of(&container, "cpu").trim_start_matches('/'));
    if !own.join("cpu.cfs_burst_us").exists() {
        return skip("the kernel has no bursts");
    }
    assert_eq!(read(&own, "cpu.cfs_burst_us"), "40000");
    assert_eq!(read(&own, "cpu.cfs_quota_us"), "50000");
}

#[test]
fn idle_cgroup_has_no_shares_of_its_own() {
    let Some(directory) = hierarchy("cpu") else { return };
    if !directory.join("cpu.idle").exists() {
        return skip("the kernel has no idle cgroups");
    }
    let container = sleeping().set("/linux/resources/cpu", json!({"shares": 512, "idle": 1})).container();
    container.run_detached().succeeded();
    let own = directory.join(path_of(&container, "cpu").trim_start_matches('/'));
    assert_eq!(read(&own, "cpu.idle"), "1");
}

#[test]
fn pids_limit_of_zero_is_a_limit() {
    if hierarchy("pids").is_none() {
        return;
    }
    let bundle = Bundle::new().set("/linux/resources/pids", json!({"limit": 0}));
    let outcome = bundle.shell("sleep 0 & wait").run();
    assert!(outcome.stderr.contains("can't fork"), "{}", outcome.describe());
}

/// Somebody may have made it a moment ago, or died before it was filled.
#[test]
fn cpuset_above_that_is_still_empty_is_filled() {
    let Some(directory) = hierarchy("cpuset") else { return };
    let bundle = sleeping();
    let name = format!("{}-empty", bundle.scratch().file_name().expect("a name").to_string_lossy());
    fs::create_dir(directory.join(&name)).expect("mkdir");
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/{name}/inner"))).container();
    let outcome = container.run_detached();
    let ran = outcome.code;
    container.delete_force().succeeded();
    let _ = fs::remove_dir(directory.join(&name));
    assert_eq!(ran, 0, "{}", outcome.describe());
}

/// Whoever made the container's cgroup beforehand has chosen its processors.
#[test]
fn cpuset_that_was_there_before_keeps_its_processors() {
    let Some(directory) = hierarchy("cpuset") else { return };
    let bundle = sleeping();
    let name = format!("{}-set", bundle.scratch().file_name().expect("a name").to_string_lossy());
    let kept = directory.join(&name);
    let all = read(&directory, "cpuset.cpus");
    let some = all.split([',', '-']).next().expect("a processor").to_owned();
    if all == some {
        return skip("there is one processor");
    }
    fs::create_dir(&kept).expect("mkdir");
    fs::write(kept.join("cpuset.cpus"), &some).expect("write");
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/{name}"))).container();
    let outcome = container.run_detached();
    let found = [read(&kept, "cpuset.cpus"), read(&kept, "cpuset.mems")];
    container.delete_force().succeeded();
    let _ = fs::remove_dir(&kept);
    outcome.succeeded();
    assert_eq!(found, [some, read(&directory, "cpuset.mems")]);
}

/// A container's start has to fill a v1 cpuset; what was empty is empty again.
#[test]
fn cpuset_that_was_there_before_without_processors_is_given_back_without() {
    let Some(directory) = hierarchy("cpuset") else { return };
    if !pinnace_tests::tests_pinnace() {
        return;
    }
    let bundle = sleeping();
    let name = format!("{}-bare", bundle.scratch().file_name().expect("a name").to_string_lossy());
    let kept = directory.join(&name);
    fs::create_dir(&kept).expect("mkdir");
    let lists = || [read(&kept, "cpuset.cpus"), read(&kept, "cpuset.mems")];
    let before = lists();
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/{name}"))).container();
    let outcome = container.run_detached();
    container.delete_force().succeeded();
    let after = lists();
    let _ = fs::remove_dir(&kept);
    outcome.succeeded();
    assert_eq!(after, before);
}

/// The hierarchy that freezes, and the name of its file: v2 alone, or v1's own.
fn freezer() -> Option<(PathBuf, &'static str, &'static str)> {
    let hierarchies = cgroup_hierarchies();
    let found = match hierarchies.get("freezer") {
        Some(mount) => Some((mount.clone(), "freezer.state", "FROZEN")),
        None => hierarchies.get("").map(|mount| (mount.clone(), "cgroup.freeze", "1")),
    };
    if found.is_none() {
        skip("nobody can freeze here");
    }
    found
}

/// The container's directory in the hierarchy that freezes.
fn frozen_directory(container: &Container, mount: &Path) -> PathBuf {
    let name = if cgroup_hierarchies().contains_key("freezer") { "freezer" } else { "" };
    mount.join(path_of(container, name).trim_start_matches('/'))
}

/// The child would be frozen from its birth, and its start would never end.
#[test]
fn cgroup_below_a_frozen_one_is_refused() {
    let Some((mount, file, value)) = freezer() else { return };
    // runc waits.
    if !pinnace_tests::tests_pinnace() {
        return;
    }
    let bundle = sleeping();
    let name = format!("{}-top", bundle.scratch().file_name().expect("a name").to_string_lossy());
    let top = mount.join(&name);
    fs::create_dir(&top).expect("mkdir");
    fs::write(top.join(file), value).expect("freeze");
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/{name}/inner"))).container();
    let outcome = container.run_detached();
    let left = top.join("inner").exists();
    fs::write(top.join(file), if value == "1" { "0" } else { "THAWED" }).expect("thaw");
    fs::remove_dir(&top).expect("rmdir");
    outcome.failed_with(&["container's cgroup unexpectedly frozen", "/inner"]);
    assert!(!left);
    assert!(container.snapshot().cgroups.is_empty(), "{}", container.snapshot());
}

/// Nobody but who froze that one can help.
#[test]
fn cgroup_above_that_keeps_the_container_frozen_is_named() {
    let Some((mount, file, value)) = freezer() else { return };
    if !pinnace_tests::tests_pinnace() {
        return;
    }
    let bundle = sleeping();
    let name = format!("{}-top", bundle.scratch().file_name().expect("a name").to_string_lossy());
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/{name}/inner"))).container();
    container.run_detached().succeeded();
    let top = mount.join(&name);
    fs::write(top.join(file), value).expect("freeze");
    wait_until("it is frozen", || container.status() == "paused");
    let outcome = container.call(&["resume", &container.id]);
    fs::write(top.join(file), if value == "1" { "0" } else { "THAWED" }).expect("thaw");
    container.delete_force().succeeded();
    let _ = fs::remove_dir(&top);
    outcome.failed_with(&["unable to thaw", &format!("stays frozen as long as {} is", top.display())]);
}

/// v1's frozen processes do not die.
#[test]
fn container_that_froze_some_of_its_own_is_killed_and_deleted() {
    let Some((mount, file, value)) = freezer() else { return };
    // With runc somebody has to thaw it by hand.
    if !pinnace_tests::tests_pinnace() {
        return;
    }
    for by_delete in [true, false] {
        let container = Bundle::new().shell("sleep 1000 & sleep 1000 & wait").container();
        let before = container.snapshot();
        container.run_detached().succeeded();
        let own = frozen_directory(&container, &mount);
        wait_until("three are there", || read(&own, "cgroup.procs").lines().count() == 3);
        let inner = own.join("inner/most");
        fs::create_dir_all(&inner).expect("mkdir");
        let pid = read(&own, "cgroup.procs").lines().last().expect("a pid").to_owned();
        fs::write(inner.join("cgroup.procs"), &pid).expect("move");
        fs::write(inner.join(file), value).expect("freeze");
        if by_delete {
            container.delete_force().succeeded();
        } else {
            container.kill("KILL").succeeded();
            container.wait_stopped();
            container.delete().succeeded();
        }
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

/// A container that may make cgroups may make more levels than a path can name.
#[test]
fn cgroups_deeper_than_any_path_go_with_the_container() {
    let Some((mount, ..)) = freezer() else { return };
    if !pinnace_tests::tests_pinnace() {
        return;
    }
    let container = sleeping().container();
    container.run_detached().succeeded();
    let own = frozen_directory(&container, &mount);
    let name = "x".repeat(200);
    let open = |directory: &OwnedFd, name: &str| openat(directory, name, OFlags::DIRECTORY, Mode::empty());
    let mut directory = open(&fs::File::open(&own).expect("open").into(), ".").expect("open");
    for _ in 0..30 {
        mkdirat(&directory, &name, Mode::RWXU).expect("mkdir");
        directory = open(&directory, &name).expect("open");
    }
    let procs = openat(&directory, "cgroup.procs", OFlags::WRONLY, Mode::empty()).expect("open");
    let pid = container.pid().to_string();
    rustix::io::write(&procs, pid.as_bytes()).expect("move");
    assert_eq!(container.call(&["ps", "--format", "json", &container.id]).succeeded(), format!("[{pid}]"));
    container.delete_force().succeeded();
    assert!(!own.exists());
}
