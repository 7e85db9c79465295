//! The configured mounts, in their order.
//!
//! What shows the network (sysfs) or the cgroups must wait until the container is in them; from the first such mount on, all mounts
//! wait, since later ones may lie on earlier ones.

use linux_raw_sys::general as uapi;
use shared_proto::{
    Attributes, BindOrigin, Nofollow, Phase, Planned, Propagation, PropagationKind, Propagations, Step,
};

use super::lsm;
use super::root::propagation;
use super::{
    Content, Draft, NewFilesystem, Places, Request, Sent, SentKind, cgroups, lies_in, user_namespace,
};
use crate::config::{Idmap, IdmapMappings, Mount, MountAttributes, MountKind, Namespace};
use crate::error::{Error, Result};

/// Plans all mounts; returns where they are.
pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) -> Result<Places<'a>> {
    let mut phase = Phase::Mounts;
    let process = &request.config.process;
    let console = process.terminal.as_ref().map(|_| "/dev/console");
    let made_late = console.into_iter().chain(Some(process.cwd.as_str()).filter(|cwd| *cwd != "/"));
    let mut places = Places {
        early: Vec::new(),
        waiting: made_late.collect(),
        network_waits: network_waits(request),
        links_wait: false,
        others_wait: false,
        hooks_wait: request.config.hooks.run_before_the_pivot(),
    };
    let mut waiting_trees: Vec<&str> = Vec::new();
    for (index, mount) in request.config.mounts.iter().enumerate() {
        if waits(request, mount) {
            phase = Phase::Views;
        }
        if phase == Phase::Views {
            places.links_wait |= waiting_trees.iter().any(|tree| lies_in(&mount.destination, tree));
            if may_bring_links(mount) {
                waiting_trees.push(&mount.destination);
            }
            places.others_wait |= !lies_in(&mount.destination, "/sys");
            places.waiting.push(mount.destination.as_str());
        } else {
            places.early.push((mount.destination.as_str(), content(mount)));
        }
        let target = mount.destination.as_str();
        let propagations = propagations(request, mount).ok_or_else(|| {
            Error::new(format!("$.mounts[{index}].options: more than eight changes of propagation"))
        })?;
        match &mount.kind {
            MountKind::Filesystem { fstype, .. } if user_namespace::binds_filesystem(request, fstype) => {
                // The kernel shows these only to the owner of the namespace that they show: the host's is bound.
                let source = if fstype == "sysfs" { "/sys" } else { "/dev/mqueue" };
                draft.push(phase, host_view(source, target, mount, propagations));
            }
            MountKind::Filesystem { fstype, source } if is_made_by_parent(request, mount) => {
                let filesystem = NewFilesystem {
                    fstype,
                    data: &mount.data,
                    label: lsm::label(request, fstype),
                    superblock: mount.superblock,
                    attributes: early_attributes(mount).set as u32,
                    within: user_namespace::joined_to_mount(request, fstype),
                };
                let kind = SentKind::Filesystem(filesystem);
                draft.sent.push(Sent { source, target, kind, idmap: mount.idmap.as_ref() });
                let step = Step::BindMount {
                    // What plans and errors show.
                    source: draft.keep(format!("/({fstype})")),
                    target,
                    origin: BindOrigin::Sent,
                    recursive: false,
                    nofollow: Nofollow::default(),
                    attributes: Attributes::default(),
                    recursive_attributes: Attributes::default(),
                    propagations,
                };
                draft.push(phase, step);
            }
            MountKind::Filesystem { fstype, source } => {
                let owners = mount.idmap.as_ref().filter(|idmap| changes_owners(request, idmap));
                if owners.is_some() {
                    draft.sent.push(Sent { source: fstype, target, kind: SentKind::Owners, idmap: owners });
                }
                draft.push(
                    phase,
                    Step::MountFilesystem {
                        fstype,
                        source,
                        target,
                        data: lsm::labelled(draft, request, fstype, &mount.data),
                        flags: flags(mount, early_attributes(mount)),
                        propagations,
                        copies_up: mount.copies_up,
                        is_mapped: owners.is_some(),
                    },
                );
            }
            MountKind::Bind { source, recursive, source_nofollow, destination_nofollow, .. } => {
                let tree = HostTree {
                    source: absolute(draft, request.bundle, source),
                    recursive: *recursive,
                    nofollow: Nofollow { source: *source_nofollow, target: *destination_nofollow },
                    attributes: attributes(mount.attributes),
                };
                plan_bind(draft, request, mount, phase, tree, propagations);
            }
            MountKind::Symlink { text } => {
                draft.push(phase, Step::MakeSymlink { path: target, target: text, exact: true });
            }
            // The flags of this place alone, as mount(8) has it.
            MountKind::Remount { is_bind: true } => {
                let attributes = attributes(mount.attributes);
                draft.push(phase, Step::SetMountAttributes { path: target, recursive: false, attributes });
            }
            MountKind::Remount { is_bind: false } => draft.push(
                phase,
                Step::MountFilesystem {
                    // What plans and errors show.
                    fstype: "remount",
                    source: "",
                    target,
                    data: &mount.data,
                    flags: flags(mount, mount.attributes) | uapi::MS_REMOUNT,
                    propagations,
                    copies_up: false,
                    is_mapped: false,
                },
            ),
            MountKind::Cgroup { is_unified } => {
                cgroups::plan(draft, request, index, phase, propagations, *is_unified)
            }
        }
    }
    Ok(places)
}

