//! Hooks that the runtime runs: processes of the host, and for createContainer one in the container's namespaces.
//!
//! Whatever a hook writes goes to a file in memory and into the error, if there is one. The state is its standard input.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use linux_raw_sys::general as uapi;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use sc::syscall;

use crate::config::{Hook, HookPoint, HookState};
use crate::descriptors::CLOSE_RANGE_CLOEXEC;
use crate::error::{Error, Kind, Result, check, errno_text};
use crate::signals::{self, LOOK_PAUSE};

/// Bytes of what a hook has written that an error quotes, of each stream.
const QUOTED_BYTES_MAX: u64 = 4096;

/// Where hooks run.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Beside us, with the bundle as the working directory and our environment where the hook has none.
    Host,
    /// In the namespaces of the process behind `init`, whose id on the host is `pid`, and in the cgroups behind these files; in the root file system,
    /// and without an environment.
    Container { init: BorrowedFd<'a>, pid: i32, rootfs: &'a str, cgroups: &'a [OwnedFd] },
}

/// Runs the hooks of one moment in their order, up to the first that fails. With `heeds_signals` a signal that asks our own process to end
/// ends the hook.
///
/// Errors: `error running POINT hook #N: …`, with what the hook has said.
pub fn run(
    point: HookPoint,
    hooks: &[Hook],
    state: &HookState<'_>,
    status: &str,
    pid: i32,
    place: Place<'_>,
    heeds_signals: bool,
) -> Result<()> {
    for (index, hook) in hooks.iter().enumerate() {
        let shown = match place {
            Place::Host => pid,
            Place::Container { .. } => inner_pid(pid),
        };
        let run = run_one(hook, &state.text(status, shown), state.bundle, place, heeds_signals);
        run.map_err(|error| match error.kind() {
            // It is not the hook that failed.
            Kind::Interrupted(_) => error,
            _ => failure(point, index, &error),
        })?;
    }
    Ok(())
}

/// The same, but a hook that fails is told and the next runs (runtime.md "Lifecycle", step 13).
pub fn run_all(point: HookPoint, hooks: &[Hook], state: &HookState<'_>, status: &str) -> Vec<String> {
    let failures = hooks.iter().enumerate().filter_map(|(index, hook)| {
        run_one(hook, &state.text(status, 0), state.bundle, Place::Host, false)
            .err()
            .map(|error| failure(point, index, &error).to_string())
    });
    failures.collect()
}

/// A failed hook by its place, in runc's words.
pub fn failure(point: HookPoint, index: usize, reason: &Error) -> Error {
    Error::of_kind(Kind::HookFailed, format!("error running {point} hook #{index}: {reason}"))
}

/// The reason that an end is, for the error, with the output in it.
pub fn ended(status: &str, said: &str) -> Error {
    Error::new(format!("{status}, {said}"))
}

/// The reason that a timeout is.
pub fn timed_out(seconds: u32) -> Error {
    Error::new(format!("hook ran past specified timeout of {seconds}.0s"))
}

/// The reason that a file is which cannot be executed, in Go's words, which runc's users know.
pub fn not_executed(path: &str, errno: Errno) -> Error {
    Error::new(format!("fork/exec {path}: {}", errno_text(errno)))
}

fn run_one(hook: &Hook, state: &str, bundle: &str, place: Place<'_>, heeds_signals: bool) -> Result<()> {
    let mut input = memory_file("state")?;
    input
        .write_all(state.as_bytes())
        .and_then(|()| input.seek(SeekFrom::Start(0)))
        .map_err(|error| Error::io("write the state", &error))?;
    let (output, errors) = (memory_file("stdout")?, memory_file("stderr")?);
    let clone = |file: &File| {
        file.try_clone().map(Stdio::from).map_err(|error| Error::io("duplicate a descriptor", &error))
    };
    let mut command = Command::new(&hook.path);
    command.stdin(input).stdout(clone(&output)?).stderr(clone(&errors)?).process_group(0);
    // Says who the hook is, where it is a child of ours only by another.
    let inner = memory_file("pid")?;
    let child = spawn(command, Program::new(hook, place)?, bundle, (place, &inner))?;
    let status = match wait((child, &inner), hook.timeout, heeds_signals)? {
        Some(status) => status,
        None => return Err(timed_out(hook.timeout.unwrap_or(0))),
    };
    if status.success() {
        return Ok(());
    }
    let said = format!("stdout: {}, stderr: {}", quoted(output), quoted(errors));
    Err(ended(&status_text(status), &said))
}

