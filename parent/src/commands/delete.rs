//! `delete`: takes away what `create` made.

use super::Context;
use crate::cli;
use crate::container;
use crate::error::Result;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Delete) -> Result<()> {
    let id = cli::one_id("delete", &arguments.ids)?;
    let warnings = container::delete(&context.state_root()?, id, arguments.force)?;
    context.warn(&warnings);
    Ok(())
}
