//! NOTIFY_SOCKET: a thread of the test is the service manager.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::user_namespace::mapped;
use pinnace_tests::{
    Bundle, Container, Signal, is_pinnace, json, run_within_limit, spawn, tests_pinnace, wait_until,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// A service manager's socket, and what came there.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(container: &Container) -> Self {
        let path = container.bundle.scratch().join("manager.sock");
        let socket = UnixDatagram::bind(&path).expect("bind");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set a limit");
        Self { socket, path }
    }

    /// The command with the manager's socket in its environment.
    fn told(&self, mut command: Command) -> Command {
        command.env("NOTIFY_SOCKET", &self.path);
        command
    }

    /// The next message, and the descriptors with it, which are closed.
    #[track_caller]
    fn message(&self) -> (String, usize) {
        let mut bytes = [0u8; 512];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        // With a time limit on the socket, a child's end interrupts the call.
        let received = rustix::io::retry_on_intr(|| {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            recvmsg(&self.socket, &mut slices, &mut ancillary, RecvFlags::empty())
        });
        let received = received.expect("a message");
        let descriptors = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors.count()),
                _ => None,
            })
            .sum();
        (String::from_utf8_lossy(&bytes[..received.bytes]).trim_end().to_owned(), descriptors)
    }

    /// Expects that the service is ready, and that this is its process.
    #[track_caller]
    fn expect_ready(&self, pid: i32) {
        assert_eq!(self.message(), (String::from("READY=1"), 0));
        assert_eq!(self.message(), (format!("MAINPID={pid}"), 0));
        assert_eq!(self.message(), (String::from("BARRIER=1"), 1));
    }

    #[track_caller]
    fn expect_silence(&self) {
        self.socket.set_nonblocking(true).expect("fcntl");
        let received = self.socket.recv(&mut [0; 64]);
        assert!(received.is_err(), "{received:?}");
        self.socket.set_nonblocking(false).expect("fcntl");
    }
}

/// A program that says it is ready, a while after it has said something else, and then goes on. syslog(3) is what busybox sends datagrams with.
const READY: &str = "echo $NOTIFY_SOCKET; ln -s $NOTIFY_SOCKET /dev/log; busybox logger STATUS=x; sleep 0.3; \
                     busybox logger 'x\nREADY=1\nSTATUS=y'; busybox logger later; ";

fn ready_and(then: &str) -> Bundle {
    // Where runc looks at nothing but the beginning of a message.
    Bundle::new().shell(&format!("{READY}{then}"))
}

#[test]
fn a_foreground_run_is_the_services_process_itself() {
    if !tests_pinnace() {
        return;
    }
    let container = ready_and("for i in $(busybox seq 100); do busybox logger $i; done; exit 7").container();
    let manager = Manager::new(&container);
    let running = spawn(manager.told(container.create_command("run", &[])));
    manager.expect_ready(running.pid().as_raw_nonzero().get());
    let outcome = running.finish();
    assert_eq!(outcome.exited(7), "/run/notify/notify.sock");
    assert_eq!(outcome.stderr, "");
    manager.expect_silence();
    assert!(!container.state_root().join(&container.id).exists());
}

#[test]
fn a_detached_run_returns_when_the_container_is_ready() {
    if !tests_pinnace() {
        return;
    }
    let container = ready_and("exec sleep 1000").container();
    let manager = Manager::new(&container);
    let running = spawn(manager.told(container.create_command("run", &["--detach"])));
    assert_eq!(manager.message().0, "READY=1");
    assert_eq!(manager.message().0, format!("MAINPID={}", container.pid()));
    // It waits for the manager to have closed the descriptor of this.
    assert_eq!(manager.message(), (String::from("BARRIER=1"), 1));
    let outcome = running.finish();
    outcome.succeeded();
    assert!(outcome.took >= Duration::from_millis(300), "{:?}", outcome.took);
    container.delete_force().succeeded();
    assert!(!container.state_root().join(&container.id).exists());
}

#[test]
fn a_start_returns_when_the_container_is_ready() {
    if !tests_pinnace() {
        return;
    }
    let container = ready_and("exec sleep 1000").container();
    let manager = Manager::new(&container);
    run_within_limit(manager.told(container.create_command("create", &[]))).succeeded();
    let running = spawn(manager.told(container.command(&["start", &container.id])));
    manager.expect_ready(container.pid());
    let outcome = running.finish();
    outcome.succeeded();
    assert_eq!(outcome.stderr, "");
    assert_eq!(
        container.call(&["exec", &container.id, "sh", "-c", "echo $NOTIFY_SOCKET"]).succeeded(),
        "/run/notify/notify.sock"
    );
    container.delete_force().succeeded();
    assert!(!container.state_root().join(&container.id).exists());
}

