//! A command that fails leaves the host as it was: no mount, cgroup, process or file more.

use std::fs;
use std::process::Command;

use pinnace_tests::{
    Bundle, Container, busybox, cgroup_hierarchies, find_program, is_pinnace, json, run_within_limit, skip,
    tests_pinnace, unique_id, wait_until,
};

type Break = fn(Bundle) -> Bundle;

/// One way to fail for each kind of thing that is done, and what pinnace says to it; none of them succeeds with any runtime.
const FAILURES: &[(&str, &str, Break)] = &[
    ("root file system missing", "nowhere", |bundle| bundle.set("/root/path", json!("nowhere"))),
    ("mount option unknown", "nosuchoption", |bundle| {
        bundle.mount("/tmp", "tmpfs", "tmpfs", &["nosuchoption"])
    }),
    ("file system unknown", "no such device", |bundle| bundle.mount("/tmp", "nosuchfs", "none", &[])),
    ("bind source missing", "/no/such/source", |bundle| {
        bundle.mount("/tmp", "bind", "/no/such/source", &["bind"])
    }),
    ("masked path impossible", "/bin/busybox/x", |bundle| {
        bundle.set("/linux/maskedPaths/-", json!("/bin/busybox/x"))
    }),
    ("read-only path impossible", "/bin/busybox/x", |bundle| {
        bundle.set("/linux/readonlyPaths/-", json!("/bin/busybox/x"))
    }),
    ("device impossible", "/bin/busybox/x", |bundle| {
        bundle.set("/linux/devices", json!([{"path": "/bin/busybox/x", "type": "c", "major": 1, "minor": 3}]))
    }),
    (
        "working directory is a file",
        "chdir to cwd (\"/etc/passwd\") set in config.json failed: not a directory",
        |bundle| bundle.set("/process/cwd", json!("/etc/passwd")),
    ),
    ("program missing", "exec: \"nosuch\": executable file not found in $PATH", |bundle| {
        bundle.args(&["nosuch"])
    }),
    ("program not executable", "exec: \"/etc/passwd\": permission denied", |bundle| {
        bundle.args(&["/etc/passwd"])
    }),
    ("namespace file missing", "/no/such/namespace", |bundle| {
        bundle.join_namespace("network", "/no/such/namespace")
    }),
    ("user namespace file missing", "/no/such/namespace", |bundle| {
        bundle.set("/linux/namespaces/-", json!({"type": "user", "path": "/no/such/namespace"}))
    }),
    ("pid namespace file missing", "/no/such/namespace", |bundle| {
        bundle.join_namespace("pid", "/no/such/namespace")
    }),
    ("namespace of another type", "namespace /proc/self/ns/uts: it is of another type", |bundle| {
        bundle.join_namespace("ipc", "/proc/self/ns/uts")
    }),
    ("sysctl value refused", "ip_forward", |bundle| {
        bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "many"}))
    }),
    ("sysctl missing", "net/no/such", |bundle| bundle.set("/linux/sysctl", json!({"net.no.such": "1"}))),
    ("cgroup limit refused", "$.linux.resources.cpu.quota", |bundle| {
        bundle.set("/linux/resources/cpu", json!({"quota": 5, "period": 100000}))
    }),
    ("limit over the hard one", "$.process.rlimits[0]: soft 2000 is above hard 1000", |bundle| {
        bundle.set("/process/rlimits/0", json!({"type": "RLIMIT_NOFILE", "soft": 2000, "hard": 1000}))
    }),
    ("limit unknown", "wrong rlimit value: RLIMIT_FOO", |bundle| {
        bundle.set("/process/rlimits/0/type", json!("RLIMIT_FOO"))
    }),
    ("oom score out of range", "$.process.oomScoreAdj", |bundle| {
        bundle.set("/process/oomScoreAdj", json!(5000))
    }),
    ("host name too long", "$.hostname", |bundle| bundle.set("/hostname", json!("x".repeat(100)))),
    ("wrong type", "$.process.args", |bundle| bundle.set("/process/args", json!("not a list"))),
    ("no arguments", "args must not be empty", |bundle| bundle.args(&[])),
];

