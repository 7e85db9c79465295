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

mod pid_file;
mod record;
mod status;

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

pub use pid_file::PidFile;
pub use record::{AddedMount, Init, Record, SeccompListener, View};
pub use status::{Inherited, ProcessFacts, Status};

use crate::error::{Error, Kind, Result};

const RECORD: &str = "record.json";
const INIT: &str = "init.json";

/// Bytes that are asked for at first.
const READ_BYTES: usize = 16 << 10;
/// The socket's name, for those who listen and those who call.
pub const START_SOCKET: &str = "start.sock";
/// The directory of the socket at which the container says that it is ready; the container sees it.
const NOTIFY: &str = "notify";
/// Behind the name of a file that is being written.
const NEW: &str = ".new";
/// Every name that a container's directory may hold: `delete` removes these and nothing else.
const NAMES: [&str; 6] = [RECORD, INIT, START_SOCKET, "record.json.new", "init.json.new", NOTIFY];

/// The directory of all containers.
#[derive(Clone, Debug)]
pub struct StateRoot {
    path: PathBuf,
}

impl StateRoot {
    /// The directory given, or the default: /run/pinnace, and for an ordinary user $XDG_RUNTIME_DIR/pinnace.
    pub fn new(given: Option<&Path>) -> Result<Self> {
        let path = match given {
            Some(path) if is_host_root(path) => {
                return Err(Error::new("Option --root argument should not be set to /"));
            }
            Some(path) => path.to_owned(),
            None => default_root()?,
        };
        Ok(Self { path })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the directory with a container's socket for its readiness will be.
    ///
    /// Errors: the path cannot stand in a configuration.
    pub fn notify_path(&self, id: &str) -> Result<String> {
        let failed =
            |reason: &dyn std::fmt::Display| Error::new(format!("{}: {reason}", self.path.display()));
        let root = std::path::absolute(&self.path).map_err(|error| failed(&error))?;
        let path = root.join(id).join(NOTIFY).into_os_string();
        path.into_string().map_err(|_| failed(&"not UTF-8"))
    }

    /// Where compiled seccomp profiles are kept: a name that no container can have.
    pub fn seccomp_cache(&self) -> PathBuf {
        self.path.join("@seccomp")
    }

    /// Makes the directory, and claims `id`, which `check_id` has passed, by the record in it. Other commands are kept out.
    ///
    /// Errors: the id is taken.
    pub fn create(&self, id: &str, record: &Record) -> Result<StateDirectory> {
        let path = self.path.join(id);
        for _ in 0..CLAIM_TRIES_MAX {
            self.make_directory(&path)?;
            match claim(&path, record) {
                // Before we had the lock, a `delete` took the directory for one that a creation had left: begin anew.
                Err(error) if error.kind() == Kind::NoSuchContainer => {}
                claimed => return claimed,
            }
        }
        Err(Error::new(format!("claim {}: it is deleted again and again", path.display())))
    }

    fn make_directory(&self, path: &Path) -> Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        let made = match builder.create(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let make_root = builder.recursive(true).create(&self.path);
                make_root
                    // Whatever our umask is.
                    .and_then(|()| fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700)))
                    .map_err(|error| Error::io(format_args!("mkdir {}", self.path.display()), &error))?;
                builder.recursive(false).create(path)
            }
            made => made,
        };
        match made {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(id_is_taken()),
            Err(error) => Err(Error::io(format_args!("mkdir {}", path.display()), &error)),
        }
    }

    /// The directory of an existing container.
    pub fn open(&self, id: &str) -> Result<StateDirectory> {
        if check_id(id).is_err() {
            return Err(no_such_container());
        }
        StateDirectory::open_at(self.path.join(id))
    }

    /// Whether this is a container's id.
    pub fn has(&self, id: &str) -> bool {
        self.open(id).is_ok_and(|directory| directory.has(RECORD))
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

/// Locks a new directory and writes the record into it: whoever does that first owns the id.
fn claim(path: &Path, record: &Record) -> Result<StateDirectory> {
    let directory = StateDirectory::open_at(path.to_owned())?;
    directory.wait_for_lock()?;
    match directory.write_first_record(record) {
        Ok(()) => Ok(directory),
        Err(Unclaimed::Deleted) => Err(no_such_container()),
        Err(Unclaimed::Taken) => Err(id_is_taken()),
        Err(Unclaimed::Failed(error)) => {
            // Ignored: the first error is the one to tell; an empty directory keeps nothing but the id.
            let _ = directory.remove();
            Err(error)
        }
    }
}

/// Why a record could not be the first.
enum Unclaimed {
    /// The directory is gone: nothing can be made in it.
    Deleted,
    /// Somebody else's record is there.
    Taken,
    Failed(Error),
}

/// How often a directory may be deleted between its making and its lock.
const CLAIM_TRIES_MAX: usize = 100;

fn id_is_taken() -> Error {
    Error::of_kind(Kind::AlreadyExists, "container with given ID already exists")
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

/// Whether the text means `/`, whatever `.` and `..` are in it.
fn is_host_root(path: &Path) -> bool {
    let mut depth = 0usize;
    if path.is_relative() {
        if !path.components().any(|part| part == Component::ParentDir) {
            return false;
        }
        depth = std::env::current_dir().map_or(usize::MAX, |current| current.components().count() - 1);
    }
    for part in path.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth = depth.saturating_sub(1),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    depth == 0
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

    /// Waits for other commands that change this container, and keeps them out until the directory is closed. While the lock is held the path
    /// means this directory: whoever removes it takes the lock, and the record with it.
    ///
    /// Errors: the container was deleted meanwhile.
    pub fn lock(&self) -> Result<()> {
        self.wait_for_lock()?;
        if self.has(RECORD) { Ok(()) } else { Err(no_such_container()) }
    }

    /// Takes the lock if nobody else has it.
    pub fn try_lock(&self) -> Result<bool> {
        match rustix::fs::flock(&self.descriptor, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
            Err(errno) => Err(Error::call(format_args!("lock {}", self.path.display()), errno)),
        }
    }

    /// Whether there is nothing in this directory but what a creation leaves that was cut off before its record. Asked under the lock.
    ///
    /// Errors: the directory is gone, or a creation has claimed it meanwhile.
    pub fn is_leftover(&self) -> Result<bool> {
        let (Ok(ours), Ok(there)) = (rustix::fs::fstat(&self.descriptor), rustix::fs::lstat(&self.path))
        else {
            return Err(no_such_container());
        };
        if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino) || self.has(RECORD) {
            return Err(no_such_container());
        }
        let entries = fs::read_dir(&self.path)
            .map_err(|error| Error::io(format_args!("open {}", self.path.display()), &error))?;
        let is_own = |name: std::ffi::OsString| NAMES.iter().any(|own| name == *own);
        Ok(entries.flatten().all(|entry| is_own(entry.file_name())))
    }

    fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
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

    /// Whether stage1 still waits for `start`. A `start` that was cut off leaves the socket.
    pub fn awaits_start(&self, init: &Init) -> bool {
        self.has(START_SOCKET) && init.runs_stage1() != Some(false)
    }

    /// Takes the start socket's name away: the container counts as started.
    pub fn forget_start_socket(&self) {
        // Ignored: it is gone already, or the whole directory will be soon.
        let _ = rustix::fs::unlinkat(&self.descriptor, START_SOCKET, AtFlags::empty());
    }

    /// Makes the directory in which the container will find the socket for its readiness.
    pub fn make_notify_directory(&self) -> Result<()> {
        let failed = |errno| Error::call(format_args!("mkdir {}", self.path.join(NOTIFY).display()), errno);
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::mkdirat(&self.descriptor, NOTIFY, mode).map_err(failed)?;
        // Whatever our umask is.
        rustix::fs::chmodat(&self.descriptor, NOTIFY, mode, AtFlags::empty()).map_err(failed)
    }

    /// That directory, if the container has one.
    pub fn notify_directory(&self) -> Result<Option<OwnedFd>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.descriptor, NOTIFY, flags, Mode::empty()) {
            Ok(directory) => Ok(Some(directory)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::call(format_args!("open {}", self.path.join(NOTIFY).display()), errno)),
        }
    }

    /// Removes the directory with our own files in it, under the lock. Files that are not ours stay, and then the directory does.
    pub fn remove(&self) -> Result<()> {
        // The two that are always there; the others only if the directory is not empty without them.
        self.unlink(INIT)?;
        self.unlink(RECORD)?;
        let mut removed = rustix::fs::rmdir(&self.path);
        if removed == Err(Errno::NOTEMPTY) {
            self.remove_notify_directory()?;
            NAMES.iter().try_for_each(|name| self.unlink(name))?;
            removed = rustix::fs::rmdir(&self.path);
        }
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::call(format_args!("rmdir {}", self.path.display()), errno)),
        }
    }

    fn remove_notify_directory(&self) -> Result<()> {
        let path = self.path.join(NOTIFY);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io(format_args!("rmdir {}", path.display()), &error))
            }
            _ => Ok(()),
        }
    }

    fn unlink(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::call(format_args!("unlink {}", self.path.join(name).display()), errno)),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        // Whatever somebody has put there, it does not keep us.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = rustix::fs::openat(&self.descriptor, name, flags, Mode::empty());
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
        self.write_temporary(name, value, behind)
            .and_then(|temporary| {
                rustix::fs::renameat(&self.descriptor, &temporary, &self.descriptor, name)
                    .map_err(|errno| ("rename", errno))
            })
            .map_err(|failure| self.failed_write(name, failure))
    }

    /// Writes the record unless there is one: the calls that write it tell as well whether the directory is still there, and ours.
    fn write_first_record(&self, record: &Record) -> std::result::Result<(), Unclaimed> {
        let written = self.write_temporary(RECORD, record, &[]).and_then(|temporary| {
            let ours = &self.descriptor;
            match rustix::fs::renameat_with(ours, &temporary, ours, RECORD, RenameFlags::NOREPLACE) {
                // A filesystem that cannot do that; under the lock two calls do as well.
                Err(Errno::INVAL) if !self.has(RECORD) => {
                    rustix::fs::renameat(ours, &temporary, ours, RECORD)
                }
                Err(Errno::INVAL) => Err(Errno::EXIST),
                renamed => renamed,
            }
            .map_err(|errno| ("rename", errno))
        });
        written.map_err(|failure| match failure {
            ("create", Errno::NOENT) => Unclaimed::Deleted,
            ("rename", Errno::EXIST) => Unclaimed::Taken,
            failure => Unclaimed::Failed(self.failed_write(RECORD, failure)),
        })
    }

    fn failed_write(&self, name: &str, (call, errno): (&str, Errno)) -> Error {
        Error::call(format_args!("{call} {}", self.path.join(name).display()), errno)
    }

    /// The new file's name; or the call that failed.
    fn write_temporary(
        &self,
        name: &str,
        value: &impl serde::Serialize,
        behind: &[u8],
    ) -> std::result::Result<String, (&'static str, Errno)> {
        let temporary = format!("{name}{NEW}");
        // Values are of our own types, whose keys are all text.
        let mut text = serde_json::to_vec(value).map_err(|_| ("encode", Errno::INVAL))?;
        if !behind.is_empty() {
            text.push(b'\n');
            text.extend_from_slice(behind);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.descriptor, &temporary, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| ("create", errno))?;
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            let written = rustix::io::write(&file, rest).map_err(|errno| ("write", errno))?;
            rest = &rest[written..];
        }
        Ok(temporary)
    }
}

impl AsFd for StateDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_root_is_known_however_it_is_written() {
        for root in ["/", "//", "/.", "/run/..", "../../../../../../../../../../../../.."] {
            assert!(is_host_root(Path::new(root)), "{root}");
        }
        for directory in ["/run", "/run/../x", "x", "./x"] {
            assert!(!is_host_root(Path::new(directory)), "{directory}");
        }
    }

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
