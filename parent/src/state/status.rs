//! Status, derived from the state directory and the kernel.

use std::fmt;
use std::os::fd::OwnedFd;

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
///
/// Source: proc_pid_stat(5), fields 3 and 22.
pub fn start_time(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_start_time(&text)
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
    fn our_own_start_time_is_found() {
        assert!(start_time(std::process::id() as i32).is_some());
    }
}
