//! This process and its copies.

use core::arch::asm;
use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use core::ptr;

use linux_raw_sys::general as uapi;
use linux_raw_sys::{ioctl, prctl};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsRawFd, IntoRawFd};
use rustix::fs::Mode;
use rustix::net::{self, SocketFlags};
use rustix::process::{self, WaitIdOptions};
use sc::syscall;

use super::{Linux, check, control, lend};
use crate::kernel::{
    Child, Descriptor, Ended, Errno, Leave, Memory, Messages, NamespaceKind, Processes, Result, arch,
};

/// Bytes of the kernel's signal set.
const SIGNAL_SET_BYTES: usize = 8;

/// A child with a pidfd, which is stored in `handle`.
fn clone_arguments(flags: u32, exit_signal: u32, handle: *mut i32) -> uapi::clone_args {
    uapi::clone_args {
        flags: u64::from(uapi::CLONE_PIDFD | flags),
        pidfd: handle.expose_provenance() as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(exit_signal),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    }
}

/// A copy of this process.
fn fork(flags: u32, exit_signal: u32) -> Result<Option<Child>> {
    let mut handle = -1i32;
    let arguments = clone_arguments(flags, exit_signal, &raw mut handle);
    // SAFETY: without CLONE_VM the child has a copy of all memory, this stack in it, and goes on from here with it.
    let pid = check(unsafe { syscall!(CLONE3, ptr::from_ref(&arguments), size_of::<uapi::clone_args>()) })?;
    match pid {
        // The child, who has no handle of itself.
        0 => Ok(None),
        pid => Ok(Some(Child { pid: pid as i32, handle: Descriptor(handle) })),
    }
}

/// What a process needs that leaves its stack to a sibling. It lies at the lower end of the stack that it has instead.
struct Leaver {
    leave: Leave<Linux>,
    socket: Descriptor,
    handle: i32,
}

/// The stack of a process that leaves.
const LEAVERS_STACK_BYTES: usize = 4096;

/// A sibling on this memory, which returns from here. This process goes on in `leave`.
fn fork_on_this_memory(kernel: &mut Linux, socket: Descriptor, leave: Leave<Linux>) -> Result<()> {
    let stack = kernel.map_memory(LEAVERS_STACK_BYTES)?.as_mut_ptr();
    let leaver = stack.cast::<Leaver>();
    // SAFETY: the mapping is aligned to a page, larger than this, and nobody else's.
    unsafe { leaver.write(Leaver { leave, socket, handle: -1 }) };
    // SAFETY: inside the mapping.
    let handle = unsafe { &raw mut (*leaver).handle };
    // It signals its end as we do ours.
    let arguments = clone_arguments(uapi::CLONE_VM | uapi::CLONE_PARENT, 0, handle);
    let returned: usize;
    // SAFETY: both processes come out of the call with the same registers and one stack. This one, which has got a number, leaves it at once for the
    // mapping, whose upper end is aligned, and never comes back. The sibling, or whoever learns that there is none, goes on below the branch.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "syscall",
            "test rax, rax",
            "jle 2f",
            "mov rsp, r12",
            "xor ebp, ebp",
            "mov rdi, r13",
            "mov esi, eax",
            "call {leave}",
            "ud2",
            "2:",
            leave = sym leave_for_good,
            in("r12") stack.add(LEAVERS_STACK_BYTES),
            in("r13") leaver,
            inlateout("rax") uapi::__NR_clone3 as usize => returned,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<uapi::clone_args>(),
            lateout("rcx") _, lateout("r11") _,
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "svc #0",
            "cmp x0, #0",
            "b.le 2f",
            "mov sp, x20",
            "mov x29, #0",
            "mov w1, w0",
            "mov x0, x21",
            "bl {leave}",
            "udf #0",
            "2:",
            leave = sym leave_for_good,
            in("x20") stack.add(LEAVERS_STACK_BYTES),
            in("x21") leaver,
            in("x8") uapi::__NR_clone3 as usize,
            inlateout("x0") (&raw const arguments).expose_provenance() => returned,
            in("x1") size_of::<uapi::clone_args>(),
        );
    }
    check(returned).map(drop)
}

