//! create, start, run, state, kill, delete, list: what callers see, in what order, and with several at once.

mod kill;
mod races;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use pinnace_tests::{
    Bundle, Container, Outcome, Signal, find_program, is_pinnace, json, run_within_limit, skip, spawn,
    tests_pinnace, wait_until,
};

/// A program that says that it is there, and then waits for signals: USR1 ends it with code 7, TERM with code 8.
const WAITS: &str = "trap 'exit 7' USR1; trap 'exit 8' TERM; echo ready; sleep 100 & wait";

fn waiting() -> Container {
    Bundle::new().shell(WAITS).container()
}

/// A running container that has reached its `wait`.
#[track_caller]
fn running() -> Container {
    let container = waiting();
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("the program says that it is ready", || outcome.stdout_now().contains("ready"));
    container
}

#[test]
fn program_output_and_success_come_back_from_a_foreground_run() {
    let outcome = Bundle::new().args(&["/bin/echo", "hello"]).run();
    assert_eq!(outcome.succeeded(), "hello");
    assert_eq!(outcome.stderr, "");
}

/// Runs `container` by way of another program, such as a shell that changes something before.
#[track_caller]
fn run_by(prefix: &[&str], container: &Container) -> Outcome {
    let run = container.create_command("run", &[]);
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).arg(run.get_program()).args(run.get_args());
    run_within_limit(command)
}

#[test]
fn a_proc_of_another_pid_namespace_does_not_tell_what_we_ignore() {
    if find_program("unshare").is_none() || !is_pinnace() {
        return skip("unshare is not installed");
    }
    // Small numbers there are threads of the kernel here, which ignore everything.
    let container = Bundle::new().shell("grep SigIgn /proc/self/status").container();
    let outcome = run_by(&["unshare", "--pid", "--fork"], &container);
    assert_eq!(outcome.succeeded(), container.run().succeeded(), "what we ignore ourselves");
}

#[test]
fn the_state_root_is_its_owners_alone_whatever_the_umask() {
    let container = Bundle::new().args(&["/bin/true"]).container();
    run_by(&["/bin/sh", "-c", "umask 0777; exec \"$0\" \"$@\""], &container).succeeded();
    let mode = fs::metadata(container.state_root()).expect("the state root").permissions().mode();
    if is_pinnace() {
        assert_eq!(mode & 0o7777, 0o700);
    }
}

#[test]
fn create_waits_and_start_lets_go() {
    let container = Bundle::new().writable().shell("touch /started; sleep 100").container();
    let before = container.snapshot();
    let created = container.create();
    assert_eq!(created.succeeded(), "");
    let started = container.bundle.rootfs().join("started");
    assert_eq!(container.status(), "created");
    assert!(!started.exists(), "the program ran before start");
    assert_eq!(container.start().succeeded(), "");
    wait_until("the program ran", || started.exists());
    assert_eq!(container.status(), "running");
    container.kill("KILL").succeeded();
    container.wait_stopped();
    assert_eq!(container.state()["pid"], 0);
    container.delete().succeeded();
    container.call(&["state", &container.id]).failed_with(&["container does not exist"]);
    fs::remove_file(started).expect("remove what the program made");
    fs::remove_dir(container.state_root()).expect("the state directory is empty");
    container.snapshot().assert_same_as(&before);
}

#[test]
fn created_container_is_deleted_without_force() {
    let container = waiting();
    container.create().succeeded();
    container.delete().succeeded();
    container.call(&["state", &container.id]).failed_with(&["container does not exist"]);
    assert!(container.snapshot().processes.is_empty());
}

#[test]
fn running_container_is_not_deleted_without_force() {
    let container = running();
    let refusal = format!("cannot delete container {} that is not stopped: running", container.id);
    container.delete().failed_with(&[&refusal]);
    assert_eq!(container.status(), "running");
    container.delete_force().succeeded();
    let left = container.snapshot();
    assert!(left.processes.is_empty() && left.cgroups.is_empty(), "{left}");
}

#[test]
fn forced_delete_of_an_unknown_id_succeeds() {
    let container = waiting();
    container.delete_force().succeeded();
    container.delete().failed_with(&["container does not exist"]);
}

#[test]
fn container_is_gone_after_a_foreground_run() {
    let container = waiting_for("true");
    let before = container.snapshot();
    container.run().succeeded();
    let _ = fs::remove_dir(container.state_root());
    container.snapshot().assert_same_as(&before);
}

fn waiting_for(script: &str) -> Container {
    Bundle::new().shell(script).container()
}

#[test]
fn exit_code_of_the_program_is_that_of_run() {
    for code in [0, 1, 3, 127, 255] {
        waiting_for(&format!("exit {code}")).run().exited(code);
    }
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    // The first process of a pid namespace is safe from its own signals, so the host sends it.
    for (signal, code) in [("KILL", 137), ("SEGV", 139)] {
        let container =
            Bundle::new().without_namespace("pid").shell(&format!("kill -{signal} $$")).container();
        container.run().exited(code);
    }
}

