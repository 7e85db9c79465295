//! The two versions of the kernel's cgroups behind one trait: what limits a container, and tells of it. Who makes the directories is another
//! question (`place.rs`: we, or systemd), and how a process gets into them a third (`enter.rs`).

use std::os::fd::BorrowedFd;

use super::place::{Directory, Placement};
use super::writer::Writer;
use super::{Doors, Made, OomWatch, Stats};
use crate::config::Resources;
use crate::error::Result;

/// The cgroups that limit a container.
pub(super) trait Version {
    /// While the child mounts: makes what is missing, writes all limits, and opens what the child needs: what it enters by, and so many trees for its
    /// own view.
    fn populate(&self, setting: Setting<'_>, resources: &Resources, tree_count: usize) -> Result<Doors>;

    /// Before a change of limits: gives the container the controllers that it has not needed so far.
    fn allow_update(&self, change: &Resources) -> Result<()>;

    /// What can be said of a change of limits before anything is written.
    fn check_update(&self, change: &Resources) -> Result<()>;

    /// Has a writer of each directory write the limits that belong there. All writers are in `writers` afterwards, whatever failed.
    fn limit(
        &self,
        limits: &Resources,
        writer: &dyn Fn(String) -> Writer,
        writers: &mut Vec<Writer>,
    ) -> Result<()>;

    /// Gives to `uid` of the host what manages cgroups inside, if that can be given. Limits stay ours.
    fn hand_over(&self, uid: u32) -> Result<()>;

    /// What the container uses, and has used.
    fn stats(&self) -> Stats;

    /// Tells from now on when the kernel kills for want of memory; `None` where nobody limits memory.
    fn watch_oom(&self) -> Result<Option<OomWatch>>;

    /// Where memory is limited.
    fn memory(&self) -> Option<MemoryFiles>;
}

/// How the directories come into being.
pub(super) struct Setting<'a> {
    pub(super) made: &'a mut Made,
    /// v2's, if it is open already.
    pub(super) directory: Option<BorrowedFd<'a>>,
    /// systemd makes those that it uses itself.
    pub(super) has_manager: bool,
}

/// Files of a cgroup that limits memory, in `path`.
pub(super) struct MemoryFiles {
    pub(super) path: String,
    pub(super) is_v2: bool,
    /// What has happened, the limit, and the most that was used.
    pub(super) events: &'static str,
    pub(super) limit: &'static str,
    pub(super) peak: &'static str,
}

/// v1's hierarchies; none at all where the container has no cgroups.
pub(super) struct V1<'a>(pub(super) &'a [Directory]);

/// The one directory of v2.
pub(super) struct V2<'a>(pub(super) &'a Directory);

impl Placement {
    /// What limits the container. Beside v1 a v2 hierarchy has no controllers.
    pub(super) fn version(&self) -> Box<dyn Version + '_> {
        match &self.unified {
            Some(unified) if !self.is_hybrid() => Box::new(V2(unified)),
            _ => Box::new(V1(&self.hierarchies)),
        }
    }
}
