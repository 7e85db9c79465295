//! Closing many descriptors with few calls.

use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use sc::syscall;

use crate::error::check;

/// From linux/close_range.h, which linux-raw-sys leaves out.
pub(crate) const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

/// Closes descriptors; those whose numbers follow each other, together.
pub(crate) fn close_all(descriptors: impl IntoIterator<Item = OwnedFd>) {
    let mut descriptors: Vec<OwnedFd> = descriptors.into_iter().collect();
    descriptors.sort_unstable_by_key(AsRawFd::as_raw_fd);
    let numbers: Vec<i32> = descriptors.into_iter().map(IntoRawFd::into_raw_fd).collect();
    for row in numbers.chunk_by(|left, right| left + 1 == *right) {
        // SAFETY: numbers only; every descriptor from the first to the last of a row was one of `descriptors`, which owned it.
        let closed = check(unsafe { syscall!(CLOSE_RANGE, row[0], row[row.len() - 1], 0usize) });
        if closed.is_err() {
            // A filter around us forbids the call. Somebody may wait for the ends of these.
            for number in row {
                // SAFETY: as above; nothing was closed.
                drop(unsafe { OwnedFd::from_raw_fd(*number) });
            }
        }
    }
}
