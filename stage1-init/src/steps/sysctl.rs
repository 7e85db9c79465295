//! Kernel parameters of the container's namespaces, and the OOM killer's score.

use core::ffi::CStr;

use shared_proto::Call;

use super::{Context, proc};
use crate::kernel::{At, Errno, Fault, Kernel};
use crate::paths::PathBuffer;

/// Writes `value` to `name`, a path below /proc/sys.
#[inline(never)]
pub(super) fn write<K: Kernel>(context: &mut Context<'_, K>, name: &CStr, value: &CStr) -> Result<(), Fault> {
    const PREFIX: &[u8] = b"sys/";
    let mut path = heapless::Vec::<u8, 256>::new();
    let fits = path.extend_from_slice(PREFIX).is_ok() && path.extend_from_slice(name.to_bytes()).is_ok();
    let path = if fits { PathBuffer::new(&path) } else { Err(Errno::NAMETOOLONG) }.at(Call::Open)?;
    proc::write(context, path.as_c_str(), value.to_bytes())
}

/// Source: proc_pid_oom_score_adj(5).
pub(super) fn oom_score_adjust<K: Kernel>(context: &mut Context<'_, K>, value: &CStr) -> Result<(), Fault> {
    proc::write(context, c"self/oom_score_adj", value.to_bytes())
}