/// # Safety
/// `leaver` is that of `fork_on_this_memory`.
unsafe extern "C" fn leave_for_good(leaver: *const Leaver, pid: i32) -> ! {
    // SAFETY: the caller's promise. The kernel has stored the handle before anybody went on.
    let leaver = unsafe { &*leaver };
    let sibling = Child { pid, handle: Descriptor(leaver.handle) };
    (leaver.leave)(&mut Linux::new(), leaver.socket, sibling)
}

fn clone_flag(kind: NamespaceKind) -> u32 {
    match kind {
        NamespaceKind::Mount => uapi::CLONE_NEWNS,
        NamespaceKind::Network => uapi::CLONE_NEWNET,
        NamespaceKind::Ipc => uapi::CLONE_NEWIPC,
        NamespaceKind::Uts => uapi::CLONE_NEWUTS,
        NamespaceKind::Cgroup => uapi::CLONE_NEWCGROUP,
        NamespaceKind::Time => uapi::CLONE_NEWTIME,
        NamespaceKind::Pid => uapi::CLONE_NEWPID,
        NamespaceKind::User => uapi::CLONE_NEWUSER,
    }
}

impl Processes for Linux {
    fn die_with_parent(&mut self) -> Result<()> {
        control(prctl::PR_SET_PDEATHSIG, rustix::process::Signal::KILL.as_raw() as usize, 0)
    }

    fn set_undumpable(&mut self) -> Result<()> {
        control(prctl::PR_SET_DUMPABLE, 0, 0)
    }

    fn set_session(&mut self) -> Result<()> {
        process::setsid().map(drop)
    }

    fn set_group(&mut self) -> Result<()> {
        process::setpgid(None, None)
    }

    fn reset_signal(&mut self, signal: u32) -> Result<()> {
        let default_action = MaybeUninit::<uapi::kernel_sigaction>::zeroed();
        // SAFETY: an all-zero action is SIG_DFL with no flags; the kernel only reads it.
        check(unsafe {
            syscall!(RT_SIGACTION, signal, default_action.as_ptr(), ptr::null::<u8>(), SIGNAL_SET_BYTES)
        })?;
        Ok(())
    }

    fn unblock_signals(&mut self) -> Result<()> {
        let none = 0u64;
        // SAFETY: `none` is a kernel signal set of the size that is passed; the kernel only reads it.
        check(unsafe {
            syscall!(
                RT_SIGPROCMASK,
                uapi::SIG_SETMASK,
                ptr::from_ref(&none),
                ptr::null::<u8>(),
                SIGNAL_SET_BYTES
            )
        })?;
        Ok(())
    }

    fn set_umask(&mut self, umask: u32) {
        process::umask(Mode::from_raw_mode(umask));
    }

    fn process_id(&mut self) -> i32 {
        process::getpid().as_raw_nonzero().get()
    }

    fn set_namespace(&mut self, namespace: Descriptor, kind: NamespaceKind) -> Result<()> {
        // SAFETY: numbers only.
        check(unsafe { syscall!(SETNS, namespace.0, clone_flag(kind)) })?;
        Ok(())
    }

    fn unshare(&mut self, kind: NamespaceKind) -> Result<()> {
        // SAFETY: numbers only; no CLONE_FILES, so that no descriptor table changes under anybody.
        check(unsafe { syscall!(UNSHARE, clone_flag(kind)) })?;
        Ok(())
    }

    fn unshare_all(&mut self, kinds: u32) -> Result<()> {
        // SAFETY: the call takes a number. What is unshared is this process's own.
        check(unsafe { syscall!(UNSHARE, kinds) }).map(drop)
    }

    fn join_process(&mut self, process: Descriptor, kinds: u32) -> Result<()> {
        // SAFETY: numbers only.
        check(unsafe { syscall!(SETNS, process.0, kinds) })?;
        Ok(())
    }

