//! User namespaces: new and joined ones, ordinary users, and root of somebody's namespace.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use pinnace_tests::{
    Bundle, Container, Outcome, copy_program, find_program, json, run_within_limit, skip, system_calls,
    tests_pinnace,
};

const USER: u32 = 4242;

/// A container whose root is user 200000 on the host.
pub(crate) fn mapped(bundle: Bundle) -> Bundle {
    // Mount points are made by the container's root.
    for name in ["", "etc"] {
        chown(bundle.rootfs().join(name), Some(200_000), Some(200_000)).unwrap();
    }
    let mappings = json!([{"containerID": 0, "hostID": 200_000, "size": 65536}]);
    bundle
        .set("/linux/namespaces/-", json!({"type": "user"}))
        .set("/linux/uidMappings", mappings.clone())
        .set("/linux/gidMappings", mappings)
}

#[test]
fn root_of_a_new_user_namespace_owns_every_other_namespace() {
    let script = "cat /proc/self/uid_map; id -u; cat /sys/class/net/lo/operstate; ls /dev/null /dev/pts/ptmx; \
                  grep -c ' /proc/kcore \\| /proc/keys ' /proc/self/mountinfo; hostname; echo x >/dev/null && echo writes";
    let outcome = mapped(Bundle::new()).shell(script).run();
    let text = outcome.succeeded();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[..4], ["0", "200000", "65536", "0"], "{text}");
    assert!(text.contains("writes") && text.contains("/dev/pts/ptmx"), "{text}");
    assert_eq!(outcome.stderr, "");
}

#[test]
fn what_the_container_writes_belongs_to_the_mapped_user() {
    let bundle = mapped(Bundle::new()).writable();
    let volume = bundle.scratch().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o777)).unwrap();
    let source = volume.to_str().unwrap().to_owned();
    let bundle = bundle.mount("/volume", "bind", &source, &["rbind"]);
    bundle.shell("touch /volume/made").run().succeeded();
}

#[test]
fn sources_that_only_the_hosts_root_may_reach_are_mounted() {
    let bundle = mapped(Bundle::new());
    let closed = bundle.scratch().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("file"), "within\n").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let source = closed.join("file").to_str().unwrap().to_owned();
    let outcome =
        bundle.mount("/etc/hosts", "bind", &source, &["bind", "ro"]).args(&["/bin/cat", "/etc/hosts"]).run();
    assert_eq!(outcome.succeeded(), "within");
}

#[test]
fn a_bind_may_have_the_containers_own_owners() {
    let bundle = mapped(Bundle::new());
    let volume = bundle.scratch().join("volume");
    fs::create_dir(&volume).unwrap();
    let source = volume.to_str().unwrap().to_owned();
    let script = "stat -c %u /volume; touch /volume/made && stat -c %u /volume/made";
    let outcome = bundle.mount("/volume", "bind", &source, &["idmap", "rbind"]).shell(script).run();
    if outcome.code != 0 && outcome.message().contains("idmap") {
        return skip("the file system of TMPDIR takes no idmapped mounts");
    }
    assert_eq!(outcome.succeeded(), "0\n0");
}

#[test]
fn a_binds_owners_may_be_named_as_the_container_knows_them() {
    let bundle = mapped(Bundle::new());
    let volume = bundle.scratch().join("volume");
    fs::create_dir(&volume).unwrap();
    chown(&volume, Some(5000), Some(6000)).unwrap();
    let options = ["bind", "idmap=uids=@5000-7-1;gids=@6000-8-1"];
    let bundle = bundle.mount("/volume", "bind", volume.to_str().unwrap(), &options);
    let outcome = bundle.args(&["/bin/stat", "-c", "%u:%g", "/volume"]).run();
    if outcome.code != 0 && outcome.message().contains("idmap") {
        return skip("the file system of TMPDIR takes no idmapped mounts");
    }
    assert_eq!(outcome.succeeded(), "7:8");
}

