//! The complete list of system calls that stage1 makes, typed. `linux/` makes them; `fake/` records them in tests.

use core::ffi::CStr;

use shared_proto::limits::{NODE_COUNT_MAX, PROCESSOR_COUNT_MAX};
use shared_proto::{Attributes, Call, Propagation, Scheduler};
use zerocopy::little_endian::U32;

pub use rustix::io::Errno;

use crate::receive::DescriptorList;

#[allow(unsafe_code)]
pub mod arch;
#[cfg(test)]
pub(crate) mod fake;
#[allow(unsafe_code)]
mod linux;

pub use linux::Linux;

/// The kernel's answer.
pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// A file descriptor. Most are not closed one by one: see `steps::Context::sweep`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Descriptor(pub(crate) i32);

impl Descriptor {
    /// Paths are then relative to the working directory, or absolute.
    pub(crate) const CURRENT_DIRECTORY: Descriptor = Descriptor(-100);

    /// Standard input, output and error.
    pub(crate) const STANDARD: [Descriptor; 3] = [Descriptor(0), Descriptor(1), Descriptor(2)];

    /// The first number above the standard three, and above the descriptors that the program keeps.
    pub(crate) fn first_above(preserved_count: u32) -> Descriptor {
        Descriptor(3i32.saturating_add_unsigned(preserved_count))
    }

    /// The next higher number.
    pub(crate) fn next(self) -> Descriptor {
        Descriptor(self.0 + 1)
    }

    /// A descriptor's number as the parent writes it on the command line: decimal digits.
    pub fn from_argument(argument: Option<&CStr>) -> Option<Self> {
        let number = core::str::from_utf8(argument?.to_bytes()).ok()?.parse().ok()?;
        (0..).contains(&number).then_some(Descriptor(number))
    }
}

/// SECCOMP_FILTER_FLAG_NEW_LISTENER, from linux/seccomp.h.
pub(crate) const NEW_LISTENER: u32 = 1 << 3;

/// A process that this one has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    pub(crate) pid: i32,
    pub(crate) handle: Descriptor,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Exited(u16),
    Killed(u16),
}

/// A failed call, on its way to becoming a `Failure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    pub(crate) errno: Errno,
}

impl Fault {
    /// The number that travels.
    pub(crate) fn errno_number(self) -> u16 {
        self.errno.raw_os_error() as u16
    }
}

/// Names the call that failed.
pub(crate) trait At<T> {
    fn at(self, call: Call) -> core::result::Result<T, Fault>;
}

impl<T> At<T> for Result<T> {
    fn at(self, call: Call) -> core::result::Result<T, Fault> {
        self.map_err(|errno| Fault { call, errno })
    }
}

/// The namespaces that stage1 joins or makes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceKind {
    Mount,
    Network,
    Ipc,
    Uts,
    Cgroup,
    Time,
    /// Of children alone.
    Pid,
    User,
}

/// What a path is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// A place in the tree, no access to content.
    Path,
    /// The same without following a symlink in the last component.
    PathNoFollow,
    /// The same, and it is a directory.
    Directory,
    /// Reading, without blocking on a fifo or taking a terminal.
    Read,
    /// Writing to what exists.
    Write,
    /// A terminal, which does not become the controlling one.
    Terminal,
}

impl Open {
    /// A place in the tree, be it a symlink.
    pub(crate) fn place(nofollow: bool) -> Self {
        if nofollow { Open::PathNoFollow } else { Open::Path }
    }
}

/// How a path is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// As the host does. Only before the root has changed, or in a file system that nobody else has.
    Host,
    /// The directory is the root: neither `..` nor a symlink leaves it. No magic links.
    InRoot,
    /// The same, and any symlink is refused.
    InRootNoSymlinks,
    /// Below the directory, on its own mount, without symlinks other than those of procfs itself.
    Beneath,
}

