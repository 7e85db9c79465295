//! What the plan has early, and must wait all the same.
//!
//! Devices, links, masks and read-only paths come before the joins, while the parent works, where the paths' texts say that no later mount can have to do
//! with them. An image's symlink can make another path of any: where one leads a mount elsewhere, they wait until the last mount is there. Nothing is
//! done twice, since what is covered already would be in the way, and the host would get a second copy in a shared volume.

use core::ffi::CStr;

use shared_proto::bootstrap::PhasedStep;
use shared_proto::{BindOrigin, Phase, Step, View, Wire};

use crate::kernel::{Descriptor, Errno, Kernel, Open, Resolve};
use crate::paths;
use crate::steps::is_strict;

/// Whether a step completes what mounts have brought.
pub(crate) fn can_wait(phased: &PhasedStep<Wire<'_>>) -> bool {
    let completes = matches!(
        phased.step,
        Step::MakeDevice { .. }
            | Step::MakeSymlink { exact: false, .. }
            | Step::MaskPath { .. }
            | Step::ReadonlyPath { .. }
    );
    phased.phase == Phase::Mounts && completes
}

/// The last mount behind the joins.
pub(crate) fn last_mount(view: &View<'static>) -> Option<u32> {
    let mut last = None;
    any_late(view, &mut |index, step| {
        if let Step::MountFilesystem { .. } | Step::BindMount { .. } = step {
            last = Some(index);
        }
        false
    });
    last
}

/// Whether a symlink is on the way to a mount that is still to come. What lies in a filesystem that comes with the same steps is looked for in vain: the
/// plan has nothing early where that could bring symlinks.
pub(crate) fn will_be_led<K: Kernel>(kernel: &mut K, root: Descriptor, view: &View<'static>) -> bool {
    any_late(view, &mut |index, step| {
        let Some((path, open)) = target(step) else { return false };
        let is_covered = any_late(view, &mut |earlier, step| match step {
            Step::MountFilesystem { target, copies_up: false, .. } => {
                earlier < index && paths::lies_in(path, target)
            }
            _ => false,
        });
        !is_covered && kernel.open(root, path, open, Resolve::InRootNoSymlinks) == Err(Errno::LOOP)
    })
}

/// Whether this is so of a step behind the joins. (One loop for all: each would have the code that reads a step once more.)
fn any_late(view: &View<'static>, is_so: &mut dyn FnMut(u32, &Step<Wire<'static>>) -> bool) -> bool {
    view.steps_in(Phase::Views).any(|(index, phased)| is_so(index, &phased.step))
}

/// Where a step mounts, if a symlink may lead there.
fn target(step: &Step<Wire<'static>>) -> Option<(&'static CStr, Open)> {
    match *step {
        Step::MountFilesystem { fstype, target, .. } if !is_strict(fstype) => Some((target, Open::Path)),
        // Those of the parent lie in a filesystem of the plan's.
        Step::BindMount { origin: BindOrigin::Parent, .. } => None,
        Step::BindMount { target, nofollow, .. } => Some((target, Open::place(nofollow.target))),
        _ => None,
    }
}
