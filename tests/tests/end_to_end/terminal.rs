//! Terminals: shown on the caller's own, or handed to who waits at a console socket.

use std::fs;
use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use pinnace_tests::{Bundle, Container, Pty, Signal, is_pinnace, json, run_within_limit, wait_until};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

fn with_terminal(script: &str) -> Bundle {
    Bundle::new().shell(script).set("/process/terminal", json!(true))
}

fn on_pty(container: &Container) -> Pty {
    Pty::spawn(container.create_command("run", &[]), 90, 30)
}

/// Who waits at the console socket: the master, and what came with it.
pub(crate) fn receive_master(listener: &UnixListener) -> (OwnedFd, String) {
    let (stream, _) = listener.accept().expect("accept");
    let mut payload = [0; 256];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(
        &stream,
        &mut [IoSliceMut::new(&mut payload)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .expect("recvmsg");
    let mut descriptors: Vec<OwnedFd> = ancillary
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(rights) => rights.collect(),
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(descriptors.len(), 1);
    // One message, and no more.
    assert_eq!((&stream).read(&mut [0; 8]).expect("end of file"), 0);
    (descriptors.remove(0), String::from_utf8_lossy(&payload[..received.bytes]).into_owned())
}

#[test]
fn a_program_has_a_terminal_of_its_own_with_the_size_of_ours() {
    let container = with_terminal("tty; stty size; echo $(stat -c %t:%T /dev/console); exit 7").container();
    let mut pty = on_pty(&container);
    let before = pty.settings();
    let (code, seen) = pty.wait();
    assert_eq!((code, seen.as_str()), (7, "/dev/pts/0\r\n30 90\r\n88:0\r\n"));
    assert_eq!(pty.settings(), before, "the terminal was left changed");
}

#[test]
fn keys_go_through_as_they_are_and_a_new_size_too() {
    let container = with_terminal(
        "trap 'echo resized; stty size' WINCH; echo ready; read x; echo got $x; read y; echo $y",
    )
    .container();
    let mut pty = on_pty(&container);
    let before = pty.settings();
    pty.expect("ready");
    assert_ne!(pty.settings(), before, "the terminal is raw");
    pty.write("first\n");
    pty.expect("got first");
    pty.resize(70, 20);
    // The runtime has no controlling terminal here: who resizes says so.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pty.id() as i32).expect("a pid"),
        Signal::WINCH,
    )
    .expect("kill");
    pty.expect("20 70");
    pty.write("second\n");
    let (code, seen) = pty.wait();
    assert_eq!(code, 0, "{seen}");
    assert_eq!(pty.settings(), before);
}

#[test]
fn control_c_ends_the_program_and_the_terminal_is_as_before() {
    let container = with_terminal("trap 'exit 3' INT; echo ready; while :; do sleep 0.05; done").container();
    let mut pty = on_pty(&container);
    let before = pty.settings();
    pty.expect("ready");
    pty.write("\u{3}");
    let (code, seen) = pty.wait();
    assert_eq!(code, 3, "{seen}");
    assert_eq!(pty.settings(), before);
}

#[test]
fn a_signal_to_the_runtime_reaches_the_program_and_the_terminal_is_as_before() {
    let container = with_terminal("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done").container();
    let mut pty = on_pty(&container);
    let before = pty.settings();
    pty.expect("ready");
    let pid = rustix::process::Pid::from_raw(pty.id() as i32).expect("a pid");
    rustix::process::kill_process(pid, Signal::TERM).expect("kill");
    assert_eq!(pty.wait().0, 5);
    assert_eq!(pty.settings(), before);
}

#[test]
fn much_output_comes_whole() {
    let container = with_terminal("seq 1 20000; echo end").container();
    let (code, seen) = on_pty(&container).wait();
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!((code, lines.len(), lines[19999], lines[20000]), (0, 20001, "20000", "end"));
}

#[test]
fn a_reader_that_stops_reading_neither_hangs_nor_spins_us() {
    let container =
        with_terminal("while :; do echo 0123456789012345678901234567890123456789; done").container();
    let mut command = container.create_command("run", &[]);
    // Standard error is the terminal; nobody ever reads standard output.
    let (reader, writer) = rustix::pipe::pipe().expect("pipe");
    let script = std::process::Command::new("true");
    let mut holder = Pty::spawn(script, 80, 24);
    holder.wait();
    command.stdin(Stdio::null()).stdout(Stdio::from(writer));
    command.stderr(Stdio::from(holder.terminal.try_clone().expect("dup")));
    let mut child = command.spawn().expect("start");
    wait_until("it runs", || container.call(&["state", &container.id]).code == 0);
    wait_until("it is running", || container.status() == "running");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
    };
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(ticks() - before <= 10, "the runtime spins");
    container.kill("KILL").succeeded();
    // What it has written waits for its reader, until a signal says that there will be none.
    wait_until("the program ended", || container.status() == "stopped" || container.pid() == 0);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(child.id() as i32).expect("a pid"),
        Signal::TERM,
    )
    .expect("kill");
    let status = child.wait().expect("wait");
    // runc waits on; our exit code says that there was more.
    assert_eq!(status.code(), Some(143));
    drop(reader);
}

