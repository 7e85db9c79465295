//! Signals to a container, by pidfd: a pid that has come to mean somebody else is never hit.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::process::Signal;

use super::Container;
use crate::error::{Error, Kind, Result};
use crate::signals::send_signal;

/// The last real-time signal.
const SIGNAL_MAX: i32 = 64;

/// Sends a signal number to the init process; 0 only asks whether it lives.
///
/// Errors: `container not running`, which engines compare.
pub fn kill(container: &Container, signal: i32) -> Result<()> {
    let Some(handle) = container.init_handle()? else {
        return Err(not_running());
    };
    // A first process that waits for its start has no handler, and the kernel keeps the first process of a pid namespace from default actions.
    // What would end a process ends it all the same, as it does runc's.
    let waits = container.init.as_ref().is_some_and(|init| container.directory.awaits_start(init));
    let signal = if waits && ends_by_default(signal) { Signal::KILL.as_raw() } else { signal };
    if !container.record.own_pid_namespace && signal == Signal::KILL.as_raw() {
        // Without a pid namespace nobody ends with init: all must be reached.
        container.cgroups().kill_all()?;
    }
    let sent = send_signal(handle.as_fd(), signal);
    if signal == Signal::KILL.as_raw() {
        // A frozen process does not even die (runc thaws it as well).
        container.cgroups().thaw();
    }
    match sent {
        Ok(()) => Ok(()),
        Err(Errno::SRCH) => Err(not_running()),
        Err(errno) => Err(Error::call("unable to signal init", errno)),
    }
}

/// Sends a signal to every process in the container's cgroups, once; a container that has ended is a success.
pub fn kill_all(container: &Container, signal: i32) -> Result<()> {
    if !(0..=SIGNAL_MAX).contains(&signal) {
        // The kernel says what is wrong with it.
        return kill(container, signal);
    }
    let reached = container.cgroups().kill(signal)?;
    if container.init.as_ref().is_some_and(|init| reached.contains(&init.pid)) {
        return Ok(());
    }
    // There are no cgroups, or the kernel killed all without telling whom.
    match kill(container, signal) {
        Err(error) if error.kind() == Kind::NotRunning => Ok(()),
        killed => killed,
    }
}

/// signal(7): "Term" and "Core".
fn ends_by_default(signal: i32) -> bool {
    let others = [
        Signal::CHILD,
        Signal::CONT,
        Signal::STOP,
        Signal::TSTP,
        Signal::TTIN,
        Signal::TTOU,
        Signal::URG,
        Signal::WINCH,
    ];
    (1..=SIGNAL_MAX).contains(&signal) && !others.iter().any(|other| other.as_raw() == signal)
}

fn not_running() -> Error {
    Error::of_kind(Kind::NotRunning, "container not running")
}

/// A signal as users write it: a number, or a name in any case, with or without SIG.
pub fn parse(text: &str) -> Result<i32> {
    if text.is_empty() {
        // As if it had not been given at all.
        return Ok(Signal::TERM.as_raw());
    }
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = NAMES.iter().find(|(known, _)| *known == name).map(|&(_, number)| number);
    found.or_else(|| real_time(name)).ok_or_else(|| Error::new(format!("unknown signal {text:?}")))
}

/// `RTMIN`, `RTMIN+n`, `RTMAX`, `RTMAX-n`, counted as the C library does.
fn real_time(name: &str) -> Option<i32> {
    const RTMIN: i32 = 34;
    const RTMAX: i32 = 64;
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        RTMIN + if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse::<i32>().ok()? }
    } else {
        let rest = name.strip_prefix("RTMAX")?;
        RTMAX - if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse::<i32>().ok()? }
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

/// signal(7), numbers of x86-64 and aarch64.
const NAMES: [(&str, i32); 35] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("UNUSED", 31),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_taken_as_users_write_them() {
        for (text, number) in
            [("KILL", 9), ("sigterm", 15), ("SIGUSR1", 10), ("37", 37), ("0", 0), ("rtmin+3", 37)]
        {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        assert_eq!(parse("FOO").unwrap_err().to_string(), "unknown signal \"FOO\"");
        assert!(parse("RTMAX-31").is_err());
    }
}
