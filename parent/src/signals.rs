//! Signals: those that a foreground `run` passes on to the container, and what becomes of our own.

use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use linux_raw_sys::general::{self as uapi, SIG_BLOCK, SIG_SETMASK};
use rustix::io::Errno;
use rustix::process::Signal;
use sc::syscall;

use crate::error::{Error, Kind, Result, check};

/// Bytes of the kernel's signal set.
const SIGNAL_SET_BYTES: usize = 8;

/// Signals are numbered from one to this; the last ones are real-time signals (signal(7)).
const SIGNAL_COUNT: i32 = u64::BITS as i32;

/// Bytes of struct signalfd_siginfo (signalfd(2)).
const RECORD_BYTES: usize = 128;

/// All signals, blocked and readable from a descriptor. Dropping it brings the old mask back.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
    _mask: Mask,
}

/// Signals that the calling thread has blocked beside those that were before. Dropping it brings the old mask back.
#[derive(Debug)]
pub struct Mask {
    old: u64,
    /// A mask is one thread's: on another one the old mask would be the wrong one.
    of_this_thread: PhantomData<*const ()>,
}

impl Mask {
    /// Blocks those that ask us to end: [`check_interrupted`] sees them.
    pub fn block_enders() -> Result<Self> {
        let enders = ENDERS.iter().fold(0, |set, (signal, _)| set | bit(signal.as_raw() as u32));
        Self::block(enders).map_err(|errno| Error::call("rt_sigprocmask", errno))
    }

    /// Of a set, what can be blocked.
    fn block(added: u64) -> std::result::Result<Self, Errno> {
        let mut old = 0u64;
        // SAFETY: both sets are of the size that is passed; the kernel reads the first and writes the second.
        let returned =
            unsafe { syscall!(RT_SIGPROCMASK, SIG_BLOCK, &raw const added, &raw mut old, SIGNAL_SET_BYTES) };
        check(returned).map(|()| Self { old, of_this_thread: PhantomData })
    }
}

impl Signals {
    /// Blocks every signal of the calling thread that can be blocked.
    pub fn block() -> Result<Self> {
        let failed = |errno: Errno| Error::call("signalfd", errno);
        let mask = Mask::block(u64::MAX).map_err(failed)?;
        let wanted = !ignored();
        // SAFETY: the set is of the size that is passed; -1 asks for a new descriptor.
        let returned = unsafe {
            syscall!(
                SIGNALFD4,
                -1i32,
                &raw const wanted,
                SIGNAL_SET_BYTES,
                uapi::O_CLOEXEC | uapi::O_NONBLOCK
            )
        };
        check(returned).map_err(failed)?;
        // SAFETY: the call succeeded: this is a new descriptor that nobody else has seen.
        let descriptor = unsafe { OwnedFd::from_raw_fd(returned as RawFd) };
        Ok(Self { descriptor, _mask: mask })
    }

    /// Sends every signal that has come to the process behind `pidfd`.
    pub fn forward(&self, pidfd: BorrowedFd<'_>) -> Forwarded {
        let mut forwarded = Forwarded::default();
        while let Some(number) = self.take() {
            if number == uapi::SIGWINCH {
                forwarded.resized = true;
                continue;
            }
            if ENDERS.iter().any(|(signal, _)| signal.as_raw() == number as i32) {
                forwarded.asks_to_end = Some(number as i32);
            }
            // Ignored: the program may just have ended.
            let _ = send_signal(pidfd, number as i32);
        }
        forwarded
    }

    /// Takes every signal that has come.
    ///
    /// Errors: one of them asks us to end; `when` completes "interrupted by SIGINT".
    pub fn take_ended(&self, when: &str) -> Result<()> {
        let taken = std::iter::from_fn(|| self.take()).fold(0, |set, number| set | bit(number));
        ended_by(taken, when)
    }

    /// The number of the next one.
    fn take(&self) -> Option<u32> {
        let mut record = [0u8; RECORD_BYTES];
        let is_whole = rustix::io::read(&self.descriptor, &mut record) == Ok(record.len());
        // The first field of struct signalfd_siginfo.
        is_whole.then(|| u32::from_ne_bytes([record[0], record[1], record[2], record[3]]))
    }
}

/// What the signals were that have been passed on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forwarded {
    /// Our terminal has another size now, which the program hears of from its own.
    pub resized: bool,
    /// The last of them that asks whoever gets it to end.
    pub asks_to_end: Option<i32>,
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the set is of the size that is passed. Ignored: a mask that was in force can be set again.
        let _ = unsafe {
            syscall!(
                RT_SIGPROCMASK,
                SIG_SETMASK,
                &raw const self.old,
                std::ptr::null::<u8>(),
                SIGNAL_SET_BYTES
            )
        };
    }
}

/// Between two looks whether we are asked to end.
pub const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// pidfd_send_signal(2) with any number: rustix has neither 0 nor the real-time signals.
pub fn send_signal(pidfd: BorrowedFd<'_>, number: i32) -> std::result::Result<(), Errno> {
    // SAFETY: numbers only; no signal information is passed.
    check(unsafe { syscall!(PIDFD_SEND_SIGNAL, pidfd.as_raw_fd(), number, std::ptr::null::<u8>(), 0usize) })
}

