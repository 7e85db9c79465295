//! Hooks: when they run, where, with which state, and what follows from their failure.

mod mounts;
mod signals;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use pinnace_tests::{
    Bundle, Outcome, Signal, Value, is_pinnace, json, run_within_limit, skip, spawn, tests_pinnace,
    wait_until,
};

use crate::user_namespace::{by_user, of_user};

/// A hook that appends a line to the file at `log`: its name, its state as it came, and what `extra` prints.
fn logging(name: &str, log: &Path, extra: &str) -> Value {
    let script = format!(
        "state=$(cat); echo \"{name} $({extra}) $state\" >>{}",
        log.to_str().expect("a path in UTF-8")
    );
    json!({"path": "/bin/sh", "args": ["sh", "-c", script]})
}

/// The kernel tells a process in a time namespace other times, and engines' annotations may be a quarter of a mebibyte.
#[test]
fn hooks_are_in_the_containers_time_namespace_and_read_all_annotations() {
    if !Path::new("/proc/self/ns/time").exists() {
        return skip("this kernel has no time namespaces");
    }
    let (bundle, log) = with_all(Bundle::new().args(&["/bin/sh", "-c", "readlink /proc/self/ns/time"]));
    let volume = log.parent().expect("a parent").to_owned();
    let look = |name: &str, log: &Path| {
        logging(name, log, "echo $(readlink /proc/self/ns/time) $(cut -d. -f1 /proc/uptime)")
    };
    let annotations: serde_json::Map<_, _> =
        (0..300).map(|index| (format!("com.example.{index}"), json!("x".repeat(1000)))).collect();
    let container = bundle
        .set("/annotations", json!(annotations))
        .set("/linux/namespaces/-", json!({"type": "time"}))
        .set("/linux/timeOffsets", json!({"boottime": {"secs": 10_000_000}}))
        .set(
            "/hooks",
            json!({
                "createContainer": [look("createContainer", &log)],
                "startContainer": [look("startContainer", &Path::new("/volume").join("log"))],
            }),
        )
        .container();
    let outcome = container.run();
    let namespace = outcome.succeeded().trim().to_owned();
    let told = logged(&volume.join("log"));
    assert_eq!(told.len(), 2);
    for (name, extra, state) in told {
        let (own, uptime) = extra.split_once(' ').expect("an uptime");
        assert_eq!(own, namespace, "{name}");
        assert!(uptime.parse::<u64>().expect("seconds") > 10_000_000, "{name}: {uptime}");
        assert_eq!(state["annotations"].as_object().map(|all| all.len()), Some(300), "{name}");
    }
}

fn failing(script: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", script]})
}

/// `(name, what extra printed, state)` of each line.
fn logged(log: &Path) -> Vec<(String, String, Value)> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines()
        .map(|line| {
            let (name, rest) = line.split_once(' ').expect("a name");
            let (extra, state) = rest.split_once(" {").expect("a state");
            let state = serde_json::from_str(&format!("{{{state}")).expect("JSON");
            (name.to_owned(), extra.to_owned(), state)
        })
        .collect()
}

fn names(log: &Path) -> Vec<String> {
    logged(log).into_iter().map(|(name, _, _)| name).collect()
}

/// A bundle whose hooks of all moments write to the log; the startContainer hook writes to it through a volume.
fn with_all(bundle: Bundle) -> (Bundle, std::path::PathBuf) {
    let volume = bundle.scratch().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o777)).unwrap();
    let log = volume.join("log");
    let inside = Path::new("/volume/log");
    let source = volume.to_str().unwrap().to_owned();
    let hooks = json!({
        "prestart": [logging("prestart", &log, "pwd")],
        "createRuntime": [logging("createRuntime", &log, "pwd")],
        "createContainer": [logging("createContainer", &log, "readlink /proc/self/ns/uts")],
        "startContainer": [logging("startContainer", inside, "hostname")],
        "poststart": [logging("poststart", &log, "pwd")],
        "poststop": [logging("poststop", &log, "pwd")],
    });
    (bundle.mount("/volume", "bind", &source, &["rbind"]).set("/hooks", hooks), log)
}

