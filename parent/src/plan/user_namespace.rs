//! What differs where the container has a user namespace, or is made by somebody who is not the host's root.

use super::{Plan, Request};
use linux_raw_sys::general as uapi;

use crate::config::{Config, IdMappings, MountKind, Namespace, Namespaces, Rlimit};
use crate::host::{CgroupHost, HostFacts};

/// What the parent does for a child that is about to lose the host's privileges, before that child goes on.
#[derive(Clone, Copy, Debug)]
pub struct UserNamespace<'a> {
    /// Of a new namespace; empty for a joined one.
    pub id_mappings: &'a IdMappings,
    /// Raising limits and lowering scores are the host's to allow.
    pub rlimits: &'a [Rlimit],
    pub oom_score_adj: Option<i32>,
    /// We are the host's root.
    pub is_privileged: bool,
}

pub(super) fn plan<'a>(request: &Request<'a>) -> Option<UserNamespace<'a>> {
    let config = request.config;
    (config.namespaces.user != Namespace::Inherit).then(|| UserNamespace {
        id_mappings: &config.id_mappings,
        rlimits: &config.process.rlimits,
        oom_score_adj: config.process.oom_score_adj,
        is_privileged: request.host.is_privileged(),
    })
}

/// Whether stage1 may not make device nodes, and binds the host's instead.
pub(super) fn binds_devices(config: &Config, host: &HostFacts) -> bool {
    config.namespaces.user != Namespace::Inherit || !host.is_privileged()
}

/// Whether a filesystem cannot be mounted anew, because the namespace that it shows belongs to the host, or to somebody from whom we could not come
/// back.
pub(super) fn binds_filesystem(request: &Request<'_>, fstype: &str) -> bool {
    match shown_namespace(request, fstype) {
        Some((Namespace::Inherit, _)) => true,
        Some((Namespace::Join(_), _)) => !request.host.is_privileged(),
        _ => false,
    }
}

/// The namespace in which the parent has to mount a filesystem, since stage1 is root in another user namespace than its owner's: a path and its
/// CLONE_NEW* flag.
pub(super) fn joined_to_mount<'a>(request: &Request<'a>, fstype: &str) -> Option<(&'a str, u32)> {
    let (namespace, flag) = shown_namespace(request, fstype)?;
    namespace.path().filter(|_| request.host.is_privileged()).map(|path| (path, flag))
}

/// What a filesystem shows, if the container's new user namespace does not own it as it owns what is new.
fn shown_namespace<'a>(request: &Request<'a>, fstype: &str) -> Option<(&'a Namespace, u32)> {
    let namespaces = &request.config.namespaces;
    let (namespace, flag) = match fstype {
        "sysfs" => (&namespaces.network, uapi::CLONE_NEWNET),
        "mqueue" => (&namespaces.ipc, uapi::CLONE_NEWIPC),
        _ => return None,
    };
    (namespaces.user == Namespace::New && !request.is_entered).then_some((namespace, flag))
}

/// Whether the container sees the caller's own cgroups: there are none of its own, or they are v2's, which an ordinary user's stage1 could
/// neither mount without a cgroup namespace nor get as a tree.
pub(super) fn binds_cgroups(request: &Request<'_>) -> bool {
    let namespaces = &request.config.namespaces;
    let is_privileged = request.host.is_privileged();
    namespaces.cgroup == Namespace::Inherit
        && if request.placement.is_empty() {
            !is_privileged || namespaces.user != Namespace::Inherit
        } else {
            !is_privileged && matches!(request.host.cgroups, CgroupHost::V2 { .. })
        }
}

/// Whether the container's v2 cgroup comes as a tree from the parent: whoever is in another user namespace than the cgroup namespace's
/// cannot mount the hierarchy.
pub(super) fn is_sent_cgroup(request: &Request<'_>) -> bool {
    let namespaces = &request.config.namespaces;
    matches!(request.host.cgroups, CgroupHost::V2 { .. })
        && namespaces.cgroup == Namespace::Inherit
        && namespaces.user != Namespace::Inherit
        && request.host.is_privileged()
        && !request.placement.is_empty()
        && request.config.mounts.iter().any(|mount| matches!(mount.kind, MountKind::Cgroup { .. }))
}

/// Whether the kernel shows a new procfs or sysfs only beside one that can be seen already (it must not reveal what is masked there).
pub(super) fn shows_procfs_late(request: &Request<'_>) -> bool {
    request.config.namespaces.user != Namespace::Inherit || !request.host.is_initial_user_namespace
}

