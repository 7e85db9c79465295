//! What a new filesystem begins with where that is asked for (`tmpcopyup`): the directory that it covers, with all below.
//!
//! Every name is opened below a descriptor of its directory, and no symlink is followed: whoever shares the root may exchange what lies there
//! meanwhile. What is filled is detached: nobody else sees it.

use core::ffi::CStr;

use crate::kernel::{Descriptor, Errno, Kernel, Open, Resolve, Result, Status};
use crate::paths;

/// How deep a directory may be: each level takes two descriptors.
const DEPTH_MAX: usize = 200;

/// Bytes of entries that one level reads at once.
const ENTRIES_BYTES: usize = 4 << 10;

/// Bytes of the names of a file's extended attributes, and of a value (XATTR_LIST_MAX, XATTR_SIZE_MAX); a symlink's text is shorter.
const ATTRIBUTE_BYTES: usize = 64 << 10;

/// As whom the kernel shows who is not in the user namespace (user_namespaces(7)).
pub(super) const NOBODY: u32 = 65534;

/// The setuid and setgid bits.
const SET_ID: u32 = 0o6000;

/// What all files share: they come one after the other.
struct Buffers {
    /// Somebody who may be anybody.
    nobody: Option<u32>,
    names: &'static mut [u8],
    value: &'static mut [u8],
}

/// Copies `covered` into the root of the filesystem behind `mount`. Its mode is there already; its owner is `covered`'s, if `with_owner`. What is
/// `nobody`'s is not known to be anybody's in there, and becomes ours.
pub(super) fn fill<K: Kernel>(
    kernel: &mut K,
    covered: Descriptor,
    mount: Descriptor,
    with_owner: bool,
    nobody: Option<u32>,
) -> Result<()> {
    // The kernel gives a page when it is first written.
    let memory = kernel.map_memory(2 * ATTRIBUTE_BYTES + DEPTH_MAX * ENTRIES_BYTES)?;
    let (names, memory) = memory.split_at_mut(ATTRIBUTE_BYTES);
    let (value, entries) = memory.split_at_mut(ATTRIBUTE_BYTES);
    let from = kernel.open(covered, c".", Open::Read, Resolve::InRootNoSymlinks)?;
    let to = kernel.open(mount, c".", Open::Read, Resolve::InRootNoSymlinks)?;
    let mut buffers = Buffers { nobody, names, value };
    directory(kernel, (from, to), entries, &mut buffers)?;
    if with_owner {
        let status = kernel.status(from)?;
        change_owner(kernel, to, c".", status, nobody)?;
    }
    attributes(kernel, (from, to), &mut buffers)?;
    kernel.close(from);
    kernel.close(to);
    Ok(())
}

/// Everything in a directory. Each level takes its part of `memory`.
fn directory<K: Kernel>(
    kernel: &mut K,
    (from, to): (Descriptor, Descriptor),
    memory: &mut [u8],
    buffers: &mut Buffers,
) -> Result<()> {
    let (entries, deeper) = memory.split_at_mut_checked(ENTRIES_BYTES).ok_or(Errno::LOOP)?;
    loop {
        let length = kernel.read_directory(from, entries)?;
        if length == 0 {
            return Ok(());
        }
        for (_, name) in paths::entries(entries.get(..length).unwrap_or_default()) {
            if name != c"." && name != c".." {
                entry(kernel, (from, to), name, deeper, buffers)?;
            }
        }
    }
}

fn entry<K: Kernel>(
    kernel: &mut K,
    (from, to): (Descriptor, Descriptor),
    name: &CStr,
    memory: &mut [u8],
    buffers: &mut Buffers,
) -> Result<()> {
    const DIRECTORY: u32 = 0o040000;
    const REGULAR: u32 = 0o100000;
    const SYMLINK: u32 = 0o120000;
    const SOCKET: u32 = 0o140000;
    let strict = Resolve::InRootNoSymlinks;
    let status = kernel.status_of_entry(from, name)?;
    let mut pair = None;
    match status.kind() {
        DIRECTORY => {
            kernel.make_directory(to, name, 0o700)?;
            let inner =
                (kernel.open(from, name, Open::Read, strict)?, kernel.open(to, name, Open::Read, strict)?);
            directory(kernel, inner, memory, buffers)?;
            pair = Some(inner);
        }
        REGULAR => {
            let source = kernel.open(from, name, Open::Read, strict)?;
            // It may be a fifo or a device since.
            if !kernel.status(source)?.is_regular() {
                return Err(Errno::STALE);
            }
            kernel.make_file(to, name)?;
            let target = kernel.open(to, name, Open::Write, strict)?;
            while kernel.copy_content(source, target)? > 0 {}
            pair = Some((source, target));
        }
        SYMLINK => {
            let length = kernel.read_link(from, name, buffers.value)?;
            // What is behind the text may be of another one.
            *buffers.value.get_mut(length).ok_or(Errno::NAMETOOLONG)? = 0;
            let target = CStr::from_bytes_until_nul(buffers.value).unwrap_or_default();
            kernel.make_symlink(to, name, target)?;
        }
        // It leads nowhere without who listens at it.
        SOCKET => return Ok(()),
        _ => match kernel.make_node_like(to, name, status) {
            // A filesystem of a user namespace has no devices (SB_I_NODEV).
            Err(Errno::PERM) => return Ok(()),
            made => made?,
        },
    }
    let is_owned = change_owner(kernel, to, name, status, buffers.nobody)?;
    if status.kind() != SYMLINK {
        // Nobody's setuid file must not become ours.
        let cleared = if is_owned { 0 } else { SET_ID };
        kernel.change_mode(to, name, status.mode & 0o7777 & !cleared)?;
    }
    if let Some((source, target)) = pair {
        // Last: a write and a change of the owner take capabilities away.
        attributes(kernel, (source, target), buffers)?;
        kernel.close(source);
        kernel.close(target);
    }
    Ok(())
}

/// Whether the user namespace has such an owner; who has none is nobody in there, and the file stays ours.
fn change_owner<K: Kernel>(
    kernel: &mut K,
    to: Descriptor,
    name: &CStr,
    status: Status,
    nobody: Option<u32>,
) -> Result<bool> {
    if nobody.is_some_and(|nobody| status.uid == nobody || status.gid == nobody) {
        return Ok(false);
    }
    match kernel.change_owner(to, name, status.uid, status.gid) {
        Err(Errno::INVAL) => Ok(false),
        changed => changed.map(|()| true),
    }
}

/// The extended attributes, as far as the new filesystem takes them from us.
fn attributes<K: Kernel>(
    kernel: &mut K,
    (from, to): (Descriptor, Descriptor),
    buffers: &mut Buffers,
) -> Result<()> {
    let length = match kernel.list_attributes(from, buffers.names) {
        // This one has none.
        Err(Errno::OPNOTSUPP) => return Ok(()),
        length => length?,
    };
    let names = buffers.names.get(..length).unwrap_or_default();
    for name in names.split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let length = match kernel.attribute(from, name, buffers.value) {
            // It is gone meanwhile, or means somebody who is not in the user namespace.
            Err(Errno::NODATA | Errno::OVERFLOW) => continue,
            length => length?,
        };
        match kernel.set_attribute(to, name, buffers.value.get(..length).unwrap_or_default()) {
            // Kinds that it does not know, or that are the host's to give, or that name who is not in the user namespace.
            Err(Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL) => {}
            set => set?,
        }
    }
    Ok(())
}
