//! The filter for system calls: compiled by the parent, loaded here, and the last thing before execve.

use shared_proto::{Call, LISTENER_BY_SENDMMSG, Report};

use super::Context;
use crate::kernel::{At, Fault, Kernel, NEW_LISTENER};

/// Loads the filter, and sends its listener, if it has one, to whoever started the program.
///
/// The listener's descriptor travels in the message: nobody has to be waited for, and nothing but sendmsg(2) is called under the filter,
/// or sendmmsg(2) where the listener is asked about that.
/// This program's copy is close-on-exec.
/// Errors: EACCES without CAP_SYS_ADMIN and without no_new_privs; EINVAL for a flag that the kernel does not know; EBUSY if an outer
/// filter has a listener already. Source: seccomp(2).
pub(super) fn install<K: Kernel>(
    context: &mut Context<'_, K>,
    flags: u32,
    program: &[u8],
) -> Result<(), Fault> {
    let by_sendmmsg = flags & LISTENER_BY_SENDMMSG != 0;
    let flags = flags & !LISTENER_BY_SENDMMSG;
    // A hook's calls are nobody's to answer: what asks is refused by the kernel (ENOSYS).
    let flags = if context.is_hook { flags & !NEW_LISTENER } else { flags };
    if let Some(listener) = context.kernel.install_filter(flags, program).at(Call::Seccomp)? {
        let (kernel, report) = (&mut *context.kernel, Report::Listener.encode());
        let sent = match by_sendmmsg {
            false => kernel.send_descriptor(context.socket, &report, listener),
            true => kernel.send_descriptor_by_sendmmsg(context.socket, &report, listener),
        };
        sent.at(Call::Send)?;
    }
    Ok(())
}
