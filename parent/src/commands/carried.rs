//! What a container out of nothing but pinnace is made of.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode};

use pinnace::{Error, Result};

/// A static program of a few kilobytes, built with stage1 by build.rs: stage1-init/src/demo.rs.
pub(super) static PROGRAM: &[u8] = include_bytes!(env!("PINNACE_DEMO"));

/// A directory that ends with the command, and is locked until then: whoever finds it unlocked knows that nobody uses it.
pub(super) struct TemporaryDirectory(pub(super) PathBuf, #[allow(dead_code)] OwnedFd);

impl TemporaryDirectory {
    /// In `base`, with our process id behind the name.
    pub(super) fn new(base: &Path, name: &str) -> Result<Self> {
        // Symlinks on the way would make the root file system's path one that is refused.
        let base = base
            .canonicalize()
            .map_err(|error| Error::io(format_args!("open {}", base.display()), &error))?;
        let path = base.join(format!("{name}-{}", std::process::id()));
        let failed = |error: std::io::Error| Error::io(format_args!("mkdir {}", path.display()), &error);
        // What is written there, root runs: nobody else may write there, whatever our caller's umask lets others do.
        rustix::process::umask(Mode::from_raw_mode(0o022));
        fs::create_dir(&path).map_err(failed)?;
        let locked = File::open(&path).and_then(|directory| {
            rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
            Ok(OwnedFd::from(directory))
        });
        match locked {
            Ok(directory) => Ok(Self(path, directory)),
            Err(error) => {
                // Ignored: the first error is the one to tell.
                let _ = fs::remove_dir(&path);
                Err(failed(error))
            }
        }
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Ignored: what cannot be removed lies where temporary files lie.
        let _ = fs::remove_dir_all(&self.0);
    }
}
