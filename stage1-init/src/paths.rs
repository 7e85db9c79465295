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
///
/// A page of stack that is touched is a page fault. So functions that need one, and are not part of every start, are kept out of those that are
/// (`inline(never)`).
pub(crate) struct PathBuffer {
    bytes: [u8; PATH_BYTES_MAX + 1],
}

impl PathBuffer {
    /// An empty text.
    pub(crate) const fn empty() -> Self {
        Self { bytes: [0; PATH_BYTES_MAX + 1] }
    }

    /// `part` must be free of NULs; one that is too long is refused.
    pub(crate) fn new(part: &[u8]) -> Result<Self, Errno> {
        Self::join(&[part])
    }

    /// The same for parts in a row.
    pub(crate) fn join(parts: &[&[u8]]) -> Result<Self, Errno> {
        let mut buffer = Self::empty();
        buffer.fill(parts)?;
        Ok(buffer)
    }

    /// The same for one that is empty: it need not be moved where it is wanted.
    pub(crate) fn fill(&mut self, parts: &[&[u8]]) -> Result<&CStr, Errno> {
        let mut end = 0;
        for part in parts {
            let start = end;
            end += part.len();
            let room = self.bytes.get_mut(start..end).filter(|_| end <= PATH_BYTES_MAX);
            room.ok_or(Errno::NAMETOOLONG)?.copy_from_slice(part);
        }
        Ok(self.as_c_str())
    }

    /// The path that mountinfo writes with `\ooo`, three octal digits, for a byte (proc_pid_mountinfo(5)).
    pub(crate) fn unescaped(path: &[u8]) -> Result<Self, Errno> {
        let mut buffer = Self::new(path)?;
        let (mut from, mut to) = (0, 0);
        while let Some(&byte) = path.get(from) {
            let digits = path.get(from + 1..from + 4).filter(|_| byte == b'\\');
            let code = digits.and_then(|digits| {
                digits.iter().try_fold(0u32, |code, &digit| {
                    matches!(digit, b'0'..=b'7').then(|| code * 8 + u32::from(digit - b'0'))
                })
            });
            if let Some(place) = buffer.bytes.get_mut(to) {
                *place = code.map_or(byte, |code| code as u8);
            }
            from += if code.is_some() { 4 } else { 1 };
            to += 1;
        }
        if let Some(rest) = buffer.bytes.get_mut(to..) {
            rest.fill(0);
        }
        Ok(buffer)
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
/// container and to us (CVE-2019-16884). Nor may it be the root, below which the container would stay. A path without symlinks is what its text
/// says, which the parent has checked; `has_led_elsewhere` is set for others.
pub(crate) fn open_mount_point<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    (path, open): (&CStr, Open),
    has_led_elsewhere: &mut bool,
) -> Result<Descriptor, Fault> {
    match kernel.open(root, path, open, Resolve::InRootNoSymlinks) {
        Err(Errno::LOOP) => *has_led_elsewhere = true,
        opened => return opened.at(Call::Open),
    }
    let place = kernel.open(root, path, open, Resolve::InRoot).at(Call::Open)?;
    if kernel.filesystem_type(place).at(Call::StatusFilesystem)? == PROC_SUPER_MAGIC {
        return Err(Fault { call: Call::StatusFilesystem, errno: Errno::XDEV });
    }
    if kernel.is_same_file(place, root).at(Call::Status)? {
        return Err(Fault { call: Call::Status, errno: Errno::BUSY });
    }
    Ok(place)
}

/// statfs(2)'s number for procfs, from linux/magic.h.
pub(crate) const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// What is at a path.
pub(crate) enum Existing {
    Place {
        place: Descriptor,
        is_directory: bool,
    },
    Nothing,
    /// A symlink on the way, which is not to be followed.
    Link,
}

/// Opens what is to be covered. A symlink must not lead to the root: below what covers that, the container would stay.
pub(crate) fn open_existing<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    path: &CStr,
    follows: bool,
) -> Result<Existing, Fault> {
    let open = |kernel: &mut K, resolve| match kernel.open(root, path, Open::Directory, resolve) {
        Err(Errno::NOTDIR) => Ok((kernel.open(root, path, Open::Path, resolve)?, false)),
        opened => Ok((opened?, true)),
    };
    let found = match open(kernel, Resolve::InRootNoSymlinks) {
        Err(Errno::LOOP) if !follows => return Ok(Existing::Link),
        Err(Errno::LOOP) => {
            let found = open(kernel, Resolve::InRoot);
            if let Ok((place, true)) = found
                && kernel.is_same_file(place, root).at(Call::Status)?
            {
                return Err(Fault { call: Call::Status, errno: Errno::BUSY });
            }
            found
        }
        found => found,
    };
    match found {
        Ok((place, is_directory)) => Ok(Existing::Place { place, is_directory }),
        Err(Errno::NOENT) => Ok(Existing::Nothing),
        Err(errno) => Err(Fault { call: Call::Open, errno }),
    }
}

