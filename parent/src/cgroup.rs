//! The container's cgroups: where they are, what they limit, and their end. Knows nothing of the protocol.
//!
//! Nobody here ever writes a pid to a cgroup file: that waits for a grace period of RCU, 9 to 10 ms on an idle host. On v2 the child is born
//! in its cgroup; on v1 it enters by itself, through descriptors that `populate` opens.

#![cfg_attr(not(feature = "systemd"), allow(dead_code, unused_imports))]

#[allow(unsafe_code)]
mod bpf;
mod devices;
mod directory;
mod enter;
mod files;
mod freezer;
mod hugetlb;
mod kill;
mod needs;
mod oom;
mod place;
mod rdma;
mod stats;
#[cfg(feature = "systemd")]
mod systemd;
#[cfg(not(feature = "systemd"))]
#[path = "cgroup/no_systemd.rs"]
mod systemd;
mod v1;
mod v2;
mod version;
mod writer;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

pub use directory::in_use;
use directory::{Deadline, clear, make, processes_below, refuse_frozen, refuse_used, remove};
pub use enter::{SubCgroups, WayIn};
pub use needs::{passed_over, unsupported};
pub use oom::{OomReason, OomWatch};
pub use place::{Directory, ManagerKind, Placement, View, place, place_nowhere, place_scope};
pub use stats::Stats;
pub use systemd::{SUPPORTED as SYSTEMD_SUPPORTED, ask as ask_systemd};
use version::{MemoryFiles, Setting};
use writer::{Undo, Writer};

use crate::config::{Memory, Resources};
use crate::descriptors::spend;
use crate::error::{Error, Result};

/// What making the cgroups did, for whoever takes them away again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Directories that were there before: they stay.
    kept: BTreeSet<String>,
    /// The cgroups that were in them, by their inode numbers: they stay as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    kept_below: BTreeMap<String, BTreeSet<u64>>,
    /// What was in the files of those, in the order of the changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kept_limits: Vec<Undo>,
    /// Missing parents that were made on the way, the outermost first: they go if nobody else uses them.
    parents: Vec<String>,
    /// Directories that this process has made, for a creation that fails on the way.
    #[serde(skip)]
    new: Vec<String>,
    /// systemd has made the scope: it is ours to end.
    #[serde(default)]
    has_scope: bool,
    /// Where the scope is, if that is not where it was thought to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved_to: Option<String>,
}

impl Made {
    fn has_made(&self, path: &str) -> bool {
        self.new.iter().any(|new| new == path)
    }

    fn note_parent(&mut self, path: String) {
        self.parents.push(path);
    }
}

/// The cgroups of one container.
#[derive(Debug)]
pub struct Cgroups {
    placement: Placement,
    made: Made,
    extent: Extent,
}

/// Which directories of a placement are the container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// All but those that `Made` keeps: the creation came to its end.
    Whole,
    /// Those that this process has made up to now.
    OwnWork,
    /// Those that bear the mark of our making: a creation was cut off, and nobody knows how far it had come.
    Marked,
}

/// What the child gets of its v1 cgroups, in the order of the hierarchies.
#[derive(Debug, Default)]
pub struct Doors {
    /// `tasks` files: by writing "0" it enters.
    tasks: Vec<OwnedFd>,
    /// Detached trees of the directories, for its own /sys/fs/cgroup.
    trees: Vec<OwnedFd>,
}

impl Doors {
    /// In the order of `Reply::Cgroups`: trees, then `tasks` files.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.trees.iter().chain(&self.tasks).map(AsFd::as_fd).collect()
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        [&mut self.tasks, &mut self.trees].into_iter().flat_map(std::mem::take).for_each(spend);
    }
}

/// The memory limit under which every container comes to its program's start (tests/tests/end_to_end/memory.rs holds it); bytes.
const MEMORY_TO_START: u64 = 512 << 10;

/// A change of limits.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// What is to be written.
    pub change: &'a Resources,
    /// What is in force then, and was before.
    pub all: &'a Resources,
    pub before: &'a Resources,
}

/// How long a directory may stay busy after its last process has ended.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

impl Cgroups {
    /// A handle to the cgroups of a container whose creation is done.
    pub fn open(mut placement: Placement, made: Made) -> Self {
        if let Some(path) = &made.moved_to {
            placement.move_to(path);
        }
        Self { placement, made, extent: Extent::Whole }
    }

