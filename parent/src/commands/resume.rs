//! `resume`: lets the processes of a paused container go on.

use super::Context;
use crate::cli;
use pinnace::Result;
use pinnace::blocking::{self, Container};

pub(super) fn run(context: &Context<'_>, arguments: &cli::OneId) -> Result<()> {
    let id = cli::one_id("resume", &arguments.ids)?;
    blocking::resume(&Container::open_locked(&context.state_root()?, id)?)
}
