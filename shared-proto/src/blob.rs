//! Strings and lists of ids: offset and length into the text section of the same message.
//!
//! The text section holds every blob in the order in which the records name them, back to back, each followed by
//! one NUL byte. There is one encoding of a message, so the decoder needs no search and accepts no overlap.

use core::ffi::CStr;
use core::fmt::Debug;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Where a string or list lies. `offset` counts from the start of the text section; `bytes` leaves out the NUL.
/// A field that a record does not use is all zero.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Blob {
    pub offset: U32,
    pub bytes: U32,
}

impl Blob {
    /// A field that its record does not use.
    pub const UNUSED: Blob = Blob { offset: U32::ZERO, bytes: U32::ZERO };
}

/// How strings and lists are held: as the parent plans them, or as they lie in a message.
pub trait Form: Copy {
    type Text: Copy + Debug + PartialEq;
    type Ids: Copy + Debug + PartialEq;
}

/// The parent's form: borrowed from its `Config`.
#[cfg(feature = "encode")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned<'a>(core::marker::PhantomData<&'a str>);

#[cfg(feature = "encode")]
impl<'a> Form for Planned<'a> {
    type Text = &'a str;
    type Ids = &'a [u32];
}

/// stage1's form: NUL-terminated, inside the message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire<'a>(core::marker::PhantomData<&'a CStr>);

impl<'a> Form for Wire<'a> {
    type Text = &'a CStr;
    type Ids = &'a [U32];
}
