//! New filesystems that the parent makes: those on a device, which the container's cgroup may forbid, and those whose options are paths of the host
//! where stage1 cannot look them up, and those that show a joined namespace which the container's user namespace does not own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general as uapi;
use rustix::fs::{Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::{Error, Result, errno_text};
use crate::namespaces;
use crate::plan::{NewFilesystem, Sent};

/// What an ordinary user cannot have: whoever makes such a filesystem is on the host.
const OF_ROOT: &str = "only root can mount a device of the host";

/// The detached mount of a new filesystem.
pub(super) fn make(sent: &Sent<'_>, filesystem: &NewFilesystem<'_>) -> Result<OwnedFd> {
    match filesystem.within {
        Some((path, kind)) => {
            let namespace = super::open_namespace(path, kind)?;
            namespaces::inside(&[(namespace.as_fd(), kind)], || make_here(sent, filesystem))?
        }
        None => make_here(sent, filesystem),
    }
}

/// The same in the namespaces that this thread is in.
fn make_here(sent: &Sent<'_>, filesystem: &NewFilesystem<'_>) -> Result<OwnedFd> {
    let failed = |call: &'static str| {
        let (fstype, target) = (filesystem.fstype, sent.target);
        move |errno| Error::call(format_args!("mount {fstype} on {target}: {call}"), errno)
    };
    let instance =
        rustix::mount::fsopen(filesystem.fstype, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| {
            let error = failed("fsopen")(errno);
            if errno == Errno::PERM { Error::new(format!("{error} ({OF_ROOT})")) } else { error }
        })?;
    configure(instance.as_fd(), sent.source, filesystem).map_err(failed("fsconfig"))?;
    let attributes = MountAttrFlags::from_bits_retain(filesystem.attributes);
    rustix::mount::fsconfig_create(instance.as_fd()).map_err(failed("fsconfig create"))?;
    let mount = rustix::mount::fsmount(instance.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(failed("fsmount"))?;
    if let (true, Some(label)) = (is_labelled_late(filesystem), filesystem.label) {
        let root = rustix::fs::openat(&mount, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        root.and_then(|root| {
            rustix::fs::fsetxattr(root, "security.selinux", label.as_bytes(), XattrFlags::empty())
        })
        .map_err(failed("label"))?;
    }
    Ok(mount)
}

/// An IPC namespace has its queues before anybody mounts them.
fn is_labelled_late(filesystem: &NewFilesystem<'_>) -> bool {
    filesystem.fstype == "mqueue"
}

fn configure(
    instance: BorrowedFd<'_>,
    source: &str,
    filesystem: &NewFilesystem<'_>,
) -> rustix::io::Result<()> {
    if !source.is_empty() {
        rustix::mount::fsconfig_set_string(instance, "source", source)?;
    }
    for option in options(filesystem.data) {
        match option.split_once('=') {
            // Longer than one call takes: layer by layer (Linux 6.8). Two colons in a row would mean layers of another kind.
            Some(("lowerdir", layers)) if layers.len() >= SET_BYTES_MAX && !layers.contains("::") => {
                for layer in unescaped(layers, ':') {
                    rustix::mount::fsconfig_set_string(instance, "lowerdir+", layer)?;
                }
            }
            _ => set_option(instance, option)?,
        }
    }
    if let Some(label) = filesystem.label.filter(|_| !is_labelled_late(filesystem)) {
        rustix::mount::fsconfig_set_string(instance, "context", label)?;
    }
    // A device may be read-only, and its filesystem is then not to be written, whatever the mount says.
    let is_readonly = filesystem.attributes & uapi::MOUNT_ATTR_RDONLY != 0;
    for (word, is_set) in [
        ("ro", is_readonly),
        ("sync", filesystem.superblock & uapi::MS_SYNCHRONOUS != 0),
        ("dirsync", filesystem.superblock & uapi::MS_DIRSYNC != 0),
        ("lazytime", filesystem.superblock & uapi::MS_LAZYTIME != 0),
        ("mand", filesystem.superblock & uapi::MS_MANDLOCK != 0),
        // The others that count versions do so unasked.
        ("i_version", filesystem.fstype == "ext4" && filesystem.superblock & uapi::MS_I_VERSION != 0),
    ] {
        if is_set {
            rustix::mount::fsconfig_set_flag(instance, word)?;
        }
    }
    Ok(())
}

/// The options of mount(2)'s text; a comma behind a backslash is a letter (overlay has paths).
fn options(data: &str) -> impl Iterator<Item = &str> {
    unescaped(data, ',').filter(|option| !option.is_empty())
}

/// The parts between separators that have no backslash before them.
fn unescaped(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_escaped = false;
    text.split(move |letter| {
        let splits = letter == separator && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        splits
    })
}

fn set_option(instance: BorrowedFd<'_>, option: &str) -> rustix::io::Result<()> {
    match option.split_once('=') {
        Some((key, value)) => rustix::mount::fsconfig_set_string(instance, key, value),
        None => rustix::mount::fsconfig_set_flag(instance, option),
    }
}

/// The first option that a filesystem refuses, with what the kernel says of it; `None` if it takes all of them, or we may not ask.
/// Nothing is mounted.
pub fn refused_option(fstype: &str, data: &str) -> Option<String> {
    let instance = rustix::mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC).ok()?;
    let options = options(data);
    // mount(2) takes longer ones than this way does.
    let mut options = options.filter(|option| option.len() < SET_BYTES_MAX);
    options.find_map(|option| {
        let errno = set_option(instance.as_fd(), option).err()?;
        let mut message = [0; 256];
        let said = rustix::io::read(&instance, &mut message).unwrap_or(0);
        let said = String::from_utf8_lossy(&message[..said]);
        // "e tmpfs: Bad value for 'size'\n": the letter is the level.
        let said = said.trim_end().split_once(": ").map(|(_, text)| text.to_owned());
        Some(format!("{option}: {}", said.unwrap_or_else(|| errno_text(errno))))
    })
}

/// Bytes of a name or a value, with the NUL behind it, for fsconfig(2).
const SET_BYTES_MAX: usize = 256;
