//! The cgroups as a container sees them: a new mount where it has a cgroup namespace, else what the host has mounted.

use linux_raw_sys::general as uapi;
use shared_proto::{Attributes, BindOrigin, Nofollow, Phase, Planned, Propagations, Step};

use super::mounts::{HostTree, attributes, flags, host_view, is_on_host_tree, plan_bind};
use super::{Draft, Request, lsm, user_namespace};
use crate::cgroup::View;
use crate::config::{Mount, MountAttributes, MountKind, Namespace};
use crate::host::{CgroupHost, Hierarchy};

/// The container's own cgroups: on v2 one mount; on v1 a tmpfs with a directory for each hierarchy.
pub(super) fn plan<'a>(
    draft: &mut Draft<'a>,
    request: &Request<'a>,
    index: usize,
    phase: Phase,
    propagations: Propagations,
    is_unified: bool,
) {
    let mount = &request.config.mounts[index];
    let target = mount.destination.as_str();
    if user_namespace::binds_cgroups(request) {
        return plan_own_cgroups(draft, request, mount, phase, propagations);
    }
    if user_namespace::is_sent_cgroup(request) {
        let source = draft.keep(request.placement.unified_path().unwrap_or_default());
        draft.push(phase, sent_cgroup(source, target));
        // This cuts it off from the host's mount as well.
        let attributes = attributes(mount.attributes);
        return draft.push(phase, Step::SetMountAttributes { path: target, recursive: true, attributes });
    }
    if matches!(request.host.cgroups, CgroupHost::V1 { .. }) && unified(request, is_unified).is_none() {
        return plan_cgroup_v1(draft, request, mount, phase, propagations);
    }
    if is_on_host_tree(request, index) {
        // The host's own may be mounted there, and the kernel refuses a filesystem on top of itself.
        let data = lsm::labelled(draft, request, "tmpfs", MODE);
        let flags = flags(mount, mount.attributes);
        draft.push(phase, tmpfs(target, data, flags, Propagations::default()));
    }
    if let Some(hierarchy) = hosts_hierarchy(request, mount, is_unified) {
        return plan_hosts_hierarchy(draft, request, mount, phase, propagations, hierarchy);
    }
    let step = Step::MountFilesystem {
        fstype: "cgroup2",
        source: "cgroup",
        target,
        data: mount.data.as_str(),
        flags: flags(mount, mount.attributes),
        propagations,
        copies_up: false,
        is_mapped: false,
    };
    draft.push(phase, step);
}

/// The v2 hierarchy that a mount of cgroups shows; on a hybrid host one that asks for it.
fn unified<'a>(request: &Request<'a>, is_unified: bool) -> Option<&'a Hierarchy> {
    match &request.host.cgroups {
        CgroupHost::V2 { unified } => Some(unified),
        CgroupHost::V1 { unified, .. } => unified.as_ref().filter(|_| is_unified),
        CgroupHost::None => None,
    }
}

/// The v2 hierarchy, where the container is to see all of it and the host's mount serves. A new one from the initial cgroup namespace sets the
/// options of all mounts of the hierarchy to its own: without `nsdelegate` and `memory_recursiveprot` the host loses both. And on Linux 6.18 it
/// waits some 15 ms for a grace period.
fn hosts_hierarchy<'a>(request: &Request<'a>, mount: &Mount, is_unified: bool) -> Option<&'a Hierarchy> {
    let namespaces = &request.config.namespaces;
    let is_hosts = request.host.sees_all_cgroups
        && request.host.is_privileged()
        && namespaces.cgroup == Namespace::Inherit
        && namespaces.user == Namespace::Inherit;
    unified(request, is_unified).filter(|_| is_hosts && mount.data.is_empty())
}

/// Whether a mount of the cgroups is the host's, bound.
pub(super) fn is_hosts(request: &Request<'_>, mount: &Mount) -> bool {
    match mount.kind {
        MountKind::Cgroup { is_unified } => hosts_hierarchy(request, mount, is_unified).is_some(),
        _ => false,
    }
}

/// The host's mount of it, which looks like a new one.
fn plan_hosts_hierarchy<'a>(
    draft: &mut Draft<'a>,
    request: &Request<'a>,
    mount: &'a Mount,
    phase: Phase,
    propagations: Propagations,
    hierarchy: &'a Hierarchy,
) {
    const FLAGS: u32 = uapi::MOUNT_ATTR_RDONLY
        | uapi::MOUNT_ATTR_NOSUID
        | uapi::MOUNT_ATTR_NODEV
        | uapi::MOUNT_ATTR_NOEXEC
        | uapi::MOUNT_ATTR__ATIME
        | uapi::MOUNT_ATTR_NODIRATIME
        | uapi::MOUNT_ATTR_NOSYMFOLLOW;
    let Attributes { set, clear } = attributes(mount.attributes);
    let tree = HostTree {
        source: &hierarchy.mountpoint,
        recursive: false,
        nofollow: Nofollow::default(),
        attributes: Attributes { set, clear: clear | FLAGS & !set },
    };
    plan_bind(draft, request, mount, phase, tree, propagations);
}

