//! The two files of a container's state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{Hooks, Resources};
use crate::{cgroup, intel_rdt};

/// What was asked for: written before the child exists, so that whatever ends the runtime, `delete` finds the cgroups.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub oci_version: String,
    /// Absolute paths.
    pub bundle: String,
    pub rootfs: String,
    /// RFC 3339 with nanoseconds.
    pub created: String,
    pub annotations: BTreeMap<String, String>,
    pub owner: u32,
    /// The program as it was asked for, for the errors of `start`.
    pub program: String,
    /// The container has a pid namespace of its own, which ends with its init.
    pub own_pid_namespace: bool,
    pub cgroups: cgroup::Placement,
    #[serde(default)]
    pub intel_rdt: Option<intel_rdt::Placement>,
    /// Those that run after the creation: poststart and poststop.
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// The limits in force: what config.json said, and each update since.
    #[serde(default)]
    pub resources: Resources,
    /// What `mounts add` has mounted, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added_mounts: Vec<AddedMount>,
    /// Whom `start` has to tell of the filter's listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp_listener: Option<SeccompListener>,
}

/// A mount that the configuration did not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedMount {
    /// Absolute and clean, as it was asked for.
    pub destination: String,
    /// Its number in mountinfo, which another mount may get when it is gone (statx(2), STATX_MNT_ID).
    pub id: u64,
    /// The number that no other ever gets, where the kernel has that, from Linux 6.8 (STATX_MNT_ID_UNIQUE).
    pub number: u64,
    /// The filesystem's device number, which tells mounts apart where there is only the first number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device: String,
    /// Where it was mounted.
    pub view: View,
}

/// A process's mount namespace and root: what its mountinfo shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The namespace's inode.
    pub namespace: u64,
    /// The root's mount, as `AddedMount::number`, and its inode.
    pub root_mount: u64,
    pub root: u64,
}

/// The agent of a seccomp profile that asks one.
#[derive(Debug, Serialize, Deserialize)]
pub struct SeccompListener {
    pub path: String,
    pub metadata: String,
}

/// Who the child is: written once it exists.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Init {
    pub pid: i32,
    /// The inode of its pidfds, from Linux 6.9, which no other process gets until the next boot; where the record does not outlive that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// Else: clock ticks after boot, field 22 of /proc/PID/stat. Together with the pid it names one process for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<u64>,
    /// stage1's copy, by the device and the inode that /proc/PID/exe has before the program is executed. No container can make another such.
    #[serde(default)]
    pub stage1: (u64, u64),
    pub cgroups: cgroup::Made,
    #[serde(default)]
    pub intel_rdt: intel_rdt::Made,
    /// What `exec` needs of the configuration: JSON, on a line of its own behind these, which only `exec` reads.
    #[serde(skip)]
    pub basis: Vec<u8>,
}
