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
        } else if self.awaits_start() {
            Status::Created
        } else if is_frozen() {
            Status::Paused
        } else {
            Status::Running
        })
    }
}

/// When the process began, in clock ticks after boot; `None` if it is gone or has ended (a zombie).
fn start_time(pid: i32) -> Option<u64> {
    ProcessFacts::read(pid).map(|facts| facts.start_time)
}

/// What /proc/PID/stat says of a living process, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Clock ticks after boot.
    pub start_time: u64,
    /// Bit N-1 is signal N; the real-time signals are not among them.
    pub ignored_signals: u32,
}

impl ProcessFacts {
    /// `None` if the process is gone or has ended (a zombie).
    ///
    /// Source: proc_pid_stat(5), fields 3, 22 and 33.
    pub fn read(pid: i32) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(format!("/proc/{pid}/stat"), flags, Mode::empty()).ok()?;
        // Fifty numbers and a name: one read is enough.
        let mut text = [0; 2048];
        let bytes = rustix::io::read(&file, &mut text).ok()?;
        Self::parse(&String::from_utf8_lossy(&text[..bytes]))
    }

    /// The name in field 2 may hold blanks and parentheses; the fields that follow its last `)` do not.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
        let process_state = fields.next()?;
        if matches!(process_state, "Z" | "X" | "x") {
            return None;
        }
        let start_time = fields.nth(18)?.parse().ok()?;
        let ignored_signals = fields.nth(10)?.parse::<u64>().ok()? as u32;
        Some(Self { start_time, ignored_signals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_whatever_the_name() {
        let numbers = |from: u32, to: u32| (from..=to).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let rest = format!("{} 4711 {} 4096 34", numbers(4, 21), numbers(23, 32));
        let facts = ProcessFacts { start_time: 4711, ignored_signals: 4096 };
        assert_eq!(ProcessFacts::parse(&format!("7 (a) b) S {rest}")), Some(facts));
        assert_eq!(ProcessFacts::parse(&format!("7 (a) Z {rest}")), None);
        assert_eq!(ProcessFacts::parse("7 (a"), None);
    }

    #[test]
    fn our_own_start_time_is_found() {
        assert!(start_time(std::process::id() as i32).is_some());
    }
}