/// What fstat(2) says, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// File type and permission bits.
    pub mode: u32,
    /// Device number of a device node, as the kernel encodes it.
    pub device: u64,
    pub uid: u32,
    pub gid: u32,
}

const S_IFMT: u32 = 0o170000;

impl Status {
    pub(crate) fn kind(self) -> u32 {
        self.mode & S_IFMT
    }

    pub(crate) fn is_directory(self) -> bool {
        self.kind() == 0o040000
    }

    pub(crate) fn is_regular(self) -> bool {
        self.kind() == 0o100000
    }

    /// The character device with these numbers.
    pub(crate) fn is_character_device(self, major: u32, minor: u32) -> bool {
        self.kind() == 0o020000 && self.device == device_number(major, minor)
    }
}

/// The kernel's 64-bit encoding of a device number.
pub(crate) fn device_number(major: u32, minor: u32) -> u64 {
    rustix::fs::makedev(major, minor)
}

/// A bit for each NUMA node.
pub type NodeMask = [u64; NODE_COUNT_MAX as usize / 64];

/// A bit for each processor.
pub type ProcessorMask = [u64; PROCESSOR_COUNT_MAX as usize / 64];

/// Every system call of stage1, by what it is about. Errors are the kernel's errno.
pub trait Kernel: Messages + Descriptors + Processes + Files + Mounts + Identity + Privileges {}

impl<K: Messages + Descriptors + Processes + Files + Mounts + Identity + Privileges> Kernel for K {}

/// What is said to the parent, and the memory that messages are in.
pub trait Messages {
    /// One datagram and the descriptors that came with it (close-on-exec). 0 bytes are the end of the file.
    fn receive(
        &mut self,
        socket: Descriptor,
        buffer: &mut [u8],
        descriptors: &mut DescriptorList,
    ) -> Result<usize>;
    fn send(&mut self, socket: Descriptor, bytes: &[u8]) -> Result<()>;
    /// One datagram with one descriptor. sendmsg(2), where `send` is sendto(2).
    fn send_descriptor(&mut self, socket: Descriptor, bytes: &[u8], descriptor: Descriptor) -> Result<()>;
    /// The same by sendmmsg(2).
    fn send_descriptor_by_sendmmsg(
        &mut self,
        socket: Descriptor,
        bytes: &[u8],
        descriptor: Descriptor,
    ) -> Result<()>;
    fn accept(&mut self, listener: Descriptor) -> Result<Descriptor>;
    /// Where the bootstrap is received, INLINE_BYTES_MAX bytes, and LASTING_BYTES behind them; none at all for whoever asks again.
    fn message_memory(&mut self) -> &'static mut [u8];
    /// Zeroed memory that is never given back.
    fn map_memory(&mut self, bytes: usize) -> Result<&'static mut [u8]>;
    /// A sealed memfd's content.
    fn map_file(&mut self, file: Descriptor, bytes: usize) -> Result<&'static [u8]>;
    /// From now on `note` writes into this file, which has room for so many bytes of notes.
    fn take_notes(&mut self, file: Descriptor, bytes: usize) -> Result<()>;
    /// Notes that something has just been done, and when; does nothing if nobody wants to know.
    fn note(&mut self, label: u32);
}

