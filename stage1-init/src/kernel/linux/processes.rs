//! This process and its copies.

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
use crate::kernel::{Child, Descriptor, Ended, Errno, Messages, NamespaceKind, Processes, Result, arch};

/// Bytes of the kernel's signal set.
const SIGNAL_SET_BYTES: usize = 8;

/// A copy of this process, with a pidfd.
fn fork(flags: u64, exit_signal: u64) -> Result<Option<Child>> {
    let mut handle = -1i32;
    let arguments = uapi::clone_args {
        flags,
        pidfd: (&raw mut handle).expose_provenance() as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    // SAFETY: without CLONE_VM the child has a copy of all memory, this stack in it, and goes on from here with it.
    let pid = check(unsafe { syscall!(CLONE3, ptr::from_ref(&arguments), size_of::<uapi::clone_args>()) })?;
    match pid {
        // The child, who has no handle of itself.
        0 => Ok(None),
        pid => Ok(Some(Child { pid: pid as i32, handle: Descriptor(handle) })),
    }
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
        fork(u64::from(uapi::CLONE_PIDFD), u64::from(uapi::SIGCHLD))
    }

    fn fork_sibling(&mut self) -> Result<Option<Child>> {
        // It signals its end as we do ours.
        fork(u64::from(uapi::CLONE_PIDFD | uapi::CLONE_PARENT), 0)
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
