//! `linux`, but for resources and sysctl.

use std::fmt::Display;

use linux_raw_sys::general as uapi;
use oci_spec::runtime::{Linux, LinuxDeviceType, LinuxNamespaceType};
use shared_proto::limits::PATH_BYTES_MAX;

use super::super::problems::Problems;
use super::super::{Device, DeviceKind, IsOwn, Namespace, Namespaces, Propagation, PropagationKind};
use super::{clean, leads_up, text_of};

pub(super) fn namespaces(linux: Option<&Linux>, is_own: IsOwn<'_>, problems: &mut Problems) -> Namespaces {
    let mut namespaces = Namespaces::default();
    let list = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    for (index, namespace) in list.iter().enumerate() {
        let path = format_args!("$.linux.namespaces[{index}]");
        let kind = namespace.typ();
        let file = namespace.path().as_deref().map(text_of).unwrap_or_default();
        let (name, kernel_name, flag) = names(kind);
        if namespaces.listed.contains(&flag) {
            problems.add(path, format!("malformed spec file: duplicated ns {{{name:?} {file:?}}}"));
        }
        namespaces.listed.push(flag);
        let place = match kind {
            LinuxNamespaceType::Pid => &mut namespaces.pid,
            LinuxNamespaceType::Network => &mut namespaces.network,
            LinuxNamespaceType::Mount => &mut namespaces.mount,
            LinuxNamespaceType::Ipc => &mut namespaces.ipc,
            LinuxNamespaceType::Uts => &mut namespaces.uts,
            LinuxNamespaceType::Cgroup => &mut namespaces.cgroup,
            LinuxNamespaceType::User => &mut namespaces.user,
            LinuxNamespaceType::Time => &mut namespaces.time,
        };
        if file.is_empty() {
            *place = Namespace::New;
            continue;
        }
        if !file.starts_with('/') {
            problems.add(format_args!("{path}.path"), format!("{file:?} is not an absolute path"));
        }
        problems.check_text(format_args!("{path}.path"), &file, PATH_BYTES_MAX);
        // What is the runtime's own is the container's already, and the host's: nothing of it is the container's to change.
        *place = if is_own(&file, kernel_name) { Namespace::Inherit } else { Namespace::Join(file) };
    }
    namespaces
}

/// The spec's names, the kernel's below /proc/PID/ns, and the flags of clone(2).
const NAMESPACES: [(LinuxNamespaceType, &str, &str, u32); 8] = [
    (LinuxNamespaceType::Cgroup, "cgroup", "cgroup", uapi::CLONE_NEWCGROUP),
    (LinuxNamespaceType::Ipc, "ipc", "ipc", uapi::CLONE_NEWIPC),
    (LinuxNamespaceType::Mount, "mount", "mnt", uapi::CLONE_NEWNS),
    (LinuxNamespaceType::Network, "network", "net", uapi::CLONE_NEWNET),
    (LinuxNamespaceType::Pid, "pid", "pid", uapi::CLONE_NEWPID),
    (LinuxNamespaceType::Time, "time", "time", uapi::CLONE_NEWTIME),
    (LinuxNamespaceType::User, "user", "user", uapi::CLONE_NEWUSER),
    (LinuxNamespaceType::Uts, "uts", "uts", uapi::CLONE_NEWUTS),
];

fn names(kind: LinuxNamespaceType) -> (&'static str, &'static str, u32) {
    let found = NAMESPACES.iter().find(|(known, ..)| *known == kind);
    found.map(|&(_, name, kernel_name, flag)| (name, kernel_name, flag)).unwrap_or_default()
}

/// The types of namespaces that a container can have.
pub fn namespace_names() -> Vec<&'static str> {
    NAMESPACES.iter().map(|&(_, name, ..)| name).collect()
}

