//! Options of `exec`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::flags::options;

options! {
    pub struct Exec {
        /// File with the JSON object of the whole process; the options about the process are then left aside
        #[flag(short: Some('p'), value: "FILE")]
        pub process: Option<PathBuf>,
        /// Give the program a terminal
        #[flag(short: Some('t'))]
        pub tty: bool,
        /// Return once the program runs
        #[flag(short: Some('d'))]
        pub detach: bool,
        /// Write the pid of the program to this file
        #[flag(value: "FILE")]
        pub pid_file: Option<PathBuf>,
        /// Socket at which the caller takes the program's terminal
        #[flag(value: "PATH")]
        pub console_socket: Option<PathBuf>,
        /// Socket at which the caller takes a pidfd of the program
        #[flag(value: "PATH")]
        pub pidfd_socket: Option<PathBuf>,
        /// Directory to begin in
        #[flag(value: "DIR")]
        pub cwd: Option<OsString>,
        /// One more environment variable
        #[flag(short: Some('e'), value: "NAME=VALUE")]
        pub env: Vec<OsString>,
        /// User, and perhaps group, as numbers
        #[flag(short: Some('u'), value: "UID[:GID]")]
        pub user: Option<String>,
        /// One more group, as a number
        #[flag(short: Some('g'), value: "GID")]
        pub additional_gids: Vec<String>,
        /// The program's SELinux context
        #[flag(value: "LABEL")]
        pub process_label: Option<String>,
        /// The program's AppArmor profile
        #[flag(value: "PROFILE")]
        pub apparmor: Option<String>,
        /// Whether the program can gain no privileges [default: as the container's own]
        #[flag(value: "BOOL")]
        pub no_new_privs: Option<bool>,
        /// One more capability
        #[flag(short: Some('c'), value: "CAP_NAME")]
        pub cap: Vec<String>,
        /// Descriptors above standard error that the program keeps
        #[flag(value: "N", default: Some("0"))]
        pub preserve_fds: i64,
        /// Cgroup below the container's; for v1 with controllers before it
        #[flag(value: "[CONTROLLER,...:]PATH")]
        pub cgroup: Vec<String>,
        /// If the container is paused, wait until it goes on
        pub ignore_paused: bool,
    }
    operands operands: OsString = "ID PROGRAM [ARGUMENTS]", "Name of the container, then the program with its arguments"
}
