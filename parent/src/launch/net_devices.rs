//! `linux.netDevices`: devices of the runtime's network namespace go into the container's, with their addresses.
//!
//! Until the container has been let go they can come back: a virtual device would otherwise die with the namespace of a creation that
//! failed. Afterwards they never do (config-linux.md "Network Devices").

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};

use linux_raw_sys::general::CLONE_NEWNET;
use rustix::io::Errno;

use super::netlink::{Address, Link, Netlink};
use crate::config::NetDevice;
use crate::error::{Error, Result};
use crate::namespaces;

/// Devices in the container's namespace. Dropped, they go back to where they were, as they were.
#[derive(Debug)]
pub(super) struct MovedDevices {
    own_namespace: OwnedFd,
    outside: Netlink,
    inside: Netlink,
    moved: Vec<Moved>,
}

/// What has to be known of one device to bring it back.
#[derive(Debug)]
struct Moved {
    name: String,
    was_up: bool,
    addresses: Vec<Address>,
    /// Its number in the container.
    index: u32,
}

impl MovedDevices {
    /// Moves every device, renames it, gives it its addresses and sets it up.
    ///
    /// Errors: no such device, or the container has one with the new name. Those moved before are back then.
    pub(super) fn move_into(namespace: BorrowedFd<'_>, devices: &[NetDevice]) -> Result<Self> {
        let mut moved = Self {
            own_namespace: namespaces::own(CLONE_NEWNET)?,
            outside: Netlink::open()?,
            inside: Netlink::open_in(namespace)?,
            moved: Vec::with_capacity(devices.len()),
        };
        for device in devices {
            moved.move_one(namespace, device)?;
        }
        Ok(moved)
    }

    /// They stay in the container for good.
    pub(super) fn keep(mut self) {
        self.moved.clear();
    }

    fn move_one(&mut self, namespace: BorrowedFd<'_>, device: &NetDevice) -> Result<()> {
        let failed = |doing: &str| {
            let place = format!("network device {:?}: {doing}", device.name);
            move |errno| Error::call(place, errno)
        };
        let Link { index, is_up } = self.outside.link(&device.name).map_err(failed("find it"))?;
        let addresses = self.outside.permanent_addresses(index).map_err(failed("list its addresses"))?;
        let passing = passing_name();
        let put = self.outside.send_away(index, namespace, &passing);
        // The kernel renames last: where it could not, the device may be inside under its old name.
        let found = match put {
            Ok(()) => self.inside.link(&passing),
            Err(_) if self.outside.link(&device.name).is_ok() => Err(Errno::NODEV),
            Err(_) => self.inside.link(&device.name),
        };
        if let Ok(Link { index, .. }) = found {
            self.moved.push(Moved { name: device.name.clone(), was_up: is_up, addresses, index });
        }
        put.map_err(failed("move it into the container"))?;
        let index = found.map_err(failed("find it in the container"))?.index;
        self.inside
            .rename(index, &device.inside)
            .map_err(failed(&format!("name it {:?} in the container", device.inside)))?;
        for address in self.moved.last().iter().flat_map(|moved| &moved.addresses) {
            self.inside.add_address(index, address).map_err(failed("give it its addresses"))?;
        }
        self.inside.set_up(index).map_err(failed("set it up"))
    }
}

/// A name that no other device has, for the moment of the move: neither the old name nor the new one may be in the way.
fn passing_name() -> String {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    format!("pn{:x}.{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Drop for MovedDevices {
    fn drop(&mut self) {
        for moved in self.moved.drain(..).rev() {
            let back = self.inside.send_away(moved.index, self.own_namespace.as_fd(), &moved.name);
            // Ignored, here and below: the error that made the creation fail is the one to tell.
            let Ok(Link { index, .. }) = back.and_then(|()| self.outside.link(&moved.name)) else { continue };
            for address in &moved.addresses {
                let _ = self.outside.add_address(index, address);
            }
            if moved.was_up {
                let _ = self.outside.set_up(index);
            }
        }
    }
}
