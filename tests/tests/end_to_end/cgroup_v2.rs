//! The same as `cgroup.rs` where cgroup v2 is alone: `ci/test-vm` boots such a machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pinnace_tests::{
    Bundle, Container, Value, cgroup_hierarchies, is_pinnace, json, run_within_limit, skip, tests_pinnace,
    wait_until,
};

/// Where the hierarchy is mounted, or a reason to skip.
fn unified() -> Option<PathBuf> {
    let hierarchies = cgroup_hierarchies();
    let alone = hierarchies.get("").filter(|_| hierarchies.len() == 1).cloned();
    if alone.is_none() {
        skip("cgroup v2 is not alone on this machine");
    }
    alone
}

fn sleeping() -> Bundle {
    Bundle::new().args(&["/bin/sleep", "1000"])
}

fn path_of(container: &Container) -> String {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read cgroup");
    text.trim().strip_prefix("0::").expect("v2 alone").to_owned()
}

fn directory(mount: &Path, container: &Container) -> PathBuf {
    mount.join(path_of(container).trim_start_matches('/'))
}

fn read(directory: &Path, file: &str) -> String {
    let path = directory.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}

/// Runs a container with these resources; each file has this value then.
#[track_caller]
fn check(mount: &Path, resources: Value, files: &[(&str, &str)]) {
    let container = sleeping().set("/linux/resources", resources).container();
    container.run_detached().succeeded();
    let own = directory(mount, &container);
    for (file, value) in files {
        assert_eq!(read(&own, file), *value, "{file}");
    }
}

#[test]
fn limits_are_in_the_files_of_v2() {
    let Some(mount) = unified() else { return };
    let memory = json!({"limit": 67108864, "reservation": 33554432, "swap": 67108864});
    check(&mount, json!({"memory": memory}), &[("memory.max", "67108864"), ("memory.low", "33554432")]);
    let cpu =
        json!({"shares": 2048, "quota": 50000, "period": 200000, "burst": 10000, "cpus": "0", "mems": "0"});
    let files = [
        ("cpu.weight", "174"),
        ("cpu.max", "50000 200000"),
        ("cpu.max.burst", "10000"),
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
    ];
    check(&mount, json!({"cpu": cpu}), &files);
    check(&mount, json!({"cpu": {"idle": 1}}), &[("cpu.idle", "1")]);
    check(&mount, json!({"pids": {"limit": 7}}), &[("pids.max", "7")]);
    check(&mount, json!({"pids": {"limit": -1}}), &[("pids.max", "max")]);
    let unified = json!({"memory.high": "50331648", "cpu.weight": "55", "pids.max": "9"});
    let files = [("memory.high", "50331648"), ("cpu.weight", "55"), ("pids.max", "9")];
    check(&mount, json!({"unified": unified}), &files);
}

#[test]
fn huge_pages_are_limited_on_v2() {
    let Some(mount) = unified() else { return };
    if !read(&mount, "cgroup.controllers").contains("hugetlb") {
        return skip("the kernel has no hugetlb controller");
    }
    let limits = json!([{"pageSize": "2MB", "limit": 4194304}]);
    check(
        &mount,
        json!({"hugepageLimits": limits}),
        &[("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")],
    );
}

#[test]
fn what_v2_has_no_file_for_is_refused_by_name() {
    if unified().is_none() || !tests_pinnace() {
        return;
    }
    let priorities = json!([{"name": "lo", "priority": 3}]);
    for (field, value) in
        [("classID", json!({"classID": 1})), ("priorities", json!({"priorities": priorities}))]
    {
        let container = sleeping().set("/linux/resources/network", value).container();
        container.run_detached().failed_with(&[&format!("$.linux.resources.network.{field}")]);
    }
}

/// Whoever is born in the container's cgroup counts there.
#[test]
fn exec_that_finds_no_place_for_a_process_names_the_limit() {
    if unified().is_none() || !tests_pinnace() {
        return;
    }
    let container = sleeping().set("/linux/resources/pids", json!({"limit": 1})).container();
    container.run_detached().succeeded();
    let outcome = container.call(&["exec", &container.id, "/bin/true"]);
    assert!(outcome.code == 255 && outcome.stderr.contains("pids.max"), "{}", outcome.describe());
}

