//! `mounts add` and `mounts remove`: mounts in a container that runs.

use std::fs;
use std::os::unix::fs::symlink;

use pinnace_tests::{
    Bundle, Container, Outcome, Value, find_program, is_pinnace, json, kill_traced, run_within_limit, skip,
    spawn, tampered, tests_pinnace, wait_until,
};

use crate::user_namespace::{by_user, mapped, of_user};

fn running(bundle: Bundle) -> Container {
    let container = bundle.args(&["/bin/sleep", "1000"]).container();
    let volume = container.bundle.scratch().join("volume");
    fs::create_dir_all(volume.join("deep")).expect("mkdir");
    fs::write(volume.join("file"), "hello").expect("write");
    container.run_detached().succeeded();
    container
}

/// A bind of the volume, or of something in it.
fn bind(container: &Container, inner: &str, destination: &str, options: &[&str]) -> Value {
    let source = container.bundle.scratch().join("volume").join(inner);
    json!({"destination": destination, "type": "bind", "source": source, "options": options})
}

fn tmpfs(destination: &str, options: &[&str]) -> Value {
    json!({"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options})
}

#[track_caller]
fn mounts(container: &Container, action: &str, list: &Value) -> Outcome {
    let file = container.bundle.scratch().join("mounts.json");
    fs::write(&file, list.to_string()).expect("write");
    container.call(&["mounts", action, &container.id, file.to_str().expect("UTF-8")])
}

#[track_caller]
fn inside(container: &Container, script: &str) -> String {
    container.call(&["exec", &container.id, "sh", "-c", script]).succeeded().to_owned()
}

/// The lines of mountinfo in the container, without their numbers.
fn table(container: &Container) -> String {
    inside(container, "cut -d ' ' -f 5- /proc/self/mountinfo")
}

fn recorded(container: &Container) -> usize {
    let path = container.state_root().join(&container.id).join("record.json");
    let record: Value = serde_json::from_str(&fs::read_to_string(path).expect("the record")).expect("JSON");
    record["added_mounts"].as_array().map_or(0, Vec::len)
}

#[test]
fn what_is_added_is_there_until_it_is_removed() {
    if !tests_pinnace() {
        return;
    }
    let container = running(Bundle::new().writable());
    let before = table(&container);
    let list = json!([
        bind(&container, "", "/made/on/the/way", &["rbind", "ro"]),
        bind(&container, "file", "/etc/file", &["bind"]),
        tmpfs("/tmp", &["size=1m", "mode=711"]),
        tmpfs("/tmp/inner", &["ro"]),
    ]);
    let outcome = mounts(&container, "add", &list);
    outcome.succeeded();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    assert_eq!(recorded(&container), 4);
    let script = "cat /made/on/the/way/file /etc/file; stat -c %a /tmp; echo x >/tmp/x && echo writes; \
                  touch /made/on/the/way/x /tmp/inner/x 2>&1 | grep -c Read-only";
    assert_eq!(inside(&container, script), "hellohello711\nwrites\n2");

    // A later look at what was in the file is no list for `remove`: only the destinations count, in any order.
    let some = json!([{"destination": "/etc/file"}, {"destination": "/made/on/../on/the/way/"}]);
    mounts(&container, "remove", &some).succeeded();
    assert_eq!(recorded(&container), 2);
    assert_eq!(inside(&container, "ls /made/on/the/way; cat /etc/file"), "");
    mounts(&container, "remove", &json!([tmpfs("/tmp", &[]), tmpfs("/tmp/inner", &[])])).succeeded();
    assert_eq!(recorded(&container), 0);
    assert_eq!(table(&container), before);
}

#[test]
fn one_that_fails_takes_the_others_with_it() {
    if !tests_pinnace() {
        return;
    }
    let container = running(Bundle::new().writable());
    let before = table(&container);
    let good = || [tmpfs("/tmp", &[]), bind(&container, "", "/tmp/volume", &["bind"])];
    for (bad, reason) in [
        (bind(&container, "missing", "/etc/x", &["bind"]), "mounts add failed: bind /"),
        (tmpfs("/bin/busybox", &[]), "not a directory"),
        (tmpfs("/etc/x", &["size=nonsense"]), "Bad value for 'size'"),
    ] {
        let [first, second] = good();
        let outcome = mounts(&container, "add", &json!([first, second, bad]));
        outcome.failed_with(&["mounts add failed: ", reason]);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.describe());
        assert_eq!((table(&container), recorded(&container)), (before.clone(), 0));
    }
    // Wrong before anything is done, all of it at once.
    let list = json!([{"destination": "/proc/x", "type": "tmpfs"}, {"destination": "/", "type": "tmpfs"}]);
    mounts(&container, "add", &list).failed_with(&["$.mounts[0].destination", "$.mounts[1].destination"]);
    let list = json!([{"destination": "/sys/fs/cgroup", "type": "cgroup"}]);
    mounts(&container, "add", &list).failed_with(&["$.mounts[0].type: cgroups are mounted when"]);
    let list = json!([{"destination": "/dev", "type": "tmpfs", "options": ["remount", "ro"]}]);
    mounts(&container, "add", &list).failed_with(&["$.mounts[0].options: remount"]);
    mounts(&container, "add", &json!({"mounts": []})).failed_with(&["$.mounts"]);
    assert_eq!((table(&container), recorded(&container)), (before, 0));
}

#[test]
fn only_what_was_added_is_removed() {
    if !tests_pinnace() {
        return;
    }
    let container = running(Bundle::new().writable());
    let place = json!([{"destination": "/tmp"}]);
    mounts(&container, "remove", &json!([{"destination": "/proc"}]))
        .failed_with(&["/proc: no mount was added there"]);
    mounts(&container, "add", &json!([tmpfs("/tmp", &[])])).succeeded();
    mounts(&container, "add", &json!([bind(&container, "", "/tmp", &["bind"])])).succeeded();
    assert_eq!(inside(&container, "cat /tmp/file"), "hello");
    // One on the other: the last that was added goes first.
    mounts(&container, "remove", &place).succeeded();
    assert_eq!(inside(&container, "ls /tmp"), "");

    // What somebody else has mounted over it stays.
    let pid = container.pid().to_string();
    let mut command = std::process::Command::new("nsenter");
    command.args(["--target", &pid, "--mount", "/bin/busybox", "mount", "-t", "tmpfs", "other", "/tmp"]);
    run_within_limit(command).succeeded();
    mounts(&container, "remove", &place).failed_with(&["/tmp: ", "another mount covers what was added"]);
    let mut command = std::process::Command::new("nsenter");
    command.args(["--target", &pid, "--mount", "/bin/busybox", "umount", "/tmp"]);
    run_within_limit(command).succeeded();
    // What somebody else has unmounted is forgotten.
    let mut command = std::process::Command::new("nsenter");
    command.args(["--target", &pid, "--mount", "/bin/busybox", "umount", "/tmp"]);
    run_within_limit(command).succeeded();
    mounts(&container, "remove", &place).succeeded();
    assert_eq!(recorded(&container), 0);
    mounts(&container, "remove", &place).failed_with(&["/tmp: no mount was added there"]);
}

#[test]
fn symlinks_of_the_image_lead_nowhere_outside() {
    if !tests_pinnace() {
        return;
    }
    let bundle = Bundle::new().writable();
    let outside = bundle.scratch().join("outside");
    fs::create_dir(&outside).expect("mkdir");
    symlink(&outside, bundle.rootfs().join("absolute")).expect("symlink");
    symlink("../../../../../../../tmp", bundle.rootfs().join("relative")).expect("symlink");
    symlink("/proc/self", bundle.rootfs().join("to-proc")).expect("symlink");
    symlink("/proc/1", bundle.rootfs().join("to-init")).expect("symlink");
    let container = running(bundle);
    let list = json!([bind(&container, "", "/absolute", &["bind"]), tmpfs("/relative/x", &["mode=700"])]);
    mounts(&container, "add", &list).succeeded();
    let there = outside.to_str().expect("UTF-8").to_owned();
    assert_eq!(inside(&container, &format!("cat {there}/file; stat -c %a /tmp/x")), "hello700");
    assert_eq!(fs::read_dir(&outside).expect("read").count(), 0);
    mounts(&container, "remove", &list).succeeded();
    assert_eq!(inside(&container, &format!("ls {there} /tmp/x | grep -v :")), "");
    let list = json!([bind(&container, "", "/to-proc/attr", &["bind"])]);
    // Who adds is nobody's self in the container's procfs.
    mounts(&container, "add", &list).failed_with(&["/to-proc/attr"]);
    let list = json!([bind(&container, "", "/to-init/attr", &["bind"])]);
    mounts(&container, "add", &list).failed_with(&["it cannot be mounted because it is inside /proc"]);
    let list = json!([{"destination": "/mnt", "type": "proc", "source": "proc"}]);
    mounts(&container, "add", &list).failed_with(&["$.mounts[0].type: proc is mounted when"]);
    assert_eq!(recorded(&container), 0);
}

/// Where root is nobody on the host; where the root was not pivoted to; before the start; and while nothing runs.
#[test]
fn mounts_come_into_containers_of_every_kind() {
    if !tests_pinnace() {
        return;
    }
    let list = |container: &Container| {
        json!([tmpfs("/tmp", &["size=1m"]), bind(container, "", "/etc/volume", &["bind", "ro"])])
    };
    let look = "cat /etc/volume/file; echo x >/tmp/x && stat -c %u /tmp/x";
    let container = running(mapped(Bundle::new().writable()));
    mounts(&container, "add", &list(&container)).succeeded();
    assert_eq!(inside(&container, look), "hello0", "a user namespace");
    mounts(&container, "remove", &list(&container)).succeeded();

    let container = Bundle::new().writable().args(&["/bin/sleep", "1000"]).container();
    let container = container.with_create_options(&["--no-pivot"]);
    let volume = container.bundle.scratch().join("volume");
    fs::create_dir(&volume).expect("mkdir");
    fs::write(volume.join("file"), "hello").expect("write");
    container.create().succeeded();
    mounts(&container, "add", &list(&container)).succeeded();
    container.start().succeeded();
    container.call(&["pause", &container.id]).succeeded();
    mounts(&container, "add", &json!([tmpfs("/etc/more", &[])])).succeeded();
    container.call(&["resume", &container.id]).succeeded();
    assert_eq!(inside(&container, look), "hello0", "another root than the mount namespace's");
    assert!(container.bundle.rootfs().join("tmp/x").symlink_metadata().is_err());
    mounts(&container, "remove", &list(&container)).succeeded();
    assert_eq!(inside(&container, "ls /tmp /etc/volume | grep -v :"), "");
    container.kill("KILL").succeeded();
    container.wait_stopped();
    mounts(&container, "add", &list(&container)).failed_with(&["container not running"]);
    container.delete().succeeded();
}

#[test]
fn a_list_may_come_from_standard_input_and_usage_is_checked() {
    if !tests_pinnace() {
        return;
    }
    let container = running(Bundle::new().writable());
    let mut command = container.command(&["mounts", "add", &container.id, "-"]);
    let (reader, mut writer) = std::io::pipe().expect("pipe");
    std::io::Write::write_all(&mut writer, json!([tmpfs("/tmp", &[])]).to_string().as_bytes())
        .expect("write");
    drop(writer);
    assert!(command.stdin(reader).status().expect("run").success());
    assert_eq!(recorded(&container), 1);
    for (arguments, message) in [
        (&["mounts"][..], "\"mounts\" requires exactly 3 argument(s)"),
        (&["mounts", "list", "x", "y"], "unknown action \"list\": it is add or remove"),
        (&["mounts", "add", "nobody", "/dev/null"], "mounts add failed: container does not exist"),
        (
            &["mounts", "add", &container.id, "/nowhere"],
            "mounts add failed: open /nowhere: no such file or directory",
        ),
        (&["mounts", "add", &container.id, "/dev/null"], "mounts add failed: mounts is not valid JSON: "),
    ] {
        container.call(arguments).failed_with(&[message]);
    }
}

/// What is the host's only the host's root may bring in.
#[test]
fn an_ordinary_user_mounts_new_filesystems() {
    if !tests_pinnace() {
        return;
    }
    let container = of_user(Bundle::new().writable().args(&["/bin/sleep", "100"]));
    let call = |args: &[&str]| by_user(&container, args).map(run_within_limit);
    let bundle = container.bundle.path();
    let run = ["run", "--detach", "--bundle", bundle.to_str().expect("UTF-8"), &container.id];
    let Some(outcome) = call(&run) else {
        return skip("setpriv is not installed");
    };
    outcome.succeeded();
    let file = container.bundle.scratch().join("mounts.json");
    let mounts = |action: &str, list: Value| {
        fs::write(&file, list.to_string()).expect("write");
        let command = by_user(&container, &["mounts", action, &container.id, "-"]);
        let mut command = command.expect("setpriv is there");
        // A descriptor of somebody else's, which may be read and not be opened again.
        command.stdin(fs::File::open(&file).expect("open"));
        let output = command.output().expect("run");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(mounts("add", json!([tmpfs("/tmp", &["size=1m"])])), (Some(0), String::new()));
    let look = [
        "exec",
        &container.id,
        "sh",
        "-c",
        "echo x >/tmp/x && stat -c %u /tmp/x; grep -c ' /tmp ' /proc/mounts",
    ];
    assert_eq!(call(&look).expect("setpriv is there").succeeded(), "0\n1");
    let (code, said) = mounts("add", json!([{"destination": "/etc", "source": "/etc", "options": ["bind"]}]));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("mounts add failed: bind /etc on /etc: open_tree: operation not permitted"),
        "{said}"
    );
    assert_eq!(mounts("remove", json!([{"destination": "/tmp"}])), (Some(0), String::new()));
    call(&["delete", "--force", &container.id]).expect("setpriv is there").succeeded();
}

/// Whoever ends `mounts add` in the middle: nothing is mounted that is not in the record, and what is there can be removed.
#[test]
fn nothing_is_mounted_when_its_maker_was_killed() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("strace is not installed");
    };
    let container = running(Bundle::new().writable());
    inside(&container, "mkdir -p /real && ln -s real /link");
    let before = table(&container);
    let file = container.bundle.scratch().join("mounts.json");
    let list = json!([tmpfs("/link", &[])]);
    fs::write(&file, list.to_string()).expect("write");
    // stage1 is held for a while where it is going to mount.
    let add = container.command(&["mounts", "add", &container.id, file.to_str().expect("UTF-8")]);
    let log = container.bundle.scratch().join("strace");
    let mut command = tampered(&strace, &add, "move_mount:delay_enter=1000000", &log);
    let add = command.stderr(std::process::Stdio::null()).spawn().expect("spawn");
    wait_until("it is in the record", || recorded(&container) == 1);
    kill_traced(add);
    assert_eq!((table(&container), recorded(&container)), (before.clone(), 1));
    mounts(&container, "remove", &list).succeeded();

    // One that was mounted is found behind its symlink, wherever that leads by now.
    mounts(&container, "add", &list).succeeded();
    assert_ne!(table(&container), before);
    inside(&container, "ln -sfn tmp /link");
    mounts(&container, "remove", &list).succeeded();
    assert_eq!((table(&container), recorded(&container)), (before, 0));
}

