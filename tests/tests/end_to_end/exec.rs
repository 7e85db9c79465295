//! `exec`: one more process in a container.

use std::fs;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use pinnace_tests::{
    Bundle, Container, Outcome, Pty, cgroup_hierarchies, find_program, is_pinnace, json, run_within_limit,
    skip, system_calls, wait_until,
};

use crate::terminal::receive_master;
use crate::user_namespace::{by_user, of_user};

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
fn a_process_is_in_every_cgroup_of_its_container() {
    let container = running(Bundle::new());
    let of_init = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read");
    let outcome = exec(&container, &[], &["cat", "/proc/self/cgroup"]);
    assert_eq!(outcome.succeeded(), of_init.trim());
}

#[test]
fn sub_cgroups_are_below_the_containers_and_nowhere_else() {
    let container = running(Bundle::new());
    let Some(pids) = cgroup_hierarchies().get("pids").cloned() else {
        return skip("sub_cgroups_are_below_the_containers", "there is no v1 hierarchy of pids");
    };
    let directory = pids.join(&container.id).join("sub");
    fs::create_dir(&directory).expect("make a cgroup");
    let outcome = exec(&container, &["--cgroup", "pids:sub"], &["cat", "/proc/self/cgroup"]);
    assert!(
        outcome.succeeded().contains(&format!(":pids:/{}/sub\n", container.id)),
        "{}",
        outcome.describe()
    );
    for (option, text) in [
        ("pids:missing", "adding the process to its cgroups: open "),
        ("pids:../../", "../../ is not a sub cgroup path"),
        ("nothing:x", "unknown controller nothing"),
        (":x", "invalid --cgroup argument: :x"),
    ] {
        let outcome = exec(&container, &["--cgroup", option], &["true"]);
        if is_pinnace() {
            refused(&outcome, text);
        } else {
            outcome.exited(255);
        }
    }
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
fn paused_containers_take_nobody_and_created_ones_do() {
    let container = Bundle::new().args(&["/bin/sleep", "1000"]).container();
    container.create().succeeded();
    exec(&container, &[], &["true"]).succeeded();
    container.start().succeeded();
    container.call(&["pause", &container.id]).succeeded();
    refused(
        &exec(&container, &[], &["true"]),
        "cannot exec in a paused container (use --ignore-paused to override)",
    );
    let mut child =
        container.command(&["exec", "--ignore-paused", &container.id, "true"]).spawn().expect("start");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(child.try_wait().expect("wait").is_none(), "it ran in a frozen cgroup");
    container.call(&["resume", &container.id]).succeeded();
    assert_eq!(child.wait().expect("wait").code(), Some(0));
}

#[test]
fn who_waits_for_a_paused_container_or_for_a_process_file_can_be_asked_to_end() {
    let container = running(Bundle::new().writable());
    let fifo = container.bundle.scratch().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from(0o600)).expect("mkfifo");
    let end = |words: &[&str]| {
        let running = pinnace_tests::spawn(container.command(words));
        std::thread::sleep(std::time::Duration::from_millis(400));
        running.signal(pinnace_tests::Signal::WINCH);
        std::thread::sleep(std::time::Duration::from_millis(200));
        running.signal(pinnace_tests::Signal::TERM);
        running.finish()
    };
    end(&["exec", "-p", fifo.to_str().expect("UTF-8"), &container.id]).exited(143);
    container.call(&["pause", &container.id]).succeeded();
    for options in [&[][..], &["--tty"]] {
        let words = [&["exec", "--ignore-paused"], options, &[&container.id, "touch", "/ran"]].concat();
        let outcome = if options.is_empty() {
            end(&words)
        } else {
            // Standard error is the terminal.
            let mut pty = Pty::spawn(container.command(&words), 80, 24);
            std::thread::sleep(std::time::Duration::from_millis(400));
            let pid = rustix::process::Pid::from_raw(pty.id() as i32).expect("a pid");
            rustix::process::kill_process(pid, pinnace_tests::Signal::TERM).expect("kill");
            assert_eq!(pty.wait().0, 143);
            continue;
        };
        outcome.exited(143);
        let text = "exec failed: interrupted by SIGTERM before the program was started";
        assert!(!is_pinnace() || outcome.message() == text, "{}", outcome.describe());
    }
    container.call(&["resume", &container.id]).succeeded();
    wait_until("nobody is left of them", || {
        container.call(&["ps", "--format", "json", &container.id]).stdout.matches(',').count() == 0
    });
    assert!(!container.bundle.rootfs().join("ran").exists(), "it ran all the same");
}

