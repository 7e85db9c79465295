//! File systems, bind mounts, and the root's own flags.

use core::ffi::CStr;

use shared_proto::{Attributes, BindOrigin, Call, Propagation, Propagations};

use super::{Context, copy, detached, live_mounts, lsm, proc};
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};
use crate::paths::{self, Missing, PROC_SUPER_MAGIC, PathBuffer};

const MOUNT_ATTR_RDONLY: u32 = 1;

/// Of linux/mount.h.
const MS_REMOUNT: u32 = 32;

/// A new filesystem instance.
pub(super) struct Filesystem<'a> {
    pub(super) fstype: &'a CStr,
    pub(super) source: &'a CStr,
    /// MS_* bits of mount(2).
    pub(super) flags: u32,
    pub(super) data: &'a CStr,
    /// It begins with what it covers.
    pub(super) copies_up: bool,
    /// Its owners are those of a user namespace that the parent sends.
    pub(super) is_mapped: bool,
}

impl Filesystem<'_> {
    fn inherits_mode(&self) -> bool {
        self.fstype == c"tmpfs" && !self.has_option(b"mode=")
    }

    fn has_option(&self, start: &[u8]) -> bool {
        self.data.to_bytes().split(|&byte| byte == b',').any(|option| option.starts_with(start))
    }
}

/// An image must not choose what later writes to these hit: no symlink on the way (CVE-2023-28642 and its kin).
pub(crate) fn is_strict(fstype: &CStr) -> bool {
    fstype == c"proc" || fstype == c"sysfs"
}

/// Mounts a new filesystem instance on `target`.
///
/// mount(2) has no place for a descriptor, but the working directory is one: whatever is exchanged meanwhile, the mount lands on the
/// directory that was opened.
///
/// Source: mount(2); runtime-spec config.md "Mounts".
pub(super) fn filesystem<K: Kernel>(
    context: &mut Context<'_, K>,
    filesystem: &Filesystem<'_>,
    target: &'static CStr,
    propagations: Propagations,
) -> Result<(), Fault> {
    if filesystem.flags & MS_REMOUNT != 0 {
        return remount(context, filesystem, target);
    }
    let place = match new_mount_point(context, target)? {
        Some(place) => place,
        None => mount_point(context, is_strict(filesystem.fstype), target)?,
    };
    if lsm::split_late(filesystem.fstype, filesystem.data).is_some()
        || filesystem.inherits_mode() && !place.is_new
    {
        return mount_with_other_data(context, filesystem, (target, place), propagations);
    }
    mount(context, filesystem, filesystem.data, (target, &place), propagations, None)
}

