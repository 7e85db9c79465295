//! Mounts in a container that exists. They are in its record, so that they can be taken away again, and nothing else is.

use std::os::fd::{AsFd, OwnedFd};

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
            // From outside of its pid namespace it would be the host's.
            MountKind::Filesystem { ref fstype, .. } if fstype == "proc" => {
                ("type", "proc is mounted when the container is created")
            }
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
    let before = tree.mounts()?;
    let covered = before.iter().rfind(|mounted| mounted.point == destination).map(|mounted| mounted.id);
    // In the record first: whatever ends us, `remove` knows of it.
    container.record.added_mounts.push(AddedMount {
        destination: destination.clone(),
        id: None,
        device: String::new(),
        covered,
    });
    container.directory.write_record(&container.record)?;
    if let Err(error) = tree.carry_out(container, Change::Mount(mount)) {
        container.record.added_mounts.pop();
        return Err(error);
    }
    // Its number is not to be had by the path, which the container may have led elsewhere by now. A tree is there by its top.
    let is_new = |id: u64| before.iter().all(|mounted| mounted.id != id);
    let after = tree.mounts()?;
    let tops = after.iter().filter(|mounted| is_new(mounted.id) && !is_new(mounted.parent));
    let mut tops: Vec<&Mounted> = tops.collect();
    if tops.len() > 1 {
        // Others mount as well, or its peers have got it too.
        tops.retain(|mounted| mounted.point == destination);
    }
    let [top] = tops.as_slice() else {
        return Err(Error::new(format!(
            "{destination}: it cannot be told from other mounts that were made just now"
        )));
    };
    if let Some(last) = container.record.added_mounts.last_mut() {
        last.id = Some(top.id);
        last.device.clone_from(&top.device);
    }
    container.directory.write_record(&container.record)
}

/// Takes the mounts away that lie behind the first `kept` in the record.
fn take_back(container: &mut Container, tree: &Tree, kept: usize, error: Error) -> Error {
    let mut error = error;
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

/// Unmounts what is at this place in the record, wherever it is by now. What the container itself has unmounted needs nothing more.
fn remove(container: &mut Container, tree: &Tree, place: usize) -> Result<()> {
    let AddedMount { destination, id, device, covered } = container.record.added_mounts[place].clone();
    let mounts = tree.mounts()?;
    let mounted = match id {
        Some(id) => mounts.iter().find(|mounted| mounted.id == id && mounted.device == device),
        // Its maker was cut off. What was there before is not ours.
        None => {
            let top = mounts.iter().rfind(|mounted| mounted.point == destination);
            top.filter(|top| Some(top.id) != covered)
        }
    };
    if let Some(Mounted { point, id, .. }) = mounted {
        tree.carry_out(container, Change::Unmount(point, *id))
            .map_err(|error| error.context(&destination))?;
    }
    container.record.added_mounts.remove(place);
    container.directory.write_record(&container.record)
}

/// A line of mountinfo.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    id: u64,
    parent: u64,
    device: String,
    /// The path in the container, without symlinks.
    point: String,
}

impl Mounted {
    /// Source: proc_pid_mountinfo(5); blanks and their like in paths are octal.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let (id, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let device = String::from(fields.next()?);
        let mut written = fields.nth(1)?.split('\\');
        let mut point = String::from(written.next()?);
        for part in written {
            let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok())?;
            point.push(char::from(code));
            point.push_str(&part[3..]);
        }
        Some(Self { id, parent, device, point })
    }
}

enum Change<'a> {
    Mount(Mount),
    /// Where it is, and its number.
    Unmount(&'a str, u64),
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
            Change::Unmount(path, mount) => (Vec::new(), Some((path, mount))),
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
            Some(unmounted) => plan::plan_unmount(&request, &entry, unmounted, &store)?,
        };
        let entrance =
            Entrance { init, cgroup: None, root: Some(self.root.as_fd()), processors: &[], notes: None };
        let mut launch = Launch::enter(&plan, entrance)?;
        let reactor = Reactor::default();
        // There is nothing to start: it ends with `launch`.
        block_on(&reactor, launch.ready(&reactor, &plan))
    }

    /// What is mounted in the container, in the order of mounting at each place.
    fn mounts(&self) -> Result<Vec<Mounted>> {
        let path = format!("/proc/{}/mountinfo", self.pid);
        let text = std::fs::read(&path).map_err(|error| Error::io(format_args!("read {path}"), &error))?;
        // The container's names need not be UTF-8, but ours are.
        Ok(String::from_utf8_lossy(&text).lines().filter_map(Mounted::parse).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo_are_read_with_their_odd_names() {
        let line = r"41 36 0:30 /data /srv/a\040b\134c rw,nosuid shared:2 - tmpfs tmpfs rw,size=1m";
        let mounted =
            Mounted { id: 41, parent: 36, device: String::from("0:30"), point: String::from(r"/srv/a b\c") };
        assert_eq!(Mounted::parse(line), Some(mounted));
        assert_eq!(Mounted::parse("41 36"), None);
    }
}
