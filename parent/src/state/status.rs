//! Status, derived from the state directory and the kernel.

use std::fmt;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Init, StateDirectory};
use crate::error::Result;

/// The words of the runtime-spec, and `paused` as all runtimes have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        })
    }
}

impl Init {
    /// A handle to the init process, if it still lives. The handle cannot come to mean another process.
    pub fn handle(&self) -> Option<OwnedFd> {
        let handle = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Looked at after the handle was taken: if it is our process now, the handle means it.
        (start_time(self.pid) == Some(self.start_time)).then_some(handle)
    }
}

impl StateDirectory {
    /// The container's status. `is_frozen` is asked only where it matters.
    pub fn status(&self, init: Option<&Init>, is_frozen: impl FnOnce() -> bool) -> Result<Status> {
        let Some(init) = init else { return Ok(Status::Creating) };
        Ok(if init.handle().is_none() {
            Status::Stopped
        } else if is_frozen() {
            Status::Paused
        } else if self.awaits_start() {
            Status::Created
        } else {
            Status::Running
        })
    }
}

/// When the process began, in clock ticks after boot; `None` if it is gone or has ended (a zombie).
fn start_time(pid: i32) -> Option<u64> {
    parse_start_time(&read_proc(pid, "stat")?)
}

/// What /proc/PID/stat says of a living process, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Clock ticks after boot.
    pub start_time: u64,
    /// Bit N-1 is signal N.
    pub ignored_signals: u64,
}

impl ProcessFacts {
    /// `None` if the process is gone or has ended (a zombie).
    ///
    /// Source: proc_pid_stat(5), fields 3 and 22; proc_pid_status(5), whose masks have the real-time signals as well.
    pub fn read(pid: i32) -> Option<Self> {
        let start_time = parse_start_time(&read_proc(pid, "stat")?)?;
        let ignored_signals = parse_ignored_signals(&read_proc(pid, "status")?)?;
        Some(Self { start_time, ignored_signals })
    }
}

/// The signals that we ignore, as our caller has left it to us; bit N-1 is signal N. None where /proc does not say it.
pub fn own_ignored_signals() -> u64 {
    let pid = std::process::id() as i32;
    read_proc(pid, "status").and_then(|text| parse_ignored_signals(&text)).unwrap_or(0)
}

/// A file of /proc/PID whose text is short: one read is enough.
fn read_proc(pid: i32, name: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(format!("/proc/{pid}/{name}"), flags, Mode::empty()).ok()?;
    let mut text = [0; 4096];
    let bytes = rustix::io::read(&file, &mut text).ok()?;
    Some(String::from_utf8_lossy(&text[..bytes]).into_owned())
}

/// The name in field 2 may hold blanks and parentheses; the fields that follow its last `)` do not.
fn parse_start_time(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let process_state = fields.next()?;
    if matches!(process_state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn parse_ignored_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_field_22_whatever_the_name() {
        let rest = (4..22).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(parse_start_time(&format!("7 (a) b) S {rest} 4711 23")), Some(4711));
        assert_eq!(parse_start_time(&format!("7 (a) Z {rest} 4711 23")), None);
        assert_eq!(parse_start_time("7 (a"), None);
    }

    #[test]
    fn ignored_signals_are_a_mask() {
        assert_eq!(parse_ignored_signals("Name:\tx\nSigIgn:\t0000000100001000\n"), Some(0x1_0000_1000));
    }

    #[test]
    fn our_own_facts_are_found() {
        assert!(ProcessFacts::read(std::process::id() as i32).is_some());
    }
}
