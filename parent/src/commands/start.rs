//! `start`: lets a created container's program begin.

use std::os::fd::AsFd;

use super::Context;
use crate::cli;
use crate::container::{self, Container};
use crate::error::Result;

pub(super) fn run(context: &Context<'_>, arguments: &cli::OneId) -> Result<()> {
    let id = cli::one_id("start", &arguments.ids)?;
    context.trace.about("start", id);
    let container = Container::open_locked(&context.state_root()?, id)?;
    let notify = container::listen_for_readiness(&container, super::notify_socket().as_deref())?;
    context.trace.wait("wait for the program's execution", || container::start(&container))?;
    if let (Some(notify), Some(init), Some(handle)) = (notify, &container.init, container.init_handle()?) {
        // Its program runs: whoever wants to end it need not wait for us.
        container.directory.unlock();
        context.warn_of(notify.wait(handle.as_fd(), init.pid));
    }
    Ok(())
}
