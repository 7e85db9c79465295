//! Paths of the container: always resolved inside its root, by descriptor, and made where missing.

use core::ffi::CStr;

use shared_proto::Call;
use shared_proto::limits::PATH_BYTES_MAX;

use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};

/// What a missing path becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Directory,
    File,
}

/// A NUL-terminated copy of part of a path.
pub(crate) struct PathBuffer {
    bytes: [u8; PATH_BYTES_MAX + 1],
}

impl PathBuffer {
    /// `part` must be free of NULs; one that is too long is refused.
    pub(crate) fn new(part: &[u8]) -> Result<Self, Errno> {
        Self::join(&[part])
    }

    /// The same for parts in a row.
    pub(crate) fn join(parts: &[&[u8]]) -> Result<Self, Errno> {
        let mut bytes = [0; PATH_BYTES_MAX + 1];
        let mut end = 0;
        for part in parts {
            let start = end;
            end += part.len();
            let room = bytes.get_mut(start..end).filter(|_| end <= PATH_BYTES_MAX);
            room.ok_or(Errno::NAMETOOLONG)?.copy_from_slice(part);
        }
        Ok(Self { bytes })
    }

    /// Changes the text; `change` returns how many bytes of it are left.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(&mut [u8]) -> usize) {
        let end = self.as_c_str().count_bytes();
        let left = self.bytes.get_mut(..end).map_or(0, change);
        if let Some(rest) = self.bytes.get_mut(left..) {
            rest.fill(0);
        }
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// Opens `path` inside `root` without access to its content, following symlinks inside `root`.
pub(crate) fn open<K: Kernel>(kernel: &mut K, root: Descriptor, path: &CStr) -> Result<Descriptor, Fault> {
    kernel.open(root, path, Open::Path, Resolve::InRoot).at(Call::Open)
}

/// Opens a place for a mount. What an image's symlinks lead to must not be procfs: whatever lies over a part of it can pretend anything to the
/// container and to us (CVE-2019-16884). A path without symlinks is what its text says, which the parent has checked.
pub(crate) fn open_mount_point<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    path: &CStr,
    open: Open,
) -> Result<Descriptor, Fault> {
    match kernel.open(root, path, open, Resolve::InRootNoSymlinks) {
        Err(Errno::LOOP) => {}
        opened => return opened.at(Call::Open),
    }
    let place = kernel.open(root, path, open, Resolve::InRoot).at(Call::Open)?;
    if kernel.filesystem_type(place).at(Call::StatusFilesystem)? == PROC_SUPER_MAGIC {
        return Err(Fault { call: Call::StatusFilesystem, errno: Errno::XDEV });
    }
    Ok(place)
}

/// statfs(2)'s number for procfs, from linux/magic.h.
pub(crate) const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// As `open`, but a path that does not exist is `None`.
pub(crate) fn open_existing<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    path: &CStr,
) -> Result<Option<Descriptor>, Fault> {
    match kernel.open(root, path, Open::Path, Resolve::InRoot) {
        Ok(descriptor) => Ok(Some(descriptor)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Fault { call: Call::Open, errno }),
    }
}

/// Opens `path`, which is made first if it is missing, with its parents.
pub(crate) fn open_or_make<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    path: &CStr,
    missing: Missing,
) -> Result<Descriptor, Fault> {
    match open_mount_point(kernel, root, path, Open::Path) {
        Err(Fault { errno: Errno::NOENT, .. }) => {}
        opened => return opened,
    }
    let (directory, name) = split(path);
    let parent = open_or_make_directory(kernel, root, directory)?;
    let name_text = PathBuffer::new(name).at(Call::Open)?;
    let made = match missing {
        Missing::Directory => {
            kernel.make_directory(parent, name_text.as_c_str(), 0o755).at(Call::MakeDirectory)
        }
        Missing::File => kernel.make_file(parent, name_text.as_c_str()).at(Call::MakeNode),
    };
    made?;
    // Below the same parent: whoever shares a volume may have put a symlink there since.
    kernel.open(parent, name_text.as_c_str(), Open::Path, Resolve::InRootNoSymlinks).at(Call::Open)
}

/// Opens the directory `path`, component by component, making those that are missing. May return `root` itself.
///
/// Each component is made below a descriptor of its parent, so that no symlink can lead the making outside (CVE-2024-45310). A
/// dangling symlink on the way is an error.
pub(crate) fn open_or_make_directory<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    path: &[u8],
) -> Result<Descriptor, Fault> {
    if path.iter().all(|&byte| byte == b'/') {
        return Ok(root);
    }
    let whole = PathBuffer::new(path).at(Call::Open)?;
    match kernel.open(root, whole.as_c_str(), Open::Directory, Resolve::InRoot) {
        Err(Errno::NOENT) => {}
        opened => return opened.at(Call::Open),
    }
    let mut parent = root;
    let mut end = 0;
    for name in path.split(|&byte| byte == b'/') {
        end += name.len() + 1;
        if name.is_empty() {
            continue;
        }
        let prefix = PathBuffer::new(path.get(..end - 1).unwrap_or(path)).at(Call::Open)?;
        let opened = match kernel.open(root, prefix.as_c_str(), Open::Directory, Resolve::InRoot) {
            Err(Errno::NOENT) => {
                let name = PathBuffer::new(name).at(Call::Open)?;
                kernel.make_directory(parent, name.as_c_str(), 0o755).at(Call::MakeDirectory)?;
                kernel.open(root, prefix.as_c_str(), Open::Directory, Resolve::InRoot)
            }
            opened => opened,
        };
        if parent != root {
            kernel.close(parent);
        }
        parent = opened.at(Call::Open)?;
    }
    Ok(parent)
}

/// The directory part (with its last slash) and the last component.
pub(crate) fn split(path: &CStr) -> (&[u8], &[u8]) {
    let bytes = path.to_bytes();
    let start = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    bytes.split_at(start)
}