#[test]
fn who_is_killed_leaves_nothing_beside_the_pid_file() {
    let container = running(Bundle::new());
    let directory = container.bundle.scratch().join("pids");
    fs::create_dir(&directory).expect("mkdir");
    let file = directory.join("pid");
    let words =
        ["exec", "--ignore-paused", "--pid-file", file.to_str().expect("UTF-8"), &container.id, "true"];
    container.call(&["pause", &container.id]).succeeded();
    let waiting = pinnace_tests::spawn(container.command(&words));
    std::thread::sleep(std::time::Duration::from_millis(400));
    waiting.signal(pinnace_tests::Signal::KILL);
    waiting.finish().exited(137);
    container.call(&["resume", &container.id]).succeeded();
    assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 0);
    // A file that is there is replaced, and by nothing that is half written.
    for _ in 0..2 {
        container.call(&words).succeeded();
        assert!(fs::read_to_string(&file).expect("read").parse::<u32>().is_ok());
        assert_eq!(fs::metadata(&file).expect("stat").mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 1);
    }
}

/// CVE-2024-21626 and 2019-5736: neither the working directory nor a descriptor of the host's gets in.
#[test]
fn nothing_of_the_host_leaks_in() {
    let container = running(Bundle::new());
    let host = fs::File::open("/").expect("open /");
    let leaked: OwnedFd = rustix::io::fcntl_dupfd_cloexec(&host, 20).expect("dup");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("inherit");
    let outcome = exec(&container, &[], &["ls", "/proc/self/fd"]);
    // 3 is that of ls itself.
    assert_eq!(outcome.succeeded(), "0\n1\n2\n3");
    for number in [3, leaked.as_raw_fd()] {
        let cwd = format!("/proc/self/fd/{number}");
        exec(&container, &["--cwd", &cwd], &["ls"]).exited(255);
    }
    let outcome = exec(&container, &[], &["/proc/self/exe"]);
    assert_ne!(outcome.code, 0);
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
        return skip("processors_are_those_of_the_configuration", "there is one processor");
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
fn processors_of_the_caller_are_not_those_of_the_process() {
    let Some(taskset) = find_program("taskset") else {
        return skip("processors_of_the_caller_are_not_those_of_the_process", "util-linux is not installed");
    };
    let container = running(Bundle::new());
    let program = ["grep", "Cpus_allowed_list", "/proc/self/status"];
    let expected = exec(&container, &[], &program);
    let inner = container.command(&[&["exec", container.id.as_str()], &program[..]].concat());
    let mut command = Command::new(taskset);
    command.arg("1").arg(inner.get_program()).args(inner.get_args());
    assert_eq!(run_within_limit(command).succeeded(), expected.succeeded());
}

fn is_linux_6_2() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the release");
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(2))
}

#[test]
fn containers_with_a_user_namespace_and_without_a_mount_namespace_are_entered_too() {
    let maps = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let bundle = Bundle::new()
        .set("/linux/uidMappings", maps.clone())
        .set("/linux/gidMappings", maps)
        .set("/linux/namespaces/-", json!({"type": "user"}));
    let container = running(bundle);
    let script = "id -u; cut -d' ' -f1- /proc/self/uid_map | tr -s ' '; ulimit -n";
    let outcome = exec(&container, &[], &["sh", "-c", script]);
    assert_eq!(outcome.succeeded(), "0\n 0 100000 65536\n1024");
    exec(&container, &["-u", "7:7"], &["sh", "-c", "test $(id -u) = 7"]).succeeded();
    // What stage1 makes there belongs to the namespace's root: a terminal, whoever gets that, and what is mounted.
    let list = container.bundle.scratch().join("mounts.json");
    fs::write(&list, json!([{"destination": "/tmp", "type": "tmpfs", "source": "t"}]).to_string())
        .expect("write");
    if is_pinnace() {
        container.call(&["mounts", "add", &container.id, list.to_str().expect("UTF-8")]).succeeded();
        assert_eq!(exec(&container, &[], &["stat", "-c", "%u:%g", "/tmp"]).succeeded(), "0:0");
    }

    let plain = Bundle::new().without_namespace("mount").without_mount("/").edit(|config| {
        config["mounts"] = json!([]);
        config["root"]["readonly"] = json!(false);
        for paths in ["maskedPaths", "readonlyPaths"] {
            config["linux"].as_object_mut().expect("linux").remove(paths);
        }
    });
    let container = running(plain);
    let outcome = exec(&container, &[], &["ls", "/bin/busybox"]);
    assert_eq!(outcome.succeeded(), "/bin/busybox");
    assert_eq!(exec(&container, &[], &["ls", "/"]).succeeded(), "bin\ndev\netc\nproc\nsys\ntmp");
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
fn an_exec_makes_few_system_calls_and_no_thread() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("an_exec_makes_few_system_calls", "strace is not installed");
    };
    let container = running(Bundle::new());
    let inner = container.command(&["exec", &container.id, "/bin/true"]);
    let (text, calls) = system_calls(&strace, &inner, &container.bundle.scratch().join("strace"));
    assert!(!calls.iter().any(|call| call.contains("CLONE_THREAD")), "a thread was made");
    // The second is the birth in the pid namespace.
    assert_eq!(calls.iter().filter(|call| call.starts_with("clone")).count(), 2, "{text}");
    assert_eq!(calls.iter().filter(|call| call.starts_with("mount")).count(), 0, "{text}");
    eprintln!("system calls of an exec: {}", calls.len());
    assert!(calls.len() <= CALLS_MAX, "{} system calls:\n{text}", calls.len());
}

