//! `spec`: the default config.json, as runc writes it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::cli;
use pinnace::blocking;
use pinnace::{Error, Result};

pub(super) fn run(arguments: &cli::Spec) -> Result<()> {
    let path = arguments.bundle.as_deref().unwrap_or(Path::new("")).join(&arguments.file);
    let spec = blocking::default_config(arguments.rootless)?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(spec.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::new(format!("File {} exists. Remove it first", arguments.file.display()))
        }
        _ => Error::io(format_args!("open {}", path.display()), &error),
    })
}
