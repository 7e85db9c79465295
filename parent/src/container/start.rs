//! Letting a created container's program begin.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::Signal;

use super::create::{DEATH_FOR_MEMORY, NO_PROGRAM, start_socket_path};
use super::delete::{end_and_destroy, wait_for_end};
use super::hooks::poststart;
use super::signal::kill;
use super::{Container, seccomp};
use crate::ending::{self, Ending};
use crate::error::{Error, Kind, Result};
use crate::launch::start_held;
use crate::state::Status;

/// How long a container that could not be started may take to end. It has nothing to do but to exit.
const END_OF_FAILED_START: Duration = Duration::from_secs(2);

/// Starts the program, and returns when it has been executed.
///
/// Errors: the container is not in the state `created`; execve failed (the container is stopped then); the
/// agent of its seccomp profile is not there (it stays as it is).
pub fn start(container: &Container) -> Result<()> {
    match container.status()? {
        Status::Created => {}
        Status::Running => {
            return Err(Error::of_kind(Kind::Running, "cannot start an already running container"));
        }
        // Who waits for `start` is frozen, and would not answer.
        Status::Paused => {
            return Err(Error::of_kind(Kind::Paused, "cannot start a container in the paused state"));
        }
        Status::Stopped => {
            return Err(Error::of_kind(Kind::NotRunning, "cannot start a container that has stopped"));
        }
        Status::Creating => return Err(Error::new("cannot start a container that is still being created")),
    }
    if container.record.program.is_empty() {
        return Err(Error::new(NO_PROGRAM));
    }
    let pid = container.init.as_ref().map_or(0, |init| init.pid);
    let agent = seccomp::agent(&container.record, &container.id, (pid, pid), "created")?;
    let is_watched = agent.is_some();
    let failed = |errno| Error::call("connect to the waiting container", errno);
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(failed)?;
    let address = SocketAddrUnix::new(start_socket_path(&container.directory)).map_err(failed)?;
    rustix::net::connect(&socket, &address).map_err(failed)?;
    let memory = MemoryCheck::of(container)?;
    let started =
        start_held(socket, &container.record.program, &container.record.hooks.start_container, agent)
            .and_then(|()| memory.map_or(Ok(()), |memory| memory.check(container)));
    if started.is_err() {
        if is_watched {
            // Ignored: it ends by itself as well. But a program whose agent was not told must not go on.
            let _ = kill(container, Signal::KILL.as_raw());
        }
        // stage1 tells why it fails before it ends, and an engine deletes the container as soon as it hears that: containerd does not delete
        // what it does not know to have ended. Ignored: there is nothing to say but why the start failed.
        if let Ok(Some(init)) = container.init_handle() {
            let _ = wait_for_end(&init, END_OF_FAILED_START);
        }
    }
    container.directory.forget_start_socket();
    match started.and_then(|()| poststart(&container.record, &container.id, pid, false)) {
        // Without its hooks there is to be no container (runtime.md "Lifecycle").
        Err(error) if error.kind() == Kind::HookFailed => Err(undo(container, error)),
        started => started,
    }
}

/// What tells whether a first process with little memory was killed for that, as its program began.
struct MemoryCheck {
    init: OwnedFd,
    killed_before: u64,
}

impl MemoryCheck {
    fn of(container: &Container) -> Result<Option<Self>> {
        let cgroups = container.cgroups();
        if !cgroups.has_little_memory(&container.record.resources) {
            return Ok(None);
        }
        let killed_before = cgroups.oom_kill_count().unwrap_or(0);
        Ok(container.init_handle()?.map(|init| Self { init, killed_before }))
    }

    fn check(&self, container: &Container) -> Result<()> {
        if !wait_for_end(&self.init, DEATH_FOR_MEMORY)? {
            return Ok(());
        }
        // How it ended only its parent knows, before Linux 6.15.
        if !matches!(ending::peek(self.init.as_fd())?, Ending::Code(ending::KILLED) | Ending::Unknown) {
            return Ok(());
        }
        let (cgroups, limits) = (container.cgroups(), &container.record.resources);
        let report = cgroups.out_of_memory_since(self.killed_before, limits);
        let report = report.or_else(|| cgroups.perhaps_out_of_memory(limits));
        let error = Error::new("container init was killed (SIGKILL) while its program was being started");
        report.map_or(Ok(()), |report| Err(error.because(report)))
    }
}

/// Takes the container away whose hook failed.
fn undo(container: &Container, error: Error) -> Error {
    match end_and_destroy(container) {
        Ok(warnings) => error.with_warnings(warnings),
        Err(other) => error.with_warnings(vec![format!("unable to destroy container: {other}")]),
    }
}
