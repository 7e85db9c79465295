//! `pause`: stops every process of a container.

use super::Context;
use crate::cli;
use pinnace::Result;
use pinnace::blocking::{self, Container};

pub(super) fn run(context: &Context<'_>, arguments: &cli::OneId) -> Result<()> {
    let id = cli::one_id("pause", &arguments.ids)?;
    blocking::pause(&Container::open_locked(&context.state_root()?, id)?)
}
