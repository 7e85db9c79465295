//! What is kept of a container between two commands: a directory below the state root.
//!
//! ```text
//! ROOT/ID/            0700, its making is what makes an id exclusive; its flock serialises commands that change
//!   record.json       what was asked for; written before the child exists
//!   init.json         who the child is, and on a second line what `exec` needs; written once it exists
//!   start.sock        while the container is created: stage1 listens here for `start`
//! ```
//! `ROOT/@seccomp/` holds compiled seccomp profiles, for all containers.
//!
//! Status is derived from these and the kernel, never stored. Reading takes no lock.

mod record;
mod status;

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

pub use record::{Init, Record, SeccompListener};
pub use status::{ProcessFacts, Status, own_ignored_signals};

use crate::error::{Error, Kind, Result};

const RECORD: &str = "record.json";
const INIT: &str = "init.json";

/// Bytes that are asked for at first.
const READ_BYTES: usize = 16 << 10;
/// The socket's name, for those who listen and those who call.
pub const START_SOCKET: &str = "start.sock";

/// The directory of all containers.
#[derive(Clone, Debug)]
pub struct StateRoot {
    path: PathBuf,
}

impl StateRoot {
    /// The directory given, or the default: /run/pinnace, and for an ordinary user $XDG_RUNTIME_DIR/pinnace.
    pub fn new(given: Option<&Path>) -> Result<Self> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => default_root()?,
        };
        Ok(Self { path })
    }

    /// Where compiled seccomp profiles are kept: a name that no container can have.
    pub fn seccomp_cache(&self) -> PathBuf {
        self.path.join("@seccomp")
    }

    /// Makes the directory and claims `id`, which `check_id` has passed, in it.
    ///
    /// Errors: the id is taken.
    pub fn create(&self, id: &str) -> Result<StateDirectory> {
        let path = self.path.join(id);
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        let made = match builder.create(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let make_root = builder.recursive(true).create(&self.path);
                make_root
                    .map_err(|error| Error::io(format_args!("mkdir {}", self.path.display()), &error))?;
                builder.recursive(false).create(&path)
            }
            made => made,
        };
        match made {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::new("container with given ID already exists"));
            }
            Err(error) => return Err(Error::io(format_args!("mkdir {}", path.display()), &error)),
        }
        let directory = StateDirectory::open_at(path)?;
        directory.wait_for_lock()?;
        Ok(directory)
    }

    /// The directory of an existing container.
    pub fn open(&self, id: &str) -> Result<StateDirectory> {
        if check_id(id).is_err() {
            return Err(no_such_container());
        }
        StateDirectory::open_at(self.path.join(id))
    }

    /// The ids of all containers, sorted. A default root that is missing holds none.
    pub fn ids(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && default_root().is_ok_and(|root| root == self.path) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(Error::io(format_args!("open {}", self.path.display()), &error)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut ids: Vec<String> = names.filter(|name| check_id(name).is_ok()).collect();
        ids.sort();
        Ok(ids)
    }
}

fn default_root() -> Result<PathBuf> {
    // The root of another user namespace cannot write where the host's can.
    let is_host_root = || {
        crate::host::is_initial_user_namespace()
            || std::env::var_os("USER").is_some_and(|user| user == "root")
    };
    let has_runtime_directory = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|path| !path.is_empty());
    if rustix::process::geteuid().is_root() && (!has_runtime_directory || is_host_root()) {
        return Ok(PathBuf::from("/run/pinnace"));
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if !directory.is_empty() => Ok(Path::new(&directory).join("pinnace")),
        _ => Err(Error::new("XDG_RUNTIME_DIR is not set: name a state directory with --root")),
    }
}

/// Letters, digits, `_`, `+`, `-`, `.`; not `.` or `..`. As runc's, so that engines' ids pass.
pub fn check_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::new("container id cannot be empty"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if id == "." || id == ".." || id.len() > 255 || !id.bytes().all(allowed) {
        return Err(Error::new("invalid container ID format"));
    }
    Ok(())
}

fn no_such_container() -> Error {
    Error::of_kind(Kind::NoSuchContainer, "container does not exist")
}

