//! `spec`: the default config.json, as runc writes it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::cli;
use crate::config;
use crate::error::{Error, Result};
use crate::host::{CgroupHost, HostFacts, Questions};

pub(super) fn run(arguments: &cli::Spec) -> Result<()> {
    let path = arguments.bundle.as_deref().unwrap_or(Path::new("")).join(&arguments.file);
    // On a v2 host runc's default has a cgroup namespace.
    let host = HostFacts::read(Questions::default())?;
    let unified = matches!(host.cgroups, CgroupHost::V2 { .. });
    let spec = match arguments.rootless {
        false => config::default_spec(unified),
        true => config::rootless_spec(unified, host.uid, rustix::process::getegid().as_raw()),
    };
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
