//! Status, derived from the state directory and the kernel.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general::PID_FS_MAGIC;
use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use serde::Serialize;

use super::{Init, StateDirectory};
use crate::descriptors::spend;
use crate::ending::has_ended;
use crate::error::{Error, Result};
use crate::signals::send_signal;

/// The words of the runtime-spec, and `paused` as all runtimes have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    Creating,
    /// It waits for its start.
    Created,
    /// Its program has been executed.
    Running,
    /// Its processes are stopped for a while.
    Paused,
    /// Its first process has ended.
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
    /// Who a child is whose pidfd this is, for a record in `directory`.
    ///
    /// Errors: it cannot be looked at, for want of descriptors perhaps.
    /// Source: proc_pid_stat(5), fields 3 and 22.
    pub fn of(pid: i32, pidfd: BorrowedFd<'_>, directory: &StateDirectory) -> Result<Self> {
        // Inodes are counted from each boot on, and so are pids: after the next, the same two may well mean somebody else.
        if directory.ends_with_boot()
            && let Some(inode) = inode_of(pid, pidfd)?
        {
            return Ok(Self { pid, inode: Some(inode), ..Self::default() });
        }
        // One that has ended has none that any process has.
        let start_time = read_proc(pid, "stat")?.as_deref().and_then(parse_start_time).unwrap_or_default();
        Ok(Self { pid, start_time: Some(start_time), ..Self::default() })
    }

    /// A handle to the init process, if it still lives. The handle cannot come to mean another process.
    ///
    /// Errors: it cannot be told, for want of descriptors perhaps. What may live must not be taken for dead.
    pub fn handle(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            // Nobody has the number, or it is a thread's by now.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Error::call(format_args!("pidfd_open {}", self.pid), errno)),
        };
        if self.inode.is_some() {
            let is_it = inode_of(self.pid, handle.as_fd())? == self.inode && !has_ended(handle.as_fd());
            return Ok(is_it.then_some(handle));
        }
        let Some(start_time) = self.start_time else {
            return Err(Error::new(format!(
                "the container's record does not tell which process {} is its init",
                self.pid
            )));
        };
        // Looked at after the handle was taken: if it is our process now, the handle means it.
        let Some(stat) = read_proc(self.pid, "stat")? else {
            return match send_signal(handle.as_fd(), 0) {
                Err(Errno::SRCH) => Ok(None),
                _ => Err(Error::new(format!(
                    "process {0} lives, and there is no /proc/{0}/stat: /proc is covered, or of another pid namespace",
                    self.pid
                ))),
            };
        };
        Ok((parse_start_time(&stat) == Some(start_time)).then_some(handle))
    }

    /// Whether its memory is gone, and with it every sign of what it ran. Of what /proc does not show nobody can say that.
    pub fn is_ending(&self) -> bool {
        let is_missing = |path: String| rustix::fs::stat(path).is_err_and(|errno| errno == Errno::NOENT);
        is_missing(format!("/proc/{}/exe", self.pid))
            && has_our_numbers()
            && (!is_missing(format!("/proc/{}", self.pid)) || matches!(self.handle(), Ok(None)))
    }

    /// Whether the container's program has not been executed yet; `None` if that cannot be seen.
    pub fn runs_stage1(&self) -> Option<bool> {
        let program = rustix::fs::stat(format!("/proc/{}/exe", self.pid)).ok()?;
        Some((program.st_dev, program.st_ino) == self.stage1)
    }
}

impl StateDirectory {
    /// The container's status. `is_frozen` is asked only where it matters.
    pub fn status(&self, init: Option<&Init>, is_frozen: impl FnOnce() -> bool) -> Result<Status> {
        let Some(init) = init else { return Ok(Status::Creating) };
        Ok(if init.handle()?.is_none() {
            Status::Stopped
        } else if is_frozen() {
            Status::Paused
        } else if self.awaits_start(init) {
            if init.is_ending() { Status::Stopped } else { Status::Created }
        } else if init.runs_stage1() == Some(true) {
            Status::Creating
        } else {
            Status::Running
        })
    }
}

