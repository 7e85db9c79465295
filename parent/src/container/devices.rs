//! Devices that are bound from the host, since nobody may make any in the container's user namespace.

use rustix::fs::FileType;

use crate::config::{Config, Device, DeviceKind, Problem, Problems};
use crate::host::HostFacts;
use crate::plan;

/// Devices that are others on the host than the configuration says: those cannot be had.
///
/// Source: runtime-spec config-linux.md "Devices": a file of another kind or number MUST be an error.
pub(super) fn others_on_host(config: &Config, host: &HostFacts) -> Problems {
    let bound = plan::bound_devices(config, host);
    let others = bound.filter_map(|(index, device)| {
        Some(Problem { path: format!("$.linux.devices[{index}]"), reason: difference(device)? })
    });
    Problems(others.collect())
}

/// A device that is missing is told by the step that binds it.
fn difference(device: &Device) -> Option<String> {
    let status = rustix::fs::stat(device.path.as_str()).ok()?;
    let (major, minor) = (rustix::fs::major(status.st_rdev), rustix::fs::minor(status.st_rdev));
    let there = match FileType::from_raw_mode(status.st_mode) {
        FileType::CharacterDevice => Some(DeviceKind::Character),
        FileType::BlockDevice => Some(DeviceKind::Block),
        _ => None,
    };
    if there == Some(device.kind) && (major, minor) == (device.major, device.minor) {
        return None;
    }
    let is = match there {
        Some(kind) => format!("{} {major}:{minor}", letter(kind)),
        None => String::from("no device"),
    };
    let (wanted, path) = (letter(device.kind), &device.path);
    Some(format!(
        "is {wanted} {}:{}, but in a user namespace the host's {path} is bound, and that is {is}",
        device.major, device.minor
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
