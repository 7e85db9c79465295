//! Labels of the security modules: who the program is to them, and what its file systems are.

use core::ffi::CStr;

use shared_proto::Call;
use shared_proto::limits::OPTION_BYTES_MAX;

use super::{Context, proc};
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};
use crate::paths::PathBuffer;

/// The option by which a new filesystem gets its SELinux context.
const CONTEXT: &[u8] = b"context=\"";

/// Has AppArmor confine the program when it is executed.
///
/// Source: aa_change_onexec(3). Before Linux 5.8 the file is the one that all security modules share.
#[inline(never)]
pub(super) fn apparmor_profile<K: Kernel>(context: &mut Context<'_, K>, profile: &CStr) -> Result<(), Fault> {
    const COMMAND: &[u8] = b"exec ";
    let mut command = heapless::Vec::<u8, { COMMAND.len() + OPTION_BYTES_MAX }>::new();
    let fits =
        command.extend_from_slice(COMMAND).is_ok() && command.extend_from_slice(profile.to_bytes()).is_ok();
    if !fits {
        return Err(Fault { call: Call::Write, errno: Errno::NAMETOOLONG });
    }
    match proc::write(context, c"self/attr/apparmor/exec", &command) {
        Err(Fault { call: Call::Open, errno: Errno::NOENT }) => {
            proc::write(context, c"self/attr/exec", &command)
        }
        written => written,
    }
}

/// Has SELinux run the program in this context. Until then new keyrings get it too; execve(2) ends that.
pub(super) fn selinux_label<K: Kernel>(context: &mut Context<'_, K>, label: &CStr) -> Result<(), Fault> {
    match proc::write(context, c"self/attr/keycreate", label.to_bytes()) {
        // A kernel without key management has no keys to label.
        Err(Fault { call: Call::Open, errno: Errno::NOENT }) => {}
        written => written?,
    }
    proc::write(context, c"self/attr/exec", label.to_bytes())
}

/// The data of a filesystem without the context that the plan has put behind it, and that context, where the filesystem cannot take it when
/// it is mounted: an IPC namespace has its mqueue before anybody mounts it.
pub(super) fn split_late<'d>(fstype: &CStr, data: &'d CStr) -> Option<(&'d [u8], &'d [u8])> {
    if fstype != c"mqueue" {
        return None;
    }
    let bytes = data.to_bytes();
    let start = bytes.windows(CONTEXT.len()).rposition(|window| window == CONTEXT)?;
    let (others, context) = bytes.split_at(start);
    let label = context.get(CONTEXT.len()..)?.strip_suffix(b"\"")?;
    Some((others.strip_suffix(b",").unwrap_or(others), label))
}

/// The label at the beginning of a filesystem's data, where there is one, and what is behind it. It may have commas.
pub(super) fn split_context(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let label = data.strip_prefix(CONTEXT)?;
    let end = label.iter().position(|&byte| byte == b'"')?;
    Some((label.get(..end)?, label.get(end + 1..)?))
}

/// Labels the root of such a filesystem.
#[inline(never)]
pub(super) fn label_late<K: Kernel>(kernel: &mut K, mount: Descriptor, label: &[u8]) -> Result<(), Fault> {
    let label = PathBuffer::new(label).at(Call::SetLabel)?;
    let root = kernel.open(mount, c".", Open::Read, Resolve::InRoot).at(Call::Open)?;
    kernel.set_label(root, label.as_c_str()).at(Call::SetLabel)
}
