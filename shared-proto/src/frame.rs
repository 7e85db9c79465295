//! The short messages after the bootstrap: reports of stage1, replies of the parent. One size both ways.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::failure::{Call, Failure};
use crate::limits::{FRAME_BYTES, FRAME_DESCRIPTOR_COUNT_MAX};
use crate::step::Phase;

/// No step: the skeleton failed.
const NO_STEP: u32 = u32::MAX;

/// stage1 → parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Everything up to the wait for `start` is done.
    Ready,
    /// Something failed; stage1 ends after this.
    Failed(Failure),
    /// Something that the configuration asked for could not be had and may be done without.
    Warned(Failure),
    /// A filter was loaded that asks a listener: one descriptor, which answers for it. Nothing but execve follows.
    Listener,
    /// Both trees can be seen and nothing of the container's has run: this is the moment of the runtime's hooks. stage1 waits.
    HooksDue,
    /// A startContainer hook did not succeed: stage1 ends after this. One descriptor: a file with what the hook has said.
    HookFailed { index: u32, status: HookStatus },
    /// A terminal was opened for the program: one descriptor, its master.
    Console,
    /// The sender has cloned itself and ends; the clone goes on. One descriptor: its pidfd. The number is its pid among us.
    Born { pid: u32 },
    /// stage1 is in a user namespace that it has made, and waits for the parent to map ids in it.
    MapsDue,
    /// This is what is going to be mounted in a container that runs: one descriptor, a detached mount. stage1 waits.
    Mounting,
    /// The clocks of the time namespace that stage1 has made are not its own to set: their file is the host's root's. stage1 waits.
    ClocksDue,
}

/// How a hook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookStatus {
    Exited(u16),
    Killed(u16),
    /// It ran past its time, and was killed with its group.
    TimedOut,
    /// It cannot be executed, or what is locked down before it cannot be, for this reason: an errno.
    NotExecuted(u16),
}

impl HookStatus {
    const fn numbers(self) -> (u16, u16) {
        match self {
            HookStatus::Exited(status) => (1, status),
            HookStatus::Killed(signal) => (2, signal),
            HookStatus::TimedOut => (3, 0),
            HookStatus::NotExecuted(errno) => (4, errno),
        }
    }

    const fn from_numbers(kind: u16, number: u16) -> Option<Self> {
        Some(match kind {
            1 => HookStatus::Exited(number),
            2 => HookStatus::Killed(number),
            3 => HookStatus::TimedOut,
            4 => HookStatus::NotExecuted(number),
            _ => return None,
        })
    }
}

