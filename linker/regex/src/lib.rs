//! The interface of the crate `regex`, as far as oci-spec uses it.

#![no_std]

pub use regex_lite::*;
