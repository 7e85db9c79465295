//! From the host's root to the container's: open what is needed from the host, move, and let go of the host.

use heapless::Vec;
use shared_proto::bootstrap::{HostLeft, RootChange};
use shared_proto::limits::EARLY_BIND_COUNT_MAX;
use shared_proto::{
    BindOrigin, Call, DescriptorSlot, Propagation, PropagationKind, Reply, Step, StepKind, View,
};

use crate::host_proc;
use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};
use crate::receive::{self, DescriptorList, Received};

/// The container's root, and what steps need of the host.
pub(crate) struct Root<'s> {
    /// The container's root directory.
    pub(crate) new: Descriptor,
    /// Detached trees of the bind sources on the host, in the order of their steps.
    pub(crate) sources: &'s mut Sources,
    /// Others live in the mount namespace.
    pub(crate) is_shared: bool,
}

/// A source that could not be opened is reported by its step.
pub(crate) type Sources = Vec<Result<Descriptor, Fault>, EARLY_BIND_COUNT_MAX>;

impl Root<'_> {
    /// The descriptor with the highest number.
    pub(crate) fn highest_descriptor(&self) -> Descriptor {
        self.sources.iter().flatten().copied().fold(self.new, Descriptor::max)
    }
}

/// Makes the container's root the root, or gets ready to. Afterwards paths of the container lead from `Root::new` to nowhere outside.
pub(crate) fn enter<'s, K: Kernel>(
    kernel: &mut K,
    socket: Descriptor,
    received: &Received,
    sources: &'s mut Sources,
) -> Result<Root<'s>, Fault> {
    let view = &received.view;
    let bootstrap = view.bootstrap();
    let host = Descriptor::CURRENT_DIRECTORY;
    if bootstrap.root_change == RootChange::Chroot {
        let new = kernel.open(host, bootstrap.root, Open::Directory, Resolve::Host).at(Call::Open)?;
        change_root(kernel, new)?;
        return Ok(Root { new, sources, is_shared: true });
    }
    if bootstrap.root_change == RootChange::Enter {
        open_sources(kernel, socket, view, sources)?;
        let new = match received.descriptor(DescriptorSlot::Root) {
            Some(new) => change_root(kernel, new).map(|()| new)?,
            // Joining the mount namespace has made its root ours, and the working directory.
            None => host,
        };
        return Ok(Root { new, sources, is_shared: true });
    }
    match bootstrap.root_change {
        RootChange::Bind => open_sources(kernel, socket, view, sources)?,
        _ => isolate(kernel, socket, view, sources)?,
    }
    let sent = received.descriptor(DescriptorSlot::Root);
    let new = match sent {
        Some(new) => new,
        None => kernel.open_tree(host, bootstrap.root, Open::Path, true).at(Call::OpenTree)?,
    };
    // A tree that the parent has opened stands for a path that may be closed to us: any place serves then, but for hooks, which look for it, and
    // where the place has to tell the container's mounts from the host's.
    let any_place_serves =
        sent.is_some() && !bootstrap.await_hooks && bootstrap.root_change != RootChange::Move;
    match kernel.move_mount(new, host, bootstrap.root) {
        Err(Errno::ACCESS) if any_place_serves => {
            kernel.move_mount(new, host, c"/").at(Call::MoveMount)?;
        }
        moved => moved.at(Call::MoveMount)?,
    }
    if bootstrap.initial_propagation.kind != PropagationKind::Private {
        // What the host mounts in the root directory later is not the container's (runc makes its parent private for that).
        let private = Propagation { kind: PropagationKind::Private, recursive: false };
        kernel.set_propagation(new, c"", private).at(Call::MountAttributes)?;
    }
    if bootstrap.host_left == HostLeft::First {
        leave_host(kernel, view, new)?;
    }
    Ok(Root { new, sources, is_shared: bootstrap.root_change == RootChange::Bind })
}