/// What cannot be mounted with the data that the plan has for it.
#[inline(never)]
fn mount_with_other_data<K: Kernel>(
    context: &mut Context<'_, K>,
    filesystem: &Filesystem<'_>,
    (target, place): (&'static CStr, Place),
    propagations: Propagations,
) -> Result<(), Fault> {
    let mut buffer = PathBuffer::empty();
    let late = lsm::split_late(filesystem.fstype, filesystem.data);
    let data = match late {
        Some((others, _)) => buffer.fill(&[others]).at(Call::Mount)?,
        None => {
            let status = context.kernel.status(place.directory).at(Call::Status)?;
            data_with_mode(&mut buffer, filesystem.data, status.mode & 0o7777)?
        }
    };
    let label = late.map(|(_, label)| label);
    mount(context, filesystem, data, (target, &place), propagations, label)
}

/// Mounts it in its place; `label` is for afterwards.
fn mount<K: Kernel>(
    context: &mut Context<'_, K>,
    filesystem: &Filesystem<'_>,
    data: &CStr,
    (target, place): (&'static CStr, &Place),
    propagations: Propagations,
    label: Option<&[u8]>,
) -> Result<(), Fault> {
    let finish = |kernel: &mut K, mount| {
        if let Some(label) = label {
            lsm::label_late(kernel, mount, label)?;
        }
        set_propagations(kernel, mount, propagations)
    };
    if context.is_live || filesystem.copies_up || filesystem.is_mapped {
        let mount = detached::filesystem(context.kernel, filesystem, data)?;
        prepare(context, filesystem, mount, place)?;
        finish(context.kernel, mount)?;
        if context.is_live {
            live_mounts::announce(context, mount)?;
        }
        let name = if place.is_itself() { c"" } else { place.name };
        context.kernel.move_mount(mount, place.directory, name).at(Call::MoveMount)?;
        context.mounted(target, false);
        return Ok(());
    }
    context.go_to(place.directory)?;
    let kernel = &mut *context.kernel;
    kernel.mount(filesystem.source, place.name, filesystem.fstype, filesystem.flags, data).at(Call::Mount)?;
    if propagations != Propagations::default() || label.is_some() {
        let mount = paths::open(kernel, context.root.new, target)?;
        finish(kernel, mount)?;
    }
    context.mounted(target, filesystem.fstype == c"tmpfs");
    Ok(())
}

/// Fills a filesystem that is still detached, and gives it its owners.
fn prepare<K: Kernel>(
    context: &mut Context<'_, K>,
    filesystem: &Filesystem<'_>,
    mount: Descriptor,
    place: &Place,
) -> Result<(), Fault> {
    if filesystem.copies_up && !place.is_new {
        let with_owner = !filesystem.has_option(b"uid=") && !filesystem.has_option(b"gid=");
        let nobody = if proc::has_all_ids(context) { None } else { Some(copy::NOBODY) };
        copy::fill(context.kernel, place.directory, mount, with_owner, nobody).at(Call::Copy)?;
    }
    if filesystem.is_mapped {
        // Now: what was copied has the owners that it has in there.
        let namespace = source_tree(context, BindOrigin::Sent)?;
        context.kernel.set_owners(mount, namespace).at(Call::MountAttributes)?;
    }
    Ok(())
}

/// Changes the filesystem that is mounted on `target`.
fn remount<K: Kernel>(
    context: &mut Context<'_, K>,
    filesystem: &Filesystem<'_>,
    target: &'static CStr,
) -> Result<(), Fault> {
    let root = context.root.new;
    let place = (target, Open::Directory);
    let mount = paths::open_mount_point(context.kernel, root, place, &mut context.has_led_elsewhere)?;
    context.go_to(mount)?;
    context
        .kernel
        .mount(filesystem.source, c".", filesystem.fstype, filesystem.flags, filesystem.data)
        .at(Call::Mount)
}

/// Where a filesystem is mounted.
struct Place {
    directory: Descriptor,
    /// A directory in it that stage1 has just made where nobody else comes, or `.`.
    name: &'static CStr,
    /// stage1 has made it: there is no mode that a tmpfs could take over.
    is_new: bool,
}

impl Place {
    fn is_itself(&self) -> bool {
        self.name == c"."
    }
}

const NEW_DIRECTORY_MODE: u32 = 0o755;

/// In a tmpfs that stage1 has just mounted nobody but stage1 has been: a directory that it makes there is what its name says.
fn new_mount_point<K: Kernel>(
    context: &mut Context<'_, K>,
    target: &'static CStr,
) -> Result<Option<Place>, Fault> {
    if !context.is_fresh(target) {
        return Ok(None);
    }
    let (directory, name) = context.parent(target)?;
    match context.kernel.make_directory(directory, name, NEW_DIRECTORY_MODE) {
        Ok(()) => Ok(Some(Place { directory, name, is_new: true })),
        // A step has made something there.
        Err(Errno::EXIST) => Ok(None),
        Err(errno) => Err(Fault { call: Call::MakeDirectory, errno }),
    }
}

/// The directory `target`, made if it is missing. A symlink to it is resolved inside the root, or refused if this is strict.
fn mount_point<K: Kernel>(
    context: &mut Context<'_, K>,
    is_strict: bool,
    target: &'static CStr,
) -> Result<Place, Fault> {
    let (kernel, root) = (&mut *context.kernel, context.root.new);
    let has_led_elsewhere = &mut context.has_led_elsewhere;
    let mut open = |kernel: &mut K| {
        if is_strict {
            return kernel.open(root, target, Open::Directory, Resolve::InRootNoSymlinks).at(Call::Open);
        }
        paths::open_mount_point(kernel, root, (target, Open::Directory), has_led_elsewhere)
    };
    let mut is_new = false;
    let directory = match open(kernel) {
        Err(Fault { errno: Errno::NOENT, .. }) => {
            is_new = true;
            // Whether a symlink is on the way is known by now.
            paths::open_or_make(kernel, root, (target, Open::Path), Missing::Directory, &mut false)?;
            open(kernel)
        }
        opened => opened,
    };
    Ok(Place { directory: directory?, name: c".", is_new })
}

/// A tmpfs without a mode takes that of the directory it covers, as runc's and crun's do.
fn data_with_mode<'b>(buffer: &'b mut PathBuffer, data: &CStr, mode: u32) -> Result<&'b CStr, Fault> {
    let digits = [9, 6, 3, 0].map(|shift| b'0' + ((mode >> shift) & 7) as u8);
    let separator: &[u8] = if data.is_empty() { b"" } else { b"," };
    buffer.fill(&[data.to_bytes(), separator, b"mode=", &digits]).at(Call::Mount)
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
        BindOrigin::Host | BindOrigin::Sent => {
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
    (target, open): (&'static CStr, Open),
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
        match context.kernel.make_directory(directory, name, 0o755) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Fault { call: Call::MakeDirectory, errno }),
        }
        return context.kernel.move_mount(tree, directory, name).at(Call::MoveMount);
    }
    let place = match paths::open_mount_point(kernel, root, (target, open), &mut context.has_led_elsewhere) {
        Err(Fault { errno: Errno::NOENT, .. }) => {
            let source = kernel.status(tree).at(Call::Status)?;
            let missing = if source.is_directory() { Missing::Directory } else { Missing::File };
            paths::open_or_make(kernel, root, (target, open), missing, &mut context.has_led_elsewhere)?
        }
        opened => opened?,
    };
    if target == c"/proc" && kernel.filesystem_type(tree).at(Call::StatusFilesystem)? != PROC_SUPER_MAGIC {
        // What lies there has to be a procfs, as runc has it too.
        return Err(Fault { call: Call::StatusFilesystem, errno: Errno::XDEV });
    }
    if context.is_live {
        live_mounts::announce(context, tree)?;
    }
    let kernel = &mut *context.kernel;
    kernel.move_mount(tree, place, c"").at(Call::MoveMount)?;
    set_propagations(kernel, tree, propagations)?;
    context.mounted(target, false);
    Ok(())
}

