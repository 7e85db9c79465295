//! The steps of a plan: what each asks of stage1, its number, its phase.
//!
//! Steps are semantic (`MaskPath`), not system calls, and never refer to each other's results.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::blob::{Blob, Form};

/// The parts of a start, in their order. Steps exist in `Mounts`, `Views`, `Identity` and `Lockdown`; `Setup` and
/// `Execute` are the skeleton's own and appear in failures only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Receive, join and unshare namespaces, move to the new root.
    Setup = 1,
    /// The container's file systems, as far as they show neither cgroups nor the network, and whatever else need not wait for these.
    Mounts = 2,
    /// After the container is in its cgroups and its network: what shows them, and what must come after that.
    Views = 3,
    /// The container's tree is complete: names, limits, user, capabilities.
    Identity = 4,
    /// After `start`: what the program must not be without and stage1 could not live with.
    Lockdown = 5,
    /// Closing descriptors and execve.
    Execute = 6,
}

impl Phase {
    /// Those in which steps may stand, in their order.
    pub const WITH_STEPS: [Phase; 4] = [Phase::Mounts, Phase::Views, Phase::Identity, Phase::Lockdown];

    /// The phase with this number.
    pub const fn from_number(number: u8) -> Option<Phase> {
        Some(match number {
            1 => Phase::Setup,
            2 => Phase::Mounts,
            3 => Phase::Views,
            4 => Phase::Identity,
            5 => Phase::Lockdown,
            6 => Phase::Execute,
            _ => return None,
        })
    }

    /// One lower-case word.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Setup => "setup",
            Phase::Mounts => "mounts",
            Phase::Views => "views",
            Phase::Identity => "identity",
            Phase::Lockdown => "lockdown",
            Phase::Execute => "execute",
        }
    }
}

/// MOUNT_ATTR_* bits of mount_setattr(2): first `clear`, then `set`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub set: u32,
    pub clear: u32,
}

impl Attributes {
    /// Nothing to change.
    pub const fn is_empty(self) -> bool {
        self.set == 0 && self.clear == 0
    }
}

/// How mounts below a mount reach others, and others it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    pub kind: PropagationKind,
    pub recursive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PropagationKind {
    Shared = 1,
    Slave = 2,
    Private = 3,
    Unbindable = 4,
}

impl Propagation {
    /// Four bits: the kind, and 8 for the whole tree below.
    pub const fn code(self) -> u32 {
        self.kind as u32 | if self.recursive { 8 } else { 0 }
    }

    /// The propagation with this code.
    pub const fn from_code(code: u32) -> Option<Self> {
        let kind = match code & 7 {
            1 => PropagationKind::Shared,
            2 => PropagationKind::Slave,
            3 => PropagationKind::Private,
            4 => PropagationKind::Unbindable,
            _ => return None,
        };
        if code > 15 {
            return None;
        }
        Some(Propagation { kind, recursive: code & 8 != 0 })
    }
}

/// Up to eight changes of propagation, in order: four bits each, the first in the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Propagations(u32);

impl Propagations {
    /// `None` for more than eight.
    pub fn new(list: impl IntoIterator<Item = Propagation>) -> Option<Self> {
        let mut code = 0;
        for (index, propagation) in list.into_iter().enumerate() {
            if index == 8 {
                return None;
            }
            code |= propagation.code() << (4 * index);
        }
        Some(Self(code))
    }

    /// The packed form.
    pub const fn code(self) -> u32 {
        self.0
    }

    /// `None` for an unknown propagation or a gap.
    pub fn from_code(code: u32) -> Option<Self> {
        let list = Self(code);
        (Self::new(list.iter())? == list).then_some(list)
    }

    /// In order.
    pub fn iter(self) -> impl Iterator<Item = Propagation> {
        (0..8).map_while(move |index| Propagation::from_code((self.0 >> (4 * index)) & 15))
    }
}

