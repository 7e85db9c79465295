//! `state`: what the runtime-spec calls the state of a container, as runc prints it.

use serde::Serialize;

use super::Context;
use crate::cli;
use crate::container::Container;
use crate::error::{Error, Result};
use crate::state::Status;

/// runc's fields in runc's order; `list` prints the same with the owner's name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateDocument {
    oci_version: String,
    pub(super) id: String,
    pub(super) pid: i32,
    pub(super) status: String,
    pub(super) bundle: String,
    rootfs: String,
    pub(super) created: String,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: std::collections::BTreeMap<String, String>,
    pub(super) owner: String,
}

impl StateDocument {
    pub(super) fn new(container: Container, owner: String) -> Result<Self> {
        let status: Status = container.status()?;
        Ok(Self {
            pid: container.pid(status),
            status: status.to_string(),
            oci_version: container.record.oci_version,
            id: container.id,
            bundle: container.record.bundle,
            rootfs: container.record.rootfs,
            created: container.record.created,
            annotations: container.record.annotations,
            owner,
        })
    }
}

pub(super) fn run(context: &Context<'_>, arguments: &cli::OneId) -> Result<()> {
    let id = cli::one_id("state", &arguments.ids)?;
    let container = Container::open(&context.state_root()?, id)?;
    let document = StateDocument::new(container, String::new())?;
    let text =
        serde_json::to_string_pretty(&document).map_err(|error| Error::new(format!("state: {error}")))?;
    super::print(&text)
}