#[test]
fn mappings_of_a_mount_change_its_owners_without_a_user_namespace() {
    for (options, own) in
        [(vec!["rbind", "ridmap"], true), (vec!["bind", "idmap=uids=0-5000-10;gids=0-6000-10"], false)]
    {
        let bundle = Bundle::new();
        let volume = bundle.scratch().join("volume");
        fs::create_dir(&volume).unwrap();
        let mut mount =
            json!({"destination": "/volume", "type": "bind", "source": volume, "options": options});
        if own {
            mount["uidMappings"] = json!([{"containerID": 0, "hostID": 5000, "size": 10}]);
            mount["gidMappings"] = json!([{"containerID": 0, "hostID": 6000, "size": 10}]);
        }
        let outcome = bundle.set("/mounts/-", mount).args(&["/bin/stat", "-c", "%u:%g", "/volume"]).run();
        if outcome.code != 0 && outcome.message().contains("idmap") {
            return skip("the file system of TMPDIR takes no idmapped mounts");
        }
        assert_eq!(outcome.succeeded(), "5000:6000");
    }
}

#[test]
fn a_second_container_joins_the_namespaces_of_the_first() {
    let first = mapped(Bundle::new()).args(&["/bin/sleep", "100"]).container();
    first.run_detached().succeeded();
    let namespace = |name: &str| format!("/proc/{}/ns/{name}", first.pid());
    let second = Bundle::new()
        .join_namespace("user", &namespace("user"))
        .join_namespace("network", &namespace("net"))
        .join_namespace("ipc", &namespace("ipc"))
        .join_namespace("uts", &namespace("uts"))
        .shell("readlink /proc/self/ns/user; readlink /proc/self/ns/net; id -u; echo $$");
    // Its name is that of the first.
    let second = second.edit(|config| {
        config.as_object_mut().unwrap().remove("hostname");
    });
    let outcome = second.run();
    let expected: Vec<String> =
        ["user", "net"].map(|name| fs::read_link(namespace(name)).unwrap().display().to_string()).to_vec();
    assert_eq!(outcome.succeeded(), format!("{}\n0\n1", expected.join("\n")));
}

#[test]
fn with_a_joined_pid_namespace_all_processes_are_seen() {
    let first = mapped(Bundle::new()).args(&["/bin/sleep", "100"]).container();
    first.run_detached().succeeded();
    let namespace = |name: &str| format!("/proc/{}/ns/{name}", first.pid());
    let second = Bundle::new()
        .join_namespace("user", &namespace("user"))
        .join_namespace("pid", &namespace("pid"))
        .args(&["/bin/ps"]);
    let outcome = second.run();
    assert!(outcome.succeeded().contains("sleep 100"), "{}", outcome.describe());
}

#[test]
fn parameters_are_set_without_a_pid_namespace_in_which_a_procfs_could_be_mounted() {
    let bundle = mapped(Bundle::new()).without_namespace("pid").without_mount("/proc");
    let outcome = bundle
        .mount("/proc", "bind", "/proc", &["rbind"])
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
        .args(&["/bin/cat", "/proc/sys/net/ipv4/ip_forward"])
        .run();
    assert_eq!(outcome.succeeded(), "1");
}

/// Their owner is the host's user namespace, so the container's root may mount neither sysfs nor mqueue there.
#[test]
fn a_new_user_namespace_beside_a_joined_network_and_ipc_shows_those() {
    let first = Bundle::new().args(&["/bin/sleep", "100"]).container();
    first.run_detached().succeeded();
    let namespace = |name: &str| format!("/proc/{}/ns/{name}", first.pid());
    let second = || {
        mapped(Bundle::new())
            .join_namespace("network", &namespace("net"))
            .join_namespace("ipc", &namespace("ipc"))
            .shell(
                "cat /proc/self/mountinfo; ls /sys/class/net; ls /dev/mqueue; touch /sys/x || echo read-only",
            )
    };
    let queue = format!("/proc/{}/root/dev/mqueue/queue-of-the-first", first.pid());
    fs::write(&queue, "").unwrap();
    let outcome = second().run();
    let text = outcome.succeeded();
    assert!(text.contains(" - sysfs ") && text.contains(" - mqueue "), "{}", outcome.describe());
    assert!(text.ends_with("lo\nqueue-of-the-first\nread-only"), "{}", outcome.describe());
    let container = second().container();
    let path = container.bundle.path();
    container.call(&["validate", "--bundle", path.to_str().unwrap()]).succeeded();
}

