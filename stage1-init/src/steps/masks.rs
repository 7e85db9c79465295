//! Paths that the container must not see, or not change.
//!
//! Every path is opened once and everything is done to that descriptor: between two look-ups a container that shares the volume
//! could exchange it (CVE-2025-31133, GHSA-3q8j-pf29-vwv8). In a procfs nobody can: there a listing serves them all, until something is mounted that
//! may lie over it.

use core::ffi::CStr;

use shared_proto::{Attributes, Call};

use super::Context;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};
use crate::paths::{self, DT_DIR, DT_REG, Existing, PROC_SUPER_MAGIC};

const MOUNT_ATTR_RDONLY: u32 = 1;
const MS_RDONLY: u32 = 1;

/// Binds an existing path read-only onto itself, with the mounts below it if there may be any.
pub(super) fn readonly<K: Kernel>(
    context: &mut Context<'_, K>,
    path: &'static CStr,
    recursive: bool,
) -> Result<(), Fault> {
    // A missing path needs no protection (config-linux.md "Readonly Paths").
    let Some(place) = find(context, path)? else { return Ok(()) };
    let recursive = recursive || context.has_waited;
    let kernel = &mut *context.kernel;
    let attributes = Attributes { set: MOUNT_ATTR_RDONLY, clear: 0 };
    let at_once = match recursive {
        true => None,
        // An older kernel has no such call.
        false => kernel.open_tree_with((place.directory, place.name), attributes).ok(),
    };
    let (directory, name) = (place.directory, place.name);
    if let Some(tree) = at_once {
        return kernel.move_mount(tree, directory, name).at(Call::MoveMount);
    }
    let tree = kernel.open_tree(directory, name, Open::PathNoFollow, recursive).at(Call::OpenTree)?;
    // Afterwards: in a shared volume the host gets a copy of the mount, and must be able to write to it.
    kernel.move_mount(tree, directory, name).at(Call::MoveMount)?;
    kernel.set_attributes(tree, attributes, false).at(Call::MountAttributes)
}

/// Covers an existing file with /dev/null, an existing directory with an empty tmpfs, which is mounted with `data`.
pub(super) fn mask<K: Kernel>(
    context: &mut Context<'_, K>,
    path: &'static CStr,
    data: &'static CStr,
) -> Result<(), Fault> {
    // A missing path is nothing to mask (config-linux.md "Masked Paths").
    let Some(place) = find(context, path)? else { return Ok(()) };
    let cover = if !place.is_directory {
        null_device(context)?
    } else if let Some((empty, _)) = context.empty.filter(|(_, its)| *its == data) {
        empty
    } else {
        return mount_empty(context, &place, data);
    };
    let cover = cover_with(context.kernel, cover)?;
    context.kernel.move_mount(cover, place.directory, place.name).at(Call::MoveMount)
}

/// A copy of a mount to cover something with. Read-only, also where what it is of becomes that only later, or not at all: through the cover nobody
/// changes the mode of /dev/null.
fn cover_with<K: Kernel>(kernel: &mut K, cover: Descriptor) -> Result<Descriptor, Fault> {
    let attributes = Attributes { set: MOUNT_ATTR_RDONLY, clear: 0 };
    if let Ok(tree) = kernel.open_tree_with((cover, c""), attributes) {
        return Ok(tree);
    }
    // An older kernel has no such call.
    let tree = kernel.open_tree(cover, c"", Open::Path, false).at(Call::OpenTree)?;
    kernel.set_attributes(tree, attributes, false).at(Call::MountAttributes)?;
    Ok(tree)
}

/// Covers a directory with a tmpfs, which covers others after it if it can be had by its name: where nobody else mounts.
fn mount_empty<K: Kernel>(
    context: &mut Context<'_, K>,
    place: &Place,
    data: &'static CStr,
) -> Result<(), Fault> {
    context.go_to(place.directory)?;
    let target = if place.name.is_empty() { c"." } else { place.name };
    let kernel = &mut *context.kernel;
    kernel.mount(c"tmpfs", target, c"tmpfs", MS_RDONLY, data).at(Call::Mount)?;
    if !place.name.is_empty() && !context.root.is_shared {
        let empty = kernel.open(place.directory, place.name, Open::Directory, Resolve::InRootNoSymlinks);
        context.empty = empty.ok().map(|empty| (empty, data));
    }
    Ok(())
}