/// Runs `command` on the container and expects that it fails for that reason and that nothing changes on the host.
#[track_caller]
fn fails_without_a_trace(name: &str, reason: &str, container: &Container, command: Command) {
    let before = container.snapshot();
    let outcome = run_within_limit(command);
    assert_eq!(outcome.code, 1, "{name}\n{}", outcome.describe());
    assert_eq!(
        outcome.stderr.trim().lines().count(),
        1,
        "{name}: one error, clearly\n{}",
        outcome.describe()
    );
    assert!(!is_pinnace() || outcome.message().contains(reason), "{name}: {reason}\n{}", outcome.describe());
    // The root for the state of all containers is made on first use, and stays.
    let _ = fs::remove_dir(container.state_root());
    let after = container.snapshot();
    assert!(after == before, "{name}\n{}\nbefore:\n{before}\nafter:\n{after}", outcome.describe());
}

#[test]
fn failing_create_leaves_nothing() {
    for (name, reason, break_bundle) in FAILURES {
        let container = break_bundle(Bundle::new()).container();
        fails_without_a_trace(name, reason, &container, container.create_command("create", &[]));
    }
}

#[test]
fn failing_run_leaves_nothing() {
    for (name, reason, break_bundle) in FAILURES {
        let container = break_bundle(Bundle::new()).container();
        fails_without_a_trace(name, reason, &container, container.create_command("run", &[]));
    }
}

#[test]
fn too_few_descriptors_leave_nothing() {
    if !tests_pinnace() {
        return;
    }
    for limit in 6..14 {
        let container = Bundle::new().container();
        let command = container.create_command("run", &[]);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
        limited.arg(command.get_program()).args(command.get_args());
        fails_without_a_trace(&format!("ulimit -n {limit}"), "too many open files", &container, limited);
    }
}

#[test]
fn pid_file_that_cannot_be_written_leaves_nothing() {
    let container = Bundle::new().container();
    fails_without_a_trace(
        "pid file",
        "/no/such/file",
        &container,
        container.create_command("create", &["--pid-file", "/no/such/file"]),
    );
}

#[test]
fn config_that_is_missing_or_no_json_leaves_nothing() {
    let container = Bundle::new().container();
    let config = container.bundle.path().join("config.json");
    fs::write(&config, "{").expect("write");
    fails_without_a_trace(
        "not JSON",
        "config.json is not valid JSON",
        &container,
        container.create_command("create", &[]),
    );
    fs::remove_file(config).expect("remove");
    fails_without_a_trace(
        "missing",
        "config.json not found",
        &container,
        container.create_command("create", &[]),
    );
}

#[test]
fn cgroup_that_cannot_be_made_leaves_nothing() {
    // A path component that is a file of the kernel's.
    for path in ["/cgroup.procs/x", "/tasks/x"] {
        let container = Bundle::new().set("/linux/cgroupsPath", json!(path)).container();
        let before = container.snapshot();
        let outcome = container.create();
        if outcome.code == 0 {
            return skip("the path is no obstacle here");
        }
        if is_pinnace() {
            outcome.failed_with(&["$.linux.cgroupsPath"]);
        }
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
        // Where it is no file (v2 has no `tasks`), the directory was made first and must be gone as well.
        let component = path.trim_start_matches('/').trim_end_matches("/x");
        for mount in cgroup_hierarchies().into_values() {
            assert!(!mount.join(component).is_dir(), "{}", mount.join(component).display());
        }
    }
}

#[test]
fn taken_id_leaves_the_owner_as_it_was() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    container.run_detached().succeeded();
    let before = container.snapshot();
    for _ in 0..3 {
        assert_eq!(container.create().code, 1);
        assert_eq!(container.run().code, 1);
        assert_eq!(container.start().code, 1);
        assert_eq!(container.delete().code, 1);
    }
    container.snapshot().assert_same_as(&before);
}

