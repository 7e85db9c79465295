//! memcpy and its kin: the compiler calls them, and there is no libc to have them.
//!
//! On x86-64 the string instructions are as quick as any loop for stage1's sizes. Elsewhere loops serve, whose writes (or reads, where
//! nothing is written) are volatile: the compiler would turn plain ones into calls of themselves.

#[cfg(target_arch = "x86_64")]
use core::arch::asm;

/// Copies `bytes` bytes between regions that do not overlap.
///
/// # Safety
/// As memcpy(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller upholds memcpy's contract.
    unsafe { copy_forward(to, from, bytes) };
    to
}

/// Copies byte by byte from the near end: right for regions that overlap, too, if `to` does not lie inside the one at `from`.
///
/// # Safety
/// `from` can be read, and `to` written, for `bytes` bytes.
unsafe fn copy_forward(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: the caller's promise; the direction flag is clear by the psABI.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("rep movsb", inout("rcx") bytes => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
        #[cfg(not(target_arch = "x86_64"))]
        for index in 0..bytes {
            to.add(index).write_volatile(from.add(index).read());
        }
    }
}

/// Copies `bytes` bytes between regions that may overlap.
///
/// # Safety
/// As memmove(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller upholds memmove's contract; copying from the far end keeps what is still to be read.
    unsafe {
        if (to as usize).wrapping_sub(from as usize) >= bytes {
            copy_forward(to, from, bytes);
            return to;
        }
        for index in (0..bytes).rev() {
            to.add(index).write_volatile(from.add(index).read());
        }
    }
    to
}

/// Fills `bytes` bytes.
///
/// # Safety
/// As memset(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, bytes: usize) -> *mut u8 {
    // SAFETY: the caller upholds memset's contract; the direction flag is clear by the psABI.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("rep stosb", inout("rcx") bytes => _, inout("rdi") to => _, in("al") value as u8,
            options(nostack, preserves_flags));
        #[cfg(not(target_arch = "x86_64"))]
        for index in 0..bytes {
            to.add(index).write_volatile(value as u8);
        }
    }
    to
}

/// Compares `bytes` bytes.
///
/// # Safety
/// As memcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    for index in 0..bytes {
        // SAFETY: the caller upholds memcmp's contract: both regions have `bytes` bytes.
        let (left, right) = unsafe { (left.add(index).read_volatile(), right.add(index).read_volatile()) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

/// Compares `bytes` bytes; only zero or not matters.
///
/// # Safety
/// As bcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(left, right, bytes) }
}

/// Length of a NUL-terminated string.
///
/// # Safety
/// As strlen(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller upholds strlen's contract: a NUL lies at or behind every byte read.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
