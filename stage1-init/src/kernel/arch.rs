//! What differs between processors: how the program begins, how it traps, and the memory functions that the compiler calls.

use core::ffi::{CStr, c_char};

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
mod processor;

#[cfg(feature = "freestanding")]
mod memory;

pub use processor::trap;

#[doc(hidden)]
pub use crate::__entry as entry;

/// The argument with this index, as the kernel left it on the stack at the start: a count, then pointers.
pub fn argument(stack: *const usize, index: usize) -> Option<&'static CStr> {
    // SAFETY: `stack` is what `entry!` passes on: the kernel's argument count, followed by as many pointers to NUL-terminated strings
    // that live as long as the program (execve(2)).
    unsafe {
        if index >= *stack {
            return None;
        }
        Some(CStr::from_ptr(*stack.add(1 + index) as *const c_char))
    }
}
