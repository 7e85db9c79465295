//! create, start, run, state, kill, delete, list: what callers see, in what order, and with several at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use pinnace_tests::{
    Bundle, Container, Outcome, Signal, busybox, find_program, is_pinnace, json, run_within_limit, skip,
    spawn, wait_until,
};
use rustix::process::Pid;

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
        return skip(
            "a_proc_of_another_pid_namespace_does_not_tell_what_we_ignore",
            "unshare is not installed",
        );
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
}

#[test]
fn kill_takes_names_and_numbers() {
    for signal in ["USR1", "SIGUSR1", "usr1", "sigusr1", "10"] {
        let container = running();
        let pidfd = container.pidfd();
        container.kill(signal).succeeded();
        drop(pidfd);
        container.wait_stopped();
    }
    // Without a name it is TERM.
    let container = running();
    container.call(&["kill", &container.id]).succeeded();
    container.wait_stopped();
}

#[test]
fn kill_refuses_unknown_signals_and_dead_containers() {
    let container = running();
    container.kill("FOO").failed_with(&["unknown signal \"FOO\""]);
    container.kill("65").failed_with(&["invalid argument"]);
    container.kill("-1").failed_with(&["unable to signal init: invalid argument"]);
    container.kill("0").succeeded();
    assert_eq!(container.status(), "running");
    container.kill("KILL").succeeded();
    container.wait_stopped();
    container.kill("TERM").failed_with(&["container not running"]);
    container.call(&["kill", "--all", &container.id, "TERM"]).succeeded();
}

#[test]
fn kill_reaches_every_process_of_a_container_without_its_own_pid_namespace() {
    let container =
        Bundle::new().without_namespace("pid").shell("setsid sleep 100 & echo ready; wait").container();
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("both processes run", || container.snapshot().processes.len() == 2);
    container.call(&["kill", "--all", &container.id, "KILL"]).succeeded();
    wait_until("both processes ended", || container.snapshot().processes.is_empty());
    container.delete().succeeded();
}

#[test]
fn kill_of_all_sends_each_process_one_signal_also_a_real_time_one() {
    if !is_pinnace() {
        return;
    }
    let counting = "trap 'echo caught' 40; echo ready; while true; do sleep 0.02; done";
    let container = Bundle::new().shell(&format!("({counting}) & {counting}")).container();
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("both shells are ready", || outcome.stdout_now().matches("ready").count() == 2);
    container.call(&["kill", "--all", &container.id, "40"]).succeeded();
    let caught = || outcome.stdout_now().matches("caught").count();
    wait_until("both have caught it", || caught() == 2);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(caught(), 2);
    container.call(&["kill", "--all", &container.id, "65"]).failed_with(&["invalid argument"]);
}

#[test]
fn kill_of_all_ends_a_container_that_forks_all_the_time() {
    let script = "forks() { while true; do (true) & done; }; forks & forks & forks & echo ready; wait";
    let container = Bundle::new().without_namespace("pid").shell(script).container();
    let outcome = container.run_detached();
    outcome.succeeded();
    wait_until("it forks", || outcome.stdout_now().contains("ready"));
    container.call(&["kill", "--all", &container.id, "KILL"]).succeeded();
    wait_until("all have ended", || container.snapshot().processes.is_empty());
    container.delete().succeeded();
    assert!(container.snapshot().cgroups.is_empty());
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

/// pinnace has to survive what youki does not; runc is only there to test the test, and slow.
fn rounds(many: u32) -> u32 {
    if is_pinnace() { many } else { many / 25 }
}

#[test]
fn end_of_a_program_that_ends_at_once_is_never_missed() {
    let container = Bundle::new().container();
    for _ in 0..rounds(1000) {
        container.run().succeeded();
    }
    assert!(container.snapshot().cgroups.is_empty());
}

#[test]
fn end_of_a_short_program_is_not_missed_on_a_loaded_machine() {
    let spinners: Vec<_> = (0..2)
        .map(|_| {
            let mut command = Command::new(busybox());
            command.args(["sh", "-c", "while :; do :; done"]);
            spawn(command)
        })
        .collect();
    let container = Bundle::new().container();
    for _ in 0..rounds(200) {
        container.run().succeeded();
    }
    for spinner in spinners {
        spinner.signal(Signal::KILL);
        spinner.finish();
    }
}

/// Runs the same command several times at once; how many succeeded.
fn at_once(count: usize, command: impl Fn() -> Command + Sync) -> usize {
    let codes: Vec<i32> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(|| run_within_limit(command()).code)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a command that ends")).collect()
    });
    assert!(codes.iter().all(|code| matches!(code, 0 | 1)), "{codes:?}");
    codes.iter().filter(|code| **code == 0).count()
}

#[test]
fn of_several_creates_at_once_one_wins() {
    for _ in 0..rounds(20).max(2) {
        let container = waiting();
        let before = container.snapshot();
        let winners = at_once(4, || container.create_command("create", &[]));
        assert_eq!(winners, 1);
        assert_eq!(container.status(), "created");
        assert_eq!(container.snapshot().processes.len(), 1);
        container.start().succeeded();
        container.delete_force().succeeded();
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn of_several_starts_at_once_one_wins() {
    for _ in 0..rounds(20) {
        let container = Bundle::new().writable().shell("echo ran >> /log; sleep 100").container();
        container.create().succeeded();
        let winners = at_once(4, || container.command(&["start", &container.id]));
        if is_pinnace() {
            assert_eq!(winners, 1);
        }
        let log = container.bundle.rootfs().join("log");
        wait_until("the program ran", || log.exists());
        assert_eq!(container.status(), "running");
    }
}

#[test]
fn several_deletes_at_once_leave_nothing() {
    for _ in 0..rounds(20).max(2) {
        let container = waiting();
        let before = container.snapshot();
        container.run_detached().succeeded();
        let winners = at_once(4, || container.command(&["delete", "--force", &container.id]));
        assert!(winners >= 1);
        let _ = fs::remove_dir(container.state_root());
        container.snapshot().assert_same_as(&before);
    }
}

#[test]
fn state_and_list_are_safe_beside_create_and_delete() {
    let container = waiting();
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..rounds(50).max(3) {
                container.create().succeeded();
                container.delete_force().succeeded();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let state = container.call(&["state", &container.id]);
                assert!(matches!(state.code, 0 | 1), "{}", state.describe());
                let list = container.call(&["list", "-q"]);
                assert!(matches!(list.code, 0 | 1), "{}", list.describe());
            }
        });
    });
}

