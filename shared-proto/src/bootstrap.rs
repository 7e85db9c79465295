//! The one big message, parent → stage1: a header, then step records, argument and environment blobs, text.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::blob::{Blob, Form};
use crate::limits::BUILD_ID_BYTES;
use crate::step::{Phase, Propagation, Step};

/// First bytes of a bootstrap.
pub const MAGIC: [u8; 8] = *b"PINNACE\x01";

/// First bytes of the datagram that stands for a bootstrap in a memfd: then the message's bytes as U64. The memfd comes before
/// the other descriptors.
pub const MAGIC_MEMFD: [u8; 8] = *b"PINNMEM\x01";

/// How the container's root becomes the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RootChange {
    /// pivot_root(2), and the old root is detached.
    Pivot = 1,
    /// Moved over `/` and chroot, for an initramfs, which pivot_root refuses (`--no-pivot`).
    Move = 2,
    /// chroot alone: the container has the runtime's own mount namespace, and nothing is mounted in it.
    Chroot = 3,
    /// Bound onto itself and chroot: the mount namespace was joined, and others live in it.
    Bind = 4,
    /// The container exists. Its namespaces are joined, whose mount namespace brings its root along; where that is another, or none was
    /// joined, the root comes with the bootstrap, and chroot follows.
    Enter = 5,
}

/// When stage1 leaves the host's tree, however it does that. Until then paths of the host can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HostLeft {
    /// At once.
    First = 0,
    /// Behind the first mounts, while the parent makes the network namespace: that takes a grace period, which would be as long early, and is waited for
    /// there anyway.
    BeforeNetwork = 1,
    /// Behind the views: the kernel shows a new procfs in a user namespace only to who can see one already, hooks want to see both trees, and mounts may
    /// name paths of the host.
    BehindViews = 2,
}

/// Descriptors that travel with the bootstrap, by name. They come in ascending order of the slot's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DescriptorSlot {
    /// The listening socket at which `start` calls.
    Listener = 0,
    /// Namespace files to join.
    MountNamespace = 1,
    NetworkNamespace = 2,
    IpcNamespace = 3,
    UtsNamespace = 4,
    CgroupNamespace = 5,
    /// The root file system's detached tree, where stage1 could not open its path.
    Root = 6,
    TimeNamespace = 7,
    /// A pidfd of the container's init, in whose namespaces the process shall be.
    Init = 8,
    PidNamespace = 9,
    UserNamespace = 10,
    /// The parent's procfs, for a container that may mount none: its pid namespace belongs to another user namespace.
    Procfs = 11,
    /// A file in memory for stage1's notes, `trace::trace_bytes` long: somebody wants to know where the time goes.
    Trace = 12,
}

impl DescriptorSlot {
    /// Every slot, in the order in which descriptors travel.
    pub const ALL: [DescriptorSlot; 13] = [
        DescriptorSlot::Listener,
        DescriptorSlot::MountNamespace,
        DescriptorSlot::NetworkNamespace,
        DescriptorSlot::IpcNamespace,
        DescriptorSlot::UtsNamespace,
        DescriptorSlot::CgroupNamespace,
        DescriptorSlot::Root,
        DescriptorSlot::TimeNamespace,
        DescriptorSlot::Init,
        DescriptorSlot::PidNamespace,
        DescriptorSlot::UserNamespace,
        DescriptorSlot::Procfs,
        DescriptorSlot::Trace,
    ];
}

/// The slots that are filled: bit N is the slot with number N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DescriptorSlots(u32);

impl DescriptorSlots {
    /// The same with `slot` filled.
    #[must_use]
    pub const fn with(self, slot: DescriptorSlot) -> Self {
        Self(self.0 | 1 << slot as u32)
    }

    /// Whether `slot` is filled.
    pub const fn contains(self, slot: DescriptorSlot) -> bool {
        self.0 & 1 << slot as u32 != 0
    }

    /// How many descriptors travel.
    pub const fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The filled slots in the order of travel.
    pub fn iter(self) -> impl Iterator<Item = DescriptorSlot> {
        DescriptorSlot::ALL.into_iter().filter(move |&slot| self.contains(slot))
    }

    #[cfg(feature = "encode")]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u32) -> Option<Self> {
        if bits >> DescriptorSlot::ALL.len() == 0 { Some(Self(bits)) } else { None }
    }
}

