//! Paths that the container must not see, or not change.
//!
//! Every path is opened once and everything is done to that descriptor: between two look-ups a container that shares the volume
//! could exchange it (CVE-2025-31133, GHSA-3q8j-pf29-vwv8).

use core::ffi::CStr;

use shared_proto::{Attributes, Call};

use super::Context;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open};
use crate::paths;

const MOUNT_ATTR_RDONLY: u32 = 1;
const MS_RDONLY: u32 = 1;

/// Binds an existing path read-only onto itself.
pub(super) fn readonly<K: Kernel>(context: &mut Context<'_, K>, path: &CStr) -> Result<(), Fault> {
    let kernel = &mut *context.kernel;
    // A missing path needs no protection (config-linux.md "Readonly Paths").
    let Some(place) = paths::open_existing(kernel, context.root.new, path)? else { return Ok(()) };
    let tree = kernel.open_tree(place, c"", Open::Path, true).at(Call::OpenTree)?;
    let attributes = Attributes { set: MOUNT_ATTR_RDONLY, clear: 0 };
    kernel.set_attributes(tree, attributes, false).at(Call::MountAttributes)?;
    kernel.move_mount(tree, place, c"").at(Call::MoveMount)?;
    Ok(())
}

/// Covers an existing file with /dev/null, an existing directory with an empty tmpfs, which is mounted with `data`.
pub(super) fn mask<K: Kernel>(context: &mut Context<'_, K>, path: &CStr, data: &CStr) -> Result<(), Fault> {
    // A missing path is nothing to mask (config-linux.md "Masked Paths").
    let Some(place) = paths::open_existing(context.kernel, context.root.new, path)? else { return Ok(()) };
    let is_directory = context.kernel.status(place).at(Call::Status)?.is_directory();
    if is_directory {
        context.go_to(place)?;
        context.kernel.mount(c"tmpfs", c".", c"tmpfs", MS_RDONLY, data).at(Call::Mount)?;
    } else {
        let null = null_device(context)?;
        let cover = context.kernel.open_tree(null, c"", Open::Path, false).at(Call::OpenTree)?;
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