/// Makes `new`, which is attached below the old root, the root. Until then paths mean the host's.
pub(crate) fn leave_host<K: Kernel>(kernel: &mut K, view: &View<'_>, new: Descriptor) -> Result<(), Fault> {
    let bootstrap = view.bootstrap();
    match bootstrap.root_change {
        RootChange::Pivot => pivot(kernel, new),
        RootChange::Move => {
            host_proc::take_away(kernel, bootstrap.root)?;
            kernel.move_mount(new, Descriptor::CURRENT_DIRECTORY, c"/").at(Call::MoveMount)?;
            change_root(kernel, new)
        }
        RootChange::Bind => change_root(kernel, new),
        RootChange::Chroot | RootChange::Enter => Ok(()),
    }
}

/// The same, and lets go of the old root.
fn pivot<K: Kernel>(kernel: &mut K, new: Descriptor) -> Result<(), Fault> {
    kernel.change_directory_to(new).at(Call::ChangeDirectory)?;
    // Puts the old root on top of the new one: no directory for it is needed in the image (pivot_root(2)). It must go before
    // anything is looked up: `..` at the root would lead onto it, RESOLVE_IN_ROOT or not.
    kernel.pivot_root(c".", c".").at(Call::PivotRoot)?;
    kernel.unmount_detached(c".").at(Call::Unmount)
}

/// Cuts the new mount namespace off from the host's, and opens the bind sources on the right side of the cut.
fn isolate<K: Kernel>(
    kernel: &mut K,
    socket: Descriptor,
    view: &View<'_>,
    sources: &mut Sources,
) -> Result<(), Fault> {
    let propagation = view.bootstrap().initial_propagation;
    let cut = |kernel: &mut K, kind| {
        let all = Propagation { kind, recursive: true };
        kernel.set_propagation(Descriptor::CURRENT_DIRECTORY, c"/", all).at(Call::MountAttributes)
    };
    if propagation.kind == PropagationKind::Shared {
        // Shared volumes stay peers of the host's mounts; the host's tree itself does not.
        open_sources(kernel, socket, view, sources)?;
        return cut(kernel, PropagationKind::Slave);
    }
    cut(kernel, propagation.kind)?;
    open_sources(kernel, socket, view, sources)
}

/// Opens each early bind source while paths still mean the host's, or takes the tree that the parent has opened. A source that cannot be
/// opened is reported by its step.
fn open_sources<K: Kernel>(
    kernel: &mut K,
    socket: Descriptor,
    view: &View<'_>,
    sources: &mut Sources,
) -> Result<(), Fault> {
    let mut trees = DescriptorList::new();
    for step in view.steps_of([StepKind::MountFilesystem, StepKind::BindMount]) {
        let tree = match step {
            step if !step.takes_source() => continue,
            Step::BindMount { source, origin: BindOrigin::Host, recursive, nofollow, .. } => kernel
                .open_tree(Descriptor::CURRENT_DIRECTORY, source, Open::place(nofollow.source), recursive)
                .at(Call::OpenTree),
            // A tree, or the user namespace of a filesystem's owners.
            _ => Ok(next_tree(kernel, socket, &mut trees)?),
        };
        // Never: the decoder has counted them.
        sources.push(tree).map_err(|_| receive::unexpected())?;
    }
    if trees.is_empty() { Ok(()) } else { Err(receive::unexpected()) }
}

fn next_tree<K: Kernel>(
    kernel: &mut K,
    socket: Descriptor,
    trees: &mut DescriptorList,
) -> Result<Descriptor, Fault> {
    if trees.is_empty() {
        match receive::reply(kernel, socket, trees)? {
            Reply::Trees { .. } if !trees.is_empty() => {}
            _ => return Err(receive::unexpected()),
        }
    }
    Ok(trees.remove(0))
}

fn change_root<K: Kernel>(kernel: &mut K, root: Descriptor) -> Result<(), Fault> {
    kernel.change_directory_to(root).at(Call::ChangeDirectory)?;
    kernel.change_root(c".").at(Call::ChangeRoot)
}