/// The pid namespace is another's, and its procfs with it; the user namespace is the second container's own.
#[test]
fn a_new_user_namespace_goes_with_a_joined_pid_namespace() {
    let first = Bundle::new().args(&["/bin/sleep", "100"]).container();
    first.run_detached().succeeded();
    let second = || {
        mapped(Bundle::new())
            .join_namespace("pid", &format!("/proc/{}/ns/pid", first.pid()))
            .edit(|config| {
                for mount in config["mounts"].as_array_mut().expect("mounts") {
                    if mount["destination"] == "/proc" {
                        *mount = json!({"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]});
                    }
                }
                config["linux"]["maskedPaths"] = json!([]);
                config["linux"]["readonlyPaths"] = json!([]);
            })
    };
    let outcome = second().shell("id -u; test $$ -gt 1 && echo inside; hostname; ulimit -n").run();
    let lines: Vec<&str> = outcome.succeeded().lines().collect();
    assert_eq!((lines[0], lines[1]), ("0", "inside"), "{}", outcome.describe());
    if !tests_pinnace() {
        return;
    }
    let Some(strace) = find_program("strace") else {
        return skip("strace is not installed");
    };
    let container = second().args(&["/bin/true"]).container();
    let run = container.create_command("run", &[]);
    let (text, calls) = system_calls(&strace, &run, &container.bundle.scratch().join("strace"));
    // Nobody is born there who is not stage1 yet.
    let place = |name: &str, flag: &str| {
        calls.iter().position(|call| call.starts_with(name) && call.contains(flag)).expect(name)
    };
    let executed = place("execveat", "");
    assert!(executed < place("setns", "CLONE_NEWPID"), "{text}");
    assert!(executed < place("clone3", "CLONE_PARENT"), "{text}");
    // One who cannot be mapped leaves nothing.
    let container = second().set("/linux/uidMappings/0/hostID", json!(4_294_967_295u32)).container();
    container.run().failed_with(&["$.linux.uidMappings[0]"]);
}

#[test]
fn wrong_mappings_are_named_by_their_paths() {
    let bundle = |list| {
        Bundle::new()
            .set("/linux/namespaces/-", json!({"type": "user"}))
            .set("/linux/uidMappings", list)
            .set("/linux/gidMappings", json!([{"containerID": 0, "hostID": 0, "size": 1}]))
    };
    let overlapping =
        json!([{"containerID": 0, "hostID": 1, "size": 2}, {"containerID": 1, "hostID": 9, "size": 2}]);
    bundle(overlapping).run().failed_with(&["$.linux.uidMappings[1]: overlaps with entry 0"]);
    bundle(json!([]))
        .run()
        .failed_with(&["$.linux.uidMappings: user namespaces enabled, but no mappings found"]);
    bundle(json!([{"containerID": 0, "hostID": 4_294_967_295u32, "size": 2}]))
        .run()
        .failed_with(&["$.linux.uidMappings[0].hostID: 4294967295 and 2 more exceed 32 bits"]);
    bundle(json!([{"containerID": 0, "hostID": 1}]))
        .run()
        .failed_with(&["$.linux.uidMappings[0].size: is missing"]);
    // Without a user namespace they mean nothing, as for runc, and somebody should know.
    let outcome = Bundle::new()
        .set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1, "size": 1}]))
        .args(&["/bin/true"])
        .run();
    outcome.succeeded();
    assert!(outcome.stderr.contains("$.linux.uidMappings: ignored"), "{}", outcome.describe());
    mapped(Bundle::new())
        .set("/process/user/uid", json!(70_000))
        .run()
        .failed_with(&["$.process.user.uid: 70000 is not mapped in the user namespace"]);
}

