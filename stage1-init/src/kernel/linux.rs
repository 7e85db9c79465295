//! The system calls themselves: rustix where it has them, `sc` where it lacks them. Nothing here decides anything.

use rustix::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use sc::syscall;
use shared_proto::Mark;

use super::{Descriptor, Errno, Result};

mod descriptors;
mod files;
mod identity;
mod messages;
mod mounts;
mod privileges;
mod processes;

/// The running kernel.
#[derive(Default)]
pub struct Linux {
    /// Where the next note goes, and for how many there is room.
    notes: Option<(*mut Mark, usize)>,
}

impl Linux {
    pub fn new() -> Self {
        Self { notes: None }
    }
}

/// Lends a descriptor to rustix for one call.
fn lend<'a>(descriptor: Descriptor) -> BorrowedFd<'a> {
    // SAFETY: stage1 closes a descriptor only through `Kernel::close`, which cannot run during the one call that this borrow is
    // for. -1, the one forbidden value, is in no `Descriptor`: what a successful call returned is not negative, nor is what
    // `Descriptor::from_argument` makes, and -100 stands for the working directory.
    unsafe { BorrowedFd::borrow_raw(descriptor.0) }
}

/// Takes a descriptor from rustix; from now on `Kernel::close` closes it.
fn keep(descriptor: OwnedFd) -> Descriptor {
    Descriptor(descriptor.into_raw_fd())
}

/// The errno in a raw return value.
fn check(returned: usize) -> Result<usize> {
    let signed = returned as isize;
    if (-4095..0).contains(&signed) { Err(Errno::from_raw_os_error(-signed as i32)) } else { Ok(returned) }
}

/// prctl(2) with numbers only.
fn control(option: u32, argument: usize, more: usize) -> Result<()> {
    // SAFETY: the options that this file passes take numbers, no pointers.
    check(unsafe { syscall!(PRCTL, option, argument, more, 0usize, 0usize) })?;
    Ok(())
}
