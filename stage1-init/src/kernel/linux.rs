//! The system calls themselves: rustix where it has them, `sc` where it lacks them. Nothing here decides anything.

use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use linux_raw_sys::general as uapi;
use linux_raw_sys::{ioctl, landlock, prctl};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::mount::{
    self, FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use rustix::net::{
    self, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags,
};
use rustix::{process, system, thread};
use sc::syscall;
use shared_proto::limits::{
    FILTER_INSTRUCTION_BYTES, FRAME_DESCRIPTOR_COUNT_MAX, INLINE_BYTES_MAX, NODE_COUNT_MAX,
};
use shared_proto::{Attributes, Mark, Propagation, PropagationKind, Scheduler};
use zerocopy::little_endian::U32;

use rustix::process::WaitIdOptions;

use super::{
    Child, Descriptor, Ended, Errno, Kernel, NEW_LISTENER, NamespaceKind, NodeMask, Open, ProcessorMask,
    Resolve, Result, Status,
};
use crate::receive::DescriptorList;

/// How often a path is looked up while its surroundings change.
const LOOKS_MAX: u32 = 128;

/// The running kernel.
#[derive(Default)]
pub struct Linux {
    /// Where the next note goes, and for how many there is room.
    notes: Option<(*mut Mark, usize)>,
}

impl Linux {
    pub fn new() -> Self {
        Self { notes: None }
    }
}

/// From linux/close_range.h and linux/keyctl.h, which linux-raw-sys leaves out.
const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;
const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;

/// From linux/ioprio.h, likewise.
const IOPRIO_WHO_PROCESS: usize = 1;

/// struct sched_attr of linux/sched/types.h in its first version, likewise.
#[repr(C)]
struct SchedulerAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

const _: () = assert!(size_of::<SchedulerAttributes>() == 48);
/// From linux/seccomp.h and linux/filter.h.
const SECCOMP_SET_MODE_FILTER: u32 = 1;

/// struct sock_fprog, with its instructions as the bytes that they are.
#[repr(C)]
struct SockFilterProgram {
    count: u16,
    instructions: *const u8,
}

const _: () = assert!(size_of::<SockFilterProgram>() == 16);

/// Bytes of the kernel's signal set.
const SIGNAL_SET_BYTES: usize = 8;

/// Bytes for the descriptors of one datagram.
const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmRights(FRAME_DESCRIPTOR_COUNT_MAX));

/// Lends a descriptor to rustix for one call.
fn lend<'a>(descriptor: Descriptor) -> BorrowedFd<'a> {
    // SAFETY: stage1 closes a descriptor only through `Kernel::close`, which cannot run during the one call that this borrow is
    // for. -1, the one forbidden value, is in no `Descriptor`: what a successful call returned is not negative, nor is what
    // `Descriptor::from_argument` makes, and -100 stands for the working directory.
    unsafe { BorrowedFd::borrow_raw(descriptor.0) }
}

/// Takes a descriptor from rustix; from now on `Kernel::close` closes it.
fn keep(descriptor: OwnedFd) -> Descriptor {
    Descriptor(descriptor.into_raw_fd())
}

/// The errno in a raw return value.
fn check(returned: usize) -> Result<usize> {
    let signed = returned as isize;
    if (-4095..0).contains(&signed) { Err(Errno::from_raw_os_error(-signed as i32)) } else { Ok(returned) }
}

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

/// mount_setattr(2): rustix has no binding.
fn mount_setattr(
    directory: Descriptor,
    path: &CStr,
    recursive: bool,
    attributes: &uapi::mount_attr,
) -> Result<()> {
    let mut flags = if path.is_empty() { uapi::AT_EMPTY_PATH } else { 0 };
    if recursive {
        flags |= uapi::AT_RECURSIVE;
    }
    // SAFETY: `path` is NUL-terminated and `attributes` is the structure whose size is passed; the kernel only reads both.
    check(unsafe {
        syscall!(
            MOUNT_SETATTR,
            directory.0,
            path.as_ptr(),
            flags,
            ptr::from_ref(attributes),
            size_of::<uapi::mount_attr>()
        )
    })?;
    Ok(())
}

/// Bytes of the first version of struct mnt_id_req, and of a struct statmount without text.
const MNT_ID_REQ_SIZE: u64 = 24;
const STATMOUNT_BYTES: usize = 1024;

