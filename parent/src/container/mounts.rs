//! Mounts in a container that exists. They are in its record, so that they can be taken away again, and nothing else is.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags};

use super::Container;
use super::exec::open_root;
use crate::config::{self, Basis, Config, Mount, MountKind, Namespace};
use crate::error::{Error, Kind, Result};
use crate::host::{HostFacts, Questions};
use crate::launch::{Entrance, Launch, Reactor, block_on};
use crate::plan::{self, Entry, Request, Store};
use crate::state::{AddedMount, Status};

/// Mounts what is in the list, which is JSON text as `$.mounts` of a config.json, all or nothing. Returns what should be said although all went well.
pub fn add_mounts(container: &mut Container, list: &[u8]) -> Result<Vec<String>> {
    let (mounts, warnings) = config::parse_mounts(list)?;
    for (index, mount) in mounts.iter().enumerate() {
        let (field, reason) = match mount.kind {
            MountKind::Cgroup { .. } => ("type", "cgroups are mounted when the container is created"),
            MountKind::Remount { .. } => ("options", "remount: that adds nothing which could be removed"),
            MountKind::Bind { .. } | MountKind::Filesystem { .. } => continue,
        };
        return Err(Error::new(format!("$.mounts[{index}].{field}: {reason}")));
    }
    let tree = Tree::open(container)?;
    let kept = container.record.added_mounts.len();
    for mount in mounts {
        if let Err(error) = add(container, &tree, mount) {
            return Err(take_back(container, &tree, kept, error));
        }
    }
    Ok(warnings)
}

/// Unmounts what is in the list, the last first.
///
/// Errors: something of it was not added by `add_mounts`, or is covered by another mount.
pub fn remove_mounts(container: &mut Container, list: &[u8]) -> Result<()> {
    let destinations = config::parse_destinations(list)?;
    let tree = Tree::open(container)?;
    let added = |container: &Container, destination: &str| {
        container.record.added_mounts.iter().rposition(|added| added.destination == destination)
    };
    for destination in &destinations {
        if added(container, destination).is_none() {
            return Err(Error::new(format!("{destination}: no mount was added there")));
        }
    }
    for destination in destinations.iter().rev() {
        // Named twice, it is gone already.
        if let Some(place) = added(container, destination) {
            remove(container, &tree, place)?;
        }
    }
    Ok(())
}

fn add(container: &mut Container, tree: &Tree, mount: Mount) -> Result<()> {
    let destination = mount.destination.clone();
    // In the record first: whatever ends us, `remove` knows of it.
    container.record.added_mounts.push(AddedMount { destination: destination.clone(), id: None });
    container.directory.write_record(&container.record)?;
    tree.carry_out(container, Change::Mount(mount))?;
    let id = tree.mount_at(&destination)?;
    if let Some(last) = container.record.added_mounts.last_mut() {
        last.id = Some(id);
    }
    container.directory.write_record(&container.record)
}

/// Takes the mounts away that lie behind the first `kept` in the record.
fn take_back(container: &mut Container, tree: &Tree, kept: usize, error: Error) -> Error {
    let mut error = error;
    // The one that failed is there in the record alone.
    container.record.added_mounts.pop_if(|last| last.id.is_none());
    while container.record.added_mounts.len() > kept {
        if let Err(left) = remove(container, tree, container.record.added_mounts.len() - 1) {
            error = error.with_warnings(vec![left.to_string()]);
            break;
        }
    }
    match container.directory.write_record(&container.record) {
        Ok(()) => error,
        Err(left) => error.with_warnings(vec![left.to_string()]),
    }
}

/// Unmounts what is at this place in the record. What the container itself has unmounted needs nothing more.
fn remove(container: &mut Container, tree: &Tree, place: usize) -> Result<()> {
    let AddedMount { destination, id } = container.record.added_mounts[place].clone();
    let is_there = match id {
        Some(id) if tree.mount_at(&destination).ok() == Some(id) => true,
        Some(id) if tree.has_mount(id)? => {
            return Err(Error::new(format!("{destination}: another mount covers what was added there")));
        }
        _ => false,
    };
    if is_there {
        tree.carry_out(container, Change::Unmount(&destination))?;
    }
    container.record.added_mounts.remove(place);
    container.directory.write_record(&container.record)
}

enum Change<'a> {
    Mount(Mount),
    Unmount(&'a str),
}

/// The container's file systems.
struct Tree {
    pid: i32,
    /// Its root, in its mount namespace.
    root: OwnedFd,
    basis: Basis,
}

impl Tree {
    /// Errors: there is no process in the container any more; its mount namespace is not its own.
    fn open(container: &Container) -> Result<Self> {
        let init = match container.status()? {
            Status::Created | Status::Running | Status::Paused => container.init.as_ref(),
            Status::Creating | Status::Stopped => None,
        };
        let init = init.ok_or_else(|| Error::of_kind(Kind::NotRunning, "container not running"))?;
        let mut basis: Basis = serde_json::from_slice(&init.basis)
            .map_err(|error| Error::new(format!("the container's process is not kept: {error}")))?;
        if basis.namespaces.mount != Namespace::New {
            return Err(Error::new("the container has no mount namespace of its own"));
        }
        // Nothing is executed.
        basis.process.args.clear();
        basis.process.env.clear();
        Ok(Self { pid: init.pid, root: open_root(init.pid)?, basis })
    }

    /// Has stage1 make the change from within.
    fn carry_out(&self, container: &Container, change: Change<'_>) -> Result<()> {
        let init = container.init_handle()?;
        let init = init.ok_or_else(|| Error::of_kind(Kind::NotRunning, "container not running"))?;
        let (mounts, unmounted) = match change {
            Change::Mount(mount) => (vec![mount], None),
            Change::Unmount(path) => (Vec::new(), Some(path)),
        };
        let config = Config { mounts, ..self.basis.clone().into_config() };
        let host = HostFacts::read_without_cgroups(Questions::default())?;
        let root = format!("/proc/{}/root", self.pid);
        let request = Request {
            config: &config,
            host: &host,
            filter: None,
            placement: &container.record.cgroups,
            root: &root,
            id: &container.id,
            bundle: &container.record.bundle,
            no_pivot: false,
            no_new_keyring: true,
            hold: false,
            preserved_count: 0,
            takes_notes: false,
            is_entered: true,
        };
        let store = Store::default();
        let entry = Entry { namespaces: &self.basis.namespaces, sends_root: true };
        let plan = match unmounted {
            None => plan::plan_mount(&request, &entry, &store)?,
            Some(path) => plan::plan_unmount(&request, &entry, path, &store)?,
        };
        let entrance =
            Entrance { init, cgroup: None, root: Some(self.root.as_fd()), processors: &[], notes: None };
        let mut launch = Launch::enter(&plan, entrance)?;
        let reactor = Reactor::default();
        // There is nothing to start: it ends with `launch`.
        block_on(&reactor, launch.ready(&reactor, &plan))
    }

    /// The number of the mount that a path of the container leads to.
    fn mount_at(&self, path: &str) -> Result<u64> {
        let failed = |errno| Error::call(format_args!("look at {path} in the container"), errno);
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let place = rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve).map_err(failed)?;
        let status =
            rustix::fs::statx(&place, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map_err(failed)?;
        Ok(status.stx_mnt_id)
    }

    /// Whether the container still has the mount of this number.
    fn has_mount(&self, id: u64) -> Result<bool> {
        let path = format!("/proc/{}/mountinfo", self.pid);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Error::io(format_args!("read {path}"), &error))?;
        let beginning = format!("{id} ");
        Ok(text.lines().any(|line| line.starts_with(&beginning)))
    }
}
