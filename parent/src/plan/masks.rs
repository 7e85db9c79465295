//! Paths that the container must not change, or not see: after the mounts, since one placed later would uncover them. What is the kernel's own,
//! and no waiting mount touches, need not wait with it: stage1 has these done while the parent still works.

use linux_raw_sys::general::MOUNT_ATTR_RDONLY;
use shared_proto::{Attributes, Phase, Step};

use super::{Draft, Places, Request, devices, lies_in, lsm, mounts};
use crate::config::{Mount, MountKind};

pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>, places: &Places<'a>) {
    let config = request.config;
    if config.process.cwd != "/" {
        // runc makes a missing working directory; the root may be read-only later.
        draft.push(places.final_phase(), Step::MakeDirectory { path: &config.process.cwd });
    }
    for mount in config.mounts.iter().filter(|mount| mounts::is_readonly_late(mount)) {
        let attributes = Attributes { set: MOUNT_ATTR_RDONLY, clear: 0 };
        let path = mount.destination.as_str();
        draft.push(places.final_phase(), Step::SetMountAttributes { path, recursive: false, attributes });
    }
    for path in &config.readonly_paths {
        let has_others = config.readonly_paths.iter().any(|other| other != path && lies_in(other, path));
        let phase = places.cover_phase(path);
        // A late one may lie over what was covered early.
        let recursive = phase != Phase::Mounts || has_others || !has_procfs_alone(request, path);
        draft.push(phase, Step::ReadonlyPath { path, recursive });
    }
    // A masked file is covered with the container's null device, which must be there.
    let earliest = devices::phase_of_null(request, places);
    let data = lsm::labelled(draft, request, "tmpfs", "");
    for path in &config.masked_paths {
        draft.push(places.cover_phase(path).max(earliest), Step::MaskPath { path, data });
    }
}

/// Whether the path lies in a new procfs, and no other mount has to do with it: there is none below it.
fn has_procfs_alone(request: &Request<'_>, path: &str) -> bool {
    let touches = |mount: &&Mount| lies_in(path, &mount.destination) || lies_in(&mount.destination, path);
    let mut mounts = request.config.mounts.iter().filter(touches);
    match (mounts.next(), mounts.next()) {
        (Some(Mount { kind: MountKind::Filesystem { fstype, .. }, .. }), None) => fstype == "proc",
        _ => false,
    }
}
