//! Runs commands to their end and tells what they cost.

use std::ffi::{c_int, c_long};
use std::fs::File;
use std::io::Read as _;
use std::io::Seek as _;
use std::ops;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use sc::syscall;

use pinnace::{Error, Result, blocking};

/// Longer than any command takes by itself: some runtimes can hang for ever.
const LIMIT: Duration = Duration::from_secs(10);

/// The same for what is taken away after a failure: what hangs there as well has had its chance.
const LIMIT_OF_CLEANING: Duration = Duration::from_secs(3);

/// The same where many run at once.
const LIMIT_TOGETHER: Duration = Duration::from_secs(120);

/// What our own caller has said to us, and not to what we measure: one runtime would note what it does, or tell a service manager.
const ALIEN: [&str; 6] =
    ["PINNACE_TRACE", "TRACEPARENT", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// Wall time as the caller sees it, from before the command is started until it is waited for; CPU time, user and system, of the command
/// and all that it has waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

/// Runs one command.
///
/// Errors: it cannot be started, it does not end in time, its exit code is not 0, with what it said; we are asked to end.
pub(crate) fn cost_of(command: Command) -> Result<Cost> {
    Running::start(command, Stdio::null())?.finish(LIMIT, Heeds::Signals)?.succeeded()
}

/// Runs one command that takes away what others have left, whoever asks us to end.
///
/// Errors: as of `cost_of`.
pub(crate) fn clean_up(command: Command) -> Result<()> {
    let ended = Running::start(command, Stdio::null())?.finish(LIMIT_OF_CLEANING, Heeds::Nothing)?;
    ended.succeeded().map(drop)
}

/// What one command prints, whatever its exit code.
///
/// Errors: it cannot be started, it does not end in time; we are asked to end.
pub(crate) fn output_of(command: Command) -> Result<String> {
    let mut output = memory("stdout")?;
    let theirs = output.try_clone().map_err(|error| Error::io("dup", &error))?;
    Running::start(command, theirs.into())?.finish(LIMIT, Heeds::Signals)?;
    Ok(text_of(&mut output))
}

/// Runs all the commands at once.
///
/// Gives the cost of each, and the time from the first start to the last end. Errors: as of one; the others are waited for.
pub(crate) fn cost_together(commands: Vec<Command>) -> Result<(Vec<Cost>, Duration)> {
    let begun = Instant::now();
    let (mut running, mut costs, mut failure) = (Vec::new(), Vec::new(), None);
    for command in commands {
        match Running::start(command, Stdio::null()) {
            Ok(started) => running.push(started),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    while !running.is_empty() {
        let left = LIMIT_TOGETHER.saturating_sub(begun.elapsed());
        let waited = wait_for_any(running.iter().map(|child| &child.handle), left, Heeds::Signals);
        let ended = match waited {
            Ok(ended) if !ended.is_empty() => ended,
            late => {
                let killed: Vec<_> = running.drain(..).map(Running::kill).collect();
                for ended in killed {
                    failure = failure.or(Some(ended?.late()));
                }
                failure = late.err().or(failure);
                break;
            }
        };
        // From the back, so that the places of the others stay.
        for index in ended.into_iter().rev() {
            match running.swap_remove(index).reap().and_then(|ended| ended.succeeded()) {
                Ok(cost) => costs.push(cost),
                Err(error) => failure = Some(error),
            }
        }
    }
    failure.map_or(Ok((costs, begun.elapsed())), Err)
}

/// A command that has been started.
struct Running {
    pid: Pid,
    handle: OwnedFd,
    begun: Instant,
    /// Its standard error.
    said: File,
}

impl Running {
    fn start(mut command: Command, output: Stdio) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let said = memory("stderr")?;
        let theirs = said.try_clone().map_err(|error| Error::io("dup", &error))?;
        command.stdin(Stdio::null()).stdout(output).stderr(theirs);
        for name in ALIEN {
            command.env_remove(name);
        }
        // Control-C is for us; and what we have to kill we kill with its children.
        command.process_group(0);
        let begun = Instant::now();
        let child = command.spawn().map_err(|error| Error::io(format_args!("execute {program}"), &error))?;
        let pid = Pid::from_child(&child);
        let handle =
            pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| Error::io("pidfd_open", &errno.into()))?;
        Ok(Self { pid, handle, begun, said })
    }

    /// Waits for its end. Who does not end in time is killed, and whoever it is when we are asked to end.
    fn finish(self, limit: Duration, heeds: Heeds) -> Result<Ended> {
        match wait_for_any([&self.handle].into_iter(), limit, heeds) {
            Ok(ended) if !ended.is_empty() => self.reap(),
            Ok(_) => Err(self.kill()?.late()),
            Err(error) => self.kill().and(Err(error)),
        }
    }

    fn kill(self) -> Result<Ended> {
        // Ignored, both: it has ended in this very moment.
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
        self.reap()
    }

    fn reap(mut self) -> Result<Ended> {
        let Reaped { status, cpu } = reap(Some(self.pid), Wait::Blocking)
            .map_err(|errno| Error::io("wait4", &errno.into()))?
            .ok_or_else(|| Error::new("wait4 has waited for nobody"))?;
        let cost = Cost { wall: self.begun.elapsed(), cpu };
        let said = if status == 0 { String::new() } else { text_of(&mut self.said) };
        Ok(Ended { status, cost, said })
    }
}

/// A command that has ended.
struct Ended {
    status: c_int,
    cost: Cost,
    /// Its standard error, if it has failed.
    said: String,
}

impl Ended {
    fn succeeded(&self) -> Result<Cost> {
        if self.status == 0 {
            return Ok(self.cost);
        }
        let last = self.said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Err(Error::new(format!("{}: {last}", describe(self.status))))
    }

    /// For one that was killed.
    fn late(&self) -> Error {
        Error::new(format!("it did not end within {} s, and was killed", self.cost.wall.as_secs()))
    }
}

/// A file that nobody else sees: a pipe would keep us waiting for as long as a container holds it.
fn memory(name: &str) -> Result<File> {
    memfd_create(name, MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(|errno| Error::io("memfd_create", &errno.into()))
}

fn text_of(file: &mut File) -> String {
    let mut text = Vec::new();
    // Ignored: what cannot be read was not said.
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}

/// Rests for so long.
///
/// Errors: we are asked to end.
pub(crate) fn rest(duration: Duration) -> Result<()> {
    /// Longer than what is measured after a rest of milliseconds: that is not to be woken in between.
    const SLICE: Duration = Duration::from_millis(500);
    let end = Instant::now() + duration;
    loop {
        std::thread::sleep(end.saturating_duration_since(Instant::now()).min(SLICE));
        check_ended()?;
        if Instant::now() >= end {
            return Ok(());
        }
    }
}

/// Errors: we are asked to end.
pub(crate) fn check_ended() -> Result<()> {
    blocking::check_ended("before all was measured")
}

/// waitpid(2)'s status in words.
fn describe(status: c_int) -> String {
    match status & 0x7f {
        0 => format!("exit code {}", status >> 8 & 0xff),
        signal => format!("ended by signal {signal}"),
    }
}

/// Ends a process of a container at once, and waits for it: it must be our child, or have become it. Its CPU time.
pub(crate) fn end(pid: Pid) -> Result<Duration> {
    // Ignored: it has ended already, and waits to be waited for.
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    wait_for_orphan(pid)
}

/// Waits for a process whose parent has left it to us; its CPU time.
pub(crate) fn wait_for_orphan(pid: Pid) -> Result<Duration> {
    let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| {
        Error::io(format_args!("the container's process {}", pid.as_raw_nonzero()), &errno.into())
    })?;
    if wait_for_any([&handle].into_iter(), LIMIT, Heeds::Nothing)?.is_empty() {
        return Err(Error::new(format!("the container did not end within {} s", LIMIT.as_secs())));
    }
    match reap(Some(pid), Wait::Blocking) {
        Ok(reaped) => Ok(reaped.map_or(Duration::ZERO, |reaped| reaped.cpu)),
        Err(errno) => Err(Error::io("wait for the container", &errno.into())),
    }
}

/// Collects whatever else runtimes have left to their caller to wait for. Only between commands.
pub(crate) fn reap_orphans() -> Duration {
    let mut sum = Duration::ZERO;
    while let Ok(Some(reaped)) = reap(None, Wait::NotBlocking) {
        sum += reaped.cpu;
    }
    sum
}

/// Whether a wait is over when we are asked to end.
#[derive(Clone, Copy, PartialEq)]
enum Heeds {
    Signals,
    Nothing,
}

/// The places of those that have ended, in rising order; none if nobody has within the limit.
///
/// Errors: we are asked to end.
fn wait_for_any<'a>(
    handles: impl Iterator<Item = &'a OwnedFd>,
    limit: Duration,
    heeds: Heeds,
) -> Result<Vec<usize>> {
    let mut polled: Vec<PollFd<'_>> = handles.map(|handle| PollFd::new(handle, PollFlags::IN)).collect();
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let slice = left.min(blocking::LOOK_PAUSE);
        let slice = Timespec { tv_sec: slice.as_secs() as i64, tv_nsec: i64::from(slice.subsec_nanos()) };
        match poll(&mut polled, Some(&slice)) {
            Ok(0) if left.is_zero() => return Ok(Vec::new()),
            Ok(0) | Err(Errno::INTR) if heeds == Heeds::Signals => check_ended()?,
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => break,
            Err(errno) => return Err(Error::io("poll", &errno.into())),
        }
    }
    let has_ended = |entry: &PollFd<'_>| !entry.revents().is_empty();
    Ok(polled.iter().enumerate().filter(|(_, entry)| has_ended(entry)).map(|(index, _)| index).collect())
}