#[test]
fn hooks_run_in_the_order_of_the_containers_life_with_their_states() {
    let (bundle, log) = with_all(Bundle::new().args(&["/bin/sleep", "100"]));
    let container = bundle.set("/annotations", json!({"com.example": "x"})).container();
    container.create().succeeded();
    assert_eq!(names(&log), ["prestart", "createRuntime", "createContainer"]);
    let pid = container.pid();
    let uts = fs::read_link(format!("/proc/{pid}/ns/uts")).unwrap().display().to_string();
    container.start().succeeded();
    assert_eq!(names(&log)[3..], ["startContainer", "poststart"]);
    container.kill("KILL").succeeded();
    container.wait_stopped();
    container.delete().succeeded();
    let all = logged(&log);
    assert_eq!(all.len(), 6);
    let bundle_path = container.bundle.path().display().to_string();
    for (name, extra, state) in &all {
        assert_eq!(state["id"], container.id.as_str(), "{name}");
        assert_eq!(state["bundle"], bundle_path.as_str(), "{name}");
        assert_eq!(state["ociVersion"], "1.3.0", "{name}");
        assert_eq!(state["annotations"]["com.example"], "x", "{name}");
        let expected = match name.as_str() {
            "createContainer" => (uts.as_str(), "creating", 1),
            "startContainer" => ("", "created", 1),
            "poststart" => (bundle_path.as_str(), "running", pid),
            "poststop" => (bundle_path.as_str(), "stopped", 0),
            _ => (bundle_path.as_str(), "creating", pid),
        };
        let hostname = container.bundle.config()["hostname"].as_str().unwrap();
        let place = if name == "startContainer" { hostname } else { expected.0 };
        if is_pinnace() {
            assert_eq!(
                (extra.as_str(), &state["status"], &state["pid"]),
                (place, &json!(expected.1), &json!(expected.2)),
                "{name}"
            );
        }
    }
}

#[test]
fn a_foreground_run_has_all_its_hooks() {
    let (bundle, log) = with_all(Bundle::new());
    let container = bundle.container();
    container.run().succeeded();
    let expected =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    assert_eq!(names(&log), expected);
}

#[test]
fn the_runtimes_hooks_see_the_containers_network_and_its_root() {
    let bundle = Bundle::new().writable();
    let seen = bundle.scratch().join("seen");
    let script = format!(
        "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); readlink /proc/$pid/ns/net >{}",
        seen.display()
    );
    let root = bundle.rootfs().display().to_string();
    let bundle = bundle
        .set(
            "/hooks",
            json!({
                "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}],
                "createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", format!("echo made >{root}/made-by-hook; ls -d {root}/proc/1")]}],
            }),
        )
        .shell("cat /made-by-hook; readlink /proc/self/ns/net");
    let outcome = bundle.run();
    // What the hook made lies in the container, and what it saw is the container's network. The file is read before the bundle goes.
    assert!(outcome.succeeded().starts_with("made\nnet:["), "{}", outcome.describe());
}

fn with_hook(point: &str, hook: Value) -> (pinnace_tests::Container, std::path::PathBuf) {
    let bundle = Bundle::new().args(&["/bin/sleep", "100"]);
    let log = bundle.scratch().join("log");
    let stop = logging("poststop", &log, "pwd");
    (bundle.set("/hooks", json!({point: [hook], "poststop": [stop]})).container(), log)
}

#[track_caller]
fn failed(outcome: &Outcome, parts: &[&str]) {
    outcome.failed_with(parts);
}

