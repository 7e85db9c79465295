//! Filters that ask a listener: a thread of the test is the agent.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread::JoinHandle;

use pinnace_tests::{Bundle, Container, Value, json};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::{GETPPID, denying, probing};

/// struct seccomp_notif.
#[repr(C)]
#[derive(Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    architecture: u32,
    instruction_pointer: u64,
    arguments: [u64; 6],
}

/// struct seccomp_notif_resp.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

const RECEIVE: Opcode = opcode::read_write::<Notification>(b'!', 0);
const SEND: Opcode = opcode::read_write::<Response>(b'!', 1);

/// Let the call happen.
const CONTINUE: u32 = 1;

/// Errno and flags of the answer to a call.
type Answer = (i32, u32);

/// An agent for one container: its thread gives the state that it was sent, and the numbers of the calls it was asked about.
struct Agent {
    path: PathBuf,
    thread: JoinHandle<(Value, Vec<i32>)>,
}

impl Agent {
    fn listen(container: &Container, answer: Answer) -> Self {
        let path = container.bundle.scratch().join("agent.sock");
        let listener = UnixListener::bind(&path).expect("listen");
        Self { path, thread: std::thread::spawn(move || serve(&listener, answer)) }
    }

    fn heard(self) -> (Value, Vec<i32>) {
        std::fs::remove_file(&self.path).expect("remove the agent's socket");
        self.thread.join().expect("the agent")
    }
}

fn serve(listener: &UnixListener, answer: Answer) -> (Value, Vec<i32>) {
    let (connection, _) = listener.accept().expect("accept");
    let mut text = vec![0; 64 << 10];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(&connection, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::empty())
            .expect("receive");
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    assert_eq!(descriptors.len(), 1);
    let state = serde_json_from(&text[..received.bytes]);
    (state, answer_all(&descriptors.remove(0), answer))
}

fn serde_json_from(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).expect("UTF-8").parse().expect("one whole JSON document")
}

/// Answers every call until nobody is left who could make one.
fn answer_all(filter: &OwnedFd, (error, flags): Answer) -> Vec<i32> {
    let mut numbers = Vec::new();
    loop {
        let mut waited = [PollFd::from_borrowed_fd(filter.as_fd(), PollFlags::IN)];
        poll(&mut waited, None).expect("poll");
        if waited[0].revents().contains(PollFlags::HUP) {
            return numbers;
        }
        let mut notification = Notification::default();
        // SAFETY: the kernel reads and writes a structure of this opcode's size.
        match unsafe { ioctl(filter, Updater::<RECEIVE, _>::new(&mut notification)) } {
            Ok(()) => {}
            // Whoever asked has been killed.
            Err(Errno::NOENT) => continue,
            Err(errno) => panic!("receive a notification: {errno}"),
        }
        numbers.push(notification.number);
        let mut response = Response { id: notification.id, value: 0, error: -error, flags };
        // SAFETY: as above.
        let _ = unsafe { ioctl(filter, Updater::<SEND, _>::new(&mut response)) };
    }
}

/// A profile that asks about these calls.
fn asking(names: &[&str], bundle: &Bundle) -> Value {
    let mut profile = denying(names, &json!({"action": "SCMP_ACT_NOTIFY"}));
    profile["listenerPath"] = json!(bundle.scratch().join("agent.sock"));
    profile["listenerMetadata"] = json!("what the agent knows");
    profile
}

/// A container whose probe makes a call that is asked about.
fn asked(names: &[&str], no_new_privileges: bool) -> Option<Container> {
    let bundle = probing(json!({}), &[GETPPID, GETPPID])?;
    let profile = asking(names, &bundle);
    let bundle = bundle
        .set("/linux/seccomp", profile)
        .set("/process/noNewPrivileges", json!(no_new_privileges))
        .set("/annotations", json!({"org.example.key": "value"}));
    Some(bundle.container())
}

#[track_caller]
fn check_state(container: &Container, state: &Value, status: &str) {
    assert_eq!(state["fds"], json!(["seccompFd"]));
    assert_eq!(state["metadata"], "what the agent knows");
    assert_eq!(state["ociVersion"], state["state"]["ociVersion"]);
    assert!(state["pid"].as_i64().is_some_and(|pid| pid > 0), "{state}");
    let inner = &state["state"];
    // Of the container: its first process's, whoever has the filter.
    let is_first = status != "running";
    assert_eq!(inner["pid"] == state["pid"], is_first, "{state}");
    assert_eq!(inner["id"], container.id.as_str());
    assert_eq!(inner["status"], status);
    assert_eq!(inner["bundle"], json!(container.bundle.path()));
    assert_eq!(inner["annotations"], json!({"org.example.key": "value"}));
}

#[test]
fn the_agent_gets_the_listener_with_the_state_and_answers() {
    for no_new_privileges in [true, false] {
        let Some(container) = asked(&["getppid"], no_new_privileges) else { return };
        let agent = Agent::listen(&container, (13, 0));
        assert_eq!(container.run().succeeded(), "13\n13");
        let (state, numbers) = agent.heard();
        assert_eq!(numbers, [110, 110]);
        check_state(&container, &state, "creating");
    }
}

