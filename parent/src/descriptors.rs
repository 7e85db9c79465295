//! Closing many descriptors with few calls.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use rustix::io::Errno;
use sc::syscall;

use crate::error::check;

/// From linux/close_range.h, which linux-raw-sys leaves out.
pub(crate) const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

/// As many spent descriptors wait at most.
const SPENT_MAX: usize = 48;

thread_local! {
    /// What waits to be closed, while the calling thread has a `Sweep`, which empties it. Nothing is left to be dropped with the thread: with musl
    /// to have that noted is six system calls.
    static SPENT: RefCell<Option<ManuallyDrop<Vec<OwnedFd>>>> = const { RefCell::new(None) };
}

/// While it lives, descriptors that its thread has no more use for ([`spend`]) wait, and are closed together; without, each by itself.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// It is its thread's.
    _thread: PhantomData<*const ()>,
}

impl Sweep {
    pub(crate) fn begin() -> Self {
        SPENT.set(Some(ManuallyDrop::new(take_spent())));
        Self { _thread: PhantomData }
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        close_spent();
        SPENT.set(None);
    }
}

/// Closes a descriptor of which it does not matter when it is closed.
pub(crate) fn spend(descriptor: OwnedFd) {
    let closed_now = SPENT.with_borrow_mut(|spent| {
        let Some(spent) = spent else { return vec![descriptor] };
        spent.push(descriptor);
        if spent.len() > SPENT_MAX { std::mem::take(&mut **spent) } else { Vec::new() }
    });
    close_all(closed_now);
}

/// Closes what waits.
pub(crate) fn close_spent() {
    close_all(take_spent());
}

/// What an ioctl(2) without an argument returns as a new descriptor.
///
/// # Safety
/// `request` is such a one for what is open there.
pub(crate) unsafe fn descriptor_from(open: BorrowedFd<'_>, request: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: the request takes nothing from us but the descriptor.
    let returned = unsafe { syscall!(IOCTL, open.as_raw_fd(), request) };
    check(returned)?;
    // SAFETY: the call succeeded: this is a new descriptor that nobody else has seen.
    Ok(unsafe { OwnedFd::from_raw_fd(returned as i32) })
}

fn take_spent() -> Vec<OwnedFd> {
    SPENT
        .with_borrow_mut(|spent| spent.as_mut().map(|spent| std::mem::take(&mut **spent)).unwrap_or_default())
}

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

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, BorrowedFd};

    use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
    use rustix::pipe::pipe;

    use super::*;

    /// Whether the other end of a pipe is closed.
    fn is_alone(reader: BorrowedFd<'_>) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut polled = [PollFd::from_borrowed_fd(reader, PollFlags::empty())];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
        polled[0].revents().contains(PollFlags::HUP)
    }

    fn spent_end() -> OwnedFd {
        let (reader, writer) = pipe().unwrap();
        fcntl_setfd(&writer, FdFlags::CLOEXEC).unwrap();
        spend(writer);
        reader
    }

    #[test]
    fn spent_descriptors_are_closed_at_once_or_with_the_sweep() {
        assert!(is_alone(spent_end().as_fd()));
        let sweep = Sweep::begin();
        let (first, second) = (spent_end(), spent_end());
        assert!(!is_alone(first.as_fd()) && !is_alone(second.as_fd()));
        close_spent();
        assert!(is_alone(first.as_fd()) && is_alone(second.as_fd()));
        let third = spent_end();
        assert!(!is_alone(third.as_fd()));
        drop(sweep);
        assert!(is_alone(third.as_fd()) && is_alone(spent_end().as_fd()));
    }

    #[test]
    fn a_sweep_keeps_a_limited_number_open_and_is_its_threads() {
        let _sweep = Sweep::begin();
        let ends: Vec<OwnedFd> = (0..SPENT_MAX + 3).map(|_| spent_end()).collect();
        assert_eq!(ends.iter().filter(|end| is_alone(end.as_fd())).count(), SPENT_MAX + 1);
        assert!(std::thread::spawn(|| is_alone(spent_end().as_fd())).join().unwrap());
    }

    #[test]
    fn rows_with_gaps_are_closed_and_what_lies_between_stays() {
        let pipes: Vec<(OwnedFd, OwnedFd)> = (0..3).map(|_| pipe().unwrap()).collect();
        let (readers, writers): (Vec<OwnedFd>, Vec<OwnedFd>) = pipes.into_iter().unzip();
        close_all(writers);
        assert!(readers.iter().all(|reader| is_alone(reader.as_fd()) && fcntl_getfd(reader).is_ok()));
    }
}