#[test]
fn a_hook_that_fails_ends_the_creation_and_the_poststop_hooks_run_once() {
    for point in ["prestart", "createRuntime", "createContainer"] {
        let (container, log) = with_hook(point, failing("echo out; echo err >&2; exit 3"));
        // The state root is there after the first use.
        fs::create_dir_all(container.state_root()).unwrap();
        fs::write(&log, "").unwrap();
        let before = container.snapshot();
        let expected = format!("error running {point} hook #0: exit status 3, stdout: out, stderr: err");
        failed(&container.create(), &[&expected]);
        assert_eq!(names(&log), ["poststop"], "{point}");
        failed(&container.call(&["state", &container.id]), &["container does not exist"]);
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn poststop_hooks_of_a_failed_creation_run_when_nothing_is_left() {
    let bundle = Bundle::new();
    let (id, log) = (bundle.id().to_owned(), bundle.scratch().join("log"));
    let looks = format!("find /sys/fs/cgroup -name {id} | grep -c .");
    let container = bundle
        .set("/linux/cgroupsPath", json!(format!("/{id}")))
        .set("/linux/resources/pids", json!({"limit": 50}))
        .set(
            "/hooks",
            json!({
                "createRuntime": [logging("createRuntime", &log, &looks), failing("exit 3")],
                "poststop": [logging("poststop", &log, &looks)],
            }),
        )
        .container();
    failed(&container.create(), &["createRuntime hook #1: exit status 3"]);
    let logged = logged(&log);
    assert!(logged[0].1 != "0", "it has cgroups: {logged:?}");
    assert_eq!(logged[1].1, "0", "they are gone: {logged:?}");
    let init = logged[0].2["pid"].as_i64().expect("a pid");
    assert!(!Path::new(&format!("/proc/{init}")).exists());
}

#[test]
fn a_start_container_hook_that_fails_takes_the_container_away() {
    let (container, log) = with_hook("startContainer", failing("echo no >&2; exit 3"));
    container.create().succeeded();
    failed(&container.start(), &["error running startContainer hook #0: exit status 3", "no"]);
    assert_eq!(names(&log), ["poststop"]);
    failed(&container.call(&["state", &container.id]), &["container does not exist"]);
    failed(&container.run(), &["error running startContainer hook #0: exit status 3"]);
    assert_eq!(names(&log), ["poststop", "poststop"]);
}

#[test]
fn a_poststart_hook_that_fails_takes_the_container_away() {
    let (container, log) = with_hook("poststart", failing("exit 4"));
    container.create().succeeded();
    failed(&container.start(), &["error running poststart hook #0: exit status 4"]);
    assert_eq!(names(&log), ["poststop"]);
    failed(&container.call(&["state", &container.id]), &["container does not exist"]);
    failed(&container.run_detached(), &["error running poststart hook #0: exit status 4"]);
    assert_eq!(names(&log).len(), 2);
}

#[test]
fn poststop_hooks_that_fail_are_warnings_and_the_next_one_runs() {
    let bundle = Bundle::new();
    let log = bundle.scratch().join("log");
    let outcome = bundle
        .set("/hooks", json!({"poststop": [failing("exit 5"), logging("second", &log, "pwd")]}))
        .container();
    let run = outcome.run();
    run.succeeded();
    assert!(
        run.stderr.contains("level=warning") && run.stderr.contains("poststop hook #0: exit status 5"),
        "{}",
        run.stderr
    );
    assert_eq!(names(&log), ["second"]);
}

#[test]
fn hooks_that_take_too_long_are_killed_with_their_group() {
    for point in ["createRuntime", "createContainer", "startContainer"] {
        let mut hook = failing("sleep 321 & sleep 321");
        hook["timeout"] = json!(1);
        let (container, _) = with_hook(point, hook);
        let outcome = container.run();
        let expected = format!("error running {point} hook #0: hook ran past specified timeout of 1.0s");
        failed(&outcome, &[&expected]);
        assert!(outcome.took.as_secs() < 10);
        if point == "startContainer" {
            container.create().succeeded();
            failed(&container.start(), &[&expected]);
        }
    }
    let sleepers = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x00321\x00"))
        })
    };
    wait_until("the hooks' children are gone", || !sleepers());
}

#[test]
fn hooks_have_their_own_environment_or_that_of_their_moment() {
    let bundle = Bundle::new();
    let volume = bundle.scratch().join("volume");
    fs::create_dir(&volume).unwrap();
    let source = volume.to_str().unwrap().to_owned();
    let print = |name: &str, directory: &str| {
        format!("env | grep '^HOOK_TEST=' >{directory}/{name} || echo none >{directory}/{name}")
    };
    let hook = |name: &str, directory: &str, env: Option<Value>| {
        let mut hook = failing(&print(name, directory));
        if let Some(env) = env {
            hook["env"] = env;
        }
        hook
    };
    let own = || Some(json!(["HOOK_TEST=own", "PATH=/bin:/usr/bin"]));
    let hooks = json!({
        "createRuntime": [hook("host", &source, None), hook("own", &source, own())],
        "createContainer": [hook("container", &source, None)],
        "startContainer": [hook("start", "/volume", None), hook("start-own", "/volume", own())],
    });
    let container = bundle
        .mount("/volume", "bind", &source, &["rbind"])
        .set("/hooks", hooks)
        .set("/process/env", json!(["PATH=/bin", "HOOK_TEST=containers"]))
        .container();
    let mut command = container.create_command("run", &[]);
    command.env("HOOK_TEST", "callers");
    pinnace_tests::run_within_limit(command).succeeded();
    for (name, expected) in [
        ("host", "HOOK_TEST=callers"),
        ("own", "HOOK_TEST=own"),
        ("container", "none"),
        ("start", "HOOK_TEST=containers"),
        ("start-own", "HOOK_TEST=own"),
    ] {
        assert_eq!(fs::read_to_string(volume.join(name)).unwrap().trim(), expected, "{name}");
    }
}

