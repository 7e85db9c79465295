//! File systems, bind mounts, and the root's own flags.

use core::ffi::CStr;

use shared_proto::{Attributes, BindOrigin, Call, Propagation, Propagations, TextList};

use super::{Context, lsm};
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};
use crate::paths::{self, Missing, PathBuffer};

const MOUNT_ATTR_RDONLY: u32 = 1;

/// A new filesystem instance.
pub(super) struct Filesystem<'a> {
    pub(super) fstype: &'a CStr,
    pub(super) source: &'a CStr,
    pub(super) options: TextList<'a>,
}

/// Mounts a new filesystem instance on `target`.
///
/// Source: fsopen(2), fsconfig(2), fsmount(2), Linux 5.2; runtime-spec config.md "Mounts".
pub(super) fn filesystem<K: Kernel>(
    context: &mut Context<'_, K>,
    filesystem: &Filesystem<'_>,
    target: &'static CStr,
    attributes: Attributes,
    propagations: Propagations,
) -> Result<(), Fault> {
    let kernel = &mut *context.kernel;
    let instance = kernel.filesystem_open(filesystem.fstype).at(Call::FilesystemOpen)?;
    if !filesystem.source.is_empty() {
        kernel.filesystem_string(instance, c"source", filesystem.source).at(Call::FilesystemOption)?;
    }
    let mut has_mode = false;
    for option in filesystem.options.iter().filter(|option| !lsm::is_late(filesystem.fstype, option)) {
        has_mode |= option.to_bytes().starts_with(b"mode=");
        set_option(kernel, instance, option).at(Call::FilesystemOption)?;
    }
    if filesystem.fstype == c"tmpfs" && !has_mode {
        let place = paths::open_or_make(kernel, context.root.new, target, Missing::Directory)?;
        inherit_mode(kernel, instance, place)?;
    }
    kernel.filesystem_create(instance).at(Call::FilesystemCreate)?;
    let mount = kernel.filesystem_mount(instance, attributes.set).at(Call::FilesystemMount)?;
    lsm::label_late(kernel, filesystem.fstype, filesystem.options, mount)?;
    put_on_directory(context, filesystem.fstype, mount, target)?;
    set_propagations(context.kernel, mount, propagations)
}

/// Moves the detached `mount` onto the directory `target`, which is made if it is missing.
///
/// The last component is not followed if it is a symlink, and neither is one before it for proc and sysfs: an image could choose
/// what later writes to them hit (CVE-2023-28642 and its kin). For other filesystems a symlink is resolved inside the root.
fn put_on_directory<K: Kernel>(
    context: &mut Context<'_, K>,
    fstype: &CStr,
    mount: Descriptor,
    target: &'static CStr,
) -> Result<(), Fault> {
    let (root, strict) = (context.root.new, fstype == c"proc" || fstype == c"sysfs");
    if strict && paths::split(target).0 != b"/" {
        return put_strictly(context, mount, target);
    }
    let (directory, name) = context.parent(target)?;
    let (kernel, name) = (&mut *context.kernel, name.as_c_str());
    let moved = match kernel.move_mount(mount, directory, name) {
        Err(Errno::NOENT) => {
            kernel.make_directory(directory, name, 0o755).at(Call::MakeDirectory)?;
            kernel.move_mount(mount, directory, name)
        }
        // Not a directory, or a symlink.
        Err(Errno::INVAL | Errno::NOTDIR) if strict => return put_strictly(context, mount, target),
        Err(Errno::INVAL | Errno::NOTDIR) => {
            let place = paths::open_or_make(kernel, root, target, Missing::Directory)?;
            context.directory = None;
            context.kernel.move_mount(mount, place, c"")
        }
        moved => moved,
    };
    moved.at(Call::MoveMount)?;
    context.mounted(target);
    Ok(())
}

/// The same through a path without any symlink.
fn put_strictly<K: Kernel>(
    context: &mut Context<'_, K>,
    mount: Descriptor,
    target: &'static CStr,
) -> Result<(), Fault> {
    let (kernel, root) = (&mut *context.kernel, context.root.new);
    let place = match kernel.open(root, target, Open::Directory, Resolve::InRootNoSymlinks) {
        Err(Errno::NOENT) => {
            paths::open_or_make(kernel, root, target, Missing::Directory)?;
            kernel.open(root, target, Open::Directory, Resolve::InRootNoSymlinks).at(Call::Open)?
        }
        opened => opened.at(Call::Open)?,
    };
    kernel.move_mount(mount, place, c"").at(Call::MoveMount)?;
    context.mounted(target);
    Ok(())
}

/// `key=value`, or a flag.
fn set_option<K: Kernel>(kernel: &mut K, instance: Descriptor, option: &CStr) -> Result<(), Errno> {
    let bytes = option.to_bytes();
    match bytes.iter().position(|&byte| byte == b'=') {
        None => kernel.filesystem_flag(instance, option),
        Some(equals) => {
            let key = PathBuffer::new(bytes.get(..equals).unwrap_or_default())?;
            let value = PathBuffer::new(bytes.get(equals + 1..).unwrap_or_default())?;
            kernel.filesystem_string(instance, key.as_c_str(), value.as_c_str())
        }
    }
}