/// Open files, whatever they are; standard streams and terminals.
pub trait Descriptors {
    fn read(&mut self, file: Descriptor, buffer: &mut [u8]) -> Result<usize>;
    fn write(&mut self, file: Descriptor, bytes: &[u8]) -> Result<()>;
    fn close(&mut self, descriptor: Descriptor);
    /// Closes every descriptor with this number or a higher one.
    fn close_from(&mut self, first: Descriptor) -> Result<()>;
    fn close_on_execute_from(&mut self, first: Descriptor) -> Result<()>;
    /// A file in memory with this content, at its beginning.
    fn memory_file(&mut self, content: &[&[u8]]) -> Result<Descriptor>;
    /// Makes `number` mean the same open file. It is not close-on-exec.
    fn duplicate(&mut self, file: Descriptor, number: Descriptor) -> Result<()>;
    /// Standard input, and standard output and error.
    fn set_standard(&mut self, input: Descriptor, output: Descriptor) -> Result<()>;
    /// The group stays.
    fn give_to_user(&mut self, file: Descriptor, uid: u32) -> Result<()>;
    fn terminal_unlock(&mut self, master: Descriptor) -> Result<()>;
    /// The other end of a pseudoterminal, whatever its path means by now.
    fn terminal_peer(&mut self, master: Descriptor) -> Result<Descriptor>;
    /// Makes it the session's controlling terminal.
    fn terminal_control(&mut self, terminal: Descriptor) -> Result<()>;
    fn terminal_size(&mut self, terminal: Descriptor, width: u16, height: u16) -> Result<()>;
}

/// The memory of a sibling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    Shared,
    Copied,
}

/// What a process does whose sibling goes on in its place: it may talk to the socket, and ends.
pub type Leave<K> = fn(&mut K, Descriptor, Child) -> !;

/// This process and its copies: namespaces, signals, birth and end. Hooks alone are other processes.
pub trait Processes {
    /// SIGKILL for this process when its parent ends.
    fn die_with_parent(&mut self) -> Result<()>;
    fn set_undumpable(&mut self) -> Result<()>;
    fn set_session(&mut self) -> Result<()>;
    /// Begins a process group of this process's own.
    fn set_group(&mut self) -> Result<()>;
    /// Gives a signal its default disposition.
    fn reset_signal(&mut self, signal: u32) -> Result<()>;
    fn unblock_signals(&mut self) -> Result<()>;
    fn set_umask(&mut self, umask: u32);
    fn process_id(&mut self) -> i32;
    fn set_namespace(&mut self, namespace: Descriptor, kind: NamespaceKind) -> Result<()>;
    fn unshare(&mut self, kind: NamespaceKind) -> Result<()>;
    /// Several at once; CLONE_NEW* bits.
    fn unshare_all(&mut self, kinds: u32) -> Result<()>;
    /// Joins several namespaces of the process behind a pidfd at once. `kinds` are CLONE_NEW* bits.
    fn join_process(&mut self, process: Descriptor, kinds: u32) -> Result<()>;
    /// Brings `lo` up in the network namespace.
    fn loopback_up(&mut self) -> Result<()>;
    /// A copy of this process; `None` is what the copy gets.
    fn fork(&mut self) -> Result<Option<Child>>;
    /// Goes on as a child of our parent, a sibling of this process, which calls `leave` in the meantime; the sibling's memory is this one's, or a copy
    /// of it. On shared memory this process has a stack of its own, and touches nothing else; until it has ended, no time namespace can be
    /// joined (setns(2): EUSERS).
    fn fork_sibling(&mut self, memory: Memory, socket: Descriptor, leave: Leave<Self>) -> Result<()>;
    /// How the child ended, or `None` if it has not within so many milliseconds (0: however long that takes).
    fn wait(&mut self, child: Child, timeout_ms: u32) -> Result<Option<Ended>>;
    /// Kills a child with its group.
    fn kill_group(&mut self, child: Child);
    /// Returns only if it fails.
    fn execute<'a>(
        &mut self,
        program: &CStr,
        arguments: impl ExactSizeIterator<Item = &'a CStr>,
        environment: impl Iterator<Item = &'a CStr>,
    ) -> Errno;
    fn exit(&mut self, status: i32) -> !;
}