#[test]
fn foreground_run_forwards_signals() {
    for (signal, code) in [(Signal::USR1, 7), (Signal::TERM, 8)] {
        let container = waiting();
        let run = spawn(container.create_command("run", &[]));
        wait_until("the program says that it is ready", || run.stdout_now().contains("ready"));
        run.signal(signal);
        run.finish().exited(code);
    }
}

#[test]
fn detached_run_leaves_no_process_but_the_program() {
    let container = running();
    let processes = container.snapshot().processes;
    let first = format!("{} (", container.pid());
    // The shell and its sleep; nothing of the runtime.
    assert_eq!(processes.len(), 2, "{processes:?}");
    assert!(processes.iter().any(|process| process.starts_with(&first)), "{processes:?}");
    assert!(
        processes.iter().all(|process| process.contains("(sh)") || process.contains("(sleep)")),
        "{processes:?}"
    );
}

#[test]
fn created_container_is_one_process() {
    let container = waiting();
    container.create().succeeded();
    let processes = container.snapshot().processes;
    assert_eq!(processes.len(), 1, "{processes:?}");
}

#[test]
fn pid_file_holds_the_pid_without_a_newline() {
    let container = waiting();
    let file = container.bundle.scratch().join("pid");
    let path = file.to_str().expect("a path in UTF-8");
    let create = container.create_command("create", &["--pid-file", path]);
    run_within_limit(create).succeeded();
    assert_eq!(fs::read_to_string(&file).expect("read the pid file"), container.pid().to_string());
}

/// As every file that a shell or runc makes.
#[test]
fn pid_file_has_the_mode_that_the_umask_leaves_and_may_lie_behind_dots() {
    let container = waiting();
    let directory = container.bundle.scratch().join("pids");
    fs::create_dir_all(directory.join("a")).expect("mkdir");
    let file = directory.join("pid");
    for (umask, mode) in [("022", 0o644), ("077", 0o600), ("000", 0o666), ("777", 0)] {
        // The second is put in the first one's place, a link as well, and not what that leads to.
        let _ = fs::remove_file(&file);
        for is_link in [false, true] {
            if is_link {
                fs::remove_file(&file).expect("remove");
                std::os::unix::fs::symlink("elsewhere", &file).expect("link");
            }
            let create = container.create_command("create", &["--pid-file", "./a/../pid"]);
            let mut command = Command::new("sh");
            command.current_dir(&directory).arg("-c").arg(format!("umask {umask}; exec \"$@\"")).arg("sh");
            command.arg(create.get_program()).args(create.get_args());
            run_within_limit(command).succeeded();
            let facts = fs::symlink_metadata(&file).expect("stat");
            assert!(facts.is_file() && facts.permissions().mode() & 0o7777 == mode, "{umask}: {facts:?}");
            assert_eq!(fs::read_to_string(&file).expect("read"), container.pid().to_string());
            assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 2);
            container.delete_force().succeeded();
        }
    }
}

#[test]
fn second_start_is_refused() {
    let container = waiting();
    container.create().succeeded();
    container.start().succeeded();
    container.start().failed_with(&["cannot start an already running container"]);
    assert_eq!(container.status(), "running");
    container.kill("KILL").succeeded();
    container.wait_stopped();
    container.start().failed_with(&["cannot start a container that has stopped"]);
}

#[test]
fn taken_id_is_refused_and_its_owner_stays() {
    let container = running();
    let pid = container.pid();
    let prefix = if is_pinnace() { "pinnace create failed: " } else { "runc create failed: " };
    let message = format!("{prefix}container with given ID already exists");
    container.create().failed_with(&[&message]);
    container.run().failed_with(&["container with given ID already exists"]);
    assert_eq!(container.pid(), pid);
    assert_eq!(container.status(), "running");
}

