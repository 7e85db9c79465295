//! Options of `create` and `run`.

use std::path::PathBuf;

use clap::Args;

/// What `create` and `run` share.
#[derive(Args, Clone, Debug, Default)]
pub struct Create {
    /// Name of the new container
    #[arg(value_name = "ID", num_args = 0.., value_parser = super::text())]
    pub ids: Vec<String>,
    /// Directory with config.json [default: the working directory]
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Write the pid of the container's first process to this file
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Socket at which the caller takes the program's terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Socket at which the caller takes a pidfd of the container's first process
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// Descriptors above standard error that the program keeps
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: i64,
    /// Another name for config.json, or its path
    #[arg(short = 'f', long, value_name = "FILE", default_value = "config.json")]
    pub config: PathBuf,
    /// Do not use pivot_root, for a root on an initramfs
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Append what took how long to this file, for `pinnace trace` and Perfetto [default: $PINNACE_TRACE]
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Do not adopt orphans of the container: pinnace never does
    #[arg(long)]
    pub no_subreaper: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Run {
    #[command(flatten)]
    pub create: Create,
    /// Return once the program runs
    #[arg(short, long)]
    pub detach: bool,
    /// Leave the container's state when the program has ended, for delete
    #[arg(long)]
    pub keep: bool,
}
