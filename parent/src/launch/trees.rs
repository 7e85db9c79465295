//! Sources that the parent opens: what stage1 may not look up from within a user namespace, and what only the host's root may change.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use linux_raw_sys::general as uapi;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use sc::syscall;
use shared_proto::PropagationKind;

use super::filesystem;
use super::spawn::user_namespace;
use crate::config::{Idmap, IdmapMappings};
use crate::error::{Error, Result, check};
use crate::plan::{Plan, SentTree};

/// The root file system's detached tree.
pub(super) fn open_root(plan: &Plan<'_>) -> Result<OwnedFd> {
    let failed = |errno| Error::call(format_args!("open_tree {}", plan.bootstrap.root), errno);
    let tree = open(plan.bootstrap.root, true).map_err(failed)?;
    cut_off(plan, &tree, true).map_err(failed)?;
    Ok(tree)
}

/// The trees of the plan's `Sent` steps, in their order.
pub(super) fn open_sources(plan: &Plan<'_>) -> Result<Vec<OwnedFd>> {
    plan.sent.iter().map(|sent| open_source(plan, sent)).collect()
}

fn open_source(plan: &Plan<'_>, sent: &SentTree<'_>) -> Result<OwnedFd> {
    let failed = |call: &'static str| {
        let (source, target) = (sent.source, sent.target);
        move |errno| Error::call(format_args!("bind {source} on {target}: {call}"), errno)
    };
    let tree = match &sent.filesystem {
        Some(filesystem) => filesystem::make(sent, filesystem)?,
        None => {
            let tree = open(sent.source, sent.recursive).map_err(failed("open_tree"))?;
            cut_off(plan, &tree, sent.recursive).map_err(failed("mount_setattr"))?;
            tree
        }
    };
    if let Some(idmap) = sent.idmap {
        let namespace = idmap_namespace(plan, idmap)?;
        let attributes = uapi::mount_attr {
            attr_set: u64::from(uapi::MOUNT_ATTR_IDMAP),
            attr_clr: 0,
            propagation: 0,
            userns_fd: namespace.as_raw_fd() as u64,
        };
        set_attributes(&tree, &attributes, idmap.recursive).map_err(failed("idmap"))?;
    }
    Ok(tree)
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

fn open(path: &str, recursive: bool) -> std::result::Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(CWD, path, flags)
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