    /// A handle for a creation; nothing is done yet.
    pub fn begin(placement: Placement) -> Self {
        Self { placement, made: Made::default(), extent: Extent::OwnWork }
    }

    /// A handle to what a creation has left that was cut off. No program of a container has run in it, so nobody in it is ours to kill.
    pub fn unfinished(placement: Placement) -> Self {
        Self { placement, made: Made::default(), extent: Extent::Marked }
    }

    /// Before the child exists: makes the v2 directory that it will be born in, if the host has one.
    ///
    /// Errors: a cgroup of that name is in use or frozen.
    pub fn prepare(&mut self) -> Result<Option<OwnedFd>> {
        if self.placement.scope().is_some() {
            return self.placement.all().try_for_each(refuse_used).map(|()| None);
        }
        let Some(directory) = &self.placement.unified else { return Ok(None) };
        make(directory, &mut self.made)?;
        if !self.placement.is_hybrid() {
            v2::enable_controllers(directory, &mut self.made)?;
        }
        files::open_directory(&directory.absolute()).map(Some)
    }

    /// Whether the child can be in a cgroup with a limit of memory before it has entered by itself.
    pub fn limits_before_entry(&self, resources: &Resources) -> bool {
        resources.limit_memory()
            && (self.placement.hierarchies.is_empty() || self.placement.scope().is_some())
    }

    /// While the child mounts: with systemd, asks it for the scope, with the child in it; the child must not look at its cgroups before.
    pub fn adopt(
        &mut self,
        child: Pid,
        resources: &Resources,
        annotations: &BTreeMap<String, String>,
    ) -> Result<()> {
        let Some(scope) = self.placement.scope() else { return Ok(()) };
        scope.start(child, resources, annotations)?;
        self.made.has_scope = true;
        self.made.new.extend(self.placement.all().map(Directory::absolute));
        // The kernel knows best where that is: another systemd than the host's first may have made it.
        let path = path_of(child, self.placement.hierarchies.is_empty())?;
        if !path.ends_with(&format!("/{}", scope.unit())) {
            return Err(Error::new(format!(
                "systemd has left container init in {path}, not in {}",
                scope.unit()
            )));
        }
        if !self.placement.is_at(&path) {
            self.placement.move_to(&path);
            self.made.new.extend(self.placement.all().map(Directory::absolute));
            self.made.moved_to = Some(path);
        }
        // Its slice may be, which nobody could ask before.
        self.placement.unified.as_ref().map_or(Ok(()), refuse_frozen)
    }

    /// While the child mounts: makes the v1 directories, writes all limits, and opens a `tasks` file of each v1 hierarchy; with `tree_count`,
    /// also trees of the directories, to be mounted in the container. `born_in` is what `prepare` has opened.
    pub fn populate(
        &mut self,
        resources: &Resources,
        tree_count: usize,
        born_in: Option<OwnedFd>,
    ) -> Result<Doors> {
        let resources = &*self.lasting(resources);
        let without_oom_control = self.oom_control_directory(resources).map(|_| {
            let memory = Memory { disable_oom_killer: None, ..resources.memory.clone() };
            Resources { memory, ..resources.clone() }
        });
        let oom_control = self.oom_control_directory(resources).map(Directory::absolute);
        let resources = without_oom_control.as_ref().unwrap_or(resources);
        let setting = Setting {
            has_manager: self.placement.scope().is_some(),
            made: &mut self.made,
            directory: born_in.as_ref().map(AsFd::as_fd),
        };
        let doors = self.placement.version().populate(setting, resources, tree_count)?;
        born_in.into_iter().for_each(spend);
        if let Some(path) = oom_control.filter(|path| self.made.kept.contains(path)) {
            // What `end_oom_kills` will change.
            let file = format!("{path}/memory.oom_control");
            if files::read(&file).is_ok_and(|text| text.starts_with("oom_kill_disable 0")) {
                self.made.kept_limits.push(Undo { file, lines: vec![String::from("0")] });
            }
        }
        Ok(doors)
    }

