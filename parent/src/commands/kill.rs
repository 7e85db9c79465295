//! `kill`: a signal to the container's first process, or to all.

use super::Context;
use crate::cli;
use pinnace::blocking::{self, Container};
use pinnace::{Error, Kind, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Kill) -> Result<()> {
    let (id, signal) = match arguments.operands.as_slice() {
        [id] => (id, "SIGTERM"),
        [id, signal] => (id, signal.as_str()),
        [] => return Err(Error::new("\"kill\" requires a minimum of 1 argument(s)")),
        _ => return Err(Error::new("\"kill\" requires a maximum of 2 argument(s)")),
    };
    let root = context.state_root()?;
    let kill = |id: &str| {
        let container = Container::open(&root, id)?;
        let signal = blocking::parse_signal(signal)?;
        if arguments.all {
            blocking::kill_all(&container, signal)
        } else {
            blocking::kill(&container, signal)
        }
    };
    if !arguments.regex {
        return kill(id);
    }
    blocking::parse_signal(signal)?;
    super::for_matching(&root, id, |id| match kill(id) {
        // Those that live are meant.
        Err(error) if matches!(error.kind(), Kind::NotRunning | Kind::NoSuchContainer) => Ok(()),
        killed => killed,
    })
}
