//! In place of `systemd.rs` in a build without the feature `systemd`: nobody can have a scope.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Pid;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Resources;
use crate::error::{Error, Result};

/// The manager is not compiled in: what `features` tells.
pub const SUPPORTED: bool = false;

const MISSING: &str = "this build of pinnace has no systemd cgroup manager (feature \"systemd\")";

/// Errors: always.
pub fn ask(_: bool) -> Result<()> {
    Err(Error::new(MISSING))
}

/// Whose systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    System,
    User,
}

/// What takes an update back.
#[derive(Debug)]
pub(super) enum Undoing {}

/// The unit of one container, of which there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        match *self {}
    }
}

/// A container of another build's, in the record.
impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(D::Error::custom(MISSING))
    }
}

impl Scope {
    /// Errors: always.
    pub(super) fn new(_: Option<&str>, _: &str, _: Owner, _: bool) -> Result<Self> {
        Err(Error::new(MISSING))
    }

    pub(super) fn unit(&self) -> &str {
        match *self {}
    }

    pub(super) fn path(&self) -> String {
        match *self {}
    }

    pub(super) fn start(&self, _: Pid, _: &Resources, _: &BTreeMap<String, String>) -> Result<()> {
        match *self {}
    }

    pub(super) fn update(&self, _: &Resources, _: &Resources, _: &Resources) -> Result<Undoing> {
        match *self {}
    }

    pub(super) fn undo_update(&self, _: Undoing) {
        match *self {}
    }

    pub(super) fn attach(&self, _: Pid, _: &str) -> Result<()> {
        match *self {}
    }

    pub(super) fn stop(&self) -> Result<()> {
        match *self {}
    }

    pub(super) fn stop_left_over(&self, _: Duration) -> Result<()> {
        match *self {}
    }
}
