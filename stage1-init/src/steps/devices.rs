//! Device nodes, and the links beside them.

use core::ffi::CStr;

use shared_proto::Call;
use shared_proto::limits::PATH_BYTES_MAX;

use super::Context;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve, Status, device_number};

const S_IFMT: u32 = 0o170000;
const S_IFIFO: u32 = 0o010000;

/// What a node is.
pub(super) struct Node {
    /// File type and permission bits.
    pub(super) mode: u32,
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Node {
    fn is(&self, status: Status) -> bool {
        let kind = self.mode & S_IFMT;
        status.kind() == kind && (kind == S_IFIFO || status.device == device_number(self.major, self.minor))
    }
}

/// Makes a device node or fifo.
///
/// Errors: EEXIST if something else is there (runtime-spec config-linux.md "Devices": the runtime MUST say so).
pub(super) fn node<K: Kernel>(
    context: &mut Context<'_, K>,
    path: &'static CStr,
    node: &Node,
) -> Result<(), Fault> {
    let (directory, name) = context.parent(path)?;
    let kernel = &mut *context.kernel;
    match kernel.make_node(directory, name, node.mode, node.major, node.minor) {
        Ok(()) => {}
        Err(Errno::EXIST) => return check_existing(kernel, directory, name, node),
        Err(errno) => return Err(Fault { call: Call::MakeNode, errno }),
    }
    if (node.uid, node.gid) != (0, 0) {
        kernel.change_owner(directory, name, node.uid, node.gid).at(Call::ChangeOwner)?;
    }
    Ok(())
}

fn check_existing<K: Kernel>(
    kernel: &mut K,
    directory: Descriptor,
    name: &CStr,
    node: &Node,
) -> Result<(), Fault> {
    let existing = kernel.open(directory, name, Open::PathNoFollow, Resolve::InRoot).at(Call::Open)?;
    let status = kernel.status(existing).at(Call::Status)?;
    if node.is(status) { Ok(()) } else { Err(Fault { call: Call::MakeNode, errno: Errno::EXIST }) }
}

/// Makes a symlink; what is already there stays, since images bring their own.
///
/// Errors: EEXIST if that is not the same symlink, and has to be.
pub(super) fn symlink<K: Kernel>(
    context: &mut Context<'_, K>,
    path: &'static CStr,
    target: &CStr,
    exact: bool,
) -> Result<(), Fault> {
    let (directory, name) = context.parent(path)?;
    match context.kernel.make_symlink(directory, name, target) {
        Err(Errno::EXIST) if !exact || leads_to(context.kernel, directory, name, target) => Ok(()),
        made => made.at(Call::MakeSymlink),
    }
}

/// Whether there is a symlink with this target.
#[inline(never)]
fn leads_to<K: Kernel>(kernel: &mut K, directory: Descriptor, name: &CStr, target: &CStr) -> bool {
    let mut buffer = [0; PATH_BYTES_MAX];
    let length = kernel.read_link(directory, name, &mut buffer);
    length.is_ok_and(|length| buffer.get(..length) == Some(target.to_bytes()))
}
