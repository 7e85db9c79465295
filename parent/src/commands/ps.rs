//! `ps`: the processes of a container, as the host sees them.

use super::Context;
use crate::cli;
use pinnace::blocking::{self, Container};
use pinnace::{Error, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Ps) -> Result<()> {
    let Some((id, words)) = arguments.operands.split_first() else {
        return Err(Error::new("\"ps\" requires a minimum of 1 argument(s)"));
    };
    let container = Container::open(&context.state_root()?, id)?;
    let pids = container.processes()?;
    let text = match arguments.format.as_str() {
        "table" => blocking::process_table(&pids, words)?,
        "json" => blocking::process_list(&pids),
        _ => return Err(Error::new("invalid format option")),
    };
    super::print(&text)
}
