//! The thread that reaps this process's children in containers.
//!
//! A child that has ended and that nobody has reaped stays in its container's pid namespace, and the first process of that does not end before
//! it is gone (pid_namespaces(7)): who waits for the container, or deletes it, would wait for ever.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use smol::{Async, Executor};

use super::process::Child;
use crate::error::{Error, Result};
use crate::signals;

static WATCHES: Executor<'_> = Executor::new();
static HAS_BEGUN: Mutex<bool> = Mutex::new(false);

/// Begins the thread, once for all. Called before a child is made, which could not be left alone afterwards.
///
/// Errors: the host has no more threads to give.
pub(super) fn begin() -> Result<()> {
    let mut has_begun = HAS_BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    if !*has_begun {
        let reap = || {
            signals::block_on_thread();
            smol::block_on(WATCHES.run(std::future::pending::<()>()));
        };
        let begun = Builder::new().name(String::from("pinnace-reaper")).spawn(reap);
        begun.map_err(|error| Error::io("start a thread", &error))?;
        *has_begun = true;
    }
    Ok(())
}

/// Begins async-io's own thread, if it is not there, from a thread that blocks all signals: it inherits that. Whoever polls a future of ours for the
/// first time would begin it otherwise, with a mask that is the host's.
pub(super) fn begin_reactor() {
    smol::block_on(std::future::ready(()));
}

/// Reaps the child as soon as it ends, whoever else waits for it or has let go of it.
///
/// Errors: the reactor does not take its pidfd.
pub(super) fn watch(child: &Arc<Child>) -> Result<()> {
    let failed = |error| Error::io("wait for the process", &error);
    let watched = Async::new_nonblocking(Watched(Arc::clone(child))).map_err(failed)?;
    let reap = async move {
        // Ignored, both: nobody is here to be told, and whoever waits for the child is told anyhow.
        let _ = watched.readable().await;
        let _ = watched.get_ref().0.look();
    };
    WATCHES.spawn(reap).detach();
    Ok(())
}

struct Watched(Arc<Child>);

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.pidfd()
    }
}
