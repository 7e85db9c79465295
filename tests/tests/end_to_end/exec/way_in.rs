//! How a process gets into a container, and with whom.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use pinnace_tests::{
    Bundle, Container, Outcome, Pty, cgroup_hierarchies, find_program, is_pinnace, json, run_within_limit,
    skip, spawn, system_calls, tampered, wait_until,
};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::{exec, refused, running};
use crate::terminal::receive_master;
use crate::user_namespace::{by_user, of_user};

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
        return skip("there is no v1 hierarchy of pids");
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

/// What an exec of /bin/true makes on a host with nine v1 hierarchies, with some room. (A build for debugging asks for each descriptor it closes.)
const CALLS_MAX: usize = 200;

#[test]
fn an_exec_makes_few_system_calls_and_no_thread() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("strace is not installed");
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
        return skip("strace is not installed");
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
/// What becomes of a process that is killed on its way in is told as it is: nothing says that memory was short.
#[test]
fn a_process_that_is_killed_on_its_way_in_says_so() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("strace is not installed");
    };
    let limited = || Bundle::new().set("/linux/resources/memory", json!({"limit": 64 << 20}));
    let container =
        running(if cgroup_hierarchies().contains_key("memory") { limited() } else { Bundle::new() });
    let log = container.bundle.scratch().join("strace");
    let exec = container.command(&["exec", &container.id, "/bin/true"]);
    let outcome = run_within_limit(tampered(&strace, &exec, "setns:signal=KILL", &log));
    refused(&outcome, "the process was killed (SIGKILL) while it was being set up");
    assert!(!outcome.message().contains("memory"), "{}", outcome.describe());
    assert_eq!(container.status(), "running");

    // The container takes whoever is in it along.
    let held = spawn(tampered(&strace, &exec, "setns:delay_exit=500000", &log));
    wait_until("stage1 comes in", || fs::read_to_string(&log).is_ok_and(|text| text.contains("setns")));
    container.kill("KILL").succeeded();
    refused(&held.finish(), "cannot exec in a stopped container");
}

/// The first process is the last to go: it waits until everybody in its pid namespace has been reaped.
#[test]
fn a_container_that_cannot_end_yet_takes_nobody_in() {
    let container = running(Bundle::new());
    let beside = spawn(container.command(&["exec", &container.id, "sh", "-c", "echo runs; exec sleep 1000"]));
    wait_until("it runs", || beside.stdout_now().contains("runs"));
    beside.signal(pinnace_tests::Signal::STOP);
    let init = container.pid();
    container.kill("KILL").succeeded();
    wait_until("the first process is ending", || fs::metadata(format!("/proc/{init}/exe")).is_err());
    for options in [&[][..], &["--detach"]] {
        let outcome = exec(&container, options, &["true"]);
        if is_pinnace() {
            refused(&outcome, "cannot exec in a stopped container");
        } else {
            outcome.exited(255);
        }
    }
    beside.signal(pinnace_tests::Signal::CONT);
    beside.finish().exited(137);
}

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
fn an_ordinary_user_enters_the_containers_that_are_the_users_own() {
    let container = of_user(Bundle::new().args(&["/bin/sleep", "100"]).writable());
    let path = container.bundle.path();
    let call = |args: &[&str]| by_user(&container, args).map(run_within_limit);
    let run = ["run", "--detach", "--bundle", path.to_str().expect("UTF-8"), &container.id];
    let Some(outcome) = call(&run) else {
        return skip("setpriv is not installed");
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

/// Who is born in the pid namespace may be ready before it is told that he was born.
#[test]
fn a_newborn_may_be_quicker_than_the_word_of_it() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("strace is not installed");
    };
    // Without cgroups it waits for nothing.
    let container = Bundle::new().args(&["/bin/sleep", "1000"]).container();
    let options = ["--cgroup-manager", "disabled", "run", "--detach", "--bundle"];
    let bundle = container.bundle.path();
    let options = [&options[..], &[bundle.to_str().expect("UTF-8"), &container.id]].concat();
    container.call(&options).succeeded();
    for (program, code) in [("/bin/true", 0), ("/bin/false", 1), ("/no/such/program", 255)] {
        let exec = container.command(&["exec", &container.id, program]);
        let log = container.bundle.scratch().join("strace");
        let outcome = run_within_limit(tampered(&strace, &exec, "sendmsg:delay_enter=50000", &log));
        assert_eq!(outcome.code, code, "{}", outcome.describe());
        assert_eq!(
            outcome.stderr.contains("no such file or directory"),
            code == 255,
            "{}",
            outcome.describe()
        );
    }
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
    // Who reads what it writes is not kept waiting for the end of the pause.
    let (reader, writer) = rustix::pipe::pipe().expect("pipe");
    let mut command = container.command(&["exec", "--ignore-paused", &container.id, "touch", "/ran"]);
    let mut child = command.stdout(writer).spawn().expect("start");
    drop(command);
    std::thread::sleep(std::time::Duration::from_millis(400));
    let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a pid");
    rustix::process::kill_process(pid, pinnace_tests::Signal::TERM).expect("kill");
    child.wait().expect("wait");
    let mut polled = [PollFd::new(&reader, PollFlags::IN)];
    let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut polled, Some(&limit)), Ok(1), "the pipe is held open");
    container.call(&["resume", &container.id]).succeeded();
    wait_until("nobody is left of them", || {
        container.call(&["ps", "--format", "json", &container.id]).stdout.matches(',').count() == 0
    });
    assert!(!container.bundle.rootfs().join("ran").exists(), "it ran all the same");
}