/// What sched_setattr(2) takes, in its order; times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduler {
    /// SCHED_* number.
    pub policy: u32,
    /// SCHED_FLAG_* bits.
    pub flags: u32,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// One step as it lies in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct StepRecord {
    pub kind: U16,
    pub phase: u8,
    pub reserved: u8,
    /// Small flags of the kind, or packed propagations.
    pub word: U32,
    pub blobs: [Blob; 4],
    pub numbers: [U64; 4],
}

const _: () = assert!(size_of::<StepRecord>() == 72);

/// Declares [`StepKind`] with its numbers, names and phases in one table.
macro_rules! kinds {
    ($($variant:ident = $number:literal $name:literal $phases:expr,)*) => {
        /// The kind of a step. Numbers are never used again for another one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum StepKind { $($variant = $number,)* }

        impl StepKind {
            /// Every kind, in the order of its number.
            pub const ALL: &[StepKind] = &[$(StepKind::$variant,)*];

            /// The name that plans and errors show.
            pub const fn name(self) -> &'static str {
                match self { $(StepKind::$variant => $name,)* }
            }

            /// The phases in which a step of this kind may stand.
            pub const fn phases(self) -> &'static [Phase] {
                match self { $(StepKind::$variant => $phases,)* }
            }

            /// The kind with this number.
            pub const fn from_number(number: u16) -> Option<StepKind> {
                match number { $($number => Some(StepKind::$variant),)* _ => None }
            }
        }
    };
}

/// What prepares the container's tree may come before or after the joins.
const PREPARE: &[Phase] = &[Phase::Mounts, Phase::Views];
/// The same for what comes after the runtime's hooks, where there are any: they may make, mount and write what it is about.
const FINISH: &[Phase] = &[Phase::Mounts, Phase::Views, Phase::Identity];
/// What needs nothing of what is waited for.
const MOUNTS: &[Phase] = &[Phase::Mounts];
const VIEWS: &[Phase] = &[Phase::Views];
const IDENTITY: &[Phase] = &[Phase::Identity];
const LOCKDOWN: &[Phase] = &[Phase::Lockdown];
/// A limit of open files that is very low waits until nothing is opened any more.
const LIMITS: &[Phase] = &[Phase::Identity, Phase::Lockdown];

kinds! {
    MountFilesystem = 1 "mount" PREPARE,
    BindMount = 2 "bind" PREPARE,
    SetMountAttributes = 3 "set-mount-attributes" FINISH,
    MakeDevice = 4 "make-device" PREPARE,
    MakeSymlink = 5 "make-symlink" PREPARE,
    MakeDirectory = 6 "make-directory" FINISH,
    ReadonlyPath = 7 "readonly-path" FINISH,
    MaskPath = 8 "mask-path" FINISH,
    FinishRoot = 9 "finish-root" IDENTITY,
    WriteSysctl = 10 "write-sysctl" IDENTITY,
    SetOomScoreAdjust = 11 "set-oom-score-adj" IDENTITY,
    SetHostname = 12 "set-hostname" IDENTITY,
    SetDomainname = 13 "set-domainname" IDENTITY,
    NewSessionKeyring = 14 "new-session-keyring" IDENTITY,
    SetRlimit = 15 "set-rlimit" LIMITS,
    DropBounding = 16 "drop-bounding" MOUNTS,
    BecomeUser = 17 "become-user" IDENTITY,
    SetCapabilities = 18 "set-capabilities" IDENTITY,
    SetUmask = 19 "set-umask" IDENTITY,
    SetNoNewPrivileges = 20 "set-no-new-privs" LOCKDOWN,
    InstallSeccomp = 21 "install-seccomp" LOCKDOWN,
    SetScheduler = 22 "set-scheduler" IDENTITY,
    SetIoPriority = 23 "set-io-priority" IDENTITY,
    SetPersonality = 24 "set-personality" IDENTITY,
    SetMemoryPolicy = 25 "set-memory-policy" IDENTITY,
    SetAppArmorProfile = 26 "set-apparmor-profile" IDENTITY,
    SetSelinuxLabel = 27 "set-selinux-label" IDENTITY,
    RestrictLandlock = 28 "restrict-landlock" LOCKDOWN,
    NewTimeNamespace = 29 "new-time-namespace" VIEWS,
    OpenConsole = 30 "open-console" VIEWS,
    SetAffinity = 31 "set-affinity" VIEWS,
    OwnStreams = 32 "own-streams" IDENTITY,
    RunHook = 35 "run-hook" LOCKDOWN,
    Unmount = 36 "unmount" MOUNTS,
}

