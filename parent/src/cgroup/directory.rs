//! Cgroups as directories: making them, and taking them away.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::place::{Directory, Placement};
use super::{BUSY_TIMEOUT, Made, files, freezer, v1};
use crate::error::{Error, Result};

/// Makes a directory with its parents; one that is there already must be empty and thawed.
pub(super) fn make(directory: &Directory, made: &mut Made) -> Result<()> {
    let path = directory.absolute();
    let mut tried = files::make_directory(&path);
    if tried == Err(Errno::NOENT) {
        make_parents(directory, made)?;
        tried = files::make_directory(&path);
    }
    match tried {
        Ok(()) => {
            made.new.push(path);
            // It is born frozen where one above it is, which the hierarchy's root cannot be.
            if directory.parents().next().is_some() { refuse_frozen(directory) } else { Ok(()) }
        }
        Err(Errno::NOTDIR) => Err(no_directory(&path)),
        Err(Errno::EXIST) if is_file(&path) => Err(no_directory(&path)),
        Err(Errno::EXIST) => {
            let below = files::inodes_below(&path);
            if !below.is_empty() {
                made.kept_below.insert(path.clone(), below);
            }
            made.kept.insert(path);
            refuse_used(directory)
        }
        Err(errno) => Err(Error::call(format_args!("mkdir {path}"), errno)),
    }
}

/// Errors: somebody is in it, or it is frozen, and the child would never come to its start.
pub(super) fn refuse_used(directory: &Directory) -> Result<()> {
    whose(directory).map_or(Ok(()), |reason| Err(Error::new(reason)))
}

/// Why a cgroup that is there cannot be the container's.
fn whose(directory: &Directory) -> Option<String> {
    let path = directory.absolute();
    if is_file(&path) {
        return Some(format!("{path} is, or lies below, a file of the kernel's"));
    }
    let inside = processes_below(&path);
    if !inside.is_empty() {
        return Some(format!("container's cgroup is not empty: {path} has processes {inside:?}"));
    }
    frozen(directory)
}

fn is_file(path: &str) -> bool {
    files::try_open_directory(path).is_err_and(|errno| errno == Errno::NOTDIR)
}

fn no_directory(path: &str) -> Error {
    Error::call(format_args!("mkdir {path}"), Errno::NOTDIR).context("$.linux.cgroupsPath")
}

pub(super) fn refuse_frozen(directory: &Directory) -> Result<()> {
    frozen(directory).map_or(Ok(()), |reason| Err(Error::new(reason)))
}

fn frozen(directory: &Directory) -> Option<String> {
    let has_freezer = directory.is_unified() || directory.has("freezer");
    (has_freezer && freezer::is_frozen(directory))
        .then(|| format!("container's cgroup unexpectedly frozen: {}", directory.absolute()))
}

/// Why the container's cgroups cannot be its own: somebody is in them. Nothing is made.
pub fn in_use(placement: &Placement) -> Option<String> {
    placement.all().find_map(whose)
}

/// Makes a directory with its parents, unless it is there; returns whether it was not.
pub(super) fn make_beside(directory: &Directory, made: &mut Made) -> Result<bool> {
    let path = directory.absolute();
    match files::make_directory(&path) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(Errno::NOENT) => {
            make_parents(directory, made)?;
            let made = files::make_directory(&path).map(|()| true);
            made.map_err(|errno| Error::call(format_args!("mkdir {path}"), errno))
        }
        Err(errno) => Err(Error::call(format_args!("mkdir {path}"), errno)),
    }
}

/// Makes the parents that are missing, the outermost first. v1's cpuset gives nothing to a new directory, so it is filled on the way.
fn make_parents(directory: &Directory, made: &mut Made) -> Result<()> {
    for parent in directory.parents() {
        match files::make_directory(&parent) {
            Ok(()) => made.note_parent(parent.clone()),
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(Error::call(format_args!("mkdir {parent}"), errno)),
        }
        if directory.has("cpuset") {
            v1::fill_cpuset(&parent, true)?;
        }
    }
    Ok(())
}

/// The end of [`BUSY_TIMEOUT`], which begins when something is busy: most that is removed is not, and then nobody asks for the time.
#[derive(Debug, Default)]
pub(super) struct Deadline(OnceCell<Instant>);

impl Deadline {
    fn has_passed(&self) -> bool {
        let now = Instant::now();
        now >= *self.0.get_or_init(|| now + BUSY_TIMEOUT)
    }
}

/// Removes a cgroup; with `below` also the cgroups that the container made below it.
pub(super) fn remove(path: &str, deadline: &Deadline, below: bool) -> Result<()> {
    let mut pause = Duration::from_millis(1);
    loop {
        match rustix::fs::rmdir(path) {
            // Not there, or nothing that could have been made: a path through one of the kernel's files.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(Errno::BUSY | Errno::NOTEMPTY) => {}
            Err(errno) => return Err(Error::call(format_args!("rmdir {path}"), errno)),
        }
        let mut has_removed = false;
        if below {
            // One that stays is busy for a moment, like its parents.
            files::visit_below(path, |parent, name| {
                has_removed |= rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).is_ok();
            });
        }
        if deadline.has_passed() {
            return Err(busy(path));
        }
        if has_removed {
            continue;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Removes the cgroups below one, but for those whose inodes are in `stays`.
pub(super) fn clear(path: &str, stays: &BTreeSet<u64>, deadline: &Deadline) -> Result<()> {
    let mut pause = Duration::from_millis(1);
    loop {
        let mut is_done = true;
        files::visit_below(path, |parent, name| {
            let is_ours = files::inode(parent, name).is_some_and(|inode| !stays.contains(&inode));
            is_done &= !is_ours || rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).is_ok();
        });
        if is_done {
            return Ok(());
        }
        if deadline.has_passed() {
            return Err(busy(path));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

fn busy(path: &str) -> Error {
    let inside = processes_below(path);
    Error::new(format!("unable to remove cgroup {path}: busy; processes in it: {inside:?}"))
}

pub(super) fn processes_below(path: &str) -> Vec<i32> {
    let parse = |text: String| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<i32>>();
    let mut pids = parse(files::read(&format!("{path}/cgroup.procs")).unwrap_or_default());
    files::visit_below(path, |parent, name| {
        let own = files::read_at(parent, &format!("{name}/cgroup.procs"));
        pids.extend(parse(own.unwrap_or_default()));
    });
    pids
}