/// The signal is the program's, and what it leaves has been asked to end as well.
#[test]
fn one_signal_ends_a_program_whose_reader_has_stopped_reading() {
    if !is_pinnace() {
        // runc waits for the reader, whatever signal comes.
        return;
    }
    // A shell that waits to write runs no trap.
    let writer = "while :; do echo 0123456789012345678901234567890123456789; done";
    let script = format!("trap 'kill -KILL $!; exit 143' TERM; ({writer}) & wait");
    let container = with_terminal(&script).container();
    let (reader, writer) = rustix::pipe::pipe().expect("pipe");
    let mut holder = Pty::spawn(std::process::Command::new("true"), 80, 24);
    holder.wait();
    let before = holder.settings();
    let mut command = container.create_command("run", &[]);
    command.stdin(Stdio::null()).stdout(Stdio::from(writer));
    command.stderr(Stdio::from(holder.terminal.try_clone().expect("dup")));
    let child = command.spawn().expect("start");
    let running = std::cell::RefCell::new(child);
    drop(command);
    wait_until("it is running", || container.call(&["state", &container.id]).stdout.contains("running"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = running.borrow().id() as i32;
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).expect("a pid"), Signal::TERM)
        .expect("kill");
    wait_until("it has ended", || running.borrow_mut().try_wait().expect("wait").is_some());
    assert_eq!(running.borrow_mut().wait().expect("wait").code(), Some(143));
    assert_eq!(holder.settings(), before);
    container.call(&["state", &container.id]).failed_with(&["container does not exist"]);
    drop(reader);
}

/// A program's output is not lost because its reader sleeps, nor because of a signal that asks nobody to end.
#[test]
fn output_waits_for_a_slow_reader_whatever_signal_comes() {
    if !is_pinnace() {
        // runc waits as well, but its container is gone by then: nobody can see the end.
        return;
    }
    let bundle = with_terminal("seq 1 3000; echo end").container();
    for signal in [Signal::WINCH, Signal::CONT, Signal::URG, Signal::USR1] {
        let (mut reader, mut child) = with_a_reader_that_waits(&bundle);
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(child.id() as i32).expect("a pid"),
            signal,
        )
        .expect("kill");
        // Time to give up in.
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(child.try_wait().expect("wait").is_none(), "{signal:?} ended it");
        let mut seen = String::new();
        reader.read_to_string(&mut seen).expect("read");
        assert_eq!((seen.lines().count(), seen.lines().last()), (3001, Some("end")), "{signal:?}");
        assert_eq!(child.wait().expect("wait").code(), Some(0), "{signal:?}");
    }
}

