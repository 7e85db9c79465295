//! One more mount, or one less, in a container that exists.

use linux_raw_sys::general as uapi;
use shared_proto::bootstrap::Bootstrap;
use shared_proto::{Attributes, Phase, Planned, Step};

use super::exec::{bootstrap, enter};
use super::{Draft, Entry, Plan, Request, Store, mounts};
use crate::error::Result;

/// One more mount in a container: the request's configuration has it, and no program. Paths of the container are looked up in `entry`'s root, which
/// has to be sent, since mounting changes the working directory.
pub fn plan_mount<'a>(request: &Request<'a>, entry: &Entry<'a>, store: &'a Store) -> Result<Plan<'a>> {
    let mut draft = Draft { steps: Vec::with_capacity(2), sent: Vec::new(), store };
    mounts::plan(&mut draft, request)?;
    for mount in request.config.mounts.iter().filter(|mount| mounts::is_readonly_late(mount)) {
        let attributes = Attributes { set: uapi::MOUNT_ATTR_RDONLY, clear: 0 };
        let path = mount.destination.as_str();
        draft.push(Phase::Mounts, Step::SetMountAttributes { path, recursive: false, attributes });
    }
    enter(request, draft, outside(request, entry))
}

/// The top mount at `path` less, if it has this number.
pub fn plan_unmount<'a>(
    request: &Request<'a>,
    entry: &Entry<'a>,
    (path, mount): (&'a str, u64),
    store: &'a Store,
) -> Result<Plan<'a>> {
    let mut draft = Draft { steps: Vec::with_capacity(1), sent: Vec::new(), store };
    draft.push(Phase::Mounts, Step::Unmount { path, mount });
    enter(request, draft, outside(request, entry))
}

/// stage1 mounts and is gone: the container's limits are none of its business, and nobody in its pid namespace is to meet stage1, which has trees
/// of the host open.
fn outside<'a>(request: &Request<'a>, entry: &Entry<'a>) -> Bootstrap<Planned<'a>> {
    let bootstrap = bootstrap(request, entry);
    let joined = bootstrap.joined & !uapi::CLONE_NEWPID;
    Bootstrap { await_cgroups: false, born_late: false, reports_ready: true, joined, ..bootstrap }
}