/// Without cgroups of the container's own, and without a namespace to hide behind: the caller's, and never to be written (CVE-2023-25809).
fn plan_own_cgroups<'a>(
    draft: &mut Draft<'a>,
    request: &Request<'a>,
    mount: &'a Mount,
    phase: Phase,
    propagations: Propagations,
) {
    let target = mount.destination.as_str();
    let readonly = Mount {
        attributes: MountAttributes {
            set: mount.attributes.set | u64::from(uapi::MOUNT_ATTR_RDONLY),
            clear: 0,
        },
        ..mount.clone()
    };
    let bind = |hierarchy: &Hierarchy, draft: &Draft<'a>, target| {
        let source = draft.keep(format!("{}{}", hierarchy.mountpoint, hierarchy.own.trim_end_matches('/')));
        host_view(source, target, &readonly, propagations)
    };
    match &request.host.cgroups {
        CgroupHost::None => {}
        CgroupHost::V2 { unified } => draft.push(phase, bind(unified, draft, target)),
        CgroupHost::V1 { hierarchies, .. } => {
            draft.push(phase, tmpfs(target, MODE, 0, propagations));
            for hierarchy in hierarchies {
                let name = hierarchy.mountpoint.rsplit('/').next().unwrap_or_default();
                let target = draft.keep(format!("{target}/{name}"));
                draft.push(phase, bind(hierarchy, draft, target));
            }
            let attributes = attributes(readonly.attributes);
            draft.push(phase, Step::SetMountAttributes { path: target, recursive: false, attributes });
        }
    }
}

fn plan_cgroup_v1<'a>(
    draft: &mut Draft<'a>,
    request: &Request<'a>,
    mount: &'a Mount,
    phase: Phase,
    propagations: Propagations,
) {
    let target = mount.destination.as_str();
    let own_namespace = request.config.namespaces.cgroup != Namespace::Inherit;
    let data = lsm::labelled(draft, request, "tmpfs", MODE);
    // One change for the whole tree in the end is cheaper than one for each mount.
    draft.push(phase, tmpfs(target, data, 0, propagations));
    for view in request.placement.views() {
        plan_hierarchy(draft, target, view, phase, own_namespace);
    }
    draft.push(
        phase,
        Step::SetMountAttributes { path: target, recursive: true, attributes: attributes(mount.attributes) },
    );
}

/// One hierarchy, and links for controllers that share it. In a cgroup namespace a new mount shows the container's cgroup as its root;
/// without one, the cgroup's directory is bound.
fn plan_hierarchy<'a>(
    draft: &mut Draft<'a>,
    destination: &str,
    view: View,
    phase: Phase,
    own_namespace: bool,
) {
    let target = draft.keep([destination, "/", &view.name].concat());
    if own_namespace {
        let step = Step::MountFilesystem {
            fstype: "cgroup",
            source: "cgroup",
            target,
            data: draft.keep(view.options.join(",")),
            flags: 0,
            propagations: Propagations::default(),
            copies_up: false,
            is_mapped: false,
        };
        draft.push(phase, step);
    } else {
        let source = draft.keep(view.source);
        draft.push(phase, sent_cgroup(source, target));
    }
    for link in view.links {
        let path = draft.keep([destination, "/", &link].concat());
        let link_target = draft.keep(view.name.clone());
        draft.push(phase, Step::MakeSymlink { path, target: link_target, exact: false });
    }
}

/// A cgroup's directory, whose tree the parent sends when it has made it.
fn sent_cgroup<'a>(source: &'a str, target: &'a str) -> Step<Planned<'a>> {
    Step::BindMount {
        source,
        target,
        origin: BindOrigin::Parent,
        recursive: false,
        nofollow: Nofollow::default(),
        attributes: Attributes::default(),
        recursive_attributes: Attributes::default(),
        propagations: Propagations::default(),
    }
}

const MODE: &str = "mode=755";

/// What hierarchies are mounted in.
fn tmpfs<'a>(target: &'a str, data: &'a str, flags: u32, propagations: Propagations) -> Step<Planned<'a>> {
    Step::MountFilesystem {
        fstype: "tmpfs",
        source: "tmpfs",
        target,
        data,
        flags,
        propagations,
        copies_up: false,
        is_mapped: false,
    }
}
