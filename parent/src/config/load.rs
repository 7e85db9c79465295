//! Reads config.json. The only file of `config` that does.
//!
//! A file without fault is parsed once, into oci-spec's types, and glanced over for what these do not tell. Only one with a fault is
//! looked at slowly.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::de::IgnoredAny;

use super::problems::Refusal;
use super::{Config, IsOwn, Mount, Process, check, faults, shape};
use crate::descriptors::spend;
use crate::error::{Error, Result};

/// Bytes of the largest file that is read: arguments and environment may have 6 MiB, and JSON may escape each byte of them.
const FILE_BYTES_MAX: usize = 64 << 20;

/// Bytes that are asked for at a time where the size is not known.
const READ_BYTES: usize = 64 << 10;

/// Reads and checks the config.json in an open bundle directory, by this name if it has another.
pub fn load(bundle: BorrowedFd<'_>, name: &Path, is_own: IsOwn<'_>) -> Result<Box<Config>> {
    examine(bundle, name, is_own).map_err(Error::from)
}

/// The same, with the problems one by one.
pub fn examine(
    bundle: BorrowedFd<'_>,
    name: &Path,
    is_own: IsOwn<'_>,
) -> std::result::Result<Box<Config>, Refusal> {
    read_file(bundle, name).map_err(Refusal::Unreadable).and_then(|text| examine_text(&text, is_own))
}

fn read_file(bundle: BorrowedFd<'_>, name: &Path) -> Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = rustix::fs::openat(bundle, name, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT => Error::new(format!("JSON specification file {} not found", name.display())),
        errno => Error::call(format_args!("open {}", name.display()), errno),
    })?;
    let size = rustix::fs::fstat(&file).map_err(|errno| Error::call("stat config.json", errno))?.st_size;
    let size = usize::try_from(size).unwrap_or(0).min(FILE_BYTES_MAX);
    let text = read(&file, size).map_err(|errno| Error::call("read config.json", errno))?;
    spend(file);
    if text.len() > FILE_BYTES_MAX {
        return Err(Error::new(format!("config.json is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Reads a file with a `process` object alone, perhaps a pipe whose writer is still to come.
pub fn read_process(path: &Path) -> Result<Vec<u8>> {
    let failed = |errno| Error::call(format_args!("open {}", path.display()), errno);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let text = read(&file, 0).map_err(failed)?;
    if text.len() > FILE_BYTES_MAX {
        return Err(Error::new(format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display())));
    }
    Ok(text)
}

/// Checks a list of mounts alone, as `$.mounts` of a config.json; and warnings.
pub fn parse_mounts(text: &[u8]) -> Result<(Vec<Mount>, Vec<String>)> {
    let config = parse_part("mounts", text)?;
    Ok((config.mounts, config.warnings))
}

/// The destinations in such a list, of which nothing else is looked at.
pub fn parse_destinations(text: &[u8]) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    #[serde(expecting = "a mount with its destination")]
    struct Place {
        destination: String,
    }
    let places: Vec<Place> =
        serde_json::from_slice(text).map_err(|error| Error::new(format!("mounts: {error}")))?;
    Ok(places.iter().map(|place| check::clean(&place.destination)).collect())
}

/// Checks a `process` object alone, as in a config.json that has nothing else; and warnings.
pub fn parse_process(text: &[u8]) -> Result<(Process, Vec<String>)> {
    let config = parse_part("process", text)?;
    Ok((config.process, config.warnings))
}

/// A config.json in which nothing stands but this value at `key`.
fn parse_part(key: &str, text: &[u8]) -> Result<Box<Config>> {
    // One value, so that nothing in it gets out of its place below.
    serde_json::from_slice::<IgnoredAny>(text)
        .map_err(|error| Error::new(format!("{key} is not valid JSON: {error}")))?;
    // Left out it would be, and might be missed only where it is used.
    if text.trim_ascii() == b"null" {
        return Err(Error::new(format!("$.{key}: must not be null")));
    }
    let start = format!(
        r#"{{"ociVersion":"1.3.0","root":{{"path":"/"}},"linux":{{"namespaces":[{{"type":"mount"}}]}},"{key}":"#
    );
    examine_text(&[start.as_bytes(), text, b"}"].concat(), &|_, _| false).map_err(|refusal| match refusal {
        Refusal::Unreadable(error) => error,
        Refusal::Problems(problems) => Error::new(match problems.0.as_slice() {
            [problem] => problem.to_string(),
            _ => problems.counted(key),
        }),
    })
}

/// Everything in the file, up to one byte more than may be. `size` is what is expected.
fn read(file: &OwnedFd, size: usize) -> rustix::io::Result<Vec<u8>> {
    // One byte more shows in one call that the file ends there.
    let mut text = Vec::with_capacity(size + 1);
    while text.len() <= FILE_BYTES_MAX {
        if text.len() == text.capacity() {
            text.reserve(READ_BYTES);
        }
        let free = text.capacity() - text.len();
        match rustix::io::read(file, rustix::buffer::spare_capacity(&mut text)) {
            Ok(0) => break,
            // Only a regular file tells its size; a pipe may have more.
            Ok(count) if count < free && size > 0 && text.len() >= size => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(text)
}

/// The configuration in `text`, with every problem of it if there is one.
fn examine_text(text: &[u8], is_own: IsOwn<'_>) -> std::result::Result<Box<Config>, Refusal> {
    match &serde_json::from_slice::<Spec>(text) {
        Ok(spec) if shape::is_ordinary(text) => check(spec, is_own).map_err(Refusal::Problems),
        _ => faults::parse(text, is_own),
    }
}

/// Like `examine_text`, but folds all problems into one error and treats no namespace as our own.
pub fn parse(text: &[u8]) -> Result<Box<Config>> {
    examine_text(text, &|_, _| false).map_err(Error::from)
}

#[cfg(test)]
mod tests;
