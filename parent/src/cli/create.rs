//! Options of `create` and `run`.

use std::path::PathBuf;

use super::flags::options;

options! {
    /// What `create` and `run` share.
    pub struct Create {
        /// Directory with config.json [default: the working directory]
        #[flag(short: Some('b'), value: "DIR")]
        pub bundle: Option<PathBuf>,
        /// Write the pid of the container's first process to this file
        #[flag(value: "FILE")]
        pub pid_file: Option<PathBuf>,
        /// Socket at which the caller takes the program's terminal; relative to the bundle
        #[flag(value: "PATH")]
        pub console_socket: Option<PathBuf>,
        /// Socket at which the caller takes a pidfd of the container's first process; relative to the bundle
        #[flag(value: "PATH")]
        pub pidfd_socket: Option<PathBuf>,
        /// Descriptors above standard error that the program keeps
        #[flag(value: "N", default: Some("0"))]
        pub preserve_fds: i64,
        /// Another name for config.json, or its path
        #[flag(short: Some('f'), value: "FILE", default: Some("config.json"))]
        pub config: PathBuf,
        /// Do not use pivot_root, for a root on an initramfs
        pub no_pivot: bool,
        /// Keep the caller's session keyring
        pub no_new_keyring: bool,
        /// Append what took how long to this file, for `pinnace trace` and Perfetto [default: $PINNACE_TRACE]
        #[flag(value: "FILE")]
        pub trace: Option<PathBuf>,
        /// Do not adopt orphans of the container: pinnace never does
        pub no_subreaper: bool,
    }
    operands ids: String = "ID", "Name of the new container"
}

options! {
    pub struct Run: create Create {
        /// Return once the program runs
        #[flag(short: Some('d'))]
        pub detach: bool,
        /// Leave the container's state when the program has ended, for delete
        pub keep: bool,
    }
}
