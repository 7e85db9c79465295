//! `state`: what the runtime-spec calls the state of a container, as runc prints it.

use super::Context;
use crate::cli;
use pinnace::blocking::Container;
use pinnace::{Error, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::OneId) -> Result<()> {
    let id = cli::one_id("state", &arguments.ids)?;
    let container = Container::open(&context.state_root()?, id)?;
    let text = serde_json::to_string_pretty(&container.state()?)
        .map_err(|error| Error::new(format!("state: {error}")))?;
    super::print(&text)
}
