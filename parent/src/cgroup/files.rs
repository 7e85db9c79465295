//! Files of cgroup hierarchies. They have no symlinks; the last component is not followed all the same.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::descriptors::spend;
use crate::error::{Error, Result};

pub(super) fn read(path: &str) -> std::result::Result<String, Errno> {
    read_at(rustix::fs::CWD, path)
}

/// The same for a path that counts from a directory.
pub(super) fn read_at(directory: BorrowedFd<'_>, path: &str) -> std::result::Result<String, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(directory, path, flags, Mode::empty())?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let bytes = rustix::io::read(&file, &mut buffer)?;
        text.extend_from_slice(&buffer[..bytes]);
        // The kernel hands these files out a page at a time.
        if bytes < buffer.len() / 2 {
            spend(file);
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
    }
}

pub(super) fn write(path: &str, value: &str) -> std::result::Result<(), Errno> {
    write_at(rustix::fs::CWD, path, value).map(drop)
}

/// Writes a file whose path counts from a directory.
pub(super) fn write_at(
    directory: BorrowedFd<'_>,
    path: &str,
    value: &str,
) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(directory, path, flags, Mode::empty())?;
    rustix::io::write(&file, value.as_bytes())?;
    Ok(file)
}

/// Writes a limit; the error names the file and the value.
pub(super) fn set(directory: &str, file: &str, value: impl ToString) -> Result<()> {
    set_and_keep(directory, file, value).map(drop)
}

/// The same, for a file that every start writes; of limits there may be hundreds.
pub(super) fn set_and_spend(directory: &str, file: &str, value: impl ToString) -> Result<()> {
    set_and_keep(directory, file, value).map(spend)
}

fn set_and_keep(directory: &str, file: &str, value: impl ToString) -> Result<OwnedFd> {
    let (path, value) = ([directory, "/", file].concat(), value.to_string());
    write_at(rustix::fs::CWD, &path, &value)
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
    directory_at(rustix::fs::CWD, path)
}

fn directory_at(directory: BorrowedFd<'_>, path: &str) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(directory, path, flags, Mode::empty())
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
    rustix::fs::chownat(rustix::fs::CWD, path, owner, None, AtFlags::SYMLINK_NOFOLLOW)
}

/// Shows every cgroup below one to `visit`, the innermost first: the directory that it lies in, and its name there. Whoever made them may
/// have made their paths longer than the kernel takes, and more levels than we may have files open: there is one at a time.
pub(super) fn visit_below(path: &str, mut visit: impl FnMut(BorrowedFd<'_>, &str)) {
    let Ok(mut current) = try_open_directory(path) else { return };
    // For each level: the cgroups in it that are still to be visited.
    let mut levels = vec![subdirectories(&current)];
    let mut names: Vec<String> = Vec::new();
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.pop() {
            // One that cannot be opened is gone.
            if let Ok(inner) = directory_at(current.as_fd(), &name) {
                current = inner;
                levels.push(subdirectories(&current));
                names.push(name);
            }
            continue;
        }
        levels.pop();
        // Without a parent it is gone, and so is all that it was in.
        let (Some(name), Ok(parent)) = (names.pop(), directory_at(current.as_fd(), "..")) else { return };
        visit(parent.as_fd(), &name);
        current = parent;
    }
}

/// The inode numbers of all cgroups below one: no two that live in a hierarchy have the same.
pub(super) fn inodes_below(path: &str) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    visit_below(path, |parent, name| found.extend(inode(parent, name)));
    found
}

pub(super) fn inode(parent: BorrowedFd<'_>, name: &str) -> Option<u64> {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_ino)
}

fn subdirectories(directory: &OwnedFd) -> Vec<String> {
    let names = entries(Dir::read_from(directory).ok(), |kind| kind == FileType::Directory);
    names.filter(|name| name != "." && name != "..").collect()
}

/// The names of the files of a cgroup; none if it is gone.
pub(super) fn names(path: &str) -> Vec<String> {
    let directory = try_open_directory(path).and_then(Dir::new).ok();
    entries(directory, |kind| kind != FileType::Directory).collect()
}

fn entries(directory: Option<Dir>, is_wanted: impl Fn(FileType) -> bool) -> impl Iterator<Item = String> {
    let wanted = directory.into_iter().flatten().flatten().filter(move |entry| is_wanted(entry.file_type()));
    wanted.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn trees_are_visited_from_within_however_long_their_paths_are() {
        let top = std::env::temp_dir().join(format!("pinnace-visit-{}", std::process::id()));
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::create_dir_all(top.join("c")).unwrap();
        let mut seen = Vec::new();
        visit_below(top.to_str().unwrap(), |_, name| seen.push(name.to_owned()));
        let position = |wanted: &str| seen.iter().position(|name| name == wanted).unwrap();
        assert!(seen.len() == 3 && position("b") < position("a"), "{seen:?}");

        // Below 30 levels of 200 letters, which no path can name.
        let long = "x".repeat(200);
        let mut directory = try_open_directory(top.to_str().unwrap()).unwrap();
        for _ in 0..30 {
            rustix::fs::mkdirat(&directory, &long, Mode::RWXU).unwrap();
            directory = directory_at(directory.as_fd(), &long).unwrap();
        }
        visit_below(top.to_str().unwrap(), |parent, name| {
            rustix::fs::unlinkat(parent, name, rustix::fs::AtFlags::REMOVEDIR).unwrap();
        });
        fs::remove_dir(&top).unwrap();
    }
}