/// A signal may mean something else to a program than its end.
#[test]
fn output_waits_for_a_slow_reader_of_a_program_that_lives_on_after_a_signal() {
    if !is_pinnace() {
        return;
    }
    let script =
        "trap 'asked=1' HUP TERM; echo ready; until [ -n \"$asked\" ]; do sleep 0.05; done; seq 1 1500";
    for signal in [Signal::HUP, Signal::TERM] {
        let container = with_terminal(script).container();
        let (reader, writer) = rustix::pipe::pipe().expect("pipe");
        rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("F_SETPIPE_SZ");
        let holder = Pty::spawn(std::process::Command::new("true"), 80, 24);
        let mut command = container.create_command("run", &[]);
        command.stdin(Stdio::null()).stdout(Stdio::from(writer));
        command.stderr(Stdio::from(holder.terminal.try_clone().expect("dup")));
        let mut child = command.spawn().expect("start");
        drop(command);
        let mut reader = fs::File::from(reader);
        let mut seen = vec![0; 5];
        reader.read_exact(&mut seen).expect("read");
        let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("kill");
        // Time to give up in.
        std::thread::sleep(std::time::Duration::from_millis(2500));
        reader.read_to_end(&mut seen).expect("read");
        let seen = String::from_utf8_lossy(&seen);
        assert_eq!((seen.lines().count(), seen.lines().last()), (1501, Some("1500")), "{signal:?}");
        assert_eq!(child.wait().expect("wait").code(), Some(0), "{signal:?}");
    }
}

/// Ten seconds were a limit once.
#[test]
fn output_waits_for_a_reader_that_sleeps_long() {
    if !is_pinnace() {
        // runc waits as well, but its container is gone by then: nobody can see the end.
        return;
    }
    let container = with_terminal("seq 1 3000; echo end").container();
    let (mut reader, mut child) = with_a_reader_that_waits(&container);
    std::thread::sleep(std::time::Duration::from_millis(11_000));
    let mut seen = String::new();
    reader.read_to_string(&mut seen).expect("read");
    assert_eq!((seen.lines().count(), seen.lines().last()), (3001, Some("end")));
    assert_eq!(child.wait().expect("wait").code(), Some(0));
}

/// A foreground `run` on a terminal whose output goes to a pipe, when the program has ended and the pipe is full.
fn with_a_reader_that_waits(container: &Container) -> (fs::File, std::process::Child) {
    let (reader, writer) = rustix::pipe::pipe().expect("pipe");
    // One page: so that less is left than a terminal holds (20 KB in short lines do not always fit), and more than we.
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("F_SETPIPE_SZ");
    let holder = Pty::spawn(std::process::Command::new("true"), 80, 24);
    let mut command = container.create_command("run", &[]);
    command.stdin(Stdio::null()).stdout(Stdio::from(writer));
    command.stderr(Stdio::from(holder.terminal.try_clone().expect("dup")));
    let child = command.spawn().expect("start");
    drop(command);
    wait_until("the program has ended", || {
        container.call(&["state", &container.id]).stdout.contains("stopped")
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    (fs::File::from(reader), child)
}

#[test]
fn a_console_socket_gets_the_master_and_the_terminals_name() {
    let container = with_terminal("read x; echo got $x; stty size; sleep 100")
        .set("/process/consoleSize", json!({"height": 11, "width": 44}))
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .container();
    let absolute = container.bundle.scratch().join("console.sock");
    // A relative one is relative to the bundle.
    let relative = container.bundle.path().join("here.sock");
    for (verb, path, name) in
        [("create", &absolute, absolute.as_path()), ("run", &relative, "here.sock".as_ref())]
    {
        let listener = UnixListener::bind(path).expect("bind");
        let mut options = vec!["--console-socket", name.to_str().expect("UTF-8")];
        if verb == "run" {
            options.push("--detach");
        }
        run_within_limit(container.create_command(verb, &options)).succeeded();
        let (master, name) = receive_master(&listener);
        if is_pinnace() {
            assert_eq!(name, "/dev/pts/0");
        }
        if verb == "create" {
            container.start().succeeded();
        }
        rustix::io::write(&master, b"word\n").expect("type");
        let mut seen = String::new();
        let mut buffer = [0; 1024];
        while !seen.contains("11 44\r\n") {
            let count = rustix::io::read(&master, &mut buffer).expect("read");
            seen += &String::from_utf8_lossy(&buffer[..count]);
        }
        assert!(seen.contains("got word"), "{seen}");
        let console = fs::metadata(format!("/proc/{}/root/dev/pts/0", container.pid())).expect("stat");
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&console), 1000);
        container.delete_force().succeeded();
        fs::remove_file(path).expect("remove the socket");
    }
}