/// Whoever is in the container with CAP_SYS_PTRACE owns what comes into its pid namespace: that must be stage1, out of its sealed copy and in the
/// container's own tree. Nothing of the host, neither the runtime's program (CVE-2019-5736) nor its memory, may be met in there.
#[test]
fn nothing_of_the_host_comes_into_the_pid_namespace() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("nothing_of_the_host", "strace is not installed");
    };
    let container = running(Bundle::new());
    let log = |name: &str| container.bundle.scratch().join(name);
    let inner = container.command(&["exec", &container.id, "/bin/true"]);
    let (text, calls) = system_calls(&strace, &inner, &log("exec"));
    check_birth(&text, &calls, "one setns into all", |call| {
        call.starts_with("setns") && call.contains("CLONE_NEWNS") && call.contains("CLONE_NEWPID")
    });

    let namespace = format!("/proc/{}/ns/pid", container.pid());
    let second = Bundle::new().join_namespace("pid", &namespace).args(&["/bin/true"]).container();
    let (text, calls) = system_calls(&strace, &second.create_command("run", &[]), &log("run"));
    check_birth(&text, &calls, "pivot_root", |call| call.starts_with("pivot_root"));
}

/// stage1 is executed; then `ready` happens; and only then somebody is born, and goes on to the program without another execution.
#[track_caller]
fn check_birth(text: &str, calls: &[String], what: &str, ready: impl Fn(&String) -> bool) {
    let position = |what: &str, is_it: &dyn Fn(&String) -> bool| {
        calls.iter().position(is_it).unwrap_or_else(|| panic!("no {what} in\n{text}"))
    };
    let executed = position("execveat", &|call| call.starts_with("execveat"));
    let is_birth = |call: &String| call.starts_with("clone3") && call.contains("CLONE_PARENT");
    let born = position("birth", &is_birth);
    assert!(executed < position(what, &ready) && position(what, &ready) < born, "{text}");
    let joins = |call: &&String| call.starts_with("setns") && call.contains("CLONE_NEWPID");
    assert!(!calls[..executed].iter().any(|call| joins(&call)), "{text}");
    let executions = calls[born..].iter().filter(|call| call.starts_with("exec"));
    assert_eq!(executions.count(), 1, "{text}");
}

/// What an exec of /bin/true makes on a host with nine v1 hierarchies, with some room. (A build for debugging asks for each descriptor it closes.)
const CALLS_MAX: usize = 200;

#[test]
fn the_end_of_a_container_ends_its_processes() {
    let container = running(Bundle::new());
    let script = "echo >/dev/shm/runs; exec sleep 100";
    let mut child = container.command(&["exec", &container.id, "sh", "-c", script]).spawn().expect("start");
    let mark = format!("/proc/{}/root/dev/shm/runs", container.pid());
    wait_until("it runs", || fs::exists(&mark).is_ok_and(|runs| runs));
    container.kill("KILL").succeeded();
    assert_eq!(child.wait().expect("wait").code(), Some(137));
}

