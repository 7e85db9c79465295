//! Paths that the container must not see, or not change.
//!
//! Every path is opened once and everything is done to that descriptor: between two look-ups a container that shares the volume
//! could exchange it (CVE-2025-31133, GHSA-3q8j-pf29-vwv8).

use core::ffi::CStr;

use shared_proto::{Attributes, Call};

use super::Context;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel};
use crate::paths;

const MOUNT_ATTR_RDONLY: u32 = 1;

/// Binds an existing path read-only onto itself.
pub(super) fn readonly<K: Kernel>(context: &mut Context<'_, K>, path: &CStr) -> Result<(), Fault> {
    let kernel = &mut *context.kernel;
    // A missing path needs no protection (config-linux.md "Readonly Paths").
    let Some(place) = paths::open_existing(kernel, context.root.new, path)? else { return Ok(()) };
    let tree = kernel.open_tree(place, c"", true).at(Call::OpenTree)?;
    let attributes = Attributes { set: MOUNT_ATTR_RDONLY, clear: 0 };
    kernel.set_attributes(tree, attributes, false).at(Call::MountAttributes)?;
    kernel.move_mount(tree, place, c"").at(Call::MoveMount)?;
    Ok(())
}

/// Covers an existing file with /dev/null, an existing directory with an empty one, which gets the label if there is one: the same in
/// each such step of a plan, since they share it.
pub(super) fn mask<K: Kernel>(context: &mut Context<'_, K>, path: &CStr, label: &CStr) -> Result<(), Fault> {
    // A missing path is nothing to mask (config-linux.md "Masked Paths").
    let Some(place) = paths::open_existing(context.kernel, context.root.new, path)? else { return Ok(()) };
    let is_directory = context.kernel.status(place).at(Call::Status)?.is_directory();
    if is_directory {
        cover_directory(context, place, label)?;
    } else {
        let null = null_device(context)?;
        let cover = context.kernel.open_tree(null, c"", false).at(Call::OpenTree)?;
        context.kernel.move_mount(cover, place, c"").at(Call::MoveMount)?;
    }
    Ok(())
}

/// The container's /dev/null, verified: an image that has something else there must not get it bound over a masked file.
fn null_device<K: Kernel>(context: &mut Context<'_, K>) -> Result<Descriptor, Fault> {
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

/// One read-only tmpfs serves every masked directory: the first is where it is mounted, the others get copies.
fn cover_directory<K: Kernel>(
    context: &mut Context<'_, K>,
    place: Descriptor,
    label: &CStr,
) -> Result<(), Fault> {
    if let Some(empty) = context.empty_directory {
        let cover = context.kernel.open_tree(empty, c"", false).at(Call::OpenTree)?;
        context.kernel.move_mount(cover, place, c"").at(Call::MoveMount)?;
        return Ok(());
    }
    let kernel = &mut *context.kernel;
    let instance = kernel.filesystem_open(c"tmpfs").at(Call::FilesystemOpen)?;
    if !label.is_empty() {
        kernel.filesystem_string(instance, c"context", label).at(Call::FilesystemOption)?;
    }
    kernel.filesystem_create(instance).at(Call::FilesystemCreate)?;
    let empty = kernel.filesystem_mount(instance, MOUNT_ATTR_RDONLY).at(Call::FilesystemMount)?;
    kernel.move_mount(empty, place, c"").at(Call::MoveMount)?;
    context.empty_directory = Some(empty);
    Ok(())
}
