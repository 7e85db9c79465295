//! Reads config.json. The only file of `config` that does.
//!
//! A file without fault is parsed once, into oci-spec's types, and glanced over for what these do not tell. Only one with a fault is
//! looked at slowly.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};

use super::{Config, check, faults, shape};
use crate::error::{Error, Result};

/// Bytes of the largest file that is read: arguments and environment may have 6 MiB, and JSON may escape each byte of them.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Reads and checks the config.json in an open bundle directory.
pub fn load(bundle: BorrowedFd<'_>) -> Result<Config> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file =
        rustix::fs::openat(bundle, "config.json", flags, Mode::empty()).map_err(|errno| match errno {
            rustix::io::Errno::NOENT => Error::new("JSON specification file config.json not found"),
            errno => Error::call("open config.json", errno),
        })?;
    let size = rustix::fs::fstat(&file).map_err(|errno| Error::call("stat config.json", errno))?.st_size;
    let mut text = Vec::with_capacity(usize::try_from(size).unwrap_or(0).min(FILE_BYTES_MAX as usize) + 1);
    File::from(file)
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|error| Error::io("read config.json", &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::new(format!("config.json is larger than {FILE_BYTES_MAX} bytes")));
    }
    parse(&text)
}

/// The configuration in `text`, with every problem of it if there is one.
fn parse(text: &[u8]) -> Result<Config> {
    match serde_json::from_slice::<Spec>(text) {
        Ok(spec) if shape::is_ordinary(text) => check(&spec).map_err(Error::from),
        _ => faults::parse(text),
    }
}

#[cfg(test)]
mod tests;
