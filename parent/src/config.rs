//! What a bundle asks for: config.json, checked and normalised.
//!
//! `load` reads the file; everything else here is pure. A [`Config`] holds no field that pinnace does not
//! implement, since [`check`] refuses such fields by their JSON path, and every string in it is free of NUL bytes.

mod capabilities;
mod check;
mod default;
mod faults;
mod load;
mod options;
mod path;
mod problems;
mod seccomp;
mod shape;
mod tree;

use std::collections::BTreeMap;

pub use capabilities::capability_name;
pub use check::{check, clean as clean_path, rlimit_name};
pub use default::default_spec;
pub use load::load;
#[cfg(test)]
pub(crate) use load::parse;
pub use problems::{Problem, Problems};
pub use seccomp::*;

/// A checked config.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `ociVersion` as written.
    pub oci_version: String,
    pub process: Process,
    pub root: Root,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    /// In the order of the file.
    pub mounts: Vec<Mount>,
    pub namespaces: Namespaces,
    pub devices: Vec<Device>,
    /// Sorted by name.
    pub sysctls: Vec<Sysctl>,
    /// Absolute, cleaned, without duplicates, in the order of the file; so are `readonly_paths`.
    pub masked_paths: Vec<String>,
    pub readonly_paths: Vec<String>,
    /// What the root mount of the container becomes; `None` means a recursive slave, as runc does.
    pub rootfs_propagation: Option<Propagation>,
    /// `linux.cgroupsPath` as written; `None` where it is absent or empty.
    pub cgroups_path: Option<String>,
    pub resources: Resources,
    /// `None`: no filter for system calls.
    pub seccomp: Option<Seccomp>,
    pub annotations: BTreeMap<String, String>,
    /// What does not stop the container but should be said, such as unknown capabilities.
    pub warnings: Vec<String>,
}

/// `root`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Absolute, or relative to the bundle; not empty.
    pub path: String,
    pub readonly: bool,
}

/// `process`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// At least one entry.
    pub args: Vec<String>,
    /// `NAME=value` each; of duplicates the last stays, in its place.
    pub env: Vec<String>,
    /// Absolute.
    pub cwd: String,
    pub user: User,
    /// `None`: the object is absent, and the container keeps what the runtime has.
    pub capabilities: Option<CapabilitySets>,
    /// No type twice.
    pub rlimits: Vec<Rlimit>,
    pub no_new_privileges: bool,
    /// `None`: left as it is.
    pub oom_score_adj: Option<i32>,
}

/// `process.user`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Nine bits; `None` means 022, as runc does.
    pub umask: Option<u32>,
    pub additional_gids: Vec<u32>,
}

/// Bit N of each set is capability number N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    pub bounding: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub permitted: u64,
    pub ambient: u64,
}

/// One entry of `process.rlimits`; `resource` is the kernel's RLIMIT_* number, `u64::MAX` is infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// One entry of `mounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute, cleaned, without `.` and `..`; never `/`.
    pub destination: String,
    pub kind: MountKind,
    /// Flags of this mount alone.
    pub attributes: MountAttributes,
    /// Flags of the whole tree below (`rro` and its kind), for bind mounts alone: a new filesystem has them in
    /// `attributes`.
    pub recursive_attributes: MountAttributes,
    /// What goes to the filesystem, `key=value` or `flag`, in the order of the file; before them the superblock
    /// flags that fsconfig(2) knows by name (`sync`, `dirsync`, `lazytime`, `mand`, and their opposites). Empty for
    /// bind mounts.
    pub data: Vec<String>,
    /// Changes of propagation after the mount, in the order of the file.
    pub propagation: Vec<Propagation>,
}

/// Where the mounted tree comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// A new instance of a filesystem; `source` is what /proc/mounts shows, perhaps empty.
    Filesystem { fstype: String, source: String },
    /// A bind mount; `source` is absolute, or relative to the bundle.
    Bind { source: String, recursive: bool },
    /// The container's own cgroups, in the way of the host's version.
    Cgroup,
}

/// MOUNT_ATTR_* bits for mount_setattr(2): first `clear`, then `set`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountAttributes {
    pub set: u64,
    pub clear: u64,
}

/// A propagation type, perhaps for the whole tree below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    pub kind: PropagationKind,
    pub recursive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropagationKind {
    Shared,
    Slave,
    Private,
    Unbindable,
}

/// `linux.namespaces`, by type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    pub pid: Namespace,
    pub network: Namespace,
    pub mount: Namespace,
    pub ipc: Namespace,
    pub uts: Namespace,
    pub cgroup: Namespace,
}

/// Where the container's namespace of one type comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// The type is absent: the runtime's own.
    #[default]
    Inherit,
    New,
    /// The absolute path of a namespace file.
    Join(String),
}

impl Namespace {
    /// The file to join by.
    pub fn path(&self) -> Option<&str> {
        match self {
            Namespace::Join(path) => Some(path),
            Namespace::Inherit | Namespace::New => None,
        }
    }
}

/// One entry of `linux.devices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Absolute, cleaned.
    pub path: String,
    pub kind: DeviceKind,
    pub major: u32,
    pub minor: u32,
    /// Permission bits, 0666 where absent.
    pub file_mode: u32,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    Character,
    Block,
    Fifo,
}

/// One entry of `linux.sysctl`; `name` with slashes (`net/ipv4/ip_forward`), relative to /proc/sys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    pub name: String,
    pub value: String,
}

/// `linux.resources`: what is `None` is left as the kernel has it. Engines write zeros that mean the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// In the order of the file, without the runtime's own defaults.
    pub devices: Vec<DeviceRule>,
    pub memory: Memory,
    pub cpu: Cpu,
    /// -1 is no limit; 0 is a limit.
    pub pids_limit: Option<i64>,
}

/// Bytes; -1 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub limit: Option<i64>,
    pub reservation: Option<i64>,
    /// Memory and swap together.
    pub swap: Option<i64>,
    /// 0 to 100.
    pub swappiness: Option<u64>,
    pub disable_oom_killer: Option<bool>,
    /// Refuse a limit that is lower than what is used (v2; v1's kernel does it).
    pub check_before_update: bool,
}

/// Times in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    pub shares: Option<u64>,
    pub quota: Option<i64>,
    pub period: Option<u64>,
    pub burst: Option<u64>,
    pub realtime_runtime: Option<i64>,
    pub realtime_period: Option<u64>,
    /// Lists such as `0-2,7`.
    pub cpus: Option<String>,
    pub mems: Option<String>,
    /// 0 or 1.
    pub idle: Option<i64>,
}

/// One entry of `linux.resources.devices`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    pub allow: bool,
    pub kind: DeviceRuleKind,
    /// `None` is any number.
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub read: bool,
    pub write: bool,
    pub mknod: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRuleKind {
    All,
    Character,
    Block,
}
