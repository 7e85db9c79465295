//! The one clone: clone3(CLONE_VM) on a small stack of its own, straight into execveat of a sealed copy of stage1.
//!
//! No intermediate process, no copied page tables. The child shares our memory until it has executed stage1, so it does a few
//! system calls and nothing else: no allocation, no thread-local, no panic.

pub(super) mod id_maps;
pub(super) mod user_namespace;

use std::arch::asm;
use std::ffi::CStr;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use linux_raw_sys::general::{self as uapi, clone_args};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use sc::syscall;

use self::user_namespace::Gate;
use super::stdio::Standard;
use crate::config::{Namespace, Namespaces};
use crate::descriptors::CLOSE_RANGE_CLOEXEC;
use crate::error::{Error, Kind, Result};

/// stage1's bytes, built and embedded by build.rs.
static STAGE1: &[u8] = include_bytes!(env!("PINNACE_STAGE1"));

/// Bytes of the stack on which the child makes its few calls.
const STACK_BYTES: usize = 8 << 10;

/// Between two looks at whether the child has executed stage1, which takes some 0.2 ms.
const EXECUTION_PAUSE: Duration = Duration::from_micros(50);

/// Nothing may change any more, these seals included.
const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// How the child is born.
pub(super) struct Birth<'a> {
    /// CLONE_NEW* flags of the namespaces that come with the clone.
    pub(super) namespaces: u64,
    /// The cgroup v2 directory to be born in.
    pub(super) cgroup: Option<BorrowedFd<'a>>,
    /// stage1, which the child executes.
    pub(super) stage1: BorrowedFd<'a>,
    /// Stays open in the child.
    pub(super) socket: BorrowedFd<'a>,
    /// Descriptors above standard error that stay open as well. All of them are, so that ours have higher numbers.
    pub(super) preserved_count: u32,
    pub(super) standard: &'a Standard,
}

impl Birth<'_> {
    fn arguments(&self) -> clone_args {
        let mut arguments = clone_arguments(self.namespaces);
        if let Some(cgroup) = self.cgroup {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = cgroup.as_raw_fd() as u64;
        }
        arguments
    }
}

/// A child with a pidfd, for which the caller has to name the place, and no handlers of signals; in new namespaces (CLONE_NEW* flags).
fn clone_arguments(namespaces: u64) -> clone_args {
    clone_args {
        flags: u64::from(uapi::CLONE_PIDFD) | CLONE_CLEAR_SIGHAND | namespaces,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(uapi::SIGCHLD),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    }
}

/// The CLONE_NEW* flags for the new namespaces. The network comes later and from the parent, the cgroup namespace once the child
/// is in its cgroups. For some containers the network comes with the clone.
pub(super) fn clone_flags(namespaces: &Namespaces, with_network: bool) -> u64 {
    let flag =
        |namespace: &Namespace, flag: u32| if *namespace == Namespace::New { u64::from(flag) } else { 0 };
    flag(&namespaces.pid, uapi::CLONE_NEWPID)
        | flag(&namespaces.mount, uapi::CLONE_NEWNS)
        | flag(&namespaces.ipc, uapi::CLONE_NEWIPC)
        | flag(&namespaces.uts, uapi::CLONE_NEWUTS)
        | flag(&namespaces.user, uapi::CLONE_NEWUSER)
        | if with_network { u64::from(uapi::CLONE_NEWNET) } else { 0 }
}

/// A child that executes stage1, or already has.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    /// What the child reads and writes until it has executed stage1: ours, from a box. No reference to the whole, since its stack is the child's.
    shared: Option<NonNull<Shared>>,
    /// Where a child that shares no memory with us says why it could not execute stage1.
    gate: Option<Gate>,
}

impl Child {
    /// The child has a memory of its own now, or is gone: what it shared with us can be freed.
    pub(super) fn has_executed_stage1(&mut self) {
        if let Some(shared) = self.shared.take() {
            // SAFETY: `spawn` has made it from a box, nobody has taken it since, and the child no longer knows it.
            drop(unsafe { Box::from_raw(shared.as_ptr()) });
        }
    }

