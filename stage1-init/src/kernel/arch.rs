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

/// Where the kernel put the argument count, then the pointers to the arguments; `entry!` passes it on.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct InitialStack(*const usize);

impl InitialStack {
    /// The argument with this index.
    pub fn argument(self, index: usize) -> Option<&'static CStr> {
        // SAFETY: only `entry!` makes a value of this type, from the stack pointer at the program's start, which the kernel left at the
        // argument count, followed by as many pointers to NUL-terminated strings that live as long as the program (execve(2)).
        unsafe {
            if index >= *self.0 {
                return None;
            }
            Some(CStr::from_ptr(*self.0.add(1 + index) as *const c_char))
        }
    }
}