/// Where the container leads a path while a mount is added and removed is its own affair: what is taken away is what was added.
#[test]
fn a_container_that_moves_its_directories_loses_nothing_else() {
    if !tests_pinnace() {
        return;
    }
    let script = "while :; do mv srv real; ln -s proc srv; rm srv; mv real srv; done";
    let container = running(Bundle::new().writable());
    let before = table(&container);
    let script = format!("cd /; mkdir -p srv/sys; {script}");
    container.call(&["exec", "--detach", &container.id, "sh", "-c", &script]).succeeded();
    let list = json!([bind(&container, "", "/srv/sys", &["bind"])]);
    for _ in 0..40 {
        // Either may be refused, for want of the directory just then.
        if mounts(&container, "add", &list).code == 0 {
            wait_until("it is taken away", || mounts(&container, "remove", &list).code == 0);
        }
    }
    assert_eq!((table(&container), recorded(&container)), (before, 0));
}

/// The directory goes when it has been found and nothing is mounted there yet: it is looked for again.
#[test]
fn a_directory_that_goes_meanwhile_is_made_again() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("strace is not installed");
    };
    let container = running(Bundle::new().writable());
    let before = table(&container);
    for list in [json!([tmpfs("/made", &[])]), json!([bind(&container, "", "/made", &["bind"])])] {
        let file = container.bundle.scratch().join("mounts.json");
        fs::write(&file, list.to_string()).expect("write");
        let add = container.command(&["mounts", "add", &container.id, file.to_str().expect("UTF-8")]);
        let log = container.bundle.scratch().join("strace");
        let add = spawn(tampered(&strace, &add, "move_mount:delay_enter=400000", &log));
        wait_until("it is in the record", || recorded(&container) == 1);
        inside(&container, "rmdir /made");
        add.finish().succeeded();
        assert_eq!(
            (inside(&container, "grep -c ' /made ' /proc/mounts").as_str(), recorded(&container)),
            ("1", 1)
        );
        mounts(&container, "remove", &list).succeeded();
        assert_eq!((table(&container), recorded(&container)), (before.clone(), 0));
    }
}

