//! Mounts in a container that runs: made detached, shown to the parent, which writes down what they are, and only then attached. So what was added
//! can be told for certain, wherever the container leads a path, and no matter which process is killed at which moment.

use core::ffi::CStr;

use shared_proto::{Call, Reply, Report};

use super::Context;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};
use crate::paths::{self, PathBuffer};
use crate::receive::{self, DescriptorList};

/// Shows what will be mounted to the parent, and waits until that has written it down. After that nobody mounts whose parent has gone.
pub(super) fn announce<K: Kernel>(context: &mut Context<'_, K>, mount: Descriptor) -> Result<(), Fault> {
    // Before the wait: then the parent's reply is from one that lived.
    context.kernel.die_with_parent().at(Call::DeathSignal)?;
    context.send_descriptor(Report::Mounting, mount)?;
    match receive::reply(context.kernel, context.socket, &mut DescriptorList::new())? {
        Reply::Proceed => Ok(()),
        _ => Err(receive::unexpected()),
    }
}

/// Takes the mount with this number away, which `path` led to when it was looked for: a path as mountinfo writes it. One that is nowhere in the mount
/// namespace any more needs nothing.
///
/// umount2(2) has no place for a descriptor. But nobody in the container's mount namespace can rename what is mounted upon there, and the directory
/// above is held: between the look at the number and the call only somebody who may mount as well could change anything.
#[inline(never)]
pub(super) fn unmount<K: Kernel>(
    context: &mut Context<'_, K>,
    path: &'static CStr,
    mount: u64,
) -> Result<(), Fault> {
    let path = PathBuffer::unescaped(path.to_bytes()).at(Call::Open)?;
    let (directory, name) = paths::split(path.as_c_str());
    let directory = PathBuffer::new(directory).at(Call::Open)?;
    let (kernel, root) = (&mut *context.kernel, context.root.new);
    let place = open_place(kernel, root, &directory, name).and_then(|(above, place)| {
        let number = kernel.mount_number(place).at(Call::Status)?;
        if number == mount { Ok(above) } else { Err(Fault { call: Call::Unmount, errno: Errno::BUSY }) }
    });
    match place {
        Ok(above) => {
            context.go_to(above)?;
            context.kernel.unmount_detached(name).at(Call::Unmount)
        }
        // What is at the path has only borrowed its number there.
        Err(_) if kernel.has_mount(mount) == Ok(false) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// The directory above a mount point, and what is mounted there. No symlink is on the way: the kernel has said so.
fn open_place<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    directory: &PathBuffer,
    name: &CStr,
) -> Result<(Descriptor, Descriptor), Fault> {
    let strict = Resolve::InRootNoSymlinks;
    let above = kernel.open(root, directory.as_c_str(), Open::Directory, strict).at(Call::Open)?;
    let place = kernel.open(above, name, Open::PathNoFollow, strict).at(Call::Open)?;
    Ok((above, place))
}