#[test]
fn terminals_and_console_sockets_must_fit() {
    let name = if is_pinnace() { "pinnace" } else { "runc" };
    let without_socket = format!("cannot allocate tty if {name} will detach without setting console socket");
    let useless_socket = format!("cannot use console socket if {name} will not detach or allocate tty");
    let container = with_terminal("true").container();
    container.create().failed_with(&[&without_socket]);
    container.run_detached().failed_with(&[&without_socket]);
    run_within_limit(container.create_command("run", &["--console-socket", "/x"]))
        .failed_with(&[&useless_socket]);
    let container = Bundle::new().container();
    run_within_limit(container.create_command("create", &["--console-socket", "/x"]))
        .failed_with(&[&useless_socket]);
    assert!(container.snapshot().processes.is_empty());
}

#[test]
fn a_terminal_needs_one_of_ours() {
    let container = with_terminal("true").container();
    let Some(setsid) = pinnace_tests::find_program("setsid") else {
        return pinnace_tests::skip("setsid is not installed");
    };
    let run = container.create_command("run", &[]);
    let mut command = std::process::Command::new(setsid);
    command.arg("--wait").arg(run.get_program()).args(run.get_args());
    run_within_limit(command).failed_with(&["open /dev/tty: no such device or address"]);
    assert!(container.snapshot().cgroups.is_empty());
}

/// CVE-2026-88264: without a mount on /dev the image decides what /dev/console is.
#[test]
fn a_symlink_at_dev_console_leads_nowhere() {
    for target in ["/outside", "../../outside"] {
        let bundle = with_terminal("true").without_mount("/dev").without_mount("/sys").writable();
        let bundle =
            bundle.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666", "mode=0620"]);
        symlink(target, bundle.rootfs().join("dev/console")).expect("link");
        let container = bundle.container();
        let (code, seen) = on_pty(&container).wait();
        assert_ne!(code, 0, "{seen}");
        assert!(!container.bundle.rootfs().join("outside").exists());
        assert!(!std::path::Path::new("/outside").exists());
    }
}

/// CVE-2025-52565: what lies over ptmx, or in the place of the devpts, is not opened as a terminal.
#[test]
fn a_ptmx_that_is_replaced_is_refused() {
    let over = with_terminal("true").mount("/dev/pts/ptmx", "bind", "/dev/null", &["bind"]).container();
    let (code, seen) = on_pty(&over).wait();
    assert_eq!(code, 1, "{seen}");
    let without = with_terminal("true").without_mount("/dev/pts").container();
    let (code, seen) = on_pty(&without).wait();
    assert_eq!(code, 1, "{seen}");
}

/// Who listens and takes nobody keeps nobody waiting.
#[test]
fn a_socket_whose_listener_is_busy_is_refused() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

    let container = Bundle::new().container();
    let path = container.bundle.scratch().join("busy");
    let address = SocketAddrUnix::new(&path).expect("an address");
    let socket = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("socket")
    };
    let listener = socket();
    rustix::net::bind(&listener, &address).expect("bind");
    rustix::net::listen(&listener, 0).expect("listen");
    let mut waiting = Vec::new();
    loop {
        let one = socket();
        if rustix::net::connect(&one, &address).is_err() {
            break;
        }
        waiting.push(one);
    }
    let container = container.with_create_options(&["--pidfd-socket", path.to_str().expect("UTF-8")]);
    container.run().failed_with(&["busy", "resource temporarily unavailable"]);
}
