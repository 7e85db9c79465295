//! The file in which a caller finds the pid of a new process.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// A file with a decimal pid that appears whole or not at all, as callers read it right after `create`: what is in its place stays until
/// `publish`. It goes with this value, unless it is to be kept.
#[derive(Debug)]
pub struct PidFile<'a> {
    path: &'a Path,
    /// Without a name of its own where the filesystem can do that: who is killed leaves nothing.
    file: fs::File,
    /// What has been made and has a name. At first that is ours alone: it holds our thread's id, and no file of that name was there.
    made: Option<PathBuf>,
}

impl<'a> PidFile<'a> {
    pub fn prepare(path: &'a Path, pid: i32) -> Result<Self> {
        let failed = |error: std::io::Error| Error::io(format_args!("open {}", path.display()), &error);
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        // As a file that the caller made: the mode is what the umask leaves of it.
        let (mut file, made) = match rustix::fs::open(directory, flags, Mode::from(0o666)) {
            Ok(file) => (fs::File::from(file), None),
            Err(Errno::OPNOTSUPP) => {
                let temporary = Self::temporary(path);
                (make_anew(&temporary, || fs::File::create_new(&temporary)).map_err(failed)?, Some(temporary))
            }
            Err(errno) => return Err(failed(errno.into())),
        };
        let prepared = file.write_all(pid.to_string().as_bytes());
        let made = Self { path, file, made };
        prepared.map(|()| made).map_err(failed)
    }

    /// Puts the file in its place.
    pub fn publish(&mut self) -> Result<()> {
        let failed = |error: std::io::Error| Error::io(format_args!("open {}", self.path.display()), &error);
        if self.made.is_none() {
            if self.link(self.path).is_ok() {
                self.made = Some(self.path.to_owned());
                return Ok(());
            }
            // Only a file with a name can take the place of another.
            let temporary = Self::temporary(self.path);
            make_anew(&temporary, || self.link(&temporary)).map_err(failed)?;
            self.made = Some(temporary);
        }
        let Some(temporary) = &self.made else { return Ok(()) };
        fs::rename(temporary, self.path).map_err(failed)?;
        self.made = Some(self.path.to_owned());
        Ok(())
    }

    /// A name in the same directory.
    fn temporary(path: &Path) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or(OsStr::new("pid")));
        name.push(format!(".{}", rustix::thread::gettid().as_raw_nonzero()));
        path.with_file_name(name)
    }

    /// Gives the file a name that nobody has.
    fn link(&self, path: &Path) -> std::io::Result<()> {
        let own = format!("/proc/thread-self/fd/{}", self.file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// The process lives on.
    pub fn keep(mut self) {
        self.made = None;
    }
}

impl Drop for PidFile<'_> {
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            // Ignored: the error that matters is the first one.
            let _ = fs::remove_file(made);
        }
    }
}

/// Has `make` make what nobody but us is to have at `path`, in the place of what a thread has left that had our id once, and whose process was
/// killed.
fn make_anew<T>(path: &Path, make: impl Fn() -> std::io::Result<T>) -> std::io::Result<T> {
    match make() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::remove_file(path).and_then(|()| make()),
        made => made,
    }
}
