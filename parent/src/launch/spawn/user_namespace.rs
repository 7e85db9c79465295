//! Births in a user namespace. The child waits at a gate until its ids are mapped, becomes the namespace's root, and only then
//! executes stage1, which so has every capability there.
//!
//! The child is a copy of us here, and does not share our memory: changing its ids would make that memory undumpable, which is the whole
//! process's affair. It makes system calls and nothing else, as the other births do. All that the process has open it has a copy of, too, the
//! gates and locks of other threads' starts among it: it closes that before it waits.

use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use linux_raw_sys::{general as uapi, prctl};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use sc::syscall;

use super::{Birth, Child, Program, clone_arguments, clone3, end, end_clone, execute, id_maps, other_than};
use crate::config::IdMappings;
use crate::error::{Error, Result};
use crate::namespaces;

/// Our end of a conversation with a child that has not executed stage1 yet. Its end closes on execution.
#[derive(Debug)]
pub(crate) struct Gate(OwnedFd);

impl Gate {
    fn pair() -> Result<(Self, OwnedFd)> {
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map(|(ours, childs)| (Self(ours), childs))
            .map_err(|errno| Error::call("socketpair", errno))
    }

    fn open(&self) -> Result<()> {
        match rustix::net::send(&self.0, b"go", SendFlags::NOSIGNAL) {
            // A child that is gone says why on its socket, or by its death.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(errno) => Err(Error::call("open the gate", errno)),
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(|errno| Error::call("send to a child", errno))
    }

    /// The number that the child says, which is an errno if it is negative.
    fn number(&self, doing: impl Display) -> Result<i32> {
        let mut bytes = [0; 4];
        let received = rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut bytes[..]));
        match (received, i32::from_ne_bytes(bytes)) {
            (Ok(4), number @ 0..) => Ok(number),
            (Ok(4), number) => Err(Error::call(doing, Errno::from_raw_os_error(-number))),
            (Ok(_), _) => Err(Error::call(doing, Errno::SRCH)),
            (Err(errno), _) => Err(Error::call(doing, errno)),
        }
    }

    /// Lets the child behind `pidfd` end by itself, and what it has made with it.
    fn finish(self, pidfd: &OwnedFd) {
        drop(self.0);
        // Ignored: it is our child, and it ends.
        let _ = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    }

    /// Ends the child behind `pidfd`, which waits at the gate.
    fn close(self, pidfd: &OwnedFd) {
        // Ignored, both: it is our child, and it ends. The end of the gate alone would do where it could close what it does not need.
        let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
        let _ = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    }

    /// Why the child could not execute stage1, if it said so.
    pub(super) fn failure(&self) -> Option<Errno> {
        let mut errno = [0; 4];
        let received =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.0, &mut errno[..], RecvFlags::DONTWAIT));
        let is_said = received.is_ok_and(|received| received.1 == errno.len());
        is_said.then(|| Errno::from_raw_os_error(i32::from_ne_bytes(errno)))
    }
}

/// A new user namespace, with every namespace of `birth.namespaces` below it, and in those that are `entered`, with their CLONE_NEW* flags.
/// `prepare` maps its ids.
pub(crate) fn spawn_new(
    birth: &Birth<'_>,
    entered: &[(OwnedFd, u32)],
    prepare: impl FnOnce(Pid) -> Result<()>,
) -> Result<Child> {
    let (gate, childs_gate) = Gate::pair()?;
    let waiting = Waiting {
        program: Program::new(birth),
        gate: childs_gate.as_raw_fd(),
        kept: kept(birth, &childs_gate),
        unshared: birth.namespaces & WITH_FILES,
    };
    let mut pidfd: RawFd = -1;
    let mut arguments = birth.arguments();
    arguments.flags &= !WITH_FILES;
    arguments.pidfd = &raw mut pidfd as u64;
    let entered: Vec<_> = entered.iter().map(|(file, kind)| (file.as_fd(), *kind)).collect();
    let clone = || {
        // SAFETY: without CLONE_VM the child has a copy of our memory, `waiting` in it, and of our stack.
        unsafe { clone3(&arguments, begin_new, (&raw const waiting).cast()) }
    };
    let cloned = namespaces::inside(&entered, clone).inspect_err(|_| end_clone(pidfd))?;
    let pid = cloned.map_err(|errno| Error::call("clone container init in a user namespace", errno))?;
    // SAFETY: CLONE_PIDFD has stored a new descriptor here, and nobody else has seen it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    drop(childs_gate);
    match prepare(pid).and_then(|()| gate.open()) {
        Ok(()) => Ok(Child { pid, pidfd, shared: None, gate: Some(gate) }),
        Err(error) => {
            gate.close(&pidfd);
            Err(error)
        }
    }
}

