//! The container's filter: its program for the plan, and its agent for the start.

use serde::Serialize;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::launch::{Agent, NOT_CONNECTED};
use crate::plan::Filter;
use crate::state::Record;

/// The filter of a configuration whose profile was compiled to `program`.
pub fn filter<'a>(config: &Config, program: Option<&'a [u8]>) -> Option<Filter<'a>> {
    Some(Filter { flags: config.seccomp.as_ref()?.flags, program: program? })
}

/// Whether somebody can be asked: whoever creates a container learns it before whoever starts it.
pub(super) fn check_listener(config: &Config) -> Result<()> {
    use std::os::unix::fs::FileTypeExt;

    let Some(listener) = config.seccomp.as_ref().and_then(|profile| profile.listener.as_ref()) else {
        return Ok(());
    };
    match std::fs::metadata(&listener.path) {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(()),
        _ => Err(Error::new(format!(
            "$.linux.seccomp.listenerPath: {NOT_CONNECTED}: no socket is at {}",
            listener.path
        ))),
    }
}

/// What the runtime-spec calls the container process state, as the agent gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'static str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: State<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    oci_version: &'a str,
    id: &'a str,
    status: &'static str,
    pid: i32,
    bundle: &'a str,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: &'a std::collections::BTreeMap<String, String>,
}

/// Connects to the agent of a profile that asks one; `None` for all others. `pid` is the process that gets the filter, `init` the container's
/// first one; `status` is the container's at the moment of the start.
pub(super) fn agent(
    record: &Record,
    id: &str,
    (pid, init): (i32, i32),
    status: &'static str,
) -> Result<Option<Agent>> {
    let Some(listener) = &record.seccomp_listener else { return Ok(None) };
    let document = ProcessState {
        oci_version: &record.oci_version,
        fds: ["seccompFd"],
        pid,
        metadata: &listener.metadata,
        state: State {
            oci_version: &record.oci_version,
            id,
            status,
            pid: init,
            bundle: &record.bundle,
            annotations: &record.annotations,
        },
    };
    let text =
        serde_json::to_string(&document).map_err(|error| Error::new(format!("seccomp agent: {error}")))?;
    Agent::connect(&listener.path, text).map(Some)
}
