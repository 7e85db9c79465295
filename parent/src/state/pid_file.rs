//! The file in which a caller finds a process's id.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file with a decimal pid that appears whole or not at all, as callers read it right after `create`: what is in its place stays until
/// `publish`. It goes with this value, unless it is to be kept.
#[derive(Debug)]
pub struct PidFile<'a> {
    path: &'a Path,
    /// What has been made. At first it is ours alone: the name holds our thread's id, and no file of that name was there.
    made: Option<PathBuf>,
}

impl<'a> PidFile<'a> {
    pub fn prepare(path: &'a Path, pid: i32) -> Result<Self> {
        let name = path.file_name().unwrap_or(OsStr::new("pid"));
        let mut temporary_name = std::ffi::OsString::from(".");
        temporary_name.push(name);
        temporary_name.push(format!(".{}", rustix::thread::gettid().as_raw_nonzero()));
        let temporary = path.with_file_name(temporary_name);
        let failed = |error: std::io::Error| Error::io(format_args!("open {}", path.display()), &error);
        let mut file = match fs::File::create_new(&temporary) {
            // Left by a thread that had our id once, and whose process was killed.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_file(&temporary).and_then(|()| fs::File::create_new(&temporary))
            }
            created => created,
        }
        .map_err(failed)?;
        let prepared = Self { path, made: Some(temporary) };
        file.set_permissions(fs::Permissions::from_mode(0o644))
            .and_then(|()| std::io::Write::write_all(&mut file, pid.to_string().as_bytes()))
            .map_err(failed)?;
        Ok(prepared)
    }

    /// Puts the file in its place.
    pub fn publish(&mut self) -> Result<()> {
        let Some(temporary) = &self.made else { return Ok(()) };
        fs::rename(temporary, self.path)
            .map_err(|error| Error::io(format_args!("open {}", self.path.display()), &error))?;
        self.made = Some(self.path.to_owned());
        Ok(())
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
