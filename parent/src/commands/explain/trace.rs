//! `trace`: shows what `--trace` has written.

use std::fs;

use super::super::print;
use crate::cli::explain::Trace;
use pinnace::trace;
use pinnace::{Error, Result};

pub(super) fn run(arguments: &Trace) -> Result<()> {
    let [file] = arguments.files.as_slice() else {
        return Err(Error::new("\"trace\" requires exactly 1 argument(s)"));
    };
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|error| Error::io(format_args!("read {name}"), &error))?;
    let commands = trace::read(&text).map_err(|error| error.context(name))?;
    if let (Some(path), Some(last)) = (&arguments.svg, commands.last()) {
        fs::write(path, trace::draw(last))
            .map_err(|error| Error::io(format_args!("write {}", path.display()), &error))?;
    }
    print(&trace::table(&commands))
}
