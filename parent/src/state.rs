//! What is kept of a container between two commands: a directory below the state root.
//!
//! ```text
//! ROOT/ID/            0700, its making is what makes an id exclusive; its flock serialises commands that change
//!   record.json       what was asked for; written before the child exists
//!   init.json         who the child is, and on a second line what `exec` needs; written once it exists
//!   start.sock        while the container is created: stage1 listens here for `start`
//! ```
//! `ROOT/@seccomp/` holds compiled seccomp profiles, for all containers.
//!
//! Status is derived from these and the kernel, never stored. Reading takes no lock.

mod directory;
mod pid_file;
mod record;
mod status;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

pub use directory::StateDirectory;
pub use pid_file::PidFile;
pub use record::{AddedMount, Init, Record, SeccompListener, View};
pub use status::{Inherited, Status};

use crate::error::{Error, Kind, Result};

const RECORD: &str = "record.json";
const INIT: &str = "init.json";

/// Bytes that are asked for at first.
const READ_BYTES: usize = 4 << 10;
/// The socket's name, for those who listen and those who call.
pub const START_SOCKET: &str = "start.sock";
/// The directory of the socket at which the container says that it is ready; the container sees it.
const NOTIFY: &str = "notify";
/// Behind the name of a file that is being written.
const NEW: &str = ".new";
/// Every name that a container's directory may hold: `delete` removes these and nothing else.
const NAMES: [&str; 6] = [RECORD, INIT, START_SOCKET, "record.json.new", "init.json.new", NOTIFY];

/// The directory of all containers.
#[derive(Clone, Debug)]
pub struct StateRoot {
    path: PathBuf,
}

impl StateRoot {
    /// The directory given, or the default: /run/pinnace, and for an ordinary user $XDG_RUNTIME_DIR/pinnace.
    pub fn new(given: Option<&Path>) -> Result<Self> {
        let path = match given {
            Some(path) if is_host_root(path) => {
                return Err(Error::new("Option --root argument should not be set to /"));
            }
            Some(path) => path.to_owned(),
            None => default_root()?,
        };
        Ok(Self { path })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the directory with a container's socket for its readiness will be.
    ///
    /// Errors: the path cannot stand in a configuration.
    pub fn notify_path(&self, id: &str) -> Result<String> {
        let failed =
            |reason: &dyn std::fmt::Display| Error::new(format!("{}: {reason}", self.path.display()));
        let root = std::path::absolute(&self.path).map_err(|error| failed(&error))?;
        let path = root.join(id).join(NOTIFY).into_os_string();
        path.into_string().map_err(|_| failed(&"not UTF-8"))
    }

    /// Where compiled seccomp profiles are kept: a name that no container can have.
    pub fn seccomp_cache(&self) -> PathBuf {
        self.path.join("@seccomp")
    }

    /// Makes the directory, and claims `id`, which `check_id` has passed, by the record in it. Other commands are kept out.
    ///
    /// Errors: the id is taken.
    pub fn create(&self, id: &str, record: &Record) -> Result<StateDirectory> {
        let path = self.path.join(id);
        for _ in 0..CLAIM_TRIES_MAX {
            self.make_directory(&path)?;
            match claim(&path, record) {
                // Before we had the lock, a `delete` took the directory for one that a creation had left: begin anew.
                Err(error) if error.kind() == Kind::NoSuchContainer => {}
                claimed => return claimed,
            }
        }
        Err(Error::new(format!("claim {}: it is deleted again and again", path.display())))
    }

    fn make_directory(&self, path: &Path) -> Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        let made = match builder.create(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let make_root = builder.recursive(true).create(&self.path);
                make_root
                    // Whatever our umask is.
                    .and_then(|()| fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700)))
                    .map_err(|error| Error::io(format_args!("mkdir {}", self.path.display()), &error))?;
                builder.recursive(false).create(path)
            }
            made => made,
        };
        match made {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(id_is_taken()),
            Err(error) => Err(Error::io(format_args!("mkdir {}", path.display()), &error)),
        }
    }

    /// The directory of an existing container.
    ///
    /// Errors: there is none; no container can have that id.
    pub fn open(&self, id: &str) -> Result<StateDirectory> {
        check_id(id)?;
        StateDirectory::open_at(self.path.join(id))
    }

    /// Whether this is a container's id.
    pub fn has(&self, id: &str) -> bool {
        self.open(id).is_ok_and(|directory| directory.has(RECORD))
    }

    /// The ids of all containers, sorted. A default root that is missing holds none.
    pub fn ids(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && default_root().is_ok_and(|root| root == self.path) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(Error::io(format_args!("open {}", self.path.display()), &error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            // A list that ends too early looks whole.
            let entry =
                entry.map_err(|error| Error::io(format_args!("read {}", self.path.display()), &error))?;
            // What is not an id, nor even a text, is not a container's.
            ids.extend(entry.file_name().into_string().ok().filter(|name| check_id(name).is_ok()));
        }
        ids.sort();
        Ok(ids)
    }
}

