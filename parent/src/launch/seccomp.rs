//! The agent that answers for a filter: whoever listens at the profile's `listenerPath`.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};

use crate::error::{Error, Result};

/// How long an agent may take to accept a connection, or a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// runc's words, which callers know.
pub const NOT_CONNECTED: &str = "failed to connect with seccomp agent specified in the seccomp profile";

/// A connection to the agent, made before anything is started that would have to wait for it.
#[derive(Debug)]
pub struct Agent {
    socket: OwnedFd,
    /// The container process state as JSON.
    state: String,
}

impl Agent {
    /// Connects to the stream socket at `path`.
    pub fn connect(path: &str, state: String) -> Result<Self> {
        let connect = || {
            let socket = rustix::net::socket_with(
                AddressFamily::UNIX,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )?;
            // One that does not take connections must not keep us.
            set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
            rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
            Ok(socket)
        };
        let failed = |errno: Errno| Error::call(format_args!("{NOT_CONNECTED}: connect {path}"), errno);
        let socket = connect().map_err(failed)?;
        Ok(Self { socket, state })
    }

    /// Sends the one message: the state, and with its first bytes the filter's listener.
    pub(super) fn send(&self, listener: &OwnedFd) -> Result<()> {
        let failed = |errno| Error::call("send the filter's listener to the seccomp agent", errno);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [listener.as_fd()];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(failed(Errno::TOOMANYREFS));
        }
        let mut rest = self.state.as_bytes();
        while !rest.is_empty() {
            let sent = rustix::io::retry_on_intr(|| {
                rustix::net::sendmsg(&self.socket, &[IoSlice::new(rest)], &mut ancillary, SendFlags::NOSIGNAL)
            });
            rest = &rest[sent.map_err(failed)?..];
            ancillary.clear();
        }
        Ok(())
    }
}