#[test]
fn bad_ids_are_refused() {
    for id in [".", "..", "a/b", "a b", "ü"] {
        let mut container = waiting();
        container.id = id.to_owned();
        container.create().failed_with(&["invalid container ID format"]);
    }
    let mut container = waiting();
    container.id.clear();
    container.create().failed_with(&["container id cannot be empty"]);

    // What no container can be called is no container that has gone, for `delete --force` neither.
    let container = waiting();
    let commands: [&[&str]; 10] = [
        &["state"],
        &["start"],
        &["kill"],
        &["delete"],
        &["delete", "--force"],
        &["pause"],
        &["resume"],
        &["ps"],
        &["update", "--pids-limit", "5"],
        &["events", "--stats"],
    ];
    for command in commands {
        let answer = |id: &OsStr, text: &str| {
            let mut call = container.command(command);
            call.arg(id);
            run_within_limit(call).failed_with(&[text]);
        };
        for id in [b".".as_slice(), b"..", b"a/b", b"a b", "ü".as_bytes(), b"\xff"] {
            answer(OsStr::from_bytes(id), "invalid container ID format");
        }
        answer(OsStr::new(""), "container id cannot be empty");
    }
    let outcome = container.call(&["exec", "a/b", "true"]);
    outcome.exited(255);
    assert!(outcome.message().contains("exec failed: invalid container ID format"), "{}", outcome.describe());
    // One more than a directory's name can have; runc's kernel says so.
    let long = "x".repeat(256);
    let reason = if is_pinnace() { "longer than 255 bytes" } else { "file name too long" };
    for command in [&["state"][..], &["kill"], &["delete", "--force"]] {
        container.call(&[command, &[&long]].concat()).failed_with(&[reason]);
    }
    container.call(&["state", &long[1..]]).failed_with(&["container does not exist"]);
}

#[test]
fn state_has_the_keys_that_callers_read() {
    let container = waiting();
    container.create().succeeded();
    let state = container.state();
    let keys: Vec<_> = state.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["bundle", "created", "id", "ociVersion", "owner", "pid", "rootfs", "status"]);
    assert_eq!(state["id"], json!(container.id));
    assert_eq!(state["bundle"], json!(container.bundle.path()));
    assert_eq!(state["rootfs"], json!(container.bundle.rootfs()));
    assert_eq!(state["owner"], "");
    let created = state["created"].as_str().expect("a time");
    assert!(created.starts_with("20") && created.ends_with('Z') && created.contains('T'), "{created}");
    assert!(PathBuf::from(format!("/proc/{}", state["pid"])).exists());
    let text = container.call(&["state", &container.id]).stdout;
    assert!(text.starts_with("{\n  \"ociVersion\": "), "indented by two, ociVersion first: {text}");
}

#[test]
fn annotations_are_in_the_state() {
    let container = Bundle::new().set("/annotations", json!({"org.example": "yes"})).container();
    container.create().succeeded();
    assert_eq!(container.state()["annotations"], json!({"org.example": "yes"}));
}

#[test]
fn edits_of_the_config_after_create_have_no_effect() {
    let container = waiting_for("echo before");
    let created = container.create();
    created.succeeded();
    fs::write(container.bundle.path().join("config.json"), "not JSON").expect("overwrite config.json");
    container.start().succeeded();
    container.wait_stopped();
    assert_eq!(created.stdout_now().trim(), "before");
    container.delete().succeeded();
}

#[test]
fn list_shows_a_table_json_and_ids() {
    let container = waiting();
    let nothing = container.call(&["list"]);
    // An explicit root that is missing is an error of runc's; an empty one is an empty list.
    if nothing.code == 0 {
        assert_eq!(nothing.stdout.lines().count(), 1, "{}", nothing.stdout);
    }
    container.create().succeeded();
    let pid = container.pid();

    let table = container.call(&["list"]);
    let mut lines = table.succeeded().lines();
    let header: Vec<_> = lines.next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    let row: Vec<_> = lines.next().expect("a row").split_whitespace().collect();
    let bundle = container.bundle.path();
    assert_eq!(row[..4], [container.id.as_str(), &pid.to_string(), "created", &bundle.to_string_lossy()]);
    assert_eq!(row[5], "root");

    let listed = container.call(&["list", "--format", "json"]);
    assert!(listed.stdout.ends_with("]\n"), "{}", listed.describe());
    let listed: pinnace_tests::Value = serde_json::from_str(listed.succeeded()).expect("JSON");
    assert_eq!(listed[0]["id"], json!(container.id));
    assert_eq!(listed[0]["status"], "created");
    assert_eq!(listed[0]["pid"], json!(pid));
    assert_eq!(listed[0]["owner"], "root");

    assert_eq!(container.call(&["list", "-q"]).succeeded(), container.id);
    container.call(&["list", "--format", "yaml"]).failed_with(&["invalid format option"]);
    container.delete().succeeded();
    assert_eq!(container.call(&["list", "--format", "json"]).stdout, "null\n");
    assert_eq!(container.call(&["list", "-q"]).succeeded(), "");
}

