//! The standard descriptors of the container's program.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, Result};

/// What a program's standard input, output and error are, if it has no terminal.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Stdio<'a> {
    /// Our own.
    #[default]
    Inherit,
    /// /dev/null, all three.
    Null,
    /// These, in the order of their numbers.
    Files([BorrowedFd<'a>; 3]),
}

/// Descriptors that take the standard ones' places in the child.
#[derive(Debug, Default)]
pub(super) struct Standard(Vec<OwnedFd>);

impl Standard {
    /// Whoever may look into the child must not find our caller's terminal: `is_hidden` asks for /dev/null instead of ours.
    pub(super) fn open(stdio: Stdio<'_>, is_hidden: bool) -> Result<Self> {
        match stdio {
            Stdio::Inherit if !is_hidden => Ok(Self::default()),
            Stdio::Files(files) if !is_hidden => {
                // Above the standard ones: none is overwritten before it was put into its place.
                let copies = files.iter().map(|file| rustix::io::fcntl_dupfd_cloexec(file, 3));
                let copies = copies.collect::<std::result::Result<_, _>>();
                copies.map(Self).map_err(|errno| Error::call("duplicate a standard descriptor", errno))
            }
            _ => rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                // As above, where our caller has left us without standard descriptors.
                .and_then(|null| match null.as_raw_fd() {
                    0..=2 => rustix::io::fcntl_dupfd_cloexec(&null, 3),
                    _ => Ok(null),
                })
                .map(|null| Self(vec![null]))
                .map_err(|errno| Error::call("open /dev/null", errno)),
        }
    }

    /// For each standard descriptor what it becomes; -1: it stays.
    pub(super) fn numbers(&self) -> [RawFd; 3] {
        match self.0.as_slice() {
            [input, output, error] => [input, output, error].map(AsRawFd::as_raw_fd),
            [all] => [all.as_raw_fd(); 3],
            _ => [-1; 3],
        }
    }
}