/// No call takes a path that is longer than a page.
#[test]
fn a_mount_that_was_moved_out_of_reach_is_an_error_that_says_so() {
    if !tests_pinnace() {
        return;
    }
    let container = running(Bundle::new().writable());
    let list = json!([tmpfs("/up/here", &[])]);
    mounts(&container, "add", &list).succeeded();
    // Each is short enough alone.
    let names =
        "deep=$(for i in $(seq 15); do printf 'd%.0s' $(seq 200); printf /; done); a=/a/$deep; b=/b/$deep";
    inside(&container, &format!("{names}; mkdir -p $a $b && mv /up $a && mv /a $b"));
    mounts(&container, "remove", &list)
        .failed_with(&["/up/here: the container has moved it to where its path is longer than 4095 bytes"]);
    assert_eq!(recorded(&container), 1);
    inside(&container, &format!("{names}; mv $b/a / && mv $a/up /"));
    mounts(&container, "remove", &list).succeeded();
    assert_eq!(recorded(&container), 0);
}

/// A first process that has gone elsewhere sees nothing of what was mounted: that is no sign of its being gone.
#[test]
fn what_cannot_be_seen_any_more_stays_in_the_record() {
    if !tests_pinnace() {
        return;
    }
    let script = "mkdir -p /jail/bin && cp /bin/busybox /jail/bin/ && ln -s busybox /jail/bin/sleep
                  trap 'exec chroot /jail /bin/sleep 1000' USR1; while :; do sleep 0.05; done";
    let capabilities = &["CAP_SYS_CHROOT", "CAP_KILL"];
    let container = Bundle::new().writable().all_capabilities(capabilities).shell(script).container();
    container.run_detached().succeeded();
    wait_until("it waits", || container.call(&["exec", &container.id, "ls", "/jail/bin/sleep"]).code == 0);
    let list = json!([tmpfs("/tmp", &[])]);
    mounts(&container, "add", &list).succeeded();
    container.kill("USR1").succeeded();
    let root = format!("/proc/{}/root/tmp", container.pid());
    wait_until("it is elsewhere", || fs::metadata(&root).is_err());
    mounts(&container, "remove", &list)
        .failed_with(&["/tmp: the container's first process has changed its "]);
    assert_eq!(recorded(&container), 1);
}

