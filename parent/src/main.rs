//! Arguments → command → exit code.
//!
//! No `fn main`: what Rust's runtime does before it (signal handlers and a signal stack for overflows of the stack, looking at the
//! standard descriptors) is some twenty system calls and a signal disposition that the container would inherit.

#![no_main]

use std::ffi::{c_char, c_int};

use pinnace::cli::{self, Parsed};
use pinnace::commands;
use pinnace::log::{Format, Log};

#[global_allocator]
static ALLOCATOR: pinnace::bump::Bump = pinnace::bump::Bump::new();

/// Called by the C library's start-up code, which has already handed the arguments to `std::env`.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    run()
}

fn run() -> c_int {
    let (global, invocation) = match cli::parse(std::env::args_os().collect()) {
        Ok(Parsed::Command(global, invocation)) => (global, invocation),
        Ok(Parsed::Text(text)) => {
            commands::print(&text);
            return 0;
        }
        Err(usage) => {
            Log::to_stderr().error(&usage.message);
            return usage.exit_code;
        }
    };
    let format = match global.log_format.as_str() {
        "text" => Format::Text,
        "json" => Format::Json,
        other => {
            Log::to_stderr().error(&format!("invalid log-format: {other}"));
            return 1;
        }
    };
    let log = match Log::open(global.log.as_deref(), format, global.debug) {
        Ok(log) => log,
        Err(error) => {
            Log::to_stderr().error(&error.to_string());
            return 1;
        }
    };
    match commands::run(&global, &invocation, &log) {
        Ok(code) => code,
        Err(error) => {
            log.error(&error.to_string());
            1
        }
    }
}