#[test]
fn limits_are_in_force_on_v2() {
    if unified().is_none() {
        return;
    }
    let memory = json!({"limit": 16777216, "swap": 16777216});
    let program = "head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null; echo $?";
    let outcome = Bundle::new().set("/linux/resources/memory", memory).shell(program).run();
    assert!(outcome.stdout.trim() == "137" || outcome.code == 137, "{}", outcome.describe());

    let forks = "for number in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait";
    let outcome = Bundle::new().set("/linux/resources/pids", json!({"limit": 4})).shell(forks).run();
    assert!(outcome.stderr.contains("can't fork"), "{}", outcome.describe());

    let program = "grep throttled_usec /sys/fs/cgroup/cpu.stat; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; \
                   grep -q '^nr_throttled [1-9]' /sys/fs/cgroup/cpu.stat && echo throttled";
    let outcome = Bundle::new()
        .set("/linux/resources/cpu", json!({"quota": 10000, "period": 100000}))
        .set("/linux/namespaces/-", json!({"type": "cgroup"}))
        .shell(program)
        .run();
    assert!(outcome.succeeded().ends_with("throttled"), "{}", outcome.describe());
}

#[test]
fn devices_that_are_not_allowed_cannot_be_opened_on_v2() {
    if unified().is_none() {
        return;
    }
    let program = "mknod /tmp/kmsg c 1 11; mknod /tmp/null c 1 3; (: </tmp/kmsg) 2>/dev/null || echo refused; \
                   echo x >/tmp/null && echo null";
    let bundle = |rules: Value| {
        let names = ["CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYSLOG"];
        Bundle::new().writable().all_capabilities(&names).set("/linux/resources", rules).shell(program)
    };
    let deny = json!({"devices": [{"allow": false, "access": "rwm"}]});
    assert_eq!(bundle(deny).run().succeeded(), "refused\nnull");
    assert_eq!(bundle(json!({})).run().succeeded(), "refused\nnull");
    let allow = json!({"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw"}]});
    assert_eq!(bundle(allow).run().succeeded(), "null");
}

/// As on v1, whatever stands between them.
#[test]
fn rules_for_the_same_device_add_up_on_v2() {
    if unified().is_none() {
        return;
    }
    let rule = |minor: u32, access: &str| json!({"allow": true, "type": "c", "major": 1, "minor": minor, "access": access});
    let deny = json!({"allow": false, "access": "rwm"});
    let opened = |rules: Value| {
        let names = ["CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYSLOG"];
        let program = "mknod /tmp/kmsg c 1 11; (: <>/tmp/kmsg) && echo opened";
        let bundle = Bundle::new().writable().all_capabilities(&names).shell(program);
        bundle.set("/linux/resources/devices", rules).run().stdout.trim() == "opened"
    };
    assert!(opened(json!([deny, rule(11, "r"), rule(1, "r"), rule(11, "w")])));
    let taken = json!({"allow": false, "type": "c", "major": 1, "minor": 11, "access": "r"});
    assert!(!opened(json!([deny, rule(11, "r"), taken, rule(11, "w")])));
}

/// The kernel follows all ways through the program before it takes it.
#[test]
fn two_thousand_rules_are_in_force_on_v2() {
    if unified().is_none() {
        return;
    }
    let rule = |minor: u32| {
        let (kind, access) = [("c", "rw"), ("b", "r"), ("c", "rwm")][minor as usize % 3];
        json!({"allow": !minor.is_multiple_of(5), "type": kind, "major": 300, "minor": minor, "access": access})
    };
    let kmsg = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
    let rules: Vec<Value> =
        [json!({"allow": false, "access": "rwm"}), kmsg].into_iter().chain((0..2047).map(rule)).collect();
    let outcome = Bundle::new()
        .writable()
        .all_capabilities(&["CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYSLOG"])
        .set("/linux/resources/devices", json!(rules))
        .shell("mknod /tmp/kmsg c 1 11; (: </tmp/kmsg) && echo read; (: <>/tmp/kmsg) 2>/dev/null || echo no more")
        .run();
    assert_eq!(outcome.succeeded(), "read\nno more");
}

