//! How a process ended, asked by its pidfd.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus};
use sc::syscall;

use crate::error::{Error, Result, check};

/// The code of a process that SIGKILL has ended.
pub const KILLED: i32 = 128 + 9;

/// What is known of a process's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has not ended.
    Alive,
    /// Its exit code, or 128 and the signal that ended it.
    Code(i32),
    /// Whoever has waited for it knows more, and the kernel does not say it.
    Unknown,
}

/// Waits for the process behind `pidfd`, a child of ours: its exit code, or 128 and the signal. The child is gone then.
///
/// Errors: somebody else has waited for it, or nobody could, because SIGCHLD is ignored; and this kernel forgets.
pub fn exit_code(pidfd: BorrowedFd<'_>) -> Result<i32> {
    match wait(pidfd, WaitIdOptions::EXITED)? {
        Ending::Code(code) => Ok(code),
        Ending::Alive | Ending::Unknown => Err(Error::call("wait for the container", Errno::CHILD)),
    }
}

/// The same without waiting, for any process. A child that has ended is gone then.
pub fn look(pidfd: BorrowedFd<'_>) -> Result<Ending> {
    wait(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
}

/// The same, and leaves a child that has ended to whoever reaps it.
pub fn peek(pidfd: BorrowedFd<'_>) -> Result<Ending> {
    wait(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
}

fn wait(pidfd: BorrowedFd<'_>, options: WaitIdOptions) -> Result<Ending> {
    match rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd), options)) {
        Ok(Some(status)) => Ok(Ending::Code(code(&status))),
        Ok(None) => Ok(Ending::Alive),
        Err(Errno::CHILD) => Ok(match kept_by_kernel(pidfd) {
            Some(code) => Ending::Code(code),
            None if has_ended(pidfd) => Ending::Unknown,
            None => Ending::Alive,
        }),
        Err(errno) => Err(Error::call("wait for the container", errno)),
    }
}

fn code(status: &WaitIdStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    }
}

pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, Some(&now))).is_ok_and(|count| count > 0)
}

/// What the kernel keeps for every holder of a pidfd, once somebody has waited for the process.
///
/// Source: ioctl_pidfd(2), PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15.
fn kept_by_kernel(pidfd: BorrowedFd<'_>) -> Option<i32> {
    const WORDS: usize = 16;
    /// `_IOWR(0xFF, 11, struct pidfd_info)`; the structure's first version has 64 bytes.
    const PIDFD_GET_INFO: u32 = 0xC000_FF0B | ((WORDS * size_of::<u32>()) as u32) << 16;
    const PIDFD_INFO_EXIT: u32 = 1 << 3;
    /// In words of 32 bits: the mask's lower half, and wait(2)'s status at the end.
    const MASK: usize = 0;
    const STATUS: usize = WORDS - 1;

    let mut info = [0u32; WORDS];
    info[MASK] = PIDFD_INFO_EXIT;
    // SAFETY: the structure is as long as the request says; the kernel reads its mask and writes the rest.
    let asked = check(unsafe { syscall!(IOCTL, pidfd.as_raw_fd(), PIDFD_GET_INFO, info.as_mut_ptr()) });
    let status = info[STATUS];
    let is_known = asked.is_ok() && info[MASK] & PIDFD_INFO_EXIT != 0;
    is_known.then_some(match status & 0x7f {
        0 => (status >> 8 & 0xff) as i32,
        signal => 128 + signal as i32,
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::process::{Child, Command};

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    fn shell(script: &str) -> (Child, OwnedFd) {
        let child = Command::new("/bin/sh").args(["-c", script]).spawn().expect("a shell");
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("pidfd_open");
        (child, pidfd)
    }

    fn kernel() -> (u32, u32) {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
        let mut number = || numbers.next().and_then(std::result::Result::ok).unwrap_or(0);
        (number(), number())
    }

    #[test]
    fn a_child_is_asked_for_its_code_once_and_a_kernel_that_remembers_for_ever() {
        for (script, expected) in [("exit 3", 3), ("kill -9 $$", 137)] {
            let (_child, pidfd) = shell(script);
            assert_eq!(exit_code(pidfd.as_fd()).unwrap(), expected, "{script}");
            // A kernel remembers since Linux 6.15.
            let remembers = kernel() >= (6, 15);
            let again = if remembers { Ending::Code(expected) } else { Ending::Unknown };
            assert_eq!(look(pidfd.as_fd()).unwrap(), again, "{script}");
        }
    }

    #[test]
    fn who_lives_has_not_ended() {
        let (mut child, pidfd) = shell("exec sleep 100");
        assert_eq!(look(pidfd.as_fd()).unwrap(), Ending::Alive);
        child.kill().expect("kill");
        assert_eq!(exit_code(pidfd.as_fd()).unwrap(), 137);
    }
}
