//! `create`: everything up to the wait for `start`.

use super::Context;
use crate::cli;
use crate::container::{self, Creation, TerminalChoice};
use crate::error::Result;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Create) -> Result<()> {
    let id = cli::one_id("create", &arguments.ids)?;
    let creation = Creation { hold: true, ..creation(arguments, id, true) };
    let created = context
        .state_root()
        .and_then(|root| container::create(&root, &creation))
        .map_err(|error| error.context("pinnace create failed"))?;
    context.warn(&created.warnings);
    Ok(())
}

/// What the options of `create` and `run` mean.
pub(super) fn creation<'a>(arguments: &'a cli::Create, id: &'a str, detaches: bool) -> Creation<'a> {
    Creation {
        id,
        bundle: arguments.bundle.as_deref(),
        pid_file: arguments.pid_file.as_deref(),
        no_pivot: arguments.no_pivot,
        no_new_keyring: arguments.no_new_keyring,
        hold: false,
        terminal: TerminalChoice { socket: arguments.console_socket.as_deref(), detaches },
        preserved_count: 0,
    }
}