/// Beside the kernel's flags in `InstallSeccomp`: the filter has its listener asked about sendmsg(2), so the listener itself travels by sendmmsg(2).
pub const LISTENER_BY_SENDMMSG: u32 = 1 << 31;

/// Where the tree of a bind mount comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindOrigin {
    /// stage1 opens the source on the host before the root changes.
    Host,
    /// The parent makes the source meanwhile (a cgroup) and sends its tree with `Reply::Cgroups`, in the order of these steps.
    Parent,
    /// The parent has opened the source, which stage1 may not (a user namespace, an idmapped mount), and sends its tree with
    /// `Reply::Trees`, in the order of these steps.
    Sent,
}

impl BindOrigin {
    /// The number on the wire.
    pub const fn number(self) -> u64 {
        match self {
            BindOrigin::Host => 0,
            BindOrigin::Parent => 1,
            BindOrigin::Sent => 2,
        }
    }

    /// The origin with this number.
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => BindOrigin::Host,
            1 => BindOrigin::Parent,
            2 => BindOrigin::Sent,
            _ => return None,
        })
    }

    /// Whether the tree is there before the root changes.
    pub const fn is_early(self) -> bool {
        matches!(self, BindOrigin::Host | BindOrigin::Sent)
    }
}

/// Of which path a symlink in the last component is not followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nofollow {
    /// The source's is itself what is mounted.
    pub source: bool,
    /// The target's is itself what is mounted upon.
    pub target: bool,
}

