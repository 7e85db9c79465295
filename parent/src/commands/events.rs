//! `events`: what a container uses, once or again and again, and when the kernel kills in it.

use super::Context;
use crate::cli;
use crate::container::{self, Container};
use crate::error::Result;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Events) -> Result<()> {
    let id = cli::one_id("events", &arguments.ids)?;
    let interval = container::parse_interval(&arguments.interval)?;
    let container = Container::open(&context.state_root()?, id)?;
    let stream = container::events(&container)?;
    if arguments.stats {
        return super::print(&stream.stats()?);
    }
    stream.run(interval, super::print)
}