/// The kernel gives numbers of mounts out again. What has one now is not taken for what had it.
#[test]
fn a_mount_that_is_gone_is_forgotten_although_another_has_its_number() {
    if !tests_pinnace() {
        return;
    }
    let container = running(Bundle::new().writable());
    let (first, second) = (json!([tmpfs("/first", &[])]), json!([tmpfs("/second", &[])]));
    mounts(&container, "add", &first).succeeded();
    // Whoever removes the directory from outside unmounts what is on it.
    fs::remove_dir(container.bundle.rootfs().join("first")).expect("rmdir");
    mounts(&container, "add", &second).succeeded();
    mounts(&container, "remove", &first).succeeded();
    assert_eq!(recorded(&container), 1);
    assert_eq!(inside(&container, "grep -c ' /second ' /proc/mounts"), "1");
    mounts(&container, "remove", &second).succeeded();
}

/// Names are bytes, and the directory above a mount is the container's.
#[test]
fn a_mount_is_found_whatever_the_directory_above_it_is_called() {
    if !tests_pinnace() {
        return;
    }
    let container = running(Bundle::new().writable());
    let before = table(&container);
    let list = json!([tmpfs("/up/here", &[])]);
    mounts(&container, "add", &list).succeeded();
    inside(&container, r#"mv /up "$(printf '/\377 \\ up')""#);
    mounts(&container, "remove", &list).succeeded();
    assert_eq!((table(&container), recorded(&container)), (before.clone(), 0));

    mounts(&container, "add", &list).succeeded();
    let script = "cd /; while :; do mv up other; mv other up; done";
    container.call(&["exec", "--detach", &container.id, "sh", "-c", script]).succeeded();
    mounts(&container, "remove", &list).succeeded();
    assert_eq!((table(&container), recorded(&container)), (before, 0));
}

/// Layers of an overlay are more than one call takes, and have any name.
#[test]
fn overlays_are_what_they_are_in_config_json() {
    if !tests_pinnace() {
        return;
    }
    let container = running(Bundle::new().writable());
    let layers = container.bundle.scratch().join("layers");
    let mut lower = String::new();
    for name in ["a,b", "a long name of a layer that makes them longer than one call takes", "c", "d", "e"] {
        let layer = layers.join(name);
        fs::create_dir_all(&layer).expect("mkdir");
        fs::write(layer.join(name), "").expect("write");
        lower = format!("{lower}:{}", layer.display());
    }
    let (short, long) = (format!("{0}/a\\,b:{0}/c", layers.display()), lower.replace("/a,b:", "/c:"));
    let overlay = |destination: &str, lower: &str| {
        let options = [format!("lowerdir={}", lower.trim_start_matches(':'))];
        json!({"destination": destination, "type": "overlay", "source": "overlay", "options": options})
    };
    let outcome = mounts(&container, "add", &json!([overlay("/mnt", &short)]));
    if outcome.stderr.contains("no such filesystem") {
        return skip("the kernel has no overlays");
    }
    if outcome.stderr.contains("fsconfig: invalid argument") {
        return skip("the kernel takes no comma in a layer's name: Linux 6.5");
    }
    outcome.succeeded();
    assert_eq!(inside(&container, "ls /mnt"), "a,b\nc");
    // Layer by layer: Linux 6.8.
    let outcome = mounts(&container, "add", &json!([overlay("/srv", &long)]));
    if outcome.code == 0 {
        assert_eq!(inside(&container, "ls /srv | wc -l"), "4");
    }
}
