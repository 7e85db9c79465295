//! What a start walks or writes: mounts, processes, and the directory of states.

use std::path::Path;

use rustix::fs::Access;

use super::{Mounts, Symptom};
use crate::host::is_in_memory;
use crate::state::StateRoot;

pub(super) struct Facts {
    mount_count: usize,
    /// A chroot need not be one.
    is_root_mounted: bool,
    /// Processes and threads of the whole host, or of the pid namespace that we see.
    task_count: u64,
    /// The directory of states, or the innermost parent of it that is there; whether it lies in memory, and may be written.
    root: Option<Root>,
}

#[derive(Clone, Debug)]
struct Root {
    path: String,
    is_in_memory: bool,
    obstacle: Option<Obstacle>,
}

/// Why no state can be made there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    /// Something of the path is no directory.
    NoDirectory,
    /// Only the kernel makes directories there.
    KernelsOwn,
    NotOurs,
}

impl Facts {
    pub(super) fn read(root: Option<&StateRoot>, mounts: &Mounts) -> Self {
        Self {
            mount_count: mounts.0.len(),
            is_root_mounted: mounts.0.iter().any(|mount| mount.point == "/"),
            task_count: task_count(&std::fs::read_to_string("/proc/loadavg").unwrap_or_default())
                .unwrap_or(0),
            root: root.map(|root| Root::read(root.path())),
        }
    }
}

impl Root {
    fn read(path: &Path) -> Self {
        /// proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs: linux/magic.h.
        const KERNELS_OWN: [u64; 7] =
            [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673];
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let there = absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let fstype = rustix::fs::statfs(there).map_or(0, |statfs| statfs.f_type as u64);
        let may_write = || rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK).is_ok();
        let obstacle = if !there.is_dir() {
            Some(Obstacle::NoDirectory)
        } else if KERNELS_OWN.contains(&fstype) {
            Some(Obstacle::KernelsOwn)
        } else {
            (!may_write()).then_some(Obstacle::NotOurs)
        };
        Self { path: absolute.display().to_string(), is_in_memory: is_in_memory(fstype), obstacle }
    }
}

impl Obstacle {
    fn words(self, path: &str) -> String {
        match self {
            Self::NoDirectory => format!("{path} is not a directory, or lies in what is none"),
            Self::KernelsOwn => format!("{path} lies where only the kernel makes files"),
            Self::NotOurs => format!("we may not write {path}"),
        }
    }
}

/// `0.10 0.20 0.30 2/345 6789`: of the fourth field what is behind the slash (proc_loadavg(5)).
fn task_count(loadavg: &str) -> Option<u64> {
    loadavg.split(' ').nth(3)?.split_once('/')?.1.parse().ok()
}

/// A start copies its mount namespace: at this many that is felt.
const MOUNTS_MANY: usize = 500;
/// pivot_root looks at every task: at this many that is felt.
const TASKS_MANY: u64 = 1000;

pub(super) fn judge(facts: &Facts) -> Vec<Symptom> {
    let root = (!facts.is_root_mounted).then(|| {
        Symptom::missing("mounts", "our root is no mount point: we are in a chroot")
            .meaning("no container starts: the kernel changes a mount namespace from its mounts' roots alone")
            .advice("mount --bind DIR DIR before chroot DIR")
            .preventing_starts(true)
    });
    let others = [mounts(facts.mount_count), tasks(facts.task_count), states(facts.root.as_ref())];
    root.into_iter().chain(others).collect()
}

fn mounts(count: usize) -> Symptom {
    let found = format!("{count} in our mount namespace");
    if count < MOUNTS_MANY {
        return Symptom::ok("mounts", found);
    }
    Symptom::slow("mounts", found)
        .meaning("every start copies them all, and takes the copies away")
        .advice("start pinnace in a mount namespace without those that containers do not need")
}

fn tasks(count: u64) -> Symptom {
    let found = format!("{count} processes and threads");
    if count < TASKS_MANY {
        return Symptom::ok("tasks", found);
    }
    Symptom::slow("tasks", found).meaning(
        "pivot_root looks at every one of them: at 1,000 it takes some 0.5 ms, and grows with their number",
    )
}

fn states(root: Option<&Root>) -> Symptom {
    const SUBJECT: &str = "state";
    match root {
        None => Symptom::missing(SUBJECT, "there is no place for it: XDG_RUNTIME_DIR is not set")
            .meaning("no container starts")
            .advice("a login session sets it; or name a directory with --root")
            .preventing_starts(true),
        Some(Root { path, obstacle: Some(obstacle), .. }) => Symptom::missing(SUBJECT, obstacle.words(path))
            .meaning("no container starts")
            .advice("name a directory of ours with --root")
            .preventing_starts(true),
        Some(Root { path, is_in_memory: false, .. }) => Symptom::slow(SUBJECT, format!("{path} is not in memory"))
            .meaning("a disk's journal is written at every start and deletion, and what a reboot has ended stays listed")
            .advice("a tmpfs there, or another --root"),
        Some(Root { path, .. }) => Symptom::ok(SUBJECT, format!("{path} is in memory")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_chroot_that_is_no_mount_point_starts_nothing() {
        let facts = |is_root_mounted| Facts { mount_count: 3, is_root_mounted, task_count: 3, root: None };
        let prevents = |is_root_mounted| {
            judge(&facts(is_root_mounted)).iter().any(|each| each.subject == "mounts" && each.prevents_starts)
        };
        assert!(prevents(false) && !prevents(true));
    }

    #[test]
    fn what_starts_walk_is_counted() {
        assert_eq!(mounts(30).level, Level::Ok);
        assert_eq!(mounts(MOUNTS_MANY).level, Level::Slow);
        assert_eq!(tasks(TASKS_MANY).level, Level::Slow);
        assert_eq!(task_count("0.10 0.20 0.30 2/345 6789\n"), Some(345));
        assert_eq!(task_count(""), None);
    }

    #[test]
    fn a_state_directory_is_best_in_memory_and_must_be_ours() {
        let root = |is_in_memory, is_writable: bool| Root {
            path: String::from("/run/x"),
            is_in_memory,
            obstacle: (!is_writable).then_some(Obstacle::NotOurs),
        };
        let judged = |root: Option<Root>| {
            let symptom = states(root.as_ref());
            (symptom.level, symptom.prevents_starts)
        };
        assert_eq!(judged(Some(root(true, true))), (Level::Ok, false));
        assert_eq!(judged(Some(root(false, true))), (Level::Slow, false));
        assert_eq!(judged(Some(root(true, false))), (Level::Missing, true));
        assert_eq!(judged(None), (Level::Missing, true));
        for (path, obstacle) in [
            ("/etc/passwd", Obstacle::NoDirectory),
            ("/etc/passwd/x/y", Obstacle::NoDirectory),
            ("/proc/nope", Obstacle::KernelsOwn),
        ] {
            assert_eq!(Root::read(Path::new(path)).obstacle, Some(obstacle), "{path}");
        }
    }
}