/// Whether `path` is `directory` or lies below it, by their texts.
pub(crate) fn lies_in(path: &CStr, directory: &CStr) -> bool {
    let rest = path.to_bytes().strip_prefix(directory.to_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Symlinks that are followed on the way to what is to be made, as many as the kernel follows.
const LINKS_MAX: usize = 40;

/// Opens `path`, which is made first if it is missing, with its parents. What is missing behind a symlink is made where that leads, inside
/// `root`: images have such links into directories of the running system.
#[inline(never)]
pub(crate) fn open_or_make<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    (path, open): (&CStr, Open),
    missing: Missing,
    has_led_elsewhere: &mut bool,
) -> Result<Descriptor, Fault> {
    let mut path = PathBuffer::new(path.to_bytes()).at(Call::Open)?;
    for _ in 0..LINKS_MAX {
        match open_mount_point(kernel, root, (path.as_c_str(), open), has_led_elsewhere) {
            Err(Fault { errno: Errno::NOENT, .. }) => {}
            opened => return opened,
        }
        let (directory, name) = split(path.as_c_str());
        let parent = open_or_make_directory(kernel, root, directory)?;
        let made = match missing {
            Missing::Directory => kernel.make_directory(parent, name, 0o755).at(Call::MakeDirectory),
            Missing::File => kernel.make_file(parent, name).at(Call::MakeNode),
        };
        match made {
            // Below the same parent: whoever shares a volume may have put a symlink there since.
            Ok(()) => {
                return kernel.open(parent, name, Open::Path, Resolve::InRootNoSymlinks).at(Call::Open);
            }
            // Somebody has just put it there: the next look finds it.
            Err(fault) if fault.errno == Errno::EXIST && open == Open::PathNoFollow => {}
            Err(fault) if fault.errno == Errno::EXIST => {
                path = behind_link(kernel, (parent, name), directory, fault)?;
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(Fault { call: Call::Open, errno: Errno::LOOP })
}

/// Opens the directory `path`, component by component, making those that are missing. May return `root` itself.
///
/// Each component is made below a descriptor of its parent, so that no symlink can lead the making outside (CVE-2024-45310).
pub(crate) fn open_or_make_directory<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    path: &[u8],
) -> Result<Descriptor, Fault> {
    if path.iter().all(|&byte| byte == b'/') {
        return Ok(root);
    }
    let mut buffer = PathBuffer::empty();
    let text = buffer.fill(&[path]).at(Call::Open)?;
    match kernel.open(root, text, Open::Directory, Resolve::InRoot) {
        Err(Errno::NOENT) => make_directory(kernel, root, path),
        opened => opened.at(Call::Open),
    }
}

/// Makes the directory `path`, and opens it.
#[inline(never)]
fn make_directory<K: Kernel>(kernel: &mut K, root: Descriptor, path: &[u8]) -> Result<Descriptor, Fault> {
    let mut path = PathBuffer::new(path).at(Call::Open)?;
    for _ in 0..LINKS_MAX {
        match make_components(kernel, root, path.as_c_str().to_bytes())? {
            Reached::Directory(directory) => return Ok(directory),
            Reached::Link(behind) => path = behind,
        }
    }
    Err(Fault { call: Call::Open, errno: Errno::LOOP })
}

/// What making a path came to.
#[expect(clippy::large_enum_variant, reason = "there is no heap to put it on")]
enum Reached {
    Directory(Descriptor),
    /// A symlink to nothing was on the way; the whole path with what it says in its place.
    Link(PathBuffer),
}

fn make_components<K: Kernel>(kernel: &mut K, root: Descriptor, path: &[u8]) -> Result<Reached, Fault> {
    let mut parent = root;
    let mut end = 0;
    for name in path.split(|&byte| byte == b'/') {
        let start = end;
        end += name.len() + 1;
        if name.is_empty() {
            continue;
        }
        let prefix = PathBuffer::new(path.get(..end - 1).unwrap_or(path)).at(Call::Open)?;
        let opened = match kernel.open(root, prefix.as_c_str(), Open::Directory, Resolve::InRoot) {
            Err(Errno::NOENT) => {
                let name = PathBuffer::new(name).at(Call::Open)?;
                match kernel.make_directory(parent, name.as_c_str(), 0o755).at(Call::MakeDirectory) {
                    Err(fault) if fault.errno == Errno::EXIST => {
                        let before = path.get(..start).unwrap_or_default();
                        let behind = behind_link(kernel, (parent, name.as_c_str()), before, fault)?;
                        let rest = path.get(end..).unwrap_or_default();
                        let parts = [behind.as_c_str().to_bytes(), b"/", rest];
                        return PathBuffer::join(&parts).at(Call::Open).map(Reached::Link);
                    }
                    made => made?,
                }
                kernel.open(root, prefix.as_c_str(), Open::Directory, Resolve::InRoot)
            }
            opened => opened,
        };
        if parent != root {
            kernel.close(parent);
        }
        parent = opened.at(Call::Open)?;
    }
    Ok(Reached::Directory(parent))
}

/// The path that a symlink in `directory` means. `fault` is for what is no symlink.
fn behind_link<K: Kernel>(
    kernel: &mut K,
    (parent, name): (Descriptor, &CStr),
    directory: &[u8],
    fault: Fault,
) -> Result<PathBuffer, Fault> {
    let mut target = [0; PATH_BYTES_MAX];
    let length = match kernel.read_link(parent, name, &mut target) {
        Err(Errno::INVAL | Errno::NOENT) => return Err(fault),
        length => length.at(Call::ReadLink)?,
    };
    let mut target = target.get(..length).unwrap_or_default();
    // What a directory's name may end in; what is made has a name.
    while let Some(rest) = target.strip_suffix(b"/").or_else(|| target.strip_suffix(b"/."))
        && !rest.is_empty()
    {
        target = rest;
    }
    let directory = if target.starts_with(b"/") { b"" } else { directory };
    PathBuffer::join(&[directory, target]).at(Call::ReadLink)
}

/// Kinds of entries that a directory's listing tells apart.
pub(crate) const DT_DIR: u8 = 4;
pub(crate) const DT_REG: u8 = 8;

/// What a directory has said of its entries: kinds (DT_*) and names.
///
/// Source: getdents(2), struct linux_dirent64.
pub(crate) fn entries(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &CStr)> {
    const LENGTH_AT: usize = 16;
    const KIND_AT: usize = 18;
    const NAME_AT: usize = 19;
    core::iter::from_fn(move || {
        let length = bytes.get(LENGTH_AT..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))?;
        let (entry, following) = bytes.split_at_checked(usize::from(length))?;
        bytes = following;
        Some((*entry.get(KIND_AT)?, CStr::from_bytes_until_nul(entry.get(NAME_AT..)?).ok()?))
    })
}

/// The directory part (with its last slash) and the last component.
pub(crate) fn split(path: &CStr) -> (&[u8], &CStr) {
    let bytes = path.to_bytes_with_nul();
    let start = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = bytes.split_at(start);
    (directory, CStr::from_bytes_until_nul(name).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_bytes_are_what_they_stand_for() {
        let unescaped = |path| PathBuffer::unescaped(path).unwrap();
        assert_eq!(unescaped(b"/a\\040b\\134c").as_c_str(), c"/a b\\c");
        assert_eq!(unescaped(b"/plain\\").as_c_str(), c"/plain\\");
        assert_eq!(unescaped(b"/no\\09digit").as_c_str(), c"/no\\09digit");
    }
}
