//! A process in a container, known by its pidfd.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use smol::Async;

use crate::cgroup::send_signal;
use crate::ending::{self, Ending};
use crate::error::{Error, Kind, Result};

/// A process in a container. The handle never comes to mean another one.
///
/// One that this process has made is its child: [`wait`](Process::wait) reaps it, and dropping the last handle does if it has ended. One that still
/// runs then goes on, and is left to whoever waits for all children.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    /// `None`: it had ended before we looked.
    pidfd: Option<OwnedFd>,
    ending: Mutex<Ending>,
}

impl Process {
    pub(super) fn new(pid: i32, pidfd: Option<OwnedFd>) -> Self {
        let ending = if pidfd.is_some() { Ending::Alive } else { Ending::Unknown };
        Self { pid, pidfd, ending: Mutex::new(ending) }
    }

    /// Its id on the host.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for its end: the exit code, or 128 and the signal that ended it. May be called by many, again and again; a future that is dropped
    /// leaves nothing.
    ///
    /// `None`: only its parent can know, since it is no child of ours, or since this process ignores SIGCHLD or reaps all its children itself, and
    /// the kernel (before 6.15) does not tell.
    pub async fn wait(&self) -> Result<Option<i32>> {
        if let Some(pidfd) = &self.pidfd
            && self.look()? == Ending::Alive
        {
            let failed = |error| Error::io("wait for the process", &error);
            // A copy: others may wait as well, and a number can be watched once.
            let copy = pidfd.try_clone().map_err(failed)?;
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
        match self.pidfd.as_ref().map_or(Err(Errno::SRCH), |pidfd| send_signal(pidfd, signal)) {
            Err(Errno::SRCH) => Err(Error::of_kind(Kind::NotRunning, "process not running")),
            sent => sent.map_err(|errno| Error::call("unable to signal the process", errno)),
        }
    }

    /// How it has ended, if it has. A child is reaped.
    pub(super) fn look(&self) -> Result<Ending> {
        // A number is whole, whoever panicked.
        let mut known = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Ending::Alive, Some(pidfd)) = (*known, &self.pidfd) {
            *known = ending::look(pidfd.as_fd())?;
        }
        Ok(*known)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ignored: nobody asks any longer.
        let _ = self.look();
    }
}
