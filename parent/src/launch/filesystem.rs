//! New filesystems that the parent makes: those that begin with what they cover (`tmpcopyup`), those with owners of their own, and those on a
//! device, which the container's cgroup may forbid.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general as uapi;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::{Error, Result, errno_text};
use crate::plan::{Content, NewFilesystem, SentTree};

/// What an ordinary user cannot have: whoever makes such a filesystem is on the host.
pub const OF_ROOT: &str = "only root can mount a filesystem with tmpcopyup, idmap or a device of the host";

/// How deep a directory may be that is copied: each level takes two descriptors.
const DEPTH_MAX: usize = 64;

/// The detached mount of a new filesystem, filled if that is asked for.
pub(super) fn make(sent: &SentTree<'_>, filesystem: &NewFilesystem<'_>) -> Result<OwnedFd> {
    let failed = |call: &'static str| {
        let (fstype, target) = (filesystem.fstype, sent.target);
        move |errno| Error::call(format_args!("mount {fstype} on {target}: {call}"), errno)
    };
    let content = match filesystem.content {
        Some(content) => open_content(&content).map_err(failed("open what it covers"))?,
        None => None,
    };
    let instance =
        rustix::mount::fsopen(filesystem.fstype, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| {
            let error = failed("fsopen")(errno);
            if errno == Errno::PERM { Error::new(format!("{error} ({OF_ROOT})")) } else { error }
        })?;
    configure(instance.as_fd(), sent.source, filesystem, content.as_ref()).map_err(failed("fsconfig"))?;
    let attributes = MountAttrFlags::from_bits_retain(filesystem.attributes);
    rustix::mount::fsconfig_create(instance.as_fd()).map_err(failed("fsconfig create"))?;
    // What is filled is a tmpfs, and that becomes read-only late.
    let mount = rustix::mount::fsmount(instance.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(failed("fsmount"))?;
    if let Some((directory, status)) = &content {
        copy(directory.as_fd(), mount.as_fd(), 0).map_err(failed("copy what it covers"))?;
        if !filesystem.data.split(',').any(|option| option.starts_with("uid=") || option.starts_with("gid="))
        {
            let (uid, gid) = owner(status);
            rustix::fs::chownat(&mount, "", uid, gid, AtFlags::EMPTY_PATH).map_err(failed("chown"))?;
        }
    }
    Ok(mount)
}

/// The directory and its status; `None` if there is none.
fn open_content(content: &Content<'_>) -> rustix::io::Result<Option<(OwnedFd, Stat)>> {
    let root = rustix::fs::openat(
        CWD,
        content.root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let path = if content.path.is_empty() { "." } else { content.path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) {
        Ok(directory) => {
            let status = rustix::fs::fstat(&directory)?;
            Ok(Some((directory, status)))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn configure(
    instance: BorrowedFd<'_>,
    source: &str,
    filesystem: &NewFilesystem<'_>,
    content: Option<&(OwnedFd, Stat)>,
) -> rustix::io::Result<()> {
    if !source.is_empty() {
        rustix::mount::fsconfig_set_string(instance, "source", source)?;
    }
    let mut has_mode = false;
    for option in options(filesystem.data) {
        has_mode |= option.starts_with("mode=");
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
    if let (false, Some((_, status))) = (has_mode, content) {
        let mode = format!("{:o}", status.st_mode & 0o7777);
        rustix::mount::fsconfig_set_string(instance, "mode", mode.as_str())?;
    }
    if let Some(label) = filesystem.label {
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

/// Copies everything below `from` with its owners and modes. Symlinks are copied as they are, and never followed.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: usize) -> rustix::io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(Errno::LOOP);
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let status = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mode = Mode::from_raw_mode(status.st_mode & 0o7777);
        let kind = FileType::from_raw_mode(status.st_mode);
        let nofollow = OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | nofollow;
                let inner_from = rustix::fs::openat(from, name, flags, Mode::empty())?;
                let inner_to = rustix::fs::openat(to, name, flags, Mode::empty())?;
                copy(inner_from.as_fd(), inner_to.as_fd(), depth + 1)?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(target, to, name)?;
            }
            FileType::RegularFile => {
                // Whoever shares the root may have put a fifo or a device there since.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | nofollow;
                let source = rustix::fs::openat(from, name, flags, Mode::empty())?;
                if !FileType::from_raw_mode(rustix::fs::fstat(&source)?.st_mode).is_file() {
                    return Err(Errno::STALE);
                }
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | nofollow;
                let target = rustix::fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
                while rustix::fs::sendfile(&target, &source, None, 1 << 20)? > 0 {}
            }
            // Sockets lead nowhere without who listens at them.
            FileType::Socket => continue,
            _ => rustix::fs::mknodat(to, name, kind, mode, status.st_rdev)?,
        }
        let (uid, gid) = owner(&status);
        rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        if kind != FileType::Symlink {
            rustix::fs::chmodat(to, name, mode, AtFlags::empty())?;
        }
    }
    Ok(())
}

fn owner(status: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))
}
