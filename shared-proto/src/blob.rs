//! Strings and lists: offset and length into the text section of the same message.
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
    /// A path that is not in a configuration: no NUL is in it, but it need not be UTF-8.
    type Path: Copy + Debug + PartialEq;
    type Texts: Copy + Debug + PartialEq;
    type Ids: Copy + Debug + PartialEq;
    type Bytes: Copy + Debug + PartialEq;
}

/// The parent's form: borrowed from its `Config`.
#[cfg(feature = "encode")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned<'a>(core::marker::PhantomData<&'a str>);

#[cfg(feature = "encode")]
impl<'a> Form for Planned<'a> {
    type Text = &'a str;
    type Path = &'a [u8];
    type Texts = &'a [alloc::string::String];
    type Ids = &'a [u32];
    type Bytes = &'a [u8];
}

/// stage1's form: NUL-terminated, inside the message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire<'a>(core::marker::PhantomData<&'a CStr>);

impl<'a> Form for Wire<'a> {
    type Text = &'a CStr;
    type Path = &'a CStr;
    type Texts = TextList<'a>;
    type Ids = &'a [U32];
    type Bytes = &'a [u8];
}

/// Strings, each with its NUL, in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextList<'a>(&'a [u8]);

impl<'a> TextList<'a> {
    /// Checks the shape: every string ends with a NUL and none is longer than `item_bytes_max`.
    pub fn new(bytes: &'a [u8], item_bytes_max: usize) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let item = CStr::from_bytes_until_nul(rest).ok()?;
            if item.count_bytes() > item_bytes_max {
                return None;
            }
            rest = &rest[item.count_bytes() + 1..];
        }
        Some(Self(bytes))
    }

    /// The strings in order.
    pub fn iter(self) -> impl Iterator<Item = &'a CStr> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let item = CStr::from_bytes_until_nul(rest).ok()?;
            rest = &rest[item.count_bytes() + 1..];
            Some(item)
        })
    }
}
