//! A time namespace: clocks of the program's own.

use core::ffi::CStr;

use shared_proto::Call;

use super::{Context, proc};
use crate::kernel::{At, Fault, Kernel, NamespaceKind};

/// The namespace is entered by execve (Linux 6.1); its offsets can be written until then.
///
/// Source: time_namespaces(7).
pub(super) fn new_namespace<K: Kernel>(context: &mut Context<'_, K>, offsets: &CStr) -> Result<(), Fault> {
    context.kernel.unshare(NamespaceKind::Time).at(Call::Unshare)?;
    if offsets.is_empty() {
        return Ok(());
    }
    proc::write(context, c"self/timens_offsets", offsets.to_bytes())
}
