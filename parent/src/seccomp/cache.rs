//! Compiled profiles on disk: `DIRECTORY/KEY` holds the digest of key and program, and then the program.
//!
//! What is not exactly as we write it is not there: another owner, a mode that lets others write, a digest that does not fit. Nothing here
//! fails a start: without a cache the profile is compiled.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use shared_proto::limits::{FILTER_INSTRUCTION_BYTES, FILTER_INSTRUCTION_COUNT_MAX};

use super::key::Key;

const DIGEST_BYTES: usize = 32;

/// Bytes of the largest file.
const FILE_BYTES_MAX: usize = DIGEST_BYTES + FILTER_INSTRUCTION_COUNT_MAX * FILTER_INSTRUCTION_BYTES;

/// Profiles that are kept. A host has a handful; one that makes a new profile for each container must not fill its memory.
const FILE_COUNT_MAX: usize = 128;

/// The program that was stored under `key`.
pub(super) fn load(directory: &Path, key: &Key) -> Option<Vec<u8>> {
    let directory = open_directory(directory)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::openat(&directory, name(key), flags, Mode::empty()).ok()?;
    let size = usize::try_from(private(&file, FileType::RegularFile)?).ok()?;
    if size > FILE_BYTES_MAX {
        return None;
    }
    let mut content = Vec::with_capacity(size + 1);
    let read = rustix::io::read(&file, rustix::buffer::spare_capacity(&mut content)).ok()?;
    let (stored, program) = content.split_at_checked(DIGEST_BYTES)?;
    let is_whole =
        read == size && !program.is_empty() && program.len().is_multiple_of(FILTER_INSTRUCTION_BYTES);
    (is_whole && stored == digest(key, program)).then(|| program.to_vec())
}

/// Stores a program under `key`. Another process or thread may do the same: whoever is last leaves the same bytes.
pub(super) fn store(directory: &Path, key: &Key, program: &[u8]) {
    let Some(directory) = open_directory(directory).or_else(|| make_directory(directory)) else { return };
    if is_full(&directory) {
        clear(&directory);
    }
    let name = name(key);
    let temporary = format!("{name}.{}", rustix::thread::gettid().as_raw_nonzero());
    let content = [&digest(key, program)[..], program].concat();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let written = rustix::fs::openat(&directory, &temporary, flags, Mode::RUSR | Mode::WUSR)
        .and_then(|file| match rustix::io::write(&file, &content)? {
            written if written == content.len() => Ok(()),
            _ => Err(Errno::NOSPC),
        })
        .and_then(|()| rustix::fs::renameat(&directory, &temporary, &directory, &name));
    if written.is_err() {
        // Ignored: what stays behind is not under the name of any key.
        let _ = rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty());
    }
}

/// Hexadecimal digits.
fn name(key: &Key) -> String {
    key.iter().fold(String::with_capacity(2 * key.len()), |mut name, byte| {
        // Ignored: writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

fn digest(key: &Key, program: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new().chain_update(key).chain_update(program).finalize().into()
}

fn open_directory(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let directory = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    private(&directory, FileType::Directory)?;
    Some(directory)
}

fn make_directory(path: &Path) -> Option<OwnedFd> {
    // Ignored: where it cannot be made, it cannot be opened.
    let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    open_directory(path)
}

/// The size of what is ours, and nobody else's to read or write.
fn private(file: &OwnedFd, kind: FileType) -> Option<i64> {
    let stat = rustix::fs::fstat(file).ok()?;
    let is_private = FileType::from_raw_mode(stat.st_mode) == kind
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_mode & 0o077 == 0;
    is_private.then_some(stat.st_size)
}

fn is_full(directory: &OwnedFd) -> bool {
    Dir::read_from(directory).is_ok_and(|entries| entries.count() > FILE_COUNT_MAX)
}

/// Starts anew: cheaper than to know what is still in use, and as rare as a profile that nobody had before.
fn clear(directory: &OwnedFd) {
    for entry in Dir::read_from(directory).into_iter().flatten().flatten() {
        // Ignored: the two directories are no files, and what another process was quicker with is gone.
        let _ = rustix::fs::unlinkat(directory, entry.file_name(), AtFlags::empty());
    }
}
