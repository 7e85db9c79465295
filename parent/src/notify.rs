//! The relay of readiness: a socket in the container, and the service manager's that our caller names in NOTIFY_SOCKET.
//!
//! As with runc the container is heard until it is ready, and the service manager told of nothing else. Source: sd_notify(3).

use std::ffi::OsStr;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use rustix::pipe::PipeFlags;

use crate::error::{Error, Result};
use crate::launch::{Reactor, block_on};

/// The socket's directory in the container, and its name there.
pub const DIRECTORY: &str = "/run/notify";
const SOCKET: &str = "notify.sock";
/// What the container's program finds in its environment.
pub const ENVIRONMENT: &str = "NOTIFY_SOCKET=/run/notify/notify.sock";

/// Bytes of a message that are looked at, as in runc and systemd.
const MESSAGE_BYTES: usize = 4096;
/// More than wait in a socket of a host that was not told otherwise (net.unix.max_dgram_qlen).
const MESSAGES_MAX: usize = 1024;
/// How long the service manager may take to read what was sent.
const BARRIER_TIMEOUT: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The container's socket, and where its news goes.
#[derive(Debug)]
pub struct Relay {
    socket: OwnedFd,
    host: SocketAddrUnix,
}

impl Relay {
    /// Listens in `directory`, which the container sees. `host` is the value of NOTIFY_SOCKET: a path, or `@` and an abstract name.
    pub fn listen(directory: BorrowedFd<'_>, host: &OsStr) -> Result<Self> {
        let failed = |errno| Error::call("listen for the container's readiness", errno);
        let host = address(host).map_err(|errno| Error::call("NOTIFY_SOCKET", errno))?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None);
        let socket = socket.map_err(failed)?;
        // Through our descriptor the path is short, whatever the state root's is. A start that has failed leaves its socket.
        let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
        match rustix::fs::unlinkat(directory, SOCKET, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let bound = SocketAddrUnix::new(path).and_then(|path| rustix::net::bind(&socket, &path));
        bound.map_err(failed)?;
        // Whoever the program is: only the container sees it.
        rustix::fs::chmodat(directory, SOCKET, Mode::from_raw_mode(0o777), AtFlags::empty())
            .map_err(failed)?;
        Ok(Self { socket, host })
    }

    /// For who stays with the container: tells the service manager when it is ready, and that our own process is the service's. Never ends, since
    /// nobody may wait for room in the container's socket. What cannot be told is lost: standard error is the container's.
    pub async fn run(&self, reactor: &Reactor) {
        self.ready(reactor).await;
        // We are there for as long as the service manager needs to know whose the message is.
        let _ = self.tell(rustix::process::getpid().as_raw_pid());
        loop {
            reactor.readable(self.socket.as_fd()).await;
            self.receive();
        }
    }

    /// For who leaves: waits until the container is ready and the service manager knows of that, or until its first process has ended.
    ///
    /// Errors: the service manager cannot be told, or does not read.
    pub fn wait(&self, init: BorrowedFd<'_>, pid: i32) -> Result<()> {
        let reactor = Reactor::default();
        let ready = async {
            self.ready(&reactor).await;
            true
        };
        let ended = async {
            reactor.readable(init).await;
            false
        };
        if !block_on(&reactor, smol::future::or(ready, ended)) {
            return Ok(());
        }
        let failed = |errno| Error::call("tell NOTIFY_SOCKET that the container is ready", errno);
        let barrier = self.tell(pid).map_err(failed)?;
        // The end of our process would leave messages that the service manager cannot assign to the service.
        let mut polled = [PollFd::new(&barrier, PollFlags::empty())];
        match rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&BARRIER_TIMEOUT))) {
            Ok(0) => Err(failed(Errno::TIMEDOUT)),
            Ok(_) => Ok(()),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Resolves when the container has said that it is ready.
    async fn ready(&self, reactor: &Reactor) {
        loop {
            reactor.readable(self.socket.as_fd()).await;
            if self.receive() {
                return;
            }
        }
    }

    /// Takes what is there. True if a message says that the container is ready.
    ///
    /// All at once, since the end of the container may come with its last words; but no container keeps us listening for ever.
    fn receive(&self) -> bool {
        let mut message = [0u8; MESSAGE_BYTES];
        let mut is_ready = false;
        for _ in 0..MESSAGES_MAX {
            let Ok((count, _)) = rustix::net::recv(&self.socket, &mut message, RecvFlags::empty()) else {
                break;
            };
            is_ready |= message[..count].split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
        }
        is_ready
    }

    /// Tells the service manager. Its own end of the pipe, of which we get ours, is closed when it has read all.
    fn tell(&self, pid: i32) -> rustix::io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        rustix::net::connect(&socket, &self.host)?;
        rustix::net::send(&socket, b"READY=1\n", SendFlags::NOSIGNAL)?;
        rustix::net::send(&socket, format!("MAINPID={pid}\n").as_bytes(), SendFlags::NOSIGNAL)?;
        let (ours, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [theirs.as_fd()];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Errno::NOMEM);
        }
        rustix::net::sendmsg(&socket, &[IoSlice::new(b"BARRIER=1")], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(ours)
    }
}

fn address(name: &OsStr) -> rustix::io::Result<SocketAddrUnix> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name),
        None => SocketAddrUnix::new(name),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn last_words_are_heard_although_the_end_has_come_with_them() {
        let place = std::env::temp_dir().join(format!("pinnace-notify-{}", std::process::id()));
        std::fs::create_dir(&place).unwrap();
        let manager = UnixDatagram::bind(place.join("manager")).unwrap();
        manager.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let directory = File::open(&place).unwrap();
        let relay = Relay::listen(directory.as_fd(), place.join("manager").as_os_str()).unwrap();
        let program = UnixDatagram::unbound().unwrap();
        for message in ["STATUS=x", "STATUS=y\nREADY=1", "READY=0", "later"] {
            program.send_to(message.as_bytes(), place.join(SOCKET)).unwrap();
        }
        // A pidfd can be read when its process has ended; so can this.
        let (ended, other_end) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(other_end);
        let manager_reads = std::thread::spawn(move || {
            let mut bytes = [0; 64];
            let mut next = || {
                manager.recv(&mut bytes).map(|count| String::from_utf8_lossy(&bytes[..count]).into_owned())
            };
            (next().unwrap(), next().unwrap(), next().unwrap())
        });
        relay.wait(ended.as_fd(), 7).unwrap();
        let heard = manager_reads.join().unwrap();
        std::fs::remove_dir_all(&place).unwrap();
        assert_eq!(heard, ("READY=1\n".into(), "MAINPID=7\n".into(), "BARRIER=1".into()));
    }
}