#[test]
fn cgroups_that_the_container_made_go_with_it() {
    let Some(mount) = unified() else { return };
    let container = sleeping().container();
    container.run_detached().succeeded();
    let own = directory(&mount, &container);
    fs::create_dir_all(own.join("below/deeper")).expect("mkdir");
    container.delete_force().succeeded();
    assert!(!own.exists());
}

#[test]
fn cgroup_that_is_in_use_or_frozen_is_refused_on_v2() {
    let Some(mount) = unified() else { return };
    let first = sleeping().container();
    first.run_detached().succeeded();
    let second = sleeping().set("/linux/cgroupsPath", json!(path_of(&first))).container();
    assert_eq!(second.run_detached().code, 1);
    assert_eq!(first.status(), "running");

    let bundle = sleeping();
    let name = format!("{}-frozen", bundle.scratch().file_name().expect("a name").to_string_lossy());
    let frozen = mount.join(&name);
    fs::create_dir(&frozen).expect("mkdir");
    fs::write(frozen.join("cgroup.freeze"), "1").expect("freeze");
    let container = bundle.set("/linux/cgroupsPath", json!(format!("/{name}"))).container();
    let outcome = container.run_detached();
    fs::write(frozen.join("cgroup.freeze"), "0").expect("thaw");
    let _ = fs::remove_dir(&frozen);
    assert_eq!(outcome.code, 1);
    if is_pinnace() {
        outcome.failed_with(&["frozen"]);
    }
}

#[test]
fn all_processes_are_killed_without_a_pid_namespace() {
    let Some(mount) = unified() else { return };
    let container =
        Bundle::new().without_namespace("pid").shell("sleep 1000 & sleep 1000 & wait").container();
    container.run_detached().succeeded();
    let own = directory(&mount, &container);
    wait_until("three are there", || read(&own, "cgroup.procs").lines().count() == 3);
    container.call(&["kill", "--all", &container.id, "KILL"]).succeeded();
    container.wait_stopped();
    wait_until("all are gone", || read(&own, "cgroup.procs").is_empty());
    container.delete().succeeded();
    assert!(!own.exists());
}

/// Somebody else's process in the container's cgroup is not ours to kill where the container had a pid namespace.
#[test]
fn delete_says_who_is_still_inside() {
    let Some(mount) = unified() else { return };
    if !tests_pinnace() {
        return;
    }
    let container = sleeping().container();
    container.run_detached().succeeded();
    let own = directory(&mount, &container);
    let mut stranger = Command::new("sleep").arg("1000").spawn().expect("sleep");
    fs::write(own.join("cgroup.procs"), stranger.id().to_string()).expect("move");
    let outcome = container.delete_force();
    let pid = stranger.id().to_string();
    let _ = stranger.kill();
    let _ = stranger.wait();
    outcome.failed_with(&["unable to remove cgroup", "busy; processes in it", &pid]);
    container.delete_force().succeeded();
    assert!(!own.exists());
}