/// One container's directory, open.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl StateDirectory {
    fn open_at(path: PathBuf) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Self { path, descriptor }),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(no_such_container()),
            Err(errno) => Err(Error::call(format_args!("open {}", path.display()), errno)),
        }
    }

    /// Waits for other commands that change this container, and keeps them out until the directory is closed.
    ///
    /// Errors: the container was deleted meanwhile.
    pub fn lock(&self) -> Result<()> {
        self.wait_for_lock()?;
        match rustix::fs::fstat(&self.descriptor) {
            Ok(stat) if stat.st_nlink > 0 => Ok(()),
            _ => Err(no_such_container()),
        }
    }

    fn wait_for_lock(&self) -> Result<()> {
        rustix::io::retry_on_intr(|| rustix::fs::flock(&self.descriptor, FlockOperation::LockExclusive))
            .map_err(|errno| Error::call(format_args!("lock {}", self.path.display()), errno))
    }

    /// Lets other commands work on this container while this one stays, as a foreground `run` does.
    pub fn unlock(&self) {
        // Ignored: a lock that was held can be let go.
        let _ = rustix::fs::flock(&self.descriptor, FlockOperation::Unlock);
    }

    /// What was asked for. `Kind::NoSuchContainer` where a creation was cut off before it wrote that.
    pub fn record(&self) -> Result<Record> {
        match self.read(RECORD)? {
            Some(text) => serde_json::from_slice(&text)
                .map_err(|error| Error::new(format!("{}: {error}", self.path.join(RECORD).display()))),
            None => Err(no_such_container()),
        }
    }

    /// Who the child is; `None` before it exists.
    pub fn init(&self) -> Result<Option<Init>> {
        match self.read(INIT)? {
            Some(mut text) => {
                let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
                let mut init: Init = serde_json::from_slice(&text[..end])
                    .map_err(|error| Error::new(format!("{}: {error}", self.path.join(INIT).display())))?;
                init.basis = text.split_off((end + 1).min(text.len()));
                Ok(Some(init))
            }
            None => Ok(None),
        }
    }

    pub fn write_record(&self, record: &Record) -> Result<()> {
        self.write(RECORD, record, &[])
    }

    pub fn write_init(&self, init: &Init) -> Result<()> {
        self.write(INIT, init, &init.basis)
    }

    /// Whether stage1 still waits for `start`.
    pub fn awaits_start(&self) -> bool {
        rustix::fs::statat(&self.descriptor, START_SOCKET, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Takes the start socket's name away: the container counts as started.
    pub fn forget_start_socket(&self) {
        // Ignored: it is gone already, or the whole directory will be soon.
        let _ = rustix::fs::unlinkat(&self.descriptor, START_SOCKET, AtFlags::empty());
    }

    /// Removes the directory and all that is in it.
    pub fn remove(self) -> Result<()> {
        for name in [INIT, RECORD] {
            match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(Error::call(
                        format_args!("unlink {}", self.path.join(name).display()),
                        errno,
                    ));
                }
            }
        }
        match rustix::fs::rmdir(&self.path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // The start socket of a container that was never started, or a temporary file of a write that was cut off.
            Err(Errno::NOTEMPTY) => fs::remove_dir_all(&self.path)
                .map_err(|error| Error::io(format_args!("remove {}", self.path.display()), &error)),
            Err(errno) => Err(Error::call(format_args!("rmdir {}", self.path.display()), errno)),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let opened =
            rustix::fs::openat(&self.descriptor, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let file = match opened {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => {
                return Err(Error::call(format_args!("open {}", self.path.join(name).display()), errno));
            }
        };
        // Most fit at once, and a regular file that gives less than there is room for has ended.
        let mut text = Vec::with_capacity(READ_BYTES);
        loop {
            let room = text.capacity() - text.len();
            match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text)) {
                Ok(count) if count < room => return Ok(Some(text)),
                Ok(_) => text.reserve(text.len()),
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(Error::call(format_args!("read {}", self.path.join(name).display()), errno));
                }
            }
        }
    }

    /// Readers see the old file or the new one, never part of one. No fsync: what a power loss takes, it takes with the container.
    fn write(&self, name: &str, value: &impl serde::Serialize, behind: &[u8]) -> Result<()> {
        let temporary = format!("{name}.new");
        let failed =
            |call: &str, errno| Error::call(format_args!("{call} {}", self.path.join(name).display()), errno);
        let mut text = serde_json::to_vec(value).map_err(|error| Error::new(format!("{name}: {error}")))?;
        if !behind.is_empty() {
            text.push(b'\n');
            text.extend_from_slice(behind);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.descriptor, &temporary, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| failed("create", errno))?;
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            let written = rustix::io::write(&file, rest).map_err(|errno| failed("write", errno))?;
            rest = &rest[written..];
        }
        rustix::fs::renameat(&self.descriptor, &temporary, &self.descriptor, name)
            .map_err(|errno| failed("rename", errno))
    }
}

impl AsFd for StateDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Writes the decimal pid to a file that appears whole or not at all, as callers read it right after `create`.
pub fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let name = path.file_name().unwrap_or(OsStr::new("pid"));
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    let temporary = path.with_file_name(temporary_name);
    let written = fs::File::create_new(&temporary)
        .and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(0o644))?;
            std::io::Write::write_all(&mut file, pid.to_string().as_bytes())
        })
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        // Ignored: the error that matters is the first one.
        let _ = fs::remove_file(&temporary);
        Error::io(format_args!("open {}", path.display()), &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_runc() {
        for good in ["a", "A-1_b.c+d", ".hidden", "0123"] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\n"] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }
}
