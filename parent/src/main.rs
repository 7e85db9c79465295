//! Arguments → command → exit code.
//!
//! No `fn main`: what Rust's runtime does before it (signal handlers and a signal stack for overflows of the stack, looking at the
//! standard descriptors) is some twenty system calls and a signal disposition that the container would inherit.

#![cfg_attr(not(test), no_main)]
// Its tests are those of its parts, and nobody calls `run`.
#![cfg_attr(test, allow(dead_code))]
// Nobody makes what a part is left out for.
#![cfg_attr(not(feature = "explain"), allow(dead_code, unused_imports))]
// But for what is marked.
#![deny(unsafe_code)]
// A program: in it `pub` means the rest of it.
#![allow(unreachable_pub)]

#[cfg(feature = "bench")]
mod bench;
#[allow(unsafe_code)]
mod bump;
mod cli;
mod commands;
#[cfg(all(target_arch = "x86_64", any(target_env = "musl", test)))]
#[allow(unsafe_code)]
mod memory;

use std::ffi::{OsString, c_int};
use std::os::fd::BorrowedFd;

use pinnace::Error;
use pinnace::log::{Format, Log};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};

use cli::Parsed;

#[global_allocator]
static ALLOCATOR: bump::Bump = bump::Bump::new();

/// What the C library's start-up code calls.
#[cfg(not(test))]
#[allow(unsafe_code)]
mod start {
    use std::ffi::{CStr, OsStr, c_char, c_int};
    use std::os::unix::ffi::OsStrExt;

    /// `std::env` need not know the arguments: only some C libraries tell it.
    #[unsafe(no_mangle)]
    extern "C" fn main(count: c_int, arguments: *const *const c_char) -> ! {
        unsafe extern "C" {
            safe fn _exit(code: c_int) -> !;
        }
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: the C library passes as many pointers to strings as it says, all of which live as long as the program.
        let arguments = (0..count).map(|index| unsafe { CStr::from_ptr(*arguments.add(index)) });
        // Nothing is left for the C library to do at an exit: it would look at its files.
        _exit(super::run(
            arguments.map(|argument| OsStr::from_bytes(argument.to_bytes()).to_owned()).collect(),
        ))
    }

    /// Takes the place of the C library's own function, which looks for the directory of the program, so that `$ORIGIN` in the paths of shared
    /// libraries means something: a readlink of /proc/self/exe, and the first use of malloc with what that sets up. This program loads none.
    ///
    /// The result says that the directory is not known (glibc, elf/dl-origin.c).
    #[unsafe(no_mangle)]
    extern "C" fn _dl_get_origin() -> *const c_char {
        std::ptr::without_provenance(usize::MAX)
    }

    /// libseccomp's archive of a distribution with glibc names glibc's checked fprintf, in a function that nobody calls; musl has none.
    #[cfg(target_env = "musl")]
    #[unsafe(no_mangle)]
    extern "C" fn __fprintf_chk() -> c_int {
        -1
    }
}

fn run(arguments: Vec<OsString>) -> c_int {
    if let Err(error) = fill_standard_descriptors() {
        // Where standard error is what could not be filled, nobody hears it.
        Log::to_stderr().error(&error.to_string());
        return error.exit_code();
    }
    let (global, invocation) = match cli::parse(arguments) {
        Ok(Parsed::Command(global, invocation)) => (global, invocation),
        Ok(Parsed::Text(text)) => {
            return match commands::print(&text) {
                Ok(()) => 0,
                Err(error) => {
                    Log::to_stderr().error(&error.to_string());
                    1
                }
            };
        }
        Err(usage) => {
            open_log(&usage.global).unwrap_or_else(|_| Log::to_stderr()).error(&usage.message);
            return usage.exit_code;
        }
    };
    let log = match open_log(&global) {
        Ok(log) => log,
        Err(error) => {
            Log::to_stderr().error(&error.to_string());
            return 1;
        }
    };
    match commands::run(&global, &invocation, &log) {
        Ok(code) => code,
        Err(error) => {
            error.warnings().iter().for_each(|warning| log.warning(warning));
            log.error(&error.to_string());
            error.exit_code()
        }
    }
}

fn open_log(global: &cli::Global) -> pinnace::Result<Log> {
    let format = match global.log_format.as_str() {
        "" | "text" => Format::Text,
        "json" => Format::Json,
        other => return Err(Error::new(format!("invalid log-format: {other}"))),
    };
    Log::open(global.log.as_deref(), format, global.log_level()?)
}

/// Puts /dev/null where the caller has closed a standard descriptor: a socket of ours would take the number, and the container would
/// get it as its standard input.
#[allow(unsafe_code)]
fn fill_standard_descriptors() -> pinnace::Result<()> {
    // SAFETY: the numbers are only asked about; a closed one is what this is about, and poll(2) answers POLLNVAL to it.
    let standard = [0, 1, 2].map(|number| unsafe { BorrowedFd::borrow_raw(number) });
    let mut polled = standard.each_ref().map(|descriptor| PollFd::new(descriptor, PollFlags::empty()));
    rustix::event::poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
        .map_err(|errno| Error::io("look at the standard descriptors", &errno.into()))?;
    for _ in polled.iter().filter(|entry| entry.revents().contains(PollFlags::NVAL)) {
        // The lowest free number: the closed one's.
        let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty());
        std::mem::forget(null.map_err(|errno| Error::io("open /dev/null", &errno.into()))?);
    }
    Ok(())
}