/// One step. Paths of the container are absolute and mean its root; they never leave it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<F: Form> {
    /// A new instance of a filesystem. `target` is made if it is missing.
    MountFilesystem {
        fstype: F::Text,
        /// What /proc/mounts shows; may be empty.
        source: F::Text,
        target: F::Text,
        /// What the filesystem itself reads: words and `key=value`, with commas between them.
        data: F::Text,
        /// MS_* bits of mount(2).
        flags: u32,
        propagations: Propagations,
        /// It begins with what lies at `target` (`tmpcopyup`).
        copies_up: bool,
        /// Its owners are those of a user namespace, which the parent sends with `Reply::Trees`, in the order of these and the bind steps.
        is_mapped: bool,
    },
    /// A bind mount. A missing `target` becomes a directory if the source is one, and else an empty file.
    BindMount {
        source: F::Text,
        target: F::Text,
        origin: BindOrigin,
        recursive: bool,
        nofollow: Nofollow,
        attributes: Attributes,
        recursive_attributes: Attributes,
        propagations: Propagations,
    },
    /// Changes the mount at `path`; recursively all below it, too, and makes them private.
    SetMountAttributes {
        path: F::Text,
        recursive: bool,
        attributes: Attributes,
    },
    /// Takes the top mount at `path` away, with all below it, if it is the one with this number (statx(2), STATX_MNT_ID_UNIQUE, or STATX_MNT_ID before
    /// Linux 6.8). The path is as proc_pid_mountinfo(5) has it: `\ooo` in octal means a byte.
    Unmount {
        path: F::Text,
        mount: u64,
    },
    /// A device node or fifo. An existing one of the same kind and number is taken; another is an error.
    MakeDevice {
        path: F::Text,
        /// S_IFCHR, S_IFBLK or S_IFIFO with permission bits.
        mode: u32,
        major: u32,
        minor: u32,
        uid: u32,
        gid: u32,
    },
    /// A symlink with this target. Whatever is there already stays; where it has to be `exact`, anything but the same symlink is an error.
    MakeSymlink {
        path: F::Text,
        target: F::Text,
        exact: bool,
    },
    /// A directory (0755) and its parents, where missing.
    MakeDirectory {
        path: F::Text,
    },
    /// Makes an existing path read-only; a missing one is skipped. Mounts below it stay what they are.
    ReadonlyPath {
        path: F::Text,
        /// There may be such mounts.
        recursive: bool,
    },
    /// Hides an existing path behind /dev/null or an empty directory; a missing one is skipped.
    MaskPath {
        path: F::Text,
        /// Mount data of the tmpfs that covers a directory; may be empty.
        data: F::Text,
    },
    /// The root mount's propagation and read-only flag.
    FinishRoot {
        readonly: bool,
        propagations: Propagations,
    },
    /// `name` is relative to /proc/sys.
    WriteSysctl {
        name: F::Text,
        value: F::Text,
    },
    /// The value as text, as it is written.
    SetOomScoreAdjust {
        value: F::Text,
    },
    SetHostname {
        name: F::Text,
    },
    SetDomainname {
        name: F::Text,
    },
    NewSessionKeyring,
    /// RLIMIT_* number; `u64::MAX` is infinity.
    SetRlimit {
        resource: u32,
        soft: u64,
        hard: u64,
    },
    /// Drops every capability that is not in `keep` from the bounding set. Bit N is capability N.
    DropBounding {
        keep: u64,
    },
    /// Enters the working directory and becomes the user; the directory may be open to either side of it.
    BecomeUser {
        uid: u32,
        gid: u32,
        groups: F::Ids,
        working_directory: F::Path,
        keep_capabilities: bool,
        /// The caller's groups stay: they are asked for, or the user namespace denies setgroups(2).
        keep_groups: bool,
    },
    /// Bit N of each set is capability N.
    SetCapabilities {
        effective: u64,
        permitted: u64,
        inheritable: u64,
        ambient: u64,
    },
    SetUmask {
        umask: u32,
    },
    SetNoNewPrivileges,
    /// The program's clocks, with offsets as /proc/self/timens_offsets takes them.
    NewTimeNamespace {
        offsets: F::Text,
    },
    SetScheduler {
        scheduler: Scheduler,
    },
    /// IOPRIO_CLASS_* number, and the priority in it: 0 (the highest) to 7.
    SetIoPriority {
        class: u32,
        priority: u32,
    },
    /// PER_LINUX or PER_LINUX32.
    SetPersonality {
        domain: u32,
    },
    /// MPOL_* number, MPOL_F_* bits, and the numbers of the nodes, each below `NODE_COUNT_MAX`.
    SetMemoryPolicy {
        mode: u32,
        flags: u32,
        nodes: F::Ids,
    },
    /// What confines the program from its execution on.
    SetAppArmorProfile {
        profile: F::Text,
    },
    /// The program's context from its execution on, and that of the keyrings made until then.
    SetSelinuxLabel {
        label: F::Text,
    },
    /// Denies every access to files of the kinds in `handled` (LANDLOCK_ACCESS_FS_* bits), but below these paths those that
    /// stand in the same place of `rights`.
    RestrictLandlock {
        handled: u32,
        paths: F::Texts,
        rights: F::Ids,
    },
    /// Runs a startContainer hook, as the program would be run, and waits for its end.
    RunHook {
        /// The hook's place in its list.
        index: u32,
        path: F::Text,
        arguments: F::Texts,
        environment: F::Texts,
        /// The container's state as it is read from standard input: two texts, what stands before and behind the process id.
        state: F::Texts,
        /// 0 is no limit.
        timeout_ms: u32,
    },
    /// A new terminal of the container's devpts becomes the controlling terminal and the standard streams; its master goes to the parent
    /// with `Report::Console`.
    OpenConsole {
        /// Who owns the terminal.
        uid: u32,
        /// Columns and rows; both 0: left as they are.
        width: u32,
        height: u32,
        /// The terminal is /dev/console as well.
        bind: bool,
    },
    /// The processors to run on, each below `PROCESSOR_COUNT_MAX`, or all if none is named, once the process is in its cgroups.
    SetAffinity {
        processors: F::Ids,
    },
    /// Gives the standard streams to the user, who may want to open them again by their names in /dev.
    OwnStreams {
        uid: u32,
        /// Regular files as well, which the program may write.
        files: bool,
    },
    /// Loads a filter for system calls. Whatever stage1 does after this is subject to it.
    InstallSeccomp {
        /// SECCOMP_FILTER_FLAG_* bits, and `LISTENER_BY_SENDMMSG`.
        flags: u32,
        /// The program: struct sock_filter after struct sock_filter, eight bytes each.
        program: F::Bytes,
    },
}

