//! Runs one command to its end and tells what it cost.

use std::ffi::{c_int, c_long};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io, ops};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Longer than any start takes; youki's `run` can hang for ever.
const LIMIT: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Wall time as the caller sees it; CPU time, user and system, of the command and all that it waited for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

/// Expects exit code 0; otherwise tells what the command wrote into `log`, which is its standard error.
pub(crate) fn cost_of(command: &mut Command, log: &std::path::Path) -> Result<Cost, String> {
    let begun = Instant::now();
    let child = command.spawn().map_err(|error| error.to_string())?;
    let pid = Pid::from_child(&child);
    let in_time = ends_in_time(pid);
    let (status, cpu) =
        reap(Some(pid), Wait::Blocking).map_err(|error| format!("wait4: {error}"))?.expect("it has ended");
    let wall = begun.elapsed();
    if !in_time {
        return Err(format!("did not end within {} s", LIMIT.tv_sec));
    }
    if status != 0 {
        let said = fs::read_to_string(log).unwrap_or_default();
        return Err(format!("wait status {status:#x}: {}", said.trim()));
    }
    Ok(Cost { wall, cpu })
}

/// Waits for an orphan that became ours (see `Host::prepare`); its CPU time.
pub(crate) fn wait_for_orphan(pid: i32) -> Result<Duration, String> {
    let pid = Pid::from_raw(pid).ok_or("the pid file holds no pid")?;
    let in_time = ends_in_time(pid);
    match reap(Some(pid), Wait::Blocking) {
        Ok(Some((_, cpu))) if in_time => Ok(cpu),
        Ok(_) => Err(format!("the container did not end within {} s", LIMIT.tv_sec)),
        Err(error) => Err(format!("wait for the container: {error}")),
    }
}

/// Collects whatever else a runtime has left to its caller to wait for.
pub(crate) fn reap_orphans() -> Duration {
    let mut sum = Duration::ZERO;
    while let Ok(Some((_, cpu))) = reap(None, Wait::NotBlocking) {
        sum += cpu;
    }
    sum
}

/// Sleeps until the process has ended; after the limit, ends it.
fn ends_in_time(pid: Pid) -> bool {
    // Ignored: a process that cannot be named any more has ended.
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let in_time = loop {
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&LIMIT)) {
            Err(rustix::io::Errno::INTR) => {}
            result => break result == Ok(1),
        }
    };
    if !in_time {
        // Ignored: it has ended in this very moment.
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
    in_time
}

#[derive(PartialEq)]
enum Wait {
    Blocking,
    NotBlocking,
}

/// Wait status and CPU time of `pid`, or of any child; None if none has ended yet.
fn reap(pid: Option<Pid>, wait: Wait) -> io::Result<Option<(c_int, Duration)>> {
    const WNOHANG: c_int = 1;
    let mut status = 0;
    let mut usage = ResourceUsage::default();
    let options = if wait == Wait::NotBlocking { WNOHANG } else { 0 };
    let pid = pid.map_or(-1, |pid| pid.as_raw_nonzero().get());
    // SAFETY: both pointers are to locals of the C types that wait4(2) documents, alive for the whole call.
    let found = unsafe { wait4(pid, &raw mut status, options, &raw mut usage) };
    match found {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        _ => Ok(Some((status, usage.user.duration() + usage.system.duration()))),
    }
}

#[derive(Default)]
#[repr(C)]
struct TimeValue {
    seconds: c_long,
    microseconds: c_long,
}

impl TimeValue {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.unsigned_abs())
            + Duration::from_micros(self.microseconds.unsigned_abs())
    }
}

/// `struct rusage`: getrusage(2).
#[derive(Default)]
#[repr(C)]
struct ResourceUsage {
    user: TimeValue,
    system: TimeValue,
    rest: [c_long; 14],
}

unsafe extern "C" {
    /// rustix has no wait that tells the CPU time.
    fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut ResourceUsage) -> c_int;
}
