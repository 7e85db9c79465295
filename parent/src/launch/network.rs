//! The container's network namespace, made by the parent while stage1 mounts: it is the dearest of the namespaces.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general::CLONE_NEWNET;
use linux_raw_sys::ioctl;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use sc::syscall;

use crate::error::{Error, Result, check};

/// From linux/if.h, which linux-raw-sys leaves out.
const IFF_UP: i16 = 1;

/// The calling thread's network namespace. Namespaces are a thread's own, so no other thread notices what happens here.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace just made, and what it took.
pub(super) struct Made {
    pub(super) namespace: OwnedFd,
    /// The calling thread's own, and a socket in the new one.
    pub(super) tools: [OwnedFd; 2],
}

/// Makes a network namespace, hands it over, and brings its loopback up, while its new owner is at work in it already. The calling
/// thread is back in its own when this returns.
pub(super) fn new_namespace(hand_over: impl FnOnce(BorrowedFd<'_>) -> Result<()>) -> Result<Made> {
    let own = own_namespace()?;
    // SAFETY: unsharing the network namespace changes which sockets this thread makes from now on, until the return below; it does
    // not touch descriptors or memory.
    check(unsafe { syscall!(UNSHARE, CLONE_NEWNET) })
        .map_err(|errno| Error::call("unshare network namespace", errno))?;
    let made = socket().and_then(|socket| {
        let namespace = open(OWN)?;
        hand_over(namespace.as_fd())?;
        loopback_up(&socket)?;
        Ok((namespace, socket))
    });
    set_namespace(own.as_fd(), CLONE_NEWNET).map_err(|errno| {
        // Going on would do the host's work in the container's network.
        Error::call("return to the own network namespace", errno)
    })?;
    let (namespace, socket) = made?;
    Ok(Made { namespace, tools: [own, socket] })
}

/// The calling thread's network namespace, as a handle.
pub(super) fn own_namespace() -> Result<OwnedFd> {
    open(OWN)
}

/// Does something with the calling thread in another network namespace; it is back in its own when this returns.
pub(super) fn inside<T>(namespace: BorrowedFd<'_>, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let own = own_namespace()?;
    set_namespace(namespace, CLONE_NEWNET)
        .map_err(|errno| Error::call("enter the container's network namespace", errno))?;
    let done = act();
    set_namespace(own.as_fd(), CLONE_NEWNET)
        .map_err(|errno| Error::call("return to the own network namespace", errno))?;
    done
}

/// A socket of the calling thread's network namespace, which takes orders for its devices.
fn socket() -> Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|errno| Error::call("open a socket in the container's network namespace", errno))
}

/// Brings `lo` up in the network namespace of a socket.
fn loopback_up(socket: &OwnedFd) -> Result<()> {
    let mut request = InterfaceFlags { name: [0; 16], flags: IFF_UP, padding: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: SIOCSIFFLAGS reads a struct ifreq (40 bytes), which `request` is: a name and the flags.
    check(unsafe { syscall!(IOCTL, socket.as_raw_fd(), ioctl::SIOCSIFFLAGS, &raw const request) })
        .map_err(|errno| Error::call("bring the loopback up", errno))
}

/// struct ifreq as SIOCSIFFLAGS reads it (netdevice(7)).
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: i16,
    padding: [u8; 22],
}

const _: () = assert!(size_of::<InterfaceFlags>() == 40);

/// setns(2) for the calling thread.
pub(super) fn set_namespace(namespace: BorrowedFd<'_>, kind: u32) -> std::result::Result<(), Errno> {
    // SAFETY: numbers only; the callers return the thread to where it was.
    check(unsafe { syscall!(SETNS, namespace.as_raw_fd(), kind) })
}

/// The CLONE_NEW* constant of a namespace file (ioctl_nsfs(2)).
pub(super) fn namespace_type(file: BorrowedFd<'_>) -> std::result::Result<u32, Errno> {
    // _IO(NSIO, 0x3) of linux/nsfs.h, which linux-raw-sys leaves out.
    const NS_GET_NSTYPE: u32 = 0xb703;
    // SAFETY: the request takes no argument and returns a number.
    let returned = unsafe { syscall!(IOCTL, file.as_raw_fd(), NS_GET_NSTYPE) };
    check(returned).map(|()| returned as u32)
}

fn open(path: &str) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::call(format_args!("open {path}"), errno))
}