/// prctl(2) with numbers only.
fn control(option: u32, argument: usize, more: usize) -> Result<()> {
    // SAFETY: the options that this file passes take numbers, no pointers.
    check(unsafe { syscall!(PRCTL, option, argument, more, 0usize, 0usize) })?;
    Ok(())
}

impl Kernel for Linux {
    fn receive(
        &mut self,
        socket: Descriptor,
        buffer: &mut [u8],
        descriptors: &mut DescriptorList,
    ) -> Result<usize> {
        let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [rustix::io::IoSliceMut::new(buffer)];
        let received = net::recvmsg(lend(socket), &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        if received.flags.contains(net::ReturnFlags::TRUNC) {
            return Err(Errno::MSGSIZE);
        }
        if received.flags.contains(net::ReturnFlags::CTRUNC) {
            // There is room for as many as the protocol allows: it is the limit of open files that keeps them out.
            return Err(Errno::MFILE);
        }
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                for descriptor in rights {
                    descriptors.push(keep(descriptor)).map_err(|_| Errno::PROTO)?;
                }
            }
        }
        Ok(received.bytes)
    }

    fn send(&mut self, socket: Descriptor, bytes: &[u8]) -> Result<()> {
        net::send(lend(socket), bytes, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn send_descriptor(&mut self, socket: Descriptor, bytes: &[u8], descriptor: Descriptor) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [lend(descriptor)];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Errno::TOOMANYREFS);
        }
        let slices = [rustix::io::IoSlice::new(bytes)];
        net::sendmsg(lend(socket), &slices, &mut ancillary, SendFlags::NOSIGNAL).map(drop)
    }

    fn send_descriptor_by_sendmmsg(
        &mut self,
        socket: Descriptor,
        bytes: &[u8],
        descriptor: Descriptor,
    ) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [lend(descriptor)];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(Errno::TOOMANYREFS);
        }
        let slices = [rustix::io::IoSlice::new(bytes)];
        let mut messages = [net::MMsgHdr::new(&slices, &mut ancillary)];
        net::sendmmsg(lend(socket), &mut messages, SendFlags::NOSIGNAL).map(drop)
    }

    fn accept(&mut self, listener: Descriptor) -> Result<Descriptor> {
        net::accept_with(lend(listener), SocketFlags::CLOEXEC).map(keep)
    }

    fn message_memory(&mut self) -> &'static mut [u8] {
        static mut MEMORY: [u8; INLINE_BYTES_MAX] = [0; INLINE_BYTES_MAX];
        static IS_TAKEN: AtomicBool = AtomicBool::new(false);
        if IS_TAKEN.swap(true, Ordering::Relaxed) {
            return &mut [];
        }
        let memory = &raw mut MEMORY;
        // SAFETY: nothing else names this memory, and whoever asks a second time does not come here.
        unsafe { &mut *memory }
    }

    fn map_memory(&mut self, bytes: usize) -> Result<&'static mut [u8]> {
        // SAFETY: a new private mapping, at a place that the kernel chooses, touches no memory that exists.
        let memory = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        // SAFETY: the mapping is zeroed, `bytes` long, never unmapped, and no one else has its address.
        Ok(unsafe { core::slice::from_raw_parts_mut(memory.cast(), bytes) })
    }

    fn map_file(&mut self, file: Descriptor, bytes: usize) -> Result<&'static [u8]> {
        // A length behind the end would be a SIGBUS later.
        if fs::fstat(lend(file))?.st_size < bytes as i64 || bytes == 0 {
            return Err(Errno::INVAL);
        }
        // SAFETY: as in `map_memory`; the parent has sealed the file against writing and shrinking.
        let memory = unsafe {
            rustix::mm::mmap(ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::PRIVATE, lend(file), 0)?
        };
        // SAFETY: the mapping is `bytes` long, inside the file, never unmapped and never written.
        Ok(unsafe { core::slice::from_raw_parts(memory.cast(), bytes) })
    }

    fn take_notes(&mut self, file: Descriptor, bytes: usize) -> Result<()> {
        if fs::fstat(lend(file))?.st_size < bytes as i64 || bytes == 0 {
            return Err(Errno::INVAL);
        }
        // SAFETY: as in `map_memory`; the file is the parent's, who does not shrink it.
        let memory = unsafe {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            rustix::mm::mmap(ptr::null_mut(), bytes, protection, MapFlags::SHARED, lend(file), 0)?
        };
        // No reference: the parent reads the file while we write it.
        self.notes = Some((memory.cast(), bytes / size_of::<Mark>()));
        Ok(())
    }

    fn note(&mut self, label: u32) {
        let Some((place, left @ 1..)) = self.notes else { return };
        let mut now = uapi::__kernel_timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel writes the structure that it is given. (rustix would look for a vDSO first.)
        let _ = unsafe { syscall!(CLOCK_GETTIME, uapi::CLOCK_REALTIME, &raw mut now) };
        let nanoseconds = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
        let mark = Mark { label: label.into(), reserved: 0.into(), nanoseconds: nanoseconds.into() };
        // SAFETY: `take_notes` has mapped room for `left` more marks here, which is never unmapped; a mark has no alignment.
        self.notes = unsafe {
            place.write_volatile(mark);
            Some((place.add(1), left - 1))
        };
    }

    fn read(&mut self, file: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        rustix::io::read(lend(file), buffer)
    }

    fn write(&mut self, file: Descriptor, bytes: &[u8]) -> Result<()> {
        match rustix::io::write(lend(file), bytes)? {
            written if written == bytes.len() => Ok(()),
            _ => Err(Errno::IO),
        }
    }

    fn close(&mut self, descriptor: Descriptor) {
        // SAFETY: nobody but `Descriptor`s, which are numbers, refers to what stage1 has open: `keep` has taken it from its `OwnedFd`. That callers
        // close once and use it no more, the fake kernel checks.
        unsafe { rustix::io::close(descriptor.0) }
    }

    fn close_from(&mut self, first: Descriptor) -> Result<()> {
        // SAFETY: numbers only; callers name a number above every descriptor that they still use.
        check(unsafe { syscall!(CLOSE_RANGE, first.0, u32::MAX, 0) })?;
        Ok(())
    }

    fn close_on_execute_from(&mut self, first: Descriptor) -> Result<()> {
        // SAFETY: numbers only; CLOSE_RANGE_CLOEXEC closes nothing now.
        check(unsafe { syscall!(CLOSE_RANGE, first.0, u32::MAX, CLOSE_RANGE_CLOEXEC) })?;
        Ok(())
    }

    fn die_with_parent(&mut self) -> Result<()> {
        control(prctl::PR_SET_PDEATHSIG, rustix::process::Signal::KILL.as_raw() as usize, 0)
    }

    fn set_undumpable(&mut self) -> Result<()> {
        control(prctl::PR_SET_DUMPABLE, 0, 0)
    }

    fn set_session(&mut self) -> Result<()> {
        process::setsid().map(drop)
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

    fn terminal_unlock(&mut self, master: Descriptor) -> Result<()> {
        let locked = 0i32;
        // SAFETY: the request reads one int.
        check(unsafe { syscall!(IOCTL, master.0, ioctl::TIOCSPTLCK, ptr::from_ref(&locked)) })?;
        Ok(())
    }

    fn terminal_peer(&mut self, master: Descriptor) -> Result<Descriptor> {
        let flags = uapi::O_RDWR | uapi::O_NOCTTY | uapi::O_CLOEXEC;
        // SAFETY: the request takes flags and returns a new descriptor.
        let returned = check(unsafe { syscall!(IOCTL, master.0, ioctl::TIOCGPTPEER, flags) })?;
        Ok(Descriptor(returned as i32))
    }

    fn terminal_control(&mut self, terminal: Descriptor) -> Result<()> {
        // SAFETY: numbers only; 0 takes it from nobody.
        check(unsafe { syscall!(IOCTL, terminal.0, ioctl::TIOCSCTTY, 0usize) })?;
        Ok(())
    }

    fn terminal_size(&mut self, terminal: Descriptor, width: u16, height: u16) -> Result<()> {
        let size = uapi::winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the request reads this structure.
        check(unsafe { syscall!(IOCTL, terminal.0, ioctl::TIOCSWINSZ, ptr::from_ref(&size)) })?;
        Ok(())
    }

    fn duplicate(&mut self, file: Descriptor, number: Descriptor) -> Result<()> {
        // SAFETY: numbers only; what `number` meant before is one of the standard streams, which stage1 does not use.
        check(unsafe { syscall!(DUP3, file.0, number.0, 0usize) })?;
        Ok(())
    }

    fn give_to_user(&mut self, file: Descriptor, uid: u32) -> Result<()> {
        fs::fchown(lend(file), Some(fs::Uid::from_raw(uid)), None)
    }

    fn set_affinity(&mut self, mask: &ProcessorMask) -> Result<()> {
        // SAFETY: the kernel reads as many bytes as `mask` has; 0 is the calling thread.
        check(unsafe { syscall!(SCHED_SETAFFINITY, 0usize, size_of::<ProcessorMask>(), mask.as_ptr()) })?;
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

    fn set_group(&mut self) -> Result<()> {
        process::setpgid(None, None)
    }

    fn kill_group(&mut self, child: Child) {
        // Ignored: the group is there from the child's first call on, and whoever has left it is not the hook's.
        if let Some(pid) = process::Pid::from_raw(child.pid) {
            let _ = process::kill_process_group(pid, process::Signal::KILL);
            let _ = process::kill_process(pid, process::Signal::KILL);
        }
    }

    fn process_id(&mut self) -> i32 {
        process::getpid().as_raw_nonzero().get()
    }

    fn memory_file(&mut self, content: &[&[u8]]) -> Result<Descriptor> {
        let file = keep(fs::memfd_create(c"hook", fs::MemfdFlags::CLOEXEC)?);
        for part in content {
            self.write(file, part)?;
        }
        fs::seek(lend(file), fs::SeekFrom::Start(0))?;
        Ok(file)
    }

    fn set_standard(&mut self, input: Descriptor, output: Descriptor) -> Result<()> {
        for (from, to) in [(input, 0usize), (output, 1), (output, 2)] {
            // SAFETY: numbers only; what had the standard numbers is the caller's to give up.
            check(unsafe { syscall!(DUP3, from.0, to, 0usize) })?;
        }
        Ok(())
    }

    fn open(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        open: Open,
        resolve: Resolve,
    ) -> Result<Descriptor> {
        let flags = OFlags::CLOEXEC
            | match open {
                Open::Path => OFlags::PATH,
                Open::PathNoFollow => OFlags::PATH | OFlags::NOFOLLOW,
                Open::Directory => OFlags::PATH | OFlags::DIRECTORY,
                Open::Read => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
                Open::Write => OFlags::WRONLY | OFlags::NOCTTY,
                Open::Terminal => OFlags::RDWR | OFlags::NOCTTY,
            };
        let in_root = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let resolve = match resolve {
            Resolve::Host => ResolveFlags::empty(),
            Resolve::InRoot => in_root,
            Resolve::InRootNoSymlinks => in_root | ResolveFlags::NO_SYMLINKS,
            Resolve::Beneath => ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS,
        };
        for _ in 0..LOOKS_MAX {
            match fs::openat2(lend(directory), path, flags, Mode::empty(), resolve) {
                // Something was renamed or mounted meanwhile and the kernel cannot vouch for the path: look again.
                Err(Errno::AGAIN) => {}
                opened => return opened.map(keep),
            }
        }
        // Whoever shares a volume can go on renaming in it.
        Err(Errno::AGAIN)
    }

    fn read_link(&mut self, directory: Descriptor, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
        fs::readlinkat_raw(lend(directory), name, buffer)
    }

    fn status(&mut self, file: Descriptor) -> Result<Status> {
        fs::fstat(lend(file)).map(status)
    }

    fn status_of_entry(&mut self, directory: Descriptor, name: &CStr) -> Result<Status> {
        fs::statat(lend(directory), name, AtFlags::SYMLINK_NOFOLLOW).map(status)
    }

    fn read_directory(&mut self, directory: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: the kernel writes at most the length that is passed into `buffer`.
        check(unsafe { syscall!(GETDENTS64, directory.0, buffer.as_mut_ptr(), buffer.len()) })
    }

    fn list_attributes(&mut self, file: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: the kernel writes at most the length that is passed into `buffer`.
        check(unsafe { syscall!(FLISTXATTR, file.0, buffer.as_mut_ptr(), buffer.len()) })
    }

    fn attribute(&mut self, file: Descriptor, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: the name is NUL-terminated and only read; the kernel writes at most the length that is passed into `buffer`.
        check(unsafe { syscall!(FGETXATTR, file.0, name.as_ptr(), buffer.as_mut_ptr(), buffer.len()) })
    }

    fn is_writable(&mut self, file: Descriptor) -> Result<bool> {
        Ok(fs::fcntl_getfl(lend(file))?.intersects(OFlags::WRONLY | OFlags::RDWR))
    }

    fn status_of(&mut self, path: &CStr) -> Result<Status> {
        fs::stat(path).map(status)
    }

    fn is_same_file(&mut self, one: Descriptor, other: Descriptor) -> Result<bool> {
        let (one, other) = (fs::fstat(lend(one))?, fs::fstat(lend(other))?);
        Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
    }

    fn mount_number(&mut self, place: Descriptor) -> Result<u64> {
        const MNT_ID_UNIQUE: fs::StatxFlags = fs::StatxFlags::from_bits_retain(0x4000);
        let wanted = fs::StatxFlags::MNT_ID | MNT_ID_UNIQUE;
        let status = fs::statx(lend(place), c"", AtFlags::EMPTY_PATH, wanted)?;
        Ok(status.stx_mnt_id)
    }

    fn has_mount(&mut self, number: u64) -> Result<bool> {
        /// The lowest of those numbers (MNT_UNIQUE_ID_OFFSET of the kernel's fs/namespace.c).
        const UNIQUE_MIN: u64 = 1 << 31;
        if number < UNIQUE_MIN {
            return Err(Errno::NOSYS);
        }
        // The first version of the structure. Nothing is asked for but whether it is there.
        let request = [MNT_ID_REQ_SIZE, number, 0];
        let mut answer = [0u64; STATMOUNT_BYTES / size_of::<u64>()];
        // SAFETY: `request` is a struct mnt_id_req of the size in it, which the kernel reads, and `answer` is as long as is passed.
        let asked = check(unsafe {
            sc::platform::syscall4(
                uapi::__NR_statmount as usize,
                request.as_ptr() as usize,
                answer.as_mut_ptr() as usize,
                size_of_val(&answer),
                0,
            )
        });
        match asked {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    fn filesystem_type(&mut self, file: Descriptor) -> Result<u64> {
        fs::fstatfs(lend(file)).map(|statfs| statfs.f_type as u64)
    }

    fn check_executable(&mut self, path: &CStr) -> Result<()> {
        fs::access(path, fs::Access::EXEC_OK)
    }

    fn current_directory_is_reachable(&mut self) -> Result<bool> {
        let mut buffer = [0u8; 4096];
        // SAFETY: the kernel writes at most the length that is passed into `buffer`.
        match check(unsafe { syscall!(GETCWD, buffer.as_mut_ptr(), buffer.len()) }) {
            Ok(_) => Ok(buffer[0] == b'/'),
            Err(errno) => Err(errno),
        }
    }

    fn make_directory(&mut self, directory: Descriptor, name: &CStr, mode: u32) -> Result<()> {
        fs::mkdirat(lend(directory), name, Mode::from_raw_mode(mode))
    }

    fn make_file(&mut self, directory: Descriptor, name: &CStr) -> Result<()> {
        fs::mknodat(lend(directory), name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)
    }

    fn make_node(
        &mut self,
        directory: Descriptor,
        name: &CStr,
        mode: u32,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        let device = fs::makedev(major, minor);
        fs::mknodat(lend(directory), name, FileType::from_raw_mode(mode), Mode::from_raw_mode(mode), device)
    }

    fn make_node_like(&mut self, directory: Descriptor, name: &CStr, other: Status) -> Result<()> {
        let (kind, mode) = (FileType::from_raw_mode(other.mode), Mode::from_raw_mode(other.mode));
        fs::mknodat(lend(directory), name, kind, mode, other.device)
    }

    fn copy_content(&mut self, from: Descriptor, to: Descriptor) -> Result<usize> {
        const BYTES: usize = 1 << 20;
        // SAFETY: numbers, and no place for an offset.
        check(unsafe { syscall!(SENDFILE, to.0, from.0, 0usize, BYTES) })
    }

    fn change_mode(&mut self, directory: Descriptor, name: &CStr, mode: u32) -> Result<()> {
        fs::chmodat(lend(directory), name, Mode::from_raw_mode(mode), AtFlags::empty())
    }

    fn set_attribute(&mut self, file: Descriptor, name: &CStr, value: &[u8]) -> Result<()> {
        fs::fsetxattr(lend(file), name, value, fs::XattrFlags::empty())
    }

    fn make_symlink(&mut self, directory: Descriptor, name: &CStr, target: &CStr) -> Result<()> {
        fs::symlinkat(target, lend(directory), name)
    }

    fn change_owner(&mut self, directory: Descriptor, name: &CStr, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (fs::Uid::from_raw(uid), fs::Gid::from_raw(gid));
        fs::chownat(lend(directory), name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn open_tree(&mut self, directory: Descriptor, path: &CStr, recursive: bool) -> Result<Descriptor> {
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        if path.is_empty() {
            flags |= OpenTreeFlags::AT_EMPTY_PATH;
        }
        if recursive {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        mount::open_tree(lend(directory), path, flags).map(keep)
    }

    fn move_mount(&mut self, mount: Descriptor, directory: Descriptor, path: &CStr) -> Result<()> {
        let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        if path.is_empty() {
            flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        }
        mount::move_mount(lend(mount), c"", lend(directory), path, flags)
    }

    fn set_propagation(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        propagation: Propagation,
    ) -> Result<()> {
        let flag = match propagation.kind {
            PropagationKind::Shared => uapi::MS_SHARED,
            PropagationKind::Slave => uapi::MS_SLAVE,
            PropagationKind::Private => uapi::MS_PRIVATE,
            PropagationKind::Unbindable => uapi::MS_UNBINDABLE,
        };
        let attributes =
            uapi::mount_attr { attr_set: 0, attr_clr: 0, propagation: u64::from(flag), userns_fd: 0 };
        mount_setattr(directory, path, propagation.recursive, &attributes)
    }

    fn set_attributes(&mut self, mount: Descriptor, attributes: Attributes, recursive: bool) -> Result<()> {
        let attributes = uapi::mount_attr {
            attr_set: u64::from(attributes.set),
            attr_clr: u64::from(attributes.clear),
            propagation: 0,
            userns_fd: 0,
        };
        mount_setattr(mount, c"", recursive, &attributes)
    }

    fn set_attributes_private(&mut self, mount: Descriptor, attributes: Attributes) -> Result<()> {
        let attributes = uapi::mount_attr {
            attr_set: u64::from(attributes.set),
            attr_clr: u64::from(attributes.clear),
            propagation: u64::from(uapi::MS_PRIVATE),
            userns_fd: 0,
        };
        mount_setattr(mount, c"", true, &attributes)
    }

    fn set_owners(&mut self, mount: Descriptor, namespace: Descriptor) -> Result<()> {
        let attributes = uapi::mount_attr {
            attr_set: u64::from(uapi::MOUNT_ATTR_IDMAP),
            attr_clr: 0,
            propagation: 0,
            userns_fd: u64::from(namespace.0.unsigned_abs()),
        };
        mount_setattr(mount, c"", false, &attributes)
    }

    fn mount(&mut self, source: &CStr, target: &CStr, fstype: &CStr, flags: u32, data: &CStr) -> Result<()> {
        mount::mount(source, target, fstype, MountFlags::from_bits_retain(flags), data)
    }

    fn filesystem_open(&mut self, fstype: &CStr) -> Result<Descriptor> {
        mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC).map(keep)
    }

    fn filesystem_set(&mut self, filesystem: Descriptor, key: &CStr, value: Option<&CStr>) -> Result<()> {
        match value {
            Some(value) => mount::fsconfig_set_string(lend(filesystem), key, value),
            None => mount::fsconfig_set_flag(lend(filesystem), key),
        }
    }

    fn filesystem_create(&mut self, filesystem: Descriptor) -> Result<()> {
        mount::fsconfig_create(lend(filesystem))
    }

    fn filesystem_mount(&mut self, filesystem: Descriptor, attributes: u32) -> Result<Descriptor> {
        let attributes = MountAttrFlags::from_bits_retain(attributes);
        mount::fsmount(lend(filesystem), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(keep)
    }

    fn unmount_detached(&mut self, path: &CStr) -> Result<()> {
        mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
    }

    fn pivot_root(&mut self, new: &CStr, old: &CStr) -> Result<()> {
        process::pivot_root(new, old)
    }

    fn change_root(&mut self, path: &CStr) -> Result<()> {
        process::chroot(path)
    }

    fn change_directory(&mut self, path: &CStr) -> Result<()> {
        process::chdir(path)
    }

    fn change_directory_to(&mut self, directory: Descriptor) -> Result<()> {
        process::fchdir(lend(directory))
    }

    fn set_hostname(&mut self, name: &[u8]) -> Result<()> {
        system::sethostname(name)
    }

    fn set_domainname(&mut self, name: &[u8]) -> Result<()> {
        system::setdomainname(name)
    }

    fn new_session_keyring(&mut self) -> Result<()> {
        // SAFETY: a null name joins a new anonymous keyring; the other arguments are numbers.
        check(unsafe { syscall!(KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, ptr::null::<u8>()) })?;
        Ok(())
    }

    fn set_rlimit(&mut self, resource: u32, soft: u64, hard: u64) -> Result<()> {
        let limit = uapi::rlimit64 { rlim_cur: soft, rlim_max: hard };
        // SAFETY: `limit` is the structure that the call reads; no old limit is asked for.
        check(unsafe { syscall!(PRLIMIT64, 0usize, resource, ptr::from_ref(&limit), ptr::null::<u8>()) })?;
        Ok(())
    }

    fn set_scheduler(&mut self, scheduler: &Scheduler) -> Result<()> {
        let attributes = SchedulerAttributes {
            size: size_of::<SchedulerAttributes>() as u32,
            policy: scheduler.policy,
            flags: u64::from(scheduler.flags),
            nice: scheduler.nice,
            priority: scheduler.priority,
            runtime: scheduler.runtime,
            deadline: scheduler.deadline,
            period: scheduler.period,
        };
        // SAFETY: `attributes` begins with its size, beyond which the kernel does not read; the other arguments are numbers.
        check(unsafe { syscall!(SCHED_SETATTR, 0usize, ptr::from_ref(&attributes), 0usize) })?;
        Ok(())
    }

    fn set_io_priority(&mut self, packed: u32) -> Result<()> {
        // SAFETY: numbers only; process 0 is the caller.
        check(unsafe { syscall!(IOPRIO_SET, IOPRIO_WHO_PROCESS, 0usize, packed) })?;
        Ok(())
    }

    fn set_personality(&mut self, domain: u32) -> Result<()> {
        // SAFETY: a number only.
        check(unsafe { syscall!(PERSONALITY, domain) })?;
        Ok(())
    }

    fn set_memory_policy(&mut self, mode: u32, mask: &NodeMask) -> Result<()> {
        // The kernel reads one bit less than it is told of.
        const BITS: u32 = NODE_COUNT_MAX + 1;
        // SAFETY: the kernel reads `NODE_COUNT_MAX` bits, which `mask` has.
        check(unsafe { syscall!(SET_MEMPOLICY, mode, mask.as_ptr(), BITS) })?;
        Ok(())
    }

    fn set_label(&mut self, file: Descriptor, label: &CStr) -> Result<()> {
        // The NUL belongs to the value, as libselinux writes it.
        fs::fsetxattr(lend(file), c"security.selinux", label.to_bytes_with_nul(), fs::XattrFlags::empty())
    }

    fn set_groups(&mut self, groups: &[U32]) -> Result<()> {
        // SAFETY: the kernel reads `len` little-endian 32-bit numbers, byte by byte, from memory that holds as many.
        check(unsafe { syscall!(SETGROUPS, groups.len(), groups.as_ptr()) })?;
        Ok(())
    }

    fn set_group_id(&mut self, gid: u32) -> Result<()> {
        let gid = fs::Gid::from_raw(gid);
        thread::set_thread_res_gid(gid, gid, gid)
    }

    fn set_user_id(&mut self, uid: u32) -> Result<()> {
        let uid = fs::Uid::from_raw(uid);
        thread::set_thread_res_uid(uid, uid, uid)
    }

    fn keep_capabilities(&mut self) -> Result<()> {
        control(prctl::PR_SET_KEEPCAPS, 1, 0)
    }

    fn drop_bounding(&mut self, capability: u32) -> Result<()> {
        control(prctl::PR_CAPBSET_DROP, capability as usize, 0)
    }

    fn set_capabilities(&mut self, effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
        let header = uapi::__user_cap_header_struct { version: uapi::_LINUX_CAPABILITY_VERSION_3, pid: 0 };
        let half = |shift: u32| uapi::__user_cap_data_struct {
            effective: (effective >> shift) as u32,
            permitted: (permitted >> shift) as u32,
            inheritable: (inheritable >> shift) as u32,
        };
        let data = [half(0), half(32)];
        // SAFETY: version 3 of the header announces two data structures, which `data` has; the kernel only reads.
        check(unsafe { syscall!(CAPSET, ptr::from_ref(&header), data.as_ptr()) })?;
        Ok(())
    }

    fn held_capabilities(&mut self) -> Result<u64> {
        let header = uapi::__user_cap_header_struct { version: uapi::_LINUX_CAPABILITY_VERSION_3, pid: 0 };
        let mut data = [uapi::__user_cap_data_struct { effective: 0, permitted: 0, inheritable: 0 }; 2];
        // SAFETY: version 3 of the header announces two data structures, which `data` has room for.
        check(unsafe { syscall!(CAPGET, ptr::from_ref(&header), data.as_mut_ptr()) })?;
        let [low, high] = data.map(|half| u64::from(half.permitted));
        Ok(low | high << 32)
    }

    fn clear_ambient(&mut self) -> Result<()> {
        control(prctl::PR_CAP_AMBIENT, prctl::PR_CAP_AMBIENT_CLEAR_ALL as usize, 0)
    }

    fn raise_ambient(&mut self, capability: u32) -> Result<()> {
        control(prctl::PR_CAP_AMBIENT, prctl::PR_CAP_AMBIENT_RAISE as usize, capability as usize)
    }

    fn set_no_new_privileges(&mut self) -> Result<()> {
        control(prctl::PR_SET_NO_NEW_PRIVS, 1, 0)
    }

    fn landlock_ruleset(&mut self, handled: u64) -> Result<Descriptor> {
        let attributes =
            landlock::landlock_ruleset_attr { handled_access_fs: handled, handled_access_net: 0, scoped: 0 };
        // Older kernels know the first field only, and what is not set need not be told.
        let size = size_of_val(&attributes.handled_access_fs);
        // SAFETY: the kernel reads `size` bytes of `attributes`, which is longer.
        let returned = unsafe {
            sc::platform::syscall3(
                uapi::__NR_landlock_create_ruleset as usize,
                ptr::from_ref(&attributes).expose_provenance(),
                size,
                0,
            )
        };
        check(returned).map(|number| Descriptor(number as i32))
    }

    fn landlock_allow(&mut self, ruleset: Descriptor, place: Descriptor, rights: u64) -> Result<()> {
        let rule = landlock::landlock_path_beneath_attr { allowed_access: rights, parent_fd: place.0 };
        // SAFETY: a rule of this type is the structure that the kernel reads.
        check(unsafe {
            sc::platform::syscall4(
                uapi::__NR_landlock_add_rule as usize,
                ruleset.0 as usize,
                landlock::landlock_rule_type::LANDLOCK_RULE_PATH_BENEATH as usize,
                ptr::from_ref(&rule).expose_provenance(),
                0,
            )
        })?;
        Ok(())
    }

    fn landlock_restrict(&mut self, ruleset: Descriptor) -> Result<()> {
        // SAFETY: numbers only.
        check(unsafe {
            sc::platform::syscall2(uapi::__NR_landlock_restrict_self as usize, ruleset.0 as usize, 0)
        })?;
        Ok(())
    }

    fn install_filter(&mut self, flags: u32, program: &[u8]) -> Result<Option<Descriptor>> {
        let count = u16::try_from(program.len() / FILTER_INSTRUCTION_BYTES).map_err(|_| Errno::INVAL)?;
        let program = SockFilterProgram { count, instructions: program.as_ptr() };
        // SAFETY: `program` announces no more instructions than its slice holds, and the kernel copies them, byte by byte.
        let returned =
            check(unsafe { syscall!(SECCOMP, SECCOMP_SET_MODE_FILTER, flags, ptr::from_ref(&program)) })?;
        Ok((flags & NEW_LISTENER != 0).then_some(Descriptor(returned as i32)))
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
        super::arch::trap()
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

fn status(stat: fs::Stat) -> Status {
    Status { mode: stat.st_mode, device: stat.st_rdev, uid: stat.st_uid, gid: stat.st_gid }
}