#[test]
fn state_directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let container = waiting();
    container.create().succeeded();
    let mode = fs::metadata(container.state_root()).expect("the state root").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn program_gets_no_descriptors_but_the_three() {
    // `ls` itself opens the directory, as 3.
    let outcome = Bundle::new().args(&["/bin/ls", "/proc/self/fd"]).run();
    assert_eq!(outcome.succeeded().split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[test]
fn spec_writes_a_config_that_runs() {
    let container = waiting();
    let directory = container.bundle.path();
    let directory = directory.to_str().expect("a path in UTF-8");
    container
        .call(&["spec", "--bundle", directory])
        .failed_with(&["File config.json exists. Remove it first"]);
    fs::remove_file(container.bundle.path().join("config.json")).expect("remove config.json");
    container.call(&["spec", "--bundle", directory]).succeeded();
    let path = container.bundle.path().join("config.json");
    let mut written: pinnace_tests::Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("read config.json")).expect("JSON");
    let mut expected = Bundle::new().config().clone();
    expected["process"]["terminal"] = json!(true);
    expected["process"]["args"] = json!(["sh"]);
    // The host name is the name of the runtime.
    expected["hostname"] = written["hostname"].clone();
    if written["linux"]["namespaces"].as_array().is_some_and(|list| list.len() == 6) {
        // Runtimes on cgroup v2 add a cgroup namespace.
        expected["linux"]["namespaces"] = written["linux"]["namespaces"].clone();
    }
    assert_eq!(written, expected);
    written["process"]["terminal"] = json!(false);
    written["process"]["args"] = json!(["sh", "-c", "echo $$"]);
    fs::write(path, written.to_string()).expect("write config.json");
    assert_eq!(container.run().succeeded(), "1");
}

#[test]
fn global_options_take_one_dash_or_an_equals_sign() {
    let container = waiting();
    let root = container.state_root().to_str().expect("a path in UTF-8").to_owned();
    container.create().succeeded();
    for arguments in [vec!["-root", &root], vec![&*format!("--root={root}")]] {
        let mut command = Command::new(pinnace_tests::program());
        command.args(&arguments).args(["list", "-q"]);
        assert_eq!(run_within_limit(command).succeeded(), container.id);
    }
}

#[test]
fn closed_standard_descriptors_stay_closed_or_become_dev_null() {
    let container = Bundle::new().writable().shell("ls -l /proc/self/fd > /seen").container();
    let run = container.create_command("run", &[]);
    let words: Vec<_> =
        std::iter::once(run.get_program()).chain(run.get_args()).map(|word| word.to_string_lossy()).collect();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{} <&- >&- 2>&-", words.join(" ")));
    run_within_limit(command).succeeded();
    let seen = fs::read_to_string(container.bundle.rootfs().join("seen")).expect("the program ran");
    // 1 is the file, 3 the directory that `ls` reads.
    let strange = seen.lines().filter_map(|line| line.split_once(" -> ")).filter(|(_, target)| {
        !["/dev/null", "/seen"].contains(target)
            && !target.starts_with("/proc/")
            && !target.starts_with("pipe:")
    });
    assert_eq!(strange.count(), 0, "{seen}");
}

#[test]
fn container_that_is_created_needs_its_creator_no_more() {
    if !tests_pinnace() {
        return;
    }
    for _ in 0..3 {
        // So many mounts that the creation takes its time.
        let mut bundle = Bundle::new().writable().shell(WAITS);
        for number in 0..300 {
            bundle = bundle.mount(&format!("/tmp/{number}"), "tmpfs", "tmpfs", &[]);
        }
        let container = bundle.container();
        let create = spawn(container.create_command("create", &[]));
        wait_until("it is created", || {
            let state = container.call(&["state", &container.id]);
            assert!(!state.stdout.contains("running"), "{}", state.describe());
            state.stdout.contains("\"status\": \"created\"")
        });
        create.signal(Signal::KILL);
        create.finish();
        container.start().succeeded();
        container.delete_force().succeeded();
    }
}

#[test]
fn exit_code_comes_back_to_a_caller_that_ignores_its_children() {
    let container = waiting_for("exit 7");
    let before = container.snapshot();
    let run = container.create_command("run", &[]);
    let words: Vec<_> =
        std::iter::once(run.get_program()).chain(run.get_args()).map(|word| word.to_string_lossy()).collect();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("trap '' CHLD; exec {}", words.join(" ")));
    run_within_limit(command).exited(7);
    let _ = fs::remove_dir(container.state_root());
    container.snapshot().assert_same_as(&before);
}

#[test]
fn container_that_waits_for_its_start_holds_few_descriptors() {
    if !tests_pinnace() {
        return;
    }
    let mut bundle = Bundle::new().args(&["/bin/sleep", "100"]);
    for number in 0..20 {
        bundle = bundle.mount(&format!("/tmp/{number}"), "bind", "/tmp", &["bind"]);
    }
    let container = bundle.writable().container();
    container.create().succeeded();
    let held: Vec<_> = fs::read_dir(format!("/proc/{}/fd", container.pid()))
        .expect("its descriptors")
        .flatten()
        .map(|entry| fs::read_link(entry.path()).unwrap_or_default())
        .collect();
    // The standard three, the socket of the creator, the root, the listener.
    assert!(held.len() <= 6, "{held:?}");
    container.start().succeeded();
    assert_eq!(container.status(), "running");
}
