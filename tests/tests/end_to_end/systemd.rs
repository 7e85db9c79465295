//! Containers whose cgroups systemd makes. They need a machine with systemd as process 1: `ci/test-vm` boots one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use pinnace_tests::{
    Bundle, Container, Signal, Value, cgroup_hierarchies, copy_program, find_program, is_pinnace, json,
    run_within_limit, skip, spawn, tests_pinnace, wait_until,
};

/// Whether there is a systemd to ask.
fn has_systemd() -> bool {
    let has = Path::new("/run/systemd/system").is_dir() && find_program("systemctl").is_some();
    if !has {
        skip("systemd does not run here");
    }
    has
}

fn is_v2() -> bool {
    !cgroup_hierarchies().contains_key("memory")
}

fn sleeping() -> Bundle {
    Bundle::new().args(&["/bin/sleep", "1000"])
}

fn managed(bundle: Bundle) -> Container {
    bundle.container().with_global_options(&["--systemd-cgroup"])
}

fn systemctl(arguments: &[&str]) -> String {
    let mut command = Command::new("systemctl");
    command.args(arguments);
    run_within_limit(command).succeeded().to_owned()
}

fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", unit, "--value", "-p", name])
}

fn unit_of(container: &Container) -> String {
    format!("{}-{}.scope", if is_pinnace() { "pinnace" } else { "runc" }, container.id)
}

/// The container's directory in the hierarchy with this controller, as the kernel tells it.
fn directory(container: &Container, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read cgroup");
    let (name, mounts) = (if is_v2() { "" } else { controller }, cgroup_hierarchies());
    let line = text.lines().find(|line| {
        let list = line.split(':').nth(1).unwrap_or_default();
        if name.is_empty() { list.is_empty() } else { list.split(',').any(|known| known == name) }
    });
    let mut fields = line.expect("the hierarchy").splitn(3, ':').skip(1);
    let mount = &mounts[fields.next().expect("controllers")];
    mount.join(fields.next().expect("a path").trim_start_matches('/'))
}

fn read(directory: &Path, file: &str) -> String {
    let path = directory.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}

#[test]
fn scope_is_in_the_slice_that_the_path_names() {
    if !has_systemd() {
        return;
    }
    let bundle = sleeping();
    let name = bundle.scratch().file_name().expect("a name").to_string_lossy().into_owned();
    let container = managed(bundle.set("/linux/cgroupsPath", json!(format!("pt-inner.slice:pre:{name}"))));
    container.run_detached().succeeded();
    let own = directory(&container, "memory");
    let expected = format!("/pt.slice/pt-inner.slice/pre-{name}.scope");
    assert!(own.to_string_lossy().ends_with(&expected), "{}", own.display());
    let unit = format!("pre-{name}.scope");
    assert_eq!(property(&unit, "Slice"), "pt-inner.slice");
    assert_eq!(property(&unit, "Delegate"), "yes");
    assert_eq!(
        container.call(&["ps", "--format", "json", &container.id]).succeeded(),
        format!("[{}]", container.pid())
    );
    container.delete_force().succeeded();
    assert!(!own.exists());
    assert_eq!(property(&unit, "LoadState"), "not-found");
}

/// A scope is there when systemd has made it, which a container in the host's network and cgroup namespaces does not wait for otherwise.
#[test]
fn masks_on_the_own_scope_wait_for_it() {
    if !has_systemd() || !is_v2() {
        return;
    }
    let bundle = Bundle::new();
    let name = bundle.scratch().file_name().expect("a name").to_string_lossy().into_owned();
    let scope = format!("/sys/fs/cgroup/system.slice/own-{name}.scope");
    let bundle = bundle
        .set("/linux/cgroupsPath", json!(format!("system.slice:own:{name}")))
        .without_namespace("cgroup")
        .without_namespace("network")
        .without_mount("/sys/fs/cgroup")
        .mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw"]);
    let masked = bundle.set("/linux/maskedPaths/-", json!(scope)).shell(&format!("ls {scope}"));
    let container = managed(masked);
    for _ in 0..3 {
        assert_eq!(container.run().succeeded(), "");
    }
}

#[test]
fn without_a_path_the_scope_is_named_after_the_id() {
    if !has_systemd() {
        return;
    }
    let container = managed(sleeping());
    container.run_detached().succeeded();
    let own = directory(&container, "memory");
    let expected = format!("/system.slice/{}", unit_of(&container));
    assert!(own.to_string_lossy().ends_with(&expected), "{}", own.display());
}

