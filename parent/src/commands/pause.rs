//! `pause`: stops every process of a container.

use super::Context;
use crate::cli;
use crate::container::{self, Container};
use crate::error::Result;

pub(super) fn run(context: &Context<'_>, arguments: &cli::OneId) -> Result<()> {
    let id = cli::one_id("pause", &arguments.ids)?;
    container::pause(&Container::open_locked(&context.state_root()?, id)?)
}
