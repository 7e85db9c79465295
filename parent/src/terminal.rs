//! Terminals on our side: the one that we run on, and the socket at which a caller takes the container's.

mod relay;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use rustix::termios::{OptionalActions, OutputModes, Termios};

use crate::error::{Error, Result};

pub use relay::Relay;

/// The stream socket at which the caller waits for a terminal's master or a process's pidfd.
#[derive(Debug)]
pub struct CallersSocket {
    socket: OwnedFd,
    path: String,
}

impl CallersSocket {
    /// Connects, before anything exists that would have to be taken away again.
    ///
    /// Errors: nobody listens, or whoever does takes nobody any more (EAGAIN): a caller that waits for us would not be waited for.
    pub fn connect(path: &Path) -> Result<Self> {
        let connect = || {
            // The one message finds an empty buffer.
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
            Ok(socket)
        };
        let path = path.display().to_string();
        let socket = connect().map_err(|errno: Errno| Error::call(format_args!("connect {path}"), errno))?;
        Ok(Self { socket, path })
    }

    /// Sends the one message: a descriptor with a name for it.
    pub fn send(&self, name: &[u8], descriptor: BorrowedFd<'_>) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor];
        let fits = ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        let slices = [IoSlice::new(name)];
        let sent = rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(&self.socket, &slices, &mut ancillary, SendFlags::NOSIGNAL)
        });
        match sent {
            Ok(_) if fits => Ok(()),
            Ok(_) => Err(Error::new(format!("send to {}: no room for a descriptor", self.path))),
            Err(errno) => Err(Error::call(format_args!("send to {}", self.path), errno)),
        }
    }

    /// Sends a terminal's master, with the name of the terminal.
    pub fn send_master(&self, master: BorrowedFd<'_>) -> Result<()> {
        let name =
            rustix::pty::ptsname(master, Vec::new()).map_err(|errno| Error::call("ioctl TIOCGPTN", errno))?;
        self.send(name.as_bytes(), master)
    }
}

/// The terminal that we run on. Dropping it brings its settings back.
#[derive(Debug)]
pub struct HostTerminal {
    terminal: OwnedFd,
    saved: Termios,
}

impl HostTerminal {
    /// Of the standard streams the first that is one, or else the controlling terminal.
    ///
    /// Errors: there is none.
    pub fn find() -> Result<Self> {
        let streams = [rustix::stdio::stderr(), rustix::stdio::stdout(), rustix::stdio::stdin()];
        for stream in streams {
            if let Ok(saved) = rustix::termios::tcgetattr(stream) {
                let terminal = rustix::io::fcntl_dupfd_cloexec(stream, 3)
                    .map_err(|errno| Error::call("duplicate the terminal", errno))?;
                return Ok(Self { terminal, saved });
            }
        }
        let failed = |errno| Error::call("open /dev/tty", errno);
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty()).map_err(failed)?;
        let saved = rustix::termios::tcgetattr(&terminal).map_err(failed)?;
        Ok(Self { terminal, saved })
    }

    /// Passes every key on as it is. Lines that are put out still end with a carriage return, which the container's own terminal leaves
    /// to this one.
    pub fn make_raw(&self) -> Result<()> {
        let mut raw = self.saved.clone();
        raw.make_raw();
        raw.output_modes |= OutputModes::OPOST;
        rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &raw)
            .map_err(|errno| Error::call("set the terminal to raw mode", errno))
    }

    /// Gives the container's terminal the size of this one.
    pub fn resize(&self, master: BorrowedFd<'_>) {
        // Ignored: a terminal without a size, or one whose container has just ended.
        let _ = rustix::termios::tcgetwinsize(&self.terminal)
            .and_then(|size| rustix::termios::tcsetwinsize(master, size));
    }
}

impl Drop for HostTerminal {
    fn drop(&mut self) {
        // Ignored: the terminal is gone, and nobody looks at it.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.saved);
    }
}

/// Leaves the translation of line ends to the terminal that shows them.
pub fn clear_onlcr(master: BorrowedFd<'_>) -> Result<()> {
    let failed = |errno| Error::call("set the container's terminal", errno);
    let mut settings = rustix::termios::tcgetattr(master).map_err(failed)?;
    settings.output_modes -= OutputModes::ONLCR;
    rustix::termios::tcsetattr(master, OptionalActions::Now, &settings).map_err(failed)
}