/// What manages cgroups inside has to own them, where it sees nothing else and may write.
#[test]
fn cgroup_is_handed_over_to_the_containers_root() {
    let Some(mount) = unified() else { return };
    let mappings = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    let bundle = |options: &[&str]| {
        sleeping()
            .without_mount("/sys/fs/cgroup")
            .mount("/sys/fs/cgroup", "cgroup2", "cgroup", options)
            .set("/linux/namespaces/-", json!({"type": "user"}))
            .without_namespace("cgroup")
            .set("/linux/namespaces/-", json!({"type": "cgroup"}))
            .set("/linux/uidMappings", mappings.clone())
            .set("/linux/gidMappings", mappings.clone())
    };
    let container = bundle(&["nosuid", "noexec", "nodev", "rw"]).container();
    container.run_detached().succeeded();
    let own = directory(&mount, &container);
    let owner = |path: &Path| fs::metadata(path).expect("stat").uid();
    assert_eq!(owner(&own), 100000);
    for file in ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        assert_eq!(owner(&own.join(file)), 100000, "{file}");
    }
    assert_eq!(owner(&own.join("memory.max")), 0);
    container.delete_force().succeeded();

    let container = bundle(&["nosuid", "noexec", "nodev", "ro"]).container();
    container.run_detached().succeeded();
    assert_eq!(owner(&directory(&mount, &container)), 0);
}

/// A mount from the initial cgroup namespace sets the options of the host's mount, too; `nsdelegate` keeps processes in what a cgroup namespace shows.
#[test]
fn hosts_mount_of_the_hierarchy_keeps_its_options() {
    let Some(mount) = unified() else { return };
    let options = || {
        let mounts = fs::read_to_string("/proc/mounts").expect("mounts");
        let place = format!(" {} cgroup2 ", mount.display());
        mounts.lines().find_map(|line| line.split_once(&place)).expect("the hierarchy").1.to_owned()
    };
    let before = options();
    if !before.contains("nsdelegate") {
        return skip("the hierarchy is mounted without nsdelegate");
    }
    let bundle = |options| {
        Bundle::new()
            .without_namespace("cgroup")
            .without_mount("/sys/fs/cgroup")
            .mount("/sys/fs/cgroup", "cgroup", "cgroup", options)
            .shell("grep ' /sys/fs/cgroup ' /proc/self/mountinfo; ls /sys/fs/cgroup/cgroup.procs")
    };
    let fields = |output: &str| {
        let (line, file) = output.split_once('\n').expect("two lines");
        assert_eq!(file, "/sys/fs/cgroup/cgroup.procs");
        line.split(' ').skip(4).take(4).collect::<Vec<_>>().join(" ")
    };
    let shown = bundle(&["nosuid", "noexec", "nodev", "relatime", "ro"]).run();
    assert_eq!(fields(shown.succeeded()), "/sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2");
    let shown = bundle(&[]).run();
    assert_eq!(fields(shown.succeeded()), "/sys/fs/cgroup rw,relatime - cgroup2");
    assert_eq!(options(), before);
}

/// Whatever its propagation is to be: a mount below it stays in the container.
#[test]
fn hosts_mount_of_the_hierarchy_gets_nothing_of_the_containers() {
    let Some(mount) = unified() else { return };
    for (root, option) in [("rshared", "rshared"), ("rslave", "rshared"), ("rshared", "rslave")] {
        let container = Bundle::new()
            .without_namespace("cgroup")
            .without_mount("/sys/fs/cgroup")
            .mount("/sys/fs/cgroup", "cgroup", "cgroup", &[option])
            .set("/linux/rootfsPropagation", json!(root))
            .all_capabilities(&["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"])
            .shell("mkdir /sys/fs/cgroup/$0 && mount -t tmpfs INSIDE /sys/fs/cgroup/$0 && grep ' /sys/fs/cgroup ' /proc/self/mountinfo")
            .edit(|config| {
                let name = format!("{}-inner", std::process::id());
                config["process"]["args"].as_array_mut().expect("a list").push(json!(name));
            })
            .container();
        let outcome = container.run();
        let inner = mount.join(format!("{}-inner", std::process::id()));
        let is_mounted = fs::read_to_string("/proc/mounts").expect("mounts").contains("INSIDE");
        let _ = fs::remove_dir(inner);
        assert!(!is_mounted, "{root} {option}");
        assert!(!outcome.succeeded().contains("master:"), "{root} {option}: {}", outcome.describe());
    }
}

