//! Mounts, the root and the working directory.

use core::ffi::CStr;
use core::ptr;

use linux_raw_sys::general as uapi;
use rustix::fs::{self, AtFlags};
use rustix::mount::{
    self, FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use rustix::process;
use sc::syscall;
use shared_proto::{Attributes, Propagation, PropagationKind};

use super::{Linux, check, keep, lend};
use crate::kernel::{Descriptor, Errno, Mounts, Open, Result};

/// Bytes of the first version of struct mnt_id_req, and of a struct statmount without text.
const MNT_ID_REQ_SIZE: u64 = 24;
const STATMOUNT_BYTES: usize = 1024;

/// mount_setattr(2): rustix has no binding.
fn mount_setattr(
    directory: Descriptor,
    path: &CStr,
    recursive: bool,
    attributes: &uapi::mount_attr,
) -> Result<()> {
    let mut flags = if path.is_empty() { uapi::AT_EMPTY_PATH } else { 0 };
    if recursive {
        flags |= uapi::AT_RECURSIVE;
    }
    // SAFETY: `path` is NUL-terminated and `attributes` is the structure whose size is passed; the kernel only reads both.
    check(unsafe {
        syscall!(
            MOUNT_SETATTR,
            directory.0,
            path.as_ptr(),
            flags,
            ptr::from_ref(attributes),
            size_of::<uapi::mount_attr>()
        )
    })?;
    Ok(())
}

/// As the kernel takes them.
fn changes(attributes: Attributes) -> uapi::mount_attr {
    uapi::mount_attr {
        attr_set: u64::from(attributes.set),
        attr_clr: u64::from(attributes.clear),
        propagation: 0,
        userns_fd: 0,
    }
}

impl Mounts for Linux {
    fn mount_number(&mut self, place: Descriptor) -> Result<u64> {
        const MNT_ID_UNIQUE: fs::StatxFlags = fs::StatxFlags::from_bits_retain(0x4000);
        let wanted = fs::StatxFlags::MNT_ID | MNT_ID_UNIQUE;
        let status = fs::statx(lend(place), c"", AtFlags::EMPTY_PATH, wanted)?;
        Ok(status.stx_mnt_id)
    }

    fn has_mount(&mut self, number: u64) -> Result<bool> {
        /// The lowest of those numbers (MNT_UNIQUE_ID_OFFSET of the kernel's fs/namespace.c).
        const UNIQUE_MIN: u64 = 1 << 31;
        if number < UNIQUE_MIN {
            return Err(Errno::NOSYS);
        }
        // The first version of the structure. Nothing is asked for but whether it is there.
        let request = [MNT_ID_REQ_SIZE, number, 0];
        let mut answer = [0u64; STATMOUNT_BYTES / size_of::<u64>()];
        // SAFETY: `request` is a struct mnt_id_req of the size in it, which the kernel reads, and `answer` is as long as is passed.
        let asked = check(unsafe {
            sc::platform::syscall4(
                uapi::__NR_statmount as usize,
                request.as_ptr() as usize,
                answer.as_mut_ptr() as usize,
                size_of_val(&answer),
                0,
            )
        });
        match asked {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    fn open_tree(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        place: Open,
        recursive: bool,
    ) -> Result<Descriptor> {
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        if path.is_empty() {
            flags |= OpenTreeFlags::AT_EMPTY_PATH;
        }
        if place == Open::PathNoFollow {
            flags |= OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
        }
        if recursive {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        mount::open_tree(lend(directory), path, flags).map(keep)
    }

    fn open_tree_with(
        &mut self,
        (directory, path): (Descriptor, &CStr),
        attributes: Attributes,
    ) -> Result<Descriptor> {
        let place =
            if path.is_empty() { OpenTreeFlags::AT_EMPTY_PATH } else { OpenTreeFlags::AT_SYMLINK_NOFOLLOW };
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | place;
        let attributes = changes(attributes);
        // SAFETY: `path` is NUL-terminated and `attributes` is the structure whose size is passed; the kernel only reads both. A number
        // that it returns is a new descriptor.
        let opened = check(unsafe {
            sc::platform::syscall5(
                uapi::__NR_open_tree_attr as usize,
                directory.0 as usize,
                path.as_ptr() as usize,
                flags.bits() as usize,
                ptr::from_ref(&attributes) as usize,
                size_of::<uapi::mount_attr>(),
            )
        })?;
        Ok(Descriptor(opened as i32))
    }

    fn move_mount(&mut self, mount: Descriptor, directory: Descriptor, path: &CStr) -> Result<()> {
        let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        if path.is_empty() {
            flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        }
        mount::move_mount(lend(mount), c"", lend(directory), path, flags)
    }

    fn set_propagation(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        propagation: Propagation,
    ) -> Result<()> {
        let flag = match propagation.kind {
            PropagationKind::Shared => uapi::MS_SHARED,
            PropagationKind::Slave => uapi::MS_SLAVE,
            PropagationKind::Private => uapi::MS_PRIVATE,
            PropagationKind::Unbindable => uapi::MS_UNBINDABLE,
        };
        let attributes =
            uapi::mount_attr { attr_set: 0, attr_clr: 0, propagation: u64::from(flag), userns_fd: 0 };
        mount_setattr(directory, path, propagation.recursive, &attributes)
    }

    fn set_attributes(&mut self, mount: Descriptor, attributes: Attributes, recursive: bool) -> Result<()> {
        mount_setattr(mount, c"", recursive, &changes(attributes))
    }

    fn set_attributes_private(&mut self, mount: Descriptor, attributes: Attributes) -> Result<()> {
        let attributes = uapi::mount_attr { propagation: u64::from(uapi::MS_PRIVATE), ..changes(attributes) };
        mount_setattr(mount, c"", true, &attributes)
    }

    fn set_owners(&mut self, mount: Descriptor, namespace: Descriptor) -> Result<()> {
        let attributes = uapi::mount_attr {
            attr_set: u64::from(uapi::MOUNT_ATTR_IDMAP),
            attr_clr: 0,
            propagation: 0,
            userns_fd: u64::from(namespace.0.unsigned_abs()),
        };
        mount_setattr(mount, c"", false, &attributes)
    }

    fn mount(&mut self, source: &CStr, target: &CStr, fstype: &CStr, flags: u32, data: &CStr) -> Result<()> {
        mount::mount(source, target, fstype, MountFlags::from_bits_retain(flags), data)
    }

    fn filesystem_open(&mut self, fstype: &CStr) -> Result<Descriptor> {
        mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC).map(keep)
    }

    fn filesystem_set(&mut self, filesystem: Descriptor, key: &CStr, value: Option<&CStr>) -> Result<()> {
        match value {
            Some(value) => mount::fsconfig_set_string(lend(filesystem), key, value),
            None => mount::fsconfig_set_flag(lend(filesystem), key),
        }
    }

    fn filesystem_create(&mut self, filesystem: Descriptor) -> Result<()> {
        mount::fsconfig_create(lend(filesystem))
    }

    fn filesystem_mount(&mut self, filesystem: Descriptor, attributes: u32) -> Result<Descriptor> {
        let attributes = MountAttrFlags::from_bits_retain(attributes);
        mount::fsmount(lend(filesystem), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(keep)
    }

    fn unmount_detached(&mut self, path: &CStr) -> Result<()> {
        mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
    }

    fn pivot_root(&mut self, new: &CStr, old: &CStr) -> Result<()> {
        process::pivot_root(new, old)
    }

    fn change_root(&mut self, path: &CStr) -> Result<()> {
        process::chroot(path)
    }

    fn change_directory(&mut self, path: &CStr) -> Result<()> {
        process::chdir(path)
    }

    fn change_directory_to(&mut self, directory: Descriptor) -> Result<()> {
        process::fchdir(lend(directory))
    }
}
