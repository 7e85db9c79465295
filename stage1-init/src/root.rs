//! From the host's root to the container's: open what is needed from the host, move, and let go of the host at the end.

use heapless::Vec;
use shared_proto::bootstrap::RootChange;
use shared_proto::limits::EARLY_BIND_COUNT_MAX;
use shared_proto::{BindOrigin, Call, Propagation, PropagationKind, Step, View};

use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};

/// The container's root, and what is still held of the host's.
pub(crate) struct Root {
    /// The container's root directory.
    pub(crate) new: Descriptor,
    /// The host's root, until the views are done.
    pub(crate) old: Option<Descriptor>,
    /// Detached trees of the early bind sources, in the order of their steps.
    pub(crate) sources: Vec<Result<Descriptor, Fault>, EARLY_BIND_COUNT_MAX>,
}

impl Root {
    /// The descriptor with the highest number.
    pub(crate) fn highest_descriptor(&self) -> Descriptor {
        let sources = self.sources.iter().flatten().copied();
        sources.chain(self.old).fold(self.new, Descriptor::max)
    }
}

/// Makes the container's root the root. Afterwards the host's tree is reachable through `Root::old` alone.
pub(crate) fn enter<K: Kernel>(kernel: &mut K, view: &View<'_>) -> Result<Root, Fault> {
    let bootstrap = view.bootstrap();
    if bootstrap.root_change == RootChange::Chroot {
        let new = kernel
            .open(Descriptor::CURRENT_DIRECTORY, bootstrap.root, Open::Directory, Resolve::Host)
            .at(Call::Open)?;
        change_root(kernel, new)?;
        return Ok(Root { new, old: None, sources: Vec::new() });
    }

    let sources = if bootstrap.root_change == RootChange::Bind {
        open_sources(kernel, view)
    } else {
        isolate(kernel, view, bootstrap.initial_propagation)?
    };
    let old = kernel.open(Descriptor::CURRENT_DIRECTORY, c"/", Open::Directory, Resolve::Host).at(Call::Open)?;
    let new = kernel.open_tree(Descriptor::CURRENT_DIRECTORY, bootstrap.root, true).at(Call::OpenTree)?;
    let move_to = |kernel: &mut K, target| {
        kernel.move_mount(new, Descriptor::CURRENT_DIRECTORY, target).at(Call::MoveMount)
    };
    match bootstrap.root_change {
        RootChange::Pivot => {
            move_to(kernel, bootstrap.root)?;
            kernel.change_directory_to(new).at(Call::ChangeDirectory)?;
            // Puts the old root on top of the new one: no directory for it is needed in the image.
            kernel.pivot_root(c".", c".").at(Call::PivotRoot)?;
        }
        RootChange::Move => {
            move_to(kernel, c"/")?;
            change_root(kernel, new)?;
        }
        RootChange::Bind | RootChange::Chroot => {
            move_to(kernel, bootstrap.root)?;
            change_root(kernel, new)?;
        }
    }
    Ok(Root { new, old: Some(old), sources })
}

/// Cuts the new mount namespace off from the host's, and opens the bind sources on the right side of the cut.
fn isolate<K: Kernel>(
    kernel: &mut K,
    view: &View<'_>,
    propagation: Propagation,
) -> Result<Vec<Result<Descriptor, Fault>, EARLY_BIND_COUNT_MAX>, Fault> {
    let cut = |kernel: &mut K, kind| {
        let all = Propagation { kind, recursive: true };
        kernel.set_propagation(Descriptor::CURRENT_DIRECTORY, c"/", all).at(Call::MountAttributes)
    };
    if propagation.kind == PropagationKind::Shared {
        // Shared volumes stay peers of the host's mounts; the host's tree itself does not.
        let sources = open_sources(kernel, view);
        cut(kernel, PropagationKind::Slave)?;
        return Ok(sources);
    }
    cut(kernel, propagation.kind)?;
    Ok(open_sources(kernel, view))
}

/// Opens each early bind source while paths still mean the host's. A source that cannot be opened is reported by its step.
fn open_sources<K: Kernel>(
    kernel: &mut K,
    view: &View<'_>,
) -> Vec<Result<Descriptor, Fault>, EARLY_BIND_COUNT_MAX> {
    let mut sources = Vec::new();
    for phased in view.steps() {
        if let Step::BindMount { source, origin: BindOrigin::Early, recursive, .. } = phased.step {
            let tree = kernel.open_tree(Descriptor::CURRENT_DIRECTORY, source, recursive).at(Call::OpenTree);
            // The decoder has counted them.
            let _ = sources.push(tree);
        }
    }
    sources
}

fn change_root<K: Kernel>(kernel: &mut K, root: Descriptor) -> Result<(), Fault> {
    kernel.change_directory_to(root).at(Call::ChangeDirectory)?;
    kernel.change_root(c".").at(Call::ChangeRoot)
}

/// Lets go of the host's tree.
pub(crate) fn leave_old<K: Kernel>(
    kernel: &mut K,
    old: Descriptor,
    root_change: RootChange,
) -> Result<(), Fault> {
    match root_change {
        RootChange::Pivot => {
            kernel.change_directory_to(old).at(Call::ChangeDirectory)?;
            kernel.unmount_detached(c".").at(Call::Unmount)?;
        }
        RootChange::Move => {
            // The old root lies below the new one for good; its windows into the kernel are taken away.
            kernel.change_directory_to(old).at(Call::ChangeDirectory)?;
            for window in [c"proc", c"sys"] {
                match kernel.unmount_detached(window) {
                    // Not a mount, or not there: nothing to take away.
                    Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
                    Err(errno) => return Err(Fault { call: Call::Unmount, errno }),
                }
            }
        }
        RootChange::Chroot | RootChange::Bind => {}
    }
    // The working directory is in the old tree now; the step that becomes the user enters the right one.
    Ok(())
}