#[test]
fn path_of_another_form_is_refused() {
    if !has_systemd() {
        return;
    }
    for path in ["/a/b", "a:b", "a:b:c:d", "no-slice:a:b", "a--b.slice:a:b"] {
        let container = managed(sleeping().set("/linux/cgroupsPath", json!(path)));
        let before = container.snapshot();
        assert_eq!(container.run_detached().code, 1, "{path}");
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

fn limited() -> Bundle {
    sleeping().set(
        "/linux/resources",
        json!({
            "devices": [{"allow": false, "access": "rwm"}],
            "memory": {"limit": 67108864, "reservation": 33554432},
            "cpu": {"shares": 512, "quota": 20000, "period": 100000, "cpus": "0"},
            "pids": {"limit": 30},
        }),
    )
}

/// Files and values of `limited`, by controller.
fn expected() -> Vec<(&'static str, &'static str, &'static str)> {
    if is_v2() {
        vec![
            ("memory", "memory.max", "67108864"),
            ("memory", "memory.low", "33554432"),
            ("cpu", "cpu.weight", "59"),
            ("cpu", "cpu.max", "20000 100000"),
            ("cpuset", "cpuset.cpus", "0"),
            ("pids", "pids.max", "30"),
        ]
    } else {
        vec![
            ("memory", "memory.limit_in_bytes", "67108864"),
            ("cpu", "cpu.shares", "512"),
            ("cpu", "cpu.cfs_quota_us", "20000"),
            ("cpu", "cpu.cfs_period_us", "100000"),
            ("cpuset", "cpuset.cpus", "0"),
            ("pids", "pids.max", "30"),
        ]
    }
}

#[test]
fn limits_are_in_the_kernels_files_and_stay_there_when_systemd_reloads() {
    if !has_systemd() {
        return;
    }
    let container = managed(limited());
    container.run_detached().succeeded();
    let check = |when: &str| {
        for (controller, file, value) in expected() {
            assert_eq!(read(&directory(&container, controller), file), value, "{file} {when}");
        }
    };
    check("after the start");
    systemctl(&["daemon-reload"]);
    check("after a reload");

    container.call(&["update", "--pids-limit", "40", "--cpu-quota", "50000", &container.id]).succeeded();
    let check = |when: &str| {
        assert_eq!(read(&directory(&container, "pids"), "pids.max"), "40", "{when}");
        let quota = if is_v2() { ("cpu.max", "50000 100000") } else { ("cpu.cfs_quota_us", "50000") };
        assert_eq!(read(&directory(&container, "cpu"), quota.0), quota.1, "{when}");
    };
    check("after an update");
    assert_eq!(property(&unit_of(&container), "TasksMax"), "40");
    systemctl(&["daemon-reload"]);
    check("after an update and a reload");
}

/// The kubelet names huge pages with each update, of containers that have started without a word of them.
#[test]
fn a_controller_that_the_start_did_not_need_is_turned_on_by_an_update() {
    if !has_systemd() || !is_v2() || !is_pinnace() {
        return;
    }
    let has = |path: &Path| read(path, "cgroup.controllers").split(' ').any(|name| name == "hugetlb");
    if !has(&cgroup_hierarchies()[""]) || !Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists() {
        return skip("nobody limits huge pages here");
    }
    let bundle = sleeping();
    let name = bundle.scratch().file_name().expect("a name").to_string_lossy().replace('-', "_");
    // In a slice of its own nobody else has turned it on.
    let container = managed(bundle.set("/linux/cgroupsPath", json!(format!("{name}.slice:pre:{name}"))));
    container.run_detached().succeeded();
    let own = directory(&container, "");
    assert!(!has(&own));
    let path = container.bundle.scratch().join("all.json");
    let limits = json!({"pids": {"limit": 33}, "hugepageLimits": [{"pageSize": "2MB", "limit": 0}]});
    fs::write(&path, limits.to_string()).expect("write");
    let outcome = container.call(&["update", "-r", path.to_str().expect("UTF-8"), &container.id]);
    outcome.succeeded();
    assert_eq!(outcome.stderr, "");
    assert_eq!([read(&own, "pids.max"), read(&own, "hugetlb.2MB.max")], ["33", "0"]);
}

/// Limits that the runtime did not set itself: systemd's default for tasks, and those of annotations.
#[test]
fn an_update_that_fails_takes_no_limit_away() {
    if !has_systemd() || !is_v2() || !is_pinnace() {
        return;
    }
    let container = managed(sleeping().set(
        "/annotations",
        json!({
            "org.systemd.property.MemoryMax": "uint64 33554432",
            "org.systemd.property.CPUQuotaPerSecUSec": "uint64 300000",
            "org.systemd.property.TasksMax": "uint64 77",
        }),
    ));
    container.run_detached().succeeded();
    let (own, unit) = (directory(&container, ""), unit_of(&container));
    let state = || {
        let files = ["memory.max", "cpu.max", "pids.max"].map(|file| read(&own, file));
        let properties = ["MemoryMax", "CPUQuotaPerSecUSec", "TasksMax"]
            .map(|name| property(&unit, name).trim().to_owned());
        (files, properties)
    };
    let before = state();
    assert_eq!(before.0, ["33554432", "30000 100000", "77"]);
    let limits = ["--memory", "64m", "--cpu-quota", "50000", "--pids-limit", "5", "--cpuset-cpus", "4000"];
    let outcome = container.call(&[&["update"], &limits[..], &[&container.id]].concat());
    assert_ne!(outcome.code, 0, "{}", outcome.describe());
    assert_eq!(state(), before);
    systemctl(&["daemon-reload"]);
    assert_eq!(state(), before);
}

#[test]
fn limits_are_in_force() {
    if !has_systemd() {
        return;
    }
    let forks = "for number in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait";
    let bundle = Bundle::new().set("/linux/resources/pids", json!({"limit": 4})).shell(forks);
    let outcome = managed(bundle).run();
    assert!(outcome.stderr.contains("can't fork"), "{}", outcome.describe());

    let memory = json!({"limit": 16777216, "swap": 16777216});
    let program = "head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null; echo $?";
    let outcome = managed(Bundle::new().set("/linux/resources/memory", memory).shell(program)).run();
    assert!(outcome.stdout.trim() == "137" || outcome.code == 137, "{}", outcome.describe());

    let cpus = json!({"cpus": "0"});
    let bundle = Bundle::new().set("/linux/resources/cpu", cpus);
    let outcome = managed(bundle.args(&["/bin/grep", "Cpus_allowed_list", "/proc/self/status"])).run();
    assert_eq!(outcome.succeeded(), "Cpus_allowed_list:\t0");
}

#[test]
fn devices_stay_forbidden_and_allowed_when_systemd_reloads() {
    if !has_systemd() {
        return;
    }
    let program = "while :; do rm -f /tmp/kmsg /tmp/null; mknod /tmp/kmsg c 1 11; mknod /tmp/null c 1 3; \
                   (: </tmp/kmsg) 2>/dev/null && echo open; echo x >/tmp/null && echo null; \
                   echo round; sleep 0.2; done";
    let bundle = Bundle::new()
        .writable()
        .all_capabilities(&["CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYSLOG"])
        .set("/linux/resources/devices", json!([{"allow": false, "access": "rwm"}]))
        .shell(program);
    let container = managed(bundle);
    let outcome = container.run_detached();
    outcome.succeeded();
    let rounds = || outcome.stdout_now().matches("round").count();
    wait_until("the program has tried twice", || rounds() > 1);
    systemctl(&["daemon-reload"]);
    let before = rounds();
    wait_until("the program has tried again", || rounds() > before + 2);
    let text = outcome.stdout_now();
    assert!(text.contains("null") && !text.contains("open"), "{text}\n{}", outcome.describe());
}

/// systemd's program holds beside ours, and its entries for one device do not add up.
#[test]
fn rules_for_the_same_device_add_up_and_still_do_when_systemd_reloads() {
    if !has_systemd() {
        return;
    }
    let rule = |minor: Option<u32>, access: &str| json!({"allow": true, "type": "c", "major": 1, "minor": minor, "access": access});
    let deny = json!({"allow": false, "access": "rwm"});
    // What is split between a device and all of its driver's adds up on v2 alone.
    let wide = rule(if is_v2() { None } else { Some(11) }, "r");
    let program =
        "mknod /tmp/kmsg c 1 11; while :; do (: <>/tmp/kmsg) && echo opened || echo refused; sleep 0.2; done";
    for rules in [
        json!([deny, rule(Some(11), "r"), rule(Some(1), "r"), rule(Some(11), "w")]),
        json!([deny, wide, rule(Some(11), "w")]),
    ] {
        let capabilities = ["CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYSLOG"];
        let bundle = Bundle::new().writable().all_capabilities(&capabilities).shell(program);
        let container = managed(bundle.set("/linux/resources/devices", rules));
        let outcome = container.run_detached();
        outcome.succeeded();
        let rounds = || outcome.stdout_now().lines().count();
        wait_until("the program has tried", || rounds() > 1);
        systemctl(&["daemon-reload"]);
        let before = rounds();
        wait_until("the program has tried again", || rounds() > before + 2);
        assert!(!outcome.stdout_now().contains("refused"), "{}", outcome.describe());
    }
}

#[test]
fn annotations_are_properties_of_the_unit() {
    if !has_systemd() {
        return;
    }
    let annotations = json!({
        "org.systemd.property.TimeoutStopSec": "7",
        "org.systemd.property.Description": "'a test'",
    });
    let container = managed(sleeping().set("/annotations", annotations));
    container.run_detached().succeeded();
    let unit = unit_of(&container);
    assert_eq!(property(&unit, "TimeoutStopUSec"), "7s");
    assert_eq!(property(&unit, "Description"), "a test");

    for (name, value) in [
        ("NoSuchProperty", "true"),
        ("TimeoutStopSec", "'x'"),
        ("A_b", "true"),
        // Ours to say: who is in the unit ends with it.
        ("PIDs", "[uint32 1]"),
    ] {
        let mut annotations = json!({});
        annotations[format!("org.systemd.property.{name}")] = Value::from(value);
        let container = managed(sleeping().set("/annotations", annotations));
        let before = container.snapshot();
        assert_eq!(container.run_detached().code, 1, "{name}");
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn pause_kill_and_delete_go_through_the_manager_that_is_in_the_state() {
    if !has_systemd() {
        return;
    }
    let container = managed(sleeping());
    container.create().succeeded();
    container.start().succeeded();
    let (own, unit) = (directory(&container, "freezer"), unit_of(&container));
    // From here on without the option: the state knows.
    let plain = |arguments: &[&str]| {
        let mut command = Command::new(pinnace_tests::program());
        command.arg("--root").arg(container.state_root()).args(arguments);
        run_within_limit(command)
    };
    plain(&["pause", &container.id]).succeeded();
    assert_eq!(container.status(), "paused");
    plain(&["resume", &container.id]).succeeded();
    plain(&["update", "--memory", "67108864", &container.id]).succeeded();
    let name = if is_v2() { "MemoryMax" } else { "MemoryLimit" };
    assert_eq!(property(&unit, name), "67108864");
    plain(&["kill", "--all", &container.id, "KILL"]).succeeded();
    container.wait_stopped();
    plain(&["delete", &container.id]).succeeded();
    assert!(!own.exists());
    assert_eq!(property(&unit, "LoadState"), "not-found");
}

#[test]
fn scope_in_use_is_refused_and_stays() {
    if !has_systemd() {
        return;
    }
    let first = managed(sleeping());
    first.run_detached().succeeded();
    let prefix = if is_pinnace() { "pinnace" } else { "runc" };
    let second = managed(sleeping().set("/linux/cgroupsPath", json!(format!(":{prefix}:{}", first.id))));
    assert_eq!(second.run_detached().code, 1);
    assert_eq!(first.status(), "running");
    assert_eq!(property(&unit_of(&first), "ActiveState"), "active");
}

/// A unit that failed lies in the way until it is reset.
#[test]
fn failed_unit_of_the_same_name_is_reset() {
    if !has_systemd() {
        return;
    }
    let container = managed(sleeping());
    let unit = unit_of(&container);
    let mut command = Command::new("systemd-run");
    command.args(["--quiet", "--scope", "--unit", &unit, "-p", "RuntimeMaxSec=1", "sleep", "1000"]);
    let _ = run_within_limit(command);
    wait_until("the unit has failed", || property(&unit, "ActiveState") == "failed");
    container.run_detached().succeeded();
    assert_eq!(property(&unit, "ActiveState"), "active");
}

#[test]
fn start_that_fails_leaves_no_unit() {
    if !has_systemd() {
        return;
    }
    let container = managed(Bundle::new().args(&["/no/such/program"]));
    let before = container.snapshot();
    assert_eq!(container.run_detached().code, 1);
    assert_eq!(property(&unit_of(&container), "LoadState"), "not-found");
    let _ = fs::remove_dir(container.state_root());
    container.snapshot().assert_same_as(&before);
}

/// systemd keeps a scope whose only process ends while it is made.
#[test]
fn runtime_killed_at_any_moment_leaves_no_unit_that_stays() {
    if !has_systemd() || !tests_pinnace() {
        return;
    }
    let mut cut_off = 0;
    for round in 0..24 {
        let container = managed(sleeping());
        let unit = unit_of(&container);
        let command = spawn(container.create_command("run", &["--detach"]));
        thread::sleep(Duration::from_millis(5 * round));
        command.signal(Signal::KILL);
        command.finish();
        if container.call(&["state", &container.id]).stdout.contains("creating") {
            // Who was killed behind its last word to stage1 leaves a container that runs.
            let runs = || container.status() == "running";
            let has_ended = || property(&unit, "LoadState") == "not-found" || processes_of(&unit).is_empty();
            wait_until("stage1 has ended, or the program runs", || has_ended() || runs());
            let is_cut_off = !runs();
            cut_off += i32::from(is_cut_off);
            if is_cut_off && round % 2 == 0 {
                // Nobody deletes it, and another of that name comes.
                fs::remove_dir_all(container.state_root().join(&container.id)).expect("the state");
                container.run_detached().succeeded();
            }
        }
        container.delete_force().succeeded();
        assert_eq!(property(&unit, "LoadState"), "not-found", "round {round}");
    }
    assert!(cut_off > 0, "no round was cut off");
}

/// Of a unit that has not been started yet, and has no cgroup, those of the root: somebody is still to come.
fn processes_of(unit: &str) -> String {
    let path = property(unit, "ControlGroup");
    let mount = &cgroup_hierarchies()[if is_v2() { "" } else { "name=systemd" }];
    let file = mount.join(path.trim_start_matches('/')).join("cgroup.procs");
    fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn bus_that_is_not_there_is_named() {
    if !tests_pinnace() {
        return;
    }
    let container = managed(sleeping());
    let before = container.snapshot();
    let mut command = container.create_command("run", &["--detach"]);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/no/such/bus");
    let outcome = run_within_limit(command);
    if outcome.code == 0 {
        return skip("systemd listens on a socket of its own");
    }
    let _ = fs::remove_dir(container.state_root());
    outcome.failed_with(&["connect to systemd by D-Bus: /no/such/bus: no such file or directory"]);
    container.snapshot().assert_same_as(&before);
}

/// The processes of such a container stay where the caller is.
#[test]
fn disabled_manager_makes_no_cgroups() {
    if !tests_pinnace() {
        return;
    }
    let bundle = sleeping().edit(|config| {
        config["linux"].as_object_mut().expect("linux").remove("resources");
    });
    let container = bundle.container().with_global_options(&["--cgroup-manager", "disabled"]);
    container.run_detached().succeeded();
    let cgroup = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("read cgroup");
    assert_eq!(cgroup(&container.pid().to_string()), cgroup("self"));
    assert!(container.snapshot().cgroups.is_empty(), "{}", container.snapshot());
    container.call(&["update", "--memory", "1g", &container.id]).failed_with(&["has no cgroups"]);
    container.call(&["pause", &container.id]).failed_with(&["has no cgroups"]);
    container.delete_force().succeeded();

    let limited = sleeping().set("/linux/resources/memory", json!({"limit": 33554432})).container();
    limited
        .with_global_options(&["--cgroup-manager", "disabled"])
        .run_detached()
        .failed_with(&["$.linux.resources: limits cannot be set with the cgroup manager disabled"]);
}

/// An ordinary user whose own systemd runs, and the directory of its sockets.
fn user_with_systemd() -> Option<(u32, PathBuf)> {
    let entries = fs::read_dir("/run/user").into_iter().flatten().flatten();
    let users = entries.filter_map(|entry| {
        let uid = entry.file_name().to_str()?.parse().ok().filter(|uid| *uid != 0)?;
        entry.path().join("systemd/private").exists().then(|| (uid, entry.path()))
    });
    let found = users.min();
    if found.is_none() {
        skip("no ordinary user's systemd runs here");
    }
    found
}

#[test]
fn an_ordinary_users_container_is_made_limited_and_ended_by_the_users_own_systemd() {
    if !has_systemd() || !is_v2() || !tests_pinnace() {
        return;
    }
    let Some((uid, runtime)) = user_with_systemd() else { return };
    let Some(setpriv) = find_program("setpriv") else { return skip("setpriv is not installed") };
    let resources = json!({"memory": {"limit": 67_108_864}, "pids": {"limit": 30}});
    let container = sleeping().set("/linux/resources", resources).container();
    let scratch = container.bundle.scratch();
    for path in [scratch.to_owned(), container.bundle.path(), container.bundle.rootfs()] {
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).expect("chown");
    }
    // The program under test may lie where others may not look.
    let copy = scratch.join("under-test");
    copy_program(&copy);
    let by_user = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(&setpriv);
        let uid = uid.to_string();
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]).arg(program).args(arguments);
        command.env("XDG_RUNTIME_DIR", &runtime);
        run_within_limit(command)
    };
    let state = scratch.join("state");
    let root = state.to_str().expect("UTF-8");
    let call = |arguments: &[&str]| by_user(&copy, &[&["--root", root], arguments].concat());
    let bundle = container.bundle.path();
    let run = ["--systemd-cgroup", "run", "--detach", "--bundle", bundle.to_str().expect("UTF-8")];
    call(&[&run[..], &[&container.id]].concat()).succeeded();
    let document = call(&["state", &container.id]);
    let document: Value = serde_json::from_str(document.succeeded()).expect("JSON");
    let cgroup = fs::read_to_string(format!("/proc/{}/cgroup", document["pid"])).expect("read cgroup");
    let unit = unit_of(&container);
    let expected = format!("/user@{uid}.service/user.slice/{unit}");
    assert!(cgroup.trim().ends_with(&expected), "{cgroup}");
    let own = cgroup_hierarchies()[""].join(cgroup.trim().trim_start_matches("0::/"));
    assert_eq!((read(&own, "memory.max"), read(&own, "pids.max")), ("67108864".into(), "30".into()));

    let systemctl = find_program("systemctl").expect("looked for before");
    let reload = || by_user(&systemctl, &["--user", "daemon-reload"]).succeeded().to_owned();
    reload();
    call(&["update", "--memory", "32m", "--pids-limit", "20", &container.id]).succeeded();
    reload();
    assert_eq!((read(&own, "memory.max"), read(&own, "pids.max")), ("33554432".into(), "20".into()));
    call(&["pause", &container.id]).succeeded();
    assert!(read(&own, "cgroup.events").contains("frozen 1"));
    call(&["resume", &container.id]).succeeded();
    let stats = call(&["events", "--stats", &container.id]);
    assert!(stats.succeeded().contains("\"limit\":33554432"), "{}", stats.describe());
    call(&["exec", &container.id, "/bin/true"]).succeeded();
    call(&["delete", "--force", &container.id]).succeeded();
    assert!(!own.exists());
    let load = by_user(&systemctl, &["--user", "show", &unit, "--value", "-p", "LoadState"]);
    assert_eq!(load.succeeded(), "not-found");
}

/// systemd freezes slices as well: what is moved into one would never come to its start.
#[test]
fn scope_in_a_frozen_slice_is_refused() {
    if !has_systemd() || !is_v2() || !tests_pinnace() {
        return;
    }
    let bundle = sleeping();
    let name = bundle.scratch().file_name().expect("a name").to_string_lossy().into_owned();
    let slice = format!("ptfrozen{}.slice", std::process::id());
    systemctl(&["start", &slice]);
    let directory = cgroup_hierarchies()[""].join(&slice);
    fs::write(directory.join("cgroup.freeze"), "1").expect("freeze");
    let container = managed(bundle.set("/linux/cgroupsPath", json!(format!("{slice}:pt:{name}"))));
    let outcome = container.run_detached();
    fs::write(directory.join("cgroup.freeze"), "0").expect("thaw");
    systemctl(&["stop", &slice]);
    outcome.failed_with(&["container's cgroup unexpectedly frozen", &name]);
    assert!(container.snapshot().cgroups.is_empty(), "{}", container.snapshot());
}