    /// The child has made another one in its place, and is gone.
    pub(super) fn is_succeeded_by(&mut self, pid: Pid, pidfd: OwnedFd) {
        self.has_executed_stage1();
        (self.pid, self.pidfd) = (pid, pidfd);
    }

    fn shared_failure(&self) -> Option<&AtomicI32> {
        // SAFETY: the box lives until `has_executed_stage1` takes it; the field is an atomic, which both may use.
        self.shared.map(|shared| unsafe { &(*shared.as_ptr()).failure })
    }

    /// Returns when the child has executed stage1, or is gone. It is a few system calls away from that, unless it is born frozen.
    ///
    /// Errors: those of `look`, which is done meanwhile.
    pub(super) fn await_execution(&self, look: impl Fn() -> Result<()>) -> Result<()> {
        // Only a child on our own memory has anything `shared`.
        let Some(failure) = self.shared_failure() else { return Ok(()) };
        let link = format!("/proc/{}/exe", self.pid.as_raw_pid());
        loop {
            match rustix::fs::readlink(&link, Vec::new()) {
                Ok(program) if program.to_bytes().starts_with(b"/memfd:pinnace-stage1") => return Ok(()),
                Ok(_) if failure.load(Ordering::Acquire) == 0 => {}
                // It has ended, or cannot be looked at, which is nobody's who has our memory.
                _ => return Ok(()),
            }
            look()?;
            std::thread::sleep(EXECUTION_PAUSE);
        }
    }

    /// Why stage1 could not be executed; asked after the child has closed the socket.
    pub(super) fn execution_failure(&self) -> Option<Errno> {
        if let Some(gate) = &self.gate {
            return gate.failure();
        }
        let errno = self.shared_failure()?.load(Ordering::Acquire);
        (errno != 0).then(|| Errno::from_raw_os_error(errno))
    }
}

/// Everything that the child touches. It is lost if nobody says that the child is done with it: better a few pages than a child on a freed
/// stack.
#[derive(Debug)]
#[repr(C, align(16))]
struct Shared {
    stack: [u8; STACK_BYTES],
    program: Program,
    failure: AtomicI32,
}

/// What the child executes.
#[derive(Debug)]
struct Program {
    stage1: RawFd,
    socket: RawFd,
    /// What the standard descriptors become; -1: it stays.
    standard: [RawFd; 3],
    /// What the socket becomes: the lowest number that is not preserved. So all that stage1 opens has higher ones.
    becomes: RawFd,
    /// That in decimal, NUL-terminated: stage1's argument.
    argument: [u8; 12],
}

impl Program {
    fn new(birth: &Birth<'_>) -> Self {
        let (stage1, socket) = (birth.stage1.as_raw_fd(), birth.socket.as_raw_fd());
        let becomes = birth.preserved_count.saturating_add(3).min(RawFd::MAX as u32) as RawFd;
        let standard = birth.standard.numbers();
        Self { stage1, socket, standard, becomes, argument: decimal(becomes) }
    }
}

/// A sealed copy of stage1, to be executed once.
pub(super) fn stage1() -> Result<OwnedFd> {
    sealed_memfd(c"pinnace-stage1", STAGE1, true)
}

/// Clones the child. It runs at once.
pub(super) fn spawn(birth: &Birth<'_>) -> Result<Child> {
    let shared = NonNull::from(Box::leak(Box::new(Shared {
        stack: [0; STACK_BYTES],
        program: Program::new(birth),
        failure: AtomicI32::new(0),
    })));
    let mut pidfd: RawFd = -1;
    let mut arguments = birth.arguments();
    arguments.flags |= u64::from(uapi::CLONE_VM);
    arguments.pidfd = &raw mut pidfd as u64;
    (arguments.stack, arguments.stack_size) =
        (shared.as_ptr() as u64 + offset_of!(Shared, stack) as u64, STACK_BYTES as u64);
    // SAFETY: `shared` holds the child's stack and all that `child` reads; it is freed only once the child has executed stage1 or
    // is gone (`Child`). The descriptors in it are open until after the clone, which copies the table.
    let cloned = unsafe { clone3(&arguments, child, shared.as_ptr().cast::<u8>().cast_const()) };
    let pid = cloned.map_err(|errno| not_born(birth, errno))?;
    // SAFETY: CLONE_PIDFD has stored a new descriptor here, and nobody else has seen it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid, pidfd, shared: Some(shared), gate: None })
}

