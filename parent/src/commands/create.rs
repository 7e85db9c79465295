//! `create`: everything up to the wait for `start`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Context;
use crate::cli;
use pinnace::Result;
use pinnace::blocking::{self, Creation, TerminalChoice};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Create) -> Result<()> {
    let id = cli::one_id("create", &arguments.ids)?;
    context.trace.about("create", id);
    let from_caller = FromCaller::read(arguments);
    let created = from_caller
        .and_then(|from_caller| {
            let mut creation = creation(context, arguments, &from_caller, id, true)?;
            creation.hold = true;
            blocking::create(&context.state_root()?, &creation)
        })
        .map_err(|error| error.context("pinnace create failed"))?;
    context.warn(&created.warnings);
    Ok(())
}

/// What the caller's environment and descriptors add to a container.
pub(super) struct FromCaller {
    environment: Vec<String>,
    notify_socket: Option<OsString>,
    preserved_count: u32,
    console_socket: Option<PathBuf>,
    pidfd_socket: Option<PathBuf>,
}

impl FromCaller {
    /// Sockets that systemd has opened for us come first, then the descriptors that were asked for.
    ///
    /// Errors: a descriptor is not open. Source: sd_listen_fds(3).
    pub(super) fn read(arguments: &cli::Create) -> Result<Self> {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
        let is_ours = || number("LISTEN_PID") == Some(std::process::id());
        let sockets = number("LISTEN_FDS").filter(|_| is_ours()).unwrap_or(0);
        let mut environment = Vec::new();
        if sockets > 0 {
            // The program is the first process of its pid namespace.
            environment.push(format!("LISTEN_FDS={sockets}"));
            environment.push(String::from("LISTEN_PID=1"));
            let names = std::env::var("LISTEN_FDNAMES").ok();
            environment.extend(names.map(|names| format!("LISTEN_FDNAMES={names}")));
        }
        let notify_socket = super::notify_socket();
        // A relative one is relative to the bundle: runc looks for it from there.
        let bundle = arguments.bundle.as_deref().unwrap_or(Path::new(""));
        let in_bundle = |path: &Option<PathBuf>| path.as_deref().map(|path| bundle.join(path));
        Ok(Self {
            environment,
            notify_socket,
            console_socket: in_bundle(&arguments.console_socket),
            pidfd_socket: in_bundle(&arguments.pidfd_socket),
            preserved_count: super::preserved_count(sockets, arguments.preserve_fds)?,
        })
    }
}

/// What the options of `create` and `run` mean.
pub(super) fn creation<'a>(
    context: &Context<'a>,
    arguments: &'a cli::Create,
    from_caller: &'a FromCaller,
    id: &'a str,
    detaches: bool,
) -> Result<Creation<'a>> {
    let mut creation = Creation::new(id, context.log, context.trace);
    creation.bundle = arguments.bundle.as_deref();
    creation.pid_file = arguments.pid_file.as_deref();
    creation.no_pivot = arguments.no_pivot;
    creation.no_new_keyring = arguments.no_new_keyring;
    creation.manager = context.global.cgroup_manager()?;
    creation.forgives_cgroups = context.global.forgives_cgroups()?;
    creation.terminal = TerminalChoice { socket: from_caller.console_socket.as_deref(), detaches };
    creation.preserved_count = from_caller.preserved_count;
    creation.config = &arguments.config;
    creation.environment = &from_caller.environment;
    creation.pidfd_socket = from_caller.pidfd_socket.as_deref();
    creation.notify_socket = from_caller.notify_socket.as_deref();
    creation.owns_process = true;
    Ok(creation)
}