/// Looking up and making.
pub trait Files {
    fn open(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        open: Open,
        resolve: Resolve,
    ) -> Result<Descriptor>;
    /// What a symlink says; the number of bytes.
    fn read_link(&mut self, directory: Descriptor, name: &CStr, buffer: &mut [u8]) -> Result<usize>;
    fn status(&mut self, file: Descriptor) -> Result<Status>;
    /// Of what bears this name in the directory, be it a symlink.
    fn status_of_entry(&mut self, directory: Descriptor, name: &CStr) -> Result<Status>;
    /// The next entries of an open directory, as getdents64(2) has them; the number of bytes, none at its end.
    fn read_directory(&mut self, directory: Descriptor, buffer: &mut [u8]) -> Result<usize>;
    /// The names of the extended attributes, each with its NUL; the number of bytes.
    fn list_attributes(&mut self, file: Descriptor, buffer: &mut [u8]) -> Result<usize>;
    fn attribute(&mut self, file: Descriptor, name: &CStr, buffer: &mut [u8]) -> Result<usize>;
    /// Whether it was opened for writing.
    fn is_writable(&mut self, file: Descriptor) -> Result<bool>;
    /// Follows symlinks.
    fn status_of(&mut self, path: &CStr) -> Result<Status>;
    fn is_same_file(&mut self, one: Descriptor, other: Descriptor) -> Result<bool>;
    /// The magic number of the filesystem.
    fn filesystem_type(&mut self, file: Descriptor) -> Result<u64>;
    fn check_executable(&mut self, path: &CStr) -> Result<()>;
    /// Whether the working directory lies below the root.
    fn current_directory_is_reachable(&mut self) -> Result<bool>;
    fn make_directory(&mut self, directory: Descriptor, name: &CStr, mode: u32) -> Result<()>;
    /// An empty file.
    fn make_file(&mut self, directory: Descriptor, name: &CStr) -> Result<()>;
    fn make_node(
        &mut self,
        directory: Descriptor,
        name: &CStr,
        mode: u32,
        major: u32,
        minor: u32,
    ) -> Result<()>;
    /// A node or a fifo of the kind, the mode and the number of another.
    fn make_node_like(&mut self, directory: Descriptor, name: &CStr, other: Status) -> Result<()>;
    /// Appends some of what is left to read; the number of bytes, none at the end.
    fn copy_content(&mut self, from: Descriptor, to: Descriptor) -> Result<usize>;
    /// Follows symlinks.
    fn change_mode(&mut self, directory: Descriptor, name: &CStr, mode: u32) -> Result<()>;
    fn set_attribute(&mut self, file: Descriptor, name: &CStr, value: &[u8]) -> Result<()>;
    fn make_symlink(&mut self, directory: Descriptor, name: &CStr, target: &CStr) -> Result<()>;
    fn change_owner(&mut self, directory: Descriptor, name: &CStr, uid: u32, gid: u32) -> Result<()>;
}

/// Mounts, the root and the working directory.
pub trait Mounts {
    /// The number of the mount that an open place is on: one that is never given out again, where the kernel has that (Linux 6.8).
    fn mount_number(&mut self, place: Descriptor) -> Result<u64>;
    /// Whether the mount namespace has a mount with this number, which must be of the kind that is never given out again.
    fn has_mount(&mut self, number: u64) -> Result<bool>;
    /// A detached copy of the tree at `path`, a place, or of its top mount alone.
    fn open_tree(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        place: Open,
        recursive: bool,
    ) -> Result<Descriptor>;
    /// A detached copy of the top mount at a path, which is no symlink, with these attributes, in one call (Linux 6.15).
    fn open_tree_with(&mut self, place: (Descriptor, &CStr), attributes: Attributes) -> Result<Descriptor>;
    /// Puts a detached mount at `path`; an empty one means `directory` itself.
    fn move_mount(&mut self, mount: Descriptor, directory: Descriptor, path: &CStr) -> Result<()>;
    fn set_propagation(&mut self, directory: Descriptor, path: &CStr, propagation: Propagation)
    -> Result<()>;
    fn set_attributes(&mut self, mount: Descriptor, attributes: Attributes, recursive: bool) -> Result<()>;
    /// The same for a whole tree, which no longer shares mounts with any other afterwards.
    fn set_attributes_private(&mut self, mount: Descriptor, attributes: Attributes) -> Result<()>;
    /// Gives the files of a detached mount the owners of a user namespace.
    fn set_owners(&mut self, mount: Descriptor, namespace: Descriptor) -> Result<()>;
    /// A new instance of a filesystem on `target`, below the working directory. `flags` are MS_* bits.
    fn mount(&mut self, source: &CStr, target: &CStr, fstype: &CStr, flags: u32, data: &CStr) -> Result<()>;
    fn filesystem_open(&mut self, fstype: &CStr) -> Result<Descriptor>;
    /// A parameter of an instance that is not yet there: a flag has no value.
    fn filesystem_set(&mut self, filesystem: Descriptor, key: &CStr, value: Option<&CStr>) -> Result<()>;
    fn filesystem_create(&mut self, filesystem: Descriptor) -> Result<()>;
    fn filesystem_mount(&mut self, filesystem: Descriptor, attributes: u32) -> Result<Descriptor>;
    fn unmount_detached(&mut self, path: &CStr) -> Result<()>;
    fn pivot_root(&mut self, new: &CStr, old: &CStr) -> Result<()>;
    fn change_root(&mut self, path: &CStr) -> Result<()>;
    fn change_directory(&mut self, path: &CStr) -> Result<()>;
    fn change_directory_to(&mut self, directory: Descriptor) -> Result<()>;
}