/// A user namespace with these ids and nobody in it, for an idmapped mount.
pub(crate) fn make(mappings: &IdMappings) -> Result<OwnedFd> {
    let (gate, childs_gate) = Gate::pair()?;
    let waiting = childs_gate.as_raw_fd();
    let mut pidfd: RawFd = -1;
    let mut arguments = clone_arguments(u64::from(uapi::CLONE_NEWUSER));
    arguments.pidfd = &raw mut pidfd as u64;
    // SAFETY: without CLONE_VM the child has a copy of our memory, `waiting` in it, and of our stack.
    let cloned = unsafe { clone3(&arguments, begin_waiting, (&raw const waiting).cast()) };
    let pid = cloned.map_err(|errno| Error::call("make a user namespace for a mount", errno))?;
    // SAFETY: CLONE_PIDFD has stored a new descriptor here, and nobody else has seen it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    drop(childs_gate);
    let path = format!("/proc/{}/ns/user", pid.as_raw_nonzero());
    let opened = id_maps::write(pid, mappings, true).and_then(|()| {
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| Error::call(format_args!("open {path}"), errno))
    });
    gate.close(&pidfd);
    opened
}

/// The same below the user namespace `within` (or that of the process behind such a pidfd), which has to have the ids of the host's.
///
/// The kernel takes maps only from who is in the namespace above. So a child of ours joins `within`, has a child in the new one, and writes.
pub(crate) fn make_within(within: BorrowedFd<'_>, mappings: &IdMappings) -> Result<OwnedFd> {
    let (gate, childs_gate) = Gate::pair()?;
    let writer = Writer { gates: [childs_gate.as_raw_fd(), gate.0.as_raw_fd()], within: within.as_raw_fd() };
    let mut pidfd: RawFd = -1;
    let mut arguments = clone_arguments(0);
    arguments.pidfd = &raw mut pidfd as u64;
    // SAFETY: without CLONE_VM the child has a copy of our memory, `writer` in it, and of our stack.
    let cloned = unsafe { clone3(&arguments, begin_writing, (&raw const writer).cast()) };
    let pid = cloned.map_err(|errno| Error::call("clone the writer of a mount's owners", errno))?;
    // SAFETY: CLONE_PIDFD has stored a new descriptor here, and nobody else has seen it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    drop(childs_gate);
    let made = gate.number("join the container's user namespace").and_then(|inner| {
        for (file, list) in [("gid_map", &mappings.gids), ("uid_map", &mappings.uids)] {
            let map = id_maps::translated(list, &format!("/proc/{}/{file}", pid.as_raw_nonzero()))?;
            gate.send(format!("/proc/{inner}/{file}\0{map}").as_bytes())?;
            gate.number(format_args!("write {file}"))?;
        }
        let path = format!("/proc/{inner}/ns/user");
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| Error::call(format_args!("open {path}"), errno))
    });
    gate.finish(&pidfd);
    made
}

/// What such a child needs.
#[repr(C)]
struct Writer {
    gates: [RawFd; 2],
    within: RawFd,
}

/// Joins the user namespace, has a child in a new one below, and writes what comes through the gate: a file's path with its NUL, and text. What it
/// says: the child's number, and 0 for each file, or a negative errno.
unsafe extern "C" fn begin_writing(writer: *const u8) -> ! {
    // SAFETY: `make_within` passes a `Writer`, of which the child has its copy; the calls take numbers, and pointers into it and to the own stack.
    unsafe {
        let Writer { gates, within } = &*writer.cast::<Writer>();
        let say = |number: isize| {
            let number = number as i32;
            // Ignored: whoever does not hear it sees the end of the file.
            syscall!(WRITE, gates[0], &raw const number, size_of::<i32>());
        };
        syscall!(CLOSE, gates[1]);
        let joined = syscall!(SETNS, *within, uapi::CLONE_NEWUSER) as isize;
        // The kernel wants whoever makes a user namespace to be somebody in the one above.
        let became = if joined == 0 { -(become_root() as isize) } else { joined };
        if became != 0 {
            say(became);
            end()
        }
        // Whoever is the same user now may look at this process, and so may our parent, who has to; there is nothing of ours to be found.
        let (low, high) = ((*within).min(gates[0]), (*within).max(gates[0]));
        for (first, last) in [(0, low - 1), (low + 1, high - 1), (high + 1, RawFd::MAX)] {
            if first <= last {
                syscall!(CLOSE_RANGE, first, last, 0);
            }
        }
        syscall!(PRCTL, prctl::PR_SET_DUMPABLE, 1);
        // The other child ends with us.
        let mut ends: [RawFd; 2] = [-1; 2];
        syscall!(PIPE2, ends.as_mut_ptr(), 0usize);
        let mut handle: RawFd = -1;
        let mut arguments = clone_arguments(u64::from(uapi::CLONE_NEWUSER));
        arguments.pidfd = &raw mut handle as u64;
        let inner = match clone3(&arguments, begin_waiting, ends.as_ptr().cast()) {
            Ok(pid) => pid.as_raw_nonzero().get(),
            Err(errno) => {
                say(-(errno.raw_os_error() as isize));
                end()
            }
        };
        say(inner as isize);
        loop {
            let mut order = [0u8; ORDER_BYTES_MAX];
            let length = syscall!(READ, gates[0], order.as_mut_ptr(), order.len()) as isize;
            if length <= 0 {
                break;
            }
            let path_bytes = order.iter().take_while(|&&byte| byte != 0).count() as isize + 1;
            let opened = syscall!(OPENAT, uapi::AT_FDCWD, order.as_ptr(), uapi::O_WRONLY) as isize;
            let text = order.as_ptr().wrapping_offset(path_bytes);
            let written =
                if opened < 0 { opened } else { syscall!(WRITE, opened, text, length - path_bytes) as isize };
            say(written.min(0));
        }
        syscall!(CLOSE, ends[1]);
        syscall!(WAIT4, inner, 0usize, 0usize, 0usize);
        end()
    }
}