/// Where a path leads.
struct Place {
    directory: Descriptor,
    /// In the directory; empty for the directory itself, whatever it is.
    name: &'static CStr,
    is_directory: bool,
}

/// `None`: it is missing, or has to wait.
fn find<K: Kernel>(context: &mut Context<'_, K>, path: &'static CStr) -> Result<Option<Place>, Fault> {
    if let Some(name) = name_in_proc(path)
        && let Some(procfs) = procfs(context)
    {
        let entry = paths::entries(procfs.entries).find(|(_, known)| *known == name);
        match entry.map(|(kind, _)| kind) {
            None => return Ok(None),
            Some(kind @ (DT_DIR | DT_REG)) => {
                return Ok(Some(Place { directory: procfs.place, name, is_directory: kind == DT_DIR }));
            }
            // A symlink is followed as others are.
            Some(_) => {}
        }
    }
    let follows = !context.awaits_mounts;
    let (directory, is_directory) =
        match paths::open_existing(context.kernel, context.root.new, path, follows)? {
            Existing::Place { place, is_directory } => (place, is_directory),
            Existing::Nothing => return Ok(None),
            Existing::Link => {
                // Where it leads may not be there yet.
                context.postponed_from = Some(context.step_index);
                return Ok(None);
            }
        };
    // What comes there may lie over the procfs, whatever the path's text is: an image's symlink may have led to it.
    context.procfs = None;
    Ok(Some(Place { directory, name: c"", is_directory }))
}

/// The name of what lies right in /proc, unless that may be a process: they come and go.
fn name_in_proc(path: &'static CStr) -> Option<&'static CStr> {
    let (directory, name) = paths::split(path);
    let is_kernels = name.to_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    (directory == b"/proc/" && is_kernels).then_some(name)
}

/// The container's procfs with its entries. Their names are the kernel's: nobody exchanges what bears them, and what is not listed is not there.
/// It is forgotten when something is mounted, but for what is mounted by one of these names.
#[derive(Clone, Copy)]
pub(super) struct Procfs {
    place: Descriptor,
    entries: &'static [u8],
}

/// Bytes of one entry: its name has 255, and there are some before and behind it.
const ENTRY_BYTES_MAX: usize = 280;

/// Bytes of the listing: the kernel has some sixty names in there, of some thirty bytes each with all that belongs to them.
pub(crate) const LISTING_BYTES: usize = 8 << 10;

/// `None`: something else is mounted there, or the listing is too long. That is asked once: there is memory for one listing.
fn procfs<K: Kernel>(context: &mut Context<'_, K>) -> Option<Procfs> {
    if context.procfs.is_some() {
        return context.procfs;
    }
    let memory = context.lasting.listing.take()?;
    let kernel = &mut *context.kernel;
    let place = kernel.open(context.root.new, c"/proc", Open::Read, Resolve::InRootNoSymlinks).ok()?;
    if kernel.filesystem_type(place) != Ok(PROC_SUPER_MAGIC) {
        return None;
    }
    let length = kernel.read_directory(place, memory).ok()?;
    let memory: &'static [u8] = memory;
    let entries = memory.get(..length)?;
    // Processes come behind all other names (proc_root_readdir of the kernel's fs/proc/root.c): with one of them, and room for another entry, the
    // listing has them all.
    let is_process = |(_, name): (u8, &CStr)| name.to_bytes().first().is_some_and(u8::is_ascii_digit);
    let is_whole = length + ENTRY_BYTES_MAX <= memory.len() && paths::entries(entries).any(is_process);
    context.procfs = is_whole.then_some(Procfs { place, entries });
    context.procfs
}

/// The container's /dev/null, verified: an image that has something else there must not get it bound over a masked file.
pub(super) fn null_device<K: Kernel>(context: &mut Context<'_, K>) -> Result<Descriptor, Fault> {
    if let Some(null) = context.null {
        return Ok(null);
    }
    let null = paths::open(context.kernel, context.root.new, c"/dev/null")?;
    let status = context.kernel.status(null).at(Call::Status)?;
    if !status.is_character_device(1, 3) {
        return Err(Fault { call: Call::Status, errno: Errno::NXIO });
    }
    context.null = Some(null);
    Ok(null)
}
