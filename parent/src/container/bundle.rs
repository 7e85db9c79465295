//! A bundle: a directory with a configuration, and a root file system.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::config::{self, Config};
use crate::descriptors::spend;
use crate::error::{Error, Result};
use crate::host::is_own_namespace;

/// A bundle, read and checked.
#[derive(Debug)]
pub struct Bundle {
    /// Absolute, without symlinks; so is `rootfs`.
    pub path: String,
    pub rootfs: String,
    pub config: Box<Config>,
}

/// Reads and checks a bundle: config.json and the root file system, which must be there.
pub(super) fn load_bundle(bundle: Option<&Path>, config: &Path) -> Result<Bundle> {
    let (mut bundle, directory) = open_bundle(bundle, config)?;
    let rootfs = check_rootfs(&directory, &bundle.config.root.path)?;
    [directory, rootfs].into_iter().for_each(spend);
    // Without a symlink on the way, what the text means is what the kernel finds.
    bundle.rootfs = config::clean_path(&bundle.rootfs);
    Ok(bundle)
}

/// The same without a look at the root file system, for a plan that nobody carries out.
pub(super) fn load_bundle_unchecked(bundle: Option<&Path>, config: &Path) -> Result<Bundle> {
    open_bundle(bundle, config).map(|(bundle, _)| bundle)
}

/// A bundle whose root file system's path is as it is written, made absolute.
fn open_bundle(bundle: Option<&Path>, config: &Path) -> Result<(Bundle, OwnedFd)> {
    let (directory, path) = open_directory(bundle)?;
    let config = config::load(directory.as_fd(), config, &is_own_namespace)?;
    let rootfs = rootfs_path(&path, &config);
    Ok((Bundle { path, rootfs, config }, directory))
}

/// The bundle's directory, and its path as the kernel knows it: absolute, without symlinks.
pub(super) fn open_directory(bundle: Option<&Path>) -> Result<(OwnedFd, String)> {
    let given = bundle.unwrap_or(Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // What engines give is that already, and the kernel can tell.
    if let Some(path) =
        given.to_str().filter(|path| path.starts_with('/') && config::clean_path(path) == *path)
        && let Ok(directory) = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
    {
        return Ok((directory, path.to_owned()));
    }
    let directory = rustix::fs::open(given, flags, Mode::empty())
        .map_err(|errno| Error::call(format_args!("chdir {}", given.display()), errno))?;
    let path = real_path(&directory)?;
    Ok((directory, path))
}

/// `root.path`, made absolute.
pub(super) fn rootfs_path(bundle: &str, config: &Config) -> String {
    match config.root.path.strip_prefix('/') {
        Some(_) => config.root.path.clone(),
        None => format!("{bundle}/{}", config.root.path),
    }
}

/// The root file system, opened as a path.
///
/// Errors: it is not a directory, or a symlink leads to it, which could be led elsewhere later (runc refuses these too).
pub(super) fn check_rootfs(bundle: &OwnedFd, path: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(bundle, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(rootfs) => Ok(rootfs),
        Err(Errno::LOOP) => Err(Error::new("invalid rootfs: not an absolute path, or a symlink")),
        Err(errno) => Err(Error::call(format_args!("invalid rootfs: stat {path}"), errno)),
    }
}

/// The path behind an open directory.
fn real_path(directory: &OwnedFd) -> Result<String> {
    use std::os::fd::AsRawFd;

    let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let path = rustix::fs::readlink(&link, Vec::new())
        .map_err(|errno| Error::call(format_args!("readlink {link}"), errno))?;
    path.into_string().map_err(|_| Error::new("the bundle's path is not UTF-8"))
}