fn status_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or(0)),
    }
}

fn spawn(
    mut command: Command,
    program: Program,
    bundle: &str,
    (place, inner): (Place<'_>, &File),
) -> Result<Child> {
    let raw = |errno: Errno| std::io::Error::from_raw_os_error(errno.raw_os_error());
    match place {
        Place::Host => {
            command.current_dir(bundle);
            // SAFETY: the closure makes system calls alone, and allocates nothing: its process is a copy of one that may have threads.
            unsafe {
                command.pre_exec(move || close_all_on_execute().and_then(|()| program.execute()).map_err(raw))
            };
        }
        Place::Container { init, pid, rootfs, cgroups } => {
            let entry = Entry {
                init: init.as_raw_fd(),
                namespaces: other_namespaces(pid)?,
                rootfs: CString::new(rootfs).map_err(|_| Error::new("the root's path holds a NUL byte"))?,
                cgroups: cgroups.iter().map(AsRawFd::as_raw_fd).collect(),
                inner: inner.as_raw_fd(),
            };
            // SAFETY: the closure makes system calls with numbers and pointers to what it owns, and allocates nothing: its process is a copy of one
            // that may have threads. The caller's loan of the files outlives the closure.
            unsafe {
                command.pre_exec(move || {
                    let entered = entry.enter().and_then(|()| close_all_on_execute());
                    entered.and_then(|()| program.execute()).map_err(raw)
                });
            }
        }
    }
    command.spawn().map_err(|error| match error.raw_os_error() {
        Some(raw) => not_executed(&command.get_program().to_string_lossy(), Errno::from_raw_os_error(raw)),
        None => Error::io("start the hook", &error),
    })
}

/// What a hook's process becomes, and all that execve(2) reads for that. The standard library would call execvp(3), and glibc's takes a file of no known
/// format for a script; musl's and runc do not.
struct Program {
    path: CString,
    /// Each string, and a null pointer behind the last, as addresses: pointers could not go into the child's closure.
    arguments: Vec<usize>,
    environment: Vec<usize>,
    _strings: Vec<CString>,
}

impl Program {
    fn new(hook: &Hook, place: Place<'_>) -> Result<Self> {
        let own =
            hook.env.as_ref().map(|entries| entries.iter().map(|entry| entry.clone().into_bytes()).collect());
        let environment: Vec<Vec<u8>> = match (own, place) {
            (Some(entries), _) => last_of_each_name(entries),
            (None, Place::Container { .. }) => Vec::new(),
            (None, Place::Host) => {
                let entry =
                    |(name, value): (OsString, OsString)| [name.into_vec(), value.into_vec()].join(&b'=');
                std::env::vars_os().map(entry).collect()
            }
        };
        let text = |bytes: Vec<u8>| {
            CString::new(bytes).map_err(|_| Error::new("a text of the hook holds a NUL byte"))
        };
        let path = text(hook.path.clone().into_bytes())?;
        let arguments = hook.args.iter().map(|argument| argument.clone().into_bytes());
        let strings = arguments.chain(environment).map(text).collect::<Result<Vec<_>>>()?;
        let (arguments, environment) = strings.split_at(hook.args.len());
        let list = |strings: &[CString]| {
            let addresses = strings.iter().map(|string| string.as_ptr().expose_provenance());
            addresses.chain(std::iter::once(0)).collect()
        };
        Ok(Self { path, arguments: list(arguments), environment: list(environment), _strings: strings })
    }

    /// Called in the forked child: no allocation. Returns if it fails.
    fn execute(&self) -> rustix::io::Result<()> {
        let lists = (self.arguments.as_ptr(), self.environment.as_ptr());
        // SAFETY: strings with their NULs and lists with their null pointers, all of them ours while the call reads them.
        check(unsafe { syscall!(EXECVE, self.path.as_ptr(), lists.0, lists.1) })
    }
}

/// Of two entries with one name the later counts.
fn last_of_each_name(entries: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let name = |entry: &[u8]| entry.split(|&byte| byte == b'=').next().unwrap_or_default().to_vec();
    let named: BTreeMap<_, _> = entries.into_iter().map(|entry| (name(&entry), entry)).collect();
    named.into_values().collect()
}

/// What a hook's process enters before it becomes the hook. The descriptors are the caller's.
struct Entry {
    init: RawFd,
    /// CLONE_NEW* bits.
    namespaces: u32,
    rootfs: CString,
    cgroups: Vec<RawFd>,
    /// The file for the id of the process in the container's pid namespace.
    inner: RawFd,
}

impl Entry {
    /// Called in the forked child: no allocation.
    fn enter(&self) -> rustix::io::Result<()> {
        self.cgroups.iter().try_for_each(|&file| enter_cgroup(file))?;
        // SAFETY: numbers, and a string with its NUL.
        let joined = unsafe { check(syscall!(SETNS, self.init, self.namespaces)) };
        joined?;
        if self.namespaces & uapi::CLONE_NEWUSER != 0 {
            become_root()?;
        }
        // SAFETY: the kernel reads the string up to its NUL.
        check(unsafe { syscall!(CHDIR, self.rootfs.as_ptr()) })?;
        if self.namespaces & uapi::CLONE_NEWPID != 0 { fork_into_pid_namespace(self.inner) } else { Ok(()) }
    }
}

/// An ordinary user may not move what was born outside of the part of the tree that is theirs; the hook runs where we are then.
fn enter_cgroup(file: RawFd) -> rustix::io::Result<()> {
    // SAFETY: the kernel reads the one byte.
    match check(unsafe { syscall!(WRITE, file, c"0".as_ptr(), 1usize) }) {
        Err(Errno::ACCESS | Errno::PERM) => Ok(()),
        entered => entered,
    }
}

/// Root of the user namespace that was joined. Whoever stays the host's root in there can be traced by the namespace's own, and then writes what is
/// the host's: before the pivot both see the host's tree.
fn become_root() -> rustix::io::Result<()> {
    // SAFETY: a length of nought, for which the kernel reads nothing.
    match check(unsafe { syscall!(SETGROUPS, 0usize, std::ptr::null::<u32>()) }) {
        // Where setgroups is denied, groups cannot be dropped, and could not be used either.
        Ok(()) | Err(Errno::PERM) => {}
        denied => denied?,
    }
    // SAFETY: numbers only. A namespace without a root leaves us who we are in it; somebody outside of it is called nobody in it, and becomes that.
    unsafe {
        let set_group = |id: usize| check(syscall!(SETRESGID, id, id, id));
        let set_user = |id: usize| check(syscall!(SETRESUID, id, id, id));
        match set_group(0) {
            Err(Errno::INVAL) => set_group(syscall!(GETGID))?,
            set => set?,
        }
        match set_user(0) {
            Err(Errno::INVAL) => set_user(syscall!(GETUID)),
            set => set,
        }
    }
}

/// Only children are in a pid namespace that was joined: goes on as one, in a process group of its own. The process that was waits for it outside, and
/// ends as it does. It takes no signal: if it were killed with the hook, nobody might reap that, and the namespace's init, and whoever waits for it, would
/// wait for ever.
fn fork_into_pid_namespace(inner: RawFd) -> rustix::io::Result<()> {
    // SAFETY: a fork, without a new stack; both sides call nothing but the kernel until the one executes the hook and the other ends.
    let child = unsafe { syscall!(CLONE, uapi::SIGCHLD, 0usize, 0usize, 0usize, 0usize) };
    check(child)?;
    if child == 0 {
        // SAFETY: numbers only.
        return check(unsafe { syscall!(SETPGID, 0usize, 0usize) });
    }
    signals::block_on_thread();
    let mut status = 0i32;
    // SAFETY: numbers, and a status that the kernel writes. What is closed belongs to copies in this process that nobody will use; it ends here.
    unsafe {
        // Before the runtime goes on: it waits until the hook has been executed, and these files are closed.
        let id = child as i32;
        syscall!(WRITE, inner, &raw const id, size_of::<i32>());
        // Whoever waits for the end of these files waits for the hook alone.
        syscall!(CLOSE_RANGE, 0u32, u32::MAX, 0u32);
        while check(syscall!(WAIT4, child, &raw mut status, 0u32, std::ptr::null::<u8>())) == Err(Errno::INTR)
        {
        }
        let signal = status & 0x7f;
        if signal != 0 {
            signals::reset_all();
            signals::unblock_all();
            syscall!(KILL, syscall!(GETPID), signal);
        }
        loop {
            syscall!(EXIT_GROUP, status >> 8 & 0xff);
        }
    }
}

/// What callers have leaked to us is not for hooks: descriptors, and signals that are ignored or blocked; a foreground `run` blocks all.
fn close_all_on_execute() -> rustix::io::Result<()> {
    signals::reset_all();
    signals::unblock_all();
    // SAFETY: numbers only; nothing is closed now.
    check(unsafe { syscall!(CLOSE_RANGE, 3u32, u32::MAX, CLOSE_RANGE_CLOEXEC) })
}

/// The namespaces in which the process is and we are not, as CLONE_NEW* bits. (Entering the user namespace that one is in already is an error.)
fn other_namespaces(pid: i32) -> Result<u32> {
    let kinds = [
        ("mnt", uapi::CLONE_NEWNS),
        ("net", uapi::CLONE_NEWNET),
        ("ipc", uapi::CLONE_NEWIPC),
        ("uts", uapi::CLONE_NEWUTS),
        ("cgroup", uapi::CLONE_NEWCGROUP),
        ("user", uapi::CLONE_NEWUSER),
        ("pid", uapi::CLONE_NEWPID),
        ("time", uapi::CLONE_NEWTIME),
    ];
    let mut others = 0;
    for (name, kind) in kinds {
        let inode = |whose: &str| {
            let path = format!("/proc/{whose}/ns/{name}");
            match rustix::fs::stat(&path) {
                Ok(stat) => Ok(stat.st_ino),
                // The kernel has none of this kind: nobody is in another.
                Err(Errno::NOENT) => Ok(0),
                Err(errno) => Err(Error::call(format_args!("stat {path}"), errno)),
            }
        };
        if inode(&pid.to_string())? != inode("thread-self")? {
            others |= kind;
        }
    }
    Ok(others)
}

/// Ends a hook that nobody would watch.
fn end(mut child: Child) {
    // Ignored, both: it may have ended by itself, and an error is on its way already.
    let _ = child.kill();
    let _ = child.wait();
}

/// The process's id in its own pid namespace: the last of NSpid.
fn inner_pid(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    line.and_then(|line| line.split_whitespace().next_back()?.parse().ok()).unwrap_or(pid)
}

/// How the hook ended; `None` if it ran past its time, and was killed with its group.
///
/// Errors: it was ended because our caller asked us to end.
fn wait(
    (mut child, inner): (Child, &File),
    timeout: Option<u32>,
    heeds_signals: bool,
) -> Result<Option<ExitStatus>> {
    let failed = |error: &std::io::Error| Error::io("wait for the hook", error);
    let pid = Pid::from_child(&child);
    let handle = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(errno) => {
            end(child);
            return Err(Error::call("pidfd_open of the hook", errno));
        }
    };
    let deadline = timeout.map(|seconds| Instant::now() + Duration::from_secs(u64::from(seconds)));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let pause =
            if heeds_signals { Some(left.map_or(LOOK_PAUSE, |left| left.min(LOOK_PAUSE))) } else { left };
        if ends_within(&handle, pause) {
            return child.wait().map(Some).map_err(|error| failed(&error));
        }
        let interrupted = if heeds_signals { signals::check_ended("while a hook ran") } else { Ok(()) };
        if interrupted.is_err() || left.is_some_and(|left| left.is_zero()) {
            let hook = inner_process(inner).unwrap_or(pid);
            // Ignored, both: it may have ended by itself at this moment, and mostly is in its group.
            let _ = rustix::process::kill_process_group(hook, Signal::KILL);
            let _ = rustix::process::kill_process(hook, Signal::KILL);
            child.wait().map_err(|error| failed(&error))?;
            return interrupted.map(|()| None);
        }
    }
}

