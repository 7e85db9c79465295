//! Letting a created container's program begin.

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::Container;
use super::create::start_socket_path;
use crate::error::{Error, Kind, Result};
use crate::launch::start_held;
use crate::state::Status;

/// Starts the program, and returns when it has been executed.
///
/// Errors: the container is not in the state `created`; execve failed (the container is stopped then).
pub fn start(container: &Container) -> Result<()> {
    match container.status()? {
        Status::Created => {}
        Status::Running => return Err(Error::new("cannot start an already running container")),
        // Who waits for `start` is frozen, and would not answer.
        Status::Paused => return Err(Error::new("cannot start a container in the paused state")),
        Status::Stopped => {
            return Err(Error::of_kind(Kind::NotRunning, "cannot start a container that has stopped"));
        }
        Status::Creating => return Err(Error::new("cannot start a container that is still being created")),
    }
    let failed = |errno| Error::call("connect to the waiting container", errno);
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(failed)?;
    let address = SocketAddrUnix::new(start_socket_path(&container.directory)).map_err(failed)?;
    rustix::net::connect(&socket, &address).map_err(failed)?;
    let started = start_held(socket, &container.record.program);
    container.directory.forget_start_socket();
    started
}