/// What a bind shows.
pub(super) struct HostTree<'a> {
    pub(super) source: &'a str,
    pub(super) recursive: bool,
    pub(super) nofollow: Nofollow,
    /// Of its top mount.
    pub(super) attributes: Attributes,
}

pub(super) fn plan_bind<'a>(
    draft: &mut Draft<'a>,
    request: &Request<'a>,
    mount: &'a Mount,
    phase: Phase,
    tree: HostTree<'a>,
    propagations: Propagations,
) {
    let HostTree { source, recursive, nofollow, attributes: top } = tree;
    let target = mount.destination.as_str();
    let is_sent = mount.idmap.is_some() || request.is_entered || user_namespace::opens_sources(request);
    if is_sent {
        let kind = SentKind::Tree { recursive, nofollow: nofollow.source };
        draft.sent.push(Sent { source, target, kind, idmap: mount.idmap.as_ref() });
    }
    let step = Step::BindMount {
        source,
        target,
        origin: if is_sent { BindOrigin::Sent } else { BindOrigin::Host },
        recursive,
        nofollow,
        attributes: top,
        recursive_attributes: attributes(mount.recursive_attributes),
        propagations,
    };
    draft.push(phase, step);
}

/// A filesystem of the container's own user namespace has its owners already.
fn changes_owners(request: &Request<'_>, idmap: &Idmap) -> bool {
    idmap.mappings != IdmapMappings::Container || request.config.namespaces.user == Namespace::Inherit
}

/// Whether mount `index` lies in a tree of the host's that comes with all that is mounted there, such as /sys for who has no network namespace.
pub(super) fn is_on_host_tree(request: &Request<'_>, index: usize) -> bool {
    let mounts = &request.config.mounts;
    let holds = |mount: &&Mount| lies_in(&mounts[index].destination, &mount.destination);
    mounts[..index].iter().rev().find(holds).is_some_and(|mount| match &mount.kind {
        MountKind::Bind { recursive, .. } => *recursive,
        MountKind::Filesystem { fstype, .. } => user_namespace::binds_filesystem(request, fstype),
        MountKind::Cgroup { .. } | MountKind::Remount { .. } | MountKind::Symlink { .. } => false,
    })
}

/// A bind of a tree that the host has.
pub(super) fn host_view<'a>(
    source: &'a str,
    target: &'a str,
    mount: &Mount,
    propagations: Propagations,
) -> Step<Planned<'a>> {
    // What the host's mounts are locked with cannot be cleared.
    let attributes = Attributes { clear: 0, ..attributes(mount.attributes) };
    Step::BindMount {
        source,
        target,
        origin: BindOrigin::Host,
        recursive: true,
        nofollow: Nofollow::default(),
        attributes: Attributes::default(),
        recursive_attributes: attributes,
        propagations,
    }
}

fn content(mount: &Mount) -> Content {
    match &mount.kind {
        MountKind::Filesystem { fstype, .. } if fstype == "proc" => Content::Proc,
        MountKind::Filesystem { fstype, .. } if MADE.contains(&fstype.as_str()) && !mount.copies_up => {
            Content::Made
        }
        _ => Content::Others,
    }
}

/// Whether there may be symlinks in it that the image has not.
fn may_bring_links(mount: &Mount) -> bool {
    match &mount.kind {
        MountKind::Bind { .. } => true,
        MountKind::Filesystem { fstype, .. } => !has_no_paths(fstype),
        _ => false,
    }
}

/// Filesystems that begin empty, or with what the kernel makes.
const MADE: [&str; 4] = ["tmpfs", "ramfs", "devpts", "mqueue"];

/// Whether the parent makes the network namespace while stage1 mounts.
pub(super) fn network_waits(request: &Request<'_>) -> bool {
    request.config.namespaces.network == Namespace::New && !user_namespace::clones_network(request)
}

/// Whether a mount shows what the parent makes while stage1 mounts.
fn waits(request: &Request<'_>, mount: &Mount) -> bool {
    match &mount.kind {
        MountKind::Cgroup { .. } => !user_namespace::binds_cgroups(request),
        MountKind::Filesystem { fstype, .. } if fstype == "sysfs" => network_waits(request),
        _ => network_waits(request) && lies_in(&mount.destination, "/proc/sys/net"),
    }
}

/// A tmpfs that is to be read-only: it becomes that when all is there that other steps make in it.
pub(super) fn is_readonly_late(mount: &Mount) -> bool {
    let is_tmpfs = matches!(&mount.kind, MountKind::Filesystem { fstype, .. } if fstype == "tmpfs");
    is_tmpfs && mount.attributes.set & u64::from(uapi::MOUNT_ATTR_RDONLY) != 0
}