/// Why there is no child.
fn not_born(birth: &Birth<'_>, errno: Errno) -> Error {
    let (kind, error) = match errno {
        // A cgroup whose controllers are on for those below it takes no process itself (cgroups(7), "no internal processes").
        Errno::BUSY if birth.cgroup.is_some() => {
            (Kind::CgroupBusy, Error::call("clone container init", errno))
        }
        // Whoever moves a process needs the right to that in the cgroup above both of its places.
        Errno::ACCESS if birth.cgroup.is_some() => {
            (Kind::CgroupForbidden, Error::call("clone container init into its cgroup", errno))
        }
        Errno::OPNOTSUPP if birth.cgroup.is_some() => {
            return Error::new(
                "the container's cgroup takes no processes: one above it has some itself, or is threaded \
                 (its cgroup.type is \"domain invalid\")",
            );
        }
        Errno::AGAIN if birth.cgroup.is_some() => {
            let error = Error::call("clone container init", errno);
            return error
                .context("pids.max of the container's cgroup, or another limit of processes, is used up");
        }
        errno => return Error::call("clone container init", errno),
    };
    Error::of_kind(kind, error.to_string())
}

/// CLONE_CLEAR_SIGHAND and CLONE_INTO_CGROUP of linux/sched.h: they exceed the 32 bits of linux-raw-sys's constants.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Ends the child whose pidfd clone3 has stored here, if it came to that.
fn end_clone(pidfd: RawFd) {
    if pidfd >= 0 {
        // SAFETY: CLONE_PIDFD has stored a new descriptor here, and nobody else has seen it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        // Ignored, both: it may have ended by itself, and an error is on its way already.
        let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
        let _ = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

/// clone3(2); the child calls `begin` with `argument` and never returns. It does so on the stack of `arguments`, or on a copy of ours.
///
/// # Safety
/// What `argument` points to stays valid until the child has executed another program or ended, and nobody else uses its stack.
unsafe fn clone3(
    arguments: &clone_args,
    begin: unsafe extern "C" fn(*const u8) -> !,
    argument: *const u8,
) -> std::result::Result<Pid, Errno> {
    let returned: isize;
    // SAFETY: the caller vouches for `argument` and the stack in `arguments`. The parent comes out of the call as from any system call;
    // the child finds zero, has the pointer in a register that the kernel preserves, and stays on its side of the branch.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            in("r12") argument,
            in("r13") begin,
            inlateout("rax") uapi::__NR_clone3 as isize => returned,
            in("rdi") arguments,
            in("rsi") size_of::<clone_args>(),
            lateout("rcx") _, lateout("r11") _,
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, #0",
            "mov x0, x20",
            "blr x21",
            "udf #0",
            "2:",
            in("x20") argument,
            in("x21") begin,
            in("x8") uapi::__NR_clone3 as usize,
            inlateout("x0") arguments as *const clone_args as isize => returned,
            in("x1") size_of::<clone_args>(),
        );
    }
    match i32::try_from(returned) {
        Ok(number) if number > 0 => Pid::from_raw(number).ok_or(Errno::SRCH),
        Ok(number) => Err(Errno::from_raw_os_error(-number)),
        Err(_) => Err(Errno::INVAL),
    }
}

/// The child: stage1.
///
/// # Safety
/// `shared` is a `Shared`, which `spawn` keeps alive.
unsafe extern "C" fn child(shared: *const u8) -> ! {
    // SAFETY: the caller's promise. Nothing here allocates, unwinds or touches a thread-local.
    // References are to fields alone: the stack under this function is one, too.
    unsafe {
        let shared = shared.cast::<Shared>();
        let errno = execute(&(*shared).program);
        (*shared).failure.store(errno, Ordering::Release);
        end()
    }
}