/// Changes a mount that is there; recursively all below it, too, and cuts them off from the host's: trees from the parent may be its peers.
pub(super) fn set_attributes<K: Kernel>(
    context: &mut Context<'_, K>,
    path: &CStr,
    recursive: bool,
    attributes: Attributes,
) -> Result<(), Fault> {
    let mount = match context.directory_at(path) {
        Some(mount) => mount,
        None => {
            let (kernel, root) = (&mut *context.kernel, context.root.new);
            match kernel.open(root, path, Open::Path, Resolve::InRootNoSymlinks) {
                Err(Errno::LOOP) => {
                    context.has_led_elsewhere = true;
                    paths::open(kernel, root, path)?
                }
                opened => opened.at(Call::Open)?,
            }
        }
    };
    if recursive {
        return context.kernel.set_attributes_private(mount, attributes).at(Call::MountAttributes);
    }
    context.kernel.set_attributes(mount, attributes, false).at(Call::MountAttributes)
}

/// Makes a directory with its parents, if it is missing.
pub(super) fn directory<K: Kernel>(context: &mut Context<'_, K>, path: &CStr) -> Result<(), Fault> {
    let root = context.root.new;
    let place = (path, Open::Path);
    let has_led_elsewhere = &mut context.has_led_elsewhere;
    paths::open_or_make(context.kernel, root, place, Missing::Directory, has_led_elsewhere)?;
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
