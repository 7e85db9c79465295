//! `exec`: one more process in a container.

mod way_in;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use pinnace_tests::{
    Bundle, Container, Outcome, Pty, Value, is_pinnace, json, run_within_limit, skip, tests_pinnace,
    wait_until,
};

use crate::terminal::receive_master;

/// A container that runs, and stays.
#[track_caller]
fn running(bundle: Bundle) -> Container {
    let container = bundle.args(&["/bin/sleep", "1000"]).container();
    container.run_detached().succeeded();
    container
}

#[track_caller]
fn exec(container: &Container, options: &[&str], program: &[&str]) -> Outcome {
    container.call(&[&["exec"], options, &[container.id.as_str()], program].concat())
}

#[track_caller]
fn refused(outcome: &Outcome, text: &str) {
    outcome.exited(255);
    let expected = format!("exec failed: {text}");
    assert!(outcome.message().starts_with(&expected), "{expected}\n{}", outcome.describe());
}

#[test]
fn a_program_runs_beside_the_first_one_and_its_exit_code_comes_back() {
    let container = running(Bundle::new());
    let namespaces = |pid: &str| -> Vec<String> {
        let read = |name: &str| {
            let link = fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("readlink");
            link.to_string_lossy().into_owned()
        };
        ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time"].map(read).to_vec()
    };
    let script =
        "for ns in mnt pid net ipc uts cgroup user time; do readlink /proc/self/ns/$ns; done; exit 9";
    let outcome = exec(&container, &[], &["sh", "-c", script]);
    let inside: Vec<String> = outcome.exited(9).lines().map(String::from).collect();
    assert_eq!(inside, namespaces(&container.pid().to_string()));
    assert_eq!(outcome.stderr, "");
    exec(&container, &[], &["sh", "-c", "kill -KILL $$"]).exited(137);
}

#[test]
fn what_fails_before_the_program_runs_exits_with_255_in_runcs_words() {
    let container = running(Bundle::new());
    let failed = |text: &str| format!("unable to start container process: {text}");
    refused(
        &exec(&container, &[], &["nosuch"]),
        &failed("exec: \"nosuch\": executable file not found in $PATH"),
    );
    refused(&exec(&container, &[], &["/etc"]), &failed("exec: \"/etc\": is a directory"));
    refused(&exec(&container, &[], &["/etc/passwd"]), &failed("exec: \"/etc/passwd\": permission denied"));
    let chdir = |path: &str| failed(&format!("chdir to cwd ({path:?}) set in config.json failed: "));
    refused(&exec(&container, &["--cwd", "/x"], &["true"]), &chdir("/x"));
    refused(&exec(&container, &["--cwd", "x"], &["true"]), "Cwd must be an absolute path");
    refused(&exec(&container, &[], &[]), "exec args cannot be empty");
    refused(&container.call(&["exec", "nobody", "true"]), "container does not exist");
    container.call(&["exec"]).exited(1);
    container.kill("KILL").succeeded();
    container.wait_stopped();
    refused(&exec(&container, &[], &["true"]), "cannot exec in a stopped container");
}

/// CVE-2016-3697, CVE-2024-40635, CVE-2026-30892: numbers, and exactly those.
#[test]
fn users_are_numbers_and_the_group_stays_where_none_is_named() {
    let user = json!({"uid": 1, "gid": 2, "additionalGids": [9]});
    let container = running(Bundle::new().set("/process/user", user));
    let id = |options: &[&str]| {
        let outcome = exec(&container, options, &["sh", "-c", "echo $(id -u):$(id -g):$(id -G)"]);
        outcome.succeeded().to_owned()
    };
    assert_eq!(id(&[]), "1:2:2 9");
    assert_eq!(id(&["-u", "5"]), "5:2:2 9");
    assert_eq!(id(&["--user", "5:6", "-g", "7", "--additional-gids=8"]), "5:6:6 7 8 9");
    assert_eq!(id(&["-u", "0:0"]), "0:0:0 9");
    assert_eq!(id(&["-u", "4294967294"]), "4294967294:2:2 9");
    for wrong in ["root", "-1", "4294967296", "4294967295", "1x"] {
        refused(&exec(&container, &["-u", wrong], &["true"]), "bad uid: ");
    }
    refused(&exec(&container, &["-u", "1:users"], &["true"]), "bad gid: ");
}

