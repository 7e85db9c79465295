//! `mounts`: mounts in a container that exists.

use std::path::Path;

use super::Context;
use crate::cli;
use crate::container::{self, Container};
use crate::error::{Error, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Mounts) -> Result<()> {
    let [action, id, file] = arguments.operands.as_slice() else {
        return Err(Error::new("\"mounts\" requires exactly 3 argument(s)"));
    };
    let file = Path::new(if file == "-" { "/proc/self/fd/0" } else { file });
    let open = || Container::open_locked(&context.state_root()?, id);
    let done = match action.as_str() {
        "add" => open().and_then(|mut container| container::add_mounts(&mut container, file)),
        "remove" => open()
            .and_then(|mut container| container::remove_mounts(&mut container, file))
            .map(|()| Vec::new()),
        other => return Err(Error::new(format!("unknown action {other:?}: it is add or remove"))),
    };
    let warnings = done.map_err(|error| error.context(format_args!("mounts {action} failed")))?;
    context.warn(&warnings);
    Ok(())
}
