//! What a bundle asks for: config.json, checked and normalised.
//!
//! `load` reads the file; everything else here is pure. A [`Config`] holds no field that pinnace does not
//! implement, since `check` refuses such fields by their JSON path, and every string in it is free of NUL bytes.

mod basis;
mod capabilities;
mod check;
mod default;
mod faults;
mod hooks;
mod list;
mod load;
mod options;
mod path;
mod problems;
mod program;
mod resources;
mod seccomp;
mod sections;
mod shape;
mod tree;
mod unified;
mod update;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use basis::{Basis, KeptFilter};
pub use capabilities::{capability_name, capability_names, number as capability_number};
pub use check::{ANNOTATION_NAMES, SeccompNames, memory_policy_names, namespace_names, seccomp_names};
pub use check::{check, clean as clean_path, leads_up, rlimit_name, unmapped};
pub use check::{io_class_name, memory_mode_name, scheduler_policy_name};
pub use default::{default_spec, rootless_spec};
pub use hooks::{Hook, HookPoint, HookState, Hooks};
pub use list::numbers as number_list;
pub use load::{examine, load, parse, parse_destinations, parse_mounts, parse_process, read_process};
pub use options::mount_options;
pub use problems::{Problem, Problems, Refusal, one_line};
pub use program::Program;
pub use resources::{
    BlockIo, Cpu, DeviceNumber, DevicePolicy, DeviceRule, DeviceRuleKind, HugepageLimit, InterfacePriority,
    Memory, Network, RdmaLimit, Resources, Throttle, WeightDevice,
};
pub use seccomp::*;
pub use sections::section;
#[cfg(feature = "systemd")]
pub(crate) use unified::kernel_bytes;
pub use update::{Update, parse_update};

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
    /// Who the container's users and groups are on the host; for a new user namespace.
    pub id_mappings: IdMappings,
    /// What a new time namespace adds to the clocks, as /proc/self/timens_offsets takes it.
    pub time_offsets: String,
    pub devices: Vec<Device>,
    /// Sorted by name.
    pub net_devices: Vec<NetDevice>,
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
    /// PER_* number; `None`: left as it is.
    pub personality: Option<u32>,
    pub memory_policy: Option<MemoryPolicy>,
    pub intel_rdt: Option<IntelRdt>,
    /// From the annotation `dev.pinnace.landlock`.
    pub landlock: Option<Landlock>,
    /// From the annotation `run.oci.keep_original_groups`.
    pub keep_original_groups: bool,
    /// The SELinux context of the container's new filesystems.
    pub mount_label: Option<String>,
    /// `None`: no filter for system calls.
    pub seccomp: Option<Seccomp>,
    pub annotations: BTreeMap<String, String>,
    pub hooks: Hooks,
    /// What does not stop the container but should be said, such as unknown capabilities.
    pub warnings: Vec<String>,
}

impl Config {
    /// Whether there is something to start.
    pub fn has_program(&self) -> bool {
        !self.process.args.is_empty()
    }
}

/// `root`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Absolute, or relative to the bundle; not empty.
    pub path: String,
    pub readonly: bool,
}

/// `process`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// At least one entry, or none where the file has no process.
    pub args: Vec<String>,
    /// `NAME=value` each; of duplicates the last stays, in its place.
    pub env: Vec<String>,
    /// Absolute.
    pub cwd: String,
    pub user: User,
    /// `None`: the program has the caller's standard streams.
    pub terminal: Option<Terminal>,
    /// `None`: the object is absent, and the container keeps what the runtime has.
    pub capabilities: Option<CapabilitySets>,
    /// No type twice.
    pub rlimits: Vec<Rlimit>,
    pub no_new_privileges: bool,
    /// `None`: left as it is.
    pub oom_score_adj: Option<i32>,
    pub scheduler: Option<Scheduler>,
    pub io_priority: Option<IoPriority>,
    /// For processes that `exec` brings into the container; the first process is left alone.
    pub exec_cpu_affinity: ExecCpuAffinity,
    /// Not empty; so are the labels.
    pub apparmor_profile: Option<String>,
    pub selinux_label: Option<String>,
}

/// `process.terminal` with `process.consoleSize`: columns and rows; both 0 where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    pub width: u32,
    pub height: u32,
}

/// `process.scheduler`, in the kernel's numbers (SCHED_*, SCHED_FLAG_*); times in nanoseconds. What is absent is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    pub policy: u32,
    pub flags: u32,
    /// -20 to 19.
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// `process.ioPriority`; `class` is the kernel's IOPRIO_CLASS_* number, `priority` 0 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoPriority {
    pub class: u32,
    pub priority: u32,
}

/// `process.execCPUAffinity`: numbers of processors, ascending; none means that nothing is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecCpuAffinity {
    /// Before the process enters the container's cgroup.
    pub initial: Vec<u32>,
    /// After that.
    pub last: Vec<u32>,
}

