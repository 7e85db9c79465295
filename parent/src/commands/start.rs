//! `start`: lets a created container's program begin.

use super::Context;
use crate::cli;
use crate::container::{self, Container};
use crate::error::Result;

pub(super) fn run(context: &Context<'_>, arguments: &cli::OneId) -> Result<()> {
    let id = cli::one_id("start", &arguments.ids)?;
    container::start(&Container::open_locked(&context.state_root()?, id)?)
}
