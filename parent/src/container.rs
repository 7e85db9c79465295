//! The life of one container: what the commands are made of.

mod bundle;
mod create;
mod delete;
mod devices;
mod events;
mod exec;
mod foreground;
mod hooks;
mod live_mounts;
mod notify;
mod pause;
mod preview;
mod ps;
mod rootless;
mod seccomp;
mod signal;
mod spec;
mod start;
mod state;
mod symlinks;
mod update;
mod validate;

pub(crate) use rootless::{cannot_limit_devices, subordinate_ids};

use bundle::Bundle;
use create::plan_request;
pub use create::{Created, Creation, create};
pub use delete::delete;
pub(crate) use delete::delete_created;
pub use events::{Events, events, parse_interval};
pub use exec::{Executed, Execution, ProcessChanges, exec};
pub use foreground::TerminalChoice;
pub use live_mounts::{add_mounts, remove_mounts};
pub use notify::{Readiness, listen_for_readiness};
pub use pause::{pause, resume};
pub use preview::{Preview, preview};
pub use ps::{process_list, process_table};
use seccomp::filter;
pub use signal::{kill, kill_all, parse as parse_signal};
pub use spec::default_config;
pub use start::start;
pub use state::State;
pub use update::{Limit, LimitKind, Schemata, limits_document, update};
pub use validate::{Finding, Level, validate};

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use crate::cgroup::Cgroups;
use crate::error::{Error, Kind, Result};
use crate::intel_rdt::Groups;
use crate::state::{Init, Record, StateDirectory, StateRoot, Status};

/// A container as its state directory shows it.
#[derive(Debug)]
pub struct Container {
    id: String,
    directory: StateDirectory,
    record: Record,
    init: Option<Init>,
}

impl Container {
    /// Reads the state of an existing container, without a lock.
    pub fn open(root: &StateRoot, id: &str) -> Result<Self> {
        Self::read(id, root.open(id)?)
    }

    /// The same under the container's lock, for commands that change it.
    pub fn open_locked(root: &StateRoot, id: &str) -> Result<Self> {
        let directory = root.open(id)?;
        directory.lock()?;
        Self::read(id, directory)
    }

    fn read(id: &str, directory: StateDirectory) -> Result<Self> {
        let record = directory.record()?;
        let init = directory.init()?;
        Ok(Self { id: id.to_owned(), directory, record, init })
    }

    /// When it was created: tells it from every other container that has its id at another time.
    pub(crate) fn created(&self) -> &str {
        &self.record.created
    }

    /// Errors: the container that was created then is gone, and another has its id.
    pub(crate) fn must_be_of(&self, created: &str) -> Result<()> {
        if self.record.created == created {
            Ok(())
        } else {
            Err(Error::of_kind(Kind::NoSuchContainer, "container does not exist"))
        }
    }

    /// A handle to the first process, if there is one that still lives.
    pub(crate) fn init_handle(&self) -> Result<Option<OwnedFd>> {
        self.init.as_ref().map_or(Ok(None), Init::handle)
    }

    /// The user id of whoever created it.
    pub fn owner(&self) -> u32 {
        self.record.owner
    }

    /// Those of its configuration.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.record.annotations
    }

    /// The processes in its cgroups: ids on the host.
    ///
    /// Errors: it has no cgroups.
    pub fn processes(&self) -> Result<Vec<i32>> {
        if self.record.cgroups.is_empty() {
            return Err(Error::new("ps requires the container to have a cgroup"));
        }
        Ok(self.cgroups().processes())
    }

    /// The container's cgroups.
    fn cgroups(&self) -> Cgroups {
        let placement = self.record.cgroups.clone();
        match &self.init {
            Some(init) => Cgroups::open(placement, init.cgroups.clone()),
            None => Cgroups::unfinished(placement),
        }
    }

    /// The container's groups in resctrl, if it has any.
    fn rdt_groups(&self) -> Option<Groups> {
        let made = self.init.as_ref().map(|init| init.intel_rdt).unwrap_or_default();
        self.record.intel_rdt.clone().map(|placement| Groups::open(placement, made))
    }

    /// The first process's id on the host and, if it lives, a handle to it.
    pub(crate) fn first_process(&self) -> Result<(i32, Option<OwnedFd>)> {
        Ok((self.init.as_ref().map_or(0, |init| init.pid), self.init_handle()?))
    }

    /// The status, derived now.
    pub fn status(&self) -> Result<Status> {
        self.directory.status(self.init.as_ref(), || self.cgroups().is_frozen())
    }

    /// The init process's pid, and 0 where there is none (any more), as `state` shows it.
    fn pid(&self, status: Status) -> i32 {
        match (&self.init, status) {
            (Some(init), Status::Created | Status::Running | Status::Paused) => init.pid,
            _ => 0,
        }
    }
}
