//! `create`: everything up to the wait for `start`.

use super::Context;
use crate::cli;
use crate::container::{self, Creation};
use crate::error::Result;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Create) -> Result<()> {
    let id = cli::one_id("create", &arguments.ids)?;
    let creation = creation(context, arguments, id, true)?;
    let created = context
        .state_root()
        .and_then(|root| container::create(&root, &creation))
        .map_err(|error| error.context("pinnace create failed"))?;
    context.warn(&created.warnings);
    Ok(())
}

/// What the options of `create` and `run` mean.
pub(super) fn creation<'a>(
    context: &Context<'a>,
    arguments: &'a cli::Create,
    id: &'a str,
    hold: bool,
) -> Result<Creation<'a>> {
    Ok(Creation {
        id,
        bundle: arguments.bundle.as_deref(),
        pid_file: arguments.pid_file.as_deref(),
        no_pivot: arguments.no_pivot,
        no_new_keyring: arguments.no_new_keyring,
        manager: context.global.cgroup_manager()?,
        hold,
        log: context.log,
    })
}