#[test]
fn the_process_is_the_containers_with_what_the_options_change() {
    let bundle = Bundle::new()
        .set("/process/env", json!(["PATH=/bin", "A=1", "B=2"]))
        .set("/process/cwd", json!("/tmp"))
        .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]))
        .set("/process/oomScoreAdj", json!(123));
    let container = running(bundle);
    // Later edits of config.json have no effect.
    fs::write(container.bundle.path().join("config.json"), "{}").expect("write");
    let script = "pwd; echo $A$B$C; ulimit -n; cat /proc/self/oom_score_adj; umask";
    let outcome = exec(&container, &["-e", "B=3", "--env=C=4"], &["sh", "-c", script]);
    assert_eq!(outcome.succeeded(), "/tmp\n134\n77\n123\n0022");
    assert_eq!(exec(&container, &["--cwd", "/bin"], &["pwd"]).succeeded(), "/bin");
    let outcome = exec(&container, &[], &["echo", "-u", "--tty", "-root"]);
    assert_eq!(outcome.succeeded(), "-u --tty -root");
}

/// CVE-2022-29162 and its kin: nothing becomes inheritable.
/// The kernel knows no UTF-8, and archives and shells of old have names that are none.
#[test]
fn arguments_environment_and_working_directory_are_bytes() {
    let odd = |text: &[u8]| OsStr::from_bytes(text).to_owned();
    let bundle = Bundle::new();
    fs::create_dir(bundle.rootfs().join(odd(b"d\xff"))).expect("mkdir");
    let container = running(bundle);
    let script = r#"pwd | od -An -tx1; printf '%s|' "$@" "$WORD" | od -An -tx1"#;
    let mut command = container.command(&["exec", "--cwd"]);
    command.arg(odd(b"/d\xff")).arg("--env").arg(odd(b"WORD=w\xfe")).arg("--env").arg(odd(b"A\xff=1"));
    command.arg(&container.id).args(["sh", "-c", script, "sh"]).args([odd(b"\xff"), odd(b"--a=\xc3(")]);
    let outcome = run_within_limit(command);
    let words: Vec<String> = outcome.succeeded().split_whitespace().map(String::from).collect();
    assert_eq!(words.concat(), "2f64ff0aff7c2d2d613dc3287c77fe7c", "{}", outcome.describe());

    let mut missing = container.command(&["exec", &container.id]);
    missing.arg(odd(b"/no\xff"));
    refused(
        &run_within_limit(missing),
        "unable to start container process: exec: \"/no\u{fffd}\": stat /no\u{fffd}: no such file or directory",
    );
}

#[test]
fn capabilities_are_added_and_never_inheritable() {
    let container = running(Bundle::new());
    let sets = |options: &[&str]| {
        let outcome = exec(&container, options, &["grep", "^Cap", "/proc/self/status"]);
        let text = outcome.succeeded().to_owned();
        text.lines().map(|line| line.split('\t').nth(1).expect("a mask").to_owned()).collect::<Vec<_>>()
    };
    let (none, default, more) = ("0000000000000000", "0000000020000420", "0000000020200420");
    assert_eq!(sets(&[]), [none, default, default, default, none]);
    assert_eq!(sets(&["--cap", "CAP_SYS_ADMIN"]), [none, more, more, more, none]);
    let outcome = exec(&container, &["-c", "CAP_FOO"], &["true"]);
    outcome.succeeded();
    assert!(outcome.stderr.contains("CAP_FOO"), "{}", outcome.describe());
}

