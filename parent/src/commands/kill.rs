//! `kill`: a signal to the container's first process, or to all.

use super::Context;
use crate::cli;
use crate::container::{self, Container};
use crate::error::{Error, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Kill) -> Result<()> {
    let (id, signal) = match arguments.operands.as_slice() {
        [id] => (id, "SIGTERM"),
        [id, signal] => (id, signal.as_str()),
        [] => return Err(Error::new("\"kill\" requires a minimum of 1 argument")),
        _ => return Err(Error::new("\"kill\" requires a maximum of 2 arguments")),
    };
    let container = Container::open(&context.state_root()?, id)?;
    let signal = container::parse_signal(signal)?;
    if arguments.all { container::kill_all(&container, signal) } else { container::kill(&container, signal) }
}