/// What of its tree the program may use: nothing of the kinds in `handled`, but below these paths the rights in the same place.
/// Numbers are the kernel's LANDLOCK_ACCESS_FS_* bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landlock {
    pub handled: u32,
    /// Absolute, cleaned, each once.
    pub paths: Vec<String>,
    pub rights: Vec<u32>,
}

/// `linux.intelRdt`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntelRdt {
    /// The name of a group, or `/`; `None` means one of the container's own.
    pub clos_id: Option<String>,
    /// Not empty; it may have several lines.
    pub l3_cache_schema: Option<String>,
    /// One line that begins with `MB:`.
    pub mem_bw_schema: Option<String>,
    /// One line each.
    pub schemata: Vec<String>,
    pub enable_monitoring: bool,
}

/// `linux.memoryPolicy`, in the kernel's numbers (MPOL_*, MPOL_F_*).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPolicy {
    pub mode: u32,
    pub flags: u32,
    /// Ascending.
    pub nodes: Vec<u32>,
}

/// `process.user`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Nine bits; `None` means 022, as runc does.
    pub umask: Option<u32>,
    pub additional_gids: Vec<u32>,
}

/// Bit N of each set is capability number N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitySets {
    pub bounding: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub permitted: u64,
    pub ambient: u64,
}

/// One entry of `process.rlimits`; `resource` is the kernel's RLIMIT_* number, `u64::MAX` is infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// MS_* bits of the superblock (`sync`, `dirsync`, `lazytime`, `mand`, `silent`, `iversion`); a bind mount has none of its own.
    pub superblock: u32,
    /// What goes to the filesystem, `key=value` or `flag` with commas between them, in the order of the file. Empty for bind mounts.
    pub data: String,
    /// Changes of propagation after the mount, in the order of the file.
    pub propagation: Vec<Propagation>,
    /// Other owners than the source's.
    pub idmap: Option<Idmap>,
    /// The new filesystem begins with what it covers (`tmpcopyup`).
    pub copies_up: bool,
}

/// An idmapped mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idmap {
    /// The whole tree, and not its top mount alone.
    pub recursive: bool,
    pub mappings: IdmapMappings,
}

/// Where an idmapped mount's mappings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdmapMappings {
    Own(IdMappings),
    /// Those of the container's user namespace.
    Container,
    /// Those of the user namespace with this file.
    Namespace(String),
}

/// Where the mounted tree comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// What is mounted there is changed; of a bind, the flags of the place alone.
    Remount { is_bind: bool },
    /// A new instance of a filesystem; `source` is what /proc/mounts shows, perhaps empty.
    Filesystem { fstype: String, source: String },
    /// A bind mount; `source` is absolute, or relative to the bundle.
    Bind {
        source: String,
        recursive: bool,
        /// A source that is a symlink is not mounted: the destination becomes the same symlink.
        copies_symlink: bool,
        /// A symlink in the last component of the source is itself what is mounted.
        source_nofollow: bool,
        /// A symlink in the last component of the destination is itself what is mounted upon.
        destination_nofollow: bool,
    },
    /// What a bind that copies symlinks is where the host has one: the symlink's text.
    Symlink { text: String },
    /// The container's own cgroups: in the way of the host's version, or, as `cgroup2`, those of v2 on a host with both.
    Cgroup { is_unified: bool },
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

/// Whether a namespace file (its path, and the kernel's name for its kind, such as `net`) is of the runtime's own namespace.
pub type IsOwn<'a> = &'a dyn Fn(&str, &str) -> bool;

/// `linux.namespaces`, by type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    pub pid: Namespace,
    pub network: Namespace,
    pub mount: Namespace,
    pub ipc: Namespace,
    pub uts: Namespace,
    pub cgroup: Namespace,
    pub user: Namespace,
    pub time: Namespace,
    /// The CLONE_NEW* type of each entry, in the order of the file.
    #[serde(skip)]
    pub listed: Vec<u32>,
}

impl Namespaces {
    /// The JSON path of the entry of a CLONE_NEW* type; `None` where no file has it.
    pub fn entry(&self, kind: u32) -> Option<String> {
        let index = self.listed.iter().position(|listed| *listed == kind)?;
        Some(format!("$.linux.namespaces[{index}]"))
    }
}

/// Where the container's namespace of one type comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// `linux.uidMappings` and `linux.gidMappings`, or those of one mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMappings {
    pub uids: Vec<IdMapping>,
    pub gids: Vec<IdMapping>,
}

/// `size` ids from `container` on are those from `host` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    pub container: u32,
    pub host: u32,
    pub size: u32,
}

impl IdMappings {
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
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

/// One entry of `linux.netDevices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice {
    /// In the runtime's network namespace.
    pub name: String,
    /// In the container's; may be a template such as `net%d`.
    pub inside: String,
}

/// One entry of `linux.sysctl`; `name` with slashes (`net/ipv4/ip_forward`), relative to /proc/sys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    pub name: String,
    pub value: String,
}
