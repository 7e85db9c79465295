//! What parent and stage1 agree on, and nothing else: bytes, bounds, numbers, and who says what when.
//!
//! The page to read first is `README.md` beside this crate. No heap, no I/O, no unsafe. (With the feature `encode`, which
//! only the parent has, lists are borrowed from `String`s; nothing is allocated here then either.)

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "encode")]
extern crate alloc;

pub mod blob;
pub mod bootstrap;
pub mod decode;
#[cfg(feature = "encode")]
pub mod encode;
pub mod failure;
pub mod frame;
pub mod limits;
pub mod order;
pub mod step;
pub mod trace;

#[cfg(feature = "encode")]
pub use blob::Planned;
pub use blob::{Blob, Form, TextList, Wire};
pub use bootstrap::{Bootstrap, DescriptorSlot, DescriptorSlots, HostLeft, PhasedStep, RootChange};
pub use decode::{Refusal, View};
#[cfg(feature = "encode")]
pub use encode::{EncodeError, Message, encode, encoded_bytes};
pub use failure::{Call, Failure};
pub use frame::{HookStatus, Reply, Report};
pub use step::{
    Attributes, BindOrigin, LISTENER_BY_SENDMMSG, Nofollow, Phase, Propagation, PropagationKind,
    Propagations, Scheduler, Step, StepKind,
};
pub use trace::{Mark, Moment};