/// Whether the pid namespace is the host's, of which stage1 can mount no procfs in a user namespace. (Into one that is joined no procfs of the
/// host may come, where others could take it.)
pub(super) fn sends_procfs(request: &Request<'_>) -> bool {
    request.config.namespaces.pid == Namespace::Inherit && shows_procfs_late(request)
}

/// Whether the network namespace comes with the clone: a user namespace owns what is made in it, and who is not the host's root could not
/// come back from a network namespace to the host's.
pub(super) fn clones_network(request: &Request<'_>) -> bool {
    let namespaces = &request.config.namespaces;
    namespaces.network == Namespace::New
        && (namespaces.user != Namespace::Inherit || !request.host.is_privileged())
}

/// Whether the container's process is a child of the stage1 that the parent clones: only its children are in a pid namespace that it joins, or
/// makes below a user namespace that it has joined.
pub(super) fn is_born_late(namespaces: &Namespaces) -> bool {
    match &namespaces.pid {
        Namespace::Join(_) => true,
        Namespace::New => matches!(namespaces.user, Namespace::Join(_)),
        Namespace::Inherit => false,
    }
}

/// Whether a new user namespace comes with the clone, and with it whatever is made below. Not where a pid namespace is joined: what the parent clones
/// is its own copy until it executes stage1, which nobody in there shall meet.
pub fn clones_user(namespaces: &Namespaces) -> bool {
    namespaces.user == Namespace::New && !matches!(namespaces.pid, Namespace::Join(_))
}

/// Whether stage1 cannot write the offsets of its time namespace: executed outside of its user namespace, it has files in procfs that are the host's
/// root's.
pub(super) fn leaves_clocks_to_parent(config: &Config) -> bool {
    let namespaces = &config.namespaces;
    namespaces.time == Namespace::New
        && !config.time_offsets.is_empty()
        && namespaces.user != Namespace::Inherit
        && !clones_user(namespaces)
}

/// The namespaces that stage1 makes, CLONE_NEW* bits of linux/sched.h: all, if it has to be in a user namespace before; else what need not come with
/// the clone, while the parent goes on, unless somebody may look. (The cgroup namespace comes with the cgroups, the time namespace with a step.)
pub(super) fn unshared(request: &Request<'_>) -> u32 {
    let namespaces = &request.config.namespaces;
    if clones_user(namespaces) {
        return 0;
    }
    let bit = |namespace: &Namespace, bit: u32| if *namespace == Namespace::New { bit } else { 0 };
    let alone = bit(&namespaces.mount, uapi::CLONE_NEWNS)
        | bit(&namespaces.ipc, uapi::CLONE_NEWIPC)
        | bit(&namespaces.uts, uapi::CLONE_NEWUTS);
    if namespaces.user == Namespace::Inherit {
        return if request.shows_process { 0 } else { alone };
    }
    alone
        | bit(&namespaces.user, uapi::CLONE_NEWUSER)
        | bit(&namespaces.pid, uapi::CLONE_NEWPID)
        | bit(&namespaces.network, uapi::CLONE_NEWNET)
}

/// Whether groups can be neither given up nor taken on: the kernel has it so where an ordinary user maps a group.
pub(super) fn groups_are_denied(request: &Request<'_>) -> bool {
    match request.config.namespaces.user {
        Namespace::Inherit => request.host.denies_groups,
        Namespace::New => !request.host.is_privileged() && id_maps_deny_groups(&request.config.id_mappings),
        Namespace::Join(_) => false,
    }
}

/// Whether an ordinary user has to deny setgroups(2) for these mappings: newgidmap(1) is not called for one's own group alone.
pub fn id_maps_deny_groups(mappings: &IdMappings) -> bool {
    matches!(mappings.gids.as_slice(), [only] if only.size == 1)
}

/// Whether the parent opens sources and the root: the host's root may look where the container's root may not.
pub(super) fn opens_sources(request: &Request<'_>) -> bool {
    request.config.namespaces.user != Namespace::Inherit
        && request.config.namespaces.mount == Namespace::New
        && request.host.is_privileged()
}

impl HostFacts {
    /// The host's root, and not that of some user namespace.
    pub fn is_privileged(&self) -> bool {
        self.uid == 0 && self.is_initial_user_namespace
    }
}

impl Plan<'_> {
    /// Whether this container has, or joins, a user namespace.
    pub fn has_user_namespace(&self) -> bool {
        self.user_namespace.is_some()
    }
}
