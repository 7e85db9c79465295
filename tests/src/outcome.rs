//! One command, run to its end under a time limit.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::host::patience;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// What a command left: exit code (128+N when signal N ended it) and what it wrote.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
    /// What `stdout` was read from: a container that outlives the command still writes there.
    output: File,
    command: String,
}

impl Outcome {
    /// The output as it is now, with what a detached container has written since.
    pub fn stdout_now(&self) -> String {
        read_all(&self.output)
    }

    /// Expects exit code 0; gives stdout without white space at its ends.
    #[track_caller]
    pub fn succeeded(&self) -> &str {
        self.exited(0)
    }

    #[track_caller]
    pub fn exited(&self, code: i32) -> &str {
        assert!(self.code == code, "expected exit code {code}\n{}", self.describe());
        self.stdout.trim()
    }

    /// Expects a failure of the runtime (exit code 1) whose message holds each of `parts`.
    #[track_caller]
    pub fn failed_with(&self, parts: &[&str]) -> &Self {
        assert!(self.code == 1, "expected exit code 1\n{}", self.describe());
        let message = self.message();
        for part in parts {
            assert!(message.contains(part), "expected \"{part}\" in the message\n{}", self.describe());
        }
        self
    }

    /// The last line of stderr as a person reads it: out of the `time=… level=… msg="…"` record that runc writes, or bare.
    pub fn message(&self) -> String {
        let Some(start) = self.stderr.rfind("msg=") else { return self.stderr.trim().to_owned() };
        let quoted = self.stderr[start + 4..].trim();
        match serde_json::from_str::<String>(quoted) {
            Ok(message) => message,
            Err(_) => quoted.trim_matches('"').to_owned(),
        }
    }

    pub fn describe(&self) -> String {
        format!(
            "command: {}\nexit code: {}\nstdout: {}\nstderr: {}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

/// Generous for one operation of a container runtime.
const LIMIT: Duration = Duration::from_secs(20);

#[track_caller]
pub fn run_within_limit(command: Command) -> Outcome {
    run_within(LIMIT * patience(), command)
}

/// Runs `command` to its end, which has to come within `limit`.
#[track_caller]
pub fn run_within(limit: Duration, command: Command) -> Outcome {
    spawn(command).finish_within(limit)
}

/// A command that was started and has not been waited for.
pub struct Running {
    child: Child,
    begin: Instant,
    output: File,
    errors: File,
    command: String,
}

/// Starts `command`. Its output goes to memory files, not to pipes: a container that outlives the command keeps them
/// open, and waiting for the end of a pipe would then wait for the container.
#[track_caller]
pub fn spawn(mut command: Command) -> Running {
    let output = memory_file("stdout");
    let errors = memory_file("stderr");
    command.stdout(output.try_clone().expect("duplicate stdout"));
    command.stderr(errors.try_clone().expect("duplicate stderr"));
    command.stdin(Stdio::null());
    let described = format!("{command:?}");
    let begin = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {described}: {error}"));
    Running { child, begin, output, errors, command: described }
}

impl Running {
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("signal our own child");
    }

    /// What it has written so far.
    pub fn stdout_now(&self) -> String {
        read_all(&self.output)
    }

    #[track_caller]
    pub fn finish(self) -> Outcome {
        self.finish_within(LIMIT * patience())
    }

    #[track_caller]
    pub fn finish_within(mut self, limit: Duration) -> Outcome {
        let ended = wait_for_exit(&self.child, limit);
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("wait for the command");
        let outcome = Outcome {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: read_all(&self.output),
            stderr: read_all(&self.errors),
            took: self.begin.elapsed(),
            output: self.output,
            command: self.command,
        };
        assert!(ended, "still running after {limit:?}\n{}", outcome.describe());
        outcome
    }
}

fn wait_for_exit(child: &Child, limit: Duration) -> bool {
    let pid = Pid::from_child(child);
    let descriptor = pidfd_open(pid, PidfdFlags::empty()).expect("pidfd_open on our own child");
    exited_within(&descriptor, limit)
}

/// Whether the process behind `pidfd` ends within `limit`.
pub(crate) fn exited_within(pidfd: &OwnedFd, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("a limit of seconds");
        let borrowed = pidfd.as_fd();
        let mut waited = [PollFd::from_borrowed_fd(borrowed, PollFlags::IN)];
        match poll(&mut waited, Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll on a pidfd: {error}"),
        }
    }
}

fn memory_file(name: &str) -> File {
    let file = memfd_create(name, MemfdFlags::CLOEXEC).expect("memfd_create");
    // Of two that write at the same moment neither overwrites the other: the kernel guards the position of files that were opened by a path, and of others
    // it does not.
    fcntl_setfl(&file, OFlags::APPEND).expect("fcntl F_SETFL");
    File::from(file)
}

fn read_all(file: &File) -> String {
    let size = file.metadata().expect("fstat of a memory file").len();
    let mut bytes = vec![0; usize::try_from(size).expect("output that fits in memory")];
    // Read at an offset: the position is shared with whoever still writes.
    file.read_exact_at(&mut bytes, 0).expect("read a memory file");
    String::from_utf8_lossy(&bytes).into_owned()
}
