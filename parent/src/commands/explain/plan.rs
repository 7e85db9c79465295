//! `plan`: what a start would do, printed and not done. Needs no privilege.

use pinnace::blocking::{self, Creation};
use pinnace::{Error, Result};

use super::super::{Context, print};
use crate::cli::explain::Plan;

pub(super) fn run(context: &Context<'_>, arguments: &Plan) -> Result<()> {
    let mut creation = Creation::new("CONTAINER-ID", context.log, context.trace);
    creation.bundle = arguments.bundle.as_deref();
    creation.config = &arguments.config;
    creation.no_pivot = arguments.no_pivot;
    creation.no_new_keyring = arguments.no_new_keyring;
    creation.manager = context.global.cgroup_manager()?;
    creation.forgives_cgroups = context.global.forgives_cgroups()?;
    let preview = blocking::preview(&creation)?;
    context.warn(&preview.warnings);
    match arguments.format.as_str() {
        "text" => print(&preview.text),
        "json" => print(&preview.json),
        _ => Err(Error::new("invalid format option")),
    }
}
