//! What a container out of nothing but pinnace is made of.

use std::fs;
use std::path::{Path, PathBuf};

use pinnace::{Error, Result};

/// A static program of a few kilobytes, built with stage1 by build.rs: stage1-init/src/demo.rs.
pub(super) static PROGRAM: &[u8] = include_bytes!(env!("PINNACE_DEMO"));

/// A directory that ends with the command.
pub(super) struct TemporaryDirectory(pub(super) PathBuf);

impl TemporaryDirectory {
    /// In `base`, with our process id behind the name.
    pub(super) fn new(base: &Path, name: &str) -> Result<Self> {
        // Symlinks on the way would make the root file system's path one that is refused.
        let base = base
            .canonicalize()
            .map_err(|error| Error::io(format_args!("open {}", base.display()), &error))?;
        let path = base.join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| Error::io(format_args!("mkdir {}", path.display()), &error))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Ignored: what cannot be removed lies where temporary files lie.
        let _ = fs::remove_dir_all(&self.0);
    }
}
