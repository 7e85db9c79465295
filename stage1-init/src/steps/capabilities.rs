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

/// Sets the process's capabilities. An ambient one that cannot be raised is a warning: engines ask for them without making them
/// inheritable.
///
/// The ambient set needs no clearing of its own: the kernel takes from it what is not permitted and inheritable.
pub(super) fn set<K: Kernel>(context: &mut Context<'_, K>, sets: &Sets) -> Result<(), Fault> {
    let kernel = &mut *context.kernel;
    kernel.set_capabilities(sets.effective, sets.permitted, sets.inheritable).at(Call::SetCapabilities)?;
    if sets.inheritable != 0 {
        kernel.clear_ambient().at(Call::SetCapabilities)?;
    }
    for capability in (0..u64::BITS).filter(|capability| sets.ambient & (1 << capability) != 0) {
        if let Err(errno) = kernel.raise_ambient(capability) {
            let fault = Fault { call: Call::SetCapabilities, errno };
            let warning = Failure {
                phase: Phase::Identity,
                step: Some(context.step_index),
                call: fault.call,
                errno: fault.errno_number(),
            };
            context.kernel.send(context.socket, &Report::Warned(warning).encode()).at(Call::Send)?;
            break;
        }
    }
    Ok(())
}

/// Source: prctl(2) PR_SET_NO_NEW_PRIVS.
pub(super) fn no_new_privileges<K: Kernel>(kernel: &mut K) -> Result<(), Fault> {
    kernel.set_no_new_privileges().at(Call::NoNewPrivileges)
}
