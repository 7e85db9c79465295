//! Device nodes and the links that every container has (config-linux.md "Default Devices", "Default Runtime Symlinks").

use shared_proto::{Attributes, BindOrigin, Nofollow, Phase, Propagations, Step};

use super::user_namespace::binds_devices;
use super::{Draft, Places, Request};
use crate::config::{Config, Device, DeviceKind, MountKind};
use crate::host::HostFacts;

const S_IFIFO: u32 = 0o010000;
const S_IFCHR: u32 = 0o020000;
const S_IFBLK: u32 = 0o060000;

/// Path, major and minor number; all are character devices with mode 0666.
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/random", 1, 8),
    ("/dev/full", 1, 7),
    ("/dev/tty", 5, 0),
    ("/dev/zero", 1, 5),
    ("/dev/urandom", 1, 9),
];

/// Path and target.
const DEFAULT_LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// Plans the nodes and links. A /dev that the caller binds is the caller's: nothing is made in it.
pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>, places: &Places<'a>) {
    let config = request.config;
    if dev_is_bound(config) {
        return;
    }
    let binds = binds_devices(config, request.host);
    for (path, major, minor) in DEFAULT_DEVICES {
        // A configured node of the same path takes the default's place.
        if config.devices.iter().all(|device| device.path != path) {
            let mode = S_IFCHR | 0o666;
            let made = Step::MakeDevice { path, mode, major, minor, uid: 0, gid: 0 };
            let phase = phase_of(path, binds, places);
            draft.push(phase, if binds { bound(path) } else { made });
        }
    }
    for device in &config.devices {
        let is_bound = binds && device.kind != DeviceKind::Fifo;
        let step = if is_bound { bound(&device.path) } else { configured(device) };
        draft.push(phase_of(&device.path, is_bound, places), step);
    }
    for (path, target) in DEFAULT_LINKS {
        draft.push(places.phase_of(path), Step::MakeSymlink { path, target, exact: false });
    }
    if request.host.has_kcore {
        // The path is masked in most containers; programs look for the link all the same (runc makes it as well).
        let (path, target) = ("/dev/core", "/proc/kcore");
        draft.push(places.phase_of(path), Step::MakeSymlink { path, target, exact: false });
    }
}

/// When there is a null device.
pub(super) fn phase_of_null(request: &Request<'_>, places: &Places<'_>) -> Phase {
    phase_of("/dev/null", binds_devices(request.config, request.host), places)
}

/// A bind is a mount to stage1, and waits for no other: it comes behind all that an image's symlink may lead over it.
fn phase_of(path: &str, is_bound: bool, places: &Places<'_>) -> Phase {
    if is_bound && places.others_wait { Phase::Views } else { places.phase_of(path) }
}

/// The configured devices that are bound from the host, with their indices.
pub fn bound_devices<'a>(config: &'a Config, host: &HostFacts) -> impl Iterator<Item = (usize, &'a Device)> {
    let binds = binds_devices(config, host) && !dev_is_bound(config);
    config.devices.iter().enumerate().filter(move |(_, device)| binds && device.kind != DeviceKind::Fifo)
}

/// The host's node of the same path, where the kernel lets nobody make one.
fn bound(path: &str) -> Step<shared_proto::Planned<'_>> {
    Step::BindMount {
        source: path,
        target: path,
        origin: BindOrigin::Host,
        recursive: false,
        nofollow: Nofollow::default(),
        attributes: Attributes::default(),
        recursive_attributes: Attributes::default(),
        propagations: Propagations::default(),
    }
}

fn configured(device: &Device) -> Step<shared_proto::Planned<'_>> {
    let kind = match device.kind {
        DeviceKind::Character => S_IFCHR,
        DeviceKind::Block => S_IFBLK,
        DeviceKind::Fifo => S_IFIFO,
    };
    Step::MakeDevice {
        path: &device.path,
        mode: kind | device.file_mode,
        major: device.major,
        minor: device.minor,
        uid: device.uid,
        gid: device.gid,
    }
}

fn dev_is_bound(config: &Config) -> bool {
    config
        .mounts
        .iter()
        .any(|mount| mount.destination == "/dev" && matches!(mount.kind, MountKind::Bind { .. }))
}
