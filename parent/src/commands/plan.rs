//! `plan`: what a start would do, printed and not done. Needs no privilege.

use super::Context;
use crate::cli;
use crate::container::{self, Creation};
use crate::error::{Error, Result};
use crate::host::HostFacts;
use crate::plan::{self, Store, show};
use crate::seccomp;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Plan) -> Result<()> {
    let mut bundle = container::load_bundle_unchecked(arguments.bundle.as_deref())?;
    let host = HostFacts::read(container::questions(&bundle.config))?;
    let creation = Creation {
        bundle: arguments.bundle.as_deref(),
        no_pivot: arguments.no_pivot,
        no_new_keyring: arguments.no_new_keyring,
        manager: context.global.cgroup_manager()?,
        forgives_cgroups: context.global.forgives_cgroups()?,
        ..Creation::new("CONTAINER-ID", context.log, context.trace)
    };
    let placement = container::place(&mut bundle, &host, &creation)?;
    let store = Store::default();
    let program = bundle.config.seccomp.as_ref().map(seccomp::compile).transpose()?;
    let filter = container::filter(&bundle.config, program.as_deref());
    let request = container::plan_request(&creation, &bundle, &host, &placement, filter);
    let plan = plan::plan(&request, &store)?;
    context.warn(&bundle.config.warnings);
    match arguments.format.as_str() {
        "text" => super::print(&show::text(&plan)),
        "json" => super::print(&format!("{:#}\n", show::json(&plan))),
        _ => Err(Error::new("invalid format option")),
    }
}