#[test]
fn a_program_that_ends_before_it_is_ready_is_waited_for_no_longer() {
    // runc waits until somebody has reaped it.
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().shell("sleep 0.2; exit 3").container();
    let manager = Manager::new(&container);
    run_within_limit(manager.told(container.create_command("create", &[]))).succeeded();
    let outcome = run_within_limit(manager.told(container.command(&["start", &container.id])));
    outcome.succeeded();
    assert!(outcome.took >= Duration::from_millis(200), "{:?}", outcome.took);
    container.wait_stopped();
    container.delete().succeeded();
    run_within_limit(manager.told(container.create_command("run", &[]))).exited(3);
    manager.expect_silence();
}

#[test]
fn whoever_waits_for_readiness_holds_nobody_up() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().args(&["/bin/sleep", "1000"]).container();
    let manager = Manager::new(&container);
    for (verb, options) in [("run", &["--detach"][..]), ("create", &[])] {
        let mut running = spawn(manager.told(container.create_command(verb, options)));
        if verb == "create" {
            running.finish().succeeded();
            running = spawn(manager.told(container.command(&["start", &container.id])));
        }
        wait_until("it runs", || {
            let outcome = container.call(&["state", &container.id]);
            outcome.code == 0 && outcome.stdout.contains("\"running\"")
        });
        let begin = Instant::now();
        assert_eq!(container.call(&["exec", &container.id, "echo", "in"]).succeeded(), "in");
        container.kill("KILL").succeeded();
        running.finish().succeeded();
        container.wait_stopped();
        container.delete().succeeded();
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
    manager.expect_silence();
}

#[test]
fn a_foreground_run_passes_signals_on_before_the_container_is_ready() {
    if !tests_pinnace() {
        return;
    }
    let container =
        Bundle::new().shell("trap 'exit 9' TERM; echo on; while :; do sleep 0.1; done").container();
    let manager = Manager::new(&container);
    let running = spawn(manager.told(container.create_command("run", &[])));
    wait_until("it runs", || running.stdout_now().contains("on"));
    running.signal(Signal::TERM);
    running.finish().exited(9);
}

#[test]
fn a_manager_that_is_not_there_is_a_warning() {
    let container = ready_and("exec sleep 1000").container();
    let mut command = container.create_command("run", &["--detach"]);
    command.env("NOTIFY_SOCKET", container.bundle.scratch().join("nobody.sock"));
    let outcome = run_within_limit(command);
    outcome.succeeded();
    if is_pinnace() {
        assert!(outcome.stderr.contains("level=warning"), "{}", outcome.describe());
        let message = "tell NOTIFY_SOCKET that the container is ready: no such file or directory";
        assert_eq!(outcome.message(), message);
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn without_a_manager_there_is_nothing_of_it() {
    let container = Bundle::new().shell("echo \"<$NOTIFY_SOCKET>\"; ls /run").container();
    for value in [None, Some("")] {
        let mut command = container.create_command("run", &[]);
        command.env_remove("NOTIFY_SOCKET");
        value.map(|value| command.env("NOTIFY_SOCKET", value));
        let outcome = run_within_limit(command);
        assert!(outcome.stdout.starts_with("<>\n"), "{}", outcome.describe());
        assert!(!outcome.stdout.contains("notify"), "{}", outcome.describe());
    }
}

/// The container's root is nobody on the host, and its program not even root.
#[test]
fn every_user_of_every_container_can_reach_the_socket_and_not_change_it() {
    let script = "test -w $NOTIFY_SOCKET && ! rm $NOTIFY_SOCKET && ! touch /run/notify/x && echo fine";
    let mut bundles = vec![
        Bundle::new().shell(script).set("/process/user", json!({"uid": 1000, "gid": 1000})),
        mapped(Bundle::new()).shell(script),
    ];
    // A mount above the directory itself, and a path longer than a socket's address.
    bundles.push(Bundle::new().shell(script).mount("/run", "tmpfs", "tmpfs", &["rw", "mode=755"]));
    for bundle in bundles {
        let container = bundle.container();
        let root = container.bundle.scratch().join("x".repeat(100));
        let container = container.with_state_root(root);
        let manager = Manager::new(&container);
        let outcome = run_within_limit(manager.told(container.create_command("run", &[])));
        assert_eq!(
            outcome.stdout.trim(),
            if is_pinnace() { "fine" } else { outcome.stdout.trim() },
            "{}",
            outcome.describe()
        );
    }
}

#[test]
fn an_abstract_name_is_a_manager_too() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    if !tests_pinnace() {
        return;
    }
    let container = ready_and("exit 0").container();
    let address = SocketAddr::from_abstract_name(&container.id).expect("an address");
    let socket = UnixDatagram::bind_addr(&address).expect("bind");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set a limit");
    let manager = Manager { socket, path: PathBuf::from(format!("@{}", container.id)) };
    let running = spawn(manager.told(container.create_command("run", &[])));
    manager.expect_ready(running.pid().as_raw_nonzero().get());
    running.finish().succeeded();
}