/// The inode of a process's pidfds, which no other gets until the next boot. Before Linux 6.9 all pidfds have the same, which tells nothing.
fn inode_of(pid: i32, pidfd: BorrowedFd<'_>) -> Result<Option<u64>> {
    let inode = || {
        let is_own = rustix::fs::fstatfs(pidfd)?.f_type as u64 == u64::from(PID_FS_MAGIC);
        if is_own { rustix::fs::fstat(pidfd).map(|stat| Some(stat.st_ino)) } else { Ok(None) }
    };
    inode().map_err(|errno: Errno| Error::call(format_args!("stat a pidfd of {pid}"), errno))
}

/// Whether /proc is there, and knows us by the number that we know ourselves by: one of another pid namespace has somebody else at a pid of ours.
pub(super) fn has_our_numbers() -> bool {
    let own = rustix::fs::readlink("/proc/self", Vec::new());
    own.is_ok_and(|own| own.to_bytes() == std::process::id().to_string().as_bytes())
}

/// Bytes that are asked for at a time.
const PROC_BYTES: usize = 4 << 10;

/// What our caller has left to us, and our child has from us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// Bit N-1 is signal N.
    pub ignored_signals: u64,
    /// Every processor may be used for certain. (Where the machine's number of them is no multiple of four, the mask does not tell.)
    pub has_all_processors: bool,
}

impl Inherited {
    /// Without a /proc no signal is ignored, and nobody knows of the processors.
    ///
    /// Errors: it is there and cannot be read, for want of descriptors perhaps.
    /// Source: proc_pid_status(5), whose masks have the real-time signals as well. They are the calling thread's, by name: a /proc of another pid
    /// namespace knows us and the child by other numbers, and has somebody else at the child's.
    pub fn read() -> Result<Self> {
        Ok(read_own_status()?.map(|status| Self::parse(&status)).unwrap_or_default())
    }

    pub fn ignores(&self, signal: Signal) -> bool {
        self.ignored_signals & 1 << (signal.as_raw() - 1) != 0
    }

    fn parse(status: &[u8]) -> Self {
        let mut fields = Fields(status);
        // In the file's order.
        let ignored_signals = parse_ignored_signals(&mut fields).unwrap_or_default();
        let has_all_processors = parse_has_all_processors(&mut fields).unwrap_or_default();
        Self { ignored_signals, has_all_processors }
    }
}

/// The calling thread's status. Its process's is the same if it has no other thread, and the kernel finds that sooner.
fn read_own_status() -> Result<Option<Vec<u8>>> {
    match read_proc("self", "status")? {
        Some(status) if Fields(&status).find("Threads:") == Some("1") => Ok(Some(status)),
        _ => read_proc("thread-self", "status"),
    }
}

/// The text of a file of /proc/PID, /proc/self or /proc/thread-self; `None` if there is no such process.
fn read_proc(process: impl fmt::Display, name: &str) -> Result<Option<Vec<u8>>> {
    let path = format!("/proc/{process}/{name}");
    let mut text = Vec::with_capacity(PROC_BYTES);
    let read = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).and_then(|file| {
        // Who has many groups has a long status. Where there is room left, that was all of it.
        while rustix::io::read(&file, spare_capacity(&mut text))? > 0 && text.len() == text.capacity() {
            text.reserve(PROC_BYTES);
        }
        spend(file);
        Ok(())
    });
    match read {
        Ok(()) => Ok(Some(text)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(errno) => Err(Error::call(format_args!("read {path}"), errno)),
    }
}

/// The name in field 2 may hold blanks and parentheses; the fields that follow its last `)` do not.
fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    // Fields 3, 20 and 22. A process whose first thread has ended is a zombie to look at, and lives as long as another thread does.
    let state = fields.next()?;
    let thread_count = fields.nth(16)?.parse().unwrap_or(1u32);
    if matches!(state, "Z" | "X" | "x") && thread_count <= 1 {
        return None;
    }
    fields.nth(1)?.parse().ok()
}

fn parse_ignored_signals(fields: &mut Fields<'_>) -> Option<u64> {
    u64::from_str_radix(fields.find("SigIgn:")?, 16).ok()
}

