//! Closing many descriptors with few calls.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use sc::syscall;

use crate::error::check;

/// Closes descriptors; those whose numbers follow each other, together.
pub(crate) fn close_all(descriptors: impl IntoIterator<Item = OwnedFd>) {
    let mut descriptors: Vec<OwnedFd> = descriptors.into_iter().collect();
    descriptors.sort_unstable_by_key(AsRawFd::as_raw_fd);
    let numbers: Vec<i32> = descriptors.into_iter().map(IntoRawFd::into_raw_fd).collect();
    for row in numbers.chunk_by(|left, right| left + 1 == *right) {
        // SAFETY: numbers only; every descriptor from the first to the last of a row was one of `descriptors`, which owned it.
        // Ignored: the range is one, and what is open can be closed.
        let _ = check(unsafe { syscall!(CLOSE_RANGE, row[0], row[row.len() - 1], 0usize) });
    }
}