#[test]
fn a_failed_start_in_a_user_namespace_leaves_nothing() {
    let container = mapped(Bundle::new()).args(&["/bin/missing"]).container();
    // The state root is there after the first use.
    container.run().failed_with(&["/bin/missing"]);
    let before = container.snapshot();
    container.run().failed_with(&["/bin/missing"]);
    container.snapshot().assert_same_as(&before);
}

/// The container as an ordinary user makes it.
pub(crate) fn by_user(container: &Container, args: &[&str]) -> Option<Command> {
    // busybox has one that cannot do this.
    let is_whole = |program: &PathBuf| !fs::canonicalize(program).is_ok_and(|path| path.ends_with("busybox"));
    let setpriv = find_program("setpriv").filter(is_whole)?;
    // The program under test may lie where others may not look.
    let copy = container.bundle.scratch().join("under-test");
    copy_program(&copy);
    let mut command = Command::new(setpriv);
    command
        .args(["--reuid", &USER.to_string(), "--regid", &USER.to_string(), "--clear-groups"])
        .arg(&copy)
        .args(args)
        .env("XDG_RUNTIME_DIR", container.bundle.scratch());
    Some(command)
}

/// The bundle in the hands of the ordinary user.
pub(crate) fn of_user(bundle: Bundle) -> Container {
    let container = bundle.container();
    for path in [container.bundle.scratch().to_owned(), container.bundle.path(), container.bundle.rootfs()] {
        chown(path, Some(USER), Some(USER)).unwrap();
    }
    container
}

#[test]
fn an_ordinary_user_runs_the_default_configuration() {
    let container =
        of_user(Bundle::new().shell("id -u; cat /proc/self/uid_map; echo >/dev/null && ls /sys | head -n 1"));
    let path = container.bundle.path();
    let Some(command) = by_user(&container, &["run", "--bundle", path.to_str().unwrap(), &container.id])
    else {
        return skip("setpriv is not installed");
    };
    let outcome = run_within_limit(command);
    let words: Vec<&str> = outcome.succeeded().split_whitespace().collect();
    assert_eq!(words[..4], ["0", "0", "4242", "1"], "{}", outcome.describe());
    assert_eq!(outcome.stderr, "");
}

#[test]
fn an_ordinary_users_containers_live_in_the_runtime_directory() {
    let container = of_user(Bundle::new().args(&["/bin/sleep", "100"]));
    let path = container.bundle.path();
    let call = |args: &[&str]| by_user(&container, args).map(run_within_limit);
    let Some(outcome) = call(&["run", "--detach", "--bundle", path.to_str().unwrap(), &container.id]) else {
        return skip("setpriv is not installed");
    };
    outcome.succeeded();
    assert!(container.bundle.scratch().join("pinnace").join(&container.id).exists());
    let listed = call(&["list", "--quiet"]).unwrap();
    assert_eq!(listed.succeeded(), container.id);
    call(&["delete", "--force", &container.id]).unwrap().succeeded();
    assert_eq!(call(&["list", "--quiet"]).unwrap().succeeded(), "");
}

#[test]
fn limits_that_an_ordinary_user_cannot_set_are_refused() {
    let container = of_user(Bundle::new().set("/linux/resources/pids", json!({"limit": 10})));
    let path = container.bundle.path();
    let Some(command) = by_user(&container, &["run", "--bundle", path.to_str().unwrap(), &container.id])
    else {
        return skip("setpriv is not installed");
    };
    run_within_limit(command).failed_with(&["no cgroup hierarchy can be written"]);
}

