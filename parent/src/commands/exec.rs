//! `exec`: one more process in a container, with its exit code, or left alone.

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use super::Context;
use crate::cli;
use pinnace::blocking::{self, Container, Execution, ProcessChanges, Signals, Stdio, TerminalChoice};
use pinnace::{Error, Kind, Result};

/// What callers see of everything that fails before the program runs.
const FAILED: i32 = 255;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Exec) -> Result<i32> {
    let Some((id, args)) = arguments.operands.split_first() else {
        return Err(Error::new("\"exec\" requires a minimum of 1 argument(s)"));
    };
    match exec(context, arguments, &id.to_string_lossy(), args) {
        Ok(code) => Ok(code),
        Err(error) => {
            context.trace.failed(&error);
            let code = match error.kind() {
                Kind::Interrupted(_) => error.exit_code(),
                _ => FAILED,
            };
            context.log.error(&error.context("exec failed").to_string());
            Ok(code)
        }
    }
}

fn exec(context: &Context<'_>, arguments: &cli::Exec, id: &str, args: &[OsString]) -> Result<i32> {
    context.traced("exec", id);
    let container = Container::open(&context.state_root()?, id)?;
    // Before signals are kept for a program: the file may be a pipe, and nobody there to write it.
    let process = arguments.process.as_deref().map(blocking::read_process).transpose()?;
    // Before anything exists that a signal could be meant for. One that ends us stays blocked, so that the error is told.
    let signals = if arguments.detach { None } else { Some(ManuallyDrop::new(Signals::block()?)) };
    let execution = Execution {
        process: process.as_deref(),
        changes: ProcessChanges {
            args,
            cwd: arguments.cwd.as_deref(),
            env: &arguments.env,
            has_terminal: arguments.tty,
            user: arguments.user.as_deref(),
            additional_gids: &arguments.additional_gids,
            process_label: arguments.process_label.as_deref(),
            apparmor: arguments.apparmor.as_deref(),
            no_new_privileges: arguments.no_new_privs,
            capabilities: &arguments.cap,
        },
        terminal: TerminalChoice { socket: arguments.console_socket.as_deref(), detaches: arguments.detach },
        pid_file: arguments.pid_file.as_deref(),
        pidfd_socket: arguments.pidfd_socket.as_deref(),
        preserved_count: super::preserved_count(0, arguments.preserve_fds)?,
        cgroups: &arguments.cgroup,
        ignore_paused: arguments.ignore_paused,
        heeds_signals: signals.is_some(),
        stdio: Stdio::Inherit,
        trace: context.trace,
    };
    let mut executed = blocking::exec(&container, &execution)?;
    context.warn(&executed.warnings);
    let code = match &signals {
        None => 0,
        Some(signals) => context.trace.wait("wait for the program's end", || executed.stay(signals))?,
    };
    // The process ends now: its descriptors need no closing one by one.
    std::mem::forget((executed, container));
    Ok(code)
}
