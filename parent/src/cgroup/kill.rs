//! Signals to every process of a cgroup and of those below it.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::place::Directory;
use super::{files, freezer, processes_below};
use crate::error::{Error, Result};
use crate::signals::send_signal;

/// How often the list is read again for processes that were born meanwhile.
const ROUNDS_MAX: usize = 100;

/// Sends `signal`, and tells who got it, as far as that is known: the kernel's own way to kill all does not tell.
pub(super) fn signal_all(directory: &Directory, signal: i32) -> Result<BTreeSet<i32>> {
    let path = directory.absolute();
    let is_kill = signal == Signal::KILL.as_raw();
    if is_kill && directory.is_unified() {
        match files::write(&format!("{path}/cgroup.kill"), "1") {
            // Kernels before 5.14, and threaded cgroups.
            Err(Errno::NOENT | Errno::OPNOTSUPP) => {}
            killed => {
                let failed = |errno| Error::call(format_args!("write {path}/cgroup.kill"), errno);
                return killed.map(|()| BTreeSet::new()).map_err(failed);
            }
        }
    }
    // Frozen processes cannot fork away from the list that is being read. A paused container stays so, unless it is to end:
    // v1's frozen processes do not even die.
    let was_frozen = freezer::is_frozen(directory);
    let frozen = !was_frozen && freezer::ask(directory, true);
    let reached = signal_each(&path, signal);
    if is_kill {
        freezer::release(directory);
    } else if frozen {
        freezer::ask(directory, false);
    }
    Ok(reached)
}

fn signal_each(path: &str, signal: i32) -> BTreeSet<i32> {
    let mut reached = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let new: Vec<(i32, OwnedFd)> = processes_below(path)
            .into_iter()
            .filter(|pid| !reached.contains(pid))
            .filter_map(|pid| {
                Some((pid, rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?))
            })
            .collect();
        if new.is_empty() {
            break;
        }
        // A pid that came to mean somebody else before there was a handle is not in the list any more.
        let present = processes_below(path);
        for (pid, handle) in new.into_iter().filter(|(pid, _)| present.contains(pid)) {
            // Ignored: it has just ended.
            let _ = send_signal(handle.as_fd(), signal);
            reached.insert(pid);
        }
    }
    reached
}
