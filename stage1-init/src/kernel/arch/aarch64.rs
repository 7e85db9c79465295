//! AArch64.

/// Defines `_start`, which passes the first stack pointer to `$start`, an `extern "C" fn(InitialStack) -> !`.
#[doc(hidden)]
#[macro_export]
macro_rules! __entry {
    ($start:path) => {
        // SAFETY: the linker script names `_start` as the entry, so the kernel jumps here once with the initial stack, which
        // AAPCS64 keeps aligned to 16 bytes; frame pointer and link register are zero in the outermost frame.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn _start() -> ! {
            core::arch::naked_asm!(
                "mov x29, #0",
                "mov x30, #0",
                "mov x0, sp",
                "bl {start}",
                "udf #0",
                start = sym $start,
            )
        }
    };
}

/// Ends the process with SIGILL.
pub fn trap() -> ! {
    // SAFETY: `udf` raises SIGILL, whose disposition is the default, so control never comes back.
    unsafe { core::arch::asm!("udf #0", options(noreturn, nomem, nostack)) }
}