#[test]
fn the_containers_filter_and_promise_hold_for_every_process() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
    });
    for no_new_privileges in [true, false] {
        let bundle = Bundle::new()
            .set("/linux/seccomp", profile.clone())
            .set("/process/noNewPrivileges", json!(no_new_privileges));
        let container = running(bundle);
        let script = "mkdir /tmp/x; grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status";
        let outcome = exec(&container, &[], &["sh", "-c", script]);
        let promise = if no_new_privileges { "NoNewPrivs:\t1" } else { "NoNewPrivs:\t0" };
        assert_eq!(outcome.succeeded(), format!("{promise}\nSeccomp:\t2"));
        assert!(outcome.stderr.contains("No space left"), "{}", outcome.describe());
        let outcome = exec(&container, &["--no-new-privs"], &["grep", "NoNewPrivs", "/proc/self/status"]);
        assert_eq!(outcome.succeeded(), "NoNewPrivs:\t1");
    }
}

#[test]
fn a_process_file_replaces_everything_and_may_be_a_pipe() {
    let container = running(Bundle::new().set("/process/env", json!(["PATH=/bin", "OLD=1"])));
    let process = json!({
        "args": ["/bin/sh", "-c", "pwd; echo $OLD$NEW; id -u"], "cwd": "/tmp", "env": ["NEW=2"],
        "user": {"uid": 3, "gid": 3},
    });
    let path = container.bundle.scratch().join("process.json");
    fs::write(&path, process.to_string()).expect("write");
    let outcome = container.call(&["exec", "--process", path.to_str().expect("UTF-8"), &container.id]);
    assert_eq!(outcome.succeeded(), "/tmp\n2\n3");
    let mut command = container.command(&["exec", "-p", "/proc/self/fd/0", &container.id]);
    let (reader, writer) = rustix::pipe::pipe().expect("pipe");
    rustix::io::write(&writer, process.to_string().as_bytes()).expect("write");
    drop(writer);
    command.stdin(Stdio::from(reader)).stdout(Stdio::piped());
    let output = command.output().expect("run");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/tmp\n2\n3\n");
    for (text, problem) in [
        ("{", "process is not valid JSON"),
        (r#"{"args": ["true"]}"#, "$.process.cwd"),
        (r#"{"args": [], "cwd": "/"}"#, "$.process.args: args must not be empty"),
        (r#"{"args": [], "cwd": "x"}"#, "process has 2 problems: $.process.args: "),
        (" null\n", "$.process: must not be null"),
        (r#"{"args": ["true"], "cwd": "/"},"hooks":{}"#, "process is not valid JSON"),
    ] {
        fs::write(&path, text).expect("write");
        let outcome = container.call(&["exec", "-p", path.to_str().expect("UTF-8"), &container.id]);
        if is_pinnace() {
            refused(&outcome, problem);
        } else {
            outcome.exited(255);
        }
    }
}

#[test]
fn a_detached_process_is_left_alone_with_its_pid_told() {
    let container = running(Bundle::new());
    let (pid_file, socket) =
        (container.bundle.scratch().join("pid"), container.bundle.scratch().join("pidfd.sock"));
    let listener = UnixListener::bind(&socket).expect("bind");
    let [pid_path, socket_path] = [&pid_file, &socket].map(|path| path.to_str().expect("UTF-8"));
    let options = ["-d", "--pid-file", pid_path, "--pidfd-socket", socket_path];
    exec(&container, &options, &["sleep", "999"]).succeeded();
    let pid = fs::read_to_string(&pid_file).expect("read");
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).expect("read");
    assert_eq!(name.trim(), "sleep");
    let (pidfd, payload) = receive_master(&listener);
    assert_eq!(payload, "setns");
    let shown = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).expect("read");
    assert!(shown.contains(&format!("Pid:\t{pid}\n")), "{shown}");
}

#[test]
fn a_terminal_of_its_own_and_a_console_socket() {
    let container = running(Bundle::new());
    let command = container.command(&["exec", "-t", &container.id, "sh", "-c", "tty; stty size; exit 4"]);
    let mut pty = Pty::spawn(command, 66, 22);
    let before = pty.settings();
    assert_eq!(pty.wait(), (4, String::from("/dev/pts/0\r\n22 66\r\n")));
    assert_eq!(pty.settings(), before);
    let path = container.bundle.scratch().join("console.sock");
    let listener = UnixListener::bind(&path).expect("bind");
    let options = ["--tty", "--detach", "--console-socket", path.to_str().expect("UTF-8")];
    exec(&container, &options, &["sh", "-c", "tty; sleep 100"]).succeeded();
    let (master, _) = receive_master(&listener);
    let mut seen = [0; 64];
    let count = rustix::io::read(&master, &mut seen).expect("read");
    assert!(String::from_utf8_lossy(&seen[..count]).starts_with("/dev/pts/"));
    let name = if is_pinnace() { "pinnace" } else { "runc" };
    let text = format!("cannot allocate tty if {name} will detach without setting console socket");
    refused(&exec(&container, &["-t", "-d"], &["true"]), &text);
}

#[test]
fn preserved_descriptors_are_there_and_others_are_not() {
    let container = running(Bundle::new());
    let open = |count: u32, options: &[&str], program: &[&str]| {
        let words = [&["exec"], options, &[container.id.as_str()], program].concat();
        let inner = container.command(&words);
        let redirections: String = (3..3 + count).map(|number| format!(" {number}</proc/version")).collect();
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("exec \"$0\" \"$@\"{redirections}"));
        command.arg(inner.get_program()).args(inner.get_args());
        run_within_limit(command)
    };
    let outcome = open(2, &["--preserve-fds", "2"], &["ls", "/proc/self/fd"]);
    assert_eq!(outcome.succeeded(), "0\n1\n2\n3\n4\n5");
    let outcome = open(2, &["--preserve-fds", "1"], &["ls", "/proc/self/fd"]);
    assert_eq!(outcome.succeeded(), "0\n1\n2\n3\n4");
    let outcome = open(2, &["--preserve-fds", "4"], &["true"]);
    refused(&outcome, "unable to stat preserved-fd 2 (of 4): no such file or directory");
    let outcome = open(0, &["--preserve-fds", "99999999999"], &["true"]);
    refused(&outcome, "unable to stat preserved-fd 0 (of 99999999999): no such file or directory");
    // As runc: less than none is none.
    open(2, &["--preserve-fds", "-1"], &["ls", "/proc/self/fd"]).exited(0);
    assert_eq!(open(2, &["--preserve-fds=-1"], &["ls", "/proc/self/fd"]).succeeded(), "0\n1\n2\n3");
}

#[test]
fn processors_are_those_of_the_configuration() {
    if std::thread::available_parallelism().is_ok_and(|count| count.get() < 2) {
        return skip("there is one processor");
    }
    for (affinity, expected) in [
        (json!({"initial": "0-1", "final": "1"}), "1"),
        (json!({"final": "0"}), "0"),
        // What becomes of it in the container's cgroups is the kernel's business: since 6.2 it stays.
        (json!({"initial": "1"}), if is_linux_6_2() { "1" } else { "0-1" }),
    ] {
        let container = running(Bundle::new().set("/process/execCPUAffinity", affinity));
        let outcome = exec(&container, &[], &["grep", "Cpus_allowed_list", "/proc/self/status"]);
        assert_eq!(outcome.succeeded(), format!("Cpus_allowed_list:\t{expected}"));
    }
}

#[test]
fn a_start_with_descriptors_from_systemd_passes_them_on() {
    let bundle =
        Bundle::new().shell("echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; cat <&3; ls /proc/self/fd");
    let container = bundle.container();
    let inner = container.create_command("run", &[]);
    let mut command = Command::new("/bin/sh");
    let script = "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web; exec \"$0\" \"$@\" 3</proc/version 4</proc/version";
    command.arg("-c").arg(script).arg(inner.get_program()).args(inner.get_args());
    let outcome = run_within_limit(command);
    let mut name = String::new();
    fs::File::open("/proc/version").and_then(|mut file| file.read_to_string(&mut name)).expect("read");
    if is_pinnace() {
        assert_eq!(outcome.succeeded(), format!("1 1 web\n{}\n0\n1\n2\n3\n4", name.trim()));
    }
    // What is not open cannot be passed on, and its number must not become one of ours.
    let mut command = Command::new("/bin/sh");
    let script = "export LISTEN_PID=$$ LISTEN_FDS=2; exec \"$0\" \"$@\" 3</proc/version 4<&-";
    command.arg("-c").arg(script).arg(inner.get_program()).args(inner.get_args());
    let outcome = run_within_limit(command);
    if is_pinnace() {
        outcome.failed_with(&["LISTEN_FDS=2: descriptor 4"]);
    }
    // For another process they are not meant.
    let mut command = container.create_command("run", &[]);
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    assert!(run_within_limit(command).stdout.starts_with('\n'));
}

#[test]
fn the_pidfd_of_a_foreground_process_is_sent_as_well() {
    let container = running(Bundle::new());
    let socket = container.bundle.scratch().join("pidfd.sock");
    let listener = UnixListener::bind(&socket).expect("bind");
    let path = socket.to_str().expect("UTF-8");
    let waiting = container.command(&["exec", "--pidfd-socket", path, &container.id, "sleep", "1000"]);
    let mut child = { waiting }.spawn().expect("start");
    let (pidfd, payload) = receive_master(&listener);
    assert_eq!(payload, "setns");
    let shown = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).expect("read");
    let pid = shown.lines().find_map(|line| line.strip_prefix("Pid:\t")).expect("a pid").to_owned();
    // It is sent before the program is executed.
    wait_until("the program runs", || {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
    });
    rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL).expect("signal");
    assert_eq!(child.wait().expect("wait").code(), Some(137));
    let outcome = exec(&container, &["--pidfd-socket", "/no/socket"], &["touch", "/tmp/x"]);
    outcome.exited(255);
    assert!(outcome.message().contains("/no/socket"), "{}", outcome.describe());
}

