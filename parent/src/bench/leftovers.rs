//! What a bench has left that was killed: containers, and its two directories. They are told of, and left alone: whose they are cannot be known
//! for certain, and a runtime would have to be trusted by its name.

use std::fs;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};

/// What should be said of the directories in `base` that bear `name` and a number, and whose bench has ended. One that lives holds its directories
/// locked, in whatever pid namespace it is.
pub fn find(base: &Path, name: &str) -> Vec<String> {
    let is_left = |path: &Path| {
        let number = path.file_name().and_then(|own| own.to_str()?.strip_prefix(name)?.strip_prefix('-'));
        // A container may have such a name; its directory has its record.
        number.is_some_and(|number| number.parse::<u32>().is_ok())
            && !path.join("record.json").exists()
            && !is_locked(path)
    };
    let entries = fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .filter(|path| is_left(path))
        .map(|path| {
            format!("{}: a bench that was killed has left this, and perhaps containers", path.display())
        })
        .collect()
}

/// Whoever cannot look takes it for locked.
fn is_locked(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .and_then(|directory| rustix::fs::flock(&directory, FlockOperation::NonBlockingLockShared))
        .is_err()
}
