//! What stage1 notes if somebody wants to know where the time goes: a file in memory, which the parent reads when all is done.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One note: this has just ended. They stand in the order in which things were done; what is not used of the file is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Mark {
    /// A moment's number, or `STEP` and the index of a step.
    pub label: U32,
    pub reserved: U32,
    /// CLOCK_REALTIME, the one clock that is the same in every time namespace.
    pub nanoseconds: U64,
}

impl Mark {
    /// The notes in a file's bytes.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Mark> {
        let marks = bytes.chunks_exact(MARK_BYTES).filter_map(|mark| Mark::read_from_bytes(mark).ok());
        marks.take_while(|mark| mark.label != 0)
    }
}

/// Bytes of a note.
pub const MARK_BYTES: usize = size_of::<Mark>();

const _: () = assert!(MARK_BYTES == 16);

/// The bit of a label that stands for a step.
pub const STEP: u32 = 1 << 31;

/// Bytes for all notes of a plan.
pub const fn trace_bytes(step_count: usize) -> usize {
    (Moment::ALL.len() + step_count) * MARK_BYTES
}

macro_rules! moments {
    ($($(#[$note:meta])* $variant:ident = $number:literal $words:literal,)*) => {
        /// What the skeleton has just done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Moment { $($(#[$note])* $variant = $number,)* }

        impl Moment {
            /// Every moment, in the order of a start.
            pub const ALL: &[Moment] = &[$(Moment::$variant,)*];

            /// What was done, for people.
            pub const fn words(self) -> &'static str {
                match self { $(Moment::$variant => $words,)* }
            }

            /// The moment with this number.
            pub const fn from_number(number: u32) -> Option<Moment> {
                match number { $($number => Some(Moment::$variant),)* _ => None }
            }
        }
    };
}

moments! {
    /// From the clone on.
    Received = 1 "be born, receive and check the plan",
    Joined = 2 "join namespaces",
    Entered = 3 "bind the root",
    Born = 4 "be born in the pid namespace",
    CgroupsCame = 5 "wait for the cgroups",
    CgroupsEntered = 6 "enter the cgroups",
    NetworkCame = 7 "wait for the network namespace",
    NetworkEntered = 8 "enter the network namespace",
    HooksRun = 9 "wait for the runtime's hooks",
    HostLeft = 10 "leave the host's root, wait for a grace period",
    ProgramFound = 11 "find the program",
    StartCame = 12 "wait for the start",
    /// The container's own hooks among it.
    Closed = 13 "close descriptors, run startContainer hooks",
}

impl Moment {
    /// Whether stage1 did nothing but wait: for others, or for a grace period of the kernel's.
    pub const fn is_wait(self) -> bool {
        use Moment::*;
        matches!(self, CgroupsCame | HostLeft | NetworkCame | HooksRun | StartCame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_moments_are_one_to_one() {
        for (index, moment) in Moment::ALL.iter().enumerate() {
            assert_eq!(*moment as u32, index as u32 + 1);
            assert_eq!(Moment::from_number(*moment as u32), Some(*moment));
        }
        assert_eq!(Moment::from_number(0), None);
        assert_eq!(Moment::from_number(STEP | 1), None);
    }
}