/// parent → stage1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The cgroups are there. The descriptors: a tree for each bind step whose origin is the parent, then a `tasks` file for each v1
    /// hierarchy.
    Cgroups { descriptor_count: u16 },
    /// The network namespace is there: one descriptor.
    Network,
    /// Trees for bind steps whose origin is `Sent`, and user namespaces for filesystems with owners of their own, in the order of the steps; as many of these replies as it takes, before all others.
    Trees { descriptor_count: u16 },
    /// The hooks have run: go on.
    Proceed,
    /// Execute the program now. Bit N-1 is signal number N, which the parent's caller ignored: the program must not.
    Start { ignored_signals: u64 },
    /// The container is created: wait at the listener for the `Start` of another process.
    Hold { ignored_signals: u64 },
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ReportRecord {
    kind: U16,
    phase: u8,
    reserved: u8,
    step: U32,
    call: U16,
    errno: U16,
    reserved_tail: [u8; 20],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ReplyRecord {
    kind: U16,
    descriptor_count: U16,
    reserved: [u8; 4],
    ignored_signals: U64,
    reserved_tail: [u8; 16],
}

const _: () = assert!(size_of::<ReportRecord>() == FRAME_BYTES);
const _: () = assert!(size_of::<ReplyRecord>() == FRAME_BYTES);

impl Report {
    /// The bytes that travel.
    pub fn encode(self) -> [u8; FRAME_BYTES] {
        let (kind, failure) = match self {
            Report::Ready => (1, None),
            Report::Failed(failure) => (2, Some(failure)),
            Report::Warned(failure) => (3, Some(failure)),
            Report::Listener => (4, None),
            Report::HooksDue => (5, None),
            Report::HookFailed { index, status } => {
                let (how, number) = status.numbers();
                let record = ReportRecord {
                    kind: U16::new(6),
                    phase: 0,
                    reserved: 0,
                    step: U32::new(index),
                    call: U16::new(how),
                    errno: U16::new(number),
                    reserved_tail: [0; 20],
                };
                return zerocopy::transmute!(record);
            }
            Report::Console => (7, None),
            Report::MapsDue => (9, None),
            Report::Mounting => (10, None),
            Report::ClocksDue => (11, None),
            Report::Born { pid } => {
                let record = ReportRecord {
                    kind: U16::new(8),
                    phase: 0,
                    reserved: 0,
                    step: U32::new(pid),
                    call: U16::new(0),
                    errno: U16::new(0),
                    reserved_tail: [0; 20],
                };
                return zerocopy::transmute!(record);
            }
        };
        let record = ReportRecord {
            kind: U16::new(kind),
            phase: failure.map_or(0, |failure| failure.phase as u8),
            reserved: 0,
            step: U32::new(failure.map_or(0, |failure| failure.step.unwrap_or(NO_STEP))),
            call: U16::new(failure.map_or(0, |failure| failure.call as u16)),
            errno: U16::new(failure.map_or(0, |failure| failure.errno)),
            reserved_tail: [0; 20],
        };
        zerocopy::transmute!(record)
    }

    /// The report in `bytes`; `None` unless every bit is as [`Report::encode`] writes it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let record = ReportRecord::ref_from_bytes(bytes).ok()?;
        let failure = || {
            Some(Failure {
                phase: Phase::from_number(record.phase)?,
                step: Some(record.step.get()).filter(|&step| step != NO_STEP),
                call: Call::from_number(record.call.get())?,
                errno: record.errno.get(),
            })
        };
        let report = match record.kind.get() {
            1 => Report::Ready,
            2 => Report::Failed(failure()?),
            3 => Report::Warned(failure()?),
            4 => Report::Listener,
            5 => Report::HooksDue,
            6 => Report::HookFailed {
                index: record.step.get(),
                status: HookStatus::from_numbers(record.call.get(), record.errno.get())?,
            },
            7 => Report::Console,
            8 => Report::Born { pid: record.step.get() },
            9 => Report::MapsDue,
            10 => Report::Mounting,
            11 => Report::ClocksDue,
            _ => return None,
        };
        (report.encode() == bytes).then_some(report)
    }

    /// How many descriptors travel with this report.
    pub fn descriptor_count(self) -> usize {
        match self {
            Report::Listener
            | Report::HookFailed { .. }
            | Report::Console
            | Report::Born { .. }
            | Report::Mounting => 1,
            Report::HooksDue
            | Report::MapsDue
            | Report::ClocksDue
            | Report::Ready
            | Report::Failed(_)
            | Report::Warned(_) => 0,
        }
    }
}

impl Reply {
    /// The bytes that travel.
    pub fn encode(self) -> [u8; FRAME_BYTES] {
        let (kind, descriptor_count, ignored_signals) = match self {
            Reply::Cgroups { descriptor_count } => (1, descriptor_count, 0),
            Reply::Network => (2, 1, 0),
            Reply::Start { ignored_signals } => (3, 0, ignored_signals),
            Reply::Hold { ignored_signals } => (4, 0, ignored_signals),
            Reply::Trees { descriptor_count } => (5, descriptor_count, 0),
            Reply::Proceed => (6, 0, 0),
        };
        let record = ReplyRecord {
            kind: U16::new(kind),
            descriptor_count: U16::new(descriptor_count),
            reserved: [0; 4],
            ignored_signals: U64::new(ignored_signals),
            reserved_tail: [0; 16],
        };
        zerocopy::transmute!(record)
    }

    /// The reply in `bytes`; `None` unless every bit is as [`Reply::encode`] writes it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let record = ReplyRecord::ref_from_bytes(bytes).ok()?;
        let descriptor_count = record.descriptor_count.get();
        let ignored_signals = record.ignored_signals.get();
        let reply = match record.kind.get() {
            1 if usize::from(descriptor_count) <= FRAME_DESCRIPTOR_COUNT_MAX => {
                Reply::Cgroups { descriptor_count }
            }
            5 if usize::from(descriptor_count) <= FRAME_DESCRIPTOR_COUNT_MAX => {
                Reply::Trees { descriptor_count }
            }
            2 => Reply::Network,
            6 => Reply::Proceed,
            3 => Reply::Start { ignored_signals },
            4 => Reply::Hold { ignored_signals },
            _ => return None,
        };
        (reply.encode() == bytes).then_some(reply)
    }

    /// How many descriptors travel with this reply.
    pub fn descriptor_count(self) -> usize {
        match self {
            Reply::Cgroups { descriptor_count } | Reply::Trees { descriptor_count } => {
                usize::from(descriptor_count)
            }
            Reply::Network => 1,
            Reply::Proceed | Reply::Start { .. } | Reply::Hold { .. } => 0,
        }
    }
}