/// Its cgroups are limited before its hooks run, and what those use is the container's.
#[test]
fn a_create_container_hook_is_in_the_containers_cgroups() {
    let (bundle, log) = (Bundle::new(), "cgroup");
    let log = bundle.scratch().join(log);
    let script = format!("cat /proc/self/cgroup >{}", log.display());
    let hooks = json!({"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]});
    let container = bundle.set("/hooks", hooks).container();
    container.create().succeeded();
    // The hook was in the container's cgroup namespace, if that is one of its own.
    let own = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let hook = own(&fs::read_to_string(&log).expect("the hook's log"));
    let program = own(container.call(&["exec", &container.id, "cat", "/proc/self/cgroup"]).succeeded());
    assert_eq!(hook, program);
}

#[test]
fn a_start_container_hook_is_confined_as_the_program_is() {
    let bundle = Bundle::new();
    let volume = bundle.scratch().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o777)).unwrap();
    let source = volume.to_str().unwrap().to_owned();
    let script = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status";
    bundle
        .mount("/volume", "bind", &source, &["rbind"])
        .set("/hooks", json!({"startContainer": [failing(&format!("{script} >/volume/hook"))]}))
        .set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["keyctl"], "action": "SCMP_ACT_ERRNO"}]}))
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .shell(&format!("{script} | cmp - /volume/hook 2>/dev/null || {{ {script}; cat /volume/hook; }}; test \"$({script})\" = \"$(cat /volume/hook)\""))
        .run()
        .succeeded();
}

#[test]
fn hooks_that_cannot_be_are_refused_by_their_paths() {
    for (hook, expected) in [
        (json!({"path": "bin/true"}), "$.hooks.poststart[0].path: \"bin/true\" is not an absolute path"),
        (
            json!({"path": "/bin/true", "env": ["A=1", "B"]}),
            "$.hooks.poststart[0].env[1]: invalid environment variable: no name before '=' in \"B\"",
        ),
        (json!({"path": "/bin/true", "timeout": 0}), "$.hooks.poststart[0].timeout: 0 is not between 1 and"),
        (
            json!({"path": "/bin/true", "timeout": -1}),
            "$.hooks.poststart[0].timeout: -1 is not between 1 and",
        ),
        (json!({"path": "/bin/true", "args": ["a\u{0}b"]}), "$.hooks.poststart[0].args[0]"),
    ] {
        Bundle::new().set("/hooks", json!({"poststart": [hook]})).run().failed_with(&[expected]);
    }
    let (container, _) = with_hook("createRuntime", json!({"path": "/nowhere/hook"}));
    failed(
        &container.run(),
        &["error running createRuntime hook #0: fork/exec /nowhere/hook: no such file or directory"],
    );
    let (container, _) = with_hook("startContainer", json!({"path": "/nowhere/hook"}));
    failed(
        &container.run(),
        &["error running startContainer hook #0: fork/exec /nowhere/hook: no such file or directory"],
    );
}

/// What callers leave us with: the kernel then forgets how children end, a hook as well as an exec.
#[test]
fn ignored_sigchld_does_not_matter() {
    let bundle = Bundle::new().args(&["/bin/sleep", "100"]).edit(|config| {
        config["hooks"] = json!({"poststart": [failing("exit 0")], "poststop": [failing("exit 0")]})
    });
    let container = bundle.container();
    let under = |inner: Command| {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "trap '' CHLD; exec \"$@\"", "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        run_within_limit(command)
    };
    under(container.create_command("create", &[])).succeeded();
    under(container.command(&["start", &container.id])).succeeded();
    assert_eq!(container.status(), "running");
    let exec = container.command(&["exec", &container.id, "/bin/sh", "-c", "exit 7"]);
    under(exec).exited(7);
    let outcome = under(container.command(&["delete", "--force", &container.id]));
    outcome.succeeded();
    assert_eq!(outcome.stderr, "");
}

