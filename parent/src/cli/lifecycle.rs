//! Options of the commands that lead a container from its creation to its end.

use std::ffi::OsString;

use clap::Args;

/// Commands that take an id and nothing else.
#[derive(Args, Clone, Debug, Default)]
pub struct OneId {
    /// Name of the container
    #[arg(value_name = "ID", num_args = 0.., value_parser = super::text())]
    pub ids: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Kill {
    /// Signal every process of the container
    #[arg(short, long)]
    pub all: bool,
    /// Signal every container whose id the regular expression in place of the ID matches; ^ and $ are its ends
    #[arg(short, long)]
    pub regex: bool,
    /// Name of the container, then the signal as a name or number [default: SIGTERM]
    #[arg(value_name = "ID [SIGNAL]", num_args = 0.., value_parser = super::text())]
    pub operands: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Delete {
    /// Kill the container first; an unknown id is no error
    #[arg(short, long)]
    pub force: bool,
    /// Delete every container whose id the regular expression in place of the ID matches; ^ and $ are its ends
    #[arg(short, long)]
    pub regex: bool,
    /// Name of the container
    #[arg(value_name = "ID", num_args = 0.., value_parser = super::text())]
    pub ids: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Mounts {
    /// add or remove, the name of the container, and a JSON file with a list of mounts, as in config.json, or standard input (-)
    #[arg(value_name = "ACTION ID FILE", num_args = 0..)]
    pub operands: Vec<OsString>,
}
