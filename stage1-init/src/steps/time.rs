//! A time namespace: clocks of the program's own.

use core::ffi::CStr;

use shared_proto::Call;

use super::{Context, proc};
use crate::kernel::{At, Fault, Kernel, NamespaceKind};

/// A new namespace is for children alone, until it is entered; its offsets can be written until then.
/// Not every kernel enters it at execve: 6.18 does, 6.1 does not.
///
/// Source: time_namespaces(7).
pub(super) fn new_namespace<K: Kernel>(context: &mut Context<'_, K>, offsets: &CStr) -> Result<(), Fault> {
    context.kernel.unshare(NamespaceKind::Time).at(Call::Unshare)?;
    if !offsets.is_empty() {
        proc::write(context, c"self/timens_offsets", offsets.to_bytes())?;
    }
    let namespace = proc::open_namespace(context, c"self/ns/time_for_children")?;
    context.kernel.set_namespace(namespace, NamespaceKind::Time).at(Call::SetNamespace)
}
