//! Hooks of the container's own, and the moment of the runtime's.

use shared_proto::{Phase, Step};

use super::{Draft, Request};
use crate::config::{HookPoint, HookState};

/// Plans the startContainer hooks: each runs as the program will, before it.
pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    let config = request.config;
    let hooks = config.hooks.at(HookPoint::StartContainer);
    if hooks.is_empty() {
        return;
    }
    let state = HookState {
        oci_version: &config.oci_version,
        id: request.id,
        bundle: request.bundle,
        annotations: &config.annotations,
    };
    let state = draft.keep_list(state.parts("created").to_vec());
    for (index, hook) in hooks.iter().enumerate() {
        draft.push(
            Phase::Lockdown,
            Step::RunHook {
                index: index as u32,
                path: &hook.path,
                arguments: &hook.args,
                environment: hook.env.as_deref().unwrap_or(&config.process.env),
                state,
                // The configuration's bound keeps this within 32 bits.
                timeout_ms: hook.timeout.unwrap_or(0).saturating_mul(1000),
            },
        );
    }
}
