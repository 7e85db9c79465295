//! The directory of one container: its lock, and the files in it.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::status::has_our_numbers;
use super::{
    INIT, Init, NAMES, NEW, NOTIFY, READ_BYTES, RECORD, Record, START_SOCKET, Unclaimed, no_such_container,
};
use crate::descriptors::spend;
use crate::error::{Error, Result};
use crate::host::is_in_memory;

/// One container's directory, open.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl StateDirectory {
    pub(super) fn open_at(path: PathBuf) -> Result<Self> {
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

    /// Whether the host's next boot finds nothing of it, since it is in memory alone.
    pub(super) fn ends_with_boot(&self) -> bool {
        let filesystem = rustix::fs::fstatfs(&self.descriptor).map(|statfs| statfs.f_type as u64);
        filesystem.is_ok_and(is_in_memory)
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
        for entry in entries {
            let entry =
                entry.map_err(|error| Error::io(format_args!("read {}", self.path.display()), &error))?;
            if !is_own(entry.file_name()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    pub(super) fn wait_for_lock(&self) -> Result<()> {
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
        self.has(START_SOCKET) && (init.runs_stage1() != Some(false) || !has_our_numbers())
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
        // Most fit at once, and a regular file that gives less than there is room for has ended. Kept is no more than the text: `list` reads many.
        let mut buffer = [0; READ_BYTES];
        let mut text = Vec::new();
        loop {
            match rustix::io::read(&file, &mut buffer) {
                Ok(count) => {
                    text.extend_from_slice(&buffer[..count]);
                    if count < buffer.len() {
                        spend(file);
                        return Ok(Some(text));
                    }
                }
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
    pub(super) fn write_first_record(&self, record: &Record) -> std::result::Result<(), Unclaimed> {
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
        spend(file);
        Ok(temporary)
    }
}

impl AsFd for StateDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