/// As rootless podman has it: root of its own user and mount namespace, whose configuration names no user namespace.
#[test]
fn root_of_a_user_namespace_runs_containers_without_another() {
    let Some(unshare) = find_program("unshare") else {
        return skip("unshare is not installed");
    };
    // Group 5 of the default configuration's terminals is nobody here.
    let bundle = Bundle::new().edit(|config| {
        for mount in config["mounts"].as_array_mut().unwrap() {
            if mount["type"] == "devpts" {
                mount["options"].as_array_mut().unwrap().retain(|option| option != "gid=5");
            }
        }
    });
    let container = of_user(bundle.shell("id -u; ls /dev/null; cat /proc/self/uid_map"));
    let path = container.bundle.path();
    let Some(inner) = by_user(&container, &["run", "--bundle", path.to_str().unwrap(), &container.id]) else {
        return skip("setpriv is not installed");
    };
    let inner_args: Vec<_> = inner.get_args().map(|arg| arg.to_owned()).collect();
    let program_at =
        inner_args.iter().position(|arg| arg.to_string_lossy().ends_with("/under-test")).unwrap();
    let mut command = Command::new(inner.get_program());
    command.args(&inner_args[..program_at]).arg(unshare).args(["--user", "--map-root-user", "--mount"]);
    command.args(&inner_args[program_at..]).env("XDG_RUNTIME_DIR", container.bundle.scratch());
    let outcome = run_within_limit(command);
    let words: Vec<&str> = outcome.succeeded().split_whitespace().collect();
    assert_eq!(words, ["0", "/dev/null", "0", "4242", "1"], "{}", outcome.describe());
}

#[test]
fn the_state_of_a_mapped_container_stays_the_hosts() {
    let container = mapped(Bundle::new()).args(&["/bin/sleep", "100"]).container();
    container.create().succeeded();
    let owner = fs::metadata(container.state_root().join(&container.id)).unwrap().uid();
    assert_eq!(owner, 0);
    container.start().succeeded();
    assert_eq!(container.status(), "running");
    let map = fs::read_to_string(format!("/proc/{}/uid_map", container.pid())).unwrap();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "200000", "65536"]);
}

#[test]
fn the_message_queues_belong_to_the_root_of_the_user_namespace() {
    let outcome = mapped(Bundle::new()).shell("stat -c %u /dev/mqueue; chmod 700 /dev/mqueue").run();
    assert_eq!(outcome.succeeded(), "0", "{}", outcome.describe());
}

/// The host's device of the same path is bound, so it has to be the one that was asked for.
#[test]
fn a_device_that_is_another_on_the_host_is_refused() {
    if !tests_pinnace() {
        return;
    }
    let device = |path: &str, kind: &str, minor: i64| json!([{"path": path, "type": kind, "major": 1, "minor": minor}]);
    for (list, is) in [
        (device("/dev/zero", "c", 3), "the host's /dev/zero is bound, and that is c 1:5"),
        (device("/dev/zero", "b", 5), "the host's /dev/zero is bound, and that is c 1:5"),
        (device("/etc", "b", 3), "the host's /etc is bound, and that is no device"),
        (
            device("/dev/nosuch", "c", 3),
            "the host's /dev/nosuch is bound, and stat: no such file or directory",
        ),
    ] {
        let bundle = mapped(Bundle::new().set("/linux/devices", list));
        let container = bundle.container();
        container.run().failed_with(&["$.linux.devices[0]: is ", is]);
        let bundle = container.bundle.path();
        let validated = container.call(&["validate", "--bundle", bundle.to_str().unwrap()]);
        assert!(validated.code == 1 && validated.stdout.contains(is), "{}", validated.describe());
    }
    mapped(Bundle::new().set("/linux/devices", device("/dev/zero", "c", 5))).run().succeeded();
}

#[test]
fn owners_that_nobody_is_are_refused_by_their_options() {
    if !tests_pinnace() {
        return;
    }
    let one = json!([{"containerID": 0, "hostID": 200_000, "size": 1}]);
    let bundle = mapped(Bundle::new()).set("/linux/uidMappings", one.clone()).set("/linux/gidMappings", one);
    bundle.run().failed_with(&["$.mounts[2].options: cannot specify gid=5 mount options for unmapped gid"]);
}