/// The pause may come when the exec has seen that there is none.
#[test]
fn who_is_overtaken_by_a_pause_can_be_asked_to_end() {
    let Some(strace) = find_program("strace").filter(|_| is_pinnace()) else {
        return skip("strace is not installed");
    };
    let container = running(Bundle::new().writable());
    for (number, injection) in
        ["clone3:delay_enter=800000:when=1", "sendmsg:delay_enter=800000:when=2"].iter().enumerate()
    {
        let exec = container.command(&["exec", &container.id, "touch", "/ran"]);
        let log = container.bundle.scratch().join(format!("strace-{number}"));
        let waiting = spawn(tampered(&strace, &exec, injection, &log));
        std::thread::sleep(std::time::Duration::from_millis(400));
        container.call(&["pause", &container.id]).succeeded();
        std::thread::sleep(std::time::Duration::from_millis(800));
        let children = format!("/proc/{0}/task/{0}/children", waiting.pid().as_raw_nonzero());
        let children = fs::read_to_string(children).expect("children");
        let pid = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("the exec");
        let exec = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(exec, pinnace_tests::Signal::TERM).expect("kill");
        wait_until("it has ended, paused as the container is", || {
            !fs::exists(format!("/proc/{pid}")).expect("look")
        });
        container.call(&["resume", &container.id]).succeeded();
        let outcome = waiting.finish();
        outcome.exited(143);
        let text = "exec failed: interrupted by SIGTERM before the program was started";
        assert_eq!(outcome.message(), text, "{}", outcome.describe());
    }
    assert!(!container.bundle.rootfs().join("ran").exists(), "it ran all the same");
}

#[test]
fn what_waits_for_the_end_of_a_pause_runs_then_and_is_refused_where_the_container_has_ended() {
    let container = running(Bundle::new());
    let waiting = || spawn(container.command(&["exec", "--ignore-paused", &container.id, "echo", "ran"]));
    container.call(&["pause", &container.id]).succeeded();
    let goes_on = waiting();
    std::thread::sleep(std::time::Duration::from_millis(300));
    container.call(&["resume", &container.id]).succeeded();
    assert_eq!(goes_on.finish().succeeded(), "ran");
    container.call(&["pause", &container.id]).succeeded();
    let goes_nowhere = waiting();
    std::thread::sleep(std::time::Duration::from_millis(300));
    container.delete_force().succeeded();
    refused(&goes_nowhere.finish(), "cannot exec in a stopped container");
}

/// In a state root in memory, from Linux 6.9, the process is known without /proc. Else nobody can say whether it is the container's that has the number:
/// then it has not ended.
#[test]
fn a_container_whose_proc_we_do_not_see_has_not_stopped() {
    let Some(unshare) = find_program("unshare").filter(|_| is_pinnace()) else {
        return skip("unshare is not installed");
    };
    let check = |container: &Container, words: &[&str], is_expected: &dyn Fn(&Outcome) -> bool| {
        let inner = container.command(words);
        let mut command = Command::new(&unshare);
        command.args(["--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"]);
        command.arg(inner.get_program()).args(inner.get_args());
        let outcome = run_within_limit(command);
        let init = container.state_root().join(&container.id).join("init.json");
        if fs::read_to_string(init).expect("init.json").contains("\"inode\":") {
            assert!(is_expected(&outcome), "{}", outcome.describe());
        } else {
            assert_ne!(outcome.code, 0, "{}", outcome.describe());
            assert!(outcome.message().contains("/proc is covered"), "{}", outcome.describe());
        }
    };
    for in_memory in [false, true] {
        let container = || {
            let container = Bundle::new().args(&["/bin/sleep", "1000"]).container();
            let root = Path::new("/dev/shm").join(&container.id);
            if in_memory { container.with_state_root(root) } else { container }
        };
        if in_memory && !Path::new("/dev/shm").is_dir() {
            return skip("there is no /dev/shm to keep states in memory");
        }
        let running = container();
        running.run_detached().succeeded();
        let id = running.id.as_str();
        check(&running, &["exec", id, "true"], &|outcome| outcome.code == 0);
        check(&running, &["exec", id, "/nowhere"], &|outcome| outcome.message().contains("/nowhere"));
        check(&running, &["state", id], &|outcome| outcome.stdout.contains("\"running\""));
        check(&running, &["delete", id], &|outcome| outcome.message().contains("not stopped"));
        assert_eq!(running.status(), "running");

        let created = container();
        created.create().succeeded();
        check(&created, &["state", &created.id], &|outcome| outcome.stdout.contains("\"created\""));
        created.call(&["start", &created.id]).succeeded();
        for container in [&running, &created] {
            container.delete_force().succeeded();
            // Ignored: beside the bundle it goes with that.
            let _ = fs::remove_dir(container.state_root());
        }
    }
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

#[test]
fn processors_of_the_caller_are_not_those_of_the_process() {
    let Some(taskset) = find_program("taskset") else {
        return skip("util-linux is not installed");
    };
    let container = running(Bundle::new());
    let program = ["grep", "Cpus_allowed_list", "/proc/self/status"];
    let expected = exec(&container, &[], &program);
    let inner = container.command(&[&["exec", container.id.as_str()], &program[..]].concat());
    let mut command = Command::new(taskset);
    command.arg("1").arg(inner.get_program()).args(inner.get_args());
    assert_eq!(run_within_limit(command).succeeded(), expected.succeeded());
}
