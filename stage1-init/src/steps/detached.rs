//! New filesystems that are mounted nowhere yet: what has to be done to them, or told of them, before anybody sees them.

use core::ffi::CStr;

use shared_proto::Call;

use super::mounts::Filesystem;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel};
use crate::paths::PathBuffer;

/// A detached mount of a new filesystem instance, whose options are `data` as mount(2) takes them.
///
/// Source: fsopen(2), fsconfig(2), fsmount(2).
pub(super) fn filesystem<K: Kernel>(
    kernel: &mut K,
    filesystem: &Filesystem<'_>,
    data: &CStr,
) -> Result<Descriptor, Fault> {
    let instance = kernel.filesystem_open(filesystem.fstype).at(Call::FilesystemOpen)?;
    if !filesystem.source.is_empty() {
        kernel.filesystem_set(instance, c"source", Some(filesystem.source)).at(Call::FilesystemSet)?;
    }
    let mut is_quoted = false;
    let separates = |&byte: &u8| {
        is_quoted ^= byte == b'"';
        byte == b',' && !is_quoted
    };
    for option in data.to_bytes().split(separates).filter(|option| !option.is_empty()) {
        set_option(kernel, instance, option).at(Call::FilesystemSet)?;
    }
    for (_, word) in SUPERBLOCK_FLAGS.into_iter().filter(|(flag, _)| filesystem.flags & flag != 0) {
        kernel.filesystem_set(instance, word, None).at(Call::FilesystemSet)?;
    }
    kernel.filesystem_create(instance).at(Call::FilesystemCreate)?;
    kernel.filesystem_mount(instance, attributes(filesystem.flags)).at(Call::FilesystemMount)
}

fn set_option<'o, K: Kernel>(kernel: &mut K, instance: Descriptor, option: &'o [u8]) -> Result<(), Errno> {
    let mut parts = option.splitn(2, |&byte| byte == b'=');
    let key = PathBuffer::new(parts.next().unwrap_or_default())?;
    // A label has quotes for mount(2), which takes them away.
    let bare = |value: &'o [u8]| {
        value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
    };
    let value = parts.next().map(bare).map(PathBuffer::new).transpose()?;
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
