//! `resume`: lets the processes of a paused container go on.

use super::Context;
use crate::cli;
use crate::container::{self, Container};
use crate::error::Result;

pub(super) fn run(context: &Context<'_>, arguments: &cli::OneId) -> Result<()> {
    let id = cli::one_id("resume", &arguments.ids)?;
    container::resume(&Container::open_locked(&context.state_root()?, id)?)
}
