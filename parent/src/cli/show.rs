//! Options of the commands that tell something, and change nothing.

use std::path::PathBuf;

use clap::Args;

use super::known::Known;

#[derive(Args, Clone, Debug, Default)]
pub struct Ps {
    /// table, made by the host's ps, or json: the pids alone
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = Known(&["table", "json"]), hide_possible_values = true)]
    pub format: String,
    /// Name of the container, then what ps is to be called with [default: -ef]
    #[arg(value_name = "ID [PS OPTIONS]", num_args = 0.., value_parser = super::text(), trailing_var_arg = true)]
    pub operands: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Events {
    /// Time between two records, such as 500ms or 1m30s
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub interval: String,
    /// Print one record and end
    #[arg(long)]
    pub stats: bool,
    /// Name of the container
    #[arg(value_name = "ID", num_args = 0.., value_parser = super::text())]
    pub ids: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct List {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = Known(&["table", "json"]), hide_possible_values = true)]
    pub format: String,
    /// Only the ids
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Spec {
    /// Directory to write config.json to [default: the working directory]
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Another name for config.json, or its path
    #[arg(short, long, value_name = "FILE", default_value = "config.json")]
    pub file: PathBuf,
    /// A configuration that the caller can run without being root
    #[arg(long)]
    pub rootless: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Features {}
