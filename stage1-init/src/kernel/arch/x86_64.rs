//! x86-64.

/// Defines `_start`, which passes the first stack pointer to `$start`, an `extern "C" fn(InitialStack) -> !`.
#[doc(hidden)]
#[macro_export]
macro_rules! __entry {
    ($start:path) => {
        // SAFETY: the linker script names `_start` as the entry, so the kernel jumps here once with the initial stack; the
        // psABI wants it aligned to 16 bytes at a call and the frame pointer zero in the outermost frame.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn _start() -> ! {
            core::arch::naked_asm!(
                "xor ebp, ebp",
                "mov rdi, rsp",
                "and rsp, -16",
                "call {start}",
                "ud2",
                start = sym $start,
            )
        }
    };
}

/// Ends the process with SIGILL.
pub fn trap() -> ! {
    // SAFETY: `ud2` raises SIGILL, whose disposition is the default, so control never comes back.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}