/// Who is in a cgroup namespace, but sees the host's mount, must not hand that on.
#[test]
fn cgroup_namespace_of_the_caller_bounds_what_is_seen() {
    let Some(mount) = unified() else { return };
    if !is_pinnace() {
        return skip("another runtime makes cgroups, which nsdelegate forbids there");
    }
    let help = Command::new("unshare").arg("--help").output();
    if !help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--cgroup")) {
        return skip("unshare makes no cgroup namespace");
    }
    let container = Bundle::new()
        .without_namespace("cgroup")
        .shell("grep ' /sys/fs/cgroup ' /proc/self/mountinfo | cut -d' ' -f4")
        .container()
        .with_global_options(&["--cgroup-manager", "disabled"]);
    let place = mount.join(format!("{}-outer", container.id));
    fs::create_dir(&place).expect("mkdir");
    let run = container.create_command("run", &[]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo $$ >\"$0\"/cgroup.procs && exec unshare --cgroup -- \"$@\""]);
    command.arg(&place).arg(run.get_program()).args(run.get_args());
    if let Some(directory) = run.get_current_dir() {
        command.current_dir(directory);
    }
    let outcome = run_within_limit(command);
    let removed = fs::remove_dir(&place);
    assert_eq!(outcome.succeeded().trim(), "/");
    removed.expect("nothing is left in the caller's cgroup");
}

/// A user namespace that does not own the cgroup namespace cannot mount the hierarchy: the container's part of it is bound.
#[test]
fn view_in_a_user_namespace_is_the_containers_own_cgroup() {
    if unified().is_none() {
        return;
    }
    let mappings = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    let outcome = sleeping()
        .set("/linux/namespaces/-", json!({"type": "user"}))
        .set("/linux/uidMappings", mappings.clone())
        .set("/linux/gidMappings", mappings)
        .set("/linux/resources/pids", json!({"limit": 33}))
        .shell("cat /sys/fs/cgroup/pids.max; mkdir /sys/fs/cgroup/below 2>/dev/null || echo read-only")
        .run();
    assert_eq!(outcome.succeeded(), "33\nread-only");
}

/// A cgroup with processes cannot give controllers for memory to others below; but it can have those others.
#[test]
fn a_cgroup_with_processes_has_containers_below_as_far_as_it_can() {
    let Some(mount) = unified() else { return };
    if !tests_pinnace() {
        return;
    }
    let bundle = sleeping();
    let name = format!("{}-full", bundle.scratch().file_name().expect("a name").to_string_lossy());
    let full = mount.join(&name);
    fs::create_dir(&full).expect("mkdir");
    let mut stranger = Command::new("sleep").arg("1000").spawn().expect("sleep");
    fs::write(full.join("cgroup.procs"), stranger.id().to_string()).expect("move");
    let at = |bundle: Bundle, path: &str| {
        bundle.set("/linux/cgroupsPath", json!(format!("/{name}/{path}"))).container()
    };
    let limited = at(sleeping().set("/linux/resources/memory", json!({"limit": 67108864})), "limited");
    let plain = at(bundle, "plain");
    let outcomes = [limited.run_detached(), plain.run_detached()];
    let left = full.join("limited").exists();
    let kind = [read(&full, "cgroup.type"), read(&full, "cgroup.subtree_control")];
    plain.delete_force().succeeded();

    // Below one of threads there are only others of threads.
    let threads = full.join("threads");
    fs::create_dir(&threads).expect("mkdir");
    fs::write(threads.join("cgroup.type"), "threaded").expect("threaded");
    let below = at(sleeping(), "threads/inner");
    let outcome = below.run_detached();
    below.delete_force().succeeded();
    fs::remove_dir(&threads).expect("rmdir");
    let _ = stranger.kill();
    let _ = stranger.wait();
    wait_until("it is empty", || fs::remove_dir(&full).is_ok());
    let [limited, plain] = outcomes;
    limited.failed_with(&["$.linux.resources.memory: ", "/limited cannot have the cgroup controller memory"]);
    plain.succeeded();
    outcome.succeeded();
    assert!(!left);
    assert_eq!(kind, ["domain", ""]);
}
