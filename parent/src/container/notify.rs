//! The container's socket for its readiness: where the container sees it, and who listens there.

use std::ffi::OsStr;
use std::os::fd::AsFd;

use linux_raw_sys::general as uapi;

use super::Container;
use crate::config::{Mount, MountAttributes, MountKind};
use crate::error::Result;
use crate::notify;
use crate::state::StateDirectory;

/// Hears of a container's readiness, for a service manager.
#[derive(Debug)]
pub struct Readiness(notify::Relay);

impl Readiness {
    /// Waits until the container, which was started, is ready and the service manager knows of that, or until it has ended. Nobody is kept out of
    /// it any longer.
    ///
    /// Errors: the service manager cannot be told, or does not read.
    pub fn wait(&self, container: &Container) -> Result<()> {
        let (Some(init), Some(handle)) = (&container.init, container.init_handle()?) else { return Ok(()) };
        container.directory.unlock();
        self.0.wait(handle.as_fd(), init.pid)
    }
}

/// Listens for a container's readiness from before its start, if somebody wants to know (`host` is their NOTIFY_SOCKET) and it was created so.
pub fn listen_for_readiness(container: &Container, host: Option<&OsStr>) -> Result<Option<Readiness>> {
    let (Some(host), Some(init)) = (host, &container.init) else { return Ok(None) };
    if !container.directory.awaits_start(init) {
        return Ok(None);
    }
    relay(&container.directory, host).map(|relay| relay.map(Readiness))
}

/// How the container sees the directory of its socket for readiness. runc does the same.
pub(super) fn mount(source: String) -> Mount {
    let attributes =
        uapi::MOUNT_ATTR_RDONLY | uapi::MOUNT_ATTR_NOSUID | uapi::MOUNT_ATTR_NODEV | uapi::MOUNT_ATTR_NOEXEC;
    Mount {
        destination: String::from(notify::DIRECTORY),
        kind: MountKind::Bind {
            source,
            recursive: false,
            copies_symlink: false,
            source_nofollow: false,
            destination_nofollow: false,
        },
        attributes: MountAttributes { set: u64::from(attributes), clear: 0 },
        recursive_attributes: MountAttributes::default(),
        superblock: 0,
        data: String::new(),
        propagation: Vec::new(),
        idmap: None,
        copies_up: false,
    }
}

/// Listens for the container's readiness; `None` if it was created without a socket for that.
pub(super) fn relay(directory: &StateDirectory, host: &OsStr) -> Result<Option<notify::Relay>> {
    let directory = directory.notify_directory()?;
    directory.map(|directory| notify::Relay::listen(directory.as_fd(), host)).transpose()
}
