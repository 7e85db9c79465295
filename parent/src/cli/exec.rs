//! Options of `exec`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

#[derive(Args, Clone, Debug, Default)]
pub struct Exec {
    /// File with the JSON object of the whole process; the options about the process are then left aside
    #[arg(short, long, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Give the program a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Return once the program runs
    #[arg(short, long)]
    pub detach: bool,
    /// Write the pid of the program to this file
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Socket at which the caller takes the program's terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Socket at which the caller takes a pidfd of the program
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// Directory to begin in
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<OsString>,
    /// One more environment variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<OsString>,
    /// User, and perhaps group, as numbers
    #[arg(short, long, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// One more group, as a number
    #[arg(short = 'g', long, value_name = "GID")]
    pub additional_gids: Vec<String>,
    /// The program's SELinux context
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// The program's AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Whether the program can gain no privileges [default: as the container's own]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub no_new_privs: Option<bool>,
    /// One more capability
    #[arg(short, long, value_name = "CAP_NAME")]
    pub cap: Vec<String>,
    /// Descriptors above standard error that the program keeps
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: i64,
    /// Cgroup below the container's; for v1 with controllers before it
    #[arg(long, value_name = "[CONTROLLER,...:]PATH")]
    pub cgroup: Vec<String>,
    /// Begin even if the container is paused
    #[arg(long)]
    pub ignore_paused: bool,
    /// Name of the container, then the program with its arguments
    #[arg(value_name = "ID PROGRAM [ARGUMENTS]", num_args = 0.., trailing_var_arg = true)]
    pub operands: Vec<OsString>,
}