#[test]
fn full_disk_under_the_state_directory_is_an_error_that_leaves_nothing() {
    let Some(unshare) = find_program("unshare") else {
        return skip("util-linux is not installed");
    };
    let container = Bundle::new().container();
    let tiny = container.bundle.scratch().join("tiny");
    fs::create_dir(&tiny).expect("mkdir");
    let container = container.with_state_root(tiny.join("state"));
    let before = container.snapshot();
    let create = container.create_command("create", &[]);
    let words: Vec<_> = std::iter::once(create.get_program())
        .chain(create.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    // In a mount namespace of its own, so that the host's mounts stay as they are.
    let tiny = tiny.display();
    let script = format!(
        "mount -t tmpfs -o size=4k,nr_inodes=100 tmpfs {tiny} && mkdir {tiny}/state && \
         head -c 4096 /dev/zero > {tiny}/full; {}; code=$?; find {tiny}/state -mindepth 1; exit $code",
        words.join(" ")
    );
    let mut command = Command::new(unshare);
    command.args(["--mount", "sh", "-c", &script]);
    let outcome = run_within_limit(command);
    outcome.failed_with(&["no space left on device"]);
    assert_eq!(outcome.stdout, "", "files stayed\n{}", outcome.describe());
    container.snapshot().assert_same_as(&before);
}

#[test]
fn many_runs_leave_no_descriptor_in_the_program() {
    // The shell is the program. Its own look into the directory is the fourth.
    let outcome = Bundle::new().shell("set -- /proc/self/fd/*; echo $#").run();
    assert_eq!(outcome.succeeded(), "4");
}

#[test]
fn container_whose_first_process_was_killed_from_outside_is_deleted_cleanly() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    let before = container.snapshot();
    for start in [false, true] {
        container.create().succeeded();
        if start {
            container.start().succeeded();
        }
        let pidfd = container.pidfd();
        rustix::process::pidfd_send_signal(&pidfd, pinnace_tests::Signal::KILL).expect("kill");
        container.wait_stopped();
        if is_pinnace() {
            container.start().failed_with(&["stopped"]);
        }
        container.delete().succeeded();
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

/// A cgroup that somebody else has made, with a process in it.
struct Stranger {
    directory: std::path::PathBuf,
    process: std::process::Child,
}

impl Stranger {
    fn new(directory: std::path::PathBuf) -> Self {
        fs::create_dir(&directory).expect("mkdir a cgroup");
        let process = Command::new(busybox()).args(["sleep", "100"]).spawn().expect("start a stranger");
        fs::write(directory.join("cgroup.procs"), process.id().to_string()).expect("enter the cgroup");
        Self { directory, process }
    }

    #[track_caller]
    fn is_unharmed(&mut self) {
        assert!(self.process.try_wait().expect("wait").is_none(), "the stranger was killed");
        assert!(self.directory.is_dir(), "the stranger's cgroup was removed");
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir(&self.directory);
    }
}

#[test]
fn what_a_creation_left_that_was_cut_off_is_deleted_and_nothing_of_others() {
    if !tests_pinnace() {
        return;
    }
    for own_pid_namespace in [true, false] {
        let bundle = Bundle::new().args(&["/bin/sleep", "100"]);
        let bundle = if own_pid_namespace { bundle } else { bundle.without_namespace("pid") };
        let path = format!("/{}", unique_id());
        let container = bundle.set("/linux/cgroupsPath", json!(path)).container();
        container.create().succeeded();
        rustix::process::pidfd_send_signal(container.pidfd(), pinnace_tests::Signal::KILL).expect("kill");
        container.wait_stopped();
        // As if the runtime had been killed when it had made some of the cgroups, and those below were still another's.
        let state = container.state_root().join(&container.id);
        fs::remove_file(state.join("init.json")).expect("the record of init");
        fs::remove_file(state.join("start.sock")).expect("the start socket");
        let hierarchies = cgroup_hierarchies();
        let theirs = hierarchies.get("freezer").or(hierarchies.values().next()).expect("a hierarchy");
        // A process that has ended may be in its cgroups for a moment more.
        wait_until("nobody is in it", || fs::remove_dir(theirs.join(&path[1..])).is_ok());
        let mut stranger = Stranger::new(theirs.join(&path[1..]));
        let empty = hierarchies.get("memory").map(|memory| memory.join(&path[1..]));
        if let Some(empty) = &empty {
            wait_until("nobody is in it", || fs::remove_dir(empty).is_ok());
            fs::create_dir(empty).expect("an empty cgroup of others");
        }
        container.call(&["kill", "--all", &container.id, "KILL"]);
        stranger.is_unharmed();
        container.delete().succeeded();
        stranger.is_unharmed();
        if let Some(empty) = empty {
            fs::remove_dir(empty).expect("the empty cgroup is still there");
        }
        drop(stranger);
        for mount in hierarchies.values() {
            assert!(!mount.join(&path[1..]).exists(), "{} stayed", mount.display());
        }
    }
}

#[test]
fn failing_create_leaves_the_cgroups_that_were_there_before() {
    let failures: [(&str, Break); 3] = [
        ("nosuch", |bundle| bundle.args(&["nosuch"])),
        ("no such device", |bundle| bundle.mount("/tmp", "nosuchfs", "none", &[])),
        ("quota", |bundle| bundle.set("/linux/resources/cpu", json!({"quota": 5, "period": 100000}))),
    ];
    for (reason, break_bundle) in failures {
        let path = unique_id();
        let directories: Vec<_> = cgroup_hierarchies().into_values().map(|mount| mount.join(&path)).collect();
        for directory in &directories {
            fs::create_dir(directory).expect("mkdir a cgroup");
        }
        let container =
            break_bundle(Bundle::new().set("/linux/cgroupsPath", json!(format!("/{path}")))).container();
        let outcome = container.create();
        let reasons = [reason];
        outcome.failed_with(if is_pinnace() { &reasons } else { &[] });
        for directory in &directories {
            fs::remove_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        }
    }
}

#[test]
fn pid_file_and_its_neighbours_stay_as_they_were_when_a_create_fails() {
    for verb in ["create", "run"] {
        let container = Bundle::new().args(&["nosuch"]).container();
        let [file, neighbour] = ["pid", ".pid"].map(|name| container.bundle.scratch().join(name));
        fs::write(&file, "old").expect("write");
        fs::write(&neighbour, "mine").expect("write");
        let options = ["--pid-file", file.to_str().expect("UTF-8")];
        run_within_limit(container.create_command(verb, &options)).failed_with(&["nosuch"]);
        assert_eq!(fs::read_to_string(&file).expect("the old file"), "old");
        assert_eq!(fs::read_to_string(&neighbour).expect("the neighbour"), "mine");
    }
    // And a neighbour of that name keeps no pid from being written.
    let container = Bundle::new().container();
    let [file, neighbour] = ["pid", ".pid"].map(|name| container.bundle.scratch().join(name));
    fs::write(&neighbour, "mine").expect("write");
    let options = ["--pid-file", file.to_str().expect("UTF-8")];
    run_within_limit(container.create_command("create", &options)).succeeded();
    assert_eq!(fs::read_to_string(&file).expect("the pid file"), container.pid().to_string());
    assert_eq!(fs::read_to_string(&neighbour).expect("the neighbour"), "mine");
}

#[test]
fn pid_file_that_cannot_be_put_in_its_place_ends_the_program() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    let before = container.snapshot();
    let place = container.bundle.scratch().to_str().expect("UTF-8").to_owned();
    for verb in ["create", "run"] {
        run_within_limit(container.create_command(verb, &["--pid-file", &place])).failed_with(&["open"]);
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn directories_that_are_no_containers_are_not_deleted() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let foreign = container.state_root().join("foreign");
    fs::create_dir_all(&foreign).expect("mkdir");
    fs::write(foreign.join("precious"), "data").expect("write");
    container.call(&["delete", "foreign"]).failed_with(&["container does not exist"]);
    container.call(&["delete", "--force", "foreign"]).succeeded();
    assert_eq!(fs::read_to_string(foreign.join("precious")).expect("still there"), "data");
    // What a creation leaves that was cut off before its record is deleted, as runc does.
    let cut_off = container.state_root().join("cut-off");
    fs::create_dir(&cut_off).expect("mkdir");
    fs::write(cut_off.join("record.json.new"), "{").expect("write");
    container.call(&["delete", "cut-off"]).succeeded();
    assert!(!cut_off.exists());
    let mut command = Command::new(pinnace_tests::program());
    command.args(["--root", "/", "delete", "no-such-directory"]);
    run_within_limit(command).failed_with(&["Option --root argument should not be set to /"]);
}

#[test]
fn container_that_cannot_be_looked_at_is_not_taken_for_a_stopped_one() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    container.run_detached().succeeded();
    let delete = container.command(&["delete", &container.id]);
    for limit in 3..=16 {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit}; exec \"$@\""), "sh"]);
        command.arg(delete.get_program()).args(delete.get_args());
        let outcome = run_within_limit(command);
        assert_eq!(outcome.code, 1, "{limit} descriptors\n{}", outcome.describe());
        assert_eq!(container.status(), "running", "{limit} descriptors\n{}", outcome.describe());
    }
}
