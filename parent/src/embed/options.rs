//! What an embedder decides.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::blocking::{self, ManagerKind};
use crate::error::{Error, Result};

/// What a container is created with beside its bundle: the default, and then its fields.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The directory of all containers' states, which `pinnace --root` names as well; `None`: /run/pinnace, and for an ordinary user
    /// $XDG_RUNTIME_DIR/pinnace.
    pub root: Option<PathBuf>,
    /// The configuration's name in the bundle; `None`: config.json.
    pub config: Option<PathBuf>,
    /// Who makes the cgroups.
    pub cgroup_manager: ManagerKind,
    /// `NAME=VALUE`, for the program's environment beside that of the configuration.
    pub environment: Vec<String>,
    /// The program's standard descriptors, if it has no terminal.
    pub stdio: Stdio,
    /// The stream socket of whoever takes the master of the program's terminal, by SCM_RIGHTS, if it has one.
    pub console_socket: Option<PathBuf>,
}

/// What a program's standard input, output and error are.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Stdio {
    /// Those of this process.
    #[default]
    Inherit,
    /// /dev/null, all three.
    Null,
    /// These, in the order of their numbers.
    Files([OwnedFd; 3]),
}

impl Stdio {
    pub(super) fn borrow(&self) -> blocking::Stdio<'_> {
        match self {
            Stdio::Inherit => blocking::Stdio::Inherit,
            Stdio::Null => blocking::Stdio::Null,
            Stdio::Files(files) => blocking::Stdio::Files(files.each_ref().map(AsFd::as_fd)),
        }
    }
}

/// One more program for a container: [`Command::new`], and then its fields. What is not said is as for the container's first one.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Command {
    /// The program and its arguments.
    pub args: Vec<OsString>,
    /// `NAME=VALUE`, beside the container's own environment.
    pub environment: Vec<OsString>,
    /// The working directory, absolute.
    pub cwd: Option<PathBuf>,
    /// `UID[:GID]`.
    pub user: Option<String>,
    /// Names of capabilities to have beside the container's.
    pub capabilities: Vec<String>,
    /// The program gets a terminal of its own, whose master whoever listens at this stream socket takes, by SCM_RIGHTS.
    pub console_socket: Option<PathBuf>,
    /// Its id on the host is written to this file.
    pub pid_file: Option<PathBuf>,
    /// The program's standard descriptors.
    pub stdio: Stdio,
}

impl Command {
    /// A program with its arguments.
    pub fn new<S: Into<OsString>>(args: impl IntoIterator<Item = S>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Errors: a word that no program can get.
    pub(super) fn check(&self) -> Result<()> {
        let lists = [("args", &self.args), ("environment", &self.environment)];
        for (name, list) in lists {
            if let Some(index) = list.iter().position(|word| has_nul(word)) {
                return Err(Error::new(format!("{name}[{index}]: it has a NUL")));
            }
        }
        let (cwd, user) = (self.cwd.as_deref().map(Path::as_os_str), self.user.as_deref().map(OsStr::new));
        match [cwd, user].into_iter().flatten().find(|word| has_nul(word)) {
            Some(word) => Err(Error::new(format!("{word:?}: it has a NUL"))),
            None => Ok(()),
        }
    }
}

fn has_nul(word: &OsStr) -> bool {
    word.as_bytes().contains(&0)
}
