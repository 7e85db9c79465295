//! Devices that are bound from the host, since nobody may make any in the container's user namespace.

use rustix::fs::FileType;

use crate::config::{Config, Device, DeviceKind, Problem, Problems};
use crate::error::errno_text;
use crate::host::HostFacts;
use crate::plan;

/// Devices that the host does not have, or that are others there than the configuration says: those cannot be had.
///
/// Source: runtime-spec config-linux.md "Devices": a file of another kind or number MUST be an error.
pub(super) fn others_on_host(config: &Config, host: &HostFacts) -> Problems {
    let bound = plan::bound_devices(config, host);
    let others = bound.filter_map(|(index, device)| {
        Some(Problem { path: format!("$.linux.devices[{index}]"), reason: difference(device)? })
    });
    Problems(others.collect())
}

fn difference(device: &Device) -> Option<String> {
    let path = &device.path;
    let is = match rustix::fs::stat(path.as_str()) {
        Err(errno) => format!("stat: {}", errno_text(errno)),
        Ok(status) => {
            let (major, minor) = (rustix::fs::major(status.st_rdev), rustix::fs::minor(status.st_rdev));
            let there = match FileType::from_raw_mode(status.st_mode) {
                FileType::CharacterDevice => Some(DeviceKind::Character),
                FileType::BlockDevice => Some(DeviceKind::Block),
                _ => None,
            };
            if there == Some(device.kind) && (major, minor) == (device.major, device.minor) {
                return None;
            }
            let is = there.map(|kind| format!("{} {major}:{minor}", letter(kind)));
            format!("that is {}", is.as_deref().unwrap_or("no device"))
        }
    };
    Some(format!(
        "is {} {}:{}, but in a user namespace the host's {path} is bound, and {is}",
        letter(device.kind),
        device.major,
        device.minor
    ))
}

/// As mknod(1) has it.
fn letter(kind: DeviceKind) -> char {
    match kind {
        DeviceKind::Character => 'c',
        DeviceKind::Block => 'b',
        DeviceKind::Fifo => 'p',
    }
}