pub(super) fn devices(linux: Option<&Linux>, problems: &mut Problems) -> Vec<Device> {
    let list = linux.and_then(|linux| linux.devices().as_deref()).unwrap_or_default();
    let mut devices = Vec::with_capacity(list.len());
    for (index, device) in list.iter().enumerate() {
        let path = format_args!("$.linux.devices[{index}]");
        let written = text_of(device.path());
        problems.check_text(format_args!("{path}.path"), &written, PATH_BYTES_MAX - 1);
        if !written.starts_with('/') || clean(&written) == "/" {
            problems
                .add(format_args!("{path}.path"), format!("{written:?} is not the absolute path of a file"));
        }
        let kind = match device.typ() {
            LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Character,
            LinuxDeviceType::B => DeviceKind::Block,
            LinuxDeviceType::P => DeviceKind::Fifo,
            LinuxDeviceType::A => {
                problems.add(format_args!("{path}.type"), "invalid device type \"a\"");
                continue;
            }
        };
        let file_mode = device.file_mode().unwrap_or(0o666);
        // podman writes the file type as well, as stat(2) gives it.
        if file_mode & !0o177_777 != 0 {
            problems.add(format_args!("{path}.fileMode"), format!("{file_mode} is not a file mode"));
        }
        let mut number = |number, field, max| match kind {
            // A fifo has no numbers, whatever is written.
            DeviceKind::Fifo => 0,
            _ => device_number(number, format_args!("{path}.{field}"), max, problems),
        };
        let device = Device {
            path: clean(&written),
            kind,
            major: number(device.major(), "major", 0xfff),
            minor: number(device.minor(), "minor", 0xf_ffff),
            file_mode: file_mode & 0o7777,
            uid: device.uid().unwrap_or(0),
            gid: device.gid().unwrap_or(0),
        };
        let is_another = |other: &Device| {
            other.path == device.path
                && (other.kind, other.major, other.minor) != (device.kind, device.major, device.minor)
        };
        if devices.iter().any(is_another) {
            problems.add(format_args!("{path}.path"), format!("{} is another device above", device.path));
        }
        devices.push(device);
    }
    devices
}

/// The kernel has 12 bits for the major number and 20 for the minor.
fn device_number(number: i64, path: impl Display, max: u32, problems: &mut Problems) -> u32 {
    match u32::try_from(number) {
        Ok(number) if number <= max => number,
        _ => {
            problems.add(path, format!("{number} is not between 0 and {max}"));
            0
        }
    }
}

/// Masked or read-only paths: absolute, cleaned, each once. One with `..` stays as it is written: behind a symlink that leads elsewhere than its text
/// says.
pub(super) fn paths(list: Option<&[String]>, field: &str, problems: &mut Problems) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for (index, written) in list.unwrap_or_default().iter().enumerate() {
        let path = format_args!("$.linux.{field}[{index}]");
        problems.check_text(path, written, PATH_BYTES_MAX);
        if !written.starts_with('/') {
            problems.add(path, format!("{written:?} is not an absolute path"));
        }
        let kept = if leads_up(written) { written.clone() } else { clean(written) };
        if kept == "/" {
            problems.add(path, "is the root itself");
        }
        if !paths.contains(&kept) {
            paths.push(kept);
        }
    }
    paths
}

pub(super) fn rootfs_propagation(linux: Option<&Linux>, problems: &mut Problems) -> Option<Propagation> {
    let word = linux?.rootfs_propagation().as_deref().filter(|word| !word.is_empty())?;
    let (kind, recursive) = match word {
        "shared" => (PropagationKind::Shared, false),
        "rshared" => (PropagationKind::Shared, true),
        "slave" => (PropagationKind::Slave, false),
        "rslave" => (PropagationKind::Slave, true),
        "private" => (PropagationKind::Private, false),
        "rprivate" => (PropagationKind::Private, true),
        "unbindable" => (PropagationKind::Unbindable, false),
        "runbindable" => (PropagationKind::Unbindable, true),
        _ => {
            problems.add("$.linux.rootfsPropagation", format!("rootfsPropagation={word} is not supported"));
            return None;
        }
    };
    Some(Propagation { kind, recursive })
}

pub(super) fn cgroups_path(linux: Option<&Linux>, problems: &mut Problems) -> Option<String> {
    let path = text_of(linux?.cgroups_path().as_ref()?);
    problems.check_text("$.linux.cgroupsPath", &path, PATH_BYTES_MAX);
    if path.contains(char::is_control) {
        problems.add("$.linux.cgroupsPath", "contains a control character");
    }
    Some(path).filter(|path| !path.is_empty())
}
