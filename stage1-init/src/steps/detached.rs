//! New filesystems that are mounted nowhere yet: what has to be done to them, or told of them, before anybody sees them.

use core::ffi::CStr;

use shared_proto::Call;

use super::lsm;
use super::mounts::Filesystem;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel};
use crate::paths::PathBuffer;

/// A detached mount of a new filesystem instance, whose options are `data` as mount(2) takes them.
///
/// Source: fsopen(2), fsconfig(2), fsmount(2).
#[inline(never)]
pub(super) fn filesystem<K: Kernel>(
    kernel: &mut K,
    filesystem: &Filesystem<'_>,
    data: &CStr,
) -> Result<Descriptor, Fault> {
    let instance = kernel.filesystem_open(filesystem.fstype).at(Call::FilesystemOpen)?;
    if !filesystem.source.is_empty() {
        kernel.filesystem_set(instance, c"source", Some(filesystem.source)).at(Call::FilesystemSet)?;
    }
    let mut rest = data.to_bytes();
    while !rest.is_empty() {
        let option;
        (option, rest) = next_option(rest);
        set_option(kernel, instance, option).at(Call::FilesystemSet)?;
    }
    for (_, word) in SUPERBLOCK_FLAGS.into_iter().filter(|(flag, _)| filesystem.flags & flag != 0) {
        kernel.filesystem_set(instance, word, None).at(Call::FilesystemSet)?;
    }
    kernel.filesystem_create(instance).at(Call::FilesystemCreate)?;
    kernel.filesystem_mount(instance, attributes(filesystem.flags)).at(Call::FilesystemMount)
}

/// A key with its value, if it has one; and what follows.
type OptionOf<'d> = ((&'d [u8], Option<&'d [u8]>), &'d [u8]);

fn next_option(data: &[u8]) -> OptionOf<'_> {
    if let Some((label, behind)) = lsm::split_context(data) {
        return ((b"context", Some(label)), behind.strip_prefix(b",").unwrap_or(behind));
    }
    let option = data.split(|&byte| byte == b',').next().unwrap_or_default();
    let mut parts = option.splitn(2, |&byte| byte == b'=');
    let key = parts.next().unwrap_or_default();
    ((key, parts.next()), data.get(option.len() + 1..).unwrap_or_default())
}

fn set_option<K: Kernel>(
    kernel: &mut K,
    instance: Descriptor,
    (key, value): (&[u8], Option<&[u8]>),
) -> Result<(), Errno> {
    if key.is_empty() {
        return Ok(());
    }
    let (key, value) = (PathBuffer::new(key)?, value.map(PathBuffer::new).transpose()?);
    kernel.filesystem_set(instance, key.as_c_str(), value.as_ref().map(PathBuffer::as_c_str))
}

/// MS_* of linux/mount.h that are the filesystem's, with their words.
const SUPERBLOCK_FLAGS: [(u32, &CStr); 5] =
    [(1, c"ro"), (1 << 4, c"sync"), (1 << 6, c"mand"), (1 << 7, c"dirsync"), (1 << 25, c"lazytime")];

/// MS_* that are this mount's, with the MOUNT_ATTR_* that fsmount(2) has for them: rdonly, nosuid, nodev, noexec, noatime, strictatime, nodiratime,
/// nosymfollow.
const ATTRIBUTES: [(u32, u32); 8] = [
    (1, 0x1),
    (1 << 1, 0x2),
    (1 << 2, 0x4),
    (1 << 3, 0x8),
    (1 << 10, 0x10),
    (1 << 24, 0x20),
    (1 << 11, 0x80),
    (1 << 8, 0x20_0000),
];

fn attributes(flags: u32) -> u32 {
    ATTRIBUTES
        .into_iter()
        .filter(|(flag, _)| flags & flag != 0)
        .fold(0, |all, (_, attribute)| all | attribute)
}