#[test]
fn an_ordinary_user_is_told_what_cannot_be_had() {
    if !tests_pinnace() {
        return;
    }
    let nobody = json!({"uid": 1000, "gid": 1000, "additionalGids": [7]});
    for (bundle, expected) in [
        (
            Bundle::new().set("/process/user", nobody),
            "$.process.user.uid: 1000 is not mapped in the user namespace; $.process.user.gid: 1000 is not",
        ),
        (
            Bundle::new().set("/process/oomScoreAdj", json!(-500)),
            "set oomScoreAdj to -500: lowering it needs CAP_SYS_RESOURCE",
        ),
    ] {
        let container = of_user(bundle);
        let path = container.bundle.path();
        let bundle = path.to_str().unwrap();
        let Some(command) = by_user(&container, &["run", "--bundle", bundle, &container.id]) else {
            return skip("setpriv is not installed");
        };
        run_within_limit(command).failed_with(&[expected]);
        let command = by_user(&container, &["validate", "--bundle", bundle]).unwrap();
        assert_eq!(run_within_limit(command).code, 1);
    }
}

/// Content with all kinds of files, in a bundle of the ordinary user.
fn with_content(bundle: Bundle) -> Bundle {
    let data = bundle.rootfs().join("data");
    fs::create_dir_all(data.join("sub/deeper")).unwrap();
    fs::write(data.join("sub/deeper/file"), "content\n").unwrap();
    fs::write(data.join("of-another"), "readable\n").unwrap();
    fs::set_permissions(data.join("sub/deeper/file"), fs::Permissions::from_mode(0o750)).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", data.join("link")).unwrap();
    for path in ["data", "data/sub", "data/sub/deeper", "data/sub/deeper/file"] {
        chown(bundle.rootfs().join(path), Some(USER), Some(USER)).unwrap();
    }
    // Who is nobody in there must not lend his name.
    fs::set_permissions(data.join("of-another"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o1751)).unwrap();
    bundle
}

#[test]
fn an_ordinary_users_tmpcopyup_begins_with_what_it_covers() {
    let script = "cd /data; stat -c '%n %a %u:%g' . sub/deeper/file of-another; cat sub/deeper/file; readlink link; \
                  rm -r sub; grep -c ' /data ' /proc/self/mountinfo";
    let bundle = with_content(Bundle::new().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "size=1m"]));
    let container = of_user(bundle.shell(script));
    let path = container.bundle.path();
    let path = path.to_str().unwrap();
    let Some(command) = by_user(&container, &["run", "--bundle", path, &container.id]) else {
        return skip("setpriv is not installed");
    };
    let outcome = run_within_limit(command);
    let lines: Vec<_> = outcome.succeeded().lines().collect();
    let expected =
        [". 1751 0:0", "sub/deeper/file 750 0:0", "of-another 755 0:0", "content", "/etc/shadow", "1"];
    assert_eq!(lines, expected, "{}", outcome.describe());
    assert!(container.bundle.rootfs().join("data/sub/deeper/file").exists());
    let command = by_user(&container, &["validate", "--bundle", path]).unwrap();
    run_within_limit(command).succeeded();
}