/// The mask has a bit for each processor that the kernel knows, in groups of digits with commas between them.
fn parse_has_all_processors(fields: &mut Fields<'_>) -> Option<bool> {
    let mask = fields.find("Cpus_allowed:")?;
    Some(mask.bytes().all(|byte| matches!(byte, b'f' | b',')))
}

/// What is left to read of a file with a name at the beginning of each line: who asks for several keeps to the file's order.
struct Fields<'t>(&'t [u8]);

impl<'t> Fields<'t> {
    /// What stands behind the name.
    fn find(&mut self, name: &str) -> Option<&'t str> {
        loop {
            let end = self.0.iter().position(|&byte| byte == b'\n')?;
            let (line, rest) = self.0.split_at(end + 1);
            self.0 = rest;
            if let Some(value) = line.strip_prefix(name.as_bytes()) {
                return std::str::from_utf8(value.trim_ascii()).ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_field_22_whatever_the_name() {
        let rest = (4..22).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(parse_start_time(format!("7 (a) b) S {rest} 4711 23").as_bytes()), Some(4711));
        assert_eq!(parse_start_time(&rest_with_threads("Z", 1)), None);
        assert_eq!(parse_start_time(b"7 (a"), None);
    }

    fn rest_with_threads(state: &str, thread_count: u32) -> Vec<u8> {
        let before = (4..20).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        format!("7 (a) {state} {before} {thread_count} 21 4711 23").into_bytes()
    }

    #[test]
    fn a_process_lives_as_long_as_one_of_its_threads() {
        assert_eq!(parse_start_time(&rest_with_threads("Z", 2)), Some(4711));
        assert_eq!(parse_start_time(&rest_with_threads("S", 1)), Some(4711));
    }

    #[test]
    fn ignored_signals_are_a_mask() {
        assert_eq!(
            parse_ignored_signals(&mut Fields(b"Name:\tx\nSigIgn:\t0000000100001000\n")),
            Some(0x1_0000_1000)
        );
    }

    #[test]
    fn what_is_asked_for_in_the_order_of_the_file_is_found() {
        let status = b"Name:\tSigIgn:\nThreads:\t1\nSigIgn:\t0000000000001000\nCpus_allowed:\tff\n";
        let expected = Inherited { ignored_signals: 0x1000, has_all_processors: true };
        assert_eq!(Inherited::parse(status), expected);
    }

    #[test]
    fn a_mask_of_processors_that_is_full_shows() {
        for (mask, expected) in [("ff", true), ("ff,ffffffff", true), ("3", false), ("fffffffe", false)] {
            let status = format!("Name:\tx\nCpus_allowed:\t{mask}\nCpus_allowed_list:\t0-7\n");
            assert_eq!(parse_has_all_processors(&mut Fields(status.as_bytes())), Some(expected), "{mask}");
        }
    }

    #[test]
    fn a_process_is_known_by_what_no_other_has() {
        let pid = std::process::id() as i32;
        let pidfd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        let stat = read_proc(pid, "stat").unwrap().unwrap();
        let start_time = parse_start_time(&stat).unwrap();
        let of_time = |start_time| Init { pid, start_time: Some(start_time), ..Init::default() };
        assert!(of_time(start_time).handle().unwrap().is_some());
        assert!(of_time(start_time + 1).handle().unwrap().is_none());
        assert!(Init { pid, ..Init::default() }.handle().is_err());
        if let Some(inode) = inode_of(pid, pidfd.as_fd()).unwrap() {
            let of_inode = |inode| Init { pid, inode: Some(inode), ..Init::default() };
            assert!(of_inode(inode).handle().unwrap().is_some());
            assert!(of_inode(inode + 1).handle().unwrap().is_none());
        }
    }

    #[test]
    fn a_thread_has_a_status_of_its_own() {
        let status = std::thread::spawn(|| read_own_status().unwrap().unwrap()).join().unwrap();
        assert!(Fields(&status).find("Pid:").is_some_and(|pid| pid != std::process::id().to_string()));
    }
}