/// The attributes with which a filesystem is mounted at first.
fn early_attributes(mount: &Mount) -> MountAttributes {
    let late = if is_readonly_late(mount) { u64::from(uapi::MOUNT_ATTR_RDONLY) } else { 0 };
    MountAttributes { set: mount.attributes.set & !late, ..mount.attributes }
}

/// Whether a mount may name files at all, such as by names that are relative to its place.
pub(super) fn may_name_paths(mount: &Mount) -> bool {
    matches!(&mount.kind, MountKind::Filesystem { fstype, .. } if !has_no_paths(fstype))
}

/// Whether a mount's source or options name files of the host: a device, the directories of an overlay. The kernel looks them up from the root that we
/// have then, which must still be the host's.
pub(super) fn names_host_paths(mount: &Mount) -> bool {
    let MountKind::Filesystem { source, .. } = &mount.kind else { return false };
    may_name_paths(mount) && (source.contains('/') || mount.data.contains('/'))
}

/// Whether the parent mounts a filesystem although it is an ordinary one.
fn is_made_by_parent(request: &Request<'_>, mount: &Mount) -> bool {
    let MountKind::Filesystem { fstype, .. } = &mount.kind else { return false };
    is_on_device(request, mount)
        || request.is_entered && names_host_paths(mount)
        || user_namespace::joined_to_mount(request, fstype).is_some()
}

/// Whether a filesystem is on a device of the host. The parent mounts it, since the container's cgroup may forbid the device: what the program
/// may do is one thing, and what it finds another.
fn is_on_device(request: &Request<'_>, mount: &Mount) -> bool {
    let MountKind::Filesystem { fstype, source } = &mount.kind else { return false };
    let has_user_namespace = request.config.namespaces.user != Namespace::Inherit;
    !has_no_paths(fstype) && source.starts_with("/dev/") && !has_user_namespace
}

/// Filesystems that take no path, whatever their source is called.
fn has_no_paths(fstype: &str) -> bool {
    const WITHOUT_PATHS: [&str; 12] = [
        "proc",
        "sysfs",
        "tmpfs",
        "devpts",
        "mqueue",
        "ramfs",
        "cgroup",
        "cgroup2",
        "devtmpfs",
        "bpf",
        "securityfs",
        "hugetlbfs",
    ];
    WITHOUT_PATHS.contains(&fstype)
}

/// A relative source means the bundle.
fn absolute<'a>(draft: &Draft<'a>, bundle: &str, source: &'a str) -> &'a str {
    if source.starts_with('/') { source } else { draft.keep(format!("{bundle}/{source}")) }
}

/// `None` for more than eight.
fn propagations(request: &Request<'_>, mount: &Mount) -> Option<Propagations> {
    // Neither gets the container what the host mounts in there, nor the host what the container does.
    let private = Propagation { kind: PropagationKind::Private, recursive: false };
    let first = cgroups::is_hosts(request, mount).then_some(private);
    // Without the first of eight, there is room for it: the last ones decide.
    let passed_over = if first.is_some() && mount.propagation.len() == 8 { 1 } else { 0 };
    let changes = mount.propagation.iter().skip(passed_over).copied().map(propagation);
    Propagations::new(first.into_iter().chain(changes))
}

/// A new filesystem's flags as mount(2) takes them.
pub(super) fn flags(mount: &Mount, attributes: MountAttributes) -> u32 {
    let MountAttributes { set, clear } = attributes;
    let set = set as u32;
    let pairs = [
        (uapi::MOUNT_ATTR_RDONLY, uapi::MS_RDONLY),
        (uapi::MOUNT_ATTR_NOSUID, uapi::MS_NOSUID),
        (uapi::MOUNT_ATTR_NODEV, uapi::MS_NODEV),
        (uapi::MOUNT_ATTR_NOEXEC, uapi::MS_NOEXEC),
        (uapi::MOUNT_ATTR_NODIRATIME, uapi::MS_NODIRATIME),
        (uapi::MOUNT_ATTR_NOSYMFOLLOW, uapi::MS_NOSYMFOLLOW),
    ];
    let flags = pairs
        .into_iter()
        .filter(|(bit, _)| set & bit != 0)
        .fold(mount.superblock, |all, (_, flag)| all | flag);
    // The access times are one field of several values.
    flags
        | match set & uapi::MOUNT_ATTR__ATIME {
            uapi::MOUNT_ATTR_NOATIME => uapi::MS_NOATIME,
            uapi::MOUNT_ATTR_STRICTATIME => uapi::MS_STRICTATIME,
            _ if clear & u64::from(uapi::MOUNT_ATTR__ATIME) != 0 => uapi::MS_RELATIME,
            _ => 0,
        }
}

pub(super) fn attributes(attributes: MountAttributes) -> Attributes {
    // MOUNT_ATTR_* bits end at 0x00200000.
    Attributes { set: attributes.set as u32, clear: attributes.clear as u32 }
}
