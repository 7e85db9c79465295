//! `ps`: the processes of a container, as the host sees them.

use super::Context;
use crate::cli;
use crate::container::{self, Container};
use crate::error::{Error, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Ps) -> Result<()> {
    let Some((id, words)) = arguments.operands.split_first() else {
        return Err(Error::new("\"ps\" requires a minimum of 1 argument(s)"));
    };
    let container = Container::open(&context.state_root()?, id)?;
    if container.record.cgroups.is_empty() {
        return Err(Error::new("ps requires the container to have a cgroup"));
    }
    let pids = container.cgroups().processes();
    let text = match arguments.format.as_str() {
        "table" => container::process_table(&pids, words)?,
        "json" => container::process_list(&pids),
        _ => return Err(Error::new("invalid format option")),
    };
    super::print(&text)
}