#[derive(PartialEq)]
enum Wait {
    Blocking,
    NotBlocking,
}

struct Reaped {
    status: c_int,
    cpu: Duration,
}

/// Waits for `pid`, or for any child; None if none has ended yet. rustix has no wait that tells the CPU time.
fn reap(pid: Option<Pid>, wait: Wait) -> std::result::Result<Option<Reaped>, Errno> {
    const WNOHANG: usize = 1;
    let mut status: c_int = 0;
    let mut usage = ResourceUsage::default();
    let options = if wait == Wait::NotBlocking { WNOHANG } else { 0 };
    let pid = pid.map_or(-1, |pid| pid.as_raw_nonzero().get());
    // SAFETY: both pointers are to locals of the types that wait4(2) documents, alive for the whole call.
    let returned = unsafe { syscall!(WAIT4, pid, &raw mut status, options, &raw mut usage) };
    // The kernel gives an error as a negative number.
    if (returned as isize) < 0 {
        return Err(Errno::from_raw_os_error(-(returned as i32)));
    }
    let cpu = usage.user.duration() + usage.system.duration();
    Ok((returned != 0).then_some(Reaped { status, cpu }))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_command_costs_what_it_takes_and_what_it_has_waited_for() {
        let cost = cost_of(shell("sleep 0.05")).unwrap();
        assert!(cost.wall >= Duration::from_millis(50) && cost.cpu < cost.wall, "{cost:?}");
        let cost = cost_of(shell("(i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done); true")).unwrap();
        assert!(cost.cpu > Duration::from_micros(500), "{cost:?}");
    }

    #[test]
    fn what_fails_says_how_and_why() {
        let said = |command| cost_of(command).unwrap_err().to_string();
        assert_eq!(
            said(shell("echo first >&2; echo no such thing >&2; exit 3")),
            "exit code 3: no such thing"
        );
        assert_eq!(said(shell("kill -9 $$")), "ended by signal 9: it said nothing");
        assert_eq!(said(Command::new("/no/such")), "execute /no/such: no such file or directory");
        assert_eq!(output_of(shell("echo yes; exit 1")).unwrap(), "yes\n");
    }

    #[test]
    fn who_hangs_is_killed_with_his_children() {
        let begun = Instant::now();
        let error = clean_up(shell("sleep 1000; true")).unwrap_err().to_string();
        assert_eq!(error, "it did not end within 3 s, and was killed");
        assert!(begun.elapsed() < Duration::from_secs(6));
    }

    #[test]
    fn many_at_once_take_as_long_as_the_longest() {
        let (costs, elapsed) =
            cost_together(vec![shell("sleep 0.2"), shell("sleep 0.05"), shell("sleep 0.2")]).unwrap();
        assert_eq!(costs.len(), 3);
        assert!(elapsed >= Duration::from_millis(200) && elapsed < Duration::from_millis(390), "{elapsed:?}");
        assert!(cost_together(vec![shell("true"), shell("exit 1")]).is_err());
    }
}
