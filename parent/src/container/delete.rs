//! Taking away what `create` made, and nothing else.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;

use super::{Container, poststop};
use crate::cgroup::Cgroups;
use crate::error::{Error, Kind, Result};
use crate::intel_rdt::Groups;
use crate::state::{StateDirectory, StateRoot, Status};

/// How long a killed container may take to end. Its memory has to be given back first.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Deletes a container that is stopped, or created; with `force` any, and an id that is unknown is a success.
///
/// Returns what should be said although all went well.
pub fn delete(root: &StateRoot, id: &str, force: bool) -> Result<Vec<String>> {
    let container = match Container::open_locked(root, id) {
        Ok(container) => container,
        Err(error) if error.kind() == Kind::NoSuchContainer => return delete_unknown(root, id, force, error),
        Err(error) => return Err(error),
    };
    let status = container.status()?;
    match status {
        Status::Stopped | Status::Creating => destroy_container(container),
        Status::Created => end_and_destroy(container),
        Status::Running | Status::Paused if force => end_and_destroy(container),
        Status::Running | Status::Paused => {
            Err(Error::new(format!("cannot delete container {id} that is not stopped: {status}")))
        }
    }
}

/// Kills whatever of the container lives, and takes it away.
pub(super) fn end_and_destroy(container: Container) -> Result<Vec<String>> {
    end(&container)?;
    destroy_container(container)
}

/// Takes a container away that has ended, and runs the hooks for that.
fn destroy_container(container: Container) -> Result<Vec<String>> {
    let (cgroups, groups) = (container.cgroups(), container.rdt_groups());
    destroy(&cgroups, groups.as_ref(), container.directory, container.record.own_pid_namespace)?;
    Ok(poststop(&container.record, &container.id))
}

/// An id without a record: nothing, or a directory that a creation left when it was cut off.
fn delete_unknown(root: &StateRoot, id: &str, force: bool, error: Error) -> Result<Vec<String>> {
    match root.open(id) {
        Ok(directory) => {
            directory.lock()?;
            directory.remove().map(|()| Vec::new())
        }
        Err(_) if force => Ok(Vec::new()),
        Err(_) => Err(error),
    }
}

/// Kills the init process and waits for its end.
fn end(container: &Container) -> Result<()> {
    let Some(handle) = container.init.as_ref().and_then(|init| init.handle()) else { return Ok(()) };
    if !container.record.own_pid_namespace {
        container.cgroups().kill_all()?;
    }
    // Ignored: it may have ended by itself meanwhile, which the wait below sees.
    let _ = rustix::process::pidfd_send_signal(&handle, Signal::KILL);
    // A frozen process does not even die.
    container.cgroups().thaw();
    let mut polled = [PollFd::new(&handle, PollFlags::IN)];
    let timeout = Timespec { tv_sec: END_TIMEOUT.as_secs() as i64, tv_nsec: 0 };
    match rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&timeout))) {
        Ok(0) => {
            Err(Error::new(format!("container init still runs {} s after SIGKILL", END_TIMEOUT.as_secs())))
        }
        Ok(_) => Ok(()),
        Err(errno) => Err(Error::call("wait for the container's end", errno)),
    }
}

/// Removes cgroups and state of a container whose init has ended. Without a pid namespace of its own it may have left processes.
pub fn destroy(
    cgroups: &Cgroups,
    rdt_groups: Option<&Groups>,
    directory: StateDirectory,
    own_pid_namespace: bool,
) -> Result<()> {
    if !own_pid_namespace {
        cgroups.kill_all()?;
    }
    cgroups.destroy()?;
    if let Some(groups) = rdt_groups {
        groups.destroy()?;
    }
    directory.remove()
}