/// What the skeleton needs to know: everything of a start that is not a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap<F: Form> {
    /// The container's root file system: an absolute path of the host without symlinks.
    pub root: F::Text,
    pub root_change: RootChange,
    pub host_left: HostLeft,
    /// What all mounts become in the new mount namespace, before anything is mounted. `Shared` means that bind sources
    /// stay peers of the host's mounts, and everything else becomes a slave.
    pub initial_propagation: Propagation,
    pub descriptors: DescriptorSlots,
    /// `Reply::Cgroups` will come, and must be waited for before the views.
    pub await_cgroups: bool,
    /// `Reply::Network` will come, and must be waited for before the views.
    pub await_network: bool,
    /// Unshare the cgroup namespace once in the cgroups.
    pub new_cgroup_namespace: bool,
    /// HOME is not in the environment: take the home directory of this user id from the container's passwd.
    pub home_of: Option<u32>,
    /// The network namespace came with the clone: its loopback is still down.
    pub loopback_up: bool,
    /// `Report::HooksDue` is said before the pivot, and `Reply::Proceed` waited for.
    pub await_hooks: bool,
    /// stage1 clones itself when it is in its namespaces and has left the host's tree (`Report::Born`): a pid namespace that was joined, or
    /// made by unshare(2), has only its children in it, and nobody in there shall meet more of the host than stage1.
    pub born_late: bool,
    /// `Report::Ready` is said before `Reply::Start` is read: the parent has something to do first (a held container's record, a terminal, clocks).
    /// Without, `Start` comes unasked.
    pub reports_ready: bool,
    /// CLONE_NEW* bits: which namespaces of the container's init are joined. Only with `RootChange::Enter`.
    pub joined: u32,
    /// CLONE_NEW* bits: namespaces that stage1 makes itself, all of them below a user namespace that it has joined or makes before them; else those that
    /// need not come with the clone.
    pub unshared: u32,
    /// Descriptors above standard error that the program keeps.
    pub preserved_count: u32,
}

/// A step with the phase in which it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhasedStep<F: Form> {
    pub phase: Phase,
    pub step: Step<F>,
}

pub(crate) const FLAG_AWAIT_CGROUPS: u32 = 1;
pub(crate) const FLAG_AWAIT_NETWORK: u32 = 2;
pub(crate) const FLAG_NEW_CGROUP_NAMESPACE: u32 = 4;
pub(crate) const FLAG_HOME: u32 = 8;
pub(crate) const FLAG_LOOPBACK: u32 = 16;
pub(crate) const FLAG_AWAIT_HOOKS: u32 = 32;
pub(crate) const FLAG_BORN_LATE: u32 = 64;
pub(crate) const FLAG_REPORTS_READY: u32 = 128;
pub(crate) const FLAGS_ALL: u32 = 255;

// CLONE_NEW* of linux/sched.h.
const NEW_TIME: u32 = 0x80;
const NEW_MOUNT: u32 = 0x0002_0000;
const NEW_CGROUP: u32 = 0x0200_0000;
const NEW_UTS: u32 = 0x0400_0000;
const NEW_IPC: u32 = 0x0800_0000;
/// The user namespace, whose ids the parent maps when it is there (`Report::MapsDue`).
pub const NEW_USER: u32 = 0x1000_0000;
const NEW_PID: u32 = 0x2000_0000;
const NEW_NETWORK: u32 = 0x4000_0000;

/// Every namespace of a container.
pub const JOINED_ALL: u32 =
    NEW_TIME | NEW_MOUNT | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NETWORK;

/// Every namespace that stage1 makes itself: the others come with a step, or with the cgroups.
pub const UNSHARED_ALL: u32 = NEW_MOUNT | NEW_UTS | NEW_IPC | NEW_PID | NEW_NETWORK | NEW_USER;

/// The header as it lies in a message. The sections follow it without gaps, in the order of their counts here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    pub magic: [u8; 8],
    pub version: U32,
    /// The whole message, header included.
    pub message_bytes: U32,
    pub build_id: [u8; BUILD_ID_BYTES],
    pub flags: U32,
    pub descriptors: U32,
    pub root: Blob,
    pub root_change: u8,
    pub host_left: u8,
    pub initial_propagation: u8,
    pub reserved: u8,
    pub joined: U32,
    pub unshared: U32,
    pub preserved_count: U32,
    pub home_of: U32,
    pub step_count: U32,
    pub argument_count: U32,
    pub environment_count: U32,
    pub text_bytes: U32,
}

const _: () = assert!(size_of::<Header>() == 84);
