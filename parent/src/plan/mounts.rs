//! The configured mounts, in their order.
//!
//! What shows the network (sysfs) or the cgroups must wait until the container is in them; from the first such mount on, all mounts
//! wait, since later ones may lie on earlier ones.

use shared_proto::{Attributes, BindOrigin, Phase, Propagations, Step};

use super::lsm;
use super::root::propagation;
use super::{Draft, Places, Request};
use crate::cgroup::View;
use crate::config::{Mount, MountAttributes, MountKind, Namespace};
use crate::error::{Error, Result};
use crate::host::CgroupHost;

/// Plans all mounts; returns where they are.
pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) -> Result<Places<'a>> {
    let mut phase = Phase::Mounts;
    let mut places = Places::default();
    for (index, mount) in request.config.mounts.iter().enumerate() {
        if waits(request, mount) {
            phase = Phase::Views;
        }
        if phase == Phase::Views {
            places.waiting.push(mount.destination.as_str());
        } else if matches!(mount.kind, MountKind::Filesystem { .. }) {
            places.fresh.push(mount.destination.as_str());
        }
        let target = mount.destination.as_str();
        let propagations = propagations(mount).ok_or_else(|| {
            Error::new(format!("$.mounts[{index}].options: more than eight changes of propagation"))
        })?;
        match &mount.kind {
            MountKind::Filesystem { fstype, source } => draft.push(
                phase,
                Step::MountFilesystem {
                    fstype,
                    source,
                    target,
                    options: lsm::labelled(draft, request, fstype, &mount.data),
                    attributes: attributes(mount.attributes),
                    propagations,
                },
            ),
            MountKind::Bind { source, recursive } => {
                let source = absolute(draft, request.bundle, source);
                let step = Step::BindMount {
                    source,
                    target,
                    origin: BindOrigin::Host,
                    recursive: *recursive,
                    attributes: attributes(mount.attributes),
                    recursive_attributes: attributes(mount.recursive_attributes),
                    propagations,
                };
                draft.push(phase, step);
            }
            MountKind::Cgroup => plan_cgroup(draft, request, mount, phase, propagations),
        }
    }
    Ok(places)
}

/// Whether a mount shows what the parent makes while stage1 mounts.
fn waits(request: &Request<'_>, mount: &Mount) -> bool {
    match &mount.kind {
        MountKind::Filesystem { fstype, .. } => {
            fstype == "sysfs" && request.config.namespaces.network == Namespace::New
        }
        MountKind::Bind { .. } => false,
        MountKind::Cgroup => true,
    }
}

/// A relative source means the bundle.
fn absolute<'a>(draft: &Draft<'a>, bundle: &str, source: &'a str) -> &'a str {
    if source.starts_with('/') { source } else { draft.keep(format!("{bundle}/{source}")) }
}

/// The container's own cgroups: on v2 one mount; on v1 a tmpfs with a directory for each hierarchy.
fn plan_cgroup<'a>(
    draft: &mut Draft<'a>,
    request: &Request<'a>,
    mount: &'a Mount,
    phase: Phase,
    propagations: Propagations,
) {
    let target = mount.destination.as_str();
    match &request.host.cgroups {
        CgroupHost::V2 { .. } | CgroupHost::None => draft.push(
            phase,
            Step::MountFilesystem {
                fstype: "cgroup2",
                source: "cgroup",
                target,
                options: &mount.data,
                attributes: attributes(mount.attributes),
                propagations,
            },
        ),
        CgroupHost::V1 { .. } => plan_cgroup_v1(draft, request, mount, phase, propagations),
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
    let mode = draft.keep_list(vec![String::from("mode=755")]);
    let own_namespace = request.config.namespaces.cgroup != Namespace::Inherit;
    draft.push(
        phase,
        Step::MountFilesystem {
            fstype: "tmpfs",
            source: "tmpfs",
            target,
            options: lsm::labelled(draft, request, "tmpfs", mode),
            // One change for the whole tree in the end is cheaper than one for each mount.
            attributes: Attributes::default(),
            propagations,
        },
    );
    for view in request.placement.views() {
        plan_hierarchy(draft, target, view, phase, own_namespace);
    }
    draft.push(phase, Step::SetMountAttributes { path: target, attributes: attributes(mount.attributes) });
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
    let target = draft.keep(format!("{destination}/{}", view.name));
    if own_namespace {
        let step = Step::MountFilesystem {
            fstype: "cgroup",
            source: "cgroup",
            target,
            options: draft.keep_list(view.options),
            attributes: Attributes::default(),
            propagations: Propagations::default(),
        };
        draft.push(phase, step);
    } else {
        let source = draft.keep(view.source);
        draft.push(
            phase,
            Step::BindMount {
                source,
                target,
                origin: BindOrigin::Parent,
                recursive: false,
                attributes: Attributes::default(),
                recursive_attributes: Attributes::default(),
                propagations: Propagations::default(),
            },
        );
    }
    for link in view.links {
        let path = draft.keep(format!("{destination}/{link}"));
        let link_target = draft.keep(view.name.clone());
        draft.push(phase, Step::MakeSymlink { path, target: link_target });
    }
}

/// `None` for more than eight.
fn propagations(mount: &Mount) -> Option<Propagations> {
    Propagations::new(mount.propagation.iter().copied().map(propagation))
}

fn attributes(attributes: MountAttributes) -> Attributes {
    // MOUNT_ATTR_* bits end at 0x00200000.
    Attributes { set: attributes.set as u32, clear: attributes.clear as u32 }
}
