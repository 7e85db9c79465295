//! The calling thread in other namespaces for a moment. They are a thread's own: no other thread notices.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general as uapi;
use rustix::fs::{Mode, OFlags};
use rustix::thread::{UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::descriptors::{descriptor_from, spend};
use crate::error::{Error, Result};

/// A thread that is in another namespace of one kind (CLONE_NEW*). Dropped, as when what it does there panics, it is back in its own as well.
#[derive(Debug)]
pub struct Away {
    own: Option<OwnedFd>,
    kind: u32,
}

impl Away {
    /// Joins a namespace.
    fn join(namespace: BorrowedFd<'_>, kind: u32) -> Result<Self> {
        let own = own(kind)?;
        move_into_link_name_space(namespace, None)
            .map_err(|errno| Error::call(format_args!("join {} namespace", name(kind)), errno))?;
        Ok(Self { own: Some(own), kind })
    }

    /// Makes a network namespace, and is in it. `socket` was made by this thread where it is now.
    pub fn in_new_network(socket: BorrowedFd<'_>) -> Result<Self> {
        let own = network_of(socket)?;
        // SAFETY: it changes which sockets this thread makes from now on, and no table of descriptors.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
            .map_err(|errno| Error::call("unshare network namespace", errno))?;
        Ok(Self { own: Some(own), kind: uapi::CLONE_NEWNET })
    }

    /// Returns.
    ///
    /// Errors: the thread is not back. Going on would do the host's work in the container.
    pub fn back(mut self) -> Result<()> {
        if let Some(own) = &self.own {
            move_into_link_name_space(own.as_fd(), None).map_err(|errno| {
                Error::call(format_args!("return to the own {} namespace", name(self.kind)), errno)
            })?;
        }
        self.own.take().into_iter().for_each(spend);
        Ok(())
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            // Ignored: an error, or a panic, is on its way already, and the thread does nothing more.
            let _ = move_into_link_name_space(own.as_fd(), None);
        }
    }
}

/// Does something in other namespaces than the thread's own, each with its CLONE_NEW* kind; the thread is back when this returns.
///
/// Errors: one cannot be joined, or left again, and what was done is dropped.
pub fn inside<T>(namespaces: &[(BorrowedFd<'_>, u32)], act: impl FnOnce() -> T) -> Result<T> {
    let joined = namespaces.iter().map(|&(namespace, kind)| Away::join(namespace, kind));
    let joined = joined.collect::<Result<Vec<_>>>()?;
    let done = act();
    joined.into_iter().rev().try_for_each(Away::back)?;
    Ok(done)
}

/// The calling thread's own namespace of a kind, as a handle.
pub fn own(kind: u32) -> Result<OwnedFd> {
    let path = format!("/proc/thread-self/ns/{}", name(kind));
    rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::call(format_args!("open {path}"), errno))
}

/// The calling thread's own network namespace, asked of a socket that the thread has made in it: /proc takes several times as long to find it.
///
/// Source: ioctl SIOCGSKNS, which the kernel grants to who has CAP_NET_ADMIN there; others ask /proc.
pub fn network_of(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    // From linux/sockios.h, which linux-raw-sys leaves out.
    const SIOCGSKNS: u32 = 0x894c;
    // SAFETY: the request is for a socket, takes no argument, and returns a new descriptor, which has FD_CLOEXEC.
    unsafe { descriptor_from(socket, SIOCGSKNS) }.or_else(|_| own(uapi::CLONE_NEWNET))
}

/// The file of a kind of namespaces below /proc/PID/ns.
fn name(kind: u32) -> &'static str {
    match kind {
        uapi::CLONE_NEWPID => "pid",
        uapi::CLONE_NEWNET => "net",
        uapi::CLONE_NEWIPC => "ipc",
        uapi::CLONE_NEWUTS => "uts",
        uapi::CLONE_NEWCGROUP => "cgroup",
        uapi::CLONE_NEWUSER => "user",
        uapi::CLONE_NEWTIME => "time",
        _ => "mnt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> std::path::PathBuf {
        std::fs::read_link("/proc/thread-self/ns/net").unwrap()
    }

    #[test]
    fn a_thread_is_back_after_its_work_and_after_its_panic() {
        let outside = network();
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let Ok(away) = Away::in_new_network(socket.as_fd()) else { return };
        let (inside_new, new) = (network(), own(uapi::CLONE_NEWNET).unwrap());
        assert_ne!(inside_new, outside);
        away.back().unwrap();
        assert_eq!(network(), outside);
        let there = [(new.as_fd(), uapi::CLONE_NEWNET)];
        assert_eq!(inside(&there, network).unwrap(), inside_new);
        assert_eq!(network(), outside);
        let panicked = std::panic::catch_unwind(|| inside(&there, || panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(network(), outside);
    }
}
