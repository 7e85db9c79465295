//! A procfs of stage1's own, attached nowhere: writes that configure the container cannot be led to another file by what
//! an image or a volume has put on /proc (CVE-2019-16884, CVE-2025-52881).

use core::ffi::CStr;

use shared_proto::Call;

use super::Context;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};
use crate::paths::PROC_SUPER_MAGIC;

/// Writes `value` to the file at `path` below the private procfs.
pub(super) fn write<K: Kernel>(context: &mut Context<'_, K>, path: &CStr, value: &[u8]) -> Result<(), Fault> {
    let proc = private_proc(context)?;
    let kernel = &mut *context.kernel;
    let file = kernel.open(proc, path, Open::Write, Resolve::Beneath).at(Call::Open)?;
    if kernel.filesystem_type(file).at(Call::StatusFilesystem)? != PROC_SUPER_MAGIC {
        return Err(Fault { call: Call::StatusFilesystem, errno: Errno::XDEV });
    }
    kernel.write(file, value).at(Call::Write)
}

/// Opens a namespace, behind a magic link of the private procfs.
pub(super) fn open_namespace<K: Kernel>(
    context: &mut Context<'_, K>,
    path: &CStr,
) -> Result<Descriptor, Fault> {
    let proc = private_proc(context)?;
    context.kernel.open(proc, path, Open::Read, Resolve::Host).at(Call::Open)
}

/// Whether our user namespace has every user id, as the first one has: then nobody is shown as somebody else.
///
/// Where procfs cannot be had we are in another one. Source: user_namespaces(7), "User and group ID mappings".
pub(super) fn has_all_ids<K: Kernel>(context: &mut Context<'_, K>) -> bool {
    let Ok(proc) = private_proc(context) else { return false };
    let kernel = &mut *context.kernel;
    let mut text = [0; 64];
    let read = kernel.open(proc, c"self/uid_map", Open::Read, Resolve::Beneath).and_then(|file| {
        let read = kernel.read(file, &mut text);
        kernel.close(file);
        read
    });
    let text = text.get(..read.unwrap_or_default()).unwrap_or_default();
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.eq([&b"0"[..], b"0", b"4294967295"])
}

fn private_proc<K: Kernel>(context: &mut Context<'_, K>) -> Result<Descriptor, Fault> {
    if let Some(proc) = context.proc {
        return Ok(proc);
    }
    let made = new_proc(context.kernel);
    let proc = match (made, context.parents_proc) {
        // The parent's shows the same, and no image or volume has put anything there.
        (Err(Fault { errno: Errno::PERM, .. }), Some(proc)) => proc,
        (made, _) => made?,
    };
    context.proc = Some(proc);
    Ok(proc)
}

fn new_proc<K: Kernel>(kernel: &mut K) -> Result<Descriptor, Fault> {
    let instance = kernel.filesystem_open(c"proc").at(Call::FilesystemOpen)?;
    kernel.filesystem_create(instance).at(Call::FilesystemCreate)?;
    kernel.filesystem_mount(instance, 0).at(Call::FilesystemMount)
}
