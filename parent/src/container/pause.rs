//! Stopping a container's processes for a while.

use super::Container;
use crate::error::{Error, Kind, Result};
use crate::state::Status;

/// Returns when every process has stopped.
pub fn pause(container: &Container) -> Result<()> {
    match container.status()? {
        Status::Created | Status::Running => container.cgroups().pause(),
        Status::Paused => Err(Error::of_kind(Kind::Paused, "container not running")),
        Status::Creating | Status::Stopped => Err(Error::of_kind(Kind::NotRunning, "container not running")),
    }
}

/// Returns when every process goes on.
pub fn resume(container: &Container) -> Result<()> {
    match container.status()? {
        Status::Paused => container.cgroups().resume(),
        Status::Creating | Status::Created | Status::Running | Status::Stopped => {
            Err(Error::of_kind(Kind::NotPaused, "container not paused"))
        }
    }
}