    /// When the start is done: from now on the kernel stops who finds no memory (`disableOOMKiller`). Before, a limit that is too low would stop
    /// stage1 for ever, with us waiting for it.
    pub fn end_oom_kills(&self, resources: &Resources) -> Result<()> {
        match self.oom_control_directory(resources) {
            Some(directory) => files::set(&directory.absolute(), "memory.oom_control", 1),
            None => Ok(()),
        }
    }

    /// Where v1 says that the kernel shall not kill, if it shall not.
    fn oom_control_directory(&self, resources: &Resources) -> Option<&Directory> {
        let mut hierarchies = self.placement.hierarchies.iter();
        hierarchies
            .find(|directory| resources.memory.disable_oom_killer == Some(true) && directory.has("memory"))
    }

    /// Gives the container's v2 cgroup to `uid` of the host, so that what manages cgroups inside can: the directory, and the files that
    /// the kernel lists for that. Limits stay ours.
    pub fn hand_over(&self, uid: u32) -> Result<()> {
        self.placement.version().hand_over(uid)
    }

    /// Gives the container the controllers that an update asks for, and takes out of it what engines repeat with each update and the container
    /// cannot have: JSON paths and reasons, to be told as warnings.
    pub fn allow_update(&self, asked: &mut Resources) -> Vec<(String, String)> {
        // Ignored: what is missing then is dropped here, or missed by the write of a limit.
        let _ = self.placement.version().allow_update(asked);
        needs::drop_unsupported(&self.placement, asked)
    }

    /// Changes the limits that `change` sets, and nothing else. `keep` comes last; whatever fails, the limits are as they were before.
    pub fn update(&self, update: Update<'_>, keep: impl FnOnce() -> Result<()>) -> Result<()> {
        let Update { change, all, before } = update;
        if self.placement.is_empty() && change.has_limits() {
            return Err(Error::new("the container has no cgroups: there are no limits to change"));
        }
        // Once systemd has been told, the kernel may already have killed.
        self.placement.version().check_update(change)?;
        let Some(scope) = self.placement.scope() else {
            return self.write_update(change, Writer::with_undo, keep);
        };
        // systemd writes all that it knows beside the change, rounded, and does not write everything back.
        let mut old = Vec::new();
        // Ignored: what cannot be read is missing for the update as well, and that says so.
        let _ = self.placement.version().limit(all, &Writer::only_reading, &mut old);
        let undoing = scope.update(change, all, before)?;
        let updated = self.write_update(&self.lasting(all), Writer::new, keep);
        if updated.is_err() {
            scope.undo_update(undoing);
            old.into_iter().rev().for_each(Writer::undo);
        }
        updated
    }