/// Names, limits, and who the process is.
pub trait Identity {
    fn set_hostname(&mut self, name: &[u8]) -> Result<()>;
    fn set_domainname(&mut self, name: &[u8]) -> Result<()>;
    fn new_session_keyring(&mut self) -> Result<()>;
    fn set_rlimit(&mut self, resource: u32, soft: u64, hard: u64) -> Result<()>;
    fn set_scheduler(&mut self, scheduler: &Scheduler) -> Result<()>;
    /// Class and priority as the kernel packs them.
    fn set_io_priority(&mut self, packed: u32) -> Result<()>;
    fn set_personality(&mut self, domain: u32) -> Result<()>;
    /// The mode with its flags; bit N of the mask is node N.
    fn set_memory_policy(&mut self, mode: u32, mask: &NodeMask) -> Result<()>;
    /// Bit N of the mask is processor N.
    fn set_affinity(&mut self, mask: &ProcessorMask) -> Result<()>;
    /// The SELinux context of an open file.
    fn set_label(&mut self, file: Descriptor, label: &CStr) -> Result<()>;
    fn set_groups(&mut self, groups: &[U32]) -> Result<()>;
    fn set_group_id(&mut self, gid: u32) -> Result<()>;
    fn set_user_id(&mut self, uid: u32) -> Result<()>;
}

/// What the process may do: capabilities, seccomp, Landlock.
pub trait Privileges {
    fn keep_capabilities(&mut self) -> Result<()>;
    fn drop_bounding(&mut self, capability: u32) -> Result<()>;
    fn set_capabilities(&mut self, effective: u64, permitted: u64, inheritable: u64) -> Result<()>;
    /// The permitted set.
    fn held_capabilities(&mut self) -> Result<u64>;
    fn clear_ambient(&mut self) -> Result<()>;
    fn raise_ambient(&mut self, capability: u32) -> Result<()>;
    fn set_no_new_privileges(&mut self) -> Result<()>;
    /// Loads a filter of whole instructions. Its listener, if the flags ask for one.
    fn install_filter(&mut self, flags: u32, program: &[u8]) -> Result<Option<Descriptor>>;
    /// An empty set of rules that denies what is `handled`.
    fn landlock_ruleset(&mut self, handled: u64) -> Result<Descriptor>;
    /// Allows `rights` at and below an open place.
    fn landlock_allow(&mut self, ruleset: Descriptor, place: Descriptor, rights: u64) -> Result<()>;
    fn landlock_restrict(&mut self, ruleset: Descriptor) -> Result<()>;
}