/// Locks a new directory and writes the record into it: whoever does that first owns the id.
fn claim(path: &Path, record: &Record) -> Result<StateDirectory> {
    // Ignored, as below: somebody else's is not empty, or found to be deleted.
    let directory = StateDirectory::open_at(path.to_owned()).inspect_err(|_| {
        let _ = rustix::fs::rmdir(path);
    })?;
    directory.wait_for_lock()?;
    match directory.write_first_record(record) {
        Ok(()) => Ok(directory),
        Err(Unclaimed::Deleted) => Err(no_such_container()),
        Err(Unclaimed::Taken) => Err(id_is_taken()),
        Err(Unclaimed::Failed(error)) => {
            // Ignored: the first error is the one to tell; an empty directory keeps nothing but the id.
            let _ = directory.remove();
            Err(error)
        }
    }
}

/// Why a record could not be the first.
enum Unclaimed {
    /// The directory is gone: nothing can be made in it.
    Deleted,
    /// Somebody else's record is there.
    Taken,
    Failed(Error),
}

/// How often a directory may be deleted between its making and its lock.
const CLAIM_TRIES_MAX: usize = 100;

fn id_is_taken() -> Error {
    Error::of_kind(Kind::AlreadyExists, "container with given ID already exists")
}

fn default_root() -> Result<PathBuf> {
    // The root of another user namespace cannot write where the host's can.
    let is_host_root = || {
        crate::host::is_initial_user_namespace()
            || std::env::var_os("USER").is_some_and(|user| user == "root")
    };
    let has_runtime_directory = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|path| !path.is_empty());
    if rustix::process::geteuid().is_root() && (!has_runtime_directory || is_host_root()) {
        return Ok(PathBuf::from("/run/pinnace"));
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if !directory.is_empty() => Ok(Path::new(&directory).join("pinnace")),
        _ => Err(Error::new("XDG_RUNTIME_DIR is not set: name a state directory with --root")),
    }
}

/// Whether the text means `/`, whatever `.` and `..` are in it.
fn is_host_root(path: &Path) -> bool {
    let mut depth = 0usize;
    if path.is_relative() {
        if !path.components().any(|part| part == Component::ParentDir) {
            return false;
        }
        depth = std::env::current_dir().map_or(usize::MAX, |current| current.components().count() - 1);
    }
    for part in path.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth = depth.saturating_sub(1),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    depth == 0
}

/// NAME_MAX of Linux: an id is the name of a directory.
const ID_BYTES_MAX: usize = 255;

/// Letters, digits, `_`, `+`, `-`, `.`; not `.` or `..`. As runc's, so that engines' ids pass.
pub fn check_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::new("container id cannot be empty"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if id == "." || id == ".." || !id.bytes().all(allowed) {
        return Err(Error::new("invalid container ID format"));
    }
    if id.len() > ID_BYTES_MAX {
        return Err(Error::new(format!("invalid container ID format: longer than {ID_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn no_such_container() -> Error {
    Error::of_kind(Kind::NoSuchContainer, "container does not exist")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_root_is_known_however_it_is_written() {
        for root in ["/", "//", "/.", "/run/..", "../../../../../../../../../../../../.."] {
            assert!(is_host_root(Path::new(root)), "{root}");
        }
        for directory in ["/run", "/run/../x", "x", "./x"] {
            assert!(!is_host_root(Path::new(directory)), "{directory}");
        }
    }

    #[test]
    fn ids_are_those_of_runc() {
        for good in ["a", "A-1_b.c+d", ".hidden", "0123"] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\n"] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
        assert!(check_id(&"x".repeat(255)).is_ok());
        let error = check_id(&"x".repeat(256)).unwrap_err().to_string();
        assert_eq!(error, "invalid container ID format: longer than 255 bytes");
    }
}
