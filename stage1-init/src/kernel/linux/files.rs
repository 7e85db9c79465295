//! Looking up and making.

use core::ffi::CStr;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use sc::syscall;

use super::{Linux, check, keep, lend};
use crate::kernel::{Descriptor, Errno, Files, Open, Resolve, Result, Status};

/// How often a path is looked up while its surroundings change.
const LOOKS_MAX: u32 = 128;

fn status(stat: fs::Stat) -> Status {
    Status { mode: stat.st_mode, device: stat.st_rdev, uid: stat.st_uid, gid: stat.st_gid }
}

impl Files for Linux {
    fn open(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        open: Open,
        resolve: Resolve,
    ) -> Result<Descriptor> {
        let flags = OFlags::CLOEXEC
            | match open {
                Open::Path => OFlags::PATH,
                Open::PathNoFollow => OFlags::PATH | OFlags::NOFOLLOW,
                Open::Directory => OFlags::PATH | OFlags::DIRECTORY,
                Open::Read => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
                Open::Write => OFlags::WRONLY | OFlags::NOCTTY,
                Open::Terminal => OFlags::RDWR | OFlags::NOCTTY,
            };
        let in_root = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let resolve = match resolve {
            Resolve::Host => ResolveFlags::empty(),
            Resolve::InRoot => in_root,
            Resolve::InRootNoSymlinks => in_root | ResolveFlags::NO_SYMLINKS,
            Resolve::Beneath => ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS,
        };
        for _ in 0..LOOKS_MAX {
            match fs::openat2(lend(directory), path, flags, Mode::empty(), resolve) {
                // Something was renamed or mounted meanwhile and the kernel cannot vouch for the path: look again.
                Err(Errno::AGAIN) => {}
                opened => return opened.map(keep),
            }
        }
        // Whoever shares a volume can go on renaming in it.
        Err(Errno::AGAIN)
    }

    fn read_link(&mut self, directory: Descriptor, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
        fs::readlinkat_raw(lend(directory), name, buffer)
    }

    fn status(&mut self, file: Descriptor) -> Result<Status> {
        fs::fstat(lend(file)).map(status)
    }

    fn status_of_entry(&mut self, directory: Descriptor, name: &CStr) -> Result<Status> {
        fs::statat(lend(directory), name, AtFlags::SYMLINK_NOFOLLOW).map(status)
    }

    fn read_directory(&mut self, directory: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: the kernel writes at most the length that is passed into `buffer`.
        check(unsafe { syscall!(GETDENTS64, directory.0, buffer.as_mut_ptr(), buffer.len()) })
    }

    fn list_attributes(&mut self, file: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: the kernel writes at most the length that is passed into `buffer`.
        check(unsafe { syscall!(FLISTXATTR, file.0, buffer.as_mut_ptr(), buffer.len()) })
    }

    fn attribute(&mut self, file: Descriptor, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: the name is NUL-terminated and only read; the kernel writes at most the length that is passed into `buffer`.
        check(unsafe { syscall!(FGETXATTR, file.0, name.as_ptr(), buffer.as_mut_ptr(), buffer.len()) })
    }

    fn is_writable(&mut self, file: Descriptor) -> Result<bool> {
        Ok(fs::fcntl_getfl(lend(file))?.intersects(OFlags::WRONLY | OFlags::RDWR))
    }

    fn status_of(&mut self, path: &CStr) -> Result<Status> {
        fs::stat(path).map(status)
    }

    fn is_same_file(&mut self, one: Descriptor, other: Descriptor) -> Result<bool> {
        let (one, other) = (fs::fstat(lend(one))?, fs::fstat(lend(other))?);
        Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
    }

    fn filesystem_type(&mut self, file: Descriptor) -> Result<u64> {
        fs::fstatfs(lend(file)).map(|statfs| statfs.f_type as u64)
    }

    fn check_executable(&mut self, path: &CStr) -> Result<()> {
        fs::access(path, fs::Access::EXEC_OK)
    }

    fn current_directory_is_reachable(&mut self) -> Result<bool> {
        let mut buffer = [0u8; 4096];
        // SAFETY: the kernel writes at most the length that is passed into `buffer`.
        match check(unsafe { syscall!(GETCWD, buffer.as_mut_ptr(), buffer.len()) }) {
            Ok(_) => Ok(buffer[0] == b'/'),
            Err(errno) => Err(errno),
        }
    }

    fn make_directory(&mut self, directory: Descriptor, name: &CStr, mode: u32) -> Result<()> {
        fs::mkdirat(lend(directory), name, Mode::from_raw_mode(mode))
    }

    fn make_file(&mut self, directory: Descriptor, name: &CStr) -> Result<()> {
        fs::mknodat(lend(directory), name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)
    }

    fn make_node(
        &mut self,
        directory: Descriptor,
        name: &CStr,
        mode: u32,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        let device = fs::makedev(major, minor);
        fs::mknodat(lend(directory), name, FileType::from_raw_mode(mode), Mode::from_raw_mode(mode), device)
    }

    fn make_node_like(&mut self, directory: Descriptor, name: &CStr, other: Status) -> Result<()> {
        let (kind, mode) = (FileType::from_raw_mode(other.mode), Mode::from_raw_mode(other.mode));
        fs::mknodat(lend(directory), name, kind, mode, other.device)
    }

    fn copy_content(&mut self, from: Descriptor, to: Descriptor) -> Result<usize> {
        const BYTES: usize = 1 << 20;
        // SAFETY: numbers, and no place for an offset.
        check(unsafe { syscall!(SENDFILE, to.0, from.0, 0usize, BYTES) })
    }

    fn change_mode(&mut self, directory: Descriptor, name: &CStr, mode: u32) -> Result<()> {
        fs::chmodat(lend(directory), name, Mode::from_raw_mode(mode), AtFlags::empty())
    }

    fn set_attribute(&mut self, file: Descriptor, name: &CStr, value: &[u8]) -> Result<()> {
        fs::fsetxattr(lend(file), name, value, fs::XattrFlags::empty())
    }

    fn make_symlink(&mut self, directory: Descriptor, name: &CStr, target: &CStr) -> Result<()> {
        fs::symlinkat(target, lend(directory), name)
    }

    fn change_owner(&mut self, directory: Descriptor, name: &CStr, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (fs::Uid::from_raw(uid), fs::Gid::from_raw(gid));
        fs::chownat(lend(directory), name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
    }
}
