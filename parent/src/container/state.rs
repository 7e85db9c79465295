//! What the runtime-spec calls the state of a container, as runc prints it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Container;
use crate::error::Result;
use crate::state::Status;

/// runc's fields in runc's order.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the runtime-spec that the configuration names.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// The first process's id on the host; 0 where there is none (any more).
    pub pid: i32,
    /// What it is doing.
    pub status: Status,
    /// The bundle's path, absolute.
    pub bundle: String,
    /// The root file system's path, absolute.
    pub rootfs: String,
    /// When it was created: RFC 3339 with nanoseconds.
    pub created: String,
    /// Those of the configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The name of whoever created it, where somebody has looked it up.
    pub owner: String,
}

impl Container {
    /// The state as it is now.
    pub fn state(&self) -> Result<State> {
        let status = self.status()?;
        let record = &self.record;
        Ok(State {
            oci_version: record.oci_version.clone(),
            id: self.id.clone(),
            pid: self.pid(status),
            status,
            bundle: record.bundle.clone(),
            rootfs: record.rootfs.clone(),
            created: record.created.clone(),
            annotations: record.annotations.clone(),
            owner: String::new(),
        })
    }
}