/// The hook, where it is a child of ours only by another.
fn inner_process(inner: &File) -> Option<Pid> {
    let mut id = [0; size_of::<i32>()];
    inner.read_exact_at(&mut id, 0).ok()?;
    Pid::from_raw(i32::from_ne_bytes(id))
}

/// Without a time, however long that takes.
fn ends_within(handle: &OwnedFd, time: Option<Duration>) -> bool {
    // A configured time is below a month.
    let timeout =
        time.map(|time| Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) });
    let mut polled = [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, timeout.as_ref()))
        .is_ok_and(|count| count > 0)
}

fn memory_file(name: &str) -> Result<File> {
    rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(|errno| Error::call(format_args!("memfd {name}"), errno))
}

/// The beginning of what was written, on one line.
pub fn quoted(mut file: File) -> String {
    let mut bytes = Vec::new();
    // Ignored: what cannot be read is not quoted.
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(QUOTED_BYTES_MAX).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(script: &str, timeout: Option<u32>) -> Hook {
        let args = ["sh", "-c", script].map(String::from).to_vec();
        Hook { path: String::from("/bin/sh"), args, env: None, timeout }
    }

    fn check(hook: &Hook, expected: &str) {
        let annotations = BTreeMap::from([(String::from("a\"b"), String::from("c"))]);
        let state = HookState { oci_version: "1.3.0", id: "web", bundle: "/tmp", annotations: &annotations };
        let result = run(
            HookPoint::CreateRuntime,
            std::slice::from_ref(hook),
            &state,
            "creating",
            42,
            Place::Host,
            false,
        );
        let said = result.map_or_else(|error| error.to_string(), |()| String::from("ok"));
        assert_eq!(said, expected);
    }

    #[test]
    fn a_hook_reads_the_state_and_its_failure_is_told_with_its_words() {
        check(&hook("cat >/dev/null", None), "ok");
        check(
            &hook("echo out; echo err >&2; exit 3", None),
            "error running createRuntime hook #0: exit status 3, stdout: out, stderr: err",
        );
        check(&hook("grep -q '\"pid\":42,\"bundle\":\"/tmp\"'", None), "ok");
    }

    /// Real-time signals are real in that as well.
    #[test]
    fn a_hook_ignores_no_signal() {
        let (ignore, real_time) = ([1u64, 0, 0, 0], 35usize);
        // SAFETY: the array is as long as the structure that the kernel reads. Nobody sends the signal to a test.
        let set =
            unsafe { syscall!(RT_SIGACTION, real_time, ignore.as_ptr(), std::ptr::null::<u8>(), 8usize) };
        assert_eq!(set, 0);
        check(&hook("grep -q '^SigIgn:.0000000000000000$' /proc/self/status", None), "ok");
    }

    #[test]
    fn a_hook_that_takes_too_long_is_killed_with_its_children() {
        check(
            &hook("sleep 100 & sleep 100", Some(1)),
            "error running createRuntime hook #0: hook ran past specified timeout of 1.0s",
        );
    }

    #[test]
    fn a_hook_that_cannot_be_executed_is_named() {
        let missing = Hook { path: String::from("/nowhere/hook"), ..hook("", None) };
        check(
            &missing,
            "error running createRuntime hook #0: fork/exec /nowhere/hook: no such file or directory",
        );
    }
}
