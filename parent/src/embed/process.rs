//! A process in a container, known by its pidfd.

use std::num::NonZeroI32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use smol::Async;

use super::reaper;
use crate::ending::{self, Ending};
use crate::error::{Error, Kind, Result};
use crate::signals::send_signal;

/// A process in a container. The handle never comes to mean another one.
///
/// One that this process has made is its child, and is reaped when it ends, whether somebody waits for it or not; its handle knows how it ended.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    who: Who,
}

#[derive(Debug)]
enum Who {
    /// What the reaper shares with us.
    Child(Arc<Child>),
    /// Somebody else's, or a child of ours that another handle has: not ours to reap.
    Other(OwnedFd),
    /// It had ended before we looked.
    Gone,
}

impl Process {
    /// A child of ours. It is killed if nobody could reap it.
    pub(super) fn child(pid: i32, pidfd: OwnedFd) -> Result<Self> {
        let child = Arc::new(Child { pidfd, ending: Mutex::new(Ending::Alive) });
        if let Err(error) = reaper::watch(&child) {
            // Ignored, both: the error is the one to tell.
            let _ = send_signal(child.pidfd(), rustix::process::Signal::KILL.as_raw());
            let _ = ending::exit_code(child.pidfd.as_fd());
            return Err(error);
        }
        Ok(Self { pid, who: Who::Child(child) })
    }

    /// One that is there, if it is.
    pub(super) fn found(pid: i32, pidfd: Option<OwnedFd>) -> Self {
        Self { pid, who: pidfd.map_or(Who::Gone, Who::Other) }
    }

    /// Its id on the host; `None` if it has ended.
    ///
    /// It may end at any moment, and its id be another process's soon after: to show it is safe, to act on it is not. What acts takes
    /// [`pidfd`](Process::pidfd), or is [`kill`](Process::kill).
    pub fn pid(&self) -> Option<NonZeroI32> {
        NonZeroI32::new(self.pid).filter(|_| self.look().is_ok_and(|ending| ending == Ending::Alive))
    }

    /// What means it and never another process, whatever becomes of it: pidfd_open(2). `None`: it had ended before there was a handle.
    ///
    /// Not to be waited for with waitid(2) if [`wait`](Process::wait) is to tell the exit code.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        match &self.who {
            Who::Child(child) => Some(child.pidfd()),
            Who::Other(pidfd) => Some(pidfd.as_fd()),
            Who::Gone => None,
        }
    }

    /// Waits for its end: the exit code, or 128 and the signal that ended it. May be called by many, again and again; a future that is dropped
    /// leaves nothing.
    ///
    /// `None`: only its parent can know, since it is no child of ours, or since this process ignores SIGCHLD or reaps all its children itself, and
    /// the kernel (before 6.15) does not tell. That of a container from [`open`](super::Container::open) is the handle's of `create` to know.
    pub async fn wait(&self) -> Result<Option<i32>> {
        if let Some(pidfd) = self.pidfd()
            && self.look()? == Ending::Alive
        {
            let failed = |error| Error::io("wait for the process", &error);
            // A copy: others may wait as well, and a number can be watched once.
            let copy = pidfd.try_clone_to_owned().map_err(failed)?;
            Async::new_nonblocking(copy).map_err(failed)?.readable().await.map_err(failed)?;
        }
        match self.look()? {
            Ending::Code(code) => Ok(Some(code)),
            Ending::Alive | Ending::Unknown => Ok(None),
        }
    }

    /// Sends it a signal, by number.
    ///
    /// Errors: it has ended.
    pub fn kill(&self, signal: i32) -> Result<()> {
        match self.pidfd().map_or(Err(Errno::SRCH), |pidfd| send_signal(pidfd, signal)) {
            Err(Errno::SRCH) => Err(Error::of_kind(Kind::NotRunning, "process not running")),
            sent => sent.map_err(|errno| Error::call("unable to signal the process", errno)),
        }
    }

    /// How it has ended, if it has. A child is reaped then.
    pub(super) fn look(&self) -> Result<Ending> {
        match &self.who {
            Who::Child(child) => child.look(),
            Who::Other(pidfd) => ending::peek(pidfd.as_fd()),
            Who::Gone => Ok(Ending::Unknown),
        }
    }
}

/// A child of this process.
#[derive(Debug)]
pub(super) struct Child {
    pidfd: OwnedFd,
    ending: Mutex<Ending>,
}

impl Child {
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// How it has ended, if it has. It is reaped then, and how it ended is kept for whoever asks later.
    pub(super) fn look(&self) -> Result<Ending> {
        // Poisoning is harmless: `Ending` is `Copy` and never half-written.
        let mut known = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == Ending::Alive {
            *known = ending::look(self.pidfd.as_fd())?;
        }
        Ok(*known)
    }
}