/// Descriptors away, the socket kept, stage1. Returns only if it fails: the errno.
///
/// # Safety
/// Called in the child alone, whose descriptors are its own.
unsafe fn execute(program: &Program) -> i32 {
    let environment = [std::ptr::null::<u8>()];
    let arguments = [c"pinnace-stage1".as_ptr().cast(), program.argument.as_ptr(), std::ptr::null()];
    // SAFETY: the calls take numbers, and pointers into `program` or to constants; none of them returns into code that allocates,
    // unwinds or touches a thread-local.
    unsafe {
        // What callers have leaked to us (shims, buildah) must not reach the container, nor stay open in a held stage1.
        for (number, &becomes) in program.standard.iter().enumerate() {
            if becomes >= 0 {
                let duplicated = syscall!(DUP3, becomes, number, 0) as isize;
                if duplicated < 0 {
                    return -duplicated as i32;
                }
            }
        }
        let stage1 = other_than(program.becomes, program.stage1);
        let kept = if program.socket == program.becomes {
            syscall!(FCNTL, program.socket, uapi::F_SETFD, 0usize)
        } else {
            syscall!(DUP3, program.socket, program.becomes, 0usize)
        };
        let mut returned = kept as isize;
        if returned >= 0 {
            returned = syscall!(CLOSE_RANGE, program.becomes + 1, u32::MAX, CLOSE_RANGE_CLOEXEC) as isize;
        }
        if returned == 0 {
            returned = syscall!(
                EXECVEAT,
                stage1,
                c"".as_ptr(),
                arguments.as_ptr(),
                environment.as_ptr(),
                uapi::AT_EMPTY_PATH
            ) as isize;
        }
        -returned as i32
    }
}

/// A descriptor, or a copy of it if it has this number. A negative errno is one, too, for who uses it next.
///
/// # Safety
/// Called in the child alone, whose descriptors are its own.
unsafe fn other_than(number: RawFd, descriptor: RawFd) -> RawFd {
    if descriptor != number {
        return descriptor;
    }
    // SAFETY: numbers only.
    unsafe { syscall!(FCNTL, descriptor, uapi::F_DUPFD_CLOEXEC, number + 1) as RawFd }
}

/// Ends the child.
///
/// # Safety
/// Called in the child alone.
unsafe fn end() -> ! {
    // SAFETY: exit takes a number and does not return.
    unsafe {
        syscall!(EXIT, 127);
        std::hint::unreachable_unchecked()
    }
}

/// A memfd with this content that nobody can change any more.
pub(super) fn sealed_memfd(name: &CStr, content: &[u8], executable: bool) -> Result<OwnedFd> {
    let failed = |errno| Error::call(format_args!("memfd {}", name.to_string_lossy()), errno);
    let base = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Linux 6.3 wants to be told; vm.memfd_noexec may refuse what is not said.
    let told = if executable { MemfdFlags::EXEC } else { MemfdFlags::NOEXEC_SEAL };
    let memfd = match rustix::fs::memfd_create(name, base | told) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, base),
        made => made,
    }
    .map_err(failed)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&memfd, rest).map_err(failed)?;
        rest = &rest[written..];
    }
    rustix::fs::fcntl_add_seals(&memfd, SEALS).map_err(failed)?;
    Ok(memfd)
}

/// A descriptor's number in decimal, NUL-terminated.
fn decimal(number: RawFd) -> [u8; 12] {
    let mut text = [0; 12];
    for (to, from) in text.iter_mut().zip(number.to_string().bytes()) {
        *to = from;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_memfd_cannot_be_written() {
        let memfd = sealed_memfd(c"test", b"content", true).unwrap();
        assert_eq!(rustix::io::write(&memfd, b"x"), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&memfd, 0), Err(Errno::PERM));
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        assert_eq!(&decimal(307)[..4], b"307\0");
    }
}