    /// The limits as they stay: systemd knows no limit of no processes, and would make it one when it reloads.
    fn lasting<'r>(&self, resources: &'r Resources) -> Cow<'r, Resources> {
        match (self.placement.scope(), resources.pids_limit) {
            (Some(_), Some(0)) => Cow::Owned(Resources { pids_limit: Some(1), ..resources.clone() }),
            _ => Cow::Borrowed(resources),
        }
    }

    fn write_update(
        &self,
        limits: &Resources,
        writer: impl Fn(String) -> Writer,
        keep: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut writers = Vec::new();
        let updated = self.placement.version().limit(limits, &writer, &mut writers).and_then(|()| keep());
        if updated.is_err() {
            writers.into_iter().rev().for_each(Writer::undo);
        } else if let Some(MemoryFiles { path, is_v2: false, .. }) = self.placement.version().memory() {
            oom::forget_older_peaks(&path);
        }
        updated
    }

    /// What has been made up to now.
    pub fn made(&self) -> Made {
        self.made.clone()
    }

    /// Takes away what was made. Directories that are gone already are no error.
    ///
    /// Errors: a directory stays busy; the message says who is in it.
    pub fn destroy(&self) -> Result<()> {
        match self.placement.scope() {
            Some(scope) if self.made.has_scope => {
                let stopped = scope.stop();
                // systemd lets go of a scope that is empty, also without being told; only what stays is worth an error.
                self.remove_all().map_err(|error| match stopped {
                    Ok(()) => error,
                    Err(stop_error) => stop_error.context(error),
                })
            }
            Some(scope) if self.extent == Extent::Marked => {
                let stopped = scope.stop_left_over(BUSY_TIMEOUT);
                self.remove_all()?;
                // Without an answer from systemd, what is to be seen decides.
                let is_there =
                    |directory: &Directory| files::try_open_directory(&directory.absolute()).is_ok();
                if self.placement.all().any(is_there) { stopped } else { Ok(()) }
            }
            // A scope that was never made, or by somebody else, leaves at most what we made beside it.
            _ => self.remove_all(),
        }
    }

    fn remove_all(&self) -> Result<()> {
        let deadline = Deadline::default();
        // One that stays must not keep the others.
        let mut first_error = Ok(());
        for path in self.placement.all().map(Directory::absolute).filter(|path| self.is_ours(path)) {
            // Without a program there was nobody to make cgroups below.
            let removed = remove(&path, &deadline, self.extent != Extent::Marked);
            first_error = first_error.and(removed);
        }
        if self.extent != Extent::Marked {
            first_error = first_error.and(self.give_back(&deadline));
        }
        for parent in self.parents_made().iter().rev() {
            // Ignored: others use it, or took it away.
            let _ = rustix::fs::rmdir(parent.as_str());
        }
        first_error
    }

    /// Leaves the directories that were there before as they were: without what the container has made in them, and with their own limits.
    fn give_back(&self, deadline: &Deadline) -> Result<()> {
        let nothing = BTreeSet::new();
        let mut first_error = Ok(());
        for path in &self.made.kept {
            let stays = self.made.kept_below.get(path).unwrap_or(&nothing);
            first_error = first_error.and(clear(path, stays, deadline));
        }
        writer::undo(&self.made.kept_limits);
        let unified = self.placement.unified.iter().map(Directory::absolute);
        for path in unified.filter(|path| self.made.kept.contains(path)) {
            let file = format!("{path}/cgroup.subtree_control");
            for name in files::read(&file).unwrap_or_default().split_whitespace() {
                // It was empty, or nobody could have been born there. Ignored: what stays in there, and keeps it, is told above.
                let _ = files::write(&file, &format!("-{name}"));
            }
            // Ignored: who may not take it away has not put it there.
            let _ = bpf::detach_device_policies(&path);
        }
        first_error
    }

    /// Whether a directory of the placement goes with the container.
    fn is_ours(&self, path: &str) -> bool {
        match self.extent {
            Extent::Whole => !self.made.kept.contains(path),
            Extent::OwnWork => self.made.has_made(path),
            Extent::Marked => files::has_mark(path),
        }
    }

    fn parents_made(&self) -> Vec<String> {
        if self.extent != Extent::Marked {
            return self.made.parents.clone();
        }
        self.placement.all().flat_map(Directory::parents).filter(|path| files::has_mark(path)).collect()
    }

    /// What the container uses, and has used.
    pub fn stats(&self) -> Stats {
        self.placement.version().stats()
    }

    /// Tells from now on when the kernel kills for want of memory; `None` where nobody limits memory.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        self.placement.version().watch_oom()
    }

    /// Sends a signal number to every process in the container's cgroups; the pids are those that are known to have got it.
    pub fn kill(&self, signal: i32) -> Result<BTreeSet<i32>> {
        if self.extent == Extent::Marked {
            return Ok(BTreeSet::new());
        }
        self.freezer().map_or(Ok(BTreeSet::new()), |directory| kill::signal_all(directory, signal))
    }

    /// Kills every process in the container's cgroups.
    pub fn kill_all(&self) -> Result<()> {
        self.kill(Signal::KILL.as_raw()).map(drop)
    }

    /// How many processes the kernel has killed in the container for want of memory.
    pub fn oom_kill_count(&self) -> Option<u64> {
        let MemoryFiles { path, events, .. } = self.placement.version().memory()?;
        stats::parse_names(&files::read(&format!("{path}/{events}")).ok()?).get("oom_kill").copied()
    }

    /// The figures, if the kernel has killed in the container for want of memory since it had killed so many.
    pub fn out_of_memory_since(&self, killed_before: u64, resources: &Resources) -> Option<String> {
        let MemoryFiles { path, is_v2, limit, peak, .. } = self.placement.version().memory()?;
        if self.extent == Extent::OwnWork && !self.made.has_made(&path) {
            // Whoever has made it may have run out of memory in it.
            return None;
        }
        let [limit, peak] =
            [limit, peak].map(|file| files::read(&format!("{path}/{file}")).unwrap_or_default());
        let peak = peak.trim_end();
        // The kernel's own is in whole pages.
        let configured = resources.memory.limit.filter(|limit| *limit > 0).map(|limit| limit.to_string());
        let limit = configured.unwrap_or_else(|| limit.trim_end().to_owned());
        let is_own = oom::has_reached_own_limit(&path, is_v2);
        // The last to be read: systemd takes away all of them when nobody is left in the scope.
        let killed = self.oom_kill_count()?.checked_sub(killed_before).filter(|killed| *killed > 0)?;
        if !is_own {
            return Some(format!(
                "out of memory in a cgroup above {path}, or on the host: peak usage {peak}, processes killed: {killed}"
            ));
        }
        Some(format!(
            "out of memory: limit {limit}, peak usage {peak}, processes killed: {killed}; \
             {MEMORY_TO_START} is enough to come to the program's start"
        ))
    }

    /// Whether the limit is one under which the kernel may kill before, or just when, the program begins.
    pub fn has_little_memory(&self, resources: &Resources) -> bool {
        let limit = resources.memory.limit.and_then(|limit| u64::try_from(limit).ok());
        limit.is_some_and(|limit| limit < MEMORY_TO_START) && !self.placement.is_empty()
    }

    /// What the limit lets one suppose where a creation has failed and systemd was quicker: it has taken the scope away, and the figures with it.
    pub fn perhaps_out_of_memory(&self, resources: &Resources) -> Option<String> {
        let limit = resources.memory.limit.filter(|_| self.has_little_memory(resources))?;
        let path = self.placement.version().memory()?.path;
        let is_gone = self.made.has_scope && files::try_open_directory(&path).is_err();
        is_gone.then(|| {
            format!("out of memory, it seems: limit {limit}; {MEMORY_TO_START} is enough to come to the program's start")
        })
    }

    /// The pids in the container's cgroups and below.
    pub fn processes(&self) -> Vec<i32> {
        self.freezer().map(|directory| processes_below(&directory.absolute())).unwrap_or_default()
    }

    /// Whether the processes are stopped by the freezer.
    pub fn is_frozen(&self) -> bool {
        self.freezer().is_some_and(freezer::is_frozen)
    }

    /// Lets frozen processes go on, also those that the container has frozen itself, so that they can end.
    pub fn thaw(&self) {
        if let Some(directory) = self.freezer() {
            freezer::release(directory);
        }
    }

    /// Stops every process, and returns when all have stopped; where that fails, all go on.
    pub fn pause(&self) -> Result<()> {
        freezer::freeze(self.real_freezer()?)
    }

    /// Lets every process go on.
    pub fn resume(&self) -> Result<()> {
        freezer::thaw(self.real_freezer()?)
    }

    /// The cgroup above that keeps the container's frozen, in which v1's processes do not die.
    pub fn frozen_above(&self) -> Option<String> {
        self.freezer().and_then(freezer::frozen_above)
    }

    fn real_freezer(&self) -> Result<&Directory> {
        self.freezer().filter(|directory| directory.is_unified() || directory.has("freezer")).ok_or_else(
            || match self.placement.is_empty() {
                true => Error::new("the container has no cgroups that could be frozen"),
                false => Error::new("the host has no cgroup controller freezer"),
            },
        )
    }

    /// The hierarchy that can freeze: v1's own, or the unified one.
    fn freezer(&self) -> Option<&Directory> {
        let v1 = self.placement.hierarchies.iter();
        let freezer = v1.clone().find(|directory| directory.has("freezer"));
        freezer.or(self.placement.unified.as_ref()).or_else(|| v1.into_iter().next())
    }
}

/// A process's cgroup as the kernel tells it: in the unified hierarchy, or in systemd's own of v1.
fn path_of(pid: Pid, is_unified: bool) -> Result<String> {
    let file = format!("/proc/{}/cgroup", pid.as_raw_pid());
    let text = files::read(&file).map_err(|errno| Error::call(format_args!("read {file}"), errno))?;
    let wanted = if is_unified { "" } else { "name=systemd" };
    let found = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        (fields.next() == Some(wanted)).then(|| fields.next()).flatten()
    });
    found.map(str::to_owned).ok_or_else(|| Error::new(format!("{file} does not tell systemd's hierarchy")))
}
