//! `delete`: takes away what `create` made.

use super::Context;
use crate::cli;
use pinnace::blocking;
use pinnace::{Kind, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Delete) -> Result<()> {
    let id = cli::one_id("delete", &arguments.ids)?;
    let root = context.state_root()?;
    let delete =
        |id: &str| blocking::delete(&root, id, arguments.force).map(|warnings| context.warn(&warnings));
    if !arguments.regex {
        context.traced("delete", id);
        return context.trace.span("end the container, remove cgroups and state", || delete(id));
    }
    super::for_matching(&root, id, |id| match delete(id) {
        // Somebody else was quicker.
        Err(error) if error.kind() == Kind::NoSuchContainer => Ok(()),
        deleted => deleted,
    })
}
