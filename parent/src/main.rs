//! Arguments → command → exit code.

use std::process::ExitCode;

use pinnace::cli::{self, Parsed};
use pinnace::commands;
use pinnace::log::{Format, Log};

fn main() -> ExitCode {
    let (global, invocation) = match cli::parse(std::env::args_os().collect()) {
        Ok(Parsed::Command(global, invocation)) => (global, invocation),
        Ok(Parsed::Text(text)) => {
            commands::print(&text);
            return ExitCode::SUCCESS;
        }
        Err(usage) => {
            Log::to_stderr().error(&usage.message);
            return ExitCode::from(usage.exit_code as u8);
        }
    };
    let format = match global.log_format.as_str() {
        "text" => Format::Text,
        "json" => Format::Json,
        other => {
            Log::to_stderr().error(&format!("invalid log-format: {other}"));
            return ExitCode::FAILURE;
        }
    };
    let log = match Log::open(global.log.as_deref(), format, global.debug) {
        Ok(log) => log,
        Err(error) => {
            Log::to_stderr().error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    match commands::run(&global, &invocation, &log) {
        Ok(code) => ExitCode::from(code as u8),
        Err(error) => {
            log.error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