/// What nobody would enforce is refused, as for the container's own program.
#[test]
fn labels_that_the_host_does_not_know_are_refused() {
    if !tests_pinnace() {
        return;
    }
    let container = running(Bundle::new());
    let enabled = |file: &str| fs::read_to_string(file).is_ok_and(|text| text.starts_with(['Y', '0', '1']));
    for (option, file, text) in [
        (
            "--process-label",
            "/sys/fs/selinux/enforce",
            "$.process.selinuxLabel: selinux label is specified in config",
        ),
        (
            "--apparmor",
            "/sys/module/apparmor/parameters/enabled",
            "$.process.apparmorProfile: profile \"x:y:z\"",
        ),
    ] {
        if enabled(file) {
            skip("the host knows them");
            continue;
        }
        refused(&exec(&container, &[option, "x:y:z"], &["true"]), text);
        // An empty one is none.
        exec(&container, &[option, ""], &["true"]).succeeded();
    }
}

#[test]
fn a_process_file_that_is_silent_about_umask_and_score_has_the_containers() {
    let bundle = Bundle::new()
        .set("/process/user", json!({"uid": 0, "gid": 0, "umask": 0o27}))
        .set("/process/oomScoreAdj", json!(77));
    let container = running(bundle);
    let path = container.bundle.scratch().join("process.json");
    let script = "umask; cat /proc/self/oom_score_adj";
    let run = |user: pinnace_tests::Value, score: Option<i32>| {
        let mut process = json!({"args": ["/bin/sh", "-c", script], "cwd": "/", "user": user});
        if let Some(score) = score {
            process["oomScoreAdj"] = json!(score);
        }
        fs::write(&path, process.to_string()).expect("write");
        let path = path.to_str().expect("UTF-8");
        container.call(&["exec", "--process", path, &container.id]).succeeded().to_owned()
    };
    assert_eq!(run(json!({"uid": 0, "gid": 0}), None), "0027\n77");
    if is_pinnace() {
        assert_eq!(run(json!({"uid": 0, "gid": 0, "umask": 0o77}), Some(99)), "0077\n99");
    }
}