impl<F: Form> Step<F> {
    /// Whether a descriptor waits for this step from before the root changes.
    pub const fn takes_source(&self) -> bool {
        match self {
            Step::BindMount { origin, .. } => origin.is_early(),
            Step::MountFilesystem { is_mapped, .. } => *is_mapped,
            _ => false,
        }
    }

    /// The kind, which carries number, name and phases.
    pub const fn kind(&self) -> StepKind {
        match self {
            Step::MountFilesystem { .. } => StepKind::MountFilesystem,
            Step::BindMount { .. } => StepKind::BindMount,
            Step::SetMountAttributes { .. } => StepKind::SetMountAttributes,
            Step::Unmount { .. } => StepKind::Unmount,
            Step::MakeDevice { .. } => StepKind::MakeDevice,
            Step::MakeSymlink { .. } => StepKind::MakeSymlink,
            Step::MakeDirectory { .. } => StepKind::MakeDirectory,
            Step::ReadonlyPath { .. } => StepKind::ReadonlyPath,
            Step::MaskPath { .. } => StepKind::MaskPath,
            Step::FinishRoot { .. } => StepKind::FinishRoot,
            Step::WriteSysctl { .. } => StepKind::WriteSysctl,
            Step::SetOomScoreAdjust { .. } => StepKind::SetOomScoreAdjust,
            Step::SetHostname { .. } => StepKind::SetHostname,
            Step::SetDomainname { .. } => StepKind::SetDomainname,
            Step::NewSessionKeyring => StepKind::NewSessionKeyring,
            Step::SetRlimit { .. } => StepKind::SetRlimit,
            Step::DropBounding { .. } => StepKind::DropBounding,
            Step::BecomeUser { .. } => StepKind::BecomeUser,
            Step::SetCapabilities { .. } => StepKind::SetCapabilities,
            Step::SetUmask { .. } => StepKind::SetUmask,
            Step::SetNoNewPrivileges => StepKind::SetNoNewPrivileges,
            Step::NewTimeNamespace { .. } => StepKind::NewTimeNamespace,
            Step::SetScheduler { .. } => StepKind::SetScheduler,
            Step::SetIoPriority { .. } => StepKind::SetIoPriority,
            Step::SetPersonality { .. } => StepKind::SetPersonality,
            Step::SetMemoryPolicy { .. } => StepKind::SetMemoryPolicy,
            Step::SetAppArmorProfile { .. } => StepKind::SetAppArmorProfile,
            Step::SetSelinuxLabel { .. } => StepKind::SetSelinuxLabel,
            Step::RestrictLandlock { .. } => StepKind::RestrictLandlock,
            Step::RunHook { .. } => StepKind::RunHook,
            Step::InstallSeccomp { .. } => StepKind::InstallSeccomp,
            Step::OpenConsole { .. } => StepKind::OpenConsole,
            Step::SetAffinity { .. } => StepKind::SetAffinity,
            Step::OwnStreams { .. } => StepKind::OwnStreams,
        }
    }
}