/// A path, and a map, of which the kernel takes less than a page.
const ORDER_BYTES_MAX: usize = 4096 + 64;

/// Waits for the end of its gate, and ends.
///
/// # Safety
/// Called in the child alone; `gate` is a descriptor.
unsafe extern "C" fn begin_waiting(gate: *const u8) -> ! {
    // SAFETY: `make` passes a descriptor, of which the child has its copy; the calls take numbers and a buffer of its own.
    unsafe {
        let gate = *gate.cast::<RawFd>();
        let mut byte = 0u8;
        close_but(0, &[gate]);
        syscall!(READ, gate, &raw mut byte, 1usize);
        end()
    }
}

/// What a child in a new user namespace needs.
#[repr(C)]
struct Waiting {
    program: Program,
    gate: RawFd,
    kept: [RawFd; 6],
    /// Namespaces that the child makes as the root of its user namespace, whose files would belong to nobody otherwise: /dev/mqueue has its
    /// owner from the moment when the namespace is made.
    unshared: u64,
}

/// What the child needs of the descriptors that execution closes, in order.
fn kept(birth: &Birth<'_>, gate: &OwnedFd) -> [RawFd; 6] {
    let [input, output, errors] = birth.standard.numbers();
    let mut kept =
        [birth.stage1.as_raw_fd(), birth.socket.as_raw_fd(), gate.as_raw_fd(), input, output, errors];
    kept.sort_unstable();
    kept
}

/// Closes the descriptors from `first` on, but for `kept`, which are in order; a number may come twice, or be none.
///
/// # Safety
/// Called in the child alone, whose descriptors are its own.
unsafe fn close_but(first: u32, kept: &[RawFd]) {
    let mut first = first;
    for &number in kept {
        let Ok(number) = u32::try_from(number) else { continue };
        if number > first {
            // SAFETY: numbers only. Ignored, here and below: where a filter forbids the call, stage1 cannot be executed either, and `Gate::close` ends
            // who waits.
            unsafe { syscall!(CLOSE_RANGE, first, number - 1, 0usize) };
        }
        first = first.max(number + 1);
    }
    // SAFETY: as above.
    unsafe { syscall!(CLOSE_RANGE, first, u32::MAX, 0usize) };
}

/// The namespaces that have files of their own from the beginning.
const WITH_FILES: u64 = uapi::CLONE_NEWIPC as u64;

/// Waits until its ids are mapped, becomes root, and executes stage1.
///
/// # Safety
/// Called in the child alone; `waiting` is a `Waiting`.
unsafe extern "C" fn begin_new(waiting: *const u8) -> ! {
    // SAFETY: `spawn_new` passes a `Waiting`, of which the child has its copy; the calls take numbers and pointers into it.
    unsafe {
        let waiting = &*waiting.cast::<Waiting>();
        let mut word = [0u8; 2];
        close_but(waiting.program.becomes as u32, &waiting.kept);
        let gate = other_than(waiting.program.becomes, waiting.gate);
        let received = syscall!(READ, gate, word.as_mut_ptr(), word.len());
        if received != word.len() {
            end();
        }
        let mut errno = become_root();
        if errno == 0 && waiting.unshared != 0 {
            errno = -(syscall!(UNSHARE, waiting.unshared) as isize) as i32;
        }
        if errno == 0 {
            errno = execute(&waiting.program);
        }
        // Ignored: a parent that misses this message still sees end-of-file.
        syscall!(WRITE, gate, &raw const errno, size_of::<i32>());
        end()
    }
}

/// Root of the user namespace; execution then gives it all capabilities there. Returns an errno, or 0.
///
/// # Safety
/// Called in the child alone.
unsafe fn become_root() -> i32 {
    // SAFETY: numbers only; a null list of no groups.
    unsafe {
        let groups = syscall!(SETGROUPS, 0usize, std::ptr::null::<u32>()) as isize;
        // Where setgroups is denied, groups cannot be dropped, and could not be used either.
        if groups != 0 && groups != -(Errno::PERM.raw_os_error() as isize) {
            return -groups as i32;
        }
        let group = syscall!(SETRESGID, 0usize, 0usize, 0usize) as isize;
        if group != 0 {
            return -group as i32;
        }
        -(syscall!(SETRESUID, 0usize, 0usize, 0usize) as isize) as i32
    }
}
