//! What a start would do, for people: nothing of it is done.

use super::bundle::load_bundle_unchecked;
use super::create::{place, plan_request, questions};
use super::{Creation, filter};
use crate::error::Result;
use crate::host::HostFacts;
use crate::plan::{self, Store, show};
use crate::seccomp;

/// A plan, printed.
#[derive(Clone, Debug)]
pub struct Preview {
    /// A line for each step, with its number, as traces and errors name it.
    pub text: String,
    /// The same as JSON.
    pub json: String,
    /// What should be said of the configuration although it is one.
    pub warnings: Vec<String>,
}

/// Plans a creation. Needs no privilege, and no root file system.
///
/// Errors: the configuration is wrong, or wants what this host does not have.
pub fn preview(creation: &Creation<'_>) -> Result<Preview> {
    let mut bundle = load_bundle_unchecked(creation.bundle, creation.config)?;
    let host = HostFacts::read(questions(&bundle.config))?;
    let placement = place(&mut bundle, &host, creation)?;
    let store = Store::default();
    let program = bundle.config.seccomp.as_ref().map(seccomp::compile).transpose()?;
    let filter = filter(&bundle.config, program.as_deref());
    let request = plan_request(creation, &bundle, &host, &placement, filter);
    let plan = plan::plan(&request, &store)?;
    Ok(Preview {
        text: show::text(&plan),
        json: format!("{:#}\n", show::json(&plan)),
        warnings: bundle.config.warnings.clone(),
    })
}
