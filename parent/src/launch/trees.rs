//! What the parent opens for mounts: what stage1 may not look up from within a user namespace, what only the host's root may change, and the user
//! namespaces of owners.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general as uapi;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use sc::syscall;
use shared_proto::{BindOrigin, Planned, PropagationKind, Step};

use super::filesystem;
use super::spawn::user_namespace;
use crate::config::{Idmap, IdmapMappings};
use crate::error::{Error, Result, check};
use crate::plan::{Plan, Sent, SentKind, origin};

/// mount_setattr(2) wants CAP_SYS_ADMIN in the superblock's user namespace.
pub const OWNERS_OF_ROOT: &str =
    "idmap: a bind gets other owners only from root of the user namespace that its filesystem was mounted in";

/// The root file system's detached tree.
pub(super) fn open_root(plan: &Plan<'_>) -> Result<OwnedFd> {
    let failed = |errno| Error::call(format_args!("open_tree {}", plan.bootstrap.root), errno);
    let tree = open(plan.bootstrap.root, OpenTreeFlags::AT_RECURSIVE).map_err(failed)?;
    cut_off(plan, &tree, true).map_err(failed)?;
    Ok(tree)
}

/// What the plan's steps wait for, in their order. `within` is the container's user namespace, or a process in it, if it has one.
pub(super) fn open_sources(plan: &Plan<'_>, within: Option<BorrowedFd<'_>>) -> Result<Vec<OwnedFd>> {
    let waiting = plan.steps.iter().enumerate().filter(|(_, phased)| takes_sent(&phased.step));
    let open = |(sent, (index, _))| {
        open_source(plan, sent, within).map_err(|error: Error| match origin::json_path(plan, index) {
            Some(path) => error.context(path),
            None => error,
        })
    };
    plan.sent.iter().zip(waiting).map(open).collect()
}

fn takes_sent(step: &Step<Planned<'_>>) -> bool {
    match step {
        Step::BindMount { origin, .. } => *origin == BindOrigin::Sent,
        step => step.takes_source(),
    }
}

fn open_source(plan: &Plan<'_>, sent: &Sent<'_>, within: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let failed = |call: &'static str| {
        let (source, target) = (sent.source, sent.target);
        move |errno| Error::call(format_args!("bind {source} on {target}: {call}"), errno)
    };
    let tree = match &sent.kind {
        SentKind::Filesystem(filesystem) => filesystem::make(sent, filesystem)?,
        SentKind::Tree { recursive, nofollow } => {
            let mut flags = OpenTreeFlags::empty();
            flags.set(OpenTreeFlags::AT_RECURSIVE, *recursive);
            flags.set(OpenTreeFlags::AT_SYMLINK_NOFOLLOW, *nofollow);
            let tree = open(sent.source, flags).map_err(|errno| {
                let error = failed("open_tree")(errno);
                let is_ours = errno == Errno::PERM && sent.idmap.is_some();
                if is_ours { Error::new(format!("{error} ({OWNERS_OF_ROOT})")) } else { error }
            })?;
            cut_off(plan, &tree, *recursive).map_err(failed("mount_setattr"))?;
            tree
        }
        SentKind::Owners => return owners(plan, sent, within),
    };
    if let Some(idmap) = sent.idmap {
        let namespace = idmap_namespace(plan, idmap)?;
        let attributes = uapi::mount_attr {
            attr_set: u64::from(uapi::MOUNT_ATTR_IDMAP),
            attr_clr: 0,
            propagation: 0,
            userns_fd: namespace.as_raw_fd() as u64,
        };
        set_attributes(&tree, &attributes, idmap.recursive).map_err(|errno| {
            let error = failed("idmap")(errno);
            if errno == Errno::PERM { Error::new(format!("{error} ({OWNERS_OF_ROOT})")) } else { error }
        })?;
    }
    Ok(tree)
}

/// The user namespace of the owners of a filesystem that stage1 makes. The kernel wants it below that in which stage1 is.
fn owners(plan: &Plan<'_>, sent: &Sent<'_>, within: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let doing = format!("mount {} on {}: idmap", sent.source, sent.target);
    let idmap = sent.idmap.ok_or_else(|| Error::new(format!("{doing}: there are no mappings")))?;
    match (within, &idmap.mappings) {
        (Some(within), IdmapMappings::Own(mappings)) => user_namespace::make_within(within, mappings),
        _ => idmap_namespace(plan, idmap),
    }
    .map_err(|error| error.context(&doing))
}

/// The user namespace whose maps the mount gets.
fn idmap_namespace(plan: &Plan<'_>, idmap: &Idmap) -> Result<OwnedFd> {
    let container = || plan.user_namespace.map(|user| user.id_mappings);
    match &idmap.mappings {
        IdmapMappings::Own(mappings) => user_namespace::make(mappings),
        IdmapMappings::Namespace(path) => super::open_namespace(path, uapi::CLONE_NEWUSER),
        IdmapMappings::Container => match (plan.namespaces.user.path(), container()) {
            (Some(path), _) => super::open_namespace(path, uapi::CLONE_NEWUSER),
            (None, Some(mappings)) => user_namespace::make(mappings),
            (None, None) => Err(Error::new("idmap: the container has no user namespace")),
        },
    }
}

fn open(path: &str, flags: OpenTreeFlags) -> std::result::Result<OwnedFd, Errno> {
    let detached = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(CWD, path, detached | flags)
}

/// A tree from our mount namespace is a peer of the host's mounts until it is told otherwise, as stage1 does with its own.
fn cut_off(plan: &Plan<'_>, tree: &OwnedFd, recursive: bool) -> std::result::Result<(), Errno> {
    let propagation = match plan.bootstrap.initial_propagation.kind {
        PropagationKind::Shared => return Ok(()),
        PropagationKind::Slave => uapi::MS_SLAVE,
        PropagationKind::Private | PropagationKind::Unbindable => uapi::MS_PRIVATE,
    };
    let attributes =
        uapi::mount_attr { attr_set: 0, attr_clr: 0, propagation: u64::from(propagation), userns_fd: 0 };
    set_attributes(tree, &attributes, recursive)
}

/// mount_setattr(2): rustix has no binding.
fn set_attributes(
    tree: &OwnedFd,
    attributes: &uapi::mount_attr,
    recursive: bool,
) -> std::result::Result<(), Errno> {
    let flags = uapi::AT_EMPTY_PATH | if recursive { uapi::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated constant and `attributes` the structure whose size is passed; the kernel only reads both.
    check(unsafe {
        syscall!(
            MOUNT_SETATTR,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<uapi::mount_attr>()
        )
    })
}