    fn loopback_up(&mut self) -> Result<()> {
        /// struct ifreq as SIOCSIFFLAGS reads it (netdevice(7)): name and flags.
        #[repr(C)]
        struct Request {
            name: [u8; 16],
            flags: i16,
            padding: [u8; 22],
        }
        const _: () = assert!(size_of::<Request>() == 40);
        /// From linux/if.h, which linux-raw-sys leaves out.
        const IFF_UP: i16 = 1;

        let socket =
            net::socket_with(net::AddressFamily::INET, net::SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        let mut request = Request { name: [0; 16], flags: IFF_UP, padding: [0; 22] };
        request.name[..2].copy_from_slice(b"lo");
        // SAFETY: the request reads a structure of this size; the socket is open.
        let set =
            check(unsafe { syscall!(IOCTL, socket.as_raw_fd(), ioctl::SIOCSIFFLAGS, &raw const request) });
        // SAFETY: `socket` is ours and is not used again. (Its drop would go through the C library that stage1 has not.)
        unsafe { rustix::io::close(socket.into_raw_fd()) };
        set.map(drop)
    }

    fn fork(&mut self) -> Result<Option<Child>> {
        fork(0, uapi::SIGCHLD)
    }

    fn fork_sibling(&mut self, memory: Memory, socket: Descriptor, leave: Leave<Self>) -> Result<()> {
        if memory == Memory::Shared {
            return fork_on_this_memory(self, socket, leave);
        }
        match fork(uapi::CLONE_PARENT, 0)? {
            Some(sibling) => leave(self, socket, sibling),
            None => Ok(()),
        }
    }

    fn wait(&mut self, child: Child, timeout_ms: u32) -> Result<Option<Ended>> {
        let timeout = Timespec {
            tv_sec: i64::from(timeout_ms / 1000),
            tv_nsec: i64::from(timeout_ms % 1000) * 1_000_000,
        };
        let mut polled = [PollFd::from_borrowed_fd(lend(child.handle), PollFlags::IN)];
        if rustix::event::poll(&mut polled, (timeout_ms != 0).then_some(&timeout))? == 0 {
            return Ok(None);
        }
        let status = process::waitid(process::WaitId::PidFd(lend(child.handle)), WaitIdOptions::EXITED)?;
        Ok(status.map(|status| match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Exited(code as u16),
            (None, signal) => Ended::Killed(signal.unwrap_or(0) as u16),
        }))
    }

    fn kill_group(&mut self, child: Child) {
        // Ignored: the group is there from the child's first call on, and whoever has left it is not the hook's.
        if let Some(pid) = process::Pid::from_raw(child.pid) {
            let _ = process::kill_process_group(pid, process::Signal::KILL);
            let _ = process::kill_process(pid, process::Signal::KILL);
        }
    }

    fn execute<'a>(
        &mut self,
        program: &CStr,
        arguments: impl ExactSizeIterator<Item = &'a CStr>,
        environment: impl Iterator<Item = &'a CStr>,
    ) -> Errno {
        /// Pointers that fit the stack; more of them take a mapping.
        const NEAR: usize = 512;
        let argument_count = arguments.len();
        // One NULL ends each list; the environment may be one entry longer than the message's (HOME).
        let room = argument_count + environment.size_hint().1.unwrap_or(usize::MAX / 16) + 2;
        let mut near = [ptr::null::<c_char>(); NEAR];
        let pointers: &mut [*const c_char] = if room <= NEAR {
            &mut near
        } else {
            match self.map_memory(room * size_of::<*const c_char>()) {
                // SAFETY: a mapping is aligned to a page, and zero is a valid (null) pointer.
                Ok(memory) => unsafe { memory.align_to_mut().1 },
                Err(errno) => return errno,
            }
        };
        let (argument_pointers, environment_pointers) = pointers.split_at_mut(argument_count + 1);
        // The last slot of each stays null, whatever the iterators said of their lengths.
        for (slot, argument) in argument_pointers[..argument_count].iter_mut().zip(arguments) {
            *slot = argument.as_ptr();
        }
        let Some((_, entries)) = environment_pointers.split_last_mut() else { return Errno::TOOBIG };
        for (slot, entry) in entries.iter_mut().zip(environment) {
            *slot = entry.as_ptr();
        }
        // SAFETY: both lists end with a null pointer; the strings are NUL-terminated and outlive the call (`&CStr`).
        let returned = unsafe {
            syscall!(EXECVE, program.as_ptr(), argument_pointers.as_ptr(), environment_pointers.as_ptr())
        };
        check(returned).err().unwrap_or(Errno::IO)
    }

    fn exit(&mut self, status: i32) -> ! {
        // SAFETY: exit_group takes a number and does not return.
        unsafe { syscall!(EXIT_GROUP, status) };
        arch::trap()
    }
}