/// An error if a command was asked to end that has blocked the signal for that, and the program is not there yet.
pub fn check_interrupted() -> Result<()> {
    check_ended("before the program was started")
}

/// An error if one of the blocked signals asks us to end; `when` completes "interrupted by SIGINT".
pub fn check_ended(when: &str) -> Result<()> {
    let mut pending = 0u64;
    // SAFETY: the set is of the size that is passed; the kernel writes it.
    let returned = unsafe { syscall!(RT_SIGPENDING, &raw mut pending, SIGNAL_SET_BYTES) };
    check(returned).map_err(|errno| Error::call("rt_sigpending", errno))?;
    ended_by(pending, when)
}

/// Signals that ask us to end.
const ENDERS: [(Signal, &str); 4] =
    [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP"), (Signal::QUIT, "SIGQUIT")];

/// A signal in the kernel's set.
const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// The error if one of this set of signals asks us to end. What our caller has had us ignore does not, blocked or not (nohup).
fn ended_by(set: u64, when: &str) -> Result<()> {
    let asks = |signal: Signal| set & bit(signal.as_raw() as u32) != 0 && !is_ignored(signal);
    match ENDERS.iter().find(|(signal, _)| asks(*signal)) {
        None => Ok(()),
        Some((signal, name)) => {
            Err(Error::of_kind(Kind::Interrupted(signal.as_raw()), format!("interrupted by {name} {when}")))
        }
    }
}

fn is_ignored(signal: Signal) -> bool {
    // As long as the kernel's struct sigaction, which begins with the disposition.
    let mut action = [0u64; 4];
    // SAFETY: the kernel writes no more than `action` has room for, and reads nothing: no new disposition is set.
    let asked = unsafe {
        syscall!(RT_SIGACTION, signal.as_raw(), std::ptr::null::<u8>(), action.as_mut_ptr(), SIGNAL_SET_BYTES)
    };
    check(asked).is_ok() && action[0] == SIG_IGN
}

/// Blocks every signal that can be blocked for the calling thread: others of the process take them.
pub fn block_on_thread() {
    let all = u64::MAX;
    // SAFETY: the set is of the size that is passed; the kernel reads it. Ignored: a call with these arguments does not fail.
    let _ = unsafe {
        syscall!(RT_SIGPROCMASK, SIG_SETMASK, &raw const all, std::ptr::null::<u8>(), SIGNAL_SET_BYTES)
    };
}

/// Blocks no signal of the calling thread. Makes a system call and nothing else.
pub fn unblock_all() {
    let none = 0u64;
    // SAFETY: the set is of the size that is passed; the kernel reads it. Ignored: a call with these arguments does not fail.
    let _ = unsafe {
        syscall!(RT_SIGPROCMASK, SIG_SETMASK, &raw const none, std::ptr::null::<u8>(), SIGNAL_SET_BYTES)
    };
}

/// Gives a signal its default disposition, whatever our caller has left us.
pub fn reset(signal: Signal) -> Result<()> {
    dispose(signal.as_raw(), SIG_DFL).map_err(|errno| Error::call("rt_sigaction", errno))
}

/// Gives every signal its default disposition, the real-time ones too. Makes system calls and nothing else, since it runs between fork and
/// execve in a copy of a process that may have threads: whoever allocates there may wait for ever.
pub fn reset_all() {
    for number in 1..=SIGNAL_COUNT {
        // Ignored: SIGKILL and SIGSTOP have no other.
        let _ = dispose(number, SIG_DFL);
    }
}

/// Ignores a signal. What we execute gets the default disposition back: from the standard library, and from stage1.
pub fn ignore(signal: Signal) -> Result<()> {
    dispose(signal.as_raw(), SIG_IGN).map_err(|errno| Error::call("rt_sigaction", errno))
}

const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;

fn dispose(number: i32, disposition: u64) -> std::result::Result<(), Errno> {
    // The kernel's struct sigaction of both machines fits: the disposition, and zero for no flags.
    let action = [disposition, 0, 0, 0];
    // SAFETY: `action` is as long as the structure that the kernel reads, and no old one is asked for. No handler of ours is lost: there is none.
    let returned =
        unsafe { syscall!(RT_SIGACTION, number, action.as_ptr(), std::ptr::null::<u8>(), SIGNAL_SET_BYTES) };
    check(returned)
}

/// For programs whose process is the runtime's alone, before anything else. Our caller may ignore SIGCHLD, and then the kernel forgets how hooks
/// and helpers end; and a reader that went away must not end us half-way: SIGPIPE is ignored.
pub fn prepare_process() -> Result<()> {
    reset(Signal::CHILD)?;
    ignore(Signal::PIPE)
}

/// Signals that mean the runtime itself: its children, out-of-band data, and a reader of ours that went away.
fn ignored() -> u64 {
    [uapi::SIGCHLD, uapi::SIGURG, uapi::SIGPIPE].into_iter().map(bit).sum()
}
