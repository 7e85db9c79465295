//! `start`: lets a created container's program begin.

use super::Context;
use crate::cli;
use pinnace::Result;
use pinnace::blocking::{self, Container};

pub(super) fn run(context: &Context<'_>, arguments: &cli::OneId) -> Result<()> {
    let id = cli::one_id("start", &arguments.ids)?;
    context.traced("start", id);
    let container = Container::open_locked(&context.state_root()?, id)?;
    let notify = blocking::listen_for_readiness(&container, super::notify_socket().as_deref())?;
    context.trace.wait("wait for the program's execution", || blocking::start(&container))?;
    if let Some(notify) = notify {
        // Its program runs: whoever wants to end it need not wait for us.
        context.warn_of(notify.wait(&container));
    }
    Ok(())
}
