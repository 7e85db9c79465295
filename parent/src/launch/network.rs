//! The container's network namespace, made by the parent while stage1 mounts: it is the most expensive namespace to create.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use linux_raw_sys::ioctl;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use sc::syscall;

use crate::descriptors::spend;
use crate::error::{Error, Result, check};
use crate::namespaces::{Away, network_of};

/// From linux/if.h, which linux-raw-sys leaves out.
const IFF_UP: i16 = 1;

/// Makes a network namespace, hands it over, and brings its loopback up, while its new owner is at work in it already. The calling
/// thread is back in its own when this returns; `own_socket` tells which that is.
pub(super) fn new_namespace(
    own_socket: BorrowedFd<'_>,
    hand_over: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
) -> Result<OwnedFd> {
    let away = Away::in_new_network(own_socket)?;
    let made = socket().and_then(|socket| {
        let namespace = network_of(socket.as_fd())?;
        hand_over(namespace.as_fd())?;
        loopback_up(&socket)?;
        spend(socket);
        Ok(namespace)
    });
    away.back()?;
    made
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

/// The CLONE_NEW* constant of a namespace file (ioctl_nsfs(2)).
pub(super) fn namespace_type(file: BorrowedFd<'_>) -> std::result::Result<u32, Errno> {
    // _IO(NSIO, 0x3) of linux/nsfs.h, which linux-raw-sys leaves out.
    const NS_GET_NSTYPE: u32 = 0xb703;
    // SAFETY: the request takes no argument and returns a number.
    let returned = unsafe { syscall!(IOCTL, file.as_raw_fd(), NS_GET_NSTYPE) };
    check(returned).map(|()| returned as u32)
}
