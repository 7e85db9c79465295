//! `plan`: what a start would do, printed and not done. Needs no privilege.

use pinnace::blocking::{self, Creation};
use pinnace::{Error, Result};

use super::super::{Context, print};
use crate::cli::explain::Plan;

pub(super) fn run(context: &Context<'_>, arguments: &Plan) -> Result<()> {
    let preview = blocking::preview(&Creation {
        bundle: arguments.bundle.as_deref(),
        config: &arguments.config,
        no_pivot: arguments.no_pivot,
        no_new_keyring: arguments.no_new_keyring,
        manager: context.global.cgroup_manager()?,
        forgives_cgroups: context.global.forgives_cgroups()?,
        ..Creation::new("CONTAINER-ID", context.log, context.trace)
    })?;
    context.warn(&preview.warnings);
    match arguments.format.as_str() {
        "text" => print(&preview.text),
        "json" => print(&preview.json),
        _ => Err(Error::new("invalid format option")),
    }
}