/// A tmpfs without a mode takes that of the directory it covers, as runc's and crun's do.
fn inherit_mode<K: Kernel>(kernel: &mut K, instance: Descriptor, place: Descriptor) -> Result<(), Fault> {
    let mode = kernel.status(place).at(Call::Status)?.mode & 0o7777;
    let digits = [9, 6, 3, 0].map(|shift| b'0' + ((mode >> shift) & 7) as u8);
    let value = PathBuffer::new(&digits).at(Call::FilesystemOption)?;
    kernel.filesystem_string(instance, c"mode", value.as_c_str()).at(Call::FilesystemOption)
}

fn set_propagations<K: Kernel>(
    kernel: &mut K,
    mount: Descriptor,
    propagations: Propagations,
) -> Result<(), Fault> {
    for propagation in propagations.iter() {
        kernel.set_propagation(mount, c"", propagation).at(Call::MountAttributes)?;
    }
    Ok(())
}

/// The next detached tree of this origin: both kinds were opened before, in the order of their steps.
pub(super) fn source_tree<K: Kernel>(
    context: &mut Context<'_, K>,
    origin: BindOrigin,
) -> Result<Descriptor, Fault> {
    let missing = Err(Fault { call: Call::OpenTree, errno: Errno::NOENT });
    match origin {
        BindOrigin::Host => {
            context.next_source += 1;
            context.root.sources.get(context.next_source - 1).copied().unwrap_or(missing)
        }
        BindOrigin::Parent => {
            context.next_tree += 1;
            context.trees.get(context.next_tree - 1).copied().map_or(missing, Ok)
        }
    }
}

/// Mounts the detached `tree` on `target`, which is made to match it where it is missing.
///
/// Source: open_tree(2), mount_setattr(2), move_mount(2); runtime-spec config.md "Mounts".
pub(super) fn bind<K: Kernel>(
    context: &mut Context<'_, K>,
    (tree, origin): (Descriptor, BindOrigin),
    target: &'static CStr,
    attributes: [(Attributes, bool); 2],
    propagations: Propagations,
) -> Result<(), Fault> {
    let (kernel, root) = (&mut *context.kernel, context.root.new);
    for (attributes, recursive) in attributes {
        if !attributes.is_empty() {
            kernel.set_attributes(tree, attributes, recursive).at(Call::MountAttributes)?;
        }
    }
    if origin == BindOrigin::Parent {
        // A cgroup's directory, on an empty file system that the plan has just mounted: there is no target yet.
        let (directory, name) = context.parent(target)?;
        match context.kernel.make_directory(directory, name.as_c_str(), 0o755) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Fault { call: Call::MakeDirectory, errno }),
        }
        return context.kernel.move_mount(tree, directory, name.as_c_str()).at(Call::MoveMount);
    }
    let place = match paths::open_existing(kernel, root, target)? {
        Some(place) => place,
        None => {
            let source = kernel.status(tree).at(Call::Status)?;
            let missing = if source.is_directory() { Missing::Directory } else { Missing::File };
            paths::open_or_make(kernel, root, target, missing)?
        }
    };
    kernel.move_mount(tree, place, c"").at(Call::MoveMount)?;
    set_propagations(kernel, tree, propagations)?;
    context.mounted(target);
    Ok(())
}

/// Changes a mount that is there, and all below it, and cuts them off from the host's: trees from the parent may be its peers.
pub(super) fn set_attributes<K: Kernel>(
    context: &mut Context<'_, K>,
    path: &CStr,
    attributes: Attributes,
) -> Result<(), Fault> {
    let mount = paths::open(context.kernel, context.root.new, path)?;
    context.kernel.set_attributes_private(mount, attributes).at(Call::MountAttributes)
}

/// Makes a directory with its parents, if it is missing.
pub(super) fn directory<K: Kernel>(context: &mut Context<'_, K>, path: &CStr) -> Result<(), Fault> {
    let root = context.root.new;
    paths::open_or_make(context.kernel, root, path, Missing::Directory)?;
    Ok(())
}

/// Gives the root mount its propagation, and makes it read-only.
pub(super) fn finish_root<K: Kernel>(
    context: &mut Context<'_, K>,
    readonly: bool,
    propagations: Propagations,
) -> Result<(), Fault> {
    let root = context.root.new;
    for propagation in propagations.iter() {
        set_root_propagation(context.kernel, root, propagation)?;
    }
    if readonly {
        let attributes = Attributes { set: MOUNT_ATTR_RDONLY, clear: 0 };
        context.kernel.set_attributes(root, attributes, false).at(Call::MountAttributes)?;
    }
    Ok(())
}

fn set_root_propagation<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    propagation: Propagation,
) -> Result<(), Fault> {
    kernel.set_propagation(root, c"", propagation).at(Call::MountAttributes)
}
