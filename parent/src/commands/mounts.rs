//! `mounts`: mounts in a container that exists.

use std::path::Path;

use super::Context;
use crate::cli;
use pinnace::blocking::{self, Container};
use pinnace::{Error, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Mounts) -> Result<()> {
    let [action, id, file] = arguments.operands.as_slice() else {
        return Err(Error::new("\"mounts\" requires exactly 3 argument(s)"));
    };
    let (add, failed) = match &*action.to_string_lossy() {
        "add" => (true, "mounts add failed"),
        "remove" => (false, "mounts remove failed"),
        other => return Err(Error::new(format!("unknown action {other:?}: it is add or remove"))),
    };
    let warnings = change(context, &id.to_string_lossy(), Path::new(file), add)
        .map_err(|error| error.context(failed))?;
    context.warn(&warnings);
    Ok(())
}

fn change(context: &Context<'_>, id: &str, file: &Path, add: bool) -> Result<Vec<String>> {
    // Whoever writes it may take a while, in which nobody is to be kept out.
    let list = super::read_document(file)?;
    let mut container = Container::open_locked(&context.state_root()?, id)?;
    if add {
        return blocking::add_mounts(&mut container, &list);
    }
    blocking::remove_mounts(&mut container, &list).map(|()| Vec::new())
}
