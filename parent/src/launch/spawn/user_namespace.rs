//! Births in a user namespace. The child waits at a gate until its ids are mapped, becomes the namespace's root, and only then
//! executes stage1, which so has every capability there.
//!
//! The child is a copy of us here, and does not share our memory: changing its ids would make that memory undumpable, which is the whole
//! process's affair. It makes system calls and nothing else, as the other births do.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use linux_raw_sys::general::{self as uapi, clone_args};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};
use sc::syscall;

use super::{
    Birth, Child, Program, clone_arguments, clone3, end, end_clone, execute, id_maps, in_namespaces,
};
use crate::config::IdMappings;
use crate::error::{Error, Result};

/// Our end of a conversation with a child that has not executed stage1 yet. Its end closes on execution.
#[derive(Debug)]
pub(crate) struct Gate(OwnedFd);

/// What the child says, followed by a number: its pid, or the errno of a call.
const SAYS_PID: u32 = 1;
const SAYS_ERRNO: u32 = 2;

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

    /// Leaves the child behind `pidfd`, which waits at the gate, no way but to end.
    fn close(self, pidfd: &OwnedFd) {
        drop(self.0);
        // Ignored: it is our child, and it ends.
        let _ = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    }

    /// Why the child could not execute stage1, if it said so.
    pub(super) fn failure(&self) -> Option<Errno> {
        match self.hear(RecvFlags::DONTWAIT) {
            Some((SAYS_ERRNO, errno)) => Some(Errno::from_raw_os_error(errno as i32)),
            _ => None,
        }
    }

    fn hear(&self, flags: RecvFlags) -> Option<(u32, u32)> {
        let mut words = [0; 8];
        let received =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.0, &mut words[..], flags)).ok()?;
        let word = |index: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| words[index * 4 + byte]));
        (received.1 == words.len()).then(|| (word(0), word(1)))
    }
}