/// Who is not in the user namespace is shown as nobody, whom it may have: what such files become is the container's root's, without their setuid bits.
#[test]
fn tmpcopyup_of_what_nobody_in_the_user_namespace_owns_belongs_to_its_root() {
    let bundle = mapped(Bundle::new().file("/data/inner/file", "content\n", 0o755))
        .mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"])
        .set("/process/capabilities", json!({}))
        .shell("stat -c '%u %g %a' /data /data/inner /data/inner/file; touch /data/made /data/inner/made && echo may");
    let file = bundle.rootfs().join("data/inner/file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o6755)).unwrap();
    let outcome = bundle.run();
    let lines: Vec<&str> = outcome.succeeded().lines().collect();
    assert_eq!(lines[1..], ["0 0 755", "0 0 755", "may"], "{}", outcome.describe());
    assert!(lines[0].starts_with("0 0 "), "{}", outcome.describe());
}

#[test]
fn tmpcopyup_in_a_user_namespace_keeps_owners_modes_and_attributes() {
    let bundle = mapped(with_content(Bundle::new().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"])));
    let data = bundle.rootfs().join("data");
    for (path, owner) in
        [("sub/deeper/file", 200_007), ("sub/deeper", 200_000), ("sub", 200_000), ("", 200_005)]
    {
        chown(data.join(path), Some(owner), Some(owner)).unwrap();
    }
    let script = "cd /data; stat -c '%n %a %u:%g' . sub/deeper/file";
    let outcome = bundle.shell(script).run();
    assert_eq!(outcome.succeeded(), ". 1751 5:5\nsub/deeper/file 750 7:7", "{}", outcome.describe());
}

/// Owners 0 to 9 of the filesystem are 5 to 14 of the container.
fn owners(options: &[&str], host: u32) -> serde_json::Value {
    let list = json!([{"containerID": 0, "hostID": host, "size": 10}]);
    json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": options,
           "uidMappings": list, "gidMappings": list})
}

/// Says aloud that a tmpfs has no owners of its own here.
fn has_no_owners(outcome: &Outcome) -> bool {
    let refused = outcome.stderr.contains("mount_setattr: invalid argument");
    if refused {
        skip("the kernel maps no owners of a tmpfs: Linux 6.3");
    }
    refused
}

#[test]
fn a_filesystem_has_owners_of_its_own_with_and_without_a_user_namespace() {
    let script = "stat -c '%n %u:%g' /data /data/sub/deeper/file; touch /data/new 2>&1 || echo not mine";
    let with_files = |bundle: Bundle, root: u32| {
        let bundle = with_content(bundle);
        let data = bundle.rootfs().join("data");
        for path in ["", "sub", "sub/deeper", "sub/deeper/file"] {
            chown(data.join(path), Some(root), Some(root)).unwrap();
        }
        chown(data.join("sub/deeper/file"), Some(root + 2), Some(root + 3)).unwrap();
        bundle.set("/mounts/-", owners(&["tmpcopyup"], root + 5)).shell(script)
    };
    let expected = "/data 5:5\n/data/sub/deeper/file 7:8";
    for outcome in [with_files(Bundle::new(), 0).run(), with_files(mapped(Bundle::new()), 200_000).run()] {
        if has_no_owners(&outcome) {
            return;
        }
        assert!(outcome.succeeded().starts_with(expected), "{}", outcome.describe());
    }
    mapped(Bundle::new())
        .set("/mounts/-", owners(&[], 7))
        .run()
        .failed_with(&["$.mounts[7]: owners: uid 7 of the host is not mapped in the user namespace"]);
}

#[test]
fn an_ordinary_user_gives_a_filesystem_owners_of_its_own() {
    let list = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
    let mount = json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["mode=777", "uid=0", "gid=0"],
                       "uidMappings": list, "gidMappings": list});
    let script = "stat -c %u:%g /data; touch /data/new && stat -c %u:%g /data/new";
    let container = of_user(Bundle::new().set("/mounts/-", mount).shell(script));
    let path = container.bundle.path();
    let path = path.to_str().unwrap();
    let Some(command) = by_user(&container, &["run", "--bundle", path, &container.id]) else {
        return skip("setpriv is not installed");
    };
    let outcome = run_within_limit(command);
    if has_no_owners(&outcome) {
        return;
    }
    assert_eq!(outcome.succeeded(), "0:0\n0:0", "{}", outcome.describe());
    let command = by_user(&container, &["validate", "--bundle", path]).unwrap();
    run_within_limit(command).succeeded();
    // The owners of what was mounted on the host are the host's.
    let bundle = Bundle::new().mount("/data", "bind", "/tmp", &["bind", "idmap"]);
    let container =
        of_user(bundle.set("/mounts/7/uidMappings", list.clone()).set("/mounts/7/gidMappings", list));
    let path = container.bundle.path();
    let path = path.to_str().unwrap();
    for verb in ["run", "validate"] {
        let id = (verb == "run").then_some(container.id.as_str());
        let arguments: Vec<&str> = [verb, "--bundle", path].into_iter().chain(id).collect();
        let outcome = run_within_limit(by_user(&container, &arguments).unwrap());
        assert_eq!(outcome.code, 1, "{}", outcome.describe());
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(text.contains("root of the user namespace that its filesystem was mounted in"), "{text}");
    }
}
