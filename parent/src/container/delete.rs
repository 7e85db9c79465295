//! Taking away what `create` made, and nothing else.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;

use super::Container;
use super::hooks::poststop;
use crate::cgroup::Cgroups;
use crate::error::{Error, Kind, Result};
use crate::intel_rdt::Groups;
use crate::state::{StateDirectory, StateRoot, Status};

/// How long a killed container may take to end. Its memory has to be given back first.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks at a lock that somebody else has.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Deletes a container that is stopped, or created; with `force` any, and an id that is unknown is a success.
///
/// Returns what should be said although all went well.
pub fn delete(root: &StateRoot, id: &str, force: bool) -> Result<Vec<String>> {
    match open(root, id, force, None) {
        Ok(container) => delete_opened(&container, force),
        Err(error) if error.kind() == Kind::NoSuchContainer => {
            delete_unknown(root, id, force, error).map(|()| Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// The same for the container that was created at this moment, and no other of its id.
///
/// Errors: [`Kind::NoSuchContainer`] if it is gone, with `force` as well.
pub(crate) fn delete_created(root: &StateRoot, id: &str, created: &str, force: bool) -> Result<Vec<String>> {
    delete_opened(&open(root, id, force, Some(created))?, force)
}

fn open(root: &StateRoot, id: &str, force: bool, created: Option<&str>) -> Result<Container> {
    let container = if force { open_by_force(root, id, created)? } else { Container::open_locked(root, id)? };
    created.map_or(Ok(()), |created| container.must_be_of(created))?;
    Ok(container)
}

fn delete_opened(container: &Container, force: bool) -> Result<Vec<String>> {
    let id = &container.id;
    match container.status()? {
        Status::Stopped => destroy_container(container),
        // Nobody creates it any more, since we have the lock. Its first process is known if it was about to run.
        Status::Created | Status::Creating => end_and_destroy(container),
        Status::Running | Status::Paused if force => end_and_destroy(container),
        status @ (Status::Running | Status::Paused) => {
            let text = format!("cannot delete container {id} that is not stopped: {status}");
            Err(Error::of_kind(Kind::Running, text))
        }
    }
}

/// Kills whatever of the container lives, and takes it away.
pub(super) fn end_and_destroy(container: &Container) -> Result<Vec<String>> {
    end(container)?;
    destroy_container(container)
}

/// Takes a container away that has ended, and runs the hooks for that.
fn destroy_container(container: &Container) -> Result<Vec<String>> {
    let (cgroups, groups) = (container.cgroups(), container.rdt_groups());
    destroy(&cgroups, groups.as_ref(), &container.directory, container.record.own_pid_namespace)?;
    Ok(poststop(&container.record, &container.id))
}

/// Opens and locks the container. If somebody else has the lock, the container's first process is killed before: it may be what they wait for.
///
/// Errors: the lock is not to be had even so; it is another container than the one that was `created` then.
fn open_by_force(root: &StateRoot, id: &str, created: Option<&str>) -> Result<Container> {
    let directory = root.open(id)?;
    if !directory.try_lock()? {
        if let Some(created) = created {
            Container::read(id, root.open(id)?)?.must_be_of(created)?;
        }
        let init = directory.init()?;
        if let Some(handle) = init.map(|init| init.handle()).transpose()?.flatten() {
            // Ignored: it may have ended by itself.
            let _ = rustix::process::pidfd_send_signal(&handle, Signal::KILL);
        }
        wait_for_lock(&directory)?;
    }
    Container::read(id, directory)
}

fn wait_for_lock(directory: &StateDirectory) -> Result<()> {
    let mut deadline = None;
    while !directory.try_lock()? {
        let now = Instant::now();
        if now >= *deadline.get_or_insert(now + END_TIMEOUT) {
            return Err(Error::new(format!(
                "the container is in use: another command that changes it has not ended within {} s",
                END_TIMEOUT.as_secs()
            )));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(())
}

/// An id without a record: nothing, or a directory that a creation left when it was cut off. What holds anything else is no container of ours.
fn delete_unknown(root: &StateRoot, id: &str, force: bool, error: Error) -> Result<()> {
    if let Ok(directory) = root.open(id) {
        wait_for_lock(&directory)?;
        if directory.is_leftover().unwrap_or(false) {
            return directory.remove();
        }
    }
    if force { Ok(()) } else { Err(error) }
}

/// Kills the init process and waits for its end.
fn end(container: &Container) -> Result<()> {
    let Some(handle) = container.init_handle()? else { return Ok(()) };
    if !container.record.own_pid_namespace {
        container.cgroups().kill_all()?;
    }
    // Ignored: it may have ended by itself meanwhile, which the wait below sees.
    let _ = rustix::process::pidfd_send_signal(&handle, Signal::KILL);
    let deadline = Instant::now() + END_TIMEOUT;
    while Instant::now() < deadline {
        // A frozen process does not even die; and one that still lives may have frozen others meanwhile.
        container.cgroups().thaw();
        if wait_for_end(&handle, Duration::from_millis(100))? {
            return Ok(());
        }
    }
    let error = Error::new(format!("container init still runs {} s after SIGKILL", END_TIMEOUT.as_secs()));
    Err(match container.cgroups().frozen_above() {
        Some(above) => error.because(format_args!("the cgroup {above} is frozen")),
        None => error,
    })
}

/// Whether the process behind `handle` ends in time.
pub(super) fn wait_for_end(handle: &OwnedFd, limit: Duration) -> Result<bool> {
    let mut polled = [PollFd::new(handle, PollFlags::IN)];
    let timeout = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&timeout)))
        .map(|count| count > 0)
        .map_err(|errno| Error::call("wait for the container's end", errno))
}

/// Removes cgroups and state of a container whose init has ended. Without a pid namespace of its own it may have left processes.
pub fn destroy(
    cgroups: &Cgroups,
    rdt_groups: Option<&Groups>,
    directory: &StateDirectory,
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
