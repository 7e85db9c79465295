//! Options before the command.

use std::path::PathBuf;

use super::flags::options;
use super::go::boolean;
use pinnace::blocking::ManagerKind;
use pinnace::log::Level;
use pinnace::{Error, Result};

options! {
    /// Options before the command.
    pub struct Global {
        /// Directory of the containers' state [default: /run/pinnace; of ordinary users $XDG_RUNTIME_DIR/pinnace]
        #[flag(value: "DIR")]
        pub root: Option<PathBuf>,
        /// Append log records to this file instead of standard error, or give them to a daemon: syslog:NAME or journald:NAME
        #[flag(value: "FILE")]
        pub log: Option<PathBuf>,
        /// Format of log records: text or json
        #[flag(value: "FORMAT", default: Some("text"), known: &["text", "json"])]
        pub log_format: String,
        /// Log what is done, too
        pub debug: bool,
        /// Log only what is at least this grave: debug, warning or error [default: warning]
        #[flag(value: "LEVEL", known: &["debug", "warning", "error"])]
        pub log_level: Option<String>,
        /// Let systemd make the cgroups; cgroupsPath is then slice:prefix:name
        pub systemd_cgroup: bool,
        /// Who makes the cgroups of a new container: cgroupfs, systemd or disabled [default: cgroupfs]
        #[flag(value: "MANAGER", known: &["cgroupfs", "systemd", "disabled"])]
        pub cgroup_manager: Option<String>,
        /// Whether a new container does without the cgroups that cannot be written: true, false or auto: for whoever is not the host's root [default: auto]
        #[flag(value: "CHOICE", known: &["true", "false", "auto"])]
        pub rootless: Option<String>,
    }
}

impl Global {
    /// The options about the log, of options that may not all be understood.
    pub(super) fn of_log(self) -> Self {
        Self { log: self.log, log_format: self.log_format, ..Self::default() }
    }

    /// The least grave records that are written.
    ///
    /// Errors: the level is unknown.
    pub fn log_level(&self) -> Result<Level> {
        match self.log_level.as_deref() {
            _ if self.debug => Ok(Level::Debug),
            None | Some("warning") => Ok(Level::Warning),
            Some("debug") => Ok(Level::Debug),
            Some("error") => Ok(Level::Error),
            Some(other) => Err(Error::new(format!("invalid log-level: {other}"))),
        }
    }

    /// Whether a new container does without the cgroups that cannot be written, if that was said.
    ///
    /// Errors: it is neither a boolean value nor `auto`.
    pub fn forgives_cgroups(&self) -> Result<Option<bool>> {
        match self.rootless.as_deref() {
            None | Some("auto") => Ok(None),
            Some(text) => match boolean(text.as_bytes()) {
                None => Err(Error::new(format!("invalid rootless value: {text}: it is true, false or auto"))),
                known => Ok(known),
            },
        }
    }

    /// Who makes a new container's cgroups. The others' are in their state.
    pub fn cgroup_manager(&self) -> Result<ManagerKind> {
        let named = match self.cgroup_manager.as_deref() {
            None => None,
            Some("cgroupfs") => Some(ManagerKind::Cgroupfs),
            Some("systemd") => Some(ManagerKind::Systemd),
            Some("disabled") => Some(ManagerKind::Disabled),
            Some(other) => return Err(Error::new(format!("unknown cgroup manager specified: {other}"))),
        };
        match (self.systemd_cgroup, named) {
            (true, Some(ManagerKind::Cgroupfs | ManagerKind::Disabled)) => {
                Err(Error::new("--systemd-cgroup and --cgroup-manager contradict each other"))
            }
            (true, _) => Ok(ManagerKind::Systemd),
            (false, named) => Ok(named.unwrap_or_default()),
        }
    }
}
