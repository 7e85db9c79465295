//! `events`: what a container uses, once or again and again, and when the kernel kills in it.

use super::Context;
use crate::cli;
use pinnace::Result;
use pinnace::blocking::{self, Container};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Events) -> Result<()> {
    let id = cli::one_id("events", &arguments.ids)?;
    let interval = blocking::parse_interval(&arguments.interval)?;
    let container = Container::open(&context.state_root()?, id)?;
    let stream = blocking::events(&container)?;
    if arguments.stats {
        return super::print(&stream.stats()?);
    }
    stream.run(interval, super::print)
}