/// The kernel does not know what to do with such a file. A shell would, and so would glibc's execvp: runc says what the kernel says.
#[test]
fn a_hook_that_is_no_program_is_not_given_to_a_shell() {
    let broken = |bundle: &Bundle| {
        for root in [bundle.scratch().to_path_buf(), bundle.rootfs()] {
            fs::write(root.join("hook"), "exit 0\n").unwrap();
            fs::set_permissions(root.join("hook"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        bundle.scratch().join("hook").display().to_string()
    };
    for point in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
        for is_directory in [false, true] {
            let bundle = Bundle::new();
            let on_host = broken(&bundle);
            let (path, reason) = match (is_directory, point) {
                (true, _) => ("/", "permission denied"),
                (false, "startContainer") => ("/hook", "exec format error"),
                (false, _) => (on_host.as_str(), "exec format error"),
            };
            let container = bundle.set("/hooks", json!({point: [{"path": path}]})).container();
            failed(
                &container.run(),
                &[&format!("error running {point} hook #0: fork/exec {path}: {reason}")],
            );
        }
    }
}

#[test]
fn a_hook_that_hangs_ends_with_a_signal_to_the_runtime() {
    if !tests_pinnace() {
        return;
    }
    let verbs: [(&str, &[&str]); 3] = [("run", &[]), ("run", &["--detach"]), ("create", &[])];
    let points = ["prestart", "createRuntime", "createContainer", "poststart"];
    let all = points.iter().flat_map(|point| verbs.map(|(verb, options)| (verb, options, *point)));
    // `start` runs the poststart hooks of what `create` has left.
    for (verb, options, point) in all.filter(|case| (case.0, case.2) != ("create", "poststart")) {
        let bundle = Bundle::new().args(&["/bin/sleep", "100"]);
        let mark = bundle.scratch().join("in the hook");
        let script = format!("echo $$ >'{0}.new'; mv '{0}.new' '{0}'; sleep 100", mark.display());
        let container =
            bundle.edit(|config| config["hooks"] = json!({point: [failing(&script)]})).container();
        fs::create_dir(container.state_root()).unwrap();
        let before = container.snapshot();
        let running = spawn(container.create_command(verb, options));
        wait_until("the hook to begin", || mark.exists());
        let hook = PathBuf::from(format!("/proc/{}", fs::read_to_string(&mark).unwrap().trim()));
        running.signal(Signal::TERM);
        let outcome = running.finish();
        assert_eq!(outcome.code, 128 + 15, "{verb} {options:?} {point}: {}", outcome.describe());
        let said = outcome.stderr.contains("interrupted by SIGTERM while a hook ran");
        assert!(said, "{verb} {options:?} {point}: {}", outcome.describe());
        // A createContainer hook knows its number in there alone.
        assert!(point == "createContainer" || !hook.exists(), "{verb} {options:?} {point}");
        fs::remove_file(&mark).unwrap();
        // Who was in its group dies by itself, a moment later perhaps.
        wait_until("nothing is left", || container.snapshot() == before);
    }
}

/// config.md: the path of a createContainer hook is the runtime's, whatever the image has there.
#[test]
fn a_create_container_hook_is_the_hosts_program_without_pivot_root_too() {
    let bundle = Bundle::new().shell("cat /said");
    let rootfs = bundle.rootfs().to_path_buf();
    let program = bundle.scratch().join("hook");
    fs::write(&program, format!("#!/bin/sh\necho of the host >'{}'\n", rootfs.join("said").display()))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let in_image = rootfs.join(program.strip_prefix("/").unwrap());
    fs::create_dir_all(in_image.parent().unwrap()).unwrap();
    fs::write(&in_image, "#!/bin/sh\necho of the image >/said\n").unwrap();
    fs::set_permissions(&in_image, fs::Permissions::from_mode(0o755)).unwrap();
    let bundle = bundle.edit(|config| config["hooks"] = json!({"createContainer": [{"path": program}]}));
    let container = bundle.container().with_create_options(&["--no-pivot"]);
    assert_eq!(container.run().succeeded(), "of the host");
}

/// Whoever waits for a hook that does not end may end it all.
#[test]
fn a_start_container_hook_that_hangs_ends_with_a_signal_to_the_runtime() {
    if !tests_pinnace() {
        return;
    }
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo >/volume/hook; sleep 1000"]});
    let bundle = Bundle::new();
    let volume = bundle.scratch().join("volume");
    for directory in [&volume, &bundle.rootfs().join("volume")] {
        fs::create_dir(directory).unwrap();
    }
    let bundle = bundle.mount("/volume", "bind", volume.to_str().unwrap(), &["bind"]);
    let container = bundle.set("/hooks", json!({"startContainer": [hook]})).container();
    let before = container.snapshot();
    let run = spawn(container.create_command("run", &[]));
    wait_until("the hook runs", || volume.join("hook").exists());
    run.signal(Signal::TERM);
    let outcome = run.finish();
    assert_eq!(outcome.code, 143, "{}", outcome.describe());
    assert!(outcome.stderr.contains("interrupted by SIGTERM before the program was started"));
    fs::remove_file(volume.join("hook")).unwrap();
    let _ = fs::remove_dir(container.state_root());
    container.snapshot().assert_same_as(&before);
}

/// Else whoever may trace the hook in there, as the namespace's root may, writes what is the host's.
#[test]
fn a_create_container_hook_is_root_of_the_containers_user_namespace_and_nobody_outside() {
    let bundle = Bundle::new().writable().shell("cat /by-hook").edit(|config| {
        let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        let script = "id -u; id -G; grep CapEff /proc/self/status; mkdir tmp/new; mount -t tmpfs x tmp/new";
        config["hooks"] = json!({"createContainer": [failing(&format!("{{ {script}; }} >by-hook"))]});
    });
    let rootfs = bundle.rootfs().to_path_buf();
    for (path, mode) in
        [(rootfs.clone(), 0o755), (rootfs.join("by-hook"), 0o666), (rootfs.join("tmp"), 0o777)]
    {
        if !path.exists() {
            fs::write(&path, "").unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let container = bundle.container();
    let outcome = container.run();
    let lines: Vec<&str> = outcome.succeeded().lines().collect();
    assert_eq!(lines[..2], ["0", "0"], "{}", outcome.describe());
    assert!(lines[2].ends_with("ffffffff"), "{}", outcome.describe());
    let owner = fs::metadata(rootfs.join("tmp/new")).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (100_000, 100_000));
}

#[test]
fn an_ordinary_users_create_container_hook_runs_in_the_container() {
    let bundle = Bundle::new().args(&["/bin/true"]).writable();
    let log = bundle.scratch().join("log");
    let script = format!(
        "id -u; readlink /proc/self/ns/pid; kill -0 1 && echo there >&2; exec >{}; id -u",
        log.display()
    );
    let container =
        of_user(bundle.set("/hooks", json!({"createContainer": [failing(&format!("{script}; exit 7"))]})));
    let path = container.bundle.path();
    let run = ["run", "--bundle", path.to_str().unwrap(), &container.id];
    let Some(command) = by_user(&container, &run) else {
        return skip("setpriv is not installed");
    };
    let outcome = run_within_limit(command);
    outcome.failed_with(&[
        "error running createContainer hook #0: exit status 7, stdout: 0\npid:[",
        "stderr: there",
    ]);
    assert_eq!(fs::read_to_string(&log).unwrap(), "0\n");
}

/// A foreground `run` blocks all signals, to pass them on.
#[test]
fn no_signal_is_blocked_in_a_hook() {
    let bundle = Bundle::new();
    let log = bundle.scratch().join("log");
    let hook = failing(&format!("grep '^SigBlk:' /proc/self/status >>{}", log.display()));
    let points = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    let hooks: serde_json::Map<String, Value> =
        points.iter().map(|&point| (point.to_owned(), json!([hook]))).collect();
    let container = bundle.set("/hooks", Value::Object(hooks)).container();
    container.run().succeeded();
    let text = fs::read_to_string(&log).unwrap();
    let masks: Vec<&str> = text.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    assert_eq!(masks, ["0000000000000000"; 5], "{text}");
}