/// A new user namespace, with every namespace of `birth.namespaces` below it. `prepare` maps its ids.
pub(crate) fn spawn_new(birth: &Birth<'_>, prepare: impl FnOnce(Pid) -> Result<()>) -> Result<Child> {
    let (gate, childs_gate) = Gate::pair()?;
    let waiting = Waiting {
        program: Program::new(birth),
        gate: childs_gate.as_raw_fd(),
        our_gate: gate.0.as_raw_fd(),
        unshared: birth.namespaces & WITH_FILES,
    };
    let mut pidfd: RawFd = -1;
    let mut arguments = birth.arguments();
    arguments.flags &= !WITH_FILES;
    arguments.pidfd = &raw mut pidfd as u64;
    let cloned = in_namespaces(birth.entered, || {
        // SAFETY: without CLONE_VM the child has a copy of our memory, `waiting` in it, and of our stack.
        unsafe { clone3(&arguments, begin_new, (&raw const waiting).cast()) }
    })
    .inspect_err(|_| end_clone(pidfd))?;
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
    let waiting = [childs_gate.as_raw_fd(), gate.0.as_raw_fd()];
    let mut pidfd: RawFd = -1;
    let mut arguments = clone_arguments(u64::from(uapi::CLONE_NEWUSER));
    arguments.pidfd = &raw mut pidfd as u64;
    // SAFETY: without CLONE_VM the child has a copy of our memory, `waiting` in it, and of our stack.
    let cloned = unsafe { clone3(&arguments, begin_waiting, waiting.as_ptr().cast()) };
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

/// Waits for the end of its gate, and ends.
unsafe extern "C" fn begin_waiting(gates: *const u8) -> ! {
    // SAFETY: `make` passes two descriptors, of which the child has its copy; the calls take numbers and a buffer of its own.
    unsafe {
        let gates = gates.cast::<RawFd>();
        let mut byte = 0u8;
        syscall!(CLOSE, *gates.add(1));
        syscall!(READ, *gates, &raw mut byte, 1usize);
        end()
    }
}

/// What a child in a new user namespace needs.
#[repr(C)]
struct Waiting {
    program: Program,
    gate: RawFd,
    /// Closed by the child, which would wait for itself otherwise.
    our_gate: RawFd,
    /// Namespaces that the child makes as the root of its user namespace, whose files would belong to nobody otherwise: /dev/mqueue has its
    /// owner from the moment when the namespace is made.
    unshared: u64,
}

/// The namespaces that have files of their own from the beginning.
const WITH_FILES: u64 = uapi::CLONE_NEWIPC as u64;

unsafe extern "C" fn begin_new(waiting: *const u8) -> ! {
    // SAFETY: `spawn_new` passes a `Waiting`, of which the child has its copy; the calls take numbers and pointers into it.
    unsafe {
        let waiting = &*waiting.cast::<Waiting>();
        let mut word = [0u8; 2];
        syscall!(CLOSE, waiting.our_gate);
        let received = syscall!(READ, waiting.gate, word.as_mut_ptr(), word.len());
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
        say(waiting.gate, SAYS_ERRNO, errno as u32);
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

/// # Safety
/// Called in the child alone.
unsafe fn say(gate: RawFd, kind: u32, number: u32) {
    let words = [kind, number];
    // SAFETY: the kernel reads eight bytes of `words`. Ignored: whoever does not hear it sees the end of the file.
    unsafe { syscall!(WRITE, gate, words.as_ptr(), size_of_val(&words)) };
}

/// Existing namespaces, perhaps a user namespace among them, with every new namespace of `birth.namespaces` below it.
///
/// Who makes namespaces below another user namespace must be in it, and who makes a pid namespace is not in that: so there is a process
/// between, which joins, clones the child as its sibling, and ends.
pub(crate) fn spawn_joined(birth: &Birth<'_>, user_namespace: Option<BorrowedFd<'_>>) -> Result<Child> {
    let (gate, childs_gate) = Gate::pair()?;
    // The process between is born in the cgroup, where only the host may put it; the child is there with it.
    let mut inner = Birth { cgroup: None, ..*birth }.arguments();
    inner.flags = inner.flags & !u64::from(uapi::CLONE_PIDFD) | u64::from(uapi::CLONE_PARENT);
    inner.exit_signal = 0;
    let mut joins = [(-1, 0); JOIN_COUNT_MAX];
    for (join, (namespace, kind)) in joins.iter_mut().zip(birth.entered) {
        *join = (namespace.as_raw_fd(), *kind);
    }
    let joining = Joining {
        program: Program::new(birth),
        gate: childs_gate.as_raw_fd(),
        user_namespace: user_namespace.map_or(-1, |namespace| namespace.as_raw_fd()),
        joins,
        inner,
    };
    let mut pidfd: RawFd = -1;
    let mut outer = Birth { namespaces: 0, ..*birth }.arguments();
    outer.pidfd = &raw mut pidfd as u64;
    // SAFETY: without CLONE_VM the child has a copy of our memory, `joining` in it, and of our stack.
    let cloned = unsafe { clone3(&outer, begin_joined, (&raw const joining).cast()) };
    cloned.map_err(|errno| super::not_born(birth, errno))?;
    // SAFETY: CLONE_PIDFD has stored a new descriptor here, and nobody else has seen it.
    let between = unsafe { OwnedFd::from_raw_fd(pidfd) };
    drop(childs_gate);
    let said = gate.hear(RecvFlags::empty());
    // Ignored: it is our child, and it ends after what it said.
    let _ = rustix::process::waitid(WaitId::PidFd(between.as_fd()), WaitIdOptions::EXITED);
    match said {
        Some((SAYS_PID, number)) => {
            let pid =
                Pid::from_raw(number as i32).ok_or_else(|| Error::new("clone container init: no pid"))?;
            // Our own child, which nobody has waited for: the number still means it.
            let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())
                .map_err(|errno| Error::call("pidfd_open of container init", errno))?;
            Ok(Child { pid, pidfd, shared: None, gate: Some(gate) })
        }
        Some((_, errno)) => Err(Error::call("join namespaces", Errno::from_raw_os_error(errno as i32))),
        None => Err(Error::new("join namespaces: the process that joins was killed")),
    }
}

/// Namespaces that are joined beside the user namespace: one of each other kind.
const JOIN_COUNT_MAX: usize = 8;

/// What the process between needs.
#[repr(C)]
struct Joining {
    program: Program,
    gate: RawFd,
    /// -1 is none.
    user_namespace: RawFd,
    /// Descriptor and kind; -1 is none.
    joins: [(RawFd, u32); JOIN_COUNT_MAX],
    inner: clone_args,
}

unsafe extern "C" fn begin_joined(joining: *const u8) -> ! {
    // SAFETY: `spawn_joined` passes a `Joining`, of which this process has its copy; the calls take numbers and pointers into it.
    unsafe {
        let argument = joining;
        let joining = &*joining.cast::<Joining>();
        let mut late = joining.joins;
        // What belongs to the host can be joined from outside alone, what belongs to the user namespace from inside.
        for join in late.iter_mut().filter(|join| join.0 >= 0) {
            if syscall!(SETNS, join.0, join.1) == 0 {
                join.0 = -1;
            }
        }
        let has_user_namespace = joining.user_namespace >= 0;
        let mut errno = 0;
        if has_user_namespace {
            errno = -(syscall!(SETNS, joining.user_namespace, uapi::CLONE_NEWUSER) as isize) as i32;
        }
        for join in late.iter().filter(|join| join.0 >= 0) {
            if errno == 0 {
                errno = -(syscall!(SETNS, join.0, join.1) as isize) as i32;
            }
        }
        if errno == 0 && has_user_namespace {
            errno = become_root();
        }
        if errno == 0 {
            match clone3(&joining.inner, begin_sibling, argument) {
                Ok(pid) => say(joining.gate, SAYS_PID, pid.as_raw_nonzero().get() as u32),
                Err(error) => say(joining.gate, SAYS_ERRNO, error.raw_os_error() as u32),
            }
        } else {
            say(joining.gate, SAYS_ERRNO, errno as u32);
        }
        end()
    }
}

unsafe extern "C" fn begin_sibling(joining: *const u8) -> ! {
    // SAFETY: as in `begin_joined`, of whose memory this is a copy.
    unsafe {
        let joining = &*joining.cast::<Joining>();
        let errno = execute(&joining.program);
        say(joining.gate, SAYS_ERRNO, errno as u32);
        end()
    }
}