/// Whoever leaves out the capabilities does not ask for the host's.
#[test]
fn a_process_file_that_is_silent_about_what_confines_has_the_containers() {
    let bundle = Bundle::new()
        .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 6}))
        .set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 5}));
    let container = running(bundle);
    let path = container.bundle.scratch().join("process.json");
    let script =
        "sed -n 's/^Cap\\(Eff\\|Bnd\\):\\t//p' /proc/self/status; ionice; cut -d' ' -f19,41 /proc/self/stat";
    let run = |process: Value| {
        fs::write(&path, process.to_string()).expect("write");
        let path = path.to_str().expect("UTF-8");
        container.call(&["exec", "--process", path, &container.id]).succeeded().to_owned()
    };
    let containers = "0000000020000420\n0000000020000420\nbest-effort: prio 6\n5 3";
    let silent = json!({"args": ["/bin/sh", "-c", script], "cwd": "/"});
    assert_eq!(run(silent.clone()), containers);
    let mut process = silent.clone();
    process["capabilities"] = Value::Null;
    assert_eq!(run(process), containers);
    let mut process = silent;
    process["capabilities"] = json!({});
    process["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 2});
    process["scheduler"] = json!({"policy": "SCHED_OTHER", "nice": 7});
    let none = "0000000000000000\n0000000000000000\nbest-effort: prio 2\n7 0";
    assert_eq!(run(process), none);
}

