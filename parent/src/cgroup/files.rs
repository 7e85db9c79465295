//! Files of cgroup hierarchies. They have no symlinks; the last component is not followed all the same.

use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::error::{Error, Result};

pub(super) fn read(path: &str) -> std::result::Result<String, Errno> {
    read_and_keep(path).map(|(text, _)| text)
}

/// The same, with the file, for who closes many at once.
pub(super) fn read_and_keep(path: &str) -> std::result::Result<(String, OwnedFd), Errno> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let bytes = rustix::io::read(&file, &mut buffer)?;
        text.extend_from_slice(&buffer[..bytes]);
        // The kernel hands these files out a page at a time.
        if bytes < buffer.len() / 2 {
            return Ok((String::from_utf8_lossy(&text).into_owned(), file));
        }
    }
}

pub(super) fn write(path: &str, value: &str) -> std::result::Result<(), Errno> {
    write_and_keep(path, value).map(drop)
}

fn write_and_keep(path: &str, value: &str) -> std::result::Result<OwnedFd, Errno> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    rustix::io::write(&file, value.as_bytes())?;
    Ok(file)
}

/// Writes a limit; the error names the file and the value.
pub(super) fn set(directory: &str, file: &str, value: impl ToString) -> Result<()> {
    set_and_keep(directory, file, value).map(drop)
}

/// The same, with the file, for who closes many at once.
pub(super) fn set_and_keep(directory: &str, file: &str, value: impl ToString) -> Result<OwnedFd> {
    let (path, value) = (format!("{directory}/{file}"), value.to_string());
    write_and_keep(&path, &value)
        .map_err(|errno| Error::call(format_args!("write {value:?} to {path}"), errno))
}

pub(super) fn open_for_writing(path: &str) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
        .map_err(|errno| Error::call(format_args!("open {path}"), errno))
}

/// A detached bind mount of a directory, which whoever gets the descriptor can attach.
pub(super) fn open_tree(path: &str) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(rustix::fs::CWD, path, flags)
        .map_err(|errno| Error::call(format_args!("open_tree {path}"), errno))
}

pub(super) fn open_directory(path: &str) -> Result<OwnedFd> {
    try_open_directory(path).map_err(|errno| Error::call(format_args!("open {path}"), errno))
}

pub(super) fn try_open_directory(path: &str) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Makes a directory that bears our mark: the sticky bit, which nobody else gives a cgroup. It comes in the same call as the directory,
/// so that whatever ends us after it, `delete` knows what we have made (to the kernel it means next to nothing here).
pub(super) fn make_directory(path: &str) -> std::result::Result<(), Errno> {
    rustix::fs::mkdir(path, Mode::from_raw_mode(0o1755))
}

/// Whether the directory is one that `make_directory` has made.
pub(super) fn has_mark(path: &str) -> bool {
    rustix::fs::lstat(path).is_ok_and(|stat| Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX))
}

/// Makes `uid` the owner; the group stays.
pub(super) fn give(path: &str, uid: u32) -> std::result::Result<(), Errno> {
    let owner = Some(rustix::fs::Uid::from_raw(uid));
    rustix::fs::chownat(rustix::fs::CWD, path, owner, None, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
}

/// The absolute paths of the cgroups below one; none if it is gone.
pub(super) fn subdirectories(path: &str) -> Vec<String> {
    let names = entries(path, |kind| kind == FileType::Directory);
    names.filter(|name| name != "." && name != "..").map(|name| format!("{path}/{name}")).collect()
}

/// The names of the files of a cgroup; none if it is gone.
pub(super) fn names(path: &str) -> Vec<String> {
    entries(path, |kind| kind != FileType::Directory).collect()
}

fn entries(path: &str, is_wanted: impl Fn(FileType) -> bool) -> impl Iterator<Item = String> {
    let entries = open_directory(path).ok().and_then(|directory| Dir::new(directory).ok());
    let wanted = entries.into_iter().flatten().flatten().filter(move |entry| is_wanted(entry.file_type()));
    wanted.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
}