/// The container's root is not that of its mount namespace: every way in has to change to it.
#[test]
fn a_root_that_was_not_pivoted_to_is_the_root_of_every_process() {
    let bundle = Bundle::new().args(&["/bin/sleep", "1000"]).set("/process/cwd", json!("/tmp"));
    let container = bundle.container().with_create_options(&["--no-pivot"]);
    container.run_detached().succeeded();
    let names = "bin\ndev\netc\nproc\nsys\ntmp";
    let outcome = exec(&container, &[], &["sh", "-c", "pwd; ls /; ls /..; ls -d /proc/1/root/bin"]);
    assert_eq!(outcome.succeeded(), format!("/tmp\n{names}\n{names}\n/proc/1/root/bin"));
    assert_eq!(exec(&container, &["--cwd", "/etc/../bin"], &["./pwd"]).succeeded(), "/bin");
    // Names are looked up in the container's own files.
    assert_eq!(exec(&container, &["-u", "1000"], &["sh", "-c", "echo $HOME"]).succeeded(), "/home/user");
    for outside in ["/proc/1/cwd/../../..", "/../../.."] {
        let outcome = exec(&container, &["--cwd", outside], &["ls"]);
        assert_eq!(outcome.succeeded(), names, "{outside}");
    }

    let socket = container.bundle.scratch().join("pidfd.sock");
    let listener = UnixListener::bind(&socket).expect("bind");
    let options = ["--detach", "--pidfd-socket", socket.to_str().expect("UTF-8")];
    exec(&container, &options, &["sleep", "999"]).succeeded();
    let (_pidfd, payload) = receive_master(&listener);
    assert_eq!(payload, "setns");

    let command = container.command(&["exec", "-t", &container.id, "sh", "-c", "tty; pwd"]);
    assert_eq!(Pty::spawn(command, 80, 25).wait(), (0, String::from("/dev/pts/0\r\n/tmp\r\n")));
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

#[test]
fn an_ordinary_user_enters_the_containers_that_are_the_users_own() {
    let container = of_user(Bundle::new().args(&["/bin/sleep", "100"]).writable());
    let path = container.bundle.path();
    let call = |args: &[&str]| by_user(&container, args).map(run_within_limit);
    let run = ["run", "--detach", "--bundle", path.to_str().expect("UTF-8"), &container.id];
    let Some(outcome) = call(&run) else {
        return skip("an_ordinary_user_enters_the_containers", "setpriv is not installed");
    };
    outcome.succeeded();
    let exec = |options: &[&str], script: &str| {
        let words = [&["exec"], options, &[container.id.as_str(), "sh", "-c", script]].concat();
        call(&words).expect("setpriv is there")
    };
    let pid_file = container.bundle.scratch().join("pid");
    let options = ["--pid-file", pid_file.to_str().expect("UTF-8"), "--env", "A=b", "--cwd", "/bin"];
    let outcome = exec(&options, "id -u; pwd; echo $A; cat /proc/self/uid_map; exit 6");
    let words: Vec<&str> = outcome.exited(6).split_whitespace().collect();
    assert_eq!(words, ["0", "/bin", "b", "0", "4242", "1"], "{}", outcome.describe());
    assert!(fs::read_to_string(&pid_file).expect("the pid").parse::<u32>().is_ok());
    assert_eq!(exec(&["--no-new-privs"], "grep NoNewPrivs /proc/self/status").succeeded(), "NoNewPrivs:\t1");
    // Whoever is not mapped cannot be become.
    let outcome = exec(&["--user", "7"], "true");
    outcome.exited(255);
    assert!(outcome.stderr.contains("setres"), "{}", outcome.describe());
    call(&["delete", "--force", &container.id]).expect("setpriv is there").succeeded();
}

/// What nobody would enforce is refused, as for the container's own program.
#[test]
fn labels_that_the_host_does_not_know_are_refused() {
    if !is_pinnace() {
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
            skip("labels_that_the_host_does_not_know_are_refused", "the host knows them");
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

/// Who is born in the pid namespace may be ready before it is told that he was born.
#[test]
fn a_newborn_may_be_quicker_than_the_word_of_it() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("a_newborn_may_be_quicker", "strace is not installed");
    };
    // Without cgroups it waits for nothing.
    let container = Bundle::new().args(&["/bin/sleep", "1000"]).container();
    let options = ["--cgroup-manager", "disabled", "run", "--detach", "--bundle"];
    let bundle = container.bundle.path();
    let options = [&options[..], &[bundle.to_str().expect("UTF-8"), &container.id]].concat();
    container.call(&options).succeeded();
    for (program, code) in [("/bin/true", 0), ("/bin/false", 1), ("/no/such/program", 255)] {
        let exec = container.command(&["exec", &container.id, program]);
        let mut command = Command::new(&strace);
        command.args(["-f", "-qq", "-e", "trace=sendmsg", "-e", "inject=sendmsg:delay_enter=50000"]);
        command.arg("-o").arg(container.bundle.scratch().join("strace"));
        command.arg(exec.get_program()).args(exec.get_args());
        let outcome = run_within_limit(command);
        assert_eq!(outcome.code, code, "{}", outcome.describe());
        assert_eq!(
            outcome.stderr.contains("no such file or directory"),
            code == 255,
            "{}",
            outcome.describe()
        );
    }
}
