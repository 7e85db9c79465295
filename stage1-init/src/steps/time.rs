//! A time namespace: clocks of the program's own.

use core::ffi::CStr;

use shared_proto::{Call, Reply, Report};

use super::{Context, proc};
use crate::kernel::{At, Errno, Fault, Kernel, NamespaceKind};
use crate::receive::{self, DescriptorList};

/// A new namespace is for children alone, until it is entered; its offsets can be written until then.
/// Not every kernel enters it at execve: 6.18 does, 6.1 does not.
///
/// Source: time_namespaces(7).
pub(super) fn new_namespace<K: Kernel>(context: &mut Context<'_, K>, offsets: &CStr) -> Result<(), Fault> {
    context.kernel.unshare(NamespaceKind::Time).at(Call::Unshare)?;
    if !offsets.is_empty() {
        match proc::write(context, c"self/timens_offsets", offsets.to_bytes()) {
            // In a user namespace that was joined: who is not dumpable has files in procfs that are the host's root's.
            Err(Fault { call: Call::Open, errno: Errno::ACCESS }) => ask_parent(context)?,
            written => written?,
        }
    }
    let namespace = proc::open_namespace(context, c"self/ns/time_for_children")?;
    context.kernel.set_namespace(namespace, NamespaceKind::Time).at(Call::SetNamespace)
}

/// Waits until the parent has written the offsets.
fn ask_parent<K: Kernel>(context: &mut Context<'_, K>) -> Result<(), Fault> {
    context.kernel.send(context.socket, &Report::ClocksDue.encode()).at(Call::Send)?;
    match receive::reply(context.kernel, context.socket, &mut DescriptorList::new())? {
        Reply::Proceed => Ok(()),
        _ => Err(receive::unexpected()),
    }
}
