//! Capabilities, and the promise to gain none.

use shared_proto::{Call, Failure, Phase, Report};

use super::Context;
use crate::kernel::{At, Errno, Fault, Kernel};

/// Bit N of each is capability N.
pub(super) struct Sets {
    pub(super) effective: u64,
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
    pub(super) ambient: u64,
}

/// Drops from the bounding set whatever is not in `keep`, up to the highest capability that the kernel knows.
pub(super) fn drop_bounding<K: Kernel>(kernel: &mut K, keep: u64) -> Result<(), Fault> {
    for capability in (0..u64::BITS).filter(|capability| keep & (1 << capability) == 0) {
        match kernel.drop_bounding(capability) {
            // The first number that the kernel does not know.
            Err(Errno::INVAL) => break,
            dropped => dropped.at(Call::DropBounding)?,
        }
    }
    Ok(())
}

/// Sets the process's capabilities. What cannot be granted is a warning (runtime-spec, config.md: a runtime SHOULD NOT fail): what the runtime
/// itself lacks, and an ambient one that is not inheritable, which engines ask for.
///
/// The ambient set needs no clearing of its own: the kernel takes from it what is not permitted and inheritable.
pub(super) fn set<K: Kernel>(context: &mut Context<'_, K>, sets: &Sets) -> Result<(), Fault> {
    match context.kernel.set_capabilities(sets.effective, sets.permitted, sets.inheritable) {
        Err(Errno::PERM) => {
            let held = context.kernel.held_capabilities().at(Call::HeldCapabilities)?;
            let [effective, permitted, inheritable] =
                [sets.effective, sets.permitted, sets.inheritable].map(|asked| asked & held);
            context.kernel.set_capabilities(effective, permitted, inheritable).at(Call::SetCapabilities)?;
            warn(context, Fault { call: Call::SetCapabilities, errno: Errno::PERM })?;
        }
        set => set.at(Call::SetCapabilities)?,
    }
    if sets.inheritable != 0 {
        context.kernel.clear_ambient().at(Call::SetCapabilities)?;
    }
    let mut refused = None;
    for capability in (0..u64::BITS).filter(|capability| sets.ambient & (1 << capability) != 0) {
        refused = context.kernel.raise_ambient(capability).at(Call::RaiseAmbient).err().or(refused);
    }
    refused.map_or(Ok(()), |fault| warn(context, fault))
}

/// Tells the parent what this step does without.
fn warn<K: Kernel>(context: &mut Context<'_, K>, fault: Fault) -> Result<(), Fault> {
    let warning = Failure {
        phase: Phase::Identity,
        step: Some(context.step_index),
        call: fault.call,
        errno: fault.errno_number(),
    };
    context.kernel.send(context.socket, &Report::Warned(warning).encode()).at(Call::Send)
}

/// Source: prctl(2) PR_SET_NO_NEW_PRIVS.
pub(super) fn no_new_privileges<K: Kernel>(kernel: &mut K) -> Result<(), Fault> {
    kernel.set_no_new_privileges().at(Call::NoNewPrivileges)
}