#[test]
fn runtime_killed_at_any_moment_leaves_nothing_that_forced_delete_does_not_remove() {
    // runc writes its record late, and then delete does not know what to remove.
    if !is_pinnace() {
        return;
    }
    for verb in ["create", "run"] {
        for round in 0..60 {
            let container = waiting();
            let before = container.snapshot();
            let command = spawn(container.create_command(verb, &[]));
            thread::sleep(Duration::from_micros(150 * round));
            // It may have ended already: then the signal has nobody to reach, and that is fine as well.
            command.signal(Signal::KILL);
            command.finish();
            container.delete_force().succeeded();
            let _ = fs::remove_dir(container.state_root());
            wait_until("nothing is left", || container.snapshot() == before);
        }
    }
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

/// A small generator: which command comes next shall differ between workers and rounds, and be the same in each run of the test.
fn next_random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

#[test]
fn commands_that_race_on_one_id_leave_nothing_behind() {
    if !is_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    let before = container.snapshot();
    let deadline = std::time::Instant::now() + Duration::from_secs(4);
    thread::scope(|scope| {
        for worker in 1..=6u32 {
            let container = &container;
            scope.spawn(move || {
                let mut state = worker.wrapping_mul(0x9e37_79b9);
                while std::time::Instant::now() < deadline {
                    let command = match next_random(&mut state) % 6 {
                        0 | 1 => container.create_command("create", &[]),
                        2 => container.create_command("run", &["--detach"]),
                        3 => container.command(&["start", &container.id]),
                        4 => container.command(&["delete", &container.id]),
                        _ if state & 64 == 0 => container.command(&["kill", &container.id, "KILL"]),
                        _ => container.command(&["delete", "--force", &container.id]),
                    };
                    let outcome = run_within_limit(command);
                    assert!(matches!(outcome.code, 0 | 1), "{}", outcome.describe());
                }
            });
        }
    });
    container.delete_force().succeeded();
    let _ = fs::remove_dir(container.state_root());
    wait_until("nothing is left", || container.snapshot() == before);
}

#[test]
fn container_that_is_created_needs_its_creator_no_more() {
    if !is_pinnace() {
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
fn forced_delete_does_not_wait_for_a_start_that_waits_for_the_container() {
    if !is_pinnace() {
        return;
    }
    let container = waiting();
    container.create().succeeded();
    let pidfd = container.pidfd();
    rustix::process::pidfd_send_signal(&pidfd, Signal::STOP).expect("stop the first process");
    let start = spawn(container.command(&["start", &container.id]));
    thread::sleep(Duration::from_millis(100));
    let deleted = container.delete_force();
    deleted.succeeded();
    assert!(deleted.took < Duration::from_secs(5), "{:?}", deleted.took);
    // The program was never executed, and `start` does not say so.
    start.finish().failed_with(&["container init ended before it executed the program"]);
    assert!(container.snapshot().cgroups.is_empty());
}

#[test]
fn container_that_waits_for_its_start_holds_few_descriptors() {
    if !is_pinnace() {
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

#[test]
fn signals_that_would_end_a_process_end_a_container_that_waits_for_its_start() {
    if !is_pinnace() {
        return;
    }
    for signal in ["TERM", "INT", "HUP"] {
        let container = waiting();
        container.create().succeeded();
        container.kill("WINCH").succeeded();
        container.kill("0").succeeded();
        assert_eq!(container.status(), "created");
        let pidfd = container.pidfd();
        container.kill(signal).succeeded();
        drop(pidfd);
        wait_until("it is stopped", || container.status() == "stopped");
        container.delete().succeeded();
    }
}

/// Whoever ends `start` when the program has begun: the container runs, whatever the state directory still holds.
#[test]
fn a_start_that_is_cut_off_leaves_a_running_container() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("a_start_that_is_cut_off", "strace is not installed");
    };
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    container.create().succeeded();
    assert_eq!(container.status(), "created");
    // It is held where it would take the name of its socket away.
    let start = container.command(&["start", &container.id]);
    let mut command = Command::new(strace);
    command.args(["-qq", "-e", "trace=unlinkat", "-e", "inject=unlinkat:delay_enter=2000000"]);
    command.arg("-o").arg(container.bundle.scratch().join("strace"));
    command.arg(start.get_program()).args(start.get_args());
    let mut traced = command.stderr(Stdio::null()).spawn().expect("spawn");
    wait_until("it runs", || container.status() == "running");
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", traced.id())).expect("children");
    let runtime = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    rustix::process::kill_process(runtime.expect("the runtime"), Signal::KILL).expect("kill");
    traced.wait().expect("wait");
    assert_eq!(container.status(), "running");
    container.start().failed_with(&["cannot start an already running container"]);
    container.delete().failed_with(&["is not stopped: running"]);
    container.kill("KILL").succeeded();
    container.wait_stopped();
    container.delete().succeeded();
}
