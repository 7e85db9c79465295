//! The moments of the runtime's hooks in a container's life.

use super::Creation;
use crate::cgroup::Cgroups;
use crate::config::{Config, HookPoint, HookState};
use crate::error::Result;
use crate::hooks;
use crate::launch::Launch;
use crate::state::Record;

/// The hooks of a container that is being created: stage1 is in its namespaces, and has not left the host's tree.
pub(super) fn create(
    creation: &Creation<'_>,
    config: &Config,
    record: &Record,
    cgroups: &Cgroups,
    launch: &Launch,
) -> Result<()> {
    let (state, pid) = (hook_state(record, creation.id), launch.pid().as_raw_pid());
    let heeds_signals = creation.owns_process;
    for point in [HookPoint::Prestart, HookPoint::CreateRuntime] {
        hooks::run(
            point,
            config.hooks.at(point),
            &state,
            "creating",
            pid,
            hooks::Place::Host,
            heeds_signals,
        )?;
    }
    let point = HookPoint::CreateContainer;
    if config.hooks.at(point).is_empty() {
        return Ok(());
    }
    let cgroups = cgroups.entrances()?;
    let (init, rootfs) = (launch.pidfd(), record.rootfs.as_str());
    let place = hooks::Place::Container { init, pid, rootfs, cgroups: &cgroups };
    hooks::run(point, config.hooks.at(point), &state, "creating", pid, place, heeds_signals)
}

/// The hooks of a container whose program has been executed. If one fails the container must not live on.
pub(super) fn poststart(record: &Record, id: &str, pid: i32, heeds_signals: bool) -> Result<()> {
    let (point, state) = (HookPoint::Poststart, hook_state(record, id));
    hooks::run(point, record.hooks.at(point), &state, "running", pid, hooks::Place::Host, heeds_signals)
}

/// The hooks of a container that is gone: what they fail with should be said, and nothing more.
pub(super) fn poststop(record: &Record, id: &str) -> Vec<String> {
    let (point, state) = (HookPoint::Poststop, hook_state(record, id));
    hooks::run_all(point, record.hooks.at(point), &state, "stopped")
}

fn hook_state<'a>(record: &'a Record, id: &'a str) -> HookState<'a> {
    HookState {
        oci_version: &record.oci_version,
        id,
        bundle: &record.bundle,
        annotations: &record.annotations,
    }
}