#[test]
fn the_agent_gets_the_listener_with_every_flag() {
    let flags = json!([
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
    ]);
    let Some(bundle) = probing(json!({}), &[GETPPID]) else { return };
    let mut profile = asking(&["getppid"], &bundle);
    profile["flags"] = flags;
    let container = bundle.set("/linux/seccomp", profile).container();
    let agent = Agent::listen(&container, (13, 0));
    assert_eq!(container.run().succeeded(), "13");
    assert_eq!(agent.heard().1, [110]);
}

#[test]
fn the_agent_gets_the_listener_from_start_as_well() {
    let Some(container) = asked(&["getppid"], true) else { return };
    let agent = Agent::listen(&container, (13, 0));
    let created = container.create();
    created.succeeded();
    container.start().succeeded();
    container.wait_stopped();
    assert_eq!(created.stdout_now().trim(), "13\n13");
    let (state, numbers) = agent.heard();
    assert_eq!(numbers, [110, 110]);
    check_state(&container, &state, "created");
}

#[test]
fn the_agent_may_be_asked_about_execve_itself() {
    let own = ["execve", "sendto", "sendmsg", "close", "close_range", "exit_group", "recvmsg"];
    for names in [&["execve"][..], &own] {
        let Some(container) = asked(names, false) else { return };
        let agent = Agent::listen(&container, (0, CONTINUE));
        assert_eq!(container.run().succeeded(), "0\n0");
        let (_, numbers) = agent.heard();
        assert_eq!(numbers.first(), Some(&59));
    }
}

#[test]
fn without_its_agent_nothing_starts_and_nothing_is_left() {
    let Some(container) = asked(&["getppid"], true) else { return };
    let text = "failed to connect with seccomp agent specified in the seccomp profile";
    // What is left once is the compiled profile.
    container.run().failed_with(&[text]);
    let before = container.snapshot();
    container.run().failed_with(&[text]);
    container.snapshot().assert_same_as(&before);
    container.create().failed_with(&[text, "no socket is at"]);
    container.snapshot().assert_same_as(&before);
    // It may go before it is needed.
    let path = container.bundle.scratch().join("agent.sock");
    drop(UnixListener::bind(&path).expect("listen"));
    container.create().succeeded();
    container.start().failed_with(&[text, "connection refused"]);
    assert_eq!(container.status(), "created");
    std::fs::remove_file(&path).expect("remove the agent's socket");
    container.delete_force().succeeded();
    container.snapshot().assert_same_as(&before);
}

#[test]
fn an_agent_that_nobody_asks_is_not_told() {
    let mut profile = denying(&["getppid"], &json!({"errnoRet": 3}));
    profile["listenerPath"] = json!("/no/such/agent");
    profile["listenerMetadata"] = json!("x");
    let Some(bundle) = probing(profile, &[GETPPID]) else { return };
    assert_eq!(bundle.run().succeeded(), "3");
}

/// Each process has a listener of its own, and `exec` is who tells the agent of it.
#[test]
fn the_agent_is_told_of_every_process_that_enters() {
    let Some(container) = asked(&["getppid"], true) else { return };
    let probe = container.bundle.config()["process"]["args"].clone();
    let probe: Vec<&str> = probe.as_array().expect("args").iter().filter_map(Value::as_str).collect();
    let bundle = container.bundle.path();
    let mut config = container.bundle.config().clone();
    config["process"]["args"] = json!(["/bin/sleep", "1000"]);
    std::fs::write(bundle.join("config.json"), config.to_string()).expect("write");
    let of_init = Agent::listen(&container, (0, CONTINUE));
    container.run_detached().succeeded();
    // Its listener stays with the thread; its socket makes room for the next.
    std::fs::remove_file(&of_init.path).expect("remove");
    let exec = |options: &[&str]| {
        container.call(&[&["exec"], options, &[container.id.as_str()], probe.as_slice()].concat())
    };

    let agent = Agent::listen(&container, (13, 0));
    assert_eq!(exec(&[]).succeeded(), "13\n13");
    let (state, numbers) = agent.heard();
    assert_eq!(numbers, [110, 110]);
    assert_eq!(state["state"]["pid"], json!(container.pid()));
    check_state(&container, &state, "running");

    let agent = Agent::listen(&container, (0, CONTINUE));
    exec(&["--user", "1000", "--no-new-privs=false"]).succeeded();
    assert_eq!(agent.heard().1, [110, 110]);

    // Without an agent there is no process.
    let outcome = exec(&[]);
    outcome.exited(255);
    let text = "exec failed: failed to connect with seccomp agent specified in the seccomp profile";
    assert!(outcome.message().starts_with(text), "{}", outcome.describe());
    assert_eq!(container.status(), "running");
    container.delete_force().succeeded();
    of_init.thread.join().expect("the first agent");
}