/// Fewer open files than stage1 needs: set when it needs none any more.
#[test]
fn a_very_low_limit_of_open_files_holds_for_an_exec_too() {
    let container = running(Bundle::new());
    let path = container.bundle.scratch().join("process.json");
    for (soft, hard) in [(400, 500), (40, 50), (4, 4)] {
        let limit = json!([{"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}]);
        let script = "ulimit -Sn; ulimit -Hn";
        let process = json!({"args": ["/bin/sh", "-c", script], "cwd": "/", "rlimits": limit});
        fs::write(&path, process.to_string()).expect("write");
        let outcome = container.call(&["exec", "--process", path.to_str().expect("UTF-8"), &container.id]);
        assert_eq!(outcome.succeeded(), format!("{soft}\n{hard}"));
    }
}

#[test]
fn options_of_the_process_are_checked_before_anything_runs() {
    let container = running(Bundle::new().writable());
    for (options, text) in [
        (&["-e", "NAME"][..], "missing '='"),
        (&["-e", "=x"], "name cannot be empty"),
        (&["-g", "-1"], "additional-gids must be a positive number -1"),
        (&["--pid-file", "/dev/null/file"], "not a directory"),
        (&["--console-socket", "/no/socket"], "cannot use console socket if"),
        (&["--tty", "--detach", "--console-socket", "/no/socket"], "no such file or directory"),
        (&["--cgroup", "nosuch"], "no such file or directory"),
        (&["--cgroup", "/../.."], "sub cgroup path"),
        (&["--process", "/no/file"], "open /no/file: no such file or directory"),
    ] {
        let outcome = exec(&container, options, &["touch", "/ran"]);
        outcome.exited(255);
        assert!(outcome.message().contains(text), "{text}: {}", outcome.describe());
        assert!(!container.bundle.rootfs().join("ran").exists(), "{options:?}");
    }
    for options in [&["--env", "HOME=/x", "--env", "HOME=/y"][..], &["--env=HOME=/x", "--env=HOME=/y"]] {
        assert_eq!(exec(&container, options, &["sh", "-c", "echo $HOME"]).succeeded(), "/y");
    }
}

fn is_linux_6_2() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the release");
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(2))
}
